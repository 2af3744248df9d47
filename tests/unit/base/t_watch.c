/*
 * t_watch.c - tests for src/base/watch.c; expectations from its header
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/watch.h"

#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

struct pipe {
    struct watch_source source; /* first */
    unsigned takes, lefts;
    bool some;
};

static bool
take(struct watch_source *source)
{
    struct pipe *pipe = (struct pipe *) source;

    pipe->takes++;
    return pipe->some;
}

static void
left(struct watch_source *source)
{
    ((struct pipe *) source)->lefts++;
}

#define PIPE                                                                   \
    {                                                                          \
        .source = {.take = take, .left = left }                                \
    }

static void
thread_that_cannot__is_offered__does_not_watch(void **state)
{
    struct pipe pipe = PIPE;

    (void) state;
    assert_false(watch_offer(&pipe.source, 7));
    assert_false(watch_is_watched(&pipe.source));
    assert_int_equal(watch_fd(), -1);
    assert_false(watch_take());
    assert_int_equal(pipe.takes, 0);
}

static void
watcher__takes_until_it_ends__left_once(void **state)
{
    struct pipe pipe = PIPE;

    (void) state;
    watch_begin();
    assert_int_equal(watch_fd(), -1);
    assert_true(watch_offer(&pipe.source, 7));
    assert_true(watch_is_watched(&pipe.source));
    assert_int_equal(watch_fd(), 7);
    assert_false(watch_take());
    pipe.some = true;
    assert_true(watch_take());
    assert_int_equal(pipe.takes, 2);
    assert_false(watch_offer(&pipe.source, 7)); /* it does already */
    watch_end();
    assert_int_equal(pipe.lefts, 1);
    assert_false(watch_is_watched(&pipe.source));
    assert_int_equal(watch_fd(), -1);
    assert_false(watch_take());
    assert_false(watch_offer(&pipe.source, 7));
    assert_int_equal(pipe.lefts, 1);
}

static void
watcher__waits_for_something_else__leaves_and_may_come_back(void **state)
{
    struct pipe pipe = PIPE;

    (void) state;
    watch_begin();
    assert_true(watch_offer(&pipe.source, 7));
    watch_leave();
    assert_int_equal(pipe.lefts, 1);
    assert_int_equal(watch_fd(), -1);
    assert_false(watch_is_watched(&pipe.source));
    assert_true(watch_offer(&pipe.source, 8));
    assert_int_equal(watch_fd(), 8);
    watch_end();
    assert_int_equal(pipe.lefts, 2);
}

static void
watcher__dropped__notices_and_touches_it_no_more(void **state)
{
    struct pipe pipe = PIPE;

    (void) state;
    watch_begin();
    assert_true(watch_offer(&pipe.source, 7));
    watch_drop(&pipe.source);
    assert_false(watch_is_watched(&pipe.source));
    assert_int_equal(pipe.lefts, 0);
    assert_int_equal(watch_fd(), -1);
    assert_int_equal(pipe.lefts, 1);
    assert_false(watch_take());
    assert_int_equal(pipe.takes, 0);
    /* Dropped, offered again before it noticed: that is a new one. */
    assert_true(watch_offer(&pipe.source, 8));
    watch_drop(&pipe.source);
    assert_true(watch_offer(&pipe.source, 9));
    assert_int_equal(pipe.lefts, 2);
    assert_int_equal(watch_fd(), 9);
    watch_end();
    assert_int_equal(pipe.lefts, 3);
}

static void
watcher__of_another_source__leaves_the_first(void **state)
{
    struct pipe a = PIPE, b = PIPE;

    (void) state;
    watch_begin();
    assert_true(watch_offer(&a.source, 7));
    assert_true(watch_offer(&b.source, 8));
    assert_int_equal(a.lefts, 1);
    assert_false(watch_is_watched(&a.source));
    assert_int_equal(watch_fd(), 8);
    watch_end();
    assert_int_equal(b.lefts, 1);
}

static void
watcher__many_bursts_for_others__leaves(void **state)
{
    struct pipe pipe = PIPE;
    unsigned bursts = 0;

    (void) state;
    watch_begin();
    assert_true(watch_offer(&pipe.source, 7));
    for (unsigned i = 0; i < 1000; i++) {
        watch_offer(&pipe.source, 7); /* in each is one for it */
        watch_burst_over();
    }
    assert_int_equal(pipe.lefts, 0);
    while (pipe.lefts == 0 && bursts < 1000) {
        watch_burst_over();
        bursts++;
    }
    assert_int_equal(pipe.lefts, 1);
    assert_true(bursts > 8);
    watch_end();
    assert_int_equal(pipe.lefts, 1);
}

static void *
offers(void *context)
{
    bool got;

    watch_begin();
    got = watch_offer(context, 7);
    watch_end();
    return got ? context : NULL;
}

static void
source__watched__no_other_thread_watches_it(void **state)
{
    struct pipe pipe = PIPE;
    pthread_t thread;
    void *got;

    (void) state;
    watch_begin();
    assert_true(watch_offer(&pipe.source, 7));
    assert_int_equal(pthread_create(&thread, NULL, offers, &pipe.source), 0);
    pthread_join(thread, &got);
    assert_null(got);
    assert_int_equal(watch_fd(), 7);
    watch_leave();
    assert_int_equal(pthread_create(&thread, NULL, offers, &pipe.source), 0);
    pthread_join(thread, &got);
    assert_non_null(got);
    assert_int_equal(pipe.lefts, 2);
    watch_end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thread_that_cannot__is_offered__does_not_watch),
        cmocka_unit_test(watcher__takes_until_it_ends__left_once),
        cmocka_unit_test(
            watcher__waits_for_something_else__leaves_and_may_come_back),
        cmocka_unit_test(watcher__dropped__notices_and_touches_it_no_more),
        cmocka_unit_test(watcher__of_another_source__leaves_the_first),
        cmocka_unit_test(watcher__many_bursts_for_others__leaves),
        cmocka_unit_test(source__watched__no_other_thread_watches_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
