/*
 * status.c - what MTIOCGET and MTIOCPOS tell of a session
 *
 * Files and blocks are counted as st(4) counts them: -1 where nobody knows.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapes/tapes_internal.h"

#include <string.h>

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
