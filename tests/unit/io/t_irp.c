/*
 * Tests for src/io/{irp,complete,cancel,build,mdl,cache}.c: how IRPs travel.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/fault.h"
#include "ke/ke.h"
#include "ke/thread.h"

/* A stack of three: devices[0] is the lowest. */
static PDRIVER_OBJECT driver;
static PDEVICE_OBJECT devices[3];

static struct seen {
    int calls;
    int order[8];
    PDEVICE_OBJECT device[8];
    BOOLEAN pending[8];
} seen;

static NTSTATUS answer;
static ULONG_PTR answer_information;
static bool stop_at_middle;
static bool mark_in_routine;
static bool pend_low;
static PIRP held;
static UCHAR invoke =
    SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL;

static int
index_of(PDEVICE_OBJECT device)
{
    return *(int *) device->DeviceExtension;
}

static NTSTATUS NTAPI
routine(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    int i = seen.calls++;

    seen.order[i] = (int) (intptr_t) Context;
    seen.device[i] = DeviceObject;
    seen.pending[i] = Irp->PendingReturned;
    if (mark_in_routine && Irp->PendingReturned && DeviceObject != NULL)
        IoMarkIrpPending(Irp);
    if (stop_at_middle && (intptr_t) Context == 1) {
        stop_at_middle = false;
        held = Irp;
        return STATUS_MORE_PROCESSING_REQUIRED;
    }
    return STATUS_CONTINUE_COMPLETION;
}

static NTSTATUS NTAPI
dispatch(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    int i = index_of(DeviceObject);

    if (i == 0) {
        if (pend_low) {
            IoMarkIrpPending(Irp);
            held = Irp;
            return STATUS_PENDING;
        }
        return complete_irp(Irp, answer, answer_information);
    }
    IoCopyCurrentIrpStackLocationToNext(Irp);
    if (invoke != 0)
        IoSetCompletionRoutine(Irp, routine, (PVOID) (intptr_t) i,
                               (invoke & SL_INVOKE_ON_SUCCESS) != 0,
                               (invoke & SL_INVOKE_ON_ERROR) != 0,
                               (invoke & SL_INVOKE_ON_CANCEL) != 0);
    else
        IoGetNextIrpStackLocation(Irp)->CompletionRoutine = NULL;
    if (!stop_at_middle)
        return IoCallDriver(devices[i - 1], Irp);
    IoMarkIrpPending(Irp);
    IoCallDriver(devices[i - 1], Irp);
    return STATUS_PENDING;
}

static NTSTATUS NTAPI
top_routine(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    assert_null(DeviceObject);
    *(BOOLEAN *) Context = Irp->PendingReturned ? 2 : 1;
    return STATUS_MORE_PROCESSING_REQUIRED;
}

/* An IRP of our own; done: 1, or 2 when it came back marked pending. */
static PIRP
own_irp(BOOLEAN *done)
{
    PIRP irp = IoAllocateIrp(devices[2]->StackSize, FALSE);

    assert_non_null(irp);
    *done = 0;
    IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_READ;
    IoSetCompletionRoutine(irp, top_routine, done, TRUE, TRUE, TRUE);
    return irp;
}

static int
each(void **state)
{
    (void) state;
    memset(&seen, 0, sizeof seen);
    answer = STATUS_SUCCESS;
    answer_information = 0;
    stop_at_middle = pend_low = false;
    mark_in_routine = true;
    invoke = SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL;
    held = NULL;
    return 0;
}

static int
setup(void **state)
{
    io_setup(state);
    driver = new_driver("stacked");
    driver->MajorFunction[IRP_MJ_READ] = dispatch;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = dispatch;
    for (int i = 0; i < 3; i++) {
        devices[i] = new_device(driver, FILE_DEVICE_UNKNOWN, sizeof(int), NULL);
        *(int *) devices[i]->DeviceExtension = i;
        if (i > 0)
            assert_ptr_equal(
                IoAttachDeviceToDeviceStack(devices[i], devices[0]),
                devices[i - 1]);
    }
    return 0;
}

static int
teardown(void **state)
{
    for (int i = 2; i >= 0; i--) {
        if (i > 0)
            IoDetachDevice(devices[i - 1]);
        IoDeleteDevice(devices[i]);
    }
    io_unload_driver(driver);
    return io_teardown(state);
}

/* --- unwinding ----------------------------------------------------------- */

static void
R194__routine__more_processing__unwinding_stops_and_resumes(void **state)
{
    BOOLEAN done;
    PIRP irp = own_irp(&done);

    (void) state;
    stop_at_middle = true;
    IoCallDriver(devices[2], irp);
    assert_int_equal(seen.calls, 1);
    assert_int_equal(done, 0);
    assert_ptr_equal(IoGetCurrentIrpStackLocation(irp)->DeviceObject,
                     devices[1]);

    IoCompleteRequest(held, IO_NO_INCREMENT);
    assert_int_equal(seen.calls, 2);
    assert_int_equal(seen.order[1], 2);
    assert_ptr_equal(seen.device[1], devices[2]);
    assert_int_equal(done, 2);
    IoFreeIrp(irp);
}

static void
R195__routines__selected_by_status_and_cancel(void **state)
{
    static const struct {
        UCHAR flags;
        NTSTATUS status;
        BOOLEAN cancel;
        int calls;
    } cases[] = {
        { SL_INVOKE_ON_SUCCESS, STATUS_SUCCESS, FALSE, 2 },
        { SL_INVOKE_ON_SUCCESS, STATUS_IO_DEVICE_ERROR, FALSE, 0 },
        { SL_INVOKE_ON_SUCCESS, STATUS_VERIFY_REQUIRED, FALSE, 0 },
        { SL_INVOKE_ON_ERROR, STATUS_VERIFY_REQUIRED, FALSE, 2 },
        { SL_INVOKE_ON_ERROR, STATUS_IO_DEVICE_ERROR, FALSE, 2 },
        { SL_INVOKE_ON_ERROR, STATUS_SUCCESS, FALSE, 0 },
        { SL_INVOKE_ON_CANCEL, STATUS_SUCCESS, FALSE, 0 },
        { SL_INVOKE_ON_CANCEL, STATUS_SUCCESS, TRUE, 2 },
        { SL_INVOKE_ON_CANCEL, STATUS_CANCELLED, TRUE, 2 },
        { SL_INVOKE_ON_CANCEL, STATUS_IO_DEVICE_ERROR, FALSE, 0 },
        { SL_INVOKE_ON_SUCCESS, STATUS_CANCELLED, TRUE, 0 },
        { SL_INVOKE_ON_ERROR, STATUS_SUCCESS, TRUE, 0 },
        /* NT_SUCCESS: informational is, a warning is not. */
        { SL_INVOKE_ON_SUCCESS, STATUS_FT_READ_FROM_COPY, FALSE, 2 },
        { SL_INVOKE_ON_ERROR, STATUS_FT_READ_FROM_COPY, FALSE, 0 },
        { SL_INVOKE_ON_SUCCESS, STATUS_BUFFER_OVERFLOW, FALSE, 0 },
        { SL_INVOKE_ON_ERROR, STATUS_BUFFER_OVERFLOW, FALSE, 2 },
    };

    for (size_t i = 0; i < ARRAYSIZE(cases); i++) {
        BOOLEAN done;
        PIRP irp;

        each(state);
        irp = own_irp(&done);
        invoke = cases[i].flags;
        answer = cases[i].status;
        if (cases[i].cancel)
            assert_false(IoCancelIrp(irp));
        IoCallDriver(devices[2], irp);
        assert_int_equal(seen.calls, cases[i].calls);
        assert_int_equal(done, 1);
        IoFreeIrp(irp);
    }
}

static void
R196__pending_returned__equals_the_bit_below(void **state)
{
    BOOLEAN done;
    PIRP irp = own_irp(&done);

    (void) state;
    pend_low = true;
    assert_int_equal(IoCallDriver(devices[2], irp), STATUS_PENDING);
    assert_int_equal(done, 0);
    complete_irp(held, STATUS_SUCCESS, 0);
    assert_int_equal(seen.pending[0], TRUE);
    assert_int_equal(seen.pending[1], TRUE);
    assert_int_equal(done, 2);
    IoFreeIrp(irp);
}

/* Nobody marked it; then the one in the middle alone. */
static void
R196__pending_returned__not_below__not_seen(void **state)
{
    BOOLEAN done;
    PIRP irp = own_irp(&done);

    IoCallDriver(devices[2], irp);
    assert_int_equal(seen.calls, 2);
    assert_int_equal(seen.pending[0], FALSE);
    assert_int_equal(seen.pending[1], FALSE);
    assert_int_equal(done, 1);
    IoFreeIrp(irp);

    each(state);
    irp = own_irp(&done);
    stop_at_middle = true;
    IoCallDriver(devices[2], irp);
    assert_int_equal(seen.pending[0], FALSE);
    IoCompleteRequest(held, IO_NO_INCREMENT);
    assert_int_equal(seen.pending[1], TRUE);
    IoFreeIrp(irp);
}

static void
R197__pending_bit__propagates_only_without_a_routine(void **state)
{
    BOOLEAN done;
    PIRP irp = own_irp(&done);

    invoke = 0;
    pend_low = true;
    IoCallDriver(devices[2], irp);
    complete_irp(held, STATUS_SUCCESS, 0);
    assert_int_equal(done, 2);
    IoFreeIrp(irp);

    each(state);
    io_set_verifier(false); /* it breaks the rule */
    irp = own_irp(&done);
    pend_low = true;
    mark_in_routine = false;
    IoCallDriver(devices[2], irp);
    complete_irp(held, STATUS_SUCCESS, 0);
    assert_int_equal(seen.pending[0], TRUE);
    assert_int_equal(seen.pending[1], FALSE);
    assert_int_equal(done, 1);
    IoFreeIrp(irp);
    io_set_verifier(true);
}

static void
completion__locations_below__are_cleared_and_error_is_noted(void **state)
{
    BOOLEAN done;
    PIRP irp = own_irp(&done);
    PIO_STACK_LOCATION lowest = (PIO_STACK_LOCATION) (irp + 1);

    (void) state;
    IoGetNextIrpStackLocation(irp)->Parameters.Read.Length = 7;
    answer = STATUS_IO_DEVICE_ERROR;
    IoCallDriver(devices[2], irp);
    assert_int_equal(lowest->Parameters.Read.Length, 0);
    assert_int_equal(lowest->Control, 0);
    IoFreeIrp(irp);
}

/* --- what is fatal ------------------------------------------------------- */

static void
too_deep(void)
{
    PIRP irp = IoAllocateIrp(2, FALSE);

    IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_READ;
    IoCallDriver(devices[2], irp);
}

static void
complete_twice(void)
{
    KEVENT event;
    IO_STATUS_BLOCK iosb;
    LARGE_INTEGER zero = { .QuadPart = 0 };
    PIRP irp;

    KeInitializeEvent(&event, NotificationEvent, FALSE);
    irp = IoBuildSynchronousFsdRequest(IRP_MJ_READ, devices[2], NULL, 0, &zero,
                                       &event, &iosb);
    irp->Flags = IRP_CLOSE_OPERATION;
    IoCallDriver(devices[2], irp);
    IoCompleteRequest(irp, IO_NO_INCREMENT);
}

static void
past_the_top(void)
{
    PIRP irp = IoAllocateIrp(3, FALSE);

    IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_READ;
    IoCallDriver(devices[2], irp);
}

static void
free_twice(void)
{
    PIRP irp = IoAllocateIrp(1, FALSE);

    IoFreeIrp(irp);
    IoFreeIrp(irp);
}

static NTSTATUS NTAPI
completes_pending(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return complete_irp(Irp, STATUS_PENDING, 0);
}

static void NTAPI
no_cancel(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    IoReleaseCancelSpinLock(Irp->CancelIrql);
}

static NTSTATUS NTAPI
completes_cancelable(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    IoSetCancelRoutine(Irp, no_cancel);
    return complete_irp(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI
sends_for_ever(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    IoGetNextIrpStackLocation(Irp)->MajorFunction = IRP_MJ_READ;
    return IoCallDriver(DeviceObject, Irp);
}

static PDRIVER_DISPATCH bad_dispatch;

static void
run_bad_driver(void)
{
    PDRIVER_OBJECT bad = new_driver("clumsy");
    PDEVICE_OBJECT device = new_device(bad, FILE_DEVICE_UNKNOWN, 0, NULL);
    BOOLEAN done;
    PIRP irp = own_irp(&done);

    bad->MajorFunction[IRP_MJ_READ] = bad_dispatch;
    IoCallDriver(device, irp);
}

static void
expect_rule(PDRIVER_DISPATCH dispatch_routine, const char *text)
{
    bad_dispatch = dispatch_routine;
    expect_bugcheck(run_bad_driver, text);
}

static void
R199__broken_rules__stop_the_system_and_name_the_driver(void **state)
{
    (void) state;
    expect_bugcheck(too_deep, "NO_MORE_IRP_STACK_LOCATIONS");
    expect_rule(sends_for_ever,
                "rule irp-no-location: driver \\Driver\\clumsy");
    expect_bugcheck(past_the_top, "rule irp-past-top: ");
    expect_rule(completes_pending,
                "rule irp-complete-pending: driver \\Driver\\clumsy");
    expect_rule(completes_cancelable,
                "rule irp-complete-cancelable: driver \\Driver\\clumsy");
    expect_bugcheck(complete_twice, "rule irp-double-complete: ");
    /* With the address sanitizer it is a use after free, and found as such. */
    expect_bugcheck(free_twice, ADDRESS_SANITIZER ? "use-after-free"
                                                  : "rule irp-double-free: ");
}

static void
too_deep_unlooked_at(void)
{
    io_set_verifier(false);
    too_deep();
}

static void
complete_twice_unlooked_at(void)
{
    io_set_verifier(false);
    complete_twice();
}

/* Not only where drivers are watched. */
static void
R199__beyond_the_last_and_unwound__fatal_in_any_case(void **state)
{
    (void) state;
    expect_bugcheck(too_deep_unlooked_at, "NO_MORE_IRP_STACK_LOCATIONS");
    expect_bugcheck(complete_twice_unlooked_at,
                    "MULTIPLE_IRP_COMPLETE_REQUESTS");
}

/* --- threaded IRPs ------------------------------------------------------- */

#define READ_CODE CTL_CODE(FILE_DEVICE_UNKNOWN, 1, METHOD_BUFFERED, 0)

struct control {
    KEVENT event;
    IO_STATUS_BLOCK iosb;
    ULONG out[4];
};

static PIRP
build_control(struct control *control)
{
    memset(control, 0x55, sizeof *control);
    control->iosb.Status = 0x55555555;
    KeInitializeEvent(&control->event, NotificationEvent, FALSE);
    return IoBuildDeviceIoControlRequest(
        READ_CODE, devices[2], NULL, 0, control->out, sizeof control->out,
        FALSE, &control->event, &control->iosb);
}

static void
R201__thread__null_or_the_current_one(void **state)
{
    LARGE_INTEGER zero = { .QuadPart = 0 };
    struct control control;
    PIRP irp = IoAllocateIrp(1, FALSE);

    (void) state;
    assert_null(irp->Tail.Overlay.Thread);
    irp->Tail.Overlay.Thread = PsGetCurrentThread();
    IoReuseIrp(irp, STATUS_UNSUCCESSFUL);
    assert_null(irp->Tail.Overlay.Thread);
    assert_int_equal(irp->IoStatus.Status, STATUS_UNSUCCESSFUL);
    assert_int_equal(irp->StackCount, 1);
    assert_int_equal(irp->CurrentLocation, 2);
    irp->Tail.Overlay.Thread = PsGetCurrentThread();
    IoFreeIrp(irp);
    irp = IoAllocateIrp(1, FALSE); /* the same memory, perhaps */
    assert_null(irp->Tail.Overlay.Thread);
    IoFreeIrp(irp);

    irp = build_control(&control);
    assert_ptr_equal(irp->Tail.Overlay.Thread, PsGetCurrentThread());
    assert_true(IsListEmpty(&PsGetCurrentThread()->IrpList) == FALSE);
    IoCallDriver(devices[2], irp);
    assert_true(IsListEmpty(&PsGetCurrentThread()->IrpList));

    irp = IoBuildAsynchronousFsdRequest(IRP_MJ_READ, devices[2], NULL, 0, &zero,
                                        NULL);
    assert_ptr_equal(irp->Tail.Overlay.Thread, PsGetCurrentThread());
    IoFreeIrp(irp);
}

static void
async_past_the_top(void)
{
    LARGE_INTEGER zero = { .QuadPart = 0 };
    PIRP irp = IoBuildAsynchronousFsdRequest(IRP_MJ_READ, devices[2], NULL, 0,
                                             &zero, NULL);

    IoCallDriver(devices[2], irp);
}

static void
R202__device_control__freed_by_the_io_manager__asynchronous_not(void **state)
{
    struct control control;
    PIRP irp = build_control(&control);

    (void) state;
    answer_information = 8;
    assert_int_equal(IoCallDriver(devices[2], irp), STATUS_SUCCESS);
    assert_int_equal(control.iosb.Status, STATUS_SUCCESS);
    assert_int_equal(control.iosb.Information, 8);
    assert_int_equal(KeReadStateEvent(&control.event), 1);
    expect_bugcheck(async_past_the_top, "rule irp-past-top: ");
}

/* So many that one that is not freed is seen; and the other kind is its
 * issuer's when it has come back. */
static void
R202__many_device_controls__no_memory_is_left__asynchronous_is_kept(
    void **state)
{
    LARGE_INTEGER zero = { .QuadPart = 0 };
    struct control control;
    uint64_t before = 0;
    BOOLEAN done = 0;
    PIRP irp;

    (void) state;
    invoke = 0; /* what `seen` has room for */
    for (int i = 0; i < 400; i++) {
        if (i == 100)
            before = ke_pool_report(NULL);
        assert_int_equal(IoCallDriver(devices[2], build_control(&control)),
                         STATUS_SUCCESS);
    }
    assert_int_equal(ke_pool_report(NULL), before);

    irp = IoBuildAsynchronousFsdRequest(IRP_MJ_READ, devices[2], NULL, 0, &zero,
                                        NULL);
    IoSetCompletionRoutine(irp, top_routine, &done, TRUE, TRUE, TRUE);
    assert_int_equal(IoCallDriver(devices[2], irp), STATUS_SUCCESS);
    assert_int_equal(done, 1);
    assert_int_equal(irp->Type, IO_TYPE_IRP);
    assert_int_equal(irp->CurrentLocation, irp->StackCount + 1);
    IoFreeIrp(irp);
}

static PDEVICE_OBJECT cancelled_at;

static VOID NTAPI
note_cancel(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    cancelled_at = DeviceObject;
    IoReleaseCancelSpinLock(Irp->CancelIrql);
}

static void
cancel__of_an_irp_that_was_never_sent__has_no_device(void **state)
{
    PIRP irp = IoAllocateIrp(1, FALSE);

    (void) state;
    cancelled_at = devices[0];
    IoSetCancelRoutine(irp, note_cancel);
    assert_true(IoCancelIrp(irp));
    assert_null(cancelled_at);
    assert_true(irp->Cancel);
    IoFreeIrp(irp);
}

static void
asynchronous__past_the_top_unlooked_at__tells_its_issuer(void **state)
{
    LARGE_INTEGER zero = { .QuadPart = 0 };
    IO_STATUS_BLOCK iosb = { .Status = 0x55555555 };
    UCHAR buffer[64];
    PIRP irp;

    (void) state;
    io_set_verifier(false);
    devices[2]->Flags |= DO_DIRECT_IO;
    irp = IoBuildAsynchronousFsdRequest(IRP_MJ_READ, devices[2], buffer,
                                        sizeof buffer, &zero, &iosb);
    devices[2]->Flags &= ~(ULONG) DO_DIRECT_IO;
    pend_low = true;
    assert_int_equal(IoCallDriver(devices[2], irp), STATUS_PENDING);
    assert_int_equal(iosb.Status, 0x55555555);
    complete_irp(held, STATUS_SUCCESS, 123);
    io_set_verifier(true);
    assert_int_equal(iosb.Status, STATUS_SUCCESS);
    assert_int_equal(iosb.Information, 123);
}

static void
R198__buffered__verify_required_copies_nothing__overflow_does(void **state)
{
    struct control control;

    (void) state;
    answer_information = 8;
    answer = STATUS_VERIFY_REQUIRED;
    assert_int_equal(IoCallDriver(devices[2], build_control(&control)),
                     STATUS_VERIFY_REQUIRED);
    assert_int_equal(control.out[0], 0x55555555);
    answer = STATUS_BUFFER_OVERFLOW;
    assert_int_equal(IoCallDriver(devices[2], build_control(&control)),
                     STATUS_BUFFER_OVERFLOW);
    assert_int_equal(control.out[0], 0);
    assert_int_equal(control.out[1], 0);
    assert_int_equal(control.out[2], 0x55555555);
}

static PDRIVER_OBJECT filler;
static PDEVICE_OBJECT filled;

/* Fills the system buffer, whatever it then says. */
static NTSTATUS NTAPI
fill(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    memset(Irp->AssociatedIrp.SystemBuffer, 0xF1, 16);
    if (!pend_low)
        return complete_irp(Irp, answer, answer_information);
    IoMarkIrpPending(Irp);
    held = Irp;
    return STATUS_PENDING;
}

static void
complete_as_said(void *context)
{
    UNREFERENCED_PARAMETER(context);
    complete_irp(held, answer, answer_information);
}

static void
expect_copied(UCHAR major, size_t want)
{
    LARGE_INTEGER zero = { .QuadPart = 0 };
    IO_STATUS_BLOCK iosb;
    UCHAR buffer[16];
    KEVENT event;
    PIRP irp;

    memset(buffer, 0x55, sizeof buffer);
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    if (major == IRP_MJ_READ)
        irp = IoBuildSynchronousFsdRequest(IRP_MJ_READ, filled, buffer,
                                           sizeof buffer, &zero, &event, &iosb);
    else
        irp =
            IoBuildDeviceIoControlRequest(READ_CODE, filled, NULL, 0, buffer,
                                          sizeof buffer, FALSE, &event, &iosb);
    if (IoCallDriver(filled, irp) == STATUS_PENDING) {
        on_other_thread(complete_as_said, NULL);
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    }
    for (size_t i = 0; i < sizeof buffer; i++)
        assert_int_equal(buffer[i], i < want ? 0xF1 : 0x55);
}

/* What the driver has put into the buffer must not be seen, or just so much;
 * of reads and controls, at once and later. */
static void
R198__buffered__full_buffer__copied_by_status(void **state)
{
    static const struct {
        NTSTATUS status;
        size_t want;
    } cases[] = {
        { STATUS_SUCCESS, 8 },         { STATUS_VERIFY_REQUIRED, 0 },
        { STATUS_BUFFER_OVERFLOW, 8 }, { STATUS_IO_DEVICE_ERROR, 0 },
        { STATUS_WRONG_VOLUME, 0 },    { STATUS_NO_MEDIA_IN_DEVICE, 0 },
    };

    (void) state;
    filler = new_driver("filler");
    filler->MajorFunction[IRP_MJ_READ] = fill;
    filler->MajorFunction[IRP_MJ_DEVICE_CONTROL] = fill;
    filled = new_device(filler, FILE_DEVICE_UNKNOWN, 0, NULL);
    filled->Flags |= DO_BUFFERED_IO;
    answer_information = 8;
    for (size_t i = 0; i < 2 * ARRAYSIZE(cases); i++) {
        pend_low = i % 2 != 0;
        answer = cases[i / 2].status;
        expect_copied(IRP_MJ_READ, cases[i / 2].want);
        expect_copied(IRP_MJ_DEVICE_CONTROL, cases[i / 2].want);
    }
    IoDeleteDevice(filled);
    io_unload_driver(filler);
}

static void
error__at_once__leaves_status_block_and_event(void **state)
{
    struct control control;

    (void) state;
    answer = STATUS_IO_DEVICE_ERROR;
    assert_int_equal(IoCallDriver(devices[2], build_control(&control)),
                     STATUS_IO_DEVICE_ERROR);
    assert_int_equal(control.iosb.Status, 0x55555555);
    assert_int_equal(KeReadStateEvent(&control.event), 0);
}

static void
complete_held(void *context)
{
    UNREFERENCED_PARAMETER(context);
    complete_irp(held, STATUS_IO_DEVICE_ERROR, 0);
}

static void
error__pended__is_told_through_status_block_and_event(void **state)
{
    struct control control;

    (void) state;
    pend_low = true;
    assert_int_equal(IoCallDriver(devices[2], build_control(&control)),
                     STATUS_PENDING);
    on_other_thread(complete_held, NULL);
    assert_int_equal(KeWaitForSingleObject(&control.event, Executive,
                                           KernelMode, FALSE, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(control.iosb.Status, STATUS_IO_DEVICE_ERROR);
}

/* --- cancel -------------------------------------------------------------- */

static KIRQL cancel_irql;
static int cancel_calls;
static bool cancel_flag_seen, look_at_lock;
static LONG lock_taken;
static pthread_t lock_taker;

static void *
take_cancel_lock(void *context)
{
    KIRQL irql;

    IoAcquireCancelSpinLock(&irql);
    __atomic_store_n(&lock_taken, 1, __ATOMIC_RELEASE);
    IoReleaseCancelSpinLock(irql);
    return context;
}

static void NTAPI
cancel_held(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    const struct timespec pause = { .tv_nsec = 20000000 };

    assert_ptr_equal(DeviceObject, devices[0]);
    cancel_irql = KeGetCurrentIrql();
    cancel_calls++;
    cancel_flag_seen = Irp->Cancel;
    if (look_at_lock) {
        assert_int_equal(
            pthread_create(&lock_taker, NULL, take_cancel_lock, NULL), 0);
        nanosleep(&pause, NULL);
        assert_int_equal(__atomic_load_n(&lock_taken, __ATOMIC_ACQUIRE), 0);
    }
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    complete_irp(Irp, STATUS_CANCELLED, 0);
}

static void
R200__cancel__sets_the_flag__calls_the_routine_once(void **state)
{
    BOOLEAN done;
    PIRP irp = own_irp(&done);

    (void) state;
    pend_low = true;
    IoCallDriver(devices[2], irp);
    assert_false(IoCancelIrp(irp));
    assert_true(irp->Cancel);
    irp->Cancel = FALSE;

    IoSetCancelRoutine(irp, cancel_held);
    cancel_calls = 0;
    look_at_lock = true;
    assert_true(IoCancelIrp(irp));
    look_at_lock = false;
    pthread_join(lock_taker, NULL);
    assert_int_equal(lock_taken, 1);
    assert_true(cancel_flag_seen);
    assert_int_equal(cancel_calls, 1);
    assert_int_equal(cancel_irql, DISPATCH_LEVEL);
    assert_int_equal(KeGetCurrentIrql(), PASSIVE_LEVEL);
    assert_int_equal(irp->IoStatus.Status, STATUS_CANCELLED);
    assert_int_equal(done, 2);
    assert_false(IoCancelIrp(irp));
    IoFreeIrp(irp);
}

static void
leave_one_behind(void *context)
{
    PIRP irp = build_control(context);

    assert_int_equal(IoCallDriver(devices[2], irp), STATUS_PENDING);
    if (cancel_calls == 0)
        IoSetCancelRoutine(irp, cancel_held);
}

static void
R203__thread_exit__cancels_its_irps(void **state)
{
    struct control control;

    (void) state;
    pend_low = true;
    cancel_calls = 0;
    on_other_thread(leave_one_behind, &control);
    assert_int_equal(cancel_calls, 1);
    assert_int_equal(control.iosb.Status, STATUS_CANCELLED);
}

static void
R203__thread_exit__irp_that_stays_loses_its_thread(void **state)
{
    struct io_error_log_entry entries[1];
    struct control control;

    (void) state;
    pend_low = true;
    cancel_calls = 1;
    io_set_cancel_wait_ms(20);
    on_other_thread(leave_one_behind, &control);
    io_set_cancel_wait_ms(300000);
    assert_true(held->Cancel);
    assert_null(held->Tail.Overlay.Thread);
    assert_int_equal(io_error_log(0, entries, 1), 1);
    assert_int_equal(entries[0].packet.ErrorCode, (NTSTATUS) 0x80040036);
    assert_string_equal(entries[0].driver, "stacked");

    /* Its buffers may be gone: nothing is written, it is just freed. */
    complete_irp(held, STATUS_SUCCESS, 8);
    assert_int_equal(control.iosb.Status, 0x55555555);
    assert_int_equal(control.out[0], 0x55555555);
}

/* --- parts of a transfer ------------------------------------------------- */

static void
R204__master_status__combines(void **state)
{
    static const struct {
        NTSTATUS stored, added, want;
    } cases[] = {
        { STATUS_SUCCESS, STATUS_IO_DEVICE_ERROR, STATUS_IO_DEVICE_ERROR },
        { STATUS_IO_DEVICE_ERROR, STATUS_SUCCESS, STATUS_IO_DEVICE_ERROR },
        { STATUS_BUFFER_OVERFLOW, STATUS_IO_DEVICE_ERROR,
          STATUS_IO_DEVICE_ERROR },
        { STATUS_IO_DEVICE_ERROR, STATUS_BUFFER_OVERFLOW,
          STATUS_IO_DEVICE_ERROR },
        { STATUS_IO_DEVICE_ERROR, STATUS_CRC_ERROR, STATUS_IO_DEVICE_ERROR },
        { STATUS_IO_DEVICE_ERROR, STATUS_VERIFY_REQUIRED,
          STATUS_VERIFY_REQUIRED },
        { STATUS_SUCCESS, STATUS_VERIFY_REQUIRED, STATUS_VERIFY_REQUIRED },
        { STATUS_VERIFY_REQUIRED, STATUS_IO_DEVICE_ERROR,
          STATUS_VERIFY_REQUIRED },
        { STATUS_SUCCESS, STATUS_FT_READ_FROM_COPY, STATUS_SUCCESS },
        { STATUS_IO_DEVICE_ERROR, STATUS_FT_READ_FROM_COPY,
          STATUS_IO_DEVICE_ERROR },
        { STATUS_FT_READ_FROM_COPY, STATUS_SUCCESS, STATUS_FT_READ_FROM_COPY },
        { STATUS_FT_READ_FROM_COPY, STATUS_IO_DEVICE_ERROR,
          STATUS_IO_DEVICE_ERROR },
    };
    /* What may be stored already. */
    static const NTSTATUS stored[] = {
        STATUS_SUCCESS,         STATUS_FT_READ_FROM_COPY,
        STATUS_BUFFER_OVERFLOW, STATUS_DEVICE_BUSY,
        STATUS_IO_DEVICE_ERROR, STATUS_NO_MEDIA_IN_DEVICE,
        STATUS_CANCELLED,       STATUS_WRONG_VOLUME,
        STATUS_VERIFY_REQUIRED, STATUS_DEVICE_DOES_NOT_EXIST,
    };
    IRP irp = { 0 };

    (void) state;
    for (size_t i = 0; i < ARRAYSIZE(cases); i++) {
        irp.IoStatus.Status = cases[i].stored;
        IoSetMasterIrpStatus(&irp, cases[i].added);
        assert_int_equal(irp.IoStatus.Status, cases[i].want);
    }
    for (size_t i = 0; i < ARRAYSIZE(stored); i++) {
        irp.IoStatus.Status = stored[i];
        IoSetMasterIrpStatus(&irp, STATUS_FT_READ_FROM_COPY);
        assert_int_equal(irp.IoStatus.Status, stored[i]);
        IoSetMasterIrpStatus(&irp, STATUS_VERIFY_REQUIRED);
        assert_int_equal(irp.IoStatus.Status, STATUS_VERIFY_REQUIRED);
    }
}

static void
associated_irps__last_one_completes_the_master(void **state)
{
    BOOLEAN done;
    PIRP master = own_irp(&done), parts[2];

    (void) state;
    IoSetNextIrpStackLocation(master);
    master->AssociatedIrp.IrpCount = 2;
    for (int i = 0; i < 2; i++) {
        parts[i] = IoMakeAssociatedIrp(master, 1);
        IoGetNextIrpStackLocation(parts[i])->MajorFunction = IRP_MJ_READ;
    }
    IoCallDriver(devices[0], parts[0]);
    assert_int_equal(done, 0);
    IoCallDriver(devices[0], parts[1]);
    assert_int_equal(done, 1);
    IoFreeIrp(master);
}

static NTSTATUS NTAPI
forward(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PDEVICE_OBJECT below = *(PDEVICE_OBJECT *) DeviceObject->DeviceExtension;
    NTSTATUS status;

    assert_true(IoForwardIrpSynchronously(below, Irp));
    status = Irp->IoStatus.Status;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return status;
}

static void
forward_synchronously__comes_back_to_its_caller(void **state)
{
    PDRIVER_OBJECT other = new_driver("forwarder");
    PDEVICE_OBJECT device =
        new_device(other, FILE_DEVICE_UNKNOWN, sizeof(PDEVICE_OBJECT), NULL);
    BOOLEAN done;
    PIRP irp = IoAllocateIrp(4, FALSE);

    (void) state;
    other->MajorFunction[IRP_MJ_READ] = forward;
    *(PDEVICE_OBJECT *) device->DeviceExtension = devices[2];
    IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_READ;
    IoSetCompletionRoutine(irp, top_routine, &done, TRUE, TRUE, TRUE);
    answer = STATUS_IO_DEVICE_ERROR;
    assert_int_equal(IoCallDriver(device, irp), STATUS_IO_DEVICE_ERROR);
    assert_int_equal(done, 1);
    IoFreeIrp(irp);
    irp = IoAllocateIrp(1, FALSE);
    IoSetNextIrpStackLocation(irp);
    assert_false(IoForwardIrpSynchronously(devices[2], irp));
    IoFreeIrp(irp);
    IoDeleteDevice(device);
    io_unload_driver(other);
}

/* --- memory -------------------------------------------------------------- */

static void
mdl__secondary_and_partial(void **state)
{
    char buffer[10000];
    PIRP irp = IoAllocateIrp(1, FALSE);
    PMDL first = IoAllocateMdl(buffer, sizeof buffer, FALSE, FALSE, irp);
    PMDL second = IoAllocateMdl(buffer, 10, TRUE, FALSE, irp);
    PMDL part = IoAllocateMdl(buffer + 5000, 100, FALSE, FALSE, NULL);

    (void) state;
    assert_ptr_equal(irp->MdlAddress, first);
    assert_ptr_equal(first->Next, second);
    MmBuildMdlForNonPagedPool(first);
    assert_ptr_equal(MmGetSystemAddressForMdlSafe(first, NormalPagePriority),
                     buffer);
    assert_int_equal(MmGetMdlByteCount(first), sizeof buffer);
    IoBuildPartialMdl(first, part, buffer + 5000, 100);
    assert_ptr_equal(MmGetMdlVirtualAddress(part), buffer + 5000);
    assert_int_equal(MmGetMdlByteCount(part), 100);
    IoFreeMdl(part);
    IoFreeMdl(second);
    IoFreeMdl(first);
    IoFreeIrp(irp);
}

static void
direct_io__mdl_is_locked_and_freed(void **state)
{
    char buffer[512] = "";
    LARGE_INTEGER offset = { .QuadPart = 4096 };
    IO_STATUS_BLOCK iosb;
    KEVENT event;
    PIRP irp;

    (void) state;
    devices[2]->Flags |= DO_DIRECT_IO;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    irp = IoBuildSynchronousFsdRequest(IRP_MJ_READ, devices[2], buffer,
                                       sizeof buffer, &offset, &event, &iosb);
    devices[2]->Flags &= ~(ULONG) DO_DIRECT_IO;
    assert_non_null(irp->MdlAddress);
    assert_true(irp->MdlAddress->MdlFlags & MDL_PAGES_LOCKED);
    assert_int_equal(
        IoGetNextIrpStackLocation(irp)->Parameters.Read.ByteOffset.QuadPart,
        4096);
    assert_int_equal(IoCallDriver(devices[2], irp), STATUS_SUCCESS);
}

static void
allocation_failure__null(void **state)
{
    struct control control;

    (void) state;
    fault_set("irp", 1, false);
    assert_null(IoAllocateIrp(1, FALSE));
    fault_set("mdl", 1, false);
    assert_null(IoAllocateMdl(&control, 1, FALSE, FALSE, NULL));
    fault_set("irp", 1, false);
    assert_null(build_control(&control));
    fault_clear();
    assert_null(IoAllocateIrp(0, FALSE));
}

static void
irp__many_locations__work(void **state)
{
    PIRP irp = IoAllocateIrp(20, FALSE);

    (void) state;
    assert_int_equal(irp->StackCount, 20);
    assert_int_equal(irp->Size, IoSizeOfIrp(20));
    IoFreeIrp(irp);
}

static void
free_all(void *context)
{
    PIRP *irps = context;

    for (int i = 0; i < 100; i++)
        IoFreeIrp(irps[i]);
}

static void
caches__freed_on_another_thread__no_allocation_after_warm_up(void **state)
{
    static PIRP irps[100];
    uint64_t before = 0;

    (void) state;
    for (int round = 0; round < 20; round++) {
        if (round == 2)
            before = io_allocation_count();
        for (int i = 0; i < 100; i++)
            irps[i] = IoAllocateIrp(3, FALSE);
        on_other_thread(free_all, irps);
    }
    /* With the address sanitizer there is no cache. */
    if (!ADDRESS_SANITIZER)
        assert_int_equal(io_allocation_count(), before);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup(name, each)
        T(R194__routine__more_processing__unwinding_stops_and_resumes),
        T(R195__routines__selected_by_status_and_cancel),
        T(R196__pending_returned__equals_the_bit_below),
        T(R196__pending_returned__not_below__not_seen),
        T(R197__pending_bit__propagates_only_without_a_routine),
        T(completion__locations_below__are_cleared_and_error_is_noted),
        T(R199__broken_rules__stop_the_system_and_name_the_driver),
        T(R199__beyond_the_last_and_unwound__fatal_in_any_case),
        T(R201__thread__null_or_the_current_one),
        T(R202__device_control__freed_by_the_io_manager__asynchronous_not),
        T(cancel__of_an_irp_that_was_never_sent__has_no_device),
        T(R202__many_device_controls__no_memory_is_left__asynchronous_is_kept),
        T(asynchronous__past_the_top_unlooked_at__tells_its_issuer),
        T(R198__buffered__verify_required_copies_nothing__overflow_does),
        T(R198__buffered__full_buffer__copied_by_status),
        T(error__at_once__leaves_status_block_and_event),
        T(error__pended__is_told_through_status_block_and_event),
        T(R200__cancel__sets_the_flag__calls_the_routine_once),
        T(R203__thread_exit__cancels_its_irps),
        T(R203__thread_exit__irp_that_stays_loses_its_thread),
        T(R204__master_status__combines),
        T(associated_irps__last_one_completes_the_master),
        T(forward_synchronously__comes_back_to_its_caller),
        T(mdl__secondary_and_partial),
        T(direct_io__mdl_is_locked_and_freed),
        T(allocation_failure__null),
        T(irp__many_locations__work),
        T(caches__freed_on_another_thread__no_allocation_after_warm_up),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
