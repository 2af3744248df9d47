/*
 * pool.c - tagged memory
 *
 * malloc with a header of 16 bytes in front that remembers tag and size, and a
 * count per tag.  Any IRQL that the documentation allows; no lock: a tag's row
 * is claimed once and counted with atomic additions.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ke_internal.h"

#include "base/fault.h"

#include <stdlib.h>

#define TAGS_MAX   512 /* a power of two */
#define IN_USE     0x5055
#define GONE       0xDEAD
#define CACHE_LINE 64

struct header {
    ULONG tag;
    USHORT state;  /* IN_USE, GONE */
    USHORT offset; /* from the start of the allocation */
    uint64_t bytes;
};

C_ASSERT(sizeof(struct header) == 16);

/* The last row counts all tags that found no row of their own. */
static struct row {
    ULONG tag; /* 0: free */
    uint64_t blocks;
    uint64_t bytes;
} rows[TAGS_MAX + 1];
static uint64_t allocations;

static struct row *
row_of(ULONG tag)
{
    unsigned at = (tag * 0x9E3779B1u) >> 23;

    for (unsigned i = 0; i < TAGS_MAX; i++) {
        struct row *row = &rows[(at + i) % TAGS_MAX];
        ULONG found = __atomic_load_n(&row->tag, __ATOMIC_RELAXED);

        if (found == 0 &&
            __atomic_compare_exchange_n(&row->tag, &found, tag, 0,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return row;
        if (found == tag)
            return row;
    }
    return &rows[TAGS_MAX];
}

static PVOID
no_memory(ULONG type, SIZE_T bytes)
{
    if (type & POOL_RAISE_IF_ALLOCATION_FAILURE)
        KeBugCheckEx(NO_EXCEPTION_HANDLING_SUPPORT,
                     (ULONG) STATUS_INSUFFICIENT_RESOURCES, bytes, 0, 0);
    return NULL;
}

/* Aligned to 16 bytes, the types ...CacheAligned to a cache line.  Freed at any
 * IRQL <= DISPATCH, on any thread.  NULL: no memory; what NT raises when the
 * type asks for an exception instead is a bug check. */
PVOID NTAPI
ExAllocatePoolWithTag(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag)
{
    bool line = (PoolType & NonPagedPoolCacheAligned) != 0;
    size_t offset = line ? CACHE_LINE : sizeof(struct header);
    size_t total = NumberOfBytes + offset;
    struct header *header;
    struct row *row;
    char *base;

    KE_IRQL(ExAllocatePoolWithTag);
    KE_RULE(Tag != 0, "ExAllocatePoolWithTag: a tag");
    if (fault_hit("pool") || total < NumberOfBytes)
        return no_memory(PoolType, NumberOfBytes);
    base = line ? aligned_alloc(CACHE_LINE,
                                (total + CACHE_LINE - 1) & -(size_t) CACHE_LINE)
                : malloc(total);
    if (base == NULL)
        return no_memory(PoolType, NumberOfBytes);
    header = (struct header *) (base + offset) - 1;
    *header = (struct header){ .tag = Tag,
                               .state = IN_USE,
                               .offset = (USHORT) offset,
                               .bytes = NumberOfBytes };
    row = row_of(Tag);
    __atomic_fetch_add(&row->blocks, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&row->bytes, NumberOfBytes, __ATOMIC_RELAXED);
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return header + 1;
}

static VOID(NTAPI *watch)(PVOID block); /* set before there are threads */
static ULONG watched_tag;

void
ke_pool_watch_frees(ULONG tag, VOID(NTAPI *fn)(PVOID block))
{
    watched_tag = tag;
    watch = fn;
}

/* Tag 0 frees whatever the tag is. */
VOID NTAPI
ExFreePoolWithTag(PVOID P, ULONG Tag)
{
    struct header *header = (struct header *) P - 1;
    struct row *row;

    KE_IRQL(ExFreePoolWithTag);
    if (header->state != IN_USE)
        KeBugCheckEx(BAD_POOL_CALLER, header->state == GONE ? 0x07 : 0x40,
                     header->tag, (ULONG_PTR) P, Tag);
    if (Tag != 0 && Tag != header->tag)
        KeBugCheckEx(BAD_POOL_CALLER, 0x0A, (ULONG_PTR) P, header->tag, Tag);
#ifndef NDEBUG
    if (ke_checks && watch != NULL && header->tag == watched_tag)
        watch(P);
#endif
    row = row_of(header->tag);
    __atomic_fetch_sub(&row->blocks, 1, __ATOMIC_RELAXED);
    __atomic_fetch_sub(&row->bytes, header->bytes, __ATOMIC_RELAXED);
    header->state = GONE;
    free((char *) P - header->offset);
}

VOID NTAPI
ExFreePool(PVOID P)
{
    ExFreePoolWithTag(P, 0);
}

void
ke_pool_stats(struct ke_pool_stats *out_stats)
{
    *out_stats = (struct ke_pool_stats){
        .allocations = __atomic_load_n(&allocations, __ATOMIC_RELAXED),
    };
    for (unsigned i = 0; i <= TAGS_MAX; i++) {
        out_stats->blocks += __atomic_load_n(&rows[i].blocks, __ATOMIC_RELAXED);
        out_stats->bytes += __atomic_load_n(&rows[i].bytes, __ATOMIC_RELAXED);
    }
}

/* Tags are written as a multi-character constant read from its end, as the
 * kernel debugger shows them. */
static void
print_row(FILE *to, const struct row *row, uint64_t blocks)
{
    char text[5] = "????";

    for (int i = 0; i < 4 && row->tag != 0; i++) {
        char c = (char) (row->tag >> (8 * i));

        text[i] = c >= ' ' && c <= '~' ? c : '.';
    }
    fprintf(
        to, "pool: tag '%s': %llu blocks, %llu bytes\n", text,
        (unsigned long long) blocks,
        (unsigned long long) __atomic_load_n(&row->bytes, __ATOMIC_RELAXED));
}

uint64_t
ke_pool_report(FILE *to)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i <= TAGS_MAX; i++) {
        uint64_t blocks = __atomic_load_n(&rows[i].blocks, __ATOMIC_RELAXED);

        sum += blocks;
        if (blocks != 0 && to != NULL)
            print_row(to, &rows[i], blocks);
    }
    return sum;
}
