/*
 * t_yank.c - the tape is pulled, exchanged, reset, in the middle of it: what
 *            was acknowledged is on it in the end, once, in order
 *
 * The drives lose what only their buffer holds, unless a test says otherwise.
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

#define SIZE 1024

static uint8_t data[1 << 20], block[1 << 20];

/* The data of a call on the other thread. */
static uint8_t *
own(unsigned n, size_t size)
{
    memcpy(block, rig_block(n, size), size);
    return block;
}

static void
write_blocks(unsigned from, unsigned count)
{
    for (unsigned i = from; i < from + count; i++) {
        assert_result(rig_write(rig_block(i, SIZE), SIZE), 0);
        assert_int_equal(rig.result.bytes, SIZE);
    }
}

/* Blocks 0 to count - 1 and a filemark, nothing else. */
static void
assert_blocks(const char *name, unsigned count)
{
    int objects[512];

    assert_int_equal(rig_image(rig_path(name), objects, 512, SIZE), count + 1);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(objects[i], i);
    assert_int_equal(objects[count], -1);
}

static void
replace_image(const char *name, const char *from)
{
    char to[256], with[256];
    uint8_t all[65536];
    size_t n;
    FILE *file;

    snprintf(to, sizeof to, "%s", rig_path(name));
    snprintf(with, sizeof with, "%s", rig_path(from));
    file = fopen(with, "r");
    assert_non_null(file);
    n = fread(all, 1, sizeof all, file);
    fclose(file);
    file = fopen(to, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(all, 1, n, file), n);
    fclose(file);
}

/* --- pulled and put back -------------------------------------------------- */

static void
yanked__one_question__put_back__goes_on(void **state)
{
    struct ri_prompt_info prompt;
    struct vscsi_state is;

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    write_blocks(0, 5);
    vscsi_state(rig.drive[0].vscsi, &is);
    assert_int_equal(is.unwritten, 5);
    rig_yank(0);
    rig_start(CALL_WRITE, own(5, SIZE), SIZE, 0);
    rig_wait_for(PROMPT_ASKED, &prompt);
    assert_string_equal(prompt.reason, "STATUS_NO_MEDIA_IN_DEVICE");
    assert_string_equal(prompt.drive, "tape0");
    assert_string_equal(prompt.answers, "retry|cancel");
    assert_string_not_equal(prompt.volume, "");
    assert_int_equal(rig_prompts(), 1);
    rig_insert(0, "T1");
    rig_wait_for(PROMPT_ARRIVED, NULL);
    assert_int_equal(rig_join(), 0);
    assert_int_equal(rig_prompts(), 0);
    assert_int_equal(rig_told(PROMPT_ASKED), 1);
    write_blocks(6, 3);
    assert_result(rig_close(), 0);
    assert_blocks("T1", 9);
}

/* At every block of a run, with and without a buffer that is lost. */
static void
yank_at_each_block(void)
{
    char name[16];

    for (unsigned at = 0; at < 12; at++) {
        snprintf(name, sizeof name, "A%u", at);
        rig_insert(0, name);
        rig_open("");
        write_blocks(0, at);
        rig_yank(0);
        rig_start(CALL_WRITE, own(at, SIZE), SIZE, 0);
        rig_wait_for(PROMPT_ASKED, NULL);
        rig_insert(0, name);
        assert_int_equal(rig_join(), 0);
        write_blocks(at + 1, 3);
        assert_result(rig_close(), 0);
        assert_blocks(name, at + 4);
        rig_yank(0);
    }
}

static void
yanked_at_each_block__buffer_lost__all_is_there_once(void **state)
{
    (void) state;
    yank_at_each_block();
}

static void
yanked_at_each_block__nothing_lost__all_is_there_once(void **state)
{
    (void) state;
    yank_at_each_block();
}

/* The limit makes it synchronise: before the place lie blocks that are safe. */
static void
yanked_behind_a_synchronisation__the_rest_is_written(void **state)
{
    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    for (unsigned at = 0; at < 40; at += 5) {
        struct ri_tape_info info;

        write_blocks(at, 4);
        tape_unit_info(rig.drive[0].unit, &info);
        assert_true(info.unflushed_bytes <= 6 * SIZE);
        rig_yank(0);
        rig_start(CALL_WRITE, own(at + 4, SIZE), SIZE, 0);
        rig_wait_for(PROMPT_ASKED, NULL);
        rig_insert(0, "T1");
        assert_int_equal(rig_join(), 0);
    }
    assert_result(rig_close(), 0);
    assert_blocks("T1", 40);
}

static int
new_with_a_small_limit(void **state)
{
    rig_limit = 6 * SIZE;
    return rig_new(state);
}

/* Each record is on the tape before it is acknowledged. */
static void
nothing_may_be_kept__each_write_is_synchronised(void **state)
{
    struct vscsi_state is;

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    for (unsigned i = 0; i < 6; i++) {
        write_blocks(i, 1);
        vscsi_state(rig.drive[0].vscsi, &is);
        assert_int_equal(is.unwritten, 0);
    }
    rig_yank(0);
    rig_start(CALL_WRITE, own(6, SIZE), SIZE, 0);
    rig_wait_for(PROMPT_ASKED, NULL);
    rig_insert(0, "T1");
    assert_int_equal(rig_join(), 0);
    assert_result(rig_close(), 0);
    assert_blocks("T1", 7);
}

static int
new_without_a_limit(void **state)
{
    rig_limit = 1; /* byte: no record fits */
    return rig_new(state);
}

static void
yanked__put_into_another_drive__goes_on_there(void **state)
{
    char drive[RI_NAME_MAX];

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    write_blocks(0, 7);
    rig_yank(0);
    rig_start(CALL_WRITE, own(7, SIZE), SIZE, 0);
    rig_wait_for(PROMPT_ASKED, NULL);
    rig_insert(1, "T1");
    assert_int_equal(rig_join(), 0);
    tape_session_drive(rig.tape, drive);
    assert_string_equal(drive, "tape1");
    assert_true(tape_unit_busy(rig.drive[1].unit));
    assert_false(tape_unit_busy(rig.drive[0].unit));
    write_blocks(8, 2);
    assert_result(rig_close(), 0);
    assert_blocks("T1", 10);
}

static void
marks_among_blocks__yanked_at_each__all_are_there_once(void **state)
{
    int objects[64], wanted[64];

    (void) state;
    for (unsigned at = 0; at < 9; at++) {
        char name[16];
        unsigned n = 0;

        snprintf(name, sizeof name, "M%u", at);
        rig_insert(0, name);
        rig_open("");
        for (unsigned i = 0; i < 9; i++) {
            bool mark = i % 3 == 2;

            if (i == at) {
                rig_yank(0);
                if (mark)
                    rig_start(CALL_OP, NULL, MTWEOF, 2);
                else
                    rig_start(CALL_WRITE, own(i, SIZE), SIZE, 0);
                rig_wait_for(PROMPT_ASKED, NULL);
                rig_insert(0, name);
                assert_int_equal(rig_join(), 0);
            } else if (mark) {
                assert_result(rig_op(MTWEOF, 2), 0);
            } else {
                write_blocks(i, 1);
            }
            wanted[n++] = mark ? -1 : (int) i;
            if (mark)
                wanted[n++] = -1;
        }
        assert_result(rig_close(), 0);
        assert_int_equal(rig_image(rig_path(name), objects, 64, 0), n);
        for (unsigned i = 0; i < n; i++)
            assert_int_equal(objects[i], wanted[i]);
        rig_yank(0);
    }
}

static void
marks_that_nobody_waits_for__yanked__written_again(void **state)
{
    int objects[8];

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    write_blocks(0, 1);
    assert_result(rig_op(MTWEOFI, 1), 0);
    write_blocks(1, 1);
    rig_yank(0);
    rig_start(CALL_WRITE, own(2, SIZE), SIZE, 0);
    rig_wait_for(PROMPT_ASKED, NULL);
    rig_insert(0, "T1");
    assert_int_equal(rig_join(), 0);
    assert_result(rig_close(), 0);
    assert_int_equal(rig_image(rig_path("T1"), objects, 8, 0), 5);
    assert_int_equal(objects[0], 0);
    assert_int_equal(objects[1], -1);
    assert_int_equal(objects[2], 1);
    assert_int_equal(objects[3], 2);
    assert_int_equal(objects[4], -1);
}

/* A record is so many blocks; the drive forgets its block size. */
static void
fixed_blocks__yanked_at_each__all_are_there_once(void **state)
{
    int objects[64];

    (void) state;
    for (unsigned at = 0; at < 5; at++) {
        char name[16];

        snprintf(name, sizeof name, "F%u", at);
        rig_insert(0, name);
        rig_open("");
        assert_result(rig_op(MTSETBLK, 512), 0);
        for (unsigned i = 0; i < 5; i++) {
            for (unsigned k = 0; k < 3; k++)
                memcpy(block + 512 * k, rig_block(3 * i + k, 512), 512);
            if (i == at) {
                rig_yank(0);
                rig_start(CALL_WRITE, block, 3 * 512, 0);
                rig_wait_for(PROMPT_ASKED, NULL);
                rig_insert(0, name);
                assert_int_equal(rig_join(), 0);
            } else {
                assert_result(rig_write(block, 3 * 512), 0);
            }
            assert_int_equal(rig.result.bytes, 3 * 512);
        }
        assert_result(rig_close(), 0);
        assert_int_equal(rig_image(rig_path(name), objects, 64, 0), 16);
        for (int i = 0; i < 15; i++)
            assert_int_equal(objects[i], i);
        rig_yank(0);
    }
}

/* What was on the tape before is no sign that somebody else wrote. */
static void
old_data_overwritten__yanked__the_new_ones_are_there(void **state)
{
    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    write_blocks(100, 20);
    assert_result(rig_op(MTREW, 1), 0);
    write_blocks(0, 6);
    rig_yank(0);
    rig_start(CALL_WRITE, own(6, SIZE), SIZE, 0);
    rig_wait_for(PROMPT_ASKED, NULL);
    rig_insert(0, "T1");
    assert_int_equal(rig_join(), 0);
    assert_result(rig_close(), 0);
    assert_blocks("T1", 7);
}

static void
appended_behind_a_mark__yanked__found_by_what_is_before(void **state)
{
    int objects[16];

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    write_blocks(0, 2);
    assert_result(rig_close(), 0);
    rig_open("");
    assert_result(rig_op(MTREW, 1), 0);
    assert_result(rig_op(MTEOM, 1), 0);
    write_blocks(2, 2);
    rig_yank(0);
    rig_start(CALL_WRITE, own(4, SIZE), SIZE, 0);
    rig_wait_for(PROMPT_ASKED, NULL);
    rig_insert(0, "T1");
    assert_int_equal(rig_join(), 0);
    assert_result(rig_close(), 0);
    assert_int_equal(rig_image(rig_path("T1"), objects, 16, 0), 7);
    assert_int_equal(objects[2], -1);
    for (int i = 2; i < 5; i++)
        assert_int_equal(objects[i + 1], i);
}

/* While it reads what is there, and while it writes what is missing. */
static void
yanked_again_while_it_returns__the_same_question(void **state)
{
    static const char *const rules[] = { "at 2 read do yank",
                                         "at 3 write do yank",
                                         "at 1 rewind do yank" };
    char text[128], name[16];

    (void) state;
    for (unsigned i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        struct ri_prompt_info first, second;

        snprintf(name, sizeof name, "Y%u", i);
        rig_insert(0, name);
        rig_open("");
        write_blocks(0, 4);
        assert_result(rig_op(MTWEOF, 0), 0);
        write_blocks(4, 5);
        rig_yank(0);
        rig_start(CALL_WRITE, own(9, SIZE), SIZE, 0);
        rig_wait_for(PROMPT_ASKED, &first);
        assert_int_equal(
            vscsi_fault_add(rig.drive[0].vscsi, rules[i], text, sizeof text),
            0);
        rig_insert(0, name);
        while (rig_is_in(0))
            rig_turn();
        vscsi_fault_clear(rig.drive[0].vscsi);
        assert_int_equal(rig_told(PROMPT_ARRIVED), i);
        rig_insert(0, name);
        rig_wait_for(PROMPT_ARRIVED, &second);
        assert_int_equal(first.id, second.id);
        assert_int_equal(rig_join(), 0);
        assert_result(rig_close(), 0);
        assert_blocks(name, 10);
        rig_yank(0);
    }
}

/* --- reset ---------------------------------------------------------------- */

static void
drive_reset__nobody_is_asked__nothing_twice(void **state)
{
    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    for (unsigned i = 0; i < 20; i++) {
        if (i % 4 == 3)
            vscsi_reset(rig.drive[0].vscsi);
        write_blocks(i, 1);
    }
    assert_result(rig_close(), 0);
    assert_int_equal(rig_told(PROMPT_ASKED), 0);
    assert_blocks("T1", 20);
}

/* The drive says so, and did it or did not. */
static void
write_fails_for_no_good_reason__once__it_is_there_once(void **state)
{
    static const char *const rules[] = {
        "at 3 write do sense 6/29/00",
        "at 3 write do sense 4/44/00",
        "at 3 write do sense 3/3b/00",
        "at 3 write do sense 3/0c/00",
        "at 3 write do sense 3/0c/00 deferred",
        "at 1 filemark do sense 3/0c/00 deferred",
        "at 3 write do recovered 4/44/00",
        "at 3 write do bus-free",
        "at 3 write do reset",
        "at 3 write do sense 6/28/00",
    };
    char text[128], name[16];

    (void) state;
    for (unsigned i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        snprintf(name, sizeof name, "R%u", i);
        rig_insert(0, name);
        rig_open("");
        assert_int_equal(
            vscsi_fault_add(rig.drive[0].vscsi, rules[i], text, sizeof text),
            0);
        write_blocks(0, 6);
        assert_result(rig_close(), 0);
        assert_blocks(name, 6);
        rig_yank(0);
        vscsi_fault_clear(rig.drive[0].vscsi);
    }
    assert_int_equal(rig_told(PROMPT_ASKED), 0);
}

static void
write_fails_again_and_again__an_error_that_names_what_is_not_safe(void **state)
{
    char text[128];

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    write_blocks(0, 3);
    assert_int_equal(vscsi_fault_add(rig.drive[0].vscsi,
                                     "at * write do sense 4/44/00", text,
                                     sizeof text),
                     0);
    assert_result(rig_write(rig_block(3, SIZE), SIZE), -EIO);
    assert_int_equal(rig.result.bytes, 0);
    assert_non_null(strstr(rig.result.text, "blocks 0 to 2"));
    assert_int_equal(rig.kept_bytes, 3 * SIZE);
    assert_result(rig_write(rig_block(3, SIZE), SIZE), -EIO);
    assert_int_equal(rig_prompts(), 0);
}

/* What is there looks like what was to be written, and is what was there before:
 * nothing may follow it. */
static void
the_same_written_over_it__reset__what_was_behind_it_is_gone(void **state)
{
    static const char *const rules[] = { "at 1 filemark do sense 6/29/00",
                                         "at 1 filemark do reset",
                                         "at 1 filemark do bus-free" };
    char text[128], name[16];
    int objects[16];

    (void) state;
    for (unsigned i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        snprintf(name, sizeof name, "E%u", i);
        rig_insert(0, name);
        rig_open("");
        write_blocks(0, 1);
        assert_result(rig_op(MTWEOF, 2), 0);
        write_blocks(1, 2);
        assert_result(rig_close(), 0);
        rig_open("");
        assert_result(rig_op(MTREW, 1), 0);
        assert_result(rig_op(MTFSR, 1), 0);
        assert_int_equal(
            vscsi_fault_add(rig.drive[0].vscsi, rules[i], text, sizeof text),
            0);
        assert_result(rig_op(MTWEOF, 1), 0);
        assert_result(rig_close(), 0);
        assert_int_equal(rig_image(rig_path(name), objects, 16, SIZE), 2);
        assert_int_equal(objects[0], 0);
        assert_int_equal(objects[1], -1);
        rig_yank(0);
    }
    assert_int_equal(rig_told(PROMPT_ASKED), 0);
}

/* --- another tape --------------------------------------------------------- */

static void
wrong_tape__refused_untouched__the_right_one_goes_on(void **state)
{
    struct ri_prompt_info prompt;
    int objects[16];

    (void) state;
    rig_insert(0, "WRONG");
    rig_open("");
    write_blocks(200, 3);
    assert_result(rig_close(), 0);
    rig_yank(0);
    rig_insert(0, "T1");
    rig_open("");
    write_blocks(0, 4);
    rig_yank(0);
    rig_start(CALL_WRITE, own(4, SIZE), SIZE, 0);
    rig_wait_for(PROMPT_ASKED, NULL);
    rig_insert(0, "WRONG");
    rig_wait_for(PROMPT_CHANGED, &prompt);
    assert_string_equal(prompt.reason, "STATUS_WRONG_VOLUME");
    assert_int_equal(rig_prompts(), 1);
    rig_yank(0);
    rig_wait_for(PROMPT_CHANGED, &prompt);
    assert_string_equal(prompt.reason, "STATUS_NO_MEDIA_IN_DEVICE");
    rig_insert(0, "T1");
    assert_int_equal(rig_join(), 0);
    assert_result(rig_close(), 0);
    assert_blocks("T1", 5);
    assert_int_equal(rig_image(rig_path("WRONG"), objects, 16, SIZE), 4);
    assert_int_equal(objects[0], 200);
    assert_int_equal(objects[2], 202);
}

/* The drive never said that it was empty. */
static void
exchanged_at_once__the_other_is_not_written(void **state)
{
    struct ri_prompt_info prompt;
    struct vscsi_state is;

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    write_blocks(0, 2);
    assert_int_equal(vscsi_yank(rig.drive[0].vscsi), 0);
    rig_insert(0, "T2");
    rig_start(CALL_WRITE, own(2, SIZE), SIZE, 0);
    rig_wait_for(PROMPT_ASKED, &prompt);
    assert_string_equal(prompt.reason, "STATUS_WRONG_VOLUME");
    vscsi_state(rig.drive[0].vscsi, &is);
    assert_int_equal(is.blocks, 0);
    assert_int_equal(prompt_answer(prompt.id, RI_CANCEL), 0);
    assert_int_equal(rig_join(), -ECANCELED);
    assert_result(rig_close(), 0);
}

/* --- changed elsewhere ---------------------------------------------------- */

/* T1 with blocks 0 to 5, of which three are not safe, away; then OTHER's bytes
 * are on it, whose first blocks are the same. */
static struct ri_prompt_info
change_elsewhere(void)
{
    struct ri_prompt_info prompt;

    rig_insert(0, "OTHER");
    rig_open("");
    write_blocks(0, 3);
    write_blocks(50, 9);
    assert_result(rig_close(), 0);
    rig_yank(0);
    rig_insert(0, "T1");
    rig_open("");
    write_blocks(0, 3);
    assert_result(rig_op(MTWEOF, 0), 0); /* safe */
    write_blocks(3, 3);
    rig_yank(0);
    rig_start(CALL_WRITE, own(6, SIZE), SIZE, 0);
    rig_wait_for(PROMPT_ASKED, NULL);
    replace_image("T1", "OTHER");
    rig_insert(0, "T1");
    rig_wait_for(PROMPT_CHANGED, &prompt);
    assert_string_equal(prompt.reason, "STATUS_FILE_INVALID");
    assert_string_equal(prompt.answers, "use|retry|cancel");
    return prompt;
}

static void
assert_kept(void)
{
    int objects[8];

    assert_string_not_equal(rig.kept_file, "");
    assert_int_equal(rig.kept_bytes, 3 * SIZE);
    assert_non_null(strstr(rig.result.text, rig.kept_file));
    assert_non_null(strstr(rig.result.text, "blocks 3 to 5"));
    assert_int_equal(rig_image(rig.kept_file, objects, 8, SIZE), 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(objects[i], i + 3);
}

static void
changed_elsewhere__cancel__kept_in_a_file_and_untouched(void **state)
{
    int objects[32];
    struct ri_prompt_info prompt = change_elsewhere();

    (void) state;
    assert_int_equal(prompt_answer(prompt.id, RI_CANCEL), 0);
    assert_int_equal(rig_join(), -ECANCELED);
    assert_kept();
    assert_result(rig_write(rig_block(7, SIZE), SIZE), -EIO);
    assert_result(rig_close(), 0);
    assert_int_equal(rig_image(rig_path("T1"), objects, 32, SIZE), 13);
    assert_int_equal(objects[3], 50);
}

static void
changed_elsewhere__use__kept_and_to_be_positioned(void **state)
{
    int objects[32];
    struct ri_prompt_info prompt = change_elsewhere();

    (void) state;
    assert_int_equal(prompt_answer(prompt.id, RI_USE), 0);
    assert_int_equal(rig_join(), -EIO);
    assert_kept();
    assert_int_equal(rig_prompts(), 0);
    assert_result(rig_write(rig_block(7, SIZE), SIZE), -EIO);
    assert_result(rig_op(MTEOM, 1), 0);
    write_blocks(7, 1);
    assert_result(rig_close(), 0);
    assert_int_equal(rig_image(rig_path("T1"), objects, 32, SIZE), 15);
    assert_int_equal(objects[13], 7);
}

static void
changed_elsewhere__retry__asked_as_before(void **state)
{
    struct ri_prompt_info prompt = change_elsewhere();

    (void) state;
    assert_int_equal(prompt_answer(prompt.id, RI_RETRY), 0);
    rig_wait_for(PROMPT_STILL, NULL);
    assert_int_equal(rig_prompts(), 1);
    assert_int_equal(prompt_answer(prompt.id, RI_CANCEL), 0);
    assert_int_equal(rig_join(), -ECANCELED);
}

/* T1 holds blocks 0 to 2, all of them safe, and was seen to be away by somebody
 * who did not wait; OTHER begins with the same, `more` blocks from `from` on
 * follow. */
static void
nothing_kept_and_away(unsigned from, unsigned more)
{
    rig_insert(0, "OTHER");
    rig_open("");
    write_blocks(0, 3);
    write_blocks(from, more);
    assert_result(rig_close(), 0);
    rig_yank(0);
    rig_insert(0, "T1");
    rig_open("");
    write_blocks(0, 3);
    assert_result(rig_op(MTWEOF, 0), 0); /* safe */
    rig_yank(0);
}

/* It would have been written over. */
static void
all_safe__appended_elsewhere__asked_before_the_next_write(void **state)
{
    struct ri_prompt_info prompt;
    int objects[16];

    (void) state;
    nothing_kept_and_away(50, 4);
    assert_false(GMT_ONLINE(rig_get().mt_gstat));
    replace_image("T1", "OTHER");
    rig_insert(0, "T1");
    rig_start(CALL_WRITE, own(3, SIZE), SIZE, 0);
    rig_wait_for(PROMPT_ASKED, &prompt);
    assert_string_equal(prompt.reason, "STATUS_FILE_INVALID");
    assert_int_equal(prompt_answer(prompt.id, RI_CANCEL), 0);
    assert_int_equal(rig_join(), -ECANCELED);
    assert_result(rig_close(), 0);
    assert_int_equal(rig_image(rig_path("T1"), objects, 16, SIZE), 8);
    assert_int_equal(objects[3], 50);
}

static void
all_safe__seen_away__put_back__goes_on(void **state)
{
    (void) state;
    nothing_kept_and_away(3, 1);
    assert_false(GMT_ONLINE(rig_get().mt_gstat));
    rig_insert(0, "T1");
    write_blocks(3, 2);
    assert_result(rig_close(), 0);
    assert_int_equal(rig_told(PROMPT_ASKED), 0);
    assert_blocks("T1", 5);
}

/* A write that was interrupted, with so many others not safe before it, came onto
 * the tape all the same: nobody else has written it. */
static void
interrupt_with(unsigned kept)
{
    int objects[16];

    nothing_kept_and_away(3, 1 + kept);
    rig_insert(0, "T1");
    write_blocks(3, kept);
    rig_yank(0);
    rig_start(CALL_WRITE, own(3 + kept, SIZE), SIZE, 0);
    rig_wait_for(PROMPT_ASKED, NULL);
    ri_tape_interrupt(rig.tape);
    assert_int_equal(rig_join(), -EINTR);
    replace_image("T1", "OTHER");
    rig_insert(0, "T1");
    write_blocks(60, 1);
    assert_result(rig_close(), 0);
    assert_int_equal(rig_told(PROMPT_ASKED), 1);
    assert_int_equal(rig_image(rig_path("T1"), objects, 16, SIZE), 5 + kept);
    assert_int_equal(objects[2 + kept], 2 + kept);
    assert_int_equal(objects[3 + kept], 60);
    assert_int_equal(objects[4 + kept], -1);
}

static void
interrupted__it_is_on_the_tape__goes_on_over_it(void **state)
{
    (void) state;
    interrupt_with(0);
}

static void
interrupted_behind_others__it_is_on_the_tape__goes_on_over_it(void **state)
{
    (void) state;
    interrupt_with(1);
}

/* Another one than it. */
static void
interrupted__appended_elsewhere__asked(void **state)
{
    struct ri_prompt_info prompt;

    (void) state;
    nothing_kept_and_away(50, 2);
    rig_start(CALL_WRITE, own(3, SIZE), SIZE, 0);
    rig_wait_for(PROMPT_ASKED, NULL);
    ri_tape_interrupt(rig.tape);
    assert_int_equal(rig_join(), -EINTR);
    replace_image("T1", "OTHER");
    rig_insert(0, "T1");
    rig_start(CALL_WRITE, own(3, SIZE), SIZE, 0);
    rig_wait_for(PROMPT_ASKED, &prompt);
    assert_string_equal(prompt.reason, "STATUS_FILE_INVALID");
    assert_int_equal(prompt_answer(prompt.id, RI_CANCEL), 0);
    assert_int_equal(rig_join(), -ECANCELED);
    assert_result(rig_close(), 0);
}

/* --- reading -------------------------------------------------------------- */

static void
read_session__yanked_at_each_place__goes_on_there(void **state)
{
    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    write_blocks(0, 12);
    assert_result(rig_op(MTWEOF, 1), 0);
    assert_result(rig_op(MTREW, 1), 0);
    for (unsigned i = 0; i < 14; i++) {
        rig_yank(0);
        rig_start(CALL_READ, data, SIZE, 0);
        rig_wait_for(PROMPT_ASKED, NULL);
        rig_insert(0, "T1");
        assert_int_equal(rig_join(), 0);
        assert_int_equal(rig.result.bytes, i < 12 ? SIZE : 0);
        assert_int_equal(rig.result.filemark, i == 12);
        assert_int_equal(rig.result.end_of_data, i == 13);
        if (i < 12)
            assert_memory_equal(data, rig_block(i, SIZE), SIZE);
    }
}

/* Records in a row: the place is known by what was lent and by what was given
 * back, whatever lies in that memory since. */
static void
records_lent__yanked_and_given_back__goes_on_there(void **state)
{
    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    write_blocks(0, 20);
    assert_result(rig_op(MTREW, 1), 0);
    for (unsigned i = 0; i < 20; i++) {
        uint8_t *at = data + i * SIZE;

        if (i % 5 == 4) {
            ri_tape_give_back(rig.tape);
            memset(data, 0xEE, 20 * SIZE);
        }
        if (i % 2 == 0)
            rig_yank(0);
        rig_start(CALL_READ_LENT, at, SIZE, 0);
        if (i % 2 == 0) {
            rig_wait_for(PROMPT_ASKED, NULL);
            rig_insert(0, "T1");
        }
        assert_int_equal(rig_join(), 0);
        assert_int_equal(rig.result.bytes, SIZE);
        assert_memory_equal(at, rig_block(i, SIZE), SIZE);
    }
    assert_int_equal(rig_told(PROMPT_ASKED), 10);
}

/* Another call gives it back, too. */
static void
records_lent__then_written__yanked__the_place_is_known(void **state)
{
    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    write_blocks(0, 10);
    assert_result(rig_op(MTREW, 1), 0);
    for (unsigned i = 0; i < 6; i++)
        assert_result(
            ri_tape_read_lent(rig.tape, data + i * SIZE, SIZE, &rig.result), 0);
    write_blocks(6, 1);
    memset(data, 0xEE, 6 * SIZE);
    rig_yank(0);
    rig_start(CALL_WRITE, own(7, SIZE), SIZE, 0);
    rig_wait_for(PROMPT_ASKED, NULL);
    rig_insert(0, "T1");
    assert_int_equal(rig_join(), 0);
    assert_result(rig_close(), 0);
    assert_blocks("T1", 8);
}

static void
motion__yanked__done_from_where_it_began(void **state)
{
    struct mtget get;

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    for (unsigned i = 0; i < 4; i++) {
        write_blocks(i, 1);
        assert_result(rig_op(MTWEOF, 1), 0);
    }
    assert_result(rig_op(MTREW, 1), 0);
    assert_result(rig_op(MTFSF, 1), 0);
    rig_yank(0);
    rig_start(CALL_OP, NULL, MTFSF, 2);
    rig_wait_for(PROMPT_ASKED, NULL);
    rig_insert(0, "T1");
    assert_int_equal(rig_join(), 0);
    get = rig_get();
    assert_int_equal(get.mt_fileno, 3);
    assert_result(rig_read(data, SIZE), 0);
    assert_memory_equal(data, rig_block(3, SIZE), SIZE);
}

/* A drive that cannot LOCATE: by files and blocks. */
static void
drive_without_locate__yanked_at_each_place__goes_on_there(void **state)
{
    int objects[64];
    char text[128];

    (void) state;
    assert_int_equal(vscsi_fault_add(rig.drive[0].vscsi,
                                     "at * locate do sense 5/20/00", text,
                                     sizeof text),
                     0);
    rig_insert(0, "T1");
    rig_open("");
    for (unsigned i = 0; i < 12; i++) {
        rig_yank(0);
        rig_start(CALL_WRITE, own(i, SIZE), SIZE, 0);
        rig_wait_for(PROMPT_ASKED, NULL);
        rig_insert(0, "T1");
        assert_int_equal(rig_join(), 0);
        if (i % 4 == 3)
            assert_result(rig_op(MTWEOF, 1), 0);
    }
    assert_int_equal(rig_image(rig_path("T1"), objects, 64, 0), 15);
    for (int i = 0; i < 15; i++)
        assert_int_equal(objects[i], i % 5 == 4 ? -1 : i - i / 5);
    assert_result(rig_op(MTREW, 1), 0);
    for (unsigned i = 0; i < 15; i++) {
        rig_yank(0);
        rig_start(CALL_READ, data, SIZE, 0);
        rig_wait_for(PROMPT_ASKED, NULL);
        rig_insert(0, "T1");
        assert_int_equal(rig_join(), 0);
        assert_int_equal(rig.result.filemark, i % 5 == 4);
        if (i % 5 != 4)
            assert_memory_equal(data, rig_block(i - i / 5, SIZE), SIZE);
    }
    vscsi_fault_clear(rig.drive[0].vscsi);
}

/* --- a model -------------------------------------------------------------- */

static unsigned
dice(unsigned *seed, unsigned sides)
{
    *seed = *seed * 1103515245u + 12345u;
    return (*seed >> 16) % sides;
}

/* Blocks and marks, pulled now and then, reset now and then. */
static void
many_things__compared_with_a_model(void **state)
{
    static int wanted[512], objects[512];

    (void) state;
    for (unsigned run = 0; run < 20; run++) {
        unsigned seed = run + 1, n = 0;
        char name[16];

        snprintf(name, sizeof name, "X%u", run);
        rig_insert(0, name);
        rig_open("");
        for (unsigned i = 0; i < 60; i++) {
            bool mark = dice(&seed, 8) == 0, away = dice(&seed, 6) == 0;

            if (dice(&seed, 10) == 0)
                vscsi_reset(rig.drive[0].vscsi);
            if (away)
                rig_yank(0);
            rig_start(mark ? CALL_OP : CALL_WRITE, own(i, SIZE),
                      mark ? MTWEOF : SIZE, 1);
            if (away) {
                rig_wait_for(PROMPT_ASKED, NULL);
                rig_insert(0, name);
            }
            assert_int_equal(rig_join(), 0);
            wanted[n++] = mark ? -1 : (int) i;
        }
        if (wanted[n - 1] != -1)
            wanted[n++] = -1;
        assert_result(rig_close(), 0);
        assert_int_equal(rig_image(rig_path(name), objects, 512, 0), n);
        assert_memory_equal(objects, wanted, n * sizeof wanted[0]);
        rig_yank(0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(yanked__one_question__put_back__goes_on),
        TEST(yanked_at_each_block__buffer_lost__all_is_there_once),
        TEST_SAFE(yanked_at_each_block__nothing_lost__all_is_there_once),
        cmocka_unit_test_setup_teardown(
            yanked_behind_a_synchronisation__the_rest_is_written,
            new_with_a_small_limit, rig_free),
        cmocka_unit_test_setup_teardown(
            nothing_may_be_kept__each_write_is_synchronised,
            new_without_a_limit, rig_free),
        TEST(yanked__put_into_another_drive__goes_on_there),
        TEST(marks_among_blocks__yanked_at_each__all_are_there_once),
        TEST(marks_that_nobody_waits_for__yanked__written_again),
        TEST(fixed_blocks__yanked_at_each__all_are_there_once),
        TEST(old_data_overwritten__yanked__the_new_ones_are_there),
        TEST(appended_behind_a_mark__yanked__found_by_what_is_before),
        TEST(yanked_again_while_it_returns__the_same_question),
        TEST(drive_reset__nobody_is_asked__nothing_twice),
        TEST(write_fails_for_no_good_reason__once__it_is_there_once),
        TEST(the_same_written_over_it__reset__what_was_behind_it_is_gone),
        TEST(write_fails_again_and_again__an_error_that_names_what_is_not_safe),
        TEST(wrong_tape__refused_untouched__the_right_one_goes_on),
        TEST(exchanged_at_once__the_other_is_not_written),
        TEST(changed_elsewhere__cancel__kept_in_a_file_and_untouched),
        TEST(changed_elsewhere__use__kept_and_to_be_positioned),
        TEST(changed_elsewhere__retry__asked_as_before),
        TEST(all_safe__appended_elsewhere__asked_before_the_next_write),
        TEST(all_safe__seen_away__put_back__goes_on),
        TEST(interrupted__it_is_on_the_tape__goes_on_over_it),
        TEST(interrupted_behind_others__it_is_on_the_tape__goes_on_over_it),
        TEST(interrupted__appended_elsewhere__asked),
        TEST(read_session__yanked_at_each_place__goes_on_there),
        TEST(records_lent__yanked_and_given_back__goes_on_there),
        TEST(records_lent__then_written__yanked__the_place_is_known),
        TEST(motion__yanked__done_from_where_it_began),
        TEST(drive_without_locate__yanked_at_each_place__goes_on_there),
        TEST(many_things__compared_with_a_model),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
