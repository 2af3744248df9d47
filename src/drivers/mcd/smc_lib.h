/*
 * smc_lib.h - what the miniclass drivers of SCSI media changers share
 *
 * A miniclass driver is one file: its table of routines, its profile, and what
 * its robot means by some sense data.  The rest is here: what an SMC device
 * can do (smc_facts.c), reading its elements (smc_parse.c, smc_read.c), moving
 * media (smc_motion.c), the requests that need little (smc_query.c).  Written
 * against the WDK headers alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MCD_SMC_LIB_H
#define MCD_SMC_LIB_H

#include <mcd.h>

#include "fdo/sense.h"

#define SMC_KINDS 5 /* ELEMENT_TYPE up to ChangerDrive; 0 is none */

/* Seconds; a device that recommends more gets more. */
#define SMC_QUICK_S     60
#define SMC_ACCESS_S    120
#define SMC_MOVE_S      600
#define SMC_EXCHANGE_S  1200
#define SMC_INVENTORY_S 3600

struct smc_range {
    USHORT first, count;        /* device addresses */
};

/* What one model or family does otherwise. */
struct smc_profile {
    ULONG features0, features1; /* besides what is found out */
    ULONG not_features0;        /* never */
    USHORT doors;
    USHORT magazine;            /* slots in one; 0: none can be taken out */
    UCHAR range_opcode;         /* of INITIALIZE WITH RANGE, if the device
                                 * cannot be asked; 0: none */
    BOOLEAN emulate_exchange;   /* by moves, if the device has no command */
};

/* What a vendor's sense data mean.  Key 0x100, ASC 0x100, ASCQ 0x100: any. */
struct smc_sense_row {
    const char *vendor;         /* as INQUIRY begins; NULL: any */
    USHORT key, asc, ascq;
    NTSTATUS status;
    BOOLEAN retry;              /* it was not carried out: again */
};

/* What the device said when it was asked, and what follows from that. */
struct smc_facts {
    CHANGER_PRODUCT_DATA product;
    struct smc_range range[SMC_KINDS];
    LONG cleaner;               /* of the slots, from 0; -1: none */
    GET_CHANGER_PARAMETERS parameters;
    UCHAR range_opcode;         /* 0x37, 0xE7; 0: not known to it */
    BOOLEAN native_exchange;
    BOOLEAN native_tags;        /* SEND VOLUME TAG */
    BOOLEAN reader;             /* labels can be read */
    BOOLEAN two_sided;
    ULONG move_s, exchange_s, inventory_s;
};

/* What it refuses, as was learnt: kept until the next start. */
#define SMC_NO_DVCID   0x1
#define SMC_NO_CURDATA 0x2
#define SMC_NO_VOLTAG  0x4

/* The miniclass driver's extension. */
struct smc {
    const struct smc_profile *profile;
    KSPIN_LOCK lock;            /* of facts */
    struct smc_facts facts;
    LONG refused;               /* SMC_NO_, atomic */
    LONG lost;                  /* bits of Features0, atomic */
    LONG room;                  /* bytes it takes as allocation length */
    LONG descriptor[SMC_KINDS]; /* bytes of the longest seen */
    ULONG locked;               /* 1 << ELEMENT_TYPE: one motion at a time */
};

FORCEINLINE struct smc *
smc_of(PDEVICE_OBJECT fdo)
{
    PCOMMON_DEVICE_EXTENSION common = fdo->DeviceExtension;

    return common->DriverData;
}

FORCEINLINE ULONG
smc_be16(const UCHAR *from)
{
    return (ULONG) from[0] << 8 | from[1];
}

FORCEINLINE ULONG
smc_be24(const UCHAR *from)
{
    return (ULONG) from[0] << 16 | smc_be16(from + 1);
}

FORCEINLINE VOID
smc_put16(PUCHAR to, ULONG value)
{
    to[0] = (UCHAR) (value >> 8);
    to[1] = (UCHAR) value;
}

/* --- one command (smc_facts.c) --------------------------------------------- */

struct smc_command {
    UCHAR cdb[16];
    UCHAR cdb_len;
    BOOLEAN to_device;
    PVOID data;                 /* nonpaged */
    ULONG len;
    ULONG timeout_s;
    /* the answer */
    ULONG moved;                /* bytes, at most len */
    BOOLEAN sense_valid;
    struct fdo_sense sense;
};

NTSTATUS smc_send(PDEVICE_OBJECT fdo, struct smc_command *command);
/* The device refused the command, or a field of it. */
BOOLEAN smc_refused(const struct smc_command *command, UCHAR asc);
/* Takes away what a refusal disproves. */
void smc_lose(struct smc *smc, ULONG features0);

/* --- a miniclass driver's routines (smc_query.c) ---------------------------- */

/* All but ChangerInitialize and ChangerError, which need tables. */
void smc_fill(PMCD_INIT_DATA data);

/* --- facts (smc_facts.c) --------------------------------------------------- */

/* PASSIVE.  Asks the device what it is and can; a ChangerInitialize. */
NTSTATUS smc_initialize(PDEVICE_OBJECT fdo, const struct smc_profile *profile);
void smc_facts_of(struct smc *smc, struct smc_facts *out_facts);
/* The parameters, less what was lost. */
void smc_parameters_of(struct smc *smc, PGET_CHANGER_PARAMETERS out);

/* Number of elements, as programs count them. */
ULONG smc_count(const struct smc_facts *facts, ELEMENT_TYPE type);
/* STATUS_ILLEGAL_ELEMENT_ADDRESS: there is no such element. */
NTSTATUS smc_to_device(const struct smc_facts *facts,
                       const CHANGER_ELEMENT *element, USHORT *out_address);
/* FALSE: the address is in no range, or is the cleaner's. */
BOOLEAN smc_from_device(const struct smc_facts *facts, USHORT address,
                        CHANGER_ELEMENT *out_element);

/* Replies; pure.  `len` bytes came.  FALSE: there is no such page. */
BOOLEAN smc_find_page(const UCHAR *reply, ULONG len, BOOLEAN ten, UCHAR page,
                      const UCHAR **out_page, ULONG *out_bytes);
NTSTATUS smc_parse_addresses(const UCHAR *page, ULONG bytes,
                             struct smc_range range[SMC_KINDS]);
void smc_parse_capabilities(const UCHAR *page, ULONG bytes,
                            PGET_CHANGER_PARAMETERS parameters);

/* --- element status: parsing (smc_parse.c) --------------------------------- */

enum smc_seen {
    SMC_UNSEEN,
    SMC_CUT,                    /* only its beginning came */
    SMC_WHOLE,
};

/* Elements of one type, by device address. */
struct smc_run {
    const struct smc_facts *facts;
    ELEMENT_TYPE type;
    ULONG first, count;
    BOOLEAN tags;               /* wanted */
    BOOLEAN identified;         /* DVCID was asked for */
    BOOLEAN identity_only;      /* the rest is known already */
    UCHAR *seen;                /* enum smc_seen, one each */
    PCHANGER_ELEMENT_STATUS_EX status;
    /* of the last reply */
    ULONG fresh;                /* elements that were not whole before */
    ULONG descriptor;           /* bytes, the longest */
    ULONG reported;             /* bytes that the device has, after the header */
    BOOLEAN labels;             /* it has labels in it */
};

/* Pure.  STATUS_DEVICE_DATA_ERROR: no element status data. */
NTSTATUS smc_parse(struct smc_run *run, const UCHAR *reply, ULONG len);
/* All blank, or all NUL. */
BOOLEAN smc_is_blank(const UCHAR *text, ULONG len);

/* --- element status: reading (smc_read.c) ----------------------------------- */

/*
 * PASSIVE.  Elements of one type, `count` from `element` on as programs count,
 * into `out`.  Those that the device does not report say so: exception
 * ERROR_UNHANDLED_ERROR.
 */
NTSTATUS smc_read(PDEVICE_OBJECT fdo, const struct smc_facts *facts,
                  const CHANGER_ELEMENT *element, ULONG count, BOOLEAN tags,
                  BOOLEAN identify, PCHANGER_ELEMENT_STATUS_EX out);
/* The same by device address, the cleaner's slot too. */
NTSTATUS smc_read_run(PDEVICE_OBJECT fdo, struct smc_run *run);
/* Whether labels come with element status: asks for one slot's. */
BOOLEAN smc_reads_labels(PDEVICE_OBJECT fdo, const struct smc_facts *facts);

/* --- requests: CHANGER_COMMAND_ROUTINEs ------------------------------------- */

/* smc_read.c */
NTSTATUS NTAPI smc_get_element_status(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS NTAPI smc_query_volume_tags(PDEVICE_OBJECT fdo, PIRP irp);
/* smc_motion.c */
NTSTATUS NTAPI smc_move_medium(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS NTAPI smc_exchange_medium(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS NTAPI smc_set_position(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS NTAPI smc_reinitialize_unit(PDEVICE_OBJECT fdo, PIRP irp);
/* smc_query.c */
NTSTATUS NTAPI smc_get_parameters(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS NTAPI smc_get_status(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS NTAPI smc_get_product_data(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS NTAPI smc_set_access(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS NTAPI smc_initialize_element_status(PDEVICE_OBJECT fdo, PIRP irp);
/* Of a ChangerError: the first row that matches has its way. */
void smc_error(PDEVICE_OBJECT fdo, PSCSI_REQUEST_BLOCK srb,
               const struct smc_sense_row *rows, ULONG count,
               NTSTATUS *status, BOOLEAN *retry);

#endif
