/*
 * robot.c - questions that a robot answers, or leaves to a person
 *
 * A question that a robot works on is kept like any other, but nobody knows of
 * it: it is in no list, has no event and no timeout.
 *
 * SPDX-License-Identifier: MIT
 */
#include "prompt/prompt_internal.h"

#include "base/clock.h"

/* Questions that a robot may answer: it can bring a medium, and nothing else. */
BOOLEAN
prompt_for_robot(NTSTATUS status)
{
    return prompt_text_for(status)->group == GROUP_ABSENT &&
           status != STATUS_FILE_INVALID;
}

BOOLEAN
prompt_robot_brings(PVPB vpb, NTSTATUS status)
{
    return broker.host.robot != NULL && prompt_for_robot(status) &&
           broker.host.robot(broker.host.context, vpb, status);
}

/* A robot that worked on it cannot help with that reason. */
enum prompt_event
prompt_new_reason_locked(struct prompt *prompt, NTSTATUS status)
{
    prompt->status = status;
    if (!prompt->robot || prompt_for_robot(status))
        return PROMPT_CHANGED;
    prompt->robot = FALSE;
    prompt_set_timeout_locked(prompt);
    return PROMPT_ASKED;
}

static void
forget_timeout_locked(struct prompt *prompt)
{
    if (prompt->timer_set && KeCancelTimer(&prompt->timer))
        InterlockedDecrement(&prompt->references);
    prompt->timer_set = FALSE;
}

void
prompt_robot(PVPB vpb, BOOLEAN works)
{
    struct facts facts;
    BOOLEAN changed = FALSE;
    KIRQL irql;

    KeAcquireSpinLock(&broker.lock, &irql);
    for (PLIST_ENTRY e = broker.prompts.Flink; e != &broker.prompts;
         e = e->Flink) {
        struct prompt *prompt = CONTAINING_RECORD(e, struct prompt, link);

        if (prompt->vpb != vpb || prompt->call != NULL ||
            !prompt_for_robot(prompt->status) || prompt->robot == works)
            continue;
        prompt->robot = works;
        if (works)
            forget_timeout_locked(prompt);
        else
            prompt_set_timeout_locked(prompt);
        facts = prompt_facts(prompt);
        changed = TRUE;
    }
    KeReleaseSpinLock(&broker.lock, irql);
    if (changed)
        prompt_tell(works ? PROMPT_TAKEN : PROMPT_ASKED, &facts);
}

/* What the robot says has other words now. */
void
prompt_robot_words(PVPB vpb)
{
    struct facts facts;
    BOOLEAN found = FALSE;
    KIRQL irql;

    KeAcquireSpinLock(&broker.lock, &irql);
    for (PLIST_ENTRY e = broker.prompts.Flink; e != &broker.prompts;
         e = e->Flink) {
        struct prompt *prompt = CONTAINING_RECORD(e, struct prompt, link);

        if (prompt->vpb != vpb || prompt->robot ||
            !prompt_for_robot(prompt->status))
            continue;
        facts = prompt_facts(prompt);
        found = TRUE;
    }
    KeReleaseSpinLock(&broker.lock, irql);
    if (found)
        prompt_tell(PROMPT_CHANGED, &facts);
}

uint64_t
prompt_age(PVPB vpb)
{
    uint64_t now = clock_coarse_ms(), oldest = now;
    KIRQL irql;

    KeAcquireSpinLock(&broker.lock, &irql);
    for (PLIST_ENTRY e = broker.prompts.Flink; e != &broker.prompts;
         e = e->Flink) {
        struct prompt *prompt = CONTAINING_RECORD(e, struct prompt, link);

        if (prompt->vpb == vpb && prompt->since_ms < oldest)
            oldest = prompt->since_ms;
    }
    KeReleaseSpinLock(&broker.lock, irql);
    return now - oldest;
}
