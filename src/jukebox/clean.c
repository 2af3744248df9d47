/*
 * clean.c - a drive is cleaned
 *
 * With the least used cleaning cartridge, or the one that is named; its uses are
 * counted, and one that is used up is not taken again.
 *
 * Context: PASSIVE, with the turn.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "jukebox/command.h"

/* --- cleaning ---------------------------- */

static struct cartridge *
find_cleaner(struct library *library)
{
    size_t count;
    struct cartridge **list = ledger_cartridges(library->ledger, &count);
    struct cartridge *best = NULL;

    for (size_t i = 0; i < count; i++)
        if (list[i]->place.type == ChangerSlot && list[i]->cleaning &&
            !list[i]->expired &&
            (best == NULL || list[i]->cleanings < best->cleanings))
            best = list[i];
    return best;
}

static bool
says_expired(const result_t *result)
{
    const uint8_t *sense = result->sense;

    return result->sense_len >= 14 && (sense[0] & 0x7E) == 0x70 &&
           sense[12] == 0x30 && (sense[13] == 0x13 || sense[13] == 0x0B);
}

static void
count_cleaning(struct library *library, struct cartridge *cartridge,
               unsigned drive, bool expired)
{
    char words[96];

    pthread_mutex_lock(&library->lock);
    cartridge->cleanings += !expired;
    cartridge->expired = cartridge->expired || expired;
    cartridge->dirty = true;
    pthread_mutex_unlock(&library->lock);
    settle_store(library);
    library_tell(library, "cleaning", drive,
                 expired ? "drive %u: %s is used up; take another one"
                         : "drive %u was cleaned with %s",
                 drive, cartridge_words(library, cartridge, words));
}

/* Until the drive is done with it; some libraries take it out themselves. */
static int
wait_cleaned(struct library *library, struct place drive, bool *out_expired)
{
    uint64_t limit = 1000ull * library->parameters.DriveCleanTimeout;
    uint64_t begun = clock_coarse_ms();
    NTSTATUS status;

    for (;;) {
        status = library->host.cleaned(library->host.context, drive.index);
        *out_expired = status == STATUS_UNRECOGNIZED_MEDIA;
        if (status != STATUS_DEVICE_NOT_READY &&
            status != STATUS_CLEANER_CARTRIDGE_INSTALLED)
            return 0;
        if (clock_coarse_ms() - begun >= (limit != 0 ? limit : 600000))
            return -ETIMEDOUT;
        if (!library_sleep(library, 500))
            return -ESHUTDOWN;
        elements_read(library, &drive, 1);
        if (!element_full(element_at(library, drive)))
            return 0;
    }
}

int
command_run_clean(struct library *library, command_t *command, result_t *result)
{
    struct ri_library_command step = *command;
    struct cartridge *cartridge;
    struct place source = PLACE_AWAY, drive = PLACE_AWAY;
    int rc = command_take_drive(library, command->drive, &drive, result),
        waited;
    bool expired = false;

    if (rc != 0)
        return rc;
    cartridge = find_cleaner(library);
    if (command->source == 0 && command->label[0] == '\0') {
        if (cartridge == NULL)
            return result_fail(result, -ENOENT, STATUS_OBJECT_NAME_NOT_FOUND,
                               "library %s has no cleaning cartridge that is "
                               "not used up",
                               library->config.name);
        step.source = slot_of_place(library, cartridge->place);
    }
    step.flags |= RI_LIB_CLEANING;
    rc = command_take_source(library, &step, &source, result);
    if (rc == 0)
        rc = command_check_ends(library, source, drive, result);
    if (rc == 0)
        rc = command_check_cleaner(library, source, &step, result);
    if (rc != 0)
        return rc;
    cartridge = cartridge_at(library, source);
    rc = command_move(library, source, drive, &step, result, NULL);
    if (cartridge == NULL)
        return rc;
    if (rc != 0) {
        if (says_expired(result))
            count_cleaning(library, cartridge, drive.index, true);
        return rc;
    }
    waited = wait_cleaned(library, drive, &expired);
    if (waited == 0)
        count_cleaning(library, cartridge, drive.index, expired);
    if (waited == -ESHUTDOWN)
        return result_fail(result, waited, STATUS_DEVICE_NOT_READY,
                           "library %s: the service ends; the cleaning "
                           "cartridge is in drive %u",
                           library->config.name, drive.index);
    rc = command_freshen(library, &drive, 1, result);
    if (rc == 0 && element_full(element_at(library, drive))) {
        library->host.release(library->host.context, drive.index);
        rc = command_move(library, drive, source, &step, result, NULL);
    }
    result->drive = drive.index;
    if (rc == 0 && expired)
        return result_fail(result, -EMEDIUMTYPE, STATUS_UNRECOGNIZED_MEDIA,
                           "library %s: drive %u was not cleaned: %s is used "
                           "up",
                           library->config.name, drive.index,
                           result->barcode[0] != '\0' ? result->barcode
                                                      : "the cartridge");
    if (rc == 0 && waited != 0)
        return result_fail(result, waited, STATUS_IO_TIMEOUT,
                           "library %s: drive %u did not end its cleaning",
                           library->config.name, drive.index);
    return rc;
}
