/*
 * Tests for src/ke/dpc.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

#include "base/clock.h"

static KDPC dpcs[3];
static KEVENT entered, may_leave;
static int order[16], runs;
static KIRQL level;
static PVOID got[3];

static VOID NTAPI
note(struct _KDPC *dpc, PVOID context, PVOID argument1, PVOID argument2)
{
    level = KeGetCurrentIrql();
    got[0] = context;
    got[1] = argument1;
    got[2] = argument2;
    order[load(&runs) % 16] = (int) (dpc - dpcs);
    __atomic_fetch_add(&runs, 1, __ATOMIC_RELEASE);
}

/* A DPC may not wait; this one spins, to hold the queue for a test. */
static VOID NTAPI
block(struct _KDPC *dpc, PVOID context, PVOID argument1, PVOID argument2)
{
    KeSetEvent(&entered, 0, FALSE);
    while (!KeReadStateEvent(&may_leave))
        usleep(100);
}

static int
fresh(void **state)
{
    for (int i = 0; i < 3; i++)
        KeInitializeDpc(&dpcs[i], note, &dpcs[i]);
    KeInitializeEvent(&entered, NotificationEvent, FALSE);
    KeInitializeEvent(&may_leave, NotificationEvent, FALSE);
    runs = 0;
    return 0;
}

static void
dpc__queued__runs_at_dispatch_with_its_arguments(void **state)
{
    assert_true(KeInsertQueueDpc(&dpcs[1], (PVOID) 7, (PVOID) 8));
    KeFlushQueuedDpcs();
    assert_int_equal(load(&runs), 1);
    assert_int_equal(level, DISPATCH_LEVEL);
    assert_ptr_equal(got[0], &dpcs[1]);
    assert_ptr_equal(got[1], (PVOID) 7);
    assert_ptr_equal(got[2], (PVOID) 8);
}

static void
dpc__queued_while_queued__runs_once_with_the_first_arguments(void **state)
{
    KDPC blocker;

    KeInitializeDpc(&blocker, block, NULL);
    KeInsertQueueDpc(&blocker, NULL, NULL);
    wait_forever(&entered);
    assert_true(KeInsertQueueDpc(&dpcs[0], (PVOID) 1, NULL));
    assert_false(KeInsertQueueDpc(&dpcs[0], (PVOID) 2, NULL));
    assert_true(KeInsertQueueDpc(&dpcs[2], NULL, NULL));
    assert_true(KeInsertQueueDpc(&dpcs[1], NULL, NULL));
    assert_true(KeRemoveQueueDpc(&dpcs[2]));
    assert_false(KeRemoveQueueDpc(&dpcs[2]));
    KeSetEvent(&may_leave, 0, FALSE);
    KeFlushQueuedDpcs();
    assert_int_equal(runs, 2);
    assert_int_equal(order[0], 0);
    assert_int_equal(order[1], 1);
}

static VOID NTAPI
again(struct _KDPC *dpc, PVOID context, PVOID argument1, PVOID argument2)
{
    if (__atomic_add_fetch(&runs, 1, __ATOMIC_RELEASE) < 100)
        assert_true(KeInsertQueueDpc(dpc, NULL, NULL));
}

static void
dpc__running__may_queue_itself_again(void **state)
{
    KDPC dpc;

    KeInitializeDpc(&dpc, again, NULL);
    KeInsertQueueDpc(&dpc, NULL, NULL);
    eventually(load(&runs) == 100);
    KeFlushQueuedDpcs();
}

static VOID NTAPI
set_event(struct _KDPC *dpc, PVOID event, PVOID argument1, PVOID argument2)
{
    KeSetEvent(event, 0, FALSE);
}

/* The record of a DPC that has run may go. */
static void
dpc__that_signals_its_owner__is_not_touched_afterwards(void **state)
{
    for (int i = 0; i < 200; i++) {
        struct {
            KDPC dpc;
            KEVENT event;
        } *own = test_malloc(sizeof *own);

        KeInitializeEvent(&own->event, NotificationEvent, FALSE);
        KeInitializeDpc(&own->dpc, set_event, &own->event);
        KeInsertQueueDpc(&own->dpc, NULL, NULL);
        assert_int_equal(wait_forever(&own->event), STATUS_SUCCESS);
        memset(own, 0xA5, sizeof *own);
        test_free(own);
    }
}

static VOID NTAPI
return_lower(struct _KDPC *dpc, PVOID context, PVOID argument1, PVOID argument2)
{
    KeLowerIrql(PASSIVE_LEVEL);
}

static void
run_bad_dpc(void)
{
    KDPC dpc;

    KeInitializeDpc(&dpc, return_lower, NULL);
    KeInsertQueueDpc(&dpc, NULL, NULL);
    KeFlushQueuedDpcs();
    sleep(LIMIT_MS / 1000);
}

static void
flush_at_dispatch(void)
{
    KeRaiseIrqlToDpcLevel();
    KeFlushQueuedDpcs();
}

static void
rules__broken__bug_check(void **state)
{
    ke_shutdown(); /* the child of a fork has no threads */
    assert_dies(run_bad_dpc, "a DPC returns at DISPATCH_LEVEL");
    assert_dies(flush_at_dispatch, "KeFlushQueuedDpcs: IRQL = PASSIVE_LEVEL");
}

static void
shutdown__with_dpcs_queued__runs_them(void **state)
{
    for (int round = 0; round < 20; round++) {
        runs = 0;
        for (int i = 0; i < 3; i++)
            KeInsertQueueDpc(&dpcs[i], NULL, NULL);
        ke_shutdown();
        assert_int_equal(runs, 3);
        assert_int_equal(ke_spawned_count(), 0);
    }
    ke_shutdown();
}

static VOID NTAPI
queue_late(PVOID unused)
{
    (void) unused;
    usleep(30000);
    KeInsertQueueDpc(&dpcs[0], NULL, NULL);
}

/* Another thread than those that are stopped. */
static void
shutdown__dpc_queued_when_all_were_stopped__runs_it_and_ends(void **state)
{
    PETHREAD thread = ke_system_thread_new(queue_late, NULL);

    runs = 0;
    assert_true(ke_system_thread_start(thread));
    ke_thread_unref(thread);
    ke_shutdown();
    assert_int_equal(runs, 1);
    assert_int_equal(ke_spawned_count(), 0);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(dpc__queued__runs_at_dispatch_with_its_arguments),
        TEST(dpc__queued_while_queued__runs_once_with_the_first_arguments),
        TEST(dpc__running__may_queue_itself_again),
        TEST(dpc__that_signals_its_owner__is_not_touched_afterwards),
        TEST(rules__broken__bug_check),
        TEST(shutdown__with_dpcs_queued__runs_them),
        TEST(shutdown__dpc_queued_when_all_were_stopped__runs_it_and_ends),
    };

    return cmocka_run_group_tests(tests, NULL, end_ke);
}
