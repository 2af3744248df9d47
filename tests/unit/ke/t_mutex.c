/*
 * Tests for src/ke/mutex.c; expectations from the pages of KeInitializeMutex,
 * KeReleaseMutex and KeWaitForSingleObject.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

static KMUTEX mutex;
static NTSTATUS other_status;

static void *
try_it(void *unused)
{
    other_status = wait_ms(&mutex, 0);
    if (other_status == STATUS_SUCCESS)
        KeReleaseMutex(&mutex, FALSE);
    return NULL;
}

static NTSTATUS
other_thread_gets(void)
{
    pthread_join(start(try_it, NULL), NULL);
    return other_status;
}

static void
mutex__its_owner__takes_it_again_and_releases_as_often(void **state)
{
    KeInitializeMutex(&mutex, 0);
    assert_int_equal(KeReadStateMutex(&mutex), 1);
    assert_int_equal(wait_ms(&mutex, 0), STATUS_SUCCESS);
    assert_true(KeReadStateMutex(&mutex) <= 0);
    assert_int_equal(wait_forever(&mutex), STATUS_SUCCESS);
    assert_int_equal(other_thread_gets(), STATUS_TIMEOUT);
    assert_int_not_equal(KeReleaseMutex(&mutex, FALSE), 0);
    assert_int_equal(other_thread_gets(), STATUS_TIMEOUT);
    assert_int_equal(KeReleaseMutex(&mutex, FALSE), 0);
    assert_int_equal(other_thread_gets(), STATUS_SUCCESS);
}

static void
mutex__its_owner__has_normal_apcs_disabled(void **state)
{
    KeInitializeMutex(&mutex, 0);
    assert_false(KeAreApcsDisabled());
    wait_forever(&mutex);
    assert_true(KeAreApcsDisabled());
    wait_forever(&mutex);
    KeReleaseMutex(&mutex, FALSE);
    assert_true(KeAreApcsDisabled());
    KeReleaseMutex(&mutex, FALSE);
    assert_false(KeAreApcsDisabled());
}

static void *
take_and_end(void *unused)
{
    assert_int_equal(wait_forever(&mutex), STATUS_SUCCESS);
    return NULL;
}

static void
mutex__whose_owner_ended__is_had_abandoned_once(void **state)
{
    KeInitializeMutex(&mutex, 0);
    pthread_join(start(take_and_end, NULL), NULL);
    assert_int_equal(KeReadStateMutex(&mutex), 1);
    assert_int_equal(wait_forever(&mutex), STATUS_ABANDONED);
    KeReleaseMutex(&mutex, FALSE);
    assert_int_equal(wait_forever(&mutex), STATUS_SUCCESS);
    KeReleaseMutex(&mutex, FALSE);
}

static KEVENT go;

static void *
hold_until_go(void *unused)
{
    wait_forever(&mutex);
    wait_forever(&go);
    return NULL;
}

static void
mutex__abandoned_while_another_waits__wakes_it(void **state)
{
    PVOID objects[2];
    KEVENT never;
    pthread_t holder;

    KeInitializeMutex(&mutex, 0);
    KeInitializeEvent(&go, NotificationEvent, FALSE);
    KeInitializeEvent(&never, NotificationEvent, FALSE);
    holder = start(hold_until_go, NULL);
    eventually(waiters(&go) == 1);
    KeSetEvent(&go, IO_NO_INCREMENT, FALSE);
    objects[0] = &never;
    objects[1] = &mutex;
    assert_int_equal(KeWaitForMultipleObjects(2, objects, WaitAny, Executive,
                                              KernelMode, FALSE, NULL, NULL),
                     STATUS_ABANDONED_WAIT_0 + 1);
    KeReleaseMutex(&mutex, FALSE);
    pthread_join(holder, NULL);
}

static long counter;

static void *
count_up(void *unused)
{
    for (int i = 0; i < 500; i++) {
        wait_forever(&mutex);
        counter++; /* a data race if the mutex did not exclude */
        KeReleaseMutex(&mutex, FALSE);
    }
    return NULL;
}

static void
mutex__four_threads__exclude_each_other(void **state)
{
    pthread_t threads[4];

    counter = 0;
    KeInitializeMutex(&mutex, 0);
    for (int i = 0; i < 4; i++)
        threads[i] = start(count_up, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(counter, 2000);
}

static void
release_unowned(void)
{
    KMUTEX unowned;

    KeInitializeMutex(&unowned, 0);
    KeReleaseMutex(&unowned, FALSE);
}

static void
mutex__released_by_another__bug_check_with_the_status(void **state)
{
    assert_dies(release_unowned, "0xC0000046");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            mutex__its_owner__takes_it_again_and_releases_as_often),
        cmocka_unit_test(mutex__its_owner__has_normal_apcs_disabled),
        cmocka_unit_test(mutex__whose_owner_ended__is_had_abandoned_once),
        cmocka_unit_test(mutex__abandoned_while_another_waits__wakes_it),
        cmocka_unit_test(mutex__four_threads__exclude_each_other),
        cmocka_unit_test(mutex__released_by_another__bug_check_with_the_status),
    };

    return cmocka_run_group_tests(tests, NULL, end_ke);
}
