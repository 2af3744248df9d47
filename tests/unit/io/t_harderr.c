/*
 * Tests for src/io/harderr.c; expectations from the WDK, not status.def.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include <string.h>

#include "base/fault.h"
#include "ke/thread.h"
#include "ob/ob.h"

static PDRIVER_OBJECT driver;
static PDEVICE_OBJECT fsd; /* raises a hard error for every request */
static PDEVICE_OBJECT drive;

/* --- 8.1 ----------------------------------------------------------------- */

static const struct {
    NTSTATUS status;
    BOOLEAN want;
} documented[] = {
    { STATUS_MEDIA_WRITE_PROTECTED, TRUE },
    { STATUS_DEVICE_NOT_READY, TRUE },
    { STATUS_NO_MEDIA_IN_DEVICE, TRUE },
    { STATUS_VERIFY_REQUIRED, TRUE },
    { STATUS_UNRECOGNIZED_MEDIA, TRUE },
    { STATUS_WRONG_VOLUME, TRUE },
    { STATUS_IO_TIMEOUT, TRUE },
    { STATUS_SUCCESS, FALSE },
    { (NTSTATUS) 0x00000102, FALSE },
    { STATUS_PENDING, FALSE },
    { STATUS_DEVICE_BUSY, FALSE },
    { STATUS_MEDIA_CHANGED, FALSE },
    { STATUS_NO_SUCH_DEVICE, FALSE },
    { STATUS_NO_MEDIA, FALSE },
    { STATUS_DEVICE_NOT_CONNECTED, FALSE },
    { STATUS_IO_DEVICE_ERROR, FALSE },
    { STATUS_UNRECOGNIZED_VOLUME, FALSE },
    { (NTSTATUS) 0xFFFFFFFF, FALSE },
};

static void
R1_R2__user_induced__exactly_the_documented_seven(void **state)
{
    KIRQL irql;

    (void) state;
    for (size_t i = 0; i < ARRAYSIZE(documented); i++)
        assert_int_equal(IoIsErrorUserInduced(documented[i].status),
                         documented[i].want);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    assert_true(IoIsErrorUserInduced(STATUS_WRONG_VOLUME));
    KeLowerIrql(irql);
}

/* All codes of the system's facility, of all severities, and as a customer's:
 * seven of them are user-induced. */
static void
R2__user_induced__no_other_code_of_the_system(void **state)
{
    static const ULONG seven[] = { 0xC00000A3, 0xC00000B5, 0xC00000A2,
                                   0xC0000013, 0x80000016, 0xC0000014,
                                   0xC0000012 };
    unsigned found = 0;

    (void) state;
    for (size_t i = 0; i < ARRAYSIZE(seven); i++)
        assert_true(IoIsErrorUserInduced((NTSTATUS) seven[i]));
    for (ULONG head = 0; head < 8; head++)
        for (ULONG code = 0; code < 0x1000; code++)
            found += IoIsErrorUserInduced((NTSTATUS) (head << 29 | code));
    assert_int_equal(found, ARRAYSIZE(seven));
}

static void
R4_R5__set_hard_error__records_the_device_and_nothing_else(void **state)
{
    struct _ETHREAD thread = { 0 };
    struct ob_head *head = ob_head_of(drive);
    PIRP irp = IoAllocateIrp(1, FALSE);
    struct ob_head head_before = *head;
    DEVICE_OBJECT before = *drive;
    VPB vpb_before = *drive->Vpb;
    IRP irp_before;

    (void) state;
    IoSetNextIrpStackLocation(irp);
    irp->Tail.Overlay.Thread = &thread;
    irp->IoStatus.Status = STATUS_WRONG_VOLUME;
    irp->IoStatus.Information = 5;
    irp_before = *irp;
    IoSetHardErrorOrVerifyDevice(irp, drive);
    assert_ptr_equal(IoGetDeviceToVerify(&thread), drive);
    assert_memory_equal(drive, &before, sizeof before);
    assert_memory_equal(drive->Vpb, &vpb_before, sizeof vpb_before);
    assert_memory_equal(head, &head_before, sizeof head_before);
    assert_memory_equal(irp, &irp_before, sizeof irp_before);
    /* It marks who completes it with what: as promised. */
    irp->Tail.Overlay.Thread = NULL;
    IoFreeIrp(irp);
}

static void
set_at_dispatch(void *context)
{
    KIRQL irql;

    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    IoSetHardErrorOrVerifyDevice(context, drive);
    KeLowerIrql(irql);
    /* Of the IRP's thread, not of the one that says it. */
    assert_null(IoGetDeviceToVerify(PsGetCurrentThread()));
}

/* Has its own, whatever the other one has. */
static void
set_own(void *other)
{
    assert_null(IoGetDeviceToVerify(PsGetCurrentThread()));
    IoSetDeviceToVerify(PsGetCurrentThread(), fsd);
    assert_ptr_equal(IoGetDeviceToVerify(PsGetCurrentThread()), fsd);
    assert_ptr_equal(IoGetDeviceToVerify(other), drive);
    IoSetDeviceToVerify(PsGetCurrentThread(), NULL);
    assert_ptr_equal(IoGetDeviceToVerify(other), drive);
}

static void
R6_R14__set_hard_error__writes_the_slot_of_the_irps_thread(void **state)
{
    PETHREAD here = PsGetCurrentThread();
    struct _ETHREAD other = { 0 };
    IRP irp = { .Tail.Overlay.Thread = here };

    (void) state;
    on_other_thread(set_at_dispatch, &irp);
    assert_ptr_equal(IoGetDeviceToVerify(here), drive);
    assert_null(IoGetDeviceToVerify(&other));
    on_other_thread(set_own, here);
    assert_ptr_equal(IoGetDeviceToVerify(here), drive);
    IoSetDeviceToVerify(here, NULL);
}

static void
R7_R12_R13__slot__last_writer_wins__get_keeps__null_empties(void **state)
{
    struct _ETHREAD thread = { 0 };
    DEVICE_OBJECT first = { 0 }, second = { 0 };
    IRP irp = { .Tail.Overlay.Thread = &thread };

    (void) state;
    IoSetHardErrorOrVerifyDevice(&irp, &first);
    IoSetHardErrorOrVerifyDevice(&irp, &second);
    assert_ptr_equal(IoGetDeviceToVerify(&thread), &second);
    assert_ptr_equal(IoGetDeviceToVerify(&thread), &second);
    IoSetDeviceToVerify(&thread, NULL);
    assert_null(IoGetDeviceToVerify(&thread));
}

static void
set_hard_error__no_thread__dropped_and_counted(void **state)
{
    uint64_t before = io_dropped_hard_errors();
    IRP irp = { 0 };

    (void) state;
    io_set_verifier(false); /* it breaks a rule */
    IoSetHardErrorOrVerifyDevice(&irp, drive);
    io_set_verifier(true);
    assert_int_equal(io_dropped_hard_errors(), before + 1);
}

/* --- the port ------------------------------------------------------------ */

static struct port_log {
    int raised, informed, asked;
    bool marked; /* pending, when it was raised */
    PIRP irp;
    PVPB vpb;
    PDEVICE_OBJECT real;
    NTSTATUS status;
    ULONG options, count, mask;
} port_log;

static NTSTATUS raise_result, ask_result;
static ULONG ask_answer;
static BOOLEAN inform_result;

static NTSTATUS
port_raise(void *ctx, PIRP irp, PVPB vpb, PDEVICE_OBJECT real, NTSTATUS status)
{
    assert_ptr_equal(ctx, &port_log);
    port_log.raised++;
    port_log.marked =
        (IoGetCurrentIrpStackLocation(irp)->Control & SL_PENDING_RETURNED) != 0;
    port_log.irp = irp;
    port_log.vpb = vpb;
    port_log.real = real;
    port_log.status = status;
    return raise_result;
}

static BOOLEAN
port_inform(void *ctx, NTSTATUS status, PCUNICODE_STRING text, PETHREAD thread)
{
    assert_ptr_equal(ctx, &port_log);
    (void) text;
    (void) thread;
    port_log.informed++;
    port_log.status = status;
    return inform_result;
}

static NTSTATUS
port_ask(void *ctx, NTSTATUS status, ULONG options, ULONG *out_response,
         ULONG count, ULONG string_mask, const ULONG_PTR *parameters)
{
    assert_ptr_equal(ctx, &port_log);
    (void) parameters;
    port_log.asked++;
    port_log.status = status;
    port_log.options = options;
    port_log.count = count;
    port_log.mask = string_mask;
    *out_response = ask_answer;
    return ask_result;
}

static const struct io_harderr_port port = { port_raise, port_inform, port_ask,
                                             &port_log };

/* --- a file system that raises ------------------------------------------- */

static NTSTATUS fail_with; /* STATUS_SUCCESS: completes */
static int dispatches;
static IO_STACK_LOCATION first_location;
static CHAR first_current;
static PIRP first_irp;
static VPB wanted_vpb;

static NTSTATUS NTAPI
fsd_dispatch(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);

    assert_ptr_equal(DeviceObject, fsd);
    if (dispatches++ == 0) {
        first_location = *location;
        first_irp = Irp;
        first_current = Irp->CurrentLocation;
    } else {
        /* R181: as it was, but for the mark of the first time. */
        assert_int_equal(Irp->CurrentLocation, first_current);
        assert_true(location->Control & SL_PENDING_RETURNED);
        assert_int_equal(Irp->IoStatus.Status, STATUS_SUCCESS);
        assert_int_equal(Irp->IoStatus.Information, 0);
        assert_ptr_equal(Irp, first_irp);
        location->Control &= (UCHAR) ~SL_PENDING_RETURNED;
        assert_memory_equal(location, &first_location, sizeof first_location);
        location->Control |= SL_PENDING_RETURNED;
    }
    IoMarkIrpPending(Irp);
    Irp->IoStatus.Status = fail_with;
    Irp->IoStatus.Information = 99;
    if (NT_SUCCESS(fail_with))
        IoCompleteRequest(Irp, IO_NO_INCREMENT);
    else
        IoRaiseHardError(Irp, &wanted_vpb, drive);
    return STATUS_PENDING;
}

struct request {
    PIRP irp;
    bool done;
    IO_STATUS_BLOCK result;
};

static NTSTATUS NTAPI
request_done(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    struct request *request = Context;

    UNREFERENCED_PARAMETER(DeviceObject);
    assert_false(request->done);
    request->done = true;
    request->result = Irp->IoStatus;
    assert_true(Irp->PendingReturned);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static void
send_for(struct request *request, PETHREAD thread)
{
    PIO_STACK_LOCATION next;

    memset(request, 0, sizeof *request);
    dispatches = 0;
    request->irp = IoAllocateIrp(1, FALSE);
    request->irp->Tail.Overlay.Thread = thread;
    next = IoGetNextIrpStackLocation(request->irp);
    next->MajorFunction = IRP_MJ_READ;
    next->Parameters.Read.Length = 4096;
    next->Parameters.Read.ByteOffset.QuadPart = 8192;
    IoSetCompletionRoutine(request->irp, request_done, request, TRUE, TRUE,
                           TRUE);
    assert_int_equal(IoCallDriver(fsd, request->irp), STATUS_PENDING);
}

static void
send(struct request *request)
{
    send_for(request, PsGetCurrentThread());
}

static void
expect_result(struct request *request, NTSTATUS status, ULONG_PTR information)
{
    assert_true(request->done);
    assert_int_equal(request->result.Status, status);
    assert_int_equal(request->result.Information, information);
    IoFreeIrp(request->irp);
}

static int
each(void **state)
{
    (void) state;
    memset(&port_log, 0, sizeof port_log);
    raise_result = ask_result = STATUS_SUCCESS;
    ask_answer = ResponseRetry;
    inform_result = TRUE;
    fail_with = STATUS_WRONG_VOLUME;
    dispatches = 0;
    io_set_harderr_port(&port);
    return 0;
}

/* --- 8.11 ---------------------------------------------------------------- */

static void
R177__hard_errors_disabled__no_question__own_status(void **state)
{
    struct request request;

    (void) state;
    IoSetThreadHardErrorMode(FALSE);
    send(&request);
    IoSetThreadHardErrorMode(TRUE);
    assert_int_equal(port_log.raised, 0);
    expect_result(&request, STATUS_WRONG_VOLUME, 0);
}

struct owner {
    struct request request;
    PETHREAD thread; /* of the IRP; NULL: a new one, with them disabled */
};

static void
disabled_raises(void *context)
{
    struct owner *owner = context;

    assert_true(IoSetThreadHardErrorMode(FALSE));
    send_for(&owner->request, owner->thread);
}

/* A worker sends it again, say, for the thread that has brought it. */
static void
disable_and_lend(void *context)
{
    struct owner *owner = context;

    if (owner->thread == NULL) {
        assert_true(IoSetThreadHardErrorMode(FALSE));
        owner->thread = PsGetCurrentThread();
        on_other_thread(disable_and_lend, owner);
        return;
    }
    send_for(&owner->request, owner->thread);
}

static void
R177__disabled__of_the_irps_thread_not_of_the_one_that_raises(void **state)
{
    struct owner owner = { .thread = NULL };
    struct owner other = { .thread = PsGetCurrentThread() };

    (void) state;
    /* Disabled for the IRP's thread; another one raises. */
    on_other_thread(disable_and_lend, &owner);
    assert_int_equal(port_log.raised, 0);
    expect_result(&owner.request, STATUS_WRONG_VOLUME, 0);
    /* Disabled for the one that raises only: the user is asked. */
    assert_true(IoSetThreadHardErrorMode(TRUE));
    on_other_thread(disabled_raises, &other);
    assert_int_equal(port_log.raised, 1);
    assert_false(other.request.done);
    io_harderr_fail(other.request.irp, STATUS_WRONG_VOLUME);
    expect_result(&other.request, STATUS_WRONG_VOLUME, 0);
}

/* 2.5: the mode of the process counts as that of the thread does. */
static void
R177__process_suppresses__no_question__own_status(void **state)
{
    struct request request;

    (void) state;
    io_set_error_mode(true);
    send(&request);
    io_set_error_mode(false);
    assert_int_equal(port_log.raised, 0);
    expect_result(&request, STATUS_WRONG_VOLUME, 0);
}

static void
raise__no_port_or_port_refuses__own_status(void **state)
{
    struct request request;

    (void) state;
    raise_result = STATUS_INSUFFICIENT_RESOURCES;
    send(&request);
    assert_int_equal(port_log.raised, 1);
    expect_result(&request, STATUS_WRONG_VOLUME, 0);

    io_set_harderr_port(NULL);
    send(&request);
    expect_result(&request, STATUS_WRONG_VOLUME, 0);
}

static void
set_mode_elsewhere(void *context)
{
    (void) context;
    assert_true(IoSetThreadHardErrorMode(FALSE));
}

static void
R178_R179__thread_mode__previous_value__own_thread_only(void **state)
{
    (void) state;
    assert_true(IoSetThreadHardErrorMode(FALSE));
    assert_false(IoSetThreadHardErrorMode(FALSE));
    assert_false(IoSetThreadHardErrorMode(TRUE));
    assert_true(IoSetThreadHardErrorMode(TRUE));
    on_other_thread(set_mode_elsewhere, NULL);
    assert_true(IoSetThreadHardErrorMode(TRUE));
    /* Nor does what is set here count there. */
    assert_true(IoSetThreadHardErrorMode(FALSE));
    on_other_thread(set_mode_elsewhere, NULL);
    assert_false(IoSetThreadHardErrorMode(TRUE));
}

static void
R181_R183__retry__same_irp_same_location__as_often_as_it_fails(void **state)
{
    struct request request;

    (void) state;
    send(&request);
    assert_int_equal(port_log.raised, 1);
    assert_ptr_equal(port_log.irp, request.irp);
    assert_ptr_equal(port_log.vpb, &wanted_vpb);
    assert_ptr_equal(port_log.real, drive);
    assert_int_equal(port_log.status, STATUS_WRONG_VOLUME);
    assert_false(request.done);
    for (int i = 2; i <= 1000; i++) {
        io_harderr_retry(request.irp);
        assert_int_equal(dispatches, i);
        assert_int_equal(port_log.raised, i);
    }
    fail_with = STATUS_SUCCESS;
    io_harderr_retry(request.irp);
    expect_result(&request, STATUS_SUCCESS, 99);
}

/* The IRP may be over before the file system's dispatch routine is. */
static void
R180__raise__marked_before_and_pending_returned(void **state)
{
    struct request request;

    (void) state;
    fail_with = STATUS_NO_MEDIA_IN_DEVICE;
    send(&request); /* returned STATUS_PENDING, or the test has failed */
    assert_int_equal(port_log.raised, 1);
    assert_true(port_log.marked);
    assert_false(request.done);
    io_harderr_fail(request.irp, STATUS_NO_MEDIA_IN_DEVICE);
    expect_result(&request, STATUS_NO_MEDIA_IN_DEVICE, 0);
}

/* Of every status that is asked about. */
static void
R182__answer_cancel__original_status_and_no_information(void **state)
{
    struct request request;

    (void) state;
    for (size_t i = 0; i < ARRAYSIZE(documented); i++) {
        fail_with = documented[i].status;
        if (!documented[i].want || fail_with == STATUS_VERIFY_REQUIRED)
            continue;
        send(&request);
        assert_int_equal(port_log.status, fail_with);
        io_harderr_fail(request.irp, port_log.status);
        assert_int_equal(dispatches, 1);
        expect_result(&request, fail_with, 0);
    }
}

static void
retry__cancelled_meanwhile__status_cancelled(void **state)
{
    struct request request;

    (void) state;
    send(&request);
    assert_false(IoCancelIrp(request.irp));
    io_harderr_retry(request.irp);
    assert_int_equal(dispatches, 1);
    expect_result(&request, STATUS_CANCELLED, 0);
}

static void
R185__verify_required__never_a_question(void **state)
{
    struct request request;

    (void) state;
    fail_with = STATUS_VERIFY_REQUIRED;
    send(&request);
    assert_int_equal(port_log.raised, 0);
    expect_result(&request, STATUS_VERIFY_REQUIRED, 0);
}

static void
R187__informational__disabled_or_refused__false(void **state)
{
    (void) state;
    assert_true(
        IoRaiseInformationalHardError(STATUS_FILE_CORRUPT_ERROR, NULL, NULL));
    inform_result = FALSE;
    assert_false(
        IoRaiseInformationalHardError(STATUS_FILE_CORRUPT_ERROR, NULL, NULL));
    assert_int_equal(port_log.informed, 2);
    IoSetThreadHardErrorMode(FALSE);
    assert_false(IoRaiseInformationalHardError(STATUS_FILE_CORRUPT_ERROR, NULL,
                                               KeGetCurrentThread()));
    IoSetThreadHardErrorMode(TRUE);
    assert_int_equal(port_log.informed, 2);
    io_set_harderr_port(NULL);
    assert_false(
        IoRaiseInformationalHardError(STATUS_FILE_CORRUPT_ERROR, NULL, NULL));
}

/* Of the system's own threads, and of a status that has a message. */
static void
informational__system_thread_and_defined_status__logged(void **state)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\a.txt");
    struct io_error_log_entry entry;
    uint64_t before;

    (void) state;
    assert_true(IoRaiseInformationalHardError(STATUS_LOST_WRITEBEHIND_DATA,
                                              &name, NULL));
    assert_int_equal(io_error_log(0, &entry, 1), 1);
    assert_string_equal(entry.driver, "Application Popup");
    assert_string_equal(entry.text,
                        "Data that were to be written are lost: \\a.txt");
    assert_int_equal(entry.packet.ErrorCode, STATUS_LOST_WRITEBEHIND_DATA);
    before = entry.seq;
    /* No status that anybody defined. */
    assert_true(
        IoRaiseInformationalHardError((NTSTATUS) 0xC1234567, &name, NULL));
    /* A thread of a program. */
    assert_false(PsIsSystemThread(PsGetCurrentThread()));
    assert_true(IoRaiseInformationalHardError(STATUS_FILE_CORRUPT_ERROR, NULL,
                                              KeGetCurrentThread()));
    assert_int_equal(io_error_log(before, &entry, 1), 0);
}

/* Anywhere, and without a trace. */
static void
R3__user_induced__pure_at_dispatch_and_above(void **state)
{
    static const KIRQL levels[] = { PASSIVE_LEVEL, APC_LEVEL, DISPATCH_LEVEL,
                                    HIGH_LEVEL };
    uint64_t dropped = io_dropped_hard_errors();
    KIRQL irql;

    (void) state;
    IoSetDeviceToVerify(PsGetCurrentThread(), drive);
    for (size_t i = 0; i < ARRAYSIZE(levels); i++) {
        KeRaiseIrql(levels[i], &irql);
        assert_true(IoIsErrorUserInduced(STATUS_VERIFY_REQUIRED));
        assert_false(IoIsErrorUserInduced(STATUS_IO_DEVICE_ERROR));
        assert_int_equal(KeGetCurrentIrql(), levels[i]);
        KeLowerIrql(irql);
    }
    assert_ptr_equal(IoGetDeviceToVerify(PsGetCurrentThread()), drive);
    IoSetDeviceToVerify(PsGetCurrentThread(), NULL);
    assert_int_equal(io_dropped_hard_errors(), dropped);
    assert_int_equal(port_log.raised + port_log.informed + port_log.asked, 0);
}

static void
R189__ex_raise__bad_parameters(void **state)
{
    ULONG_PTR parameters[6] = { 0 };
    ULONG response = 77;

    (void) state;
    assert_int_equal(ExRaiseHardError(STATUS_WRONG_VOLUME, 6, 0, parameters,
                                      OptionRetryCancel, &response),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ExRaiseHardError(STATUS_WRONG_VOLUME, 0, 0, parameters,
                                      OptionRetryCancel, &response),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ExRaiseHardError(STATUS_WRONG_VOLUME, 0, 0, NULL,
                                      OptionShutdownSystem, &response),
                     STATUS_PRIVILEGE_NOT_HELD);
    assert_int_equal(ExRaiseHardError(STATUS_WRONG_VOLUME, 0xFFFFFFFF, 0,
                                      parameters, OptionRetryCancel, &response),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(response, 77);
    assert_int_equal(port_log.asked, 0);
    assert_int_equal(ExRaiseHardError(STATUS_WRONG_VOLUME, 5, 2, parameters,
                                      OptionRetryCancel, &response),
                     STATUS_SUCCESS);
    assert_int_equal(response, ResponseRetry);
    assert_int_equal(port_log.count, 5);
    assert_int_equal(port_log.mask, 2);
    assert_int_equal(port_log.options, OptionRetryCancel);
}

static void
R190__ex_raise__nobody_to_ask__return_to_caller(void **state)
{
    ULONG response = 77;

    (void) state;
    io_set_harderr_port(NULL);
    assert_int_equal(ExRaiseHardError(STATUS_WRONG_VOLUME, 0, 0, NULL,
                                      OptionRetryCancel, &response),
                     STATUS_SUCCESS);
    assert_int_equal(response, ResponseReturnToCaller);
}

static void
ex_raise__disabled_for_the_thread__return_to_caller(void **state)
{
    ULONG response = 77;

    (void) state;
    IoSetThreadHardErrorMode(FALSE);
    assert_int_equal(ExRaiseHardError(STATUS_WRONG_VOLUME, 0, 0, NULL,
                                      OptionRetryCancel, &response),
                     STATUS_SUCCESS);
    IoSetThreadHardErrorMode(TRUE);
    assert_int_equal(response, ResponseReturnToCaller);
    assert_int_equal(port_log.asked, 0);
}

static void
R191__ex_raise__override_bit__asks_although_suppressed__stripped(void **state)
{
    ULONG response = 77;

    (void) state;
    io_set_error_mode(true);
    assert_int_equal(ExRaiseHardError(STATUS_WRONG_VOLUME, 0, 0, NULL,
                                      OptionRetryCancel, &response),
                     STATUS_SUCCESS);
    assert_int_equal(port_log.asked, 0);
    assert_int_equal(response, ResponseReturnToCaller);
    assert_int_equal(
        ExRaiseHardError(STATUS_WRONG_VOLUME | HARDERROR_OVERRIDE_ERRORMODE, 0,
                         0, NULL, OptionRetryCancel, &response),
        STATUS_SUCCESS);
    io_set_error_mode(false);
    assert_int_equal(port_log.asked, 1);
    assert_int_equal(port_log.status, STATUS_WRONG_VOLUME);
    assert_int_equal(response, ResponseRetry);
}

static void
ex_raise__answer_out_of_range_or_failed(void **state)
{
    ULONG response = 77;

    (void) state;
    ask_answer = 11;
    assert_int_equal(
        ExRaiseHardError(STATUS_WRONG_VOLUME, 0, 0, NULL, OptionOk, &response),
        STATUS_SUCCESS);
    assert_int_equal(response, ResponseReturnToCaller);
    ask_result = STATUS_UNSUCCESSFUL;
    assert_int_equal(
        ExRaiseHardError(STATUS_WRONG_VOLUME, 0, 0, NULL, OptionOk, &response),
        STATUS_UNSUCCESSFUL);
}

static int
setup(void **state)
{
    io_setup(state);
    driver = new_driver("fsd");
    driver->MajorFunction[IRP_MJ_READ] = fsd_dispatch;
    fsd = new_device(driver, FILE_DEVICE_DISK_FILE_SYSTEM, 0, NULL);
    drive = new_device(driver, FILE_DEVICE_DISK, 0, NULL);
    return 0;
}

static int
teardown(void **state)
{
    io_set_harderr_port(NULL);
    IoDeleteDevice(fsd);
    IoDeleteDevice(drive);
    io_unload_driver(driver);
    return io_teardown(state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup(name, each)
        T(R1_R2__user_induced__exactly_the_documented_seven),
        T(R2__user_induced__no_other_code_of_the_system),
        T(R4_R5__set_hard_error__records_the_device_and_nothing_else),
        T(R6_R14__set_hard_error__writes_the_slot_of_the_irps_thread),
        T(R7_R12_R13__slot__last_writer_wins__get_keeps__null_empties),
        T(set_hard_error__no_thread__dropped_and_counted),
        T(R177__hard_errors_disabled__no_question__own_status),
        T(R177__disabled__of_the_irps_thread_not_of_the_one_that_raises),
        T(R177__process_suppresses__no_question__own_status),
        T(raise__no_port_or_port_refuses__own_status),
        T(R178_R179__thread_mode__previous_value__own_thread_only),
        T(R181_R183__retry__same_irp_same_location__as_often_as_it_fails),
        T(R180__raise__marked_before_and_pending_returned),
        T(R182__answer_cancel__original_status_and_no_information),
        T(retry__cancelled_meanwhile__status_cancelled),
        T(R185__verify_required__never_a_question),
        T(R187__informational__disabled_or_refused__false),
        T(informational__system_thread_and_defined_status__logged),
        T(R3__user_induced__pure_at_dispatch_and_above),
        T(R189__ex_raise__bad_parameters),
        T(R190__ex_raise__nobody_to_ask__return_to_caller),
        T(ex_raise__disabled_for_the_thread__return_to_caller),
        T(R191__ex_raise__override_bit__asks_although_suppressed__stripped),
        T(ex_raise__answer_out_of_range_or_failed),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
