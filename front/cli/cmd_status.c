/*
 * cmd_status.c - reinsert status: drives, volumes and open questions
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"
#include "cli/prompt_view.h"

#include <stdio.h>
#include <string.h>

/* The order of the ON_PIPE columns is documented, and stays. */
static const struct table_column drive_columns[] = {
    { "DRIVE", "name", AS_TEXT, ON_BOTH },
    { "TYPE", "type", AS_TEXT, ON_BOTH },
    { "STATE", "state", AS_DRIVE_STATE, ON_BOTH },
    { "MEDIUM", "medium", AS_TEXT, ON_BOTH | SHRINKS },
    { "VOLUME", "volume", AS_TEXT, ON_BOTH },
    { "SIZE", "size_bytes", AS_SIZE, ON_BOTH },
    { "ANSWERED", "age_ms", AS_AGO, ON_BOTH },
    { "", "block_bytes", AS_TEXT, ON_PIPE },
    { "", "change_count", AS_TEXT, ON_PIPE },
    { "", "write_protected", AS_FLAG, ON_PIPE },
    { "", "locked", AS_FLAG, ON_PIPE },
    { "", "sense", AS_TEXT, ON_PIPE },
    { "", "changes", AS_TEXT, ON_PIPE },
};

static const struct table_column volume_columns[] = {
    { "VOLUME", "name", AS_TEXT, ON_BOTH },
    { "STATE", "state", AS_TEXT, ON_BOTH },
    { "FOR", "age_ms", AS_AGE, ON_BOTH },
    { "TYPE", "type", AS_TEXT, ON_BOTH },
    { "SIZE", "size_bytes", AS_SIZE, ON_BOTH },
    { "DRIVE", "drive", AS_TEXT, ON_BOTH },
    { "WAITING", "waiting", AS_TEXT, ON_BOTH },
    { "CLIENTS", "clients", AS_TEXT, ON_BOTH },
    { "READ-ONLY", "read_only", AS_FLAG, ON_BOTH },
    { "", "block_bytes", AS_TEXT, ON_PIPE },
    { "", "label", AS_TEXT, ON_PIPE },
    { "", "uuid", AS_TEXT, ON_PIPE },
    { "UNFLUSHED", "unflushed_bytes", AS_SIZE, ON_BOTH },
    { "", "replays", AS_TEXT, ON_PIPE },
    { "", "recovery", AS_TEXT, ON_PIPE },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Nothing without one. */
static void
print_unflushed_log(const struct cli *cli, const json_t *log)
{
    static const char *const fields[] = { "state", "dir", "problem",
                                          "warning" };

    if (json_text(log, "dir")[0] == '\0')
        return;
    if (!cli->tty) {
        printf("unflushed-log");
        for (size_t i = 0; i < COUNT(fields); i++) {
            putchar('\t');
            print_clean(json_text(log, fields[i]));
        }
        putchar('\n');
        return;
    }
    printf("Unflushed data are logged in ");
    print_clean(json_text(log, "dir"));
    putchar('\n');
    for (size_t i = 2; i < COUNT(fields); i++) {
        if (json_text(log, fields[i])[0] == '\0')
            continue;
        printf("Warning: %s",
               i == 2 ? "it fails, each write is flushed: " : "");
        print_clean(json_text(log, fields[i]));
        putchar('\n');
    }
}

static void
print_service(const struct cli *cli, const json_t *service)
{
    const json_t *nbd = json_object_get(service, "nbd");
    char age[32];
    size_t i;
    json_t *row;

    if (!cli->tty) {
        printf("service\t%s\t%" JSON_INTEGER_FORMAT "\t%" JSON_INTEGER_FORMAT
               "\n",
               json_text(service, "version"),
               json_integer_value(json_object_get(service, "pid")),
               json_integer_value(json_object_get(service, "uptime_ms")));
        json_array_foreach(nbd, i, row)
        {
            printf("nbd\t");
            print_clean(json_text(row, "address"));
            printf("\t%s\n", json_text(row, "uri"));
        }
        print_unflushed_log(cli, json_object_get(service, "unflushed_log"));
        return;
    }
    format_age(json_number(service, "uptime_ms"), age, sizeof age);
    printf("reinsert %s, process %d, up %s\n", json_text(service, "version"),
           (int) json_number(service, "pid"), age);
    json_array_foreach(nbd, i, row)
    {
        printf("NBD at %s\n", json_text(row, "uri"));
    }
    print_unflushed_log(cli, json_object_get(service, "unflushed_log"));
}

static void
print_section(const struct cli *cli, const char *record,
              const struct table_column *columns, size_t count,
              const json_t *rows)
{
    if (cli->tty && json_array_size(rows) == 0) {
        printf("\nNo %ss.\n", record);
        return;
    }
    if (cli->tty)
        putchar('\n');
    table_print(cli, record, columns, count, rows);
}

/* Why a drive is not ready, in the words of its last sense data. */
static void
print_senses(const json_t *drives)
{
    size_t i;
    json_t *row;

    json_array_foreach(drives, i, row)
    {
        if (strcmp(json_text(row, "state"), "not ready") != 0 ||
            json_text(row, "sense")[0] == '\0')
            continue;
        print_clean(json_text(row, "name"));
        printf(" said: ");
        print_clean(json_text(row, "sense"));
        putchar('\n');
    }
}

/* What real drives may be trusted for. */
static void
print_changes(const json_t *drives)
{
    size_t i;
    json_t *row;

    json_array_foreach(drives, i, row)
    {
        if (!json_is_true(json_object_get(row, "real")))
            continue;
        print_clean(json_text(row, "name"));
        printf(": ");
        print_clean(json_text(row, "changes_why"));
        printf(".\n");
    }
}

/* Nothing without tape drives. */
static void
print_tapes(const struct cli *cli, const json_t *tapes)
{
    static const struct table_column columns[] = {
        { "TAPE DRIVE", "drive", AS_TEXT, ON_BOTH },
        { "STATE", "state", AS_TEXT, ON_BOTH },
        { "TAPE", "tape", AS_TEXT, ON_BOTH },
        { "FORMAT", "format", AS_TEXT, ON_BOTH },
        { "FILE", "file", AS_TEXT, ON_BOTH },
        { "BLOCK", "block", AS_TEXT, ON_BOTH },
        { "UNFLUSHED", "unflushed_bytes", AS_SIZE, ON_BOTH },
        { "", "serial", AS_TEXT, ON_PIPE },
        { "", "barcode", AS_TEXT, ON_PIPE },
        { "", "open", AS_FLAG, ON_PIPE },
        { "", "waiting", AS_FLAG, ON_PIPE },
    };

    if (json_array_size(tapes) == 0)
        return;
    if (cli->tty)
        putchar('\n');
    table_print(cli, "tape", columns, COUNT(columns), tapes);
}

static void
print_recovery(const struct cli *cli, const json_t *files)
{
    static const struct table_column columns[] = {
        { "RECOVERY FILE", "file", AS_TEXT, ON_BOTH },
        { "VOLUME", "volume", AS_TEXT, ON_BOTH },
        { "DATA", "bytes", AS_SIZE, ON_BOTH },
        { "WHY", "reason", AS_TEXT, ON_BOTH },
        { "", "drive", AS_TEXT, ON_PIPE },
        { "", "time_ms", AS_TEXT, ON_PIPE },
    };

    if (json_array_size(files) == 0)
        return;
    if (cli->tty)
        putchar('\n');
    table_print(cli, "recovery", columns, COUNT(columns), files);
}

static void
print_all(const struct cli *cli, const json_t *all)
{
    const json_t *prompts = json_object_get(all, "prompts");
    size_t i;
    json_t *row;

    print_service(cli, json_object_get(all, "service"));
    print_section(cli, "drive", drive_columns, COUNT(drive_columns),
                  json_object_get(all, "drives"));
    if (cli->tty) {
        print_senses(json_object_get(all, "drives"));
        print_changes(json_object_get(all, "drives"));
    }
    print_tapes(cli, json_object_get(all, "tapes"));
    print_section(cli, "volume", volume_columns, COUNT(volume_columns),
                  json_object_get(all, "volumes"));
    json_array_foreach(prompts, i, row)
    {
        if (cli->tty)
            putchar('\n');
        prompt_print(cli, row);
    }
    print_recovery(cli, json_object_get(all, "recovery"));
}

static int
run(struct cli *cli)
{
    static const char *const parts[] = { "/v1/status",  "/v1/drives",
                                         "/v1/tapes",   "/v1/volumes",
                                         "/v1/prompts", "/v1/recovery" };
    struct client *client = NULL;
    json_t *all = json_object(), *part;
    int rc = client_open(cli, &client);

    for (size_t i = 0; rc == 0 && i < COUNT(parts); i++) {
        rc = client_get(client, parts[i], &part);
        if (rc == 0) {
            json_object_update(all, part);
            json_decref(part);
        }
    }
    if (rc == 0 && cli->json)
        print_json(all);
    else if (rc == 0)
        print_all(cli, all);
    json_decref(all);
    client_close(client);
    return rc;
}

const struct cli_verb cli_verb_status = {
    .name = "status",
    .args = "",
    .summary = "Show the drives, the volumes and the questions that wait",
    .text = "What is shown is what each drive said last; ANSWERED is when.\n",
    .options = OPT_CONTROL | OPT_JSON,
    .run = run,
};
