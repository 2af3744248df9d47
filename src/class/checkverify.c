/*
 * checkverify.c - has the medium been changed?
 *
 * TEST UNIT READY on behalf of a caller, for five control codes.  A change
 * that this very request finds is reported by it, once: what stays is
 * DO_VERIFY_VOLUME (Responding to Check-Verify Requests).
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

static enum class_next NTAPI
check_verify_finish(struct class_request *request, NTSTATUS *status)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(request->original);
    ULONG code = at->Parameters.DeviceIoControl.IoControlCode;
    PULONG count = request->original->AssociatedIrp.SystemBuffer;

    request->information = 0;
    if (NT_SUCCESS(*status))
        class_evidence_ready(request->dev);
    if (NT_SUCCESS(*status) && code != IOCTL_TAPE_CHECK_VERIFY &&
        at->Parameters.DeviceIoControl.OutputBufferLength != 0) {
        *count = class_change_count(request->dev);
        request->information = sizeof *count;
    }
    return NEXT_COMPLETE;
}

NTSTATUS NTAPI
class_check_verify(class_device *dev, PIRP irp)
{
    static const UCHAR cdb[6] = { SCSIOP_TEST_UNIT_READY };
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    ULONG code = at->Parameters.DeviceIoControl.IoControlCode;
    ULONG room = at->Parameters.DeviceIoControl.OutputBufferLength;
    struct class_request *request;

    if (room != 0 && room < sizeof(ULONG) && code != IOCTL_TAPE_CHECK_VERIFY)
        return class_complete(dev, irp, STATUS_BUFFER_TOO_SMALL, 0);
    request = class_request_new(dev, irp);
    if (request == NULL)
        return class_complete(dev, irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    request->finish = check_verify_finish;
    /* With the attention number: a change that somebody else was told of, by a
     * command of his own, is one all the same. */
    request->flags |= REQ_REPORT | REQ_STAMPED;
    class_command(request, cdb, sizeof cdb, NULL, 0, FALSE);
    if (code == IOCTL_STORAGE_CHECK_VERIFY2)
        request->srb.SrbFlags |= SRB_CLASS_FLAGS_LOW_PRIORITY;
    return class_send(request);
}
