/*
 * How sessions end when nobody closes them; expectations from tape_serve.h and
 * api.h: losing the connection is a close, and a stop is bounded.
 *
 * SPDX-License-Identifier: MIT
 */
#include "house.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "api/api_internal.h"

static void
client__dies_between_calls__its_tape_is_closed(void **state)
{
    struct raw raw = raw_open();

    (void) state;
    raw_close(&raw);
    assert_true(fake_tape_wait(&fake_tape.closed, 1));
}

static void
client__dies_while_its_tape_is_away__nobody_waits_any_more(void **state)
{
    struct tape_request request = { .op = TAPE_WRITE, .size = 10 };
    struct raw raw;

    (void) state;
    fake_tape.away = 1;
    raw = raw_open();
    raw_send(&raw, &request, sizeof request);
    assert_true(fake_tape_wait(&fake_tape.waiting, 1));
    raw_close(&raw);
    assert_true(fake_tape_wait(&fake_tape.closed, 1));
    assert_int_equal(fake_tape_count(&fake_tape.waiting), 0);
    assert_int_equal(fake_tape_records(), 0);
}

/* Each of them waits anew, after the one before it was interrupted. */
static void
client__dies_with_many_on_their_way__all_are_interrupted(void **state)
{
    struct tape_request requests[5];
    struct raw raw;

    (void) state;
    fake_tape.away = 1;
    raw = raw_open();
    for (unsigned i = 0; i < 5; i++)
        requests[i] =
            (struct tape_request){ .op = TAPE_WRITE, .size = 10, .group = i };
    raw_send(&raw, requests, sizeof requests);
    assert_true(fake_tape_wait(&fake_tape.waiting, 1));
    raw_close(&raw);
    assert_true(fake_tape_wait(&fake_tape.closed, 1));
    assert_int_equal(fake_tape_records(), 0);
}

static void *
write_one(void *link)
{
    return (void *) (intptr_t) tape_link_write(link, "a", 1, NULL);
}

static void
stop__with_a_session_that_waits__ends_it_in_time(void **state)
{
    struct tape_link *link;
    pthread_t thread;
    void *rc;

    (void) state;
    fake_tape.away = 1;
    link = house_open();
    assert_int_equal(pthread_create(&thread, NULL, write_one, link), 0);
    assert_true(fake_tape_wait(&fake_tape.waiting, 1));
    /* It ends by itself: no limit that a busy machine could reach. */
    house.server->sessions_end_ms = 60000;
    rc = (void *) (intptr_t) api_server_stop(house.server);
    house.server = NULL;
    assert_int_equal((intptr_t) rc, 0);
    ri_service_free(house.service);
    assert_int_equal(fake_tape_count(&fake_tape.closed), 1);
    pthread_join(thread, &rc);
    assert_int_equal((intptr_t) rc, -EPIPE);
    assert_int_equal(tape_link_close(link, NULL), -EPIPE);
}

static void
stop__with_a_close_that_does_not_end__says_busy(void **state)
{
    struct tape_link *link;
    int rc;

    (void) state;
    fake_tape.slow_close = true;
    link = house_open();
    rc = api_server_stop(house.server);
    house.server = NULL;
    assert_int_equal(rc, -EBUSY);
    fake_tape_return();
    assert_true(fake_tape_wait(&fake_tape.closed, 1));
    ri_service_free(house.service); /* nothing uses it any more */
    tape_link_close(link, NULL);
}

static void
sessions__too_many__are_refused_and_come_later(void **state)
{
    struct ri_tape_how how = { .write = true };
    struct raw raw[64];
    struct tape_link *link;
    struct ri_error error = { "" };
    int rc = 0;

    (void) state;
    for (unsigned i = 0; i < 64; i++)
        raw[i] = raw_begin();
    /* Each has its thread once the server has seen it. */
    for (unsigned tries = 0; tries < 1000 && rc != -EMFILE; tries++) {
        rc = tape_link_open(house.control, "tape0", &how, &link, &error);
        if (rc == 0)
            tape_link_close(link, NULL);
    }
    assert_int_equal(rc, -EMFILE);
    for (unsigned i = 0; i < 64; i++)
        raw_close(&raw[i]);
    for (unsigned tries = 0; tries < 100000 && rc != 0; tries++)
        rc = tape_link_open(house.control, "tape0", &how, &link, &error);
    assert_int_equal(rc, 0);
    tape_link_close(link, NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, house_begin, house_end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(client__dies_between_calls__its_tape_is_closed),
        T(client__dies_while_its_tape_is_away__nobody_waits_any_more),
        T(client__dies_with_many_on_their_way__all_are_interrupted),
        T(stop__with_a_session_that_waits__ends_it_in_time),
        T(stop__with_a_close_that_does_not_end__says_busy),
        T(sessions__too_many__are_refused_and_come_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
