/*
 * target.c - the other end of iSCSI sessions: it carries out what was sent
 *
 * A thread is the target: it carries out what was sent, in any order, and
 * answers; and what goes wrong with it.  What a session leaves behind at its end
 * is still carried out, or not, until the next login ends it (RFC 7143, 6.3.5).
 * The initiator's end is in session.c.
 *
 * Whoever holds the baton (baton.h) owns all data here.
 *
 * SPDX-License-Identifier: MIT
 */
#include "target.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "baton.h"
#include "target_internal.h"
#include "world.h"

#define LATEST  9000u  /* ms that others overtake a command */
#define STOPPED 20000u /* ms of a target that does nothing */

/* Of each drive. */
struct end {
    struct vscsi_nexus *nexus;
    uint64_t stopped_ms; /* until then */
    unsigned refusals;   /* of logins */
    /* What its initiator has reason to believe. */
    bool locked; /* PREVENT is in force, and no change was told since */
    bool full;   /* it was not told that there is no medium */
    bool hushed; /* what the drive would say next is not for it */
};

static struct end ends[DRIVES];
static pthread_t thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool running;

bool
target_runs(void)
{
    return running;
}

void
target_wake(void)
{
    pthread_mutex_lock(&lock);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

void
target_wait(uint64_t ms)
{
    struct timespec limit;
    uint64_t ns;

    clock_gettime(CLOCK_MONOTONIC, &limit);
    ns = (uint64_t) limit.tv_nsec + ms * 1000000u;
    limit.tv_sec += (time_t) (ns / 1000000000u);
    limit.tv_nsec = (long) (ns % 1000000000u);
    pthread_mutex_lock(&lock);
    pthread_cond_timedwait(&changed, &lock, &limit);
    pthread_mutex_unlock(&lock);
}

/* --- what the target does -------------------------------------------------------- */

/* The target has done it, or will not do it. */
static void
answer(struct order *order)
{
    if (order->link == NULL) {
        order_free(order);
        return;
    }
    order->finished = order_number();
    /* What tells of a change is not lost without the session. */
    if (order->loses_session ||
        (order->loses_answer && order_is_check(order))) {
        event("session of drive %d: lost with op %02x", order->d,
              order->command.cdb[0]);
        order->link->dead = true;
    }
    order->state = order->loses_answer ? FORGOTTEN : ANSWERED;
    target_wake();
}

static void
command_done(struct vscsi_command *command)
{
    answer(command->context);
}

/* The unit attention of a new medium is taken by nobody. */
static void
hush(struct end *end)
{
    struct vscsi_command look;

    end->hushed = false;
    for (int i = 0; i < 4; i++) {
        look = (struct vscsi_command){ .cdb_len = 6 };
        if (!inject_nothing(end->nexus, &look) || look.sense_len < 14 ||
            (look.sense[2] & 15) != 6)
            return;
    }
}

static void
carry_out(struct order *order)
{
    struct vscsi_nexus *nexus = ends[order->d].nexus;

    if (ends[order->d].hushed)
        hush(&ends[order->d]);
    order->state = AT_WORK;
    order->command.done = command_done;
    order->command.context = order;
    if (vscsi_execute(nexus, &order->command))
        answer(order);
}

static void
no_event(void *context, enum vscsi_event what)
{
    (void) context;
    (void) what;
}

static bool
is_left_behind(const struct order *order, const void *d)
{
    return order->kind == COMMAND && order->state == SENT &&
           order->link == NULL && order->d == *(const int *) d;
}

/* It takes the place of the session before. */
static void
log_in(struct order *order)
{
    /* RFC 7143, 11.13.5: ours, and the target's. */
    static const uint32_t reasons[] = { 0x0201, 0x0203, 0x0300, 0x0301 };
    struct end *end = &ends[order->d];
    struct vscsi_nexus *before = end->nexus;
    struct order *left;

    order->state = AT_WORK;
    if (end->refusals > 0) {
        end->refusals--;
        order->response = reasons[chance(sizeof reasons / sizeof reasons[0])];
        answer(order);
        return;
    }
    while ((left = order_any(is_left_behind, &order->d)) != NULL)
        order_free(left);
    vscsi_nexus_free(before);
    end->nexus = vscsi_nexus_new(drive_at[order->d], no_event, NULL);
    order->good = end->nexus != NULL;
    event("session of drive %d: up", order->d);
    answer(order);
}

static void
end_command(struct order *other)
{
    other->loses_answer = true;
    if (other->state == SENT)
        other->state = FORGOTTEN;
    else if (other->state == AT_WORK)
        vscsi_abort(ends[other->d].nexus, &other->command);
}

static void
abort_task(struct order *order)
{
    struct order *other = order_numbered(order->which);

    order->state = AT_WORK;
    order->good = true;
    order->response = ISCSI_TMR_FUNC_COMPLETE;
    if (other == NULL || other->state == ANSWERED)
        order->response = ISCSI_TMR_TASK_DOES_NOT_EXIST;
    else if (inject_now())
        order->response = ISCSI_TMR_FUNC_REJECTED;
    else
        end_command(other);
    answer(order);
}

static bool
is_unfinished(const struct order *order, const void *d)
{
    return order->kind == COMMAND && order->d == *(const int *) d &&
           (order->state == SENT || order->state == AT_WORK) &&
           !order->loses_answer;
}

static void
reset_unit(struct order *order)
{
    struct order *other;

    order->state = AT_WORK;
    order->good = true;
    order->response = ISCSI_TMR_FUNC_COMPLETE;
    if (inject_now()) {
        fault_note("drive %d: a reset is refused", order->d);
        order->response = ISCSI_TMR_FUNC_REJECTED;
        answer(order);
        return;
    }
    while ((other = order_any(is_unfinished, &order->d)) != NULL) {
        other->loses_answer = true;
        if (other->state == SENT && other->link == NULL)
            order_free(other);
        else if (other->state == SENT)
            other->state = FORGOTTEN;
    }
    vscsi_reset(drive_at[order->d]);
    answer(order);
}

static void
perform(struct order *order)
{
    switch (order->kind) {
    case COMMAND:
        carry_out(order);
        break;
    case LOGIN:
        log_in(order);
        break;
    case ABORT_TASK:
        abort_task(order);
        break;
    case RESET:
        reset_unit(order);
        break;
    default:
        order->good = true;
        answer(order);
        break;
    }
}

static bool
may_begin(const struct order *order, const void *now_ms)
{
    uint64_t now = *(const uint64_t *) now_ms;

    return order->state == SENT && order->not_before_ms <= now &&
           ends[order->d].stopped_ms <= now;
}

static void *
be_target(void *unused)
{
    while (running) {
        uint64_t now = baton_now_ms();
        struct order *order = order_any(may_begin, &now);

        if (order != NULL)
            perform(order);
        else
            target_wait(500);
    }
    return unused;
}

/* --- what the initiator knows ------------------------------------------------------ */

bool
target_believed_locked(int d)
{
    return ends[d].locked;
}

void
target_lost(int d)
{
    ends[d].locked = ends[d].full = false;
}

static void
told_good(struct end *end, const uint8_t *cdb)
{
    switch (cdb[0]) {
    case 0x1E: /* PREVENT, ALLOW */
        end->locked = (cdb[4] & 1) != 0;
        break;
    case 0x00: /* TEST UNIT READY, and what moves data */
    case 0x28:
    case 0x2A:
    case 0x88:
    case 0x8A:
        end->full = true;
        break;
    default:
        break;
    }
}

/* Sense that was cut short tells less than it should. */
void
target_told(const struct order *order, int status)
{
    struct end *end = &ends[order->d];
    const uint8_t *sense = order->command.sense;

    if (status == SCSI_STATUS_GOOD)
        told_good(end, order->command.cdb);
    if (status != SCSI_STATUS_CHECK_CONDITION || order->lies_sense ||
        order->command.sense_len < 14 || sense[0] != 0x70)
        return;
    if ((sense[2] & 15) == 6)
        end->locked = false;
    if ((sense[2] & 15) == 2 && sense[12] == 0x3A)
        end->locked = end->full = false;
}

static bool
is_under_way(const struct order *order, const void *d)
{
    return order->kind == COMMAND && order->d == *(const int *) d &&
           (order->state == SENT || order->state == AT_WORK);
}

static bool
is_write_under_a_lock(const struct order *order, const void *d)
{
    return order_is_write(order) && order->locked && is_under_way(order, d);
}

static bool
is_about_data(const struct order *order, const void *d)
{
    return order->command.cdb[0] != 0 && is_under_way(order, d);
}

/*
 * Of several writes that were sent for a locked medium only the first hears that
 * another one is there.  A drive that says nothing has to be seen empty, and
 * then everything that was sent for the medium before has to be over: also of
 * the same one, for with it the drive's cache was gone.
 */
bool
target_may_take(int d, bool other)
{
    const struct end *end = &ends[d];

    if (world->silent)
        return !end->full && order_any(is_about_data, &d) == NULL;
    return !other ||
           (!end->locked && order_any(is_write_under_a_lock, &d) == NULL);
}

void
target_taken(int d)
{
    ends[d].hushed = world->silent;
}

/* --- what can go wrong with a command --------------------------------------------- */

static void
lose_session(struct link *link)
{
    link->dead = true;
    target_wake();
}

/* Nobody is told before it goes on. */
static void
stop_target(int d)
{
    int before = medium_in(d), m = medium_outside();

    ends[d].stopped_ms = baton_now_ms() + chance(STOPPED);
    if (before < 0 || chance(2) == 0)
        return;
    if (m < 0 || !may_take(d, m))
        m = before;
    event("drive %d: medium %d is torn out", d, before);
    vscsi_yank(drive_at[d]);
    if (!may_take(d, m))
        return;
    event("drive %d: medium %d is put in meanwhile", d, m);
    hand_put_in(d, m);
}

void
target_go_wrong(struct order *order)
{
    static const char *const words[] = {
        "the session is lost before it",
        "the session is lost after it",
        "its answer is lost",
        "others overtake it",
        "the target stops",
        "a false residual",
        "false sense",
        "logins are refused",
        "it is short, and nobody is told",
    };
    unsigned last = sizeof words / sizeof words[0] - 1;
    unsigned what = (unsigned) chance(order_is_read(order) ? last + 1 : last);

    fault_note("drive %d op %02x: %s", order->d, order->command.cdb[0],
               words[what]);
    switch (what) {
    case 1:
        order->loses_session = true;
        break;
    case 2:
        order->loses_answer = true;
        break;
    case 3:
        order->not_before_ms = baton_now_ms() + chance(LATEST);
        break;
    case 4:
        stop_target(order->d);
        break;
    case 5:
        order->lies_residual = true;
        break;
    case 6:
        order->lies_sense = true;
        break;
    case 8:
        order->hides_short = true;
        break;
    case 7:
        ends[order->d].refusals = 1 + (unsigned) chance(4);
        /* fall through */
    default:
        lose_session(order->link);
        break;
    }
}

void
target_go_wrong_between(struct order *order)
{
    static const char *const kinds[] = {
        [LOGIN] = "a login",
        [NOP] = "a sign of life",
        [ABORT_TASK] = "an abort",
        [RESET] = "a reset",
    };
    static const char *const words[] = {
        "the session is lost before it",
        "the session is lost after it",
        "its answer is lost",
        "the target stops",
    };
    unsigned what = (unsigned) chance(sizeof words / sizeof words[0]);

    fault_note("drive %d: %s: %s", order->d, kinds[order->kind], words[what]);
    if (what == 0)
        lose_session(order->link);
    else if (what == 3)
        stop_target(order->d);
    order->loses_session = what == 1;
    order->loses_answer = what == 2;
}

/* --- life ------------------------------------------------------------------------------------ */

void
target_begin(void)
{
    running = true;
    pthread_create(&thread, NULL, be_target, NULL);
}

void
target_end(void)
{
    running = false;
    target_wake();
    pthread_join(thread, NULL);
    for (int d = 0; d < DRIVES; d++)
        vscsi_nexus_free(ends[d].nexus);
    memset(ends, 0, sizeof ends);
    while (orders != NULL)
        order_free(orders);
}

void
target_well(void)
{
    for (int d = 0; d < DRIVES; d++)
        ends[d].stopped_ms = ends[d].refusals = 0;
    if (running)
        target_wake();
}
