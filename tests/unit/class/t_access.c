/*
 * Access to a drive through handles, with the real disk driver over an
 * emulated drive: what a handle without read access may ask.
 *
 * SPDX-License-Identifier: MIT
 */
#include "harness.h"

/* Opens the drive for `access` and gives a handle that has it. */
static HANDLE
open_drive(struct rig *rig, ACCESS_MASK access)
{
    PFILE_OBJECT file;
    HANDLE handle;

    assert_int_equal(io_open_device(rig->fdo, access, &file), STATUS_SUCCESS);
    assert_int_equal(ObOpenObjectByPointer(file, 0, NULL, access,
                                           *IoFileObjectType, KernelMode,
                                           &handle),
                     STATUS_SUCCESS);
    ObDereferenceObject(file);
    return handle;
}

/* As a program asks. */
static NTSTATUS
ask(HANDLE handle, ULONG code, PIO_STATUS_BLOCK iosb)
{
    KPROCESSOR_MODE before = io_set_previous_mode(UserMode);
    NTSTATUS status = NtDeviceIoControlFile(handle, NULL, NULL, NULL, iosb,
                                            code, NULL, 0, NULL, 0);

    io_set_previous_mode(before);
    return status;
}

static void
R39__check_verify_2__needs_no_access__the_others_read_access(void **state)
{
    static const ULONG codes[] = {
        IOCTL_STORAGE_CHECK_VERIFY,
        IOCTL_DISK_CHECK_VERIFY,
    };
    struct rig *rig = *state;
    HANDLE attributes = open_drive(rig, FILE_READ_ATTRIBUTES);
    HANDLE may_read;
    PFILE_OBJECT file;
    IO_STATUS_BLOCK iosb = { .Information = 77 };

    /* A handle with read access, of an open that mounts nothing. */
    assert_int_equal(io_open_device(rig->fdo, FILE_READ_ATTRIBUTES, &file),
                     STATUS_SUCCESS);
    assert_int_equal(ObOpenObjectByPointer(file, 0, NULL, FILE_READ_DATA,
                                           *IoFileObjectType, KernelMode,
                                           &may_read),
                     STATUS_SUCCESS);
    ObDereferenceObject(file);
    for (size_t i = 0; i < ARRAYSIZE(codes); i++) {
        assert_int_equal((codes[i] >> 14) & 3, FILE_READ_ACCESS);
        spy_reset(rig);
        assert_int_equal(ask(attributes, codes[i], &iosb),
                         STATUS_ACCESS_DENIED);
        assert_int_equal(spy_commands(rig), 0);
        assert_int_equal(iosb.Information, 77);
        assert_int_equal(ask(may_read, codes[i], &iosb), STATUS_SUCCESS);
        assert_int_equal(spy_commands(rig), 1);
        iosb.Information = 77;
    }
    spy_reset(rig);
    assert_int_equal((IOCTL_STORAGE_CHECK_VERIFY2 >> 14) & 3, FILE_ANY_ACCESS);
    assert_int_equal(ask(attributes, IOCTL_STORAGE_CHECK_VERIFY2, &iosb),
                     STATUS_SUCCESS);
    assert_int_equal(spy_commands(rig), 1);
    assert_int_equal(iosb.Status, STATUS_SUCCESS);
    /* A kernel caller is not asked what its handle may. */
    assert_int_equal(ZwDeviceIoControlFile(attributes, NULL, NULL, NULL, &iosb,
                                           IOCTL_STORAGE_CHECK_VERIFY, NULL, 0,
                                           NULL, 0),
                     STATUS_SUCCESS);
    ZwClose(may_read);
    ZwClose(attributes);
}

static bool
is_mounted(struct rig *rig)
{
    bool mounted;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    mounted = (rig->fdo->Vpb->Flags & VPB_MOUNTED) != 0;
    IoReleaseVpbSpinLock(irql);
    return mounted;
}

static void
R40__attributes_only__check_verify_2_mounts_nothing(void **state)
{
    struct rig *rig = *state;
    IO_STATUS_BLOCK iosb;
    PFILE_OBJECT volume;
    HANDLE handle;

    /* Somebody who would mount it. */
    assert_int_equal(io_start_raw(), STATUS_SUCCESS);
    handle = open_drive(rig, FILE_READ_ATTRIBUTES);
    assert_int_equal(ask(handle, IOCTL_STORAGE_CHECK_VERIFY2, &iosb),
                     STATUS_SUCCESS);
    assert_false(is_mounted(rig));
    assert_int_equal(io_open_device(rig->fdo, FILE_READ_DATA, &volume),
                     STATUS_SUCCESS);
    assert_true(is_mounted(rig));
    io_close_file(volume);
    ZwClose(handle);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(R39__check_verify_2__needs_no_access__the_others_read_access,
             rig_disk),
        TEST(R40__attributes_only__check_verify_2_mounts_nothing, rig_disk),
    };

    return cmocka_run_group_tests(tests, harness_begin, harness_end);
}
