/*
 * wait.c - one connection: how its thread waits when there is nothing to do
 *
 * It polls the socket for some microseconds, as long as that keeps paying off,
 * and then sleeps in poll(2).  While the client clearly has work left it naps
 * for some more, so that many requests come together.  Where answers of a device
 * can be had from a descriptor (ri_watch_fd) it takes them in as well.
 *
 * SPDX-License-Identifier: MIT
 */
#include "nbd/nbd_internal.h"

#include <poll.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#define SPIN_NS         60000u  /* how long to poll before sleeping */
#define SPIN_WORTH_NS   150000u /* a shorter sleep: polling might have paid */
#define SPIN_CREDIT_MAX 16u
#define SPIN_PAUSES     64     /* between two looks at the socket */
#define YIELD_NS        50000u /* for answers to come; see await_answers */
#define NAP_NS          30000  /* for the client to send more */
#define NAP_WINDOW      8u     /* clients with fewer in flight get none */
#define NAP_POOR        3u     /* so few after a nap: it was in vain */
#define IDLE_MS         1000   /* then spare buffers are given back */
#define IDLE_KEEP_BYTES (64u * 1024)

static void
drain_event(struct nbd_conn *conn)
{
    uint64_t count;

    /* Empty is fine. */
    if (read(conn->event_fd, &count, sizeof count) < 0)
        return;
}

short
conn_sleep(struct nbd_conn *conn, short events, int timeout_ms)
{
    struct pollfd polls[] = {
        { .fd = conn->fd, .events = events },
        { .fd = conn->event_fd, .events = POLLIN },
        { .fd = ri_watch_fd(), .events = POLLIN },
    };
    int count = 0;

    conn->took_answers = false;
    atomic_store(&conn->sleeping, true);
    if (atomic_load(&conn->finished) == NULL &&
        !reply_has_returned(&conn->out)) {
        pthread_mutex_unlock(&conn->seat);
        count = poll(polls, sizeof polls / sizeof polls[0], timeout_ms);
        pthread_mutex_lock(&conn->seat);
    }
    atomic_store(&conn->sleeping, false);
    if (count <= 0)
        return 0;
    if (polls[1].revents != 0)
        drain_event(conn);
    if (polls[2].revents != 0)
        conn->took_answers = ri_watch_take();
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
        if (conn_has_finished(conn) ||
            atomic_load_explicit(&conn->stop, memory_order_relaxed))
            return 1;
        got = conn_receive(conn);
        if (got != 0)
            return got > 0 ? 1 : -1;
    } while (nbd_now_ns() - since_ns < SPIN_NS);
    return 0;
}

/*
 * A device that is busy with many requests answers more of them in a moment:
 * taken together they cost all sides less, and the device has work meanwhile.
 * The processor is offered to others, the device's own end perhaps, but not
 * given back, for who sleeps is woken late, and wherever the answers come in.
 */
static int
await_answers(struct nbd_conn *conn, uint64_t since_ns)
{
    ssize_t got;

    do {
        sched_yield();
        if (conn_has_finished(conn) ||
            atomic_load_explicit(&conn->stop, memory_order_relaxed))
            return 1;
    } while (nbd_now_ns() - since_ns < YIELD_NS);
    if (ri_watch_take())
        return 1;
    got = conn_receive(conn);
    return got < 0 ? -1 : got > 0;
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
        result = conn->waiting_count > 0 ? await_answers(conn, since_ns)
                                         : spin(conn, since_ns);
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
void
conn_nap(struct nbd_conn *conn)
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

/* Sleeps, giving spare buffers back when that takes longer. */
static short
sleep_idle(struct nbd_conn *conn, short events, int timeout_ms)
{
    short revents;

    if (timeout_ms >= 0 || conn->pool.free_bytes <= IDLE_KEEP_BYTES)
        return conn_sleep(conn, events, timeout_ms);
    revents = conn_sleep(conn, events, IDLE_MS);
    if (revents == 0 && !conn_has_finished(conn))
        pool_trim(&conn->pool, IDLE_KEEP_BYTES);
    return revents;
}

/* What waits is answered on another thread, which needs the processor; or by
 * this one. */
static bool
may_spin(const struct nbd_conn *conn)
{
    return conn->waiting_count == 0 ||
           (conn->waiting_count >= NAP_WINDOW && ri_watch_fd() >= 0);
}

int
conn_wait(struct nbd_conn *conn, bool may_read, int timeout_ms)
{
    const short gone = POLLHUP | POLLERR | POLLNVAL | POLLRDHUP;
    uint64_t since_ns = nbd_now_ns();
    short events = 0, revents;
    int result;

    if (may_read && !conn->out.blocked && timeout_ms < 0 && may_spin(conn)) {
        result = try_spin(conn, since_ns);
        if (result != 0)
            return result < 0 ? -1 : 0;
    }
    conn_count_requests(conn);
    if (may_read)
        events |= POLLIN;
    if (conn->out.blocked)
        events |= POLLOUT;
    else if (conn->stalled)
        events |= POLLRDHUP; /* or nothing would show that it has gone */
    revents = sleep_idle(conn, events, timeout_ms);
    if (!may_read && (revents & gone))
        return -1;
    if (!(revents & POLLIN) && !conn->took_answers)
        return 0;
    if (nbd_now_ns() - since_ns > SPIN_WORTH_NS)
        conn->spin_credit = 0;
    else if (conn->spin_credit < SPIN_CREDIT_MAX)
        conn->spin_credit++;
    return 0;
}
