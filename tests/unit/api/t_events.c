/*
 * t_events.c - the stream of events: order, resumption, slow readers
 *
 * SPDX-License-Identifier: MIT
 */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "api/api_internal.h"

static char buffer[1 << 20];

static int
subscribe(struct fixture *f, const char *last_id)
{
    char request[256];
    int fd = http_connect(f->control);
    int len =
        snprintf(request, sizeof request,
                 "GET /v1/events HTTP/1.1\r\nHost: x\r\n%s%s%s\r\n",
                 last_id != NULL ? "Last-Event-ID: " : "",
                 last_id != NULL ? last_id : "", last_id != NULL ? "\r\n" : "");

    assert_true(fd >= 0);
    assert_int_equal(send(fd, request, (size_t) len, MSG_NOSIGNAL), len);
    return fd;
}

/* Subscribed for sure: the greeting has come. */
static int
subscribe_and_wait(struct fixture *f, const char *last_id)
{
    int fd = subscribe(f, last_id);

    http_read(fd, buffer, sizeof buffer, "retry: 1000\n\n", LIMIT_MS);
    assert_non_null(strstr(buffer, "text/event-stream"));
    return fd;
}

static void
emit(struct fixture *f, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        fake_emit(f->service, "drive", "disk0", "A", 0, "Something\nhappened");
}

static void
event__arrives_with_id_kind_and_json(void **state)
{
    int fd = subscribe_and_wait(*state, NULL);
    struct fixture *f = *state;

    fake_emit(f->service, "drive", "disk0", "A", 7, "Two\nlines \"here\"");
    http_read(fd, buffer, sizeof buffer, "}\n\n", LIMIT_MS);
    assert_non_null(strstr(buffer, "\nevent: drive\ndata: {\"seq\":"));
    assert_non_null(strstr(buffer, "\"prompt\":7"));
    assert_non_null(strstr(buffer, "\"text\":\"Two\\nlines \\\"here\\\"\""));
    close(fd);
}

static void
resume__after_last_id__only_what_followed(void **state)
{
    struct fixture *f = *state;
    int fd;

    emit(f, 10); /* beyond those that the start raised */
    fake_emit(f->service, "volume", "", "A", 0, "The last one");
    fd = subscribe(f, "9");
    http_read(fd, buffer, sizeof buffer, "The last one", LIMIT_MS);
    assert_null(strstr(buffer, "id: 9\n"));
    assert_non_null(strstr(buffer, "id: 10\n"));
    assert_null(strstr(buffer, "event: lost"));
    close(fd);
}

static void
resume__fell_out_of_the_ring__lost_then_the_oldest(void **state)
{
    struct fixture *f = *state;
    int fd;

    emit(f, 3 * API_RING_MAX);
    fake_emit(f->service, "volume", "", "A", 0, "The last one");
    fd = subscribe(f, "5");
    http_read(fd, buffer, sizeof buffer, "The last one", LIMIT_MS);
    assert_non_null(strstr(buffer, "event: lost"));
    assert_non_null(strstr(buffer, "The last one"));
    close(fd);
    /* A number from an earlier life of the service. */
    fd = subscribe(f, "999999");
    http_read(fd, buffer, sizeof buffer, "The last one", LIMIT_MS);
    assert_non_null(strstr(buffer, "event: lost"));
    close(fd);
}

static void
first_event__has_a_high_number__nothing_is_lost(void **state)
{
    struct fixture *f = *state;
    struct ri_error error;
    int fd;

    assert_int_equal(api_server_stop(f->server), 0);
    emit(f, 100);
    assert_int_equal(
        api_server_start(f->service, f->control, &f->server, &error), 0);
    fd = subscribe_and_wait(f, NULL);
    fake_emit(f->service, "volume", "", "A", 0, "The last one");
    http_read(fd, buffer, sizeof buffer, "The last one", LIMIT_MS);
    assert_non_null(strstr(buffer, "The last one"));
    assert_null(strstr(buffer, "lost"));
    close(fd);
}

static void
slow_readers__harm_nobody_and_are_told(void **state)
{
    struct fixture *f = *state;
    struct http_reply reply;
    int slow[50], fast = subscribe_and_wait(f, NULL);
    long start;

    for (size_t i = 0; i < 50; i++)
        slow[i] = subscribe_and_wait(f, NULL);
    start = fixture_ms();
    emit(f, 20 * API_RING_MAX);
    fake_emit(f->service, "volume", "", "A", 0, "The last one");
    assert_true(fixture_ms() - start < LIMIT_MS);
    fixture_get(f, "/v1/drives", 200, &reply);
    http_reply_free(&reply);
    for (int i = 0; i < 60 && strstr(buffer, "The last one") == NULL; i++)
        http_read(fast, buffer, sizeof buffer, "The last one", 1000);
    assert_non_null(strstr(buffer, "The last one"));
    /* Read everything now; somewhere it says that something is missing. */
    http_read(slow[7], buffer, sizeof buffer, "event: lost", LIMIT_MS);
    assert_non_null(strstr(buffer, "event: lost"));
    for (size_t i = 0; i < 50; i++)
        close(slow[i]);
    close(fast);
}

static void
quiet__keepalive_comments(void **state)
{
    struct fixture *f = *state;
    int fd;

    f->server->events.keepalive_ms = 50;
    fd = subscribe_and_wait(f, NULL);
    http_read(fd, buffer, sizeof buffer, ": still here", LIMIT_MS);
    assert_non_null(strstr(buffer, ": still here"));
    close(fd);
}

static void
readers_that_leave__free_their_place_at_once(void **state)
{
    struct fixture *f = *state;
    unsigned fds = 0;

    for (int i = 0; i < 3 * API_SUBSCRIBERS_MAX; i++) {
        close(subscribe_and_wait(f, NULL));
        if (i == 0)
            fds = fixture_count("/proc/self/fd");
    }
    for (int i = 0; i < 3000; i++) {
        if (fixture_count("/proc/self/fd") <= fds + 2)
            break;
        usleep(20000);
    }
    assert_true(fixture_count("/proc/self/fd") <= fds + 2);
}

static void
too_many_readers__503__others_served(void **state)
{
    struct fixture *f = *state;
    struct http_reply reply;
    int fds[API_SUBSCRIBERS_MAX];

    for (int i = 0; i < API_SUBSCRIBERS_MAX; i++)
        fds[i] = subscribe_and_wait(f, NULL);
    fixture_expect(f, "GET", "/v1/events", NULL, 503, "too-many");
    fixture_get(f, "/v1/drives", 200, &reply);
    http_reply_free(&reply);
    for (int i = 0; i < API_SUBSCRIBERS_MAX; i++)
        close(fds[i]);
}

int
main(void)
{
#define T(name)                                                                \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(event__arrives_with_id_kind_and_json),
        T(resume__after_last_id__only_what_followed),
        T(resume__fell_out_of_the_ring__lost_then_the_oldest),
        T(first_event__has_a_high_number__nothing_is_lost),
        T(slow_readers__harm_nobody_and_are_told),
        T(quiet__keepalive_comments),
        T(readers_that_leave__free_their_place_at_once),
        T(too_many_readers__503__others_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
