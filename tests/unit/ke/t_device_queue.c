/*
 * Tests for src/ke/device_queue.c, as the pages of the routines have it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

static KDEVICE_QUEUE queue;
static KDEVICE_QUEUE_ENTRY entries[5];
static KIRQL irql;

static int
raise_level(void **state)
{
    KeInitializeDeviceQueue(&queue);
    memset(entries, 0, sizeof entries);
    irql = KeRaiseIrqlToDpcLevel();
    return 0;
}

static int
lower_level(void **state)
{
    KeLowerIrql(irql);
    return 0;
}

static void
queue__not_busy__refuses_the_entry_and_becomes_busy(void **state)
{
    assert_false(KeInsertDeviceQueue(&queue, &entries[0]));
    assert_true(queue.Busy);
    assert_false(entries[0].Inserted);
    assert_true(KeInsertDeviceQueue(&queue, &entries[1]));
    assert_true(entries[1].Inserted);
    assert_ptr_equal(KeRemoveDeviceQueue(&queue), &entries[1]);
    assert_false(entries[1].Inserted);
    assert_true(queue.Busy);
    assert_null(KeRemoveDeviceQueue(&queue));
    assert_false(queue.Busy);
    assert_false(KeInsertDeviceQueue(&queue, &entries[2]));
}

static void
queue__by_key__is_sorted_and_fair(void **state)
{
    static const ULONG keys[] = { 5, 20, 10, 20, 1 };
    static const int want[] = { 4, 2, 1, 3 };

    for (int i = 0; i < 5; i++)
        assert_int_equal(KeInsertByKeyDeviceQueue(&queue, &entries[i], keys[i]),
                         i > 0);
    for (int i = 0; i < 4; i++)
        assert_ptr_equal(KeRemoveDeviceQueue(&queue), &entries[want[i]]);
    assert_null(KeRemoveDeviceQueue(&queue));
}

static void
queue__entry_removed__only_once(void **state)
{
    for (int i = 0; i < 4; i++)
        KeInsertDeviceQueue(&queue, &entries[i]);
    assert_true(KeRemoveEntryDeviceQueue(&queue, &entries[2]));
    assert_false(KeRemoveEntryDeviceQueue(&queue, &entries[2]));
    assert_ptr_equal(KeRemoveDeviceQueue(&queue), &entries[1]);
    assert_ptr_equal(KeRemoveDeviceQueue(&queue), &entries[3]);
}

static void
insert_at_passive(void)
{
    KeLowerIrql(PASSIVE_LEVEL);
    KeInsertDeviceQueue(&queue, &entries[0]);
}

static void
remove_from_idle(void)
{
    KeRemoveDeviceQueue(&queue);
}

static void
rules__broken__bug_check(void **state)
{
    assert_dies(insert_at_passive, "KeInsertDeviceQueue: IRQL");
    assert_dies(remove_from_idle, "the queue is busy");
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, raise_level, lower_level)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(queue__not_busy__refuses_the_entry_and_becomes_busy),
        TEST(queue__by_key__is_sorted_and_fair),
        TEST(queue__entry_removed__only_once),
        TEST(rules__broken__bug_check),
    };

    return cmocka_run_group_tests(tests, NULL, end_ke);
}
