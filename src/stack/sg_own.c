/*
 * sg_own.c - one owner for a drive: who else would take its unit attentions
 *
 * A drive tells of a change once, to whoever asks first.  People's mounts and
 * open files are named and left alone; the kernel's drivers and their polling
 * are taken out of the way if the configuration says so, through sysfs.  What
 * was done is in a file first, which the writer holds locked, so that the next
 * start can put it back if this process is killed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stack/sg_own.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- what is written to sysfs ------------------------------------------------------ */

static int
set_poll(const struct sg_claim *claim, const char *ms)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/class/block/%s/events_poll_msecs",
             claim->roots->sys, claim->found.block);
    return sg_write(path, ms);
}

static int
tell_driver(const struct sg_claim *claim, const char *what)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/bus/scsi/drivers/%s/%s", claim->roots->sys,
             claim->found.driver, what);
    return sg_write(path, claim->found.hctl);
}

/* --- alone --------------------------------------------------------------------------- */

int
sg_hold(const struct sg_roots *roots, const struct sg_found *found,
        char *out_text, size_t max, int *out_fd)
{
    char path[PATH_MAX];

    *out_fd = -1;
    if (found->block[0] == '\0')
        return 0;
    snprintf(path, sizeof path, "%s/%s", roots->dev, found->block);
    *out_fd = open(path, O_RDONLY | O_NONBLOCK | O_EXCL | O_CLOEXEC);
    if (*out_fd >= 0 || errno != EBUSY)
        return 0;
    snprintf(out_text, max,
             "%s is somebody's alone: a file system's or its journal's, a "
             "target's, or a program's",
             found->block);
    return -EBUSY;
}

/* --- the note ------------------------------------------------------------------------ */

static int
make_folder(const char *file)
{
    char folder[256];
    char *slash;

    snprintf(folder, sizeof folder, "%s", file);
    for (slash = strchr(folder + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(folder, 0755) != 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return 0;
}

/* Who locked it before us took it away: it has no name any more. */
static bool
is_removed(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_nlink == 0;
}

/* -EBUSY: a service that starts is giving the drive back. */
static int
open_note(struct sg_claim *claim)
{
    int rc;

    snprintf(claim->note, sizeof claim->note, "%.200s/%s", claim->notes,
             claim->found.hctl);
    rc = make_folder(claim->note);
    while (rc == 0) {
        claim->note_fd =
            open(claim->note, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (claim->note_fd < 0)
            return -errno;
        if (flock(claim->note_fd, LOCK_EX | LOCK_NB) != 0)
            rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
        else if (!is_removed(claim->note_fd))
            return 0;
        close(claim->note_fd);
        claim->note_fd = -1;
    }
    return rc;
}

/* Whole before anything is done. */
static int
write_note(struct sg_claim *claim)
{
    char text[1024];
    int len, rc = claim->note_fd >= 0 ? 0 : open_note(claim);

    if (rc != 0)
        return rc;
    len = snprintf(text, sizeof text, "devpath %s\ndriver %s\npoll %s %s\n",
                   claim->found.devpath,
                   claim->unbound ? claim->found.driver : "-",
                   claim->poll_ms[0] != '\0' ? claim->found.block : "-",
                   claim->poll_ms[0] != '\0' ? claim->poll_ms : "-");
    if (ftruncate(claim->note_fd, 0) != 0 ||
        pwrite(claim->note_fd, text, (size_t) len, 0) != len)
        return errno != 0 ? -errno : -EIO;
    return 0;
}

static void
drop_note(struct sg_claim *claim)
{
    if (claim->note_fd < 0)
        return;
    unlink(claim->note);
    close(claim->note_fd);
    claim->note_fd = -1;
}

bool
sg_claim_has(const struct sg_claim *claim, const char *file)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s%s%s", claim->roots->sys,
             claim->found.devpath, file);
    return access(path, F_OK) == 0;
}

/* 0, or why it is not as it was; in each case nothing of it is ours any more. */
static int
put_back(struct sg_claim *claim, char *out_text, size_t max)
{
    bool taken = claim->unbound || claim->poll_ms[0] != '\0';
    int rc = 0;

    if (taken && claim->note_fd >= 0 && sg_claim_has(claim, ""))
        rc = sg_give_back(claim, out_text, max);
    /* Whoever still gives it back has the note. */
    if (rc == -ETIMEDOUT) {
        close(claim->note_fd);
        claim->note_fd = -1;
    }
    return rc;
}

/* --- taking, giving back ------------------------------------------------------------- */

/* Rights help where there are too few; not against a driver that is gone. */
static int
cannot(const char *what, const char *needs, int rc, char *out_text, size_t max)
{
    bool rights = rc == -EACCES || rc == -EPERM;

    snprintf(out_text, max, "%s: %s%s%s", what, strerror(-rc),
             rights ? "; needs " : "", rights ? needs : "");
    return rc;
}

/* The driver has to stay: at least it shall not ask. */
static int
stop_polling(struct sg_claim *claim, int why, char *out_text, size_t max)
{
    char what[128];
    int rc;

    snprintf(what, sizeof what, "driver %s cannot be unbound from %s",
             claim->found.driver, claim->found.hctl);
    /* One of tapes or robots does not ask, and does as others say. */
    if (claim->found.block[0] == '\0')
        return cannot(what, "root or CAP_DAC_OVERRIDE, for unbind in /sys", why,
                      out_text, max);
    if (sg_polled_ms(claim->roots, &claim->found) == 0)
        return 0;
    sg_read_line(claim->poll_ms, sizeof claim->poll_ms,
                 "%s/class/block/%s/events_poll_msecs", claim->roots->sys,
                 claim->found.block);
    rc = write_note(claim);
    if (rc == 0)
        rc = set_poll(claim, "0");
    if (rc == 0)
        return 0;
    claim->poll_ms[0] = '\0';
    return cannot(what,
                  "root or CAP_DAC_OVERRIDE, for unbind or events_poll_msecs "
                  "in /sys",
                  why, out_text, max);
}

static int
take_driver(struct sg_claim *claim, char *out_text, size_t max)
{
    int rc;

    claim->unbound = true;
    rc = write_note(claim);
    if (rc == -EBUSY)
        snprintf(out_text, max, "another service is giving %s back",
                 claim->found.hctl);
    else if (rc != 0)
        snprintf(out_text, max,
                 "own = yes: what has to be put back cannot be noted: %s: %s; "
                 "needs root or CAP_DAC_OVERRIDE, as unbind in /sys does",
                 claim->note, strerror(-rc));
    if (rc != 0) {
        claim->unbound = false;
        return rc;
    }
    rc = tell_driver(claim, "unbind");
    if (rc == 0) {
        claim->found.block[0] = claim->found.other[0] = '\0';
        return 0;
    }
    claim->unbound = false;
    return stop_polling(claim, rc, out_text, max);
}

/* Without polling as well: the kernel is told when somebody opens the block
 * device, and then tells nobody, by no message and no sequence number. */
static int
refuse_driver(const struct sg_roots *roots, const struct sg_found *found,
              char *out_text, size_t max)
{
    unsigned ms = sg_polled_ms(roots, found);
    int len =
        snprintf(out_text, max, "driver %s of the kernel has %s", found->driver,
                 found->block[0] != '\0'   ? found->block
                 : found->other[0] != '\0' ? found->other
                                           : found->sg);

    if (found->type == SG_TYPE_TAPE && len > 0 && (size_t) len < max) {
        snprintf(out_text + len, max - (size_t) len,
                 ": who opens that moves the tape; own = yes takes it out of "
                 "the way");
        return -EBUSY;
    }
    if (ms > 0 && len > 0 && (size_t) len < max)
        len += snprintf(out_text + len, max - (size_t) len,
                        " and asks it every %u ms for changes", ms);
    if (len > 0 && (size_t) len < max)
        snprintf(out_text + len, max - (size_t) len,
                 ": it would be told of them in our place; own = yes takes it "
                 "out of the way, own = shared leaves it there");
    return -EBUSY;
}

int
sg_refused(const struct sg_claim *claim, const struct sg_found *found,
           enum sg_how how, char *out_text, size_t max)
{
    int rc = claim->before || how == SG_SHARE
                 ? sg_kept_by(claim->roots, found, out_text, max)
                 : sg_used_by(claim->roots, found, out_text, max);

    if (rc != 0 || found->driver[0] == '\0' || how == SG_OWN ||
        (how == SG_SHARE && found->type != SG_TYPE_TAPE))
        return rc;
    return refuse_driver(claim->roots, found, out_text, max);
}

/* From the look at who else has it until the driver is gone it is held. */
static int
take_it(struct sg_claim *claim, enum sg_how how, char *out_text, size_t max)
{
    int fd, rc = sg_hold(claim->roots, &claim->found, out_text, max, &fd);

    if (rc == 0 && claim->found.driver[0] != '\0' && how == SG_OWN)
        rc = take_driver(claim, out_text, max);
    if (fd >= 0)
        close(fd);
    return rc;
}

int
sg_claim(struct sg_claim *claim, const struct sg_found *found, enum sg_how how,
         char *out_text, size_t max)
{
    int rc = sg_refused(claim, found, how, out_text, max);
    char unsaid[SG_WHY_MAX]; /* why it is not ours is of more use */

    if (rc == 0) {
        claim->found = *found;
        rc = take_it(claim, how, out_text, max);
    }
    if (rc != 0)
        sg_unclaim(claim, unsaid, sizeof unsaid);
    claim->before = rc == 0;
    return rc;
}

bool
sg_is_shared(const struct sg_claim *claim)
{
    return claim->found.driver[0] != '\0' && !claim->unbound;
}

int
sg_unclaim(struct sg_claim *claim, char *out_text, size_t max)
{
    int rc = put_back(claim, out_text, max);

    sg_forget(claim);
    return rc;
}

void
sg_forget(struct sg_claim *claim)
{
    drop_note(claim);
    claim->unbound = false;
    claim->poll_ms[0] = '\0';
}

/* --- after a kill ---------------------------------------------------------------------- */

static bool
read_note(FILE *file, struct sg_claim *claim)
{
    char driver[32], block[32], poll_ms[16];

    if (fscanf(file, "devpath %511s driver %31s poll %31s %15s",
               claim->found.devpath, driver, block, poll_ms) != 4 ||
        strchr(driver, '/') != NULL || strchr(block, '/') != NULL)
        return false;
    claim->unbound = strcmp(driver, "-") != 0;
    snprintf(claim->found.driver, sizeof claim->found.driver, "%s", driver);
    if (strcmp(block, "-") != 0) {
        snprintf(claim->found.block, sizeof claim->found.block, "%s", block);
        snprintf(claim->poll_ms, sizeof claim->poll_ms, "%s", poll_ms);
    }
    snprintf(claim->found.hctl, sizeof claim->found.hctl, "%s",
             strrchr(claim->found.devpath, '/') != NULL
                 ? strrchr(claim->found.devpath, '/') + 1
                 : "");
    return true;
}

static bool
restore_note(const struct sg_roots *roots, const char *path, char *out_text,
             size_t max)
{
    struct sg_claim claim = { .roots = roots };
    int rc = -EINVAL;
    FILE *file = fopen(path, "r+e");
    bool done = false;

    if (file == NULL)
        return false;
    claim.note_fd = fcntl(fileno(file), F_DUPFD_CLOEXEC, 0);
    snprintf(claim.note, sizeof claim.note, "%.255s", path);
    if (flock(claim.note_fd, LOCK_EX | LOCK_NB) == 0) {
        done = !is_removed(claim.note_fd) && read_note(file, &claim);
        if (done)
            rc = put_back(&claim, out_text, max);
        if (rc != -ETIMEDOUT && !is_removed(claim.note_fd))
            unlink(path);
    }
    if (claim.note_fd >= 0)
        close(claim.note_fd);
    fclose(file);
    return done;
}

unsigned
sg_restore(const struct sg_roots *roots, const char *folder, char *out_text,
           size_t max)
{
    DIR *dir = opendir(folder);
    char path[PATH_MAX];
    struct dirent *entry;
    unsigned count = 0;

    out_text[0] = '\0';
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%.3000s/%s", folder, entry->d_name);
        count += restore_note(roots, path, out_text, max);
    }
    if (dir != NULL)
        closedir(dir);
    return count;
}
