/*
 * walk.c - the way along a path: directories, links, hooks
 *
 * A walk starts at the root or at an open object and goes down component by
 * component.  A link sends it back to the root with another path, and so may a
 * hook (STATUS_REPARSE), both no more than LINK_DEPTH times.
 *
 * Context: PASSIVE; each step references what it stands on, no lock is held.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ob/ob_internal.h"

#define LINK_DEPTH 32

/* "\Device\Cd0" is "Device" and then "\Cd0". */
static UNICODE_STRING
take_component(UNICODE_STRING *path)
{
    UNICODE_STRING first = { .Buffer = path->Buffer + 1 };
    USHORT n = 0, count = (USHORT) (path->Length / sizeof(WCHAR) - 1);

    while (n < count && first.Buffer[n] != '\\')
        n++;
    first.Length = first.MaximumLength = (USHORT) (n * sizeof(WCHAR));
    path->Buffer += n + 1;
    path->Length = (USHORT) (path->Length - (n + 1) * sizeof(WCHAR));
    path->MaximumLength = path->Length;
    return first;
}

/* One lookup under way. */
struct walk {
    const struct ob_open *open;
    UNICODE_STRING rest; /* still to go */
    PWSTR buffer;        /* that `rest` lies in, if a link was followed */
    PVOID at;            /* referenced */
    int links;
    bool to_parent; /* stop before the last component */
    bool entry;     /* `at` was found by its name in a directory */
};

static void
start_again(struct walk *walk, const UNICODE_STRING *path)
{
    if (walk->buffer != NULL)
        ExFreePoolWithTag(walk->buffer, OB_TAG_NAME);
    walk->buffer = path->Buffer;
    walk->rest = *path;
    ObfDereferenceObject(walk->at);
    walk->at = ob_root();
    ObfReferenceObject(walk->at);
    walk->entry = false;
}

NTSTATUS
ob_join(PCUNICODE_STRING first, PCUNICODE_STRING second,
        UNICODE_STRING *out_path)
{
    ULONG length = (ULONG) first->Length + second->Length;
    PWSTR buffer;

    if (length > 0xFFFE)
        return STATUS_NAME_TOO_LONG;
    buffer =
        ExAllocatePoolWithTag(PagedPool, length + sizeof(WCHAR), OB_TAG_NAME);
    if (buffer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (first->Length != 0)
        RtlCopyMemory(buffer, first->Buffer, first->Length);
    if (second->Length != 0)
        RtlCopyMemory((char *) buffer + first->Length, second->Buffer,
                      second->Length);
    *out_path = (UNICODE_STRING){ (USHORT) length, (USHORT) length, buffer };
    return STATUS_SUCCESS;
}

/* Whether the walk ends at this link itself. */
static bool
wants_link(const struct walk *walk)
{
    return walk->rest.Length == 0 && (walk->open->type == &ob_link_type ||
                                      (walk->open->attributes & OBJ_OPENLINK));
}

static NTSTATUS
follow(struct walk *walk)
{
    UNICODE_STRING path;
    NTSTATUS status;

    if (++walk->links > LINK_DEPTH)
        return STATUS_OBJECT_NAME_INVALID;
    status = ob_join(ob_link_target(walk->at), &walk->rest, &path);
    if (!NT_SUCCESS(status))
        return status;
    if (path.Length == 0 || path.Buffer[0] != '\\') {
        ExFreePoolWithTag(path.Buffer, OB_TAG_NAME);
        return STATUS_OBJECT_PATH_SYNTAX_BAD;
    }
    start_again(walk, &path);
    return STATUS_SUCCESS;
}

/* What is below an object with a hook is found by the hook. */
static NTSTATUS
parse(struct walk *walk)
{
    UNICODE_STRING path = { 0 };
    PVOID object = NULL;
    NTSTATUS status;

    if (walk->rest.Length == 0 && walk->open->context == NULL &&
        walk->open->type == ob_type_of(walk->at))
        return STATUS_SUCCESS;
    status = ob_type_of(walk->at)->parse(walk->at, &walk->rest, walk->open,
                                         &object, &path);
    if (status == STATUS_REPARSE) {
        if (++walk->links > LINK_DEPTH) {
            ExFreePoolWithTag(path.Buffer, OB_TAG_NAME);
            return STATUS_OBJECT_NAME_INVALID;
        }
        start_again(walk, &path);
        return STATUS_REPARSE;
    }
    if (!NT_SUCCESS(status))
        return status;
    ObfDereferenceObject(walk->at);
    walk->at = object;
    walk->entry = false;
    walk->rest.Length = 0;
    return STATUS_SUCCESS;
}

static NTSTATUS
step_down(struct walk *walk)
{
    bool insensitive = (walk->open->attributes & OBJ_CASE_INSENSITIVE) != 0;
    UNICODE_STRING name;
    PVOID next = NULL;
    NTSTATUS status;

    if (walk->rest.Buffer[0] != '\\')
        return STATUS_OBJECT_PATH_SYNTAX_BAD;
    name = take_component(&walk->rest);
    if (name.Length == 0)
        return STATUS_OBJECT_NAME_INVALID;
    status = ob_name_child(walk->at, &name, insensitive, &next);
    if (status == STATUS_OBJECT_NAME_NOT_FOUND && walk->rest.Length != 0)
        return STATUS_OBJECT_PATH_NOT_FOUND;
    if (!NT_SUCCESS(status))
        return status;
    ObfDereferenceObject(walk->at);
    walk->at = next;
    walk->entry = true;
    return STATUS_SUCCESS;
}

static bool
is_last_component(const UNICODE_STRING *path)
{
    for (SIZE_T i = 1; i < path->Length / sizeof(WCHAR); i++)
        if (path->Buffer[i] == '\\')
            return false;
    return true;
}

static NTSTATUS
run(struct walk *walk)
{
    for (;;) {
        POBJECT_TYPE type = ob_type_of(walk->at);
        NTSTATUS status;

        if (type == &ob_link_type && !wants_link(walk)) {
            status = follow(walk);
        } else if (type->parse != NULL) {
            status = parse(walk);
            if (status == STATUS_SUCCESS)
                return status;
            status = status == STATUS_REPARSE ? STATUS_SUCCESS : status;
        } else if (walk->rest.Length == 0) {
            return walk->to_parent ? STATUS_OBJECT_NAME_COLLISION
                                   : STATUS_SUCCESS;
        } else if (type != &ob_directory_type) {
            return STATUS_OBJECT_TYPE_MISMATCH;
        } else if (walk->to_parent && is_last_component(&walk->rest)) {
            return STATUS_SUCCESS;
        } else {
            status = step_down(walk);
        }
        if (!NT_SUCCESS(status))
            return status;
    }
}

/* From the root, or from an open directory, device or key: below that, a path
 * does not begin with a backslash, but `rest` does. */
static NTSTATUS
begin(struct walk *walk, const struct ob_open *open)
{
    static const UNICODE_STRING separator = RTL_CONSTANT_STRING(L"\\");
    UNICODE_STRING name =
        open->name != NULL ? *open->name : (UNICODE_STRING){ 0 };
    UNICODE_STRING path;
    NTSTATUS status;

    walk->open = open;
    if (name.Length % sizeof(WCHAR) != 0)
        return STATUS_OBJECT_NAME_INVALID;
    if (open->root == NULL) {
        if (name.Length == 0 || name.Buffer[0] != '\\')
            return STATUS_OBJECT_PATH_SYNTAX_BAD;
        walk->rest = name;
        if (name.Length == sizeof(WCHAR))
            walk->rest.Length = 0;
        walk->at = ob_root();
        ObfReferenceObject(walk->at);
        return STATUS_SUCCESS;
    }
    if (name.Length != 0 && name.Buffer[0] == '\\')
        return STATUS_OBJECT_PATH_SYNTAX_BAD;
    status =
        ob_reference_handle(open->root, 0, NULL, open->mode, &walk->at, NULL);
    if (!NT_SUCCESS(status))
        return status;
    if (ob_type_of(walk->at) != &ob_directory_type &&
        ob_type_of(walk->at)->parse == NULL)
        return STATUS_OBJECT_TYPE_MISMATCH;
    if (name.Length == 0)
        return STATUS_SUCCESS;
    status = ob_join(&separator, &name, &path);
    if (!NT_SUCCESS(status))
        return status;
    walk->rest = path;
    walk->buffer = path.Buffer;
    return STATUS_SUCCESS;
}

static void
finish(struct walk *walk)
{
    if (walk->buffer != NULL)
        ExFreePoolWithTag(walk->buffer, OB_TAG_NAME);
    if (walk->at != NULL)
        ObfDereferenceObject(walk->at);
}

NTSTATUS
ob_lookup_entry(const struct ob_open *open, PVOID *out_object, bool *out_entry)
{
    struct walk walk = { 0 };
    NTSTATUS status = begin(&walk, open);

    if (NT_SUCCESS(status))
        status = run(&walk);
    if (NT_SUCCESS(status) && open->type != NULL &&
        ob_type_of(walk.at) != open->type)
        status = STATUS_OBJECT_TYPE_MISMATCH;
    if (NT_SUCCESS(status)) {
        *out_object = walk.at;
        *out_entry = walk.entry;
        walk.at = NULL;
    }
    finish(&walk);
    return status;
}

NTSTATUS
ob_lookup(const struct ob_open *open, PVOID *out_object)
{
    bool entry;

    return ob_lookup_entry(open, out_object, &entry);
}

NTSTATUS
ob_walk_to_parent(const struct ob_open *open, ob_in_parent_fn *fn,
                  void *context)
{
    struct walk walk = { .to_parent = true };
    NTSTATUS status = begin(&walk, open);

    if (NT_SUCCESS(status))
        status = run(&walk);
    if (NT_SUCCESS(status) && ob_type_of(walk.at) != &ob_directory_type)
        status = STATUS_OBJECT_TYPE_MISMATCH;
    if (NT_SUCCESS(status)) {
        UNICODE_STRING last = take_component(&walk.rest);

        status = last.Length != 0 ? fn(walk.at, &last, context)
                                  : STATUS_OBJECT_NAME_INVALID;
    }
    finish(&walk);
    return status;
}
