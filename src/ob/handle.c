/*
 * handle.c - the table of handles
 *
 * One table for the one process.  Pages are made when they are needed and kept
 * until the shutdown; a closed handle is given out again as late as possible,
 * so that a stale one is noticed.
 *
 * Lock: the handle lock, taken at <= DISPATCH.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ob/ob_internal.h"

#define PAGE_ENTRIES    256u
#define PAGES           256u
#define STEP            4u /* handles are multiples of it: low bits are free */

#define CURRENT_PROCESS ((HANDLE) (LONG_PTR) -1)
#define CURRENT_THREAD  ((HANDLE) (LONG_PTR) -2)

struct entry {
    PVOID object; /* holds a reference; NULL: free */
    ACCESS_MASK access;
    ULONG attributes;
    struct entry *next; /* among the free ones */
    uint32_t index;
};

/* handle lock */
static KSPIN_LOCK handle_lock;
static struct entry *pages[PAGES];
static unsigned page_count, open_count;
static struct entry *first_free, *last_free;

static void
put_free_locked(struct entry *entry)
{
    entry->object = NULL;
    entry->next = NULL;
    if (first_free == NULL)
        first_free = entry;
    else
        last_free->next = entry;
    last_free = entry;
}

static struct entry *
take_free_locked(void)
{
    struct entry *entry = first_free;

    if (entry != NULL)
        first_free = entry->next;
    return entry;
}

static NTSTATUS
add_page(void)
{
    struct entry *page = ExAllocatePoolWithTag(
        NonPagedPool, PAGE_ENTRIES * sizeof *page, OB_TAG_HANDLE);
    bool taken = false;
    KIRQL irql;

    if (page == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeAcquireSpinLock(&handle_lock, &irql);
    if (page_count < PAGES) {
        taken = true;
        pages[page_count] = page;
        for (unsigned i = 0; i < PAGE_ENTRIES; i++) {
            page[i].index = page_count * PAGE_ENTRIES + i;
            put_free_locked(&page[i]);
        }
        page_count++;
    }
    KeReleaseSpinLock(&handle_lock, irql);
    if (!taken)
        ExFreePoolWithTag(page, OB_TAG_HANDLE);
    return taken ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

static HANDLE
handle_of(const struct entry *entry)
{
    return (HANDLE) ((ULONG_PTR) (entry->index + 1) * STEP);
}

/* NULL: no such handle. */
static struct entry *
entry_locked(HANDLE handle)
{
    ULONG_PTR index = (ULONG_PTR) handle / STEP - 1;
    struct entry *entry;

    if ((ULONG_PTR) handle < STEP || index >= page_count * PAGE_ENTRIES)
        return NULL;
    entry = &pages[index / PAGE_ENTRIES][index % PAGE_ENTRIES];
    return entry->object != NULL ? entry : NULL;
}

LONG
ob_handles_of(PVOID object)
{
    LONG handles;
    KIRQL irql;

    KeAcquireSpinLock(&handle_lock, &irql);
    handles = ob_head_of(object)->handles;
    KeReleaseSpinLock(&handle_lock, irql);
    return handles;
}

unsigned
ob_handle_count(void)
{
    unsigned count;
    KIRQL irql;

    KeAcquireSpinLock(&handle_lock, &irql);
    count = open_count;
    KeReleaseSpinLock(&handle_lock, irql);
    return count;
}

/* --- opened --------------------------------------------------------------- */

NTSTATUS
ob_insert_handle(PVOID object, ACCESS_MASK access, ULONG attributes,
                 PHANDLE out_handle)
{
    struct entry *entry;
    HANDLE handle = NULL;
    KIRQL irql;

    for (;;) {
        KeAcquireSpinLock(&handle_lock, &irql);
        entry = take_free_locked();
        if (entry != NULL) {
            ObfReferenceObject(object);
            entry->object = object;
            entry->access = ob_map_access(ob_type_of(object), access);
            entry->attributes = attributes & (OBJ_KERNEL_HANDLE | OBJ_INHERIT);
            ob_head_of(object)->handles++;
            open_count++;
            handle = handle_of(entry);
        }
        KeReleaseSpinLock(&handle_lock, irql);
        if (entry != NULL)
            break;
        if (!NT_SUCCESS(add_page()))
            return STATUS_INSUFFICIENT_RESOURCES;
    }
    *out_handle = handle;
    return STATUS_SUCCESS;
}

static const OBJECT_ATTRIBUTES no_attributes = { sizeof no_attributes };

/* Of an object that was found by its name.  STATUS_RETRY: it has lost the name
 * before the handle could keep it. */
static NTSTATUS
open_entry(PVOID object, ACCESS_MASK access, ULONG attributes,
           PHANDLE out_handle)
{
    HANDLE handle;
    NTSTATUS status = ob_insert_handle(object, access, attributes, &handle);

    if (!NT_SUCCESS(status))
        return status;
    if (!ob_has_name(object)) {
        ZwClose(handle);
        return STATUS_RETRY;
    }
    *out_handle = handle;
    return STATUS_SUCCESS;
}

/* OBJ_OPENIF: `existing` is what bears the name. */
static NTSTATUS
open_existing(PVOID object, PVOID existing, ACCESS_MASK access,
              ULONG attributes, PHANDLE out_handle)
{
    NTSTATUS status = STATUS_OBJECT_NAME_COLLISION;

    if (existing == NULL)
        return status;
    if (attributes & OBJ_OPENIF) {
        status = STATUS_OBJECT_TYPE_MISMATCH;
        if (ob_type_of(existing) == ob_type_of(object))
            status = open_entry(existing, access, attributes, out_handle);
        if (NT_SUCCESS(status))
            status = STATUS_OBJECT_NAME_EXISTS;
    }
    ObfDereferenceObject(existing);
    return status;
}

/* STATUS_SUCCESS: it has the name; STATUS_OBJECT_NAME_EXISTS: *out_other is a
 * handle of what has it. */
static NTSTATUS
name_or_open(PVOID object, const OBJECT_ATTRIBUTES *how, ACCESS_MASK access,
             PHANDLE out_other)
{
    NTSTATUS status;

    do {
        PVOID existing;

        status = ob_name_insert(object, how->RootDirectory, how->ObjectName,
                                how->Attributes, &existing);
        if (status == STATUS_OBJECT_NAME_COLLISION)
            status = open_existing(object, existing, access, how->Attributes,
                                   out_other);
    } while (status == STATUS_RETRY);
    return status;
}

NTSTATUS
ob_insert_object(PVOID object, POBJECT_ATTRIBUTES attributes,
                 ACCESS_MASK access, PHANDLE out_handle)
{
    const OBJECT_ATTRIBUTES *how =
        attributes != NULL ? attributes : &no_attributes;
    bool named = how->ObjectName != NULL && how->ObjectName->Length != 0;
    HANDLE handle = NULL, other = NULL;
    NTSTATUS status;

    /* First the handle, so that the name has what keeps it. */
    status = ob_insert_handle(object, access, how->Attributes, &handle);
    if (NT_SUCCESS(status) && named) {
        status = name_or_open(object, how, access, &other);
        if (status != STATUS_SUCCESS) {
            ZwClose(handle);
            handle = other;
        }
    }
    if (NT_SUCCESS(status))
        *out_handle = handle;
    ObfDereferenceObject(object);
    return status;
}

NTSTATUS
ob_open_object(POBJECT_ATTRIBUTES attributes, POBJECT_TYPE type,
               ACCESS_MASK access, void *context, PHANDLE out_handle)
{
    struct ob_open open = {
        .root = attributes->RootDirectory,
        .name = attributes->ObjectName,
        .attributes = attributes->Attributes,
        .type = type,
        .access = access,
        .context = context,
    };
    NTSTATUS status;
    PVOID object;
    bool entry;

    if (type != NULL)
        open.access = ob_map_access(type, access);
    do {
        status = ob_lookup_entry(&open, &object, &entry);
        if (!NT_SUCCESS(status))
            return status;
        status = entry ? open_entry(object, access, attributes->Attributes,
                                    out_handle)
                       : ob_insert_handle(object, access,
                                          attributes->Attributes, out_handle);
        ObfDereferenceObject(object);
    } while (status == STATUS_RETRY);
    return status;
}

/* --- used ----------------------------------------------------------------- */

static NTSTATUS
current_object(HANDLE handle, PVOID *out_object)
{
    if (handle == CURRENT_THREAD)
        *out_object = ke_current();
    else if (handle == CURRENT_PROCESS)
        *out_object = ob_system_process();
    else
        return STATUS_INVALID_HANDLE;
    ObfReferenceObject(*out_object);
    return STATUS_SUCCESS;
}

/* Kernel handles are none for user mode, which is also the only one whose
 * rights are looked at. */
static NTSTATUS
check(const struct entry *entry, ACCESS_MASK access, POBJECT_TYPE type,
      KPROCESSOR_MODE mode)
{
    if (entry == NULL ||
        (mode != KernelMode && (entry->attributes & OBJ_KERNEL_HANDLE)))
        return STATUS_INVALID_HANDLE;
    if (type != NULL && ob_type_of(entry->object) != type)
        return STATUS_OBJECT_TYPE_MISMATCH;
    if (mode != KernelMode && (access & ~entry->access))
        return STATUS_ACCESS_DENIED;
    return STATUS_SUCCESS;
}

NTSTATUS
ob_reference_handle(HANDLE handle, ACCESS_MASK access, POBJECT_TYPE type,
                    KPROCESSOR_MODE mode, PVOID *out_object,
                    POBJECT_HANDLE_INFORMATION out_information)
{
    OBJECT_HANDLE_INFORMATION information = { 0 };
    struct entry *entry;
    PVOID object = NULL;
    NTSTATUS status;
    KIRQL irql;

    if (NT_SUCCESS(current_object(handle, &object))) {
        information.GrantedAccess = ob_type_of(object)->mapping.GenericAll;
        status = type == NULL || ob_type_of(object) == type
                     ? STATUS_SUCCESS
                     : STATUS_OBJECT_TYPE_MISMATCH;
        if (!NT_SUCCESS(status))
            ObfDereferenceObject(object);
    } else {
        KeAcquireSpinLock(&handle_lock, &irql);
        entry = entry_locked(handle);
        status = check(entry, access, type, mode);
        if (NT_SUCCESS(status)) {
            object = entry->object;
            ObfReferenceObject(object);
            information.HandleAttributes = entry->attributes;
            information.GrantedAccess = entry->access;
        }
        KeReleaseSpinLock(&handle_lock, irql);
    }
    if (!NT_SUCCESS(status))
        return status;
    *out_object = object;
    if (out_information != NULL)
        *out_information = information;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI
ObReferenceObjectByHandle(HANDLE Handle, ACCESS_MASK DesiredAccess,
                          POBJECT_TYPE ObjectType, KPROCESSOR_MODE AccessMode,
                          PVOID *Object,
                          POBJECT_HANDLE_INFORMATION HandleInformation)
{
    KE_IRQL(ObReferenceObjectByHandle);
    *Object = NULL;
    return ob_reference_handle(Handle, DesiredAccess, ObjectType, AccessMode,
                               Object, HandleInformation);
}

NTSTATUS NTAPI
ObOpenObjectByPointer(PVOID Object, ULONG HandleAttributes,
                      PACCESS_STATE PassedAccessState,
                      ACCESS_MASK DesiredAccess, POBJECT_TYPE ObjectType,
                      KPROCESSOR_MODE AccessMode, PHANDLE Handle)
{
    KE_IRQL(ObOpenObjectByPointer);
    UNREFERENCED_PARAMETER(PassedAccessState);
    *Handle = NULL;
    if (ObjectType == NULL ? AccessMode != KernelMode
                           : ob_type_of(Object) != ObjectType)
        return STATUS_OBJECT_TYPE_MISMATCH;
    return ob_insert_handle(Object, DesiredAccess, HandleAttributes, Handle);
}

/* --- closed --------------------------------------------------------------- */

/* The object of the entry, with the reference that the handle had. */
static PVOID
remove_locked(struct entry *entry, LONG *out_left)
{
    PVOID object = entry->object;

    *out_left = --ob_head_of(object)->handles;
    open_count--;
    put_free_locked(entry);
    return object;
}

static void
closed(PVOID object, LONG left)
{
    POBJECT_TYPE type = ob_type_of(object);

    if (type->close != NULL)
        type->close(object, left);
    if (left == 0)
        ob_name_release(object);
    ObfDereferenceObject(object);
}

NTSTATUS NTAPI
ZwClose(HANDLE Handle)
{
    struct entry *entry;
    PVOID object = NULL;
    LONG left = 0;
    KIRQL irql;

    KE_IRQL(ZwClose);
    KeAcquireSpinLock(&handle_lock, &irql);
    entry = entry_locked(Handle);
    if (entry != NULL)
        object = remove_locked(entry, &left);
    KeReleaseSpinLock(&handle_lock, irql);
    if (object == NULL)
        return STATUS_INVALID_HANDLE;
    closed(object, left);
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI
NtClose(HANDLE Handle)
{
    return ZwClose(Handle);
}

void
ob_handles_shutdown(void)
{
    for (unsigned i = 0; i < page_count * PAGE_ENTRIES; i++)
        ZwClose((HANDLE) ((ULONG_PTR) (i + 1) * STEP));
    for (unsigned i = 0; i < page_count; i++)
        ExFreePoolWithTag(pages[i], OB_TAG_HANDLE);
    page_count = 0;
    first_free = last_free = NULL;
}
