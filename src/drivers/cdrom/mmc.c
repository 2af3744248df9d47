/*
 * mmc.c - control codes that hand a multimedia command to the drive: what it
 *         can do, what it is, calibration of the laser
 *
 * Written against the WDK headers alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cdrom/device.h"

#include <ntddmmc.h>
#include <scsi.h>

NTSTATUS
cdrom_send(PDEVICE_OBJECT fdo, PSCSI_REQUEST_BLOCK srb, PVOID data,
           ULONG length, BOOLEAN to_device)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;
    NTSTATUS status;

    srb->TimeOutValue = ext->TimeOutValue;
    status = ClassSendSrbSynchronous(fdo, srb, data, length, to_device);
    return status == STATUS_DATA_OVERRUN ? STATUS_SUCCESS : status;
}

/* The length of the reply is in a field of 16 bits: a buffer that is longer
 * cannot be offered to the drive. */
NTSTATUS
cdrom_get_configuration(PDEVICE_OBJECT fdo, PIRP irp)
{
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 10 };
    PUCHAR out = irp->AssociatedIrp.SystemBuffer;
    ULONG room = fdo_room(irp);
    GET_CONFIGURATION_IOCTL_INPUT what;
    NTSTATUS status;

    if (fdo_given(irp) != sizeof what)
        return fdo_complete(fdo, irp, STATUS_INFO_LENGTH_MISMATCH, 0);
    if (room < sizeof(GET_CONFIGURATION_HEADER))
        return fdo_complete(fdo, irp, STATUS_BUFFER_TOO_SMALL, 0);
    if (room > 0xffff)
        return fdo_complete(fdo, irp, STATUS_INVALID_BUFFER_SIZE, 0);
    RtlCopyMemory(&what, out, sizeof what);
    if (what.RequestType > SCSI_GET_CONFIGURATION_REQUEST_TYPE_ONE ||
        (ULONG) what.Feature > 0xffff)
        return fdo_complete(fdo, irp, STATUS_INVALID_PARAMETER, 0);
    RtlZeroMemory(out, room);
    srb.Cdb[0] = SCSIOP_GET_CONFIGURATION;
    srb.Cdb[1] = (UCHAR) what.RequestType;
    srb.Cdb[2] = (UCHAR) ((ULONG) what.Feature >> 8);
    srb.Cdb[3] = (UCHAR) what.Feature;
    srb.Cdb[7] = (UCHAR) (room >> 8);
    srb.Cdb[8] = (UCHAR) room;
    status = cdrom_send(fdo, &srb, out, room, FALSE);
    return fdo_complete(fdo, irp, status, srb.DataTransferLength);
}

NTSTATUS
cdrom_get_inquiry(PDEVICE_OBJECT fdo, PIRP irp)
{
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 6 };
    PUCHAR out = irp->AssociatedIrp.SystemBuffer;
    ULONG room = fdo_room(irp);
    NTSTATUS status;

    if (room < MINIMUM_CDROM_INQUIRY_SIZE)
        return fdo_complete(fdo, irp, STATUS_BUFFER_TOO_SMALL, 0);
    if (room > MAXIMUM_CDROM_INQUIRY_SIZE)
        room = MAXIMUM_CDROM_INQUIRY_SIZE;
    RtlZeroMemory(out, room);
    srb.Cdb[0] = SCSIOP_INQUIRY;
    srb.Cdb[3] = (UCHAR) (room >> 8);
    srb.Cdb[4] = (UCHAR) room;
    status = cdrom_send(fdo, &srb, out, room, FALSE);
    return fdo_complete(fdo, irp, status, srb.DataTransferLength);
}

NTSTATUS
cdrom_send_opc(PDEVICE_OBJECT fdo, PIRP irp)
{
    const CDROM_SIMPLE_OPC_INFO *what = irp->AssociatedIrp.SystemBuffer;
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 10 };

    if (fdo_given(irp) < sizeof *what)
        return fdo_complete(fdo, irp, STATUS_INFO_LENGTH_MISMATCH, 0);
    if (what->RequestType != SimpleOpcInfo)
        return fdo_complete(fdo, irp, STATUS_INVALID_PARAMETER, 0);
    srb.Cdb[0] = SCSIOP_SEND_OPC_INFORMATION;
    srb.Cdb[1] = 0x01; /* calibrate */
    srb.Cdb[2] = (what->Exclude0 ? 0x01 : 0) | (what->Exclude1 ? 0x02 : 0);
    return fdo_complete(fdo, irp, cdrom_send(fdo, &srb, NULL, 0, FALSE), 0);
}
