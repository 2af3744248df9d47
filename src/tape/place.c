/*
 * place.c - never the wrong tape, never the wrong place
 *
 * A session that may have lost its tape or its place looks for both by reading:
 * is it the tape, does before the place lie what was there, and which of the
 * blocks that are not safe are on the tape?  Only what is missing is written,
 * and only behind what was found.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapes/tapes_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "base/trace.h"

#define TRIES_MAX  6      /* of a drive that has news again and again */
#define READS_MAX  3      /* of a block that cannot be read */
#define LOOK_BYTES 65536u /* of a block that nobody knows */

/* --- learning -------------------------------------------------------------- */

/* What is before the place, so that it can be found again. */
NTSTATUS
place_learn(struct ri_tape *tape)
{
    struct tape_object object;
    int64_t at = -1;
    NTSTATUS status;

    if (tape->trail.count != 0 || tape->place.object <= 0)
        return STATUS_SUCCESS;
    status = tape_port_move(&tape->port, TAPE_SPACE_RELATIVE_BLOCKS, -1);
    if (!NT_SUCCESS(status) && status != STATUS_FILEMARK_DETECTED)
        return status;
    object.number = (uint64_t) tape->place.object - 1;
    status = place_read(tape, LOOK_BYTES, &object);
    if (status == STATUS_DEVICE_DATA_ERROR) {
        object.kind = OBJECT_BAD;
        status = STATUS_SUCCESS;
    }
    if (NT_SUCCESS(status))
        status = tape_port_where(&tape->port, &at);
    if (!NT_SUCCESS(status))
        return status;
    if (at >= 0 && at != tape->place.object && !tape->no_locate)
        return place_go_to(tape, (uint64_t) tape->place.object);
    trail_add(&tape->trail, &object);
    return STATUS_SUCCESS;
}

/* --- is the place the place? ---------------------------------------------- */

static bool
is_object(const struct tape_object *wanted, const struct tape_object *found)
{
    if (wanted->kind != found->kind)
        return false;
    return wanted->kind != OBJECT_BLOCK ||
           (wanted->length == found->length && wanted->room == found->room &&
            wanted->hash == found->hash);
}

/* A tape that ends before, or cannot be read there, is not as it was left. */
static NTSTATUS
as_changed(NTSTATUS status)
{
    switch (status) {
    case STATUS_NO_DATA_DETECTED:
    case STATUS_END_OF_MEDIA:
    case STATUS_DEVICE_DATA_ERROR:
    case STATUS_BEGINNING_OF_MEDIA:
    case STATUS_FILEMARK_DETECTED:
        return STATUS_FILE_INVALID;
    default:
        return status;
    }
}

/* Goes to before the trail, and reads it. */
static NTSTATUS
read_trail(struct ri_tape *tape)
{
    const struct trail *trail = &tape->trail;
    uint64_t end = tape->writing ? tape->safe : (uint64_t) tape->place.object;
    int64_t blocks = place_anchor(tape)->block;
    struct tape_object found;
    unsigned skip = 0;
    NTSTATUS status;

    if (trail->count == 0 && tape->writing && end != 0)
        return STATUS_FILE_INVALID; /* nothing to know it by */
    /* Walking, there is no way back over a filemark. */
    if (tape->no_locate && blocks >= 0 && trail->count > blocks)
        skip = trail->count - (unsigned) blocks;
    status = place_go_to(tape, end - (trail->count - skip));
    for (unsigned i = skip; i < trail->count && NT_SUCCESS(status); i++) {
        const struct tape_object *wanted = &trail->objects[i];

        status = place_read(
            tape, wanted->room != 0 ? wanted->room : wanted->length, &found);
        if (status == STATUS_DEVICE_DATA_ERROR && wanted->kind == OBJECT_BAD)
            status = place_go_to(tape, wanted->number + 1);
        else if (NT_SUCCESS(status) && !is_object(wanted, &found))
            status = STATUS_FILE_INVALID;
    }
    return status;
}

/* A read may fail now and then. */
static NTSTATUS
find_place(struct ri_tape *tape)
{
    NTSTATUS status = STATUS_DEVICE_DATA_ERROR;
    bool could = !tape->no_locate;

    for (int i = 0; i < READS_MAX && status == STATUS_DEVICE_DATA_ERROR; i++)
        status = read_trail(tape);
    if (could && tape->no_locate && !NT_SUCCESS(status))
        status = read_trail(tape); /* now it is known how to go there */
    return as_changed(status);
}

static NTSTATUS
identify(struct ri_tape *tape, struct tape_identity *out_found)
{
    NTSTATUS status = STATUS_DEVICE_DATA_ERROR;

    for (int i = 0; i < READS_MAX && status == STATUS_DEVICE_DATA_ERROR; i++)
        status = unit_identify(tape->unit, &tape->port, out_found);
    return status == STATUS_DEVICE_DATA_ERROR ? STATUS_UNRECOGNIZED_MEDIA
                                              : status;
}

/* --- what is not safe ----------------------------------------------------- */

static NTSTATUS
compare_marks(struct ri_tape *tape, const struct kept_item *item,
              uint64_t *out_done)
{
    struct tape_object found;
    NTSTATUS status = STATUS_SUCCESS;

    for (*out_done = 0; *out_done < item->objects; ++*out_done) {
        status = place_read(tape, LOOK_BYTES, &found);
        if (!NT_SUCCESS(status))
            return status;
        if (found.kind != OBJECT_MARK)
            return STATUS_FILE_INVALID;
    }
    return status;
}

/* How many of its objects lie on the tape at the place; no success: what is
 * there instead of the next one. */
static NTSTATUS
compare_item(struct ri_tape *tape, const struct kept_item *item,
             uint64_t *out_done)
{
    uint32_t block = item->block != 0 ? item->block : item->length;
    ULONG bytes = 0;
    NTSTATUS status;
    uint64_t n = 0;

    *out_done = 0;
    if (item->kind == OBJECT_MARK)
        return compare_marks(tape, item, out_done);
    if (!place_scratch(tape, item->length))
        return STATUS_INSUFFICIENT_RESOURCES;
    status = tape_port_transfer(&tape->port, FALSE, tape->scratch, item->length,
                                &bytes);
    if (bytes > item->length)
        bytes = item->length;
    if (item->block == 0)
        n = status == STATUS_SUCCESS && bytes == item->length &&
            memcmp(tape->scratch, item->data, bytes) == 0;
    else
        while (n < bytes / block && memcmp(tape->scratch + n * block,
                                           item->data + n * block, block) == 0)
            n++;
    *out_done = n;
    if (n == item->objects)
        return STATUS_SUCCESS;
    if ((item->block != 0 && n < bytes / block) ||
        status == STATUS_BUFFER_OVERFLOW ||
        status == STATUS_INVALID_BLOCK_LENGTH || status == STATUS_SUCCESS ||
        status == STATUS_FILEMARK_DETECTED)
        return STATUS_FILE_INVALID;
    return status;
}

/* From its object `done` on; the tape lies there. */
static NTSTATUS
write_item(struct ri_tape *tape, const struct kept_item *item, uint64_t done)
{
    uint32_t from = item->block != 0 ? (uint32_t) done * item->block : 0;
    ULONG bytes = 0;
    NTSTATUS status;

    tape->written_again = true;
    if (item->kind == OBJECT_MARK) {
        status =
            tape_port_marks(&tape->port, (ULONG) (item->objects - done), FALSE);
        return status == STATUS_END_OF_MEDIA ? STATUS_SUCCESS : status;
    }
    status = tape_port_transfer(&tape->port, TRUE, (void *) (item->data + from),
                                item->length - from, &bytes);
    if (status == STATUS_END_OF_MEDIA && bytes == item->length - from)
        status = STATUS_SUCCESS;
    return status;
}

/* Is what lies there the record that was taken back? */
static NTSTATUS
look_for_stray(struct ri_tape *tape, uint64_t at)
{
    const struct tape_object *stray = &tape->stray;
    uint32_t room = stray->length < LOOK_BYTES ? LOOK_BYTES : stray->length;
    struct tape_object found;
    NTSTATUS status;

    if (stray->number != at)
        return STATUS_FILE_INVALID;
    status = place_go_to(tape, at);
    if (NT_SUCCESS(status))
        status = place_read(tape, room, &found);
    if (NT_SUCCESS(status) && !is_object(stray, &found))
        status = STATUS_FILE_INVALID;
    return as_changed(status);
}

/*
 * What is there, at this object, instead of a block of ours: nothing, or
 * something that cannot be read, for it was being written: ours goes there.
 * Something else: if nothing of this run of writes had to be on the tape, it is
 * what was there before, and ours goes over it; so it does over one of ours that
 * was taken back; else somebody wrote there.
 */
static NTSTATUS
may_write(struct ri_tape *tape, NTSTATUS found, uint64_t at)
{
    switch (found) {
    case STATUS_NO_DATA_DETECTED:
    case STATUS_END_OF_MEDIA:
    case STATUS_DEVICE_DATA_ERROR:
        return STATUS_SUCCESS;
    case STATUS_FILE_INVALID:
        return tape->safe == tape->run ? STATUS_SUCCESS
                                       : look_for_stray(tape, at);
    default:
        return found;
    }
}

/* What follows: success, if nothing does. */
static NTSTATUS
look_behind(struct ri_tape *tape)
{
    struct tape_object found;
    NTSTATUS status = place_read(tape, LOOK_BYTES, &found);

    if (status == STATUS_NO_DATA_DETECTED || status == STATUS_END_OF_MEDIA)
        return STATUS_SUCCESS;
    return NT_SUCCESS(status) ? STATUS_FILE_INVALID : status;
}

/*
 * All of it lies there, and nothing may follow.  What does was there before, and
 * ours looked like it: its last object goes over itself, which ends the tape
 * behind it, as it would have been.
 */
static NTSTATUS
end_behind_kept(struct ri_tape *tape)
{
    const struct kept_item *last = &tape->kept.items[tape->kept.count - 1];
    uint64_t end = last->number + last->objects;
    NTSTATUS status = look_behind(tape);

    if (NT_SUCCESS(status))
        return status;
    status = may_write(tape, status, end);
    if (NT_SUCCESS(status))
        status = place_go_to(tape, end - 1);
    if (NT_SUCCESS(status))
        status = write_item(tape, last, last->objects - 1);
    return status;
}

/* Where a run of writes ended, and was safe, the tape ends: what follows is
 * somebody else's, and the next write would go over it. */
static NTSTATUS
end_behind_safe(struct ri_tape *tape)
{
    NTSTATUS status;

    if (!tape->writing || tape->safe == tape->run)
        return STATUS_SUCCESS;
    status = look_behind(tape);
    if (NT_SUCCESS(status))
        return status;
    status = may_write(tape, status, tape->safe);
    return NT_SUCCESS(status) ? place_go_to(tape, tape->safe) : status;
}

static NTSTATUS
settle_kept(struct ri_tape *tape)
{
    bool missing = false;
    NTSTATUS status = STATUS_SUCCESS;

    for (size_t i = 0; i < tape->kept.count && NT_SUCCESS(status); i++) {
        const struct kept_item *item = &tape->kept.items[i];
        uint64_t done = 0;

        if (!missing) {
            status = compare_item(tape, item, &done);
            if (NT_SUCCESS(status))
                continue;
            status = may_write(tape, status, item->number + done);
            if (NT_SUCCESS(status))
                status = place_go_to(tape, item->number + done);
            missing = NT_SUCCESS(status);
            if (!missing)
                break;
        }
        status = write_item(tape, item, done);
    }
    if (NT_SUCCESS(status) && !missing)
        status = tape->kept.count != 0 ? end_behind_kept(tape)
                                       : end_behind_safe(tape);
    return status;
}

/* --- the tape ------------------------------------------------------------- */

static bool
is_protected(struct tape_unit *unit)
{
    bool is;
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    is = unit->media.WriteProtected != 0;
    KeReleaseSpinLock(&tapes.lock, irql);
    return is;
}

static enum identity_match
match(const struct ri_tape *tape, const struct tape_identity *found)
{
    enum identity_match is = tape_identity_compare(&tape->identity, found);

    /* Nobody could look at its beginning: the cartridge itself has to do. */
    if (tape->identity.format[0] == '\0' && is == IDENTITY_CHANGED)
        is = IDENTITY_SAME;
    if (is != IDENTITY_SAME && tape->first_changes &&
        tape_identity_compare(&tape->before, found) == IDENTITY_SAME)
        is = IDENTITY_SAME;
    return is;
}

static NTSTATUS
judge(struct ri_tape *tape, const struct tape_identity *found)
{
    enum identity_match is;

    switch (tape->wanted) {
    case WANTED_NAMED:
        if (!identity_is_called(found, tape->how.tape))
            return STATUS_WRONG_VOLUME;
        break;
    case WANTED_ANY:
        if (tape_identity_compare(&tape->refused, found) != IDENTITY_OTHER ||
            (tape->blank_only && strcmp(found->format, "blank") != 0))
            return STATUS_WRONG_VOLUME;
        break;
    default:
        is = match(tape, found);
        if (is != IDENTITY_SAME)
            return is == IDENTITY_CHANGED ? STATUS_FILE_INVALID
                                          : STATUS_WRONG_VOLUME;
    }
    if (is_protected(tape->unit) &&
        (tape->kept.count != 0 ||
         (tape->how.write && tape->wanted != WANTED_SAME)))
        return STATUS_MEDIA_WRITE_PROTECTED;
    return STATUS_SUCCESS;
}

static NTSTATUS
until_ready(struct ri_tape *tape)
{
    NTSTATUS status = STATUS_VERIFY_REQUIRED;

    for (int i = 0; i < TRIES_MAX && status == STATUS_VERIFY_REQUIRED; i++)
        status = tape_port_ready(&tape->port);
    unit_said(tape->unit, status);
    return status;
}

/* Another tape of a set: at its beginning, and nothing is known to be wrong. */
static void
take(struct ri_tape *tape, const struct tape_identity *found)
{
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    tape->identity = *found;
    tape->wanted = WANTED_SAME;
    KeReleaseSpinLock(&tapes.lock, irql);
    tape->first_changes = false;
    session_placed(tape, 0, 0, 0);
}

NTSTATUS
place_return(struct ri_tape *tape)
{
    struct tape_place start = { 0, 0, 0, 0 };
    struct tape_identity found;
    NTSTATUS status;

    session_set_state(tape, SESSION_RETURNING);
    status = until_ready(tape);
    if (NT_SUCCESS(status))
        status = identify(tape, &found);
    if (!NT_SUCCESS(status)) {
        unit_forgets(tape->unit);
        return status;
    }
    unit_knows(tape->unit, &found, &start);
    status = judge(tape, &found);
    if (NT_SUCCESS(status))
        status = session_restore_mode(tape);
    if (NT_SUCCESS(status)) {
        if (tape->wanted != WANTED_SAME) {
            take(tape, &found);
        } else {
            tape->written_again = false;
            status = find_place(tape);
            if (NT_SUCCESS(status))
                status = settle_kept(tape);
        }
    } else if (!tape_status_is_loss(status) || tape_status_is_absence(status)) {
        (void) tape_port_move(&tape->port, TAPE_REWIND, 0);
    }
    TRACE(TRACE_PROMPT, "tape session %p returns: %s", (void *) tape,
          status_name(status));
    if (NT_SUCCESS(status))
        session_set_state(tape, SESSION_READY);
    return status;
}

/* --- the whole way -------------------------------------------------------- */

void
place_give_up(struct ri_tape *tape, NTSTATUS why)
{
    size_t count = tape->kept.count - tape->in_flight;
    char file[RI_PATH_MAX] = "", name[RI_NAME_MAX];
    uint64_t bytes = 0;
    int rc = -ENOENT;

    identity_name(&tape->identity, name);
    if (count != 0 && tape->unit->recovery_dir[0] != '\0')
        rc = keep_write(&tape->kept, tape->in_flight, tape->unit->recovery_dir,
                        name, file, &bytes);
    session_unsafe(tape, count, rc == 0 ? file : "", why);
    if (rc == 0 && tapes.host.kept != NULL)
        tapes.host.kept(tapes.host.context, tape->unit->name, name, file, bytes,
                        why);
    kept_drop(&tape->kept);
    trail_clear(&tape->trail);
    tape->in_flight = 0;
    tape->writing = tape->mark_owed = false;
    tape->place = (struct tape_place){ -1, -1, -1, 0 };
    session_set_state(tape, SESSION_ADRIFT);
}

static void
say_back(struct ri_tape *tape)
{
    char name[RI_NAME_MAX];

    identity_name(&tape->identity, name);
    tapes_event(
        tape->unit, &tape->identity,
        tape->written_again ? "written again" : "back",
        "tape %s is in drive %s, at its place%s", name, tape->unit->name,
        tape->written_again ? "; what it lacked was written again" : "");
}

NTSTATUS
place_recover(struct ri_tape *tape, NTSTATUS why)
{
    NTSTATUS status = why;

    trail_hash(&tape->trail);
    if (tape->waits != NULL)
        tape->waits(tape->waits_context);
    if (tape->how.fail_without || tape->place.object < 0) {
        place_give_up(tape, why);
        return why;
    }
    session_set_state(tape, SESSION_LOST);
    for (int i = 0; i < TRIES_MAX; i++) {
        if (!tape_status_is_absence(why) || i > 0)
            status = place_return(tape);
        if (!tape_status_is_loss(status) || tape_status_is_absence(status))
            break;
    }
    if (tape_status_is_absence(status) ||
        status == STATUS_MEDIA_WRITE_PROTECTED)
        status = session_wait(tape, status);
    if (NT_SUCCESS(status)) {
        say_back(tape);
    } else if (status == STATUS_REQUEST_ABORTED) {
        session_set_state(tape, SESSION_LOST);
    } else if (tape->state != SESSION_ADRIFT) {
        place_give_up(tape, status);
    }
    return status;
}
