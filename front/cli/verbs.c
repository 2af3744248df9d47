/*
 * verbs.c - the table of all verbs
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

/* In the order of `reinsert help`. */
const struct cli_verb *const cli_verbs[] = {
    &cli_verb_serve,    &cli_verb_status,
    &cli_verb_insert,   &cli_verb_eject,
    &cli_verb_press,    &cli_verb_yank,
    &cli_verb_prompts,  &cli_verb_answer,
    &cli_verb_events,   &cli_verb_errors,
    &cli_verb_recover,  &cli_verb_changer,
    &cli_verb_library,  &cli_verb_tape,
    &cli_verb_drives,   &cli_verb_probe,
    &cli_verb_sense,    &cli_verb_states,
    &cli_verb_commands, &cli_verb_version,
    &cli_verb_help,     NULL,
};

int
cli_no_verb(char **argv)
{
    if (argv[0] == NULL || argv[1] == NULL)
        cli_print_usage(NULL);
    else
        cli_say("there is no \"%s\"; try: reinsert help", argv[1]);
    return CLI_USAGE;
}
