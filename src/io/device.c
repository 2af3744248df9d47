/*
 * device.c - device objects: created, attached, deleted
 *
 * A device is destroyed when it was deleted and its last reference went: a file
 * open on it holds one, and so does the device attached above.
 *
 * Lock: io_device_lock (io_internal.h).
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

KSPIN_LOCK io_device_lock;

/* --- creation ------------------------------------------------------------ */

/* What a device of this type starts with; other types have no VPB. */
static const struct device_kind {
    DEVICE_TYPE type;
    USHORT sector_size;
    bool has_vpb;
} device_kinds[] = {
    { FILE_DEVICE_DISK, 512, true },
    { FILE_DEVICE_VIRTUAL_DISK, 512, true },
    { FILE_DEVICE_CD_ROM, 2048, true },
    { FILE_DEVICE_TAPE, 0, true },
    { FILE_DEVICE_DISK_FILE_SYSTEM, 512, false },
    { FILE_DEVICE_CD_ROM_FILE_SYSTEM, 2048, false },
};

static const struct device_kind *
find_kind(DEVICE_TYPE type)
{
    static const struct device_kind other;

    for (size_t i = 0; i < ARRAYSIZE(device_kinds); i++)
        if (device_kinds[i].type == type)
            return &device_kinds[i];
    return &other;
}

static LIST_ENTRY kept = { &kept, &kept };

#if IO_CHECKED
/* The last ones that went, kept a while so that an IRP that is sent to one is
 * noticed: they have no driver any more.  Device lock. */
#define GRAVES 16
static PDEVICE_OBJECT graves[GRAVES];
static unsigned next_grave;

/* The one to free instead; device NULL: any, until there are none. */
static PDEVICE_OBJECT
bury(PDEVICE_OBJECT device)
{
    PDEVICE_OBJECT oldest = NULL;
    KIRQL irql;

    KeAcquireSpinLock(&io_device_lock, &irql);
    for (unsigned i = 0;
         i < GRAVES && (i == 0 || device == NULL) && oldest == NULL; i++) {
        oldest = graves[next_grave];
        graves[next_grave] = device;
        next_grave = (next_grave + 1) % GRAVES;
    }
    KeReleaseSpinLock(&io_device_lock, irql);
    return oldest;
}
#else
static PDEVICE_OBJECT
bury(PDEVICE_OBJECT device)
{
    return device;
}
#endif

static void
free_device(PDEVICE_OBJECT device)
{
    PDEVICE_RELATIONS children = io_devext(device)->children;

    for (ULONG i = 0; children != NULL && i < children->Count; i++)
        ObDereferenceObject(children->Objects[i]);
    if (children != NULL)
        ExFreePool(children);
    io_timer_free(device);
    /* A mounted VPB belongs to its file system now. */
    if (device->Vpb != NULL && !(device->Vpb->Flags & VPB_MOUNTED))
        ExFreePool(device->Vpb);
    ObDereferenceObject(device->DriverObject);
    device->DriverObject = NULL;
    device = bury(device);
    if (device != NULL)
        ob_free(device);
}

/*
 * A VPB names its real device without a reference, and volumes outlive their
 * drive here: an absent volume waits for its medium after the drive was
 * unplugged.  So a device that ever had a volume is kept; requests for it go to
 * its driver, which says that it is gone.
 */
static void
destroy_device(PVOID object)
{
    PDEVICE_OBJECT device = object;
    struct io_devext *ext = io_devext(device);
    bool keep;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    keep = ext->mounted_once;
    IoReleaseVpbSpinLock(irql);
    if (!keep) {
        free_device(device);
        return;
    }
    /* The list's own reference. */
    ob_revive(device);
    KeAcquireSpinLock(&io_device_lock, &irql);
    InsertTailList(&kept, &ext->kept);
    KeReleaseSpinLock(&io_device_lock, irql);
}

void
io_device_shutdown(void)
{
    while (!IsListEmpty(&kept)) {
        struct io_devext *ext =
            CONTAINING_RECORD(RemoveHeadList(&kept), struct io_devext, kept);

        free_device(ext->common.DeviceObject);
    }
#if IO_CHECKED
    for (PDEVICE_OBJECT device; (device = bury(NULL)) != NULL;)
        ob_free(device);
#endif
}

/* Who wants the device itself asks for its type and does not get here. */
static NTSTATUS
parse_device(PVOID object, PCUNICODE_STRING rest, const struct ob_open *open,
             PVOID *out_object, UNICODE_STRING *out_path)
{
    UNREFERENCED_PARAMETER(out_path);
    return io_parse_file(object, rest, open, out_object);
}

static struct _OBJECT_TYPE device_type = {
    .name = OB_TYPE_NAME(L"Device"),
    .mapping = { FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_GENERIC_EXECUTE,
                 FILE_ALL_ACCESS },
    .valid_access = FILE_ALL_ACCESS,
    .destroy = destroy_device,
    .parse = parse_device,
};

static POBJECT_TYPE the_type = &device_type;
POBJECT_TYPE *IoDeviceObjectType = &the_type;

/* What extensions are made of may be aligned to a line of the cache. */
#define EXTENSION_ALIGN 64

static PDEVICE_OBJECT
new_device(ULONG extension_size)
{
    SIZE_T body = sizeof(DEVICE_OBJECT) + EXTENSION_ALIGN +
                  ((extension_size + 15) & ~15u);
    ULONG_PTR extension;
    PDEVICE_OBJECT device;
    struct io_devext *ext;

    device = ob_create_object(&device_type, body + sizeof *ext);
    if (device == NULL)
        return NULL;
    ext = (struct io_devext *) ((char *) device + body);
    ext->common.Size = sizeof *ext;
    ext->common.DeviceObject = device;
    InitializeListHead(&ext->notes.notes);
    ext->notes.pdo = device;
    InitializeListHead(&ext->started);
    device->DeviceObjectExtension = &ext->common;
    device->Type = IO_TYPE_DEVICE;
    device->Size = (USHORT) (sizeof(DEVICE_OBJECT) + extension_size);
    extension = ((ULONG_PTR) (device + 1) + EXTENSION_ALIGN - 1) &
                ~(ULONG_PTR) (EXTENSION_ALIGN - 1);
    device->DeviceExtension = extension_size != 0 ? (PVOID) extension : NULL;
    device->StackSize = 1;
    KeInitializeDeviceQueue(&device->DeviceQueue);
    KeInitializeEvent(&device->DeviceLock, SynchronizationEvent, TRUE);
    return device;
}

static NTSTATUS
name_device(PDEVICE_OBJECT device, PUNICODE_STRING name)
{
    static LONG next_name;
    WCHAR buffer[] = L"\\Device\\00000000";
    UNICODE_STRING automatic;
    ULONG number;

    if (name != NULL)
        return ob_name_object(device, name,
                              OBJ_CASE_INSENSITIVE | OBJ_PERMANENT);
    if (!(device->Characteristics & FILE_AUTOGENERATED_DEVICE_NAME))
        return STATUS_SUCCESS;
    number = (ULONG) InterlockedIncrement(&next_name);
    for (int i = 15; i > 7; i--, number >>= 4)
        buffer[i] = (WCHAR) "0123456789abcdef"[number & 15];
    RtlInitUnicodeString(&automatic, buffer);
    return ob_name_object(device, &automatic,
                          OBJ_CASE_INSENSITIVE | OBJ_PERMANENT);
}

NTSTATUS NTAPI
IoCreateDevice(PDRIVER_OBJECT DriverObject, ULONG DeviceExtensionSize,
               PUNICODE_STRING DeviceName, DEVICE_TYPE DeviceType,
               ULONG DeviceCharacteristics, BOOLEAN Exclusive,
               PDEVICE_OBJECT *DeviceObject)
{
    const struct device_kind *kind = find_kind(DeviceType);
    PDEVICE_OBJECT device = new_device(DeviceExtensionSize);
    NTSTATUS status;
    KIRQL irql;

    KE_IRQL(IoCreateDevice);
    if (device == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    ObReferenceObject(DriverObject);
    device->DriverObject = DriverObject;
    device->DeviceType = DeviceType;
    device->Characteristics = DeviceCharacteristics;
    device->SectorSize = kind->sector_size;
    device->Flags = DO_DEVICE_INITIALIZING | (Exclusive ? DO_EXCLUSIVE : 0);
    if (DeviceName != NULL ||
        (DeviceCharacteristics & FILE_AUTOGENERATED_DEVICE_NAME))
        device->Flags |= DO_DEVICE_HAS_NAME;
    status = kind->has_vpb ? io_vpb_create(device) : STATUS_SUCCESS;
    if (NT_SUCCESS(status))
        status = name_device(device, DeviceName);
    if (!NT_SUCCESS(status)) {
        ObDereferenceObject(device);
        return status;
    }
    KeAcquireSpinLock(&io_device_lock, &irql);
    device->NextDevice = DriverObject->DeviceObject;
    DriverObject->DeviceObject = device;
    KeReleaseSpinLock(&io_device_lock, irql);
    *DeviceObject = device;
    return STATUS_SUCCESS;
}

static void
unlink_from_driver_locked(PDEVICE_OBJECT device)
{
    PDEVICE_OBJECT *at = &device->DriverObject->DeviceObject;

    while (*at != NULL && *at != device)
        at = &(*at)->NextDevice;
    if (*at == device)
        *at = device->NextDevice;
    device->NextDevice = NULL;
}

VOID NTAPI
IoDeleteDevice(PDEVICE_OBJECT DeviceObject)
{
    struct io_devext *ext = io_devext(DeviceObject);
    bool twice, attached;
    KIRQL irql;

    KE_IRQL(IoDeleteDevice);
    KeAcquireSpinLock(&io_device_lock, &irql);
    twice = ext->delete_pending;
    attached = ext->attached_to != NULL;
    ext->delete_pending = true;
    unlink_from_driver_locked(DeviceObject);
    KeReleaseSpinLock(&io_device_lock, irql);
    if (IO_CHECKING && attached)
        io_broken(IO_RULE_DEVICE_DELETED_ATTACHED, DeviceObject, NULL);
    if (IO_CHECKED)
        io_lock_tags_device_deleted(DeviceObject);
    if (twice)
        io_broken(IO_RULE_DEVICE_DELETED_TWICE, DeviceObject, NULL);
    ob_make_temporary(DeviceObject);
    io_timer_stop(DeviceObject);
    if (ext->has_interfaces)
        io_interface_disable_all(DeviceObject, true);
    if (io_device_flags(DeviceObject) & DO_SHUTDOWN_REGISTERED)
        IoUnregisterShutdownNotification(DeviceObject);
    ObDereferenceObject(DeviceObject);
}

bool
io_device_gone(PDEVICE_OBJECT device)
{
    struct io_devext *ext = io_devext(device);
    bool gone;
    KIRQL irql;

    KeAcquireSpinLock(&io_device_lock, &irql);
    gone = ext->delete_pending || ext->removed;
    KeReleaseSpinLock(&io_device_lock, irql);
    return gone;
}
