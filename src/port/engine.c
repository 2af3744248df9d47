/*
 * engine.c - a command from its SRB to the adapter and back; the queue
 *
 * A request goes straight to the adapter on the caller's thread unless the
 * unit's queue is frozen (a command failed and its owner has not yet released
 * the queue) or locked; then it waits in the queue, cancelable.  Whoever thaws
 * the queue restarts what waits in it; only one thread at a time does.
 *
 * Context: <= DISPATCH.  Lock: the unit's, never over a call out.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/port_internal.h"

#include "base/clock.h"
#include "base/trace.h"

/* --- completion ----------------------------------------------------------- */

static const struct {
    UCHAR srb_status;
    NTSTATUS status;
} ntstatus_of[] = {
    { SRB_STATUS_ABORTED, STATUS_REQUEST_ABORTED },
    { SRB_STATUS_BUSY, STATUS_DEVICE_BUSY },
    { SRB_STATUS_INVALID_REQUEST, STATUS_INVALID_DEVICE_REQUEST },
    { SRB_STATUS_BAD_FUNCTION, STATUS_INVALID_DEVICE_REQUEST },
    { SRB_STATUS_NO_DEVICE, STATUS_DEVICE_DOES_NOT_EXIST },
    { SRB_STATUS_NO_HBA, STATUS_DEVICE_DOES_NOT_EXIST },
    { SRB_STATUS_INVALID_PATH_ID, STATUS_DEVICE_DOES_NOT_EXIST },
    { SRB_STATUS_INVALID_TARGET_ID, STATUS_DEVICE_DOES_NOT_EXIST },
    { SRB_STATUS_INVALID_LUN, STATUS_DEVICE_DOES_NOT_EXIST },
    { SRB_STATUS_SELECTION_TIMEOUT, STATUS_DEVICE_NOT_CONNECTED },
    { SRB_STATUS_TIMEOUT, STATUS_IO_TIMEOUT },
    { SRB_STATUS_COMMAND_TIMEOUT, STATUS_IO_TIMEOUT },
    { SRB_STATUS_DATA_OVERRUN, STATUS_DATA_OVERRUN },
    { SRB_STATUS_REQUEST_FLUSHED, STATUS_UNSUCCESSFUL },
};

/* Class drivers look at the SRB; this is for everybody else. */
NTSTATUS NTAPI
port_srb_ntstatus(const SCSI_REQUEST_BLOCK *srb)
{
    UCHAR srb_status = SRB_STATUS(srb->SrbStatus);

    if (srb_status == SRB_STATUS_SUCCESS)
        return STATUS_SUCCESS;
    if (srb_status == SRB_STATUS_INTERNAL_ERROR)
        return (NTSTATUS) srb->InternalStatus;
    for (size_t i = 0; i < ARRAYSIZE(ntstatus_of); i++)
        if (ntstatus_of[i].srb_status == srb_status)
            return ntstatus_of[i].status;
    return STATUS_IO_DEVICE_ERROR;
}

NTSTATUS
port_complete(PIRP irp, NTSTATUS status, ULONG_PTR information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp,
                      NT_SUCCESS(status) ? IO_DISK_INCREMENT : IO_NO_INCREMENT);
    return status;
}

NTSTATUS NTAPI
port_finish(PIRP irp, PSCSI_REQUEST_BLOCK srb)
{
    NTSTATUS status = STATUS_SUCCESS;

    if (__builtin_expect(srb->SrbStatus != SRB_STATUS_SUCCESS, 0)) {
        if (srb->SrbStatus == SRB_STATUS_ERROR &&
            srb->ScsiStatus == SCSISTAT_QUEUE_FULL) {
            if (port_full(irp, srb))
                return STATUS_PENDING;
            srb->DataTransferLength = 0;
        }
        status = port_srb_ntstatus(srb);
        if (__atomic_load_n(&irp->Cancel, __ATOMIC_ACQUIRE) &&
            SRB_STATUS(srb->SrbStatus) == SRB_STATUS_ABORTED)
            status = STATUS_CANCELLED;
    }
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = srb->DataTransferLength;
    IoCompleteRequest(irp, IO_DISK_INCREMENT);
    return status;
}

NTSTATUS NTAPI
port_refuse(PIRP irp, PSCSI_REQUEST_BLOCK srb, UCHAR srb_status)
{
    srb->SrbStatus = srb_status;
    srb->DataTransferLength = 0;
    return port_finish(irp, srb);
}

/* --- what the adapter says ------------------------------------------------ */

/* Commands that end like this stop the queue, for their owner to look. */
static BOOLEAN
freezes(const SCSI_REQUEST_BLOCK *srb)
{
    if (srb->SrbFlags & SRB_FLAGS_NO_QUEUE_FREEZE)
        return FALSE;
    switch (srb->SrbStatus) {
    case SRB_STATUS_ERROR:
        return srb->ScsiStatus == SCSISTAT_CHECK_CONDITION ||
               srb->ScsiStatus == SCSISTAT_COMMAND_TERMINATED;
    case SRB_STATUS_ABORTED:
    case SRB_STATUS_TIMEOUT:
    case SRB_STATUS_COMMAND_TIMEOUT:
    case SRB_STATUS_BUS_RESET:
        return TRUE;
    default:
        return FALSE;
    }
}

/* CLEANING REQUESTED, in either format. */
static bool
asks_for_cleaning(const UCHAR *sense, UCHAR len)
{
    bool descriptor = len >= 4 && (sense[0] & 0x7E) == 0x72;

    if (descriptor)
        return sense[2] == 0x00 && sense[3] == 0x17;
    return len >= 14 && (sense[0] & 0x7E) == 0x70 && sense[12] == 0x00 &&
           sense[13] == 0x17;
}

static void
set_sense(struct port_unit *unit, PSCSI_REQUEST_BLOCK srb,
          const struct hba_answer *answer)
{
    UCHAR len = answer->sense_len;
    KIRQL irql;

    KeAcquireSpinLock(&unit->lock, &irql);
    unit->sense_len = len < PORT_SENSE_MAX ? len : PORT_SENSE_MAX;
    RtlCopyMemory(unit->sense, answer->sense, unit->sense_len);
    unit->senses++;
    unit->cleaning_asks += asks_for_cleaning(answer->sense, unit->sense_len);
    KeReleaseSpinLock(&unit->lock, irql);
    if (srb->SenseInfoBuffer == NULL ||
        srb->SrbFlags & SRB_FLAGS_DISABLE_AUTOSENSE)
        return;
    if (len > srb->SenseInfoBufferLength)
        len = srb->SenseInfoBufferLength;
    RtlCopyMemory(srb->SenseInfoBuffer, answer->sense, len);
    srb->SenseInfoBufferLength = len;
    srb->SrbStatus |= SRB_STATUS_AUTOSENSE_VALID;
}

static void
set_failure(struct port_request *request, const struct hba_answer *answer)
{
    struct port_unit *unit = request->unit;
    PSCSI_REQUEST_BLOCK srb = request->hba.srb;
    BOOLEAN freeze;

    /* An abort that nobody asked for was a reset. */
    if (srb->SrbStatus == SRB_STATUS_ABORTED) {
        srb->SrbStatus =
            __atomic_load_n(&request->abort_status, __ATOMIC_ACQUIRE);
        if (srb->SrbStatus == 0)
            srb->SrbStatus = SRB_STATUS_BUS_RESET;
    }
    freeze = freezes(srb);
    if (answer->attention != 0)
        srb->QueueSortKey = answer->attention;
    if (answer->sense_len != 0)
        set_sense(unit, srb, answer);
    if (freeze) {
        InterlockedOr(&unit->flags, UNIT_FROZEN);
        srb->SrbStatus |= SRB_STATUS_QUEUE_FROZEN;
    }
    TRACE(TRACE_SCSI, "unit=%s op=%02x srb=%02x scsi=%02x attention=%u",
          unit->name, srb->Cdb[0], srb->SrbStatus, srb->ScsiStatus,
          answer->attention);
}

/* SPC: fixed format 70h and 71h, with descriptors 72h and 73h. */
struct hba_sense
hba_read_sense(const uint8_t *sense, size_t len)
{
    bool fixed = len > 0 && (sense[0] & 0x7E) == 0x70;
    bool descriptors = len > 0 && (sense[0] & 0x7E) == 0x72;
    size_t key = fixed ? 2 : 1, asc = fixed ? 12 : 2;
    struct hba_sense out = { false, 0, 0, 0 };

    if ((!fixed && !descriptors) || key >= len)
        return out;
    out.readable = true;
    out.key = sense[key] & 0x0F;
    out.asc = asc < len ? sense[asc] : 0;
    out.ascq = asc + 1 < len ? sense[asc + 1] : 0;
    return out;
}

void
hba_set_answer(struct hba_request *hba, const struct hba_answer *answer)
{
    struct port_request *request = (struct port_request *) hba;
    struct port_unit *unit = request->unit;
    PSCSI_REQUEST_BLOCK srb = hba->srb;

    srb->SrbStatus = answer->srb_status;
    srb->ScsiStatus = answer->scsi_status;
    if (__builtin_expect(answer->srb_status != SRB_STATUS_SUCCESS, 0) &&
        answer->srb_status == SRB_STATUS_ERROR &&
        answer->scsi_status == SCSISTAT_QUEUE_FULL)
        return; /* it will be sent again as it is */
    srb->DataTransferLength = answer->transferred;
    if (answer->srb_status == SRB_STATUS_SUCCESS ||
        answer->scsi_status != SCSISTAT_GOOD) {
        uint64_t now_ms = clock_coarse_ms();

        /* Written once per tick only, so that its line stays shared. */
        if (__atomic_load_n(&unit->last_answer_ms, __ATOMIC_RELAXED) != now_ms)
            __atomic_store_n(&unit->last_answer_ms, now_ms, __ATOMIC_RELAXED);
    }
    if (__builtin_expect(answer->srb_status != SRB_STATUS_SUCCESS, 0))
        set_failure(request, answer);
    else if (__builtin_expect(srb->Cdb[0] == SCSIOP_MAINTENANCE_IN, 0))
        port_hear_of_commands(unit, srb);
}

/* --- on its way ----------------------------------------------------------- */

NTSTATUS NTAPI
port_execute(struct port_unit *unit, PIRP irp, PSCSI_REQUEST_BLOCK srb)
{
    struct port_request *request = port_request_new();

    if (__builtin_expect(request == NULL, 0)) {
        srb->InternalStatus = (ULONG) STATUS_INSUFFICIENT_RESOURCES;
        return port_refuse(irp, srb, SRB_STATUS_INTERNAL_ERROR);
    }
    request->hba.srb = srb;
    request->unit = unit;
    request->irp = irp;
    request->phase = PHASE_SUBMITTED;
    request->refs = 1;
    request->abort_status = 0;
    if (__builtin_expect(!unit->ops->submit(unit->hba, &request->hba), 0)) {
        port_wait(request);
        return STATUS_PENDING;
    }
    port_request_unref(request);
    return port_finish(irp, srb);
}

/* --- the queue ------------------------------------------------------------ */

static BOOLEAN
stopped(LONG flags, ULONG srb_flags)
{
    if (flags & UNIT_FROZEN && !(srb_flags & SRB_FLAGS_BYPASS_FROZEN_QUEUE))
        return TRUE;
    return flags & UNIT_LOCKED && !(srb_flags & SRB_FLAGS_BYPASS_LOCKED_QUEUE);
}

/*
 * The first one that none of `flags` stops.  An IRP whose cancel routine was
 * called stays in: that routine waits for our lock and takes it out.
 */
static PIRP
dequeue_locked(struct port_unit *unit, LONG flags)
{
    PLIST_ENTRY at;

    for (at = unit->queue.Flink; at != &unit->queue; at = at->Flink) {
        PIRP irp = CONTAINING_RECORD(at, IRP, Tail.Overlay.ListEntry);

        if (stopped(flags, irp_srb(irp)->SrbFlags) ||
            IoSetCancelRoutine(irp, NULL) == NULL)
            continue;
        RemoveEntryList(at);
        if (IsListEmpty(&unit->queue))
            InterlockedAnd(&unit->flags, ~UNIT_QUEUED);
        return irp;
    }
    if (IsListEmpty(&unit->queue))
        InterlockedAnd(&unit->flags, ~UNIT_QUEUED);
    return NULL;
}

void
port_resume(struct port_unit *unit, LONG clear)
{
    LONG flags;
    KIRQL irql;
    PIRP irp;

    KeAcquireSpinLock(&unit->lock, &irql);
    InterlockedAnd(&unit->flags, ~clear);
    /* Released from within a completion: whoever restarts the queue, further
     * down this stack perhaps, goes on when it comes back. */
    if (unit->draining) {
        KeReleaseSpinLock(&unit->lock, irql);
        return;
    }
    unit->draining = TRUE;
    while (flags = unit_flags(unit),
           !(flags & (UNIT_REMOVED | UNIT_FULL)) &&
               (irp = dequeue_locked(unit, flags)) != NULL) {
        KeReleaseSpinLock(&unit->lock, irql);
        port_execute(unit, irp, irp_srb(irp));
        KeAcquireSpinLock(&unit->lock, &irql);
    }
    unit->draining = FALSE;
    KeReleaseSpinLock(&unit->lock, irql);
}

void
port_flush(struct port_unit *unit, UCHAR srb_status)
{
    KIRQL irql;
    PIRP irp;

    for (;;) {
        KeAcquireSpinLock(&unit->lock, &irql);
        irp = dequeue_locked(unit, 0);
        KeReleaseSpinLock(&unit->lock, irql);
        if (irp == NULL)
            return;
        port_refuse(irp, irp_srb(irp), srb_status);
    }
}

static BOOLEAN
held_back(LONG flags, ULONG srb_flags)
{
    if (stopped(flags, srb_flags))
        return TRUE;
    return flags & UNIT_QUEUED &&
           !(srb_flags &
             (SRB_FLAGS_BYPASS_FROZEN_QUEUE | SRB_FLAGS_BYPASS_LOCKED_QUEUE));
}

BOOLEAN
port_enqueue_locked(struct port_unit *unit, PIRP irp, BOOLEAN first)
{
    IoSetCancelRoutine(irp, port_cancel);
    if (__atomic_load_n(&irp->Cancel, __ATOMIC_SEQ_CST) &&
        IoSetCancelRoutine(irp, NULL) != NULL)
        return FALSE;
    IoMarkIrpPending(irp);
    if (first)
        InsertHeadList(&unit->queue, &irp->Tail.Overlay.ListEntry);
    else
        InsertTailList(&unit->queue, &irp->Tail.Overlay.ListEntry);
    InterlockedOr(&unit->flags, UNIT_QUEUED);
    return TRUE;
}

NTSTATUS NTAPI
port_start_held(struct port_unit *unit, PIRP irp, PSCSI_REQUEST_BLOCK srb)
{
    BOOLEAN queued;
    LONG flags;
    KIRQL irql;

    KeAcquireSpinLock(&unit->lock, &irql);
    flags = unit_flags(unit);
    if (flags & UNIT_REMOVED || !held_back(flags, srb->SrbFlags)) {
        KeReleaseSpinLock(&unit->lock, irql);
        return flags & UNIT_REMOVED
                   ? port_refuse(irp, srb, SRB_STATUS_NO_DEVICE)
                   : port_execute(unit, irp, srb);
    }
    queued = port_enqueue_locked(unit, irp, FALSE);
    KeReleaseSpinLock(&unit->lock, irql);
    if (!queued)
        return port_refuse(irp, srb, SRB_STATUS_ABORTED);
    if (!(flags & (UNIT_FROZEN | UNIT_LOCKED | UNIT_FULL)))
        port_resume(unit, 0);
    return STATUS_PENDING;
}
