/*
 * request.c - run commands: send, complete, retry, wait, cancel
 *
 * A request from above uses the IRP that it came with for its commands, one
 * after the other; one of our own has its own IRP.  A command that completes
 * on the spot is looked at by the sender, on its stack; one that completes
 * later, by the completion routine, which sends nothing itself but hands over
 * to a worker.  A retry with a delay waits on its timer, without a thread, and
 * ends early when it is cancelled or something happens to the medium.
 *
 * Locks: dev->wait_lock for the list of waiting requests.  <= DISPATCH.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

#include "base/trace.h"

/* The sender's view of an attempt that may complete while it is being sent. */
struct class_sync {
    UCHAR state;
    NTSTATUS status;
};
enum { SYNC_AWAY, SYNC_BACK, SYNC_FINISHED };

enum step { STEP_END, STEP_AGAIN, STEP_WAIT, STEP_GONE };

/* wait_state, under wait_lock.  TAKEN: off the list, its timer's DPC goes on
 * with it.  FIRED: on the list, the cancel routine goes on with it. */
enum { WAIT_NONE, WAIT_LISTED, WAIT_FIRED, WAIT_TAKEN };

static IO_COMPLETION_ROUTINE command_completed;

/* --- the command ---------------------------------------------------------- */

VOID NTAPI
class_command(struct class_request *request, const UCHAR *cdb, UCHAR cdb_len,
              PVOID data, ULONG len, BOOLEAN to_device)
{
    PSCSI_REQUEST_BLOCK srb = &request->srb;
    PFUNCTIONAL_DEVICE_EXTENSION ext = request->dev->ext;

    srb->Length = sizeof *srb;
    srb->Function = SRB_FUNCTION_EXECUTE_SCSI;
    srb->CdbLength = cdb_len;
    srb->SrbFlags = class_srb_flags(ext);
    if (len != 0)
        srb->SrbFlags |= to_device ? SRB_FLAGS_DATA_OUT : SRB_FLAGS_DATA_IN;
    if (request->flags & REQ_POLL)
        srb->SrbFlags |= SRB_CLASS_FLAGS_LOW_PRIORITY |
                         SRB_FLAGS_NO_QUEUE_FREEZE |
                         SRB_FLAGS_DISABLE_SYNCH_TRANSFER;
    srb->DataBuffer = len != 0 ? data : NULL;
    request->length = len;
    srb->TimeOutValue = ext->TimeOutValue;
    RtlCopyMemory(srb->Cdb, cdb, cdb_len);
}

/* --- completing ----------------------------------------------------------- */

static BOOLEAN
is_transfer(PIRP irp)
{
    UCHAR major = IoGetCurrentIrpStackLocation(irp)->MajorFunction;

    return major == IRP_MJ_READ || major == IRP_MJ_WRITE;
}

VOID NTAPI __attribute__((noinline))
class_hard_error_duty(class_device *dev, PIRP irp, NTSTATUS status)
{
    BOOLEAN induced = !NT_SUCCESS(status) && IoIsErrorUserInduced(status);

    if (NT_SUCCESS(status) && is_transfer(irp))
        InterlockedAnd(&dev->due, ~CLASS_DUE_LOG_AGAIN);
    if (irp->Tail.Overlay.Thread == NULL) {
        if (induced)
            InterlockedOr(&dev->due, CLASS_DUE_CALL);
        return;
    }
    if (InterlockedAnd(&dev->due, ~CLASS_DUE_CALL) & CLASS_DUE_CALL || induced)
        IoSetHardErrorOrVerifyDevice(irp, dev->fdo);
}

/* All that completing an IRP from above needs but IoCompleteRequest. */
FORCEINLINE VOID
settle(class_device *dev, PIRP irp, NTSTATUS status, ULONG_PTR information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    if (__builtin_expect(!NT_SUCCESS(status), 0) ||
        __builtin_expect(__atomic_load_n(&dev->due, __ATOMIC_ACQUIRE), 0))
        class_hard_error_duty(dev, irp, status);
    ClassReleaseRemoveLock(dev->fdo, irp);
}

VOID NTAPI
class_settle(class_device *dev, PIRP irp, NTSTATUS status,
             ULONG_PTR information)
{
    settle(dev, irp, status, information);
}

NTSTATUS NTAPI
class_complete(class_device *dev, PIRP irp, NTSTATUS status,
               ULONG_PTR information)
{
    settle(dev, irp, status, information);
    IoCompleteRequest(irp,
                      NT_SUCCESS(status) ? IO_DISK_INCREMENT : IO_NO_INCREMENT);
    return status;
}

/* Part of a request that a driver split into associated IRPs. */
VOID NTAPI
class_tell_master(PIRP irp, NTSTATUS status)
{
    PIRP master = irp->AssociatedIrp.MasterIrp;

    IoSetMasterIrpStatus(master, status);
    if (!NT_SUCCESS(status))
        master->IoStatus.Information = 0;
}

/* finish has had its say: the request is over. */
static VOID NTAPI
request_end(struct class_request *request, NTSTATUS status)
{
    PIRP original = request->original;
    class_device *dev = request->dev;
    ULONG_PTR information = request->information;

    class_request_free(request);
    if (original == NULL)
        return;
    if (original->Flags & IRP_ASSOCIATED_IRP)
        class_tell_master(original, status);
    class_complete(dev, original, status,
                   NT_SUCCESS(status) || status == STATUS_BUFFER_OVERFLOW
                       ? information
                       : 0);
}

/* --- after an attempt ----------------------------------------------------- */

static BOOLEAN
is_cancelled(const struct class_request *request)
{
    return request->original != NULL &&
           __atomic_load_n(&request->original->Cancel, __ATOMIC_ACQUIRE);
}

/* The last attempt is made as simple for the device as it gets. */
static void
scale_down(struct class_request *request)
{
    request->srb.SrbFlags |=
        SRB_FLAGS_DISABLE_DISCONNECT | SRB_FLAGS_DISABLE_SYNCH_TRANSFER;
    request->srb.SrbFlags &= ~(ULONG) SRB_FLAGS_QUEUE_ACTION_ENABLE;
}

static ULONG
retry_delay_s(const struct class_request *request,
              const struct class_outcome *out)
{
    ULONG delay = out->delay_s;
    BOOLEAN slow =
        SRB_STATUS(request->srb.SrbStatus) == SRB_STATUS_SELECTION_TIMEOUT ||
        (out->sense_valid && out->sense.key == SCSI_SENSE_NOT_READY &&
         out->sense.asc == SCSI_ADSENSE_LUN_NOT_READY);

    if (request->flags & REQ_SYNCHRONOUS && slow && delay < 2)
        delay = 2;
    return delay > CLASS_NEVER_MORE_S ? CLASS_NEVER_MORE_S : delay;
}

/*
 * A drive that is busy with a long operation is given time, not attempts: CD
 * drives that just wrote answer so for minutes.
 */
static BOOLEAN
within_budget(struct class_request *request, const struct class_outcome *out)
{
    if (!request->dev->read_only_type || request->original == NULL ||
        !is_transfer(request->original) || !out->sense_valid ||
        out->sense.key != SCSI_SENSE_NOT_READY ||
        out->sense.asc != SCSI_ADSENSE_LUN_NOT_READY ||
        out->sense.ascq != SCSI_SENSEQ_LONG_WRITE_IN_PROGRESS)
        return FALSE;
    request->waited_s += (USHORT) (out->delay_s != 0 ? out->delay_s : 1);
    return request->waited_s <= CLASS_BUDGET_S;
}

/* Time-outs have a count of their own, which nothing gives back. */
static BOOLEAN
may_try_again(struct class_request *request, const struct class_outcome *out)
{
    UCHAR srb_status = SRB_STATUS(request->srb.SrbStatus);

    if ((srb_status == SRB_STATUS_TIMEOUT ||
         srb_status == SRB_STATUS_COMMAND_TIMEOUT) &&
        request->timeouts++ >= request->retries)
        return FALSE;
    if (within_budget(request, out))
        return TRUE;
    return request->retry_number < request->retries;
}

/* TRUE: try again, after *out_delay_s. */
static BOOLEAN
attempt_failed(struct class_request *request, NTSTATUS *status,
               ULONG *out_delay_s)
{
    const struct class_attempt attempt = {
        .irp = request->original,
        .retry_number = request->retry_number,
        .last = request->retry_number >= request->retries,
        .quiet = (request->flags & REQ_QUIET) != 0,
    };
    struct class_outcome out = { 0 };
    BOOLEAN retry;

    class_act(request->dev, &request->srb, &attempt, &out);
    retry = out.retry;
    *status = out.status;
    if (out.status == STATUS_VERIFY_REQUIRED) {
        if (request->flags & REQ_OVERRIDE) {
            *status = STATUS_IO_DEVICE_ERROR;
            retry = TRUE;
        } else if (request->flags & REQ_VERIFY_RETRY) {
            retry = TRUE;
        }
    } else if (request->flags & REQ_REPORT &&
               !(request->flags & REQ_OVERRIDE) && request->dev->removable &&
               out.sense_valid && out.sense.key == SCSI_SENSE_UNIT_ATTENTION) {
        retry = FALSE;
    }
    if (!retry || !may_try_again(request, &out) || class_removed(request->dev))
        return FALSE;
    if (is_cancelled(request)) {
        *status = STATUS_CANCELLED;
        return FALSE;
    }
    if (request->retry_number < request->retries)
        request->retry_number++;
    *out_delay_s = retry_delay_s(request, &out);
    TRACE(TRACE_SCSI, "dev=%p op=%02x status=%08x retry=%u in %u s",
          (void *) request->dev->fdo, request->srb.Cdb[0], (ULONG) *status,
          request->retry_number, *out_delay_s);
    return TRUE;
}

/* Of an SRB that is no command: nothing to interpret, nothing to retry. */
static NTSTATUS
function_status(const struct class_request *request)
{
    return SRB_STATUS(request->srb.SrbStatus) == SRB_STATUS_SUCCESS
               ? STATUS_SUCCESS
               : STATUS_UNSUCCESSFUL;
}

/* Decides what comes after an attempt. */
static enum step NTAPI
step_on(struct class_request *request, NTSTATUS *status, ULONG *out_delay_s)
{
    static const UCHAR steps[] = {
        [NEXT_SEND] = STEP_AGAIN,
        [NEXT_COMPLETE] = STEP_END,
        [NEXT_GONE] = STEP_GONE,
    };

    *status = STATUS_SUCCESS;
    *out_delay_s = 0;
    if (request->srb.Function != SRB_FUNCTION_EXECUTE_SCSI)
        *status = function_status(request);
    else if (SRB_STATUS(request->srb.SrbStatus) != SRB_STATUS_SUCCESS &&
             attempt_failed(request, status, out_delay_s))
        return *out_delay_s != 0 ? STEP_WAIT : STEP_AGAIN;
    request->retry_number = request->timeouts = 0;
    request->waited_s = 0;
    if (request->finish != NULL)
        return steps[request->finish(request, status)];
    if (NT_SUCCESS(*status))
        request->information += request->srb.DataTransferLength;
    return STEP_END;
}

/* --- waiting for a retry -------------------------------------------------- */

VOID NTAPI
class_go_on(PVOID context)
{
    struct class_request *request = context;
    NTSTATUS status = STATUS_CANCELLED;

    if (!(request->flags & REQ_CANCELLED)) {
        (void) class_send(request);
        return;
    }
    if (class_removed(request->dev))
        status = STATUS_DEVICE_DOES_NOT_EXIST;
    if (request->original == NULL && request->finish != NULL) {
        request->srb.SrbStatus = SRB_STATUS_ABORTED;
        if (request->finish(request, &status) == NEXT_GONE)
            return;
    }
    request_end(request, status);
}

/* wait_lock held.  TRUE: the caller owns the request now. */
static BOOLEAN
take_off_locked(struct class_request *request)
{
    RemoveEntryList(&request->entry);
    if (request->wait_state == WAIT_FIRED || KeCancelTimer(&request->timer)) {
        request->wait_state = WAIT_NONE;
        return TRUE;
    }
    request->wait_state = WAIT_TAKEN;
    return FALSE;
}

VOID NTAPI
class_wait_expired(PKDPC dpc, PVOID context, PVOID arg1, PVOID arg2)
{
    struct class_request *request = context;
    class_device *dev = request->dev;
    BOOLEAN mine = TRUE;
    KIRQL irql;

    KeAcquireSpinLock(&dev->wait_lock, &irql);
    if (request->wait_state == WAIT_LISTED) {
        if (request->original != NULL &&
            IoSetCancelRoutine(request->original, NULL) == NULL) {
            request->wait_state = WAIT_FIRED;
            mine = FALSE;
        } else {
            RemoveEntryList(&request->entry);
        }
    }
    if (mine)
        request->wait_state = WAIT_NONE;
    KeReleaseSpinLock(&dev->wait_lock, irql);
    if (mine)
        ExQueueWorkItem(&request->work, CriticalWorkQueue);
}

static VOID NTAPI
wait_cancelled(PDEVICE_OBJECT fdo, PIRP irp)
{
    class_device *dev = class_dev(fdo);
    struct class_request *request = irp->Tail.Overlay.DriverContext[0];
    BOOLEAN mine;
    KIRQL irql;

    IoReleaseCancelSpinLock(irp->CancelIrql);
    KeAcquireSpinLock(&dev->wait_lock, &irql);
    request->flags |= REQ_CANCELLED;
    mine = take_off_locked(request);
    KeReleaseSpinLock(&dev->wait_lock, irql);
    if (mine)
        ExQueueWorkItem(&request->work, CriticalWorkQueue);
}

VOID NTAPI
class_wake_waiting(class_device *dev, enum class_wake why)
{
    LIST_ENTRY mine;
    PLIST_ENTRY at, next;
    KIRQL irql;

    InitializeListHead(&mine);
    KeAcquireSpinLock(&dev->wait_lock, &irql);
    for (at = dev->waiting.Flink; at != &dev->waiting; at = next) {
        struct class_request *request =
            CONTAINING_RECORD(at, struct class_request, entry);

        next = at->Flink;
        if (request->original != NULL &&
            IoSetCancelRoutine(request->original, NULL) == NULL)
            continue; /* its cancel routine is on the way */
        if (why == WAKE_CANCEL)
            request->flags |= REQ_CANCELLED;
        else if (why == WAKE_NEWS && request->retry_number > 0)
            request->retry_number--; /* it was not its turn */
        if (take_off_locked(request))
            InsertTailList(&mine, &request->entry);
    }
    KeReleaseSpinLock(&dev->wait_lock, irql);
    while (!IsListEmpty(&mine)) {
        at = RemoveHeadList(&mine);
        ExQueueWorkItem(
            &CONTAINING_RECORD(at, struct class_request, entry)->work,
            CriticalWorkQueue);
    }
}

/* The IRP from above is pending from here on.  FALSE: cancelled meanwhile, the
 * caller goes on with the request. */
static BOOLEAN NTAPI
wait_for_retry(struct class_request *request, ULONG delay_s)
{
    class_device *dev = request->dev;
    PIRP irp = request->original;
    LARGE_INTEGER due = { .QuadPart = -10000000LL * delay_s };
    BOOLEAN waits = TRUE;
    KIRQL irql;

    KeAcquireSpinLock(&dev->wait_lock, &irql);
    if (irp != NULL) {
        irp->Tail.Overlay.DriverContext[0] = request;
        IoSetCancelRoutine(irp, wait_cancelled);
        if (__atomic_load_n(&irp->Cancel, __ATOMIC_SEQ_CST) &&
            IoSetCancelRoutine(irp, NULL) != NULL)
            waits = FALSE;
    }
    if (waits && class_removed(dev) &&
        (irp == NULL || IoSetCancelRoutine(irp, NULL) != NULL))
        waits = FALSE;
    if (waits) {
        request->wait_state = WAIT_LISTED;
        InsertTailList(&dev->waiting, &request->entry);
        KeSetTimer(&request->timer, due, &request->dpc);
    }
    KeReleaseSpinLock(&dev->wait_lock, irql);
    return waits;
}

/* --- sending -------------------------------------------------------------- */

/*
 * Takes the attention number before it looks at anything that a media change
 * alters, so that what was looked at is either right for the medium that the
 * command will reach, or the port refuses the command.
 */
static BOOLEAN
admit(struct class_request *request, NTSTATUS *status)
{
    class_device *dev = request->dev;
    PSCSI_REQUEST_BLOCK srb = &request->srb;

    srb->QueueSortKey = 0;
    if (request->flags & REQ_STAMPED) {
        srb->QueueSortKey = __atomic_load_n(&dev->attention, __ATOMIC_ACQUIRE);
        *status = STATUS_VERIFY_REQUIRED;
        if (request->flags & REQ_GATED && class_verify_set(dev->fdo))
            return FALSE;
        if (request->flags & REQ_KEYED &&
            request->key != class_change_count(dev)) {
            (void) class_require_verify(dev);
            return FALSE;
        }
    }
    if (request->prepare != NULL &&
        request->prepare(request, status) == NEXT_COMPLETE)
        return FALSE;
    if (__builtin_expect(request->retry_number == request->retries &&
                             request->retries > 1,
                         0))
        scale_down(request);
    srb->SrbStatus = SRB_STATUS_PENDING;
    srb->ScsiStatus = 0;
    srb->DataTransferLength = request->length;
    srb->SenseInfoBuffer = request->sense;
    srb->SenseInfoBufferLength = CLASS_SENSE_BYTES;
    srb->OriginalRequest = request->irp;
    return TRUE;
}

static NTSTATUS
call_port(struct class_request *request)
{
    PIRP irp = request->irp;
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);

    next->MajorFunction = IRP_MJ_SCSI;
    next->MinorFunction = 1;
    next->Flags = request->flags & REQ_OVERRIDE ? SL_OVERRIDE_VERIFY_VOLUME : 0;
    next->FileObject = NULL;
    next->Parameters.Scsi.Srb = &request->srb;
    IoSetCompletionRoutine(irp, command_completed, request, TRUE, TRUE, TRUE);
    return IoCallDriver(request->dev->lower, irp);
}

/* An attempt that never left, or whose end the sender saw. */
static NTSTATUS NTAPI __attribute__((noinline))
end_here(struct class_request *request, NTSTATUS status)
{
    BOOLEAN pending = (request->flags & REQ_WAS_WAITING) != 0;

    request_end(request, status);
    return pending ? STATUS_PENDING : status;
}

/* From here on the dispatch routine answers STATUS_PENDING. */
static void
mark_waiting(struct class_request *request)
{
    if (request->original != NULL)
        IoMarkIrpPending(request->original);
    request->flags |= REQ_WAS_WAITING;
}

/* FALSE: the request went on its way, *status is what the caller returns. */
static BOOLEAN NTAPI __attribute__((noinline))
came_back(struct class_request *request, NTSTATUS *status)
{
    ULONG delay_s;

    switch (step_on(request, status, &delay_s)) {
    case STEP_AGAIN:
        if (request->retry_number != 0)
            mark_waiting(request);
        return TRUE;
    case STEP_WAIT:
        mark_waiting(request);
        if (!wait_for_retry(request, delay_s)) {
            request->flags |= REQ_CANCELLED;
            class_go_on(request);
        }
        *status = STATUS_PENDING;
        return FALSE;
    case STEP_GONE:
        *status = STATUS_PENDING;
        return FALSE;
    default:
        *status = end_here(request, *status);
        return FALSE;
    }
}

/* A command that could not be sent: finish may have a say. */
static BOOLEAN NTAPI __attribute__((noinline))
not_sent(struct class_request *request, NTSTATUS *status)
{
    if (request->original == NULL && request->finish != NULL) {
        enum class_next next;

        request->srb.SrbStatus = SRB_STATUS_REQUEST_FLUSHED;
        next = request->finish(request, status);
        if (next != NEXT_COMPLETE)
            return next == NEXT_SEND;
    }
    *status = end_here(request, *status);
    return FALSE;
}

NTSTATUS NTAPI
class_send(struct class_request *request)
{
    NTSTATUS status = STATUS_SUCCESS;

    for (;;) {
        struct class_sync sync = { SYNC_AWAY, STATUS_PENDING };

        if (!admit(request, &status)) {
            if (not_sent(request, &status))
                continue;
            return status;
        }
        /* Read only while this frame lives: see command_completed. */
        /* cppcheck-suppress autoVariables */
        request->sync = &sync;
        (void) call_port(request);
        if (__builtin_expect(sync.state != SYNC_BACK, 1))
            return sync.status;
        if (!came_back(request, &status))
            return status;
    }
}

static VOID NTAPI __attribute__((noinline))
command_late(struct class_request *request)
{
    NTSTATUS status;
    ULONG delay_s;

    mark_waiting(request);
    switch (step_on(request, &status, &delay_s)) {
    case STEP_AGAIN:
        ExQueueWorkItem(&request->work, CriticalWorkQueue);
        return;
    case STEP_WAIT:
        if (wait_for_retry(request, delay_s))
            return;
        request->flags |= REQ_CANCELLED;
        ExQueueWorkItem(&request->work, CriticalWorkQueue);
        return;
    case STEP_GONE:
        return;
    default:
        request_end(request, status);
    }
}

VOID NTAPI
class_adopt(struct class_request *request)
{
    command_late(request);
}

/*
 * PendingReturned tells whether the sender is still in its call: if it is not
 * set, the command completed on the sender's thread, and what `sync` points to
 * lives.
 */
static NTSTATUS NTAPI
command_completed(PDEVICE_OBJECT fdo, PIRP irp, PVOID context)
{
    struct class_request *request = context;
    BOOLEAN late = irp->PendingReturned;

    if (__builtin_expect(
            SRB_STATUS(request->srb.SrbStatus) == SRB_STATUS_SUCCESS &&
                request->finish == NULL && request->original != NULL,
            1)) {
        class_device *dev = request->dev;
        ULONG_PTR information =
            request->information + request->srb.DataTransferLength;

        if (late) {
            IoMarkIrpPending(irp);
        } else {
            request->sync->state = SYNC_FINISHED;
            request->sync->status = request->flags & REQ_WAS_WAITING
                                        ? STATUS_PENDING
                                        : STATUS_SUCCESS;
        }
        class_request_free(request);
        settle(dev, irp, STATUS_SUCCESS, information);
        return STATUS_SUCCESS;
    }
    if (late)
        command_late(request);
    else
        request->sync->state = SYNC_BACK;
    return STATUS_MORE_PROCESSING_REQUIRED;
}
