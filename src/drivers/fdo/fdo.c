/*
 * fdo.c - what disk, CD and changer drivers do alike: arrive, leave, complete
 *
 * SPDX-License-Identifier: MIT
 */
#include "fdo/fdo.h"

#include <initguid.h>
#include <stdio.h>
#include <string.h>

/* <ntddstor.h> declares them; whoever included it did so before <initguid.h>,
 * so they are defined here, for all of them. */
DEFINE_GUID(GUID_DEVINTERFACE_DISK, 0x53f56307, 0xb6bf, 0x11d0, 0x94, 0xf2,
            0x00, 0xa0, 0xc9, 0x1e, 0xfb, 0x8b);
DEFINE_GUID(GUID_DEVINTERFACE_CDROM, 0x53f56308, 0xb6bf, 0x11d0, 0x94, 0xf2,
            0x00, 0xa0, 0xc9, 0x1e, 0xfb, 0x8b);
DEFINE_GUID(GUID_DEVINTERFACE_MEDIUMCHANGER, 0x53f56310, 0xb6bf, 0x11d0, 0x94,
            0xf2, 0x00, 0xa0, 0xc9, 0x1e, 0xfb, 0x8b);

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
create(PDRIVER_OBJECT driver, PDEVICE_OBJECT pdo, const struct fdo_name *name,
       PDEVICE_OBJECT *out_fdo)
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
    *out_fdo = fdo;
    return STATUS_SUCCESS;
}

static struct fdo_data *
fdo_data_of(PDEVICE_OBJECT fdo)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;

    return (struct fdo_data *) (ext + 1);
}

/* A device that cannot be found by its class works all the same. */
static void
register_interface(PDEVICE_OBJECT fdo, PDEVICE_OBJECT pdo,
                   const GUID *class_guid)
{
    struct fdo_data *data = fdo_data_of(fdo);

    if (!NT_SUCCESS(
            IoRegisterDeviceInterface(pdo, class_guid, NULL, &data->link)))
        RtlInitUnicodeString(&data->link, NULL);
}

static void
withdraw_interface(struct fdo_data *data)
{
    if (data->link.Length == 0)
        return;
    (void) IoSetDeviceInterfaceState(&data->link, FALSE);
    RtlFreeUnicodeString(&data->link);
    RtlInitUnicodeString(&data->link, NULL);
}

NTSTATUS
fdo_add(PDRIVER_OBJECT driver, PDEVICE_OBJECT pdo, const struct fdo_name *name)
{
    NTSTATUS status = ClassClaimDevice(pdo, FALSE);
    PDEVICE_OBJECT fdo;

    if (!NT_SUCCESS(status))
        return status;
    status = create(driver, pdo, name, &fdo);
    if (NT_SUCCESS(status))
        register_interface(fdo, pdo, name->class_guid);
    else
        (void) ClassClaimDevice(pdo, TRUE);
    return status;
}

NTSTATUS
fdo_start(PDEVICE_OBJECT fdo)
{
    struct fdo_data *data = fdo_data_of(fdo);

    if (data->link.Length != 0)
        (void) IoSetDeviceInterfaceState(&data->link, TRUE);
    return STATUS_SUCCESS;
}

NTSTATUS
fdo_remove(PDEVICE_OBJECT fdo, UCHAR type)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;

    if (type != IRP_MN_REMOVE_DEVICE && type != IRP_MN_SURPRISE_REMOVAL)
        return STATUS_SUCCESS;
    withdraw_interface(fdo_data_of(fdo));
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

NTSTATUS
fdo_dos_name(const char *stem, ULONG number, BOOLEAN make)
{
    UNICODE_STRING device, dos;
    ANSI_STRING ansi;
    NTSTATUS status;
    char text[48];

    snprintf(text, sizeof text, "\\DosDevices\\%s%u", stem, (unsigned) number);
    RtlInitAnsiString(&ansi, text);
    status = RtlAnsiStringToUnicodeString(&dos, &ansi, TRUE);
    if (!NT_SUCCESS(status))
        return status;
    snprintf(text, sizeof text, "\\Device\\%s%u", stem, (unsigned) number);
    RtlInitAnsiString(&ansi, text);
    status = RtlAnsiStringToUnicodeString(&device, &ansi, TRUE);
    if (NT_SUCCESS(status)) {
        status = make ? IoCreateSymbolicLink(&dos, &device)
                      : IoDeleteSymbolicLink(&dos);
        RtlFreeUnicodeString(&device);
    }
    RtlFreeUnicodeString(&dos);
    return status;
}
