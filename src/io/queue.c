/*
 * queue.c - StartIo: one request of a device at a time
 *
 * The queue is the device's DeviceQueue; a cancelable one is used under the
 * cancel lock, as drivers expect.
 *
 * IoSetStartIoAttributes changes two things.  Deferred: DriverStartIo is not
 * called again before it has returned, whoever asks; at most one request to
 * start waits for that, since the queue is busy meanwhile.  NonCancelable: what
 * is taken from the queue loses its cancel routine first.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

static bool
insert(PDEVICE_OBJECT device, PIRP irp, PULONG key)
{
    PKDEVICE_QUEUE_ENTRY entry = &irp->Tail.Overlay.DeviceQueueEntry;

    if (key != NULL)
        return KeInsertByKeyDeviceQueue(&device->DeviceQueue, entry, *key);
    return KeInsertDeviceQueue(&device->DeviceQueue, entry);
}

VOID NTAPI
IoSetStartIoAttributes(PDEVICE_OBJECT DeviceObject, BOOLEAN DeferredStartIo,
                       BOOLEAN NonCancelable)
{
    io_devext(DeviceObject)->start_io_deferred = DeferredStartIo;
    io_devext(DeviceObject)->start_io_no_cancel = NonCancelable;
}

/* --- starting ------------------------------------------------------------ */

static void
make_current(PDEVICE_OBJECT device, PIRP irp)
{
    device->CurrentIrp = irp;
    if (irp != NULL && io_devext(device)->start_io_no_cancel)
        IoSetCancelRoutine(irp, NULL);
}

/* The next one of the queue, or NULL. */
static PIRP
take_next(PDEVICE_OBJECT device, const struct io_start *start)
{
    PKDEVICE_QUEUE_ENTRY entry;
    KIRQL irql = DISPATCH_LEVEL;
    PIRP irp = NULL;

    if (start->cancelable)
        IoAcquireCancelSpinLock(&irql);
    device->CurrentIrp = NULL;
    if (start->key != NULL)
        entry = KeRemoveByKeyDeviceQueue(&device->DeviceQueue, *start->key);
    else
        entry = KeRemoveDeviceQueue(&device->DeviceQueue);
    if (entry != NULL) {
        irp = CONTAINING_RECORD(entry, IRP, Tail.Overlay.DeviceQueueEntry);
        make_current(device, irp);
    }
    if (start->cancelable)
        IoReleaseCancelSpinLock(irql);
    return irp;
}

static void
start_now(PDEVICE_OBJECT device, const struct io_start *start)
{
    PIRP irp = start->irp != NULL ? start->irp : take_next(device, start);

    if (irp != NULL)
        device->DriverObject->DriverStartIo(device, irp);
}

/* False: DriverStartIo runs; whoever called it does this afterwards. */
static bool
enter(struct io_start_io *state, const struct io_start *start)
{
    bool first;

    KeAcquireSpinLockAtDpcLevel(&state->lock);
    first = !state->running;
    state->running = true;
    if (!first) {
        NT_ASSERT(!state->waiting);
        state->waiting = true;
        state->next = *start;
        if (start->key != NULL) {
            state->next.key_value = *start->key;
            state->next.key = &state->next.key_value;
        }
    }
    KeReleaseSpinLockFromDpcLevel(&state->lock);
    return first;
}

/* False: nothing came meanwhile. */
static bool
leave(struct io_start_io *state, struct io_start *out_next)
{
    bool more;

    KeAcquireSpinLockAtDpcLevel(&state->lock);
    more = state->waiting;
    state->waiting = false;
    state->running = more;
    *out_next = state->next;
    if (out_next->key != NULL)
        out_next->key = &out_next->key_value;
    KeReleaseSpinLockFromDpcLevel(&state->lock);
    return more;
}

static void
start_packet(PDEVICE_OBJECT device, const struct io_start *start)
{
    struct io_devext *ext = io_devext(device);
    struct io_start next;

    if (!ext->start_io_deferred) {
        start_now(device, start);
        return;
    }
    if (!enter(&ext->start_io, start))
        return;
    start_now(device, start);
    while (leave(&ext->start_io, &next))
        start_now(device, &next);
}

/* --- the routines -------------------------------------------------------- */

/* Queued, and cancelled before it got here: its routine takes it out. */
static void
cancel_queued(PDEVICE_OBJECT device, PIRP irp, KIRQL irql)
{
    PDRIVER_CANCEL routine = IoSetCancelRoutine(irp, NULL);

    if (routine == NULL) {
        IoReleaseCancelSpinLock(irql);
        return;
    }
    irp->CancelIrql = irql;
    routine(device, irp);
}

/* <= DISPATCH */
VOID NTAPI
IoStartPacket(PDEVICE_OBJECT DeviceObject, PIRP Irp, PULONG Key,
              PDRIVER_CANCEL CancelFunction)
{
    KIRQL irql, cancel_irql = DISPATCH_LEVEL;
    bool queued;

    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    if (CancelFunction != NULL) {
        IoAcquireCancelSpinLock(&cancel_irql);
        IoSetCancelRoutine(Irp, CancelFunction);
    }
    queued = insert(DeviceObject, Irp, Key);
    if (!queued)
        make_current(DeviceObject, Irp);
    if (CancelFunction != NULL && queued && Irp->Cancel)
        cancel_queued(DeviceObject, Irp, cancel_irql);
    else if (CancelFunction != NULL)
        IoReleaseCancelSpinLock(cancel_irql);
    if (!queued)
        start_packet(DeviceObject, &(struct io_start){ .irp = Irp });
    KeLowerIrql(irql);
}

VOID NTAPI
IoStartNextPacket(PDEVICE_OBJECT DeviceObject, BOOLEAN Cancelable)
{
    start_packet(DeviceObject, &(struct io_start){ .cancelable = Cancelable });
}

/* The first one whose key is not below Key, or the first of all. */
VOID NTAPI
IoStartNextPacketByKey(PDEVICE_OBJECT DeviceObject, BOOLEAN Cancelable,
                       ULONG Key)
{
    start_packet(DeviceObject,
                 &(struct io_start){ .cancelable = Cancelable, .key = &Key });
}
