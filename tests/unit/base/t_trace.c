/*
 * Tests for src/base/trace.c: what arrives on stderr.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/trace.h"

static char seen[2048];
static int evaluated;

static int
evaluate(void)
{
    return ++evaluated;
}

/* Runs fn and puts what it wrote to stderr into `seen`. */
static void
capture(void (*fn)(void))
{
    int pipe_ends[2], saved = dup(STDERR_FILENO);
    ssize_t n;

    assert_int_equal(pipe(pipe_ends), 0);
    dup2(pipe_ends[1], STDERR_FILENO);
    close(pipe_ends[1]);
    fn();
    dup2(saved, STDERR_FILENO);
    close(saved);
    n = read(pipe_ends[0], seen, sizeof seen - 1);
    seen[n < 0 ? 0 : n] = '\0';
    close(pipe_ends[0]);
}

static void
write_some(void)
{
    errno = EBUSY;
    TRACE(TRACE_IRP, "plain");
    TRACE(TRACE_VERIFY, "not seen %d", evaluate());
    TRACE(TRACE_IRP, "irp=%p %s %d %u %lld %02x %c\n", (void *) 0x1234, "text",
          -5, 7u, -8000000000ll, 0xab, 'z');
    TRACE(TRACE_IRP, "%d%d%d%d%d%d%d%d%d%d", 0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    assert_int_equal(errno, EBUSY);
}

static void
line__of_a_group_that_is_on__has_group_and_arguments(void **state)
{
    assert_int_equal(trace_set("irp"), 0);
    capture(write_some);
    assert_non_null(strstr(seen, " irp: plain\n"));
    assert_non_null(
        strstr(seen, " irp: irp=0x1234 text -5 7 -8000000000 ab z\n"));
    assert_non_null(strstr(seen, " irp: 0123456789\n"));
    assert_null(strstr(seen, "not seen"));
    assert_null(strstr(seen, "\n\n"));
    assert_int_equal(evaluated, 0);
}

static void
write_long(void)
{
    char text[4000];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    TRACE(TRACE_IRP, "%s", text);
}

static void
line__too_long__is_cut_and_still_a_line(void **state)
{
    trace_set("all");
    capture(write_long);
    assert_in_range(strlen(seen), 100, 600);
    assert_int_equal(seen[strlen(seen) - 1], '\n');
}

static void
set__groups__by_name(void **state)
{
    assert_int_equal(trace_set("irp,verify"), 0);
    assert_int_equal(trace_mask, TRACE_IRP | TRACE_VERIFY);
    assert_int_equal(trace_set("irp,nonsense"), -EINVAL);
    assert_int_equal(trace_mask, TRACE_IRP | TRACE_VERIFY);
    assert_int_equal(trace_set("all"), 0);
    assert_int_equal(trace_mask, (1u << TRACE_BIT_COUNT) - 1);
    assert_int_equal(trace_set(""), 0);
    assert_int_equal(trace_mask, 0);
    for (unsigned i = 0; i < TRACE_BIT_COUNT; i++) {
        const char *help;

        assert_int_equal(trace_set(trace_group_name(i, &help)), 0);
        assert_int_equal(trace_mask, 1u << i);
        assert_non_null(help);
    }
    assert_null(trace_group_name(TRACE_BIT_COUNT, NULL));
    trace_set("");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line__of_a_group_that_is_on__has_group_and_arguments),
        cmocka_unit_test(line__too_long__is_cut_and_still_a_line),
        cmocka_unit_test(set__groups__by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
