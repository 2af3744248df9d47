/*
 * pool.c - the threads that read requests and run them
 *
 * They take turns at the kernel's queue: whoever reads keeps the others out, so
 * that what was read first is known to all first (tf_release_read).  A request
 * is read so that its header ends at a page of the window, where the data then
 * begin.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapefuse/tapefuse_internal.h"

#include <errno.h>
#include <linux/fuse.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HEADER_BYTES                                                           \
    (sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))
#define WAKE_SIGNAL SIGUSR2
#define STOP_TICKS  300 /* of 10 ms */

static _Thread_local struct tf_worker *self;

uint8_t *
tf_slot(void)
{
    return self->slot + self->fuse->header_room;
}

/* False: no more will come. */
static bool
receive(struct tf_worker *worker, struct fuse_buf *out)
{
    struct tapefuse *fuse = worker->fuse;
    uint8_t *to = worker->slot + fuse->header_room - HEADER_BYTES;
    size_t room = fuse->slot_bytes - (fuse->header_room - HEADER_BYTES);
    const struct fuse_in_header *header = (const void *) to;
    ssize_t got = -1;

    while (got < 0) {
        if (atomic_load(&fuse->stopping) ||
            fuse_session_exited(fuse->session) != 0)
            return false;
        got = read(fuse_session_fd(fuse->session), to, room);
        /* ENOENT: whoever asked does not want it any more. */
        if (got < 0 && errno != EINTR && errno != EAGAIN && errno != ENOENT) {
            fuse_session_exit(fuse->session);
            return false;
        }
    }
    if ((size_t) got >= sizeof *header && header->opcode == FUSE_RELEASE)
        tf_release_read(fuse, header->nodeid);
    *out = (struct fuse_buf){ .mem = to, .size = (size_t) got };
    return true;
}

static void *
work(void *argument)
{
    struct tf_worker *worker = argument;
    struct tapefuse *fuse = worker->fuse;
    struct fuse_buf request;
    bool more;

    self = worker;
    for (;;) {
        (void) pthread_mutex_lock(&fuse->reader);
        more = receive(worker, &request);
        (void) pthread_mutex_unlock(&fuse->reader);
        if (!more)
            break;
        fuse_session_process_buf(fuse->session, &request);
    }
    atomic_store(&worker->ended, true);
    (void) sem_post(&fuse->wake);
    return NULL;
}

static void
on_wake(int signal)
{
    (void) signal;
}

int
tf_pool_start(struct tapefuse *fuse)
{
    struct sigaction wake = { .sa_handler = on_wake }; /* no SA_RESTART */
    sigset_t all, before;
    int error = sigaction(WAKE_SIGNAL, &wake, NULL) == 0 ? 0 : -errno;

    (void) sigfillset(&all);
    (void) sigdelset(&all, WAKE_SIGNAL);
    (void) pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 0; error == 0 && i < fuse->worker_count; i++) {
        struct tf_worker *worker = &fuse->workers[i];

        worker->fuse = fuse;
        worker->slot = fuse->window_base + i * fuse->slot_bytes;
        error = -pthread_create(&worker->thread, NULL, work, worker);
        worker->started = error == 0;
    }
    (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

/* A thread may be on its way into read, so it is woken until it has ended. */
static bool
all_ended(struct tapefuse *fuse)
{
    bool all = true;

    for (size_t i = 0; i < fuse->worker_count; i++) {
        struct tf_worker *worker = &fuse->workers[i];

        if (!worker->started || atomic_load(&worker->ended))
            continue;
        all = false;
        (void) pthread_kill(worker->thread, WAKE_SIGNAL);
    }
    return all;
}

static void
interrupt_all(struct tapefuse *fuse)
{
    for (size_t i = 0; i < fuse->drive_count; i++) {
        struct tf_drive *drive = &fuse->drives[i];

        (void) pthread_mutex_lock(&drive->lock);
        if (drive->call != NULL)
            tape_link_interrupt(drive->link);
        (void) pthread_mutex_unlock(&drive->lock);
    }
}

bool
tf_pool_stop(struct tapefuse *fuse)
{
    const struct timespec tick = { 0, 10000000 };
    bool ended = false;

    atomic_store(&fuse->stopping, true);
    fuse_session_exit(fuse->session);
    for (int i = 0; i < STOP_TICKS && !ended; i++) {
        ended = all_ended(fuse);
        if (!ended) {
            interrupt_all(fuse);
            (void) nanosleep(&tick, NULL);
        }
    }
    for (size_t i = 0; ended && i < fuse->worker_count; i++) {
        if (fuse->workers[i].started)
            (void) pthread_join(fuse->workers[i].thread, NULL);
        fuse->workers[i].started = false;
    }
    return ended;
}
