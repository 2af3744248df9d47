/*
 * changer_internal.h - the class driver's files among themselves
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CHANGER_CHANGER_INTERNAL_H
#define CHANGER_CHANGER_INTERNAL_H

#define _MCD_ /* we export what <mcd.h> declares */

#include <mcd.h>

#include "fdo/fdo.h"
#include "fdo/sense.h"

#define CHANGER_TAG 0x67684352 /* 'RChg' */

/*
 *         started          ready, or failed for good
 *   NEW ----------> STARTING ----------------------> READY, or not at all
 *                     ^   | not ready yet
 *              open   |   v
 *                    WAITING
 */
enum changer_state {
    CHANGER_NEW,
    CHANGER_STARTING,
    CHANGER_WAITING,
    CHANGER_READY,
};

/* What unit attentions have told and nobody acted upon yet. */
#define NEWS_PARAMETERS 0x1 /* the miniclass driver has to look again */
#define NEWS_LOCKS      0x2 /* what was locked may not be */

/* In the device extension behind its documented part; the miniclass driver's
 * own bytes follow.  No locks: what changes is atomic or behind `motion`. */
struct changer_data {
    struct fdo_data fdo;        /* first: see fdo.h */
    const MCD_INIT_DATA *mcd;   /* the driver's copy */
    LONG state;                 /* enum changer_state */
    LONG open;                  /* 1: somebody has it */
    LONG news;                  /* NEWS_ */
    ULONG locked;               /* 1 << ELEMENT_TYPE; behind motion */
    KEVENT motion;              /* signalled: nothing moves */
    ULONG start_s, ready_s;
};

#define CHANGER_DATA_BYTES ((sizeof(struct changer_data) + 15) & ~15u)

FORCEINLINE struct changer_data *
changer_of(PDEVICE_OBJECT fdo)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;

    return (struct changer_data *) (ext + 1);
}

FORCEINLINE LONG
changer_state(struct changer_data *data)
{
    return InterlockedCompareExchange(&data->state, 0, 0);
}

/* --- send.c ---------------------------------------------------------------- */

CLASS_ERROR changer_class_error;
/* PASSIVE.  Asks whether it is ready until it is, or until it fails otherwise,
 * or for so long. */
NTSTATUS changer_wait_ready(PDEVICE_OBJECT fdo, ULONG limit_s);

/* --- sense.c --------------------------------------------------------------- */

/* What may be done about a failed command. */
enum changer_verdict {
    VERDICT_DEFAULT,            /* what the class library thinks */
    VERDICT_NO,                 /* nothing */
    VERDICT_RESEND,             /* it was not carried out: again */
    VERDICT_POLL,               /* nor was it here: again, once it is ready */
    VERDICT_BUSY,               /* it was not even accepted */
};

struct changer_meaning {
    BOOLEAN has_status;         /* else the class library's stands */
    NTSTATUS status;
    enum changer_verdict verdict;
    BOOLEAN not_done;           /* proved: nothing was carried out */
    ULONG news;                 /* NEWS_ */
    BOOLEAN stale;              /* the inventory may have changed */
    BOOLEAN mail_slot;          /* somebody was at it */
};

/* Pure. */
void changer_judge(const SCSI_REQUEST_BLOCK *srb,
                   struct changer_meaning *out_meaning);
/* Commands that move something: never sent again without proof. */
BOOLEAN changer_is_motion(const SCSI_REQUEST_BLOCK *srb);

/* --- control.c ------------------------------------------------------------- */

CLASS_DEVICE_CONTROL changer_control;
/* PASSIVE.  Whatever the handle had locked is free again. */
void changer_unlock_all(PDEVICE_OBJECT fdo);

/* --- changer.c ------------------------------------------------------------- */

/* PASSIVE.  Runs ChangerInitialize and notes how that went. */
NTSTATUS changer_initialize(PDEVICE_OBJECT fdo);
/* Failed, but only for now. */
BOOLEAN changer_may_still_come(NTSTATUS status);

#endif
