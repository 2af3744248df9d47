/*
 * name.c - names of devices, and symbolic links to them
 *
 * A flat list: a house has some dozens of names.  Names are compared without
 * regard to case, as everywhere in NT.  Lock: the device lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#define LINK_DEPTH 8

struct io_name {
    LIST_ENTRY entry;
    UNICODE_STRING name;   /* buffer follows the record */
    UNICODE_STRING target; /* of a link; Buffer NULL: a device's name */
    PDEVICE_OBJECT device; /* borrowed: the device removes its name */
};

static LIST_ENTRY names = { &names, &names };

static struct io_name *
find_locked(PCUNICODE_STRING name)
{
    for (PLIST_ENTRY at = names.Flink; at != &names; at = at->Flink) {
        struct io_name *known = CONTAINING_RECORD(at, struct io_name, entry);

        if (RtlEqualUnicodeString(&known->name, name, TRUE))
            return known;
    }
    return NULL;
}

static void
copy_string(PUNICODE_STRING to, PCUNICODE_STRING from, PWSTR buffer)
{
    to->Length = to->MaximumLength = from->Length;
    to->Buffer = buffer;
    RtlCopyMemory(buffer, from->Buffer, from->Length);
}

NTSTATUS
io_name_add(PCUNICODE_STRING name, PDEVICE_OBJECT device,
            PCUNICODE_STRING target, struct io_name **out_name)
{
    SIZE_T size = sizeof(struct io_name) + name->Length +
                  (target != NULL ? target->Length : 0);
    NTSTATUS status = STATUS_SUCCESS;
    struct io_name *added;
    KIRQL irql;

    if (name->Length < 2 * sizeof(WCHAR) || name->Buffer[0] != '\\')
        return STATUS_OBJECT_NAME_INVALID;
    added = ExAllocatePoolWithTag(NonPagedPool, size, IO_TAG_NAME);
    if (added == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(added, sizeof *added);
    copy_string(&added->name, name, (PWSTR) (added + 1));
    if (target != NULL)
        copy_string(&added->target, target,
                    (PWSTR) ((char *) (added + 1) + name->Length));
    added->device = device;
    KeAcquireSpinLock(&io_device_lock, &irql);
    if (find_locked(name) != NULL)
        status = STATUS_OBJECT_NAME_COLLISION;
    else
        InsertTailList(&names, &added->entry);
    KeReleaseSpinLock(&io_device_lock, irql);
    if (!NT_SUCCESS(status))
        ExFreePoolWithTag(added, IO_TAG_NAME);
    else if (out_name != NULL)
        *out_name = added;
    return status;
}

void
io_name_remove(struct io_name *name)
{
    KIRQL irql;

    KeAcquireSpinLock(&io_device_lock, &irql);
    RemoveEntryList(&name->entry);
    KeReleaseSpinLock(&io_device_lock, irql);
    ExFreePoolWithTag(name, IO_TAG_NAME);
}

PDEVICE_OBJECT
io_name_lookup(PCUNICODE_STRING name)
{
    struct io_name *found;
    PDEVICE_OBJECT device = NULL;
    KIRQL irql;

    KeAcquireSpinLock(&io_device_lock, &irql);
    found = find_locked(name);
    for (int i = 0; found != NULL && found->device == NULL && i < LINK_DEPTH;
         i++)
        found = find_locked(&found->target);
    if (found != NULL && found->device != NULL) {
        device = found->device;
        ObReferenceObject(device);
    }
    KeReleaseSpinLock(&io_device_lock, irql);
    return device;
}

NTSTATUS NTAPI
IoCreateSymbolicLink(PUNICODE_STRING SymbolicLinkName,
                     PUNICODE_STRING DeviceName)
{
    return io_name_add(SymbolicLinkName, NULL, DeviceName, NULL);
}

NTSTATUS NTAPI
IoDeleteSymbolicLink(PUNICODE_STRING SymbolicLinkName)
{
    struct io_name *found;
    KIRQL irql;

    KeAcquireSpinLock(&io_device_lock, &irql);
    found = find_locked(SymbolicLinkName);
    if (found != NULL && found->device == NULL)
        RemoveEntryList(&found->entry);
    else
        found = NULL;
    KeReleaseSpinLock(&io_device_lock, irql);
    if (found == NULL)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    ExFreePoolWithTag(found, IO_TAG_NAME);
    return STATUS_SUCCESS;
}

/* --- text ---------------------------------------------------------------- */

char *
io_name_text(PCUNICODE_STRING name, char *out_text, size_t max)
{
    size_t count = name->Length / sizeof(WCHAR);

    if (count > max - 1)
        count = max - 1;
    for (size_t i = 0; i < count; i++)
        out_text[i] = name->Buffer[i] < 0x80 ? (char) name->Buffer[i] : '?';
    out_text[count] = '\0';
    return out_text;
}

/* The buffer is from the pool, IO_TAG_NAME. */
NTSTATUS
io_name_widen(const char *text, UNICODE_STRING *out_name)
{
    size_t count = __builtin_strlen(text);
    PWSTR buffer;

    if (count >= 0x7FFF)
        return STATUS_NAME_TOO_LONG;
    buffer = ExAllocatePoolWithTag(PagedPool, (count + 1) * sizeof(WCHAR),
                                   IO_TAG_NAME);
    if (buffer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    for (size_t i = 0; i <= count; i++)
        buffer[i] = (unsigned char) text[i];
    out_name->Buffer = buffer;
    out_name->Length = (USHORT) (count * sizeof(WCHAR));
    out_name->MaximumLength = (USHORT) ((count + 1) * sizeof(WCHAR));
    return STATUS_SUCCESS;
}

PDEVICE_OBJECT
io_find_device(const char *name)
{
    PDEVICE_OBJECT device;
    UNICODE_STRING wide;

    if (!NT_SUCCESS(io_name_widen(name, &wide)))
        return NULL;
    device = io_name_lookup(&wide);
    ExFreePoolWithTag(wide.Buffer, IO_TAG_NAME);
    return device;
}

char *
io_device_name(PDEVICE_OBJECT device, char *out_name, size_t max)
{
    KIRQL irql;

    out_name[0] = '\0';
    KeAcquireSpinLock(&io_device_lock, &irql);
    if (io_devext(device)->name != NULL)
        io_name_text(&io_devext(device)->name->name, out_name, max);
    KeReleaseSpinLock(&io_device_lock, irql);
    return out_name;
}
