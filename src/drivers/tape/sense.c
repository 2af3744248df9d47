/*
 * sense.c - what a command that failed means for a tape: a pure function
 *
 * On a tape much that comes with sense data is no failure: marks, ends, blocks
 * of another length.  How far a command got is what INFORMATION says; the
 * transport's count is believed only where that is missing.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tape/tape_internal.h"

#define ANY      0x100

#define LOST     0x1
#define CHANGED  0x2
#define HARMLESS 0x4
#define CLEANING 0x8

static const struct row {
    USHORT key, asc, ascq;
    UCHAR tape, flags;
    NTSTATUS status;
} rows[] = {
#define ROW(key, asc, ascq, tape, status, flags)                               \
    { key, asc, ascq, TAPE_STATUS_##tape, flags, status },
#include "tape/sense.def"
#undef ROW
};

/* --- TAPE_STATUS ------------------------------------------------------------ */

NTSTATUS
tapedrv_nt_status(TAPE_STATUS tape)
{
    static const NTSTATUS statuses[] = {
        [TAPE_STATUS_SUCCESS] = STATUS_SUCCESS,
        [TAPE_STATUS_INSUFFICIENT_RESOURCES] = STATUS_INSUFFICIENT_RESOURCES,
        [TAPE_STATUS_NOT_IMPLEMENTED] = STATUS_NOT_IMPLEMENTED,
        [TAPE_STATUS_INVALID_DEVICE_REQUEST] = STATUS_INVALID_DEVICE_REQUEST,
        [TAPE_STATUS_INVALID_PARAMETER] = STATUS_INVALID_PARAMETER,
        [TAPE_STATUS_MEDIA_CHANGED] = STATUS_VERIFY_REQUIRED,
        [TAPE_STATUS_BUS_RESET] = STATUS_BUS_RESET,
        [TAPE_STATUS_SETMARK_DETECTED] = STATUS_SETMARK_DETECTED,
        [TAPE_STATUS_FILEMARK_DETECTED] = STATUS_FILEMARK_DETECTED,
        [TAPE_STATUS_BEGINNING_OF_MEDIA] = STATUS_BEGINNING_OF_MEDIA,
        [TAPE_STATUS_END_OF_MEDIA] = STATUS_END_OF_MEDIA,
        [TAPE_STATUS_BUFFER_OVERFLOW] = STATUS_BUFFER_OVERFLOW,
        [TAPE_STATUS_NO_DATA_DETECTED] = STATUS_NO_DATA_DETECTED,
        [TAPE_STATUS_EOM_OVERFLOW] = STATUS_EOM_OVERFLOW,
        [TAPE_STATUS_NO_MEDIA] = STATUS_NO_MEDIA,
        [TAPE_STATUS_IO_DEVICE_ERROR] = STATUS_IO_DEVICE_ERROR,
        [TAPE_STATUS_UNRECOGNIZED_MEDIA] = STATUS_UNRECOGNIZED_MEDIA,
        [TAPE_STATUS_DEVICE_NOT_READY] = STATUS_DEVICE_NOT_READY,
        [TAPE_STATUS_MEDIA_WRITE_PROTECTED] = STATUS_MEDIA_WRITE_PROTECTED,
        [TAPE_STATUS_DEVICE_DATA_ERROR] = STATUS_DEVICE_DATA_ERROR,
        [TAPE_STATUS_NO_SUCH_DEVICE] = STATUS_NO_SUCH_DEVICE,
        [TAPE_STATUS_INVALID_BLOCK_LENGTH] = STATUS_INVALID_BLOCK_LENGTH,
        [TAPE_STATUS_IO_TIMEOUT] = STATUS_IO_TIMEOUT,
        [TAPE_STATUS_DEVICE_NOT_CONNECTED] = STATUS_DEVICE_NOT_CONNECTED,
        [TAPE_STATUS_DATA_OVERRUN] = STATUS_DATA_OVERRUN,
        [TAPE_STATUS_DEVICE_BUSY] = STATUS_DEVICE_BUSY,
        [TAPE_STATUS_REQUIRES_CLEANING] = STATUS_DEVICE_REQUIRES_CLEANING,
        [TAPE_STATUS_CLEANER_CARTRIDGE_INSTALLED] =
            STATUS_CLEANER_CARTRIDGE_INSTALLED,
    };

    if ((ULONG) tape >= RTL_NUMBER_OF(statuses) || tape < TAPE_STATUS_SUCCESS)
        return STATUS_IO_DEVICE_ERROR;
    return statuses[tape];
}

/* --- commands --------------------------------------------------------------- */

BOOLEAN
tapedrv_is_motion(const SCSI_REQUEST_BLOCK *srb)
{
    switch (srb->Cdb[0]) {
    case SCSIOP_REWIND:
    case SCSIOP_FORMAT_UNIT: /* FORMAT MEDIUM */
    case SCSIOP_READ6:
    case SCSIOP_WRITE6:
    case 0x0F: /* READ REVERSE */
    case SCSIOP_WRITE_FILEMARKS:
    case SCSIOP_SPACE:
    case 0x13: /* VERIFY */
    case SCSIOP_ERASE:
    case SCSIOP_LOAD_UNLOAD:
    case SCSIOP_LOCATE:
    case SCSIOP_WRITE_FILEMARKS16:
    case SCSIOP_SPACE16:
    case SCSIOP_LOCATE16:
    case SCSIOP_ERASE16:
        return TRUE;
    default:
        return FALSE;
    }
}

static BOOLEAN
is_transfer(const SCSI_REQUEST_BLOCK *srb)
{
    return srb->Cdb[0] == SCSIOP_READ6 || srb->Cdb[0] == SCSIOP_WRITE6;
}

/* Bytes of a block that a transfer counts in; 0: it counts bytes. */
static ULONG
counted_in(const SCSI_REQUEST_BLOCK *srb, ULONG length)
{
    ULONG blocks = (ULONG) srb->Cdb[2] << 16 | srb->Cdb[3] << 8 | srb->Cdb[4];

    return srb->Cdb[1] & 1 && blocks != 0 ? length / blocks : 0;
}

/* --- sense data -------------------------------------------------------------- */

struct sense {
    UCHAR key, asc, ascq;
    BOOLEAN deferred, filemark, eom, ili, valid;
    BOOLEAN cut; /* descriptors were longer than the buffer */
    LONGLONG info;
};

static ULONG
be32(const UCHAR *at)
{
    return (ULONG) at[0] << 24 | (ULONG) at[1] << 16 | (ULONG) at[2] << 8 |
           at[3];
}

static void
take_bits(struct sense *out, UCHAR bits)
{
    out->filemark = (bits & 0x80) != 0;
    out->eom = (bits & 0x40) != 0;
    out->ili = (bits & 0x20) != 0;
}

static void
take_descriptors(struct sense *out, const UCHAR *sense, ULONG len)
{
    ULONG at;

    for (at = 8; at + 4 <= len && at + 2u + sense[at + 1] <= len;
         at += 2u + sense[at + 1]) {
        if (sense[at] == 0x04)
            take_bits(out, sense[at + 3]);
        if (sense[at] == 0x00 && sense[at + 1] >= 10) {
            out->valid = (sense[at + 2] & 0x80) != 0;
            out->info = (LONGLONG) ((ULONGLONG) be32(sense + at + 4) << 32 |
                                    be32(sense + at + 8));
        }
    }
}

/* The codes tell of marks and ends, too, and come first. */
static void
guess_bits(struct sense *out)
{
    if (!out->cut || out->key > 1 || out->asc != 0)
        return;
    out->filemark = out->filemark || out->ascq == 0x01 || out->ascq == 0x03;
    out->eom = out->eom || out->ascq == 0x02 || out->ascq == 0x04;
}

/* FALSE: there are none. */
static BOOLEAN
parse(const SCSI_REQUEST_BLOCK *srb, struct sense *out)
{
    const UCHAR *sense = srb->SenseInfoBuffer;
    ULONG len = srb->SenseInfoBufferLength;

    RtlZeroMemory(out, sizeof *out);
    if (!(srb->SrbStatus & SRB_STATUS_AUTOSENSE_VALID) || sense == NULL ||
        len < 8)
        return FALSE;
    out->cut = len < 8u + sense[7];
    if (len > 8u + sense[7])
        len = 8u + sense[7];
    out->deferred = (sense[0] & 0x7f) == 0x71 || (sense[0] & 0x7f) == 0x73;
    if ((sense[0] & 0x7f) >= 0x72) {
        out->key = sense[1] & 0x0f;
        out->asc = sense[2];
        out->ascq = sense[3];
        take_descriptors(out, sense, len);
        guess_bits(out);
        return TRUE;
    }
    out->cut = FALSE; /* what counts is in front */
    out->key = sense[2] & 0x0f;
    take_bits(out, sense[2]);
    out->valid = (sense[0] & 0x80) != 0;
    out->info = (LONG) be32(sense + 3);
    out->asc = len > 12 ? sense[12] : 0;
    out->ascq = len > 13 ? sense[13] : 0;
    return TRUE;
}

/* How many bytes of a transfer there are. */
static ULONG
moved(const SCSI_REQUEST_BLOCK *srb, ULONG length, const struct sense *sense)
{
    ULONG block = counted_in(srb, length);
    LONGLONG bytes;

    if (!is_transfer(srb) || sense->deferred)
        return 0;
    if (!sense->valid && srb->Cdb[0] == SCSIOP_WRITE6 && sense->key <= 1)
        return length; /* a warning: everything was written */
    if (!sense->valid && block == 0 && sense->filemark && !sense->cut)
        return 0;
    /* A block that is an error, or none, was not read; and a command that failed
     * has not brought everything, whatever the residual says. */
    if (!sense->valid && srb->Cdb[0] == SCSIOP_READ6 && sense->key > 1 &&
        !sense->cut && (block == 0 || srb->DataTransferLength >= length))
        return 0;
    if (!sense->valid)
        return srb->DataTransferLength < length ? srb->DataTransferLength
                                                : length;
    if (sense->info > (LONGLONG) length || sense->info < -0x7FFFFFFFLL)
        return 0;
    bytes = block != 0 ? (LONGLONG) length - sense->info * block
                       : (LONGLONG) length - sense->info;
    if (bytes < 0)
        return 0;
    return bytes > (LONGLONG) length ? length : (ULONG) bytes;
}

static void
say(struct tape_meaning *out, TAPE_STATUS tape)
{
    out->tape = tape;
    out->status = tapedrv_nt_status(tape);
}

/* The block is not as long as what was asked for. */
static void
judge_length(const SCSI_REQUEST_BLOCK *srb, ULONG length,
             const struct sense *sense, struct tape_meaning *out)
{
    if (counted_in(srb, length) != 0)
        say(out, TAPE_STATUS_INVALID_BLOCK_LENGTH);
    else if (sense->valid && sense->info < 0)
        say(out, TAPE_STATUS_BUFFER_OVERFLOW);
    else
        say(out, TAPE_STATUS_SUCCESS);
}

/* A target that counts what is missing as what came says so in the residual, and
 * the rest of the buffer is nobody's. */
static void
note_missing(const SCSI_REQUEST_BLOCK *srb, ULONG length,
             const struct sense *sense, struct tape_meaning *out)
{
    if (srb->Cdb[0] != SCSIOP_READ6 || !sense->valid ||
        srb->DataTransferLength >= out->bytes)
        return;
    out->missing = TRUE;
    if (sense->ili)
        out->record = (ULONG) ((LONGLONG) length - sense->info);
}

/* TRUE: the bits tell it all. */
static BOOLEAN
judge_bits(const SCSI_REQUEST_BLOCK *srb, ULONG length,
           const struct sense *sense, struct tape_meaning *out)
{
    if (sense->ili && is_transfer(srb) && (sense->key <= 1 || sense->key == 3))
        judge_length(srb, length, sense, out);
    else if (sense->key > 1)
        return FALSE;
    else if (sense->filemark)
        say(out, sense->asc == 0 && sense->ascq == 0x03
                     ? TAPE_STATUS_SETMARK_DETECTED
                     : TAPE_STATUS_FILEMARK_DETECTED);
    else if (sense->eom)
        say(out, sense->asc == 0 && sense->ascq == 0x04
                     ? TAPE_STATUS_BEGINNING_OF_MEDIA
                     : TAPE_STATUS_END_OF_MEDIA);
    else
        return FALSE;
    return TRUE;
}

static BOOLEAN
fits(USHORT want, UCHAR is)
{
    return want == ANY || want == is;
}

static void
judge_row(const SCSI_REQUEST_BLOCK *srb, const struct sense *sense,
          struct tape_meaning *out)
{
    const struct row *row = rows;

    while (!fits(row->key, sense->key) || !fits(row->asc, sense->asc) ||
           !fits(row->ascq, sense->ascq)) /* the last one matches everything */
        row++;
    out->tape = (TAPE_STATUS) row->tape;
    out->status = row->status;
    out->attention = sense->key == SCSI_SENSE_UNIT_ATTENTION;
    out->harmless = (row->flags & HARMLESS) != 0;
    out->changed = (row->flags & CHANGED) != 0;
    out->cleaning = (row->flags & CLEANING) != 0;
    out->lost =
        (row->flags & LOST) != 0 && (out->attention || tapedrv_is_motion(srb));
    if (srb->Cdb[0] == SCSIOP_MEDIUM_REMOVAL &&
        sense->key == SCSI_SENSE_ILLEGAL_REQUEST)
        out->status = STATUS_UNABLE_TO_LOCK_MEDIA;
}

static void
judge_sense(const SCSI_REQUEST_BLOCK *srb, ULONG length,
            const struct sense *sense, struct tape_meaning *out)
{
    out->bytes = moved(srb, length, sense);
    if (sense->deferred) { /* what was written earlier is not there */
        struct sense now = *sense;

        now.deferred = FALSE;
        judge_row(srb, &now, out);
        if (NT_SUCCESS(out->status))
            say(out, TAPE_STATUS_IO_DEVICE_ERROR);
        out->lost = TRUE;
    } else if (judge_bits(srb, length, sense, out)) {
        note_missing(srb, length, sense, out);
    } else {
        judge_row(srb, sense, out);
        if (NT_SUCCESS(out->status) && !sense->cut)
            out->bytes = length;
    }
}

/* --- without ------------------------------------------------------------------ */

static void
judge_transport(const SCSI_REQUEST_BLOCK *srb, struct tape_meaning *out)
{
    BOOLEAN motion = tapedrv_is_motion(srb);

    switch (SRB_STATUS(srb->SrbStatus)) {
    case SRB_STATUS_DATA_OVERRUN: /* less than there was room for */
        say(out, srb->SrbFlags & SRB_FLAGS_DATA_OUT ? TAPE_STATUS_DATA_OVERRUN
                                                    : TAPE_STATUS_SUCCESS);
        out->bytes = srb->DataTransferLength;
        return;
    case SRB_STATUS_BUSY:
        say(out, TAPE_STATUS_DEVICE_BUSY);
        return;
    case SRB_STATUS_BUS_RESET:
        say(out, TAPE_STATUS_BUS_RESET);
        out->lost = TRUE;
        return;
    case SRB_STATUS_TIMEOUT:
    case SRB_STATUS_COMMAND_TIMEOUT:
    case SRB_STATUS_ABORTED:
        say(out, TAPE_STATUS_IO_TIMEOUT);
        break;
    case SRB_STATUS_REQUEST_FLUSHED: /* bound to another medium change count */
        say(out, TAPE_STATUS_MEDIA_CHANGED);
        break;
    case SRB_STATUS_NO_DEVICE:
    case SRB_STATUS_SELECTION_TIMEOUT:
    case SRB_STATUS_NO_HBA:
        say(out, TAPE_STATUS_DEVICE_NOT_CONNECTED);
        break;
    default:
        say(out, TAPE_STATUS_IO_DEVICE_ERROR);
        break;
    }
    out->lost = motion;
}

void
tapedrv_judge(const SCSI_REQUEST_BLOCK *srb, ULONG length,
              struct tape_meaning *out_meaning)
{
    struct tape_meaning out = { 0 };
    struct sense sense;

    if (srb->ScsiStatus == SCSISTAT_RESERVATION_CONFLICT)
        say(&out, TAPE_STATUS_DEVICE_BUSY);
    else if (parse(srb, &sense))
        judge_sense(srb, length, &sense, &out);
    else if (srb->ScsiStatus == SCSISTAT_BUSY ||
             srb->ScsiStatus == SCSISTAT_QUEUE_FULL)
        say(&out, TAPE_STATUS_DEVICE_BUSY);
    else
        judge_transport(srb, &out);
    *out_meaning = out;
}
