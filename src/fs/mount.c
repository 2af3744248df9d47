/*
 * mount.c - which volume is this?  Mount, verify, revive
 *
 * A mount reads the identity of the medium and looks for a volume that is
 * known: then that one comes back, with its own VPB, in whichever drive
 * (cdfs and fastfat do so for the same drive).  A verify compares the medium
 * with the one volume that it is asked about.
 *
 * Context: PASSIVE_LEVEL, under the drive's DeviceLock, which the I/O manager
 * holds around both; then fs.mount_mutex, then fs.lock, the VPB lock and volume
 * locks one at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/medium.h"

#include "base/status.h"
#include "base/trace.h"

#define VERIFY_TRIES 5
#define COPIES_MOST  8

/* --- verify ------------------------------------------------------------------ */

/* By what it is known by, because nobody knows anything of it, or by what is on
 * it.  STATUS_WRONG_VOLUME: it is not. */
static NTSTATUS
recognise(struct volume *volume, const struct fs_place *place,
          struct medium *medium)
{
    PDEVICE_OBJECT real = place->drive.real, target = place->drive.target;
    BOOLEAN known = fs_is_this(volume, &medium->id, real, place->generation);
    NTSTATUS status = STATUS_SUCCESS;

    if (!known)
        known = medium->spare = fs_is_spare(volume, &medium->id, real);
    if (!known)
        status = fs_told_by_witness(volume, &medium->id, target, medium->count,
                                    &known);
    if (NT_SUCCESS(status) &&
        (!known || fs_vouched_for_another(volume, &medium->id, real)))
        status = STATUS_WRONG_VOLUME;
    return NT_SUCCESS(status)
               ? fs_reject_clone(volume, &medium->id, target, medium->count)
               : status;
}

static NTSTATUS
verify_in(struct volume *volume, const struct fs_place *place)
{
    PDEVICE_OBJECT real = place->drive.real, target = place->drive.target;
    struct expected expected = { place->count, volume->size_bytes,
                                 volume->block_bytes };
    ULONG generation = place->generation;
    struct medium *medium = fs_medium_new();
    NTSTATUS status;

    if (medium == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = fs_look(real, target, &expected, medium);
    /* Nobody has answered yet: it is no other medium for that. */
    if (NT_SUCCESS(status) && !medium->unchanged &&
        fs_is_still_changed(volume, &medium->id, real) &&
        fs_stay_changed(volume, generation, real, target, medium->count)) {
        fs_medium_free(medium);
        return STATUS_SUCCESS;
    }
    if (NT_SUCCESS(status) && !medium->unchanged)
        status = recognise(volume, place, medium);
    if (NT_SUCCESS(status) &&
        !fs_settle_in(volume, generation, real, target, medium))
        status = STATUS_WRONG_VOLUME;
    TRACE(TRACE_VERIFY, "verify %s: %s", volume->id.label, status_name(status));
    if (NT_SUCCESS(status)) {
        status = fs_finish_return(volume, real, target, medium->count);
    } else if (status != STATUS_VERIFY_REQUIRED) {
        fs_volume_lose(volume, generation, fs_absent_reason(status), status);
        if (status == STATUS_WRONG_VOLUME)
            InterlockedAnd((LONG volatile *) &real->Flags, ~DO_VERIFY_VOLUME);
    }
    fs_medium_free(medium);
    return status;
}

/*
 * IRP_MN_VERIFY_VOLUME.  STATUS_SUCCESS: the volume is in its drive.
 * STATUS_WRONG_VOLUME: another one is.  STATUS_VERIFY_REQUIRED: the medium was
 * changed meanwhile; try again.  Otherwise what the drive said; then the flag
 * stays set.  In all other cases the volume's state follows.
 */
NTSTATUS
fs_verify(struct volume *volume)
{
    NTSTATUS status = STATUS_SUCCESS;
    struct fs_place place;

    fs_place_take(volume, &place);
    if (__atomic_load_n(&volume->gone, __ATOMIC_ACQUIRE) != STATUS_SUCCESS)
        status = STATUS_WRONG_VOLUME;
    else if (place.state != VOL_MOUNTED ||
             (__atomic_load_n(&place.drive.real->Flags, __ATOMIC_ACQUIRE) &
              DO_VERIFY_VOLUME) != 0)
        status = verify_in(volume, &place);
    fs_place_let(&place);
    return status;
}

/* --- mount -------------------------------------------------------------------- */

struct search {
    const struct identity *seen;
    PDEVICE_OBJECT real;
    BOOLEAN may_vouch;
    struct volume *favourite;     /* whose witness agrees, or NULL */
    struct volume *absent;        /* known, and not anywhere */
    struct volume *changed;       /* the same, but for what is on it now */
    struct volume *elsewhere;     /* known, and in another drive, it is said */
    struct volume *const *copies; /* whose drives have said so themselves */
    unsigned copy_count;
    BOOLEAN is_copy;      /* of one of those */
    struct volume *spare; /* blank, like this one, and nobody's */
};

/* One that was lost because blank media cannot be told from each other. */
static BOOLEAN
is_spare_locked(const struct volume *volume, const struct search *search)
{
    return volume->state == VOL_ABSENT &&
           volume->reason == STATUS_WRONG_VOLUME && volume->handles == 0 &&
           fs_is_spare_locked(volume, search->seen, search->real);
}

static void
vouch_for(struct volume *volume)
{
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    volume->accept_unknown = TRUE;
    KeReleaseSpinLock(&volume->lock, irql);
}

static BOOLEAN
has_said_so(const struct search *search, const struct volume *volume)
{
    for (unsigned i = 0; i < search->copy_count; i++)
        if (search->copies[i] == volume)
            return TRUE;
    return FALSE;
}

static BOOLEAN
match_one(void *context, struct volume *volume)
{
    struct search *search = context;
    enum identity_match match;
    BOOLEAN there;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    match =
        fs_match_locked(volume, search->seen, search->real, search->may_vouch);
    /* By what is on it. */
    if (volume == search->favourite && match == ID_CANNOT_TELL)
        match = ID_SAME;
    there = !fs_state_away(volume->state) && volume->real != search->real;
    if (volume == search->favourite && volume->state == VOL_CHANGED)
        there = FALSE; /* another of the same identity is in its place */
    if (is_spare_locked(volume, search))
        search->spare = volume;
    KeReleaseSpinLock(&volume->lock, irql);
    if (match != ID_SAME && match != ID_CHANGED)
        return TRUE;
    if (there) {
        if (has_said_so(search, volume))
            search->is_copy = TRUE;
        else
            search->elsewhere = volume;
        return TRUE;
    }
    if (match == ID_CHANGED) {
        if (search->changed == NULL)
            search->changed = volume;
        return TRUE;
    }
    if (search->absent == NULL || volume == search->favourite)
        search->absent = volume;
    return search->favourite != NULL && volume != search->favourite;
}

/* Is the volume really still in the drive where it was last?  Asks the drive;
 * no answer, or a change since, means no. */
static BOOLEAN
is_still_there(struct volume *volume)
{
    struct fs_place place;
    BOOLEAN there;
    ULONG count;

    fs_place_take(volume, &place);
    there = NT_SUCCESS(fs_media_count(place.drive.target, &count)) &&
            count == place.count;
    fs_place_let(&place);
    if (!there)
        fs_volume_change(volume, place.generation, VOL_ABSENT,
                         STATUS_NO_MEDIA_IN_DEVICE);
    return there;
}

static NTSTATUS
revive(struct volume *volume, PDEVICE_OBJECT real, PDEVICE_OBJECT target,
       PVPB brought, struct medium *medium)
{
    ULONG generation = fs_volume_generation(volume);
    NTSTATUS status = fs_move_vpb(volume, real, brought, &medium->left);

    if (!NT_SUCCESS(status))
        return status;
    /* Whoever changed its mind meanwhile did so for the drive that it left. */
    while (!fs_settle_in(volume, generation, real, target, medium))
        generation = fs_volume_generation(volume);
    return STATUS_SUCCESS;
}

static NTSTATUS
introduce(PDEVICE_OBJECT real, PDEVICE_OBJECT target, PVPB vpb,
          struct medium *medium, struct volume **out_volume)
{
    struct volume *volume;

    volume = fs_volume_new(vpb, &medium->id);
    if (volume == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    volume->device->StackSize = (CCHAR) (target->StackSize + 1);
    volume->device->SectorSize = (USHORT) medium->block_bytes;
    fs_make_key(volume);
    fs_settle_in(volume, 0, real, target, medium);
    fs_volume_link(volume);
    *out_volume = volume;
    return STATUS_SUCCESS;
}

/*
 * Finds out which volume it is and settles it, under the mutex, so that of two
 * equal media that come at once only one becomes the volume.  Each volume that
 * is said to be in another drive is asked for there first, without the mutex: it
 * may have been carried here from a drive that was too busy to tell.
 */
static NTSTATUS
take_place(PDEVICE_OBJECT real, PDEVICE_OBJECT target, PVPB vpb,
           struct medium *medium, struct volume **out_volume)
{
    struct volume *copies[COPIES_MOST];
    struct volume *favourite;
    unsigned copy_count = 0, denied = 0;
    NTSTATUS status =
        fs_choose_clone(&medium->id, target, medium->count, &favourite);

    while (NT_SUCCESS(status)) {
        struct search search = { .seen = &medium->id,
                                 .real = real,
                                 .favourite = favourite,
                                 .copies = copies,
                                 .copy_count = copy_count,
                                 .may_vouch = fs_may_vouch_for(&medium->id) };

        KeWaitForSingleObject(&fs.mount_mutex, Executive, KernelMode, FALSE,
                              NULL);
        fs_each_volume(match_one, &search);
        /* Of one that is not anywhere else, it is no copy: it is this one,
         * and was changed elsewhere. */
        if (search.absent == NULL && search.elsewhere == NULL &&
            !search.is_copy)
            search.absent =
                search.changed != NULL ? search.changed : search.spare;
        if (search.absent != NULL && search.absent == search.spare)
            vouch_for(search.spare);
        if (search.absent != NULL) {
            *out_volume = search.absent;
            status = revive(search.absent, real, target, vpb, medium);
        } else if (search.elsewhere == NULL || copy_count == COPIES_MOST) {
            status = introduce(real, target, vpb, medium, out_volume);
            if (NT_SUCCESS(status))
                (*out_volume)->duplicate = search.is_copy;
        } else {
            KeReleaseMutex(&fs.mount_mutex, FALSE);
            /* Not before it is known whether it is itself. */
            fs_wait_for_outcome(search.elsewhere);
            if (is_still_there(search.elsewhere))
                copies[copy_count++] = search.elsewhere;
            else if (++denied > VERIFY_TRIES)
                /* It was settled anew each time, and is never there. */
                status = STATUS_VERIFY_REQUIRED;
            if (NT_SUCCESS(status))
                status = fs_choose_clone(&medium->id, target, medium->count,
                                         &favourite);
            continue;
        }
        KeReleaseMutex(&fs.mount_mutex, FALSE);
        break;
    }
    return status;
}

/*
 * IRP_MN_MOUNT_VOLUME.  Mounts anything that can be read.  A volume equal to
 * one that is verified to be in another drive at this moment is a copy and
 * becomes a volume of its own.
 */
NTSTATUS
fs_mount(PDEVICE_OBJECT target, PVPB vpb)
{
    PDEVICE_OBJECT real = vpb->RealDevice;
    struct volume *volume = NULL;
    struct medium *medium = fs_medium_new();
    NTSTATUS status, back = STATUS_SUCCESS;

    if (medium == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = fs_look(real, target, NULL, medium);
    if (NT_SUCCESS(status))
        status = take_place(real, target, vpb, medium, &volume);
    /* It has its place, whatever comes next: a mount that fails would give it
     * to another. */
    if (NT_SUCCESS(status))
        back = fs_finish_return(volume, real, target, medium->count);
    for (int i = 0; i < VERIFY_TRIES && back == STATUS_VERIFY_REQUIRED; i++)
        back = fs_verify(volume);
    /* Another medium may have had its place there, perhaps a clone. */
    if (medium->left != NULL && fs.vacated != NULL)
        fs.vacated(fs.vacated_context, medium->left);
    TRACE(TRACE_FS, "mount on %p: %s %s: %s", (void *) real, medium->id.type,
          medium->id.label, status_name(status));
    fs_medium_free(medium);
    return status;
}
