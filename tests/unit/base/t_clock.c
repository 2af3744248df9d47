/*
 * Tests for src/base/clock.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"

static int told;

static void
count(void)
{
    told++;
}

static void
manual__time__stands_until_advanced(void **state)
{
    uint64_t before = clock_now_ns(), start, wall;

    clock_manual(true);
    assert_true(clock_is_manual());
    start = clock_now_ns();
    wall = clock_wall_ms();
    assert_true(start >= before);
    assert_int_equal(clock_now_ns(), start);
    clock_advance_ms(1500);
    assert_int_equal(clock_now_ns(), start + 1500000000u);
    assert_int_equal(clock_coarse_ms(), (start + 1500000000u) / 1000000u);
    assert_in_range(clock_wall_ms(), wall + 1499, wall + 1501);
    clock_manual(false);
}

static void
manual__off_again__time_never_goes_back(void **state)
{
    uint64_t ahead;

    clock_manual(true);
    clock_advance_ms(3600 * 1000);
    ahead = clock_now_ns();
    clock_manual(false);
    assert_true(clock_now_ns() >= ahead);
    assert_true(clock_coarse_ms() + 100 >= ahead / 1000000u);
    assert_true(clock_to_monotonic_ns(ahead) < ahead);
}

static void
hook__is_told_of_mode_and_advance__not_in_real_time(void **state)
{
    clock_set_hook(count);
    clock_advance_ms(5);
    assert_int_equal(told, 0);
    clock_manual(true);
    clock_manual(true);
    assert_int_equal(told, 1);
    clock_advance_ms(5);
    assert_int_equal(told, 2);
    clock_manual(false);
    assert_int_equal(told, 3);
    clock_set_hook(NULL);
    clock_manual(true);
    clock_manual(false);
    assert_int_equal(told, 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manual__time__stands_until_advanced),
        cmocka_unit_test(manual__off_again__time_never_goes_back),
        cmocka_unit_test(hook__is_told_of_mode_and_advance__not_in_real_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
