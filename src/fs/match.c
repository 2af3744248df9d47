/*
 * match.c - is this the volume's medium?
 *
 * What its identity says, and what a person says where that cannot tell.
 *
 * Context: PASSIVE_LEVEL.  Takes fs.lock, and the volumes' locks one at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/medium.h"

struct namesake {
    const struct identity *seen;
    BOOLEAN found;
};

static BOOLEAN
look_for_namesake(void *context, struct volume *volume)
{
    struct namesake *namesake = context;
    enum identity_match match;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    match = identity_compare(&volume->id, namesake->seen);
    namesake->found =
        !volume->id.unknown && (match == ID_SAME || match == ID_CHANGED);
    KeReleaseSpinLock(&volume->lock, irql);
    return !namesake->found;
}

/* A medium that is known for certain is nobody else's, whoever vouches. */
BOOLEAN
fs_may_vouch_for(const struct identity *seen)
{
    struct namesake namesake = { seen, FALSE };

    fs_each_volume(look_for_namesake, &namesake);
    return !namesake.found;
}

/* A person may vouch for a medium that cannot be told, or take one that was
 * changed elsewhere as it is; in one drive. */
enum identity_match
fs_match_locked(struct volume *volume, const struct identity *seen,
                PDEVICE_OBJECT real, BOOLEAN may_vouch)
{
    enum identity_match match = identity_compare(&volume->id, seen);

    if (volume->real == real &&
        ((match == ID_CANNOT_TELL && may_vouch && volume->accept_unknown) ||
         (match == ID_CHANGED && volume->as_it_is)))
        return ID_SAME;
    return match;
}

BOOLEAN
fs_is_spare_locked(const struct volume *volume, const struct identity *seen,
                   PDEVICE_OBJECT real)
{
    return seen->blank && volume->id.blank && volume->real == real &&
           log_empty(&volume->log) &&
           (volume->handles == 0 ||
            (!__atomic_load_n(&volume->begun, __ATOMIC_RELAXED) &&
             __atomic_load_n(&volume->running, __ATOMIC_ACQUIRE) == 0)) &&
           (volume->witness == NULL || !witness_tells(volume->witness)) &&
           identity_compare(&volume->id, seen) == ID_CANNOT_TELL;
}

BOOLEAN
fs_is_spare(struct volume *volume, const struct identity *seen,
            PDEVICE_OBJECT real)
{
    BOOLEAN spare;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    spare = !fs_state_away(volume->state) && volume->state != VOL_CHANGED &&
            fs_is_spare_locked(volume, seen, real);
    KeReleaseSpinLock(&volume->lock, irql);
    return spare;
}

BOOLEAN
fs_is_this(struct volume *volume, const struct identity *seen,
           PDEVICE_OBJECT real, ULONG generation)
{
    BOOLEAN may_vouch = fs_may_vouch_for(seen);
    enum identity_match match;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    match = fs_match_locked(volume, seen, real, may_vouch);
    /* It may have come back in another drive meanwhile. */
    if (volume->generation == generation) {
        volume->changed_elsewhere =
            match == ID_CHANGED ||
            (match == ID_CANNOT_TELL && !volume->id.unknown);
        __atomic_store_n(&volume->untold, match == ID_CANNOT_TELL,
                         __ATOMIC_RELAXED);
    }
    KeReleaseSpinLock(&volume->lock, irql);
    return match == ID_SAME;
}

struct stranger {
    struct volume *self;
    const struct identity *seen;
    BOOLEAN found;
};

static BOOLEAN
look_for_stranger(void *context, struct volume *volume)
{
    struct stranger *stranger = context;
    enum identity_match match;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    match = identity_compare(&volume->id, stranger->seen);
    stranger->found =
        volume != stranger->self && (match == ID_SAME || match == ID_CHANGED);
    KeReleaseSpinLock(&volume->lock, irql);
    return !stranger->found;
}

BOOLEAN
fs_is_still_changed(struct volume *volume, const struct identity *seen,
                    PDEVICE_OBJECT real)
{
    struct stranger stranger = { volume, seen, FALSE };
    BOOLEAN changed;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    changed = volume->state == VOL_CHANGED && volume->real == real &&
              fs_match_locked(volume, seen, real, FALSE) == ID_CHANGED;
    KeReleaseSpinLock(&volume->lock, irql);
    if (changed)
        fs_each_volume(look_for_stranger, &stranger);
    return changed && !stranger.found;
}

struct voucher {
    struct volume *self;
    const struct identity *seen;
    PDEVICE_OBJECT real;
    BOOLEAN found;
};

static BOOLEAN
look_for_voucher(void *context, struct volume *volume)
{
    struct voucher *voucher = context;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    voucher->found =
        volume != voucher->self && volume->accept_unknown &&
        fs_state_away(volume->state) && volume->real == voucher->real &&
        identity_compare(&volume->id, voucher->seen) == ID_CANNOT_TELL;
    KeReleaseSpinLock(&volume->lock, irql);
    return !voucher->found;
}

BOOLEAN
fs_vouched_for_another(struct volume *volume, const struct identity *seen,
                       PDEVICE_OBJECT real)
{
    struct voucher voucher = { volume, seen, real, FALSE };

    if (!fs_may_vouch_for(seen))
        return FALSE;
    fs_each_volume(look_for_voucher, &voucher);
    return voucher.found;
}
