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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
