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

#include "base/cdbs.h"

uint64_t
link_now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

int
link_send_all(const struct link *link, struct cdb *cdbs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!cdb_is_sent(cdbs[i].cdb, cdbs[i].cdb_len, CDB_EVERY, CDB_PROBE))
            return -EPERM;
        cdbs[i].answered = false;
        cdbs[i].status = 0;
        cdbs[i].sense_len = cdbs[i].transferred = 0;
        cdbs[i].took_us = 0;
        cdbs[i].error = 0;
        cdbs[i].too_much = false;
    }
    link->ops->send(link->self, cdbs, count);
    for (size_t i = 0; i < count; i++)
        if (cdbs[i].transferred > cdbs[i].data_len)
            cdbs[i].transferred = cdbs[i].data_len;
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
