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
#include "fs/fs_internal.h"

#include <ntddcdrm.h>
#include <ntdddisk.h>
#include <ntddstor.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "base/trace.h"
#include "fs/metadata.h"

#define READ_TRIES    5
#define REFRESH_MS    300
#define FIRM_PER_READ 8 /* blocks of each read for the witness, evenly */

struct reader {
    PDEVICE_OBJECT target;
    ULONG count;
    struct witness *witness; /* or NULL: is told of what was read */
};

/* What the drive says of its medium and of itself. */
struct medium {
    ULONG count;
    ULONG64 size_bytes;
    ULONG block_bytes;
    BOOLEAN unchanged; /* the drive never changed it: nothing else was read */
    BOOLEAN read_only;
    BOOLEAN write_protected;
    BOOLEAN write_through;
    BOOLEAN can_trim;
    BOOLEAN trim_zeroes;
    PDEVICE_OBJECT left; /* borrowed: where its volume was before, or NULL */
    struct witness *witness; /* of what was read, if it can be written to */
    struct identity id;
};

/* What a verification expects. */
struct expected {
    ULONG count; /* under which it was verified last */
    ULONG64 size_bytes;
    ULONG block_bytes;
};

static NTSTATUS
read_range(void *context, ULONG64 offset, void *buffer, ULONG length)
{
    struct reader *reader = context;
    struct witness *witness = reader->witness;
    NTSTATUS status =
        fs_read_device(reader->target, reader->count, offset, buffer, length);
    ULONG places[METADATA_MAX], count, step;

    if (!NT_SUCCESS(status) || witness == NULL)
        return status;
    count = metadata_places(buffer, length, places);
    for (ULONG i = 0; i < count; i++) {
        ULONG at = places[i] / witness->block_bytes * witness->block_bytes;

        witness_saw(witness, offset + at, (const UCHAR *) buffer + at,
                    length - at, TRUE);
    }
    step = length / FIRM_PER_READ / witness->block_bytes * witness->block_bytes;
    if (step == 0)
        step = witness->block_bytes;
    for (ULONG at = 0; length - at >= step; at += step)
        witness_saw(witness, offset + at, (const UCHAR *) buffer + at, step,
                    TRUE);
    return status;
}

static NTSTATUS
query(PDEVICE_OBJECT target, STORAGE_PROPERTY_ID id, void *out, ULONG len)
{
    STORAGE_PROPERTY_QUERY in = { .PropertyId = id,
                                  .QueryType = PropertyStandardQuery };

    RtlZeroMemory(out, len);
    return fs_ioctl(target, IOCTL_STORAGE_QUERY_PROPERTY, &in, sizeof in, out,
                    len, NULL);
}

static void
ask_abilities(PDEVICE_OBJECT real, PDEVICE_OBJECT target, struct medium *medium)
{
    STORAGE_WRITE_CACHE_PROPERTY cache;
    DEVICE_TRIM_DESCRIPTOR trim;
    DEVICE_LB_PROVISIONING_DESCRIPTOR thin;

    medium->read_only = real->DeviceType == FILE_DEVICE_CD_ROM ||
                        (real->Characteristics & FILE_READ_ONLY_DEVICE) != 0 ||
                        fs_ioctl(target, IOCTL_DISK_IS_WRITABLE, NULL, 0, NULL,
                                 0, NULL) == STATUS_MEDIA_WRITE_PROTECTED;
    medium->write_protected =
        medium->read_only && real->DeviceType != FILE_DEVICE_CD_ROM;
    if (medium->read_only)
        return;
    /* When it does not say, it may have one. */
    medium->write_through =
        !NT_SUCCESS(query(target, StorageDeviceWriteCacheProperty, &cache,
                          sizeof cache)) ||
        cache.WriteCacheEnabled != WriteCacheDisabled;
    medium->can_trim = NT_SUCCESS(query(target, StorageDeviceTrimProperty,
                                        &trim, sizeof trim)) &&
                       trim.TrimEnabled;
    medium->trim_zeroes =
        medium->can_trim &&
        NT_SUCCESS(query(target, StorageDeviceLBProvisioningProperty, &thin,
                         sizeof thin)) &&
        thin.ThinProvisioningReadZeros;
}

static NTSTATUS
ask_capacity(PDEVICE_OBJECT target, struct medium *medium)
{
    STORAGE_READ_CAPACITY capacity = { 0 };
    NTSTATUS status = fs_ioctl(target, IOCTL_STORAGE_READ_CAPACITY, NULL, 0,
                               &capacity, sizeof capacity, NULL);

    if (!NT_SUCCESS(status))
        return status;
    medium->block_bytes = capacity.BlockLength;
    medium->size_bytes = (ULONG64) capacity.DiskLength.QuadPart;
    if (medium->block_bytes < 512 || medium->size_bytes == 0 ||
        (medium->block_bytes & (medium->block_bytes - 1)) != 0 ||
        medium->block_bytes > 65536)
        return STATUS_UNRECOGNIZED_MEDIA;
    return STATUS_SUCCESS;
}

/*
 * `expected` is NULL for a mount.  A CD that the drive has not changed since it
 * was verified is the same one (CDFS): drives that count do so for that.  The
 * first difference ends it; nothing more is read then.
 */
static NTSTATUS
look_once(PDEVICE_OBJECT real, PDEVICE_OBJECT target,
          const struct expected *expected, struct medium *medium)
{
    struct reader reader = { .target = target };
    NTSTATUS status = fs_media_count(target, &medium->count);

    if (!NT_SUCCESS(status))
        return status;
    medium->unchanged = expected != NULL && medium->count != 0 &&
                        medium->count == expected->count &&
                        real->DeviceType == FILE_DEVICE_CD_ROM;
    if (medium->unchanged)
        return STATUS_SUCCESS;
    status = ask_capacity(target, medium);
    if (!NT_SUCCESS(status))
        return status;
    if (expected != NULL && (medium->size_bytes != expected->size_bytes ||
                             medium->block_bytes != expected->block_bytes))
        return STATUS_WRONG_VOLUME;
    ask_abilities(real, target, medium);
    reader.count = medium->count;
    if (!medium->read_only && medium->witness == NULL)
        medium->witness = ExAllocatePoolWithTag(
            NonPagedPool, sizeof *medium->witness, FS_TAG);
    if (medium->witness != NULL)
        witness_init(medium->witness, medium->block_bytes,
                     real->DeviceType == FILE_DEVICE_CD_ROM);
    reader.witness = medium->witness;
    return identity_read(read_range, &reader, medium->size_bytes,
                         medium->block_bytes, medium->read_only, &medium->id);
}

/* A drive may need several tries.  A change while we look is the caller's
 * business: the whole request starts anew. */
static NTSTATUS
look(PDEVICE_OBJECT real, PDEVICE_OBJECT target,
     const struct expected *expected, struct medium *medium)
{
    NTSTATUS status = STATUS_IO_DEVICE_ERROR;

    for (int i = 0;
         i < READ_TRIES && status == STATUS_IO_DEVICE_ERROR && !fs_ending();
         i++)
        status = look_once(real, target, expected, medium);
    return status;
}

static void
free_medium(struct medium *medium)
{
    if (medium->witness != NULL)
        ExFreePoolWithTag(medium->witness, FS_TAG);
    ExFreePoolWithTag(medium, FS_TAG);
}

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
    volume->vouched = volume->accept_unknown && match == ID_CANNOT_TELL;
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
static BOOLEAN
settle_in(struct volume *volume, ULONG generation, PDEVICE_OBJECT real,
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

/* The first eight hexadecimal digits of its UUID, which is what a FAT volume's
 * serial number is. */
static ULONG
serial_of(const char *uuid)
{
    ULONG serial = 0;
    int digits = 0;

    for (const char *p = uuid; *p != '\0' && digits < 8; p++) {
        char c = *p | 0x20;

        if (*p == '-')
            continue;
        if (!(*p >= '0' && *p <= '9') && !(c >= 'a' && c <= 'f'))
            break;
        serial = serial << 4 | (ULONG) (*p <= '9' ? *p - '0' : c - 'a' + 10);
        digits++;
    }
    return serial;
}

void
fs_label_vpb(struct volume *volume)
{
    char label[sizeof volume->id.label], uuid[sizeof volume->id.uuid];
    PVPB vpb = volume->vpb;
    USHORT n = 0;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    memcpy(label, volume->id.label, sizeof label);
    memcpy(uuid, volume->id.uuid, sizeof uuid);
    KeReleaseSpinLock(&volume->lock, irql);
    IoAcquireVpbSpinLock(&irql);
    for (const char *p = label;
         *p != '\0' && n < MAXIMUM_VOLUME_LABEL_LENGTH / sizeof(WCHAR); p++)
        vpb->VolumeLabel[n++] = (UCHAR) *p;
    vpb->VolumeLabelLength = (USHORT) (n * sizeof(WCHAR));
    vpb->SerialNumber = serial_of(uuid);
    IoReleaseVpbSpinLock(irql);
}

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
static BOOLEAN
may_vouch_for(const struct identity *seen)
{
    struct namesake namesake = { seen, FALSE };

    fs_each_volume(look_for_namesake, &namesake);
    return !namesake.found;
}

/* A person may vouch for a medium that cannot be told, or take one that was
 * changed elsewhere as it is; in one drive. */
static enum identity_match
match_locked(struct volume *volume, const struct identity *seen,
             PDEVICE_OBJECT real, BOOLEAN may_vouch)
{
    enum identity_match match = identity_compare(&volume->id, seen);

    if (volume->real == real &&
        ((match == ID_CANNOT_TELL && may_vouch && volume->accept_unknown) ||
         (match == ID_CHANGED && volume->as_it_is)))
        return ID_SAME;
    return match;
}

static BOOLEAN
is_this(struct volume *volume, const struct identity *seen, PDEVICE_OBJECT real,
        ULONG generation)
{
    BOOLEAN may_vouch = may_vouch_for(seen);
    enum identity_match match;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    match = match_locked(volume, seen, real, may_vouch);
    /* It may have come back in another drive meanwhile. */
    if (volume->generation == generation)
        volume->changed_elsewhere =
            match == ID_CHANGED ||
            (match == ID_CANNOT_TELL && !volume->id.unknown);
    KeReleaseSpinLock(&volume->lock, irql);
    return match == ID_SAME;
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

/* Has a person just said that what is in this drive is another volume? */
static BOOLEAN
vouched_for_another(struct volume *volume, const struct identity *seen,
                    PDEVICE_OBJECT real)
{
    struct voucher voucher = { volume, seen, real, FALSE };

    if (!may_vouch_for(seen))
        return FALSE;
    fs_each_volume(look_for_voucher, &voucher);
    return voucher.found;
}

/*
 * After settle_in.  A volume that was changed elsewhere is in its drive all the
 * same: STATUS_SUCCESS.
 */
static NTSTATUS
finish_return(struct volume *volume, PDEVICE_OBJECT real, PDEVICE_OBJECT target,
              ULONG count)
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
    fs_refresh_soon(volume);
    return STATUS_SUCCESS;
}

static NTSTATUS
verify_in(struct volume *volume, const struct fs_place *place)
{
    PDEVICE_OBJECT real = place->drive.real, target = place->drive.target;
    struct expected expected = { place->count, volume->size_bytes,
                                 volume->block_bytes };
    ULONG generation = place->generation;
    struct medium *medium;
    NTSTATUS status;

    medium = ExAllocatePoolWithTag(NonPagedPool, sizeof *medium, FS_TAG);
    if (medium == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(medium, sizeof *medium);
    status = look(real, target, &expected, medium);
    if (NT_SUCCESS(status) && !medium->unchanged &&
        (!is_this(volume, &medium->id, real, generation) ||
         vouched_for_another(volume, &medium->id, real)))
        status = STATUS_WRONG_VOLUME;
    if (NT_SUCCESS(status) && !medium->unchanged)
        status = fs_reject_clone(volume, &medium->id, target, medium->count);
    if (NT_SUCCESS(status) &&
        !settle_in(volume, generation, real, target, medium))
        status = STATUS_WRONG_VOLUME;
    TRACE(TRACE_VERIFY, "verify %s: %s", volume->id.label, status_name(status));
    if (NT_SUCCESS(status)) {
        status = finish_return(volume, real, target, medium->count);
    } else if (status != STATUS_VERIFY_REQUIRED) {
        fs_volume_change(volume, generation, VOL_ABSENT,
                         fs_absent_reason(status));
        if (status == STATUS_WRONG_VOLUME)
            InterlockedAnd((LONG volatile *) &real->Flags, ~DO_VERIFY_VOLUME);
    }
    free_medium(medium);
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
    struct volume *favourite; /* whose witness agrees, or NULL */
    struct volume *absent;    /* known, and not anywhere */
    struct volume *changed;   /* the same, but for what is on it now */
    struct volume *elsewhere; /* known, and in another drive */
};

static BOOLEAN
match_one(void *context, struct volume *volume)
{
    struct search *search = context;
    enum identity_match match;
    BOOLEAN there;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    match = match_locked(volume, search->seen, search->real, search->may_vouch);
    there = !fs_state_away(volume->state) && volume->real != search->real;
    if (volume == search->favourite && volume->state == VOL_CHANGED)
        there = FALSE; /* another of the same identity is in its place */
    KeReleaseSpinLock(&volume->lock, irql);
    if (match != ID_SAME && match != ID_CHANGED)
        return TRUE;
    if (there) {
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

PVPB
fs_new_vpb(PDEVICE_OBJECT real)
{
    PVPB vpb = ExAllocatePoolWithTag(NonPagedPool, sizeof *vpb, 'bpV ');

    if (vpb != NULL) {
        RtlZeroMemory(vpb, sizeof *vpb);
        vpb->Type = IO_TYPE_VPB;
        vpb->Size = sizeof *vpb;
        vpb->RealDevice = real;
    }
    return vpb;
}

/*
 * The volume's own VPB goes onto the drive that the medium is in now, so that
 * everything opened before works again; the one that the mount brought is
 * thrown away.  A drive that it is taken from gets an empty one.
 */
static NTSTATUS
move_vpb(struct volume *volume, PDEVICE_OBJECT real, PVPB brought,
         PDEVICE_OBJECT *out_left)
{
    PDEVICE_OBJECT from = volume->vpb->RealDevice;
    PVPB spare = fs_new_vpb(from);
    BOOLEAN unused;
    KIRQL irql;

    if (spare == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    IoAcquireVpbSpinLock(&irql);
    if (from != real && from->Vpb == volume->vpb) {
        spare->Flags = volume->vpb->Flags & VPB_REMOVE_PENDING;
        from->Vpb = spare;
        spare = NULL;
        *out_left = from;
    }
    volume->vpb->RealDevice = real;
    volume->vpb->Flags |= VPB_MOUNTED;
    real->Vpb = volume->vpb;
    unused = brought != volume->vpb && brought->ReferenceCount == 0;
    IoReleaseVpbSpinLock(irql);
    if (unused)
        ExFreePool(brought);
    if (spare != NULL)
        ExFreePool(spare);
    return STATUS_SUCCESS;
}

static NTSTATUS
revive(struct volume *volume, PDEVICE_OBJECT real, PDEVICE_OBJECT target,
       PVPB brought, struct medium *medium)
{
    ULONG generation = fs_volume_generation(volume);
    NTSTATUS status = move_vpb(volume, real, brought, &medium->left);

    if (!NT_SUCCESS(status))
        return status;
    /* Whoever changed its mind meanwhile did so for the drive that it left. */
    while (!settle_in(volume, generation, real, target, medium))
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
    settle_in(volume, 0, real, target, medium);
    fs_volume_link(volume);
    *out_volume = volume;
    return STATUS_SUCCESS;
}

/*
 * Finds out which volume it is and settles it, under the mutex, so that of two
 * equal media that come at once only one becomes the volume.  A volume that is
 * said to be in another drive is asked for there first, without the mutex.
 */
static NTSTATUS
take_place(PDEVICE_OBJECT real, PDEVICE_OBJECT target, PVPB vpb,
           struct medium *medium, struct volume **out_volume)
{
    struct volume *asked = NULL;
    struct volume *favourite;
    NTSTATUS status =
        fs_choose_clone(&medium->id, target, medium->count, &favourite);

    while (NT_SUCCESS(status)) {
        struct search search = { .seen = &medium->id,
                                 .real = real,
                                 .favourite = favourite,
                                 .may_vouch = may_vouch_for(&medium->id) };

        KeWaitForSingleObject(&fs.mount_mutex, Executive, KernelMode, FALSE,
                              NULL);
        fs_each_volume(match_one, &search);
        /* Of one that is not anywhere else, it is no copy: it is this one,
         * and was changed elsewhere. */
        if (search.absent == NULL && search.elsewhere == NULL)
            search.absent = search.changed;
        if (search.absent != NULL) {
            *out_volume = search.absent;
            status = revive(search.absent, real, target, vpb, medium);
        } else if (search.elsewhere == NULL || search.elsewhere == asked) {
            status = introduce(real, target, vpb, medium, out_volume);
            if (NT_SUCCESS(status))
                (*out_volume)->duplicate = search.elsewhere != NULL;
        } else {
            KeReleaseMutex(&fs.mount_mutex, FALSE);
            asked = search.elsewhere;
            /* Not before it is known whether it is itself. */
            fs_wait_for_outcome(asked);
            if (is_still_there(asked))
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
    struct medium *medium =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *medium, FS_TAG);
    NTSTATUS status, back = STATUS_SUCCESS;

    if (medium == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(medium, sizeof *medium);
    status = look(real, target, NULL, medium);
    if (NT_SUCCESS(status))
        status = take_place(real, target, vpb, medium, &volume);
    /* It has its place, whatever comes next: a mount that fails would give it
     * to another. */
    if (NT_SUCCESS(status))
        back = finish_return(volume, real, target, medium->count);
    for (int i = 0; i < READ_TRIES && back == STATUS_VERIFY_REQUIRED; i++)
        back = fs_verify(volume);
    /* Another medium may have had its place there, perhaps a clone. */
    if (medium->left != NULL && fs.vacated != NULL)
        fs.vacated(fs.vacated_context, medium->left);
    TRACE(TRACE_FS, "mount on %p: %s %s: %s", (void *) real, medium->id.type,
          medium->id.label, status_name(status));
    free_medium(medium);
    return status;
}

/* --- dismount ------------------------------------------------------------------- */

/* Under the mutex: no mount finds it any more. */
static BOOLEAN
mark_gone(struct volume *volume, NTSTATUS status)
{
    BOOLEAN first;
    KIRQL irql;

    KeWaitForSingleObject(&fs.mount_mutex, Executive, KernelMode, FALSE, NULL);
    KeAcquireSpinLock(&volume->lock, &irql);
    first = volume->gone == STATUS_SUCCESS;
    if (first)
        __atomic_store_n(&volume->gone, status, __ATOMIC_RELEASE);
    volume->locked_by = NULL;
    KeReleaseSpinLock(&volume->lock, irql);
    KeReleaseMutex(&fs.mount_mutex, FALSE);
    return first;
}

NTSTATUS
fs_dismount(struct volume *volume, NTSTATUS status)
{
    PVPB spare = fs_new_vpb(NULL);
    PDEVICE_OBJECT real;
    KIRQL irql;

    if (spare == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    /* What cannot be flushed goes to the keeper below. */
    (void) fs_flush_log(volume);
    if (!mark_gone(volume, status)) {
        ExFreePool(spare);
        return volume->gone;
    }
    KeCancelTimer(&volume->refresh_timer);
    fs_unflushed_stop(volume);
    IoAcquireVpbSpinLock(&irql);
    real = spare->RealDevice = volume->vpb->RealDevice;
    volume->vpb->Flags &=
        (USHORT) ~(VPB_MOUNTED | VPB_LOCKED | VPB_DIRECT_WRITES_ALLOWED);
    if (real->Vpb == volume->vpb) {
        spare->Flags = volume->vpb->Flags & VPB_REMOVE_PENDING;
        real->Vpb = spare;
        spare = NULL;
    }
    IoReleaseVpbSpinLock(irql);
    if (spare != NULL)
        ExFreePool(spare);
    while (!fs_volume_change(volume, fs_volume_generation(volume),
                             VOL_DISMOUNTED, status))
        ;
    fs_give_up(volume, status);
    return STATUS_SUCCESS;
}

/* --- after writes of our own to the blocks that tell the volume ----------------- */

/* Reads the identity again while the medium is certainly the volume's. */
NTSTATUS NTAPI
fs_refresh(struct volume *volume)
{
    struct reader reader;
    struct identity *id = NULL;
    BOOLEAN read_only, quiet, renamed = FALSE;
    ULONG64 size;
    ULONG block, before, generation;
    NTSTATUS status = STATUS_SUCCESS;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    quiet = volume->head_dirty && volume->state == VOL_MOUNTED &&
            !fs_ending() &&
            __atomic_load_n(&volume->head_running, __ATOMIC_ACQUIRE) == 0;
    before = volume->head_generation;
    generation = volume->generation;
    reader = (struct reader){ volume->target, volume->count, NULL };
    fs_hold_drive(NULL, volume->target);
    size = volume->id.size_bytes;
    block = volume->id.block_bytes;
    read_only = volume->read_only;
    KeReleaseSpinLock(&volume->lock, irql);
    if (quiet) {
        /* A yank must not take away what the volume is then known by. */
        status = fs_flush_log(volume);
        id = ExAllocatePoolWithTag(NonPagedPool, sizeof *id, FS_TAG);
        if (id == NULL)
            status = STATUS_INSUFFICIENT_RESOURCES;
        if (NT_SUCCESS(status))
            status =
                identity_read(read_range, &reader, size, block, read_only, id);
    }
    fs_let_drive(NULL, reader.target);
    if (!quiet || id == NULL)
        return status;
    KeAcquireSpinLock(&volume->lock, &irql);
    if (NT_SUCCESS(status) && volume->head_generation == before &&
        volume->generation == generation) {
        renamed = strcmp(volume->id.label, id->label) != 0 ||
                  strcmp(volume->id.uuid, id->uuid) != 0 ||
                  strcmp(volume->id.type, id->type) != 0;
        volume->id = *id;
        __atomic_store_n(&volume->head_dirty, FALSE, __ATOMIC_RELAXED);
    }
    KeReleaseSpinLock(&volume->lock, irql);
    fs_label_vpb(volume);
    ExFreePoolWithTag(id, FS_TAG);
    if (renamed && fs_volume_mounted(volume))
        fs_volume_tell(volume, VOL_MOUNTED, STATUS_SUCCESS);
    return status;
}

static VOID NTAPI
refresh_work(PVOID parameter)
{
    struct volume *volume = parameter;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    __atomic_store_n(&volume->refresh_due, FALSE, __ATOMIC_RELAXED);
    KeReleaseSpinLock(&volume->lock, irql);
    /* It may be the first to hear that the medium left. */
    if (IoIsErrorUserInduced(fs_refresh(volume)))
        (void) fs_media_gone(__atomic_load_n(&volume->real, __ATOMIC_ACQUIRE));
    fs_refresh_soon(volume);
}

static VOID NTAPI
refresh_dpc(struct _KDPC *dpc, PVOID context, PVOID argument1, PVOID argument2)
{
    struct volume *volume = context;

    (void) dpc;
    (void) argument1;
    (void) argument2;
    ExInitializeWorkItem(&volume->refresh_work, refresh_work, volume);
    ExQueueWorkItem(&volume->refresh_work, DelayedWorkQueue);
}

void
fs_refresh_init(struct volume *volume)
{
    KeInitializeTimer(&volume->refresh_timer);
    KeInitializeDpc(&volume->refresh_dpc, refresh_dpc, volume);
}

/* <= DISPATCH_LEVEL.  Cheap when nothing was written there. */
void NTAPI
fs_refresh_soon(struct volume *volume)
{
    LARGE_INTEGER due = { .QuadPart = -REFRESH_MS * 10000LL };
    BOOLEAN start = FALSE;
    KIRQL irql;

    if (!__atomic_load_n(&volume->head_dirty, __ATOMIC_RELAXED) ||
        __atomic_load_n(&volume->refresh_due, __ATOMIC_RELAXED))
        return;
    KeAcquireSpinLock(&volume->lock, &irql);
    if (volume->head_dirty && !volume->refresh_due &&
        volume->state == VOL_MOUNTED && !fs_ending()) {
        __atomic_store_n(&volume->refresh_due, TRUE, __ATOMIC_RELAXED);
        start = TRUE;
    }
    KeReleaseSpinLock(&volume->lock, irql);
    if (start)
        KeSetTimer(&volume->refresh_timer, due, &volume->refresh_dpc);
}
