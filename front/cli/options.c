/*
 * options.c - the table of options, and what is read off it
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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
      "serve NBD at unix:PATH or tcp:HOST:PORT; repeatable" },
    { OPT_CONTROL, 's', "control", "PATH", "unix socket of the control API" },
    { OPT_QUIET, 'q', "quiet", NULL, "print no events, and no progress" },
    { OPT_WATCH, 'w', "watch", NULL, "go on, and show changes as they happen" },
    { OPT_LIBRARY, 'f', "library", "NAME",
      "the library; needed where there are several" },
    { OPT_DISCOVER, 'p', "discover", "PORTAL",
      "also of the iSCSI portal HOST[:PORT]; repeatable" },
    { OPT_GUIDED, 'g', "guided", NULL,
      "ask for the medium to be moved, and watch" },
    { OPT_BLOCK_SIZE, 'b', "block-size", "N",
      "bytes of a record: 64k, 1M; read: of the longest" },
    { OPT_TAPE, 't', "tape", "NAMES",
      "the tape that is meant, and those that follow: A,B,C" },
    { OPT_LABEL, 'l', "label", "NAME",
      "write: as a set of this name, with checksums on tape" },
    { OPT_SPAN, 'S', "span", NULL, "go on with the next tape of the set" },
    { OPT_OVERWRITE, 'O', "overwrite", NULL,
      "write: a set goes over whatever is on its tapes" },
    { OPT_PAD, 'P', "pad", NULL,
      "write: fill the last of fixed blocks with zeros" },
    { OPT_FILE, 'N', "file", "N", "at file N of the tape, from 0" },
    { OPT_FILES, 'n', "files", "N", "read: that many files, not one" },
    { OPT_ALL, 'a', "all", NULL, "read: all files that follow" },
    { OPT_RAW, 'r', "raw", NULL, "read: records of a set as they are" },
    { OPT_TO, 't', "to", "IMAGE|DEVICE", "where it is written" },
    { OPT_FORCE, 'f', "force", NULL,
      "write although the medium is not as it was,\n"
      "                         or what is whole of a damaged file" },
    { OPT_DRY_RUN, 'd', "dry-run", NULL, "only say what would be done" },
    { OPT_FOREGROUND, 'F', "foreground", NULL,
      "mount: stay in the foreground" },
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

/* 64k, 64K, 64KiB, 1M, 2G; 0 or -1. */
static int
parse_size(const char *text, size_t *out_size)
{
    char *end;
    unsigned long long size;
    int shift;

    if (!isdigit((unsigned char) text[0]))
        return -1;
    errno = 0;
    size = strtoull(text, &end, 10);
    shift = *end == '\0'                 ? 0
            : strchr("kK", *end) != NULL ? 10
            : *end == 'M'                ? 20
            : *end == 'G'                ? 30
                                         : -1;
    if (shift > 0)
        end++;
    if (shift > 0 && strcmp(end, "iB") == 0)
        end += 2;
    if (errno != 0 || shift < 0 || *end != '\0' || size == 0 ||
        size > (SIZE_MAX >> shift))
        return -1;
    *out_size = (size_t) size << shift;
    return 0;
}

static int
parse_count(const char *text, int64_t *out_count)
{
    char *end;
    long long count;

    errno = 0;
    count = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || count < 0 || errno != 0)
        return -1;
    *out_count = count;
    return 0;
}

static int
bad_number(const struct cli *cli, const struct option_row *row,
           const char *value)
{
    cli_say("%s: --%s: \"%s\" is no number that can be used", cli->verb->name,
            row->name, value);
    return CLI_USAGE;
}

/* The options of tapes.  0 or CLI_USAGE. */
static int
set_tape_option(struct cli *cli, const struct option_row *row,
                const char *value)
{
    int rc = 0;

    switch ((unsigned) row->option) {
    case OPT_BLOCK_SIZE:
        rc = parse_size(value, &cli->block_size);
        break;
    case OPT_FILE:
        rc = parse_count(value, &cli->file);
        cli->to_file = true;
        break;
    case OPT_FILES:
        rc = parse_count(value, &cli->files);
        break;
    case OPT_TAPE:
        cli->tape = value;
        break;
    case OPT_LABEL:
        cli->label = value;
        break;
    case OPT_PAD:
        cli->pad = true;
        break;
    case OPT_SPAN:
        cli->span = true;
        break;
    case OPT_OVERWRITE:
        cli->overwrite = true;
        break;
    case OPT_ALL:
        cli->all = true;
        break;
    case OPT_RAW:
        cli->raw = true;
        break;
    }
    return rc == 0 ? 0 : bad_number(cli, row, value);
}

/* 0 or CLI_USAGE. */
static int
set_option(struct cli *cli, const struct option_row *row, const char *value)
{
    switch (row->option) {
    case OPT_BLOCK_SIZE:
    case OPT_FILE:
    case OPT_FILES:
    case OPT_TAPE:
    case OPT_LABEL:
    case OPT_PAD:
    case OPT_SPAN:
    case OPT_OVERWRITE:
    case OPT_ALL:
    case OPT_RAW:
        return set_tape_option(cli, row, value);
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
    case OPT_FOREGROUND:
        cli->foreground = true;
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

/* Puts a "--" before the first word that is a negative number. */
static int
guard_numbers(int argc, char **argv, char ***out_argv)
{
    static char **guarded; /* its words are pointed to until the end */
    int i = 1, n = 0;

    while (i < argc && strcmp(argv[i], "--") != 0 &&
           !(argv[i][0] == '-' && isdigit((unsigned char) argv[i][1])))
        i++;
    if (i == argc || strcmp(argv[i], "--") == 0)
        return argc;
    free(guarded);
    guarded = calloc((size_t) argc + 2, sizeof *guarded);
    if (guarded == NULL)
        return argc;
    for (int from = 0; from < argc; from++) {
        if (from == i)
            guarded[n++] = (char *) "--";
        guarded[n++] = argv[from];
    }
    *out_argv = guarded;
    return n;
}

int
cli_parse(struct cli *cli, int argc, char **argv)
{
    struct option longs[ROW_COUNT + 1];
    char shorts[2 * ROW_COUNT + 2];
    int c, rc = 0;

    if (cli->verb->numbers)
        argc = guard_numbers(argc, argv, &argv);

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
