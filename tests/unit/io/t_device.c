/*
 * Tests for src/io/{device,driver,name,object,remlock,queue,workitem,errlog}.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include <pthread.h>
#include <string.h>

#include "base/fault.h"

static PDRIVER_OBJECT driver;

/* --- devices ------------------------------------------------------------- */

static void
create__fields_and_vpb_by_type(void **state)
{
    static const struct {
        DEVICE_TYPE type;
        bool vpb;
        USHORT sector;
    } types[] = {
        { FILE_DEVICE_DISK, true, 512 },
        { FILE_DEVICE_CD_ROM, true, 2048 },
        { FILE_DEVICE_TAPE, true, 0 },
        { FILE_DEVICE_VIRTUAL_DISK, true, 512 },
        { FILE_DEVICE_CHANGER, false, 0 },
        { FILE_DEVICE_DISK_FILE_SYSTEM, false, 512 },
    };

    (void) state;
    for (size_t i = 0; i < ARRAYSIZE(types); i++) {
        PDEVICE_OBJECT device;

        assert_int_equal(IoCreateDevice(driver, 100, NULL, types[i].type,
                                        FILE_REMOVABLE_MEDIA, FALSE, &device),
                         STATUS_SUCCESS);
        assert_int_equal(device->Type, IO_TYPE_DEVICE);
        assert_int_equal(device->Size, sizeof(DEVICE_OBJECT) + 100);
        assert_int_equal(device->Flags, DO_DEVICE_INITIALIZING);
        assert_int_equal(device->StackSize, 1);
        assert_int_equal((uintptr_t) device % 16, 0);
        assert_int_equal((uintptr_t) device->DeviceExtension % 16, 0);
        assert_int_equal(*(char *) device->DeviceExtension, 0);
        assert_int_equal(device->SectorSize, types[i].sector);
        assert_int_equal(device->Vpb != NULL, types[i].vpb);
        if (device->Vpb != NULL) {
            assert_ptr_equal(device->Vpb->RealDevice, device);
            assert_int_equal(device->Vpb->Type, IO_TYPE_VPB);
            assert_int_equal(device->Vpb->Size, sizeof(VPB));
        }
        assert_int_equal(KeReadStateEvent(&device->DeviceLock), 1);
        assert_ptr_equal(driver->DeviceObject, device);
        IoDeleteDevice(device);
        assert_null(driver->DeviceObject);
    }
}

static void
R205__attach__stack_size_alignment_and_previous_top(void **state)
{
    PDEVICE_OBJECT pdo = new_device(driver, FILE_DEVICE_DISK, 0, NULL);
    PDEVICE_OBJECT fdo = new_device(driver, FILE_DEVICE_DISK, 0, NULL);
    PDEVICE_OBJECT filter = new_device(driver, FILE_DEVICE_DISK, 0, NULL);

    (void) state;
    pdo->AlignmentRequirement = 63;
    pdo->SectorSize = 4096;
    assert_ptr_equal(IoAttachDeviceToDeviceStack(fdo, pdo), pdo);
    assert_ptr_equal(IoAttachDeviceToDeviceStack(filter, pdo), fdo);
    assert_int_equal(fdo->StackSize, 2);
    assert_int_equal(filter->StackSize, 3);
    assert_int_equal(filter->AlignmentRequirement, 63);
    assert_int_equal(filter->SectorSize, 4096);
    assert_ptr_equal(IoGetAttachedDevice(pdo), filter);
    assert_ptr_equal(IoGetAttachedDeviceReference(pdo), filter);
    ObDereferenceObject(filter);
    IoDetachDevice(fdo);
    assert_ptr_equal(IoGetAttachedDevice(pdo), fdo);

    fdo->Flags |= DO_DEVICE_INITIALIZING;
    assert_null(IoAttachDeviceToDeviceStack(filter, pdo));
    fdo->Flags &= ~(ULONG) DO_DEVICE_INITIALIZING;
    ObReferenceObject(fdo);
    IoDetachDevice(pdo);
    IoDeleteDevice(fdo);
    assert_null(IoAttachDeviceToDeviceStack(filter, fdo));
    ObDereferenceObject(fdo);
    IoDeleteDevice(filter);
    IoDeleteDevice(pdo);
}

static void
delete__with_references__stays_until_the_last(void **state)
{
    PDEVICE_OBJECT device = new_device(driver, FILE_DEVICE_DISK, 0, NULL);
    PFILE_OBJECT file;

    (void) state;
    ObReferenceObject(device);
    IoDeleteDevice(device);
    assert_int_equal(device->Type, IO_TYPE_DEVICE);
    assert_int_equal(io_open_device(device, FILE_READ_ATTRIBUTES, &file),
                     STATUS_NO_SUCH_DEVICE);
    ObDereferenceObject(device);
}

static PDEVICE_OBJECT clumsy;

static void
delete_twice(void)
{
    clumsy = new_device(driver, FILE_DEVICE_UNKNOWN, 0, NULL);
    ObReferenceObject(clumsy);
    IoDeleteDevice(clumsy);
    IoDeleteDevice(clumsy);
}

static void
delete__twice__is_named(void **state)
{
    (void) state;
    expect_bugcheck(delete_twice, "rule device-deleted-twice: ");
}

static NTSTATUS NTAPI
succeed(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static void
names__devices_links_and_pointers(void **state)
{
    static UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\Test0");
    static UNICODE_STRING other = RTL_CONSTANT_STRING(L"\\DEVICE\\TEST0");
    static UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\T:");
    static UNICODE_STRING bad = RTL_CONSTANT_STRING(L"Test0");
    PDEVICE_OBJECT device =
        new_device(driver, FILE_DEVICE_UNKNOWN, 0, L"\\Device\\Test0");
    PDEVICE_OBJECT found, second;
    PFILE_OBJECT file;
    char text[64];

    (void) state;
    assert_true(device->Flags & DO_DEVICE_HAS_NAME);
    assert_string_equal(io_device_name(device, text, sizeof text),
                        "\\Device\\Test0");
    assert_int_equal(IoCreateDevice(driver, 0, &other, FILE_DEVICE_UNKNOWN, 0,
                                    FALSE, &second),
                     STATUS_OBJECT_NAME_COLLISION);
    assert_int_equal(
        IoCreateDevice(driver, 0, &bad, FILE_DEVICE_UNKNOWN, 0, FALSE, &second),
        STATUS_OBJECT_PATH_SYNTAX_BAD);
    assert_int_equal(IoCreateSymbolicLink(&link, &name), STATUS_SUCCESS);
    assert_int_equal(IoCreateSymbolicLink(&link, &name),
                     STATUS_OBJECT_NAME_COLLISION);
    driver->MajorFunction[IRP_MJ_CREATE] = succeed;
    assert_int_equal(
        IoGetDeviceObjectPointer(&link, FILE_READ_ATTRIBUTES, &file, &found),
        STATUS_SUCCESS);
    assert_ptr_equal(found, device);
    ObDereferenceObject(file);
    found = io_find_device("\\dosdevices\\t:");
    assert_ptr_equal(found, device);
    ObDereferenceObject(found);
    assert_int_equal(IoDeleteSymbolicLink(&name), STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(IoDeleteSymbolicLink(&link), STATUS_SUCCESS);
    assert_int_equal(
        IoGetDeviceObjectPointer(&link, FILE_READ_ATTRIBUTES, &file, &found),
        STATUS_OBJECT_NAME_NOT_FOUND);
    IoDeleteDevice(device);
    assert_null(io_find_device("\\Device\\Test0"));

    assert_int_equal(IoCreateDevice(driver, 0, NULL, FILE_DEVICE_UNKNOWN,
                                    FILE_AUTOGENERATED_DEVICE_NAME, FALSE,
                                    &device),
                     STATUS_SUCCESS);
    io_device_name(device, text, sizeof text);
    assert_int_equal(strlen(text), strlen("\\Device\\00000000"));
    IoDeleteDevice(device);
}

static void
exclusive__second_open__access_denied(void **state)
{
    PDEVICE_OBJECT device;
    PFILE_OBJECT file, second;

    (void) state;
    driver->MajorFunction[IRP_MJ_CREATE] = succeed;
    assert_int_equal(
        IoCreateDevice(driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, TRUE, &device),
        STATUS_SUCCESS);
    assert_int_equal(io_open_device(device, FILE_READ_DATA, &file),
                     STATUS_SUCCESS);
    assert_int_equal(io_open_device(device, FILE_READ_DATA, &second),
                     STATUS_ACCESS_DENIED);
    io_close_file(file);
    assert_int_equal(io_open_device(device, FILE_READ_DATA, &file),
                     STATUS_SUCCESS);
    io_close_file(file);
    IoDeleteDevice(device);
}

/* --- drivers ------------------------------------------------------------- */

static NTSTATUS NTAPI
failing_entry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(DriverObject);
    assert_true(RegistryPath->Length > 40);
    return STATUS_UNSUCCESSFUL;
}

static void
driver__entry_fails__status_returned(void **state)
{
    PDRIVER_OBJECT none = NULL;

    (void) state;
    assert_int_equal(io_load_driver("none", failing_entry, &none),
                     STATUS_UNSUCCESSFUL);
    assert_null(none);
}

static void
driver__unset_major_function__invalid_device_request(void **state)
{
    PDRIVER_OBJECT other = new_driver("bare");
    PDEVICE_OBJECT device = new_device(other, FILE_DEVICE_UNKNOWN, 0, NULL);
    ULONG_PTR information = 7;

    (void) state;
    assert_int_equal(
        io_device_control(device, 0, NULL, 0, NULL, 0, 0, &information),
        STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(information, 0);
    IoDeleteDevice(device);
    io_unload_driver(other);
}

static void
driver_extension__one_per_client(void **state)
{
    PVOID first, second;
    char client;

    (void) state;
    assert_null(IoGetDriverObjectExtension(driver, &client));
    assert_int_equal(
        IoAllocateDriverObjectExtension(driver, &client, 100, &first),
        STATUS_SUCCESS);
    assert_int_equal(*(char *) first, 0);
    assert_int_equal(
        IoAllocateDriverObjectExtension(driver, &client, 100, &second),
        STATUS_OBJECT_NAME_COLLISION);
    assert_null(second);
    assert_ptr_equal(IoGetDriverObjectExtension(driver, &client), first);
}

/* --- remove locks -------------------------------------------------------- */

static IO_REMOVE_LOCK remove_lock;
static NTSTATUS while_waiting;

static void *
release_later(void *released)
{
    /* Until the wait has begun: each one that succeeds is given back. */
    while ((while_waiting = IoAcquireRemoveLock(&remove_lock, released)) ==
           STATUS_SUCCESS)
        IoReleaseRemoveLock(&remove_lock, released);
    __atomic_store_n((LONG *) released, 1, __ATOMIC_RELEASE);
    IoReleaseRemoveLock(&remove_lock, NULL);
    return NULL;
}

static void
R206__remove_lock__release_and_wait(void **state)
{
    pthread_t thread;
    LONG released = 0;

    (void) state;
    IoInitializeRemoveLock(&remove_lock, 0, 0, 0);
    assert_int_equal(IoAcquireRemoveLock(&remove_lock, NULL), STATUS_SUCCESS);
    assert_int_equal(IoAcquireRemoveLock(&remove_lock, &thread),
                     STATUS_SUCCESS);
    pthread_create(&thread, NULL, release_later, &released);
    IoReleaseRemoveLockAndWait(&remove_lock, &thread);
    assert_int_equal(released, 1);
    pthread_join(thread, NULL);
    assert_int_equal(while_waiting, STATUS_DELETE_PENDING);
    assert_int_equal(IoAcquireRemoveLock(&remove_lock, NULL),
                     STATUS_DELETE_PENDING);
}

/* --- StartIo ------------------------------------------------------------- */

static PDEVICE_OBJECT queue_device;
static PIRP started[8];
static int start_count, cancelled;

static void NTAPI
start_io(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    assert_int_equal(KeGetCurrentIrql(), DISPATCH_LEVEL);
    assert_ptr_equal(DeviceObject->CurrentIrp, Irp);
    started[start_count++] = Irp;
}

static void NTAPI
cancel_queued(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    if (Irp == DeviceObject->CurrentIrp) {
        IoReleaseCancelSpinLock(Irp->CancelIrql);
        return;
    }
    KeRemoveEntryDeviceQueue(&DeviceObject->DeviceQueue,
                             &Irp->Tail.Overlay.DeviceQueueEntry);
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    cancelled++;
    complete_irp(Irp, STATUS_CANCELLED, 0);
}

static NTSTATUS NTAPI
queue_read(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    IoMarkIrpPending(Irp);
    IoStartPacket(DeviceObject, Irp, NULL, cancel_queued);
    return STATUS_PENDING;
}

static NTSTATUS NTAPI
keep(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    ++*(int *) Context;
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static PIRP
queue_one(int *done)
{
    PIRP irp = IoAllocateIrp(1, FALSE);

    *done = 0;
    IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_READ;
    IoSetCompletionRoutine(irp, keep, done, TRUE, TRUE, TRUE);
    assert_int_equal(IoCallDriver(queue_device, irp), STATUS_PENDING);
    return irp;
}

static void
finish_current(PIRP irp)
{
    KIRQL irql;

    assert_ptr_equal(queue_device->CurrentIrp, irp);
    IoSetCancelRoutine(irp, NULL);
    complete_irp(irp, STATUS_SUCCESS, 0);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    IoStartNextPacket(queue_device, TRUE);
    KeLowerIrql(irql);
}

/* 2.17: cancelled before it was queued, so its routine is called at once. */
static void
R208__start_packet__cancelled_already__completed_and_never_started(void **state)
{
    PIRP first, late = IoAllocateIrp(1, FALSE);
    int first_done, late_done = 0;

    (void) state;
    start_count = cancelled = 0;
    driver->DriverStartIo = start_io;
    driver->MajorFunction[IRP_MJ_READ] = queue_read;
    queue_device = new_device(driver, FILE_DEVICE_UNKNOWN, 0, NULL);
    first = queue_one(&first_done);
    IoGetNextIrpStackLocation(late)->MajorFunction = IRP_MJ_READ;
    IoSetCompletionRoutine(late, keep, &late_done, TRUE, TRUE, TRUE);
    assert_false(IoCancelIrp(late));
    late->IoStatus.Information = 5;
    assert_int_equal(IoCallDriver(queue_device, late), STATUS_PENDING);
    assert_int_equal(cancelled, 1);
    assert_int_equal(late_done, 1);
    assert_int_equal(late->IoStatus.Status, STATUS_CANCELLED);
    assert_int_equal(late->IoStatus.Information, 0);
    assert_ptr_equal(queue_device->CurrentIrp, first);
    finish_current(first);
    assert_int_equal(start_count, 1);
    assert_null(queue_device->CurrentIrp);
    IoFreeIrp(first);
    IoFreeIrp(late);
    IoDeleteDevice(queue_device);
    start_count = cancelled = 0;
}

static void
R207_R208__start_io__one_at_a_time__cancelled_never_started(void **state)
{
    int done[3];
    PIRP irps[3];

    (void) state;
    driver->DriverStartIo = start_io;
    driver->MajorFunction[IRP_MJ_READ] = queue_read;
    queue_device = new_device(driver, FILE_DEVICE_UNKNOWN, 0, NULL);
    for (int i = 0; i < 3; i++)
        irps[i] = queue_one(&done[i]);
    assert_int_equal(start_count, 1);
    assert_true(IoCancelIrp(irps[1]));
    assert_int_equal(cancelled, 1);
    assert_int_equal(done[1], 1);
    assert_int_equal(irps[1]->IoStatus.Status, STATUS_CANCELLED);
    assert_int_equal(irps[1]->IoStatus.Information, 0);

    finish_current(irps[0]);
    assert_int_equal(start_count, 2);
    assert_ptr_equal(started[1], irps[2]);
    finish_current(irps[2]);
    assert_int_equal(start_count, 2);
    assert_null(queue_device->CurrentIrp);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(done[i], 1);
        IoFreeIrp(irps[i]);
    }
    IoDeleteDevice(queue_device);
}

/* --- work items, error log ----------------------------------------------- */

static LONG work_done;
static PIO_WORKITEM work_item;

static void NTAPI
work(PDEVICE_OBJECT DeviceObject, PVOID Context)
{
    assert_int_equal(DeviceObject->Type, IO_TYPE_DEVICE);
    assert_ptr_equal(Context, &work_done);
    IoFreeWorkItem(work_item);
    __atomic_store_n(&work_done, 1, __ATOMIC_RELEASE);
}

static void
work_item__runs_with_its_device__frees_itself(void **state)
{
    PDEVICE_OBJECT device = new_device(driver, FILE_DEVICE_UNKNOWN, 0, NULL);

    (void) state;
    work_item = IoAllocateWorkItem(device);
    IoQueueWorkItem(work_item, work, DelayedWorkQueue, &work_done);
    IoDeleteDevice(device);
    wait_for_value(&work_done, 1);
}

static void
error_log__entries__in_order_and_newest_kept(void **state)
{
    PDEVICE_OBJECT device =
        new_device(driver, FILE_DEVICE_UNKNOWN, 0, L"\\Device\\Logged");
    struct io_error_log_entry list[200];
    PIO_ERROR_LOG_PACKET packet;
    size_t count;

    (void) state;
    assert_null(IoAllocateErrorLogEntry(device, 8));
    assert_null(IoAllocateErrorLogEntry(NULL, sizeof *packet));
    assert_null(IoAllocateErrorLogEntry(device, 255));
    IoFreeErrorLogEntry(IoAllocateErrorLogEntry(device, sizeof *packet));
    assert_int_equal(io_error_log(0, list, 200), 0);
    for (ULONG i = 1; i <= 130; i++) {
        packet = IoAllocateErrorLogEntry(
            i == 130 ? (PVOID) driver : (PVOID) device, sizeof *packet);
        packet->UniqueErrorValue = i;
        packet->ErrorCode = (NTSTATUS) 0xC0040007;
        IoWriteErrorLogEntry(packet);
    }
    count = io_error_log(0, list, 200);
    assert_int_equal(count, 128);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(list[i].packet.UniqueErrorValue, i + 3);
    assert_string_equal(list[0].driver, "objects");
    assert_string_equal(list[0].device, "\\Device\\Logged");
    assert_string_equal(list[127].device, "");
    assert_int_equal(io_error_log(128, list, 200), 2);
    assert_int_equal(list[0].seq, 129);
    assert_int_equal(io_error_log(130, list, 200), 0);
    assert_int_equal(io_error_log(0, list, 1), 1);
    assert_int_equal(list[0].seq, 130);
    IoDeleteDevice(device);
}

static void
error_log__dump_data_and_strings__kept(void **state)
{
    PDEVICE_OBJECT device = new_device(driver, FILE_DEVICE_UNKNOWN, 0, NULL);
    static const WCHAR strings[] = L"one\0two";
    const USHORT dump = 12, start = offsetof(IO_ERROR_LOG_PACKET, DumpData);
    struct io_error_log_entry entry;
    PIO_ERROR_LOG_PACKET packet;

    (void) state;
    packet = IoAllocateErrorLogEntry(device,
                                     (UCHAR) (start + dump + sizeof strings));
    packet->ErrorCode = (NTSTATUS) 0xC0040007;
    packet->FinalStatus = STATUS_DEVICE_DATA_ERROR;
    packet->DumpDataSize = dump;
    memcpy(packet->DumpData, "\x70\0\x03_SENSE_123", dump);
    packet->NumberOfStrings = 2;
    packet->StringOffset = (USHORT) (start + dump);
    memcpy((PUCHAR) packet + start + dump, strings, sizeof strings);
    IoWriteErrorLogEntry(packet);
    assert_int_equal(io_error_log(0, &entry, 1), 1);
    assert_ptr_equal(entry.object, device);
    assert_int_equal(entry.dump_len, dump);
    assert_memory_equal(entry.dump, "\x70\0\x03_SENSE_123", dump);
    assert_string_equal(entry.text, "one two");
    assert_string_equal(io_error_code_name(entry.packet.ErrorCode),
                        "IO_ERR_BAD_BLOCK");
    assert_string_equal(io_error_code_name(STATUS_DEVICE_DATA_ERROR),
                        "STATUS_DEVICE_DATA_ERROR");
    assert_string_equal(io_error_code_name((NTSTATUS) 0xC004FFFF),
                        "0xC004FFFF");

    /* One that says more than was allocated. */
    packet = IoAllocateErrorLogEntry(device, (UCHAR) sizeof *packet);
    packet->DumpDataSize = 200;
    packet->NumberOfStrings = 3;
    packet->StringOffset = 0xFFF0;
    IoWriteErrorLogEntry(packet);
    assert_int_equal(io_error_log(0, &entry, 1), 1);
    assert_int_equal(entry.dump_len, sizeof *packet - start);
    assert_string_equal(entry.text, "");
    IoDeleteDevice(device);
}

static void
create__no_memory__cleaned_up(void **state)
{
    PDEVICE_OBJECT device = NULL;
    static UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\Scarce");
    NTSTATUS status = STATUS_UNSUCCESSFUL;
    int n;

    (void) state;
    for (n = 1; !NT_SUCCESS(status) && n < 10; n++) {
        fault_set("pool", (uint64_t) n, false);
        status = IoCreateDevice(driver, 0, &name, FILE_DEVICE_DISK, 0, FALSE,
                                &device);
        if (!NT_SUCCESS(status))
            assert_int_equal(status, STATUS_INSUFFICIENT_RESOURCES);
    }
    fault_clear();
    assert_int_equal(n, 6);
    IoDeleteDevice(device);
}

static int
setup(void **state)
{
    io_setup(state);
    driver = new_driver("objects");
    return 0;
}

static int
teardown(void **state)
{
    io_unload_driver(driver);
    return io_teardown(state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test(name)
        T(create__fields_and_vpb_by_type),
        T(R205__attach__stack_size_alignment_and_previous_top),
        T(delete__with_references__stays_until_the_last),
        T(delete__twice__is_named),
        T(names__devices_links_and_pointers),
        T(exclusive__second_open__access_denied),
        T(driver__entry_fails__status_returned),
        T(driver__unset_major_function__invalid_device_request),
        T(driver_extension__one_per_client),
        T(R206__remove_lock__release_and_wait),
        T(R208__start_packet__cancelled_already__completed_and_never_started),
        T(R207_R208__start_io__one_at_a_time__cancelled_never_started),
        T(work_item__runs_with_its_device__frees_itself),
        T(error_log__entries__in_order_and_newest_kept),
        T(error_log__dump_data_and_strings__kept),
        T(create__no_memory__cleaned_up),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
