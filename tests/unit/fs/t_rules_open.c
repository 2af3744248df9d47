/*
 * t_rules_open.c - opens that meet a change, and controls of a volume
 *
 * Expectations: sources named in tests/conformance/rules.txt; the FSCTLs'
 * documentation pages.
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

/* --- a filter above the volume, which sees its creates --------------------------- */

static struct {
    NTSTATUS status[16];
    ULONG_PTR information[16];
    unsigned n;
} creates;

static void
note_create(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at)
{
    (void) watch;
    if (at->MajorFunction != IRP_MJ_CREATE || creates.n == 16)
        return;
    creates.status[creates.n] = irp->IoStatus.Status;
    creates.information[creates.n++] = irp->IoStatus.Information;
}

static void
put_above(struct watch *watch, struct volume *volume)
{
    memset(watch, 0, sizeof *watch);
    memset(&creates, 0, sizeof creates);
    watch->after = note_create;
    watch_attach_to(watch, fs_volume_device(volume));
}

static void
take_off(struct watch *watch)
{
    IoDetachDevice(watch->lower);
    IoDeleteDevice(watch->device);
}

/* --- absolute and relative -------------------------------------------------------- */

static void
R164__absolute_open_that_met_a_change__reopened_silently(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("r164", "SAME", "64000001");
    struct volume *volume;
    struct watch above;
    PFILE_OBJECT file;

    put_in(d, path);
    volume = mount(d);
    put_above(&above, volume);
    swap(d, path);
    set_flag(d); /* the drive's event may still be on its way */
    assert_int_equal(open_volume(d, &file), STATUS_SUCCESS);
    assert_int_equal(creates.n, 2);
    assert_int_equal(creates.status[0], STATUS_REPARSE);
    assert_int_equal(creates.information[0], IO_REMOUNT);
    assert_int_equal(creates.status[1], STATUS_SUCCESS);
    assert_ptr_equal(file->Vpb, fs_volume_vpb(volume));
    assert_int_equal(asked(), 0);
    io_close_file(file);
    take_off(&above);
}

static void
R164__absolute_open__other_volume__opens_that_one(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    struct volume *volume;
    PFILE_OBJECT file;

    put_in(d, FAT("r164a", "FIRST", "64000002"));
    volume = mount(d);
    swap(d, FAT("r164b", "SECOND", "64000003"));
    set_flag(d);
    assert_int_equal(open_volume(d, &file), STATUS_SUCCESS);
    assert_ptr_not_equal(file->Vpb, fs_volume_vpb(volume));
    assert_ptr_equal(file->Vpb, d->fdo->Vpb);
    assert_int_equal(asked(), 0);
    io_close_file(file);
}

/* A create as a driver makes it that opens relative to a file. */
static NTSTATUS
open_relative(struct volume *volume, PFILE_OBJECT related, PFILE_OBJECT file)
{
    PDEVICE_OBJECT device = fs_volume_device(volume);
    PIRP irp = IoAllocateIrp(device->StackSize, FALSE);
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);
    struct req req = { .irp = irp };

    memset(file, 0, sizeof *file);
    file->Type = IO_TYPE_FILE;
    file->Size = sizeof *file;
    file->DeviceObject = related->DeviceObject;
    file->Vpb = related->Vpb;
    file->RelatedFileObject = related;
    next->MajorFunction = IRP_MJ_CREATE;
    next->FileObject = file;
    req_send(&req, device);
    return req_end(&req);
}

static void
close_relative(struct volume *volume, PFILE_OBJECT file)
{
    PDEVICE_OBJECT device = fs_volume_device(volume);
    PIRP irp = IoAllocateIrp(device->StackSize, FALSE);
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);
    struct req req = { .irp = irp };

    next->MajorFunction = IRP_MJ_CLEANUP;
    next->FileObject = file;
    req_send(&req, device);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
}

static void
R165__relative_open_that_met_a_change__tried_again_not_reparsed(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("r165", "SAME", "65000001");
    struct volume *volume;
    PFILE_OBJECT file;
    FILE_OBJECT relative;

    put_in(d, path);
    volume = mount(d);
    assert_int_equal(open_volume(d, &file), STATUS_SUCCESS);
    swap(d, path);
    set_flag(d);
    watch_reset(&d->watch);
    assert_int_equal(open_relative(volume, file, &relative), STATUS_SUCCESS);
    assert_true(watch_count(&d->watch, IRP_MJ_READ) > 0);
    assert_false(verify_flag(d));
    close_relative(volume, &relative);
    io_close_file(file);
}

static void
R166__cd__every_create__check_verify_without_override(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    PFILE_OBJECT file;

    put_in(d, ISO("r166", "DISC"));
    mount(d);
    for (int i = 0; i < 3; i++) {
        assert_false(verify_flag(d));
        watch_reset(&d->watch);
        assert_int_equal(open_volume(d, &file), STATUS_SUCCESS);
        assert_int_equal(watch_total(&d->watch), 1);
        assert_int_equal(d->watch.log[0].code, IOCTL_STORAGE_CHECK_VERIFY);
        assert_int_equal(d->watch.log[0].flags & SL_OVERRIDE_VERIFY_VOLUME, 0);
        io_close_file(file);
    }
}

/* One check-verify says success with another count; the flag, as the next one
 * with override finds it, is remembered. */
static struct drive_rig *counted;

static void
another_count_once(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at)
{
    PULONG out = irp->AssociatedIrp.SystemBuffer;

    if (at->MajorFunction != IRP_MJ_DEVICE_CONTROL ||
        at->Parameters.DeviceIoControl.IoControlCode !=
            IOCTL_STORAGE_CHECK_VERIFY)
        return;
    if ((at->Flags & SL_OVERRIDE_VERIFY_VOLUME) == 0 && watch->number == 0) {
        watch->number = 1;
        *out += 7;
    } else if ((at->Flags & SL_OVERRIDE_VERIFY_VOLUME) != 0 &&
               watch->number == 1) {
        watch->number = verify_flag(counted) ? 2 : 3;
    }
}

static void
R167__success_with_another_count__flag_set_verified(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    PFILE_OBJECT file;

    put_in(d, ISO("r167", "DISC"));
    mount(d);
    counted = d;
    d->watch.after = another_count_once;
    assert_false(verify_flag(d));
    assert_int_equal(open_volume(d, &file), STATUS_SUCCESS);
    assert_int_equal(d->watch.number, 2);
    assert_false(verify_flag(d));
    io_close_file(file);
}

static void
open__drive_is_empty__question_then_status(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    struct req req = { .irp = NULL };
    struct volume *volume;
    FILE_OBJECT file;
    PIO_STACK_LOCATION next;

    put_in(d, FAT("gone", "GONE", "64000009"));
    volume = mount(d);
    pull_out(d);
    memset(&file, 0, sizeof file);
    file.Type = IO_TYPE_FILE;
    file.Size = sizeof file;
    file.DeviceObject = d->fdo;
    file.Vpb = fs_volume_vpb(volume);
    req.irp = IoAllocateIrp(fs_volume_device(volume)->StackSize, FALSE);
    next = IoGetNextIrpStackLocation(req.irp);
    next->MajorFunction = IRP_MJ_CREATE;
    next->FileObject = &file;
    req_send(&req, fs_volume_device(volume));
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_NO_MEDIA_IN_DEVICE);
    answer(RI_CANCEL);
    assert_int_equal(req_end(&req), STATUS_NO_MEDIA_IN_DEVICE);
}

static void
open__other_names__not_found(void **state)
{
    static WCHAR text[] = L"\\file";
    UNICODE_STRING name = { sizeof text - 2, sizeof text, text };
    UNICODE_STRING root = { 2, 2, text };
    struct rig *rig = *state;
    PFILE_OBJECT file;

    put_in(&rig->d[0], FAT("names", "NAMES", "64000010"));
    assert_int_equal(io_open_file(rig->d[0].fdo, FILE_READ_DATA, &name, &file),
                     STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(io_open_file(rig->d[0].fdo, FILE_READ_DATA, &root, &file),
                     STATUS_SUCCESS);
    io_close_file(file);
}

/* --- lock, unlock, dismount ------------------------------------------------------------ */

static NTSTATUS
simple(PFILE_OBJECT file, ULONG code)
{
    return fsctl(file, code, NULL, 0, 0, NULL);
}

static USHORT
vpb_flags(PVPB vpb)
{
    USHORT flags;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    flags = vpb->Flags;
    IoReleaseVpbSpinLock(irql);
    return flags;
}

static void
lock__no_other_handle__opens_denied_until_unlocked(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    PFILE_OBJECT file, other;

    put_in(d, FAT("lock", "LOCKED", "70000001"));
    assert_int_equal(open_volume(d, &file), STATUS_SUCCESS);
    assert_int_equal(simple(file, FSCTL_UNLOCK_VOLUME), STATUS_NOT_LOCKED);
    assert_int_equal(simple(file, FSCTL_LOCK_VOLUME), STATUS_SUCCESS);
    assert_int_equal(vpb_flags(file->Vpb) &
                         (VPB_LOCKED | VPB_DIRECT_WRITES_ALLOWED),
                     VPB_LOCKED | VPB_DIRECT_WRITES_ALLOWED);
    assert_int_equal(open_volume(d, &other), STATUS_ACCESS_DENIED);
    assert_int_equal(simple(file, FSCTL_LOCK_VOLUME), STATUS_ACCESS_DENIED);
    assert_int_equal(simple(file, FSCTL_UNLOCK_VOLUME), STATUS_SUCCESS);
    assert_int_equal(
        vpb_flags(file->Vpb) & (VPB_LOCKED | VPB_DIRECT_WRITES_ALLOWED), 0);
    assert_int_equal(open_volume(d, &other), STATUS_SUCCESS);
    assert_int_equal(simple(file, FSCTL_LOCK_VOLUME), STATUS_ACCESS_DENIED);
    io_close_file(other);
    io_close_file(file);
}

static void
lock__by_another_handle__not_its_to_unlock(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    struct volume *volume;
    PFILE_OBJECT file;
    FILE_OBJECT stranger = { .Type = IO_TYPE_FILE };

    put_in(d, FAT("lock2", "LOCKED", "70000002"));
    assert_int_equal(open_volume(d, &file), STATUS_SUCCESS);
    volume = fs_volume_of(file->Vpb);
    assert_int_equal(simple(file, FSCTL_LOCK_VOLUME), STATUS_SUCCESS);
    stranger.Vpb = file->Vpb;
    stranger.FsContext = volume;
    assert_int_equal(simple(&stranger, FSCTL_UNLOCK_VOLUME), STATUS_NOT_LOCKED);
    stranger.FsContext = NULL;
    assert_int_equal(simple(&stranger, FSCTL_UNLOCK_VOLUME),
                     STATUS_INVALID_PARAMETER);
    /* Its close unlocks. */
    io_close_file(file);
    assert_int_equal(open_volume(d, &file), STATUS_SUCCESS);
    io_close_file(file);
}

static void
lock__served_without_a_handle__denied_and_the_other_way_round(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    struct volume *volume;
    PFILE_OBJECT file;

    put_in(d, FAT("lock3", "LOCKED", "70000003"));
    assert_int_equal(open_volume(d, &file), STATUS_SUCCESS);
    volume = fs_volume_of(file->Vpb);
    assert_true(fs_volume_pin(volume, TRUE));
    assert_int_equal(simple(file, FSCTL_LOCK_VOLUME), STATUS_ACCESS_DENIED);
    fs_volume_pin(volume, FALSE);
    assert_int_equal(simple(file, FSCTL_LOCK_VOLUME), STATUS_SUCCESS);
    assert_false(fs_volume_pin(volume, TRUE));
    io_close_file(file);
}

static void
lock__medium_pulled__lock_travels_with_the_old_vpb(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("lock4", "LOCKED", "70000004");
    PFILE_OBJECT file, other;
    PVPB old;

    put_in(d, path);
    assert_int_equal(open_volume(d, &file), STATUS_SUCCESS);
    old = file->Vpb;
    assert_int_equal(simple(file, FSCTL_LOCK_VOLUME), STATUS_SUCCESS);
    swap(d, FAT("lock5", "FREE", "70000005"));
    set_flag(d);
    assert_int_equal(IoVerifyVolume(d->fdo, FALSE), STATUS_WRONG_VOLUME);
    assert_int_equal(vpb_flags(old) & VPB_LOCKED, VPB_LOCKED);
    assert_int_equal(vpb_flags(d->fdo->Vpb) & VPB_LOCKED, 0);
    assert_int_equal(open_volume(d, &other), STATUS_SUCCESS);
    io_close_file(other);
    swap(d, path);
    set_flag(d);
    assert_int_equal(IoVerifyVolume(d->fdo, FALSE), STATUS_WRONG_VOLUME);
    assert_ptr_equal(d->fdo->Vpb, old);
    assert_int_equal(open_volume(d, &other), STATUS_ACCESS_DENIED);
    assert_int_equal(simple(file, FSCTL_UNLOCK_VOLUME), STATUS_SUCCESS);
    io_close_file(file);
}

static void
dismount__old_handle__volume_dismounted__new_open_mounts_anew(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    char buffer[512];
    struct volume *volume;
    PFILE_OBJECT file, other;

    put_in(d, FAT("dis1", "DISMOUNT", "71000001"));
    assert_int_equal(open_volume(d, &file), STATUS_SUCCESS);
    volume = fs_volume_of(file->Vpb);
    assert_int_equal(read_volume(volume, 0, buffer, 512), STATUS_SUCCESS);
    assert_int_equal(simple(file, FSCTL_DISMOUNT_VOLUME), STATUS_SUCCESS);
    assert_int_equal(read_volume(volume, 0, buffer, 512),
                     STATUS_VOLUME_DISMOUNTED);
    assert_int_equal(simple(file, FSCTL_IS_VOLUME_MOUNTED),
                     STATUS_VOLUME_DISMOUNTED);
    assert_int_equal(simple(file, FSCTL_DISMOUNT_VOLUME),
                     STATUS_VOLUME_DISMOUNTED);
    assert_int_equal(open_volume(d, &other), STATUS_SUCCESS);
    assert_ptr_not_equal(fs_volume_of(other->Vpb), volume);
    assert_int_equal(read_volume(fs_volume_of(other->Vpb), 0, buffer, 512),
                     STATUS_SUCCESS);
    assert_int_equal(read_volume(volume, 0, buffer, 512),
                     STATUS_VOLUME_DISMOUNTED);
    io_close_file(other);
    io_close_file(file);
}

static void
dismount__requests_wait_for_it__they_end(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    char buffer[512];
    struct volume *volume;
    PFILE_OBJECT file;
    struct req req;

    put_in(d, FAT("dis2", "DISMOUNT", "71000002"));
    assert_int_equal(open_volume(d, &file), STATUS_SUCCESS);
    volume = fs_volume_of(file->Vpb);
    pull_out(d);
    req_start(&req, volume, IRP_MJ_READ, 0, buffer, sizeof buffer);
    the_prompt();
    assert_int_equal(simple(file, FSCTL_DISMOUNT_VOLUME), STATUS_SUCCESS);
    assert_int_equal(req_end(&req), STATUS_VOLUME_DISMOUNTED);
    assert_int_equal(prompts(NULL), 0);
    io_close_file(file);
}

/* A handle of the drive itself: nothing is mounted for it. */
static HANDLE
drive_handle(struct drive_rig *d)
{
    static WCHAR wide[128];
    UNICODE_STRING name = { 0, sizeof wide, wide };
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK iosb;
    char text[128];
    HANDLE handle = NULL;

    io_device_name(d->fdo, text, sizeof text);
    for (const char *p = text; *p != '\0'; p++) {
        wide[name.Length / sizeof(WCHAR)] = (WCHAR) *p;
        name.Length += sizeof(WCHAR);
    }
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE, NULL,
                               NULL);
    assert_int_equal(ZwOpenFile(&handle, FILE_READ_ATTRIBUTES, &attributes,
                                &iosb, FILE_SHARE_READ | FILE_SHARE_WRITE, 0),
                     STATUS_SUCCESS);
    return handle;
}

static void
R163__volume_invalidated__old_handle_file_invalid_from_then_on(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("r163", "INVALID", "63000001");
    HANDLE handle, wrong = (HANDLE) 0x7777770;
    struct volume *volume;
    PFILE_OBJECT file, other;
    char buffer[512];
    struct req req;
    PVPB old;

    put_in(d, path);
    assert_int_equal(open_volume(d, &file), STATUS_SUCCESS);
    volume = fs_volume_of(file->Vpb);
    old = file->Vpb;
    handle = drive_handle(d);
    req_control(&req, volume, NULL, FSCTL_INVALIDATE_VOLUMES, &handle, 3, 0);
    assert_int_equal(req_end(&req), STATUS_INVALID_PARAMETER);
    req_control(&req, volume, NULL, FSCTL_INVALIDATE_VOLUMES, &wrong,
                sizeof wrong, 0);
    assert_int_equal(req_end(&req), STATUS_INVALID_HANDLE);
    assert_int_equal(read_volume(volume, 0, buffer, 512), STATUS_SUCCESS);
    req_control(&req, volume, NULL, FSCTL_INVALIDATE_VOLUMES, &handle,
                sizeof handle, 0);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    assert_ptr_not_equal(d->fdo->Vpb, old);
    assert_int_equal(d->fdo->Vpb->Flags, 0);
    assert_int_equal(read_volume(volume, 0, buffer, 512), STATUS_FILE_INVALID);
    /* The same medium, mounted anew, does not bring it back. */
    assert_int_equal(open_volume(d, &other), STATUS_SUCCESS);
    assert_int_equal(read_volume(volume, 0, buffer, 512), STATUS_FILE_INVALID);
    swap(d, path);
    set_flag(d);
    assert_int_equal(IoVerifyVolume(d->fdo, FALSE), STATUS_SUCCESS);
    assert_int_equal(read_volume(volume, 0, buffer, 512), STATUS_FILE_INVALID);
    assert_int_equal(simple(file, FSCTL_IS_VOLUME_MOUNTED),
                     STATUS_FILE_INVALID);
    ZwClose(handle);
    io_close_file(other);
    io_close_file(file);
}

/* --- the rest -------------------------------------------------------------------------- */

static void
dirty__marked__told_until_the_end(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    ULONG_PTR information = 77;
    ULONG dirty = 99;
    PFILE_OBJECT file;

    put_in(d, FAT("dirty", "DIRTY", "72000001"));
    assert_int_equal(open_volume(d, &file), STATUS_SUCCESS);
    assert_int_equal(fsctl(file, FSCTL_IS_VOLUME_DIRTY, &dirty, 0,
                           sizeof dirty - 1, &information),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(information, 0);
    assert_int_equal(
        fsctl(file, FSCTL_IS_VOLUME_DIRTY, NULL, 0, sizeof dirty, NULL),
        STATUS_INVALID_USER_BUFFER);
    assert_int_equal(fsctl(file, FSCTL_IS_VOLUME_DIRTY, &dirty, 0, sizeof dirty,
                           &information),
                     STATUS_SUCCESS);
    assert_int_equal(information, sizeof dirty);
    assert_int_equal(dirty, 0);
    assert_int_equal(simple(file, FSCTL_MARK_VOLUME_DIRTY), STATUS_SUCCESS);
    assert_int_equal(
        fsctl(file, FSCTL_IS_VOLUME_DIRTY, &dirty, 0, sizeof dirty, NULL),
        STATUS_SUCCESS);
    assert_int_equal(dirty, VOLUME_IS_DIRTY);
    io_close_file(file);
}

static void
dirty__write_protected__not_marked_no_question(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    PFILE_OBJECT file;

    put_in(d, ISO("dirtycd", "DISC"));
    assert_int_equal(open_volume(d, &file), STATUS_SUCCESS);
    assert_int_equal(simple(file, FSCTL_MARK_VOLUME_DIRTY),
                     STATUS_MEDIA_WRITE_PROTECTED);
    assert_int_equal(asked(), 0);
    io_close_file(file);
}

static NTSTATUS
read_with(PFILE_OBJECT file, ULONG64 offset)
{
    static char buffer[512];
    PDEVICE_OBJECT device = IoGetRelatedDeviceObject(file);
    struct req req = { .irp = IoAllocateIrp(device->StackSize, FALSE) };
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(req.irp);

    next->MajorFunction = IRP_MJ_READ;
    next->FileObject = file;
    next->Parameters.Read.Length = sizeof buffer;
    next->Parameters.Read.ByteOffset.QuadPart = (LONGLONG) offset;
    req.mdl = IoAllocateMdl(buffer, sizeof buffer, FALSE, FALSE, NULL);
    MmBuildMdlForNonPagedPool(req.mdl);
    req.irp->MdlAddress = req.mdl;
    req_send(&req, device);
    return req_end(&req);
}

static void
extended_dasd__the_drive_decides_about_the_end(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    ULONG64 end = 16384 * 1024;
    PFILE_OBJECT file;

    put_in(d, FAT("dasd", "DASD", "73000001"));
    assert_int_equal(open_volume(d, &file), STATUS_SUCCESS);
    watch_reset(&d->watch);
    assert_int_equal(read_with(file, end), STATUS_END_OF_FILE);
    assert_int_equal(watch_count(&d->watch, IRP_MJ_READ), 0);
    assert_int_equal(simple(file, FSCTL_ALLOW_EXTENDED_DASD_IO),
                     STATUS_SUCCESS);
    assert_false(NT_SUCCESS(read_with(file, end)));
    assert_int_equal(watch_count(&d->watch, IRP_MJ_READ), 1);
    assert_int_equal(read_with(file, end - 512), STATUS_SUCCESS);
    io_close_file(file);
}

static void
fsctl__unknown_code__invalid_device_request(void **state)
{
    struct rig *rig = *state;
    PFILE_OBJECT file;

    put_in(&rig->d[0], FAT("unknown", "UNKNOWN", "73000002"));
    assert_int_equal(open_volume(&rig->d[0], &file), STATUS_SUCCESS);
    assert_int_equal(simple(file, CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 999,
                                           METHOD_BUFFERED, FILE_ANY_ACCESS)),
                     STATUS_INVALID_DEVICE_REQUEST);
    io_close_file(file);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(R164__absolute_open_that_met_a_change__reopened_silently,
             rig_disk),
        TEST(R164__absolute_open__other_volume__opens_that_one, rig_disk),
        TEST(R165__relative_open_that_met_a_change__tried_again_not_reparsed,
             rig_disk),
        TEST(R166__cd__every_create__check_verify_without_override, rig_cdrom),
        TEST(R167__success_with_another_count__flag_set_verified, rig_cdrom),
        TEST(open__drive_is_empty__question_then_status, rig_disk),
        TEST(open__other_names__not_found, rig_disk),
        TEST(lock__no_other_handle__opens_denied_until_unlocked, rig_disk),
        TEST(lock__by_another_handle__not_its_to_unlock, rig_disk),
        TEST(lock__served_without_a_handle__denied_and_the_other_way_round,
             rig_disk),
        TEST(lock__medium_pulled__lock_travels_with_the_old_vpb, rig_disk),
        TEST(dismount__old_handle__volume_dismounted__new_open_mounts_anew,
             rig_disk),
        TEST(dismount__requests_wait_for_it__they_end, rig_disk),
        TEST(R163__volume_invalidated__old_handle_file_invalid_from_then_on,
             rig_disk),
        TEST(dirty__marked__told_until_the_end, rig_disk),
        TEST(dirty__write_protected__not_marked_no_question, rig_cdrom),
        TEST(extended_dasd__the_drive_decides_about_the_end, rig_disk),
        TEST(fsctl__unknown_code__invalid_device_request, rig_disk),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
