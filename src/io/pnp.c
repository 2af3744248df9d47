/*
 * pnp.c - devices started, removed, and reported by a bus
 *
 * PASSIVE, waits.  One caller at a time for one device; a removal that comes
 * twice is done once.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include <wdmguid.h>

#include "base/status.h"

/* --- requests ------------------------------------------------------------ */

NTSTATUS
io_send_pnp(PDEVICE_OBJECT device, UCHAR minor, io_pnp_fill_fn *fill,
            const void *context, ULONG_PTR *out_information)
{
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    struct io_sync sync;
    PIRP irp = io_sync_irp(device, &sync);

    if (irp != NULL) {
        PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);

        /* What a PnP IRP says until a driver knows better. */
        irp->IoStatus.Status = STATUS_NOT_SUPPORTED;
        next->MajorFunction = IRP_MJ_PNP;
        next->MinorFunction = minor;
        if (fill != NULL)
            fill(next, context);
        status = io_sync_call(device, irp, &sync, out_information);
    }
    TRACE(TRACE_PNP, "dev=%p minor=%02x: %s", (void *) device, minor,
          status_name(status));
    return status;
}

static void
fill_relation(PIO_STACK_LOCATION next, const void *context)
{
    next->Parameters.QueryDeviceRelations.Type =
        *(const DEVICE_RELATION_TYPE *) context;
}

/* To the top of the stack. */
static NTSTATUS
send_pnp(PDEVICE_OBJECT device, UCHAR minor, ULONG_PTR *out_information)
{
    const DEVICE_RELATION_TYPE relation = BusRelations;
    PDEVICE_OBJECT top = IoGetAttachedDeviceReference(device);
    NTSTATUS status = io_send_pnp(
        top, minor,
        minor == IRP_MN_QUERY_DEVICE_RELATIONS ? fill_relation : NULL,
        &relation, out_information);

    ObDereferenceObject(top);
    return status;
}

/* --- stacks that were started -------------------------------------------- */

static KSPIN_LOCK started_lock;
static LIST_ENTRY started = { &started, &started };

/* The list holds a reference.  Again: to the end. */
static void
enlist_started(PDEVICE_OBJECT pdo)
{
    PLIST_ENTRY entry = &io_devext(pdo)->started;
    bool known;
    KIRQL irql;

    KeAcquireSpinLock(&started_lock, &irql);
    known = !IsListEmpty(entry);
    if (known)
        RemoveEntryList(entry);
    else
        ObReferenceObject(pdo);
    InsertTailList(&started, entry);
    KeReleaseSpinLock(&started_lock, irql);
}

static void
delist_started(PDEVICE_OBJECT pdo)
{
    PLIST_ENTRY entry = &io_devext(pdo)->started;
    bool known;
    KIRQL irql;

    KeAcquireSpinLock(&started_lock, &irql);
    known = !IsListEmpty(entry);
    RemoveEntryList(entry);
    InitializeListHead(entry);
    KeReleaseSpinLock(&started_lock, irql);
    if (known)
        ObDereferenceObject(pdo);
}

PDEVICE_OBJECT
io_next_started(PDEVICE_OBJECT at, bool backwards)
{
    PDEVICE_OBJECT next = NULL;
    PLIST_ENTRY from, entry;
    KIRQL irql;

    KeAcquireSpinLock(&started_lock, &irql);
    /* One that left the list meanwhile ends the walk. */
    from = at != NULL ? &io_devext(at)->started : &started;
    entry = backwards ? from->Blink : from->Flink;
    if (entry != &started && entry != from) {
        struct io_devext *ext =
            CONTAINING_RECORD(entry, struct io_devext, started);

        next = ext->common.DeviceObject;
        ObReferenceObject(next);
    }
    KeReleaseSpinLock(&started_lock, irql);
    if (at != NULL)
        ObDereferenceObject(at);
    return next;
}

/* --- all devices of a stack ---------------------------------------------- */

static void
set_removed(PDEVICE_OBJECT device, bool removed)
{
    KIRQL irql;

    KeAcquireSpinLock(&io_device_lock, &irql);
    for (; device != NULL; device = device->AttachedDevice)
        io_devext(device)->removed = removed;
    KeReleaseSpinLock(&io_device_lock, irql);
}

static void
set_remove_pending(PDEVICE_OBJECT device, bool pending)
{
    KIRQL irql;

    KeAcquireSpinLock(&io_device_lock, &irql);
    for (; device != NULL; device = device->AttachedDevice) {
        KIRQL unused;

        IoAcquireVpbSpinLock(&unused);
        if (device->Vpb != NULL && pending)
            device->Vpb->Flags |= VPB_REMOVE_PENDING;
        else if (device->Vpb != NULL)
            device->Vpb->Flags &= (USHORT) ~VPB_REMOVE_PENDING;
        IoReleaseVpbSpinLock(unused);
    }
    KeReleaseSpinLock(&io_device_lock, irql);
}

/* False: it is gone already. */
static bool
claim_removal(PDEVICE_OBJECT pdo)
{
    bool first;
    KIRQL irql;

    KeAcquireSpinLock(&io_device_lock, &irql);
    first = !io_devext(pdo)->removed;
    io_devext(pdo)->removed = true;
    KeReleaseSpinLock(&io_device_lock, irql);
    return first;
}

/* --- start, stop --------------------------------------------------------- */

/* A query that nobody answered is not refused. */
static bool
refuses(NTSTATUS status)
{
    return !NT_SUCCESS(status) && status != STATUS_NOT_SUPPORTED;
}

static NTSTATUS
start_stack(PDEVICE_OBJECT pdo)
{
    DEVICE_CAPABILITIES capabilities;
    NTSTATUS status = send_pnp(pdo, IRP_MN_START_DEVICE, NULL);

    if (!NT_SUCCESS(status))
        return status;
    enlist_started(pdo);
    (void) io_query_capabilities(pdo, &capabilities);
    return io_look_at_state(pdo);
}

/* Without a function driver, if the bus driver allows it. */
static NTSTATUS
start_raw(PDEVICE_OBJECT pdo)
{
    DEVICE_CAPABILITIES capabilities;
    NTSTATUS status;

    set_removed(pdo, false);
    set_remove_pending(pdo, false);
    io_device_clear_flags(pdo, DO_DEVICE_INITIALIZING);
    status = io_query_capabilities(pdo, &capabilities);
    if (!NT_SUCCESS(status) || !capabilities.RawDeviceOK)
        return STATUS_INVALID_DEVICE_REQUEST;
    return start_stack(pdo);
}

NTSTATUS
io_start_device(PDRIVER_OBJECT driver, PDEVICE_OBJECT pdo)
{
    NTSTATUS status;

    if (driver == NULL)
        return start_raw(pdo);
    if (driver->DriverExtension->AddDevice == NULL)
        return STATUS_INVALID_DEVICE_REQUEST;
    set_removed(pdo, false);
    set_remove_pending(pdo, false);
    /* A bus driver that forgot would have AddDevice fail without a reason. */
    io_device_clear_flags(pdo, DO_DEVICE_INITIALIZING);
    status = driver->DriverExtension->AddDevice(driver, pdo);
    TRACE(TRACE_PNP, "pdo=%p AddDevice: %s", (void *) pdo, status_name(status));
    if (!NT_SUCCESS(status))
        return status;
    status = start_stack(pdo);
    if (!NT_SUCCESS(status) && !io_device_gone(pdo))
        send_pnp(pdo, IRP_MN_REMOVE_DEVICE, NULL);
    return status;
}

NTSTATUS
io_stop_device(PDEVICE_OBJECT pdo)
{
    NTSTATUS status = send_pnp(pdo, IRP_MN_QUERY_STOP_DEVICE, NULL);

    if (refuses(status)) {
        send_pnp(pdo, IRP_MN_CANCEL_STOP_DEVICE, NULL);
        return status;
    }
    send_pnp(pdo, IRP_MN_STOP_DEVICE, NULL);
    return STATUS_SUCCESS;
}

NTSTATUS
io_restart_device(PDEVICE_OBJECT pdo)
{
    NTSTATUS status = start_stack(pdo);

    if (!NT_SUCCESS(status))
        io_surprise_remove_device(pdo);
    return status;
}

/* --- removal ------------------------------------------------------------- */

static NTSTATUS
finish_removal(PDEVICE_OBJECT pdo)
{
    set_removed(pdo, true);
    delist_started(pdo);
    io_interface_disable_all(pdo, false);
    return send_pnp(pdo, IRP_MN_REMOVE_DEVICE, NULL);
}

static void
cancel_removal(PDEVICE_OBJECT pdo, bool stack_was_asked)
{
    if (stack_was_asked)
        send_pnp(pdo, IRP_MN_CANCEL_REMOVE_DEVICE, NULL);
    io_notify_target(pdo, &GUID_TARGET_DEVICE_REMOVE_CANCELLED);
    set_remove_pending(pdo, false);
}

/* --- a device that is gone, and files that are still open ---------------- */

static bool
has_open_files_locked(PDEVICE_OBJECT pdo)
{
    for (PDEVICE_OBJECT at = pdo; at != NULL; at = at->AttachedDevice)
        if (io_devext(at)->open_files != 0)
            return true;
    return false;
}

/* True: the last close does it. */
static bool
remove_when_closed(PDEVICE_OBJECT pdo)
{
    KIRQL irql;
    bool later;

    KeAcquireSpinLock(&io_device_lock, &irql);
    later = has_open_files_locked(pdo);
    io_devext(pdo)->remove_due = later;
    KeReleaseSpinLock(&io_device_lock, irql);
    if (later) {
        delist_started(pdo);
        io_interface_disable_all(pdo, false);
    }
    return later;
}

void
io_pnp_file_opened(PDEVICE_OBJECT device)
{
    KIRQL irql;

    KeAcquireSpinLock(&io_device_lock, &irql);
    io_devext(device)->open_files++;
    KeReleaseSpinLock(&io_device_lock, irql);
}

/* On the thread of the last close, after its IRP_MJ_CLOSE. */
void
io_pnp_file_closed(PDEVICE_OBJECT device)
{
    PDEVICE_OBJECT pdo = device, below;
    bool due;
    KIRQL irql;

    KeAcquireSpinLock(&io_device_lock, &irql);
    io_devext(device)->open_files--;
    while ((below = io_devext(pdo)->attached_to) != NULL)
        pdo = below;
    due = io_devext(pdo)->remove_due && !has_open_files_locked(pdo);
    if (due) {
        io_devext(pdo)->remove_due = false;
        ObReferenceObject(pdo);
    }
    KeReleaseSpinLock(&io_device_lock, irql);
    if (!due)
        return;
    finish_removal(pdo);
    ObDereferenceObject(pdo);
}

/* Who has a handle and registered is asked first, then the drivers. */
NTSTATUS
io_remove_device(PDEVICE_OBJECT pdo)
{
    NTSTATUS status;

    ObReferenceObject(pdo);
    set_remove_pending(pdo, true);
    status = io_notify_target(pdo, &GUID_TARGET_DEVICE_QUERY_REMOVE);
    if (!NT_SUCCESS(status)) {
        cancel_removal(pdo, false);
    } else if (status = send_pnp(pdo, IRP_MN_QUERY_REMOVE_DEVICE, NULL),
               refuses(status)) {
        cancel_removal(pdo, true);
    } else {
        status = STATUS_NO_SUCH_DEVICE;
        if (claim_removal(pdo)) {
            status = finish_removal(pdo);
            io_notify_target(pdo, &GUID_TARGET_DEVICE_REMOVE_COMPLETE);
        }
    }
    ObDereferenceObject(pdo);
    return status;
}

NTSTATUS
io_surprise_remove_device(PDEVICE_OBJECT pdo)
{
    NTSTATUS status = STATUS_NO_SUCH_DEVICE;

    ObReferenceObject(pdo);
    if (claim_removal(pdo)) {
        set_removed(pdo, true);
        set_remove_pending(pdo, true);
        send_pnp(pdo, IRP_MN_SURPRISE_REMOVAL, NULL);
        io_notify_target(pdo, &GUID_TARGET_DEVICE_REMOVE_COMPLETE);
        status = STATUS_SUCCESS;
        if (!remove_when_closed(pdo))
            status = finish_removal(pdo);
    }
    ObDereferenceObject(pdo);
    return status;
}

/* --- what a stack says of its state -------------------------------------- */

static NTSTATUS
start_again(PDEVICE_OBJECT pdo)
{
    NTSTATUS status = io_stop_device(pdo);

    if (NT_SUCCESS(status))
        status = send_pnp(pdo, IRP_MN_START_DEVICE, NULL);
    if (!NT_SUCCESS(status) && status != STATUS_DEVICE_BUSY)
        io_surprise_remove_device(pdo);
    return status;
}

/* Asks the stack and does what it says: a device that failed or is gone is
 * taken away as if by surprise, one that is disabled in an orderly way. */
NTSTATUS
io_look_at_state(PDEVICE_OBJECT pdo)
{
    ULONG_PTR state = 0;

    if (!NT_SUCCESS(send_pnp(pdo, IRP_MN_QUERY_PNP_DEVICE_STATE, &state)))
        return STATUS_SUCCESS;
    TRACE(TRACE_PNP, "pdo=%p state %#lx", (void *) pdo, (unsigned long) state);
    if (state & PNP_DEVICE_REMOVED) {
        io_surprise_remove_device(pdo);
        return STATUS_NO_SUCH_DEVICE;
    }
    if (state & PNP_DEVICE_RESOURCE_REQUIREMENTS_CHANGED)
        return start_again(pdo);
    if (state & PNP_DEVICE_FAILED) {
        io_surprise_remove_device(pdo);
        return STATUS_DEVICE_DOES_NOT_EXIST;
    }
    if ((state & PNP_DEVICE_DISABLED) && !(state & PNP_DEVICE_NOT_DISABLEABLE))
        return io_remove_device(pdo);
    return STATUS_SUCCESS;
}

/* --- what a bus reports -------------------------------------------------- */

static io_arrival_fn *arrival;
static void *arrival_ctx;

void
io_set_arrival_hook(io_arrival_fn *fn, void *ctx)
{
    arrival_ctx = ctx;
    arrival = fn;
}

static bool
contains(PDEVICE_RELATIONS relations, PDEVICE_OBJECT device)
{
    for (ULONG i = 0; relations != NULL && i < relations->Count; i++)
        if (relations->Objects[i] == device)
            return true;
    return false;
}

/* Keeps the references that the bus driver put on the new ones. */
static void
compare_children(struct io_devext *bus, PDEVICE_RELATIONS now)
{
    PDEVICE_RELATIONS before = bus->children;

    bus->children = now;
    for (ULONG i = 0; before != NULL && i < before->Count; i++) {
        if (!contains(now, before->Objects[i]))
            io_surprise_remove_device(before->Objects[i]);
    }
    for (ULONG i = 0; i < now->Count; i++)
        if (!contains(before, now->Objects[i]) && arrival != NULL)
            arrival(arrival_ctx, now->Objects[i]);
    for (ULONG i = 0; before != NULL && i < before->Count; i++)
        ObDereferenceObject(before->Objects[i]);
    if (before != NULL)
        ExFreePool(before);
}

struct invalidation {
    WORK_QUEUE_ITEM work;
    PDEVICE_OBJECT device; /* holds a reference */
    bool state;            /* what is looked at: its state, or its bus */
};

static KMUTEX one_at_a_time;

__attribute__((constructor)) static void
init_mutex(void)
{
    KeInitializeMutex(&one_at_a_time, 0);
}

/* Under one_at_a_time. */
static void
look_at_bus(PDEVICE_OBJECT bus)
{
    ULONG_PTR relations = 0;
    NTSTATUS status = send_pnp(bus, IRP_MN_QUERY_DEVICE_RELATIONS, &relations);

    if (NT_SUCCESS(status) && relations != 0)
        compare_children(io_devext(bus), (PDEVICE_RELATIONS) relations);
}

static VOID NTAPI
look_again(PVOID parameter)
{
    struct invalidation *invalidation = parameter;
    PDEVICE_OBJECT device = invalidation->device;
    bool state = invalidation->state;

    ExFreePoolWithTag(invalidation, IO_TAG_NOTE);
    KeWaitForSingleObject(&one_at_a_time, Executive, KernelMode, FALSE, NULL);
    if (!state)
        look_at_bus(device);
    else if (!io_device_gone(device))
        (void) io_look_at_state(device);
    KeReleaseMutex(&one_at_a_time, FALSE);
    ObDereferenceObject(device);
}

static void
invalidate(PDEVICE_OBJECT device, bool state)
{
    struct invalidation *invalidation =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *invalidation, IO_TAG_NOTE);

    if (invalidation == NULL) {
        TRACE(TRACE_PNP, "dev=%p: no memory to look again", (void *) device);
        return;
    }
    ObReferenceObject(device);
    invalidation->device = device;
    invalidation->state = state;
    ExInitializeWorkItem(&invalidation->work, look_again, invalidation);
    ExQueueWorkItem(&invalidation->work, DelayedWorkQueue);
}

/* <= DISPATCH.  Other relations than the bus's mean nothing here. */
VOID NTAPI
IoInvalidateDeviceRelations(PDEVICE_OBJECT DeviceObject,
                            DEVICE_RELATION_TYPE Type)
{
    if (Type == BusRelations)
        invalidate(DeviceObject, false);
}

/* <= DISPATCH */
VOID NTAPI
IoInvalidateDeviceState(PDEVICE_OBJECT PhysicalDeviceObject)
{
    invalidate(PhysicalDeviceObject, true);
}
