/*
 * Tests for src/io/{attach,build,driver,file,hint,mdl,share}.c: associated
 * IRPs, memory descriptors, share access, streams, and the small routines.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include <string.h>

#include "base/fault.h"

static PDRIVER_OBJECT driver;

static int
setup(void **state)
{
    io_setup(state);
    driver = new_driver("services");
    return 0;
}

static int
teardown(void **state)
{
    io_unload_driver(driver);
    return io_teardown(state);
}

/* --- associated IRPs ----------------------------------------------------- */

static LONG master_done;
static PIRP parts[3];

static NTSTATUS NTAPI
master_came_back(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Context);
    assert_int_equal(Irp->IoStatus.Status, STATUS_IO_DEVICE_ERROR);
    assert_int_equal(Irp->IoStatus.Information, 0);
    assert_true(Irp->PendingReturned);
    InterlockedIncrement(&master_done);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS NTAPI
part_done(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Context);
    IoSetMasterIrpStatus(Irp->AssociatedIrp.MasterIrp, Irp->IoStatus.Status);
    return STATUS_CONTINUE_COMPLETION;
}

static NTSTATUS NTAPI
hold_part(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    int *count = DeviceObject->DeviceExtension;

    IoMarkIrpPending(Irp);
    parts[(*count)++] = Irp;
    return STATUS_PENDING;
}

static void
split(PDEVICE_OBJECT lower, PIRP master)
{
    IoMarkIrpPending(master);
    master->IoStatus.Status = STATUS_SUCCESS;
    master->AssociatedIrp.IrpCount = 3;
    for (int i = 0; i < 3; i++) {
        PIRP part = IoMakeAssociatedIrp(master, lower->StackSize);

        assert_non_null(part);
        assert_ptr_equal(part->AssociatedIrp.MasterIrp, master);
        assert_true(part->Flags & IRP_ASSOCIATED_IRP);
        assert_ptr_equal(part->Tail.Overlay.Thread,
                         master->Tail.Overlay.Thread);
        IoGetNextIrpStackLocation(part)->MajorFunction = IRP_MJ_WRITE;
        IoSetCompletionRoutine(part, part_done, NULL, TRUE, TRUE, TRUE);
        assert_int_equal(IoCallDriver(lower, part), STATUS_PENDING);
    }
}

static NTSTATUS NTAPI
split_read(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    split(*(PDEVICE_OBJECT *) DeviceObject->DeviceExtension, Irp);
    return STATUS_PENDING;
}

/* The master completes with the last part, and with the worst status. */
static void
associated_irps__master_completes_with_the_last(void **state)
{
    PDEVICE_OBJECT lower =
        new_device(driver, FILE_DEVICE_UNKNOWN, sizeof(int), NULL);
    PDEVICE_OBJECT upper =
        new_device(driver, FILE_DEVICE_UNKNOWN, sizeof(PVOID), NULL);
    PIRP master = IoAllocateIrp(1, FALSE);

    (void) state;
    master_done = 0;
    *(PDEVICE_OBJECT *) upper->DeviceExtension = lower;
    driver->MajorFunction[IRP_MJ_READ] = split_read;
    driver->MajorFunction[IRP_MJ_WRITE] = hold_part;
    master->Tail.Overlay.Thread = PsGetCurrentThread();
    IoGetNextIrpStackLocation(master)->MajorFunction = IRP_MJ_READ;
    IoSetCompletionRoutine(master, master_came_back, NULL, TRUE, TRUE, TRUE);
    assert_int_equal(IoCallDriver(upper, master), STATUS_PENDING);
    complete_irp(parts[1], STATUS_SUCCESS, 0);
    complete_irp(parts[0], STATUS_IO_DEVICE_ERROR, 0);
    assert_int_equal(master_done, 0);
    assert_int_equal(master->AssociatedIrp.IrpCount, 1);
    complete_irp(parts[2], STATUS_SUCCESS, 0);
    assert_int_equal(master_done, 1);
    IoFreeIrp(master);
    IoDeleteDevice(upper);
    IoDeleteDevice(lower);
}

/* --- a completion routine that keeps its device --------------------------- */

static LONG guarded_calls;

static NTSTATUS NTAPI
guarded(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    assert_ptr_equal(Context, &guarded_calls);
    InterlockedIncrement(&guarded_calls);
    if (Irp->PendingReturned)
        IoMarkIrpPending(Irp);
    return STATUS_CONTINUE_COMPLETION;
}

static NTSTATUS NTAPI
stop_here(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    *(BOOLEAN *) Context = Irp->PendingReturned;
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS NTAPI
pend_below(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PDEVICE_OBJECT *lower = DeviceObject->DeviceExtension;

    if (*lower == NULL) {
        IoMarkIrpPending(Irp);
        parts[0] = Irp;
        return STATUS_PENDING;
    }
    IoCopyCurrentIrpStackLocationToNext(Irp);
    assert_int_equal(IoSetCompletionRoutineEx(DeviceObject, Irp, guarded,
                                              &guarded_calls, FALSE, TRUE,
                                              FALSE),
                     STATUS_SUCCESS);
    return IoCallDriver(*lower, Irp);
}

/* Called by the flags; where it is not, the pending mark goes up all the same.
 * The device is there until then, though it was deleted meanwhile. */
static void
completion_routine_ex__flags_hold_and_the_device_stays(void **state)
{
    (void) state;
    driver->MajorFunction[IRP_MJ_READ] = pend_below;
    for (int error = 0; error <= 1; error++) {
        PDEVICE_OBJECT lower =
            new_device(driver, FILE_DEVICE_UNKNOWN, sizeof(PVOID), NULL);
        PDEVICE_OBJECT upper =
            new_device(driver, FILE_DEVICE_UNKNOWN, sizeof(PVOID), NULL);
        BOOLEAN pending = FALSE;
        PIRP irp;

        guarded_calls = 0;
        *(PDEVICE_OBJECT *) upper->DeviceExtension =
            IoAttachDeviceToDeviceStack(upper, lower);
        irp = IoAllocateIrp(upper->StackSize, FALSE);
        IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_READ;
        IoSetCompletionRoutine(irp, stop_here, &pending, TRUE, TRUE, TRUE);
        assert_int_equal(IoCallDriver(upper, irp), STATUS_PENDING);
        IoDetachDevice(lower);
        IoDeleteDevice(upper);
        complete_irp(parts[0], error ? STATUS_IO_DEVICE_ERROR : STATUS_SUCCESS,
                     0);
        assert_int_equal(guarded_calls, error);
        assert_true(pending);
        IoFreeIrp(irp);
        IoDeleteDevice(lower);
    }
}

/* --- memory descriptors -------------------------------------------------- */

static void
mdl__locked__mapped_and_unlocked(void **state)
{
    UCHAR buffer[64];
    PMDL mdl = IoAllocateMdl(buffer, sizeof buffer, FALSE, FALSE, NULL);

    (void) state;
    MmProbeAndLockPages(mdl, KernelMode, IoWriteAccess);
    assert_true(mdl->MdlFlags & MDL_PAGES_LOCKED);
    assert_true(mdl->MdlFlags & MDL_WRITE_OPERATION);
    assert_false(mdl->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA);
    assert_ptr_equal(MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority),
                     buffer);
    assert_true(mdl->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA);
    MmUnmapLockedPages(buffer, mdl);
    assert_false(mdl->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA);
    /* Mapped again at the next question; twice the same answer. */
    for (int i = 0; i < 2; i++)
        assert_ptr_equal(MmGetSystemAddressForMdlSafe(mdl, LowPagePriority),
                         buffer);
    MmUnmapLockedPages(buffer, mdl);
    /* By the routine itself, too: a lock alone is no mapping. */
    assert_ptr_equal(MmMapLockedPagesSpecifyCache(mdl, KernelMode, MmCached,
                                                  NULL, FALSE,
                                                  NormalPagePriority),
                     buffer);
    MmUnlockPages(mdl);
    assert_int_equal(mdl->MdlFlags & (MDL_PAGES_LOCKED | MDL_WRITE_OPERATION |
                                      MDL_MAPPED_TO_SYSTEM_VA),
                     0);
    IoFreeMdl(mdl);
}

static void
mdl__no_mapping_to_be_had__null(void **state)
{
    UCHAR buffer[64];
    PMDL mdl = IoAllocateMdl(buffer, sizeof buffer, FALSE, FALSE, NULL);

    (void) state;
    MmProbeAndLockPages(mdl, KernelMode, IoReadAccess);
    assert_false(mdl->MdlFlags & MDL_WRITE_OPERATION);
    MmUnmapLockedPages(buffer, mdl);
    fault_set("map", 1, false);
    assert_null(MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority));
    fault_clear();
    assert_ptr_equal(MmMapLockedPagesSpecifyCache(mdl, UserMode, MmCached, NULL,
                                                  FALSE, NormalPagePriority),
                     buffer);
    MmUnlockPages(mdl);
    IoFreeMdl(mdl);
}

static void
partial_mdl__describes_a_part_and_is_mapped_by_itself(void **state)
{
    UCHAR buffer[256];
    PMDL whole = IoAllocateMdl(buffer, sizeof buffer, FALSE, FALSE, NULL);
    PMDL part = IoAllocateMdl(buffer, sizeof buffer, FALSE, FALSE, NULL);

    (void) state;
    MmProbeAndLockPages(whole, KernelMode, IoReadAccess);
    IoBuildPartialMdl(whole, part, buffer + 16, 32);
    assert_true(part->MdlFlags & MDL_PARTIAL);
    assert_int_equal(MmGetMdlByteCount(part), 32);
    assert_ptr_equal(MmGetMdlVirtualAddress(part), buffer + 16);
    assert_ptr_equal(MmGetSystemAddressForMdlSafe(part, 0), buffer + 16);
    /* The rest, of a source that is not mapped. */
    MmUnmapLockedPages(buffer, whole);
    MmPrepareMdlForReuse(part);
    IoBuildPartialMdl(whole, part, buffer + 64, 0);
    assert_int_equal(MmGetMdlByteCount(part), 192);
    assert_false(part->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA);
    assert_ptr_equal(MmGetSystemAddressForMdlSafe(part, 0), buffer + 64);
    assert_true(part->MdlFlags & MDL_PARTIAL_HAS_BEEN_MAPPED);
    MmPrepareMdlForReuse(part);
    assert_false(part->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA);
    MmUnlockPages(whole);
    IoFreeMdl(part);
    IoFreeMdl(whole);
}

static void
mdl_chain__secondary_goes_last(void **state)
{
    UCHAR buffer[3][8];
    PIRP irp = IoAllocateIrp(1, FALSE);
    PMDL mdls[3];

    (void) state;
    for (int i = 0; i < 3; i++)
        mdls[i] = IoAllocateMdl(buffer[i], 8, i != 0, FALSE, irp);
    assert_ptr_equal(irp->MdlAddress, mdls[0]);
    assert_ptr_equal(mdls[0]->Next, mdls[1]);
    assert_ptr_equal(mdls[1]->Next, mdls[2]);
    assert_null(mdls[2]->Next);
    for (int i = 0; i < 3; i++)
        IoFreeMdl(mdls[i]);
    IoFreeIrp(irp);
}

/* One page number for each page that the range touches. */
static void
size_of_mdl__header_and_a_number_per_page(void **state)
{
    (void) state;
    assert_int_equal(MmSizeOfMdl((PVOID) 0x10000, 1),
                     sizeof(MDL) + sizeof(PFN_NUMBER));
    assert_int_equal(MmSizeOfMdl((PVOID) 0x10000, PAGE_SIZE),
                     sizeof(MDL) + sizeof(PFN_NUMBER));
    assert_int_equal(MmSizeOfMdl((PVOID) 0x10fff, 2),
                     sizeof(MDL) + 2 * sizeof(PFN_NUMBER));
}

/* --- share access -------------------------------------------------------- */

static void
share_access__second_open_by_what_the_first_shares(void **state)
{
    static const struct {
        ACCESS_MASK first;
        ULONG first_share;
        ACCESS_MASK second;
        ULONG second_share;
        NTSTATUS want;
    } rows[] = {
        { FILE_READ_DATA, FILE_SHARE_READ, FILE_READ_DATA, FILE_SHARE_READ,
          STATUS_SUCCESS },
        { FILE_READ_DATA, 0, FILE_READ_DATA, FILE_SHARE_READ,
          STATUS_SHARING_VIOLATION },
        { FILE_READ_DATA, FILE_SHARE_READ, FILE_READ_DATA, 0,
          STATUS_SHARING_VIOLATION },
        { FILE_READ_DATA, FILE_SHARE_READ, FILE_WRITE_DATA, FILE_SHARE_READ,
          STATUS_SHARING_VIOLATION },
        { FILE_WRITE_DATA, FILE_SHARE_WRITE | FILE_SHARE_READ, FILE_READ_DATA,
          FILE_SHARE_WRITE, STATUS_SUCCESS },
        { FILE_WRITE_DATA, FILE_SHARE_READ, FILE_READ_DATA, FILE_SHARE_READ,
          STATUS_SHARING_VIOLATION },
        { DELETE, FILE_SHARE_READ, FILE_READ_DATA, FILE_SHARE_READ,
          STATUS_SHARING_VIOLATION },
        { DELETE, FILE_SHARE_READ, FILE_READ_DATA,
          FILE_SHARE_READ | FILE_SHARE_DELETE, STATUS_SUCCESS },
        /* Attributes share nothing and need nothing. */
        { FILE_READ_DATA, 0, FILE_READ_ATTRIBUTES, 0, STATUS_SUCCESS },
        { FILE_EXECUTE, 0, FILE_APPEND_DATA, FILE_SHARE_VALID_FLAGS,
          STATUS_SHARING_VIOLATION },
    };

    (void) state;
    for (size_t i = 0; i < ARRAYSIZE(rows); i++) {
        FILE_OBJECT first = { 0 }, second = { 0 };
        SHARE_ACCESS access, before;

        IoSetShareAccess(rows[i].first, rows[i].first_share, &first, &access);
        before = access;
        assert_int_equal(IoCheckShareAccess(rows[i].second,
                                            rows[i].second_share, &second,
                                            &access, TRUE),
                         rows[i].want);
        if (!NT_SUCCESS(rows[i].want)) {
            assert_memory_equal(&access, &before, sizeof access);
            continue;
        }
        IoRemoveShareAccess(&second, &access);
        assert_memory_equal(&access, &before, sizeof access);
        IoRemoveShareAccess(&first, &access);
        assert_int_equal(access.OpenCount + access.Readers + access.Writers +
                             access.Deleters + access.SharedRead +
                             access.SharedWrite + access.SharedDelete,
                         0);
    }
}

static void
share_access__check_without_update__counts_only_with_update_share(void **state)
{
    FILE_OBJECT first = { 0 }, second = { 0 };
    SHARE_ACCESS access;

    (void) state;
    IoSetShareAccess(FILE_READ_DATA, FILE_SHARE_READ, &first, &access);
    assert_int_equal(IoCheckShareAccess(FILE_READ_DATA, FILE_SHARE_READ,
                                        &second, &access, FALSE),
                     STATUS_SUCCESS);
    assert_int_equal(access.OpenCount, 1);
    assert_true(second.ReadAccess && second.SharedRead && !second.WriteAccess);
    IoUpdateShareAccess(&second, &access);
    assert_int_equal(access.OpenCount, 2);
    assert_int_equal(access.SharedRead, 2);
}

/* --- attaching by name, asking a stack ----------------------------------- */

static NTSTATUS NTAPI
accept(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static void
allow_opens(void)
{
    driver->MajorFunction[IRP_MJ_CREATE] = accept;
    driver->MajorFunction[IRP_MJ_CLEANUP] = accept;
    driver->MajorFunction[IRP_MJ_CLOSE] = accept;
}

static void
attach_device__by_name__on_top_of_its_stack(void **state)
{
    PDEVICE_OBJECT low =
        new_device(driver, FILE_DEVICE_UNKNOWN, 0, L"\\Device\\Low");
    PDEVICE_OBJECT middle = new_device(driver, FILE_DEVICE_UNKNOWN, 0, NULL);
    PDEVICE_OBJECT high = new_device(driver, FILE_DEVICE_UNKNOWN, 0, NULL);
    PDEVICE_OBJECT below = NULL, base, lower;
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\Low");
    UNICODE_STRING missing = RTL_CONSTANT_STRING(L"\\Device\\None");

    (void) state;
    allow_opens();
    assert_int_equal(IoAttachDevice(middle, &missing, &below),
                     STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(IoAttachDevice(middle, NULL, &below),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(IoAttachDevice(middle, &name, &below), STATUS_SUCCESS);
    assert_ptr_equal(below, low);
    assert_int_equal(IoAttachDevice(high, &name, &below), STATUS_SUCCESS);
    assert_ptr_equal(below, middle);
    assert_int_equal(high->StackSize, 3);

    base = IoGetDeviceAttachmentBaseRef(high);
    assert_ptr_equal(base, low);
    ObDereferenceObject(base);
    lower = IoGetLowerDeviceObject(high);
    assert_ptr_equal(lower, middle);
    ObDereferenceObject(lower);
    assert_null(IoGetLowerDeviceObject(low));
    IoDetachDevice(middle);
    IoDetachDevice(low);
    IoDeleteDevice(high);
    IoDeleteDevice(middle);
    IoDeleteDevice(low);
}

static void
attach_safe__target_initialising__no_such_device(void **state)
{
    PDEVICE_OBJECT low = new_device(driver, FILE_DEVICE_UNKNOWN, 0, NULL);
    PDEVICE_OBJECT high = new_device(driver, FILE_DEVICE_UNKNOWN, 0, NULL);
    PDEVICE_OBJECT below = NULL;

    (void) state;
    low->Flags |= DO_DEVICE_INITIALIZING;
    assert_int_equal(IoAttachDeviceToDeviceStackSafe(high, low, &below),
                     STATUS_NO_SUCH_DEVICE);
    assert_null(below);
    low->Flags &= ~(ULONG) DO_DEVICE_INITIALIZING;
    assert_int_equal(IoAttachDeviceToDeviceStackSafe(high, low, &below),
                     STATUS_SUCCESS);
    assert_ptr_equal(below, low);
    IoDetachDevice(low);
    IoDeleteDevice(high);
    IoDeleteDevice(low);
}

/* --- streams ------------------------------------------------------------- */

static int cleanups, closes;

static NTSTATUS NTAPI
count_teardown(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(Irp);

    UNREFERENCED_PARAMETER(DeviceObject);
    assert_true(at->FileObject->Flags & FO_STREAM_FILE);
    if (at->MajorFunction == IRP_MJ_CLEANUP)
        cleanups++;
    else
        closes++;
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static void
stream__cleanup_at_once_and_close_with_the_last_reference(void **state)
{
    PDEVICE_OBJECT device = new_device(driver, FILE_DEVICE_UNKNOWN, 0, NULL);
    PFILE_OBJECT stream, lite;

    (void) state;
    cleanups = closes = 0;
    driver->MajorFunction[IRP_MJ_CLEANUP] = count_teardown;
    driver->MajorFunction[IRP_MJ_CLOSE] = count_teardown;
    stream = IoCreateStreamFileObject(NULL, device);
    assert_non_null(stream);
    assert_int_equal(cleanups, 1);
    assert_int_equal(closes, 0);
    lite = IoCreateStreamFileObjectLite(stream, NULL);
    assert_ptr_equal(lite->DeviceObject, device);
    assert_int_equal(cleanups, 1);
    ObDereferenceObject(lite);
    assert_int_equal(closes, 1);
    ObDereferenceObject(stream);
    assert_int_equal(cleanups, 1);
    assert_int_equal(closes, 2);
    IoDeleteDevice(device);
}

/* --- initialization again ------------------------------------------------ */

static ULONG counts[4];
static int reinit_calls;
static char order[8];

static VOID NTAPI
again(PDRIVER_OBJECT DriverObject, PVOID Context, ULONG Count)
{
    order[reinit_calls] = *(const char *) Context;
    counts[reinit_calls++] = Count;
    if (reinit_calls == 2)
        IoRegisterDriverReinitialization(DriverObject, again, "c");
}

static NTSTATUS NTAPI
entry_again(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    IoRegisterDriverReinitialization(DriverObject, again, "b");
    IoRegisterBootDriverReinitialization(DriverObject, again, "a");
    assert_int_equal(reinit_calls, 0);
    return STATUS_SUCCESS;
}

static void
reinitialization__after_entry__counted_and_repeatable(void **state)
{
    PDRIVER_OBJECT loaded;

    (void) state;
    reinit_calls = 0;
    assert_int_equal(io_load_driver("again", entry_again, &loaded),
                     STATUS_SUCCESS);
    assert_int_equal(reinit_calls, 3);
    assert_string_equal(order, "abc");
    for (ULONG i = 0; i < 3; i++)
        assert_int_equal(counts[i], i + 1);
    io_unload_driver(loaded);
}

/* --- hints --------------------------------------------------------------- */

static void
priority_hint__normal_until_set__bad_one_refused(void **state)
{
    PIRP irp = IoAllocateIrp(1, FALSE);
    ULONG flags;

    (void) state;
    irp->Flags = flags = IRP_NOCACHE | IRP_SYNCHRONOUS_API;
    assert_int_equal(IoGetIoPriorityHint(irp), IoPriorityNormal);
    for (int hint = IoPriorityVeryLow; hint <= IoPriorityCritical; hint++) {
        assert_int_equal(IoSetIoPriorityHint(irp, (IO_PRIORITY_HINT) hint),
                         STATUS_SUCCESS);
        assert_int_equal(IoGetIoPriorityHint(irp), hint);
        assert_int_equal(irp->Flags & 0xffff, flags);
    }
    assert_int_equal(IoSetIoPriorityHint(irp, MaxIoPriorityTypes),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(IoGetIoPriorityHint(irp), IoPriorityCritical);
    assert_int_equal(IoGetPagingIoPriority(irp), IoPagingPriorityInvalid);
    irp->Flags |= IRP_PAGING_IO;
    assert_int_equal(IoGetPagingIoPriority(irp), IoPagingPriorityHigh);
    IoSetIoPriorityHint(irp, IoPriorityNormal);
    assert_int_equal(IoGetPagingIoPriority(irp), IoPagingPriorityNormal);
    IoFreeIrp(irp);
}

static void
is_operation_synchronous__by_file_irp_and_paging(void **state)
{
    static const struct {
        ULONG irp_flags, file_flags;
        BOOLEAN want;
    } rows[] = {
        { 0, 0, FALSE },
        { IRP_SYNCHRONOUS_API, 0, TRUE },
        { 0, FO_SYNCHRONOUS_IO, TRUE },
        { IRP_PAGING_IO, FO_SYNCHRONOUS_IO, FALSE },
        { IRP_PAGING_IO | IRP_SYNCHRONOUS_PAGING_IO, 0, TRUE },
        { IRP_INPUT_OPERATION, 0, FALSE },
    };

    (void) state;
    for (size_t i = 0; i < ARRAYSIZE(rows); i++) {
        FILE_OBJECT file = { .Flags = rows[i].file_flags };
        PIRP irp = IoAllocateIrp(1, FALSE);

        IoSetNextIrpStackLocation(irp);
        IoGetCurrentIrpStackLocation(irp)->FileObject = &file;
        irp->Flags = rows[i].irp_flags;
        assert_int_equal(IoIsOperationSynchronous(irp), rows[i].want);
        IoFreeIrp(irp);
    }
}

static void
stack_limits__a_local_is_within(void **state)
{
    ULONG_PTR low, high, local = (ULONG_PTR) &low;

    (void) state;
    IoGetStackLimits(&low, &high);
    assert_true(low < local && local < high);
    assert_true(IoWithinStackLimits(local, sizeof low));
    assert_false(IoWithinStackLimits(low - 1, 1));
    assert_false(IoWithinStackLimits(high - 1, 2));
    assert_false(IoWithinStackLimits(local, ~(SIZE_T) 0));
    assert_true(IoGetRemainingStackSize() < high - low);
    assert_true(IoGetRemainingStackSize() > 4096);
}

static void
process__one_and_64_bits(void **state)
{
    PIRP irp = IoAllocateIrp(1, FALSE);

    (void) state;
    assert_false(IoIs32bitProcess(irp));
    assert_false(IoIs32bitProcess(NULL));
    assert_null(IoGetRequestorProcess(irp));
    irp->Tail.Overlay.Thread = PsGetCurrentThread();
    assert_ptr_equal(IoGetRequestorProcess(irp), IoGetCurrentProcess());
    assert_ptr_equal(PsGetCurrentProcess(), IoGetCurrentProcess());
    IoFreeIrp(irp);
}

static void
generic_mapping__of_files__as_the_rights_are_defined(void **state)
{
    PGENERIC_MAPPING mapping = IoGetFileObjectGenericMapping();

    (void) state;
    assert_int_equal(mapping->GenericRead, 0x00120089);
    assert_int_equal(mapping->GenericWrite, 0x00120116);
    assert_int_equal(mapping->GenericExecute, 0x001200A0);
    assert_int_equal(mapping->GenericAll, 0x001F01FF);
}

/* Two entries: "AB" = 5 bytes at 0, "C" = nothing at 16. */
static const UCHAR two_eas[] = {
    16, 0, 0, 0, 0, 2, 5, 0, 'A', 'B', 0, 1,   2,
    3,  4, 5, 0, 0, 0, 0, 0, 1,   0,   0, 'C', 0,
};

static void
ea_buffer__valid_or_where_it_is_not(void **state)
{
    static const struct {
        int at; /* changed to `to`; -1: nothing */
        UCHAR to;
        ULONG length;
        NTSTATUS status;
        ULONG offset;
    } rows[] = {
        { -1, 0, sizeof two_eas, STATUS_SUCCESS, 77 },
        { -1, 0, sizeof two_eas + 6, STATUS_SUCCESS, 77 },
        /* the first one alone is the last */
        { 0, 0, 16, STATUS_SUCCESS, 77 },
        /* cut: in the second, in the first, before its name */
        { -1, 0, sizeof two_eas - 1, STATUS_EA_LIST_INCONSISTENT, 16 },
        { -1, 0, 17, STATUS_EA_LIST_INCONSISTENT, 16 },
        { -1, 0, 16, STATUS_EA_LIST_INCONSISTENT, 0 },
        { -1, 0, 7, STATUS_EA_LIST_INCONSISTENT, 0 },
        { -1, 0, 0, STATUS_EA_LIST_INCONSISTENT, 0 },
        /* next: not aligned, within this one, out of the buffer */
        { 0, 18, sizeof two_eas, STATUS_EA_LIST_INCONSISTENT, 0 },
        { 0, 12, sizeof two_eas, STATUS_EA_LIST_INCONSISTENT, 0 },
        { 0, 28, sizeof two_eas, STATUS_EA_LIST_INCONSISTENT, 0 },
        { 3, 0x80, sizeof two_eas, STATUS_EA_LIST_INCONSISTENT, 0 },
        /* no NUL after the name */
        { 10, 'x', sizeof two_eas, STATUS_EA_LIST_INCONSISTENT, 0 },
        { 25, 'x', sizeof two_eas, STATUS_EA_LIST_INCONSISTENT, 16 },
        /* the name ends before its length says */
        { 8, 0, sizeof two_eas, STATUS_EA_LIST_INCONSISTENT, 0 },
        /* a value that is longer than the buffer */
        { 23, 1, sizeof two_eas, STATUS_EA_LIST_INCONSISTENT, 16 },
    };

    (void) state;
    for (size_t i = 0; i < ARRAYSIZE(rows); i++) {
        _Alignas(8) UCHAR buffer[sizeof two_eas + 6] = { 0 };
        ULONG offset = 77;

        memcpy(buffer, two_eas, sizeof two_eas);
        if (rows[i].at >= 0)
            buffer[rows[i].at] = rows[i].to;
        assert_int_equal(
            IoCheckEaBufferValidity((PFILE_FULL_EA_INFORMATION) buffer,
                                    rows[i].length, &offset),
            rows[i].status);
        assert_int_equal(offset, rows[i].offset);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generic_mapping__of_files__as_the_rights_are_defined),
        cmocka_unit_test(ea_buffer__valid_or_where_it_is_not),
        cmocka_unit_test(associated_irps__master_completes_with_the_last),
        cmocka_unit_test(
            completion_routine_ex__flags_hold_and_the_device_stays),
        cmocka_unit_test(mdl__locked__mapped_and_unlocked),
        cmocka_unit_test(mdl__no_mapping_to_be_had__null),
        cmocka_unit_test(partial_mdl__describes_a_part_and_is_mapped_by_itself),
        cmocka_unit_test(mdl_chain__secondary_goes_last),
        cmocka_unit_test(size_of_mdl__header_and_a_number_per_page),
        cmocka_unit_test(share_access__second_open_by_what_the_first_shares),
        cmocka_unit_test(
            share_access__check_without_update__counts_only_with_update_share),
        cmocka_unit_test(attach_device__by_name__on_top_of_its_stack),
        cmocka_unit_test(attach_safe__target_initialising__no_such_device),
        cmocka_unit_test(
            stream__cleanup_at_once_and_close_with_the_last_reference),
        cmocka_unit_test(reinitialization__after_entry__counted_and_repeatable),
        cmocka_unit_test(priority_hint__normal_until_set__bad_one_refused),
        cmocka_unit_test(is_operation_synchronous__by_file_irp_and_paging),
        cmocka_unit_test(stack_limits__a_local_is_within),
        cmocka_unit_test(process__one_and_64_bits),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
