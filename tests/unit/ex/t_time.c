/*
 * Tests for src/ex/time.c and uuid.c; expectations from the pages of
 * ExSystemTimeToLocalTime and ExUuidCreate, and RFC 9562.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/unit/ke/helper.h"

#include <ntddk.h>

#include <stdlib.h>

static void
local_time__east_of_utc__is_later(void **state)
{
    LARGE_INTEGER system = { .QuadPart = 1000000000000 }, local, back;

    setenv("TZ", "EAST-5:30", 1);
    tzset();
    ExSystemTimeToLocalTime(&system, &local);
    assert_int_equal(local.QuadPart - system.QuadPart, 198000000000);
    ExLocalTimeToSystemTime(&local, &back);
    assert_int_equal(back.QuadPart, system.QuadPart);
    setenv("TZ", "UTC0", 1);
    tzset();
    ExSystemTimeToLocalTime(&system, &local);
    assert_int_equal(local.QuadPart, system.QuadPart);
}

static void
uuid__created__is_new_and_random(void **state)
{
    UUID a, b;

    assert_int_equal(ExUuidCreate(&a), STATUS_SUCCESS);
    assert_int_equal(ExUuidCreate(&b), STATUS_SUCCESS);
    assert_false(IsEqualGUID(&a, &b));
    assert_int_equal(a.Data3 >> 12, 4);
    assert_int_equal(a.Data4[0] >> 6, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_time__east_of_utc__is_later),
        cmocka_unit_test(uuid__created__is_new_and_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
