/*
 * identity.c - who a drive says that it is: INQUIRY data and VPD pages
 *
 * SPDX-License-Identifier: MIT
 */
#include "probe/examine.h"

#include <stdio.h>
#include <string.h>

#define PAGES_MAX 252

/* By INQUIRY's VERSION: 4 is SPC-2. */
static bool
claims(const struct examination *e, uint8_t version)
{
    return e->inquiry_len > 2 && e->inquiry[2] >= version;
}

/* Before anything else: what a new nexus is told. */
static void
first_answer(struct examination *e)
{
    struct cdb tur = { .cdb_len = 6 };
    struct sense sense;

    examine_progress(e, "first command");
    link_send(e->link, &tur);
    sense = link_sense(&tur);
    e->silent = !tur.answered;
    if (sense.key == 6 && sense.asc == 0x29)
        finding(e, "first-command", "good", NULL, &tur,
                "who comes new is told of the reset (UNIT ATTENTION 29)");
    else if (!tur.answered)
        finding_unknown(e, "first-command", &tur);
    else
        finding(e, "first-command", "note", NULL, &tur,
                "no UNIT ATTENTION 29 for who comes new%s",
                strcmp(e->link->kind, "sg") == 0
                    ? ": the kernel was here before"
                    : "; somebody else may have taken it");
}

static void
standard_data(struct examination *e)
{
    static const char *const versions[] = { "no standard", "SCSI-1", "SCSI-2",
                                            "SPC",         "SPC-2",  "SPC-3",
                                            "SPC-4",       "SPC-5" };
    uint8_t version;

    e->inquiry_len = look_inquiry(e->link, -1, e->inquiry, sizeof e->inquiry);
    if (e->inquiry_len < (int) sizeof e->inquiry) {
        finding(e, "inquiry", "wrong",
                "SPC-4, Standard INQUIRY data: at least 36 bytes", NULL,
                "says less of itself than 36 bytes (%d)",
                e->inquiry_len < 0 ? 0 : e->inquiry_len);
        return;
    }
    version = e->inquiry[2];
    /* SCSI-1 has 0 and 1; who claims nothing breaks nothing. */
    if ((e->inquiry[3] & 0x0F) != 2)
        finding(e, "inquiry", claims(e, 2) ? "wrong" : "note",
                claims(e, 2)
                    ? "SPC-4, Standard INQUIRY data: RESPONSE DATA FORMAT is 2"
                    : NULL,
                NULL, "claims %s (VERSION %u); its INQUIRY data have format %u",
                version < 8 ? versions[version] : "an unknown standard",
                version, e->inquiry[3] & 0x0F);
    else
        finding(e, "inquiry", "good", NULL, NULL, "claims %s (VERSION %u)",
                version < 8 ? versions[version] : "an unknown standard",
                version);
}

/* A drive that ignores EVPD answers with its standard data, whose second byte
 * may look like a page's code. */
static bool
is_page(const struct examination *e, const uint8_t *page, int len, uint8_t code)
{
    if (len < 4 || page[1] != code)
        return false;
    return len < 36 || e->inquiry_len < 36 ||
           memcmp(page + 2, e->inquiry + 2, 34) != 0;
}

/* Mandatory since SPC-2.  True: it is there. */
static bool
vital_page(struct examination *e, uint8_t code, const char *name,
           const char *clause, uint8_t *out_page, int *out_len)
{
    struct cdb inquiry = { .cdb = { 0x12, 1, code, 0, PAGES_MAX },
                           .cdb_len = 6,
                           .data = out_page,
                           .data_len = PAGES_MAX };
    bool demanded = claims(e, 4);
    enum reply reply;

    memset(out_page, 0, PAGES_MAX);
    reply = examine_send(e, &inquiry);
    *out_len = (int) inquiry.transferred;
    if (reply == REPLY_UNKNOWN) {
        finding_unknown(e, name, &inquiry);
    } else if (reply == REPLY_NOT) {
        finding(e, name, demanded ? "wrong" : "absent",
                demanded ? clause : NULL, &inquiry, "has no VPD page %02X",
                code);
    } else if (!is_page(e, out_page, *out_len, code)) {
        finding(e, name, "wrong", "SPC-4, INQUIRY command: EVPD, PAGE CODE",
                &inquiry,
                "answers with other data when asked for VPD page %02X", code);
    } else {
        return true;
    }
    return false;
}

static void
vpd_pages(struct examination *e)
{
    uint8_t page[PAGES_MAX], list[PAGES_MAX];
    char names[128] = "";
    size_t len = 0;
    int n, listed = 0;

    if (vital_page(e, 0x00, "vpd-00",
                   "SPC-4, Supported VPD Pages VPD page: mandatory", list,
                   &listed)) {
        if (listed > 4 + list[3])
            listed = 4 + list[3];
        for (int i = 4; i < listed && len + 4 < sizeof names; i++)
            len += (size_t) snprintf(names + len, sizeof names - len, " %02X",
                                     list[i]);
        finding(e, "vpd-00", "good", NULL, NULL, "names its VPD pages:%s",
                names);
    } else {
        listed = 0;
    }
    if (!vital_page(e, 0x83, "vpd-83",
                    "SPC-4, Device Identification VPD page: mandatory", page,
                    &n))
        return;
    if (n > 4 + (page[2] << 8 | page[3]))
        n = 4 + (page[2] << 8 | page[3]);
    finding(e, "vpd-83", n >= 8 ? "good" : "wrong",
            n >= 8 ? NULL : "SPC-4, Device Identification VPD page: mandatory",
            NULL, n >= 8 ? "identifies itself" : "does not identify itself");
    if (listed > 0 && memchr(list + 4, 0x83, (size_t) listed - 4) == NULL)
        finding(e, "vpd-list", "wrong", "SPC-4, Supported VPD Pages VPD page",
                NULL, "does not name VPD page 83, which it has");
}

void
examine_identity(struct examination *e)
{
    json_t *into = json_object_get(e->report, "identity");

    first_answer(e);
    examine_progress(e, "identity");
    look_at(e->link, into);
    if (strcmp(identity_text(e, "medium"), "no answer") == 0) {
        e->silent = SILENT_MAX;
        return;
    }
    standard_data(e);
    if (!is_removable(e) && e->inquiry_len > 1)
        finding(e, "removable", "note", NULL, NULL,
                "says that its medium is not removable (RMB 0): no change of "
                "media is looked for");
    vpd_pages(e);
    if (identity_text(e, "serial")[0] != '\0')
        finding(e, "serial", "good", NULL, NULL, "has a serial number");
    else
        finding(e, "serial", "absent", NULL, NULL,
                "has no serial number: can only be told from its like by the "
                "place where it is");
}
