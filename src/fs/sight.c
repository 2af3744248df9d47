/*
 * sight.c - a medium that nothing tells from another is not let out of sight
 *
 * Blank media are all alike.  A drive that announces no changes leaves a doubt
 * after a silence that is long enough to exchange one, and the doubt could only
 * be put to a person.  So while somebody has such a medium open there, a block of
 * it is read now and then, often enough that no such silence comes about; until
 * what was written to it tells it, by its identity or by the witness.
 *
 * Context: PASSIVE_LEVEL, the volume's tend worker.  Takes volume.lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

#include "base/clock.h"

#define SIGHT_MS 200
#define OUT_MS   500 /* nobody exchanges a medium faster */

static BOOLEAN
nothing_tells_locked(const struct volume *volume)
{
    return volume->state == VOL_MOUNTED && volume->handles > 0 &&
           volume->id.unknown &&
           (volume->real->Characteristics & FILE_REMOVABLE_MEDIA) != 0 &&
           (volume->witness == NULL || !witness_tells(volume->witness)) &&
           identity_compare(&volume->id, &volume->id) == ID_CANNOT_TELL;
}

/* With the drive held. */
static BOOLEAN
needs_sight(struct volume *volume, const struct fs_place *place)
{
    BOOLEAN needs;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    needs = nothing_tells_locked(volume);
    if (!needs)
        volume->sight_ms = 0;
    KeReleaseSpinLock(&volume->lock, irql);
    return needs && (fs.announces == NULL ||
                     !fs.announces(fs.announces_context, place->drive.real));
}

static NTSTATUS
look(struct volume *volume, const struct fs_place *place)
{
    void *block =
        ExAllocatePoolWithTag(NonPagedPool, volume->block_bytes, FS_TAG);
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;

    if (block != NULL) {
        status = fs_read_device(place->drive.target, place->count, 0, block,
                                volume->block_bytes);
        ExFreePoolWithTag(block, FS_TAG);
    }
    return status;
}

ULONG
fs_keep_in_sight(struct volume *volume)
{
    ULONG64 now = clock_coarse_ms();
    struct fs_place place;
    NTSTATUS status;
    KIRQL irql;

    fs_place_take(volume, &place);
    if (!needs_sight(volume, &place)) {
        fs_place_let(&place);
        return 0;
    }
    status = look(volume, &place);
    KeAcquireSpinLock(&volume->lock, &irql);
    volume->sight_ms =
        NT_SUCCESS(status) && volume->generation == place.generation ? now : 0;
    KeReleaseSpinLock(&volume->lock, irql);
    /* It may be the first to hear that the medium left. */
    if (IoIsErrorUserInduced(status))
        (void) fs_media_gone(place.drive.real);
    fs_place_let(&place);
    return SIGHT_MS;
}

void
fs_sight_soon(struct volume *volume)
{
    struct fs_place place;

    fs_place_take(volume, &place);
    if (needs_sight(volume, &place))
        fs_tend_soon(volume);
    fs_place_let(&place);
}

BOOLEAN
fs_volume_in_sight(struct volume *volume)
{
    BOOLEAN yes;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    yes = volume->sight_ms != 0 && nothing_tells_locked(volume) &&
          clock_coarse_ms() - volume->sight_ms < OUT_MS;
    KeReleaseSpinLock(&volume->lock, irql);
    return yes;
}
