/*
 * sg_own.h - one owner for a drive: who else would take its unit attentions
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STACK_SG_OWN_H
#define STACK_SG_OWN_H

#include "probe/sg_used.h"

/* What to do about a driver of the kernel that has it. */
enum sg_how {
    SG_ALONE,                   /* it is a reason to refuse */
    SG_OWN,                     /* it is taken out of the way */
    SG_SHARE,                   /* it stays, and goes on asking */
};

/* What was taken out of the way, to be put back. */
struct sg_claim {
    const struct sg_roots *roots;
    const char *notes;          /* folder of the file that says so while it is */
    char note[256];             /* ... which has the device's name: a drive of
                                 * another service may be called as ours is */
    int note_fd;                /* locked while we live, or -1 */
    struct sg_found found;
    bool unbound;               /* found.driver had it */
    char poll_ms[16];           /* events_poll_msecs before, or "" */
    bool before;                /* it was ours already: those who look into what
                                 * has just come, as udev does, are no reason */
};

/* Room for what cannot be given back, and the commands that do it. */
#define SG_WHY_MAX 600

/* Opens its block device alone, so that from here until the caller closes it
 * (-1: it has none, or cannot be had) nobody mounts it; -EBUSY: somebody has it
 * so, which may be one of whom no list tells (the second disk of a btrfs, a
 * journal on a disk of its own, a target).  The drive may be asked for a change
 * by that. */
int sg_hold(const struct sg_roots *roots, const struct sg_found *found,
            char *out_text, size_t max, int *out_fd);

/* 0, or -EBUSY: who is the reason that it cannot be ours.  Nothing is opened by
 * this: others wait for a node to be closed, and would try in their turn. */
int sg_refused(const struct sg_claim *claim, const struct sg_found *found,
               enum sg_how how, char *out_text, size_t max);
/*
 * Makes it ours.  SG_OWN: the kernel's drivers and their polling are taken out
 * of the way, noted in a file in `notes`.  SG_SHARE: neither they nor processes
 * that have it open are a reason to refuse; mounts and the like still are, and
 * so is the driver of a tape drive, for its position is nobody's secret.  On
 * success claim->found says what is still bound.  -EBUSY, -EACCES, ...: text
 * says why, and nothing is changed; what was ours is given back.
 */
int sg_claim(struct sg_claim *claim, const struct sg_found *found,
             enum sg_how how, char *out_text, size_t max);
/* Does a driver of the kernel have it, beside us? */
bool sg_is_shared(const struct sg_claim *claim);
/* Puts back what is there to be put back.  Else why that cannot be, and what to
 * do: -ETIMEDOUT: the kernel is at it; nobody waits for it any more, and the note
 * is there, and locked, until it is done. */
int sg_unclaim(struct sg_claim *claim, char *out_text, size_t max);
/* Is there such a file of its device in sysfs?  "": the device. */
bool sg_claim_has(const struct sg_claim *claim, const char *file);
/* The device is gone: there is nothing to put back. */
void sg_forget(struct sg_claim *claim);
/* sg_unclaim for services that were killed: for the notes in a folder whose
 * writer is gone.  How many; text: of one that could not be, or "". */
unsigned sg_restore(const struct sg_roots *roots, const char *folder,
                    char *out_text, size_t max);

/* --- sg_give.c ------------------------------------------------------------------ */

/* To a file of sysfs, in one go: 0, or -errno.  Async-signal-safe.  "": none. */
int sg_write(const char *path, const char *text);
/* 0, or -errno and text.  The note is gone after it, unless it is
 * -ETIMEDOUT: then who has it, and holds it locked, is a process of its own. */
extern unsigned sg_patience_ms;         /* tests have less */
int sg_give_back(const struct sg_claim *claim, char *out_text, size_t max);

#endif
