/*
 * server.c - starting, accepting, stopping
 *
 * One thread accepts for all listeners, starts a thread per connection, and
 * joins those that have ended (so that nothing of a connection, not even what
 * the stack below keeps per thread, outlives nbd_server_stop).
 *
 * SPDX-License-Identifier: MIT
 */
#include "nbd/nbd_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SOCKET_BUFFER_BYTES (1 << 20) /* the kernel gives what it may */
#define BACK_OFF_MS         50        /* out of descriptors or threads */

struct nbd_server *
server_new(struct ri_service *service)
{
    struct nbd_server *server = calloc(1, sizeof *server);
    pthread_condattr_t attr;
    cpu_set_t cpus;

    if (server == NULL)
        return NULL;
    server->service = service;
    server->stop_wait_ms = STOP_WAIT_MS;
    server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->wake_fd < 0) {
        free(server);
        return NULL;
    }
    atomic_store(&server->references, 1);
    if (sched_getaffinity(0, sizeof cpus, &cpus) == 0)
        server->spinners_max = CPU_COUNT(&cpus) - 1;
    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&server->ended_cond, &attr);
    pthread_condattr_destroy(&attr);
    return server;
}

void
server_unref(struct nbd_server *server)
{
    if (atomic_fetch_sub(&server->references, 1) != 1)
        return;
    pthread_cond_destroy(&server->ended_cond);
    pthread_mutex_destroy(&server->lock);
    close(server->wake_fd);
    free(server->listeners);
    free(server);
}

static void
wake_server(struct nbd_server *server)
{
    uint64_t one = 1;

    /* Can only fail when it is readable already. */
    if (write(server->wake_fd, &one, sizeof one) < 0)
        return;
}

/* --- the list of connections ---------------------------------------------- */

static void
link_conn_locked(struct nbd_server *server, struct nbd_conn *conn)
{
    conn->list_prev = NULL;
    conn->list_next = server->conns;
    if (server->conns != NULL)
        server->conns->list_prev = conn;
    server->conns = conn;
    server->conn_count++;
}

static void
unlink_conn_locked(struct nbd_server *server, struct nbd_conn *conn)
{
    if (conn->list_prev != NULL)
        conn->list_prev->list_next = conn->list_next;
    else
        server->conns = conn->list_next;
    if (conn->list_next != NULL)
        conn->list_next->list_prev = conn->list_prev;
    server->conn_count--;
}

static void *
conn_main(void *context)
{
    struct nbd_conn *conn = context;
    struct nbd_server *server = conn->server;
    bool abandoned;

    pthread_setname_np(pthread_self(), "nbd");
    conn_run(conn);
    pthread_mutex_lock(&server->lock);
    unlink_conn_locked(server, conn);
    abandoned = server->abandoned;
    if (!abandoned) {
        conn->list_next = server->ended;
        server->ended = conn;
        wake_server(server);
        pthread_cond_signal(&server->ended_cond);
    }
    pthread_mutex_unlock(&server->lock);
    if (abandoned)
        conn_free(conn);
    return NULL;
}

static void
join_ended(struct nbd_server *server)
{
    struct nbd_conn *list;

    pthread_mutex_lock(&server->lock);
    list = server->ended;
    server->ended = NULL;
    pthread_mutex_unlock(&server->lock);
    while (list != NULL) {
        struct nbd_conn *conn = list;

        list = conn->list_next;
        pthread_join(conn->thread, NULL);
        conn_free(conn);
    }
}

/* --- accepting ------------------------------------------------------------ */

static int
start_thread(struct nbd_conn *conn)
{
    pthread_attr_t attr;
    int error;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, CONN_STACK_BYTES);
    error = pthread_create(&conn->thread, &attr, conn_main, conn);
    pthread_attr_destroy(&attr);
    return error;
}

static void
tune_socket(int fd, bool is_tcp)
{
    int one = 1, bytes = SOCKET_BUFFER_BYTES;

    /* All of these are wishes: without them it is only slower. */
    if (is_tcp) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
        return;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

/* False: no thread or memory for it now. */
static bool
add_conn(struct nbd_server *server, int fd)
{
    struct nbd_conn *conn = conn_new(server, fd);
    int error;

    if (conn == NULL)
        return false;
    /* The lock is held so that the thread cannot end before it is listed. */
    pthread_mutex_lock(&server->lock);
    error = start_thread(conn);
    if (error == 0)
        link_conn_locked(server, conn);
    pthread_mutex_unlock(&server->lock);
    if (error != 0)
        conn_free(conn);
    return error == 0;
}

static void
accept_one(struct nbd_server *server, const struct nbd_listener *listener)
{
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    size_t count;

    if (fd < 0) {
        if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
            poll(NULL, 0, BACK_OFF_MS);
        return;
    }
    pthread_mutex_lock(&server->lock);
    count = server->conn_count;
    pthread_mutex_unlock(&server->lock);
    if (count >= CONN_MAX) {
        /* Before the greeting the protocol has no word for no. */
        atomic_fetch_add(&server->refused, 1);
        close(fd);
        return;
    }
    tune_socket(fd, listener->is_tcp);
    if (!add_conn(server, fd)) {
        atomic_fetch_add(&server->refused, 1);
        poll(NULL, 0, BACK_OFF_MS);
        return;
    }
    atomic_fetch_add(&server->connections, 1);
}

static void *
accept_main(void *context)
{
    struct nbd_server *server = context;
    struct pollfd polls[RI_LISTEN_MAX + 1];
    size_t count = server->listener_count;
    uint64_t ignored;

    pthread_setname_np(pthread_self(), "nbd-accept");
    for (size_t i = 0; i < count; i++)
        polls[i] =
            (struct pollfd){ .fd = server->listeners[i].fd, .events = POLLIN };
    polls[count] = (struct pollfd){ .fd = server->wake_fd, .events = POLLIN };
    while (!atomic_load(&server->stopping)) {
        if (poll(polls, count + 1, -1) <= 0)
            continue;
        if (polls[count].revents != 0 &&
            read(server->wake_fd, &ignored, sizeof ignored) > 0)
            join_ended(server);
        for (size_t i = 0; i < count; i++)
            if (polls[i].revents != 0 && !atomic_load(&server->stopping))
                accept_one(server, &server->listeners[i]);
    }
    return NULL;
}

/* --- start and stop ------------------------------------------------------- */

static void
close_listeners(struct nbd_server *server)
{
    for (size_t i = 0; i < server->listener_count; i++)
        listener_close(&server->listeners[i]);
}

static int
open_listeners(struct nbd_server *server, const char *const *listeners,
               size_t count, struct ri_error *out_error)
{
    server->listeners = calloc(count, sizeof *server->listeners);
    if (server->listeners == NULL) {
        snprintf(out_error->text, sizeof out_error->text, "out of memory");
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        int error;

        server->listeners[i].fd = -1;
        error = listener_open(&server->listeners[i], listeners[i], out_error);
        if (error < 0)
            return error;
        server->listener_count++;
    }
    return 0;
}

/* The threads take no signals: those are for the program's own. */
static int
start_accepting(struct nbd_server *server, struct ri_error *out_error)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&server->accept_thread, NULL, accept_main, server);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        snprintf(out_error->text, sizeof out_error->text,
                 "cannot start a thread: %s", strerror(error));
    return -error;
}

int
nbd_server_start(struct ri_service *service, const char *const *listeners,
                 size_t count, struct nbd_server **out_server,
                 struct ri_error *out_error)
{
    struct nbd_server *server;
    int error;

    if (count == 0 || count > RI_LISTEN_MAX) {
        snprintf(out_error->text, sizeof out_error->text,
                 "between 1 and %d listeners are needed, not %zu",
                 RI_LISTEN_MAX, count);
        return -EINVAL;
    }
    server = server_new(service);
    if (server == NULL) {
        snprintf(out_error->text, sizeof out_error->text, "out of memory");
        return -ENOMEM;
    }
    error = open_listeners(server, listeners, count, out_error);
    if (error == 0)
        error = start_accepting(server, out_error);
    if (error < 0) {
        close_listeners(server);
        server_unref(server);
        return error;
    }
    *out_server = server;
    return 0;
}

/* Returns how many did not end in time. */
static size_t
await_conns(struct nbd_server *server)
{
    struct timespec end;
    size_t left;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += server->stop_wait_ms / 1000;
    end.tv_nsec += server->stop_wait_ms % 1000 * 1000000L;
    end.tv_sec += end.tv_nsec / 1000000000L;
    end.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&server->lock);
    for (struct nbd_conn *conn = server->conns; conn != NULL;
         conn = conn->list_next)
        conn_stop(conn);
    while (server->conn_count > 0 &&
           pthread_cond_timedwait(&server->ended_cond, &server->lock, &end) ==
               0)
        continue;
    left = server->conn_count;
    if (left > 0) {
        server->abandoned = true;
        for (struct nbd_conn *conn = server->conns; conn != NULL;
             conn = conn->list_next)
            pthread_detach(conn->thread);
    }
    pthread_mutex_unlock(&server->lock);
    return left;
}

size_t
nbd_server_stop(struct nbd_server *server)
{
    size_t left;

    if (server == NULL)
        return 0;
    atomic_store(&server->stopping, true);
    wake_server(server);
    pthread_join(server->accept_thread, NULL);
    close_listeners(server);
    left = await_conns(server);
    join_ended(server);
    server_unref(server);
    return left;
}

int
nbd_server_address(struct nbd_server *server, size_t i, char *out_text,
                   size_t text_max)
{
    if (i >= server->listener_count)
        return -ENOENT;
    if (strlen(server->listeners[i].address) >= text_max)
        return -ENAMETOOLONG;
    strcpy(out_text, server->listeners[i].address);
    return 0;
}

void
nbd_server_counters(struct nbd_server *server,
                    struct nbd_counters *out_counters)
{
    out_counters->connections = atomic_load(&server->connections);
    out_counters->refused = atomic_load(&server->refused);
    out_counters->requests = atomic_load(&server->requests);
    out_counters->waited = atomic_load(&server->waited);
    pthread_mutex_lock(&server->lock);
    out_counters->connected = (uint32_t) server->conn_count;
    pthread_mutex_unlock(&server->lock);
}
