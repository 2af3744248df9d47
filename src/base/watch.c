/*
 * watch.c - see watch.h
 *
 * A source names its watcher by the address of that thread's record; the
 * thread looks there whether it still is, so that dropping it needs no lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/watch.h"

#include <stddef.h>

#define BURSTS_WITHOUT 64 /* then it leaves */

static _Thread_local struct {
    bool able;
    unsigned bursts; /* since it was offered */
    struct watch_source *source;
} me __attribute__((tls_model("initial-exec")));

/* The source, if this thread is still its watcher. */
static struct watch_source *
mine(void)
{
    struct watch_source *source = me.source;

    if (source == NULL ||
        __atomic_load_n(&source->watcher, __ATOMIC_ACQUIRE) == &me)
        return source;
    me.source = NULL;
    source->left(source);
    return NULL;
}

void
watch_begin(void)
{
    me.able = true;
}

void
watch_leave(void)
{
    struct watch_source *source = me.source;
    void *self = &me;

    if (source == NULL)
        return;
    me.source = NULL;
    __atomic_compare_exchange_n(&source->watcher, &self, NULL, false,
                                __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    source->left(source);
}

void
watch_end(void)
{
    watch_leave();
    me.able = false;
}

int
watch_fd(void)
{
    struct watch_source *source = mine();

    return source != NULL ? __atomic_load_n(&source->fd, __ATOMIC_RELAXED) : -1;
}

bool
watch_take(void)
{
    struct watch_source *source = mine();

    return source != NULL && source->take(source);
}

void
watch_burst_over(void)
{
    if (me.source != NULL && me.bursts++ >= BURSTS_WITHOUT)
        watch_leave();
}

bool
watch_offer(struct watch_source *source, int fd)
{
    void *nobody = NULL;

    if (!me.able)
        return false;
    if (mine() == source) {
        me.bursts = 0;
        return false;
    }
    if (!__atomic_compare_exchange_n(&source->watcher, &nobody, &me, false,
                                     __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        return false;
    watch_leave(); /* what it watched before */
    me.source = source;
    me.bursts = 0;
    __atomic_store_n(&source->fd, fd, __ATOMIC_RELAXED);
    return true;
}

bool
watch_is_watched(const struct watch_source *source)
{
    return __atomic_load_n(&source->watcher, __ATOMIC_SEQ_CST) != NULL;
}

void
watch_drop(struct watch_source *source)
{
    __atomic_store_n(&source->watcher, NULL, __ATOMIC_SEQ_CST);
}
