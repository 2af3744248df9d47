/*
 * zw.c - the documented routines on keys
 *
 * SPDX-License-Identifier: MIT
 */
#include "cm/cm_internal.h"

NTSTATUS NTAPI
ZwOpenKey(PHANDLE KeyHandle, ACCESS_MASK DesiredAccess,
          POBJECT_ATTRIBUTES ObjectAttributes)
{
    KE_IRQL(ZwOpenKey);
    return ob_open_object(ObjectAttributes, &cm_key_type, DesiredAccess, NULL,
                          KeyHandle);
}

/* Disposition may be NULL.  The keys above must be there. */
NTSTATUS NTAPI
ZwCreateKey(PHANDLE KeyHandle, ACCESS_MASK DesiredAccess,
            POBJECT_ATTRIBUTES ObjectAttributes, ULONG TitleIndex,
            PUNICODE_STRING Class, ULONG CreateOptions, PULONG Disposition)
{
    struct create_key create = { .class = Class, .options = CreateOptions };
    NTSTATUS status;

    KE_IRQL(ZwCreateKey);
    UNREFERENCED_PARAMETER(TitleIndex);
    if (CreateOptions &
        ~(ULONG) (REG_OPTION_VOLATILE | REG_OPTION_BACKUP_RESTORE))
        return STATUS_INVALID_PARAMETER;
    status = ob_open_object(ObjectAttributes, &cm_key_type, DesiredAccess,
                            &create, KeyHandle);
    if (NT_SUCCESS(status) && Disposition != NULL)
        *Disposition = create.disposition;
    return status;
}

/* The name goes at once, the key with its last handle. */
NTSTATUS NTAPI
ZwDeleteKey(HANDLE KeyHandle)
{
    struct key *key;
    NTSTATUS status;

    KE_IRQL(ZwDeleteKey);
    status = cm_enter(KeyHandle, DELETE, &key);
    if (!NT_SUCCESS(status))
        return status == STATUS_KEY_DELETED ? STATUS_SUCCESS : status;
    if (key->parent == NULL || !IsListEmpty(&key->children)) {
        cm_leave(key);
        return STATUS_CANNOT_DELETE;
    }
    cm_unlink_locked(key);
    cm_unlock();
    ObDereferenceObject(key); /* the parent's */
    ObDereferenceObject(key);
    return STATUS_SUCCESS;
}

/* There is nothing behind the tree that a change would have to reach. */
NTSTATUS NTAPI
ZwFlushKey(HANDLE KeyHandle)
{
    struct key *key;
    NTSTATUS status;

    KE_IRQL(ZwFlushKey);
    status = cm_enter(KeyHandle, 0, &key);
    if (NT_SUCCESS(status))
        cm_leave(key);
    return status;
}

/* --- what a key is -------------------------------------------------------- */

static void
larger(ULONG *most, ULONG one)
{
    if (one > *most)
        *most = one;
}

static void
fill_full(const struct key *key, KEY_FULL_INFORMATION *out)
{
    out->LastWriteTime = key->written;
    out->ClassOffset = key->class.Length != 0
                           ? offsetof(KEY_FULL_INFORMATION, Class)
                           : 0xFFFFFFFF;
    out->ClassLength = key->class.Length;
    for (PLIST_ENTRY at = key->children.Flink; at != &key->children;
         at = at->Flink) {
        const struct key *child = CONTAINING_RECORD(at, struct key, entry);

        out->SubKeys++;
        larger(&out->MaxNameLen, child->name.Length);
        larger(&out->MaxClassLen, child->class.Length);
    }
    for (PLIST_ENTRY at = key->values.Flink; at != &key->values;
         at = at->Flink) {
        const struct value *value = CONTAINING_RECORD(at, struct value, entry);

        out->Values++;
        larger(&out->MaxValueNameLen, value->name.Length);
        larger(&out->MaxValueDataLen, value->length);
    }
}

static NTSTATUS
describe(const struct key *key, KEY_INFORMATION_CLASS class, PVOID out,
         ULONG max, PULONG out_length)
{
    const ULONG basic_at = offsetof(KEY_BASIC_INFORMATION, Name);
    const ULONG node_at = offsetof(KEY_NODE_INFORMATION, Name);
    const ULONG full_at = offsetof(KEY_FULL_INFORMATION, Class);
    const ULONG class_at = (node_at + key->name.Length + 3) & ~3u;
    KEY_BASIC_INFORMATION basic = { .LastWriteTime = key->written,
                                    .NameLength = key->name.Length };
    KEY_NODE_INFORMATION node = {
        .LastWriteTime = key->written,
        .ClassOffset = key->class.Length != 0 ? class_at : 0xFFFFFFFF,
        .ClassLength = key->class.Length,
        .NameLength = key->name.Length,
    };
    KEY_FULL_INFORMATION full = { 0 };
    const struct part as_basic[] = {
        { 0, &basic, basic_at },
        { basic_at, key->name.Buffer, key->name.Length },
    };
    const struct part as_node[] = {
        { 0, &node, node_at },
        { node_at, key->name.Buffer, key->name.Length },
        { class_at, key->class.Buffer, key->class.Length },
    };
    const struct part as_full[] = {
        { 0, &full, full_at },
        { full_at, key->class.Buffer, key->class.Length },
    };

    if (class == KeyBasicInformation)
        return cm_answer(as_basic, 2, out, max, out_length);
    if (class == KeyNodeInformation)
        return cm_answer(as_node, key->class.Length != 0 ? 3 : 2, out, max,
                         out_length);
    if (class != KeyFullInformation)
        return STATUS_INVALID_PARAMETER;
    fill_full(key, &full);
    return cm_answer(as_full, 2, out, max, out_length);
}

/* The whole path. */
static NTSTATUS
describe_name(HANDLE handle, PVOID out, ULONG max, PULONG out_length)
{
    struct ob_path path = { 0 };
    KEY_NAME_INFORMATION head;
    struct part parts[] = {
        { 0, &head, offsetof(KEY_NAME_INFORMATION, Name) },
        { offsetof(KEY_NAME_INFORMATION, Name), NULL, 0 },
    };
    struct key *key;
    NTSTATUS status = cm_enter(handle, 0, &key);

    if (!NT_SUCCESS(status))
        return status;
    path.max = 0xFFFE;
    path.buffer = ExAllocatePoolWithTag(PagedPool, path.max, CM_TAG);
    if (path.buffer != NULL) {
        ob_path_add_object(&path, key);
        parts[1].data = path.buffer;
        parts[1].length = head.NameLength =
            path.length < path.max ? path.length : path.max;
        status = cm_answer(parts, 2, out, max, out_length);
        ExFreePoolWithTag(path.buffer, CM_TAG);
    } else {
        status = STATUS_INSUFFICIENT_RESOURCES;
    }
    cm_leave(key);
    return status;
}

NTSTATUS NTAPI
ZwQueryKey(HANDLE KeyHandle, KEY_INFORMATION_CLASS KeyInformationClass,
           PVOID KeyInformation, ULONG Length, PULONG ResultLength)
{
    struct key *key;
    NTSTATUS status;

    KE_IRQL(ZwQueryKey);
    if (KeyInformationClass == KeyNameInformation)
        return describe_name(KeyHandle, KeyInformation, Length, ResultLength);
    status = cm_enter(KeyHandle, KEY_QUERY_VALUE, &key);
    if (!NT_SUCCESS(status))
        return status;
    status = describe(key, KeyInformationClass, KeyInformation, Length,
                      ResultLength);
    cm_leave(key);
    return status;
}

NTSTATUS NTAPI
ZwEnumerateKey(HANDLE KeyHandle, ULONG Index,
               KEY_INFORMATION_CLASS KeyInformationClass, PVOID KeyInformation,
               ULONG Length, PULONG ResultLength)
{
    PLIST_ENTRY at;
    struct key *key;
    NTSTATUS status;

    KE_IRQL(ZwEnumerateKey);
    status = cm_enter(KeyHandle, KEY_ENUMERATE_SUB_KEYS, &key);
    if (!NT_SUCCESS(status))
        return status;
    at = key->children.Flink;
    while (at != &key->children && Index-- > 0)
        at = at->Flink;
    status = at != &key->children
                 ? describe(CONTAINING_RECORD(at, struct key, entry),
                            KeyInformationClass, KeyInformation, Length,
                            ResultLength)
                 : STATUS_NO_MORE_ENTRIES;
    cm_leave(key);
    return status;
}
