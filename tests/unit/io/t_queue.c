/*
 * Tests for src/io/{queue,timer,workitem,shutdown}.c: what a device has beside
 * its stack: StartIo, a DPC, a timer, work items, the shutdown.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include <string.h>

#include "base/clock.h"

static PDRIVER_OBJECT driver;
static PDEVICE_OBJECT device;

/* --- StartIo ------------------------------------------------------------- */

static PIRP started[8];
static int start_count, depth, deepest;
static bool complete_inside;
static PULONG start_key;
static PDRIVER_CANCEL start_cancel;

static NTSTATUS NTAPI
dispatch(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    IoMarkIrpPending(Irp);
    IoStartPacket(DeviceObject, Irp, start_key, start_cancel);
    return STATUS_PENDING;
}

static VOID NTAPI
start_io(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    assert_int_equal(KeGetCurrentIrql(), DISPATCH_LEVEL);
    assert_ptr_equal(DeviceObject->CurrentIrp, Irp);
    started[start_count++] = Irp;
    if (++depth > deepest)
        deepest = depth;
    if (complete_inside) {
        complete_irp(Irp, STATUS_SUCCESS, 0);
        IoStartNextPacket(DeviceObject, FALSE);
    }
    depth--;
}

static VOID NTAPI
never(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    fail();
}

static NTSTATUS NTAPI
came_back(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    InterlockedIncrement(Context);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static PIRP
send(LONG *back, PULONG key)
{
    PIRP irp = IoAllocateIrp(1, FALSE);

    assert_non_null(irp);
    start_key = key;
    IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_READ;
    IoSetCompletionRoutine(irp, came_back, back, TRUE, TRUE, TRUE);
    assert_int_equal(IoCallDriver(device, irp), STATUS_PENDING);
    return irp;
}

static void
end_current(void (*next)(void))
{
    KIRQL irql;

    complete_irp(device->CurrentIrp, STATUS_SUCCESS, 0);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    next();
    KeLowerIrql(irql);
}

static void
next_by_key_5(void)
{
    IoStartNextPacketByKey(device, FALSE, 5);
}

static void
next_in_order(void)
{
    IoStartNextPacket(device, TRUE);
}

static int
each(void **state)
{
    (void) state;
    memset(started, 0, sizeof started);
    start_count = depth = deepest = 0;
    complete_inside = false;
    start_key = NULL;
    start_cancel = NULL;
    device = new_device(driver, FILE_DEVICE_UNKNOWN, 0, NULL);
    return 0;
}

static int
each_after(void **state)
{
    (void) state;
    if (device != NULL)
        IoDeleteDevice(device);
    return 0;
}

/* From key 5 upwards; past the highest it begins with the lowest. */
static void
start_next_by_key__from_the_key_upwards_then_the_first(void **state)
{
    ULONG keys[] = { 1, 9, 3, 6 };
    LONG back = 0;
    PIRP irps[5];

    (void) state;
    irps[0] = send(&back, NULL);
    for (int i = 0; i < 4; i++)
        irps[1 + i] = send(&back, &keys[i]);
    assert_int_equal(start_count, 1);
    end_current(next_by_key_5);
    assert_ptr_equal(started[1], irps[4]); /* 6 */
    end_current(next_by_key_5);
    assert_ptr_equal(started[2], irps[2]); /* 9 */
    end_current(next_by_key_5);
    assert_ptr_equal(started[3], irps[1]); /* 1 */
    end_current(next_in_order);
    assert_ptr_equal(started[4], irps[3]); /* 3 */
    end_current(next_in_order);
    assert_null(device->CurrentIrp);
    assert_int_equal(back, 5);
    for (int i = 0; i < 5; i++)
        IoFreeIrp(irps[i]);
}

/* Completed and started again inside StartIo: without the attribute it nests. */
static void
deferred_start_io__never_nested(void **state)
{
    for (int deferred = 0; deferred <= 1; deferred++) {
        LONG back = 0;
        PIRP irps[4];

        each(state);
        IoSetStartIoAttributes(device, (BOOLEAN) deferred, FALSE);
        for (int i = 0; i < 4; i++)
            irps[i] = send(&back, NULL);
        complete_inside = true;
        end_current(next_in_order);
        assert_int_equal(start_count, 4);
        for (int i = 0; i < 4; i++)
            assert_ptr_equal(started[i], irps[i]);
        assert_int_equal(deepest, deferred ? 1 : 3);
        assert_int_equal(back, 4);
        assert_null(device->CurrentIrp);
        for (int i = 0; i < 4; i++)
            IoFreeIrp(irps[i]);
        if (deferred == 0)
            IoDeleteDevice(device);
    }
}

static void
non_cancelable__started_irp_has_no_cancel_routine(void **state)
{
    LONG back = 0;
    PIRP first, second;

    (void) state;
    IoSetStartIoAttributes(device, FALSE, TRUE);
    start_cancel = never;
    first = send(&back, NULL);
    second = send(&back, NULL);
    assert_false(IoCancelIrp(first));
    assert_true(second->CancelRoutine == never);
    end_current(next_in_order);
    assert_ptr_equal(device->CurrentIrp, second);
    assert_false(IoCancelIrp(second));
    end_current(next_in_order);
    assert_int_equal(back, 2);
    IoFreeIrp(first);
    IoFreeIrp(second);
}

/* --- the device's DPC ---------------------------------------------------- */

static LONG dpc_calls;

static VOID NTAPI
device_dpc(PKDPC Dpc, PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    assert_ptr_equal(Dpc, &device->Dpc);
    assert_ptr_equal(DeviceObject, device);
    assert_ptr_equal(Irp, (PIRP) &dpc_calls);
    assert_ptr_equal(Context, &device);
    assert_int_equal(KeGetCurrentIrql(), DISPATCH_LEVEL);
    InterlockedIncrement(&dpc_calls);
}

static void
request_dpc__runs_with_device_irp_and_context(void **state)
{
    (void) state;
    dpc_calls = 0;
    IoInitializeDpcRequest(device, device_dpc);
    IoRequestDpc(device, (PIRP) &dpc_calls, &device);
    KeFlushQueuedDpcs();
    wait_for_value(&dpc_calls, 1);
}

/* --- timers -------------------------------------------------------------- */

static LONG ticks[2];
static PDEVICE_OBJECT second_device;

static VOID NTAPI
tick(PDEVICE_OBJECT DeviceObject, PVOID Context)
{
    assert_int_equal(KeGetCurrentIrql(), DISPATCH_LEVEL);
    assert_ptr_equal(DeviceObject,
                     Context == &ticks[0] ? device : second_device);
    InterlockedIncrement(Context);
}

static void
timer__once_a_second_while_started(void **state)
{
    (void) state;
    clock_manual(true);
    ticks[0] = ticks[1] = 0;
    second_device = new_device(driver, FILE_DEVICE_UNKNOWN, 0, NULL);
    assert_int_equal(IoInitializeTimer(device, tick, &ticks[0]),
                     STATUS_SUCCESS);
    assert_int_equal(IoInitializeTimer(second_device, tick, &ticks[1]),
                     STATUS_SUCCESS);
    clock_advance_ms(3000);
    assert_int_equal(ticks[0], 0);
    IoStartTimer(device);
    clock_advance_ms(999);
    assert_int_equal(ticks[0], 0);
    clock_advance_ms(1);
    assert_int_equal(ticks[0], 1);
    IoStartTimer(second_device);
    for (int i = 0; i < 3; i++)
        clock_advance_ms(1000);
    assert_int_equal(ticks[0], 4);
    assert_int_equal(ticks[1], 3);
    IoStopTimer(device);
    clock_advance_ms(1000);
    assert_int_equal(ticks[0], 4);
    assert_int_equal(ticks[1], 4);
    /* A device that is deleted has its timer stopped. */
    IoDeleteDevice(second_device);
    clock_advance_ms(1000);
    assert_int_equal(ticks[1], 4);
    IoStartTimer(device);
    clock_advance_ms(1000);
    assert_int_equal(ticks[0], 5);
    IoStopTimer(device);
    clock_manual(false);
}

/* --- work items ---------------------------------------------------------- */

static LONG worked;

static VOID NTAPI
work_ex(PVOID IoObject, PVOID Context, PIO_WORKITEM IoWorkItem)
{
    assert_ptr_equal(IoObject, Context);
    assert_int_equal(KeGetCurrentIrql(), PASSIVE_LEVEL);
    /* Its own routine may free it. */
    if (IoObject == driver)
        IoUninitializeWorkItem(IoWorkItem);
    else
        IoFreeWorkItem(IoWorkItem);
    InterlockedIncrement(&worked);
}

static void
work_item_ex__gets_object_context_and_item(void **state)
{
    PIO_WORKITEM own =
        ExAllocatePoolWithTag(NonPagedPool, IoSizeofWorkItem(), 'tseT');

    (void) state;
    worked = 0;
    IoQueueWorkItemEx(IoAllocateWorkItem(device), work_ex, DelayedWorkQueue,
                      device);
    wait_for_value(&worked, 1);
    /* In memory of the driver's own, for the driver itself. */
    IoInitializeWorkItem(driver, own);
    IoQueueWorkItemEx(own, work_ex, CriticalWorkQueue, driver);
    wait_for_value(&worked, 2);
    ExFreePoolWithTag(own, 'tseT');
}

/* --- the shutdown -------------------------------------------------------- */

static PDEVICE_OBJECT told[8];
static int told_count;

static NTSTATUS NTAPI
on_shutdown(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    assert_int_equal(KeGetCurrentIrql(), PASSIVE_LEVEL);
    told[told_count++] = DeviceObject;
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static void
shutdown__last_registered_first_then_file_systems_then_last_chance(void **state)
{
    PDEVICE_OBJECT devices[4], fs;

    (void) state;
    told_count = 0;
    driver->MajorFunction[IRP_MJ_SHUTDOWN] = on_shutdown;
    for (int i = 0; i < 4; i++)
        devices[i] = new_device(driver, FILE_DEVICE_UNKNOWN, 0, NULL);
    fs = new_device(driver, FILE_DEVICE_DISK_FILE_SYSTEM, 0, NULL);
    IoRegisterFileSystem(fs);
    assert_int_equal(IoRegisterLastChanceShutdownNotification(devices[0]),
                     STATUS_SUCCESS);
    assert_int_equal(IoRegisterShutdownNotification(devices[1]),
                     STATUS_SUCCESS);
    assert_int_equal(IoRegisterShutdownNotification(devices[2]),
                     STATUS_SUCCESS);
    assert_int_equal(IoRegisterShutdownNotification(devices[3]),
                     STATUS_SUCCESS);
    assert_true(devices[3]->Flags & DO_SHUTDOWN_REGISTERED);
    IoUnregisterShutdownNotification(devices[3]);
    assert_false(devices[3]->Flags & DO_SHUTDOWN_REGISTERED);
    io_tell_shutdown();
    assert_int_equal(told_count, 4);
    assert_ptr_equal(told[0], devices[2]);
    assert_ptr_equal(told[1], devices[1]);
    assert_ptr_equal(told[2], fs);
    assert_ptr_equal(told[3], devices[0]);
    IoUnregisterFileSystem(fs);
    /* One that goes unregisters by itself. */
    assert_int_equal(IoRegisterShutdownNotification(devices[1]),
                     STATUS_SUCCESS);
    for (int i = 0; i < 4; i++)
        IoDeleteDevice(devices[i]);
    IoDeleteDevice(fs);
    io_tell_shutdown();
    assert_int_equal(told_count, 4);
}

static int
setup(void **state)
{
    io_setup(state);
    driver = new_driver("queued");
    driver->MajorFunction[IRP_MJ_READ] = dispatch;
    driver->DriverStartIo = start_io;
    return 0;
}

static int
teardown(void **state)
{
    io_unload_driver(driver);
    return io_teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, each, each_after)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(start_next_by_key__from_the_key_upwards_then_the_first),
        cmocka_unit_test_teardown(deferred_start_io__never_nested, each_after),
        TEST(non_cancelable__started_irp_has_no_cancel_routine),
        TEST(request_dpc__runs_with_device_irp_and_context),
        TEST(timer__once_a_second_while_started),
        TEST(work_item_ex__gets_object_context_and_item),
        TEST(
            shutdown__last_registered_first_then_file_systems_then_last_chance),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
