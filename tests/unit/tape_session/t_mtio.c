/*
 * t_mtio.c - the operations of <sys/mtio.h>; expectations from st(4)
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

#define SIZE 1024

static uint8_t data[1 << 20];

#define assert_place(file, block)                                              \
    do {                                                                       \
        struct mtget is_ = rig_get();                                          \
        assert_int_equal(is_.mt_fileno, (file));                               \
        assert_int_equal(is_.mt_blkno, (block));                               \
    } while (0)

static void
assert_next(unsigned n)
{
    assert_result(rig_read(data, SIZE), 0);
    assert_int_equal(rig.result.bytes, SIZE);
    assert_memory_equal(data, rig_block(n, SIZE), SIZE);
}

/* Three files: blocks 0 1 2, 3 4 5, 6 7 8, each with its mark; rewound. */
static int
three_files(void **state)
{
    (void) rig_new(state);
    rig_insert(0, "T1");
    rig_open("");
    for (unsigned i = 0; i < 9; i++) {
        assert_result(rig_write(rig_block(i, SIZE), SIZE), 0);
        if (i % 3 == 2)
            assert_result(rig_op(MTWEOF, 1), 0);
    }
    assert_result(rig_op(MTREW, 1), 0);
    return 0;
}

static void
files__spaced_forward_and_back(void **state)
{
    (void) state;
    assert_place(0, 0);
    assert_result(rig_op(MTFSF, 2), 0);
    assert_place(2, 0);
    assert_true(GMT_EOF(rig_get().mt_gstat));
    assert_next(6);
    assert_place(2, 1);
    assert_result(rig_op(MTBSF, 1), 0); /* before the mark of file 1 */
    assert_place(1, -1);
    assert_result(rig_read(data, SIZE), 0);
    assert_true(rig.result.filemark);
    assert_place(2, 0);
    assert_result(rig_op(MTBSFM, 2), 0); /* behind the mark of file 0 */
    assert_place(1, 0);
    assert_next(3);
    assert_result(rig_op(MTFSFM, 1), 0); /* before the mark of file 1 */
    assert_place(1, -1);
    assert_result(rig_op(MTREW, 1), 0);
    assert_place(0, 0);
    assert_true(GMT_BOT(rig_get().mt_gstat));
}

static void
negative_counts__the_other_way(void **state)
{
    (void) state;
    assert_result(rig_op(MTFSF, 2), 0);
    assert_result(rig_op(MTFSF, -1), 0);
    assert_place(1, -1);
    assert_result(rig_op(MTBSR, -1), -EIO); /* the mark is next */
    assert_place(2, 0);
}

static void
more_files_than_there_are__an_error_at_the_end(void **state)
{
    (void) state;
    assert_result(rig_op(MTFSF, 5), -EIO);
    assert_int_equal(rig.result.left, 2);
    assert_true(rig.result.end_of_data);
    assert_true(GMT_EOD(rig_get().mt_gstat));
    assert_place(3, -1);
    assert_result(rig_op(MTBSF, 7), -EIO);
    assert_int_equal(rig.result.left, 4);
    assert_place(0, 0);
}

static void
blocks__spaced__stopped_by_a_mark(void **state)
{
    (void) state;
    assert_result(rig_op(MTFSR, 2), 0);
    assert_place(0, 2);
    assert_result(rig_op(MTBSR, 1), 0);
    assert_place(0, 1);
    assert_next(1);
    assert_result(rig_op(MTFSR, 4), -EIO);
    assert_true(rig.result.filemark);
    assert_int_equal(rig.result.left, 3);
    assert_place(1, 0);
    assert_result(rig_op(MTBSR, 3), -EIO);
    assert_int_equal(rig.result.left, 3);
    assert_place(0, -1);
}

static void
blocks_before_the_beginning__an_error_there(void **state)
{
    (void) state;
    assert_next(0);
    assert_result(rig_op(MTBSR, 4), -EIO);
    assert_int_equal(rig.result.left, 3);
    assert_place(0, 0);
    assert_true(rig.result.beginning);
}

static void
end_of_data__the_file_is_known__the_block_is_not(void **state)
{
    (void) state;
    assert_result(rig_op(MTEOM, 1), 0);
    assert_place(3, -1);
    assert_true(GMT_EOD(rig_get().mt_gstat));
    assert_result(rig_write(rig_block(9, SIZE), SIZE), 0);
    assert_result(rig_op(MTBSR, 1), 0);
    assert_next(9);
}

/* Who opens it next sees what is there: `mt fsf; mt status`. */
static void
left_behind_a_mark_and_at_the_end__told_to_the_next(void **state)
{
    struct mtget is;

    (void) state;
    assert_result(rig_op(MTFSF, 2), 0);
    assert_result(rig_close(), 0);
    rig_open("");
    is = rig_get();
    assert_true(GMT_EOF(is.mt_gstat));
    assert_false(GMT_EOD(is.mt_gstat));
    assert_result(rig_op(MTEOM, 1), 0);
    assert_result(rig_close(), 0);
    rig_open("");
    is = rig_get();
    assert_true(GMT_EOD(is.mt_gstat));
    assert_place(3, -1);
    assert_result(rig_op(MTREW, 1), 0);
    is = rig_get();
    assert_false(GMT_EOF(is.mt_gstat));
    assert_false(GMT_EOD(is.mt_gstat));
    assert_result(rig_close(), 0);
    rig_yank(0);
    rig_insert(0, "T1");
    rig_open("");
    is = rig_get();
    assert_false(GMT_EOF(is.mt_gstat));
    assert_false(GMT_EOD(is.mt_gstat));
}

static void
seek_and_tell__objects(void **state)
{
    struct mtpos pos;

    (void) state;
    assert_result(rig_op(MTSEEK, 5), 0);
    assert_int_equal(ri_tape_status(rig.tape, NULL, &pos, NULL), 0);
    assert_int_equal(pos.mt_blkno, 5);
    assert_place(-1, -1);
    assert_next(4); /* three blocks and a mark lie before block 3 */
    assert_result(rig_op(MTSEEK, 0), 0);
    assert_place(0, 0);
    assert_result(rig_op(MTSEEK, 99), -EIO);
    assert_true(rig.result.end_of_data);
}

/* As before there was LOCATE: over blocks and marks from the beginning. */
static void
seek__drive_without_locate__the_same_places(void **state)
{
    struct mtpos pos;
    char text[128];

    (void) state;
    assert_int_equal(vscsi_fault_add(rig.drive[0].vscsi,
                                     "at * locate do sense 5/20/00", text,
                                     sizeof text),
                     0);
    assert_result(rig_op(MTSEEK, 5), 0);
    assert_int_equal(ri_tape_status(rig.tape, NULL, &pos, NULL), 0);
    assert_int_equal(pos.mt_blkno, 5);
    assert_next(4);
    assert_result(rig_op(MTSEEK, 9), 0);
    assert_next(7);
    assert_result(rig_op(MTSEEK, 1), 0);
    assert_next(1);
    assert_result(rig_op(MTSEEK, 7), 0); /* before a mark */
    assert_result(rig_read(data, SIZE), 0);
    assert_true(rig.result.filemark);
    assert_next(6);
    assert_result(rig_op(MTSEEK, 0), 0);
    assert_place(0, 0);
    assert_result(rig_op(MTSEEK, 99), -EIO);
    assert_true(rig.result.end_of_data);
}

/* One that says neither where it is, nor how far it came. */
static void
seek__drive_without_locate_and_position__the_same_places(void **state)
{
    struct mtpos pos;
    char text[128];

    (void) state;
    assert_int_equal(vscsi_fault_add(rig.drive[0].vscsi,
                                     "at * locate do sense 5/20/00", text,
                                     sizeof text),
                     0);
    assert_int_equal(vscsi_fault_add(rig.drive[0].vscsi,
                                     "at * 0x34 do sense 5/20/00", text,
                                     sizeof text),
                     0);
    for (int object = 11; object >= 0; object--) {
        assert_result(rig_op(MTSEEK, object), 0);
        assert_int_equal(ri_tape_status(rig.tape, NULL, &pos, NULL), 0);
        assert_int_equal(pos.mt_blkno, object);
        if (object % 4 != 3)
            assert_next((unsigned) (object - object / 4));
        else
            assert_result(rig_read(data, SIZE), 0);
    }
    assert_result(rig_op(MTSEEK, 99), -EIO);
    assert_true(rig.result.end_of_data);
}

static void
seek__drive_without_locate__the_tape_is_pulled__at_its_place(void **state)
{
    char text[128];

    (void) state;
    assert_int_equal(vscsi_fault_add(rig.drive[0].vscsi,
                                     "at * locate do sense 5/20/00", text,
                                     sizeof text),
                     0);
    assert_result(rig_op(MTSEEK, 5), 0);
    assert_next(4);
    rig_yank(0);
    rig_start(CALL_READ, data, SIZE, 0);
    rig_wait_for(PROMPT_ASKED, NULL);
    rig_insert(0, "T1");
    assert_int_equal(rig_join(), 0);
    assert_int_equal(rig.result.bytes, SIZE);
    assert_memory_equal(data, rig_block(5, SIZE), SIZE);
}

/* What such a drive lacks is said. */
static void
seek__drive_without_locate_and_space__says_so(void **state)
{
    char text[128];

    (void) state;
    assert_int_equal(vscsi_fault_add(rig.drive[0].vscsi,
                                     "at * locate do sense 5/20/00", text,
                                     sizeof text),
                     0);
    assert_int_equal(vscsi_fault_add(rig.drive[0].vscsi,
                                     "at * space do sense 5/20/00", text,
                                     sizeof text),
                     0);
    assert_true(rig_op(MTSEEK, 5) < 0);
    assert_non_null(strstr(rig.result.text, "LOCATE"));
}

static void
written_then_moved__a_filemark_behind_it(void **state)
{
    int objects[8];

    (void) state;
    assert_result(rig_op(MTFSF, 1), 0);
    assert_result(rig_write(rig_block(20, SIZE), SIZE), 0);
    assert_result(rig_op(MTBSF, 1), 0); /* the mark that it wrote is none */
    assert_place(0, -1);
    assert_result(rig_op(MTFSF, 2), 0);
    assert_result(rig_write(rig_block(21, SIZE), SIZE), 0);
    assert_result(rig_op(MTREW, 1), 0);
    assert_int_equal(rig_image(rig_path("T1"), objects, 8, SIZE), 8);
    assert_int_equal(objects[3], -1);
    assert_int_equal(objects[4], 20);
    assert_int_equal(objects[5], -1);
    assert_int_equal(objects[6], 21);
    assert_int_equal(objects[7], -1);
}

static void
erase__nothing_is_behind(void **state)
{
    int objects[8];

    (void) state;
    assert_result(rig_op(MTFSF, 1), 0);
    assert_result(rig_op(MTERASE, 1), 0);
    assert_place(1, 0);
    assert_result(rig_op(MTREW, 1), 0);
    assert_int_equal(rig_image(rig_path("T1"), objects, 8, SIZE), 4);
}

static void
marks__counted_as_files(void **state)
{
    (void) state;
    assert_result(rig_op(MTWEOF, 3), 0);
    assert_place(3, 0);
    assert_result(rig_write(rig_block(1, SIZE), SIZE), 0);
    assert_place(3, 1);
    assert_result(rig_op(MTWEOFI, 1), 0);
    assert_place(4, 0);
    assert_result(rig_op(MTWEOF, -1), -EINVAL);
}

static void
block_size__counts_blocks(void **state)
{
    (void) state;
    assert_result(rig_op(MTSETBLK, 512), 0);
    assert_int_equal(rig_get().mt_dsreg & MT_ST_BLKSIZE_MASK, 512);
    assert_result(rig_write(rig_block(1, 100), 100), -EINVAL);
    assert_result(rig_write(rig_block(1, 2048), 2048), 0);
    assert_int_equal(rig.result.bytes, 2048);
    assert_place(0, 4);
    assert_result(rig_op(MTWEOF, 1), 0);
    assert_result(rig_op(MTREW, 1), 0);
    /* Whole blocks up to the mark, and then the mark. */
    assert_result(rig_read(data, 4096), 0);
    assert_int_equal(rig.result.bytes, 2048);
    assert_false(rig.result.filemark);
    assert_result(rig_read(data, 4096), 0);
    assert_int_equal(rig.result.bytes, 0);
    assert_true(rig.result.filemark);
    assert_result(rig_read(data, 700), -EINVAL);
    assert_result(rig_op(MTSETBLK, 0), 0);
    assert_int_equal(rig_get().mt_dsreg & MT_ST_BLKSIZE_MASK, 0);
}

static void
drive_parameters__set_and_shown(void **state)
{
    (void) state;
    assert_result(rig_op(MTCOMPRESSION, 0), 0);
    assert_result(rig_op(MTCOMPRESSION, 1), 0);
    assert_int_equal(rig_get().mt_dsreg >> MT_ST_DENSITY_SHIFT, 0x58);
    assert_result(rig_op(MTSETDENSITY, 0x58), 0);
    assert_result(rig_op(MTSETDENSITY, 999), -EINVAL);
    assert_result(rig_op(MTSETDRVBUFFER, 1), 0);
    assert_result(rig_op(MTNOP, 1), 0);
}

static void
what_there_is_not__refused(void **state)
{
    (void) state;
    assert_result(rig_op(MTSETPART, 1), -EINVAL);
    assert_result(rig_op(MTMKPART, 1), -EINVAL);
    assert_result(rig_op(MTFSS, 1), -ENOSYS);
    assert_result(rig_op(MTWSM, 1), -ENOSYS);
    assert_result(rig_op(MTRAS1, 1), -ENOSYS);
    assert_result(rig_op(MTSETDRVBUFFER, MT_ST_BOOLEANS), -ENOSYS);
    assert_result(rig_op(12345, 1), -ENOSYS);
}

static void
locked__not_unloaded__unlocked__unloaded(void **state)
{
    (void) state;
    assert_result(rig_op(MTLOCK, 1), 0);
    assert_result(rig_op(MTOFFL, 1), -EIO);
    assert_non_null(strstr(rig.result.text, "locked"));
    assert_true(rig_is_in(0));
    assert_result(rig_op(MTUNLOCK, 1), 0);
    assert_result(rig_op(MTOFFL, 1), 0);
    assert_false(rig_is_in(0));
    assert_false(GMT_ONLINE(rig_get().mt_gstat));
    assert_result(rig_read(data, SIZE), -ENOMEDIUM);
    assert_int_equal(rig_told(PROMPT_ASKED), 0);
    assert_result(rig_op(MTLOAD, 1), 0); /* it lay in the mouth */
    assert_next(0);
}

static void
retension__at_the_beginning(void **state)
{
    (void) state;
    assert_next(0);
    assert_result(rig_op(MTRETEN, 1), 0);
    assert_place(0, 0);
    assert_next(0);
}

static void
opened_for_reading__not_written(void **state)
{
    struct ri_tape_how how = { 0 };
    struct ri_error error;

    (void) state;
    assert_result(rig_close(), 0);
    assert_int_equal(tape_unit_open(rig.drive[0].unit, &how, &rig.tape, &error),
                     0);
    assert_result(rig_write(rig_block(0, SIZE), SIZE), -EROFS);
    assert_result(rig_op(MTWEOF, 1), -EROFS);
    assert_result(rig_op(MTERASE, 1), -EROFS);
    assert_next(0);
}

/* --- the end of the tape -------------------------------------------------- */

static int
short_tape(void **state)
{
    rig_capacity = 200 * 1024;
    return rig_new(state);
}

static void
end_of_the_tape__warned__then_full__a_mark_still_fits(void **state)
{
    unsigned blocks = 0, warned = 0;
    int rc = 0;

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    while (rc == 0 && blocks < 1000) {
        rc = rig_write(rig_block(blocks, SIZE), SIZE);
        warned += rig.result.early_warning;
        blocks += rc == 0;
    }
    assert_int_equal(rc, -ENOSPC);
    assert_true(rig.result.end_of_tape);
    assert_int_equal(rig.result.bytes, 0);
    assert_in_range(blocks, 180, 200);
    assert_in_range(warned, 1, 10);
    assert_true(GMT_EOT(rig_get().mt_gstat));
    assert_result(rig_op(MTWEOF, 1), 0);
    assert_result(rig_op(MTREW, 1), 0);
    for (unsigned i = 0; i < blocks; i++)
        assert_next(i);
    assert_result(rig_read(data, SIZE), 0);
    assert_true(rig.result.filemark);
}

/* st(4): mt_fileno is the number of the current file, mt_blkno the block in it,
 * whatever an operation has come to. */
static void
marks_past_the_end__those_that_are_there_are_counted(void **state)
{
    int64_t left;
    int rc = 0;

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    while (rc == 0)
        rc = rig_write(rig_block(0, SIZE), SIZE);
    assert_int_equal(rc, -ENOSPC);
    assert_result(rig_op(MTWEOF, 2), 0);
    assert_place(2, 0);
    assert_result(rig_op(MTWEOF, 1000), -ENOSPC);
    left = rig.result.left;
    assert_in_range(left, 1, 999);
    assert_place(2 + (1000 - left), 0);
    assert_true(rig.result.end_of_tape);
    assert_true(GMT_EOT(rig_get().mt_gstat));
    /* Not one more. */
    assert_result(rig_op(MTWEOF, 1), -ENOSPC);
    assert_int_equal(rig.result.left, 1);
    assert_place(2 + (1000 - left), 0);
    /* Over so many lies the place that it was. */
    assert_result(rig_op(MTREW, 1), 0);
    assert_result(rig_op(MTFSF, 2 + 1000 - left), 0);
    assert_place(2 + (1000 - left), 0);
    assert_result(rig_read(data, SIZE), 0);
    assert_true(rig.result.end_of_data);
    assert_int_equal(rig_told(PROMPT_ASKED), 0);
}

/* ... and what was counted is found again. */
static void
marks_past_the_end__the_tape_is_pulled__at_its_place(void **state)
{
    struct mtget before;
    int rc = 0;

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    while (rc == 0)
        rc = rig_write(rig_block(0, SIZE), SIZE);
    assert_result(rig_op(MTWEOF, 1000), -ENOSPC);
    before = rig_get();
    rig_yank(0);
    rig_start(CALL_OP, NULL, MTBSF, 1);
    rig_wait_for(PROMPT_ASKED, NULL);
    rig_insert(0, "T1");
    assert_int_equal(rig_join(), 0);
    assert_place(before.mt_fileno - 1, -1);
    assert_string_equal(rig.kept_file, "");
}

static void
yanked_near_the_end__full_as_before(void **state)
{
    unsigned blocks = 0;
    int rc = 0;

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    while (rc == 0 && blocks < 1000) {
        if (blocks % 37 == 36) {
            rig_yank(0);
            memcpy(data, rig_block(blocks, SIZE), SIZE);
            rig_start(CALL_WRITE, data, SIZE, 0);
            rig_wait_for(PROMPT_ASKED, NULL);
            rig_insert(0, "T1");
            rc = rig_join();
        } else {
            rc = rig_write(rig_block(blocks, SIZE), SIZE);
        }
        blocks += rc == 0;
    }
    assert_int_equal(rc, -ENOSPC);
    assert_result(rig_op(MTREW, 1), 0);
    for (unsigned i = 0; i < blocks; i++)
        assert_next(i);
}

#define FILES(test) cmocka_unit_test_setup_teardown(test, three_files, rig_free)
#define SHORT(test) cmocka_unit_test_setup_teardown(test, short_tape, rig_free)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FILES(files__spaced_forward_and_back),
        FILES(negative_counts__the_other_way),
        FILES(more_files_than_there_are__an_error_at_the_end),
        FILES(blocks__spaced__stopped_by_a_mark),
        FILES(blocks_before_the_beginning__an_error_there),
        FILES(end_of_data__the_file_is_known__the_block_is_not),
        FILES(left_behind_a_mark_and_at_the_end__told_to_the_next),
        FILES(seek_and_tell__objects),
        FILES(seek__drive_without_locate__the_same_places),
        FILES(seek__drive_without_locate_and_position__the_same_places),
        FILES(seek__drive_without_locate__the_tape_is_pulled__at_its_place),
        FILES(seek__drive_without_locate_and_space__says_so),
        FILES(written_then_moved__a_filemark_behind_it),
        FILES(erase__nothing_is_behind),
        FILES(marks__counted_as_files),
        FILES(block_size__counts_blocks),
        FILES(drive_parameters__set_and_shown),
        FILES(what_there_is_not__refused),
        FILES(locked__not_unloaded__unlocked__unloaded),
        FILES(retension__at_the_beginning),
        FILES(opened_for_reading__not_written),
        SHORT(end_of_the_tape__warned__then_full__a_mark_still_fits),
        SHORT(marks_past_the_end__those_that_are_there_are_counted),
        SHORT(marks_past_the_end__the_tape_is_pulled__at_its_place),
        SHORT(yanked_near_the_end__full_as_before),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
