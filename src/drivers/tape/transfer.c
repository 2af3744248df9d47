/*
 * transfer.c - reads, writes, flushes
 *
 * With fixed blocks a transfer is a number of them, and goes in parts if the
 * adapter takes no more at once; the first part that is not complete ends it.
 * With blocks of any length a transfer is one block, and is never split.
 *
 * On the caller's thread, PASSIVE; the IRP is pending meanwhile.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tape/tape_internal.h"

#define COUNT_MAX          0xFFFFFF /* of blocks or bytes in a command */
#define SMALLEST_ALLOWANCE (1024 * 1024)

/* --- what is known of the medium --------------------------------------------- */

static void
learn_limits(PDEVICE_OBJECT fdo)
{
    TAPE_GET_DRIVE_PARAMETERS params = { 0 };
    struct tape_data *data = tape_of(fdo);

    if (data->limits_known)
        return;
    if (!NT_SUCCESS(tapedrv_run(fdo, data->mini->GetDriveParameters, &params,
                                PLACE_ANY)))
        return;
    data->shortest = params.MinimumBlockSize;
    data->longest = params.MaximumBlockSize;
    data->limits_known = TRUE;
}

static NTSTATUS
learn_length(PDEVICE_OBJECT fdo)
{
    TAPE_GET_MEDIA_PARAMETERS params = { 0 };
    struct tape_data *data = tape_of(fdo);
    NTSTATUS status;

    if (InterlockedAnd(&data->news, ~NEWS_LENGTH) & NEWS_LENGTH)
        data->length_known = FALSE;
    if (data->length_known)
        return STATUS_SUCCESS;
    status =
        tapedrv_run(fdo, data->mini->GetMediaParameters, &params, PLACE_KNOWN);
    if (!NT_SUCCESS(status))
        return status;
    data->block_bytes = params.BlockSize;
    data->capacity =
        params.Capacity.QuadPart > 0 ? (ULONGLONG) params.Capacity.QuadPart : 0;
    data->length_known = TRUE;
    learn_limits(fdo);
    return STATUS_SUCCESS;
}

/* --- a drive that warns of the end and never comes to it --------------------- */

static BOOLEAN
is_exhausted(struct tape_data *data, ULONG length)
{
    return data->warned && data->allowance < length;
}

static void
count_written(struct tape_data *data, ULONG bytes, NTSTATUS status,
              BOOLEAN programmable)
{
    ULONGLONG of;

    data->written += bytes;
    data->dirty = data->dirty || bytes != 0;
    if (status != STATUS_END_OF_MEDIA || programmable) {
        if (status == STATUS_SUCCESS)
            data->warned = FALSE;
        return;
    }
    if (!data->warned) {
        of = data->capacity != 0 ? data->capacity : data->written;
        data->allowance = of / 20;
        if (data->capacity == 0 && data->allowance < SMALLEST_ALLOWANCE)
            data->allowance = SMALLEST_ALLOWANCE;
        data->warned = TRUE;
    } else {
        data->allowance -= bytes < data->allowance ? bytes : data->allowance;
    }
}

/* --- one command ------------------------------------------------------------- */

static void
build(struct tape_request *request, BOOLEAN write, ULONG block, ULONG length)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = request->fdo->DeviceExtension;
    PSCSI_REQUEST_BLOCK srb = &request->srb;
    ULONG count = block != 0 ? length / block : length;

    srb->SrbFlags = 0;
    srb->TimeOutValue = ext->TimeOutValue;
    srb->CdbLength = 6;
    RtlZeroMemory(srb->Cdb, sizeof srb->Cdb);
    srb->Cdb[0] = write ? SCSIOP_WRITE6 : SCSIOP_READ6;
    srb->Cdb[1] = block != 0;
    srb->Cdb[2] = (UCHAR) (count >> 16);
    srb->Cdb[3] = (UCHAR) (count >> 8);
    srb->Cdb[4] = (UCHAR) count;
}

/* 00/07: the warning that somebody asked for, far before the end. */
static BOOLEAN
is_programmable(const struct tape_request *request)
{
    const UCHAR *sense = request->sense;

    return (sense[0] & 0x7f) >= 0x72 ? sense[2] == 0 && sense[3] == 0x07
                                     : sense[12] == 0 && sense[13] == 0x07;
}

static ULONG
adapter_most(PDEVICE_OBJECT fdo)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;
    ULONG most = ext->AdapterDescriptor->MaximumTransferLength;

    return most < COUNT_MAX ? most : COUNT_MAX;
}

/* What ended a command of ours would say of the place what is not so, had it
 * ended the read that was asked for. */
static NTSTATUS
as_error(NTSTATUS status)
{
    switch (status) {
    case STATUS_SUCCESS:
    case STATUS_BUFFER_OVERFLOW:
    case STATUS_FILEMARK_DETECTED:
    case STATUS_SETMARK_DETECTED:
    case STATUS_BEGINNING_OF_MEDIA:
    case STATUS_END_OF_MEDIA:
    case STATUS_NO_DATA_DETECTED:
        return STATUS_IO_DEVICE_ERROR;
    default:
        return status;
    }
}

/* Back over the block that was read, and the whole of it. */
static NTSTATUS
read_record(struct tape_request *request, PUCHAR to, ULONG record)
{
    const struct tape_meaning *last = &request->last;
    NTSTATUS status = STATUS_SUCCESS;

    build(request, FALSE, 0, 0);
    request->srb.Cdb[0] = SCSIOP_SPACE;
    RtlFillMemory(request->srb.Cdb + 2, 3, 0xFF); /* -1 */
    if (tapedrv_send(request, NULL, 0, FALSE, 0) != TAPE_STATUS_SUCCESS)
        return as_error(last->status);
    build(request, FALSE, 0, record);
    if (tapedrv_send(request, to, record, FALSE, 0) != TAPE_STATUS_SUCCESS)
        status = last->status;
    if (last->bytes == record && !last->missing &&
        (status == STATUS_SUCCESS || status == STATUS_END_OF_MEDIA))
        return STATUS_SUCCESS;
    return as_error(status);
}

/* tgt sends as much of a block as the room that it leaves, and nothing of one
 * that is longer than the room.  Asked for with its own length it comes whole.
 * Of fixed blocks nobody knows which came. */
static NTSTATUS
read_again(struct tape_request *request, PUCHAR at, ULONG block, ULONG length)
{
    ULONG record = request->last.record;
    PUCHAR to = at;
    NTSTATUS status;

    tape_of(request->fdo)->moved = TRUE;
    request->last.bytes = 0;
    if (block != 0 || record == 0 || record > adapter_most(request->fdo))
        return STATUS_IO_DEVICE_ERROR;
    if (record > length)
        to = ExAllocatePoolWithTag(NonPagedPool, record, TAPE_TAG);
    if (to == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = read_record(request, to, record);
    if (!NT_SUCCESS(status))
        request->last.bytes = 0;
    if (to == at)
        return status;
    if (NT_SUCCESS(status)) {
        RtlCopyMemory(at, to, length);
        request->last.bytes = length;
        status = STATUS_BUFFER_OVERFLOW;
    }
    ExFreePoolWithTag(to, TAPE_TAG);
    return status;
}

static NTSTATUS
send_part(struct tape_request *request, PUCHAR at, BOOLEAN write, ULONG block,
          ULONG length)
{
    struct tape_data *data = request->data;
    NTSTATUS status = STATUS_SUCCESS;

    if (write && is_exhausted(data, length)) {
        request->last.bytes = 0;
        return STATUS_EOM_OVERFLOW;
    }
    build(request, write, block, length);
    request->failed = FALSE;
    if (tapedrv_send(request, at, length, write, 0) != TAPE_STATUS_SUCCESS)
        status = request->last.status;
    if (request->last.missing)
        status = read_again(request, at, block, length);
    if (request->last.bytes > length)
        request->last.bytes = length;
    if (request->last.bytes != 0 || status == STATUS_FILEMARK_DETECTED)
        data->moved = TRUE;
    if (write)
        count_written(data, request->last.bytes, status,
                      is_programmable(request));
    return status;
}

/* --- all of it ---------------------------------------------------------------- */

static NTSTATUS
check_length(PDEVICE_OBJECT fdo, ULONG length, BOOLEAN write)
{
    struct tape_data *data = tape_of(fdo);
    ULONG block = data->block_bytes;

    if (block != 0)
        return length % block != 0 || block > adapter_most(fdo)
                   ? STATUS_INVALID_PARAMETER
                   : STATUS_SUCCESS;
    if (length > adapter_most(fdo) ||
        (write && ((data->longest != 0 && length > data->longest) ||
                   length < data->shortest)))
        return STATUS_INVALID_PARAMETER;
    return STATUS_SUCCESS;
}

static NTSTATUS
prepare(PDEVICE_OBJECT fdo, ULONG length, BOOLEAN write)
{
    struct tape_data *data = tape_of(fdo);
    NTSTATUS status = tapedrv_place_check(fdo);

    if (status == STATUS_SUCCESS)
        status = learn_length(fdo);
    if (status == STATUS_SUCCESS)
        status = check_length(fdo, length, write);
    if (status == STATUS_SUCCESS && data->mini->PreProcessReadWrite != NULL)
        status = tapedrv_run(fdo, data->mini->PreProcessReadWrite, NULL,
                             PLACE_KNOWN);
    return status;
}

static NTSTATUS
transfer(PDEVICE_OBJECT fdo, PIRP irp, ULONG *out_bytes)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    BOOLEAN write = at->MajorFunction == IRP_MJ_WRITE;
    struct tape_data *data = tape_of(fdo);
    ULONG left = at->Parameters.Read.Length, block, most;
    NTSTATUS status = prepare(fdo, left, write);
    struct tape_request request;
    PUCHAR buffer;

    if (status != STATUS_SUCCESS)
        return status;
    buffer = MmGetSystemAddressForMdlSafe(irp->MdlAddress, NormalPagePriority);
    if (buffer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    block = data->block_bytes;
    most = adapter_most(fdo);
    if (block != 0)
        most -= most % block;
    tapedrv_request_init(&request, fdo, PLACE_KNOWN);
    while (left != 0 && status == STATUS_SUCCESS) {
        ULONG part = left < most ? left : most;

        if (__atomic_load_n(&irp->Cancel, __ATOMIC_ACQUIRE))
            return STATUS_CANCELLED;
        status = send_part(&request, buffer, write, block, part);
        buffer += request.last.bytes;
        *out_bytes += request.last.bytes;
        left -= request.last.bytes;
        if (request.last.bytes < part)
            break;
        if (status == STATUS_END_OF_MEDIA && write && left != 0)
            status = STATUS_SUCCESS; /* a warning; the last part repeats it */
    }
    return status;
}

NTSTATUS NTAPI
tapedrv_read_write(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    struct tape_data *data = tape_of(DeviceObject);
    ULONG bytes = 0;
    NTSTATUS status;

    IoMarkIrpPending(Irp);
    tapedrv_begin(data);
    status = transfer(DeviceObject, Irp, &bytes);
    tapedrv_end(data);
    (void) tapedrv_complete(DeviceObject, Irp, status, bytes);
    return STATUS_PENDING;
}

NTSTATUS NTAPI
tapedrv_shutdown_flush(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    struct tape_data *data = tape_of(DeviceObject);
    NTSTATUS status;

    tapedrv_begin(data);
    status = tapedrv_flush(DeviceObject);
    tapedrv_end(data);
    return tapedrv_complete(DeviceObject, Irp, status, 0);
}
