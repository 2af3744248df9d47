/*
 * Element status: what the records say, and what is asked of the device.
 *
 * SPDX-License-Identifier: MIT
 */
#include "robot.h"

#include "mcd/smc_lib.h"

static void
CT34_CT56__slots__in_order_with_sources_from_0(void **state)
{
    (void) state;
    robot_place(SLOT, 3)->source = 1002;
    assert_status(read_elements(SLOT, 2, 3, true), STATUS_SUCCESS);
    assert_int_equal(information, 300);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(element(i)->Element.ElementType, ChangerSlot);
        assert_int_equal(element(i)->Element.ElementAddress, 2 + i);
    }
    assert_true(element(1)->Flags & ELEMENT_STATUS_SVALID);
    assert_int_equal(element(1)->SrcElementAddress.ElementType, ChangerSlot);
    assert_int_equal(element(1)->SrcElementAddress.ElementAddress, 2);
    assert_int_equal(robot_count(-1), 1);
}

static void
CT35__source_of_any_kind__or_of_none(void **state)
{
    (void) state;
    robot_place(DRIVE, 0)->source = 11;
    robot_place(DRIVE, 1)->source = 500;
    assert_status(read_elements(DRIVE, 0, 2, false), STATUS_SUCCESS);
    assert_int_equal(element(0)->SrcElementAddress.ElementType, ChangerIEPort);
    assert_int_equal(element(0)->SrcElementAddress.ElementAddress, 1);
    assert_int_equal(element(1)->SrcElementAddress.ElementType, ChangerDrive);
    assert_int_equal(element(1)->SrcElementAddress.ElementAddress, 0);
    robot_place(DRIVE, 0)->source = 7777;
    assert_status(read_elements(DRIVE, 0, 1, false), STATUS_SUCCESS);
    assert_false(element(0)->Flags & ELEMENT_STATUS_SVALID);
    assert_int_equal(element(0)->SrcElementAddress.ElementAddress, 0);
}

static void
CT57_CT58__drives__the_longer_record_if_they_are_identified(void **state)
{
    PCHANGER_ELEMENT_STATUS_EX drive;

    (void) state;
    robot_place(DRIVE, 1)->identity = NULL;
    assert_status(read_elements(DRIVE, 0, 2, true), STATUS_SUCCESS);
    assert_int_equal(information, 256);
    drive = (PCHANGER_ELEMENT_STATUS_EX) element(0);
    assert_true(drive->Flags & ELEMENT_STATUS_PRODUCT_DATA);
    assert_memory_equal(drive->VendorIdentification, "HP      ", 8);
    assert_memory_equal(drive->ProductIdentification, "Ultrium 6-SCSI  ", 16);
    assert_string_equal((char *) drive->SerialNumber, "HU1234567A");
    assert_false(element(1)->Flags & ELEMENT_STATUS_PRODUCT_DATA);
    /* With labels, identification comes in a command of its own. */
    for (unsigned i = 0; i < robot_count(0xB8); i++)
        assert_false(robot_seen(0xB8, i)->cdb[1] & 0x10 &&
                     robot_seen(0xB8, i)->cdb[6] & 0x01);
}

static void
CT57__serial_number_alone__is_the_serial_number(void **state)
{
    PCHANGER_ELEMENT_STATUS_EX drive;

    (void) state;
    robot.quirks = SERIAL_ID;
    assert_status(read_elements(DRIVE, 0, 1, false), STATUS_SUCCESS);
    drive = (PCHANGER_ELEMENT_STATUS_EX) element(0);
    assert_true(drive->Flags & ELEMENT_STATUS_PRODUCT_DATA);
    assert_string_equal((char *) drive->SerialNumber, "HU1234567A");
}

static void
CT59__no_labels_wanted__none_asked_for(void **state)
{
    (void) state;
    assert_status(read_elements(SLOT, 0, 1, false), STATUS_SUCCESS);
    assert_int_equal(robot_seen(0xB8, 0)->cdb[1], 0x02);
    assert_false(element(0)->Flags & ELEMENT_STATUS_PVOLTAG);
}

static void
CT60__labels_without_a_reader__refused(void **state)
{
    (void) state;
    robot.reader = false;
    robot.capabilities[3] = 0; /* VTRP: it has a reader */
    robot_start();
    assert_refused(read_elements(SLOT, 0, 1, true), STATUS_INVALID_PARAMETER);
    assert_int_equal(robot_count(-1), 0);
}

static void
CT61_CT62__blank_label__unreadable_if_there_is_a_medium(void **state)
{
    (void) state;
    robot_fill(SLOT, 1, "");
    robot_fill(SLOT, 2, "");
    memset(robot_place(SLOT, 2)->tag, 0, 36);
    memset(robot_place(SLOT, 5)->tag, 0, 36);
    robot_fill(SLOT, 6, "LTO\x07!");
    assert_status(read_elements(SLOT, 0, 7, true), STATUS_SUCCESS);
    for (unsigned i = 0; i < 7; i++) {
        bool bad = i == 1 || i == 2 || i == 6;

        assert_int_equal((element(i)->Flags & ELEMENT_STATUS_PVOLTAG) != 0,
                         i == 0 || i == 3);
        assert_int_equal((element(i)->Flags & ELEMENT_STATUS_EXCEPT) != 0, bad);
        if (bad)
            assert_int_equal(element(i)->ExceptionCode, ERROR_LABEL_UNREADABLE);
    }
}

/* A place with an exception, as read. */
static PCHANGER_ELEMENT_STATUS
excepted(int kind, bool full, uint8_t asc, uint8_t ascq)
{
    struct place *at = robot_place(kind, 1);

    at->full = full;
    at->except = true;
    at->asc = asc;
    at->ascq = ascq;
    assert_status(read_elements(kind, 1, 1, false), STATUS_SUCCESS);
    return element(0);
}

static void
CT63_CT64_CT65__exceptions__by_their_codes(void **state)
{
    static const struct {
        int kind;
        bool full;
        uint8_t asc, ascq;
        ULONG code, flags;
    } rows[] = {
        { SLOT, true, 0x83, 0x02, ERROR_SLOT_NOT_PRESENT, 0 },
        { SLOT, false, 0x3B, 0x11, ERROR_SLOT_NOT_PRESENT, 0 },
        { SLOT, false, 0x3B, 0x12, ERROR_SLOT_NOT_PRESENT, 0 },
        { DRIVE, false, 0x83, 0x04, ERROR_DRIVE_NOT_INSTALLED, 0 },
        { DRIVE, false, 0x3B, 0x1A, ERROR_DRIVE_NOT_INSTALLED, 0 },
        { SLOT, true, 0x83, 0x01, ERROR_LABEL_UNREADABLE, 9 },
        { SLOT, true, 0x83, 0x00, ERROR_LABEL_QUESTIONABLE, 9 },
        { SLOT, false, 0x83, 0x00, ERROR_INIT_STATUS_NEEDED, 8 },
        { SLOT, false, 0x53, 0x08, ERROR_INIT_STATUS_NEEDED, 8 },
        { SLOT, true, 0x12, 0x34, 0xFFFFFFFF, 9 },
        { SLOT, false, 0x12, 0x34, 0xFFFFFFFF, 8 },
    };

    (void) state;
    for (size_t i = 0; i < ARRAYSIZE(rows); i++) {
        PCHANGER_ELEMENT_STATUS at =
            excepted(rows[i].kind, rows[i].full, rows[i].asc, rows[i].ascq);

        assert_true(at->Flags & ELEMENT_STATUS_EXCEPT);
        assert_int_equal(at->ExceptionCode, rows[i].code);
        assert_int_equal(at->Flags & 9, rows[i].flags);
    }
    /* A healthy cleaning cartridge is none. */
    assert_int_equal(excepted(SLOT, true, 0x30, 0x03)->Flags & 0xD, 9);
}

static void
CT66__no_source__no_source_fields(void **state)
{
    (void) state;
    robot_place(SLOT, 0)->source = 1003;
    robot_place(SLOT, 0)->sv_off = true;
    robot_place(SLOT, 0)->invert = true;
    robot_place(SLOT, 3)->source = 1003;
    robot_place(SLOT, 3)->invert = true;
    assert_status(read_elements(SLOT, 0, 4, false), STATUS_SUCCESS);
    assert_false(element(0)->Flags &
                 (ELEMENT_STATUS_SVALID | ELEMENT_STATUS_INVERT));
    assert_int_equal(element(0)->SrcElementAddress.ElementType, 0);
    assert_int_equal(element(0)->SrcElementAddress.ElementAddress, 0);
    assert_true(element(3)->Flags & ELEMENT_STATUS_INVERT);
}

static void
CT67_CT68__flags__of_their_kinds_alone(void **state)
{
    static const ULONG mail =
        ELEMENT_STATUS_IMPEXP | ELEMENT_STATUS_EXENAB | ELEMENT_STATUS_INENAB;
    static const ULONG drives = ELEMENT_STATUS_LUN_VALID |
                                ELEMENT_STATUS_ID_VALID |
                                ELEMENT_STATUS_NOT_BUS;

    (void) state;
    for (int kind = ARM; kind <= DRIVE; kind++) {
        robot_place(kind, 0)->imported = true;
        assert_status(read_elements(kind, 0, 1, false), STATUS_SUCCESS);
        assert_int_equal(element(0)->Flags & mail, kind == MAIL ? mail : 0);
        assert_int_equal(element(0)->Flags & drives,
                         kind == DRIVE ? drives : 0);
    }
    assert_int_equal(element(0)->Lun, 1);
    assert_int_equal(element(0)->TargetId, 0xB1);
}

static void
CT69__alternate_label__of_two_sided_media_alone(void **state)
{
    (void) state;
    memcpy(robot_place(SLOT, 0)->alternate, "SIDEB", 5);
    robot.quirks = BOTH_TAGS;
    assert_status(read_elements(SLOT, 0, 1, true), STATUS_SUCCESS);
    assert_false(element(0)->Flags & ELEMENT_STATUS_AVOLTAG);
    robot_close();
    assert_status(io_remove_device(robot.pdo), STATUS_SUCCESS);
    robot.quirks = BOTH_TAGS | ROTATES;
    robot_start();
    assert_status(read_elements(SLOT, 0, 1, true), STATUS_SUCCESS);
    assert_true(element(0)->Flags & ELEMENT_STATUS_AVOLTAG);
    assert_memory_equal(element(0)->AlternateVolumeID, "SIDEB ", 6);
}

/* Pages with descriptors of 52, 16 and 84 bytes; slots from 1000. */
static void
CT70__pages_of_different_lengths__each_by_its_own(void **state)
{
    uint8_t reply[256] = { 0x03, 0xE8, 0, 3 };
    CHANGER_ELEMENT_STATUS_EX status[3] = { 0 };
    static const unsigned lengths[] = { 52, 16, 84 };
    UCHAR seen[3] = { 0 };
    struct smc_facts facts = { .cleaner = -1 };
    struct smc_run run = { .facts = &facts,
                           .type = ChangerSlot,
                           .first = 1000,
                           .count = 3,
                           .tags = TRUE,
                           .seen = seen,
                           .status = status };
    uint8_t *at = reply + 8;

    (void) state;
    facts.range[ChangerSlot] = (struct smc_range){ 1000, 3 };
    for (unsigned i = 0; i < 3; i++) {
        at[0] = SLOT;
        at[1] = i != 1 ? 0x80 : 0;
        at[3] = at[7] = (uint8_t) lengths[i];
        at[8] = 0x03;
        at[9] = (uint8_t) (0xE8 + i);
        at[10] = 0x09;
        if (i != 1)
            memcpy(at + 20, i == 0 ? "TAG0" : "TAG2", 4);
        at += 8 + lengths[i];
    }
    reply[7] = (uint8_t) (at - reply - 8);
    assert_status(smc_parse(&run, reply, (ULONG) (at - reply)), STATUS_SUCCESS);
    assert_int_equal(run.fresh, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(seen[i], SMC_WHOLE);
        assert_int_equal(status[i].Element.ElementAddress, i);
        assert_true(status[i].Flags & ELEMENT_STATUS_FULL);
    }
    assert_memory_equal(status[0].PrimaryVolumeID, "TAG0", 4);
    assert_int_equal(status[1].Flags & ELEMENT_STATUS_PVOLTAG, 0);
    assert_memory_equal(status[2].PrimaryVolumeID, "TAG2", 4);
}

static void
CT70__a_page_for_each_element__read_as_one(void **state)
{
    (void) state;
    robot.quirks = SPLIT;
    assert_status(read_elements(SLOT, 0, 8, true), STATUS_SUCCESS);
    assert_memory_equal(element(3)->PrimaryVolumeID, "LTO004L6", 8);
    assert_false(element(4)->Flags & ELEMENT_STATUS_EXCEPT);
}

static void
CT71__alternate_labels_that_are_not_there__the_rest_is_right(void **state)
{
    PCHANGER_ELEMENT_STATUS_EX drive;

    (void) state;
    robot.quirks = AVOLTAG_LIE;
    robot_fill(DRIVE, 0, "LTO009L6");
    assert_status(read_elements(DRIVE, 0, 2, true), STATUS_SUCCESS);
    drive = (PCHANGER_ELEMENT_STATUS_EX) element(0);
    assert_memory_equal(drive->PrimaryVolumeID, "LTO009L6", 8);
    assert_false(drive->Flags & ELEMENT_STATUS_AVOLTAG);
    assert_true(drive->Flags & ELEMENT_STATUS_PRODUCT_DATA);
    assert_string_equal((char *) drive->SerialNumber, "HU1234567A");
}

static void
CT71__descriptors_too_short__data_error(void **state)
{
    (void) state;
    robot.quirks = BAD_LENGTH;
    assert_refused(read_elements(SLOT, 0, 3, false), STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(robot_count(0xB8), 1);
}

static void
CT72__cut_replies__the_rest_is_asked_for_again(void **state)
{
    (void) state;
    robot.quirks = CUT_8 | ALL_OF_TYPE;
    assert_status(read_elements(SLOT, 0, 8, true), STATUS_SUCCESS);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(element(i)->Element.ElementAddress, i);
        assert_false(element(i)->Flags & ELEMENT_STATUS_EXCEPT);
        assert_int_equal((element(i)->Flags & ELEMENT_STATUS_FULL) != 0,
                         i == 0 || i == 3);
    }
    assert_memory_equal(element(3)->PrimaryVolumeID, "LTO004L6", 8);
    assert_true(robot_count(0xB8) <= 3);
    assert_status(read_elements(DRIVE, 0, 2, false), STATUS_SUCCESS);
    assert_string_equal(
        (char *) ((PCHANGER_ELEMENT_STATUS_EX) element(0))->SerialNumber,
        "HU1234567A");
}

static void
CT73__identification_refused__left_out_and_remembered(void **state)
{
    (void) state;
    robot.quirks = NO_DVCID;
    assert_status(read_elements(DRIVE, 0, 2, false), STATUS_SUCCESS);
    assert_int_equal(robot_count(0xB8), 2);
    assert_int_equal(robot_seen(0xB8, 0)->cdb[6] & 1, 1);
    assert_int_equal(robot_seen(0xB8, 1)->cdb[6] & 1, 0);
    assert_int_equal(information, 200);
    robot_forget();
    assert_status(read_elements(DRIVE, 0, 2, false), STATUS_SUCCESS);
    assert_int_equal(robot_count(0xB8), 1);
    assert_int_equal(robot_seen(0xB8, 0)->cdb[6] & 1, 0);
}

static void
CT74__many_slots__several_commands_with_short_lengths(void **state)
{
    (void) state;
    robot_size(SLOT, 1000, 1500);
    robot_fill(SLOT, 1499, "LAST");
    robot_start();
    assert_status(read_elements(SLOT, 0, 1500, true), STATUS_SUCCESS);
    assert_int_equal(information, 150000);
    assert_true(robot_count(0xB8) > 1);
    for (unsigned i = 0; i < robot_count(0xB8); i++) {
        const uint8_t *cdb = robot_seen(0xB8, i)->cdb;

        assert_int_equal(cdb[7], 0);
        assert_true((cdb[4] << 8 | cdb[5]) <= 1000);
        assert_int_equal(robot_seen(0xB8, i)->len, cdb[8] << 8 | cdb[9]);
    }
    for (unsigned i = 0; i < 1500; i++) {
        assert_int_equal(element(i)->Element.ElementAddress, i);
        assert_false(element(i)->Flags & ELEMENT_STATUS_EXCEPT);
    }
    assert_memory_equal(element(1499)->PrimaryVolumeID, "LAST ", 5);
}

static void
CT74__short_allocation_lengths_only__still_complete(void **state)
{
    (void) state;
    robot.alloc_most = 4096;
    robot_size(SLOT, 1000, 200);
    robot_fill(SLOT, 199, "LAST");
    robot_start();
    assert_status(read_elements(SLOT, 0, 200, true), STATUS_SUCCESS);
    for (unsigned i = 0; i < 200; i++)
        assert_false(element(i)->Flags & ELEMENT_STATUS_EXCEPT);
    assert_memory_equal(element(199)->PrimaryVolumeID, "LAST ", 5);
    /* And what was left out on the way is asked for again. */
    assert_true(robot_seen(0xB8, robot_count(0xB8) - 1)->cdb[6] & 2);
}

static void
CT75__all_elements__composed_of_typed_requests(void **state)
{
    (void) state;
    assert_status(read_elements(AllElements, 0, 13, true), STATUS_SUCCESS);
    assert_int_equal(information, 1300);
    for (unsigned i = 0; i < robot_count(0xB8); i++)
        assert_int_not_equal(robot_seen(0xB8, i)->cdb[1] & 0x0f, 0);
    assert_int_equal(element(0)->Element.ElementType, ChangerTransport);
    assert_int_equal(element(1)->Element.ElementType, ChangerSlot);
    assert_int_equal(element(9)->Element.ElementType, ChangerIEPort);
    assert_int_equal(element(12)->Element.ElementType, ChangerDrive);
    assert_int_equal(element(12)->Element.ElementAddress, 1);
    assert_false(element(12)->Flags & ELEMENT_STATUS_PRODUCT_DATA);
    assert_status(read_elements(AllElements, 8, 3, false), STATUS_SUCCESS);
    assert_int_equal(element(0)->Element.ElementAddress, 7);
    assert_int_equal(element(2)->Element.ElementType, ChangerIEPort);
    assert_refused(read_elements(AllElements, 0, 14, false),
                   STATUS_ILLEGAL_ELEMENT_ADDRESS);
}

static void
CT76__current_data__until_that_is_refused(void **state)
{
    (void) state;
    assert_status(read_elements(SLOT, 0, 1, false), STATUS_SUCCESS);
    assert_int_equal(robot_seen(0xB8, 0)->cdb[6], 2);
    robot.quirks = NO_CURDATA;
    robot_forget();
    assert_status(read_elements(SLOT, 0, 1, false), STATUS_SUCCESS);
    assert_int_equal(robot_seen(0xB8, 1)->cdb[6], 0);
    robot_forget();
    assert_status(read_elements(SLOT, 0, 1, false), STATUS_SUCCESS);
    assert_int_equal(robot_count(0xB8), 1);
}

static void
CT77__an_element_twice__the_first_one_counts(void **state)
{
    (void) state;
    robot.quirks = TWICE;
    assert_status(read_elements(SLOT, 0, 8, true), STATUS_SUCCESS);
    assert_true(element(0)->Flags & ELEMENT_STATUS_FULL);
    assert_true(element(3)->Flags & ELEMENT_STATUS_FULL);
}

static void
CT78__label__verbatim(void **state)
{
    static const uint8_t want[36] = "A B 1                           \0\0\1\2";

    (void) state;
    memcpy(robot_place(SLOT, 0)->tag, want, 36);
    assert_status(read_elements(SLOT, 0, 1, true), STATUS_SUCCESS);
    assert_memory_equal(element(0)->PrimaryVolumeID, want, 36);
}

static void
gap__the_element_is_unknown_and_not_empty(void **state)
{
    (void) state;
    robot_place(SLOT, 2)->missing = true;
    robot_place(SLOT, 7)->missing = true;
    assert_status(read_elements(SLOT, 0, 8, true), STATUS_SUCCESS);
    for (unsigned i = 0; i < 8; i++) {
        bool gone = i == 2 || i == 7;

        assert_int_equal(element(i)->Element.ElementAddress, i);
        assert_int_equal((element(i)->Flags & ELEMENT_STATUS_EXCEPT) != 0,
                         gone);
    }
    assert_int_equal(element(7)->ExceptionCode, ERROR_UNHANDLED_ERROR);
    assert_true(robot_count(0xB8) <= 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(CT34_CT56__slots__in_order_with_sources_from_0),
        TEST(CT35__source_of_any_kind__or_of_none),
        TEST(CT57_CT58__drives__the_longer_record_if_they_are_identified),
        TEST(CT57__serial_number_alone__is_the_serial_number),
        TEST(CT59__no_labels_wanted__none_asked_for),
        TEST_COLD(CT60__labels_without_a_reader__refused),
        TEST(CT61_CT62__blank_label__unreadable_if_there_is_a_medium),
        TEST(CT63_CT64_CT65__exceptions__by_their_codes),
        TEST(CT66__no_source__no_source_fields),
        TEST(CT67_CT68__flags__of_their_kinds_alone),
        TEST(CT69__alternate_label__of_two_sided_media_alone),
        cmocka_unit_test(CT70__pages_of_different_lengths__each_by_its_own),
        TEST(CT70__a_page_for_each_element__read_as_one),
        TEST(CT71__alternate_labels_that_are_not_there__the_rest_is_right),
        TEST(CT71__descriptors_too_short__data_error),
        TEST(CT72__cut_replies__the_rest_is_asked_for_again),
        TEST(CT73__identification_refused__left_out_and_remembered),
        TEST_COLD(CT74__many_slots__several_commands_with_short_lengths),
        TEST_COLD(CT74__short_allocation_lengths_only__still_complete),
        TEST(CT75__all_elements__composed_of_typed_requests),
        TEST(CT76__current_data__until_that_is_refused),
        TEST(CT77__an_element_twice__the_first_one_counts),
        TEST(CT78__label__verbatim),
        TEST(gap__the_element_is_unknown_and_not_empty),
    };

    return cmocka_run_group_tests(tests, robot_begin, robot_end);
}
