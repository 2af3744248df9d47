/*
 * rest.h - until nothing is under way
 *
 * What a test looks at may be the doing of a work item or a DPC: when none is
 * queued and none runs, it is done.  Not while a routine of one waits for
 * something that only the test will do.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_REST_H
#define TESTS_REST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <wdm.h>

#include <unistd.h>

#include "ke/ke.h"

static inline bool
workers_are_idle(void)
{
    struct ke_worker_stats now;

    KeFlushQueuedDpcs();
    ke_worker_stats(&now);
    return now.waiting_items == 0 && now.idle == now.threads;
}

/* An item may leave a DPC behind, and that one an item: looks twice. */
static inline void
rest(void)
{
    for (int i = 0; !workers_are_idle() || !workers_are_idle(); i++) {
        if (i == 60000)
            fail_msg("%s", "a work item does not end");
        usleep(1000);
    }
}

#endif
