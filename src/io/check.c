/*
 * check.c - calls and completions on the long way, with every rule looked at
 *
 * Debug builds only.  Two questions need both ends of a dispatch routine: was
 * STATUS_PENDING returned if and only if the location was marked, and was the
 * IRP completed if it was not pended.  The IRP may come up on another thread
 * before, while or after the routine returns, so each writes into the hop of
 * the location what it saw, and whoever comes second judges.
 *
 * A location that was skipped is called again before it is done: both calls
 * share its hop.  One that is called again afterwards (a retry) is a new one,
 * and the number in the hop's state says so to whoever still holds the old.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include <ntdddisk.h>

__thread struct io_frame *io_frames __attribute__((tls_model("initial-exec")));

/* The IRP, if it can still be told about. */
static PIRP
irp_of(const struct io_frame *frame)
{
    return frame->history != NULL &&
                   !__atomic_load_n(&frame->history->freed, __ATOMIC_ACQUIRE)
               ? frame->irp
               : NULL;
}

/* --- verifications ------------------------------------------------------- */

static uint64_t verify_epoch; /* atomic: how many have begun */
static LONG verifying;        /* atomic: how many are under way */

void
io_verification_begin(void)
{
    __atomic_add_fetch(&verify_epoch, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&verifying, 1, __ATOMIC_SEQ_CST);
}

void
io_verification_end(void)
{
    __atomic_sub_fetch(&verifying, 1, __ATOMIC_SEQ_CST);
}

/* A storage driver clears the flag when the file system asks it to. */
static bool
is_asked_to_clear(PIO_STACK_LOCATION location)
{
    return (location->MajorFunction == IRP_MJ_DEVICE_CONTROL ||
            location->MajorFunction == IRP_MJ_INTERNAL_DEVICE_CONTROL) &&
           location->Parameters.DeviceIoControl.IoControlCode ==
               IOCTL_DISK_INTERNAL_CLEAR_VERIFY;
}

/* The device that may lose its flag only by a verification; NULL: this routine
 * says nothing about it. */
static void
watch_flag(struct io_frame *frame, PDEVICE_OBJECT device)
{
    bool has_volume;
    KIRQL irql;

    if (device == NULL || device->DeviceObjectExtension == NULL ||
        !(io_device_flags(device) & DO_VERIFY_VOLUME))
        return;
    IoAcquireVpbSpinLock(&irql);
    has_volume = device->Vpb != NULL;
    IoReleaseVpbSpinLock(irql);
    if (!has_volume)
        return;
    frame->epoch = __atomic_load_n(&verify_epoch, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&verifying, __ATOMIC_SEQ_CST) != 0 ||
        !(io_device_flags(device) & DO_VERIFY_VOLUME))
        return;
    ObReferenceObject(device);
    frame->watched = device;
}

static void
judge_flag(struct io_frame *frame)
{
    PDEVICE_OBJECT device = frame->watched;
    bool cleared;

    if (device == NULL)
        return;
    cleared = !(io_device_flags(device) & DO_VERIFY_VOLUME);
    if (cleared &&
        __atomic_load_n(&verify_epoch, __ATOMIC_SEQ_CST) == frame->epoch)
        io_broken_by(IO_RULE_VERIFY_FLAG_CLEARED, frame->who, irp_of(frame),
                     NULL);
    ObDereferenceObject(device);
}

/* --- frames -------------------------------------------------------------- */

static void
enter(struct io_frame *frame, const struct io_label *who, PIRP irp)
{
    *frame = (struct io_frame)
    {
        .outer = io_frames, .who = who, .irp = irp,
        .history = io_history_of(irp), .irql = ke_irql,
#if IO_CHECKED
        .spin_locks = ke_spin_locks,
#endif
    };
    if (frame->history != NULL)
        io_history_ref(frame->history);
    io_frames = frame;
}

static void
leave(struct io_frame *frame)
{
#if IO_CHECKED
    if (ke_spin_locks != frame->spin_locks)
        io_broken_by(IO_RULE_SPINLOCK_HELD, frame->who, irp_of(frame), NULL);
#endif
    if (ke_irql != frame->irql)
        io_broken_by(IO_RULE_IRQL_NOT_RESTORED, frame->who, irp_of(frame),
                     NULL);
    judge_flag(frame);
    io_frames = frame->outer;
    if (frame->history != NULL)
        io_history_unref(frame->history);
}

/* --- down ---------------------------------------------------------------- */

static bool
is_done(const struct io_hop *hop)
{
    return (__atomic_load_n(&hop->state, __ATOMIC_ACQUIRE) & IO_HOP_DONE) != 0;
}

static bool
is_empty(PIO_STACK_LOCATION location)
{
    return location->MajorFunction == 0 && location->MinorFunction == 0 &&
           location->Flags == 0 && location->FileObject == NULL &&
           location->Parameters.Others.Argument1 == NULL &&
           location->Parameters.Others.Argument2 == NULL &&
           location->Parameters.Others.Argument3 == NULL &&
           location->Parameters.Others.Argument4 == NULL;
}

/* Whose call this is: the driver that has the location above, or this one when
 * it was skipped. */
static void
check_sender(PIRP irp, PIO_STACK_LOCATION location, struct io_history *history,
             unsigned at)
{
    struct io_hop *hop = &io_hops(history)[at], *above = hop + 1;

    if (!is_done(hop)) {
        if (location->CompletionRoutine != hop->routine ||
            location->Context != hop->context)
            io_broken_by(IO_RULE_COMPLETION_ON_SKIPPED, hop->who, irp, NULL);
    } else if (irp->CurrentLocation < irp->StackCount && !is_done(above) &&
               location[1].MajorFunction != IRP_MJ_CREATE &&
               is_empty(location)) {
        io_broken_by(IO_RULE_NEXT_NOT_SET, above->who, irp, NULL);
    }
}

static void
enter_hop(struct io_frame *frame, PIO_STACK_LOCATION location)
{
    struct io_history *history = frame->history;
    unsigned at = (unsigned) frame->irp->CurrentLocation - 1;
    struct io_hop *hop = &io_hops(history)[at];
    uint32_t state;

    check_sender(frame->irp, location, history, at);
    state = __atomic_load_n(&hop->state, __ATOMIC_ACQUIRE);
    if (state & IO_HOP_DONE) {
        state = (state & ~(IO_HOP_STEP - 1)) + IO_HOP_STEP;
        hop->control = location->Control;
        hop->routine = location->CompletionRoutine;
        hop->context = location->Context;
        if (history->verify_hop == at + 1)
            history->verify_hop = 0;
        __atomic_store_n(&hop->state, state, __ATOMIC_RELEASE);
    }
    hop->who = frame->who;
    frame->hop = (UCHAR) at;
    frame->marked = (location->Control & SL_PENDING_RETURNED) != 0;
    frame->state = state;
    if (frame->outer != NULL && frame->outer->irp == frame->irp)
        frame->outer->passed = true;
    io_history_add(history, IO_EVENT_CALL, frame->who, location->MajorFunction,
                   location->MinorFunction, 0);
}

/* The IRP may be gone: only the history can be looked at. */
static void
judge_return(struct io_frame *frame, NTSTATUS status)
{
    struct io_hop *hop = &io_hops(frame->history)[frame->hop];
    uint32_t state = __atomic_load_n(&hop->state, __ATOMIC_ACQUIRE);

    do {
        /* Called again since: so it was completed. */
        if ((state ^ frame->state) & ~(IO_HOP_STEP - 1))
            return;
        if (state & IO_HOP_DONE) {
            if (status == STATUS_PENDING && !(state & IO_HOP_MARKED))
                io_broken_by(IO_RULE_PENDING_NOT_MARKED, frame->who,
                             irp_of(frame), NULL);
            if (status != STATUS_PENDING && (state & IO_HOP_MARKED) &&
                !frame->marked)
                io_broken_by(IO_RULE_PENDING_NOT_RETURNED, frame->who,
                             irp_of(frame), NULL);
            return;
        }
        if (status != STATUS_PENDING)
            io_broken_by(IO_RULE_NOT_PENDED, frame->who, irp_of(frame), NULL);
    } while (!__atomic_compare_exchange_n(&hop->state, &state,
                                          state | IO_HOP_PENDED, false,
                                          __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    if (!frame->passed)
        io_history_add(frame->history, IO_EVENT_PENDED, frame->who, 0, 0, 0);
}

static void
expect_device(PDEVICE_OBJECT device, PIRP irp)
{
    if (device->Type != IO_TYPE_DEVICE || device->DriverObject == NULL)
        io_broken_by(IO_RULE_DEVICE_CALL_DELETED, NULL, irp, NULL);
}

NTSTATUS NTAPI
io_checked_call(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION location)
{
    struct io_frame frame;
    NTSTATUS status;

    expect_device(device, irp);
    enter(&frame, io_label_of(device), irp);
    frame.dispatch = true;
    if (frame.history != NULL)
        enter_hop(&frame, location);
    if (!is_asked_to_clear(location))
        watch_flag(&frame, device);
    status = device->DriverObject->MajorFunction[location->MajorFunction](
        device, irp);
    if (frame.history != NULL)
        judge_return(&frame, status);
    leave(&frame);
    return status;
}

/* The originator was told STATUS_PENDING already, and the location is marked:
 * what the routine returns means nothing. */
NTSTATUS NTAPI
io_checked_retry(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION location)
{
    struct io_frame frame;
    NTSTATUS status;

    enter(&frame, io_label_of(device), irp);
    io_history_add(frame.history, IO_EVENT_RETRIED, frame.who,
                   location->MajorFunction, location->MinorFunction, 0);
    status = device->DriverObject->MajorFunction[location->MajorFunction](
        device, irp);
    leave(&frame);
    return status;
}

/* --- up ------------------------------------------------------------------ */

/* A dispatch routine whose location has been completed completes again what
 * another driver has now. */
static bool
is_second_completion(PIRP irp, const struct io_frame *frame)
{
    uint32_t state;

    if (frame == NULL || !frame->dispatch || frame->irp != irp ||
        frame->history == NULL || frame->history != io_history_of(irp))
        return false;
    state = __atomic_load_n(&io_hops(frame->history)[frame->hop].state,
                            __ATOMIC_ACQUIRE);
    return (state & IO_HOP_DONE) != 0 &&
           ((state ^ frame->state) & ~(IO_HOP_STEP - 1)) == 0;
}

VOID NTAPI
io_checked_complete(PIRP irp)
{
    struct io_history *history = io_history_of(irp);
    const struct io_label *who = NULL;

    if (is_second_completion(irp, io_frames))
        io_broken_by(IO_RULE_DOUBLE_COMPLETE, io_frames->who, irp, NULL);
    if (history == NULL)
        return;
    if (irp->CurrentLocation >= 1 && irp->CurrentLocation <= irp->StackCount)
        who = io_hops(history)[irp->CurrentLocation - 1].who;
    io_history_add(history, IO_EVENT_COMPLETED, who, 0, 0,
                   irp->IoStatus.Status);
}

/*
 * A driver whose request failed without a thread owes the call, and makes it
 * with a later IRP, whatever becomes of that.  What failed may have been a
 * request of its own, to a device below: only the driver knows what the
 * failure meant, so any may owe.
 */
static void
note_owed(PIRP irp, PDEVICE_OBJECT device)
{
    KIRQL irql;

    if (NT_SUCCESS(irp->IoStatus.Status) || device == NULL ||
        __atomic_load_n(&irp->Tail.Overlay.Thread, __ATOMIC_RELAXED) != NULL)
        return;
    KeAcquireSpinLock(&io_device_lock, &irql);
    for (; device != NULL; device = device->AttachedDevice)
        if (device->DeviceObjectExtension != NULL)
            __atomic_store_n(&io_devext(device)->owes_verify, 1,
                             __ATOMIC_RELEASE);
    KeReleaseSpinLock(&io_device_lock, irql);
}

static void
judge_verify(PIRP irp, struct io_history *history)
{
    PDEVICE_OBJECT device = history->verify_device;
    NTSTATUS status = irp->IoStatus.Status;
    bool owed = device->DeviceObjectExtension != NULL &&
                __atomic_exchange_n(&io_devext(device)->owes_verify, 0,
                                    __ATOMIC_ACQ_REL) != 0;

    if ((NT_SUCCESS(status) || !IoIsErrorUserInduced(status)) && !owed)
        io_broken(IO_RULE_VERIFY_NOT_USER_INDUCED, device, irp);
    history->verify_hop = 0;
}

VOID NTAPI
io_checked_pop(PIRP irp, PIO_STACK_LOCATION location)
{
    struct io_history *history = io_history_of(irp);
    unsigned at = (unsigned) (location - (PIO_STACK_LOCATION) (irp + 1));
    bool marked = (location->Control & SL_PENDING_RETURNED) != 0;
    struct io_hop *hop;
    uint32_t before;

    if (history == NULL)
        return;
    hop = &io_hops(history)[at];
    if (is_done(hop)) /* a location that a driver took for itself */
        return;
    note_owed(irp, location->DeviceObject);
    if (history->verify_hop == at + 1)
        judge_verify(irp, history);
    before = __atomic_fetch_or(&hop->state,
                               IO_HOP_DONE | (marked ? IO_HOP_MARKED : 0),
                               __ATOMIC_ACQ_REL);
    if ((before & IO_HOP_PENDED) && !marked)
        io_broken_by(IO_RULE_PENDING_NOT_MARKED, hop->who, irp, NULL);
}

NTSTATUS NTAPI
io_checked_routine(PIRP irp, PIO_STACK_LOCATION location, PDEVICE_OBJECT device)
{
    struct io_frame frame;
    NTSTATUS status;

    enter(&frame, io_label_of(device), irp);
    watch_flag(&frame, device);
    status = location->CompletionRoutine(device, irp, location->Context);
    if (frame.history != NULL) {
        if (status == STATUS_MORE_PROCESSING_REQUIRED)
            io_history_add(frame.history, IO_EVENT_MORE, frame.who, 0, 0, 0);
        else if (__atomic_load_n(&frame.history->freed, __ATOMIC_ACQUIRE))
            io_broken_by(IO_RULE_FREED_NOT_MORE, frame.who, NULL, NULL);
    }
    leave(&frame);
    return status;
}

/* --- cancel, verify ------------------------------------------------------- */

VOID NTAPI
io_checked_cancel(PIRP irp, PDRIVER_CANCEL routine, PDEVICE_OBJECT device,
                  const KSPIN_LOCK *lock)
{
    ULONG_PTR mine = __atomic_load_n(lock, __ATOMIC_RELAXED);
    struct io_frame frame;

    enter(&frame, io_label_of(device), irp);
    io_history_add(frame.history, IO_EVENT_CANCEL_ROUTINE, frame.who, 0, 0, 0);
    frame.irql = irp->CancelIrql;
    frame.spin_locks--; /* the cancel lock */
    routine(device, irp);
    if (__atomic_load_n(lock, __ATOMIC_RELAXED) == mine)
        io_broken_by(IO_RULE_CANCEL_LOCK_HELD, frame.who, irp_of(&frame), NULL);
    leave(&frame);
}

VOID NTAPI
io_checked_verify_set(PIRP irp, PDEVICE_OBJECT device)
{
    struct io_history *history = io_history_of(irp);
    PDEVICE_OBJECT at;

    if (irp->Tail.Overlay.Thread == NULL)
        io_broken(IO_RULE_VERIFY_NO_THREAD, device, irp);
    if (history == NULL)
        return;
    io_history_note(irp, IO_EVENT_VERIFY_SET, device, 0);
    if (irp->CurrentLocation < 1 || irp->CurrentLocation > irp->StackCount)
        return;
    /* A file system that does it for its volume's drive verifies next, and may
     * succeed: the rule is about the driver of the device. */
    at = IoGetCurrentIrpStackLocation(irp)->DeviceObject;
    if (at == NULL || at->DriverObject != device->DriverObject)
        return;
    history->verify_hop = (UCHAR) irp->CurrentLocation;
    history->verify_device = device;
}
