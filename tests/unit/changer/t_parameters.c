/*
 * IOCTL_CHANGER_GET_PARAMETERS: what the device can do, by evidence.
 *
 * SPDX-License-Identifier: MIT
 */
#include "robot.h"

#define STORES                                                                 \
    (CHANGER_STORAGE_DRIVE | CHANGER_STORAGE_IEPORT | CHANGER_STORAGE_SLOT |   \
     CHANGER_STORAGE_TRANSPORT)

static GET_CHANGER_PARAMETERS
started(void)
{
    robot_start();
    return parameters();
}

static void
CT43_CT47_CT48_CT52__parameters__counts_and_reserved_fields(void **state)
{
    GET_CHANGER_PARAMETERS own = parameters();

    (void) state;
    assert_int_equal(own.Size, 60);
    assert_int_equal(own.Reserved1[0] | own.Reserved1[1], 0);
    assert_int_equal(own.Reserved2[0] | own.Reserved2[1], 0);
    assert_int_equal(own.NumberTransportElements, 1);
    assert_int_equal(own.NumberStorageElements, 8);
    assert_int_equal(own.NumberIEElements, 2);
    assert_int_equal(own.NumberDataTransferElements, 2);
    assert_int_equal(own.FirstSlotNumber, 1);
    assert_int_equal(own.FirstIEPortNumber, 1);
    assert_int_equal(own.NumberCleanerSlots, 0);
    assert_int_equal(own.FirstCleanerSlotAddress, 0);
    assert_false(own.Features0 & (CHANGER_CLEANER_SLOT | CHANGER_RESERVED_BIT));
    assert_true(own.Features0 & CHANGER_SERIAL_NUMBER_VALID);
}

static void
CT44__full_page__all_moves_and_stores(void **state)
{
    static const uint8_t page[] = { 0x0F, 0x07, 0x0F, 0x0F, 0x0F, 0x0F };
    GET_CHANGER_PARAMETERS own;

    (void) state;
    memcpy(robot.capabilities + 2, page, sizeof page);
    own = started();
    assert_int_equal(own.MoveFromTransport, 0x0F);
    assert_int_equal(own.MoveFromSlot, 0x0F);
    assert_int_equal(own.MoveFromIePort, 0x0F);
    assert_int_equal(own.MoveFromDrive, 0x0F);
    assert_int_equal(own.Features0 & STORES, STORES);
}

static void
CT45__no_exchange__no_exchange_bits(void **state)
{
    GET_CHANGER_PARAMETERS own;

    (void) state;
    robot.tells_commands = true;
    robot.lacks[0] = 0xA6;
    own = started();
    assert_false(own.Features0 & CHANGER_EXCHANGE_MEDIA);
    assert_int_equal(own.ExchangeFromTransport | own.ExchangeFromSlot |
                         own.ExchangeFromIePort | own.ExchangeFromDrive,
                     0);
}

static void
CT45__page_claims_an_exchange_that_the_device_has_not__not_believed(
    void **state)
{
    (void) state;
    memset(robot.capabilities + 12, 0x0F, 4);
    robot.tells_commands = true;
    robot.lacks[0] = 0xA6;
    assert_false(started().Features0 & CHANGER_EXCHANGE_MEDIA);
    assert_int_equal(parameters().ExchangeFromSlot, 0);
}

static void
CT46__rotate_bit__flip(void **state)
{
    (void) state;
    robot.quirks = ROTATES;
    assert_true(started().Features0 & CHANGER_MEDIUM_FLIP);
}

static void
CT46_CT53__pages_missing__starts_all_the_same(void **state)
{
    GET_CHANGER_PARAMETERS own;
    UCHAR all = CHANGER_TO_SLOT | CHANGER_TO_DRIVE | CHANGER_TO_IEPORT;

    (void) state;
    robot.quirks = NO_PAGE_1E | NO_PAGE_1F;
    own = started();
    assert_false(own.Features0 & CHANGER_MEDIUM_FLIP);
    assert_true(own.Features0 & CHANGER_STORAGE_SLOT);
    assert_int_equal(own.MoveFromSlot, all);
    assert_int_equal(own.MoveFromDrive, all);
    assert_int_equal(own.MoveFromIePort, all);
    assert_status(move_medium(SLOT, 0, DRIVE, 0), STATUS_SUCCESS);
}

static void
CT47__no_mail_slots__nothing_about_them(void **state)
{
    GET_CHANGER_PARAMETERS own;

    (void) state;
    robot_size(MAIL, 10, 0);
    robot.tells_commands = true;
    own = started();
    assert_int_equal(own.NumberIEElements, 0);
    assert_int_equal(own.FirstIEPortNumber, 0);
    assert_false(own.Features0 & (CHANGER_OPEN_IEPORT | CHANGER_CLOSE_IEPORT |
                                  CHANGER_REPORT_IEPORT_STATE));
    assert_false(own.LockUnlockCapabilities & LOCK_UNLOCK_IEPORT);
}

static void
CT49__cleaner_slot__one_slot_less(void **state)
{
    GET_CHANGER_PARAMETERS own;

    (void) state;
    robot_setting("ChangerCleanerSlot", 8);
    own = started();
    assert_int_equal(own.NumberStorageElements, 7);
    assert_int_equal(own.NumberCleanerSlots, 1);
    assert_int_equal(own.FirstCleanerSlotAddress, 8);
    assert_true(own.Features0 & CHANGER_CLEANER_SLOT);
}

/* The documentation's rules about features that go together. */
static void
assert_consistent(const GET_CHANGER_PARAMETERS *own)
{
    ULONG low = own->Features1 & 0x7FFFFFFF;

    assert_false((low & 1) && (low & 2));
    if (own->Features0 & CHANGER_CLEANER_SLOT || low & 4) {
        assert_true(own->Features0 & CHANGER_DRIVE_CLEANING_REQUIRED);
        assert_false(low & 0x40);
    }
    if (low & 0x40)
        assert_true(own->Features0 & CHANGER_DRIVE_CLEANING_REQUIRED);
    assert_true(own->NumberCleanerSlots <= 1);
    assert_int_equal(own->NumberCleanerSlots,
                     (own->Features0 & CHANGER_CLEANER_SLOT) != 0);
    assert_true(own->Features0 & CHANGER_STORAGE_SLOT);
    assert_false(own->Features0 & CHANGER_RESERVED_BIT);
    assert_true(own->NumberIEElements != 0 || own->FirstIEPortNumber == 0);
    assert_true(own->NumberDataTransferElements != 0 ||
                own->FirstDriveNumber == 0);
    if (!(own->Features0 & CHANGER_EXCHANGE_MEDIA))
        assert_false(low & 8);
}

static void
CT50__every_kind_of_device__consistent(void **state)
{
    GET_CHANGER_PARAMETERS own;

    (void) state;
    for (unsigned kind = 0; kind < 128; kind++) {
        (void) robot_new(state);
        robot.vendor = kind & 1 ? "REINSERT" : "HP";
        robot.product = kind & 1 ? "VENDOR LIBRARY" : "MSL";
        robot.tells_commands = kind & 2;
        if (kind & 4)
            robot_setting("ChangerCleanerSlot", 3);
        if (kind & 8)
            robot_size(MAIL, 10, 0);
        if (kind & 16)
            robot_size(DRIVE, 500, 0);
        robot.quirks = kind & 32 ? NO_PAGE_1F | NO_PAGE_1E : ROTATES;
        if (kind & 64)
            memset(robot.capabilities + 12, 0x0F, 4);
        own = started();
        assert_consistent(&own);
        (void) robot_free(state);
    }
}

static void
CT51__reader__found_at_each_start(void **state)
{
    (void) state;
    robot.reader = false;
    robot.capabilities[3] = 0; /* VTRP: it has a reader */
    assert_false(started().Features0 & CHANGER_BAR_CODE_SCANNER_INSTALLED);
    robot_close();
    assert_status(io_remove_device(robot.pdo), STATUS_SUCCESS);
    robot.reader = true;
    assert_true(started().Features0 & CHANGER_BAR_CODE_SCANNER_INSTALLED);
}

static void
CT54__address_page__parsed_alike_or_not_at_all(void **state)
{
    static const uint32_t quirks[] = { 0, SHORT_1D, BLOCKS, BLOCKS | SHORT_1D };

    (void) state;
    for (size_t i = 0; i < ARRAYSIZE(quirks); i++) {
        (void) robot_new(state);
        robot.quirks = quirks[i];
        assert_int_equal(started().NumberDataTransferElements, 2);
        (void) robot_free(state);
    }
    (void) robot_new(state);
    robot.quirks = CUT_1D;
    assert_status(robot_try_start(NULL), STATUS_DEVICE_DATA_ERROR);
    (void) robot_free(state);
}

static void
CT55__cleaning__twice_the_time(void **state)
{
    (void) state;
    robot_setting("ChangerCleanSeconds", 240);
    assert_int_equal(started().DriveCleanTimeout, 480);
}

static void
overlapping_ranges__the_start_fails(void **state)
{
    (void) state;
    robot_size(SLOT, 495, 8); /* the drives are 500 and 501 */
    assert_status(robot_try_start(NULL), STATUS_DEVICE_DATA_ERROR);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(CT43_CT47_CT48_CT52__parameters__counts_and_reserved_fields),
        TEST_COLD(CT44__full_page__all_moves_and_stores),
        TEST_COLD(CT45__no_exchange__no_exchange_bits),
        TEST_COLD(
            CT45__page_claims_an_exchange_that_the_device_has_not__not_believed),
        TEST_COLD(CT46__rotate_bit__flip),
        TEST_COLD(CT46_CT53__pages_missing__starts_all_the_same),
        TEST_COLD(CT47__no_mail_slots__nothing_about_them),
        TEST_COLD(CT49__cleaner_slot__one_slot_less),
        cmocka_unit_test(CT50__every_kind_of_device__consistent),
        TEST_COLD(CT51__reader__found_at_each_start),
        cmocka_unit_test(CT54__address_page__parsed_alike_or_not_at_all),
        TEST_COLD(CT55__cleaning__twice_the_time),
        TEST_COLD(overlapping_ranges__the_start_fails),
    };

    return cmocka_run_group_tests(tests, robot_begin, robot_end);
}
