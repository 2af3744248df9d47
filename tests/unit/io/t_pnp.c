/*
 * Tests for src/io/{pnp,notify}.c: devices started and removed, media events.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include <string.h>

#include "../rest.h"

static PDRIVER_OBJECT bus_driver, function_driver;
static PDEVICE_OBJECT pdo, fdo;

static struct {
    UCHAR minors[16];
    LONG count; /* atomic */
    NTSTATUS start, query, add;
} pnp;

static PDEVICE_OBJECT children[4];
static ULONG child_count;

/* --- a bus driver and a function driver ---------------------------------- */

static NTSTATUS
answer_relations(PIRP irp)
{
    PDEVICE_RELATIONS relations = ExAllocatePoolWithTag(
        PagedPool, sizeof *relations + sizeof children, 'tseT');

    relations->Count = child_count;
    for (ULONG i = 0; i < child_count; i++) {
        ObReferenceObject(children[i]);
        relations->Objects[i] = children[i];
    }
    return complete_irp(irp, STATUS_SUCCESS, (ULONG_PTR) relations);
}

static NTSTATUS NTAPI
bus_pnp(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);

    UNREFERENCED_PARAMETER(DeviceObject);
    if (location->MinorFunction == IRP_MN_QUERY_DEVICE_RELATIONS)
        return answer_relations(Irp);
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI
function_pnp(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);
    UCHAR minor = location->MinorFunction;
    PDEVICE_OBJECT lower = *(PDEVICE_OBJECT *) DeviceObject->DeviceExtension;
    NTSTATUS status;

    assert_int_equal(Irp->IoStatus.Status, STATUS_NOT_SUPPORTED);
    /* Questions are the other test's business. */
    if (minor != IRP_MN_QUERY_CAPABILITIES &&
        minor != IRP_MN_QUERY_PNP_DEVICE_STATE) {
        pnp.minors[pnp.count] = minor;
        InterlockedIncrement(&pnp.count);
    }
    if (minor == IRP_MN_START_DEVICE && !NT_SUCCESS(pnp.start))
        return complete_irp(Irp, pnp.start, 0);
    if (minor == IRP_MN_QUERY_REMOVE_DEVICE) {
        assert_true(fdo->Vpb->Flags & VPB_REMOVE_PENDING);
        if (!NT_SUCCESS(pnp.query))
            return complete_irp(Irp, pnp.query, 0);
    }
    IoSkipCurrentIrpStackLocation(Irp);
    status = IoCallDriver(lower, Irp);
    if (minor == IRP_MN_REMOVE_DEVICE) {
        IoDetachDevice(lower);
        IoDeleteDevice(DeviceObject);
        fdo = NULL;
    }
    return status;
}

static NTSTATUS NTAPI
succeed(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI
add_device(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    if (!NT_SUCCESS(pnp.add))
        return pnp.add;
    fdo = new_device(DriverObject, FILE_DEVICE_DISK, sizeof(PDEVICE_OBJECT),
                     NULL);
    *(PDEVICE_OBJECT *) fdo->DeviceExtension =
        IoAttachDeviceToDeviceStack(fdo, PhysicalDeviceObject);
    assert_non_null(*(PDEVICE_OBJECT *) fdo->DeviceExtension);
    return STATUS_SUCCESS;
}

static int
each(void **state)
{
    (void) state;
    memset(&pnp, 0, sizeof pnp);
    pdo = new_device(bus_driver, FILE_DEVICE_MASS_STORAGE, 0, NULL);
    /* As a bus driver that forgets it. */
    pdo->Flags |= DO_DEVICE_INITIALIZING;
    return 0;
}

static int
each_end(void **state)
{
    (void) state;
    assert_null(fdo);
    IoDeleteDevice(pdo);
    return 0;
}

/* --- start and removal --------------------------------------------------- */

static void
start_and_remove__in_order(void **state)
{
    PFILE_OBJECT file;

    (void) state;
    assert_int_equal(io_start_device(function_driver, pdo), STATUS_SUCCESS);
    assert_int_equal(io_open_device(fdo, FILE_READ_ATTRIBUTES, &file),
                     STATUS_SUCCESS);
    io_close_file(file);
    assert_int_equal(io_remove_device(pdo), STATUS_SUCCESS);
    assert_int_equal(pnp.count, 3);
    assert_int_equal(pnp.minors[0], IRP_MN_START_DEVICE);
    assert_int_equal(pnp.minors[1], IRP_MN_QUERY_REMOVE_DEVICE);
    assert_int_equal(pnp.minors[2], IRP_MN_REMOVE_DEVICE);
    /* Again, on the same PDO. */
    assert_int_equal(io_start_device(function_driver, pdo), STATUS_SUCCESS);
    assert_int_equal(io_remove_device(pdo), STATUS_SUCCESS);
}

static void
remove__refused__cancelled(void **state)
{
    (void) state;
    io_start_device(function_driver, pdo);
    pnp.query = STATUS_DEVICE_BUSY;
    assert_int_equal(io_remove_device(pdo), STATUS_DEVICE_BUSY);
    assert_int_equal(pnp.minors[2], IRP_MN_CANCEL_REMOVE_DEVICE);
    assert_false(fdo->Vpb->Flags & VPB_REMOVE_PENDING);
    pnp.query = STATUS_SUCCESS;
    assert_int_equal(io_remove_device(pdo), STATUS_SUCCESS);
}

static void
surprise__once(void **state)
{
    PDEVICE_OBJECT top;
    PFILE_OBJECT file;

    (void) state;
    io_start_device(function_driver, pdo);
    top = fdo;
    ObReferenceObject(top);
    assert_int_equal(io_surprise_remove_device(pdo), STATUS_SUCCESS);
    assert_int_equal(pnp.minors[1], IRP_MN_SURPRISE_REMOVAL);
    assert_int_equal(pnp.minors[2], IRP_MN_REMOVE_DEVICE);
    assert_int_equal(io_open_device(top, FILE_READ_ATTRIBUTES, &file),
                     STATUS_NO_SUCH_DEVICE);
    assert_int_equal(io_surprise_remove_device(pdo), STATUS_NO_SUCH_DEVICE);
    assert_int_equal(pnp.count, 3);
    ObDereferenceObject(top);
}

static BOOLEAN raw_ok;
static int raw_starts;

static NTSTATUS NTAPI
raw_device(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);

    UNREFERENCED_PARAMETER(DeviceObject);
    if (location->MinorFunction == IRP_MN_QUERY_CAPABILITIES)
        location->Parameters.DeviceCapabilities.Capabilities->RawDeviceOK =
            raw_ok;
    if (location->MinorFunction == IRP_MN_START_DEVICE)
        raw_starts++;
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static void
start__without_a_driver__only_if_the_device_can_be_used_raw(void **state)
{
    PDRIVER_DISPATCH before = bus_driver->MajorFunction[IRP_MJ_PNP];

    (void) state;
    bus_driver->MajorFunction[IRP_MJ_PNP] = raw_device;
    raw_starts = 0;
    raw_ok = FALSE;
    assert_int_equal(io_start_device(NULL, pdo), STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(raw_starts, 0);
    raw_ok = TRUE;
    assert_int_equal(io_start_device(NULL, pdo), STATUS_SUCCESS);
    assert_int_equal(raw_starts, 1);
    assert_int_equal(io_surprise_remove_device(pdo), STATUS_SUCCESS);
    bus_driver->MajorFunction[IRP_MJ_PNP] = before;
}

/* The page of IRP_MN_SURPRISE_REMOVAL: the remove IRP comes once all files are
 * closed. */
static void
surprise__with_open_files__removed_when_the_last_is_closed(void **state)
{
    PFILE_OBJECT first, second;

    (void) state;
    io_start_device(function_driver, pdo);
    assert_int_equal(io_open_device(fdo, FILE_READ_ATTRIBUTES, &first),
                     STATUS_SUCCESS);
    assert_int_equal(io_open_device(pdo, FILE_READ_ATTRIBUTES, &second),
                     STATUS_SUCCESS);
    assert_int_equal(io_surprise_remove_device(pdo), STATUS_SUCCESS);
    assert_int_equal(pnp.count, 2);
    assert_int_equal(pnp.minors[1], IRP_MN_SURPRISE_REMOVAL);
    io_close_file(first);
    assert_int_equal(pnp.count, 2);
    assert_int_equal(io_surprise_remove_device(pdo), STATUS_NO_SUCH_DEVICE);
    io_close_file(second);
    assert_int_equal(pnp.count, 3);
    assert_int_equal(pnp.minors[2], IRP_MN_REMOVE_DEVICE);
}

static void
start__fails__removed(void **state)
{
    (void) state;
    pnp.start = STATUS_DEVICE_NOT_CONNECTED;
    assert_int_equal(io_start_device(function_driver, pdo),
                     STATUS_DEVICE_NOT_CONNECTED);
    assert_int_equal(pnp.minors[1], IRP_MN_REMOVE_DEVICE);
    assert_null(fdo);
    pnp.add = STATUS_INSUFFICIENT_RESOURCES;
    assert_int_equal(io_start_device(function_driver, pdo),
                     STATUS_INSUFFICIENT_RESOURCES);
    assert_int_equal(io_start_device(bus_driver, pdo),
                     STATUS_INVALID_DEVICE_REQUEST);
}

/* --- notifications ------------------------------------------------------- */

#define EVENTS 500

static const GUID event_guid = {
    0x12345678,
    1,
    2,
    { 3, 4, 5, 6, 7, 8, 9, 10 },
};

struct listener {
    PVOID entry;
    PFILE_OBJECT file;
    LONG count;
    bool unregister;
    UCHAR last;
};

static LONG all_done;

static NTSTATUS NTAPI
on_event(PVOID NotificationStructure, PVOID Context)
{
    PTARGET_DEVICE_CUSTOM_NOTIFICATION note = NotificationStructure;
    struct listener *listener = Context;

    assert_int_equal(KeGetCurrentIrql(), PASSIVE_LEVEL);
    assert_true(IsEqualGUID(&note->Event, &event_guid));
    assert_ptr_equal(note->FileObject, listener->file);
    assert_int_equal(note->CustomDataBuffer[0], (UCHAR) (listener->last + 1));
    listener->last = note->CustomDataBuffer[0];
    if (listener->unregister)
        IoUnregisterPlugPlayNotification(listener->entry);
    __atomic_add_fetch(&listener->count, 1, __ATOMIC_RELEASE);
    return STATUS_SUCCESS;
}

static void NTAPI
on_done(PVOID Context)
{
    InterlockedIncrement(Context);
}

static void
report(UCHAR value)
{
    TARGET_DEVICE_CUSTOM_NOTIFICATION note = {
        .Version = 1,
        .Size = sizeof note,
        .Event = event_guid,
        .NameBufferOffset = -1,
    };
    KIRQL irql;

    note.CustomDataBuffer[0] = value;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    assert_int_equal(
        IoReportTargetDeviceChangeAsynchronous(fdo, &note, on_done, &all_done),
        STATUS_PENDING);
    KeLowerIrql(irql);
}

static void
listen(struct listener *listener)
{
    memset(listener, 0, sizeof *listener);
    assert_int_equal(io_open_device(fdo, FILE_READ_ATTRIBUTES, &listener->file),
                     STATUS_SUCCESS);
    assert_int_equal(IoRegisterPlugPlayNotification(
                         EventCategoryTargetDeviceChange, 0, listener->file,
                         function_driver, on_event, listener, &listener->entry),
                     STATUS_SUCCESS);
}

static void
notifications__in_order__to_all__until_unregistered(void **state)
{
    struct listener first, second, third;

    (void) state;
    all_done = 0;
    io_start_device(function_driver, pdo);
    listen(&first);
    listen(&second);
    listen(&third);
    second.unregister = true;
    for (int i = 1; i <= EVENTS; i++)
        report((UCHAR) i);
    wait_for_value(&all_done, EVENTS);
    assert_int_equal(first.count, EVENTS);
    assert_int_equal(second.count, 1);
    assert_int_equal(third.count, EVENTS);

    report((UCHAR) (EVENTS + 1));
    IoUnregisterPlugPlayNotification(third.entry);
    wait_for_value(&all_done, EVENTS + 1);
    assert_int_equal(first.count, EVENTS + 1);
    IoUnregisterPlugPlayNotification(first.entry);
    io_close_file(first.file);
    io_close_file(second.file);
    io_close_file(third.file);
    io_remove_device(pdo);
}

static void
notifications__bad_ones__refused(void **state)
{
    TARGET_DEVICE_CUSTOM_NOTIFICATION note = { .Size = 4 };
    PVOID entry;

    (void) state;
    assert_int_equal(
        IoReportTargetDeviceChangeAsynchronous(pdo, &note, NULL, NULL),
        STATUS_INVALID_PARAMETER);
    assert_int_equal(
        IoRegisterPlugPlayNotification(EventCategoryTargetDeviceChange, 0, NULL,
                                       NULL, on_event, NULL, &entry),
        STATUS_INVALID_PARAMETER);
    assert_int_equal(
        IoRegisterPlugPlayNotification(EventCategoryDeviceInterfaceChange, 0,
                                       NULL, NULL, on_event, NULL, &entry),
        STATUS_INVALID_PARAMETER);
    assert_int_equal(
        IoRegisterPlugPlayNotification(EventCategoryHardwareProfileChange, 0,
                                       NULL, NULL, on_event, NULL, &entry),
        STATUS_NOT_SUPPORTED);
}

/* --- what a bus reports -------------------------------------------------- */

static LONG arrivals;

static void
arrived(void *ctx, PDEVICE_OBJECT device)
{
    assert_ptr_equal(ctx, &arrivals);
    assert_ptr_equal(device, children[arrivals]);
    if (arrivals == 0)
        io_start_device(function_driver, device);
    InterlockedIncrement(&arrivals);
}

static void
bus_relations__new_ones_announced__missing_ones_removed(void **state)
{
    PDEVICE_OBJECT gone;

    (void) state;
    arrivals = 0;
    for (int i = 0; i < 2; i++)
        children[i] = new_device(bus_driver, FILE_DEVICE_MASS_STORAGE, 0, NULL);
    io_set_arrival_hook(arrived, &arrivals);
    child_count = 2;
    IoInvalidateDeviceRelations(pdo, BusRelations);
    wait_for_value(&arrivals, 2);
    assert_non_null(fdo);
    gone = children[0];
    children[0] = children[1];
    child_count = 1;
    IoInvalidateDeviceRelations(pdo, PowerRelations);
    IoInvalidateDeviceRelations(pdo, BusRelations);
    rest();
    assert_int_equal(pnp.count, 3);
    assert_int_equal(pnp.minors[1], IRP_MN_SURPRISE_REMOVAL);
    child_count = 0;
    IoInvalidateDeviceRelations(pdo, BusRelations);
    rest();
    IoDeleteDevice(gone);
    IoDeleteDevice(children[0]);
    io_set_arrival_hook(NULL, NULL);
}

static int
setup(void **state)
{
    io_setup(state);
    bus_driver = new_driver("bus");
    bus_driver->MajorFunction[IRP_MJ_PNP] = bus_pnp;
    function_driver = new_driver("function");
    function_driver->MajorFunction[IRP_MJ_PNP] = function_pnp;
    function_driver->MajorFunction[IRP_MJ_CREATE] = succeed;
    function_driver->MajorFunction[IRP_MJ_CLEANUP] = succeed;
    function_driver->MajorFunction[IRP_MJ_CLOSE] = succeed;
    function_driver->DriverExtension->AddDevice = add_device;
    return 0;
}

static int
teardown(void **state)
{
    io_unload_driver(bus_driver);
    io_unload_driver(function_driver);
    return io_teardown(state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, each, each_end)
        T(start_and_remove__in_order),
        T(remove__refused__cancelled),
        T(surprise__once),
        T(surprise__with_open_files__removed_when_the_last_is_closed),
        T(start__without_a_driver__only_if_the_device_can_be_used_raw),
        T(start__fails__removed),
        T(notifications__in_order__to_all__until_unregistered),
        T(notifications__bad_ones__refused),
        T(bus_relations__new_ones_announced__missing_ones_removed),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
