/*
 * tape_mount_late.h - tape drives that come while their files are mounted
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_TAPE_MOUNT_LATE_H
#define CLI_TAPE_MOUNT_LATE_H

#include "tapefuse/tapefuse.h"

/* A thread from now on that adds each tape drive that the service has, and says
 * so.  0 or -errno.  One in a process. */
int tape_mount_follow(const char *control, struct tapefuse *fuse,
                      void (*say)(const char *text));
/* Nothing is added any more; the thread ends with the process. */
void tape_mount_unfollow(void);

#endif
