/*
 * active.c - commands that the adapter did not answer at once
 *
 * They are in their unit's list until they are answered: there they can be
 * cancelled, aborted, and found by the unit's one timer when their time is
 * over.  Answer and submit may cross; `phase` decides who completes.  Aborting
 * may have to wait for an answer that is just coming in, so time limits are
 * enforced by a work item, never by the DPC.
 *
 * Context: <= DISPATCH.  Lock: the unit's, never over a call out; taken inside
 * the cancel spin lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/port_internal.h"

#include "base/clock.h"
#include "base/trace.h"

#define NS_PER_S 1000000000ull

/* --- the timer ------------------------------------------------------------ */

static void
stop_timer_locked(struct port_unit *unit)
{
    unit->timer_ns = 0;
    KeCancelTimer(&unit->timer);
}

/* Set for the command whose time is over first; off when there is none. */
static void
arm_timer_locked(struct port_unit *unit)
{
    uint64_t due_ns = UINT64_MAX, now_ns = clock_now_ns();
    LARGE_INTEGER due;
    PLIST_ENTRY at;

    for (at = unit->active.Flink; at != &unit->active; at = at->Flink) {
        struct port_request *request =
            CONTAINING_RECORD(at, struct port_request, link);

        if (request->due_ns != 0 && request->abort_status == 0 &&
            request->due_ns < due_ns)
            due_ns = request->due_ns;
    }
    if (due_ns == UINT64_MAX) {
        stop_timer_locked(unit);
        return;
    }
    unit->timer_ns = due_ns;
    /* Rounded up: the DPC must find it due. */
    due.QuadPart =
        due_ns > now_ns ? -(LONGLONG) ((due_ns - now_ns) / 100 + 1) : -1;
    KeSetTimer(&unit->timer, due, &unit->timer_dpc);
}

VOID NTAPI
port_timer_dpc(PKDPC dpc, PVOID context, PVOID argument1, PVOID argument2)
{
    struct port_unit *unit = context;

    KeAcquireSpinLockAtDpcLevel(&unit->lock);
    unit->timer_ns = 0;
    if (!unit->time_work && !IsListEmpty(&unit->active)) {
        unit->time_work = TRUE;
        KeClearEvent(&unit->time_idle);
        ExQueueWorkItem(&unit->time_item, DelayedWorkQueue);
    }
    KeReleaseSpinLockFromDpcLevel(&unit->lock);
}

static void
mark_abort_locked(struct port_request *request, UCHAR srb_status)
{
    InterlockedIncrement(&request->refs);
    __atomic_store_n(&request->abort_status, srb_status, __ATOMIC_RELEASE);
}

static struct port_request *
take_overdue_locked(struct port_unit *unit)
{
    uint64_t now_ns = clock_now_ns();
    PLIST_ENTRY at;

    for (at = unit->active.Flink; at != &unit->active; at = at->Flink) {
        struct port_request *request =
            CONTAINING_RECORD(at, struct port_request, link);

        if (request->due_ns != 0 && request->due_ns <= now_ns &&
            request->abort_status == 0) {
            mark_abort_locked(request, SRB_STATUS_TIMEOUT);
            return request;
        }
    }
    return NULL;
}

VOID NTAPI
port_time_work(PVOID context)
{
    struct port_unit *unit = context;
    struct port_request *request;
    KIRQL irql;

    KeAcquireSpinLock(&unit->lock, &irql);
    while ((request = take_overdue_locked(unit)) != NULL) {
        KeReleaseSpinLock(&unit->lock, irql);
        TRACE(TRACE_PORT, "unit=%s request=%p time over", unit->name,
              (void *) request);
        unit->ops->abort(unit->hba, &request->hba);
        port_request_unref(request);
        KeAcquireSpinLock(&unit->lock, &irql);
    }
    arm_timer_locked(unit);
    unit->time_work = FALSE;
    KeSetEvent(&unit->time_idle, IO_NO_INCREMENT, FALSE);
    KeReleaseSpinLock(&unit->lock, irql);
}

void
port_stop_timer(struct port_unit *unit)
{
    KIRQL irql;

    KeCancelTimer(&unit->timer);
    KeCancelTimer(&unit->full_timer);
    KeFlushQueuedDpcs();
    KeWaitForSingleObject(&unit->time_idle, Executive, KernelMode, FALSE, NULL);
    KeCancelTimer(&unit->timer);
    /* The work item set the event under the lock: let it leave. */
    KeAcquireSpinLock(&unit->lock, &irql);
    KeReleaseSpinLock(&unit->lock, irql);
}

/* --- waiting, answered ---------------------------------------------------- */

/* The adapter has taken it and may answer at any moment. */
void
port_wait(struct port_request *request)
{
    struct port_unit *unit = request->unit;
    PSCSI_REQUEST_BLOCK srb = request->hba.srb;
    PIRP irp = request->irp;
    BOOLEAN end;
    KIRQL irql;

    IoMarkIrpPending(irp);
    request->due_ns = srb->TimeOutValue == 0
                          ? 0
                          : clock_now_ns() + srb->TimeOutValue * NS_PER_S;
    KeAcquireSpinLock(&unit->lock, &irql);
    InsertTailList(&unit->active, &request->link);
    /* Set for one that has been answered since, it goes off once in a while
     * for nothing; setting it for each command would cost more. */
    if (request->due_ns != 0 &&
        (unit->timer_ns == 0 || request->due_ns < unit->timer_ns))
        arm_timer_locked(unit);
    KeReleaseSpinLock(&unit->lock, irql);
    IoSetCancelRoutine(irp, port_cancel);
    end = (__atomic_load_n(&irp->Cancel, __ATOMIC_SEQ_CST) &&
           IoSetCancelRoutine(irp, NULL) != NULL) ||
          (unit_flags(unit) & UNIT_REMOVED) != 0;
    if (InterlockedExchange(&request->phase, PHASE_WAITING) == PHASE_ANSWERED)
        port_answered(request);
    else if (end)
        port_abort(unit, srb, SRB_STATUS_ABORTED);
}

void
port_answered(struct port_request *request)
{
    struct port_unit *unit = request->unit;
    PSCSI_REQUEST_BLOCK srb = request->hba.srb;
    PIRP irp = request->irp;
    KIRQL irql;

    KeAcquireSpinLock(&unit->lock, &irql);
    RemoveEntryList(&request->link);
    if (IsListEmpty(&unit->active))
        stop_timer_locked(unit);
    KeReleaseSpinLock(&unit->lock, irql);
    /* A cancel routine that was called looks at the IRP under this lock. */
    if (IoSetCancelRoutine(irp, NULL) == NULL) {
        IoAcquireCancelSpinLock(&irql);
        IoReleaseCancelSpinLock(irql);
    }
    port_request_unref(request);
    port_finish(irp, srb);
}

void
hba_done(struct hba_request *hba)
{
    struct port_request *request = (struct port_request *) hba;

    if (InterlockedExchange(&request->phase, PHASE_ANSWERED) == PHASE_WAITING)
        port_answered(request);
}

/* --- ending them ---------------------------------------------------------- */

unsigned
port_abort(struct port_unit *unit, const SCSI_REQUEST_BLOCK *srb,
           UCHAR srb_status)
{
    struct port_request *list = NULL, *request;
    unsigned count = 0;
    PLIST_ENTRY at;
    KIRQL irql;

    KeAcquireSpinLock(&unit->lock, &irql);
    for (at = unit->active.Flink; at != &unit->active; at = at->Flink) {
        request = CONTAINING_RECORD(at, struct port_request, link);
        if (srb != NULL && request->hba.srb != srb)
            continue;
        count++;
        if (request->abort_status != 0)
            continue; /* somebody is at it */
        mark_abort_locked(request, srb_status);
        request->next = list;
        list = request;
    }
    KeReleaseSpinLock(&unit->lock, irql);
    while ((request = list) != NULL) {
        list = request->next;
        unit->ops->abort(unit->hba, &request->hba);
        port_request_unref(request);
    }
    return count;
}

static struct port_request *
find_active_locked(struct port_unit *unit, PIRP irp)
{
    PLIST_ENTRY at;

    for (at = unit->active.Flink; at != &unit->active; at = at->Flink) {
        struct port_request *request =
            CONTAINING_RECORD(at, struct port_request, link);

        if (request->irp == irp && request->abort_status == 0) {
            mark_abort_locked(request, SRB_STATUS_ABORTED);
            return request;
        }
    }
    return NULL;
}

static BOOLEAN
take_waiting_locked(struct port_unit *unit, PIRP irp)
{
    PLIST_ENTRY at;

    if (unit->event_irp == irp) {
        unit->event_irp = NULL;
        return TRUE;
    }
    for (at = unit->queue.Flink; at != &unit->queue; at = at->Flink)
        if (CONTAINING_RECORD(at, IRP, Tail.Overlay.ListEntry) == irp) {
            RemoveEntryList(at);
            if (IsListEmpty(&unit->queue))
                InterlockedAnd(&unit->flags, ~UNIT_QUEUED);
            return TRUE;
        }
    return FALSE;
}

/* Of queued requests, of a request for events, of commands on their way. */
VOID NTAPI
port_cancel(PDEVICE_OBJECT device, PIRP irp)
{
    struct port_unit *unit = unit_of(device);
    struct port_request *request = NULL;
    BOOLEAN waited;

    KeAcquireSpinLockAtDpcLevel(&unit->lock);
    waited = take_waiting_locked(unit, irp);
    if (!waited)
        request = find_active_locked(unit, irp);
    KeReleaseSpinLockFromDpcLevel(&unit->lock);
    IoReleaseCancelSpinLock(irp->CancelIrql);
    if (waited)
        port_refuse(irp, irp_srb(irp), SRB_STATUS_ABORTED);
    if (request != NULL) {
        unit->ops->abort(unit->hba, &request->hba);
        port_request_unref(request);
    }
}
