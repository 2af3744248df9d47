/*
 * interface.c - device interfaces: what a device offers, by class
 *
 * An interface is a symbolic link, \??\ENUMERATOR#DEVICE#INSTANCE#{CLASS} with
 * an optional \REFERENCE, to its PDO; it is there while the interface is
 * enabled.  The ones of a PDO go with it.  (NT keeps them in the registry for
 * the next start; nothing here outlives the process.)
 *
 * Lock: interface_mutex, before all locks of names; PASSIVE.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include <stdio.h>
#include <wdmguid.h>

struct interface {
    LIST_ENTRY entry;
    PDEVICE_OBJECT pdo; /* borrowed: it forgets its interfaces when it goes */
    GUID class;
    bool enabled;
    UNICODE_STRING base; /* of the link: without the reference */
    UNICODE_STRING link; /* the buffer follows the record */
};

static KMUTEX interface_mutex;
static LIST_ENTRY interfaces = { &interfaces, &interfaces };

__attribute__((constructor)) static void
init_mutex(void)
{
    KeInitializeMutex(&interface_mutex, 0);
}

static void
lock(void)
{
    KeWaitForSingleObject(&interface_mutex, Executive, KernelMode, FALSE, NULL);
}

static void
unlock(void)
{
    KeReleaseMutex(&interface_mutex, FALSE);
}

static struct interface *
next_locked(struct interface *after)
{
    PLIST_ENTRY at = after != NULL ? after->entry.Flink : interfaces.Flink;

    return at != &interfaces ? CONTAINING_RECORD(at, struct interface, entry)
                             : NULL;
}

static struct interface *
find_locked(PCUNICODE_STRING link)
{
    struct interface *at = NULL;

    while ((at = next_locked(at)) != NULL)
        if (RtlEqualUnicodeString(&at->link, link, TRUE))
            return at;
    return NULL;
}

/* --- registration -------------------------------------------------------- */

static SIZE_T
length_of(PCWSTR text)
{
    SIZE_T count = 0;

    while (text[count] != 0)
        count++;
    return count;
}

static PWSTR
put(PWSTR at, PCWSTR text, SIZE_T count)
{
    for (; count > 0 && *text != 0; count--, text++)
        *at++ = *text == '\\' || *text == '/' ? '#' : *text;
    return at;
}

static PWSTR
put_guid(PWSTR at, const GUID *guid)
{
    char text[40];
    int n = snprintf(text, sizeof text,
                     "#{%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x}",
                     (unsigned) guid->Data1, guid->Data2, guid->Data3,
                     guid->Data4[0], guid->Data4[1], guid->Data4[2],
                     guid->Data4[3], guid->Data4[4], guid->Data4[5],
                     guid->Data4[6], guid->Data4[7]);

    for (int i = 0; i < n; i++)
        *at++ = (WCHAR) text[i];
    return at;
}

#define PREFIX      L"\\??\\"
#define GUID_LENGTH 39 /* with '#' and braces */

/* NULL: no memory. */
static struct interface *
new_interface(PDEVICE_OBJECT pdo, const GUID *class, PCWSTR device,
              PCWSTR instance, PCUNICODE_STRING reference)
{
    SIZE_T ref = reference != NULL ? reference->Length / sizeof(WCHAR) : 0;
    SIZE_T device_len = length_of(device), instance_len = length_of(instance);
    SIZE_T base = 4 + device_len + 1 + instance_len + GUID_LENGTH;
    SIZE_T all = base + (ref != 0 ? 1 + ref : 0);
    struct interface *added = NULL;
    PWSTR at;

    if (all < 0x7FFF)
        added = ExAllocatePoolWithTag(
            PagedPool, sizeof *added + all * sizeof(WCHAR), IO_TAG_NAME);
    if (added == NULL)
        return NULL;
    RtlZeroMemory(added, sizeof *added);
    added->pdo = pdo;
    added->class = *class;
    added->link.Buffer = added->base.Buffer = at = (PWSTR) (added + 1);
    added->base.Length = (USHORT) (base * sizeof(WCHAR));
    added->link.Length = (USHORT) (all * sizeof(WCHAR));
    added->base.MaximumLength = added->base.Length;
    added->link.MaximumLength = added->link.Length;
    RtlCopyMemory(at, PREFIX, 4 * sizeof(WCHAR));
    at = put(at + 4, device, device_len);
    *at++ = '#';
    at = put(at, instance, instance_len);
    at = put_guid(at, class);
    if (ref != 0) {
        *at++ = '\\';
        RtlCopyMemory(at, reference->Buffer, ref * sizeof(WCHAR));
    }
    return added;
}

/* What RtlFreeUnicodeString gives back has this one. */
#define TAG_OF_STRINGS 0x736C7452u /* "Rtls" */

/* The caller's copy has a NUL behind it. */
static NTSTATUS
copy_link(PCUNICODE_STRING link, PUNICODE_STRING out_link)
{
    PWSTR buffer = ExAllocatePoolWithTag(
        PagedPool, link->Length + sizeof(WCHAR), TAG_OF_STRINGS);

    if (buffer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlCopyMemory(buffer, link->Buffer, link->Length);
    buffer[link->Length / sizeof(WCHAR)] = 0;
    out_link->Buffer = buffer;
    out_link->Length = link->Length;
    out_link->MaximumLength = (USHORT) (link->Length + sizeof(WCHAR));
    return STATUS_SUCCESS;
}

static bool
has_separator(PCUNICODE_STRING text)
{
    for (USHORT i = 0; text != NULL && i < text->Length / sizeof(WCHAR); i++)
        if (text->Buffer[i] == '\\' || text->Buffer[i] == '/')
            return true;
    return false;
}

/* Enters it, or finds the one that is there already. */
static NTSTATUS
enter(struct interface *added, PUNICODE_STRING out_link)
{
    struct interface *known;
    NTSTATUS status;

    lock();
    known = find_locked(&added->link);
    status = copy_link(&added->link, out_link);
    if (NT_SUCCESS(status) && known == NULL) {
        io_devext(added->pdo)->has_interfaces = true;
        InsertTailList(&interfaces, &added->entry);
        added = NULL;
    }
    unlock();
    if (added != NULL)
        ExFreePoolWithTag(added, IO_TAG_NAME);
    return status;
}

NTSTATUS NTAPI
IoRegisterDeviceInterface(PDEVICE_OBJECT PhysicalDeviceObject,
                          const GUID *InterfaceClassGuid,
                          PUNICODE_STRING ReferenceString,
                          PUNICODE_STRING SymbolicLinkName)
{
    static const WCHAR only[] = L"0";
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    struct interface *added;
    PWSTR device, instance;

    if (has_separator(ReferenceString) ||
        io_devext(PhysicalDeviceObject)->attached_to != NULL)
        return STATUS_INVALID_DEVICE_REQUEST;
    device = io_query_id(PhysicalDeviceObject, BusQueryDeviceID);
    if (device == NULL)
        return STATUS_INVALID_DEVICE_REQUEST;
    instance = io_query_id(PhysicalDeviceObject, BusQueryInstanceID);
    added = new_interface(PhysicalDeviceObject, InterfaceClassGuid, device,
                          instance != NULL ? instance : only, ReferenceString);
    if (added != NULL)
        status = enter(added, SymbolicLinkName);
    ExFreePool(device);
    if (instance != NULL)
        ExFreePool(instance);
    return status;
}

/* --- enabled and disabled ------------------------------------------------ */

/* Another one that is enabled and shares the link without reference. */
static bool
base_in_use_locked(const struct interface *but)
{
    struct interface *at = NULL;

    while ((at = next_locked(at)) != NULL)
        if (at != but && at->enabled &&
            RtlEqualUnicodeString(&at->base, &but->base, TRUE))
            return true;
    return false;
}

static NTSTATUS
enable_locked(struct interface *interface)
{
    UNICODE_STRING target;
    char name[128];
    NTSTATUS status;

    if (interface->enabled)
        return STATUS_OBJECT_NAME_EXISTS;
    /* A PDO has a name, if only a generated one (documented). */
    if (io_device_name(interface->pdo, name, sizeof name)[0] == '\0')
        return STATUS_INVALID_DEVICE_REQUEST;
    status = io_name_widen(name, &target);
    if (!NT_SUCCESS(status))
        return status;
    if (!base_in_use_locked(interface))
        status = IoCreateSymbolicLink(&interface->base, &target);
    ExFreePoolWithTag(target.Buffer, IO_TAG_NAME);
    interface->enabled = NT_SUCCESS(status);
    if (interface->enabled)
        io_notify_interface(&GUID_DEVICE_INTERFACE_ARRIVAL, &interface->class,
                            &interface->link);
    return status;
}

static NTSTATUS
disable_locked(struct interface *interface)
{
    if (!interface->enabled)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    interface->enabled = false;
    if (!base_in_use_locked(interface))
        IoDeleteSymbolicLink(&interface->base);
    io_notify_interface(&GUID_DEVICE_INTERFACE_REMOVAL, &interface->class,
                        &interface->link);
    return STATUS_SUCCESS;
}

/* STATUS_OBJECT_NAME_EXISTS: it was enabled already; OBJECT_NAME_NOT_FOUND: it
 * was disabled, or nobody registered it. */
NTSTATUS NTAPI
IoSetDeviceInterfaceState(PUNICODE_STRING SymbolicLinkName, BOOLEAN Enable)
{
    NTSTATUS status = STATUS_OBJECT_NAME_NOT_FOUND;
    struct interface *found;

    lock();
    found = find_locked(SymbolicLinkName);
    if (found != NULL)
        status = Enable ? enable_locked(found) : disable_locked(found);
    unlock();
    return status;
}

void
io_interface_disable_all(PDEVICE_OBJECT pdo, bool forget)
{
    struct interface *at, *next;

    lock();
    for (at = next_locked(NULL); at != NULL; at = next) {
        next = next_locked(at);
        if (at->pdo != pdo)
            continue;
        (void) disable_locked(at);
        if (forget) {
            RemoveEntryList(&at->entry);
            ExFreePoolWithTag(at, IO_TAG_NAME);
        }
    }
    unlock();
}

/* --- lists --------------------------------------------------------------- */

static bool
wanted(const struct interface *interface, const GUID *class, PDEVICE_OBJECT pdo,
       ULONG flags)
{
    return IsEqualGUID(&interface->class, class) &&
           (pdo == NULL || interface->pdo == pdo) &&
           (interface->enabled ||
            (flags & DEVICE_INTERFACE_INCLUDE_NONACTIVE) != 0);
}

NTSTATUS NTAPI
IoGetDeviceInterfaces(const GUID *InterfaceClassGuid,
                      PDEVICE_OBJECT PhysicalDeviceObject, ULONG Flags,
                      PWSTR *SymbolicLinkList)
{
    SIZE_T size = sizeof(WCHAR);
    struct interface *at = NULL;
    PWSTR list, end;

    lock();
    while ((at = next_locked(at)) != NULL)
        if (wanted(at, InterfaceClassGuid, PhysicalDeviceObject, Flags))
            size += at->link.Length + sizeof(WCHAR);
    list = end = ExAllocatePoolWithTag(PagedPool, size, IO_TAG_NAME);
    while (list != NULL && (at = next_locked(at)) != NULL)
        if (wanted(at, InterfaceClassGuid, PhysicalDeviceObject, Flags)) {
            RtlCopyMemory(end, at->link.Buffer, at->link.Length);
            end += at->link.Length / sizeof(WCHAR);
            *end++ = 0;
        }
    if (list != NULL)
        *end = 0;
    unlock();
    if (list == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    *SymbolicLinkList = list;
    return STATUS_SUCCESS;
}

/* On the thread that registers. */
void
io_interface_tell_existing(const GUID *class,
                           PDRIVER_NOTIFICATION_CALLBACK_ROUTINE callback,
                           PVOID context)
{
    PWSTR list = NULL;

    if (!NT_SUCCESS(IoGetDeviceInterfaces(class, NULL, 0, &list)))
        return;
    for (PWSTR at = list; *at != 0; at += length_of(at) + 1) {
        UNICODE_STRING link;
        DEVICE_INTERFACE_CHANGE_NOTIFICATION change = {
            .Version = 1,
            .Size = sizeof change,
            .Event = GUID_DEVICE_INTERFACE_ARRIVAL,
            .InterfaceClassGuid = *class,
            .SymbolicLinkName = &link,
        };

        RtlInitUnicodeString(&link, at);
        callback(&change, context);
    }
    ExFreePool(list);
}
