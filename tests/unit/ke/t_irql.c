/*
 * Tests for src/ke/irql.c: levels, spin locks, interlocked lists.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

static void
irql__raise_and_lower__nest(void **state)
{
    KIRQL first, second;

    assert_int_equal(KeGetCurrentIrql(), PASSIVE_LEVEL);
    KeRaiseIrql(APC_LEVEL, &first);
    assert_int_equal(first, PASSIVE_LEVEL);
    second = KeRaiseIrqlToDpcLevel();
    assert_int_equal(second, APC_LEVEL);
    assert_int_equal(KeGetCurrentIrql(), DISPATCH_LEVEL);
    KeLowerIrql(second);
    assert_int_equal(KeGetCurrentIrql(), APC_LEVEL);
    KeLowerIrql(first);
    assert_int_equal(KeGetCurrentIrql(), PASSIVE_LEVEL);
}

static void
raise_down(void)
{
    KIRQL old;

    KeRaiseIrqlToDpcLevel();
    KeRaiseIrql(APC_LEVEL, &old);
}

static void
lower_up(void)
{
    KeLowerIrql(DISPATCH_LEVEL);
}

static void
take_twice(void)
{
    KSPIN_LOCK lock;
    KIRQL irql;

    KeInitializeSpinLock(&lock);
    KeAcquireSpinLock(&lock, &irql);
    KeAcquireSpinLockAtDpcLevel(&lock);
}

static void
release_free(void)
{
    KSPIN_LOCK lock;

    KeInitializeSpinLock(&lock);
    KeRaiseIrqlToDpcLevel();
    KeReleaseSpinLock(&lock, PASSIVE_LEVEL);
}

static void
take_at_high_level(void)
{
    KSPIN_LOCK lock;
    KIRQL irql;

    KeInitializeSpinLock(&lock);
    KeRaiseIrql(HIGH_LEVEL, &irql);
    KeAcquireSpinLock(&lock, &irql);
}

static void
take_at_dpc_level_below_it(void)
{
    KSPIN_LOCK lock;

    KeInitializeSpinLock(&lock);
    KeAcquireSpinLockAtDpcLevel(&lock);
}

static void
set_event_too_high(void)
{
    KEVENT event;
    KIRQL irql;

    KeInitializeEvent(&event, NotificationEvent, FALSE);
    KeRaiseIrql(HIGH_LEVEL, &irql);
    KeSetEvent(&event, IO_NO_INCREMENT, FALSE);
}

static void
rules__broken__bug_check_and_name_the_rule(void **state)
{
    static const struct {
        void (*fn)(void);
        const char *said;
    } rules[] = {
        { raise_down, "IRQL_NOT_GREATER_OR_EQUAL" },
        { lower_up, "IRQL_NOT_LESS_OR_EQUAL" },
        { take_twice, "SPIN_LOCK_ALREADY_OWNED" },
        { release_free, "SPIN_LOCK_NOT_OWNED" },
        { take_at_high_level, "KeAcquireSpinLock: IRQL <= DISPATCH_LEVEL" },
        { take_at_dpc_level_below_it, "IRQL >= DISPATCH_LEVEL" },
        { set_event_too_high, "KeSetEvent: IRQL <= DISPATCH_LEVEL" },
    };

    for (size_t i = 0; i < ARRAYSIZE(rules); i++)
        assert_dies(rules[i].fn, rules[i].said);
}

static KSPIN_LOCK lock;
static long counter;

static void *
count_up(void *unused)
{
    for (int i = 0; i < 20000; i++) {
        KIRQL irql;

        KeAcquireSpinLock(&lock, &irql);
        counter++;
        KeReleaseSpinLock(&lock, irql);
    }
    return NULL;
}

static void
spin_lock__four_threads__exclude_each_other(void **state)
{
    pthread_t threads[4];
    KIRQL irql;

    KeInitializeSpinLock(&lock);
    KeAcquireSpinLock(&lock, &irql);
    assert_int_equal(irql, PASSIVE_LEVEL);
    assert_int_equal(KeGetCurrentIrql(), DISPATCH_LEVEL);
    for (int i = 0; i < 4; i++)
        threads[i] = start(count_up, NULL);
    KeReleaseSpinLock(&lock, irql);
    assert_int_equal(KeGetCurrentIrql(), PASSIVE_LEVEL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(counter, 80000);
}

static void
interlocked_list__insert_and_remove__return_the_neighbours(void **state)
{
    LIST_ENTRY head, a, b, c;

    InitializeListHead(&head);
    assert_null(ExInterlockedRemoveHeadList(&head, &lock));
    assert_null(ExInterlockedInsertTailList(&head, &a, &lock));
    assert_ptr_equal(ExInterlockedInsertTailList(&head, &b, &lock), &a);
    assert_ptr_equal(ExInterlockedInsertHeadList(&head, &c, &lock), &a);
    assert_ptr_equal(ExInterlockedRemoveHeadList(&head, &lock), &c);
    assert_ptr_equal(ExInterlockedRemoveHeadList(&head, &lock), &a);
    assert_ptr_equal(ExInterlockedRemoveHeadList(&head, &lock), &b);
    assert_true(IsListEmpty(&head));
    assert_int_equal(KeGetCurrentIrql(), PASSIVE_LEVEL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(irql__raise_and_lower__nest),
        cmocka_unit_test(rules__broken__bug_check_and_name_the_rule),
        cmocka_unit_test(spin_lock__four_threads__exclude_each_other),
        cmocka_unit_test(
            interlocked_list__insert_and_remove__return_the_neighbours),
    };

    return cmocka_run_group_tests(tests, NULL, end_ke);
}
