/*
 * conn.c - one connection: its thread's loop, waking, ending
 *
 * The loop takes what completed, parses what was received, sends what is to be
 * said, and receives again.  With nothing to do it waits (wait.c).  Waiting
 * requests are completed on other threads by request_done(), or by this one
 * when it watches a drive's answers; a thread that completes many sends their
 * replies, if ours sleeps (answer_burst), which may go on meanwhile.
 *
 * SPDX-License-Identifier: MIT
 */
#include "nbd/nbd_internal.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BURST_BYTES (256u * 1024) /* of replies that others send */
#define LINGER_MS   50            /* for the client to take the last replies */

uint64_t
nbd_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

static uint64_t
now_ms(void)
{
    return nbd_now_ns() / 1000000u;
}

static void answer_burst(struct ri_after *after);

struct nbd_conn *
conn_new(struct nbd_server *server, int fd)
{
    struct nbd_conn *conn = calloc(1, sizeof *conn);

    if (conn == NULL) {
        close(fd);
        return NULL;
    }
    conn->fd = fd;
    conn->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    conn->rx = malloc(RX_BYTES);
    conn->rx_want = RX_BYTES;
    conn->deadline_ms = now_ms() + HANDSHAKE_MS;
    conn->burst.run = answer_burst;
    pthread_mutex_init(&conn->seat, NULL);
    reply_init(&conn->out);
    if (conn->event_fd < 0 || conn->rx == NULL) {
        conn_free(conn);
        return NULL;
    }
    atomic_fetch_add(&server->references, 1);
    conn->server = server;
    return conn;
}

void
conn_free(struct nbd_conn *conn)
{
    if (conn == NULL)
        return;
    assert(conn->waiting == NULL && conn->pool.live_requests == 0);
    if (conn->fd >= 0)
        close(conn->fd);
    if (conn->event_fd >= 0)
        close(conn->event_fd);
    pool_trim(&conn->pool, 0);
    free(conn->rx);
    pthread_mutex_destroy(&conn->seat);
    if (conn->server != NULL)
        server_unref(conn->server);
    free(conn);
}

static void
wake(struct nbd_conn *conn)
{
    uint64_t one = 1;

    /* Can only fail when it is readable already. */
    if (write(conn->event_fd, &one, sizeof one) < 0)
        return;
}

void
conn_stop(struct nbd_conn *conn)
{
    atomic_store(&conn->stop, true);
    wake(conn);
}

/* --- requests that wait --------------------------------------------------- */

/* Something has finished: the thread, if it sleeps, has to know. */
static void
tell(struct nbd_conn *conn)
{
    if (atomic_load(&conn->sleeping) && atomic_exchange(&conn->sleeping, false))
        wake(conn);
}

/* Any thread.  The connection lives at least until completing is back at 0. */
static void
request_done(struct ri_request *ri)
{
    struct nbd_request *request = ri->context;
    struct nbd_conn *conn = request->conn;
    struct nbd_request *top;
    bool told = false;

    atomic_fetch_add(&conn->completing, 1);
    top = atomic_load(&conn->finished);
    do
        request->next = top;
    while (!atomic_compare_exchange_weak(&conn->finished, &top, request));
    if (ri_in_burst()) {
        pthread_t nobody = 0, self = pthread_self();

        if (atomic_compare_exchange_strong(&conn->burst_of, &nobody, self)) {
            ri_after_burst(&conn->burst);
            return; /* answer_burst counts it down */
        }
        told = nobody == self;
    }
    if (!told)
        tell(conn);
    atomic_fetch_sub(&conn->completing, 1);
}

void
conn_submit(struct nbd_conn *conn, struct nbd_request *request)
{
    request->ri.done = request_done;
    request->ri.context = request;
    if (ri_submit(conn->export_, &request->ri)) {
        reply_add(conn, request);
        return;
    }
    request->wait_prev = NULL;
    request->wait_next = conn->waiting;
    if (conn->waiting != NULL)
        conn->waiting->wait_prev = request;
    conn->waiting = request;
    conn->waiting_count++;
    conn->waited++;
}

static void
unlink_waiting(struct nbd_conn *conn, struct nbd_request *request)
{
    if (request->wait_prev != NULL)
        request->wait_prev->wait_next = request->wait_next;
    else
        conn->waiting = request->wait_next;
    if (request->wait_next != NULL)
        request->wait_next->wait_prev = request->wait_prev;
    conn->waiting_count--;
}

/* What completed meanwhile, oldest first: to be answered, or only recycled. */
static void
take_finished(struct nbd_conn *conn, bool answer)
{
    struct nbd_request *stack, *list = NULL;

    if (!conn_has_finished(conn))
        return;
    stack = atomic_exchange(&conn->finished, NULL);
    while (stack != NULL) {
        struct nbd_request *request = stack;

        stack = request->next;
        request->next = list;
        list = request;
    }
    while (list != NULL) {
        struct nbd_request *request = list;

        list = request->next;
        unlink_waiting(conn, request);
        if (answer)
            reply_add(conn, request);
        else
            pool_put(&conn->pool, request);
    }
}

/* FALSE: more than others should do, or than they may. */
static bool
queue_few(struct nbd_conn *conn)
{
    if (!conn->running || conn->stalled || conn->disc || conn->out.blocked ||
        atomic_load_explicit(&conn->stop, memory_order_relaxed))
        return false;
    take_finished(conn, true);
    return conn->out.bytes <= BURST_BYTES &&
           (conn->out.ready == NULL || conn->out.lent);
}

/* In the seat, which it leaves.  FALSE: the thread has to look. */
static bool
answer_now(struct nbd_conn *conn)
{
    if (queue_few(conn))
        return reply_send_outside(conn);
    pthread_mutex_unlock(&conn->seat);
    return false;
}

/* The end of a burst of answers, on the thread that brought them.  What they
 * brought is in its processor's cache, and ours need not be woken.  Much of it
 * is work for ours, which goes on beside that thread's own. */
static void
answer_burst(struct ri_after *after)
{
    struct nbd_conn *conn =
        (struct nbd_conn *) ((char *) after - offsetof(struct nbd_conn, burst));
    bool answered = false;

    atomic_store(&conn->burst_of, 0);
    if (pthread_mutex_trylock(&conn->seat) == 0)
        answered = answer_now(conn);
    if (!answered)
        tell(conn);
    atomic_fetch_sub(&conn->completing, 1);
}

/* --- the socket ----------------------------------------------------------- */

static void
compact(struct nbd_conn *conn)
{
    size_t there = conn->rx_end - conn->rx_start;

    if (conn->rx_start == 0)
        return;
    memmove(conn->rx, conn->rx + conn->rx_start, there);
    conn->rx_start = 0;
    conn->rx_end = there;
}

/* Into the payload's place first, then into rx. */
ssize_t
conn_receive(struct nbd_conn *conn)
{
    struct iovec iov[2];
    struct msghdr message = { .msg_iov = iov };
    size_t room, payload_left = 0;
    ssize_t got;

    compact(conn);
    room = RX_BYTES - conn->rx_end;
    if (conn->payload != NULL) {
        payload_left =
            (size_t) conn->payload->ri.length_bytes - conn->payload_done;
        iov[0].iov_base = conn->payload->data + conn->payload_done;
        iov[0].iov_len = payload_left;
        message.msg_iovlen = 1;
    }
    iov[message.msg_iovlen].iov_base = conn->rx + conn->rx_end;
    iov[message.msg_iovlen].iov_len =
        room < conn->rx_want ? room : conn->rx_want;
    message.msg_iovlen++;
    do
        got = recvmsg(conn->fd, &message, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
    if (got == 0)
        return -1;
    if ((size_t) got <= payload_left) {
        command_payload(conn, (size_t) got);
        return got;
    }
    conn->rx_end += (size_t) got - payload_left;
    if (payload_left > 0)
        command_payload(conn, payload_left);
    return got;
}

int
conn_need(struct nbd_conn *conn, size_t bytes)
{
    assert(bytes <= RX_BYTES);
    while (conn->rx_end - conn->rx_start < bytes) {
        uint64_t now = now_ms();
        ssize_t got;

        if (atomic_load(&conn->stop) || now >= conn->deadline_ms)
            return -1;
        got = conn_receive(conn);
        if (got < 0)
            return -1;
        if (got == 0)
            conn_sleep(conn, POLLIN, (int) (conn->deadline_ms - now));
    }
    return 0;
}

int
conn_send(struct nbd_conn *conn, const void *data, size_t bytes)
{
    const uint8_t *at = data;

    while (bytes > 0) {
        uint64_t now = now_ms();
        ssize_t sent;

        if (atomic_load(&conn->stop) || now >= conn->deadline_ms)
            return -1;
        sent = send(conn->fd, at, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0) {
            at += sent;
            bytes -= (size_t) sent;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            conn_sleep(conn, POLLOUT, (int) (conn->deadline_ms - now));
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

/* --- from beginning to end ------------------------------------------------ */

/* Nothing is owed to the client any more. */
static bool
is_settled(const struct nbd_conn *conn)
{
    return conn->waiting_count == 0 && conn->out.first == conn->out.count &&
           conn->out.ready == NULL;
}

/* One turn of the loop.  0: go on; 1: the end, in order; -1: drop. */
static int
turn(struct nbd_conn *conn, uint64_t *stop_ms)
{
    size_t queued;
    bool stop = atomic_load_explicit(&conn->stop, memory_order_relaxed);
    bool may_read;
    int timeout_ms = -1;

    conn->taken = 0;
    conn->took_payload = false;
    take_finished(conn, true);
    if (command_parse(conn) < 0)
        return -1;
    queued = conn->out.bytes;
    if (reply_send(conn) < 0)
        return -1;
    if (conn_has_finished(conn) || (conn->stalled && conn->out.bytes < queued))
        return 0;
    may_read = !conn->stalled && !conn->disc;
    if (may_read) {
        ssize_t got;

        if (!conn->out.blocked && !stop)
            conn_nap(conn);
        got = conn_receive(conn);
        if (got > 0)
            ri_watch_take(); /* however much the client sends */
        if (got != 0)
            return got > 0 ? 0 : -1;
    }
    if (is_settled(conn) && (conn->disc || stop))
        return 1;
    if (stop) {
        uint64_t now = now_ms();

        if (*stop_ms == 0)
            *stop_ms = now + STOP_GRACE_MS;
        if (now >= *stop_ms)
            return 1;
        timeout_ms = (int) (*stop_ms - now);
    }
    return conn_wait(conn, may_read, timeout_ms);
}

/* Lets the last replies arrive: to close with bytes unread would reset the
 * connection under them. */
static void
linger(struct nbd_conn *conn)
{
    uint64_t end_ms = now_ms() + LINGER_MS;

    shutdown(conn->fd, SHUT_WR);
    for (uint64_t now = now_ms(); now < end_ms; now = now_ms()) {
        struct pollfd polls = { .fd = conn->fd, .events = POLLIN };

        if (poll(&polls, 1, (int) (end_ms - now)) <= 0 ||
            recv(conn->fd, conn->rx, RX_BYTES, MSG_DONTWAIT) <= 0)
            return;
    }
}

void
conn_count_requests(struct nbd_conn *conn)
{
    struct nbd_server *server = conn->server;

    atomic_fetch_add(&server->requests, conn->requests);
    atomic_fetch_add(&server->waited, conn->waited);
    conn->requests = conn->waited = 0;
}

/* The socket first, so that the client knows; then everything that waits is
 * cancelled, and awaited however long it takes. */
static void
wind_up(struct nbd_conn *conn, bool in_order)
{
    conn->running = false;
    ri_watch_end();
    reply_await(conn);
    if (in_order)
        linger(conn);
    close(conn->fd);
    conn->fd = -1;
    if (conn->payload != NULL)
        pool_put(&conn->pool, conn->payload);
    if (conn->discard_reply != NULL)
        pool_put(&conn->pool, conn->discard_reply);
    conn->payload = conn->discard_reply = NULL;
    reply_drop(conn);
    for (struct nbd_request *request = conn->waiting; request != NULL;
         request = request->wait_next)
        ri_cancel(&request->ri);
    for (;;) {
        take_finished(conn, false);
        if (conn->waiting_count == 0)
            break;
        conn_sleep(conn, 0, -1);
    }
    while (atomic_load(&conn->completing) != 0)
        sched_yield();
    conn_count_requests(conn);
    if (conn->export_ != NULL)
        ri_close(conn->export_);
    conn->export_ = NULL;
}

void
conn_run(struct nbd_conn *conn)
{
    enum handshake_result shaken;
    uint64_t stop_ms = 0;
    int result;

    prctl(PR_SET_TIMERSLACK, 1ul, 0, 0, 0); /* else a nap takes twice */
    pthread_mutex_lock(&conn->seat);
    shaken = nbd_handshake(conn);
    result = shaken == HANDSHAKE_END ? 1 : -1;

    conn->running = shaken == HANDSHAKE_SERVE;
    if (conn->running)
        ri_watch_begin();
    if (conn->running)
        do
            result = turn(conn, &stop_ms);
        while (result == 0);
    wind_up(conn, result > 0);
    pthread_mutex_unlock(&conn->seat);
}
