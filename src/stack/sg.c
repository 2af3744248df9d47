/*
 * sg.c - drives and robots of this machine: found, made ours, opened
 *
 * What a configuration names may have another name when it comes back: from the
 * first time on it is known by its match, or by what it was then.
 *
 * Context: the callbacks of a unit come one at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stack/sg.h"

#include <errno.h>
#include <fcntl.h>
#include <scsi/sg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "port/port.h"
#include "stack/sg_own.h"

#define NOTES     "/run/reinsert/own"

#define ASKED_MAX 32

struct sg_drive {
    struct ri_service *service;
    struct sg_use use; /* its text: no more, once it was made */
    struct sg_claim claim;
    int number; /* atomic: of its sg node, while it is ours; or -1 */
    char match[SG_MATCH_MAX]; /* "" until it was found by its name */
    bool seen;                /* it was ours once: */
    struct sg_found before;
    /* Serial numbers that drives were asked for: sysfs gives no number to two
     * folders, nor to one that comes again. */
    struct {
        ino_t folder;
        char serial[sizeof((struct sg_found *) 0)->serial];
    } asked[ASKED_MAX];
    size_t asked_next;
};

/* --- who it is ---------------------------------------------------------------- */

/* The kernel keeps the page of some drives only; the others are asked.  INQUIRY
 * takes nobody's unit attention.  False: it did not answer. */
static bool
ask_serial(int fd, struct sg_found *found)
{
    unsigned char page[4 + sizeof found->serial - 1] = { 0 };
    unsigned char cdb[6] = { 0x12, 1, 0x80, 0, sizeof page, 0 }, sense[32];
    struct sg_io_hdr hdr = { .interface_id = 'S',
                             .dxfer_direction = SG_DXFER_FROM_DEV,
                             .cmd_len = sizeof cdb,
                             .mx_sb_len = sizeof sense,
                             .dxfer_len = sizeof page,
                             .dxferp = page,
                             .cmdp = cdb,
                             .sbp = sense,
                             .timeout = 5000 };

    if (found->serial[0] != '\0')
        return true;
    if (ioctl(fd, SG_IO, &hdr) != 0 || hdr.host_status != 0)
        return false;
    if (hdr.status == 0 && page[1] == 0x80)
        sg_take_serial(page, sizeof page, found);
    return true;
}

static ino_t
folder_of(const struct sg_found *found)
{
    char path[600];
    struct stat st;

    snprintf(path, sizeof path, "/sys%s", found->devpath);
    return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* Once: whoever waits for a drive is told when one of its nodes is closed, and
 * two that ask in turn would never rest.  -errno: it cannot be opened for that,
 * so nobody knows whether it is the one. */
static int
look_for_serial(struct sg_drive *sg, struct sg_found *found)
{
    ino_t folder = folder_of(found);
    char path[64];
    bool answered;
    int fd;

    if (found->serial[0] != '\0' || folder == 0)
        return 0;
    for (size_t i = 0; i < ASKED_MAX; i++)
        if (sg->asked[i].folder == folder) {
            memcpy(found->serial, sg->asked[i].serial, sizeof found->serial);
            return 0;
        }
    snprintf(path, sizeof path, "/dev/%s", found->sg);
    fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    answered = ask_serial(fd, found);
    close(fd);
    if (!answered)
        return 0;
    sg->asked[sg->asked_next].folder = folder;
    memcpy(sg->asked[sg->asked_next].serial, found->serial,
           sizeof found->serial);
    sg->asked_next = (sg->asked_next + 1) % ASKED_MAX;
    return 0;
}

/* --- opening ------------------------------------------------------------------- */

/* Whether it may be opened is asked before who has it: that is known to nobody
 * else. */
static int
may_open(const struct sg_found *found, char *out_text, size_t max)
{
    char path[64];

    snprintf(path, sizeof path, "/dev/%s", found->sg);
    return euidaccess(path, R_OK | W_OK) == 0 ||
                   (errno != EACCES && errno != EPERM)
               ? 0
               : sg_not_permitted(path, errno, out_text, max);
}

/* Of its sg node: of others nothing is said here. */
static void
say_who_has_it(const struct sg_found *found, char *out_text, size_t max)
{
    struct sg_found node = *found;

    node.block[0] = node.other[0] = '\0';
    if (sg_used_by(&sg_system, &node, out_text, max) == 0)
        snprintf(out_text, max, "/dev/%s is open in this or another process",
                 found->sg);
}

static int
open_node(const struct sg_found *found, char *out_text, size_t max)
{
    char path[64];
    int fd, error;

    snprintf(path, sizeof path, "/dev/%s", found->sg);
    fd = open(path, O_RDWR | O_NONBLOCK | O_EXCL | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    error = errno;
    if (error == EACCES || error == EPERM)
        return sg_not_permitted(path, error, out_text, max);
    if (error == EBUSY)
        say_who_has_it(found, out_text, max);
    else
        snprintf(out_text, max, "%s: %s", path, strerror(error));
    return -error;
}

static int
open_diskseq(const struct sg_found *found)
{
    char path[128];

    if (found->block[0] == '\0')
        return -1;
    snprintf(path, sizeof path, "/sys/class/block/%s/diskseq", found->block);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static int
open_count(const struct sg_found *found)
{
    char path[600];

    snprintf(path, sizeof path, "/sys%s/iorequest_cnt", found->devpath);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static enum sg_how
how(const struct sg_drive *sg)
{
    return sg->use.config->shared ? SG_SHARE
           : sg->use.config->own  ? SG_OWN
                                  : SG_ALONE;
}

/* Also of several, of which any would do. */
static void
tell_users(const struct sg_found *found, struct port_sg_device *out_device)
{
    size_t len = strlen(out_device->used_nodes);

    sg_used_tells(&sg_system, found, out_device->used_nodes + len,
                  sizeof out_device->used_nodes - len, out_device->used_mounts,
                  sizeof out_device->used_mounts);
}

static int
take(struct sg_drive *sg, struct sg_found *found,
     struct port_sg_device *out_device, char *out_text, size_t max)
{
    int fd = -1, rc = may_open(found, out_text, max);

    if (rc == 0)
        rc = sg_refused(&sg->claim, found, how(sg), out_text, max);
    if (rc == 0) {
        fd = open_node(found, out_text, max);
        rc = fd < 0 ? fd : sg_claim(&sg->claim, found, how(sg), out_text, max);
    }
    if (rc != 0) {
        if (fd >= 0)
            close(fd);
        tell_users(found, out_device);
        return rc;
    }
    ask_serial(fd, found);
    out_device->fd = fd;
    out_device->diskseq_fd = open_diskseq(&sg->claim.found);
    out_device->tape = found->type == SG_TYPE_TAPE;
    out_device->shared = sg_is_shared(&sg->claim);
    /* One that polls on would be a change every other second. */
    out_device->count_fd = sg->use.config->shared ? -1 : open_count(found);
    snprintf(out_device->node, sizeof out_device->node, "%s", found->sg);
    snprintf(out_device->devpath, sizeof out_device->devpath, "%s",
             found->devpath);
    __atomic_store_n(&sg->number, atoi(found->sg + 2), __ATOMIC_RELEASE);
    sg->seen = true;
    sg->before = *found;
    if (sg->match[0] == '\0' || strcmp(sg->match, "any-removable") == 0)
        sg_remember(found, sg->match);
    return 0;
}

static int
take_by_name(struct sg_drive *sg, struct port_sg_device *out_device,
             char *out_text, size_t max)
{
    const char *device = sg->use.config->device;
    struct sg_found found;
    int rc = sg_of_device(&sg_system, device, &found);

    if (rc == -ENOTSUP)
        snprintf(out_text, max, "%.200s is no SCSI drive", device);
    else if (rc == -ENXIO)
        snprintf(out_text, max,
                 "%.200s: driver sg of the kernel does not have it; `modprobe "
                 "sg` loads that",
                 device);
    else if (rc != 0)
        snprintf(out_text, max, "%.200s: %s", device, strerror(-rc));
    return rc != 0 ? rc : take(sg, &found, out_device, out_text, max);
}

/* One that may be it, or not: it is waited for as if it were. */
static int
not_known(const struct sg_drive *sg, const struct sg_found *found, int rc,
          struct port_sg_device *out_device, char *out_text, size_t max)
{
    char why[256] = "", path[64];

    snprintf(path, sizeof path, "/dev/%s", found->sg);
    if (rc == -EBUSY)
        say_who_has_it(found, why, sizeof why);
    else
        sg_not_permitted(path, -rc, why, sizeof why);
    snprintf(out_text, max,
             "there is no drive that matches %.60s, unless it is one whose "
             "serial number cannot be asked for: %.160s",
             sg->match, why);
    tell_users(found, out_device);
    return rc;
}

/* The first that can be taken; if none can, why the last could not. */
static int
take_by_match(struct sg_drive *sg, struct port_sg_device *out_device,
              char *out_text, size_t max)
{
    struct sg_found *list = NULL;
    size_t count = 0;
    int rc = sg_list(&sg_system, &list, &count);
    int last = -ENODEV;

    snprintf(out_text, max, "there is no drive that matches %.200s", sg->match);
    for (size_t i = 0; rc == 0 && last != 0 && i < count; i++) {
        int asked = strncmp(sg->match, "serial:", 7) == 0
                        ? look_for_serial(sg, &list[i])
                        : 0;

        if (last == -ENODEV && (asked == -EBUSY || asked == -EACCES))
            last = not_known(sg, &list[i], asked, out_device, out_text, max);
        if (!sg_matches(&list[i], sg->match))
            continue;
        if (!sg->seen || sg_is_still(&sg->before, &list[i]))
            last = take(sg, &list[i], out_device, out_text, max);
        else if (last == -ENODEV)
            snprintf(out_text, max,
                     "%s matches %.150s, but is of another type or another "
                     "unit than before",
                     list[i].sg, sg->match);
    }
    free(list);
    return rc != 0 ? rc : last;
}

/* --- the port's callbacks --------------------------------------------------------- */

static int
sg_found_open(void *context, struct port_sg_device *out_device, char *out_text,
              size_t text_max)
{
    struct sg_drive *sg = context;

    out_device->used_nodes[0] = out_device->used_mounts[0] = '\0';
    return sg->match[0] != '\0'
               ? take_by_match(sg, out_device, out_text, text_max)
               : take_by_name(sg, out_device, out_text, text_max);
}

static void
sg_gone(void *context, bool lost)
{
    struct sg_drive *sg = context;
    char text[SG_WHY_MAX];

    __atomic_store_n(&sg->number, -1, __ATOMIC_RELEASE);
    if (lost)
        sg_forget(&sg->claim);
    else if (sg_unclaim(&sg->claim, text, sizeof text) != 0)
        event_send(sg->service, "drive", sg->use.config->name, "", 0,
                   "drive %s: %s", sg->use.config->name, text);
}

/* A driver that came: away with it, or at least what it sees is known. */
static int
sg_settle(void *context, struct port_sg_device *device, char *out_text,
          size_t text_max)
{
    struct sg_drive *sg = context;
    struct sg_found found;
    int rc;

    if (sg_describe(&sg_system, device->node, &found) != 0 ||
        found.driver[0] == '\0')
        return 0;
    if (device->diskseq_fd >= 0)
        close(device->diskseq_fd);
    device->diskseq_fd = -1;
    rc = sg_claim(&sg->claim, &found, how(sg), out_text, text_max);
    if (rc == -EBUSY) {
        device->used_nodes[0] = device->used_mounts[0] = '\0';
        tell_users(&found, device);
        return rc;
    }
    if (rc == 0)
        found = sg->claim.found;
    device->diskseq_fd = open_diskseq(&found);
    device->shared = rc != 0 || sg_is_shared(&sg->claim);
    return 0;
}

static void
sg_turned(void *context)
{
    struct sg_drive *sg = context;

    sg->use.turned(sg->use.context);
}

/* --- life ---------------------------------------------------------------------------- */

void
sg_begin(struct ri_service *service)
{
    char text[SG_WHY_MAX];

    sg_restore(&sg_system, NOTES, text, sizeof text);
    if (text[0] != '\0')
        event_send(service, "drive", "", "", 0,
                   "taken by a service that was killed: %s", text);
}

NTSTATUS
sg_unit(struct ri_service *service, const struct sg_use *use,
        struct sg_drive **out_sg, PDEVICE_OBJECT *out_pdo)
{
    struct sg_drive *sg = calloc(1, sizeof *sg);

    if (sg == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    *out_sg = sg;
    sg->service = service;
    sg->number = -1;
    sg->use = *use;
    sg->claim.roots = &sg_system;
    sg->claim.notes = NOTES;
    sg->claim.note_fd = -1;
    snprintf(sg->match, sizeof sg->match, "%s", use->config->match);
    return port_add_sg(
        service->port,
        &(struct port_sg_config){ .open = sg_found_open,
                                  .gone = sg_gone,
                                  .settle = sg_settle,
                                  .turned = sg_turned,
                                  .context = sg,
                                  .may_be_away = use->may_be_away,
                                  .out_text = use->out_text,
                                  .text_max = use->text_max },
        use->config->name, out_pdo);
}

void
sg_node(const struct sg_drive *sg, char *out_path, size_t max)
{
    int number =
        sg != NULL ? __atomic_load_n(&sg->number, __ATOMIC_ACQUIRE) : -1;

    out_path[0] = '\0';
    if (number >= 0)
        snprintf(out_path, max, "/dev/sg%d", number);
}

void
sg_unit_free(struct sg_drive *sg)
{
    free(sg);
}
