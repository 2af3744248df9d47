/*
 * medium.c - an image file or block device as the medium in a drive
 *
 * Opens and checks it, keeps two drives of this process and other processes
 * from using it at once, and moves bytes.  No lock is held over pread, pwrite
 * or fallocate; `sync_lock` is held over fdatasync, so that callers who come
 * meanwhile share its result.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "vscsi/vscsi_internal.h"

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct medium *registry; /* every medium in a drive */

struct complaint {
    char *text;
    size_t max;
};

__attribute__((format(printf, 3, 4))) static int
refuse(const struct complaint *to, int error, const char *format, ...)
{
    va_list args;

    if (to->text != NULL && to->max != 0) {
        va_start(args, format);
        (void) vsnprintf(to->text, to->max, format, args);
        va_end(args);
    }
    return error;
}

static const char *
kind_of(mode_t mode)
{
    static const struct {
        mode_t mode;
        const char *kind;
    } kinds[] = {
        { S_IFDIR, "a directory" },
        { S_IFIFO, "a named pipe" },
        { S_IFCHR, "a character device" },
        { S_IFSOCK, "a socket" },
    };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if ((mode & S_IFMT) == kinds[i].mode)
            return kinds[i].kind;
    return "not a file";
}

/* Looks before it opens: opening some devices has effects of its own. */
static int
open_image(const struct medium_want *want, struct stat *out_stat,
           bool *out_read_only, const struct complaint *to)
{
    static const int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    const char *image = want->image;
    bool block;
    int fd = -1;

    if (stat(image, out_stat) != 0)
        return refuse(to, -errno, "image %s: %s", image, strerror(errno));
    if (!S_ISREG(out_stat->st_mode) && !S_ISBLK(out_stat->st_mode))
        return refuse(to, -EINVAL, "image %s is %s, not a file or block device",
                      image, kind_of(out_stat->st_mode));
    /* O_EXCL: the kernel refuses a block device that it has mounted. */
    block = S_ISBLK(out_stat->st_mode);
    *out_read_only = want->read_only;
    if (!want->read_only) {
        fd = open(image, flags | O_RDWR | (block ? O_EXCL : 0));
        *out_read_only = fd < 0 && (errno == EACCES || errno == EROFS ||
                                    errno == EPERM || errno == ETXTBSY);
    }
    if (fd < 0 && *out_read_only)
        fd = open(image, flags | O_RDONLY);
    if (fd < 0 && errno == EBUSY)
        return refuse(to, -EBUSY, "image %s is in use by the system", image);
    if (fd < 0)
        return refuse(to, -errno, "image %s: %s", image, strerror(errno));
    if (fstat(fd, out_stat) != 0 ||
        (!S_ISREG(out_stat->st_mode) && !S_ISBLK(out_stat->st_mode))) {
        (void) close(fd);
        return refuse(to, -EINVAL, "image %s changed while it was opened",
                      image);
    }
    return fd;
}

static int
measure_tape(struct medium *medium, const struct stat *st,
             const struct medium_want *want, const struct complaint *to)
{
    const char *wrong;

    if (!S_ISREG(st->st_mode))
        return refuse(to, -EINVAL, "image %s is %s: a tape is a file",
                      medium->path, kind_of(st->st_mode));
    medium->size_bytes = medium->blocks = (uint64_t) st->st_size;
    wrong = tape_open(medium, medium->size_bytes, want->cleaning_uses);
    return wrong == NULL
               ? 0
               : refuse(to, -EINVAL, "image %s is no SIMH tape image: %s",
                        medium->path, wrong);
}

static int
measure(struct medium *medium, const struct stat *st,
        const struct medium_want *want, const struct complaint *to)
{
    uint64_t size = (uint64_t) st->st_size;
    int read_only = 0;

    if (S_ISBLK(st->st_mode)) {
        if (ioctl(medium->fd, BLKGETSIZE64, &size) != 0)
            return refuse(to, -errno, "image %s: cannot learn its size: %s",
                          medium->path, strerror(errno));
        if (ioctl(medium->fd, BLKROGET, &read_only) == 0 && read_only)
            medium->write_protected = true;
    }
    if (want->tape)
        return measure_tape(medium, st, want, to);
    if (size == 0)
        return refuse(to, -EINVAL, "image %s is empty (0 bytes)", medium->path);
    if (size % medium->block_bytes != 0)
        return refuse(to, -EINVAL,
                      "image %s has %llu bytes, not a multiple of the "
                      "%u-byte blocks of drive %s",
                      medium->path, (unsigned long long) size,
                      medium->block_bytes, medium->drive);
    medium->size_bytes = size;
    medium->blocks = size / medium->block_bytes;
    /* Past the end of a file there is nothing to punch: a pure question. */
    medium->thin =
        !medium->write_protected &&
        (S_ISBLK(st->st_mode) ||
         fallocate(medium->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                   (off_t) size, medium->block_bytes) == 0);
    return 0;
}

static int
enter_registry(struct medium *medium, const struct complaint *to)
{
    const struct medium *other;
    int error = 0;

    pthread_mutex_lock(&registry_lock);
    for (other = registry; other != NULL; other = other->next)
        if (other->dev == medium->dev && other->ino == medium->ino)
            break;
    if (other != NULL) {
        error = refuse(to, -EBUSY, "image %s is already in drive %s",
                       medium->path, other->drive);
    } else {
        medium->next = registry;
        registry = medium;
    }
    pthread_mutex_unlock(&registry_lock);
    return error;
}

static void
leave_registry(struct medium *medium)
{
    struct medium **at = &registry;

    pthread_mutex_lock(&registry_lock);
    while (*at != medium)
        at = &(*at)->next;
    *at = medium->next;
    pthread_mutex_unlock(&registry_lock);
}

/* Device managers lock block devices for a moment when they appear, so those
 * get a few tries.  A file system without locks is no reason to refuse. */
static int
lock_image(struct medium *medium, bool block, const struct complaint *to)
{
    static const struct timespec pause = { 0, 10 * 1000 * 1000 };
    int how = (medium->write_protected ? LOCK_SH : LOCK_EX) | LOCK_NB;
    int tries = block ? 20 : 1;

    while (flock(medium->fd, how) != 0) {
        if (errno != EWOULDBLOCK)
            return 0;
        if (--tries == 0)
            return refuse(to, -EBUSY, "image %s is in use by another process",
                          medium->path);
        (void) nanosleep(&pause, NULL);
    }
    return 0;
}

int
medium_open(const struct medium_want *want, struct medium **out_medium,
            char *out_text, size_t text_max)
{
    const struct complaint to = { out_text, text_max };
    size_t path_len = strlen(want->image) + 1;
    struct medium *medium;
    struct stat st;
    bool read_only = false;
    int fd, error;

    if (path_len == 1)
        return refuse(&to, -ENOENT, "drive %s: no image was named",
                      want->drive);
    fd = open_image(want, &st, &read_only, &to);
    if (fd < 0)
        return fd;
    medium = calloc(1, sizeof *medium + path_len);
    if (medium == NULL) {
        (void) close(fd);
        return refuse(&to, -ENOMEM, "image %s: out of memory", want->image);
    }
    memcpy(medium->path, want->image, path_len);
    medium->fd = fd;
    medium->write_protected = read_only;
    medium->block_bytes = want->block_bytes;
    medium->drive = want->drive;
    medium->dev = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
    medium->ino = S_ISBLK(st.st_mode) ? 0 : st.st_ino;
    pthread_mutex_init(&medium->sync_lock, NULL);
    error = measure(medium, &st, want, &to);
    if (error == 0)
        error = enter_registry(medium, &to);
    if (error == 0) {
        error = lock_image(medium, S_ISBLK(st.st_mode), &to);
        if (error != 0)
            leave_registry(medium);
    }
    if (error != 0) {
        tape_close(medium);
        (void) close(fd);
        pthread_mutex_destroy(&medium->sync_lock);
        free(medium);
        return error;
    }
    *out_medium = medium;
    return 0;
}

/* Closed before it leaves the registry: whoever opens it next finds no lock. */
void
medium_close(struct medium *medium)
{
    if (medium == NULL)
        return;
    tape_close(medium);
    (void) close(medium->fd);
    leave_registry(medium);
    pthread_mutex_destroy(&medium->sync_lock);
    free(medium);
}

/* An image that shrank reads as a medium error, not as zeros. */
uint32_t
medium_read(struct medium *medium, uint64_t offset, void *data, size_t len,
            size_t *out_done)
{
    size_t done = 0;

    while (done < len) {
        ssize_t got = pread(medium->fd, (char *) data + done, len - done,
                            (off_t) (offset + done));

        if (got > 0) {
            done += (size_t) got;
        } else if (got == 0 || errno != EINTR) {
            *out_done = done;
            return SENSE_READ_ERROR;
        }
    }
    *out_done = done;
    return 0;
}

static uint32_t
write_sense(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG
               ? SENSE_NO_SPACE
               : SENSE_WRITE_ERROR;
}

static ssize_t
write_some(const struct medium *medium, uint64_t offset, const void *data,
           size_t len, bool fua)
{
    struct iovec vector = { (void *) (uintptr_t) data, len };
    ssize_t put;

    if (!fua)
        return pwrite(medium->fd, data, len, (off_t) offset);
    put = pwritev2(medium->fd, &vector, 1, (off_t) offset, RWF_DSYNC);
    if (put >= 0 || errno != EOPNOTSUPP)
        return put;
    put = pwrite(medium->fd, data, len, (off_t) offset);
    return put > 0 && fdatasync(medium->fd) != 0 ? -1 : put;
}

uint32_t
medium_write(struct medium *medium, uint64_t offset, const void *data,
             size_t len, bool fua, size_t *out_done)
{
    size_t done = 0;
    uint32_t sense = 0;

    while (done < len && sense == 0) {
        ssize_t put = write_some(medium, offset + done,
                                 (const char *) data + done, len - done, fua);

        if (put > 0)
            done += (size_t) put;
        else if (put == 0)
            sense = SENSE_WRITE_ERROR;
        else if (errno != EINTR)
            sense = write_sense(errno);
    }
    *out_done = done;
    if (!fua && !atomic_load_explicit(&medium->dirty, memory_order_relaxed))
        atomic_store_explicit(&medium->dirty, true, memory_order_release);
    return sense;
}

static uint32_t
write_zeros(struct medium *medium, uint64_t offset, uint64_t len)
{
    static const char zeros[65536];
    uint32_t sense = 0;
    size_t done;

    while (len > 0 && sense == 0) {
        size_t part = len < sizeof zeros ? (size_t) len : sizeof zeros;

        sense = medium_write(medium, offset, zeros, part, false, &done);
        offset += part;
        len -= part;
    }
    return sense;
}

/* `unmap`: give the space back.  The range reads as zeros either way. */
uint32_t
medium_zero(struct medium *medium, uint64_t offset, uint64_t len, bool unmap)
{
    int mode = FALLOC_FL_KEEP_SIZE |
               (unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
    int result;

    if (len == 0)
        return 0;
    do
        result = fallocate(medium->fd, mode, (off_t) offset, (off_t) len);
    while (result != 0 && errno == EINTR);
    if (result != 0 && (errno == EIO || errno == ENOSPC))
        return write_sense(errno);
    if (result != 0)
        return write_zeros(medium, offset, len);
    atomic_store_explicit(&medium->dirty, true, memory_order_release);
    return 0;
}

uint32_t
medium_sync(struct medium *medium)
{
    uint32_t sense = 0;

    pthread_mutex_lock(&medium->sync_lock);
    if (atomic_exchange_explicit(&medium->dirty, false, memory_order_acq_rel) &&
        fdatasync(medium->fd) != 0) {
        atomic_store_explicit(&medium->dirty, true, memory_order_release);
        sense = write_sense(errno);
    }
    pthread_mutex_unlock(&medium->sync_lock);
    return sense;
}

void
medium_extent(struct medium *medium, uint64_t offset, uint64_t *out_end,
              bool *out_hole)
{
    uint64_t mask = ~((uint64_t) medium->block_bytes - 1);
    off_t data = lseek(medium->fd, (off_t) offset, SEEK_DATA);
    off_t hole;

    *out_end = medium->size_bytes;
    *out_hole = data < 0 && errno == ENXIO;
    if (data < 0)
        return;
    /* A block that is a hole only in part counts as data. */
    if (((uint64_t) data & mask) > offset) {
        *out_end = (uint64_t) data & mask;
        *out_hole = true;
        return;
    }
    hole = lseek(medium->fd, data, SEEK_HOLE);
    if (hole >= 0)
        *out_end = ((uint64_t) hole + ~mask) & mask;
    if (*out_end > medium->size_bytes)
        *out_end = medium->size_bytes;
}
