/*
 * watch.h - answers, taken in by the thread that waits for them
 *
 * Who gives requests to a connection with a device and then sleeps in poll(2)
 * can poll that connection, too, and take in the answers itself: no other
 * thread has to be woken for them, and none has to wake it.  The connection (a
 * source) has a thread of its own, which does so whenever nobody watches.
 *
 * A thread watches one source at most, a source is watched by one thread at
 * most.  A thread that watches and is about to wait for anything else leaves:
 * it might be an answer.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_WATCH_H
#define BASE_WATCH_H

#include <stdbool.h>

struct watch_source {
    /* Takes in what is there, without waiting; TRUE: something was.  It may be
     * called some moments after watch_drop. */
    bool (*take)(struct watch_source *source);
    /* Once for each watcher, by that: it has left, or noticed that it was
     * dropped. */
    void (*left)(struct watch_source *source);
    int fd;                     /* atomic: readable when there is something */
    void *watcher;              /* atomic: whose; private to watch.c */
};

/* --- the thread that sleeps -------------------------------------------------- */

/* From here on this thread polls what it watches, until watch_end. */
void watch_begin(void);
void watch_end(void);
/* What to poll for input, or -1. */
int watch_fd(void);
/* FALSE: there was nothing. */
bool watch_take(void);

/* --- whoever is on such a thread ----------------------------------------------- */

/* It is about to wait.  It watches again after its next request. */
void watch_leave(void);
/* A burst of requests is over.  After many in which there was none for the
 * source it leaves: it works for something else. */
void watch_burst_over(void);

/* --- the source's owner ------------------------------------------------------------ */

/* This thread has just given it requests.  TRUE: it watches from now on, and did
 * not before. */
bool watch_offer(struct watch_source *source, int fd);
bool watch_is_watched(const struct watch_source *source);
/* Nobody does any more; a thread that sleeps on the descriptor is not woken. */
void watch_drop(struct watch_source *source);

#endif
