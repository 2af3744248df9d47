/*
 * t_smc.c - tags, reservations, logs, attributes of a robot
 *
 * SPDX-License-Identifier: MIT
 */
#include "house.h"

HOUSE(plain, 4, .slots = 8, .mail_slots = 2)
HOUSE(no_reader, 4, .slots = 8, .mail_slots = 2, .no_reader = true)

/* --- volume tags ---------------------------------------------------------- */

static uint32_t
send_tag(struct house *house, unsigned address, unsigned action,
         const char *text)
{
    memset(house->rig.data, 0, 40);
    memset(house->rig.data, ' ', 32);
    memcpy(house->rig.data, text, strlen(text));
    house->rig.data[38] = house->rig.data[39] = 0xff;
    return OUT(&house->rig, 40, 0xB6, 0, HI(address), LO(address), 0,
               (uint8_t) action, 0, 0, 0, 40, 0, 0);
}

static uint32_t
request_address(struct house *house, uint32_t alloc)
{
    return IN(&house->rig, alloc, 0xB5, TAGS, 0, 0, 0xff, 0xff, 0, 0, HI(alloc),
              LO(alloc), 0, 0);
}

static void
search__with_wildcards__tells_each_match_once(void **state)
{
    struct house *house = *state;
    const uint8_t *data = house->rig.data;

    assert_int_equal(request_address(house, 4096), 0x052C00);
    assert_int_equal(send_tag(house, 0, 5, "VOL00?L6"), 0);
    assert_int_equal(request_address(house, 4096), 0);
    assert_int_equal(number_at(data + 2, 2), 4);
    assert_int_equal(data[4] & 0x1f, 5);
    assert_int_equal(number_at(data + 16, 2), SLOT);
    assert_memory_equal(data + 28, "VOL001L6", 8);
    assert_int_equal(request_address(house, 4096), 0);
    assert_int_equal(number_at(data + 2, 2), 0);
    /* Two fit; the rest comes with the next command. */
    assert_int_equal(send_tag(house, 0, 5, "VOL*"), 0);
    assert_int_equal(request_address(house, 16 + 2 * 48), 0);
    assert_int_equal(number_at(data + 2, 2), 4);
    assert_int_equal(request_address(house, 16 + 2 * 48), 0);
    assert_int_equal(number_at(data + 2, 2), 2);
    assert_memory_equal(data + 28, "VOL003L6", 8);
    assert_int_equal(send_tag(house, 0, 5, "VOL009L6"), 0);
    assert_int_equal(request_address(house, 4096), 0);
    assert_int_equal(number_at(data + 2, 2), 0);
    assert_int_equal(send_tag(house, 0, 3, "VOL*"), 0x052400);
    assert_int_equal(
        OUT(&house->rig, 20, 0xB6, 0, 0, 0, 0, 5, 0, 0, 0, 20, 0, 0), 0x051A00);
}

static void
assigned_tags__live_on_and_travel_with_the_cartridge(void **state)
{
    struct house *house = *state;
    const uint8_t *at;

    assert_int_equal(IN(&house->rig, 96, 0x12, 0, 0, 0, 96, 0), 0);
    assert_int_equal(house->rig.data[55] & 1, 0);
    at = descriptor(house, 2, SLOT);
    assert_int_equal(house->rig.data[9], 0x00); /* no tag field at all */
    assert_int_equal(send_tag(house, SLOT, 8, "MINE"), 0);
    assert_int_equal(send_tag(house, SLOT, 8, "OTHER"), 0x052C00);
    assert_int_equal(send_tag(house, SLOT, 10, "YOURS"), 0);
    assert_int_equal(send_tag(house, SLOT, 9, "BACK"), 0);
    assert_int_equal(send_tag(house, SLOT, 9, "B*"), 0x052600);
    assert_int_equal(send_tag(house, SLOT + 7, 8, "AIR"), 0x053B0E);
    assert_int_equal(move(house, SLOT, SLOT + 7), 0);
    house_close(house);
    house_open(house);
    at = descriptor(house, 2, SLOT + 7);
    assert_int_equal(house->rig.data[9], 0xC0);
    assert_int_equal(number_at(house->rig.data + 10, 2), 84);
    assert_memory_equal(at + 12, "YOURS    ", 9);
    assert_memory_equal(at + 48, "BACK     ", 9);
    assert_int_equal(send_tag(house, 0, 6, "BACK"), 0);
    assert_int_equal(request_address(house, 4096), 0);
    assert_int_equal(number_at(house->rig.data + 2, 2), 1);
    assert_int_equal(send_tag(house, SLOT + 7, 12, ""), 0);
    assert_int_equal(send_tag(house, SLOT + 7, 13, ""), 0);
    (void) descriptor(house, 2, SLOT + 7);
    assert_int_equal(house->rig.data[9], 0);
}

static void
label__is_nobodys_to_assign(void **state)
{
    struct house *house = *state;

    assert_int_equal(send_tag(house, SLOT, 8, "MINE"), 0x052400);
}

/* --- reservations --------------------------------------------------------- */

static uint32_t
pr_out(struct house *house, unsigned action, unsigned type, uint8_t key,
       uint8_t new_key)
{
    memset(house->rig.data, 0, 24);
    house->rig.data[7] = key;
    house->rig.data[15] = new_key;
    assert_true(start_on(
        &house->rig, house->rig.nexus,
        CDB(0x5F, (uint8_t) action, (uint8_t) type, 0, 0, 0, 0, 0, 24, 0),
        VSCSI_TO_DRIVE, 24, 0));
    return house->rig.last.status == 0x18 ? 0x18 : sense_of(&house->rig.last);
}

static uint8_t
status_byte(struct house *house, const uint8_t *cdb, size_t len)
{
    assert_true(start_on(&house->rig, house->rig.nexus, cdb, len,
                         VSCSI_FROM_DRIVE, 255, 0));
    return house->rig.last.status;
}

static void
become(struct house *house, struct vscsi_nexus *nexus)
{
    house->rig.nexus = nexus;
}

static void
persistent_reservation__keeps_others_from_moving(void **state)
{
    struct house *house = *state;
    struct vscsi_nexus *a = house->rig.nexus;
    struct vscsi_nexus *b = vscsi_nexus_new(house->rig.drive, NULL, NULL);
    const uint8_t *data = house->rig.data;

    assert_int_equal(pr_out(house, 1, 1, 5, 0), 0x18); /* not registered */
    assert_int_equal(pr_out(house, 0, 0, 0, 5), 0);
    assert_int_equal(pr_out(house, 1, 1, 6, 0), 0x18); /* the wrong key */
    assert_int_equal(pr_out(house, 1, 1, 5, 0), 0);
    become(house, b);
    assert_int_equal(TUR(&house->rig), 0x062900);
    assert_int_equal(
        status_byte(house, CDB(0xA5, 0, 0, 1, HI(SLOT), 0, 1, 0, 0, 0, 0, 0)),
        0x18);
    assert_int_equal(status_byte(house, CDB(0x07, 0, 0, 0, 0, 0)), 0x18);
    assert_int_equal(TUR(&house->rig), 0);
    assert_int_equal(status_of(house, 2, 0, 9, 0, 255), 0); /* may read */
    assert_int_equal(IN(&house->rig, 255, 0x5E, 0, 0, 0, 0, 0, 0, 0, 255, 0),
                     0);
    assert_int_equal(number_at(data + 4, 4), 8);
    assert_int_equal(number_at(data + 8, 8), 5);
    assert_int_equal(IN(&house->rig, 255, 0x5E, 1, 0, 0, 0, 0, 0, 0, 255, 0),
                     0);
    assert_int_equal(number_at(data + 4, 4), 16);
    assert_int_equal(number_at(data + 8, 8), 5);
    assert_int_equal(data[21], 1);
    /* Preempted by b. */
    assert_int_equal(pr_out(house, 0, 0, 0, 9), 0);
    assert_int_equal(pr_out(house, 4, 3, 9, 5), 0);
    assert_int_equal(move(house, SLOT, SLOT + 7), 0);
    become(house, a);
    assert_int_equal(
        status_byte(house, CDB(0xA5, 0, 0, 1, HI(SLOT), 7, 1, 0, 0, 0, 0, 0)),
        0x18);
    assert_int_equal(TUR(&house->rig), 0x062A05);
    /* Exclusive: reading only with CurData. */
    assert_int_equal(
        status_byte(house, CDB(0xB8, 2, 0, 0, 0, 9, 0, 0, 0, 255, 0, 0)), 0x18);
    assert_int_equal(
        status_byte(house, CDB(0xB8, 2, 0, 0, 0, 9, 2, 0, 0, 255, 0, 0)), 0);
    /* Gone with its nexus. */
    vscsi_nexus_free(b);
    assert_int_equal(move(house, SLOT + 7, SLOT), 0);
}

static void
registrants__share_and_are_told_of_the_release(void **state)
{
    struct house *house = *state;
    struct vscsi_nexus *a = house->rig.nexus;
    struct vscsi_nexus *b = vscsi_nexus_new(house->rig.drive, NULL, NULL);

    assert_int_equal(pr_out(house, 6, 0, 77, 1), 0);
    assert_int_equal(pr_out(house, 1, 6, 1, 0), 0);
    become(house, b);
    assert_int_equal(TUR(&house->rig), 0x062900);
    assert_int_equal(pr_out(house, 0, 0, 0, 2), 0);
    assert_int_equal(move(house, SLOT, SLOT + 7), 0);
    become(house, a);
    assert_int_equal(pr_out(house, 2, 5, 1, 0), 0x052604);
    assert_int_equal(pr_out(house, 2, 6, 1, 0), 0);
    become(house, b);
    assert_int_equal(TUR(&house->rig), 0x062A04);
    assert_int_equal(pr_out(house, 3, 0, 2, 0), 0);
    become(house, a);
    assert_int_equal(TUR(&house->rig), 0x062A03);
    vscsi_nexus_free(b);
}

static void
reserve_6__excludes_others_until_release_or_reset(void **state)
{
    struct house *house = *state;
    struct vscsi_nexus *a = house->rig.nexus;
    struct vscsi_nexus *b = vscsi_nexus_new(house->rig.drive, NULL, NULL);
    const uint8_t reserve[6] = { 0x16 }, release[6] = { 0x17 };
    const uint8_t scan[6] = { 0x07 };

    assert_int_equal(status_byte(house, reserve, 6), 0);
    become(house, b);
    assert_int_equal(TUR(&house->rig), 0x062900);
    assert_int_equal(status_byte(house, reserve, 6), 0x18);
    assert_int_equal(status_byte(house, scan, 6), 0x18);
    assert_int_equal(status_byte(house, release, 6), 0); /* nothing happens */
    assert_int_equal(status_byte(house, scan, 6), 0x18);
    vscsi_reset(house->rig.drive);
    assert_int_equal(TUR(&house->rig), 0x062900);
    assert_int_equal(status_byte(house, scan, 6), 0);
    vscsi_nexus_free(b);
    become(house, a);
}

/* --- logs and the like ---------------------------------------------------- */

static void
tape_alert__is_told_once_to_each(void **state)
{
    struct house *house = *state;
    const uint8_t *data = house->rig.data;

    assert_int_equal(vscsi_library_door(house->library, true, NULL, 0), 0);
    assert_int_equal(vscsi_library_door(house->library, false, NULL, 0), 0);
    assert_int_equal(TUR(&house->rig), 0x062800);
    assert_int_equal(
        IN(&house->rig, 400, 0x4D, 0, 0x2E, 0, 0, 0, 0, 1, 0x90, 0), 0);
    assert_int_equal(house->rig.last.transferred, 324);
    assert_int_equal(number_at(data, 4), 0x2E000140);
    for (unsigned i = 0; i < 64; i++) {
        assert_int_equal(number_at(data + 4 + 5 * i, 2), i + 1);
        assert_int_equal(data[8 + 5 * i], i + 1 == 16); /* the door */
    }
    assert_int_equal(
        IN(&house->rig, 400, 0x4D, 0, 0x2E, 0, 0, 0, 0, 1, 0x90, 0), 0);
    assert_int_equal(data[8 + 5 * 15], 0);
    assert_int_equal(IN(&house->rig, 9, 0x4D, 0, 0, 0, 0, 0, 0, 0, 9, 0), 0);
    assert_int_equal(data[5], 0x2E);
    assert_int_equal(IN(&house->rig, 9, 0x4D, 0, 7, 0, 0, 0, 0, 0, 9, 0),
                     0x052400);
}

static void
read_attribute__of_a_slot__tells_the_bar_code(void **state)
{
    struct house *house = *state;
    const uint8_t *data = house->rig.data;

    assert_int_equal(IN(&house->rig, 255, 0x8C, 0, HI(SLOT), 1, 2, 0, 0, 0, 8,
                        0, 0, 0, 0, 255, 0, 0),
                     0);
    assert_int_equal(number_at(data, 4), 37);
    assert_int_equal(number_at(data + 4, 2), 0x0806);
    assert_int_equal(number_at(data + 7, 2), 32);
    assert_memory_equal(data + 9, "VOL002L6                ", 24);
    assert_int_equal(IN(&house->rig, 255, 0x8C, 1, HI(SLOT), 1, 2, 0, 0, 0, 0,
                        0, 0, 0, 0, 255, 0, 0),
                     0);
    assert_int_equal(number_at(data, 4), 6);
    assert_int_equal(IN(&house->rig, 255, 0x8C, 0, HI(SLOT), 7, 2, 0, 0, 0, 0,
                        0, 0, 0, 0, 255, 0, 0),
                     0x023A00);
    assert_int_equal(IN(&house->rig, 255, 0x8C, 0, HI(SLOT), 7, 4, 0, 0, 0, 0,
                        0, 0, 0, 0, 255, 0, 0),
                     0x052101);
}

static void
supported_opcodes__agree_and_give_timeouts(void **state)
{
    struct house *house = *state;
    const uint8_t *data = house->rig.data;

    assert_int_equal(
        IN(&house->rig, 64, 0xA3, 0x0C, 0x81, 0xA5, 0, 0, 0, 0, 0, 64, 0, 0),
        0);
    assert_int_equal(data[1], 0x83);
    assert_int_equal(number_at(data + 2, 2), 12);
    assert_int_equal(number_at(data + 16, 2), 10);
    assert_true(number_at(data + 24, 4) >= 60);
    assert_int_equal(
        IN(&house->rig, 64, 0xA3, 0x0C, 1, 0x28, 0, 0, 0, 0, 0, 64, 0, 0), 0);
    assert_int_equal(data[1] & 7, 1);
}

static void
diagnostics_and_sense__of_a_healthy_robot__are_good(void **state)
{
    struct house *house = *state;
    struct rig *rig = &house->rig;

    assert_int_equal(NONE(rig, 0x1D, 4, 0, 0, 0, 0), 0);
    assert_int_equal(IN(rig, 8, 0x1C, 1, 0, 0, 8, 0), 0);
    assert_int_equal(IN(rig, 18, 0x03, 0, 0, 0, 18, 0), 0);
    assert_int_equal(rig->data[2], 0);
    assert_int_equal(vscsi_library_door(house->library, true, NULL, 0), 0);
    assert_int_equal(NONE(rig, 0x1D, 4, 0, 0, 0, 0), 0x020418);
    assert_int_equal(IN(rig, 18, 0x03, 0, 0, 0, 18, 0), 0);
    assert_int_equal(rig->data[12], 0x04);
    assert_int_equal(rig->data[13], 0x18);
    assert_int_equal(IN(rig, 16, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0), 0);
    assert_int_equal(number_at(rig->data, 4), 8);
}

static void
d_sense__by_mode_select__changes_the_format_and_is_told(void **state)
{
    struct house *house = *state;
    struct rig *rig = &house->rig;
    struct vscsi_nexus *a = rig->nexus;
    struct vscsi_nexus *b = vscsi_nexus_new(rig->drive, NULL, NULL);

    memset(rig->data, 0, 16);
    rig->data[4] = 0x0A;
    rig->data[5] = 10;
    rig->data[6] = 0x04;
    assert_int_equal(OUT(rig, 16, 0x15, 0x10, 0, 0, 16, 0), 0);
    assert_int_equal(move(house, SLOT + 7, SLOT), 0x053B0E);
    assert_int_equal(rig->last.sense[0], 0x72);
    become(house, b);
    assert_int_equal(TUR(rig), 0x062900);
    assert_int_equal(TUR(rig), 0x062A01);
    become(house, a);
    vscsi_nexus_free(b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        HTEST(search__with_wildcards__tells_each_match_once, plain),
        HTEST(assigned_tags__live_on_and_travel_with_the_cartridge, no_reader),
        HTEST(label__is_nobodys_to_assign, plain),
        HTEST(persistent_reservation__keeps_others_from_moving, plain),
        HTEST(registrants__share_and_are_told_of_the_release, plain),
        HTEST(reserve_6__excludes_others_until_release_or_reset, plain),
        HTEST(tape_alert__is_told_once_to_each, plain),
        HTEST(read_attribute__of_a_slot__tells_the_bar_code, plain),
        HTEST(supported_opcodes__agree_and_give_timeouts, plain),
        HTEST(diagnostics_and_sense__of_a_healthy_robot__are_good, plain),
        HTEST(d_sense__by_mode_select__changes_the_format_and_is_told, plain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
