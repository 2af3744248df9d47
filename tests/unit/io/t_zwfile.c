/*
 * Tests for src/io/zwfile.c; expectations from the pages of ZwCreateFile,
 * ZwOpenFile, IRP_MJ_CREATE and IRP_MJ_CLEANUP.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include <string.h>

static PDRIVER_OBJECT driver;
static PDEVICE_OBJECT device;

/* What the driver saw. */
static struct {
    int creates, cleanups, closes;
    ULONG options;
    USHORT attributes, share;
    ACCESS_MASK access;
    ULONG file_flags;
    WCHAR name[16];
} saw;
static NTSTATUS answer;

static NTSTATUS NTAPI
create(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PFILE_OBJECT file = stack->FileObject;

    saw.creates++;
    saw.options = stack->Parameters.Create.Options;
    saw.attributes = stack->Parameters.Create.FileAttributes;
    saw.share = stack->Parameters.Create.ShareAccess;
    saw.access = stack->Parameters.Create.SecurityContext->DesiredAccess;
    saw.file_flags = file->Flags;
    memset(saw.name, 0, sizeof saw.name);
    if (file->FileName.Length != 0 && file->FileName.Length < sizeof saw.name)
        memcpy(saw.name, file->FileName.Buffer, file->FileName.Length);
    return complete_irp(Irp, answer, FILE_CREATED);
}

static NTSTATUS NTAPI
cleanup(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    saw.cleanups++;
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI
close_it(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    saw.closes++;
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static int
setup(void **state)
{
    io_setup(state);
    memset(&saw, 0, sizeof saw);
    answer = STATUS_SUCCESS;
    driver = new_driver("files");
    driver->MajorFunction[IRP_MJ_CREATE] = create;
    driver->MajorFunction[IRP_MJ_CLEANUP] = cleanup;
    driver->MajorFunction[IRP_MJ_CLOSE] = close_it;
    device = new_device(driver, FILE_DEVICE_UNKNOWN, 0, L"\\Device\\Files");
    return 0;
}

static int
teardown(void **state)
{
    IoDeleteDevice(device);
    io_unload_driver(driver);
    return io_teardown(state);
}

static NTSTATUS
open_file(PCWSTR name, ACCESS_MASK access, ULONG disposition, ULONG options,
          HANDLE *out_handle, IO_STATUS_BLOCK *out_iosb)
{
    OBJECT_ATTRIBUTES how;
    UNICODE_STRING wide;

    RtlInitUnicodeString(&wide, name);
    InitializeObjectAttributes(&how, &wide, OBJ_KERNEL_HANDLE, NULL, NULL);
    return ZwCreateFile(out_handle, access, &how, out_iosb, NULL, 0x80,
                        FILE_SHARE_READ, disposition, options, NULL, 0);
}

static void
create__of_a_file_on_a_device__reaches_its_driver(void **state)
{
    IO_STATUS_BLOCK iosb = { 0 };
    PFILE_OBJECT file;
    HANDLE handle;

    assert_int_equal(
        open_file(L"\\Device\\Files\\a.txt",
                  FILE_WRITE_DATA | DELETE | SYNCHRONIZE, FILE_CREATE,
                  FILE_DELETE_ON_CLOSE | FILE_SYNCHRONOUS_IO_NONALERT, &handle,
                  &iosb),
        STATUS_SUCCESS);
    assert_int_equal(iosb.Status, STATUS_SUCCESS);
    assert_int_equal(iosb.Information, FILE_CREATED);
    assert_int_equal(saw.creates, 1);
    assert_memory_equal(saw.name, L"\\a.txt", sizeof L"\\a.txt");
    assert_int_equal(saw.options >> 24, FILE_CREATE);
    assert_int_equal(saw.options & 0xFFFFFF,
                     FILE_DELETE_ON_CLOSE | FILE_SYNCHRONOUS_IO_NONALERT);
    assert_int_equal(saw.attributes, 0x80);
    assert_int_equal(saw.share, FILE_SHARE_READ);
    assert_int_equal(saw.access, FILE_WRITE_DATA | DELETE | SYNCHRONIZE);
    assert_true(saw.file_flags & FO_SYNCHRONOUS_IO);
    assert_true(saw.file_flags & FO_DELETE_ON_CLOSE);
    assert_int_equal(ObReferenceObjectByHandle(handle, SYNCHRONIZE,
                                               *IoFileObjectType, KernelMode,
                                               (PVOID *) &file, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(file->Type, 5);
    assert_ptr_equal(file->DeviceObject, device);
    assert_true(file->WriteAccess && file->DeleteAccess && file->SharedRead);
    assert_false(file->ReadAccess || file->SharedWrite);
    ObDereferenceObject(file);
    assert_int_equal(ZwClose(handle), STATUS_SUCCESS);
}

static void
close__of_the_last_handle__is_cleanup_and_of_the_last_reference__close(
    void **state)
{
    IO_STATUS_BLOCK iosb;
    HANDLE first, second;
    PVOID file;

    assert_int_equal(open_file(L"\\Device\\Files", FILE_READ_DATA, FILE_OPEN, 0,
                               &first, &iosb),
                     STATUS_SUCCESS);
    assert_int_equal(ZwDuplicateObject(NtCurrentProcess(), first,
                                       NtCurrentProcess(), &second, 0, 0,
                                       DUPLICATE_SAME_ACCESS),
                     STATUS_SUCCESS);
    assert_int_equal(
        ObReferenceObjectByHandle(first, 0, NULL, KernelMode, &file, NULL),
        STATUS_SUCCESS);
    assert_int_equal(ZwClose(first), STATUS_SUCCESS);
    assert_int_equal(saw.cleanups, 0);
    assert_int_equal(ZwClose(second), STATUS_SUCCESS);
    assert_int_equal(saw.cleanups, 1);
    assert_int_equal(saw.closes, 0);
    ObDereferenceObject(file);
    assert_int_equal(saw.cleanups, 1);
    assert_int_equal(saw.closes, 1);
}

static void
create__refused_by_the_driver__has_no_handle_and_no_close(void **state)
{
    IO_STATUS_BLOCK iosb = { 0 };
    HANDLE handle = &iosb;

    answer = STATUS_OBJECT_NAME_COLLISION;
    assert_int_equal(open_file(L"\\Device\\Files\\b", FILE_READ_DATA,
                               FILE_CREATE, 0, &handle, &iosb),
                     STATUS_OBJECT_NAME_COLLISION);
    assert_int_equal(iosb.Status, STATUS_OBJECT_NAME_COLLISION);
    assert_null(handle);
    assert_int_equal(saw.creates, 1);
    assert_int_equal(saw.cleanups + saw.closes, 0);
}

static void
create__of_what_is_not_there__is_not_found(void **state)
{
    IO_STATUS_BLOCK iosb;
    HANDLE handle;

    assert_int_equal(open_file(L"\\Device\\Nothing", FILE_READ_DATA, FILE_OPEN,
                               0, &handle, &iosb),
                     STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(saw.creates, 0);
}

static void
create__with_options_that_exclude_each_other__is_refused(void **state)
{
    static const struct {
        ACCESS_MASK access;
        ULONG disposition, options;
    } rows[] = {
        { FILE_READ_DATA, FILE_OVERWRITE_IF + 1, 0 },
        { FILE_READ_DATA, FILE_OPEN, 0x80000000 },
        { FILE_READ_DATA, FILE_OPEN, FILE_SYNCHRONOUS_IO_NONALERT },
        { SYNCHRONIZE, FILE_OPEN,
          FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT },
        { FILE_READ_DATA, FILE_OPEN,
          FILE_DIRECTORY_FILE | FILE_NON_DIRECTORY_FILE },
        { FILE_READ_DATA, FILE_OVERWRITE, FILE_DIRECTORY_FILE },
        { FILE_READ_DATA, FILE_OPEN, FILE_DELETE_ON_CLOSE },
        { FILE_APPEND_DATA, FILE_OPEN, FILE_NO_INTERMEDIATE_BUFFERING },
    };

    for (size_t i = 0; i < RTL_NUMBER_OF(rows); i++) {
        IO_STATUS_BLOCK iosb;
        HANDLE handle;

        assert_int_equal(open_file(L"\\Device\\Files", rows[i].access,
                                   rows[i].disposition, rows[i].options,
                                   &handle, &iosb),
                         STATUS_INVALID_PARAMETER);
        assert_null(handle);
    }
    assert_int_equal(saw.creates, 0);
}

static void
open__through_a_link__is_the_device_itself(void **state)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\F:");
    UNICODE_STRING target = RTL_CONSTANT_STRING(L"\\Device\\Files");
    IO_STATUS_BLOCK iosb = { 0 };
    OBJECT_ATTRIBUTES how;
    HANDLE handle;

    assert_int_equal(IoCreateSymbolicLink(&link, &target), STATUS_SUCCESS);
    InitializeObjectAttributes(&how, &link, OBJ_KERNEL_HANDLE, NULL, NULL);
    assert_int_equal(ZwOpenFile(&handle, FILE_READ_DATA, &how, &iosb,
                                FILE_SHARE_VALID_FLAGS, 0),
                     STATUS_SUCCESS);
    assert_int_equal(saw.options >> 24, FILE_OPEN);
    assert_int_equal(saw.share, FILE_SHARE_VALID_FLAGS);
    assert_int_equal(saw.name[0], 0);
    assert_int_equal(ZwClose(handle), STATUS_SUCCESS);
    assert_int_equal(saw.closes, 1);
    assert_int_equal(IoDeleteSymbolicLink(&link), STATUS_SUCCESS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(create__of_a_file_on_a_device__reaches_its_driver),
        TEST(
            close__of_the_last_handle__is_cleanup_and_of_the_last_reference__close),
        TEST(create__refused_by_the_driver__has_no_handle_and_no_close),
        TEST(create__of_what_is_not_there__is_not_found),
        TEST(create__with_options_that_exclude_each_other__is_refused),
        TEST(open__through_a_link__is_the_device_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
