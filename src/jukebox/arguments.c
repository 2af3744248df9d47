/*
 * arguments.c - what a command means, and whether it may be done
 *
 * Before anything moves, the elements concerned are read, so that a picture
 * that is out of date is noticed, and nothing is asked of the robot that it
 * would have to refuse.
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

/* --- what a command means ---------------------------- */

/* What is read differs from what was known: all of it is. */
int
command_freshen(struct library *library, const struct place *places,
                size_t count, result_t *result)
{
    NTSTATUS status = elements_read(library, places, count);

    for (size_t i = 0; NT_SUCCESS(status) && i < count; i++) {
        const struct element *element = element_at(library, places[i]);
        const struct cartridge *cartridge = cartridge_at(library, places[i]);

        if (element == NULL || element_unknown(element))
            continue;
        if (element_full(element) != (cartridge != NULL) ||
            (cartridge != NULL && element->barcode[0] != '\0' &&
             strcmp(element->barcode, cartridge->barcode) != 0))
            library->stale = true;
    }
    if (NT_SUCCESS(status) && library->stale)
        status = elements_read_all(library);
    return NT_SUCCESS(status) ? 0 : result_status(library, result, status);
}

static int
no_slot(struct library *library, uint32_t number, const char *what,
        result_t *result)
{
    if (number == 0)
        return result_fail(result, -EINVAL, STATUS_INVALID_PARAMETER,
                           "no %s is given", what);
    return result_fail(result, -EINVAL, STATUS_ILLEGAL_ELEMENT_ADDRESS,
                       "library %s has no slot %u; there are %u, and %u mail "
                       "slots",
                       library->config.name, number,
                       (unsigned) library->counts[ChangerSlot],
                       (unsigned) library->counts[ChangerIEPort]);
}

int
command_take_slot(struct library *library, uint32_t number, const char *what,
                  struct place *out_place, result_t *result)
{
    *out_place = place_of_slot(library, number);
    return out_place->type != 0 ? 0 : no_slot(library, number, what, result);
}

/* By its label, among slots and mail slots. */
static int
find_label(struct library *library, const char *label, struct place *out_place,
           result_t *result)
{
    size_t count;
    struct cartridge **list = ledger_cartridges(library->ledger, &count);
    const struct cartridge *found = NULL;
    char here[48], there[48];

    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i]->barcode, label) != 0 || list[i]->place.type == 0)
            continue;
        if (found != NULL)
            return result_fail(
                result, -ENOTUNIQ, STATUS_OBJECT_NAME_COLLISION,
                "two cartridges are labelled %s: in %s and in %s; give a slot",
                label, place_words(library, found->place, here),
                place_words(library, list[i]->place, there));
        found = list[i];
    }
    if (found == NULL)
        return result_fail(result, -ENOENT, STATUS_OBJECT_NAME_NOT_FOUND,
                           "library %s has no cartridge labelled %s",
                           library->config.name, label);
    if (found->place.type != ChangerSlot && found->place.type != ChangerIEPort)
        return result_fail(result, -EBUSY, STATUS_DEVICE_BUSY, "%s is in %s",
                           label, place_words(library, found->place, here));
    *out_place = found->place;
    return 0;
}

int
command_take_source(struct library *library, command_t *command,
                    struct place *out_place, result_t *result)
{
    if (command->label[0] != '\0')
        return find_label(library, command->label, out_place, result);
    return command_take_slot(library, command->source, "source", out_place,
                             result);
}

int
command_take_drive(struct library *library, uint32_t drive,
                   struct place *out_place, result_t *result)
{
    if (drive == RI_NO_DRIVE)
        return result_fail(result, -EINVAL, STATUS_INVALID_PARAMETER,
                           "no drive is given");
    if (drive >= library->counts[ChangerDrive])
        return result_fail(result, -EINVAL, STATUS_ILLEGAL_ELEMENT_ADDRESS,
                           "library %s has no drive %u; there are %u, from 0",
                           library->config.name, drive,
                           (unsigned) library->counts[ChangerDrive]);
    *out_place = (struct place){ ChangerDrive, drive };
    result->drive = drive;
    return 0;
}

/* The first empty one that nobody has set aside. */
bool
command_is_away(struct library *library, uint32_t drive)
{
    return library->host.away != NULL &&
           library->host.away(library->host.context, drive);
}

uint32_t
command_choose_drive(struct library *library)
{
    /* Those that nobody named are somebody else's. */
    for (ULONG i = 0;
         i < library->counts[ChangerDrive] && i < library->config.drive_count;
         i++) {
        const struct element *element = &library->elements[ChangerDrive][i];
        const struct ledger_drive *drive = ledger_drive(library->ledger, i);

        if (!element_full(element) && !element_unknown(element) &&
            (drive == NULL || !drive->aside) && !command_is_away(library, i))
            return i;
    }
    return RI_NO_DRIVE;
}

/* --- may it be moved ---------------------------- */

int
command_refuse_empty(struct library *library, struct place place,
                     result_t *result)
{
    char words[48];

    result->source = slot_of_place(library, place);
    result->source_address = element_address(library, place);
    result->repeatable = true;
    return result_fail(result, -ENOMEDIUM, STATUS_SOURCE_ELEMENT_EMPTY,
                       "library %s: %s is empty", library->config.name,
                       place_words(library, place, words));
}

int
command_refuse_full(struct library *library, struct place place,
                    const struct cartridge *mover, result_t *result)
{
    const struct cartridge *in = cartridge_at(library, place);
    char words[48], who[96] = "something", conflict[160] = "";

    result->destination = slot_of_place(library, place);
    result->destination_address = element_address(library, place);
    result->repeatable = true;
    if (in != NULL)
        cartridge_words(library, in, who);
    if (mover != NULL && place.type == ChangerSlot &&
        mover->home == place.index + 1) {
        char name[96];

        snprintf(conflict, sizeof conflict, "; %s belongs there, too",
                 cartridge_words(library, mover, name));
    } else if (in != NULL && place.type == ChangerDrive && in->home != 0) {
        snprintf(conflict, sizeof conflict, " of slot %u", in->home);
    }
    return result_fail(result, -EEXIST, STATUS_DESTINATION_ELEMENT_FULL,
                       "library %s: %s is full: %s%s", library->config.name,
                       place_words(library, place, words), who, conflict);
}

/* Both ends are read; then the one is full, and the other is not. */
int
command_check_ends(struct library *library, struct place source,
                   struct place destination, result_t *result)
{
    struct place places[] = { source, destination };
    int rc;

    if (same_place(source, destination))
        return result_fail(result, -EINVAL, STATUS_INVALID_PARAMETER,
                           "source and destination are the same");
    rc = command_freshen(library, places, 2, result);
    if (rc != 0)
        return rc;
    if (!element_full(element_at(library, source)) &&
        !element_unknown(element_at(library, source)))
        return command_refuse_empty(library, source, result);
    if (element_full(element_at(library, destination)))
        return command_refuse_full(library, destination,
                                   cartridge_at(library, source), result);
    return 0;
}

int
command_move(struct library *library, struct place source,
             struct place destination, command_t *command, result_t *result,
             struct motion *out_motion)
{
    struct motion motion = { .kind = MOTION_MOVE,
                             .source = source,
                             .destination = destination };
    int rc = motion_make(library, &motion, command->flags, result);

    result->source = slot_of_place(library, source);
    result->destination = slot_of_place(library, destination);
    if (out_motion != NULL)
        *out_motion = motion;
    return rc;
}
