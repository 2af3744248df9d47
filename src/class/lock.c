/*
 * lock.c - who may take the medium out: locks, eject, load
 *
 * Two kinds of locks: the simple one counts for the whole device and anybody
 * may undo it; the secure one counts per handle and ends with it.  Both send
 * PREVENT ALLOW MEDIUM REMOVAL, under EjectSynchronizationEvent so that the
 * drive's state follows the counters, on the caller's thread.
 *
 * Locks: EjectSynchronizationEvent for the counters, handle_lock for the list
 * of handles.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

/* --- handles -------------------------------------------------------------- */

NTSTATUS NTAPI
class_handle_create(class_device *dev, PFILE_OBJECT file)
{
    struct class_handle *handle;
    KIRQL irql;

    if (file == NULL)
        return STATUS_SUCCESS;
    handle = ExAllocatePoolWithTag(NonPagedPool, sizeof *handle, CLASS_TAG);
    if (handle == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    handle->file = file;
    handle->mcn_count = handle->lock_count = 0;
    KeAcquireSpinLock(&dev->handle_lock, &irql);
    InsertTailList(&dev->handles, &handle->entry);
    KeReleaseSpinLock(&dev->handle_lock, irql);
    return STATUS_SUCCESS;
}

static struct class_handle *
find_locked(class_device *dev, PFILE_OBJECT file)
{
    PLIST_ENTRY at;

    for (at = dev->handles.Flink; at != &dev->handles; at = at->Flink) {
        struct class_handle *handle =
            CONTAINING_RECORD(at, struct class_handle, entry);

        if (handle->file == file)
            return handle;
    }
    return NULL;
}

/* The caller's IRP keeps the handle open, so it stays. */
struct class_handle *NTAPI
class_handle_find(class_device *dev, PFILE_OBJECT file)
{
    struct class_handle *handle;
    KIRQL irql;

    KeAcquireSpinLock(&dev->handle_lock, &irql);
    handle = find_locked(dev, file);
    KeReleaseSpinLock(&dev->handle_lock, irql);
    return handle;
}

/* --- the command ---------------------------------------------------------- */

static NTSTATUS
send_prevent(class_device *dev, BOOLEAN prevent)
{
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 6 };

    if (!(dev->fdo->Characteristics & FILE_REMOVABLE_MEDIA))
        return STATUS_SUCCESS;
    srb.TimeOutValue = dev->ext->TimeOutValue;
    srb.Cdb[0] = SCSIOP_MEDIUM_REMOVAL;
    srb.Cdb[4] = prevent;
    return ClassSendSrbSynchronous(dev->fdo, &srb, NULL, 0, FALSE);
}

static void
counters_begin(class_device *dev)
{
    (void) KeWaitForSingleObject(&dev->ext->EjectSynchronizationEvent,
                                 Executive, KernelMode, FALSE, NULL);
}

static void
counters_end(class_device *dev)
{
    KeSetEvent(&dev->ext->EjectSynchronizationEvent, IO_NO_INCREMENT, FALSE);
}

static BOOLEAN
nobody_locks(const class_device *dev)
{
    return dev->ext->LockCount == 0 && dev->ext->ProtectedLockCount == 0 &&
           dev->ext->InternalLockCount == 0;
}

/* ALLOW is sent only when nobody else holds a lock. */
static NTSTATUS
send_allow(class_device *dev)
{
    return nobody_locks(dev) ? send_prevent(dev, FALSE) : STATUS_SUCCESS;
}

/* --- simple locks --------------------------------------------------------- */

static NTSTATUS
simple_lock(class_device *dev)
{
    NTSTATUS status;

    dev->ext->LockCount++;
    status = send_prevent(dev, TRUE);
    if (!NT_SUCCESS(status))
        dev->ext->LockCount--;
    return status;
}

/* An unlock too many is no error, and sends ALLOW again. */
static NTSTATUS
simple_unlock(class_device *dev)
{
    LONG before = dev->ext->LockCount;
    NTSTATUS status;

    if (before > 0)
        dev->ext->LockCount--;
    status = send_allow(dev);
    if (!NT_SUCCESS(status))
        dev->ext->LockCount = before;
    return status;
}

NTSTATUS NTAPI
class_media_removal(class_device *dev, PIRP irp)
{
    PPREVENT_MEDIA_REMOVAL in = irp->AssociatedIrp.SystemBuffer;
    NTSTATUS status;

    counters_begin(dev);
    status = in->PreventMediaRemoval ? simple_lock(dev) : simple_unlock(dev);
    counters_end(dev);
    return class_complete(dev, irp, status, 0);
}

/* --- secure locks --------------------------------------------------------- */

static NTSTATUS
secure_lock(class_device *dev, struct class_handle *handle)
{
    NTSTATUS status;

    dev->ext->ProtectedLockCount++;
    handle->lock_count++;
    status = send_prevent(dev, TRUE);
    if (!NT_SUCCESS(status)) {
        dev->ext->ProtectedLockCount--;
        handle->lock_count--;
    }
    return status;
}

static NTSTATUS
secure_unlock(class_device *dev, struct class_handle *handle)
{
    NTSTATUS status;

    if (handle->lock_count == 0)
        return STATUS_INVALID_DEVICE_STATE;
    dev->ext->ProtectedLockCount--;
    handle->lock_count--;
    status = send_allow(dev);
    if (!NT_SUCCESS(status)) {
        dev->ext->ProtectedLockCount++;
        handle->lock_count++;
    }
    return status;
}

NTSTATUS NTAPI
class_ejection_control(class_device *dev, PIRP irp)
{
    PPREVENT_MEDIA_REMOVAL in = irp->AssociatedIrp.SystemBuffer;
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(irp)->FileObject;
    struct class_handle *handle =
        file != NULL ? class_handle_find(dev, file) : NULL;
    NTSTATUS status;

    if (handle == NULL)
        return class_complete(dev, irp, STATUS_INVALID_PARAMETER, 0);
    counters_begin(dev);
    status = in->PreventMediaRemoval ? secure_lock(dev, handle)
                                     : secure_unlock(dev, handle);
    counters_end(dev);
    return class_complete(dev, irp, status, 0);
}

VOID NTAPI
class_handle_close(class_device *dev, PFILE_OBJECT file)
{
    struct class_handle *handle;
    KIRQL irql;

    KeAcquireSpinLock(&dev->handle_lock, &irql);
    handle = file != NULL ? find_locked(dev, file) : NULL;
    if (handle != NULL)
        RemoveEntryList(&handle->entry);
    KeReleaseSpinLock(&dev->handle_lock, irql);
    if (handle == NULL)
        return;
    if (handle->lock_count > 0) {
        counters_begin(dev);
        dev->ext->ProtectedLockCount -= handle->lock_count;
        (void) send_allow(dev);
        counters_end(dev);
    }
    while (handle->mcn_count-- > 0)
        ClassEnableMediaChangeDetection(dev->ext);
    ExFreePoolWithTag(handle, CLASS_TAG);
}

/* --- eject, load ---------------------------------------------------------- */

static NTSTATUS
start_stop(class_device *dev, PIRP irp, UCHAR what)
{
    UCHAR cdb[6] = { SCSIOP_START_STOP_UNIT, [4] = what };
    NTSTATUS status = STATUS_SUCCESS;
    struct class_request *request;

    if (dev->ext->CommonExtension.PagingPathCount != 0)
        status = STATUS_FILES_OPEN;
    else if (dev->ext->ProtectedLockCount != 0)
        status = STATUS_DEVICE_BUSY;
    if (status != STATUS_SUCCESS)
        return class_complete(dev, irp, status, 0);
    request = class_request_new(dev, irp);
    if (request == NULL)
        return class_complete(dev, irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    class_command(request, cdb, sizeof cdb, NULL, 0, FALSE);
    return class_send(request);
}

NTSTATUS NTAPI
class_eject_media(class_device *dev, PIRP irp)
{
    return start_stop(dev, irp, 0x02);
}

NTSTATUS NTAPI
class_load_media(class_device *dev, PIRP irp)
{
    return start_stop(dev, irp, 0x03);
}

/* --- reservations: the six-byte forms; act.c knows their successors ------- */

static NTSTATUS
reservation(class_device *dev, PIRP irp, UCHAR opcode)
{
    UCHAR cdb[10] = { opcode };
    struct class_request *request = class_request_new(dev, irp);

    if (request == NULL)
        return class_complete(dev, irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    if (dev->ten_byte_reserve)
        cdb[0] = opcode == SCSIOP_RESERVE_UNIT ? SCSIOP_RESERVE_UNIT10
                                               : SCSIOP_RELEASE_UNIT10;
    class_command(request, cdb, dev->ten_byte_reserve ? 10 : 6, NULL, 0, FALSE);
    return class_send(request);
}

NTSTATUS NTAPI
class_reserve(class_device *dev, PIRP irp)
{
    return reservation(dev, irp, SCSIOP_RESERVE_UNIT);
}

NTSTATUS NTAPI
class_release(class_device *dev, PIRP irp)
{
    return reservation(dev, irp, SCSIOP_RELEASE_UNIT);
}
