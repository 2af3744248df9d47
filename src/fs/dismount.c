/*
 * dismount.c - the end of a volume
 *
 * What it lacks goes to the keeper, its requests get a status for good, and its
 * drive an empty VPB, so that whatever is in there is mounted anew.
 *
 * Context: PASSIVE_LEVEL.  Takes fs.mount_mutex, the VPB lock and the volume's
 * lock, one at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

/* Under the mutex: no mount finds it any more. */
static BOOLEAN
mark_gone(struct volume *volume, NTSTATUS status)
{
    BOOLEAN first;
    KIRQL irql;

    KeWaitForSingleObject(&fs.mount_mutex, Executive, KernelMode, FALSE, NULL);
    KeAcquireSpinLock(&volume->lock, &irql);
    first = volume->gone == STATUS_SUCCESS;
    if (first)
        __atomic_store_n(&volume->gone, status, __ATOMIC_RELEASE);
    volume->locked_by = NULL;
    KeReleaseSpinLock(&volume->lock, irql);
    KeReleaseMutex(&fs.mount_mutex, FALSE);
    return first;
}

NTSTATUS
fs_dismount(struct volume *volume, NTSTATUS status)
{
    PVPB spare = fs_new_vpb(NULL);
    PDEVICE_OBJECT real;
    KIRQL irql;

    if (spare == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    /* What cannot be flushed goes to the keeper below. */
    (void) fs_flush_log(volume);
    if (!mark_gone(volume, status)) {
        ExFreePool(spare);
        return volume->gone;
    }
    KeCancelTimer(&volume->refresh_timer);
    fs_unflushed_stop(volume);
    IoAcquireVpbSpinLock(&irql);
    real = spare->RealDevice = volume->vpb->RealDevice;
    volume->vpb->Flags &=
        (USHORT) ~(VPB_MOUNTED | VPB_LOCKED | VPB_DIRECT_WRITES_ALLOWED);
    if (real->Vpb == volume->vpb) {
        spare->Flags = volume->vpb->Flags & VPB_REMOVE_PENDING;
        real->Vpb = spare;
        spare = NULL;
    }
    IoReleaseVpbSpinLock(irql);
    if (spare != NULL)
        ExFreePool(spare);
    while (!fs_volume_change(volume, fs_volume_generation(volume),
                             VOL_DISMOUNTED, status))
        ;
    fs_give_up(volume, status);
    return STATUS_SUCCESS;
}
