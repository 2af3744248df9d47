/*
 * cmd_states.c - reinsert states: how the state of a volume may change
 *
 * Needs no service: it asks the library that the service itself uses.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

/* The order of the ON_PIPE columns is documented, and stays. */
static const struct table_column columns[] = {
    { "FROM", "from", AS_TEXT, ON_BOTH },
    { "TO", "to", AS_TEXT, ON_BOTH },
    { "BY", "who", AS_TEXT, ON_BOTH },
    { "WHEN", "when", AS_TEXT, ON_BOTH | SHRINKS },
};

static int
run(struct cli *cli)
{
    json_t *all = json_pack("{s:[]}", "states");
    json_t *rows = json_object_get(all, "states");
    struct ri_arrow arrow;

    for (size_t i = 0; ri_volume_arrow(i, &arrow); i++)
        json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s}", "from",
                                              arrow.from, "to", arrow.to, "who",
                                              arrow.who, "when", arrow.when));
    if (cli->json)
        print_json(all);
    else
        table_print(cli, "state", columns, sizeof columns / sizeof columns[0],
                    rows);
    json_decref(all);
    return CLI_OK;
}

const struct cli_verb cli_verb_states = {
    .name = "states",
    .args = "",
    .summary = "Print how the state of a volume may change, and by whom",
    .text = "A change that has no line here is refused, and cannot happen.  "
            "Needs no service.\n",
    .options = OPT_JSON,
    .run = run,
};
