/*
 * op_move.c - operations of <sys/mtio.h> that go to another place of the tape
 *
 * Files and blocks are counted as st(4) counts them: -1 where nobody knows.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapes/tapes_internal.h"

#define HARD_TRIES 2

/* --- moving --------------------------------------------------------------- */

/* A drive without LOCATE is led there. */
static NTSTATUS
move_once(struct ri_tape *tape, ULONG method, int64_t offset)
{
    NTSTATUS status = tape_port_move(&tape->port, method, offset);

    if (method != TAPE_LOGICAL_BLOCK || !tape_status_is_refusal(status))
        return status;
    tape->no_locate = true;
    return place_walk(tape, (uint64_t) offset);
}

/* Sent again after the tape is back at the place that it starts from. */
static NTSTATUS
move(struct ri_tape *tape, ULONG method, int64_t offset)
{
    NTSTATUS status, after;
    int tries = 0;

    for (;;) {
        status = move_once(tape, method, offset);
        if (!tape_status_is_loss(status) ||
            (status == STATUS_IO_DEVICE_ERROR && ++tries > HARD_TRIES))
            return status;
        after = place_recover(tape, status);
        if (!NT_SUCCESS(after))
            return after;
    }
}

/* After a motion that was not simply done: where is it? */
static void
find_out(struct ri_tape *tape, int64_t file, int64_t block)
{
    int64_t at = -1, known = file;

    if (tape->state != SESSION_READY)
        return;
    (void) tape_port_where(&tape->port, &at);
    if (known < 0)
        known = tape_port_file(&tape->port);
    if (at < 0 && known >= 0 && block >= 0) {
        /* A number of our own, to count from; it is sent to nobody. */
        at = known << 32 | block;
        tape->no_locate = true;
    }
    if (at == 0)
        known = block = 0;
    session_placed(tape, at, known, block);
}

static void
tell(struct ri_tape *tape, NTSTATUS status, struct ri_tape_result *result)
{
    result->filemark = status == STATUS_FILEMARK_DETECTED;
    result->end_of_data = status == STATUS_NO_DATA_DETECTED;
    if (tape->state != SESSION_READY)
        return;
    tape->at_end = result->end_of_data;
    tape->after_mark = result->filemark;
}

/* How far it came: by the files before the place, where the drive tells. */
void
op_count_files(struct ri_tape *tape, int64_t from, int64_t count, int sign,
               struct ri_tape_result *result)
{
    int64_t done = (tape->place.file - from) * sign;

    result->left = count;
    if (from >= 0 && tape->place.file >= 0 && done >= 0 && done <= count)
        result->left = count - done;
}

static NTSTATUS
space_files(struct ri_tape *tape, int64_t count, int sign,
            struct ri_tape_result *result)
{
    int64_t from = tape->place.file, to;
    NTSTATUS status;

    if (count < 0)
        return space_files(tape, -count, -sign, result);
    if (count == 0)
        return STATUS_SUCCESS;
    status = move(tape, TAPE_SPACE_FILEMARKS, sign * count);
    if (NT_SUCCESS(status)) {
        to = from >= 0 ? from + sign * count : -1;
        find_out(tape, to, sign > 0 ? 0 : -1);
        tape->after_mark = sign > 0;
        return status;
    }
    find_out(tape, -1, -1);
    op_count_files(tape, from, count, sign, result);
    tell(tape, status, result);
    return status;
}

NTSTATUS
op_fsf(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    return space_files(tape, count, 1, result);
}

NTSTATUS
op_bsf(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    return space_files(tape, count, -1, result);
}

NTSTATUS
op_fsfm(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    NTSTATUS status = space_files(tape, count, 1, result);

    return NT_SUCCESS(status) ? space_files(tape, 1, -1, result) : status;
}

NTSTATUS
op_bsfm(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    NTSTATUS status = space_files(tape, count, -1, result);

    return NT_SUCCESS(status) ? space_files(tape, 1, 1, result) : status;
}

/* One that tells no place may count marks as blocks (tgt): whether it has passed
 * some, nobody knows, but so many objects they are. */
static void
find_out_uncounted(struct ri_tape *tape, const struct tape_place *from,
                   int64_t passed)
{
    tape->place = (struct tape_place){ -1, -1, -1, 0 };
    tape->no_locate = true;
    if (passed != 0 && from->object >= 0 && from->object <= UINT32_MAX)
        tape->place.object = from->object + passed;
}

/* One that counts nothing may have come to the end of the data by the last
 * block that was meant, and says no more of it: is it so? */
static NTSTATUS
end_exactly(struct ri_tape *tape, int64_t object)
{
    int64_t at = -1;

    if (!NT_SUCCESS(tape_port_where(&tape->port, &at)) || at >= 0)
        return STATUS_NO_DATA_DETECTED;
    return place_walk(tape, (uint64_t) object);
}

/* Objects tell how many blocks were passed, whatever stopped it. */
static NTSTATUS
space_blocks(struct ri_tape *tape, int64_t count, int sign,
             struct ri_tape_result *result)
{
    struct tape_place from = tape->place;
    bool mark;
    int64_t done, block, file = from.file;
    NTSTATUS status;

    if (count < 0)
        return space_blocks(tape, -count, -sign, result);
    if (count == 0)
        return STATUS_SUCCESS;
    status = move(tape, TAPE_SPACE_RELATIVE_BLOCKS, sign * count);
    if (NT_SUCCESS(status) && sign < 0 && from.object >= 0 &&
        from.object < count)
        status = STATUS_BEGINNING_OF_MEDIA; /* tgt does not say so */
    if (status == STATUS_NO_DATA_DETECTED && from.object >= 0 &&
        from.object <= UINT32_MAX)
        status = end_exactly(tape, from.object + count);
    mark = status == STATUS_FILEMARK_DETECTED;
    if (mark && file >= 0)
        file += sign;
    find_out(tape, file, -1);
    done = (tape->place.object - from.object) * sign - mark;
    if (tape->place.object < 0 || from.object < 0 || done < 0 || done > count)
        done = NT_SUCCESS(status) ? count : 0;
    block = from.block >= 0 ? from.block + sign * done : -1;
    if (mark)
        block = sign > 0 ? 0 : -1;
    if (tape->place.object < 0 && !mark && tape->state == SESSION_READY)
        find_out_uncounted(tape, &from, NT_SUCCESS(status) ? sign * count : 0);
    else if (tape->place.object != 0 && tape->state == SESSION_READY)
        tape->place.block = block;
    result->left = count - done;
    tell(tape, status, result);
    return status;
}

NTSTATUS
op_fsr(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    return space_blocks(tape, count, 1, result);
}

NTSTATUS
op_bsr(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    return space_blocks(tape, count, -1, result);
}

NTSTATUS
op_rewind(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    NTSTATUS status = move(tape, TAPE_REWIND, 0);

    (void) count;
    (void) result;
    if (NT_SUCCESS(status))
        session_placed(tape, 0, 0, 0);
    return status;
}

NTSTATUS
op_end(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    NTSTATUS status = move(tape, TAPE_SPACE_END_OF_DATA, 0);

    (void) count;
    find_out(tape, -1, -1);
    tell(tape, status, result);
    if (NT_SUCCESS(status))
        tape->at_end = true;
    return status;
}

NTSTATUS
op_seek(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    NTSTATUS status = move(tape, TAPE_LOGICAL_BLOCK, count);

    if (NT_SUCCESS(status))
        session_placed(tape, count, count == 0 ? 0 : -1, count == 0 ? 0 : -1);
    else
        find_out(tape, -1, -1);
    tell(tape, status, result);
    return status;
}
