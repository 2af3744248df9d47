/*
 * op.c - the operations of <sys/mtio.h>: which there are, what each needs; those
 *        that do not move the tape to a place (op_move.c)
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
    tape_op_fn *run;
    const char *commands; /* of the drive, that it takes; or NULL */
};

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
        op_count_files(tape, from, count, 1, result);
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
