/*
 * tape_drive.h - tape drives among the drives of the service
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STACK_TAPE_DRIVE_H
#define STACK_TAPE_DRIVE_H

#include "jukebox/library.h"
#include "stack/stack_internal.h"

static inline bool
is_tape(const struct drive *drive)
{
    return __atomic_load_n(&drive->config.type, __ATOMIC_ACQUIRE) == RI_TAPE;
}

/* NULL: it is none, or was not there yet. */
static inline struct tape_unit *
drive_tape(const struct drive *drive)
{
    return __atomic_load_n(&drive->tape, __ATOMIC_ACQUIRE);
}

/* --- tape.c ------------------------------------------------------------------- */

struct vscsi_tape_config tape_device_config(const struct ri_tape_config *config);
/* The minitape driver that fits what is at the port, loaded if need be. */
NTSTATUS tape_driver_for(struct ri_service *service, PDEVICE_OBJECT pdo,
                         PDRIVER_OBJECT *out_driver);
/* Sessions can be had from now on; and, after the last drive, no more. */
NTSTATUS tapes_begin(struct ri_service *service,
                     const struct ri_config *config);
void tapes_end(struct ri_service *service);
/* A drive that has its stack becomes one that takes tapes; and is none. */
int tape_begin(struct drive *drive, struct ri_error *out_error);
void tape_detach(struct drive *drive);

/* Asks the drive: STATUS_SUCCESS ready, STATUS_DEVICE_NOT_READY,
 * STATUS_NO_MEDIA_IN_DEVICE, others.  No session is told of a change by it. */
NTSTATUS tape_ask(struct drive *drive);
/* Something came in or went, perhaps. */
void tape_look(struct drive *drive);
/* The tape goes out; STATUS_DEVICE_BUSY: a session has it. */
NTSTATUS tape_eject(struct drive *drive);
/* Is it a session's, that does not wait for another one? */
bool tape_drive_busy(const struct drive *drive);
/* Another one may be in it from now on. */
void tape_forget(struct drive *drive);
/* What the ledger notes of the tape in it; all empty: nothing is known yet. */
BOOLEAN tape_volume(const struct drive *drive, struct library_volume *out);
/* On top of what is said of every drive. */
void tape_fill_drive(const struct drive *drive, struct ri_drive_info *out);

/* --- tape_robot.c: libraries bring tapes ---------------------------------------- */

/* For each library that has tape drives; and their ends. */
int tape_robots_start(struct ri_service *service, struct ri_error *out_error);
void tape_robots_stop(struct ri_service *service);
void tape_robots_join(struct ri_service *service);
void tape_robots_free(struct ri_service *service);
/* Does one of them bring what this question is about?  From now on it does. */
BOOLEAN tape_robots_ask(struct ri_service *service, PVPB vpb);
/* Why not (RI_TEXT_MAX), or "". */
void tape_robots_say(struct ri_service *service, PVPB vpb, char *out_text);
/* A person says that it should be tried again. */
void tape_robots_retry(struct ri_service *service, PVPB vpb);
/* A session has said something of a tape: an action of tapes.h.  Callable where
 * nothing may wait. */
void tape_robots_told(struct ri_service *service, const char *drive,
                      const char *action);
/* An operator has moved cartridges: what was refused may be another now. */
void tape_robots_moved(struct ri_service *service, const char *library);

#endif
