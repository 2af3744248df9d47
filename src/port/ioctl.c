/*
 * ioctl.c - IRP_MJ_DEVICE_CONTROL of a unit
 *
 * Context: <= APC.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "port/port_internal.h"

/* --- IOCTL_STORAGE_QUERY_PROPERTY ------------------------------------------ */

/* As much of a record as fits; less than its header is an error. */
static NTSTATUS
reply(PIRP irp, const void *record, ULONG size)
{
    ULONG room = IoGetCurrentIrpStackLocation(irp)
                     ->Parameters.DeviceIoControl.OutputBufferLength;

    if (room < sizeof(STORAGE_DESCRIPTOR_HEADER))
        return port_complete(irp, STATUS_BUFFER_TOO_SMALL, 0);
    if (size > room)
        size = room;
    RtlCopyMemory(irp->AssociatedIrp.SystemBuffer, record, size);
    return port_complete(irp, STATUS_SUCCESS, size);
}

static NTSTATUS
adapter_descriptor(struct port_unit *unit, PIRP irp)
{
    const struct hba_ops *ops = unit->ops;
    ULONG most = port_unit_limit(unit);
    STORAGE_ADAPTER_DESCRIPTOR adapter = {
        .Version = sizeof adapter,
        .Size = sizeof adapter,
        .MaximumTransferLength = most,
        .MaximumPhysicalPages = most / PAGE_SIZE + 1,
        .AlignmentMask = ops->alignment_mask,
        .CommandQueueing = TRUE,
        .BusType = ops->bus_type,
        .BusMajorVersion = 2,
    };

    return reply(irp, &adapter, sizeof adapter);
}

/* Copies a text without the blanks at its end; returns its offset, or 0. */
static ULONG
append_text(PUCHAR record, PULONG size, const void *text, size_t len)
{
    const char *from = text;
    ULONG offset = *size;

    len = strnlen(from, len);
    while (len > 0 && from[len - 1] == ' ')
        len--;
    if (len == 0)
        return 0;
    memcpy(record + offset, from, len);
    record[offset + len] = '\0';
    *size += (ULONG) len + 1;
    return offset;
}

static NTSTATUS
device_descriptor(struct port_unit *unit, PIRP irp)
{
    const INQUIRYDATA *inquiry = &unit->inquiry;
    UCHAR buffer[sizeof(STORAGE_DEVICE_DESCRIPTOR) + INQUIRYDATABUFFERSIZE + 8 +
                 16 + 4 + UNIT_NAME_MAX + 4] = { 0 };
    STORAGE_DEVICE_DESCRIPTOR device = {
        .Version = sizeof device,
        .DeviceType = inquiry->DeviceType,
        .DeviceTypeModifier = inquiry->DeviceTypeModifier,
        .RemovableMedia = inquiry->RemovableMedia,
        .CommandQueueing = inquiry->CommandQueue,
        .BusType = unit->ops->bus_type,
        .RawPropertiesLength = INQUIRYDATABUFFERSIZE,
    };
    ULONG size = offsetof(STORAGE_DEVICE_DESCRIPTOR, RawDeviceProperties);

    memcpy(buffer + size, inquiry, INQUIRYDATABUFFERSIZE);
    size += INQUIRYDATABUFFERSIZE;
    device.VendorIdOffset = append_text(buffer, &size, inquiry->VendorId, 8);
    device.ProductIdOffset = append_text(buffer, &size, inquiry->ProductId, 16);
    device.ProductRevisionOffset =
        append_text(buffer, &size, inquiry->ProductRevisionLevel, 4);
    device.SerialNumberOffset =
        append_text(buffer, &size, unit->serial, sizeof unit->serial);
    if (size < sizeof device)
        size = sizeof device;
    device.Size = size;
    memcpy(buffer, &device,
           offsetof(STORAGE_DEVICE_DESCRIPTOR, RawDeviceProperties));
    return reply(irp, buffer, size);
}

static NTSTATUS
query_property(struct port_unit *unit, PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    PSTORAGE_PROPERTY_QUERY query = irp->AssociatedIrp.SystemBuffer;
    NTSTATUS (*answer)(struct port_unit *, PIRP) = NULL;

    if (at->Parameters.DeviceIoControl.InputBufferLength <
        offsetof(STORAGE_PROPERTY_QUERY, AdditionalParameters))
        return port_complete(irp, STATUS_INFO_LENGTH_MISMATCH, 0);
    if (query->PropertyId == StorageDeviceProperty)
        answer = device_descriptor;
    else if (query->PropertyId == StorageAdapterProperty)
        answer = adapter_descriptor;
    if (answer == NULL)
        return port_complete(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    if (query->QueryType == PropertyExistsQuery)
        return port_complete(irp, STATUS_SUCCESS, 0);
    if (query->QueryType != PropertyStandardQuery)
        return port_complete(irp, STATUS_INVALID_PARAMETER, 0);
    return answer(unit, irp);
}

/* --- the rest -------------------------------------------------------------- */

static NTSTATUS
get_address(struct port_unit *unit, PIRP irp)
{
    SCSI_ADDRESS address = {
        .Length = sizeof address,
        .PathId = (UCHAR) (unit->address >> 8),
        .TargetId = (UCHAR) unit->address,
    };

    if (IoGetCurrentIrpStackLocation(irp)
            ->Parameters.DeviceIoControl.OutputBufferLength < sizeof address)
        return port_complete(irp, STATUS_BUFFER_TOO_SMALL, 0);
    RtlCopyMemory(irp->AssociatedIrp.SystemBuffer, &address, sizeof address);
    return port_complete(irp, STATUS_SUCCESS, sizeof address);
}

static NTSTATUS
get_capabilities(struct port_unit *unit, PIRP irp)
{
    ULONG most = port_unit_limit(unit);
    IO_SCSI_CAPABILITIES capabilities = {
        .Length = sizeof capabilities,
        .MaximumTransferLength = most,
        .MaximumPhysicalPages = most / PAGE_SIZE + 1,
        .AlignmentMask = unit->ops->alignment_mask,
        .TaggedQueuing = TRUE,
    };

    if (IoGetCurrentIrpStackLocation(irp)
            ->Parameters.DeviceIoControl.OutputBufferLength <
        sizeof capabilities)
        return port_complete(irp, STATUS_BUFFER_TOO_SMALL, 0);
    RtlCopyMemory(irp->AssociatedIrp.SystemBuffer, &capabilities,
                  sizeof capabilities);
    return port_complete(irp, STATUS_SUCCESS, sizeof capabilities);
}

/* The unit is all that is known of its bus here. */
static NTSTATUS
get_inquiry_data(struct port_unit *unit, PIRP irp)
{
    struct {
        SCSI_ADAPTER_BUS_INFO bus;
        UCHAR entry[sizeof(SCSI_INQUIRY_DATA) + INQUIRYDATABUFFERSIZE];
    } all = { .bus = { .NumberOfBuses = 1 } };
    ULONG head = offsetof(SCSI_INQUIRY_DATA, InquiryData);
    SCSI_INQUIRY_DATA one = {
        .PathId = (UCHAR) (unit->address >> 8),
        .TargetId = (UCHAR) unit->address,
        .DeviceClaimed = unit->claimed,
        .InquiryDataLength = INQUIRYDATABUFFERSIZE,
    };

    if (IoGetCurrentIrpStackLocation(irp)
            ->Parameters.DeviceIoControl.OutputBufferLength < sizeof all)
        return port_complete(irp, STATUS_BUFFER_TOO_SMALL, 0);
    all.bus.BusData[0].NumberOfLogicalUnits = 1;
    all.bus.BusData[0].InquiryDataOffset = sizeof all.bus;
    memcpy(all.entry, &one, head);
    memcpy(all.entry + head, &unit->inquiry, INQUIRYDATABUFFERSIZE);
    RtlCopyMemory(irp->AssociatedIrp.SystemBuffer, &all, sizeof all);
    return port_complete(irp, STATUS_SUCCESS, sizeof all);
}

/* No adapter has control codes of its own: as a miniport that does not know
 * the signature. */
static NTSTATUS
miniport(struct port_unit *unit, PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    ULONG in = at->Parameters.DeviceIoControl.InputBufferLength;
    const SRB_IO_CONTROL *control = irp->AssociatedIrp.SystemBuffer;

    (void) unit;
    if (in < sizeof *control)
        return port_complete(irp, STATUS_INVALID_PARAMETER, 0);
    if (control->HeaderLength != sizeof *control)
        return port_complete(irp, STATUS_REVISION_MISMATCH, 0);
    if (control->Length > in - sizeof *control)
        return port_complete(irp, STATUS_INVALID_PARAMETER, 0);
    return port_complete(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
}

/* Units come from the configuration: there is no bus to look at. */
static NTSTATUS
rescan(struct port_unit *unit, PIRP irp)
{
    (void) unit;
    return port_complete(irp, STATUS_NOT_SUPPORTED, 0);
}

static NTSTATUS
reset(struct port_unit *unit, PIRP irp)
{
    unit->ops->reset(unit->hba);
    return port_complete(irp, STATUS_SUCCESS, 0);
}

static NTSTATUS
pass_through(struct port_unit *unit, PIRP irp)
{
    return port_pass_through(unit->pdo, irp);
}

static const struct {
    ULONG code;
    NTSTATUS (*run)(struct port_unit *unit, PIRP irp);
} codes[] = {
    { IOCTL_STORAGE_QUERY_PROPERTY, query_property },
    { IOCTL_SCSI_GET_ADDRESS, get_address },
    { IOCTL_SCSI_GET_CAPABILITIES, get_capabilities },
    { IOCTL_SCSI_GET_INQUIRY_DATA, get_inquiry_data },
    { IOCTL_SCSI_MINIPORT, miniport },
    { IOCTL_SCSI_RESCAN_BUS, rescan },
    { IOCTL_SCSI_PASS_THROUGH, pass_through },
    { IOCTL_SCSI_PASS_THROUGH_DIRECT, pass_through },
    { IOCTL_STORAGE_RESET_BUS, reset },
    { IOCTL_STORAGE_RESET_DEVICE, reset },
};

NTSTATUS NTAPI
port_device_control(PDEVICE_OBJECT device, PIRP irp)
{
    struct port_unit *unit = unit_of(device);
    ULONG code = IoGetCurrentIrpStackLocation(irp)
                     ->Parameters.DeviceIoControl.IoControlCode;

    if (unit_flags(unit) & UNIT_REMOVED)
        return port_complete(irp, STATUS_DEVICE_DOES_NOT_EXIST, 0);
    for (size_t i = 0; i < ARRAYSIZE(codes); i++)
        if (codes[i].code == code)
            return codes[i].run(unit, irp);
    return port_complete(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
}
