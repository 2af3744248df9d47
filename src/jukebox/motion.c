/*
 * motion.c - one motion, and what is true afterwards
 *
 * The intent is written down, the robot is told, the elements are read again,
 * the ledger follows what they say, the outcome is written down.  No motion is
 * ever sent twice from here.
 *
 * Context: PASSIVE, with the turn.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "jukebox/library_internal.h"

/* --- results ---------------------------- */

/* The one translation from NTSTATUS to errno. */
static const struct {
    NTSTATUS status;
    int rc;
} errno_rows[] = {
    { STATUS_SOURCE_ELEMENT_EMPTY, -ENOMEDIUM },
    { STATUS_DESTINATION_ELEMENT_FULL, -EEXIST },
    { STATUS_ILLEGAL_ELEMENT_ADDRESS, -EINVAL },
    { STATUS_INVALID_PARAMETER, -EINVAL },
    { STATUS_INVALID_DEVICE_REQUEST, -ENOTSUP },
    { STATUS_NOT_SUPPORTED, -ENOTSUP },
    { STATUS_NOT_IMPLEMENTED, -ENOTSUP },
    { STATUS_MAGAZINE_NOT_PRESENT, -EHOSTDOWN },
    { STATUS_DEVICE_DOOR_OPEN, -EHOSTDOWN },
    { STATUS_DEVICE_OFF_LINE, -EHOSTDOWN },
    { STATUS_DEVICE_NOT_READY, -EAGAIN },
    { STATUS_REINITIALIZATION_NEEDED, -EAGAIN },
    { STATUS_UNABLE_TO_UNLOAD_MEDIA, -EBUSY },
    { STATUS_DEVICE_BUSY, -EBUSY },
    { STATUS_TRANSPORT_FULL, -EBUSY },
    { STATUS_IO_TIMEOUT, -ETIMEDOUT },
    { STATUS_CLEANER_CARTRIDGE_INSTALLED, -EMEDIUMTYPE },
    { STATUS_UNRECOGNIZED_MEDIA, -EMEDIUMTYPE },
    { STATUS_INSUFFICIENT_RESOURCES, -ENOMEM },
};

static int
errno_of(NTSTATUS status)
{
    for (size_t i = 0; i < sizeof errno_rows / sizeof errno_rows[0]; i++)
        if (errno_rows[i].status == status)
            return errno_rows[i].rc;
    return NT_SUCCESS(status) ? 0 : -EIO;
}

int
result_fail(struct ri_library_result *result, int rc, NTSTATUS status,
            const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(result->text, sizeof result->text, format, args);
    va_end(args);
    result->error = rc;
    result->status = (uint32_t) status;
    return rc;
}

static void
take_sense(struct library *library, struct ri_library_result *result)
{
    const struct library_sense *sense = &library->sense;

    result->sense_len = sense->len < sizeof result->sense
                            ? sense->len
                            : (uint32_t) sizeof result->sense;
    memcpy(result->sense, sense->bytes, result->sense_len);
}

int
result_status(struct library *library, struct ri_library_result *result,
              NTSTATUS status)
{
    take_sense(library, result);
    return result_fail(result, errno_of(status), status, "library %s: %s",
                       library->config.name, ready_words(library, status));
}

void
result_note(struct ri_library_result *result, const char *format, ...)
{
    va_list args;

    if (result->note_count == RI_LIB_NOTES_MAX)
        return;
    va_start(args, format);
    vsnprintf(result->notes[result->note_count++], RI_TEXT_MAX, format, args);
    va_end(args);
}

/* --- what is true afterwards ---------------------------- */

/* Reads what the motion may have touched; all of it when that says nothing. */
static bool
look_and_settle(struct library *library, const struct motion *motion,
                bool reported, bool *out_moved)
{
    struct place places[] = {
        motion->source,
        motion->destination,
        motion->second,
        { ChangerTransport, 0 },
    };
    struct element *hand = element_at(library, places[3]);
    NTSTATUS status;

    /* It was given up, and may be under way: the next start finds out. */
    if (library_stopping(library) && !reported) {
        library->pending = *motion;
        library->stale = true;
        return false;
    }
    status = elements_read(library, places, 4);
    if (NT_SUCCESS(status) && !library->stale && !element_full(hand) &&
        settle_motion(library, motion, reported)) {
        *out_moved = true;
        return true;
    }
    /* Settled with the rest; what cannot be read now is settled later. */
    library->pending = *motion;
    library->pending_quiet = true;
    library->stale = true;
    status = elements_read_all(library);
    library->pending_quiet = false;
    if (!NT_SUCCESS(status))
        return false;
    library->pending.id = 0;
    *out_moved = false;
    if (motion->cartridge != 0) {
        const struct cartridge *cartridge =
            ledger_by_id(library->ledger, motion->cartridge);

        *out_moved = cartridge != NULL &&
                     same_place(cartridge->place, motion->destination);
    }
    return true;
}

/* Good news first: what the elements say counts, not the status. */
static int
moved(struct library *library, const struct motion *motion, NTSTATUS status,
      struct ri_library_result *result)
{
    char place[48];

    if (!NT_SUCCESS(status)) {
        take_sense(library, result);
        result_note(result,
                    "the robot reported an error (%s), but the cartridge is in "
                    "%s",
                    ready_words(library, status),
                    place_words(library, motion->destination, place));
    }
    result->error = 0;
    result->status = STATUS_SUCCESS;
    result->repeatable = false;
    return 0;
}

static void
note_place(struct library *library, struct cartridge *cartridge,
           struct ri_library_result *result)
{
    char words[96], place[48];

    if (cartridge != NULL)
        result_note(result, "%s is in %s",
                    cartridge_words(library, cartridge, words),
                    place_words(library, cartridge->place, place));
}

static int
not_moved(struct library *library, const struct motion *motion, NTSTATUS status,
          struct ri_library_result *result)
{
    const struct element *destination =
        element_at(library, motion->destination);
    struct cartridge *cartridge =
        ledger_by_id(library->ledger, motion->cartridge);
    struct cartridge *other = cartridge_at(library, motion->destination);
    char words[96], found[96], place[48];
    bool at_source =
        cartridge != NULL && same_place(cartridge->place, motion->source);
    /* Whatever the status: another one came, or was the robot's mistake. */
    bool wrong = other != NULL && other != cartridge &&
                 other->id != motion->other && element_full(destination);

    result->repeatable = at_source && !NT_SUCCESS(status) && !wrong &&
                         !ready_needs_hand(library);
    result->maybe_moved = !at_source || wrong;
    if (cartridge == NULL)
        snprintf(words, sizeof words, "the cartridge");
    else
        cartridge_words(library, cartridge, words);
    if (wrong) {
        library_tell(library, "wrong",
                     motion->destination.type == ChangerDrive
                         ? motion->destination.index
                         : RI_NO_DRIVE,
                     "%s was asked for, and %s came", words,
                     cartridge_words(library, other, found));
        return result_fail(result, -EMEDIUMTYPE, STATUS_WRONG_VOLUME,
                           "wrong volume: expected %s, found %s",
                           cartridge != NULL ? cartridge->barcode : "it",
                           other->barcode[0] != '\0' ? other->barcode : found);
    }
    if (NT_SUCCESS(status))
        return result_fail(
            result, -EIO, STATUS_IO_DEVICE_ERROR,
            "library %s: the robot says that it moved %s, but "
            "it is in %s",
            library->config.name, words,
            place_words(library,
                        cartridge != NULL ? cartridge->place : PLACE_AWAY,
                        place));
    result_status(library, result, status);
    note_place(library, cartridge, result);
    if (motion->kind == MOTION_EXCHANGE)
        note_place(library, ledger_by_id(library->ledger, motion->other),
                   result);
    return result->error;
}

/* Who looks meanwhile sees the cartridge where it was, not nowhere. */
static bool
look(struct library *library, const struct motion *motion, bool reported,
     bool *out_moved)
{
    bool known;

    elements_hold(library);
    known = look_and_settle(library, motion, reported, out_moved);
    elements_show(library);
    return known;
}

/* --- the motion ---------------------------- */

static void
describe(struct library *library, const struct motion *motion, char *out,
         size_t max)
{
    struct cartridge *cartridge =
        ledger_by_id(library->ledger, motion->cartridge);
    char words[96] = "a cartridge", from[48], to[48];

    if (cartridge != NULL)
        cartridge_words(library, cartridge, words);
    snprintf(out, max, "%s from %s to %s%s", words,
             place_words(library, motion->source, from),
             place_words(library, motion->destination, to),
             motion->kind == MOTION_EXCHANGE ? ", in exchange for what is there"
                                             : "");
}

static uint32_t
drive_in(const struct motion *motion)
{
    if (motion->destination.type == ChangerDrive)
        return motion->destination.index;
    return motion->source.type == ChangerDrive ? motion->source.index
                                               : RI_NO_DRIVE;
}

static void
begin(struct library *library, struct motion *motion, const char *words,
      struct ri_library_result *result)
{
    struct cartridge *cartridge = cartridge_at(library, motion->source);

    result->source_address = element_address(library, motion->source);
    result->destination_address = element_address(library, motion->destination);
    if (cartridge != NULL)
        memcpy(result->barcode, cartridge->barcode, sizeof result->barcode);
    library_set_state(library, LIBRARY_MOVING, words);
    library_tell(library, "start", drive_in(motion), "%s", words);
    pthread_mutex_lock(&library->lock);
    library->motions++;
    pthread_mutex_unlock(&library->lock);
}

static void
end(struct library *library, const struct motion *motion, const char *words,
    struct ri_library_result *result)
{
    if (result->error != 0) {
        pthread_mutex_lock(&library->lock);
        library->failures++;
        pthread_mutex_unlock(&library->lock);
    }
    library_tell(library, result->error == 0 ? "end" : "failed",
                 drive_in(motion), "%s: %s", words,
                 result->error == 0 ? "done" : result->text);
}

int
motion_make(struct library *library, struct motion *motion, unsigned flags,
            struct ri_library_result *result)
{
    struct cartridge *cartridge = cartridge_at(library, motion->source);
    struct cartridge *other = cartridge_at(library, motion->destination);
    char text[256];
    NTSTATUS status;
    bool done = false;

    motion->id = 0;
    if (library_stopping(library))
        return result_fail(result, -ESHUTDOWN, STATUS_DEVICE_NOT_READY,
                           "library %s: the service ends; nothing was moved",
                           library->config.name);
    motion->cartridge = cartridge != NULL ? cartridge->id : 0;
    motion->other = other != NULL ? other->id : 0;
    if (ledger_intend(library->ledger, motion) != 0)
        return result_fail(result, -EIO, STATUS_IO_DEVICE_ERROR,
                           "library %s: %s; nothing was moved",
                           library->config.name, ledger_error(library->ledger));
    describe(library, motion, text, sizeof text);
    begin(library, motion, text, result);
    if (motion->kind == MOTION_MOVE)
        status = robot_move(library, motion->source, motion->destination,
                            (flags & RI_LIB_INVERT) != 0);
    else
        status = robot_exchange(library, motion, (flags & RI_LIB_INVERT) != 0,
                                (flags & RI_LIB_INVERT2) != 0);
    /* The sense data of the motion, not of what looks at it. */
    struct library_sense sense = library->sense;

    if (!look(library, motion, NT_SUCCESS(status), &done)) {
        library->sense = sense;
        result_status(library, result, status);
        if (library_stopping(library))
            result_fail(result, -ESHUTDOWN, status,
                        "library %s: %s: the service ends; the next start "
                        "finds out how it ended",
                        library->config.name, text);
        else
            result_fail(result, NT_SUCCESS(status) ? -EIO : result->error,
                        NT_SUCCESS(status) ? STATUS_IO_DEVICE_ERROR : status,
                        "library %s: %s: nobody knows how it ended, and the "
                        "elements cannot be read now",
                        library->config.name, text);
        result->maybe_moved = true;
    } else {
        library->sense = sense;
        if (done || (NT_SUCCESS(status) && (flags & RI_LIB_NOVERIFY)))
            moved(library, motion, status, result);
        else
            not_moved(library, motion, status, result);
        if (ledger_outcome(library->ledger, motion,
                           done ? "moved" : "not moved") != 0)
            result_note(result, "%s", ledger_error(library->ledger));
    }
    library_set_state(
        library, ready_state(result->error == 0 ? STATUS_SUCCESS : status), "");
    end(library, motion, text, result);
    return result->error;
}
