/*
 * Tests for src/ke/worker.c and ke.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

#define MANY (KE_WORKERS_MAX + 20)

static WORK_QUEUE_ITEM items[MANY];
static KEVENT go;
static int entered, left, bad_context;

static VOID NTAPI
block(PVOID parameter)
{
    if (KeGetCurrentIrql() != PASSIVE_LEVEL || KeAreApcsDisabled() ||
        !PsIsSystemThread(PsGetCurrentThread()))
        __atomic_fetch_add(&bad_context, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&entered, 1, __ATOMIC_RELEASE);
    wait_forever(&go);
    __atomic_fetch_add(&left, 1, __ATOMIC_RELEASE);
}

static int
fresh(void **state)
{
    KeInitializeEvent(&go, NotificationEvent, FALSE);
    entered = left = 0;
    return 0;
}

static struct ke_worker_stats
stats(void)
{
    struct ke_worker_stats now;

    ke_worker_stats(&now);
    return now;
}

static void
items__that_block__all_run_at_once(void **state)
{
    for (int i = 0; i < 20; i++) {
        ExInitializeWorkItem(&items[i], block, NULL);
        ExQueueWorkItem(&items[i], DelayedWorkQueue);
    }
    eventually(load(&entered) == 20);
    assert_true(stats().threads >= 20);
    KeSetEvent(&go, 0, FALSE);
    eventually(load(&left) == 20);
    assert_int_equal(bad_context, 0);
}

static void
items__more_than_workers__wait_and_then_run(void **state)
{
    for (int i = 0; i < MANY; i++) {
        ExInitializeWorkItem(&items[i], block, NULL);
        ExQueueWorkItem(&items[i], CriticalWorkQueue);
    }
    eventually(load(&entered) == KE_WORKERS_MAX);
    assert_int_equal(stats().threads, KE_WORKERS_MAX);
    assert_int_equal(stats().waiting_items, MANY - KE_WORKERS_MAX);
    KeSetEvent(&go, 0, FALSE);
    eventually(load(&left) == MANY);
}

static void
workers__idle__end_but_for_one(void **state)
{
    eventually(stats().threads == 1);
    assert_int_equal(stats().idle, 1);
}

static WORK_QUEUE_ITEM repeated;
static int repeats;

static VOID NTAPI
queue_again(PVOID parameter)
{
    if (__atomic_add_fetch(&repeats, 1, __ATOMIC_RELEASE) < 1000)
        ExQueueWorkItem(parameter, DelayedWorkQueue);
}

static void
item__running__may_be_queued_again(void **state)
{
    ExInitializeWorkItem(&repeated, queue_again, &repeated);
    ExQueueWorkItem(&repeated, DelayedWorkQueue);
    eventually(load(&repeats) == 1000);
    /* How many are called meanwhile is up to the scheduler: not one each. */
    assert_in_range(stats().threads, 1, KE_WORKERS_MAX - 1);
}

static VOID NTAPI
set_event(PVOID event)
{
    KeSetEvent(event, 0, FALSE);
}

static void
item__that_signals_its_owner__is_not_touched_afterwards(void **state)
{
    for (int i = 0; i < 200; i++) {
        struct {
            WORK_QUEUE_ITEM item;
            KEVENT event;
        } *own = test_malloc(sizeof *own);

        KeInitializeEvent(&own->event, NotificationEvent, FALSE);
        ExInitializeWorkItem(&own->item, set_event, &own->event);
        ExQueueWorkItem(&own->item, DelayedWorkQueue);
        assert_int_equal(wait_forever(&own->event), STATUS_SUCCESS);
        memset(own, 0xA5, sizeof *own);
        test_free(own);
    }
}

static KDPC dpc;
static WORK_QUEUE_ITEM from_dpc, into_dpc;
static int chain;

static VOID NTAPI
last_of_chain(PVOID parameter)
{
    chain = 3;
}

static VOID NTAPI
dpc_of_chain(struct _KDPC *own, PVOID context, PVOID a, PVOID b)
{
    ExInitializeWorkItem(&from_dpc, last_of_chain, NULL);
    ExQueueWorkItem(&from_dpc, CriticalWorkQueue);
}

static VOID NTAPI
first_of_chain(PVOID parameter)
{
    KeInitializeDpc(&dpc, dpc_of_chain, NULL);
    KeInsertQueueDpc(&dpc, NULL, NULL);
}

static void
shutdown__runs_what_items_and_dpcs_queue(void **state)
{
    for (int i = 0; i < 50; i++) {
        chain = 0;
        ke_init();
        ke_init();
        ExInitializeWorkItem(&into_dpc, first_of_chain, NULL);
        ExQueueWorkItem(&into_dpc, HyperCriticalWorkQueue);
        ke_shutdown();
        assert_int_equal(chain, 3);
        assert_int_equal(stats().threads, 0);
        assert_int_equal(ke_spawned_count(), 0);
    }
}

static VOID NTAPI
return_raised(PVOID parameter)
{
    KeRaiseIrqlToDpcLevel();
}

static void
run_bad_item(void)
{
    ExInitializeWorkItem(&items[0], return_raised, NULL);
    ExQueueWorkItem(&items[0], DelayedWorkQueue);
    sleep(LIMIT_MS / 1000);
}

static void
queue_twice(void)
{
    ExInitializeWorkItem(&items[0], block, NULL);
    items[0].List.Flink = &items[0].List; /* as if it were queued */
    ExQueueWorkItem(&items[0], DelayedWorkQueue);
}

static void
rules__broken__bug_check(void **state)
{
    ke_shutdown(); /* the child of a fork has no threads */
    assert_dies(run_bad_item, "WORKER_THREAD_RETURNED_AT_BAD_IRQL");
    assert_dies(queue_twice, "WORKER_INVALID");
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(items__that_block__all_run_at_once),
        TEST(items__more_than_workers__wait_and_then_run),
        TEST(workers__idle__end_but_for_one),
        TEST(item__running__may_be_queued_again),
        TEST(item__that_signals_its_owner__is_not_touched_afterwards),
        TEST(shutdown__runs_what_items_and_dpcs_queue),
        TEST(rules__broken__bug_check),
    };

    return cmocka_run_group_tests(tests, NULL, end_ke);
}
