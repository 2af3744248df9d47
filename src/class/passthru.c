/*
 * passthru.c - what goes down to the port as it is
 *
 * A pass-through command may take a UNIT ATTENTION from the drive that nobody
 * else will see.  Its sense data are looked at here; and whatever happens, the
 * port refuses stamped commands until the attention number is known again.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

NTSTATUS NTAPI
class_forward(class_device *dev, PIRP irp)
{
    PDEVICE_OBJECT lower = dev->lower;

    IoCopyCurrentIrpStackLocationToNext(irp);
    ClassReleaseRemoveLock(dev->fdo, irp);
    return IoCallDriver(lower, irp);
}

/* A stamped TEST UNIT READY: the port says that the stamp is stale, and with
 * that what the number is now (act.c, catch_up). */
static VOID
ask_number(class_device *dev)
{
    static const UCHAR cdb[6] = { SCSIOP_TEST_UNIT_READY };
    struct class_request *request = class_request_new(dev, NULL);

    if (request == NULL)
        return;
    request->flags |= REQ_STAMPED | REQ_POLL | REQ_QUIET | REQ_OVERRIDE;
    request->retries = 1;
    class_command(request, cdb, sizeof cdb, NULL, 0, FALSE);
    ExQueueWorkItem(&request->work, CriticalWorkQueue);
}

enum taken { TOOK_NOTHING, TOOK_PERHAPS, TOOK_ATTENTION };

/* A caller that wants no sense data does not say what it was told either. */
static enum taken
took_attention(PIRP irp)
{
    PSCSI_PASS_THROUGH pass = irp->AssociatedIrp.SystemBuffer;
    struct class_sense sense;
    ULONG room = (ULONG) irp->IoStatus.Information;

    /* ScsiStatus and the lengths are at the same place in both forms. */
    if (pass == NULL || room < sizeof *pass ||
        pass->ScsiStatus != SCSISTAT_CHECK_CONDITION)
        return TOOK_NOTHING;
    if (pass->SenseInfoOffset > room ||
        pass->SenseInfoLength > room - pass->SenseInfoOffset ||
        !class_parse_sense((const UCHAR *) pass + pass->SenseInfoOffset,
                           pass->SenseInfoLength, &sense))
        return TOOK_PERHAPS;
    return sense.key == SCSI_SENSE_UNIT_ATTENTION ? TOOK_ATTENTION
                                                  : TOOK_NOTHING;
}

static NTSTATUS NTAPI
pass_through_done(PDEVICE_OBJECT fdo, PIRP irp, PVOID context)
{
    class_device *dev = context;
    enum taken taken = TOOK_NOTHING;

    if (irp->PendingReturned)
        IoMarkIrpPending(irp);
    if (NT_SUCCESS(irp->IoStatus.Status))
        taken = took_attention(irp);
    if (taken == TOOK_ATTENTION && dev->removable)
        (void) class_require_verify(dev);
    if (taken != TOOK_NOTHING)
        ask_number(dev);
    class_settle(dev, irp, irp->IoStatus.Status, irp->IoStatus.Information);
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI
class_pass_through(class_device *dev, PIRP irp)
{
    IoCopyCurrentIrpStackLocationToNext(irp);
    IoSetCompletionRoutine(irp, pass_through_done, dev, TRUE, TRUE, TRUE);
    return IoCallDriver(dev->lower, irp);
}
