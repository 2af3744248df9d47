/*
 * clones.c - several volumes have one identity: whose medium is this?
 *
 * Copies of a medium have one label and one serial number, and drift apart by
 * what is written to them.  Each volume's witness knows its own: where more than
 * one could come back, the one whose witness agrees does, and no other asks
 * whether it was changed elsewhere.  Media whose identity says nothing are told so
 * alone.
 *
 * Context: PASSIVE_LEVEL, under the drive's DeviceLock and no other lock, for it
 * reads.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

#include "base/trace.h"

#define CLONES_MOST 8

struct clones {
    const struct identity *seen;
    struct volume *list[CLONES_MOST];
    BOOLEAN untold[CLONES_MOST]; /* of those: identities cannot tell */
    ULONG count, misplaced;      /* in another one's place, it may be */
    ULONG untolds;
};

/* Neither says anything that the other does not. */
static BOOLEAN
is_untold_locked(const struct volume *volume, const struct identity *seen)
{
    return volume->id.unknown && seen->unknown && volume->witness != NULL &&
           identity_compare(&volume->id, seen) == ID_CANNOT_TELL;
}

/* One that is not verified to be anywhere, with this identity. */
static BOOLEAN
take_clone(void *context, struct volume *volume)
{
    struct clones *clones = context;
    BOOLEAN same, changed, untold;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    changed = volume->state == VOL_CHANGED;
    same = (fs_state_away(volume->state) || changed) &&
           volume->witness != NULL &&
           identity_compare(&volume->id, clones->seen) == ID_SAME;
    untold = fs_state_away(volume->state) &&
             is_untold_locked(volume, clones->seen) &&
             witness_tells(volume->witness);
    KeReleaseSpinLock(&volume->lock, irql);
    if (same || untold) {
        clones->untold[clones->count] = untold;
        clones->untolds += untold;
        clones->list[clones->count++] = volume;
        clones->misplaced += changed;
    }
    return clones->count < CLONES_MOST;
}

/*
 * The one whose witness agrees, and has most to say: clones agree in what was
 * copied.  What a probe says that was cut short decides nothing.
 */
static NTSTATUS
best_that_agrees(const struct clones *clones, PDEVICE_OBJECT target,
                 ULONG count, struct volume **out_volume)
{
    ULONG most = 0;

    *out_volume = NULL;
    for (ULONG i = 0; i < clones->count; i++) {
        struct fs_agreement agreed;
        NTSTATUS status =
            fs_probe_witness(clones->list[i], target, count, &agreed);

        if (!NT_SUCCESS(status) && status != STATUS_WRONG_VOLUME)
            return status;
        if (clones->untold[i] && agreed.telling == 0)
            continue;
        if (NT_SUCCESS(status) && agreed.compared > most) {
            most = agreed.compared;
            *out_volume = clones->list[i];
        }
    }
    return STATUS_SUCCESS;
}

NTSTATUS
fs_choose_clone(const struct identity *seen, PDEVICE_OBJECT target, ULONG count,
                struct volume **out_volume)
{
    struct clones clones = { .seen = seen };

    *out_volume = NULL;
    fs_each_volume(take_clone, &clones);
    /* Of a single one that is away its return makes sure. */
    if (clones.count + clones.misplaced < 2 && clones.untolds == 0)
        return STATUS_SUCCESS;
    return best_that_agrees(&clones, target, count, out_volume);
}

NTSTATUS
fs_reject_clone(struct volume *volume, const struct identity *seen,
                PDEVICE_OBJECT target, ULONG count)
{
    struct clones clones = { .seen = seen };
    struct volume *best;
    struct fs_agreement own, most;
    NTSTATUS status;

    fs_each_volume(take_clone, &clones);
    if (clones.count == 0 || (clones.count == 1 && clones.list[0] == volume))
        return STATUS_SUCCESS;
    status = best_that_agrees(&clones, target, count, &best);
    if (!NT_SUCCESS(status) || best == NULL || best == volume)
        return status;
    status = fs_probe_witness(volume, target, count, &own);
    if (NT_SUCCESS(status))
        status = fs_probe_witness(best, target, count, &most);
    if (!NT_SUCCESS(status) && status != STATUS_WRONG_VOLUME)
        return status;
    if (NT_SUCCESS(status) && own.compared >= most.compared &&
        (own.telling > 0 || most.telling == 0))
        return STATUS_SUCCESS;
    TRACE(TRACE_VERIFY, "volume %s: a clone of it is there", volume->id.label);
    return STATUS_WRONG_VOLUME;
}

NTSTATUS
fs_told_by_witness(struct volume *volume, const struct identity *seen,
                   PDEVICE_OBJECT target, ULONG count, BOOLEAN *out_told)
{
    struct fs_agreement agreed = { 0 };
    NTSTATUS status = STATUS_SUCCESS;
    BOOLEAN untold;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    untold = is_untold_locked(volume, seen);
    KeReleaseSpinLock(&volume->lock, irql);
    if (untold)
        status = fs_probe_witness(volume, target, count, &agreed);
    *out_told = NT_SUCCESS(status) && agreed.telling > 0;
    return status == STATUS_WRONG_VOLUME ? STATUS_SUCCESS : status;
}
