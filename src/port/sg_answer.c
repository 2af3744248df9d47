/*
 * sg_answer.c - what the kernel says of the end of commands, and of devices
 *
 * Pure.  SG_IO's documentation is the
 * kernel's "SCSI Generic (sg) HOWTO"; the codes of hosts are those of
 * scsi_status.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/sg.h"

#include <string.h>

/* --- answers ---------------------------------------------------------------------- */

static const uint8_t by_host[] = {
    [0x00] = SRB_STATUS_SUCCESS,                /* DID_OK */
    [0x01] = SRB_STATUS_SELECTION_TIMEOUT,      /* DID_NO_CONNECT */
    [0x02] = SRB_STATUS_BUSY,                   /* DID_BUS_BUSY */
    [0x03] = SRB_STATUS_TIMEOUT,                /* DID_TIME_OUT */
    [0x04] = SRB_STATUS_SELECTION_TIMEOUT,      /* DID_BAD_TARGET */
    [0x05] = SRB_STATUS_ABORTED,                /* DID_ABORT */
    [0x06] = SRB_STATUS_PARITY_ERROR,           /* DID_PARITY */
    [0x07] = SRB_STATUS_PHASE_SEQUENCE_FAILURE, /* DID_ERROR */
    [0x08] = SRB_STATUS_BUS_RESET,              /* DID_RESET */
    [0x09] = SRB_STATUS_UNEXPECTED_BUS_FREE,    /* DID_BAD_INTR */
    [0x0A] = SRB_STATUS_SUCCESS,                /* DID_PASSTHROUGH */
    [0x0B] = SRB_STATUS_BUS_RESET,              /* DID_SOFT_ERROR */
    [0x0C] = SRB_STATUS_BUSY,                   /* DID_IMM_RETRY */
    [0x0D] = SRB_STATUS_BUSY,                   /* DID_REQUEUE */
    [0x0E] = SRB_STATUS_BUS_RESET,              /* DID_TRANSPORT_DISRUPTED */
    [0x0F] = SRB_STATUS_SELECTION_TIMEOUT,      /* DID_TRANSPORT_FAILFAST */
};

/* What a device that lies about its residual brought: nothing. */
static uint32_t
transferred(const struct sg_io_hdr *hdr)
{
    if (hdr->resid < 0 || (unsigned) hdr->resid > hdr->dxfer_len)
        return 0;
    return hdr->dxfer_len - (unsigned) hdr->resid;
}

/* What the drivers of the middle layer say, in kernels before 5.14: a command
 * that error recovery gave up has no other sign. */
enum {
    DRIVER_CODES = 0x0F, /* above it: a suggestion */
    DRIVER_BUSY = 0x01,
    DRIVER_TIMEOUT = 0x06,
    DRIVER_SENSE = 0x08,
};

static struct hba_sense
sense_of(const struct sg_io_hdr *hdr)
{
    return hba_read_sense(hdr->sbp, hdr->sb_len_wr < hdr->mx_sb_len
                                        ? hdr->sb_len_wr
                                        : hdr->mx_sb_len);
}

/* A driver that brings sense data need not bring the status for it. */
static uint8_t
status_of(const struct sg_io_hdr *hdr)
{
    struct hba_sense says;

    if (hdr->status != SCSISTAT_GOOD ||
        (hdr->driver_status & DRIVER_CODES) != DRIVER_SENSE)
        return hdr->status;
    says = sense_of(hdr);
    return says.readable && says.key > SCSI_SENSE_RECOVERED_ERROR
               ? SCSISTAT_CHECK_CONDITION
               : SCSISTAT_GOOD;
}

static uint8_t
srb_status_of(const struct sg_io_hdr *hdr)
{
    /* CONDITION MET is an answer to commands that nobody sends. */
    if (status_of(hdr) != SCSISTAT_GOOD ||
        hdr->host_status >= ARRAYSIZE(by_host))
        return SRB_STATUS_ERROR;
    if (by_host[hdr->host_status] != SRB_STATUS_SUCCESS)
        return by_host[hdr->host_status];
    switch (hdr->driver_status & DRIVER_CODES) {
    case 0:
    case DRIVER_SENSE:
        /* More came than there was room for. */
        return hdr->resid < 0 ? SRB_STATUS_DATA_OVERRUN : SRB_STATUS_SUCCESS;
    case DRIVER_BUSY:
        return SRB_STATUS_BUSY;
    case DRIVER_TIMEOUT:
        return SRB_STATUS_TIMEOUT;
    default:
        return SRB_STATUS_ERROR;
    }
}

void
sg_answer_of(const struct sg_io_hdr *hdr, struct hba_answer *out_answer)
{
    struct hba_answer answer = { .srb_status = srb_status_of(hdr),
                                 .scsi_status = status_of(hdr) };

    if (answer.srb_status == SRB_STATUS_SUCCESS)
        answer.transferred = transferred(hdr);
    if (answer.scsi_status == SCSISTAT_CHECK_CONDITION) {
        answer.sense = hdr->sbp;
        answer.sense_len =
            hdr->sb_len_wr < hdr->mx_sb_len ? hdr->sb_len_wr : hdr->mx_sb_len;
        answer.transferred = transferred(hdr);
    }
    *out_answer = answer;
}

/* Whatever the kernel did about it, a reset perhaps: a unit attention may have
 * been lost with it, and the lock of the medium. */
bool
sg_answer_doubtful(const struct sg_io_hdr *hdr)
{
    unsigned driver = hdr->driver_status & DRIVER_CODES;
    struct hba_sense says = sense_of(hdr);

    if (status_of(hdr) == SCSISTAT_CHECK_CONDITION)
        return !says.readable || says.key == SCSI_SENSE_UNIT_ATTENTION;
    if (driver != 0 && driver != DRIVER_BUSY && driver != DRIVER_SENSE)
        return true;
    switch (hdr->host_status) {
    case 0x00: /* DID_OK */
    case 0x02: /* DID_BUS_BUSY */
    case 0x0A: /* DID_PASSTHROUGH */
    case 0x0C: /* DID_IMM_RETRY */
    case 0x0D: /* DID_REQUEUE */
        return false;
    default:
        return true;
    }
}

/* --- uevents ------------------------------------------------------------------------ */

struct uevent {
    const char *action, *devpath, *subsystem;
    const char *media;    /* a block device's driver saw a change */
    const char *notified; /* the device said so by itself (SATA) */
    const char *told;     /* the kernel saw a unit attention, to whomever */
};

static void
take_field(struct uevent *event, const char *field)
{
    static const struct {
        const char *key;
        size_t offset;
    } keys[] = {
        { "ACTION=", offsetof(struct uevent, action) },
        { "DEVPATH=", offsetof(struct uevent, devpath) },
        { "SUBSYSTEM=", offsetof(struct uevent, subsystem) },
        { "DISK_MEDIA_CHANGE=", offsetof(struct uevent, media) },
        { "SDEV_MEDIA_CHANGE=", offsetof(struct uevent, notified) },
        { "SDEV_UA=", offsetof(struct uevent, told) },
    };

    for (size_t i = 0; i < ARRAYSIZE(keys); i++) {
        size_t len = strlen(keys[i].key);

        if (strncmp(field, keys[i].key, len) == 0)
            *(const char **) ((char *) event + keys[i].offset) = field + len;
    }
}

static bool
is_within(const char *path, const char *top)
{
    size_t len = strlen(top);

    return len > 0 && strncmp(path, top, len) == 0 &&
           (path[len] == '/' || path[len] == '\0');
}

/* After a header of numbers its properties follow as the kernel's do, each
 * ended by a NUL (systemd's sd-device monitor). */
bool
sg_udev_settled(const char *message, size_t len)
{
    static const char magic[] = "libudev";
    static const char *const of_scsi[] = { "SUBSYSTEM=scsi_generic",
                                           "SUBSYSTEM=block" };

    if (len < sizeof magic || memcmp(message, magic, sizeof magic) != 0)
        return false;
    for (size_t i = 0; i < ARRAYSIZE(of_scsi); i++)
        if (memmem(message, len, of_scsi[i], strlen(of_scsi[i]) + 1) != NULL)
            return true;
    return false;
}

/* Is it the device itself, or something that it hangs on? */
static bool
takes_along(const struct uevent *event, const char *devpath)
{
    return is_within(devpath, event->devpath) ||
           (is_within(event->devpath, devpath) &&
            strcmp(event->subsystem, "scsi_generic") == 0);
}

/* Device mapper and md, of what they were made of. */
static bool
lets_go(const struct uevent *event)
{
    return strcmp(event->subsystem, "block") == 0 &&
           is_within(event->devpath, "/devices/virtual/block");
}

/* Unit attentions behind which there may be another medium, as scsi_lib.c of
 * the kernel calls them. */
static bool
is_change(const struct uevent *event)
{
    static const char *const words[] = { "INQUIRY_DATA_HAS_CHANGED",
                                         "CAPACITY_DATA_HAS_CHANGED",
                                         "REPORTED_LUNS_DATA_HAS_CHANGED",
                                         "POWER_ON_RESET_OCCURRED" };

    for (size_t i = 0; event->told != NULL && i < ARRAYSIZE(words); i++)
        if (strcmp(event->told, words[i]) == 0)
            return true;
    return event->media != NULL || event->notified != NULL;
}

enum sg_uevent
sg_uevent_of(const char *message, size_t len, const char *devpath)
{
    struct uevent event = { "", "", "", NULL, NULL, NULL };

    /* Of the kernel, which ends each field with a NUL. */
    if (len == 0 || message[len - 1] != '\0' || strchr(message, '@') == NULL)
        return SG_UEVENT_NOTHING;
    for (size_t at = 0; at < len; at += strlen(message + at) + 1)
        take_field(&event, message + at);
    if (strcmp(event.action, "remove") == 0)
        return takes_along(&event, devpath) ? SG_UEVENT_GONE
               : lets_go(&event)            ? SG_UEVENT_ARRIVAL
                                            : SG_UEVENT_NOTHING;
    if (strcmp(event.action, "add") == 0 &&
        strcmp(event.subsystem, "scsi_generic") == 0)
        return SG_UEVENT_ARRIVAL;
    if (strcmp(event.action, "unbind") == 0 &&
        strcmp(event.subsystem, "scsi") == 0)
        return SG_UEVENT_ARRIVAL;
    if (!is_within(event.devpath, devpath))
        return SG_UEVENT_NOTHING;
    if (strcmp(event.action, "change") == 0 && is_change(&event))
        return SG_UEVENT_MEDIA;
    if (strcmp(event.action, "bind") == 0 ||
        (strcmp(event.action, "add") == 0 &&
         strcmp(event.subsystem, "block") == 0))
        return SG_UEVENT_DRIVER;
    return SG_UEVENT_NOTHING;
}
