/*
 * motion.h - a motion of the robot, between motion.c and motion_plan.c
 *
 *      WAITING --> RUNNING --> ANSWERING --> gone
 *         |           |
 *         |           +--> SILENT (a fault rule) --> gone
 *         +--> gone (aborted)
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef VSCSI_MOTION_H
#define VSCSI_MOTION_H

#include "vscsi/library.h"

enum motion_state { WAITING, RUNNING, ANSWERING, SILENT };

struct step {
    enum { STEP_WAIT, STEP_TRANSFER, STEP_POSITION, STEP_SCAN, STEP_MAIL } kind;
    struct element *from, *to;
    uint64_t delay_ms;
};

#define STEPS 6

struct motion {
    struct timer timer;
    struct motion *next;
    struct vscsi_library *library;
    struct vscsi_nexus *nexus; /* of `command` */
    struct motion_want want;
    struct element *arm;      /* NULL: none needed, or none yet */
    struct element *mistaken; /* taken from instead of the source */
    bool own;                 /* nobody's command */
    struct step steps[STEPS];
    unsigned count, at;
    uint8_t fault; /* enum robot_fault */
    uint32_t recovered;
    uint32_t sense;
    /* under the library's lock */
    enum motion_state state;
    struct vscsi_command *command; /* NULL: nobody waits for it */
    const struct vscsi_command *answering;
    pthread_t thread; /* that answers */
    bool at_once;     /* its command has not returned yet */
    bool timed;       /* waits for its timer */
    bool delayed;     /* ... has waited for this step */
    bool stopped;     /* the door was opened */
};

/* --- motion_plan.c; the library's lock is held ---------------------------- */

bool motion_needs_arm(const struct motion *motion);
/* Where its arm is: an index in the library's elements. */
unsigned *motion_position(const struct motion *motion);
/* Sense, or 0: it may begin with the arm that it has. */
uint32_t motion_check(struct motion *motion);
/* Writes its steps. */
void motion_plan(struct motion *motion);

/* --- motion.c --------------------------------------------------------------- */

void motion_unlink_locked(struct motion *motion);

#endif
