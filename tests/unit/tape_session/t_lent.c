/*
 * t_lent.c - records written in a row, whose data are lent: what is copied, what
 *            need not be, and that all of it comes onto the tape
 *
 * The drives lose what only their buffer holds, unless a test says otherwise.
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

#define SMALL 1024u
#define LARGE 65536u
#define MUCH  16u /* large ones: as many as are kept unasked */

static uint8_t memory[40 * LARGE];

/* Lends block n, at its place in memory. */
static void
lend(unsigned n, size_t size)
{
    uint8_t *at = memory + n * size;

    memcpy(at, rig_block(n, size), size);
    assert_result(ri_tape_write_lent(rig.tape, at, size, &rig.result), 0);
    assert_int_equal(rig.result.bytes, size);
}

/* ... and it is somebody else's again. */
static void
give_back(void)
{
    ri_tape_give_back(rig.tape);
    memset(memory, 0xEE, sizeof memory);
}

static uint64_t
unflushed(void)
{
    struct ri_tape_info info;

    tape_unit_info(rig.drive[0].unit, &info);
    return info.unflushed_bytes;
}

/* The next block is written while its tape is away. */
static void
lend_to_a_tape_that_is_away(unsigned n, size_t size, const char *name)
{
    uint8_t *at = memory + n * size;

    memcpy(at, rig_block(n, size), size);
    rig_yank(0);
    rig_start(CALL_WRITE_LENT, at, size, 0);
    rig_wait_for(PROMPT_ASKED, NULL);
    rig_insert(0, name);
    assert_int_equal(rig_join(), 0);
    assert_int_equal(rig.result.bytes, size);
}

static void
assert_blocks(const char *name, unsigned count, size_t size)
{
    int objects[64];

    assert_int_equal(rig_image(rig_path(name), objects, 64, size), count + 1);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(objects[i], i);
    assert_int_equal(objects[count], -1);
}

/* --- pulled --------------------------------------------------------------- */

static void
yank_among_lent(void)
{
    char name[16];

    for (unsigned at = 1; at < 14; at++) {
        snprintf(name, sizeof name, "L%u", at);
        rig_insert(0, name);
        rig_open("");
        for (unsigned i = 0; i < 14; i++) {
            if (i % 4 == 3)
                give_back();
            if (i == at)
                lend_to_a_tape_that_is_away(i, SMALL, name);
            else
                lend(i, SMALL);
        }
        give_back();
        assert_result(rig_close(), 0);
        assert_blocks(name, 14, SMALL);
        rig_yank(0);
    }
}

static void
lent__yanked_at_each__buffer_lost__all_are_there_once(void **state)
{
    (void) state;
    yank_among_lent();
}

static void
lent__yanked_at_each__nothing_lost__all_are_there_once(void **state)
{
    (void) state;
    yank_among_lent();
}

/* A motion brings them onto the tape, before anybody gives them back. */
static void
lent__then_moved__all_are_there_once(void **state)
{
    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    for (unsigned i = 0; i < 5; i++)
        lend(i, SMALL);
    assert_result(rig_op(MTREW, 1), 0);
    assert_blocks("T1", 5, SMALL);
    give_back();
    assert_result(rig_read(memory, SMALL), 0);
    assert_memory_equal(memory, rig_block(0, SMALL), SMALL);
}

/* The question is cancelled: what was acknowledged goes into a file, as it was
 * when it was written. */
static void
lent__given_back__cancelled__kept_in_a_file(void **state)
{
    struct ri_prompt_info prompt;
    int objects[64];

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    for (unsigned i = 0; i < 6; i++) {
        lend(i, SMALL);
        if (i == 3)
            give_back();
    }
    rig_yank(0);
    rig_start(CALL_WRITE_LENT, memory + 6 * SMALL, SMALL, 0);
    rig_wait_for(PROMPT_ASKED, &prompt);
    assert_int_equal(prompt_answer(prompt.id, RI_CANCEL), 0);
    assert_int_equal(rig_join(), -ECANCELED);
    give_back();
    assert_int_equal(rig_image(rig.kept_file, objects, 64, SMALL), 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(objects[i], i);
    assert_result(rig_close(), 0);
}

/* --- what need not be kept -------------------------------------------------- */

static void
much_lent__the_drive_holds_nothing__nothing_is_kept(void **state)
{
    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    for (unsigned i = 0; i < MUCH; i++)
        lend(i, LARGE);
    assert_int_equal(unflushed(), MUCH * LARGE);
    give_back();
    assert_int_equal(unflushed(), 0);
    lend(MUCH, LARGE);
    give_back();
    assert_int_equal(unflushed(), LARGE); /* too little to ask for */
    lend_to_a_tape_that_is_away(MUCH + 1, LARGE, "T1");
    lend(MUCH + 2, LARGE);
    give_back();
    assert_result(rig_close(), 0);
    assert_blocks("T1", MUCH + 3, LARGE);
}

static void
much_lent__the_drive_buffers__all_is_kept_and_written_again(void **state)
{
    unsigned n = 0;

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    for (unsigned group = 0; group < 3; group++) {
        for (unsigned i = 0; i < 10; i++)
            lend(n++, LARGE);
        give_back();
        assert_int_equal(unflushed(), n * LARGE);
    }
    lend_to_a_tape_that_is_away(n++, LARGE, "T1");
    give_back();
    assert_result(rig_close(), 0);
    assert_blocks("T1", n, LARGE);
}

/* What is on the tape for certain is only so of the tape that it was written on:
 * the drive is asked, and has another one by then. */
static void
much_lent__exchanged_before_it_is_asked__the_other_is_not_written(void **state)
{
    struct ri_prompt_info prompt;
    struct vscsi_state is;

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    for (unsigned i = 0; i < MUCH; i++)
        lend(i, LARGE);
    assert_int_equal(vscsi_yank(rig.drive[0].vscsi), 0);
    rig_insert(0, "T2");
    give_back();
    assert_int_equal(unflushed(), MUCH * LARGE);
    memcpy(memory, rig_block(MUCH, LARGE), LARGE);
    rig_start(CALL_WRITE_LENT, memory, LARGE, 0);
    rig_wait_for(PROMPT_ASKED, &prompt);
    assert_string_equal(prompt.reason, "STATUS_WRONG_VOLUME");
    vscsi_state(rig.drive[0].vscsi, &is);
    assert_int_equal(is.blocks, 0);
    rig_yank(0);
    rig_insert(0, "T1");
    assert_int_equal(rig_join(), 0);
    give_back();
    assert_result(rig_close(), 0);
    assert_blocks("T1", MUCH + 1, LARGE);
}

/* The drive tells of blocks that it could not write when it is asked. */
static void
much_lent__deferred_error_when_it_is_asked__written_again(void **state)
{
    char text[128];

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    for (unsigned i = 0; i < MUCH; i++)
        lend(i, LARGE);
    assert_int_equal(vscsi_fault_add(rig.drive[0].vscsi,
                                     "at 1 any do sense 3/0c/00 deferred", text,
                                     sizeof text),
                     0);
    give_back();
    assert_int_equal(unflushed(), MUCH * LARGE);
    lend(MUCH, LARGE);
    give_back();
    assert_result(rig_close(), 0);
    assert_blocks("T1", MUCH + 1, LARGE);
}

static void
give_back_and_spoil(void *context)
{
    unsigned *count = context;

    ++*count;
    give_back();
}

/* The drive has lost what its buffer held, and says so to a command of ours: in
 * the middle of that call its empty buffer proves nothing. */
static void
much_lent__buffer_lost__given_back_before_the_wait__written_again(void **state)
{
    unsigned count = 0, n = 0;

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    ri_tape_before_waits(rig.tape, give_back_and_spoil, &count);
    for (; n < MUCH + 2; n++)
        lend(n, LARGE);
    vscsi_reset(rig.drive[0].vscsi);
    assert_result(rig_op(MTWEOF, 0), 0);
    assert_true(count != 0);
    for (; n < 2 * MUCH + 4; n++)
        lend(n, LARGE);
    vscsi_reset(rig.drive[0].vscsi);
    give_back();
    give_back();
    lend(n++, LARGE);
    assert_result(rig_close(), 0);
    assert_blocks("T1", n, LARGE);
}

/* Each record given back at once, as of a client that waits for each. */
static void
much_written__the_drive_holds_nothing__kept_up_to_what_is_asked_for(
    void **state)
{
    uint64_t most = 0;

    (void) state;
    rig_insert(0, "T1");
    rig_open("");
    for (unsigned i = 0; i < 40; i++) {
        memcpy(memory, rig_block(i, LARGE), LARGE);
        assert_result(rig_write(memory, LARGE), 0);
        if (unflushed() > most)
            most = unflushed();
    }
    assert_int_equal(most, (MUCH - 1) * LARGE);
    assert_result(rig_close(), 0);
    assert_blocks("T1", 40, LARGE);
}

static int
new_large(void **state)
{
    rig_limit = 8 << 20;
    return rig_new(state);
}

static int
new_large_safe(void **state)
{
    rig_limit = 8 << 20;
    return rig_new_safe(state);
}

#define TEST_LARGE(test)                                                       \
    cmocka_unit_test_setup_teardown(test, new_large, rig_free)
#define TEST_LARGE_SAFE(test)                                                  \
    cmocka_unit_test_setup_teardown(test, new_large_safe, rig_free)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lent__yanked_at_each__buffer_lost__all_are_there_once),
        TEST_SAFE(lent__yanked_at_each__nothing_lost__all_are_there_once),
        TEST(lent__then_moved__all_are_there_once),
        TEST(lent__given_back__cancelled__kept_in_a_file),
        TEST_LARGE_SAFE(much_lent__the_drive_holds_nothing__nothing_is_kept),
        TEST_LARGE(much_lent__the_drive_buffers__all_is_kept_and_written_again),
        TEST_LARGE_SAFE(
            much_lent__exchanged_before_it_is_asked__the_other_is_not_written),
        TEST_LARGE_SAFE(
            much_lent__deferred_error_when_it_is_asked__written_again),
        TEST_LARGE(
            much_lent__buffer_lost__given_back_before_the_wait__written_again),
        TEST_LARGE_SAFE(
            much_written__the_drive_holds_nothing__kept_up_to_what_is_asked_for),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
