/*
 * toplevel.c - a request that cannot go on: the one decision
 *
 * FASTFAT and CDFS raise an exception and decide in its handler; here a status
 * is returned, and this is where it is decided upon.  A request is top-level
 * unless its thread was in a file system already (IoGetTopLevelIrp): only a
 * top-level one verifies or asks, a recursive one only completes, for whoever
 * made it knows what it needed it for.
 *
 * A verification never runs in a dispatch routine: at APC_LEVEL, with APCs
 * disabled, or under a DeviceLock it could not.  The request is posted to the
 * volume's worker and runs again from the start.
 *
 * Differs from the samples: the top-level IRP is set while a volume is
 * verified or mounted, but not over a transfer: its completion routine may send
 * the next one from the same thread, which would be taken for recursive.
 *
 * Context: fs_decide at any IRQL; the rest as said.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

#include "base/status.h"
#include "base/trace.h"

enum fs_verdict NTAPI
fs_decide(NTSTATUS status, PIRP top, BOOLEAN popups)
{
    if (top != NULL)
        return status == STATUS_VERIFY_REQUIRED &&
                       (ULONG_PTR) top == FSRTL_CACHE_TOP_LEVEL_IRP
                   ? FS_LOCK_CONFLICT
                   : FS_COMPLETE;
    if (status == STATUS_VERIFY_REQUIRED)
        return FS_VERIFY;
    return popups && IoIsErrorUserInduced(status) ? FS_ASK : FS_COMPLETE;
}

/* --- one that is tried again, as others wait -------------------------------- */

static struct volume *
volume_of(PIRP irp)
{
    PDEVICE_OBJECT device = IoGetCurrentIrpStackLocation(irp)->DeviceObject;

    return fs_is_volume(device) ? device->DeviceExtension : NULL;
}

void
fs_set_tried(fs_tried_fn *fn)
{
    fs.tried = fn;
}

BOOLEAN
fs_try_one(PIRP irp)
{
    struct volume *volume = volume_of(irp);
    PIRP none = NULL;

    return volume != NULL &&
           __atomic_compare_exchange_n(&volume->tried, &none, irp, FALSE,
                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

void
fs_try_none(PIRP irp)
{
    __atomic_store_n(&volume_of(irp)->tried, NULL, __ATOMIC_RELEASE);
}

void NTAPI
fs_tried(struct volume *volume, PIRP irp, NTSTATUS status)
{
    __atomic_store_n(&volume->tried, NULL, __ATOMIC_RELEASE);
    if (fs.tried != NULL)
        fs.tried(irp, status != STATUS_CANCELLED &&
                          status != STATUS_SYSTEM_SHUTDOWN);
}

/* --- the decision ------------------------------------------------------------ */

NTSTATUS NTAPI
fs_complete(PIRP irp, NTSTATUS status, ULONG_PTR information)
{
    struct volume *volume = volume_of(irp);

    if (volume != NULL)
        fs_note_tried(volume, irp, status);
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = NT_ERROR(status) ? 0 : information;
    IoCompleteRequest(irp, IO_DISK_INCREMENT);
    return status;
}

NTSTATUS
fs_raise(struct volume *volume, PIRP irp, NTSTATUS status, BOOLEAN popups)
{
    PDEVICE_OBJECT real = __atomic_load_n(&volume->real, __ATOMIC_ACQUIRE);

    if (IoIsErrorUserInduced(status) && irp->Tail.Overlay.Thread != NULL)
        IoSetHardErrorOrVerifyDevice(irp, real);
    switch (fs_decide(status, IoGetTopLevelIrp(), popups)) {
    case FS_VERIFY:
        IoMarkIrpPending(irp);
        irp->IoStatus.Status = status;
        fs_post(volume, irp);
        return STATUS_PENDING;
    case FS_ASK:
        return fs_wait_for_medium(volume, irp, status);
    case FS_LOCK_CONFLICT:
        return fs_complete(irp, STATUS_FILE_LOCK_CONFLICT, 0);
    case FS_COMPLETE:
        break;
    }
    return fs_complete(irp, status, 0);
}

/* What IoVerifyVolume says is about the drive; this is about the volume. */
NTSTATUS
fs_perform_verify(struct volume *volume, PIRP irp, BOOLEAN allow_raw)
{
    PIRP top = IoGetTopLevelIrp();
    struct fs_place place;
    ULONG generation;
    NTSTATUS status;

    fs_place_take(volume, &place);
    generation = place.generation;
    /* What is being replayed stays so. */
    if (fs_volume_mounted(volume))
        fs_volume_change(volume, generation, VOL_VERIFYING,
                         STATUS_VERIFY_REQUIRED);
    IoSetTopLevelIrp(irp);
    status = IoVerifyVolume(place.drive.real, allow_raw);
    IoSetTopLevelIrp(top);
    TRACE(TRACE_VERIFY, "verify dev=%p: %s", (void *) place.drive.real,
          status_name(status));
    fs_place_let(&place);
    /* The verification sets the state itself; this is for one that could not
     * even be asked for. */
    if (fs_volume_state(volume) == VOL_VERIFYING)
        fs_volume_change(volume, generation, VOL_ABSENT,
                         fs_absent_reason(status));
    if (status == STATUS_WRONG_VOLUME && fs_volume_mounted(volume))
        return STATUS_SUCCESS;
    if (NT_SUCCESS(status) && !fs_volume_mounted(volume))
        return STATUS_WRONG_VOLUME;
    return status;
}

/*
 * An absolute open is sent back to the I/O manager, even if nothing changed:
 * there may be another volume under its name.
 */
void
fs_settle_control(struct volume *volume, PIRP irp)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);
    BOOLEAN create = own->MajorFunction == IRP_MJ_CREATE;
    BOOLEAN absolute = create && own->FileObject->RelatedFileObject == NULL;
    NTSTATUS status;

    /* It waits to the end; but not those behind it. */
    fs_watch_begin(volume, NULL);
    status = fs_perform_verify(
        volume, irp, absolute && own->FileObject->FileName.Length == 0);
    fs_watch_end(volume);
    /* Cannot be, but must not go round in a circle. */
    if (status == STATUS_VERIFY_REQUIRED)
        status = STATUS_DEVICE_NOT_READY;
    if (absolute && (NT_SUCCESS(status) || status == STATUS_WRONG_VOLUME) &&
        fs_volume_state(volume) != VOL_CHANGED)
        fs_complete(irp, STATUS_REPARSE, IO_REMOUNT);
    else if (!NT_SUCCESS(status))
        fs_raise(
            volume, irp, status,
            create ||
                !fs_is_silent(own->Parameters.FileSystemControl.FsControlCode));
    else if (create)
        fs_create(volume, irp);
    else
        fs_user_request(volume, irp);
}
