/*
 * ke.h - what ke offers beyond the documented routines of wdm.h
 *
 * Any thread of the process may call the documented routines; it becomes an NT
 * thread by its first call (ke/thread.h).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef KE_KE_H
#define KE_KE_H

#include <wdm.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* --- life: PASSIVE, ke.c -------------------------------------------------- */

/* Idempotent.  Whatever needs the timer thread or the workers also starts
 * them, so that tests may omit it. */
void ke_init(void);
/*
 * Runs every work item and DPC that is queued, then ends the workers and the
 * timer thread; timers that are still set are dropped.  Waits for all system
 * threads that were created.  ke_init starts again.
 */
void ke_shutdown(void);

/* --- kernel APCs: apc.c --------------------------------------------------- */

typedef void ke_apc_fn(void *context);

/*
 * <= DISPATCH.  Has fn called on that thread, as a normal kernel APC at
 * PASSIVE: while it waits (the wait goes on afterwards), when it lowers its
 * IRQL below APC, when it leaves its last critical region, or at its end; now,
 * if it is the calling thread and these allow it.  FALSE: the thread has ended,
 * or no memory; fn will not be called.
 */
BOOLEAN ke_queue_apc(PKTHREAD thread, ke_apc_fn *fn, void *context);

/* --- system threads: system_thread.c -------------------------------------- */

/* A thread that does not run yet, with one reference.  NULL: no memory. */
PETHREAD ke_system_thread_new(PKSTART_ROUTINE start_routine, PVOID context);
/* Once.  False: no thread to be had. */
bool ke_system_thread_start(PETHREAD thread);

/* --- pool: pool.c --------------------------------------------------------- */

/* Debug builds: fn is called with each block of that tag, at its end.  One tag,
 * for the life of the process. */
void ke_pool_watch_frees(ULONG tag, VOID (NTAPI *fn)(PVOID block));

struct ke_pool_stats {
    uint64_t allocations;       /* since the start */
    uint64_t blocks;            /* in use */
    uint64_t bytes;             /* in use */
};

void ke_pool_stats(struct ke_pool_stats *out_stats);
/* One line per tag with blocks in use.  Returns the number of blocks; prints
 * nothing when `to` is NULL. */
uint64_t ke_pool_report(FILE *to);

/* --- workers: worker.c ---------------------------------------------------- */

#define KE_WORKERS_MAX 128

struct ke_worker_stats {
    unsigned threads;
    unsigned idle;
    unsigned waiting_items;
    unsigned most_threads;
};

void ke_worker_stats(struct ke_worker_stats *out_stats);

/* --- bug checks: bugcheck.c ----------------------------------------------- */

/* Prints the rule that was broken and who broke it, and bug checks with
 * DRIVER_VERIFIER_DETECTED_VIOLATION. */
VOID NTAPI ke_rule_broken(const char *rule, const void *caller)
    __attribute__((noreturn, cold));

#endif
