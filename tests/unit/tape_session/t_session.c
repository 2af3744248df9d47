/*
 * t_session.c - a session: opened, written, read, closed, and what is known of
 *               the tape; expectations from st(4) and <reinsert/tape.h>
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

static uint8_t data[1 << 20];

static void
records__written_and_read_back__as_they_were(void **state)
{
    int objects[8];

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    assert_result(rig_write(rig_block(1, 10240), 10240), 0);
    assert_int_equal(rig.result.bytes, 10240);
    assert_result(rig_write(rig_block(2, 512), 512), 0);
    assert_result(rig_op(MTREW, 1), 0);
    assert_result(rig_read(data, 65536), 0);
    assert_int_equal(rig.result.bytes, 10240);
    assert_memory_equal(data, rig_block(1, 10240), 10240);
    assert_result(rig_read(data, 65536), 0);
    assert_int_equal(rig.result.bytes, 512);
    assert_result(rig_read(data, 65536), 0);
    assert_int_equal(rig.result.bytes, 0);
    assert_true(rig.result.filemark);
    assert_result(rig_close(), 0);
    assert_int_equal(rig_image(rig_path("T1"), objects, 8, 0), 3);
    assert_int_equal(objects[0], 1);
    assert_int_equal(objects[1], 2);
    assert_int_equal(objects[2], -1);
}

static void
end_of_data__two_reads_tell__then_an_error(void **state)
{
    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    for (int i = 0; i < 2; i++) {
        assert_result(rig_read(data, 512), 0);
        assert_int_equal(rig.result.bytes, 0);
        assert_true(rig.result.end_of_data);
    }
    assert_result(rig_read(data, 512), -EIO);
}

static void
record_longer_than_the_buffer__passed_over(void **state)
{
    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    assert_result(rig_write(rig_block(1, 4096), 4096), 0);
    assert_result(rig_write(rig_block(2, 100), 100), 0);
    assert_result(rig_op(MTREW, 1), 0);
    assert_result(rig_read(data, 1024), -ENOMEM);
    assert_result(rig_read(data, 1024), 0);
    assert_int_equal(rig.result.bytes, 100);
    assert_memory_equal(data, rig_block(2, 100), 100);
}

static void
second_open__busy(void **state)
{
    struct ri_tape_how how = { 0 };
    struct ri_error error = { "" };
    struct ri_tape *other;

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    assert_int_equal(tape_unit_open(rig.drive[0].unit, &how, &other, &error),
                     -EBUSY);
    assert_non_null(strstr(error.text, "tape0"));
}

static void
empty_drive__no_medium__unless_none_is_needed(void **state)
{
    struct ri_tape_how how = { 0 };
    struct ri_error error = { "" };

    (void) state;
    assert_int_equal(tape_unit_open(rig.drive[0].unit, &how, &rig.tape, &error),
                     -ENOMEDIUM);
    how.no_tape_needed = true;
    assert_int_equal(tape_unit_open(rig.drive[0].unit, &how, &rig.tape, &error),
                     0);
    assert_false(GMT_ONLINE(rig_get().mt_gstat));
    assert_result(rig_read(data, 512), -ENOMEDIUM);
    rig_insert(0, "T1");
    assert_result(rig_read(data, 512), 0);
    assert_true(rig.result.end_of_data);
}

static void
close_after_a_write__a_filemark_and_no_more(void **state)
{
    int objects[8];

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    assert_result(rig_write(rig_block(1, 512), 512), 0);
    assert_result(rig_op(MTWEOF, 1), 0);
    assert_result(rig_close(), 0);
    rig_open("");
    assert_result(rig_close(), 0);
    assert_int_equal(rig_image(rig_path("T1"), objects, 8, 0), 2);
    rig_open("");
    assert_result(rig_write(rig_block(2, 512), 512), 0);
    assert_result(rig_close(), 0);
    assert_int_equal(rig_image(rig_path("T1"), objects, 8, 0), 4);
    assert_int_equal(objects[2], 2);
    assert_int_equal(objects[3], -1);
}

static void
place__kept_between_sessions__unless_rewound(void **state)
{
    struct ri_tape_how how = { .rewind_at_close = true };
    struct ri_error error;
    struct mtget get;

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    assert_result(rig_write(rig_block(1, 512), 512), 0);
    assert_result(rig_close(), 0);
    assert_int_equal(tape_unit_open(rig.drive[0].unit, &how, &rig.tape, &error),
                     0);
    get = rig_get();
    assert_int_equal(get.mt_fileno, 1);
    assert_int_equal(get.mt_blkno, 0);
    assert_result(rig_close(), 0);
    rig_open("");
    get = rig_get();
    assert_int_equal(get.mt_fileno, 0);
    assert_true(GMT_BOT(get.mt_gstat));
}

/* A reset rewinds the drive; what is on the tape is not written over. */
static void
reset_between_two_sessions__the_place_is_found_again(void **state)
{
    int objects[8];
    char text[128];

    (void) state;
    rig_insert(0, "T1");
    for (unsigned i = 0; i < 3; i++) {
        if (i == 2) /* once more, while it is opened */
            assert_int_equal(vscsi_fault_add(rig.drive[0].vscsi,
                                             "at 1 rewind do reset", text,
                                             sizeof text),
                             0);
        rig_open("");
        assert_int_equal(rig_get().mt_fileno, i);
        assert_result(rig_write(rig_block(i, 512), 512), 0);
        assert_result(rig_close(), 0);
        vscsi_reset(rig.drive[0].vscsi);
        tape_unit_looked(rig.drive[0].unit);
    }
    assert_int_equal(rig_image(rig_path("T1"), objects, 8, 0), 6);
    for (int i = 0; i < 3; i++)
        assert_int_equal(objects[2 * i], i);
}

/* Taken out and put in again it is at its beginning, as in any drive. */
static void
put_in_again_between_two_sessions__at_its_beginning(void **state)
{
    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    assert_result(rig_write(rig_block(0, 512), 512), 0);
    assert_result(rig_close(), 0);
    rig_yank(0);
    rig_insert(0, "T1");
    rig_open("");
    assert_true(GMT_BOT(rig_get().mt_gstat));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records__written_and_read_back__as_they_were),
        TEST(end_of_data__two_reads_tell__then_an_error),
        TEST(record_longer_than_the_buffer__passed_over),
        TEST(second_open__busy),
        TEST(empty_drive__no_medium__unless_none_is_needed),
        TEST(close_after_a_write__a_filemark_and_no_more),
        TEST(place__kept_between_sessions__unless_rewound),
        TEST(reset_between_two_sessions__the_place_is_found_again),
        TEST(put_in_again_between_two_sessions__at_its_beginning),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
