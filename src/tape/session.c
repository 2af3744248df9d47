/*
 * session.c - a client's session with a tape: read, written, synchronised
 *
 * What is written is kept until it is on the tape for certain.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapes/tapes_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

#define HARD_TRIES 2 /* of a command that fails for no good reason */
/* From so many bytes on it is looked whether they have to be kept at all. */
#define LOOK_BYTES (1u << 20)

/* --- begin and end of a call ---------------------------------------------- */

void
session_show(struct ri_tape *tape)
{
    KIRQL irql;

    KeAcquireSpinLock(&tapes.lock, &irql);
    tape->seen.unflushed_bytes = tape->kept.bytes;
    tape->seen.unflushed_blocks = (uint32_t) tape->kept.blocks;
    tape->seen.place = tape->place;
    KeReleaseSpinLock(&tapes.lock, irql);
}

NTSTATUS
session_stopped(struct ri_tape *tape)
{
    if (InterlockedOr(&tapes.stopping, 0))
        return STATUS_SYSTEM_SHUTDOWN;
    return InterlockedOr(&tape->cancelled, 0) ? STATUS_CANCELLED
                                              : STATUS_SUCCESS;
}

/* Data that were lent are still there. */
static int
begin(struct ri_tape *tape, struct ri_tape_result *result)
{
    memset(result, 0, sizeof *result);
    tape->unsafe[0] = '\0';
    InterlockedExchange(&tape->interrupted, 0);
    InterlockedExchange(&tape->running, 1);
    return tape_status_errno(session_stopped(tape));
}

int
session_begin(struct ri_tape *tape, struct ri_tape_result *result)
{
    kept_own(&tape->kept);
    trail_hash(&tape->trail);
    return begin(tape, result);
}

int
session_end(struct ri_tape *tape, struct ri_tape_result *result,
            NTSTATUS status)
{
    InterlockedExchange(&tape->running, 0);
    if (NT_SUCCESS(status) && tape->state == SESSION_READY)
        unit_said(tape->unit, STATUS_SUCCESS);
    session_show(tape);
    result->status = (uint32_t) status;
    result->beginning = tape->place.object == 0;
    if (!NT_SUCCESS(status) && result->text[0] == '\0')
        snprintf(result->text, sizeof result->text, "drive %s: %s%s%.300s",
                 tape->unit->name, tape_status_words(status),
                 tape->unsafe[0] != '\0' ? "; " : "", tape->unsafe);
    return tape_status_errno(status);
}

void
session_unsafe(struct ri_tape *tape, size_t count, const char *file,
               NTSTATUS why)
{
    uint64_t first, last;
    char name[RI_NAME_MAX];

    if (count == 0)
        return;
    first = tape->kept.items[0].number;
    last = tape->kept.items[count - 1].number +
           tape->kept.items[count - 1].objects - 1;
    identity_name(&tape->identity, name);
    snprintf(tape->unsafe, sizeof tape->unsafe,
             "blocks %llu to %llu of tape %.60s are not safe%s%.200s",
             (unsigned long long) first, (unsigned long long) last, name,
             file[0] != '\0' ? "; they are kept in " : "", file);
    tapes_event(tape->unit, &tape->identity, "recovery", "%s (drive %s: %s)",
                tape->unsafe, tape->unit->name, tape_status_words(why));
}

/* --- places --------------------------------------------------------------- */

void
session_placed(struct ri_tape *tape, int64_t object, int64_t file,
               int64_t block)
{
    tape->place = (struct tape_place){ object, file, block, 0 };
    tape->writing = tape->mark_owed = tape->mark_hit = false;
    tape->after_mark = tape->at_end = tape->full = false;
    tape->in_flight = 0;
    tape->stray.number = NO_OBJECT;
    kept_drop(&tape->kept);
    trail_clear(&tape->trail);
}

static void
advance(struct ri_tape *tape, uint64_t objects)
{
    if (tape->place.object >= 0)
        tape->place.object += (int64_t) objects;
    if (tape->place.block >= 0)
        tape->place.block += (int64_t) objects;
    tape->place.ends = 0;
    tape->after_mark = tape->at_end = false;
}

static void
advance_marks(struct ri_tape *tape, uint64_t count)
{
    if (tape->place.object >= 0)
        tape->place.object += (int64_t) count;
    if (tape->place.file >= 0)
        tape->place.file += (int64_t) count;
    tape->place.block = 0;
    tape->place.ends = 0;
    tape->after_mark = true;
    tape->at_end = false;
}

NTSTATUS
session_restore_mode(struct ri_tape *tape)
{
    NTSTATUS status = tape_port_set_block(&tape->port, tape->block_bytes);

    if (NT_SUCCESS(status) && tape->compression >= 0)
        status = tape_port_compression(&tape->port, tape->compression != 0);
    return status;
}

NTSTATUS
session_ready(struct ri_tape *tape)
{
    NTSTATUS status = session_stopped(tape);

    if (!NT_SUCCESS(status))
        return status;
    switch (tape->state) {
    case SESSION_READY:
        return STATUS_SUCCESS;
    case SESSION_EMPTY:
        return session_take_tape(tape);
    case SESSION_LOST:
        return place_recover(tape, STATUS_VERIFY_REQUIRED);
    default:
        return STATUS_IO_DEVICE_ERROR;
    }
}

/* --- what is written and safe --------------------------------------------- */

static void
settled(struct ri_tape *tape)
{
    kept_settle(&tape->kept, &tape->trail);
    tape->in_flight = 0;
    tape->first_changes = false;
    tape->safe_place = tape->place;
    if (tape->place.object >= 0)
        tape->safe = (uint64_t) tape->place.object;
}

/* What a write tells of errors on the tape may be about blocks before it, which
 * the drive had in its buffer: those are looked for as well. */
static bool
is_write_loss(NTSTATUS status)
{
    return tape_status_is_loss(status) || status == STATUS_DEVICE_DATA_ERROR;
}

/* A failure that may be cured: all is well again, or it is the end.  `tries`
 * counts those without a reason. */
static NTSTATUS
after_failure(struct ri_tape *tape, NTSTATUS status, int *tries)
{
    bool hard =
        status == STATUS_IO_DEVICE_ERROR || status == STATUS_DEVICE_DATA_ERROR;

    return hard && ++*tries > HARD_TRIES ? status : place_recover(tape, status);
}

NTSTATUS
session_sync(struct ri_tape *tape)
{
    NTSTATUS status;
    int tries = 0;

    while (tape->kept.count != 0) {
        status = tape_port_marks(&tape->port, 0, FALSE);
        if (NT_SUCCESS(status) || status == STATUS_END_OF_MEDIA) {
            settled(tape);
            break;
        }
        if (is_write_loss(status))
            status = after_failure(tape, status, &tries);
        if (!NT_SUCCESS(status)) {
            if (tape->state == SESSION_READY)
                place_give_up(tape, status);
            return status;
        }
    }
    return STATUS_SUCCESS;
}

/* Has the drive put all on the tape that it was given?  One that has lost its
 * buffer has lost its place, too, and nothing came between. */
static bool
is_on_tape(struct ri_tape *tape)
{
    tape->buffers = tape_port_buffered(&tape->port, tape->place.object) != 0;
    return !tape->buffers && NT_SUCCESS(tape_port_ready(&tape->port));
}

/* As much is kept as may be.  A drive that has put all of it on the tape already
 * need not stop for it. */
static NTSTATUS
make_room(struct ri_tape *tape)
{
    if (!is_on_tape(tape))
        return session_sync(tape);
    settled(tape);
    return STATUS_SUCCESS;
}

/*
 * What was lent goes back.  Of a drive that holds nothing in its buffer nothing
 * need be kept, so it is asked before much is copied; one that does hold some is
 * not asked again before there is no room left.  In the middle of a call nobody
 * is asked: there may be more to find out than that.
 */
static void
give_back(struct ri_tape *tape)
{
    if (kept_lent(&tape->kept) && tape->kept.bytes >= LOOK_BYTES &&
        !tape->buffers && tape->state == SESSION_READY &&
        !InterlockedOr(&tape->running, 0) && is_on_tape(tape)) {
        settled(tape);
        session_show(tape);
    }
    kept_own(&tape->kept);
    trail_hash(&tape->trail);
}

/* The tape is known by what is written first on it. */
static void
first_block(struct ri_tape *tape, const void *data, size_t length)
{
    struct tape_identity now = tape->identity;
    KIRQL irql;

    if (tape->place.object != 0)
        return;
    if (!tape->first_changes)
        tape->before = tape->identity;
    tape->first_changes = true;
    identity_first_block(&now, data, length);
    KeAcquireSpinLock(&tapes.lock, &irql);
    tape->identity = now;
    KeReleaseSpinLock(&tapes.lock, irql);
}

/* The last item counts for nothing behind these bytes of it; nobody knows whether
 * the drive has written it. */
static void
cut_last(struct ri_tape *tape, size_t written)
{
    const struct kept_item *last = &tape->kept.items[tape->kept.count - 1];
    uint32_t block = last->block != 0 ? last->block : last->length;

    if (last->kind == OBJECT_MARK)
        tape->stray =
            (struct tape_object){ .number = last->number, .kind = OBJECT_MARK };
    else if (written < last->length)
        tape->stray = (struct tape_object){
            .number = last->number + written / block,
            .kind = OBJECT_BLOCK,
            .length = block,
            .hash = block_hash(last->data + written, block),
        };
    kept_cut(&tape->kept, written);
}

/* The last item was not written after all. */
static void
take_back(struct ri_tape *tape, size_t written)
{
    KIRQL irql;

    tape->in_flight = 0;
    if (tape->kept.count == 0)
        return; /* given up */
    cut_last(tape, written);
    if (tape->kept.count == 0 && tape->first_changes &&
        tape->place.object == 0) {
        KeAcquireSpinLock(&tapes.lock, &irql);
        tape->identity = tape->before;
        KeReleaseSpinLock(&tapes.lock, irql);
        tape->first_changes = false;
    }
}

static NTSTATUS
begin_writing(struct ri_tape *tape)
{
    NTSTATUS status;
    int tries = 0;

    if (tape->writing)
        return STATUS_SUCCESS;
    while (!NT_SUCCESS(status = place_learn(tape))) {
        NTSTATUS after = is_write_loss(status)
                             ? after_failure(tape, status, &tries)
                             : status;

        if (!NT_SUCCESS(after))
            return after;
    }
    tape->writing = true;
    tape->safe_place = tape->place;
    if (tape->place.object >= 0)
        tape->safe = tape->run = (uint64_t) tape->place.object;
    return STATUS_SUCCESS;
}

/* Sends the record that is the last item of what is kept. */
static NTSTATUS
send_record(struct ri_tape *tape, const void *data, size_t size,
            ULONG *out_bytes)
{
    NTSTATUS status, after;
    int tries = 0;

    status = tape_port_transfer(&tape->port, TRUE, (void *) data, (ULONG) size,
                                out_bytes);
    if (!is_write_loss(status))
        return status;
    after = after_failure(tape, status, &tries);
    /* It is on the tape, with all before it, or nothing of it counts. */
    *out_bytes = NT_SUCCESS(after) ? (ULONG) size : 0;
    return after;
}

static NTSTATUS
write_next(struct ri_tape *tape, const void *data, size_t size,
           struct ri_tape_result *result)
{
    uint32_t block = tape->block_bytes;
    NTSTATUS status = STATUS_SUCCESS;
    struct tape_place before;
    ULONG bytes = 0;
    bool owed;

    if (!kept_fits(&tape->kept, size))
        status = make_room(tape);
    if (NT_SUCCESS(status))
        status = begin_writing(tape);
    if (!NT_SUCCESS(status))
        return status;
    if (!kept_add(&tape->kept, (uint64_t) tape->place.object, block, data,
                  size))
        return STATUS_INSUFFICIENT_RESOURCES;
    tape->in_flight = 1;
    first_block(tape, data, block != 0 ? block : size);
    status = send_record(tape, data, size, &bytes);
    result->early_warning = status == STATUS_END_OF_MEDIA;
    tape->full = result->early_warning || status == STATUS_EOM_OVERFLOW;
    if (result->early_warning)
        status = STATUS_SUCCESS;
    if (block != 0)
        bytes -= bytes % block;
    else if (bytes < size)
        bytes = 0;
    if (!NT_SUCCESS(status) || bytes < size)
        take_back(tape, bytes);
    if (bytes == 0)
        return status;
    before = tape->place;
    owed = tape->mark_owed;
    tape->in_flight = 0;
    tape->mark_owed = true;
    advance(tape, block != 0 ? bytes / block : 1);
    result->bytes = bytes;
    if (kept_borrows(&tape->kept) && NT_SUCCESS(status)) {
        tape->in_flight = 1;
        status = session_sync(tape);
        if (!NT_SUCCESS(status)) {
            result->bytes = 0;
            tape->in_flight = 0;
        }
        /* Interrupted: its data are the caller's again. */
        if (!NT_SUCCESS(status) && kept_borrows(&tape->kept)) {
            cut_last(tape, 0);
            tape->place = before;
            tape->mark_owed = owed;
        }
    }
    return status;
}

int
ri_tape_write_lent(struct ri_tape *tape, const void *data, size_t size,
                   struct ri_tape_result *out_result)
{
    int rc = begin(tape, out_result);
    NTSTATUS status;

    if (rc != 0)
        return session_end(tape, out_result, session_stopped(tape));
    if (!tape->how.write)
        return session_end(tape, out_result, STATUS_MEDIA_WRITE_PROTECTED);
    if (size > RI_TAPE_RECORD_MAX)
        return session_end(tape, out_result, STATUS_INVALID_PARAMETER);
    status = session_ready(tape);
    if (NT_SUCCESS(status) && tape->block_bytes != 0 &&
        size % tape->block_bytes != 0)
        status = STATUS_INVALID_PARAMETER;
    if (NT_SUCCESS(status) && size != 0)
        status = write_next(tape, data, size, out_result);
    if (status == STATUS_EOM_OVERFLOW) {
        out_result->end_of_tape = true;
        if (out_result->bytes != 0)
            status = STATUS_SUCCESS;
    }
    return session_end(tape, out_result, status);
}

int
ri_tape_write(struct ri_tape *tape, const void *data, size_t size,
              struct ri_tape_result *out_result)
{
    int rc = ri_tape_write_lent(tape, data, size, out_result);

    give_back(tape);
    return rc;
}

/* --- marks ---------------------------------------------------------------- */

/* There was no room for all of them; those that are there count.  How many they
 * are, the drive has to know: else where it lies, nobody does. */
static void
count_marks(struct ri_tape *tape, uint32_t count)
{
    int64_t from = tape->place.object, at = -1, file;

    tape->full = true;
    (void) tape_port_where(&tape->port, &at);
    if (at < 0 && tape->place.file >= 0) {
        file = tape_port_file(&tape->port);
        at = file >= 0 ? from + file - tape->place.file : -1;
    }
    if (at < 0 && count == 1)
        at = from;
    if (at <= from || at > from + count) {
        take_back(tape, 0);
        if (at != from)
            tape->place = (struct tape_place){ -1, -1, -1, 0 };
        return;
    }
    tape->kept.items[tape->kept.count - 1].objects = (uint64_t) (at - from);
    tape->in_flight = 0;
    tape->mark_owed = false;
    advance_marks(tape, (uint64_t) (at - from));
}

NTSTATUS
session_marks(struct ri_tape *tape, uint32_t count, bool immediate)
{
    NTSTATUS status = STATUS_SUCCESS;
    int tries = 0;

    if (!kept_fits(&tape->kept, 0))
        status = make_room(tape);
    if (NT_SUCCESS(status))
        status = begin_writing(tape);
    if (!NT_SUCCESS(status) || count == 0)
        return status;
    if (!kept_add_marks(&tape->kept, (uint64_t) tape->place.object, count))
        return STATUS_INSUFFICIENT_RESOURCES;
    tape->in_flight = 1;
    first_block(tape, "\x1C", 1);
    status = tape_port_marks(&tape->port, count, immediate);
    if (is_write_loss(status)) {
        status = after_failure(tape, status, &tries);
        immediate = true; /* they are there; whether safely, nobody said */
    }
    if (status == STATUS_EOM_OVERFLOW) {
        count_marks(tape, count);
        return status;
    }
    if (!NT_SUCCESS(status) && status != STATUS_END_OF_MEDIA) {
        take_back(tape, 0);
        return status;
    }
    tape->in_flight = 0;
    tape->mark_owed = false;
    advance_marks(tape, count);
    if (!immediate)
        settled(tape);
    return STATUS_SUCCESS;
}

NTSTATUS
session_finish(struct ri_tape *tape)
{
    NTSTATUS status = STATUS_SUCCESS;

    if (tape->mark_owed)
        status = session_marks(tape, 1, false);
    return NT_SUCCESS(status) ? session_sync(tape) : status;
}

/* --- read ----------------------------------------------------------------- */

/* Two reads at the end of data tell of it, then it is an error. */
static NTSTATUS
at_end_of_data(struct ri_tape *tape, struct ri_tape_result *result)
{
    tape->at_end = true;
    result->end_of_data = true;
    return ++tape->place.ends <= 2 ? STATUS_SUCCESS : STATUS_NO_DATA_DETECTED;
}

static void
passed_mark(struct ri_tape *tape)
{
    struct tape_object mark = { .number = (uint64_t) tape->place.object,
                                .kind = OBJECT_MARK };

    if (tape->place.object >= 0)
        trail_add(&tape->trail, &mark);
    advance_marks(tape, 1);
}

static void
passed_data(struct ri_tape *tape, const void *data, ULONG bytes)
{
    uint32_t block = tape->block_bytes;

    if (bytes == 0)
        return;
    if (tape->place.object >= 0)
        trail_add_data(&tape->trail, (uint64_t) tape->place.object, block, data,
                       bytes);
    advance(tape, block != 0 ? bytes / block : 1);
}

/* Where it is now, nobody has counted. */
static void
count_anew(struct ri_tape *tape)
{
    int64_t at = -1;

    trail_clear(&tape->trail);
    (void) tape_port_where(&tape->port, &at);
    if (tape->place.block >= 0 && at >= 0 && tape->place.object >= 0)
        tape->place.block += at - tape->place.object;
    tape->place.object = at;
}

static NTSTATUS
take_read(struct ri_tape *tape, const void *data, ULONG bytes, size_t size,
          NTSTATUS status, struct ri_tape_result *result)
{
    switch (status) {
    case STATUS_SUCCESS:
        passed_data(tape, data, bytes);
        result->bytes = bytes;
        return status;
    case STATUS_FILEMARK_DETECTED:
        passed_data(tape, data, bytes);
        passed_mark(tape);
        tape->mark_hit = bytes != 0; /* the next read tells of it */
        result->filemark = bytes == 0;
        result->bytes = bytes;
        return STATUS_SUCCESS;
    case STATUS_NO_DATA_DETECTED:
    case STATUS_END_OF_MEDIA:
        passed_data(tape, data, bytes);
        result->bytes = bytes;
        return bytes != 0 ? STATUS_SUCCESS : at_end_of_data(tape, result);
    case STATUS_BUFFER_OVERFLOW:
        trail_clear(&tape->trail);
        advance(tape, 1);
        return status;
    default:
        count_anew(tape);
        return status;
    }
}

static NTSTATUS
read_next(struct ri_tape *tape, void *data, size_t size,
          struct ri_tape_result *result)
{
    ULONG bytes = 0;
    NTSTATUS status, after;
    int tries = 0;

    if (tape->writing) {
        status = session_sync(tape);
        if (!NT_SUCCESS(status))
            return status;
        tape->writing = false;
    }
    if (tape->mark_hit) {
        tape->mark_hit = false;
        result->filemark = true;
        return STATUS_SUCCESS;
    }
    if (tape->place.ends != 0)
        return at_end_of_data(tape, result);
    for (;;) {
        status =
            tape_port_transfer(&tape->port, FALSE, data, (ULONG) size, &bytes);
        if (!tape_status_is_loss(status))
            return take_read(tape, data, bytes, size, status, result);
        after = after_failure(tape, status, &tries);
        if (!NT_SUCCESS(after))
            return after;
    }
}

int
ri_tape_read_lent(struct ri_tape *tape, void *data, size_t size,
                  struct ri_tape_result *out_result)
{
    int rc = begin(tape, out_result);
    NTSTATUS status;

    if (rc != 0)
        return session_end(tape, out_result, session_stopped(tape));
    if (size > RI_TAPE_RECORD_MAX)
        size = RI_TAPE_RECORD_MAX;
    status = session_ready(tape);
    if (NT_SUCCESS(status) && tape->block_bytes != 0 &&
        size % tape->block_bytes != 0)
        status = STATUS_INVALID_PARAMETER;
    if (NT_SUCCESS(status) && size != 0)
        status = read_next(tape, data, size, out_result);
    return session_end(tape, out_result, status);
}

void
ri_tape_give_back(struct ri_tape *tape)
{
    give_back(tape);
}

int
ri_tape_read(struct ri_tape *tape, void *data, size_t size,
             struct ri_tape_result *out_result)
{
    int rc = ri_tape_read_lent(tape, data, size, out_result);

    ri_tape_give_back(tape);
    return rc;
}
