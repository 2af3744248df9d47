/*
 * logdisk.c - the disk that the log of unflushed data is on, and its failures
 *
 * Linked in front of the calls that write such a log (meson.build).  What was
 * not made durable is remembered by sectors: a power cut takes any of them
 * back.  A sync that failed says nothing of what it was for, and the next one
 * does not try it again (the kernel's page cache forgets it, too).
 *
 * Names of files are durable at once; so is what a file is cut to.
 *
 * SPDX-License-Identifier: MIT
 */
#include "world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "baton.h"

#define SECTOR  512u
#define FILES   1024   /* descriptors */
#define LONGEST 20000u /* ms of a disk that fails */

enum mode { WELL, FULL, NO_WRITES, NO_SYNCS, NOTHING_GOES };

/* A sector that a power cut may take back. */
struct sector {
    ino_t file;
    uint64_t number;
    bool doomed; /* a sync failed, and no write has come since */
    uint8_t before[SECTOR];
};

static struct {
    enum mode mode;
    uint64_t until_ms;
    bool is_log[FILES];
    struct sector *list;
    size_t count, room;
} disk;

int __real_open64(const char *, int, ...);
int __real_close(int);
int __real_unlink(const char *);
int __real_rename(const char *, const char *);
int __real_ftruncate64(int, off_t);
int __real_fsync(int);
int __real_fdatasync(int);
ssize_t __real_pwritev64(int, const struct iovec *, int, off_t);
ssize_t __real_getrandom(void *, size_t, unsigned);

static bool
is_log_path(const char *path)
{
    return strncmp(path, LOG_FOLDER "/", sizeof LOG_FOLDER) == 0 &&
           strstr(path, ".unflushed") != NULL;
}

static bool
is_log(int fd)
{
    return fd >= 0 && fd < FILES && disk.is_log[fd];
}

/* --- what can go wrong ------------------------------------------------------- */

static void
perhaps_fail(const char *call)
{
    static const char *const words[] = { "", "is full", "takes no writes",
                                         "makes nothing durable", "fails" };

    baton_point();
    if (disk.mode != WELL && baton_now_ms() >= disk.until_ms)
        disk.mode = WELL;
    if (!inject_now())
        return;
    if (chance(12) == 0)
        kill_service("in the log");
    disk.mode = FULL + (enum mode) chance(NOTHING_GOES);
    disk.until_ms = baton_now_ms() + 1 + chance(LONGEST);
    fault_note("%s: the disk of logs %s", call, words[disk.mode]);
}

static int
refuse(int error)
{
    errno = error;
    return -1;
}

void
logdisk_well(void)
{
    disk.mode = WELL;
}

/* --- what is not durable ------------------------------------------------------- */

static struct sector *
find_sector(ino_t file, uint64_t number)
{
    for (size_t i = 0; i < disk.count; i++)
        if (disk.list[i].file == file && disk.list[i].number == number)
            return &disk.list[i];
    return NULL;
}

static void
remember(int fd, ino_t file, uint64_t number)
{
    struct sector *sector = find_sector(file, number);

    if (sector != NULL) {
        sector->doomed = false;
        return;
    }
    if (disk.count == disk.room) {
        disk.room = disk.room * 2 + 256;
        disk.list = realloc(disk.list, disk.room * sizeof *disk.list);
        if (disk.list == NULL)
            abort();
    }
    sector = &disk.list[disk.count++];
    *sector = (struct sector){ .file = file, .number = number };
    if (pread(fd, sector->before, SECTOR, (off_t) (number * SECTOR)) < 0)
        abort();
}

static void
forget(ino_t file, bool doomed_too)
{
    size_t kept = 0;

    for (size_t i = 0; i < disk.count; i++)
        if (disk.list[i].file != file || (disk.list[i].doomed && !doomed_too))
            disk.list[kept++] = disk.list[i];
    disk.count = kept;
}

static void
doom(ino_t file)
{
    for (size_t i = 0; i < disk.count; i++)
        if (disk.list[i].file == file)
            disk.list[i].doomed = true;
}

static ino_t
inode_of(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static void
take_back(const char *name)
{
    char path[300];
    int fd;

    snprintf(path, sizeof path, LOG_FOLDER "/%s", name);
    fd = __real_open64(path, O_RDWR | O_CLOEXEC);
    for (size_t i = 0; fd >= 0 && i < disk.count; i++)
        if (disk.list[i].file == inode_of(fd) && chance(2) == 0 &&
            pwrite(fd, disk.list[i].before, SECTOR,
                   (off_t) (disk.list[i].number * SECTOR)) < 0)
            abort();
    if (fd >= 0)
        __real_close(fd);
}

void
logdisk_power_cut(void)
{
    struct dirent **names = NULL;
    int n = scandir(LOG_FOLDER, &names, NULL, alphasort);

    event("power cut: %zu sectors of logs are not durable", disk.count);
    for (int i = 0; i < n; i++) {
        if (strstr(names[i]->d_name, ".unflushed") != NULL)
            take_back(names[i]->d_name);
        free(names[i]);
    }
    free(names);
}

void
logdisk_new(const char *folder)
{
    struct dirent **names = NULL;
    int n = scandir(folder, &names, NULL, alphasort);
    char path[300];

    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            __real_unlink(path);
        free(names[i]);
    }
    free(names);
}

/* --- the calls ------------------------------------------------------------------ */

int __wrap_open64(const char *, int, ...);
int
__wrap_open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list args;
    int fd;

    va_start(args, flags);
    if (flags & O_CREAT)
        mode = va_arg(args, mode_t);
    va_end(args);
    if (is_log_path(path) && (flags & O_ACCMODE) != O_RDONLY) {
        perhaps_fail("open");
        if (disk.mode == NOTHING_GOES)
            return refuse(EIO);
        if (disk.mode == FULL && (flags & O_CREAT))
            return refuse(ENOSPC);
    }
    fd = __real_open64(path, flags, mode);
    if (fd >= 0 && fd < FILES)
        disk.is_log[fd] = is_log_path(path);
    return fd;
}

int __wrap_close(int);
int
__wrap_close(int fd)
{
    if (is_log(fd))
        disk.is_log[fd] = false;
    return __real_close(fd);
}

int __wrap_unlink(const char *);
int
__wrap_unlink(const char *path)
{
    if (is_log_path(path)) {
        perhaps_fail("unlink");
        if (disk.mode == NOTHING_GOES)
            return refuse(EROFS);
    }
    return __real_unlink(path);
}

int __wrap_rename(const char *, const char *);
int
__wrap_rename(const char *from, const char *to)
{
    if (is_log_path(to)) {
        perhaps_fail("rename");
        if (disk.mode == NOTHING_GOES)
            return refuse(EROFS);
    }
    return __real_rename(from, to);
}

int __wrap_ftruncate64(int, off_t);
int
__wrap_ftruncate64(int fd, off_t size)
{
    if (!is_log(fd))
        return __real_ftruncate64(fd, size);
    perhaps_fail("ftruncate");
    if (disk.mode == NOTHING_GOES || disk.mode == NO_WRITES)
        return refuse(EIO);
    if (size == 0)
        forget(inode_of(fd), true);
    return __real_ftruncate64(fd, size);
}

static int
make_durable(int fd, const char *call)
{
    if (!is_log(fd))
        return 0;
    perhaps_fail(call);
    if (disk.mode == NO_SYNCS || disk.mode == NOTHING_GOES) {
        doom(inode_of(fd));
        return refuse(EIO);
    }
    forget(inode_of(fd), false);
    return 0;
}

int __wrap_fsync(int);
int
__wrap_fsync(int fd)
{
    return is_log(fd) ? make_durable(fd, "fsync") : __real_fsync(fd);
}

int __wrap_fdatasync(int);
int
__wrap_fdatasync(int fd)
{
    return is_log(fd) ? make_durable(fd, "fdatasync") : __real_fdatasync(fd);
}

/* How much of it is written: a full disk takes what overwrites. */
static size_t
room_for(int fd, size_t len, off_t at)
{
    struct stat st;

    if (disk.mode != FULL || fstat(fd, &st) != 0)
        return len;
    if (at >= st.st_size)
        return 0;
    return (uint64_t) (st.st_size - at) < len ? (size_t) (st.st_size - at)
                                              : len;
}

ssize_t __wrap_pwritev64(int, const struct iovec *, int, off_t);
ssize_t
__wrap_pwritev64(int fd, const struct iovec *parts, int count, off_t at)
{
    size_t len = 0, all;
    ssize_t done;
    uint8_t *data;

    if (!is_log(fd))
        return __real_pwritev64(fd, parts, count, at);
    perhaps_fail("pwritev");
    if (disk.mode == NO_WRITES || disk.mode == NOTHING_GOES)
        return refuse(EIO);
    for (int i = 0; i < count; i++)
        len += parts[i].iov_len;
    all = len;
    len = room_for(fd, len, at);
    if (len == 0 && all != 0)
        return refuse(ENOSPC);
    if (len == all && inject_now() && chance(4) == 0) {
        len = 1 + chance(all);
        fault_note("pwritev: %zu of %zu bytes go into the log", len, all);
    }
    data = malloc(all + 1);
    all = 0;
    for (int i = 0; i < count; i++) {
        memcpy(data + all, parts[i].iov_base, parts[i].iov_len);
        all += parts[i].iov_len;
    }
    for (uint64_t s = (uint64_t) at / SECTOR;
         s <= ((uint64_t) at + len - 1) / SECTOR; s++)
        remember(fd, inode_of(fd), s);
    done = pwrite(fd, data, len, at);
    free(data);
    return done;
}

/* Numbers of logs are the seed's. */
ssize_t __wrap_getrandom(void *, size_t, unsigned);
ssize_t
__wrap_getrandom(void *out, size_t len, unsigned flags)
{
    uint8_t *at = out;

    (void) flags;
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t) random_next(&world->random);
    return (ssize_t) len;
}
