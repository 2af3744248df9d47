/*
 * ulog_write.h - a log that is open for writing, for the two files that make
 *                one
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef RECOVERY_ULOG_WRITE_H
#define RECOVERY_ULOG_WRITE_H

#include "recovery/ulog_format.h"

#define ULOG_EPOCHS 64

struct ulog_epoch {
    uint32_t epoch;
    struct ulog_place at; /* its first record */
};

struct ulog {
    int file, folder;
    uint64_t salt, generation, ring;
    struct ulog_place tail; /* what the valid slot says */
    struct ulog_place next;
    uint64_t synced;                     /* the last record on disk */
    struct ulog_epoch live[ULOG_EPOCHS]; /* oldest first */
    unsigned live_count;
    bool broken; /* an attempt failed: what is behind `next` is not known */
    char path[4096];
};

#endif
