/*
 * mutex.c - fast mutexes and guarded mutexes
 *
 * Count is 1 when free, 0 when owned, and less by one for each that waits; the
 * release of a mutex that others wait for hands it to one of them by its event.
 * Neither kind may be acquired again by its owner: a broken rule, where it
 * would only hang.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ex_internal.h"

/* Both records begin alike; the event is a fast mutex' own, or the gate. */
struct lock {
    volatile LONG *count;
    PKTHREAD *owner;
    ULONG *contention;
    PKEVENT event;
};

static struct lock
of_fast(PFAST_MUTEX mutex)
{
    return (struct lock){ &mutex->Count, &mutex->Owner, &mutex->Contention,
                          &mutex->Event };
}

C_ASSERT(sizeof(KGATE) == sizeof(KEVENT));

static struct lock
of_guarded(PKGUARDED_MUTEX mutex)
{
    return (struct lock){ &mutex->Count, &mutex->Owner, &mutex->Contention,
                          (PKEVENT) &mutex->Gate };
}

static void
set_owner(struct lock lock, PKTHREAD thread)
{
    __atomic_store_n(lock.owner, thread, __ATOMIC_RELAXED);
}

static bool
is_owner(struct lock lock)
{
    return __atomic_load_n(lock.owner, __ATOMIC_RELAXED) ==
           KeGetCurrentThread();
}

static void
acquire(struct lock lock)
{
    KE_RULE(!is_owner(lock), "a fast or guarded mutex is not acquired twice");
    if (InterlockedDecrement(lock.count) != 0) {
        __atomic_fetch_add(lock.contention, 1, __ATOMIC_RELAXED);
        KeWaitForSingleObject(lock.event, Executive, KernelMode, FALSE, NULL);
    }
    set_owner(lock, KeGetCurrentThread());
}

static bool
try_to_acquire(struct lock lock)
{
    if (InterlockedCompareExchange(lock.count, 0, 1) != 1)
        return false;
    set_owner(lock, KeGetCurrentThread());
    return true;
}

static void
release(struct lock lock)
{
    KE_RULE(is_owner(lock),
            "a fast or guarded mutex is released by the thread that owns it");
    set_owner(lock, NULL);
    if (InterlockedIncrement(lock.count) <= 0)
        KeSetEvent(lock.event, EVENT_INCREMENT, FALSE);
}

/* --- fast mutexes --------------------------------------------------------- */

VOID FASTCALL
ExAcquireFastMutex(PFAST_MUTEX FastMutex)
{
    KIRQL before;

    KE_IRQL(ExAcquireFastMutex);
    KeRaiseIrql(APC_LEVEL, &before);
    acquire(of_fast(FastMutex));
    FastMutex->OldIrql = before;
}

/* FALSE: it is owned, and the IRQL is what it was. */
BOOLEAN FASTCALL
ExTryToAcquireFastMutex(PFAST_MUTEX FastMutex)
{
    KIRQL before;

    KE_IRQL(ExTryToAcquireFastMutex);
    KeRaiseIrql(APC_LEVEL, &before);
    if (!try_to_acquire(of_fast(FastMutex))) {
        KeLowerIrql(before);
        return FALSE;
    }
    FastMutex->OldIrql = before;
    return TRUE;
}

VOID FASTCALL
ExReleaseFastMutex(PFAST_MUTEX FastMutex)
{
    KIRQL before = (KIRQL) FastMutex->OldIrql;

    KE_RULE(ke_irql == APC_LEVEL, "ExReleaseFastMutex: IRQL = APC_LEVEL");
    release(of_fast(FastMutex));
    KeLowerIrql(before);
}

VOID FASTCALL
ExAcquireFastMutexUnsafe(PFAST_MUTEX FastMutex)
{
    KE_IRQL(ExAcquireFastMutexUnsafe);
    KE_RULE(ex_apcs_held_off(),
            "ExAcquireFastMutexUnsafe: in a critical region or at APC_LEVEL");
    acquire(of_fast(FastMutex));
}

VOID FASTCALL
ExReleaseFastMutexUnsafe(PFAST_MUTEX FastMutex)
{
    KE_IRQL(ExReleaseFastMutexUnsafe);
    KE_RULE(ex_apcs_held_off(),
            "ExReleaseFastMutexUnsafe: in a critical region or at APC_LEVEL");
    release(of_fast(FastMutex));
}

/* --- guarded mutexes ------------------------------------------------------ */

VOID FASTCALL
KeInitializeGuardedMutex(PKGUARDED_MUTEX Mutex)
{
    *Mutex = (KGUARDED_MUTEX){ .Count = 1 };
    KeInitializeEvent((PKEVENT) &Mutex->Gate, SynchronizationEvent, FALSE);
}

VOID FASTCALL
KeAcquireGuardedMutex(PKGUARDED_MUTEX Mutex)
{
    KE_IRQL(KeAcquireGuardedMutex);
    KeEnterGuardedRegion();
    acquire(of_guarded(Mutex));
}

BOOLEAN FASTCALL
KeTryToAcquireGuardedMutex(PKGUARDED_MUTEX Mutex)
{
    KE_IRQL(KeTryToAcquireGuardedMutex);
    KeEnterGuardedRegion();
    if (try_to_acquire(of_guarded(Mutex)))
        return TRUE;
    KeLeaveGuardedRegion();
    return FALSE;
}

VOID FASTCALL
KeReleaseGuardedMutex(PKGUARDED_MUTEX Mutex)
{
    KE_IRQL(KeReleaseGuardedMutex);
    release(of_guarded(Mutex));
    KeLeaveGuardedRegion();
}

VOID FASTCALL
KeAcquireGuardedMutexUnsafe(PKGUARDED_MUTEX FastMutex)
{
    KE_IRQL(KeAcquireGuardedMutexUnsafe);
    KE_RULE(KeAreAllApcsDisabled(),
            "KeAcquireGuardedMutexUnsafe: in a guarded region or at APC_LEVEL");
    acquire(of_guarded(FastMutex));
}

VOID FASTCALL
KeReleaseGuardedMutexUnsafe(PKGUARDED_MUTEX FastMutex)
{
    KE_IRQL(KeReleaseGuardedMutexUnsafe);
    release(of_guarded(FastMutex));
}
