/*
 * event.c - SRB_FUNCTION_RECEIVE_EVENT: the unit says that something happened
 *
 * One request waits; what is raised while none does is added up and given to
 * the next.  It says that there is something to look at, and no more: events
 * of two causes may come in any order.
 *
 * Context: <= DISPATCH.  Lock: the unit's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/port_internal.h"

#include "base/trace.h"

static NTSTATUS
deliver(PIRP irp, PSCSI_REQUEST_BLOCK srb, ULONG events)
{
    if (srb->DataBuffer != NULL && srb->DataTransferLength >= sizeof events)
        *(PULONG) srb->DataBuffer = events;
    srb->SrbStatus = SRB_STATUS_SUCCESS;
    return port_finish(irp, srb);
}

NTSTATUS
port_receive_event(struct port_unit *unit, PIRP irp, PSCSI_REQUEST_BLOCK srb)
{
    UCHAR refuse = 0;
    ULONG events;
    KIRQL irql;

    if (!unit->ops->events)
        return port_refuse(irp, srb, SRB_STATUS_INVALID_REQUEST);
    KeAcquireSpinLock(&unit->lock, &irql);
    events = unit->events;
    if (unit_flags(unit) & UNIT_REMOVED) {
        refuse = SRB_STATUS_NO_DEVICE;
    } else if (unit->event_irp != NULL) {
        refuse = SRB_STATUS_BUSY;
    } else if (events != 0) {
        unit->events = 0;
    } else {
        IoMarkIrpPending(irp);
        unit->event_irp = irp;
        IoSetCancelRoutine(irp, port_cancel);
        if (!__atomic_load_n(&irp->Cancel, __ATOMIC_SEQ_CST) ||
            IoSetCancelRoutine(irp, NULL) == NULL) {
            KeReleaseSpinLock(&unit->lock, irql);
            return STATUS_PENDING;
        }
        unit->event_irp = NULL;
        KeReleaseSpinLock(&unit->lock, irql);
        port_refuse(irp, srb, SRB_STATUS_ABORTED);
        return STATUS_PENDING;
    }
    KeReleaseSpinLock(&unit->lock, irql);
    return refuse != 0 ? port_refuse(irp, srb, refuse)
                       : deliver(irp, srb, events);
}

/* One whose cancel routine was called stays: that routine takes it. */
static PIRP
take_event_irp_locked(struct port_unit *unit)
{
    PIRP irp = unit->event_irp;

    if (irp == NULL || IoSetCancelRoutine(irp, NULL) == NULL)
        return NULL;
    unit->event_irp = NULL;
    return irp;
}

void
hba_event(void *context, uint32_t events)
{
    struct port_unit *unit = context;
    KIRQL irql;
    PIRP irp;

    TRACE(TRACE_PORT, "unit=%s events=%x", unit->name, events);
    KeAcquireSpinLock(&unit->lock, &irql);
    unit->events |= events;
    irp = take_event_irp_locked(unit);
    if (irp != NULL) {
        events = unit->events;
        unit->events = 0;
    }
    KeReleaseSpinLock(&unit->lock, irql);
    if (irp != NULL)
        deliver(irp, irp_srb(irp), events);
}

void
port_refuse_event(struct port_unit *unit)
{
    KIRQL irql;
    PIRP irp;

    KeAcquireSpinLock(&unit->lock, &irql);
    irp = take_event_irp_locked(unit);
    KeReleaseSpinLock(&unit->lock, irql);
    if (irp != NULL)
        port_refuse(irp, irp_srb(irp), SRB_STATUS_NO_DEVICE);
}
