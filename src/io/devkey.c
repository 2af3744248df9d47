/*
 * devkey.c - the keys of devices in the registry
 *
 * A device is known by what its bus driver says: device and instance ID.
 * PASSIVE.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include "cm/cm.h"

#include <stdio.h>

#define ID_MAX 256

/* IRP_MN_QUERY_ID; characters beyond a byte do not occur in an ID. */
static NTSTATUS
query_id(PDEVICE_OBJECT pdo, BUS_QUERY_ID_TYPE type, char *out_id)
{
    struct io_sync sync;
    PIRP irp = io_sync_irp(pdo, &sync);
    PIO_STACK_LOCATION next;
    ULONG_PTR information = 0;
    NTSTATUS status;
    PWSTR id;
    size_t n = 0;

    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    irp->IoStatus.Status = STATUS_NOT_SUPPORTED;
    next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = IRP_MJ_PNP;
    next->MinorFunction = IRP_MN_QUERY_ID;
    next->Parameters.QueryId.IdType = type;
    status = io_sync_call(pdo, irp, &sync, &information);
    id = (PWSTR) information;
    if (!NT_SUCCESS(status) || id == NULL)
        return STATUS_INVALID_DEVICE_REQUEST;
    for (; n < ID_MAX - 1 && id[n] != 0; n++)
        out_id[n] = (char) id[n];
    out_id[n] = '\0';
    ExFreePool(id);
    return STATUS_SUCCESS;
}

/* The hardware profile is not looked at: there is one.  A device that is not
 * the lowest of its stack, or has no IDs: STATUS_INVALID_DEVICE_REQUEST. */
NTSTATUS NTAPI
IoOpenDeviceRegistryKey(PDEVICE_OBJECT DeviceObject, ULONG DevInstKeyType,
                        ACCESS_MASK DesiredAccess, PHANDLE DeviceRegKey)
{
    ULONG kind = DevInstKeyType & ~(ULONG) PLUGPLAY_REGKEY_CURRENT_HWPROFILE;
    char device[ID_MAX], instance[ID_MAX], path[3 * ID_MAX];
    PDEVICE_OBJECT lowest;
    NTSTATUS status;

    if (DeviceObject == NULL || DeviceRegKey == NULL ||
        (kind != PLUGPLAY_REGKEY_DEVICE && kind != PLUGPLAY_REGKEY_DRIVER))
        return STATUS_INVALID_PARAMETER;
    lowest = io_lowest_device(DeviceObject);
    ObDereferenceObject(lowest);
    if (lowest != DeviceObject)
        return STATUS_INVALID_DEVICE_REQUEST;
    status = query_id(DeviceObject, BusQueryDeviceID, device);
    if (NT_SUCCESS(status))
        status = query_id(DeviceObject, BusQueryInstanceID, instance);
    if (!NT_SUCCESS(status))
        return status;
    if (kind == PLUGPLAY_REGKEY_DEVICE)
        snprintf(path, sizeof path, CM_ENUM "\\%s\\%s\\Device Parameters",
                 device, instance);
    else
        snprintf(path, sizeof path, CM_CLASS "\\%s\\%s", device, instance);
    return cm_open_key(path, DesiredAccess, DeviceRegKey);
}
