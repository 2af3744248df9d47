/*
 * sg_wait.c - what tells that a device that is in use may be had
 *
 * The kernel tells of unmounts and of the end of a swap (proc(5)), inotify of
 * who closes one of its nodes, whichever name or mount of devtmpfs that was
 * opened by, and of rights to it that are others.  Nodes are watched after each
 * attempt: our own closing of them is no news.  Everything else has no event
 * here but the clock's.
 *
 * Context: the unit's thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/sg.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

static void
close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void
open_table(int *fd, const char *path)
{
    if (*fd < 0 && path[0] != '\0')
        *fd = open(path, O_RDONLY | O_CLOEXEC);
}

static int
watch_nodes(const char *paths)
{
    int fd = paths[0] != '\0' ? inotify_init1(IN_NONBLOCK | IN_CLOEXEC) : -1;
    char path[64];
    int len;

    for (; fd >= 0 && sscanf(paths, " %63s%n", path, &len) == 1; paths += len)
        (void) inotify_add_watch(fd, path, IN_CLOSE | IN_ATTRIB);
    return fd;
}

void
sg_wait_init(struct sg_wait *wait)
{
    wait->mounts_fd = wait->swaps_fd = wait->others_fd = wait->nodes_fd = -1;
    wait->others[0] = '\0';
}

void
sg_wait_begin(struct sg_wait *wait, const struct port_sg_device *seen)
{
    if (strcmp(wait->others, seen->used_mounts) != 0)
        close_one(&wait->others_fd);
    snprintf(wait->others, sizeof wait->others, "%s", seen->used_mounts);
    open_table(&wait->mounts_fd, "/proc/self/mountinfo");
    open_table(&wait->swaps_fd, "/proc/swaps");
    open_table(&wait->others_fd, wait->others);
    close_one(&wait->nodes_fd);
    wait->nodes_fd = watch_nodes(seen->used_nodes);
}

void
sg_wait_end(struct sg_wait *wait)
{
    close_one(&wait->mounts_fd);
    close_one(&wait->swaps_fd);
    close_one(&wait->others_fd);
    close_one(&wait->nodes_fd);
}

void
sg_wait_fds(const struct sg_wait *wait, struct pollfd *out_fds)
{
    out_fds[0] = (struct pollfd){ .fd = wait->mounts_fd, .events = POLLPRI };
    out_fds[1] = (struct pollfd){ .fd = wait->swaps_fd, .events = POLLPRI };
    out_fds[2] = (struct pollfd){ .fd = wait->others_fd, .events = POLLPRI };
    out_fds[3] = (struct pollfd){ .fd = wait->nodes_fd, .events = POLLIN };
}

/* The end of a process is told by an error, again and again. */
bool
sg_wait_told(struct sg_wait *wait, const struct pollfd *fds)
{
    bool told = false;

    for (int i = 0; i < SG_WAIT_FDS; i++)
        told = told || (fds[i].fd >= 0 && fds[i].revents != 0);
    if (fds[2].fd >= 0 && fds[2].revents != 0)
        close_one(&wait->others_fd);
    if (fds[3].fd >= 0 && fds[3].revents != 0)
        close_one(&wait->nodes_fd);
    return told;
}
