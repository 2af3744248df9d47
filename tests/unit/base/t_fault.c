/*
 * Tests for src/base/fault.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/fault.h"

static int
none(void **state)
{
    fault_clear();
    return 0;
}

static void
point__without_rules__never_fails(void **state)
{
    assert_false(fault_hit("pool"));
    assert_int_equal(fault_count("pool"), 0);
}

static void
rule__nth__fails_once(void **state)
{
    assert_int_equal(fault_set("pool", 3, false), 0);
    for (int i = 1; i <= 5; i++)
        assert_int_equal(fault_hit("pool"), i == 3);
    assert_false(fault_hit("irp"));
    assert_int_equal(fault_count("pool"), 5);
    assert_int_equal(fault_failed("pool"), 1);
}

static void
rule__nth_and_on__fails_from_there(void **state)
{
    fault_set("pool", 2, true);
    for (int i = 1; i <= 5; i++)
        assert_int_equal(fault_hit("pool"), i >= 2);
}

static void
rule__set_again__counts_anew(void **state)
{
    fault_set("pool", 1, false);
    assert_true(fault_hit("pool"));
    fault_set("pool", 1, false);
    assert_true(fault_hit("pool"));
    fault_set("pool", 0, false);
    assert_false(fault_hit("pool"));
    assert_int_equal(fault_count("pool"), 1);
}

static void
parse__the_form_of_the_environment(void **state)
{
    assert_int_equal(fault_parse("pool:2,irp:1+,"), 0);
    assert_false(fault_hit("pool"));
    assert_true(fault_hit("pool"));
    assert_true(fault_hit("irp"));
    assert_true(fault_hit("irp"));
    assert_int_equal(fault_parse("pool"), -EINVAL);
    assert_int_equal(fault_parse("pool:x"), -EINVAL);
    assert_int_equal(fault_parse("pool:1-"), -EINVAL);
    assert_int_equal(fault_parse(":1"), -EINVAL);
    assert_int_equal(fault_parse("pool:99999999999999999999999"), -EINVAL);
}

static void
set__too_many_rules__is_refused(void **state)
{
    char name[16];
    int i, error = 0;

    for (i = 0; error == 0 && i < 1000; i++) {
        snprintf(name, sizeof name, "p%d", i);
        error = fault_set(name, 1, false);
    }
    assert_int_equal(error, -ENOSPC);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(point__without_rules__never_fails, none),
        cmocka_unit_test_teardown(rule__nth__fails_once, none),
        cmocka_unit_test_teardown(rule__nth_and_on__fails_from_there, none),
        cmocka_unit_test_teardown(rule__set_again__counts_anew, none),
        cmocka_unit_test_teardown(parse__the_form_of_the_environment, none),
        cmocka_unit_test_teardown(set__too_many_rules__is_refused, none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
