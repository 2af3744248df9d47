/*
 * fs.c - the driver: registration, dispatch, eject, the end
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

#define EJECT_WAIT_MS 10000

struct fs fs;

static BOOLEAN
is_volume(PDEVICE_OBJECT device)
{
    return device != fs.control_disk && device != fs.control_cd;
}

static NTSTATUS
complete(PIRP irp, NTSTATUS status)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

/* Handles need no state: a file object's VPB reference keeps the volume. */
static NTSTATUS NTAPI
fs_create_close(PDEVICE_OBJECT device, PIRP irp)
{
    (void) device;
    return complete(irp, STATUS_SUCCESS);
}

static NTSTATUS NTAPI
fs_dispatch_data(PDEVICE_OBJECT device, PIRP irp)
{
    if (!is_volume(device))
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

    if (!is_volume(device) ||
        code != IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES)
        return complete(irp, STATUS_INVALID_DEVICE_REQUEST);
    return fs_data(device, irp);
}

static NTSTATUS NTAPI
fs_control(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);
    struct volume *volume;

    (void) device;
    switch (own->MinorFunction) {
    case IRP_MN_MOUNT_VOLUME:
        return complete(irp, fs_mount(own->Parameters.MountVolume.DeviceObject,
                                      own->Parameters.MountVolume.Vpb));
    case IRP_MN_VERIFY_VOLUME:
        volume = fs_volume_of(own->Parameters.VerifyVolume.Vpb);
        return complete(irp, volume != NULL ? fs_verify(volume)
                                            : STATUS_WRONG_VOLUME);
    default:
        return complete(irp, STATUS_INVALID_DEVICE_REQUEST);
    }
}

static NTSTATUS
register_for(PDRIVER_OBJECT driver, DEVICE_TYPE type, PDEVICE_OBJECT *out)
{
    NTSTATUS status =
        IoCreateDevice(driver, 0, NULL, type, 0, FALSE, out);

    if (NT_SUCCESS(status))
        IoRegisterFileSystem(*out);
    return status;
}

NTSTATUS NTAPI
fs_driver_entry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    (void) RegistryPath;
    fs.driver = DriverObject;
    fs.shutting_down = FALSE;
    KeInitializeSpinLock(&fs.lock);
    InitializeListHead(&fs.volumes);
    DriverObject->MajorFunction[IRP_MJ_CREATE] = fs_create_close;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = fs_create_close;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = fs_create_close;
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

void
fs_media_gone(PDEVICE_OBJECT drive)
{
    struct volume *volume = fs_volume_on(drive);
    ULONG count;

    if (volume == NULL || !fs_volume_mounted(volume) ||
        volume->real != drive)
        return;
    if (fs_media_count(volume->target, &count) == STATUS_NO_MEDIA_IN_DEVICE &&
        fs_volume_mounted(volume))
        fs_volume_set_state(volume, VOL_ABSENT, STATUS_NO_MEDIA_IN_DEVICE);
}

BOOLEAN
fs_try_again(struct volume *volume)
{
    PDEVICE_OBJECT real = volume->real;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    volume->accept_unknown = TRUE;
    KeReleaseSpinLock(&volume->lock, irql);
    if (!fs_volume_mounted(volume)) {
        IoVerifyVolume(real, FALSE);
        /* What was mounted there was another volume, and is gone as well. */
        if (!fs_volume_mounted(volume) && fs_volume_on(real) == NULL)
            IoVerifyVolume(real, FALSE);
    }
    KeAcquireSpinLock(&volume->lock, &irql);
    volume->accept_unknown = FALSE;
    KeReleaseSpinLock(&volume->lock, irql);
    return fs_volume_mounted(volume);
}

static BOOLEAN
wait_until_idle(struct volume *volume)
{
    LARGE_INTEGER step = { .QuadPart = -100 * 10000 };

    for (int i = 0; i < EJECT_WAIT_MS / 100; i++) {
        KeClearEvent(&volume->idle);
        if (__atomic_load_n(&volume->running, __ATOMIC_ACQUIRE) == 0)
            return TRUE;
        KeWaitForSingleObject(&volume->idle, Executive, KernelMode, FALSE,
                              &step);
    }
    return FALSE;
}

static NTSTATUS
flush_and_open(PDEVICE_OBJECT target)
{
    PREVENT_MEDIA_REMOVAL allow = { .PreventMediaRemoval = FALSE };
    NTSTATUS status = fs_flush_device(target);

    if (!NT_SUCCESS(status) && status != STATUS_NO_MEDIA_IN_DEVICE)
        return status;
    fs_ioctl(target, IOCTL_STORAGE_MEDIA_REMOVAL, &allow, sizeof allow, NULL,
             0, NULL);
    return fs_ioctl(target, IOCTL_STORAGE_EJECT_MEDIA, NULL, 0, NULL, 0, NULL);
}

NTSTATUS
fs_eject(PDEVICE_OBJECT drive)
{
    struct volume *volume = fs_volume_on(drive);
    NTSTATUS status;

    if (volume == NULL || !fs_volume_mounted(volume))
        return flush_and_open(IoGetAttachedDevice(drive));
    fs_volume_set_state(volume, VOL_EJECTING, STATUS_SUCCESS);
    if (volume->head_dirty)
        fs_refresh(volume);
    status = wait_until_idle(volume) ? flush_and_open(volume->target)
                                     : STATUS_DEVICE_BUSY;
    if (NT_SUCCESS(status))
        fs_volume_set_state(volume, VOL_ABSENT, STATUS_NO_MEDIA_IN_DEVICE);
    else
        fs_volume_set_state(volume, VOL_MOUNTED, STATUS_SUCCESS);
    fs_post(volume, NULL);
    return status;
}

static BOOLEAN
release_posted(void *context, struct volume *volume)
{
    (void) context;
    fs_post(volume, NULL);
    return TRUE;
}

void
fs_shutdown(void)
{
    fs.shutting_down = TRUE;
    fs_each_volume(release_posted, NULL);
}
