/*
 * tape.c - the class driver for tapes: registration, helpers and life
 *
 * A driver of the storage class library on one side, and on the other what
 * <minitape.h> promises minitape drivers.  One handle at a time.  Written
 * against the WDK headers alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tape/tape_internal.h"

#include <ntddstor.h>

#include <initguid.h>
#include <stdarg.h>

#define TAPE_TIMEOUT_S 180  /* of reads and writes: a stop and a start */
#define LOOKS_MAX      8    /* unit attentions at an open */
#define DPFLTR_TAPE    0x37 /* DPFLTR_TAPE_ID */

DEFINE_GUID(tape_interface, 0x53f5630b, 0xb6bf, 0x11d0, 0x94, 0xf2, 0x00, 0xa0,
            0xc9, 0x1e, 0xfb, 0x8b); /* GUID_DEVINTERFACE_TAPE */

static CLASS_ADD_DEVICE tape_add_device;
static CLASS_INIT_DEVICE tape_init;
static CLASS_START_DEVICE tape_start;
static CLASS_REMOVE_DEVICE tape_remove;
static CLASS_CREATE_CLOSE tape_create_close;
static CLASS_UNLOAD tape_unload;

/* Of the driver object: what its minitape driver registered. */
#define TAPE_KEY ((PVOID) TapeClassInitialize)

/* --- registration ----------------------------------------------------------- */

static BOOLEAN
is_complete(const TAPE_INIT_DATA_EX *data)
{
    return data->VerifyInquiry != NULL && data->CreatePartition != NULL &&
           data->Erase != NULL && data->GetDriveParameters != NULL &&
           data->GetMediaParameters != NULL && data->GetPosition != NULL &&
           data->GetStatus != NULL && data->Prepare != NULL &&
           data->SetDriveParameters != NULL &&
           data->SetMediaParameters != NULL && data->SetPosition != NULL &&
           data->WriteMarks != NULL &&
           (data->MinitapeExtensionSize != 0) == (data->ExtensionInit != NULL);
}

/*
 * A TAPE_INIT_DATA begins with a pointer, so that its first 32 bits are never
 * the size of the longer record.
 */
static BOOLEAN
take(TAPE_INIT_DATA_EX *copy, PTAPE_INIT_DATA_EX given)
{
    if (given->InitDataSize == sizeof *given) {
        *copy = *given;
        return is_complete(copy) && copy->TapeGetMediaTypes != NULL &&
               copy->MediaTypesSupported != 0;
    }
    if (given->InitDataSize < 4096)
        return FALSE; /* a size, and of no record that there is */
    RtlZeroMemory(copy, sizeof *copy);
    RtlCopyMemory(&copy->VerifyInquiry, given, sizeof(TAPE_INIT_DATA));
    return is_complete(copy);
}

ULONG NTAPI
TapeClassInitialize(PVOID Argument1, PVOID Argument2,
                    PTAPE_INIT_DATA_EX TapeInitData)
{
    CLASS_INIT_DATA data = { .InitializationDataSize = sizeof data };
    PDRIVER_OBJECT driver = Argument1;
    TAPE_INIT_DATA_EX taken, *copy;
    NTSTATUS status;

    if (!take(&taken, TapeInitData))
        return (ULONG) STATUS_INVALID_PARAMETER;
    status = IoAllocateDriverObjectExtension(driver, TAPE_KEY, sizeof *copy,
                                             (PVOID *) &copy);
    if (!NT_SUCCESS(status))
        return (ULONG) status;
    *copy = taken;
    data.FdoData.DeviceExtensionSize =
        (ULONG) (sizeof(FUNCTIONAL_DEVICE_EXTENSION) + TAPE_DATA_BYTES) +
        copy->MinitapeExtensionSize;
    data.FdoData.DeviceType = FILE_DEVICE_TAPE;
    data.FdoData.DeviceCharacteristics = FILE_DEVICE_SECURE_OPEN;
    data.FdoData.ClassError = tapedrv_error;
    data.FdoData.ClassReadWriteVerification = tapedrv_read_write;
    data.FdoData.ClassDeviceControl = tapedrv_control;
    data.FdoData.ClassShutdownFlush = tapedrv_shutdown_flush;
    data.FdoData.ClassCreateClose = tape_create_close;
    data.FdoData.ClassInitDevice = tape_init;
    data.FdoData.ClassStartDevice = tape_start;
    data.FdoData.ClassRemoveDevice = tape_remove;
    data.ClassAddDevice = tape_add_device;
    data.ClassUnload = tape_unload;
    return ClassInitialize(driver, Argument2, &data);
}

static VOID NTAPI
tape_unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
}

/* --- helpers of minitape drivers -------------------------------------------- */

VOID NTAPI
TapeClassZeroMemory(PVOID Buffer, ULONG BufferSize)
{
    RtlZeroMemory(Buffer, BufferSize);
}

ULONG NTAPI
TapeClassCompareMemory(PVOID Source1, PVOID Source2, ULONG Length)
{
    return (ULONG) RtlCompareMemory(Source1, Source2, Length);
}

LARGE_INTEGER NTAPI
TapeClassLiDiv(LARGE_INTEGER Dividend, LARGE_INTEGER Divisor)
{
    LARGE_INTEGER out = { .QuadPart = 0 };

    if (Divisor.QuadPart != 0)
        out.QuadPart = Dividend.QuadPart / Divisor.QuadPart;
    return out;
}

VOID
TapeDebugPrint(ULONG DebugPrintLevel, PCCHAR DebugMessage, ...)
{
    va_list args;

    va_start(args, DebugMessage);
    (void) vDbgPrintEx(DPFLTR_TAPE, DebugPrintLevel, DebugMessage, args);
    va_end(args);
}

/* --- life ------------------------------------------------------------------- */

static NTSTATUS NTAPI
tape_add_device(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT Pdo)
{
    const struct fdo_name name = { "\\Device\\Tape", "",
                                   &IoGetConfigurationInformation()->TapeCount,
                                   &tape_interface };
    PFUNCTIONAL_DEVICE_EXTENSION ext;
    struct tape_data *data;
    PDEVICE_OBJECT fdo;
    NTSTATUS status = fdo_add(DriverObject, Pdo, &name);

    if (!NT_SUCCESS(status))
        return status;
    fdo = IoGetAttachedDeviceReference(Pdo);
    ObDereferenceObject(fdo); /* it stays: nobody removes it yet */
    ext = fdo->DeviceExtension;
    data = tape_of(fdo);
    KeInitializeEvent(&data->turn, SynchronizationEvent, TRUE);
    data->mini_ext = (PUCHAR) data + TAPE_DATA_BYTES;
    data->mini = IoGetDriverObjectExtension(DriverObject, TAPE_KEY);
    ext->CommonExtension.DriverData = data->mini_ext;
    /* Whoever needs the name finds the device by its interface otherwise. */
    (void) fdo_dos_name("Tape", ext->DeviceNumber, TRUE);
    return STATUS_SUCCESS;
}

static NTSTATUS
inquire(PDEVICE_OBJECT fdo, PINQUIRYDATA out)
{
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 6, .TimeOutValue = 10 };
    NTSTATUS status;

    RtlZeroMemory(out, sizeof *out);
    srb.Cdb[0] = SCSIOP_INQUIRY;
    srb.Cdb[4] = sizeof *out;
    status = ClassSendSrbSynchronous(fdo, &srb, out, sizeof *out, FALSE);
    return status == STATUS_DATA_OVERRUN ? STATUS_SUCCESS : status;
}

/* FALSE: the drive has no such page. */
static BOOLEAN
capabilities(PDEVICE_OBJECT fdo, PMODE_CAPABILITIES_PAGE out)
{
    CHAR data[4 + 8 + sizeof *out];
    ULONG len = ClassModeSense(fdo, data, sizeof data, 0x2A);
    const VOID *page = ClassFindModePage(data, len, 0x2A, TRUE);

    RtlZeroMemory(out, sizeof *out);
    if (page == NULL || (const CHAR *) page + sizeof *out > data + len)
        return FALSE;
    RtlCopyMemory(out, page, sizeof *out);
    return TRUE;
}

static NTSTATUS NTAPI
tape_init(PDEVICE_OBJECT DeviceObject)
{
    struct tape_data *data = tape_of(DeviceObject);
    const TAPE_INIT_DATA_EX *mini = data->mini;
    PMODE_CAPABILITIES_PAGE page = NULL;
    MODE_CAPABILITIES_PAGE room;
    INQUIRYDATA inquiry;
    NTSTATUS status;

    fdo_set_timeout(DeviceObject, mini->DefaultTimeOutValue != 0
                                      ? mini->DefaultTimeOutValue
                                      : TAPE_TIMEOUT_S);
    status = inquire(DeviceObject, &inquiry);
    if (!NT_SUCCESS(status))
        return status;
    if (mini->QueryModeCapabilitiesPage && capabilities(DeviceObject, &room))
        page = &room;
    if (!mini->VerifyInquiry(&inquiry, page))
        return STATUS_NO_SUCH_DEVICE;
    if (mini->ExtensionInit != NULL)
        mini->ExtensionInit(data->mini_ext, &inquiry, page);
    data->ready = TRUE;
    InterlockedExchange(&data->news, 0); /* the library's first look */
    tapedrv_place_set(DeviceObject, 0);
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI
tape_start(PDEVICE_OBJECT DeviceObject)
{
    return fdo_start(DeviceObject);
}

static NTSTATUS NTAPI
tape_remove(PDEVICE_OBJECT DeviceObject, UCHAR Type)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = DeviceObject->DeviceExtension;

    if (Type == IRP_MN_REMOVE_DEVICE)
        (void) fdo_dos_name("Tape", ext->DeviceNumber, FALSE);
    return fdo_remove(DeviceObject, Type);
}

/* --- open and close --------------------------------------------------------- */

NTSTATUS
tapedrv_complete(PDEVICE_OBJECT fdo, PIRP irp, NTSTATUS status,
                 ULONG_PTR information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    ClassCompleteRequest(fdo, irp, IO_NO_INCREMENT);
    ClassReleaseRemoveLock(fdo, irp);
    return status;
}

/*
 * Another tape lies at its beginning, and nobody has written on it; so does one
 * that was not moved before a reset.  What was moved, and then reset while
 * nobody had it open, may be anywhere: whoever opens it has to position first.
 */
void
tapedrv_settle(PDEVICE_OBJECT fdo)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;
    struct tape_data *data = tape_of(fdo);
    struct tape_meaning meaning;
    LONG lost;

    for (int i = 0; i < LOOKS_MAX; i++)
        if (NT_SUCCESS(tapedrv_test_ready(fdo, &meaning)) || !meaning.attention)
            break;
    (void) tapedrv_place_check(fdo);
    lost = InterlockedOr(&data->lost, 0);
    if (lost == TAPE_STATUS_MEDIA_CHANGED) {
        data->moved = data->dirty = FALSE;
        data->written = 0;
    }
    if (!data->moved)
        tapedrv_place_set(fdo, *(volatile ULONG *) &ext->MediaChangeCount);
    data->told = FALSE;
}

static NTSTATUS
open_tape(PDEVICE_OBJECT fdo)
{
    struct tape_data *data = tape_of(fdo);

    if (!data->ready)
        return STATUS_NO_SUCH_DEVICE;
    if (InterlockedCompareExchange(&data->open, 1, 0) != 0)
        return STATUS_SHARING_VIOLATION;
    tapedrv_begin(data);
    tapedrv_settle(fdo);
    tapedrv_end(data);
    /* What happened before is nobody's news. */
    InterlockedAnd(&data->news, ~NEWS_CHANGED);
    return STATUS_SUCCESS;
}

static void
log_failure(PDEVICE_OBJECT fdo, NTSTATUS status)
{
    PIO_ERROR_LOG_PACKET packet =
        IoAllocateErrorLogEntry(fdo, sizeof(IO_ERROR_LOG_PACKET));

    if (packet == NULL)
        return;
    RtlZeroMemory(packet, sizeof *packet);
    packet->MajorFunctionCode = IRP_MJ_CLOSE;
    packet->ErrorCode = STATUS_IO_DEVICE_ERROR;
    packet->FinalStatus = status;
    IoWriteErrorLogEntry(packet);
}

static NTSTATUS
close_tape(PDEVICE_OBJECT fdo)
{
    struct tape_data *data = tape_of(fdo);
    NTSTATUS status;

    tapedrv_begin(data);
    status = tapedrv_flush(fdo);
    data->dirty = FALSE;
    if (data->told) {
        InterlockedExchange(&data->lost, 0);
        data->moved = FALSE;
        data->told = FALSE;
    }
    tapedrv_end(data);
    if (!NT_SUCCESS(status))
        log_failure(fdo, status);
    InterlockedExchange(&data->open, 0);
    return status;
}

static NTSTATUS NTAPI
tape_create_close(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    BOOLEAN create =
        IoGetCurrentIrpStackLocation(Irp)->MajorFunction == IRP_MJ_CREATE;
    NTSTATUS status =
        create ? open_tape(DeviceObject) : close_tape(DeviceObject);

    return tapedrv_complete(DeviceObject, Irp, status,
                            create && NT_SUCCESS(status) ? FILE_OPENED : 0);
}
