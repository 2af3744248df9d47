/*
 * sbc.c - moving blocks: read, write, verify, synchronize, capacity
 *
 * The range has been checked against the medium.  A buffer shorter than the
 * CDB asks for (the initiator's, or a fault rule's) cuts the transfer: reads
 * fill what there is, writes store whole blocks only.
 *
 * SPDX-License-Identifier: MIT
 */
#include <fcntl.h>
#include <string.h>

#include "vscsi/vscsi_internal.h"

#define FUA 0x08u

static inline uint64_t
offset_of(const struct task *task)
{
    return task->lba << task->drive->block_shift;
}

static inline uint64_t
bytes_of(const struct task *task)
{
    return (uint64_t) task->blocks << task->drive->block_shift;
}

static inline uint32_t
cut(const struct task *task, uint64_t len)
{
    return len < task->data_len ? (uint32_t) len : task->data_len;
}

static uint32_t
failed(struct task *task, uint32_t sense, size_t done)
{
    task->info_valid = true;
    task->info = task->lba + (done >> task->drive->block_shift);
    return sense;
}

uint32_t
drive_flush(struct vscsi_drive *drive)
{
    uint32_t sense = 0;

    if (drive->tape != NULL)
        sense = tape_flush(drive);
    if (drive->cache != NULL)
        sense = cache_flush(drive->cache, drive->medium, 0, UINT64_MAX);
    return sense != 0 ? sense : medium_sync(drive->medium);
}

uint32_t
sbc_read(struct task *task)
{
    struct vscsi_drive *drive = task->drive;
    uint32_t len = cut(task, bytes_of(task)), sense;
    size_t done;

    if (drive->cache != NULL && cache_holds_data(drive->cache))
        sense = cache_read(drive->cache, task->medium, offset_of(task),
                           task->data, len, &done);
    else
        sense =
            medium_read(task->medium, offset_of(task), task->data, len, &done);
    task->command->transferred = (uint32_t) done;
    return __builtin_expect(sense == 0, 1) ? 0 : failed(task, sense, done);
}

/* Through the cache, so that what it holds of the range is not newer. */
static uint32_t
write_cached(struct task *task, uint32_t len, bool fua)
{
    struct vscsi_drive *drive = task->drive;
    uint32_t sense = cache_write(drive->cache, task->medium, offset_of(task),
                                 task->data, len);

    if (sense != 0)
        return sense | SENSE_DEFERRED; /* older data could not make room */
    task->command->transferred = len;
    if (!fua)
        return 0;
    sense = cache_flush(drive->cache, task->medium, offset_of(task), len);
    if (sense == 0)
        sense = medium_sync(task->medium);
    return sense == 0 ? 0 : failed(task, sense, 0);
}

static uint32_t
write_blocks(struct task *task, bool fua)
{
    struct vscsi_drive *drive = task->drive;
    uint32_t len = cut(task, bytes_of(task)), sense;
    size_t done;

    len &= ~((1u << drive->block_shift) - 1);
    if (drive->write_cache)
        return write_cached(task, len, fua);
    sense = medium_write(task->medium, offset_of(task), task->data, len, fua,
                         &done);
    task->command->transferred = (uint32_t) done;
    return __builtin_expect(sense == 0, 1) ? 0 : failed(task, sense, done);
}

uint32_t
sbc_write(struct task *task)
{
    return write_blocks(task,
                        task->op->length != 6 && task->command->cdb[1] & FUA);
}

/* --- verify --------------------------------------------------------------- */

/* Reads the range back from the medium; with data, compares as well. */
static uint32_t
read_back(struct task *task, const uint8_t *compare, uint64_t len)
{
    uint8_t piece[16384];
    uint64_t at = 0;
    uint32_t sense = 0;
    size_t done;

    if (task->drive->cache != NULL)
        sense =
            cache_flush(task->drive->cache, task->medium, offset_of(task), len);
    while (at < len && sense == 0) {
        size_t part =
            len - at < sizeof piece ? (size_t) (len - at) : sizeof piece;

        sense =
            medium_read(task->medium, offset_of(task) + at, piece, part, &done);
        if (sense == 0 && compare != NULL &&
            memcmp(piece, compare + at, part) != 0) {
            for (done = 0; piece[done] == compare[at + done];)
                done++;
            sense = SENSE_MISCOMPARE;
        }
        at += sense == 0 ? part : done;
    }
    return sense == 0 ? 0 : failed(task, sense, (size_t) at);
}

/* BYTCHK 0: readable; 1: equal to the data; 3: each equal to one block. */
uint32_t
sbc_verify(struct task *task)
{
    unsigned check = task->command->cdb[1] >> 1 & 3;

    if (check > 1)
        return SENSE_CDB_FIELD;
    if (check == 0)
        return read_back(task, NULL, bytes_of(task));
    task->command->transferred = cut(task, bytes_of(task));
    return read_back(task, task->data, task->command->transferred);
}

uint32_t
sbc_write_verify(struct task *task)
{
    unsigned check = task->command->cdb[1] >> 1 & 3;
    uint32_t sense;

    if (check > 1)
        return SENSE_CDB_FIELD;
    sense = write_blocks(task, true);
    if (sense != 0)
        return sense;
    return read_back(task, check == 1 ? task->data : NULL,
                     task->command->transferred);
}

/* --- cache ---------------------------------------------------------------- */

/* All of it, whatever the range, and before the status even if IMMED is set:
 * both are allowed. */
uint32_t
sbc_sync(struct task *task)
{
    return drive_flush(task->drive);
}

uint32_t
sbc_prefetch(struct task *task)
{
    (void) posix_fadvise(task->medium->fd, (off_t) offset_of(task),
                         (off_t) bytes_of(task), POSIX_FADV_WILLNEED);
    return 0;
}

/* The length field is not one. */
uint32_t
sbc_seek(struct task *task)
{
    return task->lba < task->medium->blocks ? 0 : SENSE_LBA;
}

/* --- capacity ------------------------------------------------------------- */

uint32_t
sbc_read_capacity(struct task *task)
{
    uint64_t last = task->medium->blocks - 1;
    uint8_t data[8];

    put32(data, last > UINT32_MAX ? UINT32_MAX : (uint32_t) last);
    put32(data + 4, task->medium->block_bytes);
    return reply(task, data, sizeof data, sizeof data);
}

/* Of other drives than floppies: one descriptor. */
uint32_t
sbc_format_capacities(struct task *task)
{
    const struct medium *medium = task->drive->medium;
    uint64_t blocks = medium != NULL ? medium->blocks : UINT32_MAX;
    uint8_t data[12] = { 0 };

    if (task->drive->type == VSCSI_FLOPPY)
        return floppy_capacities(task);
    data[3] = 8;
    put32(data + 4, blocks > UINT32_MAX ? UINT32_MAX : (uint32_t) blocks);
    data[8] = medium != NULL ? 2 : 3; /* formatted, or none and the most */
    put24(data + 9, 1u << task->drive->block_shift);
    return reply(task, data, sizeof data, get16(task->command->cdb + 7));
}
