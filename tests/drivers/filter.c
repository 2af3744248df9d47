/*
 * filter.c - an upper filter that counts transfers and how many failed
 *
 * Written for Windows: it sees the WDK's headers and nothing else.  An example
 * of a driver for docs/drivers.md, and a subject of its tests.  Every request
 * holds the remove lock while it is below.
 *
 * SPDX-License-Identifier: MIT
 */
#include "filter.h"

#define FILTER_TAG 0x746c6946 /* "Filt" */

struct filter {
    PDEVICE_OBJECT lower;
    IO_REMOVE_LOCK lock;
    struct filter_counts counts; /* atomic */
};

static DRIVER_ADD_DEVICE filter_add_device;
static DRIVER_UNLOAD filter_unload;
static DRIVER_DISPATCH filter_pass, filter_transfer, filter_control, filter_pnp,
    filter_power;
static IO_COMPLETION_ROUTINE filter_transferred;

NTSTATUS NTAPI
filter_entry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    ULONG i;

    UNREFERENCED_PARAMETER(RegistryPath);
    for (i = 0; i <= IRP_MJ_MAXIMUM_FUNCTION; i++)
        DriverObject->MajorFunction[i] = filter_pass;
    DriverObject->MajorFunction[IRP_MJ_READ] = filter_transfer;
    DriverObject->MajorFunction[IRP_MJ_WRITE] = filter_transfer;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = filter_control;
    DriverObject->MajorFunction[IRP_MJ_PNP] = filter_pnp;
    DriverObject->MajorFunction[IRP_MJ_POWER] = filter_power;
    DriverObject->DriverExtension->AddDevice = filter_add_device;
    DriverObject->DriverUnload = filter_unload;
    return STATUS_SUCCESS;
}

static VOID NTAPI
filter_unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
}

static NTSTATUS NTAPI
filter_add_device(PDRIVER_OBJECT DriverObject,
                  PDEVICE_OBJECT PhysicalDeviceObject)
{
    struct filter *filter;
    PDEVICE_OBJECT device;
    NTSTATUS status;

    status =
        IoCreateDevice(DriverObject, sizeof *filter, NULL,
                       PhysicalDeviceObject->DeviceType, 0, FALSE, &device);
    if (!NT_SUCCESS(status))
        return status;
    filter = device->DeviceExtension;
    IoInitializeRemoveLock(&filter->lock, FILTER_TAG, 0, 0);
    filter->lower = IoAttachDeviceToDeviceStack(device, PhysicalDeviceObject);
    if (filter->lower == NULL) {
        IoDeleteDevice(device);
        return STATUS_NO_SUCH_DEVICE;
    }
    device->Flags |= filter->lower->Flags &
                     (DO_BUFFERED_IO | DO_DIRECT_IO | DO_POWER_PAGABLE);
    device->Flags &= ~(ULONG) DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

static NTSTATUS
finish(PIRP Irp, NTSTATUS status, ULONG_PTR information)
{
    Irp->IoStatus.Status = status;
    Irp->IoStatus.Information = information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return status;
}

static NTSTATUS NTAPI
filter_pass(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    struct filter *filter = DeviceObject->DeviceExtension;
    NTSTATUS status = IoAcquireRemoveLock(&filter->lock, Irp);

    if (!NT_SUCCESS(status))
        return finish(Irp, status, 0);
    IoSkipCurrentIrpStackLocation(Irp);
    status = IoCallDriver(filter->lower, Irp);
    IoReleaseRemoveLock(&filter->lock, Irp);
    return status;
}

/* --- transfers ------------------------------------------------------------ */

static NTSTATUS NTAPI
filter_transferred(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    struct filter *filter = Context;

    UNREFERENCED_PARAMETER(DeviceObject);
    if (!NT_SUCCESS(Irp->IoStatus.Status))
        InterlockedIncrement(&filter->counts.failed);
    if (Irp->PendingReturned)
        IoMarkIrpPending(Irp);
    IoReleaseRemoveLock(&filter->lock, Irp);
    return STATUS_CONTINUE_COMPLETION;
}

static NTSTATUS NTAPI
filter_transfer(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    struct filter *filter = DeviceObject->DeviceExtension;
    NTSTATUS status = IoAcquireRemoveLock(&filter->lock, Irp);

    if (!NT_SUCCESS(status))
        return finish(Irp, status, 0);
    if (IoGetCurrentIrpStackLocation(Irp)->MajorFunction == IRP_MJ_READ)
        InterlockedIncrement(&filter->counts.reads);
    else
        InterlockedIncrement(&filter->counts.writes);
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, filter_transferred, filter, TRUE, TRUE, TRUE);
    return IoCallDriver(filter->lower, Irp);
}

static NTSTATUS NTAPI
filter_control(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    struct filter *filter = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);

    if (location->Parameters.DeviceIoControl.IoControlCode !=
        IOCTL_FILTER_COUNTS)
        return filter_pass(DeviceObject, Irp);
    if (location->Parameters.DeviceIoControl.OutputBufferLength <
        sizeof filter->counts)
        return finish(Irp, STATUS_BUFFER_TOO_SMALL, sizeof filter->counts);
    RtlCopyMemory(Irp->AssociatedIrp.SystemBuffer, &filter->counts,
                  sizeof filter->counts);
    return finish(Irp, STATUS_SUCCESS, sizeof filter->counts);
}

/* --- coming and going ----------------------------------------------------- */

static NTSTATUS NTAPI
filter_pnp(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    struct filter *filter = DeviceObject->DeviceExtension;
    NTSTATUS status;

    if (IoGetCurrentIrpStackLocation(Irp)->MinorFunction !=
        IRP_MN_REMOVE_DEVICE)
        return filter_pass(DeviceObject, Irp);
    status = IoAcquireRemoveLock(&filter->lock, Irp);
    if (!NT_SUCCESS(status))
        return finish(Irp, status, 0);
    IoReleaseRemoveLockAndWait(&filter->lock, Irp);
    IoSkipCurrentIrpStackLocation(Irp);
    status = IoCallDriver(filter->lower, Irp);
    IoDetachDevice(filter->lower);
    IoDeleteDevice(DeviceObject);
    return status;
}

static NTSTATUS NTAPI
filter_power(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    struct filter *filter = DeviceObject->DeviceExtension;
    NTSTATUS status = IoAcquireRemoveLock(&filter->lock, Irp);

    PoStartNextPowerIrp(Irp);
    if (!NT_SUCCESS(status))
        return finish(Irp, status, 0);
    IoSkipCurrentIrpStackLocation(Irp);
    status = PoCallDriver(filter->lower, Irp);
    IoReleaseRemoveLock(&filter->lock, Irp);
    return status;
}
