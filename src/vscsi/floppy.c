/*
 * floppy.c - what a floppy drive knows of its media: formats and tracks
 *
 * The format of a medium is its size: one row of `formats`.  FORMAT UNIT takes
 * the parameter list of UFI and SFF-8070 drives, for one track or the whole
 * disk; the sectors of a formatted track read as zeros.  An image cannot become
 * another format: its size is what it was made with.
 *
 * SPDX-License-Identifier: MIT
 */
#include "vscsi/vscsi_internal.h"

static const struct format {
    uint64_t blocks;
    uint8_t medium_type; /* of the mode parameter header; 0: none assigned */
    uint8_t heads, sectors;
    uint16_t cylinders;
    uint16_t kbit_s, rpm;
} formats[] = {
    { 320, 0x00, 1, 8, 40, 250, 300 },    { 360, 0x00, 1, 9, 40, 250, 300 },
    { 640, 0x00, 2, 8, 40, 250, 300 },    { 720, 0x00, 2, 9, 40, 250, 300 },
    { 1280, 0x00, 2, 8, 80, 250, 300 },   { 1440, 0x1E, 2, 9, 80, 250, 300 },
    { 2400, 0x93, 2, 15, 80, 500, 360 },  { 2880, 0x94, 2, 18, 80, 500, 300 },
    { 5760, 0x00, 2, 36, 80, 1000, 300 },
};

#define FORMATS (sizeof formats / sizeof formats[0])

/* Larger media: like those of 100 MB and up. */
static struct format
format_of(const struct medium *medium)
{
    struct format other = { 0, 0, 64, 32, 0, 500, 300 };

    if (medium == NULL)
        return formats[FORMATS - 2];
    for (size_t i = 0; i < FORMATS; i++)
        if (formats[i].blocks == medium->blocks)
            return formats[i];
    other.blocks = medium->blocks;
    other.cylinders = medium->blocks / (64 * 32) > UINT16_MAX
                          ? UINT16_MAX
                          : (uint16_t) (medium->blocks / (64 * 32));
    return other;
}

void
floppy_fill_page(const struct vscsi_drive *drive, uint8_t *body,
                 enum mode_control control)
{
    struct format format = format_of(drive->medium);

    if (control == CHANGEABLE)
        return;
    put16(body, format.kbit_s);
    body[2] = format.heads;
    body[3] = format.sectors;
    put16(body + 4, 1u << drive->block_shift);
    put16(body + 6, format.cylinders);
    put16(body + 26, format.rpm);
}

uint8_t
floppy_medium_type(const struct vscsi_drive *drive)
{
    return drive->type == VSCSI_FLOPPY && drive->medium != NULL
               ? format_of(drive->medium).medium_type
               : 0;
}

/* --- READ FORMAT CAPACITIES ----------------------------------------------- */

static void
put_descriptor(uint8_t *to, uint64_t blocks, uint8_t code, unsigned shift)
{
    put32(to, blocks > UINT32_MAX ? UINT32_MAX : (uint32_t) blocks);
    to[4] = code;
    put24(to + 5, 1u << shift);
}

/* With a medium: its capacity, and the one format it can be given.  Without:
 * the largest that the drive takes. */
uint32_t
floppy_capacities(struct task *task)
{
    const struct medium *medium = task->drive->medium;
    unsigned shift = task->drive->block_shift;
    uint8_t data[4 + 2 * 8] = { 0 };
    size_t len = 4;

    if (medium == NULL) {
        put_descriptor(data + len, formats[FORMATS - 1].blocks, 3, shift);
        len += 8;
    } else {
        put_descriptor(data + len, medium->blocks, 2, shift);
        put_descriptor(data + len + 8, medium->blocks, 0, shift);
        len += 16;
    }
    data[3] = (uint8_t) (len - 4);
    return reply(task, data, len, get16(task->command->cdb + 7));
}

/* --- FORMAT UNIT ---------------------------------------------------------- */

#define SINGLE_TRACK 0x10u
#define SIDE         0x01u

/* The format that is asked for must be the medium's. */
static uint32_t
check_list(const struct task *task, const uint8_t *list)
{
    uint32_t defects = get16(list + 2);

    if (defects == 0 && !(list[1] & SINGLE_TRACK))
        return 0; /* the header alone: as it is */
    if (defects != 8)
        return SENSE_LIST_FIELD;
    if (task->data_len < 12)
        return SENSE_LIST_LENGTH;
    if (get32(list + 4) != task->medium->blocks ||
        get24(list + 9) != task->medium->block_bytes)
        return SENSE_LIST_FIELD;
    return 0;
}

static uint32_t
format_track(struct task *task, unsigned track, unsigned side)
{
    struct format format = format_of(task->medium);

    if (track >= format.cylinders)
        return SENSE_CDB_FIELD;
    if (side >= format.heads)
        return SENSE_LIST_FIELD;
    return thin_zero(task,
                     ((uint64_t) track * format.heads + side) * format.sectors,
                     format.sectors, false);
}

uint32_t
floppy_format_unit(struct task *task)
{
    const uint8_t *cdb = task->command->cdb, *list = task->data;
    uint32_t sense;

    if (!(cdb[1] & 0x10)) /* FmtData: a parameter list follows */
        return thin_zero(task, 0, task->medium->blocks, false);
    if (task->data_len < 4)
        return SENSE_LIST_LENGTH;
    sense = check_list(task, list);
    if (sense != 0)
        return sense;
    task->command->transferred = task->data_len;
    return list[1] & SINGLE_TRACK
               ? format_track(task, cdb[2], list[1] & SIDE)
               : thin_zero(task, 0, task->medium->blocks, false);
}
