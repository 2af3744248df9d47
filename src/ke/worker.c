/*
 * worker.c - work items and the threads that run them
 *
 * Three queues, by importance, and one set of threads for all.  For each item
 * that waits one worker is on its way, an idle or a new one, up to
 * KE_WORKERS_MAX, so that items may block.  The worker that became idle
 * last is used first; the others end after some seconds, and the last one
 * sleeps without a limit.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ke_internal.h"

#include "base/trace.h"

#include <errno.h>
#include <time.h>

#define IDLE_SECONDS 5
#define QUEUES       (HyperCriticalWorkQueue + 1)

struct worker {
    LIST_ENTRY entry; /* in `idle` */
    pthread_cond_t wake;
    bool called; /* off the idle list: there is work */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* All under lock. */
static LIST_ENTRY queues[QUEUES] = {
    { &queues[0], &queues[0] },
    { &queues[1], &queues[1] },
    { &queues[2], &queues[2] },
};
static LIST_ENTRY idle = { &idle, &idle };
static unsigned threads, idle_threads, items, most;
static unsigned coming; /* called or started, not yet at the queues */
static bool stopping;
static pthread_cond_t fewer = PTHREAD_COND_INITIALIZER;

/* Which queue is served first. */
static const WORK_QUEUE_TYPE order[QUEUES] = {
    HyperCriticalWorkQueue,
    CriticalWorkQueue,
    DelayedWorkQueue,
};

static PWORK_QUEUE_ITEM
next_locked(void)
{
    for (int i = 0; i < QUEUES; i++) {
        PLIST_ENTRY queue = &queues[order[i]];

        if (!IsListEmpty(queue)) {
            items--;
            return CONTAINING_RECORD(RemoveHeadList(queue), WORK_QUEUE_ITEM,
                                     List);
        }
    }
    return NULL;
}

static void
run_locked(PWORK_QUEUE_ITEM item)
{
    PWORKER_THREAD_ROUTINE routine = item->WorkerRoutine;
    PVOID parameter = item->Parameter;

    item->List.Flink = NULL; /* may be queued again, or freed, from now on */
    pthread_mutex_unlock(&lock);
    routine(parameter);
    if (ke_irql != PASSIVE_LEVEL)
        KeBugCheckEx(WORKER_THREAD_RETURNED_AT_BAD_IRQL, (ULONG_PTR) routine,
                     ke_irql, (ULONG_PTR) item, 0);
    KE_RULE(!KeAreApcsDisabled(),
            "a worker routine does not return in a critical region");
    pthread_mutex_lock(&lock);
}

/* False: nothing came in for a while, and others are left. */
static bool
sleep_locked(struct worker *me)
{
    struct timespec limit;
    int error = 0;

    me->called = false;
    InsertHeadList(&idle, &me->entry);
    idle_threads++;
    clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_sec += IDLE_SECONDS;
    while (!me->called && !stopping && error == 0)
        if (threads == 1)
            pthread_cond_wait(&me->wake, &lock);
        else
            error = pthread_cond_timedwait(&me->wake, &lock, &limit);
    if (me->called) {
        coming--;
        return true;
    }
    RemoveEntryList(&me->entry);
    idle_threads--;
    return !stopping && threads == 1;
}

static void
worker_main(void *unused)
{
    struct worker me;

    ke_current()->Tcb.system = TRUE;
    ke_cond_init(&me.wake);
    pthread_mutex_lock(&lock);
    coming--;
    for (;;) {
        PWORK_QUEUE_ITEM item = next_locked();

        if (item != NULL)
            run_locked(item);
        else if (stopping || !sleep_locked(&me))
            break;
    }
    threads--;
    pthread_cond_broadcast(&fewer);
    pthread_mutex_unlock(&lock);
    pthread_cond_destroy(&me.wake);
}

/* Has one more worker look at the queues, an idle or a new one. */
static void
call_worker_locked(void)
{
    struct worker *worker;

    if (!IsListEmpty(&idle)) {
        worker = CONTAINING_RECORD(RemoveHeadList(&idle), struct worker, entry);
        idle_threads--;
        worker->called = true;
        coming++;
        pthread_cond_signal(&worker->wake);
        return;
    }
    if (threads == KE_WORKERS_MAX)
        return;
    threads++;
    coming++;
    if (ke_spawn(worker_main, NULL) == 0) {
        if (threads > most)
            most = threads;
        return;
    }
    /* Those that there are will come to it. */
    coming--;
    if (--threads == 0)
        ke_rule_broken("a first worker thread can be started",
                       __builtin_return_address(0));
    TRACE(TRACE_KE, "no thread for a work item, %u are running", threads);
}

VOID NTAPI
ExQueueWorkItem(PWORK_QUEUE_ITEM WorkItem, WORK_QUEUE_TYPE QueueType)
{
    KE_IRQL(ExQueueWorkItem);
    KE_RULE(QueueType < QUEUES, "ExQueueWorkItem: a known queue");
    pthread_mutex_lock(&lock);
    if (WorkItem->List.Flink != NULL) {
        pthread_mutex_unlock(&lock);
        KeBugCheckEx(WORKER_INVALID, (ULONG_PTR) WorkItem,
                     (ULONG_PTR) WorkItem->WorkerRoutine, 0, 0);
    }
    InsertTailList(&queues[QueueType], &WorkItem->List);
    if (++items > coming)
        call_worker_locked();
    pthread_mutex_unlock(&lock);
}

void
ke_workers_start(void)
{
    pthread_mutex_lock(&lock);
    if (threads == 0)
        call_worker_locked();
    pthread_mutex_unlock(&lock);
}

bool
ke_workers_stop(void)
{
    pthread_mutex_lock(&lock);
    if (threads == 0) {
        pthread_mutex_unlock(&lock);
        return false;
    }
    stopping = true;
    for (PLIST_ENTRY entry = idle.Flink; entry != &idle; entry = entry->Flink)
        pthread_cond_signal(
            &CONTAINING_RECORD(entry, struct worker, entry)->wake);
    while (threads != 0)
        pthread_cond_wait(&fewer, &lock);
    stopping = false;
    pthread_mutex_unlock(&lock);
    return true;
}

void
ke_worker_stats(struct ke_worker_stats *out_stats)
{
    pthread_mutex_lock(&lock);
    out_stats->threads = threads;
    out_stats->idle = idle_threads;
    out_stats->waiting_items = items;
    out_stats->most_threads = most;
    pthread_mutex_unlock(&lock);
}
