/*
 * bus.c - the root of the bus driver under test: one PDO with a name and an
 *         identity, which says yes to everything it is told
 *
 * SPDX-License-Identifier: MIT
 */
#include "bus.h"

static NTSTATUS
query_id(PIRP irp, BUS_QUERY_ID_TYPE type)
{
    static const WCHAR device[] = L"ROOT\\WINETEST", instance[] = L"0";
    const WCHAR *text = type == BusQueryDeviceID ? device : instance;
    SIZE_T size = type == BusQueryDeviceID ? sizeof device : sizeof instance;
    PVOID copy;

    if (type != BusQueryDeviceID && type != BusQueryInstanceID)
        return irp->IoStatus.Status;
    copy = ExAllocatePoolWithTag(PagedPool, size, 0x53554257);
    if (copy == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlCopyMemory(copy, text, size);
    irp->IoStatus.Information = (ULONG_PTR) copy;
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI
pnp(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    NTSTATUS status = irp->IoStatus.Status;

    switch (stack->MinorFunction) {
    case IRP_MN_START_DEVICE:
    case IRP_MN_QUERY_REMOVE_DEVICE:
    case IRP_MN_REMOVE_DEVICE:
        status = STATUS_SUCCESS;
        break;
    case IRP_MN_QUERY_ID:
        status = query_id(irp, stack->Parameters.QueryId.IdType);
        break;
    default:
        break;
    }
    irp->IoStatus.Status = status;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static VOID NTAPI
unload(PDRIVER_OBJECT driver)
{
    IoDeleteDevice(driver->DeviceObject);
}

NTSTATUS NTAPI
bus_entry(PDRIVER_OBJECT driver, PUNICODE_STRING registry)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\WineTestRoot");
    PDEVICE_OBJECT device;
    NTSTATUS status;

    driver->DriverUnload = unload;
    driver->MajorFunction[IRP_MJ_PNP] = pnp;
    status = IoCreateDevice(driver, 0, &name, FILE_DEVICE_UNKNOWN, 0, FALSE,
                            &device);
    if (NT_SUCCESS(status))
        device->Flags &= ~(ULONG) DO_DEVICE_INITIALIZING;
    return status;
}
