/*
 * trace.h - on Windows the trace lines of drivers go to the debugger
 *
 * Stands in for src/base/trace.h where drivers are compiled against a DDK.
 * The kernel formats ULONG with %u as we do; the words for our groups are all
 * one component there (DPFLTR_IHVDRIVER_ID).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H

#include <wdm.h>

#define TRACE_ON(group) TRUE
#define TRACE(group, ...)                                                     \
    ((void) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_TRACE_LEVEL, __VA_ARGS__))

#endif
