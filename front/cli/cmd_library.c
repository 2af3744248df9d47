/*
 * cmd_library.c - reinsert library: which volume is on which cartridge
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The order of the ON_PIPE columns is documented, and stays. */
static const struct table_column columns[] = {
    { "LIBRARY", "library", AS_TEXT, ON_BOTH },
    { "PLACE", "place", AS_TEXT, ON_TTY },
    { "", "type", AS_TEXT, ON_PIPE },
    { "", "number", AS_TEXT, ON_PIPE },
    { "LABEL", "barcode", AS_TEXT, ON_BOTH },
    { "VOLUME", "label", AS_TEXT, ON_BOTH | SHRINKS },
    { "IDENTITY", "identity", AS_TEXT, ON_BOTH | SHRINKS },
    { "HOME", "home", AS_TEXT, ON_BOTH },
    { "USES", "uses", AS_TEXT, ON_BOTH },
    { "ERRORS", "errors", AS_TEXT, ON_BOTH },
    { "MARKED", "marked", AS_FLAG, ON_BOTH },
    { "CLEANING", "cleaning", AS_FLAG, ON_BOTH },
};

/* --- which library ------------------------------------------------------------- */

/* The names of those that are meant; there must be one. */
static int
find_libraries(struct cli *cli, struct client *client, json_t **out_names)
{
    const char *wanted = cli->arg_count > 1 ? cli->args[1] : NULL;
    json_t *reply, *library;
    size_t i;
    int rc = client_get(client, "/v1/libraries", &reply);

    if (rc != 0)
        return rc;
    *out_names = json_array();
    json_array_foreach(json_object_get(reply, "libraries"), i, library)
    {
        const char *name = json_text(library, "name");

        if (wanted == NULL || strcmp(wanted, name) == 0)
            json_array_append_new(*out_names, json_string(name));
    }
    json_decref(reply);
    if (json_array_size(*out_names) > 0)
        return 0;
    if (wanted != NULL)
        cli_say("no library is called %s", wanted);
    else
        cli_say("the service has no library");
    json_decref(*out_names);
    return CLI_FAILED;
}

/* --- list ------------------------------------------------------------------------ */

static void
add_place(json_t *row)
{
    char place[48];

    snprintf(place, sizeof place, "%s %llu", json_text(row, "type"),
             (unsigned long long) json_number(row, "number"));
    json_object_set_new(row, "place", json_string(place));
}

static int
add_cartridges(struct client *client, const char *name, json_t *rows)
{
    char *path = client_path("/v1/libraries/", name, "");
    json_t *reply, *element;
    size_t i;
    int rc = path != NULL ? client_get(client, path, &reply) : CLI_FAILED;

    free(path);
    if (rc != 0)
        return rc;
    json_array_foreach(json_object_get(reply, "elements"), i, element)
    {
        if (!json_is_true(json_object_get(element, "full")))
            continue;
        json_object_set_new(element, "library", json_string(name));
        add_place(element);
        json_array_append(rows, element);
    }
    json_decref(reply);
    return 0;
}

static int
list(struct cli *cli, struct client *client, const json_t *names)
{
    json_t *rows = json_array(), *name, *all;
    size_t i;
    int rc = 0;

    json_array_foreach(names, i, name)
    {
        if (rc == 0)
            rc = add_cartridges(client, json_string_value(name), rows);
    }
    if (rc == 0 && cli->json) {
        all = json_pack("{s:O}", "cartridges", rows);
        print_json(all);
        json_decref(all);
    } else if (rc == 0) {
        table_print(cli, "cartridge", columns,
                    sizeof columns / sizeof columns[0], rows);
    }
    json_decref(rows);
    return rc;
}

/* --- scan ------------------------------------------------------------------------ */

/* Tells what is learnt while the command is under way, on a thread and a
 * connection of its own.  It ends with the process. */
struct progress {
    struct client *client;
    char library[RI_NAME_MAX];
};

static int
show(void *context, const char *kind, json_t *data)
{
    const struct progress *progress = context;

    if (strcmp(kind, "library") == 0 &&
        strcmp(json_text(data, "action"), "scan") == 0 &&
        strcmp(json_text(data, "library"), progress->library) == 0) {
        print_clean(json_text(data, "text"));
        putchar('\n');
        fflush(stdout);
    }
    return 0;
}

static void *
follow(void *argument)
{
    struct progress *progress = argument;

    client_events(progress->client, show, progress);
    return NULL;
}

static void
begin_progress(struct cli *cli, const char *name)
{
    /* Never freed: the thread may be in it until the end. */
    struct progress *progress = calloc(1, sizeof *progress);
    pthread_t thread;

    if (progress == NULL)
        return;
    snprintf(progress->library, sizeof progress->library, "%s", name);
    if (client_open(cli, &progress->client) != 0 ||
        pthread_create(&thread, NULL, follow, progress) != 0) {
        free(progress);
        return;
    }
    pthread_detach(thread);
}

static int
scan_one(struct cli *cli, struct client *client, const char *name)
{
    char *path = client_path("/v1/libraries/", name, "/scan");
    json_t *body = json_object(), *reply = NULL;
    int rc = CLI_FAILED;

    if (cli->tty && !cli->json)
        begin_progress(cli, name);
    if (path != NULL)
        rc = client_post(client, path, body, &reply);
    if (rc == 0 && cli->json) {
        print_json(reply);
    } else if (rc == 0) {
        printf(cli->tty ? "%s: " : "scan\t%s\t", name);
        print_clean(json_text(json_object_get(reply, "result"), "text"));
        putchar('\n');
    }
    json_decref(reply);
    json_decref(body);
    free(path);
    return rc;
}

static int
run(struct cli *cli)
{
    bool scans = strcmp(cli->args[0], "scan") == 0;
    struct client *client;
    json_t *names, *name;
    size_t i;
    int rc;

    if (!scans && strcmp(cli->args[0], "list") != 0) {
        cli_say("library: list or scan, not %s", cli->args[0]);
        return CLI_USAGE;
    }
    rc = client_open(cli, &client);
    if (rc != 0)
        return rc;
    rc = find_libraries(cli, client, &names);
    if (rc != 0) {
        client_close(client);
        return rc;
    }
    if (!scans)
        rc = list(cli, client, names);
    json_array_foreach(names, i, name)
    {
        if (scans && rc == 0)
            rc = scan_one(cli, client, json_string_value(name));
    }
    json_decref(names);
    client_close(client);
    return rc;
}

const struct cli_verb cli_verb_library = {
    .name = "library",
    .args = "list | scan [NAME]",
    .summary = "Show which volume is on which cartridge",
    .text = "list shows every cartridge, where it is, and what is known of "
            "it.  scan loads\neach one that nobody knows, and learns which "
            "volume is on it; volumes that are\nin use are not disturbed.\n",
    .options = OPT_JSON | OPT_CONTROL,
    .args_min = 1,
    .args_max = 2,
    .run = run,
};
