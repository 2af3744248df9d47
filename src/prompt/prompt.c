/*
 * prompt.c - prompts: raised, answered, ended
 *
 * A waiting IRP is linked through Tail.Overlay.ListEntry; DriverContext[1]
 * names its prompt while it is linked.  Its cancel routine takes it out, so a
 * client that goes away does not leave a question behind.  Whoever unlinks an
 * IRP under the lock and gets its cancel routine back owns it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "prompt/prompt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "base/trace.h"

#define PROMPT_TAG     0x746D7250 /* 'Prmt' */
#define PROMPT_OF(irp) ((irp)->Tail.Overlay.DriverContext[1])

enum group { GROUP_ABSENT, GROUP_PROTECTED, GROUP_TIMEOUT, GROUP_OTHER };

static const struct text {
    NTSTATUS status;
    enum group group;
    const char *title, *why, *what;
} texts[] = {
#define PROMPT_ROW(status, group, title, why, what)                            \
    { status, group, title, why, what },
#include "prompt/texts.def"
#undef PROMPT_ROW
};

static const struct text other = { 0, GROUP_OTHER, "Unknown Hard Error",
                                   "Volume %s in drive %s needs attention.",
                                   "Check the drive." };

struct prompt {
    LIST_ENTRY link;
    uint64_t id;
    PVPB vpb;            /* borrowed: volumes keep theirs */
    PDEVICE_OBJECT real; /* borrowed */
    NTSTATUS status;
    enum group group;
    uint64_t since_ms;
    uint32_t waiting;
    LIST_ENTRY irps;
    LIST_ENTRY ended; /* taken out, to be dispatched by work */
    WORK_QUEUE_ITEM work;
    KTIMER timer;
    KDPC dpc;
    WORK_QUEUE_ITEM timeout_work;
    BOOLEAN timer_set;
    LONG references; /* the list, the timer */
};

/*
 * A program that got its error often has more to say at once: the rest of its
 * queue, a last flush.  For a moment after a cancel such requests get the same
 * answer, instead of the same question.
 */
#define GRACE_MS  2000
#define GRACE_MAX 16

static struct {
    KSPIN_LOCK lock;
    LIST_ENTRY prompts;
    struct grace {
        PVPB vpb;
        enum group group;
        uint64_t until_ms;
    } grace[GRACE_MAX];
    unsigned next_grace;
    uint64_t next_id;
    struct prompt_host host;
    unsigned timeout_s;
    enum ri_no_operator policy;
} broker = { .prompts = { &broker.prompts, &broker.prompts } };

static const struct text *
text_for(NTSTATUS status)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].status == status)
            return &texts[i];
    return &other;
}

void
prompt_init(const struct prompt_host *host, unsigned timeout_s,
            enum ri_no_operator policy)
{
    KeInitializeSpinLock(&broker.lock);
    InitializeListHead(&broker.prompts);
    memset(broker.grace, 0, sizeof broker.grace);
    broker.next_id = 1;
    broker.host = *host;
    broker.timeout_s = timeout_s;
    broker.policy = policy;
}

static void
unref(struct prompt *prompt)
{
    if (InterlockedDecrement(&prompt->references) == 0)
        ExFreePoolWithTag(prompt, PROMPT_TAG);
}

/* --- pictures for people ------------------------------------------------------ */

struct facts {
    uint64_t id;
    PVPB vpb;
    PDEVICE_OBJECT real;
    NTSTATUS status;
    uint64_t since_ms;
    uint32_t waiting;
};

static struct facts
facts_of(const struct prompt *prompt)
{
    return (struct facts){ prompt->id,     prompt->vpb,      prompt->real,
                           prompt->status, prompt->since_ms, prompt->waiting };
}

static void
describe(const struct facts *facts, struct ri_prompt_info *out)
{
    const struct text *text = text_for(facts->status);
    int n;

    memset(out, 0, sizeof *out);
    out->id = facts->id;
    out->status = (uint32_t) facts->status;
    out->waiting = facts->waiting;
    out->age_ms = clock_coarse_ms() - facts->since_ms;
    broker.host.describe(broker.host.context, facts->vpb, facts->real,
                         out->volume, out->drive);
    snprintf(out->reason, sizeof out->reason, "%s", status_name(facts->status));
    snprintf(out->title, sizeof out->title, "%s", text->title);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    n = snprintf(out->text, sizeof out->text, text->why, out->volume,
                 out->drive);
#pragma GCC diagnostic pop
    if (n > 0 && (size_t) n < sizeof out->text)
        snprintf(out->text + n, sizeof out->text - (size_t) n, " %s",
                 text->what);
}

static void
tell(enum prompt_event event, const struct facts *facts)
{
    struct ri_prompt_info info;

    describe(facts, &info);
    TRACE(TRACE_PROMPT, "prompt %u %s: event %d", (unsigned) info.id,
          info.reason, (int) event);
    broker.host.event(broker.host.context, event, &info);
}

void
prompt_event_text(enum prompt_event event, const struct ri_prompt_info *prompt,
                  char *out_text)
{
    static const char *const words[] = {
        [PROMPT_STILL] = "still not there; the question stands",
        [PROMPT_RETRIED] = "answered retry; its requests go on",
        [PROMPT_CANCELLED] = "answered cancel; its requests fail",
        [PROMPT_ARRIVED] = "is back; its requests go on",
        [PROMPT_TIMED_OUT] = "nobody answered in time; its requests fail",
        [PROMPT_DROPPED] = "nobody waits for it any more",
    };

    if (event == PROMPT_ASKED || event == PROMPT_CHANGED)
        snprintf(out_text, RI_TEXT_MAX, "prompt %llu: %.480s",
                 (unsigned long long) prompt->id, prompt->text);
    else
        snprintf(out_text, RI_TEXT_MAX, "prompt %llu: volume %s %s",
                 (unsigned long long) prompt->id, prompt->volume, words[event]);
}

/* --- ending ---------------------------------------------------------------------- */

/* Moves the IRPs that nobody is cancelling to `ended`. */
static void
take_irps_locked(struct prompt *prompt)
{
    while (!IsListEmpty(&prompt->irps)) {
        PLIST_ENTRY entry = RemoveHeadList(&prompt->irps);
        PIRP irp = CONTAINING_RECORD(entry, IRP, Tail.Overlay.ListEntry);

        if (IoSetCancelRoutine(irp, NULL) != NULL)
            InsertTailList(&prompt->ended, entry);
        else
            InitializeListHead(entry); /* its cancel routine has it */
    }
    prompt->waiting = 0;
    RemoveEntryList(&prompt->link);
    InitializeListHead(&prompt->link);
}

/* Takes the prompt off the list; the caller then owns the list's reference. */
static void
end_locked(struct prompt *prompt)
{
    take_irps_locked(prompt);
    if (prompt->timer_set && KeCancelTimer(&prompt->timer))
        InterlockedDecrement(&prompt->references);
    prompt->timer_set = FALSE;
}

static PIRP
next_ended(struct prompt *prompt)
{
    if (IsListEmpty(&prompt->ended))
        return NULL;
    return CONTAINING_RECORD(RemoveHeadList(&prompt->ended), IRP,
                             Tail.Overlay.ListEntry);
}

static VOID NTAPI
retry_work(PVOID parameter)
{
    struct prompt *prompt = parameter;
    PIRP irp;

    while ((irp = next_ended(prompt)) != NULL)
        broker.host.retry(irp);
    unref(prompt);
}

static void
retry_ended(struct prompt *prompt)
{
    ExInitializeWorkItem(&prompt->work, retry_work, prompt);
    ExQueueWorkItem(&prompt->work, DelayedWorkQueue);
}

static void
fail_ended(struct prompt *prompt, NTSTATUS status)
{
    PIRP irp;

    while ((irp = next_ended(prompt)) != NULL)
        broker.host.fail(irp, status);
    unref(prompt);
}

static struct prompt *
find_locked(uint64_t id)
{
    for (PLIST_ENTRY e = broker.prompts.Flink; e != &broker.prompts;
         e = e->Flink) {
        struct prompt *prompt = CONTAINING_RECORD(e, struct prompt, link);

        if (prompt->id == id)
            return prompt;
    }
    return NULL;
}

static void
remember_cancel_locked(const struct prompt *prompt)
{
    broker.grace[broker.next_grace++ % GRACE_MAX] =
        (struct grace){ prompt->vpb, prompt->group,
                        clock_coarse_ms() + GRACE_MS };
}

static BOOLEAN
cancelled_just_now_locked(PVPB vpb, NTSTATUS status)
{
    enum group group = text_for(status)->group;
    uint64_t now = clock_coarse_ms();

    for (unsigned i = 0; i < GRACE_MAX; i++)
        if (broker.grace[i].vpb == vpb && broker.grace[i].group == group &&
            now < broker.grace[i].until_ms)
            return TRUE;
    return FALSE;
}

static void
forget_cancels_locked(PVPB vpb)
{
    for (unsigned i = 0; i < GRACE_MAX; i++)
        if (broker.grace[i].vpb == vpb)
            broker.grace[i].vpb = NULL;
}

static int
cancel_prompt(uint64_t id, enum prompt_event why)
{
    struct prompt *prompt;
    struct facts facts;
    KIRQL irql;

    KeAcquireSpinLock(&broker.lock, &irql);
    prompt = find_locked(id);
    if (prompt != NULL) {
        facts = facts_of(prompt);
        remember_cancel_locked(prompt);
        end_locked(prompt);
    }
    KeReleaseSpinLock(&broker.lock, irql);
    if (prompt == NULL)
        return -ENOENT;
    tell(why, &facts);
    fail_ended(prompt, facts.status);
    return 0;
}

/* --- raising ------------------------------------------------------------------------ */

/* The client gave up.  Called with the cancel spin lock. */
static VOID NTAPI
cancel_waiting(PDEVICE_OBJECT device, PIRP irp)
{
    struct prompt *dropped = NULL;
    struct facts facts;
    KIRQL irql;

    (void) device;
    IoReleaseCancelSpinLock(irp->CancelIrql);
    KeAcquireSpinLock(&broker.lock, &irql);
    if (!IsListEmpty(&irp->Tail.Overlay.ListEntry)) {
        struct prompt *prompt = PROMPT_OF(irp);

        RemoveEntryList(&irp->Tail.Overlay.ListEntry);
        if (--prompt->waiting == 0) {
            facts = facts_of(prompt);
            end_locked(prompt);
            dropped = prompt;
        }
    }
    KeReleaseSpinLock(&broker.lock, irql);
    broker.host.fail(irp, STATUS_CANCELLED);
    if (dropped != NULL) {
        tell(PROMPT_DROPPED, &facts);
        fail_ended(dropped, STATUS_CANCELLED);
    }
}

static VOID NTAPI
timeout_work(PVOID parameter)
{
    struct prompt *prompt = parameter;

    cancel_prompt(prompt->id, PROMPT_TIMED_OUT);
    unref(prompt);
}

static VOID NTAPI
timeout_dpc(struct _KDPC *dpc, PVOID context, PVOID argument1, PVOID argument2)
{
    struct prompt *prompt = context;

    (void) dpc;
    (void) argument1;
    (void) argument2;
    ExInitializeWorkItem(&prompt->timeout_work, timeout_work, prompt);
    ExQueueWorkItem(&prompt->timeout_work, DelayedWorkQueue);
}

static void
set_timeout_locked(struct prompt *prompt)
{
    LARGE_INTEGER due = { .QuadPart = -(LONGLONG) broker.timeout_s * 10000000 };

    if (broker.timeout_s == 0 || broker.policy != RI_NO_OPERATOR_CANCEL)
        return;
    prompt->timer_set = TRUE;
    prompt->references++;
    KeSetTimer(&prompt->timer, due, &prompt->dpc);
}

static struct prompt *
new_prompt(PVPB vpb, PDEVICE_OBJECT real, NTSTATUS status)
{
    struct prompt *prompt =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *prompt, PROMPT_TAG);

    if (prompt == NULL)
        return NULL;
    memset(prompt, 0, sizeof *prompt);
    prompt->vpb = vpb;
    prompt->real = real;
    prompt->status = status;
    prompt->group = text_for(status)->group;
    prompt->since_ms = clock_coarse_ms();
    prompt->references = 1;
    InitializeListHead(&prompt->irps);
    InitializeListHead(&prompt->ended);
    KeInitializeTimer(&prompt->timer);
    KeInitializeDpc(&prompt->dpc, timeout_dpc, prompt);
    return prompt;
}

/* The prompt for this volume and kind of reason; `fresh` is used up if there
 * is none yet. */
static struct prompt *
join_locked(struct prompt **fresh, PVPB vpb, NTSTATUS status)
{
    enum group group = text_for(status)->group;
    struct prompt *prompt;

    for (PLIST_ENTRY e = broker.prompts.Flink; e != &broker.prompts;
         e = e->Flink) {
        prompt = CONTAINING_RECORD(e, struct prompt, link);
        if (prompt->vpb == vpb && prompt->group == group)
            return prompt;
    }
    prompt = *fresh;
    *fresh = NULL;
    prompt->id = broker.next_id++;
    InsertTailList(&broker.prompts, &prompt->link);
    set_timeout_locked(prompt);
    return prompt;
}

NTSTATUS
prompt_raise(void *context, PIRP irp, PVPB vpb, PDEVICE_OBJECT real,
             NTSTATUS status)
{
    struct prompt *fresh = new_prompt(vpb, real, status), *prompt;
    enum prompt_event event = PROMPT_ASKED;
    BOOLEAN asked, changed;
    struct facts facts;
    KIRQL irql;

    (void) context;
    if (fresh == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeAcquireSpinLock(&broker.lock, &irql);
    if (cancelled_just_now_locked(vpb, status)) {
        KeReleaseSpinLock(&broker.lock, irql);
        unref(fresh);
        broker.host.fail(irp, status);
        return STATUS_SUCCESS;
    }
    IoSetCancelRoutine(irp, cancel_waiting);
    if (irp->Cancel && IoSetCancelRoutine(irp, NULL) != NULL) {
        KeReleaseSpinLock(&broker.lock, irql);
        unref(fresh);
        broker.host.fail(irp, STATUS_CANCELLED);
        return STATUS_SUCCESS;
    }
    prompt = join_locked(&fresh, vpb, status);
    asked = fresh == NULL;
    changed = !asked && prompt->status != status;
    prompt->status = status;
    prompt->real = real;
    prompt->waiting++;
    PROMPT_OF(irp) = prompt;
    InsertTailList(&prompt->irps, &irp->Tail.Overlay.ListEntry);
    facts = facts_of(prompt);
    KeReleaseSpinLock(&broker.lock, irql);
    if (changed)
        event = PROMPT_CHANGED;
    if (asked || changed)
        tell(event, &facts);
    if (fresh != NULL)
        unref(fresh);
    /* It may have arrived between the failure and the question. */
    if (!broker.host.needed(broker.host.context, vpb, status))
        prompt_arrived(vpb);
    return STATUS_SUCCESS;
}

/* --- answers --------------------------------------------------------------------------- */

static int
retry_prompt(uint64_t id)
{
    struct prompt *prompt;
    struct facts facts;
    BOOLEAN away;
    KIRQL irql;

    KeAcquireSpinLock(&broker.lock, &irql);
    prompt = find_locked(id);
    if (prompt != NULL)
        facts = facts_of(prompt);
    KeReleaseSpinLock(&broker.lock, irql);
    if (prompt == NULL)
        return -ENOENT;
    away = text_for(facts.status)->group == GROUP_ABSENT &&
           broker.host.needed(broker.host.context, facts.vpb, facts.status);
    if (away && !broker.host.try_again(broker.host.context, facts.vpb)) {
        tell(PROMPT_STILL, &facts);
        return 0;
    }
    KeAcquireSpinLock(&broker.lock, &irql);
    prompt = find_locked(id);
    if (prompt != NULL)
        end_locked(prompt);
    KeReleaseSpinLock(&broker.lock, irql);
    if (prompt != NULL) {
        tell(PROMPT_RETRIED, &facts);
        retry_ended(prompt);
    }
    return 0;
}

int
prompt_answer(uint64_t id, enum ri_answer answer)
{
    return answer == RI_RETRY ? retry_prompt(id)
                              : cancel_prompt(id, PROMPT_CANCELLED);
}

static struct prompt *
end_first_of(PVPB vpb, struct facts *out_facts)
{
    struct prompt *found = NULL;
    KIRQL irql;

    KeAcquireSpinLock(&broker.lock, &irql);
    for (PLIST_ENTRY e = broker.prompts.Flink;
         e != &broker.prompts && found == NULL; e = e->Flink) {
        struct prompt *prompt = CONTAINING_RECORD(e, struct prompt, link);

        if (vpb == NULL || prompt->vpb == vpb)
            found = prompt;
    }
    if (found != NULL) {
        *out_facts = facts_of(found);
        end_locked(found);
    }
    KeReleaseSpinLock(&broker.lock, irql);
    return found;
}

void
prompt_arrived(PVPB vpb)
{
    struct prompt *prompt;
    struct facts facts;
    KIRQL irql;

    KeAcquireSpinLock(&broker.lock, &irql);
    forget_cancels_locked(vpb);
    KeReleaseSpinLock(&broker.lock, irql);
    while ((prompt = end_first_of(vpb, &facts)) != NULL) {
        tell(PROMPT_ARRIVED, &facts);
        retry_ended(prompt);
    }
}

void
prompt_fail_all(NTSTATUS status)
{
    struct prompt *prompt;
    struct facts facts;

    while ((prompt = end_first_of(NULL, &facts)) != NULL)
        fail_ended(prompt, status);
}

void
prompt_reason(PVPB vpb, NTSTATUS status)
{
    struct facts facts;
    BOOLEAN changed = FALSE;
    KIRQL irql;

    KeAcquireSpinLock(&broker.lock, &irql);
    for (PLIST_ENTRY e = broker.prompts.Flink; e != &broker.prompts;
         e = e->Flink) {
        struct prompt *prompt = CONTAINING_RECORD(e, struct prompt, link);

        if (prompt->vpb != vpb || prompt->status == status ||
            prompt->group != text_for(status)->group)
            continue;
        prompt->status = status;
        facts = facts_of(prompt);
        changed = TRUE;
    }
    KeReleaseSpinLock(&broker.lock, irql);
    if (changed)
        tell(PROMPT_CHANGED, &facts);
}

/* --- looking in --------------------------------------------------------------------------- */

int
prompt_list(struct ri_prompt_info **out_list, size_t *out_count)
{
    struct facts *facts = NULL;
    struct ri_prompt_info *list;
    size_t n = 0, max = 0;
    KIRQL irql;

    for (;;) {
        n = 0;
        KeAcquireSpinLock(&broker.lock, &irql);
        for (PLIST_ENTRY e = broker.prompts.Flink; e != &broker.prompts;
             e = e->Flink, n++)
            if (n < max)
                facts[n] = facts_of(CONTAINING_RECORD(e, struct prompt, link));
        KeReleaseSpinLock(&broker.lock, irql);
        if (n <= max)
            break;
        max = n + 8;
        free(facts);
        facts = calloc(max, sizeof *facts);
        if (facts == NULL)
            return -ENOMEM;
    }
    list = calloc(n > 0 ? n : 1, sizeof *list);
    for (size_t i = 0; list != NULL && i < n; i++)
        describe(&facts[i], &list[i]);
    free(facts);
    if (list == NULL)
        return -ENOMEM;
    *out_list = list;
    *out_count = n;
    return 0;
}

uint32_t
prompt_waiting(PVPB vpb)
{
    uint32_t waiting = 0;
    KIRQL irql;

    KeAcquireSpinLock(&broker.lock, &irql);
    for (PLIST_ENTRY e = broker.prompts.Flink; e != &broker.prompts;
         e = e->Flink) {
        struct prompt *prompt = CONTAINING_RECORD(e, struct prompt, link);

        if (prompt->vpb == vpb)
            waiting += prompt->waiting;
    }
    KeReleaseSpinLock(&broker.lock, irql);
    return waiting;
}
