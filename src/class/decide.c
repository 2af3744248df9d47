/*
 * decide.c - what a failed request means: a pure function over sense.def
 *
 * Order of decision: internal error, reservation conflict, sense data, SRB
 * status; then what holds for every UNIT ATTENTION.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/decide.h"

#include <ntddscsi.h>
#include <ntiologc.h>
#include <scsi.h>
#include <srb.h>

#include <stdio.h>

#define ANY 0x100

enum when {
    ALWAYS,
    ILI,
    WRITE,
    INSIDE,
    ALLOCATED,
    EARLY,
    VERIFY,
    SPECIAL,
    LEGACY,
};
enum retry { NO, RETRY };

enum log {
    LOG_NONE,
    LOG_QUIET, /* nor is a retry */
    LOG_SEEK,
    LOG_ECC,
    LOG_PREDICT,
    LOG_RECOVERED,
    LOG_BAD_BLOCK,
    LOG_HARDWARE,
    LOG_UNKNOWN,
    LOG_NOT_READY,
};

static const struct {
    NTSTATUS code;
    ULONG id;
} logs[] = {
    [LOG_SEEK] = { IO_ERR_SEEK_ERROR, 258 },
    [LOG_ECC] = { IO_RECOVERED_VIA_ECC, 258 },
    [LOG_PREDICT] = { IO_WRN_FAILURE_PREDICTED, 258 },
    [LOG_RECOVERED] = { IO_ERR_CONTROLLER_ERROR, 258 },
    [LOG_BAD_BLOCK] = { IO_ERR_BAD_BLOCK, 256 },
    [LOG_HARDWARE] = { IO_ERR_CONTROLLER_ERROR, 257 },
    [LOG_UNKNOWN] = { IO_ERR_CONTROLLER_ERROR, 259 },
    [LOG_NOT_READY] = { IO_ERR_NOT_READY, 260 },
};

struct row {
    USHORT match[3]; /* key, ASC, ASCQ or SRB status, SCSI status */
    UCHAR when, retry, delay_s, log;
    USHORT act;
    NTSTATUS status;
    const char *text;
};

static const struct row sense_rows[] = {
#define SENSE_ROW(key, asc, ascq, when, status, retry, delay, act, log, text)  \
    { { key, asc, ascq }, when, retry, delay, LOG_##log, act, status, text },
#define SRB_ROW(...)
#include "class/sense.def"
#undef SENSE_ROW
#undef SRB_ROW
};

static const struct row srb_rows[] = {
#define SENSE_ROW(...)
#define SRB_ROW(srb, scsi, when, status, retry, delay, act, log, text)         \
    { { srb, scsi, ANY }, when, retry, delay, LOG_##log, act, status, text },
#include "class/sense.def"
#undef SENSE_ROW
#undef SRB_ROW
};

/* What comes before both tables. */
static const struct row internal_row = {
    .text = "the adapter gave a status of its own",
};
static const struct row conflict_row = {
    .status = STATUS_DEVICE_BUSY,
    .text = "reserved by somebody else",
};

const ULONG class_decide_rows =
    RTL_NUMBER_OF(sense_rows) + RTL_NUMBER_OF(srb_rows) + 2;

/* --- sense data ----------------------------------------------------------- */

static ULONGLONG
big_endian(const UCHAR *from, ULONG bytes)
{
    ULONGLONG value = 0;

    while (bytes-- > 0)
        value = value << 8 | *from++;
    return value;
}

/* Descriptors of interest: 0 information, 5 block commands (ILI). */
static void
parse_descriptors(const UCHAR *sense, ULONG len, struct class_sense *out)
{
    for (ULONG at = 8; at + 2 <= len && at + 2 + sense[at + 1] <= len;
         at += 2u + sense[at + 1]) {
        if (sense[at] == 0x00 && sense[at + 1] >= 0x0a) {
            out->info_valid = (sense[at + 2] & 0x80) != 0;
            out->info = big_endian(sense + at + 4, 8);
        } else if (sense[at] == 0x05 && sense[at + 1] >= 2) {
            out->ili = (sense[at + 3] & 0x20) != 0;
        }
    }
}

static BOOLEAN
parse_descriptor_format(const UCHAR *sense, ULONG len, struct class_sense *out)
{
    if (len < 4)
        return FALSE;
    out->key = sense[1] & 0x0f;
    out->asc = sense[2];
    out->ascq = sense[3];
    if (len >= 8) {
        if (len > 8u + sense[7])
            len = 8u + sense[7];
        parse_descriptors(sense, len, out);
    }
    return TRUE;
}

BOOLEAN NTAPI
class_parse_sense(const UCHAR *sense, ULONG sense_len,
                  struct class_sense *out_sense)
{
    struct class_sense parsed = { 0 };
    UCHAR code;

    if (sense == NULL || sense_len == 0)
        return FALSE;
    code = sense[0] & 0x7f;
    parsed.deferred = code == 0x71 || code == 0x73;
    if (code == 0x72 || code == 0x73) {
        if (!parse_descriptor_format(sense, sense_len, &parsed))
            return FALSE;
    } else {
        if (sense_len < 8)
            return FALSE;
        if (sense_len > 8u + sense[7])
            sense_len = 8u + sense[7];
        parsed.key = sense[2] & 0x0f;
        parsed.ili = (sense[2] & 0x20) != 0;
        parsed.info_valid = (sense[0] & 0x80) != 0;
        parsed.info = big_endian(sense + 3, 4);
        parsed.asc = sense_len >= 13 ? sense[12] : 0;
        parsed.ascq = sense_len >= 14 ? sense[13] : 0;
    }
    *out_sense = parsed;
    return TRUE;
}

/* --- the tables ----------------------------------------------------------- */

static BOOLEAN
is_write(const UCHAR *cdb)
{
    return cdb != NULL &&
           (cdb[0] == SCSIOP_WRITE6 || cdb[0] == SCSIOP_WRITE ||
            cdb[0] == SCSIOP_WRITE12 || cdb[0] == SCSIOP_WRITE16);
}

/* Replies that may be shorter than the room for them. */
static BOOLEAN
fits_allocation(const struct class_failure *failure)
{
    const UCHAR *cdb = failure->cdb;

    if (cdb == NULL)
        return FALSE;
    if (cdb[0] == SCSIOP_INQUIRY)
        return failure->transferred <= big_endian(cdb + 3, 2);
    if (cdb[0] == SCSIOP_MODE_SENSE)
        return failure->transferred <= cdb[4];
    return cdb[0] == SCSIOP_MODE_SENSE10 &&
           failure->transferred <= big_endian(cdb + 7, 2);
}

static BOOLEAN
holds(UCHAR when, const struct class_failure *failure,
      const struct class_sense *sense)
{
    switch (when) {
    case ILI:
        return sense->ili;
    case WRITE:
        return is_write(failure->cdb);
    case INSIDE:
        return (failure->circumstances & CLASS_IF_INSIDE) != 0;
    case ALLOCATED:
        return fits_allocation(failure);
    case EARLY:
        return failure->retry_number <= 1;
    case VERIFY:
        return (failure->circumstances & CLASS_IF_VERIFY) != 0;
    case SPECIAL:
        return (failure->circumstances & CLASS_IF_SPECIAL) != 0;
    case LEGACY:
        return (failure->circumstances & CLASS_IF_LEGACY) != 0;
    default:
        return TRUE;
    }
}

/* The last row of each table matches everything. */
static const struct row *
find(const struct row *row, const USHORT key[3],
     const struct class_failure *failure, const struct class_sense *sense)
{
    for (;; row++)
        if ((row->match[0] == ANY || row->match[0] == key[0]) &&
            (row->match[1] == ANY || row->match[1] == key[1]) &&
            (row->match[2] == ANY || row->match[2] == key[2]) &&
            holds(row->when, failure, sense))
            return row;
}

static const struct row *
choose(const struct class_failure *failure, struct class_decision *decision)
{
    const struct class_sense *sense = &decision->sense;

    if (SRB_STATUS(failure->srb_status) == SRB_STATUS_INTERNAL_ERROR)
        return &internal_row;
    if (failure->scsi_status == SCSISTAT_RESERVATION_CONFLICT)
        return &conflict_row;
    decision->sense_valid =
        (failure->srb_status & SRB_STATUS_AUTOSENSE_VALID) != 0 &&
        class_parse_sense(failure->sense, failure->sense_len, &decision->sense);
    if (decision->sense_valid)
        return find(sense_rows,
                    (USHORT[]){ sense->key, sense->asc, sense->ascq }, failure,
                    sense);
    return find(srb_rows,
                (USHORT[]){ SRB_STATUS(failure->srb_status),
                            failure->scsi_status, ANY },
                failure, sense);
}

static ULONG
row_number(const struct row *row, BOOLEAN by_sense)
{
    if (row == &internal_row || row == &conflict_row)
        return class_decide_rows - (row == &internal_row ? 2 : 1);
    if (by_sense)
        return (ULONG) (row - sense_rows);
    return (ULONG) (RTL_NUMBER_OF(sense_rows) + (row - srb_rows));
}

VOID NTAPI
class_decide(const struct class_failure *failure,
             struct class_decision *out_decision)
{
    struct class_decision decision = { 0 };
    const struct row *row = choose(failure, &decision);
    ULONG given = failure->circumstances;

    decision.status =
        row == &internal_row ? failure->internal_status : row->status;
    decision.retry = row->retry == RETRY;
    decision.delay_s = row->delay_s;
    decision.act = row->act;
    decision.log_code = logs[row->log].code;
    decision.log_id = logs[row->log].id;
    decision.text = row->text;
    decision.row = row_number(row, decision.sense_valid);
    if (!(given & CLASS_IF_SAFE_START) || given & CLASS_IF_LOW_PRIORITY)
        decision.act &= ~CLASS_ACT_START_UNIT;
    if (decision.act & CLASS_ACT_ATTENTION && given & CLASS_IF_REMOVABLE &&
        given & CLASS_IF_MOUNTED) {
        decision.status = STATUS_VERIFY_REQUIRED;
        decision.retry = FALSE;
    }
    decision.log_retry =
        decision.retry && row->log == LOG_NONE && row != &internal_row;
    *out_decision = decision;
}

/* --- in words ------------------------------------------------------------- */

static const struct {
    ULONG act;
    const char *text;
} act_texts[] = {
    { CLASS_ACT_ATTENTION, "counts a media change" },
    { CLASS_ACT_PRESENT, "notes that a medium is there" },
    { CLASS_ACT_NO_MEDIUM, "notes that the drive is empty" },
    { CLASS_ACT_UNAVAILABLE, "notes that the medium is not available" },
    { CLASS_ACT_START_UNIT, "starts the unit" },
    { CLASS_ACT_EJECT_REQUEST, "passes the eject request on" },
    { CLASS_ACT_PREDICTED, "warns that the drive may fail" },
    { CLASS_ACT_REENUMERATE, "looks at the bus again" },
};

void
class_decision_text(const struct class_decision *decision, char *out,
                    size_t max)
{
    size_t len = (size_t) snprintf(out, max, "%s; ", decision->text);

    for (size_t i = 0; i < RTL_NUMBER_OF(act_texts) && len < max; i++)
        if (decision->act & act_texts[i].act)
            len += (size_t) snprintf(out + len, max - len, "%s; ",
                                     act_texts[i].text);
    if (len >= max)
        return;
    if (decision->retry && decision->delay_s != 0)
        snprintf(out + len, max - len, "tries again after %u s",
                 decision->delay_s);
    else if (decision->retry)
        snprintf(out + len, max - len, "tries again");
    else if (decision->status == STATUS_VERIFY_REQUIRED)
        snprintf(out + len, max - len, "has the file system verify the volume");
    else
        snprintf(out + len, max - len, "%s",
                 NT_SUCCESS(decision->status) ? "the request succeeds"
                                              : "the request fails");
}
