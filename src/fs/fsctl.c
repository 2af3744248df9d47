/*
 * fsctl.c - IRP_MN_USER_FS_REQUEST: lock, unlock, dismount, is it mounted
 *
 * FSCTL_IS_VOLUME_MOUNTED is the silent probe "is my volume still there?": it
 * verifies if need be and never asks a person; nor do the two about dirtiness.
 *
 * A locked volume whose medium is pulled keeps its lock: VPB_LOCKED travels
 * with its VPB, so what comes into the drive instead is not locked, and the
 * volume is again when it is back.
 *
 * Dismounted is for good: every request of whoever has it open fails with
 * STATUS_VOLUME_DISMOUNTED, as with FASTFAT, and is never asked about, for
 * somebody wanted it to end (a cancel, P5), and what it lacked is flushed or
 * kept (P2).  The medium becomes a volume again at the next mount, for those
 * who open it then.
 *
 * Context: PASSIVE_LEVEL.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

#include "base/status.h"
#include "base/trace.h"

struct call {
    struct volume *volume;
    PIRP irp;
    PFILE_OBJECT file;
    PIO_STACK_LOCATION own;
    ULONG_PTR information;
};

/* Only the holder of the one handle there is. */
static NTSTATUS
lock_volume(struct call *call)
{
    struct volume *volume = call->volume;
    NTSTATUS status = STATUS_ACCESS_DENIED;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    if (volume->locked_by == NULL && volume->handles == 1) {
        volume->locked_by = call->file;
        status = STATUS_SUCCESS;
    }
    KeReleaseSpinLock(&volume->lock, irql);
    if (NT_SUCCESS(status)) {
        IoAcquireVpbSpinLock(&irql);
        volume->vpb->Flags |= VPB_LOCKED | VPB_DIRECT_WRITES_ALLOWED;
        IoReleaseVpbSpinLock(irql);
    }
    return status;
}

static NTSTATUS
unlock_volume(struct call *call)
{
    struct volume *volume = call->volume;
    BOOLEAN ours;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    ours = volume->locked_by == call->file;
    if (ours)
        volume->locked_by = NULL;
    KeReleaseSpinLock(&volume->lock, irql);
    if (!ours)
        return STATUS_NOT_LOCKED;
    IoAcquireVpbSpinLock(&irql);
    volume->vpb->Flags &= (USHORT) ~(VPB_LOCKED | VPB_DIRECT_WRITES_ALLOWED);
    IoReleaseVpbSpinLock(irql);
    return STATUS_SUCCESS;
}

static NTSTATUS
dismount_volume(struct call *call)
{
    KIRQL irql;
    BOOLEAN foreign;

    KeAcquireSpinLock(&call->volume->lock, &irql);
    foreign = call->volume->locked_by != NULL &&
              call->volume->locked_by != call->file;
    KeReleaseSpinLock(&call->volume->lock, irql);
    if (foreign)
        return STATUS_ACCESS_DENIED;
    return fs_dismount(call->volume, STATUS_VOLUME_DISMOUNTED);
}

/* The check has been made. */
static NTSTATUS
is_volume_mounted(struct call *call)
{
    (void) call;
    return STATUS_SUCCESS;
}

/* The blocks are the clients': the mark is kept with the volume, not on it. */
static NTSTATUS
mark_volume_dirty(struct call *call)
{
    struct volume *volume = call->volume;
    BOOLEAN refused;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    refused = volume->read_only;
    if (!refused)
        volume->marked_dirty = TRUE;
    KeReleaseSpinLock(&volume->lock, irql);
    if (refused)
        fs_set_verify(volume);
    return refused ? STATUS_MEDIA_WRITE_PROTECTED : STATUS_SUCCESS;
}

static NTSTATUS
is_volume_dirty(struct call *call)
{
    PULONG out = call->irp->AssociatedIrp.SystemBuffer;
    KIRQL irql;

    if (call->own->Parameters.FileSystemControl.OutputBufferLength <
        sizeof *out)
        return STATUS_INVALID_PARAMETER;
    if (out == NULL)
        return STATUS_INVALID_USER_BUFFER;
    KeAcquireSpinLock(&call->volume->lock, &irql);
    *out = call->volume->marked_dirty ? VOLUME_IS_DIRTY : 0;
    KeReleaseSpinLock(&call->volume->lock, irql);
    call->information = sizeof *out;
    return STATUS_SUCCESS;
}

static NTSTATUS
allow_extended_dasd_io(struct call *call)
{
    call->file->FsContext2 =
        (PVOID) (fs_handle_flags(call->volume, call->file) |
                 FS_HANDLE_EXTENDED_DASD);
    return STATUS_SUCCESS;
}

/*
 * FSCTL_INVALIDATE_VOLUMES, to any device of ours: the volume on the device of
 * the file whose handle is in the buffer is bad from now on, and the device
 * gets a fresh VPB.  For those who may act as part of the system.
 */
NTSTATUS
fs_invalidate_volumes(PIRP irp)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);
    HANDLE *handle = irp->AssociatedIrp.SystemBuffer;
    struct volume *volume;
    PFILE_OBJECT file;
    PVOID object;
    NTSTATUS status;

    if (irp->RequestorMode != KernelMode)
        return fs_complete(irp, STATUS_PRIVILEGE_NOT_HELD, 0);
    if (own->Parameters.FileSystemControl.InputBufferLength != sizeof *handle ||
        handle == NULL)
        return fs_complete(irp, STATUS_INVALID_PARAMETER, 0);
    status = ObReferenceObjectByHandle(*handle, 0, *IoFileObjectType,
                                       KernelMode, &object, NULL);
    if (!NT_SUCCESS(status))
        return fs_complete(irp, status, 0);
    file = object;
    volume = fs_volume_on(file->DeviceObject);
    if (volume != NULL)
        status = fs_dismount(volume, STATUS_FILE_INVALID);
    ObDereferenceObject(file);
    return fs_complete(irp, status, 0);
}

#define NEEDS_CHECK 1 /* the volume must be there */
#define ASKS_DRIVE  2 /* and the drive is asked */
#define SILENT      4 /* no question to a person */
#define ANY_CALLER  8 /* needs no open file of the volume */

static const struct fsctl {
    ULONG code;
    NTSTATUS (*fn)(struct call *call);
    unsigned flags;
} fsctls[] = {
    { FSCTL_LOCK_VOLUME, lock_volume, NEEDS_CHECK },
    { FSCTL_UNLOCK_VOLUME, unlock_volume, 0 },
    { FSCTL_DISMOUNT_VOLUME, dismount_volume, 0 },
    { FSCTL_IS_VOLUME_MOUNTED, is_volume_mounted,
      NEEDS_CHECK | ASKS_DRIVE | SILENT | ANY_CALLER },
    { FSCTL_MARK_VOLUME_DIRTY, mark_volume_dirty, NEEDS_CHECK | SILENT },
    { FSCTL_IS_VOLUME_DIRTY, is_volume_dirty, NEEDS_CHECK | SILENT },
    { FSCTL_ALLOW_EXTENDED_DASD_IO, allow_extended_dasd_io, 0 },
};

static const struct fsctl *
find(ULONG code)
{
    for (size_t i = 0; i < RTL_NUMBER_OF(fsctls); i++)
        if (fsctls[i].code == code)
            return &fsctls[i];
    return NULL;
}

BOOLEAN
fs_is_silent(ULONG code)
{
    const struct fsctl *fsctl = find(code);

    return fsctl != NULL && (fsctl->flags & SILENT) != 0;
}

static NTSTATUS
check(struct call *call, const struct fsctl *fsctl)
{
    if ((fsctl->flags & NEEDS_CHECK) != 0)
        return fs_check_volume(call->volume, (fsctl->flags & ASKS_DRIVE) != 0,
                               FALSE);
    return __atomic_load_n(&call->volume->gone, __ATOMIC_ACQUIRE);
}

/*
 * IRP_MN_USER_FS_REQUEST and IRP_MN_KERNEL_CALL of a volume device.
 * STATUS_INVALID_DEVICE_REQUEST: none of the table; STATUS_INVALID_PARAMETER:
 * not of an open file of this volume; the rest as its routine says.
 */
NTSTATUS
fs_user_request(struct volume *volume, PIRP irp)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);
    const struct fsctl *fsctl =
        find(own->Parameters.FileSystemControl.FsControlCode);
    struct call call = { volume, irp, own->FileObject, own, 0 };
    NTSTATUS status;

    if (fsctl == NULL)
        return fs_complete(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    if ((fsctl->flags & ANY_CALLER) == 0 &&
        (call.file == NULL || call.file->FsContext != volume))
        return fs_complete(irp, STATUS_INVALID_PARAMETER, 0);
    status = check(&call, fsctl);
    if (NT_SUCCESS(status))
        status = fsctl->fn(&call);
    if (NT_SUCCESS(status))
        return fs_complete(irp, status, call.information);
    return fs_raise(volume, irp, status, (fsctl->flags & SILENT) == 0);
}
