/*
 * pool.c - requests, kept for use again
 *
 * A slot per thread, more or less, holds one; a list under a lock holds the
 * rest.  They belong to no drive, so a thousand idle drives cost none.
 * <= DISPATCH.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

#define SLOTS 64

static struct {
    struct class_request *one; /* atomic */
    char pad[64 - sizeof(void *)];
} slots[SLOTS] __attribute__((aligned(64)));
static KSPIN_LOCK spare_lock;
static LIST_ENTRY spare = { &spare, &spare };

static struct class_request **
my_slot(void)
{
    /* Identifiers of threads are multiples of four, given one by one. */
    return &slots[(ULONG_PTR) PsGetCurrentThreadId() / 4 % SLOTS].one;
}

static struct class_request *NTAPI __attribute__((noinline, cold))
request_make(VOID)
{
    struct class_request *request = NULL;
    KIRQL irql;

    KeAcquireSpinLock(&spare_lock, &irql);
    if (!IsListEmpty(&spare))
        request = CONTAINING_RECORD(RemoveHeadList(&spare),
                                    struct class_request, entry);
    KeReleaseSpinLock(&spare_lock, irql);
    if (request != NULL)
        return request;
    request = ExAllocatePoolWithTag(NonPagedPool, sizeof *request, CLASS_TAG);
    if (request == NULL)
        return NULL;
    KeInitializeTimer(&request->timer);
    KeInitializeDpc(&request->dpc, class_wait_expired, request);
    ExInitializeWorkItem(&request->work, class_go_on, request);
    return request;
}

static VOID NTAPI
request_drop(struct class_request *request)
{
    KIRQL irql;

    request = __atomic_exchange_n(my_slot(), request, __ATOMIC_ACQ_REL);
    if (request == NULL)
        return;
    KeAcquireSpinLock(&spare_lock, &irql);
    InsertHeadList(&spare, &request->entry);
    KeReleaseSpinLock(&spare_lock, irql);
}

/* A driver goes: nothing is kept for it.  Others take new ones. */
VOID NTAPI
class_requests_drain(VOID)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct class_request *request =
            __atomic_exchange_n(&slots[i].one, NULL, __ATOMIC_ACQ_REL);

        if (request != NULL)
            ExFreePoolWithTag(request, CLASS_TAG);
    }
    for (;;) {
        PLIST_ENTRY entry = ExInterlockedRemoveHeadList(&spare, &spare_lock);

        if (entry == NULL)
            return;
        ExFreePoolWithTag(CONTAINING_RECORD(entry, struct class_request, entry),
                          CLASS_TAG);
    }
}

static BOOLEAN NTAPI __attribute__((noinline))
request_own_irp(struct class_request *request)
{
    class_device *dev = request->dev;

    if (ClassAcquireRemoveLock(dev->fdo, (PIRP) request) != NO_REMOVE) {
        ClassReleaseRemoveLock(dev->fdo, (PIRP) request);
        return FALSE;
    }
    request->irp = IoAllocateIrp((CCHAR) (dev->lower->StackSize + 1), FALSE);
    if (request->irp == NULL) {
        ClassReleaseRemoveLock(dev->fdo, (PIRP) request);
        return FALSE;
    }
    IoSetNextIrpStackLocation(request->irp);
    IoGetCurrentIrpStackLocation(request->irp)->DeviceObject = dev->fdo;
    request->flags = REQ_OWN_IRP;
    return TRUE;
}

struct class_request *NTAPI
class_request_new(class_device *dev, PIRP irp)
{
    struct class_request *request =
        __atomic_exchange_n(my_slot(), NULL, __ATOMIC_ACQ_REL);

    if (request == NULL)
        request = request_make();
    if (__builtin_expect(request == NULL, 0))
        return NULL;
    RtlZeroMemory(request, offsetof(struct class_request, sense));
    request->dev = dev;
    request->irp = request->original = irp;
    request->retries = CLASS_RETRIES;
    if (irp != NULL) {
        if (IoGetCurrentIrpStackLocation(irp)->Flags &
            SL_OVERRIDE_VERIFY_VOLUME)
            request->flags = REQ_OVERRIDE;
    } else if (!request_own_irp(request)) {
        request_drop(request);
        return NULL;
    }
    return request;
}

/* However it ended: done, failed, refused, cancelled. */
static VOID NTAPI __attribute__((noinline))
free_belongings(struct class_request *request)
{
    if (request->flags & REQ_BUFFER_OWNED)
        ExFreePoolWithTag(request->buffer, CLASS_TAG);
    if (request->flags & REQ_OWNS)
        ExFreePool(request->owned);
}

VOID NTAPI
class_request_free(struct class_request *request)
{
    if (request->flags & (REQ_BUFFER_OWNED | REQ_OWNS))
        free_belongings(request);
    if (request->flags & REQ_OWN_IRP) {
        class_device *dev = request->dev;

        IoFreeIrp(request->irp);
        request_drop(request);
        ClassReleaseRemoveLock(dev->fdo, (PIRP) request);
        return;
    }
    request_drop(request);
}
