/*
 * Tests for start and removal of drives, also when there is no memory.
 *
 * SPDX-License-Identifier: MIT
 */
#include "harness.h"

#include "base/fault.h"

static char data[4096];

static void
start__disk__named_and_marked(void **state)
{
    struct rig *rig = *state;
    PFUNCTIONAL_DEVICE_EXTENSION ext = rig->fdo->DeviceExtension;
    char name[64];

    io_device_name(rig->fdo, name, sizeof name);
    assert_memory_equal(name, "\\Device\\Harddisk", 16);
    assert_non_null(strstr(name, "\\DR0"));
    assert_true(rig->fdo->Characteristics & FILE_REMOVABLE_MEDIA);
    assert_int_equal(rig->fdo->DeviceType, FILE_DEVICE_DISK);
    assert_non_null(rig->fdo->Vpb);
    assert_true(rig->fdo->Flags & DO_DIRECT_IO);
    assert_true(ext->DeviceDescriptor->RemovableMedia);
    assert_int_equal(ext->MediaChangeCount, 0);
}

static void
start__cdrom__named_and_marked(void **state)
{
    struct rig *rig = *state;
    char name[64];

    io_device_name(rig->fdo, name, sizeof name);
    assert_memory_equal(name, "\\Device\\CdRom", 13);
    assert_int_equal(rig->fdo->DeviceType, FILE_DEVICE_CD_ROM);
}

static void
first_request_after_the_start__no_attention_left(void **state)
{
    struct outcome got =
        transfer(*state, IRP_MJ_READ, 0, data, sizeof data, NULL);

    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(rig_count(*state), 0);
}

static void
removal__with_requests_under_way__all_complete(void **state)
{
    struct rig *rig = *state;
    struct outcome got[4];

    (void) transfer(rig, IRP_MJ_READ, 0, data, 512, NULL);
    rig_rule(rig, "at * read do delay 30");
    for (int i = 0; i < 4; i++)
        start_transfer(rig, IRP_MJ_READ, 0, data, 512, NULL, &got[i]);
    assert_int_equal(io_remove_device(rig->pdo), STATUS_SUCCESS);
    for (int i = 0; i < 4; i++) {
        finish(&got[i]);
        assert_int_equal(got[i].status, STATUS_SUCCESS);
    }
}

/* Its stack is gone, but somebody has referred to the device before and sends
 * to it all the same. */
static void
R206__removed__device_does_not_exist_and_no_information(void **state)
{
    struct rig *rig = *state;
    ULONG count = 77;
    unsigned commands;
    struct outcome got;

    (void) transfer(rig, IRP_MJ_READ, 0, data, 512, NULL);
    ObReferenceObject(rig->fdo);
    assert_int_equal(io_remove_device(rig->pdo), STATUS_SUCCESS);
    commands = spy_commands(rig);
    for (int write = 0; write < 2; write++) {
        got = transfer(rig, write ? IRP_MJ_WRITE : IRP_MJ_READ, 0, data, 512,
                       NULL);
        assert_int_equal(got.status, STATUS_DEVICE_DOES_NOT_EXIST);
        assert_int_equal(got.information, 0);
    }
    got = control(rig, IOCTL_DISK_CHECK_VERIFY, &count, 0, 4, NULL);
    assert_int_equal(got.status, STATUS_DEVICE_DOES_NOT_EXIST);
    assert_int_equal(got.information, 0);
    assert_int_equal(count, 77);
    assert_int_equal(spy_commands(rig), commands);
    ObDereferenceObject(rig->fdo);
}

static int
rig_free_removed(void **state)
{
    struct rig *rig = *state;

    port_remove_unit(rig->pdo);
    vscsi_free(rig->drive);
    unlink(rig->image[0]);
    unlink(rig->image[1]);
    free(rig);
    return 0;
}

/* Each point fails once at its 1st, 2nd ... passage until nothing fails. */
static void
start__an_allocation_fails__undone_or_done_without(void **state)
{
    static const char *const points[] = { "pool", "irp" };

    for (size_t i = 0; i < RTL_NUMBER_OF(points); i++)
        for (uint64_t nth = 1;; nth++) {
            void *own = NULL;
            uint64_t failed;

            fault_set(points[i], nth, false);
            if (rig_try_disk(&own)) {
                failed = fault_failed(points[i]);
                fault_clear();
                assert_int_equal(
                    transfer(own, IRP_MJ_READ, 0, data, 512, NULL).status,
                    STATUS_SUCCESS);
                rig_free(&own);
            } else {
                failed = fault_failed(points[i]);
            }
            fault_clear();
            if (failed == 0)
                break;
            assert_true(nth < 500);
        }
}

/* The harness makes the first IRP, the library its own. */
static void
request__no_irp_for_the_library__insufficient_resources(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    fault_set("irp", 2, false);
    got = control(rig, IOCTL_DISK_IS_WRITABLE, NULL, 0, 0, NULL);
    assert_int_equal(fault_failed("irp"), 1);
    fault_clear();
    assert_int_equal(got.status, STATUS_INSUFFICIENT_RESOURCES);
    got = control(rig, IOCTL_DISK_IS_WRITABLE, NULL, 0, 0, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(start__disk__named_and_marked, rig_disk),
        TEST(start__cdrom__named_and_marked, rig_cdrom),
        TEST(first_request_after_the_start__no_attention_left, rig_disk),
        cmocka_unit_test_setup_teardown(
            removal__with_requests_under_way__all_complete, rig_disk,
            rig_free_removed),
        cmocka_unit_test_setup_teardown(
            R206__removed__device_does_not_exist_and_no_information, rig_disk,
            rig_free_removed),
        cmocka_unit_test(start__an_allocation_fails__undone_or_done_without),
        TEST(request__no_irp_for_the_library__insufficient_resources, rig_disk),
    };

    return cmocka_run_group_tests(tests, harness_begin, harness_end);
}
