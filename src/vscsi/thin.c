/*
 * thin.c - allocation: unmap, write the same, where are the holes
 *
 * All of it works on the medium itself; what the cache holds of the range is
 * written out first.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "vscsi/vscsi_internal.h"

static uint64_t
most_blocks(const struct task *task)
{
    return (UINT64_C(1) << 32) >> task->drive->block_shift;
}

static uint32_t
settle(struct task *task, uint64_t lba, uint64_t blocks)
{
    unsigned shift = task->drive->block_shift;

    if (task->drive->cache == NULL)
        return 0;
    return cache_flush(task->drive->cache, task->medium, lba << shift,
                       blocks << shift);
}

uint32_t
thin_zero(struct task *task, uint64_t lba, uint64_t blocks, bool unmap)
{
    unsigned shift = task->drive->block_shift;
    uint32_t sense = settle(task, lba, blocks);

    if (sense == 0)
        sense = medium_zero(task->medium, lba << shift, blocks << shift,
                            unmap && task->medium->thin);
    if (sense != 0) {
        task->info_valid = true;
        task->info = lba;
    }
    return sense;
}

/* --- UNMAP ---------------------------------------------------------------- */

/* All descriptors are checked before the first takes effect. */
static uint32_t
check_descriptors(struct task *task, size_t count)
{
    const uint8_t *at = task->data + 8;
    uint64_t blocks = task->medium->blocks;

    for (size_t i = 0; i < count; i++, at += 16) {
        uint64_t lba = get64(at);

        if (lba > blocks || get32(at + 8) > blocks - lba) {
            task->info_valid = true;
            task->info = lba < blocks ? blocks : lba;
            return SENSE_LBA;
        }
        if (get32(at + 8) > most_blocks(task))
            return SENSE_LIST_FIELD;
    }
    return 0;
}

uint32_t
thin_unmap(struct task *task)
{
    size_t len = get16(task->command->cdb + 7);
    uint32_t sense;
    size_t count;

    if (len == 0)
        return 0;
    if (len < 8 || len > task->data_len)
        return SENSE_LIST_LENGTH;
    count = get16(task->data + 2) / 16;
    if (8 + count * 16 > len)
        return SENSE_LIST_LENGTH;
    if (count > 256)
        return SENSE_LIST_FIELD;
    sense = check_descriptors(task, count);
    for (size_t i = 0; i < count && sense == 0; i++)
        sense = thin_zero(task, get64(task->data + 8 + i * 16),
                          get32(task->data + 16 + i * 16), true);
    if (sense == 0)
        task->command->transferred = (uint32_t) len;
    return sense;
}

/* --- WRITE SAME ----------------------------------------------------------- */

static bool
all_zero(const uint8_t *data, size_t len)
{
    return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

static uint32_t
repeat(struct task *task, size_t block)
{
    uint8_t piece[16384];
    uint64_t at = task->lba * block, left = task->blocks * (uint64_t) block;
    uint32_t sense = settle(task, task->lba, task->blocks);
    size_t done = 0;

    for (size_t i = 0; i < sizeof piece; i += block)
        memcpy(piece + i, task->data, block);
    while (left > 0 && sense == 0) {
        size_t part = left < sizeof piece ? (size_t) left : sizeof piece;

        sense = medium_write(task->medium, at, piece, part, false, &done);
        at += done;
        left -= done;
    }
    if (sense != 0) {
        task->info_valid = true;
        task->info = at / block;
    }
    return sense;
}

/* UNMAP is honoured for zeros only: a hole reads as nothing else. */
uint32_t
thin_write_same(struct task *task)
{
    uint8_t flags = task->command->cdb[1];
    size_t block = task->medium->block_bytes;
    bool no_data = task->op->length == 16 && flags & 0x01;
    bool unmap = flags & 0x08;

    if (flags & 0x10 || task->blocks == 0 || task->blocks > most_blocks(task))
        return SENSE_CDB_FIELD;
    if (!no_data && task->data_len < block)
        return SENSE_CDB_FIELD;
    if (!no_data)
        task->command->transferred = (uint32_t) block;
    if (no_data || all_zero(task->data, block))
        return thin_zero(task, task->lba, task->blocks, unmap);
    return repeat(task, block);
}

/* --- READ CAPACITY(16), GET LBA STATUS ------------------------------------ */

static uint32_t
read_capacity_16(struct task *task, size_t alloc)
{
    uint8_t data[32] = { 0 };

    put64(data, task->medium->blocks - 1);
    put32(data + 8, task->medium->block_bytes);
    if (task->medium->thin)
        data[14] = 0xC0; /* LBPME, LBPRZ */
    return reply(task, data, sizeof data, alloc);
}

#define RUNS 64u

/* As many runs as fit the buffer and our patience; the reader goes on. */
static uint32_t
lba_status(struct task *task, size_t alloc)
{
    struct medium *medium = task->medium;
    unsigned shift = task->drive->block_shift;
    uint64_t lba = get64(task->command->cdb + 2), end;
    uint8_t data[8 + 16 * RUNS] = { 0 };
    size_t len = 8;
    uint32_t sense;
    bool hole;

    if (lba >= medium->blocks) {
        task->info_valid = true;
        task->info = lba;
        return SENSE_LBA;
    }
    sense = settle(task, 0, medium->blocks);
    if (sense != 0)
        return sense;
    if (alloc > task->data_len)
        alloc = task->data_len;
    while (lba < medium->blocks && len < sizeof data &&
           (len + 16 <= alloc || len == 8)) {
        medium_extent(medium, lba << shift, &end, &hole);
        end >>= shift;
        if (end - lba > UINT32_MAX)
            end = lba + UINT32_MAX;
        put64(data + len, lba);
        put32(data + len + 8, (uint32_t) (end - lba));
        data[len + 12] = hole ? 1 : 0; /* deallocated, mapped */
        len += 16;
        lba = end;
    }
    put32(data, (uint32_t) len - 4);
    return reply(task, data, len, alloc);
}

uint32_t
thin_service_in(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;

    switch (cdb[1] & 0x1f) {
    case 0x10:
        return read_capacity_16(task, get32(cdb + 10));
    case 0x12:
        return lba_status(task, get32(cdb + 10));
    default:
        return SENSE_CDB_FIELD;
    }
}
