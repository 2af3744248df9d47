/*
 * init.c - a driver registers, its devices are made, requests are dispatched
 *
 * Every request holds the device's remove lock from here until it is
 * completed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

/* --- remove lock ---------------------------------------------------------- */

ULONG NTAPI
ClassAcquireRemoveLockEx(PDEVICE_OBJECT DeviceObject, PVOID Tag, PCSTR File,
                         ULONG Line)
{
    PCOMMON_DEVICE_EXTENSION common = DeviceObject->DeviceExtension;

    InterlockedIncrement(&common->RemoveLock);
    return __atomic_load_n(&common->IsRemoved, __ATOMIC_ACQUIRE);
}

VOID NTAPI
ClassReleaseRemoveLock(PDEVICE_OBJECT DeviceObject, PIRP Tag)
{
    PCOMMON_DEVICE_EXTENSION common = DeviceObject->DeviceExtension;

    if (__builtin_expect(InterlockedDecrement(&common->RemoveLock) == 0, 0))
        KeSetEvent(&common->RemoveEvent, IO_NO_INCREMENT, FALSE);
}

static NTSTATUS NTAPI __attribute__((noinline, cold))
refuse_removed(PDEVICE_OBJECT fdo, PIRP irp)
{
    ClassReleaseRemoveLock(fdo, irp);
    irp->IoStatus.Status = STATUS_DEVICE_DOES_NOT_EXIST;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_DEVICE_DOES_NOT_EXIST;
}

/* --- dispatch ------------------------------------------------------------- */

static NTSTATUS NTAPI
dispatch_read_write(PDEVICE_OBJECT fdo, PIRP irp)
{
    if (__builtin_expect(ClassAcquireRemoveLock(fdo, irp) != NO_REMOVE, 0))
        return refuse_removed(fdo, irp);
    return class_read_write(fdo, irp);
}

static NTSTATUS NTAPI
dispatch_flush(PDEVICE_OBJECT fdo, PIRP irp)
{
    PCLASS_DEV_INFO info = class_ext(fdo)->CommonExtension.DevInfo;

    if (ClassAcquireRemoveLock(fdo, irp) != NO_REMOVE)
        return refuse_removed(fdo, irp);
    if (info->ClassShutdownFlush != NULL)
        return info->ClassShutdownFlush(fdo, irp);
    return class_flush(fdo, irp);
}

static NTSTATUS NTAPI
dispatch_control(PDEVICE_OBJECT fdo, PIRP irp)
{
    if (ClassAcquireRemoveLock(fdo, irp) != NO_REMOVE)
        return refuse_removed(fdo, irp);
    return class_device_control(fdo, irp);
}

static NTSTATUS NTAPI
dispatch_internal(PDEVICE_OBJECT fdo, PIRP irp)
{
    if (ClassAcquireRemoveLock(fdo, irp) != NO_REMOVE)
        return refuse_removed(fdo, irp);
    return ClassInternalIoControl(fdo, irp);
}

/* A create that the driver refuses has no close. */
static NTSTATUS
driver_create_close(PDEVICE_OBJECT fdo, PIRP irp)
{
    PCLASS_DEV_INFO info = class_ext(fdo)->CommonExtension.DevInfo;
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    PFILE_OBJECT file = at->FileObject;
    BOOLEAN create = at->MajorFunction == IRP_MJ_CREATE;
    NTSTATUS status = info->ClassCreateClose(fdo, irp);

    if (create && !NT_SUCCESS(status))
        class_handle_close(class_dev(fdo), file);
    return status;
}

static NTSTATUS NTAPI
dispatch_create_close(PDEVICE_OBJECT fdo, PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    PCLASS_DEV_INFO info = class_ext(fdo)->CommonExtension.DevInfo;
    class_device *dev = class_dev(fdo);
    NTSTATUS status = STATUS_SUCCESS;

    if (ClassAcquireRemoveLock(fdo, irp) != NO_REMOVE &&
        at->MajorFunction == IRP_MJ_CREATE)
        return refuse_removed(fdo, irp);
    if (at->MajorFunction == IRP_MJ_CLOSE)
        class_handle_close(dev, at->FileObject);
    else
        status = class_handle_create(dev, at->FileObject);
    if (info->ClassCreateClose != NULL && NT_SUCCESS(status))
        return driver_create_close(fdo, irp);
    return class_complete(dev, irp, status,
                          at->MajorFunction == IRP_MJ_CREATE ? FILE_OPENED : 0);
}

static NTSTATUS NTAPI
dispatch_cleanup(PDEVICE_OBJECT fdo, PIRP irp)
{
    (void) ClassAcquireRemoveLock(fdo, irp);
    return class_complete(class_dev(fdo), irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI
dispatch_pass(PDEVICE_OBJECT fdo, PIRP irp)
{
    (void) ClassAcquireRemoveLock(fdo, irp);
    return class_forward(class_dev(fdo), irp);
}

static const struct {
    UCHAR major;
    PDRIVER_DISPATCH dispatch;
} majors[] = {
    { IRP_MJ_CREATE, dispatch_create_close },
    { IRP_MJ_CLOSE, dispatch_create_close },
    { IRP_MJ_CLEANUP, dispatch_cleanup },
    { IRP_MJ_READ, dispatch_read_write },
    { IRP_MJ_WRITE, dispatch_read_write },
    { IRP_MJ_FLUSH_BUFFERS, dispatch_flush },
    { IRP_MJ_SHUTDOWN, dispatch_flush },
    { IRP_MJ_DEVICE_CONTROL, dispatch_control },
    { IRP_MJ_INTERNAL_DEVICE_CONTROL, dispatch_internal },
    { IRP_MJ_PNP, class_pnp },
    { IRP_MJ_POWER, class_power },
    { IRP_MJ_SYSTEM_CONTROL, dispatch_pass },
};

/* --- the driver ----------------------------------------------------------- */

PCLASS_DRIVER_EXTENSION NTAPI
ClassGetDriverExtension(PDRIVER_OBJECT DriverObject)
{
    return IoGetDriverObjectExtension(DriverObject, CLASS_DRIVER_EXTENSION_KEY);
}

static NTSTATUS NTAPI
add_device(PDRIVER_OBJECT driver, PDEVICE_OBJECT pdo)
{
    return ClassGetDriverExtension(driver)->InitData.ClassAddDevice(driver,
                                                                    pdo);
}

static VOID NTAPI
unload(PDRIVER_OBJECT driver)
{
    PCLASS_DRIVER_EXTENSION own = ClassGetDriverExtension(driver);

    if (own->InitData.ClassUnload != NULL)
        own->InitData.ClassUnload(driver);
    class_requests_drain();
    if (own->RegistryPath.Buffer != NULL)
        ExFreePoolWithTag(own->RegistryPath.Buffer, CLASS_TAG);
    own->RegistryPath.Buffer = NULL;
}

/* A changer's miniclass driver has to interpret errors. */
static BOOLEAN
acceptable(const CLASS_INIT_DATA *data)
{
    return data->InitializationDataSize == sizeof *data &&
           data->ClassAddDevice != NULL &&
           data->FdoData.DeviceExtensionSize >=
               sizeof(FUNCTIONAL_DEVICE_EXTENSION) &&
           (data->FdoData.DeviceType != FILE_DEVICE_CHANGER ||
            data->FdoData.ClassError != NULL);
}

static void
keep_path(PCLASS_DRIVER_EXTENSION own, PUNICODE_STRING path)
{
    if (path == NULL || path->Buffer == NULL)
        return;
    own->RegistryPath.Buffer = ExAllocatePoolWithTag(
        PagedPool, path->Length + sizeof(WCHAR), CLASS_TAG);
    if (own->RegistryPath.Buffer == NULL)
        return;
    own->RegistryPath.MaximumLength = path->Length + sizeof(WCHAR);
    RtlCopyUnicodeString(&own->RegistryPath, path);
}

ULONG NTAPI
ClassInitialize(PVOID Argument1, PVOID Argument2,
                PCLASS_INIT_DATA InitializationData)
{
    PDRIVER_OBJECT driver = Argument1;
    PCLASS_DRIVER_EXTENSION own;
    NTSTATUS status;

    if (!acceptable(InitializationData))
        return (ULONG) STATUS_INVALID_PARAMETER;
    status = IoAllocateDriverObjectExtension(driver, CLASS_DRIVER_EXTENSION_KEY,
                                             sizeof *own, (PVOID *) &own);
    if (!NT_SUCCESS(status))
        return (ULONG) status;
    RtlZeroMemory(own, sizeof *own);
    own->InitData = *InitializationData;
    keep_path(own, Argument2);
    for (size_t i = 0; i < RTL_NUMBER_OF(majors); i++) {
        driver->MajorFunction[majors[i].major] = majors[i].dispatch;
        own->DeviceMajorFunctionTable[majors[i].major] = majors[i].dispatch;
    }
    driver->DriverExtension->AddDevice = add_device;
    driver->DriverUnload = unload;
    return (ULONG) STATUS_SUCCESS;
}

ULONG NTAPI
ClassInitializeEx(PDRIVER_OBJECT DriverObject, LPGUID Guid, PVOID Data)
{
    static const GUID reginfo = GUID_CLASSPNP_QUERY_REGINFOEX;
    PCLASS_DRIVER_EXTENSION own = ClassGetDriverExtension(DriverObject);
    PCLASS_QUERY_WMI_REGINFO_EX_LIST list = Data;

    if (own == NULL || !RtlEqualMemory(Guid, &reginfo, sizeof reginfo))
        return (ULONG) STATUS_NOT_SUPPORTED;
    if (list->Size != sizeof *list)
        return (ULONG) STATUS_INVALID_PARAMETER;
    own->ClassFdoQueryWmiRegInfoEx = list->ClassFdoQueryWmiRegInfoEx;
    own->ClassPdoQueryWmiRegInfoEx = list->ClassPdoQueryWmiRegInfoEx;
    return (ULONG) STATUS_SUCCESS;
}

/* --- devices -------------------------------------------------------------- */

static void
init_common(PDEVICE_OBJECT device, PDEVICE_OBJECT lower, BOOLEAN is_fdo,
            PCLASS_DRIVER_EXTENSION own)
{
    PCOMMON_DEVICE_EXTENSION common = device->DeviceExtension;

    RtlZeroMemory(common, is_fdo ? own->InitData.FdoData.DeviceExtensionSize
                                 : own->InitData.PdoData.DeviceExtensionSize);
    common->Version = 3;
    common->DeviceObject = device;
    common->LowerDeviceObject = lower;
    common->DriverExtension = own;
    common->DevInfo = is_fdo ? &own->InitData.FdoData : &own->InitData.PdoData;
    common->IsFdo = is_fdo;
    common->RemoveLock = 1; /* until it is removed */
    common->CurrentState = common->PreviousState = 0xff;
    common->DispatchTable = own->DeviceMajorFunctionTable;
    KeInitializeEvent(&common->RemoveEvent, NotificationEvent, FALSE);
    KeInitializeEvent(&common->PathCountEvent, SynchronizationEvent, TRUE);
    KeInitializeSpinLock(&common->RemoveTrackingSpinlock);
}

/* Ours comes after the driver's own data, in the same extension. */
static ULONG
private_offset(const CLASS_DEV_INFO *info)
{
    return (info->DeviceExtensionSize + 63) & ~63u;
}

static class_device *
init_private(PDEVICE_OBJECT fdo, PCLASS_DEV_INFO info)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;
    class_device *dev = (PVOID) ((PUCHAR) ext + private_offset(info));

    RtlZeroMemory(dev, sizeof *dev);
    dev->fdo = fdo;
    dev->ext = ext;
    dev->lower = ext->CommonExtension.LowerDeviceObject;
    dev->read_only_type = fdo->DeviceType == FILE_DEVICE_CD_ROM;
    KeInitializeSpinLock(&dev->change_lock);
    KeInitializeSpinLock(&dev->wait_lock);
    KeInitializeSpinLock(&dev->handle_lock);
    InitializeListHead(&dev->waiting);
    InitializeListHead(&dev->handles);
    class_mcd_init(dev);
    return dev;
}

static void
init_fdo(PDEVICE_OBJECT fdo, PCLASS_DEV_INFO info)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;

    ext->CommonExtension.PartitionZeroExtension = ext;
    KeInitializeEvent(&ext->EjectSynchronizationEvent, SynchronizationEvent,
                      TRUE);
    KeInitializeEvent(&ext->ChildLock, SynchronizationEvent, TRUE);
    KeInitializeSpinLock(&ext->ReleaseQueueSpinLock);
    ext->DevicePowerState = PowerDeviceD0;
    ext->TimeOutValue = 10;
    ext->PrivateFdoData = init_private(fdo, info);
}

/* The device is not attached yet: the driver does that, and clears
 * DO_DEVICE_INITIALIZING. */
NTSTATUS NTAPI
ClassCreateDeviceObject(PDRIVER_OBJECT DriverObject, PCHAR ObjectNameBuffer,
                        PDEVICE_OBJECT LowerDeviceObject, BOOLEAN IsFdo,
                        PDEVICE_OBJECT *DeviceObject)
{
    PCLASS_DRIVER_EXTENSION own = ClassGetDriverExtension(DriverObject);
    PCLASS_DEV_INFO info =
        IsFdo ? &own->InitData.FdoData : &own->InitData.PdoData;
    UNICODE_STRING name = { 0 };
    PDEVICE_OBJECT device;
    ANSI_STRING ansi;
    NTSTATUS status;

    *DeviceObject = NULL;
    if (ObjectNameBuffer != NULL) {
        RtlInitAnsiString(&ansi, ObjectNameBuffer);
        status = RtlAnsiStringToUnicodeString(&name, &ansi, TRUE);
        if (!NT_SUCCESS(status))
            return status;
    }
    status = IoCreateDevice(
        DriverObject,
        private_offset(info) + (IsFdo ? (ULONG) sizeof(class_device) : 0),
        ObjectNameBuffer != NULL ? &name : NULL, info->DeviceType,
        info->DeviceCharacteristics, FALSE, &device);
    if (ObjectNameBuffer != NULL)
        RtlFreeUnicodeString(&name);
    if (!NT_SUCCESS(status))
        return status;
    init_common(device, LowerDeviceObject, IsFdo, own);
    if (IsFdo)
        init_fdo(device, info);
    else
        class_add_child(LowerDeviceObject->DeviceExtension,
                        device->DeviceExtension);
    InterlockedOr((LONG volatile *) &device->Flags,
                  DO_DIRECT_IO | DO_POWER_PAGABLE);
    *DeviceObject = device;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI
ClassClaimDevice(PDEVICE_OBJECT LowerDeviceObject, BOOLEAN Release)
{
    SCSI_REQUEST_BLOCK srb = { .Length = sizeof srb };
    PIO_STACK_LOCATION next;
    NTSTATUS status;
    PIRP irp;

    srb.Function =
        Release ? SRB_FUNCTION_RELEASE_DEVICE : SRB_FUNCTION_CLAIM_DEVICE;
    irp = IoAllocateIrp(LowerDeviceObject->StackSize, FALSE);
    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = IRP_MJ_SCSI;
    next->Parameters.Scsi.Srb = &srb;
    srb.OriginalRequest = irp;
    status = ClassSendIrpSynchronous(LowerDeviceObject, irp);
    IoFreeIrp(irp);
    return status;
}

/* The value TimeOutValue of the driver's service key, in seconds; 0: there is
 * none, and the driver's default applies. */
ULONG NTAPI
ClassQueryTimeOutRegistryValue(PDEVICE_OBJECT DeviceObject)
{
    PCLASS_DRIVER_EXTENSION ext = IoGetDriverObjectExtension(
        DeviceObject->DriverObject, CLASS_DRIVER_EXTENSION_KEY);
    ULONG seconds = 0, none = 0;
    RTL_QUERY_REGISTRY_TABLE table[] = {
        { .Flags = RTL_QUERY_REGISTRY_DIRECT | RTL_QUERY_REGISTRY_TYPECHECK,
          .Name = (PWSTR) L"TimeOutValue",
          .EntryContext = &seconds,
          .DefaultType =
              REG_DWORD << RTL_QUERY_REGISTRY_TYPECHECK_SHIFT | REG_DWORD,
          .DefaultData = &none,
          .DefaultLength = sizeof none },
        { 0 },
    };

    /* The path ends in a NUL: we copied it so. */
    if (ext == NULL || ext->RegistryPath.Buffer == NULL ||
        !NT_SUCCESS(RtlQueryRegistryValues(RTL_REGISTRY_ABSOLUTE,
                                           ext->RegistryPath.Buffer, table,
                                           NULL, NULL)))
        return 0;
    return seconds;
}
