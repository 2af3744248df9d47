/*
 * apc.c - normal kernel APCs, and what holds them off
 *
 * An APC of ours is a function and its context, run at PASSIVE on the thread
 * that it was queued to.  One runs at a time; while it does, it may wait, but
 * further ones stay queued.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ke_internal.h"

#include <stdlib.h>

struct apc {
    LIST_ENTRY entry;
    ke_apc_fn *fn;
    void *context;
};

BOOLEAN
ke_queue_apc(PKTHREAD thread, ke_apc_fn *fn, void *context)
{
    struct apc *apc = malloc(sizeof *apc);

    KE_RULE(ke_irql <= DISPATCH_LEVEL,
            "ke_queue_apc is called at IRQL <= DISPATCH_LEVEL");
    if (apc == NULL)
        return FALSE;
    apc->fn = fn;
    apc->context = context;
    ke_lock();
    if (thread->ended) {
        ke_unlock();
        free(apc);
        return FALSE;
    }
    InsertTailList(&thread->apcs, &apc->entry);
    __atomic_store_n(&thread->apc_pending, TRUE, __ATOMIC_RELAXED);
    if (thread->waiting && thread->wait_takes_apcs)
        ke_unwait_locked(thread, STATUS_KERNEL_APC);
    ke_unlock();
    ke_apc_check();
    return TRUE;
}

static struct apc *
next_locked(PKTHREAD thread)
{
    struct apc *apc = NULL;

    if (!IsListEmpty(&thread->apcs))
        apc =
            CONTAINING_RECORD(RemoveHeadList(&thread->apcs), struct apc, entry);
    __atomic_store_n(&thread->apc_pending, !IsListEmpty(&thread->apcs),
                     __ATOMIC_RELAXED);
    return apc;
}

static __attribute__((noinline)) void
deliver(PKTHREAD thread)
{
    while (ke_apc_allowed(thread)) {
        struct apc *apc;

        ke_lock();
        apc = next_locked(thread);
        ke_unlock();
        if (apc == NULL)
            return;
        thread->apc_running = TRUE;
        apc->fn(apc->context);
        KE_RULE(ke_irql == PASSIVE_LEVEL,
                "an APC returns at the IRQL that it was called at");
        thread->apc_running = FALSE;
        free(apc);
    }
}

VOID NTAPI
ke_apc_deliver(VOID)
{
    deliver(&ke_current()->Tcb);
}

void
ke_apc_rundown(PKTHREAD thread)
{
    for (;;) {
        deliver(thread);
        ke_lock();
        if (IsListEmpty(&thread->apcs)) {
            __atomic_store_n(&thread->ended, TRUE, __ATOMIC_RELAXED);
            ke_unlock();
            return;
        }
        ke_unlock();
    }
}

VOID NTAPI
KeEnterCriticalRegion(VOID)
{
    KE_IRQL(KeEnterCriticalRegion);
    ke_current()->Tcb.apc_disable++;
}

VOID NTAPI
KeLeaveCriticalRegion(VOID)
{
    PKTHREAD thread = &ke_current()->Tcb;

    KE_IRQL(KeLeaveCriticalRegion);
    KE_RULE(thread->apc_disable != 0,
            "KeLeaveCriticalRegion: the thread is in a critical region");
    thread->apc_disable--;
    ke_apc_check();
}

BOOLEAN NTAPI
KeAreApcsDisabled(VOID)
{
    KE_IRQL(KeAreApcsDisabled);
    return ke_current()->Tcb.apc_disable != 0;
}

BOOLEAN NTAPI
KeAreAllApcsDisabled(VOID)
{
    return ke_irql >= APC_LEVEL || ke_current()->Tcb.guarded != 0;
}

/* There are no special kernel APCs of ours: a critical region that says so. */
VOID NTAPI
KeEnterGuardedRegion(VOID)
{
    PKTHREAD thread = &ke_current()->Tcb;

    KE_IRQL(KeEnterGuardedRegion);
    thread->guarded++;
    thread->apc_disable++;
}

VOID NTAPI
KeLeaveGuardedRegion(VOID)
{
    PKTHREAD thread = &ke_current()->Tcb;

    KE_IRQL(KeLeaveGuardedRegion);
    KE_RULE(thread->guarded != 0,
            "KeLeaveGuardedRegion: the thread is in a guarded region");
    thread->guarded--;
    thread->apc_disable--;
    ke_apc_check();
}
