/*
 * tapes.h - tape drives and their sessions, as the rest of the system sees them
 *
 * A unit is a drive that takes tapes; at most one session has it.  A session
 * (struct ri_tape, <reinsert/tape.h>) is what a client holds.  While it needs a
 * tape that is not there it has a question with the prompt broker, under a VPB
 * of its own: whoever is the broker's host passes what it is asked about such a
 * VPB to the tapes_ routines below.
 *
 * Context: PASSIVE_LEVEL, any thread.  Units are made before and freed after
 * all that uses them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TAPES_TAPES_H
#define TAPES_TAPES_H

#include <ntifs.h>

#include <tape.h>

struct tape_unit;

/* --- what sessions need of the rest of the system ------------------------- */

/* Any member may be NULL. */
struct tapes_host {
    void *context;
    /* prompt_arrived, prompt_reason. */
    void (*arrived)(PVPB vpb);
    void (*reason)(PVPB vpb, NTSTATUS status);
    /* One sentence, or "" for what no person has to know; action: "loaded",
     * "gone", "away", "back", "wrong", "changed", "written again", "recovery",
     * "open", "closed". */
    void (*event)(void *context, const char *drive, const char *tape,
                  const char *action, const char *text);
    /* A file of what could not be brought onto its tape was written. */
    void (*kept)(void *context, const char *drive, const char *tape,
                 const char *file, uint64_t bytes, NTSTATUS why);
    /* What the drive complained about last, in words, RI_TEXT_MAX, or "". */
    void (*sense)(void *context, const char *drive, char *out_text);
    /* The session that has this drive asked for another tape (or has found its
     * own in another drive): the tape in it is nobody's any more. */
    void (*released)(void *context, const char *drive);
};

/* Once, before the first unit, when the I/O manager runs; and after the last. */
NTSTATUS tapes_start(const struct tapes_host *host);
void tapes_stop(void);
/* Whatever waits fails with -ESHUTDOWN, and so does what comes later. */
void tapes_shutdown(void);

/* --- drives --------------------------------------------------------------- */

struct tape_unit_config {
    const char *name;           /* of the drive; copied */
    PDEVICE_OBJECT device;      /* top of its stack; outlives the unit */
    uint64_t unflushed_limit;   /* bytes kept per session; 0: each write is
                                 * synchronised before it is acknowledged */
    const char *recovery_dir;   /* "": nothing is kept in files; copied */
    bool real;
    bool here;                  /* plugged into this machine: one that is away
                                 * was unplugged */
};

struct tape_unit *tape_unit_new(const struct tape_unit_config *config);
/* Without a session. */
void tape_unit_free(struct tape_unit *unit);
/*
 * Something was put into this drive or taken out, or may have been: looks, on
 * this thread, unless a session has the drive.  A tape that lies at its
 * beginning is identified.  Sessions that wait are told.  Nobody else may send
 * IOCTL_*_CHECK_VERIFY to the device: it tells a change only once.
 */
void tape_unit_looked(struct tape_unit *unit);
/* What is known, without asking the drive. */
void tape_unit_info(struct tape_unit *unit, struct ri_tape_info *out_info);
/* A session has it: its tape stays, unless the session waits for another. */
bool tape_unit_busy(struct tape_unit *unit);
/* As ri_tape_open. */
int tape_unit_open(struct tape_unit *unit, const struct ri_tape_how *how,
                   struct ri_tape **out_tape, struct ri_error *out_error);
/* The drive that a session has now: it may have found its tape in another. */
void tape_session_drive(struct ri_tape *tape, char *out_drive);

/* --- for the prompt broker's host ----------------------------------------- */

/* What a question is about; may be NULL where that is not wanted.  FALSE: the
 * VPB is no tape session's. */
struct tapes_wanted {
    char tape[RI_NAME_MAX];     /* its name */
    char serial[33], barcode[33];       /* or "" */
    char drive[RI_NAME_MAX];    /* that the session has */
    bool any;                   /* any other tape that can be written */
    bool blank;                 /* ... and holds no data */
};

BOOLEAN tapes_wanted(PVPB vpb, struct tapes_wanted *out_wanted);
void tapes_describe(PVPB vpb, char *out_tape, char *out_drive);
/* In a sentence: "tape T", "a blank tape"; RI_NAME_MAX + 16.  FALSE: the VPB is no
 * tape session's. */
BOOLEAN tapes_subject(PVPB vpb, char *out_subject);
BOOLEAN tapes_needed(PVPB vpb, NTSTATUS status);
BOOLEAN tapes_try_again(PVPB vpb);
BOOLEAN tapes_changed(PVPB vpb);
NTSTATUS tapes_gone(PVPB vpb);
int tapes_use(PVPB vpb);

#endif
