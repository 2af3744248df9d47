/*
 * drive.c - a drive C: that takes any file: some tests want a file to have
 *           handles of
 *
 * SPDX-License-Identifier: MIT
 */
#include "drive.h"

#include "io/io.h"

static UNICODE_STRING link_name = RTL_CONSTANT_STRING(L"\\??\\C:");

static NTSTATUS NTAPI
succeed(PDEVICE_OBJECT device, PIRP irp)
{
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static VOID NTAPI
unload(PDRIVER_OBJECT driver)
{
    IoDeleteSymbolicLink(&link_name);
    IoDeleteDevice(driver->DeviceObject);
}

NTSTATUS NTAPI
drive_entry(PDRIVER_OBJECT driver, PUNICODE_STRING registry)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\WineTestDrive");
    PDEVICE_OBJECT device;
    NTSTATUS status;

    driver->DriverUnload = unload;
    driver->MajorFunction[IRP_MJ_CREATE] = succeed;
    driver->MajorFunction[IRP_MJ_CLEANUP] = succeed;
    driver->MajorFunction[IRP_MJ_CLOSE] = succeed;
    status = IoCreateDevice(driver, 0, &name, FILE_DEVICE_UNKNOWN, 0, FALSE,
                            &device);
    if (!NT_SUCCESS(status))
        return status;
    device->Flags &= ~(ULONG) DO_DEVICE_INITIALIZING;
    status = IoCreateSymbolicLink(&link_name, &name);
    if (!NT_SUCCESS(status))
        IoDeleteDevice(device);
    return status;
}
