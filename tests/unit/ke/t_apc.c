/*
 * Tests for src/ke/apc.c: when APCs run, and when they do not.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

static int ran;
static KIRQL ran_at;

static void
note(void *context)
{
    ran_at = KeGetCurrentIrql();
    if (context != NULL)
        KeSetEvent(context, IO_NO_INCREMENT, FALSE);
    __atomic_fetch_add(&ran, 1, __ATOMIC_RELEASE);
}

static int
none(void **state)
{
    ran = 0;
    return 0;
}

static void
apc__to_oneself__runs_at_once_at_passive(void **state)
{
    assert_true(ke_queue_apc(KeGetCurrentThread(), note, NULL));
    assert_int_equal(ran, 1);
    assert_int_equal(ran_at, PASSIVE_LEVEL);
}

static void
apc__in_a_critical_region__runs_when_the_last_is_left(void **state)
{
    KeEnterCriticalRegion();
    KeEnterCriticalRegion();
    assert_true(KeAreApcsDisabled());
    assert_false(KeAreAllApcsDisabled());
    ke_queue_apc(KeGetCurrentThread(), note, NULL);
    KeLeaveCriticalRegion();
    assert_int_equal(ran, 0);
    KeLeaveCriticalRegion();
    assert_int_equal(ran, 1);
    assert_false(KeAreApcsDisabled());
}

static void
apc__at_raised_irql__runs_when_it_is_lowered_below_apc(void **state)
{
    KSPIN_LOCK lock;
    KIRQL first, second;

    KeInitializeSpinLock(&lock);
    KeRaiseIrql(APC_LEVEL, &first);
    assert_true(KeAreAllApcsDisabled());
    ke_queue_apc(KeGetCurrentThread(), note, NULL);
    KeAcquireSpinLock(&lock, &second);
    KeReleaseSpinLock(&lock, second);
    assert_int_equal(ran, 0);
    KeLowerIrql(first);
    assert_int_equal(ran, 1);
    KeAcquireSpinLock(&lock, &second);
    ke_queue_apc(KeGetCurrentThread(), note, NULL);
    assert_int_equal(ran, 1);
    KeReleaseSpinLock(&lock, second);
    assert_int_equal(ran, 2);
}

static struct {
    KEVENT event, in_apc, ready;
    PKTHREAD thread;
    NTSTATUS status;
    BOOLEAN critical;
} waiter;

static void *
wait_with_apcs(void *unused)
{
    __atomic_store_n(&waiter.thread, KeGetCurrentThread(), __ATOMIC_RELEASE);
    if (waiter.critical)
        KeEnterCriticalRegion();
    waiter.status = wait_forever(&waiter.event);
    if (waiter.critical)
        KeLeaveCriticalRegion();
    return NULL;
}

static pthread_t
start_waiter(BOOLEAN critical)
{
    pthread_t id;

    waiter.critical = critical;
    waiter.thread = NULL;
    KeInitializeEvent(&waiter.event, SynchronizationEvent, FALSE);
    KeInitializeEvent(&waiter.in_apc, NotificationEvent, FALSE);
    id = start(wait_with_apcs, NULL);
    eventually(waiters(&waiter.event) == 1);
    return id;
}

static void
apc__to_a_waiting_thread__runs_and_the_wait_goes_on(void **state)
{
    pthread_t id = start_waiter(FALSE);

    for (int i = 1; i <= 3; i++) {
        assert_true(ke_queue_apc(waiter.thread, note, NULL));
        eventually(load(&ran) == i);
        eventually(waiters(&waiter.event) == 1);
    }
    KeSetEvent(&waiter.event, 0, FALSE);
    pthread_join(id, NULL);
    assert_int_equal(waiter.status, STATUS_SUCCESS);
}

static void
apc__to_a_wait_in_a_critical_region__comes_after_it(void **state)
{
    pthread_t id = start_waiter(TRUE);

    assert_true(ke_queue_apc(waiter.thread, note, NULL));
    assert_int_equal(waiters(&waiter.event), 1);
    KeSetEvent(&waiter.event, 0, FALSE);
    pthread_join(id, NULL);
    assert_int_equal(waiter.status, STATUS_SUCCESS);
    assert_int_equal(ran, 1);
}

static void
wait_inside(void *context)
{
    assert_int_equal(wait_forever(&waiter.in_apc), STATUS_SUCCESS);
    note(NULL);
}

/* Its own wait does not take further APCs; those come when it has returned. */
static void
apc__that_waits__is_not_interrupted_by_another(void **state)
{
    pthread_t id = start_waiter(FALSE);

    ke_queue_apc(waiter.thread, wait_inside, NULL);
    eventually(waiters(&waiter.in_apc) == 1);
    ke_queue_apc(waiter.thread, note, NULL);
    assert_int_equal(waiters(&waiter.in_apc), 1);
    assert_int_equal(load(&ran), 0);
    KeSetEvent(&waiter.in_apc, 0, FALSE);
    eventually(load(&ran) == 2);
    KeSetEvent(&waiter.event, 0, FALSE);
    pthread_join(id, NULL);
}

static void *
end_with_apc(void *unused)
{
    waiter.thread = KeGetCurrentThread();
    ke_thread_ref((PETHREAD) waiter.thread);
    KeSetEvent(&waiter.ready, 0, FALSE);
    while (!load(&waiter.thread->apc_pending))
        usleep(100);
    return NULL;
}

static void
apc__to_a_thread_that_ends__runs_at_its_end_and_none_after(void **state)
{
    pthread_t id;

    KeInitializeEvent(&waiter.ready, NotificationEvent, FALSE);
    id = start(end_with_apc, NULL);
    wait_forever(&waiter.ready);
    assert_true(ke_queue_apc(waiter.thread, note, NULL));
    pthread_join(id, NULL);
    assert_int_equal(ran, 1);
    assert_false(ke_queue_apc(waiter.thread, note, NULL));
    assert_int_equal(ran, 1);
    ke_thread_unref((PETHREAD) waiter.thread);
}

#define TEST(name) cmocka_unit_test_setup(name, none)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(apc__to_oneself__runs_at_once_at_passive),
        TEST(apc__in_a_critical_region__runs_when_the_last_is_left),
        TEST(apc__at_raised_irql__runs_when_it_is_lowered_below_apc),
        TEST(apc__to_a_waiting_thread__runs_and_the_wait_goes_on),
        TEST(apc__to_a_wait_in_a_critical_region__comes_after_it),
        TEST(apc__that_waits__is_not_interrupted_by_another),
        TEST(apc__to_a_thread_that_ends__runs_at_its_end_and_none_after),
    };

    return cmocka_run_group_tests(tests, NULL, end_ke);
}
