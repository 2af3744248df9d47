/*
 * posted.c - the volume's worker: requests that something has to be settled for
 *
 * Those that came back with an error that says something of the medium, or that
 * came while their volume was being verified.  The one decision is made here
 * (decide): verify and send again, put the question to a person, or fail.
 *
 * Context: PASSIVE_LEVEL.  One worker per volume runs at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

/* Verifies the volume in its drive; afterwards its state says what came out.
 * FALSE: that took long, and the request has gone its own way. */
static BOOLEAN
verify_now(struct volume *volume, PIRP irp, ULONG generation)
{
    if (!fs_on_device(volume)) {
        fs_volume_change(volume, generation, VOL_ABSENT, STATUS_WRONG_VOLUME);
        return TRUE;
    }
    if (fs_state_away(fs_volume_state(volume)) ||
        fs_volume_state(volume) == VOL_CHANGED ||
        fs_volume_generation(volume) != generation)
        return TRUE;
    fs_set_verify(volume);
    fs_watch_begin(volume, irp);
    fs_perform_verify(volume, (PIRP) FSRTL_FSP_TOP_LEVEL_IRP, FALSE);
    return fs_watch_end(volume);
}

/* The question is put; but if the volume was settled since the request was sent,
 * what it is about may be over: then whoever waits is told once more. */
static void
ask_about(struct volume *volume, PIRP irp, NTSTATUS status, ULONG generation)
{
    fs_wait_for_medium(volume, irp, status);
    if (fs_volume_generation(volume) != generation && fs_volume_mounted(volume))
        fs_volume_tell(volume, VOL_MOUNTED, STATUS_SUCCESS);
}

enum verdict { SEND_AGAIN, VERIFY_FIRST, MARK_ABSENT, ASK, FAIL };

/*
 * Pure: what to do about a request that came back with status.  The table's
 * fate, refined by what is known of the volume: it may have been settled since
 * the request was sent.
 */
static enum verdict
decide(NTSTATUS status, BOOLEAN settled_since, BOOLEAN on_device)
{
    enum fs_fate fate = fs_outcome(status)->fate;

    /* The drive holds another volume now: the error was about that one. */
    if (fate == FS_FATE_RECHECK && !on_device)
        fate = FS_FATE_VERIFY;
    if (settled_since && fate != FS_FATE_FAIL)
        return SEND_AGAIN;
    switch (fate) {
    case FS_FATE_VERIFY:
        return VERIFY_FIRST;
    case FS_FATE_AWAY:
    case FS_FATE_GONE:
        return MARK_ABSENT;
    case FS_FATE_ASK:
        return ASK;
    default:
        return FAIL;
    }
}

/* The drive's own choice of device to verify is not to be relied on: ours is
 * the volume's.  It must not stay behind. */
static void
clear_device_to_verify(PIRP irp)
{
    PETHREAD thread = irp->Tail.Overlay.Thread;

    if (thread == NULL || IoGetDeviceToVerify(thread) == NULL)
        thread = PsGetCurrentThread();
    if (IoGetDeviceToVerify(thread) != NULL)
        IoSetDeviceToVerify(thread, NULL);
}

/* It is done, and acknowledged after a flush.  TRUE: it is out of our hands. */
static BOOLEAN
flush_first(struct volume *volume, PIRP irp, NTSTATUS *out_status)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);
    NTSTATUS status = fs_flush_for(volume, irp);

    if (NT_SUCCESS(status)) {
        fs_note_tried(volume, irp, status);
        if (!fs_commit_flushed(volume, irp)) {
            irp->IoStatus.Status = status;
            IoCompleteRequest(irp, IO_DISK_INCREMENT);
        }
        return TRUE;
    }
    if ((own->MinorFunction & FS_RECURSIVE) != 0) {
        fs_finish(irp, fs_recursive_status(irp, status));
        return TRUE;
    }
    /* If it goes down again, it does so from the start. */
    own->MinorFunction &= (UCHAR) ~FS_NEEDS_FLUSH;
    *out_status = status;
    return FALSE;
}

static void
settle(struct volume *volume, PIRP irp)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);
    UCHAR major = own->MajorFunction;
    NTSTATUS status = irp->IoStatus.Status;
    ULONG generation = fs_volume_generation(volume);
    BOOLEAN settled, cancelled;
    enum vol_state state;

    clear_device_to_verify(irp);
    cancelled = __atomic_load_n(&irp->Cancel, __ATOMIC_SEQ_CST);
    if (fs_ending() || cancelled) {
        fs_finish(irp, cancelled ? STATUS_CANCELLED : STATUS_SYSTEM_SHUTDOWN);
        return;
    }
    if (major == IRP_MJ_CREATE || major == IRP_MJ_FILE_SYSTEM_CONTROL) {
        fs_settle_control(volume, irp);
        return;
    }
    if ((own->MinorFunction & FS_NEEDS_FLUSH) != 0 &&
        flush_first(volume, irp, &status))
        return;
    /* Another thread may be at it, which is waited for here, or in verify_now:
     * the worker does not spin. */
    if (fs_volume_state(volume) == VOL_REPLAYING)
        fs_wait_for_resume(volume);
    /* It was in the drive when a person gave the volume up: a flush that went on
     * later would promise what is in a file. */
    if (fs_given_up(volume, irp, &status)) {
        fs_finish(irp, status);
        return;
    }
    state = fs_volume_state(volume);
    settled = generation != fs_sent_generation(irp) ||
              (state != VOL_MOUNTED && state != VOL_VERIFYING);
    if (fs_needs_refresh(volume, irp))
        fs_refresh(volume);
    if (status == STATUS_VERIFY_REQUIRED && fs_lacks_writes(volume)) {
        fs_watch_begin(volume, irp);
        fs_perform_verify(volume, (PIRP) FSRTL_FSP_TOP_LEVEL_IRP, FALSE);
        if (fs_watch_end(volume))
            fs_send_again(volume, irp);
        return;
    }
    switch (decide(status, settled, fs_on_device(volume))) {
    case VERIFY_FIRST:
        if (verify_now(volume, irp, generation))
            fs_send_again(volume, irp);
        break;
    case MARK_ABSENT:
        fs_volume_lose(volume, generation, fs_absent_reason(status), status);
        fs_send_again(volume, irp);
        break;
    case SEND_AGAIN:
        fs_send_again(volume, irp);
        break;
    case ASK:
        ask_about(volume, irp, status, generation);
        break;
    case FAIL:
        fs_finish(irp, status);
        break;
    }
}

/* While an eject is under way, requests stay posted; it runs them at its end. */
void
fs_run_posted(struct volume *volume)
{
    KIRQL irql;

    for (;;) {
        PIRP irp = NULL;

        KeAcquireSpinLock(&volume->lock, &irql);
        if (!IsListEmpty(&volume->posted) &&
            (volume->state != VOL_EJECTING || fs_ending()))
            irp = CONTAINING_RECORD(RemoveHeadList(&volume->posted), IRP,
                                    Tail.Overlay.ListEntry);
        else
            volume->worker_busy = FALSE;
        KeReleaseSpinLock(&volume->lock, irql);
        if (irp == NULL)
            return;
        settle(volume, irp);
    }
}
