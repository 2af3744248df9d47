/*
 * iscsi_session.c - a session with an iSCSI target, and its thread
 *
 * The thread sends what arrives in `incoming`, all of it in one go, and takes
 * in answers, all that are there, before it sleeps again.  Commands of a burst
 * are sent by the thread that gave them, if the session's sleeps: it takes the
 * seat meanwhile, and nobody has to be woken; and if it can watch (base/watch.h)
 * it takes in the answers as well, so that the session's has the clock, the
 * units' other wishes and the end to look after.  libiscsi's own way of
 * connecting anew, which sends again what was on its way, is off: after a
 * lost session nothing is sent again here.  A new session is tried with longer
 * and longer pauses; until then commands fail at once.
 *
 * Context: PASSIVE.  Lock: a session's seat, then its lock; none is held over a
 * completion.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/iscsi.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/trace.h"

#define PAUSE_FIRST_MS   250
#define PAUSE_LONGEST_MS 8000
#define PAUSE_REFUSED_MS 64000 /* ... as long as we are refused */
#define LIFE_MS          2000  /* of silence: it is asked for a sign of life */
#define SILENT_MS        1000  /* ... without one: that is told */
#define GONE_MS          5000  /* ... still: it is given up */
#define FUNCTION_MS      3000  /* for task management to be answered */
#define BURST_BYTES      (256u * 1024)

/* Real time: a peer does not wait for a clock that tests move. */
static uint64_t
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}

static void
set_state(struct iscsi_session *session, enum iscsi_state state)
{
    pthread_mutex_lock(&session->lock);
    session->state = state;
    pthread_cond_broadcast(&session->changed);
    pthread_mutex_unlock(&session->lock);
    TRACE(TRACE_PORT, "target=%s state=%d %s", session->target, (int) state,
          session->error);
}

/* --- connecting --------------------------------------------------------------- */

static void
say_why(struct iscsi_session *session, const char *what)
{
    const char *text =
        session->iscsi != NULL ? iscsi_get_error(session->iscsi) : "";

    /* libiscsi's word for what it was told not to do; what a unit said, which
     * is no reason. */
    if (strstr(text, "reconnect") != NULL)
        text = session->state == ISCSI_UP ? "" : "cannot be reached";
    else if (strstr(text, "SENSE KEY") != NULL)
        text = "";
    pthread_mutex_lock(&session->lock);
    session->refused = session->refusal;
    iscsi_login_why(session, what, text, session->error, sizeof session->error);
    pthread_mutex_unlock(&session->lock);
}

/* Whoever adds or removes a unit waits until the walk is over. */
static void
for_each_unit(struct iscsi_session *session, void (*fn)(struct iscsi_unit *))
{
    PLIST_ENTRY at;

    pthread_mutex_lock(&session->lock);
    session->walking = true;
    pthread_mutex_unlock(&session->lock);
    for (at = session->units.Flink; at != &session->units; at = at->Flink)
        fn(CONTAINING_RECORD(at, struct iscsi_unit, link));
    pthread_mutex_lock(&session->lock);
    session->walking = false;
    pthread_cond_broadcast(&session->changed);
    pthread_mutex_unlock(&session->lock);
}

static void connect_to_target(struct iscsi_session *session);

static void
set_silent(struct iscsi_session *session, bool silent)
{
    __atomic_store_n(&session->silent, silent, __ATOMIC_RELAXED);
}

/* Cancels what is on its way.  A watcher that sleeps on the socket keeps it
 * open until it wakes: the target has to know now. */
static void
disconnect(struct iscsi_session *session)
{
    if (session->iscsi == NULL)
        return;
    watch_drop(&session->source);
    shutdown(iscsi_get_fd(session->iscsi), SHUT_RDWR);
    iscsi_destroy_context(session->iscsi);
    session->iscsi = NULL;
}

static void
go_down(struct iscsi_session *session, const char *why)
{
    unsigned longest;

    if (session->state == ISCSI_CONNECTING && iscsi_login_follow(session)) {
        iscsi_destroy_context(session->iscsi);
        connect_to_target(session);
        return;
    }
    say_why(session, why);
    pthread_mutex_lock(&session->lock);
    session->tried = true;
    pthread_mutex_unlock(&session->lock);
    set_state(session, ISCSI_DOWN);
    for_each_unit(session, iscsi_unit_lost);
    disconnect(session);
    session->ended = false;
    session->functions = 0;
    set_silent(session, false);
    for_each_unit(session, iscsi_unit_over);
    longest = iscsi_login_is_ours(session->refusal) ? PAUSE_REFUSED_MS
                                                    : PAUSE_LONGEST_MS;
    session->next_ms = now_ms() + session->pause_ms;
    session->pause_ms *= 2;
    if (session->pause_ms > longest)
        session->pause_ms = longest;
}

static void
logged_in(struct iscsi_context *iscsi, int status, void *data, void *context)
{
    struct iscsi_session *session = context;

    (void) data;
    if (status != SCSI_STATUS_GOOD) {
        session->next_ms = 0; /* seen by the caller of iscsi_service */
        if (status == SCSI_STATUS_REDIRECT)
            iscsi_login_refused(session, SCSI_STATUS_REDIRECT);
        else if (status == SCSI_STATUS_ERROR) /* it said so */
            iscsi_login_refused(session,
                                iscsi_login_status(iscsi_get_error(iscsi)));
        return;
    }
    iscsi_login_good(session);
    session->pause_ms = PAUSE_FIRST_MS;
    session->next_ms = now_ms() + LIFE_MS;
    session->heard = false;
    session->asked_ms = 0;
    set_state(session, ISCSI_UP);
    for_each_unit(session, iscsi_unit_up);
}

/* Not libiscsi's connect in one go: its TEST UNIT READY would take the unit
 * attention that is meant for us. */
static void
connected(struct iscsi_context *iscsi, int status, void *data, void *context)
{
    struct iscsi_session *session = context;

    (void) data;
    if (status != SCSI_STATUS_GOOD ||
        iscsi_login_async(iscsi, logged_in, session) != 0)
        session->next_ms = 0;
}

static void
connect_to_target(struct iscsi_session *session)
{
    struct iscsi_context *iscsi = iscsi_create_context(session->initiator);

    session->iscsi = iscsi;
    session->next_ms = now_ms() + ISCSI_LOGIN_LIMIT_MS;
    session->refusal = 0;
    session->onward[0] = '\0';
    session->nowhere = false;
    if (iscsi == NULL) {
        go_down(session, "out of memory");
        return;
    }
    session->broken = false;
    session->functions = 0;
    iscsi_set_isid_random(iscsi, session->isid, 0);
    iscsi_set_noautoreconnect(iscsi, 1);
    iscsi_set_targetname(iscsi, session->target);
    iscsi_set_session_type(iscsi, ISCSI_SESSION_NORMAL);
    iscsi_set_header_digest(iscsi, ISCSI_HEADER_DIGEST_NONE_CRC32C);
    if (session->user[0] != '\0')
        iscsi_set_initiator_username_pwd(iscsi, session->user, session->secret);
    set_state(session, ISCSI_CONNECTING);
    if (iscsi_connect_async(iscsi, session->via, connected, session) != 0)
        go_down(session, "connect");
}

void
iscsi_session_expects(struct iscsi_session *session)
{
    if (session->functions++ == 0)
        session->functions_ms = now_ms() + FUNCTION_MS;
}

void
iscsi_session_got(struct iscsi_session *session)
{
    if (session->functions > 0 && --session->functions > 0)
        session->functions_ms = now_ms() + FUNCTION_MS;
}

/* --- rounds ------------------------------------------------------------------------ */

static void
nop_done(struct iscsi_context *iscsi, int status, void *data, void *context)
{
    (void) iscsi;
    (void) status;
    (void) data;
    (void) context;
}

/* Something is there that was not taken in yet: we were slow, not the target. */
static bool
has_input(struct iscsi_session *session)
{
    struct pollfd input = { .fd = iscsi_get_fd(session->iscsi),
                            .events = POLLIN };

    return poll(&input, 1, 0) > 0;
}

/*
 * Whatever comes is one; who is asked for one, and gives none, has stopped or
 * cannot be reached.  More than the five seconds in which TCP brings again what
 * was lost on the way, less than a command's time limit.
 */
static void
look_for_life(struct iscsi_session *session, uint64_t now)
{
    if (session->heard || (session->asked_ms != 0 && has_input(session))) {
        session->heard = false;
        session->asked_ms = 0;
        session->next_ms = now + LIFE_MS;
    } else if (session->asked_ms == 0) {
        iscsi_nop_out_async(session->iscsi, nop_done, NULL, 0, NULL);
        session->asked_ms = now;
        session->next_ms = now + SILENT_MS;
    } else if (now < session->asked_ms + GONE_MS) {
        set_silent(session, true);
        session->next_ms = session->asked_ms + GONE_MS;
    } else {
        go_down(session, "the target does not answer");
    }
}

/* What is due by the clock; in how many ms something is next. */
static int
by_the_clock(struct iscsi_session *session)
{
    uint64_t now = now_ms(), next = session->next_ms;

    if (session->functions > 0 && session->functions_ms <= now) {
        go_down(session, "the target does not end commands");
        return 0;
    }
    if (session->functions > 0 && session->functions_ms < next)
        next = session->functions_ms;
    if (next > now)
        return (int) (next - now);
    if (session->state == ISCSI_DOWN) {
        iscsi_login_begin(session);
        connect_to_target(session);
    } else if (session->state == ISCSI_CONNECTING) {
        go_down(session, "the target does not answer the login");
    } else {
        look_for_life(session, now);
    }
    now = now_ms();
    return session->next_ms > now ? (int) (session->next_ms - now) : 0;
}

static void
take_in(struct iscsi_session *session)
{
    LIST_ENTRY mine;

    pthread_mutex_lock(&session->lock);
    InitializeListHead(&mine);
    while (!IsListEmpty(&session->incoming))
        InsertTailList(&mine, RemoveHeadList(&session->incoming));
    pthread_mutex_unlock(&session->lock);
    while (!IsListEmpty(&mine))
        iscsi_unit_start(CONTAINING_RECORD(RemoveHeadList(&mine),
                                           struct iscsi_command, link));
}

static bool
may_sleep(struct iscsi_session *session)
{
    bool empty;

    __atomic_store_n(&session->sleeping, true, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&session->lock);
    empty = IsListEmpty(&session->incoming) && IsListEmpty(&session->answered);
    pthread_mutex_unlock(&session->lock);
    /* What others found in its seat. */
    if (session->ended || session->broken || session->luns_changed)
        empty = false;
    if (!empty)
        __atomic_store_n(&session->sleeping, false, __ATOMIC_SEQ_CST);
    return empty;
}

/*
 * What was queued, in one go: each command would otherwise be a segment of its
 * own, and wake the target for itself.  FALSE: the session has ended.
 */
static bool
send_queued(struct iscsi_session *session)
{
    int fd, on = 1, off = 0;

    if (session->state != ISCSI_UP ||
        !(iscsi_which_events(session->iscsi) & POLLOUT))
        return true;
    fd = iscsi_get_fd(session->iscsi);
    setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
    if (iscsi_service(session->iscsi, POLLOUT) < 0)
        return false;
    setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof off);
    return true;
}

/* The connection takes no more now: that there is room again is for the thread
 * to wait for, nobody else polls for that. */
static bool
is_full(struct iscsi_session *session)
{
    return !session->ended &&
           (iscsi_which_events(session->iscsi) & POLLOUT) != 0;
}

/* By who has just given commands, and watches from now on if it can.  TRUE: the
 * thread has something to do. */
static bool
send_burst(struct iscsi_session *session)
{
    if (session->state != ISCSI_UP || session->ended)
        return true;
    take_in(session);
    if (!send_queued(session))
        session->ended = true;
    if (!session->ended &&
        watch_offer(&session->source, iscsi_get_fd(session->iscsi)))
        __atomic_fetch_add(&session->pins, 1, __ATOMIC_RELAXED);
    return session->ended || !IsListEmpty(&session->answered) ||
           is_full(session);
}

/* Until there is something to do.  Returns what the connection is ready for. */
static short
sleep_on(struct iscsi_session *session, int timeout_ms)
{
    struct pollfd fds[2] = { { .fd = session->wake_fd, .events = POLLIN },
                             { .fd = -1 } };
    uint64_t count;

    if (!may_sleep(session))
        timeout_ms = 0;
    if (session->iscsi != NULL) {
        fds[1].events = (short) iscsi_which_events(session->iscsi);
        /* That it is gone is for this thread, who else may take in answers. */
        if (watch_is_watched(&session->source))
            fds[1].events = (short) ((fds[1].events & ~POLLIN) | POLLRDHUP);
        fds[1].fd = iscsi_get_fd(session->iscsi);
    }
    pthread_mutex_unlock(&session->seat);
    poll(fds, 2, timeout_ms);
    __atomic_store_n(&session->sleeping, false, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&session->seat);
    if (fds[0].revents & POLLIN &&
        read(session->wake_fd, &count, sizeof count) < 0)
        TRACE(TRACE_PORT, "eventfd: %d", errno);
    return fds[1].revents;
}

/* What the socket is ready for.  A connection that the target closes may have
 * brought answers before.  FALSE: the session has ended. */
static bool
serve(struct iscsi_session *session, short ready)
{
    bool closed = (ready & POLLRDHUP) != 0;

    if (closed)
        ready |= POLLIN;
    if (!session->ended && ready != 0 &&
        iscsi_service(session->iscsi, ready) < 0)
        return false;
    if (ready & POLLIN) {
        session->heard = true;
        if (session->silent)
            set_silent(session, false);
    }
    return !session->ended && !closed;
}

static void
wait_and_serve(struct iscsi_session *session, int timeout_ms)
{
    short ready;

    if (session->ended || !send_queued(session)) {
        go_down(session, "the session ended");
        return; /* answers are to be passed up, and the time is another */
    }
    ready = sleep_on(session, timeout_ms);
    if (session->iscsi == NULL)
        return;
    if (!serve(session, ready))
        go_down(session, "the session ended");
    else if (session->next_ms == 0)
        go_down(session, "login");
    else if (session->broken)
        go_down(session, "the target does not end commands");
}

static void
take_answered(struct iscsi_session *session, PLIST_ENTRY out_mine)
{
    while (!IsListEmpty(&session->answered))
        InsertTailList(out_mine, RemoveHeadList(&session->answered));
}

static void
pass_up(struct iscsi_session *session)
{
    LIST_ENTRY mine;

    if (IsListEmpty(&session->answered))
        return;
    InitializeListHead(&mine);
    take_answered(session, &mine);
    pthread_mutex_unlock(&session->seat);
    iscsi_pass_up(&mine);
    pthread_mutex_lock(&session->seat);
}

static bool
stopped(struct iscsi_session *session)
{
    bool stop;

    pthread_mutex_lock(&session->lock);
    stop = session->stop;
    pthread_mutex_unlock(&session->lock);
    return stop;
}

static void
say_goodbye(struct iscsi_session *session)
{
    if (session->iscsi == NULL)
        return;
    if (session->state == ISCSI_UP) {
        watch_drop(&session->source);
        iscsi_set_timeout(session->iscsi, 1);
        iscsi_logout_sync(session->iscsi);
    }
    disconnect(session);
}

void *
iscsi_session_run(void *context)
{
    struct iscsi_session *session = context;

    pthread_mutex_lock(&session->seat);
    while (!stopped(session)) {
        int timeout_ms;

        if (session->ended) /* another found so */
            go_down(session, "the session ended");
        timeout_ms = by_the_clock(session);
        for_each_unit(session, iscsi_unit_look);
        take_in(session);
        pass_up(session);
        wait_and_serve(session, timeout_ms);
        if (session->luns_changed)
            for_each_unit(session, iscsi_unit_turned);
        session->luns_changed = false;
        pass_up(session);
    }
    say_goodbye(session);
    pass_up(session);
    pthread_mutex_unlock(&session->seat);
    return NULL;
}

void
iscsi_session_wake(struct iscsi_session *session)
{
    uint64_t one = 1;

    if (__atomic_exchange_n(&session->sleeping, false, __ATOMIC_SEQ_CST) &&
        write(session->wake_fd, &one, sizeof one) < 0)
        TRACE(TRACE_PORT, "eventfd: %d", errno);
}

/* --- bursts ---------------------------------------------------------------------------- */

/* Much data is work for the session's thread, beside ours. */
static void
burst_over(struct burst_node *node)
{
    struct iscsi_session *session =
        CONTAINING_RECORD(node, struct iscsi_session, burst);
    bool few = session->burst_bytes <= BURST_BYTES, more = true;

    __atomic_store_n(&session->burst_of, 0, __ATOMIC_RELEASE);
    if (few && pthread_mutex_trylock(&session->seat) == 0) {
        more = send_burst(session);
        pthread_mutex_unlock(&session->seat);
    }
    if (more)
        iscsi_session_wake(session);
    iscsi_session_unpin(session);
}

void
iscsi_session_start(struct iscsi_session *session, size_t out_bytes)
{
    pthread_t self = pthread_self(), nobody = 0;

    if (burst_open(BURST_REQUESTS)) {
        if (__atomic_compare_exchange_n(&session->burst_of, &nobody, self,
                                        false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED)) {
            session->burst_bytes = out_bytes;
            __atomic_fetch_add(&session->pins, 1, __ATOMIC_RELAXED);
            burst_defer(BURST_REQUESTS, &session->burst);
            return;
        }
        if (nobody == self) {
            session->burst_bytes += out_bytes;
            return;
        }
    }
    iscsi_session_wake(session);
}

/* --- a watcher ------------------------------------------------------------------------- */

/*
 * FALSE: there is nothing to take, or the thread has the seat, and does it.
 * What ends with the session is for the thread: not before its units know that
 * their media may be others.
 */
static bool
take_watched(struct watch_source *source)
{
    struct iscsi_session *session =
        CONTAINING_RECORD(source, struct iscsi_session, source);
    LIST_ENTRY mine;
    bool up, more, full, some;

    if (pthread_mutex_trylock(&session->seat) != 0)
        return false;
    up = session->state == ISCSI_UP;
    if (up && (!serve(session, POLLIN) || !send_queued(session)))
        session->ended = true;
    full = up && is_full(session);
    more = session->ended || session->broken || session->luns_changed;
    InitializeListHead(&mine);
    if (!more)
        take_answered(session, &mine);
    pthread_mutex_unlock(&session->seat);
    if (more || full)
        iscsi_session_wake(session);
    some = !IsListEmpty(&mine);
    /* What they let others send goes in one burst. */
    burst_begin(BURST_REQUESTS);
    iscsi_pass_up(&mine);
    burst_end(BURST_REQUESTS);
    return some;
}

static void
watcher_left(struct watch_source *source)
{
    struct iscsi_session *session =
        CONTAINING_RECORD(source, struct iscsi_session, source);

    iscsi_session_wake(session);
    iscsi_session_unpin(session);
}

void
iscsi_session_prepare(struct iscsi_session *session)
{
    session->pause_ms = PAUSE_FIRST_MS;
    /* A login under the name of a session that was lost ends it at the target,
     * and what it still had to do (RFC 7143, 6.3.5): no write of before runs
     * after those of now. */
    session->isid = (uint32_t) now_ms() ^ (uint32_t) getpid() << 12 ^
                    (uint32_t) (uintptr_t) session;
    session->burst.run = burst_over;
    session->source.take = take_watched;
    session->source.left = watcher_left;
}
