/*
 * sg_find.c - drives of this machine that take SCSI commands, as sysfs has them
 *
 * SPDX-License-Identifier: MIT
 */
#include "probe/sg_find.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

const struct sg_roots sg_system = { "/sys", "/dev", "/proc" };

/* --- files ------------------------------------------------------------------- */

static size_t
read_bytes(const char *path, void *out, size_t max)
{
    FILE *file = fopen(path, "re");
    size_t got = file != NULL ? fread(out, 1, max, file) : 0;

    if (file != NULL)
        fclose(file);
    return got;
}

static void
trim(char *text)
{
    size_t len = strlen(text), lead = strspn(text, " \t");

    while (len > 0 && isspace((unsigned char) text[len - 1]))
        text[--len] = '\0';
    if (lead < len)
        memmove(text, text + lead, len - lead + 1);
    else
        text[0] = '\0';
}

void
sg_read_line(char *out, size_t max, const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;
    size_t len;

    va_start(args, format);
    vsnprintf(path, sizeof path, format, args);
    va_end(args);
    len = read_bytes(path, out, max - 1);
    out[len] = '\0';
    out[strcspn(out, "\n")] = '\0';
    trim(out);
}

/* The last part of what a link leads to. */
void
sg_link_name(char *out, size_t max, const char *path)
{
    char target[PATH_MAX];
    ssize_t len = readlink(path, target, sizeof target - 1);
    const char *name;

    out[0] = '\0';
    if (len <= 0)
        return;
    target[len] = '\0';
    name = strrchr(target, '/');
    snprintf(out, max, "%.31s", name != NULL ? name + 1 : target);
}

/* The first name in a folder. */
static bool
first_in(const char *folder, char *out, size_t max)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    out[0] = '\0';
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.') {
            snprintf(out, max, "%.31s", entry->d_name);
            break;
        }
    if (dir != NULL)
        closedir(dir);
    return out[0] != '\0';
}

/* The shortest of the names in a folder: st0, of which st0a and nst0 are modes. */
static void
shortest_in(const char *folder, char *out, size_t max)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    out[0] = '\0';
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.' &&
            (out[0] == '\0' || strlen(entry->d_name) < strlen(out)))
            snprintf(out, max, "%.31s", entry->d_name);
    if (dir != NULL)
        closedir(dir);
}

/* --- one device ------------------------------------------------------------------ */

static bool
has_file(const char *folder, const char *name)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%.3000s/%s", folder, name);
    return access(path, F_OK) == 0;
}

/* Of the USB device that it is, or is in: a reader for cards of several sorts
 * has a unit for each. */
static void
usb_identity(const struct sg_roots *roots, struct sg_found *found)
{
    char folder[PATH_MAX], *slash;
    size_t root = strlen(roots->sys);

    snprintf(folder, sizeof folder, "%s%s", roots->sys, found->devpath);
    while ((slash = strrchr(folder, '/')) != NULL &&
           (size_t) (slash - folder) > root) {
        *slash = '\0';
        if (has_file(folder, "idVendor")) {
            const char *unit = strrchr(found->hctl, ':');

            sg_read_line(found->serial, sizeof found->serial, "%s/serial",
                         folder);
            found->slot = unit != NULL ? atoi(unit + 1) : -1;
            return;
        }
    }
}

void
sg_take_serial(const unsigned char *page, size_t len, struct sg_found *found)
{
    size_t n = 0;

    for (size_t i = 4; i < len && i - 4 < page[3] && page[i] != '\0'; i++)
        if (isprint(page[i]) && n < sizeof found->serial - 1)
            found->serial[n++] = (char) page[i];
    found->serial[n] = '\0';
    trim(found->serial);
}

/* As the drive said it when it was attached. */
static void
page_serial(const char *folder, struct sg_found *found)
{
    unsigned char page[4 + sizeof found->serial - 1];
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%.3000s/vpd_pg80", folder);
    sg_take_serial(page, read_bytes(path, page, sizeof page), found);
}

static void
fill_identity(const struct sg_roots *roots, const char *folder,
              struct sg_found *found)
{
    unsigned char inquiry[36] = { 0 };
    char path[PATH_MAX], type[8];

    snprintf(path, sizeof path, "%.3000s/inquiry", folder);
    if (read_bytes(path, inquiry, sizeof inquiry) >= 2)
        found->removable = (inquiry[1] & 0x80) != 0;
    sg_read_line(type, sizeof type, "%s/type", folder);
    found->type = type[0] != '\0' ? atoi(type) : -1;
    sg_read_line(found->vendor, sizeof found->vendor, "%s/vendor", folder);
    sg_read_line(found->model, sizeof found->model, "%s/model", folder);
    found->slot = -1;
    usb_identity(roots, found);
    if (found->serial[0] == '\0')
        page_serial(folder, found);
}

int
sg_describe(const struct sg_roots *roots, const char *sg,
            struct sg_found *out_found)
{
    char path[PATH_MAX], folder[PATH_MAX];
    size_t root = strlen(roots->sys);
    struct sg_found found = { 0 };

    if (strchr(sg, '/') != NULL || strlen(sg) >= sizeof found.sg)
        return -EINVAL;
    snprintf(path, sizeof path, "%s/class/scsi_generic/%s/device", roots->sys,
             sg);
    if (realpath(path, folder) == NULL)
        return -ENODEV;
    if (strncmp(folder, roots->sys, root) != 0 ||
        strlen(folder + root) >= sizeof found.devpath)
        return -ENODEV;
    strcpy(found.sg, sg);
    strcpy(found.devpath, folder + root);
    snprintf(found.hctl, sizeof found.hctl, "%s", strrchr(folder, '/') + 1);
    snprintf(path, sizeof path, "%.3000s/driver", folder);
    sg_link_name(found.driver, sizeof found.driver, path);
    snprintf(path, sizeof path, "%.3000s/block", folder);
    first_in(path, found.block, sizeof found.block);
    snprintf(path, sizeof path, "%.3000s/scsi_tape", folder);
    shortest_in(path, found.other, sizeof found.other);
    if (found.other[0] == '\0') {
        snprintf(path, sizeof path, "%.3000s/scsi_changer", folder);
        shortest_in(path, found.other, sizeof found.other);
    }
    fill_identity(roots, folder, &found);
    *out_found = found;
    return 0;
}

/* --- all of them --------------------------------------------------------------------- */

static int
by_number(const struct dirent **a, const struct dirent **b)
{
    return strverscmp((*a)->d_name, (*b)->d_name);
}

static int
is_sg(const struct dirent *entry)
{
    return strncmp(entry->d_name, "sg", 2) == 0;
}

int
sg_list(const struct sg_roots *roots, struct sg_found **out_list,
        size_t *out_count)
{
    struct dirent **names = NULL;
    struct sg_found *list;
    char path[PATH_MAX];
    size_t used = 0;
    int count;

    snprintf(path, sizeof path, "%s/class/scsi_generic", roots->sys);
    count = scandir(path, &names, is_sg, by_number);
    if (count < 0 && errno != ENOENT)
        return -errno;
    list = calloc((size_t) (count > 0 ? count : 0) + 1, sizeof *list);
    for (int i = 0; i < count; i++) {
        if (list != NULL &&
            sg_describe(roots, names[i]->d_name, &list[used]) == 0)
            used++;
        free(names[i]);
    }
    free(names);
    if (list == NULL)
        return -ENOMEM;
    *out_list = list;
    *out_count = used;
    return 0;
}

/* Where sysfs has a node of this name, by drivers sd and sr, st, and ch. */
static bool
find_node(const struct sg_roots *roots, const char *name, char *out_folder)
{
    static const char *const classes[] = { "block", "scsi_tape",
                                           "scsi_changer" };
    char path[PATH_MAX];

    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        snprintf(path, sizeof path, "%s/class/%s/%.200s", roots->sys,
                 classes[i], name);
        if (realpath(path, out_folder) != NULL)
            return true;
    }
    return false;
}

/* A node without a device: its driver was sent away, or it was unplugged, and
 * nobody took the node away. */
static bool
is_of_nobody(const struct sg_roots *roots, const char *node)
{
    char path[PATH_MAX];
    struct stat st;

    if (stat(node, &st) != 0 || !(S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode)))
        return false;
    snprintf(path, sizeof path, "%s/dev/%s/%u:%u", roots->sys,
             S_ISBLK(st.st_mode) ? "block" : "char", major(st.st_rdev),
             minor(st.st_rdev));
    return access(path, F_OK) != 0;
}

/* By the folder of its node in sysfs. */
static bool
is_scsi(const char *folder)
{
    char path[PATH_MAX], bus[32];

    snprintf(path, sizeof path, "%.3000s/device/subsystem", folder);
    sg_link_name(bus, sizeof bus, path);
    return strcmp(bus, "scsi") == 0;
}

int
sg_of_name(const struct sg_roots *roots, const char *name,
           struct sg_found *out_found)
{
    char path[PATH_MAX], whole[PATH_MAX], sg[32];

    if (strncmp(name, "sg", 2) == 0 && isdigit((unsigned char) name[2]))
        return sg_describe(roots, name, out_found);
    if (!find_node(roots, name, whole))
        return -ENOTSUP;
    /* Of a partition: the disk that it is on. */
    if (has_file(whole, "partition"))
        *strrchr(whole, '/') = '\0';
    snprintf(path, sizeof path, "%.3000s/device/scsi_generic", whole);
    if (!first_in(path, sg, sizeof sg))
        return is_scsi(whole) ? -ENXIO : -ENOTSUP;
    return sg_describe(roots, sg, out_found);
}

int
sg_of_device(const struct sg_roots *roots, const char *device,
             struct sg_found *out_found)
{
    char real[PATH_MAX];
    int rc;

    if (realpath(device, real) == NULL)
        return -errno;
    rc = sg_of_name(roots, strrchr(real, '/') + 1, out_found);
    return rc == -ENOTSUP && is_of_nobody(roots, real) ? -ENODEV : rc;
}

/* In the words of those who can change it. */
int
sg_not_permitted(const char *path, int error, char *out_text, size_t max)
{
    struct stat st;
    struct group *group = stat(path, &st) == 0 ? getgrgid(st.st_gid) : NULL;

    snprintf(out_text, max,
             "%s: %s; reading and writing it is for user %u and group %s "
             "(mode %03o), and needs no capability",
             path, strerror(error), (unsigned) st.st_uid,
             group != NULL ? group->gr_name : "?",
             (unsigned) st.st_mode & 0777);
    return -error;
}

/* --- the same drive, under whichever name -------------------------------------------- */

const char *
sg_match_fault(const char *match)
{
    if (strcmp(match, "any-removable") == 0)
        return NULL;
    if (strncmp(match, "serial:", 7) == 0)
        return match[7] != '\0' ? NULL : "the serial number is missing";
    if (strncmp(match, "path:", 5) == 0)
        return match[5 + strspn(match + 5, "/")] != '\0'
                   ? NULL
                   : "the path is missing";
    return "is none of serial:TEXT, path:PART, any-removable";
}

/* Whole names between slashes. */
static bool
is_part(const char *devpath, const char *part)
{
    size_t len;

    part += strspn(part, "/");
    for (len = strlen(part); len > 0 && part[len - 1] == '/';)
        len--;
    for (const char *at = devpath; (at = strchr(at, '/')) != NULL;) {
        at++;
        if (strncmp(at, part, len) == 0 && (at[len] == '/' || at[len] == '\0'))
            return true;
    }
    return false;
}

/* Where it is plugged in, without the number of the host, which grows. */
static void
place_of(const struct sg_found *found, char *out, size_t max)
{
    const char *host = strstr(found->devpath, "/host");
    const char *unit = strchr(found->hctl, ':');

    snprintf(out, max, "%.*s %s",
             (int) (host != NULL ? (size_t) (host - found->devpath)
                                 : strlen(found->devpath)),
             found->devpath, unit != NULL ? unit + 1 : "");
}

bool
sg_is_still(const struct sg_found *before, const struct sg_found *now)
{
    return before->type == now->type &&
           (before->slot < 0 || now->slot < 0 || before->slot == now->slot);
}

bool
sg_matches(const struct sg_found *found, const char *match)
{
    char place[SG_MATCH_MAX];

    if (strncmp(match, "serial:", 7) == 0)
        return strcmp(found->serial, match + 7) == 0;
    if (strncmp(match, "path:", 5) == 0)
        return is_part(found->devpath, match + 5);
    if (strncmp(match, "place:", 6) == 0) {
        place_of(found, place, sizeof place);
        return strcmp(place, match + 6) == 0;
    }
    return found->removable &&
           (found->type == 0 || found->type == 5 || found->type == 7);
}

void
sg_remember(const struct sg_found *found, char *out_match)
{
    if (found->serial[0] != '\0') {
        snprintf(out_match, SG_MATCH_MAX, "serial:%s", found->serial);
        return;
    }
    memcpy(out_match, "place:", 7);
    place_of(found, out_match + 6, SG_MATCH_MAX - 6);
}
