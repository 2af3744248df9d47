/*
 * helper.h - what the tests of the object manager share
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TEST_OB_HELPER_H
#define TEST_OB_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/fault.h"
#include "ke/ke.h"
#include "ob/ob.h"

/* Attributes with a name; text as L"...". */
static inline OBJECT_ATTRIBUTES
named(PUNICODE_STRING name, PCWSTR text, ULONG attributes)
{
    OBJECT_ATTRIBUTES made;

    RtlInitUnicodeString(name, text);
    InitializeObjectAttributes(&made, name, attributes, NULL, NULL);
    return made;
}

static inline NTSTATUS
poll(PVOID object)
{
    LARGE_INTEGER now = { .QuadPart = 0 };

    return KeWaitForSingleObject(object, Executive, KernelMode, FALSE, &now);
}

static inline int
ob_setup(void **state)
{
    (void) state;
    ke_init();
    return NT_SUCCESS(ob_init()) ? 0 : -1;
}

/* Nothing is left: no handle, no block of the pool. */
static inline int
ob_teardown(void **state)
{
    unsigned handles = ob_handle_count();

    (void) state;
    ke_shutdown();
    ob_shutdown();
    return handles == 0 && ke_pool_report(stderr) == 0 ? 0 : -1;
}

#endif
