/*
 * examine.c - what a drive says when nobody touches it
 *
 * SPDX-License-Identifier: MIT
 */
#include "probe/examine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/drives.h"
#include "probe/look.h"

#define SPEED_READS 64
#define SPEED_DEPTH 16

/* --- words ------------------------------------------------------------------------ */

void
answer_text(const struct cdb *cdb, char *out_text, size_t max)
{
    struct sense sense = link_sense(cdb);

    if (!cdb->answered)
        snprintf(out_text, max, "no answer");
    else if (cdb->status == 0)
        snprintf(out_text, max, "GOOD");
    else if (sense.valid)
        snprintf(out_text, max, "%X/%02X/%02X", sense.key, sense.asc,
                 sense.ascq);
    else
        snprintf(out_text, max, "status %02X", cdb->status);
}

void
finding(struct examination *e, const char *name, const char *verdict,
        const char *clause, const struct cdb *cdb, const char *format, ...)
{
    char text[512], answer[32] = "";
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (cdb != NULL)
        answer_text(cdb, answer, sizeof answer);
    json_array_append_new(json_object_get(e->report, "findings"),
                          json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", name,
                                    "verdict", verdict, "text", text, "clause",
                                    clause != NULL ? clause : "", "answer",
                                    answer));
}

void
examine_progress(struct examination *e, const char *what)
{
    if (e->host->progress != NULL)
        e->host->progress(e->host->context, what);
}

bool
is_cdrom(const struct examination *e)
{
    return strcmp(json_string_value(json_object_get(
                      json_object_get(e->report, "identity"), "type")),
                  "cdrom") == 0;
}

static bool
has_medium(const struct examination *e)
{
    return strcmp(json_string_value(json_object_get(
                      json_object_get(e->report, "identity"), "medium")),
                  "present") == 0;
}

/* --- each thing ----------------------------------------------------------------------- */

/* Before anything else: what a new nexus is told. */
static void
first_answer(struct examination *e)
{
    struct cdb tur = { .cdb_len = 6 };
    struct sense sense;

    examine_progress(e, "first command");
    link_send(e->link, &tur);
    sense = link_sense(&tur);
    if (sense.key == 6 && sense.asc == 0x29)
        finding(e, "first-command", "good", NULL, &tur,
                "a new session is told of the reset (UNIT ATTENTION 29)");
    else
        finding(e, "first-command", "note", NULL, &tur,
                "no UNIT ATTENTION 29 for a new session; somebody else may "
                "have taken it");
}

static void
identity(struct examination *e)
{
    uint8_t page[252];
    json_t *into = json_object_get(e->report, "identity");
    int len;

    examine_progress(e, "identity");
    look_at(e->link, into);
    if (!json_is_true(json_object_get(into, "removable")))
        finding(e, "removable", "note", NULL, NULL,
                "says that its medium is not removable (RMB 0): no change of "
                "media is looked for");
    len = look_inquiry(e->link, 0x00, page, sizeof page);
    finding(e, "vpd-00", len >= 4 ? "good" : "wrong",
            len >= 4 ? NULL : "SPC-4, Supported VPD Pages VPD page: mandatory",
            NULL, len >= 4 ? "names its VPD pages" : "names no VPD pages");
    if (json_string_length(json_object_get(into, "serial")) > 0)
        finding(e, "serial", "good", NULL, NULL, "has a serial number");
    else
        finding(e, "serial", "absent", NULL, NULL,
                "has no serial number: can only be told from its like by the "
                "place where it is");
    len = look_inquiry(e->link, 0x83, page, sizeof page);
    finding(e, "vpd-83", len >= 8 ? "good" : "wrong",
            len >= 8 ? NULL
                     : "SPC-4, Device Identification VPD page: mandatory",
            NULL, len >= 8 ? "identifies itself" : "does not identify itself");
}

static void
mode_pages(struct examination *e)
{
    uint8_t reply[252] = { 0 };
    struct cdb ten = { .cdb = { 0x5A, 8, 0x3F, [8] = 252 },
                       .cdb_len = 10,
                       .data = reply,
                       .data_len = 252 };
    struct cdb six = { .cdb = { 0x1A, 8, 0x3F, 0, 252 },
                       .cdb_len = 6,
                       .data = reply,
                       .data_len = 252 };
    size_t at = 8, len;
    bool control = false, cache = false;

    examine_progress(e, "mode pages");
    link_send(e->link, &six);
    finding(e, "mode-sense-6", link_good(&six) ? "good" : "absent", NULL, &six,
            link_good(&six) ? "knows MODE SENSE(6)"
                            : "does not know MODE SENSE(6)");
    link_send(e->link, &ten);
    if (!link_good(&ten)) {
        finding(e, "mode-sense-10", is_cdrom(e) ? "wrong" : "absent",
                is_cdrom(e) ? "MMC-5, Core feature: mandatory command" : NULL,
                &ten, "does not know MODE SENSE(10)");
        return;
    }
    finding(e, "mode-sense-10", "good", NULL, &ten, "knows MODE SENSE(10)");
    len = ten.transferred < 8 ? 0 : ten.transferred;
    if (len > 2u + ((size_t) reply[0] << 8 | reply[1]))
        len = 2u + ((size_t) reply[0] << 8 | reply[1]);
    at += (size_t) reply[6] << 8 | reply[7];
    for (size_t next; at + 2 <= len; at = next) {
        uint8_t code = reply[at] & 0x3F;

        /* The format of pages with a subpage code, and the short one. */
        if (reply[at] & 0x40)
            code = 0xFF;
        next = at + (code != 0xFF ? 2u + reply[at + 1]
                     : at + 4 <= len
                         ? 4u + ((size_t) reply[at + 2] << 8 | reply[at + 3])
                         : 4u);
        if (next > len)
            break;
        if (code == 0x08 && reply[at + 1] >= 1) {
            cache = true;
            finding(e, "cache", reply[at + 2] & 4 ? "note" : "good", NULL, NULL,
                    reply[at + 2] & 4
                        ? "has a write cache: what is not flushed may be lost"
                        : "writes through");
        } else if (code == 0x0A && reply[at + 1] >= 1) {
            control = true;
            finding(e, "sense-format", "good", NULL, NULL,
                    reply[at + 2] & 4 ? "says descriptor sense (D_SENSE 1)"
                                      : "says fixed sense (D_SENSE 0)");
        }
    }
    if (!cache && !is_cdrom(e))
        finding(e, "cache", "absent", NULL, NULL,
                "has no caching page: is taken to have a write cache");
    if (!control)
        finding(e, "sense-format", "absent", NULL, NULL,
                "has no control page: fixed sense is expected");
}

bool
examine_gesn(const struct link *link, uint8_t *out_reply, struct cdb *out_cdb)
{
    struct cdb gesn = { .cdb = { 0x4A, 1, 0, 0, 0x10, [8] = 8 },
                        .cdb_len = 10,
                        .data = out_reply,
                        .data_len = 8 };

    memset(out_reply, 0, 8);
    link_send(link, &gesn);
    if (out_cdb != NULL)
        *out_cdb = gesn;
    return link_good(&gesn) && gesn.transferred >= 4;
}

static void
events(struct examination *e)
{
    uint8_t reply[8];
    struct cdb gesn;

    examine_progress(e, "events");
    if (examine_gesn(e->link, reply, &gesn))
        finding(e, "gesn", "good", NULL, &gesn,
                "tells events of its medium when asked");
    else
        finding(e, "gesn", is_cdrom(e) ? "wrong" : "absent",
                is_cdrom(e) ? "MMC-5, Core feature: mandatory command" : NULL,
                &gesn, "does not know GET EVENT STATUS NOTIFICATION");
}

struct cdb
examine_prevent(const struct link *link, bool on)
{
    struct cdb prevent = { .cdb = { 0x1E, 0, 0, 0, on }, .cdb_len = 6 };

    link_send(link, &prevent);
    return prevent;
}

static void
locks(struct examination *e)
{
    struct cdb prevent;

    examine_progress(e, "lock");
    prevent = examine_prevent(e->link, true);
    finding(e, "lock", link_good(&prevent) ? "good" : "absent", NULL, &prevent,
            link_good(&prevent)
                ? "takes PREVENT MEDIUM REMOVAL"
                : "cannot be locked: a medium may leave with writes missing");
    if (link_good(&prevent))
        (void) examine_prevent(e->link, false);
}

/* Past the end: nothing is read, and the sense data show their format. */
static void
sense_data(struct examination *e, const struct medium_seen *medium)
{
    uint8_t *block = calloc(1, medium->block_bytes);
    struct cdb read;
    struct sense sense;

    examine_progress(e, "sense data");
    if (block == NULL)
        return;
    if (medium->blocks > 0xFFFFFFFF ||
        look_read(e->link, medium, medium->blocks, 1, block, &read))
        finding(e, "past-the-end", "wrong",
                "SBC-3, READ (10) command: LOGICAL BLOCK ADDRESS OUT OF RANGE",
                NULL, "reads past the end of the medium");
    else {
        sense = link_sense(&read);
        finding(e, "past-the-end",
                sense.key == 5 && sense.asc == 0x21 ? "good" : "wrong",
                sense.key == 5 && sense.asc == 0x21
                    ? NULL
                    : "SBC-3, READ (10) command: LOGICAL BLOCK ADDRESS OUT OF "
                      "RANGE",
                &read, "answers a read past the end, in %s format",
                !sense.valid       ? "no known"
                : sense.descriptor ? "descriptor"
                                   : "fixed");
    }
    free(block);
}

static uint64_t
one_round(struct examination *e, const struct medium_seen *medium,
          unsigned depth, uint8_t *room)
{
    struct cdb reads[SPEED_DEPTH] = { 0 };
    uint64_t began = link_now_us(), at = 12345;

    for (unsigned done = 0; done < SPEED_READS; done += depth) {
        for (unsigned i = 0; i < depth; i++) {
            at = at * 6364136223846793005u + 1442695040888963407u;
            reads[i] = (struct cdb){
                .cdb = { 0x28, [8] = 1 },
                .cdb_len = 10,
                .data = room + (size_t) i * medium->block_bytes,
                .data_len = medium->block_bytes,
            };
            for (int b = 0; b < 4; b++)
                reads[i].cdb[2 + b] =
                    (uint8_t) (((at >> 33) % (medium->blocks < 0xFFFFFFFF
                                                  ? medium->blocks
                                                  : 0xFFFFFFFF)) >>
                               (24 - 8 * b));
        }
        link_send_all(e->link, reads, depth);
        for (unsigned i = 0; i < depth; i++)
            if (!link_good(&reads[i]))
                return 0;
    }
    return link_now_us() - began;
}

static void
speed(struct examination *e, const struct medium_seen *medium)
{
    uint8_t *room = calloc(SPEED_DEPTH, medium->block_bytes);
    uint64_t alone, together;

    examine_progress(e, "speed");
    if (room == NULL)
        return;
    alone = one_round(e, medium, 1, room);
    together = one_round(e, medium, SPEED_DEPTH, room);
    free(room);
    if (alone == 0 || together == 0) {
        finding(e, "reads", "wrong", "SBC-3, READ (10) command", NULL,
                "cannot read %u blocks spread over the medium", SPEED_READS);
        return;
    }
    json_object_set_new(
        e->report, "speed",
        json_pack("{s:I, s:I, s:i, s:i}", "read_us",
                  (json_int_t) (alone / SPEED_READS), "queued_read_us",
                  (json_int_t) (together / SPEED_READS), "depth", SPEED_DEPTH,
                  "block_bytes", (int) medium->block_bytes));
    finding(e, "queueing", together * 4 < alone * 3 ? "good" : "note", NULL,
            NULL, "a read takes %llu us alone, %llu us with %u at once",
            (unsigned long long) (alone / SPEED_READS),
            (unsigned long long) (together / SPEED_READS), SPEED_DEPTH);
}

static void
medium(struct examination *e)
{
    struct medium_seen seen = { 0 };

    examine_progress(e, "medium");
    if (!has_medium(e)) {
        finding(e, "medium", "note", NULL, NULL,
                "has no medium: capacity, sense data and speed were not "
                "looked at");
        return;
    }
    seen = look_capacity(e->link);
    finding(e, "capacity", seen.known ? "good" : "wrong",
            seen.known ? NULL : "SBC-3, READ CAPACITY (10) command", NULL,
            seen.known ? "%llu blocks of %u bytes"
                       : "%llu blocks of %u bytes "
                         "cannot be",
            (unsigned long long) seen.blocks, seen.block_bytes);
    if (!seen.known)
        return;
    sense_data(e, &seen);
    speed(e, &seen);
}

/* --- the end --------------------------------------------------------------------------- */

static const json_t *
find_finding(const struct examination *e, const char *name)
{
    size_t i;
    json_t *row;

    json_array_foreach(json_object_get(e->report, "findings"), i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0)
            return row;
    }
    return NULL;
}

static void
believe(struct examination *e, const char *device)
{
    const json_t *changes = find_finding(e, "changes");
    json_t *options = json_object_get(e->report, "options");
    const char *user = getenv("REINSERT_ISCSI_USER");
    char line[600];
    const char *text;

    if (changes == NULL)
        text = "Whether it announces changes shows only when media are "
               "moved: --guided.  Until then it is asked every second; its "
               "volume is verified whenever it was not ready, and before it "
               "is used after half a second of silence.";
    else if (strcmp(json_string_value(json_object_get(changes, "verdict")),
                    "good") == 0)
        text = "It announces new media, and can be relied on for that.";
    else
        text = "It does not announce new media: it is asked every second, its "
               "volume is verified whenever it was not ready, and before it is "
               "used after half a second of silence.  Do not exchange media "
               "faster than that.";
    json_object_set_new(e->report, "believe", json_string(text));
    if (strcmp(e->link->kind, "emulated") == 0) {
        snprintf(line, sizeof line, "medium = %s", device);
    } else if (strcmp(e->link->kind, "iscsi") == 0) {
        json_array_append_new(options, json_string("port = iscsi"));
        snprintf(line, sizeof line, "url = %s", device);
    } else {
        drives_options("", device,
                       json_string_value(json_object_get(
                           json_object_get(e->report, "identity"), "serial")),
                       options);
        return;
    }
    json_array_append_new(options, json_string(line));
    if (strcmp(e->link->kind, "iscsi") == 0 && user != NULL) {
        snprintf(line, sizeof line, "chap-user = %.200s", user);
        json_array_append_new(options, json_string(line));
        json_array_append_new(
            options, json_string("chap-secret = a file with the secret in it"));
    }
}

json_t *
examine(const char *device, const struct link *link,
        const struct examine_host *host, bool guided)
{
    struct examination e = {
        link, host,
        json_pack("{s:s, s:s, s:{}, s:[], s:n, s:[], s:[]}", "device", device,
                  "link", link->kind, "identity", "findings", "speed", "seen",
                  "options")
    };

    if (e.report == NULL)
        return NULL;
    first_answer(&e);
    identity(&e);
    mode_pages(&e);
    events(&e);
    locks(&e);
    medium(&e);
    if (guided)
        examine_guided(&e);
    believe(&e, device);
    return e.report;
}
