/*
 * open.c - open, close(2), and the end of a session
 *
 * A flush comes at each close(2), and its answer is what the program gets; the
 * release comes behind the last one, and nobody hears its answer.  So the flush
 * of the last close ends the session (see last.c), and the flush of another
 * waits until all is on the tape that its process wrote.  What no flush has
 * ended, because the process was killed, the release does.  An open waits for a
 * release that was read before it, so that two commands after one another never
 * meet.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapefuse/tapefuse_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/mtio.h>

/* --- open ------------------------------------------------------------------ */

/* Libfuse's own reply knows no streams: of these the kernel says which
 * requests belong to one call. */
static int
reply_open(fuse_req_t req, uint64_t handle)
{
    struct fuse_open_out out = { .fh = handle,
                                 .open_flags = FOPEN_DIRECT_IO |
                                               FOPEN_NONSEEKABLE |
                                               FOPEN_STREAM };

    return fuse_reply_buf(req, (const char *) &out, sizeof out);
}

/* 0: the drive is reserved. */
static int
reserve(struct tf_call *call)
{
    struct tf_drive *drive = call->drive;
    int error = 0;

    (void) pthread_mutex_lock(&drive->lock);
    if (drive->releases != 0 && drive->queued >= drive->fuse->queue_max)
        error = EBUSY;
    drive->queued++;
    while (error == 0 && drive->releases != 0 && !call->interrupted)
        (void) pthread_cond_wait(&drive->changed, &drive->lock);
    drive->queued--;
    if (error == 0 && call->interrupted)
        error = EINTR;
    if (error == 0 && drive->open)
        error = EBUSY;
    if (error == 0) {
        drive->open = drive->busy = true;
        (void) atomic_fetch_add(&drive->fuse->open_count, 1);
    }
    (void) pthread_mutex_unlock(&drive->lock);
    return error;
}

static void
wait_interrupted(fuse_req_t req, void *data)
{
    struct tf_call *call = data;

    (void) req;
    (void) pthread_mutex_lock(&call->drive->lock);
    call->interrupted = true;
    (void) pthread_cond_broadcast(&call->drive->changed);
    (void) pthread_mutex_unlock(&call->drive->lock);
}

static void
forget(struct tf_drive *drive)
{
    drive->link = NULL;
    drive->last_writer = 0;
    drive->wrote = drive->unsynced = drive->told = false;
    drive->warned = drive->near_end = false;
    drive->late_error = 0;
    drive->gathered = drive->held = 0;
    drive->zeros = 0;
}

static int
begin(struct tapefuse *fuse, struct tf_drive *drive, enum tf_kind kind,
      int flags)
{
    struct ri_tape_how how = {
        .write = (flags & O_ACCMODE) != O_RDONLY,
        .no_tape_needed = (flags & O_NONBLOCK) != 0,
        .rewind_at_close = kind == TF_REWIND,
    };
    struct ri_error why = { "" };
    int error;

    forget(drive);
    drive->rewinds = how.rewind_at_close;
    error = tape_link_open_in(fuse->control, drive->name, &how, fuse->window,
                              &drive->link, &why);
    if (error != 0 && tf_is_gone(error))
        tf_say(fuse, drive, "%s", why.text);
    if (error == 0)
        drive->handle =
            __atomic_add_fetch(&fuse->last_handle, 1, __ATOMIC_RELAXED);
    return error == 0 ? 0 : tf_errno(TF_OPEN, error);
}

static void
end_turn(struct tf_drive *drive, bool open)
{
    (void) pthread_mutex_lock(&drive->lock);
    if (!open)
        (void) atomic_fetch_sub(&drive->fuse->open_count, 1);
    drive->open = open;
    drive->busy = false;
    (void) pthread_cond_broadcast(&drive->changed);
    (void) pthread_mutex_unlock(&drive->lock);
}

void
tf_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
    struct tapefuse *fuse = fuse_req_userdata(req);
    enum tf_kind kind = TF_REWIND;
    struct tf_drive *drive = tf_drive_of(fuse, node, &kind);
    struct tf_call call = { .drive = drive, .request = req };
    int error;

    if (drive == NULL || kind >= TF_LINK) {
        (void) fuse_reply_err(req, ENXIO);
        return;
    }
    fuse_req_interrupt_func(req, wait_interrupted, &call);
    error = reserve(&call);
    fuse_req_interrupt_func(req, NULL, NULL);
    if (error == 0) {
        error = begin(fuse, drive, kind, fi->flags);
        if (error != 0)
            end_turn(drive, false);
    }
    if (error != 0) {
        (void) fuse_reply_err(req, error);
        return;
    }
    /* Who was to have it is gone: no release will come. */
    if (reply_open(req, drive->handle) == -ENOENT)
        tf_close(drive);
    else
        end_turn(drive, true);
}

/* --- close ----------------------------------------------------------------- */

/* As st does in the last close.  Each step may be interrupted but the end,
 * which has nothing left to wait for. */
static int
finish(struct tf_drive *drive)
{
    struct ri_tape_result result = { .bytes = 0 };
    struct tape_link *link = drive->link;
    int error = 0, ended;

    if (drive->wrote || drive->unsynced)
        error = tape_link_op(drive->link, MTWEOF, drive->wrote, &result);
    if (error == 0)
        drive->wrote = drive->unsynced = false;
    if (error == 0 && drive->rewinds)
        error = tape_link_op(drive->link, MTREW, 1, &result);
    if (error == -ENOMEDIUM) /* it was unloaded: there is nothing to rewind */
        error = 0;
    if (error == -EINTR)
        return error;
    if (error != 0)
        tf_say(drive->fuse, drive, "at the close: %s", result.text);
    /* First: whoever interrupts must not find it any more. */
    (void) pthread_mutex_lock(&drive->lock);
    drive->link = NULL;
    (void) pthread_mutex_unlock(&drive->lock);
    ended = tape_link_close(link, &result);
    return error != 0 ? error : ended;
}

/* Others still have the file: what this one wrote is safe at least. */
static int
synchronise(struct tf_drive *drive)
{
    struct ri_tape_result result = { .bytes = 0 };
    int error = tape_link_op(drive->link, MTWEOF, 0, &result);

    if (error == 0)
        drive->unsynced = false;
    else
        tf_say(drive->fuse, drive, "at a close: %s", result.text);
    return error;
}

void
tf_flush(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
    struct tapefuse *fuse = fuse_req_userdata(req);
    struct tf_drive *drive = tf_drive_of(fuse, node, NULL);
    pid_t closer = fuse_req_ctx(req)->pid;
    struct tf_call call;
    bool last;
    int error;

    if (drive == NULL || tf_is_dying(closer)) {
        (void) fuse_reply_err(req, 0);
        return;
    }
    last = tf_is_last(fuse, node, closer);
    if (!last && (fi->lock_owner != drive->last_writer || !drive->unsynced)) {
        (void) fuse_reply_err(req, 0);
        return;
    }
    error = tf_enter(&call, req, drive);
    if (error == 0) {
        /* Never ENOSYS: the kernel would take it that no flush is wanted. */
        error = tf_errno(TF_WRITE, last ? finish(drive) : synchronise(drive));
        if (error == 0)
            error = drive->late_error;
        if (error == 0 && last && drive->gathered != 0)
            error = EIO; /* half a record, and nothing of it on the tape */
        tf_leave(&call);
    }
    (void) fuse_reply_err(req, error);
}

void
tf_release_read(struct tapefuse *fuse, fuse_ino_t node)
{
    struct tf_drive *drive = tf_drive_of(fuse, node, NULL);

    if (drive == NULL)
        return;
    (void) pthread_mutex_lock(&drive->lock);
    drive->releases++;
    (void) pthread_mutex_unlock(&drive->lock);
}

void
tf_close(struct tf_drive *drive)
{
    struct ri_tape_result result = { .bytes = 0 };
    struct tape_link *link = drive->link;
    int error = 0;

    if (link != NULL) /* else its last close(2) has ended it */
        error = tape_link_close(link, &result);
    if (error != 0)
        tf_say(drive->fuse, drive, "at the last close: %s",
               result.text[0] != '\0' ? result.text : strerror(-error));
    (void) pthread_mutex_lock(&drive->lock);
    drive->link = NULL;
    (void) pthread_mutex_unlock(&drive->lock);
    end_turn(drive, false);
}

void
tf_release(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
    struct tapefuse *fuse = fuse_req_userdata(req);
    struct tf_drive *drive = tf_drive_of(fuse, node, NULL);
    bool ours;

    (void) fuse_reply_err(req, 0);
    if (drive == NULL)
        return;
    (void) pthread_mutex_lock(&drive->lock);
    while (drive->busy)
        (void) pthread_cond_wait(&drive->changed, &drive->lock);
    ours = drive->open && drive->handle == fi->fh;
    if (ours)
        drive->busy = true;
    (void) pthread_mutex_unlock(&drive->lock);
    if (ours)
        tf_close(drive);
    (void) pthread_mutex_lock(&drive->lock);
    drive->releases--;
    (void) pthread_cond_broadcast(&drive->changed);
    (void) pthread_mutex_unlock(&drive->lock);
}
