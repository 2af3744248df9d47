/* Tests for src/port/engine.c: commands, attention numbers, the queue.
 * Expectations: storage driver documentation (SRB pages), SPC-4.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include "base/watch.h"

#define SENSE_OF(call)                                                         \
    ((ULONG) ((call)->sense[2] & 15) << 16 | (ULONG) (call)->sense[12] << 8 |  \
     (call)->sense[13])

static void
read__ready_medium__completes_on_the_callers_thread(void **state)
{
    struct rig *rig = *state;
    struct call call;

    settle(rig);
    read_block(rig, &call, 0, 3, 0);
    call_send(&call, rig->pdo);

    assert_int_equal(call.returned, STATUS_SUCCESS);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
    assert_int_equal(call.srb.DataTransferLength, 512);
    assert_int_equal(call.io.Information, 512);
    assert_int_equal(rig->data[0], 'a');
    assert_int_equal(rig->data[511], 'a');
    assert_false(call.pending_returned);
    call_wait(&call);
    assert_true(clock_coarse_ms() - info_of(rig).last_answer_ms < 60000);
}

static void
check_condition__first_command__sense_and_number(void **state)
{
    struct rig *rig = *state;
    struct call call;

    tur(&call, FREE);
    run(rig, &call);

    assert_int_equal(call.srb.SrbStatus,
                     SRB_STATUS_ERROR | SRB_STATUS_AUTOSENSE_VALID);
    assert_int_equal(call.srb.ScsiStatus, SCSISTAT_CHECK_CONDITION);
    assert_int_equal(SENSE_OF(&call), 0x062900);
    assert_int_equal(call.srb.SenseInfoBufferLength, 18);
    assert_int_equal(call.srb.QueueSortKey, 1);
    assert_int_equal(call.io.Status, STATUS_IO_DEVICE_ERROR);
    assert_int_equal(info_of(rig).sense_len, 18);
    assert_int_equal(info_of(rig).sense[12], 0x29);
}

static void
check_condition__small_or_no_sense_buffer__cut(void **state)
{
    struct rig *rig = *state;
    struct call call;

    tur(&call, FREE);
    memset(call.sense, 0xEE, sizeof call.sense);
    call.srb.SenseInfoBufferLength = 8;
    run(rig, &call);
    assert_int_equal(call.srb.SenseInfoBufferLength, 8);
    assert_int_equal(call.sense[2] & 15, 6);
    assert_int_equal(call.sense[8], 0xEE);

    vscsi_reset(rig->drive);
    tur(&call, FREE | SRB_FLAGS_DISABLE_AUTOSENSE);
    memset(call.sense, 0xEE, sizeof call.sense);
    run(rig, &call);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_ERROR);
    assert_int_equal(call.sense[0], 0xEE);
}

static void
attention__right_number__carried_out(void **state)
{
    struct rig *rig = *state;
    ULONG number = settle(rig);
    struct call call;

    read_block(rig, &call, FREE, 0, number);
    run(rig, &call);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
    assert_int_equal(rig->data[0], 'a');
}

static void
attention__medium_swapped_and_reported__flushed_untouched(void **state)
{
    struct rig *rig = *state;
    ULONG old = settle(rig), now;
    struct call call;

    assert_int_equal(vscsi_yank(rig->drive), 0);
    insert(rig, rig->b);
    now = settle(rig);
    assert_true(now > old);

    memset(rig->data, 'x', 512);
    call_cdb(&call, FREE | SRB_FLAGS_DATA_OUT,
             CDB_OF(0x2A, 0, 0, 0, 0, 0, 0, 0, 1, 0));
    call.srb.DataBuffer = rig->data;
    call.srb.DataTransferLength = 512;
    call.srb.QueueSortKey = old;
    run(rig, &call);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_REQUEST_FLUSHED);
    assert_int_equal(call.srb.DataTransferLength, 0);
    assert_int_equal(call.srb.QueueSortKey, now);

    read_block(rig, &call, FREE, 0, now);
    run(rig, &call);
    assert_int_equal(rig->data[0], 'b');
}

static void
attention__swapped_but_not_yet_reported__unit_attention_first(void **state)
{
    struct rig *rig = *state;
    ULONG old = settle(rig);
    struct call call;

    assert_int_equal(vscsi_yank(rig->drive), 0);
    insert(rig, rig->b);
    memset(rig->data, 'x', 512);
    read_block(rig, &call, FREE, 0, old);
    run(rig, &call);
    assert_int_equal(SENSE_OF(&call), 0x062800);
    assert_int_equal(call.srb.QueueSortKey, old + 1);
    assert_int_equal(rig->data[0], 'x');
}

static void
cdb__too_long__invalid(void **state)
{
    struct rig *rig = *state;
    struct call call;

    settle(rig);
    tur(&call, FREE);
    call.srb.CdbLength = 17;
    run(rig, &call);
    assert_int_equal(SRB_STATUS(call.srb.SrbStatus), SRB_STATUS_ERROR);
    assert_int_equal(SENSE_OF(&call) >> 16, 5);
}

static void
selection_timeout__of_the_device__own_status(void **state)
{
    struct rig *rig = *state;
    struct call call;

    settle(rig);
    rule(rig, "at 1 tur do selection-timeout");
    tur(&call, 0);
    run(rig, &call);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SELECTION_TIMEOUT);
    assert_int_equal(call.io.Status, STATUS_DEVICE_NOT_CONNECTED);
}

static void
transport__each_failure__own_srb_status(void **state)
{
    static const struct {
        const char *rule;
        UCHAR srb_status;
        NTSTATUS status;
    } want[] = {
        { "at 1 tur do invalid-lun", SRB_STATUS_INVALID_LUN,
          STATUS_DEVICE_DOES_NOT_EXIST },
        { "at 1 tur do no-device", SRB_STATUS_NO_DEVICE,
          STATUS_DEVICE_DOES_NOT_EXIST },
        { "at 1 tur do phase-error", SRB_STATUS_PHASE_SEQUENCE_FAILURE,
          STATUS_IO_DEVICE_ERROR },
        { "at 1 tur do parity-error", SRB_STATUS_PARITY_ERROR,
          STATUS_IO_DEVICE_ERROR },
        { "at 1 tur do bus-free", SRB_STATUS_UNEXPECTED_BUS_FREE,
          STATUS_IO_DEVICE_ERROR },
        { "at 1 tur do timeout", SRB_STATUS_COMMAND_TIMEOUT,
          STATUS_IO_TIMEOUT },
        { "at 1 tur do flushed", SRB_STATUS_REQUEST_FLUSHED,
          STATUS_UNSUCCESSFUL },
        { "at 1 tur do overrun", SRB_STATUS_DATA_OVERRUN, STATUS_DATA_OVERRUN },
    };
    struct rig *rig = *state;
    struct call call;

    settle(rig);
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        rule(rig, want[i].rule);
        tur(&call, FREE);
        run(rig, &call);
        assert_int_equal(call.srb.SrbStatus, want[i].srb_status);
        assert_int_equal(call.io.Status, want[i].status);
        assert_int_equal(call.srb.DataTransferLength, 0);
    }
}

/* As a real adapter has it: the data came, and more than there was room for. */
static void
overrun__of_a_read__with_what_was_moved(void **state)
{
    struct rig *rig = *state;
    struct call call;

    settle(rig);
    rule(rig, "at 1 read do overrun");
    read_block(rig, &call, FREE, 0, 0);
    run(rig, &call);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_DATA_OVERRUN);
    assert_int_equal(call.srb.DataTransferLength, 512);
}

/* SCSI status 28: the port sends it again, the class driver does not see it. */
static void
queue_full__of_the_device__sent_again(void **state)
{
    struct rig *rig = *state;
    struct call first, second;

    settle(rig);
    clock_manual(true);
    rule(rig, "at 1 read do queue-full");
    rule(rig, "at 2 read do queue-full");
    read_block(rig, &first, FREE, 0, 0);
    call_send(&first, rig->pdo);
    assert_true(call_waits(&first));
    tur(&second, FREE); /* behind it */
    call_send(&second, rig->pdo);
    assert_true(call_waits(&second));
    assert_int_equal(info_of(rig).queued, 2);
    clock_advance_ms(10);
    assert_true(call_waits(&first)); /* full again */
    clock_advance_ms(10);
    call_wait(&first);
    call_wait(&second);
    clock_manual(false);
    assert_int_equal(first.srb.SrbStatus, SRB_STATUS_SUCCESS);
    assert_int_equal(first.srb.DataTransferLength, 512);
    assert_int_equal(first.io.Information, 512);
    assert_int_equal(second.srb.SrbStatus, SRB_STATUS_SUCCESS);
}

static void
queue_full__for_longer_than_the_limit__told(void **state)
{
    struct rig *rig = *state;
    struct call call;

    settle(rig);
    clock_manual(true);
    rule(rig, "at * read do queue-full");
    read_block(rig, &call, FREE, 0, 0);
    call.srb.TimeOutValue = 2;
    call_send(&call, rig->pdo);
    for (int i = 0; i < 200; i++)
        clock_advance_ms(10);
    assert_true(call_waits(&call));
    for (int i = 0; i < 3; i++)
        clock_advance_ms(10);
    call_wait(&call);
    clock_manual(false);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_ERROR);
    assert_int_equal(call.srb.ScsiStatus, SCSISTAT_QUEUE_FULL);
    assert_int_equal(call.srb.DataTransferLength, 0);
}

/* What goes past a locked queue goes past it again: whoever locked it (a drive
 * that is put to sleep) waits for its command before it unlocks. */
static void
queue_full__past_a_locked_queue__sent_again(void **state)
{
    struct rig *rig = *state;
    struct call held, past;

    settle(rig);
    clock_manual(true);
    assert_int_equal(function(rig, SRB_FUNCTION_LOCK_QUEUE),
                     SRB_STATUS_SUCCESS);
    read_block(rig, &held, FREE, 0, 0);
    call_send(&held, rig->pdo);
    rule(rig, "at 1 tur do queue-full");
    tur(&past, FREE | SRB_FLAGS_BYPASS_LOCKED_QUEUE);
    call_send(&past, rig->pdo);
    assert_true(call_waits(&past));
    clock_advance_ms(10);
    call_wait(&past);
    assert_int_equal(past.srb.SrbStatus, SRB_STATUS_SUCCESS);
    assert_true(call_waits(&held));
    assert_int_equal(function(rig, SRB_FUNCTION_UNLOCK_QUEUE),
                     SRB_STATUS_SUCCESS);
    call_wait(&held);
    clock_manual(false);
    assert_int_equal(held.srb.SrbStatus, SRB_STATUS_SUCCESS);
}

/* Full now and then is a drive that works hard, not one that hangs. */
static void
queue_full__of_a_device_that_answers__never_told(void **state)
{
    struct rig *rig = *state;
    struct call call;

    settle(rig);
    clock_manual(true);
    for (int i = 0; i < 8; i++) {
        rule(rig, "at 1 read do queue-full");
        read_block(rig, &call, FREE, 0, 0);
        call.srb.TimeOutValue = 2;
        call_send(&call, rig->pdo);
        assert_true(call_waits(&call));
        clock_advance_ms(10);
        call_wait(&call);
        assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
        clock_advance_ms(490);
    }
    clock_manual(false);
}

static void
queue_full__cancelled_while_it_waits__aborted(void **state)
{
    struct rig *rig = *state;
    struct call call;

    settle(rig);
    clock_manual(true);
    rule(rig, "at * read do queue-full");
    read_block(rig, &call, FREE, 0, 0);
    call_send(&call, rig->pdo);
    assert_true(IoCancelIrp(call.irp));
    call_wait(&call);
    clock_advance_ms(50);
    clock_manual(false);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_ABORTED);
    assert_int_equal(call.io.Status, STATUS_CANCELLED);
}

static void
busy__of_the_device__error_with_scsi_status(void **state)
{
    struct rig *rig = *state;
    struct call call;

    settle(rig);
    rule(rig, "at 1 tur do busy");
    tur(&call, 0);
    run(rig, &call);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_ERROR);
    assert_int_equal(call.srb.ScsiStatus, SCSISTAT_BUSY);
}

static void
short_transfer__success__with_what_was_moved(void **state)
{
    struct rig *rig = *state;
    struct call call;

    settle(rig);
    rule(rig, "at 1 read do short 100");
    read_block(rig, &call, 0, 0, 0);
    run(rig, &call);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
    assert_int_equal(call.srb.DataTransferLength, 100);
    assert_int_equal(call.io.Information, 100);
}

/* --- the queue -------------------------------------------------------------- */

static void
freeze__failed_command__holds_back_until_released(void **state)
{
    struct rig *rig = *state;
    struct call bad, held, bypass;

    tur(&bad, 0);
    run(rig, &bad);
    assert_true(bad.srb.SrbStatus & SRB_STATUS_QUEUE_FROZEN);
    assert_true(info_of(rig).frozen);

    tur(&held, FREE);
    call_send(&held, rig->pdo);
    assert_true(call_waits(&held));
    assert_int_equal(info_of(rig).queued, 1);
    tur(&bypass, FREE | SRB_FLAGS_BYPASS_FROZEN_QUEUE);
    run(rig, &bypass);
    assert_true(call_waits(&held));

    assert_int_equal(function(rig, SRB_FUNCTION_RELEASE_QUEUE),
                     SRB_STATUS_SUCCESS);
    call_wait(&held);
    assert_true(held.pending_returned);
    assert_int_equal(held.srb.SrbStatus, SRB_STATUS_SUCCESS);
    assert_false(info_of(rig).frozen);
}

static void
freeze__flushed__queued_ones_end_undone(void **state)
{
    struct rig *rig = *state;
    struct call bad, held[3], next;

    tur(&bad, 0);
    run(rig, &bad);
    for (int i = 0; i < 3; i++) {
        read_block(rig, &held[i], FREE, 0, 0);
        call_send(&held[i], rig->pdo);
    }
    assert_int_equal(function(rig, SRB_FUNCTION_FLUSH_QUEUE),
                     SRB_STATUS_SUCCESS);
    for (int i = 0; i < 3; i++) {
        call_wait(&held[i]);
        assert_int_equal(held[i].srb.SrbStatus, SRB_STATUS_REQUEST_FLUSHED);
        assert_int_equal(held[i].io.Information, 0);
    }
    tur(&next, FREE);
    call_send(&next, rig->pdo);
    assert_int_equal(next.completions, 1);
    call_wait(&next);
}

static void
freeze__not_for_success_or_flushed(void **state)
{
    struct rig *rig = *state;
    struct call call;
    ULONG number = settle(rig);

    read_block(rig, &call, 0, 0, number + 5);
    run(rig, &call);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_REQUEST_FLUSHED);
    assert_false(info_of(rig).frozen);
}

static void
released_in_completion__a_thousand_failures__one_after_the_other(void **state)
{
    enum { N = 1000 };
    struct rig *rig = *state;
    struct call bad, *held = calloc(N, sizeof *held);

    rule(rig, "at * tur do sense 3/11/00");
    tur(&bad, 0);
    run(rig, &bad);
    for (int i = 0; i < N; i++) {
        tur(&held[i], 0);
        held[i].release = rig->pdo;
        call_send(&held[i], rig->pdo);
        assert_true(call_waits(&held[i]));
    }
    assert_int_equal(function(rig, SRB_FUNCTION_RELEASE_QUEUE),
                     SRB_STATUS_SUCCESS);
    for (int i = 0; i < N; i++) {
        call_wait(&held[i]);
        assert_int_equal(SENSE_OF(&held[i]), 0x031100);
    }
    assert_int_equal(info_of(rig).queued, 0);
    free(held);
}

static void
lock__requests_wait__unlock_starts_them(void **state)
{
    struct rig *rig = *state;
    struct call held, bypass;

    settle(rig);
    assert_int_equal(function(rig, SRB_FUNCTION_LOCK_QUEUE),
                     SRB_STATUS_SUCCESS);
    tur(&held, 0);
    call_send(&held, rig->pdo);
    assert_true(call_waits(&held));
    tur(&bypass, SRB_FLAGS_BYPASS_LOCKED_QUEUE);
    run(rig, &bypass);
    assert_int_equal(bypass.srb.SrbStatus, SRB_STATUS_SUCCESS);
    assert_int_equal(function(rig, SRB_FUNCTION_RELEASE_QUEUE),
                     SRB_STATUS_SUCCESS);
    assert_true(call_waits(&held));
    function(rig, SRB_FUNCTION_UNLOCK_QUEUE);
    call_wait(&held);
    assert_int_equal(held.srb.SrbStatus, SRB_STATUS_SUCCESS);
}

static void
cancel__queued__completes_at_once(void **state)
{
    struct rig *rig = *state;
    struct call held, early;

    settle(rig);
    function(rig, SRB_FUNCTION_LOCK_QUEUE);
    tur(&held, 0);
    call_send(&held, rig->pdo);
    assert_true(IoCancelIrp(held.irp));
    call_wait(&held);
    assert_int_equal(held.io.Status, STATUS_CANCELLED);
    assert_int_equal(held.io.Information, 0);
    assert_int_equal(held.srb.SrbStatus, SRB_STATUS_ABORTED);

    /* Cancelled before it came. */
    tur(&early, 0);
    KeInitializeEvent(&early.done, NotificationEvent, FALSE);
    early.irp = IoAllocateIrp(1, FALSE);
    IoCancelIrp(early.irp);
    IoGetNextIrpStackLocation(early.irp)->MajorFunction = IRP_MJ_SCSI;
    IoGetNextIrpStackLocation(early.irp)->Parameters.Scsi.Srb = &early.srb;
    IoSetCompletionRoutine(early.irp, call_done, &early, TRUE, TRUE, TRUE);
    IoCallDriver(rig->pdo, early.irp);
    call_wait(&early);
    assert_int_equal(early.io.Status, STATUS_CANCELLED);
    assert_int_equal(info_of(rig).queued, 0);
    function(rig, SRB_FUNCTION_UNLOCK_QUEUE);
}

static void
abort__queued__only_that_one(void **state)
{
    struct rig *rig = *state;
    struct call first, second, abort_;

    settle(rig);
    function(rig, SRB_FUNCTION_LOCK_QUEUE);
    tur(&first, 0);
    call_send(&first, rig->pdo);
    tur(&second, 0);
    call_send(&second, rig->pdo);
    call_prepare(&abort_, SRB_FUNCTION_ABORT_COMMAND, 0);
    abort_.srb.NextSrb = &second.srb;
    run(rig, &abort_);
    assert_int_equal(abort_.srb.SrbStatus, SRB_STATUS_SUCCESS);
    call_wait(&second);
    assert_int_equal(second.srb.SrbStatus, SRB_STATUS_ABORTED);
    assert_true(call_waits(&first));
    function(rig, SRB_FUNCTION_UNLOCK_QUEUE);
    call_wait(&first);
    run(rig, &abort_);
    assert_int_equal(abort_.srb.SrbStatus, SRB_STATUS_ABORT_FAILED);
}

/* --- other functions ---------------------------------------------------------- */

static void
claim__second__busy_until_released(void **state)
{
    struct rig *rig = *state;
    struct call call;

    call_prepare(&call, SRB_FUNCTION_CLAIM_DEVICE, 0);
    run(rig, &call);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
    assert_ptr_equal(call.srb.DataBuffer, rig->pdo);
    run(rig, &call);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_BUSY);
    assert_int_equal(call.io.Status, STATUS_DEVICE_BUSY);
    assert_int_equal(function(rig, SRB_FUNCTION_RELEASE_DEVICE),
                     SRB_STATUS_SUCCESS);
    run(rig, &call);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
}

static void
function__unknown__invalid_request(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(function(rig, SRB_FUNCTION_WMI),
                     SRB_STATUS_INVALID_REQUEST);
    assert_int_equal(function(rig, 0xFF), SRB_STATUS_INVALID_REQUEST);
    assert_int_equal(function(rig, SRB_FUNCTION_FLUSH), SRB_STATUS_SUCCESS);
}

static void
requests__warmed_up__allocate_nothing(void **state)
{
    struct rig *rig = *state;
    struct call call;
    uint64_t before;

    if (!caches())
        skip();
    settle(rig);
    before = io_allocation_count();
    for (int i = 0; i < 1000; i++) {
        read_block(rig, &call, FREE, 0, 0);
        run(rig, &call);
    }
    assert_int_equal(io_allocation_count(), before);
}

static unsigned left;

static bool
nothing_to_take(struct watch_source *source)
{
    return false;
}

static void
count_left(struct watch_source *source)
{
    left++;
}

/* The drive may take seconds; others wait for answers of the source. */
static void
watcher_of_another_device__uses_an_emulated_drive__leaves_it(void **state)
{
    struct rig *rig = *state;
    struct watch_source source = { .take = nothing_to_take,
                                   .left = count_left };
    struct call call;

    left = 0;
    watch_begin();
    assert_true(watch_offer(&source, 0));
    tur(&call, FREE);
    run(rig, &call);
    assert_int_equal(left, 1);
    assert_false(watch_is_watched(&source));
    watch_end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(read__ready_medium__completes_on_the_callers_thread),
        TEST(check_condition__first_command__sense_and_number),
        TEST(check_condition__small_or_no_sense_buffer__cut),
        TEST(attention__right_number__carried_out),
        TEST(attention__medium_swapped_and_reported__flushed_untouched),
        TEST(attention__swapped_but_not_yet_reported__unit_attention_first),
        TEST(cdb__too_long__invalid),
        TEST(selection_timeout__of_the_device__own_status),
        TEST(transport__each_failure__own_srb_status),
        TEST(overrun__of_a_read__with_what_was_moved),
        TEST(queue_full__of_the_device__sent_again),
        TEST(queue_full__for_longer_than_the_limit__told),
        TEST(queue_full__past_a_locked_queue__sent_again),
        TEST(queue_full__of_a_device_that_answers__never_told),
        TEST(queue_full__cancelled_while_it_waits__aborted),
        TEST(busy__of_the_device__error_with_scsi_status),
        TEST(short_transfer__success__with_what_was_moved),
        TEST(freeze__failed_command__holds_back_until_released),
        TEST(freeze__flushed__queued_ones_end_undone),
        TEST(freeze__not_for_success_or_flushed),
        TEST(released_in_completion__a_thousand_failures__one_after_the_other),
        TEST(lock__requests_wait__unlock_starts_them),
        TEST(cancel__queued__completes_at_once),
        TEST(abort__queued__only_that_one),
        TEST(claim__second__busy_until_released),
        TEST(function__unknown__invalid_request),
        TEST(requests__warmed_up__allocate_nothing),
        TEST(watcher_of_another_device__uses_an_emulated_drive__leaves_it),
    };

    return cmocka_run_group_tests_name("port engine", tests, NULL, NULL);
}
