/*
 * tend.c - in the background: a quiet volume is flushed, its medium kept in the
 * drive until then
 *
 * Begun by a write that goes into the log, and done again by a timer as long as
 * there is anything to be done.
 *
 * Context: PASSIVE_LEVEL, on a worker, one per volume at a time; the timer at
 * DISPATCH_LEVEL.  Takes volume.lock, and log_lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

#include "base/clock.h"

#define UNLOCK_MS 1000 /* without a write, and flushed: where none is idle */

/* Best effort: not every drive can. */
static NTSTATUS
set_prevented(PDEVICE_OBJECT target, BOOLEAN yes)
{
    PREVENT_MEDIA_REMOVAL in = { .PreventMediaRemoval = yes };

    return fs_ioctl(target, IOCTL_STORAGE_MEDIA_REMOVAL, &in, sizeof in, NULL,
                    0, NULL);
}

void
fs_allow_removal(struct volume *volume)
{
    PDEVICE_OBJECT target = volume->prevented;

    if (target == NULL)
        return;
    volume->prevented = NULL;
    (void) set_prevented(target, FALSE);
    fs_let_drive(NULL, target);
}

/* Held back, because the medium was just pulled, or not answered: the class
 * driver has the lock still, and would count a second one on top.  It is tried
 * again. */
static void
try_to_allow(struct volume *volume)
{
    PDEVICE_OBJECT target = volume->prevented;
    NTSTATUS status;

    if (target == NULL)
        return;
    status = set_prevented(target, FALSE);
    if (!NT_SUCCESS(status) && status != STATUS_INVALID_DEVICE_REQUEST &&
        (!fs_is_gone(status) || status == STATUS_DEVICE_NOT_CONNECTED))
        return;
    volume->prevented = NULL;
    fs_let_drive(NULL, target);
}

/* The drive that the medium is in now, and no other; once more when it is back,
 * for a lock ends with a reset or a session. */
static void
prevent(struct volume *volume)
{
    PDEVICE_OBJECT target, real;
    ULONG generation;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    target = volume->target;
    real = volume->real;
    generation = volume->generation;
    fs_hold_drive(real, target);
    KeReleaseSpinLock(&volume->lock, irql);
    if (volume->prevented != NULL &&
        (target != volume->prevented ||
         generation != volume->prevented_generation))
        try_to_allow(volume);
    if (volume->prevented == NULL && fs_volume_mounted(volume)) {
        if ((real->Characteristics & FILE_REMOVABLE_MEDIA) != 0) {
            (void) set_prevented(target, TRUE);
            fs_hold_drive(NULL, target);
            volume->prevented = target;
            volume->prevented_generation = generation;
        }
        /* An eject that has begun meanwhile is not to find it locked. */
        if (!fs_volume_mounted(volume))
            try_to_allow(volume);
    }
    fs_let_drive(real, target);
}

/* Once around; returns the milliseconds after which it is to be done again, 0:
 * not before the next write. */
static ULONG
tend_once(struct volume *volume)
{
    BOOLEAN mounted = fs_volume_mounted(volume), dirty, full, calm;
    BOOLEAN never = fs.limits.flush_idle_ms == 0;
    ULONG idle_ms = never ? UNLOCK_MS : fs.limits.flush_idle_ms;
    ULONG64 quiet;
    KIRQL irql;

    KeAcquireSpinLock(&volume->log_lock, &irql);
    dirty = !log_empty(&volume->log);
    full = volume->log.pages * 2 > volume->log.limit ||
           __atomic_load_n(&volume->disk_filling, __ATOMIC_RELAXED);
    quiet = clock_coarse_ms() - volume->written_ms;
    KeReleaseSpinLock(&volume->log_lock, irql);
    if (mounted && dirty)
        prevent(volume);
    calm = quiet >= idle_ms;
    if (mounted && dirty && (full || (calm && !never)) &&
        NT_SUCCESS(fs_flush_log(volume)))
        dirty = fs_unflushed_bytes(volume) != 0;
    if ((!dirty && calm) || !mounted)
        try_to_allow(volume);
    /* What a log on disk could not be told of. */
    if (!dirty &&
        ((mounted && fs_disk_live(volume) != 0) || fs_log_stale(volume))) {
        fs_commit_soon(volume);
        return fs_log_stale(volume) && idle_ms > UNLOCK_MS ? UNLOCK_MS
                                                           : idle_ms + 1;
    }
    if (volume->prevented == NULL && (!mounted || !dirty))
        return 0;
    if (!mounted)
        return UNLOCK_MS;
    return !calm ? (ULONG) (idle_ms - quiet) + 1 : idle_ms + 1;
}

static VOID NTAPI
tend(PVOID parameter)
{
    struct volume *volume = parameter;
    LARGE_INTEGER due;
    BOOLEAN again;
    ULONG ms, sight_ms;
    KIRQL irql;

    do {
        ms = fs_ending() ? 0 : tend_once(volume);
        sight_ms = fs_ending() ? 0 : fs_keep_in_sight(volume);
        if (sight_ms != 0 && (ms == 0 || sight_ms < ms))
            ms = sight_ms;
        KeAcquireSpinLock(&volume->log_lock, &irql);
        again = volume->tend_again && !fs_ending();
        volume->tend_again = FALSE;
        if (!again)
            volume->tending = FALSE;
        KeReleaseSpinLock(&volume->log_lock, irql);
    } while (again);
    if (ms == 0)
        return;
    due.QuadPart = -(LONGLONG) ms * 10000;
    KeSetTimer(&volume->tend_timer, due, &volume->tend_dpc);
}

void
fs_tend_soon_locked(struct volume *volume, BOOLEAN again)
{
    if (fs_ending())
        return;
    if (volume->tending) {
        volume->tend_again |= again;
        return;
    }
    volume->tending = TRUE;
    ExInitializeWorkItem(&volume->tend_work, tend, volume);
    ExQueueWorkItem(&volume->tend_work, DelayedWorkQueue);
}

void
fs_tend_soon(struct volume *volume)
{
    KIRQL irql;

    KeAcquireSpinLock(&volume->log_lock, &irql);
    fs_tend_soon_locked(volume, TRUE);
    KeReleaseSpinLock(&volume->log_lock, irql);
}

static VOID NTAPI
tend_dpc(struct _KDPC *dpc, PVOID context, PVOID argument1, PVOID argument2)
{
    struct volume *volume = context;
    KIRQL irql;

    (void) dpc;
    (void) argument1;
    (void) argument2;
    KeAcquireSpinLock(&volume->log_lock, &irql);
    fs_tend_soon_locked(volume, FALSE);
    KeReleaseSpinLock(&volume->log_lock, irql);
}

void
fs_tend_init(struct volume *volume)
{
    KeInitializeTimer(&volume->tend_timer);
    KeInitializeDpc(&volume->tend_dpc, tend_dpc, volume);
}
