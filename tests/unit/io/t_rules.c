/*
 * Tests for the rules of src/io/rules.def: each is broken once by a driver of
 * the test, in a process of its own, which must end with one line that names
 * the rule, the driver, its device and what happened to the IRP; and the right
 * way of doing the same goes through.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ntdddisk.h>

#include "base/clock.h"
#include "io/io_internal.h"

/* --- a stack of two drivers ---------------------------------------------- */

static PDRIVER_OBJECT toy, below_driver;
static PDEVICE_OBJECT device, below;
static PIRP held;
static KSPIN_LOCK toy_lock;

static NTSTATUS NTAPI
below_completes(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI
below_pends(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    IoMarkIrpPending(Irp);
    held = Irp;
    return STATUS_PENDING;
}

static NTSTATUS NTAPI
came_back(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    *(int *) Context += 1;
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static int returned;

static PIRP
new_irp(void)
{
    PIRP irp = IoAllocateIrp(device->StackSize, FALSE);
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);

    irp->Tail.Overlay.Thread = PsGetCurrentThread();
    next->MajorFunction = IRP_MJ_READ;
    next->Parameters.Read.Length = 512;
    IoSetCompletionRoutine(irp, came_back, &returned, TRUE, TRUE, TRUE);
    return irp;
}

static void
send_read(PDRIVER_DISPATCH dispatch)
{
    toy->MajorFunction[IRP_MJ_READ] = dispatch;
    IoCallDriver(device, new_irp());
}

static int
setup(void **state)
{
    io_setup(state);
    below_driver = new_driver("below");
    toy = new_driver("toy");
    below_driver->MajorFunction[IRP_MJ_READ] = below_completes;
    below = new_device(below_driver, FILE_DEVICE_DISK, 0, NULL);
    device = new_device(toy, FILE_DEVICE_DISK, sizeof(IO_REMOVE_LOCK),
                        L"\\Device\\Toy0");
    assert_ptr_equal(IoAttachDeviceToDeviceStack(device, below), below);
    return 0;
}

static int
teardown(void **state)
{
    IoDetachDevice(below);
    IoDeleteDevice(device);
    IoDeleteDevice(below);
    io_unload_driver(toy);
    io_unload_driver(below_driver);
    return io_teardown(state);
}

/* --- misdeeds: dispatch routines ----------------------------------------- */

static NTSTATUS NTAPI
pends_unmarked(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    held = Irp;
    return STATUS_PENDING;
}

static NTSTATUS NTAPI
completes_and_says_pending(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    complete_irp(Irp, STATUS_SUCCESS, 0);
    return STATUS_PENDING;
}

static NTSTATUS NTAPI
marks_in_vain(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    IoMarkIrpPending(Irp);
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI
forgets(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    held = Irp;
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI
keeps_irql(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    KIRQL old;

    UNREFERENCED_PARAMETER(DeviceObject);
    complete_irp(Irp, STATUS_SUCCESS, 0);
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI
keeps_lock(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    KIRQL old;

    UNREFERENCED_PARAMETER(DeviceObject);
    complete_irp(Irp, STATUS_SUCCESS, 0);
    KeAcquireSpinLock(&toy_lock, &old);
    KeLowerIrql(old);
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI
frees_lock_of_nobody(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    KIRQL old;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    KeReleaseSpinLock(&toy_lock, old);
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI
locks_twice(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    KIRQL old;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    KeAcquireSpinLock(&toy_lock, &old);
    KeAcquireSpinLock(&toy_lock, &old);
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI
waits_at_dispatch(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    KEVENT event;
    KIRQL old;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI
frees_pool_by_another_tag(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    ExFreePoolWithTag(ExAllocatePoolWithTag(NonPagedPool, 16, 'eno '), 'owt ');
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI
leaves_no_critical_region(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    KeLeaveCriticalRegion();
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI
sends_for_ever(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    IoGetNextIrpStackLocation(Irp)->MajorFunction = IRP_MJ_READ;
    return IoCallDriver(DeviceObject, Irp);
}

static NTSTATUS NTAPI
copies_for_ever(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    IoCopyCurrentIrpStackLocationToNext(Irp);
    return IoCallDriver(DeviceObject, Irp);
}

static NTSTATUS NTAPI
hooks_what_is_not_there(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    IoSetNextIrpStackLocation(Irp);
    IoSetCompletionRoutine(Irp, came_back, NULL, TRUE, TRUE, TRUE);
    return IoCallDriver(DeviceObject, Irp);
}

static NTSTATUS NTAPI
passes_on_nothing(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return IoCallDriver(below, Irp);
}

static NTSTATUS NTAPI
skips_with_routine(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    IoSkipCurrentIrpStackLocation(Irp);
    IoSetCompletionRoutine(Irp, came_back, NULL, TRUE, TRUE, TRUE);
    return IoCallDriver(below, Irp);
}

static NTSTATUS NTAPI
completes_twice(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    complete_irp(Irp, STATUS_SUCCESS, 0);
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static void NTAPI
gives_lock_back(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    IoReleaseCancelSpinLock(Irp->CancelIrql);
}

static NTSTATUS NTAPI
completes_cancelable(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    IoSetCancelRoutine(Irp, gives_lock_back);
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static void NTAPI
keeps_cancel_lock(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
}

static NTSTATUS NTAPI
is_cancelled_badly(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    IoMarkIrpPending(Irp);
    IoSetCancelRoutine(Irp, keeps_cancel_lock);
    IoCancelIrp(Irp);
    return STATUS_PENDING;
}

static NTSTATUS NTAPI
completes_pending(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return complete_irp(Irp, STATUS_PENDING, 0);
}

static NTSTATUS NTAPI
completes_minus_one(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return complete_irp(Irp, (NTSTATUS) -1, 0);
}

static NTSTATUS NTAPI
frees_what_it_got(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    IoFreeIrp(Irp);
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI
frees_locked_mdl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    static char buffer[64];
    PMDL mdl = IoAllocateMdl(buffer, sizeof buffer, FALSE, FALSE, NULL);

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    MmProbeAndLockPages(mdl, KernelMode, IoReadAccess);
    IoFreeMdl(mdl);
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI
raises_for_io_error(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    IoMarkIrpPending(Irp);
    Irp->IoStatus.Status = STATUS_IO_DEVICE_ERROR;
    IoRaiseHardError(Irp, NULL, DeviceObject);
    return STATUS_PENDING;
}

static NTSTATUS NTAPI
raises_at_dispatch(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    KIRQL old;

    IoMarkIrpPending(Irp);
    Irp->IoStatus.Status = STATUS_NO_MEDIA_IN_DEVICE;
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    IoRaiseHardError(Irp, NULL, DeviceObject);
    return STATUS_PENDING;
}

static NTSTATUS NTAPI
verify_for_io_error(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    IoSetHardErrorOrVerifyDevice(Irp, DeviceObject);
    return complete_irp(Irp, STATUS_IO_DEVICE_ERROR, 0);
}

static NTSTATUS NTAPI
verify_without_thread(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    Irp->Tail.Overlay.Thread = NULL;
    IoSetHardErrorOrVerifyDevice(Irp, DeviceObject);
    return complete_irp(Irp, STATUS_VERIFY_REQUIRED, 0);
}

static NTSTATUS NTAPI
clears_the_flag(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    DeviceObject->Flags &= ~(ULONG) DO_VERIFY_VOLUME;
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI
frees_in_routine(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Context);
    IoFreeIrp(Irp);
    return STATUS_SUCCESS;
}

/* --- misdeeds: whole stories --------------------------------------------- */

static void
verify_flag_story(void)
{
    device->Flags |= DO_VERIFY_VOLUME;
    send_read(clears_the_flag);
}

static void
late_unmarked_story(void)
{
    send_read(pends_unmarked);
    complete_irp(held, STATUS_SUCCESS, 0);
}

static void
freed_in_completion_story(void)
{
    PIRP irp = IoAllocateIrp(device->StackSize, FALSE);

    toy->MajorFunction[IRP_MJ_READ] = below_completes;
    IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_READ;
    IoSetCompletionRoutine(irp, frees_in_routine, NULL, TRUE, TRUE, TRUE);
    IoCallDriver(device, irp);
}

static void
past_top_story(void)
{
    PIRP irp = IoAllocateIrp(device->StackSize, FALSE);

    toy->MajorFunction[IRP_MJ_READ] = below_completes;
    IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_READ;
    IoCallDriver(device, irp);
}

static void
double_free_story(void)
{
    PIRP irp = IoAllocateIrp(1, FALSE);

    IoFreeIrp(irp);
    IoFreeIrp(irp);
}

static void
free_listed_story(void)
{
    LARGE_INTEGER zero = { .QuadPart = 0 };
    IO_STATUS_BLOCK iosb;

    IoFreeIrp(IoBuildSynchronousFsdRequest(IRP_MJ_READ, device, NULL, 0, &zero,
                                           NULL, &iosb));
}

static void
reuse_in_flight_story(void)
{
    send_read(below_pends);
    IoReuseIrp(held, STATUS_SUCCESS);
}

static void
delete_twice_story(void)
{
    PDEVICE_OBJECT other =
        new_device(toy, FILE_DEVICE_UNKNOWN, 0, L"\\Device\\Toy1");

    ObReferenceObject(other);
    IoDeleteDevice(other);
    IoDeleteDevice(other);
}

static void
delete_attached_story(void)
{
    IoDeleteDevice(device);
}

static void
call_deleted_story(void)
{
    PDEVICE_OBJECT gone = new_device(toy, FILE_DEVICE_UNKNOWN, 0, NULL);

    IoDeleteDevice(gone);
    IoCallDriver(gone, new_irp());
}

static void
vpb_story(void)
{
    PVPB vpb = below->Vpb;

    below->Vpb = NULL;
    vpb->ReferenceCount = 1;
    ExFreePool(vpb);
}

/* Answers success to a mount, and does nothing. */
static void
mount_story(void)
{
    PDEVICE_OBJECT control =
        new_device(toy, FILE_DEVICE_DISK_FILE_SYSTEM, 0, NULL);

    toy->MajorFunction[IRP_MJ_FILE_SYSTEM_CONTROL] = below_completes;
    IoRegisterFileSystem(control);
    io_mount(below, FALSE);
}

static PIO_REMOVE_LOCK
lock_of_toy(ULONG minutes, ULONG most)
{
    PIO_REMOVE_LOCK lock = device->DeviceExtension;

    IoInitializeRemoveLock(lock, 'yoT ', minutes, most);
    return lock;
}

static void
lock_held_at_delete_story(void)
{
    assert_int_equal(IoAcquireRemoveLock(lock_of_toy(0, 0), &toy_lock),
                     STATUS_SUCCESS);
    IoDetachDevice(below);
    IoDeleteDevice(device);
}

static void
lock_held_too_long_story(void)
{
    PIO_REMOVE_LOCK lock = lock_of_toy(1, 0);

    clock_manual(true);
    IoAcquireRemoveLock(lock, &toy_lock);
    clock_advance_ms(60000);
    IoReleaseRemoveLock(lock, &toy_lock);
}

static void *
minutes_pass(void *unused)
{
    (void) unused;
    for (;;) {
        usleep(2000);
        clock_advance_ms(10000);
    }
    return NULL;
}

static void
lock_never_released_story(void)
{
    PIO_REMOVE_LOCK lock = lock_of_toy(1, 0);
    pthread_t id;

    clock_manual(true);
    IoAcquireRemoveLock(lock, device);
    IoAcquireRemoveLock(lock, &toy_lock);
    pthread_create(&id, NULL, minutes_pass, NULL);
    IoReleaseRemoveLockAndWait(lock, device);
}

static void
lock_other_tag_story(void)
{
    PIO_REMOVE_LOCK lock = lock_of_toy(0, 0);

    IoAcquireRemoveLock(lock, device);
    IoReleaseRemoveLock(lock, &toy_lock);
}

static void
lock_watermark_story(void)
{
    PIO_REMOVE_LOCK lock = lock_of_toy(0, 2);

    for (int i = 0; i < 3; i++)
        IoAcquireRemoveLock(lock, device);
}

static void
object_over_released_story(void)
{
    PDEVICE_OBJECT other = new_device(toy, FILE_DEVICE_UNKNOWN, 0, NULL);

    IoDeleteDevice(other);
    ObDereferenceObject(other);
}

static void
object_dead_story(void)
{
    PDEVICE_OBJECT other = new_device(toy, FILE_DEVICE_UNKNOWN, 0, NULL);

    IoDeleteDevice(other);
    ObReferenceObject(other);
}

static VOID NTAPI
does_nothing(PDEVICE_OBJECT DeviceObject, PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    KeWaitForSingleObject(Context, Executive, KernelMode, FALSE, NULL);
}

static void
workitem_story(void)
{
    PIO_WORKITEM items[300];
    KEVENT never;

    KeInitializeEvent(&never, NotificationEvent, FALSE);
    /* More than there are workers: the last one stays in the queue. */
    for (size_t i = 0; i < ARRAYSIZE(items); i++) {
        items[i] = IoAllocateWorkItem(device);
        IoQueueWorkItem(items[i], does_nothing, DelayedWorkQueue, &never);
    }
    IoFreeWorkItem(items[ARRAYSIZE(items) - 1]);
}

/* --- the table ----------------------------------------------------------- */

#define TOY "driver \\Driver\\toy, device \\Device\\Toy0"

static const struct misdeed {
    const char *rule;
    PDRIVER_DISPATCH dispatch; /* or */
    void (*story)(void);
    const char *who;
    const char *says; /* of the history, or of the sentence */
} misdeeds[] = {
    { "irql", waits_at_dispatch, NULL, TOY,
      "KeWaitForSingleObject: IRQL <= APC_LEVEL (IRQL is 2" },
    { "irql", raises_at_dispatch, NULL, TOY,
      "IoRaiseHardError: IRQL <= APC_LEVEL (IRQL is 2" },
    { "irql-not-restored", keeps_irql, NULL, TOY,
      "completed STATUS_SUCCESS by toy" },
    { "spinlock-held", keeps_lock, NULL, TOY,
      "completed STATUS_SUCCESS by toy" },
    { "spinlock-not-held", frees_lock_of_nobody, NULL, TOY, "call toy READ" },
    { "spinlock-recursive", locks_twice, NULL, TOY, "call toy READ" },
    { "pool-misuse", frees_pool_by_another_tag, NULL, TOY, "call toy READ" },
    { "routine-contract", leaves_no_critical_region, NULL, TOY,
      "KeLeaveCriticalRegion" },
    { "irp-no-location", sends_for_ever, NULL, TOY,
      "call toy READ(0x00) > call toy READ(0x00)" },
    { "irp-no-location", copies_for_ever, NULL, TOY,
      "call toy READ(0x00) > call toy READ(0x00)" },
    { "irp-no-location", hooks_what_is_not_there, NULL, TOY,
      "allocated > call toy READ(0x00);" },
    { "irp-next-not-set", passes_on_nothing, NULL, TOY,
      "allocated > call toy READ(0x00);" },
    { "irp-completion-on-skipped", skips_with_routine, NULL, TOY,
      "allocated > call toy READ(0x00);" },
    { "irp-double-complete", completes_twice, NULL, TOY,
      "allocated > call toy READ(0x00) > completed STATUS_SUCCESS by toy" },
    { "irp-complete-cancelable", completes_cancelable, NULL, TOY,
      "allocated > call toy READ(0x00);" },
    { "irp-complete-pending", completes_pending, NULL, TOY,
      "allocated > call toy READ(0x00);" },
    { "irp-complete-pending", completes_minus_one, NULL, TOY,
      "allocated > call toy READ(0x00);" },
    { "irp-pending-not-marked", completes_and_says_pending, NULL, TOY,
      "completed STATUS_SUCCESS by toy" },
    { "irp-pending-not-marked", NULL, late_unmarked_story, TOY,
      "call toy READ(0x00) > pended by toy > completed STATUS_SUCCESS by toy" },
    { "irp-pending-not-returned", marks_in_vain, NULL, TOY,
      "completed STATUS_SUCCESS by toy" },
    { "irp-not-pended", forgets, NULL, TOY,
      "allocated > call toy READ(0x00);" },
    { "irp-past-top", NULL, past_top_story, TOY,
      "completed STATUS_SUCCESS by toy" },
    { "irp-freed-in-completion", NULL, freed_in_completion_story,
      "driver unknown", "STATUS_MORE_PROCESSING_REQUIRED" },
    { "irp-double-free", NULL, double_free_story, "", "allocated > freed;" },
    { "irp-free-listed", NULL, free_listed_story, "driver unknown, IRP ",
      "allocated;" },
    { "irp-free-in-flight", frees_what_it_got, NULL, TOY,
      "allocated > call toy READ(0x00);" },
    { "irp-free-in-flight", NULL, reuse_in_flight_story, TOY,
      "call toy READ(0x00) > pended by toy;" },
    { "cancel-lock-held", is_cancelled_badly, NULL, TOY,
      "call toy READ(0x00) > cancelled > cancel routine of toy;" },
    { "mdl-free-locked", frees_locked_mdl, NULL, TOY, "call toy READ" },
    { "harderr-not-user-induced", raises_for_io_error, NULL, TOY,
      "hard error STATUS_IO_DEVICE_ERROR by toy" },
    { "verify-not-user-induced", verify_for_io_error, NULL, TOY,
      "device to verify set by toy > completed STATUS_IO_DEVICE_ERROR" },
    { "verify-no-thread", verify_without_thread, NULL, TOY,
      "allocated > call toy READ(0x00);" },
    { "verify-flag-cleared", NULL, verify_flag_story, TOY,
      "completed STATUS_SUCCESS by toy" },
    { "vpb-freed-referenced", NULL, vpb_story, "driver \\Driver\\below",
      "a VPB is freed when nothing refers to it" },
    { "mount-no-device", NULL, mount_story, "driver \\Driver\\below",
      "Vpb->DeviceObject" },
    { "device-call-deleted", NULL, call_deleted_story, "IRP ", "allocated;" },
    { "device-deleted-twice", NULL, delete_twice_story, "driver \\Driver\\toy",
      "a device is deleted once" },
    { "device-deleted-attached", NULL, delete_attached_story,
      "driver \\Driver\\toy", "detached" },
    { "remlock-held", NULL, lock_held_at_delete_story, "driver \\Driver\\toy",
      "t_rules.c line " },
    { "remlock-held", NULL, lock_held_too_long_story, "", "t_rules.c line " },
    { "remlock-held", NULL, lock_never_released_story, "", "t_rules.c line " },
    { "remlock-not-acquired", NULL, lock_other_tag_story, "", "was not" },
    { "remlock-watermark", NULL, lock_watermark_story, "", "HighWatermark" },
    { "object-over-released", NULL, object_over_released_story, "",
      "as often as it was referenced" },
    { "object-dead", NULL, object_dead_story, "", "last reference" },
    { "workitem-queued", NULL, workitem_story, "driver \\Driver\\toy",
      "queued" },
};

/* What a process says that runs the misdeed; it must end by abort(). */
static void
provoke(const struct misdeed *misdeed, char *out_said, size_t max)
{
    size_t len = 0;
    int ends[2], status;
    ssize_t n;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        char number[16];

        snprintf(number, sizeof number, "%zu", (size_t) (misdeed - misdeeds));
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl("/proc/self/exe", "t_rules", number, (char *) NULL);
        perror("t_rules");
        _exit(1);
    }
    close(ends[1]);
    while ((n = read(ends[0], out_said + len, max - 1 - len)) > 0)
        len += (size_t) n;
    out_said[len] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        fail_msg("%s: ended with %#x; said: %s", misdeed->rule,
                 (unsigned) status, out_said);
}

/* What came long after the one before it says so, on a busy machine. */
static void
forget_times(char *line)
{
    static const char after[] = "after ", ms[] = " ms ";
    char *at = line, *end;

    while ((at = strstr(at, after)) != NULL) {
        (void) strtoul(at + strlen(after), &end, 10);
        if (end != at + strlen(after) && strncmp(end, ms, strlen(ms)) == 0)
            memmove(at, end + strlen(ms), strlen(end + strlen(ms)) + 1);
        else
            at++;
    }
}

static void
rules__broken__one_line_names_rule_driver_and_history(void **state)
{
    char said[8192], begin[64];

    (void) state;
    for (size_t i = 0; i < ARRAYSIZE(misdeeds); i++) {
        const struct misdeed *misdeed = &misdeeds[i];
        char *line, *end, *more;

        /* A use after free, found as such. */
        if (ADDRESS_SANITIZER && strcmp(misdeed->rule, "irp-double-free") == 0)
            continue;
        provoke(misdeed, said, sizeof said);
        snprintf(begin, sizeof begin, "rule %s: ", misdeed->rule);
        line = strstr(said, begin);
        if (line == NULL || (line != said && line[-1] != '\n'))
            fail_msg("wanted \"%s\", said: %s", begin, said);
        end = strchr(line, '\n');
        assert_non_null(end);
        *end = '\0';
        more = end + 1;
        forget_times(line);
        if (strstr(line, misdeed->who) == NULL)
            fail_msg("wanted \"%s\", said: %s", misdeed->who, line);
        if (strstr(line, misdeed->says) == NULL)
            fail_msg("wanted \"%s\", said: %s", misdeed->says, line);
        if (strstr(more, "rule ") != NULL)
            fail_msg("more than one line: %s", more);
        assert_non_null(strstr(more, "*** STOP 0x"));
    }
}

/* --- the table of rules and the tests ------------------------------------- */

static void
rules__all__have_a_test(void **state)
{
    static const char *const rules[] = {
#define IO_RULE(id, name, code, sentence, page) name,
#include "io/rules.def"
#undef IO_RULE
    };

    (void) state;
    for (size_t i = 0; i < ARRAYSIZE(rules); i++) {
        bool tested = false;

        for (size_t j = 0; j < ARRAYSIZE(misdeeds); j++)
            tested |= strcmp(misdeeds[j].rule, rules[i]) == 0;
        if (!tested)
            fail_msg("no test breaks %s", rules[i]);
    }
}

/* --- the right way -------------------------------------------------------- */

static NTSTATUS NTAPI
skips(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(below, Irp);
}

static NTSTATUS NTAPI
marks_if_below_did(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Context);
    if (Irp->PendingReturned)
        IoMarkIrpPending(Irp);
    return STATUS_CONTINUE_COMPLETION;
}

static NTSTATUS NTAPI
copies(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, marks_if_below_did, NULL, TRUE, TRUE, TRUE);
    return IoCallDriver(below, Irp);
}

static NTSTATUS NTAPI
copies_without_routine(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    IoCopyCurrentIrpStackLocationToNext(Irp);
    return IoCallDriver(below, Irp);
}

static NTSTATUS NTAPI
sends_again(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    int *tries = Context;

    if (Irp->PendingReturned)
        IoMarkIrpPending(Irp);
    if (--*tries == 0)
        return STATUS_CONTINUE_COMPLETION;
    IoMarkIrpPending(Irp);
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, sends_again, tries, TRUE, TRUE, TRUE);
    IoCallDriver(below, Irp);
    UNREFERENCED_PARAMETER(DeviceObject);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS NTAPI
retries(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    static int tries;

    UNREFERENCED_PARAMETER(DeviceObject);
    tries = 3;
    IoMarkIrpPending(Irp);
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, sends_again, &tries, TRUE, TRUE, TRUE);
    IoCallDriver(below, Irp);
    return STATUS_PENDING;
}

static NTSTATUS NTAPI
waits_for_below(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    IoForwardIrpSynchronously(below, Irp);
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI
tells_whom_to_verify(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    IoSetHardErrorOrVerifyDevice(Irp, DeviceObject);
    return complete_irp(Irp, STATUS_VERIFY_REQUIRED, 0);
}

static NTSTATUS NTAPI
clears_when_asked(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    DeviceObject->Flags &= ~(ULONG) DO_VERIFY_VOLUME;
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static void NTAPI
cancels(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    complete_irp(Irp, STATUS_CANCELLED, 0);
}

static NTSTATUS NTAPI
waits_for_cancel(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    IoMarkIrpPending(Irp);
    held = Irp;
    IoSetCancelRoutine(Irp, cancels);
    return STATUS_PENDING;
}

static void
complete_held(void *unused)
{
    (void) unused;
    complete_irp(held, STATUS_SUCCESS, 0);
}

static void
right_way__pending_skipping_retrying__goes_through(void **state)
{
    static const PDRIVER_DISPATCH ways[] = { skips, copies,
                                             copies_without_routine, retries };

    (void) state;
    for (size_t i = 0; i < ARRAYSIZE(ways); i++) {
        PIRP irp = new_irp();
        int before = returned;

        toy->MajorFunction[IRP_MJ_READ] = ways[i];
        below_driver->MajorFunction[IRP_MJ_READ] = below_completes;
        IoCallDriver(device, irp);
        assert_int_equal(returned, before + 1);
        IoReuseIrp(irp, STATUS_SUCCESS);
        IoFreeIrp(irp);

        if (ways[i] == retries)
            continue;
        irp = new_irp();
        below_driver->MajorFunction[IRP_MJ_READ] = below_pends;
        assert_int_equal(IoCallDriver(device, irp), STATUS_PENDING);
        on_other_thread(complete_held, NULL);
        assert_int_equal(returned, before + 2);
        IoFreeIrp(irp);
        below_driver->MajorFunction[IRP_MJ_READ] = below_completes;
    }
}

static void
right_way__waiting_verifying_cancelling__goes_through(void **state)
{
    PIRP irp = new_irp();
    int before = returned;

    (void) state;
    toy->MajorFunction[IRP_MJ_READ] = waits_for_below;
    IoCallDriver(device, irp);
    IoFreeIrp(irp);

    irp = new_irp();
    toy->MajorFunction[IRP_MJ_READ] = tells_whom_to_verify;
    IoCallDriver(device, irp);
    assert_ptr_equal(IoGetDeviceToVerify(PsGetCurrentThread()), device);
    IoSetDeviceToVerify(PsGetCurrentThread(), NULL);
    IoFreeIrp(irp);

    irp = new_irp();
    toy->MajorFunction[IRP_MJ_READ] = waits_for_cancel;
    assert_int_equal(IoCallDriver(device, irp), STATUS_PENDING);
    assert_true(IoCancelIrp(irp));
    IoFreeIrp(irp);

    irp = new_irp();
    toy->MajorFunction[IRP_MJ_DEVICE_CONTROL] = clears_when_asked;
    IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_DEVICE_CONTROL;
    IoGetNextIrpStackLocation(irp)->Parameters.DeviceIoControl.IoControlCode =
        IOCTL_DISK_INTERNAL_CLEAR_VERIFY;
    device->Flags |= DO_VERIFY_VOLUME;
    IoCallDriver(device, irp);
    assert_int_equal(device->Flags & DO_VERIFY_VOLUME, 0);
    IoFreeIrp(irp);
    assert_int_equal(returned, before + 4);
}

static NTSTATUS NTAPI
meanwhile_verified(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    io_verification_begin();
    DeviceObject->Flags &= ~(ULONG) DO_VERIFY_VOLUME;
    io_verification_end();
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static void
right_way__flag_cleared_by_a_verification__nobody_is_blamed(void **state)
{
    PIRP irp = new_irp();

    (void) state;
    toy->MajorFunction[IRP_MJ_READ] = meanwhile_verified;
    device->Flags |= DO_VERIFY_VOLUME;
    IoCallDriver(device, irp);
    assert_int_equal(device->Flags & DO_VERIFY_VOLUME, 0);
    IoFreeIrp(irp);
}

static NTSTATUS NTAPI
fails(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return complete_irp(Irp, STATUS_VERIFY_REQUIRED, 0);
}

static NTSTATUS NTAPI
pays(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    IoSetHardErrorOrVerifyDevice(Irp, DeviceObject);
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static void
right_way__call_owed_of_an_irp_without_thread__goes_through(void **state)
{
    PIRP irp = new_irp();

    (void) state;
    irp->Tail.Overlay.Thread = NULL;
    toy->MajorFunction[IRP_MJ_READ] = fails;
    IoCallDriver(device, irp);
    IoFreeIrp(irp);
    irp = new_irp();
    toy->MajorFunction[IRP_MJ_READ] = pays;
    IoCallDriver(device, irp);
    assert_ptr_equal(IoGetDeviceToVerify(PsGetCurrentThread()), device);
    IoSetDeviceToVerify(PsGetCurrentThread(), NULL);
    IoFreeIrp(irp);
}

/* What another driver has marked, and passes on later, is not this one's. */
static void
right_way__pended_then_skipped__goes_through(void **state)
{
    PIRP irp = new_irp();

    (void) state;
    toy->MajorFunction[IRP_MJ_READ] = below_pends;
    below_driver->MajorFunction[IRP_MJ_READ] = below_completes;
    assert_int_equal(IoCallDriver(device, irp), STATUS_PENDING);
    IoSkipCurrentIrpStackLocation(irp);
    assert_int_equal(IoCallDriver(below, irp), STATUS_SUCCESS);
    IoFreeIrp(irp);
}

static void
right_way__remove_lock__goes_through(void **state)
{
    PIO_REMOVE_LOCK lock = lock_of_toy(1, 3);

    (void) state;
    IoAcquireRemoveLock(lock, device);
    IoAcquireRemoveLock(lock, device);
    IoAcquireRemoveLock(lock, &toy_lock);
    IoReleaseRemoveLock(lock, device);
    IoReleaseRemoveLock(lock, &toy_lock);
    IoReleaseRemoveLockAndWait(lock, device);
    assert_int_equal(IoAcquireRemoveLock(lock, device), STATUS_DELETE_PENDING);
}

/* The ring keeps the last sixteen, and says how many there were before. */
static void
history__many_events__the_last_are_told(void **state)
{
    PIRP irp = new_irp();
    char text[2048];

    (void) state;
    toy->MajorFunction[IRP_MJ_READ] = below_completes;
    for (int i = 0; i < 10; i++) {
        IoCallDriver(device, irp);
        IoReuseIrp(irp, STATUS_SUCCESS);
        IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_READ;
        IoSetCompletionRoutine(irp, came_back, &returned, TRUE, TRUE, TRUE);
    }
    io_history_text(irp, text, sizeof text);
    /* 1 + 10 * (call, completed, kept, used again) */
    assert_non_null(strstr(text, "(25 earlier) > "));
    assert_non_null(strstr(text, "call toy READ(0x00) > completed "
                                 "STATUS_SUCCESS by toy > kept by unknown > "
                                 "used again"));
    IoFreeIrp(irp);
}

static void
switched_off__no_rule_stops(void **state)
{
    PIRP irp;

    (void) state;
    io_set_verifier(false);
    irp = new_irp();
    toy->MajorFunction[IRP_MJ_READ] = marks_in_vain;
    assert_int_equal(IoCallDriver(device, irp), STATUS_SUCCESS);
    IoFreeIrp(irp);
    io_set_verifier(true);
}

/* In a process of its own: with an I/O manager that nobody has used. */
static int
commit(const struct misdeed *misdeed)
{
    alarm(600);
    setup(NULL);
    if (misdeed->story != NULL)
        misdeed->story();
    else
        send_read(misdeed->dispatch);
    fprintf(stderr, "nobody minds %s\n", misdeed->rule);
    return 0;
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test(name)
        T(rules__broken__one_line_names_rule_driver_and_history),
        T(rules__all__have_a_test),
        T(right_way__pending_skipping_retrying__goes_through),
        T(right_way__waiting_verifying_cancelling__goes_through),
        T(right_way__flag_cleared_by_a_verification__nobody_is_blamed),
        T(right_way__call_owed_of_an_irp_without_thread__goes_through),
        T(right_way__pended_then_skipped__goes_through),
        T(right_way__remove_lock__goes_through),
        T(history__many_events__the_last_are_told),
        T(switched_off__no_rule_stops),
    };

    if (argc == 2)
        return commit(&misdeeds[atoi(argv[1])]);
    return cmocka_run_group_tests(tests, setup, teardown);
}
