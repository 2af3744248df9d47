/*
 * pool.c - the threads that read requests and run them
 *
 * One at a time reads the kernel's queue, so that what was read first is known
 * first (tf_release_read).  With several files in use it lets another thread
 * read while it runs what it has read.  With one it keeps the turn, for nothing
 * will come meanwhile; where something takes longer than the watch of
 * tapefuse_serve allows, it loses it then.
 *
 * A request is read so that its header ends at a page of the window, where the
 * data then begin.
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

static bool
ending(struct tapefuse *fuse)
{
    return atomic_load(&fuse->stopping) ||
           fuse_session_exited(fuse->session) != 0;
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
        if (ending(fuse))
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

/* --- who reads ---------------------------------------------------------------- */

/* False: there is nothing more to read. */
static bool
take_turn(struct tf_worker *worker)
{
    struct tapefuse *fuse = worker->fuse;

    (void) pthread_mutex_lock(&fuse->turn);
    if (fuse->reader == worker)
        fuse->running = false;
    while (fuse->reader != worker && fuse->reader != NULL && !ending(fuse))
        (void) pthread_cond_wait(&fuse->vacant, &fuse->turn);
    if (!ending(fuse))
        fuse->reader = worker;
    (void) pthread_mutex_unlock(&fuse->turn);
    return !ending(fuse);
}

static void
vacate_locked(struct tapefuse *fuse)
{
    fuse->reader = NULL;
    fuse->running = false;
    (void) pthread_cond_signal(&fuse->vacant);
}

/* Where one file alone is in use, its next request comes after the answer to
 * this one: to wake another thread for it would only cost. */
static void
begin_request(struct tapefuse *fuse)
{
    bool wake = false;

    (void) pthread_mutex_lock(&fuse->turn);
    if (atomic_load_explicit(&fuse->open_count, memory_order_relaxed) > 1) {
        vacate_locked(fuse);
    } else {
        fuse->running = true;
        fuse->requests++;
        wake = fuse->watch_sleeps;
        fuse->watch_sleeps = false;
    }
    (void) pthread_mutex_unlock(&fuse->turn);
    if (wake)
        (void) sem_post(&fuse->wake);
}

bool
tf_relieve(struct tapefuse *fuse, uint64_t *last)
{
    bool active;

    (void) pthread_mutex_lock(&fuse->turn);
    active = fuse->requests != *last;
    if (fuse->running && !active) {
        vacate_locked(fuse); /* the same request as at the last look */
        active = true;
    }
    *last = fuse->requests;
    (void) pthread_mutex_unlock(&fuse->turn);
    return active;
}

bool
tf_may_sleep(struct tapefuse *fuse, uint64_t last)
{
    bool may;

    (void) pthread_mutex_lock(&fuse->turn);
    may = !fuse->running && fuse->requests == last;
    fuse->watch_sleeps = may;
    (void) pthread_mutex_unlock(&fuse->turn);
    return may;
}

static void *
work(void *argument)
{
    struct tf_worker *worker = argument;
    struct tapefuse *fuse = worker->fuse;
    struct fuse_buf request;

    self = worker;
    while (take_turn(worker) && receive(worker, &request)) {
        begin_request(fuse);
        fuse_session_process_buf(fuse->session, &request);
    }
    (void) pthread_mutex_lock(&fuse->turn);
    (void) pthread_cond_broadcast(&fuse->vacant);
    (void) pthread_mutex_unlock(&fuse->turn);
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
tf_pool_grow_locked(struct tapefuse *fuse)
{
    sigset_t all, before;
    int error = 0;

    (void) sigfillset(&all);
    (void) sigdelset(&all, WAKE_SIGNAL);
    (void) pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 0; error == 0 && i < fuse->worker_count; i++) {
        struct tf_worker *worker = &fuse->workers[i];

        if (worker->started)
            continue;
        worker->fuse = fuse;
        worker->slot = fuse->window_base + i * fuse->slot_bytes;
        error = -pthread_create(&worker->thread, NULL, work, worker);
        worker->started = error == 0;
    }
    (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

int
tf_pool_start(struct tapefuse *fuse)
{
    struct sigaction wake = { .sa_handler = on_wake }; /* no SA_RESTART */
    int error = sigaction(WAKE_SIGNAL, &wake, NULL) == 0 ? 0 : -errno;

    (void) pthread_mutex_lock(&fuse->growth);
    fuse->serving = error == 0;
    if (error == 0)
        error = tf_pool_grow_locked(fuse);
    (void) pthread_mutex_unlock(&fuse->growth);
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
        if (drive->call != NULL && drive->link != NULL)
            tape_link_interrupt(drive->link);
        (void) pthread_mutex_unlock(&drive->lock);
    }
}

bool
tf_pool_stop(struct tapefuse *fuse)
{
    const struct timespec tick = { 0, 10000000 };
    bool ended = false;

    (void) pthread_mutex_lock(&fuse->growth); /* nothing is added any more */
    atomic_store(&fuse->stopping, true);
    fuse->serving = false;
    (void) pthread_mutex_unlock(&fuse->growth);
    fuse_session_exit(fuse->session);
    (void) pthread_mutex_lock(&fuse->turn);
    (void) pthread_cond_broadcast(&fuse->vacant);
    (void) pthread_mutex_unlock(&fuse->turn);
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
