/*
 * queued_lock.c - in-stack queued spin locks
 *
 * The caller brings the place in which it stands in the queue: who came first
 * is served first.  The lock word points to the last place; a spin lock is used
 * either with these routines or with the others, never with both.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ke_internal.h"

#include <sched.h>

/* In Lock of a place, whose pointer is aligned. */
#define WAITS ((ULONG_PTR) 1)

static ULONG_PTR *
lock_field(PKSPIN_LOCK_QUEUE place)
{
    return (ULONG_PTR *) &place->Lock;
}

#ifndef NDEBUG
#define COUNT(change) (ke_spin_locks += (unsigned) (change))
#else
#define COUNT(change) ((void) 0)
#endif

/* Who has gone on may be a thread that does not run: after a while, let it. */
static void
pause_or_yield(unsigned n)
{
    if (n % 100 == 0)
        sched_yield();
}

static void
acquire(PKSPIN_LOCK lock, PKSPIN_LOCK_QUEUE place)
{
    PKSPIN_LOCK_QUEUE before;

    COUNT(+1);
    __atomic_store_n(&place->Next, NULL, __ATOMIC_RELAXED);
    __atomic_store_n(lock_field(place), (ULONG_PTR) lock | WAITS,
                     __ATOMIC_RELAXED);
    before = (PKSPIN_LOCK_QUEUE) __atomic_exchange_n(lock, (ULONG_PTR) place,
                                                     __ATOMIC_ACQ_REL);
    if (before == NULL) {
        __atomic_store_n(lock_field(place), (ULONG_PTR) lock, __ATOMIC_RELAXED);
        return;
    }
    __atomic_store_n(&before->Next, place, __ATOMIC_RELEASE);
    for (unsigned n = 1;
         __atomic_load_n(lock_field(place), __ATOMIC_ACQUIRE) & WAITS; n++)
        pause_or_yield(n);
}

static void
release(PKSPIN_LOCK_QUEUE place)
{
    PKSPIN_LOCK lock =
        (PKSPIN_LOCK) __atomic_load_n(lock_field(place), __ATOMIC_RELAXED);
    ULONG_PTR last = (ULONG_PTR) place;
    PKSPIN_LOCK_QUEUE next = __atomic_load_n(&place->Next, __ATOMIC_ACQUIRE);

    KE_RULE(lock != NULL, "a queued spin lock is released once, by its holder");
    COUNT(-1);
    if (next == NULL) {
        if (__atomic_compare_exchange_n(lock, &last, 0, 0, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED)) {
            __atomic_store_n(lock_field(place), 0, __ATOMIC_RELAXED);
            return;
        }
        for (unsigned n = 1;
             (next = __atomic_load_n(&place->Next, __ATOMIC_ACQUIRE)) == NULL;
             n++)
            pause_or_yield(n); /* it is about to tell who it is */
    }
    __atomic_store_n(lock_field(place), 0, __ATOMIC_RELAXED);
    __atomic_store_n(lock_field(next), (ULONG_PTR) lock, __ATOMIC_RELEASE);
}

VOID FASTCALL
KeAcquireInStackQueuedSpinLock(PKSPIN_LOCK SpinLock,
                               PKLOCK_QUEUE_HANDLE LockHandle)
{
    KE_IRQL(KeAcquireInStackQueuedSpinLock);
    LockHandle->OldIrql = ke_irql;
    ke_irql = DISPATCH_LEVEL;
    acquire(SpinLock, &LockHandle->LockQueue);
}

VOID FASTCALL
KeReleaseInStackQueuedSpinLock(PKLOCK_QUEUE_HANDLE LockHandle)
{
    KE_RULE(ke_irql == DISPATCH_LEVEL,
            "KeReleaseInStackQueuedSpinLock: IRQL = DISPATCH_LEVEL");
    release(&LockHandle->LockQueue);
    KeLowerIrql(LockHandle->OldIrql);
}

VOID FASTCALL
KeAcquireInStackQueuedSpinLockAtDpcLevel(PKSPIN_LOCK SpinLock,
                                         PKLOCK_QUEUE_HANDLE LockHandle)
{
    KE_RULE(ke_irql >= DISPATCH_LEVEL,
            "KeAcquireInStackQueuedSpinLockAtDpcLevel: IRQL >= "
            "DISPATCH_LEVEL");
    acquire(SpinLock, &LockHandle->LockQueue);
}

VOID FASTCALL
KeReleaseInStackQueuedSpinLockFromDpcLevel(PKLOCK_QUEUE_HANDLE LockHandle)
{
    KE_RULE(ke_irql >= DISPATCH_LEVEL,
            "KeReleaseInStackQueuedSpinLockFromDpcLevel: IRQL >= "
            "DISPATCH_LEVEL");
    release(&LockHandle->LockQueue);
}
