/*
 * Tests for src/vscsi/mmc.c: commands of CD and DVD drives (MMC-6).
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

SETUP(cd, .type = VSCSI_CDROM)

#define CD_BLOCKS (IMAGE_BLOCKS / 4)

/* Media event code, status byte in *out_status. */
static unsigned
media_event(struct rig *rig, uint8_t *out_status)
{
    assert_int_equal(IN(rig, 8, 0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8, 0), 0);
    assert_int_equal(number_at(rig->data, 2), 6);
    assert_int_equal(rig->data[2] & 0x87, 4);
    assert_int_equal(rig->data[3] & 0x10, 0x10);
    *out_status = rig->data[5];
    return rig->data[4] & 15;
}

static void
gesn__a_disc_comes_and_goes(void **state)
{
    struct rig *rig = *state;
    char text[64];
    uint8_t status;

    /* Needs no medium, and lets unit attentions be. */
    assert_int_equal(media_event(rig, &status), 0);
    assert_int_equal(status, 0);
    assert_int_equal(vscsi_insert(rig->drive, rig->a, text, sizeof text), 0);
    assert_int_equal(media_event(rig, &status), 2);
    assert_int_equal(status, 2);
    assert_int_equal(media_event(rig, &status), 0);
    assert_int_equal(rig->last.attention, 0);
    assert_int_equal(TUR(rig), 0x062900);
    assert_int_equal(TUR(rig), 0x062800);
    assert_int_equal(NONE(rig, 0x1E, 0, 0, 0, 1, 0), 0);
    assert_int_equal(vscsi_press_eject(rig->drive), 0);
    assert_int_equal(media_event(rig, &status), 1);
    assert_int_equal(status, 2);
    assert_int_equal(NONE(rig, 0x1E, 0, 0, 0, 0, 0), 0x065A01);
    assert_int_equal(NONE(rig, 0x1E, 0, 0, 0, 0, 0), 0);
    assert_int_equal(NONE(rig, 0x1B, 0, 0, 0, 2, 0), 0);
    assert_int_equal(media_event(rig, &status), 3);
    assert_int_equal(status, 1);
    assert_int_equal(vscsi_insert(rig->drive, rig->b, text, sizeof text), 0);
    assert_int_equal(vscsi_yank(rig->drive), 0);
    assert_int_equal(vscsi_insert(rig->drive, rig->a, text, sizeof text), 0);
    assert_int_equal(media_event(rig, &status), 3);
    assert_int_equal(media_event(rig, &status), 2);
    assert_int_equal(media_event(rig, &status), 0);
}

static void
gesn__classes_and_polling(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(IN(rig, 8, 0x4A, 0, 0, 0, 0x10, 0, 0, 0, 8, 0), 0x052400);
    assert_int_equal(IN(rig, 8, 0x4A, 1, 0, 0, 0x20, 0, 0, 0, 8, 0), 0);
    assert_int_equal(rig->last.transferred, 4);
    assert_int_equal(rig->data[2] & 0x80, 0x80);
    assert_int_equal(IN(rig, 8, 0x4A, 1, 0, 0, 0x5A, 0, 0, 0, 4, 0), 0);
    assert_int_equal(rig->last.transferred, 4);
}

static void
gesn__cd_then_dvd__features_changed(void **state)
{
    struct rig *rig = *state;
    uint8_t status;
    char text[64];

    make_image(rig->b, 0, UINT64_C(4) << 30);
    settle(rig);
    assert_int_equal(media_event(rig, &status), 2);
    assert_int_equal(vscsi_yank(rig->drive), 0);
    assert_int_equal(vscsi_insert(rig->drive, rig->b, text, sizeof text), 0);
    assert_int_equal(IN(rig, 8, 0x4A, 1, 0, 0, 0x12, 0, 0, 0, 8, 0), 0);
    assert_int_equal(rig->data[2] & 0x87, 1);
    assert_int_equal(rig->data[4] & 15, 2);
    assert_int_equal(number_at(rig->data + 6, 2), 1);
    assert_int_equal(IN(rig, 8, 0x4A, 1, 0, 0, 0x12, 0, 0, 0, 8, 0), 0);
    assert_int_equal(rig->data[2] & 0x87, 4);
    assert_int_equal(rig->data[4] & 15, 3);
    assert_int_equal(IN(rig, 8, 0x46, 0, 0, 0, 0, 0, 0, 0, 8, 0), 0);
    assert_int_equal(number_at(rig->data + 6, 2), 0x0010);
}

static void
configuration__profiles_and_features(void **state)
{
    struct rig *rig = *state;
    size_t all, current;

    assert_int_equal(IN(rig, 255, 0x46, 0, 0, 0, 0, 0, 0, 0, 255, 0), 0);
    assert_int_equal(number_at(rig->data + 6, 2), 0);
    assert_int_equal(number_at(rig->data, 4) + 4, rig->last.transferred);
    all = rig->last.transferred;
    assert_int_equal(IN(rig, 255, 0x46, 1, 0, 0, 0, 0, 0, 0, 255, 0), 0);
    current = rig->last.transferred;
    assert_true(current < all);
    settle(rig);
    assert_int_equal(IN(rig, 255, 0x46, 2, 0, 0x1E, 0, 0, 0, 0, 255, 0), 0);
    assert_int_equal(number_at(rig->data + 6, 2), 0x0008);
    assert_int_equal(number_at(rig->data + 8, 2), 0x001E);
    assert_int_equal(rig->data[10] & 1, 1);
    assert_int_equal(rig->last.transferred, 8 + 4 + 4);
    assert_int_equal(IN(rig, 255, 0x46, 3, 0, 0, 0, 0, 0, 0, 255, 0), 0x052400);
}

static void
toc__tracks_sessions_full(void **state)
{
    struct rig *rig = *state;
    uint32_t end = CD_BLOCKS + 150;

    settle(rig);
    assert_int_equal(IN(rig, 100, 0x43, 0, 0, 0, 0, 0, 0, 0, 100, 0), 0);
    assert_int_equal(rig->last.transferred, 20);
    assert_int_equal(number_at(rig->data, 2), 18);
    assert_int_equal(rig->data[2], 1);
    assert_int_equal(rig->data[3], 1);
    assert_int_equal(rig->data[5], 0x14);
    assert_int_equal(rig->data[6], 1);
    assert_int_equal(number_at(rig->data + 8, 4), 0);
    assert_int_equal(rig->data[14], 0xAA);
    assert_int_equal(number_at(rig->data + 16, 4), CD_BLOCKS);
    assert_int_equal(IN(rig, 100, 0x43, 2, 0, 0, 0, 0, 0xAA, 0, 100, 0), 0);
    assert_int_equal(rig->last.transferred, 12);
    assert_int_equal(rig->data[9], end / 75 / 60);
    assert_int_equal(rig->data[10], end / 75 % 60);
    assert_int_equal(rig->data[11], end % 75);
    assert_int_equal(IN(rig, 100, 0x43, 0, 0, 0, 0, 0, 2, 0, 100, 0), 0x052400);
    assert_int_equal(IN(rig, 100, 0x43, 0, 1, 0, 0, 0, 0, 0, 100, 0), 0);
    assert_int_equal(rig->last.transferred, 12);
    assert_int_equal(rig->data[6], 1);
    assert_int_equal(IN(rig, 100, 0x43, 0, 2, 0, 0, 0, 0, 0, 100, 0), 0);
    assert_int_equal(rig->last.transferred, 4 + 4 * 11);
    assert_int_equal(rig->data[4 + 3], 0xA0);
    assert_int_equal(rig->data[4 + 22 + 9], end / 75 % 60);
    assert_int_equal(IN(rig, 100, 0x43, 0, 7, 0, 0, 0, 0, 0, 100, 0), 0x052400);
}

static void
disc_and_track__information(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(TUR(rig), 0x062900);
    assert_int_equal(IN(rig, 34, 0x51, 0, 0, 0, 0, 0, 0, 0, 34, 0), 0x023A01);
    settle(rig);
    assert_int_equal(IN(rig, 34, 0x51, 0, 0, 0, 0, 0, 0, 0, 34, 0), 0);
    assert_int_equal(number_at(rig->data, 2), 32);
    assert_int_equal(rig->data[2] & 0x1f, 0x0E);
    assert_int_equal(IN(rig, 36, 0x52, 1, 0, 0, 0, 1, 0, 0, 36, 0), 0);
    assert_int_equal(number_at(rig->data + 24, 4), CD_BLOCKS);
    assert_int_equal(IN(rig, 36, 0x52, 1, 0, 0, 0, 2, 0, 0, 36, 0), 0x052400);
}

static void
read_cd__user_data_only(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(IN(rig, 4096, 0xBE, 0, 0, 0, 0, 3, 0, 0, 2, 0x10, 0, 0),
                     0);
    assert_int_equal(rig->last.transferred, 4096);
    assert_int_equal(rig->data[4095], 'a');
    assert_int_equal(IN(rig, 2048, 0xBE, 4, 0, 0, 0, 3, 0, 0, 1, 0x10, 0, 0),
                     0x056400);
    assert_int_equal(IN(rig, 2352, 0xBE, 0, 0, 0, 0, 3, 0, 0, 1, 0xF8, 0, 0),
                     0x052400);
    assert_int_equal(IN(rig, 2048, 0xBE, 0, 0, 0, 2, 0, 0, 0, 1, 0x10, 0, 0),
                     0x052100);
    assert_int_equal(IN(rig, 2048, 0xBE, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0), 0);
    assert_int_equal(rig->last.transferred, 0);
}

static void
drive__mode_page_2a_speed_mechanism_type(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(IN(rig, 96, 0x12, 0, 0, 0, 96, 0), 0);
    assert_int_equal(rig->data[0], 0x05);
    assert_int_equal(IN(rig, 255, 0x5A, 0, 0x2A, 0, 0, 0, 0, 0, 255, 0), 0);
    assert_int_equal(rig->data[8], 0x2A);
    assert_int_equal(rig->data[8 + 6] >> 5, 1); /* a tray */
    assert_int_equal(rig->data[8 + 6] & 0x02, 0);
    assert_int_equal(NONE(rig, 0x1E, 0, 0, 0, 1, 0), 0);
    assert_int_equal(IN(rig, 255, 0x5A, 0, 0x2A, 0, 0, 0, 0, 0, 255, 0), 0);
    assert_int_equal(rig->data[8 + 6] & 0x02, 0x02); /* locked */
    assert_int_equal(NONE(rig, 0xBB, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0), 0);
    assert_int_equal(IN(rig, 8, 0xBD, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0), 0);
    assert_int_equal(rig->data[1] & 0x10, 0);
    assert_int_equal(NONE(rig, 0x1E, 0, 0, 0, 0, 0), 0);
    assert_int_equal(vscsi_press_eject(rig->drive), 0);
    assert_int_equal(IN(rig, 8, 0xBD, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0), 0);
    assert_int_equal(rig->data[1] & 0x10, 0x10);
}

static void
capacity__of_the_disc(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(IN(rig, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
    assert_int_equal(number_at(rig->data, 4), CD_BLOCKS - 1);
    assert_int_equal(number_at(rig->data + 4, 4), 2048);
}

/* --- speed ---------------------------------------------------------------- */

/* What mode page 2Ah says: at most, and now. */
static void
speeds(struct rig *rig, unsigned *out_max, unsigned *out_now)
{
    assert_int_equal(IN(rig, 255, 0x5A, 0, 0x2A, 0, 0, 0, 0, 0, 255, 0), 0);
    *out_max = (unsigned) number_at(rig->data + 8 + 8, 2);
    *out_now = (unsigned) number_at(rig->data + 8 + 14, 2);
}

static unsigned
speed_now(struct rig *rig)
{
    unsigned max, now;

    speeds(rig, &max, &now);
    return now;
}

static void
another_disc(struct rig *rig)
{
    char text[64];

    assert_int_equal(vscsi_yank(rig->drive), 0);
    assert_int_equal(vscsi_insert(rig->drive, rig->b, text, sizeof text), 0);
    while (TUR(rig) >> 16 == 6)
        ;
}

static void
set_cd_speed__until_the_medium_changes(void **state)
{
    struct rig *rig = *state;
    unsigned max, now;

    settle(rig);
    speeds(rig, &max, &now);
    assert_int_equal(now, max);
    /* 706 kB/s: four times. */
    assert_int_equal(NONE(rig, 0xBB, 0, 2, 0xC2, 0xff, 0xff, 0, 0, 0, 0, 0, 0),
                     0);
    assert_int_equal(speed_now(rig), 706);
    assert_int_equal(NONE(rig, 0xBB, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0), 0);
    assert_int_equal(speed_now(rig), max);
    assert_int_equal(NONE(rig, 0xBB, 1, 2, 0xC2, 0xff, 0xff, 0, 0, 0, 0, 0, 0),
                     0);
    another_disc(rig);
    assert_int_equal(speed_now(rig), max);
    assert_int_equal(NONE(rig, 0xBB, 2, 2, 0xC2, 0xff, 0xff, 0, 0, 0, 0, 0, 0),
                     0x052400);
}

/* kbytes in ms; flags: 2 exact, 4 restore. */
static uint32_t
set_streaming(struct rig *rig, uint8_t flags, uint16_t kbytes, uint16_t ms)
{
    memset(rig->data, 0, 28);
    rig->data[0] = flags;
    rig->data[9] = 1; /* the last LBA */
    rig->data[14] = (uint8_t) (kbytes >> 8);
    rig->data[15] = (uint8_t) kbytes;
    rig->data[18] = (uint8_t) (ms >> 8);
    rig->data[19] = (uint8_t) ms;
    return OUT(rig, 28, 0xB6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 28, 0);
}

static void
set_streaming__outlives_the_medium_until_restored_or_reset(void **state)
{
    struct rig *rig = *state;
    unsigned max, now;

    settle(rig);
    speeds(rig, &max, &now);
    assert_int_equal(set_streaming(rig, 0, 353, 500), 0);
    assert_int_equal(rig->last.transferred, 28);
    assert_int_equal(speed_now(rig), 706);
    another_disc(rig);
    assert_int_equal(speed_now(rig), 706);
    assert_int_equal(set_streaming(rig, 4, 0, 0), 0);
    assert_int_equal(speed_now(rig), max);
    assert_int_equal(set_streaming(rig, 0, 706, 1000), 0);
    vscsi_reset(rig->drive);
    assert_int_equal(TUR(rig), 0x062900);
    assert_int_equal(speed_now(rig), max);
}

static void
set_streaming__what_cannot_be__refused_or_as_near_as_can_be(void **state)
{
    struct rig *rig = *state;
    unsigned max, now;

    settle(rig);
    speeds(rig, &max, &now);
    assert_int_equal(set_streaming(rig, 0, 0xffff, 1000), 0);
    assert_int_equal(speed_now(rig), max);
    assert_int_equal(set_streaming(rig, 2, 0xffff, 1000), 0x052600);
    assert_int_equal(set_streaming(rig, 2, 706, 1000), 0);
    assert_int_equal(set_streaming(rig, 0, 706, 0), 0x052600);
    assert_int_equal(speed_now(rig), 706);
    rig->data[0] = 0;
    assert_int_equal(OUT(rig, 28, 0xB6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 27, 0),
                     0x051A00);
    assert_int_equal(OUT(rig, 28, 0xB6, 0, 0, 0, 0, 0, 0, 0, 5, 0, 28, 0),
                     0x052400);
    assert_int_equal(NONE(rig, 0xB6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
}

static void
performance__of_reading_one_speed_all_over_the_disc(void **state)
{
    struct rig *rig = *state;
    unsigned max, now;

    settle(rig);
    speeds(rig, &max, &now);
    assert_int_equal(IN(rig, 100, 0xAC, 0x10, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0), 0);
    assert_int_equal(rig->last.transferred, 8 + 16);
    assert_int_equal(number_at(rig->data, 4), 4 + 16);
    assert_int_equal(rig->data[4], 0);
    assert_int_equal(number_at(rig->data + 8, 4), 0);
    assert_int_equal(number_at(rig->data + 12, 4), max);
    assert_int_equal(number_at(rig->data + 16, 4), CD_BLOCKS - 1);
    assert_int_equal(number_at(rig->data + 20, 4), max);
    /* No room for a descriptor: how long it would be. */
    assert_int_equal(IN(rig, 100, 0xAC, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
    assert_int_equal(rig->last.transferred, 8);
    assert_int_equal(number_at(rig->data, 4), 4 + 16);
    /* The list, from a block on; no exceptions; no writing. */
    assert_int_equal(IN(rig, 100, 0xAC, 0x11, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0), 0);
    assert_int_equal(number_at(rig->data + 8, 4), 7);
    assert_int_equal(IN(rig, 100, 0xAC, 0x11, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0),
                     0x052100);
    assert_int_equal(IN(rig, 100, 0xAC, 0x12, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0), 0);
    assert_int_equal(rig->last.transferred, 8);
    assert_int_equal(rig->data[4], 0x01);
    assert_int_equal(IN(rig, 100, 0xAC, 0x14, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0), 0);
    assert_int_equal(rig->last.transferred, 8);
    assert_int_equal(rig->data[4], 0x02);
    /* Write speeds it has none (feature 0107h: WSPD is 0). */
    assert_int_equal(IN(rig, 100, 0xAC, 0x00, 0, 0, 0, 0, 0, 0, 0, 1, 3, 0),
                     0x052400);
    assert_int_equal(vscsi_yank(rig->drive), 0);
    assert_int_equal(IN(rig, 100, 0xAC, 0x10, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0),
                     0x023A02);
}

/* --- what a disc says of itself ------------------------------------------- */

static uint32_t
structure(struct rig *rig, uint8_t format)
{
    return IN(rig, 4096, 0xAD, 0, 0, 0, 0, 0, 0, format, 0x10, 0, 0, 0);
}

static void
structures__of_a_dvd_not_of_a_cd(void **state)
{
    struct rig *rig = *state;
    char text[64];

    settle(rig);
    assert_int_equal(structure(rig, 0), 0x053002);
    make_image(rig->b, 0, UINT64_C(4) << 30);
    another_disc(rig);
    assert_int_equal(structure(rig, 0), 0);
    assert_int_equal(rig->last.transferred, 4 + 2048);
    assert_int_equal(number_at(rig->data, 2), 2 + 2048);
    assert_int_equal(rig->data[4], 0x01);
    assert_int_equal(rig->data[6] >> 5 & 3, 0); /* one layer */
    assert_int_equal(number_at(rig->data + 8, 4), 0x30000);
    assert_int_equal(number_at(rig->data + 12, 4),
                     0x30000 + (UINT64_C(4) << 30) / 2048 - 1);
    assert_int_equal(structure(rig, 1), 0);
    assert_int_equal(rig->last.transferred, 8);
    assert_int_equal(number_at(rig->data + 4, 4), 0); /* not protected */
    assert_int_equal(structure(rig, 4), 0);
    assert_int_equal(structure(rig, 3), 0x052400); /* no BCA */
    assert_int_equal(structure(rig, 0xFF), 0);
    assert_int_equal(rig->last.transferred, 4 + 4 * 4);
    for (unsigned at = 4; at < 20; at += 4) {
        uint8_t format = rig->data[at];
        uint64_t len = number_at(rig->data + at + 2, 2);

        assert_int_equal(structure(rig, format), 0);
        assert_int_equal(rig->last.transferred, len);
        assert_int_equal(structure(rig, 0xFF), 0);
    }
    assert_int_equal(vscsi_yank(rig->drive), 0);
    make_image(rig->a, 0, UINT64_C(8) << 30);
    assert_int_equal(vscsi_insert(rig->drive, rig->a, text, sizeof text), 0);
    while (TUR(rig) >> 16 == 6)
        ;
    assert_int_equal(structure(rig, 0), 0);
    assert_int_equal(rig->data[6] >> 5 & 3, 1); /* two */
}

static void
media_serial__one_for_each_medium_the_same_again(void **state)
{
    struct rig *rig = *state;
    uint8_t first[64];
    char text[64];
    size_t len;

    settle(rig);
    assert_int_equal(IN(rig, 64, 0xAB, 1, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0), 0);
    len = rig->last.transferred;
    assert_true(len > 4 && len % 4 == 0);
    assert_int_equal(number_at(rig->data, 4), len - 4);
    memcpy(first, rig->data, sizeof first);
    another_disc(rig);
    assert_int_equal(IN(rig, 64, 0xAB, 1, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0), 0);
    assert_int_equal(rig->last.transferred, len);
    assert_memory_not_equal(rig->data, first, len);
    assert_int_equal(vscsi_yank(rig->drive), 0);
    assert_int_equal(vscsi_insert(rig->drive, rig->a, text, sizeof text), 0);
    while (TUR(rig) >> 16 == 6)
        ;
    assert_int_equal(IN(rig, 64, 0xAB, 1, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0), 0);
    assert_memory_equal(rig->data, first, len);
    assert_int_equal(IN(rig, 64, 0xAB, 2, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0),
                     0x052400);
    assert_int_equal(vscsi_yank(rig->drive), 0);
    assert_int_equal(IN(rig, 64, 0xAB, 1, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0),
                     0x023A02);
}

/* Commands that MMC-6 makes mandatory for a drive with the feature. */
static void
features__what_they_promise__is_known(void **state)
{
    static const struct {
        uint16_t feature;
        uint8_t commands[8];
    } promises[] = {
        { 0x0001, { 0x46, 0x4A, 0x12, 0x5A, 0x55, 0x03, 0x00 } },
        { 0x0003, { 0xBD, 0x1E, 0x1B } },
        { 0x0010, { 0x25, 0x28 } },
        { 0x001E, { 0xBE, 0x43 } },
        { 0x001F, { 0x28, 0xA8, 0xAD } },
        { 0x0100, { 0x1B } },
        { 0x0107, { 0xAC, 0xA8, 0xB6, 0xBB } },
        { 0x0109, { 0xAB } },
    };
    struct rig *rig = *state;

    assert_int_equal(TUR(rig), 0x062900);
    for (size_t i = 0; i < sizeof promises / sizeof promises[0]; i++) {
        uint8_t high = (uint8_t) (promises[i].feature >> 8);
        uint8_t low = (uint8_t) promises[i].feature;

        assert_int_equal(IN(rig, 255, 0x46, 2, high, low, 0, 0, 0, 0, 255, 0),
                         0);
        assert_true(rig->last.transferred >= 12);
        assert_int_equal(number_at(rig->data + 8, 2), promises[i].feature);
        for (const uint8_t *at = promises[i].commands; *at != 0; at++) {
            assert_int_equal(
                IN(rig, 64, 0xA3, 0x0C, 1, *at, 0, 0, 0, 0, 0, 64, 0, 0), 0);
            assert_int_equal(rig->data[1] & 7, 3);
        }
    }
}

static void
feature_0108__the_serial_number_of_inquiry(void **state)
{
    struct rig *rig = *state;
    char serial[64] = { 0 };
    size_t len;

    assert_int_equal(IN(rig, 64, 0x12, 1, 0x80, 0, 64, 0), 0);
    len = rig->data[3];
    memcpy(serial, rig->data + 4, len);
    assert_int_equal(IN(rig, 255, 0x46, 2, 1, 8, 0, 0, 0, 0, 255, 0), 0);
    assert_int_equal(number_at(rig->data + 8, 2), 0x0108);
    assert_int_equal(rig->data[11], (len + 3) / 4 * 4);
    assert_memory_equal(rig->data + 12, serial, len);
}

/* The Streaming bit that feature 0107h promises. */
static void
read_12__streaming__reads(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(IN(rig, 2048, 0xA8, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x80, 0),
                     0);
    assert_int_equal(rig->data[2047], 'a');
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gesn__a_disc_comes_and_goes, cd),
        TEST(gesn__classes_and_polling, cd),
        TEST(gesn__cd_then_dvd__features_changed, cd),
        TEST(configuration__profiles_and_features, cd),
        TEST(toc__tracks_sessions_full, cd),
        TEST(disc_and_track__information, cd),
        TEST(read_cd__user_data_only, cd),
        TEST(drive__mode_page_2a_speed_mechanism_type, cd),
        TEST(capacity__of_the_disc, cd),
        TEST(set_cd_speed__until_the_medium_changes, cd),
        TEST(set_streaming__outlives_the_medium_until_restored_or_reset, cd),
        TEST(set_streaming__what_cannot_be__refused_or_as_near_as_can_be, cd),
        TEST(performance__of_reading_one_speed_all_over_the_disc, cd),
        TEST(structures__of_a_dvd_not_of_a_cd, cd),
        TEST(media_serial__one_for_each_medium_the_same_again, cd),
        TEST(features__what_they_promise__is_known, cd),
        TEST(feature_0108__the_serial_number_of_inquiry, cd),
        TEST(read_12__streaming__reads, cd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
