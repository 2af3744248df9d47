/*
 * disklog.h - the folder of logs, between its two files
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef STACK_DISKLOG_H
#define STACK_DISKLOG_H

#include "stack/stack_internal.h"

#include <unflushed.h>

#define DISKLOG_LOCK "lock"
#define DISKLOG_NAME_MAX (RI_PATH_MAX + 32)

/* A log that was there at the start (or when the first drive came), and its
 * volume. */
struct found {
    struct volume *volume;
    char path[RI_PATH_MAX];
};

struct disklog {
    struct ri_service *service;
    char dir[RI_PATH_MAX];
    int lock_file;
    uint64_t ring_bytes;
    struct found *found; /* made once */
    size_t found_count;  /* atomic; written by whoever finds them */

    pthread_mutex_t lock;
    bool failing, stale;
    uint64_t again_ms; /* not before */
    char problem[RI_TEXT_MAX];
    char warning[4 * RI_TEXT_MAX]; /* of the start, a line each */
};

void disklog_name(struct ri_service *service, struct volume *volume,
                  char *out_name, char *out_drive);
/* As it is in the list of recovery files. */
void disklog_describe(struct disklog *d, struct volume *volume,
                      const char *path, struct ri_recovery_info *out);
void disklog_warn(struct disklog *d, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* disklog_void.c */
/* Nothing in that log counts any more, and its own disk will not say so: said
 * somewhere else.  out_name: DISKLOG_NAME_MAX bytes. */
bool disklog_mark(struct disklog *d, uint64_t salt, const char *path,
                  char *out_name);
bool disklog_is_marked(struct disklog *d, uint64_t salt);
/* Is there a recovery file of what the log holds?  Which. */
bool disklog_given_up(struct disklog *d, const struct ulog_reader *log,
                      struct ri_recovery_info *out_info);
/* And its mark; or says that it is still there. */
void disklog_remove_marked(struct disklog *d, uint64_t salt, const char *path);

#endif
