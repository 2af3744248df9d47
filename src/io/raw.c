/*
 * raw.c - the RAW file system: a volume without a format
 *
 * Asked last in every list, and only for opens of the volume itself.  Requests
 * go straight down to the storage stack.  RAW cannot prove that a medium is the
 * one it mounted, so a verify always says STATUS_WRONG_VOLUME and the device is
 * mounted anew; a request that meets a changed medium fails with
 * STATUS_VERIFY_REQUIRED, and the next open verifies.  From then on the files
 * of the old medium read and write nothing: STATUS_WRONG_VOLUME.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#define IOCTL_STORAGE_CHECK_VERIFY 0x002D4800u

struct raw_volume {
    PDEVICE_OBJECT target; /* top of the storage stack; a reference */
    PVPB vpb;              /* holds a reference to its RealDevice */
    LONG opens;            /* files, and creates under way; VPB lock */
};

static PDRIVER_OBJECT raw_driver;

/* NULL for a control device. */
static struct raw_volume *
volume_of(PDEVICE_OBJECT device)
{
    return device->DeviceExtension;
}

static NTSTATUS
complete(PIRP irp, NTSTATUS status, ULONG_PTR information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

/* Nobody has it open, and it is not on its device (or about to leave it): the
 * VPB goes with its last reference. */
static void
dismount(PDEVICE_OBJECT volume)
{
    struct raw_volume *raw = volume_of(volume);
    PDEVICE_OBJECT real = raw->vpb->RealDevice;
    bool free_vpb;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    raw->vpb->Flags &= (USHORT) ~(VPB_MOUNTED | VPB_RAW_MOUNT);
    raw->vpb->DeviceObject = NULL;
    free_vpb = raw->vpb->ReferenceCount == 0 && real->Vpb != raw->vpb;
    IoReleaseVpbSpinLock(irql);
    if (free_vpb)
        ExFreePool(raw->vpb);
    ObDereferenceObject(raw->target);
    ObDereferenceObject(real);
    IoDeleteDevice(volume);
}

/* Is its medium the one that the device has mounted? */
static bool
is_current(const struct raw_volume *raw)
{
    bool current;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    current = raw->vpb->RealDevice->Vpb == raw->vpb;
    IoReleaseVpbSpinLock(irql);
    return current;
}

/* One less has it open; the last one gives up what is not current. */
static void
leave(PDEVICE_OBJECT volume)
{
    struct raw_volume *raw = volume_of(volume);
    bool last;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    last = --raw->opens == 0 && raw->vpb->RealDevice->Vpb != raw->vpb;
    IoReleaseVpbSpinLock(irql);
    if (last)
        dismount(volume);
}

/* --- file system control ------------------------------------------------- */

static NTSTATUS
mount(PVPB vpb, PDEVICE_OBJECT target)
{
    struct raw_volume *raw;
    PDEVICE_OBJECT volume;
    NTSTATUS status;

    status = io_device_control(target, IOCTL_STORAGE_CHECK_VERIFY, NULL, 0,
                               NULL, 0, SL_OVERRIDE_VERIFY_VOLUME, NULL);
    if (IoIsErrorUserInduced(status))
        return status;
    status = IoCreateDevice(raw_driver, sizeof *raw, NULL,
                            FILE_DEVICE_DISK_FILE_SYSTEM, 0, FALSE, &volume);
    if (!NT_SUCCESS(status))
        return status;
    raw = volume_of(volume);
    ObReferenceObject(target);
    ObReferenceObject(vpb->RealDevice);
    raw->target = target;
    raw->vpb = vpb;
    volume->StackSize = (CCHAR) (target->StackSize + 1);
    volume->SectorSize = target->SectorSize;
    volume->Flags |= target->Flags & (DO_DIRECT_IO | DO_BUFFERED_IO);
    io_device_clear_flags(volume, DO_DEVICE_INITIALIZING);
    vpb->DeviceObject = volume;
    return STATUS_SUCCESS;
}

/* One reference to the VPB is IoVerifyVolume's; an open that is on its way here
 * has another, and gives the volume up itself. */
static NTSTATUS
verify(PDEVICE_OBJECT volume)
{
    struct raw_volume *raw = volume_of(volume);
    bool unused;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    unused = raw->opens == 0 && raw->vpb->ReferenceCount <= 1;
    IoReleaseVpbSpinLock(irql);
    if (unused)
        dismount(volume);
    return STATUS_WRONG_VOLUME;
}

static NTSTATUS NTAPI
raw_fs_control(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);
    bool volume = volume_of(DeviceObject) != NULL;

    if (location->MinorFunction == IRP_MN_MOUNT_VOLUME && !volume)
        return complete(Irp,
                        mount(location->Parameters.MountVolume.Vpb,
                              location->Parameters.MountVolume.DeviceObject),
                        0);
    if (location->MinorFunction == IRP_MN_VERIFY_VOLUME && volume)
        return complete(Irp, verify(DeviceObject), 0);
    return complete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
}

/* --- files --------------------------------------------------------------- */

/* STATUS_SUCCESS: the volume may be opened.  Whatever a verify says of what is
 * in the drive by then, it is not this volume any more. */
static NTSTATUS
look_at_medium(struct raw_volume *raw)
{
    PDEVICE_OBJECT real = raw->vpb->RealDevice;
    NTSTATUS status = STATUS_WRONG_VOLUME;

    if (is_current(raw)) {
        if (!(io_device_flags(real) & DO_VERIFY_VOLUME))
            return STATUS_SUCCESS;
        status = IoVerifyVolume(real, TRUE);
    }
    return NT_SUCCESS(status) || status == STATUS_WRONG_VOLUME ? STATUS_REPARSE
                                                               : status;
}

static NTSTATUS NTAPI
raw_create(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);
    struct raw_volume *raw = volume_of(DeviceObject);
    NTSTATUS status;
    KIRQL irql;

    if (raw == NULL)
        return complete(Irp, STATUS_SUCCESS, FILE_OPENED);
    if (location->FileObject->FileName.Length != 0)
        return complete(Irp, STATUS_OBJECT_PATH_NOT_FOUND, 0);
    IoAcquireVpbSpinLock(&irql);
    raw->opens++;
    IoReleaseVpbSpinLock(irql);
    status = look_at_medium(raw);
    if (status != STATUS_SUCCESS) {
        ObReferenceObject(DeviceObject);
        leave(DeviceObject);
        complete(Irp, status, status == STATUS_REPARSE ? IO_REMOUNT : 0);
        ObDereferenceObject(DeviceObject);
        return status;
    }
    IoAcquireVpbSpinLock(&irql);
    raw->vpb->Flags |= VPB_DIRECT_WRITES_ALLOWED;
    IoReleaseVpbSpinLock(irql);
    return complete(Irp, STATUS_SUCCESS, FILE_OPENED);
}

static NTSTATUS NTAPI
raw_cleanup(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return complete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI
raw_close(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    ObReferenceObject(DeviceObject);
    if (volume_of(DeviceObject) != NULL)
        leave(DeviceObject);
    complete(Irp, STATUS_SUCCESS, 0);
    ObDereferenceObject(DeviceObject);
    return STATUS_SUCCESS;
}

/* --- everything else goes down ------------------------------------------- */

static NTSTATUS NTAPI
raw_pass(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    struct raw_volume *raw = volume_of(DeviceObject);

    if (raw == NULL)
        return complete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(raw->target, Irp);
}

/* What is in the drive may be another medium: not through an old file. */
static NTSTATUS NTAPI
raw_transfer(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    struct raw_volume *raw = volume_of(DeviceObject);

    if (raw != NULL && !is_current(raw))
        return complete(Irp, STATUS_WRONG_VOLUME, 0);
    return raw_pass(DeviceObject, Irp);
}

static NTSTATUS NTAPI
raw_entry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    static const UCHAR passed[] = {
        IRP_MJ_FLUSH_BUFFERS,
        IRP_MJ_DEVICE_CONTROL,
        IRP_MJ_SHUTDOWN,
        IRP_MJ_PNP,
    };

    UNREFERENCED_PARAMETER(RegistryPath);
    for (size_t i = 0; i < ARRAYSIZE(passed); i++)
        DriverObject->MajorFunction[passed[i]] = raw_pass;
    DriverObject->MajorFunction[IRP_MJ_READ] = raw_transfer;
    DriverObject->MajorFunction[IRP_MJ_WRITE] = raw_transfer;
    DriverObject->MajorFunction[IRP_MJ_FILE_SYSTEM_CONTROL] = raw_fs_control;
    DriverObject->MajorFunction[IRP_MJ_CREATE] = raw_create;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = raw_cleanup;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = raw_close;
    return STATUS_SUCCESS;
}

NTSTATUS
io_start_raw(void)
{
    static const DEVICE_TYPE types[] = {
        FILE_DEVICE_DISK_FILE_SYSTEM,
        FILE_DEVICE_CD_ROM_FILE_SYSTEM,
        FILE_DEVICE_TAPE_FILE_SYSTEM,
    };
    NTSTATUS status;

    if (raw_driver != NULL)
        return STATUS_SUCCESS;
    status = io_load_driver("raw", raw_entry, &raw_driver);
    for (size_t i = 0; NT_SUCCESS(status) && i < ARRAYSIZE(types); i++) {
        PDEVICE_OBJECT control;

        status =
            IoCreateDevice(raw_driver, 0, NULL, types[i], 0, FALSE, &control);
        if (!NT_SUCCESS(status))
            break;
        io_devext(control)->raw = true;
        IoRegisterFileSystem(control);
    }
    if (!NT_SUCCESS(status))
        io_stop_raw();
    return status;
}

void
io_stop_raw(void)
{
    if (raw_driver == NULL)
        return;
    while (raw_driver->DeviceObject != NULL) {
        PDEVICE_OBJECT device = raw_driver->DeviceObject;

        if (volume_of(device) != NULL) {
            dismount(device);
        } else {
            IoUnregisterFileSystem(device);
            IoDeleteDevice(device);
        }
    }
    io_unload_driver(raw_driver);
    raw_driver = NULL;
}
