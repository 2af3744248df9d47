/*
 * mmc.c - what CD and DVD drives add: events, features, table of contents;
 *         mmc_speed.c and mmc_disc.c have the rest
 *
 * A disc is one session with one data track of 2048-byte blocks; whether it is
 * a CD or a DVD follows from its size.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "vscsi/vscsi_internal.h"

enum { PROFILE_NONE = 0, PROFILE_CD_ROM = 0x0008, PROFILE_DVD_ROM = 0x0010 };

#define CD_BLOCKS_MAX (100u * 60 * 75) /* the longest that were sold */
#define LEAD_OUT      0xAAu

uint16_t
mmc_profile(const struct medium *medium)
{
    return medium->blocks <= CD_BLOCKS_MAX ? PROFILE_CD_ROM : PROFILE_DVD_ROM;
}

static uint16_t
current_profile(const struct vscsi_drive *drive)
{
    return drive->state == DRIVE_READY ? mmc_profile(drive->medium)
                                       : PROFILE_NONE;
}

/* --- GET EVENT STATUS NOTIFICATION ---------------------------------------- */

enum { CLASS_OPERATIONAL = 1, CLASS_MEDIA = 4 };

#define CLASSES (1u << CLASS_OPERATIONAL | 1u << CLASS_MEDIA)

/* Takes the first of `bits` that is waiting to be told, or 0. */
static unsigned
take_event(struct task *task, unsigned bits)
{
    unsigned found;

    pthread_mutex_lock(&task->drive->lock);
    found = task->nexus->gesn & bits;
    found &= -found;
    task->nexus->gesn &= ~found;
    pthread_mutex_unlock(&task->drive->lock);
    return found;
}

static void
media_event(struct task *task, uint8_t event[4])
{
    unsigned found =
        take_event(task, GESN_REMOVAL | GESN_NEW_MEDIA | GESN_EJECT_REQUEST);

    event[0] = found == GESN_EJECT_REQUEST ? 1
               : found == GESN_NEW_MEDIA   ? 2
               : found == GESN_REMOVAL     ? 3
                                           : 0;
    event[1] = (task->drive->state == DRIVE_OPEN ? 0x01 : 0) |
               (task->drive->medium != NULL ? 0x02 : 0);
}

static void
operational_event(struct task *task, uint8_t event[4])
{
    if (take_event(task, GESN_OPERATIONAL) == 0)
        return;
    event[0] = 2; /* has changed */
    event[3] = 1; /* the features */
}

/* Of the classes asked for, the lowest with something to tell; when none has,
 * the lowest that we know, with event code 0. */
uint32_t
mmc_get_event_status(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    unsigned wanted = cdb[4] & CLASSES;
    uint8_t data[8] = { 0 };

    if (!(cdb[1] & 0x01))
        return SENSE_CDB_FIELD; /* to be polled only */
    data[3] = CLASSES;
    put16(data, wanted != 0 ? 6 : 2);
    if (wanted == 0) {
        data[2] = 0x80; /* no event available */
        return reply(task, data, 4, get16(cdb + 7));
    }
    if (wanted & 1u << CLASS_OPERATIONAL) {
        data[2] = CLASS_OPERATIONAL;
        operational_event(task, data + 4);
    }
    if (wanted & 1u << CLASS_MEDIA && data[4] == 0) {
        uint8_t event[4] = { 0 };

        media_event(task, event);
        if (event[0] != 0 || data[2] == 0) {
            data[2] = CLASS_MEDIA;
            memcpy(data + 4, event, 4);
        }
    }
    return reply(task, data, sizeof data, get16(cdb + 7));
}

/* --- GET CONFIGURATION ---------------------------------------------------- */

struct feature {
    uint16_t code;
    uint8_t flags;  /* version << 2 | persistent << 1 */
    uint16_t needs; /* profile that makes it current; 1: any */
    uint8_t length;
    uint8_t body[12];
};

static const struct feature features[] = {
    { 0x0000, 0x02, 0, 8, { 0x00, 0x10, 0, 0, 0x00, 0x08, 0, 0 } },
    { 0x0001, 0x0A, 0, 8, { 0, 0, 0, 1, 0x01 } },    /* core: SCSI */
    { 0x0002, 0x06, 0, 4, { 0x02 } },                /* morphing */
    { 0x0003, 0x02, 0, 4, { 0x29 } },                /* removable: tray */
    { 0x0010, 0x00, 1, 8, { 0, 0, 0x08, 0, 0, 1 } }, /* random readable */
    { 0x001D, 0x00, 1, 0, { 0 } },                   /* multi-read */
    { 0x001E, 0x08, PROFILE_CD_ROM, 4, { 0 } },      /* CD read */
    { 0x001F, 0x04, PROFILE_DVD_ROM, 4, { 0x01 } },  /* DVD read */
    { 0x0100, 0x02, 0, 0, { 0 } },                   /* power */
    { 0x0105, 0x02, 0, 0, { 0 } },                   /* timeout */
    { 0x0107, 0x0C, 1, 4, { 0x08 } },                /* streaming */
    { 0x0108, 0x02, 0, 0, { 0 } },                   /* its serial number */
    { 0x0109, 0x02, 0, 0, { 0 } },                   /* the medium's */
};

/* In multiples of four characters, as the drive's is in INQUIRY. */
static size_t
put_serial(const struct vscsi_drive *drive, uint8_t *to)
{
    size_t len = strnlen(drive->name, 64), padded = (len + 3) & ~(size_t) 3;

    memset(to, ' ', padded);
    memcpy(to, drive->name, len);
    return padded;
}

static size_t
put_feature(const struct feature *feature, const struct vscsi_drive *drive,
            uint8_t *to)
{
    uint16_t profile = current_profile(drive);
    bool current = feature->needs == 0 ||
                   (profile != PROFILE_NONE &&
                    (feature->needs == 1 || feature->needs == profile));

    put16(to, feature->code);
    to[2] = feature->flags | (current ? 1 : 0);
    to[3] = feature->length;
    memcpy(to + 4, feature->body, feature->length);
    if (feature->code == 0x0000) {
        to[6] = profile == PROFILE_DVD_ROM;
        to[10] = profile == PROFILE_CD_ROM;
    }
    if (feature->code == 0x0108)
        to[3] = (uint8_t) put_serial(drive, to + 4);
    return 4u + to[3];
}

/* RT 0: all, 1: the current ones, 2: just the one named. */
uint32_t
mmc_get_configuration(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    uint16_t profile = current_profile(task->drive);
    unsigned which = cdb[1] & 3, first = get16(cdb + 2);
    uint8_t data[256] = { 0 };
    size_t len = 8;

    if (which == 3)
        return SENSE_CDB_FIELD;
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        size_t size = 0;

        if (which == 2 ? features[i].code == first : features[i].code >= first)
            size = put_feature(&features[i], task->drive, data + len);
        if (which != 1 || data[len + 2] & 1)
            len += size;
    }
    put32(data, (uint32_t) len - 4);
    put16(data + 6, profile);
    return reply(task, data, len, get16(cdb + 7));
}

/* --- the table of contents ------------------------------------------------ */

static void
put_address(uint8_t *to, bool msf, uint64_t lba)
{
    if (!msf) {
        put32(to, (uint32_t) lba);
        return;
    }
    lba += 150;
    to[0] = 0;
    to[1] = (uint8_t) (lba / 75 / 60);
    to[2] = (uint8_t) (lba / 75 % 60);
    to[3] = (uint8_t) (lba % 75);
}

static void
put_track(uint8_t *to, uint8_t track, bool msf, uint64_t lba)
{
    to[1] = 0x14; /* position; data, no copying */
    to[2] = track;
    put_address(to + 4, msf, lba);
}

static uint32_t
toc_tracks(struct task *task, bool msf, size_t alloc)
{
    uint8_t from = task->command->cdb[6], data[20] = { 0 };
    size_t len = 4;

    if (from > 1 && from != LEAD_OUT)
        return SENSE_CDB_FIELD;
    data[2] = data[3] = 1;
    if (from <= 1) {
        put_track(data + len, 1, msf, 0);
        len += 8;
    }
    put_track(data + len, LEAD_OUT, msf, task->medium->blocks);
    len += 8;
    put16(data, (uint32_t) len - 2);
    return reply(task, data, len, alloc);
}

static uint32_t
toc_sessions(struct task *task, bool msf, size_t alloc)
{
    uint8_t data[12] = { 0 };

    put16(data, sizeof data - 2);
    data[2] = data[3] = 1;
    put_track(data + 4, 1, msf, 0);
    return reply(task, data, sizeof data, alloc);
}

/* As on the disc: points A0 to A2 and the track, always minutes. */
static uint32_t
toc_full(struct task *task, size_t alloc)
{
    static const uint8_t points[4] = { 0xA0, 0xA1, 0xA2, 0x01 };
    uint8_t data[4 + 4 * 11] = { 0 };

    put16(data, sizeof data - 2);
    data[2] = data[3] = 1;
    for (unsigned i = 0; i < 4; i++) {
        uint8_t *entry = data + 4 + i * 11, address[4];

        entry[0] = 1;
        entry[1] = 0x14;
        entry[3] = points[i];
        put_address(address, true, i == 2 ? task->medium->blocks : 0);
        if (i < 2)
            entry[8] = 1; /* first and last track */
        else
            memcpy(entry + 8, address + 1, 3);
    }
    return reply(task, data, sizeof data, alloc);
}

uint32_t
mmc_read_toc(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    unsigned format = cdb[2] & 0x0f;
    bool msf = cdb[1] & 0x02;
    size_t alloc = get16(cdb + 7);

    if (format == 0)
        format = cdb[9] >> 6; /* where SFF-8020 had it */
    switch (format) {
    case 0:
        return toc_tracks(task, msf, alloc);
    case 1:
        return toc_sessions(task, msf, alloc);
    case 2:
        return toc_full(task, alloc);
    default:
        return SENSE_CDB_FIELD;
    }
}

uint32_t
mmc_read_disc_info(struct task *task)
{
    uint8_t data[34] = { 0 };

    if (task->command->cdb[1] & 0x07)
        return SENSE_CDB_FIELD;
    put16(data, sizeof data - 2);
    data[2] = 0x0E; /* last session and disc complete */
    data[3] = data[4] = data[5] = data[6] = 1;
    put32(data + 16, UINT32_MAX); /* no further session */
    put32(data + 20, UINT32_MAX);
    return reply(task, data, sizeof data, get16(task->command->cdb + 7));
}

/* By LBA, track or session: they all lead to the one track. */
uint32_t
mmc_read_track_info(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    uint32_t value = get32(cdb + 2);
    unsigned by = cdb[1] & 3;
    uint8_t data[36] = { 0 };

    if (by == 3 || (by == 0 && value >= task->medium->blocks) ||
        (by != 0 && value != 1))
        return SENSE_CDB_FIELD;
    put16(data, sizeof data - 2);
    data[2] = data[3] = 1;
    data[5] = 0x04; /* data track */
    data[6] = 0x01; /* mode 1 */
    put32(data + 24, (uint32_t) task->medium->blocks);
    return reply(task, data, sizeof data, get16(cdb + 7));
}

/* --- the rest ------------------------------------------------------------- */

uint32_t
mmc_mechanism_status(struct task *task)
{
    uint8_t data[8] = { 0 };

    data[1] = task->drive->state == DRIVE_OPEN ? 0x10 : 0;
    return reply(task, data, sizeof data, get16(task->command->cdb + 8));
}

/* User data of mode 1 or mode 2 form 1 sectors: an image has no more. */
uint32_t
mmc_read_cd(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    unsigned expected = cdb[1] >> 2 & 7;

    cdb_range(cdb, task->op->length, &task->lba, &task->blocks);
    if (task->lba > task->medium->blocks ||
        task->blocks > task->medium->blocks - task->lba) {
        task->info_valid = true;
        task->info = task->lba;
        return SENSE_LBA;
    }
    if (expected != 0 && expected != 2)
        return SENSE_TRACK_MODE;
    if (cdb[10] & 0x07 || (cdb[9] & 0xfe) == 0)
        return cdb[10] & 0x07 ? SENSE_CDB_FIELD : 0;
    return (cdb[9] & 0xfe) == 0x10 ? sbc_read(task) : SENSE_CDB_FIELD;
}
