/*
 * Tests for src/ke/timer.c and time.c; most run with the manual clock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

#include "base/clock.h"
#include "ke/irql.h"

static KTIMER timer;
static KDPC dpc;
static int runs;
static ULONGLONG fired_at;

static VOID NTAPI
fire(struct _KDPC *own, PVOID context, PVOID low, PVOID high)
{
    fired_at = (ULONGLONG) (ULONG_PTR) high << 32 | (ULONG) (ULONG_PTR) low;
    __atomic_fetch_add(&runs, 1, __ATOMIC_RELEASE);
}

static int
manual(void **state)
{
    KeInitializeTimer(&timer);
    KeInitializeDpc(&dpc, fire, NULL);
    runs = 0;
    clock_manual(true);
    return 0;
}

static int
real(void **state)
{
    KeCancelTimer(&timer);
    clock_manual(false);
    return 0;
}

static void
timer__due__signals_and_queues_its_dpc_with_the_time(void **state)
{
    LARGE_INTEGER now;

    assert_false(KeSetTimer(&timer, relative_ms(1000), &dpc));
    clock_advance_ms(999);
    assert_int_equal(runs, 0);
    assert_false(KeReadStateTimer(&timer));
    clock_advance_ms(1);
    assert_int_equal(runs, 1);
    assert_true(KeReadStateTimer(&timer));
    KeQuerySystemTime(&now);
    assert_int_equal(fired_at, now.QuadPart);
    clock_advance_ms(10000);
    assert_int_equal(runs, 1);
    assert_false(KeCancelTimer(&timer));
}

static void
timer__cancelled_in_time__does_nothing(void **state)
{
    KeSetTimer(&timer, relative_ms(1000), &dpc);
    assert_true(KeCancelTimer(&timer));
    assert_false(KeCancelTimer(&timer));
    clock_advance_ms(2000);
    assert_int_equal(runs, 0);
    assert_false(KeReadStateTimer(&timer));
}

static void
timer__set_again__starts_anew_and_says_so(void **state)
{
    KeSetTimer(&timer, relative_ms(1000), &dpc);
    clock_advance_ms(900);
    assert_true(KeSetTimer(&timer, relative_ms(1000), &dpc));
    clock_advance_ms(999);
    assert_int_equal(runs, 0);
    clock_advance_ms(1);
    assert_int_equal(runs, 1);
    /* Set once more it is no longer signalled. */
    assert_false(KeSetTimer(&timer, relative_ms(1000), &dpc));
    assert_false(KeReadStateTimer(&timer));
}

static void
timer__periodic__expires_until_cancelled(void **state)
{
    KeSetTimerEx(&timer, relative_ms(100), 50, &dpc);
    clock_advance_ms(100);
    assert_int_equal(runs, 1);
    clock_advance_ms(50);
    assert_int_equal(runs, 2);
    clock_advance_ms(49);
    assert_int_equal(runs, 2);
    /* Each period that the manual clock jumps over is had. */
    clock_advance_ms(501);
    assert_int_equal(runs, 13);
    assert_true(KeCancelTimer(&timer));
    clock_advance_ms(1000);
    assert_int_equal(runs, 13);
}

static void
timer__absolute_due_time__is_system_time(void **state)
{
    LARGE_INTEGER due;

    KeQuerySystemTime(&due);
    due.QuadPart += 5 * 10000000;
    KeSetTimer(&timer, due, &dpc);
    clock_advance_ms(4990);
    assert_int_equal(runs, 0);
    clock_advance_ms(20);
    assert_int_equal(runs, 1);
    due.QuadPart -= 100 * 10000000ll;
    KeSetTimer(&timer, due, NULL);
    assert_true(KeReadStateTimer(&timer));
}

static void
timer__due_at_once__is_signalled_when_set_returns(void **state)
{
    KeSetTimer(&timer, relative_ms(0), &dpc);
    assert_true(KeReadStateTimer(&timer));
    KeFlushQueuedDpcs();
    assert_int_equal(runs, 1);
}

static void
timer__kinds__stay_signalled_or_reset_with_a_wait(void **state)
{
    KTIMER once;

    KeInitializeTimerEx(&once, SynchronizationTimer);
    KeSetTimer(&once, relative_ms(10), NULL);
    KeSetTimer(&timer, relative_ms(10), NULL);
    assert_int_equal(wait_ms(&once, 0), STATUS_TIMEOUT);
    clock_advance_ms(10);
    assert_int_equal(wait_ms(&once, 0), STATUS_SUCCESS);
    assert_int_equal(wait_ms(&once, 0), STATUS_TIMEOUT);
    assert_int_equal(wait_ms(&timer, 0), STATUS_SUCCESS);
    assert_int_equal(wait_ms(&timer, 0), STATUS_SUCCESS);
}

static int expired[20], expired_count;

static VOID NTAPI
note_order(struct _KDPC *own, PVOID context, PVOID low, PVOID high)
{
    expired[expired_count++] = (int) (ULONG_PTR) context;
}

static void
timers__many__expire_in_order_of_due_time(void **state)
{
    static KTIMER timers[20];
    static KDPC dpcs[20];

    for (int i = 0; i < 20; i++) {
        int delay = (i * 7) % 20 + 1;

        KeInitializeTimer(&timers[i]);
        KeInitializeDpc(&dpcs[i], note_order, (PVOID) (ULONG_PTR) delay);
        KeSetTimer(&timers[i], relative_ms(delay), &dpcs[i]);
    }
    clock_advance_ms(20);
    assert_int_equal(expired_count, 20);
    for (int i = 0; i < 20; i++)
        assert_int_equal(expired[i], i + 1);
}

static void
timer__in_real_time__comes_after_its_delay(void **state)
{
    uint64_t before;

    clock_manual(false);
    before = clock_now_ns();
    KeSetTimer(&timer, relative_ms(20), &dpc);
    assert_int_equal(wait_ms(&timer, LIMIT_MS), STATUS_SUCCESS);
    assert_true(clock_now_ns() - before >= 20000000u);
    /* A sooner one cuts the sleep of the timer thread short. */
    KeSetTimer(&timer, relative_ms(3600 * 1000), NULL);
    usleep(2000);
    KeSetTimer(&timer, relative_ms(5), NULL);
    assert_int_equal(wait_ms(&timer, LIMIT_MS), STATUS_SUCCESS);
}

/* Either the cancel wins, or the DPC runs: never both, never neither. */
static void
timer__cancelled_while_it_expires__one_of_both(void **state)
{
    int cancelled = 0;

    clock_manual(false);
    for (int i = 0; i < 300; i++) {
        LARGE_INTEGER due = { .QuadPart = -(i % 10) * 100 - 1 };

        KeSetTimer(&timer, due, &dpc);
        if (i % 3 == 0)
            usleep((unsigned) i % 50);
        cancelled += KeCancelTimer(&timer);
        KeFlushQueuedDpcs();
        assert_int_equal(load(&runs) + cancelled, i + 1);
    }
}

static void
timer__on_the_stack__may_go_when_the_wait_returns(void **state)
{
    clock_manual(false);
    for (int i = 0; i < 200; i++) {
        KTIMER *own = test_malloc(sizeof *own);

        KeInitializeTimer(own);
        KeSetTimer(own, (LARGE_INTEGER){ .QuadPart = -10 }, &dpc);
        assert_int_equal(wait_forever(own), STATUS_SUCCESS);
        memset(own, 0xA5, sizeof *own);
        test_free(own);
    }
    KeFlushQueuedDpcs();
    assert_int_equal(runs, 200);
}

static void
clocks__follow_one_another(void **state)
{
    LARGE_INTEGER system, ticks, later, frequency, count;
    ULONGLONG interrupt = KeQueryInterruptTime();

    KeQuerySystemTime(&system);
    KeQueryTickCount(&ticks);
    count = KeQueryPerformanceCounter(&frequency);
    assert_int_equal(KeQueryTimeIncrement(), 156250);
    clock_advance_ms(156250);
    KeQuerySystemTime(&later);
    assert_int_equal(later.QuadPart - system.QuadPart, 1562500000);
    assert_int_equal(KeQueryInterruptTime() - interrupt, 1562500000);
    KeQueryTickCount(&later);
    assert_int_equal(later.QuadPart - ticks.QuadPart, 10000);
    later = KeQueryPerformanceCounter(NULL);
    assert_int_equal(
        (later.QuadPart - count.QuadPart) * 1000 / frequency.QuadPart, 156250);
    /* After 2020 and before 2200, since 1601. */
    assert_in_range(system.QuadPart, 132223104000000000, 189000000000000000);
}

static void
timer__header__has_type_and_no_size(void **state)
{
    KTIMER fresh;

    memset(&fresh, 0xCD, sizeof fresh);
    KeInitializeTimerEx(&fresh, NotificationTimer);
    assert_int_equal(fresh.Header.Type, 8);
    assert_int_equal(fresh.Header.Size, 0);
    assert_int_equal(fresh.Header.SignalState, 0);
    KeInitializeTimerEx(&fresh, SynchronizationTimer);
    assert_int_equal(fresh.Header.Type, 9);
}

#ifndef NDEBUG
static void
initialize_while_set(void)
{
    KeSetTimer(&timer, relative_ms(1000), NULL);
    KeInitializeTimer(&timer);
}
#endif

static void
timer__initialized_while_it_is_set__is_told_or_stays_set(void **state)
{
    bool checks = ke_checks;

#ifndef NDEBUG
    assert_dies(initialize_while_set, "KeInitializeTimerEx");
#endif
    ke_checks = false;
    KeSetTimerEx(&timer, relative_ms(1000), 500, &dpc);
    KeInitializeTimerEx(&timer, SynchronizationTimer);
    ke_checks = checks;
    clock_advance_ms(999);
    assert_int_equal(runs, 0);
    clock_advance_ms(1);
    assert_int_equal(runs, 1);
    assert_true(KeReadStateTimer(&timer));
    /* The period went with the old state. */
    clock_advance_ms(1000);
    assert_int_equal(runs, 1);
    KeSetTimer(&timer, relative_ms(10), &dpc);
    clock_advance_ms(10);
    assert_int_equal(runs, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, manual, real)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(timer__due__signals_and_queues_its_dpc_with_the_time),
        TEST(timer__cancelled_in_time__does_nothing),
        TEST(timer__set_again__starts_anew_and_says_so),
        TEST(timer__periodic__expires_until_cancelled),
        TEST(timer__absolute_due_time__is_system_time),
        TEST(timer__due_at_once__is_signalled_when_set_returns),
        TEST(timer__kinds__stay_signalled_or_reset_with_a_wait),
        TEST(timers__many__expire_in_order_of_due_time),
        TEST(timer__in_real_time__comes_after_its_delay),
        TEST(timer__cancelled_while_it_expires__one_of_both),
        TEST(timer__on_the_stack__may_go_when_the_wait_returns),
        TEST(timer__header__has_type_and_no_size),
        TEST(timer__initialized_while_it_is_set__is_told_or_stays_set),
        TEST(clocks__follow_one_another),
    };

    return cmocka_run_group_tests(tests, NULL, end_ke);
}
