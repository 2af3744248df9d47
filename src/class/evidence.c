/*
 * evidence.c - what a drive announces, learnt from what it did
 *
 * A drive ought to announce each new medium: by UNIT ATTENTION 28, by an event
 * of GESN.  Some never do, and some are robbed of it by somebody else.  So
 * between the answer that there is no medium and the next TEST UNIT READY that
 * succeeds, something has to announce the new one; if nothing did, a change is
 * counted all the same, before anybody is told that the drive is ready, and
 * the drive is not relied on from then on: polls compare its capacity, too, and
 * the port counts silences in which another medium may have been put in.
 *
 *   02/3A: out ----- UNIT ATTENTION, counted: told -----> ready
 *            +------ nothing: counted here -------------> ready, silent
 *
 * Context: <= DISPATCH.  Lock: mcd.lock; never over class_note_attention.
 * Nothing here is on the way of a transfer that succeeds.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

#include "base/trace.h"

/* --- what it says ----------------------------------------------------------- */

/* A change was counted, for whatever reason. */
VOID NTAPI
class_evidence_counted(class_device *dev)
{
    KIRQL irql;

    KeAcquireSpinLock(&dev->mcd.lock, &irql);
    dev->mcd.out = FALSE;
    dev->mcd.told = TRUE;
    KeReleaseSpinLock(&dev->mcd.lock, irql);
}

VOID NTAPI
class_evidence_event(class_device *dev)
{
    KIRQL irql;

    KeAcquireSpinLock(&dev->mcd.lock, &irql);
    dev->mcd.evidence.events++;
    dev->mcd.announced = TRUE;
    KeReleaseSpinLock(&dev->mcd.lock, irql);
}

/* Until it was seen to keep silent: a drive that bothers with events is taken
 * to announce. */
VOID NTAPI
class_evidence_has_events(class_device *dev)
{
    KIRQL irql;

    KeAcquireSpinLock(&dev->mcd.lock, &irql);
    if (dev->mcd.evidence.belief == CLASS_NOT_KNOWN)
        InterlockedOr((LONG volatile *) &dev->ext->SrbFlags,
                      CLASS_SRB_ANNOUNCES);
    KeReleaseSpinLock(&dev->mcd.lock, irql);
}

/* `late`: a UNIT ATTENTION that came behind this answer was counted already. */
static void
not_ready_locked(struct class_mcd *mcd, UCHAR asc, UCHAR ascq, BOOLEAN late)
{
    if (asc == SCSI_ADSENSE_NO_MEDIA_IN_DEVICE) {
        if (!mcd->empty)
            mcd->evidence.left++;
        mcd->empty = TRUE;
        if (late)
            return;
        mcd->out = TRUE;
        mcd->told = FALSE;
    } else if (asc == SCSI_ADSENSE_LUN_NOT_READY) {
        if (ascq == SCSI_SENSEQ_BECOMING_READY)
            mcd->evidence.becoming_ready++;
        /* What loads may be another one; unless that was said already. */
        if (!mcd->told)
            mcd->out = TRUE;
    }
}

/* mcd.lock held.  Whoever carries out the commands is told with each. */
static void
believe_locked(class_device *dev, enum class_belief belief)
{
    LONG volatile *flags = (LONG volatile *) &dev->ext->SrbFlags;

    dev->mcd.evidence.belief = belief;
    if (belief == CLASS_ANNOUNCES)
        InterlockedOr(flags, CLASS_SRB_ANNOUNCES);
    else
        InterlockedAnd(flags, ~CLASS_SRB_ANNOUNCES);
}

/* mcd.lock held.  By the command that the number came with.  It may be counted
 * already, and the drive been seen ready, by somebody who was faster. */
static void
announced_locked(class_device *dev, ULONG number)
{
    struct class_mcd *mcd = &dev->mcd;

    mcd->evidence.attentions++;
    if (!mcd->hasty || number == 0 ||
        (LONG) (number - mcd->hasty_attention) > 0) {
        mcd->announced = TRUE;
        return;
    }
    mcd->hasty = FALSE;
    mcd->evidence.came_silently--;
    believe_locked(dev, mcd->hasty_belief == CLASS_NOT_KNOWN
                            ? CLASS_ANNOUNCES
                            : mcd->hasty_belief);
}

VOID NTAPI
class_evidence_sense(class_device *dev, const struct class_sense *sense,
                     ULONG number)
{
    ULONG counted = __atomic_load_n(&dev->attention, __ATOMIC_ACQUIRE);
    struct class_mcd *mcd = &dev->mcd;
    KIRQL irql;

    if (!dev->removable || (sense->key != SCSI_SENSE_NOT_READY &&
                            sense->key != SCSI_SENSE_UNIT_ATTENTION))
        return;
    KeAcquireSpinLock(&mcd->lock, &irql);
    if (sense->key == SCSI_SENSE_NOT_READY ||
        sense->asc == SCSI_ADSENSE_NO_MEDIA_IN_DEVICE)
        not_ready_locked(mcd, sense->asc, sense->ascq,
                         number != 0 && (LONG) (counted - number) > 0);
    else if (sense->asc == SCSI_ADSENSE_MEDIUM_CHANGED)
        announced_locked(dev, number);
    KeReleaseSpinLock(&mcd->lock, irql);
}

/* --- what it did -------------------------------------------------------------- */

/* mcd.lock held.  It is ready: was that announced? */
static void
learn_locked(class_device *dev)
{
    struct class_mcd *mcd = &dev->mcd;

    if (mcd->out) {
        mcd->hasty = FALSE;
        mcd->evidence.came_silently++;
        believe_locked(dev, CLASS_SILENT);
    } else if (mcd->announced && mcd->evidence.belief == CLASS_NOT_KNOWN) {
        believe_locked(dev, CLASS_ANNOUNCES);
    } else if (mcd->empty && !mcd->announced) {
        /* The count was of something else, a lost session or a reset; or
         * whoever was told has not said so yet. */
        mcd->hasty = TRUE;
        mcd->hasty_attention =
            __atomic_load_n(&dev->attention, __ATOMIC_ACQUIRE);
        mcd->hasty_belief = mcd->evidence.belief;
        mcd->evidence.came_silently++;
        believe_locked(dev, CLASS_SILENT);
    }
    mcd->empty = mcd->announced = mcd->told = FALSE;
}

BOOLEAN NTAPI
class_evidence_owed(class_device *dev)
{
    BOOLEAN owed;
    KIRQL irql;

    KeAcquireSpinLock(&dev->mcd.lock, &irql);
    owed = dev->mcd.out;
    KeReleaseSpinLock(&dev->mcd.lock, irql);
    return owed;
}

/*
 * TEST UNIT READY succeeded.  The change is counted while `out` is still set:
 * who asks at the same time counts once more, and nobody is told an old count.
 */
VOID NTAPI
class_evidence_ready(class_device *dev)
{
    struct class_mcd *mcd = &dev->mcd;
    BOOLEAN out;
    KIRQL irql;

    if (!dev->removable)
        return;
    KeAcquireSpinLock(&mcd->lock, &irql);
    out = mcd->out;
    learn_locked(dev);
    if (mcd->interval_s > MEDIA_CHANGE_DEFAULT_TIME)
        mcd->countdown_s = mcd->interval_s = MEDIA_CHANGE_DEFAULT_TIME;
    KeReleaseSpinLock(&mcd->lock, irql);
    if (!out)
        return;
    TRACE(TRACE_VERIFY, "dev=%p: another medium, perhaps; nobody said so",
          (void *) dev->fdo);
    class_note_attention(dev, 0);
}

/* --- the capacity, asked by polls -------------------------------------------------- */

/* Is it worth a command? */
BOOLEAN NTAPI
class_evidence_wants_size(class_device *dev)
{
    return __atomic_load_n(&dev->mcd.by_timer, __ATOMIC_RELAXED) &&
           dev->mcd.evidence.belief != CLASS_ANNOUNCES &&
           __atomic_load_n(&dev->capacity.valid, __ATOMIC_ACQUIRE);
}

/* Another size is another medium. */
VOID NTAPI
class_evidence_size(const struct class_request *request)
{
    const UCHAR *reply = request->small;
    class_device *dev = request->dev;
    struct class_mcd *mcd = &dev->mcd;
    ULONG last = class_get_be32(reply);
    BOOLEAN differs;
    KIRQL irql;

    KeAcquireSpinLock(&dev->change_lock, &irql);
    differs =
        dev->capacity.valid && request->key == class_change_count(dev) &&
        (class_sane_block(dev, class_get_be32(reply + 4)) !=
             dev->capacity.block_bytes ||
         (last != 0xFFFFFFFF ? (ULONGLONG) last + 1 != dev->capacity.blocks
                             : dev->capacity.blocks <= 0xFFFFFFFF));
    KeReleaseSpinLock(&dev->change_lock, irql);
    if (!differs)
        return;
    KeAcquireSpinLock(&mcd->lock, &irql);
    mcd->evidence.sizes++;
    believe_locked(dev, CLASS_SILENT);
    KeReleaseSpinLock(&mcd->lock, irql);
    class_note_attention(dev, 0);
    class_set_state(dev, MediaPresent, FALSE, TRUE);
}

VOID
class_evidence(PDEVICE_OBJECT fdo, struct class_evidence *out_evidence)
{
    class_device *dev = class_dev(fdo);
    KIRQL irql;

    KeAcquireSpinLock(&dev->mcd.lock, &irql);
    *out_evidence = dev->mcd.evidence;
    out_evidence->asked = __atomic_load_n(&dev->mcd.by_timer, __ATOMIC_RELAXED);
    KeReleaseSpinLock(&dev->mcd.lock, irql);
}
