/*
 * verbs_client.c - the verbs that only ask the service, and the way to the rest
 *
 * Starting the whole program, with the libraries of a service, takes ten times
 * as long as what these verbs do.  So they are a program of their own, which
 * becomes the whole one for any other word: the same process, by the same name.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Those that link no part of the service; the order means nothing here. */
const struct cli_verb *const cli_verbs[] = {
    &cli_verb_changer,
    &cli_verb_library,
    &cli_verb_tape,
    &cli_verb_status,
    &cli_verb_insert,
    &cli_verb_eject,
    &cli_verb_press,
    &cli_verb_yank,
    &cli_verb_prompts,
    &cli_verb_answer,
    &cli_verb_events,
    &cli_verb_errors,
    NULL,
};

/* Seen from this program's folder: as built, and as installed. */
static const char *const places[] = { "service/reinsert", CLI_WHOLE };

int
cli_no_verb(char **argv)
{
    char self[RI_PATH_MAX], path[RI_PATH_MAX + 128];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    int error = len < 0 ? errno : ENOENT;
    char *slash;

    self[len > 0 ? len : 0] = '\0';
    slash = strrchr(self, '/');
    for (size_t i = 0; slash != NULL && i < sizeof places / sizeof *places;
         i++) {
        snprintf(path, sizeof path, "%.*s/%s", (int) (slash - self), self,
                 places[i]);
        if (places[i][0] == '/')
            snprintf(path, sizeof path, "%s", places[i]);
        execv(path, argv);
        if (errno != ENOENT)
            error = errno;
    }
    cli_say("the rest of this program, %s: %s", CLI_WHOLE, strerror(error));
    return CLI_FAILED;
}

/* What is mounted is served by the whole program. */
int
cli_tape_mount(struct cli *cli)
{
    return cli_no_verb(cli->words);
}
