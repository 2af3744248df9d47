/*
 * srb.c - documented routines that send SRBs, ask and build for the driver
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

/* --- one SRB of the driver's ---------------------------------------------- */

struct errand {
    PSCSI_REQUEST_BLOCK srb; /* the caller's */
    KEVENT done;
    NTSTATUS status;
};

/* The caller reads the outcome in its SRB. */
static void
copy_back(const struct class_request *request, PSCSI_REQUEST_BLOCK srb)
{
    ULONG sense = request->srb.SenseInfoBufferLength;

    srb->SrbStatus = request->srb.SrbStatus & (UCHAR) ~SRB_STATUS_QUEUE_FROZEN;
    srb->ScsiStatus = request->srb.ScsiStatus;
    srb->DataTransferLength = request->srb.DataTransferLength;
    srb->InternalStatus = request->srb.InternalStatus;
    if (srb->SenseInfoBuffer != NULL &&
        request->srb.SrbStatus & SRB_STATUS_AUTOSENSE_VALID) {
        if (sense > srb->SenseInfoBufferLength)
            sense = srb->SenseInfoBufferLength;
        RtlCopyMemory(srb->SenseInfoBuffer, request->sense, sense);
    }
}

/*
 * QueueSortKey of the caller's SRB, if not 0: the media change count for which
 * alone the command is meant, plus 1.  After a change it is not sent, and the
 * status is STATUS_VERIFY_REQUIRED.  Nobody else sets it: the port's own use of
 * the field is ours.
 */
static void
take_srb(struct class_request *request, const SCSI_REQUEST_BLOCK *srb,
         PVOID buffer, ULONG length, BOOLEAN to_device)
{
    class_command(request, srb->Cdb, srb->CdbLength, buffer, length, to_device);
    request->srb.SrbFlags |= srb->SrbFlags & (SRB_FLAGS_CLASS_DRIVER_RESERVED |
                                              SRB_FLAGS_BYPASS_LOCKED_QUEUE |
                                              SRB_FLAGS_BYPASS_FROZEN_QUEUE);
    if (srb->TimeOutValue != 0)
        request->srb.TimeOutValue = srb->TimeOutValue;
    if (srb->QueueSortKey != 0) {
        request->flags |= REQ_STAMPED | REQ_KEYED;
        request->key = srb->QueueSortKey - 1;
    }
}

static enum class_next NTAPI
synchronous_finish(struct class_request *request, NTSTATUS *status)
{
    struct errand *errand = request->context;

    copy_back(request, errand->srb);
    errand->status = *status;
    class_request_free(request);
    KeSetEvent(&errand->done, IO_NO_INCREMENT, FALSE);
    return NEXT_GONE;
}

static NTSTATUS
run_errand(struct class_request *request, PSCSI_REQUEST_BLOCK srb)
{
    struct errand errand = { .srb = srb };

    KeInitializeEvent(&errand.done, NotificationEvent, FALSE);
    request->finish = synchronous_finish;
    /* This frame waits for the request's end. */
    /* cppcheck-suppress autoVariables */
    request->context = &errand;
    (void) class_send(request);
    (void) KeWaitForSingleObject(&errand.done, Executive, KernelMode, FALSE,
                                 NULL);
    return errand.status;
}

NTSTATUS NTAPI
ClassSendSrbSynchronous(PDEVICE_OBJECT DeviceObject, PSCSI_REQUEST_BLOCK Srb,
                        PVOID BufferAddress, ULONG BufferLength,
                        BOOLEAN WriteToDevice)
{
    struct class_request *request =
        class_request_new(class_dev(DeviceObject), NULL);

    if (request == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    take_srb(request, Srb, BufferAddress, BufferLength, WriteToDevice);
    request->flags |= REQ_SYNCHRONOUS;
    return run_errand(request, Srb);
}

NTSTATUS NTAPI
class_test_unit_ready(class_device *dev)
{
    static const UCHAR cdb[6] = { SCSIOP_TEST_UNIT_READY };
    struct class_request *request = class_request_new(dev, NULL);
    SCSI_REQUEST_BLOCK outcome = { 0 };

    if (request == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    request->flags |= REQ_POLL | REQ_QUIET | REQ_OVERRIDE;
    request->retries = 0;
    class_command(request, cdb, sizeof cdb, NULL, 0, FALSE);
    return run_errand(request, &outcome);
}

static enum class_next NTAPI
asynchronous_finish(struct class_request *request, NTSTATUS *status)
{
    PSCSI_REQUEST_BLOCK srb = request->context;

    copy_back(request, srb);
    request->information =
        NT_SUCCESS(*status) ? request->srb.DataTransferLength : 0;
    return NEXT_COMPLETE;
}

/* Irp NULL: nobody waits for it.  Else it is completed, with the bytes moved,
 * and STATUS_PENDING or what it completed with is returned. */
NTSTATUS NTAPI
ClassSendSrbAsynchronous(PDEVICE_OBJECT DeviceObject, PSCSI_REQUEST_BLOCK Srb,
                         PIRP Irp, PVOID BufferAddress, ULONG BufferLength,
                         BOOLEAN WriteToDevice)
{
    class_device *dev = class_dev(DeviceObject);
    struct class_request *request = class_request_new(dev, Irp);
    PVOID buffer = BufferAddress;

    if (request == NULL) {
        ExFreePool(Srb);
        return Irp != NULL
                   ? class_complete(dev, Irp, STATUS_INSUFFICIENT_RESOURCES, 0)
                   : STATUS_INSUFFICIENT_RESOURCES;
    }
    take_srb(request, Srb, buffer, BufferLength, WriteToDevice);
    request->finish = asynchronous_finish;
    request->context = request->owned = Srb;
    request->flags |= REQ_OWNS;
    return class_send(request);
}

/* --- small commands ------------------------------------------------------- */

static enum class_next NTAPI
start_finish(struct class_request *request, NTSTATUS *status)
{
    class_wake_waiting(request->dev, WAKE_READY);
    return NEXT_COMPLETE;
}

/* <= DISPATCH.  Nobody waits for it; sent from a worker. */
VOID NTAPI
ClassSendStartUnit(PDEVICE_OBJECT DeviceObject)
{
    static const UCHAR cdb[6] = { SCSIOP_START_STOP_UNIT, 0, 0, 0, 0x01 };
    struct class_request *request =
        class_request_new(class_dev(DeviceObject), NULL);

    if (request == NULL)
        return;
    class_command(request, cdb, sizeof cdb, NULL, 0, FALSE);
    request->srb.TimeOutValue = START_UNIT_TIMEOUT;
    request->srb.SrbFlags |= SRB_CLASS_FLAGS_LOW_PRIORITY;
    request->retries = 0;
    request->finish = start_finish;
    ExQueueWorkItem(&request->work, CriticalWorkQueue);
}

/* MODE SENSE and MODE SELECT: one retry, which a changed medium forces. */
static NTSTATUS
class_send_mode(PDEVICE_OBJECT fdo, PSCSI_REQUEST_BLOCK srb, PVOID buffer,
                ULONG length, BOOLEAN to_device)
{
    struct class_request *request = class_request_new(class_dev(fdo), NULL);
    NTSTATUS status;

    if (request == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    take_srb(request, srb, buffer, length, to_device);
    request->flags |= REQ_SYNCHRONOUS | REQ_VERIFY_RETRY;
    request->retries = 1;
    status = run_errand(request, srb);
    return status == STATUS_DATA_OVERRUN && !to_device ? STATUS_SUCCESS
                                                       : status;
}

static ULONG
mode_sense(PDEVICE_OBJECT fdo, PCHAR buffer, ULONG length, UCHAR page)
{
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 6 };
    NTSTATUS status;

    if (length > 0xff) {
        srb.CdbLength = 10;
        srb.Cdb[0] = SCSIOP_MODE_SENSE10;
        class_put_be16(srb.Cdb + 7, length);
    } else {
        srb.Cdb[0] = SCSIOP_MODE_SENSE;
        srb.Cdb[4] = (UCHAR) length;
    }
    srb.Cdb[2] = page;
    srb.TimeOutValue = class_ext(fdo)->TimeOutValue;
    status = class_send_mode(fdo, &srb, buffer, length, FALSE);
    return NT_SUCCESS(status) ? srb.DataTransferLength : 0;
}

/* The 10-byte form is used for more than 255 bytes. */
ULONG NTAPI
ClassModeSense(PDEVICE_OBJECT DeviceObject, PCHAR ModeSenseBuffer, ULONG Length,
               UCHAR PageMode)
{
    RtlZeroMemory(ModeSenseBuffer, Length);
    return mode_sense(DeviceObject, ModeSenseBuffer,
                      Length > 0xffff ? 0xffff : Length, PageMode);
}

ULONG NTAPI
ClassModeSenseEx(PDEVICE_OBJECT DeviceObject, PCHAR ModeSenseBuffer,
                 ULONG Length, UCHAR PageMode, UCHAR PageControl)
{
    return ClassModeSense(DeviceObject, ModeSenseBuffer, Length,
                          (UCHAR) ((PageMode & 0x3f) | (PageControl & 3) << 6));
}

/* The buffer has the mode header first; its length and the drive's answer
 * decide between the forms of 6 and 10 bytes. */
NTSTATUS NTAPI
ClassModeSelect(PDEVICE_OBJECT Fdo, PCHAR ModeSelectBuffer, ULONG Length,
                BOOLEAN SavePages)
{
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 6 };

    if (Length > 0xffff)
        return STATUS_INVALID_PARAMETER;
    if (Length > 0xff) {
        srb.CdbLength = 10;
        srb.Cdb[0] = SCSIOP_MODE_SELECT10;
        class_put_be16(srb.Cdb + 7, Length);
    } else {
        srb.Cdb[0] = SCSIOP_MODE_SELECT;
        srb.Cdb[4] = (UCHAR) Length;
    }
    srb.Cdb[1] = SavePages ? 0x11 : 0x10;
    srb.TimeOutValue = class_ext(Fdo)->TimeOutValue;
    return class_send_mode(Fdo, &srb, ModeSelectBuffer, Length, TRUE);
}

PVOID NTAPI
ClassFindModePage(PCHAR ModeSenseBuffer, ULONG Length, UCHAR PageMode,
                  BOOLEAN Use6Byte)
{
    const UCHAR *data = (const UCHAR *) ModeSenseBuffer;
    ULONG head = Use6Byte ? 4 : 8, at;

    if (Length < head)
        return NULL;
    at = head + (Use6Byte ? data[3] : class_get_be16(data + 6));
    while (at + 2 <= Length) {
        if ((data[at] & 0x3f) == PageMode)
            return ModeSenseBuffer + at;
        at += 2u + data[at + 1];
    }
    return NULL;
}

NTSTATUS NTAPI
ClassReadDriveCapacity(PDEVICE_OBJECT DeviceObject)
{
    STORAGE_READ_CAPACITY reply;
    IO_STATUS_BLOCK iosb;

    ClassSendDeviceIoControlSynchronous(IOCTL_STORAGE_READ_CAPACITY,
                                        DeviceObject, &reply, 0, sizeof reply,
                                        FALSE, &iosb);
    return iosb.Status;
}

/* --- the queue of the port ------------------------------------------------ */

static VOID send_release(PFUNCTIONAL_DEVICE_EXTENSION ext);

static NTSTATUS NTAPI
release_done(PDEVICE_OBJECT unused, PIRP irp, PVOID context)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = context;
    BOOLEAN again;
    KIRQL irql;

    KeAcquireSpinLock(&ext->ReleaseQueueSpinLock, &irql);
    again = ext->ReleaseQueueNeeded;
    ext->ReleaseQueueNeeded = FALSE;
    ext->ReleaseQueueInProgress = again;
    KeReleaseSpinLock(&ext->ReleaseQueueSpinLock, irql);
    if (again)
        send_release(ext);
    else
        ClassReleaseRemoveLock(ext->DeviceObject, irp);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static VOID
send_release(PFUNCTIONAL_DEVICE_EXTENSION ext)
{
    PSCSI_REQUEST_BLOCK srb = &ext->ReleaseQueueSrb;
    PIRP irp = ext->ReleaseQueueIrp;
    PIO_STACK_LOCATION next;

    IoReuseIrp(irp, STATUS_SUCCESS);
    RtlZeroMemory(srb, sizeof *srb);
    srb->Length = sizeof *srb;
    srb->Function = SRB_FUNCTION_RELEASE_QUEUE;
    srb->OriginalRequest = irp;
    next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = IRP_MJ_SCSI;
    next->Parameters.Scsi.Srb = srb;
    IoSetCompletionRoutine(irp, release_done, ext, TRUE, TRUE, TRUE);
    (void) IoCallDriver(ext->CommonExtension.LowerDeviceObject, irp);
}

/* One at a time; what is asked for meanwhile is done once more after it.  The
 * IRP was made with the device: a queue that stays frozen would be its end. */
VOID NTAPI
ClassReleaseQueue(PDEVICE_OBJECT DeviceObject)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = class_ext(DeviceObject);
    BOOLEAN busy;
    KIRQL irql;

    KeAcquireSpinLock(&ext->ReleaseQueueSpinLock, &irql);
    busy = ext->ReleaseQueueInProgress;
    ext->ReleaseQueueInProgress = TRUE;
    ext->ReleaseQueueNeeded = busy;
    KeReleaseSpinLock(&ext->ReleaseQueueSpinLock, irql);
    if (busy)
        return;
    (void) ClassAcquireRemoveLock(DeviceObject, ext->ReleaseQueueIrp);
    send_release(ext);
}

/* --- asking the driver below ---------------------------------------------- */

VOID NTAPI
ClassSendDeviceIoControlSynchronous(ULONG IoControlCode,
                                    PDEVICE_OBJECT TargetDeviceObject,
                                    PVOID Buffer, ULONG InputBufferLength,
                                    ULONG OutputBufferLength,
                                    BOOLEAN InternalDeviceIoControl,
                                    PIO_STATUS_BLOCK IoStatus)
{
    NTSTATUS status;
    KEVENT done;
    PIRP irp;

    IoStatus->Information = 0;
    IoStatus->Status = STATUS_INSUFFICIENT_RESOURCES;
    KeInitializeEvent(&done, NotificationEvent, FALSE);
    irp = IoBuildDeviceIoControlRequest(
        IoControlCode, TargetDeviceObject, Buffer, InputBufferLength, Buffer,
        OutputBufferLength, InternalDeviceIoControl, &done, IoStatus);
    if (irp == NULL)
        return;
    status = IoCallDriver(TargetDeviceObject, irp);
    if (status == STATUS_PENDING)
        (void) KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, NULL);
    else
        IoStatus->Status = status;
}

/* The descriptor is the caller's, to be freed with ExFreePool. */
NTSTATUS NTAPI
ClassGetDescriptor(PDEVICE_OBJECT DeviceObject, PSTORAGE_PROPERTY_ID PropertyId,
                   PSTORAGE_DESCRIPTOR_HEADER *Descriptor)
{
    union {
        STORAGE_PROPERTY_QUERY query;
        STORAGE_DESCRIPTOR_HEADER header;
    } small = { .query = { .PropertyId = *PropertyId } };
    STORAGE_DESCRIPTOR_HEADER *full;
    IO_STATUS_BLOCK iosb;
    ULONG size;

    *Descriptor = NULL;
    ClassSendDeviceIoControlSynchronous(
        IOCTL_STORAGE_QUERY_PROPERTY, DeviceObject, &small,
        sizeof(STORAGE_PROPERTY_QUERY), sizeof(STORAGE_DESCRIPTOR_HEADER),
        FALSE, &iosb);
    if (!NT_SUCCESS(iosb.Status) && iosb.Status != STATUS_BUFFER_OVERFLOW)
        return iosb.Status;
    size = small.header.Size;
    if (size < sizeof(STORAGE_PROPERTY_QUERY))
        size = sizeof(STORAGE_PROPERTY_QUERY);
    full = ExAllocatePoolWithTag(NonPagedPool, size, CLASS_TAG);
    if (full == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(full, size);
    ((PSTORAGE_PROPERTY_QUERY) full)->PropertyId = *PropertyId;
    ClassSendDeviceIoControlSynchronous(
        IOCTL_STORAGE_QUERY_PROPERTY, DeviceObject, full,
        sizeof(STORAGE_PROPERTY_QUERY), size, FALSE, &iosb);
    if (!NT_SUCCESS(iosb.Status)) {
        ExFreePool(full);
        return iosb.Status;
    }
    *Descriptor = full;
    return STATUS_SUCCESS;
}

/* --- IRPs ----------------------------------------------------------------- */

/* With the duty that a driver has before it completes: the device to verify. */
VOID NTAPI
ClassCompleteRequest(PDEVICE_OBJECT DeviceObject, PIRP Irp, CCHAR PriorityBoost)
{
    class_hard_error_duty(class_dev(DeviceObject), Irp, Irp->IoStatus.Status);
    IoCompleteRequest(Irp, PriorityBoost);
}

NTSTATUS NTAPI
ClassSignalCompletion(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    KeSetEvent(Context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

NTSTATUS NTAPI
ClassSendIrpSynchronous(PDEVICE_OBJECT TargetDeviceObject, PIRP Irp)
{
    NTSTATUS status;
    KEVENT done;

    KeInitializeEvent(&done, NotificationEvent, FALSE);
    IoSetCompletionRoutine(Irp, ClassSignalCompletion, &done, TRUE, TRUE, TRUE);
    status = IoCallDriver(TargetDeviceObject, Irp);
    if (status == STATUS_PENDING)
        (void) KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, NULL);
    return Irp->IoStatus.Status;
}

NTSTATUS NTAPI
ClassForwardIrpSynchronous(PCOMMON_DEVICE_EXTENSION CommonExtension, PIRP Irp)
{
    IoCopyCurrentIrpStackLocationToNext(Irp);
    return ClassSendIrpSynchronous(CommonExtension->LowerDeviceObject, Irp);
}

/* SRBs of drivers above go down as they are; their unit attentions are found
 * when the port refuses the next stamped command. */
NTSTATUS NTAPI
ClassInternalIoControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    class_device *dev = class_dev(DeviceObject);

    return class_forward(dev, Irp);
}

/* --- a driver's own reads and writes -------------------------------------- */

/*
 * For drivers that send an IRP down themselves.  The SRB is from the pool and
 * is freed here.  A failure goes the way of all requests, with their retries.
 */
NTSTATUS NTAPI
ClassIoComplete(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    PSCSI_REQUEST_BLOCK srb = Context;
    class_device *dev = class_dev(DeviceObject);
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(Irp);
    struct class_request *request = NULL;
    ULONG length = srb->DataTransferLength;

    if (SRB_STATUS(srb->SrbStatus) != SRB_STATUS_SUCCESS)
        request = class_request_new(dev, Irp);
    if (request == NULL) {
        BOOLEAN good = SRB_STATUS(srb->SrbStatus) == SRB_STATUS_SUCCESS;

        if (Irp->PendingReturned)
            IoMarkIrpPending(Irp);
        ExFreePool(srb);
        if (!good && Irp->Flags & IRP_ASSOCIATED_IRP)
            class_tell_master(Irp, STATUS_INSUFFICIENT_RESOURCES);
        class_settle(dev, Irp,
                     good ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES,
                     good ? length : 0);
        return STATUS_SUCCESS;
    }
    request->srb = *srb;
    if (at->MajorFunction == IRP_MJ_READ || at->MajorFunction == IRP_MJ_WRITE) {
        /* Sent again, it is meant for the same medium. */
        class_take_key(request, Irp);
        length = at->Parameters.Read.Length;
    }
    request->length = length;
    if (srb->SenseInfoBuffer != NULL)
        RtlCopyMemory(request->sense, srb->SenseInfoBuffer,
                      srb->SenseInfoBufferLength < sizeof request->sense
                          ? srb->SenseInfoBufferLength
                          : sizeof request->sense);
    request->srb.SenseInfoBuffer = request->sense;
    ExFreePool(srb);
    class_adopt(request);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

/* For associated IRPs: the same; class_tell_master does what is more, and the
 * I/O manager completes the master with the last. */
NTSTATUS NTAPI
ClassIoCompleteAssociated(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    return ClassIoComplete(DeviceObject, Irp, Context);
}

/* The number is taken before the count is looked at, as everywhere. */
static BOOLEAN
is_for_another_medium(class_device *dev, PIRP irp, ULONG *out_number)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);

    *out_number = __atomic_load_n(&dev->attention, __ATOMIC_ACQUIRE);
    if (!(at->Flags & SL_KEY_SPECIFIED) ||
        at->Parameters.Read.Key == class_change_count(dev))
        return FALSE;
    (void) class_require_verify(dev);
    return TRUE;
}

/* The SRB for all of a read or write, in the next stack location.  Beyond the
 * documented statuses: STATUS_VERIFY_REQUIRED for a request whose sender knows
 * of an earlier medium. */
NTSTATUS NTAPI
ClassBuildRequest(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    class_device *dev = class_dev(DeviceObject);
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(Irp), next;
    BOOLEAN write = at->MajorFunction == IRP_MJ_WRITE;
    PSCSI_REQUEST_BLOCK srb;
    PUCHAR sense;
    ULONG number;

    if (is_for_another_medium(dev, Irp, &number))
        return STATUS_VERIFY_REQUIRED;
    srb = ExAllocatePoolWithTag(NonPagedPool, sizeof *srb + SENSE_BUFFER_SIZE,
                                CLASS_TAG);
    if (srb == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(srb, sizeof *srb + SENSE_BUFFER_SIZE);
    sense = (PUCHAR) (srb + 1);
    srb->Length = sizeof *srb;
    srb->SrbFlags = class_srb_flags(dev->ext) |
                    (write ? SRB_FLAGS_DATA_OUT : SRB_FLAGS_DATA_IN);
    srb->DataTransferLength = at->Parameters.Read.Length;
    srb->DataBuffer = MmGetMdlVirtualAddress(Irp->MdlAddress);
    srb->TimeOutValue = dev->ext->TimeOutValue;
    srb->SenseInfoBuffer = sense;
    srb->SenseInfoBufferLength = SENSE_BUFFER_SIZE;
    srb->OriginalRequest = Irp;
    srb->QueueSortKey = number;
    srb->CdbLength = 16;
    srb->Cdb[0] = write ? SCSIOP_WRITE16 : SCSIOP_READ16;
    class_put_be64(srb->Cdb + 2,
                   (ULONGLONG) at->Parameters.Read.ByteOffset.QuadPart >>
                       dev->ext->SectorShift);
    class_put_be32(srb->Cdb + 10,
                   at->Parameters.Read.Length >> dev->ext->SectorShift);
    next = IoGetNextIrpStackLocation(Irp);
    next->MajorFunction = IRP_MJ_SCSI;
    next->Parameters.Scsi.Srb = srb;
    IoSetCompletionRoutine(Irp, ClassIoComplete, srb, TRUE, TRUE, TRUE);
    return STATUS_SUCCESS;
}

/* Sends the read or write in parts; it is pending until the last is done. */
VOID NTAPI
ClassSplitRequest(PDEVICE_OBJECT DeviceObject, PIRP Irp, ULONG MaximumBytes)
{
    IoMarkIrpPending(Irp);
    (void) class_transfer(DeviceObject, Irp, MaximumBytes);
}
