/*
 * cmd_help.c - reinsert help and reinsert version
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

#include <stdio.h>

static void
print_overview(void)
{
    printf("usage: reinsert VERB [OPTION...] [ARGUMENT...]\n\n"
           "Volumes on removable media as network block devices that stay "
           "alive while\ntheir medium is away.\n\n");
    for (size_t i = 0; cli_verbs[i] != NULL; i++)
        printf("  %-9s %s\n", cli_verbs[i]->name, cli_verbs[i]->summary);
    printf("\nTo begin:   reinsert serve IMAGE...\n"
           "More:       reinsert help VERB, man reinsert\n");
}

static void
print_json_overview(void)
{
    json_t *list = json_array();

    for (size_t i = 0; cli_verbs[i] != NULL; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "verb",
                                              cli_verbs[i]->name, "args",
                                              cli_verbs[i]->args, "summary",
                                              cli_verbs[i]->summary));
    print_json(list);
    json_decref(list);
}

static int
run(struct cli *cli)
{
    const struct cli_verb *verb;

    if (cli->arg_count == 0) {
        if (cli->json)
            print_json_overview();
        else
            print_overview();
        return CLI_OK;
    }
    verb = cli_verb_find(cli->args[0]);
    if (verb == NULL) {
        cli_say("there is no \"%s\"; try: reinsert help", cli->args[0]);
        return CLI_USAGE;
    }
    cli_print_help(verb);
    return CLI_OK;
}

static int
run_version(struct cli *cli)
{
    json_t *object;

    if (!cli->json) {
        printf("reinsert %s\n", ri_version());
        return CLI_OK;
    }
    object = json_pack("{s:s}", "version", ri_version());
    print_json(object);
    json_decref(object);
    return CLI_OK;
}

const struct cli_verb cli_verb_help = {
    .name = "help",
    .args = "[VERB]",
    .summary = "List the verbs, or explain one",
    .text = "",
    .options = OPT_JSON,
    .args_max = 1,
    .run = run,
};

const struct cli_verb cli_verb_version = {
    .name = "version",
    .args = "",
    .summary = "Print the version",
    .text = "",
    .options = OPT_JSON,
    .run = run_version,
};
