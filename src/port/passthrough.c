/*
 * passthrough.c - IOCTL_SCSI_PASS_THROUGH and _DIRECT
 *
 * The caller's command becomes an SRB of its own, in an IRP of its own, which
 * goes the way of every other; when it completes, the caller's record is
 * filled in and the caller's IRP completed.  As in Windows a command that the
 * device answered, well or badly, is a success of the control code.
 *
 * Context: <= APC; completes on any thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/port_internal.h"

#define TIME_LIMIT_MAX_S 108000 /* as scsiport has it */

struct pass {
    PIRP caller;  /* the IRP with the control code */
    PVOID record; /* SCSI_PASS_THROUGH or _DIRECT */
    ULONG room;   /* of the caller's output buffer */
    BOOLEAN direct;
    SCSI_REQUEST_BLOCK srb;
    UCHAR sense[255];
};

/* The two records are laid out alike but for the data pointer. */
C_ASSERT(offsetof(SCSI_PASS_THROUGH, DataBufferOffset) ==
         offsetof(SCSI_PASS_THROUGH_DIRECT, DataBuffer));
C_ASSERT(sizeof(SCSI_PASS_THROUGH) == sizeof(SCSI_PASS_THROUGH_DIRECT));

static ULONG_PTR
write_back(struct pass *pass)
{
    PSCSI_PASS_THROUGH record = pass->record;
    PSCSI_REQUEST_BLOCK srb = &pass->srb;
    ULONG_PTR information = sizeof *record;

    record->ScsiStatus = srb->ScsiStatus;
    record->DataTransferLength = srb->DataTransferLength;
    if (srb->SrbStatus & SRB_STATUS_AUTOSENSE_VALID) {
        record->SenseInfoLength = srb->SenseInfoBufferLength;
        RtlCopyMemory((PUCHAR) record + record->SenseInfoOffset, pass->sense,
                      srb->SenseInfoBufferLength);
        information = record->SenseInfoOffset + srb->SenseInfoBufferLength;
    } else {
        record->SenseInfoLength = 0;
    }
    if (!pass->direct && record->DataIn == SCSI_IOCTL_DATA_IN &&
        srb->DataTransferLength != 0 &&
        record->DataBufferOffset + srb->DataTransferLength > information)
        information = record->DataBufferOffset + srb->DataTransferLength;
    return information < pass->room ? information : pass->room;
}

static NTSTATUS NTAPI
passed(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    struct pass *pass = context;
    PSCSI_REQUEST_BLOCK srb = &pass->srb;
    NTSTATUS status = STATUS_SUCCESS;
    PIRP caller = pass->caller;
    ULONG_PTR information;

    /* Answered by the device, whatever the answer was. */
    if (SRB_STATUS(srb->SrbStatus) != SRB_STATUS_SUCCESS &&
        SRB_STATUS(srb->SrbStatus) != SRB_STATUS_ERROR)
        status = port_srb_ntstatus(srb);
    information = write_back(pass);
    ExFreePoolWithTag(pass, PORT_TAG);
    IoFreeIrp(irp);
    port_complete(caller, status, NT_SUCCESS(status) ? information : 0);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static BOOLEAN
within(ULONG_PTR offset, ULONG length, ULONG total)
{
    return offset >= sizeof(SCSI_PASS_THROUGH) && offset <= total &&
           length <= total - offset;
}

static NTSTATUS
check(struct port_unit *unit, PIRP irp, BOOLEAN direct)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    const SCSI_PASS_THROUGH *record = irp->AssociatedIrp.SystemBuffer;
    ULONG in = at->Parameters.DeviceIoControl.InputBufferLength;
    ULONG out = at->Parameters.DeviceIoControl.OutputBufferLength;

    if (in < sizeof *record)
        return STATUS_BUFFER_TOO_SMALL;
    if (record->Length != sizeof *record)
        return STATUS_REVISION_MISMATCH;
    if (out < sizeof *record || record->CdbLength == 0 ||
        record->CdbLength > sizeof record->Cdb ||
        record->DataIn > SCSI_IOCTL_DATA_UNSPECIFIED ||
        record->DataTransferLength > port_unit_limit(unit) ||
        record->TimeOutValue > TIME_LIMIT_MAX_S)
        return STATUS_INVALID_PARAMETER;
    if (record->SenseInfoLength != 0 &&
        !within(record->SenseInfoOffset, record->SenseInfoLength, out))
        return STATUS_INVALID_PARAMETER;
    if (record->DataTransferLength == 0)
        return STATUS_SUCCESS;
    if (direct)
        return ((const SCSI_PASS_THROUGH_DIRECT *) record)->DataBuffer != NULL
                   ? STATUS_SUCCESS
                   : STATUS_INVALID_PARAMETER;
    return within(record->DataBufferOffset, record->DataTransferLength,
                  record->DataIn == SCSI_IOCTL_DATA_OUT ? in : out)
               ? STATUS_SUCCESS
               : STATUS_INVALID_PARAMETER;
}

static void
fill_srb(struct pass *pass)
{
    static const ULONG direction[] = {
        [SCSI_IOCTL_DATA_OUT] = SRB_FLAGS_DATA_OUT,
        [SCSI_IOCTL_DATA_IN] = SRB_FLAGS_DATA_IN,
        [SCSI_IOCTL_DATA_UNSPECIFIED] = SRB_FLAGS_UNSPECIFIED_DIRECTION,
    };
    const SCSI_PASS_THROUGH *record = pass->record;
    PSCSI_REQUEST_BLOCK srb = &pass->srb;

    RtlZeroMemory(srb, sizeof *srb);
    srb->Length = sizeof *srb;
    srb->Function = SRB_FUNCTION_EXECUTE_SCSI;
    srb->CdbLength = record->CdbLength;
    RtlCopyMemory(srb->Cdb, record->Cdb, record->CdbLength);
    srb->SenseInfoBuffer = record->SenseInfoLength != 0 ? pass->sense : NULL;
    srb->SenseInfoBufferLength = record->SenseInfoLength;
    srb->TimeOutValue = record->TimeOutValue;
    srb->SrbFlags = SRB_FLAGS_NO_QUEUE_FREEZE;
    srb->DataTransferLength = record->DataTransferLength;
    if (srb->DataTransferLength == 0)
        return;
    srb->SrbFlags |= direction[record->DataIn];
    srb->DataBuffer =
        pass->direct ? ((const SCSI_PASS_THROUGH_DIRECT *) record)->DataBuffer
                     : (PUCHAR) pass->record + record->DataBufferOffset;
}

NTSTATUS
port_pass_through(PDEVICE_OBJECT pdo, PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    BOOLEAN direct = at->Parameters.DeviceIoControl.IoControlCode ==
                     IOCTL_SCSI_PASS_THROUGH_DIRECT;
    NTSTATUS status = check(unit_of(pdo), irp, direct);
    PIO_STACK_LOCATION next;
    struct pass *pass;
    PIRP own;

    if (!NT_SUCCESS(status))
        return port_complete(irp, status, 0);
    pass = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof *pass, PORT_TAG);
    own = pass != NULL ? IoAllocateIrp(pdo->StackSize, FALSE) : NULL;
    if (own == NULL) {
        if (pass != NULL)
            ExFreePoolWithTag(pass, PORT_TAG);
        return port_complete(irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    pass->caller = irp;
    pass->record = irp->AssociatedIrp.SystemBuffer;
    pass->room = at->Parameters.DeviceIoControl.OutputBufferLength;
    pass->direct = direct;
    fill_srb(pass);
    pass->srb.OriginalRequest = own;
    next = IoGetNextIrpStackLocation(own);
    next->MajorFunction = IRP_MJ_SCSI;
    next->MinorFunction = 1;
    next->Parameters.Scsi.Srb = &pass->srb;
    own->Tail.Overlay.Thread = irp->Tail.Overlay.Thread;
    IoSetCompletionRoutine(own, passed, pass, TRUE, TRUE, TRUE);
    IoMarkIrpPending(irp);
    IoCallDriver(pdo, own);
    return STATUS_PENDING;
}
