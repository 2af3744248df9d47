/*
 * iscsi_answer.c - what an answer of an iSCSI unit means
 *
 * An answer becomes the status of its SRB.  On the way the unit learns from it:
 * whether the medium may be another one (the attention number), whether it is
 * locked, when it was last heard of.  What goes up waits in the session's list
 * `answered`.
 *
 * Context: the session's seat; iscsi_pass_up: its thread, outside.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/iscsi.h"

/* The medium may be another one from here on, and nothing keeps it in. */
uint32_t
iscsi_could_have_changed(struct iscsi_unit *unit)
{
    __atomic_store_n(&unit->locked, false, __ATOMIC_RELEASE);
    __atomic_store_n(&unit->prevented, false, __ATOMIC_RELEASE);
    return __atomic_add_fetch(&unit->attention, 1, __ATOMIC_ACQ_REL);
}

static void
finish(struct iscsi_command *command, const struct hba_answer *answer)
{
    hba_set_answer(command->request, answer);
    InsertTailList(&command->unit->session->answered, &command->link);
}

/* All that one look at the socket brought is a burst: whoever waits for them
 * gets them together. */
void
iscsi_pass_up(PLIST_ENTRY answered)
{
    burst_begin(BURST_ANSWERS);
    while (!IsListEmpty(answered))
        hba_done(iscsi_command_at(RemoveHeadList(answered))->request);
    burst_end(BURST_ANSWERS);
}

void
iscsi_end_with(struct iscsi_command *command, uint8_t srb_status)
{
    finish(command, &(struct hba_answer){ .srb_status = srb_status });
}

/* As if it had not been carried out: its medium has to be looked at. */
void
iscsi_end_stale(struct iscsi_command *command)
{
    finish(command,
           &(struct hba_answer){ .srb_status = SRB_STATUS_REQUEST_FLUSHED,
                                 .attention = iscsi_attention(command->unit) });
}

/* SPC: REPORTED LUNS DATA HAS CHANGED.  One unit of a target tells it, of all. */
static bool
tells_of_units(const uint8_t *sense, size_t len)
{
    struct hba_sense says = hba_read_sense(sense, len);

    return says.key == SCSI_SENSE_UNIT_ATTENTION && says.asc == 0x3F &&
           says.ascq == 0x0E;
}

static bool
is_inquiry(const struct iscsi_command *command)
{
    return command->request->srb->Cdb[0] == SCSIOP_INQUIRY;
}

/* SPC: LOGICAL UNIT NOT SUPPORTED.  INQUIRY says it in other ways, to who does
 * not know the unit yet. */
static bool
tells_of_no_unit(const struct iscsi_command *command, const uint8_t *sense,
                 size_t len)
{
    struct hba_sense says = hba_read_sense(sense, len);

    return says.key == SCSI_SENSE_ILLEGAL_REQUEST &&
           says.asc == SCSI_ADSENSE_INVALID_LUN && !is_inquiry(command);
}

/* A unit that the target took away, or has again: its medium is absent, or has
 * to be looked at.  All are told. */
static void
set_gone(struct iscsi_unit *unit, bool gone)
{
    __atomic_store_n(&unit->gone, gone, __ATOMIC_RELEASE);
    unit->session->luns_changed = true;
    iscsi_could_have_changed(unit);
}

/* A length in front of it, as the standard of iSCSI has it. */
static const uint8_t *
sense_of(const struct scsi_task *task, size_t *out_len)
{
    size_t len, there = (size_t) task->datain.size;

    *out_len = 0;
    if (task->datain.data == NULL || there < 2)
        return NULL;
    len = (size_t) task->datain.data[0] << 8 | task->datain.data[1];
    *out_len = len < there - 2 ? len : there - 2;
    if (*out_len > 255)
        *out_len = 255;
    return task->datain.data + 2;
}

/* A unit attention, or the first word that there is no medium: those behind it
 * may run on another one.  What cannot be read may have been one. */
static bool
tells_of_change(struct iscsi_unit *unit, const uint8_t *sense, size_t len)
{
    struct hba_sense says = hba_read_sense(sense, len);
    bool empty = says.key == SCSI_SENSE_NOT_READY &&
                 says.asc == SCSI_ADSENSE_NO_MEDIA_IN_DEVICE;
    bool left = empty && !unit->empty;

    if (empty)
        unit->empty = true;
    return left || !says.readable || says.key == SCSI_SENSE_UNIT_ATTENTION;
}

static void
check_condition(struct iscsi_command *command, const struct scsi_task *task)
{
    struct hba_answer answer = { .srb_status = SRB_STATUS_ERROR,
                                 .scsi_status = SCSISTAT_CHECK_CONDITION };
    size_t len;

    answer.sense = sense_of(task, &len);
    answer.sense_len = (uint8_t) len;
    if (tells_of_no_unit(command, answer.sense, len)) {
        iscsi_end_with(command, SRB_STATUS_SELECTION_TIMEOUT);
        return;
    }
    answer.attention = command->told;
    finish(command, &answer);
}

/* As soon as it comes, though it may be passed up behind others: what those
 * brought that the target began after it is not of the same medium. */
uint32_t
iscsi_hear(struct iscsi_command *command, int status)
{
    struct iscsi_unit *unit = command->unit;
    const uint8_t *sense;
    size_t len;

    /* Not by us: a reset by another initiator, which ends our PREVENT, too. */
    if (status == SCSI_STATUS_TASK_ABORTED && !command->ending)
        return iscsi_could_have_changed(unit);
    if (unit->gone && status == SCSI_STATUS_GOOD && !is_inquiry(command))
        set_gone(unit, false);
    if (status != SCSI_STATUS_CHECK_CONDITION)
        return iscsi_attention(unit);
    sense = sense_of(command->task, &len);
    if (!is_inquiry(command) &&
        tells_of_no_unit(command, sense, len) != unit->gone)
        set_gone(unit, !unit->gone);
    if (tells_of_units(sense, len))
        unit->session->luns_changed = true;
    return tells_of_change(unit, sense, len) ? iscsi_could_have_changed(unit)
                                             : iscsi_attention(unit);
}

static uint32_t
transferred(const struct iscsi_command *command, const struct scsi_task *task)
{
    uint32_t wanted = command->request->srb->DataTransferLength;

    if (task->residual_status != SCSI_RESIDUAL_UNDERFLOW)
        return wanted;
    return task->residual < wanted ? wanted - (uint32_t) task->residual : 0;
}

/* Only with a medium in the drive. */
static bool
needs_medium(uint8_t op)
{
    switch (op) {
    case SCSIOP_TEST_UNIT_READY:
    case SCSIOP_READ6:
    case SCSIOP_WRITE6:
    case SCSIOP_READ:
    case SCSIOP_WRITE:
    case SCSIOP_READ16:
    case SCSIOP_WRITE16:
        return true;
    default:
        return false;
    }
}

/* PREVENT, and then something that was sent under it and found the medium that
 * it was sent for. */
static void
learn_lock(const struct iscsi_command *command)
{
    const SCSI_REQUEST_BLOCK *srb = command->request->srb;
    struct iscsi_unit *unit = command->unit;
    bool prevent = srb->Cdb[0] == SCSIOP_MEDIUM_REMOVAL && srb->Cdb[4] & 1;

    if (srb->Cdb[0] == SCSIOP_MEDIUM_REMOVAL) {
        __atomic_store_n(&unit->prevented, prevent, __ATOMIC_RELEASE);
        if (!prevent)
            __atomic_store_n(&unit->locked, false, __ATOMIC_RELEASE);
    } else if (command->prevented && unit->prevented && !unit->locked &&
               command->attention == iscsi_attention(unit) &&
               !unit->gap.doubt && needs_medium(srb->Cdb[0])) {
        __atomic_store_n(&unit->locked, true, __ATOMIC_RELEASE);
    }
}

/* What the adapter itself has to know of a command that went well. */
static void
learn(struct iscsi_command *command, uint32_t len)
{
    const SCSI_REQUEST_BLOCK *srb = command->request->srb;
    const uint8_t *data = srb->DataBuffer;

    hba_gap_good(&command->unit->gap, srb, len);
    learn_lock(command);
    if (srb->Cdb[0] == SCSIOP_TEST_UNIT_READY)
        command->unit->empty = false;
    else if (srb->Cdb[0] == SCSIOP_INQUIRY && !(srb->Cdb[1] & 1) && len > 1)
        command->unit->removable = (data[1] & 0x80) != 0;
}

/* Did it run on the medium that it was meant for? */
static bool
is_stale(const struct iscsi_command *command)
{
    return command->request->srb->QueueSortKey != 0 &&
           command->attention != iscsi_attention(command->unit);
}

void
iscsi_answer(struct iscsi_command *command, int status,
             const struct scsi_task *task)
{
    uint32_t len;

    switch (status) {
    case SCSI_STATUS_GOOD:
        if (is_stale(command)) {
            iscsi_end_stale(command);
            return;
        }
        len = transferred(command, task);
        if (iscsi_mark_is_left(command, len)) {
            iscsi_end_with(command, SRB_STATUS_ERROR);
            return;
        }
        learn(command, len);
        finish(command, &(struct hba_answer){ .srb_status = SRB_STATUS_SUCCESS,
                                              .transferred = len });
        return;
    case SCSI_STATUS_CHECK_CONDITION:
        check_condition(command, task);
        return;
    case SCSI_STATUS_CANCELLED:
    case SCSI_STATUS_ERROR:
    case SCSI_STATUS_TIMEOUT:
    case SCSI_STATUS_TASK_ABORTED:
        iscsi_end_with(command,
                       __atomic_load_n(&command->abort, __ATOMIC_ACQUIRE)
                           ? SRB_STATUS_ABORTED
                           : SRB_STATUS_BUS_RESET);
        return;
    default:
        finish(command,
               &(struct hba_answer){ .srb_status = SRB_STATUS_ERROR,
                                     .scsi_status = (uint8_t) status });
    }
}
