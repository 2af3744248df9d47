/*
 * act.c - act on what a failed request means
 *
 * decide.c says what; here it is done: the queue released, the media change
 * counted, the state of the drive noted, the miniclass driver asked, the log
 * written.  The retry itself is request.c's.  <= DISPATCH.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

#include <ioevent.h>
#include <ntiologc.h>

#include "base/trace.h"

#define ERRORS_SIMPLIFY 4 /* no tags, no synchronous transfers */
#define ERRORS_SIMPLEST 8 /* no disconnects either */

/* --- the medium may be another -------------------------------------------- */

BOOLEAN NTAPI
class_is_mounted(PDEVICE_OBJECT fdo)
{
    BOOLEAN mounted;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    mounted = fdo->Vpb != NULL && (fdo->Vpb->Flags & VPB_MOUNTED) != 0;
    IoReleaseVpbSpinLock(irql);
    return mounted;
}

BOOLEAN NTAPI
class_require_verify(class_device *dev)
{
    if (!class_is_mounted(dev->fdo))
        return FALSE;
    InterlockedOr((LONG volatile *) &dev->fdo->Flags, DO_VERIFY_VOLUME);
    return TRUE;
}

/*
 * The order makes a stale request impossible: first the flag, then the count,
 * then the attention number.  Whoever reads the new number also sees the new
 * count; whoever still has the old number is refused by the port.  The count
 * grows by what the number grew, so that each UNIT ATTENTION counts once, also
 * one that somebody else took from the drive.
 */
VOID NTAPI
class_note_attention(class_device *dev, ULONG number)
{
    ULONG *count = &dev->ext->MediaChangeCount;
    LONG grown = 1;
    KIRQL irql;

    KeAcquireSpinLock(&dev->change_lock, &irql);
    if (number != 0)
        grown = (LONG) (number - dev->attention);
    if (dev->removable)
        (void) class_require_verify(dev);
    if (grown > 0) {
        __atomic_store_n(count, *count + (ULONG) grown, __ATOMIC_RELEASE);
        __atomic_store_n(&dev->capacity.valid, FALSE, __ATOMIC_RELEASE);
        if (number != 0)
            __atomic_store_n(&dev->attention, number, __ATOMIC_RELEASE);
    }
    KeReleaseSpinLock(&dev->change_lock, irql);
    class_evidence_counted(dev);
    TRACE(TRACE_VERIFY, "dev=%p attention=%u count=%u", (void *) dev->fdo,
          number, class_change_count(dev));
}

/* The port refused a stamp: somebody else took a UNIT ATTENTION. */
static void
catch_up(class_device *dev, ULONG number)
{
    ULONG known = __atomic_load_n(&dev->attention, __ATOMIC_ACQUIRE);

    if (number != 0 && (LONG) (number - known) > 0)
        class_note_attention(dev, number);
}

/* --- one act each --------------------------------------------------------- */

static void
count_error(class_device *dev)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = dev->ext;
    LONG errors = InterlockedIncrement((LONG volatile *) &ext->ErrorCount);

    if (errors == ERRORS_SIMPLIFY) {
        InterlockedAnd(
            (LONG volatile *) &ext->SrbFlags,
            ~(SRB_FLAGS_QUEUE_ACTION_ENABLE | SRB_FLAGS_NO_QUEUE_FREEZE));
        InterlockedOr((LONG volatile *) &ext->SrbFlags,
                      SRB_FLAGS_DISABLE_SYNCH_TRANSFER);
    } else if (errors == ERRORS_SIMPLEST) {
        InterlockedOr((LONG volatile *) &ext->SrbFlags,
                      SRB_FLAGS_DISABLE_DISCONNECT);
    }
}

static void
becoming_ready(class_device *dev, ULONG reason)
{
    DEVICE_EVENT_BECOMING_READY event = {
        .Version = 1,
        .Reason = reason,
        .Estimated100msToReady = 100,
    };

    class_notify(dev, &GUID_IO_DEVICE_BECOMING_READY, &event, sizeof event);
}

static void
eject_request(class_device *dev)
{
    class_notify(dev, &GUID_IO_MEDIA_EJECT_REQUEST, NULL, 0);
}

static void
act_on(class_device *dev, PSCSI_REQUEST_BLOCK srb, ULONG act)
{
    if (act & CLASS_ACT_COUNT)
        count_error(dev);
    if (act & CLASS_ACT_ATTENTION)
        class_note_attention(dev, srb->QueueSortKey);
    if (act & CLASS_ACT_PRESENT)
        class_set_state(dev, MediaPresent, FALSE, TRUE);
    /* A port may count the departure already. */
    if (act & CLASS_ACT_NO_MEDIUM && srb->QueueSortKey != 0)
        catch_up(dev, srb->QueueSortKey);
    if (act & CLASS_ACT_NO_MEDIUM)
        class_set_state(dev, MediaNotPresent, FALSE, FALSE);
    if (act & CLASS_ACT_UNAVAILABLE)
        class_set_state(dev, MediaUnavailable, FALSE, FALSE);
    if (act & CLASS_ACT_START_UNIT)
        ClassSendStartUnit(dev->fdo);
    if (act & CLASS_ACT_BECOMING_READY)
        becoming_ready(dev, 1);
    if (act & CLASS_ACT_OPERATION)
        becoming_ready(dev, 2);
    if (act & CLASS_ACT_EJECT_REQUEST)
        eject_request(dev);
    if (act & CLASS_ACT_PREDICTED)
        ClassNotifyFailurePredicted(dev->ext, NULL, 0, TRUE, 258, srb->PathId,
                                    srb->TargetId, srb->Lun);
    if (act & CLASS_ACT_REENUMERATE)
        IoInvalidateDeviceRelations(dev->ext->LowerPdo, BusRelations);
    if (act & (CLASS_ACT_ATTENTION | CLASS_ACT_NO_MEDIUM))
        class_wake_waiting(dev, WAKE_NEWS);
}

/* --- the log -------------------------------------------------------------- */

/* Dump data of an entry. */
struct dump {
    SCSI_REQUEST_BLOCK srb;
    UCHAR sense[SENSE_BUFFER_SIZE];
};

struct log_record {
    NTSTATUS code;
    ULONG id;
    NTSTATUS final;
    ULONG retry_number;
    ULONGLONG offset; /* bytes */
};

/* First block and number of blocks of a read or write; FALSE: it is none. */
static BOOLEAN
range_of(const UCHAR *cdb, ULONGLONG *out_first, ULONGLONG *out_blocks)
{
    if (cdb[0] == SCSIOP_READ || cdb[0] == SCSIOP_WRITE) {
        *out_first = class_get_be32(cdb + 2);
        *out_blocks = class_get_be16(cdb + 7);
    } else if (cdb[0] == SCSIOP_READ16 || cdb[0] == SCSIOP_WRITE16) {
        *out_first = class_get_be64(cdb + 2);
        *out_blocks = class_get_be32(cdb + 10);
    } else {
        return FALSE;
    }
    return TRUE;
}

/* Where it happened: what the drive says, if that is in the request. */
static ULONGLONG
offset_of(class_device *dev, const SCSI_REQUEST_BLOCK *srb,
          const struct class_decision *decision)
{
    ULONGLONG first, blocks;

    if (!range_of(srb->Cdb, &first, &blocks))
        return 0;
    if (decision->sense.info_valid && decision->sense.info >= first &&
        decision->sense.info - first < blocks)
        first = decision->sense.info;
    return first << __atomic_load_n(&dev->capacity.shift, __ATOMIC_RELAXED);
}

static void
write_log(class_device *dev, PSCSI_REQUEST_BLOCK srb, PIRP irp,
          const struct log_record *record)
{
    PIO_STACK_LOCATION at =
        irp != NULL ? IoGetCurrentIrpStackLocation(irp) : NULL;
    ULONG sense = srb->SenseInfoBufferLength;
    PIO_ERROR_LOG_PACKET packet;
    struct dump dump = { .srb = *srb };
    UCHAR size =
        (UCHAR) (offsetof(IO_ERROR_LOG_PACKET, DumpData) + sizeof dump);

    packet = IoAllocateErrorLogEntry(dev->fdo, size);
    if (packet == NULL)
        return;
    RtlZeroMemory(packet, size);
    packet->ErrorCode =
        record->code != 0 ? record->code : STATUS_IO_DEVICE_ERROR;
    packet->UniqueErrorValue = record->id;
    packet->FinalStatus = record->final;
    packet->RetryCount = (UCHAR) record->retry_number;
    if (at != NULL) {
        packet->MajorFunctionCode = at->MajorFunction;
        if (at->MajorFunction == IRP_MJ_DEVICE_CONTROL)
            packet->IoControlCode =
                at->Parameters.DeviceIoControl.IoControlCode;
    }
    packet->DeviceOffset.QuadPart = (LONGLONG) record->offset;
    if (srb->SrbStatus & SRB_STATUS_AUTOSENSE_VALID &&
        srb->SenseInfoBuffer != NULL)
        RtlCopyMemory(dump.sense, srb->SenseInfoBuffer,
                      sense < sizeof dump.sense ? sense : sizeof dump.sense);
    packet->DumpDataSize = sizeof dump;
    RtlCopyMemory(packet->DumpData, &dump, sizeof dump);
    IoWriteErrorLogEntry(packet);
}

/* Kinds of request that would fill the log; TRUE: this one is in it already. */
static BOOLEAN
logged_before(class_device *dev, const SCSI_REQUEST_BLOCK *srb)
{
    if (srb->Cdb[0] == SCSIOP_TEST_UNIT_READY)
        return (InterlockedOr(&dev->due, CLASS_DUE_LOG_AGAIN) &
                CLASS_DUE_LOG_AGAIN) != 0;
    if (srb->Cdb[0] == SCSIOP_SYNCHRONIZE_CACHE)
        return InterlockedExchange(&dev->logged_sync, 1) != 0;
    return FALSE;
}

/* What is logged of a request without an entry in the tables: one for the
 * paging file that fails for good, and the first retry of a transfer. */
static void
choose_record(const struct class_attempt *attempt,
              const SCSI_REQUEST_BLOCK *srb,
              const struct class_decision *decision,
              const struct class_outcome *out, struct log_record *record)
{
    BOOLEAN again = out->retry && !attempt->last;
    ULONGLONG first, blocks;

    if (attempt->irp != NULL && attempt->irp->Flags & IRP_PAGING_IO && !again &&
        !NT_SUCCESS(out->status) &&
        srb->ScsiStatus != SCSISTAT_RESERVATION_CONFLICT) {
        record->code = IO_WARNING_PAGING_FAILURE;
        record->id = 301;
    } else if (decision->log_retry && again && record->retry_number == 0 &&
               range_of(srb->Cdb, &first, &blocks)) {
        record->code = IO_WARNING_IO_OPERATION_RETRIED;
    }
}

static void
log_failure(class_device *dev, PSCSI_REQUEST_BLOCK srb,
            const struct class_attempt *attempt,
            const struct class_decision *decision,
            const struct class_outcome *out)
{
    struct log_record record = {
        .code = decision->log_code,
        .id = decision->log_id,
        .final = out->retry && !attempt->last ? STATUS_SUCCESS : out->status,
        .retry_number = attempt->retry_number,
        .offset = offset_of(dev, srb, decision),
    };

    if (record.code == IO_WRN_FAILURE_PREDICTED)
        return; /* written when it was predicted first */
    if (record.code == 0)
        choose_record(attempt, srb, decision, out, &record);
    if (record.code == 0 || logged_before(dev, srb))
        return;
    write_log(dev, srb, attempt->irp, &record);
}

/* --- all of it ------------------------------------------------------------ */

static BOOLEAN
inside_capacity(class_device *dev, const SCSI_REQUEST_BLOCK *srb)
{
    ULONGLONG first, blocks;
    BOOLEAN inside;
    KIRQL irql;

    if (!range_of(srb->Cdb, &first, &blocks))
        return FALSE;
    KeAcquireSpinLock(&dev->change_lock, &irql);
    inside = dev->capacity.valid && first < dev->capacity.blocks &&
             blocks <= dev->capacity.blocks - first;
    KeReleaseSpinLock(&dev->change_lock, irql);
    return inside;
}

static ULONG
circumstances(class_device *dev, const SCSI_REQUEST_BLOCK *srb)
{
    ULONG is = 0;

    if (dev->removable)
        is |= CLASS_IF_REMOVABLE;
    if (class_is_mounted(dev->fdo))
        is |= CLASS_IF_MOUNTED;
    if (class_verify_set(dev->fdo))
        is |= CLASS_IF_VERIFY;
    if (dev->ext->DeviceFlags & DEV_SAFE_START_UNIT)
        is |= CLASS_IF_SAFE_START;
    if (srb->SrbFlags & SRB_CLASS_FLAGS_LOW_PRIORITY)
        is |= CLASS_IF_LOW_PRIORITY;
    if (inside_capacity(dev, srb))
        is |= CLASS_IF_INSIDE;
    if (dev->ext->ScanForSpecialFlags & CLASS_SPECIAL_CAUSE_NOT_REPORTABLE_HACK)
        is |= CLASS_IF_SPECIAL;
    if (dev->legacy_errors)
        is |= CLASS_IF_LEGACY;
    return is;
}

/* RESERVE(6) and RELEASE(6) that the drive no longer knows have successors. */
static void
modernise(class_device *dev, PSCSI_REQUEST_BLOCK srb, struct class_outcome *out)
{
    if ((srb->Cdb[0] != SCSIOP_RESERVE_UNIT &&
         srb->Cdb[0] != SCSIOP_RELEASE_UNIT) ||
        srb->CdbLength != 6 || out->status != STATUS_INVALID_DEVICE_REQUEST)
        return;
    srb->Cdb[0] = srb->Cdb[0] == SCSIOP_RESERVE_UNIT ? SCSIOP_RESERVE_UNIT10
                                                     : SCSIOP_RELEASE_UNIT10;
    srb->CdbLength = 10;
    dev->ten_byte_reserve = TRUE;
    out->retry = TRUE;
}

VOID NTAPI
class_act(class_device *dev, PSCSI_REQUEST_BLOCK srb,
          const struct class_attempt *attempt, struct class_outcome *out)
{
    PCLASS_DEV_INFO info = dev->ext->CommonExtension.DevInfo;
    struct class_decision decision;
    struct class_failure failure;

    if (srb->SrbStatus & SRB_STATUS_QUEUE_FROZEN)
        ClassReleaseQueue(dev->fdo);
    if (SRB_STATUS(srb->SrbStatus) == SRB_STATUS_REQUEST_FLUSHED)
        catch_up(dev, srb->QueueSortKey);
    failure = (struct class_failure){
        .srb_status = srb->SrbStatus,
        .scsi_status = srb->ScsiStatus,
        .internal_status = (NTSTATUS) srb->InternalStatus,
        .sense = srb->SenseInfoBuffer,
        .sense_len = srb->SenseInfoBufferLength,
        .cdb = srb->Cdb,
        .transferred = srb->DataTransferLength,
        .retry_number = attempt->retry_number,
        .circumstances = circumstances(dev, srb),
    };
    class_decide(&failure, &decision);
    out->status = decision.status;
    out->retry = decision.retry;
    out->delay_s = decision.delay_s;
    out->sense = decision.sense;
    out->sense_valid = decision.sense_valid;
    if (decision.act & CLASS_ACT_COUNT && out->delay_s == 0)
        out->delay_s = 1;
    TRACE(TRACE_SCSI, "dev=%p op=%02x srb=%02x sense=%x/%02x/%02x: %s",
          (void *) dev->fdo, srb->Cdb[0], srb->SrbStatus, decision.sense.key,
          decision.sense.asc, decision.sense.ascq, decision.text);
    if (decision.sense_valid && decision.sense.key == SCSI_SENSE_NOT_READY)
        class_evidence_sense(dev, &decision.sense, srb->QueueSortKey);
    act_on(dev, srb, decision.act);
    if (decision.sense_valid && decision.sense.key == SCSI_SENSE_UNIT_ATTENTION)
        class_evidence_sense(dev, &decision.sense, srb->QueueSortKey);
    if (info != NULL && info->ClassError != NULL)
        info->ClassError(dev->fdo, srb, &out->status, &out->retry);
    if (dev->ext->ScanForSpecialFlags & CLASS_SPECIAL_FUA_NOT_SUPPORTED)
        dev->no_fua = TRUE;
    modernise(dev, srb, out);
    if (!attempt->quiet)
        log_failure(dev, srb, attempt, &decision, out);
}

/* --- documented routines over it ------------------------------------------ */

/* RetryInterval is in seconds.  TRUE: worth a retry. */
BOOLEAN NTAPI
ClassInterpretSenseInfo(PDEVICE_OBJECT Fdo, PSCSI_REQUEST_BLOCK Srb,
                        UCHAR MajorFunctionCode, ULONG IoDeviceCode,
                        ULONG RetryCount, NTSTATUS *Status,
                        ULONG *RetryInterval)
{
    const struct class_attempt attempt = { .retry_number = RetryCount };
    struct class_outcome out = { 0 };

    class_act(class_dev(Fdo), Srb, &attempt, &out);
    *Status = out.status;
    if (RetryInterval != NULL)
        *RetryInterval = out.delay_s;
    return out.retry;
}
