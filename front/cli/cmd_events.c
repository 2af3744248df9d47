/*
 * cmd_events.c - reinsert events: follow what happens
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

#include <stdio.h>
#include <time.h>

static const struct table_column event_columns[] = {
    { "", "seq", AS_TEXT, ON_PIPE },    { "", "time_ms", AS_TEXT, ON_PIPE },
    { "", "kind", AS_TEXT, ON_PIPE },   { "", "drive", AS_TEXT, ON_PIPE },
    { "", "volume", AS_TEXT, ON_PIPE }, { "", "prompt", AS_TEXT, ON_PIPE },
    { "", "text", AS_TEXT, ON_PIPE },
};

static void
print_line(const json_t *event)
{
    time_t seconds = (time_t) (json_number(event, "time_ms") / 1000);
    struct tm local;
    char when[16] = "--:--:--";

    if (seconds != 0 && localtime_r(&seconds, &local) != NULL)
        strftime(when, sizeof when, "%H:%M:%S", &local);
    printf("%s  %-7s ", when, json_text(event, "kind"));
    print_clean(json_text(event, "text"));
    putchar('\n');
}

static int
on_event(void *context, const char *kind, json_t *event)
{
    const struct cli *cli = context;

    if (kind[0] == '\0')
        return 0;
    if (cli->json) {
        json_dumpf(event, stdout, JSON_COMPACT);
        putchar('\n');
    } else if (cli->tty) {
        print_line(event);
    } else {
        json_t *rows = json_pack("[O]", event);

        table_print(cli, "event", event_columns,
                    sizeof event_columns / sizeof event_columns[0], rows);
        json_decref(rows);
    }
    fflush(stdout);
    return ferror(stdout) ? CLI_FAILED : 0;
}

static int
run(struct cli *cli)
{
    struct client *client;
    int rc = client_open(cli, &client);

    if (rc != 0)
        return rc;
    rc = client_events(client, on_event, cli);
    client_close(client);
    return rc;
}

const struct cli_verb cli_verb_events = {
    .name = "events",
    .args = "",
    .summary = "Follow what happens, until Ctrl-C or the end of the service",
    .text = "",
    .options = OPT_CONTROL | OPT_JSON,
    .run = run,
};
