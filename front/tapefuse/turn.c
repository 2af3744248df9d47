/*
 * turn.c - one call at a time for each drive, and signals to who waits
 *
 * A program that is sent a signal must not hang because its tape is away: the
 * call ends with EINTR when it waits, be it for its turn or for a tape.  What
 * a drive is doing is never cut off.  The session lives on, for the signal may
 * have been dd's USR1.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapefuse/tapefuse_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* libfuse holds the request's lock; never called after tf_leave. */
static void
interrupt(fuse_req_t req, void *data)
{
    struct tf_call *call = data;
    struct tf_drive *drive = call->drive;

    (void) req;
    (void) pthread_mutex_lock(&drive->lock);
    call->interrupted = true;
    if (drive->call == call) {
        if (drive->link != NULL)
            tape_link_interrupt(drive->link);
        /* It may not yet have got as far as to wait. */
        (void) sem_post(&drive->fuse->wake);
    } else {
        (void) pthread_cond_broadcast(&drive->changed);
    }
    (void) pthread_mutex_unlock(&drive->lock);
}

bool
tf_nag(struct tapefuse *fuse)
{
    bool any = false;

    for (size_t i = 0; i < fuse->drive_count; i++) {
        struct tf_drive *drive = &fuse->drives[i];

        (void) pthread_mutex_lock(&drive->lock);
        if (drive->call != NULL && drive->link != NULL &&
            drive->call->interrupted) {
            tape_link_interrupt(drive->link);
            any = true;
        }
        (void) pthread_mutex_unlock(&drive->lock);
    }
    return any;
}

static int
wait_turn_locked(struct tf_call *call)
{
    struct tf_drive *drive = call->drive;

    if (drive->busy && drive->queued >= drive->fuse->queue_max)
        return EBUSY;
    drive->queued++;
    while (drive->busy && !call->interrupted)
        (void) pthread_cond_wait(&drive->changed, &drive->lock);
    drive->queued--;
    return call->interrupted ? EINTR : 0;
}

int
tf_enter(struct tf_call *call, fuse_req_t req, struct tf_drive *drive)
{
    int error;

    *call = (struct tf_call){ .drive = drive, .request = req };
    fuse_req_interrupt_func(req, interrupt, call);
    (void) pthread_mutex_lock(&drive->lock);
    error = wait_turn_locked(call);
    if (error == 0 && drive->link == NULL)
        error = EIO;
    if (error == 0) {
        drive->busy = true;
        drive->call = call;
    }
    (void) pthread_mutex_unlock(&drive->lock);
    if (error != 0)
        fuse_req_interrupt_func(req, NULL, NULL);
    return error;
}

void
tf_leave(struct tf_call *call)
{
    struct tf_drive *drive = call->drive;

    (void) pthread_mutex_lock(&drive->lock);
    drive->busy = false;
    drive->call = NULL;
    if (drive->queued != 0)
        (void) pthread_cond_broadcast(&drive->changed);
    (void) pthread_mutex_unlock(&drive->lock);
    fuse_req_interrupt_func(call->request, NULL, NULL);
}

void
tf_say(struct tapefuse *fuse, const struct tf_drive *drive, const char *format,
       ...)
{
    char text[RI_TEXT_MAX + RI_NAME_MAX + 64];
    va_list args;
    int used =
        snprintf(text, sizeof text, "nst%u (%s): ", drive->number, drive->name);

    va_start(args, format);
    (void) vsnprintf(text + used, sizeof text - (size_t) used, format, args);
    va_end(args);
    (void) pthread_mutex_lock(&fuse->mouth);
    fuse->say(text);
    (void) pthread_mutex_unlock(&fuse->mouth);
}
