/*
 * Tests for src/ex/lookaside.c; expectations from the pages of
 * ExInitializeNPagedLookasideList, ExAllocateFromNPagedLookasideList,
 * ExFreeToNPagedLookasideList and ExInitializeLookasideListEx.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/unit/ke/helper.h"

#include "base/fault.h"

#define TAG 'kooL'

static void
npaged__new__is_empty_with_what_was_asked(void **state)
{
    NPAGED_LOOKASIDE_LIST list;

    ExInitializeNPagedLookasideList(&list, NULL, NULL, POOL_NX_ALLOCATION,
                                    LOOKASIDE_MINIMUM_BLOCK_SIZE, TAG, 20);
    assert_int_equal(list.L.Depth, 4);
    assert_int_equal(list.L.MaximumDepth, 256);
    assert_int_equal(list.L.TotalAllocates, 0);
    assert_int_equal(list.L.AllocateMisses, 0);
    assert_int_equal(list.L.TotalFrees, 0);
    assert_int_equal(list.L.FreeMisses, 0);
    assert_int_equal(list.L.Type, NonPagedPool | POOL_NX_ALLOCATION);
    assert_int_equal(list.L.Tag, TAG);
    assert_int_equal(list.L.Size, LOOKASIDE_MINIMUM_BLOCK_SIZE);
    assert_int_equal(list.L.LastTotalAllocates, 0);
    assert_int_equal(list.L.LastAllocateMisses, 0);
    ExDeleteNPagedLookasideList(&list);
}

static void
npaged__blocks_freed__are_kept_up_to_the_depth(void **state)
{
    NPAGED_LOOKASIDE_LIST list;
    PVOID blocks[6], again;

    ExInitializeNPagedLookasideList(&list, NULL, NULL, 0, 100, TAG, 0);
    for (int i = 0; i < 6; i++) {
        blocks[i] = ExAllocateFromNPagedLookasideList(&list);
        assert_non_null(blocks[i]);
        memset(blocks[i], i, 100);
    }
    assert_int_equal(list.L.AllocateMisses, 6);
    for (int i = 0; i < 6; i++)
        ExFreeToNPagedLookasideList(&list, blocks[i]);
    assert_int_equal(list.L.TotalFrees, 6);
    assert_int_equal(list.L.FreeMisses, 2);
    assert_int_equal(ke_pool_report(NULL), 4);
    again = ExAllocateFromNPagedLookasideList(&list);
    assert_ptr_equal(again, blocks[3]);
    assert_int_equal(list.L.TotalAllocates, 7);
    assert_int_equal(list.L.AllocateMisses, 6);
    ExFreeToNPagedLookasideList(&list, again);
    ExDeleteNPagedLookasideList(&list);
    assert_int_equal(ke_pool_report(NULL), 0);
}

static void
npaged__no_memory__gives_null(void **state)
{
    NPAGED_LOOKASIDE_LIST list;

    ExInitializeNPagedLookasideList(&list, NULL, NULL, 0, 100, TAG, 0);
    fault_set("pool", 1, false);
    assert_null(ExAllocateFromNPagedLookasideList(&list));
    fault_clear();
    ExDeleteNPagedLookasideList(&list);
}

static int own_allocations, own_frees;

static PVOID NTAPI
own_allocate(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag)
{
    own_allocations++;
    assert_int_equal(PoolType, PagedPool);
    assert_int_equal(NumberOfBytes, 48);
    return ExAllocatePoolWithTag(PoolType, NumberOfBytes, Tag);
}

static VOID NTAPI
own_free(PVOID Buffer)
{
    own_frees++;
    ExFreePoolWithTag(Buffer, TAG);
}

static void
paged__with_routines__calls_them(void **state)
{
    PAGED_LOOKASIDE_LIST list;
    PVOID block;

    ExInitializePagedLookasideList(&list, own_allocate, own_free, 0, 48, TAG,
                                   0);
    block = ExAllocateFromPagedLookasideList(&list);
    assert_int_equal(own_allocations, 1);
    ExFreeToPagedLookasideList(&list, block);
    assert_int_equal(own_frees, 0);
    assert_ptr_equal(ExAllocateFromPagedLookasideList(&list), block);
    ExFreeToPagedLookasideList(&list, block);
    ExDeletePagedLookasideList(&list);
    assert_int_equal(own_frees, 1);
}

static LOOKASIDE_LIST_EX ex;

static PVOID NTAPI
ex_allocate(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag,
            PLOOKASIDE_LIST_EX Lookaside)
{
    assert_ptr_equal(Lookaside, &ex);
    return ExAllocatePoolWithTag(PoolType, NumberOfBytes, Tag);
}

static VOID NTAPI
ex_free(PVOID Buffer, PLOOKASIDE_LIST_EX Lookaside)
{
    assert_ptr_equal(Lookaside, &ex);
    ExFreePool(Buffer);
}

static void
ex__flush__frees_what_is_kept(void **state)
{
    PVOID block;

    assert_int_equal(ExInitializeLookasideListEx(&ex, ex_allocate, ex_free,
                                                 NonPagedPool, 0, 64, TAG, 0),
                     STATUS_SUCCESS);
    block = ExAllocateFromLookasideListEx(&ex);
    ExFreeToLookasideListEx(&ex, block);
    assert_int_equal(ke_pool_report(NULL), 1);
    ExFlushLookasideListEx(&ex);
    assert_int_equal(ke_pool_report(NULL), 0);
    block = ExAllocateFromLookasideListEx(&ex);
    ExFreeToLookasideListEx(&ex, block);
    ExDeleteLookasideListEx(&ex);
    assert_int_equal(ke_pool_report(NULL), 0);
    assert_int_equal(ex.L.TotalAllocates, 2);
}

static void
ex__wrong_parameters__are_refused(void **state)
{
    assert_int_equal(ExInitializeLookasideListEx(&ex, NULL, NULL,
                                                 (POOL_TYPE) 77, 0, 64, TAG, 0),
                     STATUS_INVALID_PARAMETER_4);
    assert_int_equal(
        ExInitializeLookasideListEx(&ex, NULL, NULL, PagedPool, 3, 64, TAG, 0),
        STATUS_INVALID_PARAMETER_5);
}

static POOL_TYPE asked_type;

static PVOID NTAPI
note_type(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag,
          PLOOKASIDE_LIST_EX Lookaside)
{
    asked_type = PoolType;
    return NULL;
}

/* The page of ALLOCATE_FUNCTION_EX: which bit goes with which flag. */
static void
ex__flags__reach_the_routine_in_the_pool_type(void **state)
{
    static const struct {
        ULONG flags, bits;
    } rows[] = {
        { 0, 0 },
        { EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL,
          POOL_RAISE_IF_ALLOCATION_FAILURE },
        { EX_LOOKASIDE_LIST_EX_FLAGS_FAIL_NO_RAISE,
          POOL_QUOTA_FAIL_INSTEAD_OF_RAISE },
    };

    for (size_t i = 0; i < ARRAYSIZE(rows); i++) {
        assert_int_equal(ExInitializeLookasideListEx(&ex, note_type, ex_free,
                                                     PagedPool, rows[i].flags,
                                                     64, TAG, 0),
                         STATUS_SUCCESS);
        assert_null(ExAllocateFromLookasideListEx(&ex));
        assert_int_equal(asked_type, PagedPool | rows[i].bits);
        ExDeleteLookasideListEx(&ex);
    }
}

static void
raise_on_fail(void)
{
    ExInitializeLookasideListEx(&ex, NULL, NULL, PagedPool,
                                EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL, 64,
                                TAG, 0);
    fault_set("pool", 1, true);
    ExAllocateFromLookasideListEx(&ex);
}

static void
ex__raise_on_fail__does_not_return(void **state)
{
    assert_dies(raise_on_fail, "NO_EXCEPTION_HANDLING_SUPPORT");
}

static NPAGED_LOOKASIDE_LIST shared;

static void *
allocate_and_free(void *unused)
{
    for (int i = 0; i < 1000; i++) {
        PULONG a = ExAllocateFromNPagedLookasideList(&shared);
        PULONG b = ExAllocateFromNPagedLookasideList(&shared);

        *a = *b = (ULONG) i;
        ExFreeToNPagedLookasideList(&shared, a);
        ExFreeToNPagedLookasideList(&shared, b);
    }
    return NULL;
}

static void
npaged__four_threads__share_nothing_twice(void **state)
{
    pthread_t threads[4];

    ExInitializeNPagedLookasideList(&shared, NULL, NULL, 0, 16, TAG, 0);
    for (int i = 0; i < 4; i++)
        threads[i] = start(allocate_and_free, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(shared.L.TotalAllocates, 8000);
    assert_int_equal(shared.L.TotalFrees, 8000);
    ExDeleteNPagedLookasideList(&shared);
    assert_int_equal(ke_pool_report(stderr), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npaged__new__is_empty_with_what_was_asked),
        cmocka_unit_test(npaged__blocks_freed__are_kept_up_to_the_depth),
        cmocka_unit_test(npaged__no_memory__gives_null),
        cmocka_unit_test(paged__with_routines__calls_them),
        cmocka_unit_test(ex__flush__frees_what_is_kept),
        cmocka_unit_test(ex__wrong_parameters__are_refused),
        cmocka_unit_test(ex__flags__reach_the_routine_in_the_pool_type),
        cmocka_unit_test(ex__raise_on_fail__does_not_return),
        cmocka_unit_test(npaged__four_threads__share_nothing_twice),
    };

    return cmocka_run_group_tests(tests, NULL, end_ke);
}
