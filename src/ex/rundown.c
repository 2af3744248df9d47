/*
 * rundown.c - references to what others may still use while it goes
 *
 * Count holds twice the number of references, and bit 0 once the wait for their
 * end has begun; from then on, while references are left, it is the address of
 * the waiter's record, with bit 0 set.
 *
 * The cache-aware kind is one reference count on a cache line of its own: it
 * keeps the promises of the documentation, not the speed of one count for each
 * processor.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ex_internal.h"

struct waiter {
    ULONG_PTR left; /* atomic */
    KEVENT none;
};

VOID FASTCALL
ExInitializeRundownProtection(PEX_RUNDOWN_REF RunRef)
{
    __atomic_store_n(&RunRef->Count, 0, __ATOMIC_RELEASE);
}

/* After rundown has completed: references may be had again. */
VOID FASTCALL
ExReInitializeRundownProtection(PEX_RUNDOWN_REF RunRef)
{
    KE_RULE(__atomic_load_n(&RunRef->Count, __ATOMIC_ACQUIRE) ==
                EX_RUNDOWN_ACTIVE,
            "ExReInitializeRundownProtection: rundown has completed");
    __atomic_store_n(&RunRef->Count, 0, __ATOMIC_RELEASE);
}

/* FALSE: it is going. */
BOOLEAN FASTCALL
ExAcquireRundownProtectionEx(PEX_RUNDOWN_REF RunRef, ULONG Count)
{
    ULONG_PTR seen = __atomic_load_n(&RunRef->Count, __ATOMIC_RELAXED);

    KE_IRQL(ExAcquireRundownProtection);
    do {
        if (seen & EX_RUNDOWN_ACTIVE)
            return FALSE;
    } while (!__atomic_compare_exchange_n(
        &RunRef->Count, &seen, seen + (ULONG_PTR) Count * EX_RUNDOWN_COUNT_INC,
        1, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
    return TRUE;
}

BOOLEAN FASTCALL
ExAcquireRundownProtection(PEX_RUNDOWN_REF RunRef)
{
    return ExAcquireRundownProtectionEx(RunRef, 1);
}

VOID FASTCALL
ExReleaseRundownProtectionEx(PEX_RUNDOWN_REF RunRef, ULONG Count)
{
    ULONG_PTR change = (ULONG_PTR) Count * EX_RUNDOWN_COUNT_INC;
    ULONG_PTR seen = __atomic_load_n(&RunRef->Count, __ATOMIC_ACQUIRE);
    struct waiter *waiter;

    KE_IRQL(ExReleaseRundownProtection);
    while ((seen & EX_RUNDOWN_ACTIVE) == 0) {
        KE_RULE(seen >= change,
                "ExReleaseRundownProtection: what was acquired is released");
        if (__atomic_compare_exchange_n(&RunRef->Count, &seen, seen - change, 1,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            return;
    }
    KE_RULE(seen != EX_RUNDOWN_ACTIVE,
            "ExReleaseRundownProtection: what was acquired is released");
    waiter = (struct waiter *) (seen & ~(ULONG_PTR) EX_RUNDOWN_ACTIVE);
    if (__atomic_sub_fetch(&waiter->left, Count, __ATOMIC_ACQ_REL) == 0)
        KeSetEvent(&waiter->none, IO_NO_INCREMENT, FALSE);
}

VOID FASTCALL
ExReleaseRundownProtection(PEX_RUNDOWN_REF RunRef)
{
    ExReleaseRundownProtectionEx(RunRef, 1);
}

/* The caller knows that there are no references: none can be had from now. */
VOID FASTCALL
ExRundownCompleted(PEX_RUNDOWN_REF RunRef)
{
    __atomic_store_n(&RunRef->Count, EX_RUNDOWN_ACTIVE, __ATOMIC_RELEASE);
}

/* Returns at once when rundown has completed before. */
VOID FASTCALL
ExWaitForRundownProtectionRelease(PEX_RUNDOWN_REF RunRef)
{
    struct waiter waiter;
    ULONG_PTR seen = __atomic_load_n(&RunRef->Count, __ATOMIC_ACQUIRE);

    KE_IRQL(ExWaitForRundownProtectionRelease);
    if (seen == EX_RUNDOWN_ACTIVE)
        return;
    KE_RULE((seen & EX_RUNDOWN_ACTIVE) == 0,
            "ExWaitForRundownProtectionRelease: one waits");
    KeInitializeEvent(&waiter.none, NotificationEvent, FALSE);
    do {
        __atomic_store_n(&waiter.left, seen / EX_RUNDOWN_COUNT_INC,
                         __ATOMIC_RELAXED);
    } while (!__atomic_compare_exchange_n(
        &RunRef->Count, &seen,
        seen == 0 ? EX_RUNDOWN_ACTIVE : (ULONG_PTR) &waiter | EX_RUNDOWN_ACTIVE,
        1, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    if (seen == 0)
        return;
    KeWaitForSingleObject(&waiter.none, Executive, KernelMode, FALSE, NULL);
    __atomic_store_n(&RunRef->Count, EX_RUNDOWN_ACTIVE, __ATOMIC_RELEASE);
}

/* --- cache-aware ---------------------------------------------------------- */

#define CACHE_LINE 64

struct _EX_RUNDOWN_REF_CACHE_AWARE {
    EX_RUNDOWN_REF ref;
    UCHAR rest_of_line[CACHE_LINE - sizeof(EX_RUNDOWN_REF)];
};

SIZE_T NTAPI
ExSizeOfRundownProtectionCacheAware(VOID)
{
    return sizeof(struct _EX_RUNDOWN_REF_CACHE_AWARE);
}

VOID NTAPI
ExInitializeRundownProtectionCacheAware(
    PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware, SIZE_T RunRefSize)
{
    KE_RULE(RunRefSize >= sizeof *RunRefCacheAware,
            "ExInitializeRundownProtectionCacheAware: RunRefSize as "
            "ExSizeOfRundownProtectionCacheAware says");
    ExInitializeRundownProtection(&RunRefCacheAware->ref);
}

/* NULL: no memory. */
PEX_RUNDOWN_REF_CACHE_AWARE NTAPI
ExAllocateCacheAwareRundownProtection(POOL_TYPE PoolType, ULONG PoolTag)
{
    PEX_RUNDOWN_REF_CACHE_AWARE ref =
        ExAllocatePoolWithTag(PoolType, sizeof *ref, PoolTag);

    if (ref != NULL)
        ExInitializeRundownProtection(&ref->ref);
    return ref;
}

VOID NTAPI
ExFreeCacheAwareRundownProtection(PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware)
{
    ExFreePool(RunRefCacheAware);
}

VOID FASTCALL
ExReInitializeRundownProtectionCacheAware(
    PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware)
{
    ExReInitializeRundownProtection(&RunRefCacheAware->ref);
}

BOOLEAN FASTCALL
ExAcquireRundownProtectionCacheAware(
    PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware)
{
    return ExAcquireRundownProtection(&RunRefCacheAware->ref);
}

VOID FASTCALL
ExReleaseRundownProtectionCacheAware(
    PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware)
{
    ExReleaseRundownProtection(&RunRefCacheAware->ref);
}

VOID FASTCALL
ExRundownCompletedCacheAware(PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware)
{
    ExRundownCompleted(&RunRefCacheAware->ref);
}

VOID FASTCALL
ExWaitForRundownProtectionReleaseCacheAware(PEX_RUNDOWN_REF_CACHE_AWARE RunRef)
{
    ExWaitForRundownProtectionRelease(&RunRef->ref);
}
