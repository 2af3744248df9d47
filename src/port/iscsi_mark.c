/*
 * iscsi_mark.c - a read of which less came than its target says
 *
 * libiscsi puts data into the buffer and does not count them; a target that says
 * GOOD and tells no residual is believed by it, and what did not come is whatever
 * the buffer held before.  So the end of every 4 KiB of a read, and its very
 * end, get eight bytes beforehand that are others each time; where they are
 * still there afterwards nothing came.  Whatever overwrites one of them goes
 * unnoticed: less than eight bytes at an end, or a gap between two.
 *
 * Context: the session's seat.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/iscsi.h"

#include <string.h>

#define PIECE_BYTES 4096u

/* Those that bring all that was asked for when they go well.  Not of tapes: a
 * record is as long as it is, and is not read a second time. */
static bool
is_whole(const SCSI_REQUEST_BLOCK *srb)
{
    if (!(srb->SrbFlags & SRB_FLAGS_DATA_IN))
        return false;
    switch (srb->Cdb[0]) {
    case SCSIOP_READ:
    case SCSIOP_READ12:
    case SCSIOP_READ16:
        return srb->DataTransferLength >= sizeof(uint64_t);
    default:
        return false;
    }
}

/* Where the next piece of so many bytes ends. */
static uint32_t
piece_end(uint32_t at, uint32_t len)
{
    return len - at > PIECE_BYTES ? at + PIECE_BYTES : len;
}

void
iscsi_mark(struct iscsi_command *command)
{
    const SCSI_REQUEST_BLOCK *srb = command->request->srb;
    uint32_t len = srb->DataTransferLength;
    uint8_t *data = srb->DataBuffer;

    command->mark = 0;
    if (!is_whole(srb))
        return;
    /* Should a medium have just these bytes, it has not the next ones. */
    command->unit->mark += UINT64_C(0x9E3779B97F4A7C15);
    command->mark = command->unit->mark | 1;
    for (uint32_t end = 0; end < len;) {
        end = piece_end(end, len);
        memcpy(data + end - sizeof command->mark, &command->mark,
               sizeof command->mark);
    }
}

bool
iscsi_mark_is_left(const struct iscsi_command *command, uint32_t came)
{
    const SCSI_REQUEST_BLOCK *srb = command->request->srb;
    uint32_t len = srb->DataTransferLength;
    const uint8_t *data = srb->DataBuffer;

    if (command->mark == 0)
        return false;
    for (uint32_t end = 0; end < len;) {
        end = piece_end(end, len);
        if (end <= came && memcmp(data + end - sizeof command->mark,
                                  &command->mark, sizeof command->mark) == 0)
            return true;
    }
    return false;
}
