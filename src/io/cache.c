/*
 * cache.c - IRPs, MDLs and small buffers without malloc
 *
 * Each thread keeps free blocks by kind (IRPs of 1 to 8 stack locations, MDLs,
 * system buffers) in a list of its own: no lock, no atomic.  A request is often
 * freed on another thread than the one that allocated it, so a list that grows
 * past two batches gives one to the depot, and an empty one takes one from
 * there.  The depot keeps at most DEPOT_MAX blocks of a kind.
 *
 * With the address sanitizer nothing is cached: it sees every use after free.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include "base/fault.h"
#include "ke/ke.h"

static uint64_t allocations; /* atomic */

uint64_t
io_allocation_count(void)
{
    return __atomic_load_n(&allocations, __ATOMIC_RELAXED);
}

PVOID NTAPI
io_pool_alloc(SIZE_T size, ULONG tag)
{
    PVOID block = ExAllocatePoolWithTag(NonPagedPool, size, tag);

    if (block != NULL)
        __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
    return block;
}

VOID NTAPI
io_pool_free(PVOID block, ULONG tag)
{
    ExFreePoolWithTag(block, tag);
}

static ULONG
kind_tag(unsigned kind)
{
    if (kind == IO_CACHE_MDL)
        return IO_TAG_MDL;
    if (kind == IO_CACHE_HISTORY)
        return IO_TAG_HISTORY;
    return kind == IO_CACHE_BUFFER ? IO_TAG_BUFFER : IO_TAG_IRP;
}

static SIZE_T
kind_size(unsigned kind)
{
    if (kind == IO_CACHE_MDL)
        return sizeof(MDL);
    if (kind == IO_CACHE_HISTORY)
        return sizeof(struct io_history);
    return kind == IO_CACHE_BUFFER ? IO_BUFFER_SIZE
                                   : IoSizeOfIrp(kind + 1) + IO_IRP_TAIL;
}

static PVOID
allocate_kind(unsigned kind)
{
    SIZE_T size = kind_size(kind);
    char *block = io_pool_alloc(size, kind_tag(kind));

    if (block != NULL && kind < IO_CACHE_STACKS)
        RtlZeroMemory(block + size - IO_IRP_TAIL, IO_IRP_TAIL);
    return block;
}

#ifdef IO_NO_CACHE

PVOID NTAPI
io_cache_refill(unsigned kind)
{
    return allocate_kind(kind);
}

VOID NTAPI
io_cache_spill(unsigned kind, PVOID block)
{
    io_pool_free(block, kind_tag(kind));
}

void
io_cache_init(void)
{
    ke_thread_on_exit(io_thread_exit);
}

void
io_cache_shutdown(void)
{
}

#else

#define DEPOT_MAX 8192u

static struct {
    KSPIN_LOCK lock;
    struct {
        struct io_free *batches;
        uint64_t count; /* blocks */
    } kinds[IO_CACHE_KINDS];
} depot;

static void
free_batch(unsigned kind, struct io_free *block)
{
    while (block != NULL) {
        struct io_free *next = block->next;

        io_pool_free(block, kind_tag(kind));
        block = next;
    }
}

/* The batch is a list that ends with NULL. */
static void
depot_give(unsigned kind, struct io_free *first, uint64_t count)
{
    KIRQL irql;

    first->batch_count = count;
    KeAcquireSpinLock(&depot.lock, &irql);
    if (depot.kinds[kind].count < DEPOT_MAX) {
        first->next_batch = depot.kinds[kind].batches;
        depot.kinds[kind].batches = first;
        depot.kinds[kind].count += count;
        first = NULL;
    }
    KeReleaseSpinLock(&depot.lock, irql);
    free_batch(kind, first);
}

static struct io_free *
depot_take(unsigned kind)
{
    struct io_free *first;
    KIRQL irql;

    KeAcquireSpinLock(&depot.lock, &irql);
    first = depot.kinds[kind].batches;
    if (first != NULL) {
        depot.kinds[kind].batches = first->next_batch;
        depot.kinds[kind].count -= first->batch_count;
    }
    KeReleaseSpinLock(&depot.lock, irql);
    return first;
}

static struct io_cache *
cache_of_thread(void)
{
    PETHREAD thread = ke_current();
    struct io_cache *cache = thread->cache[IO_CACHE_SLOT];

    if (cache == NULL) {
        cache = ExAllocatePoolWithTag(NonPagedPool, sizeof *cache, IO_TAG_IRP);
        if (cache != NULL) {
            RtlZeroMemory(cache, sizeof *cache);
            thread->cache[IO_CACHE_SLOT] = cache;
        }
    }
    return cache;
}

PVOID NTAPI
io_cache_refill(unsigned kind)
{
    struct io_cache *cache = cache_of_thread();
    struct io_free *first;

    if (cache == NULL || (first = depot_take(kind)) == NULL)
        return allocate_kind(kind);
    cache->kinds[kind].first = first->next;
    cache->kinds[kind].count = (unsigned) first->batch_count - 1;
    return first;
}

VOID NTAPI
io_cache_spill(unsigned kind, PVOID memory)
{
    struct io_cache *cache = cache_of_thread();
    struct io_free *block = memory, *first, *last;

    if (cache == NULL) {
        io_pool_free(memory, kind_tag(kind));
        return;
    }
    if (cache->kinds[kind].count >= 2 * IO_CACHE_BATCH) {
        first = last = cache->kinds[kind].first;
        for (unsigned i = 1; i < IO_CACHE_BATCH; i++)
            last = last->next;
        cache->kinds[kind].first = last->next;
        cache->kinds[kind].count -= IO_CACHE_BATCH;
        last->next = NULL;
        depot_give(kind, first, IO_CACHE_BATCH);
    }
    block->dead = 0;
    block->next = cache->kinds[kind].first;
    cache->kinds[kind].first = block;
    cache->kinds[kind].count++;
}

static void
thread_exit(PETHREAD thread)
{
    struct io_cache *cache;

    io_thread_exit(thread);
    cache = thread->cache[IO_CACHE_SLOT];
    if (cache == NULL)
        return;
    thread->cache[IO_CACHE_SLOT] = NULL;
    for (unsigned kind = 0; kind < IO_CACHE_KINDS; kind++)
        if (cache->kinds[kind].first != NULL)
            depot_give(kind, cache->kinds[kind].first,
                       cache->kinds[kind].count);
    ExFreePoolWithTag(cache, IO_TAG_IRP);
}

void
io_cache_init(void)
{
    ke_thread_on_exit(thread_exit);
}

/* The calling thread's cache and the depot; other threads that still live keep
 * theirs to their end. */
void
io_cache_shutdown(void)
{
    struct io_free *batch;

    thread_exit(ke_current());
    for (unsigned kind = 0; kind < IO_CACHE_KINDS; kind++)
        while ((batch = depot_take(kind)) != NULL)
            free_batch(kind, batch);
}

#endif
