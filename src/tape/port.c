/*
 * port.c - requests to a tape device
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapes/port.h"

#include <ntddscsi.h>

#include "io/io.h"

#define PASS_TIMEOUT_S 60
#define PASS_DATA_MAX  252

/* --- requests ------------------------------------------------------------- */

NTSTATUS
tape_port_open(struct tape_port *port)
{
    return io_open_device(port->device, FILE_READ_ATTRIBUTES, &port->file);
}

void
tape_port_close(struct tape_port *port)
{
    if (port->file != NULL)
        io_close_file(port->file);
    port->file = NULL;
}

/* The request stays ours: its Information counts whatever its status. */
static NTSTATUS NTAPI
request_done(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    (void) device;
    (void) irp;
    KeSetEvent(context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS
run(const struct tape_port *port, PIRP irp, ULONG *out_information)
{
    NTSTATUS status;
    KEVENT done;

    KeInitializeEvent(&done, NotificationEvent, FALSE);
    IoGetNextIrpStackLocation(irp)->FileObject = port->file;
    IoSetCompletionRoutine(irp, request_done, &done, TRUE, TRUE, TRUE);
    (void) IoCallDriver(port->device, irp);
    (void) KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, NULL);
    status = irp->IoStatus.Status;
    if (out_information != NULL)
        *out_information = (ULONG) irp->IoStatus.Information;
    if (irp->MdlAddress != NULL)
        IoFreeMdl(irp->MdlAddress);
    irp->MdlAddress = NULL;
    IoFreeIrp(irp);
    return status;
}

NTSTATUS
tape_port_transfer(const struct tape_port *port, BOOLEAN write, void *data,
                   ULONG length, ULONG *out_bytes)
{
    PIRP irp = IoAllocateIrp(port->device->StackSize, FALSE);
    PIO_STACK_LOCATION next;

    *out_bytes = 0;
    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (IoAllocateMdl(data, length, FALSE, FALSE, irp) == NULL) {
        IoFreeIrp(irp);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    MmBuildMdlForNonPagedPool(irp->MdlAddress);
    next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = write ? IRP_MJ_WRITE : IRP_MJ_READ;
    next->Parameters.Read.Length = length;
    return run(port, irp, out_bytes);
}

static NTSTATUS
control(const struct tape_port *port, ULONG code, void *buffer, ULONG in,
        ULONG out, ULONG *out_information)
{
    PIRP irp = IoAllocateIrp(port->device->StackSize, FALSE);
    PIO_STACK_LOCATION next;

    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = IRP_MJ_DEVICE_CONTROL;
    next->Parameters.DeviceIoControl.IoControlCode = code;
    next->Parameters.DeviceIoControl.InputBufferLength = in;
    next->Parameters.DeviceIoControl.OutputBufferLength = out;
    irp->AssociatedIrp.SystemBuffer = buffer;
    return run(port, irp, out_information);
}

NTSTATUS
tape_port_control(const struct tape_port *port, ULONG code, void *buffer,
                  ULONG in, ULONG out)
{
    return control(port, code, buffer, in, out, NULL);
}

/* --- questions ------------------------------------------------------------ */

/* A device without a volume says STATUS_IO_DEVICE_ERROR of a change: asked once
 * more, it says what is the matter now. */
NTSTATUS
tape_port_ready(const struct tape_port *port)
{
    NTSTATUS status =
        tape_port_control(port, IOCTL_TAPE_CHECK_VERIFY, NULL, 0, 0);

    if (status != STATUS_IO_DEVICE_ERROR)
        return status;
    status = tape_port_control(port, IOCTL_TAPE_CHECK_VERIFY, NULL, 0, 0);
    return NT_SUCCESS(status) ? STATUS_VERIFY_REQUIRED : status;
}

NTSTATUS
tape_port_move(const struct tape_port *port, ULONG method, LONGLONG offset)
{
    TAPE_SET_POSITION in = { .Method = method };

    in.Offset.QuadPart = offset;
    return tape_port_control(port, IOCTL_TAPE_SET_POSITION, &in, sizeof in, 0);
}

NTSTATUS
tape_port_marks(const struct tape_port *port, ULONG count, BOOLEAN immediate)
{
    TAPE_WRITE_MARKS in = { TAPE_FILEMARKS, count, immediate };

    return tape_port_control(port, IOCTL_TAPE_WRITE_MARKS, &in, sizeof in, 0);
}

NTSTATUS
tape_port_prepare(const struct tape_port *port, ULONG operation)
{
    TAPE_PREPARE in = { operation, FALSE };

    return tape_port_control(port, IOCTL_TAPE_PREPARE, &in, sizeof in, 0);
}

NTSTATUS
tape_port_media(const struct tape_port *port, TAPE_GET_MEDIA_PARAMETERS *out)
{
    return tape_port_control(port, IOCTL_TAPE_GET_MEDIA_PARAMS, out, 0,
                             sizeof *out);
}

NTSTATUS
tape_port_set_block(const struct tape_port *port, ULONG bytes)
{
    TAPE_SET_MEDIA_PARAMETERS in = { bytes };

    return tape_port_control(port, IOCTL_TAPE_SET_MEDIA_PARAMS, &in, sizeof in,
                             0);
}

NTSTATUS
tape_port_compression(const struct tape_port *port, BOOLEAN on)
{
    TAPE_GET_DRIVE_PARAMETERS is;
    TAPE_SET_DRIVE_PARAMETERS in;
    NTSTATUS status =
        tape_port_control(port, IOCTL_TAPE_GET_DRIVE_PARAMS, &is, 0, sizeof is);

    if (!NT_SUCCESS(status))
        return status;
    if (!(is.FeaturesLow & TAPE_DRIVE_COMPRESSION))
        return STATUS_INVALID_DEVICE_REQUEST;
    in =
        (TAPE_SET_DRIVE_PARAMETERS){ is.ECC, on, is.DataPadding,
                                     is.ReportSetmarks, is.EOTWarningZoneSize };
    return tape_port_control(port, IOCTL_TAPE_SET_DRIVE_PARAMS, &in, sizeof in,
                             0);
}

NTSTATUS
tape_port_erase(const struct tape_port *port, BOOLEAN all)
{
    TAPE_ERASE in = { all ? TAPE_ERASE_LONG : TAPE_ERASE_SHORT, FALSE };

    return tape_port_control(port, IOCTL_TAPE_ERASE, &in, sizeof in, 0);
}

NTSTATUS
tape_port_where(const struct tape_port *port, int64_t *out_object)
{
    TAPE_GET_POSITION at = { .Type = TAPE_LOGICAL_POSITION };
    NTSTATUS status = tape_port_control(port, IOCTL_TAPE_GET_POSITION, &at,
                                        sizeof at.Type, sizeof at);

    if (NT_SUCCESS(status))
        *out_object = at.Offset.QuadPart;
    if (status != STATUS_NOT_IMPLEMENTED)
        return status;
    *out_object = -1; /* it does not count */
    return STATUS_SUCCESS;
}

/* --- by pass-through ------------------------------------------------------ */

struct pass {
    SCSI_PASS_THROUGH head;
    UCHAR sense[32];
    UCHAR data[PASS_DATA_MAX + 4];
};

/* How many bytes came, or 0: it failed, or knows no such command. */
static ULONG
pass_in(const struct tape_port *port, struct pass *pass, const UCHAR *cdb,
        UCHAR cdb_length, ULONG length)
{
    ULONG done = 0;

    RtlZeroMemory(pass, sizeof *pass);
    pass->head.Length = sizeof pass->head;
    pass->head.CdbLength = cdb_length;
    pass->head.SenseInfoLength = sizeof pass->sense;
    pass->head.DataIn = SCSI_IOCTL_DATA_IN;
    pass->head.DataTransferLength = length;
    pass->head.TimeOutValue = PASS_TIMEOUT_S;
    pass->head.DataBufferOffset = offsetof(struct pass, data);
    pass->head.SenseInfoOffset = offsetof(struct pass, sense);
    RtlCopyMemory(pass->head.Cdb, cdb, cdb_length);
    if (!NT_SUCCESS(control(port, IOCTL_SCSI_PASS_THROUGH, pass, sizeof *pass,
                            sizeof *pass, &done)) ||
        pass->head.ScsiStatus != 0)
        return 0;
    return pass->head.DataTransferLength < length
               ? pass->head.DataTransferLength
               : length;
}

static ULONGLONG
big(const UCHAR *at, unsigned bytes)
{
    ULONGLONG value = 0;

    while (bytes-- > 0)
        value = value << 8 | *at++;
    return value;
}

/* READ POSITION, long form. */
int64_t
tape_port_file(const struct tape_port *port)
{
    static const UCHAR cdb[10] = { 0x34, 0x06 };
    struct pass pass;

    if (pass_in(port, &pass, cdb, sizeof cdb, 32) < 32 || pass.data[0] & 0x0C)
        return -1;
    /* Block 0 that is not the beginning: it does not count. */
    if (big(pass.data + 8, 8) == 0 && (pass.data[0] & 0x80) == 0)
        return -1;
    return (int64_t) big(pass.data + 16, 8);
}

/* READ POSITION, short form: unless position or count are not known (PERR, LOLU,
 * LOCU). */
int64_t
tape_port_buffered(const struct tape_port *port, int64_t object)
{
    static const UCHAR cdb[10] = { 0x34 };
    struct pass pass;

    if (pass_in(port, &pass, cdb, sizeof cdb, 20) < 20 || pass.data[0] & 0x26 ||
        (int64_t) big(pass.data + 4, 4) != object)
        return -1;
    return (int64_t) big(pass.data + 13, 3);
}

/* READ ATTRIBUTE, service action 0, from the attribute on. */
void
tape_port_memory(const struct tape_port *port, USHORT attribute, char *out_text,
                 ULONG max)
{
    UCHAR cdb[16] = { 0x8C };
    struct pass pass;
    ULONG have, length, n = 0;

    out_text[0] = '\0';
    cdb[8] = (UCHAR) (attribute >> 8);
    cdb[9] = (UCHAR) attribute;
    cdb[13] = PASS_DATA_MAX;
    have = pass_in(port, &pass, cdb, sizeof cdb, PASS_DATA_MAX);
    if (have < 9 || big(pass.data + 4, 2) != attribute)
        return;
    length = (ULONG) big(pass.data + 7, 2);
    if (length > have - 9)
        length = have - 9;
    for (const UCHAR *at = pass.data + 9;
         n < length && n + 1 < max && at[n] >= ' ' && at[n] < 0x7F; n++)
        out_text[n] = (char) at[n];
    while (n > 0 && out_text[n - 1] == ' ')
        n--;
    out_text[n] = '\0';
}

/* Header and block descriptor of MODE SENSE(6): of all pages, for not every
 * drive knows the one without any. */
static BOOLEAN
mode_sense(const struct tape_port *port, struct pass *pass)
{
    static const UCHAR cdb[6] = { 0x1A, 0, 0x3F, 0, 12 };

    return pass_in(port, pass, cdb, sizeof cdb, 12) >= 12 && pass->data[3] >= 8;
}

UCHAR
tape_port_density(const struct tape_port *port)
{
    struct pass pass;

    return mode_sense(port, &pass) ? pass.data[4] : 0;
}

NTSTATUS
tape_port_mode(const struct tape_port *port, int density, int buffered)
{
    static const UCHAR cdb[6] = { 0x15, 0x10, 0, 0, 12 };
    struct pass pass;
    NTSTATUS status;

    if (!mode_sense(port, &pass))
        return STATUS_IO_DEVICE_ERROR;
    pass.data[0] = pass.data[1] = 0;
    pass.data[2] &= 0x7F; /* speed and buffering; protection is not set */
    if (buffered >= 0)
        pass.data[2] = (UCHAR) ((pass.data[2] & 0x0F) | (buffered & 0x07) << 4);
    if (density >= 0)
        pass.data[4] = (UCHAR) density;
    RtlZeroMemory(pass.data + 5, 4); /* all blocks */
    pass.head.DataIn = SCSI_IOCTL_DATA_OUT;
    pass.head.DataTransferLength = 12;
    pass.head.SenseInfoLength = sizeof pass.sense;
    RtlZeroMemory(pass.head.Cdb, sizeof pass.head.Cdb);
    RtlCopyMemory(pass.head.Cdb, cdb, sizeof cdb);
    status = control(port, IOCTL_SCSI_PASS_THROUGH, &pass, sizeof pass,
                     sizeof pass, NULL);
    if (NT_SUCCESS(status) && pass.head.ScsiStatus != 0)
        status = STATUS_INVALID_DEVICE_REQUEST;
    return status;
}
