/*
 * mcn.c - media change notification switched off and on, and the documented
 *         routines for drivers
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

/* --- switched off and on by callers --------------------------------------- */

static void
disable(class_device *dev)
{
    KIRQL irql;

    KeAcquireSpinLock(&dev->mcd.lock, &irql);
    dev->mcd.disable_count++;
    KeReleaseSpinLock(&dev->mcd.lock, irql);
}

/* What happened meanwhile is not told: the next poll finds the state anew. */
static void
enable(class_device *dev)
{
    struct class_mcd *mcd = &dev->mcd;
    BOOLEAN look = FALSE;
    KIRQL irql;

    KeAcquireSpinLock(&mcd->lock, &irql);
    if (mcd->disable_count > 0 && --mcd->disable_count == 0) {
        mcd->state = MediaUnknown;
        mcd->countdown_s = mcd->interval_s = MEDIA_CHANGE_DEFAULT_TIME;
        look = TRUE;
    }
    KeReleaseSpinLock(&mcd->lock, irql);
    if (look)
        class_poll_soon(dev);
}

/* The count of a handle, or of all callers in the kernel without one. */
static PLONG
caller_count(class_device *dev, PIRP irp)
{
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(irp)->FileObject;
    struct class_handle *handle;

    if (file == NULL)
        return irp->RequestorMode == KernelMode ? &dev->mcd.kernel_count : NULL;
    handle = class_handle_find(dev, file);
    return handle != NULL ? &handle->mcn_count : NULL;
}

NTSTATUS NTAPI
class_mcn_control(class_device *dev, PIRP irp)
{
    PPREVENT_MEDIA_REMOVAL in = irp->AssociatedIrp.SystemBuffer;
    PLONG count = caller_count(dev, irp);
    NTSTATUS status = STATUS_SUCCESS;
    KIRQL irql;

    if (count == NULL)
        return class_complete(dev, irp, STATUS_INVALID_PARAMETER, 0);
    KeAcquireSpinLock(&dev->handle_lock, &irql);
    if (in->PreventMediaRemoval)
        ++*count;
    else if (*count == 0)
        status = STATUS_INVALID_DEVICE_STATE;
    else
        --*count;
    KeReleaseSpinLock(&dev->handle_lock, irql);
    if (NT_SUCCESS(status) && in->PreventMediaRemoval)
        disable(dev);
    else if (NT_SUCCESS(status))
        enable(dev);
    return class_complete(dev, irp, status, 0);
}

/* --- documented routines -------------------------------------------------- */

/* The library starts detection for every removable drive by itself, by event,
 * GESN or test unit ready as the drive allows: these two only promise it. */
VOID NTAPI
ClassInitializeMediaChangeDetection(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension,
                                    PUCHAR EventPrefix)
{
    FdoExtension->MediaChangeDetectionInfo =
        (PVOID) &FdoExtension->PrivateFdoData->mcd;
}

NTSTATUS NTAPI
ClassInitializeTestUnitPolling(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension,
                               BOOLEAN AllowDriveToSleep)
{
    ClassInitializeMediaChangeDetection(FdoExtension, NULL);
    return STATUS_SUCCESS;
}

VOID NTAPI
ClassEnableMediaChangeDetection(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension)
{
    enable(FdoExtension->PrivateFdoData);
}

VOID NTAPI
ClassDisableMediaChangeDetection(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension)
{
    disable(FdoExtension->PrivateFdoData);
}

VOID NTAPI
ClassCleanupMediaChangeDetection(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension)
{
    class_mcd_stop(FdoExtension->PrivateFdoData);
}

VOID NTAPI
ClassResetMediaChangeTimer(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension)
{
    class_device *dev = FdoExtension->PrivateFdoData;
    KIRQL irql;

    KeAcquireSpinLock(&dev->mcd.lock, &irql);
    dev->mcd.countdown_s = dev->mcd.interval_s;
    KeReleaseSpinLock(&dev->mcd.lock, irql);
}

VOID NTAPI
ClassSetMediaChangeState(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension,
                         MEDIA_CHANGE_DETECTION_STATE State, BOOLEAN Wait)
{
    class_set_state(FdoExtension->PrivateFdoData, State, FALSE, FALSE);
}

VOID NTAPI
ClassCheckMediaState(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension)
{
    class_poll_soon(FdoExtension->PrivateFdoData);
}
