/*
 * Tests for check-verify, the verify flag and the device to verify: R8 to R11,
 * R15 to R18, R19 to R50.
 *
 * SPDX-License-Identifier: MIT
 */
#include "harness.h"

#include "ke/thread.h"

#define UA_RULE "at 1 tur do sense 6/28/00"

static const struct ask override = { .flags = SL_OVERRIDE_VERIFY_VOLUME };
static const struct ask nobody = { .no_thread = true };

static void
R19_R38__unchanged_without_buffer__success_0(void **state)
{
    static const ULONG codes[] = { IOCTL_DISK_CHECK_VERIFY,
                                   IOCTL_STORAGE_CHECK_VERIFY,
                                   IOCTL_STORAGE_CHECK_VERIFY2 };

    for (size_t i = 0; i < RTL_NUMBER_OF(codes); i++) {
        struct outcome got = control(*state, codes[i], NULL, 0, 0, NULL);

        assert_int_equal(got.status, STATUS_SUCCESS);
        assert_int_equal(got.information, 0);
        assert_null(got.slot);
    }
    assert_int_equal(spy_count(*state, SCSIOP_TEST_UNIT_READY), 3);
}

static void
R20_R21_R43__unchanged_with_buffer__the_count(void **state)
{
    ULONG buffer[3] = { 77, 78, 79 };
    struct outcome got =
        control(*state, IOCTL_DISK_CHECK_VERIFY, buffer, 0, 4, NULL);

    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 4);
    assert_int_equal(buffer[0], 0);
    buffer[0] = 77;
    got = control(*state, IOCTL_STORAGE_CHECK_VERIFY, buffer, 0, 12, NULL);
    assert_int_equal(got.information, 4);
    assert_int_equal(buffer[0], 0);
    assert_int_equal(buffer[1], 78);
}

static void
R22__short_buffer__too_small_without_a_command(void **state)
{
    ULONG buffer = 77;

    for (ULONG room = 1; room < 4; room++) {
        struct outcome got =
            control(*state, IOCTL_DISK_CHECK_VERIFY, &buffer, 0, room, NULL);

        assert_int_equal(got.status, STATUS_BUFFER_TOO_SMALL);
        assert_int_equal(got.information, 0);
    }
    assert_int_equal(buffer, 77);
    assert_int_equal(spy_commands(*state), 0);
}

static void
R23__tape_code__success_0_and_no_count(void **state)
{
    ULONG buffer = 77;
    struct outcome got = control(*state, 0x001F4800, &buffer, 0, 4, NULL);

    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 0);
    assert_int_equal(buffer, 77);
}

static void
R24_R26_R27_R28_R15__changed_and_mounted__verify_required(void **state)
{
    struct rig *rig = *state;
    ULONG flags = rig->fdo->Flags, buffer = 77;
    struct outcome got;

    rig_mount(rig, true);
    rig_rule(rig, UA_RULE);
    got = control(rig, IOCTL_DISK_CHECK_VERIFY, &buffer, 0, 4, NULL);
    assert_int_equal(got.status, STATUS_VERIFY_REQUIRED);
    assert_int_equal(got.information, 0);
    assert_int_equal(buffer, 77);
    assert_ptr_equal(got.slot, rig->fdo); /* before the completion */
    assert_int_equal(rig->fdo->Flags, flags | DO_VERIFY_VOLUME);
    assert_int_equal(rig_count(rig), 1);
}

static void
R25_R30__changed_and_not_mounted__device_error_and_no_flag(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    rig_rule(rig, UA_RULE);
    got = control(rig, IOCTL_DISK_CHECK_VERIFY, NULL, 0, 0, NULL);
    assert_int_equal(got.status, STATUS_IO_DEVICE_ERROR);
    assert_int_equal(got.information, 0);
    assert_false(rig_verify_set(rig));
    assert_null(got.slot);
    assert_int_equal(rig_count(rig), 1);
    /* R32: reported once. */
    got = control(rig, IOCTL_DISK_CHECK_VERIFY, NULL, 0, 0, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
}

static void
R29_R9_R10_R11__without_a_thread__the_call_is_owed_and_made_once(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    rig_mount(rig, true);
    rig_rule(rig, UA_RULE);
    got = control(rig, IOCTL_DISK_CHECK_VERIFY, NULL, 0, 0, &nobody);
    assert_int_equal(got.status, STATUS_VERIFY_REQUIRED);
    assert_true(rig_verify_set(rig));
    assert_null(slot_of());
    assert_int_equal(io_dropped_hard_errors(), 0); /* R8 */
    rig_clear_verify(rig);
    rig_settle(rig);
    got = control(rig, IOCTL_STORAGE_GET_DEVICE_NUMBER,
                  &(STORAGE_DEVICE_NUMBER){ 0 }, 0,
                  sizeof(STORAGE_DEVICE_NUMBER), NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_ptr_equal(got.slot, rig->fdo);
    clear_slot();
    got = control(rig, IOCTL_DISK_CHECK_VERIFY, NULL, 0, 0, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_null(got.slot);
}

static void
R9__owed_call__is_made_with_a_transfer_that_succeeds(void **state)
{
    struct rig *rig = *state;
    struct outcome got;
    char data[512];

    rig_mount(rig, true);
    rig_rule(rig, UA_RULE);
    (void) control(rig, IOCTL_DISK_CHECK_VERIFY, NULL, 0, 0, &nobody);
    rig_clear_verify(rig);
    got = transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_ptr_equal(got.slot, rig->fdo);
}

/* Whichever thread completes it. */
static void
R11__owed_call__for_the_thread_of_the_later_request(void **state)
{
    struct _ETHREAD other = { 0 };
    struct rig *rig = *state;
    struct outcome out;
    char data[512];

    rig_mount(rig, true);
    rig_settle(rig);
    spy_answer(rig, &(struct answer){ .opcode = 0, .times = 1, .pend = 1 });
    start_control(rig, IOCTL_DISK_CHECK_VERIFY, NULL, 0, 0, NULL, &out);
    assert_int_equal(out.returned, STATUS_PENDING);
    out.irp->Tail.Overlay.Thread = &other;
    /* Meanwhile one without a thread fails. */
    spy_answer(rig, SENSE_ANSWER(SCSIOP_READ, 1, 2, 0x3A, 0));
    assert_int_equal(transfer(rig, IRP_MJ_READ, 0, data, 512, &nobody).status,
                     STATUS_NO_MEDIA_IN_DEVICE);
    assert_null(slot_of());
    spy_release(rig);
    finish(&out);
    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_ptr_equal(IoGetDeviceToVerify(&other), rig->fdo);
    assert_null(slot_of());
}

static void
R18__thread_taken_away_meanwhile__owed(void **state)
{
    struct rig *rig = *state;
    struct outcome out;

    rig_mount(rig, true);
    spy_answer(rig, &(struct answer){ .opcode = 0, .times = 1, .pend = 1 });
    rig_rule(rig, UA_RULE);
    start_control(rig, IOCTL_DISK_CHECK_VERIFY, NULL, 0, 0, NULL, &out);
    assert_int_equal(out.returned, STATUS_PENDING);
    out.irp->Tail.Overlay.Thread = NULL;
    spy_release(rig);
    finish(&out);
    assert_int_equal(out.status, STATUS_VERIFY_REQUIRED);
    assert_null(slot_of());
    (void) control(rig, IOCTL_STORAGE_GET_DEVICE_NUMBER,
                   &(STORAGE_DEVICE_NUMBER){ 0 }, 0,
                   sizeof(STORAGE_DEVICE_NUMBER), NULL);
    assert_ptr_equal(slot_of(), rig->fdo);
}

static void
R31__no_vpb__counts_as_not_mounted(void **state)
{
    struct rig *rig = *state;
    PVPB vpb = rig->fdo->Vpb;
    struct outcome got;

    rig->fdo->Vpb = NULL;
    rig_rule(rig, UA_RULE);
    got = control(rig, IOCTL_DISK_CHECK_VERIFY, NULL, 0, 0, NULL);
    rig_settle(rig);
    rig->fdo->Vpb = vpb;
    assert_int_equal(got.status, STATUS_IO_DEVICE_ERROR);
    assert_false(rig_verify_set(rig));
}

static void
R33_R34_R55__flag_set__only_override_reaches_the_drive(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    InterlockedOr((LONG volatile *) &rig->fdo->Flags, DO_VERIFY_VOLUME);
    got = control(rig, IOCTL_DISK_CHECK_VERIFY, NULL, 0, 0, NULL);
    assert_int_equal(got.status, STATUS_VERIFY_REQUIRED);
    assert_int_equal(got.information, 0);
    assert_ptr_equal(got.slot, rig->fdo);
    assert_int_equal(spy_commands(rig), 0);
    got = control(rig, IOCTL_DISK_CHECK_VERIFY, NULL, 0, 0, &override);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(spy_commands(rig), 1);
    assert_true(rig_verify_set(rig));
}

static void
R35_R46__override_and_change__silent_retry_with_the_new_count(void **state)
{
    struct rig *rig = *state;
    ULONG count = 77;
    struct outcome got;

    rig_mount(rig, true);
    rig_rule(rig, UA_RULE);
    got = control(rig, IOCTL_DISK_CHECK_VERIFY, &count, 0, 4, &override);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 4);
    assert_int_equal(count, 1);
    assert_true(rig_verify_set(rig));
}

static void
R36_R98__override_and_attention_every_time__device_error_after_5(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    rig_mount(rig, true);
    spy_answer(rig, &(struct answer){ .opcode = 0,
                                      .times = 100,
                                      .scsi_status = SCSISTAT_CHECK_CONDITION,
                                      .srb_status = SRB_STATUS_ERROR |
                                                    SRB_STATUS_AUTOSENSE_VALID,
                                      .sense = SENSE_OF(6, 0x29, 0),
                                      .sense_len = 18 });
    got = control(rig, IOCTL_DISK_CHECK_VERIFY, NULL, 0, 0, &override);
    assert_int_equal(got.status, STATUS_IO_DEVICE_ERROR);
    assert_int_equal(got.information, 0);
    assert_int_equal(spy_count(rig, SCSIOP_TEST_UNIT_READY), 5);
    spy_reset(rig);
}

static void
R37_R48_R64__no_medium__no_media_in_device(void **state)
{
    struct rig *rig = *state;
    ULONG count = 77;
    struct outcome got =
        control(rig, IOCTL_DISK_CHECK_VERIFY, &count, 0, 4, NULL);

    assert_int_equal(got.status, STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(got.information, 0);
    assert_int_equal(count, 77);
    assert_ptr_equal(got.slot, rig->fdo);
    assert_int_equal(spy_count(rig, SCSIOP_TEST_UNIT_READY), 1);
}

static void
R38__cdrom_code_on_a_cd_drive__count(void **state)
{
    ULONG count = 77;
    struct outcome got =
        control(*state, IOCTL_CDROM_CHECK_VERIFY, &count, 0, 4, NULL);

    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 4);
    assert_int_equal(count, 0);
}

static void
R41__check_verify_2__low_priority(void **state)
{
    struct rig *rig = *state;

    (void) control(rig, IOCTL_STORAGE_CHECK_VERIFY2, NULL, 0, 0, NULL);
    assert_true(rig->spy.flags[0] & SRB_CLASS_FLAGS_LOW_PRIORITY);
    (void) control(rig, IOCTL_STORAGE_CHECK_VERIFY, NULL, 0, 0, NULL);
    assert_false(rig->spy.flags[1] & SRB_CLASS_FLAGS_LOW_PRIORITY);
}

static void
R42__test_unit_ready__six_zeros_without_data(void **state)
{
    static const UCHAR zeros[16];
    struct rig *rig = *state;

    (void) control(rig, IOCTL_DISK_CHECK_VERIFY, NULL, 0, 0, NULL);
    assert_memory_equal(rig->spy.cdb[0], zeros, 6);
    assert_false(rig->spy.flags[0] & SRB_FLAGS_UNSPECIFIED_DIRECTION);
}

static void
R44__each_attention__counts_once(void **state)
{
    static const char *const rules[] = {
        "at 1 read do sense 6/28/00",
        "at 1 read do sense 6/29/00",
        "at 1 read do sense 6/2A/09",
        "at 1 read do sense 6/5A/01",
    };
    struct rig *rig = *state;
    char data[512];

    for (ULONG i = 0; i < RTL_NUMBER_OF(rules); i++) {
        rig_rule(rig, rules[i]);
        (void) transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL);
        rig_settle(rig);
        assert_int_equal(rig_count(rig), i + 1);
        vscsi_fault_clear(rig->drive);
    }
}

static void
R45__removal_alone__does_not_count(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(vscsi_yank(rig->drive), 0);
    rig_settle(rig);
    (void) control(rig, IOCTL_DISK_CHECK_VERIFY, NULL, 0, 0, NULL);
    assert_int_equal(rig_count(rig), 0);
}

static void
R49__unknown_code__invalid_device_request(void **state)
{
    struct outcome got = control(*state, 0x002DFFFC, NULL, 0, 0, NULL);

    assert_int_equal(got.status, STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(got.information, 0);
}

static void
R16__device_error__leaves_the_slot(void **state)
{
    struct rig *rig = *state;
    char data[512];

    rig_rule(rig, "at 1 read do sense 3/11/00");
    (void) transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL);
    assert_null(slot_of());
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(R19_R38__unchanged_without_buffer__success_0, rig_disk),
        TEST(R20_R21_R43__unchanged_with_buffer__the_count, rig_disk),
        TEST(R22__short_buffer__too_small_without_a_command, rig_disk),
        TEST(R23__tape_code__success_0_and_no_count, rig_disk),
        TEST(R24_R26_R27_R28_R15__changed_and_mounted__verify_required,
             rig_disk),
        TEST(R25_R30__changed_and_not_mounted__device_error_and_no_flag,
             rig_disk),
        TEST(R29_R9_R10_R11__without_a_thread__the_call_is_owed_and_made_once,
             rig_disk),
        TEST(R9__owed_call__is_made_with_a_transfer_that_succeeds, rig_disk),
        TEST(R11__owed_call__for_the_thread_of_the_later_request, rig_disk),
        TEST(R18__thread_taken_away_meanwhile__owed, rig_disk),
        TEST(R31__no_vpb__counts_as_not_mounted, rig_disk),
        TEST(R33_R34_R55__flag_set__only_override_reaches_the_drive, rig_disk),
        TEST(R35_R46__override_and_change__silent_retry_with_the_new_count,
             rig_disk),
        TEST(R36_R98__override_and_attention_every_time__device_error_after_5,
             rig_disk),
        TEST(R37_R48_R64__no_medium__no_media_in_device, rig_empty),
        TEST(R38__cdrom_code_on_a_cd_drive__count, rig_cdrom),
        TEST(R41__check_verify_2__low_priority, rig_disk),
        TEST(R42__test_unit_ready__six_zeros_without_data, rig_disk),
        TEST(R44__each_attention__counts_once, rig_disk),
        TEST(R45__removal_alone__does_not_count, rig_disk),
        TEST(R49__unknown_code__invalid_device_request, rig_disk),
        TEST(R16__device_error__leaves_the_slot, rig_disk),
    };

    return cmocka_run_group_tests(tests, harness_begin, harness_end);
}
