/*
 * windef.h - the names of user mode's base types, for tests that use them in
 *            drivers
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_WINE_WINDEF_H
#define TESTS_WINE_WINDEF_H

#include <ntdef.h>
#include <ntifs.h>

#define WINAPI   NTAPI
#define WINAPIV
#define MAX_PATH 260

typedef ULONG DWORD;
typedef int BOOL;
typedef unsigned char BYTE;
typedef ULONG_PTR DWORD_PTR;
typedef ULONGLONG UINT64;

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#endif
#ifndef min
#define min(a, b) ((a) < (b) ? (a) : (b))
#endif

#endif
