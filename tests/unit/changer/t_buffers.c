/*
 * Control codes of changers and their buffers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "robot.h"

static void
CT12__codes__are_the_documented_ones(void **state)
{
    (void) state;
    assert_int_equal(IOCTL_CHANGER_GET_PARAMETERS, 0x00304000);
    assert_int_equal(IOCTL_CHANGER_GET_STATUS, 0x00304004);
    assert_int_equal(IOCTL_CHANGER_GET_PRODUCT_DATA, 0x00304008);
    assert_int_equal(IOCTL_CHANGER_SET_ACCESS, 0x0030C010);
    assert_int_equal(IOCTL_CHANGER_GET_ELEMENT_STATUS, 0x0030C014);
    assert_int_equal(IOCTL_CHANGER_INITIALIZE_ELEMENT_STATUS, 0x00304018);
    assert_int_equal(IOCTL_CHANGER_SET_POSITION, 0x0030401C);
    assert_int_equal(IOCTL_CHANGER_EXCHANGE_MEDIUM, 0x00304020);
    assert_int_equal(IOCTL_CHANGER_MOVE_MEDIUM, 0x00304024);
    assert_int_equal(IOCTL_CHANGER_REINITIALIZE_TRANSPORT, 0x00304028);
    assert_int_equal(IOCTL_CHANGER_QUERY_VOLUME_TAGS, 0x0030C02C);
}

static void
CT13__unknown_code__refused(void **state)
{
    (void) state;
    assert_refused(ask(0x0030400C, NULL, 0, 4096),
                   STATUS_INVALID_DEVICE_REQUEST);
    assert_refused(ask(0x00304100, NULL, 0, 4096),
                   STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(robot_count(-1), 0);
}

static void
untouched(ULONG from)
{
    for (ULONG i = from; i < 8192; i++)
        assert_int_equal(answer[i], 0xA5);
}

static void
CT14_CT28__get_parameters__by_the_length_of_its_output(void **state)
{
    (void) state;
    assert_refused(ask(IOCTL_CHANGER_GET_PARAMETERS, NULL, 0, 59),
                   STATUS_INFO_LENGTH_MISMATCH);
    untouched(0);
    assert_status(ask(IOCTL_CHANGER_GET_PARAMETERS, NULL, 0, 60),
                  STATUS_SUCCESS);
    assert_int_equal(information, 60);
    untouched(60);
    assert_status(ask(IOCTL_CHANGER_GET_PARAMETERS, NULL, 0, 4096),
                  STATUS_SUCCESS);
    assert_int_equal(information, 60);
    assert_int_equal(robot_count(-1), 0);
}

static void
CT15__get_product_data__from_what_is_known(void **state)
{
    PCHANGER_PRODUCT_DATA data = (PCHANGER_PRODUCT_DATA) answer;

    (void) state;
    assert_refused(ask(IOCTL_CHANGER_GET_PRODUCT_DATA, NULL, 0, 60),
                   STATUS_INFO_LENGTH_MISMATCH);
    untouched(0);
    assert_status(ask(IOCTL_CHANGER_GET_PRODUCT_DATA, NULL, 0, 61),
                  STATUS_SUCCESS);
    assert_int_equal(information, 61);
    assert_int_equal(data->DeviceType, 8);
    assert_memory_equal(data->VendorId, "HP      ", 8);
    assert_memory_equal(data->ProductId, "MSL G3 Series   ", 16);
    assert_string_equal((char *) data->SerialNumber, "MXA0000001");
    assert_int_equal(robot_count(-1), 0);
}

static void
CT16__get_status__one_test_unit_ready(void **state)
{
    (void) state;
    assert_status(ask(IOCTL_CHANGER_GET_STATUS, NULL, 0, 0), STATUS_SUCCESS);
    assert_int_equal(information, 0);
    assert_int_equal(robot_count(-1), 1);
    assert_int_equal(robot_seen(-1, 0)->cdb[0], 0);
}

/* Good input for every code that has one, padded with zeros. */
static const struct {
    ULONG code, size, out;
    ULONG_PTR information;
    CHANGER_ELEMENT in[6];
} inputs[] = {
    { IOCTL_CHANGER_SET_ACCESS, 12, 0, 12, { { ChangerDoor, 0 } } },
    { IOCTL_CHANGER_MOVE_MEDIUM,
      28,
      0,
      28,
      { { ChangerTransport, 0 }, { ChangerSlot, 0 }, { ChangerSlot, 1 } } },
    { IOCTL_CHANGER_EXCHANGE_MEDIUM,
      36,
      0,
      0,
      { { ChangerTransport, 0 },
        { ChangerSlot, 3 },
        { ChangerDrive, 0 },
        { ChangerSlot, 3 } } },
    { IOCTL_CHANGER_SET_POSITION,
      20,
      0,
      20,
      { { ChangerTransport, 0 }, { ChangerSlot, 0 } } },
    { IOCTL_CHANGER_REINITIALIZE_TRANSPORT,
      8,
      0,
      8,
      { { ChangerTransport, 0 } } },
    { IOCTL_CHANGER_INITIALIZE_ELEMENT_STATUS,
      16,
      0,
      16,
      { { AllElements, 0 } } },
};

static void
exchanger(void)
{
    memset(robot.capabilities + 12, 0x0E, 4);
    robot_fill(DRIVE, 0, "LTO009L6");
    robot_start();
}

static void
CT17_CT18_CT19_CT20_CT21_CT22_CT24__input__by_its_length(void **state)
{
    (void) state;
    exchanger();
    for (size_t i = 0; i < ARRAYSIZE(inputs); i++) {
        robot_forget();
        assert_refused(ask(inputs[i].code, inputs[i].in, 0, 0),
                       STATUS_INVALID_PARAMETER);
        assert_refused(ask(inputs[i].code, inputs[i].in, inputs[i].size - 1, 0),
                       STATUS_INFO_LENGTH_MISMATCH);
        assert_int_equal(robot_count(-1), 0);
        assert_status(ask(inputs[i].code, inputs[i].in, inputs[i].size, 0),
                      STATUS_SUCCESS);
        assert_int_equal(information, inputs[i].information);
        untouched(48);
    }
}

static void
CT29__input_only__nothing_is_copied_to_a_caller(void **state)
{
    uint8_t out[4] = { 0xA5, 0xA5, 0xA5, 0xA5 };
    ULONG_PTR info = 0;

    (void) state;
    assert_status(io_device_control(robot.fdo, IOCTL_CHANGER_MOVE_MEDIUM,
                                    (PVOID) inputs[1].in, 28, out, 0, 0, &info),
                  STATUS_SUCCESS);
    assert_int_equal(info, 28);
    assert_int_equal(out[0], 0xA5);
}

static void
CT23__query_volume_tags__by_both_lengths(void **state)
{
    CHANGER_SEND_VOLUME_TAG_INFORMATION in = { { ChangerSlot, 0 }, 5, "*" };

    (void) state;
    assert_refused(ask(IOCTL_CHANGER_QUERY_VOLUME_TAGS, &in, 0, 104),
                   STATUS_INVALID_PARAMETER);
    assert_refused(ask(IOCTL_CHANGER_QUERY_VOLUME_TAGS, &in, 51, 104),
                   STATUS_INFO_LENGTH_MISMATCH);
    assert_refused(ask(IOCTL_CHANGER_QUERY_VOLUME_TAGS, &in, 52, 103),
                   STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(robot_count(-1), 0);
}

static NTSTATUS
read_into(int kind, ULONG first, ULONG count, ULONG room)
{
    CHANGER_READ_ELEMENT_STATUS in = {
        .ElementList = { { (ELEMENT_TYPE) kind, first }, count }
    };

    return ask(IOCTL_CHANGER_GET_ELEMENT_STATUS, &in, sizeof in, room);
}

static void
CT24_CT25__element_status__room_for_each_record(void **state)
{
    (void) state;
    assert_refused(ask(IOCTL_CHANGER_GET_ELEMENT_STATUS, NULL, 0, 300),
                   STATUS_INVALID_PARAMETER);
    assert_refused(read_into(SLOT, 0, 3, 299), STATUS_BUFFER_TOO_SMALL);
    untouched(16);
    assert_int_equal(robot_count(-1), 0);
    assert_status(read_into(SLOT, 0, 3, 300), STATUS_SUCCESS);
    assert_int_equal(information, 300);
    untouched(300);
}

static void
CT26__drives__room_for_the_longer_record(void **state)
{
    (void) state;
    assert_refused(read_into(DRIVE, 0, 2, 311), STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(robot_count(-1), 0);
    assert_status(read_into(DRIVE, 0, 2, 312), STATUS_SUCCESS);
}

static void
CT27__endless_list__refused_without_overflow(void **state)
{
    (void) state;
    assert_refused(read_into(SLOT, 0, 0xFFFFFFFF, 65536),
                   STATUS_BUFFER_TOO_SMALL);
    assert_refused(read_into(SLOT, 0, 0x28F5C29, 65536),
                   STATUS_BUFFER_TOO_SMALL); /* times 100: 4 mod 2^32 */
    assert_refused(read_into(SLOT, 0xFFFFFFFF, 1, 65536),
                   STATUS_ILLEGAL_ELEMENT_ADDRESS);
    assert_refused(read_into(SLOT, 0xFFFFFFF8, 16, 65536),
                   STATUS_ILLEGAL_ELEMENT_ADDRESS);
    assert_int_equal(robot_count(-1), 0);
}

static void
CT33__element_status_past_the_end__refused(void **state)
{
    (void) state;
    assert_refused(read_into(SLOT, 8, 1, 4096), STATUS_ILLEGAL_ELEMENT_ADDRESS);
    assert_refused(read_into(SLOT, 7, 2, 4096), STATUS_ILLEGAL_ELEMENT_ADDRESS);
    assert_refused(read_into(MAIL, 1, 2, 4096), STATUS_ILLEGAL_ELEMENT_ADDRESS);
    assert_refused(read_into(ARM, 1, 1, 4096), STATUS_ILLEGAL_ELEMENT_ADDRESS);
    assert_refused(read_into(SLOT, 0, 0, 4096), STATUS_INVALID_PARAMETER);
    assert_int_equal(robot_count(-1), 0);
}

static void
CT30__boolean_of_another_value__is_true(void **state)
{
    CHANGER_READ_ELEMENT_STATUS in = { .ElementList = { { ChangerSlot, 0 }, 1 },
                                       .VolumeTagInfo = 0x7F };

    (void) state;
    assert_status(ask(IOCTL_CHANGER_GET_ELEMENT_STATUS, &in, sizeof in, 100),
                  STATUS_SUCCESS);
    assert_int_equal(robot_seen(0xB8, 0)->cdb[1], 0x12);
    assert_true(element(0)->Flags & ELEMENT_STATUS_PVOLTAG);
}

static void
CT38_CT39_CT40__wrong_types__refused_without_a_command(void **state)
{
    static const int bad[] = { AllElements, ChangerDoor, ChangerKeypad, 7, 99 };

    (void) state;
    exchanger();
    for (size_t i = 0; i < ARRAYSIZE(inputs); i++)
        for (size_t at = 0; at < 4 && inputs[i].in[at].ElementType != 0; at++)
            for (size_t b = 0; b < ARRAYSIZE(bad); b++) {
                CHANGER_ELEMENT in[6];

                if (inputs[i].code == IOCTL_CHANGER_SET_ACCESS &&
                    (bad[b] == ChangerDoor || bad[b] == ChangerKeypad))
                    continue;
                memcpy(in, inputs[i].in, sizeof in);
                in[at].ElementType = (ELEMENT_TYPE) bad[b];
                assert_refused(ask(inputs[i].code, in, inputs[i].size, 0),
                               STATUS_INVALID_PARAMETER);
                in[0].ElementType = ChangerSlot; /* an arm it should be */
                if (at == 0)
                    assert_refused(ask(inputs[i].code, in, inputs[i].size, 0),
                                   STATUS_INVALID_PARAMETER);
            }
    assert_refused(read_into(ChangerDoor, 0, 1, 4096),
                   STATUS_INVALID_PARAMETER);
    assert_refused(read_into(99, 0, 1, 4096), STATUS_INVALID_PARAMETER);
    assert_refused(
        ask(IOCTL_CHANGER_INITIALIZE_ELEMENT_STATUS,
            &(CHANGER_ELEMENT_LIST[2]){ { { ChangerKeypad, 0 }, 1 } }, 16, 0),
        STATUS_INVALID_PARAMETER);
    assert_int_equal(robot_count(-1), 0);
    assert_status(set_access(ChangerDoor, 0, LOCK_ELEMENT), STATUS_SUCCESS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(CT12__codes__are_the_documented_ones),
        TEST(CT13__unknown_code__refused),
        TEST(CT14_CT28__get_parameters__by_the_length_of_its_output),
        TEST(CT15__get_product_data__from_what_is_known),
        TEST(CT16__get_status__one_test_unit_ready),
        TEST_COLD(CT17_CT18_CT19_CT20_CT21_CT22_CT24__input__by_its_length),
        TEST(CT29__input_only__nothing_is_copied_to_a_caller),
        TEST(CT23__query_volume_tags__by_both_lengths),
        TEST(CT24_CT25__element_status__room_for_each_record),
        TEST(CT26__drives__room_for_the_longer_record),
        TEST(CT27__endless_list__refused_without_overflow),
        TEST(CT33__element_status_past_the_end__refused),
        TEST(CT30__boolean_of_another_value__is_true),
        TEST_COLD(CT38_CT39_CT40__wrong_types__refused_without_a_command),
    };

    return cmocka_run_group_tests(tests, robot_begin, robot_end);
}
