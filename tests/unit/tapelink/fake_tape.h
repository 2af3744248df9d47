/*
 * fake_tape.h - a stand-in for the tape sessions of a service, for tests of
 * what stands above them: one drive "tape0" with a tape in memory
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAKE_TAPE_H
#define FAKE_TAPE_H

#include <stdbool.h>

#include <tape.h>

#define FAKE_RECORDS 4096
#define FAKE_BYTES   (8u << 20) /* of all records */

/* Set before use; all zero is a tape of the whole room. */
extern struct fake_tape {
    unsigned warning;           /* early warning from this record on, 0: none */
    unsigned full;              /* this many records are all, 0: FAKE_RECORDS */
    unsigned away;              /* this record waits until interrupted,
                                 * cancelled, or fake_tape_return; 0: none */
    bool slow_close;            /* closing waits for fake_tape_return */
    /* what was seen; read it with fake_tape_count */
    unsigned opened, closed, interrupted, cancelled, waiting, ops, nexts;
    unsigned given_back;        /* records that were lent, of them ... */
    unsigned spoilt;            /* ... those that had been changed by then */
    int last_op;
    int64_t last_count;
    char last_name[RI_NAME_MAX];
} fake_tape;

/* An empty tape, and nothing seen. */
void fake_tape_reset(void);
/* The tape is back: nobody waits any more. */
void fake_tape_return(void);
/* One of the numbers above, as it is now. */
unsigned fake_tape_count(const unsigned *what);
/* Waits until it is that, ten seconds at most. */
bool fake_tape_wait(const unsigned *what, unsigned value);
/* What was asked for last: RI_NAME_MAX. */
void fake_tape_name(char *out_name);
/* The n-th record; NULL: none, or a filemark. */
const void *fake_tape_record(unsigned n, size_t *out_size);
unsigned fake_tape_records(void);

#endif
