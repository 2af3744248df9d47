/*
 * link.c - what all links have in common
 *
 * SPDX-License-Identifier: MIT
 */
#include "probe/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* Commands that leave a medium as it is.  START STOP UNIT and PREVENT ALLOW do
 * so, too; who sends them has a person's word for it. */
static const uint8_t allowed[] = {
    0x00, /* TEST UNIT READY */
    0x03, /* REQUEST SENSE */
    0x08, /* READ(6) */
    0x12, /* INQUIRY */
    0x1A, /* MODE SENSE(6) */
    0x1B, /* START STOP UNIT */
    0x1E, /* PREVENT ALLOW MEDIUM REMOVAL */
    0x25, /* READ CAPACITY(10) */
    0x28, /* READ(10) */
    0x43, /* READ TOC/PMA/ATIP */
    0x46, /* GET CONFIGURATION */
    0x4A, /* GET EVENT STATUS NOTIFICATION */
    0x5A, /* MODE SENSE(10) */
    0x88, /* READ(16) */
    0x9E, /* READ CAPACITY(16) */
    0xA0, /* REPORT LUNS */
};

uint64_t
link_now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

static bool
only_looks(const struct cdb *cdb)
{
    for (size_t i = 0; i < sizeof allowed; i++)
        if (cdb->cdb[0] == allowed[i])
            return cdb->cdb[0] != 0x9E || (cdb->cdb[1] & 0x1F) == 0x10;
    return false;
}

int
link_send_all(const struct link *link, struct cdb *cdbs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!only_looks(&cdbs[i]))
            return -EPERM;
        cdbs[i].answered = false;
        cdbs[i].status = 0;
        cdbs[i].sense_len = cdbs[i].transferred = 0;
        cdbs[i].took_us = 0;
    }
    link->ops->send(link->self, cdbs, count);
    return 0;
}

int
link_send(const struct link *link, struct cdb *cdb)
{
    return link_send_all(link, cdb, 1);
}

bool
link_good(const struct cdb *cdb)
{
    return cdb->answered && cdb->status == 0;
}

struct sense
link_sense(const struct cdb *cdb)
{
    struct sense sense = { 0 };
    const uint8_t *b = cdb->sense;

    if (!cdb->answered || cdb->status != 2 || cdb->sense_len < 4)
        return sense;
    sense.descriptor = (b[0] & 0x7F) == 0x72 || (b[0] & 0x7F) == 0x73;
    if (sense.descriptor) {
        sense.key = b[1] & 0xF;
        sense.asc = b[2];
        sense.ascq = b[3];
    } else if ((b[0] & 0x7F) == 0x70 || (b[0] & 0x7F) == 0x71) {
        sense.key = b[2] & 0xF;
        sense.asc = cdb->sense_len > 12 ? b[12] : 0;
        sense.ascq = cdb->sense_len > 13 ? b[13] : 0;
    } else {
        return sense;
    }
    sense.valid = true;
    return sense;
}

int
link_open(const char *name, struct link *out_link, char *out_text,
          size_t text_max)
{
    struct stat st;

    if (strncmp(name, "iscsi://", 8) == 0)
        return link_iscsi_open(name, out_link, out_text, text_max);
    if (stat(name, &st) != 0) {
        int rc = -errno;

        snprintf(out_text, text_max, "%s: %s", name, strerror(-rc));
        return rc;
    }
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
        return link_sg_open(name, out_link, out_text, text_max);
    if (S_ISREG(st.st_mode))
        return link_emulated_open(name, out_link, out_text, text_max);
    snprintf(out_text, text_max,
             "%s is neither a device, nor an image, nor iscsi://...", name);
    return -EINVAL;
}

void
link_close(struct link *link)
{
    if (link->ops != NULL)
        link->ops->close(link->self);
    link->ops = NULL;
}
