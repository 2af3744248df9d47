/*
 * cmd_probe.c - reinsert probe: what a drive can be trusted for
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"
#include "probe/drives.h"
#include "probe/examine.h"
#include "probe/look.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define STEP_LIMIT_MS 120000
#define BUSY_MS       200

/* --- progress, questions --------------------------------------------------------- */

static volatile sig_atomic_t stop;

/* The second one ends it at once. */
static void
on_signal(int signal_number)
{
    (void) signal_number;
    stop = 1;
}

static void
catch_signals(void)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action = { .sa_handler = on_signal,
                                .sa_flags = (int) SA_RESETHAND };

    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, NULL);
}

static bool
stopped(void *context)
{
    (void) context;
    return stop != 0;
}

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
    /* What was typed before is no answer to this. */
    if (isatty(STDIN_FILENO))
        tcflush(STDIN_FILENO, TCIFLUSH);
    fprintf(stderr, "%s%s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", what);
    fflush(stderr);
}

/* A line: it is done; with an n or s in front (no, none, skip): it cannot be.
 * The end of the input says nothing. */
static enum said
says(void *context)
{
    struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
    char line[64];
    ssize_t n;

    (void) context;
    if (poll(&in, 1, 0) != 1 || (in.revents & POLLIN) == 0)
        return SAID_NOTHING;
    n = read(STDIN_FILENO, line, sizeof line);
    if (n <= 0)
        return SAID_NOTHING;
    return strchr("nNsS", line[0]) != NULL ? SAID_CANNOT : SAID_DONE;
}

static void
say_how(void)
{
    fprintf(stderr,
            "A step ends when the drive shows it, or after two minutes. If it "
            "shows nothing:\nEnter says that it is done, n that it cannot be "
            "done. Ctrl-C ends all, and unlocks.\n");
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
print_wrong(const json_t *findings)
{
    const json_t *row;
    size_t i, count = 0;

    json_array_foreach(findings, i, row)
    {
        if (strcmp(json_text(row, "verdict"), "wrong") != 0)
            continue;
        if (count++ == 0)
            printf("\nWrong by the standard:\n");
        printf("    %s: %s\n", json_text(row, "text"),
               json_text(row, "clause"));
    }
    if (count == 0)
        printf("\nNothing was found that is wrong by the standard.\n");
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
    const json_t *list = json_object_get(report, "findings");

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
        print_wrong(list);
        putchar('\n');
    } else {
        printf("believe\t");
    }
    printf("%s\n", json_text(report, "believe"));
    if (cli->tty && json_array_size(json_object_get(report, "options")) > 0)
        printf("\nIn a configuration:\n");
    print_lines(cli, "option", json_object_get(report, "options"));
}

static int
report_of(struct cli *cli, const struct link *link,
          const struct examine_host *host)
{
    json_t *report = examine(cli->args[0], link, host, cli->guided);
    const char *ended;
    int rc = CLI_OK;

    if (host->progress != NULL)
        fprintf(stderr, "\r\033[K");
    if (report == NULL) {
        cli_say("probe: out of memory");
        return CLI_FAILED;
    }
    if (cli->json)
        print_json(report);
    else
        print_report(cli, report);
    ended = json_text(report, "ended");
    if (ended[0] != '\0') {
        fflush(stdout);
        cli_say("%s: not all was looked at: %s", cli->args[0], ended);
        rc = CLI_FAILED;
    }
    json_decref(report);
    return rc;
}

static int
run(struct cli *cli)
{
    char text[512] = "", held_by[512] = "", polled[PATH_MAX];
    struct examine_host host = {
        .progress = isatty(STDERR_FILENO) == 1 ? progress : NULL,
        .ask = ask,
        .says = says,
        .stopped = stopped,
        .held_by = held_by,
        .polled = polled,
        .limit_ms = STEP_LIMIT_MS,
        .busy_ms = BUSY_MS,
    };
    struct link link = { 0 };
    int rc;

    drives_held_by("", cli->args[0], held_by, sizeof held_by);
    drives_polled_by("", cli->args[0], polled, sizeof polled);
    catch_signals();
    if (link_open(cli->args[0], &link, text, sizeof text) != 0) {
        cli_say("%s", text);
        return CLI_FAILED;
    }
    if (!look_is_there(&link)) {
        link_close(&link);
        cli_say("%s: there is no such unit", cli->args[0]);
        return CLI_FAILED;
    }
    if (cli->guided)
        say_how();
    rc = report_of(cli, &link, &host);
    link_close(&link);
    return rc;
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
