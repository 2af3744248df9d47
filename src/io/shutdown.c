/*
 * shutdown.c - who is told of the shutdown
 *
 * Three rounds, each last registered first, as documented: devices registered
 * with IoRegisterShutdownNotification, then the file systems, then those
 * of IoRegisterLastChanceShutdownNotification.  PASSIVE, waits.
 *
 * Lock: shutdown_lock, over the lists only.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include "base/status.h"

struct shutdown {
    LIST_ENTRY entry;
    PDEVICE_OBJECT device; /* holds a reference */
};

enum { FIRST_ROUND, LAST_CHANCE, ROUNDS };

static KSPIN_LOCK shutdown_lock;
static LIST_ENTRY rounds[ROUNDS] = {
    { &rounds[FIRST_ROUND], &rounds[FIRST_ROUND] },
    { &rounds[LAST_CHANCE], &rounds[LAST_CHANCE] },
};

static NTSTATUS
enlist(PDEVICE_OBJECT device, unsigned round)
{
    struct shutdown *added =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *added, IO_TAG_NOTE);
    KIRQL irql;

    if (added == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    ObReferenceObject(device);
    added->device = device;
    KeAcquireSpinLock(&shutdown_lock, &irql);
    InsertHeadList(&rounds[round], &added->entry);
    KeReleaseSpinLock(&shutdown_lock, irql);
    io_device_set_flags(device, DO_SHUTDOWN_REGISTERED);
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI
IoRegisterShutdownNotification(PDEVICE_OBJECT DeviceObject)
{
    return enlist(DeviceObject, FIRST_ROUND);
}

NTSTATUS NTAPI
IoRegisterLastChanceShutdownNotification(PDEVICE_OBJECT DeviceObject)
{
    return enlist(DeviceObject, LAST_CHANCE);
}

/* The first one in the list of this device, or of any (NULL), unlinked. */
static struct shutdown *
take(unsigned round, PDEVICE_OBJECT device)
{
    struct shutdown *found = NULL;
    KIRQL irql;

    KeAcquireSpinLock(&shutdown_lock, &irql);
    for (PLIST_ENTRY at = rounds[round].Flink;
         at != &rounds[round] && found == NULL; at = at->Flink) {
        struct shutdown *entry = CONTAINING_RECORD(at, struct shutdown, entry);

        if (device == NULL || entry->device == device) {
            RemoveEntryList(&entry->entry);
            found = entry;
        }
    }
    KeReleaseSpinLock(&shutdown_lock, irql);
    return found;
}

static void
drop(struct shutdown *entry)
{
    ObDereferenceObject(entry->device);
    ExFreePoolWithTag(entry, IO_TAG_NOTE);
}

VOID NTAPI
IoUnregisterShutdownNotification(PDEVICE_OBJECT DeviceObject)
{
    struct shutdown *entry;

    for (unsigned round = 0; round < ROUNDS; round++)
        while ((entry = take(round, DeviceObject)) != NULL)
            drop(entry);
    io_device_clear_flags(DeviceObject, DO_SHUTDOWN_REGISTERED);
}

static void
send_shutdown(PDEVICE_OBJECT device)
{
    PDEVICE_OBJECT top = IoGetAttachedDeviceReference(device);
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    struct io_sync sync;
    PIRP irp = io_sync_irp(top, &sync);

    if (irp != NULL) {
        IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_SHUTDOWN;
        status = io_sync_call(top, irp, &sync, NULL);
    }
    TRACE(TRACE_PNP, "dev=%p told of the shutdown: %s", (void *) device,
          status_name(status));
    ObDereferenceObject(top);
}

static void
tell_round(unsigned round)
{
    struct shutdown *entry;

    while ((entry = take(round, NULL)) != NULL) {
        io_device_clear_flags(entry->device, DO_SHUTDOWN_REGISTERED);
        send_shutdown(entry->device);
        drop(entry);
    }
}

void
io_tell_shutdown(void)
{
    tell_round(FIRST_ROUND);
    io_each_file_system(send_shutdown);
    tell_round(LAST_CHANCE);
}
