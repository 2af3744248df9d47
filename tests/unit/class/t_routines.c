/*
 * Tests for documented routines that a driver calls: peculiar drives, children
 * and their lock, failure prediction, mode pages, SRBs, completion.
 *
 * SPDX-License-Identifier: MIT
 */
#include "harness.h"

#include "class/class_internal.h"

#include <ntddscsi.h>
#include <ntiologc.h>

static char block[512];

/* --- peculiar drives ------------------------------------------------------ */

static ULONG_PTR special_data;
static unsigned special_calls;

static VOID NTAPI
special(PFUNCTIONAL_DEVICE_EXTENSION ext, ULONG_PTR data)
{
    special_data = data;
    special_calls++;
}

static ULONG_PTR
scan(struct rig *rig, const char *vendor, const char *product,
     const char *revision)
{
    CLASSPNP_SCAN_FOR_SPECIAL_INFO list[] = {
        { (PCHAR) "NOBODY", NULL, NULL, 1 },
        { (PCHAR) vendor, (PCHAR) product, (PCHAR) revision, 2 },
        { (PCHAR) "REINSERT", NULL, NULL, 3 },
        { NULL, NULL, NULL, 0 },
    };

    special_data = special_calls = 0;
    ClassScanForSpecial(rig->fdo->DeviceExtension, list, special);
    assert_true(special_calls <= 1);
    return special_data;
}

static void
scan_for_special__first_entry_that_fits(void **state)
{
    struct rig *rig = *state;
    CLASSPNP_SCAN_FOR_SPECIAL_INFO none[] = {
        { (PCHAR) "ACME", NULL, NULL, 1 },
        { NULL, NULL, NULL, 0 },
    };

    assert_int_equal(scan(rig, "REINSERT", NULL, NULL), 2);
    assert_int_equal(scan(rig, "REIN", "", NULL), 2);
    assert_int_equal(scan(rig, "REINSERT", "NO SUCH DRIVE", NULL), 3);
    assert_int_equal(scan(rig, "REINSERT", NULL, "zzzz"), 3);
    special_calls = 0;
    ClassScanForSpecial(rig->fdo->DeviceExtension, none, special);
    assert_int_equal(special_calls, 0);
}

/* --- children ------------------------------------------------------------- */

static VOID NTAPI
child_work(PVOID context)
{
    struct rig *rig = context;

    ClassAcquireChildLock(rig->fdo->DeviceExtension);
    __atomic_store_n(&rig->name[0], '!', __ATOMIC_RELEASE);
    ClassReleaseChildLock(rig->fdo->DeviceExtension);
}

static void
child_lock__again_by_its_owner_not_by_others(void **state)
{
    struct rig *rig = *state;
    PFUNCTIONAL_DEVICE_EXTENSION ext = rig->fdo->DeviceExtension;
    WORK_QUEUE_ITEM work;

    ClassAcquireChildLock(ext);
    ClassAcquireChildLock(ext);
    ExInitializeWorkItem(&work, child_work, rig);
    ExQueueWorkItem(&work, DelayedWorkQueue);
    ClassReleaseChildLock(ext);
    usleep(5000);
    assert_int_not_equal(__atomic_load_n(&rig->name[0], __ATOMIC_ACQUIRE), '!');
    ClassReleaseChildLock(ext);
    assert_true(
        EVENTUALLY(__atomic_load_n(&rig->name[0], __ATOMIC_ACQUIRE) == '!'));
    /* Whoever says so may still be inside. */
    ClassAcquireChildLock(ext);
    ClassReleaseChildLock(ext);
}

static void
child_missing__out_of_the_list_unless_somebody_knows_it(void **state)
{
    struct rig *rig = *state;
    PFUNCTIONAL_DEVICE_EXTENSION ext = rig->fdo->DeviceExtension;
    PHYSICAL_DEVICE_EXTENSION child[3];

    memset(child, 0, sizeof child);
    for (int i = 0; i < 3; i++) {
        child[i].CommonExtension.PartitionZeroExtension = ext;
        child[i].CommonExtension.ChildList = i > 0 ? &child[i - 1] : NULL;
    }
    ext->CommonExtension.ChildList = &child[2];
    child[0].IsEnumerated = TRUE;
    assert_true(ClassMarkChildMissing(&child[1], TRUE));
    assert_ptr_equal(ext->CommonExtension.ChildList, &child[2]);
    assert_ptr_equal(child[2].CommonExtension.ChildList, &child[0]);
    assert_false(ClassMarkChildMissing(&child[0], TRUE));
    assert_true(child[0].IsMissing);
    assert_ptr_equal(child[2].CommonExtension.ChildList, &child[0]);
    ClassMarkChildrenMissing(ext);
    assert_true(child[2].IsMissing);
    assert_ptr_equal(ext->CommonExtension.ChildList, &child[0]);
    ext->CommonExtension.ChildList = NULL;
}

/* --- failure prediction --------------------------------------------------- */

static size_t
predictions(void)
{
    struct io_error_log_entry list[16];
    size_t n, count = 0;

    while ((n = new_log(list, 16)) > 0)
        for (size_t i = 0; i < n; i++)
            count += list[i].packet.ErrorCode == IO_WRN_FAILURE_PREDICTED;
    return count;
}

static void
failure_predicted__told_once_and_readable(void **state)
{
    struct rig *rig = *state;
    PFUNCTIONAL_DEVICE_EXTENSION ext = rig->fdo->DeviceExtension;
    STORAGE_PREDICT_FAILURE out = { 77 };

    (void) predictions();
    (void) control(rig, IOCTL_STORAGE_PREDICT_FAILURE, &out, 0, sizeof out,
                   NULL);
    assert_int_equal(out.PredictFailure, 0);
    ClassNotifyFailurePredicted(ext, NULL, 0, FALSE, 1, 0, 0, 0);
    assert_int_equal(predictions(), 0);
    assert_true(ext->FailurePredicted);
    (void) control(rig, IOCTL_STORAGE_PREDICT_FAILURE, &out, 0, sizeof out,
                   NULL);
    assert_int_not_equal(out.PredictFailure, 0);
    ext->FailurePredicted = FALSE;
    for (int i = 0; i < 3; i++)
        ClassNotifyFailurePredicted(ext, NULL, 0, TRUE, 1, 0, 0, 0);
    assert_int_equal(predictions(), 1);
}

static unsigned asked;
static ULONG answer_failure;

static NTSTATUS NTAPI
predict_control(PDEVICE_OBJECT fdo, PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    PSTORAGE_PREDICT_FAILURE out = irp->AssociatedIrp.SystemBuffer;

    if (at->Parameters.DeviceIoControl.IoControlCode !=
        IOCTL_STORAGE_PREDICT_FAILURE)
        return ClassDeviceControl(fdo, irp);
    out->PredictFailure = __atomic_load_n(&answer_failure, __ATOMIC_ACQUIRE);
    __atomic_add_fetch(&asked, 1, __ATOMIC_ACQ_REL);
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = sizeof *out;
    ClassCompleteRequest(fdo, irp, IO_NO_INCREMENT);
    ClassReleaseRemoveLock(fdo, irp);
    return STATUS_SUCCESS;
}

static unsigned
times_asked(void)
{
    return __atomic_load_n(&asked, __ATOMIC_ACQUIRE);
}

static void
prediction_poll__asks_every_period_until_told_not_to(void **state)
{
    struct rig *rig = *state;
    PFUNCTIONAL_DEVICE_EXTENSION ext = rig->fdo->DeviceExtension;
    PCLASS_DEVICE_CONTROL before =
        ext->CommonExtension.DevInfo->ClassDeviceControl;

    ext->CommonExtension.DevInfo->ClassDeviceControl = predict_control;
    asked = answer_failure = 0;
    (void) predictions();
    clock_manual(true);
    assert_int_equal(
        ClassSetFailurePredictionPoll(ext, FailurePredictionIoctl, 60),
        STATUS_SUCCESS);
    for (unsigned i = 1; i <= 3; i++) {
        clock_advance_ms(59999);
        rest();
        assert_int_equal(times_asked(), i - 1);
        if (i == 3)
            __atomic_store_n(&answer_failure, 1, __ATOMIC_RELEASE);
        clock_advance_ms(1);
        rest(); /* the next period begins after the answer */
        assert_int_equal(times_asked(), i);
        assert_int_equal(
            __atomic_load_n(&ext->FailurePredicted, __ATOMIC_ACQUIRE), i == 3);
    }
    assert_int_equal(predictions(), 1);
    assert_int_equal(
        ClassSetFailurePredictionPoll(ext, FailurePredictionNone, 0),
        STATUS_SUCCESS);
    clock_advance_ms(600000);
    rest();
    assert_int_equal(times_asked(), 3);
    /* Left on: the removal of the device ends it. */
    assert_int_equal(
        ClassSetFailurePredictionPoll(ext, FailurePredictionIoctl, 60),
        STATUS_SUCCESS);
    clock_manual(false);
    ext->CommonExtension.DevInfo->ClassDeviceControl = before;
}

/* --- mode pages ----------------------------------------------------------- */

static void
mode_sense_ex__page_control_is_in_the_command(void **state)
{
    struct rig *rig = *state;
    CHAR reply[192];

    for (UCHAR control_bits = 0; control_bits < 4; control_bits++) {
        spy_reset(rig);
        (void) ClassModeSenseEx(rig->fdo, reply, sizeof reply,
                                MODE_PAGE_CACHING, control_bits);
        assert_int_equal(rig->spy.cdb[0][0], SCSIOP_MODE_SENSE);
        assert_int_equal(rig->spy.cdb[0][2],
                         MODE_PAGE_CACHING | control_bits << 6);
    }
}

static void
mode_select__what_was_set_is_read_back(void **state)
{
    struct rig *rig = *state;
    CHAR reply[192];
    PUCHAR page;
    ULONG length, page_at;

    length = ClassModeSense(rig->fdo, reply, sizeof reply, MODE_PAGE_CACHING);
    page = ClassFindModePage(reply, length, MODE_PAGE_CACHING, TRUE);
    assert_non_null(page);
    assert_true(page[2] & 0x04); /* the write cache is on */
    page_at = (ULONG) ((PCHAR) page - reply);
    page[0] &= 0x3f;
    page[2] &= (UCHAR) ~0x04;
    reply[0] = 0;
    spy_reset(rig);
    assert_int_equal(
        ClassModeSelect(rig->fdo, reply, page_at + 2u + page[1], FALSE),
        STATUS_SUCCESS);
    assert_int_equal(rig->spy.cdb[0][0], SCSIOP_MODE_SELECT);
    assert_int_equal(rig->spy.cdb[0][1], 0x10);
    length = ClassModeSense(rig->fdo, reply, sizeof reply, MODE_PAGE_CACHING);
    page = ClassFindModePage(reply, length, MODE_PAGE_CACHING, TRUE);
    assert_false(page[2] & 0x04);
    assert_int_equal(ClassModeSelect(rig->fdo, reply, 0x10000, FALSE),
                     STATUS_INVALID_PARAMETER);
}

/* --- the registry --------------------------------------------------------- */

static void
device_parameter__written_and_read_back(void **state)
{
    struct rig *rig = *state;
    PFUNCTIONAL_DEVICE_EXTENSION ext = rig->fdo->DeviceExtension;
    ULONG value = 77;

    ClassGetDeviceParameter(ext, (PWSTR) L"Testing", (PWSTR) L"Depth", &value);
    assert_int_equal(value, 77); /* there is none */
    assert_int_equal(
        ClassSetDeviceParameter(ext, (PWSTR) L"Testing", (PWSTR) L"Depth", 5),
        STATUS_SUCCESS);
    assert_int_equal(ClassSetDeviceParameter(ext, NULL, (PWSTR) L"Depth", 6),
                     STATUS_SUCCESS);
    ClassGetDeviceParameter(ext, (PWSTR) L"Testing", (PWSTR) L"Depth", &value);
    assert_int_equal(value, 5);
    ClassGetDeviceParameter(ext, NULL, (PWSTR) L"Depth", &value);
    assert_int_equal(value, 6);
}

/* Its resources change: it starts again with what its key says. */
static void
start_again(struct rig *rig)
{
    assert_int_equal(io_stop_device(rig->pdo), STATUS_SUCCESS);
    assert_int_equal(io_restart_device(rig->pdo), STATUS_SUCCESS);
    know_capacity(rig);
}

static void
legacy_error_handling__hardware_errors_retried_8_times(void **state)
{
    struct rig *rig = *state;

    know_capacity(rig);
    spy_answer(rig, SENSE_ANSWER(SCSIOP_READ, 99, 4, 0x44, 0));
    assert_int_equal(transfer(rig, IRP_MJ_READ, 0, block, 512, NULL).status,
                     STATUS_DEVICE_HARDWARE_ERROR);
    assert_int_equal(spy_count(rig, SCSIOP_READ), 1);
    assert_int_equal(ClassSetDeviceParameter(rig->fdo->DeviceExtension,
                                             (PWSTR) L"Classpnp",
                                             (PWSTR) L"LegacyErrorHandling", 1),
                     STATUS_SUCCESS);
    start_again(rig);
    spy_answer(rig, SENSE_ANSWER(SCSIOP_READ, 99, 4, 0x44, 0));
    assert_int_equal(transfer(rig, IRP_MJ_READ, 0, block, 512, NULL).status,
                     STATUS_IO_DEVICE_ERROR);
    assert_int_equal(spy_count(rig, SCSIOP_READ), 9);
}

static void
media_change_notification__suppressed_and_wanted_again(void **state)
{
    struct rig *rig = *state;
    PFUNCTIONAL_DEVICE_EXTENSION ext = rig->fdo->DeviceExtension;

    assert_int_equal(ClassSetDeviceParameter(ext,
                                             (PWSTR) L"MediaChangeNotification",
                                             (PWSTR) L"AlwaysDisableMCN", 1),
                     STATUS_SUCCESS);
    start_again(rig);
    spy_reset(rig);
    assert_int_equal(vscsi_yank(rig->drive), 0);
    ClassCheckMediaState(ext);
    rig_calm(rig);
    assert_int_equal(rig->spy.polls, 0);
    assert_int_equal(rig_state(rig), MediaPresent);
    assert_int_equal(ClassSetDeviceParameter(ext,
                                             (PWSTR) L"MediaChangeNotification",
                                             (PWSTR) L"AlwaysEnableMCN", 1),
                     STATUS_SUCCESS);
    start_again(rig);
    assert_true(EVENTUALLY(rig_state(rig) == MediaNotPresent));
}

static void
device_map__name_and_inquiry_data(void **state)
{
    struct rig *rig = *state;
    UNICODE_STRING name = { 0 };
    SCSI_ADDRESS address = { 0 };
    INQUIRYDATA inquiry = { .DeviceType = 0 };
    RTL_QUERY_REGISTRY_TABLE table[] = {
        { .Flags = RTL_QUERY_REGISTRY_DIRECT | RTL_QUERY_REGISTRY_REQUIRED,
          .Name = (PWSTR) L"DeviceName",
          .EntryContext = &name },
        { 0 },
    };
    ANSI_STRING ansi;
    UNICODE_STRING path;
    char text[128];

    ClassUpdateInformationInRegistry(rig->fdo, (PCHAR) "Disk", 42, &inquiry,
                                     sizeof inquiry);
    (void) control(rig, IOCTL_SCSI_GET_ADDRESS, &address, 0, sizeof address,
                   NULL);
    snprintf(text, sizeof text,
             "Scsi\\Scsi Port %u\\Scsi Bus %u\\Target Id %u\\Logical Unit "
             "Id %u",
             address.PortNumber, address.PathId, address.TargetId, address.Lun);
    RtlInitAnsiString(&ansi, text);
    assert_int_equal(RtlAnsiStringToUnicodeString(&path, &ansi, TRUE),
                     STATUS_SUCCESS);
    assert_int_equal(RtlQueryRegistryValues(RTL_REGISTRY_DEVICEMAP, path.Buffer,
                                            table, NULL, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(name.Length, 6 * sizeof(WCHAR));
    assert_memory_equal(name.Buffer, L"Disk42", name.Length);
    RtlFreeUnicodeString(&name);
    RtlFreeUnicodeString(&path);
}

/* --- the rest ------------------------------------------------------------- */

static void
srb_lookaside__lists_srbs(void **state)
{
    COMMON_DEVICE_EXTENSION common = { 0 };
    PSCSI_REQUEST_BLOCK srb;

    ClassInitializeSrbLookasideList(&common, 4);
    assert_true(common.IsSrbLookasideListInitialized);
    srb = ExAllocateFromNPagedLookasideList(&common.SrbLookasideList);
    assert_non_null(srb);
    memset(srb, 0, sizeof *srb);
    ExFreeToNPagedLookasideList(&common.SrbLookasideList, srb);
    ClassDeleteSrbLookasideList(&common);
    assert_false(common.IsSrbLookasideListInitialized);
    ClassDeleteSrbLookasideList(&common); /* once more is nothing */
}

static void
initialize_ex__known_guid_only(void **state)
{
    static const GUID known = GUID_CLASSPNP_QUERY_REGINFOEX;
    CLASS_QUERY_WMI_REGINFO_EX_LIST list = { .Size = sizeof list };
    GUID guid = known;
    struct rig *rig = *state;

    list.ClassFdoQueryWmiRegInfoEx = (PVOID) (ULONG_PTR) 0x1234;
    assert_int_equal(
        (NTSTATUS) ClassInitializeEx(rig->fdo->DriverObject, &guid, &list),
        STATUS_SUCCESS);
    assert_ptr_equal(ClassGetDriverExtension(rig->fdo->DriverObject)
                         ->ClassFdoQueryWmiRegInfoEx,
                     list.ClassFdoQueryWmiRegInfoEx);
    list.ClassFdoQueryWmiRegInfoEx = NULL;
    (void) ClassInitializeEx(rig->fdo->DriverObject, &guid, &list);
    list.Size--;
    assert_int_equal(
        (NTSTATUS) ClassInitializeEx(rig->fdo->DriverObject, &guid, &list),
        STATUS_INVALID_PARAMETER);
    guid.Data1++;
    assert_int_equal(
        (NTSTATUS) ClassInitializeEx(rig->fdo->DriverObject, &guid, &list),
        STATUS_NOT_SUPPORTED);
}

/* An IRP that nobody waits for: the routine ends all that belongs to it. */
static void
asynchronous_completion__frees_all_and_releases_the_queue(void **state)
{
    struct rig *rig = *state;
    PFUNCTIONAL_DEVICE_EXTENSION ext = rig->fdo->DeviceExtension;
    PCOMPLETION_CONTEXT context =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *context, 0x74736554);
    PIRP irp = IoAllocateIrp(rig->fdo->StackSize, FALSE);
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);

    memset(context, 0, sizeof *context);
    context->DeviceObject = rig->fdo;
    context->Srb.Length = sizeof context->Srb;
    context->Srb.CdbLength = 6;
    context->Srb.TimeOutValue = 5;
    context->Srb.OriginalRequest = irp;
    next->MajorFunction = IRP_MJ_SCSI;
    next->Parameters.Scsi.Srb = &context->Srb;
    spy_answer(
        rig, SRB_ANSWER(0, 1, SRB_STATUS_BUS_RESET | SRB_STATUS_QUEUE_FROZEN));
    (void) ClassAcquireRemoveLock(rig->fdo, irp);
    IoSetCompletionRoutine(irp, ClassAsynchronousCompletion, context, TRUE,
                           TRUE, TRUE);
    (void) IoCallDriver(ext->CommonExtension.LowerDeviceObject, irp);
    assert_int_equal(rig->spy.releases, 1);
}

static void
get_vpb__the_devices(void **state)
{
    struct rig *rig = *state;

    assert_ptr_equal(ClassGetVpb(rig->fdo), rig->fdo->Vpb);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(scan_for_special__first_entry_that_fits, rig_disk),
        TEST(child_lock__again_by_its_owner_not_by_others, rig_disk),
        TEST(child_missing__out_of_the_list_unless_somebody_knows_it, rig_disk),
        TEST(failure_predicted__told_once_and_readable, rig_disk),
        TEST(prediction_poll__asks_every_period_until_told_not_to, rig_disk),
        TEST(mode_sense_ex__page_control_is_in_the_command, rig_disk),
        TEST(mode_select__what_was_set_is_read_back, rig_cached),
        TEST(device_parameter__written_and_read_back, rig_disk),
        TEST(legacy_error_handling__hardware_errors_retried_8_times, rig_disk),
        TEST(media_change_notification__suppressed_and_wanted_again, rig_disk),
        TEST(device_map__name_and_inquiry_data, rig_disk),
        cmocka_unit_test(srb_lookaside__lists_srbs),
        TEST(initialize_ex__known_guid_only, rig_disk),
        TEST(asynchronous_completion__frees_all_and_releases_the_queue,
             rig_disk),
        TEST(get_vpb__the_devices, rig_disk),
    };

    return cmocka_run_group_tests(tests, harness_begin, harness_end);
}
