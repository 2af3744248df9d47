/*
 * burst.h - things that come together, and what is done once for all of them
 *
 * Requests come many at a time, and so do answers.  Whoever hands them on, one
 * by one, opens a burst on its thread; whoever gets them may put off what is
 * needed once for all of them (a send, a wake-up) until it is closed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_BURST_H
#define BASE_BURST_H

#include <stdbool.h>

enum burst { BURST_REQUESTS, BURST_ANSWERS };

/* In one list at most, of one thread; it stays valid until `run` is called. */
struct burst_node {
    void (*run)(struct burst_node *node);
    struct burst_node *next;
};

/* This thread's.  They may be nested: the outermost end counts, and runs what
 * was put off, in its order. */
void burst_begin(enum burst burst);
void burst_end(enum burst burst);
/* Is this thread in one? */
bool burst_open(enum burst burst);
/* Only in one. */
void burst_defer(enum burst burst, struct burst_node *node);
/* Runs what this thread has put off so far: it is about to wait, perhaps for
 * just that. */
void burst_flush(void);

#endif
