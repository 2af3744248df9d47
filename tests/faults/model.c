/*
 * model.c - what may be on each medium, and what must
 *
 * Each block that a client writes says whose it is: medium, block, version, and
 * a sum over all.  So a block that lands on another medium, an old version over
 * a newer one that was promised, or a torn one is seen when it happens.
 *
 * SPDX-License-Identifier: MIT
 */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <recovery.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STAMP_MAGIC 0x5EED0F5A11B10C25ull
#define NO_VERSION  UINT32_MAX
#define LABEL_AT    43u
#define FAT_AT      1u
#define FAT_BLOCKS  3u

struct stamp {
    uint64_t magic;
    uint32_t medium, block, version, reserved;
    uint64_t fill[(BLOCK - 32) / 8];
    uint64_t sum;
};

_Static_assert(sizeof(struct stamp) == BLOCK, "a stamp fills a block");

/* --- blocks that say whose they are ------------------------------------------ */

static uint64_t
sum_of(const struct stamp *stamp)
{
    const uint64_t *word = (const uint64_t *) stamp;
    uint64_t sum = 0;

    for (size_t i = 0; i < BLOCK / 8 - 1; i++)
        sum = (sum ^ word[i]) * 0x100000001B3ull;
    return sum;
}

void
model_stamp(int m, uint32_t block, uint32_t version, void *out_bytes)
{
    struct stamp *stamp = out_bytes;
    uint64_t fill = ((uint64_t) block << 32 | version) * 0x9E3779B97F4A7C15ull;

    stamp->magic = STAMP_MAGIC;
    stamp->medium = (uint32_t) m;
    stamp->block = block;
    stamp->version = version;
    stamp->reserved = 0;
    for (size_t i = 0; i < sizeof stamp->fill / 8; i++)
        stamp->fill[i] = fill + i;
    stamp->sum = sum_of(stamp);
}

static bool
is_zero(const void *bytes)
{
    const uint64_t *word = bytes;

    for (size_t i = 0; i < BLOCK / 8; i++)
        if (word[i] != 0)
            return false;
    return true;
}

uint32_t
model_version(int m, uint32_t block, const void *bytes, const char *where)
{
    const struct stamp *stamp = bytes;
    const struct medium_model *model = &world->media[m];

    if (block < FIRST_BLOCK)
        return 0;
    if (is_zero(bytes)) {
        if (model->zeroed[block] == 0)
            fail("lost", "medium %d block %u %s is zeroes, and never was", m,
                 block, where);
        return model->zeroed[block];
    }
    if (stamp->magic != STAMP_MAGIC || stamp->sum != sum_of(stamp))
        fail("lost", "medium %d block %u %s is torn, or nobody's", m, block,
             where);
    if (stamp->medium != (uint32_t) m || stamp->block != block)
        fail("misplaced",
             "medium %d block %u %s has version %u of medium %u block %u", m,
             block, where, stamp->version, stamp->medium, stamp->block);
    if (stamp->version > model->issued[block])
        fail("lost", "medium %d block %u %s has version %u, from the future", m,
             block, where, stamp->version);
    return stamp->version;
}

uint32_t
model_next(int m, bool zeroes)
{
    return (world->media[m].next += 2) | zeroes;
}

bool
model_is_zeroes(uint32_t version)
{
    return version & 1;
}

/* --- media ------------------------------------------------------------------- */

static void
put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t) value;
    at[1] = (uint8_t) (value >> 8);
}

/* A FAT12 volume as the documents of FAT describe it: boot sector, one FAT, and
 * a root directory of one sector that holds the label. */
static void
make_fat(uint8_t *image, const char label[11], uint32_t serial)
{
    static const uint8_t jump[3] = { 0xEB, 0x3C, 0x90 };

    memcpy(image, jump, 3);
    memcpy(image + 3, "FAULTS  ", 8);
    put16(image + 11, BLOCK);
    image[13] = 4; /* sectors of a cluster */
    put16(image + 14, FAT_AT);
    image[16] = 1; /* FATs */
    put16(image + 17, 16);
    put16(image + 19, world->blocks);
    image[21] = 0xF8;
    put16(image + 22, FAT_BLOCKS);
    put16(image + 24, 32);
    put16(image + 26, 2);
    image[38] = 0x29;
    memcpy(image + 39, &serial, 4);
    memcpy(image + LABEL_AT, label, 11);
    memcpy(image + 54, "FAT12   ", 8);
    put16(image + 510, 0xAA55);
    put16(image + FAT_AT * BLOCK, 0xFFF8);
    image[FAT_AT * BLOCK + 2] = 0xFF;
    memcpy(image + 4 * BLOCK, label, 11);
    image[4 * BLOCK + 11] = 0x08;
}

/* A primary volume descriptor as ECMA-119 has it, its end, and what stands for a
 * directory: that of clones differs, for nothing is written to them. */
static void
make_iso(uint8_t *image, const char label[11], int m)
{
    uint8_t *at = image + 16 * 2048;

    at[0] = 1;
    memcpy(at + 1, "CD001\1", 6);
    memset(at + 8, ' ', 64);
    memcpy(at + 40, label, 11);
    put16(at + 80, (uint16_t) (world->blocks / 4));
    put16(at + 128, 2048);
    memcpy(at + 813, "2026010112000000", 16);
    at += 2048;
    at[0] = 255;
    memcpy(at + 1, "CD001\1", 6);
    at += 2048;
    at[0] = (uint8_t) (0x30 + m);
}

static void
make_medium(int m)
{
    static const struct {
        char label[12];
        uint32_t serial;
    } bought[MEDIA] = {
        { "CLONE      ", 0xC10E0001 },
        { "CLONE      ", 0xC10E0001 },
        { "ALPHA      ", 0xA1FA0002 },
        { "BETA       ", 0xBE7A0003 },
    };
    struct medium_model *model = &world->media[m];
    int file;

    memset(model, 0, sizeof *model);
    memcpy(model->path, "medium0.img", sizeof "medium0.img");
    model->path[6] = (char) ('0' + m);
    file = open(model->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, world->blocks * BLOCK) != 0) {
        perror(model->path);
        exit(1);
    }
    model->image =
        mmap(NULL, BLOCKS * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (model->image == MAP_FAILED) {
        perror(model->path);
        exit(1);
    }
    close(file);
    if (world->drives == DISC)
        make_iso(model->image, bought[m].label, m);
    else
        make_fat(model->image, bought[m].label, bought[m].serial);
    for (uint32_t block = FIRST_BLOCK; block < world->blocks; block++)
        model_stamp(m, block, 0, model->image + block * BLOCK);
}

void
media_make(void)
{
    for (int m = 0; m < MEDIA; m++) {
        if (world->media[m].image != NULL)
            munmap(world->media[m].image, BLOCKS * BLOCK);
        make_medium(m);
    }
}

int
medium_index(const char *path)
{
    for (int m = 0; m < MEDIA; m++)
        if (strcmp(world->media[m].path, path) == 0)
            return m;
    return -1;
}

/* --- what happens to them ---------------------------------------------------- */

/* May that not be written any more?  A write that its drive has had, and whose
 * record and flush failed then, stays in the log all the same: older data of
 * its blocks, which were acknowledged, are there no more. */
static bool
is_over(const struct medium_model *model, uint32_t block, uint32_t version)
{
    if (version == model->left[block])
        return false;
    if (version == model->kept[block])
        return true;
    return version == model->refused[block] &&
           !(world->log && version == model->taken[block]);
}

/* The version is the data's own, but for zeroes. */
static void
reached(int m, uint32_t block, uint32_t version, bool image)
{
    struct medium_model *model = &world->media[m];

    if (version < model->flushed[block])
        fail("lost",
             "medium %d block %u: version %u over %u, which was promised", m,
             block, version, model->flushed[block]);
    if (model->changed)
        fail("resumed", "medium %d was changed elsewhere, and is written to",
             m);
    if (!image && !model_is_zeroes(version) && is_over(model, block, version))
        fail("cancelled", "medium %d block %u: version %u is written after all",
             m, block, version);
    model->seen[block] = model->taken[block] = version;
    if (image)
        model->durable[block] = version;
}

void
model_zeroed(int m, uint64_t offset, uint64_t len)
{
    const struct medium_model *model = &world->media[m];
    uint32_t end = (uint32_t) ((offset + len) / BLOCK);

    for (uint32_t block = (uint32_t) (offset / BLOCK); block < end; block++) {
        if (block < FIRST_BLOCK || model->zeroed[block] == 0)
            fail("misplaced",
                 "medium %d block %u becomes zeroes, which nobody asked for", m,
                 block);
        reached(m, block, model->zeroed[block], true);
    }
}

void
model_reached(int m, uint64_t offset, const void *data, size_t len, bool image)
{
    uint32_t first = (uint32_t) (offset / BLOCK);

    for (uint32_t i = 0; i < len / BLOCK; i++)
        if (first + i >= FIRST_BLOCK)
            reached(m, first + i,
                    model_version(
                        m, first + i, (const uint8_t *) data + i * BLOCK,
                        image ? "written to the image" : "sent to the drive"),
                    image);
}

void
model_left(const void *data, size_t len, bool over)
{
    for (size_t at = 0; at + BLOCK <= len; at += BLOCK) {
        const struct stamp *stamp =
            (const void *) ((const uint8_t *) data + at); /* DATA */

        if (stamp->magic == STAMP_MAGIC && stamp->medium < MEDIA &&
            stamp->block < BLOCKS)
            world->media[stamp->medium].left[stamp->block] =
                over ? 0 : stamp->version;
    }
}

void
model_cache_lost(int m)
{
    struct medium_model *model = &world->media[m];

    memcpy(model->seen, model->durable, sizeof model->seen);
}

void
model_promised(int m, uint32_t block, uint32_t version)
{
    struct medium_model *model = &world->media[m];

    if (version > model->flushed[block])
        model->flushed[block] = version;
    if (model->durable[block] < model->flushed[block])
        fail("lost",
             "medium %d block %u: a flush promised version %u, and the image "
             "has %u",
             m, block, model->flushed[block], model->durable[block]);
}

void
model_check_image(int m)
{
    const struct medium_model *model = &world->media[m];

    for (uint32_t block = FIRST_BLOCK; block < world->blocks; block++) {
        uint32_t version = model_version(m, block, model->image + block * BLOCK,
                                         "of the image");

        /* Zeroes do not say which they are. */
        if (model_is_zeroes(version) && model_is_zeroes(model->durable[block]))
            version = model->durable[block];
        if (version != model->durable[block])
            fail("lost",
                 "medium %d block %u: the image has version %u, and was last "
                 "written with %u",
                 m, block, version, model->durable[block]);
        if (version < model->flushed[block])
            fail("lost",
                 "medium %d block %u: the image has version %u, and %u was "
                 "promised",
                 m, block, version, model->flushed[block]);
    }
}

/* Does the log certainly hold something for it? */
static bool
is_owed(const struct medium_model *model)
{
    for (uint32_t block = FIRST_BLOCK; block < world->blocks; block++)
        if (model->acked[block] > model->durable[block])
            return true;
    return false;
}

void
model_crashed(void)
{
    for (int m = 0; m < MEDIA; m++) {
        struct medium_model *model = &world->media[m];

        model_check_image(m);
        memcpy(model->seen, model->durable, sizeof model->seen);
        memset(model->busy, 0, sizeof model->busy);
        memset(model->refused, 0, sizeof model->refused);
        memset(model->kept, 0, sizeof model->kept);
        memset(model->left, 0, sizeof model->left);
        model->tracked = world->log && is_owed(model);
        model->changed &= model->tracked;
        if (world->log)
            continue;
        model->elsewhere = false;
        memcpy(model->acked, model->durable, sizeof model->acked);
        memcpy(model->flushed, model->durable, sizeof model->flushed);
    }
}

/* As a machine does that writes a file: a sector of the FAT, and data. */
void
model_change_elsewhere(int m)
{
    struct medium_model *model = &world->media[m];
    uint32_t block =
        FIRST_BLOCK + (uint32_t) chance(world->blocks - FIRST_BLOCK - 8);
    uint32_t version = model_next(m, false);

    model->image[FAT_AT * BLOCK + chance(FAT_BLOCKS * BLOCK)]++;

    for (uint32_t end = block + 8; block < end; block++) {
        model->issued[block] = version;
        model_stamp(m, block, version, model->image + block * BLOCK);
        model->durable[block] = model->seen[block] = version;
        model->flushed[block] = version;
        /* What its clients were told is not undone by it. */
        if (!model->tracked)
            model->acked[block] = version;
    }
    model->elsewhere = true;
    model->changed = model->tracked;
}

void
model_used(int m)
{
    struct medium_model *model = &world->media[m];

    model->changed = model->elsewhere = false;
    memcpy(model->acked, model->flushed, sizeof model->acked);
}

/* --- recovery files ----------------------------------------------------------- */

struct kept {
    int m;
    uint32_t version[BLOCKS]; /* NO_VERSION: not in the file */
    bool zero[BLOCKS];        /* it is, as zeroes */
};

static void
keep_data(struct kept *kept, const struct rec_item *item)
{
    for (uint64_t at = 0; at < item->len; at += BLOCK) {
        uint32_t block = (uint32_t) ((item->offset + at) / BLOCK);
        const struct stamp *stamp =
            (const void *) ((const uint8_t *) item->data + at); /* DATA */

        if (block < FIRST_BLOCK || block >= world->blocks)
            continue;
        if (item->what == REC_ZEROES || is_zero(stamp)) {
            kept->zero[block] = true;
            continue;
        }
        if (kept->m < 0 && stamp->magic == STAMP_MAGIC && stamp->medium < MEDIA)
            kept->m = (int) stamp->medium;
        if (kept->m < 0)
            fail("recovery", "a recovery file has what nobody wrote");
        kept->version[block] =
            model_version(kept->m, block, stamp, "in a recovery file");
    }
}

static uint32_t
version_kept(const struct kept *kept, uint32_t block)
{
    return kept->zero[block] ? world->media[kept->m].zeroed[block]
                             : kept->version[block];
}

/* Exactly what was acknowledged and not flushed; flushed data may be there.
 * What is wrong with it otherwise. */
static bool
is_complete(const struct kept *kept, char *out_why, size_t size)
{
    const struct medium_model *model = &world->media[kept->m];

    for (uint32_t block = FIRST_BLOCK; block < world->blocks; block++) {
        uint32_t version = version_kept(kept, block);
        uint32_t acked = model->acked[block];

        if (version == NO_VERSION && acked > model->seen[block] &&
            acked > model->flushed[block]) {
            snprintf(out_why, size,
                     "medium %d block %u: version %u was acknowledged and is "
                     "not in the recovery file",
                     kept->m, block, acked);
            return false;
        }
        if (version != NO_VERSION && version < acked) {
            snprintf(out_why, size,
                     "medium %d block %u: the recovery file has version %u, "
                     "and %u was acknowledged",
                     kept->m, block, version, acked);
            return false;
        }
    }
    return true;
}

static void
give_up(const struct kept *kept)
{
    struct medium_model *model = &world->media[kept->m];

    for (uint32_t block = FIRST_BLOCK; block < world->blocks; block++) {
        uint32_t version = version_kept(kept, block);

        if (version == NO_VERSION)
            continue;
        model->acked[block] = model->flushed[block];
        /* One that waits for its record is told nothing yet, and goes on. */
        if (!world->log || !model->busy[block] ||
            version != model->issued[block])
            model->kept[block] = version;
    }
    model->given_up++;
}

/* Zeroes alone do not say whose they are: of two clones it may be either, but
 * not one that would miss something in it. */
static bool
may_be_of(const struct kept *kept, const char *label)
{
    const struct medium_model *model = &world->media[kept->m];

    if (strncmp(label, (const char *) model->image + LABEL_AT, strlen(label)) !=
        0)
        return false;
    for (uint32_t block = FIRST_BLOCK; block < world->blocks; block++)
        if (kept->zero[block] && (model->zeroed[block] == 0 ||
                                  model->zeroed[block] < model->acked[block]))
            return false;
    return true;
}

void
model_recovery(const char *path)
{
    static struct kept kept; /* one thread at a time */
    char label[128], why[160];
    bool asked = false, found = false;
    struct rec_reader *reader;
    struct rec_error error;
    struct rec_item item;
    int rc;

    kept.m = -1;
    memset(kept.version, 0xFF, sizeof kept.version);
    memset(kept.zero, 0, sizeof kept.zero);
    if (rec_open(path, &reader, &error) != 0)
        fail("recovery", "%s", error.text);
    snprintf(label, sizeof label, "%s", rec_about(reader)->label);
    while ((rc = rec_next(reader, &item, &error)) == 1)
        if (item.what == REC_DATA || item.what == REC_ZEROES)
            keep_data(&kept, &item);
    if (rc != 0)
        fail("recovery", "%s", error.text);
    rec_close(reader);
    unlink(path);
    world->recoveries++;
    event("recovery file of medium %d", kept.m);
    if (kept.m >= 0) {
        if (!is_complete(&kept, why, sizeof why))
            fail("lost", "%s", why);
        give_up(&kept);
        return;
    }
    for (kept.m = 0; kept.m < MEDIA; kept.m++) {
        if (!may_be_of(&kept, label))
            continue;
        asked = true;
        if (!is_complete(&kept, why, sizeof why))
            continue;
        found = true;
        give_up(&kept);
    }
    if (asked && !found)
        fail("lost", "%s", why);
}
