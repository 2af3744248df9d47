/*
 * fdo.c - what the disk and CD drivers do alike: arrive, leave, complete
 *
 * SPDX-License-Identifier: MIT
 */
#include "fdo/fdo.h"

#include <stdio.h>
#include <string.h>

/* Makes the directory that the name lies in, unless that is \Device.  It goes
 * with its handle. */
static NTSTATUS
make_directory(const char *full, HANDLE *out_handle)
{
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING name;
    ANSI_STRING ansi;
    NTSTATUS status;

    *out_handle = NULL;
    RtlInitAnsiString(&ansi, full);
    ansi.Length = (USHORT) (strrchr(full, '\\') - full);
    if (ansi.Length <= sizeof "\\Device" - 1)
        return STATUS_SUCCESS;
    status = RtlAnsiStringToUnicodeString(&name, &ansi, TRUE);
    if (!NT_SUCCESS(status))
        return status;
    InitializeObjectAttributes(&attributes, &name,
                               OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL,
                               NULL);
    status =
        ZwCreateDirectoryObject(out_handle, DIRECTORY_ALL_ACCESS, &attributes);
    RtlFreeUnicodeString(&name);
    return status;
}

static NTSTATUS
create(PDRIVER_OBJECT driver, PDEVICE_OBJECT pdo, const struct fdo_name *name)
{
    ULONG number =
        (ULONG) InterlockedIncrement((LONG volatile *) name->count) - 1;
    PFUNCTIONAL_DEVICE_EXTENSION ext;
    HANDLE directory;
    PDEVICE_OBJECT fdo;
    NTSTATUS status;
    char full[48];

    snprintf(full, sizeof full, "%s%u%s", name->before, number, name->after);
    status = make_directory(full, &directory);
    if (!NT_SUCCESS(status))
        return status;
    status = ClassCreateDeviceObject(driver, full, pdo, TRUE, &fdo);
    if (!NT_SUCCESS(status)) {
        if (directory != NULL)
            (void) ZwClose(directory);
        return status;
    }
    ext = fdo->DeviceExtension;
    ext->DeviceDirectory = directory;
    ext->LowerPdo = pdo;
    ext->DeviceNumber = number;
    ext->CommonExtension.DriverData = ext + 1;
    ext->CommonExtension.LowerDeviceObject =
        IoAttachDeviceToDeviceStack(fdo, pdo);
    if (ext->CommonExtension.LowerDeviceObject == NULL) {
        if (directory != NULL)
            (void) ZwClose(directory);
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

    if (type != IRP_MN_REMOVE_DEVICE)
        return STATUS_SUCCESS;
    (void) ClassClaimDevice(ext->LowerPdo, TRUE);
    if (ext->DeviceDirectory != NULL)
        (void) ZwClose(ext->DeviceDirectory);
    ext->DeviceDirectory = NULL;
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
