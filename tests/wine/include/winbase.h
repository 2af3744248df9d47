/*
 * winbase.h - the little of user mode's library that the tests call
 *
 * The C library's own routines for wide text have characters of 32 bits.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_WINE_WINBASE_H
#define TESTS_WINE_WINBASE_H

#include <windef.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define WAIT_TIMEOUT 258

size_t wide_len(const WCHAR *text);
int wide_compare(const WCHAR *a, const WCHAR *b);
WCHAR *wide_copy(WCHAR *to, const WCHAR *from);
WCHAR *wide_find(const WCHAR *text, const WCHAR *part);
/* Integers only; what does not fit is cut. */
int wide_print(WCHAR *out, size_t max, const WCHAR *format, ...);

#define wcslen   wide_len
#define wcscmp   wide_compare
#define wcscpy   wide_copy
#define wcsstr   wide_find
#define swprintf wide_print
#define lstrlenW wide_len

#endif
