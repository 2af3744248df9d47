/*
 * value.c - values of keys, and answers of changing size
 *
 * SPDX-License-Identifier: MIT
 */
#include "cm/cm_internal.h"

struct value *
cm_value_locked(struct key *key, PCUNICODE_STRING name)
{
    for (PLIST_ENTRY at = key->values.Flink; at != &key->values;
         at = at->Flink) {
        struct value *value = CONTAINING_RECORD(at, struct value, entry);

        if (RtlEqualUnicodeString(&value->name, name, TRUE))
            return value;
    }
    return NULL;
}

void
cm_free_value(struct value *value)
{
    if (value->data != NULL)
        ExFreePoolWithTag(value->data, CM_TAG);
    ExFreePoolWithTag(value, CM_TAG);
}

static struct value *
new_value(PCUNICODE_STRING name)
{
    struct value *value =
        ExAllocatePoolWithTag(PagedPool, sizeof *value + name->Length, CM_TAG);

    if (value == NULL)
        return NULL;
    RtlZeroMemory(value, sizeof *value);
    value->name =
        (UNICODE_STRING){ name->Length, name->Length, (PWSTR) (value + 1) };
    RtlCopyMemory(value->name.Buffer, name->Buffer, name->Length);
    return value;
}

NTSTATUS
cm_set_locked(struct key *key, PCUNICODE_STRING name, ULONG type,
              const void *data, ULONG length)
{
    struct value *value = cm_value_locked(key, name);
    PVOID copy = NULL;

    if (length != 0) {
        copy = ExAllocatePoolWithTag(PagedPool, length, CM_TAG);
        if (copy == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        RtlCopyMemory(copy, data, length);
    }
    if (value == NULL) {
        value = new_value(name);
        if (value == NULL) {
            if (copy != NULL)
                ExFreePoolWithTag(copy, CM_TAG);
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        InsertTailList(&key->values, &value->entry);
    }
    if (value->data != NULL)
        ExFreePoolWithTag(value->data, CM_TAG);
    value->type = type;
    value->length = length;
    value->data = copy;
    cm_touch_locked(key);
    return STATUS_SUCCESS;
}

NTSTATUS
cm_answer(const struct part *parts, int count, PVOID out, ULONG max,
          PULONG out_length)
{
    ULONG need = 0;

    for (int i = 0; i < count; i++)
        if (parts[i].offset + parts[i].length > need)
            need = parts[i].offset + parts[i].length;
    *out_length = need;
    if (max < parts[0].length)
        return STATUS_BUFFER_TOO_SMALL;
    for (int i = 0; i < count; i++) {
        ULONG room = max > parts[i].offset ? max - parts[i].offset : 0;
        ULONG fits = parts[i].length < room ? parts[i].length : room;

        if (fits != 0)
            RtlCopyMemory((char *) out + parts[i].offset, parts[i].data, fits);
    }
    return max < need ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

/* --- the documented routines ---------------------------------------------- */

static NTSTATUS
describe(const struct value *value, KEY_VALUE_INFORMATION_CLASS class,
         PVOID out, ULONG max, PULONG out_length)
{
    const ULONG name_at = offsetof(KEY_VALUE_FULL_INFORMATION, Name);
    KEY_VALUE_BASIC_INFORMATION basic = { .Type = value->type,
                                          .NameLength = value->name.Length };
    KEY_VALUE_FULL_INFORMATION full = {
        .Type = value->type,
        .DataOffset = (name_at + value->name.Length + 3) & ~3u,
        .DataLength = value->length,
        .NameLength = value->name.Length,
    };
    KEY_VALUE_PARTIAL_INFORMATION partial = { .Type = value->type,
                                              .DataLength = value->length };
    const struct part as_basic[] = {
        { 0, &basic, offsetof(KEY_VALUE_BASIC_INFORMATION, Name) },
        { offsetof(KEY_VALUE_BASIC_INFORMATION, Name), value->name.Buffer,
          value->name.Length },
    };
    const struct part as_full[] = {
        { 0, &full, name_at },
        { name_at, value->name.Buffer, value->name.Length },
        { full.DataOffset, value->data, value->length },
    };
    const struct part as_partial[] = {
        { 0, &partial, offsetof(KEY_VALUE_PARTIAL_INFORMATION, Data) },
        { offsetof(KEY_VALUE_PARTIAL_INFORMATION, Data), value->data,
          value->length },
    };

    if (class == KeyValueBasicInformation)
        return cm_answer(as_basic, 2, out, max, out_length);
    if (class == KeyValueFullInformation)
        return cm_answer(as_full, 3, out, max, out_length);
    if (class == KeyValuePartialInformation)
        return cm_answer(as_partial, 2, out, max, out_length);
    return STATUS_INVALID_PARAMETER;
}

NTSTATUS NTAPI
ZwQueryValueKey(HANDLE KeyHandle, PUNICODE_STRING ValueName,
                KEY_VALUE_INFORMATION_CLASS KeyValueInformationClass,
                PVOID KeyValueInformation, ULONG Length, PULONG ResultLength)
{
    struct value *value;
    struct key *key;
    NTSTATUS status;

    KE_IRQL(ZwQueryValueKey);
    status = cm_enter(KeyHandle, KEY_QUERY_VALUE, &key);
    if (!NT_SUCCESS(status))
        return status;
    value = cm_value_locked(key, ValueName);
    status = value != NULL ? describe(value, KeyValueInformationClass,
                                      KeyValueInformation, Length, ResultLength)
                           : STATUS_OBJECT_NAME_NOT_FOUND;
    cm_leave(key);
    return status;
}

NTSTATUS NTAPI
ZwEnumerateValueKey(HANDLE KeyHandle, ULONG Index,
                    KEY_VALUE_INFORMATION_CLASS KeyValueInformationClass,
                    PVOID KeyValueInformation, ULONG Length,
                    PULONG ResultLength)
{
    PLIST_ENTRY at;
    struct key *key;
    NTSTATUS status;

    KE_IRQL(ZwEnumerateValueKey);
    status = cm_enter(KeyHandle, KEY_QUERY_VALUE, &key);
    if (!NT_SUCCESS(status))
        return status;
    at = key->values.Flink;
    while (at != &key->values && Index-- > 0)
        at = at->Flink;
    status = at != &key->values
                 ? describe(CONTAINING_RECORD(at, struct value, entry),
                            KeyValueInformationClass, KeyValueInformation,
                            Length, ResultLength)
                 : STATUS_NO_MORE_ENTRIES;
    cm_leave(key);
    return status;
}

NTSTATUS NTAPI
ZwSetValueKey(HANDLE KeyHandle, PUNICODE_STRING ValueName, ULONG TitleIndex,
              ULONG Type, PVOID Data, ULONG DataSize)
{
    struct key *key;
    NTSTATUS status;

    KE_IRQL(ZwSetValueKey);
    UNREFERENCED_PARAMETER(TitleIndex);
    status = cm_enter(KeyHandle, KEY_SET_VALUE, &key);
    if (!NT_SUCCESS(status))
        return status;
    status = cm_set_locked(key, ValueName, Type, Data, DataSize);
    cm_leave(key);
    return status;
}

NTSTATUS NTAPI
ZwDeleteValueKey(HANDLE KeyHandle, PUNICODE_STRING ValueName)
{
    struct value *value;
    struct key *key;
    NTSTATUS status;

    KE_IRQL(ZwDeleteValueKey);
    status = cm_enter(KeyHandle, KEY_SET_VALUE, &key);
    if (!NT_SUCCESS(status))
        return status;
    value = cm_value_locked(key, ValueName);
    if (value != NULL) {
        RemoveEntryList(&value->entry);
        cm_touch_locked(key);
        cm_free_value(value);
    } else {
        status = STATUS_OBJECT_NAME_NOT_FOUND;
    }
    cm_leave(key);
    return status;
}
