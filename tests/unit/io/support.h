/*
 * support.h - small drivers for the tests of the I/O manager
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_IO_SUPPORT_H
#define TESTS_IO_SUPPORT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ntifs.h>

#include "io/io.h"

/* A driver without dispatch routines; the test sets those it needs. */
PDRIVER_OBJECT new_driver(const char *name);
/* Ready (not DO_DEVICE_INITIALIZING); name NULL: none. */
PDEVICE_OBJECT new_device(PDRIVER_OBJECT driver, DEVICE_TYPE type,
                          ULONG extension_size, PCWSTR name);
NTSTATUS complete_irp(PIRP irp, NTSTATUS status, ULONG_PTR information);

/* Runs fn in a child: it must bug check and say `text`. */
void expect_bugcheck(void (*fn)(void), const char *text);

/* A lambda would do: runs fn(context) on another thread and waits for it. */
void on_other_thread(void (*fn)(void *), void *context);

/* Waits (10 s at most) until *value, changed by another thread, is `want`. */
void wait_for_value(const LONG *value, LONG want);

int io_setup(void **state);
int io_teardown(void **state);

#endif
