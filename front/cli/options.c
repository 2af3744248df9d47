/*
 * options.c - the table of options, and what is read off it
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const struct option_row {
    enum cli_option option;
    char letter;
    const char *name;
    const char *arg; /* NULL: takes none */
    const char *text;
} rows[] = {
    { OPT_CONFIG, 'c', "config", "FILE",
      "read drives and listeners from FILE" },
    { OPT_NBD, 'n', "nbd", "ADDR",
      "serve NBD at unix:PATH or tcp:HOST:PORT; may be repeated" },
    { OPT_CONTROL, 's', "control", "PATH", "unix socket of the control API" },
    { OPT_QUIET, 'q', "quiet", NULL, "do not print events" },
    { OPT_WATCH, 'w', "watch", NULL, "go on, and show changes as they happen" },
    { OPT_LIBRARY, 'f', "library", "NAME",
      "the library; needed where there are several" },
    { OPT_DISCOVER, 'p', "discover", "PORTAL",
      "also of the iSCSI portal HOST[:PORT]; may be repeated" },
    { OPT_GUIDED, 'g', "guided", NULL,
      "ask for the medium to be moved, and watch" },
    { OPT_TO, 't', "to", "IMAGE|DEVICE", "where it is written" },
    { OPT_FORCE, 'f', "force", NULL,
      "write although the medium is not as it was,\n"
      "                         or what is whole of a damaged file" },
    { OPT_DRY_RUN, 'd', "dry-run", NULL, "only say what would be done" },
    { OPT_JSON, 'j', "json", NULL, "print JSON" },
    { OPT_HELP, 'h', "help", NULL, "print this" },
};

#define ROW_COUNT (sizeof rows / sizeof rows[0])

static bool
takes(const struct cli_verb *verb, const struct option_row *row)
{
    return ((verb->options | OPT_HELP) & row->option) != 0;
}

void
cli_print_usage(const struct cli_verb *verb)
{
    if (verb == NULL) {
        fprintf(stderr, "usage: reinsert VERB [OPTION...] [ARGUMENT...]\n"
                        "try: reinsert help\n");
        return;
    }
    fprintf(stderr, "usage: reinsert %s%s%s\ntry: reinsert %s --help\n",
            verb->name, verb->args[0] != '\0' ? " " : "", verb->args,
            verb->name);
}

void
cli_print_help(const struct cli_verb *verb)
{
    printf("usage: reinsert %s%s%s\n\n%s.\n", verb->name,
           verb->args[0] != '\0' ? " " : "", verb->args, verb->summary);
    if (verb->text[0] != '\0')
        printf("\n%s", verb->text);
    printf("\nOptions:\n");
    for (size_t i = 0; i < ROW_COUNT; i++) {
        char left[64];

        if (!takes(verb, &rows[i]))
            continue;
        snprintf(left, sizeof left, "-%c, --%s%s%s", rows[i].letter,
                 rows[i].name, rows[i].arg != NULL ? " " : "",
                 rows[i].arg != NULL ? rows[i].arg : "");
        printf("  %-22s %s\n", left, rows[i].text);
    }
}

/* 0 or CLI_USAGE. */
static int
set_option(struct cli *cli, const struct option_row *row, const char *value)
{
    switch (row->option) {
    case OPT_HELP:
        cli->help = true;
        break;
    case OPT_JSON:
        cli->json = true;
        break;
    case OPT_QUIET:
        cli->quiet = true;
        break;
    case OPT_WATCH:
        cli->watch = true;
        break;
    case OPT_CONTROL:
        cli->control = value;
        break;
    case OPT_CONFIG:
        cli->config = value;
        break;
    case OPT_TO:
        cli->to = value;
        break;
    case OPT_FORCE:
        cli->force = true;
        break;
    case OPT_DRY_RUN:
        cli->dry_run = true;
        break;
    case OPT_LIBRARY:
        cli->library = value;
        break;
    case OPT_GUIDED:
        cli->guided = true;
        break;
    case OPT_DISCOVER:
        if (cli->discover_count == RI_LISTEN_MAX) {
            cli_say("--discover: at most %d portals", RI_LISTEN_MAX);
            return CLI_USAGE;
        }
        cli->discover[cli->discover_count++] = value;
        break;
    case OPT_NBD:
        if (cli->nbd_count == RI_LISTEN_MAX) {
            cli_say("--nbd: at most %d addresses", RI_LISTEN_MAX);
            return CLI_USAGE;
        }
        cli->nbd[cli->nbd_count++] = value;
        break;
    }
    return 0;
}

static void
make_getopt(const struct cli_verb *verb, struct option *out_long,
            char *out_short)
{
    size_t n = 0, s = 0;

    out_short[s++] = ':';
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (!takes(verb, &rows[i]))
            continue;
        out_long[n++] = (struct option){ rows[i].name,
                                         rows[i].arg != NULL ? required_argument
                                                             : no_argument,
                                         NULL, rows[i].letter };
        out_short[s++] = rows[i].letter;
        if (rows[i].arg != NULL)
            out_short[s++] = ':';
    }
    out_long[n] = (struct option){ 0 };
    out_short[s] = '\0';
}

static int
complain(const struct cli *cli, int c, const char *word)
{
    cli_say("%s: %s %s", cli->verb->name, word,
            c == ':' ? "needs a value" : "is no option of this verb");
    cli_print_usage(cli->verb);
    return CLI_USAGE;
}

int
cli_parse(struct cli *cli, int argc, char **argv)
{
    struct option longs[ROW_COUNT + 1];
    char shorts[2 * ROW_COUNT + 2];
    int c, rc = 0;

    make_getopt(cli->verb, longs, shorts);
    opterr = 0;
    while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (c == ':' || c == '?')
            return complain(cli, c, argv[optind - 1]);
        for (size_t i = 0; i < ROW_COUNT; i++)
            if (rows[i].letter == c && takes(cli->verb, &rows[i]))
                rc = set_option(cli, &rows[i], optarg);
        if (rc != 0)
            return rc;
    }
    cli->args = argv + optind;
    cli->arg_count = argc - optind;
    if (cli->help)
        return 0;
    if (cli->arg_count < cli->verb->args_min ||
        cli->arg_count > cli->verb->args_max) {
        cli_say("%s: too %s arguments", cli->verb->name,
                cli->arg_count < cli->verb->args_min ? "few" : "many");
        cli_print_usage(cli->verb);
        return CLI_USAGE;
    }
    return 0;
}
