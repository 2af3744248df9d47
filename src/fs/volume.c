/*
 * volume.c - a volume: its life, who may look at it
 * Its states are volume_state.c's.
 * The list of volumes and every volume stay until the service ends.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

#include <string.h>

#include "base/clock.h"

void
fs_hold_drive(PDEVICE_OBJECT real, PDEVICE_OBJECT target)
{
    if (real != NULL)
        ObReferenceObject(real);
    if (target != NULL)
        ObReferenceObject(target);
}

void
fs_let_drive(PDEVICE_OBJECT real, PDEVICE_OBJECT target)
{
    if (target != NULL)
        ObDereferenceObject(target);
    if (real != NULL)
        ObDereferenceObject(real);
}

void
fs_place_take(struct volume *volume, struct fs_place *out_place)
{
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    out_place->drive = (struct fs_drive){ volume->real, volume->target };
    out_place->count = volume->count;
    out_place->generation = volume->generation;
    out_place->state = volume->state;
    fs_hold_drive(volume->real, volume->target);
    KeReleaseSpinLock(&volume->lock, irql);
}

void
fs_place_let(const struct fs_place *place)
{
    fs_let_drive(place->drive.real, place->drive.target);
}

/*
 * Requests hold no reference, that costs too much.  Each is counted as running
 * before the lock is let go under which it saw its target; so a drive that was
 * left is held until nothing runs, which is looked at when the next one is left,
 * and at the end.  Beyond FORMER_MOST drives the references are never dropped.
 */
ULONG
fs_leave_locked(struct volume *volume, const struct fs_drive *drive,
                struct fs_drive out_let[FORMER_MOST + 1])
{
    ULONG count = 0;
    BOOLEAN held = drive->target == volume->target;

    if (__atomic_load_n(&volume->running, __ATOMIC_ACQUIRE) == 0) {
        while (volume->formers > 0)
            out_let[count++] = volume->former[--volume->formers];
        held = TRUE;
    }
    for (ULONG i = 0; i < volume->formers; i++)
        held |= volume->former[i].target == drive->target;
    if (held)
        out_let[count++] = *drive;
    else if (volume->formers < FORMER_MOST)
        volume->former[volume->formers++] = *drive;
    return count;
}

ULONG
fs_volume_generation(struct volume *volume)
{
    return __atomic_load_n(&volume->generation, __ATOMIC_ACQUIRE);
}

enum vol_state
fs_volume_state(struct volume *volume)
{
    return __atomic_load_n(&volume->state, __ATOMIC_ACQUIRE);
}

BOOLEAN
fs_volume_mounted(struct volume *volume)
{
    return fs_volume_state(volume) == VOL_MOUNTED;
}

BOOLEAN
fs_on_device(struct volume *volume)
{
    BOOLEAN yes;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    yes = volume->real != NULL && volume->real->Vpb == volume->vpb;
    IoReleaseVpbSpinLock(irql);
    return yes;
}

/* Not yet in the list.  Owns the VPB's reference that it takes. */
struct volume *
fs_volume_new(PVPB vpb, const struct identity *id)
{
    PDEVICE_OBJECT device;
    struct volume *volume;
    KIRQL irql;

    if (!NT_SUCCESS(
            IoCreateDevice(fs.driver, sizeof *volume, NULL,
                           vpb->RealDevice->DeviceType == FILE_DEVICE_CD_ROM
                               ? FILE_DEVICE_CD_ROM_FILE_SYSTEM
                               : FILE_DEVICE_DISK_FILE_SYSTEM,
                           0, FALSE, &device)))
        return NULL;
    volume = device->DeviceExtension;
    volume->device = device;
    volume->vpb = vpb;
    volume->id = *id;
    volume->size_bytes = id->size_bytes;
    volume->block_bytes = id->block_bytes;
    volume->state = VOL_UNMOUNTED;
    volume->reason = STATUS_NO_MEDIA_IN_DEVICE;
    volume->since_ms = clock_coarse_ms();
    KeInitializeSpinLock(&volume->lock);
    KeInitializeEvent(&volume->idle, NotificationEvent, FALSE);
    InitializeListHead(&volume->posted);
    fs_refresh_init(volume);
    fs_unflushed_init(volume);
    fs_watch_init(volume);
    InterlockedOr((LONG volatile *) &device->Flags, DO_DIRECT_IO);
    InterlockedAnd((LONG volatile *) &device->Flags, ~DO_DEVICE_INITIALIZING);

    IoAcquireVpbSpinLock(&irql);
    vpb->DeviceObject = device;
    vpb->ReferenceCount++;
    IoReleaseVpbSpinLock(irql);
    return volume;
}

void
fs_volume_link(struct volume *volume)
{
    KIRQL irql;

    KeAcquireSpinLock(&fs.lock, &irql);
    InsertTailList(&fs.volumes, &volume->link);
    KeReleaseSpinLock(&fs.lock, irql);
}

void
fs_set_observer(fs_observer_fn *fn, void *context)
{
    fs.observer_context = context;
    fs.observer = fn;
}

void
fs_set_announces(fs_announces_fn *fn, void *context)
{
    fs.announces_context = context;
    fs.announces = fn;
}

void
fs_set_vacated(fs_vacated_fn *fn, void *context)
{
    fs.vacated_context = context;
    fs.vacated = fn;
}

void
fs_volume_info(struct volume *volume, struct fs_volume_info *out_info)
{
    struct fs_volume_info info = { 0 };
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    memcpy(info.type, volume->id.type, sizeof info.type);
    memcpy(info.uuid, volume->id.uuid, sizeof info.uuid);
    memcpy(info.label, volume->id.label, sizeof info.label);
    memcpy(info.key, volume->key, sizeof info.key);
    info.size_bytes = volume->id.size_bytes;
    info.block_bytes = volume->id.block_bytes;
    info.running = (ULONG) __atomic_load_n(&volume->running, __ATOMIC_RELAXED);
    info.state = volume->state;
    info.reason = volume->reason;
    info.drive = volume->real;
    info.media_count = volume->count;
    info.since_ms = volume->since_ms;
    info.read_only = volume->read_only;
    info.can_trim = volume->can_trim;
    info.trim_zeroes = volume->trim_zeroes;
    info.duplicate = volume->duplicate;
    info.dismounted = volume->gone != STATUS_SUCCESS;
    info.replays = volume->replays;
    /* What a look has found is not said before it has settled. */
    info.changed_elsewhere =
        volume->changed_elsewhere || volume->state == VOL_CHANGED;
    KeReleaseSpinLock(&volume->lock, irql);
    info.unflushed_bytes = fs_unflushed_bytes(volume);
    *out_info = info;
}

/* Volumes are only ever added, at the tail, so the walk needs the lock for
 * each step alone. */
void
fs_each_volume(BOOLEAN (*fn)(void *context, struct volume *volume),
               void *context)
{
    PLIST_ENTRY entry = &fs.volumes;
    struct volume *volume;
    KIRQL irql;

    for (;;) {
        KeAcquireSpinLock(&fs.lock, &irql);
        entry = entry->Flink;
        KeReleaseSpinLock(&fs.lock, irql);
        if (entry == &fs.volumes)
            return;
        volume = CONTAINING_RECORD(entry, struct volume, link);
        if (__atomic_load_n(&volume->gone, __ATOMIC_ACQUIRE) ==
                STATUS_SUCCESS &&
            !fn(context, volume))
            return;
    }
}

PDEVICE_OBJECT
fs_volume_device(struct volume *volume)
{
    return volume->device;
}

PVPB
fs_volume_vpb(struct volume *volume)
{
    return volume->vpb;
}

struct volume *
fs_volume_of(PVPB vpb)
{
    PDEVICE_OBJECT device =
        vpb != NULL ? __atomic_load_n(&vpb->DeviceObject, __ATOMIC_ACQUIRE)
                    : NULL;

    if (device == NULL || device->DriverObject != fs.driver)
        return NULL;
    return device->DeviceExtension;
}

struct volume *
fs_volume_on(PDEVICE_OBJECT drive)
{
    struct volume *volume = NULL;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    if (drive->Vpb != NULL && (drive->Vpb->Flags & VPB_MOUNTED) != 0)
        volume = fs_volume_of(drive->Vpb);
    IoReleaseVpbSpinLock(irql);
    return volume;
}
