/*
 * guided.c - what a drive says while a person moves its medium
 *
 * All answers are written down when they change: TEST UNIT READY, a read of
 * the first block, READ CAPACITY, events.  A step is over when the drive shows
 * what was asked for, when the person says so, or after a time limit.  What was
 * not done, or may not have been, says nothing of the drive.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe/examine.h"
#include "probe/look.h"

#define ROUND_MS 100

struct watch {
    struct examination *e;
    const char *step;
    uint64_t began_us;
    struct cdb tur, read;
    struct medium_seen medium;
    uint8_t event; /* of GESN's media class, or 0 */
    bool gesn, first;
    char last[4][64]; /* as written down last */
    /* since the step began */
    bool attention, new_medium, removal, eject_request, becoming, was_out;
    bool read_while_out, size_while_out;
};

static void
write_down(struct watch *w, int slot, const char *what, const char *text)
{
    if (strcmp(w->last[slot], text) == 0)
        return;
    snprintf(w->last[slot], sizeof w->last[slot], "%s", text);
    json_array_append_new(
        json_object_get(w->e->report, "seen"),
        json_pack("{s:s, s:I, s:s, s:s}", "step", w->step, "ms",
                  (json_int_t) ((link_now_us() - w->began_us) / 1000), "what",
                  what, "text", text));
}

/* As it is: the next unit attention is what is looked for. */
static void
send_as_is(struct watch *w, struct cdb *cdb)
{
    if (examine_is_over(w->e)) {
        cdb->answered = false;
        return;
    }
    link_send(w->e->link, cdb);
    w->e->silent = cdb->answered ? 0 : w->e->silent + 1;
}

static bool
is_out(const struct watch *w)
{
    struct sense sense = link_sense(&w->tur);

    return sense.key == 2 || (sense.key == 6 && sense.asc == 0x3A);
}

static void
note_ready(struct watch *w)
{
    struct sense sense = link_sense(&w->tur);
    char text[64];

    if (sense.key == 6 && sense.asc == 0x28)
        w->attention = true;
    if (sense.key == 6 && sense.asc == 0x5A)
        w->eject_request = true;
    if (sense.key == 2 && sense.asc == 0x04)
        w->becoming = true;
    if (is_out(w))
        w->was_out = true;
    answer_text(&w->tur, text, sizeof text);
    write_down(w, 0, "TEST UNIT READY", text);
}

static void
note_event(struct watch *w)
{
    static const char *const words[] = { "none", "eject request", "new medium",
                                         "removal", "medium changed" };
    uint8_t reply[8];
    struct cdb gesn = { .cdb = { 0x4A, 1, 0, 0, 0x10, [8] = 8 },
                        .cdb_len = 10,
                        .data = reply,
                        .data_len = 8 };

    memset(reply, 0, sizeof reply);
    if (!w->gesn)
        return;
    send_as_is(w, &gesn);
    w->attention |= link_sense(&gesn).key == 6 && link_sense(&gesn).asc == 0x28;
    if (!link_good(&gesn) || gesn.transferred < 5 || (reply[2] & 7) != 4)
        return;
    w->event = reply[4] & 0xF;
    w->eject_request |= w->event == 1;
    w->new_medium |= w->event == 2 || w->event == 4;
    w->removal |= w->event == 3;
    write_down(w, 1, "event", w->event < 5 ? words[w->event] : "unknown");
}

/* After TEST UNIT READY, so that this is who takes the unit attention. */
static void
note_data(struct watch *w)
{
    static uint8_t block[65536];
    struct medium_seen one = { true, 1, w->medium.block_bytes };
    struct cdb capacity;
    struct medium_seen now;
    char text[64];
    bool out = link_sense(&w->tur).key == 2 && link_sense(&w->tur).asc == 0x3A;

    if (examine_is_over(w->e))
        return;
    look_read(w->e->link, &one, 0, 1, block, &w->read);
    w->read.data = NULL;
    w->read_while_out |= out && link_good(&w->read);
    w->attention |= link_sense(&w->read).asc == 0x28;
    answer_text(&w->read, text, sizeof text);
    write_down(w, 2, "READ", text);
    now = look_capacity(w->e->link, &capacity);
    w->attention |=
        link_sense(&capacity).key == 6 && link_sense(&capacity).asc == 0x28;
    w->size_while_out |= out && now.known;
    if (now.known)
        snprintf(text, sizeof text, "%llu blocks",
                 (unsigned long long) now.blocks);
    else
        snprintf(text, sizeof text, "none");
    write_down(w, 3, "READ CAPACITY", text);
}

static void
look_round(struct watch *w)
{
    /* What it is not asked it does not fail to answer. */
    if (examine_is_over(w->e))
        return;
    w->tur = (struct cdb){ .cdb_len = 6 };
    send_as_is(w, &w->tur);
    note_ready(w);
    note_event(w);
    note_data(w);
}

typedef bool over_fn(const struct watch *w);

/* How a step ended. */
enum step { STEP_SHOWN, STEP_SAID, STEP_NOT_DONE };

static enum step
watch_for(struct watch *w, const char *step, const char *what, over_fn *over)
{
    const struct examine_host *host = w->e->host;
    uint64_t limit = link_now_us() + (uint64_t) host->limit_ms * 1000;

    w->step = step;
    w->began_us = link_now_us();
    w->attention = w->new_medium = w->removal = w->eject_request = false;
    w->becoming = w->was_out = w->read_while_out = w->size_while_out = false;
    if (examine_is_over(w->e))
        return STEP_NOT_DONE;
    host->ask(host->context, what);
    for (;;) {
        enum said said = SAID_NOTHING;

        look_round(w);
        if (examine_is_over(w->e))
            return STEP_NOT_DONE;
        if (over(w))
            return STEP_SHOWN;
        if (host->says != NULL)
            said = host->says(host->context);
        if (said == SAID_DONE) {
            look_round(w); /* what it was told of meanwhile */
            return over(w) ? STEP_SHOWN : STEP_SAID;
        }
        if (said == SAID_CANNOT || link_now_us() >= limit)
            return STEP_NOT_DONE;
        usleep(ROUND_MS * 1000);
    }
}

static void
not_done(struct watch *w, const char *name)
{
    if (!examine_is_over(w->e))
        finding(w->e, name, "unknown", NULL, NULL,
                "not found out: it was not done, or not within the time for "
                "it");
}

static bool
shows_out(const struct watch *w)
{
    return is_out(w) && w->tur.answered && link_sense(&w->tur).key == 2;
}

static bool
shows_in(const struct watch *w)
{
    return link_good(&w->tur);
}

static bool
shows_exchange(const struct watch *w)
{
    return link_good(&w->tur) && (w->was_out || w->attention || w->new_medium);
}

static bool
shows_button(const struct watch *w)
{
    return w->eject_request || w->was_out;
}

/* --- steps ---------------------------------------------------------------------------- */

/* FALSE: nothing more can be watched. */
static bool
taken_out(struct watch *w)
{
    struct examination *e = w->e;

    switch (watch_for(w, "out", "Take the medium out, by hand.", shows_out)) {
    case STEP_NOT_DONE:
        not_done(w, "removal");
        return false;
    case STEP_SAID:
        finding(e, "removal", "wrong",
                "SPC-4, TEST UNIT READY command: NOT READY, MEDIUM NOT PRESENT",
                &w->tur, "does not say that its medium is gone");
        return true;
    case STEP_SHOWN:
        break;
    }
    /* The first answer may still have been on its way. */
    look_round(w);
    finding(e, "removal", "good", NULL, &w->tur,
            "says that its medium is gone");
    if (w->read_while_out)
        finding(e, "read-without-medium", "wrong",
                "SPC-4, TEST UNIT READY command: it tells whether a command "
                "that accesses the medium would be carried out",
                &w->read,
                "goes on reading although it says that it has no "
                "medium");
    if (w->size_while_out)
        finding(e, "capacity-without-medium", "wrong",
                is_type(e, "cdrom") ? "MMC-5, READ CAPACITY command"
                                    : "SBC-3, READ CAPACITY (10) command",
                NULL,
                "tells a capacity although it says that it has no medium");
    return true;
}

static void
say_changes(struct watch *w, enum step end, const char *name, const char *which)
{
    if (end == STEP_NOT_DONE) {
        not_done(w, name);
        return;
    }
    if (w->attention || w->new_medium)
        finding(w->e, name, "good", NULL, NULL, "announces %s: %s%s%s", which,
                w->attention ? "UNIT ATTENTION 28" : "",
                w->attention && w->new_medium ? ", " : "",
                w->new_medium ? "an event" : "");
    else if (w->e->host->polled != NULL && w->e->host->polled[0] != '\0')
        finding(w->e, name, "unknown", NULL, NULL,
                "did not announce %s to us; the kernel's driver asks it, too, "
                "and may have been told. Stop that (echo 0 >%s), and try again",
                which, w->e->host->polled);
    else
        finding(w->e, name, "wrong",
                "SAM-5, Unit attention conditions; SPC-4, NOT READY TO READY "
                "CHANGE, MEDIUM MAY HAVE CHANGED",
                NULL, "does not announce %s", which);
    if (w->becoming && strcmp(name, "return") == 0)
        finding(w->e, "becoming-ready", "good", NULL, NULL,
                "says that it is becoming ready");
}

static void
exchange(struct watch *w)
{
    say_changes(w, watch_for(w, "back", "Put the same medium back.", shows_in),
                "return", "a medium that comes back");
    say_changes(w,
                watch_for(w, "another",
                          "Take the medium out, and put another one in.",
                          shows_exchange),
                "changes", "another medium");
}

static void
say_button(struct watch *w, enum step end)
{
    struct examination *e = w->e;

    if (examine_is_over(e))
        return;
    if (w->was_out)
        finding(e, "lock-holds", "wrong", prevent_clause(e), &w->tur,
                "lets its medium go although it is locked");
    else if (w->eject_request)
        finding(e, "button", "good", NULL, NULL,
                "tells that somebody pressed the button");
    else
        finding(e, "button", "absent", NULL, NULL,
                end == STEP_SAID ? "does not tell of its button"
                                 : "has no button, or does not tell of it");
}

static void
button(struct watch *w)
{
    struct examination *e = w->e;
    struct cdb prevent = examine_prevent(e, true);
    struct cdb eject = { .cdb = { 0x1B, 0, 0, 0, 2 }, .cdb_len = 6 };
    enum reply reply;

    if (link_good(&prevent)) {
        struct sense sense;
        bool refused;

        reply = examine_send(e, &eject);
        sense = link_sense(&eject);
        refused = sense.key == 5 && sense.asc == 0x53;
        if (reply == REPLY_UNKNOWN || (reply == REPLY_NOT && sense.asc == 0x20))
            finding_unknown(e, "eject-when-locked", &eject);
        else
            finding(e, "eject-when-locked", refused ? "good" : "wrong",
                    refused ? NULL : "SPC-4, MEDIUM REMOVAL PREVENTED", &eject,
                    "%s to eject while it is locked%s",
                    reply == REPLY_GOOD ? "does not refuse" : "refuses",
                    refused || reply == REPLY_GOOD
                        ? ""
                        : ", in other words than 5/53/02");
        say_button(w, watch_for(w, "button",
                                "The medium is locked. Press the eject button "
                                "once, or say that there is none.",
                                shows_button));
        examine_unlock(e);
    }
    reply = examine_send(e, &eject);
    if (reply == REPLY_UNKNOWN)
        finding_unknown(e, "eject", &eject);
    else
        finding(e, "eject", reply == REPLY_GOOD ? "good" : "absent", NULL,
                &eject,
                reply == REPLY_GOOD ? "ejects when told to"
                                    : "does not eject when told to");
}

static const char *
why_held(const struct examination *e)
{
    return e->host->held_by != NULL ? e->host->held_by : "";
}

static const char *
why_not(const struct examination *e)
{
    if (why_held(e)[0] != '\0')
        return "somebody else has it: its medium stays where it is";
    if (!has_blocks(e))
        return "media of disks and CD drives are watched only";
    return "there was no medium to begin with, or none that can be read";
}

void
examine_guided(struct examination *e)
{
    struct watch w = { .e = e };
    uint8_t reply[8];

    if (examine_is_over(e))
        return;
    if (has_blocks(e) && why_held(e)[0] == '\0')
        w.medium = look_capacity(e->link, NULL);
    if (!w.medium.known) {
        finding(e, "guided", "note", NULL, NULL, "nothing was watched: %s",
                why_not(e));
        return;
    }
    w.gesn = examine_gesn(e, reply, NULL) == REPLY_GOOD;
    if (taken_out(&w))
        exchange(&w);
    if (!examine_is_over(e))
        button(&w);
    if (!examine_is_over(e))
        e->host->ask(e->host->context, "That is all.");
}
