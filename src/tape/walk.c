/*
 * walk.c - going to a place of the tape, and reading what lies there
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapes/tapes_internal.h"

#include <stdlib.h>

#define STEP_MAX 0x7FFFFF /* what a drive counts in one command */

/* --- objects read --------------------------------------------------------- */

bool
place_scratch(struct ri_tape *tape, size_t bytes)
{
    uint8_t *more;

    if (tape->scratch_bytes >= bytes)
        return true;
    more = realloc(tape->scratch, bytes);
    if (more == NULL)
        return false;
    tape->scratch = more;
    tape->scratch_bytes = bytes;
    return true;
}

/* The next object; no success: there is none, or the drive has something else
 * to say. */
NTSTATUS
place_read(struct ri_tape *tape, uint32_t room, struct tape_object *out)
{
    uint32_t want = tape->block_bytes != 0 ? tape->block_bytes : room;
    ULONG bytes = 0;
    NTSTATUS status;

    if (want == 0)
        want = 1;
    if (!place_scratch(tape, want))
        return STATUS_INSUFFICIENT_RESOURCES;
    status =
        tape_port_transfer(&tape->port, FALSE, tape->scratch, want, &bytes);
    out->kind = OBJECT_BLOCK;
    out->length = bytes;
    out->room = 0;
    out->hash = 0;
    out->lent = NULL;
    switch (status) {
    case STATUS_SUCCESS:
        break;
    case STATUS_BUFFER_OVERFLOW:
        out->room = want;
        break;
    case STATUS_FILEMARK_DETECTED:
        out->kind = OBJECT_MARK;
        out->length = 0;
        return STATUS_SUCCESS;
    case STATUS_INVALID_BLOCK_LENGTH:
        out->kind = OBJECT_BAD;
        out->length = 0;
        return STATUS_SUCCESS;
    default:
        return status;
    }
    out->hash = block_hash(tape->scratch, bytes);
    return STATUS_SUCCESS;
}

/* --- going there ---------------------------------------------------------- */

/* The place that everything is counted from: of a writer the last safe one. */
const struct tape_place *
place_anchor(const struct ri_tape *tape)
{
    return tape->writing ? &tape->safe_place : &tape->place;
}

/* One block on.  A drive that comes to the end of the data by the last one says
 * so, as if there had been none (tgt, which counts nothing): it lies there. */
static NTSTATUS
pass_block(struct ri_tape *tape, bool last)
{
    NTSTATUS status =
        tape_port_move(&tape->port, TAPE_SPACE_RELATIVE_BLOCKS, 1);
    int64_t at = 0;

    if (status != STATUS_NO_DATA_DETECTED || !last)
        return status;
    (void) tape_port_where(&tape->port, &at);
    return at < 0 ? STATUS_SUCCESS : status;
}

/* ... or one mark. */
static NTSTATUS
pass_object(struct ri_tape *tape, bool last)
{
    NTSTATUS status = pass_block(tape, last);

    return status == STATUS_FILEMARK_DETECTED ? STATUS_SUCCESS : status;
}

/*
 * Behind so many objects, all of which are blocks, or some of which were marks:
 * one that stops at a mark, as a drive should, says where that was; else it is
 * led over them one by one.  One that counts marks as blocks (tgt) passes them
 * without a word, and comes to the same place.
 */
static NTSTATUS
pass_objects(struct ri_tape *tape, int64_t *done, int64_t end, int64_t most)
{
    int64_t left = end - *done - 1, step = left < most ? left : most, at = -1;
    NTSTATUS status;

    if (step <= 1) {
        status = pass_object(tape, left == 0);
        *done += NT_SUCCESS(status);
        return status;
    }
    status = tape_port_move(&tape->port, TAPE_SPACE_RELATIVE_BLOCKS, step);
    if (status == STATUS_FILEMARK_DETECTED) {
        status = tape_port_where(&tape->port, &at);
        if (at <= *done || at > *done + step)
            return NT_SUCCESS(status) || !tape_status_is_loss(status)
                       ? STATUS_FILEMARK_DETECTED
                       : status;
        *done = at;
        return STATUS_SUCCESS;
    }
    if (NT_SUCCESS(status))
        *done += step;
    return status;
}

NTSTATUS
place_walk(struct ri_tape *tape, uint64_t object)
{
    int64_t most = STEP_MAX, done = 0;
    NTSTATUS status = tape_port_move(&tape->port, TAPE_REWIND, 0);

    while (NT_SUCCESS(status) && done < (int64_t) object) {
        status = pass_objects(tape, &done, (int64_t) object, most);
        if (status != STATUS_FILEMARK_DETECTED)
            continue;
        most = 1; /* it is behind a mark, and does not tell which */
        done = 0;
        status = tape_port_move(&tape->port, TAPE_REWIND, 0);
    }
    return status;
}

/* By files and blocks from the beginning, as before there was LOCATE. */
static NTSTATUS
walk_to(struct ri_tape *tape, uint64_t object)
{
    const struct tape_place *from = place_anchor(tape);
    int64_t way = (int64_t) object - from->object, block = from->block;
    NTSTATUS status;

    if (from->object >= 0 && from->object <= UINT32_MAX &&
        (from->file < 0 || block < 0 || block + way < 0))
        return place_walk(tape, object);
    if (from->object < 0 || from->file < 0 || block < 0 || block + way < 0)
        return STATUS_FILE_INVALID;
    if (way < 0)
        block += way;
    status = tape_port_move(&tape->port, TAPE_REWIND, 0);
    if (NT_SUCCESS(status))
        status = tape_port_move(&tape->port, TAPE_SPACE_FILEMARKS, from->file);
    if (NT_SUCCESS(status) && block > 1)
        status =
            tape_port_move(&tape->port, TAPE_SPACE_RELATIVE_BLOCKS, block - 1);
    if (NT_SUCCESS(status) && block > 0)
        status = pass_block(tape, way <= 0);
    for (; way > 0 && NT_SUCCESS(status); way--)
        status = pass_object(tape, way == 1);
    return status;
}

NTSTATUS
place_go_to(struct ri_tape *tape, uint64_t object)
{
    NTSTATUS status;

    if (tape->no_locate)
        return walk_to(tape, object);
    status = tape_port_move(&tape->port, TAPE_LOGICAL_BLOCK, (LONGLONG) object);
    if (!tape_status_is_refusal(status))
        return status;
    tape->no_locate = true;
    return walk_to(tape, object);
}
