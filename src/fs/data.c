/*
 * data.c - requests for a volume: down to its drive, or into waiting
 *
 * A request goes down on the thread that brought it.  When the answer is that
 * something about the medium must be settled first, the request is posted to
 * the volume's worker (posted.c).
 *
 * Context: fs_data at <= APC_LEVEL; the completion routine at <= DISPATCH_LEVEL
 * posts only.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

#include <ntddstor.h>

/*
 * The number that a request carries: in the location for the drive the media
 * change count, in our own the volume's generation when it was sent.
 */
static void
set_key(PIO_STACK_LOCATION location, ULONG key)
{
    if (location->MajorFunction == IRP_MJ_DEVICE_CONTROL)
        location->Parameters.DeviceIoControl.Type3InputBuffer =
            (PVOID) (ULONG_PTR) key;
    else
        location->Parameters.Read.Key = key;
}

ULONG
fs_sent_generation(PIRP irp)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);

    if (own->MajorFunction == IRP_MJ_DEVICE_CONTROL)
        return (ULONG) (ULONG_PTR)
            own->Parameters.DeviceIoControl.Type3InputBuffer;
    return own->Parameters.Read.Key;
}

NTSTATUS NTAPI
fs_finish(PIRP irp, NTSTATUS status)
{
    PDEVICE_OBJECT device = IoGetCurrentIrpStackLocation(irp)->DeviceObject;

    fs_note_tried(device->DeviceExtension, irp, status);
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_DISK_INCREMENT);
    return STATUS_PENDING;
}

NTSTATUS NTAPI
fs_recursive_status(PIRP irp, NTSTATUS status)
{
    UCHAR marks = IoGetCurrentIrpStackLocation(irp)->MinorFunction;
    ULONG_PTR top = (marks & FS_FROM_CACHE) != 0 ? FSRTL_CACHE_TOP_LEVEL_IRP
                                                 : FSRTL_FSP_TOP_LEVEL_IRP;

    return fs_decide(status, (PIRP) top, FALSE) == FS_LOCK_CONFLICT
               ? STATUS_FILE_LOCK_CONFLICT
               : status;
}

static BOOLEAN
is_transfer(PIRP irp)
{
    UCHAR major = IoGetCurrentIrpStackLocation(irp)->MajorFunction;

    return major == IRP_MJ_READ || major == IRP_MJ_WRITE;
}

/* --- waiting -------------------------------------------------------------------- */

static VOID NTAPI
work(PVOID parameter)
{
    fs_run_posted(parameter);
}

/* Hands a request (or none: whatever waits already) to the worker.
 * <= DISPATCH_LEVEL. */
void NTAPI
fs_post(struct volume *volume, PIRP irp)
{
    BOOLEAN start;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    if (irp != NULL)
        InsertTailList(&volume->posted, &irp->Tail.Overlay.ListEntry);
    start = !volume->worker_busy && !IsListEmpty(&volume->posted);
    if (start)
        volume->worker_busy = TRUE;
    KeReleaseSpinLock(&volume->lock, irql);
    if (start) {
        ExInitializeWorkItem(&volume->work, work, volume);
        ExQueueWorkItem(&volume->work, DelayedWorkQueue);
    }
}

/* The request waits for a person, or for the arrival of the medium. */
NTSTATUS NTAPI
fs_wait_for_medium(struct volume *volume, PIRP irp, NTSTATUS reason)
{
    PETHREAD thread = irp->Tail.Overlay.Thread;
    PDEVICE_OBJECT real = __atomic_load_n(&volume->real, __ATOMIC_ACQUIRE);

    if (fs_ending())
        return fs_finish(irp, STATUS_SYSTEM_SHUTDOWN);
    IoMarkIrpPending(irp);
    if (__atomic_load_n(&volume->tried, __ATOMIC_RELAXED) == irp)
        fs_try_none(irp);
    /* A gone drive is raised as an empty one, for that is what a person can do
     * something about; the words are its own. */
    irp->IoStatus.Status =
        fs_is_gone(reason) ? STATUS_NO_MEDIA_IN_DEVICE : reason;
    irp->IoStatus.Information = 0;
    if (thread != NULL)
        IoSetDeviceToVerify(thread, NULL);
    IoRaiseHardError(irp, volume->vpb, real);
    return STATUS_PENDING;
}

/* --- down --------------------------------------------------------------------------- */

static inline LONG64
running_weight(UCHAR marks)
{
    return (marks & FS_MODIFIES) != 0 ? 1 + RUNNING_WRITE : 1;
}

static void
end_running(struct volume *volume, UCHAR marks)
{
    __atomic_sub_fetch(&volume->running, running_weight(marks),
                       __ATOMIC_RELEASE);
    if (__atomic_load_n(&volume->state, __ATOMIC_ACQUIRE) != VOL_MOUNTED)
        KeSetEvent(&volume->idle, 0, FALSE);
}

/* A flush says "all of it is on this medium": true only if the medium was the
 * volume's all the while. */
static BOOLEAN
still_the_same(struct volume *volume, PIRP irp)
{
    PDEVICE_OBJECT real = __atomic_load_n(&volume->real, __ATOMIC_ACQUIRE);

    return __atomic_load_n(&volume->generation, __ATOMIC_ACQUIRE) ==
               fs_sent_generation(irp) &&
           (__atomic_load_n(&real->Flags, __ATOMIC_ACQUIRE) &
            DO_VERIFY_VOLUME) == 0;
}

#define TRACKED (FS_TOUCHES_WITNESS | FS_SAMPLED | FS_LOGGED)

static NTSTATUS NTAPI
data_done(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    struct volume *volume = context;
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);
    NTSTATUS status = irp->IoStatus.Status;
    BOOLEAN settle;

    (void) device;
    if ((own->MinorFunction & FS_TOUCHES_IDENTITY) != 0) {
        __atomic_sub_fetch(&volume->head_running, 1, __ATOMIC_RELEASE);
        fs_refresh_soon(volume);
    }
    /* A block device has no half requests. */
    if (NT_SUCCESS(status) && is_transfer(irp) &&
        irp->IoStatus.Information != own->Parameters.Read.Length)
        status = STATUS_IO_DEVICE_ERROR;
    if (NT_SUCCESS(status) && own->MajorFunction == IRP_MJ_FLUSH_BUFFERS &&
        !still_the_same(volume, irp))
        status = STATUS_VERIFY_REQUIRED;
    if ((own->MinorFunction & TRACKED) != 0)
        status = fs_track_done(volume, irp, status);
    irp->IoStatus.Status = status;
    if (NT_SUCCESS(status) &&
        !__atomic_load_n(&volume->begun, __ATOMIC_RELAXED))
        __atomic_store_n(&volume->begun, TRUE, __ATOMIC_RELAXED);
    settle = NT_SUCCESS(status) ? (own->MinorFunction & FS_NEEDS_FLUSH) != 0
                                : fs_outcome(status)->fate != FS_FATE_FAIL;
    end_running(volume, own->MinorFunction);
    if (!settle)
        fs_note_tried(volume, irp, status);
    if (!settle)
        return (own->MinorFunction & FS_LOGGED) != 0 && NT_SUCCESS(status) &&
                       fs_on_disk() && fs_commit_done(volume, irp)
                   ? STATUS_MORE_PROCESSING_REQUIRED
                   : STATUS_SUCCESS;
    if ((own->MinorFunction & FS_RECURSIVE) != 0 && !NT_SUCCESS(status)) {
        irp->IoStatus.Status = fs_recursive_status(irp, status);
        irp->IoStatus.Information = 0;
        return STATUS_SUCCESS;
    }
    fs_post(volume, irp);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

const DEVICE_MANAGE_DATA_SET_ATTRIBUTES *
fs_trim_of(PIRP irp)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);
    const DEVICE_MANAGE_DATA_SET_ATTRIBUTES *dsm =
        irp->AssociatedIrp.SystemBuffer;

    return own->MajorFunction == IRP_MJ_DEVICE_CONTROL && dsm != NULL &&
                   own->Parameters.DeviceIoControl.InputBufferLength >=
                       sizeof *dsm &&
                   dsm->Action == DeviceDsmAction_Trim
               ? dsm
               : NULL;
}

struct touch {
    struct volume *volume;
    BOOLEAN touched;
};

static BOOLEAN
touch_identity(void *context, ULONG64 offset, ULONG64 length)
{
    struct touch *touch = context;

    if (identity_covers(&touch->volume->id, offset, length)) {
        identity_touch(&touch->volume->id, offset, length);
        touch->touched = TRUE;
    }
    return TRUE;
}

/* A change of ours to what tells the volume: it is not certain what is there
 * until it was read again. */
static void NTAPI
note_change_locked(struct volume *volume, PIRP irp, PIO_STACK_LOCATION own)
{
    struct touch touch = { volume, FALSE };

    own->MinorFunction &= (UCHAR) ~FS_TOUCHES_IDENTITY;
    if (own->MajorFunction == IRP_MJ_WRITE)
        touch_identity(&touch,
                       (ULONG64) own->Parameters.Write.ByteOffset.QuadPart,
                       own->Parameters.Write.Length);
    else if (fs_trim_of(irp) != NULL)
        fs_each_range(volume, irp, touch_identity, &touch);
    if (!touch.touched)
        return;
    own->MinorFunction |= FS_TOUCHES_IDENTITY;
    __atomic_store_n(&volume->head_dirty, TRUE, __ATOMIC_RELAXED);
    volume->head_generation++;
    __atomic_add_fetch(&volume->head_running, 1, __ATOMIC_RELAXED);
}

/* Zeroes by trim were promised by the drive that the export was opened on. */
static BOOLEAN
must_refuse_locked(struct volume *volume, PIRP irp, PIO_STACK_LOCATION own)
{
    return fs_trim_of(irp) != NULL && (own->Flags & FS_SL_MUST_ZERO) != 0 &&
           !volume->trim_zeroes;
}

static void
build_next(struct volume *volume, PIRP irp, ULONG count, BOOLEAN through)
{
    PIO_STACK_LOCATION next;

    IoCopyCurrentIrpStackLocationToNext(irp);
    next = IoGetNextIrpStackLocation(irp);
    next->MinorFunction = 0;
    next->Flags &= (UCHAR) ~FS_SL_MUST_ZERO;
    next->Flags |= SL_KEY_SPECIFIED;
    set_key(next, count);
    if (through && next->MajorFunction == IRP_MJ_WRITE)
        next->Flags |= SL_WRITE_THROUGH;
    IoSetCompletionRoutine(irp, data_done, volume, TRUE, TRUE, TRUE);
}

BOOLEAN
fs_lacks_writes(struct volume *volume)
{
    BOOLEAN yes;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    yes = volume->gone == STATUS_SUCCESS && fs_state_away(volume->state) &&
          volume->reason == STATUS_MEDIA_WRITE_PROTECTED;
    KeReleaseSpinLock(&volume->lock, irql);
    return yes && fs_on_device(volume);
}

/* The volume is not there, or not verified, or not to be written to.  settled:
 * the worker has looked. */
static NTSTATUS NTAPI __attribute__((noinline))
hold_back(struct volume *volume, PIRP irp, NTSTATUS status, BOOLEAN settled)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);

    if (!settled && (own->MinorFunction & FS_RECURSIVE) == 0 &&
        fs_lacks_writes(volume))
        status = STATUS_VERIFY_REQUIRED;
    if ((own->MinorFunction & FS_RECURSIVE) != 0) {
        if (IoIsErrorUserInduced(status) && irp->Tail.Overlay.Thread != NULL)
            IoSetHardErrorOrVerifyDevice(irp, volume->vpb->RealDevice);
        return fs_finish(irp, fs_recursive_status(irp, status));
    }
    if (fs_is_gone(status))
        return fs_wait_for_medium(volume, irp, status);
    switch (fs_decide(status, NULL, TRUE)) {
    case FS_VERIFY:
        irp->IoStatus.Status = status;
        fs_post(volume, irp);
        return STATUS_PENDING;
    case FS_ASK:
        return fs_wait_for_medium(volume, irp, status);
    default:
        return fs_finish(irp, status);
    }
}

static BOOLEAN
modifies(PIRP irp, PIO_STACK_LOCATION own)
{
    return own->MajorFunction == IRP_MJ_WRITE || fs_trim_of(irp) != NULL;
}

/* Is it of somebody who knows the volume as it was, and not as it is used? */
static BOOLEAN __attribute__((noinline))
is_stale_locked(struct volume *volume, PIRP irp, PIO_STACK_LOCATION own)
{
    PFILE_OBJECT file = own->FileObject;

    if (file != NULL && file->FsContext == volume)
        return (ULONG_PTR) file->FsContext2 >> FS_HANDLE_USES != volume->uses;
    return fs.stale != NULL && fs.stale(irp);
}

/* Why the request cannot go down; STATUS_SUCCESS: it can. */
static NTSTATUS
obstacle_locked(struct volume *volume, PIRP irp, PIO_STACK_LOCATION own)
{
    if (volume->gone != STATUS_SUCCESS)
        return volume->gone;
    if (fs_state_away(volume->state) || volume->state == VOL_CHANGED)
        return volume->reason;
    if (volume->state != VOL_MOUNTED ||
        (__atomic_load_n(&volume->real->Flags, __ATOMIC_ACQUIRE) &
         DO_VERIFY_VOLUME) != 0)
        return STATUS_VERIFY_REQUIRED;
    if (volume->uses != 0 && is_stale_locked(volume, irp, own))
        return STATUS_FILE_INVALID;
    if (volume->write_protected && modifies(irp, own))
        return STATUS_MEDIA_WRITE_PROTECTED;
    return must_refuse_locked(volume, irp, own) ? STATUS_NOT_SUPPORTED
                                                : STATUS_SUCCESS;
}

/* Sends the request down if the volume is there and verified. */
static NTSTATUS NTAPI
send_down(struct volume *volume, PIRP irp, BOOLEAN settled)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);
    PDEVICE_OBJECT target;
    NTSTATUS status;
    BOOLEAN through;
    ULONG count;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    set_key(own, volume->generation);
    status = obstacle_locked(volume, irp, own);
    if (status != STATUS_SUCCESS) {
        KeReleaseSpinLock(&volume->lock, irql);
        /* When the tab was changed, a verification notices it. */
        if (status == STATUS_MEDIA_WRITE_PROTECTED)
            fs_set_verify(volume);
        return hold_back(volume, irp, status, settled);
    }
    if (fs_on_disk() && modifies(irp, own) && fs_log_stale(volume)) {
        KeReleaseSpinLock(&volume->lock, irql);
        return fs_finish(irp, STATUS_IO_DEVICE_ERROR);
    }
    if (fs_on_disk() && fs_intent_due_locked(volume, irp)) {
        KeReleaseSpinLock(&volume->lock, irql);
        fs_commit_intent(volume, irp);
        return STATUS_PENDING;
    }
    target = volume->target;
    count = volume->count;
    through = volume->write_through && !volume->logging;
    note_change_locked(volume, irp, own);
    fs_track_sent_locked(volume, irp);
    __atomic_add_fetch(&volume->running, running_weight(own->MinorFunction),
                       __ATOMIC_RELAXED);
    KeReleaseSpinLock(&volume->lock, irql);
    build_next(volume, irp, count, through);
    IoCallDriver(target, irp);
    return STATUS_PENDING;
}

void
fs_send_again(struct volume *volume, PIRP irp)
{
    send_down(volume, irp, TRUE);
}

void
fs_send_first(struct volume *volume, PIRP irp)
{
    send_down(volume, irp, FALSE);
}

BOOLEAN
fs_needs_refresh(struct volume *volume, PIRP irp)
{
    return IoGetCurrentIrpStackLocation(irp)->MajorFunction ==
               IRP_MJ_FLUSH_BUFFERS &&
           __atomic_load_n(&volume->head_dirty, __ATOMIC_RELAXED);
}

static NTSTATUS
check_range(struct volume *volume, PIO_STACK_LOCATION own)
{
    ULONG64 offset = (ULONG64) own->Parameters.Read.ByteOffset.QuadPart;
    ULONG length = own->Parameters.Read.Length;
    ULONG block = volume->block_bytes;

    if (offset % block != 0 || length % block != 0)
        return STATUS_INVALID_PARAMETER;
    /* The drive decides for who asked for that. */
    if ((fs_handle_flags(volume, own->FileObject) & FS_HANDLE_EXTENDED_DASD) !=
        0)
        return STATUS_SUCCESS;
    if (offset > volume->size_bytes || length > volume->size_bytes - offset)
        return own->MajorFunction == IRP_MJ_WRITE ? STATUS_DISK_FULL
                                                  : STATUS_END_OF_FILE;
    return STATUS_SUCCESS;
}

/*
 * IRP_MJ_READ, WRITE, FLUSH_BUFFERS and DEVICE_CONTROL of a volume device.
 * Always answers STATUS_PENDING; the request may have completed by then.
 * Completes with: what the drive said; STATUS_INVALID_PARAMETER, _DISK_FULL,
 * _END_OF_FILE for a bad range; after a cancelled prompt the status that was
 * asked about; STATUS_CANCELLED; STATUS_SYSTEM_SHUTDOWN; of a dismounted volume
 * STATUS_VOLUME_DISMOUNTED or _FILE_INVALID; recursive ones with the status that
 * others wait for, STATUS_FILE_LOCK_CONFLICT for the cache manager's.
 */
NTSTATUS NTAPI
fs_data(PDEVICE_OBJECT device, PIRP irp)
{
    struct volume *volume = device->DeviceExtension;
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);
    PIRP top = IoGetTopLevelIrp();
    NTSTATUS status;

    IoMarkIrpPending(irp);
    own->MinorFunction = top == NULL ? 0 : FS_RECURSIVE;
    if ((ULONG_PTR) top == FSRTL_CACHE_TOP_LEVEL_IRP)
        own->MinorFunction |= FS_FROM_CACHE;
    if (is_transfer(irp)) {
        status = check_range(volume, own);
        if (!NT_SUCCESS(status))
            return fs_finish(irp, status);
    } else if (top == NULL && fs_needs_refresh(volume, irp)) {
        /* The worker reads the identity again, then sends it: for that it must
         * not count as sent under this generation, nor under one given up. */
        set_key(own, fs_volume_generation(volume) + 1);
        irp->IoStatus.Status = STATUS_VERIFY_REQUIRED;
        fs_post(volume, irp);
        return STATUS_PENDING;
    }
    return send_down(volume, irp, FALSE);
}
