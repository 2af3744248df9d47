/*
 * handle.c - open files: the volume has one, itself
 *
 * A create asks a removable drive whether its medium was changed, as CDFS does,
 * for an open is the moment to notice it.  What it finds is settled by the
 * top-level pattern (toplevel.c).
 *
 * Context: PASSIVE_LEVEL.  handles and locked_by are under volume.lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

#include "base/trace.h"

void
fs_set_verify(struct volume *volume)
{
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    if (volume->vpb->RealDevice->Vpb == volume->vpb)
        InterlockedOr((LONG volatile *) &volume->vpb->RealDevice->Flags,
                      DO_VERIFY_VOLUME);
    IoReleaseVpbSpinLock(irql);
}

static BOOLEAN
must_verify(PDEVICE_OBJECT real)
{
    return (__atomic_load_n(&real->Flags, __ATOMIC_ACQUIRE) &
            DO_VERIFY_VOLUME) != 0;
}

/* A success with another count is a change, too: somebody else was told. */
static NTSTATUS
ask_drive(struct volume *volume, PDEVICE_OBJECT target, ULONG known,
          enum vol_state state)
{
    ULONG count = 0;
    NTSTATUS status = fs_check_verify(target, &count);

    if (NT_SUCCESS(status) && count == known && state == VOL_MOUNTED)
        return STATUS_SUCCESS;
    /* CDFS does so for a drive that is empty, or not ready. */
    if (!NT_SUCCESS(status) && fs_outcome(status)->fate != FS_FATE_VERIFY &&
        fs_outcome(status)->fate != FS_FATE_AWAY)
        return status;
    fs_set_verify(volume);
    return STATUS_VERIFY_REQUIRED;
}

static NTSTATUS
check_in(struct volume *volume, const struct fs_place *place, BOOLEAN ask,
         BOOLEAN absolute)
{
    PDEVICE_OBJECT real = place->drive.real;
    enum vol_state state = place->state;
    NTSTATUS gone, reason;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    gone = volume->gone;
    reason = volume->reason;
    KeReleaseSpinLock(&volume->lock, irql);
    if (gone != STATUS_SUCCESS)
        return gone;
    if (!fs_on_device(volume))
        return absolute ? STATUS_VERIFY_REQUIRED : STATUS_WRONG_VOLUME;
    if (must_verify(real) || state == VOL_VERIFYING || state == VOL_EJECTING ||
        state == VOL_REPLAYING)
        return STATUS_VERIFY_REQUIRED;
    if (state == VOL_CHANGED)
        return reason;
    if (ask && (real->Characteristics & FILE_REMOVABLE_MEDIA) != 0)
        return ask_drive(volume, place->drive.target, place->count, state);
    return state == VOL_MOUNTED ? STATUS_SUCCESS : reason;
}

NTSTATUS
fs_check_volume(struct volume *volume, BOOLEAN ask, BOOLEAN absolute)
{
    struct fs_place place;
    NTSTATUS status;

    fs_place_take(volume, &place);
    status = check_in(volume, &place, ask, absolute);
    fs_place_let(&place);
    return status;
}

/* The volume's one file is called "" or "\\". */
static BOOLEAN
is_our_name(PFILE_OBJECT file)
{
    PUNICODE_STRING name = &file->FileName;

    return name->Length == 0 ||
           (name->Length == sizeof(WCHAR) && name->Buffer[0] == L'\\');
}

static NTSTATUS
open_handle(struct volume *volume, PFILE_OBJECT file)
{
    NTSTATUS status = STATUS_SUCCESS;
    ULONG_PTR uses;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    if (volume->gone != STATUS_SUCCESS)
        status = volume->gone;
    else if (volume->locked_by != NULL)
        status = STATUS_ACCESS_DENIED;
    else
        volume->handles++;
    uses = volume->uses;
    KeReleaseSpinLock(&volume->lock, irql);
    if (NT_SUCCESS(status)) {
        file->FsContext = volume;
        file->FsContext2 = (PVOID) (uses << FS_HANDLE_USES);
        fs_sight_soon(volume);
    }
    return status;
}

/*
 * IRP_MJ_CREATE of a volume device.  STATUS_SUCCESS; STATUS_REPARSE /
 * IO_REMOUNT after a verification, of an absolute open;
 * STATUS_OBJECT_NAME_NOT_FOUND; STATUS_ACCESS_DENIED while locked;
 * STATUS_VOLUME_DISMOUNTED, _FILE_INVALID; what the drive or a person said.
 */
NTSTATUS
fs_create(struct volume *volume, PIRP irp)
{
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(irp)->FileObject;
    BOOLEAN absolute = file->RelatedFileObject == NULL;
    NTSTATUS status = fs_check_volume(volume, TRUE, absolute);

    if (status == STATUS_VERIFY_REQUIRED || IoIsErrorUserInduced(status))
        return fs_raise(volume, irp, status, TRUE);
    if (NT_SUCCESS(status))
        status = is_our_name(file) ? open_handle(volume, file)
                                   : STATUS_OBJECT_NAME_NOT_FOUND;
    return fs_complete(irp, status, NT_SUCCESS(status) ? FILE_OPENED : 0);
}

/* With the lock held. */
static void
let_go_locked(struct volume *volume)
{
    if (--volume->handles == 0)
        __atomic_store_n(&volume->begun, FALSE, __ATOMIC_RELAXED);
}

static void
unlock_vpb(struct volume *volume)
{
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    volume->vpb->Flags &= (USHORT) ~(VPB_LOCKED | VPB_DIRECT_WRITES_ALLOWED);
    IoReleaseVpbSpinLock(irql);
}

NTSTATUS
fs_cleanup(struct volume *volume, PIRP irp)
{
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(irp)->FileObject;
    BOOLEAN unlock = FALSE;
    KIRQL irql;

    if (file != NULL && file->FsContext == volume) {
        KeAcquireSpinLock(&volume->lock, &irql);
        let_go_locked(volume);
        unlock = volume->locked_by == file;
        if (unlock)
            volume->locked_by = NULL;
        KeReleaseSpinLock(&volume->lock, irql);
        file->FsContext = NULL;
    }
    if (unlock)
        unlock_vpb(volume);
    return fs_complete(irp, STATUS_SUCCESS, 0);
}

ULONG_PTR NTAPI
fs_handle_flags(struct volume *volume, PFILE_OBJECT file)
{
    return file != NULL && file->FsContext == volume
               ? (ULONG_PTR) file->FsContext2
               : 0;
}

BOOLEAN
fs_volume_pin(struct volume *volume, BOOLEAN pin)
{
    BOOLEAN ok;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    ok = !pin || volume->locked_by == NULL;
    if (ok && pin)
        volume->handles++;
    else if (ok)
        let_go_locked(volume);
    KeReleaseSpinLock(&volume->lock, irql);
    if (ok && pin)
        fs_sight_soon(volume);
    return ok;
}
