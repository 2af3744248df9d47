/*
 * burst.c - see burst.h
 *
 * Each thread has its own; no locks.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/burst.h"

#include <assert.h>
#include <stddef.h>

static _Thread_local struct {
    unsigned depth;
    struct burst_node *first, *last;
} bursts[2] __attribute__((tls_model("initial-exec")));

void
burst_begin(enum burst burst)
{
    bursts[burst].depth++;
}

/* What is put off by what runs now is run as well. */
static void
run_all(enum burst burst)
{
    struct burst_node *node;

    while ((node = bursts[burst].first) != NULL) {
        bursts[burst].first = node->next;
        node->run(node);
    }
}

void
burst_end(enum burst burst)
{
    assert(bursts[burst].depth > 0);
    if (bursts[burst].depth == 1)
        run_all(burst);
    bursts[burst].depth--;
}

void
burst_flush(void)
{
    run_all(BURST_REQUESTS);
    run_all(BURST_ANSWERS);
}

bool
burst_open(enum burst burst)
{
    return bursts[burst].depth != 0;
}

void
burst_defer(enum burst burst, struct burst_node *node)
{
    assert(bursts[burst].depth > 0);
    node->next = NULL;
    if (bursts[burst].first == NULL)
        bursts[burst].first = node;
    else
        bursts[burst].last->next = node;
    bursts[burst].last = node;
}
