/*
 * sg_answer.c - which commands are sent, and what the kernel says of their end
 *
 * Pure.  A command that is in no row is not sent: nothing of a vendor's, and
 * nothing that the drivers above do not use.  SG_IO's documentation is the
 * kernel's "SCSI Generic (sg) HOWTO"; the codes of hosts are those of
 * scsi_status.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/sg.h"

#include <string.h>

/* --- commands ------------------------------------------------------------------- */

struct known {
    uint8_t opcode;
    uint8_t len;
};

static const struct known commands[] = {
    { SCSIOP_TEST_UNIT_READY, 6 },
    { SCSIOP_REZERO_UNIT, 6 },
    { SCSIOP_REQUEST_SENSE, 6 },
    { SCSIOP_FORMAT_UNIT, 6 },
    { SCSIOP_INQUIRY, 6 },
    { SCSIOP_MODE_SELECT, 6 },
    { SCSIOP_RESERVE_UNIT, 6 },
    { SCSIOP_RELEASE_UNIT, 6 },
    { SCSIOP_MODE_SENSE, 6 },
    { SCSIOP_START_STOP_UNIT, 6 },
    { SCSIOP_MEDIUM_REMOVAL, 6 },
    { SCSIOP_READ_FORMATTED_CAPACITY, 10 },
    { SCSIOP_READ_CAPACITY, 10 },
    { SCSIOP_READ, 10 },
    { SCSIOP_WRITE, 10 },
    { SCSIOP_SEEK, 10 },
    { SCSIOP_VERIFY, 10 },
    { SCSIOP_SYNCHRONIZE_CACHE, 10 },
    /* UNMAP of a disk, READ SUB-CHANNEL of a CD */
    { SCSIOP_UNMAP, 10 },
    { SCSIOP_READ_TOC, 10 },
    { SCSIOP_GET_CONFIGURATION, 10 },
    { SCSIOP_PLAY_AUDIO_MSF, 10 },
    { SCSIOP_GET_EVENT_STATUS, 10 },
    { SCSIOP_PAUSE_RESUME, 10 },
    { SCSIOP_READ_DISK_INFORMATION, 10 },
    { SCSIOP_STOP_PLAY_SCAN, 10 },
    { SCSIOP_MODE_SELECT10, 10 },
    { SCSIOP_RESERVE_UNIT10, 10 },
    { SCSIOP_RELEASE_UNIT10, 10 },
    { SCSIOP_MODE_SENSE10, 10 },
    { SCSIOP_READ16, 16 },
    { SCSIOP_WRITE16, 16 },
    { SCSIOP_VERIFY16, 16 },
    { SCSIOP_SYNCHRONIZE_CACHE16, 16 },
    /* READ CAPACITY(16), GET LBA STATUS */
    { SCSIOP_SERVICE_ACTION_IN16, 16 },
    { SCSIOP_READ12, 12 },
    { SCSIOP_WRITE12, 12 },
    { SCSIOP_READ_CD, 12 },
};

/* To a disk some of them would mean something else. */
static const struct known robots[] = {
    { SCSIOP_INIT_ELEMENT_STATUS, 6 },
    { SCSIOP_SEND_DIAGNOSTIC, 6 },
    { SCSIOP_POSITION_TO_ELEMENT, 10 },
    /* INITIALIZE ELEMENT STATUS WITH RANGE, and as it was before SMC-2 */
    { 0x37, 10 },
    { SCSIOP_INIT_ELEMENT_RANGE, 10 },
    { SCSIOP_MOVE_MEDIUM, 12 },
    { SCSIOP_EXCHANGE_MEDIUM, 12 },
    { SCSIOP_REQUEST_VOL_ELEMENT, 12 },
    { SCSIOP_SEND_VOLUME_TAG, 12 },
    { SCSIOP_READ_ELEMENT_STATUS, 12 },
};

/* Likewise; REWIND, LOAD UNLOAD, LOCATE, SPACE(16) and FORMAT MEDIUM have the
 * bytes of commands above. */
static const struct known tapes[] = {
    { SCSIOP_READ_BLOCK_LIMITS, 6 },
    { SCSIOP_READ6, 6 },
    { SCSIOP_WRITE6, 6 },
    { SCSIOP_WRITE_FILEMARKS, 6 },
    { SCSIOP_SPACE, 6 },
    { SCSIOP_ERASE, 6 },
    { SCSIOP_READ_POSITION, 10 },
    { SCSIOP_LOG_SENSE, 10 },
    /* READ ATTRIBUTE: the cartridge's memory */
    { 0x8C, 16 },
    { SCSIOP_LOCATE16, 16 },
};

static bool
is_in(const struct known *rows, size_t count, uint8_t opcode, uint8_t len)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].opcode == opcode && rows[i].len == len)
            return true;
    return false;
}

bool
sg_command_known(const uint8_t *cdb, uint8_t cdb_len, uint8_t type)
{
    return is_in(commands, ARRAYSIZE(commands), cdb[0], cdb_len) ||
           (type == MEDIUM_CHANGER &&
            is_in(robots, ARRAYSIZE(robots), cdb[0], cdb_len)) ||
           (type == SEQUENTIAL_ACCESS_DEVICE &&
            is_in(tapes, ARRAYSIZE(tapes), cdb[0], cdb_len));
}

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

void
sg_answer_of(const struct sg_io_hdr *hdr, struct hba_answer *out_answer)
{
    struct hba_answer answer = { .srb_status = SRB_STATUS_SUCCESS,
                                 .scsi_status = hdr->status };

    /* CONDITION MET is an answer to commands that nobody sends. */
    if (hdr->status != SCSISTAT_GOOD)
        answer.srb_status = SRB_STATUS_ERROR;
    else if (hdr->host_status >= ARRAYSIZE(by_host))
        answer.srb_status = SRB_STATUS_ERROR;
    else
        answer.srb_status = by_host[hdr->host_status];
    /* More came than there was room for. */
    if (answer.srb_status == SRB_STATUS_SUCCESS && hdr->resid < 0)
        answer.srb_status = SRB_STATUS_DATA_OVERRUN;
    if (answer.srb_status == SRB_STATUS_SUCCESS)
        answer.transferred = transferred(hdr);
    if (hdr->status == SCSISTAT_CHECK_CONDITION) {
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
    size_t len =
        hdr->sb_len_wr < hdr->mx_sb_len ? hdr->sb_len_wr : hdr->mx_sb_len;
    struct hba_sense says = hba_read_sense(hdr->sbp, len);

    if (hdr->status == SCSISTAT_CHECK_CONDITION)
        return !says.readable || says.key == SCSI_SENSE_UNIT_ATTENTION;
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
