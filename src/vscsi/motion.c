/*
 * motion.c - what the robot does: queue, arms, time, and what goes wrong
 *
 * A motion is planned as a list of steps when it gets an arm.  A step waits
 * for its time (on the timer thread's list) and then moves one cartridge from
 * one element to another.  The elements are claimed meanwhile, so the steps
 * need no lock over the work of a drive.  The command is answered at the end,
 * or earlier when somebody aborts it; the motion itself goes on then.
 * The states are in motion.h, plan and checks in motion_plan.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "vscsi/motion.h"

/* --- whose turn it is ----------------------------------------------------- */

static void
claim(struct motion *motion, struct element *element)
{
    if (element != NULL)
        element->claim = motion;
}

static void
unclaim(const struct motion *motion, struct element *element)
{
    if (element != NULL && element->claim == motion)
        element->claim = NULL;
}

/* An arm that is free, unless an older motion waits for it. */
static struct element *
free_arm(const struct motion *motion)
{
    struct vscsi_library *library = motion->library;

    for (unsigned i = 0; i < library->count[VSCSI_ELEMENT_TRANSPORT]; i++) {
        struct element *arm = library_nth(library, VSCSI_ELEMENT_TRANSPORT, i);
        const struct motion *older = library->motions;

        if (arm->claim != NULL ||
            (motion->want.transport != NULL && motion->want.transport != arm))
            continue;
        while (
            older != motion &&
            !(older->state == WAITING && motion_needs_arm(older) &&
              (older->want.transport == NULL || older->want.transport == arm)))
            older = older->next;
        if (older == motion)
            return arm;
    }
    return NULL;
}

static bool
others_run(const struct motion *motion)
{
    const struct motion *at = motion->library->motions;

    while (at != NULL &&
           (at == motion || (at->state != WAITING && at->state != RUNNING)))
        at = at->next;
    return at != NULL;
}

/* False: it has to wait.  Else it runs, if only to report why it cannot. */
static bool
begin_locked(struct motion *motion)
{
    struct motion_want *want = &motion->want;

    if (!motion->own)
        motion->sense = library_not_ready_locked(motion->library);
    if (motion->sense != 0) {
        /* said at once, whoever has the arm */
    } else if (library_has(motion->library, P_BUSY) && !motion->own &&
               others_run(motion)) {
        motion->sense = SENSE_SCANNING;
    } else if (motion_needs_arm(motion)) {
        motion->arm = free_arm(motion);
        if (motion->arm == NULL)
            return false;
    }
    motion->state = RUNNING;
    if (motion->sense == 0)
        motion->sense = motion_check(motion);
    if (motion->sense != 0) {
        motion->arm = NULL;
        return true;
    }
    /* A claim made now names this motion until it has ended. */
    claim(motion, motion->arm);
    if (want->kind == MOTION_MOVE || want->kind == MOTION_EXCHANGE) {
        claim(motion, want->source);
        claim(motion, want->first);
        claim(motion, want->second);
    }
    if (want->kind == MOTION_SCAN)
        motion->library->scanning = true;
    motion_plan(motion);
    return true;
}

/* --- steps ---------------------------------------------------------------- */

/* Another full slot, by mistake; NULL: there is none. */
static struct element *
neighbour(const struct motion *motion, const struct element *slot)
{
    struct vscsi_library *library = motion->library;
    unsigned count = library->count[VSCSI_ELEMENT_SLOT];

    for (unsigned i = 1; i < count; i++) {
        struct element *other =
            library_nth(library, VSCSI_ELEMENT_SLOT, (slot->index + i) % count);

        if (other->cartridge != NULL && other->claim == NULL && !other->absent)
            return other;
    }
    return NULL;
}

static void hurry_locked(struct vscsi_library *library);

static void
stop_locked(struct vscsi_library *library)
{
    for (struct motion *at = library->motions; at != NULL; at = at->next)
        if (at->state == RUNNING && motion_needs_arm(at))
            at->stopped = true;
    hurry_locked(library);
}

/* What a rule makes of this step; may choose another source. */
static uint32_t
misfortune_locked(struct motion *motion, struct element **from)
{
    struct vscsi_library *library = motion->library;
    struct element *other;

    if (motion->fault == ROBOT_WRONG && (*from)->kind == VSCSI_ELEMENT_SLOT) {
        other = neighbour(motion, *from);
        if (other != NULL) {
            *from = other;
            claim(motion, other);
            motion->mistaken = other;
            motion->fault = ROBOT_WELL;
        }
    }
    if (*from != motion->arm)
        return 0;
    if (motion->fault == ROBOT_DOOR) {
        library->door_open = true;
        stop_locked(library);
        return SENSE_DOOR;
    }
    if (motion->fault == ROBOT_STUCK ||
        (motion->fault == ROBOT_HALF && motion->want.kind == MOTION_MOVE))
        return SENSE_STUCK;
    return 0;
}

static void
arrive_locked(struct motion *motion, struct element *from, struct element *to)
{
    struct vscsi_library *library = motion->library;
    struct cartridge *cartridge = from->cartridge;
    int source =
        from->kind == VSCSI_ELEMENT_SLOT || from->kind == VSCSI_ELEMENT_MAIL
            ? from->address
            : from->source;

    library_place_locked(library, cartridge, to);
    to->source = source;
    if (to != motion->arm) {
        library->moves++;
        to->unknown = false;
        if (motion->fault == ROBOT_UNREADABLE)
            cartridge->unreadable = true;
    }
    *motion_position(motion) =
        (unsigned) ((to == motion->arm ? from : to) - library->elements);
}

/* What a drive does not give away stays where it is. */
static uint32_t
leave_drive(struct element *from)
{
    uint32_t sense;

    if (from->drive == NULL)
        return 0;
    sense = drive_robot_unload(from->drive, false);
    if (sense != 0)
        return sense == SENSE_PREVENTED ? sense : SENSE_UNLOAD_FAILED;
    drive_clean(from->drive, 0, 0);
    return 0;
}

static uint32_t
transfer(struct motion *motion, struct element *from, struct element *to)
{
    struct vscsi_library *library = motion->library;
    uint32_t sense = 0;
    bool load;

    pthread_mutex_lock(&library->lock);
    if (motion->stopped || library->ending)
        sense = SENSE_DOOR;
    if (sense == 0)
        sense = misfortune_locked(motion, &from);
    if (sense == 0 && from->cartridge == NULL)
        sense = SENSE_SOURCE_EMPTY;
    if (sense == 0 && to->cartridge != NULL)
        sense = SENSE_DEST_FULL;
    pthread_mutex_unlock(&library->lock);
    if (sense == 0)
        sense = leave_drive(from);
    if (sense != 0)
        return sense;
    pthread_mutex_lock(&library->lock);
    arrive_locked(motion, from, to);
    load = to->drive != NULL && motion->fault != ROBOT_NOT_LOADED;
    if (to->drive != NULL && !load)
        to->not_loaded = true;
    pthread_mutex_unlock(&library->lock);
    (void) library_state_save(library);
    if (load)
        sense = library_load(library, to);
    return sense;
}

static bool
in_range(const struct motion_want *want, const struct element *element)
{
    return element->address >= want->range_first &&
           element->address - want->range_first < want->range_count;
}

static uint32_t
scan(struct motion *motion)
{
    struct vscsi_library *library = motion->library;
    bool spoil = motion->fault == ROBOT_UNREADABLE, unread = false;
    uint32_t sense = 0;

    pthread_mutex_lock(&library->lock);
    if (motion->fault == ROBOT_DOOR)
        library->door_open = true;
    if (motion->stopped || library->ending || library->door_open)
        sense = SENSE_DOOR;
    for (unsigned i = 0; sense == 0 && i < library->elements_count; i++) {
        struct element *element = &library->elements[i];

        if (!in_range(&motion->want, element))
            continue;
        element->unknown = false;
        if (element->cartridge == NULL || element->kind != VSCSI_ELEMENT_SLOT)
            continue;
        element->cartridge->unreadable |= spoil;
        library->changes += spoil;
        spoil = false;
        unread |= element->cartridge->unreadable;
    }
    library->scanning = false;
    pthread_mutex_unlock(&library->lock);
    if (unread)
        library_alert(library, 32);
    (void) library_state_save(library);
    return sense;
}

static uint32_t
move_mail(struct motion *motion)
{
    struct vscsi_library *library = motion->library;
    bool was, changed;

    pthread_mutex_lock(&library->lock);
    was = library->mail_open;
    changed = library->mail_changed;
    library->mail_open = motion->want.open;
    if (was != motion->want.open)
        library->mail_changed = false;
    pthread_mutex_unlock(&library->lock);
    if (was && !motion->want.open)
        library_attention(library, changed ? UA_MAIL_CHANGED : UA_MAIL);
    return 0;
}

static uint32_t
perform(struct motion *motion, const struct step *step)
{
    struct vscsi_library *library = motion->library;
    uint32_t sense = 0;

    switch (step->kind) {
    case STEP_WAIT:
        return 0;
    case STEP_TRANSFER:
        return transfer(motion, step->from, step->to);
    case STEP_POSITION:
        pthread_mutex_lock(&library->lock);
        if (motion->stopped)
            sense = SENSE_DOOR;
        else
            *motion_position(motion) =
                (unsigned) (step->to - library->elements);
        pthread_mutex_unlock(&library->lock);
        return sense;
    case STEP_SCAN:
        return scan(motion);
    case STEP_MAIL:
        return move_mail(motion);
    }
    return 0;
}

/* --- the end -------------------------------------------------------------- */

void
motion_unlink_locked(struct motion *motion)
{
    struct motion **at = &motion->library->motions;

    while (*at != motion)
        at = &(*at)->next;
    *at = motion->next;
    pthread_cond_broadcast(&motion->library->moved);
}

static void
fill(struct motion *motion, struct vscsi_command *command)
{
    uint32_t sense = motion->sense != 0 ? motion->sense : motion->recovered;

    command->result = VSCSI_DONE;
    command->status = STATUS_GOOD;
    command->sense_len = 0;
    command->transferred = 0;
    command->attention =
        (uint32_t) (atomic_load(&motion->nexus->attention) >> 32);
    if (sense != 0)
        command_sense(motion->library->robot, command,
                      library_sense(motion->library, sense), NULL);
}

static void
end_locked(struct motion *motion)
{
    struct vscsi_library *library = motion->library;

    unclaim(motion, motion->arm);
    unclaim(motion, motion->mistaken);
    unclaim(motion, motion->want.source);
    unclaim(motion, motion->want.first);
    unclaim(motion, motion->want.second);
    if (motion->want.kind == MOTION_SCAN && (motion->own || motion->count != 0))
        library->scanning = false;
}

/* True: it ended before its command returned. */
static bool
finish(struct motion *motion)
{
    struct vscsi_library *library = motion->library;
    struct vscsi_command *command;
    bool at_once, silent;

    pthread_mutex_lock(&library->lock);
    end_locked(motion);
    at_once = motion->at_once;
    command = motion->command;
    silent =
        motion->fault == ROBOT_SILENT && motion->sense == 0 && command != NULL;
    if (silent) {
        motion->state = SILENT;
        motion->at_once = false;
        pthread_mutex_unlock(&library->lock);
        return false;
    }
    if (command != NULL)
        fill(motion, command);
    if (command != NULL && !at_once) {
        motion->state = ANSWERING;
        motion->command = NULL;
        motion->answering = command;
        motion->thread = pthread_self();
        pthread_mutex_unlock(&library->lock);
        command->done(command);
        pthread_mutex_lock(&library->lock);
    }
    motion_unlink_locked(motion);
    pthread_mutex_unlock(&library->lock);
    free(motion);
    return at_once;
}

static void motion_fired(struct timer *timer);

/* True: the step has to wait, and the motion is out of our hands. */
static bool
wait_for(struct motion *motion, uint64_t delay_ms)
{
    struct vscsi_library *library = motion->library;
    uint64_t due = timer_now_ns() + delay_ms * UINT64_C(1000000);
    bool waits;

    if (delay_ms == 0 || motion->delayed)
        return false;
    pthread_mutex_lock(&library->lock);
    motion->delayed = true;
    waits = !motion->stopped && !library->ending;
    if (waits) {
        bool at_once = motion->at_once;

        motion->at_once = false;
        motion->timed = true;
        if (timer_add(&motion->timer, due, motion_fired) != 0) {
            motion->timed = waits = false; /* no thread: it takes no time */
            motion->at_once = at_once;
        }
    }
    pthread_mutex_unlock(&library->lock);
    return waits;
}

/* True: the command completed before it returned. */
static bool
run(struct motion *motion)
{
    while (motion->sense == 0 && motion->at < motion->count) {
        struct step *step = &motion->steps[motion->at];

        if (wait_for(motion, step->delay_ms))
            return false;
        motion->delayed = false;
        motion->at++;
        motion->sense = perform(motion, step);
        if (motion->fault == ROBOT_HALF && motion->sense == 0 &&
            motion->want.kind == MOTION_EXCHANGE && step->to != motion->arm &&
            step->kind == STEP_TRANSFER)
            motion->sense = SENSE_MOTION;
    }
    if (motion->sense == SENSE_DOOR)
        library_alert(motion->library, 16);
    if (motion->sense == SENSE_STUCK || motion->sense == SENSE_MOTION)
        library_alert(motion->library, 2);
    return finish(motion);
}

/* Those that waited for what has become free. */
static void
run_others(struct vscsi_library *library)
{
    struct motion *at;

    do {
        pthread_mutex_lock(&library->lock);
        for (at = library->motions; at != NULL; at = at->next)
            if (at->state == WAITING && !library->ending && begin_locked(at))
                break;
        pthread_mutex_unlock(&library->lock);
        if (at != NULL)
            (void) run(at);
    } while (at != NULL);
}

static void
motion_fired(struct timer *timer)
{
    struct motion *motion = (struct motion *) timer;
    struct vscsi_library *library = motion->library;

    pthread_mutex_lock(&library->lock);
    motion->timed = false;
    pthread_mutex_unlock(&library->lock);
    (void) run(motion);
    run_others(library);
}

/* --- from outside --------------------------------------------------------- */

uint32_t
motion_new(struct task *task, const struct motion_want *want)
{
    struct motion *motion = calloc(1, sizeof *motion);

    if (motion == NULL)
        return SENSE(4, 0x44, 0x00);
    motion->library = task->drive->library;
    motion->nexus = task->nexus;
    motion->command = task->command;
    motion->want = *want;
    motion->fault = task->effect->robot;
    motion->recovered = task->effect->recovered;
    motion->timer.owner = motion->library;
    task->motion = motion;
    return SENSE_PENDING;
}

bool
motion_begin(struct motion *motion)
{
    struct vscsi_library *library = motion->library;
    struct motion **last = &library->motions;
    bool completed = false, begun;

    pthread_mutex_lock(&library->lock);
    while (*last != NULL)
        last = &(*last)->next;
    *last = motion;
    motion->at_once = motion->command != NULL;
    begun = begin_locked(motion);
    if (!begun)
        motion->at_once = false;
    pthread_mutex_unlock(&library->lock);
    if (begun)
        completed = run(motion);
    run_others(library);
    return completed;
}

void
motion_scan(struct vscsi_library *library)
{
    struct motion *motion = calloc(1, sizeof *motion);

    if (motion == NULL) {
        pthread_mutex_lock(&library->lock);
        library->scanning = false;
        pthread_mutex_unlock(&library->lock);
        return;
    }
    motion->library = library;
    motion->own = true;
    motion->want.kind = MOTION_SCAN;
    motion->want.range_count = 0x10000;
    motion->timer.owner = library;
    (void) motion_begin(motion);
}

static bool
same_timer(struct timer *timer, const void *key)
{
    return timer == key;
}

/* Those that wait for their time find out at once. */
static void
hurry_locked(struct vscsi_library *library)
{
    for (struct motion *at = library->motions; at != NULL; at = at->next)
        if (at->timed && timer_take(same_timer, &at->timer) != NULL)
            (void) timer_add(&at->timer, timer_now_ns(), motion_fired);
}

void
motion_stop(struct vscsi_library *library)
{
    pthread_mutex_lock(&library->lock);
    stop_locked(library);
    pthread_mutex_unlock(&library->lock);
    run_others(library); /* which are told that the door is open */
}

void
motion_end_all(struct vscsi_library *library)
{
    struct motion *at, **link;

    pthread_mutex_lock(&library->lock);
    library->ending = true;
    for (link = &library->motions; (at = *link) != NULL;)
        if (at->state == WAITING || at->state == SILENT) {
            *link = at->next;
            free(at);
        } else {
            link = &at->next;
        }
    hurry_locked(library);
    while (library->motions != NULL)
        pthread_cond_wait(&library->moved, &library->lock);
    pthread_mutex_unlock(&library->lock);
    timer_quiesce(library);
}

unsigned
motion_count_locked(const struct vscsi_library *library)
{
    unsigned count = 0;

    for (const struct motion *at = library->motions; at != NULL; at = at->next)
        count += at->state == WAITING || at->state == RUNNING;
    return count;
}
