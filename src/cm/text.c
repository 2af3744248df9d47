/*
 * text.c - the registry by text: for the configuration
 *
 * SPDX-License-Identifier: MIT
 */
#include "cm/cm_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* UTF-8 to UTF-16; what is none becomes U+FFFD.  With its NUL, from the pool. */
static NTSTATUS
widen(const char *text, UNICODE_STRING *out_string)
{
    const unsigned char *from = (const unsigned char *) text;
    size_t length = strlen(text), n = 0;
    PWSTR buffer;

    if (length > 0x7FFE)
        return STATUS_NAME_TOO_LONG;
    buffer =
        ExAllocatePoolWithTag(PagedPool, (length + 1) * sizeof(WCHAR), CM_TAG);
    if (buffer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    while (*from != 0) {
        unsigned c = *from++, more = 0;

        if (c >= 0xC2 && c < 0xF5) {
            more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
            c &= 0x3Fu >> more;
        } else if (c >= 0x80) {
            c = 0xFFFD;
        }
        for (; more > 0 && (*from & 0xC0) == 0x80; more--)
            c = c << 6 | (*from++ & 0x3F);
        if (more != 0 || c > 0x10FFFF)
            c = 0xFFFD;
        if (c >= 0x10000) {
            buffer[n++] = (WCHAR) (0xD7C0 + (c >> 10));
            c = 0xDC00 | (c & 0x3FF);
        }
        buffer[n++] = (WCHAR) c;
    }
    buffer[n] = 0;
    *out_string =
        (UNICODE_STRING){ (USHORT) (n * sizeof(WCHAR)),
                          (USHORT) ((n + 1) * sizeof(WCHAR)), buffer };
    return STATUS_SUCCESS;
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
    ExFreePoolWithTag(wide.Buffer, CM_TAG);
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
    ExFreePoolWithTag(wide.Buffer, CM_TAG);
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
    ExFreePoolWithTag(wide.Buffer, CM_TAG);
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
        ExFreePoolWithTag(wide.Buffer, CM_TAG);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    for (ULONG i = 0; i < n; i++)
        list[i] = wide.Buffer[i] == ';' ? 0 : wide.Buffer[i];
    list[n] = list[n + 1] = 0;
    status = set_value(key, name, REG_MULTI_SZ, list,
                       (n == 0 ? 1 : n + 2) * sizeof(WCHAR));
    ExFreePoolWithTag(list, CM_TAG);
    ExFreePoolWithTag(wide.Buffer, CM_TAG);
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
    ExFreePoolWithTag(wide.Buffer, CM_TAG);
    return status;
}
