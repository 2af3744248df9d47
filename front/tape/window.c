/*
 * window.c - memory that the two ends of a tape session share
 *
 * The one who makes it seals its size, so that the other end can never fall
 * over an end that has moved.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapelink/window.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tapelink/wire.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int
map(int fd, size_t size, void **out_base)
{
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (base == MAP_FAILED)
        return -errno;
    *out_base = base;
    return 0;
}

int
tape_link_window_new(size_t size, struct tape_link_window **out_window)
{
    struct tape_link_window *window;
    int rc = 0;

    if (size == 0 || size > TAPE_WINDOW_MAX)
        return -EINVAL;
    window = calloc(1, sizeof *window);
    if (window == NULL)
        return -ENOMEM;
    window->size = size;
    window->fd = memfd_create("reinsert-tape", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (window->fd < 0 || ftruncate(window->fd, (off_t) size) != 0 ||
        fcntl(window->fd, F_ADD_SEALS, SEALS) != 0)
        rc = -errno;
    if (rc == 0)
        rc = map(window->fd, size, &window->base);
    if (rc != 0) {
        tape_link_window_free(window);
        return rc;
    }
    *out_window = window;
    return 0;
}

void
tape_link_window_free(struct tape_link_window *window)
{
    if (window == NULL)
        return;
    if (window->base != NULL)
        munmap(window->base, window->size);
    if (window->fd >= 0)
        close(window->fd);
    free(window);
}

void *
tape_link_window_base(const struct tape_link_window *window)
{
    return window->base;
}

/* Pages of other file systems than tmpfs may be missing when they are used. */
const char *
tape_window_take(int fd, struct tape_link_window *out_window)
{
    int seals = fcntl(fd, F_GET_SEALS);
    struct statfs system;
    struct stat st;

    if (seals < 0 || fstat(fd, &st) != 0 || fstatfs(fd, &system) != 0 ||
        !S_ISREG(st.st_mode) || system.f_type != TMPFS_MAGIC)
        return "the window is no memfd";
    if ((seals & SEALS) != SEALS)
        return "the window's size is not sealed";
    if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR)
        return "the window cannot be written";
    if (st.st_size <= 0 || (uint64_t) st.st_size > TAPE_WINDOW_MAX)
        return "the window is empty, or larger than 64 MiB";
    out_window->fd = -1;
    out_window->size = (size_t) st.st_size;
    if (map(fd, out_window->size, &out_window->base) != 0)
        return "the window cannot be mapped";
    return NULL;
}

void
tape_window_drop(struct tape_link_window *window)
{
    if (window->base != NULL)
        munmap(window->base, window->size);
    window->base = NULL;
}
