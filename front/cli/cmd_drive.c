/*
 * cmd_drive.c - reinsert insert, eject, press and yank: what a hand does to a drive
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
print_drive(const struct cli *cli, const json_t *reply)
{
    const json_t *drive = json_object_get(reply, "drive");

    if (cli->json) {
        print_json(reply);
        return;
    }
    if (!cli->tty) {
        printf("drive\t%s\t%s\t", json_text(drive, "name"),
               json_text(drive, "state"));
        print_clean(json_text(drive, "medium"));
        putchar('\t');
        print_clean(json_text(drive, "volume"));
        putchar('\n');
        return;
    }
    printf("Drive ");
    print_clean(json_text(drive, "name"));
    printf(" is %s", json_text(drive, "state"));
    if (json_text(drive, "volume")[0] != '\0') {
        printf(", with volume ");
        print_clean(json_text(drive, "volume"));
    }
    printf(".\n");
}

static int
operate(struct cli *cli, const char *action, const json_t *body)
{
    char *path = client_path("/v1/drives/", cli->args[0], action);
    struct client *client;
    json_t *reply;
    int rc = client_open(cli, &client);

    if (rc != 0) {
        free(path);
        return rc;
    }
    rc = client_post(client, path, body, &reply);
    if (rc == 0) {
        print_drive(cli, reply);
        json_decref(reply);
    }
    client_close(client);
    free(path);
    return rc;
}

static int
run_insert(struct cli *cli)
{
    char *image = cli_absolute(cli->args[1]);
    json_t *body = image != NULL ? json_pack("{s:s}", "image", image) : NULL;
    int rc;

    if (body == NULL) {
        cli_say("insert: %s: this path cannot be used", cli->args[1]);
        free(image);
        return CLI_USAGE;
    }
    rc = operate(cli, "/insert", body);
    json_decref(body);
    free(image);
    return rc;
}

static int
run_without_body(struct cli *cli, const char *action)
{
    json_t *body = json_object();
    int rc = operate(cli, action, body);

    json_decref(body);
    return rc;
}

static int
run_eject(struct cli *cli)
{
    return run_without_body(cli, "/eject");
}

static int
run_press(struct cli *cli)
{
    return run_without_body(cli, "/press");
}

static int
run_yank(struct cli *cli)
{
    return run_without_body(cli, "/yank");
}

const struct cli_verb cli_verb_insert = {
    .name = "insert",
    .args = "DRIVE IMAGE",
    .summary = "Put an image into an emulated drive and close it",
    .text = "Requests that wait for the volume on it go on by themselves.\n",
    .options = OPT_CONTROL | OPT_JSON,
    .args_min = 2,
    .args_max = 2,
    .run = run_insert,
};

const struct cli_verb cli_verb_eject = {
    .name = "eject",
    .args = "DRIVE",
    .summary = "Take the medium out safely: flush, unlock, open",
    .text = "The volume stays exported; requests that come later wait until it "
            "is back.\n",
    .options = OPT_CONTROL | OPT_JSON,
    .args_min = 1,
    .args_max = 1,
    .run = run_eject,
};

const struct cli_verb cli_verb_press = {
    .name = "press",
    .args = "DRIVE",
    .summary = "Press the button of an emulated drive",
    .text = "A medium that is in use is flushed and unlocked first, as by "
            "eject;\n`reinsert events` tells of it.\n",
    .options = OPT_CONTROL | OPT_JSON,
    .args_min = 1,
    .args_max = 1,
    .run = run_press,
};

const struct cli_verb cli_verb_yank = {
    .name = "yank",
    .args = "DRIVE",
    .summary = "Pull the medium out of an emulated drive, whatever is going on",
    .text = "For trying out what happens then; eject is the polite way.\n",
    .options = OPT_CONTROL | OPT_JSON,
    .args_min = 1,
    .args_max = 1,
    .run = run_yank,
};
