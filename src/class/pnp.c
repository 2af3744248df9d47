/*
 * pnp.c - a device's life: start, stop, removal
 *
 * PASSIVE.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

#include "base/trace.h"

#define FIRST_LOOKS 8 /* unit attentions to take at the start */

/* --- start ---------------------------------------------------------------- */

static void
free_descriptors(PFUNCTIONAL_DEVICE_EXTENSION ext)
{
    if (ext->DeviceDescriptor != NULL)
        ExFreePool(ext->DeviceDescriptor);
    if (ext->AdapterDescriptor != NULL)
        ExFreePool(ext->AdapterDescriptor);
    ext->DeviceDescriptor = NULL;
    ext->AdapterDescriptor = NULL;
}

static NTSTATUS
get_descriptors(PFUNCTIONAL_DEVICE_EXTENSION ext, PDEVICE_OBJECT lower)
{
    STORAGE_PROPERTY_ID adapter = StorageAdapterProperty;
    STORAGE_PROPERTY_ID device = StorageDeviceProperty;
    NTSTATUS status;

    free_descriptors(ext); /* of a start that failed */
    status = ClassGetDescriptor(
        lower, &adapter,
        (PSTORAGE_DESCRIPTOR_HEADER *) &ext->AdapterDescriptor);
    if (!NT_SUCCESS(status))
        return status;
    return ClassGetDescriptor(
        lower, &device, (PSTORAGE_DESCRIPTOR_HEADER *) &ext->DeviceDescriptor);
}

static void
use_descriptors(class_device *dev)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = dev->ext;

    class_take_adapter(dev, ext->AdapterDescriptor);
    /* Linux asks the disks that it has; a target's are asked by nobody else. */
    dev->asks_device =
        ext->AdapterDescriptor->BusType == BusTypeiScsi && !dev->read_only_type;
    dev->removable = ext->DeviceDescriptor->RemovableMedia != 0;
    if (dev->removable)
        dev->fdo->Characteristics |= FILE_REMOVABLE_MEDIA;
    dev->fdo->AlignmentRequirement |= ext->AdapterDescriptor->AlignmentMask;
    if (ext->DeviceDescriptor->CommandQueueing &&
        ext->AdapterDescriptor->CommandQueueing)
        ext->SrbFlags |=
            SRB_FLAGS_QUEUE_ACTION_ENABLE | SRB_FLAGS_NO_QUEUE_FREEZE;
}

/*
 * Takes the unit attentions that a drive has for whoever is new to it, and
 * with them its attention number.  They are no media changes: the count is 0
 * after this.
 */
static NTSTATUS
first_look(class_device *dev)
{
    NTSTATUS status = STATUS_IO_DEVICE_ERROR;

    for (int i = 0; i < FIRST_LOOKS && status == STATUS_IO_DEVICE_ERROR; i++)
        status = class_test_unit_ready(dev);
    if (NT_SUCCESS(status))
        class_set_state(dev, MediaPresent, FALSE, FALSE);
    __atomic_store_n(&dev->ext->MediaChangeCount, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&dev->due, 0, __ATOMIC_RELEASE);
    TRACE(TRACE_PNP, "dev=%p first test unit ready: %08x", (void *) dev->fdo,
          (ULONG) status);
    return status == STATUS_INSUFFICIENT_RESOURCES ? status : STATUS_SUCCESS;
}

static NTSTATUS
first_start(PDEVICE_OBJECT fdo)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = class_ext(fdo);
    PCLASS_DEV_INFO info = ext->CommonExtension.DevInfo;
    class_device *dev = class_dev(fdo);
    NTSTATUS status;

    dev->lower = ext->CommonExtension.LowerDeviceObject;
    if (ext->LowerPdo == NULL)
        ext->LowerPdo = dev->lower;
    status = get_descriptors(ext, dev->lower);
    if (!NT_SUCCESS(status))
        return status;
    if (ext->ReleaseQueueIrp == NULL)
        ext->ReleaseQueueIrp = IoAllocateIrp(dev->lower->StackSize, FALSE);
    if (ext->ReleaseQueueIrp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    use_descriptors(dev);
    status = first_look(dev);
    if (NT_SUCCESS(status) && info->ClassInitDevice != NULL)
        status = info->ClassInitDevice(fdo);
    if (NT_SUCCESS(status))
        ext->CommonExtension.IsInitialized = TRUE;
    return status;
}

static NTSTATUS
start(PDEVICE_OBJECT fdo, PIRP irp)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = class_ext(fdo);
    PCLASS_DEV_INFO info = ext->CommonExtension.DevInfo;
    NTSTATUS status = ClassForwardIrpSynchronous(&ext->CommonExtension, irp);

    if (NT_SUCCESS(status) && !ext->CommonExtension.IsInitialized)
        status = first_start(fdo);
    if (NT_SUCCESS(status))
        class_read_parameters(class_dev(fdo));
    if (NT_SUCCESS(status) && info->ClassStartDevice != NULL)
        status = info->ClassStartDevice(fdo);
    if (NT_SUCCESS(status))
        status = class_mcd_start(class_dev(fdo));
    if (NT_SUCCESS(status))
        ext->CommonExtension.CurrentState = IRP_MN_START_DEVICE;
    return class_complete(class_dev(fdo), irp, status, 0);
}

/* --- stop, removal -------------------------------------------------------- */

static NTSTATUS
pass_down(PDEVICE_OBJECT fdo, PIRP irp)
{
    PDEVICE_OBJECT lower = class_dev(fdo)->lower;

    IoSkipCurrentIrpStackLocation(irp);
    ClassReleaseRemoveLock(fdo, irp);
    return IoCallDriver(lower, irp);
}

static NTSTATUS
stop(PDEVICE_OBJECT fdo, PIRP irp)
{
    PCLASS_DEV_INFO info = class_ext(fdo)->CommonExtension.DevInfo;

    class_mcd_stop(class_dev(fdo));
    if (info->ClassStopDevice != NULL)
        (void) info->ClassStopDevice(fdo, IRP_MN_STOP_DEVICE);
    class_ext(fdo)->CommonExtension.CurrentState = IRP_MN_STOP_DEVICE;
    irp->IoStatus.Status = STATUS_SUCCESS;
    return pass_down(fdo, irp);
}

/* From here on requests are refused and waiting ones end. */
static void
begin_removal(class_device *dev)
{
    __atomic_store_n(&dev->ext->CommonExtension.IsRemoved, REMOVE_PENDING,
                     __ATOMIC_RELEASE);
    class_wake_waiting(dev, WAKE_CANCEL);
    class_predict_stop(dev);
    class_mcd_stop(dev);
}

static void
free_device(PDEVICE_OBJECT fdo)
{
    class_device *dev = class_dev(fdo);

    while (!IsListEmpty(&dev->handles))
        ExFreePoolWithTag(CONTAINING_RECORD(RemoveHeadList(&dev->handles),
                                            struct class_handle, entry),
                          CLASS_TAG);
    free_descriptors(class_ext(fdo));
    if (class_ext(fdo)->ReleaseQueueIrp != NULL)
        IoFreeIrp(class_ext(fdo)->ReleaseQueueIrp);
}

static NTSTATUS
remove_device(PDEVICE_OBJECT fdo, PIRP irp)
{
    PCOMMON_DEVICE_EXTENSION common = fdo->DeviceExtension;
    class_device *dev = class_dev(fdo);
    PDEVICE_OBJECT lower = dev->lower;
    NTSTATUS status;

    begin_removal(dev);
    ClassReleaseRemoveLock(fdo, irp);
    ClassReleaseRemoveLock(fdo, irp); /* the one of its life */
    (void) KeWaitForSingleObject(&common->RemoveEvent, Executive, KernelMode,
                                 FALSE, NULL);
    __atomic_store_n(&common->IsRemoved, REMOVE_COMPLETE, __ATOMIC_RELEASE);
    if (common->DevInfo->ClassRemoveDevice != NULL)
        (void) common->DevInfo->ClassRemoveDevice(fdo, IRP_MN_REMOVE_DEVICE);
    irp->IoStatus.Status = STATUS_SUCCESS;
    IoSkipCurrentIrpStackLocation(irp);
    status = IoCallDriver(lower, irp);
    IoDetachDevice(lower);
    free_device(fdo);
    IoDeleteDevice(fdo);
    return status;
}

static NTSTATUS
surprise(PDEVICE_OBJECT fdo, PIRP irp)
{
    PCLASS_DEV_INFO info = class_ext(fdo)->CommonExtension.DevInfo;

    begin_removal(class_dev(fdo));
    if (info->ClassRemoveDevice != NULL)
        (void) info->ClassRemoveDevice(fdo, IRP_MN_SURPRISE_REMOVAL);
    irp->IoStatus.Status = STATUS_SUCCESS;
    return pass_down(fdo, irp);
}

/* --- the rest ------------------------------------------------------------- */

static NTSTATUS
usage(PDEVICE_OBJECT fdo, PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    PFUNCTIONAL_DEVICE_EXTENSION ext = class_ext(fdo);
    BOOLEAN in = at->Parameters.UsageNotification.InPath;
    NTSTATUS status = STATUS_SUCCESS;

    if (at->Parameters.UsageNotification.Type != DeviceUsageTypePaging)
        return pass_down(fdo, irp);
    status = ClassForwardIrpSynchronous(&ext->CommonExtension, irp);
    if (NT_SUCCESS(status) && in)
        InterlockedIncrement(
            (LONG volatile *) &ext->CommonExtension.PagingPathCount);
    else if (NT_SUCCESS(status))
        InterlockedDecrement(
            (LONG volatile *) &ext->CommonExtension.PagingPathCount);
    return class_complete(class_dev(fdo), irp, status, 0);
}

/* A device that pages is not let go. */
static NTSTATUS
query_remove(PDEVICE_OBJECT fdo, PIRP irp)
{
    if (class_ext(fdo)->CommonExtension.PagingPathCount != 0)
        return class_complete(class_dev(fdo), irp, STATUS_DEVICE_BUSY, 0);
    irp->IoStatus.Status = STATUS_SUCCESS;
    return pass_down(fdo, irp);
}

static NTSTATUS
cancel(PDEVICE_OBJECT fdo, PIRP irp)
{
    irp->IoStatus.Status = STATUS_SUCCESS;
    return pass_down(fdo, irp);
}

static const struct {
    UCHAR minor;
    NTSTATUS (*handler)(PDEVICE_OBJECT fdo, PIRP irp);
} minors[] = {
    { IRP_MN_START_DEVICE, start },
    { IRP_MN_STOP_DEVICE, stop },
    { IRP_MN_QUERY_STOP_DEVICE, query_remove },
    { IRP_MN_CANCEL_STOP_DEVICE, cancel },
    { IRP_MN_QUERY_REMOVE_DEVICE, query_remove },
    { IRP_MN_CANCEL_REMOVE_DEVICE, cancel },
    { IRP_MN_REMOVE_DEVICE, remove_device },
    { IRP_MN_SURPRISE_REMOVAL, surprise },
    { IRP_MN_DEVICE_USAGE_NOTIFICATION, usage },
};

NTSTATUS NTAPI
class_pnp(PDEVICE_OBJECT fdo, PIRP irp)
{
    UCHAR minor = IoGetCurrentIrpStackLocation(irp)->MinorFunction;

    (void) ClassAcquireRemoveLock(fdo, irp);
    for (size_t i = 0; i < RTL_NUMBER_OF(minors); i++)
        if (minors[i].minor == minor)
            return minors[i].handler(fdo, irp);
    return pass_down(fdo, irp);
}
