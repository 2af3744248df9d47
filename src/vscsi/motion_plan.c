/*
 * motion_plan.c - may a motion begin, and which steps does it take?
 *
 * Both look at the elements and change nothing but the plan.  Under the
 * library's lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>

#include "vscsi/motion.h"

/* --- the plan ------------------------------------------------------------- */

bool
motion_needs_arm(const struct motion *motion)
{
    return motion->want.kind != MOTION_MAIL;
}

static uint64_t
way_ms(const struct motion *motion, unsigned from, const struct element *to)
{
    const struct vscsi_library *library = motion->library;
    unsigned there = (unsigned) (to - library->elements);

    return (uint64_t) library->times.travel *
           (from > there ? from - there : there - from);
}

unsigned *
motion_position(const struct motion *motion)
{
    return &motion->library->position[motion->arm->index];
}

static void
add_step(struct motion *motion, struct step step)
{
    assert(motion->count < STEPS);
    motion->steps[motion->count++] = step;
}

static void
plan_take(struct motion *motion, struct element *from, unsigned where)
{
    uint64_t delay = way_ms(motion, where, from);

    if (from->drive != NULL)
        delay += motion->library->times.unload;
    add_step(motion, (struct step){ STEP_TRANSFER, from, motion->arm, delay });
}

/* From `where` to the element; then the drive needs its time. */
static void
plan_put(struct motion *motion, struct element *from, struct element *to,
         const struct element *where)
{
    const struct vscsi_library_times *times = &motion->library->times;
    unsigned at = (unsigned) (where - motion->library->elements);

    add_step(motion, (struct step){ STEP_TRANSFER, from, to,
                                    times->move + way_ms(motion, at, to) });
    if (to->drive != NULL && times->load != 0)
        add_step(motion, (struct step){ STEP_WAIT, NULL, NULL, times->load });
}

static void
plan_move(struct motion *motion)
{
    struct element *from = motion->want.source, *to = motion->want.first;

    if (from == to) {
        add_step(motion,
                 (struct step){ STEP_POSITION, NULL, to,
                                way_ms(motion, *motion_position(motion), to) });
        return;
    }
    if (from != motion->arm)
        plan_take(motion, from, *motion_position(motion));
    if (to != motion->arm)
        plan_put(motion, motion->arm, to,
                 from != motion->arm
                     ? from
                     : &motion->library->elements[*motion_position(motion)]);
}

/* First what is in the way; the arm holds it while media change places. */
static void
plan_exchange(struct motion *motion)
{
    struct element *source = motion->want.source;
    struct element *first = motion->want.first;
    struct element *second = motion->want.second;
    unsigned home = (unsigned) (second - motion->library->elements);

    plan_take(motion, first, *motion_position(motion));
    if (second == source) {
        plan_put(motion, source, first, source);
        plan_put(motion, motion->arm, source, first);
        return;
    }
    plan_put(motion, motion->arm, second, first);
    plan_take(motion, source, home);
    plan_put(motion, motion->arm, first, source);
}

static uint64_t
scan_ms(const struct motion *motion)
{
    const struct vscsi_library *library = motion->library;
    uint64_t slots = 0;

    for (unsigned i = 0; i < library->elements_count; i++) {
        const struct element *element = &library->elements[i];

        slots += element->kind == VSCSI_ELEMENT_SLOT &&
                 element->address >= motion->want.range_first &&
                 element->address - motion->want.range_first <
                     motion->want.range_count;
    }
    return slots * library->times.scan;
}

void
motion_plan(struct motion *motion)
{
    switch (motion->want.kind) {
    case MOTION_MOVE:
        plan_move(motion);
        break;
    case MOTION_EXCHANGE:
        plan_exchange(motion);
        break;
    case MOTION_POSITION:
    case MOTION_HOME:
        add_step(motion, (struct step){ STEP_POSITION, NULL, motion->want.first,
                                        way_ms(motion, *motion_position(motion),
                                               motion->want.first) });
        break;
    case MOTION_SCAN:
        add_step(motion,
                 (struct step){ STEP_SCAN, NULL, NULL, scan_ms(motion) });
        break;
    case MOTION_MAIL:
        add_step(motion, (struct step){ STEP_MAIL, NULL, NULL,
                                        motion->library->times.door });
        break;
    }
}

/* --- may it begin? -------------------------------------------------------- */

static uint32_t
check_there(const struct vscsi_library *library, const struct element *element)
{
    if (element->absent)
        return element->drive != NULL ? SENSE_NO_DRIVE : SENSE_NO_MAGAZINE;
    if (element->kind == VSCSI_ELEMENT_MAIL && library->mail_open)
        return SENSE_MAIL_OPEN;
    return 0;
}

static uint32_t
check_source(struct motion *motion, const struct element *element)
{
    const struct vscsi_library *library = motion->library;
    uint32_t sense = check_there(library, element);
    bool medium;

    if (sense != 0)
        return sense;
    medium = element->drive != NULL && library_drive_full(element->drive);
    if (element->cartridge == NULL && medium)
        return SENSE_DRIVE_FAILED; /* a stranger that a hand put in */
    if (element->cartridge == NULL ||
        (element->claim != NULL && element->claim != motion))
        return SENSE_SOURCE_EMPTY;
    if (medium && element->drive->prevents != 0)
        return SENSE_PREVENTED;
    if (medium && library_has(library, P_EJECT_FIRST))
        return SENSE_NOT_EJECTED;
    return 0;
}

static uint32_t
check_dest(struct motion *motion, const struct element *element)
{
    uint32_t sense = check_there(motion->library, element);

    if (sense != 0)
        return sense;
    if (element->cartridge != NULL ||
        (element->claim != NULL && element->claim != motion) ||
        (element->drive != NULL && library_drive_full(element->drive)))
        return SENSE_DEST_FULL;
    return 0;
}

static uint32_t
check_media(struct motion *motion)
{
    struct motion_want *want = &motion->want;
    uint32_t sense = check_source(motion, want->source);

    if (sense == 0 && want->source != motion->arm &&
        motion->arm->cartridge != NULL)
        sense = SENSE_TRANSPORT_FULL;
    if (sense != 0)
        return sense;
    if (want->kind == MOTION_MOVE)
        return want->first == want->source ? 0
                                           : check_dest(motion, want->first);
    sense = check_source(motion, want->first);
    if (sense == 0 && want->second != want->source)
        sense = check_dest(motion, want->second);
    return sense;
}

uint32_t
motion_check(struct motion *motion)
{
    struct vscsi_library *library = motion->library;

    library_look_locked(library);
    switch (motion->want.kind) {
    case MOTION_MOVE:
    case MOTION_EXCHANGE:
        return check_media(motion);
    case MOTION_POSITION:
        return check_there(library, motion->want.first);
    case MOTION_MAIL:
        return motion->want.open && library->robot->prevents != 0
                   ? SENSE_MAIL_LOCKED
                   : 0;
    default:
        return 0;
    }
}
