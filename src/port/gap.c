/*
 * gap.c - could a medium have been exchanged without a word?
 *
 * A drive that announces no change, or is not known to, is believed as long as
 * it is in use: nobody exchanges a medium between two reads or writes that go
 * well and are less than HBA_GAP_MS apart.  After that the next command that is
 * meant for a certain medium has to wait until that was looked at.  Commands
 * that only ask, as polls do, neither are use nor end a doubt.
 *
 *     ... READ good, READ good,  [ TUR good, TUR good, ]  READ: who is there?
 *                              ^ 500 ms and more ^
 *
 * What is left, an exchange that is faster than that, is in docs/real-drives.md.
 *
 * Not for tapes: they cannot be looked at without losing their place.
 *
 * Context: the adapter's thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/hba.h"

#include <scsi.h>

#include "base/clock.h"

void
hba_gap_init(struct hba_gap *gap)
{
    *gap = (struct hba_gap){ .heard_ms = clock_coarse_ms() };
}

/* A medium that is ready need not be the one that was: TEST UNIT READY says
 * nothing. */
static bool
shows_medium(const SCSI_REQUEST_BLOCK *srb)
{
    switch (srb->Cdb[0]) {
    case SCSIOP_READ:
    case SCSIOP_READ12:
    case SCSIOP_READ16:
    case SCSIOP_WRITE:
    case SCSIOP_WRITE12:
    case SCSIOP_WRITE16:
        return true;
    default:
        return false;
    }
}

void
hba_gap_good(struct hba_gap *gap, const SCSI_REQUEST_BLOCK *srb, uint32_t len)
{
    const uint8_t *data = srb->DataBuffer;

    if (shows_medium(srb)) {
        gap->heard_ms = clock_coarse_ms();
    } else if (srb->Cdb[0] == SCSIOP_INQUIRY && !(srb->Cdb[1] & 1) && len > 1) {
        uint8_t type = data[0] & 0x1F;

        gap->watched =
            (data[1] & 0x80) != 0 &&
            (type == DIRECT_ACCESS_DEVICE ||
             type == READ_ONLY_DIRECT_ACCESS_DEVICE || type == OPTICAL_DEVICE);
    }
}

bool
hba_gap_passed(struct hba_gap *gap, const SCSI_REQUEST_BLOCK *srb, bool idle)
{
    if (!gap->watched)
        return false;
    if (idle && clock_coarse_ms() - gap->heard_ms >= HBA_GAP_MS)
        gap->doubt = true;
    if (!gap->doubt || srb->QueueSortKey == 0 ||
        srb->Cdb[0] == SCSIOP_TEST_UNIT_READY)
        return false;
    gap->doubt = false;
    gap->heard_ms = clock_coarse_ms();
    return gap->always || !(srb->SrbFlags & HBA_SRB_ANNOUNCES);
}
