/*
 * Tests for src/ke/wait.c and dispatcher.c: many objects, time limits, races.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

#include "base/clock.h"

static KEVENT events[4];

static int
fresh(void **state)
{
    for (int i = 0; i < 4; i++)
        KeInitializeEvent(&events[i], SynchronizationEvent, FALSE);
    return 0;
}

static NTSTATUS
wait_many(ULONG count, PVOID *objects, WAIT_TYPE type, PLARGE_INTEGER timeout)
{
    static __thread KWAIT_BLOCK blocks[MAXIMUM_WAIT_OBJECTS];

    return KeWaitForMultipleObjects(count, objects, type, Executive, KernelMode,
                                    FALSE, timeout, blocks);
}

static void
wait_any__signalled_ones__gives_the_first_and_takes_only_it(void **state)
{
    PVOID objects[] = { &events[0], &events[1], &events[2] };
    LARGE_INTEGER zero = { .QuadPart = 0 };

    assert_int_equal(wait_many(3, objects, WaitAny, &zero), STATUS_TIMEOUT);
    KeSetEvent(&events[2], 0, FALSE);
    KeSetEvent(&events[1], 0, FALSE);
    assert_int_equal(wait_many(3, objects, WaitAny, NULL), STATUS_WAIT_0 + 1);
    assert_int_equal(KeReadStateEvent(&events[1]), 0);
    assert_int_not_equal(KeReadStateEvent(&events[2]), 0);
}

static void
wait_all__some_signalled__takes_none(void **state)
{
    PVOID objects[] = { &events[0], &events[1] };
    LARGE_INTEGER soon = relative_ms(5);

    KeSetEvent(&events[0], 0, FALSE);
    assert_int_equal(wait_many(2, objects, WaitAll, &soon), STATUS_TIMEOUT);
    assert_int_not_equal(KeReadStateEvent(&events[0]), 0);
    KeSetEvent(&events[1], 0, FALSE);
    assert_int_equal(wait_many(2, objects, WaitAll, NULL), STATUS_SUCCESS);
    assert_int_equal(KeReadStateEvent(&events[0]), 0);
    assert_int_equal(KeReadStateEvent(&events[1]), 0);
}

static void *
wait_all_of_two(void *out)
{
    PVOID objects[] = { &events[0], &events[1] };

    *(NTSTATUS *) out = wait_many(2, objects, WaitAll, NULL);
    return NULL;
}

static void
wait_all__waiting__ends_with_the_last_object_only(void **state)
{
    NTSTATUS status = -1;
    pthread_t thread = start(wait_all_of_two, &status);

    eventually(waiters(&events[1]) == 1);
    KeSetEvent(&events[1], 0, FALSE);
    assert_int_equal(waiters(&events[0]), 1);
    assert_int_not_equal(KeReadStateEvent(&events[1]), 0);
    /* Taken away again before the other comes: the wait goes on. */
    KeClearEvent(&events[1]);
    KeSetEvent(&events[0], 0, FALSE);
    assert_int_equal(waiters(&events[0]), 1);
    KeSetEvent(&events[1], 0, FALSE);
    pthread_join(thread, NULL);
    assert_int_equal(status, STATUS_SUCCESS);
    assert_int_equal(KeReadStateEvent(&events[0]), 0);
}

static void *
wait_one(void *out)
{
    *(NTSTATUS *) out = wait_forever(&events[0]);
    return NULL;
}

/* A WaitAll that cannot be satisfied does not keep the object from others. */
static void
wait_all__first_in_line__is_passed_over(void **state)
{
    NTSTATUS all = -1, one = -1;
    pthread_t first = start(wait_all_of_two, &all), second;

    eventually(waiters(&events[0]) == 1);
    second = start(wait_one, &one);
    eventually(waiters(&events[0]) == 2);
    KeSetEvent(&events[0], 0, FALSE);
    pthread_join(second, NULL);
    assert_int_equal(one, STATUS_SUCCESS);
    assert_int_equal(waiters(&events[0]), 1);
    KeSetEvent(&events[0], 0, FALSE);
    KeSetEvent(&events[1], 0, FALSE);
    pthread_join(first, NULL);
    assert_int_equal(all, STATUS_SUCCESS);
}

static void
wait_any__object_named_twice__ends_once(void **state)
{
    PVOID objects[] = { &events[0], &events[0] };
    LARGE_INTEGER soon = relative_ms(2);

    assert_int_equal(wait_many(2, objects, WaitAny, &soon), STATUS_TIMEOUT);
    assert_int_equal(waiters(&events[0]), 0);
}

static void
wait__time_limit__is_kept_in_real_time(void **state)
{
    uint64_t before = clock_now_ns(), spent;

    assert_int_equal(wait_ms(&events[0], 20), STATUS_TIMEOUT);
    spent = clock_now_ns() - before;
    assert_true(spent >= 20000000u);
    assert_int_equal(waiters(&events[0]), 0);
}

static void
wait__absolute_limit_in_the_past__is_over_at_once(void **state)
{
    LARGE_INTEGER time;

    KeQuerySystemTime(&time);
    time.QuadPart -= 10000000;
    assert_int_equal(
        KeWaitForSingleObject(&events[0], Executive, KernelMode, FALSE, &time),
        STATUS_TIMEOUT);
    time.QuadPart += 2 * 10000000;
    KeSetEvent(&events[0], 0, FALSE);
    assert_int_equal(
        KeWaitForSingleObject(&events[0], Executive, KernelMode, FALSE, &time),
        STATUS_SUCCESS);
}

static void *
wait_an_hour(void *out)
{
    *(NTSTATUS *) out = wait_ms(&events[0], 3600 * 1000);
    return NULL;
}

static void
wait__manual_clock__ends_when_the_clock_says_so(void **state)
{
    NTSTATUS status = -1;
    pthread_t thread;

    clock_manual(true);
    thread = start(wait_an_hour, &status);
    eventually(waiters(&events[0]) == 1);
    clock_advance_ms(3600 * 1000 - 1);
    assert_int_equal(waiters(&events[0]), 1);
    clock_advance_ms(1);
    pthread_join(thread, NULL);
    assert_int_equal(status, STATUS_TIMEOUT);
    clock_manual(false);
}

static void
wait__begun_in_real_time__follows_the_manual_clock(void **state)
{
    NTSTATUS status = -1;
    pthread_t thread = start(wait_an_hour, &status);

    eventually(waiters(&events[0]) == 1);
    clock_manual(true);
    clock_advance_ms(3600 * 1000);
    pthread_join(thread, NULL);
    assert_int_equal(status, STATUS_TIMEOUT);
    clock_manual(false);
}

static void
delay__takes_at_least_the_interval(void **state)
{
    LARGE_INTEGER interval = relative_ms(10);
    uint64_t before = clock_now_ns();

    assert_int_equal(KeDelayExecutionThread(KernelMode, FALSE, &interval),
                     STATUS_SUCCESS);
    assert_true(clock_now_ns() - before >= 10000000u);
    interval.QuadPart = 0;
    KeDelayExecutionThread(KernelMode, FALSE, &interval);
}

#define ROUNDS 2000

static int taken;

static void *
take_impatiently(void *unused)
{
    LARGE_INTEGER brief = { .QuadPart = -20 }; /* 2 us: a race each time */
    PVOID objects[] = { &events[1], &events[0] };

    while (load(&taken) < ROUNDS) {
        NTSTATUS status = wait_many(2, objects, WaitAny, &brief);

        if (status == STATUS_WAIT_0 + 1) {
            __atomic_fetch_add(&taken, 1, __ATOMIC_RELEASE);
            KeSetEvent(&events[2], 0, FALSE);
        }
    }
    return NULL;
}

/* No signal is lost or had twice when limits run out at the same moment. */
static void
wait__limit_and_signal_at_once__exactly_one_wins(void **state)
{
    pthread_t threads[3];

    taken = 0;
    for (int i = 0; i < 3; i++)
        threads[i] = start(take_impatiently, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(KeSetEvent(&events[0], 0, FALSE), 0);
        assert_int_equal(wait_ms(&events[2], LIMIT_MS), STATUS_SUCCESS);
        assert_int_equal(load(&taken), i + 1);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

static void
wait_too_many(void)
{
    PVOID objects[] = { &events[0], &events[1], &events[2], &events[3] };

    KeWaitForMultipleObjects(4, objects, WaitAny, Executive, KernelMode, FALSE,
                             NULL, NULL);
}

static void
wait__four_without_blocks__bug_check(void **state)
{
    assert_dies(wait_too_many, "MAXIMUM_WAIT_OBJECTS_EXCEEDED");
}

static void
wait_at_dispatch(void)
{
    KeRaiseIrqlToDpcLevel();
    wait_ms(&events[0], 1);
}

static void
wait__at_dispatch__only_with_a_zero_limit(void **state)
{
    KIRQL irql;

    assert_dies(wait_at_dispatch, "KeWaitForSingleObject");
    KeSetEvent(&events[0], 0, FALSE);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    assert_int_equal(wait_ms(&events[0], 0), STATUS_SUCCESS);
    assert_int_equal(wait_ms(&events[0], 0), STATUS_TIMEOUT);
    KeLowerIrql(irql);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(wait_any__signalled_ones__gives_the_first_and_takes_only_it),
        TEST(wait_all__some_signalled__takes_none),
        TEST(wait_all__waiting__ends_with_the_last_object_only),
        TEST(wait_all__first_in_line__is_passed_over),
        TEST(wait_any__object_named_twice__ends_once),
        TEST(wait__time_limit__is_kept_in_real_time),
        TEST(wait__absolute_limit_in_the_past__is_over_at_once),
        TEST(wait__manual_clock__ends_when_the_clock_says_so),
        TEST(wait__begun_in_real_time__follows_the_manual_clock),
        TEST(delay__takes_at_least_the_interval),
        TEST(wait__limit_and_signal_at_once__exactly_one_wins),
        TEST(wait__four_without_blocks__bug_check),
        TEST(wait__at_dispatch__only_with_a_zero_limit),
    };

    return cmocka_run_group_tests(tests, NULL, end_ke);
}
