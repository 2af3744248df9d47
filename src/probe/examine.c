/*
 * examine.c - what a drive says when nobody touches it: its mode pages, events,
 * lock; what all parts of an examination have in common
 *
 * A drive that is not ready, busy or reserved, or does not answer, has not said
 * that it does not know a command: only ILLEGAL REQUEST says so.
 *
 * SPDX-License-Identifier: MIT
 */
#include "probe/examine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cdbs.h"

#define ATTENTIONS_MAX 8
#define BUSY_MAX       10

/* --- words ------------------------------------------------------------------------ */

void
answer_text(const struct cdb *cdb, char *out_text, size_t max)
{
    static const struct {
        uint8_t status;
        const char *word;
    } words[] = { { 0x00, "GOOD" },
                  { 0x08, "BUSY" },
                  { 0x18, "RESERVED" },
                  { 0x28, "QUEUE FULL" } };
    struct sense sense = link_sense(cdb);

    snprintf(out_text, max, "status %02X", cdb->status);
    if (!cdb->answered)
        snprintf(out_text, max, "%s",
                 cdb->error == EPERM ? "not permitted" : "no answer");
    else if (sense.valid)
        snprintf(out_text, max, "%X/%02X/%02X", sense.key, sense.asc,
                 sense.ascq);
    else
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
            if (words[i].status == cdb->status)
                snprintf(out_text, max, "%s", words[i].word);
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

static const char *
why_unknown(const struct cdb *cdb)
{
    struct sense sense = link_sense(cdb);

    if (!cdb->answered)
        return cdb->error == EPERM
                   ? "the kernel does not let it through: that takes write "
                     "permission for the node, or CAP_SYS_RAWIO"
                   : "no answer";
    if (cdb->status == 0x08 || cdb->status == 0x28)
        return "it stays busy";
    if (cdb->status == 0x18)
        return "another initiator has reserved it";
    if (sense.valid && sense.key == 2 && sense.asc == 0x3A)
        return "it has no medium";
    if (sense.valid && sense.key == 2)
        return "it is not ready";
    if (sense.valid && sense.key == 5 && sense.asc == 0x25)
        return "it says that there is no such unit any more";
    if (sense.valid && sense.key == 6)
        return "it goes on reporting unit attentions";
    return "it failed";
}

void
finding_unknown(struct examination *e, const char *name, const struct cdb *cdb)
{
    char command[CDB_NAME_MAX];

    if (examine_is_over(e))
        return; /* `ended` says so, once */
    cdb_name(cdb->cdb, command);
    finding(e, name, "unknown", NULL, cdb, "not found out by %s: %s", command,
            why_unknown(cdb));
}

void
examine_progress(struct examination *e, const char *what)
{
    if (e->host->progress != NULL && !examine_is_over(e))
        e->host->progress(e->host->context, what);
}

const char *
identity_text(const struct examination *e, const char *field)
{
    return json_string_value(
        json_object_get(json_object_get(e->report, "identity"), field));
}

bool
is_type(const struct examination *e, const char *type)
{
    const char *is = identity_text(e, "type");

    return is != NULL && strcmp(is, type) == 0;
}

bool
has_blocks(const struct examination *e)
{
    return is_type(e, "disk") || is_type(e, "cdrom");
}

bool
is_removable(const struct examination *e)
{
    return e->inquiry_len > 1 && (e->inquiry[1] & 0x80) != 0;
}

/* --- commands ------------------------------------------------------------------------ */

static bool
is_stopped(const struct examination *e)
{
    return e->host->stopped != NULL && e->host->stopped(e->host->context);
}

bool
examine_is_over(const struct examination *e)
{
    return e->silent >= SILENT_MAX || is_stopped(e);
}

static void
check_length(struct examination *e, const struct cdb *cdb)
{
    char command[CDB_NAME_MAX];

    if (!cdb->too_much || e->too_much)
        return;
    e->too_much = true;
    cdb_name(cdb->cdb, command);
    finding(e, "allocation-length", "wrong", "SPC-4, Allocation length", cdb,
            "sends more than %s asked for", command);
}

static enum reply
reply_of(const struct cdb *cdb)
{
    struct sense sense = link_sense(cdb);

    if (link_good(cdb))
        return REPLY_GOOD;
    /* LOGICAL UNIT NOT SUPPORTED is about no command. */
    return sense.key == 5 && sense.asc != 0x25 ? REPLY_NOT : REPLY_UNKNOWN;
}

enum reply
examine_send(struct examination *e, struct cdb *cdb)
{
    unsigned attentions = 0, busy = 0;

    for (;;) {
        if (examine_is_over(e)) {
            cdb->answered = false;
            return REPLY_UNKNOWN;
        }
        link_send(e->link, cdb);
        if (cdb->answered && (cdb->status == 0x08 || cdb->status == 0x28)) {
            if (busy++ == BUSY_MAX)
                break;
            usleep(e->host->busy_ms * 1000);
        } else if (link_sense(cdb).key != 6 || attentions++ == ATTENTIONS_MAX) {
            break;
        }
    }
    e->silent = cdb->answered || cdb->error == EPERM ? 0 : e->silent + 1;
    check_length(e, cdb);
    return reply_of(cdb);
}

const char *
does_not(const struct cdb *cdb)
{
    return link_sense(cdb).asc == 0x20 ? "does not know" : "refuses";
}

/* --- mode pages ------------------------------------------------------------------------ */

/* Its own word for it, before any write is tried. */
static void
device_specific(struct examination *e, uint8_t parameter)
{
    bool is_protected = (parameter & 0x80) != 0;

    if (e->link->guarded || (!is_type(e, "disk") && !is_type(e, "tape")))
        return;
    json_object_set_new(json_object_get(e->report, "identity"),
                        "write_protected", json_boolean(is_protected));
    if (is_protected)
        finding(e, "write-protect", "note", NULL, NULL,
                "its medium is write protected: is served read-only");
    if (is_type(e, "tape") && (parameter & 0x70) != 0)
        finding(e, "buffer", "note", NULL, NULL,
                "buffers what is written: safe on tape behind a filemark only");
}

static void
cache_page(struct examination *e, uint8_t flags)
{
    if (!is_type(e, "disk") && (flags & 4) == 0)
        return;
    finding(e, "cache", flags & 4 ? "note" : "good", NULL, NULL,
            (flags & 4) == 0 ? "writes through"
            : is_type(e, "cdrom")
                ? "has a write cache, for media that can be written: what is "
                  "not flushed may be lost"
                : "has a write cache: what is not flushed may be lost");
}

static void
read_pages(struct examination *e, const uint8_t *reply, size_t len)
{
    size_t at = 8u + ((size_t) reply[6] << 8 | reply[7]);
    bool control = false, cache = false;

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
            cache_page(e, reply[at + 2]);
        } else if (code == 0x0A && reply[at + 1] >= 1) {
            control = true;
            finding(e, "sense-format", "good", NULL, NULL,
                    reply[at + 2] & 4 ? "says descriptor sense (D_SENSE 1)"
                                      : "says fixed sense (D_SENSE 0)");
        }
    }
    if (!cache && is_type(e, "disk"))
        finding(e, "cache", "absent", NULL, NULL,
                "has no caching page: is taken to have a write cache");
    if (!control)
        finding(e, "sense-format", "absent", NULL, NULL,
                "has no control page: fixed sense is expected");
}

/* A drive does not know what only CD drives have to. */
static void
finding_not_core(struct examination *e, const char *name, const struct cdb *cdb,
                 const char *command)
{
    bool cd = is_type(e, "cdrom");

    finding(e, name, cd ? "wrong" : "absent",
            cd ? "MMC-5, Core feature: mandatory command" : NULL, cdb, "%s %s",
            does_not(cdb), command);
}

static void
mode_sense_6(struct examination *e)
{
    uint8_t reply[252] = { 0 };
    struct cdb six = { .cdb = { 0x1A, 8, 0x3F, 0, 252 },
                       .cdb_len = 6,
                       .data = reply,
                       .data_len = 252 };

    switch (examine_send(e, &six)) {
    case REPLY_GOOD:
        finding(e, "mode-sense-6", "good", NULL, &six, "knows MODE SENSE(6)");
        break;
    case REPLY_NOT:
        finding(e, "mode-sense-6", "absent", NULL, &six, "%s MODE SENSE(6)",
                does_not(&six));
        break;
    case REPLY_UNKNOWN:
        finding_unknown(e, "mode-sense-6", &six);
        break;
    }
}

static void
mode_pages(struct examination *e)
{
    uint8_t reply[252] = { 0 };
    struct cdb ten = { .cdb = { 0x5A, 8, 0x3F, [8] = 252 },
                       .cdb_len = 10,
                       .data = reply,
                       .data_len = 252 };
    size_t len;

    examine_progress(e, "mode pages");
    mode_sense_6(e);
    switch (examine_send(e, &ten)) {
    case REPLY_NOT:
        finding_not_core(e, "mode-sense-10", &ten, "MODE SENSE(10)");
        return;
    case REPLY_UNKNOWN:
        finding_unknown(e, "mode-sense-10", &ten);
        return;
    case REPLY_GOOD:
        break;
    }
    finding(e, "mode-sense-10", "good", NULL, &ten, "knows MODE SENSE(10)");
    len = ten.transferred < 8 ? 0 : ten.transferred;
    if (len > 2u + ((size_t) reply[0] << 8 | reply[1]))
        len = 2u + ((size_t) reply[0] << 8 | reply[1]);
    if (len >= 8)
        device_specific(e, reply[3]);
    read_pages(e, reply, len);
}

/* --- events, lock ------------------------------------------------------------------------ */

enum reply
examine_gesn(struct examination *e, uint8_t *out_reply, struct cdb *out_cdb)
{
    struct cdb gesn = { .cdb = { 0x4A, 1, 0, 0, 0x10, [8] = 8 },
                        .cdb_len = 10,
                        .data = out_reply,
                        .data_len = 8 };
    enum reply reply;

    memset(out_reply, 0, 8);
    reply = examine_send(e, &gesn);
    if (out_cdb != NULL)
        *out_cdb = gesn;
    return reply == REPLY_GOOD && gesn.transferred < 4 ? REPLY_NOT : reply;
}

static void
events(struct examination *e)
{
    uint8_t reply[8];
    struct cdb gesn;

    if (!has_blocks(e))
        return;
    examine_progress(e, "events");
    switch (examine_gesn(e, reply, &gesn)) {
    case REPLY_GOOD:
        if (reply[3] & 0x10)
            finding(e, "gesn", "good", NULL, &gesn,
                    "tells events of its medium when asked");
        else
            finding(e, "gesn", "absent", NULL, &gesn,
                    "tells events when asked, but none of its medium");
        break;
    case REPLY_NOT:
        finding_not_core(e, "gesn", &gesn, "GET EVENT STATUS NOTIFICATION");
        break;
    case REPLY_UNKNOWN:
        finding_unknown(e, "gesn", &gesn);
        break;
    }
}

/* SPC-3 was the last to have it for all. */
const char *
prevent_clause(const struct examination *e)
{
    return is_type(e, "cdrom")  ? "MMC-5, PREVENT ALLOW MEDIUM REMOVAL command"
           : is_type(e, "tape") ? "SSC-3, PREVENT ALLOW MEDIUM REMOVAL command"
           : is_type(e, "disk") ? "SBC-3, PREVENT ALLOW MEDIUM REMOVAL command"
                                : "SPC-3, PREVENT ALLOW MEDIUM REMOVAL command";
}

struct cdb
examine_prevent(struct examination *e, bool on)
{
    struct cdb prevent = { .cdb = { 0x1E, 0, 0, 0, on }, .cdb_len = 6 };

    if (on) {
        if (examine_send(e, &prevent) == REPLY_GOOD)
            e->locked = true;
    } else {
        link_send(e->link, &prevent);
        if (link_sense(&prevent).key == 6)
            link_send(e->link, &prevent);
        if (link_good(&prevent))
            e->locked = false;
    }
    return prevent;
}

void
examine_unlock(struct examination *e)
{
    struct cdb allow;

    if (!e->locked)
        return;
    allow = examine_prevent(e, false);
    if (e->locked)
        finding(e, "unlock", "wrong", prevent_clause(e), &allow,
                "does not take ALLOW: its medium stays locked until it is "
                "reset");
}

static bool
is_held(const struct examination *e)
{
    return e->host->held_by != NULL && e->host->held_by[0] != '\0';
}

static void
locks(struct examination *e)
{
    struct cdb prevent;

    if (!is_removable(e))
        return;
    if (is_held(e)) {
        finding(e, "lock", "unknown", NULL, NULL,
                "not tried: an ALLOW would take the lock of who has it, too");
        return;
    }
    examine_progress(e, "lock");
    prevent = examine_prevent(e, true);
    if (link_good(&prevent))
        finding(e, "lock", "good", NULL, &prevent,
                "takes PREVENT MEDIUM REMOVAL");
    else if (reply_of(&prevent) == REPLY_NOT)
        finding(e, "lock", "absent", NULL, &prevent,
                "cannot be locked: a medium may leave with writes missing");
    else
        finding_unknown(e, "lock", &prevent);
    examine_unlock(e);
}

/* --- all of it ------------------------------------------------------------------------- */

static void
say_end(struct examination *e)
{
    const char *why = "";

    if (is_stopped(e))
        why = "it was interrupted; nothing is left locked";
    else if (e->silent >= SILENT_MAX)
        why = "the drive stopped answering";
    if (e->locked)
        why = "it ended early, and the drive did not take its unlocking";
    json_object_set_new(e->report, "ended", json_string(why));
}

json_t *
examine(const char *device, const struct link *link,
        const struct examine_host *host, bool guided)
{
    struct examination e = {
        .link = link,
        .host = host,
        .report = json_pack("{s:s, s:s, s:{}, s:[], s:n, s:[], s:[]}", "device",
                            device, "link", link->kind, "identity", "findings",
                            "speed", "seen", "options"),
        .inquiry_len = -1,
    };

    if (e.report == NULL)
        return NULL;
    if (is_held(&e))
        finding(&e, "held", "note", NULL, NULL,
                "somebody else has it, and may take what it says: %s",
                host->held_by);
    examine_identity(&e);
    mode_pages(&e);
    events(&e);
    locks(&e);
    examine_medium(&e);
    if (guided)
        examine_guided(&e);
    examine_unlock(&e);
    say_end(&e);
    examine_believe(&e, device);
    return e.report;
}
