/*
 * t_personality.c - every kind of library: what it shares, what it is known for
 *
 * SPDX-License-Identifier: MIT
 */
#include "house.h"

/* What page 1Dh says: first and count, by element type. */
struct places {
    unsigned first[5], count[5];
};

static struct house *
house_of(const char *personality)
{
    struct vscsi_library_config config = {
        .personality = personality,
        .drive_count = strcmp(personality, "autoloader") == 0 ? 1 : 2,
        .mail_slots = strcmp(personality, "autoloader") == 0 ? 0 : 1,
    };

    return house_new(&config, 4);
}

static void
read_places(struct house *house, struct places *places)
{
    const uint8_t *page;

    assert_int_equal(IN(&house->rig, 255, 0x1A, 0, 0x1D, 0, 255, 0), 0);
    page = house->rig.data + 4 + house->rig.data[3];
    assert_int_equal(page[0], 0x1D);
    for (unsigned type = 1; type < 5; type++) {
        places->first[type] = (unsigned) number_at(page + 4 * type - 2, 2);
        places->count[type] = (unsigned) number_at(page + 4 * type, 2);
    }
}

static uint32_t
move_with(struct house *house, const struct places *places, unsigned from,
          unsigned to)
{
    unsigned arm = places->first[1];

    return NONE(&house->rig, 0xA5, 0, HI(arm), LO(arm), HI(from), LO(from),
                HI(to), LO(to), 0, 0, 0, 0);
}

static void
eject(struct house *house)
{
    struct vscsi_nexus *robot = house->rig.nexus;

    house->rig.nexus = house->initiators[0];
    while (TUR(&house->rig) >> 16 == 6)
        ;
    assert_int_equal(NONE(&house->rig, 0x1B, 0, 0, 0, 2, 0), 0);
    house->rig.nexus = robot;
}

/* One kind at a time, few flags, little space: all of them can do that. */
static void
check_slots(struct house *house, const struct places *places, unsigned full)
{
    const uint8_t *data = house->rig.data;
    unsigned seen = 0, count = 0, length;

    assert_int_equal(
        status_of(house, 2, places->first[2], places->count[2], 0, 4096), 0);
    assert_int_equal(number_at(data + 2, 2), places->count[2]);
    assert_int_equal(data[8], 2);
    length = (unsigned) number_at(data + 10, 2);
    assert_true(length >= 12);
    for (size_t at = 16; at + 12 <= house->rig.last.transferred; at += length) {
        assert_int_equal(number_at(data + at, 2), places->first[2] + count++);
        seen += data[at + 2] & 1;
    }
    assert_int_equal(seen, full);
    assert_true(count + 1 >= places->count[2]); /* one of them cuts */
}

static void
every_personality__moves_media_by_its_own_addresses(void **state)
{
    const char *name, *about;

    for (unsigned n = 0; (name = vscsi_library_personality(n, &about)) != NULL;
         n++) {
        struct house *house = house_of(name);
        struct places places;
        unsigned slot, drive;

        assert_true(strlen(about) > 10);
        read_places(house, &places);
        slot = places.first[2];
        drive = places.first[4];
        assert_int_equal(places.count[2], 8);
        check_slots(house, &places, 4);
        assert_int_equal(move_with(house, &places, slot + 1, drive), 0);
        assert_string_equal(image_in(house, 0), "vol002L6.img");
        check_slots(house, &places, 3);
        eject(house);
        assert_int_equal(move_with(house, &places, drive, slot + 6), 0);
        assert_string_equal(label_in(house, VSCSI_ELEMENT_SLOT, 6), "VOL002L6");
        assert_int_equal(count_cartridges(house), 4);
        house_free(house);
    }
}

/* --- what each is known for ----------------------------------------------- */

/* A command to a fresh library, and how it ends: sense, or bytes of data. */
struct trait {
    const char *name;
    uint8_t cdb[12];
    unsigned cdb_len;
    uint32_t sense;
    unsigned at, value; /* a byte of the reply; value 256: any */
};

#define STATUS(type, flags_6, alloc_hi, alloc_mid, alloc_lo)                   \
    { 0xB8, type, 0, 0, 0xff, 0xff, flags_6, alloc_hi, alloc_mid, alloc_lo }, 12

static const struct trait traits[] = {
    { "no-dvcid", STATUS(4, DVCID, 0, 16, 0), 0x052400, 0, 256 },
    { "dvcid-drives", STATUS(2, DVCID, 0, 16, 0), 0x052400, 0, 256 },
    { "dvcid-drives", STATUS(4, DVCID, 0, 16, 0), 0, 16 + 13, 0 },
    { "serial-only", STATUS(4, DVCID, 0, 16, 0), 0, 16 + 15, 10 },
    { "no-curdata", STATUS(2, CURDATA, 0, 16, 0), 0x052400, 0, 256 },
    { "no-reader", STATUS(2 | TAGS, 0, 0, 16, 0), 0, 9, 0 },
    { "no-voltag", STATUS(2 | TAGS, 0, 0, 16, 0), 0x052400, 0, 256 },
    { "small-replies", STATUS(2, 0, 0, 16, 0), 0, 8, 2 },
    { "small-replies", STATUS(2, 0, 0, 16, 1), 0x052400, 0, 256 },
    { "one-type", STATUS(0, 0, 0, 16, 0), 0x052400, 0, 256 },
    { "one-type", STATUS(3, 0, 0, 16, 0), 0, 8, 3 },
    { "thousand",
      { 0xB8, 2, 0, 0, 3, 0xE9, 0, 0, 16, 0 },
      12,
      0x052400,
      0,
      256 },
    { "thousand", { 0xB8, 2, 0, 0, 3, 0xE8, 0, 0, 16, 0 }, 12, 0, 3, 8 },
    { "avoltag-lies", STATUS(2 | TAGS, 0, 0, 16, 0), 0, 9, 0xC0 },
    { "avoltag-lies", STATUS(2 | TAGS, 0, 0, 16, 0), 0, 11, 48 },
    { "no-capabilities", { 0x1A, 8, 0x1E, 0, 255 }, 6, 0x052400, 0, 256 },
    { "no-capabilities", { 0x1A, 8, 0x1F, 0, 255 }, 6, 0x052400, 0, 256 },
    { "no-capabilities", { 0x1A, 0, 0x1D, 0, 255 }, 6, 0, 3, 8 },
    { "no-capabilities", { 0x1A, 8, 0x1D, 0, 255 }, 6, 0, 3, 0 },
    { "short-capabilities", { 0x1A, 8, 0x1F, 0, 255 }, 6, 0, 5, 0x0E },
    { "false-exchange", { 0x1A, 8, 0x1F, 0, 255 }, 6, 0, 4 + 13, 0x0E },
    { "false-exchange", { 0xA6 }, 12, 0x052000, 0, 256 },
    { "reinsert-vendor", { 0x1A, 8, 0x1F, 0, 255 }, 6, 0, 4 + 13, 0 },
    { "reinsert-vendor", { 0xA6 }, 12, 0x052000, 0, 256 },
    { "classic", { 0x37, 0 }, 10, 0x052000, 0, 256 },
    { "classic", { 0xE7, 0 }, 10, 0, 0, 256 },
    { "autoloader", { 0x4D, 0, 0x2E }, 10, 0x052000, 0, 256 },
    { "autoloader", { 0x1A, 8, 0x1D, 0, 255 }, 6, 0, 4 + 15, 1 },
    { "target", { 0x1E, 0, 0, 0, 1 }, 6, 0x052000, 0, 256 },
    { "target", { 0xB8, 2, 0, 0, 0, 1, 0, 0, 16, 0 }, 12, 0, 3, 8 },
    { "target",
      { 0xB8, 2, 0, 0, 0, 1, 0, 0, 16, 0, 0, 0x40 },
      12,
      0x052400,
      0,
      256 },
    { "target", STATUS(2, 0, 0, 16, 0), 0, 16 + 2, 1 }, /* no Access */
    { "two-transports", { 0x1A, 8, 0x1D, 0, 255 }, 6, 0, 4 + 5, 2 },
    { "two-transports", { 0xA5, 0, 0, 0, 16, 0, 1, 0 }, 12, 0x052101, 0, 256 },
    { "base-zero", { 0x1A, 8, 0x1D, 0, 255 }, 6, 0, 4 + 6, 0 },
    { "base-1000", { 0x1A, 8, 0x1D, 0, 255 }, 6, 0, 4 + 7, 0xE8 },
    { "drives-first", STATUS(0, 0, 0, 16, 0), 0, 8, 4 },
};

static void
every_personality__shows_its_traits(void **state)
{
    for (size_t i = 0; i < sizeof traits / sizeof traits[0]; i++) {
        const struct trait *trait = &traits[i];
        struct house *house = house_of(trait->name);
        uint32_t sense;

        memset(house->rig.data, 0xEE, 512);
        sense = run(&house->rig, trait->cdb, trait->cdb_len, VSCSI_FROM_DRIVE,
                    65536);
        if (sense != trait->sense ||
            (trait->value < 256 && house->rig.data[trait->at] != trait->value))
            fail_msg("%s, command %02X (row %zu): sense %06X, byte %u is "
                     "%02X",
                     trait->name, trait->cdb[0], i, sense, trait->at,
                     house->rig.data[trait->at]);
        house_free(house);
    }
}

static void
alloc_16__forgets_the_upper_bits(void **state)
{
    struct house *house = house_of("alloc-16");

    assert_int_equal(status_of(house, 2, 0, 99, 0, 0x10000), 0);
    assert_int_equal(house->rig.last.transferred, 0);
    house_free(house);
}

static void
target__pages_overlap_and_replies_are_cut(void **state)
{
    struct house *house = house_of("target");
    const uint8_t *data = house->rig.data;

    assert_int_equal(status_of(house, 2, 0, 99, 0, 4096), 0);
    assert_int_equal(house->rig.last.transferred + 8,
                     8 + number_at(data + 5, 3));
    assert_int_equal(status_of(house, 0, 0, 99, 0, 4096), 0);
    assert_true(house->rig.last.transferred + 8 < 8 + number_at(data + 5, 3));
    /* Nothing is told of doors. */
    assert_int_equal(vscsi_library_door(house->library, true, NULL, 0), 0);
    assert_int_equal(vscsi_library_door(house->library, false, NULL, 0), 0);
    assert_int_equal(TUR(&house->rig), 0);
    house_free(house);
}

static void
cleaner_except__raises_it_for_a_healthy_cleaner(void **state)
{
    struct house *house = house_of("cleaner-except");
    const uint8_t *at;

    house_close(house);
    house_file(house, "CLN001L1");
    assert_int_equal(unlink(house->state), 0);
    house_open(house);
    at = descriptor(house, 2, SLOT);
    assert_int_equal(at[2] & 5, 5);
    assert_int_equal(number_at(at + 4, 2), 0x3003);
    house_free(house);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_personality__moves_media_by_its_own_addresses),
        cmocka_unit_test(every_personality__shows_its_traits),
        cmocka_unit_test(alloc_16__forgets_the_upper_bits),
        cmocka_unit_test(target__pages_overlap_and_replies_are_cut),
        cmocka_unit_test(cleaner_except__raises_it_for_a_healthy_cleaner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
