/*
 * cmd_drives.c - reinsert drives: what could be served, and who has it
 *
 * The drives of this machine, of a running service if there is one, and of the
 * portals that are named.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"
#include "probe/drives.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The order of the ON_PIPE columns is documented, and stays. */
static const struct table_column columns[] = {
    { "DRIVE", "name", AS_TEXT, ON_BOTH },
    { "TYPE", "type", AS_TEXT, ON_BOTH },
    { "VENDOR", "vendor", AS_TEXT, ON_BOTH },
    { "PRODUCT", "product", AS_TEXT, ON_BOTH },
    { "SERIAL", "serial", AS_TEXT, ON_BOTH },
    { "MEDIUM", "medium", AS_TEXT, ON_BOTH },
    { "SIZE", "size_bytes", AS_SIZE, ON_BOTH },
    { "VOLUME", "volume", AS_TEXT, ON_BOTH },
    { "HELD BY", "held_by", AS_TEXT, ON_BOTH | SHRINKS },
    { "", "where", AS_TEXT, ON_PIPE },
    { "", "block_bytes", AS_TEXT, ON_PIPE },
    { "", "removable", AS_FLAG, ON_PIPE },
};

/* A drive of a service, as a row of this table. */
static json_t *
service_row(const json_t *drive)
{
    const char *state = json_text(drive, "state");

    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s, "
        "s:b}",
        "name", json_text(drive, "name"), "where", "service", "address",
        json_text(drive, "address"), "node", json_text(drive, "node"), "type",
        json_text(drive, "type"), "vendor", json_text(drive, "vendor"),
        "product",
        json_is_true(json_object_get(drive, "real"))
            ? json_text(drive, "product")
            : "emulated",
        "serial", json_text(drive, "serial"), "medium",
        strcmp(state, "ready") == 0   ? "present"
        : strcmp(state, "empty") == 0 ? "none"
                                      : state,
        "size_bytes", (json_int_t) json_number(drive, "size_bytes"),
        "block_bytes", (json_int_t) json_number(drive, "block_bytes"), "volume",
        json_text(drive, "volume"), "held_by", "the service", "removable", 1);
}

/* Nothing when no service runs where nobody said that one does. */
static int
drives_of_service(struct cli *cli, json_t *rows)
{
    struct client *client = NULL;
    char path[RI_PATH_MAX];
    json_t *reply = NULL, *row;
    size_t i;
    int rc;

    cli_control_path(cli, path, sizeof path);
    if (cli->control == NULL && access(path, F_OK) != 0)
        return 0;
    rc = client_open(cli, &client);
    if (rc == 0)
        rc = client_get(client, "/v1/drives", &reply);
    if (rc == 0) {
        json_array_foreach(json_object_get(reply, "drives"), i, row)
        {
            json_array_append_new(rows, service_row(row));
        }
    }
    json_decref(reply);
    client_close(client);
    return rc;
}

/* TARGET/LUN, which is the same by whichever portal. */
static const char *
unit_of(const char *url)
{
    const char *slashes = strstr(url, "://");
    const char *unit = slashes != NULL ? strchr(slashes + 3, '/') : NULL;

    return unit != NULL ? unit : "";
}

static bool
is_same(const json_t *row, const json_t *of_service)
{
    const char *unit = unit_of(json_text(row, "name"));
    const char *address = json_text(of_service, "address");
    const char *node = json_text(of_service, "node");

    if (strcmp(json_text(of_service, "where"), "service") != 0)
        return false;
    if (strcmp(json_text(row, "where"), "machine") == 0)
        return node[0] != '\0' && strcmp(json_text(row, "name"), node) == 0;
    return address[0] != '\0' && unit[0] != '\0' &&
           strcmp(unit, unit_of(address)) == 0;
}

/* What the service has of this machine, and of portals. */
static void
tell_who_has(json_t *rows)
{
    json_t *row, *other;
    char text[RI_NAME_MAX + 32];
    size_t i, n;

    json_array_foreach(rows, i, row)
    {
        json_array_foreach(rows, n, other)
        {
            if (!is_same(row, other))
                continue;
            snprintf(text, sizeof text, "the service, as %s",
                     json_text(other, "name"));
            json_object_set_new(row, "held_by", json_string(text));
        }
    }
}

/* Targets that do not let us in. */
static void
say_problems(const json_t *rows)
{
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        if (json_text(row, "problem")[0] != '\0')
            cli_say("%s: %s", json_text(row, "name"),
                    json_text(row, "problem"));
    }
}

static int
run(struct cli *cli)
{
    json_t *all = json_pack("{s:[]}", "drives");
    json_t *rows = json_object_get(all, "drives");
    char text[512] = "";
    int rc;

    drives_of_machine("", rows);
    if (!drives_can_be_seen(""))
        cli_say(
            "the drives of this machine cannot be seen: the kernel's module "
            "sg is not loaded (modprobe sg)");
    rc = drives_of_service(cli, rows);
    for (size_t i = 0; i < cli->discover_count; i++)
        if (drives_of_portal(cli->discover[i], rows, text, sizeof text) != 0) {
            cli_say("%s", text);
            rc = CLI_FAILED;
        }
    tell_who_has(rows);
    say_problems(rows);
    if (cli->json)
        print_json(all);
    else if (cli->tty && json_array_size(rows) == 0)
        printf("No drives of this machine have removable media, no service "
               "runs, and no portal was named.\n");
    else
        table_print(cli, "drive", columns, sizeof columns / sizeof columns[0],
                    rows);
    json_decref(all);
    return rc;
}

const struct cli_verb cli_verb_drives = {
    .name = "drives",
    .args = "[--discover PORTAL]...",
    .summary = "List drives that could be served, and who holds them",
    .text = "Of this machine, of a running service, and of the iSCSI portals "
            "that are\nnamed.  No command is sent to a drive of this machine.  "
            "CHAP:\nREINSERT_ISCSI_USER and REINSERT_ISCSI_SECRET in the "
            "environment.\n",
    .options = OPT_JSON | OPT_CONTROL | OPT_DISCOVER,
    .run = run,
};
