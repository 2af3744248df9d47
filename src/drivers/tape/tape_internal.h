/*
 * tape_internal.h - the class driver's files among themselves
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TAPE_TAPE_INTERNAL_H
#define TAPE_TAPE_INTERNAL_H

#include <ntifs.h>

#include <classpnp.h>
#include <minitape.h>

#include "fdo/fdo.h"

#define TAPE_TAG 0x65705452 /* 'RTpe' */

/* What unit attentions have told and nobody acted upon yet. */
#define NEWS_CHANGED  0x1       /* for check-verify */
#define NEWS_LENGTH   0x2       /* the block size may be another */
#define NEWS_CLEANING 0x4       /* the drive asks for it */

/*
 * In the device extension behind its documented part; the minitape driver's own
 * bytes follow.  `lost`, `calm`, `news` and `open` are atomic, the rest is
 * behind `turn`, which a request holds from its first command to its last.
 *
 * The position is known while `lost` is 0 and the media change count is `key`:
 * every command that depends on it is bound to that count, so that the port
 * refuses it once anything has happened to the drive, whoever was told.
 */
struct tape_data {
    struct fdo_data fdo;        /* first: see fdo.h */
    const TAPE_INIT_DATA_EX *mini;      /* the driver's copy */
    PVOID mini_ext;
    BOOLEAN ready;              /* ExtensionInit has run */
    LONG open;                  /* 1: somebody has it */
    LONG news;                  /* NEWS_ */
    LONG lost;                  /* TAPE_STATUS of those who depend on it */
    LONG calm;                  /* unit attentions that moved nothing, since key */
    KEVENT turn;                /* signalled: nobody's */
    ULONG key;
    BOOLEAN told;               /* the one with the handle knows that it is lost */
    BOOLEAN moved;              /* away from the beginning */
    BOOLEAN dirty;              /* written, and no mark or flush since */
    BOOLEAN limits_known, length_known;
    ULONG block_bytes;          /* 0: of any length */
    ULONG shortest, longest;    /* of a block; 0: not known */
    ULONGLONG capacity;         /* bytes; 0: not known */
    ULONGLONG written;          /* bytes since the beginning of the tape */
    ULONGLONG allowance;        /* bytes that may follow an early warning */
    BOOLEAN warned;
};

#define TAPE_DATA_BYTES ((sizeof(struct tape_data) + 15) & ~15u)

FORCEINLINE struct tape_data *
tape_of(PDEVICE_OBJECT fdo)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;

    return (struct tape_data *) (ext + 1);
}

/* --- sense.c: pure ---------------------------------------------------------- */

struct tape_meaning {
    TAPE_STATUS tape;
    NTSTATUS status;            /* what it becomes, unless TapeError objects */
    ULONG bytes;                /* moved */
    BOOLEAN attention;
    BOOLEAN harmless;           /* an attention that tells of no motion */
    BOOLEAN changed;            /* another medium, perhaps */
    BOOLEAN lost;               /* nobody knows where the tape is */
    BOOLEAN cleaning;
    BOOLEAN missing;            /* of a READ: less came than was read */
    ULONG record;               /* ... of one block: so long it is; 0: it did
                                 * not end with a block */
};

/* Of a command that did not simply succeed; `length` bytes were asked for. */
void tapedrv_judge(const SCSI_REQUEST_BLOCK *srb, ULONG length,
                struct tape_meaning *out_meaning);
/* Commands that move the tape or write on it. */
BOOLEAN tapedrv_is_motion(const SCSI_REQUEST_BLOCK *srb);
NTSTATUS tapedrv_nt_status(TAPE_STATUS tape);

/* --- command.c -------------------------------------------------------------- */

/* What a request needs of the position. */
enum tape_place {
    PLACE_ANY,                  /* nothing */
    PLACE_KNOWN,                /* it must be known */
    PLACE_SETS,                 /* known when it has succeeded */
};

/* What counts may lie behind other descriptors; SENSE_BUFFER_SIZE has room for
 * fixed sense data alone. */
#define TAPE_SENSE_BYTES 64

/* One request's commands.  The SRB is first: minitape drivers have it. */
struct tape_request {
    SCSI_REQUEST_BLOCK srb;
    PDEVICE_OBJECT fdo;
    struct tape_data *data;
    ULONG key;                  /* media change count + 1; 0: not bound */
    PVOID buffer;               /* of TapeClassAllocateSrbBuffer */
    ULONG room;
    BOOLEAN fresh;              /* allocated in this call */
    struct tape_meaning last;   /* of the last command that failed */
    BOOLEAN failed;             /* there was one */
    UCHAR sense[TAPE_SENSE_BYTES];
};

CLASS_ERROR tapedrv_error;
/* PASSIVE.  One request at a time. */
void tapedrv_begin(struct tape_data *data);
void tapedrv_end(struct tape_data *data);
/* Behind turn.  STATUS_SUCCESS: known; else what the request fails with. */
NTSTATUS tapedrv_place_check(PDEVICE_OBJECT fdo);
void tapedrv_place_set(PDEVICE_OBJECT fdo, ULONG key);
/* Behind turn.  Runs a routine of the minitape driver to its end. */
NTSTATUS tapedrv_run(PDEVICE_OBJECT fdo, TAPE_PROCESS_COMMAND_ROUTINE routine,
                  PVOID parameters, enum tape_place place);
/* Behind turn.  Sends the request's SRB, `again` times more if it fails. */
TAPE_STATUS tapedrv_send(struct tape_request *request, PVOID data, ULONG len,
                      BOOLEAN to_device, ULONG again);
void tapedrv_request_init(struct tape_request *request, PDEVICE_OBJECT fdo,
                       enum tape_place place);
/* Behind turn.  TEST UNIT READY, once. */
NTSTATUS tapedrv_test_ready(PDEVICE_OBJECT fdo, struct tape_meaning *out_meaning);
/* Behind turn.  What was written is on the tape after it. */
NTSTATUS tapedrv_flush(PDEVICE_OBJECT fdo);

/* --- the rest --------------------------------------------------------------- */

CLASS_DEVICE_CONTROL tapedrv_control;
CLASS_READ_WRITE tapedrv_read_write;
CLASS_SHUTDOWN_FLUSH tapedrv_shutdown_flush;
/* PASSIVE, behind turn.  Takes the unit attentions of before; says of the
 * position what is left of it. */
void tapedrv_settle(PDEVICE_OBJECT fdo);
/* Completes; Information goes along whatever the status. */
NTSTATUS tapedrv_complete(PDEVICE_OBJECT fdo, PIRP irp, NTSTATUS status,
                       ULONG_PTR information);

#endif
