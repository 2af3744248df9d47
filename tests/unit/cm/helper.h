/*
 * helper.h - what the tests of the registry share
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TEST_CM_HELPER_H
#define TEST_CM_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/fault.h"
#include "cm/cm.h"
#include "ke/ke.h"
#include "ob/ob.h"

#define TEST_KEY CM_SERVICES "\\test"

static inline UNICODE_STRING
wide(PCWSTR text)
{
    UNICODE_STRING string;

    RtlInitUnicodeString(&string, text);
    return string;
}

static inline NTSTATUS
open_key(HANDLE root, PCWSTR path, PHANDLE out_key)
{
    UNICODE_STRING name = wide(path);
    OBJECT_ATTRIBUTES how;

    InitializeObjectAttributes(&how, &name,
                               OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, root,
                               NULL);
    return ZwOpenKey(out_key, KEY_ALL_ACCESS, &how);
}

static inline NTSTATUS
create_key(HANDLE root, PCWSTR path, ULONG options, PHANDLE out_key,
           PULONG out_disposition)
{
    UNICODE_STRING name = wide(path);
    OBJECT_ATTRIBUTES how;

    InitializeObjectAttributes(&how, &name,
                               OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, root,
                               NULL);
    return ZwCreateKey(out_key, KEY_ALL_ACCESS, &how, 0, NULL, options,
                       out_disposition);
}

static inline NTSTATUS
set_value(HANDLE key, PCWSTR text, ULONG type, const void *data, ULONG length)
{
    UNICODE_STRING name = wide(text);

    return ZwSetValueKey(key, &name, 0, type, (PVOID) data, length);
}

static inline int
cm_setup(void **state)
{
    (void) state;
    ke_init();
    return NT_SUCCESS(ob_init()) && NT_SUCCESS(cm_init()) ? 0 : -1;
}

/* Nothing is left: no handle, no block of the pool. */
static inline int
cm_teardown(void **state)
{
    unsigned handles = ob_handle_count();

    (void) state;
    ke_shutdown();
    cm_shutdown();
    ob_shutdown();
    return handles == 0 && ke_pool_report(stderr) == 0 ? 0 : -1;
}

#endif
