/*
 * t_prompt.c - the broker: one question per volume and reason
 *
 * The host below stands for the file system: it keeps what was retried and
 * what failed.  IRPs are bare records; the broker only links them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "io/io.h"
#include "ke/ke.h"
#include "prompt/prompt.h"

static struct {
    BOOLEAN needed, back;
    LONG retried, failed;
    NTSTATUS failed_with;
    LONG asked, ended;
    LONG given_up, failed_before; /* how many requests had failed by then */
    BOOLEAN changed;
    int use;
    BOOLEAN robot;         /* it brings it */
    BOOLEAN robot_changes; /* ... and says otherwise the next time */
    const char *says;
    LONG taken;
    enum prompt_event last;
} world;

static VPB vpb_a, vpb_b;
static DEVICE_OBJECT right;
static DEVICE_OBJECT drive;

static void
describe(void *context, PVPB vpb, PDEVICE_OBJECT real, char *out_volume,
         char *out_drive)
{
    (void) context;
    strcpy(out_volume, vpb == &vpb_a ? "ARCHIVE-A" : "ARCHIVE-B");
    strcpy(out_drive, real == &right ? "right" : "left");
}

static BOOLEAN
needed(void *context, PVPB vpb, NTSTATUS status)
{
    (void) context;
    (void) vpb;
    (void) status;
    return world.needed;
}

static BOOLEAN
try_again(void *context, PVPB vpb)
{
    (void) context;
    if (world.back)
        prompt_arrived(vpb);
    return world.back;
}

static void
retry(PIRP irp)
{
    InterlockedIncrement(&world.retried);
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
    world.last = what;
    if (what == PROMPT_ASKED)
        world.asked++;
    else if (what == PROMPT_TAKEN)
        world.taken++;
    else if (what >= PROMPT_RETRIED)
        world.ended++;
}

static BOOLEAN
changed(void *context, PVPB vpb)
{
    (void) context;
    (void) vpb;
    return world.changed;
}

static int
use(void *context, PVPB vpb)
{
    (void) context;
    if (world.use != 0)
        return world.use;
    /* As the file system's observer does it. */
    world.changed = world.needed = FALSE;
    prompt_arrived(vpb);
    return 0;
}

static void
cancelled(void *context, PVPB vpb, NTSTATUS status)
{
    (void) context;
    (void) vpb;
    (void) status;
    world.failed_before = world.failed;
    __atomic_add_fetch(&world.given_up, 1, __ATOMIC_RELEASE);
}

static BOOLEAN
robot(void *context, PVPB vpb, NTSTATUS status)
{
    BOOLEAN works = world.robot && vpb == &vpb_a;

    (void) context;
    (void) status;
    if (world.robot_changes)
        world.robot = world.robot_changes = FALSE;
    if (vpb == &vpb_a)
        prompt_robot(vpb, world.robot);
    return works;
}

static void
robot_says(void *context, PVPB vpb, char *out_text)
{
    (void) context;
    if (vpb == &vpb_a && world.says != NULL)
        snprintf(out_text, RI_TEXT_MAX, "%s", world.says);
}

static int
set_up(unsigned timeout_s)
{
    const struct prompt_host host = {
        .describe = describe,
        .needed = needed,
        .try_again = try_again,
        .changed = changed,
        .use = use,
        .cancelled = cancelled,
        .robot = robot,
        .robot_says = robot_says,
        .retry = retry,
        .fail = fail_irp,
        .event = event,
    };

    memset(&world, 0, sizeof world);
    world.needed = TRUE;
    prompt_init(&host, timeout_s, RI_NO_OPERATOR_CANCEL);
    return 0;
}

static int
before(void **state)
{
    (void) state;
    return set_up(0);
}

static PIRP
wait_for(PVPB vpb, NTSTATUS status)
{
    PIRP irp = IoAllocateIrp(1, FALSE);

    assert_non_null(irp);
    /* As a file system has it that raises a hard error: in its location. */
    IoSetNextIrpStackLocation(irp);
    assert_int_equal(prompt_raise(NULL, irp, vpb, &drive, status),
                     STATUS_SUCCESS);
    return irp;
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

static void
wait_until(LONG *counter, LONG want)
{
    for (int i = 0; i < 2000; i++) {
        if (__atomic_load_n(counter, __ATOMIC_ACQUIRE) == want)
            return;
        ke_shutdown(); /* runs what is queued */
    }
    fail_msg("%d instead of %d", (int) *counter, (int) want);
}

static void
many_requests__one_prompt__that_counts_them(void **state)
{
    struct ri_prompt_info info = { 0 };

    (void) state;
    for (int i = 0; i < 64; i++)
        wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(open_prompts(&info), 1);
    assert_int_equal(info.waiting, 64);
    assert_int_equal(world.asked, 1);
    assert_string_equal(info.reason, "STATUS_NO_MEDIA_IN_DEVICE");
    assert_non_null(strstr(info.text, "ARCHIVE-A"));
    assert_non_null(strstr(info.text, "left"));
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
    assert_int_equal(world.failed, 64);
}

static void
another_medium_comes__same_prompt__another_reason(void **state)
{
    struct ri_prompt_info info = { 0 }, then = { 0 };

    (void) state;
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    open_prompts(&info);
    prompt_reason(&vpb_a, STATUS_WRONG_VOLUME);
    wait_for(&vpb_a, STATUS_WRONG_VOLUME);
    assert_int_equal(open_prompts(&then), 1);
    assert_true(then.id == info.id);
    assert_string_equal(then.reason, "STATUS_WRONG_VOLUME");
    assert_int_equal(then.waiting, 2);
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
}

static void
changed_elsewhere_in_another_drive__the_prompt_names_that_drive(void **state)
{
    struct ri_prompt_info info = { 0 }, then = { 0 };

    (void) state;
    wait_for(&vpb_a, STATUS_FILE_INVALID);
    open_prompts(&info);
    vpb_a.RealDevice = &right;
    prompt_reason(&vpb_a, STATUS_FILE_INVALID);
    vpb_a.RealDevice = NULL;
    assert_int_equal(open_prompts(&then), 1);
    assert_true(then.id == info.id);
    assert_string_equal(info.drive, "left");
    assert_string_equal(then.drive, "right");
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
}

/* One true question: it is not protected, or silent, but away. */
static void
goes_away__asked_about_its_tab_or_answer__those_requests_go_on(void **state)
{
    static const NTSTATUS each[] = { STATUS_MEDIA_WRITE_PROTECTED,
                                     STATUS_IO_TIMEOUT };
    struct ri_prompt_info info = { 0 };

    (void) state;
    wait_for(&vpb_b, STATUS_MEDIA_WRITE_PROTECTED);
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    for (LONG i = 0; i < 2; i++) {
        wait_for(&vpb_a, each[i]);
        assert_int_equal(open_prompts(NULL), 3);
        prompt_reason(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
        assert_int_equal(world.last, PROMPT_DROPPED);
        wait_until(&world.retried, i + 1);
        assert_int_equal(open_prompts(&info), 2);
    }
    assert_int_equal(world.failed, 0);
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
    assert_int_equal(world.failed, 2);
}

static void
two_volumes__two_prompts__answered_apart(void **state)
{
    struct ri_prompt_info info = { 0 };

    (void) state;
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    wait_for(&vpb_b, STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(open_prompts(&info), 2);
    assert_int_equal(prompt_answer(info.id, RI_CANCEL), 0);
    assert_int_equal(world.failed, 1);
    assert_int_equal(world.failed_with, STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(open_prompts(NULL), 1);
    assert_int_equal(prompt_answer(info.id, RI_CANCEL), -ENOENT);
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
}

static void
cancel__what_follows_at_once__gets_the_same_answer(void **state)
{
    struct ri_prompt_info info = { 0 };

    (void) state;
    clock_manual(true);
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    open_prompts(&info);
    prompt_answer(info.id, RI_CANCEL);
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(world.failed, 2);
    assert_int_equal(open_prompts(NULL), 0);
    /* Another volume is another question. */
    wait_for(&vpb_b, STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(open_prompts(NULL), 1);
    clock_advance_ms(5000);
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(open_prompts(NULL), 2);
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
    clock_manual(false);
}

static void
R186__wrong_volume__names_the_one_that_is_wanted(void **state)
{
    struct ri_prompt_info info = { 0 };

    (void) state;
    wait_for(&vpb_b, STATUS_WRONG_VOLUME);
    open_prompts(&info);
    assert_string_equal(info.volume, "ARCHIVE-B");
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
}

/* Whatever the text that came with it. */
static void
R188__unknown_status__shown_as_unknown_hard_error(void **state)
{
    UNICODE_STRING text = RTL_CONSTANT_STRING(L"something else");
    struct ri_prompt_info info = { 0 };

    (void) state;
    assert_true(prompt_inform(NULL, (NTSTATUS) 0xC1234567, &text, NULL));
    assert_int_equal(open_prompts(&info), 1);
    assert_non_null(strstr(info.title, "Unknown Hard Error"));
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
}

static void
arrival__ends_the_prompt__requests_go_on(void **state)
{
    (void) state;
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    prompt_arrived(&vpb_a);
    assert_int_equal(open_prompts(NULL), 0);
    wait_until(&world.retried, 2);
    assert_int_equal(world.failed, 0);
}

static void
arrival_before_the_question__nothing_is_left_behind(void **state)
{
    (void) state;
    world.needed = FALSE;
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(open_prompts(NULL), 0);
    wait_until(&world.retried, 1);
}

static void
retry_with_nothing_there__prompt_and_requests_stay(void **state)
{
    struct ri_prompt_info info = { 0 }, then = { 0 };

    (void) state;
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    open_prompts(&info);
    assert_int_equal(prompt_answer(info.id, RI_RETRY), 0);
    assert_int_equal(open_prompts(&then), 1);
    assert_true(then.id == info.id);
    assert_int_equal(world.last, PROMPT_STILL);
    world.back = TRUE;
    assert_int_equal(prompt_answer(info.id, RI_RETRY), 0);
    assert_int_equal(open_prompts(NULL), 0);
    wait_until(&world.retried, 1);
}

static void
client_gone__its_request_leaves__the_last_one_takes_the_prompt(void **state)
{
    PIRP first, second;

    (void) state;
    first = wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    second = wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    assert_true(IoCancelIrp(first));
    assert_int_equal(world.failed, 1);
    assert_int_equal(world.failed_with, STATUS_CANCELLED);
    assert_int_equal(open_prompts(NULL), 1);
    assert_true(IoCancelIrp(second));
    assert_int_equal(world.failed, 2);
    assert_int_equal(open_prompts(NULL), 0);
    assert_int_equal(world.last, PROMPT_DROPPED);
}

static void
nobody_answers__policy_cancel__requests_fail(void **state)
{
    (void) state;
    clock_manual(true);
    set_up(30);
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    clock_advance_ms(29000);
    assert_int_equal(open_prompts(NULL), 1);
    clock_advance_ms(2000);
    wait_until(&world.failed, 1);
    assert_int_equal(open_prompts(NULL), 0);
    assert_int_equal(world.last, PROMPT_TIMED_OUT);
    wait_until(&world.given_up, 1);
    clock_manual(false);
}

static void
cancel__requests_fail__then_what_was_not_flushed_is_given_up(void **state)
{
    struct ri_prompt_info info = { 0 };

    (void) state;
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    open_prompts(&info);
    assert_string_equal(info.answers, "retry|cancel");
    assert_ptr_equal(prompt_vpb(info.id), &vpb_a);
    assert_int_equal(prompt_answer(info.id, RI_CANCEL), 0);
    assert_int_equal(world.given_up, 1);
    assert_int_equal(world.failed_before, 2);
    assert_null(prompt_vpb(info.id));
}

static void
end_of_service__is_no_cancel(void **state)
{
    (void) state;
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
    assert_int_equal(world.failed, 1);
    assert_int_equal(world.given_up, 0);
}

static void
changed_elsewhere__asked_as_such_whatever_the_status(void **state)
{
    struct ri_prompt_info info = { 0 };

    (void) state;
    world.changed = TRUE;
    wait_for(&vpb_a, STATUS_WRONG_VOLUME);
    assert_int_equal(open_prompts(&info), 1);
    assert_string_equal(info.title, "Changed elsewhere");
    assert_string_equal(info.answers, "use|retry|cancel");
    assert_non_null(strstr(info.text, "written to elsewhere"));
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
}

static void
absent_then_changed_elsewhere__same_prompt__its_answers_too(void **state)
{
    struct ri_prompt_info info = { 0 }, then = { 0 };

    (void) state;
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    open_prompts(&info);
    prompt_reason(&vpb_a, STATUS_FILE_INVALID);
    assert_int_equal(open_prompts(&then), 1);
    assert_true(then.id == info.id);
    assert_string_equal(then.answers, "use|retry|cancel");
    prompt_reason(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    open_prompts(&then);
    assert_string_equal(then.answers, "retry|cancel");
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
}

static void
use__of_a_volume_that_is_away__is_no_answer(void **state)
{
    struct ri_prompt_info info = { 0 };

    (void) state;
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    open_prompts(&info);
    assert_int_equal(prompt_answer(info.id, RI_USE), -EINVAL);
    assert_int_equal(prompt_answer(info.id + 1, RI_USE), -ENOENT);
    assert_int_equal(open_prompts(NULL), 1);
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
}

static void
use__ends_the_prompt__once_it_could_be_done(void **state)
{
    struct ri_prompt_info info = { 0 };

    (void) state;
    world.changed = TRUE;
    wait_for(&vpb_a, STATUS_WRONG_VOLUME);
    open_prompts(&info);
    world.use = -ENOSPC;
    assert_int_equal(prompt_answer(info.id, RI_USE), -ENOSPC);
    assert_int_equal(open_prompts(NULL), 1);
    assert_int_equal(world.retried + world.failed, 0);
    world.use = 0;
    assert_int_equal(prompt_answer(info.id, RI_USE), 0);
    assert_int_equal(open_prompts(NULL), 0);
    assert_int_equal(world.last, PROMPT_USED);
    wait_until(&world.retried, 1);
    assert_int_equal(world.given_up, 0);
}

/* --- robots ----------------------------------------------------------------- */

static void
robot__brings_it__nobody_is_asked(void **state)
{
    (void) state;
    world.robot = TRUE;
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    wait_for(&vpb_a, STATUS_WRONG_VOLUME);
    assert_int_equal(open_prompts(NULL), 0);
    assert_int_equal(world.asked, 0);
    assert_int_equal(prompt_waiting(&vpb_a), 2);
    world.needed = FALSE;
    prompt_arrived(&vpb_a);
    wait_until(&world.retried, 2);
    assert_int_equal(world.asked, 0);
    assert_int_equal(world.ended, 0);
}

static void
robot__does_not_know_the_volume__asked_as_ever(void **state)
{
    struct ri_prompt_info info = { 0 };

    (void) state;
    world.robot = TRUE;
    wait_for(&vpb_b, STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(open_prompts(&info), 1);
    assert_non_null(strstr(info.text, "ARCHIVE-B"));
    assert_non_null(strstr(info.text, "empty"));
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
}

static void
robot__gives_up__one_question_with_its_words__taken_back_when_cured(
    void **state)
{
    struct ri_prompt_info info = { 0 };

    (void) state;
    world.robot = TRUE;
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    world.robot = FALSE;
    world.says = "The door of library L is open. Close it.";
    prompt_robot(&vpb_a, FALSE);
    prompt_robot(&vpb_a, FALSE);
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(world.asked, 1);
    assert_int_equal(open_prompts(&info), 1);
    assert_string_equal(info.text, "Volume ARCHIVE-A is needed. The door of "
                                   "library L is open. Close it.");
    world.says = "Another reason.";
    prompt_robot_words(&vpb_a);
    assert_int_equal(world.last, PROMPT_CHANGED);
    world.robot = TRUE;
    prompt_robot(&vpb_a, TRUE);
    assert_int_equal(world.taken, 1);
    assert_int_equal(open_prompts(NULL), 0);
    assert_int_equal(prompt_answer(info.id, RI_CANCEL), -ENOENT);
    assert_int_equal(world.failed, 0);
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
    assert_int_equal(world.failed, 2);
}

static void
robot__gives_up_while_the_question_is_put__it_is_asked(void **state)
{
    (void) state;
    world.robot = world.robot_changes = TRUE;
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(world.asked, 1);
    assert_int_equal(open_prompts(NULL), 1);
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
}

static void
robot__changed_elsewhere_or_protected__is_for_a_person(void **state)
{
    struct ri_prompt_info info = { 0 };

    (void) state;
    world.robot = TRUE;
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    prompt_reason(&vpb_a, STATUS_FILE_INVALID);
    assert_int_equal(open_prompts(&info), 1);
    assert_string_equal(info.answers, "use|retry|cancel");
    prompt_robot(&vpb_a, TRUE);
    assert_int_equal(open_prompts(NULL), 1);
    wait_for(&vpb_a, STATUS_MEDIA_WRITE_PROTECTED);
    assert_int_equal(open_prompts(NULL), 2);
    prompt_fail_all(STATUS_SYSTEM_SHUTDOWN);
}

static void
robot__works_longer_than_a_person_may__nothing_fails(void **state)
{
    (void) state;
    clock_manual(true);
    set_up(30);
    world.robot = TRUE;
    wait_for(&vpb_a, STATUS_NO_MEDIA_IN_DEVICE);
    clock_advance_ms(60000);
    assert_int_equal(world.failed, 0);
    assert_true(prompt_age(&vpb_a) >= 60000);
    world.robot = FALSE;
    prompt_robot(&vpb_a, FALSE);
    assert_int_equal(world.asked, 1);
    /* From now on a person has that long. */
    clock_advance_ms(29000);
    assert_int_equal(world.failed, 0);
    clock_advance_ms(2000);
    wait_until(&world.failed, 1);
    clock_manual(false);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(many_requests__one_prompt__that_counts_them,
                               before),
        cmocka_unit_test_setup(
            another_medium_comes__same_prompt__another_reason, before),
        cmocka_unit_test_setup(
            changed_elsewhere_in_another_drive__the_prompt_names_that_drive,
            before),
        cmocka_unit_test_setup(
            goes_away__asked_about_its_tab_or_answer__those_requests_go_on,
            before),
        cmocka_unit_test_setup(two_volumes__two_prompts__answered_apart,
                               before),
        cmocka_unit_test_setup(
            cancel__what_follows_at_once__gets_the_same_answer, before),
        cmocka_unit_test_setup(
            R188__unknown_status__shown_as_unknown_hard_error, before),
        cmocka_unit_test_setup(R186__wrong_volume__names_the_one_that_is_wanted,
                               before),
        cmocka_unit_test_setup(arrival__ends_the_prompt__requests_go_on,
                               before),
        cmocka_unit_test_setup(
            arrival_before_the_question__nothing_is_left_behind, before),
        cmocka_unit_test_setup(
            retry_with_nothing_there__prompt_and_requests_stay, before),
        cmocka_unit_test_setup(
            client_gone__its_request_leaves__the_last_one_takes_the_prompt,
            before),
        cmocka_unit_test_setup(nobody_answers__policy_cancel__requests_fail,
                               before),
        cmocka_unit_test_setup(
            cancel__requests_fail__then_what_was_not_flushed_is_given_up,
            before),
        cmocka_unit_test_setup(end_of_service__is_no_cancel, before),
        cmocka_unit_test_setup(
            changed_elsewhere__asked_as_such_whatever_the_status, before),
        cmocka_unit_test_setup(
            absent_then_changed_elsewhere__same_prompt__its_answers_too,
            before),
        cmocka_unit_test_setup(use__of_a_volume_that_is_away__is_no_answer,
                               before),
        cmocka_unit_test_setup(use__ends_the_prompt__once_it_could_be_done,
                               before),
        cmocka_unit_test_setup(robot__brings_it__nobody_is_asked, before),
        cmocka_unit_test_setup(robot__does_not_know_the_volume__asked_as_ever,
                               before),
        cmocka_unit_test_setup(
            robot__gives_up__one_question_with_its_words__taken_back_when_cured,
            before),
        cmocka_unit_test_setup(
            robot__gives_up_while_the_question_is_put__it_is_asked, before),
        cmocka_unit_test_setup(
            robot__changed_elsewhere_or_protected__is_for_a_person, before),
        cmocka_unit_test_setup(
            robot__works_longer_than_a_person_may__nothing_fails, before),
    };

    if (!NT_SUCCESS(io_init()))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
