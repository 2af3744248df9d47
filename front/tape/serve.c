/*
 * serve.c - sessions of tapes: begun, watched, ended
 *
 * A session's thread may be inside a call that waits for its tape, and does
 * not look at its socket then.  The watcher does: a client that is gone or
 * says so interrupts the call, one that cancels cancels it.  An interruption
 * that came between two calls is lost, so one that is gone is interrupted again
 * and again, until its session sees the end of its socket.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tapelink/serve_internal.h"

#define STACK_BYTES (512 * 1024)
#define AGAIN_MS    100 /* one that is gone is interrupted again */
#define EVENTS      16

/* Of an id in the epoll set: which of its two sockets. */
#define WATCH_END    0u
#define WATCH_SIGNAL 1u
#define WATCH_WAKE   UINT64_MAX

struct tape_server {
    struct ri_service *service;
    int epoll_fd, wake_fd;
    pthread_t watcher;
    pthread_mutex_t lock; /* all below, and what sessions say */
    pthread_cond_t changed;
    struct tape_session *sessions;
    unsigned count;
    uint64_t last_id;
    unsigned refs;   /* the owner, and each session */
    pthread_t ended; /* the session's thread that ended last: to be joined */
    bool has_ended;
    bool stopping, watching;
};

/* --- the watcher ---------------------------------------------------------------- */

static void
watch(struct tape_server *server, int fd, uint64_t id, unsigned which,
      uint32_t events)
{
    struct epoll_event event = { .events = events,
                                 .data.u64 = id << 1 | which };

    (void) epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static struct tape_session *
find_locked(struct tape_server *server, uint64_t id)
{
    struct tape_session *at = server->sessions;

    while (at != NULL && at->id != id)
        at = at->next;
    return at;
}

static void
interrupt_locked(struct tape_session *session)
{
    if (session->tape != NULL)
        ri_tape_interrupt(session->tape);
}

static void
cancel_locked(struct tape_session *session)
{
    session->cancelled = true;
    if (session->tape != NULL)
        ri_tape_cancel(session->tape);
}

/* Whoever closes it says nothing by that: the session's own socket tells. */
static void
take_signals_locked(struct tape_server *server, struct tape_session *session)
{
    char said[64];
    ssize_t n = recv(session->signal_fd, said, sizeof said, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        (void) epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, session->signal_fd,
                         NULL);
        return;
    }
    if (memchr(said, TAPE_SIGNAL_CANCEL, (size_t) n) != NULL)
        cancel_locked(session);
    else if (memchr(said, TAPE_SIGNAL_INTERRUPT, (size_t) n) != NULL)
        interrupt_locked(session);
}

static void
handle_locked(struct tape_server *server, uint64_t key)
{
    struct tape_session *session = find_locked(server, key >> 1);

    if (session == NULL)
        return;
    if ((key & 1) == WATCH_SIGNAL && session->signal_fd >= 0)
        take_signals_locked(server, session);
    else if ((key & 1) == WATCH_END)
        session->gone = true;
}

/* True: somebody is gone whose session has not seen it yet. */
static bool
interrupt_gone_locked(struct tape_server *server)
{
    bool any = false;

    for (struct tape_session *at = server->sessions; at != NULL;
         at = at->next) {
        if (!at->gone || at->tape == NULL)
            continue;
        interrupt_locked(at);
        any = true;
    }
    return any;
}

static void *
watcher_thread(void *context)
{
    struct tape_server *server = context;
    struct epoll_event events[EVENTS];
    bool watching = true;
    int timeout = -1, n;
    eventfd_t woken;

    while (watching) {
        n = epoll_wait(server->epoll_fd, events, EVENTS, timeout);
        pthread_mutex_lock(&server->lock);
        for (int i = 0; i < n; i++)
            if (events[i].data.u64 == WATCH_WAKE)
                (void) eventfd_read(server->wake_fd, &woken);
            else
                handle_locked(server, events[i].data.u64);
        timeout = interrupt_gone_locked(server) ? AGAIN_MS : -1;
        watching = server->watching;
        pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

/* --- sessions -------------------------------------------------------------------- */

static void
server_unref(struct tape_server *server)
{
    bool last;

    pthread_mutex_lock(&server->lock);
    last = --server->refs == 0;
    pthread_mutex_unlock(&server->lock);
    if (!last)
        return;
    close(server->epoll_fd);
    close(server->wake_fd);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

void
tape_server_opened(struct tape_session *session, struct ri_tape *tape,
                   int signal_fd)
{
    struct tape_server *server = session->server;

    pthread_mutex_lock(&server->lock);
    session->tape = tape;
    session->signal_fd = signal_fd;
    if (session->cancelled)
        ri_tape_cancel(tape);
    watch(server, signal_fd, session->id, WATCH_SIGNAL, EPOLLIN);
    if (session->gone) /* told before it could be interrupted */
        (void) eventfd_write(server->wake_fd, 1);
    pthread_mutex_unlock(&server->lock);
}

void
tape_server_closing(struct tape_session *session)
{
    pthread_mutex_lock(&session->server->lock);
    /* A client that cancels and then closes has said so in that order. */
    if (session->signal_fd >= 0)
        take_signals_locked(session->server, session);
    session->tape = NULL;
    pthread_mutex_unlock(&session->server->lock);
}

void
tape_server_ended(struct tape_session *session)
{
    struct tape_server *server = session->server;
    struct tape_session **at;

    pthread_mutex_lock(&server->lock);
    for (at = &server->sessions; *at != session; at = &(*at)->next)
        ;
    *at = session->next;
    server->count--;
    (void) epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, session->fd, NULL);
    close(session->fd);
    if (session->signal_fd >= 0) {
        (void) epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, session->signal_fd,
                         NULL);
        close(session->signal_fd);
    }
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    free(session);
}

/* Each session's thread (`by`) joins the one that ended before it, and the
 * server's end (NULL) the last: what a thread has of the pool it gives back in
 * its very end. */
static void
join_ended(struct tape_server *server, const pthread_t *by)
{
    pthread_t before;
    bool had;

    pthread_mutex_lock(&server->lock);
    before = server->ended;
    had = server->has_ended;
    server->has_ended = by != NULL;
    if (by != NULL)
        server->ended = *by;
    pthread_mutex_unlock(&server->lock);
    if (had)
        pthread_join(before, NULL);
}

static void *
session_thread(void *context)
{
    struct tape_session *session = context;
    struct tape_server *server = session->server;
    pthread_t self = pthread_self();

    tape_session_run(session, server->service);
    join_ended(server, &self);
    tape_server_ended(session);
    server_unref(server);
    return NULL;
}

/* Signals are the program's business: none on our threads. */
static int
start_thread(void *(*run)(void *), void *context, pthread_t *out_thread)
{
    pthread_attr_t attr;
    sigset_t all, old;
    int rc;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(out_thread, &attr, run, context);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return -rc;
}

static int
add_locked(struct tape_server *server, struct tape_session *session)
{
    pthread_t thread;
    int rc;

    if (server->stopping)
        return -ESHUTDOWN;
    if (server->count == TAPE_SESSIONS_MAX)
        return -EMFILE;
    session->id = ++server->last_id;
    session->next = server->sessions;
    server->sessions = session;
    server->count++;
    server->refs++;
    watch(server, session->fd, session->id, WATCH_END,
          EPOLLRDHUP | EPOLLONESHOT);
    rc = start_thread(session_thread, session, &thread);
    if (rc == 0)
        return 0;
    (void) epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, session->fd, NULL);
    server->sessions = session->next;
    server->count--;
    server->refs--;
    return rc == -EAGAIN ? -ENOMEM : rc;
}

int
tape_server_take(struct tape_server *server, const char *drive, int fd)
{
    struct tape_session *session = calloc(1, sizeof *session);
    int flags = fcntl(fd, F_GETFL), rc = -ENOMEM;

    if (session != NULL) {
        session->server = server;
        session->fd = fd;
        session->signal_fd = -1;
        snprintf(session->drive, sizeof session->drive, "%s", drive);
        (void) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
        pthread_mutex_lock(&server->lock);
        rc = add_locked(server, session);
        pthread_mutex_unlock(&server->lock);
    }
    if (rc != 0) {
        close(fd);
        free(session);
    }
    return rc;
}

bool
tape_server_has_room(struct tape_server *server)
{
    bool room;

    pthread_mutex_lock(&server->lock);
    room = server->count < TAPE_SESSIONS_MAX;
    pthread_mutex_unlock(&server->lock);
    return room;
}

/* --- life ------------------------------------------------------------------------- */

struct tape_server *
tape_server_new(struct ri_service *service)
{
    struct tape_server *server = calloc(1, sizeof *server);
    struct epoll_event wake = { .events = EPOLLIN, .data.u64 = WATCH_WAKE };
    pthread_condattr_t attr;

    if (server == NULL)
        return NULL;
    server->service = service;
    server->refs = 1;
    server->watching = true;
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (server->epoll_fd >= 0 && server->wake_fd >= 0 &&
        epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, server->wake_fd, &wake) ==
            0 &&
        start_thread(watcher_thread, server, &server->watcher) == 0)
        return server;
    server_unref(server);
    return NULL;
}

void
tape_server_stop(struct tape_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    for (struct tape_session *at = server->sessions; at != NULL;
         at = at->next) {
        shutdown(at->fd, SHUT_RDWR);
        at->gone = true;
    }
    eventfd_write(server->wake_fd, 1);
    pthread_mutex_unlock(&server->lock);
}

unsigned
tape_server_wait(struct tape_server *server, unsigned ms)
{
    struct timespec until;
    unsigned left;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long) (ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&server->lock);
    while (server->count > 0 &&
           pthread_cond_timedwait(&server->changed, &server->lock, &until) == 0)
        ;
    left = server->count;
    pthread_mutex_unlock(&server->lock);
    if (left == 0)
        join_ended(server, NULL);
    return left;
}

void
tape_server_free(struct tape_server *server)
{
    if (server == NULL)
        return;
    pthread_mutex_lock(&server->lock);
    server->watching = false;
    eventfd_write(server->wake_fd, 1);
    pthread_mutex_unlock(&server->lock);
    pthread_join(server->watcher, NULL);
    server_unref(server);
}
