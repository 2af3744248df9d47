/*
 * conn.c - one connection: its thread's loop, sleeping, waking, ending
 *
 * The loop takes what completed, parses what was received, sends what is to be
 * said, and receives again.  With nothing to do it polls the socket for some
 * microseconds, as long as that keeps paying off, and then sleeps in poll(2).
 * Waiting requests are completed on other threads by request_done(); a thread
 * that completes many sends their replies, if ours sleeps (answer_burst), which
 * may go on meanwhile.
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

#define SPIN_NS         60000u  /* how long to poll before sleeping */
#define SPIN_WORTH_NS   150000u /* a shorter sleep: polling might have paid */
#define SPIN_CREDIT_MAX 16u
#define SPIN_PAUSES     64    /* between two looks at the socket */
#define NAP_NS          30000 /* for the client to send more */
#define NAP_WINDOW      8u    /* clients with fewer in flight get none */
#define NAP_POOR        3u    /* so few after a nap: it was in vain */
#define IDLE_MS         1000  /* then spare buffers are given back */
#define IDLE_KEEP_BYTES (64u * 1024)
#define BURST_BYTES     (256u * 1024) /* of replies that others send */
#define LINGER_MS       50 /* for the client to take the last replies */

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

static bool
has_finished(struct nbd_conn *conn)
{
    return atomic_load_explicit(&conn->finished, memory_order_relaxed) != NULL;
}

/* What completed meanwhile, oldest first: to be answered, or only recycled. */
static void
take_finished(struct nbd_conn *conn, bool answer)
{
    struct nbd_request *stack, *list = NULL;

    if (!has_finished(conn))
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

/* Into the payload's place first, then into rx.  0: nothing there; -1: the
 * client is gone. */
static ssize_t
receive(struct nbd_conn *conn)
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

static void
drain_event(struct nbd_conn *conn)
{
    uint64_t count;

    /* Empty is fine. */
    if (read(conn->event_fd, &count, sizeof count) < 0)
        return;
}

/* Sleeps until the socket, a completion or nbd_server_stop wakes it.  Returns
 * what the socket has, 0 at the time limit. */
static short
sleep_on(struct nbd_conn *conn, short events, int timeout_ms)
{
    struct pollfd polls[2] = {
        { .fd = conn->fd, .events = events },
        { .fd = conn->event_fd, .events = POLLIN },
    };
    int count = 0;

    atomic_store(&conn->sleeping, true);
    if (atomic_load(&conn->finished) == NULL &&
        !reply_has_returned(&conn->out)) {
        pthread_mutex_unlock(&conn->seat);
        count = poll(polls, 2, timeout_ms);
        pthread_mutex_lock(&conn->seat);
    }
    atomic_store(&conn->sleeping, false);
    if (count <= 0)
        return 0;
    if (polls[1].revents != 0)
        drain_event(conn);
    return polls[0].revents;
}

static void
relax(void)
{
    for (int i = 0; i < SPIN_PAUSES; i++) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#else
        __asm__ volatile("" ::: "memory");
#endif
    }
}

/* Looks at the socket again and again.  1: there is something to do, received
 * bytes or a completion; 0: in vain; -1: the client is gone. */
static int
spin(struct nbd_conn *conn, uint64_t since_ns)
{
    do {
        ssize_t got;

        relax();
        if (has_finished(conn) ||
            atomic_load_explicit(&conn->stop, memory_order_relaxed))
            return 1;
        got = receive(conn);
        if (got != 0)
            return got > 0 ? 1 : -1;
    } while (nbd_now_ns() - since_ns < SPIN_NS);
    return 0;
}

/* Spinning must keep paying: each hit earns credit, a miss halves it, and only
 * short sleeps earn new one.  Never more spinners than processors to spare. */
static int
try_spin(struct nbd_conn *conn, uint64_t since_ns)
{
    struct nbd_server *server = conn->server;
    int result = 0;

    if (conn->spin_credit == 0)
        return 0;
    if (atomic_fetch_add(&server->spinners, 1) < server->spinners_max) {
        result = spin(conn, since_ns);
        if (result == 0)
            conn->spin_credit /= 2;
        else if (conn->spin_credit < SPIN_CREDIT_MAX)
            conn->spin_credit++;
    }
    atomic_fetch_sub(&server->spinners, 1);
    return result;
}

/*
 * A client with much in flight that sends while it still has replies to look at
 * costs both sides least when its requests are taken many at a time.  So when
 * clearly fewer came than it keeps in flight (it has work left), sleep for a
 * moment before looking again.  Not while data are coming in: that is work
 * which goes on beside the client's own; nor while requests wait, for then it
 * is the replies to those that bring new ones.
 */
static void
nap(struct nbd_conn *conn)
{
    const struct timespec moment = { .tv_nsec = NAP_NS };
    unsigned taken = conn->taken;

    if (taken >= conn->window)
        conn->window = taken;
    else if (taken < NAP_POOR || ++conn->window_age % 64 == 0)
        conn->window -= (conn->window + 7) / 8;
    if (taken == 0 || conn->took_payload || conn->waiting_count != 0 ||
        conn->window < NAP_WINDOW || taken >= conn->window - conn->window / 4)
        return;
    clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
}

static void
count_requests(struct nbd_conn *conn)
{
    struct nbd_server *server = conn->server;

    atomic_fetch_add(&server->requests, conn->requests);
    atomic_fetch_add(&server->waited, conn->waited);
    conn->requests = conn->waited = 0;
}

/* Sleeps, giving spare buffers back when that takes longer. */
static short
sleep_idle(struct nbd_conn *conn, short events, int timeout_ms)
{
    short revents;

    if (timeout_ms >= 0 || conn->pool.free_bytes <= IDLE_KEEP_BYTES)
        return sleep_on(conn, events, timeout_ms);
    revents = sleep_on(conn, events, IDLE_MS);
    if (revents == 0 && !has_finished(conn))
        pool_trim(&conn->pool, IDLE_KEEP_BYTES);
    return revents;
}

/* Nothing can be done now.  -1: the client is gone. */
static int
wait_for_work(struct nbd_conn *conn, bool may_read, int timeout_ms)
{
    const short gone = POLLHUP | POLLERR | POLLNVAL | POLLRDHUP;
    uint64_t since_ns = nbd_now_ns();
    short events = 0, revents;
    int result;

    /* What waits is answered on another thread, which needs the processor. */
    if (may_read && !conn->out.blocked && timeout_ms < 0 &&
        conn->waiting_count == 0) {
        result = try_spin(conn, since_ns);
        if (result != 0)
            return result < 0 ? -1 : 0;
    }
    count_requests(conn);
    if (may_read)
        events |= POLLIN;
    if (conn->out.blocked)
        events |= POLLOUT;
    else if (conn->stalled)
        events |= POLLRDHUP; /* or nothing would show that it has gone */
    revents = sleep_idle(conn, events, timeout_ms);
    if (!may_read && (revents & gone))
        return -1;
    if (!(revents & POLLIN))
        return 0;
    if (nbd_now_ns() - since_ns > SPIN_WORTH_NS)
        conn->spin_credit = 0;
    else if (conn->spin_credit < SPIN_CREDIT_MAX)
        conn->spin_credit++;
    return 0;
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
        got = receive(conn);
        if (got < 0)
            return -1;
        if (got == 0)
            sleep_on(conn, POLLIN, (int) (conn->deadline_ms - now));
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
            sleep_on(conn, POLLOUT, (int) (conn->deadline_ms - now));
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
    if (has_finished(conn) || (conn->stalled && conn->out.bytes < queued))
        return 0;
    may_read = !conn->stalled && !conn->disc;
    if (may_read) {
        ssize_t got;

        if (!conn->out.blocked && !stop)
            nap(conn);
        got = receive(conn);
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
    return wait_for_work(conn, may_read, timeout_ms);
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

/* The socket first, so that the client knows; then everything that waits is
 * cancelled, and awaited however long it takes. */
static void
wind_up(struct nbd_conn *conn, bool in_order)
{
    conn->running = false;
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
        sleep_on(conn, 0, -1);
    }
    while (atomic_load(&conn->completing) != 0)
        sched_yield();
    count_requests(conn);
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
        do
            result = turn(conn, &stop_ms);
        while (result == 0);
    wind_up(conn, result > 0);
    pthread_mutex_unlock(&conn->seat);
}
