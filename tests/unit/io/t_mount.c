/*
 * Tests for src/io/{mount,verify,vpb,file,raw}.c: rules 8.8 and 8.9, with a
 * storage driver and file systems that do what the test says.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/fault.h"

#define IOCTL_STORAGE_CHECK_VERIFY 0x002D4800u

/* --- the drive ----------------------------------------------------------- */

static PDRIVER_OBJECT disk_driver;
static PDEVICE_OBJECT disk, filter; /* the filter is attached to the disk */
static NTSTATUS medium_status;      /* of CHECK_VERIFY */
static char medium;                 /* what a file system reads */
static int direct_creates, transfers;

static NTSTATUS NTAPI
disk_dispatch(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);

    if (DeviceObject == filter) {
        IoSkipCurrentIrpStackLocation(Irp);
        return IoCallDriver(disk, Irp);
    }
    if (location->MajorFunction == IRP_MJ_CREATE)
        direct_creates++;
    if (location->MajorFunction == IRP_MJ_READ ||
        location->MajorFunction == IRP_MJ_WRITE)
        transfers++;
    if (location->MajorFunction == IRP_MJ_DEVICE_CONTROL)
        return complete_irp(Irp, medium_status, 0);
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

/* --- file systems -------------------------------------------------------- */

/* Mounts media whose content is its letter. */
struct fs {
    char letter;
    NTSTATUS refuse; /* instead of UNRECOGNIZED_VOLUME */
    ULONG_PTR refuse_information;
    PDEVICE_OBJECT control;
    int mounts, verifies, loads;
    /* what the last mount or verify saw */
    ULONG irp_flags;
    UCHAR major, minor, location_flags, stack_count;
    KPROCESSOR_MODE mode;
    PETHREAD thread;
    PVPB vpb;
    PDEVICE_OBJECT device;
    ULONG device_flags;
};

struct volume {
    struct fs *fs;
    PVPB vpb;
    char content;
};

static struct fs filesystems[4];
static PDRIVER_OBJECT fs_driver;
static int call_order[256];
static int calls;
static PDEVICE_OBJECT volumes[32];
static int volume_count;
static NTSTATUS verify_status; /* of the file system, if not success */
static int remounts_left;      /* creates that answer IO_REMOUNT */
static int creates, cleanups, closes;
static int compared; /* media that a verify has looked at */
static NTSTATUS create_status;
static void (*in_load)(void);
static void (*in_mount)(struct fs *fs);
static void (*in_verify)(void);
static void (*in_create)(void);

static void
look_at(struct fs *fs, PIRP irp, PIO_STACK_LOCATION location)
{
    fs->irp_flags = irp->Flags;
    fs->major = location->MajorFunction;
    fs->minor = location->MinorFunction;
    fs->mode = irp->RequestorMode;
    fs->thread = irp->Tail.Overlay.Thread;
    fs->location_flags = location->Flags;
    fs->stack_count = (UCHAR) irp->StackCount;
    fs->vpb = location->Parameters.MountVolume.Vpb;
    fs->device = location->Parameters.MountVolume.DeviceObject;
    fs->device_flags = fs->vpb != NULL ? fs->vpb->RealDevice->Flags : 0;
    call_order[calls++] = (int) (fs - filesystems);
}

static NTSTATUS
fs_mount(struct fs *fs, PVPB vpb)
{
    PDEVICE_OBJECT device;
    struct volume *volume;

    fs->mounts++;
    if (in_mount != NULL)
        in_mount(fs);
    if (fs->letter != medium)
        return fs->refuse;
    device = new_device(fs_driver, FILE_DEVICE_DISK_FILE_SYSTEM,
                        sizeof(struct volume), NULL);
    volume = device->DeviceExtension;
    volume->fs = fs;
    volume->vpb = vpb;
    volume->content = medium;
    vpb->DeviceObject = device;
    vpb->SerialNumber = (ULONG) medium;
    volumes[volume_count++] = device;
    return STATUS_SUCCESS;
}

static NTSTATUS
fs_verify(struct volume *volume)
{
    PDEVICE_OBJECT real = volume->vpb->RealDevice;

    volume->fs->verifies++;
    if (in_verify != NULL)
        in_verify();
    if (!NT_SUCCESS(verify_status))
        return verify_status;
    if (!(real->Flags & DO_VERIFY_VOLUME))
        return STATUS_SUCCESS;
    compared++;
    if (volume->content != medium)
        return STATUS_WRONG_VOLUME;
    InterlockedAnd((LONG *) &real->Flags, ~DO_VERIFY_VOLUME);
    return STATUS_SUCCESS;
}

static NTSTATUS
fs_create(PDEVICE_OBJECT device, PIRP irp)
{
    if (device->DeviceExtension == NULL)
        return complete_irp(irp, STATUS_SUCCESS, FILE_OPENED);
    creates++;
    if (remounts_left > 0) {
        remounts_left--;
        if (in_create != NULL)
            in_create();
        return complete_irp(irp, STATUS_REPARSE, IO_REMOUNT);
    }
    return complete_irp(irp, create_status, FILE_OPENED);
}

static struct fs *
fs_of(PDEVICE_OBJECT control)
{
    for (size_t i = 0; i < ARRAYSIZE(filesystems); i++)
        if (filesystems[i].control == control)
            return &filesystems[i];
    return NULL;
}

static NTSTATUS NTAPI
fs_dispatch(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);
    struct volume *volume = DeviceObject->DeviceExtension;
    struct fs *fs = volume != NULL ? volume->fs : fs_of(DeviceObject);
    NTSTATUS status;

    if (location->MajorFunction == IRP_MJ_CREATE)
        return fs_create(DeviceObject, Irp);
    if (location->MajorFunction == IRP_MJ_CLEANUP) {
        cleanups++;
        return complete_irp(Irp, STATUS_SUCCESS, 0);
    }
    if (location->MajorFunction == IRP_MJ_CLOSE) {
        closes++;
        return complete_irp(Irp, STATUS_SUCCESS, 0);
    }
    if (location->MinorFunction == IRP_MN_LOAD_FILE_SYSTEM) {
        fs->loads++;
        in_load();
        return complete_irp(Irp, STATUS_SUCCESS, 0);
    }
    look_at(fs, Irp, location);
    status = location->MinorFunction == IRP_MN_MOUNT_VOLUME
                 ? fs_mount(fs, location->Parameters.MountVolume.Vpb)
                 : fs_verify(volume);
    return complete_irp(Irp, status,
                        NT_SUCCESS(status) ? 0 : fs->refuse_information);
}

static struct fs *
register_fs(int i, char letter, ULONG flags)
{
    struct fs *fs = &filesystems[i];

    fs->letter = letter;
    fs->refuse = STATUS_UNRECOGNIZED_VOLUME;
    fs->control = new_device(fs_driver, FILE_DEVICE_DISK_FILE_SYSTEM, 0, NULL);
    fs->control->Flags |= flags;
    IoRegisterFileSystem(fs->control);
    return fs;
}

static void
unregister_fs(struct fs *fs)
{
    IoUnregisterFileSystem(fs->control);
    IoDeleteDevice(fs->control);
    fs->control = NULL;
}

/* --- a new drive for every test ------------------------------------------ */

static int
each(void **state)
{
    (void) state;
    memset(filesystems, 0, sizeof filesystems);
    calls = volume_count = direct_creates = transfers = compared = 0;
    creates = cleanups = closes = remounts_left = 0;
    create_status = verify_status = medium_status = STATUS_SUCCESS;
    in_load = NULL;
    in_mount = NULL;
    in_verify = NULL;
    in_create = NULL;
    medium = 'a';
    disk = new_device(disk_driver, FILE_DEVICE_DISK, 0, NULL);
    filter = new_device(disk_driver, FILE_DEVICE_DISK, 0, NULL);
    assert_ptr_equal(IoAttachDeviceToDeviceStack(filter, disk), disk);
    return 0;
}

/* The file system gives its volumes up: it frees a VPB that is not in use and
 * not on its device. */
static void
dismount(PDEVICE_OBJECT device)
{
    struct volume *volume = device->DeviceExtension;
    bool unused;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    volume->vpb->Flags &= (USHORT) ~VPB_MOUNTED;
    unused = volume->vpb->ReferenceCount == 0 &&
             volume->vpb->RealDevice->Vpb != volume->vpb;
    assert_int_equal(volume->vpb->ReferenceCount, 0);
    IoReleaseVpbSpinLock(irql);
    if (unused)
        ExFreePool(volume->vpb);
    IoDeleteDevice(device);
}

static int
each_end(void **state)
{
    (void) state;
    for (size_t i = 0; i < ARRAYSIZE(filesystems); i++)
        if (filesystems[i].control != NULL)
            unregister_fs(&filesystems[i]);
    io_stop_raw();
    for (int i = 0; i < volume_count; i++)
        dismount(volumes[i]);
    IoDetachDevice(disk);
    IoDeleteDevice(filter);
    IoDeleteDevice(disk);
    return 0;
}

static const UNICODE_STRING file_name = RTL_CONSTANT_STRING(L"\\file");

static NTSTATUS
open_name(PFILE_OBJECT *out_file)
{
    return io_open_file(disk, FILE_READ_DATA, &file_name, out_file);
}

static void
open_and_close(void)
{
    PFILE_OBJECT file;

    assert_int_equal(open_name(&file), STATUS_SUCCESS);
    io_close_file(file);
}

/* --- 8.8 ----------------------------------------------------------------- */

static void
R131__first_open__last_registered_is_asked_first(void **state)
{
    (void) state;
    register_fs(0, 'a', 0);
    register_fs(1, 'b', 0);
    register_fs(2, 'c', DO_LOW_PRIORITY_FILESYSTEM);
    open_and_close();
    assert_int_equal(calls, 3);
    assert_int_equal(call_order[0], 1);
    /* Low priority: before the tail, which is the first registered. */
    assert_int_equal(call_order[1], 2);
    assert_int_equal(call_order[2], 0);
}

/* Whenever it was registered: it is asked when all others have refused. */
static void
R131__raw__last__whenever_registered(void **state)
{
    PFILE_OBJECT file;

    (void) state;
    for (int late = 0; late < 2; late++) {
        if (!late)
            assert_int_equal(io_start_raw(), STATUS_SUCCESS);
        register_fs(0, 'b', 0);
        register_fs(1, 'c', 0);
        register_fs(2, 'd', DO_LOW_PRIORITY_FILESYSTEM);
        if (late)
            assert_int_equal(io_start_raw(), STATUS_SUCCESS);
        calls = 0;
        assert_int_equal(io_open_device(disk, FILE_READ_DATA, &file),
                         STATUS_SUCCESS);
        assert_int_equal(calls, 3);
        assert_int_equal(call_order[0], 1);
        /* RAW has it, so the low priority was before RAW. */
        assert_true(disk->Vpb->Flags & VPB_RAW_MOUNT);
        io_close_file(file);
        for (int i = 0; i < 3; i++)
            unregister_fs(&filesystems[i]);
        io_stop_raw();
        assert_false(disk->Vpb->Flags & VPB_MOUNTED);
    }
}

static void
R132__raw__only_for_volume_opens(void **state)
{
    PFILE_OBJECT file;

    (void) state;
    assert_int_equal(io_start_raw(), STATUS_SUCCESS);
    register_fs(0, 'b', 0);
    assert_int_equal(open_name(&file), STATUS_UNRECOGNIZED_VOLUME);
    assert_false(disk->Vpb->Flags & (VPB_MOUNTED | VPB_RAW_MOUNT));
    assert_int_equal(io_open_device(disk, FILE_READ_DATA, &file),
                     STATUS_SUCCESS);
    assert_true(disk->Vpb->Flags & VPB_RAW_MOUNT);
    assert_true(disk->Vpb->Flags & VPB_DIRECT_WRITES_ALLOWED);
    assert_true(file->Flags & FO_VOLUME_OPEN);
    io_close_file(file);
}

static void
R132__raw__the_only_file_system__is_tried(void **state)
{
    PFILE_OBJECT file;

    (void) state;
    assert_int_equal(io_start_raw(), STATUS_SUCCESS);
    assert_int_equal(open_name(&file), STATUS_OBJECT_PATH_NOT_FOUND);
    assert_true(disk->Vpb->Flags & VPB_MOUNTED);
}

static void
raw__medium_changed__next_open_mounts_anew(void **state)
{
    PFILE_OBJECT file;
    PVPB old;

    (void) state;
    assert_int_equal(io_start_raw(), STATUS_SUCCESS);
    assert_int_equal(io_open_device(disk, FILE_READ_DATA, &file),
                     STATUS_SUCCESS);
    io_close_file(file);
    old = disk->Vpb;
    disk->Flags |= DO_VERIFY_VOLUME;
    register_fs(0, 'a', 0);
    assert_int_equal(io_open_device(disk, FILE_READ_DATA, &file),
                     STATUS_SUCCESS);
    assert_ptr_not_equal(disk->Vpb, old);
    assert_int_equal(disk->Vpb->SerialNumber, 'a');
    io_close_file(file);
    medium_status = STATUS_NO_MEDIA_IN_DEVICE;
}

static NTSTATUS
transfer(PFILE_OBJECT file, UCHAR major)
{
    LARGE_INTEGER zero = { .QuadPart = 0 };
    PDEVICE_OBJECT target = IoGetRelatedDeviceObject(file);
    IO_STATUS_BLOCK iosb;
    char buffer[512];
    KEVENT event;
    PIRP irp;

    KeInitializeEvent(&event, NotificationEvent, FALSE);
    irp = IoBuildSynchronousFsdRequest(major, target, buffer, sizeof buffer,
                                       &zero, &event, &iosb);
    return IoCallDriver(target, irp);
}

static void
raw__medium_changed__old_file_reads_and_writes_nothing(void **state)
{
    PFILE_OBJECT old, fresh;

    (void) state;
    assert_int_equal(io_start_raw(), STATUS_SUCCESS);
    assert_int_equal(io_open_device(disk, FILE_READ_DATA, &old),
                     STATUS_SUCCESS);
    assert_int_equal(transfer(old, IRP_MJ_READ), STATUS_SUCCESS);
    assert_int_equal(transfers, 1);
    disk->Flags |= DO_VERIFY_VOLUME;
    assert_int_equal(io_open_device(disk, FILE_READ_DATA, &fresh),
                     STATUS_SUCCESS);
    assert_ptr_not_equal(fresh->Vpb, old->Vpb);
    assert_int_equal(transfer(fresh, IRP_MJ_WRITE), STATUS_SUCCESS);
    assert_int_equal(transfers, 2);
    assert_int_equal(transfer(old, IRP_MJ_READ), STATUS_WRONG_VOLUME);
    assert_int_equal(transfer(old, IRP_MJ_WRITE), STATUS_WRONG_VOLUME);
    assert_int_equal(transfers, 2);
    io_close_file(old);
    io_close_file(fresh);
}

/* Another create for the volume of that file. */
static NTSTATUS
create_on(PFILE_OBJECT file)
{
    PDEVICE_OBJECT target = IoGetRelatedDeviceObject(file);
    IO_STATUS_BLOCK iosb;
    KEVENT event;
    PIRP irp;

    KeInitializeEvent(&event, NotificationEvent, FALSE);
    irp = IoBuildSynchronousFsdRequest(IRP_MJ_FLUSH_BUFFERS, target, NULL, 0,
                                       NULL, &event, &iosb);
    IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_CREATE;
    IoGetNextIrpStackLocation(irp)->FileObject = file;
    return IoCallDriver(target, irp);
}

static NTSTATUS
verify_by_another(void)
{
    disk->Flags |= DO_VERIFY_VOLUME;
    return IoVerifyVolume(disk, TRUE);
}

/* On its way to the volume when another thread finds the medium changed. */
static void
raw__open_on_its_way__change_meanwhile__opens_the_new_volume(void **state)
{
    PFILE_OBJECT first, file;
    PVPB old;

    (void) state;
    assert_int_equal(io_start_raw(), STATUS_SUCCESS);
    assert_int_equal(io_open_device(disk, FILE_READ_DATA, &first),
                     STATUS_SUCCESS);
    old = disk->Vpb;
    assert_int_equal(verify_by_another(), STATUS_WRONG_VOLUME);
    assert_ptr_not_equal(disk->Vpb, old);
    /* As such an open does: a create for a volume that is not current. */
    assert_int_equal(io_open_device(disk, FILE_READ_DATA, &file),
                     STATUS_SUCCESS);
    assert_ptr_equal(file->Vpb, disk->Vpb);
    assert_int_equal(create_on(first), STATUS_REPARSE);
    io_close_file(file);
    io_close_file(first);
}

static void
R133_R134_R135__mount_request__as_documented(void **state)
{
    struct fs *fs = register_fs(0, 'a', 0);
    PFILE_OBJECT file;
    PVPB vpb = disk->Vpb;

    (void) state;
    disk->Flags |= DO_VERIFY_VOLUME;
    medium = 'x';
    assert_int_equal(open_name(&file), STATUS_UNRECOGNIZED_VOLUME);
    assert_false(vpb->Flags & VPB_MOUNTED);
    assert_int_equal(fs->major, 0x0D);
    assert_int_equal(fs->minor, 1);
    assert_int_equal(fs->mode, KernelMode);
    assert_ptr_equal(fs->thread, PsGetCurrentThread());
    assert_int_equal(fs->irp_flags, 0x42);
    assert_int_equal(fs->location_flags, 0);
    assert_ptr_equal(fs->vpb, vpb);
    assert_ptr_equal(fs->device, filter);
    assert_true(fs->stack_count >= filter->StackSize + 1);
    assert_false(fs->device_flags & DO_VERIFY_VOLUME);

    medium = 'a';
    assert_int_equal(io_open_device(disk, FILE_READ_DATA, &file),
                     STATUS_SUCCESS);
    assert_int_equal(fs->location_flags, SL_ALLOW_RAW_MOUNT);
    assert_true(vpb->Flags & VPB_MOUNTED);
    assert_ptr_equal(vpb->DeviceObject, volumes[0]);
    assert_int_equal(volumes[0]->StackSize, filter->StackSize + 1);
    assert_ptr_equal(file->Vpb, vpb);
    assert_ptr_equal(file->DeviceObject, disk);
    assert_int_equal(vpb->ReferenceCount, 1);
    assert_int_equal(disk->ReferenceCount, 1);
    assert_ptr_equal(IoGetRelatedDeviceObject(file), volumes[0]);
    assert_ptr_equal(IoGetBaseFileSystemDeviceObject(file), volumes[0]);
    io_close_file(file);
    assert_int_equal(vpb->ReferenceCount, 0);
    assert_int_equal(disk->ReferenceCount, 0);
    assert_int_equal(cleanups, 1);
    assert_int_equal(closes, 1);

    open_and_close();
    assert_int_equal(fs->mounts, 2);
}

static void
R136__unrecognized__next_one_is_tried(void **state)
{
    PFILE_OBJECT file;

    (void) state;
    register_fs(0, 'b', 0);
    register_fs(1, 'c', 0);
    assert_int_equal(open_name(&file), STATUS_UNRECOGNIZED_VOLUME);
    assert_int_equal(calls, 2);
    medium = 'b';
    open_and_close();
}

static void
no_file_system_at_all__unrecognized(void **state)
{
    PFILE_OBJECT file;

    (void) state;
    assert_int_equal(open_name(&file), STATUS_UNRECOGNIZED_VOLUME);
}

static void
R137__total_failure__stops_the_pass__not_with_raw(void **state)
{
    PFILE_OBJECT file;

    (void) state;
    register_fs(0, 'a', 0);
    register_fs(1, 'b', 0)->refuse = STATUS_NO_MEDIA_IN_DEVICE;
    assert_int_equal(open_name(&file), STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(calls, 1);
    assert_int_equal(io_open_device(disk, FILE_READ_DATA, &file),
                     STATUS_SUCCESS);
    io_close_file(file);
}

static void
user_induced_with_information_1__stops_even_with_raw(void **state)
{
    struct fs *fs;
    PFILE_OBJECT file;

    (void) state;
    register_fs(0, 'a', 0);
    fs = register_fs(1, 'b', 0);
    fs->refuse = STATUS_DEVICE_NOT_READY;
    fs->refuse_information = 1;
    assert_int_equal(io_open_device(disk, FILE_READ_DATA, &file),
                     STATUS_DEVICE_NOT_READY);
    assert_int_equal(calls, 1);
}

static void
R138__crc_and_data_errors__do_not_stop_the_pass(void **state)
{
    (void) state;
    register_fs(0, 'a', 0);
    register_fs(1, 'b', 0)->refuse = STATUS_CRC_ERROR;
    register_fs(2, 'c', 0)->refuse = STATUS_DEVICE_DATA_ERROR;
    open_and_close();
    assert_int_equal(calls, 3);
}

static void
load_the_real_one(void)
{
    register_fs(3, 'a', 0);
    IoUnregisterFileSystem(filesystems[0].control);
}

static void
R139__fs_driver_required__loads_and_restarts(void **state)
{
    struct fs *fs = register_fs(0, 'r', 0);

    (void) state;
    fs->refuse = STATUS_FS_DRIVER_REQUIRED;
    in_load = load_the_real_one;
    open_and_close();
    assert_int_equal(fs->loads, 1);
    assert_int_equal(filesystems[3].mounts, 1);
    IoDeleteDevice(fs->control);
    fs->control = NULL;
}

static void
load_nothing(void)
{
}

static void
fs_driver_required__never_loads__ends(void **state)
{
    PFILE_OBJECT file;

    (void) state;
    register_fs(0, 'r', 0)->refuse = STATUS_FS_DRIVER_REQUIRED;
    in_load = load_nothing;
    assert_false(NT_SUCCESS(open_name(&file)));
}

static void
register_another(struct fs *fs)
{
    in_mount = NULL;
    (void) fs;
    register_fs(3, 'a', 0);
}

static void
registration_during_a_pass__restarts_it(void **state)
{
    (void) state;
    register_fs(0, 'b', 0);
    in_mount = register_another;
    open_and_close();
    assert_int_equal(filesystems[3].mounts, 1);
}

static void
R140__locked_volume__access_denied(void **state)
{
    PFILE_OBJECT file;

    (void) state;
    register_fs(0, 'a', 0);
    open_and_close();
    disk->Vpb->Flags |= VPB_LOCKED;
    creates = 0;
    assert_int_equal(open_name(&file), STATUS_ACCESS_DENIED);
    assert_int_equal(io_open_device(disk, FILE_READ_DATA, &file),
                     STATUS_ACCESS_DENIED);
    assert_int_equal(creates, 0);
    assert_int_equal(disk->Vpb->ReferenceCount, 0);
}

static void
R141__remove_pending__no_mount(void **state)
{
    PFILE_OBJECT file;

    (void) state;
    register_fs(0, 'a', 0);
    disk->Vpb->Flags |= VPB_REMOVE_PENDING;
    assert_int_equal(open_name(&file), STATUS_DEVICE_DOES_NOT_EXIST);
    assert_int_equal(calls, 0);
}

static void
R142_R143__remount__open_runs_again__bounded(void **state)
{
    PFILE_OBJECT file;

    (void) state;
    register_fs(0, 'a', 0);
    remounts_left = IO_REMOUNT_LIMIT;
    open_and_close();
    assert_int_equal(creates, IO_REMOUNT_LIMIT + 1);
    remounts_left = 1000;
    assert_int_equal(open_name(&file), STATUS_UNSUCCESSFUL);
    assert_int_equal(creates, 2 * (IO_REMOUNT_LIMIT + 1));
    assert_int_equal(disk->Vpb->ReferenceCount, 0);
}

/* What fastfat's create does when the medium is another. */
static void
verify_in_create(void)
{
    medium = 'b';
    disk->Flags |= DO_VERIFY_VOLUME;
    assert_int_equal(IoVerifyVolume(disk, FALSE), STATUS_WRONG_VOLUME);
}

static void
R142__remount__second_result_is_the_callers(void **state)
{
    PFILE_OBJECT file;
    PVPB old = disk->Vpb;

    (void) state;
    register_fs(0, 'a', 0);
    register_fs(1, 'b', 0);
    remounts_left = 1;
    in_create = verify_in_create;
    assert_int_equal(open_name(&file), STATUS_SUCCESS);
    assert_int_equal(creates, 2);
    /* The volume that is in the drive now, not the one that was. */
    assert_ptr_not_equal(file->Vpb, old);
    assert_ptr_equal(file->Vpb, disk->Vpb);
    assert_ptr_equal(IoGetRelatedDeviceObject(file), volumes[1]);
    assert_int_equal(old->ReferenceCount, 0);
    assert_int_equal(file->Vpb->ReferenceCount, 1);
    io_close_file(file);

    in_create = NULL;
    remounts_left = 1;
    create_status = STATUS_ACCESS_DENIED;
    assert_int_equal(open_name(&file), STATUS_ACCESS_DENIED);
    assert_int_equal(creates, 4);
}

/* Exactly those rights, and no name. */
static void
R144__each_right_and_a_name__mounted_or_not(void **state)
{
    static const struct {
        ACCESS_MASK access;
        bool direct;
    } rights[] = {
        { 0x00100000, true },  { 0x00000080, true },  { 0x00020000, true },
        { 0x01000000, true },  { 0x00080000, true },  { 0x00040000, true },
        { 0x011E0080, true },  { 0x00000001, false }, { 0x00000002, false },
        { 0x00000004, false }, { 0x00000100, false }, { 0x00010000, false },
        { 0x00100081, false },
    };

    (void) state;
    register_fs(0, 'a', 0);
    open_and_close();
    for (size_t i = 0; i < ARRAYSIZE(rights); i++) {
        PFILE_OBJECT file;

        assert_int_equal(io_open_device(disk, rights[i].access, &file),
                         STATUS_SUCCESS);
        assert_int_equal(file->Vpb == NULL, rights[i].direct);
        assert_int_equal(disk->Vpb->ReferenceCount, !rights[i].direct);
        io_close_file(file);
        assert_int_equal(
            io_open_file(disk, rights[i].access, &file_name, &file),
            STATUS_SUCCESS);
        assert_ptr_equal(file->Vpb, disk->Vpb);
        io_close_file(file);
    }
}

static void
R144__attributes_only__direct_open_without_mount(void **state)
{
    PFILE_OBJECT file;

    (void) state;
    register_fs(0, 'a', 0);
    assert_int_equal(
        io_open_device(disk, FILE_READ_ATTRIBUTES | SYNCHRONIZE, &file),
        STATUS_SUCCESS);
    assert_int_equal(calls, 0);
    assert_null(file->Vpb);
    assert_true(file->Flags & FO_DIRECT_DEVICE_OPEN);
    assert_int_equal(disk->Vpb->ReferenceCount, 0);
    assert_int_equal(direct_creates, 1);
    assert_ptr_equal(IoGetRelatedDeviceObject(file), filter);
    io_close_file(file);
}

static void
create_fails__vpb_reference_dropped(void **state)
{
    PFILE_OBJECT file;

    (void) state;
    register_fs(0, 'a', 0);
    create_status = STATUS_ACCESS_DENIED;
    assert_int_equal(open_name(&file), STATUS_ACCESS_DENIED);
    assert_int_equal(disk->Vpb->ReferenceCount, 0);
    assert_int_equal(disk->ReferenceCount, 0);
    assert_int_equal(closes, 0);
}

static void
last_dereference_at_dispatch__closes_on_a_worker(void **state)
{
    PFILE_OBJECT file;
    KIRQL irql;

    (void) state;
    register_fs(0, 'a', 0);
    assert_int_equal(open_name(&file), STATUS_SUCCESS);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    ObDereferenceObject(file);
    KeLowerIrql(irql);
    wait_for_value(&disk->ReferenceCount, 0);
    assert_int_equal(cleanups, 1);
    assert_int_equal(closes, 1);
}

static void
allocation_failures__anywhere__fail_the_open_cleanly(void **state)
{
    PFILE_OBJECT file;
    NTSTATUS status = STATUS_UNSUCCESSFUL;
    unsigned n;

    (void) state;
    register_fs(0, 'a', 0);
    open_and_close();
    for (n = 1; !NT_SUCCESS(status) && n < 50; n++) {
        fault_set("irp", n, false);
        status = open_name(&file);
        if (!NT_SUCCESS(status))
            assert_int_equal(status, STATUS_INSUFFICIENT_RESOURCES);
    }
    fault_clear();
    io_close_file(file);
    assert_true(n > 2);
    assert_int_equal(disk->Vpb->ReferenceCount, 0);
    assert_int_equal(disk->ReferenceCount, 0);
}

/* --- 8.9 ----------------------------------------------------------------- */

static void
R145__verify__nothing_mounted__mounts_and_succeeds(void **state)
{
    struct fs *fs = register_fs(0, 'a', 0);
    PVPB vpb = disk->Vpb;

    (void) state;
    assert_int_equal(IoVerifyVolume(disk, FALSE), STATUS_SUCCESS);
    assert_int_equal(fs->mounts, 1);
    assert_true(disk->Vpb->Flags & VPB_MOUNTED);
    assert_ptr_equal(disk->Vpb, vpb);
    assert_int_equal(vpb->ReferenceCount, 0);
}

static void
R145__verify__nothing_mounted_nor_mountable__still_success(void **state)
{
    struct fs *fs = register_fs(0, 'b', 0);

    (void) state;
    disk->Flags |= DO_VERIFY_VOLUME;
    assert_int_equal(IoVerifyVolume(disk, FALSE), STATUS_SUCCESS);
    assert_int_equal(fs->mounts, 1);
    assert_false(disk->Flags & DO_VERIFY_VOLUME);
}

static void
R146_R148__verify__unchanged(void **state)
{
    struct fs *fs = register_fs(0, 'a', 0);
    PVPB vpb = disk->Vpb;

    (void) state;
    open_and_close();
    disk->Flags |= DO_VERIFY_VOLUME;
    assert_int_equal(IoVerifyVolume(disk, TRUE), STATUS_SUCCESS);
    assert_int_equal(fs->verifies, 1);
    assert_int_equal(fs->major, 0x0D);
    assert_int_equal(fs->minor, 2);
    assert_int_equal(fs->mode, KernelMode);
    assert_ptr_equal(fs->thread, PsGetCurrentThread());
    assert_int_equal(fs->irp_flags, 0x42);
    assert_int_equal(fs->location_flags, SL_ALLOW_RAW_MOUNT);
    assert_ptr_equal(fs->vpb, vpb);
    assert_ptr_equal(fs->device, volumes[0]);
    assert_false(disk->Flags & DO_VERIFY_VOLUME);
    assert_ptr_equal(disk->Vpb, vpb);
    assert_int_equal(vpb->ReferenceCount, 0);
    IoVerifyVolume(disk, FALSE);
    assert_int_equal(fs->location_flags, 0);
}

static void
R147__verify__changed__new_vpb_with_the_new_volume(void **state)
{
    PFILE_OBJECT old_file, new_file;
    PVPB old = disk->Vpb;

    (void) state;
    register_fs(0, 'a', 0);
    register_fs(1, 'b', 0);
    assert_int_equal(open_name(&old_file), STATUS_SUCCESS);
    medium = 'b';
    disk->Flags |= DO_VERIFY_VOLUME;
    assert_int_equal(IoVerifyVolume(disk, FALSE), STATUS_WRONG_VOLUME);
    assert_ptr_not_equal(disk->Vpb, old);
    assert_true(disk->Vpb->Flags & VPB_MOUNTED);
    assert_int_equal(disk->Vpb->SerialNumber, 'b');
    assert_int_equal(disk->Vpb->ReferenceCount, 0);
    /* The old one is as it was, for when its medium comes back. */
    assert_true(old->Flags & VPB_MOUNTED);
    assert_ptr_equal(old->DeviceObject, volumes[0]);
    assert_ptr_equal(old->RealDevice, disk);
    assert_int_equal(old->ReferenceCount, 1);
    assert_ptr_equal(IoGetRelatedDeviceObject(old_file), volumes[0]);

    assert_int_equal(open_name(&new_file), STATUS_SUCCESS);
    assert_ptr_equal(IoGetRelatedDeviceObject(new_file), volumes[1]);
    io_close_file(new_file);
    io_close_file(old_file);
}

/* As a file system does that has no open files on the volume. */
static void
give_up(void)
{
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    disk->Vpb->Flags &= (USHORT) ~VPB_MOUNTED;
    assert_int_equal(disk->Vpb->ReferenceCount, 1);
    IoReleaseVpbSpinLock(irql);
    IoDeleteDevice(volumes[0]);
    volume_count = 0;
    verify_status = STATUS_WRONG_VOLUME;
}

static void
verify__file_system_gives_the_volume_up__old_vpb_is_freed(void **state)
{
    (void) state;
    register_fs(0, 'a', 0);
    register_fs(1, 'b', 0);
    open_and_close();
    medium = 'b';
    disk->Flags |= DO_VERIFY_VOLUME;
    in_verify = give_up;
    assert_int_equal(IoVerifyVolume(disk, FALSE), STATUS_WRONG_VOLUME);
    assert_int_equal(disk->Vpb->SerialNumber, 'b');
}

static struct fs *remounting;

/* Volume a again: the file system puts its old VPB back, as fastfat does. */
static void
swap_back(struct fs *fs)
{
    PVPB fresh = fs->vpb;
    struct volume *volume = volumes[0]->DeviceExtension;
    KIRQL irql;

    if (fs != remounting || medium != 'a')
        return;
    IoAcquireVpbSpinLock(&irql);
    fresh->RealDevice->Vpb = volume->vpb;
    IoReleaseVpbSpinLock(irql);
    ExFreePool(fresh);
    fs->letter = '!'; /* no new volume device */
    fs->refuse = STATUS_SUCCESS;
}

static void
verify__old_volume_comes_back__remounted_on_its_own_vpb(void **state)
{
    PFILE_OBJECT file;
    PVPB old = disk->Vpb;

    (void) state;
    remounting = register_fs(0, 'a', 0);
    register_fs(1, 'b', 0);
    assert_int_equal(open_name(&file), STATUS_SUCCESS);
    medium = 'b';
    disk->Flags |= DO_VERIFY_VOLUME;
    assert_int_equal(IoVerifyVolume(disk, FALSE), STATUS_WRONG_VOLUME);
    medium = 'a';
    in_mount = swap_back;
    disk->Flags |= DO_VERIFY_VOLUME;
    assert_int_equal(IoVerifyVolume(disk, FALSE), STATUS_WRONG_VOLUME);
    assert_ptr_equal(disk->Vpb, old);
    assert_int_equal(old->ReferenceCount, 1);
    io_close_file(file);
}

static void *
open_in_background(void *out_file)
{
    assert_int_equal(open_name(out_file), STATUS_SUCCESS);
    return NULL;
}

static pthread_t opener;
static PFILE_OBJECT opened;

/* With DeviceLock held by the verify, an open that must mount waits. */
static void
start_an_open(void)
{
    const struct timespec pause = { .tv_nsec = 20000000 };
    KIRQL irql;

    if (opener != 0)
        return;
    IoAcquireVpbSpinLock(&irql);
    disk->Vpb->Flags &= (USHORT) ~VPB_MOUNTED;
    IoReleaseVpbSpinLock(irql);
    assert_int_equal(pthread_create(&opener, NULL, open_in_background, &opened),
                     0);
    assert_int_equal(KeReadStateEvent(&disk->DeviceLock), 0);
    nanosleep(&pause, NULL);
    assert_null(__atomic_load_n(&opened, __ATOMIC_ACQUIRE));
    assert_int_equal(filesystems[0].mounts, 1);
    IoAcquireVpbSpinLock(&irql);
    disk->Vpb->Flags |= VPB_MOUNTED;
    IoReleaseVpbSpinLock(irql);
}

static void
R149__device_lock__an_open_waits_for_the_verify(void **state)
{
    (void) state;
    register_fs(0, 'a', 0);
    open_and_close();
    in_verify = start_an_open;
    opener = 0;
    opened = NULL;
    disk->Flags |= DO_VERIFY_VOLUME;
    assert_int_equal(IoVerifyVolume(disk, FALSE), STATUS_SUCCESS);
    pthread_join(opener, NULL);
    assert_non_null(opened);
    assert_int_equal(filesystems[0].mounts, 1);
    io_close_file(opened);
}

/* Called by the file system that is to mount the new volume. */
static void
open_while_it_mounts(struct fs *fs)
{
    const struct timespec pause = { .tv_nsec = 20000000 };

    if (fs->letter != 'b' || opener != 0)
        return;
    assert_int_equal(pthread_create(&opener, NULL, open_in_background, &opened),
                     0);
    assert_int_equal(KeReadStateEvent(&disk->DeviceLock), 0);
    nanosleep(&pause, NULL);
    assert_null(__atomic_load_n(&opened, __ATOMIC_ACQUIRE));
}

static void
R149__device_lock__an_open_waits_for_the_mount_that_follows(void **state)
{
    (void) state;
    register_fs(0, 'a', 0);
    register_fs(1, 'b', 0);
    open_and_close();
    opener = 0;
    opened = NULL;
    filesystems[1].mounts = 0;
    in_mount = open_while_it_mounts;
    medium = 'b';
    disk->Flags |= DO_VERIFY_VOLUME;
    assert_int_equal(IoVerifyVolume(disk, FALSE), STATUS_WRONG_VOLUME);
    pthread_join(opener, NULL);
    assert_int_equal(KeReadStateEvent(&disk->DeviceLock), 1);
    assert_int_equal(filesystems[1].mounts, 1);
    assert_ptr_equal(IoGetRelatedDeviceObject(opened), volumes[1]);
    io_close_file(opened);
}

/* A drive that says at every look that the medium has changed. */
static void
set_flag_again(struct fs *fs)
{
    (void) fs;
    InterlockedOr((LONG *) &disk->Flags, DO_VERIFY_VOLUME);
}

static void
R150__remount_fails_and_the_drive_sets_the_flag__clear(void **state)
{
    (void) state;
    register_fs(0, 'a', 0);
    open_and_close();
    medium = 'x';
    filesystems[0].refuse = STATUS_NO_MEDIA_IN_DEVICE;
    in_mount = set_flag_again;
    disk->Flags |= DO_VERIFY_VOLUME;
    assert_int_equal(IoVerifyVolume(disk, FALSE), STATUS_WRONG_VOLUME);
    assert_int_equal(filesystems[0].mounts, 2);
    assert_false(disk->Flags & DO_VERIFY_VOLUME);
    assert_false(disk->Vpb->Flags & VPB_MOUNTED);
}

static void
R150__verify__changed_and_not_mountable(void **state)
{
    PVPB old = disk->Vpb;

    (void) state;
    register_fs(0, 'a', 0);
    open_and_close();
    medium = 'x';
    disk->Flags |= DO_VERIFY_VOLUME;
    disk->Vpb->Flags |= VPB_REMOVE_PENDING;
    assert_int_equal(IoVerifyVolume(disk, FALSE), STATUS_WRONG_VOLUME);
    assert_false(disk->Flags & DO_VERIFY_VOLUME);
    assert_ptr_not_equal(disk->Vpb, old);
    assert_false(disk->Vpb->Flags & VPB_MOUNTED);
    assert_true(disk->Vpb->Flags & VPB_REMOVE_PENDING);
}

static void
R151__verify__other_failures__nothing_changes(void **state)
{
    PVPB vpb = disk->Vpb;

    (void) state;
    register_fs(0, 'a', 0);
    open_and_close();
    verify_status = STATUS_NO_MEDIA_IN_DEVICE;
    disk->Flags |= DO_VERIFY_VOLUME;
    assert_int_equal(IoVerifyVolume(disk, FALSE), STATUS_NO_MEDIA_IN_DEVICE);
    assert_true(disk->Flags & DO_VERIFY_VOLUME);
    assert_ptr_equal(disk->Vpb, vpb);
    assert_true(vpb->Flags & VPB_MOUNTED);
    assert_int_equal(vpb->ReferenceCount, 0);
}

static void
R152__verify__no_memory__nothing_changes(void **state)
{
    PVPB vpb = disk->Vpb;

    (void) state;
    register_fs(0, 'a', 0);
    open_and_close();
    disk->Flags |= DO_VERIFY_VOLUME;
    fault_set("irp", 1, false);
    assert_int_equal(IoVerifyVolume(disk, FALSE),
                     STATUS_INSUFFICIENT_RESOURCES);
    fault_clear();
    assert_true(disk->Flags & DO_VERIFY_VOLUME);
    assert_ptr_equal(disk->Vpb, vpb);
    assert_true(vpb->Flags & VPB_MOUNTED);
    assert_int_equal(KeReadStateEvent(&disk->DeviceLock), 1);
}

/* As fastfat and ours do for another volume. */
static void
clear_flag_and_fail(void)
{
    InterlockedAnd((LONG *) &disk->Flags, ~DO_VERIFY_VOLUME);
    verify_status = STATUS_WRONG_VOLUME;
    fault_set("pool", 1, false);
}

static void
verify__changed_and_no_memory_for_the_vpb__verified_again(void **state)
{
    PVPB vpb = disk->Vpb;

    (void) state;
    register_fs(0, 'a', 0);
    register_fs(1, 'b', 0);
    open_and_close();
    medium = 'b';
    disk->Flags |= DO_VERIFY_VOLUME;
    in_verify = clear_flag_and_fail;
    assert_int_equal(IoVerifyVolume(disk, FALSE),
                     STATUS_INSUFFICIENT_RESOURCES);
    fault_clear();
    assert_int_equal(filesystems[1].mounts, 1); /* asked at the first open */
    assert_ptr_equal(disk->Vpb, vpb);
    assert_true(disk->Flags & DO_VERIFY_VOLUME);
    in_verify = NULL;
    verify_status = STATUS_SUCCESS;
    assert_int_equal(IoVerifyVolume(disk, FALSE), STATUS_WRONG_VOLUME);
    assert_int_equal(disk->Vpb->SerialNumber, 'b');
}

static void *
verify_in_background(void *result)
{
    *(NTSTATUS *) result = IoVerifyVolume(disk, FALSE);
    return NULL;
}

static void
R153__two_threads__same_change__both_succeed(void **state)
{
    pthread_t threads[2];
    NTSTATUS results[2];

    (void) state;
    register_fs(0, 'a', 0);
    open_and_close();
    disk->Flags |= DO_VERIFY_VOLUME;
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, verify_in_background, &results[i]);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(results[i], STATUS_SUCCESS);
    }
    assert_int_equal(filesystems[0].verifies, 2);
    assert_int_equal(compared, 1);
    assert_false(disk->Flags & DO_VERIFY_VOLUME);
}

static pthread_t second_thread;
static NTSTATUS second_result;

/* While the first is with the file system. */
static void
start_the_second(void)
{
    const struct timespec pause = { .tv_nsec = 20000000 };

    if (second_thread != 0)
        return;
    second_result = STATUS_PENDING;
    assert_int_equal(pthread_create(&second_thread, NULL, verify_in_background,
                                    &second_result),
                     0);
    nanosleep(&pause, NULL);
    assert_int_equal(filesystems[0].verifies + filesystems[1].verifies, 1);
}

/* Of a medium that is another, too: one finds it, the other finds the flag
 * clear on the new volume. */
static void
R153__second_waits__flag_clear__success_without_a_look(void **state)
{
    (void) state;
    register_fs(0, 'a', 0);
    register_fs(1, 'b', 0);
    open_and_close();
    for (int changed = 0; changed < 2; changed++) {
        filesystems[0].verifies = filesystems[1].verifies = compared = 0;
        second_thread = 0;
        in_verify = start_the_second;
        if (changed)
            medium = 'b';
        disk->Flags |= DO_VERIFY_VOLUME;
        assert_int_equal(IoVerifyVolume(disk, FALSE),
                         changed ? STATUS_WRONG_VOLUME : STATUS_SUCCESS);
        pthread_join(second_thread, NULL);
        assert_int_equal(second_result, STATUS_SUCCESS);
        assert_int_equal(compared, 1);
        assert_int_equal(filesystems[changed].verifies, changed ? 1 : 2);
        assert_false(disk->Flags & DO_VERIFY_VOLUME);
    }
    assert_int_equal(disk->Vpb->SerialNumber, 'b');
}

static void
drive_gone__volume_still_names_it__can_be_looked_at(void **state)
{
    PDEVICE_OBJECT gone = disk;
    ULONG_PTR information;
    struct volume *volume;

    (void) state;
    register_fs(0, 'a', 0);
    open_and_close();
    volume = volumes[0]->DeviceExtension;
    IoDetachDevice(disk);
    IoDeleteDevice(filter);
    IoDeleteDevice(disk);
    /* An absent volume: the drive is unplugged, the VPB is there. */
    assert_ptr_equal(volume->vpb->RealDevice, gone);
    assert_true(volume->vpb->Flags & VPB_MOUNTED);
    assert_int_equal(io_device_control(gone, IOCTL_STORAGE_CHECK_VERIFY, NULL,
                                       0, NULL, 0, 0, &information),
                     STATUS_SUCCESS);
    assert_int_equal(IoVerifyVolume(gone, FALSE), STATUS_SUCCESS);

    /* For each_end. */
    disk = new_device(disk_driver, FILE_DEVICE_DISK, 0, NULL);
    filter = new_device(disk_driver, FILE_DEVICE_DISK, 0, NULL);
    IoAttachDeviceToDeviceStack(filter, disk);
}

static void
total_device_failure__as_documented(void **state)
{
    (void) state;
    assert_false(FsRtlIsTotalDeviceFailure(STATUS_SUCCESS));
    assert_false(FsRtlIsTotalDeviceFailure(STATUS_CRC_ERROR));
    assert_false(FsRtlIsTotalDeviceFailure(STATUS_DEVICE_DATA_ERROR));
    assert_true(FsRtlIsTotalDeviceFailure(STATUS_NO_MEDIA_IN_DEVICE));
    assert_true(FsRtlIsTotalDeviceFailure(STATUS_VERIFY_REQUIRED));
    assert_false(FsRtlIsNtstatusExpected(STATUS_ACCESS_VIOLATION));
    assert_true(FsRtlIsNtstatusExpected(STATUS_WRONG_VOLUME));
}

static int
setup(void **state)
{
    static const UCHAR majors[] = {
        IRP_MJ_CREATE,
        IRP_MJ_CLEANUP,
        IRP_MJ_CLOSE,
        IRP_MJ_DEVICE_CONTROL,
    };
    static const UCHAR transferring[] = { IRP_MJ_READ, IRP_MJ_WRITE };

    io_setup(state);
    disk_driver = new_driver("disk");
    fs_driver = new_driver("fs");
    for (size_t i = 0; i < ARRAYSIZE(majors); i++) {
        disk_driver->MajorFunction[majors[i]] = disk_dispatch;
        fs_driver->MajorFunction[majors[i]] = fs_dispatch;
    }
    for (size_t i = 0; i < ARRAYSIZE(transferring); i++)
        disk_driver->MajorFunction[transferring[i]] = disk_dispatch;
    fs_driver->MajorFunction[IRP_MJ_FILE_SYSTEM_CONTROL] = fs_dispatch;
    return 0;
}

static int
teardown(void **state)
{
    io_unload_driver(disk_driver);
    io_unload_driver(fs_driver);
    return io_teardown(state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, each, each_end)
        T(R131__first_open__last_registered_is_asked_first),
        T(R131__raw__last__whenever_registered),
        T(R132__raw__only_for_volume_opens),
        T(R132__raw__the_only_file_system__is_tried),
        T(raw__medium_changed__next_open_mounts_anew),
        T(raw__medium_changed__old_file_reads_and_writes_nothing),
        T(raw__open_on_its_way__change_meanwhile__opens_the_new_volume),
        T(R133_R134_R135__mount_request__as_documented),
        T(R136__unrecognized__next_one_is_tried),
        T(no_file_system_at_all__unrecognized),
        T(R137__total_failure__stops_the_pass__not_with_raw),
        T(user_induced_with_information_1__stops_even_with_raw),
        T(R138__crc_and_data_errors__do_not_stop_the_pass),
        T(R139__fs_driver_required__loads_and_restarts),
        T(fs_driver_required__never_loads__ends),
        T(registration_during_a_pass__restarts_it),
        T(R140__locked_volume__access_denied),
        T(R141__remove_pending__no_mount),
        T(R142_R143__remount__open_runs_again__bounded),
        T(R142__remount__second_result_is_the_callers),
        T(R144__each_right_and_a_name__mounted_or_not),
        T(R144__attributes_only__direct_open_without_mount),
        T(create_fails__vpb_reference_dropped),
        T(last_dereference_at_dispatch__closes_on_a_worker),
        T(allocation_failures__anywhere__fail_the_open_cleanly),
        T(R145__verify__nothing_mounted__mounts_and_succeeds),
        T(R145__verify__nothing_mounted_nor_mountable__still_success),
        T(R146_R148__verify__unchanged),
        T(R147__verify__changed__new_vpb_with_the_new_volume),
        T(verify__file_system_gives_the_volume_up__old_vpb_is_freed),
        T(verify__old_volume_comes_back__remounted_on_its_own_vpb),
        T(R149__device_lock__an_open_waits_for_the_verify),
        T(R149__device_lock__an_open_waits_for_the_mount_that_follows),
        T(R150__remount_fails_and_the_drive_sets_the_flag__clear),
        T(R150__verify__changed_and_not_mountable),
        T(R151__verify__other_failures__nothing_changes),
        T(R152__verify__no_memory__nothing_changes),
        T(verify__changed_and_no_memory_for_the_vpb__verified_again),
        T(R153__two_threads__same_change__both_succeed),
        T(R153__second_waits__flag_clear__success_without_a_look),
        T(drive_gone__volume_still_names_it__can_be_looked_at),
        T(total_device_failure__as_documented),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
