/*
 * text.c - the registry by text: for the configuration
 *
 * SPDX-License-Identifier: MIT
 */
#include "cm/cm_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* With its NUL; freed with RtlFreeUnicodeString. */
static NTSTATUS
widen(const char *text, UNICODE_STRING *out_string)
{
    STRING narrow;
    NTSTATUS status;

    if (strlen(text) > 0x7FFE)
        return STATUS_NAME_TOO_LONG;
    RtlInitString(&narrow, text);
    status = RtlAnsiStringToUnicodeString(out_string, &narrow, TRUE);
    return status == STATUS_NO_MEMORY ? STATUS_INSUFFICIENT_RESOURCES : status;
}

static NTSTATUS
create_key(PUNICODE_STRING path, ACCESS_MASK access, PHANDLE out_handle)
{
    OBJECT_ATTRIBUTES how;

    InitializeObjectAttributes(
        &how, path, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL);
    return ZwCreateKey(out_handle, access, &how, 0, NULL, 0, NULL);
}

NTSTATUS
cm_open_key(const char *path, ACCESS_MASK access, PHANDLE out_handle)
{
    const size_t top = sizeof "\\Registry\\" - 1;
    UNICODE_STRING wide, part;
    NTSTATUS status = widen(path, &wide);
    HANDLE handle = NULL;

    if (!NT_SUCCESS(status))
        return status;
    /* From the top to the key itself. */
    part = wide;
    for (size_t i = top; i <= wide.Length / sizeof(WCHAR); i++) {
        if (wide.Buffer[i] != '\\' && wide.Buffer[i] != 0)
            continue;
        if (handle != NULL)
            ZwClose(handle);
        part.Length = (USHORT) (i * sizeof(WCHAR));
        status = create_key(&part, access, &handle);
        if (!NT_SUCCESS(status)) {
            handle = NULL;
            break;
        }
    }
    RtlFreeUnicodeString(&wide);
    if (NT_SUCCESS(status) && handle == NULL)
        status = STATUS_OBJECT_NAME_INVALID;
    if (NT_SUCCESS(status))
        *out_handle = handle;
    return status;
}

NTSTATUS
cm_make_key(const char *path)
{
    HANDLE handle;
    NTSTATUS status = cm_open_key(path, KEY_READ, &handle);

    if (NT_SUCCESS(status))
        ZwClose(handle);
    return status;
}

NTSTATUS
cm_delete_tree(const char *path)
{
    OBJECT_ATTRIBUTES how;
    UNICODE_STRING wide;
    struct key *key;
    HANDLE handle;
    NTSTATUS status = widen(path, &wide);

    if (!NT_SUCCESS(status))
        return status;
    InitializeObjectAttributes(
        &how, &wide, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL);
    status = ZwOpenKey(&handle, KEY_ALL_ACCESS, &how);
    RtlFreeUnicodeString(&wide);
    if (!NT_SUCCESS(status))
        return status;
    status = cm_enter(handle, DELETE, &key);
    if (NT_SUCCESS(status)) {
        cm_empty_locked(key);
        cm_leave(key);
        status = ZwDeleteKey(handle);
    }
    ZwClose(handle);
    return status;
}

static NTSTATUS
set_value(HANDLE key, const char *name, ULONG type, PVOID data, ULONG length)
{
    UNICODE_STRING wide;
    NTSTATUS status = widen(name, &wide);

    if (!NT_SUCCESS(status))
        return status;
    status = ZwSetValueKey(key, &wide, 0, type, data, length);
    RtlFreeUnicodeString(&wide);
    return status;
}

static bool
is_number(const char *text, ULONG *out_number)
{
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    unsigned long n;
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    n = strtoul(text, &end, hex ? 16 : 10);
    if (*end != '\0' || errno != 0 || n > 0xFFFFFFFFul)
        return false;
    *out_number = (ULONG) n;
    return true;
}

/* "a;b" to "a\0b\0\0": the last NUL is added to the one that widen leaves. */
static NTSTATUS
set_multi(HANDLE key, const char *name, const char *text)
{
    UNICODE_STRING wide;
    NTSTATUS status;
    PWSTR list;
    ULONG n;

    status = widen(text, &wide);
    if (!NT_SUCCESS(status))
        return status;
    n = wide.Length / sizeof(WCHAR);
    list = ExAllocatePoolWithTag(PagedPool, (n + 2) * sizeof(WCHAR), CM_TAG);
    if (list == NULL) {
        RtlFreeUnicodeString(&wide);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    for (ULONG i = 0; i < n; i++)
        list[i] = wide.Buffer[i] == ';' ? 0 : wide.Buffer[i];
    list[n] = list[n + 1] = 0;
    status = set_value(key, name, REG_MULTI_SZ, list,
                       (n == 0 ? 1 : n + 2) * sizeof(WCHAR));
    ExFreePoolWithTag(list, CM_TAG);
    RtlFreeUnicodeString(&wide);
    return status;
}

NTSTATUS
cm_set_text(HANDLE key, const char *name, const char *text)
{
    UNICODE_STRING wide;
    NTSTATUS status;
    ULONG number;

    if (is_number(text, &number))
        return set_value(key, name, REG_DWORD, &number, sizeof number);
    if (strncmp(text, "multi:", 6) == 0)
        return set_multi(key, name, text + 6);
    status = widen(text, &wide);
    if (!NT_SUCCESS(status))
        return status;
    status = set_value(key, name, REG_SZ, wide.Buffer, wide.MaximumLength);
    RtlFreeUnicodeString(&wide);
    return status;
}
