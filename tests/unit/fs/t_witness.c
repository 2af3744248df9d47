/*
 * Tests for src/fs/witness.c: what it remembers, what it accepts.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fs/witness.h"

#define BLOCK 512u

static struct witness w;
static UCHAR a[4 * BLOCK], b[4 * BLOCK], c[4 * BLOCK];

static int
fresh(void **state)
{
    (void) state;
    witness_init(&w, BLOCK, FALSE);
    memset(a, 'a', sizeof a);
    memset(b, 'b', sizeof b);
    memset(c, 'c', sizeof c);
    return 0;
}

static void
write_block(ULONG64 at, const void *data, ULONG epoch, BOOLEAN kept)
{
    assert_true(witness_may_touch(&w, at, BLOCK));
    assert_true(witness_writing(&w, at, BLOCK));
    witness_wrote(&w, at, data, BLOCK, epoch, kept);
}

static void
seen_block__changed_elsewhere__does_not_agree(void **state)
{
    ULONG64 at[WITNESS_MAX];

    (void) state;
    witness_saw(&w, 4096, a, sizeof a, FALSE);
    assert_int_equal(witness_list(&w, at), 1);
    assert_int_equal(at[0], 4096);
    assert_true(witness_agrees(&w, 4096, a));
    assert_false(witness_agrees(&w, 4096, b));
}

static void
unflushed_write__any_state_since_the_flush_agrees(void **state)
{
    (void) state;
    witness_saw(&w, 4096, a, BLOCK, FALSE);
    write_block(4096, b, 7, FALSE);
    assert_true(witness_agrees(&w, 4096, a));
    assert_true(witness_agrees(&w, 4096, b));
    assert_false(witness_agrees(&w, 4096, c));
    witness_flushed(&w, 6);
    assert_true(witness_agrees(&w, 4096, a));
    witness_flushed(&w, 7);
    assert_false(witness_agrees(&w, 4096, a));
    assert_true(witness_agrees(&w, 4096, b));
}

static void
write_that_is_kept__only_the_new_state_agrees(void **state)
{
    (void) state;
    witness_saw(&w, 4096, a, BLOCK, FALSE);
    write_block(4096, b, 7, TRUE);
    assert_false(witness_agrees(&w, 4096, a));
    assert_true(witness_agrees(&w, 4096, b));
}

static void
write_that_failed__says_nothing_until_seen_again(void **state)
{
    ULONG64 at[WITNESS_MAX];

    (void) state;
    witness_saw(&w, 4096, a, BLOCK, FALSE);
    assert_true(witness_writing(&w, 0, 16 * BLOCK));
    assert_int_equal(witness_list(&w, at), 0);
    witness_not_wrote(&w, 0, 16 * BLOCK);
    assert_true(witness_agrees(&w, 4096, c));
    witness_saw(&w, 4096, b, BLOCK, FALSE);
    assert_false(witness_agrees(&w, 4096, c));
}

static void
many_writes__says_nothing_until_the_flush(void **state)
{
    UCHAR d[BLOCK] = { 'd' }, e[BLOCK] = { 'e' };

    (void) state;
    witness_saw(&w, 4096, a, BLOCK, FALSE);
    write_block(4096, b, 1, FALSE);
    write_block(4096, c, 1, FALSE);
    write_block(4096, d, 1, FALSE);
    assert_false(witness_agrees(&w, 4096, e));
    write_block(4096, a, 1, FALSE);
    write_block(4096, e, 1, FALSE);
    assert_true(witness_agrees(&w, 4096, b));
    witness_flushed(&w, 1);
    assert_true(witness_agrees(&w, 4096, e));
    assert_false(witness_agrees(&w, 4096, b));
}

/* The medium was lost with the write, and came back without it. */
static void
found_an_older_state__the_flush_keeps_what_was_found(void **state)
{
    (void) state;
    witness_saw(&w, 4096, a, BLOCK, FALSE);
    write_block(4096, b, 1, FALSE);
    assert_true(witness_agrees(&w, 4096, a));
    witness_found(&w, 4096, a);
    assert_true(witness_agrees(&w, 4096, b));
    witness_flushed(&w, 1);
    assert_true(witness_agrees(&w, 4096, a));
    assert_false(witness_agrees(&w, 4096, b));
}

static void
two_writes_at_once__either_may_be_last(void **state)
{
    (void) state;
    witness_saw(&w, 4096, a, BLOCK, FALSE);
    assert_true(witness_writing(&w, 4096, BLOCK));
    assert_true(witness_writing(&w, 4096, BLOCK));
    witness_wrote(&w, 4096, b, BLOCK, 1, FALSE);
    witness_wrote(&w, 4096, c, BLOCK, 1, TRUE);
    assert_true(witness_agrees(&w, 4096, b));
    assert_true(witness_agrees(&w, 4096, c));
    write_block(4096, a, 1, TRUE);
    assert_false(witness_agrees(&w, 4096, c));
}

static void
expected_write__an_entry_once_it_is_done(void **state)
{
    ULONG64 at[WITNESS_MAX];

    (void) state;
    witness_expect(&w, 4096, 4 * BLOCK);
    assert_int_equal(witness_list(&w, at), 0);
    write_block(4096, a, 1, TRUE);
    assert_int_equal(witness_list(&w, at), 1);
    assert_true(witness_agrees(&w, 4096, a));
    assert_false(witness_agrees(&w, 4096, b));
    /* Of one that is known nothing is forgotten. */
    witness_expect(&w, 4096, BLOCK);
    assert_false(witness_agrees(&w, 4096, b));
}

static void
full__what_identifies_the_volume_stays(void **state)
{
    ULONG64 at[WITNESS_MAX];
    ULONG count;

    (void) state;
    for (ULONG i = 0; i < 100; i++)
        witness_saw(&w, i * BLOCK, a, BLOCK, TRUE);
    for (ULONG64 i = 0; i < 1000; i++)
        witness_saw(&w, (1ull << 30) + i * BLOCK, b, BLOCK, FALSE);
    count = witness_list(&w, at);
    assert_int_equal(count, WITNESS_MAX);
    assert_int_equal(at[0], 0);
    assert_int_equal(at[63], 63 * BLOCK);
    assert_true(at[64] >= 1ull << 30);
    for (ULONG i = 1; i < count; i++)
        assert_true(at[i] > at[i - 1]);
    /* The last that was seen is there. */
    assert_false(witness_agrees(&w, (1ull << 30) + 999 * BLOCK, a));
}

static void
optical__no_more_than_64_reads(void **state)
{
    ULONG64 at[WITNESS_MAX];

    (void) state;
    witness_init(&w, 2048, TRUE);
    for (ULONG64 i = 0; i < 1000; i++)
        witness_saw(&w, i * 2048, a, 2048, i % 2 == 0);
    assert_int_equal(witness_list(&w, at), WITNESS_OPTICAL);
}

static void
zones__far_and_wide_ranges(void **state)
{
    (void) state;
    assert_false(witness_may_touch(&w, 0, ~0ull >> 1));
    witness_saw(&w, 5ull << 24, a, BLOCK, FALSE);
    assert_true(witness_may_touch(&w, 0, 1ull << 40));
    assert_true(witness_may_touch(&w, (5ull << 24) - 1024, 2048));
    assert_false(witness_may_touch(&w, (6ull << 24), 2048));
    assert_false(witness_may_touch(&w, (5ull << 24) - (1u << 20), 1u << 20));
    assert_true(witness_may_touch(&w, 0, (5ull << 24) + 1));
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

static void
blank_medium__nothing_tells__until_something_is_written(void **state)
{
    UCHAR zeroes[BLOCK] = { 0 }, text[BLOCK] = "text";

    (void) state;
    witness_saw(&w, 0, zeroes, BLOCK, TRUE);
    witness_saw(&w, 4096, a, BLOCK, FALSE);
    assert_false(witness_tells(&w));
    assert_false(witness_knows(&w, 0, zeroes));
    /* On the medium before or after the write. */
    write_block(4096, text, 7, FALSE);
    assert_true(witness_tells(&w));
    assert_true(witness_knows(&w, 4096, text));
    assert_false(witness_knows(&w, 4096, a));
    assert_false(witness_knows(&w, 8192, text));
    witness_flushed(&w, 7);
    assert_true(witness_tells(&w));
    /* Blank again, as it was found. */
    write_block(4096, zeroes, 8, TRUE);
    assert_false(witness_tells(&w));
    assert_false(witness_knows(&w, 4096, text));
    /* Under way: it may hold anything. */
    write_block(4096, text, 9, TRUE);
    assert_true(witness_writing(&w, 4096, BLOCK));
    assert_false(witness_tells(&w));
    assert_false(witness_knows(&w, 4096, text));
    witness_not_wrote(&w, 4096, BLOCK);
    assert_false(witness_tells(&w));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(seen_block__changed_elsewhere__does_not_agree),
        TEST(blank_medium__nothing_tells__until_something_is_written),
        TEST(unflushed_write__any_state_since_the_flush_agrees),
        TEST(write_that_is_kept__only_the_new_state_agrees),
        TEST(write_that_failed__says_nothing_until_seen_again),
        TEST(many_writes__says_nothing_until_the_flush),
        TEST(found_an_older_state__the_flush_keeps_what_was_found),
        TEST(two_writes_at_once__either_may_be_last),
        TEST(expected_write__an_entry_once_it_is_done),
        TEST(full__what_identifies_the_volume_stays),
        TEST(optical__no_more_than_64_reads),
        TEST(zones__far_and_wide_ranges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
