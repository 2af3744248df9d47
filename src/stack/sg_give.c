/*
 * sg_give.c - what was taken from the kernel's drivers is given back, for as
 * long as there is patience for it
 *
 * Who writes to a driver's `bind` in sysfs waits until the driver has looked at
 * the drive, and no signal ends that: of a drive that hangs, for minutes, and a
 * process whose thread waits so does not end.  A child does it, which has
 * nothing of ours but the note; when it is done, however late, the note is gone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stack/sg_own.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

unsigned sg_patience_ms = 3000;

/* All that is written; "": it is not. */
struct giving {
    char bind[PATH_MAX], hctl[32];
    char poll[PATH_MAX], poll_ms[16];
    const char *note;
};

static void
prepare(const struct sg_claim *claim, struct giving *out)
{
    memset(out, 0, sizeof *out);
    out->note = claim->note;
    snprintf(out->hctl, sizeof out->hctl, "%s", claim->found.hctl);
    snprintf(out->poll_ms, sizeof out->poll_ms, "%s", claim->poll_ms);
    if (claim->unbound)
        snprintf(out->bind, sizeof out->bind, "%s/bus/scsi/drivers/%s/bind",
                 claim->roots->sys, claim->found.driver);
    if (claim->poll_ms[0] != '\0')
        snprintf(out->poll, sizeof out->poll,
                 "%s/class/block/%s/events_poll_msecs", claim->roots->sys,
                 claim->found.block);
}

/* --- in the child: nothing that takes a lock, and no memory ------------------------- */

int
sg_write(const char *path, const char *text)
{
    int fd = path[0] != '\0' ? open(path, O_WRONLY | O_CLOEXEC) : -1, rc = 0;

    if (path[0] == '\0')
        return 0;
    if (fd < 0)
        return -errno;
    if (write(fd, text, strlen(text)) < 0)
        rc = -errno;
    close(fd);
    return rc;
}

static int
give(const struct giving *giving)
{
    int bound = sg_write(giving->bind, giving->hctl);
    int polls = sg_write(giving->poll, giving->poll_ms);

    unlink(giving->note);
    return bound != 0 ? bound : polls;
}

/* Our clients' connections, say, end with us and not with it. */
static void
keep_only(int one, int other)
{
    int low = one < other ? one : other, high = one < other ? other : one;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int fd = 0; null >= 0 && fd < 3; fd++)
        dup2(null, fd);
    if (low > 3)
        close_range(3, (unsigned) low - 1, 0);
    if (high > low + 1)
        close_range((unsigned) low + 1, (unsigned) high - 1, 0);
    close_range((unsigned) high + 1, ~0u, 0);
}

static void
child(const struct giving *giving, int note_fd, int say_fd)
{
    int rc;

    setsid();
    keep_only(note_fd, say_fd);
    rc = give(giving);
    _exit(write(say_fd, &rc, sizeof rc) == sizeof rc ? 0 : 1);
}

/* --- in the parent ------------------------------------------------------------------- */

static int64_t
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* What the child says; -ETIMEDOUT: nothing so far. */
static int
hear(int fd)
{
    int64_t end = now_ms() + sg_patience_ms;
    int rc = -EIO, left;

    do {
        struct pollfd in = { .fd = fd, .events = POLLIN };

        left = end > now_ms() ? (int) (end - now_ms()) : 0;
        if (poll(&in, 1, left) == 1)
            return read(fd, &rc, sizeof rc) == sizeof rc ? rc : -EIO;
    } while (left > 0);
    return -ETIMEDOUT;
}

static int
have_it_done(const struct giving *giving, int note_fd)
{
    int ends[2], rc;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return give(giving);
    pid = fork();
    if (pid == 0)
        child(giving, note_fd, ends[1]);
    close(ends[1]);
    rc = pid < 0 ? give(giving) : hear(ends[0]);
    close(ends[0]);
    /* One that hangs is left alone: it is init's when we end. */
    if (pid > 0 && rc != -ETIMEDOUT)
        waitpid(pid, NULL, 0);
    return rc;
}

static void
by_hand(const struct giving *giving, char *out_text, size_t max)
{
    bool both = giving->bind[0] != '\0' && giving->poll[0] != '\0';

    snprintf(out_text, max, "%s%s%s%s%s%s%s%s%s",
             giving->bind[0] != '\0' ? "echo " : "",
             giving->bind[0] != '\0' ? giving->hctl : "",
             giving->bind[0] != '\0' ? " >" : "", giving->bind,
             both ? "; " : "", giving->poll[0] != '\0' ? "echo " : "",
             giving->poll[0] != '\0' ? giving->poll_ms : "",
             giving->poll[0] != '\0' ? " >" : "", giving->poll);
}

static void
say_why(const struct sg_claim *claim, const struct giving *giving, int rc,
        char *out_text, size_t max)
{
    char command[2 * PATH_MAX + 128], what[128];

    by_hand(giving, command, sizeof command);
    if (claim->unbound)
        snprintf(what, sizeof what, "%s is not given back to driver %s",
                 claim->found.hctl, claim->found.driver);
    else
        snprintf(what, sizeof what, "the polling of %s is not as it was",
                 claim->found.block);
    if (rc == -ETIMEDOUT)
        snprintf(out_text, max,
                 "%s: the kernel has not taken it within %u s, and is not "
                 "waited for. If it does not take it later, either: %s",
                 what, (sg_patience_ms + 999) / 1000, command);
    else
        snprintf(out_text, max, "%s: %s. By hand%s: %s", what, strerror(-rc),
                 rc == -EACCES || rc == -EPERM
                     ? ", as root or with CAP_DAC_OVERRIDE"
                     : "",
                 command);
}

int
sg_give_back(const struct sg_claim *claim, char *out_text, size_t max)
{
    struct giving giving;
    int rc;

    prepare(claim, &giving);
    rc = have_it_done(&giving, claim->note_fd);
    /* Somebody was quicker: it has a driver. */
    if (rc == 0 ||
        (rc != -ETIMEDOUT && claim->unbound && sg_claim_has(claim, "/driver")))
        return 0;
    say_why(claim, &giving, rc, out_text, max);
    return rc;
}
