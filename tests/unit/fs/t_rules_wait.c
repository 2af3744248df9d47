/*
 * t_rules_wait.c - requests that cannot go on: verified, asked about, failed
 *
 * Expectations: sources named in tests/conformance/rules.txt.
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

static char buffer[4096];

/* --- the wrong volume, and its way back ------------------------------------------- */

static void
R161_R186__old_handle__wrong_volume_after_the_dialog_is_cancelled(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *other;
    char before[4096], after[4096];
    struct volume *volume;
    struct req req;

    put_in(d, FAT("r161a", "WANTED", "61000001"));
    volume = mount(d);
    other = FAT("r161b", "STRANGER", "61000002");
    image_peek(other, 0, before, sizeof before);
    swap(d, other);
    memset(buffer, 'W', sizeof buffer);
    req_start(&req, volume, IRP_MJ_WRITE, 0, buffer, sizeof buffer);
    assert_int_equal(req.returned, STATUS_PENDING);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
    assert_string_equal(the_prompt().volume, "WANTED");
    assert_non_null(strstr(the_prompt().text, "6100-0001"));
    assert_null(strstr(the_prompt().text, "STRANGER"));
    answer(RI_CANCEL);
    assert_int_equal(req_end(&req), STATUS_WRONG_VOLUME);
    assert_int_equal(req.information, 0);
    image_peek(other, 0, after, sizeof after);
    assert_memory_equal(after, before, sizeof after);
}

static void
R162__old_disk_is_back__old_handle_works_again(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("r162a", "OLD", "62000001");
    struct volume *volume;
    PFILE_OBJECT file;

    put_in(d, path);
    assert_int_equal(open_volume(d, &file), STATUS_SUCCESS);
    volume = fs_volume_of(file->Vpb);
    swap(d, FAT("r162b", "NEW", "62000002"));
    set_flag(d);
    assert_int_equal(IoVerifyVolume(d->fdo, FALSE), STATUS_WRONG_VOLUME);
    assert_int_equal(fsctl(file, FSCTL_IS_VOLUME_MOUNTED, NULL, 0, 0, NULL),
                     STATUS_WRONG_VOLUME);
    swap(d, path);
    set_flag(d);
    assert_int_equal(IoVerifyVolume(d->fdo, FALSE), STATUS_WRONG_VOLUME);
    assert_ptr_equal(d->fdo->Vpb, file->Vpb);
    assert_int_equal(fsctl(file, FSCTL_IS_VOLUME_MOUNTED, NULL, 0, 0, NULL),
                     STATUS_SUCCESS);
    memset(buffer, 'B', sizeof buffer);
    assert_int_equal(write_volume(volume, 8 << 20, buffer, sizeof buffer),
                     STATUS_SUCCESS);
    assert_int_equal(asked(), 0);
    io_close_file(file);
}

static void
R185__same_medium_came_back__no_dialog(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("r185", "SAME", "85000001");
    struct volume *volume;

    put_in(d, path);
    volume = mount(d);
    for (int i = 0; i < 5; i++) {
        swap(d, path);
        assert_int_equal(read_volume(volume, 0, buffer, sizeof buffer),
                         STATUS_SUCCESS);
    }
    assert_int_equal(asked(), 0);
}

static void
retry__unreadable_medium_was_in_between__nobody_is_stuck(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("stuck1", "WANTED", "69000001");
    struct volume *volume;
    struct req req;

    put_in(d, path);
    volume = mount(d);
    /* It is another one by its size, and cannot be read, so it is not mounted:
     * a VPB with nothing on it, and nobody who would set the flag for what
     * comes next. */
    pull_out(d);
    fault(d, "at * read do sense 2/30/00");
    put_in(d, image("stuck2", 8192, NULL));
    set_flag(d);
    req_start(&req, volume, IRP_MJ_READ, 0, buffer, sizeof buffer);
    assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
    assert_null(fs_volume_on(d->fdo));
    vscsi_fault_clear(d->drive);
    swap(d, path);
    assert_false(verify_flag(d));
    answer(RI_RETRY);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    assert_int_equal(prompts(NULL), 0);
}

/* --- write protection ------------------------------------------------------------------ */

static BOOLEAN
tab_is_set(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
           NTSTATUS *out_status, ULONG_PTR *out_information)
{
    (void) irp;
    (void) out_information;
    if (at->MajorFunction != IRP_MJ_DEVICE_CONTROL ||
        at->Parameters.DeviceIoControl.IoControlCode !=
            IOCTL_DISK_IS_WRITABLE ||
        __atomic_load_n(&watch->number, __ATOMIC_ACQUIRE) == 0)
        return FALSE;
    *out_status = STATUS_MEDIA_WRITE_PROTECTED;
    return TRUE;
}

static void
R170__write_protected__status_flag_and_slot(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    struct volume *volume;

    put_in(d, FAT("r170a", "TAB", "70000011"));
    d->watch.number = 1;
    d->watch.before = tab_is_set;
    volume = mount(d);
    assert_false(verify_flag(d));
    watch_reset(&d->watch);
    /* Recursive: what a top-level request would ask about. */
    IoSetTopLevelIrp((PIRP) FSRTL_FSP_TOP_LEVEL_IRP);
    assert_int_equal(write_volume(volume, 0, buffer, 512),
                     STATUS_MEDIA_WRITE_PROTECTED);
    IoSetTopLevelIrp(NULL);
    assert_true(verify_flag(d));
    assert_ptr_equal(IoGetDeviceToVerify(PsGetCurrentThread()), d->fdo);
    assert_int_equal(watch_total(&d->watch), 0);
    IoSetDeviceToVerify(PsGetCurrentThread(), NULL);
}

static void
R170__write_protected__tab_is_changed__retry_writes(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("r170b", "TAB", "70000012");
    struct volume *volume;
    struct req req;

    put_in(d, path);
    d->watch.number = 1;
    d->watch.before = tab_is_set;
    volume = mount(d);
    memset(buffer, 'T', sizeof buffer);
    req_start(&req, volume, IRP_MJ_WRITE, 8 << 20, buffer, sizeof buffer);
    assert_int_equal(the_prompt().status,
                     (uint32_t) STATUS_MEDIA_WRITE_PROTECTED);
    assert_true(verify_flag(d));
    assert_null(IoGetDeviceToVerify(PsGetCurrentThread()));
    /* Others read meanwhile, and do not put the question anew. */
    for (int i = 0; i < 3; i++) {
        char other[512];

        assert_int_equal(read_volume(volume, 0, other, 512), STATUS_SUCCESS);
    }
    assert_int_equal(prompts(NULL), 1);
    assert_int_equal(asked(), 1);
    /* Still set: the same question. */
    answer(RI_RETRY);
    assert_true(EVENTUALLY(asked() == 2));
    pull_out(d);
    __atomic_store_n(&d->watch.number, 0, __ATOMIC_RELEASE);
    put_in(d, path);
    answer(RI_RETRY);
    assert_int_equal(req_end(&req), STATUS_SUCCESS);
    image_peek(path, 8 << 20, buffer, 1);
    assert_int_equal(buffer[0], 'T');
}

/* --- silent, recursive, at APC level ------------------------------------------------------ */

static void
R171__is_volume_mounted__never_a_dialog__the_status(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("r171a", "THERE", "71000011");
    PFILE_OBJECT file;

    put_in(d, path);
    assert_int_equal(open_volume(d, &file), STATUS_SUCCESS);
    assert_int_equal(fsctl(file, FSCTL_IS_VOLUME_MOUNTED, NULL, 0, 0, NULL),
                     STATUS_SUCCESS);
    swap(d, path);
    assert_int_equal(fsctl(file, FSCTL_IS_VOLUME_MOUNTED, NULL, 0, 0, NULL),
                     STATUS_SUCCESS);
    pull_out(d);
    assert_int_equal(fsctl(file, FSCTL_IS_VOLUME_MOUNTED, NULL, 0, 0, NULL),
                     STATUS_NO_MEDIA_IN_DEVICE);
    put_in(d, FAT("r171b", "OTHER", "71000012"));
    set_flag(d); /* the drive's event may still be on its way */
    assert_int_equal(fsctl(file, FSCTL_IS_VOLUME_MOUNTED, NULL, 0, 0, NULL),
                     STATUS_WRONG_VOLUME);
    assert_int_equal(asked(), 0);
    io_close_file(file);
}

static NTSTATUS
read_under(PIRP top, struct volume *volume)
{
    NTSTATUS status;

    IoSetTopLevelIrp(top);
    status = read_volume(volume, 0, buffer, sizeof buffer);
    IoSetTopLevelIrp(NULL);
    return status;
}

static void
R172__verify_required_under_the_cache_manager__file_lock_conflict(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("r172", "CACHED", "72000011");
    struct volume *volume;
    IRP another;

    put_in(d, path);
    volume = mount(d);
    /* Noticed by the drive, on the request's own way. */
    swap(d, path);
    assert_int_equal(read_under((PIRP) FSRTL_CACHE_TOP_LEVEL_IRP, volume),
                     STATUS_FILE_LOCK_CONFLICT);
    /* Known before. */
    assert_int_equal(read_under((PIRP) FSRTL_CACHE_TOP_LEVEL_IRP, volume),
                     STATUS_FILE_LOCK_CONFLICT);
    /* Other recursive requests get the status itself. */
    assert_int_equal(read_under(&another, volume), STATUS_VERIFY_REQUIRED);
    assert_int_equal(read_under((PIRP) FSRTL_MOD_WRITE_TOP_LEVEL_IRP, volume),
                     STATUS_VERIFY_REQUIRED);
    assert_true(verify_flag(d));
    assert_int_equal(read_under(NULL, volume), STATUS_SUCCESS);
    /* Nothing else is turned. */
    pull_out(d);
    assert_int_equal(read_under((PIRP) FSRTL_CACHE_TOP_LEVEL_IRP, volume),
                     STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(asked(), 0);
    IoSetDeviceToVerify(PsGetCurrentThread(), NULL);
}

/* On which threads was the medium read with the override? */
static unsigned
overriding_reads(struct watch *watch, BOOLEAN own_thread)
{
    unsigned n = 0;
    KIRQL irql;

    KeAcquireSpinLock(&watch->lock, &irql);
    for (unsigned i = 0; i < watch->passed && i < LOG_MAX; i++)
        n += watch->log[i].major == IRP_MJ_READ &&
             (watch->log[i].flags & SL_OVERRIDE_VERIFY_VOLUME) != 0 &&
             (watch->log[i].thread == PsGetCurrentThread()) == own_thread;
    KeReleaseSpinLock(&watch->lock, irql);
    return n;
}

static void
R173__at_apc_level_or_apcs_disabled__posted_to_a_worker(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("r173", "POSTED", "73000011");
    struct volume *volume;
    struct req req;
    KIRQL irql;

    put_in(d, path);
    volume = mount(d);
    for (int i = 0; i < 3; i++) {
        swap(d, path);
        watch_reset(&d->watch);
        if (i == 0)
            KeRaiseIrql(APC_LEVEL, &irql);
        if (i == 1)
            KeEnterCriticalRegion();
        req_start(&req, volume, IRP_MJ_READ, 0, buffer, sizeof buffer);
        assert_int_equal(req.returned, STATUS_PENDING);
        if (i == 1)
            KeLeaveCriticalRegion();
        if (i == 0)
            KeLowerIrql(irql);
        assert_int_equal(req_end(&req), STATUS_SUCCESS);
        assert_int_equal(overriding_reads(&d->watch, TRUE), 0);
        assert_true(overriding_reads(&d->watch, FALSE) > 0);
    }
}

/* The driver stores garbage on the thread. */
static PDEVICE_OBJECT garbage;

static void
store_garbage(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at)
{
    (void) watch;
    if (at->MajorFunction == IRP_MJ_READ &&
        irp->IoStatus.Status == STATUS_VERIFY_REQUIRED &&
        irp->Tail.Overlay.Thread != NULL)
        IoSetHardErrorOrVerifyDevice(irp, garbage);
}

static void
R174__device_to_verify_is_wrong__real_device_is_verified__cleared(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("r174a", "REAL", "74000001");
    struct volume *volume;

    put_in(d, path);
    put_in(&rig->d[1], FAT("r174b", "OTHER", "74000002"));
    volume = mount(d);
    mount(&rig->d[1]);
    garbage = rig->d[1].fdo;
    d->watch.after = store_garbage;
    swap(d, path);
    watch_reset(&d->watch);
    watch_reset(&rig->d[1].watch);
    assert_int_equal(read_volume(volume, 0, buffer, sizeof buffer),
                     STATUS_SUCCESS);
    assert_true(overriding_reads(&d->watch, FALSE) > 0);
    assert_int_equal(watch_total(&rig->d[1].watch), 0);
    assert_null(IoGetDeviceToVerify(PsGetCurrentThread()));
}

/* The medium changes while it is looked at: so many reads are told so. */
static BOOLEAN
changes_again(struct watch *watch, PIRP irp, PIO_STACK_LOCATION at,
              NTSTATUS *out_status, ULONG_PTR *out_information)
{
    (void) irp;
    (void) out_information;
    if (at->MajorFunction != IRP_MJ_READ ||
        (at->Flags & SL_OVERRIDE_VERIFY_VOLUME) == 0 ||
        InterlockedDecrement(&watch->number) < 0)
        return FALSE;
    *out_status = STATUS_VERIFY_REQUIRED;
    return TRUE;
}

static void
R175__verify_that_meets_verify_required__posted_no_recursion(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    const char *path = FAT("r175", "POSTED", "75000001");

    put_in(d, path);
    mount(d);
    swap(d, path);
    set_flag(d);
    watch_reset(&d->watch);
    d->watch.number = 1;
    d->watch.before = changes_again;
    assert_int_equal(IoVerifyVolume(d->fdo, FALSE), STATUS_SUCCESS);
    assert_int_equal(overriding_reads(&d->watch, TRUE), 1);
    assert_true(overriding_reads(&d->watch, FALSE) > 0);
    assert_false(verify_flag(d));
}

static void
R175__mount_that_meets_verify_required__posted_no_recursion(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];

    put_in(d, FAT("r175m", "POSTED", "75000002"));
    d->watch.number = 1;
    d->watch.before = changes_again;
    mount(d);
    assert_int_equal(overriding_reads(&d->watch, TRUE), 1);
    assert_true(overriding_reads(&d->watch, FALSE) > 0);
}

static void
R175__each_time_again__not_for_ever(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    struct volume *volume;

    put_in(d, FAT("r175n", "NEVER", "75000003"));
    volume = mount(d);
    set_flag(d);
    d->watch.number = 1000000;
    d->watch.before = changes_again;
    assert_int_equal(IoVerifyVolume(d->fdo, FALSE), STATUS_DEVICE_NOT_READY);
    assert_true(verify_flag(d));
    assert_ptr_equal(d->fdo->Vpb, fs_volume_vpb(volume));
}

/* --- how it ends -------------------------------------------------------------------------- */

static void
R176__buffered_request_fails__no_information_nothing_copied(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    struct {
        DEVICE_MANAGE_DATA_SET_ATTRIBUTES head;
        DEVICE_DATA_SET_RANGE range;
    } in = { { 0 } };
    UCHAR out[256];
    IO_STATUS_BLOCK iosb = { .Information = 55 };
    struct volume *volume;
    KEVENT done;
    PIRP irp;

    put_in(d, FAT("r176", "GONE", "76000001"));
    volume = mount(d);
    pull_out(d);
    fs_media_gone(d->fdo);
    in.head.Size = sizeof in.head;
    in.head.Action = DeviceDsmAction_Allocation;
    in.head.DataSetRangesOffset = (ULONG) ((PUCHAR) &in.range - (PUCHAR) &in);
    in.head.DataSetRangesLength = sizeof in.range;
    in.range.LengthInBytes = 65536;
    memset(out, 0xEE, sizeof out);
    KeInitializeEvent(&done, NotificationEvent, FALSE);
    irp = IoBuildDeviceIoControlRequest(
        IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES, fs_volume_device(volume), &in,
        sizeof in, out, sizeof out, FALSE, &done, &iosb);
    assert_int_equal(irp->Flags & (IRP_BUFFERED_IO | IRP_INPUT_OPERATION),
                     IRP_BUFFERED_IO | IRP_INPUT_OPERATION);
    assert_int_equal(IoCallDriver(fs_volume_device(volume), irp),
                     STATUS_PENDING);
    answer(RI_CANCEL);
    KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, NULL);
    assert_int_equal(iosb.Status, STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(iosb.Information, 0);
    for (size_t i = 0; i < sizeof out; i++)
        assert_int_equal(out[i], 0xEE);
}

static void
R177__hard_errors_disabled__completes_at_once(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    struct volume *volume;

    put_in(d, FAT("r177a", "WANTED", "77000001"));
    volume = mount(d);
    assert_true(IoSetThreadHardErrorMode(FALSE));
    pull_out(d);
    assert_int_equal(read_volume(volume, 0, buffer, 512),
                     STATUS_NO_MEDIA_IN_DEVICE);
    put_in(d, FAT("r177b", "OTHER", "77000002"));
    set_flag(d);
    IoVerifyVolume(d->fdo, FALSE);
    assert_int_equal(write_volume(volume, 0, buffer, 512), STATUS_WRONG_VOLUME);
    assert_int_equal(asked(), 0);
    assert_false(IoSetThreadHardErrorMode(TRUE));
}

static BOOLEAN marked;
static LONG raised;

static NTSTATUS
look_and_raise(void *context, PIRP irp, PVPB vpb, PDEVICE_OBJECT real,
               NTSTATUS status)
{
    marked =
        (IoGetCurrentIrpStackLocation(irp)->Control & SL_PENDING_RETURNED) != 0;
    InterlockedIncrement(&raised);
    return prompt_raise(context, irp, vpb, real, status);
}

/* Of our file system: reads without a medium, writes to the wrong one; and when
 * nobody may be asked, so that the request is over before it returns. */
static void
R180__file_system__marks_before_it_raises_and_returns_pending(void **state)
{
    const struct io_harderr_port port = { .raise = look_and_raise };
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    struct volume *volume;
    struct req req;

    put_in(d, FAT("r180a", "WANTED", "80000001"));
    volume = mount(d);
    io_set_harderr_port(&port);
    pull_out(d);
    raised = 0;
    for (int write = 0; write < 2; write++) {
        if (write) {
            /* Another volume: a cancel holds for a while. */
            put_in(d, FAT("r180b", "SECOND", "80000002"));
            set_flag(d);
            IoVerifyVolume(d->fdo, FALSE);
            assert_ptr_not_equal(mount(d), volume);
            volume = mount(d);
            swap(d, FAT("r180c", "OTHER", "80000003"));
            set_flag(d);
            IoVerifyVolume(d->fdo, FALSE);
        }
        marked = FALSE;
        req_start(&req, volume, write ? IRP_MJ_WRITE : IRP_MJ_READ, 0, buffer,
                  512);
        assert_int_equal(req.returned, STATUS_PENDING);
        assert_true(EVENTUALLY(InterlockedOr(&raised, 0) == write + 1));
        assert_true(marked);
        assert_false(req_is_done(&req));
        answer(RI_CANCEL);
        assert_int_equal(req_end(&req), write ? STATUS_WRONG_VOLUME
                                              : STATUS_NO_MEDIA_IN_DEVICE);
        assert_int_equal(req.information, 0);
    }
    assert_true(IoSetThreadHardErrorMode(FALSE));
    req_start(&req, volume, IRP_MJ_WRITE, 0, buffer, 512);
    assert_int_equal(req.returned, STATUS_PENDING);
    assert_int_equal(req_end(&req), STATUS_WRONG_VOLUME);
    assert_false(IoSetThreadHardErrorMode(TRUE));
    assert_int_equal(raised, 2);
}

/* A control, which is not pending until the question is put. */
static void
R180__file_system__control_that_asks__marked_and_pending(void **state)
{
    const struct io_harderr_port port = { .raise = look_and_raise };
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    struct volume *volume;
    PFILE_OBJECT file;
    struct req req;

    put_in(d, FAT("r180d", "WANTED", "80000004"));
    assert_int_equal(open_volume(d, &file), STATUS_SUCCESS);
    volume = fs_volume_of(file->Vpb);
    swap(d, FAT("r180e", "OTHER", "80000005"));
    set_flag(d);
    assert_int_equal(IoVerifyVolume(d->fdo, FALSE), STATUS_WRONG_VOLUME);
    io_set_harderr_port(&port);
    marked = FALSE;
    raised = 0;
    req_control(&req, volume, file, FSCTL_LOCK_VOLUME, NULL, 0, 0);
    assert_int_equal(req.returned, STATUS_PENDING);
    assert_true(EVENTUALLY(InterlockedOr(&raised, 0) == 1));
    assert_true(marked);
    assert_false(req_is_done(&req));
    answer(RI_CANCEL);
    assert_int_equal(req_end(&req), STATUS_WRONG_VOLUME);
    assert_int_equal(req.information, 0);
    io_close_file(file);
}

static void
error_mode__suppressed__ok_is_no_retry__fails(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    struct volume *volume;

    put_in(d, FAT("mode", "WANTED", "77000003"));
    volume = mount(d);
    prompt_set_error_mode(TRUE);
    pull_out(d);
    assert_int_equal(read_volume(volume, 0, buffer, 512),
                     STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(prompts(NULL), 0);
    assert_int_equal(asked(), 0);
}

struct leaving {
    struct volume *volume;
    IO_STATUS_BLOCK iosb;
    KEVENT done;
    char data[512];
};

/* Sends a request, and ends while its question is open. */
static VOID NTAPI
leave(PVOID context)
{
    struct leaving *leaving = context;
    PDEVICE_OBJECT device = fs_volume_device(leaving->volume);
    LARGE_INTEGER at = { .QuadPart = 0 };
    PIRP irp = IoBuildSynchronousFsdRequest(IRP_MJ_READ, device, leaving->data,
                                            sizeof leaving->data, &at,
                                            &leaving->done, &leaving->iosb);

    IoCallDriver(device, irp);
    (void) EVENTUALLY(prompts(NULL) == 1);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static void
R184__thread_ends_while_the_dialog_is_open__original_status(void **state)
{
    static struct leaving leaving;
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    HANDLE thread;

    put_in(d, FAT("r184", "GONE", "84000001"));
    memset(&leaving, 0, sizeof leaving);
    leaving.volume = mount(d);
    KeInitializeEvent(&leaving.done, NotificationEvent, FALSE);
    pull_out(d);
    assert_int_equal(
        PsCreateSystemThread(&thread, 0, NULL, NULL, NULL, leave, &leaving),
        STATUS_SUCCESS);
    KeWaitForSingleObject(&leaving.done, Executive, KernelMode, FALSE, NULL);
    ZwClose(thread);
    assert_true(EVENTUALLY(asked() == 1));
    assert_int_equal(leaving.iosb.Status, STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(leaving.iosb.Information, 0);
    assert_true(EVENTUALLY(prompts(NULL) == 0));
}

static void
client_cancels__not_its_thread__cancelled(void **state)
{
    struct rig *rig = *state;
    struct drive_rig *d = &rig->d[0];
    struct volume *volume;
    struct req req;

    put_in(d, FAT("cancel", "GONE", "84000002"));
    volume = mount(d);
    pull_out(d);
    req_start(&req, volume, IRP_MJ_READ, 0, buffer, sizeof buffer);
    the_prompt();
    IoCancelIrp(req.irp);
    assert_int_equal(req_end(&req), STATUS_CANCELLED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(R161_R186__old_handle__wrong_volume_after_the_dialog_is_cancelled,
             rig_disk),
        TEST(R162__old_disk_is_back__old_handle_works_again, rig_disk),
        TEST(R185__same_medium_came_back__no_dialog, rig_disk),
        TEST(retry__unreadable_medium_was_in_between__nobody_is_stuck,
             rig_disk),
        TEST(R170__write_protected__status_flag_and_slot, rig_disk),
        TEST(R170__write_protected__tab_is_changed__retry_writes, rig_disk),
        TEST(R171__is_volume_mounted__never_a_dialog__the_status, rig_disk),
        TEST(R172__verify_required_under_the_cache_manager__file_lock_conflict,
             rig_disk),
        TEST(R173__at_apc_level_or_apcs_disabled__posted_to_a_worker, rig_disk),
        TEST(R174__device_to_verify_is_wrong__real_device_is_verified__cleared,
             rig_disks),
        TEST(R175__verify_that_meets_verify_required__posted_no_recursion,
             rig_disk),
        TEST(R175__mount_that_meets_verify_required__posted_no_recursion,
             rig_disk),
        TEST(R175__each_time_again__not_for_ever, rig_disk),
        TEST(R176__buffered_request_fails__no_information_nothing_copied,
             rig_disk),
        TEST(R177__hard_errors_disabled__completes_at_once, rig_disk),
        TEST(R180__file_system__marks_before_it_raises_and_returns_pending,
             rig_disk),
        TEST(R180__file_system__control_that_asks__marked_and_pending,
             rig_disk),
        TEST(error_mode__suppressed__ok_is_no_retry__fails, rig_disk),
        TEST(R184__thread_ends_while_the_dialog_is_open__original_status,
             rig_disk),
        TEST(client_cancels__not_its_thread__cancelled, rig_disk),
    };

    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
