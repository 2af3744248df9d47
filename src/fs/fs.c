/*
 * fs.c - the driver: registration, dispatch, the end
 *
 * One file system for everything: it mounts whatever can be read and serves
 * the whole medium as one volume.  It registers once for disks and once for
 * CD-ROMs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

#include <ntdddisk.h>
#include <ntddstor.h>

#include "base/status.h"
#include "base/trace.h"

struct fs fs = {
    .limits = { .unflushed_bytes = 64u << 20,
                .unflushed_total_bytes = 256u << 20,
                .flush_idle_ms = 1000 },
};

static NTSTATUS
complete(PIRP irp, NTSTATUS status)
{
    return fs_complete(irp, status, 0);
}

static NTSTATUS NTAPI
fs_dispatch_create(PDEVICE_OBJECT device, PIRP irp)
{
    if (!fs_is_volume(device))
        return complete(irp, STATUS_SUCCESS);
    return fs_create(device->DeviceExtension, irp);
}

static NTSTATUS NTAPI
fs_dispatch_cleanup(PDEVICE_OBJECT device, PIRP irp)
{
    if (!fs_is_volume(device))
        return complete(irp, STATUS_SUCCESS);
    return fs_cleanup(device->DeviceExtension, irp);
}

/* A file object's VPB reference is the I/O manager's. */
static NTSTATUS NTAPI
fs_dispatch_close(PDEVICE_OBJECT device, PIRP irp)
{
    (void) device;
    return complete(irp, STATUS_SUCCESS);
}

static NTSTATUS NTAPI
fs_dispatch_data(PDEVICE_OBJECT device, PIRP irp)
{
    if (!fs_is_volume(device))
        return complete(irp, STATUS_INVALID_DEVICE_REQUEST);
    return fs_data(device, irp);
}

/* Of a volume: what concerns its blocks goes down like data; the rest of the
 * drive's controls belong to the drive. */
static NTSTATUS NTAPI
fs_device_control(PDEVICE_OBJECT device, PIRP irp)
{
    ULONG code = IoGetCurrentIrpStackLocation(irp)
                     ->Parameters.DeviceIoControl.IoControlCode;

    if (!fs_is_volume(device) ||
        code != IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES)
        return complete(irp, STATUS_INVALID_DEVICE_REQUEST);
    return fs_data(device, irp);
}

/* --- mount and verify --------------------------------------------------------- */

#define POSTS_MAX 8

struct again {
    WORK_QUEUE_ITEM work;
    PIRP irp;
    unsigned posts;
};

static NTSTATUS mount_or_verify(PIRP irp, unsigned posts);

static VOID NTAPI
again_work(PVOID parameter)
{
    struct again again = *(struct again *) parameter;

    ExFreePoolWithTag(parameter, FS_TAG);
    mount_or_verify(again.irp, again.posts);
}

static NTSTATUS
post_again(PIRP irp, unsigned posts)
{
    struct again *again =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *again, FS_TAG);

    if (again == NULL)
        return complete(irp, STATUS_INSUFFICIENT_RESOURCES);
    again->irp = irp;
    again->posts = posts + 1;
    IoMarkIrpPending(irp);
    ExInitializeWorkItem(&again->work, again_work, again);
    ExQueueWorkItem(&again->work, DelayedWorkQueue);
    return STATUS_PENDING;
}

/*
 * The medium may change while it is looked at.  Then the request is posted and
 * starts anew; to verify from here would wait for the DeviceLock that whoever
 * sent it holds.  Not for ever: a drive that says so each time is not ready.
 */
static NTSTATUS
mount_or_verify(PIRP irp, unsigned posts)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);
    PIRP top = IoGetTopLevelIrp();
    struct volume *volume;
    NTSTATUS status = STATUS_WRONG_VOLUME;

    if (top == NULL)
        IoSetTopLevelIrp(irp);
    if (own->MinorFunction == IRP_MN_MOUNT_VOLUME) {
        status = fs_mount(own->Parameters.MountVolume.DeviceObject,
                          own->Parameters.MountVolume.Vpb);
    } else {
        volume = fs_volume_of(own->Parameters.VerifyVolume.Vpb);
        if (volume != NULL)
            status = fs_verify(volume);
    }
    IoSetTopLevelIrp(top);
    if (status == STATUS_VERIFY_REQUIRED)
        return posts < POSTS_MAX ? post_again(irp, posts)
                                 : complete(irp, STATUS_DEVICE_NOT_READY);
    return complete(irp, status);
}

static NTSTATUS NTAPI
fs_control(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);

    switch (own->MinorFunction) {
    case IRP_MN_MOUNT_VOLUME:
    case IRP_MN_VERIFY_VOLUME:
        return mount_or_verify(irp, 0);
    case IRP_MN_USER_FS_REQUEST:
    case IRP_MN_KERNEL_CALL:
        if (own->Parameters.FileSystemControl.FsControlCode ==
            FSCTL_INVALIDATE_VOLUMES)
            return fs_invalidate_volumes(irp);
        if (fs_is_volume(device))
            return fs_user_request(device->DeviceExtension, irp);
        /* fall through */
    default:
        return complete(irp, STATUS_INVALID_DEVICE_REQUEST);
    }
}

/* --- the driver --------------------------------------------------------------- */

static NTSTATUS
register_for(PDRIVER_OBJECT driver, DEVICE_TYPE type, PDEVICE_OBJECT *out)
{
    NTSTATUS status = IoCreateDevice(driver, 0, NULL, type, 0, FALSE, out);

    if (NT_SUCCESS(status))
        IoRegisterFileSystem(*out);
    return status;
}

static VOID NTAPI
fs_unload(PDRIVER_OBJECT DriverObject)
{
    PDEVICE_OBJECT *const devices[] = { &fs.control_disk, &fs.control_cd };

    (void) DriverObject;
    for (size_t i = 0; i < RTL_NUMBER_OF(devices); i++) {
        if (*devices[i] == NULL)
            continue;
        IoUnregisterFileSystem(*devices[i]);
        IoDeleteDevice(*devices[i]);
        *devices[i] = NULL;
    }
}

NTSTATUS NTAPI
fs_driver_entry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    (void) RegistryPath;
    fs.driver = DriverObject;
    __atomic_store_n(&fs.shutting_down, FALSE, __ATOMIC_RELEASE);
    KeInitializeMutex(&fs.mount_mutex, 0);
    KeInitializeSpinLock(&fs.lock);
    InitializeListHead(&fs.volumes);
    DriverObject->DriverUnload = fs_unload;
    DriverObject->MajorFunction[IRP_MJ_CREATE] = fs_dispatch_create;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = fs_dispatch_cleanup;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = fs_dispatch_close;
    DriverObject->MajorFunction[IRP_MJ_READ] = fs_dispatch_data;
    DriverObject->MajorFunction[IRP_MJ_WRITE] = fs_dispatch_data;
    DriverObject->MajorFunction[IRP_MJ_FLUSH_BUFFERS] = fs_dispatch_data;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = fs_device_control;
    DriverObject->MajorFunction[IRP_MJ_FILE_SYSTEM_CONTROL] = fs_control;
    status = register_for(DriverObject, FILE_DEVICE_DISK_FILE_SYSTEM,
                          &fs.control_disk);
    if (NT_SUCCESS(status))
        status = register_for(DriverObject, FILE_DEVICE_CD_ROM_FILE_SYSTEM,
                              &fs.control_cd);
    return status;
}

/* --- what the service asks for ------------------------------------------------ */

/* What a drive says that has no medium for us, or 0: it has, or it could not be
 * asked. */
static NTSTATUS
ask_for_nothing(PDEVICE_OBJECT drive)
{
    ULONG count;
    NTSTATUS status = fs_media_count(IoGetAttachedDevice(drive), &count);

    if (fs_is_gone(status))
        return fs_gone_reason(status);
    return status == STATUS_NO_MEDIA_IN_DEVICE ? status : STATUS_SUCCESS;
}

struct nothing {
    PDEVICE_OBJECT drive;
    NTSTATUS why;
};

/* Those whose place another medium had: that one is gone, too. */
static BOOLEAN
now_empty(void *context, struct volume *volume)
{
    const struct nothing *nothing = context;
    ULONG generation = fs_volume_generation(volume);

    if (fs_volume_state(volume) == VOL_ABSENT &&
        __atomic_load_n(&volume->real, __ATOMIC_ACQUIRE) == nothing->drive)
        fs_volume_change(volume, generation, VOL_ABSENT, nothing->why);
    return TRUE;
}

BOOLEAN
fs_media_gone(PDEVICE_OBJECT drive)
{
    struct nothing nothing = { drive, ask_for_nothing(drive) };
    struct volume *volume = fs_volume_on(drive);
    ULONG generation;
    NTSTATUS why;

    if (nothing.why == STATUS_SUCCESS)
        return FALSE;
    fs_each_volume(now_empty, &nothing);
    if (volume == NULL)
        return TRUE;
    generation = fs_volume_generation(volume);
    if (fs_state_away(fs_volume_state(volume)) ||
        __atomic_load_n(&volume->real, __ATOMIC_ACQUIRE) != drive)
        return TRUE;
    /* Asked after the generation was taken. */
    why = ask_for_nothing(drive);
    if (why != STATUS_SUCCESS)
        fs_volume_change(volume, generation, VOL_ABSENT, why);
    return why != STATUS_SUCCESS;
}

static BOOLEAN
now_gone(void *context, struct volume *volume)
{
    enum vol_state state = fs_volume_state(volume);

    while (__atomic_load_n(&volume->real, __ATOMIC_ACQUIRE) == context &&
           state != VOL_CANCELLED && state != VOL_DISMOUNTED &&
           !fs_volume_change(volume, fs_volume_generation(volume), VOL_ABSENT,
                             STATUS_DEVICE_DOES_NOT_EXIST))
        state = fs_volume_state(volume);
    return TRUE;
}

void
fs_drive_gone(PDEVICE_OBJECT drive)
{
    fs_each_volume(now_gone, drive);
}

/* What is mounted in the drive in its place, beside it; nothing is: different. */
static enum identity_match
compare_other(struct volume *volume, PDEVICE_OBJECT real)
{
    struct volume *other = fs_volume_on(real);
    enum identity_match match;
    struct identity *id;
    KIRQL irql;

    if (other == NULL || other == volume)
        return ID_DIFFERENT;
    id = ExAllocatePoolWithTag(NonPagedPool, sizeof *id, FS_TAG);
    if (id == NULL)
        return ID_DIFFERENT;
    KeAcquireSpinLock(&other->lock, &irql);
    *id = other->id;
    KeReleaseSpinLock(&other->lock, irql);
    KeAcquireSpinLock(&volume->lock, &irql);
    match = identity_compare(&volume->id, id);
    KeReleaseSpinLock(&volume->lock, irql);
    ExFreePoolWithTag(id, FS_TAG);
    return match;
}

/* What was mounted in the drive instead, only because a medium without any mark
 * could not be told from a new one, is looked at again. */
static void
question_other(struct volume *volume, PDEVICE_OBJECT real)
{
    enum identity_match match = compare_other(volume, real);

    if (match == ID_CANNOT_TELL || match == ID_CHANGED)
        InterlockedOr((LONG volatile *) &real->Flags, DO_VERIFY_VOLUME);
}

BOOLEAN
fs_is_untold(struct volume *volume)
{
    struct fs_place place;
    BOOLEAN untold;

    fs_place_take(volume, &place);
    /* Until what is in the drive is a volume of its own. */
    if (place.drive.real == NULL || fs_on_device(volume))
        untold = __atomic_load_n(&volume->untold, __ATOMIC_RELAXED);
    else
        untold = compare_other(volume, place.drive.real) == ID_CANNOT_TELL;
    fs_place_let(&place);
    return untold && place.state == VOL_ABSENT;
}

static void
vouch(struct volume *volume, BOOLEAN yes)
{
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    volume->accept_unknown = yes;
    KeReleaseSpinLock(&volume->lock, irql);
}

BOOLEAN
fs_try_again(struct volume *volume)
{
    struct fs_place place;
    PDEVICE_OBJECT real;
    ULONG count;

    fs_place_take(volume, &place);
    real = place.drive.real;
    vouch(volume, TRUE);
    if (!fs_volume_mounted(volume)) {
        /* A hand may have been faster than the drive's events: asked, the drive
         * has the driver set the flag. */
        fs_check_verify(IoGetAttachedDevice(real), &count);
        question_other(volume, real);
        IoVerifyVolume(real, FALSE);
        /* What was mounted there was another volume, and is gone as well. */
        if (!fs_volume_mounted(volume) && fs_volume_on(real) == NULL)
            IoVerifyVolume(real, FALSE);
    }
    vouch(volume, FALSE);
    fs_place_let(&place);
    return fs_volume_mounted(volume);
}

static BOOLEAN
release_posted(void *context, struct volume *volume)
{
    (void) context;
    KeCancelTimer(&volume->refresh_timer);
    fs_unflushed_stop(volume);
    if (fs_state_away(fs_volume_state(volume)) ||
        fs_volume_state(volume) == VOL_CHANGED)
        fs_keep(volume, STATUS_SYSTEM_SHUTDOWN);
    fs_post(volume, NULL);
    return TRUE;
}

void
fs_shutdown(void)
{
    __atomic_store_n(&fs.shutting_down, TRUE, __ATOMIC_RELEASE);
    if (fs.driver != NULL)
        fs_each_volume(release_posted, NULL);
}

void
fs_dismount_all(void)
{
    while (fs.driver != NULL && !IsListEmpty(&fs.volumes)) {
        struct volume *volume =
            CONTAINING_RECORD(RemoveHeadList(&fs.volumes), struct volume, link);
        PVPB vpb = volume->vpb;
        BOOLEAN last;
        KIRQL irql;

        /* Set by a request that ended while fs_shutdown or a dismount ran. */
        KeCancelTimer(&volume->refresh_timer);
        fs_unflushed_last(volume);
        fs_unflushed_free(volume);
        IoAcquireVpbSpinLock(&irql);
        vpb->Flags &= (USHORT) ~VPB_MOUNTED;
        vpb->DeviceObject = NULL;
        vpb->ReferenceCount--;
        last = vpb->ReferenceCount == 0 && vpb->RealDevice->Vpb != vpb;
        IoReleaseVpbSpinLock(irql);
        if (last)
            ExFreePool(vpb);
        while (volume->formers > 0) {
            volume->formers--;
            fs_let_drive(volume->former[volume->formers].real,
                         volume->former[volume->formers].target);
        }
        fs_let_drive(volume->real, volume->target);
        IoDeleteDevice(volume->device);
    }
}
