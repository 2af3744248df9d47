/*
 * Tests for src/ke/event.c: events and semaphores, as their pages have them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

static void
notification_event__set__stays_signalled_until_reset(void **state)
{
    KEVENT event;

    KeInitializeEvent(&event, NotificationEvent, FALSE);
    assert_int_equal(KeReadStateEvent(&event), 0);
    assert_int_equal(wait_ms(&event, 0), STATUS_TIMEOUT);
    assert_int_equal(KeSetEvent(&event, IO_NO_INCREMENT, FALSE), 0);
    assert_int_not_equal(KeSetEvent(&event, IO_NO_INCREMENT, FALSE), 0);
    assert_int_equal(wait_ms(&event, 0), STATUS_SUCCESS);
    assert_int_equal(wait_ms(&event, 0), STATUS_SUCCESS);
    assert_int_not_equal(KeResetEvent(&event), 0);
    assert_int_equal(KeResetEvent(&event), 0);
    assert_int_equal(wait_ms(&event, 0), STATUS_TIMEOUT);
    KeSetEvent(&event, IO_NO_INCREMENT, FALSE);
    KeClearEvent(&event);
    assert_int_equal(KeReadStateEvent(&event), 0);
}

static void
synchronization_event__one_wait__resets_it(void **state)
{
    KEVENT event;

    KeInitializeEvent(&event, SynchronizationEvent, TRUE);
    assert_int_not_equal(KeReadStateEvent(&event), 0);
    assert_int_equal(wait_ms(&event, 0), STATUS_SUCCESS);
    assert_int_equal(KeReadStateEvent(&event), 0);
    assert_int_equal(wait_ms(&event, 0), STATUS_TIMEOUT);
}

static struct {
    KEVENT event;
    KSEMAPHORE semaphore;
    int through;
} shared;

static void *
pass_event(void *unused)
{
    assert_int_equal(wait_forever(&shared.event), STATUS_SUCCESS);
    __atomic_fetch_add(&shared.through, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void
event__with_waiting_threads__releases_one_or_all(void **state)
{
    static const struct {
        EVENT_TYPE type;
        int released, left_signalled;
    } kinds[] = { { SynchronizationEvent, 1, 0 }, { NotificationEvent, 4, 1 } };

    for (size_t k = 0; k < ARRAYSIZE(kinds); k++) {
        pthread_t threads[4];

        shared.through = 0;
        KeInitializeEvent(&shared.event, kinds[k].type, FALSE);
        for (int i = 0; i < 4; i++)
            threads[i] = start(pass_event, NULL);
        eventually(waiters(&shared.event) == 4);
        assert_int_equal(KeSetEvent(&shared.event, 0, FALSE), 0);
        assert_int_equal(waiters(&shared.event), 4 - kinds[k].released);
        eventually(load(&shared.through) == kinds[k].released);
        assert_int_equal(KeReadStateEvent(&shared.event),
                         kinds[k].left_signalled);
        for (int i = kinds[k].released; i < 4; i++)
            KeSetEvent(&shared.event, 0, FALSE);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
    }
}

static void
semaphore__counts_down__and_releases_return_the_count_before(void **state)
{
    KSEMAPHORE semaphore;

    KeInitializeSemaphore(&semaphore, 2, 3);
    assert_int_equal(wait_ms(&semaphore, 0), STATUS_SUCCESS);
    assert_int_equal(wait_ms(&semaphore, 0), STATUS_SUCCESS);
    assert_int_equal(wait_ms(&semaphore, 0), STATUS_TIMEOUT);
    assert_int_equal(KeReadStateSemaphore(&semaphore), 0);
    assert_int_equal(KeReleaseSemaphore(&semaphore, 0, 2, FALSE), 0);
    assert_int_equal(KeReleaseSemaphore(&semaphore, 0, 1, FALSE), 2);
    assert_int_equal(KeReadStateSemaphore(&semaphore), 3);
}

static void
exceed_limit(void)
{
    KSEMAPHORE semaphore;

    KeInitializeSemaphore(&semaphore, 2, 3);
    KeReleaseSemaphore(&semaphore, 0, 2, FALSE);
}

static void
semaphore__over_its_limit__bug_check_with_the_status(void **state)
{
    assert_dies(exceed_limit, "0xC0000047");
}

static void *
pass_semaphore(void *unused)
{
    assert_int_equal(wait_forever(&shared.semaphore), STATUS_SUCCESS);
    return NULL;
}

static void
semaphore__released_by_three__lets_three_of_five_pass(void **state)
{
    pthread_t threads[5];

    KeInitializeSemaphore(&shared.semaphore, 0, 10);
    for (int i = 0; i < 5; i++)
        threads[i] = start(pass_semaphore, NULL);
    eventually(waiters(&shared.semaphore) == 5);
    KeReleaseSemaphore(&shared.semaphore, 0, 3, FALSE);
    assert_int_equal(waiters(&shared.semaphore), 2);
    assert_int_equal(KeReadStateSemaphore(&shared.semaphore), 0);
    KeReleaseSemaphore(&shared.semaphore, 0, 3, FALSE);
    for (int i = 0; i < 5; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(KeReadStateSemaphore(&shared.semaphore), 1);
}

static void *
set_it(void *event)
{
    KeSetEvent(event, IO_NO_INCREMENT, FALSE);
    return NULL;
}

/* The usual pattern of a synchronous request: nobody may touch the event once
 * the wait is over (a sanitizer would tell). */
static void
event__on_the_stack__may_go_when_the_wait_returns(void **state)
{
    for (int i = 0; i < 300; i++) {
        KEVENT *event = test_malloc(sizeof *event);
        pthread_t thread;

        KeInitializeEvent(event, NotificationEvent, FALSE);
        thread = start(set_it, event);
        assert_int_equal(wait_forever(event), STATUS_SUCCESS);
        memset(event, 0xA5, sizeof *event);
        test_free(event);
        pthread_join(thread, NULL);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notification_event__set__stays_signalled_until_reset),
        cmocka_unit_test(synchronization_event__one_wait__resets_it),
        cmocka_unit_test(event__with_waiting_threads__releases_one_or_all),
        cmocka_unit_test(
            semaphore__counts_down__and_releases_return_the_count_before),
        cmocka_unit_test(semaphore__over_its_limit__bug_check_with_the_status),
        cmocka_unit_test(semaphore__released_by_three__lets_three_of_five_pass),
        cmocka_unit_test(event__on_the_stack__may_go_when_the_wait_returns),
    };

    return cmocka_run_group_tests(tests, NULL, end_ke);
}
