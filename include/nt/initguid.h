/*
 * initguid.h - from here on DEFINE_GUID defines what it names
 *
 * Include it in one file of a program, after the headers whose GUIDs are only
 * wanted declared and before those whose GUIDs that file is to hold.  The same
 * GUID may be defined in several files.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ntdef.h>

#ifndef INITGUID
#define INITGUID
#endif
#undef DEFINE_GUID
#define DEFINE_GUID(name, l, w1, w2, b1, b2, b3, b4, b5, b6, b7, b8)          \
    const GUID name __attribute__((weak)) = {                                 \
        l, w1, w2, { b1, b2, b3, b4, b5, b6, b7, b8 }                         \
    }
