/*
 * folder.c - where recovery files are when nobody says where
 *
 * SPDX-License-Identifier: MIT
 */
#include "recovery/format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void
rec_default_folder(char *out_path, size_t max)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (geteuid() == 0)
        snprintf(out_path, max, "/var/lib/reinsert/recovery");
    else if (state != NULL && state[0] == '/')
        snprintf(out_path, max, "%s/reinsert/recovery", state);
    else
        snprintf(out_path, max, "%s/.local/state/reinsert/recovery",
                 home != NULL && home[0] == '/' ? home : "");
}

int
rec_make_folder(const char *path, struct rec_error *error)
{
    char part[4096];
    struct stat st;

    if ((size_t) snprintf(part, sizeof part, "%s", path) >= sizeof part)
        return rec_fail(error, -ENAMETOOLONG, "%s: name too long", path);
    for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash != NULL)
            *slash = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return rec_fail(error, -errno, "%s: %s", part, strerror(errno));
        if (slash == NULL)
            break;
        *slash = '/';
    }
    if (stat(path, &st) != 0)
        return rec_fail(error, -errno, "%s: %s", path, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return rec_fail(error, -ENOTDIR, "%s: is no folder", path);
    return 0;
}
