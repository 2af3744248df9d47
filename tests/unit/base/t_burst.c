/*
 * t_burst.c - tests for src/base/burst.c; expectations from its header
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/burst.h"

#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

struct job {
    struct burst_node node; /* first */
    unsigned when;          /* it was run, from 1; 0: not yet */
    struct job *then;       /* is put off by it */
};

static unsigned runs;

static void
run(struct burst_node *node)
{
    struct job *job = (struct job *) node;

    assert_int_equal(job->when, 0);
    job->when = ++runs;
    if (job->then != NULL)
        burst_defer(BURST_REQUESTS, &job->then->node);
}

static void
put_off__run_at_the_end__in_order(void **state)
{
    struct job a = { { run, NULL }, 0, NULL }, b = a;

    (void) state;
    runs = 0;
    assert_false(burst_open(BURST_REQUESTS));
    burst_begin(BURST_REQUESTS);
    assert_true(burst_open(BURST_REQUESTS));
    assert_false(burst_open(BURST_ANSWERS));
    burst_defer(BURST_REQUESTS, &a.node);
    burst_defer(BURST_REQUESTS, &b.node);
    assert_int_equal(runs, 0);
    burst_end(BURST_REQUESTS);
    assert_int_equal(a.when, 1);
    assert_int_equal(b.when, 2);
    assert_false(burst_open(BURST_REQUESTS));
}

static void
nested__the_outermost_end_counts(void **state)
{
    struct job a = { { run, NULL }, 0, NULL };

    (void) state;
    runs = 0;
    burst_begin(BURST_ANSWERS);
    burst_begin(BURST_ANSWERS);
    burst_defer(BURST_ANSWERS, &a.node);
    burst_end(BURST_ANSWERS);
    assert_int_equal(a.when, 0);
    assert_true(burst_open(BURST_ANSWERS));
    burst_end(BURST_ANSWERS);
    assert_int_equal(a.when, 1);
}

static void
put_off_at_the_end__run_as_well(void **state)
{
    struct job b = { { run, NULL }, 0, NULL }, a = { { run, NULL }, 0, &b };

    (void) state;
    runs = 0;
    burst_begin(BURST_REQUESTS);
    burst_defer(BURST_REQUESTS, &a.node);
    burst_end(BURST_REQUESTS);
    assert_int_equal(b.when, 2);
}

static void
flush__runs_it_at_once__and_only_once(void **state)
{
    struct job a = { { run, NULL }, 0, NULL }, b = a;

    (void) state;
    runs = 0;
    burst_flush();
    burst_begin(BURST_REQUESTS);
    burst_defer(BURST_REQUESTS, &a.node);
    burst_flush();
    assert_int_equal(a.when, 1);
    burst_defer(BURST_REQUESTS, &b.node);
    assert_int_equal(b.when, 0);
    burst_end(BURST_REQUESTS);
    assert_int_equal(b.when, 2);
}

static void *
is_open(void *context)
{
    *(bool *) context = burst_open(BURST_REQUESTS);
    return NULL;
}

static void
open_here__not_on_another_thread(void **state)
{
    pthread_t other;
    bool there = true;

    (void) state;
    burst_begin(BURST_REQUESTS);
    assert_int_equal(pthread_create(&other, NULL, is_open, &there), 0);
    assert_int_equal(pthread_join(other, NULL), 0);
    burst_end(BURST_REQUESTS);
    assert_false(there);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_off__run_at_the_end__in_order),
        cmocka_unit_test(nested__the_outermost_end_counts),
        cmocka_unit_test(put_off_at_the_end__run_as_well),
        cmocka_unit_test(flush__runs_it_at_once__and_only_once),
        cmocka_unit_test(open_here__not_on_another_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
