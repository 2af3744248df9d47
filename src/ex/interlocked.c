/*
 * interlocked.c - single lists and sums under a spin lock
 *
 * Any IRQL; the lock is the caller's, and used with these routines alone or
 * with the ones on spin locks at DISPATCH.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ex_internal.h"

struct held {
    PKSPIN_LOCK lock;
    KIRQL before;
};

static struct held
hold(PKSPIN_LOCK lock)
{
    struct held held = { .lock = lock, .before = ke_irql };

    if (held.before < DISPATCH_LEVEL)
        KeRaiseIrql(DISPATCH_LEVEL, &held.before);
    KeAcquireSpinLockAtDpcLevel(lock);
    return held;
}

static void
let_go(struct held held)
{
    KeReleaseSpinLockFromDpcLevel(held.lock);
    if (held.before < DISPATCH_LEVEL)
        KeLowerIrql(held.before);
}

PSINGLE_LIST_ENTRY NTAPI
ExInterlockedPushEntryList(PSINGLE_LIST_ENTRY ListHead,
                           PSINGLE_LIST_ENTRY ListEntry, PKSPIN_LOCK Lock)
{
    struct held held = hold(Lock);
    PSINGLE_LIST_ENTRY before = ListHead->Next;

    PushEntryList(ListHead, ListEntry);
    let_go(held);
    return before;
}

PSINGLE_LIST_ENTRY NTAPI
ExInterlockedPopEntryList(PSINGLE_LIST_ENTRY ListHead, PKSPIN_LOCK Lock)
{
    struct held held = hold(Lock);
    PSINGLE_LIST_ENTRY first = PopEntryList(ListHead);

    let_go(held);
    return first;
}

ULONG FASTCALL
ExInterlockedAddUlong(PULONG Addend, ULONG Increment, PKSPIN_LOCK Lock)
{
    struct held held = hold(Lock);
    ULONG before = *Addend;

    *Addend = before + Increment;
    let_go(held);
    return before;
}

LARGE_INTEGER NTAPI
ExInterlockedAddLargeInteger(PLARGE_INTEGER Addend, LARGE_INTEGER Increment,
                             PKSPIN_LOCK Lock)
{
    struct held held = hold(Lock);
    LARGE_INTEGER before = *Addend;

    Addend->QuadPart = (LONGLONG) ((ULONGLONG) before.QuadPart +
                                   (ULONGLONG) Increment.QuadPart);
    let_go(held);
    return before;
}
