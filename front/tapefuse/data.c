/*
 * data.c - records
 *
 * A request is a record, unless the kernel had to cut what a program gave to
 * read or write: of more than 256 pages of its memory it makes several
 * requests.  The first of them has offset 0, the others not.  A record of up
 * to 1 MiB that begins in the middle of a page comes in two and is put together
 * here; one of more than 1 MiB is refused, as st does when its buffer is too
 * small.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapefuse/tapefuse_internal.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RECORD_MAX TAPEFUSE_RECORD_MAX

/* --- what the program asked for ---------------------------------------------- */

size_t
tf_whole_size(pid_t thread, size_t size)
{
    unsigned long call, arguments[3];
    char path[40], line[256];
    int found = 0;

    (void) snprintf(path, sizeof path, "/proc/%d/syscall", (int) thread);
    for (int i = 0; i < 20 && found == 0 && thread > 0; i++) {
        FILE *file = fopen(path, "re");

        if (file == NULL)
            break;
        /* "running" while it is on its way to sleep. */
        if (fgets(line, sizeof line, file) != NULL)
            found = sscanf(line, "%lu %lx %lx %lx", &call, &arguments[0],
                           &arguments[1], &arguments[2]);
        (void) fclose(file);
        if (found == 0)
            (void) sched_yield();
    }
    if (found != 4 || arguments[2] < size ||
        (call != SYS_read && call != SYS_write && call != SYS_pread64 &&
         call != SYS_pwrite64))
        return size;
    return arguments[2];
}

/* So large that it may be the first part of something larger. */
static bool
may_be_cut(size_t size)
{
    return size > RECORD_MAX - (size_t) sysconf(_SC_PAGESIZE);
}

/* Says once what has to do with the service, and translates. */
static int
failed(struct tf_drive *drive, enum tf_during during, int error,
       const struct ri_tape_result *result)
{
    if (error != 0 && tf_is_gone(error) && !drive->told) {
        drive->told = true;
        tf_say(drive->fuse, drive, "%s",
               result->text[0] != '\0' ? result->text : "the service is gone");
    }
    return tf_errno(during, error);
}

/* --- write -------------------------------------------------------------------- */

static int
put(struct tf_drive *drive, const void *data, size_t size, size_t *out_bytes)
{
    struct ri_tape_result result = { .bytes = 0 };
    int error;

    /* st: once near the end of the tape, every other write is refused. */
    if (drive->warned) {
        drive->warned = false;
        return ENOSPC;
    }
    error = tape_link_write(drive->link, data, size, &result);
    drive->warned = error == 0 && result.early_warning;
    drive->near_end |= drive->warned || result.end_of_tape || error == -ENOSPC;
    drive->unsynced |= error == 0;
    drive->wrote |= error == 0;
    if (error == 0)
        *out_bytes = result.bytes;
    return failed(drive, TF_WRITE, error, &result);
}

static bool
in_whole_blocks(struct tf_drive *drive, size_t size)
{
    struct mtget status = { 0 };
    struct ri_tape_info info;
    struct mtpos position;
    uint32_t block;

    if (tape_link_status(drive->link, &status, &position, &info) != 0)
        return false;
    block = (uint32_t) (status.mt_dsreg & MT_ST_BLKSIZE_MASK) >>
            MT_ST_BLKSIZE_SHIFT;
    return block != 0 && size % block == 0;
}

/* The first part of a record is kept until the second is there. */
static int
put_first(struct tf_drive *drive, const char *data, size_t size, size_t whole,
          size_t *out_bytes)
{
    if (whole <= RECORD_MAX) {
        memcpy(drive->buffer, data, size);
        drive->gathered = size;
        return 0;
    }
    return in_whole_blocks(drive, size) ? put(drive, data, size, out_bytes)
                                        : EOVERFLOW;
}

/* The program is told of the first part then; the error comes with its next
 * write. */
static int
put_second(struct tf_drive *drive, const char *data, size_t size, size_t at,
           size_t *out_bytes)
{
    size_t before = drive->gathered, bytes = 0;
    uint8_t *slot = tf_slot(); /* where the data are, too */
    int error;

    drive->gathered = 0;
    if (before == 0)
        return in_whole_blocks(drive, size) ? put(drive, data, size, out_bytes)
                                            : EOVERFLOW;
    if (at != before || size > RECORD_MAX - before)
        return EOVERFLOW;
    memmove(slot + before, data, size);
    memcpy(slot, drive->buffer, before);
    error = put(drive, slot, before + size, &bytes);
    if (error == 0 && bytes < before + size)
        error = ENOSPC; /* of the first part it was said that it is there */
    drive->late_error = error;
    return error;
}

static int
write_part(struct tf_drive *drive, fuse_req_t req, const char *data,
           size_t size, size_t at, size_t *out_bytes)
{
    size_t whole = size;
    int error = drive->late_error;

    if (error != 0) {
        drive->late_error = 0;
        return error;
    }
    drive->held = 0;
    drive->zeros = 0;
    if (at != 0)
        return put_second(drive, data, size, at, out_bytes);
    if (drive->gathered != 0) { /* the rest of it never came */
        drive->gathered = 0;
        return EIO;
    }
    if (may_be_cut(size))
        whole = tf_whole_size(fuse_req_ctx(req)->pid, size);
    return whole > size ? put_first(drive, data, size, whole, out_bytes)
                        : put(drive, data, size, out_bytes);
}

void
tf_write(fuse_req_t req, fuse_ino_t node, const char *data, size_t size,
         off_t at, struct fuse_file_info *fi)
{
    struct tf_drive *drive = tf_drive_of(fuse_req_userdata(req), node, NULL);
    size_t bytes = size;
    struct tf_call call;
    int error;

    error = drive != NULL ? tf_enter(&call, req, drive) : ENXIO;
    if (error == 0) {
        drive->last_writer = fi->lock_owner;
        error = write_part(drive, req, data, size, (size_t) at, &bytes);
        tf_leave(&call);
    }
    if (error != 0)
        (void) fuse_reply_err(req, error);
    else
        (void) fuse_reply_write(req, bytes);
}

/* --- read --------------------------------------------------------------------- */

/* The rest of what was too long for the first part; else nothing: a read ends
 * where its first part did. */
static size_t
get_rest(struct tf_drive *drive, uint8_t *slot, size_t size, size_t at)
{
    size_t bytes = 0;

    if (drive->held != 0 && at == drive->held_at && drive->held <= size) {
        bytes = drive->held;
        memcpy(slot, drive->buffer, bytes);
    }
    drive->held = 0;
    return bytes;
}

static int
get(struct tf_drive *drive, fuse_req_t req, size_t size, size_t *out_bytes)
{
    struct ri_tape_result result = { .bytes = 0 };
    size_t whole = size, room = size;
    uint8_t *slot = tf_slot();
    int error;

    if (may_be_cut(size))
        whole = tf_whole_size(fuse_req_ctx(req)->pid, size);
    if (whole > size)
        room = whole < RECORD_MAX ? whole : RECORD_MAX;
    error = tape_link_read(drive->link, slot, room, &result);
    if (error == -ENOMEM && room == RECORD_MAX && whole > RECORD_MAX)
        error = -EOVERFLOW; /* the program had room enough, we have not */
    if (error != 0)
        return failed(drive, TF_READ, error, &result);
    /* st: nothing twice in a row is the end of the data, and then an error. */
    if (result.bytes == 0 && result.end_of_data && drive->zeros >= 2)
        return EIO;
    drive->zeros = result.bytes == 0 ? drive->zeros + 1 : 0;
    *out_bytes = result.bytes;
    if (result.bytes > size) {
        drive->held = result.bytes - size;
        drive->held_at = size;
        memcpy(drive->buffer, slot + size, drive->held);
        *out_bytes = size;
    }
    return 0;
}

void
tf_read(fuse_req_t req, fuse_ino_t node, size_t size, off_t at,
        struct fuse_file_info *fi)
{
    struct tf_drive *drive = tf_drive_of(fuse_req_userdata(req), node, NULL);
    struct tf_call call;
    size_t bytes = 0;
    int error;

    (void) fi;
    error = drive != NULL ? tf_enter(&call, req, drive) : ENXIO;
    if (error == 0) {
        if (at != 0) {
            bytes = get_rest(drive, tf_slot(), size, (size_t) at);
        } else {
            drive->held = drive->gathered = 0;
            drive->wrote = false;
            error =
                get(drive, req, size < RECORD_MAX ? size : RECORD_MAX, &bytes);
        }
        tf_leave(&call);
    }
    if (error != 0)
        (void) fuse_reply_err(req, error);
    else
        (void) fuse_reply_buf(req, (const char *) tf_slot(), bytes);
}
