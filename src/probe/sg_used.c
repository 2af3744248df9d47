/*
 * sg_used.c - who else uses a drive of this machine
 *
 * People's mounts, swaps, loops and open files are found and named, as far as
 * the kernel tells of them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "probe/sg_used.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A search for them, and what it has found. */
struct users {
    const struct sg_roots *roots;
    const struct sg_found *found;
    char *text; /* untouched while there is none */
    size_t max;
    bool all; /* not the first of them alone */
    bool any;
};

static bool
enough(const struct users *users)
{
    return users->any && !users->all;
}

/* One for which there is no room any more is left out. */
static void __attribute__((format(printf, 2, 3)))
say(struct users *users, const char *format, ...)
{
    size_t len = users->any ? strlen(users->text) : 0;
    char one[768];
    va_list args;

    va_start(args, format);
    vsnprintf(one, sizeof one, format, args);
    va_end(args);
    if (!users->any)
        snprintf(users->text, users->max, "%s", one);
    else if (len + 2 + strlen(one) < users->max)
        snprintf(users->text + len, users->max - len, ", %s", one);
    users->any = true;
}

/* --- names ------------------------------------------------------------------------ */

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

/* Of a process; `whose` says of which, or nothing. */
static void
mounted_in(struct users *users, const char *process, const char *whose)
{
    char path[PATH_MAX], number[32], where[512], *line = NULL;
    size_t room = 0;
    FILE *file;

    snprintf(path, sizeof path, "%s/%s/mountinfo", users->roots->proc, process);
    file = fopen(path, "re");
    while (!enough(users) && file != NULL && getline(&line, &room, file) > 0)
        if (sscanf(line, "%*s %*s %31s %*s %511s", number, where) == 2 &&
            (is_number(users->roots, users->found, number) ||
             is_mounted_from(users->found, line)))
            say(users, "%s is mounted on %s%s%s", users->found->block, where,
                whose[0] != '\0' ? " for process " : "", whose);
    free(line);
    if (file != NULL)
        fclose(file);
}

#define NAMESPACES_MAX 512

/* Each mount namespace once, by the first process that has it, until one has it
 * mounted: containers. */
static void
mounted_elsewhere(struct users *users, char *out_process)
{
    char path[PATH_MAX], seen[NAMESPACES_MAX][32];
    DIR *dir = opendir(users->roots->proc);
    struct dirent *entry;
    size_t count = 0, n;

    while (!users->any && dir != NULL && (entry = readdir(dir)) != NULL) {
        if (!isdigit((unsigned char) entry->d_name[0]) ||
            count == NAMESPACES_MAX)
            continue;
        snprintf(path, sizeof path, "%s/%s/ns/mnt", users->roots->proc,
                 entry->d_name);
        sg_link_name(seen[count], sizeof seen[count], path);
        for (n = 0; strcmp(seen[n], seen[count]) != 0; n++)
            ;
        if (seen[count][0] == '\0' || n < count)
            continue;
        count++;
        snprintf(out_process, SG_PROCESS_MAX, "%.15s", entry->d_name);
        mounted_in(users, entry->d_name, out_process);
    }
    if (dir != NULL)
        closedir(dir);
}

static void
swapped_to(struct users *users)
{
    char path[PATH_MAX], line[512], node[256];
    FILE *file;

    snprintf(path, sizeof path, "%s/swaps", users->roots->proc);
    file = fopen(path, "re");
    while (!enough(users) && file != NULL &&
           fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "%255s", node) == 1 && is_path(users->found, node))
            say(users, "the system swaps to %s", node);
    if (file != NULL)
        fclose(file);
}

/* Device mapper, md: "dm-0" in a folder of the disk or of a partition. */
static void
part_is_held(struct users *users, const char *part)
{
    char path[PATH_MAX];
    struct dirent *entry;
    DIR *dir;

    snprintf(path, sizeof path, "%s/class/block/%s/holders", users->roots->sys,
             part);
    dir = opendir(path);
    while (!enough(users) && dir != NULL && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            say(users, "%s is part of %s", part, entry->d_name);
    if (dir != NULL)
        closedir(dir);
}

/* A loop device keeps no process, and has no entry among the holders. */
static void
loop_is_over_it(struct users *users, const char *loop)
{
    char file[256];

    sg_read_line(file, sizeof file, "%s/class/block/%s/loop/backing_file",
                 users->roots->sys, loop);
    if (is_path(users->found, file))
        say(users, "%s is a loop over %s", loop, file);
}

static void
made_of_it(struct users *users)
{
    char path[PATH_MAX];
    struct dirent *entry;
    DIR *dir;

    snprintf(path, sizeof path, "%s/class/block", users->roots->sys);
    dir = users->found->block[0] != '\0' ? opendir(path) : NULL;
    while (!enough(users) && dir != NULL && (entry = readdir(dir)) != NULL)
        if (is_node(users->found, entry->d_name))
            part_is_held(users, entry->d_name);
        else if (strncmp(entry->d_name, "loop", 4) == 0)
            loop_is_over_it(users, entry->d_name);
    if (dir != NULL)
        closedir(dir);
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
static void
opened_by(struct users *users)
{
    const char *proc = users->roots->proc;
    DIR *dir = opendir(proc);
    char path[PATH_MAX], node[64], comm[32];
    struct dirent *entry;

    while (!enough(users) && dir != NULL && (entry = readdir(dir)) != NULL) {
        const char *pid = entry->d_name;

        if (!isdigit((unsigned char) pid[0]))
            continue;
        snprintf(path, sizeof path, "%s/%s/fd", proc, pid);
        if (!process_has_it(path, users->found,
                            atoi(pid) == getpid() ? users->found->sg : "", node,
                            sizeof node))
            continue;
        sg_read_line(comm, sizeof comm, "%s/%s/comm", proc, pid);
        say(users, "%s is open in process %s (%s)", node, pid, comm);
    }
    if (dir != NULL)
        closedir(dir);
}

/* --- all of them ------------------------------------------------------------------ */

static void
kept_by(struct users *users)
{
    char process[SG_PROCESS_MAX];

    mounted_in(users, "self", "");
    if (!users->any)
        mounted_in(users, "1", "");
    /* Most namespaces have the mounts of ours, too. */
    if (!users->any)
        mounted_elsewhere(users, process);
    if (!enough(users))
        swapped_to(users);
    if (!enough(users))
        made_of_it(users);
}

int
sg_kept_by(const struct sg_roots *roots, const struct sg_found *found,
           char *out_text, size_t max)
{
    struct users users = { roots, found, out_text, max, false, false };

    kept_by(&users);
    return users.any ? -EBUSY : 0;
}

int
sg_used_by(const struct sg_roots *roots, const struct sg_found *found,
           char *out_text, size_t max)
{
    struct users users = { roots, found, out_text, max, false, false };

    kept_by(&users);
    if (!users.any)
        opened_by(&users);
    return users.any ? -EBUSY : 0;
}

void
sg_all_users(const struct sg_roots *roots, const struct sg_found *found,
             char *out_text, size_t max)
{
    struct users users = { roots, found, out_text, max, true, false };

    out_text[0] = '\0';
    kept_by(&users);
    opened_by(&users);
}

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

void
sg_used_tells(const struct sg_roots *roots, const struct sg_found *found,
              char *out_nodes, size_t nodes_max, char *out_mounts,
              size_t mounts_max)
{
    char text[256], process[SG_PROCESS_MAX];
    struct users users = { roots, found, text, sizeof text, false, false };
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
    mounted_elsewhere(&users, process);
    if (users.any)
        snprintf(out_mounts, mounts_max, "%s/%s/mountinfo", roots->proc,
                 process);
}
