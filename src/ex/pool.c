/*
 * pool.c - the other ways to ask for pool
 *
 * All end in ke's tagged pool.  There is one kind of memory and no quota; what
 * the WDK says with an exception that few catch is a bug check.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ex_internal.h"

#define NO_TAG 'enoN'

static DECLSPEC_NORETURN __attribute__((cold)) void
raise_no_memory(SIZE_T bytes)
{
    KeBugCheckEx(NO_EXCEPTION_HANDLING_SUPPORT,
                 (ULONG) STATUS_INSUFFICIENT_RESOURCES, bytes, 0, 0);
}

PVOID NTAPI
ExAllocatePool(POOL_TYPE PoolType, SIZE_T NumberOfBytes)
{
    return ExAllocatePoolWithTag(PoolType, NumberOfBytes, NO_TAG);
}

/* NULL only with POOL_QUOTA_FAIL_INSTEAD_OF_RAISE. */
PVOID NTAPI
ExAllocatePoolWithQuotaTag(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag)
{
    POOL_TYPE type = (POOL_TYPE) (PoolType & ~POOL_QUOTA_FAIL_INSTEAD_OF_RAISE);
    PVOID block = ExAllocatePoolWithTag(type, NumberOfBytes, Tag);

    if (block == NULL && type == PoolType)
        raise_no_memory(NumberOfBytes);
    return block;
}

PVOID NTAPI
ExAllocatePoolWithQuota(POOL_TYPE PoolType, SIZE_T NumberOfBytes)
{
    return ExAllocatePoolWithQuotaTag(PoolType, NumberOfBytes, NO_TAG);
}

PVOID NTAPI
ExAllocatePoolWithTagPriority(POOL_TYPE PoolType, SIZE_T NumberOfBytes,
                              ULONG Tag, EX_POOL_PRIORITY Priority)
{
    return ExAllocatePoolWithTag(PoolType, NumberOfBytes, Tag);
}

/* NULL also for flags that are required and unknown, for no kind of pool or
 * more than one, and for no tag or no bytes. */
PVOID NTAPI
ExAllocatePool2(POOL_FLAGS Flags, SIZE_T NumberOfBytes, ULONG Tag)
{
    POOL_FLAGS kind = Flags & (POOL_FLAG_NON_PAGED |
                               POOL_FLAG_NON_PAGED_EXECUTE | POOL_FLAG_PAGED);
    POOL_FLAGS known = kind | POOL_FLAG_USE_QUOTA | POOL_FLAG_UNINITIALIZED |
                       POOL_FLAG_SESSION | POOL_FLAG_CACHE_ALIGNED |
                       POOL_FLAG_RAISE_ON_FAILURE;
    PVOID block = NULL;

    if (kind != 0 && (kind & (kind - 1)) == 0 && Tag != 0 &&
        NumberOfBytes != 0 && (Flags & 0xFFFFFFFF & ~known) == 0)
        block = ExAllocatePoolWithTag(Flags & POOL_FLAG_CACHE_ALIGNED
                                          ? NonPagedPoolCacheAligned
                                      : kind == POOL_FLAG_PAGED ? PagedPool
                                                                : NonPagedPool,
                                      NumberOfBytes, Tag);
    if (block == NULL && Flags & POOL_FLAG_RAISE_ON_FAILURE)
        raise_no_memory(NumberOfBytes);
    if (block != NULL && (Flags & POOL_FLAG_UNINITIALIZED) == 0)
        RtlZeroMemory(block, NumberOfBytes);
    return block;
}
