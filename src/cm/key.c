/*
 * key.c - the tree of keys, and the way along it
 *
 * Names are compared without regard to case, whatever the attributes say.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cm/cm_internal.h"

#define NAME_MAX_BYTES (255 * sizeof(WCHAR)) /* of one key, as documented */

static KMUTEX lock;
static struct key *root; /* \Registry; from init to shutdown */

void
cm_lock(void)
{
    KeWaitForSingleObject(&lock, Executive, KernelMode, FALSE, NULL);
}

void
cm_unlock(void)
{
    KeReleaseMutex(&lock, FALSE);
}

/* --- keys ----------------------------------------------------------------- */

NTSTATUS
cm_copy_string(UNICODE_STRING *to, PCUNICODE_STRING from)
{
    *to = (UNICODE_STRING){ 0 };
    if (from == NULL || from->Length == 0)
        return STATUS_SUCCESS;
    to->Buffer = ExAllocatePoolWithTag(PagedPool, from->Length, CM_TAG);
    if (to->Buffer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    to->Length = to->MaximumLength = from->Length;
    RtlCopyMemory(to->Buffer, from->Buffer, from->Length);
    return STATUS_SUCCESS;
}

struct key *
cm_new_key(PCUNICODE_STRING name, PCUNICODE_STRING class)
{
    struct key *key = ob_create_object(&cm_key_type, sizeof *key);

    if (key == NULL)
        return NULL;
    InitializeListHead(&key->children);
    InitializeListHead(&key->values);
    if (!NT_SUCCESS(cm_copy_string(&key->name, name)) ||
        !NT_SUCCESS(cm_copy_string(&key->class, class))) {
        ObDereferenceObject(key);
        return NULL;
    }
    KeQuerySystemTime(&key->written);
    return key;
}

static void
destroy_key(PVOID object)
{
    struct key *key = object;

    while (!IsListEmpty(&key->values))
        cm_free_value(CONTAINING_RECORD(RemoveHeadList(&key->values),
                                        struct value, entry));
    if (key->name.Buffer != NULL)
        ExFreePoolWithTag(key->name.Buffer, CM_TAG);
    if (key->class.Buffer != NULL)
        ExFreePoolWithTag(key->class.Buffer, CM_TAG);
    ob_free(key);
}

struct key *
cm_child_locked(struct key *key, PCUNICODE_STRING name)
{
    for (PLIST_ENTRY at = key->children.Flink; at != &key->children;
         at = at->Flink) {
        struct key *child = CONTAINING_RECORD(at, struct key, entry);

        if (RtlEqualUnicodeString(&child->name, name, TRUE))
            return child;
    }
    return NULL;
}

void
cm_touch_locked(struct key *key)
{
    KeQuerySystemTime(&key->written);
}

NTSTATUS
cm_add_child_locked(struct key *parent, struct key *child)
{
    if (parent->deleted)
        return STATUS_KEY_DELETED;
    if (parent->is_volatile && !child->is_volatile)
        return STATUS_CHILD_MUST_BE_VOLATILE;
    child->parent = parent;
    ObReferenceObject(child);
    InsertTailList(&parent->children, &child->entry);
    cm_touch_locked(parent);
    return STATUS_SUCCESS;
}

void
cm_unlink_locked(struct key *key)
{
    RemoveEntryList(&key->entry);
    cm_touch_locked(key->parent);
    key->parent = NULL;
    key->deleted = true;
}

void
cm_empty_locked(struct key *key)
{
    while (!IsListEmpty(&key->children)) {
        struct key *child =
            CONTAINING_RECORD(key->children.Flink, struct key, entry);

        cm_empty_locked(child);
        cm_unlink_locked(child);
        ObDereferenceObject(child);
    }
}

/* --- the hooks of the type ------------------------------------------------ */

/* "\a\b" is "a", and "\b" is left. */
static UNICODE_STRING
take_component(UNICODE_STRING *path)
{
    UNICODE_STRING name = { .Buffer = path->Buffer + 1 };
    USHORT count = (USHORT) (path->Length / sizeof(WCHAR) - 1), n = 0;

    while (n < count && name.Buffer[n] != '\\')
        n++;
    name.Length = name.MaximumLength = (USHORT) (n * sizeof(WCHAR));
    path->Buffer += n + 1;
    path->Length = (USHORT) (path->Length - (n + 1) * sizeof(WCHAR));
    return name;
}

static NTSTATUS
create_locked(struct key *parent, PCUNICODE_STRING name,
              struct create_key *create, struct key **out_key)
{
    struct key *key;
    NTSTATUS status;

    if (name->Length > NAME_MAX_BYTES)
        return STATUS_INVALID_PARAMETER;
    key = cm_new_key(name, create->class);
    if (key == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    key->is_volatile = (create->options & REG_OPTION_VOLATILE) != 0;
    status = cm_add_child_locked(parent, key);
    /* The parent's reference is the one that counts. */
    ObDereferenceObject(key);
    if (!NT_SUCCESS(status))
        return status;
    create->disposition = REG_CREATED_NEW_KEY;
    *out_key = key;
    return STATUS_SUCCESS;
}

static NTSTATUS
walk_locked(struct key *key, UNICODE_STRING rest, struct create_key *create,
            struct key **out_key)
{
    NTSTATUS status = STATUS_SUCCESS;

    if (key->deleted)
        return STATUS_KEY_DELETED;
    if (create != NULL)
        create->disposition = REG_OPENED_EXISTING_KEY;
    /* A backslash at the end means nothing. */
    while (rest.Length > sizeof(WCHAR) && NT_SUCCESS(status)) {
        UNICODE_STRING name = take_component(&rest);
        struct key *child = cm_child_locked(key, &name);

        if (name.Length == 0)
            return STATUS_OBJECT_NAME_INVALID;
        if (child == NULL && create != NULL && rest.Length <= sizeof(WCHAR))
            status = create_locked(key, &name, create, &child);
        else if (child == NULL)
            status = STATUS_OBJECT_NAME_NOT_FOUND;
        key = child;
    }
    if (NT_SUCCESS(status))
        *out_key = key;
    return status;
}

static NTSTATUS
parse_key(PVOID object, PCUNICODE_STRING rest, const struct ob_open *open,
          PVOID *out_object, UNICODE_STRING *out_path)
{
    struct key *found = NULL;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(out_path);
    cm_lock();
    status = walk_locked(object, *rest, open->context, &found);
    if (NT_SUCCESS(status)) {
        ObReferenceObject(found);
        *out_object = found;
    }
    cm_unlock();
    return status;
}

static void
add_key_name_locked(struct key *key, struct ob_path *path)
{
    static const UNICODE_STRING separator = RTL_CONSTANT_STRING(L"\\");

    if (key->parent != NULL)
        add_key_name_locked(key->parent, path);
    if (key->deleted)
        return;
    ob_path_add(path, &separator);
    ob_path_add(path, &key->name);
}

static void
add_key_name(PVOID object, struct ob_path *path)
{
    cm_lock();
    add_key_name_locked(object, path);
    cm_unlock();
}

struct _OBJECT_TYPE cm_key_type = {
    .name = OB_TYPE_NAME(L"Key"),
    .mapping = { KEY_READ, KEY_WRITE, KEY_EXECUTE, KEY_ALL_ACCESS },
    .valid_access = KEY_ALL_ACCESS,
    .destroy = destroy_key,
    .parse = parse_key,
    .add_name = add_key_name,
};

static POBJECT_TYPE the_type = &cm_key_type;
POBJECT_TYPE *CmKeyObjectType = &the_type;

NTSTATUS
cm_enter(HANDLE handle, ACCESS_MASK access, struct key **out_key)
{
    PVOID object;
    NTSTATUS status = ObReferenceObjectByHandle(handle, access, &cm_key_type,
                                                KernelMode, &object, NULL);

    if (!NT_SUCCESS(status))
        return status;
    cm_lock();
    if (((struct key *) object)->deleted) {
        cm_unlock();
        ObDereferenceObject(object);
        return STATUS_KEY_DELETED;
    }
    *out_key = object;
    return STATUS_SUCCESS;
}

void
cm_leave(struct key *key)
{
    cm_unlock();
    ObDereferenceObject(key);
}

/* --- life ----------------------------------------------------------------- */

NTSTATUS
cm_init(void)
{
    static const char *const known[] = {
        CM_SERVICES,   CM_ENUM,
        CM_CLASS,      "\\Registry\\Machine\\Hardware\\DeviceMap",
        CM_WINDOWS_NT, "\\Registry\\User\\.Default",
    };
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"REGISTRY");
    UNICODE_STRING path = RTL_CONSTANT_STRING(L"\\REGISTRY");
    NTSTATUS status;

    if (root != NULL)
        return STATUS_SUCCESS;
    KeInitializeMutex(&lock, 0);
    root = cm_new_key(&name, NULL);
    if (root == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = ob_name_object(root, &path, OBJ_PERMANENT | OBJ_CASE_INSENSITIVE);
    for (size_t i = 0; i < ARRAYSIZE(known) && NT_SUCCESS(status); i++)
        status = cm_make_key(known[i]);
    if (!NT_SUCCESS(status))
        cm_shutdown();
    return status;
}

void
cm_shutdown(void)
{
    struct key *last = root;

    if (last == NULL)
        return;
    cm_lock();
    cm_empty_locked(last);
    last->deleted = true;
    cm_unlock();
    root = NULL;
    ob_make_temporary(last);
    ObDereferenceObject(last);
}
