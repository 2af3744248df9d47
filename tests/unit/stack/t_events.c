/*
 * t_events.c - what happened before somebody listened (reinsert.h: "first,
 * before it returns, what happened since the start: the last 256 events")
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stack/stack_internal.h"

struct heard {
    size_t count;
    uint64_t first, last;
    char text[RI_TEXT_MAX], library[RI_NAME_MAX], action[32], drive[32];
};

static struct ri_service service;

static void
hear(void *context, const struct ri_event *event)
{
    struct heard *heard = context;

    if (heard->count++ == 0)
        heard->first = event->seq;
    else
        assert_int_equal(event->seq, heard->last + 1);
    heard->last = event->seq;
    snprintf(heard->text, sizeof heard->text, "%s", event->text);
    snprintf(heard->drive, sizeof heard->drive, "%s", event->drive);
    snprintf(heard->library, sizeof heard->library, "%s",
             event->library != NULL ? event->library : "none");
    snprintf(heard->action, sizeof heard->action, "%s",
             event->action != NULL ? event->action : "none");
}

static int
begin(void **state)
{
    (void) state;
    memset(&service, 0, sizeof service);
    pthread_mutex_init(&service.event_lock, NULL);
    return 0;
}

static int
end(void **state)
{
    (void) state;
    while (service.subscribers != NULL)
        ri_unsubscribe(&service, service.subscribers->id);
    pthread_mutex_destroy(&service.event_lock);
    events_free(&service);
    return 0;
}

static void
from_start__events_before__come_first_and_whole(void **state)
{
    struct heard heard = { 0 };
    char text[32] = "it moved";

    (void) state;
    event_send(&service, "drive", "d0", "", 0, "%s", "one");
    event_send_library(&service, "shelf", "moved", "shelf-1", text);
    memset(text, 'x', sizeof text - 1); /* it was copied */
    assert_int_not_equal(ri_subscribe_from_start(&service, hear, &heard), 0);
    assert_int_equal(heard.count, 2);
    assert_int_equal(heard.first, 1);
    assert_string_equal(heard.text, "it moved");
    assert_string_equal(heard.library, "shelf");
    assert_string_equal(heard.action, "moved");
    assert_string_equal(heard.drive, "shelf-1");
    event_send(&service, "drive", "d0", "", 0, "%s", "three");
    assert_int_equal(heard.last, 3);
    assert_string_equal(heard.text, "three");
    assert_string_equal(heard.library, "none");
}

static void
from_start__more_than_are_kept__the_last_256(void **state)
{
    struct heard heard = { 0 };

    (void) state;
    for (int i = 1; i <= 1000; i++)
        event_send(&service, "drive", "", "", 0, "event %d", i);
    ri_subscribe_from_start(&service, hear, &heard);
    assert_int_equal(heard.count, 256);
    assert_int_equal(heard.first, 745);
    assert_int_equal(heard.last, 1000);
    assert_string_equal(heard.text, "event 1000");
}

static void
subscribe__events_before__are_not_told(void **state)
{
    struct heard heard = { 0 };

    (void) state;
    event_send(&service, "drive", "", "", 0, "before");
    ri_subscribe(&service, hear, &heard);
    assert_int_equal(heard.count, 0);
    event_send(&service, "drive", "", "", 0, "after");
    assert_int_equal(heard.first, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            from_start__events_before__come_first_and_whole, begin, end),
        cmocka_unit_test_setup_teardown(
            from_start__more_than_are_kept__the_last_256, begin, end),
        cmocka_unit_test_setup_teardown(subscribe__events_before__are_not_told,
                                        begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
