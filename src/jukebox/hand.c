/*
 * hand.c - a cartridge that the robot was left with
 *
 * A motion that fails half way leaves it in the transport, and while it is
 * there nothing else can be moved.  It is put where it belongs, or into a free
 * slot, by a motion of its own: the one that failed is not sent again.
 *
 * Context: PASSIVE, with the turn.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "jukebox/command.h"

static const struct place hand = { ChangerTransport, 0 };

static bool
is_free(struct library *library, struct place place)
{
    const struct element *element = element_at(library, place);

    return element != NULL && !element_full(element) &&
           !element_unknown(element) &&
           !(element->flags & ELEMENT_STATUS_EXCEPT);
}

/* Its home, else where it was taken from, else nobody's slot. */
static struct place
choose_place(struct library *library)
{
    const struct cartridge *cartridge = cartridge_at(library, hand);
    struct place source = element_at(library, hand)->source;
    struct place home =
        place_of_slot(library, cartridge != NULL ? cartridge->home : 0);

    if (is_free(library, home))
        return home;
    if (source.type == ChangerSlot && is_free(library, source))
        return source;
    return place_of_slot(library, free_slot(library));
}

bool
command_hand_full(struct library *library)
{
    return element_full(element_at(library, hand));
}

int
command_empty_hand(struct library *library, command_t *command,
                   result_t *result)
{
    const struct cartridge *cartridge = cartridge_at(library, hand);
    struct ri_library_command step = { .drive = RI_NO_DRIVE,
                                       .timeout_s = command->timeout_s };
    struct ri_library_result done = { 0 };
    struct place place;
    char words[96] = "a cartridge", where[48];

    if (!command_hand_full(library))
        return 0;
    if (cartridge != NULL)
        cartridge_words(library, cartridge, words);
    place = choose_place(library);
    if (place.type == 0)
        return result_fail(result, -EBUSY, STATUS_TRANSPORT_FULL,
                           "library %s: the robot holds %s, and no slot is "
                           "free for it",
                           library->config.name, words);
    if (command_move(library, hand, place, &step, &done, NULL) != 0) {
        memcpy(result->sense, done.sense, sizeof result->sense);
        result->sense_len = done.sense_len;
        return result_fail(result, done.error, (NTSTATUS) done.status,
                           "library %s: the robot holds %s, and cannot put it "
                           "away: %.300s",
                           library->config.name, words, done.text);
    }
    result_note(result, "%s, which the robot held, is in %s", words,
                place_words(library, place, where));
    return 0;
}
