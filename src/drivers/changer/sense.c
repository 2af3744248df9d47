/*
 * sense.c - what a failed command means for a changer: a pure function
 *
 * The arm moves real things.  A motion is sent again only if the answer proves
 * that nothing of it was carried out; an answer that never came proves nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#include "changer/changer_internal.h"

#define ANY 0x100

enum of { ALL, MOTION, OTHER };

#define STALE      0x10
#define MAIL       0x20
#define PARAMETERS NEWS_PARAMETERS
#define LOCKS      NEWS_LOCKS

#define SAME       ((NTSTATUS) 0x7FFFFFFF)

static const struct row {
    USHORT key, asc, ascq;
    UCHAR of, verdict, news;
    NTSTATUS status;
} rows[] = {
#define ROW(key, asc, ascq, of, status, verdict, news)                         \
    { key, asc, ascq, of, VERDICT_##verdict, news, status },
#include "changer/sense.def"
#undef ROW
};

BOOLEAN
changer_is_motion(const SCSI_REQUEST_BLOCK *srb)
{
    switch (srb->Cdb[0]) {
    case SCSIOP_REZERO_UNIT:
    case SCSIOP_INIT_ELEMENT_STATUS:
    case SCSIOP_LOAD_UNLOAD: /* OPEN/CLOSE IMPORT/EXPORT ELEMENT */
    case SCSIOP_POSITION_TO_ELEMENT:
    case 0x37: /* INITIALIZE ELEMENT STATUS WITH RANGE */
    case SCSIOP_MOVE_MEDIUM:
    case SCSIOP_EXCHANGE_MEDIUM:
    case SCSIOP_MOVE_MEDIUM_ATTACHED:
    case SCSIOP_INIT_ELEMENT_RANGE:
        return TRUE;
    default:
        return FALSE;
    }
}

/* --- with sense data ------------------------------------------------------- */

static BOOLEAN
fits(USHORT want, UCHAR is)
{
    return want == ANY || want == is;
}

/* The last two rows match everything. */
static const struct row *
find(const struct fdo_sense *sense, BOOLEAN motion)
{
    const struct row *row = rows;

    while (!fits(row->key, sense->key) || !fits(row->asc, sense->asc) ||
           !fits(row->ascq, sense->ascq) ||
           row->of == (motion ? OTHER : MOTION))
        row++;
    return row;
}

static void
judge_sense(const struct fdo_sense *sense, BOOLEAN motion,
            struct changer_meaning *out)
{
    const struct row *row;

    if (sense->deferred) { /* an earlier command's: this one did not run */
        out->has_status = TRUE;
        out->status = STATUS_IO_DEVICE_ERROR;
        out->verdict = motion ? VERDICT_NO : VERDICT_RESEND;
        return;
    }
    row = find(sense, motion);
    out->has_status = row->status != SAME;
    out->status = row->status;
    out->verdict = row->verdict;
    out->news = row->news & (NEWS_PARAMETERS | NEWS_LOCKS);
    out->stale = (row->news & STALE) != 0;
    out->mail_slot = (row->news & MAIL) != 0;
    out->not_done = sense->key == SCSI_SENSE_NOT_READY ||
                    sense->key == SCSI_SENSE_ILLEGAL_REQUEST ||
                    sense->key == SCSI_SENSE_UNIT_ATTENTION ||
                    row->verdict == VERDICT_RESEND;
}

/* --- without --------------------------------------------------------------- */

/* The reply is shorter than the room for it, as every such reply. */
static BOOLEAN
is_short_reply(const SCSI_REQUEST_BLOCK *srb)
{
    return SRB_STATUS(srb->SrbStatus) == SRB_STATUS_DATA_OVERRUN &&
           (srb->SrbFlags & SRB_FLAGS_DATA_IN) != 0;
}

static void
judge_motion(const SCSI_REQUEST_BLOCK *srb, struct changer_meaning *out)
{
    out->verdict = VERDICT_NO;
    switch (SRB_STATUS(srb->SrbStatus)) {
    case SRB_STATUS_TIMEOUT:
    case SRB_STATUS_COMMAND_TIMEOUT:
    case SRB_STATUS_ABORTED:
    case SRB_STATUS_BUS_RESET:
    case SRB_STATUS_UNEXPECTED_BUS_FREE:
    case SRB_STATUS_PHASE_SEQUENCE_FAILURE:
    case SRB_STATUS_PARITY_ERROR:
        out->has_status = TRUE;
        out->status = STATUS_IO_TIMEOUT;
        break;
    default:
        break; /* the class library has the status; not again all the same */
    }
}

void
changer_judge(const SCSI_REQUEST_BLOCK *srb,
              struct changer_meaning *out_meaning)
{
    struct changer_meaning out = { 0 };
    BOOLEAN motion = changer_is_motion(srb);
    struct fdo_sense sense;

    if (srb->ScsiStatus == SCSISTAT_RESERVATION_CONFLICT) {
        out.verdict = VERDICT_NO;
        out.not_done = TRUE;
    } else if (fdo_sense_of(srb, &sense)) {
        judge_sense(&sense, motion, &out);
    } else if (srb->ScsiStatus == SCSISTAT_BUSY ||
               srb->ScsiStatus == SCSISTAT_QUEUE_FULL ||
               SRB_STATUS(srb->SrbStatus) == SRB_STATUS_BUSY) {
        out.has_status = TRUE;
        out.status = STATUS_DEVICE_NOT_READY;
        out.verdict = VERDICT_BUSY;
        out.not_done = TRUE;
    } else if (is_short_reply(srb)) {
        out.has_status = TRUE;
        out.status = STATUS_SUCCESS;
        out.verdict = VERDICT_NO;
    } else if (motion) {
        judge_motion(srb, &out);
    }
    *out_meaning = out;
}
