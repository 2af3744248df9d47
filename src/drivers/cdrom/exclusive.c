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

#include <initguid.h>
#include <ioevent.h>

void
cdrom_exclusive_init(PDEVICE_OBJECT fdo)
{
    KeInitializeSpinLock(&cdrom_data_of(fdo)->lock);
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

/*
 * Whatever the owner did to the medium, a file system looks at it again.
 * Programs are told of a removal and, once the next poll finds a medium, of an
 * arrival.  The first of the two states only makes the second one a change.
 */
static void
tell_again(PFUNCTIONAL_DEVICE_EXTENSION ext, BOOLEAN quiet)
{
    PDEVICE_OBJECT fdo = ext->DeviceObject;

    if (is_mounted(fdo))
        InterlockedOr((LONG volatile *) &fdo->Flags, DO_VERIFY_VOLUME);
    ClassEnableMediaChangeDetection(ext);
    if (quiet)
        return;
    ClassSetMediaChangeState(ext, MediaPresent, FALSE);
    ClassSetMediaChangeState(ext, MediaNotPresent, FALSE);
    ClassCheckMediaState(ext);
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
    tell_again(fdo->DeviceExtension, quiet);
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
    if (file == NULL || file->FsContext != fdo)
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
