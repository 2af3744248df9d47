/*
 * functions.c - IRP_MJ_SCSI: what an SRB asks for
 *
 * Commands go to the engine at once; the other functions are rows of a table.
 *
 * Context: <= DISPATCH.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/port_internal.h"

#include "base/trace.h"

typedef NTSTATUS srb_function(struct port_unit *unit, PIRP irp,
                              PSCSI_REQUEST_BLOCK srb);

static NTSTATUS
succeed(PIRP irp, PSCSI_REQUEST_BLOCK srb)
{
    srb->SrbStatus = SRB_STATUS_SUCCESS;
    return port_finish(irp, srb);
}

/* The device object goes into DataBuffer, as ports do. */
static NTSTATUS
claim(struct port_unit *unit, PIRP irp, PSCSI_REQUEST_BLOCK srb)
{
    BOOLEAN taken;
    KIRQL irql;

    KeAcquireSpinLock(&unit->lock, &irql);
    taken = unit->claimed;
    unit->claimed = TRUE;
    KeReleaseSpinLock(&unit->lock, irql);
    if (taken)
        return port_refuse(irp, srb, SRB_STATUS_BUSY);
    srb->DataBuffer = unit->pdo;
    return succeed(irp, srb);
}

static NTSTATUS
release(struct port_unit *unit, PIRP irp, PSCSI_REQUEST_BLOCK srb)
{
    KIRQL irql;

    KeAcquireSpinLock(&unit->lock, &irql);
    unit->claimed = FALSE;
    KeReleaseSpinLock(&unit->lock, irql);
    return succeed(irp, srb);
}

static NTSTATUS
release_queue(struct port_unit *unit, PIRP irp, PSCSI_REQUEST_BLOCK srb)
{
    port_resume(unit, UNIT_FROZEN);
    return succeed(irp, srb);
}

static NTSTATUS
flush_queue(struct port_unit *unit, PIRP irp, PSCSI_REQUEST_BLOCK srb)
{
    port_flush(unit, SRB_STATUS_REQUEST_FLUSHED);
    port_resume(unit, UNIT_FROZEN);
    return succeed(irp, srb);
}

static NTSTATUS
lock_queue(struct port_unit *unit, PIRP irp, PSCSI_REQUEST_BLOCK srb)
{
    InterlockedOr(&unit->flags, UNIT_LOCKED);
    return succeed(irp, srb);
}

static NTSTATUS
unlock_queue(struct port_unit *unit, PIRP irp, PSCSI_REQUEST_BLOCK srb)
{
    port_resume(unit, UNIT_LOCKED);
    return succeed(irp, srb);
}

static PIRP
take_queued(struct port_unit *unit, const SCSI_REQUEST_BLOCK *srb)
{
    PIRP found = NULL;
    PLIST_ENTRY at;
    KIRQL irql;

    KeAcquireSpinLock(&unit->lock, &irql);
    for (at = unit->queue.Flink; at != &unit->queue; at = at->Flink) {
        PIRP irp = CONTAINING_RECORD(at, IRP, Tail.Overlay.ListEntry);

        if (irp_srb(irp) != srb || IoSetCancelRoutine(irp, NULL) == NULL)
            continue;
        RemoveEntryList(at);
        if (IsListEmpty(&unit->queue))
            InterlockedAnd(&unit->flags, ~UNIT_QUEUED);
        found = irp;
        break;
    }
    KeReleaseSpinLock(&unit->lock, irql);
    return found;
}

/* NextSrb is the one to abort. */
static NTSTATUS
abort_command(struct port_unit *unit, PIRP irp, PSCSI_REQUEST_BLOCK srb)
{
    PIRP queued = take_queued(unit, srb->NextSrb);

    if (queued != NULL)
        port_refuse(queued, srb->NextSrb, SRB_STATUS_ABORTED);
    else if (srb->NextSrb == NULL ||
             port_abort(unit, srb->NextSrb, SRB_STATUS_ABORTED) == 0)
        return port_refuse(irp, srb, SRB_STATUS_ABORT_FAILED);
    return succeed(irp, srb);
}

static NTSTATUS
reset(struct port_unit *unit, PIRP irp, PSCSI_REQUEST_BLOCK srb)
{
    TRACE(TRACE_PORT, "unit=%s reset", unit->name);
    unit->ops->reset(unit->hba);
    return succeed(irp, srb);
}

/* SHUTDOWN and FLUSH are about a cache of the adapter; there is none. */
static NTSTATUS
nothing_to_do(struct port_unit *unit, PIRP irp, PSCSI_REQUEST_BLOCK srb)
{
    return succeed(irp, srb);
}

static srb_function *const functions[] = {
    [SRB_FUNCTION_CLAIM_DEVICE] = claim,
    [SRB_FUNCTION_RECEIVE_EVENT] = port_receive_event,
    [SRB_FUNCTION_RELEASE_QUEUE] = release_queue,
    [SRB_FUNCTION_RELEASE_DEVICE] = release,
    [SRB_FUNCTION_SHUTDOWN] = nothing_to_do,
    [SRB_FUNCTION_FLUSH] = nothing_to_do,
    [SRB_FUNCTION_ABORT_COMMAND] = abort_command,
    [SRB_FUNCTION_RESET_BUS] = reset,
    [SRB_FUNCTION_RESET_DEVICE] = reset,
    [SRB_FUNCTION_FLUSH_QUEUE] = flush_queue,
    [SRB_FUNCTION_LOCK_QUEUE] = lock_queue,
    [SRB_FUNCTION_UNLOCK_QUEUE] = unlock_queue,
    [SRB_FUNCTION_RESET_LOGICAL_UNIT] = reset,
};

static NTSTATUS NTAPI __attribute__((noinline))
other_function(struct port_unit *unit, PIRP irp, PSCSI_REQUEST_BLOCK srb)
{
    srb_function *function =
        srb->Function < ARRAYSIZE(functions) ? functions[srb->Function] : NULL;

    if (function == NULL)
        return port_refuse(irp, srb, SRB_STATUS_INVALID_REQUEST);
    return function(unit, irp, srb);
}

NTSTATUS NTAPI
port_scsi(PDEVICE_OBJECT device, PIRP irp)
{
    struct port_unit *unit = unit_of(device);
    PSCSI_REQUEST_BLOCK srb = irp_srb(irp);

    if (__builtin_expect(srb->Function != SRB_FUNCTION_EXECUTE_SCSI, 0))
        return other_function(unit, irp, srb);
    if (__builtin_expect(unit_flags(unit) != 0, 0))
        return port_start_held(unit, irp, srb);
    return port_execute(unit, irp, srb);
}
