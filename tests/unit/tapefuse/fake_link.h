/*
 * fake_link.h - sessions of tape drives that are in memory, behind tape_link.h
 *
 * One drive for each name; a test changes it under `fake_lock`, or looks.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TAPEFUSE_FAKE_LINK_H
#define TAPEFUSE_FAKE_LINK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tapelink/tape_link.h"

#define FAKE_OBJECTS 4096

struct fake_object {
    void *data;
    size_t bytes; /* 0: a filemark */
};

struct fake_drive {
    /* set by the test */
    bool empty, write_protected;
    bool away;          /* calls wait for the tape */
    bool close_waits;   /* a close waits */
    size_t warn_at, full_at;    /* bytes; 0: never */
    uint32_t block_bytes;
    int fails;          /* of every call, -errno */
    int open_fails, close_fails, sync_fails; /* of filemarks, too */

    struct fake_object objects[FAKE_OBJECTS];
    size_t count, at;
    size_t bytes;

    /* what happened */
    bool open, waiting;
    unsigned opens, closes, syncs, marks, interrupts;
    struct ri_tape_how how;
    size_t last_read_size;
    bool in_window;     /* the last record lay in the window */
    int last_op;
    int64_t last_count;
};

extern pthread_mutex_t fake_lock;
extern pthread_cond_t fake_changed; /* after a test changed something */

struct fake_drive *fake_drive(const char *name);
void fake_reset(void);

#endif
