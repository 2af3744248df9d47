/*
 * transfer.c - motions between slots; door and mail slots
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

/* --- other motions ---------------------------- */

int
command_run_transfer(struct library *library, command_t *command,
                     result_t *result)
{
    struct place source = PLACE_AWAY, destination = PLACE_AWAY;
    int rc = command_take_source(library, command, &source, result);

    if (rc == 0)
        rc = command_take_slot(library, command->destination, "destination",
                               &destination, result);
    if (rc == 0)
        rc = command_check_ends(library, source, destination, result);
    return rc != 0 ? rc
                   : command_move(library, source, destination, command, result,
                                  NULL);
}

/* In two motions or three, through a free slot. */
static int
exchange_by_moves(struct library *library, struct motion *wanted,
                  command_t *command, result_t *result)
{
    bool swap = same_place(wanted->source, wanted->second);
    struct place way = wanted->second;
    uint32_t free = 0;
    char words[48];
    int rc;

    if (swap) {
        free = free_slot(library);
        if (free == 0)
            return result_fail(result, -ENOENT, STATUS_INVALID_DEVICE_REQUEST,
                               "library %s: it cannot exchange, and no slot is "
                               "free to do it by single motions",
                               library->config.name);
        way = place_of_slot(library, free);
    }
    rc = command_move(library, wanted->destination, way, command, result, NULL);
    if (rc == 0) {
        struct motion second;

        rc = command_move(library, wanted->source, wanted->destination, command,
                          result, &second);
        wanted->id = second.id;
        if (rc != 0) {
            result_note(result, "what was at the destination is in %s",
                        place_words(library, way, words));
            return rc;
        }
        if (swap)
            rc = command_move(library, way, wanted->second, command, result,
                              NULL);
    }
    if (rc == 0)
        result_note(result, "the robot cannot exchange; it was done by single "
                            "motions");
    return rc;
}

static int
check_exchange(struct library *library, const struct motion *motion,
               result_t *result)
{
    struct place places[] = { motion->source, motion->destination,
                              motion->second };
    int rc = command_freshen(library, places, 3, result);

    if (rc != 0)
        return rc;
    if (!element_full(element_at(library, motion->source)))
        return command_refuse_empty(library, motion->source, result);
    if (!element_full(element_at(library, motion->destination)))
        return command_refuse_empty(library, motion->destination, result);
    if (!same_place(motion->source, motion->second) &&
        element_full(element_at(library, motion->second)))
        return command_refuse_full(library, motion->second, NULL, result);
    return 0;
}

int
command_run_exchange(struct library *library, command_t *command,
                     result_t *result)
{
    struct motion motion = { .kind = MOTION_EXCHANGE };
    bool drive = command->drive != RI_NO_DRIVE;
    int rc = command_take_source(library, command, &motion.source, result);

    if (rc == 0)
        rc = drive ? command_take_drive(library, command->drive,
                                        &motion.destination, result)
                   : command_take_slot(library, command->destination,
                                       "destination", &motion.destination,
                                       result);
    if (rc == 0 && command->second == 0)
        motion.second = motion.source;
    else if (rc == 0)
        rc = command_take_slot(library, command->second, "second destination",
                               &motion.second, result);
    if (rc == 0)
        rc = check_exchange(library, &motion, result);
    if (rc == 0 && drive)
        rc = command_check_cleaner(library, motion.source, command, result);
    if (rc == 0 && drive)
        rc = command_release(library, command->drive, command, result);
    if (rc != 0)
        return rc;
    rc = -ENOTSUP;
    result->repeatable = true;
    if (library->parameters.Features0 & CHANGER_EXCHANGE_MEDIA) {
        rc = motion_make(library, &motion, command->flags, result);
        result->source = slot_of_place(library, motion.source);
        result->destination = slot_of_place(library, motion.destination);
    }
    /* Some advertise what they then refuse. */
    if (rc == -ENOTSUP && result->repeatable) {
        result->repeatable = false;
        rc = exchange_by_moves(library, &motion, command, result);
    }
    if (drive && rc != 0)
        library->host.look(library->host.context, command->drive);
    motion.cartridge = 0;
    if (drive && rc == 0) {
        const struct cartridge *in = cartridge_at(library, motion.destination);

        motion.cartridge = in != NULL ? in->id : 0;
        rc = command_after_load(library, &motion, command, result);
    }
    return rc;
}

int
command_run_position(struct library *library, command_t *command,
                     result_t *result)
{
    struct place place;
    int rc = command->drive != RI_NO_DRIVE
                 ? command_take_drive(library, command->drive, &place, result)
                 : command_take_slot(library, command->source, "slot", &place,
                                     result);
    NTSTATUS status;

    if (rc != 0)
        return rc;
    status =
        robot_position(library, place, (command->flags & RI_LIB_INVERT) != 0);
    return NT_SUCCESS(status) ? 0 : result_status(library, result, status);
}

/* --- door and mail slots ---------------------------- */

static int
access_mail(struct library *library, uint32_t number, ULONG control,
            result_t *result)
{
    struct place place = number != 0 ? place_of_slot(library, number)
                                     : (struct place){ ChangerIEPort, 0 };
    NTSTATUS status;

    if (place.type != ChangerIEPort ||
        place.index >= library->counts[ChangerIEPort])
        return result_fail(result, -EINVAL, STATUS_ILLEGAL_ELEMENT_ADDRESS,
                           "library %s: slot %u is no mail slot",
                           library->config.name, number);
    status = robot_access(library, ChangerIEPort, place.index, control);
    library->stale = true;
    return NT_SUCCESS(status) ? 0 : result_status(library, result, status);
}

int
command_run_open_mail(struct library *library, command_t *command,
                      result_t *result)
{
    return access_mail(library, command->source, EXTEND_IEPORT, result);
}

int
command_run_close_mail(struct library *library, command_t *command,
                       result_t *result)
{
    int rc = access_mail(library, command->source, RETRACT_IEPORT, result);

    return rc != 0 ? rc : command_read_all(library, result);
}

static int
set_locks(struct library *library, bool lock, result_t *result)
{
    static const struct {
        UCHAR capability;
        ELEMENT_TYPE type;
    } kinds[] = {
        { LOCK_UNLOCK_DOOR, ChangerDoor },
        { LOCK_UNLOCK_IEPORT, ChangerIEPort },
    };
    NTSTATUS status = STATUS_INVALID_DEVICE_REQUEST;

    if (library->parameters.Features0 & CHANGER_LOCK_UNLOCK)
        for (size_t i = 0; i < 2; i++) {
            if (!(library->parameters.LockUnlockCapabilities &
                  kinds[i].capability))
                continue;
            status = robot_access(library, kinds[i].type, 0,
                                  lock ? LOCK_ELEMENT : UNLOCK_ELEMENT);
            if (!NT_SUCCESS(status))
                break;
        }
    if (!NT_SUCCESS(status))
        return result_status(library, result, status);
    pthread_mutex_lock(&library->lock);
    library->locked = lock;
    pthread_mutex_unlock(&library->lock);
    return 0;
}

int
command_run_lock(struct library *library, command_t *command, result_t *result)
{
    (void) command;
    return set_locks(library, true, result);
}

int
command_run_unlock(struct library *library, command_t *command,
                   result_t *result)
{
    (void) command;
    return set_locks(library, false, result);
}

/* The first mail slot that is full, or empty; 0: none. */
static uint32_t
find_mail(struct library *library, bool full)
{
    for (ULONG i = 0; i < library->counts[ChangerIEPort]; i++) {
        const struct element *element = &library->elements[ChangerIEPort][i];

        if (element_full(element) == full && !element_unknown(element))
            return library->counts[ChangerSlot] + i + 1;
    }
    return 0;
}

int
command_run_import(struct library *library, command_t *command,
                   result_t *result)
{
    struct ri_library_command step = *command;
    int rc = command_read_all(library, result);

    if (rc != 0)
        return rc;
    if (step.source == 0 && step.label[0] == '\0')
        step.source = find_mail(library, true);
    if (step.source == 0 && step.label[0] == '\0')
        return result_fail(result, -ENOMEDIUM, STATUS_SOURCE_ELEMENT_EMPTY,
                           "library %s: every mail slot is empty",
                           library->config.name);
    if (step.destination == 0)
        step.destination = free_slot(library);
    if (step.destination == 0)
        return result_fail(result, -ENOENT, STATUS_DESTINATION_ELEMENT_FULL,
                           "library %s: no slot is free", library->config.name);
    return command_run_transfer(library, &step, result);
}

int
command_run_export(struct library *library, command_t *command,
                   result_t *result)
{
    struct ri_library_command step = *command;
    int rc;

    if (step.destination == 0)
        step.destination = find_mail(library, false);
    if (step.destination == 0)
        return result_fail(result, -ENOENT, STATUS_DESTINATION_ELEMENT_FULL,
                           "library %s: no mail slot is free",
                           library->config.name);
    rc = command_run_transfer(library, &step, result);
    if (rc == 0 && library->parameters.Features0 & CHANGER_OPEN_IEPORT &&
        !(command->flags & RI_LIB_NOWAIT) &&
        access_mail(library, step.destination, EXTEND_IEPORT, result) != 0) {
        result_note(result, "the mail slot was not opened: %.200s",
                    result->text);
        result->error = 0;
        result->status = STATUS_SUCCESS;
    }
    return result->error;
}
