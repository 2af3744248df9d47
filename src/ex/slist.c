/*
 * slist.c - sequenced singly linked lists, and what else is interlocked
 *
 * An entry has 16 bytes of alignment, so the low bits of the head's pointer are
 * free: one of them is the list's lock, held for a few instructions at any
 * IRQL.  That way an entry may be freed as soon as it was popped; a list
 * without a lock has to look into entries that another thread may have freed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ex_internal.h"

#include <sched.h>

#define LOCKED    ((ULONGLONG) 2)
#define FLAGS     ((ULONGLONG) 15)
#define SEQUENCE  ((ULONGLONG) 0x10000)
#define DEPTH_MAX 0xFFFFu

VOID NTAPI
InitializeSListHead(PSLIST_HEADER SListHead)
{
    KE_RULE(((ULONG_PTR) SListHead & 15) == 0,
            "InitializeSListHead: the head is aligned to 16 bytes");
    SListHead->Alignment = 0;
    __atomic_store_n(&SListHead->Region, 0, __ATOMIC_RELEASE);
}

/* Returns the first entry. */
static PSLIST_ENTRY
lock_list(PSLIST_HEADER head)
{
    for (unsigned n = 1;; n++) {
        ULONGLONG region = __atomic_load_n(&head->Region, __ATOMIC_RELAXED);

        if ((region & LOCKED) == 0 &&
            __atomic_compare_exchange_n(&head->Region, &region, region | LOCKED,
                                        1, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return (PSLIST_ENTRY) (ULONG_PTR) (region & ~FLAGS);
        if (n % 100 == 0)
            sched_yield(); /* the holder may not be running */
    }
}

/* Every change has a sequence number of its own. */
static void
unlock_list(PSLIST_HEADER head, PSLIST_ENTRY first, ULONG depth)
{
    ULONGLONG before = __atomic_load_n(&head->Alignment, __ATOMIC_RELAXED);

    __atomic_store_n(&head->Alignment,
                     ((before & ~(ULONGLONG) DEPTH_MAX) + SEQUENCE) |
                         (depth & DEPTH_MAX),
                     __ATOMIC_RELAXED);
    __atomic_store_n(&head->Region, (ULONGLONG) (ULONG_PTR) first,
                     __ATOMIC_RELEASE);
}

USHORT NTAPI
ExQueryDepthSList(PSLIST_HEADER SListHead)
{
    return (USHORT) __atomic_load_n(&SListHead->Alignment, __ATOMIC_RELAXED);
}

/* Returns the entry that was first, or NULL. */
PSLIST_ENTRY NTAPI
ExpInterlockedPushEntrySList(PSLIST_HEADER ListHead, PSLIST_ENTRY ListEntry)
{
    PSLIST_ENTRY first;

    KE_RULE(((ULONG_PTR) ListEntry & 15) == 0,
            "InterlockedPushEntrySList: entries are aligned to 16 bytes");
    first = lock_list(ListHead);
    ListEntry->Next = first;
    unlock_list(ListHead, ListEntry, ExQueryDepthSList(ListHead) + 1u);
    return first;
}

PSLIST_ENTRY NTAPI
ExpInterlockedPopEntrySList(PSLIST_HEADER ListHead)
{
    PSLIST_ENTRY first;
    ULONG depth;

    if ((__atomic_load_n(&ListHead->Region, __ATOMIC_RELAXED) & ~FLAGS) == 0)
        return NULL;
    first = lock_list(ListHead);
    depth = ExQueryDepthSList(ListHead);
    if (first != NULL)
        unlock_list(ListHead, first->Next, depth - 1u);
    else
        unlock_list(ListHead, NULL, depth);
    return first;
}

/* Returns the whole chain. */
PSLIST_ENTRY NTAPI
ExpInterlockedFlushSList(PSLIST_HEADER ListHead)
{
    PSLIST_ENTRY first = lock_list(ListHead);

    unlock_list(ListHead, NULL, 0);
    return first;
}
