/*
 * decide.h - what a failed request means: a pure function over sense.def
 *
 * No state, no side effect, any thread.  The driver acts on the decision in
 * act.c; whoever wants to explain sense data to a person asks here, too.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLASS_DECIDE_H
#define CLASS_DECIDE_H

#include <ntddk.h>

struct class_sense {
    UCHAR key, asc, ascq;
    BOOLEAN deferred;
    BOOLEAN ili;                /* another block length than asked for */
    BOOLEAN info_valid;
    ULONGLONG info;
};

/* Circumstances that some rows depend on. */
#define CLASS_IF_REMOVABLE    0x0001u
#define CLASS_IF_MOUNTED      0x0002u   /* VPB_MOUNTED */
#define CLASS_IF_VERIFY       0x0004u   /* DO_VERIFY_VOLUME is set */
#define CLASS_IF_SAFE_START   0x0008u   /* START UNIT may be sent */
#define CLASS_IF_LOW_PRIORITY 0x0010u   /* ... but not for this request */
#define CLASS_IF_INSIDE       0x0020u   /* read or write within the capacity */
#define CLASS_IF_SPECIAL      0x0040u   /* 04/00 is cured by START UNIT, too */
#define CLASS_IF_LEGACY       0x0080u   /* hardware errors the old way */

struct class_failure {
    UCHAR srb_status;           /* with its flag bits */
    UCHAR scsi_status;
    NTSTATUS internal_status;   /* for SRB_STATUS_INTERNAL_ERROR */
    const UCHAR *sense;
    ULONG sense_len;
    const UCHAR *cdb;           /* 16 bytes, or NULL */
    ULONG transferred;
    ULONG retry_number;         /* 0: the first attempt failed */
    ULONG circumstances;        /* CLASS_IF_ */
};

/* What the driver does besides completing or retrying. */
#define CLASS_ACT_ATTENTION      0x0001u /* verify flag, media change count */
#define CLASS_ACT_PRESENT        0x0002u
#define CLASS_ACT_NO_MEDIUM      0x0004u
#define CLASS_ACT_UNAVAILABLE    0x0008u
#define CLASS_ACT_START_UNIT     0x0010u
#define CLASS_ACT_COUNT          0x0020u /* error counter of the device */
#define CLASS_ACT_BECOMING_READY 0x0040u
#define CLASS_ACT_OPERATION      0x0080u /* ready when an operation ends */
#define CLASS_ACT_EJECT_REQUEST  0x0100u
#define CLASS_ACT_PREDICTED      0x0200u
#define CLASS_ACT_REENUMERATE    0x0400u

struct class_decision {
    NTSTATUS status;
    BOOLEAN retry;
    ULONG delay_s;              /* before a retry */
    ULONG act;                  /* CLASS_ACT_ */
    NTSTATUS log_code;          /* 0: not logged */
    ULONG log_id;
    BOOLEAN log_retry;          /* a retry hints at a bad link: log the first */
    BOOLEAN sense_valid;
    struct class_sense sense;
    const char *text;           /* a few words: what happened */
    ULONG row;                  /* of the tables, < class_decide_rows */
};

extern const ULONG class_decide_rows;

/* FALSE: no valid sense data. */
BOOLEAN NTAPI class_parse_sense(const UCHAR *sense, ULONG sense_len,
                                struct class_sense *out_sense);

/* Not for SRB_STATUS_SUCCESS. */
VOID NTAPI class_decide(const struct class_failure *failure,
                        struct class_decision *out_decision);

/* What the driver does about it, in words; at most `max` bytes with the NUL. */
void class_decision_text(const struct class_decision *decision, char *out,
                         size_t max);

#endif
