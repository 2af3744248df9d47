/*
 * workitem.c - work items of a device or a driver
 *
 * The object is referenced while an item is queued or runs.  An item may be
 * freed, or queued again, by its own routine.  <= DISPATCH.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

struct _IO_WORKITEM {
    WORK_QUEUE_ITEM item;
    PVOID object; /* a device or a driver */
    PIO_WORKITEM_ROUTINE routine;
    PIO_WORKITEM_ROUTINE_EX extended; /* or this one */
    PVOID context;
    LONG queued; /* atomic */
};

ULONG NTAPI
IoSizeofWorkItem(VOID)
{
    return sizeof(struct _IO_WORKITEM);
}

VOID NTAPI
IoInitializeWorkItem(PVOID IoObject, PIO_WORKITEM IoWorkItem)
{
    RtlZeroMemory(IoWorkItem, sizeof *IoWorkItem);
    IoWorkItem->object = IoObject;
}

PIO_WORKITEM NTAPI
IoAllocateWorkItem(PDEVICE_OBJECT DeviceObject)
{
    PIO_WORKITEM item =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *item, IO_TAG_WORK);

    if (item != NULL)
        IoInitializeWorkItem(DeviceObject, item);
    return item;
}

static PDEVICE_OBJECT
device_of(PIO_WORKITEM item)
{
    return *(CSHORT *) item->object == IO_TYPE_DEVICE ? item->object : NULL;
}

VOID NTAPI
IoUninitializeWorkItem(PIO_WORKITEM IoWorkItem)
{
    if (__atomic_load_n(&IoWorkItem->queued, __ATOMIC_ACQUIRE))
        io_broken(IO_RULE_WORKITEM_QUEUED, device_of(IoWorkItem), NULL);
}

VOID NTAPI
IoFreeWorkItem(PIO_WORKITEM IoWorkItem)
{
    IoUninitializeWorkItem(IoWorkItem);
    ExFreePoolWithTag(IoWorkItem, IO_TAG_WORK);
}

static VOID NTAPI
run(PVOID parameter)
{
    PIO_WORKITEM item = parameter;
    PIO_WORKITEM_ROUTINE routine = item->routine;
    PIO_WORKITEM_ROUTINE_EX extended = item->extended;
    PVOID object = item->object, context = item->context;

    __atomic_store_n(&item->queued, 0, __ATOMIC_RELEASE);
    if (extended != NULL)
        extended(object, context, item);
    else
        routine(object, context);
    ObDereferenceObject(object);
}

static void
queue(PIO_WORKITEM item, WORK_QUEUE_TYPE type)
{
    ObReferenceObject(item->object);
    ExInitializeWorkItem(&item->item, run, item);
    ExQueueWorkItem(&item->item, type);
}

static void
claim(PIO_WORKITEM item)
{
    if (__atomic_exchange_n(&item->queued, 1, __ATOMIC_ACQ_REL))
        io_broken(IO_RULE_WORKITEM_QUEUED, device_of(item), NULL);
}

VOID NTAPI
IoQueueWorkItem(PIO_WORKITEM IoWorkItem, PIO_WORKITEM_ROUTINE WorkerRoutine,
                WORK_QUEUE_TYPE QueueType, PVOID Context)
{
    claim(IoWorkItem);
    IoWorkItem->routine = WorkerRoutine;
    IoWorkItem->extended = NULL;
    IoWorkItem->context = Context;
    queue(IoWorkItem, QueueType);
}

VOID NTAPI
IoQueueWorkItemEx(PIO_WORKITEM IoWorkItem,
                  PIO_WORKITEM_ROUTINE_EX WorkerRoutine,
                  WORK_QUEUE_TYPE QueueType, PVOID Context)
{
    claim(IoWorkItem);
    IoWorkItem->routine = NULL;
    IoWorkItem->extended = WorkerRoutine;
    IoWorkItem->context = Context;
    queue(IoWorkItem, QueueType);
}
