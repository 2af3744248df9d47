/*
 * last.c - is this close(2) the last one?
 *
 * The kernel does not say it: the release comes when close(2) has returned, and
 * nobody waits for it.  But a tape drive writes its filemark and rewinds within
 * the last close, and programs rely on that and on its error.  So whoever
 * closes is looked at, and all other processes: has one of them the file open?
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapefuse/tapefuse_internal.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define FLAG_EXITING 0x4u /* PF_EXITING of the kernel, in /proc/PID/stat */

bool
tf_is_dying(pid_t thread)
{
    char path[40], line[512];
    const char *at;
    unsigned flags = 0;
    FILE *file;

    (void) snprintf(path, sizeof path, "/proc/%d/stat", (int) thread);
    file = thread > 0 ? fopen(path, "re") : NULL;
    if (file == NULL)
        return false;
    /* Behind the name, which is in brackets and may hold anything: state, five
     * numbers, flags. */
    at = fgets(line, sizeof line, file) != NULL ? strrchr(line, ')') : NULL;
    if (at != NULL &&
        sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) != 1)
        flags = 0;
    (void) fclose(file);
    return (flags & FLAG_EXITING) != 0;
}

/* Without a request to whose file it is: it might be ours. */
static bool
is_file(int folder, const char *name, dev_t device, fuse_ino_t node)
{
    struct statx info;

    return statx(folder, name, AT_STATX_DONT_SYNC, STATX_INO, &info) == 0 &&
           info.stx_ino == node &&
           makedev(info.stx_dev_major, info.stx_dev_minor) == device;
}

static bool
has_open(const char *process, dev_t device, fuse_ino_t node)
{
    char path[288];
    struct dirent *entry;
    bool found = false;
    DIR *files;

    (void) snprintf(path, sizeof path, "/proc/%s/fd", process);
    files = opendir(path);
    if (files == NULL)
        return false; /* it has ended, or is none of ours */
    while (!found && (entry = readdir(files)) != NULL)
        found = entry->d_name[0] != '.' &&
                is_file(dirfd(files), entry->d_name, device, node);
    (void) closedir(files);
    return found;
}

bool
tf_is_last(const struct tapefuse *fuse, fuse_ino_t node, pid_t closer)
{
    struct dirent *entry;
    bool found = false;
    DIR *processes;

    /* Not one of our processes: others, too, may be out of sight. */
    if (closer <= 0 || fuse->device == 0)
        return false;
    processes = opendir("/proc");
    if (processes == NULL)
        return false;
    while (!found && (entry = readdir(processes)) != NULL)
        found = isdigit((unsigned char) entry->d_name[0]) &&
                has_open(entry->d_name, fuse->device, node);
    (void) closedir(processes);
    return !found;
}
