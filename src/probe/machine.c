/*
 * machine.c - the drives of this machine, from /sys, /proc and udev's database
 *
 * SPDX-License-Identifier: MIT
 */
#include "probe/drives.h"
#include "probe/look.h"
#include "probe/sg_used.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 1024

/* --- small files ------------------------------------------------------------------- */

static size_t
read_file(const char *folder, const char *name, uint8_t *out, size_t max)
{
    char path[PATH_BYTES];
    size_t n = 0;
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "re");
    if (file != NULL) {
        n = fread(out, 1, max, file);
        fclose(file);
    }
    return n;
}

static void
read_text(const char *folder, const char *name, char *out_text, size_t max)
{
    uint8_t bytes[256];
    size_t n = read_file(folder, name, bytes, sizeof bytes);

    while (n > 0 && bytes[n - 1] == '\n')
        n--;
    look_text(bytes, n, out_text, max);
}

static long long
read_number(const char *folder, const char *name)
{
    char text[64];

    read_text(folder, name, text, sizeof text);
    return text[0] != '\0' ? strtoll(text, NULL, 10) : -1;
}

/* The first entry of a folder that begins with `prefix`, or "". */
static void
first_entry(const char *folder, const char *prefix, char *out_name, size_t max)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    out_name[0] = '\0';
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.' &&
            strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
            snprintf(out_name, max, "%.*s", (int) max - 1, entry->d_name);
            break;
        }
    if (dir != NULL)
        closedir(dir);
}

/* Where sysfs and proc are, below a root. */
struct system {
    char sys[PATH_BYTES], dev[PATH_BYTES], proc[PATH_BYTES];
    struct sg_roots roots;
};

static const struct sg_roots *
below(const char *root, struct system *out)
{
    snprintf(out->sys, sizeof out->sys, "%s/sys", root);
    snprintf(out->dev, sizeof out->dev, "%s/dev", root);
    snprintf(out->proc, sizeof out->proc, "%s/proc", root);
    out->roots = (struct sg_roots){ out->sys, out->dev, out->proc };
    return &out->roots;
}

/* --- one drive --------------------------------------------------------------------------- */

/* What udev wrote down when the medium came. */
struct noted {
    char label[128], uuid[128], type[64], table[64], table_uuid[128];
    bool cdrom, cdrom_media;
};

/* As udev encodes what may be in no property: \x20. */
static void
decode(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0';) {
        unsigned byte;

        if (from[0] == '\\' && from[1] == 'x' &&
            sscanf(from + 2, "%2x", &byte) == 1 && byte != 0) {
            *to++ = isprint((int) byte) ? (char) byte : '?';
            from += 4;
        } else {
            *to++ = *from++;
        }
    }
    *to = '\0';
}

static void
read_noted(const char *root, const char *block, struct noted *out)
{
    char folder[PATH_BYTES], dev[64], line[512];
    FILE *file;

    memset(out, 0, sizeof *out);
    snprintf(folder, sizeof folder, "%s/sys/class/block/%s", root, block);
    read_text(folder, "dev", dev, sizeof dev);
    snprintf(folder, sizeof folder, "%s/run/udev/data/b%s", root, dev);
    file = fopen(folder, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        sscanf(line, "E:ID_FS_LABEL_ENC=%127[^\n]", out->label);
        if (out->label[0] == '\0')
            sscanf(line, "E:ID_FS_LABEL=%127[^\n]", out->label);
        sscanf(line, "E:ID_FS_UUID=%127[^\n]", out->uuid);
        sscanf(line, "E:ID_FS_TYPE=%63[^\n]", out->type);
        sscanf(line, "E:ID_PART_TABLE_TYPE=%63[^\n]", out->table);
        sscanf(line, "E:ID_PART_TABLE_UUID=%127[^\n]", out->table_uuid);
        out->cdrom |= strcmp(line, "E:ID_CDROM=1\n") == 0;
        out->cdrom_media |= strcmp(line, "E:ID_CDROM_MEDIA=1\n") == 0;
    }
    if (file != NULL)
        fclose(file);
    decode(out->label);
}

/* As look_volume has it. */
static void
noted_volume(const struct noted *noted, char *out_text, size_t max)
{
    const char *type = noted->type[0] != '\0' ? noted->type : noted->table;
    const char *name = noted->label[0] != '\0'  ? noted->label
                       : noted->uuid[0] != '\0' ? noted->uuid
                                                : noted->table_uuid;

    out_text[0] = '\0';
    if (type[0] != '\0')
        snprintf(out_text, max, "%s%s(%s)", name, name[0] != '\0' ? " " : "",
                 type);
}

/* What sr gives as the size of a CD drive without a medium, or before it has
 * looked. */
#define SR_NO_SIZE 0x1FFFFF

static const char *
medium_of(long long sectors, bool no_size, const struct noted *noted)
{
    if (!no_size)
        return sectors > 0 ? "present" : "none";
    return noted->cdrom_media ? "present" : noted->cdrom ? "none" : "unknown";
}

static void
set_block(const char *root, const char *block, const char *type, json_t *row)
{
    char folder[PATH_BYTES], volume[256] = "";
    long long sectors, block_bytes;
    struct noted noted;
    const char *medium;
    bool no_size;

    snprintf(folder, sizeof folder, "%s/sys/class/block/%s", root, block);
    sectors = read_number(folder, "size");
    block_bytes = read_number(folder, "queue/logical_block_size");
    read_noted(root, block, &noted);
    no_size = strcmp(type, "cdrom") == 0 && sectors == SR_NO_SIZE;
    medium = medium_of(sectors, no_size, &noted);
    if (no_size)
        sectors = 0;
    json_object_set_new(row, "medium", json_string(medium));
    json_object_set_new(row, "size_bytes",
                        json_integer(sectors > 0 ? sectors * 512 : 0));
    json_object_set_new(
        row, "block_bytes",
        json_integer(sectors > 0 && block_bytes > 0 ? block_bytes : 0));
    /* What was in it last is no volume of what is not in it. */
    if (strcmp(medium, "present") == 0)
        noted_volume(&noted, volume, sizeof volume);
    json_object_set_new(row, "volume", json_string(volume));
}

/* Nothing takes media out of a disk that is not removable. */
static bool
is_candidate(const char *root, const char *block, const char *type)
{
    char folder[PATH_BYTES];

    if (strcmp(type, "other") == 0)
        return false;
    if (strcmp(type, "disk") != 0 || block[0] == '\0')
        return true;
    snprintf(folder, sizeof folder, "%s/sys/class/block/%s", root, block);
    return read_number(folder, "removable") == 1;
}

static void
set_identity(const char *device, const struct sg_found *found, json_t *row)
{
    static const char *const names[][2] = { { "vendor", "vendor" },
                                            { "product", "model" },
                                            { "revision", "rev" } };
    char text[256];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        read_text(device, names[i][1], text, sizeof text);
        json_object_set_new(row, names[i][0], json_string(text));
    }
    look_text((const uint8_t *) found->serial, strlen(found->serial), text,
              sizeof text);
    json_object_set_new(row, "serial", json_string(text));
}

/* The node that a program of its kind would open, beside the sg node; or "". */
static void
node_of(const struct sg_found *found, char *out_path, size_t max)
{
    const char *name = found->block[0] != '\0' ? found->block : found->other;

    out_path[0] = '\0';
    if (name[0] != '\0')
        snprintf(out_path, max, "/dev/%s%s",
                 strncmp(name, "st", 2) == 0 ? "n" : "", name);
}

static void
one_drive(const char *root, const char *sg, json_t *rows)
{
    char device[PATH_BYTES], node[64], held[512];
    struct sg_found found;
    struct system system;
    const char *type;
    json_t *row;

    if (sg_describe(below(root, &system), sg, &found) != 0)
        return;
    type = look_type((uint8_t) found.type);
    if (!is_candidate(root, found.block, type))
        return;
    snprintf(device, sizeof device, "%s/sys/class/scsi_generic/%s/device", root,
             sg);
    node_of(&found, node, sizeof node);
    sg_all_users(&system.roots, &found, held, sizeof held);
    row =
        json_pack("{s:o, s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:s, s:b}", "name",
                  json_sprintf("/dev/%s", sg), "where", "machine", "type", type,
                  "held_by", held, "medium", "unknown", "size_bytes", 0,
                  "block_bytes", 0, "volume", "", "node", node, "removable", 1);
    set_identity(device, &found, row);
    if (found.block[0] != '\0')
        set_block(root, found.block, type, row);
    json_array_append_new(rows, row);
}

static int
by_number(const struct dirent **a, const struct dirent **b)
{
    return strverscmp((*a)->d_name, (*b)->d_name);
}

void
drives_of_machine(const char *root, json_t *rows)
{
    char folder[PATH_BYTES];
    struct dirent **list = NULL;
    int count;

    snprintf(folder, sizeof folder, "%s/sys/class/scsi_generic", root);
    count = scandir(folder, &list, NULL, by_number);
    for (int i = 0; i < count; i++) {
        if (list[i]->d_name[0] != '.')
            one_drive(root, list[i]->d_name, rows);
        free(list[i]);
    }
    free(list);
}

bool
drives_can_be_seen(const char *root)
{
    char folder[PATH_BYTES], first[64];

    snprintf(folder, sizeof folder, "%s/sys/class/scsi_generic", root);
    if (access(folder, F_OK) == 0)
        return true;
    snprintf(folder, sizeof folder, "%s/sys/class/scsi_device", root);
    first_entry(folder, "", first, sizeof first);
    return first[0] == '\0';
}

/* --- what to say in a configuration ------------------------------------------------------ */

/* Also of one that driver sg does not have, or that is no SCSI device: mounts,
 * and who has it open, are found by its name. */
static void
find_by_node(const struct sg_roots *roots, const char *node,
             struct sg_found *out_found)
{
    char real[PATH_MAX];
    const char *name;
    int rc;

    name = strrchr(realpath(node, real) != NULL ? real : node, '/');
    memset(out_found, 0, sizeof *out_found);
    if (name == NULL)
        return;
    rc = sg_of_name(roots, name + 1, out_found);
    if (rc == -ENXIO || rc == -ENOTSUP)
        snprintf(out_found->block, sizeof out_found->block, "%.31s", name + 1);
}

void
drives_held_by(const char *root, const char *node, char *out_text,
               size_t text_max)
{
    struct sg_found found;
    struct system system;

    out_text[0] = '\0';
    find_by_node(below(root, &system), node, &found);
    if (found.sg[0] != '\0' || found.block[0] != '\0')
        sg_all_users(&system.roots, &found, out_text, text_max);
}

void
drives_polled_by(const char *root, const char *node, char *out_path, size_t max)
{
    struct sg_found found;
    struct system system;

    out_path[0] = '\0';
    find_by_node(below(root, &system), node, &found);
    if (sg_polled_ms(&system.roots, &found) > 0)
        snprintf(out_path, max, "%s/class/block/%s/events_poll_msecs",
                 system.roots.sys, found.block);
}

void
drives_options(const char *root, const char *node, const char *serial,
               json_t *lines)
{
    char line[PATH_BYTES];
    struct sg_found found;
    struct system system;

    find_by_node(below(root, &system), node, &found);
    json_array_append_new(lines, json_string("port = sg"));
    snprintf(line, sizeof line, "device = %s", node);
    /* One that may be unplugged has another name when it comes back. */
    if (strstr(found.devpath, "/usb") != NULL) {
        if (found.serial[0] != '\0')
            serial = found.serial;
        if (serial[0] != '\0')
            snprintf(line, sizeof line, "match = serial:%s", serial);
    }
    json_array_append_new(lines, json_string(line));
    if (found.driver[0] != '\0')
        json_array_append_new(lines, json_string("own = yes"));
}
