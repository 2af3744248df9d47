/*
 * irql.c - interrupt request levels and spin locks
 *
 * The IRQL is a byte of the thread: it keeps nobody from being scheduled, it
 * says what the thread may do, and that is checked.  The hot routines here call
 * nothing of the other calling convention, not even on rare paths
 * (ke/thread.h).
 *
 * A held spin lock contains an address of its holder's own, so that taking it
 * twice is a bug check and not a hang.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ke_internal.h"

#include <sched.h>

__thread KIRQL ke_irql;
#ifndef NDEBUG
__thread unsigned ke_spin_locks;
#define SPIN_LOCKS(change) (ke_spin_locks += (unsigned) (change))
#else
#define SPIN_LOCKS(change) ((void) 0)
#endif

KIRQL NTAPI
KeGetCurrentIrql(VOID)
{
    return ke_irql;
}

VOID NTAPI
KeRaiseIrql(KIRQL NewIrql, PKIRQL OldIrql)
{
    if (__builtin_expect(NewIrql < ke_irql, 0))
        KeBugCheckEx(IRQL_NOT_GREATER_OR_EQUAL, ke_irql, NewIrql, 0,
                     (ULONG_PTR) __builtin_return_address(0));
    *OldIrql = ke_irql;
    ke_irql = NewIrql;
}

KIRQL NTAPI
KeRaiseIrqlToDpcLevel(VOID)
{
    KIRQL old = ke_irql;

    KE_IRQL(KeRaiseIrqlToDpcLevel);
    ke_irql = DISPATCH_LEVEL;
    return old;
}

/* Queued APCs run before it returns when they are allowed again. */
VOID NTAPI
KeLowerIrql(KIRQL NewIrql)
{
    if (__builtin_expect(NewIrql > ke_irql, 0))
        KeBugCheckEx(IRQL_NOT_LESS_OR_EQUAL, ke_irql, NewIrql, 0,
                     (ULONG_PTR) __builtin_return_address(0));
    ke_irql = NewIrql;
    if (NewIrql < APC_LEVEL)
        ke_apc_check();
}

/* --- spin locks ----------------------------------------------------------- */

#define SPINS 100

static __attribute__((always_inline)) inline ULONG_PTR
self(void)
{
    return (ULONG_PTR) &ke_irql;
}

static __attribute__((always_inline)) inline bool
try_lock(PKSPIN_LOCK lock)
{
    ULONG_PTR free = 0;

    return __atomic_compare_exchange_n(lock, &free, self(), 0, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

static __attribute__((always_inline)) inline void
pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* The holder may be a thread that does not run: after a while, let it. */
static NTAPI __attribute__((noinline)) VOID
lock_contended(PKSPIN_LOCK lock)
{
    for (unsigned n = 1;; n++) {
        ULONG_PTR holder = __atomic_load_n(lock, __ATOMIC_RELAXED);

        if (holder == 0) {
            if (try_lock(lock))
                return;
            continue;
        }
        if (holder == self())
            KeBugCheckEx(SPIN_LOCK_ALREADY_OWNED, (ULONG_PTR) lock, 0, 0, 0);
        if (n % SPINS == 0)
            sched_yield();
        else
            pause_cpu();
    }
}

static __attribute__((always_inline)) inline void
lock_spin(PKSPIN_LOCK lock)
{
    if (__builtin_expect(!try_lock(lock), 0))
        lock_contended(lock);
    SPIN_LOCKS(+1);
}

static __attribute__((always_inline)) inline void
unlock_spin(PKSPIN_LOCK lock)
{
#ifndef NDEBUG
    if (__builtin_expect(__atomic_load_n(lock, __ATOMIC_RELAXED) != self(), 0))
        KeBugCheckEx(SPIN_LOCK_NOT_OWNED, (ULONG_PTR) lock, 0, 0,
                     (ULONG_PTR) __builtin_return_address(0));
#endif
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
    SPIN_LOCKS(-1);
}

VOID NTAPI
KeInitializeSpinLock(PKSPIN_LOCK SpinLock)
{
    __atomic_store_n(SpinLock, 0, __ATOMIC_RELAXED);
}

KIRQL NTAPI
KeAcquireSpinLockRaiseToDpc(PKSPIN_LOCK SpinLock)
{
    KIRQL old = ke_irql;

    KE_IRQL(KeAcquireSpinLock);
    ke_irql = DISPATCH_LEVEL;
    lock_spin(SpinLock);
    return old;
}

VOID NTAPI
KeReleaseSpinLock(PKSPIN_LOCK SpinLock, KIRQL NewIrql)
{
    KE_IRQL(KeReleaseSpinLock);
    KE_RULE(NewIrql <= DISPATCH_LEVEL,
            "KeReleaseSpinLock gives back the IRQL of the acquisition");
    unlock_spin(SpinLock);
    ke_irql = NewIrql;
    if (NewIrql < APC_LEVEL)
        ke_apc_check();
}

VOID NTAPI
KeAcquireSpinLockAtDpcLevel(PKSPIN_LOCK SpinLock)
{
    KE_IRQL(KeAcquireSpinLockAtDpcLevel);
    lock_spin(SpinLock);
}

VOID NTAPI
KeReleaseSpinLockFromDpcLevel(PKSPIN_LOCK SpinLock)
{
    KE_IRQL(KeReleaseSpinLockFromDpcLevel);
    unlock_spin(SpinLock);
}

/* FALSE: another has it. */
BOOLEAN FASTCALL
KeTryToAcquireSpinLockAtDpcLevel(PKSPIN_LOCK SpinLock)
{
    KE_RULE(ke_irql >= DISPATCH_LEVEL,
            "KeTryToAcquireSpinLockAtDpcLevel: IRQL >= DISPATCH_LEVEL");
    if (!try_lock(SpinLock))
        return FALSE;
    SPIN_LOCKS(+1);
    return TRUE;
}

BOOLEAN FASTCALL
KeTestSpinLock(PKSPIN_LOCK SpinLock)
{
    return __atomic_load_n(SpinLock, __ATOMIC_ACQUIRE) == 0;
}

/* --- lists under a spin lock: any IRQL ------------------------------------ */

static __attribute__((always_inline)) inline KIRQL
lock_raised(PKSPIN_LOCK lock)
{
    KIRQL old = ke_irql;

    if (old < DISPATCH_LEVEL)
        ke_irql = DISPATCH_LEVEL;
    lock_spin(lock);
    return old;
}

static __attribute__((always_inline)) inline void
unlock_raised(PKSPIN_LOCK lock, KIRQL old)
{
    unlock_spin(lock);
    ke_irql = old;
    if (old < APC_LEVEL)
        ke_apc_check();
}

PLIST_ENTRY NTAPI
ExInterlockedInsertTailList(PLIST_ENTRY ListHead, PLIST_ENTRY ListEntry,
                            PKSPIN_LOCK Lock)
{
    KIRQL old = lock_raised(Lock);
    PLIST_ENTRY last = IsListEmpty(ListHead) ? NULL : ListHead->Blink;

    InsertTailList(ListHead, ListEntry);
    unlock_raised(Lock, old);
    return last;
}

PLIST_ENTRY NTAPI
ExInterlockedInsertHeadList(PLIST_ENTRY ListHead, PLIST_ENTRY ListEntry,
                            PKSPIN_LOCK Lock)
{
    KIRQL old = lock_raised(Lock);
    PLIST_ENTRY first = IsListEmpty(ListHead) ? NULL : ListHead->Flink;

    InsertHeadList(ListHead, ListEntry);
    unlock_raised(Lock, old);
    return first;
}

PLIST_ENTRY NTAPI
ExInterlockedRemoveHeadList(PLIST_ENTRY ListHead, PKSPIN_LOCK Lock)
{
    KIRQL old = lock_raised(Lock);
    PLIST_ENTRY entry = IsListEmpty(ListHead) ? NULL : RemoveHeadList(ListHead);

    unlock_raised(Lock, old);
    return entry;
}
