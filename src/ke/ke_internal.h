/*
 * ke_internal.h - what the files of ke share
 *
 * One lock, the dispatcher lock, protects all dispatcher objects, waits, APC
 * lists, the timer queue and the DPC queue.  It is a leaf but for the lock of
 * system_thread.c (spawned threads).  Nothing foreign is called under
 * it.  The worker queue has its own lock, never taken together with the
 * dispatcher lock.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef KE_INTERNAL_H
#define KE_INTERNAL_H

#include "ke/irql.h"
#include "ke/ke.h"
#include "ke/thread.h"

#include <pthread.h>
#include <stdbool.h>

/* Kinds of dispatcher object, in DISPATCHER_HEADER.Type. */
enum ke_kind {
    KE_EVENT_NOTIFICATION = 0,
    KE_EVENT_SYNCHRONIZATION = 1,
    KE_MUTEX = 2,
    KE_SEMAPHORE = 5,
    KE_THREAD = 6,
    KE_TIMER_NOTIFICATION = 8,
    KE_TIMER_SYNCHRONIZATION = 9,
};

#define KE_NO_DEADLINE UINT64_MAX

/* Bug checks of ours; the names are the documented ones. */
#define IRQL_NOT_GREATER_OR_EQUAL     0x09
#define MAXIMUM_WAIT_OBJECTS_EXCEEDED 0x0C
#define NO_EXCEPTION_HANDLING_SUPPORT 0x0B
#define WORKER_THREAD_RETURNED_AT_BAD_IRQL 0xE1
#define WORKER_INVALID                0xE4

/* --- dispatcher.c --------------------------------------------------------- */

extern pthread_mutex_t ke_dispatcher;

static inline void
ke_lock(void)
{
    pthread_mutex_lock(&ke_dispatcher);
}

/* Lets the threads run whose waits were ended since ke_lock. */
void ke_unlock(void);

/* A condition variable that measures CLOCK_MONOTONIC. */
void ke_cond_init(pthread_cond_t *cond);
void ke_header_init(DISPATCHER_HEADER *header, enum ke_kind kind,
                    size_t bytes, LONG state);
bool ke_object_ready_locked(const DISPATCHER_HEADER *header, PKTHREAD thread);
/* Takes a ready object for the thread: STATUS_SUCCESS or STATUS_ABANDONED. */
NTSTATUS ke_object_take_locked(DISPATCHER_HEADER *header, PKTHREAD thread);
/* The object was signalled: ends the waits that this satisfies. */
void ke_object_signal_locked(DISPATCHER_HEADER *header);
/* Takes the thread off all lists of its wait; ke_unlock lets it run. */
void ke_unwait_locked(PKTHREAD thread, NTSTATUS status);
/* Is the WaitAll of this thread satisfied?  Then takes its objects. */
bool ke_take_all_locked(PKTHREAD thread, NTSTATUS *out_status);

/* --- wait.c --------------------------------------------------------------- */

/* Due times and time limits as documented (negative: relative) to clock_now_ns
 * values.  0: at once. */
uint64_t ke_deadline_ns(LONGLONG time);
/* The clock has changed: every wait with a time limit looks again. */
void ke_waits_recheck_locked(void);

/* --- apc.c ---------------------------------------------------------------- */

static inline __attribute__((always_inline)) bool
ke_apc_allowed(const struct _KTHREAD *thread)
{
    return ke_irql < APC_LEVEL && thread->apc_disable == 0 &&
           !thread->apc_running;
}

/* Runs what is queued to the calling thread, if that is allowed now. */
VOID NTAPI ke_apc_deliver(VOID);

/* After anything that may have allowed APCs. */
static inline __attribute__((always_inline)) void
ke_apc_check(void)
{
    PETHREAD thread = ke_current_thread;

    if (__builtin_expect(
            thread != NULL &&
                __atomic_load_n(&thread->Tcb.apc_pending, __ATOMIC_RELAXED),
            0))
        ke_apc_deliver();
}

/* The end of a thread: runs what is queued, then refuses more. */
void ke_apc_rundown(PKTHREAD thread);

/* --- mutex.c -------------------------------------------------------------- */

/* The thread ends: its mutexes become abandoned. */
void ke_mutexes_abandon(PKTHREAD thread);

/* --- thread.c, system_thread.c -------------------------------------------- */

/* A record with one reference; NULL: no memory. */
PETHREAD ke_thread_new(void);
/* The calling thread takes the record and its reference. */
void ke_thread_adopt(PETHREAD thread);

/* Starts a thread that is joined later.  0 or -errno. */
int ke_spawn(void (*fn)(void *), void *context);
/* Waits for the end of all spawned threads. */
/* Until all have ended: true; or one more than `of` has begun: false. */
bool ke_spawned_join(unsigned of);
unsigned ke_spawned_begun(void);
unsigned ke_spawned_count(void);

/* --- timer.c, dpc.c ------------------------------------------------------- */

/* Expires the first timer if it is due. */
bool ke_timer_expire_locked(void);
/* When the first timer is due, or KE_NO_DEADLINE. */
uint64_t ke_timer_next_locked(void);
/* Takes every timer out of the queue. */
void ke_timers_drop_locked(void);
BOOLEAN ke_dpc_insert_locked(PKDPC dpc, PVOID argument1, PVOID argument2);
/* The first due time has changed. */
void ke_dpc_thread_kick_locked(void);
void ke_dpc_thread_start(void);
/* Runs what is queued and ends.  False: it was not running. */
bool ke_dpc_thread_stop(void);
/* Waits until nothing is due and no DPC is queued or runs; at once in a DPC. */
void ke_dpc_thread_settle(void);

/* --- worker.c ------------------------------------------------------------- */

void ke_workers_start(void);
/* False: there were none. */
bool ke_workers_stop(void);

#endif
