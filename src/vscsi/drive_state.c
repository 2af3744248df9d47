/*
 * drive_state.c - the medium in the drive: states, arrows, what each means
 *
 *                 close            load (image)
 *        OPEN <----------> EMPTY ----------> LOADING ----> READY <--> STOPPED
 *         ^                  ^                  |            |           |
 *         |                  +---- yank, eject -+------------+-----------+
 *         +----------------------- the same, in a drive with a tray -----+
 *
 * OPEN and EMPTY hold no medium, the others hold one.  drive_set_state is the
 * only writer; it runs with the gate closed, under the drive's lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>

#include "vscsi/vscsi_internal.h"

#define STATES 5

static const struct {
    const char *name;
    uint32_t sense; /* of a command that needs the medium */
    bool medium;
    bool to[STATES]; /* OPEN EMPTY LOADING READY STOPPED */
} states[STATES] = {
    [DRIVE_OPEN] = { "open",
                     SENSE_NO_MEDIUM_OPEN,
                     false,
                     { false, true, true, true, false } },
    [DRIVE_EMPTY] = { "empty",
                      SENSE_NO_MEDIUM,
                      false,
                      { true, false, true, true, false } },
    [DRIVE_LOADING] = { "becoming ready",
                        SENSE_BECOMING_READY,
                        true,
                        { true, true, true, true, false } },
    [DRIVE_READY] = { "ready", 0, true, { true, true, true, false, true } },
    [DRIVE_STOPPED] = { "stopped",
                        SENSE_START_NEEDED,
                        true,
                        { true, true, true, true, false } },
};

const char *
drive_state_name(enum drive_state state)
{
    return states[state].name;
}

bool
drive_state_allowed(enum drive_state from, enum drive_state to)
{
    return states[from].to[to];
}

/* Only a drive with a tray can say that it is closed. */
uint32_t
drive_state_sense(enum vscsi_type type, enum drive_state state)
{
    if (state == DRIVE_EMPTY && type == VSCSI_CDROM)
        return SENSE_NO_MEDIUM_CLOSED;
    return states[state].sense;
}

void
drive_set_state(struct vscsi_drive *drive, enum drive_state to,
                struct medium *medium)
{
    assert(atomic_load(&drive->gate) & GATE_CLOSED);
    assert(drive_state_allowed(drive->state, to));
    assert(states[to].medium == (medium != NULL));
    assert(to != DRIVE_OPEN || drive->type == VSCSI_CDROM);
    pthread_mutex_lock(&drive->lock);
    drive->state = to;
    drive->not_ready = drive_state_sense(drive->type, to);
    drive->medium = medium;
    pthread_mutex_unlock(&drive->lock);
}
