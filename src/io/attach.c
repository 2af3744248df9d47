/*
 * attach.c - stacks of devices: attached, detached, walked
 *
 * Lock: io_device_lock (io_internal.h).  A device holds a reference to the one
 * below it while it is attached.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

static PDEVICE_OBJECT
top_locked(PDEVICE_OBJECT device)
{
    while (device->AttachedDevice != NULL)
        device = device->AttachedDevice;
    return device;
}

/* The target must be there already and not be going away.  *attached_to is set
 * before a request can come from above. */
static NTSTATUS
attach(PDEVICE_OBJECT source, PDEVICE_OBJECT target,
       PDEVICE_OBJECT *attached_to)
{
    PDEVICE_OBJECT below;
    KIRQL irql;

    KeAcquireSpinLock(&io_device_lock, &irql);
    below = top_locked(target);
    if (io_devext(below)->delete_pending || io_devext(below)->removed ||
        (io_device_flags(below) & DO_DEVICE_INITIALIZING)) {
        below = NULL;
    } else {
        ObReferenceObject(below);
        *attached_to = below;
        io_devext(source)->attached_to = below;
        source->StackSize = (CCHAR) (below->StackSize + 1);
        source->AlignmentRequirement = below->AlignmentRequirement;
        source->SectorSize = below->SectorSize;
        below->AttachedDevice = source;
    }
    KeReleaseSpinLock(&io_device_lock, irql);
    if (below != NULL)
        return STATUS_SUCCESS;
    TRACE(TRACE_PNP, "dev=%p cannot attach: target=%p initialising or gone",
          (void *) source, (void *) target);
    return STATUS_NO_SUCH_DEVICE;
}

/* NULL: the target is going away, or is not ready yet. */
PDEVICE_OBJECT NTAPI
IoAttachDeviceToDeviceStack(PDEVICE_OBJECT SourceDevice,
                            PDEVICE_OBJECT TargetDevice)
{
    PDEVICE_OBJECT below = NULL;

    KE_IRQL(IoAttachDeviceToDeviceStack);
    (void) attach(SourceDevice, TargetDevice, &below);
    return below;
}

NTSTATUS NTAPI
IoAttachDeviceToDeviceStackSafe(PDEVICE_OBJECT SourceDevice,
                                PDEVICE_OBJECT TargetDevice,
                                PDEVICE_OBJECT *AttachedToDeviceObject)
{
    return attach(SourceDevice, TargetDevice, AttachedToDeviceObject);
}

/* The target is opened meanwhile, for its attributes only, so that nothing is
 * mounted. */
NTSTATUS NTAPI
IoAttachDevice(PDEVICE_OBJECT SourceDevice, PUNICODE_STRING TargetDevice,
               PDEVICE_OBJECT *AttachedDevice)
{
    PDEVICE_OBJECT target;
    PFILE_OBJECT file;
    NTSTATUS status;

    if (SourceDevice == NULL || TargetDevice == NULL || AttachedDevice == NULL)
        return STATUS_INVALID_PARAMETER;
    status = IoGetDeviceObjectPointer(TargetDevice, FILE_READ_ATTRIBUTES, &file,
                                      &target);
    if (!NT_SUCCESS(status))
        return status;
    status = attach(SourceDevice, target, AttachedDevice);
    ObDereferenceObject(file);
    return status;
}

VOID NTAPI
IoDetachDevice(PDEVICE_OBJECT TargetDevice)
{
    PDEVICE_OBJECT above;
    KIRQL irql;

    KeAcquireSpinLock(&io_device_lock, &irql);
    above = TargetDevice->AttachedDevice;
    TargetDevice->AttachedDevice = NULL;
    if (above != NULL)
        io_devext(above)->attached_to = NULL;
    KeReleaseSpinLock(&io_device_lock, irql);
    if (above != NULL)
        ObDereferenceObject(TargetDevice);
}

PDEVICE_OBJECT NTAPI
IoGetAttachedDevice(PDEVICE_OBJECT DeviceObject)
{
    PDEVICE_OBJECT top;
    KIRQL irql;

    KeAcquireSpinLock(&io_device_lock, &irql);
    top = top_locked(DeviceObject);
    KeReleaseSpinLock(&io_device_lock, irql);
    return top;
}

PDEVICE_OBJECT NTAPI
IoGetAttachedDeviceReference(PDEVICE_OBJECT DeviceObject)
{
    PDEVICE_OBJECT top;
    KIRQL irql;

    KeAcquireSpinLock(&io_device_lock, &irql);
    top = top_locked(DeviceObject);
    ObReferenceObject(top);
    KeReleaseSpinLock(&io_device_lock, irql);
    return top;
}

PDEVICE_OBJECT
io_lowest_device(PDEVICE_OBJECT device)
{
    KIRQL irql;

    KeAcquireSpinLock(&io_device_lock, &irql);
    while (io_devext(device)->attached_to != NULL)
        device = io_devext(device)->attached_to;
    ObReferenceObject(device);
    KeReleaseSpinLock(&io_device_lock, irql);
    return device;
}

PDEVICE_OBJECT NTAPI
IoGetDeviceAttachmentBaseRef(PDEVICE_OBJECT DeviceObject)
{
    return io_lowest_device(DeviceObject);
}

PDEVICE_OBJECT NTAPI
IoGetLowerDeviceObject(PDEVICE_OBJECT DeviceObject)
{
    PDEVICE_OBJECT below = NULL;
    KIRQL irql;

    KeAcquireSpinLock(&io_device_lock, &irql);
    if (!io_devext(DeviceObject)->delete_pending)
        below = io_devext(DeviceObject)->attached_to;
    if (below != NULL)
        ObReferenceObject(below);
    KeReleaseSpinLock(&io_device_lock, irql);
    return below;
}

/* Of a file system's volume: the storage device that it is mounted on. */
NTSTATUS NTAPI
IoGetDiskDeviceObject(PDEVICE_OBJECT FileSystemDeviceObject,
                      PDEVICE_OBJECT *DiskDeviceObject)
{
    NTSTATUS status = STATUS_VOLUME_DISMOUNTED;
    PDEVICE_OBJECT real;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    real = io_devext(FileSystemDeviceObject)->volume_of;
    if (FileSystemDeviceObject->Vpb != NULL || real == NULL) {
        status = STATUS_INVALID_PARAMETER;
    } else if (real->Vpb != NULL && (real->Vpb->Flags & VPB_MOUNTED) &&
               real->Vpb->DeviceObject == FileSystemDeviceObject) {
        ObReferenceObject(real);
        *DiskDeviceObject = real;
        status = STATUS_SUCCESS;
    }
    IoReleaseVpbSpinLock(irql);
    return status;
}
