/*
 * ledger.h - what is remembered of a library over restarts (SQLite)
 *
 * Cartridges with their labels, homes, places, volumes, uses and errors;
 * drives; which cartridge failed in which drive; and the journal of motions.
 *
 * The cartridges are in memory as well: `ledger_cartridges`.  Whoever holds
 * the library's turn is the only writer; he changes a record under
 * library.lock, and stores it afterwards without it.  Functions return 0 or
 * -errno, with a sentence in ledger_error.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef JUKEBOX_LEDGER_H
#define JUKEBOX_LEDGER_H

#include "jukebox/library.h"

/* SMC type codes, which ntddchgr.h shares; 0: not in the library. */
struct place {
    uint8_t type;
    uint32_t index; /* from 0 among its type */
};

#define PLACE_AWAY ((struct place){ 0, 0 })

struct cartridge {
    int64_t id;
    char barcode[33]; /* or "" */
    struct place place;
    uint32_t home; /* slot from 1, 0: unknown */
    enum ri_home home_from;
    struct library_volume volume; /* identity "": not known */
    uint32_t uses, errors, cleanings;
    bool cleaning, expired, marked;
    uint64_t loaded_ms; /* wall clock, 0: not in a drive */
    bool duplicate;     /* another one here has the same label; not stored */
    bool seen;          /* scratch of settle.c */
    bool dirty;         /* differs from what is stored */
};

struct ledger_drive {
    uint32_t uses, errors;
    bool aside;
    int64_t good; /* the last motion whose cartridge worked in it */
    bool dirty;
};

enum motion_kind { MOTION_MOVE = 1, MOTION_EXCHANGE };

struct motion {
    int64_t id; /* in the journal; 0: not written */
    enum motion_kind kind;
    struct place source, destination, second;
    int64_t cartridge, other; /* ids, or 0; other: out of destination */
};

struct ledger;

int ledger_open(const char *path, unsigned drives, struct ledger **out_ledger,
                char *out_text, size_t text_max);
void ledger_close(struct ledger *ledger);
const char *ledger_error(const struct ledger *ledger);

/* Stable until the next ledger_add or ledger_forget. */
struct cartridge **ledger_cartridges(struct ledger *ledger, size_t *out_count);
struct cartridge *ledger_by_id(struct ledger *ledger, int64_t id);
/* A new one, with only its id.  NULL: no memory. */
struct cartridge *ledger_add(struct ledger *ledger);
/* In memory at once; on disk with the next that is stored. */
void ledger_forget(struct ledger *ledger, struct cartridge *cartridge);
struct ledger_drive *ledger_drive(struct ledger *ledger, unsigned drive);

/* All that is dirty, in one transaction. */
int ledger_store(struct ledger *ledger);

/* The intent, safely on disk when this returns. */
int ledger_intend(struct ledger *ledger, struct motion *motion);
/* Its outcome ("moved", "not moved", ...) with all that is dirty. */
int ledger_outcome(struct ledger *ledger, const struct motion *motion,
                   const char *outcome);
/* The motion that has an intent and no outcome; -ENOENT: none. */
int ledger_open_motion(struct ledger *ledger, struct motion *out_motion);

/* The motion's cartridge failed in the drive.  In how many drives it has failed
 * since it last worked in one, and how many cartridges have failed in this
 * drive since one last worked. */
int ledger_failed(struct ledger *ledger, const struct motion *motion,
                  unsigned drive, unsigned *out_drives,
                  unsigned *out_cartridges);
/* It worked: neither has failed. */
int ledger_worked(struct ledger *ledger, const struct motion *motion,
                  unsigned drive);

#endif
