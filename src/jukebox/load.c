/*
 * load.c - cartridges into drives, and out of them
 *
 * A load has ended when the drive is ready and what is in it is what was asked
 * for; an unload begins with the drive, which flushes and lets go.
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

/* --- loading ---------------------------- */

static void
count_failure(struct library *library, const struct motion *motion,
              result_t *result)
{
    unsigned drive = motion->destination.index, drives = 0, cartridges = 0;
    struct cartridge *cartridge =
        ledger_by_id(library->ledger, motion->cartridge);
    struct ledger_drive *counts = ledger_drive(library->ledger, drive);
    char words[96];
    bool aside, marked;

    if (cartridge == NULL || counts == NULL ||
        ledger_failed(library->ledger, motion, drive, &drives, &cartridges) !=
            0)
        return;
    pthread_mutex_lock(&library->lock);
    cartridge->errors++;
    counts->errors++;
    marked = drives >= 2 && !cartridge->marked;
    aside = cartridges >= 3 && !counts->aside;
    cartridge->marked = cartridge->marked || marked;
    counts->aside = counts->aside || aside;
    cartridge->dirty = counts->dirty = true;
    pthread_mutex_unlock(&library->lock);
    cartridge_words(library, cartridge, words);
    if (marked) {
        library_tell(library, "marked", drive,
                     "%s failed in %u drives; it is marked as bad", words,
                     drives);
        result_note(result, "%s is marked as bad", words);
    }
    if (aside) {
        library_tell(library, "aside", drive,
                     "drive %u failed %u cartridges; it is set aside", drive,
                     cartridges);
        result_note(result, "drive %u is set aside", drive);
    }
    settle_store(library);
}

static void
count_success(struct library *library, const struct motion *motion)
{
    struct cartridge *cartridge =
        ledger_by_id(library->ledger, motion->cartridge);
    struct ledger_drive *counts =
        ledger_drive(library->ledger, motion->destination.index);

    if (cartridge == NULL || counts == NULL)
        return;
    pthread_mutex_lock(&library->lock);
    cartridge->uses++;
    counts->uses++;
    cartridge->marked = counts->aside = false;
    cartridge->dirty = counts->dirty = true;
    pthread_mutex_unlock(&library->lock);
    ledger_worked(library->ledger, motion, motion->destination.index);
    settle_store(library);
}

/* The robot failed because of the drive or the cartridge, not of itself. */
static bool
blames_drive(const result_t *result)
{
    unsigned key = 0, asc = 0;

    if (result->sense_len >= 14 && (result->sense[0] & 0x7E) == 0x70)
        key = result->sense[2] & 0xF, asc = result->sense[12];
    else if (result->sense_len >= 4)
        key = result->sense[1] & 0xF, asc = result->sense[2];
    return (key == 3 || key == 4) && (asc == 0x53 || asc == 0x52);
}

static int
drive_failed(struct library *library, const struct motion *motion,
             NTSTATUS status, result_t *result)
{
    unsigned drive = motion->destination.index;
    const struct cartridge *cartridge =
        ledger_by_id(library->ledger, motion->cartridge);
    char words[96] = "the cartridge";

    if (cartridge != NULL)
        cartridge_words(library, cartridge, words);
    if (library_stopping(library))
        return result_fail(result, -ESHUTDOWN, status, "the service ends");
    if (status == STATUS_NO_MEDIA_IN_DEVICE)
        result_fail(result, -EIO, status,
                    "library %s: the robot put %s into drive %u, but the drive "
                    "says that it is empty; is it another drive?",
                    library->config.name, words, drive);
    else if (status == STATUS_DEVICE_NOT_READY)
        result_fail(result, -ETIMEDOUT, status,
                    "library %s: drive %u did not get ready with %s in time",
                    library->config.name, drive, words);
    else
        result_fail(result, -EIO, status,
                    "library %s: drive %u cannot use %s (%s)",
                    library->config.name, drive, words, status_name(status));
    library_tell(library, "failed", drive, "%s", result->text);
    count_failure(library, motion, result);
    return result->error;
}

static int
check_volume(struct library *library, unsigned drive, result_t *result)
{
    char expected[RI_NAME_MAX] = "", found[RI_NAME_MAX] = "";
    int rc = settle_volume(library, drive, expected, found);

    settle_store(library);
    if (rc == 0)
        return 0;
    library_tell(library, "wrong", drive,
                 "volume %s was expected on the cartridge in drive %u; there "
                 "is volume %s",
                 expected, drive, found);
    result_note(result, "the ledger has %s as its volume from now on", found);
    return result_fail(result, -EMEDIUMTYPE, STATUS_WRONG_VOLUME,
                       "wrong volume: expected %s, found %s", expected, found);
}

int
command_after_load(struct library *library, const struct motion *motion,
                   command_t *command, result_t *result)
{
    unsigned drive = motion->destination.index;
    struct library_volume volume;
    NTSTATUS status;

    if (command->flags & RI_LIB_NOWAIT)
        return 0;
    status = ready_drive(library, drive, command);
    library->host.look(library->host.context, drive);
    if (NT_SUCCESS(status) &&
        !library->host.volume(library->host.context, drive, &volume))
        status = STATUS_UNRECOGNIZED_MEDIA;
    if (!NT_SUCCESS(status))
        return drive_failed(library, motion, status, result);
    count_success(library, motion);
    return check_volume(library, drive, result);
}

int
command_check_cleaner(struct library *library, struct place source,
                      command_t *command, result_t *result)
{
    bool cleaner = element_is_cleaner(library, element_at(library, source));
    char words[48];

    if (cleaner == ((command->flags & RI_LIB_CLEANING) != 0))
        return 0;
    if (cleaner)
        return result_fail(
            result, -EMEDIUMTYPE, STATUS_CLEANER_CARTRIDGE_INSTALLED,
            "library %s: a cleaning cartridge is in %s", library->config.name,
            place_words(library, source, words));
    return result_fail(result, -EMEDIUMTYPE, STATUS_UNRECOGNIZED_MEDIA,
                       "library %s: what is in %s is no cleaning cartridge",
                       library->config.name,
                       place_words(library, source, words));
}

int
command_run_load(struct library *library, command_t *command, result_t *result)
{
    struct place source = PLACE_AWAY, drive = PLACE_AWAY;
    struct motion motion;
    uint32_t number = command->drive;
    int rc = command_take_source(library, command, &source, result);

    if (rc == 0 && number == RI_NO_DRIVE &&
        (number = command_choose_drive(library)) == RI_NO_DRIVE)
        return result_fail(result, -EBUSY, STATUS_DEVICE_BUSY,
                           "library %s: no drive is free",
                           library->config.name);
    if (rc == 0)
        rc = command_take_drive(library, number, &drive, result);
    if (rc == 0)
        rc = command_check_ends(library, source, drive, result);
    if (rc == 0)
        rc = command_check_cleaner(library, source, command, result);
    if (rc == 0 && command_is_away(library, number))
        rc = result_fail(result, -EHOSTDOWN, STATUS_DEVICE_NOT_CONNECTED,
                         "library %s: drive %u is away; nothing is put into it",
                         library->config.name, (unsigned) number);
    if (rc != 0)
        return rc;
    rc = command_move(library, source, drive, command, result, &motion);
    if (rc != 0) {
        if (blames_drive(result))
            count_failure(library, &motion, result);
        library->host.look(library->host.context, number);
        return rc;
    }
    return command->flags & RI_LIB_CLEANING
               ? 0
               : command_after_load(library, &motion, command, result);
}

/* --- unloading ---------------------------- */

static void
name_free_slots(struct library *library, char *out, size_t max)
{
    ULONG shown = 0;
    size_t len = 0;

    out[0] = '\0';
    for (uint32_t slot = 1; slot <= library->counts[ChangerSlot] && shown < 10;
         slot++) {
        const struct element *element =
            element_at(library, place_of_slot(library, slot));

        if (element_full(element) || element_unknown(element) ||
            is_somebodys_home(library, slot, NULL))
            continue;
        len += (size_t) snprintf(out + len, max - len, "%s%u",
                                 shown++ > 0 ? ", " : "", slot);
    }
    if (shown == 0)
        snprintf(out, max, "none");
}

static int
take_home(struct library *library, struct place drive, struct place *out_place,
          result_t *result)
{
    struct cartridge *cartridge = cartridge_at(library, drive);
    char words[96] = "what is in it", slots[128];
    uint32_t home = cartridge != NULL ? home_of(library, cartridge) : 0;

    if (home != 0)
        return command_take_slot(library, home, "destination", out_place,
                                 result);
    name_free_slots(library, slots, sizeof slots);
    if (cartridge != NULL)
        cartridge_words(library, cartridge, words);
    return result_fail(result, -ENOENT, STATUS_OBJECT_NAME_NOT_FOUND,
                       "library %s: nobody knows where %s of drive %u belongs; "
                       "give a slot (free: %s)",
                       library->config.name, words, drive.index, slots);
}

/* The drive's own stack: flushed, unlocked, opened. */
int
command_release(struct library *library, unsigned drive, command_t *command,
                result_t *result)
{
    char ignored[2][RI_NAME_MAX];
    NTSTATUS status;

    /* What is on it now, before it goes; a client may have made it anew. */
    settle_volume(library, drive, ignored[0], ignored[1]);
    status = library->host.release(library->host.context, drive);
    if (NT_SUCCESS(status) || status == STATUS_NO_MEDIA_IN_DEVICE)
        return 0;
    if (command->flags & RI_LIB_FORCE) {
        result_note(result, "drive %u did not let go (%s); it was taken anyway",
                    drive, status_name(status));
        return 0;
    }
    if (status == STATUS_DEVICE_BUSY)
        return result_fail(result, -EBUSY, status,
                           "library %s: drive %u is in use; its medium stays "
                           "until whoever has it open is done",
                           library->config.name, drive);
    return result_fail(result, -EBUSY, STATUS_UNABLE_TO_UNLOAD_MEDIA,
                       "library %s: drive %u does not let its medium go (%s)",
                       library->config.name, drive, status_name(status));
}

/* Who names the cartridge means no other one. */
static int
check_label(struct library *library, struct place drive, const char *label,
            result_t *result)
{
    const struct cartridge *in = cartridge_at(library, drive);
    char words[96] = "something";

    if (in != NULL && strcmp(in->barcode, label) == 0)
        return 0;
    if (in != NULL)
        cartridge_words(library, in, words);
    return result_fail(result, -EMEDIUMTYPE, STATUS_WRONG_VOLUME,
                       "library %s: drive %u holds %s, not %s",
                       library->config.name, drive.index, words, label);
}

int
command_run_unload(struct library *library, command_t *command,
                   result_t *result)
{
    struct place drive = PLACE_AWAY, destination = PLACE_AWAY;
    char before[RI_NAME_MAX], now[RI_NAME_MAX];
    int rc = command_take_drive(library, command->drive, &drive, result);

    if (rc == 0)
        rc = command_freshen(library, &drive, 1, result);
    if (rc != 0)
        return rc;
    if (!element_full(element_at(library, drive)))
        return command_refuse_empty(library, drive, result);
    if (command->label[0] != '\0')
        rc = check_label(library, drive, command->label, result);
    if (rc != 0)
        return rc;
    rc = command->destination != 0
             ? command_take_slot(library, command->destination, "destination",
                                 &destination, result)
             : take_home(library, drive, &destination, result);
    if (rc == 0)
        rc = command_check_ends(library, drive, destination, result);
    /* What was written on it is known as long as it is in the drive. */
    if (rc == 0 && settle_volume(library, drive.index, before, now) == 0)
        settle_store(library);
    if (rc == 0)
        rc = command_release(library, drive.index, command, result);
    if (rc != 0)
        return rc;
    rc = command_move(library, drive, destination, command, result, NULL);
    library->host.look(library->host.context, drive.index);
    return rc;
}
