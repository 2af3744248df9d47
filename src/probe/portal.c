/*
 * portal.c - the drives of an iSCSI portal: SendTargets, REPORT LUNS, and a
 * look at each
 *
 * SPDX-License-Identifier: MIT
 */
#include "probe/drives.h"
#include "probe/look.h"
#include "probe/units.h"

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

static void
rows_of_target(const char *portal, const char *target, json_t *rows)
{
    char url[1024], text[512];
    struct unit_found units[UNITS_MAX] = { 0 };
    struct link link;
    bool more;
    int count;

    snprintf(url, sizeof url, "iscsi://%s/%s/0", portal, target);
    if (link_open(url, &link, text, sizeof text) != 0) {
        *strrchr(url, '/') = '\0';
        json_array_append_new(rows,
                              json_pack("{s:s, s:s, s:s, s:s, s:s}", "name",
                                        url, "where", "portal", "held_by", "",
                                        "type", "target", "problem", text));
        return;
    }
    count = units_reported(&link, units, &more);
    link_close(&link);
    for (int i = 0; i < count; i++)
        one_unit(portal, target, units[i].address, rows);
}

int
drives_of_portal(const char *portal, json_t *rows, char *out_text,
                 size_t text_max)
{
    struct iscsi_context *iscsi =
        iscsi_log_in(NULL, portal, NULL, out_text, text_max);
    struct iscsi_discovery_address *found, *at;

    if (iscsi == NULL)
        return -ENOTCONN;
    found = iscsi_discovery_sync(iscsi);
    for (at = found; at != NULL; at = at->next)
        rows_of_target(portal, at->target_name, rows);
    if (found != NULL)
        iscsi_free_discovery_data(iscsi, found);
    else
        snprintf(out_text, text_max, "%s: it names no target", portal);
    iscsi_log_out(iscsi);
    return found != NULL ? 0 : -ENOENT;
}
