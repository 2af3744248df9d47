/*
 * utils.h - how the tests report: stands in for the file of that name
 *
 * Counts checks instead of writing them to a file.  What the tests say about
 * Wine ("todo") does not concern us: we answer for the behaviour of Windows.
 * What they allow to old Windows ("broken") is allowed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_WINE_UTILS_H
#define TESTS_WINE_UTILS_H

#include "wine_host.h"

static const int running_under_wine = 0;

#define ok_(file, line) wine_place(__func__, file, line), wine_ok
#define ok ok_(__FILE__, __LINE__)
#define skip wine_place(__func__, __FILE__, __LINE__), wine_skip
#define win_skip skip

#define todo_wine
#define todo_wine_if(condition)
#define broken(condition) (!running_under_wine && (condition))

static inline NTSTATUS
winetest_init(void)
{
    return STATUS_SUCCESS;
}

static inline void
winetest_cleanup(void)
{
}

#endif
