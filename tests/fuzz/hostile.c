/*
 * hostile.c - a host adapter whose every answer comes from the input
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/hostile.h"

#include <pthread.h>

#include "port/sg.h"

/* Polls ask on threads of their own. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct input script;
static hostile_honest_fn *honest;
static uint32_t attention;
static unsigned commands, commands_max;
static void *unit;

void
hostile_begin(struct input new_script, hostile_honest_fn *new_honest,
              unsigned most)
{
    script = new_script;
    honest = new_honest;
    commands_max = most;
    attention = 1;
    commands = 0;
}

void
hostile_request(void)
{
    pthread_mutex_lock(&lock);
    commands = 0;
    pthread_mutex_unlock(&lock);
}

void
hostile_event(uint32_t events)
{
    hba_event(unit, events);
}

static const uint8_t srb_statuses[] = {
    SRB_STATUS_ABORTED,
    SRB_STATUS_ERROR,
    SRB_STATUS_INVALID_REQUEST,
    SRB_STATUS_NO_DEVICE,
    SRB_STATUS_TIMEOUT,
    SRB_STATUS_SELECTION_TIMEOUT,
    SRB_STATUS_COMMAND_TIMEOUT,
    SRB_STATUS_BUS_RESET,
    SRB_STATUS_PARITY_ERROR,
    SRB_STATUS_DATA_OVERRUN,
    SRB_STATUS_REQUEST_FLUSHED,
    SRB_STATUS_PHASE_SEQUENCE_FAILURE,
    SRB_STATUS_UNEXPECTED_BUS_FREE,
    SRB_STATUS_INVALID_LUN,
    SRB_STATUS_BUSY,
    0x3F,
};

static void
answer_sense(struct hba_answer *answer, uint8_t sense[64])
{
    uint8_t how = take8(&script);

    memset(sense, 0, 64);
    answer->srb_status = SRB_STATUS_ERROR;
    answer->scsi_status = SCSISTAT_CHECK_CONDITION;
    answer->sense = sense;
    if (how & 0x80) {
        answer->sense_len = how & 0x3f;
        take(&script, sense, answer->sense_len);
    } else {
        answer->sense_len = 18;
        sense[0] = 0x70;
        sense[2] = how & 0x0f;
        sense[7] = 10;
        sense[12] = take8(&script);
        sense[13] = take8(&script);
    }
    if (answer->sense_len > 2 && (sense[2] & 0x0f) == 6)
        attention++;
    answer->attention = attention;
}

/* As Linux's SG_IO would tell of it; its fields lie as the input does. */
static void
answer_as_sg(struct hba_answer *answer, uint8_t *data, uint32_t room,
             uint8_t sense[SG_SENSE_MAX])
{
    struct sg_io_hdr hdr = { .interface_id = 'S',
                             .dxfer_len = room,
                             .mx_sb_len = SG_SENSE_MAX,
                             .sbp = sense,
                             .status = take8(&script),
                             .host_status = take8(&script) & 0x1F,
                             .driver_status = take8(&script),
                             .resid = (int) take32(&script) };
    uint32_t came = room < 4096 ? room : 4096;

    hdr.sb_len_wr = take8(&script);
    take(&script, sense, SG_SENSE_MAX);
    if (came > 0)
        take(&script, data, came);
    if (sg_answer_doubtful(&hdr))
        attention++;
    sg_answer_of(&hdr, answer);
    if (answer->srb_status != SRB_STATUS_SUCCESS)
        answer->attention = attention;
    CHECK(answer->transferred <= room && answer->sense_len <= SG_SENSE_MAX);
}

/* 0: as an honest drive; 1: data; 2: sense; 3: another SRB status; and so on:
 * three quarters of the values are data. */
static bool NTAPI
submit(void *hba, struct hba_request *request)
{
    const SCSI_REQUEST_BLOCK *srb = request->srb;
    uint8_t *data = srb->SrbFlags & SRB_FLAGS_DATA_IN ? srb->DataBuffer : NULL;
    uint32_t room = data != NULL ? srb->DataTransferLength : 0;
    struct hba_answer answer = { .srb_status = SRB_STATUS_SUCCESS };
    uint8_t how, sense[SG_SENSE_MAX];

    (void) hba;
    pthread_mutex_lock(&lock);
    if (!(srb->SrbFlags & SRB_CLASS_FLAGS_LOW_PRIORITY)) {
        CHECK(++commands < commands_max);
        fuzz_step();
    }
    how = take8(&script);
    switch (how == 0      ? 0
            : how <= 0x30 ? 2
            : how <= 0x40 ? 3
            : how > 0xF0  ? 4
                          : 1) {
    case 0:
        answer.transferred = honest(srb, data, room);
        break;
    case 1:
        answer.transferred = take16(&script);
        if (answer.transferred > room)
            answer.transferred = room;
        if (answer.transferred > 0)
            take(&script, data, answer.transferred);
        break;
    case 2:
        answer_sense(&answer, sense);
        break;
    case 4:
        answer_as_sg(&answer, data, room, sense);
        break;
    default:
        answer.srb_status = srb_statuses[how & 15];
        answer.scsi_status = take8(&script);
        break;
    }
    hba_set_answer(request, &answer);
    pthread_mutex_unlock(&lock);
    return true;
}

static void
nothing_to_abort(void *hba, struct hba_request *request)
{
    (void) hba;
    (void) request;
}

static void
reset(void *hba)
{
    (void) hba;
}

static void
info(void *hba, struct hba_info *out_info)
{
    (void) hba;
    memset(out_info, 0, sizeof *out_info);
}

NTSTATUS
hostile_open(void *context, void *new_unit, void **out_hba)
{
    (void) context;
    unit = new_unit;
    *out_hba = &script;
    return STATUS_SUCCESS;
}

const struct hba_ops hostile_ops = {
    .name = "hostile",
    .max_transfer_bytes = 65536,
    .bus_type = BusTypeUsb,
    .events = true,
    .submit = submit,
    .abort = nothing_to_abort,
    .reset = reset,
    .info = info,
    .close = reset,
};
