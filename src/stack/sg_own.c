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

/* --- who uses it -------------------------------------------------------------- */

/* st0 is also nst0, and each of them st0l, st0m and st0a. */
static bool
is_other(const struct sg_found *found, const char *name)
{
    size_t len = strlen(found->other);

    if (len > 1 && strncmp(found->other, "st", 2) == 0 && name[0] == 'n')
        name++;
    if (len == 0 || strncmp(name, found->other, len) != 0)
        return false;
    return name[len] == '\0' ||
           (strchr("lma", name[len]) != NULL && name[len + 1] == '\0');
}

/* Is the node `name` of this disk: itself, or one of its partitions? */
static bool
is_node(const struct sg_found *found, const char *name)
{
    size_t len = strlen(found->block);

    if (strcmp(name, found->sg) == 0 || is_other(found, name))
        return true;
    if (len == 0 || strncmp(name, found->block, len) != 0)
        return false;
    return name[len + strspn(name + len, "p0123456789")] == '\0' &&
           (name[len] == '\0' || isdigit((unsigned char) name[len]) ||
            name[len] == 'p');
}

/* Major and minor of a mount, against those of the disk and its parts. */
static bool
is_number(const struct sg_roots *roots, const struct sg_found *found,
          const char *number)
{
    char path[PATH_MAX], own[32];
    struct dirent *entry;
    bool is = false;
    DIR *dir;

    snprintf(path, sizeof path, "%s/class/block", roots->sys);
    dir = opendir(path);
    while (!is && dir != NULL && (entry = readdir(dir)) != NULL) {
        if (!is_node(found, entry->d_name))
            continue;
        sg_read_line(own, sizeof own, "%s/%s/dev", path, entry->d_name);
        is = own[0] != '\0' && strcmp(own, number) == 0;
    }
    if (dir != NULL)
        closedir(dir);
    return is;
}

static int
mounted_in(const struct sg_roots *roots, const struct sg_found *found,
           const char *process, char *out_text, size_t max)
{
    char path[PATH_MAX], line[2048], number[32], where[512];
    FILE *file;
    int rc = 0;

    snprintf(path, sizeof path, "%s/%s/mountinfo", roots->proc, process);
    file = fopen(path, "re");
    while (rc == 0 && file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%*s %*s %31s %*s %511s", number, where) != 2 ||
            !is_number(roots, found, number))
            continue;
        snprintf(out_text, max, "%s is mounted on %s", found->block, where);
        rc = -EBUSY;
    }
    if (file != NULL)
        fclose(file);
    return rc;
}

#define NAMESPACES_MAX 64

/* Each mount namespace once, by the first process that has it: containers. */
static int
mounted_elsewhere(const struct sg_roots *roots, const struct sg_found *found,
                  char *out_process, char *out_text, size_t max)
{
    char path[PATH_MAX], seen[NAMESPACES_MAX][32];
    DIR *dir = opendir(roots->proc);
    struct dirent *entry;
    size_t count = 0, n;
    int rc = 0;

    while (rc == 0 && dir != NULL && (entry = readdir(dir)) != NULL) {
        if (!isdigit((unsigned char) entry->d_name[0]) ||
            count == NAMESPACES_MAX)
            continue;
        snprintf(path, sizeof path, "%s/%s/ns/mnt", roots->proc, entry->d_name);
        sg_link_name(seen[count], sizeof seen[count], path);
        for (n = 0; strcmp(seen[n], seen[count]) != 0; n++)
            ;
        if (seen[count][0] == '\0' || n < count)
            continue;
        count++;
        rc = mounted_in(roots, found, entry->d_name, out_text, max);
        if (rc != 0)
            snprintf(out_process, 16, "%.15s", entry->d_name);
    }
    if (dir != NULL)
        closedir(dir);
    return rc;
}

static int
swapped_to(const struct sg_roots *roots, const struct sg_found *found,
           char *out_text, size_t max)
{
    char path[PATH_MAX], line[512], node[256];
    FILE *file;
    int rc = 0;

    snprintf(path, sizeof path, "%s/swaps", roots->proc);
    file = fopen(path, "re");
    while (rc == 0 && file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "%255s", node) == 1 &&
            strncmp(node, "/dev/", 5) == 0 && is_node(found, node + 5)) {
            snprintf(out_text, max, "the system swaps to %s", node);
            rc = -EBUSY;
        }
    if (file != NULL)
        fclose(file);
    return rc;
}

/* Device mapper, md: "dm-0" in a folder of the disk or of a partition. */
static int
held_by(const struct sg_roots *roots, const struct sg_found *found,
        char *out_text, size_t max)
{
    char path[PATH_MAX];
    struct dirent *entry, *holder;
    int rc = 0;
    DIR *dir, *holders;

    snprintf(path, sizeof path, "%s/class/block", roots->sys);
    dir = found->block[0] != '\0' ? opendir(path) : NULL;
    while (rc == 0 && dir != NULL && (entry = readdir(dir)) != NULL) {
        if (!is_node(found, entry->d_name))
            continue;
        snprintf(path, sizeof path, "%s/class/block/%s/holders", roots->sys,
                 entry->d_name);
        holders = opendir(path);
        while (holders != NULL && (holder = readdir(holders)) != NULL)
            if (holder->d_name[0] != '.') {
                snprintf(out_text, max, "%s is part of %s", entry->d_name,
                         holder->d_name);
                rc = -EBUSY;
            }
        if (holders != NULL)
            closedir(holders);
    }
    if (dir != NULL)
        closedir(dir);
    return rc;
}

/* The name of a node, of whose path another root or mount namespace may have
 * more in front: "/newroot/dev/sr0".  NULL: it is none. */
static const char *
node_in(const char *path)
{
    const char *name = NULL;

    while ((path = strstr(path, "/dev/")) != NULL) {
        path += strlen("/dev/");
        name = path;
    }
    return name;
}

static bool
process_has_it(const char *folder, const struct sg_found *found, char *out_node,
               size_t max)
{
    char path[PATH_MAX], target[PATH_MAX];
    DIR *dir = opendir(folder);
    struct dirent *entry;
    const char *name;
    bool has = false;

    while (!has && dir != NULL && (entry = readdir(dir)) != NULL) {
        ssize_t len;

        snprintf(path, sizeof path, "%.3000s/%s", folder, entry->d_name);
        len = readlink(path, target, sizeof target - 1);
        if (len <= 0)
            continue;
        target[len] = '\0';
        name = node_in(target);
        has = name != NULL && is_node(found, name);
        if (has)
            snprintf(out_node, max, "/dev/%.57s", name);
    }
    if (dir != NULL)
        closedir(dir);
    return has;
}

/* Processes of others cannot be looked into without CAP_SYS_PTRACE. */
static int
opened_by(const struct sg_roots *roots, const struct sg_found *found,
          char *out_text, size_t max)
{
    DIR *dir = opendir(roots->proc);
    char path[PATH_MAX], node[64], comm[32];
    struct dirent *entry;
    int rc = 0;

    while (rc == 0 && dir != NULL && (entry = readdir(dir)) != NULL) {
        if (!isdigit((unsigned char) entry->d_name[0]) ||
            atoi(entry->d_name) == getpid())
            continue;
        snprintf(path, sizeof path, "%s/%s/fd", roots->proc, entry->d_name);
        if (!process_has_it(path, found, node, sizeof node))
            continue;
        sg_read_line(comm, sizeof comm, "%s/%s/comm", roots->proc,
                     entry->d_name);
        snprintf(out_text, max, "%s is open in process %s (%s)", node,
                 entry->d_name, comm);
        rc = -EBUSY;
    }
    if (dir != NULL)
        closedir(dir);
    return rc;
}

/* Nobody may pull these away. */
static int
kept_by(const struct sg_roots *roots, const struct sg_found *found,
        char *out_text, size_t max)
{
    int rc = mounted_in(roots, found, "self", out_text, max);
    char process[16];
    size_t len;

    if (rc == 0)
        rc = mounted_in(roots, found, "1", out_text, max);
    if (rc == 0 &&
        mounted_elsewhere(roots, found, process, out_text, max) != 0) {
        len = strlen(out_text);
        snprintf(out_text + len, max - len, " for process %s", process);
        rc = -EBUSY;
    }
    if (rc == 0)
        rc = swapped_to(roots, found, out_text, max);
    if (rc == 0)
        rc = held_by(roots, found, out_text, max);
    return rc;
}

int
sg_used_by(const struct sg_roots *roots, const struct sg_found *found,
           char *out_text, size_t max)
{
    int rc = kept_by(roots, found, out_text, max);

    return rc != 0 ? rc : opened_by(roots, found, out_text, max);
}

void
sg_used_tells(const struct sg_roots *roots, const struct sg_found *found,
              char *out_nodes, size_t nodes_max, char *out_mounts,
              size_t mounts_max)
{
    char text[256], process[16];
    DIR *dir = opendir(roots->dev);
    struct dirent *entry;
    size_t len = 0;

    out_nodes[0] = out_mounts[0] = '\0';
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        size_t more = strlen(roots->dev) + strlen(entry->d_name) + 2;

        if (!is_node(found, entry->d_name) || len + more >= nodes_max)
            continue;
        snprintf(out_nodes + len, nodes_max - len, "%s/%s ", roots->dev,
                 entry->d_name);
        len += more;
    }
    if (dir != NULL)
        closedir(dir);
    if (mounted_elsewhere(roots, found, process, text, sizeof text) != 0)
        snprintf(out_mounts, mounts_max, "%s/%s/mountinfo", roots->proc,
                 process);
}

/* --- the kernel's polling --------------------------------------------------------- */

unsigned
sg_polled_ms(const struct sg_roots *roots, const struct sg_found *found)
{
    char events[64], text[16];
    int ms;

    if (found->block[0] == '\0')
        return 0;
    sg_read_line(events, sizeof events, "%s/class/block/%s/events", roots->sys,
                 found->block);
    sg_read_line(text, sizeof text, "%s/class/block/%s/events_poll_msecs",
                 roots->sys, found->block);
    if (events[0] == '\0' || text[0] == '\0')
        return 0;
    ms = atoi(text);
    if (ms < 0) {
        sg_read_line(text, sizeof text,
                     "%s/module/block/parameters/events_dfl_poll_msecs",
                     roots->sys);
        ms = atoi(text);
    }
    return ms > 0 ? (unsigned) ms : 0;
}

/* 0 or -errno; of what was written in one go. */
static int
write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC), rc = 0;

    if (fd < 0)
        return -errno;
    if (write(fd, text, strlen(text)) < 0)
        rc = -errno;
    close(fd);
    return rc;
}

static int
set_poll(const struct sg_claim *claim, const char *ms)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/class/block/%s/events_poll_msecs",
             claim->roots->sys, claim->found.block);
    return write_file(path, ms);
}

static int
tell_driver(const struct sg_claim *claim, const char *what)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/bus/scsi/drivers/%s/%s", claim->roots->sys,
             claim->found.driver, what);
    return write_file(path, claim->found.hctl);
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

static int
open_note(struct sg_claim *claim)
{
    int rc = make_folder(claim->note);

    if (rc != 0)
        return rc;
    claim->note_fd =
        open(claim->note, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (claim->note_fd < 0)
        return -errno;
    if (flock(claim->note_fd, LOCK_EX | LOCK_NB) != 0) {
        rc = -errno;
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

static bool
is_there(const struct sg_claim *claim)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s%s", claim->roots->sys,
             claim->found.devpath);
    return access(path, F_OK) == 0;
}

static void
put_back(const struct sg_claim *claim)
{
    if (!is_there(claim))
        return;
    if (claim->unbound)
        (void) tell_driver(claim, "bind");
    if (claim->poll_ms[0] != '\0')
        (void) set_poll(claim, claim->poll_ms);
}

/* --- taking, giving back ------------------------------------------------------------- */

static int
cannot(const char *what, const char *needs, int rc, char *out_text, size_t max)
{
    snprintf(out_text, max, "%s: %s; needs %s", what, strerror(-rc), needs);
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
    if (rc != 0) {
        claim->unbound = false;
        snprintf(out_text, max,
                 "own = yes: what has to be put back cannot be noted: %s: %s; "
                 "needs root or CAP_DAC_OVERRIDE, as unbind in /sys does",
                 claim->note, strerror(-rc));
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
refuse_driver(const struct sg_claim *claim, char *out_text, size_t max)
{
    unsigned ms = sg_polled_ms(claim->roots, &claim->found);
    const struct sg_found *found = &claim->found;
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
sg_claim(struct sg_claim *claim, const struct sg_found *found, enum sg_how how,
         char *out_text, size_t max)
{
    int rc = claim->before || how == SG_SHARE
                 ? kept_by(claim->roots, found, out_text, max)
                 : sg_used_by(claim->roots, found, out_text, max);

    if (rc != 0)
        return rc;
    claim->found = *found;
    if (found->driver[0] != '\0' &&
        (how != SG_SHARE || found->type == SG_TYPE_TAPE))
        rc = how == SG_OWN ? take_driver(claim, out_text, max)
                           : refuse_driver(claim, out_text, max);
    if (rc != 0)
        sg_unclaim(claim);
    else
        claim->before = true;
    return rc;
}

bool
sg_is_shared(const struct sg_claim *claim)
{
    return claim->found.driver[0] != '\0' && !claim->unbound;
}

void
sg_unclaim(struct sg_claim *claim)
{
    put_back(claim);
    sg_forget(claim);
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
restore_note(const struct sg_roots *roots, const char *path)
{
    struct sg_claim claim = { .roots = roots, .note_fd = -1 };
    FILE *file = fopen(path, "r+e");
    bool done = false;

    if (file == NULL)
        return false;
    if (flock(fileno(file), LOCK_EX | LOCK_NB) == 0) {
        done = read_note(file, &claim);
        if (done)
            put_back(&claim);
        unlink(path);
    }
    fclose(file);
    return done;
}

unsigned
sg_restore(const struct sg_roots *roots, const char *folder)
{
    DIR *dir = opendir(folder);
    char path[PATH_MAX];
    struct dirent *entry;
    unsigned count = 0;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%.3000s/%s", folder, entry->d_name);
        count += restore_note(roots, path);
    }
    if (dir != NULL)
        closedir(dir);
    return count;
}
