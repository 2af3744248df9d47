/*
 * Tests for src/rtl/bitmap.c: against one byte for each bit, on random maps;
 * and the corners that the pages name.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/unit/ke/helper.h"

#include <stdlib.h>

#define BITS 150

static ULONG words[6];
static RTL_BITMAP map = { BITS, words };
static UCHAR model[BITS];

static void
randomize(void)
{
    bool value = false;

    memset(words, 0xA5, sizeof words); /* bits behind the end */
    RtlClearAllBits(&map);
    for (ULONG at = 0; at < BITS;) {
        ULONG count = (ULONG) rand() % 40 + 1;

        count = count > BITS - at ? BITS - at : count;
        memset(model + at, value, count);
        if (value)
            RtlSetBits(&map, at, count);
        at += count;
        value = !value;
    }
}

static ULONG
model_run(ULONG at, UCHAR value)
{
    ULONG n = 0;

    while (at + n < BITS && model[at + n] == value)
        n++;
    return n;
}

static void
bits__random_maps__as_one_byte_each(void **state)
{
    srand(1);
    for (int round = 0; round < 100; round++) {
        ULONG set = 0, longest = 0, start;

        randomize();
        for (ULONG i = 0; i < BITS; i++) {
            assert_int_equal(RtlTestBit(&map, i), model[i]);
            assert_int_equal(RtlCheckBit(&map, i), model[i]);
            set += model[i];
            if (model_run(i, 0) > longest)
                longest = model_run(i, 0);
            assert_int_equal(RtlAreBitsClear(&map, i, 9), model_run(i, 0) >= 9);
            assert_int_equal(RtlAreBitsSet(&map, i, 9), model_run(i, 1) >= 9);
        }
        assert_int_equal(RtlNumberOfSetBits(&map), set);
        assert_int_equal(RtlNumberOfClearBits(&map), BITS - set);
        assert_int_equal(RtlFindLongestRunClear(&map, &start), longest);
        assert_int_equal(model_run(start, 0), longest);
        assert_int_equal(words[5], 0xA5A5A5A5);
    }
}

static void
find__random_maps__the_first_from_the_hint_on(void **state)
{
    srand(2);
    for (int round = 0; round < 300; round++) {
        ULONG hint = (ULONG) rand() % BITS & ~7u,
              count = (ULONG) rand() % 30 + 1;
        ULONG want = 0xFFFFFFFF;

        randomize();
        for (ULONG i = 0; i < BITS && want == 0xFFFFFFFF; i++) {
            ULONG at = (hint + i) % BITS;

            if (model_run(at, 0) >= count)
                want = at;
        }
        assert_int_equal(RtlFindClearBits(&map, count, hint), want);
        if (want == 0xFFFFFFFF)
            continue;
        assert_int_equal(RtlFindClearBitsAndSet(&map, count, hint), want);
        assert_true(RtlAreBitsSet(&map, want, count));
        want = RtlFindSetBits(&map, count, hint);
        assert_int_equal(RtlFindSetBitsAndClear(&map, count, hint), want);
        assert_true(RtlAreBitsClear(&map, want, count));
    }
}

static void
runs__forward_and_backward__as_documented(void **state)
{
    RTL_BITMAP_RUN runs[2];
    ULONG start;

    RtlSetAllBits(&map);
    assert_int_equal(RtlFindFirstRunClear(&map, &start), 0);
    RtlClearBits(&map, 3, 2);
    RtlClearBits(&map, 40, 30);
    RtlClearBits(&map, 100, 10);
    assert_int_equal(RtlFindFirstRunClear(&map, &start), 2);
    assert_int_equal(start, 3);
    assert_int_equal(RtlFindNextForwardRunClear(&map, 5, &start), 30);
    assert_int_equal(start, 40);
    assert_int_equal(RtlFindNextForwardRunClear(&map, 60, &start), 10);
    assert_int_equal(start, 60);
    assert_int_equal(RtlFindLastBackwardRunClear(&map, 99, &start), 30);
    assert_int_equal(start, 40);
    assert_int_equal(RtlFindLastBackwardRunClear(&map, 49, &start), 10);
    assert_int_equal(RtlFindLastBackwardRunClear(&map, 2, &start), 0);
    assert_int_equal(RtlFindClearRuns(&map, runs, 2, FALSE), 2);
    assert_int_equal(runs[0].StartingIndex, 3);
    assert_int_equal(runs[1].StartingIndex, 40);
    assert_int_equal(RtlFindClearRuns(&map, runs, 2, TRUE), 2);
    assert_int_equal(runs[0].StartingIndex, 40);
    assert_int_equal(runs[1].NumberOfBits, 10);
}

static void
single_bits__and_significant_ones(void **state)
{
    ULONG buffer = 0;
    RTL_BITMAP one;

    RtlInitializeBitMap(&one, &buffer, 7);
    RtlSetBit(&one, 6);
    assert_int_equal(buffer, 0x40);
    RtlClearBit(&one, 6);
    assert_int_equal(buffer, 0);
    RtlSetAllBits(&one);
    assert_int_equal(buffer, 0x7F);
    assert_false(RtlAreBitsSet(&one, 0, 8));
    assert_false(RtlAreBitsSet(&one, 0, 0));
    assert_int_equal(RtlFindLeastSignificantBit(0x50), 4);
    assert_int_equal(RtlFindMostSignificantBit(0x50), 6);
    assert_int_equal(RtlFindLeastSignificantBit(0), -1);
    assert_int_equal(RtlFindMostSignificantBit(0), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits__random_maps__as_one_byte_each),
        cmocka_unit_test(find__random_maps__the_first_from_the_hint_on),
        cmocka_unit_test(runs__forward_and_backward__as_documented),
        cmocka_unit_test(single_bits__and_significant_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
