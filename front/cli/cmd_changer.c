/*
 * cmd_changer.c - reinsert changer, which is mtx when called by that name
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/changer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As in mtx: the device, else what the environment says. */
static const char *
device(const char *library)
{
    const char *given = library;

    if (given == NULL)
        given = getenv("CHANGER");
    if (given == NULL)
        given = getenv("TAPE");
    return given;
}

static int
run_words(struct cli *cli, bool mtx, int count, char **words)
{
    /* Ends with the process: what it holds of ten thousand slots is not worth
     * the time to give it back piece by piece. */
    static struct changer changer;
    int rc;

    changer = (struct changer){
        .cli = cli,
        .given = device(cli->library),
        .json = cli->json,
        .mtx = mtx,
        .bar_codes = true,
    };
    if (client_open(cli, &changer.client) != 0)
        return CLI_FAILED;
    rc = changer_words(&changer, count, words);
    client_close(changer.client);
    return rc;
}

static int
run(struct cli *cli)
{
    return run_words(cli, false, cli->arg_count, cli->args);
}

int
cli_run_mtx(int argc, char **argv)
{
    struct cli cli = { .verb = &cli_verb_changer };
    int rc;

    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        fprintf(stderr, "mtx version 1.3.12\n\n");
        cli_print_usage(cli.verb);
        return CLI_FAILED;
    }
    if (argc < 2)
        return CLI_OK;
    rc = run_words(&cli, true, argc - 1, argv + 1);
    if (fflush(stdout) != 0 && rc == 0)
        rc = CLI_FAILED;
    return rc;
}

const struct cli_verb cli_verb_changer = {
    .name = "changer",
    .args = "WORD [NUMBER...] ...",
    .summary = "Move media in a library, in the words of mtx",
    .text =
        "Words are done from left to right, and the first that fails ends the "
        "line.\n"
        "Slots are numbered from 1, mail slots behind them, drives from 0.\n\n"
        "  status                    what is where\n"
        "  load SLOT [DRIVE]         into a drive\n"
        "  unload [SLOT] [DRIVE]     back home, or into that slot\n"
        "  transfer SLOT SLOT        from slot to slot\n"
        "  exchange SLOT SLOT [SLOT] the second goes to the third, or the "
        "first\n"
        "  first | last | previous | next [DRIVE]\n"
        "  position SLOT, inventory, inquiry\n"
        "  drives                    which drive is which\n"
        "  import [MAIL] [SLOT]      from a mail slot into a slot\n"
        "  export SLOT [MAIL]        the other way\n"
        "  open | close [MAIL]       a mail slot; eject is the same as open\n"
        "  lock, unlock              door and mail slots\n"
        "  clean [DRIVE] [SLOT]      with a cleaning cartridge\n"
        "  verify                    compare everything with what is known\n"
        "  events                    what happens, until interrupted\n\n"
        "Before a word: nowait, noverify, cleaning, force, nobarcode, invert, "
        "invert2.\n"
        "Called as mtx this verb is a replacement for it.\n",
    .options = OPT_CONTROL | OPT_JSON | OPT_LIBRARY,
    .args_min = 1,
    .args_max = 1000,
    .run = run,
};
