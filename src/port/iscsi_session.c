/*
 * iscsi_session.c - a session with an iSCSI target, and its thread
 *
 * The thread sends what arrives in `incoming`, all of it in one go, and takes
 * in answers, all that are there, before it sleeps again; while they keep
 * coming, for a set time, so that many are there.  Commands of a burst
 * are sent by the thread that gave them, if the session's sleeps: it takes the
 * seat meanwhile, and nobody has to be woken.  libiscsi's own way
 * of connecting anew, which sends again what was on its way, is off: after a
 * lost session nothing is sent again here.  A new session is tried with longer
 * and longer pauses; until then commands fail at once.
 *
 * Context: PASSIVE.  Lock: the registry's, then a session's seat, then its
 * lock; none is held over a completion.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/iscsi.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/trace.h"

#define LOGIN_LIMIT_MS   5000
#define PAUSE_FIRST_MS   250
#define PAUSE_LONGEST_MS 8000
#define PAUSE_REFUSED_MS 64000 /* ... as long as we are refused */
#define LIFE_MS          5000  /* between signs of life */
#define LIFE_MISSING     3     /* so many without an answer: it is gone */
#define FUNCTION_MS      3000  /* for task management to be answered */
#define BURST_BYTES      (256u * 1024)
#define NAP_MIN_NS       12500
#define NAP_MAX_NS       200000
#define NAP_WINDOW       8 /* with fewer on their way there is none */

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct iscsi_session *registry;

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

    /* libiscsi's word for what it was told not to do. */
    if (strstr(text, "reconnect") != NULL)
        text = session->state == ISCSI_UP ? "" : "cannot be reached";
    pthread_mutex_lock(&session->lock);
    session->refused = session->refusal;
    if (session->refused != 0)
        snprintf(session->error, sizeof session->error,
                 "the login is refused (%04X): %s", session->refused,
                 iscsi_login_words(session->refused, session->user[0] != '\0'));
    else
        snprintf(session->error, sizeof session->error, "%s%s%s", what,
                 text[0] != '\0' ? ": " : "", text);
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

/* Destroying the context cancels what is on its way. */
static void
go_down(struct iscsi_session *session, const char *why)
{
    unsigned longest;

    say_why(session, why);
    pthread_mutex_lock(&session->lock);
    session->tried = true;
    pthread_mutex_unlock(&session->lock);
    set_state(session, ISCSI_DOWN);
    session->ended = false;
    for_each_unit(session, iscsi_unit_lost);
    if (session->iscsi != NULL)
        iscsi_destroy_context(session->iscsi);
    session->iscsi = NULL;
    session->functions = 0;
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
            session->refusal = SCSI_STATUS_REDIRECT;
        else if (status == SCSI_STATUS_ERROR) /* it said so */
            session->refusal = iscsi_login_status(iscsi_get_error(iscsi));
        return;
    }
    session->pause_ms = PAUSE_FIRST_MS;
    session->next_ms = now_ms() + LIFE_MS;
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
    session->next_ms = now_ms() + LOGIN_LIMIT_MS;
    if (iscsi == NULL) {
        go_down(session, "out of memory");
        return;
    }
    session->broken = false;
    session->functions = 0;
    session->refusal = 0;
    iscsi_set_isid_random(iscsi, session->isid, 0);
    iscsi_set_noautoreconnect(iscsi, 1);
    iscsi_set_targetname(iscsi, session->target);
    iscsi_set_session_type(iscsi, ISCSI_SESSION_NORMAL);
    iscsi_set_header_digest(iscsi, ISCSI_HEADER_DIGEST_NONE_CRC32C);
    if (session->user[0] != '\0')
        iscsi_set_initiator_username_pwd(iscsi, session->user, session->secret);
    set_state(session, ISCSI_CONNECTING);
    if (iscsi_connect_async(iscsi, session->portal, connected, session) != 0)
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
        connect_to_target(session);
    } else if (session->state == ISCSI_CONNECTING) {
        go_down(session, "login");
    } else if (iscsi_get_nops_in_flight(session->iscsi) >= LIFE_MISSING) {
        go_down(session, "the target does not answer");
    } else {
        iscsi_nop_out_async(session->iscsi, nop_done, NULL, 0, NULL);
        session->next_ms = now + LIFE_MS;
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

/* By who has just given commands.  TRUE: the thread has something to do. */
static bool
send_burst(struct iscsi_session *session)
{
    if (session->state != ISCSI_UP || session->ended)
        return true;
    take_in(session);
    session->ended = !send_queued(session);
    return session->ended || !IsListEmpty(&session->answered) ||
           iscsi_which_events(session->iscsi) & POLLOUT;
}

/* So that about half of what is on its way has been answered after it. */
static void
choose_nap(struct iscsi_session *session, unsigned came)
{
    unsigned of = session->in_flight + came;

    if (came < of * 3 / 8 && session->nap_ns < NAP_MAX_NS)
        session->nap_ns *= 2;
    else if (came > of * 5 / 8 && session->nap_ns > NAP_MIN_NS)
        session->nap_ns /= 2;
}

/*
 * A target that is busy with many commands answers more of them in a moment,
 * and more are given to us: taken together they cost less, on both sides.  So
 * while answers keep coming nobody waits for the next, which would have the
 * target wake us for it: they are looked for after a nap; the target has work
 * meanwhile.  Not while it does not take what we have for it.
 */
static bool
may_nap(struct iscsi_session *session)
{
    unsigned came = session->came;
    bool empty;

    session->came = 0;
    if (came == 0 || session->in_flight < NAP_WINDOW ||
        session->state != ISCSI_UP ||
        iscsi_which_events(session->iscsi) & POLLOUT)
        return false;
    choose_nap(session, came);
    pthread_mutex_lock(&session->lock);
    empty = IsListEmpty(&session->incoming);
    pthread_mutex_unlock(&session->lock);
    return empty && IsListEmpty(&session->answered);
}

static void
nap(struct iscsi_session *session)
{
    struct timespec moment = { .tv_nsec = session->nap_ns };

    pthread_mutex_unlock(&session->seat);
    clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
    pthread_mutex_lock(&session->seat);
}

/* Until there is something to do.  Returns what the connection is ready for. */
static short
sleep_on(struct iscsi_session *session, int timeout_ms)
{
    struct pollfd fds[2] = { { .fd = session->wake_fd, .events = POLLIN },
                             { .fd = -1 } };
    uint64_t count;

    if (session->iscsi != NULL) {
        fds[1].fd = iscsi_get_fd(session->iscsi);
        fds[1].events = (short) iscsi_which_events(session->iscsi);
    }
    if (!may_sleep(session))
        timeout_ms = 0;
    pthread_mutex_unlock(&session->seat);
    poll(fds, 2, timeout_ms);
    __atomic_store_n(&session->sleeping, false, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&session->seat);
    if (fds[0].revents & POLLIN &&
        read(session->wake_fd, &count, sizeof count) < 0)
        TRACE(TRACE_PORT, "eventfd: %d", errno);
    return fds[1].revents;
}

static void
wait_and_serve(struct iscsi_session *session, int timeout_ms)
{
    short ready = POLLIN;

    if (session->ended || !send_queued(session)) {
        go_down(session, "the session ended");
        return; /* answers are to be passed up, and the time is another */
    }
    if (may_nap(session))
        nap(session);
    else
        ready = sleep_on(session, timeout_ms);
    if (session->iscsi == NULL)
        return;
    if (session->ended ||
        (ready != 0 && iscsi_service(session->iscsi, ready) < 0))
        go_down(session, "the session ended");
    else if (session->next_ms == 0)
        go_down(session, "login");
    else if (session->broken)
        go_down(session, "the target does not end commands");
}

static void
pass_up(struct iscsi_session *session)
{
    LIST_ENTRY mine;

    if (IsListEmpty(&session->answered))
        return;
    InitializeListHead(&mine);
    while (!IsListEmpty(&session->answered))
        InsertTailList(&mine, RemoveHeadList(&session->answered));
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
        iscsi_set_timeout(session->iscsi, 1);
        iscsi_logout_sync(session->iscsi);
    }
    iscsi_destroy_context(session->iscsi);
    session->iscsi = NULL;
}

static void *
run(void *context)
{
    struct iscsi_session *session = context;

    prctl(PR_SET_TIMERSLACK, 1ul, 0, 0, 0); /* else a nap takes twice */
    pthread_mutex_lock(&session->seat);
    while (!stopped(session)) {
        int timeout_ms = by_the_clock(session);

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

static void session_unpin(struct iscsi_session *session);

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
    session_unpin(session);
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

/* --- life ------------------------------------------------------------------------------ */

static void
session_free(struct iscsi_session *session)
{
    if (session->wake_fd >= 0)
        close(session->wake_fd);
    pthread_cond_destroy(&session->changed);
    pthread_mutex_destroy(&session->lock);
    pthread_mutex_destroy(&session->seat);
    explicit_bzero(session->secret, sizeof session->secret);
    free(session);
}

static void
session_unpin(struct iscsi_session *session)
{
    if (__atomic_sub_fetch(&session->pins, 1, __ATOMIC_ACQ_REL) == 0)
        session_free(session);
}

static struct iscsi_session *
session_new(const struct port_iscsi_config *config, const char *portal,
            const char *target)
{
    struct iscsi_session *session = calloc(1, sizeof *session);
    pthread_condattr_t attr;

    if (session == NULL)
        return NULL;
    snprintf(session->portal, sizeof session->portal, "%s", portal);
    snprintf(session->target, sizeof session->target, "%s", target);
    snprintf(session->initiator, sizeof session->initiator, "%s",
             config->initiator);
    snprintf(session->user, sizeof session->user, "%s", config->user);
    snprintf(session->secret, sizeof session->secret, "%s", config->secret);
    session->pause_ms = PAUSE_FIRST_MS;
    session->nap_ns = NAP_MIN_NS;
    /* A login under the name of a session that was lost ends it at the target,
     * and what it still had to do (RFC 7143, 6.3.5): no write of before runs
     * after those of now. */
    session->isid = (uint32_t) now_ms() ^ (uint32_t) getpid() << 12 ^
                    (uint32_t) (uintptr_t) session;
    InitializeListHead(&session->incoming);
    InitializeListHead(&session->answered);
    InitializeListHead(&session->units);
    pthread_mutex_init(&session->lock, NULL);
    pthread_mutex_init(&session->seat, NULL);
    session->burst.run = burst_over;
    session->pins = 1;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&session->changed, &attr);
    pthread_condattr_destroy(&attr);
    session->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (session->wake_fd < 0 ||
        pthread_create(&session->thread, NULL, run, session) != 0) {
        session_free(session);
        return NULL;
    }
    return session;
}

bool
iscsi_session_is_up(struct iscsi_session *session)
{
    bool up;

    pthread_mutex_lock(&session->lock);
    up = session->state == ISCSI_UP;
    pthread_mutex_unlock(&session->lock);
    return up;
}

bool
iscsi_session_is_refused(struct iscsi_session *session)
{
    bool refused;

    pthread_mutex_lock(&session->lock);
    refused = session->state != ISCSI_UP && session->refused != 0;
    pthread_mutex_unlock(&session->lock);
    return refused;
}

void
iscsi_session_why(struct iscsi_session *session, char *out_text,
                  size_t text_max)
{
    pthread_mutex_lock(&session->lock);
    if (session->state != ISCSI_UP)
        snprintf(out_text, text_max, "%s at %s: %s", session->target,
                 session->portal,
                 session->error[0] != '\0' ? session->error : "no answer");
    pthread_mutex_unlock(&session->lock);
}

/* The first login, or why there is none. */
static bool
wait_for_login(struct iscsi_session *session,
               const struct port_iscsi_config *config)
{
    struct timespec limit;
    bool up;

    clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_sec += LOGIN_LIMIT_MS / 1000 + 1;
    pthread_mutex_lock(&session->lock);
    while (session->state != ISCSI_UP &&
           !(config->may_be_away && session->tried) &&
           pthread_cond_timedwait(&session->changed, &session->lock, &limit) ==
               0)
        ;
    up = session->state == ISCSI_UP;
    pthread_mutex_unlock(&session->lock);
    if (!up)
        iscsi_session_why(session, config->out_text, config->text_max);
    return up || config->may_be_away;
}

static bool
is_for(const struct iscsi_session *session,
       const struct port_iscsi_config *config, const char *portal,
       const char *target)
{
    return strcmp(session->portal, portal) == 0 &&
           strcmp(session->target, target) == 0 &&
           strcmp(session->initiator, config->initiator) == 0 &&
           strcmp(session->user, config->user) == 0 &&
           strcmp(session->secret, config->secret) == 0;
}

static struct iscsi_session *
find_locked(const struct port_iscsi_config *config, const char *portal,
            const char *target)
{
    struct iscsi_session *session = registry;

    while (session != NULL && !is_for(session, config, portal, target))
        session = session->next;
    return session;
}

NTSTATUS
iscsi_session_get(const struct port_iscsi_config *config, const char *portal,
                  const char *target, struct iscsi_session **out_session)
{
    struct iscsi_session *session;

    pthread_mutex_lock(&registry_lock);
    session = find_locked(config, portal, target);
    if (session == NULL) {
        session = session_new(config, portal, target);
        if (session != NULL) {
            session->next = registry;
            registry = session;
        }
    }
    if (session != NULL)
        session->users++;
    pthread_mutex_unlock(&registry_lock);
    if (session == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (!wait_for_login(session, config)) {
        iscsi_session_put(session);
        return STATUS_DEVICE_NOT_CONNECTED;
    }
    *out_session = session;
    return STATUS_SUCCESS;
}

void
iscsi_session_put(struct iscsi_session *session)
{
    struct iscsi_session **at = &registry;

    pthread_mutex_lock(&registry_lock);
    if (--session->users != 0) {
        pthread_mutex_unlock(&registry_lock);
        return;
    }
    while (*at != session)
        at = &(*at)->next;
    *at = session->next;
    pthread_mutex_unlock(&registry_lock);
    pthread_mutex_lock(&session->lock);
    session->stop = true;
    pthread_mutex_unlock(&session->lock);
    iscsi_session_wake(session);
    pthread_join(session->thread, NULL);
    session_unpin(session);
}

static void
lock_list(struct iscsi_session *session)
{
    pthread_mutex_lock(&session->lock);
    while (session->walking)
        pthread_cond_wait(&session->changed, &session->lock);
}

void
iscsi_session_add(struct iscsi_session *session, struct iscsi_unit *unit)
{
    lock_list(session);
    InsertTailList(&session->units, &unit->link);
    pthread_mutex_unlock(&session->lock);
}

void
iscsi_session_remove(struct iscsi_session *session, struct iscsi_unit *unit)
{
    lock_list(session);
    RemoveEntryList(&unit->link);
    pthread_mutex_unlock(&session->lock);
}
