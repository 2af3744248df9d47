/*
 * sense.h - key, ASC and ASCQ of sense data of either format
 *
 * Written against the WDK headers alone, like the drivers themselves.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FDO_SENSE_H
#define FDO_SENSE_H

#include <srb.h>

struct fdo_sense {
    UCHAR key, asc, ascq;
    BOOLEAN deferred;           /* it is an earlier command's */
};

/* FALSE: the SRB has no valid sense data, and nothing was read of them.  Bytes
 * behind the end of short ones count as 0. */
FORCEINLINE BOOLEAN
fdo_sense_of(const SCSI_REQUEST_BLOCK *srb, struct fdo_sense *out_sense)
{
    const UCHAR *sense = srb->SenseInfoBuffer;
    ULONG len = srb->SenseInfoBufferLength;
    UCHAR code;

    if (!(srb->SrbStatus & SRB_STATUS_AUTOSENSE_VALID) || sense == NULL ||
        len < 4)
        return FALSE;
    code = sense[0] & 0x7f;
    out_sense->deferred = code == 0x71 || code == 0x73;
    if (code == 0x72 || code == 0x73) {
        out_sense->key = sense[1] & 0x0f;
        out_sense->asc = sense[2];
        out_sense->ascq = sense[3];
        return TRUE;
    }
    if (len < 8)
        return FALSE;
    if (len > 8u + sense[7])
        len = 8u + sense[7];
    out_sense->key = sense[2] & 0x0f;
    out_sense->asc = len > 12 ? sense[12] : 0;
    out_sense->ascq = len > 13 ? sense[13] : 0;
    return TRUE;
}

#endif
