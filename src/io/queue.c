/*
 * queue.c - StartIo: one request of a device at a time
 *
 * The queue is the device's DeviceQueue; a cancelable one is used under the
 * cancel lock, as drivers expect.
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

    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    if (CancelFunction != NULL) {
        IoAcquireCancelSpinLock(&cancel_irql);
        IoSetCancelRoutine(Irp, CancelFunction);
    }
    if (insert(DeviceObject, Irp, Key)) {
        if (CancelFunction != NULL && Irp->Cancel)
            cancel_queued(DeviceObject, Irp, cancel_irql);
        else if (CancelFunction != NULL)
            IoReleaseCancelSpinLock(cancel_irql);
    } else {
        DeviceObject->CurrentIrp = Irp;
        if (CancelFunction != NULL)
            IoReleaseCancelSpinLock(cancel_irql);
        DeviceObject->DriverObject->DriverStartIo(DeviceObject, Irp);
    }
    KeLowerIrql(irql);
}

/* At DISPATCH. */
VOID NTAPI
IoStartNextPacket(PDEVICE_OBJECT DeviceObject, BOOLEAN Cancelable)
{
    PKDEVICE_QUEUE_ENTRY entry;
    PIRP irp = NULL;
    KIRQL irql = DISPATCH_LEVEL;

    if (Cancelable)
        IoAcquireCancelSpinLock(&irql);
    DeviceObject->CurrentIrp = NULL;
    entry = KeRemoveDeviceQueue(&DeviceObject->DeviceQueue);
    if (entry != NULL) {
        irp = CONTAINING_RECORD(entry, IRP, Tail.Overlay.DeviceQueueEntry);
        DeviceObject->CurrentIrp = irp;
    }
    if (Cancelable)
        IoReleaseCancelSpinLock(irql);
    if (irp != NULL)
        DeviceObject->DriverObject->DriverStartIo(DeviceObject, irp);
}
