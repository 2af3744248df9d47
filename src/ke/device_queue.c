/*
 * device_queue.c - queues that also know whether their device is busy
 *
 * The queue's own spin lock protects it.  Insert fails, and makes the queue
 * busy, when it is not: the caller then starts the request itself.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ke_internal.h"

#define DEVICE_QUEUE_TYPE 20

VOID NTAPI
KeInitializeDeviceQueue(PKDEVICE_QUEUE DeviceQueue)
{
    DeviceQueue->Type = DEVICE_QUEUE_TYPE;
    DeviceQueue->Size = sizeof *DeviceQueue;
    InitializeListHead(&DeviceQueue->DeviceListHead);
    KeInitializeSpinLock(&DeviceQueue->Lock);
    DeviceQueue->Busy = FALSE;
}

static PKDEVICE_QUEUE_ENTRY
entry_of(PLIST_ENTRY entry)
{
    return CONTAINING_RECORD(entry, KDEVICE_QUEUE_ENTRY, DeviceListEntry);
}

/* Makes the queue busy, or has the entry wait after `place`. */
static BOOLEAN
insert_after_locked(PKDEVICE_QUEUE queue, PLIST_ENTRY place,
                    PKDEVICE_QUEUE_ENTRY entry)
{
    entry->Inserted = queue->Busy;
    if (queue->Busy)
        InsertHeadList(place, &entry->DeviceListEntry);
    queue->Busy = TRUE;
    return entry->Inserted;
}

BOOLEAN NTAPI
KeInsertDeviceQueue(PKDEVICE_QUEUE DeviceQueue,
                    PKDEVICE_QUEUE_ENTRY DeviceQueueEntry)
{
    BOOLEAN inserted;

    KE_IRQL(KeInsertDeviceQueue);
    KeAcquireSpinLockAtDpcLevel(&DeviceQueue->Lock);
    inserted = insert_after_locked(
        DeviceQueue, DeviceQueue->DeviceListHead.Blink, DeviceQueueEntry);
    KeReleaseSpinLockFromDpcLevel(&DeviceQueue->Lock);
    return inserted;
}

/* Ascending keys; equal ones in the order in which they came. */
BOOLEAN NTAPI
KeInsertByKeyDeviceQueue(PKDEVICE_QUEUE DeviceQueue,
                         PKDEVICE_QUEUE_ENTRY DeviceQueueEntry, ULONG SortKey)
{
    PLIST_ENTRY place;
    BOOLEAN inserted;

    KE_IRQL(KeInsertByKeyDeviceQueue);
    DeviceQueueEntry->SortKey = SortKey;
    KeAcquireSpinLockAtDpcLevel(&DeviceQueue->Lock);
    place = DeviceQueue->DeviceListHead.Blink;
    while (place != &DeviceQueue->DeviceListHead &&
           entry_of(place)->SortKey > SortKey)
        place = place->Blink;
    inserted = insert_after_locked(DeviceQueue, place, DeviceQueueEntry);
    KeReleaseSpinLockFromDpcLevel(&DeviceQueue->Lock);
    return inserted;
}

/* NULL: nothing waited, and the queue is no longer busy. */
PKDEVICE_QUEUE_ENTRY NTAPI
KeRemoveDeviceQueue(PKDEVICE_QUEUE DeviceQueue)
{
    PKDEVICE_QUEUE_ENTRY entry = NULL;

    KE_IRQL(KeRemoveDeviceQueue);
    KeAcquireSpinLockAtDpcLevel(&DeviceQueue->Lock);
    KE_RULE(DeviceQueue->Busy, "KeRemoveDeviceQueue: the queue is busy");
    if (IsListEmpty(&DeviceQueue->DeviceListHead)) {
        DeviceQueue->Busy = FALSE;
    } else {
        entry = entry_of(RemoveHeadList(&DeviceQueue->DeviceListHead));
        entry->Inserted = FALSE;
    }
    KeReleaseSpinLockFromDpcLevel(&DeviceQueue->Lock);
    return entry;
}

/* The first one whose key is not below SortKey; none: the first of all. */
PKDEVICE_QUEUE_ENTRY NTAPI
KeRemoveByKeyDeviceQueue(PKDEVICE_QUEUE DeviceQueue, ULONG SortKey)
{
    PKDEVICE_QUEUE_ENTRY entry = NULL;
    PLIST_ENTRY head = &DeviceQueue->DeviceListHead, at;

    KE_IRQL(KeRemoveByKeyDeviceQueue);
    KeAcquireSpinLockAtDpcLevel(&DeviceQueue->Lock);
    KE_RULE(DeviceQueue->Busy, "KeRemoveByKeyDeviceQueue: the queue is busy");
    at = head->Flink;
    while (at != head && entry_of(at)->SortKey < SortKey)
        at = at->Flink;
    if (at == head)
        at = head->Flink;
    if (at == head) {
        DeviceQueue->Busy = FALSE;
    } else {
        RemoveEntryList(at);
        entry = entry_of(at);
        entry->Inserted = FALSE;
    }
    KeReleaseSpinLockFromDpcLevel(&DeviceQueue->Lock);
    return entry;
}

/* <= DISPATCH.  FALSE: it was not in the queue. */
BOOLEAN NTAPI
KeRemoveEntryDeviceQueue(PKDEVICE_QUEUE DeviceQueue,
                         PKDEVICE_QUEUE_ENTRY DeviceQueueEntry)
{
    KIRQL irql = KeAcquireSpinLockRaiseToDpc(&DeviceQueue->Lock);
    BOOLEAN was_in = DeviceQueueEntry->Inserted;

    if (was_in) {
        RemoveEntryList(&DeviceQueueEntry->DeviceListEntry);
        DeviceQueueEntry->Inserted = FALSE;
    }
    KeReleaseSpinLock(&DeviceQueue->Lock, irql);
    return was_in;
}
