/*
 * fdo.c - what the disk and CD drivers do alike: arrive, leave, complete
 *
 * SPDX-License-Identifier: MIT
 */
#include "fdo/fdo.h"

#include <stdio.h>

static NTSTATUS
create(PDRIVER_OBJECT driver, PDEVICE_OBJECT pdo, const struct fdo_name *name)
{
    ULONG number =
        (ULONG) InterlockedIncrement((LONG volatile *) name->count) - 1;
    PFUNCTIONAL_DEVICE_EXTENSION ext;
    PDEVICE_OBJECT fdo;
    NTSTATUS status;
    char full[48];

    snprintf(full, sizeof full, "%s%u%s", name->before, number, name->after);
    status = ClassCreateDeviceObject(driver, full, pdo, TRUE, &fdo);
    if (!NT_SUCCESS(status))
        return status;
    ext = fdo->DeviceExtension;
    ext->LowerPdo = pdo;
    ext->DeviceNumber = number;
    ext->CommonExtension.DriverData = ext + 1;
    ext->CommonExtension.LowerDeviceObject =
        IoAttachDeviceToDeviceStack(fdo, pdo);
    if (ext->CommonExtension.LowerDeviceObject == NULL) {
        IoDeleteDevice(fdo);
        return STATUS_UNSUCCESSFUL;
    }
    InterlockedAnd((LONG volatile *) &fdo->Flags, ~DO_DEVICE_INITIALIZING);
    return STATUS_SUCCESS;
}

NTSTATUS
fdo_add(PDRIVER_OBJECT driver, PDEVICE_OBJECT pdo, const struct fdo_name *name)
{
    NTSTATUS status = ClassClaimDevice(pdo, FALSE);

    if (!NT_SUCCESS(status))
        return status;
    status = create(driver, pdo, name);
    if (!NT_SUCCESS(status))
        (void) ClassClaimDevice(pdo, TRUE);
    return status;
}

NTSTATUS
fdo_remove(PDEVICE_OBJECT fdo, UCHAR type)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;

    if (type == IRP_MN_REMOVE_DEVICE)
        (void) ClassClaimDevice(ext->LowerPdo, TRUE);
    return STATUS_SUCCESS;
}

void
fdo_set_timeout(PDEVICE_OBJECT fdo, ULONG otherwise_s)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;

    ext->TimeOutValue = ClassQueryTimeOutRegistryValue(fdo);
    if (ext->TimeOutValue == 0)
        ext->TimeOutValue = otherwise_s;
}

NTSTATUS
fdo_complete(PDEVICE_OBJECT fdo, PIRP irp, NTSTATUS status,
             ULONG_PTR information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information =
        NT_SUCCESS(status) || status == STATUS_BUFFER_OVERFLOW ? information
                                                               : 0;
    ClassCompleteRequest(fdo, irp, IO_NO_INCREMENT);
    ClassReleaseRemoveLock(fdo, irp);
    return status;
}
