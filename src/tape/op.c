/*
 * op.c - the operations of <sys/mtio.h>, and what MTIOCGET tells
 *
 * Files and blocks are counted as st(4) counts them: -1 where nobody knows.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapes/tapes_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"

#define HARD_TRIES 2
#define COUNT_MAX  0x7FFFFF /* what a drive counts in one command */

/* What an operation needs, and what has to be done with what was written. */
enum {
    FINISH = 1,   /* a filemark behind it, and all on the tape */
    SYNC = 2,     /* all on the tape */
    ABSOLUTE = 4, /* it needs no place */
    WRITES = 8,
    NO_TAPE = 16, /* it is about the drive */
};

struct op {
    short mt;
    int needs;
    NTSTATUS(*run)
    (struct ri_tape *tape, int64_t count, struct ri_tape_result *result);
    const char *commands; /* of the drive, that it takes; or NULL */
};

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
static void
count_files(struct ri_tape *tape, int64_t from, int64_t count, int sign,
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
    count_files(tape, from, count, sign, result);
    tell(tape, status, result);
    return status;
}

static NTSTATUS
op_fsf(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    return space_files(tape, count, 1, result);
}

static NTSTATUS
op_bsf(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    return space_files(tape, count, -1, result);
}

static NTSTATUS
op_fsfm(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    NTSTATUS status = space_files(tape, count, 1, result);

    return NT_SUCCESS(status) ? space_files(tape, 1, -1, result) : status;
}

static NTSTATUS
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

static NTSTATUS
op_fsr(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    return space_blocks(tape, count, 1, result);
}

static NTSTATUS
op_bsr(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    return space_blocks(tape, count, -1, result);
}

static NTSTATUS
op_rewind(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    NTSTATUS status = move(tape, TAPE_REWIND, 0);

    (void) count;
    (void) result;
    if (NT_SUCCESS(status))
        session_placed(tape, 0, 0, 0);
    return status;
}

static NTSTATUS
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

static NTSTATUS
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

/* --- writing -------------------------------------------------------------- */

static NTSTATUS
write_marks(struct ri_tape *tape, int64_t count, bool immediate,
            struct ri_tape_result *result)
{
    int64_t from = tape->place.file;
    NTSTATUS status;

    if (count < 0 || count > COUNT_MAX)
        return STATUS_INVALID_PARAMETER;
    if (count == 0)
        return session_sync(tape);
    status = session_marks(tape, (uint32_t) count, immediate);
    if (NT_SUCCESS(status))
        result->left = 0;
    else
        count_files(tape, from, count, 1, result);
    result->end_of_tape = status == STATUS_EOM_OVERFLOW;
    return status;
}

static NTSTATUS
op_weof(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    return write_marks(tape, count, false, result);
}

static NTSTATUS
op_weofi(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    return write_marks(tape, count, true, result);
}

static NTSTATUS
op_erase(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    NTSTATUS status;
    int tries = 0;
    KIRQL irql;

    (void) result;
    for (;;) {
        status = tape_port_erase(&tape->port, count != 0);
        if (!tape_status_is_loss(status) ||
            (status == STATUS_IO_DEVICE_ERROR && ++tries > HARD_TRIES))
            break;
        status = place_recover(tape, status);
        if (!NT_SUCCESS(status))
            return status;
    }
    if (NT_SUCCESS(status) && tape->place.object == 0) {
        KeAcquireSpinLock(&tapes.lock, &irql);
        identity_first_block(&tape->identity, NULL, 0);
        KeReleaseSpinLock(&tapes.lock, irql);
    }
    return status;
}

/* --- load, unload, lock --------------------------------------------------- */

static void
no_tape(struct ri_tape *tape)
{
    KIRQL irql;

    unit_forgets(tape->unit);
    KeAcquireSpinLock(&tapes.lock, &irql);
    memset(&tape->identity, 0, sizeof tape->identity);
    KeReleaseSpinLock(&tapes.lock, irql);
    session_placed(tape, -1, -1, -1);
    session_set_state(tape, SESSION_EMPTY);
}

static NTSTATUS
op_unload(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    NTSTATUS status;

    (void) count;
    (void) result;
    /* Who keeps a ledger learns what is on it while it is known. */
    if (tape->state == SESSION_READY) {
        unit_knows(tape->unit, &tape->identity, &tape->place);
        tapes_event(tape->unit, &tape->identity, "closed", "%s", "");
    }
    status = tape_port_prepare(&tape->port, TAPE_UNLOAD);
    if (status == STATUS_NO_MEDIA_IN_DEVICE)
        status = STATUS_SUCCESS; /* somebody was faster */
    if (NT_SUCCESS(status)) {
        no_tape(tape);
        unit_said(tape->unit, tape_port_ready(&tape->port));
    }
    return status;
}

static NTSTATUS
op_load(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    NTSTATUS status = tape_port_prepare(&tape->port, TAPE_LOAD);

    (void) count;
    (void) result;
    if (!NT_SUCCESS(status))
        return status;
    if (tape->state == SESSION_EMPTY)
        return session_take_tape(tape);
    session_placed(tape, 0, 0, 0);
    return status;
}

static NTSTATUS
op_retension(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    NTSTATUS status = tape_port_prepare(&tape->port, TAPE_TENSION);

    (void) count;
    (void) result;
    if (NT_SUCCESS(status))
        session_placed(tape, 0, 0, 0);
    return status;
}

static NTSTATUS
op_lock(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    (void) count;
    (void) result;
    return tape_port_prepare(&tape->port, TAPE_LOCK);
}

static NTSTATUS
op_unlock(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    (void) count;
    (void) result;
    return tape_port_prepare(&tape->port, TAPE_UNLOCK);
}

/* --- the drive's parameters ----------------------------------------------- */

static NTSTATUS
op_block(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    NTSTATUS status;

    (void) result;
    if (count < 0 || count > RI_TAPE_RECORD_MAX)
        return STATUS_INVALID_PARAMETER;
    status = tape_port_set_block(&tape->port, (ULONG) count);
    if (status == STATUS_INVALID_DEVICE_REQUEST)
        status = STATUS_INVALID_PARAMETER; /* a size that it does not have */
    if (!NT_SUCCESS(status))
        return status;
    tape->block_bytes = (uint32_t) count;
    /* Blocks are read in another way now: the place is learnt anew. */
    trail_clear(&tape->trail);
    tape->writing = false;
    return status;
}

static NTSTATUS
op_density(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    (void) result;
    if (count < 0 || count > 0xFF)
        return STATUS_INVALID_PARAMETER;
    return tape_port_mode(&tape->port, (int) count, -1);
}

/* The drive's own buffering, 0 to 7; what st(4) keeps above that (options,
 * thresholds, time limits) there is none of here. */
static NTSTATUS
op_buffering(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    (void) result;
    if (count < 0 || count > 7)
        return STATUS_NOT_IMPLEMENTED;
    return tape_port_mode(&tape->port, -1, (int) count);
}

static NTSTATUS
op_compression(struct ri_tape *tape, int64_t count,
               struct ri_tape_result *result)
{
    NTSTATUS status = tape_port_compression(&tape->port, count != 0);

    (void) result;
    if (NT_SUCCESS(status))
        tape->compression = count != 0;
    return status;
}

static NTSTATUS
op_nothing(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    (void) tape;
    (void) count;
    (void) result;
    return STATUS_SUCCESS;
}

/* A tape has one partition here. */
static NTSTATUS
op_partition(struct ri_tape *tape, int64_t count, struct ri_tape_result *result)
{
    (void) tape;
    (void) count;
    (void) result;
    return STATUS_INVALID_PARAMETER;
}

/* --- the table ------------------------------------------------------------ */

static const struct op ops[] = {
    { MTFSF, SYNC, op_fsf, "SPACE" },
    { MTBSF, FINISH, op_bsf, "SPACE" },
    { MTFSR, SYNC, op_fsr, "SPACE" },
    { MTBSR, SYNC, op_bsr, "SPACE" },
    { MTWEOF, WRITES, op_weof },
    { MTWEOFI, WRITES, op_weofi },
    { MTREW, FINISH | ABSOLUTE, op_rewind },
    { MTOFFL, FINISH | ABSOLUTE, op_unload },
    { MTUNLOAD, FINISH | ABSOLUTE, op_unload },
    { MTLOAD, FINISH | NO_TAPE, op_load },
    { MTRETEN, FINISH | ABSOLUTE, op_retension },
    { MTBSFM, FINISH, op_bsfm, "SPACE" },
    { MTFSFM, SYNC, op_fsfm, "SPACE" },
    { MTEOM, SYNC | ABSOLUTE, op_end, "SPACE to the end of data" },
    { MTERASE, SYNC | WRITES, op_erase, "ERASE" },
    { MTSEEK, FINISH | ABSOLUTE, op_seek, "LOCATE, and SPACE instead of it" },
    { MTSETBLK, SYNC | NO_TAPE, op_block },
    { MTSETDENSITY, SYNC | NO_TAPE, op_density },
    { MTSETDRVBUFFER, SYNC | NO_TAPE, op_buffering },
    { MTCOMPRESSION, SYNC | NO_TAPE, op_compression },
    { MTLOCK, NO_TAPE, op_lock },
    { MTUNLOCK, NO_TAPE, op_unlock },
    { MTNOP, NO_TAPE, op_nothing },
    { MTSETPART, NO_TAPE, op_partition },
    { MTMKPART, NO_TAPE, op_partition },
};

static const struct op *
op_for(int mt)
{
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (ops[i].mt == mt)
            return &ops[i];
    return NULL;
}

/* A session that has no place goes to the beginning first, where it sees which
 * tape it is: only then anywhere else. */
static NTSTATUS
from_nowhere(struct ri_tape *tape)
{
    if (tape->how.fail_without) {
        session_set_state(tape, SESSION_EMPTY);
        return session_take_tape(tape);
    }
    session_set_state(tape, SESSION_LOST);
    session_placed(tape, 0, 0, 0);
    return place_recover(tape, STATUS_VERIFY_REQUIRED);
}

/* What was written, if anything was. */
static NTSTATUS
prepare(struct ri_tape *tape, const struct op *op, int64_t *count)
{
    bool owed = tape->mark_owed;
    NTSTATUS status = STATUS_SUCCESS;

    if (op->needs & FINISH)
        status = session_finish(tape);
    else if (op->needs & SYNC)
        status = session_sync(tape);
    /* The mark that was just written is not one of those that are meant. */
    if (owed && (op->mt == MTBSF || op->mt == MTBSFM))
        ++*count;
    if (NT_SUCCESS(status) && !(op->needs & (WRITES | NO_TAPE)))
        tape->writing = false;
    return status;
}

static NTSTATUS
run_op(struct ri_tape *tape, const struct op *op, int64_t count,
       struct ri_tape_result *result)
{
    NTSTATUS status;

    if (op->needs & WRITES && !tape->how.write)
        return STATUS_MEDIA_WRITE_PROTECTED;
    if (op->needs & NO_TAPE && tape->state == SESSION_EMPTY)
        return op->run(tape, count, result);
    status = tape->state == SESSION_ADRIFT && op->needs & ABSOLUTE
                 ? from_nowhere(tape)
                 : session_ready(tape);
    if (!NT_SUCCESS(status))
        return status;
    status = prepare(tape, op, &count);
    if (NT_SUCCESS(status))
        status = op->run(tape, count, result);
    /* Not done, for the drive had other news: once more. */
    for (int i = 0;
         i < HARD_TRIES && tape->state == SESSION_READY &&
         status != STATUS_IO_DEVICE_ERROR && tape_status_is_loss(status);
         i++) {
        status = place_recover(tape, status);
        if (NT_SUCCESS(status))
            status = op->run(tape, count, result);
    }
    return status;
}

/* As many as an mt_count may be; a place may be farther away. */
static bool
is_count(int mt_op, int64_t count)
{
    return mt_op == MTSEEK ? count >= 0
                           : count >= INT32_MIN && count <= INT32_MAX;
}

/* What it would take. */
static void
say_what_it_lacks(const struct ri_tape *tape, const struct op *op,
                  struct ri_tape_result *result)
{
    if (op->commands != NULL)
        snprintf(result->text, sizeof result->text,
                 "drive %s: it cannot do that: it lacks or refuses %s",
                 tape->unit->name, op->commands);
}

/* What ends a motion early is an error of it. */
int
ri_tape_op(struct ri_tape *tape, int mt_op, int64_t count,
           struct ri_tape_result *out_result)
{
    const struct op *op = op_for(mt_op);
    int rc = session_begin(tape, out_result);
    NTSTATUS status;

    if (rc != 0)
        return session_end(tape, out_result,
                           rc == -ESHUTDOWN ? STATUS_SYSTEM_SHUTDOWN
                                            : STATUS_CANCELLED);
    if (op == NULL)
        status = STATUS_NOT_IMPLEMENTED;
    else if (!is_count(mt_op, count))
        status = STATUS_INVALID_PARAMETER;
    else
        status = run_op(tape, op, count, out_result);
    if (op != NULL && tape_status_is_refusal(status))
        say_what_it_lacks(tape, op, out_result);
    return session_end(tape, out_result, status);
}

/* --- another tape --------------------------------------------------------- */

static NTSTATUS
next_tape(struct ri_tape *tape, const char *next, bool blank)
{
    struct ri_tape_result unused;
    struct tape_identity had = tape->identity;
    NTSTATUS status = STATUS_SUCCESS;

    if (tape->state != SESSION_EMPTY) {
        status = tape->state == SESSION_ADRIFT ? from_nowhere(tape)
                                               : session_ready(tape);
        if (NT_SUCCESS(status))
            status = session_finish(tape);
        if (NT_SUCCESS(status))
            status = op_unload(tape, 1, &unused);
        if (!NT_SUCCESS(status))
            return status;
    }
    if (tape->wanted == WANTED_SAME) /* else this one was asked for before */
        tape->refused = had;
    tape->wanted = next[0] != '\0' ? WANTED_NAMED : WANTED_ANY;
    snprintf(tape->how.tape, sizeof tape->how.tape, "%s", next);
    tape->blank_only = blank;
    if (tapes.host.released != NULL)
        tapes.host.released(tapes.host.context, tape->unit->name);
    session_set_state(tape, SESSION_RETURNING);
    status = session_wait(tape, STATUS_NO_MEDIA_IN_DEVICE);
    if (!NT_SUCCESS(status) && tape->state != SESSION_EMPTY)
        session_set_state(tape, SESSION_EMPTY);
    return status;
}

int
ri_tape_next(struct ri_tape *tape, const char *next, bool blank,
             struct ri_tape_result *out_result)
{
    int rc = session_begin(tape, out_result);

    if (rc != 0)
        return session_end(tape, out_result,
                           rc == -ESHUTDOWN ? STATUS_SYSTEM_SHUTDOWN
                                            : STATUS_CANCELLED);
    return session_end(tape, out_result, next_tape(tape, next, blank));
}

/* --- MTIOCGET ------------------------------------------------------------- */

static long
general_status(const struct ri_tape *tape, bool online, bool protected)
{
    long bits = 0;

    if (!online)
        return GMT_DR_OPEN(~0L);
    bits |= GMT_ONLINE(~0L);
    if (tape->place.object == 0)
        bits |= GMT_BOT(~0L);
    if (tape->after_mark || tape->mark_hit ||
        (tape->place.file > 0 && tape->place.block == 0))
        bits |= GMT_EOF(~0L);
    if (tape->at_end)
        bits |= GMT_EOD(~0L);
    if (tape->full)
        bits |= GMT_EOT(~0L);
    if (protected)
        bits |= GMT_WR_PROT(~0L);
    return bits;
}

/* Does not wait: something may have happened to the tape, and the next command
 * looks into it. */
static bool
is_online(struct ri_tape *tape)
{
    NTSTATUS status = tape_port_ready(&tape->port);

    unit_said(tape->unit, status);
    if (tape->state == SESSION_EMPTY && NT_SUCCESS(status))
        (void) session_take_tape(tape);
    if (tape->state == SESSION_READY && !NT_SUCCESS(status) &&
        tape_status_is_loss(status)) {
        unit_forgets(tape->unit);
        if (tape->place.object >= 0 && !tape->how.fail_without)
            session_set_state(tape, SESSION_LOST);
        else
            place_give_up(tape, status);
    }
    return NT_SUCCESS(status) || status == STATUS_VERIFY_REQUIRED;
}

int
ri_tape_status(struct ri_tape *tape, struct mtget *out_get,
               struct mtpos *out_pos, struct ri_tape_info *out_info)
{
    struct ri_tape_result unused;
    struct ri_tape_info info;
    bool online;
    int rc = session_begin(tape, &unused);

    if (rc != 0)
        return session_end(tape, &unused, STATUS_CANCELLED), rc;
    online = is_online(tape);
    if (tape->state == SESSION_READY)
        unit_learns_media(tape->unit, &tape->port);
    (void) session_end(tape, &unused, STATUS_SUCCESS);
    tape_unit_info(tape->unit, &info);
    if (out_get != NULL) {
        memset(out_get, 0, sizeof *out_get);
        out_get->mt_type = MT_ISSCSI2;
        out_get->mt_dsreg = (tape->block_bytes & MT_ST_BLKSIZE_MASK) |
                            (online ? (long) tape_port_density(&tape->port)
                                          << MT_ST_DENSITY_SHIFT
                                    : 0);
        out_get->mt_gstat = general_status(tape, online, info.write_protected);
        out_get->mt_fileno = (int) tape->place.file;
        out_get->mt_blkno = (int) tape->place.block;
    }
    if (out_pos != NULL)
        out_pos->mt_blkno = tape->no_locate && tape->place.object > UINT32_MAX
                                ? -1
                                : (long) tape->place.object;
    if (out_info != NULL)
        *out_info = info;
    return 0;
}
