/*
 * machine.c - the drives of this machine, from /sys, /proc and udev's database
 *
 * SPDX-License-Identifier: MIT
 */
#include "probe/drives.h"
#include "probe/look.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 1024
#define NODES_MAX  12

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

/* --- who has it ------------------------------------------------------------------------ */

struct holders {
    const char *root;
    char nodes[NODES_MAX][64]; /* "/dev/sg2", "/dev/sdb" */
    size_t node_count;
    char *text;
    size_t max;
};

static void
add_holder(struct holders *holders, const char *format, const char *who,
           const char *what)
{
    size_t len = strlen(holders->text);

    if (len + 3 >= holders->max)
        return;
    if (len > 0)
        len += (size_t) snprintf(holders->text + len, holders->max - len, ", ");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(holders->text + len, holders->max - len, format, who, what);
#pragma GCC diagnostic pop
}

/* Of a tape drive: nst0 first, as what it is called, then st0, st0a ... */
static void
add_tape_nodes(struct holders *holders, const char *folder)
{
    size_t first = holders->node_count;
    DIR *dir = opendir(folder);
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL &&
           holders->node_count < NODES_MAX) {
        char *at = holders->nodes[holders->node_count];
        char before[64];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(at, 64, "/dev/%.50s", entry->d_name);
        holders->node_count++;
        if (entry->d_name[0] != 'n' ||
            !isdigit((unsigned char) at[strlen(at) - 1]))
            continue; /* nst0a is a mode of it */
        memcpy(before, holders->nodes[first], 64);
        memcpy(holders->nodes[first], at, 64);
        memcpy(at, before, 64);
    }
    if (dir != NULL)
        closedir(dir);
}

/* A node, or a partition of it: sdb1 of sdb, sr0p1 of sr0; not sg12 of sg1. */
static bool
is_node(const struct holders *holders, const char *path)
{
    for (size_t i = 0; i < holders->node_count; i++) {
        const char *node = holders->nodes[i];
        size_t len = strlen(node);
        bool numbered = isdigit((unsigned char) node[len - 1]);

        if (strncmp(path, node, len) == 0 &&
            (path[len] == '\0' || (numbered && path[len] == 'p') ||
             (!numbered && isdigit((unsigned char) path[len]))))
            return true;
    }
    return false;
}

static void
find_mounts(struct holders *holders)
{
    char path[PATH_BYTES], line[2048], device[512], where[512];
    FILE *file;

    snprintf(path, sizeof path, "%s/proc/self/mounts", holders->root);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "%511s %511s", device, where) == 2 &&
            is_node(holders, device))
            add_holder(holders, "mounted at %s", where, "");
    if (file != NULL)
        fclose(file);
}

static void
find_swaps(struct holders *holders)
{
    char path[PATH_BYTES], line[1024], device[512];
    FILE *file;

    snprintf(path, sizeof path, "%s/proc/swaps", holders->root);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "%511s", device) == 1 && is_node(holders, device))
            add_holder(holders, "%sthe system swaps to it%s", "", "");
    if (file != NULL)
        fclose(file);
}

/* dm, md, loop over it. */
static void
find_stacked(struct holders *holders, const char *block)
{
    char folder[PATH_BYTES];
    struct dirent *entry;
    DIR *dir;

    snprintf(folder, sizeof folder, "%s/sys/class/block/%s/holders",
             holders->root, block);
    dir = opendir(folder);
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            add_holder(holders, "used by %s", entry->d_name, "");
    if (dir != NULL)
        closedir(dir);
}

static void
find_open_by(struct holders *holders, const char *process)
{
    char folder[PATH_BYTES], path[PATH_BYTES + 300], target[512], name[64];
    struct dirent *entry;
    DIR *dir;

    snprintf(folder, sizeof folder, "%s/proc/%s/fd", holders->root, process);
    dir = opendir(folder);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        ssize_t n;

        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        n = readlink(path, target, sizeof target - 1);
        if (n <= 0)
            continue;
        target[n] = '\0';
        if (!is_node(holders, target))
            continue;
        snprintf(folder, sizeof folder, "%s/proc/%s", holders->root, process);
        read_text(folder, "comm", name, sizeof name);
        add_holder(holders, "open by %s (%s)", name, process);
        break;
    }
    if (dir != NULL)
        closedir(dir);
}

static void
find_open(struct holders *holders)
{
    char folder[PATH_BYTES];
    struct dirent *entry;
    DIR *dir;

    snprintf(folder, sizeof folder, "%s/proc", holders->root);
    dir = opendir(folder);
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (isdigit((unsigned char) entry->d_name[0]))
            find_open_by(holders, entry->d_name);
    if (dir != NULL)
        closedir(dir);
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

/* As `match` takes it: of the USB device that it is in, else its own. */
static void
usb_serial(char *device, const char *serial, char *out_text, size_t max)
{
    char *slash;

    snprintf(out_text, max, "%s", serial);
    while ((slash = strrchr(device, '/')) != NULL) {
        char text[128];

        *slash = '\0';
        if (read_number(device, "idVendor") < 0)
            continue;
        read_text(device, "serial", text, sizeof text);
        if (text[0] != '\0')
            snprintf(out_text, max, "%s", text);
        return;
    }
}

static void
set_identity(const char *device, const char *type, json_t *row)
{
    static const char *const names[][2] = { { "vendor", "vendor" },
                                            { "product", "model" },
                                            { "revision", "rev" } };
    uint8_t page[256];
    char text[256], own[256], real[PATH_MAX];
    size_t n;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        read_text(device, names[i][1], text, sizeof text);
        json_object_set_new(row, names[i][0], json_string(text));
    }
    n = read_file(device, "vpd_pg80", page, sizeof page);
    look_text(page + 4, n > 4 ? (page[3] < n - 4 ? page[3] : n - 4) : 0, own,
              sizeof own);
    if (realpath(device, real) != NULL)
        usb_serial(real, own, text, sizeof text);
    else
        snprintf(text, sizeof text, "%s", own);
    json_object_set_new(row, "serial", json_string(text));
    json_object_set_new(row, "type", json_string(type));
}

/* Of the device, which the sg node is one of. */
static void
find_holders(struct holders *holders, const char *device, const char *sg,
             const char *block)
{
    char folder[PATH_BYTES + 32], changer[64];

    snprintf(folder, sizeof folder, "%s/scsi_changer", device);
    first_entry(folder, "sch", changer, sizeof changer);
    snprintf(holders->nodes[holders->node_count++], 64, "/dev/%.50s", sg);
    if (block[0] != '\0')
        snprintf(holders->nodes[holders->node_count++], 64, "/dev/%.50s",
                 block);
    snprintf(folder, sizeof folder, "%s/scsi_tape", device);
    add_tape_nodes(holders, folder);
    if (changer[0] != '\0' && holders->node_count < NODES_MAX)
        snprintf(holders->nodes[holders->node_count++], 64, "/dev/%.50s",
                 changer);
    find_mounts(holders);
    find_swaps(holders);
    if (block[0] != '\0')
        find_stacked(holders, block);
    find_open(holders);
}

static void
one_drive(const char *root, const char *sg, json_t *rows)
{
    char device[PATH_BYTES], folder[PATH_BYTES + 32], block[64];
    char held[512] = "";
    struct holders holders = { .root = root, .text = held, .max = sizeof held };
    const char *type;
    json_t *row;

    snprintf(device, sizeof device, "%s/sys/class/scsi_generic/%s/device", root,
             sg);
    type = look_type((uint8_t) read_number(device, "type"));
    snprintf(folder, sizeof folder, "%s/block", device);
    first_entry(folder, "", block, sizeof block);
    if (!is_candidate(root, block, type))
        return;
    find_holders(&holders, device, sg, block);
    row = json_pack(
        "{s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:s, s:b}", "name",
        holders.nodes[0], "where", "machine", "held_by", held, "medium",
        "unknown", "size_bytes", 0, "block_bytes", 0, "volume", "", "node",
        holders.node_count > 1 ? holders.nodes[1] : "", "removable", 1);
    set_identity(device, type, row);
    if (block[0] != '\0')
        set_block(root, block, type, row);
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

/* Where the SCSI device of a node is; false: it has none. */
static bool
device_of(const char *root, const char *node, char *out_path)
{
    static const char *const classes[] = { "scsi_generic", "block", "scsi_tape",
                                           "scsi_changer" };
    char path[PATH_BYTES], real[PATH_MAX];
    const char *name;

    name = strrchr(realpath(node, real) != NULL ? real : node, '/');
    name = name != NULL ? name + 1 : node;
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        snprintf(path, sizeof path, "%s/sys/class/%s/%.200s/device", root,
                 classes[i], name);
        if (realpath(path, out_path) != NULL)
            return true;
    }
    return false;
}

void
drives_held_by(const char *root, const char *node, char *out_text,
               size_t text_max)
{
    char device[PATH_MAX], folder[PATH_MAX + 32], sg[64], block[64];
    struct holders holders = { .root = root,
                               .text = out_text,
                               .max = text_max };

    out_text[0] = '\0';
    if (!device_of(root, node, device))
        return;
    snprintf(folder, sizeof folder, "%s/scsi_generic", device);
    first_entry(folder, "sg", sg, sizeof sg);
    snprintf(folder, sizeof folder, "%s/block", device);
    first_entry(folder, "", block, sizeof block);
    if (sg[0] == '\0')
        snprintf(sg, sizeof sg, "%.50s", "(none)");
    find_holders(&holders, device, sg, block);
}

void
drives_options(const char *root, const char *node, const char *serial,
               json_t *lines)
{
    char device[PATH_MAX] = "", driver[PATH_MAX + 8], number[128];
    char line[PATH_BYTES];

    json_array_append_new(lines, json_string("port = sg"));
    (void) device_of(root, node, device);
    snprintf(driver, sizeof driver, "%s/driver", device);
    snprintf(line, sizeof line, "device = %s", node);
    /* One that may be unplugged has another name when it comes back. */
    if (strstr(device, "/usb") != NULL) {
        usb_serial(device, serial, number, sizeof number);
        if (number[0] != '\0')
            snprintf(line, sizeof line, "match = serial:%s", number);
    }
    json_array_append_new(lines, json_string(line));
    if (device[0] != '\0' && access(driver, F_OK) == 0)
        json_array_append_new(lines, json_string("own = yes"));
}
