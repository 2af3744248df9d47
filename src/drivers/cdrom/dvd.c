/*
 * dvd.c - what a DVD says of itself (READ DISC STRUCTURE), reading ahead
 *
 * The reply's header is taken off, and the sectors of a layer are turned into
 * numbers of this machine, as the records have them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cdrom/device.h"

#include <ntddcdvd.h>
#include <scsi.h>

#define DVD_TAG   0x20647644 /* "Dvd " */
#define DVD_REPLY (sizeof(DVD_DESCRIPTOR_HEADER) + 2048)

/* The shortest buffer for each format, which is the command's, too. */
static const USHORT shortest[] = {
    [DvdPhysicalDescriptor] = sizeof(DVD_LAYER_DESCRIPTOR),
    [DvdCopyrightDescriptor] = sizeof(DVD_COPYRIGHT_DESCRIPTOR),
    [DvdDiskKeyDescriptor] = sizeof(DVD_DISK_KEY_DESCRIPTOR),
    [DvdBCADescriptor] = sizeof(DVD_BCA_DESCRIPTOR),
    [DvdManufacturerDescriptor] = sizeof(DVD_MANUFACTURER_DESCRIPTOR),
};

static void
put_be32(PUCHAR to, ULONGLONG value)
{
    for (int i = 3; i >= 0; i--, value >>= 8)
        to[i] = (UCHAR) value;
}

static NTSTATUS
check(PIRP irp, DVD_READ_STRUCTURE *out)
{
    if (fdo_given(irp) < sizeof *out)
        return STATUS_INFO_LENGTH_MISMATCH;
    RtlCopyMemory(out, irp->AssociatedIrp.SystemBuffer, sizeof *out);
    if ((ULONG) out->Format >= DvdMaxDescriptor ||
        out->BlockByteOffset.QuadPart < 0 ||
        out->BlockByteOffset.QuadPart >> 11 > 0xffffffff)
        return STATUS_INVALID_PARAMETER;
    return fdo_room(irp) < shortest[out->Format] ? STATUS_BUFFER_TOO_SMALL
                                                 : STATUS_SUCCESS;
}

static void
turn_layer(PDVD_LAYER_DESCRIPTOR layer)
{
    REVERSE_LONG(&layer->StartingDataSector);
    REVERSE_LONG(&layer->EndDataSector);
    REVERSE_LONG(&layer->EndLayerZeroSector);
}

/* How many bytes of a descriptor came, behind their header. */
static ULONG
descriptor_length(const UCHAR *reply, ULONG came)
{
    ULONG said = (ULONG) reply[0] << 8 | reply[1];

    if (came < sizeof(DVD_DESCRIPTOR_HEADER) || said < 2)
        return 0;
    came -= (ULONG) sizeof(DVD_DESCRIPTOR_HEADER);
    return said - 2 < came ? said - 2 : came;
}

static NTSTATUS
read_structure(PDEVICE_OBJECT fdo, const DVD_READ_STRUCTURE *what, PUCHAR reply,
               ULONG *out_length)
{
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 12 };
    NTSTATUS status;

    RtlZeroMemory(reply, DVD_REPLY);
    srb.Cdb[0] = SCSIOP_READ_DVD_STRUCTURE;
    put_be32(srb.Cdb + 2, (ULONGLONG) what->BlockByteOffset.QuadPart >> 11);
    srb.Cdb[6] = what->LayerNumber;
    srb.Cdb[7] = (UCHAR) what->Format;
    srb.Cdb[8] = (UCHAR) (DVD_REPLY >> 8);
    srb.Cdb[9] = (UCHAR) DVD_REPLY;
    if (what->Format == DvdDiskKeyDescriptor)
        srb.Cdb[10] = (UCHAR) (what->SessionId << 6);
    status = cdrom_send(fdo, &srb, reply, DVD_REPLY, FALSE);
    *out_length = NT_SUCCESS(status)
                      ? descriptor_length(reply, srb.DataTransferLength)
                      : 0;
    if (NT_SUCCESS(status) && *out_length < shortest[what->Format])
        status = STATUS_IO_DEVICE_ERROR; /* less than the format demands */
    return status;
}

NTSTATUS
cdrom_dvd_structure(PDEVICE_OBJECT fdo, PIRP irp)
{
    DVD_READ_STRUCTURE what;
    NTSTATUS status = check(irp, &what);
    ULONG length = 0, room = fdo_room(irp);
    PUCHAR reply;

    if (!NT_SUCCESS(status))
        return fdo_complete(fdo, irp, status, 0);
    reply = ExAllocatePoolWithTag(NonPagedPool, DVD_REPLY, DVD_TAG);
    if (reply == NULL)
        return fdo_complete(fdo, irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    status = read_structure(fdo, &what, reply, &length);
    if (NT_SUCCESS(status)) {
        PUCHAR descriptor = reply + sizeof(DVD_DESCRIPTOR_HEADER);

        if (what.Format == DvdPhysicalDescriptor)
            turn_layer((PDVD_LAYER_DESCRIPTOR) descriptor);
        if (length > room)
            length = room;
        RtlCopyMemory(irp->AssociatedIrp.SystemBuffer, descriptor, length);
    }
    ExFreePoolWithTag(reply, DVD_TAG);
    return fdo_complete(fdo, irp, status, length);
}

/* Once the trigger is read, the drive goes on at the target. */
NTSTATUS
cdrom_set_read_ahead(PDEVICE_OBJECT fdo, PIRP irp)
{
    const STORAGE_SET_READ_AHEAD *what = irp->AssociatedIrp.SystemBuffer;
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 12 };

    if (fdo_given(irp) < sizeof *what)
        return fdo_complete(fdo, irp, STATUS_INFO_LENGTH_MISMATCH, 0);
    if (what->TriggerAddress.QuadPart < 0 || what->TargetAddress.QuadPart < 0 ||
        what->TriggerAddress.QuadPart >> 11 > 0xffffffff ||
        what->TargetAddress.QuadPart >> 11 > 0xffffffff)
        return fdo_complete(fdo, irp, STATUS_INVALID_PARAMETER, 0);
    srb.Cdb[0] = SCSIOP_SET_READ_AHEAD;
    put_be32(srb.Cdb + 2, (ULONGLONG) what->TriggerAddress.QuadPart >> 11);
    put_be32(srb.Cdb + 6, (ULONGLONG) what->TargetAddress.QuadPart >> 11);
    return fdo_complete(fdo, irp, cdrom_send(fdo, &srb, NULL, 0, FALSE), 0);
}
