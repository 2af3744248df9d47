/*
 * main.c - the command line: finds the verb and runs it
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
cli_say(const char *format, ...)
{
    va_list args;
    char text[2048];

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "reinsert: %s\n", text);
}

const struct cli_verb *
cli_verb_find(const char *name)
{
    static const struct {
        const char *spelling, *verb;
    } others[] = { { "--help", "help" },
                   { "-h", "help" },
                   { "--version", "version" },
                   { "-V", "version" } };

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(name, others[i].spelling) == 0)
            name = others[i].verb;
    for (size_t i = 0; cli_verbs[i] != NULL; i++)
        if (strcmp(name, cli_verbs[i]->name) == 0)
            return cli_verbs[i];
    return NULL;
}

int
main(int argc, char **argv)
{
    struct cli cli = { 0 };
    int rc;

    signal(SIGPIPE, SIG_IGN);
    if (argc > 0 && strcmp(basename(argv[0]), "mtx") == 0)
        return cli_run_mtx(argc, argv);
    if (argc > 0 && strcmp(basename(argv[0]), "mt") == 0)
        return cli_run_mt(argc, argv);
    cli.verb = argc > 1 ? cli_verb_find(argv[1]) : NULL;
    if (cli.verb == NULL)
        return cli_no_verb(argv);
    cli.words = argv;
    cli.tty = isatty(STDOUT_FILENO) == 1;
    rc = cli_parse(&cli, argc - 1, argv + 1);
    if (rc != 0)
        return rc;
    if (cli.help) {
        cli_print_help(cli.verb);
        rc = CLI_OK;
    } else {
        rc = cli.verb->run(&cli);
    }
    /* A reader that went away (head, less) is no failure of ours to report. */
    if (fflush(stdout) != 0 && rc == CLI_OK)
        rc = CLI_FAILED;
    return rc;
}
