/*
 * transfer.c - reads, writes, flushes: the hot path
 *
 * A transfer longer than the adapter takes goes in parts, one after the other
 * with the same request; the first failure ends it, so no part is sent after
 * one that failed.  Before each part the attention number is taken, the key
 * compared and the block size looked up (request.c, admit); when the capacity
 * of this medium is not known yet, the request reads it first.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

/* What the command in the SRB is. */
enum { STAGE_PART, STAGE_CAPACITY, STAGE_CAPACITY16, STAGE_SYNC };

/*
 * Key: a volume file system's promise, the media change count under which it
 * verified the volume.  Reads, writes and flushes carry it in Read.Key, device
 * controls in Type3InputBuffer, with SL_KEY_SPECIFIED in Flags.
 */
VOID NTAPI
class_take_key(struct class_request *request, PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);

    request->flags |= REQ_STAMPED;
    if (!(at->Flags & SL_OVERRIDE_VERIFY_VOLUME))
        request->flags |= REQ_GATED;
    if (!(at->Flags & SL_KEY_SPECIFIED))
        return;
    request->flags |= REQ_KEYED;
    request->key = at->MajorFunction == IRP_MJ_DEVICE_CONTROL
                       ? (ULONG) (ULONG_PTR)
                             at->Parameters.DeviceIoControl.Type3InputBuffer
                       : at->Parameters.Read.Key;
}

/* --- flush ---------------------------------------------------------------- */

VOID NTAPI
class_sync_command(struct class_request *request)
{
    static const UCHAR cdb[10] = { SCSIOP_SYNCHRONIZE_CACHE };

    class_command(request, cdb, sizeof cdb, NULL, 0, FALSE);
    request->srb.TimeOutValue *= 4;
}

/* By the standard's words for it, which are said of nothing else. */
static BOOLEAN
is_unknown_command(struct class_request *request, NTSTATUS status)
{
    struct class_sense sense;

    return status == STATUS_INVALID_DEVICE_REQUEST &&
           class_parse_sense(request->sense, request->srb.SenseInfoBufferLength,
                             &sense) &&
           sense.key == SCSI_SENSE_ILLEGAL_REQUEST &&
           sense.asc == SCSI_ADSENSE_ILLEGAL_COMMAND && sense.ascq == 0;
}

/* A drive that does not know the command has no cache to lose; it has to say so
 * twice.  Any other refusal, or one by a drive that did it before, has not
 * flushed. */
static enum class_next
end_sync(struct class_request *request, NTSTATUS *status)
{
    class_device *dev = request->dev;
    enum class_sync_state sync = __atomic_load_n(&dev->sync, __ATOMIC_RELAXED);

    if (NT_SUCCESS(*status) && sync != SYNC_KNOWN)
        __atomic_store_n(&dev->sync, SYNC_KNOWN, __ATOMIC_RELAXED);
    if (sync == SYNC_KNOWN || !is_unknown_command(request, *status))
        return NEXT_COMPLETE;
    if (sync == SYNC_UNTRIED) {
        __atomic_store_n(&dev->sync, SYNC_DENIED, __ATOMIC_RELAXED);
        class_sync_command(request);
        return NEXT_SEND;
    }
    /* Unless another flush was carried out meanwhile. */
    if (__atomic_compare_exchange_n(&dev->sync, &sync, SYNC_NONE, FALSE,
                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED) ||
        sync == SYNC_NONE)
        *status = STATUS_SUCCESS;
    return NEXT_COMPLETE;
}

static BOOLEAN
has_no_sync(const class_device *dev)
{
    return __atomic_load_n(&dev->sync, __ATOMIC_RELAXED) == SYNC_NONE;
}

static enum class_next NTAPI
flush_finish(struct class_request *request, NTSTATUS *status)
{
    request->information = 0;
    return end_sync(request, status);
}

NTSTATUS NTAPI
class_flush(PDEVICE_OBJECT fdo, PIRP irp)
{
    class_device *dev = class_dev(fdo);
    struct class_request *request = class_request_new(dev, irp);

    if (request == NULL)
        return class_complete(dev, irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    class_take_key(request, irp);
    if (dev->read_only_type || has_no_sync(dev)) {
        BOOLEAN verify =
            request->flags & REQ_GATED && class_verify_set(dev->fdo);

        class_request_free(request);
        return class_complete(
            dev, irp, verify ? STATUS_VERIFY_REQUIRED : STATUS_SUCCESS, 0);
    }
    class_sync_command(request);
    request->finish = flush_finish;
    return class_send(request);
}

/* --- parts of a transfer -------------------------------------------------- */

FORCEINLINE BOOLEAN
is_write(const struct class_request *request)
{
    return IoGetCurrentIrpStackLocation(request->original)->MajorFunction ==
           IRP_MJ_WRITE;
}

FORCEINLINE BOOLEAN
wants_through(const struct class_request *request)
{
    return (IoGetCurrentIrpStackLocation(request->original)->Flags &
            SL_WRITE_THROUGH) != 0;
}

static class_finish_fn transfer_finish;

static void
build_part(struct class_request *request, UCHAR shift, BOOLEAN write)
{
    PSCSI_REQUEST_BLOCK srb = &request->srb;
    PFUNCTIONAL_DEVICE_EXTENSION ext = request->dev->ext;
    ULONGLONG block = request->offset >> shift;
    ULONG blocks;

    request->part = request->left;
    if (request->part > request->limit)
        request->part = request->limit;
    blocks = request->part >> shift;
    srb->Length = sizeof *srb;
    srb->TimeOutValue = ext->TimeOutValue;
    srb->SrbFlags =
        class_srb_flags(ext) | (write ? SRB_FLAGS_DATA_OUT : SRB_FLAGS_DATA_IN);
    srb->DataBuffer = request->data;
    request->length = request->part;
    if (block + blocks <= 0xFFFFFFFFull && blocks <= 0xFFFF) {
        srb->CdbLength = 10;
        srb->Cdb[0] = write ? SCSIOP_WRITE : SCSIOP_READ;
        class_put_be32(srb->Cdb + 2, (ULONG) block);
        class_put_be16(srb->Cdb + 7, blocks);
    } else {
        srb->CdbLength = 16;
        srb->Cdb[0] = write ? SCSIOP_WRITE16 : SCSIOP_READ16;
        class_put_be64(srb->Cdb + 2, block);
        class_put_be32(srb->Cdb + 10, blocks);
        srb->Cdb[14] = 0;
    }
    srb->Cdb[1] = 0;
    if (write && wants_through(request)) {
        if (request->dev->no_fua)
            request->finish = transfer_finish;
        else
            srb->Cdb[1] = 0x08;
    }
}

/* The medium's block size is not known, or the request does not fit it. */
static enum class_next NTAPI __attribute__((noinline))
prepare_slow(struct class_request *request, NTSTATUS *status)
{
    if (!__atomic_load_n(&request->dev->capacity.valid, __ATOMIC_ACQUIRE)) {
        if (request->stage != STAGE_CAPACITY16) {
            request->stage = STAGE_CAPACITY;
            request->spent = request->retry_number;
            class_capacity_command(request, FALSE);
        }
        request->finish = transfer_finish;
        return NEXT_SEND;
    }
    *status = STATUS_INVALID_PARAMETER;
    return NEXT_COMPLETE;
}

static enum class_next NTAPI
transfer_prepare(struct class_request *request, NTSTATUS *status)
{
    class_device *dev = request->dev;
    UCHAR shift;
    ULONG mask;

    if (request->stage == STAGE_SYNC)
        return NEXT_SEND;
    if (request->stage == STAGE_PART && request->left == 0) {
        *status = STATUS_SUCCESS;
        return NEXT_COMPLETE;
    }
    if (__builtin_expect(
            !__atomic_load_n(&dev->capacity.valid, __ATOMIC_ACQUIRE), 0))
        return prepare_slow(request, status);
    shift = __atomic_load_n(&dev->capacity.shift, __ATOMIC_RELAXED);
    mask = (1u << shift) - 1;
    if (__builtin_expect(((ULONG) request->offset | request->left) & mask, 0))
        return prepare_slow(request, status);
    request->stage = STAGE_PART;
    build_part(request, shift, is_write(request));
    return NEXT_SEND;
}

/* After the capacity, the parts; after the last part, perhaps a flush. */
static enum class_next NTAPI
transfer_finish(struct class_request *request, NTSTATUS *status)
{
    class_device *dev = request->dev;

    if (request->stage == STAGE_SYNC)
        return end_sync(request, status);
    if (!NT_SUCCESS(*status))
        return NEXT_COMPLETE;
    if (request->stage == STAGE_CAPACITY ||
        request->stage == STAGE_CAPACITY16) {
        if (!class_capacity_reply(request,
                                  request->stage == STAGE_CAPACITY16)) {
            request->stage = STAGE_CAPACITY16;
            class_capacity_command(request, TRUE);
            return NEXT_SEND;
        }
        request->stage = STAGE_PART;
        request->retry_number = request->spent;
        return NEXT_SEND;
    }
    request->information += request->srb.DataTransferLength;
    request->data += request->part;
    request->offset += request->part;
    request->left -= request->part;
    if (request->srb.DataTransferLength < request->part)
        return NEXT_COMPLETE;
    if (request->left != 0)
        return NEXT_SEND;
    if (dev->no_fua && !has_no_sync(dev) && is_write(request) &&
        wants_through(request)) {
        request->stage = STAGE_SYNC;
        class_sync_command(request);
        return NEXT_SEND;
    }
    return NEXT_COMPLETE;
}

/* --- the dispatch routine ------------------------------------------------- */

/* What was found wrong before a request was made. */
static NTSTATUS NTAPI __attribute__((noinline))
refuse(class_device *dev, PIRP irp, NTSTATUS status)
{
    return class_complete(dev, irp, status, 0);
}

/* A driver may look at the transfer first (CLASS_READ_WRITE). */
static BOOLEAN
driver_takes(class_device *dev, PIRP irp, NTSTATUS *status)
{
    PCLASS_DEV_INFO info = dev->ext->CommonExtension.DevInfo;

    if (info->ClassReadWriteVerification == NULL)
        return FALSE;
    *status = info->ClassReadWriteVerification(dev->fdo, irp);
    if (NT_SUCCESS(*status) && *status != STATUS_PENDING)
        return FALSE;
    if (*status != STATUS_PENDING)
        (void) refuse(dev, irp, *status);
    return TRUE;
}

NTSTATUS NTAPI
class_transfer(PDEVICE_OBJECT fdo, PIRP irp, ULONG limit)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    class_device *dev = class_dev(fdo);
    struct class_request *request = class_request_new(dev, irp);

    if (request == NULL)
        return refuse(dev, irp, STATUS_INSUFFICIENT_RESOURCES);
    class_take_key(request, irp);
    request->flags |= REQ_REPORT;
    if (__builtin_expect(dev->legacy_errors, 0))
        request->retries = CLASS_LEGACY_RETRIES;
    request->offset = (ULONGLONG) at->Parameters.Read.ByteOffset.QuadPart;
    request->left = at->Parameters.Read.Length;
    request->limit = limit;
    request->data = MmGetMdlVirtualAddress(irp->MdlAddress);
    request->prepare = transfer_prepare;
    if (request->left > limit)
        request->finish = transfer_finish;
    return class_send(request);
}

NTSTATUS NTAPI
class_read_write(PDEVICE_OBJECT fdo, PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    class_device *dev = class_dev(fdo);
    NTSTATUS status;

    /* Precedes every other test of the request. */
    if (class_verify_set(fdo) && !(at->Flags & SL_OVERRIDE_VERIFY_VOLUME))
        return refuse(dev, irp, STATUS_VERIFY_REQUIRED);
    if (at->Parameters.Read.Length == 0)
        return refuse(dev, irp, STATUS_SUCCESS);
    /* A tape is wherever it is: the offset means nothing. */
    if (irp->MdlAddress == NULL ||
        (at->Parameters.Read.ByteOffset.QuadPart < 0 &&
         fdo->DeviceType != FILE_DEVICE_TAPE))
        return refuse(dev, irp, STATUS_INVALID_PARAMETER);
    if (driver_takes(dev, irp, &status))
        return status;
    return class_transfer(
        fdo, irp, __atomic_load_n(&dev->max_transfer, __ATOMIC_RELAXED));
}
