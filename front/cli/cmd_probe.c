/*
 * cmd_probe.c - reinsert probe: what a drive can be trusted for
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"
#include "probe/examine.h"
#include "probe/look.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STEP_LIMIT_MS 120000

/* --- progress, questions --------------------------------------------------------- */

static void
progress(void *context, const char *what)
{
    (void) context;
    fprintf(stderr, "\r\033[K%s ...", what);
    fflush(stderr);
}

static void
ask(void *context, const char *what)
{
    (void) context;
    fprintf(stderr, "%s%s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", what);
    fflush(stderr);
}

/* A line, of whatever text; the end of the input says nothing. */
static bool
says_done(void *context)
{
    struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
    char line[64];

    (void) context;
    return poll(&in, 1, 0) == 1 && (in.revents & POLLIN) != 0 &&
           read(STDIN_FILENO, line, sizeof line) > 0;
}

/* --- the report -------------------------------------------------------------------- */

static void
print_identity(const struct cli *cli, const json_t *identity)
{
    static const char *const fields[] = { "type",     "vendor", "product",
                                          "revision", "serial", "medium",
                                          "volume" };

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (cli->tty && json_text(identity, fields[i])[0] == '\0')
            continue;
        printf(cli->tty ? "%-10s " : "identity\t%s\t", fields[i]);
        print_clean(json_text(identity, fields[i]));
        putchar('\n');
    }
}

static void
print_lines(const struct cli *cli, const char *record, const json_t *list)
{
    size_t i;
    json_t *row;

    json_array_foreach(list, i, row)
    {
        printf(cli->tty ? "    " : "%s\t", record);
        print_clean(json_string_value(row));
        putchar('\n');
    }
}

static void
print_report(const struct cli *cli, const json_t *report)
{
    static const struct table_column findings[] = {
        { "WHAT", "name", AS_TEXT, ON_BOTH },
        { "", "verdict", AS_TEXT, ON_BOTH },
        { "ANSWER", "answer", AS_TEXT, ON_BOTH },
        { "FOUND", "text", AS_TEXT, ON_BOTH },
        { "", "clause", AS_TEXT, ON_PIPE },
    };
    static const struct table_column seen[] = {
        { "STEP", "step", AS_TEXT, ON_BOTH },
        { "MS", "ms", AS_TEXT, ON_BOTH },
        { "WHAT", "what", AS_TEXT, ON_BOTH },
        { "SAID", "text", AS_TEXT, ON_BOTH },
    };
    const json_t *list = json_object_get(report, "findings"), *row;
    size_t i;

    print_identity(cli, json_object_get(report, "identity"));
    if (cli->tty)
        putchar('\n');
    table_print(cli, "finding", findings, sizeof findings / sizeof findings[0],
                list);
    if (json_array_size(json_object_get(report, "seen")) > 0) {
        if (cli->tty)
            putchar('\n');
        table_print(cli, "seen", seen, sizeof seen / sizeof seen[0],
                    json_object_get(report, "seen"));
    }
    if (cli->tty) {
        printf("\nWrong by the standard:\n");
        json_array_foreach(list, i, row)
        {
            if (strcmp(json_text(row, "verdict"), "wrong") == 0)
                printf("    %s: %s\n", json_text(row, "text"),
                       json_text(row, "clause"));
        }
        putchar('\n');
    } else {
        printf("believe\t");
    }
    printf("%s\n", json_text(report, "believe"));
    if (cli->tty)
        printf("\nIn a configuration:\n");
    print_lines(cli, "option", json_object_get(report, "options"));
}

static int
run(struct cli *cli)
{
    struct examine_host host = {
        .progress = isatty(STDERR_FILENO) == 1 ? progress : NULL,
        .ask = ask,
        .says_done = says_done,
        .limit_ms = STEP_LIMIT_MS,
    };
    struct link link = { 0 };
    char text[512] = "";
    json_t *report;

    if (link_open(cli->args[0], &link, text, sizeof text) != 0) {
        cli_say("%s", text);
        return CLI_FAILED;
    }
    if (!look_is_there(&link)) {
        link_close(&link);
        cli_say("%s: there is no such unit", cli->args[0]);
        return CLI_FAILED;
    }
    report = examine(cli->args[0], &link, &host, cli->guided);
    link_close(&link);
    if (host.progress != NULL)
        fprintf(stderr, "\r\033[K");
    if (report == NULL) {
        cli_say("probe: out of memory");
        return CLI_FAILED;
    }
    if (cli->json)
        print_json(report);
    else
        print_report(cli, report);
    json_decref(report);
    return CLI_OK;
}

const struct cli_verb cli_verb_probe = {
    .name = "probe",
    .args = "DEVICE|URL|IMAGE [--guided]",
    .summary = "Examine a drive without writing: what it can be trusted for",
    .text =
        "A device node that takes SG_IO, an iscsi://HOST[:PORT]/TARGET/LUN, "
        "or an image,\nfor which a drive is emulated.  Nothing is written.  "
        "The service must not have\nthe drive at the same time: one would "
        "take the other's unit attentions.\n"
        "CHAP: REINSERT_ISCSI_USER and REINSERT_ISCSI_SECRET in the "
        "environment.\n",
    .options = OPT_JSON | OPT_GUIDED,
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
