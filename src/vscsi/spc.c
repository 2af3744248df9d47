/*
 * spc.c - commands of every SCSI device: who are you, are you ready, let go
 *
 * Handlers run past the gate; those that change the drive run with it closed
 * (OP_ALONE).  They return sense, 0 for GOOD.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "vscsi/vscsi_internal.h"

uint32_t
spc_test_unit_ready(struct task *task)
{
    return 0;
}

uint32_t
spc_send_diagnostic(struct task *task)
{
    /* The default self test only: it has nothing to test. */
    return task->command->cdb[1] & 0xfb ? SENSE_CDB_FIELD : 0;
}

/* Reports and clears a unit attention; else what the drive's state is. */
uint32_t
spc_request_sense(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    uint32_t sense = task->drive->not_ready;
    uint8_t data[VSCSI_SENSE_MAX];
    size_t len;

    if (task->drive->tape != NULL)
        sense = tape_sense(task->drive,
                           sense != 0 ? sense : tape_wish(task->drive));
    (void) attention_take(task->nexus, &sense, &task->command->attention);
    len = sense_build(data, cdb[1] & 0x01, sense, NULL);
    return reply(task, data, len, cdb[4]);
}

/* --- INQUIRY -------------------------------------------------------------- */

static const char *const products[] = {
    [VSCSI_DISK] = "REMOVABLE DISK", [VSCSI_FLOPPY] = "FLOPPY DISK",
    [VSCSI_CDROM] = "CD/DVD-ROM",    [VSCSI_CHANGER] = "MEDIA LIBRARY",
    [VSCSI_TAPE] = "TAPE DRIVE",
};

void
spc_product(const struct vscsi_drive *drive, const char *out_texts[2])
{
    out_texts[0] = "REINSERT";
    out_texts[1] =
        drive->tape != NULL ? tape_product(drive) : products[drive->type];
}

/* Left-justified ASCII in a field of spaces. */
static void
put_text(uint8_t *field, size_t size, const char *text)
{
    memset(field, ' ', size);
    for (size_t i = 0; i < size && text[i] != '\0'; i++)
        field[i] = text[i] > ' ' && text[i] < 0x7f ? (uint8_t) text[i] : ' ';
}

static uint8_t
device_type(const struct vscsi_drive *drive)
{
    return drive->type == VSCSI_CHANGER ? 0x08
           : drive->type == VSCSI_TAPE  ? 0x01
           : drive->type == VSCSI_CDROM ? 0x05
                                        : 0x00;
}

static uint32_t
inquiry_standard(struct task *task, size_t alloc)
{
    const char *texts[3] = { NULL, NULL, REINSERT_VERSION };
    uint8_t data[66] = { 0 };
    bool reader = false;

    spc_product(task->drive, texts);
    if (task->drive->library != NULL)
        library_identity(task->drive->library, texts, &reader);
    data[0] = device_type(task->drive);
    data[1] = 0x80; /* removable */
    data[2] = 0x06; /* SPC-4 */
    data[3] = 0x02;
    data[4] = sizeof data - 5;
    put_text(data + 8, 8, texts[0]);
    put_text(data + 16, 16, texts[1]);
    put_text(data + 32, 4, texts[2]);
    data[55] = reader;        /* BarC, as libraries have it */
    put16(data + 58, 0x00A0); /* SAM-5 */
    put16(data + 60, 0x0460); /* SPC-4 */
    put16(data + 62, task->drive->type == VSCSI_CHANGER ? 0x0480 /* SMC-3 */
                     : task->drive->type == VSCSI_TAPE  ? 0x0400 /* SSC-3 */
                     : task->drive->type == VSCSI_CDROM ? 0x0420
                                                        : 0x04C0);
    return reply(task, data, sizeof data, alloc);
}

struct vpd {
    uint8_t page;
    uint8_t types; /* 1 << enum vscsi_type */
    size_t (*fill)(const struct vscsi_drive *drive, uint8_t *body);
};

static size_t vpd_list(const struct vscsi_drive *drive, uint8_t *body);

static size_t
vpd_serial(const struct vscsi_drive *drive, uint8_t *body)
{
    size_t len = strnlen(drive->name, 64);

    put_text(body, len, drive->name);
    return len;
}

/* Stable from run to run: both come from the drive's name. */
static size_t
vpd_identification(const struct vscsi_drive *drive, uint8_t *body)
{
    size_t len = strnlen(drive->name, 64);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (const char *at = drive->name; *at != '\0'; at++)
        hash = (hash ^ (uint8_t) *at) * UINT64_C(0x100000001b3);
    body[0] = 0x02; /* ASCII: T10 vendor identification */
    body[1] = 0x01;
    body[3] = (uint8_t) (8 + len);
    put_text(body + 4, 8, "REINSERT");
    put_text(body + 12, len, drive->name);
    body += 12 + len;
    body[0] = 0x01; /* binary: NAA, locally assigned */
    body[1] = 0x03;
    body[3] = 8;
    put64(body + 4, (hash & (UINT64_MAX >> 4)) | UINT64_C(3) << 60);
    return 12 + len + 12;
}

/* 4 GiB in one UNMAP or WRITE SAME; WRITE SAME of 0 blocks is refused. */
static size_t
vpd_limits(const struct vscsi_drive *drive, uint8_t *body)
{
    uint32_t most = (uint32_t) ((UINT64_C(1) << 32) >> drive->block_shift);

    body[0] = 0x01; /* WSNZ */
    put16(body + 2, 4096u >> drive->block_shift);
    put32(body + 16, most);
    put32(body + 20, 256);
    put32(body + 24, 4096u >> drive->block_shift);
    put64(body + 32, most);
    return 60;
}

static size_t
vpd_characteristics(const struct vscsi_drive *drive, uint8_t *body)
{
    put16(body, 0x0000); /* rotation rate not reported */
    return 60;
}

static size_t
vpd_thin(const struct vscsi_drive *drive, uint8_t *body)
{
    body[1] = 0xE4; /* UNMAP, WRITE SAME, reads zeros */
    body[2] = 0x02; /* thin provisioned */
    return 4;
}

#define DISKS (1u << VSCSI_DISK | 1u << VSCSI_FLOPPY)
#define ALL   (DISKS | 1u << VSCSI_CDROM)
#define ROBOT (1u << VSCSI_CHANGER)
#define TAPE  (1u << VSCSI_TAPE)

static const struct vpd vpds[] = {
    { 0x00, ALL | ROBOT | TAPE, vpd_list },
    { 0x80, ALL | ROBOT | TAPE, vpd_serial },
    { 0x83, ALL | ROBOT | TAPE, vpd_identification },
    { 0xB0, DISKS, vpd_limits },
    { 0xB1, DISKS, vpd_characteristics },
    { 0xB2, DISKS, vpd_thin },
};

static size_t
vpd_list(const struct vscsi_drive *drive, uint8_t *body)
{
    size_t len = 0;

    for (size_t i = 0; i < sizeof vpds / sizeof vpds[0]; i++)
        if (vpds[i].types >> drive->type & 1)
            body[len++] = vpds[i].page;
    return len;
}

uint32_t
spc_inquiry(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    uint8_t data[256] = { 0 };
    size_t len;

    if (!(cdb[1] & 0x01))
        return cdb[2] != 0 ? SENSE_CDB_FIELD
                           : inquiry_standard(task, get16(cdb + 3));
    for (size_t i = 0; i < sizeof vpds / sizeof vpds[0]; i++) {
        if (vpds[i].page != cdb[2] || !(vpds[i].types >> task->drive->type & 1))
            continue;
        len = vpds[i].fill(task->drive, data + 4);
        data[0] = device_type(task->drive);
        data[1] = cdb[2];
        put16(data + 2, (uint32_t) len);
        return reply(task, data, len + 4, get16(cdb + 3));
    }
    return SENSE_CDB_FIELD;
}

/* --- the medium and the door ---------------------------------------------- */

static uint32_t
stop(struct task *task)
{
    struct vscsi_drive *drive = task->drive;
    uint32_t sense;

    if (drive->state != DRIVE_READY || drive->type == VSCSI_CDROM)
        return 0; /* a CD drive spins up again by itself */
    sense = drive_flush(drive);
    if (sense == 0)
        drive_set_state(drive, DRIVE_STOPPED, drive->medium);
    return sense;
}

static uint32_t
start(struct task *task)
{
    struct vscsi_drive *drive = task->drive;

    if (drive->state == DRIVE_STOPPED)
        drive_set_state(drive, DRIVE_READY, drive->medium);
    return drive->state == DRIVE_READY ? 0 : drive->not_ready;
}

uint32_t
spc_start_stop(struct task *task)
{
    struct vscsi_drive *drive = task->drive;
    uint8_t bits = task->command->cdb[4];

    if (bits & 0xf0)
        return 0; /* a power condition: all are alike here */
    switch (bits & 0x03) {
    case 0x00:
        return stop(task);
    case 0x01:
        return start(task);
    case 0x02:
        return drive->prevents != 0 ? SENSE_PREVENTED
                                    : drive_eject(drive, &task->events);
    default:
        task->events |= drive_close_tray(drive);
        return drive->state == DRIVE_LOADING ? 0 : start(task);
    }
}

/* Each nexus prevents for itself: removal is free when the last allows it. */
uint32_t
spc_prevent(struct task *task)
{
    struct vscsi_drive *drive = task->drive;
    bool prevent = task->command->cdb[4] & 0x01;

    pthread_mutex_lock(&drive->lock);
    if (prevent && !task->nexus->prevents)
        drive->prevents++;
    else if (!prevent && task->nexus->prevents)
        drive->prevents--;
    task->nexus->prevents = prevent;
    pthread_mutex_unlock(&drive->lock);
    return 0;
}

/* --- what there is -------------------------------------------------------- */

uint32_t
spc_report_luns(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    uint8_t data[16] = { 0 };

    if (get32(cdb + 6) < 16 || cdb[2] > 0x02)
        return SENSE_CDB_FIELD;
    put32(data, cdb[2] == 0x01 ? 0 : 8);
    return reply(task, data, cdb[2] == 0x01 ? 8 : 16, get32(cdb + 6));
}

#define TIMEOUTS_BYTES 12

/* The time a command should be given; 0 seconds say nothing. */
static size_t
put_timeouts(struct vscsi_drive *drive, uint8_t code, uint8_t *to)
{
    uint32_t seconds = drive->library != NULL
                           ? library_timeout_s(drive->library, code)
                       : drive->tape != NULL ? tape_timeout_s(drive, code)
                                             : 0;

    put16(to, TIMEOUTS_BYTES - 2);
    put32(to + 4, 0);
    put32(to + 8, seconds);
    return TIMEOUTS_BYTES;
}

static uint32_t
report_all_opcodes(struct task *task, bool timeouts, size_t alloc)
{
    uint8_t data[4 + 256 * (8 + TIMEOUTS_BYTES)] = { 0 };
    size_t len = 4;

    for (unsigned code = 0; code < 256; code++) {
        const struct opcode *op = &task->drive->opcodes[code];

        if (op->run == NULL || !(op->types >> task->drive->type & 1))
            continue;
        data[len] = (uint8_t) code;
        data[len + 5] = timeouts ? 0x02 : 0; /* CTDP */
        put16(data + len + 6, op->length);
        len += 8;
        if (timeouts)
            len += put_timeouts(task->drive, (uint8_t) code, data + len);
    }
    put32(data, (uint32_t) len - 4);
    return reply(task, data, len, alloc);
}

/* Options 0 (all) and 1 (one, without service action), with or without RCTD. */
uint32_t
spc_maintenance_in(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    const struct opcode *op = &task->drive->opcodes[cdb[3]];
    uint8_t data[4 + 16 + TIMEOUTS_BYTES] = { 0 };
    bool timeouts = cdb[2] & 0x80;
    size_t len;

    if ((cdb[1] & 0x1f) != 0x0C)
        return SENSE_CDB_FIELD;
    if ((cdb[2] & 0x07) == 0x00)
        return report_all_opcodes(task, timeouts, get32(cdb + 6));
    if ((cdb[2] & 0x07) != 0x01)
        return SENSE_CDB_FIELD;
    data[1] = 0x01; /* not supported */
    if (op->run == NULL || !(op->types >> task->drive->type & 1))
        return reply(task, data, 4, get32(cdb + 6));
    data[1] = (uint8_t) (0x03 | (cdb[2] & 0x80));
    put16(data + 2, op->length);
    data[4] = cdb[3];
    memcpy(data + 5, op->usage, op->length - 1u);
    len = 4u + op->length;
    if (timeouts)
        len += put_timeouts(task->drive, cdb[3], data + len);
    return reply(task, data, len, get32(cdb + 6));
}
