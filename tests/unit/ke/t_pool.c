/*
 * Tests for src/ke/pool.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

#include "base/fault.h"

#include <stdlib.h>

#define TAG_A 'AtsT'
#define TAG_B 'BtsT'

static void
pool__blocks__are_aligned_and_counted(void **state)
{
    uint64_t before = ke_pool_report(NULL);
    struct ke_pool_stats stats;
    PVOID blocks[40];

    for (int i = 0; i < 40; i++) {
        blocks[i] = ExAllocatePoolWithTag(i % 2 ? PagedPool : NonPagedPool,
                                          (SIZE_T) i * 13, TAG_A);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t) blocks[i] % 16, 0);
        memset(blocks[i], 0xA5, (size_t) i * 13);
    }
    ke_pool_stats(&stats);
    assert_int_equal(stats.blocks, before + 40);
    assert_true(stats.bytes >= 13 * 780);
    for (int i = 0; i < 40; i++)
        if (i % 2)
            ExFreePool(blocks[i]);
        else
            ExFreePoolWithTag(blocks[i], TAG_A);
    assert_int_equal(ke_pool_report(NULL), before);
}

static void
pool__cache_aligned__is_aligned_to_a_line(void **state)
{
    static const ULONG types[] = {
        NonPagedPoolCacheAligned,
        PagedPoolCacheAligned,
        NonPagedPoolNxCacheAligned,
        NonPagedPoolCacheAligned | POOL_RAISE_IF_ALLOCATION_FAILURE,
    };

    for (SIZE_T n = 1; n < 300; n += 37) {
        PVOID block = ExAllocatePoolWithTag(
            (POOL_TYPE) types[n % ARRAYSIZE(types)], n, TAG_A);

        assert_int_equal((uintptr_t) block % 64, 0);
        memset(block, 0xA5, n);
        ExFreePoolWithTag(block, TAG_A);
    }
}

static void
pool__leak__is_reported_by_tag(void **state)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    PVOID block = ExAllocatePoolWithTag(NonPagedPool, 123, TAG_B);

    assert_int_equal(ke_pool_report(to), 1);
    fclose(to);
    assert_string_equal(text, "pool: tag 'TstB': 1 blocks, 123 bytes\n");
    free(text);
    ExFreePool(block);
}

static void
pool__fault_or_absurd_size__is_null(void **state)
{
    fault_set("pool", 2, false);
    for (int i = 1; i <= 3; i++) {
        PVOID block = ExAllocatePoolWithTag(PagedPool, 8, TAG_A);

        assert_int_equal(block == NULL, i == 2);
        if (block != NULL)
            ExFreePool(block);
    }
    fault_clear();
    assert_null(ExAllocatePoolWithTag(PagedPool, (SIZE_T) -8, TAG_A));
}

static void
free_with_other_tag(void)
{
    ExFreePoolWithTag(ExAllocatePoolWithTag(PagedPool, 8, TAG_A), TAG_B);
}

static void
free_what_is_none(void)
{
    static uint64_t not_pool[8] __attribute__((aligned(16)));

    ExFreePool(&not_pool[4]);
}

static void
allocate_without_tag(void)
{
    ExAllocatePoolWithTag(PagedPool, 8, 0);
}

static void
raise_without_memory(void)
{
    fault_set("pool", 1, true);
    ExAllocatePoolWithTag(
        (POOL_TYPE) (PagedPool | POOL_RAISE_IF_ALLOCATION_FAILURE), 8, TAG_A);
}

static void
pool__wrong_use__bug_check(void **state)
{
    assert_dies(raise_without_memory, "NO_EXCEPTION_HANDLING_SUPPORT");
    assert_dies(free_with_other_tag, "BAD_POOL_CALLER (0xA");
    assert_dies(free_what_is_none, "BAD_POOL_CALLER (0x40");
    assert_dies(allocate_without_tag, "a tag");
}

static void *
churn(void *seed)
{
    for (uintptr_t i = 0; i < 2000; i++)
        ExFreePool(ExAllocatePoolWithTag(
            PagedPool, 16, (ULONG) (1 + (i * 7 + (uintptr_t) seed) % 600)));
    return NULL;
}

static void
pool__more_tags_than_rows__still_balances(void **state)
{
    pthread_t threads[3];

    for (uintptr_t i = 0; i < 3; i++)
        threads[i] = start(churn, (void *) i);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(ke_pool_report(NULL), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pool__blocks__are_aligned_and_counted),
        cmocka_unit_test(pool__cache_aligned__is_aligned_to_a_line),
        cmocka_unit_test(pool__leak__is_reported_by_tag),
        cmocka_unit_test(pool__fault_or_absurd_size__is_null),
        cmocka_unit_test(pool__wrong_use__bug_check),
        cmocka_unit_test(pool__more_tags_than_rows__still_balances),
    };

    return cmocka_run_group_tests(tests, NULL, end_ke);
}
