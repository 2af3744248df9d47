/*
 * cancel.c - IoCancelIrp, the cancel lock, and the end of a thread
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

static KSPIN_LOCK cancel_lock;
static unsigned cancel_wait_ms = 300000; /* atomic */

VOID NTAPI
IoAcquireCancelSpinLock(PKIRQL Irql)
{
    KE_IRQL(IoAcquireCancelSpinLock);
    KeAcquireSpinLock(&cancel_lock, Irql);
}

VOID NTAPI
IoReleaseCancelSpinLock(KIRQL Irql)
{
    KeReleaseSpinLock(&cancel_lock, Irql);
}

/* <= DISPATCH.  The caller makes sure that the IRP is not freed meanwhile.
 * TRUE: a cancel routine was called. */
BOOLEAN NTAPI
IoCancelIrp(PIRP Irp)
{
    PDEVICE_OBJECT device;
    PDRIVER_CANCEL routine;
    KIRQL irql;

    KE_IRQL(IoCancelIrp);
    IoAcquireCancelSpinLock(&irql);
    if (IO_CHECKING)
        io_history_note(Irp, IO_EVENT_CANCELLED, NULL, 0);
    __atomic_store_n(&Irp->Cancel, TRUE, __ATOMIC_SEQ_CST);
    routine = IoSetCancelRoutine(Irp, NULL);
    if (routine == NULL) {
        IoReleaseCancelSpinLock(irql);
        return FALSE;
    }
    Irp->CancelIrql = irql;
    /* One that was never sent is at no device. */
    device = Irp->CurrentLocation > Irp->StackCount
                 ? NULL
                 : IoGetCurrentIrpStackLocation(Irp)->DeviceObject;
    /* It releases the lock. */
    if (IO_CHECKING)
        io_checked_cancel(Irp, routine, device, &cancel_lock);
    else
        routine(device, Irp);
    return TRUE;
}

void
io_set_cancel_wait_ms(unsigned limit_ms)
{
    __atomic_store_n(&cancel_wait_ms, limit_ms, __ATOMIC_RELAXED);
}

/* --- a thread's IRPs ----------------------------------------------------- */

/*
 * One lock for the lists of all threads, so that an IRP can be finished whether
 * or not its thread still lives; only synchronous requests are on a list.
 *
 * On the list from io_thread_queue_irp until io_thread_leave, or until its
 * thread ends and gives up on it (disowns it: Thread becomes NULL).  Between
 * io_thread_enter_finish and io_thread_leave the thread cannot end, so that its
 * status block, event and buffer are there.
 */
static KSPIN_LOCK list_lock;

/* Threads that are ending. */
struct ending {
    LIST_ENTRY entry;
    PETHREAD thread;
    KEVENT empty; /* its list is */
};

static LIST_ENTRY endings = { &endings, &endings };

void
io_thread_queue_irp(PIRP irp)
{
    PETHREAD thread = ke_current();
    KIRQL irql;

    irp->Tail.Overlay.Thread = thread;
    io_irp_set_flags(irp, IO_IRP_THREADED | IO_IRP_LISTED);
    KeAcquireSpinLock(&list_lock, &irql);
    InsertTailList(&thread->IrpList, &irp->ThreadListEntry);
    KeReleaseSpinLock(&list_lock, irql);
}

/* False: its thread has disowned it. */
bool
io_thread_enter_finish(PIRP irp)
{
    bool listed;
    KIRQL irql;

    KeAcquireSpinLock(&list_lock, &irql);
    listed = (io_irp_flags(irp) & IO_IRP_LISTED) != 0;
    if (listed)
        io_irp_set_flags(irp, IO_IRP_FINISHING);
    KeReleaseSpinLock(&list_lock, irql);
    return listed;
}

static void
signal_ending_locked(PETHREAD thread)
{
    for (PLIST_ENTRY at = endings.Flink; at != &endings; at = at->Flink) {
        struct ending *ending = CONTAINING_RECORD(at, struct ending, entry);

        if (ending->thread == thread && IsListEmpty(&thread->IrpList))
            KeSetEvent(&ending->empty, IO_NO_INCREMENT, FALSE);
    }
}

/* Off the list.  False: the ending thread is cancelling it, and frees it. */
bool
io_thread_leave(PIRP irp)
{
    bool pinned;
    KIRQL irql;

    KeAcquireSpinLock(&list_lock, &irql);
    if (io_irp_flags(irp) & IO_IRP_LISTED) {
        RemoveEntryList(&irp->ThreadListEntry);
        signal_ending_locked(irp->Tail.Overlay.Thread);
    }
    io_irp_clear_flags(irp, IO_IRP_LISTED | IO_IRP_FINISHING);
    pinned = (io_irp_flags(irp) & IO_IRP_PINNED) != 0;
    if (pinned)
        io_irp_set_flags(irp, IO_IRP_DONE);
    KeReleaseSpinLock(&list_lock, irql);
    return !pinned;
}

/* The next one that was not cancelled yet, pinned; NULL: none. */
static PIRP
pin_next(PETHREAD thread)
{
    PIRP found = NULL;
    KIRQL irql;

    KeAcquireSpinLock(&list_lock, &irql);
    for (PLIST_ENTRY at = thread->IrpList.Flink;
         at != &thread->IrpList && found == NULL; at = at->Flink) {
        PIRP irp = CONTAINING_RECORD(at, IRP, ThreadListEntry);

        if (!__atomic_load_n(&irp->Cancel, __ATOMIC_SEQ_CST) &&
            !(io_irp_flags(irp) & IO_IRP_FINISHING)) {
            io_irp_set_flags(irp, IO_IRP_PINNED);
            found = irp;
        }
    }
    KeReleaseSpinLock(&list_lock, irql);
    return found;
}

static void
unpin(PIRP irp)
{
    bool done;
    KIRQL irql;

    KeAcquireSpinLock(&list_lock, &irql);
    io_irp_clear_flags(irp, IO_IRP_PINNED);
    done = (io_irp_flags(irp) & IO_IRP_DONE) != 0;
    KeReleaseSpinLock(&list_lock, irql);
    if (done)
        IoFreeIrp(irp);
}

#define IO_DRIVER_CANCEL_TIMEOUT ((NTSTATUS) 0x80040036)

static void
log_cancel_timeout(PDEVICE_OBJECT device)
{
    PIO_ERROR_LOG_PACKET packet;

    if (device == NULL)
        return;
    packet = IoAllocateErrorLogEntry(device, sizeof *packet);
    if (packet == NULL)
        return;
    packet->ErrorCode = IO_DRIVER_CANCEL_TIMEOUT;
    IoWriteErrorLogEntry(packet);
}

/* Gives up on all but those that are being finished right now. */
static void
disown(PETHREAD thread)
{
    PDEVICE_OBJECT device = NULL;
    PLIST_ENTRY at, next;
    KIRQL irql;

    KeAcquireSpinLock(&list_lock, &irql);
    for (at = thread->IrpList.Flink; at != &thread->IrpList; at = next) {
        PIRP irp = CONTAINING_RECORD(at, IRP, ThreadListEntry);

        next = at->Flink;
        if (io_irp_flags(irp) & IO_IRP_FINISHING)
            continue;
        RemoveEntryList(at);
        io_irp_clear_flags(irp, IO_IRP_LISTED);
        __atomic_store_n(&irp->Tail.Overlay.Thread, NULL, __ATOMIC_RELEASE);
        /* Whoever has it now may be completing it: look at the first. */
        device =
            ((PIO_STACK_LOCATION) (irp + 1))[irp->StackCount - 1].DeviceObject;
        TRACE(TRACE_IRP, "irp=%p disowned by its thread", (void *) irp);
    }
    KeReleaseSpinLock(&list_lock, irql);
    log_cancel_timeout(device);
}

/* Cancels what the thread has outstanding and waits for it, 300 s at most;
 * then the IRPs lose their thread, as in NT. */
void
io_thread_exit(PETHREAD thread)
{
    struct ending ending = { .thread = thread };
    LARGE_INTEGER limit;
    bool empty;
    KIRQL irql;
    PIRP irp;

    KeInitializeEvent(&ending.empty, NotificationEvent, FALSE);
    KeAcquireSpinLock(&list_lock, &irql);
    empty = IsListEmpty(&thread->IrpList);
    if (!empty)
        InsertTailList(&endings, &ending.entry);
    KeReleaseSpinLock(&list_lock, irql);
    if (empty)
        return;
    while ((irp = pin_next(thread)) != NULL) {
        IoCancelIrp(irp);
        unpin(irp);
    }
    limit.QuadPart =
        -10000LL * __atomic_load_n(&cancel_wait_ms, __ATOMIC_RELAXED);
    if (KeWaitForSingleObject(&ending.empty, Executive, KernelMode, FALSE,
                              &limit) == STATUS_TIMEOUT) {
        disown(thread);
        KeAcquireSpinLock(&list_lock, &irql);
        signal_ending_locked(thread);
        KeReleaseSpinLock(&list_lock, irql);
        KeWaitForSingleObject(&ending.empty, Executive, KernelMode, FALSE,
                              NULL);
    }
    KeAcquireSpinLock(&list_lock, &irql);
    RemoveEntryList(&ending.entry);
    KeReleaseSpinLock(&list_lock, irql);
}
