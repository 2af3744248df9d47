/*
 * power.c - a drive goes to sleep and wakes up
 *
 * Nobody sees what happens to a medium while its drive sleeps: a change is
 * counted when it goes down, and the volume has to be verified afterwards.
 * A driver that names ClassSpinDownPowerHandler as its ClassPowerDevice has
 * the library write the drive's cache out, stop the unit and start it again,
 * with the port's queue locked meanwhile.
 *
 * PASSIVE: the devices have DO_POWER_PAGABLE.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

#include "base/trace.h"

/* --- SRBs ----------------------------------------------------------------- */

/* A function of the port that is no command.  FALSE: it cannot do that. */
static BOOLEAN
port_function(class_device *dev, UCHAR function)
{
    SCSI_REQUEST_BLOCK srb = { .Length = sizeof srb, .Function = function };
    PIRP irp = IoAllocateIrp(dev->lower->StackSize, FALSE);
    PIO_STACK_LOCATION next;
    NTSTATUS status;

    if (irp == NULL)
        return FALSE;
    srb.SrbFlags = SRB_FLAGS_BYPASS_LOCKED_QUEUE;
    srb.OriginalRequest = irp;
    next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = IRP_MJ_SCSI;
    next->Parameters.Scsi.Srb = &srb;
    status = ClassSendIrpSynchronous(dev->lower, irp);
    IoFreeIrp(irp);
    return NT_SUCCESS(status);
}

static NTSTATUS
send_past_lock(class_device *dev, const UCHAR *cdb, UCHAR len, ULONG timeout_s)
{
    SCSI_REQUEST_BLOCK srb = { .CdbLength = len, .TimeOutValue = timeout_s };

    srb.SrbFlags = SRB_FLAGS_BYPASS_LOCKED_QUEUE;
    RtlCopyMemory(srb.Cdb, cdb, len);
    return ClassSendSrbSynchronous(dev->fdo, &srb, NULL, 0, FALSE);
}

static NTSTATUS
start_stop(class_device *dev, BOOLEAN start)
{
    const UCHAR cdb[6] = { SCSIOP_START_STOP_UNIT, [4] = start };

    return send_past_lock(dev, cdb, sizeof cdb, START_UNIT_TIMEOUT);
}

/* --- down ----------------------------------------------------------------- */

static BOOLEAN
may_lock(const class_device *dev)
{
    return !(dev->ext->ScanForSpecialFlags & CLASS_SPECIAL_NO_QUEUE_LOCK);
}

/* What cannot be written out is lost with or without us: the drive goes down
 * all the same, as it would when somebody pulled the plug. */
static void
spin_down(class_device *dev)
{
    static const UCHAR sync[10] = { SCSIOP_SYNCHRONIZE_CACHE };
    NTSTATUS status = STATUS_SUCCESS;

    if (!dev->read_only_type && dev->sync != SYNC_NONE)
        status =
            send_past_lock(dev, sync, sizeof sync, dev->ext->TimeOutValue * 4);
    if (!NT_SUCCESS(status))
        TRACE(TRACE_PNP, "dev=%p cache before sleep: %08x", (void *) dev->fdo,
              (ULONG) status);
    if (!(dev->ext->ScanForSpecialFlags & CLASS_SPECIAL_DISABLE_SPIN_DOWN))
        (void) start_stop(dev, FALSE);
}

/* The state changes; requests on their way keep the old count and fail. */
static void
note_sleep(class_device *dev, DEVICE_POWER_STATE to)
{
    BOOLEAN down =
        dev->ext->DevicePowerState == PowerDeviceD0 && to != PowerDeviceD0;

    if (down && (dev->removable || dev->hotplug))
        class_note_attention(dev, 0);
    dev->ext->DevicePowerState = to;
}

static NTSTATUS
forward(class_device *dev, PIRP irp)
{
    PoStartNextPowerIrp(irp);
    IoSkipCurrentIrpStackLocation(irp);
    ClassReleaseRemoveLock(dev->fdo, irp);
    return PoCallDriver(dev->lower, irp);
}

static NTSTATUS
go_down(class_device *dev, PIRP irp, DEVICE_POWER_STATE to)
{
    BOOLEAN locked;

    dev->ext->PowerDownInProgress = TRUE;
    locked = may_lock(dev) && port_function(dev, SRB_FUNCTION_LOCK_QUEUE);
    spin_down(dev);
    note_sleep(dev, to);
    if (locked)
        (void) port_function(dev, SRB_FUNCTION_UNLOCK_QUEUE);
    dev->ext->PowerDownInProgress = FALSE;
    return forward(dev, irp);
}

/* --- up ------------------------------------------------------------------- */

static NTSTATUS
go_up(class_device *dev, PIRP irp)
{
    BOOLEAN locked;
    NTSTATUS status;

    status = ClassForwardIrpSynchronous(&dev->ext->CommonExtension, irp);
    if (!NT_SUCCESS(status)) {
        PoStartNextPowerIrp(irp);
        return class_complete(dev, irp, status, 0);
    }
    locked = may_lock(dev) && port_function(dev, SRB_FUNCTION_LOCK_QUEUE);
    if (!(dev->ext->ScanForSpecialFlags & CLASS_SPECIAL_DISABLE_SPIN_UP))
        (void) start_stop(dev, TRUE);
    if (dev->removable)
        (void) class_require_verify(dev);
    dev->ext->DevicePowerState = PowerDeviceD0;
    if (locked)
        (void) port_function(dev, SRB_FUNCTION_UNLOCK_QUEUE);
    class_poll_soon(dev);
    PoStartNextPowerIrp(irp);
    return class_complete(dev, irp, STATUS_SUCCESS, 0);
}

/* --- the handlers --------------------------------------------------------- */

static BOOLEAN
sets_device_power(PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);

    return at->MinorFunction == IRP_MN_SET_POWER &&
           at->Parameters.Power.Type == DevicePowerState;
}

static DEVICE_POWER_STATE
wanted_state(PIRP irp)
{
    return IoGetCurrentIrpStackLocation(irp)
        ->Parameters.Power.State.DeviceState;
}

/* Called with the remove lock held, as every ClassPowerDevice is. */
NTSTATUS NTAPI
ClassSpinDownPowerHandler(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    class_device *dev = class_dev(DeviceObject);

    if (!sets_device_power(Irp))
        return forward(dev, Irp);
    if (wanted_state(Irp) == PowerDeviceD0)
        return dev->ext->DevicePowerState == PowerDeviceD0 ? forward(dev, Irp)
                                                           : go_up(dev, Irp);
    if (dev->ext->DevicePowerState != PowerDeviceD0) {
        note_sleep(dev, wanted_state(Irp));
        return forward(dev, Irp);
    }
    return go_down(dev, Irp, wanted_state(Irp));
}

/* For drives that start by themselves. */
NTSTATUS NTAPI
ClassStopUnitPowerHandler(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    InterlockedOr(
        (LONG volatile *) &class_ext(DeviceObject)->ScanForSpecialFlags,
        CLASS_SPECIAL_DISABLE_SPIN_UP);
    return ClassSpinDownPowerHandler(DeviceObject, Irp);
}

static NTSTATUS NTAPI
powered_up(PDEVICE_OBJECT fdo, PIRP irp, PVOID context)
{
    class_device *dev = context;

    if (irp->PendingReturned)
        IoMarkIrpPending(irp);
    if (NT_SUCCESS(irp->IoStatus.Status)) {
        if (dev->removable)
            (void) class_require_verify(dev);
        dev->ext->DevicePowerState = PowerDeviceD0;
        class_poll_soon(dev);
    }
    ClassReleaseRemoveLock(dev->fdo, irp);
    return STATUS_SUCCESS;
}

/* Without a ClassPowerDevice: no commands, but nothing is forgotten. */
NTSTATUS NTAPI
class_power(PDEVICE_OBJECT fdo, PIRP irp)
{
    PCLASS_DEV_INFO info = class_ext(fdo)->CommonExtension.DevInfo;
    class_device *dev = class_dev(fdo);

    (void) ClassAcquireRemoveLock(fdo, irp);
    if (sets_device_power(irp) && info->ClassPowerDevice != NULL)
        return info->ClassPowerDevice(fdo, irp);
    if (!sets_device_power(irp))
        return forward(dev, irp);
    if (wanted_state(irp) != PowerDeviceD0) {
        note_sleep(dev, wanted_state(irp));
        return forward(dev, irp);
    }
    PoStartNextPowerIrp(irp);
    IoCopyCurrentIrpStackLocationToNext(irp);
    IoSetCompletionRoutine(irp, powered_up, dev, TRUE, TRUE, TRUE);
    return PoCallDriver(dev->lower, irp);
}
