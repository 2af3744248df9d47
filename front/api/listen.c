/*
 * listen.c - the unix socket of the control API
 *
 * Decides whether a socket file that is already there is stale or live, and
 * makes ours with mode 0600 from its first instant.  The folder is locked
 * meanwhile, so that two services that start at once see each other.
 *
 * SPDX-License-Identifier: MIT
 */
#include "api/api_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG 128

static int
fail(struct ri_error *out_error, const char *path, const char *why, int error)
{
    snprintf(out_error->text, sizeof out_error->text, "control socket %s: %s",
             path, why);
    return -error;
}

/* Best effort: without the lock only two starts in the same instant differ. */
static int
lock_folder(const char *path)
{
    char copy[RI_PATH_MAX];
    struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
    int fd;

    snprintf(copy, sizeof copy, "%s", path);
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    for (int i = 0; i < 50 && flock(fd, LOCK_EX | LOCK_NB) != 0; i++)
        nanosleep(&pause, NULL);
    return fd;
}

/* 0: nothing is in the way (any more). */
static int
clear_stale(const char *path, const struct sockaddr_un *address,
            struct ri_error *out_error)
{
    struct stat st;
    int fd, error;

    if (lstat(path, &st) != 0)
        return errno == ENOENT ? 0
                               : fail(out_error, path, strerror(errno), errno);
    if (!S_ISSOCK(st.st_mode))
        return fail(out_error, path, "something that is no socket is there",
                    EEXIST);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail(out_error, path, strerror(errno), errno);
    error =
        connect(fd, (const void *) address, sizeof *address) == 0 ? 0 : errno;
    close(fd);
    if (error == ENOENT)
        return 0;
    if (error != ECONNREFUSED)
        return fail(out_error, path, "a service already listens there",
                    EADDRINUSE);
    if (unlink(path) != 0 && errno != ENOENT)
        return fail(out_error, path, strerror(errno), errno);
    return 0;
}

static int
bind_and_listen(const char *path, const struct sockaddr_un *address,
                int *out_fd, struct ri_error *out_error)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error;

    /* The mode of the socket before bind is the mode of the file after it. */
    if (fd >= 0 && fchmod(fd, 0600) == 0 &&
        bind(fd, (const void *) address, sizeof *address) == 0) {
        if (listen(fd, BACKLOG) == 0) {
            *out_fd = fd;
            return 0;
        }
        unlink(path);
    }
    error = errno;
    if (fd >= 0)
        close(fd);
    return fail(out_error, path, strerror(error), error);
}

int
api_listen_unix(const char *path, int *out_fd, struct ri_error *out_error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int folder, rc;

    if (path[0] == '\0')
        return fail(out_error, "\"\"", "no path is given", EINVAL);
    if (strlen(path) >= sizeof address.sun_path)
        return fail(out_error, path, "the path is longer than 107 bytes",
                    ENAMETOOLONG);
    memcpy(address.sun_path, path, strlen(path) + 1);
    folder = lock_folder(path);
    rc = clear_stale(path, &address, out_error);
    if (rc == 0)
        rc = bind_and_listen(path, &address, out_fd, out_error);
    if (folder >= 0)
        close(folder);
    return rc;
}
