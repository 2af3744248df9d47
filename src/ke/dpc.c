/*
 * dpc.c - deferred procedure calls, and the thread that runs them
 *
 * One thread, the timer thread, runs all DPCs, in the order in which they were
 * queued (of high importance: first), at DISPATCH (threaded ones: PASSIVE) and
 * with no lock held.  It also expires timers (timer.c).  With nothing due it
 * sleeps without a limit.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ke_internal.h"

#include "base/clock.h"
#include "base/trace.h"

#include <time.h>

#define ORDINARY_DPC       19 /* KDPC.Type */
#define THREADED_DPC       24
#define MAXIMUM_PROCESSORS 0x500 /* added to a target that is set */

/* All under the dispatcher lock. */
static LIST_ENTRY queue = { &queue, &queue };
static enum { STOPPED, RUNNING, STOPPING } state;
static bool idle;              /* sleeps, or is about to */
static pthread_cond_t work;    /* for the thread */
static pthread_cond_t settled; /* it is idle, or STOPPED */

static void
clock_changed(void)
{
    ke_lock();
    ke_waits_recheck_locked();
    if (state != STOPPED) {
        idle = false;
        pthread_cond_signal(&work);
    }
    ke_unlock();
    ke_dpc_thread_settle();
}

static __attribute__((constructor)) void
prepare(void)
{
    ke_cond_init(&work);
    ke_cond_init(&settled);
    clock_set_hook(clock_changed);
}

static void
run(PKDPC dpc)
{
    PKDEFERRED_ROUTINE routine = dpc->DeferredRoutine;
    PVOID context = dpc->DeferredContext;
    PVOID argument1 = dpc->SystemArgument1, argument2 = dpc->SystemArgument2;
    KIRQL irql = dpc->Type == THREADED_DPC ? PASSIVE_LEVEL : DISPATCH_LEVEL;

    dpc->DpcData = NULL; /* may be queued again, or freed, from now on */
    ke_unlock();
    ke_irql = irql;
    routine(dpc, context, argument1, argument2);
    KE_RULE(ke_irql == irql,
            "a DPC returns at DISPATCH_LEVEL, a threaded one at PASSIVE_LEVEL");
    ke_irql = PASSIVE_LEVEL;
    ke_apc_check();
    ke_lock();
}

static void
sleep_locked(void)
{
    uint64_t next = ke_timer_next_locked();
    struct timespec limit;
    uint64_t ns;

    idle = true;
    pthread_cond_broadcast(&settled);
    if (next == KE_NO_DEADLINE || clock_is_manual()) {
        pthread_cond_wait(&work, &ke_dispatcher);
    } else {
        ns = clock_to_monotonic_ns(next);
        limit.tv_sec = (time_t) (ns / 1000000000u);
        limit.tv_nsec = (long) (ns % 1000000000u);
        pthread_cond_timedwait(&work, &ke_dispatcher, &limit);
    }
    idle = false;
}

static void
let_run_locked(void)
{
    ke_unlock();
    ke_lock();
}

static void
dpc_main(void *unused)
{
    ke_lock();
    for (;;) {
        bool expired = ke_timer_expire_locked();

        if (!IsListEmpty(&queue))
            run(CONTAINING_RECORD(RemoveHeadList(&queue), struct _KDPC,
                                  DpcListEntry));
        else if (expired)
            let_run_locked();
        else if (state == STOPPING)
            break;
        else
            sleep_locked();
    }
    ke_timers_drop_locked();
    state = STOPPED;
    pthread_cond_broadcast(&settled);
    ke_unlock();
}

static void
start_locked(void)
{
    if (state != STOPPED)
        return;
    state = RUNNING;
    idle = false;
    if (ke_spawn(dpc_main, NULL) != 0)
        ke_rule_broken("the timer thread can be started",
                       __builtin_return_address(0));
}

void
ke_dpc_thread_kick_locked(void)
{
    start_locked();
    if (idle) {
        idle = false;
        pthread_cond_signal(&work);
    }
}

void
ke_dpc_thread_start(void)
{
    ke_lock();
    start_locked();
    ke_unlock();
}

bool
ke_dpc_thread_stop(void)
{
    ke_lock();
    if (state == STOPPED) {
        ke_unlock();
        return false;
    }
    state = STOPPING;
    idle = false;
    pthread_cond_signal(&work);
    while (state == STOPPING)
        pthread_cond_wait(&settled, &ke_dispatcher);
    ke_unlock();
    return true;
}

void
ke_dpc_thread_settle(void)
{
    if (ke_irql > PASSIVE_LEVEL)
        return;
    ke_lock();
    while (state != STOPPED && !idle)
        pthread_cond_wait(&settled, &ke_dispatcher);
    ke_unlock();
}

/* --- the documented routines ---------------------------------------------- */

static void
initialize(PRKDPC dpc, UCHAR type, PKDEFERRED_ROUTINE routine, PVOID context)
{
    *dpc = (KDPC){ .Type = type,
                   .Importance = MediumImportance,
                   .DeferredRoutine = routine,
                   .DeferredContext = context };
}

VOID NTAPI
KeInitializeDpc(PRKDPC Dpc, PKDEFERRED_ROUTINE DeferredRoutine,
                PVOID DeferredContext)
{
    initialize(Dpc, ORDINARY_DPC, DeferredRoutine, DeferredContext);
}

/* It runs on the thread of all DPCs: what it waits for must need neither a DPC
 * nor a timer. */
VOID NTAPI
KeInitializeThreadedDpc(PRKDPC Dpc, PKDEFERRED_ROUTINE DeferredRoutine,
                        PVOID DeferredContext)
{
    initialize(Dpc, THREADED_DPC, DeferredRoutine, DeferredContext);
}

/* For later insertions. */
VOID NTAPI
KeSetImportanceDpc(PRKDPC Dpc, KDPC_IMPORTANCE Importance)
{
    Dpc->Importance = (UCHAR) Importance;
}

VOID NTAPI
KeSetTargetProcessorDpc(PRKDPC Dpc, CCHAR Number)
{
    Dpc->Number = (USHORT) (MAXIMUM_PROCESSORS + (UCHAR) Number);
}

BOOLEAN
ke_dpc_insert_locked(PKDPC dpc, PVOID argument1, PVOID argument2)
{
    if (dpc->DpcData != NULL)
        return FALSE;
    dpc->DpcData = &queue;
    dpc->SystemArgument1 = argument1;
    dpc->SystemArgument2 = argument2;
    if (dpc->Importance == HighImportance)
        InsertHeadList(&queue, &dpc->DpcListEntry);
    else
        InsertTailList(&queue, &dpc->DpcListEntry);
    ke_dpc_thread_kick_locked();
    return TRUE;
}

/* FALSE: it is queued already, and its arguments stay what they were. */
BOOLEAN NTAPI
KeInsertQueueDpc(PRKDPC Dpc, PVOID SystemArgument1, PVOID SystemArgument2)
{
    BOOLEAN inserted;

    ke_lock();
    inserted = ke_dpc_insert_locked(Dpc, SystemArgument1, SystemArgument2);
    ke_unlock();
    return inserted;
}

/* FALSE: it was not queued; it may be running. */
BOOLEAN NTAPI
KeRemoveQueueDpc(PRKDPC Dpc)
{
    BOOLEAN removed;

    ke_lock();
    removed = Dpc->DpcData != NULL;
    if (removed) {
        RemoveEntryList(&Dpc->DpcListEntry);
        Dpc->DpcData = NULL;
    }
    ke_unlock();
    return removed;
}

static VOID NTAPI
flush_routine(struct _KDPC *dpc, PVOID event, PVOID argument1, PVOID argument2)
{
    KeSetEvent(event, IO_NO_INCREMENT, FALSE);
}

/* The queue is in order: when a DPC of our own has run, all before it have. */
VOID NTAPI
KeFlushQueuedDpcs(VOID)
{
    KDPC dpc;
    KEVENT ran;

    KE_IRQL(KeFlushQueuedDpcs);
    KeInitializeEvent(&ran, NotificationEvent, FALSE);
    KeInitializeDpc(&dpc, flush_routine, &ran);
    KeInsertQueueDpc(&dpc, NULL, NULL);
    KeWaitForSingleObject(&ran, Executive, KernelMode, FALSE, NULL);
}
