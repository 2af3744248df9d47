/*
 * changer.c - the class driver for media changers: registration and life
 *
 * A driver of the storage class library on one side, and on the other what
 * <mcd.h> promises the miniclass drivers.  One handle at a time; a changer
 * that is not ready when it starts is there all the same, and asked again when
 * somebody opens it.  Written against the WDK headers alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "changer/changer_internal.h"

#include <stdarg.h>

#include "changer/changer.h"

#define CHANGER_TIMEOUT_S 60
#define DPFLTR_CHANGER    0x38 /* DPFLTR_MCHGR_ID */

static CLASS_ADD_DEVICE changer_add_device;
static CLASS_INIT_DEVICE changer_init;
static CLASS_START_DEVICE changer_start;
static CLASS_REMOVE_DEVICE changer_remove;
static CLASS_READ_WRITE changer_read_write;
static CLASS_CREATE_CLOSE changer_create_close;
static CLASS_UNLOAD changer_unload;

/* Of the driver object: what its miniclass driver registered. */
#define MCD_KEY ((PVOID) ChangerClassInitialize)

/* --- what miniclass drivers call ------------------------------------------- */

static BOOLEAN
is_complete(const MCD_INIT_DATA *data)
{
    return data->InitDataSize == sizeof *data &&
           data->ChangerAdditionalExtensionSize != NULL &&
           data->ChangerInitialize != NULL && data->ChangerError != NULL &&
           data->ChangerPerformDiagnostics != NULL &&
           data->ChangerGetParameters != NULL &&
           data->ChangerGetStatus != NULL &&
           data->ChangerGetProductData != NULL &&
           data->ChangerSetAccess != NULL &&
           data->ChangerGetElementStatus != NULL &&
           data->ChangerInitializeElementStatus != NULL &&
           data->ChangerSetPosition != NULL &&
           data->ChangerExchangeMedium != NULL &&
           data->ChangerMoveMedium != NULL &&
           data->ChangerReinitializeUnit != NULL &&
           data->ChangerQueryVolumeTags != NULL;
}

NTSTATUS NTAPI
ChangerClassInitialize(PDRIVER_OBJECT DriverObject,
                       PUNICODE_STRING RegistryPath, PMCD_INIT_DATA MCDInitData)
{
    CLASS_INIT_DATA data = { .InitializationDataSize = sizeof data };
    PMCD_INIT_DATA copy;
    NTSTATUS status;

    if (!is_complete(MCDInitData))
        return STATUS_INVALID_PARAMETER;
    status = IoAllocateDriverObjectExtension(DriverObject, MCD_KEY,
                                             sizeof *copy, (PVOID *) &copy);
    if (!NT_SUCCESS(status))
        return status;
    *copy = *MCDInitData;
    data.FdoData.DeviceExtensionSize =
        (ULONG) (sizeof(FUNCTIONAL_DEVICE_EXTENSION) + CHANGER_DATA_BYTES) +
        copy->ChangerAdditionalExtensionSize();
    data.FdoData.DeviceType = FILE_DEVICE_CHANGER;
    data.FdoData.DeviceCharacteristics = FILE_DEVICE_SECURE_OPEN;
    data.FdoData.ClassError = changer_class_error;
    data.FdoData.ClassReadWriteVerification = changer_read_write;
    data.FdoData.ClassDeviceControl = changer_control;
    data.FdoData.ClassCreateClose = changer_create_close;
    data.FdoData.ClassInitDevice = changer_init;
    data.FdoData.ClassStartDevice = changer_start;
    data.FdoData.ClassRemoveDevice = changer_remove;
    data.ClassAddDevice = changer_add_device;
    data.ClassUnload = changer_unload;
    return (NTSTATUS) ClassInitialize(DriverObject, RegistryPath, &data);
}

PVOID NTAPI
ChangerClassAllocatePool(POOL_TYPE PoolType, ULONG NumberOfBytes)
{
    return ExAllocatePoolWithTag(PoolType, NumberOfBytes, CHANGER_TAG);
}

/* NULL, so that a driver may write `p = ChangerClassFreePool(p)`. */
PVOID NTAPI
ChangerClassFreePool(PVOID PoolToFree)
{
    ExFreePoolWithTag(PoolToFree, CHANGER_TAG);
    return NULL;
}

VOID
ChangerClassDebugPrint(ULONG DebugPrintLevel, PCCHAR DebugMessage, ...)
{
    va_list args;

    va_start(args, DebugMessage);
    (void) vDbgPrintEx(DPFLTR_CHANGER, DebugPrintLevel, DebugMessage, args);
    va_end(args);
}

/* --- life ------------------------------------------------------------------ */

static VOID NTAPI
changer_unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
}

static NTSTATUS NTAPI
changer_add_device(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT Pdo)
{
    const struct fdo_name name = {
        "\\Device\\Changer", "",
        &IoGetConfigurationInformation()->MediumChangerCount,
        &GUID_DEVINTERFACE_MEDIUMCHANGER
    };
    PFUNCTIONAL_DEVICE_EXTENSION ext;
    struct changer_data *data;
    PDEVICE_OBJECT fdo;
    NTSTATUS status = fdo_add(DriverObject, Pdo, &name);

    if (!NT_SUCCESS(status))
        return status;
    fdo = IoGetAttachedDeviceReference(Pdo);
    ObDereferenceObject(fdo); /* it stays: nobody removes it yet */
    ext = fdo->DeviceExtension;
    data = changer_of(fdo);
    data->mcd = IoGetDriverObjectExtension(DriverObject, MCD_KEY);
    KeInitializeEvent(&data->motion, SynchronizationEvent, TRUE);
    ext->CommonExtension.DriverData = (PUCHAR) data + CHANGER_DATA_BYTES;
    /* Whoever needs the name finds the device by its interface otherwise. */
    (void) fdo_dos_name("Changer", ext->DeviceNumber, TRUE);
    return STATUS_SUCCESS;
}

/* What a library answers while it starts, or while somebody is at it. */
BOOLEAN
changer_may_still_come(NTSTATUS status)
{
    switch (status) {
    case STATUS_DEVICE_NOT_READY:
    case STATUS_DEVICE_DOOR_OPEN:
    case STATUS_DEVICE_OFF_LINE:
    case STATUS_DEVICE_BUSY:
    case STATUS_MAGAZINE_NOT_PRESENT:
    case STATUS_REINITIALIZATION_NEEDED:
    case STATUS_IO_TIMEOUT:
        return TRUE;
    default:
        return FALSE;
    }
}

NTSTATUS
changer_initialize(PDEVICE_OBJECT fdo)
{
    struct changer_data *data = changer_of(fdo);
    NTSTATUS status;

    InterlockedAnd(&data->news, ~NEWS_PARAMETERS);
    status = data->mcd->ChangerInitialize(fdo);
    if (!NT_SUCCESS(status))
        InterlockedOr(&data->news, NEWS_PARAMETERS);
    return status;
}

static NTSTATUS
first_initialize(PDEVICE_OBJECT fdo)
{
    struct changer_data *data = changer_of(fdo);
    NTSTATUS status;

    InterlockedExchange(&data->state, CHANGER_STARTING);
    status = changer_initialize(fdo);
    InterlockedExchange(&data->state,
                        NT_SUCCESS(status) ? CHANGER_READY : CHANGER_WAITING);
    return status;
}

static NTSTATUS NTAPI
changer_init(PDEVICE_OBJECT DeviceObject)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = DeviceObject->DeviceExtension;
    struct changer_data *data = changer_of(DeviceObject);
    NTSTATUS status;

    fdo_set_timeout(DeviceObject, CHANGER_TIMEOUT_S);
    data->start_s = 300;
    data->ready_s = 60;
    ClassGetDeviceParameter(ext, NULL, (PWSTR) CHANGER_START_VALUE,
                            &data->start_s);
    ClassGetDeviceParameter(ext, NULL, (PWSTR) CHANGER_READY_VALUE,
                            &data->ready_s);
    status = first_initialize(DeviceObject);
    return changer_may_still_come(status) ? STATUS_SUCCESS : status;
}

static NTSTATUS NTAPI
changer_start(PDEVICE_OBJECT DeviceObject)
{
    return fdo_start(DeviceObject);
}

static NTSTATUS NTAPI
changer_remove(PDEVICE_OBJECT DeviceObject, UCHAR Type)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = DeviceObject->DeviceExtension;

    if (Type == IRP_MN_REMOVE_DEVICE)
        (void) fdo_dos_name("Changer", ext->DeviceNumber, FALSE);
    return fdo_remove(DeviceObject, Type);
}

/* --- open and close -------------------------------------------------------- */

static NTSTATUS NTAPI
changer_read_write(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    return STATUS_INVALID_DEVICE_REQUEST;
}

static NTSTATUS
start_again(PDEVICE_OBJECT fdo)
{
    NTSTATUS status = changer_wait_ready(fdo, changer_of(fdo)->start_s);

    return NT_SUCCESS(status) ? first_initialize(fdo) : status;
}

static NTSTATUS
open_changer(PDEVICE_OBJECT fdo)
{
    struct changer_data *data = changer_of(fdo);
    NTSTATUS status = STATUS_SUCCESS;

    if (changer_state(data) == CHANGER_NEW)
        return STATUS_NO_SUCH_DEVICE;
    if (InterlockedCompareExchange(&data->open, 1, 0) != 0)
        return STATUS_DEVICE_BUSY;
    if (changer_state(data) == CHANGER_WAITING)
        status = start_again(fdo);
    if (!NT_SUCCESS(status))
        InterlockedExchange(&data->open, 0);
    return status;
}

static void
close_changer(PDEVICE_OBJECT fdo)
{
    changer_unlock_all(fdo);
    InterlockedExchange(&changer_of(fdo)->open, 0);
}

static NTSTATUS NTAPI
changer_create_close(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    NTSTATUS status = STATUS_SUCCESS;

    if (IoGetCurrentIrpStackLocation(Irp)->MajorFunction == IRP_MJ_CREATE)
        status = open_changer(DeviceObject);
    else
        close_changer(DeviceObject);
    return fdo_complete(DeviceObject, Irp, status, FILE_OPENED);
}
