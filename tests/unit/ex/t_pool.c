/*
 * Tests for src/ex/pool.c; expectations from the pages of ExAllocatePool2,
 * ExAllocatePoolWithQuotaTag and ExAllocatePoolZero.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/unit/ke/helper.h"

#include "base/fault.h"

#define TAG 'tseT'

static bool
is_zero(const UCHAR *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static void
pool__each_way__allocates_with_the_tag(void **state)
{
    PVOID block = ExAllocatePool(PagedPool, 10);

    assert_non_null(block);
    ExFreePool(block);
    block = ExAllocatePoolWithQuota(NonPagedPool, 10);
    ExFreePool(block);
    block = ExAllocatePoolWithQuotaTag(NonPagedPool, 10, TAG);
    ExFreePoolWithTag(block, TAG);
    block = ExAllocatePoolWithTagPriority(NonPagedPool, 10, TAG,
                                          NormalPoolPriority);
    ExFreePoolWithTag(block, TAG);
    block = ExAllocatePoolUninitialized(NonPagedPool, 10, TAG);
    ExFreePoolWithTag(block, TAG);
    block = ExAllocatePoolZero(NonPagedPoolNx, 500, TAG);
    assert_true(is_zero(block, 500));
    ExFreePoolWithTag(block, TAG);
    assert_int_equal(ke_pool_report(stderr), 0);
}

static void
pool2__flags__zeroed_aligned_or_refused(void **state)
{
    static const POOL_FLAGS wrong[] = {
        0,
        POOL_FLAG_UNINITIALIZED,
        POOL_FLAG_PAGED | POOL_FLAG_NON_PAGED,
        POOL_FLAG_PAGED | 0x10,
    };
    PVOID block = ExAllocatePool2(POOL_FLAG_PAGED, 500, TAG);

    assert_true(is_zero(block, 500));
    ExFreePoolWithTag(block, TAG);
    block = ExAllocatePool2(POOL_FLAG_NON_PAGED | POOL_FLAG_CACHE_ALIGNED |
                                0x0000000100000000ULL,
                            500, TAG);
    assert_int_equal((ULONG_PTR) block % 64, 0);
    ExFreePoolWithTag(block, TAG);
    for (size_t i = 0; i < ARRAYSIZE(wrong); i++)
        assert_null(ExAllocatePool2(wrong[i], 500, TAG));
    assert_null(ExAllocatePool2(POOL_FLAG_PAGED, 0, TAG));
    assert_null(ExAllocatePool2(POOL_FLAG_PAGED, 10, 0));
}

static void
exhaust_quota(void)
{
    fault_set("pool", 1, false);
    ExAllocatePoolWithQuotaTag(PagedPool, 10, TAG);
}

static void
exhaust_pool2(void)
{
    fault_set("pool", 1, false);
    ExAllocatePool2(POOL_FLAG_PAGED | POOL_FLAG_RAISE_ON_FAILURE, 10, TAG);
}

static void
pool__none_left__null_or_what_an_exception_ends_in(void **state)
{
    fault_set("pool", 1, false);
    assert_null(ExAllocatePoolWithQuotaTag(
        (POOL_TYPE) (PagedPool | POOL_QUOTA_FAIL_INSTEAD_OF_RAISE), 10, TAG));
    fault_set("pool", 1, false);
    assert_null(ExAllocatePool2(POOL_FLAG_PAGED, 10, TAG));
    fault_clear();
    assert_dies(exhaust_quota, "0xC000009A");
    assert_dies(exhaust_pool2, "0xC000009A");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pool__each_way__allocates_with_the_tag),
        cmocka_unit_test(pool2__flags__zeroed_aligned_or_refused),
        cmocka_unit_test(pool__none_left__null_or_what_an_exception_ends_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
