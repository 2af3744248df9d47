/*
 * driver.c - driver objects: loaded, extended, unloaded
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include "cm/cm.h"

#include <stdio.h>

struct driver_extension {
    DRIVER_EXTENSION common;
    LIST_ENTRY clients; /* struct client; device lock */
};

struct client {
    LIST_ENTRY entry;
    PVOID id;
    ULONG64 body[]; /* the driver's; aligned */
};

static struct driver_extension *
extension_of(PDRIVER_OBJECT driver)
{
    return CONTAINING_RECORD(driver->DriverExtension, struct driver_extension,
                             common);
}

/* Major functions that a driver does not set. */
static NTSTATUS NTAPI
refuse(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    Irp->IoStatus.Status = STATUS_INVALID_DEVICE_REQUEST;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return STATUS_INVALID_DEVICE_REQUEST;
}

static void
free_name(PUNICODE_STRING name)
{
    if (name->Buffer != NULL)
        ExFreePoolWithTag(name->Buffer, IO_TAG_NAME);
}

static void
destroy_driver(PVOID object)
{
    PDRIVER_OBJECT driver = object;
    struct driver_extension *ext = extension_of(driver);

    while (!IsListEmpty(&ext->clients))
        ExFreePoolWithTag(CONTAINING_RECORD(RemoveHeadList(&ext->clients),
                                            struct client, entry),
                          IO_TAG_OBJECT);
    free_name(&ext->common.ServiceKeyName);
    free_name(&driver->DriverName);
    ob_free(driver);
}

static struct _OBJECT_TYPE driver_type = {
    .name = OB_TYPE_NAME(L"Driver"),
    .mapping = { STANDARD_RIGHTS_READ, STANDARD_RIGHTS_WRITE,
                 STANDARD_RIGHTS_EXECUTE, STANDARD_RIGHTS_ALL },
    .valid_access = STANDARD_RIGHTS_ALL,
    .destroy = destroy_driver,
};

static POBJECT_TYPE the_type = &driver_type;
POBJECT_TYPE *IoDriverObjectType = &the_type;

static NTSTATUS
new_driver(const char *name, PDRIVER_OBJECT *out_driver)
{
    struct driver_extension *ext;
    PDRIVER_OBJECT driver;
    NTSTATUS status;
    char full[96];

    snprintf(full, sizeof full, "\\Driver\\%s", name);
    driver = ob_create_object(&driver_type, sizeof *driver + sizeof *ext);
    if (driver == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    ext = (struct driver_extension *) (driver + 1);
    InitializeListHead(&ext->clients);
    ext->common.DriverObject = driver;
    driver->Type = IO_TYPE_DRIVER;
    driver->Size = sizeof *driver;
    driver->DriverExtension = &ext->common;
    for (size_t i = 0; i <= IRP_MJ_MAXIMUM_FUNCTION; i++)
        driver->MajorFunction[i] = refuse;
    if (!NT_SUCCESS(io_name_widen(full, &driver->DriverName)) ||
        !NT_SUCCESS(io_name_widen(name, &ext->common.ServiceKeyName))) {
        ObDereferenceObject(driver);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    status = ob_name_object(driver, &driver->DriverName,
                            OBJ_CASE_INSENSITIVE | OBJ_PERMANENT);
    if (!NT_SUCCESS(status)) {
        ObDereferenceObject(driver);
        return status;
    }
    *out_driver = driver;
    return STATUS_SUCCESS;
}

/* The name goes, and the reference of whoever loaded it. */
static void
drop_driver(PDRIVER_OBJECT driver)
{
    ob_make_temporary(driver);
    ObDereferenceObject(driver);
}

static void
finish_initializing(PDRIVER_OBJECT driver)
{
    KIRQL irql;

    KeAcquireSpinLock(&io_device_lock, &irql);
    for (PDEVICE_OBJECT at = driver->DeviceObject; at != NULL;
         at = at->NextDevice)
        io_device_clear_flags(at, DO_DEVICE_INITIALIZING);
    KeReleaseSpinLock(&io_device_lock, irql);
}

/* --- initialization again ------------------------------------------------ */

struct reinit {
    LIST_ENTRY entry;
    PDRIVER_OBJECT driver; /* holds a reference */
    PDRIVER_REINITIALIZE routine;
    PVOID context;
};

/* Device lock.  Those of boot drivers are called first. */
static LIST_ENTRY boot_reinits = { &boot_reinits, &boot_reinits };
static LIST_ENTRY reinits = { &reinits, &reinits };

static void
add_reinit(PLIST_ENTRY list, PDRIVER_OBJECT driver,
           PDRIVER_REINITIALIZE routine, PVOID context)
{
    struct reinit *added =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *added, IO_TAG_OBJECT);
    KIRQL irql;

    if (added == NULL) {
        TRACE(TRACE_PNP, "driver=%p: no memory to call it again",
              (void *) driver);
        return;
    }
    ObReferenceObject(driver);
    added->driver = driver;
    added->routine = routine;
    added->context = context;
    KeAcquireSpinLock(&io_device_lock, &irql);
    InsertTailList(list, &added->entry);
    KeReleaseSpinLock(&io_device_lock, irql);
}

VOID NTAPI
IoRegisterDriverReinitialization(
    PDRIVER_OBJECT DriverObject,
    PDRIVER_REINITIALIZE DriverReinitializationRoutine, PVOID Context)
{
    add_reinit(&reinits, DriverObject, DriverReinitializationRoutine, Context);
}

VOID NTAPI
IoRegisterBootDriverReinitialization(
    PDRIVER_OBJECT DriverObject,
    PDRIVER_REINITIALIZE DriverReinitializationRoutine, PVOID Context)
{
    add_reinit(&boot_reinits, DriverObject, DriverReinitializationRoutine,
               Context);
}

static struct reinit *
next_reinit(PDRIVER_OBJECT driver)
{
    PLIST_ENTRY lists[] = { &boot_reinits, &reinits };
    struct reinit *found = NULL;
    KIRQL irql;

    KeAcquireSpinLock(&io_device_lock, &irql);
    for (size_t i = 0; i < ARRAYSIZE(lists) && found == NULL; i++)
        for (PLIST_ENTRY at = lists[i]->Flink; at != lists[i] && found == NULL;
             at = at->Flink) {
            struct reinit *reinit = CONTAINING_RECORD(at, struct reinit, entry);

            if (reinit->driver == driver) {
                RemoveEntryList(&reinit->entry);
                found = reinit;
            }
        }
    KeReleaseSpinLock(&io_device_lock, irql);
    return found;
}

/* Drivers are loaded one by one here, so this is when all that came before are
 * initialized.  One that failed is not called. */
static void
reinitialize(PDRIVER_OBJECT driver, bool call)
{
    struct reinit *reinit;

    while ((reinit = next_reinit(driver)) != NULL) {
        if (call)
            reinit->routine(driver, reinit->context,
                            ++driver->DriverExtension->Count);
        ObDereferenceObject(driver);
        ExFreePoolWithTag(reinit, IO_TAG_OBJECT);
    }
}

NTSTATUS
io_load_driver(const char *name, PDRIVER_INITIALIZE entry,
               PDRIVER_OBJECT *out_driver)
{
    UNICODE_STRING registry = { 0 };
    PDRIVER_OBJECT driver;
    NTSTATUS status;
    char path[160];

    snprintf(path, sizeof path, CM_SERVICES "\\%s", name);
    status = new_driver(name, &driver);
    if (!NT_SUCCESS(status))
        return status;
    status = cm_make_key(path);
    if (NT_SUCCESS(status))
        status = io_name_widen(path, &registry);
    if (NT_SUCCESS(status)) {
        driver->DriverInit = entry;
        status = entry(driver, &registry);
    }
    free_name(&registry);
    TRACE(TRACE_PNP, "driver %s loaded, status %08x", name, (unsigned) status);
    if (!NT_SUCCESS(status)) {
        reinitialize(driver, false);
        drop_driver(driver);
        return status;
    }
    finish_initializing(driver);
    reinitialize(driver, true);
    *out_driver = driver;
    return STATUS_SUCCESS;
}

void
io_unload_driver(PDRIVER_OBJECT driver)
{
    char name[64];

    if (driver == NULL)
        return;
    if (driver->DriverUnload != NULL)
        driver->DriverUnload(driver);
    TRACE(TRACE_PNP, "driver %s unloaded%s",
          io_driver_text(driver, name, sizeof name),
          driver->DeviceObject != NULL ? ", with devices left" : "");
    drop_driver(driver);
}

/* "disk" of "\Driver\disk". */
const char *
io_driver_text(PDRIVER_OBJECT driver, char *out_text, size_t max)
{
    UNICODE_STRING name = driver->DriverName;
    const USHORT prefix = 8 * sizeof(WCHAR);

    if (name.Length > prefix) {
        name.Buffer += 8;
        name.Length = (USHORT) (name.Length - prefix);
    }
    return io_name_text(&name, out_text, max);
}

/* --- extensions of a driver object --------------------------------------- */

static struct client *
find_client_locked(struct driver_extension *ext, PVOID id)
{
    for (PLIST_ENTRY at = ext->clients.Flink; at != &ext->clients;
         at = at->Flink) {
        struct client *client = CONTAINING_RECORD(at, struct client, entry);

        if (client->id == id)
            return client;
    }
    return NULL;
}

NTSTATUS NTAPI
IoAllocateDriverObjectExtension(PDRIVER_OBJECT DriverObject,
                                PVOID ClientIdentificationAddress,
                                ULONG DriverObjectExtensionSize,
                                PVOID *DriverObjectExtension)
{
    struct driver_extension *ext = extension_of(DriverObject);
    SIZE_T size = sizeof(struct client) + DriverObjectExtensionSize;
    struct client *client;
    bool known;
    KIRQL irql;

    *DriverObjectExtension = NULL;
    client = ExAllocatePoolWithTag(NonPagedPool, size, IO_TAG_OBJECT);
    if (client == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(client, size);
    client->id = ClientIdentificationAddress;
    KeAcquireSpinLock(&io_device_lock, &irql);
    known = find_client_locked(ext, ClientIdentificationAddress) != NULL;
    if (!known)
        InsertTailList(&ext->clients, &client->entry);
    KeReleaseSpinLock(&io_device_lock, irql);
    if (known) {
        ExFreePoolWithTag(client, IO_TAG_OBJECT);
        return STATUS_OBJECT_NAME_COLLISION;
    }
    *DriverObjectExtension = client->body;
    return STATUS_SUCCESS;
}

PVOID NTAPI
IoGetDriverObjectExtension(PDRIVER_OBJECT DriverObject,
                           PVOID ClientIdentificationAddress)
{
    struct client *client;
    KIRQL irql;

    KeAcquireSpinLock(&io_device_lock, &irql);
    client = find_client_locked(extension_of(DriverObject),
                                ClientIdentificationAddress);
    KeReleaseSpinLock(&io_device_lock, irql);
    return client != NULL ? client->body : NULL;
}
