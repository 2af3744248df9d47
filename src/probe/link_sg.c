/*
 * link_sg.c - commands to a device of this machine, through SG_IO
 *
 * SPDX-License-Identifier: MIT
 */
#include "probe/link.h"
#include "probe/sg_used.h"

#include <errno.h>
#include <fcntl.h>
#include <scsi/sg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static void
send_one(int fd, struct cdb *cdb)
{
    sg_io_hdr_t io = {
        .interface_id = 'S',
        .dxfer_direction =
            cdb->data_len != 0 ? SG_DXFER_FROM_DEV : SG_DXFER_NONE,
        .cmd_len = cdb->cdb_len,
        .mx_sb_len = LINK_SENSE_MAX,
        .dxfer_len = cdb->data_len,
        .dxferp = cdb->data,
        .cmdp = cdb->cdb,
        .sbp = cdb->sense,
        .timeout = LINK_TIMEOUT_MS,
    };
    uint64_t began = link_now_us();

    if (ioctl(fd, SG_IO, &io) != 0) {
        cdb->error = errno == EACCES ? EPERM : errno;
        return;
    }
    /* Before Linux 5.14 a command that error recovery gave up has no other sign
     * than what a driver of the middle layer says (8: there are sense data). */
    if (io.host_status != 0 ||
        ((io.driver_status & 0x0F) != 0 && (io.driver_status & 0x0F) != 8))
        return;
    cdb->answered = true;
    cdb->status = io.status;
    cdb->sense_len = io.sb_len_wr;
    cdb->took_us = link_now_us() - began;
    cdb->too_much = io.resid < 0;
    if (io.resid >= 0 && (uint32_t) io.resid <= cdb->data_len)
        cdb->transferred = cdb->data_len - (uint32_t) io.resid;
}

static void
sg_send(void *self, struct cdb *cdbs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        send_one((int) (intptr_t) self, &cdbs[i]);
}

static void
sg_close(void *self)
{
    close((int) (intptr_t) self);
}

static const struct link_ops ops = { sg_send, sg_close };

/* For reading only, the kernel lets fewer commands through (PREVENT is not
 * among them).  A block device that was open for writing makes udev look at it
 * when it is closed, so that is left alone. */
static int
open_node(const char *path)
{
    struct stat st;
    int fd = -1;

    if (stat(path, &st) == 0 && S_ISCHR(st.st_mode))
        fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    return fd;
}

/* Alone (O_EXCL), as a service has it. */
static int
say_who_has_it(const char *path, char *out_text, size_t max)
{
    char who[300] = "somebody has it alone; who, is not seen without root or "
                    "CAP_SYS_PTRACE";
    struct sg_found found;

    if (sg_of_device(&sg_system, path, &found) == 0)
        (void) sg_used_by(&sg_system, &found, who, sizeof who);
    snprintf(out_text, max, "%s: %s", path, who);
    return -EBUSY;
}

int
link_sg_open(const char *path, struct link *out_link, char *out_text,
             size_t text_max)
{
    int fd = open_node(path), version = 0;

    if (fd < 0 && (errno == EACCES || errno == EPERM))
        return sg_not_permitted(path, errno, out_text, text_max);
    if (fd < 0 && errno == EBUSY)
        return say_who_has_it(path, out_text, text_max);
    if (fd < 0) {
        int rc = -errno;

        snprintf(out_text, text_max, "%s: %s", path, strerror(-rc));
        return rc;
    }
    if (ioctl(fd, SG_GET_VERSION_NUM, &version) != 0 || version < 30000) {
        close(fd);
        snprintf(out_text, text_max, "%s takes no SCSI commands (SG_IO)", path);
        return -ENOTTY;
    }
    *out_link =
        (struct link){ &ops, (void *) (intptr_t) fd, "sg", false, false };
    return 0;
}
