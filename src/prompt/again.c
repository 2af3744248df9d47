/*
 * again.c - a drive that did not answer is tried again
 *
 * A volume may stay where it is although its drive does not answer: nothing
 * will tell when it does.  So one of those who wait, the oldest, is sent again,
 * after a second, and each time after twice as long, at most a minute.  The
 * question stands meanwhile.  When the drive has answered, whatever it said, the
 * others go on; else the one waits again.
 *
 * A prompt has a timer, or a work item, or a request that is sent, or none of
 * them; while it has, it has a reference for it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "prompt/prompt_internal.h"

#define FIRST_S 1
#define MAX_S   64

/* --- when ------------------------------------------------------------------- */

void
prompt_again_locked(struct prompt *prompt)
{
    LARGE_INTEGER due = { .QuadPart = -(LONGLONG) prompt->again_s * 10000000 };

    if (prompt->group != GROUP_TIMEOUT || prompt->call != NULL ||
        broker.host.try_one == NULL || prompt->again != AGAIN_NOT)
        return;
    prompt->again = AGAIN_LATER;
    prompt->references++;
    prompt->again_s = prompt->again_s < MAX_S ? 2 * prompt->again_s : MAX_S;
    KeSetTimer(&prompt->again_timer, due, &prompt->again_dpc);
}

void
prompt_again_never_locked(struct prompt *prompt)
{
    if (prompt->again != AGAIN_LATER || !KeCancelTimer(&prompt->again_timer))
        return;
    prompt->again = AGAIN_NOT;
    InterlockedDecrement(&prompt->references);
}

static VOID NTAPI work(PVOID parameter);

static void
start_work(struct prompt *prompt)
{
    ExInitializeWorkItem(&prompt->again_work, work, prompt);
    ExQueueWorkItem(&prompt->again_work, DelayedWorkQueue);
}

static VOID NTAPI
due(struct _KDPC *dpc, PVOID context, PVOID argument1, PVOID argument2)
{
    (void) dpc;
    (void) argument1;
    (void) argument2;
    start_work(context);
}

void
prompt_again_init(struct prompt *prompt)
{
    prompt->again = AGAIN_NOT;
    prompt->again_s = FIRST_S;
    InitializeListHead(&prompt->again_link);
    KeInitializeTimer(&prompt->again_timer);
    KeInitializeDpc(&prompt->again_dpc, due, prompt);
}

/* --- one of them ------------------------------------------------------------ */

/* The oldest that nobody is cancelling; NULL: there is none. */
static PIRP
take_one_locked(struct prompt *prompt)
{
    for (PLIST_ENTRY e = prompt->irps.Flink; e != &prompt->irps; e = e->Flink) {
        PIRP irp = CONTAINING_RECORD(e, IRP, Tail.Overlay.ListEntry);

        if (IoSetCancelRoutine(irp, NULL) == NULL)
            continue;
        RemoveEntryList(e);
        InitializeListHead(e);
        return irp;
    }
    return NULL;
}

static struct prompt *
find_sent_locked(PIRP irp)
{
    for (PLIST_ENTRY e = broker.sent.Flink; e != &broker.sent; e = e->Flink) {
        struct prompt *prompt = CONTAINING_RECORD(e, struct prompt, again_link);

        if (prompt->sent == irp)
            return prompt;
    }
    return NULL;
}

static void
not_sent_locked(struct prompt *prompt)
{
    RemoveEntryList(&prompt->again_link);
    InitializeListHead(&prompt->again_link);
    prompt->sent = NULL;
    prompt->again = AGAIN_NOT;
}

static BOOLEAN
is_open_locked(const struct prompt *prompt)
{
    return !IsListEmpty(&prompt->link);
}

/*
 * The one that was sent is not waiting here any more; drops its reference.
 * answered: so the others need not wait either.
 */
static void
conclude(struct prompt *prompt, BOOLEAN answered)
{
    enum prompt_event event = PROMPT_DROPPED;
    BOOLEAN over = FALSE;
    struct facts facts;
    KIRQL irql;

    KeAcquireSpinLock(&broker.lock, &irql);
    if (is_open_locked(prompt)) {
        facts = prompt_facts(prompt);
        over = answered || --prompt->waiting == 0;
        if (answered)
            event = PROMPT_ANSWERED;
        if (over)
            prompt_end_locked(prompt);
        else
            prompt_again_locked(prompt);
    }
    KeReleaseSpinLock(&broker.lock, irql);
    if (over) {
        prompt_tell(event, &facts);
        prompt_retry_ended(prompt);
    }
    prompt_unref(prompt);
}

/* The one could not be sent now: it waits again, as the first; unless there was
 * an answer meanwhile. */
static void
put_back(struct prompt *prompt, PIRP irp)
{
    BOOLEAN open, waits = FALSE, failed;
    NTSTATUS status = STATUS_CANCELLED;
    KIRQL irql;

    KeAcquireSpinLock(&broker.lock, &irql);
    not_sent_locked(prompt);
    open = is_open_locked(prompt);
    failed = open || prompt->sent_cancelled;
    if (open)
        waits = prompt_may_wait_locked(irp);
    else
        status = prompt->status;
    if (waits) {
        InsertHeadList(&prompt->irps, &irp->Tail.Overlay.ListEntry);
        prompt_again_locked(prompt);
    }
    KeReleaseSpinLock(&broker.lock, irql);
    if (waits) {
        prompt_unref(prompt);
        return;
    }
    if (failed)
        broker.host.fail(irp, status);
    else
        broker.host.retry(irp);
    conclude(prompt, FALSE);
}

static void
send_one(struct prompt *prompt)
{
    PIRP irp = NULL;
    KIRQL irql;

    KeAcquireSpinLock(&broker.lock, &irql);
    prompt->again = AGAIN_NOT;
    if (is_open_locked(prompt))
        irp = take_one_locked(prompt);
    if (irp != NULL) {
        prompt->again = AGAIN_SENT;
        prompt->sent = irp;
        InsertTailList(&broker.sent, &prompt->again_link);
    }
    KeReleaseSpinLock(&broker.lock, irql);
    if (irp == NULL)
        prompt_unref(prompt);
    else if (!broker.host.try_one(broker.host.context, irp))
        put_back(prompt, irp);
}

static VOID NTAPI
work(PVOID parameter)
{
    struct prompt *prompt = parameter;
    enum again what;
    KIRQL irql;

    KeAcquireSpinLock(&broker.lock, &irql);
    what = prompt->again;
    if (what != AGAIN_LATER)
        prompt->again = AGAIN_NOT;
    KeReleaseSpinLock(&broker.lock, irql);
    if (what == AGAIN_LATER)
        send_one(prompt);
    else
        conclude(prompt, what == AGAIN_ANSWERED);
}

void
prompt_tried(PIRP irp, BOOLEAN answered)
{
    struct prompt *prompt;
    KIRQL irql;

    KeAcquireSpinLock(&broker.lock, &irql);
    prompt = find_sent_locked(irp);
    if (prompt != NULL) {
        not_sent_locked(prompt);
        prompt->again = answered ? AGAIN_ANSWERED : AGAIN_GONE;
    }
    KeReleaseSpinLock(&broker.lock, irql);
    if (prompt != NULL)
        start_work(prompt);
}

/* --- it is asked about anew ------------------------------------------------- */

struct prompt *
prompt_sent_back(PIRP irp, BOOLEAN *out_cancelled)
{
    struct prompt *prompt;
    KIRQL irql;

    *out_cancelled = FALSE;
    KeAcquireSpinLock(&broker.lock, &irql);
    prompt = find_sent_locked(irp);
    if (prompt != NULL) {
        not_sent_locked(prompt);
        *out_cancelled = prompt->sent_cancelled;
    }
    KeReleaseSpinLock(&broker.lock, irql);
    return prompt;
}

/* What the drive said to this one is what there is to say to the others, too;
 * unless it is the same question. */
void
prompt_sent_settled(struct prompt *prompt, BOOLEAN same)
{
    conclude(prompt, !same);
}
