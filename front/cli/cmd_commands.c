/*
 * cmd_commands.c - reinsert commands: what a real drive is sent
 *
 * Needs no service: it asks the library that the service itself uses.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

#include <stdio.h>

/* The order of the ON_PIPE columns is documented, and stays. */
static const struct table_column columns[] = {
    { "CODE", "opcode", AS_TEXT, ON_BOTH },
    { "COMMAND", "name", AS_TEXT, ON_BOTH | SHRINKS },
    { "BYTES", "length", AS_TEXT, ON_BOTH },
    { "DEVICES", "devices", AS_TEXT, ON_BOTH },
    { "SENT BY", "sent_by", AS_TEXT, ON_BOTH },
    { "ACTIONS", "actions", AS_TEXT, ON_BOTH },
};

static int
run(struct cli *cli)
{
    json_t *all = json_pack("{s:[]}", "commands");
    json_t *rows = json_object_get(all, "commands");
    struct ri_command command;
    char opcode[8];

    for (size_t i = 0; ri_command(i, &command); i++) {
        snprintf(opcode, sizeof opcode, "%02Xh", command.opcode);
        json_array_append_new(
            rows, json_pack("{s:s, s:s, s:i, s:s, s:s, s:s}", "opcode", opcode,
                            "name", command.name, "length", command.length,
                            "devices", command.devices, "sent_by",
                            command.sent_by, "actions", command.actions));
    }
    if (cli->json)
        print_json(all);
    else
        table_print(cli, "command", columns, sizeof columns / sizeof columns[0],
                    rows);
    json_decref(all);
    return CLI_OK;
}

const struct cli_verb cli_verb_commands = {
    .name = "commands",
    .args = "",
    .summary = "Print the commands that a real drive is sent; no others are",
    .text = "Of an iSCSI target or of this machine.  A driver or program that "
            "asks for\nanother command is told that it is invalid; \"reinsert "
            "errors\" names it.\nNeeds no service.\n",
    .options = OPT_JSON,
    .run = run,
};
