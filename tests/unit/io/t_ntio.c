/*
 * Tests for src/io/ntio.c: requests on a handle, by kernel and by programs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include <string.h>

#define CODE(function, method, access)                                         \
    CTL_CODE(FILE_DEVICE_UNKNOWN, function, method, access)

static PDRIVER_OBJECT driver;
static PDEVICE_OBJECT device;

/* What the driver saw last, and what it answers. */
static struct {
    int calls;
    UCHAR major;
    KPROCESSOR_MODE mode;
    PFILE_OBJECT file;
    PVOID system_buffer, user_buffer, type3;
    PMDL mdl;
    ULONG in, out, key;
    UCHAR stack_flags;
    LONGLONG offset;
    NTSTATUS status;
    ULONG_PTR information;
    bool pend;
} seen;

static void
note_parameters(PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);

    seen.calls++;
    seen.major = at->MajorFunction;
    seen.mode = irp->RequestorMode;
    seen.file = at->FileObject;
    seen.system_buffer = irp->AssociatedIrp.SystemBuffer;
    seen.user_buffer = irp->UserBuffer;
    seen.mdl = irp->MdlAddress;
    seen.stack_flags = at->Flags;
    if (at->MajorFunction == IRP_MJ_READ || at->MajorFunction == IRP_MJ_WRITE) {
        seen.in = at->Parameters.Read.Length;
        seen.key = at->Parameters.Read.Key;
        seen.offset = at->Parameters.Read.ByteOffset.QuadPart;
    } else {
        seen.in = at->Parameters.DeviceIoControl.InputBufferLength;
        seen.out = at->Parameters.DeviceIoControl.OutputBufferLength;
        seen.type3 = at->Parameters.DeviceIoControl.Type3InputBuffer;
    }
}

static VOID NTAPI
complete_later(PDEVICE_OBJECT DeviceObject, PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    complete_irp(Context, seen.status, seen.information);
}

static PIO_WORKITEM item;

static NTSTATUS NTAPI
dispatch(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    note_parameters(Irp);
    if (seen.system_buffer != NULL && seen.major == IRP_MJ_DEVICE_CONTROL &&
        seen.out != 0)
        memcpy(seen.system_buffer, "answer", seen.out < 6 ? seen.out : 6);
    if (!seen.pend)
        return complete_irp(Irp, seen.status, seen.information);
    IoMarkIrpPending(Irp);
    IoQueueWorkItem(item, complete_later, DelayedWorkQueue, Irp);
    return STATUS_PENDING;
}

static NTSTATUS NTAPI
succeed(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static HANDLE
open_for(ACCESS_MASK access, ULONG file_flags)
{
    PFILE_OBJECT file;
    HANDLE handle;

    assert_int_equal(io_open_device(device, access, &file), STATUS_SUCCESS);
    file->Flags |= file_flags;
    assert_int_equal(ObOpenObjectByPointer(file, 0, NULL, access,
                                           *IoFileObjectType, KernelMode,
                                           &handle),
                     STATUS_SUCCESS);
    ObDereferenceObject(file);
    return handle;
}

static NTSTATUS
user_control(HANDLE handle, ULONG code, PIO_STATUS_BLOCK iosb, PVOID in,
             ULONG in_len, PVOID out, ULONG out_len)
{
    KPROCESSOR_MODE before = io_set_previous_mode(UserMode);
    NTSTATUS status;

    assert_int_equal(ExGetPreviousMode(), UserMode);
    status = NtDeviceIoControlFile(handle, NULL, NULL, NULL, iosb, code, in,
                                   in_len, out, out_len);
    io_set_previous_mode(before);
    return status;
}

static int
each(void **state)
{
    (void) state;
    memset(&seen, 0, sizeof seen);
    return 0;
}

/* --- controls ------------------------------------------------------------ */

/* The two bits of the code against the two rights, for programs only. */
static void
control__access_bits__checked_for_programs(void **state)
{
    static const ACCESS_MASK rights[] = { FILE_READ_ATTRIBUTES, FILE_READ_DATA,
                                          FILE_WRITE_DATA,
                                          FILE_READ_DATA | FILE_WRITE_DATA };

    (void) state;
    for (size_t r = 0; r < ARRAYSIZE(rights); r++) {
        HANDLE handle = open_for(rights[r], 0);

        for (ULONG access = 0; access <= 3; access++) {
            ULONG code = CODE(0x800, METHOD_BUFFERED, access);
            bool allowed = (access & ~rights[r]) == 0;
            IO_STATUS_BLOCK iosb = { .Information = 9 };

            seen.calls = 0;
            assert_int_equal(
                user_control(handle, code, &iosb, NULL, 0, NULL, 0),
                allowed ? STATUS_SUCCESS : STATUS_ACCESS_DENIED);
            assert_int_equal(seen.calls, allowed);
            assert_int_equal(iosb.Information, allowed ? 0 : 9);
            if (allowed)
                assert_int_equal(seen.mode, UserMode);
            assert_int_equal(ZwDeviceIoControlFile(handle, NULL, NULL, NULL,
                                                   &iosb, code, NULL, 0, NULL,
                                                   0),
                             STATUS_SUCCESS);
            assert_int_equal(seen.mode, KernelMode);
        }
        ZwClose(handle);
    }
}

static void
control__buffers_by_method(void **state)
{
    HANDLE handle = open_for(FILE_READ_ATTRIBUTES, 0);
    char in[4] = "in?", out[16] = "";
    IO_STATUS_BLOCK iosb;

    (void) state;
    seen.information = 6;
    assert_int_equal(user_control(handle, CODE(1, METHOD_BUFFERED, 0), &iosb,
                                  in, 4, out, 16),
                     STATUS_SUCCESS);
    assert_non_null(seen.system_buffer);
    assert_ptr_not_equal(seen.system_buffer, in);
    assert_string_equal(out, "answer");
    assert_int_equal(iosb.Information, 6);
    assert_int_equal(seen.in, 4);
    assert_int_equal(seen.out, 16);

    seen.information = 0;
    assert_int_equal(user_control(handle, CODE(1, METHOD_OUT_DIRECT, 0), &iosb,
                                  in, 4, out, 16),
                     STATUS_SUCCESS);
    assert_non_null(seen.system_buffer);
    assert_non_null(seen.mdl);
    assert_int_equal(
        user_control(handle, CODE(1, METHOD_NEITHER, 0), &iosb, in, 4, out, 16),
        STATUS_SUCCESS);
    assert_null(seen.system_buffer);
    assert_ptr_equal(seen.type3, in);
    assert_ptr_equal(seen.user_buffer, out);

    /* Nothing in, nothing out: no system buffer at all. */
    assert_int_equal(user_control(handle, CODE(1, METHOD_BUFFERED, 0), &iosb,
                                  NULL, 0, NULL, 0),
                     STATUS_SUCCESS);
    assert_null(seen.system_buffer);
    seen.calls = 0;
    assert_int_equal(user_control(handle, CODE(1, METHOD_BUFFERED, 0), &iosb,
                                  NULL, 4, NULL, 0),
                     STATUS_ACCESS_VIOLATION);
    assert_int_equal(seen.calls, 0);
    ZwClose(handle);
}

/* --- completion ---------------------------------------------------------- */

static LONG apcs;

static VOID NTAPI
on_apc(PVOID ApcContext, PIO_STATUS_BLOCK IoStatusBlock, ULONG Reserved)
{
    assert_ptr_equal(ApcContext, &apcs);
    assert_int_equal(IoStatusBlock->Information, 3);
    assert_int_equal(Reserved, 0);
    apcs++;
}

static void
control__pending__waited_for__event_and_apc(void **state)
{
    HANDLE handle = open_for(FILE_READ_ATTRIBUTES, 0), event;
    IO_STATUS_BLOCK iosb = { 0 };
    LARGE_INTEGER none = { 0 };
    PVOID object;

    (void) state;
    apcs = 0;
    assert_int_equal(
        ZwCreateEvent(&event, EVENT_ALL_ACCESS, NULL, NotificationEvent, TRUE),
        STATUS_SUCCESS);
    seen.pend = true;
    seen.information = 3;
    assert_int_equal(ZwDeviceIoControlFile(handle, event, on_apc, &apcs, &iosb,
                                           CODE(2, METHOD_NEITHER, 0), NULL, 0,
                                           NULL, 0),
                     STATUS_SUCCESS);
    assert_int_equal(iosb.Information, 3);
    assert_int_equal(apcs, 1);
    ObReferenceObjectByHandle(event, 0, *ExEventObjectType, KernelMode, &object,
                              NULL);
    assert_int_equal(
        KeWaitForSingleObject(object, Executive, KernelMode, FALSE, &none),
        STATUS_SUCCESS);

    /* An error that was pended is in the status block, one at once is not. */
    seen.status = STATUS_IO_DEVICE_ERROR;
    seen.information = 0;
    assert_int_equal(ZwDeviceIoControlFile(handle, event, NULL, NULL, &iosb,
                                           CODE(2, METHOD_NEITHER, 0), NULL, 0,
                                           NULL, 0),
                     STATUS_IO_DEVICE_ERROR);
    assert_int_equal(iosb.Status, STATUS_IO_DEVICE_ERROR);
    seen.pend = false;
    iosb.Status = 5;
    assert_int_equal(ZwDeviceIoControlFile(handle, event, NULL, NULL, &iosb,
                                           CODE(2, METHOD_NEITHER, 0), NULL, 0,
                                           NULL, 0),
                     STATUS_IO_DEVICE_ERROR);
    assert_int_equal(iosb.Status, 5);
    assert_int_equal(KeReadStateEvent(object), 0);
    ObDereferenceObject(object);
    ZwClose(event);
    ZwClose(handle);
}

static void
handle__none_or_of_another_kind__refused(void **state)
{
    IO_STATUS_BLOCK iosb;
    HANDLE event;

    (void) state;
    assert_int_equal(ZwFlushBuffersFile((HANDLE) 0x12340, &iosb),
                     STATUS_INVALID_HANDLE);
    ZwCreateEvent(&event, EVENT_ALL_ACCESS, NULL, NotificationEvent, FALSE);
    assert_int_equal(ZwFlushBuffersFile(event, &iosb),
                     STATUS_OBJECT_TYPE_MISMATCH);
    ZwClose(event);
    assert_int_equal(seen.calls, 0);
}

/* --- transfers ----------------------------------------------------------- */

static void
transfer__offset_key_and_rights(void **state)
{
    HANDLE reader = open_for(FILE_READ_DATA, 0);
    LARGE_INTEGER offset = { .QuadPart = 4096 }, negative = { .QuadPart = -5 };
    IO_STATUS_BLOCK iosb;
    ULONG key = 12;
    char buffer[8];

    (void) state;
    seen.information = 8;
    assert_int_equal(
        ZwReadFile(reader, NULL, NULL, NULL, &iosb, buffer, 8, &offset, &key),
        STATUS_SUCCESS);
    assert_int_equal(seen.major, IRP_MJ_READ);
    assert_int_equal(seen.offset, 4096);
    assert_int_equal(seen.key, 12);
    assert_int_equal(seen.stack_flags & SL_KEY_SPECIFIED, 0);
    assert_int_equal(iosb.Information, 8);
    /* No position of its own without synchronous I/O. */
    assert_int_equal(
        ZwReadFile(reader, NULL, NULL, NULL, &iosb, buffer, 8, NULL, NULL),
        STATUS_INVALID_PARAMETER);
    assert_int_equal(
        ZwReadFile(reader, NULL, NULL, NULL, &iosb, buffer, 8, &negative, NULL),
        STATUS_INVALID_PARAMETER);
    seen.calls = 0;
    io_set_previous_mode(UserMode);
    assert_int_equal(
        NtWriteFile(reader, NULL, NULL, NULL, &iosb, buffer, 8, &offset, NULL),
        STATUS_ACCESS_DENIED);
    assert_int_equal(NtFlushBuffersFile(reader, &iosb), STATUS_ACCESS_DENIED);
    assert_int_equal(
        NtReadFile(reader, NULL, NULL, NULL, &iosb, NULL, 8, &offset, NULL),
        STATUS_ACCESS_VIOLATION);
    assert_int_equal(seen.calls, 0);
    assert_int_equal(
        NtReadFile(reader, NULL, NULL, NULL, &iosb, buffer, 8, &offset, NULL),
        STATUS_SUCCESS);
    io_set_previous_mode(KernelMode);
    assert_int_equal(
        ZwWriteFile(reader, NULL, NULL, NULL, &iosb, buffer, 8, &offset, NULL),
        STATUS_SUCCESS);
    ZwClose(reader);
}

static void
transfer__synchronous_file__position_moves(void **state)
{
    HANDLE handle = open_for(FILE_READ_DATA | FILE_WRITE_DATA,
                             FO_SYNCHRONOUS_IO | FO_WRITE_THROUGH);
    LARGE_INTEGER offset = { .QuadPart = 100 };
    LARGE_INTEGER own = { .HighPart = -1 };
    IO_STATUS_BLOCK iosb;
    char buffer[8];

    (void) state;
    own.LowPart = FILE_USE_FILE_POINTER_POSITION;
    seen.information = 8;
    ZwReadFile(handle, NULL, NULL, NULL, &iosb, buffer, 8, &offset, NULL);
    ZwReadFile(handle, NULL, NULL, NULL, &iosb, buffer, 8, NULL, NULL);
    assert_int_equal(seen.offset, 108);
    assert_int_equal(seen.stack_flags & SL_WRITE_THROUGH, 0);
    ZwWriteFile(handle, NULL, NULL, NULL, &iosb, buffer, 8, &own, NULL);
    assert_int_equal(seen.offset, 116);
    assert_true(seen.stack_flags & SL_WRITE_THROUGH);
    assert_int_equal(ZwFlushBuffersFile(handle, &iosb), STATUS_SUCCESS);
    assert_int_equal(seen.major, IRP_MJ_FLUSH_BUFFERS);
    assert_int_equal(ZwFsControlFile(handle, NULL, NULL, NULL, &iosb,
                                     FSCTL_IS_VOLUME_MOUNTED, NULL, 0, NULL, 0),
                     STATUS_SUCCESS);
    assert_int_equal(seen.major, IRP_MJ_FILE_SYSTEM_CONTROL);
    ZwClose(handle);
}

static int
setup(void **state)
{
    static const UCHAR majors[] = { IRP_MJ_READ, IRP_MJ_WRITE,
                                    IRP_MJ_FLUSH_BUFFERS, IRP_MJ_DEVICE_CONTROL,
                                    IRP_MJ_FILE_SYSTEM_CONTROL };

    io_setup(state);
    driver = new_driver("handled");
    for (size_t i = 0; i < ARRAYSIZE(majors); i++)
        driver->MajorFunction[majors[i]] = dispatch;
    driver->MajorFunction[IRP_MJ_CREATE] = succeed;
    driver->MajorFunction[IRP_MJ_CLEANUP] = succeed;
    driver->MajorFunction[IRP_MJ_CLOSE] = succeed;
    device = new_device(driver, FILE_DEVICE_UNKNOWN, 0, NULL);
    item = IoAllocateWorkItem(device);
    return 0;
}

static int
teardown(void **state)
{
    IoFreeWorkItem(item);
    IoDeleteDevice(device);
    io_unload_driver(driver);
    return io_teardown(state);
}

#define T(name) cmocka_unit_test_setup(name, each)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(control__access_bits__checked_for_programs),
        T(control__buffers_by_method),
        T(control__pending__waited_for__event_and_apc),
        T(handle__none_or_of_another_kind__refused),
        T(transfer__offset_key_and_rights),
        T(transfer__synchronous_file__position_moves),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
