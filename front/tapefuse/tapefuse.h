/*
 * tapefuse.h - tape drives of a service as files, for programs that know tapes
 *
 * One folder with a pair of files for each drive, st0 and nst0 and so on, that
 * behave as st(4) says: a write is a record, a read is a record, MTIOCTOP,
 * MTIOCGET and MTIOCPOS.  Each open file is a session of the service.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TAPEFUSE_H
#define TAPEFUSE_H

#include <stdbool.h>
#include <stddef.h>

#include "reinsert.h"

#define TAPEFUSE_RECORD_MAX (1u << 20)
#define TAPEFUSE_DRIVES_MAX 30

struct tapefuse_config {
    const char *folder;             /* is there already */
    const char *control;            /* socket of the service */
    const char *const *drives;      /* names; the first becomes st0 */
    size_t drive_count;             /* none: they come later */
    /* What nobody else could tell; any thread, one at a time. */
    void (*say)(const char *text);
};

struct tapefuse;

/* Mounts; nothing is answered yet, and no thread runs.  What it was told is
 * copied.  0 or -errno. */
int tapefuse_new(const struct tapefuse_config *config,
                 struct tapefuse **out_fuse, struct ri_error *out_error);
/* Becomes a daemon; before tapefuse_serve.  0 or -1. */
int tapefuse_background(void);
/*
 * Answers until the folder is unmounted or tapefuse_stop is called.  Then the
 * sessions are closed, and it is unmounted.  0, or -ETIMEDOUT: a drive is still
 * busy.  The process must end then, without tapefuse_free; that is a close as
 * well.
 */
int tapefuse_serve(struct tapefuse *fuse);
/* Another drive, which becomes the next stN; any thread, also while it serves.
 * N, or -EEXIST, -E2BIG, -ENOMEM, -ESHUTDOWN: it ends. */
int tapefuse_add(struct tapefuse *fuse, const char *drive);
/* Any thread. */
void tapefuse_stop(struct tapefuse *fuse);
/* NULL is allowed.  Not while tapefuse_serve runs. */
void tapefuse_free(struct tapefuse *fuse);

#endif
