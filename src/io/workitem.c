/*
 * workitem.c - work items of a device
 *
 * The device is referenced while an item is queued or runs.  An item may be
 * freed, or queued again, by its own routine.  <= DISPATCH.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

struct _IO_WORKITEM {
    WORK_QUEUE_ITEM item;
    PDEVICE_OBJECT device;
    PIO_WORKITEM_ROUTINE routine;
    PVOID context;
    LONG queued; /* atomic */
};

PIO_WORKITEM NTAPI
IoAllocateWorkItem(PDEVICE_OBJECT DeviceObject)
{
    PIO_WORKITEM item =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *item, IO_TAG_WORK);

    if (item == NULL)
        return NULL;
    RtlZeroMemory(item, sizeof *item);
    item->device = DeviceObject;
    return item;
}

VOID NTAPI
IoFreeWorkItem(PIO_WORKITEM IoWorkItem)
{
    if (__atomic_load_n(&IoWorkItem->queued, __ATOMIC_ACQUIRE))
        io_rule_broken(DRIVER_VERIFIER_DETECTED_VIOLATION,
                       "freed a work item that is queued (IoFreeWorkItem)",
                       IoWorkItem->device, NULL);
    ExFreePoolWithTag(IoWorkItem, IO_TAG_WORK);
}

static VOID NTAPI
run(PVOID parameter)
{
    PIO_WORKITEM item = parameter;
    PDEVICE_OBJECT device = item->device;

    __atomic_store_n(&item->queued, 0, __ATOMIC_RELEASE);
    item->routine(device, item->context);
    ObDereferenceObject(device);
}

VOID NTAPI
IoQueueWorkItem(PIO_WORKITEM IoWorkItem, PIO_WORKITEM_ROUTINE WorkerRoutine,
                WORK_QUEUE_TYPE QueueType, PVOID Context)
{
    if (__atomic_exchange_n(&IoWorkItem->queued, 1, __ATOMIC_ACQ_REL))
        io_rule_broken(DRIVER_VERIFIER_DETECTED_VIOLATION,
                       "queued a work item that is queued already "
                       "(IoQueueWorkItem)",
                       IoWorkItem->device, NULL);
    ObReferenceObject(IoWorkItem->device);
    IoWorkItem->routine = WorkerRoutine;
    IoWorkItem->context = Context;
    ExInitializeWorkItem(&IoWorkItem->item, run, IoWorkItem);
    ExQueueWorkItem(&IoWorkItem->item, QueueType);
}
