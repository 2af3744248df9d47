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
#include "prompt/prompt_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "base/trace.h"

struct broker broker = { .prompts = { &broker.prompts, &broker.prompts },
                         .sent = { &broker.sent, &broker.sent } };

void
prompt_init(const struct prompt_host *host, unsigned timeout_s,
            enum ri_no_operator policy)
{
    KeInitializeSpinLock(&broker.lock);
    InitializeListHead(&broker.prompts);
    InitializeListHead(&broker.sent);
    memset(broker.grace, 0, sizeof broker.grace);
    broker.next_id = 1;
    broker.host = *host;
    broker.timeout_s = timeout_s;
    broker.policy = policy;
    broker.suppress = FALSE;
    broker.over = FALSE;
}

void
prompt_set_error_mode(BOOLEAN suppress)
{
    __atomic_store_n(&broker.suppress, suppress, __ATOMIC_RELAXED);
}

static BOOLEAN
suppressed(void)
{
    return __atomic_load_n(&broker.suppress, __ATOMIC_RELAXED);
}

void
prompt_unref(struct prompt *prompt)
{
    if (InterlockedDecrement(&prompt->references) != 0)
        return;
    if (prompt->call != NULL && prompt->call->notice)
        ExFreePoolWithTag(prompt->call, PROMPT_TAG);
    ExFreePoolWithTag(prompt, PROMPT_TAG);
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
void
prompt_end_locked(struct prompt *prompt)
{
    take_irps_locked(prompt);
    prompt_again_never_locked(prompt);
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
    prompt_unref(prompt);
}

static void end_call(struct prompt *prompt, ULONG response);
static const ULONG responses[9][2];

void
prompt_retry_ended(struct prompt *prompt)
{
    if (prompt->call != NULL) {
        end_call(prompt, responses[prompt->call->options][0]);
        return;
    }
    ExInitializeWorkItem(&prompt->work, retry_work, prompt);
    ExQueueWorkItem(&prompt->work, DelayedWorkQueue);
}

static void
fail_ended(struct prompt *prompt, NTSTATUS status)
{
    PIRP irp;

    if (prompt->call != NULL) {
        end_call(prompt, status == STATUS_SYSTEM_SHUTDOWN
                             ? ResponseReturnToCaller
                             : responses[prompt->call->options][1]);
        return;
    }
    while ((irp = next_ended(prompt)) != NULL)
        broker.host.fail(irp, status);
    prompt_unref(prompt);
}

static struct prompt *
find_locked(uint64_t id)
{
    for (PLIST_ENTRY e = broker.prompts.Flink; e != &broker.prompts;
         e = e->Flink) {
        struct prompt *prompt = CONTAINING_RECORD(e, struct prompt, link);

        if (prompt->id == id && !prompt->robot)
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
    enum group group = prompt_text_for(status)->group;
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
        facts = prompt_facts(prompt);
        if (prompt->call == NULL)
            remember_cancel_locked(prompt);
        prompt->sent_cancelled = TRUE;
        prompt_end_locked(prompt);
    }
    KeReleaseSpinLock(&broker.lock, irql);
    if (prompt == NULL)
        return -ENOENT;
    prompt_tell(why, &facts);
    fail_ended(prompt, facts.status);
    if (!facts.called && broker.host.cancelled != NULL)
        broker.host.cancelled(broker.host.context, facts.vpb, facts.status);
    return 0;
}

/* --- questions without a request ------------------------------------------------- */

/* By option: what retry means, what anything else. */
static const ULONG responses[9][2] = {
    [OptionAbortRetryIgnore] = { ResponseRetry, ResponseAbort },
    [OptionOk] = { ResponseOk, ResponseOk },
    [OptionOkCancel] = { ResponseOk, ResponseCancel },
    [OptionRetryCancel] = { ResponseRetry, ResponseCancel },
    [OptionYesNo] = { ResponseYes, ResponseNo },
    [OptionYesNoCancel] = { ResponseYes, ResponseCancel },
    [OptionShutdownSystem] = { ResponseOk, ResponseOk },
    [OptionOkNoWait] = { ResponseOk, ResponseOk },
    [OptionCancelTryContinue] = { ResponseTryAgain, ResponseCancel },
};

/* The prompt is off the list; drops the list's reference. */
static void
end_call(struct prompt *prompt, ULONG response)
{
    struct call *call = prompt->call;

    if (!call->notice) {
        prompt->call = NULL; /* its caller's, who may be gone in a moment */
        call->response = response;
        KeSetEvent(&call->answered, IO_NO_INCREMENT, FALSE);
    }
    prompt_unref(prompt);
}

static void
narrow(PCUNICODE_STRING text, char *out_text, size_t max)
{
    size_t n = 0;

    for (; text != NULL && n < text->Length / sizeof(WCHAR) && n + 1 < max; n++)
        out_text[n] = text->Buffer[n] >= ' ' && text->Buffer[n] < 0x7F
                          ? (char) text->Buffer[n]
                          : '?';
    out_text[n] = '\0';
}

static void
take_inserts(struct call *call, NTSTATUS status, ULONG count, ULONG string_mask,
             const ULONG_PTR *parameters)
{
    const char *inserts = prompt_text_for(status)->inserts;

    snprintf(call->volume, sizeof call->volume, "?");
    snprintf(call->drive, sizeof call->drive, "?");
    for (ULONG i = 0; i < count && inserts[i] != '\0'; i++) {
        char *to = inserts[i] == 'v' ? call->volume : call->drive;

        if ((string_mask >> i & 1) != 0)
            narrow((PCUNICODE_STRING) parameters[i], to, RI_NAME_MAX);
        else
            snprintf(to, RI_NAME_MAX, "%#llx",
                     (unsigned long long) parameters[i]);
    }
}

static BOOLEAN
notice_allowed_locked(const struct call *call, NTSTATUS status)
{
    unsigned n = 0;

    for (PLIST_ENTRY e = broker.prompts.Flink; e != &broker.prompts;
         e = e->Flink) {
        struct prompt *prompt = CONTAINING_RECORD(e, struct prompt, link);

        if (prompt->call == NULL || !prompt->call->notice)
            continue;
        if (prompt->status == status &&
            strcmp(prompt->call->volume, call->volume) == 0 &&
            strcmp(prompt->call->drive, call->drive) == 0)
            return FALSE;
        n++;
    }
    return n < PROMPT_NOTICES_MAX;
}

static struct prompt *new_prompt(PVPB vpb, PDEVICE_OBJECT real,
                                 NTSTATUS status);

/* STATUS_DEVICE_BUSY: one notice too many. */
static NTSTATUS
put_call(struct call *call, NTSTATUS status)
{
    struct prompt *prompt = new_prompt(NULL, NULL, status);
    NTSTATUS put = STATUS_SUCCESS;
    struct facts facts;
    KIRQL irql;

    if (prompt == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeAcquireSpinLock(&broker.lock, &irql);
    if (broker.over)
        put = STATUS_SYSTEM_SHUTDOWN;
    else if (call->notice && !notice_allowed_locked(call, status))
        put = STATUS_DEVICE_BUSY;
    if (NT_SUCCESS(put)) {
        prompt->call = call;
        prompt->id = broker.next_id++;
        prompt->waiting = !call->notice;
        InsertTailList(&broker.prompts, &prompt->link);
        if (!call->notice)
            prompt_set_timeout_locked(prompt);
        facts = prompt_facts(prompt);
    }
    KeReleaseSpinLock(&broker.lock, irql);
    if (NT_SUCCESS(put))
        prompt_tell(PROMPT_ASKED, &facts);
    else
        prompt_unref(prompt);
    return put;
}

static BOOLEAN
put_notice(NTSTATUS status, ULONG count, ULONG string_mask,
           const ULONG_PTR *parameters)
{
    struct call *call =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *call, PROMPT_TAG);

    if (call == NULL)
        return FALSE;
    memset(call, 0, sizeof *call);
    call->notice = TRUE;
    take_inserts(call, status, count, string_mask, parameters);
    if (NT_SUCCESS(put_call(call, status)))
        return TRUE;
    ExFreePoolWithTag(call, PROMPT_TAG);
    return FALSE;
}

BOOLEAN
prompt_inform(void *context, NTSTATUS status, PCUNICODE_STRING text,
              PETHREAD thread)
{
    ULONG_PTR parameter = (ULONG_PTR) text;

    (void) context;
    (void) thread;
    return !suppressed() && put_notice(status, text != NULL, 1, &parameter);
}

NTSTATUS
prompt_ask(void *context, NTSTATUS status, ULONG options, ULONG *out_response,
           ULONG count, ULONG string_mask, const ULONG_PTR *parameters)
{
    struct call call = { .options = options };
    NTSTATUS put;

    (void) context;
    *out_response = ResponseNotHandled;
    if (options >= sizeof responses / sizeof responses[0])
        return STATUS_SUCCESS;
    if (suppressed()) {
        TRACE(TRACE_PROMPT, "suppressed: %s", status_name(status));
        *out_response = ResponseOk;
        return STATUS_SUCCESS;
    }
    if (options == OptionOkNoWait) {
        put_notice(status, count, string_mask, parameters);
        *out_response = ResponseOk;
        return STATUS_SUCCESS;
    }
    take_inserts(&call, status, count, string_mask, parameters);
    KeInitializeEvent(&call.answered, NotificationEvent, FALSE);
    put = put_call(&call, status);
    if (put == STATUS_SYSTEM_SHUTDOWN) {
        *out_response = ResponseReturnToCaller;
        return STATUS_SUCCESS;
    }
    if (!NT_SUCCESS(put))
        return put;
    KeWaitForSingleObject(&call.answered, Executive, KernelMode, FALSE, NULL);
    *out_response = call.response;
    return STATUS_SUCCESS;
}

/* --- raising ------------------------------------------------------------------------ */

/* The client gave up, or its thread ends: that is no answer, so the request
 * completes with what was asked about.  Called with the cancel spin lock. */
static VOID NTAPI
cancel_waiting(PDEVICE_OBJECT device, PIRP irp)
{
    PETHREAD thread = irp->Tail.Overlay.Thread;
    NTSTATUS status = thread != NULL && PsIsThreadTerminating(thread)
                          ? irp->IoStatus.Status
                          : STATUS_CANCELLED;
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
            facts = prompt_facts(prompt);
            prompt_end_locked(prompt);
            dropped = prompt;
        }
    }
    KeReleaseSpinLock(&broker.lock, irql);
    broker.host.fail(irp, status);
    if (dropped != NULL) {
        prompt_tell(PROMPT_DROPPED, &facts);
        fail_ended(dropped, STATUS_CANCELLED);
    }
}

static VOID NTAPI
timeout_work(PVOID parameter)
{
    struct prompt *prompt = parameter;

    cancel_prompt(prompt->id, PROMPT_TIMED_OUT);
    prompt_unref(prompt);
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

void
prompt_set_timeout_locked(struct prompt *prompt)
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
    prompt->group = prompt_text_for(status)->group;
    prompt->since_ms = clock_coarse_ms();
    prompt->references = 1;
    InitializeListHead(&prompt->irps);
    InitializeListHead(&prompt->ended);
    KeInitializeTimer(&prompt->timer);
    KeInitializeDpc(&prompt->dpc, timeout_dpc, prompt);
    prompt_again_init(prompt);
    return prompt;
}

/* The prompt for this volume and kind of reason; `fresh` is used up if there
 * is none yet. */
static struct prompt *
join_locked(struct prompt **fresh, PVPB vpb, NTSTATUS status)
{
    enum group group = prompt_text_for(status)->group;
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
    if (!prompt->robot)
        prompt_set_timeout_locked(prompt);
    return prompt;
}

BOOLEAN
prompt_may_wait_locked(PIRP irp)
{
    IoSetCancelRoutine(irp, cancel_waiting);
    return !__atomic_load_n(&irp->Cancel, __ATOMIC_SEQ_CST) ||
           IoSetCancelRoutine(irp, NULL) == NULL;
}

/* sent: the prompt that it was sent for, or NULL; out_same: it is that one. */
static NTSTATUS
raise(PIRP irp, PVPB vpb, PDEVICE_OBJECT real, NTSTATUS status,
      const struct prompt *sent, BOOLEAN *out_same)
{
    struct prompt *fresh, *prompt;
    enum prompt_event event = PROMPT_ASKED;
    NTSTATUS gone = STATUS_SUCCESS;
    BOOLEAN asked, changed;
    struct facts facts;
    KIRQL irql;

    if (broker.host.changed != NULL &&
        broker.host.changed(broker.host.context, vpb))
        status = STATUS_FILE_INVALID;
    else if (broker.host.gone != NULL)
        gone = broker.host.gone(broker.host.context, vpb);
    if (gone != STATUS_SUCCESS)
        status = gone;
    fresh = new_prompt(vpb, real, status);
    if (fresh == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (suppressed()) {
        facts = prompt_facts(fresh);
        prompt_unref(fresh);
        prompt_tell(PROMPT_SUPPRESSED, &facts);
        broker.host.fail(irp, status);
        return STATUS_SUCCESS;
    }
    fresh->robot = prompt_robot_brings(vpb, status);
    KeAcquireSpinLock(&broker.lock, &irql);
    if (broker.over || cancelled_just_now_locked(vpb, status)) {
        if (broker.over)
            status = STATUS_SYSTEM_SHUTDOWN;
        KeReleaseSpinLock(&broker.lock, irql);
        prompt_unref(fresh);
        broker.host.fail(irp, status);
        return STATUS_SUCCESS;
    }
    if (!prompt_may_wait_locked(irp)) {
        KeReleaseSpinLock(&broker.lock, irql);
        prompt_unref(fresh);
        broker.host.fail(irp, STATUS_CANCELLED);
        return STATUS_SUCCESS;
    }
    prompt = join_locked(&fresh, vpb, status);
    asked = fresh == NULL;
    changed = !asked && prompt->status != status;
    if (!prompt_for_robot(status) && prompt->robot) {
        prompt->robot = FALSE;
        prompt_set_timeout_locked(prompt);
        asked = TRUE;
    }
    prompt->status = status;
    prompt->real = real;
    prompt->waiting++;
    PROMPT_OF(irp) = prompt;
    *out_same = prompt == sent;
    if (prompt == sent)
        InsertHeadList(&prompt->irps, &irp->Tail.Overlay.ListEntry);
    else
        InsertTailList(&prompt->irps, &irp->Tail.Overlay.ListEntry);
    prompt_again_locked(prompt);
    facts = prompt_facts(prompt);
    KeReleaseSpinLock(&broker.lock, irql);
    if (changed && !asked)
        event = PROMPT_CHANGED;
    if (asked || changed)
        prompt_tell(event, &facts);
    if (asked && broker.host.asked != NULL)
        broker.host.asked(broker.host.context, vpb);
    if (fresh != NULL)
        prompt_unref(fresh);
    prompt_robot_brings(vpb, status);
    /* It may have arrived between the failure and the question. */
    if (prompt_text_for(status)->group != GROUP_PROTECTED &&
        !broker.host.needed(broker.host.context, vpb, status))
        prompt_arrived(vpb);
    return STATUS_SUCCESS;
}

NTSTATUS
prompt_raise(void *context, PIRP irp, PVPB vpb, PDEVICE_OBJECT real,
             NTSTATUS status)
{
    BOOLEAN cancelled, same = FALSE;
    struct prompt *sent = prompt_sent_back(irp, &cancelled);
    NTSTATUS raised = STATUS_SUCCESS;

    (void) context;
    if (cancelled)
        broker.host.fail(irp, status);
    else
        raised = raise(irp, vpb, real, status, sent, &same);
    if (sent != NULL)
        prompt_sent_settled(sent, same);
    return raised;
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
        facts = prompt_facts(prompt);
    KeReleaseSpinLock(&broker.lock, irql);
    if (prompt == NULL)
        return -ENOENT;
    away = !facts.called &&
           prompt_text_for(facts.status)->group == GROUP_ABSENT &&
           broker.host.needed(broker.host.context, facts.vpb, facts.status);
    if (away && !broker.host.try_again(broker.host.context, facts.vpb)) {
        prompt_tell(PROMPT_STILL, &facts);
        return 0;
    }
    KeAcquireSpinLock(&broker.lock, &irql);
    prompt = find_locked(id);
    if (prompt != NULL)
        prompt_end_locked(prompt);
    KeReleaseSpinLock(&broker.lock, irql);
    if (prompt != NULL) {
        prompt_tell(PROMPT_RETRIED, &facts);
        prompt_retry_ended(prompt);
    }
    return 0;
}

/* Its arrival ends the prompt; the host fails what stale clients asked for. */
static int
use_prompt(uint64_t id)
{
    struct prompt *prompt;
    PVPB vpb = NULL;
    KIRQL irql;
    int rc;

    KeAcquireSpinLock(&broker.lock, &irql);
    prompt = find_locked(id);
    rc = prompt == NULL ? -ENOENT : 0;
    if (rc == 0 && (prompt->call != NULL || broker.host.use == NULL ||
                    prompt->status != STATUS_FILE_INVALID))
        rc = -EINVAL;
    if (rc == 0) {
        vpb = prompt->vpb;
        prompt->used = TRUE;
    }
    KeReleaseSpinLock(&broker.lock, irql);
    if (rc != 0)
        return rc;
    rc = broker.host.use(broker.host.context, vpb);
    if (rc == 0) {
        prompt_arrived(vpb);
        return 0;
    }
    KeAcquireSpinLock(&broker.lock, &irql);
    prompt = find_locked(id);
    if (prompt != NULL)
        prompt->used = FALSE;
    KeReleaseSpinLock(&broker.lock, irql);
    return rc;
}

PVPB
prompt_vpb(uint64_t id)
{
    struct prompt *prompt;
    PVPB vpb = NULL;
    KIRQL irql;

    KeAcquireSpinLock(&broker.lock, &irql);
    prompt = find_locked(id);
    if (prompt != NULL)
        vpb = prompt->vpb;
    KeReleaseSpinLock(&broker.lock, irql);
    return vpb;
}

int
prompt_answer(uint64_t id, enum ri_answer answer)
{
    if (answer == RI_USE)
        return use_prompt(id);
    return answer == RI_RETRY ? retry_prompt(id)
                              : cancel_prompt(id, PROMPT_CANCELLED);
}

/* vpb NULL: of whatever it is.  `keep`: not those of that group. */
static struct prompt *
end_first_of(PVPB vpb, int keep, struct facts *out_facts)
{
    struct prompt *found = NULL;
    KIRQL irql;

    KeAcquireSpinLock(&broker.lock, &irql);
    for (PLIST_ENTRY e = broker.prompts.Flink;
         e != &broker.prompts && found == NULL; e = e->Flink) {
        struct prompt *prompt = CONTAINING_RECORD(e, struct prompt, link);

        if (vpb == NULL || (prompt->vpb == vpb && (int) prompt->group != keep))
            found = prompt;
    }
    if (found != NULL) {
        *out_facts = prompt_facts(found);
        prompt_end_locked(found);
    }
    KeReleaseSpinLock(&broker.lock, irql);
    return found;
}

void
prompt_arrived(PVPB vpb)
{
    BOOLEAN still = broker.host.needed(broker.host.context, vpb,
                                       STATUS_MEDIA_WRITE_PROTECTED);
    int keep = still ? (int) GROUP_PROTECTED : -1;
    struct prompt *prompt;
    struct facts facts;
    KIRQL irql;

    KeAcquireSpinLock(&broker.lock, &irql);
    forget_cancels_locked(vpb);
    KeReleaseSpinLock(&broker.lock, irql);
    while ((prompt = end_first_of(vpb, keep, &facts)) != NULL) {
        prompt_tell(facts.used ? PROMPT_USED : PROMPT_ARRIVED, &facts);
        prompt_retry_ended(prompt);
    }
}

void
prompt_fail_all(NTSTATUS status)
{
    struct prompt *prompt;
    struct facts facts;

    while ((prompt = end_first_of(NULL, -1, &facts)) != NULL)
        fail_ended(prompt, status);
}

void
prompt_shutdown(void)
{
    KIRQL irql;

    KeAcquireSpinLock(&broker.lock, &irql);
    broker.over = TRUE;
    KeReleaseSpinLock(&broker.lock, irql);
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
}

/* What was asked about the medium in its drive is not the question any more. */
static void
no_more_in_its_drive(PVPB vpb)
{
    struct prompt *prompt;
    struct facts facts;

    while ((prompt = end_first_of(vpb, GROUP_ABSENT, &facts)) != NULL) {
        prompt_tell(PROMPT_DROPPED, &facts);
        prompt_retry_ended(prompt);
    }
}

void
prompt_reason(PVPB vpb, NTSTATUS status)
{
    enum prompt_event event = PROMPT_CHANGED;
    struct facts facts;
    BOOLEAN changed = FALSE;
    PDEVICE_OBJECT real;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    real = vpb->RealDevice;
    IoReleaseVpbSpinLock(irql);
    KeAcquireSpinLock(&broker.lock, &irql);
    for (PLIST_ENTRY e = broker.prompts.Flink; e != &broker.prompts;
         e = e->Flink) {
        struct prompt *prompt = CONTAINING_RECORD(e, struct prompt, link);

        if (prompt->vpb != vpb ||
            prompt->group != prompt_text_for(status)->group ||
            (prompt->status == status && prompt->real == real))
            continue;
        prompt->real = real;
        event = prompt_new_reason_locked(prompt, status);
        facts = prompt_facts(prompt);
        changed = TRUE;
    }
    KeReleaseSpinLock(&broker.lock, irql);
    if (changed)
        prompt_tell(event, &facts);
    if (prompt_text_for(status)->group == GROUP_ABSENT)
        no_more_in_its_drive(vpb);
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
             e = e->Flink) {
            struct prompt *prompt = CONTAINING_RECORD(e, struct prompt, link);

            if (prompt->robot)
                continue;
            if (n < max)
                facts[n] = prompt_facts(prompt);
            n++;
        }
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
        prompt_describe(&facts[i], &list[i]);
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
