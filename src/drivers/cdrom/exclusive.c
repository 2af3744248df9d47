/*
 * exclusive.c - one handle has the drive to itself
 *
 * As long as a handle holds the lock, requests of all others that have to do
 * with the drive or its medium are denied, and media change detection rests:
 * its polls would take events that are the owner's.  Only a file that was
 * opened on the drive itself can lock it, for its end is seen here; the file
 * marks itself with the drive as its context.
 *
 * Locks: data->lock, a leaf.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ntifs.h>

#include "cdrom/device.h"

#include <ntdddisk.h>
#include <ntddscsi.h>
#include <ntiologc.h>
#include <scsi.h>

#include <initguid.h>
#include <ioevent.h>

BOOLEAN
cdrom_exclusive_init(PDEVICE_OBJECT fdo)
{
    struct cdrom_data *data = cdrom_data_of(fdo);

    KeInitializeSpinLock(&data->lock);
    if (data->tell == NULL)
        data->tell = IoAllocateWorkItem(fdo);
    return data->tell != NULL;
}

void
cdrom_exclusive_end(PDEVICE_OBJECT fdo)
{
    struct cdrom_data *data = cdrom_data_of(fdo);

    if (data->tell != NULL)
        IoFreeWorkItem(data->tell);
    data->tell = NULL;
}

void
cdrom_exclusive_opened(PDEVICE_OBJECT fdo, PFILE_OBJECT file)
{
    if (file != NULL)
        file->FsContext = fdo;
}

/* --- who may do what ------------------------------------------------------ */

/* Codes that neither the drive nor its medium notices. */
static const ULONG harmless[] = {
    IOCTL_CDROM_EXCLUSIVE_ACCESS,    IOCTL_CDROM_GET_INQUIRY_DATA,
    IOCTL_STORAGE_GET_DEVICE_NUMBER, IOCTL_STORAGE_GET_HOTPLUG_INFO,
    IOCTL_STORAGE_QUERY_PROPERTY,    IOCTL_SCSI_GET_ADDRESS,
    IOCTL_SCSI_GET_CAPABILITIES,     IOCTL_SCSI_GET_INQUIRY_DATA,
    IOCTL_DISK_INTERNAL_SET_VERIFY,  IOCTL_DISK_INTERNAL_CLEAR_VERIFY,
};

BOOLEAN
cdrom_exclusive_bars(PDEVICE_OBJECT fdo, PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    PFILE_OBJECT owner = cdrom_owner(fdo);

    if (owner == NULL || owner == at->FileObject)
        return FALSE;
    for (size_t i = 0; i < RTL_NUMBER_OF(harmless); i++)
        if (harmless[i] == at->Parameters.DeviceIoControl.IoControlCode)
            return FALSE;
    return TRUE;
}

/* --- lock ----------------------------------------------------------------- */

static BOOLEAN
may_be_in_name(UCHAR c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == ' ' || c == '.' || c == ',' ||
           c == ':' || c == ';' || c == '-' || c == '_';
}

/* Of the documented characters, and with an end. */
static BOOLEAN
is_name(const UCHAR *name)
{
    ULONG i = 0;

    while (i < CDROM_EXCLUSIVE_CALLER_LENGTH && may_be_in_name(name[i]))
        i++;
    return i != 0 && i < CDROM_EXCLUSIVE_CALLER_LENGTH && name[i] == 0;
}

static BOOLEAN
is_mounted(PDEVICE_OBJECT fdo)
{
    BOOLEAN mounted;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    mounted = fdo->Vpb != NULL && (fdo->Vpb->Flags & VPB_MOUNTED) != 0;
    IoReleaseVpbSpinLock(irql);
    return mounted;
}

/* Who locked the drive is in the log. */
static void
log_lock(PDEVICE_OBJECT fdo, const UCHAR *name)
{
    const UCHAR size = (UCHAR) (FIELD_OFFSET(IO_ERROR_LOG_PACKET, DumpData) +
                                CDROM_EXCLUSIVE_CALLER_LENGTH);
    PIO_ERROR_LOG_PACKET packet = IoAllocateErrorLogEntry(fdo, size);

    if (packet == NULL)
        return;
    RtlZeroMemory(packet, size);
    packet->ErrorCode = IO_CDROM_EXCLUSIVE_LOCK;
    packet->MajorFunctionCode = IRP_MJ_DEVICE_CONTROL;
    packet->IoControlCode = IOCTL_CDROM_EXCLUSIVE_ACCESS;
    packet->DumpDataSize = CDROM_EXCLUSIVE_CALLER_LENGTH;
    RtlCopyMemory(packet->DumpData, name, CDROM_EXCLUSIVE_CALLER_LENGTH);
    IoWriteErrorLogEntry(packet);
}

static NTSTATUS
take(struct cdrom_data *data, PFILE_OBJECT file, const UCHAR *name)
{
    NTSTATUS status = STATUS_ACCESS_DENIED;
    KIRQL irql;

    KeAcquireSpinLock(&data->lock, &irql);
    if (data->owner == NULL) {
        RtlZeroMemory(data->caller, sizeof data->caller);
        for (ULONG i = 0; name[i] != 0; i++)
            data->caller[i] = name[i];
        __atomic_store_n(&data->owner, file, __ATOMIC_RELAXED);
        status = STATUS_SUCCESS;
    }
    KeReleaseSpinLock(&data->lock, irql);
    return status;
}

static NTSTATUS
lock_device(PDEVICE_OBJECT fdo, PIRP irp)
{
    const CDROM_EXCLUSIVE_LOCK *what = irp->AssociatedIrp.SystemBuffer;
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(irp)->FileObject;
    struct cdrom_data *data = cdrom_data_of(fdo);
    NTSTATUS status;

    if (fdo_given(irp) < sizeof *what)
        return STATUS_INFO_LENGTH_MISMATCH;
    if (!is_name(what->CallerName))
        return STATUS_INVALID_PARAMETER;
    if (!(what->Access.Flags & CDROM_LOCK_IGNORE_VOLUME) && is_mounted(fdo))
        return STATUS_INVALID_DEVICE_STATE;
    status = take(data, file, what->CallerName);
    if (!NT_SUCCESS(status))
        return status;
    ClassDisableMediaChangeDetection(fdo->DeviceExtension);
    ClassSendNotification(fdo->DeviceExtension, &GUID_IO_CDROM_EXCLUSIVE_LOCK,
                          0, NULL);
    log_lock(fdo, data->caller);
    return STATUS_SUCCESS;
}

/* --- unlock --------------------------------------------------------------- */

static void
tell(PFUNCTIONAL_DEVICE_EXTENSION ext, const GUID *event, ULONG state)
{
    CLASS_MEDIA_CHANGE_CONTEXT context = {
        .MediaChangeCount = ext->MediaChangeCount,
        .NewState = state,
    };

    ClassSendNotification(ext, event, sizeof context, &context);
}

/* Detection begins anew, and in silence: so programs are told here, of an
 * arrival only if there is a medium.  By a worker: a drive may take its time. */
static VOID NTAPI
tell_again(PDEVICE_OBJECT fdo, PVOID context)
{
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 6 };
    struct cdrom_data *data = context;

    InterlockedExchange(&data->telling, FALSE);
    srb.Cdb[0] = SCSIOP_TEST_UNIT_READY;
    tell(fdo->DeviceExtension, &GUID_IO_MEDIA_REMOVAL, MediaNotPresent);
    if (NT_SUCCESS(cdrom_send(fdo, &srb, NULL, 0, FALSE)))
        tell(fdo->DeviceExtension, &GUID_IO_MEDIA_ARRIVAL, MediaPresent);
    ClassReleaseRemoveLock(fdo, (PIRP) data);
}

static void
tell_soon(PDEVICE_OBJECT fdo)
{
    struct cdrom_data *data = cdrom_data_of(fdo);

    if (InterlockedExchange(&data->telling, TRUE))
        return; /* it has not begun yet */
    if (ClassAcquireRemoveLock(fdo, (PIRP) data) == NO_REMOVE) {
        IoQueueWorkItem(data->tell, tell_again, DelayedWorkQueue, data);
        return;
    }
    InterlockedExchange(&data->telling, FALSE);
    ClassReleaseRemoveLock(fdo, (PIRP) data);
}

/* Whatever the owner did to the medium, a file system looks at it again. */
static void
resume(PDEVICE_OBJECT fdo, BOOLEAN quiet)
{
    if (is_mounted(fdo))
        InterlockedOr((LONG volatile *) &fdo->Flags, DO_VERIFY_VOLUME);
    ClassEnableMediaChangeDetection(fdo->DeviceExtension);
    if (!quiet)
        tell_soon(fdo);
}

static NTSTATUS
unlock(PDEVICE_OBJECT fdo, PFILE_OBJECT file, BOOLEAN quiet)
{
    struct cdrom_data *data = cdrom_data_of(fdo);
    NTSTATUS status = STATUS_SUCCESS;
    KIRQL irql;

    KeAcquireSpinLock(&data->lock, &irql);
    if (data->owner == NULL)
        status = STATUS_INVALID_DEVICE_REQUEST;
    else if (data->owner != file)
        status = STATUS_INVALID_HANDLE;
    else
        __atomic_store_n(&data->owner, NULL, __ATOMIC_RELAXED);
    KeReleaseSpinLock(&data->lock, irql);
    if (!NT_SUCCESS(status))
        return status;
    resume(fdo, quiet);
    ClassSendNotification(fdo->DeviceExtension, &GUID_IO_CDROM_EXCLUSIVE_UNLOCK,
                          0, NULL);
    return STATUS_SUCCESS;
}

void
cdrom_exclusive_closed(PDEVICE_OBJECT fdo, PFILE_OBJECT file)
{
    if (file != NULL && cdrom_owner(fdo) == file)
        (void) unlock(fdo, file, FALSE);
}

/* --- the control code ----------------------------------------------------- */

static void
query(PDEVICE_OBJECT fdo, PCDROM_EXCLUSIVE_LOCK_STATE out)
{
    struct cdrom_data *data = cdrom_data_of(fdo);
    KIRQL irql;

    RtlZeroMemory(out, sizeof *out);
    KeAcquireSpinLock(&data->lock, &irql);
    if (data->owner != NULL) {
        out->LockState = TRUE;
        RtlCopyMemory(out->CallerName, data->caller, sizeof out->CallerName);
    }
    KeReleaseSpinLock(&data->lock, irql);
}

NTSTATUS
cdrom_exclusive(PDEVICE_OBJECT fdo, PIRP irp)
{
    const CDROM_EXCLUSIVE_ACCESS *what = irp->AssociatedIrp.SystemBuffer;
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(irp)->FileObject;
    NTSTATUS status;

    if (fdo_given(irp) < sizeof *what)
        return fdo_complete(fdo, irp, STATUS_INFO_LENGTH_MISMATCH, 0);
    if (KeGetCurrentIrql() != PASSIVE_LEVEL)
        return fdo_complete(fdo, irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    if (!cdrom_has_handle(fdo, irp))
        return fdo_complete(fdo, irp, STATUS_INVALID_HANDLE, 0);
    switch (what->RequestType) {
    case ExclusiveAccessQueryState:
        if (fdo_room(irp) < sizeof(CDROM_EXCLUSIVE_LOCK_STATE))
            return fdo_complete(fdo, irp, STATUS_BUFFER_TOO_SMALL, 0);
        query(fdo, irp->AssociatedIrp.SystemBuffer);
        return fdo_complete(fdo, irp, STATUS_SUCCESS,
                            sizeof(CDROM_EXCLUSIVE_LOCK_STATE));
    case ExclusiveAccessLockDevice:
        status = lock_device(fdo, irp);
        break;
    case ExclusiveAccessUnlockDevice:
        status = unlock(fdo, file,
                        (what->Flags & CDROM_NO_MEDIA_NOTIFICATIONS) != 0);
        break;
    default:
        status = STATUS_INVALID_PARAMETER;
    }
    return fdo_complete(fdo, irp, status, 0);
}
