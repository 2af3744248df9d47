/*
 * resource.c - ERESOURCE: one writer or many readers, each as often as it likes
 *
 * Owners are entries of a thread (or of a pointer that took its place) and a
 * count: the first in OwnerEntry, the others in OwnerTable, whose entry 0 tells
 * its size.  A release hands the resource on: to everyone who waits for shared
 * access after an exclusive owner, to the first that waits for exclusive access
 * otherwise.  Waiters stand in a queue of records on their stacks; what
 * SharedWaiters and ExclusiveWaiters point to is the first of them, which
 * begins with its semaphore or event.
 *
 * Lock: Resource->SpinLock, over all fields; taken before the dispatcher lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ex_internal.h"

#define TABLE_TAG   'aTeR'
#define TABLE_FIRST 4

struct waiter {
    union {
        KSEMAPHORE shared;
        KEVENT exclusive;
        DISPATCHER_HEADER header;
    };
    struct waiter *next;
    ERESOURCE_THREAD thread;
};

enum access { SHARED, SHARED_STARVE_EXCLUSIVE, SHARED_WAIT_FOR_EXCLUSIVE };

static ERESOURCE_THREAD
self(void)
{
    return (ERESOURCE_THREAD) KeGetCurrentThread();
}

static bool
is_exclusive(const ERESOURCE *resource)
{
    return (resource->Flag & ResourceOwnedExclusive) != 0;
}

/* --- owners --------------------------------------------------------------- */

static ULONG
table_size(const ERESOURCE *resource)
{
    return resource->OwnerTable == NULL ? 0 : resource->OwnerTable[0].TableSize;
}

/* thread 0: an entry that is free.  NULL: there is none. */
static POWNER_ENTRY
entry_of_locked(PERESOURCE resource, ERESOURCE_THREAD thread)
{
    if (resource->OwnerEntry.OwnerThread == thread)
        return &resource->OwnerEntry;
    for (ULONG i = 1; i < table_size(resource); i++)
        if (resource->OwnerTable[i].OwnerThread == thread)
            return &resource->OwnerTable[i];
    return NULL;
}

static void
own_locked(PERESOURCE resource, ERESOURCE_THREAD thread)
{
    POWNER_ENTRY entry = entry_of_locked(resource, 0);

    entry->OwnerThread = thread;
    entry->OwnerCount = 1;
    resource->ActiveEntries++;
    resource->ActiveCount++;
}

static void
disown_locked(PERESOURCE resource, POWNER_ENTRY entry)
{
    entry->OwnerThread = 0;
    entry->OwnerCount = 0;
    resource->ActiveEntries--;
    resource->ActiveCount--;
}

/* Is there an entry for the caller and each that waits for shared access? */
static bool
has_room_locked(const ERESOURCE *resource)
{
    ULONG places = table_size(resource);

    places = places == 0 ? 1 : places; /* OwnerEntry for the table's first */
    return resource->ActiveEntries + resource->NumberOfSharedWaiters < places;
}

/* Leaves the lock and takes it again: the state may have changed.  As in NT, it
 * waits until there is memory. */
static void
make_room(PERESOURCE resource, KIRQL *irql)
{
    LARGE_INTEGER moment = { .QuadPart = -100000 };
    ULONG had = table_size(resource);
    ULONG size = had == 0 ? TABLE_FIRST : 2 * had;
    POWNER_ENTRY table, old;

    KeReleaseSpinLock(&resource->SpinLock, *irql);
    while ((table = ExAllocatePoolWithTag(NonPagedPool, size * sizeof *table,
                                          TABLE_TAG)) == NULL)
        KeDelayExecutionThread(KernelMode, FALSE, &moment);
    RtlZeroMemory(table, size * sizeof *table);
    *irql = KeAcquireSpinLockRaiseToDpc(&resource->SpinLock);
    old = table;
    if (table_size(resource) == had) {
        old = resource->OwnerTable;
        if (old != NULL)
            RtlCopyMemory(table, old, had * sizeof *table);
        table[0].TableSize = size;
        resource->OwnerTable = table;
    }
    if (old != NULL)
        ExFreePoolWithTag(old, TABLE_TAG);
}

/* --- waiters -------------------------------------------------------------- */

static struct waiter *
first_shared(const ERESOURCE *resource)
{
    return (struct waiter *) resource->SharedWaiters;
}

static struct waiter *
first_exclusive(const ERESOURCE *resource)
{
    return (struct waiter *) resource->ExclusiveWaiters;
}

static struct waiter *
put_last(struct waiter *first, struct waiter *waiter)
{
    struct waiter *last = first;

    if (first == NULL)
        return waiter;
    while (last->next != NULL)
        last = last->next;
    last->next = waiter;
    return first;
}

/* A waiter may go once it is signalled. */
static void
grant_all_shared_locked(PERESOURCE resource)
{
    struct waiter *waiter = first_shared(resource);

    resource->SharedWaiters = NULL;
    resource->NumberOfSharedWaiters = 0;
    while (waiter != NULL) {
        struct waiter *next = waiter->next;
        POWNER_ENTRY entry = entry_of_locked(resource, waiter->thread);

        if (entry != NULL)
            entry->OwnerCount++; /* it waited for an exclusive waiter */
        else
            own_locked(resource, waiter->thread);
        KeReleaseSemaphore(&waiter->shared, IO_NO_INCREMENT, 1, FALSE);
        waiter = next;
    }
}

static void
grant_exclusive_locked(PERESOURCE resource)
{
    struct waiter *waiter = first_exclusive(resource);

    resource->ExclusiveWaiters =
        waiter->next == NULL ? NULL : &waiter->next->exclusive;
    resource->NumberOfExclusiveWaiters--;
    resource->Flag |= ResourceOwnedExclusive;
    own_locked(resource, waiter->thread);
    KeSetEvent(&waiter->exclusive, IO_NO_INCREMENT, FALSE);
}

static void
wait_in_queue(PERESOURCE resource, struct waiter *waiter, KIRQL irql)
{
    resource->ContentionCount++;
    KeReleaseSpinLock(&resource->SpinLock, irql);
    KeWaitForSingleObject(waiter, Executive, KernelMode, FALSE, NULL);
}

/* --- life ----------------------------------------------------------------- */

/* <= DISPATCH */
NTSTATUS NTAPI
ExInitializeResourceLite(PERESOURCE Resource)
{
    KE_IRQL(ExInitializeResourceLite);
    *Resource = (ERESOURCE){ .OwnerTable = NULL };
    InitializeListHead(&Resource->SystemResourcesList);
    KeInitializeSpinLock(&Resource->SpinLock);
    return STATUS_SUCCESS;
}

static void
check_unused(PERESOURCE resource)
{
    KE_RULE(resource->ActiveEntries == 0 &&
                resource->NumberOfSharedWaiters == 0 &&
                resource->NumberOfExclusiveWaiters == 0,
            "a resource that is deleted or made new has no owners and no "
            "waiters");
}

/* <= DISPATCH.  As new; the memory of its owners is kept. */
NTSTATUS NTAPI
ExReinitializeResourceLite(PERESOURCE Resource)
{
    POWNER_ENTRY table = Resource->OwnerTable;

    KE_IRQL(ExReinitializeResourceLite);
    check_unused(Resource);
    ExInitializeResourceLite(Resource);
    Resource->OwnerTable = table;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI
ExDeleteResourceLite(PERESOURCE Resource)
{
    KE_IRQL(ExDeleteResourceLite);
    check_unused(Resource);
    if (Resource->OwnerTable != NULL)
        ExFreePoolWithTag(Resource->OwnerTable, TABLE_TAG);
    Resource->OwnerTable = NULL;
    return STATUS_SUCCESS;
}

/* --- acquire -------------------------------------------------------------- */

static void
check_caller(void)
{
    KE_IRQL(ExAcquireResourceExclusiveLite);
    KE_RULE(ex_apcs_held_off(),
            "a resource is acquired in a critical region or at APC_LEVEL");
}

/* FALSE: only without Wait.  A thread that has shared access does not get
 * exclusive access as well: to wait for it would be for ever. */
BOOLEAN NTAPI
ExAcquireResourceExclusiveLite(PERESOURCE Resource, BOOLEAN Wait)
{
    ERESOURCE_THREAD me = self();
    struct waiter waiter;
    POWNER_ENTRY mine;
    KIRQL irql;

    check_caller();
    irql = KeAcquireSpinLockRaiseToDpc(&Resource->SpinLock);
    mine = Resource->ActiveEntries == 0 ? NULL : entry_of_locked(Resource, me);
    if (Resource->ActiveEntries == 0) {
        Resource->Flag |= ResourceOwnedExclusive;
        own_locked(Resource, me);
    } else if (is_exclusive(Resource) && mine != NULL) {
        mine->OwnerCount++;
    } else if (!Wait) {
        KeReleaseSpinLock(&Resource->SpinLock, irql);
        return FALSE;
    } else {
        KE_RULE(mine == NULL, "ExAcquireResourceExclusiveLite: a thread with "
                              "shared access does not wait for exclusive "
                              "access");
        waiter.next = NULL;
        waiter.thread = me;
        KeInitializeEvent(&waiter.exclusive, SynchronizationEvent, FALSE);
        Resource->ExclusiveWaiters =
            &put_last(first_exclusive(Resource), &waiter)->exclusive;
        Resource->NumberOfExclusiveWaiters++;
        wait_in_queue(Resource, &waiter, irql);
        return TRUE;
    }
    KeReleaseSpinLock(&Resource->SpinLock, irql);
    return TRUE;
}

BOOLEAN NTAPI
ExTryToAcquireResourceExclusiveLite(PERESOURCE Resource)
{
    return ExAcquireResourceExclusiveLite(Resource, FALSE);
}

/* May a thread have shared access now?  mine: its entry, or NULL. */
static bool
may_share_locked(const ERESOURCE *resource, const OWNER_ENTRY *mine,
                 enum access access)
{
    if (is_exclusive(resource))
        return mine != NULL;
    if (resource->NumberOfExclusiveWaiters == 0)
        return true;
    switch (access) {
    case SHARED_STARVE_EXCLUSIVE:
        return true;
    case SHARED_WAIT_FOR_EXCLUSIVE:
        return false;
    default:
        return mine != NULL;
    }
}

static BOOLEAN
acquire_shared(PERESOURCE resource, BOOLEAN wait, enum access access)
{
    ERESOURCE_THREAD me = self();
    struct waiter waiter;
    POWNER_ENTRY mine;
    KIRQL irql;

    check_caller();
    irql = KeAcquireSpinLockRaiseToDpc(&resource->SpinLock);
    while ((mine = entry_of_locked(resource, me)) == NULL &&
           !has_room_locked(resource) &&
           (wait || may_share_locked(resource, NULL, access)))
        make_room(resource, &irql);
    if (may_share_locked(resource, mine, access)) {
        if (mine != NULL)
            mine->OwnerCount++;
        else
            own_locked(resource, me);
    } else if (!wait) {
        KeReleaseSpinLock(&resource->SpinLock, irql);
        return FALSE;
    } else {
        waiter.next = NULL;
        waiter.thread = me;
        KeInitializeSemaphore(&waiter.shared, 0, 1);
        resource->SharedWaiters =
            &put_last(first_shared(resource), &waiter)->shared;
        resource->NumberOfSharedWaiters++;
        wait_in_queue(resource, &waiter, irql);
        return TRUE;
    }
    KeReleaseSpinLock(&resource->SpinLock, irql);
    return TRUE;
}

/* Those who wait for exclusive access come first, but not before a thread that
 * has access already. */
BOOLEAN NTAPI
ExAcquireResourceSharedLite(PERESOURCE Resource, BOOLEAN Wait)
{
    return acquire_shared(Resource, Wait, SHARED);
}

/* Before those who wait for exclusive access. */
BOOLEAN NTAPI
ExAcquireSharedStarveExclusive(PERESOURCE Resource, BOOLEAN Wait)
{
    return acquire_shared(Resource, Wait, SHARED_STARVE_EXCLUSIVE);
}

/* After all who wait for exclusive access, even if the caller has shared access
 * already. */
BOOLEAN NTAPI
ExAcquireSharedWaitForExclusive(PERESOURCE Resource, BOOLEAN Wait)
{
    return acquire_shared(Resource, Wait, SHARED_WAIT_FOR_EXCLUSIVE);
}

/* --- release -------------------------------------------------------------- */

/* Shared access for all who waited for it, whoever else waits. */
VOID NTAPI
ExConvertExclusiveToSharedLite(PERESOURCE Resource)
{
    KIRQL irql = KeAcquireSpinLockRaiseToDpc(&Resource->SpinLock);

    KE_RULE(is_exclusive(Resource) && entry_of_locked(Resource, self()) != NULL,
            "ExConvertExclusiveToSharedLite: the caller has exclusive access");
    Resource->Flag &= (USHORT) ~ResourceOwnedExclusive;
    grant_all_shared_locked(Resource);
    KeReleaseSpinLock(&Resource->SpinLock, irql);
}

VOID NTAPI
ExReleaseResourceForThreadLite(PERESOURCE Resource,
                               ERESOURCE_THREAD ResourceThreadId)
{
    KIRQL irql = KeAcquireSpinLockRaiseToDpc(&Resource->SpinLock);
    POWNER_ENTRY entry = NULL;
    bool exclusive = is_exclusive(Resource);

    if (ResourceThreadId != 0)
        entry = entry_of_locked(Resource, ResourceThreadId);
    if (entry == NULL)
        KeBugCheckEx(RESOURCE_NOT_OWNED, (ULONG_PTR) Resource, ResourceThreadId,
                     (ULONG_PTR) Resource->OwnerTable, 3);
    /* cppcheck-suppress nullPointer ; the bug check does not return */
    if (entry->OwnerCount > 1) {
        entry->OwnerCount--;
    } else {
        disown_locked(Resource, entry);
        if (Resource->ActiveEntries == 0) {
            Resource->Flag &= (USHORT) ~ResourceOwnedExclusive;
            if (exclusive && Resource->NumberOfSharedWaiters != 0)
                grant_all_shared_locked(Resource);
            else if (Resource->NumberOfExclusiveWaiters != 0)
                grant_exclusive_locked(Resource);
            else
                grant_all_shared_locked(Resource);
        }
    }
    KeReleaseSpinLock(&Resource->SpinLock, irql);
}

VOID FASTCALL
ExReleaseResourceLite(PERESOURCE Resource)
{
    ExReleaseResourceForThreadLite(Resource, self());
}

/* The caller's access becomes the pointer's; it is released with
 * ExReleaseResourceForThreadLite and that pointer. */
VOID NTAPI
ExSetResourceOwnerPointer(PERESOURCE Resource, PVOID OwnerPointer)
{
    KIRQL irql = KeAcquireSpinLockRaiseToDpc(&Resource->SpinLock);
    POWNER_ENTRY mine = entry_of_locked(Resource, self());
    POWNER_ENTRY other =
        entry_of_locked(Resource, (ERESOURCE_THREAD) OwnerPointer);

    KE_RULE(((ULONG_PTR) OwnerPointer & 3) == 3,
            "ExSetResourceOwnerPointer: a pointer with both low bits set");
    KE_RULE(mine != NULL, "ExSetResourceOwnerPointer: the caller has access");
    if (mine != NULL && other != NULL) {
        other->OwnerCount += mine->OwnerCount;
        disown_locked(Resource, mine);
    } else if (mine != NULL) {
        mine->OwnerThread = (ERESOURCE_THREAD) OwnerPointer;
    }
    KeReleaseSpinLock(&Resource->SpinLock, irql);
}

/* --- questions ------------------------------------------------------------ */

static ULONG
count_of_caller(PERESOURCE resource, bool only_exclusive)
{
    KIRQL irql = KeAcquireSpinLockRaiseToDpc(&resource->SpinLock);
    POWNER_ENTRY mine = entry_of_locked(resource, self());
    ULONG count = mine == NULL ? 0 : mine->OwnerCount;

    if (only_exclusive && !is_exclusive(resource))
        count = 0;
    KeReleaseSpinLock(&resource->SpinLock, irql);
    return count;
}

BOOLEAN NTAPI
ExIsResourceAcquiredExclusiveLite(PERESOURCE Resource)
{
    return count_of_caller(Resource, true) != 0;
}

ULONG NTAPI
ExIsResourceAcquiredSharedLite(PERESOURCE Resource)
{
    return count_of_caller(Resource, false);
}

static ULONG
read_locked(PERESOURCE resource, const ULONG *field)
{
    KIRQL irql = KeAcquireSpinLockRaiseToDpc(&resource->SpinLock);
    ULONG value = *field;

    KeReleaseSpinLock(&resource->SpinLock, irql);
    return value;
}

ULONG NTAPI
ExGetExclusiveWaiterCount(PERESOURCE Resource)
{
    return read_locked(Resource, &Resource->NumberOfExclusiveWaiters);
}

ULONG NTAPI
ExGetSharedWaiterCount(PERESOURCE Resource)
{
    return read_locked(Resource, &Resource->NumberOfSharedWaiters);
}

/* --- with the critical region --------------------------------------------- */

/* The value returned means nothing (NT: the thread's Win32 record). */
PVOID NTAPI
ExEnterCriticalRegionAndAcquireResourceExclusive(PERESOURCE Resource)
{
    KeEnterCriticalRegion();
    ExAcquireResourceExclusiveLite(Resource, TRUE);
    return NULL;
}

PVOID NTAPI
ExEnterCriticalRegionAndAcquireResourceShared(PERESOURCE Resource)
{
    KeEnterCriticalRegion();
    ExAcquireResourceSharedLite(Resource, TRUE);
    return NULL;
}

PVOID NTAPI
ExEnterCriticalRegionAndAcquireSharedWaitForExclusive(PERESOURCE Resource)
{
    KeEnterCriticalRegion();
    ExAcquireSharedWaitForExclusive(Resource, TRUE);
    return NULL;
}

VOID FASTCALL
ExReleaseResourceAndLeaveCriticalRegion(PERESOURCE Resource)
{
    ExReleaseResourceLite(Resource);
    KeLeaveCriticalRegion();
}
