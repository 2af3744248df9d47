/*
 * handdown.c - control codes that are one command: the medium's serial number,
 *              persistent reservations
 *
 * The drive decides whether it has them.  Replies go where the documented
 * records are: their layouts are those of the standard.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

/* --- IOCTL_STORAGE_GET_MEDIA_SERIAL_NUMBER -------------------------------- */

enum { SERIAL_MAX = 0xffff, SERIAL_REPLY = 4 + 1024 };

/* The record has all of the number's length, and as much of it as fits. */
static enum class_next NTAPI
serial_finish(struct class_request *request, NTSTATUS *status)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(request->original);
    PSTORAGE_MEDIA_SERIAL_NUMBER_DATA out =
        request->original->AssociatedIrp.SystemBuffer;
    ULONG room =
        at->Parameters.DeviceIoControl.OutputBufferLength - (ULONG) sizeof *out;
    const UCHAR *reply = request->buffer;
    ULONG came = request->srb.DataTransferLength, length;

    if (*status == STATUS_DATA_OVERRUN)
        *status = STATUS_SUCCESS; /* shorter than the room for it */
    if (!NT_SUCCESS(*status))
        return NEXT_COMPLETE;
    length = came >= 4 ? class_get_be32(reply) : 0;
    came = came >= 4 ? came - 4 : 0;
    if (length > SERIAL_MAX)
        length = SERIAL_MAX;
    if (came > length)
        came = length;
    if (came > room)
        came = room;
    out->Reserved = 0;
    out->SerialNumberLength = (USHORT) length;
    RtlCopyMemory(out->SerialNumber, reply + 4, came);
    request->information = sizeof *out + came;
    return NEXT_COMPLETE;
}

NTSTATUS NTAPI
class_media_serial(class_device *dev, PIRP irp)
{
    static const UCHAR cdb[12] = {
        SCSIOP_SERVICE_ACTION_IN12, 0x01, /* READ MEDIA SERIAL NUMBER */
        [8] = SERIAL_REPLY >> 8, [9] = SERIAL_REPLY & 0xff
    };
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    struct class_request *request;
    PVOID buffer;

    if (at->Parameters.DeviceIoControl.OutputBufferLength <
        sizeof(STORAGE_MEDIA_SERIAL_NUMBER_DATA))
        return class_complete(dev, irp, STATUS_INVALID_BUFFER_SIZE, 0);
    buffer = ExAllocatePoolWithTag(NonPagedPool, SERIAL_REPLY, CLASS_TAG);
    request = buffer != NULL ? class_request_new(dev, irp) : NULL;
    if (request == NULL) {
        if (buffer != NULL)
            ExFreePoolWithTag(buffer, CLASS_TAG);
        return class_complete(dev, irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    RtlZeroMemory(buffer, SERIAL_REPLY);
    request->buffer = buffer;
    request->flags |= REQ_BUFFER_OWNED;
    request->finish = serial_finish;
    class_take_key(request, irp);
    class_command(request, cdb, sizeof cdb, buffer, SERIAL_REPLY, FALSE);
    return class_send(request);
}

/* --- persistent reservations ---------------------------------------------- */

/* What both codes demand of the input. */
static NTSTATUS
check_command(class_device *dev, PIRP irp)
{
    const PERSISTENT_RESERVE_COMMAND *what = irp->AssociatedIrp.SystemBuffer;

    if (what->Size < sizeof *what)
        return STATUS_INFO_LENGTH_MISMATCH;
    if ((ULONG_PTR) what & dev->ext->AdapterDescriptor->AlignmentMask)
        return STATUS_INVALID_USER_BUFFER;
    return STATUS_SUCCESS;
}

/* A drive that does not know the command has a status of its own here. */
static NTSTATUS
unknown_to_drive(NTSTATUS status)
{
    return status == STATUS_INVALID_DEVICE_REQUEST ? STATUS_IO_DEVICE_ERROR
                                                   : status;
}

static enum class_next NTAPI
reserve_in_finish(struct class_request *request, NTSTATUS *status)
{
    const PRI_REGISTRATION_LIST *list = request->buffer;
    ULONG came = request->srb.DataTransferLength;

    if (*status == STATUS_DATA_OVERRUN)
        *status = STATUS_SUCCESS;
    *status = unknown_to_drive(*status);
    if (!NT_SUCCESS(*status))
        return NEXT_COMPLETE;
    request->information = came;
    if (came >= sizeof *list &&
        class_get_be32(list->AdditionalLength) > request->length - sizeof *list)
        *status = STATUS_BUFFER_OVERFLOW;
    return NEXT_COMPLETE;
}

NTSTATUS NTAPI
class_persistent_in(class_device *dev, PIRP irp)
{
    const PERSISTENT_RESERVE_COMMAND *what = irp->AssociatedIrp.SystemBuffer;
    ULONG room = IoGetCurrentIrpStackLocation(irp)
                     ->Parameters.DeviceIoControl.OutputBufferLength;
    ULONG length = what->PR_IN.AllocationLength;
    NTSTATUS status = check_command(dev, irp);
    UCHAR cdb[10] = { SCSIOP_PERSISTENT_RESERVE_IN, what->PR_IN.ServiceAction };
    struct class_request *request;

    if (NT_SUCCESS(status) &&
        (what->PR_IN.ServiceAction > RESERVATION_ACTION_READ_RESERVATIONS ||
         what->PR_IN.Reserved1 != 0 || length > room ||
         length < sizeof(PRI_REGISTRATION_LIST)))
        status = STATUS_INVALID_PARAMETER;
    if (!NT_SUCCESS(status))
        return class_complete(dev, irp, status, 0);
    request = class_request_new(dev, irp);
    if (request == NULL)
        return class_complete(dev, irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    class_put_be16(cdb + 7, length);
    request->buffer = irp->AssociatedIrp.SystemBuffer;
    RtlZeroMemory(request->buffer, length);
    request->finish = reserve_in_finish;
    class_command(request, cdb, sizeof cdb, request->buffer, length, FALSE);
    return class_send(request);
}

static enum class_next NTAPI
reserve_out_finish(struct class_request *request, NTSTATUS *status)
{
    *status = unknown_to_drive(*status);
    request->information = 0;
    return NEXT_COMPLETE;
}

NTSTATUS NTAPI
class_persistent_out(class_device *dev, PIRP irp)
{
    PPERSISTENT_RESERVE_COMMAND what = irp->AssociatedIrp.SystemBuffer;
    ULONG given = IoGetCurrentIrpStackLocation(irp)
                      ->Parameters.DeviceIoControl.InputBufferLength;
    const ULONG list_at =
        offsetof(PERSISTENT_RESERVE_COMMAND, PR_OUT.ParameterList);
    NTSTATUS status = check_command(dev, irp);
    UCHAR cdb[10] = { SCSIOP_PERSISTENT_RESERVE_OUT, what->PR_OUT.ServiceAction,
                      (UCHAR) (what->PR_OUT.Scope << 4 | what->PR_OUT.Type) };
    struct class_request *request;

    if (NT_SUCCESS(status) &&
        (what->PR_OUT.ServiceAction >
             RESERVATION_ACTION_REGISTER_IGNORE_EXISTING ||
         what->PR_OUT.Reserved1 != 0 ||
         given < list_at + sizeof(PRO_PARAMETER_LIST)))
        status = STATUS_INVALID_PARAMETER;
    if (!NT_SUCCESS(status))
        return class_complete(dev, irp, status, 0);
    request = class_request_new(dev, irp);
    if (request == NULL)
        return class_complete(dev, irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    class_put_be16(cdb + 7, sizeof(PRO_PARAMETER_LIST));
    request->finish = reserve_out_finish;
    class_command(request, cdb, sizeof cdb, what->PR_OUT.ParameterList,
                  sizeof(PRO_PARAMETER_LIST), TRUE);
    return class_send(request);
}

/* --- IOCTL_STORAGE_CHECK_PRIORITY_HINT_SUPPORT ---------------------------- */

/* Requests go down in the order in which they come: no flag is set. */
NTSTATUS NTAPI
class_priority_hint(class_device *dev, PIRP irp)
{
    PSTORAGE_PRIORITY_HINT_SUPPORT out = irp->AssociatedIrp.SystemBuffer;

    out->SupportFlags = 0;
    return class_complete(dev, irp, STATUS_SUCCESS, sizeof *out);
}
