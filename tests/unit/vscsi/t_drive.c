/*
 * Tests for src/vscsi/drive.c, drive_state.c and nexus.c: what a hand does to a
 * drive, and what its initiators are told.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include "vscsi/vscsi_internal.h"

SETUP(disk, .type = VSCSI_DISK)
SETUP(slow_disk, .type = VSCSI_DISK, .load_ms = 150)
SETUP(endless_disk, .type = VSCSI_DISK, .load_ms = 3600000)
SETUP(cd, .type = VSCSI_CDROM)

static int
insert(struct rig *rig, const char *image)
{
    char text[512] = "";

    return vscsi_insert(rig->drive, image, text, sizeof text);
}

static void
disk__insert_yank_insert__each_is_reported(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(TUR(rig), 0x062900);
    assert_int_equal(rig->last.attention, 1);
    assert_int_equal(TUR(rig), 0x023A00);
    assert_int_equal(vscsi_yank(rig->drive), -ENOENT);
    assert_int_equal(insert(rig, rig->a), 0);
    assert_int_equal(rig->events[VSCSI_EVENT_INSERTED], 1);
    assert_int_equal(rig->events[VSCSI_EVENT_READY], 1);
    assert_int_equal(TUR(rig), 0x062800);
    assert_int_equal(rig->last.attention, 2);
    assert_int_equal(TUR(rig), 0);
    assert_int_equal(read_10(rig, 0, 1, 512), 0);
    assert_int_equal(rig->data[0], 'a');
    assert_int_equal(vscsi_yank(rig->drive), 0);
    assert_int_equal(rig->events[VSCSI_EVENT_REMOVED], 1);
    assert_int_equal(read_10(rig, 0, 1, 512), 0x023A00);
    assert_int_equal(rig->last.attention, 2);
    assert_int_equal(insert(rig, rig->b), 0);
    assert_int_equal(read_10(rig, 0, 1, 512), 0x062800);
    assert_int_equal(rig->last.attention, 3);
    assert_int_equal(read_10(rig, 0, 1, 512), 0);
    assert_int_equal(rig->data[0], 'b');
}

static void
cd__tray__asc_says_open_or_closed(void **state)
{
    struct rig *rig = *state;
    struct vscsi_state seen;

    assert_int_equal(TUR(rig), 0x062900);
    assert_int_equal(TUR(rig), 0x023A01);
    assert_int_equal(vscsi_press_eject(rig->drive), 0);
    assert_int_equal(TUR(rig), 0x023A02);
    vscsi_state(rig->drive, &seen);
    assert_true(seen.tray_open);
    assert_int_equal(insert(rig, rig->a), 0);
    vscsi_state(rig->drive, &seen);
    assert_false(seen.tray_open);
    assert_true(seen.medium && seen.ready && seen.write_protected);
    assert_int_equal(seen.block_bytes, 2048);
    assert_int_equal(seen.blocks, IMAGE_BLOCKS / 4);
    assert_string_equal(seen.image, rig->a);
}

static void
cd__eject_and_load__the_same_disc_comes_back(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(NONE(rig, 0x1B, 0, 0, 0, 0x02, 0), 0);
    assert_int_equal(rig->events[VSCSI_EVENT_REMOVED], 1);
    assert_int_equal(TUR(rig), 0x023A02);
    assert_int_equal(NONE(rig, 0x1B, 0, 0, 0, 0x03, 0), 0);
    assert_int_equal(TUR(rig), 0x062800);
    assert_int_equal(TUR(rig), 0);
}

static void
cd__disc_taken_from_the_tray__closes_empty(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(NONE(rig, 0x1B, 0, 0, 0, 0x02, 0), 0);
    assert_int_equal(unlink(rig->a), 0);
    assert_int_equal(NONE(rig, 0x1B, 0, 0, 0, 0x03, 0), 0x023A01);
    assert_int_equal(TUR(rig), 0x023A01);
}

static void
prevent__eject_refused_button_asks(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(NONE(rig, 0x1E, 0, 0, 0, 1, 0), 0);
    assert_int_equal(NONE(rig, 0x1B, 0, 0, 0, 0x02, 0), 0x055302);
    assert_int_equal(vscsi_press_eject(rig->drive), 0);
    assert_int_equal(rig->events[VSCSI_EVENT_EJECT_REQUEST], 1);
    assert_int_equal(TUR(rig), 0x065A01);
    assert_int_equal(TUR(rig), 0);
    assert_int_equal(NONE(rig, 0x1E, 0, 0, 0, 0, 0), 0);
    assert_int_equal(vscsi_press_eject(rig->drive), 0);
    assert_int_equal(TUR(rig), 0x023A00);
}

static void
prevent__of_two_nexuses__both_must_allow(void **state)
{
    struct rig *rig = *state;
    struct vscsi_nexus *mine = rig->nexus;
    struct vscsi_nexus *other = vscsi_nexus_new(rig->drive, NULL, NULL);
    struct vscsi_state seen;

    settle(rig);
    rig->nexus = other;
    assert_int_equal(TUR(rig), 0x062900);
    assert_int_equal(TUR(rig), 0x062800);
    assert_int_equal(NONE(rig, 0x1E, 0, 0, 0, 1, 0), 0);
    rig->nexus = mine;
    assert_int_equal(NONE(rig, 0x1E, 0, 0, 0, 1, 0), 0);
    assert_int_equal(NONE(rig, 0x1E, 0, 0, 0, 0, 0), 0);
    assert_int_equal(NONE(rig, 0x1B, 0, 0, 0, 0x02, 0), 0x055302);
    vscsi_nexus_free(other);
    vscsi_state(rig->drive, &seen);
    assert_false(seen.prevented);
    assert_int_equal(NONE(rig, 0x1B, 0, 0, 0, 0x02, 0), 0);
}

static void
loading__not_ready(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(TUR(rig), 0x062900);
    assert_int_equal(insert(rig, rig->a), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(TUR(rig), 0x020401);
    assert_int_equal(events_of(rig, VSCSI_EVENT_READY), 0);
}

static void
loading__over__attention(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(TUR(rig), 0x062900);
    assert_int_equal(insert(rig, rig->a), 0);
    WAIT_FOR(events_of(rig, VSCSI_EVENT_READY) == 1);
    assert_int_equal(TUR(rig), 0x062800);
    assert_int_equal(TUR(rig), 0);
}

static void
loading__yanked_meanwhile__never_ready(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(insert(rig, rig->a), 0);
    assert_int_equal(vscsi_yank(rig->drive), 0);
    usleep(200000);
    assert_int_equal(events_of(rig, VSCSI_EVENT_READY), 0);
    assert_int_equal(TUR(rig), 0x062900);
    assert_int_equal(TUR(rig), 0x023A00);
}

static void
stop__disk_needs_a_start(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    assert_int_equal(NONE(rig, 0x1B, 0, 0, 0, 0x00, 0), 0);
    assert_int_equal(TUR(rig), 0x020402);
    assert_int_equal(NONE(rig, 0x1B, 0, 0, 0, 0x01, 0), 0);
    assert_int_equal(TUR(rig), 0);
}

static void
attention__inquiry_and_luns_and_sense_pass_it(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(IN(rig, 96, 0x12, 0, 0, 0, 96, 0), 0);
    assert_int_equal(rig->last.attention, 0);
    assert_int_equal(IN(rig, 16, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0), 0);
    assert_int_equal(IN(rig, 18, 0x03, 0, 0, 0, 18, 0), 0);
    assert_int_equal(rig->data[2], 6);
    assert_int_equal(rig->data[12], 0x29);
    assert_int_equal(rig->last.attention, 1);
    assert_int_equal(TUR(rig), 0x023A00);
}

static void
attention__number_differs__nothing_is_done(void **state)
{
    struct rig *rig = *state;
    uint32_t now;
    static const uint8_t write[] = { 0x2A, 0, 0, 0, 0, 0, 0, 0, 1, 0 };

    settle(rig);
    now = rig->last.attention;
    assert_int_equal(vscsi_yank(rig->drive), 0);
    assert_int_equal(insert(rig, rig->b), 0);
    /* The number still matches, so the change is reported: once. */
    assert_true(start_on(rig, rig->nexus, write, 10, VSCSI_TO_DRIVE, 512, now));
    assert_int_equal(sense_of(&rig->last), 0x062800);
    assert_int_equal(rig->last.attention, now + 1);
    assert_true(start_on(rig, rig->nexus, write, 10, VSCSI_TO_DRIVE, 512, now));
    assert_int_equal(rig->last.result, VSCSI_STALE);
    assert_int_equal(rig->last.attention, now + 1);
    assert_int_equal(read_10(rig, 0, 1, 512), 0);
    assert_int_equal(rig->data[0], 'b');
}

static void
attention__stale_command__leaves_the_next_one_pending(void **state)
{
    struct rig *rig = *state;
    static const uint8_t tur[6];

    assert_int_equal(TUR(rig), 0x062900);
    assert_int_equal(insert(rig, rig->a), 0);
    assert_true(start_on(rig, rig->nexus, tur, 6, VSCSI_NO_DATA, 0, 7));
    assert_int_equal(rig->last.result, VSCSI_STALE);
    assert_int_equal(TUR(rig), 0x062800);
}

static void
attention__two_changes_unreported__one_report_new_number(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(vscsi_yank(rig->drive), 0);
        assert_int_equal(insert(rig, rig->b), 0);
    }
    assert_int_equal(TUR(rig), 0x062800);
    assert_int_equal(rig->last.attention, 3);
    assert_int_equal(vscsi_yank(rig->drive), 0);
    assert_int_equal(insert(rig, rig->b), 0);
    assert_int_equal(TUR(rig), 0x062800);
    assert_int_equal(rig->last.attention, 4);
    assert_int_equal(TUR(rig), 0);
}

static void
attention__is_of_the_nexus(void **state)
{
    struct rig *rig = *state;
    struct vscsi_nexus *mine = rig->nexus;

    settle(rig);
    rig->nexus = vscsi_nexus_new(rig->drive, NULL, NULL);
    assert_int_equal(TUR(rig), 0x062900);
    assert_int_equal(TUR(rig), 0);
    assert_int_equal(vscsi_yank(rig->drive), 0);
    assert_int_equal(insert(rig, rig->b), 0);
    assert_int_equal(TUR(rig), 0x062800);
    vscsi_nexus_free(rig->nexus);
    rig->nexus = mine;
    assert_int_equal(TUR(rig), 0x062800);
}

static void
reset__attention_first_prevent_gone(void **state)
{
    struct rig *rig = *state;
    struct vscsi_state seen;

    settle(rig);
    assert_int_equal(NONE(rig, 0x1E, 0, 0, 0, 1, 0), 0);
    vscsi_press_eject(rig->drive);
    vscsi_reset(rig->drive);
    vscsi_state(rig->drive, &seen);
    assert_false(seen.prevented);
    assert_int_equal(TUR(rig), 0x062900);
    assert_int_equal(TUR(rig), 0x065A01);
    assert_int_equal(TUR(rig), 0);
}

static void
insert__full_drive_or_image_elsewhere__busy_with_names(void **state)
{
    struct rig *rig = *state;
    struct vscsi_config config = { .name = "D2", .type = VSCSI_DISK };
    struct vscsi_drive *other = vscsi_new(&config);
    char text[512] = "", link[160];

    settle(rig);
    assert_int_equal(vscsi_insert(rig->drive, rig->b, text, sizeof text),
                     -EBUSY);
    assert_non_null(strstr(text, "D1"));
    snprintf(link, sizeof link, "%s/link", rig->folder);
    assert_int_equal(symlink(rig->a, link), 0);
    assert_int_equal(vscsi_insert(other, link, text, sizeof text), -EBUSY);
    assert_non_null(strstr(text, link));
    assert_non_null(strstr(text, "D1"));
    assert_int_equal(vscsi_yank(rig->drive), 0);
    assert_int_equal(vscsi_insert(other, link, text, sizeof text), 0);
    vscsi_free(other);
}

static void
state__counts_commands_of_all_nexuses(void **state)
{
    struct rig *rig = *state;
    struct vscsi_nexus *other = vscsi_nexus_new(rig->drive, NULL, NULL);
    struct vscsi_nexus *mine = rig->nexus;
    struct vscsi_state seen;

    (void) TUR(rig);
    rig->nexus = other;
    (void) TUR(rig);
    (void) TUR(rig);
    rig->nexus = mine;
    vscsi_nexus_free(other);
    vscsi_state(rig->drive, &seen);
    assert_int_equal(seen.commands, 3);
}

static void
new__block_sizes__only_what_such_drives_have(void **state)
{
    static const struct {
        enum vscsi_type type;
        uint32_t bytes;
        bool good;
    } table[] = {
        { VSCSI_DISK, 0, true },       { VSCSI_DISK, 512, true },
        { VSCSI_DISK, 2048, true },    { VSCSI_DISK, 4096, true },
        { VSCSI_DISK, 1024, false },   { VSCSI_DISK, 1, false },
        { VSCSI_FLOPPY, 2048, false }, { VSCSI_CDROM, 2048, true },
        { VSCSI_CDROM, 512, false },
    };

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct vscsi_config config = { .name = "N",
                                       .type = table[i].type,
                                       .block_bytes = table[i].bytes };
        struct vscsi_drive *drive = vscsi_new(&config);

        assert_int_equal(drive != NULL, table[i].good);
        vscsi_free(drive);
    }
}

/* No arrow leads to STOPPED but from READY, none from a state to itself but
 * loading again; each state has a name. */
static void
states__arrows(void **state)
{
    (void) state;
    for (int from = DRIVE_OPEN; from <= DRIVE_STOPPED; from++) {
        assert_non_null(drive_state_name((enum drive_state) from));
        for (int to = DRIVE_OPEN; to <= DRIVE_STOPPED; to++) {
            bool want = to == DRIVE_STOPPED
                            ? from == DRIVE_READY
                            : from != to || from == DRIVE_LOADING;

            assert_int_equal(drive_state_allowed((enum drive_state) from,
                                                 (enum drive_state) to),
                             want);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(disk__insert_yank_insert__each_is_reported, disk),
        TEST(cd__tray__asc_says_open_or_closed, cd),
        TEST(cd__eject_and_load__the_same_disc_comes_back, cd),
        TEST(cd__disc_taken_from_the_tray__closes_empty, cd),
        TEST(prevent__eject_refused_button_asks, disk),
        TEST(prevent__of_two_nexuses__both_must_allow, disk),
        TEST(loading__not_ready, endless_disk),
        TEST(loading__over__attention, slow_disk),
        TEST(loading__yanked_meanwhile__never_ready, slow_disk),
        TEST(stop__disk_needs_a_start, disk),
        TEST(attention__inquiry_and_luns_and_sense_pass_it, disk),
        TEST(attention__number_differs__nothing_is_done, disk),
        TEST(attention__stale_command__leaves_the_next_one_pending, disk),
        TEST(attention__two_changes_unreported__one_report_new_number, disk),
        TEST(attention__is_of_the_nexus, disk),
        TEST(reset__attention_first_prevent_gone, disk),
        TEST(insert__full_drive_or_image_elsewhere__busy_with_names, disk),
        TEST(state__counts_commands_of_all_nexuses, disk),
        cmocka_unit_test(states__arrows),
        cmocka_unit_test(new__block_sizes__only_what_such_drives_have),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
