/*
 * text.c - prompts in words: what is asked, and what became of it
 *
 * SPDX-License-Identifier: MIT
 */
#include "prompt/prompt_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "base/trace.h"

static const struct text texts[] = {
#define PROMPT_ROW(status, group, title, inserts, why, what)                   \
    { status, group, title, inserts, why, what },
#define PROMPT_TAPE_ROW(status, title, why, what)
#include "prompt/texts.def"
#undef PROMPT_ROW
#undef PROMPT_TAPE_ROW
};

static const struct tape_text tape_texts[] = {
#define PROMPT_ROW(status, group, title, inserts, why, what)
#define PROMPT_TAPE_ROW(status, title, why, what) { status, title, why, what },
#include "prompt/texts.def"
#undef PROMPT_ROW
#undef PROMPT_TAPE_ROW
};

const struct text prompt_other = {
    0,
    GROUP_OTHER,
    "Unknown Hard Error",
    "",
    "Volume %1$s%3$s in drive %2$s needs attention.",
    "Check the drive."
};

/* In place of STATUS_WRONG_VOLUME's, for a blank medium, say. */
static const char untold_why[] =
    "Volume %1$s%3$s is needed, and nothing on the medium in drive %2$s, where "
    "it was last seen, tells whether it is that one. It is left untouched.";
static const char untold_what[] =
    "If it is the right one, answer retry; if not, put the right one into any "
    "drive.";

static const struct tape_text tape_other = {
    0, "Unknown Hard Error", "%1$s is needed, and drive %2$s needs attention.",
    "Check the drive."
};

/* A status that nobody knows, without a request. */
static const char unknown_notice[] = "A part of the system reports a status "
                                     "that has no text here.";

const struct text *
prompt_text_for(NTSTATUS status)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].status == status)
            return &texts[i];
    return &prompt_other;
}

static const struct tape_text *
tape_text_for(NTSTATUS status)
{
    for (size_t i = 0; i < sizeof tape_texts / sizeof tape_texts[0]; i++)
        if (tape_texts[i].status == status)
            return &tape_texts[i];
    return &tape_other;
}

/* --- pictures for people ------------------------------------------------------ */

struct facts
prompt_facts(const struct prompt *prompt)
{
    struct facts facts = { prompt->id,     prompt->vpb,      prompt->real,
                           prompt->status, prompt->since_ms, prompt->waiting,
                           prompt->used,   prompt->robot };

    if (prompt->call != NULL) {
        facts.called = TRUE;
        memcpy(facts.volume, prompt->call->volume, sizeof facts.volume);
        memcpy(facts.drive, prompt->call->drive, sizeof facts.drive);
    }
    return facts;
}

/* " (serial 1234-ABCD)", or nothing. */
static void
serial_of(PVPB vpb, char *out_text, size_t max)
{
    ULONG serial;
    KIRQL irql;

    out_text[0] = '\0';
    if (vpb == NULL)
        return;
    IoAcquireVpbSpinLock(&irql);
    serial = vpb->SerialNumber;
    IoReleaseVpbSpinLock(irql);
    if (serial != 0)
        snprintf(out_text, max, " (serial %04X-%04X)",
                 (unsigned) (serial >> 16), (unsigned) (serial & 0xFFFF));
}

static void
capital(char *text)
{
    if (text[0] >= 'a' && text[0] <= 'z')
        text[0] = (char) (text[0] - 'a' + 'A');
}

/* Instead of what is said of a single drive. */
static BOOLEAN
describe_robot(const struct facts *facts, const char *serial,
               struct ri_prompt_info *out)
{
    char says[RI_TEXT_MAX] = "";

    if (facts->called || broker.host.robot_says == NULL ||
        !prompt_for_robot(facts->status))
        return FALSE;
    broker.host.robot_says(broker.host.context, facts->vpb, says);
    if (says[0] == '\0')
        return FALSE;
    snprintf(out->text, sizeof out->text, "%s%s is needed. %.300s",
             out->subject, serial, says);
    capital(out->text);
    return TRUE;
}

/* What it is about, as a part of a sentence. */
static void
name_subject(const struct facts *facts, struct ri_prompt_info *out)
{
    if (!facts->called && broker.host.tape != NULL &&
        broker.host.tape(broker.host.context, facts->vpb, out->subject))
        out->tape = TRUE;
    else
        snprintf(out->subject, sizeof out->subject, "volume %s", out->volume);
}

static void
put_words(const char *why, const char *what, const char *name,
          const char *serial, struct ri_prompt_info *out)
{
    int n;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    n = snprintf(out->text, sizeof out->text, why, name, out->drive, serial);
#pragma GCC diagnostic pop
    if (n > 0 && (size_t) n < sizeof out->text)
        snprintf(out->text + n, sizeof out->text - (size_t) n, " %s", what);
}

static BOOLEAN
is_untold(const struct facts *facts)
{
    return facts->status == STATUS_WRONG_VOLUME && !facts->called &&
           broker.host.untold != NULL &&
           broker.host.untold(broker.host.context, facts->vpb);
}

void
prompt_describe(const struct facts *facts, struct ri_prompt_info *out)
{
    const struct text *text = prompt_text_for(facts->status);
    const struct tape_text *of_tape = tape_text_for(facts->status);
    const char *why =
        facts->called && text == &prompt_other ? unknown_notice : text->why;
    char serial[32];

    memset(out, 0, sizeof *out);
    out->id = facts->id;
    out->status = (uint32_t) facts->status;
    out->waiting = facts->waiting;
    out->age_ms = clock_coarse_ms() - facts->since_ms;
    memcpy(out->volume, facts->volume, sizeof facts->volume);
    memcpy(out->drive, facts->drive, sizeof facts->drive);
    if (!facts->called)
        broker.host.describe(broker.host.context, facts->vpb, facts->real,
                             out->volume, out->drive);
    name_subject(facts, out);
    serial_of(facts->vpb, serial, sizeof serial);
    snprintf(out->reason, sizeof out->reason, "%s", status_name(facts->status));
    snprintf(out->title, sizeof out->title, "%s",
             out->tape ? of_tape->title : text->title);
    snprintf(out->answers, sizeof out->answers, "%sretry|cancel",
             facts->status == STATUS_FILE_INVALID && !facts->called ? "use|"
                                                                    : "");
    if (describe_robot(facts, serial, out))
        return;
    if (out->tape)
        put_words(of_tape->why, of_tape->what, out->subject, "", out);
    else if (is_untold(facts))
        put_words(untold_why, untold_what, out->volume, serial, out);
    else
        put_words(why, text->what, out->volume, serial, out);
    capital(out->text);
}

void
prompt_tell(enum prompt_event event, const struct facts *facts)
{
    struct ri_prompt_info info;

    if (facts->robot && event != PROMPT_TAKEN)
        return; /* nobody knows of it */
    prompt_describe(facts, &info);
    TRACE(TRACE_PROMPT, "prompt %u %s: event %d", (unsigned) info.id,
          info.reason, (int) event);
    broker.host.event(broker.host.context, event, &info);
}

void
prompt_event_text(enum prompt_event event, const struct ri_prompt_info *prompt,
                  char *out_text)
{
    static const char *const of_tapes[] = {
        [PROMPT_STILL] = "is still not there; the question stands",
        [PROMPT_RETRIED] = "got the answer retry; what waits for it goes on",
        [PROMPT_CANCELLED] = "got the answer cancel; what waits for it fails",
        [PROMPT_USED] = "got the answer use; it has to be positioned first",
        [PROMPT_ARRIVED] = "is there; what waits for it goes on",
        [PROMPT_ANSWERED] = "its drive answers; what waits for it goes on",
        [PROMPT_TIMED_OUT] = "got no answer in time; what waits for it fails",
        [PROMPT_DROPPED] = "is not waited for any more",
        [PROMPT_SUPPRESSED] =
            "is not asked for: questions are suppressed; its work fails",
        [PROMPT_TAKEN] = "is being brought by a robot; nobody is asked",
    };
    static const char *const words[] = {
        [PROMPT_STILL] = "is still not there; the question stands",
        [PROMPT_RETRIED] = "got the answer retry; its requests go on",
        [PROMPT_CANCELLED] = "got the answer cancel; its requests fail",
        [PROMPT_USED] = "got the answer use; its clients have to open it anew",
        [PROMPT_ARRIVED] = "is back; its requests go on",
        [PROMPT_ANSWERED] = "has an answer of its drive; its requests go on",
        [PROMPT_TIMED_OUT] = "got no answer in time; its requests fail",
        [PROMPT_DROPPED] = "is not waited for any more",
        [PROMPT_SUPPRESSED] =
            "is not asked for: questions are suppressed; its requests fail",
        [PROMPT_TAKEN] = "is being brought by a robot; nobody is asked",
    };

    if (event == PROMPT_ASKED || event == PROMPT_CHANGED)
        snprintf(out_text, RI_TEXT_MAX, "prompt %llu: %.480s",
                 (unsigned long long) prompt->id, prompt->text);
    else
        snprintf(out_text, RI_TEXT_MAX, "prompt %llu: %s %s",
                 (unsigned long long) prompt->id, prompt->subject,
                 (prompt->tape ? of_tapes : words)[event]);
}
