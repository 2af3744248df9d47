/*
 * settle.c - a volume takes its place in a drive, and is through with it
 *
 * fs_settle_in says that the medium in a drive is the volume's; what follows,
 * replay and comparison, is in fs_finish_return.  Between the two the volume is
 * REPLAYING, unless nobody can write to it.
 *
 * Context: PASSIVE_LEVEL, under the drive's DeviceLock; a mount holds
 * fs.mount_mutex around fs_settle_in, which takes the volume's lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/medium.h"

static void
take_over_locked(struct volume *volume, PDEVICE_OBJECT real,
                 PDEVICE_OBJECT target, struct medium *medium)
{
    struct witness *witness = volume->witness;
    enum identity_match match = identity_compare(&volume->id, &medium->id);

    __atomic_store_n(&volume->real, real, __ATOMIC_RELEASE);
    volume->target = target;
    volume->count = medium->count;
    volume->read_only = medium->read_only;
    volume->write_protected = medium->write_protected;
    volume->write_through = medium->write_through;
    volume->logging = medium->write_through && volume->log.buckets != NULL;
    volume->vouched =
        (volume->accept_unknown || medium->spare) && match == ID_CANNOT_TELL;
    volume->vouched_changed = volume->vouched && volume->changed_elsewhere;
    volume->doubted = match == ID_CHANGED && !volume->as_it_is;
    volume->sample = NULL;
    if (medium->witness != NULL && !volume->doubted &&
        (witness == NULL || volume->vouched || volume->as_it_is)) {
        volume->witness = medium->witness;
        medium->witness = witness;
        volume->vouched = TRUE;
    }
    volume->can_trim = medium->can_trim;
    volume->trim_zeroes = medium->trim_zeroes;
    /* As it is: whatever we had written before. */
    if ((!volume->head_dirty || volume->as_it_is) && !volume->doubted)
        volume->id = medium->id;
}

/*
 * The medium in the drive is the volume's: from now on requests go there, after
 * fs_resume if it could have been written to.
 * FALSE: the volume was settled anew since `generation`, somewhere else, or is
 * dismounted.
 */
BOOLEAN
fs_settle_in(struct volume *volume, ULONG generation, PDEVICE_OBJECT real,
             PDEVICE_OBJECT target, struct medium *medium)
{
    struct fs_drive let[FORMER_MOST + 1] = { { real, target } };
    ULONG lets = 1;
    enum vol_state to;
    BOOLEAN ok;
    KIRQL irql;

    if (medium->write_through)
        fs_unflushed_prepare(volume);
    fs_hold_drive(real, target);
    KeAcquireSpinLock(&volume->lock, &irql);
    ok = volume->generation == generation && volume->gone == STATUS_SUCCESS;
    if (ok) {
        volume->changed_before =
            volume->state == VOL_CHANGED && volume->real == real;
        if (!medium->unchanged) {
            struct fs_drive left = { volume->real, volume->target };

            take_over_locked(volume, real, target, medium);
            lets = fs_leave_locked(volume, &left, let);
        }
        volume->accept_unknown = FALSE;
        volume->changed_elsewhere = FALSE;
        to = volume->witness != NULL || volume->log.buckets != NULL ||
                     volume->doubted
                 ? VOL_REPLAYING
                 : VOL_MOUNTED;
        ok = fs_volume_move_locked(volume, to, STATUS_SUCCESS, TRUE);
    }
    KeReleaseSpinLock(&volume->lock, irql);
    while (lets > 0) {
        lets--;
        fs_let_drive(let[lets].real, let[lets].target);
    }
    return ok;
}

/*
 * Clears the drive's flag, now that the volume is settled, and looks whether a
 * change slipped in between: one bit cannot count.
 */
static void
clear_verify(PDEVICE_OBJECT real, PDEVICE_OBJECT target, ULONG count)
{
    ULONG now;

    InterlockedAnd((LONG volatile *) &real->Flags, ~DO_VERIFY_VOLUME);
    if (!NT_SUCCESS(fs_media_count(target, &now)) || now != count)
        InterlockedOr((LONG volatile *) &real->Flags, DO_VERIFY_VOLUME);
}

BOOLEAN
fs_stay_changed(struct volume *volume, ULONG generation, PDEVICE_OBJECT real,
                PDEVICE_OBJECT target, ULONG count)
{
    BOOLEAN ok;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    ok = volume->generation == generation && volume->state == VOL_CHANGED;
    if (ok)
        volume->count = count;
    KeReleaseSpinLock(&volume->lock, irql);
    if (ok)
        clear_verify(real, target, count);
    return ok;
}

struct found {
    const struct volume *volume;
    PDEVICE_OBJECT drive;
};

/* Those who were in this drive last, while it had nothing or was away: what is
 * in it now is not theirs. */
static BOOLEAN
now_taken(void *context, struct volume *volume)
{
    const struct found *found = context;
    ULONG generation = fs_volume_generation(volume);

    if (volume != found->volume && fs_volume_state(volume) == VOL_ABSENT &&
        __atomic_load_n(&volume->real, __ATOMIC_ACQUIRE) == found->drive)
        fs_volume_change(volume, generation, VOL_ABSENT, STATUS_WRONG_VOLUME);
    return TRUE;
}

NTSTATUS
fs_finish_return(struct volume *volume, PDEVICE_OBJECT real,
                 PDEVICE_OBJECT target, ULONG count)
{
    NTSTATUS status = STATUS_SUCCESS;

    if (fs_volume_state(volume) != VOL_MOUNTED)
        status = fs_resume(volume);
    if (!NT_SUCCESS(status) && status != STATUS_WRONG_VOLUME) {
        InterlockedOr((LONG volatile *) &real->Flags, DO_VERIFY_VOLUME);
        return status;
    }
    clear_verify(real, target, count);
    fs_label_vpb(volume);
    if (NT_SUCCESS(status))
        fs_volume_tell(volume, VOL_MOUNTED, STATUS_SUCCESS);
    fs_each_volume(now_taken, &(struct found){ volume, real });
    fs_refresh_soon(volume);
    fs_sight_soon(volume);
    return STATUS_SUCCESS;
}
