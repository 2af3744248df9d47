/*
 * units.c - the logical units of an iSCSI target: REPORT LUNS and INQUIRY
 *
 * SPDX-License-Identifier: MIT
 */
#include "probe/units.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NO_DEVICE      0x1F /* a peripheral device type */
#define ATTENTIONS_MAX 8

/* SAM-5, 4.7: libiscsi sends two bytes, so there may be no second level; well
 * known units (11b) are none of the target's devices. */
static bool
is_reachable(const uint8_t *lun)
{
    static const uint8_t none[6];

    return lun[0] >> 6 <= 1 && memcmp(lun + 2, none, sizeof none) == 0;
}

int
units_reported(const struct link *link, struct unit_found *out, bool *out_more)
{
    uint8_t reply[8 + 8 * UNITS_MAX] = { 0 };
    struct cdb luns = { .cdb = { 0xA0, [8] = sizeof reply >> 8,
                                 sizeof reply & 0xFF },
                        .cdb_len = 12,
                        .data = reply,
                        .data_len = sizeof reply };
    size_t len = 0, there;
    int count = 0;

    for (int i = 0; i < ATTENTIONS_MAX; i++) {
        link_send(link, &luns);
        if (link_sense(&luns).key != 6)
            break;
    }
    if (!link_good(&luns) || luns.transferred < 8)
        return -EIO;
    for (int i = 0; i < 4; i++)
        len = len << 8 | reply[i];
    there = luns.transferred - 8;
    for (size_t at = 0; at + 8 <= len && at + 8 <= there; at += 8) {
        const uint8_t *lun = reply + 8 + at;

        if (is_reachable(lun))
            out[count++] = (struct unit_found){
                .address = (uint16_t) (lun[0] << 8 | lun[1]),
                .number = (uint16_t) ((lun[0] & 0x3F) << 8 | lun[1]),
                .type = NO_DEVICE
            };
    }
    *out_more = len > 8 * UNITS_MAX;
    return count;
}

int
unit_type(const struct link *link)
{
    uint8_t reply[36] = { 0 };
    struct cdb inquiry = { .cdb = { 0x12, [4] = sizeof reply },
                           .cdb_len = 6,
                           .data = reply,
                           .data_len = sizeof reply };

    link_send(link, &inquiry);
    if (link_sense(&inquiry).key == 5) /* 25/00: no such unit */
        return NO_DEVICE;
    if (!link_good(&inquiry) || inquiry.transferred < 1)
        return -1;
    /* SPC-4, Standard INQUIRY data: a qualifier says that there is nothing. */
    return reply[0] >> 5 != 0 ? NO_DEVICE : reply[0] & 0x1F;
}

int
units_of_target(const char *url, const struct iscsi_as *as,
                struct unit_found *out, char *out_text, size_t text_max)
{
    struct link link;
    bool more = false;
    int count = link_iscsi_open_as(url, as, &link, out_text, text_max);

    if (count != 0)
        return count;
    count = units_reported(&link, out, &more);
    if (count < 0)
        snprintf(out_text, text_max, "it does not say which units it has");
    if (more) {
        snprintf(out_text, text_max, "it has more than %d units", UNITS_MAX);
        count = -E2BIG;
    }
    for (int i = 0; i < count; i++) {
        int type;

        link_iscsi_turn(&link, out[i].address);
        type = unit_type(&link);
        if (type < 0) {
            snprintf(out_text, text_max, "its unit %u does not say what it is",
                     out[i].number);
            count = -EIO;
            break;
        }
        out[i].type = (uint8_t) type;
    }
    link_close(&link);
    return count;
}
