/*
 * speed.c - how fast the disc turns: SET CD SPEED, SET STREAMING, GET
 *           PERFORMANCE
 *
 * What SET CD SPEED sets, the drive forgets with the medium.  What SET
 * STREAMING sets, it keeps; a caller may ask that the default comes back when
 * the medium changes, and that is done here, by a worker, when the drive
 * reports a change.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cdrom/device.h"

#include <scsi.h>

static void
put_be(PUCHAR to, ULONG value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, value >>= 8)
        to[i] = (UCHAR) value;
}

/* --- setting it ----------------------------------------------------------- */

/* The performance descriptor of SET STREAMING. */
enum { RANDOM_ACCESS = 0x01, EXACT = 0x02, RESTORE = 0x04, CAV = 0x08 };

static NTSTATUS
send_streaming(PDEVICE_OBJECT fdo, UCHAR descriptor[28])
{
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 12 };

    srb.Cdb[0] = SCSIOP_SET_STREAMING;
    srb.Cdb[10] = 28;
    return cdrom_send(fdo, &srb, descriptor, 28, TRUE);
}

static NTSTATUS
set_streaming(PDEVICE_OBJECT fdo, const CDROM_SET_STREAMING *what)
{
    UCHAR descriptor[28] = { 0 };
    NTSTATUS status;

    descriptor[0] = (UCHAR) ((what->RandomAccess ? RANDOM_ACCESS : 0) |
                             (what->SetExact ? EXACT : 0) |
                             (what->RestoreDefaults ? RESTORE : 0) |
                             (what->RotationControl != 0 ? CAV : 0));
    put_be(descriptor + 4, what->StartLba, 4);
    put_be(descriptor + 8, what->EndLba, 4);
    put_be(descriptor + 12, what->ReadSize, 4);
    put_be(descriptor + 16, what->ReadTime, 4);
    put_be(descriptor + 20, what->WriteSize, 4);
    put_be(descriptor + 24, what->WriteTime, 4);
    status = send_streaming(fdo, descriptor);
    if (NT_SUCCESS(status))
        InterlockedExchange(&cdrom_data_of(fdo)->restore_due,
                            what->Persistent && !what->RestoreDefaults);
    return status;
}

static NTSTATUS
set_cd_speed(PDEVICE_OBJECT fdo, const CDROM_SET_SPEED *what)
{
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 12 };

    srb.Cdb[0] = SCSIOP_SET_CD_SPEED;
    srb.Cdb[1] = (UCHAR) what->RotationControl;
    put_be(srb.Cdb + 2, what->ReadSpeed, 2);
    put_be(srb.Cdb + 4, what->WriteSpeed, 2);
    return cdrom_send(fdo, &srb, NULL, 0, FALSE);
}

/* Both records begin with the type of the request. */
NTSTATUS
cdrom_set_speed(PDEVICE_OBJECT fdo, PIRP irp)
{
    const CDROM_SET_STREAMING *streaming = irp->AssociatedIrp.SystemBuffer;
    const CDROM_SET_SPEED *speed = irp->AssociatedIrp.SystemBuffer;
    NTSTATUS status = STATUS_INVALID_PARAMETER;
    ULONG given = fdo_given(irp);

    if (given < sizeof speed->RequestType ||
        (speed->RequestType == CdromSetSpeed && given < sizeof *speed) ||
        (speed->RequestType == CdromSetStreaming && given < sizeof *streaming))
        return fdo_complete(fdo, irp, STATUS_INFO_LENGTH_MISMATCH, 0);
    if (speed->RequestType == CdromSetSpeed &&
        (ULONG) speed->RotationControl <= CdromCAVRotation)
        status = set_cd_speed(fdo, speed);
    else if (speed->RequestType == CdromSetStreaming &&
             (ULONG) streaming->RotationControl <= CdromCAVRotation)
        status = set_streaming(fdo, streaming);
    return fdo_complete(fdo, irp, status, 0);
}

/* --- streaming ------------------------------------------------------------ */

/* By default a handle does not stream, and here none does: transfers are the
 * class library's, which retries what fails. */
NTSTATUS
cdrom_enable_streaming(PDEVICE_OBJECT fdo, PIRP irp)
{
    const CDROM_STREAMING_CONTROL *what = irp->AssociatedIrp.SystemBuffer;
    NTSTATUS status = STATUS_INVALID_DEVICE_REQUEST;

    if (fdo_given(irp) < sizeof *what)
        return fdo_complete(fdo, irp, STATUS_INFO_LENGTH_MISMATCH, 0);
    if (!cdrom_has_handle(fdo, irp))
        status = STATUS_INVALID_HANDLE;
    else if (what->RequestType < CdromStreamingDisable ||
             what->RequestType > CdromStreamingEnableForReadWrite)
        status = STATUS_INVALID_PARAMETER;
    else if (what->RequestType == CdromStreamingDisable)
        status = STATUS_SUCCESS;
    return fdo_complete(fdo, irp, status, 0);
}

/* --- back to the default -------------------------------------------------- */

static VOID NTAPI
restore_default(PDEVICE_OBJECT fdo, PVOID context)
{
    UCHAR descriptor[28] = { RESTORE };

    (void) send_streaming(fdo, descriptor);
    ClassReleaseRemoveLock(fdo, context);
}

void
cdrom_speed_changed(PDEVICE_OBJECT fdo)
{
    struct cdrom_data *data = cdrom_data_of(fdo);

    if (!__atomic_load_n(&data->restore_due, __ATOMIC_RELAXED) ||
        !InterlockedExchange(&data->restore_due, FALSE))
        return;
    if (ClassAcquireRemoveLock(fdo, (PIRP) data) != NO_REMOVE) {
        ClassReleaseRemoveLock(fdo, (PIRP) data);
        return;
    }
    IoQueueWorkItem(data->restore, restore_default, DelayedWorkQueue, data);
}

BOOLEAN
cdrom_speed_init(PDEVICE_OBJECT fdo)
{
    struct cdrom_data *data = cdrom_data_of(fdo);

    if (data->restore == NULL)
        data->restore = IoAllocateWorkItem(fdo);
    return data->restore != NULL;
}

void
cdrom_speed_end(PDEVICE_OBJECT fdo)
{
    struct cdrom_data *data = cdrom_data_of(fdo);

    if (data->restore != NULL)
        IoFreeWorkItem(data->restore);
    data->restore = NULL;
}

/* --- asking for it -------------------------------------------------------- */

enum { TYPE_PERFORMANCE = 0x00, TYPE_WRITE_SPEED = 0x03 };

/* Bytes 1 and 10 of the command, and how long a descriptor is. */
struct performance {
    UCHAR what, type;
    ULONG first, size;
};

static NTSTATUS
performance_of(PIRP irp, struct performance *out)
{
    const CDROM_PERFORMANCE_REQUEST *what = irp->AssociatedIrp.SystemBuffer;
    ULONG given = fdo_given(irp);

    if (given < sizeof(CDROM_WRITE_SPEED_REQUEST))
        return STATUS_INFO_LENGTH_MISMATCH;
    *out = (struct performance){ .type = TYPE_WRITE_SPEED, .size = 16 };
    if (what->RequestType == CdromWriteSpeedRequest)
        return STATUS_SUCCESS;
    if (what->RequestType != CdromPerformanceRequest)
        return STATUS_INVALID_PARAMETER;
    if (given < sizeof *what)
        return STATUS_INFO_LENGTH_MISMATCH;
    if ((what->PerformanceType != CdromReadPerformance &&
         what->PerformanceType != CdromWritePerformance) ||
        what->Exceptions < CdromNominalPerformance ||
        what->Exceptions > CdromPerformanceExceptionsOnly ||
        what->Tolerance != Cdrom10Nominal20Exceptions)
        return STATUS_INVALID_PARAMETER;
    out->type = TYPE_PERFORMANCE;
    out->what = (UCHAR) (0x10 | (what->Exceptions - CdromNominalPerformance));
    if (what->PerformanceType == CdromWritePerformance)
        out->what |= 0x04;
    if (what->Exceptions == CdromPerformanceExceptionsOnly)
        out->size = sizeof(CDROM_EXCEPTION_PERFORMANCE_DESCRIPTOR);
    if (what->Exceptions == CdromEntirePerformanceList)
        out->first = what->StaringLba;
    return STATUS_SUCCESS;
}

NTSTATUS
cdrom_get_performance(PDEVICE_OBJECT fdo, PIRP irp)
{
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 12 };
    PUCHAR out = irp->AssociatedIrp.SystemBuffer;
    ULONG room = fdo_room(irp), count;
    struct performance what;
    NTSTATUS status = performance_of(irp, &what);

    if (NT_SUCCESS(status) && room < sizeof(CDROM_PERFORMANCE_HEADER))
        status = STATUS_BUFFER_TOO_SMALL;
    if (!NT_SUCCESS(status))
        return fdo_complete(fdo, irp, status, 0);
    count = (room - (ULONG) sizeof(CDROM_PERFORMANCE_HEADER)) / what.size;
    if (count > 0xffff)
        count = 0xffff;
    room = (ULONG) sizeof(CDROM_PERFORMANCE_HEADER) + count * what.size;
    RtlZeroMemory(out, room);
    srb.Cdb[0] = SCSIOP_GET_PERFORMANCE;
    srb.Cdb[1] = what.what;
    put_be(srb.Cdb + 2, what.first, 4);
    put_be(srb.Cdb + 8, count, 2);
    srb.Cdb[10] = what.type;
    status = cdrom_send(fdo, &srb, out, room, FALSE);
    return fdo_complete(fdo, irp, status, srb.DataTransferLength);
}
