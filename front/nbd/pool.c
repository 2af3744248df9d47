/*
 * pool.c - requests and their buffers, recycled per connection
 *
 * Free lists by size class (powers of two), so that nothing is allocated per
 * request once a connection is warm.  Before each buffer's data there is room
 * for a reply header, so that header and payload are one piece to send.
 * Runs on the connection's thread; no locks.
 *
 * SPDX-License-Identifier: MIT
 */
#include "nbd/nbd_internal.h"

#include <stdlib.h>

static unsigned
class_of(size_t bytes)
{
    unsigned class = 0;

    while (((size_t) 1 << (POOL_MIN_SHIFT + class)) < bytes)
        class ++;
    return class;
}

static size_t
class_bytes(unsigned class)
{
    return (size_t) 1 << (POOL_MIN_SHIFT + class);
}

bool
pool_has_room(const struct nbd_pool *pool, size_t bytes)
{
    if (pool->live_requests == 0)
        return true;
    if (pool->live_requests >= CONN_REQUESTS_MAX)
        return false;
    return bytes == 0 ||
           pool->live_bytes + class_bytes(class_of(bytes)) <= CONN_BUFFERS_MAX;
}

/* Free buffers are linked through their first bytes. */
static uint8_t *
get_buffer(struct nbd_pool *pool, unsigned class)
{
    void *base = pool->buffers[class];

    if (base != NULL) {
        pool->buffers[class] = *(void **) base;
        pool->free_bytes -= class_bytes(class);
    } else {
        base = aligned_alloc(64, POOL_HEADROOM + class_bytes(class));
        if (base == NULL)
            return NULL;
    }
    pool->live_bytes += class_bytes(class);
    return (uint8_t *) base + POOL_HEADROOM;
}

static void
put_buffer(struct nbd_pool *pool, unsigned class, uint8_t *data)
{
    void *base = data - POOL_HEADROOM;

    *(void **) base = pool->buffers[class];
    pool->buffers[class] = base;
    pool->live_bytes -= class_bytes(class);
    pool->free_bytes += class_bytes(class);
    if (pool->live_bytes + pool->free_bytes > CONN_BUFFERS_MAX)
        pool_trim(pool, 0);
}

struct nbd_request *
pool_get(struct nbd_pool *pool, size_t bytes)
{
    struct nbd_request *request = pool->requests;

    if (request != NULL)
        pool->requests = request->next;
    else if ((request = calloc(1, sizeof *request)) == NULL)
        return NULL;
    request->class = POOL_NO_BUFFER;
    request->data = NULL;
    if (bytes != 0) {
        unsigned class = class_of(bytes);

        request->data = get_buffer(pool, class);
        if (request->data == NULL) {
            request->next = pool->requests;
            pool->requests = request;
            return NULL;
        }
        request->class = (uint8_t) class;
    }
    pool->live_requests++;
    return request;
}

void
pool_put(struct nbd_pool *pool, struct nbd_request *request)
{
    if (request->class != POOL_NO_BUFFER)
        put_buffer(pool, request->class, request->data);
    request->next = pool->requests;
    pool->requests = request;
    pool->live_requests--;
}

void
pool_trim(struct nbd_pool *pool, size_t keep_bytes)
{
    for (unsigned class = POOL_CLASSES; class -- > 0;) {
        while (pool->buffers[class] != NULL && pool->free_bytes > keep_bytes) {
            void *base = pool->buffers[class];

            pool->buffers[class] = *(void **) base;
            pool->free_bytes -= class_bytes(class);
            free(base);
        }
    }
    while (keep_bytes == 0 && pool->requests != NULL) {
        struct nbd_request *request = pool->requests;

        pool->requests = request->next;
        free(request);
    }
}
