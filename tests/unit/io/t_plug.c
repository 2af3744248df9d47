/*
 * Tests for src/io/{interface,property,power,notify,pnp}.c: what a device
 * offers and says of itself, who is told, stop and restart, power.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include <string.h>

#include <wdmguid.h>

static PDRIVER_OBJECT bus_driver, function_driver;
static PDEVICE_OBJECT pdo, fdo;

/* What the drivers do, and what they were asked. */
static struct {
    UCHAR minors[64];
    LONG count, removed;
    ULONG_PTR state; /* PNP_DEVICE_* */
    NTSTATUS query_stop, query_remove;
    NTSTATUS query_power;
    UCHAR power_minors[32];
    POWER_STATE power_states[32];
    POWER_STATE_TYPE power_types[32];
    PDEVICE_OBJECT power_devices[32];
    LONG power_count;
} plug;

/* --- a bus driver -------------------------------------------------------- */

static NTSTATUS
answer_text(PIRP irp, const char *text, size_t len)
{
    PWSTR wide =
        ExAllocatePoolWithTag(PagedPool, (len + 1) * sizeof *wide, 'tseT');

    for (size_t i = 0; i <= len; i++)
        wide[i] = (UCHAR) text[i];
    return complete_irp(irp, STATUS_SUCCESS, (ULONG_PTR) wide);
}

#define ANSWER(irp, text) answer_text((irp), (text), sizeof(text) - 1)

static NTSTATUS
answer_id(PIRP irp)
{
    switch (IoGetCurrentIrpStackLocation(irp)->Parameters.QueryId.IdType) {
    case BusQueryDeviceID:
        return ANSWER(irp, "TEST\\Disk&Ven_X");
    case BusQueryInstanceID:
        return ANSWER(irp, "7");
    case BusQueryHardwareIDs:
        return ANSWER(irp, "TEST\\DiskX\0TEST\\Disk\0");
    default:
        return complete_irp(irp, irp->IoStatus.Status, 0);
    }
}

static NTSTATUS
answer_capabilities(PIRP irp)
{
    PDEVICE_CAPABILITIES capabilities =
        IoGetCurrentIrpStackLocation(irp)
            ->Parameters.DeviceCapabilities.Capabilities;

    assert_int_equal(capabilities->Size, sizeof *capabilities);
    assert_int_equal(capabilities->Version, 1);
    assert_int_equal(capabilities->Address, (ULONG) -1);
    assert_int_equal(capabilities->UINumber, (ULONG) -1);
    capabilities->Removable = capabilities->SurpriseRemovalOK = TRUE;
    capabilities->Address = 5;
    return complete_irp(irp, STATUS_SUCCESS, 0);
}

static NTSTATUS
answer_bus(PIRP irp)
{
    PPNP_BUS_INFORMATION bus =
        ExAllocatePoolWithTag(PagedPool, sizeof *bus, 'tseT');

    bus->BusTypeGuid = GUID_BUS_TYPE_INTERNAL;
    bus->LegacyBusType = Internal;
    bus->BusNumber = 3;
    return complete_irp(irp, STATUS_SUCCESS, (ULONG_PTR) bus);
}

static NTSTATUS NTAPI
bus_pnp(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    switch (IoGetCurrentIrpStackLocation(Irp)->MinorFunction) {
    case IRP_MN_QUERY_ID:
        return answer_id(Irp);
    case IRP_MN_QUERY_DEVICE_TEXT:
        if (IoGetCurrentIrpStackLocation(Irp)
                ->Parameters.QueryDeviceText.DeviceTextType ==
            DeviceTextDescription)
            return ANSWER(Irp, "A disk");
        return complete_irp(Irp, Irp->IoStatus.Status, 0);
    case IRP_MN_QUERY_CAPABILITIES:
        return answer_capabilities(Irp);
    case IRP_MN_QUERY_BUS_INFORMATION:
        return answer_bus(Irp);
    case IRP_MN_QUERY_PNP_DEVICE_STATE:
        return complete_irp(Irp, STATUS_SUCCESS, plug.state);
    default:
        return complete_irp(Irp, STATUS_SUCCESS, 0);
    }
}

static NTSTATUS NTAPI
bus_power(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

/* --- a function driver --------------------------------------------------- */

static NTSTATUS
pass(PDEVICE_OBJECT device, PIRP irp)
{
    IoSkipCurrentIrpStackLocation(irp);
    return IoCallDriver(*(PDEVICE_OBJECT *) device->DeviceExtension, irp);
}

static NTSTATUS NTAPI
function_pnp(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PDEVICE_OBJECT lower = *(PDEVICE_OBJECT *) DeviceObject->DeviceExtension;
    UCHAR minor = IoGetCurrentIrpStackLocation(Irp)->MinorFunction;
    NTSTATUS status;

    if (minor != IRP_MN_QUERY_CAPABILITIES) {
        plug.minors[plug.count % 64] = minor;
        InterlockedIncrement(&plug.count);
    }
    if ((minor == IRP_MN_QUERY_STOP_DEVICE && !NT_SUCCESS(plug.query_stop)) ||
        (minor == IRP_MN_QUERY_REMOVE_DEVICE && !NT_SUCCESS(plug.query_remove)))
        return complete_irp(Irp, STATUS_DEVICE_BUSY, 0);
    status = pass(DeviceObject, Irp);
    if (minor == IRP_MN_REMOVE_DEVICE) {
        IoDetachDevice(lower);
        IoDeleteDevice(DeviceObject);
        fdo = NULL;
        InterlockedIncrement(&plug.removed);
    }
    return status;
}

static NTSTATUS NTAPI
function_power(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(Irp);
    LONG i = plug.power_count++;

    assert_int_equal(Irp->IoStatus.Status, STATUS_NOT_SUPPORTED);
    plug.power_minors[i] = at->MinorFunction;
    plug.power_types[i] = at->Parameters.Power.Type;
    plug.power_states[i] = at->Parameters.Power.State;
    plug.power_devices[i] = DeviceObject;
    if (at->MinorFunction == IRP_MN_QUERY_POWER &&
        !NT_SUCCESS(plug.query_power) && DeviceObject == fdo)
        return complete_irp(Irp, plug.query_power, 0);
    IoSkipCurrentIrpStackLocation(Irp);
    return PoCallDriver(*(PDEVICE_OBJECT *) DeviceObject->DeviceExtension, Irp);
}

static NTSTATUS NTAPI
succeed(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI
add_device(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    fdo = new_device(DriverObject, FILE_DEVICE_UNKNOWN, sizeof(PDEVICE_OBJECT),
                     NULL);
    *(PDEVICE_OBJECT *) fdo->DeviceExtension =
        IoAttachDeviceToDeviceStack(fdo, PhysicalDeviceObject);
    return STATUS_SUCCESS;
}

static PDEVICE_OBJECT
new_pdo(void)
{
    PDEVICE_OBJECT device;

    assert_int_equal(
        IoCreateDevice(bus_driver, 0, NULL, FILE_DEVICE_MASS_STORAGE,
                       FILE_AUTOGENERATED_DEVICE_NAME, FALSE, &device),
        STATUS_SUCCESS);
    return device;
}

static int
each(void **state)
{
    (void) state;
    memset(&plug, 0, sizeof plug);
    pdo = new_pdo();
    assert_int_equal(io_start_device(function_driver, pdo), STATUS_SUCCESS);
    plug.count = 0;
    return 0;
}

static int
each_end(void **state)
{
    (void) state;
    plug.query_remove = STATUS_SUCCESS;
    if (fdo != NULL)
        io_remove_device(pdo);
    IoDeleteDevice(pdo);
    return 0;
}

/* --- stop, state --------------------------------------------------------- */

static void
stop_and_restart__refused_is_cancelled(void **state)
{
    (void) state;
    assert_int_equal(io_stop_device(pdo), STATUS_SUCCESS);
    assert_int_equal(io_restart_device(pdo), STATUS_SUCCESS);
    plug.query_stop = STATUS_DEVICE_BUSY;
    assert_int_equal(io_stop_device(pdo), STATUS_DEVICE_BUSY);
    assert_int_equal(plug.minors[0], IRP_MN_QUERY_STOP_DEVICE);
    assert_int_equal(plug.minors[1], IRP_MN_STOP_DEVICE);
    assert_int_equal(plug.minors[2], IRP_MN_START_DEVICE);
    assert_int_equal(plug.minors[3], IRP_MN_QUERY_PNP_DEVICE_STATE);
    assert_int_equal(plug.minors[4], IRP_MN_QUERY_STOP_DEVICE);
    assert_int_equal(plug.minors[5], IRP_MN_CANCEL_STOP_DEVICE);
}

#define IRP_MN_NONE 0xff

static void
invalidate_state__what_it_says_is_done(void **state)
{
    static const struct {
        ULONG state;
        UCHAR minors[4]; /* after the question */
    } rows[] = {
        { PNP_DEVICE_FAILED,
          { IRP_MN_SURPRISE_REMOVAL, IRP_MN_REMOVE_DEVICE, IRP_MN_NONE } },
        { PNP_DEVICE_REMOVED,
          { IRP_MN_SURPRISE_REMOVAL, IRP_MN_REMOVE_DEVICE, IRP_MN_NONE } },
        { PNP_DEVICE_DISABLED,
          { IRP_MN_QUERY_REMOVE_DEVICE, IRP_MN_REMOVE_DEVICE, IRP_MN_NONE } },
        { PNP_DEVICE_RESOURCE_REQUIREMENTS_CHANGED,
          { IRP_MN_QUERY_STOP_DEVICE, IRP_MN_STOP_DEVICE,
            IRP_MN_START_DEVICE } },
    };

    for (size_t i = 0; i < ARRAYSIZE(rows); i++) {
        if (fdo == NULL) {
            each_end(state);
            each(state);
        }
        plug.state = rows[i].state;
        plug.count = 0;
        IoInvalidateDeviceState(pdo);
        wait_for_value(&plug.count, rows[i].minors[2] == IRP_MN_NONE ? 3 : 4);
        assert_int_equal(plug.minors[0], IRP_MN_QUERY_PNP_DEVICE_STATE);
        for (size_t m = 0; m < 3 && rows[i].minors[m] != IRP_MN_NONE; m++)
            assert_int_equal(plug.minors[1 + m], rows[i].minors[m]);
        if (rows[i].minors[2] == IRP_MN_NONE)
            wait_for_value(&plug.removed, 1);
        plug.state = 0;
    }
}

/* --- properties ---------------------------------------------------------- */

static void
property__from_what_the_bus_driver_says(void **state)
{
    WCHAR text[64];
    ULONG len, number;
    GUID guid;

    (void) state;
    assert_int_equal(IoGetDeviceProperty(pdo, DevicePropertyDeviceDescription,
                                         4, text, &len),
                     STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(len, sizeof L"A disk");
    assert_int_equal(IoGetDeviceProperty(pdo, DevicePropertyDeviceDescription,
                                         sizeof text, text, &len),
                     STATUS_SUCCESS);
    assert_memory_equal(text, L"A disk", sizeof L"A disk");
    assert_int_equal(IoGetDeviceProperty(pdo, DevicePropertyHardwareID,
                                         sizeof text, text, &len),
                     STATUS_SUCCESS);
    assert_int_equal(len, sizeof L"TEST\\DiskX\0TEST\\Disk\0");
    assert_memory_equal(text, L"TEST\\DiskX\0TEST\\Disk\0", len);
    assert_int_equal(IoGetDeviceProperty(pdo, DevicePropertyEnumeratorName,
                                         sizeof text, text, &len),
                     STATUS_SUCCESS);
    assert_memory_equal(text, L"TEST", sizeof L"TEST");
    assert_int_equal(IoGetDeviceProperty(pdo, DevicePropertyAddress,
                                         sizeof number, &number, &len),
                     STATUS_SUCCESS);
    assert_int_equal(number, 5);
    assert_int_equal(IoGetDeviceProperty(pdo, DevicePropertyBusNumber,
                                         sizeof number, &number, &len),
                     STATUS_SUCCESS);
    assert_int_equal(number, 3);
    assert_int_equal(IoGetDeviceProperty(pdo, DevicePropertyBusTypeGuid,
                                         sizeof guid, &guid, &len),
                     STATUS_SUCCESS);
    assert_true(IsEqualGUID(&guid, &GUID_BUS_TYPE_INTERNAL));
    assert_int_equal(IoGetDeviceProperty(pdo, DevicePropertyRemovalPolicy,
                                         sizeof number, &number, &len),
                     STATUS_SUCCESS);
    assert_int_equal(number, RemovalPolicyExpectSurpriseRemoval);
    /* Not said: a location, a number for the user. */
    assert_int_equal(IoGetDeviceProperty(pdo, DevicePropertyLocationInformation,
                                         sizeof text, text, &len),
                     STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(IoGetDeviceProperty(pdo, DevicePropertyUINumber,
                                         sizeof number, &number, &len),
                     STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(IoGetDeviceProperty(fdo, DevicePropertyAddress,
                                         sizeof number, &number, &len),
                     STATUS_INVALID_DEVICE_REQUEST);
}

/* --- interfaces ---------------------------------------------------------- */

static const GUID a_class = {
    0x53f56307, 0xb6bf, 0x11d0, { 0x94, 0xf2, 0, 0xa0, 0xc9, 0x1e, 0xfb, 0x8b }
};

#define LINK L"\\??\\TEST#Disk&Ven_X#7#{53f56307-b6bf-11d0-94f2-00a0c91efb8b}"

static struct {
    LONG arrivals, removals;
    WCHAR link[128];
} heard;

static NTSTATUS NTAPI
on_interface(PVOID NotificationStructure, PVOID Context)
{
    PDEVICE_INTERFACE_CHANGE_NOTIFICATION change = NotificationStructure;

    assert_ptr_equal(Context, &heard);
    assert_int_equal(change->Version, 1);
    assert_int_equal(change->Size, sizeof *change);
    assert_true(IsEqualGUID(&change->InterfaceClassGuid, &a_class));
    memcpy(heard.link, change->SymbolicLinkName->Buffer,
           change->SymbolicLinkName->Length);
    if (IsEqualGUID(&change->Event, &GUID_DEVICE_INTERFACE_ARRIVAL))
        InterlockedIncrement(&heard.arrivals);
    else if (IsEqualGUID(&change->Event, &GUID_DEVICE_INTERFACE_REMOVAL))
        InterlockedIncrement(&heard.removals);
    return STATUS_SUCCESS;
}

static void
interface__link_while_enabled__told_to_who_listens(void **state)
{
    UNICODE_STRING link, again, path = RTL_CONSTANT_STRING(LINK);
    PVOID early, late;
    PFILE_OBJECT file;
    PDEVICE_OBJECT found;

    (void) state;
    memset(&heard, 0, sizeof heard);
    assert_int_equal(
        IoRegisterPlugPlayNotification(EventCategoryDeviceInterfaceChange, 0,
                                       (PVOID) &a_class, function_driver,
                                       on_interface, &heard, &early),
        STATUS_SUCCESS);
    assert_int_equal(IoRegisterDeviceInterface(pdo, &a_class, NULL, &link),
                     STATUS_SUCCESS);
    assert_true(RtlEqualUnicodeString(&link, &path, FALSE));
    assert_int_equal(IoRegisterDeviceInterface(pdo, &a_class, NULL, &again),
                     STATUS_SUCCESS);
    assert_true(RtlEqualUnicodeString(&link, &again, FALSE));
    RtlFreeUnicodeString(&again);
    assert_int_equal(IoSetDeviceInterfaceState(&link, FALSE),
                     STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(IoSetDeviceInterfaceState(&link, TRUE), STATUS_SUCCESS);
    assert_int_equal(IoSetDeviceInterfaceState(&link, TRUE),
                     STATUS_OBJECT_NAME_EXISTS);
    wait_for_value(&heard.arrivals, 1);
    assert_memory_equal(heard.link, LINK, sizeof LINK);
    assert_int_equal(
        IoGetDeviceObjectPointer(&link, FILE_READ_ATTRIBUTES, &file, &found),
        STATUS_SUCCESS);
    assert_ptr_equal(found, fdo);
    ObDereferenceObject(file);
    /* Who comes later hears of what is there. */
    assert_int_equal(IoRegisterPlugPlayNotification(
                         EventCategoryDeviceInterfaceChange,
                         PNPNOTIFY_DEVICE_INTERFACE_INCLUDE_EXISTING_INTERFACES,
                         (PVOID) &a_class, function_driver, on_interface,
                         &heard, &late),
                     STATUS_SUCCESS);
    assert_int_equal(heard.arrivals, 2);
    assert_int_equal(IoSetDeviceInterfaceState(&link, FALSE), STATUS_SUCCESS);
    wait_for_value(&heard.removals, 2);
    assert_int_equal(
        IoGetDeviceObjectPointer(&link, FILE_READ_ATTRIBUTES, &file, &found),
        STATUS_OBJECT_NAME_NOT_FOUND);
    IoUnregisterPlugPlayNotification(early);
    IoUnregisterPlugPlayNotification(late);
    RtlFreeUnicodeString(&link);
}

static void
interface__lists__and_gone_with_the_device(void **state)
{
    UNICODE_STRING link, with, reference = RTL_CONSTANT_STRING(L"ref");
    UNICODE_STRING bad = RTL_CONSTANT_STRING(L"a\\b");
    PWSTR list;

    (void) state;
    assert_int_equal(IoRegisterDeviceInterface(pdo, &a_class, &bad, &with),
                     STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(IoRegisterDeviceInterface(fdo, &a_class, NULL, &with),
                     STATUS_INVALID_DEVICE_REQUEST);
    IoRegisterDeviceInterface(pdo, &a_class, NULL, &link);
    IoRegisterDeviceInterface(pdo, &a_class, &reference, &with);
    IoSetDeviceInterfaceState(&with, TRUE);
    assert_int_equal(IoGetDeviceInterfaces(&a_class, NULL, 0, &list),
                     STATUS_SUCCESS);
    assert_memory_equal(list, LINK L"\\ref\0", sizeof LINK L"\\ref\0");
    ExFreePool(list);
    assert_int_equal(IoGetDeviceInterfaces(&a_class, pdo,
                                           DEVICE_INTERFACE_INCLUDE_NONACTIVE,
                                           &list),
                     STATUS_SUCCESS);
    assert_memory_equal(list, LINK L"\0" LINK L"\\ref\0",
                        sizeof LINK L"\0" LINK L"\\ref\0");
    ExFreePool(list);
    /* Removed: disabled; deleted: forgotten. */
    io_surprise_remove_device(pdo);
    assert_int_equal(IoGetDeviceInterfaces(&a_class, NULL, 0, &list),
                     STATUS_SUCCESS);
    assert_int_equal(list[0], 0);
    ExFreePool(list);
    IoDeleteDevice(pdo);
    assert_int_equal(IoSetDeviceInterfaceState(&link, TRUE),
                     STATUS_OBJECT_NAME_NOT_FOUND);
    RtlFreeUnicodeString(&link);
    RtlFreeUnicodeString(&with);
    pdo = new_pdo();
}

/* --- removal, asked of who has a handle ---------------------------------- */

static struct {
    LONG query, cancelled, complete, custom;
    NTSTATUS answer;
    PFILE_OBJECT file;
} target;

static NTSTATUS NTAPI
on_target(PVOID NotificationStructure, PVOID Context)
{
    PTARGET_DEVICE_REMOVAL_NOTIFICATION note = NotificationStructure;

    UNREFERENCED_PARAMETER(Context);
    assert_ptr_equal(note->FileObject, target.file);
    if (IsEqualGUID(&note->Event, &GUID_TARGET_DEVICE_QUERY_REMOVE)) {
        target.query++;
        return target.answer;
    }
    if (IsEqualGUID(&note->Event, &GUID_TARGET_DEVICE_REMOVE_CANCELLED))
        target.cancelled++;
    else if (IsEqualGUID(&note->Event, &GUID_TARGET_DEVICE_REMOVE_COMPLETE))
        target.complete++;
    else
        target.custom++;
    return STATUS_SUCCESS;
}

static void
remove__who_listens_is_asked_first__and_may_refuse(void **state)
{
    PVOID entry;

    (void) state;
    memset(&target, 0, sizeof target);
    io_open_device(fdo, FILE_READ_ATTRIBUTES, &target.file);
    IoRegisterPlugPlayNotification(EventCategoryTargetDeviceChange, 0,
                                   target.file, function_driver, on_target,
                                   NULL, &entry);
    target.answer = STATUS_DEVICE_BUSY;
    assert_int_equal(io_remove_device(pdo), STATUS_DEVICE_BUSY);
    assert_int_equal(plug.count, 0); /* no driver was asked */
    assert_int_equal(target.query, 1);
    assert_int_equal(target.cancelled, 1);
    target.answer = STATUS_SUCCESS;
    plug.query_remove = STATUS_DEVICE_BUSY;
    assert_int_equal(io_remove_device(pdo), STATUS_DEVICE_BUSY);
    assert_int_equal(target.query, 2);
    assert_int_equal(target.cancelled, 2);
    assert_int_equal(target.complete, 0);
    plug.query_remove = STATUS_SUCCESS;
    assert_int_equal(io_remove_device(pdo), STATUS_SUCCESS);
    assert_int_equal(target.query, 3);
    assert_int_equal(target.complete, 1);
    IoUnregisterPlugPlayNotification(entry);
    ObDereferenceObject(target.file);
}

static void
report_target_change__synchronous__callbacks_are_through(void **state)
{
    TARGET_DEVICE_CUSTOM_NOTIFICATION note = {
        .Version = 1,
        .Size = sizeof note,
        .Event = a_class,
        .NameBufferOffset = -1,
    };
    PVOID entry;

    (void) state;
    memset(&target, 0, sizeof target);
    io_open_device(fdo, FILE_READ_ATTRIBUTES, &target.file);
    IoRegisterPlugPlayNotification(EventCategoryTargetDeviceChange, 0,
                                   target.file, function_driver, on_target,
                                   NULL, &entry);
    assert_int_equal(IoReportTargetDeviceChange(pdo, &note), STATUS_SUCCESS);
    assert_int_equal(target.custom, 1);
    /* The system's own events are not a driver's to report. */
    note.Event = GUID_TARGET_DEVICE_REMOVE_COMPLETE;
    assert_int_equal(IoReportTargetDeviceChange(pdo, &note),
                     STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(
        IoReportTargetDeviceChangeAsynchronous(pdo, &note, NULL, NULL),
        STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(target.complete, 0);
    IoUnregisterPlugPlayNotification(entry);
    ObDereferenceObject(target.file);
}

/* --- power --------------------------------------------------------------- */

static LONG power_done;

static VOID NTAPI
on_power(PDEVICE_OBJECT DeviceObject, UCHAR MinorFunction,
         POWER_STATE PowerState, PVOID Context, PIO_STATUS_BLOCK IoStatus)
{
    assert_ptr_equal(DeviceObject, pdo);
    assert_int_equal(MinorFunction, IRP_MN_SET_POWER);
    assert_int_equal(PowerState.DeviceState, PowerDeviceD3);
    assert_ptr_equal(Context, &plug);
    assert_int_equal(IoStatus->Status, STATUS_SUCCESS);
    power_done++;
}

static void
request_power_irp__through_the_stack__then_the_callback(void **state)
{
    POWER_STATE off = { .DeviceState = PowerDeviceD3 };
    POWER_STATE on = { .DeviceState = PowerDeviceD0 };

    (void) state;
    power_done = 0;
    assert_int_equal(
        PoRequestPowerIrp(pdo, IRP_MN_SET_POWER, off, on_power, &plug, NULL),
        STATUS_PENDING);
    assert_int_equal(power_done, 1);
    assert_int_equal(plug.power_count, 1);
    assert_int_equal(plug.power_minors[0], IRP_MN_SET_POWER);
    assert_int_equal(plug.power_types[0], DevicePowerState);
    assert_int_equal(plug.power_states[0].DeviceState, PowerDeviceD3);
    assert_int_equal(
        PoRequestPowerIrp(pdo, IRP_MN_POWER_SEQUENCE, off, NULL, NULL, NULL),
        STATUS_INVALID_PARAMETER_2);
    PoSetPowerState(pdo, DevicePowerState, off);
    assert_int_equal(PoSetPowerState(pdo, DevicePowerState, on).DeviceState,
                     PowerDeviceD3);
}

static void
system_power__asked_then_set__refused_is_taken_back(void **state)
{
    PDEVICE_OBJECT first = pdo, first_fdo = fdo;
    LONG i;

    (void) state;
    pdo = new_pdo();
    io_start_device(function_driver, pdo);
    assert_int_equal(io_power_system(PowerSystemSleeping3), STATUS_SUCCESS);
    assert_int_equal(plug.power_count, 4);
    for (i = 0; i < 4; i++) {
        assert_int_equal(plug.power_minors[i],
                         i < 2 ? IRP_MN_QUERY_POWER : IRP_MN_SET_POWER);
        assert_int_equal(plug.power_types[i], SystemPowerState);
        assert_int_equal(plug.power_states[i].SystemState,
                         PowerSystemSleeping3);
        /* The one that was started last, first. */
        assert_ptr_equal(plug.power_devices[i], i % 2 == 0 ? fdo : first_fdo);
    }
    assert_int_equal(io_power_system(PowerSystemWorking), STATUS_SUCCESS);
    assert_int_equal(plug.power_count, 6);
    assert_ptr_equal(plug.power_devices[4], first_fdo);
    assert_int_equal(plug.power_minors[4], IRP_MN_SET_POWER);
    assert_int_equal(plug.power_states[4].SystemState, PowerSystemWorking);

    plug.query_power = STATUS_DEVICE_BUSY;
    plug.power_count = 0;
    assert_int_equal(io_power_system(PowerSystemSleeping3), STATUS_DEVICE_BUSY);
    assert_int_equal(plug.power_count, 2);
    assert_int_equal(plug.power_minors[1], IRP_MN_SET_POWER);
    assert_int_equal(plug.power_states[1].SystemState, PowerSystemWorking);
    assert_ptr_equal(plug.power_devices[1], fdo);
    io_remove_device(pdo);
    IoDeleteDevice(pdo);
    pdo = first;
    fdo = first_fdo;
}

static int
setup(void **state)
{
    io_setup(state);
    bus_driver = new_driver("plugbus");
    bus_driver->MajorFunction[IRP_MJ_PNP] = bus_pnp;
    bus_driver->MajorFunction[IRP_MJ_POWER] = bus_power;
    function_driver = new_driver("plugged");
    function_driver->DriverExtension->AddDevice = add_device;
    function_driver->MajorFunction[IRP_MJ_PNP] = function_pnp;
    function_driver->MajorFunction[IRP_MJ_POWER] = function_power;
    function_driver->MajorFunction[IRP_MJ_CREATE] = succeed;
    function_driver->MajorFunction[IRP_MJ_CLEANUP] = succeed;
    function_driver->MajorFunction[IRP_MJ_CLOSE] = succeed;
    return 0;
}

static int
teardown(void **state)
{
    io_unload_driver(function_driver);
    io_unload_driver(bus_driver);
    return io_teardown(state);
}

#define T(name) cmocka_unit_test_setup_teardown(name, each, each_end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(stop_and_restart__refused_is_cancelled),
        T(invalidate_state__what_it_says_is_done),
        T(property__from_what_the_bus_driver_says),
        T(interface__link_while_enabled__told_to_who_listens),
        T(interface__lists__and_gone_with_the_device),
        T(remove__who_listens_is_asked_first__and_may_refuse),
        T(report_target_change__synchronous__callbacks_are_through),
        T(request_power_irp__through_the_stack__then_the_callback),
        T(system_power__asked_then_set__refused_is_taken_back),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
