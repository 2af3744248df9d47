/*
 * examine.h - what a drive can be trusted for, found out without writing to it
 *
 * The report is an object: `device`, `link`, `identity` (as look_at has it),
 * `findings` (an array of `name`, `verdict`, `text`, `clause`, `answer`),
 * `speed`, `seen` (guided: what the drive said, when), `believe` (in words),
 * `options` (lines for a configuration), `ended` ("", or why the examination
 * ended early, in words).  Verdicts: "good", "absent" (it may lack that),
 * "note", "wrong" (the standard demands otherwise; `clause`), "unknown" (it
 * could not be asked, or gave no answer that tells).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROBE_EXAMINE_H
#define PROBE_EXAMINE_H

#include <jansson.h>

#include "probe/link.h"
#include "probe/look.h"

/* What a person says of a step. */
enum said { SAID_NOTHING, SAID_DONE, SAID_CANNOT };

struct examine_host {
    void *context;
    /* What is being done, a few words; may be NULL. */
    void (*progress)(void *context, const char *what);
    /* Guided: a person is to do this now; a sentence. */
    void (*ask)(void *context, const char *what);
    /* ... says that it is done, or that it cannot be. */
    enum said (*says)(void *context);
    unsigned limit_ms;          /* for each; then it goes on by itself */
    unsigned busy_ms;           /* before a busy drive is asked again */
    /* True: end soon, and leave nothing locked; may be NULL. */
    bool (*stopped)(void *context);
    const char *held_by;        /* somebody else has it, too; NULL or "" */
    const char *polled;         /* the kernel's driver asks it for changes: the
                                 * file that stops that; NULL or "" */
};

/* Commands in a row without an answer, after which it is left alone. */
#define SILENT_MAX 2

struct examination {
    const struct link *link;
    const struct examine_host *host;
    json_t *report;
    uint8_t inquiry[36];
    int inquiry_len;            /* < 0: there is none */
    unsigned silent;            /* commands in a row that were not answered */
    bool locked;                /* by us */
    bool too_much;              /* it sent more than was asked for: was said */
    bool no_medium;             /* it says so */
};

json_t *examine(const char *device, const struct link *link,
                const struct examine_host *host, bool guided);

/* --- for the files of an examination ------------------------------------------- */

/* What an answer tells of whether a drive knows a command. */
enum reply {
    REPLY_GOOD,
    REPLY_NOT,                  /* ILLEGAL REQUEST: it does not know it */
    REPLY_UNKNOWN,              /* not ready, busy, reserved, no answer, ... */
};

/* "does not know", or "refuses": it knows the command, and not this use of it. */
const char *does_not(const struct cdb *cdb);
/* Past unit attentions and a busy drive.  After the examination is over (it was
 * stopped, or the drive is silent) nothing is sent: REPLY_UNKNOWN. */
enum reply examine_send(struct examination *e, struct cdb *cdb);
bool examine_is_over(const struct examination *e);
/* To `findings`; clause and cdb (for its answer) may be NULL. */
void finding(struct examination *e, const char *name, const char *verdict,
             const char *clause, const struct cdb *cdb, const char *format,
             ...) __attribute__((format(printf, 6, 7)));
/* "unknown", with what kept it from being found out. */
void finding_unknown(struct examination *e, const char *name,
                     const struct cdb *cdb);
void examine_progress(struct examination *e, const char *what);
/* "2/3A/00", "GOOD", "BUSY", "no answer" */
void answer_text(const struct cdb *cdb, char *out_text, size_t max);
/* 8 bytes. */
enum reply examine_gesn(struct examination *e, uint8_t *out_reply,
                        struct cdb *out_cdb);
struct cdb examine_prevent(struct examination *e, bool on);
const char *prevent_clause(const struct examination *e);
/* Takes our PREVENT back, whatever else is over. */
void examine_unlock(struct examination *e);
/* A field of `identity`; NULL before. */
const char *identity_text(const struct examination *e, const char *field);
/* RMB of its INQUIRY data. */
bool is_removable(const struct examination *e);
/* look_type's word. */
bool is_type(const struct examination *e, const char *type);
/* What of the medium is in the standards of disks and CDs. */
bool has_blocks(const struct examination *e);

/* identity.c; the first command that it sends is the first of all */
void examine_identity(struct examination *e);
/* medium.c */
void examine_medium(struct examination *e);
/* believe.c */
void examine_believe(struct examination *e, const char *device);
/* guided.c */
void examine_guided(struct examination *e);

#endif
