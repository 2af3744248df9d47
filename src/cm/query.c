/*
 * query.c - RtlQueryRegistryValues
 *
 * A table says, entry by entry, which values are wanted and what becomes of
 * each: a routine is called, or the value is stored.  The caller's routines run
 * without a lock, on a copy.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cm/cm_internal.h"

#define TYPE_SHIFT RTL_QUERY_REGISTRY_TYPECHECK_SHIFT

/* One call under way. */
struct query {
    HANDLE top; /* what RelativeTo and Path say */
    HANDLE at;  /* top, or the last subkey */
    PVOID context;
};

/* A value as the entry gets it. */
struct found {
    PCWSTR name;
    ULONG type;
    PVOID data;
    ULONG length;
};

/* NULL: there is none. */
static void
free_copy(PVOID copy)
{
    if (copy != NULL)
        ExFreePoolWithTag(copy, CM_TAG);
}

/* KEY_VALUE_FULL_INFORMATION of value `index`, or of the one with that name. */
static NTSTATUS
read_value(HANDLE key, PUNICODE_STRING name, ULONG index,
           KEY_VALUE_FULL_INFORMATION **out_value)
{
    ULONG length = 256;

    for (;;) {
        KEY_VALUE_FULL_INFORMATION *value =
            ExAllocatePoolWithTag(PagedPool, length, CM_TAG);
        NTSTATUS status;

        if (value == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        status = name != NULL
                     ? ZwQueryValueKey(key, name, KeyValueFullInformation,
                                       value, length, &length)
                     : ZwEnumerateValueKey(key, index, KeyValueFullInformation,
                                           value, length, &length);
        if (NT_SUCCESS(status)) {
            *out_value = value;
            return status;
        }
        free_copy(value);
        if (status != STATUS_BUFFER_OVERFLOW &&
            status != STATUS_BUFFER_TOO_SMALL)
            return status;
    }
}

/* --- stored --------------------------------------------------------------- */

static bool
is_text(ULONG type)
{
    return type == REG_SZ || type == REG_EXPAND_SZ || type == REG_MULTI_SZ;
}

/* Into the caller's string, or into one from the pool if it has no buffer. */
static NTSTATUS
store_text(PUNICODE_STRING to, const struct found *found)
{
    ULONG length = found->length & ~1u;
    bool ends = length >= sizeof(WCHAR) &&
                ((PWSTR) found->data)[length / sizeof(WCHAR) - 1] == 0;
    ULONG need = ends ? length : length + sizeof(WCHAR);

    if (need > 0xFFFE)
        return STATUS_BUFFER_TOO_SMALL;
    if (to->Buffer == NULL) {
        to->Buffer = ExAllocatePoolWithTag(PagedPool, need, CM_TAG_STRING);
        if (to->Buffer == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        to->MaximumLength = (USHORT) need;
    } else if (to->MaximumLength < need) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    RtlCopyMemory(to->Buffer, found->data, length);
    to->Buffer[need / sizeof(WCHAR) - 1] = 0;
    to->Length = (USHORT) (need - sizeof(WCHAR));
    return STATUS_SUCCESS;
}

/* A buffer for more than a ULONG begins with its size as a LONG: negative, and
 * it gets the data alone; else length and type go first. */
static NTSTATUS
store_bytes(PVOID to, const struct found *found)
{
    const ULONG head = 2 * sizeof(ULONG);
    LONG size = *(LONG *) to;
    ULONG room = size < 0 ? 0u - (ULONG) size : (ULONG) size;

    if (size < 0) {
        if (room < found->length)
            return STATUS_BUFFER_TOO_SMALL;
        RtlCopyMemory(to, found->data, found->length);
        return STATUS_SUCCESS;
    }
    if (room < head || room - head < found->length)
        return STATUS_BUFFER_TOO_SMALL;
    ((PULONG) to)[0] = found->length;
    ((PULONG) to)[1] = found->type;
    RtlCopyMemory((char *) to + head, found->data, found->length);
    return STATUS_SUCCESS;
}

static NTSTATUS
store(const RTL_QUERY_REGISTRY_TABLE *entry, const struct found *found)
{
    if (is_text(found->type))
        return store_text(entry->EntryContext, found);
    if (found->length > sizeof(ULONG))
        return store_bytes(entry->EntryContext, found);
    RtlCopyMemory(entry->EntryContext, found->data, found->length);
    return STATUS_SUCCESS;
}

/* --- handed to the caller's routine --------------------------------------- */

static NTSTATUS
call(const struct query *query, const RTL_QUERY_REGISTRY_TABLE *entry,
     const struct found *found)
{
    return entry->QueryRoutine((PWSTR) found->name, found->type, found->data,
                               found->length, query->context,
                               entry->EntryContext);
}

/* Each string of a REG_MULTI_SZ on its own. */
static NTSTATUS
call_each(const struct query *query, const RTL_QUERY_REGISTRY_TABLE *entry,
          const struct found *found)
{
    PWSTR at = found->data;
    PWSTR end = at + found->length / sizeof(WCHAR);
    NTSTATUS status = STATUS_SUCCESS;

    while (at < end && *at != 0 && NT_SUCCESS(status)) {
        struct found one = { .name = found->name, .type = REG_SZ, .data = at };

        while (at < end && *at != 0)
            at++;
        if (at == end)
            break; /* without its end: not one that we pass on */
        at++;
        one.length = (ULONG) ((char *) at - (char *) one.data);
        status = call(query, entry, &one);
    }
    return status;
}

static NTSTATUS
give(const struct query *query, const RTL_QUERY_REGISTRY_TABLE *entry,
     struct found *found)
{
    bool expand = !(entry->Flags & RTL_QUERY_REGISTRY_NOEXPAND);

    if (entry->Flags & RTL_QUERY_REGISTRY_DIRECT) {
        ULONG wanted = entry->DefaultType >> TYPE_SHIFT;

        if ((entry->Flags & RTL_QUERY_REGISTRY_TYPECHECK) &&
            wanted != REG_NONE && wanted != found->type)
            return STATUS_OBJECT_TYPE_MISMATCH;
        return store(entry, found);
    }
    if (expand && found->type == REG_MULTI_SZ)
        return call_each(query, entry, found);
    if (expand && found->type == REG_EXPAND_SZ)
        found->type = REG_SZ; /* there are no variables here */
    return call(query, entry, found);
}

/* --- defaults ------------------------------------------------------------- */

/* With its NUL.  A list ends with an empty string, and may be just that. */
static ULONG
text_length(const WCHAR *text, bool list)
{
    ULONG n = 0;

    while (text[n] != 0) {
        while (text[n] != 0)
            n++;
        n += list ? 1 : 0;
    }
    return (n + 1) * sizeof(WCHAR);
}

static NTSTATUS
give_default(const struct query *query, const RTL_QUERY_REGISTRY_TABLE *entry)
{
    struct found found = {
        .name = entry->Name,
        .type = entry->DefaultType & ((1u << TYPE_SHIFT) - 1),
        .data = entry->DefaultData,
        .length = entry->DefaultLength,
    };

    if (entry->Flags & RTL_QUERY_REGISTRY_REQUIRED)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    if (found.type == REG_NONE || found.data == NULL)
        return STATUS_SUCCESS;
    if (found.length == 0 && is_text(found.type))
        found.length = text_length(found.data, found.type == REG_MULTI_SZ);
    if (found.length == 0 && found.type == REG_DWORD)
        found.length = sizeof(ULONG);
    return give(query, entry, &found);
}

/* --- entries -------------------------------------------------------------- */

/* The name with a NUL, for the caller's routine; from the pool. */
static PWSTR
copy_name(const KEY_VALUE_FULL_INFORMATION *value)
{
    ULONG length = value->NameLength;
    PWSTR name =
        ExAllocatePoolWithTag(PagedPool, length + sizeof(WCHAR), CM_TAG);

    if (name == NULL)
        return NULL;
    RtlCopyMemory(name, value->Name, length);
    name[length / sizeof(WCHAR)] = 0;
    return name;
}

static NTSTATUS
give_value(const struct query *query, const RTL_QUERY_REGISTRY_TABLE *entry,
           KEY_VALUE_FULL_INFORMATION *value)
{
    PWSTR name = copy_name(value);
    struct found found = {
        .name = name,
        .type = value->Type,
        .data = (char *) value + value->DataOffset,
        .length = value->DataLength,
    };
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;

    if (name != NULL)
        status = give(query, entry, &found);
    free_copy(name);
    return status;
}

static NTSTATUS
do_every_value(const struct query *query, const RTL_QUERY_REGISTRY_TABLE *entry)
{
    NTSTATUS status = STATUS_SUCCESS;
    ULONG index = 0;
    bool any = false;

    while (NT_SUCCESS(status)) {
        KEY_VALUE_FULL_INFORMATION *value = NULL;

        status = read_value(query->at, NULL, index, &value);
        if (status == STATUS_NO_MORE_ENTRIES)
            break;
        if (NT_SUCCESS(status)) {
            UNICODE_STRING name = { (USHORT) value->NameLength,
                                    (USHORT) value->NameLength, value->Name };

            any = true;
            status = give_value(query, entry, value);
            if (NT_SUCCESS(status) &&
                (entry->Flags & RTL_QUERY_REGISTRY_DELETE))
                status = ZwDeleteValueKey(query->at, &name);
            else
                index++;
        }
        free_copy(value);
    }
    if (status != STATUS_NO_MORE_ENTRIES)
        return status;
    return !any && (entry->Flags & RTL_QUERY_REGISTRY_REQUIRED)
               ? STATUS_OBJECT_NAME_NOT_FOUND
               : STATUS_SUCCESS;
}

static NTSTATUS
do_value(const struct query *query, const RTL_QUERY_REGISTRY_TABLE *entry)
{
    KEY_VALUE_FULL_INFORMATION *value = NULL;
    UNICODE_STRING name;
    NTSTATUS status;

    RtlInitUnicodeString(&name, entry->Name);
    status = read_value(query->at, &name, 0, &value);
    if (status == STATUS_OBJECT_NAME_NOT_FOUND)
        return give_default(query, entry);
    if (!NT_SUCCESS(status))
        return status;
    status = give_value(query, entry, value);
    free_copy(value);
    if (NT_SUCCESS(status) && (entry->Flags & RTL_QUERY_REGISTRY_DELETE))
        ZwDeleteValueKey(query->at, &name);
    return status;
}

static void
back_to_top(struct query *query)
{
    if (query->at != query->top)
        ZwClose(query->at);
    query->at = query->top;
}

/* The entries that follow are about this key; with a routine, so is this. */
static NTSTATUS
do_subkey(struct query *query, const RTL_QUERY_REGISTRY_TABLE *entry)
{
    OBJECT_ATTRIBUTES how;
    UNICODE_STRING name;
    HANDLE handle;
    NTSTATUS status;

    if (entry->Name == NULL)
        return STATUS_INVALID_PARAMETER;
    back_to_top(query);
    RtlInitUnicodeString(&name, entry->Name);
    InitializeObjectAttributes(&how, &name,
                               OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE,
                               query->top, NULL);
    status = ZwOpenKey(&handle, KEY_ALL_ACCESS, &how);
    if (!NT_SUCCESS(status))
        return status;
    query->at = handle;
    return entry->QueryRoutine != NULL ? do_every_value(query, entry)
                                       : STATUS_SUCCESS;
}

static NTSTATUS
do_entry(struct query *query, const RTL_QUERY_REGISTRY_TABLE *entry)
{
    const struct found nothing = { .name = entry->Name };

    if ((entry->Flags & RTL_QUERY_REGISTRY_DIRECT) &&
        (entry->Name == NULL || entry->EntryContext == NULL ||
         (entry->Flags &
          (RTL_QUERY_REGISTRY_SUBKEY | RTL_QUERY_REGISTRY_NOVALUE))))
        return STATUS_INVALID_PARAMETER;
    if (entry->Flags & (RTL_QUERY_REGISTRY_TOPKEY | RTL_QUERY_REGISTRY_SUBKEY))
        back_to_top(query);
    if (entry->Flags & RTL_QUERY_REGISTRY_SUBKEY)
        return do_subkey(query, entry);
    if (entry->QueryRoutine == NULL &&
        !(entry->Flags & RTL_QUERY_REGISTRY_DIRECT))
        return STATUS_SUCCESS;
    if (entry->Flags & RTL_QUERY_REGISTRY_NOVALUE)
        return call(query, entry, &nothing);
    return entry->Name != NULL ? do_value(query, entry)
                               : do_every_value(query, entry);
}

static bool
is_last(const RTL_QUERY_REGISTRY_TABLE *entry)
{
    return entry->QueryRoutine == NULL && entry->Name == NULL &&
           !(entry->Flags &
             (RTL_QUERY_REGISTRY_SUBKEY | RTL_QUERY_REGISTRY_DIRECT));
}

/* Environment is not looked at: REG_EXPAND_SZ is passed on as it stands. */
NTSTATUS NTAPI
RtlQueryRegistryValues(ULONG RelativeTo, PCWSTR Path,
                       PRTL_QUERY_REGISTRY_TABLE QueryTable, PVOID Context,
                       PVOID Environment)
{
    struct query query = { .context = Context };
    NTSTATUS status;
    bool close;

    KE_IRQL(RtlQueryRegistryValues);
    UNREFERENCED_PARAMETER(Environment);
    status = cm_open_relative(RelativeTo, Path, false, &query.top, &close);
    if (!NT_SUCCESS(status))
        return status == STATUS_OBJECT_NAME_NOT_FOUND &&
                       (RelativeTo & RTL_REGISTRY_OPTIONAL)
                   ? STATUS_SUCCESS
                   : status;
    query.at = query.top;
    while (NT_SUCCESS(status) && !is_last(QueryTable))
        status = do_entry(&query, QueryTable++);
    back_to_top(&query);
    if (close)
        ZwClose(query.top);
    return status;
}
