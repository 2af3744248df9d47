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

/* What is there, and cannot be listed as others. */
static void
add_problem(const char *name, const char *type, const char *why, json_t *rows)
{
    json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s, s:s}", "name",
                                          name, "where", "portal", "held_by",
                                          "", "type", type, "problem", why));
}

static void
one_unit(const char *portal, const char *target, unsigned lun, json_t *rows)
{
    char url[1024], text[512];
    uint8_t inquiry[36];
    struct link link;
    json_t *row;
    int len;

    snprintf(url, sizeof url, "iscsi://%s/%s/%u", portal, target, lun);
    if (link_open(url, &link, text, sizeof text) != 0) {
        add_problem(url, "unit", text, rows);
        return;
    }
    len = look_inquiry(&link, -1, inquiry, sizeof inquiry);
    if (len < 5) {
        add_problem(url, "unit", "it does not say what it is", rows);
    } else if (inquiry[0] >> 5 == 0 && (inquiry[0] & 0x1F) != NO_DEVICE &&
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
    bool more = false;
    int count;

    snprintf(url, sizeof url, "iscsi://%s/%s/0", portal, target);
    if (link_open(url, &link, text, sizeof text) != 0) {
        *strrchr(url, '/') = '\0';
        add_problem(url, "target", text, rows);
        return;
    }
    *strrchr(url, '/') = '\0';
    count = units_reported(&link, units, &more);
    link_close(&link);
    if (count < 0)
        add_problem(url, "target", "it does not say which units it has", rows);
    for (int i = 0; i < count; i++)
        one_unit(portal, target, units[i].address, rows);
    if (more) {
        snprintf(text, sizeof text, "it has more than %d units", UNITS_MAX);
        add_problem(url, "target", text, rows);
    }
}

int
drives_of_portal(const char *portal, json_t *rows, char *out_text,
                 size_t text_max)
{
    struct iscsi_context *iscsi =
        iscsi_log_in(NULL, portal, NULL, out_text, text_max);
    struct iscsi_discovery_address *found, *at;
    uint64_t began_us = link_now_us();

    if (iscsi == NULL)
        return -ENOTCONN;
    iscsi_set_timeout(iscsi, LINK_TIMEOUT_MS / 1000);
    found = iscsi_discovery_sync(iscsi);
    if (found == NULL) {
        /* libiscsi counts whole seconds. */
        bool silent =
            link_now_us() - began_us >= (LINK_TIMEOUT_MS - 1000) * 1000;

        snprintf(out_text, text_max, "%s: %s", portal,
                 silent ? "it does not say which targets it has"
                        : "it names no target");
        iscsi_destroy_context(iscsi);
        return -ENOENT;
    }
    for (at = found; at != NULL; at = at->next)
        rows_of_target(portal, at->target_name, rows);
    iscsi_free_discovery_data(iscsi, found);
    iscsi_log_out(iscsi);
    return 0;
}
