/*
 * t_library.c - the robot's commands, from the text of SMC-3
 *
 * SPDX-License-Identifier: MIT
 */
#include "house.h"

HOUSE(plain, 4, .slots = 8, .mail_slots = 2)

static void
inquiry__of_a_robot__is_a_removable_changer_with_a_reader(void **state)
{
    struct house *house = *state;
    const uint8_t *data = house->rig.data;

    assert_int_equal(IN(&house->rig, 96, 0x12, 0, 0, 0, 96, 0), 0);
    assert_int_equal(data[0], 0x08);
    assert_int_equal(data[1], 0x80);
    assert_memory_equal(data + 8, "REINSERT", 8);
    assert_true(data[4] + 5 > 55);
    assert_int_equal(data[55] & 1, 1);
    assert_int_equal(IN(&house->rig, 96, 0x12, 1, 0x80, 0, 96, 0), 0);
    assert_memory_equal(data + 4, "LIB1", 4);
    assert_int_equal(IN(&house->rig, 255, 0x12, 1, 0x83, 0, 255, 0), 0);
    assert_int_equal(data[0], 0x08);
    assert_memory_equal(data + 8, "REINSERT", 8);
}

static void
mode_sense__element_addresses__tells_first_and_count_of_each_kind(void **state)
{
    static const uint8_t page[20] = { 0x1D, 0x12, 0, 1, 0, 1, 0x10, 0, 0, 8,
                                      0,    16,   0, 2, 1, 0, 0,    2, 0, 0 };
    struct house *house = *state;

    assert_int_equal(IN(&house->rig, 255, 0x1A, 8, 0x1D, 0, 255, 0), 0);
    assert_int_equal(house->rig.last.transferred, 24);
    assert_int_equal(house->rig.data[0], 23);
    assert_int_equal(house->rig.data[3], 0);
    assert_memory_equal(house->rig.data + 4, page, sizeof page);
    assert_int_equal(IN(&house->rig, 255, 0x5A, 8, 0x1D, 0, 0, 0, 0, 0, 255, 0),
                     0);
    assert_memory_equal(house->rig.data + 8, page, sizeof page);
    /* Changeable values: nothing. */
    assert_int_equal(IN(&house->rig, 255, 0x1A, 8, 0x5D, 0, 255, 0), 0);
    for (unsigned i = 6; i < 24; i++)
        assert_int_equal(house->rig.data[i], 0);
}

static void
mode_sense__transports_and_capabilities__agree_with_what_works(void **state)
{
    struct house *house = *state;
    const uint8_t *data = house->rig.data + 4;

    assert_int_equal(IN(&house->rig, 255, 0x1A, 8, 0x1E, 0, 255, 0), 0);
    assert_int_equal(data[0], 0x1E);
    assert_int_equal(data[1], 2);
    assert_int_equal(data[2] & 1, 0); /* no rotation */
    assert_int_equal(IN(&house->rig, 255, 0x1A, 8, 0x1F, 0, 255, 0), 0);
    assert_int_equal(data[0], 0x1F);
    assert_int_equal(data[1], 0x12);
    assert_int_equal(data[2] & 0x0f, 0x0E); /* slots, mail slots, drives */
    assert_int_equal(data[3] & 0x02, 0x02); /* a reader */
    assert_int_equal(data[5] & 0x0e, 0x0e);
    assert_int_equal(data[7] & 0x0e, 0x0e);
    assert_int_equal(data[13] & 0x0a, 0x0a);
    assert_int_equal(IN(&house->rig, 255, 0x1A, 8, 0x3F, 0, 255, 0), 0);
    assert_int_equal(IN(&house->rig, 255, 0x1A, 8, 0x2A, 0, 255, 0), 0x052400);
    assert_int_equal(IN(&house->rig, 255, 0x1A, 8, 0xDD, 0, 255, 0),
                     0x053900); /* saved values */
}

static void
read_status__of_one_kind__has_header_page_and_descriptors(void **state)
{
    struct house *house = *state;
    const uint8_t *data = house->rig.data;

    assert_int_equal(status_of(house, 2, 0, 0xffff, TAGS | CURDATA, 65535), 0);
    assert_int_equal(number_at(data, 2), SLOT);
    assert_int_equal(number_at(data + 2, 2), 8);
    assert_int_equal(number_at(data + 5, 3), 8 + 8 * 48);
    assert_int_equal(house->rig.last.transferred, 8 + 8 + 8 * 48);
    assert_int_equal(data[8], 2);
    assert_int_equal(data[9], 0x80);
    assert_int_equal(number_at(data + 10, 2), 48);
    assert_int_equal(number_at(data + 13, 3), 8 * 48);
    for (unsigned i = 0; i < 8; i++) {
        const uint8_t *at = data + 16 + 48 * i;

        assert_int_equal(number_at(at, 2), SLOT + i);
        assert_int_equal(at[2], i < 4 ? 0x09 : 0x08); /* Access, Full */
        assert_int_equal(at[9] & 0x80, 0);            /* no source */
        if (i == 2)
            assert_memory_equal(at + 12,
                                "VOL003L6                        \0\0\0\0", 36);
        if (i > 4)
            assert_memory_equal(at + 12, "                ", 16);
    }
}

static void
read_status__without_voltag__has_no_tag_field(void **state)
{
    struct house *house = *state;

    assert_int_equal(status_of(house, 2, 0, 0xffff, CURDATA, 65535), 0);
    assert_int_equal(house->rig.data[9], 0);
    assert_int_equal(number_at(house->rig.data + 10, 2), 12);
}

static void
read_status__of_all_kinds__is_in_the_order_of_the_addresses(void **state)
{
    static const uint8_t kinds[4] = { 1, 3, 4, 2 };
    static const unsigned counts[4] = { 1, 2, 2, 8 };
    struct house *house = *state;
    const uint8_t *at = house->rig.data + 8;

    assert_int_equal(status_of(house, 0, 0, 0xffff, TAGS, 65535), 0);
    assert_int_equal(number_at(house->rig.data + 2, 2), 13);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(at[0], kinds[i]);
        assert_int_equal(number_at(at + 5, 3),
                         counts[i] * number_at(at + 2, 2));
        at += 8 + number_at(at + 5, 3);
    }
    assert_ptr_equal(at, house->rig.data + house->rig.last.transferred);
}

static void
read_status__start_and_number__count_elements_that_exist(void **state)
{
    struct house *house = *state;
    const uint8_t *data = house->rig.data;

    /* From a gap on; only so many; of all kinds. */
    assert_int_equal(status_of(house, 0, 100, 3, 0, 65535), 0);
    assert_int_equal(number_at(data, 2), DRIVE);
    assert_int_equal(number_at(data + 2, 2), 3);
    assert_int_equal(data[8], 4);
    assert_int_equal(number_at(data + 13, 3), 2 * 12);
    assert_int_equal(data[8 + 8 + 24], 2);
    assert_int_equal(number_at(data + 8 + 8 + 24 + 8, 2), SLOT);
    /* Slots from one on. */
    assert_int_equal(status_of(house, 2, SLOT + 6, 100, 0, 65535), 0);
    assert_int_equal(number_at(data, 2), SLOT + 6);
    assert_int_equal(number_at(data + 2, 2), 2);
    /* Behind the last element there is nothing. */
    assert_int_equal(status_of(house, 2, SLOT + 8, 1, 0, 65535), 0x052101);
    /* Drives from behind the drives, but before the slots: none. */
    assert_int_equal(status_of(house, 4, DRIVE + 2, 9, 0, 65535), 0);
    assert_int_equal(number_at(data + 2, 2), 0);
    assert_int_equal(house->rig.last.transferred, 8);
    assert_int_equal(status_of(house, 5, 0, 1, 0, 65535), 0x052400);
}

static void
read_status__small_allocation__cuts_the_data_and_not_the_counts(void **state)
{
    struct house *house = *state;
    uint8_t whole[1024];

    assert_int_equal(status_of(house, 2, 0, 0xffff, TAGS, 1024), 0);
    memcpy(whole, house->rig.data, sizeof whole);
    for (uint32_t alloc = 0; alloc < 8 + 8 + 8 * 48; alloc += 13) {
        memset(house->rig.data, 0xEE, 1024);
        assert_int_equal(status_of(house, 2, 0, 0xffff, TAGS, alloc), 0);
        assert_int_equal(house->rig.last.transferred, alloc);
        assert_memory_equal(house->rig.data, whole, alloc);
        assert_int_equal(house->rig.data[alloc], 0xEE);
    }
}

static void
read_status__dvcid__names_the_drives(void **state)
{
    struct house *house = *state;
    const uint8_t *at = house->rig.data + 16;

    assert_int_equal(status_of(house, 4, 0, 9, DVCID, 65535), 0);
    assert_int_equal(number_at(house->rig.data + 10, 2), 12 + 4 + 34);
    assert_int_equal(at[12], 2);
    assert_int_equal(at[13], 1);
    assert_int_equal(at[15], 34);
    assert_memory_equal(at + 16, "REINSERTREMOVABLE DISK  DRIVE0    ", 34);
}

static void
move__slot_to_drive__loads_the_image_and_remembers_the_slot(void **state)
{
    struct house *house = *state;
    const uint8_t *at;

    assert_int_equal(drive_tur(house, 0), 0x062900);
    assert_int_equal(drive_tur(house, 0), 0x023A00);
    assert_int_equal(move(house, SLOT + 2, DRIVE), 0);
    assert_string_equal(image_in(house, 0), "vol003L6.img");
    assert_int_equal(drive_tur(house, 0), 0x062800);
    assert_int_equal(drive_tur(house, 0), 0);
    at = descriptor(house, 4, DRIVE);
    assert_int_equal(at[2] & 0x05, 0x01);
    assert_int_equal(at[9] & 0x80, 0x80);
    assert_int_equal(number_at(at + 10, 2), SLOT + 2);
    assert_memory_equal(at + 12, "VOL003L6 ", 9);
    assert_int_equal(descriptor(house, 2, SLOT + 2)[2] & 1, 0);
    /* On to the next drive, and home: the source stays the slot. */
    assert_int_equal(move(house, DRIVE, DRIVE + 1), 0);
    assert_string_equal(image_in(house, 0), "");
    assert_int_equal(drive_tur(house, 0), 0x023A00);
    assert_int_equal(number_at(descriptor(house, 4, DRIVE + 1) + 10, 2),
                     SLOT + 2);
    assert_int_equal(move(house, DRIVE + 1, SLOT + 7), 0);
    assert_string_equal(label_in(house, VSCSI_ELEMENT_SLOT, 7), "VOL003L6");
    assert_int_equal(count_cartridges(house), 4);
}

static void
move__wrong_elements__are_refused_by_name(void **state)
{
    struct house *house = *state;
    struct rig *rig = &house->rig;

    assert_int_equal(move(house, SLOT + 5, DRIVE), 0x053B0E);
    assert_int_equal(move(house, SLOT, SLOT + 1), 0x053B0D);
    assert_int_equal(move(house, 999, DRIVE), 0x052101);
    assert_int_equal(move(house, SLOT, SLOT + 8), 0x052101);
    /* No transport 2; a slot is no transport. */
    assert_int_equal(NONE(rig, 0xA5, 0, 0, 2, HI(SLOT), 0, 1, 0, 0, 0, 0, 0),
                     0x052101);
    assert_int_equal(
        NONE(rig, 0xA5, 0, HI(SLOT), 0, HI(SLOT), 0, 1, 0, 0, 0, 0, 0),
        0x052101);
    /* Nothing can be turned over. */
    assert_int_equal(NONE(rig, 0xA5, 0, 0, 1, HI(SLOT), 0, 1, 0, 0, 0, 1, 0),
                     0x052400);
    /* The default transport. */
    assert_int_equal(NONE(rig, 0xA5, 0, 0, 0, HI(SLOT), 0, 1, 0, 0, 0, 0, 0),
                     0);
    assert_int_equal(move(house, SLOT + 1, SLOT + 1), 0);
    assert_int_equal(count_cartridges(house), 4);
}

static void
move__drive_that_prevents_removal__is_not_emptied(void **state)
{
    struct house *house = *state;
    struct rig *rig = &house->rig;
    struct vscsi_nexus *robot = rig->nexus;

    assert_int_equal(move(house, SLOT, DRIVE), 0);
    rig->nexus = house->initiators[0];
    while (TUR(rig) >> 16 == 6)
        ;
    assert_int_equal(NONE(rig, 0x1E, 0, 0, 0, 1, 0), 0);
    rig->nexus = robot;
    assert_int_equal(move(house, DRIVE, SLOT), 0x055302);
    assert_string_equal(image_in(house, 0), "vol001L6.img");
    assert_int_equal(descriptor(house, 4, DRIVE)[2] & 0x08, 0);
    rig->nexus = house->initiators[0];
    assert_int_equal(NONE(rig, 0x1E, 0, 0, 0, 0, 0), 0);
    rig->nexus = robot;
    assert_int_equal(move(house, DRIVE, SLOT), 0);
}

static void
move__to_the_transport_and_on__takes_two_commands(void **state)
{
    struct house *house = *state;

    assert_int_equal(move(house, SLOT, ARM), 0);
    assert_string_equal(label_in(house, VSCSI_ELEMENT_TRANSPORT, 0),
                        "VOL001L6");
    assert_int_equal(descriptor(house, 1, ARM)[2], 0x01);
    assert_int_equal(move(house, SLOT + 1, DRIVE), 0x053B0D);
    assert_int_equal(move(house, ARM, DRIVE), 0);
    assert_int_equal(element(house, VSCSI_ELEMENT_DRIVE, 0).source, SLOT);
}

static void
move__incompatible_image__lies_in_the_drive_unloaded(void **state)
{
    struct house *house = *state;
    char path[256];

    snprintf(path, sizeof path, "%s/vol001L6.img", house->media);
    assert_int_equal(truncate(path, 1000), 0);
    assert_int_equal(move(house, SLOT, DRIVE), 0x033000);
    assert_true(element(house, VSCSI_ELEMENT_DRIVE, 0).full);
    assert_false(element(house, VSCSI_ELEMENT_DRIVE, 0).loaded);
    assert_int_equal(move(house, DRIVE, SLOT), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(move(house, SLOT, DRIVE), 0x045309);
    assert_int_equal(move(house, DRIVE, SLOT), 0);
    assert_int_equal(count_cartridges(house), 4);
}

static void
exchange__drive_and_slot__swaps_or_passes_on(void **state)
{
    struct house *house = *state;

    assert_int_equal(move(house, SLOT, DRIVE), 0);
    /* Slot 2 to the drive, the drive's to slot 1. */
    assert_int_equal(exchange(house, SLOT + 1, DRIVE, SLOT), 0);
    assert_string_equal(image_in(house, 0), "vol002L6.img");
    assert_string_equal(label_in(house, VSCSI_ELEMENT_SLOT, 0), "VOL001L6");
    /* A true swap. */
    assert_int_equal(exchange(house, SLOT + 2, DRIVE, SLOT + 2), 0);
    assert_string_equal(image_in(house, 0), "vol003L6.img");
    assert_string_equal(label_in(house, VSCSI_ELEMENT_SLOT, 2), "VOL002L6");
    assert_int_equal(exchange(house, SLOT + 7, DRIVE, SLOT + 6), 0x053B0E);
    assert_int_equal(exchange(house, SLOT, DRIVE + 1, SLOT + 6), 0x053B0E);
    assert_int_equal(exchange(house, SLOT, DRIVE, SLOT + 3), 0x053B0D);
    assert_int_equal(exchange(house, SLOT, DRIVE, 77), 0x052101);
    assert_int_equal(exchange(house, SLOT, SLOT, SLOT + 3), 0x052400);
    assert_int_equal(count_cartridges(house), 4);
}

static void
position_and_rezero__of_an_idle_robot__succeed(void **state)
{
    struct house *house = *state;
    struct rig *rig = &house->rig;

    assert_int_equal(NONE(rig, 0x2B, 0, 0, 1, HI(SLOT), 3, 0, 0, 0, 0), 0);
    assert_int_equal(NONE(rig, 0x2B, 0, 0, 1, 0, 99, 0, 0, 0, 0), 0x052101);
    assert_int_equal(NONE(rig, 0x2B, 0, 0, 1, 0, 1, 0, 0, 0, 0), 0x052101);
    assert_int_equal(NONE(rig, 0x2B, 0, 0, 1, HI(SLOT), 3, 0, 0, 1, 0),
                     0x052400);
    assert_int_equal(NONE(rig, 0x01, 0, 0, 0, 0, 0), 0);
}

static void
initialize__all_or_a_range__succeeds_and_knows_its_elements(void **state)
{
    struct house *house = *state;
    struct rig *rig = &house->rig;

    assert_int_equal(NONE(rig, 0x07, 0, 0, 0, 0, 0), 0);
    assert_int_equal(NONE(rig, 0x37, 1, HI(SLOT), 0, 0, 0, 0, 2, 0, 0), 0);
    assert_int_equal(NONE(rig, 0xE7, 1, HI(SLOT), 0, 0, 0, 0, 2, 0, 0x80), 0);
    assert_int_equal(NONE(rig, 0x37, 1, 0, 99, 0, 0, 0, 2, 0, 0), 0x052101);
    assert_int_equal(NONE(rig, 0x37, 0, 0, 99, 0, 0, 0, 2, 0, 0), 0);
}

static void
unknown_commands__of_disks__are_refused(void **state)
{
    struct house *house = *state;
    struct rig *rig = &house->rig;
    char text[200];

    assert_int_equal(IN(rig, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 0x052000);
    assert_int_equal(IN(rig, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0x052000);
    assert_int_equal(vscsi_insert(rig->drive, house->state, text, sizeof text),
                     -EINVAL);
    assert_int_equal(vscsi_yank(rig->drive), -ENOENT);
}

static void
new__bad_configurations__are_named(void **state)
{
    struct house *house = *state;
    struct vscsi_library_config config = house->config;
    char text[300] = "";

    house_close(house);
    config.personality = "no-such";
    assert_null(vscsi_library_new(&config, text, sizeof text));
    assert_non_null(strstr(text, "no-such"));
    config = house->config;
    config.slots = 3;
    config.state_file = NULL;
    assert_null(vscsi_library_new(&config, text, sizeof text));
    assert_non_null(strstr(text, "vol004L6.img"));
    config = house->config;
    config.media_dir = "/no/such";
    assert_null(vscsi_library_new(&config, text, sizeof text));
    assert_non_null(strstr(text, "/no/such"));
    config = house->config;
    config.slots = 61441;
    assert_null(vscsi_library_new(&config, text, sizeof text));
    config = house->config;
    config.mail_slots = 241;
    assert_null(vscsi_library_new(&config, text, sizeof text));
    config = house->config;
    snprintf(text, sizeof text, "%s/vol001L6.img", house->media);
    assert_int_equal(vscsi_insert(house->drives[1], text, NULL, 0), 0);
    assert_null(vscsi_library_new(&config, text, sizeof text));
    assert_non_null(strstr(text, "DRIVE1"));
    assert_int_equal(vscsi_yank(house->drives[1]), 0);
    house_open(house);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        HTEST(inquiry__of_a_robot__is_a_removable_changer_with_a_reader, plain),
        HTEST(mode_sense__element_addresses__tells_first_and_count_of_each_kind,
              plain),
        HTEST(mode_sense__transports_and_capabilities__agree_with_what_works,
              plain),
        HTEST(read_status__of_one_kind__has_header_page_and_descriptors, plain),
        HTEST(read_status__without_voltag__has_no_tag_field, plain),
        HTEST(read_status__of_all_kinds__is_in_the_order_of_the_addresses,
              plain),
        HTEST(read_status__start_and_number__count_elements_that_exist, plain),
        HTEST(read_status__small_allocation__cuts_the_data_and_not_the_counts,
              plain),
        HTEST(read_status__dvcid__names_the_drives, plain),
        HTEST(move__slot_to_drive__loads_the_image_and_remembers_the_slot,
              plain),
        HTEST(move__wrong_elements__are_refused_by_name, plain),
        HTEST(move__drive_that_prevents_removal__is_not_emptied, plain),
        HTEST(move__to_the_transport_and_on__takes_two_commands, plain),
        HTEST(move__incompatible_image__lies_in_the_drive_unloaded, plain),
        HTEST(exchange__drive_and_slot__swaps_or_passes_on, plain),
        HTEST(position_and_rezero__of_an_idle_robot__succeed, plain),
        HTEST(initialize__all_or_a_range__succeeds_and_knows_its_elements,
              plain),
        HTEST(unknown_commands__of_disks__are_refused, plain),
        HTEST(new__bad_configurations__are_named, plain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
