/*
 * eject.c - a medium is let out: nothing runs, all is flushed, the drive opens
 *
 * Requests that come meanwhile wait.  A medium that does not come out has a
 * cause, and a person is told which: the first that the drive or a verification
 * had to say, not that something was in the way.
 *
 * Context: PASSIVE_LEVEL, no lock; waits for requests, and for the drive.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

#include <ntddstor.h>

#define WAIT_MS 10000
#define TRIES   4

struct ejecting {
    PDEVICE_OBJECT drive;
    struct volume *volume; /* NULL: none is in the way */
    ULONG generation, count;
    enum fs_eject_step step;
};

/* What a volume that is not in its drive any more has to say. */
static NTSTATUS
why_gone(struct volume *volume)
{
    NTSTATUS status = STATUS_SUCCESS;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    if (volume->gone != STATUS_SUCCESS)
        status = volume->gone;
    else if (volume->state == VOL_CHANGED)
        status = STATUS_FILE_INVALID;
    else if (fs_state_away(volume->state))
        status = volume->cause;
    KeReleaseSpinLock(&volume->lock, irql);
    return status;
}

static BOOLEAN
wait_until_idle(struct volume *volume)
{
    LARGE_INTEGER step = { .QuadPart = -100 * 10000 };

    for (int i = 0; i < WAIT_MS / 100; i++) {
        KeClearEvent(&volume->idle);
        if (__atomic_load_n(&volume->running, __ATOMIC_ACQUIRE) == 0)
            return TRUE;
        KeWaitForSingleObject(&volume->idle, Executive, KernelMode, FALSE,
                              &step);
    }
    return FALSE;
}

/* volume: what is flushed, or NULL: whatever is in there. */
static NTSTATUS
flush_and_open(struct ejecting *eject, struct volume *volume)
{
    PREVENT_MEDIA_REMOVAL allow = { .PreventMediaRemoval = FALSE };
    PDEVICE_OBJECT target = IoGetAttachedDevice(eject->drive);
    ULONG sealed = volume != NULL ? fs_seal(volume) : 0;
    NTSTATUS status;

    eject->step = FS_EJECT_FLUSH;
    status = fs_flush_device(target, volume != NULL ? &eject->count : NULL);
    if (NT_SUCCESS(status) && sealed != 0)
        fs_flushed(volume, sealed, eject->generation);
    if (volume != NULL)
        fs_commit_now(volume);
    if (status == STATUS_VERIFY_REQUIRED)
        return STATUS_MEDIA_CHANGED; /* a hand was faster */
    if (!NT_SUCCESS(status) && status != STATUS_NO_MEDIA_IN_DEVICE)
        return status;
    eject->step = FS_EJECT_OPEN;
    fs_ioctl(target, IOCTL_STORAGE_MEDIA_REMOVAL, &allow, sizeof allow, NULL, 0,
             NULL);
    return fs_ioctl(target, IOCTL_STORAGE_EJECT_MEDIA, NULL, 0, NULL, 0, NULL);
}

/* A volume that is being verified or replayed is waited for. */
static NTSTATUS
begin(struct ejecting *eject)
{
    LARGE_INTEGER step = { .QuadPart = -100 * 10000 };
    struct volume *volume = eject->volume;

    for (int i = 0; i < WAIT_MS / 100; i++) {
        NTSTATUS why;
        KIRQL irql;

        KeClearEvent(&volume->idle);
        if (__atomic_load_n(&volume->head_dirty, __ATOMIC_RELAXED))
            fs_refresh(volume);
        KeAcquireSpinLock(&volume->lock, &irql);
        eject->generation = volume->generation;
        eject->count = volume->count;
        KeReleaseSpinLock(&volume->lock, irql);
        why = fs_ending() ? STATUS_SYSTEM_SHUTDOWN : why_gone(volume);
        if (why != STATUS_SUCCESS)
            return why;
        if (fs_volume_change(volume, eject->generation, VOL_EJECTING,
                             STATUS_SUCCESS))
            return STATUS_SUCCESS;
        KeWaitForSingleObject(&volume->idle, Executive, KernelMode, FALSE,
                              &step);
    }
    return STATUS_DEVICE_BUSY;
}

static NTSTATUS
eject_once(struct ejecting *eject)
{
    struct volume *volume = eject->volume;
    NTSTATUS status;

    if (volume == NULL || why_gone(volume) != STATUS_SUCCESS)
        return flush_and_open(eject, NULL);
    status = begin(eject);
    if (!NT_SUCCESS(status))
        return status;
    if (!wait_until_idle(volume))
        status = STATUS_DEVICE_BUSY;
    else if (fs_volume_state(volume) != VOL_EJECTING)
        status = STATUS_MEDIA_CHANGED; /* a hand was faster */
    else
        status = flush_and_open(eject, volume);
    if (NT_SUCCESS(status))
        fs_volume_change(volume, eject->generation, VOL_ABSENT,
                         STATUS_NO_MEDIA_IN_DEVICE);
    else
        fs_volume_change(volume, eject->generation, VOL_MOUNTED,
                         STATUS_SUCCESS);
    fs_post(volume, NULL);
    return status;
}

/* Is the volume still there?  STATUS_SUCCESS: it is. */
static NTSTATUS
look_again(struct ejecting *eject)
{
    NTSTATUS status, why;

    eject->step = FS_EJECT_VERIFY;
    status = IoVerifyVolume(eject->drive, FALSE);
    if (!NT_SUCCESS(status) && status != STATUS_VERIFY_REQUIRED)
        return status;
    why = why_gone(eject->volume);
    if (why == STATUS_SUCCESS && fs_volume_on(eject->drive) != eject->volume)
        why = STATUS_WRONG_VOLUME;
    if (why == STATUS_SUCCESS && !fs_volume_mounted(eject->volume))
        why = STATUS_MEDIA_CHANGED; /* and again meanwhile */
    return why;
}

/* What a drive has to tell may have been the button, and no change: whether the
 * volume is still there is seen by a verification. */
NTSTATUS
fs_eject(PDEVICE_OBJECT drive, enum fs_eject_step *out_step)
{
    struct ejecting eject = { .drive = drive, .volume = fs_volume_on(drive) };
    NTSTATUS status = eject_once(&eject);

    for (int i = 1; i < TRIES && status == STATUS_MEDIA_CHANGED &&
                    eject.volume != NULL && !fs_ending();
         i++) {
        status = look_again(&eject);
        if (NT_SUCCESS(status))
            status = eject_once(&eject);
    }
    if (out_step != NULL)
        *out_step = eject.step;
    return status;
}
