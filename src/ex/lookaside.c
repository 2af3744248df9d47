/*
 * lookaside.c - lists of free blocks of one size
 *
 * A list keeps up to Depth blocks that were freed; what comes on top goes back
 * to where it was allocated.  The depth stays what it is at the start: the pool
 * below is as fast as the list, so nothing adjusts it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ex_internal.h"

#define DEPTH_AT_START 4

C_ASSERT(sizeof(NPAGED_LOOKASIDE_LIST) == 128);
C_ASSERT(sizeof(PAGED_LOOKASIDE_LIST) == 128);
C_ASSERT(sizeof(LOOKASIDE_LIST_EX) == 96);

static void
initialize(PGENERAL_LOOKASIDE_POOL list, POOL_TYPE type, SIZE_T size, ULONG tag)
{
    KE_RULE(size >= LOOKASIDE_MINIMUM_BLOCK_SIZE,
            "a lookaside list has blocks of LOOKASIDE_MINIMUM_BLOCK_SIZE "
            "bytes or more");
    *list = (GENERAL_LOOKASIDE_POOL){
        .Depth = DEPTH_AT_START,
        .MaximumDepth = EX_MAXIMUM_LOOKASIDE_DEPTH_BASE,
        .Type = type,
        .Tag = tag,
        .Size = (ULONG) size,
    };
    InitializeSListHead(&list->ListHead);
    InitializeListHead(&list->ListEntry);
}

static void
drop_blocks(PSLIST_HEADER head, PFREE_FUNCTION free)
{
    PSLIST_ENTRY block = ExpInterlockedFlushSList(head);

    while (block != NULL) {
        PSLIST_ENTRY next = block->Next;

        free(block);
        block = next;
    }
}

/* The two records differ in their alignment only. */
static PGENERAL_LOOKASIDE_POOL
pool_of(PGENERAL_LOOKASIDE list)
{
    return (PGENERAL_LOOKASIDE_POOL) list;
}

static void
initialize_with(PGENERAL_LOOKASIDE list, PALLOCATE_FUNCTION allocate,
                PFREE_FUNCTION free, POOL_TYPE type, SIZE_T size, ULONG tag)
{
    initialize(pool_of(list), type, size, tag);
    list->Allocate = allocate != NULL ? allocate : ExAllocatePoolWithTag;
    list->Free = free != NULL ? free : ExFreePool;
}

VOID NTAPI
ExInitializeNPagedLookasideList(PNPAGED_LOOKASIDE_LIST Lookaside,
                                PALLOCATE_FUNCTION Allocate,
                                PFREE_FUNCTION Free, ULONG Flags, SIZE_T Size,
                                ULONG Tag, USHORT Depth)
{
    KE_IRQL(ExInitializeNPagedLookasideList);
    initialize_with(&Lookaside->L, Allocate, Free,
                    (POOL_TYPE) (NonPagedPool | Flags), Size, Tag);
}

VOID NTAPI
ExDeleteNPagedLookasideList(PNPAGED_LOOKASIDE_LIST Lookaside)
{
    KE_IRQL(ExDeleteNPagedLookasideList);
    drop_blocks(&Lookaside->L.ListHead, Lookaside->L.Free);
}

VOID NTAPI
ExInitializePagedLookasideList(PPAGED_LOOKASIDE_LIST Lookaside,
                               PALLOCATE_FUNCTION Allocate, PFREE_FUNCTION Free,
                               ULONG Flags, SIZE_T Size, ULONG Tag,
                               USHORT Depth)
{
    KE_IRQL(ExInitializePagedLookasideList);
    initialize_with(&Lookaside->L, Allocate, Free,
                    (POOL_TYPE) (PagedPool | Flags), Size, Tag);
}

VOID NTAPI
ExDeletePagedLookasideList(PPAGED_LOOKASIDE_LIST Lookaside)
{
    KE_IRQL(ExDeletePagedLookasideList);
    drop_blocks(&Lookaside->L.ListHead, Lookaside->L.Free);
}

/* On x64 the paged list works as the other one does, at a lower IRQL. */
PVOID NTAPI
ExAllocateFromPagedLookasideList(PPAGED_LOOKASIDE_LIST Lookaside)
{
    KE_IRQL(ExAllocateFromPagedLookasideList);
    return ExAllocateFromNPagedLookasideList(
        (PNPAGED_LOOKASIDE_LIST) Lookaside);
}

VOID NTAPI
ExFreeToPagedLookasideList(PPAGED_LOOKASIDE_LIST Lookaside, PVOID Entry)
{
    KE_IRQL(ExFreeToPagedLookasideList);
    ExFreeToNPagedLookasideList((PNPAGED_LOOKASIDE_LIST) Lookaside, Entry);
}

/* --- LOOKASIDE_LIST_EX ---------------------------------------------------- */

static PVOID NTAPI
allocate_ex(POOL_TYPE type, SIZE_T bytes, ULONG tag, PLOOKASIDE_LIST_EX list)
{
    return ExAllocatePoolWithTag(type, bytes, tag);
}

static VOID NTAPI
free_ex(PVOID block, PLOOKASIDE_LIST_EX list)
{
    ExFreePool(block);
}

/* The allocation is told of the flags by bits of the pool type. */
static POOL_TYPE
type_with_flags(POOL_TYPE type, ULONG flags)
{
    static const ULONG bits[] = {
        [EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL] =
            POOL_RAISE_IF_ALLOCATION_FAILURE,
        [EX_LOOKASIDE_LIST_EX_FLAGS_FAIL_NO_RAISE] =
            POOL_QUOTA_FAIL_INSTEAD_OF_RAISE,
    };

    return (POOL_TYPE) (type | bits[flags]);
}

/* STATUS_INVALID_PARAMETER_4, _5: no such pool type, no such flags. */
NTSTATUS NTAPI
ExInitializeLookasideListEx(PLOOKASIDE_LIST_EX Lookaside,
                            PALLOCATE_FUNCTION_EX Allocate,
                            PFREE_FUNCTION_EX Free, POOL_TYPE PoolType,
                            ULONG Flags, SIZE_T Size, ULONG Tag, USHORT Depth)
{
    KE_IRQL(ExInitializeLookasideListEx);
    if (PoolType != NonPagedPool && PoolType != PagedPool &&
        PoolType != NonPagedPoolNx)
        return STATUS_INVALID_PARAMETER_4;
    if (Flags > EX_LOOKASIDE_LIST_EX_FLAGS_FAIL_NO_RAISE)
        return STATUS_INVALID_PARAMETER_5;
    initialize(&Lookaside->L, type_with_flags(PoolType, Flags), Size, Tag);
    Lookaside->L.AllocateEx = Allocate != NULL ? Allocate : allocate_ex;
    Lookaside->L.FreeEx = Free != NULL ? Free : free_ex;
    return STATUS_SUCCESS;
}

/* What is free goes; the list stays. */
VOID NTAPI
ExFlushLookasideListEx(PLOOKASIDE_LIST_EX Lookaside)
{
    PSLIST_ENTRY block;

    KE_IRQL(ExFlushLookasideListEx);
    block = ExpInterlockedFlushSList(&Lookaside->L.ListHead);
    while (block != NULL) {
        PSLIST_ENTRY next = block->Next;

        Lookaside->L.FreeEx(block, Lookaside);
        block = next;
    }
}

VOID NTAPI
ExDeleteLookasideListEx(PLOOKASIDE_LIST_EX Lookaside)
{
    ExFlushLookasideListEx(Lookaside);
}
