/*
 * Tests for src/rtl/time.c; dates from the Gregorian calendar as timegm has it,
 * a source that is not the code under test.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/unit/ke/helper.h"

#include <ntifs.h>

#define EPOCH 11644473600ll

static void
fields__many_days__as_the_c_library_has_them(void **state)
{
    for (LONGLONG s = -EPOCH; s < 40000000000ll; s += 86400ll * 17 + 4321) {
        LARGE_INTEGER time = { .QuadPart = (s + EPOCH) * 10000000 + 1230000 };
        LARGE_INTEGER back;
        TIME_FIELDS fields;
        struct tm tm;
        time_t t = (time_t) s;

        gmtime_r(&t, &tm);
        RtlTimeToTimeFields(&time, &fields);
        assert_int_equal(fields.Year, tm.tm_year + 1900);
        assert_int_equal(fields.Month, tm.tm_mon + 1);
        assert_int_equal(fields.Day, tm.tm_mday);
        assert_int_equal(fields.Hour, tm.tm_hour);
        assert_int_equal(fields.Minute, tm.tm_min);
        assert_int_equal(fields.Second, tm.tm_sec);
        assert_int_equal(fields.Milliseconds, 123);
        assert_int_equal(fields.Weekday, tm.tm_wday);
        assert_true(RtlTimeFieldsToTime(&fields, &back));
        assert_true(back.QuadPart == time.QuadPart);
    }
}

static void
fields__no_such_time__refused(void **state)
{
    static const TIME_FIELDS wrong[] = {
        { 1600, 1, 1, 0, 0, 0, 0, 0 },    { 2023, 2, 29, 0, 0, 0, 0, 0 },
        { 2100, 2, 29, 0, 0, 0, 0, 0 },   { 2024, 13, 1, 0, 0, 0, 0, 0 },
        { 2024, 1, 0, 0, 0, 0, 0, 0 },    { 2024, 1, 1, 24, 0, 0, 0, 0 },
        { 2024, 1, 1, 0, 60, 0, 0, 0 },   { 2024, 1, 1, 0, 0, 60, 0, 0 },
        { 2024, 1, 1, 0, 0, 0, 1000, 0 },
    };
    TIME_FIELDS leap = { 2000, 2, 29, 0, 0, 0, 0, 99 };
    LARGE_INTEGER time;

    for (size_t i = 0; i < ARRAYSIZE(wrong); i++) {
        TIME_FIELDS fields = wrong[i];

        assert_false(RtlTimeFieldsToTime(&fields, &time));
    }
    assert_true(RtlTimeFieldsToTime(&leap, &time));
}

static void
seconds__since_1970_and_1980(void **state)
{
    LARGE_INTEGER time;
    ULONG seconds;

    RtlSecondsSince1970ToTime(1000000000, &time);
    assert_true(time.QuadPart == 126444736000000000ll);
    assert_true(RtlTimeToSecondsSince1970(&time, &seconds));
    assert_int_equal(seconds, 1000000000);
    assert_true(RtlTimeToSecondsSince1980(&time, &seconds));
    assert_int_equal(seconds, 1000000000 - 315532800);
    RtlSecondsSince1980ToTime(0, &time);
    assert_true(RtlTimeToSecondsSince1970(&time, &seconds));
    assert_int_equal(seconds, 315532800);
    time.QuadPart = 0;
    assert_false(RtlTimeToSecondsSince1970(&time, &seconds));
    assert_false(RtlTimeToSecondsSince1980(&time, &seconds));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields__many_days__as_the_c_library_has_them),
        cmocka_unit_test(fields__no_such_time__refused),
        cmocka_unit_test(seconds__since_1970_and_1980),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
