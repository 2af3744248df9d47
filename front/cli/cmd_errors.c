/*
 * cmd_errors.c - reinsert errors: what the drivers wrote to the error log
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

#include <stdio.h>
#include <time.h>

/* The order of the ON_PIPE columns is documented, and stays. */
static const struct table_column columns[] = {
    { "NUMBER", "seq", AS_TEXT, ON_BOTH },
    { "TIME", "time", AS_TEXT, ON_TTY },
    { "", "time_ms", AS_TEXT, ON_PIPE },
    { "DRIVE", "drive", AS_TEXT, ON_BOTH },
    { "DRIVER", "driver", AS_TEXT, ON_BOTH },
    { "CODE", "code", AS_TEXT, ON_BOTH },
    { "STATUS", "status", AS_TEXT, ON_BOTH },
    { "RETRIES", "retries", AS_TEXT, ON_BOTH },
    { "OFFSET", "offset_bytes", AS_TEXT, ON_BOTH },
    { "ID", "unique_id", AS_TEXT, ON_BOTH },
    { "TEXT", "text", AS_TEXT, ON_BOTH | SHRINKS },
    { "", "device", AS_TEXT, ON_PIPE },
    { "", "control_code", AS_TEXT, ON_PIPE },
    { "", "dump", AS_TEXT, ON_PIPE },
};

/* Adds to each row its time as people write it. */
static void
add_times(json_t *rows)
{
    char text[32];
    struct tm parts;
    json_t *row;
    time_t when;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        when = (time_t) (json_number(row, "time_ms") / 1000);
        if (localtime_r(&when, &parts) != NULL &&
            strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts) != 0)
            json_object_set_new(row, "time", json_string(text));
    }
}

static int
run(struct cli *cli)
{
    struct client *client;
    json_t *reply, *rows;
    int rc = client_open(cli, &client);

    if (rc != 0)
        return rc;
    rc = client_get(client, "/v1/errors", &reply);
    client_close(client);
    if (rc != 0)
        return rc;
    rows = json_object_get(reply, "errors");
    if (cli->json) {
        print_json(reply);
    } else if (cli->tty && json_array_size(rows) == 0) {
        printf("The error log is empty.\n");
    } else {
        add_times(rows);
        table_print(cli, "error", columns, sizeof columns / sizeof columns[0],
                    rows);
    }
    json_decref(reply);
    return 0;
}

const struct cli_verb cli_verb_errors = {
    .name = "errors",
    .args = "",
    .summary = "Show the error log of the drivers",
    .text = "A retried request has the status STATUS_SUCCESS.  With --json the "
            "entries have\ntheir dump data, the SRB and the sense data of the "
            "drive.\n",
    .options = OPT_CONTROL | OPT_JSON,
    .run = run,
};
