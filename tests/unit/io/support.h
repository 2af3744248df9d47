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

#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#endif
#endif
#ifndef ADDRESS_SANITIZER
#define ADDRESS_SANITIZER 0
#endif

/* A driver without dispatch routines; the test sets those it needs. */
PDRIVER_OBJECT new_driver(const char *name);
/* Ready (not DO_DEVICE_INITIALIZING); name NULL: none. */
PDEVICE_OBJECT new_device(PDRIVER_OBJECT driver, DEVICE_TYPE type,
                          ULONG extension_size, PCWSTR name);
NTSTATUS complete_irp(PIRP irp, NTSTATUS status, ULONG_PTR information);

/* Runs fn in a child: it must bug check and say `text`. */
void expect_bugcheck(void (*fn)(void), const char *text);

/* Runs fn(context) on another thread and waits for it. */
void on_other_thread(void (*fn)(void *), void *context);

/* Waits, at most a minute, until *value is `want`: by another thread. */
void wait_for_value(const LONG *value, LONG want);

int io_setup(void **state);
int io_teardown(void **state);

#endif
