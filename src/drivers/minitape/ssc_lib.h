/*
 * ssc_lib.h - what the minitape drivers share: a drive that keeps to SSC
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MINITAPE_SSC_LIB_H
#define MINITAPE_SSC_LIB_H

#include <minitape.h>

#define SSC_MEDIA_TYPES 2       /* data, cleaning */

/* The extension of a minitape driver. */
struct ssc {
    BOOLEAN ultrium;            /* the product says so; else by density */
};

/* Of one request; zeroed for each. */
struct ssc_command {
    ULONG step;
    ULONG want;
    UCHAR granularity;          /* blocks are multiples of 2 to this power */
    ULONG shortest, longest;
    UCHAR mode[64];             /* MODE SENSE data to be sent back */
    ULONG mode_len;
};

/* The routines of TAPE_INIT_DATA_EX, for drives that keep to the standard. */
void ssc_fill(PTAPE_INIT_DATA_EX data);

/* One row of a table of sense data that a vendor has instead of the standard's:
 * put in their place, before anybody looks at them. */
struct ssc_quirk {
    UCHAR key, asc, ascq;
    UCHAR to_key, to_asc, to_ascq;
};

void ssc_translate(PSCSI_REQUEST_BLOCK srb, const struct ssc_quirk *rows,
                   ULONG count);

/* --- building commands ------------------------------------------------------- */

void ssc_cdb(PSCSI_REQUEST_BLOCK srb, UCHAR len, UCHAR opcode);
void ssc_put(UCHAR *at, ULONGLONG value, ULONG bytes);
ULONGLONG ssc_get(const UCHAR *at, ULONG bytes);
/* MODE SENSE(6) of a page, into a fresh buffer. */
TAPE_STATUS ssc_mode_sense(PSCSI_REQUEST_BLOCK srb, UCHAR page);
/* The page in what it answered, with `bytes` of it there; NULL: it is not. */
const UCHAR *ssc_mode_page(const SCSI_REQUEST_BLOCK *srb, UCHAR page,
                           ULONG bytes);

/* Seconds that motions may take. */
#define SSC_REWIND_S 600
#define SSC_SPACE_S  3600
#define SSC_ERASE_S  18000
#define SSC_LOAD_S   600

#define SSC_ROUTINE(name)                                                     \
    TAPE_STATUS NTAPI name(PVOID MinitapeExtension, PVOID CommandExtension,   \
                           PVOID CommandParameters, PSCSI_REQUEST_BLOCK Srb,  \
                           ULONG CallNumber, TAPE_STATUS StatusOfLastCommand, \
                           PULONG RetryFlags)

/* ssc_move.c */
SSC_ROUTINE(ssc_erase);
SSC_ROUTINE(ssc_prepare);
SSC_ROUTINE(ssc_write_marks);
SSC_ROUTINE(ssc_get_position);
SSC_ROUTINE(ssc_set_position);
SSC_ROUTINE(ssc_create_partition);

#endif
