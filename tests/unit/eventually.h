/*
 * eventually.h - until something is so
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_EVENTUALLY_H
#define TESTS_EVENTUALLY_H

#include <stdbool.h>
#include <unistd.h>

/* It was so once: it need not be any more.  The limit, at least a minute, only
 * ends a hang. */
#define EVENTUALLY(condition)                                                 \
    ({                                                                        \
        bool met_;                                                            \
                                                                              \
        for (int left_ = 600000; !(met_ = (condition)) && left_ > 0; left_--) \
            usleep(100);                                                      \
        met_;                                                                 \
    })

#endif
