/*
 * lock.c - one process per state directory
 *
 * An advisory lock (flock) on a file that names its holder.  It goes with the
 * process, however that ends.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jukebox/library_internal.h"

/* Every folder of the path that is not there yet. */
static int
make_folders(const char *path)
{
    char folder[RI_PATH_MAX];

    snprintf(folder, sizeof folder, "%s", path);
    for (char *at = folder + 1;; at++) {
        char c = *at;

        if (c != '/' && c != '\0')
            continue;
        *at = '\0';
        if (mkdir(folder, 0700) != 0 && errno != EEXIST)
            return -errno;
        *at = c;
        if (c == '\0')
            return 0;
    }
}

static void
read_holder(int fd, char *out, size_t max)
{
    ssize_t n = pread(fd, out, max - 1, 0);

    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

static void
write_holder(int fd)
{
    char line[128], program[64] = "";
    int file = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
    ssize_t n = file >= 0 ? read(file, program, sizeof program - 1) : 0;

    if (file >= 0)
        close(file);
    program[n > 0 ? n : 0] = '\0';
    program[strcspn(program, "\n")] = '\0';
    n = snprintf(line, sizeof line, "process %d (%s)\n", (int) getpid(),
                 program);
    /* Only for people; the lock is what counts. */
    if (ftruncate(fd, 0) != 0 || pwrite(fd, line, (size_t) n, 0) != n)
        return;
}

int
library_lock(const char *directory, int *out_lock, struct ri_error *out_error)
{
    char path[RI_PATH_MAX + 8], holder[128];
    int rc = make_folders(directory), fd;

    if (rc != 0)
        return library_fail(out_error, rc, "%.300s: %s", directory,
                            strerror(-rc));
    snprintf(path, sizeof path, "%s/lock", directory);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return library_fail(out_error, -errno, "%.300s: %s", path,
                            strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
        read_holder(fd, holder, sizeof holder);
        close(fd);
        return library_fail(out_error, rc, "%.300s: in use by %s", directory,
                            holder[0] != '\0' ? holder : "another process");
    }
    write_holder(fd);
    *out_lock = fd;
    return 0;
}

void
library_unlock(int lock)
{
    if (lock >= 0)
        close(lock);
}
