/*
 * tape.c - a tape drive: its life, its buffer, what it says of itself
 *
 * The tape is an image in the SIMH format (simh.c) with a memory of the
 * cartridge beside it (tape_mam.c).  Everything here runs with the drive's
 * gate closed, but for what onlookers ask (`seen`) and what is configuration.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vscsi/tape.h"

/* --- configuration -------------------------------------------------------- */

bool
tape_new(struct vscsi_drive *drive, const struct vscsi_config *config)
{
    const char *personality = config->tape.personality;
    bool vendor =
        personality != NULL && strcmp(personality, "reinsert-vendor") == 0;
    struct tape *tape;

    if ((personality != NULL && !vendor &&
         strcmp(personality, "standard") != 0) ||
        config->block_bytes > TAPE_BLOCK_MAX) {
        errno = EINVAL;
        return false;
    }
    tape = calloc(1, sizeof *tape);
    drive->reservations = reserve_new();
    if (tape == NULL || drive->reservations == NULL) {
        reserve_free(drive->reservations);
        free(tape);
        errno = ENOMEM;
        return false;
    }
    tape->config = config->tape;
    tape->config.personality = NULL;
    tape->vendor = vendor;
    tape->capacity = config->tape.capacity_bytes != 0
                         ? config->tape.capacity_bytes
                         : UINT64_C(1000000000000);
    tape->warning_at = config->tape.early_warning_bytes != 0
                           ? config->tape.early_warning_bytes
                           : tape->capacity / 50;
    tape->warning_at = tape->warning_at < tape->capacity
                           ? tape->capacity - tape->warning_at
                           : 0;
    tape->default_block_bytes = tape->block_bytes = config->block_bytes;
    tape->compression = tape->decompression = !config->tape.no_compression;
    tape->buffered = true;
    tape->loses = config->cache_volatile;
    drive->tape = tape;
    tape_show(drive);
    return true;
}

void
tape_free(struct tape *tape)
{
    free(tape);
}

const char *
tape_product(const struct vscsi_drive *drive)
{
    return drive->tape->vendor ? "VENDOR TAPE" : "TAPE DRIVE";
}

uint32_t
tape_clean_ms(const struct vscsi_drive *drive)
{
    return drive->tape->config.clean_ms;
}

unsigned
tape_cleaning_uses(const struct vscsi_drive *drive)
{
    return drive->tape->config.cleaning_uses;
}

/* --- a cartridge comes and goes ------------------------------------------- */

const char *
tape_open(struct medium *medium, uint64_t size, unsigned cleaning_uses)
{
    medium->mam = mam_new(medium, cleaning_uses);
    medium->simh = simh_new(medium, size);
    if (medium->mam == NULL || medium->simh == NULL)
        return "no memory";
    return mam_is_cleaner(medium->mam) ? NULL : simh_check(medium->simh);
}

void
tape_close(struct medium *medium)
{
    simh_free(medium->simh);
    mam_free(medium->mam);
    medium->simh = NULL;
    medium->mam = NULL;
}

static void
to_beginning(struct vscsi_drive *drive)
{
    drive->tape->place = (struct simh_place){ 0, 0 };
    drive->tape->busy_until_ns = 0;
    tape_show(drive);
}

void
tape_cleaned(struct vscsi_drive *drive, bool expired)
{
    struct tape *tape = drive->tape;

    tape_alert(drive, expired ? 22 : 11);
    if (expired)
        return;
    tape->since_cleaning = 0;
    atomic_store(&tape->seen.clean_me, false);
}

/* A cleaning cartridge is used by being put in. */
void
tape_in(struct vscsi_drive *drive, struct medium *medium)
{
    struct tape *tape = drive->tape;
    uint64_t uses;

    tape->cleaner = 0;
    tape->written = tape->read = 0;
    tape->place = (struct simh_place){ 0, 0 };
    tape->busy_until_ns = 0;
    mam_set_number(medium->mam, 0x0003,
                   mam_number(medium->mam, 0x0003) + 1); /* load count */
    if (mam_is_cleaner(medium->mam)) {
        uses = mam_number(medium->mam, 0x0409);
        tape->cleaner =
            uses != 0 ? SENSE_CLEANING_TAPE : SENSE_CLEANING_EXPIRED;
        if (uses != 0)
            mam_set_number(medium->mam, 0x0409, uses - 1);
        tape_cleaned(drive, uses == 0);
    }
    if (!medium->write_protected && !mam_save(medium->mam))
        tape_alert(drive, 15); /* memory chip */
}

uint32_t
tape_cleaner(struct vscsi_drive *drive)
{
    return drive->tape->cleaner;
}

/* What only the buffer held is lost; whoever is polite has flushed. */
void
tape_out(struct vscsi_drive *drive)
{
    struct tape *tape = drive->tape;
    struct mam *mam = drive->medium->mam;

    mam_set_number(mam, 0x0220,
                   mam_number(mam, 0x0220) + (tape->written >> 20));
    mam_set_number(mam, 0x0221, mam_number(mam, 0x0221) + (tape->read >> 20));
    if (!drive->medium->write_protected)
        (void) mam_save(mam);
    tape->cleaner = 0;
    tape->place = (struct simh_place){ 0, 0 };
    atomic_store(&tape->seen.unwritten, 0);
    atomic_store(&tape->seen.object, 0);
    atomic_store(&tape->seen.file, 0);
    atomic_store(&tape->seen.bytes, 0);
    atomic_store(&tape->seen.early_warning, false);
}

/* It has been loaded, perhaps again: at its beginning. */
void
tape_ready(struct vscsi_drive *drive)
{
    (void) tape_flush(drive);
    to_beginning(drive);
}

/* Rewinds, and forgets the mode; what was buffered is written out first. */
void
tape_reset(struct vscsi_drive *drive)
{
    struct tape *tape = drive->tape;

    if (drive->medium != NULL)
        (void) tape_flush(drive);
    tape->block_bytes = tape->default_block_bytes;
    tape->buffered = true;
    tape->compression = tape->decompression = !tape->config.no_compression;
    to_beginning(drive);
}

/* --- the buffer ----------------------------------------------------------- */

uint32_t
tape_flush(struct vscsi_drive *drive)
{
    uint32_t sense = simh_flush(drive->medium->simh);

    if (sense == 0)
        return 0;
    tape_alert(drive, 6); /* write failure */
    return sense | SENSE_DEFERRED;
}

uint32_t
tape_sync(struct vscsi_drive *drive)
{
    uint32_t sense = tape_flush(drive);

    if (sense == 0)
        sense = medium_sync(drive->medium);
    return sense;
}

/* --- where it is ---------------------------------------------------------- */

bool
tape_warned(const struct vscsi_drive *drive)
{
    return drive->tape->place.at > drive->tape->warning_at;
}

void
tape_show(struct vscsi_drive *drive)
{
    struct tape *tape = drive->tape;
    const struct simh *simh =
        drive->medium != NULL ? drive->medium->simh : NULL;

    atomic_store(&tape->seen.object, tape->place.object);
    atomic_store(&tape->seen.block_bytes, tape->block_bytes);
    atomic_store(&tape->seen.early_warning, tape_warned(drive));
    if (simh == NULL)
        return;
    atomic_store(&tape->seen.file, simh_marks_before(simh, tape->place.object));
    atomic_store(&tape->seen.unwritten, simh->buffered_objects);
    atomic_store(&tape->seen.bytes, simh->end);
    atomic_store(&tape->seen.at_eod, tape->place.at == simh->end);
}

uint64_t
tape_object(const struct vscsi_drive *drive)
{
    return atomic_load(&drive->tape->seen.object);
}

void
tape_state(const struct vscsi_drive *drive, struct vscsi_state *out)
{
    const struct tape *tape = drive->tape;

    out->block_bytes = atomic_load(&tape->seen.block_bytes);
    out->cleaning_requested = atomic_load(&tape->seen.clean_me);
    if (!out->medium)
        return;
    out->object = atomic_load(&tape->seen.object);
    out->file = atomic_load(&tape->seen.file);
    out->unwritten = atomic_load(&tape->seen.unwritten);
    out->blocks = atomic_load(&tape->seen.bytes);
    out->at_bot = out->object == 0;
    out->at_eod = atomic_load(&tape->seen.at_eod);
    out->early_warning = atomic_load(&tape->seen.early_warning);
}

uint32_t
tape_place(struct vscsi_drive *drive, uint64_t object)
{
    struct simh_place place;

    if (!simh_find(drive->medium->simh, object, &place))
        return SENSE_READ_ERROR;
    drive->tape->place = place;
    return 0;
}

/* --- what it says --------------------------------------------------------- */

uint32_t
tape_busy(const struct task *task)
{
    const struct tape *tape = task->drive->tape;

    return tape->busy_until_ns != 0 && timer_now_ns() < tape->busy_until_ns
               ? SENSE_IN_PROGRESS
               : 0;
}

uint32_t
tape_report(struct task *task, uint32_t sense, uint64_t info)
{
    task->info_valid = true;
    task->info = info;
    return sense;
}

/* The vendor's codes, told in vscsi.h. */
uint32_t
tape_sense(const struct vscsi_drive *drive, uint32_t sense)
{
    static const struct {
        uint32_t standard, vendor;
    } quirks[] = {
        { SENSE_BECOMING_READY, SENSE(2, 0x80, 0x01) },
        { SENSE_END_OF_DATA, SENSE(8, 0x80, 0x05) },
        { SENSE_CLEANING_TAPE, SENSE(2, 0x80, 0x30) },
        { SENSE_WRITE_PROTECTED, SENSE(7, 0x80, 0x27) },
        { SENSE_CLEAN_ME, SENSE(1, 0x80, 0x17) },
        { SENSE_PREVENTED, SENSE(5, 0x80, 0x53) },
    };

    for (size_t i = 0;
         drive->tape->vendor && i < sizeof quirks / sizeof quirks[0]; i++)
        if ((sense & 0x000fffff) == quirks[i].standard)
            return (sense & ~UINT32_C(0x000fffff)) | quirks[i].vendor;
    return sense;
}

uint32_t
tape_wish(const struct vscsi_drive *drive)
{
    return atomic_load(&drive->tape->seen.clean_me) ? SENSE_CLEAN_ME : 0;
}

void
tape_alert(struct vscsi_drive *drive, unsigned flag)
{
    pthread_mutex_lock(&drive->lock);
    for (struct vscsi_nexus *at = drive->nexuses; at != NULL; at = at->next)
        at->alerts |= UINT64_C(1) << (flag - 1);
    pthread_mutex_unlock(&drive->lock);
}

void
tape_moved_bytes(struct vscsi_drive *drive, uint64_t written, uint64_t read)
{
    struct tape *tape = drive->tape;
    uint64_t limit = tape->config.clean_after_bytes;

    tape->written += written;
    tape->read += read;
    tape->total_written += written;
    tape->total_read += read;
    tape->since_cleaning += written + read;
    if (limit == 0 || tape->since_cleaning < limit ||
        atomic_load(&tape->seen.clean_me))
        return;
    atomic_store(&tape->seen.clean_me, true);
    tape_alert(drive, 20); /* clean now */
}

/* Twice what it takes, and time enough for a loaded host. */
uint32_t
tape_timeout_s(const struct vscsi_drive *drive, uint8_t opcode)
{
    const struct vscsi_tape_config *config = &drive->tape->config;

    switch (opcode) {
    case 0x01:
        return config->rewind_ms * UINT64_C(2) / 1000 + 60;
    case 0x1B:
        return (config->unload_ms + UINT64_C(1) * drive->load_ms +
                config->rewind_ms) *
                   2 / 1000 +
               60;
    case 0x11:
    case 0x19:
    case 0x2B:
    case 0x91:
    case 0x92:
        return 600;
    case 0x08:
    case 0x0A:
    case 0x10:
    case 0x13:
        return 120;
    default:
        return 30;
    }
}
