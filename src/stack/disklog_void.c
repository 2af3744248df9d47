/*
 * disklog_void.c - a log that no longer counts, and that its disk will not void
 *
 * What a flush has covered must not be replayed: it would bring back what was
 * there before.  A log whose head cannot be overwritten, and that can neither be
 * cut nor removed, is named by a mark on another disk: a file SALT.void in the
 * folder of recovery files, or, for as long as the machine runs, in
 * /run/reinsert.  Who starts next leaves the log out and takes both away.  So it
 * does with a log that a recovery file is made of, for that does not count either
 * since the file has its name.
 *
 * SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/status.h"
#include "stack/disklog.h"

#define PLACES 2

/* "": there is no such place. */
static void
mark_name(const struct disklog *d, int place, uint64_t salt, char *out_folder,
          char *out_name)
{
    out_folder[0] = out_name[0] = '\0';
    if (place == 0)
        snprintf(out_folder, RI_PATH_MAX, "%s", d->service->recovery_dir);
    else if (geteuid() == 0)
        snprintf(out_folder, RI_PATH_MAX, "/run/reinsert");
    if (out_folder[0] != '\0')
        snprintf(out_name, DISKLOG_NAME_MAX, "%s/%016" PRIx64 ".void",
                 out_folder, salt);
}

static int
sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd >= 0 && fsync(fd) == 0 ? 0 : -errno;

    if (fd >= 0)
        close(fd);
    return rc;
}

static bool
write_mark(const char *name, const char *path)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t len = strlen(path);
    bool ok = fd >= 0 && write(fd, path, len) == (ssize_t) len &&
              write(fd, "\n", 1) == 1 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return ok;
}

bool
disklog_mark(struct disklog *d, uint64_t salt, const char *path, char *out_name)
{
    char folder[RI_PATH_MAX];
    struct rec_error error;

    if (fault_hit("void-mark"))
        return false;
    for (int place = 0; place < PLACES; place++) {
        mark_name(d, place, salt, folder, out_name);
        if (out_name[0] != '\0' && rec_make_folder(folder, &error) == 0 &&
            write_mark(out_name, path) && sync_folder(folder) == 0)
            return true;
    }
    return false;
}

/* --- what became a recovery file --------------------------------------------- */

static bool
is_recovery(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot != NULL && strcmp(dot, ".recovery") == 0;
}

/* Whole, and made of the log as it is? */
static bool
took_over(const char *path, const struct ulog_reader *log,
          struct rec_summary *out)
{
    struct rec_reader *reader = NULL;
    struct rec_error error;
    bool yes = false;

    if (rec_open(path, &reader, &error) != 0)
        return false;
    yes = rec_about(reader)->log_salt == ulog_reader_salt(log) &&
          rec_about(reader)->log_generation == ulog_reader_generation(log);
    rec_close(reader);
    return yes && rec_check(path, out, &error) == 0 && out->complete;
}

bool
disklog_given_up(struct disklog *d, const struct ulog_reader *log,
                 struct ri_recovery_info *out_info)
{
    DIR *folder = opendir(d->service->recovery_dir);
    const char *label = ulog_reader_head(log)->about.label;
    struct rec_summary sum;
    struct dirent *entry;
    bool found = false;

    memset(out_info, 0, sizeof *out_info);
    while (folder != NULL && !found && (entry = readdir(folder)) != NULL) {
        snprintf(out_info->file, sizeof out_info->file, "%.760s/%.255s",
                 d->service->recovery_dir, entry->d_name);
        found =
            is_recovery(entry->d_name) && took_over(out_info->file, log, &sum);
    }
    if (folder != NULL)
        closedir(folder);
    if (!found)
        return false;
    snprintf(out_info->volume, sizeof out_info->volume, "%.127s",
             label[0] != '\0' ? label : ulog_reader_head(log)->about.uuid);
    snprintf(out_info->drive, sizeof out_info->drive, "%.63s", sum.about.drive);
    snprintf(out_info->reason, sizeof out_info->reason, "%s",
             status_name((NTSTATUS) sum.about.status));
    out_info->bytes = sum.bytes;
    out_info->time_ms = sum.about.created_ms;
    return true;
}

bool
disklog_is_marked(struct disklog *d, uint64_t salt)
{
    char folder[RI_PATH_MAX], name[DISKLOG_NAME_MAX];

    for (int place = 0; place < PLACES; place++) {
        mark_name(d, place, salt, folder, name);
        if (name[0] != '\0' && access(name, F_OK) == 0)
            return true;
    }
    return false;
}

void
disklog_remove_marked(struct disklog *d, uint64_t salt, const char *path)
{
    char folder[RI_PATH_MAX], name[DISKLOG_NAME_MAX];

    if (unlink(path) != 0 || sync_folder(d->dir) != 0) {
        disklog_warn(d,
                     "%.220s does not count any more, is not used, and cannot "
                     "be removed: %s",
                     path, strerror(errno));
        return;
    }
    event_send(d->service, "unflushed-log", "", "", 0,
               "%.220s did not count any more, and was removed", path);
    for (int place = 0; place < PLACES; place++) {
        mark_name(d, place, salt, folder, name);
        if (name[0] != '\0')
            (void) unlink(name);
    }
}
