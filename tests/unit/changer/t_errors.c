/*
 * The error path: class library, class driver, miniclass driver, in that order.
 *
 * SPDX-License-Identifier: MIT
 */
#include "probe.h"

#define TUR   IOCTL_CHANGER_GET_STATUS
#define OTHER IOCTL_CHANGER_REINITIALIZE_TRANSPORT /* sends a READ BUFFER */

static const CHANGER_ELEMENT arm = { ChangerTransport, 0 };

static void
answer_with(int opcode, unsigned times, const uint8_t *sense, uint8_t len)
{
    struct reply reply = { .opcode = opcode,
                           .times = times,
                           .srb_status = SRB_STATUS_ERROR,
                           .scsi_status = 2,
                           .sense_len = len };

    memcpy(reply.sense, sense, len);
    robot_reply(&reply);
}

/* 5/21/01: NONEXISTENT_SECTOR for the library, an element for the class
 * driver, and whatever the miniclass driver makes of it. */
static void
R108_CT103__check_condition__each_sees_what_was_chosen_before(void **state)
{
    (void) state;
    SENSE(0x00, 1, 5, 0x21, 0x01);
    assert_refused(ask(TUR, NULL, 0, 0), STATUS_ILLEGAL_ELEMENT_ADDRESS);
    assert_int_equal(probe_calls("error"), 1);
    assert_status(probe.seen_status, STATUS_ILLEGAL_ELEMENT_ADDRESS);
    assert_false(probe.seen_retry);
    probe.set_status = true;
    probe.status = STATUS_TRANSPORT_FULL;
    robot_forget();
    SENSE(0x00, 1, 5, 0x21, 0x01);
    assert_refused(ask(TUR, NULL, 0, 0), STATUS_TRANSPORT_FULL);
    assert_status(probe.seen_status, STATUS_ILLEGAL_ELEMENT_ADDRESS);
}

/* What the class driver does not judge comes as the library chose it. */
static void
R108__library_first__its_values_arrive(void **state)
{
    (void) state;
    SENSE(0x3C, 1, 0xB, 0x00, 0x00);
    assert_status(ask(OTHER, &arm, sizeof arm, 0), STATUS_SUCCESS);
    assert_status(probe.seen_status, STATUS_IO_DEVICE_ERROR);
    assert_true(probe.seen_retry);
}

static void
R109_CT104__no_sense_data__left_as_it_was(void **state)
{
    (void) state;
    probe.set_status = probe.set_retry = true;
    probe.status = STATUS_TRANSPORT_FULL;
    probe.retry = TRUE;
    robot_reply(&(struct reply){ .opcode = 0x00,
                                 .times = 1,
                                 .srb_status = SRB_STATUS_SELECTION_TIMEOUT });
    assert_refused(ask(TUR, NULL, 0, 0), STATUS_DEVICE_NOT_CONNECTED);
    assert_true(probe.without_sense);
    assert_int_equal(robot_count(0x00), 1);
}

/* The drivers of ours: the buffer behind the SRB is poisoned. */
static void
R109_CT104__no_sense_data__ours_do_not_read_it(void **state)
{
    SCSI_REQUEST_BLOCK srb = { .SrbStatus = SRB_STATUS_ERROR,
                               .SenseInfoBuffer = (PVOID) 0x10,
                               .SenseInfoBufferLength = 18 };
    PCOMMON_DEVICE_EXTENSION common = robot.fdo->DeviceExtension;
    NTSTATUS status = STATUS_UNSUCCESSFUL;
    BOOLEAN retry = TRUE;

    (void) state;
    common->DevInfo->ClassError(robot.fdo, &srb, &status, &retry);
    assert_status(status, STATUS_UNSUCCESSFUL);
    assert_true(retry);
}

static void
R110__only_retry_or_only_status__the_other_stays(void **state)
{
    (void) state;
    probe.set_retry = true;
    probe.retry = FALSE;
    SENSE(0x00, 10, 6, 0x28, 0x00);
    assert_refused(ask(TUR, NULL, 0, 0), STATUS_IO_DEVICE_ERROR);
    assert_int_equal(robot_count(0x00), 1);
    probe.set_retry = false;
    probe.set_status = true;
    probe.status = STATUS_TRANSPORT_FULL;
    robot_forget();
    SENSE(0x00, 10, 6, 0x28, 0x00);
    assert_refused(ask(TUR, NULL, 0, 0), STATUS_TRANSPORT_FULL);
    assert_int_equal(robot_count(0x00), 5);
}

static void
CT105__retry_for_ever__five_sends(void **state)
{
    (void) state;
    probe.set_retry = true;
    probe.retry = TRUE;
    SENSE(0x00, 100, 5, 0x26, 0x00);
    assert_refused(ask(TUR, NULL, 0, 0), STATUS_INVALID_PARAMETER);
    assert_int_equal(robot_count(0x00), 5);
}

static void
CT106__no_retry_where_there_would_be_one__one_send(void **state)
{
    (void) state;
    probe.set_retry = true;
    probe.retry = FALSE;
    SENSE(0x3C, 100, 0xB, 0x00, 0x00);
    assert_refused(ask(OTHER, &arm, sizeof arm, 0), STATUS_IO_DEVICE_ERROR);
    assert_int_equal(robot_count(0x3C), 1);
}

static void
CT105__a_motion_without_proof__no_driver_can_repeat_it(void **state)
{
    static const uint8_t keys[] = { 0, 3, 4, 0xB };
    CHANGER_MOVE_MEDIUM in = { { ChangerTransport, 0 },
                               { ChangerSlot, 0 },
                               { ChangerDrive, 0 } };

    (void) state;
    probe.set_retry = true;
    probe.retry = TRUE;
    for (size_t i = 0; i < sizeof keys; i++) {
        robot_forget();
        SENSE(0xA5, 100, keys[i], 0x80, 0x80);
        assert_false(
            NT_SUCCESS(ask(IOCTL_CHANGER_MOVE_MEDIUM, &in, sizeof in, 0)));
        assert_int_equal(robot_count(0xA5), 1);
    }
    robot_forget();
    SENSE(0xA5, 1, 2, 0x04, 0x80);
    robot_reply(&(struct reply){
        .opcode = 0xA5, .times = 1, .srb_status = SRB_STATUS_SUCCESS });
    assert_status(ask(IOCTL_CHANGER_MOVE_MEDIUM, &in, sizeof in, 0),
                  STATUS_SUCCESS);
    assert_int_equal(robot_count(0xA5), 2);
}

static void
CT107__becoming_ready__resends_are_spaced(void **state)
{
    (void) state;
    clock_manual(true);
    SENSE(0x00, 100, 2, 0x04, 0x01);
    assert_refused(ask(TUR, NULL, 0, 0), STATUS_DEVICE_NOT_READY);
    assert_int_equal(robot_count(0x00), 5);
    for (unsigned i = 1; i < 5; i++)
        assert_true(robot_seen(0x00, i)->at_ms -
                        robot_seen(0x00, i - 1)->at_ms >=
                    10000);
}

static void
becoming_ready__a_command_waits_for_it_and_goes_out_again(void **state)
{
    (void) state;
    clock_manual(true);
    SENSE(0x3C, 1, 2, 0x04, 0x01);
    SENSE(0x00, 5, 2, 0x04, 0x01);
    assert_status(ask(OTHER, &arm, sizeof arm, 0), STATUS_SUCCESS);
    assert_int_equal(robot_count(0x3C), 2);
    assert_int_equal(robot_count(0x00), 6);
    robot_forget();
    SENSE(0x3C, 100, 2, 0x04, 0x01);
    SENSE(0x00, 100, 2, 0x04, 0x01);
    assert_refused(ask(OTHER, &arm, sizeof arm, 0), STATUS_DEVICE_NOT_READY);
    assert_true(robot_count(0x3C) <= 3);
    assert_true(robot_count(0x00) >= 25 && robot_count(0x00) <= 31);
}

static void
CT108__descriptor_format__same_as_fixed(void **state)
{
    static const uint8_t full[8] = { 0x72, 5, 0x3B, 0x0D };
    static const uint8_t empty[8] = { 0x72, 5, 0x3B, 0x0E };

    (void) state;
    answer_with(0xA5, 1, full, sizeof full);
    assert_refused(move_medium(SLOT, 0, SLOT, 1),
                   STATUS_DESTINATION_ELEMENT_FULL);
    answer_with(0xA5, 1, empty, sizeof empty);
    assert_refused(move_medium(SLOT, 0, SLOT, 1), STATUS_SOURCE_ELEMENT_EMPTY);
    assert_int_equal(robot_count(0xA5), 2);
}

static void
CT109__deferred_error__the_command_goes_out_again(void **state)
{
    static const uint8_t deferred[18] = { 0x71, 0, 4, 0, 0, 0,    0,
                                          10,   0, 0, 0, 0, 0x15, 1 };

    (void) state;
    answer_with(0x00, 1, deferred, sizeof deferred);
    assert_status(ask(TUR, NULL, 0, 0), STATUS_SUCCESS);
    assert_int_equal(robot_count(0x00), 2);
    robot_forget();
    answer_with(0xA5, 1, deferred, sizeof deferred);
    assert_refused(move_medium(SLOT, 0, SLOT, 1), STATUS_IO_DEVICE_ERROR);
    assert_int_equal(robot_count(0xA5), 1);
}

static void
CT110__short_sense__no_additional_code(void **state)
{
    static const uint8_t brief[8] = { 0x70, 0, 5, 0, 0, 0, 0, 0x0A };

    (void) state;
    answer_with(0x00, 1, brief, sizeof brief);
    assert_refused(ask(TUR, NULL, 0, 0), STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(robot_count(0x00), 1);
}

static void
CT111__reservation_conflict__busy_and_not_again(void **state)
{
    (void) state;
    robot_reply(&(struct reply){ .opcode = 0xA5,
                                 .times = 10,
                                 .srb_status = SRB_STATUS_ERROR,
                                 .scsi_status = 0x18 });
    assert_refused(move_medium(SLOT, 0, SLOT, 1), STATUS_DEVICE_BUSY);
    assert_int_equal(robot_count(0xA5), 1);
}

static void
CT112__busy__again_until_it_is_taken(void **state)
{
    static const uint8_t statuses[] = { 0x08, 0x28 };

    (void) state;
    clock_manual(true);
    for (size_t i = 0; i < sizeof statuses; i++) {
        robot_forget();
        robot_reply(&(struct reply){ .opcode = 0xA5,
                                     .times = 7,
                                     .srb_status = SRB_STATUS_ERROR,
                                     .scsi_status = statuses[i] });
        assert_status(move_medium(SLOT, 0, SLOT, 1), STATUS_SUCCESS);
        assert_int_equal(robot_count(0xA5), 8);
        assert_status(move_medium(SLOT, 1, SLOT, 0), STATUS_SUCCESS);
    }
    robot_forget();
    robot_reply(&(struct reply){ .opcode = 0xA5,
                                 .times = 1000,
                                 .srb_status = SRB_STATUS_ERROR,
                                 .scsi_status = 0x08 });
    assert_false(NT_SUCCESS(move_medium(SLOT, 0, SLOT, 1)));
    assert_true(robot_count(0xA5) <= 62);
}

static void
done_all_the_same(void)
{
    robot_place(SLOT, 0)->full = false;
    robot_fill(SLOT, 1, "LTO001L6");
}

static void
CT113__recovered_error__success(void **state)
{
    (void) state;
    robot_reply(&(struct reply){
        .opcode = 0xA5,
        .times = 1,
        .srb_status = SRB_STATUS_ERROR,
        .scsi_status = 2,
        .sense = { 0x70, 0, 1, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x15, 0x01 },
        .sense_len = 18,
        .also = done_all_the_same });
    assert_status(move_medium(SLOT, 0, SLOT, 1), STATUS_SUCCESS);
    assert_int_equal(robot_count(0xA5), 1);
}

static void
last_sense__kept_for_the_unit(void **state)
{
    struct port_unit_info info;

    (void) state;
    SENSE(0xA5, 1, 5, 0x3B, 0x0E);
    (void) move_medium(SLOT, 0, SLOT, 1);
    port_unit_info(robot.pdo, &info);
    assert_int_equal(info.sense_len, 18);
    assert_int_equal(info.sense[2], 5);
    assert_int_equal(info.sense[12], 0x3B);
    assert_int_equal(info.sense[13], 0x0E);
}

static void
pool_and_print__as_documented(void **state)
{
    char *block = ChangerClassAllocatePool(NonPagedPool, 100);

    (void) state;
    assert_non_null(block);
    memset(block, 1, 100);
    assert_null(ChangerClassFreePool(block));
    ChangerClassDebugPrint(3, (PCCHAR) "changer: %d of %s\n", 1, "two");
}

#define PROBED(test)                                                           \
    cmocka_unit_test_setup_teardown(test, probe_ready, robot_free)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        PROBED(R108_CT103__check_condition__each_sees_what_was_chosen_before),
        PROBED(R108__library_first__its_values_arrive),
        PROBED(R109_CT104__no_sense_data__left_as_it_was),
        TEST(R109_CT104__no_sense_data__ours_do_not_read_it),
        PROBED(R110__only_retry_or_only_status__the_other_stays),
        PROBED(CT105__retry_for_ever__five_sends),
        PROBED(CT106__no_retry_where_there_would_be_one__one_send),
        PROBED(CT105__a_motion_without_proof__no_driver_can_repeat_it),
        PROBED(CT107__becoming_ready__resends_are_spaced),
        PROBED(becoming_ready__a_command_waits_for_it_and_goes_out_again),
        TEST(CT108__descriptor_format__same_as_fixed),
        TEST(CT109__deferred_error__the_command_goes_out_again),
        TEST(CT110__short_sense__no_additional_code),
        TEST(CT111__reservation_conflict__busy_and_not_again),
        TEST(CT112__busy__again_until_it_is_taken),
        TEST(CT113__recovered_error__success),
        TEST(last_sense__kept_for_the_unit),
        TEST(pool_and_print__as_documented),
    };

    return cmocka_run_group_tests(tests, probe_begin, probe_end);
}
