/*
 * tape.h - tapes: a drive that one client has open, record by record
 *
 * Part of the embedding API; the rules at the head of reinsert.h hold.  A tape
 * session is what an export is for disks: it stays alive while its tape is
 * away, asks for the right one, refuses another, and goes on at the place
 * where it was.  Its words are those of <sys/mtio.h> and st(4): an operation
 * is an MT code with a count, its status a struct mtget.
 *
 * The calls of one session may come from any thread, one at a time; each
 * blocks until it is done, and as long as a question stands.  ri_tape_cancel
 * may come from any other thread.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef REINSERT_TAPE_H
#define REINSERT_TAPE_H

#include <sys/mtio.h>

#include "reinsert.h"

#ifndef MTWEOFI
#define MTWEOFI 35              /* as MTWEOF, and does not wait; newer Linux */
#endif

#define RI_TAPE_RECORD_MAX (16u << 20)  /* bytes; the drive may take less */

struct ri_tape;                 /* an open session: one per drive */

/* --- what there is ---------------------------------------------------------- */

struct ri_tape_info {
    char drive[RI_NAME_MAX];
    char state[32];             /* "ready", "empty", "open", "not ready", ... */
    char tape[RI_NAME_MAX];     /* name of the tape in it, or "" */
    char serial[33];            /* of the cartridge (MAM), or "" */
    char barcode[33];           /* ... or "" */
    char format[32];            /* of its first block: "ANSI", "Bacula",
                                 * "LTFS", "tar", "unknown", "blank", or ""
                                 * when nobody has looked yet */
    char label[RI_NAME_MAX];    /* volume name of that format, or "" */
    char sense[RI_TEXT_MAX];    /* last sense, in words, or "" */
    uint64_t age_ms;            /* since the drive last answered */
    uint64_t capacity_bytes, remaining_bytes;   /* 0: it does not say */
    uint64_t unflushed_bytes;   /* written, not yet on the tape for certain */
    uint32_t unflushed_blocks;
    int64_t file, block;        /* as struct mtget; -1: not known */
    bool write_protected;
    bool cleaning_wanted;
    bool open;                  /* somebody has a session */
    bool waiting;               /* ... that waits for its tape */
    bool real;
};

/* A snapshot of all tape drives, freed with free(). */
int ri_tapes(struct ri_service *service, struct ri_tape_info **out_list,
             size_t *out_count);

/* --- a session ---------------------------------------------------------------- */

struct ri_tape_how {
    bool write;                 /* -EROFS at once when that cannot be */
    bool no_tape_needed;        /* as O_NONBLOCK: the drive may be empty */
    bool rewind_at_close;
    bool fail_without;          /* a missing or wrong tape is an error, nobody
                                 * is asked: as a plain tape drive */
    char tape[RI_NAME_MAX];     /* the tape that is meant: its name, serial or
                                 * bar code; "": whatever is in the drive now */
};

/* How a call ended. */
struct ri_tape_result {
    size_t bytes;               /* read or written: one record, or in fixed
                                 * block mode a number of whole blocks */
    int64_t left;               /* MT operations: of the count, not done */
    uint32_t status;            /* NTSTATUS of the class driver, or 0 */
    bool filemark;              /* a read or space ended at one */
    bool end_of_data;           /* ... at the end of what is recorded */
    bool early_warning;         /* written, but the end of the tape is near */
    bool end_of_tape;           /* not written: the tape is full */
    bool beginning;             /* it lies at the beginning of the tape */
    char text[RI_TEXT_MAX];     /* what went wrong, in words, or "" */
};

/* -ENODEV: no such tape drive.  -EBUSY: somebody has it.  -ENOMEDIUM.  -EROFS.
 * -EMEDIUMTYPE: another tape than how->tape (with fail_without). */
int ri_tape_open(struct ri_service *service, const char *drive,
                 const struct ri_tape_how *how, struct ri_tape **out_tape,
                 struct ri_error *out_error);
/* After a write a filemark is put behind it and all is flushed; then rewound
 * when that was asked for.  The session is gone whatever is returned. */
int ri_tape_close(struct ri_tape *tape, struct ri_tape_result *out_result);

/*
 * Errors are those of st(4): 0 with bytes 0 at a filemark and at the end of
 * data; -ENOMEM: the record is longer than `size` (it is passed over);
 * -ENOSPC: end of the tape, nothing was written; -EIO: also when the place is
 * not known; -EROFS; -EINVAL: not a multiple of the block size; -ENOMEDIUM;
 * -ECANCELED: the question was answered with cancel; -EINTR; -ESHUTDOWN.
 *
 * Behind the early warning of the end a write goes on to be carried out, with
 * early_warning set, until the tape is full.
 */
int ri_tape_read(struct ri_tape *tape, void *data, size_t size,
                 struct ri_tape_result *out_result);
int ri_tape_write(struct ri_tape *tape, const void *data, size_t size,
                  struct ri_tape_result *out_result);
/*
 * The same for records in a row.  Their data have to stay as they are until
 * ri_tape_give_back, or until any call of the session but these two: the last
 * few records are remembered, to find the place again, and those before them
 * cost nothing then; what was written is copied only if the drive has not put
 * it on the tape by then.
 */
int ri_tape_read_lent(struct ri_tape *tape, void *data, size_t size,
                      struct ri_tape_result *out_result);
int ri_tape_write_lent(struct ri_tape *tape, const void *data, size_t size,
                       struct ri_tape_result *out_result);
void ri_tape_give_back(struct ri_tape *tape);
/* MTRESET to MTMKPART of <sys/mtio.h>, those that the drive has; -ENOSYS. */
int ri_tape_op(struct ri_tape *tape, int mt_op, int64_t count,
               struct ri_tape_result *out_result);
/* As MTIOCGET, with mt_type MT_ISSCSI2, and MTIOCPOS. */
int ri_tape_status(struct ri_tape *tape, struct mtget *out_get,
                   struct mtpos *out_pos, struct ri_tape_info *out_info);
/* Another tape of a set: what is written is flushed (with a filemark), the tape
 * unloaded, and `next` asked for (its name, serial or bar code; "": any other
 * one that is not write protected and, if `blank`, holds no data).  The robot
 * or a person brings it; it lies at its beginning then. */
int ri_tape_next(struct ri_tape *tape, const char *next, bool blank,
                 struct ri_tape_result *out_result);
/*
 * Called before a call of the session waits for its tape, or looks for its place
 * again, which may take long: on that call's thread, at any time in it, once or
 * more.  Of the session it may call ri_tape_give_back alone.  NULL: nobody.
 */
void ri_tape_before_waits(struct ri_tape *tape, void (*waits)(void *context),
                          void *context);
/* The call that is under way, and each later one, fails with -ECANCELED. */
void ri_tape_cancel(struct ri_tape *tape);
/* The call that is under way fails with -EINTR if it waits for its tape, or as
 * soon as it does; never in the middle of something that the drive does.  No
 * effect when none is under way.  The session goes on: the next call asks
 * again. */
void ri_tape_interrupt(struct ri_tape *tape);

#endif
