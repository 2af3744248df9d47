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

#include "io/io.h"
#include "ke/ke.h"
#include "prompt/prompt.h"

static struct {
    LONG failed;
    NTSTATUS failed_with;
    enum prompt_event last;
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

    for (int i = 0; i < 50000 && open_prompts(&info) != 1; i++)
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

static void
R182__any_answer_but_retry__request_fails_with_its_status(void **state)
{
    (void) state;
    for (ULONG answer = 0; answer <= ResponseContinue; answer++) {
        if (answer == RI_RETRY)
            continue;
        prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
        before(NULL);
        raise_irp(STATUS_WRONG_VOLUME);
        assert_int_equal(
            prompt_answer(the_prompt().id, (enum ri_answer) answer), 0);
        assert_int_equal(world.failed, 1);
        assert_int_equal(world.failed_with, STATUS_WRONG_VOLUME);
    }
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

#define T(test) cmocka_unit_test_setup_teardown(test, before, after)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(texts__of_requests__title_volume_serial_drive_and_advice),
        T(texts__of_notices__the_insert_is_the_string),
        T(R188__unknown_status__unknown_hard_error),
        T(R187__informational__equal_one_pending_or_queue_full__false),
        T(options__each__its_affirmative_and_its_negative_response),
        T(R182__any_answer_but_retry__request_fails_with_its_status),
        T(options__unknown__not_handled),
        T(R192__suppressed__answers_ok__which_is_no_retry),
        T(R193__ok_no_wait__returns_immediately),
        T(shutdown__question_open__return_to_caller),
    };

    if (!NT_SUCCESS(io_init()))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
