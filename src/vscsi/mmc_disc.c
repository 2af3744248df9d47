/*
 * mmc_disc.c - what a disc says of itself: the structures of a DVD, the serial
 *              number of a medium
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "vscsi/vscsi_internal.h"

/* --- READ DISC STRUCTURE -------------------------------------------------- */

#define DVD_FIRST_SECTOR 0x30000u
#define DVD_LAYER_BLOCKS 2295104u /* what one layer holds */

enum { SENSE_WRONG_DISC = 0x053002 };

/* A pressed disc of 120 mm; of two layers, read in parallel, when one would
 * not hold the image. */
static size_t
put_physical(const struct medium *medium, uint8_t *to)
{
    bool two = medium->blocks > DVD_LAYER_BLOCKS;
    uint64_t blocks = two ? (medium->blocks + 1) / 2 : medium->blocks;

    to[0] = 0x01; /* DVD-ROM, part version 1 */
    to[1] = 0x02; /* 10 Mbit/s at most */
    to[2] = (two ? 0x20 : 0) | 0x01;
    put32(to + 4, DVD_FIRST_SECTOR);
    put32(to + 8, DVD_FIRST_SECTOR + (uint32_t) blocks - 1);
    return 2048;
}

/* No copy protection, no region excluded. */
static size_t
put_copyright(const struct medium *medium, uint8_t *to)
{
    return 4;
}

static size_t
put_manufacturer(const struct medium *medium, uint8_t *to)
{
    return 2048;
}

static size_t put_formats(const struct medium *medium, uint8_t *to);

static const struct structure {
    uint8_t format;
    uint16_t length;
    size_t (*put)(const struct medium *medium, uint8_t *to);
} structures[] = {
    { 0x00, 2048, put_physical },
    { 0x01, 4, put_copyright },
    { 0x04, 2048, put_manufacturer },
    { 0xFF, 16, put_formats },
};

#define STRUCTURES (sizeof structures / sizeof structures[0])

static size_t
put_formats(const struct medium *medium, uint8_t *to)
{
    for (size_t i = 0; i < STRUCTURES; i++, to += 4) {
        to[0] = structures[i].format;
        to[1] = 0x40; /* can be read */
        put16(to + 2, structures[i].length + 4u);
    }
    return STRUCTURES * 4;
}

uint32_t
mmc_read_structure(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    uint8_t data[4 + 2048] = { 0 };
    size_t len = 0;

    if (mmc_profile(task->medium) != 0x0010)
        return SENSE_WRONG_DISC;
    if (cdb[1] & 0x0f)
        return SENSE_CDB_FIELD; /* of a DVD only */
    for (size_t i = 0; i < STRUCTURES; i++)
        if (structures[i].format == cdb[7])
            len = structures[i].put(task->medium, data + 4);
    if (len == 0)
        return SENSE_CDB_FIELD;
    put16(data, (uint32_t) len + 2);
    return reply(task, data, 4 + len, get16(cdb + 8));
}

/* --- READ MEDIA SERIAL NUMBER --------------------------------------------- */

/* A file has one: it is the same wherever the file is inserted, and no copy
 * has it.  A block device has none that lasts. */
static size_t
put_serial(const struct medium *medium, uint8_t *to)
{
    struct statfs fs;
    struct stat st;
    uint32_t id[2];
    char text[25];

    _Static_assert(sizeof fs.f_fsid == sizeof id, "two words");
    if (fstat(medium->fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        fstatfs(medium->fd, &fs) != 0)
        return 0;
    memcpy(id, &fs.f_fsid, sizeof id);
    (void) snprintf(text, sizeof text, "%08" PRIX32 "%016" PRIX64,
                    id[0] ^ id[1], (uint64_t) st.st_ino);
    memcpy(to, text, sizeof text - 1);
    return sizeof text - 1;
}

uint32_t
mmc_media_serial(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    uint8_t data[4 + 24] = { 0 };
    size_t len;

    if ((cdb[1] & 0x1f) != 0x01)
        return SENSE_CDB_FIELD;
    len = put_serial(task->medium, data + 4);
    put32(data, (uint32_t) len);
    return reply(task, data, 4 + len, get32(cdb + 6));
}
