/*
 * t_wait.c - a session that waits: how it ends, and for which tape it waits
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

#include "base/clock.h"

#define SIZE 1024

static uint8_t data[1 << 20], block[SIZE];

static uint8_t *
own(unsigned n)
{
    memcpy(block, rig_block(n, SIZE), SIZE);
    return block;
}

/* T1 with three blocks that are not safe, away; a write that waits for it. */
static void
wait_with_three_blocks(void)
{
    rig_insert(0, "T1");
    rig_open("");
    for (unsigned i = 0; i < 3; i++)
        assert_result(rig_write(rig_block(i, SIZE), SIZE), 0);
    rig_yank(0);
    rig_start(CALL_WRITE, own(3), SIZE, 0);
    rig_wait_for(PROMPT_ASKED, NULL);
}

/* --- how it ends ---------------------------------------------------------- */

static void
question_cancelled__an_error__kept_in_a_file(void **state)
{
    int objects[8];

    (void) state;
    wait_with_three_blocks();
    assert_int_equal(prompt_answer(rig_prompt_id(), RI_CANCEL), 0);
    assert_int_equal(rig_join(), -ECANCELED);
    assert_int_equal(rig_image(rig.kept_file, objects, 8, SIZE), 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(objects[i], i);
    assert_non_null(strstr(rig.result.text, "blocks 0 to 2"));
    /* Nothing is written blindly from now on. */
    rig_insert(0, "T1");
    assert_result(rig_write(rig_block(3, SIZE), SIZE), -EIO);
    assert_result(rig_close(), 0);
    assert_int_equal(rig_image(rig_path("T1"), objects, 8, SIZE), 0);
}

/* An answer is for the session that was asked about. */
static void
question_cancelled__the_next_session_is_asked_about(void **state)
{
    (void) state;
    for (int i = 0; i < 4; i++) {
        wait_with_three_blocks();
        assert_int_equal(prompt_answer(rig_prompt_id(), RI_CANCEL), 0);
        assert_int_equal(rig_join(), -ECANCELED);
        assert_result(rig_close(), 0);
    }
}

static void
question_cancelled__rewound__it_may_go_on(void **state)
{
    int objects[8];

    (void) state;
    wait_with_three_blocks();
    assert_int_equal(prompt_answer(rig_prompt_id(), RI_CANCEL), 0);
    assert_int_equal(rig_join(), -ECANCELED);
    rig_insert(0, "T1");
    assert_result(rig_op(MTREW, 1), 0);
    assert_result(rig_write(rig_block(9, SIZE), SIZE), 0);
    assert_result(rig_close(), 0);
    assert_int_equal(rig_image(rig_path("T1"), objects, 8, SIZE), 2);
    assert_int_equal(objects[0], 9);
}

static void
session_cancelled__the_call_ends__and_each_later_one(void **state)
{
    (void) state;
    wait_with_three_blocks();
    ri_tape_cancel(rig.tape);
    assert_int_equal(rig_join(), -ECANCELED);
    assert_int_equal(rig_prompts(), 0);
    assert_result(rig_read(data, SIZE), -ECANCELED);
    assert_result(rig_op(MTREW, 1), -ECANCELED);
    assert_int_equal(rig.kept_bytes, 3 * SIZE);
}

/* A signal to a program: the call ends, the session does not. */
static void
interrupted__the_next_call_asks_again__nothing_is_lost(void **state)
{
    int objects[8];

    (void) state;
    wait_with_three_blocks();
    ri_tape_interrupt(rig.tape);
    assert_int_equal(rig_join(), -EINTR);
    rig_wait_for(PROMPT_DROPPED, NULL);
    assert_string_equal(rig.kept_file, "");
    clock_advance_ms(10000);
    rig_start(CALL_WRITE, own(3), SIZE, 0);
    rig_wait_for(PROMPT_ASKED, NULL);
    rig_insert(0, "T1");
    assert_int_equal(rig_join(), 0);
    assert_result(rig_close(), 0);
    assert_int_equal(rig_image(rig_path("T1"), objects, 8, SIZE), 5);
    for (int i = 0; i < 4; i++)
        assert_int_equal(objects[i], i);
}

static void
interrupted_while_nothing_is_under_way__no_effect(void **state)
{
    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    ri_tape_interrupt(rig.tape);
    rig_yank(0);
    rig_start(CALL_READ, data, SIZE, 0);
    rig_wait_for(PROMPT_ASKED, NULL);
    rig_insert(0, "T1");
    assert_int_equal(rig_join(), 0);
}

static void
shutdown__the_call_ends(void **state)
{
    (void) state;
    wait_with_three_blocks();
    tapes_shutdown();
    assert_int_equal(rig_join(), -ESHUTDOWN);
    assert_result(rig_read(data, SIZE), -ESHUTDOWN);
    assert_int_equal(rig.kept_bytes, 3 * SIZE);
}

static void
count(void *context)
{
    InterlockedIncrement(context);
}

/* Who has results of earlier calls to tell does so before it. */
static void
call_that_waits__told_before_it(void **state)
{
    LONG told = 0;

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    ri_tape_before_waits(rig.tape, count, &told);
    for (unsigned i = 0; i < 3; i++)
        assert_result(rig_write(rig_block(i, SIZE), SIZE), 0);
    assert_int_equal(InterlockedOr(&told, 0), 0);
    rig_yank(0);
    rig_start(CALL_WRITE, own(3), SIZE, 0);
    rig_wait_for(PROMPT_ASKED, NULL);
    assert_true(InterlockedOr(&told, 0) > 0);
    rig_insert(0, "T1");
    assert_int_equal(rig_join(), 0);
    ri_tape_before_waits(rig.tape, NULL, NULL);
}

static void
broker_ends_first__the_call_ends(void **state)
{
    (void) state;
    wait_with_three_blocks();
    prompt_shutdown();
    assert_int_equal(rig_join(), -ESHUTDOWN);
}

/* Nobody told us of the tape: it is looked for once a second. */
static void
nobody_says_that_it_is_back__looked_at_within_a_second(void **state)
{
    char text[256];

    (void) state;
    wait_with_three_blocks();
    assert_int_equal(
        vscsi_insert(rig.drive[0].vscsi, rig_path("T1"), text, sizeof text), 0);
    while (rig_told(PROMPT_ARRIVED) == 0) {
        clock_advance_ms(LOOK_MS);
        rig_turn();
    }
    assert_int_equal(rig_join(), 0);
}

/* Until it is asked for no more: after how many seconds? */
static unsigned
seconds_until_it_is_back(void)
{
    unsigned seconds = 0;

    for (rig_turn(); !rig_has_ended(); rig_turn()) {
        clock_advance_ms(LOOK_MS);
        if (++seconds > 20000) /* a minute, and more */
            fail_msg("it is not looked at any more");
    }
    assert_int_equal(rig_join(), 0);
    return seconds;
}

/* A tape that cannot be read, 3 reads a look: the first look when it was put in,
 * the next ones 1, 2, 4, ..., at most 30 seconds apart. */
static void
unreadable(unsigned looks)
{
    char rule[64], text[128];

    for (unsigned i = 1; i <= 3 * looks; i++) {
        snprintf(rule, sizeof rule, "at %u read do sense 3/11/00", i);
        assert_int_equal(
            vscsi_fault_add(rig.drive[0].vscsi, rule, text, sizeof text), 0);
    }
    rig_insert(0, "T1");
    rig_wait_for(PROMPT_CHANGED, NULL);
}

static void
tape_that_cannot_be_read__read_again_less_and_less_often(void **state)
{
    (void) state;
    wait_with_three_blocks();
    unreadable(7);
    /* 1 + 2 + 4 + 8 + 16 + 30 + 30; the clock may run ahead of a look. */
    assert_true(seconds_until_it_is_back() >= 91);
}

static void
tape_that_cannot_be_read__retry__at_once(void **state)
{
    (void) state;
    wait_with_three_blocks();
    unreadable(3);
    while (rig_prompts() != 0 && !rig_has_ended())
        (void) prompt_answer(rig_prompt_id(), RI_RETRY);
    assert_int_equal(rig_join(), 0);
}

static void
tape_that_cannot_be_read__put_in_again__at_once(void **state)
{
    (void) state;
    wait_with_three_blocks();
    unreadable(1);
    rig_yank(0);
    rig_wait_for(PROMPT_CHANGED, NULL);
    rig_insert(0, "T1");
    assert_int_equal(rig_join(), 0);
}

static void
close_while_it_is_away__asks_and_finishes(void **state)
{
    struct ri_tape_info info;
    int objects[8];

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    assert_result(rig_write(rig_block(0, SIZE), SIZE), 0);
    rig_yank(0);
    rig_start(CALL_CLOSE, NULL, 0, 0);
    rig_wait_for(PROMPT_ASKED, NULL);
    tape_unit_info(rig.drive[0].unit, &info);
    assert_true(info.waiting);
    assert_string_equal(info.state, "waiting");
    assert_int_equal(info.unflushed_bytes, SIZE);
    rig_insert(0, "T1");
    assert_int_equal(rig_join(), 0);
    assert_int_equal(rig_image(rig_path("T1"), objects, 8, SIZE), 2);
    assert_false(tape_unit_busy(rig.drive[0].unit));
}

static void
close_of_a_reader_while_it_is_away__asks_nobody(void **state)
{
    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    rig_yank(0);
    assert_result(rig_close(), 0);
    assert_int_equal(rig_told(PROMPT_ASKED), 0);
}

/* Without a rewind it stays where it was, also for the next session. */
static void
close_after_it_came_back__at_its_place(void **state)
{
    struct mtget get;
    int objects[16];

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    for (unsigned i = 0; i < 4; i++)
        assert_result(rig_write(rig_block(i, SIZE), SIZE), 0);
    assert_result(rig_op(MTWEOF, 1), 0);
    rig_yank(0);
    rig_insert(0, "T1");
    assert_result(rig_close(), 0);
    rig_open("");
    get = rig_get();
    assert_int_equal(get.mt_fileno, 1);
    assert_int_equal(get.mt_blkno, 0);
    assert_result(rig_write(rig_block(4, SIZE), SIZE), 0);
    rig_yank(0);
    assert_int_equal(rig_told(PROMPT_ASKED), 0);
    rig_insert(0, "T1");
    assert_result(rig_close(), 0);
    assert_int_equal(rig_image(rig_path("T1"), objects, 16, SIZE), 7);
    assert_int_equal(objects[4], -1);
    assert_int_equal(objects[5], 4);
}

/* Another one was put in meanwhile: it is at its beginning. */
static void
close_after_an_exchange__nothing_of_the_old_one_is_believed(void **state)
{
    struct mtget get;

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    assert_result(rig_write(rig_block(0, SIZE), SIZE), 0);
    assert_result(rig_op(MTWEOF, 1), 0);
    rig_yank(0);
    rig_insert(0, "T2");
    assert_result(rig_close(), 0);
    rig_open("");
    get = rig_get();
    assert_int_equal(get.mt_fileno, 0);
    assert_true(GMT_BOT(get.mt_gstat));
    assert_result(rig_close(), 0);
}

/* As a plain tape drive. */
static void
nobody_is_to_be_asked__an_error_and_position_first(void **state)
{
    struct ri_tape_how how = { .write = true, .fail_without = true };
    struct ri_error error;
    int objects[8];

    (void) state;
    rig_insert(0, "T1");
    assert_int_equal(tape_unit_open(rig.drive[0].unit, &how, &rig.tape, &error),
                     0);
    assert_result(rig_write(rig_block(0, SIZE), SIZE), 0);
    rig_yank(0);
    assert_result(rig_write(rig_block(1, SIZE), SIZE), -ENOMEDIUM);
    assert_non_null(strstr(rig.result.text, "blocks 0 to 0"));
    rig_insert(0, "T1");
    assert_result(rig_write(rig_block(1, SIZE), SIZE), -EIO);
    assert_result(rig_op(MTREW, 1), 0);
    assert_result(rig_write(rig_block(2, SIZE), SIZE), 0);
    assert_result(rig_close(), 0);
    assert_int_equal(rig_told(PROMPT_ASKED), 0);
    assert_int_equal(rig_image(rig_path("T1"), objects, 8, SIZE), 2);
    assert_int_equal(objects[0], 2);
}

/* The words fit how the drive is reached; asked so, and told so later. */
/* The session may begin to wait only after the clock was moved. */
static void
look_until_changed(unsigned had)
{
    while (rig_told(PROMPT_CHANGED) == had) {
        clock_advance_ms(LOOK_MS);
        rig_turn();
    }
}

static void
away(bool here, const char *title, const char *advice, const char *never)
{
    struct ri_prompt_info prompt;
    unsigned had;
    char text[128];

    rig.drive[0].unit->here = here;
    for (int later = 0; later < 2; later++) {
        rig_insert(0, "T1");
        rig_open("");
        assert_result(rig_write(rig_block(0, SIZE), SIZE), 0);
        if (later) {
            rig_yank(0);
            rig_start(CALL_WRITE, own(1), SIZE, 0);
            rig_wait_for(PROMPT_ASKED, NULL);
        }
        had = rig_told(PROMPT_CHANGED);
        assert_int_equal(vscsi_fault_add(rig.drive[0].vscsi,
                                         "at * any do selection-timeout", text,
                                         sizeof text),
                         0);
        if (!later)
            rig_start(CALL_WRITE, own(1), SIZE, 0);
        else
            look_until_changed(had);
        rig_wait_for(later ? PROMPT_CHANGED : PROMPT_ASKED, &prompt);
        assert_string_equal(prompt.title, title);
        assert_non_null(strstr(prompt.text, advice));
        assert_null(strstr(prompt.text, never));
        vscsi_fault_clear(rig.drive[0].vscsi);
        if (later)
            rig_insert(0, "T1");
        while (!rig_has_ended()) {
            clock_advance_ms(LOOK_MS);
            rig_turn();
        }
        assert_int_equal(rig_join(), 0);
        assert_result(rig_close(), 0);
        rig_yank(0);
        clock_advance_ms(10000);
    }
}

static void
drive_of_this_machine_away__its_cable(void **state)
{
    (void) state;
    away(true, "Drive gone", "cable", "target");
}

static void
drive_of_a_target_away__the_network(void **state)
{
    (void) state;
    away(false, "Target away", "network", "cable");
}

/* --- which tape ----------------------------------------------------------- */

static void
tape_that_is_meant__asked_for_by_the_first_call(void **state)
{
    struct ri_prompt_info prompt;

    (void) state;
    rig_insert(0, "T1");
    rig_open("T2"); /* its bar code */
    rig_start(CALL_WRITE, own(0), SIZE, 0);
    rig_wait_for(PROMPT_ASKED, &prompt);
    assert_string_equal(prompt.volume, "T2");
    assert_string_equal(prompt.reason, "STATUS_WRONG_VOLUME");
    rig_yank(0);
    rig_insert(0, "T2");
    assert_int_equal(rig_join(), 0);
    assert_result(rig_close(), 0);
}

static void
tape_that_is_meant__nobody_is_to_be_asked__another_is_refused(void **state)
{
    struct ri_tape_how how = { .fail_without = true, .tape = "T2" };
    struct ri_error error;

    (void) state;
    rig_insert(0, "T1");
    assert_int_equal(tape_unit_open(rig.drive[0].unit, &how, &rig.tape, &error),
                     -EMEDIUMTYPE);
    assert_non_null(strstr(error.text, "T2"));
    assert_false(tape_unit_busy(rig.drive[0].unit));
    rig.tape = NULL;
    how.tape[1] = '1';
    assert_int_equal(tape_unit_open(rig.drive[0].unit, &how, &rig.tape, &error),
                     0);
}

static void
next_tape__finished_unloaded_and_asked_for(void **state)
{
    struct ri_prompt_info prompt;
    int objects[8];

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    assert_result(rig_write(rig_block(0, SIZE), SIZE), 0);
    rig_start(CALL_NEXT, (void *) "T2", 0, 0);
    rig_wait_for(PROMPT_ASKED, &prompt);
    assert_string_equal(prompt.volume, "T2");
    assert_string_equal(prompt.text, "Tape T2 is needed in drive tape0, which "
                                     "is empty. Put it in.");
    assert_false(rig_is_in(0));
    rig_insert(0, "T3");
    rig_wait_for(PROMPT_CHANGED, &prompt);
    assert_string_equal(prompt.reason, "STATUS_WRONG_VOLUME");
    rig_yank(0);
    rig_insert(0, "T2");
    assert_int_equal(rig_join(), 0);
    assert_true(rig.result.beginning);
    assert_result(rig_write(rig_block(1, SIZE), SIZE), 0);
    assert_result(rig_close(), 0);
    assert_int_equal(rig_image(rig_path("T1"), objects, 8, SIZE), 2);
    assert_int_equal(objects[0], 0);
    assert_int_equal(rig_image(rig_path("T2"), objects, 8, SIZE), 2);
    assert_int_equal(objects[0], 1);
    assert_int_equal(rig_image(rig_path("T3"), objects, 8, SIZE), 0);
}

static void
next_blank_tape__neither_the_same_nor_one_with_data(void **state)
{
    struct ri_prompt_info prompt;

    (void) state;
    rig_insert(0, "FULL");
    rig_open("");
    assert_result(rig_write(rig_block(7, SIZE), SIZE), 0);
    assert_result(rig_close(), 0);
    rig_yank(0);
    rig_insert(0, "T1");
    rig_open("");
    rig_start(CALL_NEXT, (void *) "", 0, true);
    rig_wait_for(PROMPT_ASKED, &prompt);
    assert_string_equal(prompt.volume, "a blank tape");
    rig_insert(0, "T1");
    rig_wait_for(PROMPT_CHANGED, &prompt);
    assert_string_equal(prompt.text,
                        "A blank tape is needed in drive tape0, and another "
                        "tape is in it. That one is left untouched. Take it "
                        "out and put the right one in.");
    rig_yank(0);
    rig_wait_for(PROMPT_CHANGED, NULL);
    rig_insert(0, "FULL");
    rig_wait_for(PROMPT_CHANGED, NULL);
    rig_yank(0);
    rig_insert(0, "T2");
    assert_int_equal(rig_join(), 0);
    assert_result(rig_close(), 0);
}

static void
next_tape__interrupted__asked_for_by_the_next(void **state)
{
    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    rig_start(CALL_NEXT, (void *) "T2", 0, 0);
    rig_wait_for(PROMPT_ASKED, NULL);
    ri_tape_interrupt(rig.tape);
    assert_int_equal(rig_join(), -EINTR);
    assert_result(rig_write(rig_block(0, SIZE), SIZE), -ENOMEDIUM);
    clock_advance_ms(10000);
    rig_start(CALL_NEXT, (void *) "T2", 0, 0);
    rig_wait_for(PROMPT_ASKED, NULL);
    rig_insert(0, "T2");
    assert_int_equal(rig_join(), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(question_cancelled__an_error__kept_in_a_file),
        TEST(question_cancelled__the_next_session_is_asked_about),
        TEST(question_cancelled__rewound__it_may_go_on),
        TEST(session_cancelled__the_call_ends__and_each_later_one),
        TEST(interrupted__the_next_call_asks_again__nothing_is_lost),
        TEST(interrupted_while_nothing_is_under_way__no_effect),
        TEST(shutdown__the_call_ends),
        TEST(call_that_waits__told_before_it),
        TEST(broker_ends_first__the_call_ends),
        TEST(nobody_says_that_it_is_back__looked_at_within_a_second),
        TEST(tape_that_cannot_be_read__read_again_less_and_less_often),
        TEST(tape_that_cannot_be_read__retry__at_once),
        TEST(tape_that_cannot_be_read__put_in_again__at_once),
        TEST(close_while_it_is_away__asks_and_finishes),
        TEST(close_of_a_reader_while_it_is_away__asks_nobody),
        TEST(close_after_it_came_back__at_its_place),
        TEST(close_after_an_exchange__nothing_of_the_old_one_is_believed),
        TEST(nobody_is_to_be_asked__an_error_and_position_first),
        TEST(drive_of_this_machine_away__its_cable),
        TEST(drive_of_a_target_away__the_network),
        TEST(tape_that_is_meant__asked_for_by_the_first_call),
        TEST(tape_that_is_meant__nobody_is_to_be_asked__another_is_refused),
        TEST(next_tape__finished_unloaded_and_asked_for),
        TEST(next_blank_tape__neither_the_same_nor_one_with_data),
        TEST(next_tape__interrupted__asked_for_by_the_next),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
