/*
 * t_dialog.c - the dialog's rules: texts and inserts, options and responses,
 * the error mode, notices
 *
 * Through ExRaiseHardError and IoRaiseInformationalHardError of the real I/O
 * manager.  Expectations: their documentation pages, [MS-ERREF] 2.3.1, and the
 * sources named in tests/conformance/rules.txt.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ntifs.h>

#include "base/fault.h"
#include "io/io.h"
#include "ke/ke.h"
#include "prompt/prompt.h"

#include "../rest.h"

static struct {
    LONG failed;
    NTSTATUS failed_with;
    enum prompt_event last;
    const char *tape; /* what it is called, when it is about one */
} world;

static VPB vpb = { .SerialNumber = 0x1234ABCD };
static DEVICE_OBJECT drive;

static void
describe(void *context, PVPB which, PDEVICE_OBJECT real, char *out_volume,
         char *out_drive)
{
    (void) context;
    (void) which;
    (void) real;
    strcpy(out_volume, "ARCHIVE-A");
    strcpy(out_drive, "left");
}

static BOOLEAN
tape(void *context, PVPB which, char *out_subject)
{
    (void) context;
    (void) which;
    if (world.tape != NULL)
        strcpy(out_subject, world.tape);
    return world.tape != NULL;
}

static BOOLEAN
needed(void *context, PVPB which, NTSTATUS status)
{
    (void) context;
    (void) which;
    (void) status;
    return TRUE;
}

static BOOLEAN
try_again(void *context, PVPB which)
{
    (void) context;
    (void) which;
    return FALSE;
}

static void
retry_irp(PIRP irp)
{
    IoFreeIrp(irp);
}

static void
fail_irp(PIRP irp, NTSTATUS status)
{
    world.failed_with = status;
    InterlockedIncrement(&world.failed);
    IoFreeIrp(irp);
}

static void
event(void *context, enum prompt_event what,
      const struct ri_prompt_info *prompt)
{
    (void) context;
    (void) prompt;
    __atomic_store_n(&world.last, what, __ATOMIC_RELEASE);
}

static int
before(void **state)
{
    const struct prompt_host host = {
        .describe = describe,
        .tape = tape,
        .needed = needed,
        .try_again = try_again,
        .retry = retry_irp,
        .fail = fail_irp,
        .event = event,
    };
    const struct io_harderr_port port = { .raise = prompt_raise,
                                          .inform = prompt_inform,
                                          .ask = prompt_ask };

    (void) state;
    memset(&world, 0, sizeof world);
    prompt_init(&host, 0, RI_NO_OPERATOR_WAIT);
    io_set_harderr_port(&port);
    return 0;
}

static int
after(void **state)
{
    (void) state;
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
    rest(); /* who raised may still be telling of it */
    io_set_harderr_port(NULL);
    return 0;
}

static size_t
open_prompts(struct ri_prompt_info *out_first)
{
    struct ri_prompt_info *list;
    size_t n;

    assert_int_equal(prompt_list(&list, &n), 0);
    if (n > 0 && out_first != NULL)
        *out_first = list[0];
    free(list);
    return n;
}

static struct ri_prompt_info
the_prompt(void)
{
    struct ri_prompt_info info = { 0 };

    for (int i = 0; i < 600000 && open_prompts(&info) != 1; i++)
        usleep(100);
    assert_int_equal(open_prompts(&info), 1);
    return info;
}

static void
raise_irp(NTSTATUS status)
{
    PIRP irp = IoAllocateIrp(1, FALSE);

    IoSetNextIrpStackLocation(irp);
    assert_int_equal(prompt_raise(NULL, irp, &vpb, &drive, status), 0);
}

/* --- the ten rows ------------------------------------------------------------------ */

/* What the dialog of a request has to convey: by [MS-ERREF], the drive always,
 * the label (and serial number) of the volume where a volume is asked for. */
static void
texts__of_requests__title_volume_serial_drive_and_advice(void **state)
{
    static const struct {
        NTSTATUS status;
        const char *title, *advice;
    } rows[] = {
        { STATUS_WRONG_VOLUME, "Wrong volume", "put the right one" },
        { STATUS_NO_MEDIA_IN_DEVICE, "No medium", "Put it into" },
        { STATUS_UNRECOGNIZED_MEDIA, "Unknown medium", "Check the medium" },
        { STATUS_MEDIA_WRITE_PROTECTED, "Write protected",
          "remove the protection" },
        { STATUS_DEVICE_NOT_READY, "Drive not ready", "door is closed" },
        { STATUS_DEVICE_NOT_READY, "Drive not ready", "does not answer" },
        { STATUS_IO_TIMEOUT, "No answer", "Check the drive" },
        { STATUS_VERIFY_REQUIRED, "Not verified", "put it back" },
    };
    struct ri_prompt_info info;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        raise_irp(rows[i].status);
        info = the_prompt();
        assert_string_equal(info.title, rows[i].title);
        assert_non_null(strstr(info.text, "ARCHIVE-A"));
        assert_non_null(strstr(info.text, "1234-ABCD"));
        assert_non_null(strstr(info.text, "left"));
        assert_non_null(strstr(info.text, rows[i].advice));
        prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
    }
}

/* A tape is no volume; it is needed in a drive, where it may never have been. */
static void
texts__of_tapes__tape_drive_and_advice(void **state)
{
    static const struct {
        NTSTATUS status;
        const char *title, *begin, *advice;
    } rows[] = {
        { STATUS_WRONG_VOLUME, "Wrong tape",
          "Tape LTO001L6 is needed in drive left, and another", "right one" },
        { STATUS_NO_MEDIA_IN_DEVICE, "No tape",
          "Tape LTO001L6 is needed in drive left, which is empty", "Put it" },
        { STATUS_UNRECOGNIZED_MEDIA, "Unknown tape",
          "Tape LTO001L6 is needed in drive left", "Check the tape" },
        { STATUS_MEDIA_WRITE_PROTECTED, "Write protected",
          "Tape LTO001L6 is to be written", "remove the protection" },
        { STATUS_DEVICE_NOT_READY, "Drive not ready",
          "Tape LTO001L6 is needed in drive left", "door is closed" },
        { STATUS_IO_TIMEOUT, "No answer",
          "Tape LTO001L6 is needed in drive left", "Check the drive" },
        { STATUS_VERIFY_REQUIRED, "Not verified",
          "Tape LTO001L6 is needed in drive left", "put it back" },
        { (NTSTATUS) 0xC0001234, "Unknown Hard Error", "Tape LTO001L6",
          "Check the drive" },
    };
    struct ri_prompt_info info;

    (void) state;
    world.tape = "tape LTO001L6";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        raise_irp(rows[i].status);
        info = the_prompt();
        assert_string_equal(info.title, rows[i].title);
        assert_ptr_equal(strstr(info.text, rows[i].begin), info.text);
        assert_non_null(strstr(info.text, rows[i].advice));
        assert_null(strstr(info.text, "olume"));
        assert_null(strstr(info.text, "1234-ABCD"));
        assert_true(info.tape);
        prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
    }
}

static void
texts__of_what_became_of_it__a_tape_is_no_volume(void **state)
{
    char text[RI_TEXT_MAX];
    struct ri_prompt_info info;

    (void) state;
    raise_irp(STATUS_NO_MEDIA_IN_DEVICE);
    info = the_prompt();
    assert_false(info.tape);
    prompt_event_text(PROMPT_ARRIVED, &info, text);
    assert_non_null(strstr(text, "volume ARCHIVE-A is back"));
    prompt_event_text(PROMPT_DROPPED, &info, text);
    assert_non_null(strstr(text, "volume ARCHIVE-A is not waited for"));
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
    world.tape = "a blank tape";
    raise_irp(STATUS_NO_MEDIA_IN_DEVICE);
    info = the_prompt();
    assert_ptr_equal(strstr(info.text, "A blank tape is needed"), info.text);
    for (int i = PROMPT_STILL; i <= PROMPT_TAKEN; i++) {
        prompt_event_text((enum prompt_event) i, &info, text);
        assert_non_null(strstr(text, ": a blank tape "));
        assert_null(strstr(text, "olume"));
        assert_null(strstr(text, "requests go"));
    }
    prompt_event_text(PROMPT_ASKED, &info, text);
    assert_non_null(strstr(text, info.text));
}

#define TEXT(name, text)                                                       \
    static WCHAR name##_text[] = text;                                         \
    static UNICODE_STRING name = { sizeof name##_text - 2, sizeof name##_text, \
                                   name##_text }

TEXT(file_name, L"\\letters\\may.txt");
TEXT(drive_name, L"A:");
TEXT(label_name, L"BACKUP");

static void
texts__of_notices__the_insert_is_the_string(void **state)
{
    static const struct {
        NTSTATUS status;
        BOOLEAN insert;
        const char *title;
    } rows[] = {
        { STATUS_FILE_CORRUPT_ERROR, TRUE, "Damaged file" },
        { STATUS_DISK_CORRUPT_ERROR, FALSE, "Damaged file system" },
        { STATUS_LOST_WRITEBEHIND_DATA, TRUE, "Data lost" },
    };
    struct ri_prompt_info info;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(
            IoRaiseInformationalHardError(rows[i].status, &file_name, NULL));
        info = the_prompt();
        assert_string_equal(info.title, rows[i].title);
        assert_int_equal(strstr(info.text, "may.txt") != NULL, rows[i].insert);
        assert_int_equal(info.waiting, 0);
        assert_int_equal(prompt_answer(info.id, RI_CANCEL), 0);
        assert_int_equal(open_prompts(NULL), 0);
    }
}

static void
R188__unknown_status__unknown_hard_error(void **state)
{
    struct ri_prompt_info info;

    (void) state;
    assert_true(
        IoRaiseInformationalHardError((NTSTATUS) 0xC0001234, &file_name, NULL));
    info = the_prompt();
    assert_string_equal(info.title, "Unknown Hard Error");
    /* Whatever the string says. */
    assert_null(strstr(info.text, "may.txt"));
    prompt_answer(info.id, RI_RETRY);
    raise_irp((NTSTATUS) 0xC0001234);
    assert_string_equal(the_prompt().title, "Unknown Hard Error");
}

/* Equal: the status and the string, to the letter; and the thread's mode. */
static void
R187__informational__equal_to_the_letter__disabled_or_not(void **state)
{
    UNICODE_STRING may = RTL_CONSTANT_STRING(L"\\letters\\May.txt");

    (void) state;
    assert_true(IoRaiseInformationalHardError(STATUS_FILE_CORRUPT_ERROR,
                                              &file_name, NULL));
    assert_true(
        IoRaiseInformationalHardError(STATUS_FILE_CORRUPT_ERROR, &may, NULL));
    assert_false(
        IoRaiseInformationalHardError(STATUS_FILE_CORRUPT_ERROR, &may, NULL));
    assert_int_equal(open_prompts(NULL), 2);
    IoSetThreadHardErrorMode(FALSE);
    assert_false(IoRaiseInformationalHardError(STATUS_DISK_CORRUPT_ERROR, NULL,
                                               KeGetCurrentThread()));
    IoSetThreadHardErrorMode(TRUE);
    assert_int_equal(open_prompts(NULL), 2);
    assert_true(IoRaiseInformationalHardError(STATUS_DISK_CORRUPT_ERROR, NULL,
                                              KeGetCurrentThread()));
    assert_int_equal(open_prompts(NULL), 3);
}

static void
R187__informational__equal_one_pending_or_queue_full__false(void **state)
{
    WCHAR number[2] = L"0";
    UNICODE_STRING text = { 2, 2, number };
    int taken = 0;

    (void) state;
    assert_true(IoRaiseInformationalHardError(STATUS_FILE_CORRUPT_ERROR,
                                              &file_name, NULL));
    assert_false(IoRaiseInformationalHardError(STATUS_FILE_CORRUPT_ERROR,
                                               &file_name, NULL));
    assert_true(IoRaiseInformationalHardError(STATUS_LOST_WRITEBEHIND_DATA,
                                              &file_name, NULL));
    for (int i = 0; i < 100; i++) {
        number[0] = (WCHAR) (L'!' + i % 90);
        taken += IoRaiseInformationalHardError(STATUS_FILE_CORRUPT_ERROR, &text,
                                               NULL);
    }
    assert_int_equal(taken, PROMPT_NOTICES_MAX - 2);
    /* Nor one that is like no other. */
    assert_false(
        IoRaiseInformationalHardError(STATUS_DISK_CORRUPT_ERROR, NULL, NULL));
    /* Acknowledged: there is room again. */
    prompt_fail_all(STATUS_SUCCESS);
    assert_true(IoRaiseInformationalHardError(STATUS_FILE_CORRUPT_ERROR,
                                              &file_name, NULL));
}

/* --- options and responses ------------------------------------------------------------- */

struct question {
    ULONG option, response;
    NTSTATUS status;
};

static void *
ask(void *context)
{
    struct question *question = context;
    ULONG_PTR inserts[] = { (ULONG_PTR) &drive_name, (ULONG_PTR) &label_name };

    question->response = 99;
    question->status = ExRaiseHardError(STATUS_WRONG_VOLUME, 2, 3, inserts,
                                        question->option, &question->response);
    return NULL;
}

static ULONG
response_to(ULONG option, enum ri_answer answer)
{
    struct question question = { .option = option };
    struct ri_prompt_info info;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, ask, &question), 0);
    info = the_prompt();
    /* %1 is the drive, %2 the label. */
    assert_string_equal(info.drive, "A:");
    assert_string_equal(info.volume, "BACKUP");
    assert_int_equal(info.waiting, 1);
    assert_int_equal(prompt_answer(info.id, answer), 0);
    pthread_join(thread, NULL);
    assert_int_equal(question.status, STATUS_SUCCESS);
    return question.response;
}

static void
options__each__its_affirmative_and_its_negative_response(void **state)
{
    static const struct {
        ULONG option, yes, no;
    } rows[] = {
        { OptionAbortRetryIgnore, ResponseRetry, ResponseAbort },
        { OptionOk, ResponseOk, ResponseOk },
        { OptionOkCancel, ResponseOk, ResponseCancel },
        { OptionRetryCancel, ResponseRetry, ResponseCancel },
        { OptionYesNo, ResponseYes, ResponseNo },
        { OptionYesNoCancel, ResponseYes, ResponseCancel },
        { OptionCancelTryContinue, ResponseTryAgain, ResponseCancel },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(response_to(rows[i].option, RI_RETRY), rows[i].yes);
        assert_int_equal(response_to(rows[i].option, RI_CANCEL), rows[i].no);
    }
}

/* --- a request's question, from the raise to the completion ---------------- */

static struct {
    LONG done;
    IO_STATUS_BLOCK result;
    LONG dispatched;
} request;

static PDRIVER_OBJECT fsd_driver;
static PDEVICE_OBJECT fsd;
static BOOLEAN suppress, no_memory;

/* The operator says so, and it is. */
static BOOLEAN
there(void *context, PVPB which)
{
    (void) context;
    (void) which;
    return TRUE;
}

static NTSTATUS NTAPI
request_done(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Context);
    request.result = Irp->IoStatus;
    __atomic_store_n(&request.done, 1, __ATOMIC_RELEASE);
    IoFreeIrp(Irp);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS NTAPI
fsd_read(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    LONG nth = InterlockedIncrement(&request.dispatched);

    UNREFERENCED_PARAMETER(DeviceObject);
    IoMarkIrpPending(Irp);
    Irp->IoStatus.Information = 512;
    if (nth == 3) {
        Irp->IoStatus.Status = STATUS_SUCCESS;
        IoCompleteRequest(Irp, IO_NO_INCREMENT);
        return STATUS_PENDING;
    }
    Irp->IoStatus.Status = STATUS_WRONG_VOLUME;
    IoRaiseHardError(Irp, &vpb, &drive);
    return STATUS_PENDING;
}

static NTSTATUS NTAPI
fsd_entry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->MajorFunction[IRP_MJ_READ] = fsd_read;
    return STATUS_SUCCESS;
}

/* With the I/O manager's ways of going on. */
static void
send_read(void)
{
    const struct prompt_host host = {
        .describe = describe,
        .tape = tape,
        .needed = needed,
        .try_again = there,
        .retry = io_harderr_retry,
        .fail = io_harderr_fail,
        .event = event,
    };
    PIRP irp = IoAllocateIrp(1, FALSE);

    memset(&request, 0, sizeof request);
    prompt_init(&host, 0, RI_NO_OPERATOR_WAIT);
    prompt_set_error_mode(suppress);
    irp->Tail.Overlay.Thread = PsGetCurrentThread();
    IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_READ;
    IoSetCompletionRoutine(irp, request_done, NULL, TRUE, TRUE, TRUE);
    if (no_memory)
        fault_set("pool", 1, false);
    assert_int_equal(IoCallDriver(fsd, irp), STATUS_PENDING);
}

static void
expect_failed(void)
{
    assert_int_equal(__atomic_load_n(&request.done, __ATOMIC_ACQUIRE), 1);
    assert_int_equal(request.result.Status, STATUS_WRONG_VOLUME);
    assert_int_equal(request.result.Information, 0);
    assert_int_equal(request.dispatched, 1);
    assert_int_equal(open_prompts(NULL), 0);
}

static int
with_fsd(void **state)
{
    assert_int_equal(io_load_driver("fsd", fsd_entry, &fsd_driver),
                     STATUS_SUCCESS);
    assert_int_equal(IoCreateDevice(fsd_driver, 0, NULL,
                                    FILE_DEVICE_DISK_FILE_SYSTEM, 0, FALSE,
                                    &fsd),
                     STATUS_SUCCESS);
    fsd->Flags &= ~(ULONG) DO_DEVICE_INITIALIZING;
    return before(state);
}

static int
without_fsd(void **state)
{
    after(state);
    IoDeleteDevice(fsd);
    io_unload_driver(fsd_driver);
    return 0;
}

/* A request's dialog has Retry and Cancel.  What comes instead of Retry: Cancel;
 * Ok, when questions are suppressed; NotHandled, when it cannot be asked. */
static void
R182__any_answer_but_retry__original_status_and_no_information(void **state)
{
    (void) state;
    send_read();
    assert_int_equal(prompt_answer(the_prompt().id, RI_CANCEL), 0);
    expect_failed();

    suppress = TRUE;
    send_read();
    suppress = FALSE;
    expect_failed();

    no_memory = TRUE;
    send_read();
    no_memory = FALSE;
    assert_int_equal(fault_failed("pool"), 1);
    fault_clear();
    expect_failed();
}

/* Retry, twice refused by the file system, and what it says at last. */
static void
R181_R183__answer_retry__dispatched_again_as_often_as_it_fails(void **state)
{
    (void) state;
    send_read();
    for (LONG nth = 1; nth < 3; nth++) {
        assert_int_equal(request.dispatched, nth);
        assert_int_equal(the_prompt().status, (uint32_t) STATUS_WRONG_VOLUME);
        assert_int_equal(prompt_answer(the_prompt().id, RI_RETRY), 0);
        for (int i = 0; i < 600000 && __atomic_load_n(&request.dispatched,
                                                      __ATOMIC_ACQUIRE) == nth;
             i++)
            usleep(100);
    }
    for (int i = 0;
         i < 600000 && !__atomic_load_n(&request.done, __ATOMIC_ACQUIRE); i++)
        usleep(100);
    assert_int_equal(request.result.Status, STATUS_SUCCESS);
    assert_int_equal(request.result.Information, 512);
    assert_int_equal(open_prompts(NULL), 0);
}

static void
options__unknown__not_handled(void **state)
{
    ULONG response = 99;

    (void) state;
    assert_int_equal(prompt_ask(NULL, STATUS_WRONG_VOLUME,
                                OptionCancelTryContinue + 1, &response, 0, 0,
                                NULL),
                     STATUS_SUCCESS);
    assert_int_equal(response, ResponseNotHandled);
    assert_int_equal(open_prompts(NULL), 0);
}

static void
R192__suppressed__answers_ok__which_is_no_retry(void **state)
{
    ULONG response = 99;

    (void) state;
    prompt_set_error_mode(TRUE);
    for (ULONG option = 0; option <= OptionCancelTryContinue; option++) {
        if (option == OptionShutdownSystem)
            continue;
        assert_int_equal(ExRaiseHardError(STATUS_NO_MEDIA_IN_DEVICE, 0, 0, NULL,
                                          option, &response),
                         STATUS_SUCCESS);
        assert_int_equal(response, ResponseOk);
        assert_int_not_equal(response, ResponseRetry);
    }
    /* A request's question has Retry and Cancel: Ok is a failure. */
    raise_irp(STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(world.failed, 1);
    assert_int_equal(world.failed_with, STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(world.last, PROMPT_SUPPRESSED);
    assert_int_equal(open_prompts(NULL), 0);
    assert_false(IoRaiseInformationalHardError(STATUS_FILE_CORRUPT_ERROR,
                                               &file_name, NULL));
}

static void
R193__ok_no_wait__returns_immediately(void **state)
{
    ULONG_PTR insert = (ULONG_PTR) &file_name;
    ULONG response = 99;

    (void) state;
    assert_int_equal(ExRaiseHardError(STATUS_FILE_CORRUPT_ERROR, 1, 1, &insert,
                                      OptionOkNoWait, &response),
                     STATUS_SUCCESS);
    assert_int_equal(response, ResponseOk);
    /* It is shown all the same, and nobody waits for it. */
    assert_non_null(strstr(the_prompt().text, "may.txt"));
    assert_int_equal(the_prompt().waiting, 0);
}

static void
shutdown__question_open__return_to_caller(void **state)
{
    struct question question = { .option = OptionRetryCancel };
    pthread_t thread;

    (void) state;
    assert_int_equal(pthread_create(&thread, NULL, ask, &question), 0);
    the_prompt();
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
    pthread_join(thread, NULL);
    assert_int_equal(question.response, ResponseReturnToCaller);
}

/* Nobody answers any more: who comes late must not wait for it. */
static void
shutdown__asked_afterwards__nobody_waits(void **state)
{
    struct question question = { .option = OptionRetryCancel };

    (void) state;
    prompt_shutdown();
    raise_irp(STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(world.failed, 1);
    assert_int_equal(world.failed_with, STATUS_SYSTEM_SHUTDOWN);
    ask(&question);
    assert_int_equal(question.response, ResponseReturnToCaller);
    assert_false(prompt_inform(NULL, STATUS_DISK_CORRUPT_ERROR, NULL, NULL));
    assert_int_equal(open_prompts(NULL), 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, before, after)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(shutdown__asked_afterwards__nobody_waits),
        T(texts__of_requests__title_volume_serial_drive_and_advice),
        T(texts__of_tapes__tape_drive_and_advice),
        T(texts__of_what_became_of_it__a_tape_is_no_volume),
        T(texts__of_notices__the_insert_is_the_string),
        T(R188__unknown_status__unknown_hard_error),
        T(R187__informational__equal_to_the_letter__disabled_or_not),
        T(R187__informational__equal_one_pending_or_queue_full__false),
        T(options__each__its_affirmative_and_its_negative_response),
        cmocka_unit_test_setup_teardown(
            R182__any_answer_but_retry__original_status_and_no_information,
            with_fsd, without_fsd),
        cmocka_unit_test_setup_teardown(
            R181_R183__answer_retry__dispatched_again_as_often_as_it_fails,
            with_fsd, without_fsd),
        T(options__unknown__not_handled),
        T(R192__suppressed__answers_ok__which_is_no_retry),
        T(R193__ok_no_wait__returns_immediately),
        T(shutdown__question_open__return_to_caller),
    };

    if (!NT_SUCCESS(io_init()))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
