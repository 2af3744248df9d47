/*
 * sg_used.c - who else uses a drive of this machine
 *
 * People's mounts, swaps, loops and open files are found and named, as far as
 * the kernel tells of them; what it tells nobody of (the devices of a btrfs, a
 * journal on a disk of its own, a target) is found by asking for the block device
 * alone.
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
#include <unistd.h>

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

/* The other interface to the same driver: "bsg/3:0:0:0". */
static bool
is_bsg(const struct sg_found *found, const char *name)
{
    return strncmp(name, "bsg/", 4) == 0 && strcmp(name + 4, found->hctl) == 0;
}

/* The disk itself, or one of its partitions: sdb, sdb1; sr1, sr1p1, but sr10 is
 * another. */
static bool
is_block(const struct sg_found *found, const char *name)
{
    size_t len = strlen(found->block);

    if (len == 0 || strncmp(name, found->block, len) != 0)
        return false;
    name += len;
    if (name[0] == '\0')
        return true;
    if (isdigit((unsigned char) found->block[len - 1]) && *name++ != 'p')
        return false;
    return name[0] != '\0' && name[strspn(name, "0123456789")] == '\0';
}

static bool
is_node(const struct sg_found *found, const char *name)
{
    return strcmp(name, found->sg) == 0 || is_other(found, name) ||
           is_bsg(found, name) || is_block(found, name);
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
is_path(const struct sg_found *found, const char *path)
{
    const char *name = node_in(path);

    return name != NULL && is_node(found, name);
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

/* Behind a "-": the file system's type, and what it was mounted from.  Some
 * (btrfs) have a number that is no disk's. */
static bool
is_mounted_from(const struct sg_found *found, const char *line)
{
    const char *rest = strstr(line, " - ");
    char source[256];

    return rest != NULL && sscanf(rest, " - %*s %255s", source) == 1 &&
           strncmp(source, "/dev/", 5) == 0 && is_path(found, source);
}

static int
mounted_in(const struct sg_roots *roots, const struct sg_found *found,
           const char *process, char *out_text, size_t max)
{
    char path[PATH_MAX], number[32], where[512], *line = NULL;
    size_t room = 0;
    FILE *file;
    int rc = 0;

    snprintf(path, sizeof path, "%s/%s/mountinfo", roots->proc, process);
    file = fopen(path, "re");
    while (rc == 0 && file != NULL && getline(&line, &room, file) > 0) {
        if (sscanf(line, "%*s %*s %31s %*s %511s", number, where) != 2 ||
            !(is_number(roots, found, number) || is_mounted_from(found, line)))
            continue;
        snprintf(out_text, max, "%s is mounted on %s", found->block, where);
        rc = -EBUSY;
    }
    free(line);
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
        if (sscanf(line, "%255s", node) == 1 && is_path(found, node)) {
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

/* A loop device keeps no process, and has no entry among the holders. */
static int
looped_to(const struct sg_roots *roots, const struct sg_found *found,
          char *out_text, size_t max)
{
    char path[PATH_MAX], file[256];
    struct dirent *entry;
    int rc = 0;
    DIR *dir;

    snprintf(path, sizeof path, "%s/class/block", roots->sys);
    dir = opendir(path);
    while (rc == 0 && dir != NULL && (entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, "loop", 4) != 0)
            continue;
        sg_read_line(file, sizeof file, "%s/%s/loop/backing_file", path,
                     entry->d_name);
        if (!is_path(found, file))
            continue;
        snprintf(out_text, max, "%s is a loop over %s", entry->d_name, file);
        rc = -EBUSY;
    }
    if (dir != NULL)
        closedir(dir);
    return rc;
}

/* By `but` it does not count. */
static bool
process_has_it(const char *folder, const struct sg_found *found,
               const char *but, char *out_node, size_t max)
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
        has = name != NULL && is_node(found, name) && strcmp(name, but) != 0;
        if (has)
            snprintf(out_node, max, "/dev/%.57s", name);
    }
    if (dir != NULL)
        closedir(dir);
    return has;
}

/* Processes of others cannot be looked into without CAP_SYS_PTRACE.  We have the
 * sg node open; whose block device we have, by another drive, has an owner. */
static int
opened_by(const struct sg_roots *roots, const struct sg_found *found,
          char *out_text, size_t max)
{
    DIR *dir = opendir(roots->proc);
    char path[PATH_MAX], node[64], comm[32];
    struct dirent *entry;
    int rc = 0;

    while (rc == 0 && dir != NULL && (entry = readdir(dir)) != NULL) {
        if (!isdigit((unsigned char) entry->d_name[0]))
            continue;
        snprintf(path, sizeof path, "%s/%s/fd", roots->proc, entry->d_name);
        if (!process_has_it(path, found,
                            atoi(entry->d_name) == getpid() ? found->sg : "",
                            node, sizeof node))
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

int
sg_kept_by(const struct sg_roots *roots, const struct sg_found *found,
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
    if (rc == 0)
        rc = looped_to(roots, found, out_text, max);
    return rc;
}

int
sg_used_by(const struct sg_roots *roots, const struct sg_found *found,
           char *out_text, size_t max)
{
    int rc = sg_kept_by(roots, found, out_text, max);

    return rc != 0 ? rc : opened_by(roots, found, out_text, max);
}

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
