/*
 * mode.c - MODE SENSE and MODE SELECT: the drive's parameters
 *
 * A page is one row: how to fill it with the current values, or with the bits
 * that may be changed.  MODE SELECT checks a whole list against those before
 * it takes effect, runs with the gate closed, and tells the other nexuses.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "vscsi/vscsi_internal.h"

#define DISK   (1u << VSCSI_DISK)
#define FLOPPY (1u << VSCSI_FLOPPY)
#define CD     (1u << VSCSI_CDROM)
#define ROBOT  (1u << VSCSI_CHANGER)
#define TAPE   (1u << VSCSI_TAPE)
#define ALL    (DISK | FLOPPY | CD)

struct page {
    uint8_t code, types;
    uint8_t length; /* without the two header bytes */
    void (*fill)(const struct vscsi_drive *drive, uint8_t *body,
                 enum mode_control control); /* body is zeroed */
};

static void
fill_recovery(const struct vscsi_drive *drive, uint8_t *body,
              enum mode_control control)
{
    if (control == CHANGEABLE)
        return;
    body[0] = drive->type == VSCSI_CDROM ? 0x00 : 0xC0; /* AWRE, ARRE */
    body[1] = 3;
}

static void
fill_caching(const struct vscsi_drive *drive, uint8_t *body,
             enum mode_control control)
{
    bool has_cache = drive->cache != NULL;

    if (control == CURRENT ? drive->write_cache : has_cache)
        body[0] = 0x04; /* WCE */
}

static void
fill_control(const struct vscsi_drive *drive, uint8_t *body,
             enum mode_control control)
{
    if (control == CHANGEABLE) {
        body[0] = 0x04; /* D_SENSE */
        body[2] = drive->type == VSCSI_CDROM || drive->type == VSCSI_CHANGER
                      ? 0
                      : 0x08; /* SWP */
    } else if (control == CURRENT) {
        body[0] = atomic_load(&drive->d_sense) ? 0x04 : 0;
        body[2] = drive->software_wp ? 0x08 : 0;
    }
}

static void
fill_exceptions(const struct vscsi_drive *drive, uint8_t *body,
                enum mode_control control)
{
    if (control != CHANGEABLE)
        body[0] = 0x08; /* DEXCPT */
}

static void
fill_capabilities(const struct vscsi_drive *drive, uint8_t *body,
                  enum mode_control control)
{
    if (control == CHANGEABLE)
        return;
    body[0] = 0x0B; /* reads CD-R, CD-RW, DVD-ROM */
    body[2] = 0x70; /* mode 2 forms 1 and 2, multi-session */
    body[4] = 0x29; /* a tray; ejects; locks */
    if (drive->prevents != 0)
        body[4] |= 0x02;
    put16(body + 6, mmc_speed_max(drive)); /* kB/s */
    put16(body + 10, 512);                 /* kB of buffer */
    put16(body + 12, mmc_speed(drive));
}

static void
fill_compression(const struct vscsi_drive *drive, uint8_t *body,
                 enum mode_control control)
{
    tape_fill_page(drive, 0x0F, body, control);
}

static void
fill_device(const struct vscsi_drive *drive, uint8_t *body,
            enum mode_control control)
{
    tape_fill_page(drive, 0x10, body, control);
}

static void
fill_partitions(const struct vscsi_drive *drive, uint8_t *body,
                enum mode_control control)
{
    tape_fill_page(drive, 0x11, body, control);
}

static void
fill_medium(const struct vscsi_drive *drive, uint8_t *body,
            enum mode_control control)
{
    tape_fill_page(drive, 0x1D, body, control);
}

static const struct page pages[] = {
    { 0x01, ALL, 10, fill_recovery },
    { 0x05, FLOPPY, 30, floppy_fill_page },
    { 0x08, DISK | FLOPPY, 18, fill_caching },
    { 0x0A, ALL | ROBOT | TAPE, 10, fill_control },
    { 0x0F, TAPE, 14, fill_compression },
    { 0x10, TAPE, 14, fill_device },
    { 0x11, TAPE, 6, fill_partitions },
    { 0x1C, ALL | ROBOT | TAPE, 10, fill_exceptions },
    { 0x1D, TAPE, 30, fill_medium },
    { 0x2A, CD, 20, fill_capabilities },
};

#define PAGES (sizeof pages / sizeof pages[0])

/* --- MODE SENSE ----------------------------------------------------------- */

/* The number of bytes that were put; 0: no such page. */
static size_t
put_pages(const struct vscsi_drive *drive, uint8_t *to, uint8_t code,
          enum mode_control control)
{
    size_t len = 0;

    for (size_t i = 0; i < PAGES; i++) {
        if (!(pages[i].types >> drive->type & 1) ||
            (code != 0x3f && code != pages[i].code))
            continue;
        to[len] = pages[i].code;
        to[len + 1] = pages[i].length;
        memset(to + len + 2, 0, pages[i].length);
        pages[i].fill(drive, to + len + 2, control);
        len += 2u + pages[i].length;
    }
    return len;
}

size_t
mode_put_pages(const struct vscsi_drive *drive, uint8_t *to, uint8_t code,
               unsigned control)
{
    return put_pages(drive, to, code, (enum mode_control) control);
}

/* WP, and DPOFUA for drives that take FUA. */
static uint8_t
device_parameter(const struct vscsi_drive *drive)
{
    if (drive->type == VSCSI_CDROM)
        return 0;
    if (drive->tape != NULL)
        return tape_parameter(drive);
    return (drive->medium != NULL && drive_write_protected(drive) ? 0x80 : 0) |
           0x10;
}

static size_t
put_block_descriptor(const struct vscsi_drive *drive, uint8_t *to)
{
    uint64_t blocks = drive->medium != NULL ? drive->medium->blocks : 0;

    if (drive->tape != NULL) {
        tape_put_descriptor(drive, to);
        return 8;
    }
    put32(to, blocks > UINT32_MAX ? UINT32_MAX : (uint32_t) blocks);
    put24(to + 5, 1u << drive->block_shift);
    return 8;
}

static uint32_t
mode_sense(struct task *task, size_t header, size_t alloc)
{
    const struct vscsi_drive *drive = task->drive;
    const uint8_t *cdb = task->command->cdb;
    uint8_t data[256] = { 0 };
    size_t descriptor = 0, pages_len;

    if (cdb[2] >> 6 == SAVED)
        return SENSE_NO_SAVING;
    if (cdb[3] != 0 && !(cdb[3] == 0xff && (cdb[2] & 0x3f) == 0x3f))
        return SENSE_CDB_FIELD;
    if (!(cdb[1] & 0x08) && drive->type != VSCSI_CDROM)
        descriptor = put_block_descriptor(drive, data + header);
    pages_len = put_pages(drive, data + header + descriptor, cdb[2] & 0x3f,
                          (enum mode_control)(cdb[2] >> 6));
    if (pages_len == 0)
        return SENSE_CDB_FIELD;
    if (header == 4) {
        data[0] = (uint8_t) (header + descriptor + pages_len - 1);
        data[1] = floppy_medium_type(drive);
        data[2] = device_parameter(drive);
        data[3] = (uint8_t) descriptor;
    } else {
        put16(data, (uint32_t) (header + descriptor + pages_len - 2));
        data[2] = floppy_medium_type(drive);
        data[3] = device_parameter(drive);
        put16(data + 6, (uint32_t) descriptor);
    }
    return reply(task, data, header + descriptor + pages_len, alloc);
}

uint32_t
mode_sense_6(struct task *task)
{
    return mode_sense(task, 4, task->command->cdb[4]);
}

uint32_t
mode_sense_10(struct task *task)
{
    return mode_sense(task, 8, get16(task->command->cdb + 7));
}

/* --- MODE SELECT ---------------------------------------------------------- */

static const struct page *
find_page(const struct vscsi_drive *drive, uint8_t code)
{
    for (size_t i = 0; i < PAGES; i++)
        if (pages[i].code == code && pages[i].types >> drive->type & 1)
            return &pages[i];
    return NULL;
}

/* Bits that may not be changed must be as they are. */
static uint32_t
check_page(const struct vscsi_drive *drive, const uint8_t *given, size_t len)
{
    const struct page *page;
    uint8_t now[32] = { 0 }, may[32] = { 0 };

    if (len < 2)
        return SENSE_LIST_LENGTH;
    page = find_page(drive, given[0] & 0x3f);
    if (page == NULL || given[0] & 0x40 || given[1] != page->length)
        return SENSE_LIST_FIELD;
    if (len < 2u + page->length)
        return SENSE_LIST_LENGTH;
    page->fill(drive, now, CURRENT);
    page->fill(drive, may, CHANGEABLE);
    for (unsigned i = 0; i < page->length; i++)
        if ((given[2 + i] ^ now[i]) & ~may[i])
            return SENSE_LIST_FIELD;
    return 0;
}

static uint32_t
set_write_cache(struct vscsi_drive *drive, bool on)
{
    uint32_t sense = 0;

    if (drive->write_cache && !on && drive->medium != NULL)
        sense = drive_flush(drive);
    if (sense == 0)
        drive->write_cache = on;
    return sense;
}

static uint32_t
apply_page(struct vscsi_drive *drive, const uint8_t *given)
{
    if ((given[0] & 0x3f) == 0x08)
        return set_write_cache(drive, given[2] & 0x04);
    if ((given[0] & 0x3f) == 0x0F)
        tape_set_compression(drive, given);
    if ((given[0] & 0x3f) == 0x0A) {
        atomic_store(&drive->d_sense, (given[2] & 0x04) != 0);
        pthread_mutex_lock(&drive->lock);
        drive->software_wp = given[4] & 0x08;
        pthread_mutex_unlock(&drive->lock);
    }
    return 0;
}

static uint32_t
select_pages(struct task *task, const uint8_t *list, size_t len)
{
    struct vscsi_drive *drive = task->drive;
    uint8_t before[256], after[256];
    size_t at, size;
    uint32_t sense = 0;

    for (at = 0; at < len && sense == 0; at += 2u + list[at + 1])
        sense = check_page(drive, list + at, len - at);
    if (sense != 0)
        return sense;
    size = put_pages(drive, before, 0x3f, CURRENT);
    for (at = 0; at < len && sense == 0; at += 2u + list[at + 1])
        sense = apply_page(drive, list + at);
    (void) put_pages(drive, after, 0x3f, CURRENT);
    if (memcmp(before, after, size) != 0)
        drive_attention_all(drive, UA_MODE, task->nexus);
    return sense;
}

/* The pages are checked before anything takes effect. */
static uint32_t
select_tape(struct task *task, size_t header, const uint8_t *descriptor,
            size_t len)
{
    const uint8_t *list = task->data;
    uint8_t parameter = header == 4 ? list[2] : list[3];
    size_t pages_at = header + (descriptor != NULL ? 8 : 0);
    bool changed = false;
    uint32_t sense = tape_check_descriptor(task->drive, parameter, descriptor);

    if (sense == 0)
        sense = select_pages(task, list + pages_at, len - pages_at);
    if (sense == 0)
        sense = tape_select(task->drive, parameter, descriptor, &changed);
    if (changed)
        drive_attention_all(task->drive, UA_MODE, task->nexus);
    return sense;
}

static uint32_t
mode_select(struct task *task, size_t header, size_t len)
{
    const uint8_t *list = task->data;
    size_t descriptor;

    if ((task->command->cdb[1] & 0x11) != 0x10)
        return SENSE_CDB_FIELD; /* PF yes, SP no */
    if (len == 0)
        return 0;
    if (len < header || len > task->data_len)
        return SENSE_LIST_LENGTH;
    task->command->transferred = (uint32_t) len;
    descriptor = header == 4 ? list[3] : get16(list + 6);
    if ((descriptor != 0 && descriptor != 8) || header + descriptor > len)
        return descriptor > 8 ? SENSE_LIST_FIELD : SENSE_LIST_LENGTH;
    if (task->drive->tape != NULL)
        return select_tape(task, header, descriptor == 8 ? list + header : NULL,
                           len);
    /* The block size is the image's. */
    if (descriptor == 8 &&
        get24(list + header + 5) != 1u << task->drive->block_shift)
        return SENSE_LIST_FIELD;
    return select_pages(task, list + header + descriptor,
                        len - header - descriptor);
}

uint32_t
mode_select_6(struct task *task)
{
    return mode_select(task, 4, task->command->cdb[4]);
}

uint32_t
mode_select_10(struct task *task)
{
    return mode_select(task, 8, get16(task->command->cdb + 7));
}
