/*
 * pnp.c - devices started, removed, and reported by a bus
 *
 * PASSIVE, waits.  One caller at a time for one device; a removal that comes
 * twice is done once.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include "base/status.h"

/* --- requests ------------------------------------------------------------ */

static NTSTATUS
send_pnp(PDEVICE_OBJECT device, UCHAR minor, DEVICE_RELATION_TYPE relation,
         ULONG_PTR *out_information)
{
    PDEVICE_OBJECT top = IoGetAttachedDeviceReference(device);
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    struct io_sync sync;
    PIRP irp = io_sync_irp(top, &sync);

    if (irp != NULL) {
        PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);

        /* What a PnP IRP says until a driver knows better. */
        irp->IoStatus.Status = STATUS_NOT_SUPPORTED;
        next->MajorFunction = IRP_MJ_PNP;
        next->MinorFunction = minor;
        if (minor == IRP_MN_QUERY_DEVICE_RELATIONS)
            next->Parameters.QueryDeviceRelations.Type = relation;
        status = io_sync_call(top, irp, &sync, out_information);
    }
    TRACE(TRACE_PNP, "dev=%p minor=%02x: %s", (void *) device, minor,
          status_name(status));
    ObDereferenceObject(top);
    return status;
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

/* --- start and removal --------------------------------------------------- */

NTSTATUS
io_start_device(PDRIVER_OBJECT driver, PDEVICE_OBJECT pdo)
{
    NTSTATUS status;

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
    status = send_pnp(pdo, IRP_MN_START_DEVICE, 0, NULL);
    if (!NT_SUCCESS(status))
        send_pnp(pdo, IRP_MN_REMOVE_DEVICE, 0, NULL);
    return status;
}

NTSTATUS
io_remove_device(PDEVICE_OBJECT pdo)
{
    NTSTATUS status;

    ObReferenceObject(pdo);
    set_remove_pending(pdo, true);
    status = send_pnp(pdo, IRP_MN_QUERY_REMOVE_DEVICE, 0, NULL);
    if (!NT_SUCCESS(status) && status != STATUS_NOT_SUPPORTED) {
        send_pnp(pdo, IRP_MN_CANCEL_REMOVE_DEVICE, 0, NULL);
        set_remove_pending(pdo, false);
    } else {
        status = STATUS_NO_SUCH_DEVICE;
        if (claim_removal(pdo)) {
            set_removed(pdo, true);
            status = send_pnp(pdo, IRP_MN_REMOVE_DEVICE, 0, NULL);
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
        send_pnp(pdo, IRP_MN_SURPRISE_REMOVAL, 0, NULL);
        status = send_pnp(pdo, IRP_MN_REMOVE_DEVICE, 0, NULL);
    }
    ObDereferenceObject(pdo);
    return status;
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
    PDEVICE_OBJECT bus; /* holds a reference */
};

static KMUTEX one_at_a_time;

__attribute__((constructor)) static void
init_mutex(void)
{
    KeInitializeMutex(&one_at_a_time, 0);
}

static VOID NTAPI
query_bus(PVOID parameter)
{
    struct invalidation *invalidation = parameter;
    PDEVICE_OBJECT bus = invalidation->bus;
    ULONG_PTR relations = 0;
    NTSTATUS status;

    ExFreePoolWithTag(invalidation, IO_TAG_NOTE);
    KeWaitForSingleObject(&one_at_a_time, Executive, KernelMode, FALSE, NULL);
    status =
        send_pnp(bus, IRP_MN_QUERY_DEVICE_RELATIONS, BusRelations, &relations);
    if (NT_SUCCESS(status) && relations != 0)
        compare_children(io_devext(bus), (PDEVICE_RELATIONS) relations);
    KeReleaseMutex(&one_at_a_time, FALSE);
    ObDereferenceObject(bus);
}

/* <= DISPATCH.  Other relations than the bus's mean nothing here. */
VOID NTAPI
IoInvalidateDeviceRelations(PDEVICE_OBJECT DeviceObject,
                            DEVICE_RELATION_TYPE Type)
{
    struct invalidation *invalidation;

    if (Type != BusRelations)
        return;
    invalidation =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *invalidation, IO_TAG_NOTE);
    if (invalidation == NULL) {
        TRACE(TRACE_PNP, "bus=%p: no memory to look again",
              (void *) DeviceObject);
        return;
    }
    ObReferenceObject(DeviceObject);
    invalidation->bus = DeviceObject;
    ExInitializeWorkItem(&invalidation->work, query_bus, invalidation);
    ExQueueWorkItem(&invalidation->work, DelayedWorkQueue);
}
