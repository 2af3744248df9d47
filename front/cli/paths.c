/*
 * paths.c - where the sockets are when nobody says where
 *
 * $XDG_RUNTIME_DIR/reinsert, else /run/reinsert for root, else
 * /tmp/reinsert-UID.  The service uses the first of these that applies; a
 * client tries all, because root has an XDG_RUNTIME_DIR only sometimes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CANDIDATES 3

static size_t
candidates(char out[CANDIDATES][RI_PATH_MAX])
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    size_t n = 0;

    if (runtime != NULL && runtime[0] == '/')
        snprintf(out[n++], RI_PATH_MAX, "%s/reinsert", runtime);
    if (geteuid() == 0)
        snprintf(out[n++], RI_PATH_MAX, "/run/reinsert");
    snprintf(out[n++], RI_PATH_MAX, "/tmp/reinsert-%u", (unsigned) geteuid());
    return n;
}

int
cli_default_folder(char *out_path, size_t max, struct ri_error *out_error)
{
    char places[CANDIDATES][RI_PATH_MAX];
    struct stat st;
    const char *why = NULL;

    candidates(places);
    if (mkdir(places[0], 0700) != 0 && errno != EEXIST) {
        int error = errno;

        snprintf(out_error->text, sizeof out_error->text, "folder %.400s: %s",
                 places[0], strerror(error));
        return -error;
    }
    /* /tmp is everybody's: nobody else may have made it for us. */
    if (lstat(places[0], &st) != 0)
        why = strerror(errno);
    else if (!S_ISDIR(st.st_mode))
        why = "is no folder";
    else if (st.st_uid != geteuid())
        why = "belongs to somebody else";
    else if ((st.st_mode & 022) != 0)
        why = "others may write to it";
    if (why != NULL) {
        snprintf(out_error->text, sizeof out_error->text, "folder %.400s: %s",
                 places[0], why);
        return -EPERM;
    }
    snprintf(out_path, max, "%s", places[0]);
    return 0;
}

static bool
socket_at(const char *folder, char *out_path, size_t max)
{
    struct stat st;

    snprintf(out_path, max, "%.1000s/control.sock", folder);
    return stat(out_path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static void
default_control(char *out_path, size_t max)
{
    char places[CANDIDATES][RI_PATH_MAX];
    size_t n = candidates(places);

    for (size_t i = 0; i < n; i++)
        if (socket_at(places[i], out_path, max))
            return;
    socket_at(places[0], out_path, max);
}

void
cli_control_path(const struct cli *cli, char *out_path, size_t max)
{
    const char *given = cli->control;

    if (given == NULL || given[0] == '\0')
        given = getenv("REINSERT_CONTROL");
    if (given == NULL || given[0] == '\0') {
        default_control(out_path, max);
        return;
    }
    if (strncmp(given, "unix:", 5) == 0)
        given += 5;
    snprintf(out_path, max, "%s", given);
}

bool
cli_control_is_default(const char *path)
{
    const struct cli nothing = { 0 };
    char found[RI_PATH_MAX];

    cli_control_path(&nothing, found, sizeof found);
    return strcmp(found, path) == 0;
}

char *
cli_absolute(const char *image)
{
    char *path = NULL, *here;

    if (image[0] == '/')
        return strdup(image);
    here = getcwd(NULL, 0);
    if (here == NULL || asprintf(&path, "%s/%s", here, image) < 0)
        path = NULL;
    free(here);
    return path;
}
