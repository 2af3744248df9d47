/*
 * Tests for filter.c: a driver as docs/drivers.md describes one, loaded above
 * a device of the test.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ntifs.h>

#include "drivers/filter.h"
#include "io/io.h"

static PDRIVER_OBJECT below, filter;
static PDEVICE_OBJECT device;
static NTSTATUS answer;
static int removals;

static NTSTATUS NTAPI
answer_all(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);
    NTSTATUS status =
        location->MajorFunction == IRP_MJ_PNP ? STATUS_SUCCESS : answer;

    if (location->MajorFunction == IRP_MJ_PNP)
        removals += location->MinorFunction == IRP_MN_REMOVE_DEVICE;
    Irp->IoStatus.Status = status;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return status;
}

static NTSTATUS NTAPI
load_below(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    for (int i = 0; i <= IRP_MJ_MAXIMUM_FUNCTION; i++)
        DriverObject->MajorFunction[i] = answer_all;
    return IoCreateDevice(DriverObject, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE,
                          &device);
}

static int
setup(void **state)
{
    assert_int_equal(io_init(), STATUS_SUCCESS);
    assert_int_equal(io_load_driver("below", load_below, &below),
                     STATUS_SUCCESS);
    assert_int_equal(io_load_driver("filter", filter_entry, &filter),
                     STATUS_SUCCESS);
    assert_int_equal(io_start_device(filter, device), STATUS_SUCCESS);
    answer = STATUS_SUCCESS;
    removals = 0;
    return 0;
}

static int
teardown(void **state)
{
    io_unload_driver(filter);
    IoDeleteDevice(device);
    io_unload_driver(below);
    io_shutdown();
    return 0;
}

static NTSTATUS
transfer(ULONG major)
{
    LARGE_INTEGER zero = { .QuadPart = 0 };
    IO_STATUS_BLOCK iosb = { 0 };
    NTSTATUS status;
    KEVENT done;
    PIRP irp;

    KeInitializeEvent(&done, NotificationEvent, FALSE);
    irp = IoBuildSynchronousFsdRequest(major, device->AttachedDevice, NULL, 0,
                                       &zero, &done, &iosb);
    assert_non_null(irp);
    status = IoCallDriver(device->AttachedDevice, irp);
    if (status == STATUS_PENDING) {
        KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, NULL);
        status = iosb.Status;
    }
    return status;
}

static void
filter__counts_what_passes_and_what_failed(void **state)
{
    struct filter_counts counts = { 0 };
    ULONG_PTR length = 0;

    assert_int_equal(transfer(IRP_MJ_READ), STATUS_SUCCESS);
    assert_int_equal(transfer(IRP_MJ_WRITE), STATUS_SUCCESS);
    answer = STATUS_NO_MEDIA_IN_DEVICE;
    assert_int_equal(transfer(IRP_MJ_READ), STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(io_device_control(device, IOCTL_FILTER_COUNTS, NULL, 0,
                                       &counts, sizeof counts, 0, &length),
                     STATUS_SUCCESS);
    assert_int_equal(length, sizeof counts);
    assert_int_equal(counts.reads, 2);
    assert_int_equal(counts.writes, 1);
    assert_int_equal(counts.failed, 1);
    assert_int_equal(io_device_control(device, IOCTL_FILTER_COUNTS, NULL, 0,
                                       &counts, 4, 0, NULL),
                     STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(io_remove_device(device), STATUS_SUCCESS);
}

static void
filter__removed__leaves_the_stack_and_tells_below(void **state)
{
    assert_non_null(device->AttachedDevice);
    assert_int_equal(io_remove_device(device), STATUS_SUCCESS);
    assert_null(device->AttachedDevice);
    assert_int_equal(removals, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            filter__counts_what_passes_and_what_failed, setup, teardown),
        cmocka_unit_test_setup_teardown(
            filter__removed__leaves_the_stack_and_tells_below, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
