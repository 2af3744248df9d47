/*
 * examine.h - what a drive can be trusted for, found out without writing to it
 *
 * The report is an object: `device`, `link`, `identity` (as look_at has it),
 * `findings` (an array of `name`, `verdict`, `text`, `clause`, `sense`),
 * `speed`, `seen` (guided: what the drive said, when), `believe` (in words),
 * `options` (lines for a configuration).  Verdicts: "good", "absent" (it may
 * lack that), "note", "wrong" (the standard demands otherwise; `clause`).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROBE_EXAMINE_H
#define PROBE_EXAMINE_H

#include <jansson.h>

#include "probe/link.h"

struct examine_host {
    void *context;
    /* What is being done, a few words; may be NULL. */
    void (*progress)(void *context, const char *what);
    /* Guided: a person is to do this now; a sentence. */
    void (*ask)(void *context, const char *what);
    /* ... says that it is done (or cannot be), though the drive told nothing. */
    bool (*says_done)(void *context);
    unsigned limit_ms;          /* for each; then it goes on by itself */
};

struct examination {
    const struct link *link;
    const struct examine_host *host;
    json_t *report;
};

json_t *examine(const char *device, const struct link *link,
                const struct examine_host *host, bool guided);

/* guided.c */
void examine_guided(struct examination *e);
/* To `findings`; clause and cdb (for its sense) may be NULL. */
void finding(struct examination *e, const char *name, const char *verdict,
             const char *clause, const struct cdb *cdb, const char *format,
             ...) __attribute__((format(printf, 6, 7)));
void examine_progress(struct examination *e, const char *what);
/* "2/3A/00", "GOOD", "no answer", "status 18" */
void answer_text(const struct cdb *cdb, char *out_text, size_t max);
/* 8 bytes; TRUE: it knows the command. */
bool examine_gesn(const struct link *link, uint8_t *out_reply,
                  struct cdb *out_cdb);
struct cdb examine_prevent(const struct link *link, bool on);
bool is_cdrom(const struct examination *e);

#endif
