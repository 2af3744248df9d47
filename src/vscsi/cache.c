/*
 * cache.c - a write cache that forgets what was not written out
 *
 * Lines of 4 KiB with a bit for each 512 bytes that are valid, found by a hash
 * and kept in the order in which they became dirty.  Memory is taken at the
 * first write.  The lock is held to look up and to copy, never while the medium
 * is read or written; a line on its way out is busy, may still be read, and
 * holds back only those who want to change it.
 *
 * Readers look here first and at the medium afterwards: data leaves the cache
 * only after it has reached the medium, so a reader misses neither.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vscsi/vscsi_internal.h"

#define LINE_BYTES 4096u
#define LINES      2048u /* 8 MiB */
#define BUCKETS    4096u
#define BATCH      64u /* lines written out in one go */
#define NONE       UINT16_MAX

struct line {
    uint64_t number; /* offset / LINE_BYTES */
    uint64_t stamp;  /* when it became dirty */
    uint16_t hash_next;
    uint16_t older, newer; /* newer also links free lines */
    uint8_t valid;         /* one bit per 512 bytes */
    bool busy;             /* being written to the medium */
};

struct store {
    struct line lines[LINES];
    uint16_t buckets[BUCKETS];
    uint8_t data[LINES][LINE_BYTES];
};

struct cache {
    pthread_mutex_t lock;
    pthread_cond_t settled; /* lines stopped being busy */
    struct store *store;    /* mapped at the first write */
    uint64_t stamp;
    _Atomic uint32_t used;
    uint16_t oldest, newest, spare;
};

struct cache *
cache_new(void)
{
    struct cache *cache = calloc(1, sizeof *cache);

    if (cache == NULL)
        return NULL;
    pthread_mutex_init(&cache->lock, NULL);
    pthread_cond_init(&cache->settled, NULL);
    return cache;
}

void
cache_free(struct cache *cache)
{
    if (cache == NULL)
        return;
    if (cache->store != NULL)
        (void) munmap(cache->store, sizeof *cache->store);
    pthread_cond_destroy(&cache->settled);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

bool
cache_holds_data(struct cache *cache)
{
    return atomic_load_explicit(&cache->used, memory_order_acquire) != 0;
}

/* --- lines; the lock is held ---------------------------------------------- */

static void
reset_locked(struct cache *cache)
{
    struct store *store = cache->store;

    for (unsigned i = 0; i < LINES; i++)
        store->lines[i] =
            (struct line){ .newer = (uint16_t) (i + 1 < LINES ? i + 1 : NONE) };
    memset(store->buckets, 0xff, sizeof store->buckets);
    cache->spare = 0;
    cache->oldest = cache->newest = NONE;
    atomic_store(&cache->used, 0);
}

static bool
map_locked(struct cache *cache)
{
    void *map;

    if (cache->store != NULL)
        return true;
    map = mmap(NULL, sizeof *cache->store, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return false;
    cache->store = map;
    reset_locked(cache);
    return true;
}

static uint16_t *
bucket_of(struct cache *cache, uint64_t number)
{
    uint64_t hash = number * UINT64_C(0x9E3779B97F4A7C15);

    return &cache->store->buckets[hash >> 52];
}

static uint16_t
find_locked(struct cache *cache, uint64_t number)
{
    uint16_t at;

    if (cache->store == NULL)
        return NONE;
    at = *bucket_of(cache, number);
    while (at != NONE && cache->store->lines[at].number != number)
        at = cache->store->lines[at].hash_next;
    return at;
}

/* NONE when the cache is full. */
static uint16_t
take_locked(struct cache *cache, uint64_t number)
{
    struct line *lines = cache->store->lines;
    uint16_t *bucket = bucket_of(cache, number);
    uint16_t at = cache->spare;

    if (at == NONE)
        return NONE;
    cache->spare = lines[at].newer;
    lines[at] = (struct line){ .number = number,
                               .stamp = ++cache->stamp,
                               .hash_next = *bucket,
                               .older = cache->newest,
                               .newer = NONE };
    *bucket = at;
    if (cache->newest != NONE)
        lines[cache->newest].newer = at;
    else
        cache->oldest = at;
    cache->newest = at;
    atomic_fetch_add(&cache->used, 1);
    return at;
}

static void
drop_locked(struct cache *cache, uint16_t at)
{
    struct line *lines = cache->store->lines;
    uint16_t *link = bucket_of(cache, lines[at].number);

    while (*link != at)
        link = &lines[*link].hash_next;
    *link = lines[at].hash_next;
    if (lines[at].older != NONE)
        lines[lines[at].older].newer = lines[at].newer;
    else
        cache->oldest = lines[at].newer;
    if (lines[at].newer != NONE)
        lines[lines[at].newer].older = lines[at].older;
    else
        cache->newest = lines[at].older;
    lines[at].newer = cache->spare;
    cache->spare = at;
    atomic_fetch_sub(&cache->used, 1);
}

void
cache_drop(struct cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    if (cache->store != NULL && cache_holds_data(cache))
        reset_locked(cache);
    pthread_mutex_unlock(&cache->lock);
}

/* --- out to the medium ---------------------------------------------------- */

/* Writes the valid parts of one busy line; no lock is held. */
static uint32_t
write_line(struct cache *cache, struct medium *medium, uint16_t at)
{
    const struct line *line = &cache->store->lines[at];
    unsigned first = 0, end;
    uint32_t sense = 0;
    size_t done;

    while (first < 8 && sense == 0) {
        for (end = first; end < 8 && line->valid >> end & 1;)
            end++;
        if (end > first)
            sense =
                medium_write(medium, line->number * LINE_BYTES + first * 512u,
                             cache->store->data[at] + first * 512u,
                             (end - first) * 512u, false, &done);
        first = end + 1;
    }
    return sense;
}

static bool
wanted(const struct line *line, uint64_t first, uint64_t last, uint64_t stamp)
{
    return line->number >= first && line->number <= last &&
           line->stamp <= stamp;
}

/* Marks up to BATCH lines busy.  *out_wait: some are busy with others. */
static unsigned
gather_locked(struct cache *cache, const uint64_t range[2], uint64_t stamp,
              uint16_t batch[BATCH], bool *out_wait)
{
    struct line *lines = cache->store->lines;
    bool few = range[1] - range[0] < BATCH;
    uint64_t number = range[0];
    unsigned count = 0;
    uint16_t at = few ? find_locked(cache, number) : cache->oldest;

    *out_wait = false;
    while (count < BATCH && (few || at != NONE)) {
        if (!few && lines[at].stamp > stamp)
            break;
        if (at != NONE && wanted(&lines[at], range[0], range[1], stamp)) {
            if (lines[at].busy) {
                *out_wait = true;
            } else {
                lines[at].busy = true;
                batch[count++] = at;
            }
        }
        if (!few)
            at = lines[at].newer;
        else if (number++ == range[1])
            break;
        else
            at = find_locked(cache, number);
    }
    return count;
}

/* A line that could not be written stays, to be tried again. */
static uint32_t
write_batch_locked(struct cache *cache, struct medium *medium,
                   const uint16_t *batch, unsigned count)
{
    uint32_t sense = 0;
    unsigned good = 0;

    pthread_mutex_unlock(&cache->lock);
    while (good < count && sense == 0) {
        sense = write_line(cache, medium, batch[good]);
        good += sense == 0;
    }
    pthread_mutex_lock(&cache->lock);
    for (unsigned i = 0; i < count; i++) {
        cache->store->lines[batch[i]].busy = false;
        if (i < good)
            drop_locked(cache, batch[i]);
    }
    pthread_cond_broadcast(&cache->settled);
    return sense;
}

/* What becomes dirty after the call began is left: it must end. */
uint32_t
cache_flush(struct cache *cache, struct medium *medium, uint64_t offset,
            uint64_t len)
{
    uint64_t range[2] = { offset / LINE_BYTES, UINT64_MAX };
    uint16_t batch[BATCH];
    uint64_t stamp;
    uint32_t sense = 0;
    unsigned count;
    bool wait;

    if (len == 0 || !cache_holds_data(cache))
        return 0;
    if (len != UINT64_MAX)
        range[1] = (offset + len - 1) / LINE_BYTES;
    pthread_mutex_lock(&cache->lock);
    stamp = cache->stamp;
    while (sense == 0) {
        count = gather_locked(cache, range, stamp, batch, &wait);
        if (count > 0)
            sense = write_batch_locked(cache, medium, batch, count);
        else if (wait)
            pthread_cond_wait(&cache->settled, &cache->lock);
        else
            break;
    }
    pthread_mutex_unlock(&cache->lock);
    return sense;
}

/* Makes room: the oldest go first. */
static uint32_t
spill_locked(struct cache *cache, struct medium *medium)
{
    static const uint64_t everything[2] = { 0, UINT64_MAX };
    uint16_t batch[BATCH];
    bool wait;
    unsigned count =
        gather_locked(cache, everything, cache->stamp, batch, &wait);

    if (count > 0)
        return write_batch_locked(cache, medium, batch, count);
    if (wait)
        pthread_cond_wait(&cache->settled, &cache->lock);
    return 0;
}

/* --- in and out of the cache ---------------------------------------------- */

/* The line for `number`, not busy; makes room for it if it must. */
static uint32_t
claim_locked(struct cache *cache, struct medium *medium, uint64_t number,
             uint16_t *out_at)
{
    uint32_t sense = 0;
    uint16_t at;

    for (;;) {
        at = find_locked(cache, number);
        if (at != NONE && !cache->store->lines[at].busy)
            break;
        if (at != NONE) {
            pthread_cond_wait(&cache->settled, &cache->lock);
            continue;
        }
        at = take_locked(cache, number);
        if (at != NONE)
            break;
        sense = spill_locked(cache, medium);
        if (sense != 0)
            return sense;
    }
    *out_at = at;
    return 0;
}

static uint8_t
mask_of(size_t within, size_t len)
{
    return (uint8_t) (((1u << len / 512) - 1) << within / 512);
}

uint32_t
cache_write(struct cache *cache, struct medium *medium, uint64_t offset,
            const void *data, size_t len)
{
    const uint8_t *from = data;
    uint32_t sense = 0;
    uint16_t at = 0;

    while (len > 0) {
        size_t within = offset % LINE_BYTES;
        size_t part = LINE_BYTES - within < len ? LINE_BYTES - within : len;

        pthread_mutex_lock(&cache->lock);
        if (map_locked(cache))
            sense = claim_locked(cache, medium, offset / LINE_BYTES, &at);
        else
            sense = SENSE_WRITE_ERROR;
        if (sense == 0) {
            memcpy(cache->store->data[at] + within, from, part);
            cache->store->lines[at].valid |= mask_of(within, part);
        }
        pthread_mutex_unlock(&cache->lock);
        if (sense != 0)
            return sense;
        offset += part;
        from += part;
        len -= part;
    }
    return 0;
}

/* Copies the cached run at `offset`, or measures the run that is not cached:
 * returns its length. */
static size_t
run_locked(struct cache *cache, uint64_t offset, uint8_t *to, size_t len,
           bool *out_cached)
{
    size_t run = 0;

    while (run < len) {
        uint64_t position = offset + run;
        size_t within = position % LINE_BYTES;
        uint16_t at = find_locked(cache, position / LINE_BYTES);
        uint8_t valid = at == NONE ? 0 : cache->store->lines[at].valid;
        bool cached = valid >> within / 512 & 1;
        size_t part = valid == 0 || valid == 0xff ? LINE_BYTES - within
                                                  : 512 - within % 512;

        if (run == 0)
            *out_cached = cached;
        else if (cached != *out_cached)
            break;
        if (part > len - run)
            part = len - run;
        if (cached)
            memcpy(to + run, cache->store->data[at] + within, part);
        run += part;
    }
    return run;
}

uint32_t
cache_read(struct cache *cache, struct medium *medium, uint64_t offset,
           void *data, size_t len, size_t *out_done)
{
    uint8_t *to = data;
    uint32_t sense = 0;
    size_t done = 0, run, got;
    bool cached;

    while (done < len && sense == 0) {
        pthread_mutex_lock(&cache->lock);
        run = run_locked(cache, offset + done, to + done, len - done, &cached);
        pthread_mutex_unlock(&cache->lock);
        got = run;
        if (!cached)
            sense = medium_read(medium, offset + done, to + done, run, &got);
        done += got;
    }
    *out_done = done;
    return sense;
}
