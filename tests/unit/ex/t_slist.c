/*
 * Tests for src/ex/slist.c and interlocked.c; expectations from the pages of
 * ExInterlockedPushEntrySList, ExInterlockedPopEntrySList, ExQueryDepthSList,
 * ExInterlockedFlushSList, ExInterlockedAddUlong and
 * ExInterlockedPushEntryList.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/unit/ke/helper.h"

#include <stdlib.h>

static void
slist__push_and_pop__last_in_first_out(void **state)
{
    SLIST_HEADER head;
    SLIST_ENTRY a, b;
    KSPIN_LOCK lock;

    KeInitializeSpinLock(&lock);
    InitializeSListHead(&head);
    assert_null(InterlockedPopEntrySList(&head));
    assert_null(ExInterlockedPushEntrySList(&head, &a, &lock));
    assert_ptr_equal(InterlockedPushEntrySList(&head, &b), &a);
    assert_int_equal(ExQueryDepthSList(&head), 2);
    assert_ptr_equal(ExInterlockedPopEntrySList(&head, &lock), &b);
    assert_ptr_equal(InterlockedPopEntrySList(&head), &a);
    assert_int_equal(QueryDepthSList(&head), 0);
    assert_null(InterlockedPopEntrySList(&head));
}

static void
slist__flush__gives_the_chain_and_leaves_nothing(void **state)
{
    SLIST_HEADER head;
    SLIST_ENTRY entries[3];
    PSLIST_ENTRY chain;

    InitializeSListHead(&head);
    assert_null(ExInterlockedFlushSList(&head));
    for (int i = 0; i < 3; i++)
        InterlockedPushEntrySList(&head, &entries[i]);
    chain = InterlockedFlushSList(&head);
    for (int i = 2; i >= 0; i--, chain = chain->Next)
        assert_ptr_equal(chain, &entries[i]);
    assert_null(chain);
    assert_int_equal(ExQueryDepthSList(&head), 0);
    assert_null(InterlockedPopEntrySList(&head));
}

static SLIST_HEADER shared;
static LONG pops;

/* What is popped is freed: nobody may look into it any more. */
static void *
push_and_pop(void *unused)
{
    for (int i = 0; i < 2000; i++) {
        PSLIST_ENTRY entry = aligned_alloc(16, sizeof *entry);

        InterlockedPushEntrySList(&shared, entry);
        entry = InterlockedPopEntrySList(&shared);
        if (entry != NULL) {
            InterlockedIncrement(&pops);
            free(entry);
        }
    }
    return NULL;
}

static void
slist__four_threads__lose_nothing(void **state)
{
    pthread_t threads[4];
    PSLIST_ENTRY entry;

    pops = 0;
    InitializeSListHead(&shared);
    for (int i = 0; i < 4; i++)
        threads[i] = start(push_and_pop, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    while ((entry = InterlockedPopEntrySList(&shared)) != NULL) {
        pops++;
        free(entry);
    }
    assert_int_equal(pops, 8000);
}

static void
single_list__push_and_pop__give_the_first(void **state)
{
    SINGLE_LIST_ENTRY head = { NULL }, a, b;
    KSPIN_LOCK lock;

    KeInitializeSpinLock(&lock);
    assert_null(ExInterlockedPopEntryList(&head, &lock));
    assert_null(ExInterlockedPushEntryList(&head, &a, &lock));
    assert_ptr_equal(ExInterlockedPushEntryList(&head, &b, &lock), &a);
    assert_ptr_equal(ExInterlockedPopEntryList(&head, &lock), &b);
    assert_ptr_equal(ExInterlockedPopEntryList(&head, &lock), &a);
    assert_null(head.Next);
    PushEntryList(&head, &a);
    assert_ptr_equal(PopEntryList(&head), &a);
    assert_null(PopEntryList(&head));
}

static KSPIN_LOCK sum_lock;
static ULONG sum;
static LARGE_INTEGER large_sum, statistic;

static void *
add(void *unused)
{
    LARGE_INTEGER two = { .QuadPart = 2 };

    for (int i = 0; i < 1000; i++) {
        ExInterlockedAddUlong(&sum, 1, &sum_lock);
        ExInterlockedAddLargeInteger(&large_sum, two, &sum_lock);
        ExInterlockedAddLargeStatistic(&statistic, 3);
    }
    return NULL;
}

static void
sums__two_threads__give_what_was_before(void **state)
{
    LARGE_INTEGER one = { .QuadPart = 1 };
    pthread_t other;

    KeInitializeSpinLock(&sum_lock);
    other = start(add, NULL);
    add(NULL);
    pthread_join(other, NULL);
    assert_int_equal(ExInterlockedAddUlong(&sum, 5, &sum_lock), 2000);
    assert_int_equal(sum, 2005);
    assert_int_equal(
        ExInterlockedAddLargeInteger(&large_sum, one, &sum_lock).QuadPart,
        4000);
    assert_int_equal(large_sum.QuadPart, 4001);
    assert_int_equal(statistic.QuadPart, 6000);
    assert_int_equal(KeGetCurrentIrql(), PASSIVE_LEVEL);
}

static void
interlocked__64_bits_and_pointers__as_their_names_say(void **state)
{
    LONG64 v = 0x100000000, w = 7;
    LONG bits[2] = { 0, 0 }, x = 6;
    PVOID p = &v;

    assert_int_equal(InterlockedIncrement64(&v), 0x100000001);
    assert_int_equal(InterlockedDecrement64(&v), 0x100000000);
    assert_int_equal(InterlockedExchangeAdd64(&v, 2), 0x100000000);
    assert_int_equal(InterlockedAdd64(&v, 2), 0x100000004);
    assert_int_equal(InterlockedOr64(&v, 3), 0x100000004);
    assert_int_equal(InterlockedAnd64(&v, 0xF), 0x100000007);
    assert_int_equal(InterlockedXor64(&v, 1), 7);
    assert_int_equal(InterlockedExchange64(&v, 9), 6);
    assert_int_equal(InterlockedCompareExchange64(&v, 1, 8), 9);
    assert_int_equal(InterlockedCompareExchange64(&v, 1, 9), 9);
    assert_int_equal(v, 1);
    assert_int_equal(ExInterlockedCompareExchange64(&v, &w, &v, NULL), 1);
    assert_int_equal(v, 7);
    assert_ptr_equal(InterlockedCompareExchangePointer(&p, &x, NULL), &v);
    assert_ptr_equal(InterlockedCompareExchangePointer(&p, &x, &v), &v);
    assert_ptr_equal(p, &x);
    assert_int_equal(InterlockedXor(&x, 3), 6);
    assert_int_equal(InterlockedAdd(&x, 5), 10);
    assert_int_equal(InterlockedBitTestAndSet(bits, 33), 0);
    assert_int_equal(InterlockedBitTestAndSet(bits, 33), 1);
    assert_int_equal(bits[1], 2);
    assert_int_equal(InterlockedBitTestAndReset(bits, 33), 1);
    assert_int_equal(bits[1], 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slist__push_and_pop__last_in_first_out),
        cmocka_unit_test(slist__flush__gives_the_chain_and_leaves_nothing),
        cmocka_unit_test(slist__four_threads__lose_nothing),
        cmocka_unit_test(single_list__push_and_pop__give_the_first),
        cmocka_unit_test(sums__two_threads__give_what_was_before),
        cmocka_unit_test(interlocked__64_bits_and_pointers__as_their_names_say),
    };

    return cmocka_run_group_tests(tests, NULL, end_ke);
}
