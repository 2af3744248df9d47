/*
 * tape_mode.c - mode parameters and densities of a tape drive
 *
 * mode.c walks the lists; this is what is particular to tapes: the header's
 * buffered mode, the block descriptor that sets the block length, the pages of
 * SSC-3.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "vscsi/tape.h"

static void
fill_compression(const struct tape *tape, uint8_t *body,
                 enum mode_control control)
{
    bool can = !tape->config.no_compression;

    if (control == CHANGEABLE) {
        body[0] = can ? 0x80 : 0; /* DCE */
        body[1] = can ? 0x80 : 0; /* DDE */
        return;
    }
    if (control == DEFAULT ? can : tape->compression)
        body[0] |= 0x80;
    if (can)
        body[0] |= 0x40; /* DCC */
    if (control == DEFAULT ? can : tape->decompression)
        body[1] |= 0x80;
    put32(body + 2, can ? 1 : 0);
    put32(body + 6, can ? 1 : 0);
}

static void
fill_device(const struct tape *tape, uint8_t *body, enum mode_control control)
{
    if (control == CHANGEABLE)
        return;
    body[6] = 0xC0; /* DBR, BIS: objects are numbered */
    body[8] = 0x18; /* EEG, SEW */
    body[12] =
        control == DEFAULT ? !tape->config.no_compression : tape->compression;
}

void
tape_fill_page(const struct vscsi_drive *drive, uint8_t code, uint8_t *body,
               enum mode_control control)
{
    if (code == 0x0F)
        fill_compression(drive->tape, body, control);
    else if (code == 0x10)
        fill_device(drive->tape, body, control);
    else if (code == 0x11 && control != CHANGEABLE)
        body[3] = 0x03; /* format and partitions are recognized */
}

void
tape_set_compression(struct vscsi_drive *drive, const uint8_t *page)
{
    drive->tape->compression = page[2] & 0x80;
    drive->tape->decompression = page[3] & 0x80;
}

void
tape_put_descriptor(const struct vscsi_drive *drive, uint8_t *to)
{
    to[0] = TAPE_DENSITY;
    put24(to + 5, drive->tape->block_bytes);
}

/* WP, buffered mode. */
uint8_t
tape_parameter(const struct vscsi_drive *drive)
{
    return (uint8_t) ((drive->medium != NULL && drive_write_protected(drive)
                           ? 0x80
                           : 0) |
                      (drive->tape->buffered ? 0x10 : 0));
}

uint32_t
tape_check_descriptor(const struct vscsi_drive *drive, uint8_t parameter,
                      const uint8_t *descriptor)
{
    (void) drive;
    if ((parameter >> 4 & 0x07) > 1 || (parameter & 0x0f) != 0)
        return SENSE_LIST_FIELD; /* one speed */
    if (descriptor == NULL)
        return 0;
    if (descriptor[0] != 0 && descriptor[0] != TAPE_DENSITY &&
        descriptor[0] != 0x7F)
        return SENSE_LIST_FIELD;
    return get24(descriptor + 5) > TAPE_BLOCK_MAX ? SENSE_LIST_FIELD : 0;
}

uint32_t
tape_select(struct vscsi_drive *drive, uint8_t parameter,
            const uint8_t *descriptor, bool *out_changed)
{
    struct tape *tape = drive->tape;
    bool buffered = (parameter & 0x70) != 0;
    uint32_t sense = 0;

    if (tape->buffered && !buffered && drive->medium != NULL)
        sense = tape_flush(drive);
    if (sense != 0)
        return sense;
    *out_changed = tape->buffered != buffered;
    tape->buffered = buffered;
    if (descriptor != NULL) {
        *out_changed |= tape->block_bytes != get24(descriptor + 5);
        tape->block_bytes = get24(descriptor + 5);
    }
    tape_show(drive);
    return 0;
}

/* --- REPORT DENSITY SUPPORT ------------------------------------------------ */

static void
put_text(uint8_t *field, size_t size, const char *text)
{
    memset(field, ' ', size);
    memcpy(field, text, strlen(text) < size ? strlen(text) : size);
}

static uint32_t
medium_types(struct task *task, size_t alloc)
{
    uint8_t data[4 + 56] = { 0 }, *type = data + 4;

    put16(data, sizeof data - 2);
    put16(type + 2, 52);
    type[4] = 1; /* density codes that follow */
    type[5] = TAPE_DENSITY;
    put16(type + 14, 127);
    put16(type + 16, 846);
    put_text(type + 20, 8, "REINSERT");
    put_text(type + 28, 8, "DATA");
    put_text(type + 36, 20, "Emulated cartridge");
    return reply(task, data, sizeof data, alloc);
}

/* MEDIA or not: there is one density. */
uint32_t
tape_densities(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    uint64_t mb = task->drive->tape->capacity / 1000000;
    uint8_t data[4 + 52] = { 0 }, *density = data + 4;

    if (cdb[1] & 0xfc)
        return SENSE_CDB_FIELD;
    if (cdb[1] & 0x01 && task->drive->medium == NULL)
        return SENSE_NO_MEDIUM;
    if (cdb[1] & 0x02)
        return medium_types(task, get16(cdb + 7));
    put16(data, sizeof data - 2);
    density[0] = density[1] = TAPE_DENSITY;
    density[2] = 0xA0; /* WRTOK, DEFLT */
    put24(density + 5, 15142);
    put16(density + 8, 127);
    put16(density + 10, 1280);
    put32(density + 12, mb > UINT32_MAX ? UINT32_MAX : (uint32_t) mb);
    put_text(density + 16, 8, "LTO-CVE");
    put_text(density + 24, 8, "U-516");
    put_text(density + 32, 20, "Emulated Ultrium 5");
    return reply(task, data, sizeof data, get16(cdb + 7));
}
