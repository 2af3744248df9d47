/*
 * portal.c - the drives of an iSCSI portal: SendTargets, REPORT LUNS, and a
 * look at each
 *
 * SPDX-License-Identifier: MIT
 */
#include "probe/drives.h"
#include "probe/iscsi_login.h"
#include "probe/look.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#define NO_DEVICE 0x1F /* a peripheral device type */

static void
one_unit(const char *portal, const char *target, unsigned lun, json_t *rows)
{
    char url[1024], text[512];
    uint8_t inquiry[36];
    struct link link;
    json_t *row;

    snprintf(url, sizeof url, "iscsi://%s/%s/%u", portal, target, lun);
    if (link_open(url, &link, text, sizeof text) != 0)
        return;
    if (look_inquiry(&link, -1, inquiry, sizeof inquiry) > 0 &&
        (inquiry[0] & 0x1F) != NO_DEVICE &&
        (inquiry[0] & 0x1F) != 0x0C /* the array itself */) {
        row = json_pack("{s:s, s:s, s:s}", "name", url, "where", "portal",
                        "held_by", "");
        look_at(&link, row);
        json_array_append_new(rows, row);
    }
    link_close(&link);
}

/* 0 and up to 255: the first level of the peripheral or flat addressing. */
static void
units_of_target(const char *portal, const char *target, json_t *rows)
{
    char url[1024], text[512];
    uint8_t reply[8 + 8 * 256] = { 0 };
    struct cdb luns = { .cdb = { 0xA0, [8] = sizeof reply >> 8,
                                 sizeof reply & 0xFF },
                        .cdb_len = 12,
                        .data = reply,
                        .data_len = sizeof reply };
    struct link link;
    size_t len = 0;

    snprintf(url, sizeof url, "iscsi://%s/%s/0", portal, target);
    if (link_open(url, &link, text, sizeof text) != 0) {
        *strrchr(url, '/') = '\0';
        json_array_append_new(rows,
                              json_pack("{s:s, s:s, s:s, s:s, s:s}", "name",
                                        url, "where", "portal", "held_by", "",
                                        "type", "target", "problem", text));
        return;
    }
    link_send(&link, &luns);
    if (link_sense(&luns).key == 6)
        link_send(&link, &luns);
    link_close(&link);
    if (link_good(&luns) && luns.transferred >= 8)
        len = (size_t) reply[0] << 24 | (size_t) reply[1] << 16 |
              (size_t) reply[2] << 8 | reply[3];
    if (len > luns.transferred - 8)
        len = luns.transferred < 8 ? 0 : luns.transferred - 8;
    for (size_t at = 8; at + 8 <= 8 + len; at += 8)
        one_unit(portal, target,
                 (unsigned) (reply[at] & 0x3F) << 8 | reply[at + 1], rows);
}

int
drives_of_portal(const char *portal, json_t *rows, char *out_text,
                 size_t text_max)
{
    struct iscsi_context *iscsi =
        iscsi_log_in(portal, NULL, out_text, text_max);
    struct iscsi_discovery_address *found, *at;

    if (iscsi == NULL)
        return -ENOTCONN;
    found = iscsi_discovery_sync(iscsi);
    for (at = found; at != NULL; at = at->next)
        units_of_target(portal, at->target_name, rows);
    if (found != NULL)
        iscsi_free_discovery_data(iscsi, found);
    else
        snprintf(out_text, text_max, "%s: it names no target", portal);
    iscsi_log_out(iscsi);
    return found != NULL ? 0 : -ENOENT;
}
