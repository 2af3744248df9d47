/*
 * property.c - what a bus driver says of its device: IDs, texts, capabilities,
 *              and the device properties made of them
 *
 * PASSIVE, waits.  IDs and texts are asked of the PDO alone: the stack above it
 * may not be there yet, and has nothing to say.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

/* --- questions ----------------------------------------------------------- */

static PWSTR
query_string(PDEVICE_OBJECT pdo, UCHAR minor, io_pnp_fill_fn *fill,
             const void *context)
{
    ULONG_PTR text = 0;

    if (!NT_SUCCESS(io_send_pnp(pdo, minor, fill, context, &text)))
        return NULL;
    return (PWSTR) text;
}

static void
fill_id(PIO_STACK_LOCATION next, const void *context)
{
    next->Parameters.QueryId.IdType = *(const BUS_QUERY_ID_TYPE *) context;
}

PWSTR
io_query_id(PDEVICE_OBJECT pdo, BUS_QUERY_ID_TYPE type)
{
    return query_string(pdo, IRP_MN_QUERY_ID, fill_id, &type);
}

#define ENGLISH 0x0409

static void
fill_text(PIO_STACK_LOCATION next, const void *context)
{
    next->Parameters.QueryDeviceText.DeviceTextType =
        *(const DEVICE_TEXT_TYPE *) context;
    next->Parameters.QueryDeviceText.LocaleId = ENGLISH;
}

PWSTR
io_query_text(PDEVICE_OBJECT pdo, DEVICE_TEXT_TYPE type)
{
    return query_string(pdo, IRP_MN_QUERY_DEVICE_TEXT, fill_text, &type);
}

static void
fill_capabilities(PIO_STACK_LOCATION next, const void *context)
{
    next->Parameters.DeviceCapabilities.Capabilities =
        (PDEVICE_CAPABILITIES) context;
}

/* Of the whole stack: drivers above the PDO may correct it. */
NTSTATUS
io_query_capabilities(PDEVICE_OBJECT pdo, DEVICE_CAPABILITIES *out_capabilities)
{
    PDEVICE_OBJECT top = IoGetAttachedDeviceReference(pdo);
    DEVICE_CAPABILITIES capabilities = {
        .Size = sizeof capabilities,
        .Version = 1,
        .Address = (ULONG) -1,
        .UINumber = (ULONG) -1,
    };
    NTSTATUS status = io_send_pnp(top, IRP_MN_QUERY_CAPABILITIES,
                                  fill_capabilities, &capabilities, NULL);

    ObDereferenceObject(top);
    if (NT_SUCCESS(status))
        *out_capabilities = capabilities;
    return status;
}

/* --- properties ---------------------------------------------------------- */

/* What was found: in `small`, or in the pool. */
struct value {
    PVOID data;
    ULONG size;
    PVOID pool; /* to be freed, or NULL */
    union {
        ULONG number;
        GUID guid;
        WCHAR text[64];
    } small;
};

static NTSTATUS
take_string(struct value *value, PWSTR text, bool list)
{
    SIZE_T count = 0;

    if (text == NULL)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    while (text[count] != 0 || (list && text[count + 1] != 0))
        count++;
    value->data = value->pool = text;
    value->size = (ULONG) ((count + (list ? 2 : 1)) * sizeof(WCHAR));
    return STATUS_SUCCESS;
}

static NTSTATUS
take_number(struct value *value, ULONG number)
{
    value->small.number = number;
    value->data = &value->small;
    value->size = sizeof number;
    return STATUS_SUCCESS;
}

static NTSTATUS
description(PDEVICE_OBJECT pdo, struct value *value)
{
    return take_string(value, io_query_text(pdo, DeviceTextDescription), false);
}

static NTSTATUS
location(PDEVICE_OBJECT pdo, struct value *value)
{
    return take_string(value, io_query_text(pdo, DeviceTextLocationInformation),
                       false);
}

static NTSTATUS
hardware_ids(PDEVICE_OBJECT pdo, struct value *value)
{
    return take_string(value, io_query_id(pdo, BusQueryHardwareIDs), true);
}

static NTSTATUS
compatible_ids(PDEVICE_OBJECT pdo, struct value *value)
{
    return take_string(value, io_query_id(pdo, BusQueryCompatibleIDs), true);
}

/* What comes before the backslash of the device ID. */
static NTSTATUS
enumerator(PDEVICE_OBJECT pdo, struct value *value)
{
    NTSTATUS status =
        take_string(value, io_query_id(pdo, BusQueryDeviceID), false);
    PWSTR text = value->data;
    ULONG count = 0;

    if (!NT_SUCCESS(status))
        return status;
    while (text[count] != 0 && text[count] != '\\')
        count++;
    text[count] = 0;
    value->size = (count + 1) * (ULONG) sizeof(WCHAR);
    return STATUS_SUCCESS;
}

static NTSTATUS
object_name(PDEVICE_OBJECT pdo, struct value *value)
{
    ULONG count = 0;
    char name[64];

    io_device_name(pdo, name, sizeof name);
    do
        value->small.text[count] = (UCHAR) name[count];
    while (name[count++] != '\0');
    value->data = &value->small;
    value->size = count * (ULONG) sizeof(WCHAR);
    return STATUS_SUCCESS;
}

static NTSTATUS
address(PDEVICE_OBJECT pdo, struct value *value)
{
    DEVICE_CAPABILITIES capabilities;

    if (!NT_SUCCESS(io_query_capabilities(pdo, &capabilities)) ||
        capabilities.Address == (ULONG) -1)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    return take_number(value, capabilities.Address);
}

static NTSTATUS
ui_number(PDEVICE_OBJECT pdo, struct value *value)
{
    DEVICE_CAPABILITIES capabilities;

    if (!NT_SUCCESS(io_query_capabilities(pdo, &capabilities)) ||
        capabilities.UINumber == (ULONG) -1)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    return take_number(value, capabilities.UINumber);
}

static NTSTATUS
removal_policy(PDEVICE_OBJECT pdo, struct value *value)
{
    DEVICE_CAPABILITIES capabilities;
    ULONG policy = RemovalPolicyExpectNoRemoval;

    if (!NT_SUCCESS(io_query_capabilities(pdo, &capabilities)))
        return STATUS_OBJECT_NAME_NOT_FOUND;
    if (capabilities.Removable || capabilities.EjectSupported)
        policy = capabilities.SurpriseRemovalOK
                     ? RemovalPolicyExpectSurpriseRemoval
                     : RemovalPolicyExpectOrderlyRemoval;
    return take_number(value, policy);
}

static NTSTATUS
query_bus(PDEVICE_OBJECT pdo, PNP_BUS_INFORMATION *out_information)
{
    ULONG_PTR answer = 0;

    if (!NT_SUCCESS(io_send_pnp(pdo, IRP_MN_QUERY_BUS_INFORMATION, NULL, NULL,
                                &answer)) ||
        answer == 0)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    *out_information = *(PPNP_BUS_INFORMATION) answer;
    ExFreePool((PVOID) answer);
    return STATUS_SUCCESS;
}

static NTSTATUS
bus_guid(PDEVICE_OBJECT pdo, struct value *value)
{
    PNP_BUS_INFORMATION bus;
    NTSTATUS status = query_bus(pdo, &bus);

    value->small.guid = bus.BusTypeGuid;
    value->data = &value->small;
    value->size = sizeof(GUID);
    return status;
}

static NTSTATUS
bus_type(PDEVICE_OBJECT pdo, struct value *value)
{
    PNP_BUS_INFORMATION bus;
    NTSTATUS status = query_bus(pdo, &bus);

    return NT_SUCCESS(status) ? take_number(value, (ULONG) bus.LegacyBusType)
                              : status;
}

static NTSTATUS
bus_number(PDEVICE_OBJECT pdo, struct value *value)
{
    PNP_BUS_INFORMATION bus;
    NTSTATUS status = query_bus(pdo, &bus);

    return NT_SUCCESS(status) ? take_number(value, bus.BusNumber) : status;
}

/* InstallStateInstalled: whoever has a stack here has its driver. */
static NTSTATUS
install_state(PDEVICE_OBJECT pdo, struct value *value)
{
    UNREFERENCED_PARAMETER(pdo);
    return take_number(value, 0);
}

/* The others are made by an installation, which there is none of here. */
static NTSTATUS (*const properties[])(PDEVICE_OBJECT pdo,
                                      struct value *value) = {
    [DevicePropertyDeviceDescription] = description,
    [DevicePropertyHardwareID] = hardware_ids,
    [DevicePropertyCompatibleIDs] = compatible_ids,
    [DevicePropertyLocationInformation] = location,
    [DevicePropertyPhysicalDeviceObjectName] = object_name,
    [DevicePropertyBusTypeGuid] = bus_guid,
    [DevicePropertyLegacyBusType] = bus_type,
    [DevicePropertyBusNumber] = bus_number,
    [DevicePropertyEnumeratorName] = enumerator,
    [DevicePropertyAddress] = address,
    [DevicePropertyUINumber] = ui_number,
    [DevicePropertyInstallState] = install_state,
    [DevicePropertyRemovalPolicy] = removal_policy,
};

NTSTATUS NTAPI
IoGetDeviceProperty(PDEVICE_OBJECT DeviceObject,
                    DEVICE_REGISTRY_PROPERTY DeviceProperty, ULONG BufferLength,
                    PVOID PropertyBuffer, PULONG ResultLength)
{
    ULONG which = (ULONG) DeviceProperty;
    struct value value = { 0 };
    NTSTATUS status;

    *ResultLength = 0;
    if (which > DevicePropertyContainerID)
        return STATUS_INVALID_PARAMETER_2;
    if (io_devext(DeviceObject)->attached_to != NULL)
        return STATUS_INVALID_DEVICE_REQUEST;
    if (which >= ARRAYSIZE(properties) || properties[which] == NULL)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    RtlZeroMemory(&value, sizeof value);
    status = properties[which](DeviceObject, &value);
    if (NT_SUCCESS(status)) {
        *ResultLength = value.size;
        if (value.size > BufferLength)
            status = STATUS_BUFFER_TOO_SMALL;
        else
            RtlCopyMemory(PropertyBuffer, value.data, value.size);
    }
    if (value.pool != NULL)
        ExFreePool(value.pool);
    return status;
}
