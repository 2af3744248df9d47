/*
 * port_internal.h - what the files of the port share
 *
 * A unit is a physical device object; its extension is struct port_unit.  A
 * command that the adapter carries out at once touches nothing of it but the
 * first line.  Everything else - queued requests, commands that wait for an
 * answer, a request for events - is in lists under the unit's lock.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PORT_INTERNAL_H
#define PORT_INTERNAL_H

#include <stddef.h>

#include <ntddscsi.h>
#include <ntddstor.h>
#include <scsi.h>
#include <srb.h>
#include <wdm.h>

#include "port/hba.h"
#include "port/port.h"

#define PORT_TAG 0x206f5052     /* "RPo " */

/* flags: none of them set is the way of every ordinary request. */
#define UNIT_FROZEN  0x1        /* a command failed; RELEASE_QUEUE thaws */
#define UNIT_LOCKED  0x2        /* by LOCK_QUEUE */
#define UNIT_REMOVED 0x4        /* nothing is carried out any more */
#define UNIT_QUEUED  0x8        /* the queue is not empty */
#define UNIT_FULL    0x10       /* the device's queue; it is tried again */

#define UNIT_NAME_MAX 64

/* request.phase */
enum { PHASE_SUBMITTED, PHASE_WAITING, PHASE_ANSWERED };

/*
 * A command.  Lives from submit to answer; one that waits for its answer is in
 * its unit's list `active`, holding a reference for whoever aborts it.
 */
struct port_request {
    struct hba_request hba;     /* first */
    struct port_unit *unit;
    PIRP irp;
    LONG volatile phase;
    LONG volatile refs;         /* the command, and each aborter */
    UCHAR abort_status;         /* SrbStatus when it ends by an abort, or 0 */
    LIST_ENTRY link;            /* in unit->active; the lock */
    uint64_t due_ns;            /* clock_now_ns; 0: no limit */
    struct port_request *next;  /* in a thread's cache, or an abort list */
};

struct port_unit {
    LONG volatile flags;
    ULONG address;              /* target id */
    const struct hba_ops *ops;
    void *hba;
    uint64_t last_answer_ms;    /* atomic */
    PDEVICE_OBJECT pdo;

    /* Held over no call to the adapter and no completion. */
    KSPIN_LOCK lock;
    LIST_ENTRY queue;           /* IRPs, Tail.Overlay.ListEntry */
    LIST_ENTRY active;          /* struct port_request */
    PIRP event_irp;             /* RECEIVE_EVENT that waits */
    ULONG events;               /* raised while none waited */
    BOOLEAN draining;           /* somebody is restarting the queue */
    BOOLEAN claimed;
    BOOLEAN time_work;          /* time_item is queued or runs */
    UCHAR sense_len;
    UCHAR sense[PORT_SENSE_MAX];
    uint64_t senses;            /* how often that was set */
    uint64_t cleaning_asks;     /* ... to CLEANING REQUESTED */

    uint64_t full_since_ms;     /* QUEUE FULL: the first of an episode */
    uint64_t full_last_ms;
    KTIMER full_timer;
    KDPC full_dpc;

    KTIMER timer;               /* for `active`: none is due before it is */
    uint64_t timer_ns;          /* when; 0: it is not set, or was just due */
    KDPC timer_dpc;
    WORK_QUEUE_ITEM time_item;
    KEVENT time_idle;           /* set while !time_work */

    uint8_t kind;               /* atomic: CDB_..., as it says it is */
    uint32_t told[8];           /* atomic: refused commands, in the error log */
    uint32_t says[8];           /* atomic: those that it says it knows */
    BOOLEAN known;              /* atomic: the next two are there, for good */
    INQUIRYDATA inquiry;        /* asked until the unit says who it is */
    CHAR serial[UNIT_NAME_MAX];
    CHAR name[UNIT_NAME_MAX];
};

FORCEINLINE struct port_unit *
unit_of(PDEVICE_OBJECT device)
{
    return device->DeviceExtension;
}

FORCEINLINE PSCSI_REQUEST_BLOCK
irp_srb(PIRP irp)
{
    return IoGetCurrentIrpStackLocation(irp)->Parameters.Scsi.Srb;
}

FORCEINLINE LONG
unit_flags(struct port_unit *unit)
{
    return __atomic_load_n(&unit->flags, __ATOMIC_ACQUIRE);
}

/* engine.c: commands, the queue */
/* For a unit any of whose flags is set. */
NTSTATUS NTAPI port_start_held(struct port_unit *unit, PIRP irp,
                               PSCSI_REQUEST_BLOCK srb);
NTSTATUS NTAPI port_execute(struct port_unit *unit, PIRP irp,
                            PSCSI_REQUEST_BLOCK srb);
NTSTATUS NTAPI port_finish(PIRP irp, PSCSI_REQUEST_BLOCK srb);
/* Completes with this SrbStatus; nothing was transferred. */
NTSTATUS NTAPI port_refuse(PIRP irp, PSCSI_REQUEST_BLOCK srb,
                           UCHAR srb_status);
/* FALSE: cancelled already, not queued. */
BOOLEAN port_enqueue_locked(struct port_unit *unit, PIRP irp, BOOLEAN first);
/* Clears flags and starts what they held back. */
void port_resume(struct port_unit *unit, LONG clear);
/* Completes the queue with this SrbStatus. */
void port_flush(struct port_unit *unit, UCHAR srb_status);

/* full.c: QUEUE FULL */
/* TRUE: it waits to be sent again; else it is to be completed. */
BOOLEAN NTAPI port_full(PIRP irp, PSCSI_REQUEST_BLOCK srb);
void port_full_init(struct port_unit *unit);

/* active.c: commands that wait for their answer */
void port_wait(struct port_request *request);
void port_answered(struct port_request *request);
/* The one of this SRB, or all (srb NULL); how many. */
unsigned port_abort(struct port_unit *unit, const SCSI_REQUEST_BLOCK *srb,
                    UCHAR srb_status);
DRIVER_CANCEL port_cancel;
KDEFERRED_ROUTINE port_timer_dpc;
WORKER_THREAD_ROUTINE port_time_work;
/* With nothing active any more: no timer or work of the unit runs after it. */
void port_stop_timer(struct port_unit *unit);

/* request.c: records of commands */
struct port_request *NTAPI port_request_new(void);
void NTAPI port_request_unref(struct port_request *request);
/* Gives back what the calling thread keeps. */
void port_request_drain(void);

/* allow.c: it has answered REPORT SUPPORTED OPERATION CODES */
void NTAPI port_hear_of_commands(struct port_unit *unit,
                                 const SCSI_REQUEST_BLOCK *srb);

/* functions.c, event.c, ioctl.c, passthrough.c, pnp.c: dispatch */
DRIVER_DISPATCH port_scsi;
DRIVER_DISPATCH port_device_control;
DRIVER_DISPATCH port_pnp;
NTSTATUS port_receive_event(struct port_unit *unit, PIRP irp,
                            PSCSI_REQUEST_BLOCK srb);
void port_refuse_event(struct port_unit *unit);
NTSTATUS port_pass_through(PDEVICE_OBJECT pdo, PIRP irp);

/* unit.c */
void port_unit_stop(struct port_unit *unit);
/* <= DISPATCH.  What can be moved at once: one that was away may be back with
 * another limit. */
uint32_t port_unit_limit(struct port_unit *unit);

NTSTATUS NTAPI port_srb_ntstatus(const SCSI_REQUEST_BLOCK *srb);
/* Completes with status and information; returns status. */
NTSTATUS port_complete(PIRP irp, NTSTATUS status, ULONG_PTR information);

#endif
