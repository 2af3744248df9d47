/*
 * mmc_speed.c - how fast a disc turns: SET CD SPEED, SET STREAMING, GET
 *               PERFORMANCE
 *
 * An image is read as fast as the host reads it; the speed is what the drive
 * says of itself.  One atomic word: kilobytes a second, 0 for the default.
 * What SET STREAMING sets outlives the medium, what SET CD SPEED sets does not.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "vscsi/vscsi_internal.h"

enum { CD_KBYTES_S = 8467, DVD_KBYTES_S = 22160 }; /* 48 and 16 times */

#define SPEED_KEPT 0x80000000u /* set by SET STREAMING */

uint32_t
mmc_speed_max(const struct vscsi_drive *drive)
{
    return drive->medium != NULL && mmc_profile(drive->medium) == 0x0010
               ? DVD_KBYTES_S
               : CD_KBYTES_S;
}

uint32_t
mmc_speed(const struct vscsi_drive *drive)
{
    uint32_t set = atomic_load(&drive->speed) & ~SPEED_KEPT;
    uint32_t max = mmc_speed_max(drive);

    return set == 0 || set > max ? max : set;
}

void
mmc_speed_forget(struct vscsi_drive *drive, bool all)
{
    if (all || !(atomic_load(&drive->speed) & SPEED_KEPT))
        atomic_store(&drive->speed, 0);
}

/* --- setting it ----------------------------------------------------------- */

/* FFFFh: as fast as it can.  The write speed is no business of this drive. */
uint32_t
mmc_set_cd_speed(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    uint32_t speed = get16(cdb + 2);

    if ((cdb[1] & 0x03) > 1)
        return SENSE_CDB_FIELD;
    atomic_store(&task->drive->speed, speed == 0xffff ? 0 : speed);
    return 0;
}

enum { LIST_LEN = 28, RESTORE = 0x04, EXACT = 0x02 };

/* Of a performance descriptor; `exact` is refused when it is out of reach. */
static uint32_t
set_streaming(struct vscsi_drive *drive, const uint8_t *list)
{
    uint64_t size = get32(list + 12), ms = get32(list + 16), speed;

    if (list[0] & RESTORE) {
        atomic_store(&drive->speed, 0);
        return 0;
    }
    if (get32(list + 4) > get32(list + 8) || ms == 0 || size == 0)
        return SENSE_LIST_FIELD;
    speed = size * 1000 / ms;
    if (speed > mmc_speed_max(drive)) {
        if (list[0] & EXACT)
            return SENSE_LIST_FIELD;
        speed = mmc_speed_max(drive);
    }
    atomic_store(&drive->speed, SPEED_KEPT | (speed == 0 ? 1 : speed));
    return 0;
}

uint32_t
mmc_set_streaming(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    size_t len = get16(cdb + 9);

    if (cdb[8] != 0)
        return SENSE_CDB_FIELD;
    if (len == 0)
        return 0;
    if (len != LIST_LEN || len > task->data_len)
        return SENSE_LIST_LENGTH;
    task->command->transferred = LIST_LEN;
    return set_streaming(task->drive, task->data);
}

/* --- asking for it -------------------------------------------------------- */

enum { EXCEPT_NOMINAL = 0, EXCEPT_LIST = 1, EXCEPT_ONLY = 2 };

/* The same speed all over the disc, no exceptions; it cannot be written to. */
uint32_t
mmc_get_performance(struct task *task)
{
    const uint8_t *cdb = task->command->cdb;
    unsigned except = cdb[1] & 0x03;
    bool write = cdb[1] & 0x04;
    uint32_t last = (uint32_t) task->medium->blocks - 1;
    uint8_t data[8 + 16] = { 0 };
    size_t len = 8;

    if (cdb[10] != 0 || except > EXCEPT_ONLY || (cdb[1] >> 3 & 3) != 2)
        return SENSE_CDB_FIELD;
    if (except == EXCEPT_LIST && get32(cdb + 2) > last)
        return SENSE_LBA;
    data[4] = (write ? 0x02 : 0) | (except == EXCEPT_ONLY ? 0x01 : 0);
    if (!write && except != EXCEPT_ONLY) {
        put32(data + 8, except == EXCEPT_LIST ? get32(cdb + 2) : 0);
        put32(data + 12, mmc_speed(task->drive));
        put32(data + 16, last);
        put32(data + 20, mmc_speed(task->drive));
        len += 16;
    }
    put32(data, (uint32_t) len - 4);
    return reply(task, data, len, 8 + get16(cdb + 8) * (size_t) 16);
}
