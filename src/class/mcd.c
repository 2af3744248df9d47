/*
 * mcd.c - media change detection
 *
 *             06/28, ready                02/3A
 *   Unknown ---------------> Present <-------------> NotPresent, Unavailable
 *      ^                        |  06/28, ready          |
 *      +---- notifications switched on again ------------+
 *
 * Every result of every request tells the state (act.c); what nobody's request
 * would find is found by polls.  A port that raises events says when to look;
 * for the others one timer looks at all drives once a second, and less often
 * at those that do not answer.  Polls run on a worker, one per drive at a time.
 *
 * The first state is no change and is not told.  A swap whose removal nobody
 * saw is told as an arrival although the state stays the same: NT says nothing
 * there, and whoever mounts media would miss it.
 *
 * Locks: mcd.lock; tick_lock for the list of drives that the timer serves,
 * before mcd.lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

#include <initguid.h>
#include <ioevent.h>

#include "base/trace.h"

#define POLL_REPEATS  8 /* unit attentions in a row */
#define BACKOFF_MAX_S 32

static KSPIN_LOCK tick_lock;
static LIST_ENTRY tick_list = { &tick_list, &tick_list };
static KTIMER tick_timer;
static KDPC tick_dpc;
static BOOLEAN tick_made;

static const char *const state_names[] = {
    [MediaUnknown] = "unknown",
    [MediaPresent] = "present",
    [MediaNotPresent] = "not present",
    [MediaUnavailable] = "unavailable",
};

/* --- telling -------------------------------------------------------------- */

VOID NTAPI
class_notify(class_device *dev, const GUID *event, const VOID *data, ULONG len)
{
    ClassSendNotification(dev->ext, event, len, (PVOID) data);
}

VOID NTAPI
ClassSendNotification(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension,
                      const GUID *Guid, ULONG ExtraDataSize, PVOID ExtraData)
{
    ULONG size =
        (ULONG) offsetof(TARGET_DEVICE_CUSTOM_NOTIFICATION, CustomDataBuffer) +
        ExtraDataSize;
    PTARGET_DEVICE_CUSTOM_NOTIFICATION note;

    note = ExAllocatePoolWithTag(NonPagedPool, size + 1, CLASS_TAG);
    if (note == NULL)
        return;
    RtlZeroMemory(note, size + 1);
    note->Version = 1;
    note->Size = (USHORT) size;
    note->Event = *Guid;
    note->NameBufferOffset = -1;
    if (ExtraDataSize != 0)
        RtlCopyMemory(note->CustomDataBuffer, ExtraData, ExtraDataSize);
    (void) IoReportTargetDeviceChangeAsynchronous(FdoExtension->LowerPdo, note,
                                                  NULL, NULL);
    ExFreePoolWithTag(note, CLASS_TAG);
}

static void
tell_state(class_device *dev, ULONG state)
{
    CLASS_MEDIA_CHANGE_CONTEXT context = {
        .MediaChangeCount = class_change_count(dev),
        .NewState = state,
    };

    if (state != MediaUnknown)
        class_notify(dev,
                     state == MediaPresent ? &GUID_IO_MEDIA_ARRIVAL
                                           : &GUID_IO_MEDIA_REMOVAL,
                     &context, sizeof context);
}

static BOOLEAN
is_running(class_device *dev)
{
    return __atomic_load_n(&dev->mcd.running, __ATOMIC_ACQUIRE);
}

/* A changer's media are in its elements; what its driver wants to know of them
 * it asks, and nobody else asks for it. */
static BOOLEAN
has_no_medium(class_device *dev)
{
    return dev->fdo->DeviceType == FILE_DEVICE_CHANGER;
}

/* --- the state ------------------------------------------------------------ */

VOID NTAPI
class_set_state(class_device *dev, ULONG state, BOOLEAN known, BOOLEAN swapped)
{
    struct class_mcd *mcd = &dev->mcd;
    BOOLEAN changed, tell;
    ULONG old;
    KIRQL irql;

    if (has_no_medium(dev))
        return;
    KeAcquireSpinLock(&mcd->lock, &irql);
    old = mcd->state;
    mcd->state = state;
    changed = old != state || swapped;
    tell = changed && (old != MediaUnknown || known) && mcd->disable_count == 0;
    if (swapped)
        mcd->change_counted = TRUE;
    KeReleaseSpinLock(&mcd->lock, irql);
    if (!changed)
        return;
    TRACE(TRACE_PNP, "dev=%p medium %s -> %s%s", (void *) dev->fdo,
          state_names[old], state_names[state], swapped ? " (swapped)" : "");
    if (tell)
        tell_state(dev, state);
    class_poll_soon(dev);
}

/* --- the one timer -------------------------------------------------------- */

/* mcd.lock held. */
static void
tick_locked(class_device *dev)
{
    struct class_mcd *mcd = &dev->mcd;

    if (mcd->polling && ++mcd->outstanding_s == MEDIA_CHANGE_TIMEOUT_TIME)
        TRACE(TRACE_PNP, "dev=%p: the poll does not come back",
              (void *) dev->fdo);
    if (mcd->countdown_s > 0)
        mcd->countdown_s--;
}

static VOID NTAPI
tick(PKDPC dpc, PVOID context, PVOID arg1, PVOID arg2)
{
    PLIST_ENTRY at;

    KeAcquireSpinLockAtDpcLevel(&tick_lock);
    for (at = tick_list.Flink; at != &tick_list; at = at->Flink) {
        class_device *dev = CONTAINING_RECORD(at, class_device, mcd.ticking);
        BOOLEAN due;

        KeAcquireSpinLockAtDpcLevel(&dev->mcd.lock);
        tick_locked(dev);
        due = dev->mcd.countdown_s == 0 && !dev->mcd.polling &&
              !dev->mcd.queued && (dev->mcd.by_timer || dev->mcd.unsettled);
        KeReleaseSpinLockFromDpcLevel(&dev->mcd.lock);
        if (due)
            class_poll_soon(dev);
    }
    KeReleaseSpinLockFromDpcLevel(&tick_lock);
}

static void
tick_for(class_device *dev, BOOLEAN wanted)
{
    LARGE_INTEGER second = { .QuadPart = -10000000LL };
    BOOLEAN is;
    KIRQL irql;

    KeAcquireSpinLock(&tick_lock, &irql);
    is = !IsListEmpty(&dev->mcd.ticking);
    if (wanted && !is) {
        if (!tick_made) {
            KeInitializeTimer(&tick_timer);
            KeInitializeDpc(&tick_dpc, tick, NULL);
            tick_made = TRUE;
        }
        if (IsListEmpty(&tick_list))
            KeSetTimerEx(&tick_timer, second, 1000, &tick_dpc);
        InsertTailList(&tick_list, &dev->mcd.ticking);
    } else if (!wanted && is) {
        RemoveEntryList(&dev->mcd.ticking);
        InitializeListHead(&dev->mcd.ticking);
        if (IsListEmpty(&tick_list))
            KeCancelTimer(&tick_timer);
    }
    KeReleaseSpinLock(&tick_lock, irql);
}

/* --- polls: when ---------------------------------------------------------- */

/* mcd.lock held. */
static void
worker_begins_locked(struct class_mcd *mcd)
{
    if (mcd->workers++ == 0)
        KeClearEvent(&mcd->idle);
}

/* mcd.lock held; the device may be gone once the lock is released. */
static void
worker_ends_locked(struct class_mcd *mcd)
{
    if (--mcd->workers == 0)
        KeSetEvent(&mcd->idle, IO_NO_INCREMENT, FALSE);
}

VOID NTAPI
class_poll_soon(class_device *dev)
{
    struct class_mcd *mcd = &dev->mcd;
    BOOLEAN queue = FALSE;
    KIRQL irql;

    KeAcquireSpinLock(&mcd->lock, &irql);
    if (!mcd->running || mcd->disable_count != 0) {
        ;
    } else if (mcd->polling || mcd->queued) {
        mcd->poll_again = TRUE;
    } else {
        mcd->queued = queue = TRUE;
        worker_begins_locked(mcd);
    }
    KeReleaseSpinLock(&mcd->lock, irql);
    if (queue)
        ExQueueWorkItem(&mcd->work, DelayedWorkQueue);
}

/* The poll is over: another one, or the end. */
static void
poll_ended(class_device *dev)
{
    struct class_mcd *mcd = &dev->mcd;
    BOOLEAN again, ticking;
    KIRQL irql;

    KeAcquireSpinLock(&mcd->lock, &irql);
    mcd->polling = FALSE;
    again = mcd->poll_again && mcd->running && mcd->disable_count == 0;
    mcd->poll_again = FALSE;
    mcd->queued = again;
    ticking = mcd->running && (mcd->by_timer || mcd->unsettled);
    if (mcd->countdown_s == 0)
        mcd->countdown_s = mcd->interval_s;
    KeReleaseSpinLock(&mcd->lock, irql);
    tick_for(dev, ticking);
    if (again) {
        ExQueueWorkItem(&mcd->work, DelayedWorkQueue);
        return;
    }
    KeAcquireSpinLock(&mcd->lock, &irql);
    worker_ends_locked(mcd);
    KeReleaseSpinLock(&mcd->lock, irql);
}

/* --- polls: what they find ------------------------------------------------ */

enum { STAGE_READY, STAGE_SIZE = 90, STAGE_GESN = 100, STAGE_GESN_READY };

static void
test_ready(struct class_request *request)
{
    static const UCHAR cdb[6] = { SCSIOP_TEST_UNIT_READY };

    class_command(request, cdb, sizeof cdb, NULL, 0, FALSE);
}

/* A drive that fails, but not for want of a medium, is asked less often. */
static void
settle(class_device *dev, BOOLEAN unsettled, BOOLEAN answers)
{
    struct class_mcd *mcd = &dev->mcd;
    KIRQL irql;

    KeAcquireSpinLock(&mcd->lock, &irql);
    mcd->unsettled = unsettled;
    if (answers)
        mcd->interval_s = MEDIA_CHANGE_DEFAULT_TIME;
    else if (mcd->interval_s < BACKOFF_MAX_S)
        mcd->interval_s *= 2;
    mcd->countdown_s = mcd->interval_s;
    KeReleaseSpinLock(&mcd->lock, irql);
}

static enum class_next
ask_events(struct class_request *request, BOOLEAN ready)
{
    if (!request->dev->mcd.gesn)
        return NEXT_COMPLETE;
    request->stage = ready ? STAGE_GESN_READY : STAGE_GESN;
    class_gesn_command(request);
    return NEXT_SEND;
}

/* It is ready, and nobody has said so yet; or somebody took the announcement
 * from the drive this very moment: then the port knows more than we do, and
 * refuses a command with our number.  Ask once more, with it. */
static BOOLEAN
ask_for_sure(struct class_request *request, NTSTATUS status)
{
    BOOLEAN sure = (request->flags & REQ_STAMPED) != 0;
    BOOLEAN again =
        sure ? SRB_STATUS(request->srb.SrbStatus) == SRB_STATUS_REQUEST_FLUSHED
             : NT_SUCCESS(status) && class_evidence_owed(request->dev);

    request->flags &= ~REQ_STAMPED;
    if (!again || ++request->stage >= POLL_REPEATS)
        return FALSE;
    request->flags |= REQ_STAMPED;
    test_ready(request);
    return TRUE;
}

static enum class_next
ready_finish(struct class_request *request, NTSTATUS status)
{
    class_device *dev = request->dev;
    struct class_sense sense = { 0 };
    BOOLEAN valid =
        request->srb.SrbStatus & SRB_STATUS_AUTOSENSE_VALID &&
        class_parse_sense(request->sense, request->srb.SenseInfoBufferLength,
                          &sense);

    if (ask_for_sure(request, status))
        return NEXT_SEND;
    if (!valid || sense.key != SCSI_SENSE_UNIT_ATTENTION)
        class_gesn_settle(dev);
    if (NT_SUCCESS(status)) {
        settle(dev, FALSE, TRUE);
        class_evidence_ready(dev);
        class_set_state(dev, MediaPresent, FALSE, FALSE);
        class_wake_waiting(dev, WAKE_READY);
    } else if (valid && sense.key == SCSI_SENSE_UNIT_ATTENTION &&
               ++request->stage < POLL_REPEATS) {
        test_ready(request);
        return NEXT_SEND;
    } else {
        BOOLEAN soon = valid && sense.key == SCSI_SENSE_NOT_READY &&
                       sense.asc == SCSI_ADSENSE_LUN_NOT_READY;

        settle(dev, soon, valid && sense.key == SCSI_SENSE_NOT_READY);
    }
    if (NT_SUCCESS(status) && class_evidence_wants_size(dev)) {
        request->stage = STAGE_SIZE;
        request->key = class_change_count(dev);
        class_capacity_command(request, FALSE);
        return NEXT_SEND;
    }
    return ask_events(request, NT_SUCCESS(status));
}

static enum class_next
size_finish(struct class_request *request, NTSTATUS status)
{
    if (NT_SUCCESS(status) && request->srb.DataTransferLength >= 8)
        class_evidence_size(request);
    return ask_events(request, NT_SUCCESS(status));
}

static enum class_next NTAPI
poll_finish(struct class_request *request, NTSTATUS *status)
{
    class_device *dev = request->dev;
    enum class_next next = NEXT_COMPLETE;

    if (is_running(dev))
        next = request->stage >= STAGE_GESN
                   ? class_gesn_finish(request, *status,
                                       request->stage == STAGE_GESN_READY)
               : request->stage == STAGE_SIZE ? size_finish(request, *status)
                                              : ready_finish(request, *status);
    if (next == NEXT_SEND)
        return next;
    poll_ended(dev);
    return NEXT_COMPLETE;
}

static VOID NTAPI
poll_work(PVOID context)
{
    class_device *dev = context;
    struct class_request *request;
    KIRQL irql;

    KeAcquireSpinLock(&dev->mcd.lock, &irql);
    dev->mcd.queued = FALSE;
    dev->mcd.polling = TRUE;
    dev->mcd.poll_again = FALSE;
    dev->mcd.outstanding_s = 0;
    KeReleaseSpinLock(&dev->mcd.lock, irql);
    class_gesn_begin(dev);
    request = class_request_new(dev, NULL);
    if (request == NULL) {
        settle(dev, TRUE, TRUE); /* again in a second */
        poll_ended(dev);
        return;
    }
    request->flags |= REQ_OVERRIDE | REQ_POLL | REQ_QUIET;
    request->retries = 0;
    request->finish = poll_finish;
    test_ready(request);
    (void) class_send(request);
}

/* --- events of the port --------------------------------------------------- */

static void
event_command(struct class_request *request)
{
    static const UCHAR none[6] = { 0 };

    class_command(request, none, 0, NULL, 0, FALSE);
    request->srb.Function = SRB_FUNCTION_RECEIVE_EVENT;
    request->srb.DataBuffer = &request->dev->mcd.event_mask;
    request->length = sizeof request->dev->mcd.event_mask;
    request->srb.TimeOutValue = 0;
}

/* One for each event; the next is asked for before this one is looked into. */
static enum class_next NTAPI
event_finish(struct class_request *request, NTSTATUS *status)
{
    class_device *dev = request->dev;
    struct class_mcd *mcd = &dev->mcd;
    BOOLEAN by_timer;
    KIRQL irql;

    if (NT_SUCCESS(*status) && is_running(dev)) {
        class_poll_soon(dev);
        event_command(request);
        return NEXT_SEND;
    }
    KeAcquireSpinLock(&mcd->lock, &irql);
    by_timer = mcd->running &&
               SRB_STATUS(request->srb.SrbStatus) == SRB_STATUS_INVALID_REQUEST;
    __atomic_store_n(&mcd->by_timer, by_timer, __ATOMIC_RELAXED);
    KeReleaseSpinLock(&mcd->lock, irql);
    tick_for(dev, by_timer);
    KeAcquireSpinLock(&mcd->lock, &irql);
    worker_ends_locked(mcd);
    KeReleaseSpinLock(&mcd->lock, irql);
    return NEXT_GONE; /* class_mcd_stop frees it */
}

/* --- life ----------------------------------------------------------------- */

VOID NTAPI
class_mcd_init(class_device *dev)
{
    struct class_mcd *mcd = &dev->mcd;

    KeInitializeSpinLock(&mcd->lock);
    KeInitializeEvent(&mcd->idle, NotificationEvent, TRUE);
    InitializeListHead(&mcd->ticking);
    ExInitializeWorkItem(&mcd->work, poll_work, dev);
    mcd->state = MediaUnknown;
    mcd->interval_s = MEDIA_CHANGE_DEFAULT_TIME;
}

NTSTATUS NTAPI
class_mcd_start(class_device *dev)
{
    struct class_mcd *mcd = &dev->mcd;
    struct class_request *request;
    KIRQL irql;

    if (!dev->removable || mcd->suppressed || is_running(dev) ||
        has_no_medium(dev))
        return STATUS_SUCCESS;
    request = class_request_new(dev, NULL);
    if (request == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeAcquireSpinLock(&mcd->lock, &irql);
    __atomic_store_n(&mcd->running, TRUE, __ATOMIC_RELEASE);
    class_gesn_init(dev);
    mcd->event = request;
    worker_begins_locked(mcd);
    KeReleaseSpinLock(&mcd->lock, irql);
    request->flags |= REQ_QUIET;
    request->finish = event_finish;
    event_command(request);
    (void) class_send(request);
    class_poll_soon(dev);
    return STATUS_SUCCESS;
}

VOID NTAPI
class_mcd_stop(class_device *dev)
{
    struct class_mcd *mcd = &dev->mcd;
    struct class_request *event;
    KIRQL irql;

    KeAcquireSpinLock(&mcd->lock, &irql);
    event = mcd->event;
    mcd->event = NULL;
    __atomic_store_n(&mcd->running, FALSE, __ATOMIC_RELEASE);
    KeReleaseSpinLock(&mcd->lock, irql);
    if (event != NULL)
        (void) IoCancelIrp(event->irp);
    (void) KeWaitForSingleObject(&mcd->idle, Executive, KernelMode, FALSE,
                                 NULL);
    tick_for(dev, FALSE);
    /* Whoever set the event may still hold the lock. */
    KeAcquireSpinLock(&mcd->lock, &irql);
    KeReleaseSpinLock(&mcd->lock, irql);
    if (event != NULL)
        class_request_free(event);
}
