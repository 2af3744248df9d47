/*
 * Tests for sleep and waking: what the drive is told, what is counted, which
 * requests wait.
 *
 * SPDX-License-Identifier: MIT
 */
#include "harness.h"

static char data[4096];

static struct outcome
power(struct rig *rig, DEVICE_POWER_STATE to)
{
    struct outcome got;
    PIO_STACK_LOCATION next = begin_request(rig, IRP_MJ_POWER, NULL, &got);

    next->MinorFunction = IRP_MN_SET_POWER;
    next->Parameters.Power.Type = DevicePowerState;
    next->Parameters.Power.State.DeviceState = to;
    got.irp->IoStatus.Status = STATUS_NOT_SUPPORTED;
    got.returned = PoCallDriver(rig->fdo, got.irp);
    finish(&got);
    return got;
}

static DEVICE_POWER_STATE
state_of(struct rig *rig)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = rig->fdo->DeviceExtension;

    return ext->DevicePowerState;
}

static void
down_and_up__disk__cache_written_stopped_and_started(void **state)
{
    struct rig *rig = *state;

    know_capacity(rig);
    (void) power(rig, PowerDeviceD3);
    assert_int_equal(state_of(rig), PowerDeviceD3);
    assert_int_equal(spy_commands(rig), 2);
    assert_int_equal(rig->spy.cdb[0][0], SCSIOP_SYNCHRONIZE_CACHE);
    assert_int_equal(rig->spy.cdb[1][0], SCSIOP_START_STOP_UNIT);
    assert_int_equal(rig->spy.cdb[1][4], 0);
    assert_int_equal(rig->spy.locks, 1);
    assert_int_equal(rig->spy.unlocks, 1);
    assert_true(rig->spy.flags[0] & SRB_FLAGS_BYPASS_LOCKED_QUEUE);
    spy_reset(rig);
    (void) power(rig, PowerDeviceD0);
    assert_int_equal(state_of(rig), PowerDeviceD0);
    assert_int_equal(spy_count(rig, SCSIOP_START_STOP_UNIT), 1);
    assert_int_equal(rig->spy.cdb[0][4], 1);
    assert_int_equal(rig->spy.locks, rig->spy.unlocks);
    rig_settle(rig);
    assert_int_equal(
        transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL).status,
        STATUS_SUCCESS);
}

/* Whoever slept does not know what is in the drive now. */
static void
sleep__mounted__counted_and_to_be_verified(void **state)
{
    struct rig *rig = *state;
    ULONG count = rig_count(rig);

    rig_mount(rig, true);
    (void) power(rig, PowerDeviceD3);
    assert_int_equal(rig_count(rig), count + 1);
    assert_true(rig_verify_set(rig));
    /* From one sleep to another nothing is added. */
    (void) power(rig, PowerDeviceD2);
    assert_int_equal(rig_count(rig), count + 1);
    rig_clear_verify(rig);
    (void) power(rig, PowerDeviceD0);
    assert_true(rig_verify_set(rig));
    assert_int_equal(transfer(rig, IRP_MJ_READ, 0, data, 512, NULL).status,
                     STATUS_VERIFY_REQUIRED);
}

/* Documents before samples: the flag is for mounted volumes. */
static void
sleep__not_mounted__counted_without_the_flag(void **state)
{
    struct rig *rig = *state;
    ULONG count = rig_count(rig);

    (void) power(rig, PowerDeviceD3);
    (void) power(rig, PowerDeviceD0);
    assert_int_equal(rig_count(rig), count + 1);
    assert_false(rig_verify_set(rig));
}

static void
sleep__fixed_disk__neither(void **state)
{
    struct rig *rig = *state;
    PFUNCTIONAL_DEVICE_EXTENSION ext = rig->fdo->DeviceExtension;
    STORAGE_HOTPLUG_INFO info = { .Size = sizeof info, .DeviceHotplug = TRUE };

    rig_mount(rig, true);
    (void) power(rig, PowerDeviceD3);
    (void) power(rig, PowerDeviceD0);
    assert_int_equal(ext->MediaChangeCount, 0);
    assert_false(rig_verify_set(rig));
    /* Unless the drive itself can be pulled. */
    assert_int_equal(control(rig, IOCTL_STORAGE_SET_HOTPLUG_INFO, &info,
                             sizeof info, 0, NULL)
                         .status,
                     STATUS_SUCCESS);
    (void) power(rig, PowerDeviceD3);
    assert_int_equal(ext->MediaChangeCount, 1);
    (void) power(rig, PowerDeviceD0);
}

static void
special_drives__what_they_do_not_stand_is_left_out(void **state)
{
    struct rig *rig = *state;
    PFUNCTIONAL_DEVICE_EXTENSION ext = rig->fdo->DeviceExtension;

    ext->ScanForSpecialFlags |= CLASS_SPECIAL_DISABLE_SPIN_DOWN |
                                CLASS_SPECIAL_DISABLE_SPIN_UP |
                                CLASS_SPECIAL_NO_QUEUE_LOCK;
    spy_reset(rig);
    (void) power(rig, PowerDeviceD3);
    (void) power(rig, PowerDeviceD0);
    assert_int_equal(spy_count(rig, SCSIOP_SYNCHRONIZE_CACHE), 1);
    assert_int_equal(spy_count(rig, SCSIOP_START_STOP_UNIT), 0);
    assert_int_equal(rig->spy.locks, 0);
}

static void
stop_unit_handler__starts_by_itself(void **state)
{
    struct rig *rig = *state;
    PFUNCTIONAL_DEVICE_EXTENSION ext = rig->fdo->DeviceExtension;
    PCLASS_POWER_DEVICE before = ext->CommonExtension.DevInfo->ClassPowerDevice;

    ext->CommonExtension.DevInfo->ClassPowerDevice = ClassStopUnitPowerHandler;
    spy_reset(rig);
    (void) power(rig, PowerDeviceD3);
    (void) power(rig, PowerDeviceD0);
    ext->CommonExtension.DevInfo->ClassPowerDevice = before;
    assert_int_equal(spy_count(rig, SCSIOP_START_STOP_UNIT), 1);
    assert_int_equal(state_of(rig), PowerDeviceD0);
}

static void
cdrom__sleeps__counted_without_commands(void **state)
{
    struct rig *rig = *state;
    PFUNCTIONAL_DEVICE_EXTENSION ext = rig->fdo->DeviceExtension;
    PCLASS_POWER_DEVICE before = ext->CommonExtension.DevInfo->ClassPowerDevice;
    ULONG count = rig_count(rig);

    /* The library's own: a driver without a ClassPowerDevice. */
    ext->CommonExtension.DevInfo->ClassPowerDevice = NULL;
    rig_mount(rig, true);
    spy_reset(rig);
    (void) power(rig, PowerDeviceD3);
    assert_int_equal(rig_count(rig), count + 1);
    assert_true(rig_verify_set(rig));
    rig_clear_verify(rig);
    (void) power(rig, PowerDeviceD0);
    assert_true(rig_verify_set(rig));
    assert_int_equal(spy_commands(rig), 0);
    ext->CommonExtension.DevInfo->ClassPowerDevice = before;
}

static int
rig_fixed(void **state)
{
    int result;

    spy_says_fixed = true;
    result = rig_disk(state);
    spy_says_fixed = false;
    return result;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(down_and_up__disk__cache_written_stopped_and_started, rig_cached),
        TEST(sleep__mounted__counted_and_to_be_verified, rig_disk),
        TEST(sleep__not_mounted__counted_without_the_flag, rig_disk),
        TEST(sleep__fixed_disk__neither, rig_fixed),
        TEST(special_drives__what_they_do_not_stand_is_left_out, rig_disk),
        TEST(stop_unit_handler__starts_by_itself, rig_disk),
        TEST(cdrom__sleeps__counted_without_commands, rig_cdrom),
    };

    return cmocka_run_group_tests(tests, harness_begin, harness_end);
}
