/*
 * predict.c - drives that say that they are going to fail
 *
 * What sense data tell (RECOVERED ERROR or UNIT ATTENTION with 5D) is kept;
 * IOCTL_STORAGE_PREDICT_FAILURE reads it, or whatever the driver answers to
 * that code.  A driver may have it asked for periodically.
 *
 * The poll's record belongs to the device; timer and work item alternate, and
 * class_predict_stop ends whichever is under way.  Its lock is for stopping
 * against arming.  PASSIVE but for the notification.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

#include <ntiologc.h>

struct _FAILURE_PREDICTION_INFO {
    class_device *dev;
    FAILURE_PREDICTION_METHOD method;
    ULONG period_s;
    KSPIN_LOCK lock;
    BOOLEAN stopping; /* under the lock */
    KEVENT idle;      /* the work item that was under way is over */
    KTIMER timer;
    KDPC dpc;
    WORK_QUEUE_ITEM work;
};

#define PREDICT_DEFAULT_S 3600u

/* --- telling -------------------------------------------------------------- */

/* Once for each device: in the log, and for whoever asks later.  There is no
 * WMI that could tell it to management programs.  <= DISPATCH. */
VOID NTAPI
ClassNotifyFailurePredicted(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension,
                            PUCHAR Buffer, ULONG BufferSize, BOOLEAN LogError,
                            ULONG UniqueErrorValue, UCHAR PathId,
                            UCHAR TargetId, UCHAR Lun)
{
    ULONG size = (ULONG) offsetof(IO_ERROR_LOG_PACKET, DumpData);
    ULONG dump = 4 * sizeof(ULONG);
    PIO_ERROR_LOG_PACKET packet;

    if (__atomic_exchange_n(&FdoExtension->FailurePredicted, TRUE,
                            __ATOMIC_ACQ_REL) ||
        !LogError)
        return;
    packet = IoAllocateErrorLogEntry(FdoExtension->DeviceObject,
                                     (UCHAR) (size + dump));
    if (packet == NULL)
        return;
    packet->ErrorCode = IO_WRN_FAILURE_PREDICTED;
    packet->UniqueErrorValue = UniqueErrorValue;
    packet->FinalStatus = STATUS_SUCCESS;
    packet->DumpDataSize = (USHORT) dump;
    packet->DumpData[0] = PathId;
    packet->DumpData[1] = TargetId;
    packet->DumpData[2] = Lun;
    if (Buffer != NULL && BufferSize >= sizeof(ULONG))
        RtlCopyMemory(&packet->DumpData[3], Buffer, sizeof(ULONG));
    IoWriteErrorLogEntry(packet);
}

NTSTATUS NTAPI
class_predict_failure(class_device *dev, PIRP irp)
{
    PSTORAGE_PREDICT_FAILURE out = irp->AssociatedIrp.SystemBuffer;

    RtlZeroMemory(out, sizeof *out);
    if (__atomic_load_n(&dev->ext->FailurePredicted, __ATOMIC_ACQUIRE))
        out->PredictFailure = 1;
    return class_complete(dev, irp, STATUS_SUCCESS, sizeof *out);
}

/* --- asking periodically -------------------------------------------------- */

/* FALSE: the device goes; the caller is the last. */
static BOOLEAN
arm(struct _FAILURE_PREDICTION_INFO *info)
{
    LARGE_INTEGER due = { .QuadPart = -10000000LL * info->period_s };
    BOOLEAN armed;
    KIRQL irql;

    KeAcquireSpinLock(&info->lock, &irql);
    armed = !info->stopping;
    if (armed)
        KeSetTimer(&info->timer, due, &info->dpc);
    KeReleaseSpinLock(&info->lock, irql);
    return armed;
}

static VOID NTAPI
predict_due(PKDPC dpc, PVOID context, PVOID arg1, PVOID arg2)
{
    struct _FAILURE_PREDICTION_INFO *info = context;

    ExQueueWorkItem(&info->work, DelayedWorkQueue);
}

static VOID NTAPI
predict_work(PVOID context)
{
    struct _FAILURE_PREDICTION_INFO *info = context;
    PFUNCTIONAL_DEVICE_EXTENSION ext = info->dev->ext;
    STORAGE_PREDICT_FAILURE *reply;
    IO_STATUS_BLOCK iosb;

    reply = ExAllocatePoolWithTag(NonPagedPool, sizeof *reply, CLASS_TAG);
    if (reply != NULL) {
        ClassSendDeviceIoControlSynchronous(IOCTL_STORAGE_PREDICT_FAILURE,
                                            info->dev->fdo, reply, 0,
                                            sizeof *reply, FALSE, &iosb);
        if (NT_SUCCESS(iosb.Status) && reply->PredictFailure != 0)
            ClassNotifyFailurePredicted(ext, reply->VendorSpecific,
                                        sizeof reply->VendorSpecific, TRUE, 258,
                                        0, 0, 0);
    }
    if (reply != NULL)
        ExFreePoolWithTag(reply, CLASS_TAG);
    if (!arm(info))
        KeSetEvent(&info->idle, IO_NO_INCREMENT, FALSE);
}

VOID NTAPI
class_predict_stop(class_device *dev)
{
    struct _FAILURE_PREDICTION_INFO *info = dev->ext->FailurePredictionInfo;
    BOOLEAN cancelled;
    KIRQL irql;

    if (info == NULL)
        return;
    KeAcquireSpinLock(&info->lock, &irql);
    info->stopping = TRUE;
    cancelled = KeCancelTimer(&info->timer);
    KeReleaseSpinLock(&info->lock, irql);
    if (!cancelled)
        (void) KeWaitForSingleObject(&info->idle, Executive, KernelMode, FALSE,
                                     NULL);
    dev->ext->FailurePredictionInfo = NULL;
    ExFreePoolWithTag(info, CLASS_TAG);
}

/* PollingPeriod in seconds, 0: an hour.  FailurePredictionNone ends it. */
NTSTATUS NTAPI
ClassSetFailurePredictionPoll(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension,
                              FAILURE_PREDICTION_METHOD FailurePredictionMethod,
                              ULONG PollingPeriod)
{
    class_device *dev = FdoExtension->PrivateFdoData;
    struct _FAILURE_PREDICTION_INFO *info;

    class_predict_stop(dev);
    if (FailurePredictionMethod == FailurePredictionNone)
        return STATUS_SUCCESS;
    info = ExAllocatePoolWithTag(NonPagedPool, sizeof *info, CLASS_TAG);
    if (info == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(info, sizeof *info);
    info->dev = dev;
    info->method = FailurePredictionMethod;
    info->period_s = PollingPeriod != 0 ? PollingPeriod : PREDICT_DEFAULT_S;
    KeInitializeSpinLock(&info->lock);
    KeInitializeEvent(&info->idle, NotificationEvent, FALSE);
    KeInitializeTimer(&info->timer);
    KeInitializeDpc(&info->dpc, predict_due, info);
    ExInitializeWorkItem(&info->work, predict_work, info);
    FdoExtension->FailurePredictionInfo = info;
    (void) arm(info);
    return STATUS_SUCCESS;
}
