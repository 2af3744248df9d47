/*
 * Tests for retries, waiting and cancelling, and the hook: R61 to R107 as far
 * as they need a device.  Time is moved by hand.
 *
 * SPDX-License-Identifier: MIT
 */
#include "harness.h"

#include <ntiologc.h>

static char data[4096];

/* Waits until the request waits for its next attempt, or has ended (true). */
static bool
rests_or_ends(struct rig *rig, struct outcome *out)
{
    assert_true(EVENTUALLY(is_done(out) || rig_rests(rig)));
    return is_done(out);
}

/* Runs a read whose attempts are `delay_ms` apart; how many there were. */
static unsigned
attempts_of(struct rig *rig, unsigned delay_ms, struct outcome *out)
{
    unsigned count = 1;

    clock_manual(true);
    start_transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL, out);
    while (!rests_or_ends(rig, out)) {
        assert_int_equal(out->returned, STATUS_PENDING); /* R102 */
        assert_int_equal(spy_count(rig, SCSIOP_READ), count);
        clock_advance_ms(delay_ms - 1);
        assert_true(rig_rests(rig));
        assert_int_equal(spy_count(rig, SCSIOP_READ), count);
        clock_advance_ms(1);
        count++;
        assert_true(EVENTUALLY(spy_count(rig, SCSIOP_READ) == count));
        assert_true(count < 20);
    }
    clock_manual(false);
    finish(out);
    return count;
}

static void
R66__becoming_ready__five_attempts_10_s_apart(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    know_capacity(rig);
    spy_answer(rig, SENSE_ANSWER(SCSIOP_READ, 99, 2, 4, 1));
    assert_int_equal(attempts_of(rig, 10000, &got), 5);
    assert_int_equal(got.status, STATUS_DEVICE_NOT_READY);
    assert_int_equal(got.information, 0);
    assert_ptr_equal(got.slot, rig->fdo);
}

static void
R80__aborted_command__five_attempts_1_s_apart(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    know_capacity(rig);
    spy_answer(rig, SENSE_ANSWER(SCSIOP_READ, 99, 0xB, 0, 0));
    assert_int_equal(attempts_of(rig, 1000, &got), 5);
    assert_int_equal(got.status, STATUS_IO_DEVICE_ERROR);
    assert_null(got.slot);
}

static void
R84__timeouts__five_attempts_then_io_timeout(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    know_capacity(rig);
    spy_answer(rig, SRB_ANSWER(SCSIOP_READ, 99, SRB_STATUS_COMMAND_TIMEOUT));
    assert_int_equal(attempts_of(rig, 1000, &got), 5);
    assert_int_equal(got.status, STATUS_IO_TIMEOUT);
    assert_int_equal(got.information, 0);
    assert_ptr_equal(got.slot, rig->fdo);
}

static void
R89__phase_sequence_failure__two_retries_1_s_apart(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    know_capacity(rig);
    spy_answer(rig,
               SRB_ANSWER(SCSIOP_READ, 99, SRB_STATUS_PHASE_SEQUENCE_FAILURE));
    assert_int_equal(attempts_of(rig, 1000, &got), 3);
    assert_int_equal(got.status, STATUS_IO_DEVICE_ERROR);
}

static void
R94_R100__success_on_the_fifth_attempt(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    know_capacity(rig);
    spy_answer(rig, SENSE_ANSWER(SCSIOP_READ, 4, 0xB, 0, 0));
    assert_int_equal(attempts_of(rig, 1000, &got), 5);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, sizeof data);
}

/* Without a delay all attempts are made before the call returns. */
static void
R85_R90__no_delay__five_attempts_at_once(void **state)
{
    static const struct {
        UCHAR srb, scsi;
        NTSTATUS status;
    } cases[] = {
        { SRB_STATUS_BUS_RESET, 0, STATUS_IO_DEVICE_ERROR },
        { SRB_STATUS_ERROR, SCSISTAT_BUSY, STATUS_DEVICE_NOT_READY },
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < RTL_NUMBER_OF(cases); i++) {
        struct outcome got;

        know_capacity(rig);
        spy_answer(rig, &(struct answer){ .opcode = SCSIOP_READ,
                                          .times = 99,
                                          .srb_status = cases[i].srb,
                                          .scsi_status = cases[i].scsi });
        got = transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL);
        assert_int_equal(got.status, cases[i].status);
        assert_int_equal(got.returned, STATUS_PENDING); /* R102 */
        assert_int_equal(spy_count(rig, SCSIOP_READ), 5);
    }
}

static void
R95__no_retry__one_attempt(void **state)
{
    static const struct {
        UCHAR key, asc, ascq;
        NTSTATUS status;
        bool slot;
    } cases[] = {
        { 2, 0x3A, 0, STATUS_NO_MEDIA_IN_DEVICE, true },     /* R64 */
        { 2, 0x3A, 0xCC, STATUS_NO_MEDIA_IN_DEVICE, true },  /* R65 */
        { 2, 4, 3, STATUS_NO_MEDIA_IN_DEVICE, true },        /* R67 */
        { 2, 4, 0, STATUS_DEVICE_NOT_READY, true },          /* R68 */
        { 3, 0x11, 0, STATUS_DEVICE_DATA_ERROR, false },     /* R70 */
        { 3, 0x30, 1, STATUS_UNRECOGNIZED_MEDIA, true },     /* R71 */
        { 4, 0x44, 0, STATUS_DEVICE_HARDWARE_ERROR, false }, /* R72 */
        { 5, 0x25, 0, STATUS_NO_SUCH_DEVICE, false },        /* R73 */
        { 8, 0, 0, STATUS_NO_DATA_DETECTED, false },         /* R79 */
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < RTL_NUMBER_OF(cases); i++) {
        struct outcome got;

        know_capacity(rig);
        spy_answer(rig, SENSE_ANSWER(SCSIOP_READ, 99, cases[i].key,
                                     cases[i].asc, cases[i].ascq));
        got = transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL);
        assert_int_equal(got.status, cases[i].status);
        assert_int_equal(got.information, 0);
        assert_ptr_equal(got.slot, cases[i].slot ? rig->fdo : NULL);
        assert_int_equal(spy_count(rig, SCSIOP_READ), 1);
    }
}

static void
R61_R62_R83_R86__srb_statuses__one_attempt(void **state)
{
    static const struct {
        UCHAR srb, scsi;
        ULONG internal;
        NTSTATUS want;
    } cases[] = {
        { SRB_STATUS_INTERNAL_ERROR, 0, (ULONG) STATUS_INSUFFICIENT_RESOURCES,
          STATUS_INSUFFICIENT_RESOURCES },
        { SRB_STATUS_ERROR, SCSISTAT_RESERVATION_CONFLICT, 0,
          STATUS_DEVICE_BUSY },
        { SRB_STATUS_SELECTION_TIMEOUT, 0, 0, STATUS_DEVICE_NOT_CONNECTED },
        { SRB_STATUS_INVALID_LUN, 0, 0, STATUS_NO_SUCH_DEVICE },
        { SRB_STATUS_NO_DEVICE, 0, 0, STATUS_NO_SUCH_DEVICE },
        { SRB_STATUS_NO_HBA, 0, 0, STATUS_NO_SUCH_DEVICE },
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < RTL_NUMBER_OF(cases); i++) {
        struct outcome got;

        know_capacity(rig);
        spy_answer(rig, &(struct answer){ .opcode = SCSIOP_READ,
                                          .times = 99,
                                          .srb_status = cases[i].srb,
                                          .scsi_status = cases[i].scsi,
                                          .internal = cases[i].internal });
        got = transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL);
        assert_int_equal(got.status, cases[i].want);
        assert_int_equal(spy_count(rig, SCSIOP_READ), 1);
        assert_null(got.slot);
    }
}

static void
R69__start_needed__unit_is_started_and_the_request_retried(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    know_capacity(rig);
    spy_answer(rig, SENSE_ANSWER(SCSIOP_READ, 1, 2, 4, 2));
    got = transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_true(EVENTUALLY(spy_count(rig, SCSIOP_START_STOP_UNIT) == 1));
    for (int i = 0; i < 3; i++)
        if (rig->spy.cdb[i][0] == SCSIOP_START_STOP_UNIT)
            assert_int_equal(rig->spy.cdb[i][4], 1);
}

static void
R81__recovered_error__success_with_data_and_a_log_entry(void **state)
{
    struct io_error_log_entry entry;
    struct rig *rig = *state;
    struct outcome got;
    uint64_t last = 0;

    know_capacity(rig);
    while (io_error_log(last, &entry, 1) == 1 && entry.seq > last)
        last = entry.seq;
    rig_rule(rig, "at 1 read do recovered 1/18/00");
    got = transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, sizeof data);
    assert_int_equal(data[0], 'a');
    assert_int_equal(io_error_log(last, &entry, 1), 1);
    assert_int_equal(entry.packet.UniqueErrorValue, 258);
    assert_int_equal(entry.packet.ErrorCode, IO_RECOVERED_VIA_ECC);
    assert_int_equal(entry.packet.FinalStatus, STATUS_SUCCESS);
}

static void
R70_R106__bad_block__logged_with_its_status(void **state)
{
    struct io_error_log_entry list[8];
    struct rig *rig = *state;
    uint64_t last = 0;
    size_t n;

    know_capacity(rig);
    while ((n = io_error_log(last, list, 8)) > 0 && list[n - 1].seq > last)
        last = list[n - 1].seq;
    rig_rule(rig, "at 1 read do sense 3/11/00");
    (void) transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL);
    assert_int_equal(io_error_log(last, list, 8), 1);
    assert_int_equal(list[0].packet.UniqueErrorValue, 256);
    assert_int_equal(list[0].packet.ErrorCode, IO_ERR_BAD_BLOCK);
    assert_int_equal(list[0].packet.FinalStatus, STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(list[0].packet.MajorFunctionCode, IRP_MJ_READ);
}

static void
R88_R104__overrun_of_a_read__the_disk_hook_retries_it(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    know_capacity(rig);
    spy_answer(rig, SRB_ANSWER(SCSIOP_READ, 1, SRB_STATUS_DATA_OVERRUN));
    got = transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(spy_count(rig, SCSIOP_READ), 2);
    /* R105: no retries left, no resend. */
    spy_reset(rig);
    spy_answer(rig, SRB_ANSWER(SCSIOP_READ, 99, SRB_STATUS_DATA_OVERRUN));
    got = transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL);
    assert_int_equal(got.status, STATUS_DATA_OVERRUN);
    assert_int_equal(spy_count(rig, SCSIOP_READ), 5);
}

static void
R91__frozen_queue__is_released(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    know_capacity(rig);
    spy_answer(rig, SRB_ANSWER(SCSIOP_READ, 1,
                               SRB_STATUS_BUS_RESET | SRB_STATUS_QUEUE_FROZEN));
    got = transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(rig->spy.releases, 1);
    assert_int_equal(rig->spy.released[0], 0);
    assert_int_equal(rig->spy.released[1], 1); /* before the retry */
    /* And before a completion: it is there when the call returns. */
    spy_reset(rig);
    spy_answer(rig, &(struct answer){ .opcode = SCSIOP_READ,
                                      .times = 1,
                                      .srb_status = SRB_STATUS_ERROR |
                                                    SRB_STATUS_AUTOSENSE_VALID |
                                                    SRB_STATUS_QUEUE_FROZEN,
                                      .scsi_status = SCSISTAT_CHECK_CONDITION,
                                      .sense = SENSE_OF(3, 0x11, 0),
                                      .sense_len = 18 });
    start_transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL, &got);
    assert_int_equal(rig->spy.releases, 1);
    finish(&got);
    assert_int_equal(got.status, STATUS_DEVICE_DATA_ERROR);
}

static void
R87__flushed__retried_or_verify_required(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    know_capacity(rig);
    spy_answer(rig, SRB_ANSWER(SCSIOP_READ, 1, SRB_STATUS_REQUEST_FLUSHED));
    got = transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(spy_count(rig, SCSIOP_READ), 2);
}

static void
R97__resend__lengths_and_statuses_restored(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    know_capacity(rig);
    spy_answer(rig, &(struct answer){ .opcode = SCSIOP_READ,
                                      .times = 1,
                                      .srb_status = SRB_STATUS_BUS_RESET,
                                      .transferred = 17 });
    got = transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, sizeof data);
    assert_memory_equal(rig->spy.cdb[0], rig->spy.cdb[1], 16);
    /* Of every attempt, whatever the last one left behind. */
    spy_reset(rig);
    spy_answer(rig, &(struct answer){ .opcode = SCSIOP_READ,
                                      .times = 4,
                                      .srb_status = SRB_STATUS_ERROR,
                                      .scsi_status = SCSISTAT_BUSY,
                                      .transferred = 3 });
    got = transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL);
    assert_int_equal(got.information, sizeof data);
    assert_int_equal(spy_count(rig, SCSIOP_READ), 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(rig->spy.srb_status[i], 0);
        assert_int_equal(rig->spy.scsi_status[i], 0);
        assert_int_equal(rig->spy.length[i], sizeof data);
    }
}

static void
last_retry__as_simple_as_it_gets(void **state)
{
    static const ULONG simple =
        SRB_FLAGS_DISABLE_DISCONNECT | SRB_FLAGS_DISABLE_SYNCH_TRANSFER;
    struct rig *rig = *state;

    know_capacity(rig);
    spy_answer(rig, SRB_ANSWER(SCSIOP_READ, 4, SRB_STATUS_BUS_RESET));
    (void) transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL);
    assert_int_equal(spy_count(rig, SCSIOP_READ), 5);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(rig->spy.flags[i] & simple, 0);
    assert_int_equal(rig->spy.flags[4] & simple, simple);
    assert_false(rig->spy.flags[4] & SRB_FLAGS_QUEUE_ACTION_ENABLE);
}

/* After 4 errors of the counting kind no tags and no synchronous transfers,
 * after 8 no disconnects either. */
static void
errors_counted__4_and_8__the_device_is_treated_more_gently(void **state)
{
    struct rig *rig = *state;
    PFUNCTIONAL_DEVICE_EXTENSION ext = rig->fdo->DeviceExtension;

    know_capacity(rig);
    ext->SrbFlags |= SRB_FLAGS_QUEUE_ACTION_ENABLE | SRB_FLAGS_NO_QUEUE_FREEZE;
    clock_manual(true);
    for (ULONG i = 1; i <= 8; i++) {
        struct outcome got;

        spy_reset(rig);
        spy_answer(rig, SRB_ANSWER(SCSIOP_READ, 1, SRB_STATUS_PARITY_ERROR));
        start_transfer(rig, IRP_MJ_READ, 0, data, 512, NULL, &got);
        assert_int_equal(got.returned, STATUS_PENDING);
        clock_advance_ms(1000); /* at least a second after such */
        finish(&got);
        assert_int_equal(ext->ErrorCount, i);
        assert_int_equal((ext->SrbFlags & SRB_FLAGS_QUEUE_ACTION_ENABLE) != 0,
                         i < 4);
        assert_int_equal((ext->SrbFlags & SRB_FLAGS_NO_QUEUE_FREEZE) != 0,
                         i < 4);
        assert_int_equal(
            (ext->SrbFlags & SRB_FLAGS_DISABLE_SYNCH_TRANSFER) != 0, i >= 4);
        assert_int_equal((ext->SrbFlags & SRB_FLAGS_DISABLE_DISCONNECT) != 0,
                         i >= 8);
    }
    spy_reset(rig);
    (void) transfer(rig, IRP_MJ_READ, 0, data, 512, NULL);
    assert_true(rig->spy.flags[0] & SRB_FLAGS_DISABLE_DISCONNECT);
}

static void
R99__mode_sense__two_attempts_and_a_change_forces_one(void **state)
{
    struct rig *rig = *state;
    CHAR reply[192];

    spy_answer(rig, SRB_ANSWER(SCSIOP_MODE_SENSE, 99, SRB_STATUS_BUS_RESET));
    assert_int_equal(
        ClassModeSense(rig->fdo, reply, sizeof reply, MODE_SENSE_RETURN_ALL),
        0);
    assert_int_equal(spy_count(rig, SCSIOP_MODE_SENSE), 2);
    rig_mount(rig, true);
    spy_reset(rig);
    spy_answer(rig, SENSE_ANSWER(SCSIOP_MODE_SENSE, 1, 6, 0x28, 0));
    assert_true(ClassModeSense(rig->fdo, reply, sizeof reply,
                               MODE_SENSE_RETURN_ALL) > 4);
    assert_int_equal(spy_count(rig, SCSIOP_MODE_SENSE), 2);
    /* Less than there was room for is no error. */
    spy_reset(rig);
    spy_answer(rig, &(struct answer){ .opcode = SCSIOP_MODE_SENSE,
                                      .times = 1,
                                      .srb_status = SRB_STATUS_DATA_OVERRUN,
                                      .transferred = 16 });
    assert_int_equal(
        ClassModeSense(rig->fdo, reply, sizeof reply, MODE_SENSE_RETURN_ALL),
        16);
}

/* What is sent synchronously waits 2 s when the drive is not ready. */
static VOID NTAPI
lock_it(PVOID context)
{
    struct rig *rig = context;
    PREVENT_MEDIA_REMOVAL in = { TRUE };

    (void) control(rig, IOCTL_STORAGE_MEDIA_REMOVAL, &in, sizeof in, 0, NULL);
    __atomic_store_n(&rig->name[0], 'x', __ATOMIC_RELEASE);
}

static void
prevent__not_ready__5_attempts_at_least_2_s_apart(void **state)
{
    struct rig *rig = *state;
    PFUNCTIONAL_DEVICE_EXTENSION ext = rig->fdo->DeviceExtension;
    WORK_QUEUE_ITEM work;

    ext->DeviceFlags &= (USHORT) ~DEV_SAFE_START_UNIT; /* it would cut waits */
    spy_answer(rig, SENSE_ANSWER(SCSIOP_MEDIUM_REMOVAL, 4, 2, 4, 2));
    clock_manual(true);
    ExInitializeWorkItem(&work, lock_it, rig);
    ExQueueWorkItem(&work, DelayedWorkQueue);
    for (unsigned i = 1; i < 5; i++) {
        spy_wait(rig, SCSIOP_MEDIUM_REMOVAL, i);
        assert_true(EVENTUALLY(rig_rests(rig)));
        clock_advance_ms(1999);
        assert_true(rig_rests(rig));
        assert_int_equal(spy_count(rig, SCSIOP_MEDIUM_REMOVAL), i);
        clock_advance_ms(1);
        assert_true(EVENTUALLY(spy_count(rig, SCSIOP_MEDIUM_REMOVAL) == i + 1));
    }
    assert_true(
        EVENTUALLY(__atomic_load_n(&rig->name[0], __ATOMIC_ACQUIRE) == 'x'));
    clock_manual(false);
}

/* A drive that START UNIT does not help: its own retries end, too. */
static void
prevent__started_in_vain__ends(void **state)
{
    struct rig *rig = *state;
    WORK_QUEUE_ITEM work;

    spy_answer(rig, SENSE_ANSWER(SCSIOP_MEDIUM_REMOVAL, 99, 2, 4, 2));
    clock_manual(true);
    ExInitializeWorkItem(&work, lock_it, rig);
    ExQueueWorkItem(&work, DelayedWorkQueue);
    for (int i = 0; i < 40; i++) {
        assert_true(EVENTUALLY(
            rig_rests(rig) ||
            __atomic_load_n(&rig->name[0], __ATOMIC_ACQUIRE) == 'x'));
        clock_advance_ms(500);
    }
    assert_int_equal(__atomic_load_n(&rig->name[0], __ATOMIC_ACQUIRE), 'x');
    assert_int_equal(spy_count(rig, SCSIOP_MEDIUM_REMOVAL), 5);
    clock_manual(false);
}

/* Polls find a drive that is ready, and give nobody another attempt. */
static void
aborted_command__drive_polled_each_second__ends(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    know_capacity(rig);
    spy_answer(rig, SENSE_ANSWER(SCSIOP_READ, 99, 0xB, 0, 0));
    clock_manual(true);
    start_transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL, &got);
    for (int i = 0; i < 40 && !rests_or_ends(rig, &got); i++)
        clock_advance_ms(500);
    clock_manual(false);
    finish(&got);
    assert_int_equal(got.status, STATUS_IO_DEVICE_ERROR);
    assert_int_equal(spy_count(rig, SCSIOP_READ), 5);
}

static int
rig_polled(void **state)
{
    int rc;

    spy_refuses_events = true;
    rc = rig_disk(state);
    spy_refuses_events = false;
    return rc;
}

/* CD drives that just wrote: time, not attempts. */
static void
cdrom__long_write_in_progress__given_160_s(void **state)
{
    struct rig *rig = *state;
    struct outcome got;
    unsigned seconds = 0;

    know_capacity(rig);
    spy_answer(rig, SENSE_ANSWER(SCSIOP_READ, 9999, 2, 4, 8));
    clock_manual(true);
    start_transfer(rig, IRP_MJ_READ, 0, data, 2048, NULL, &got);
    while (!rests_or_ends(rig, &got) && seconds < 300) {
        clock_advance_ms(1000);
        seconds++;
    }
    clock_manual(false);
    finish(&got);
    assert_int_equal(got.status, STATUS_DEVICE_NOT_READY);
    assert_true(seconds >= 160 && seconds <= 166);
}

/* --- the log -------------------------------------------------------------- */

static void
forget_log(void)
{
    struct io_error_log_entry list[8];

    while (new_log(list, 8) > 0)
        ;
}

static void
log__offset_of_the_bad_block_and_dump_data(void **state)
{
    struct io_error_log_entry list[2];
    struct answer answer = *SENSE_ANSWER(SCSIOP_READ, 1, 3, 0x11, 0);
    struct rig *rig = *state;
    SCSI_REQUEST_BLOCK srb;

    know_capacity(rig);
    forget_log();
    answer.sense[0] = 0xF0; /* with information: block 18 */
    answer.sense[6] = 18;
    spy_answer(rig, &answer);
    (void) transfer(rig, IRP_MJ_READ, 16 * 512, data, 4096, NULL);
    assert_int_equal(new_log(list, 2), 1);
    assert_true(list[0].packet.DeviceOffset.QuadPart == 18 * 512);
    assert_int_equal(list[0].packet.SequenceNumber, 0);
    assert_int_equal(list[0].dump_len, sizeof srb + 18 + 6);
    memcpy(&srb, list[0].dump, sizeof srb);
    assert_int_equal(srb.Cdb[0], SCSIOP_READ);
    assert_memory_equal(list[0].dump + sizeof srb, answer.sense, 18);
    /* Information outside of the request: its first block. */
    spy_reset(rig);
    answer.sense[6] = 99;
    spy_answer(rig, &answer);
    (void) transfer(rig, IRP_MJ_READ, 16 * 512, data, 4096, NULL);
    assert_int_equal(new_log(list, 2), 1);
    assert_true(list[0].packet.DeviceOffset.QuadPart == 16 * 512);
    /* A control code. */
    spy_reset(rig);
    spy_answer(rig, SENSE_ANSWER(0, 1, 3, 0x11, 0));
    (void) control(rig, IOCTL_DISK_CHECK_VERIFY, NULL, 0, 0, NULL);
    assert_int_equal(new_log(list, 2), 1);
    assert_int_equal(list[0].packet.MajorFunctionCode, IRP_MJ_DEVICE_CONTROL);
    assert_int_equal(list[0].packet.IoControlCode, IOCTL_DISK_CHECK_VERIFY);
    assert_true(list[0].packet.DeviceOffset.QuadPart == 0);
}

static void
log__retried_transfer__the_first_retry_only(void **state)
{
    struct io_error_log_entry list[8];
    struct rig *rig = *state;

    know_capacity(rig);
    forget_log();
    spy_answer(rig, SENSE_ANSWER(SCSIOP_READ, 99, 0xA, 0, 0));
    (void) transfer(rig, IRP_MJ_READ, 0, data, 4096, NULL);
    assert_int_equal(spy_count(rig, SCSIOP_READ), 5);
    assert_int_equal(new_log(list, 8), 1);
    assert_int_equal(list[0].packet.ErrorCode, IO_WARNING_IO_OPERATION_RETRIED);
    assert_int_equal(list[0].packet.RetryCount, 0);
    assert_int_equal(list[0].packet.FinalStatus, STATUS_SUCCESS);
    /* Not for a busy drive or a reset. */
    spy_reset(rig);
    spy_answer(rig, SRB_ANSWER(SCSIOP_READ, 2, SRB_STATUS_BUS_RESET));
    (void) transfer(rig, IRP_MJ_READ, 0, data, 4096, NULL);
    assert_int_equal(new_log(list, 8), 0);
}

static NTSTATUS
paging_read(struct rig *rig)
{
    PIO_STACK_LOCATION next;
    struct outcome got;

    next = begin_request(rig, IRP_MJ_READ, NULL, &got);
    next->Parameters.Read.Length = 512;
    got.irp->Flags |= IRP_PAGING_IO | IRP_NOCACHE;
    got.mdl = IoAllocateMdl(data, 512, FALSE, FALSE, NULL);
    MmBuildMdlForNonPagedPool(got.mdl);
    got.irp->MdlAddress = got.mdl;
    send_request(rig, &got);
    finish(&got);
    return got.status;
}

/* R60 too: the flag holds for them as for all. */
static void
R60__paging_request__logged_when_it_fails_and_gated(void **state)
{
    struct io_error_log_entry list[8];
    struct rig *rig = *state;

    know_capacity(rig);
    forget_log();
    spy_answer(rig, SENSE_ANSWER(SCSIOP_READ, 1, 3, 0x30, 1));
    assert_int_equal(paging_read(rig), STATUS_UNRECOGNIZED_MEDIA);
    assert_int_equal(new_log(list, 8), 1);
    assert_int_equal(list[0].packet.ErrorCode, IO_WARNING_PAGING_FAILURE);
    assert_int_equal(list[0].packet.UniqueErrorValue, 301);
    assert_int_equal(list[0].packet.FinalStatus, STATUS_UNRECOGNIZED_MEDIA);
    /* Retried, and well in the end: nothing. */
    spy_reset(rig);
    spy_answer(rig, SRB_ANSWER(SCSIOP_READ, 1, SRB_STATUS_BUS_RESET));
    assert_int_equal(paging_read(rig), STATUS_SUCCESS);
    assert_int_equal(new_log(list, 8), 0);
    InterlockedOr((LONG volatile *) &rig->fdo->Flags, DO_VERIFY_VOLUME);
    spy_reset(rig);
    assert_int_equal(paging_read(rig), STATUS_VERIFY_REQUIRED);
    assert_int_equal(transfer(rig, IRP_MJ_READ, 0, data, 512, NULL).status,
                     STATUS_VERIFY_REQUIRED);
    assert_int_equal(spy_commands(rig), 0);
}

static void
log__test_unit_ready_until_a_success_and_flush_once(void **state)
{
    struct io_error_log_entry list[8];
    struct rig *rig = *state;

    know_capacity(rig);
    forget_log();
    for (int round = 0; round < 2; round++) {
        spy_reset(rig);
        spy_answer(rig, SENSE_ANSWER(0, 99, 3, 0x11, 0));
        for (int i = 0; i < 3; i++)
            (void) control(rig, IOCTL_DISK_CHECK_VERIFY, NULL, 0, 0, NULL);
        assert_int_equal(new_log(list, 8), 1);
        (void) transfer(rig, IRP_MJ_READ, 0, data, 512, NULL);
    }
    spy_reset(rig);
    spy_answer(rig, SENSE_ANSWER(SCSIOP_SYNCHRONIZE_CACHE, 99, 3, 0x0C, 0));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(flush(rig, NULL).status, STATUS_DEVICE_DATA_ERROR);
        (void) transfer(rig, IRP_MJ_READ, 0, data, 512, NULL);
    }
    assert_int_equal(new_log(list, 8), 1);
}

static void
log__failure_predicted__once(void **state)
{
    STORAGE_PREDICT_FAILURE predict = { 0 };
    struct io_error_log_entry list[8];
    struct rig *rig = *state;

    know_capacity(rig);
    forget_log();
    for (int i = 0; i < 2; i++) {
        spy_reset(rig);
        spy_answer(rig, SENSE_ANSWER(SCSIOP_READ, 1, 1, 0x5D, 0));
        assert_int_equal(transfer(rig, IRP_MJ_READ, 0, data, 512, NULL).status,
                         STATUS_SUCCESS);
        assert_int_equal(new_log(list, 8), i == 0);
        if (i == 0)
            assert_int_equal(list[0].packet.ErrorCode,
                             IO_WRN_FAILURE_PREDICTED);
    }
    (void) control(rig, IOCTL_STORAGE_PREDICT_FAILURE, &predict, 0,
                   sizeof predict, NULL);
    assert_int_not_equal(predict.PredictFailure, 0);
}

static void
R99__read_capacity__two_attempts(void **state)
{
    STORAGE_READ_CAPACITY capacity;
    struct rig *rig = *state;
    struct outcome got;

    spy_answer(rig, SRB_ANSWER(SCSIOP_READ_CAPACITY, 99, SRB_STATUS_BUS_RESET));
    got = control(rig, IOCTL_STORAGE_READ_CAPACITY, &capacity, 0,
                  sizeof capacity, NULL);
    assert_int_equal(got.status, STATUS_IO_DEVICE_ERROR);
    assert_int_equal(spy_count(rig, SCSIOP_READ_CAPACITY), 2);
    spy_reset(rig);
    rig_mount(rig, true);
    rig_rule(rig, "at 1 0x25 do sense 6/28/00");
    got = control(rig, IOCTL_STORAGE_READ_CAPACITY, &capacity, 0,
                  sizeof capacity, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(spy_count(rig, SCSIOP_READ_CAPACITY), 2);
}

/* --- waiting -------------------------------------------------------------- */

static void
waiting_for_a_retry__cancelled__ends_promptly(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    know_capacity(rig);
    spy_answer(rig, SENSE_ANSWER(SCSIOP_READ, 99, 2, 4, 1));
    clock_manual(true);
    start_transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL, &got);
    assert_int_equal(got.returned, STATUS_PENDING);
    assert_true(IoCancelIrp(got.irp));
    assert_true(EVENTUALLY(is_done(&got)));
    finish(&got);
    assert_int_equal(got.status, STATUS_CANCELLED);
    assert_int_equal(got.information, 0);
    assert_int_equal(spy_count(rig, SCSIOP_READ), 1);
}

static void
cancel_and_timer_at_once__completed_once(void **state)
{
    struct rig *rig = *state;

    know_capacity(rig);
    spy_answer(rig, SENSE_ANSWER(SCSIOP_READ, 100000, 2, 4, 1));
    clock_manual(true);
    for (int i = 0; i < 300; i++) {
        struct outcome got;

        start_transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL, &got);
        if (i & 1)
            (void) IoCancelIrp(got.irp);
        clock_advance_ms(10000);
        if (!(i & 1))
            (void) IoCancelIrp(got.irp);
        while (!is_done(&got)) {
            (void) IoCancelIrp(got.irp);
            usleep(50);
        }
        finish(&got);
        assert_int_equal(got.status, STATUS_CANCELLED);
    }
}

static void
waiting_for_a_retry__medium_goes__ends_at_once(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    know_capacity(rig);
    spy_answer(rig, SENSE_ANSWER(SCSIOP_READ, 1, 2, 4, 1));
    clock_manual(true);
    start_transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL, &got);
    assert_int_equal(got.returned, STATUS_PENDING);
    assert_int_equal(vscsi_yank(rig->drive), 0);
    assert_true(EVENTUALLY(is_done(&got)));
    finish(&got);
    assert_int_equal(got.status, STATUS_NO_MEDIA_IN_DEVICE);
    assert_ptr_equal(got.slot, rig->fdo);
}

static void
becoming_ready__ready_event__request_goes_on_at_once(void **state)
{
    struct rig *rig = *state;
    struct outcome got;
    char text[64];

    clock_manual(true); /* its next attempt never comes by itself */
    assert_int_equal(vscsi_insert(rig->drive, rig->image[0], text, sizeof text),
                     0);
    rig_settle(rig);
    start_transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL, &got);
    assert_int_equal(got.returned, STATUS_PENDING);
    rig_rule(rig, "at 1 tur do becoming-ready 1");
    ClassCheckMediaState(rig->fdo->DeviceExtension);
    assert_true(EVENTUALLY(is_done(&got)));
    clock_manual(false);
    finish(&got);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, sizeof data);
}

static int
rig_slow(void **state)
{
    return rig_new(
        state, &(struct vscsi_config){ .type = VSCSI_DISK, .load_ms = 3600000 },
        false);
}

static void
waiting_for_a_retry__drive_is_removed__ends(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    know_capacity(rig);
    spy_answer(rig, SENSE_ANSWER(SCSIOP_READ, 99, 2, 4, 1));
    start_transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL, &got);
    assert_int_equal(got.returned, STATUS_PENDING);
    ObReferenceObject(rig->fdo);
    assert_int_equal(io_surprise_remove_device(rig->pdo), STATUS_SUCCESS);
    finish(&got);
    assert_int_equal(got.status, STATUS_DEVICE_DOES_NOT_EXIST);
    ObDereferenceObject(rig->fdo);
}

static int
rig_free_removed(void **state)
{
    struct rig *rig = *state;

    port_remove_unit(rig->pdo);
    vscsi_free(rig->drive);
    unlink(rig->image[0]);
    unlink(rig->image[1]);
    free(rig);
    return 0;
}

static void
late_completion__pending_all_the_way(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    know_capacity(rig);
    rig_rule(rig, "at 1 read do delay 20");
    start_transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL, &got);
    assert_int_equal(got.returned, STATUS_PENDING);
    finish(&got);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, sizeof data);
}

static void
lost_command__times_out_and_is_sent_again(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    know_capacity(rig);
    rig_rule(rig, "at 1 read do lose");
    clock_manual(true);
    start_transfer(rig, IRP_MJ_READ, 0, data, sizeof data, NULL, &got);
    assert_int_equal(got.returned, STATUS_PENDING);
    for (int i = 0; i < 100 && !is_done(&got); i++) {
        clock_advance_ms(1000);
        rest();
    }
    finish(&got);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(spy_count(rig, SCSIOP_READ), 2);
}

/* --- drivers that do more themselves -------------------------------------- */

static PIRP
driver_irp(struct rig *rig, struct outcome *out, ULONG length)
{
    PIO_STACK_LOCATION at;

    memset(out, 0, sizeof *out);
    out->irp = IoAllocateIrp((CCHAR) (rig->fdo->StackSize + 1), FALSE);
    out->irp->Tail.Overlay.Thread = PsGetCurrentThread();
    IoSetNextIrpStackLocation(out->irp);
    at = IoGetNextIrpStackLocation(out->irp);
    at->MajorFunction = IRP_MJ_READ;
    at->Parameters.Read.Length = length;
    at->DeviceObject = rig->fdo;
    out->mdl = IoAllocateMdl(data, length, FALSE, FALSE, NULL);
    MmBuildMdlForNonPagedPool(out->mdl);
    out->irp->MdlAddress = out->mdl;
    return out->irp;
}

static NTSTATUS NTAPI
driver_done(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    struct outcome *out = context;

    out->status = irp->IoStatus.Status;
    out->information = irp->IoStatus.Information;
    __atomic_add_fetch(&out->completions, 1, __ATOMIC_RELEASE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static void
driver_sends_itself__failures_are_retried_by_the_library(void **state)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext;
    struct rig *rig = *state;
    struct outcome out;
    PIRP irp;

    ext = rig->fdo->DeviceExtension;
    know_capacity(rig);
    for (int i = 0; i < 3; i++) {
        memset(data, 0, sizeof data);
        irp = driver_irp(rig, &out, sizeof data);
        IoSetCompletionRoutine(irp, driver_done, &out, TRUE, TRUE, TRUE);
        IoSetNextIrpStackLocation(irp);
        assert_int_equal(ClassAcquireRemoveLock(rig->fdo, irp), NO_REMOVE);
        if (i == 1)
            rig_rule(rig, "at 1 read do sense 6/29/00");
        if (i < 2) {
            assert_int_equal(ClassBuildRequest(rig->fdo, irp), STATUS_SUCCESS);
            (void) IoCallDriver(ext->CommonExtension.LowerDeviceObject, irp);
        } else {
            spy_reset(rig);
            ClassSplitRequest(rig->fdo, irp, 1024);
        }
        assert_true(EVENTUALLY(
            __atomic_load_n(&out.completions, __ATOMIC_ACQUIRE) == 1));
        assert_int_equal(out.status, STATUS_SUCCESS);
        assert_int_equal(out.information, sizeof data);
        assert_int_equal(data[sizeof data - 1], 'a');
        IoFreeMdl(out.mdl);
        IoFreeIrp(irp);
    }
    assert_int_equal(spy_count(rig, SCSIOP_READ), sizeof data / 1024);
}

/* What the driver built for one medium reaches no other, neither at first nor
 * when it is sent again. */
static void
driver_sends_itself__medium_changed__not_to_the_new_one(void **state)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext;
    struct rig *rig = *state;
    struct outcome out;
    PIRP irp;

    ext = rig->fdo->DeviceExtension;
    know_capacity(rig);
    memset(data, 0, sizeof data);
    irp = driver_irp(rig, &out, sizeof data);
    IoGetNextIrpStackLocation(irp)->Flags |= SL_KEY_SPECIFIED;
    IoGetNextIrpStackLocation(irp)->Parameters.Read.Key = rig_count(rig);
    IoSetCompletionRoutine(irp, driver_done, &out, TRUE, TRUE, TRUE);
    IoSetNextIrpStackLocation(irp);
    assert_int_equal(ClassAcquireRemoveLock(rig->fdo, irp), NO_REMOVE);
    assert_int_equal(ClassBuildRequest(rig->fdo, irp), STATUS_SUCCESS);
    rig_swap(rig, 1);
    rig_settle(rig); /* a poll was told */
    (void) IoCallDriver(ext->CommonExtension.LowerDeviceObject, irp);
    assert_true(
        EVENTUALLY(__atomic_load_n(&out.completions, __ATOMIC_ACQUIRE) == 1));
    assert_int_equal(out.status, STATUS_VERIFY_REQUIRED);
    assert_int_equal(data[0], 0);

    IoFreeMdl(out.mdl);
    IoFreeIrp(irp);

    irp = driver_irp(rig, &out, sizeof data);
    IoGetNextIrpStackLocation(irp)->Flags |= SL_KEY_SPECIFIED;
    IoGetNextIrpStackLocation(irp)->Parameters.Read.Key = rig_count(rig) - 1;
    IoSetNextIrpStackLocation(irp);
    assert_int_equal(ClassBuildRequest(rig->fdo, irp), STATUS_VERIFY_REQUIRED);
    IoFreeMdl(out.mdl);
    IoFreeIrp(irp);
}

static void
send_srb_asynchronous__completes_the_irp_and_frees_the_srb(void **state)
{
    struct rig *rig = *state;
    PSCSI_REQUEST_BLOCK srb =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *srb, 0x74736554);
    struct outcome out;
    UCHAR reply[96];
    PIRP irp;

    memset(srb, 0, sizeof *srb);
    srb->CdbLength = 6;
    srb->Cdb[0] = SCSIOP_INQUIRY;
    srb->Cdb[4] = sizeof reply;
    srb->TimeOutValue = 5;
    irp = driver_irp(rig, &out, 512);
    IoSetCompletionRoutine(irp, driver_done, &out, TRUE, TRUE, TRUE);
    IoSetNextIrpStackLocation(irp);
    assert_int_equal(ClassAcquireRemoveLock(rig->fdo, irp), NO_REMOVE);
    (void) ClassSendSrbAsynchronous(rig->fdo, srb, irp, reply, sizeof reply,
                                    FALSE);
    assert_true(
        EVENTUALLY(__atomic_load_n(&out.completions, __ATOMIC_ACQUIRE) == 1));
    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_true(out.information >= 36);
    assert_memory_equal(reply + 8, "REINSERT", 8);
    IoFreeMdl(out.mdl);
    IoFreeIrp(irp);
}

static void
R111__changer_without_an_error_routine__is_refused(void **state)
{
    CLASS_INIT_DATA init = { .InitializationDataSize = sizeof init };
    UNICODE_STRING path = { 0 };

    init.FdoData.DeviceType = FILE_DEVICE_CHANGER;
    init.FdoData.DeviceExtensionSize = sizeof(FUNCTIONAL_DEVICE_EXTENSION);
    init.ClassAddDevice = (PCLASS_ADD_DEVICE) (ULONG_PTR) 1;
    assert_int_equal((NTSTATUS) ClassInitialize(NULL, &path, &init),
                     STATUS_INVALID_PARAMETER);
}

static void
reserve__six_bytes_not_known__ten_are_tried(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    spy_answer(rig, SENSE_ANSWER(SCSIOP_RESERVE_UNIT, 1, 5, 0x20, 0));
    spy_answer(rig, &(struct answer){ .opcode = SCSIOP_RESERVE_UNIT10,
                                      .times = 1,
                                      .srb_status = SRB_STATUS_SUCCESS });
    got = control(rig, IOCTL_STORAGE_RESERVE, NULL, 0, 0, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(spy_count(rig, SCSIOP_RESERVE_UNIT), 1);
    assert_int_equal(spy_count(rig, SCSIOP_RESERVE_UNIT10), 1);
    /* Remembered, for the release too. */
    spy_reset(rig);
    spy_answer(rig, &(struct answer){ .opcode = SCSIOP_RELEASE_UNIT10,
                                      .times = 1,
                                      .srb_status = SRB_STATUS_SUCCESS });
    got = control(rig, IOCTL_STORAGE_RELEASE, NULL, 0, 0, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(spy_count(rig, SCSIOP_RELEASE_UNIT), 0);
    assert_int_equal(spy_count(rig, SCSIOP_RELEASE_UNIT10), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(R66__becoming_ready__five_attempts_10_s_apart, rig_disk),
        TEST(R80__aborted_command__five_attempts_1_s_apart, rig_disk),
        TEST(R84__timeouts__five_attempts_then_io_timeout, rig_disk),
        TEST(R89__phase_sequence_failure__two_retries_1_s_apart, rig_disk),
        TEST(R94_R100__success_on_the_fifth_attempt, rig_disk),
        TEST(R85_R90__no_delay__five_attempts_at_once, rig_disk),
        TEST(R95__no_retry__one_attempt, rig_disk),
        TEST(R61_R62_R83_R86__srb_statuses__one_attempt, rig_disk),
        TEST(R69__start_needed__unit_is_started_and_the_request_retried,
             rig_disk),
        TEST(R81__recovered_error__success_with_data_and_a_log_entry, rig_disk),
        TEST(R70_R106__bad_block__logged_with_its_status, rig_disk),
        TEST(R88_R104__overrun_of_a_read__the_disk_hook_retries_it, rig_disk),
        TEST(R91__frozen_queue__is_released, rig_disk),
        TEST(R87__flushed__retried_or_verify_required, rig_disk),
        TEST(R97__resend__lengths_and_statuses_restored, rig_disk),
        TEST(R99__read_capacity__two_attempts, rig_disk),
        TEST(last_retry__as_simple_as_it_gets, rig_disk),
        TEST(errors_counted__4_and_8__the_device_is_treated_more_gently,
             rig_disk),
        TEST(R99__mode_sense__two_attempts_and_a_change_forces_one, rig_disk),
        TEST(prevent__started_in_vain__ends, rig_disk),
        TEST(aborted_command__drive_polled_each_second__ends, rig_polled),
        TEST(prevent__not_ready__5_attempts_at_least_2_s_apart, rig_disk),
        TEST(cdrom__long_write_in_progress__given_160_s, rig_cdrom),
        TEST(log__offset_of_the_bad_block_and_dump_data, rig_disk),
        TEST(log__retried_transfer__the_first_retry_only, rig_disk),
        TEST(R60__paging_request__logged_when_it_fails_and_gated, rig_disk),
        TEST(log__test_unit_ready_until_a_success_and_flush_once, rig_disk),
        TEST(log__failure_predicted__once, rig_disk),
        TEST(waiting_for_a_retry__cancelled__ends_promptly, rig_disk),
        TEST(cancel_and_timer_at_once__completed_once, rig_disk),
        TEST(waiting_for_a_retry__medium_goes__ends_at_once, rig_disk),
        TEST(becoming_ready__ready_event__request_goes_on_at_once, rig_slow),
        cmocka_unit_test_setup_teardown(
            waiting_for_a_retry__drive_is_removed__ends, rig_disk,
            rig_free_removed),
        TEST(late_completion__pending_all_the_way, rig_disk),
        TEST(lost_command__times_out_and_is_sent_again, rig_disk),
        TEST(driver_sends_itself__failures_are_retried_by_the_library,
             rig_disk),
        TEST(driver_sends_itself__medium_changed__not_to_the_new_one, rig_disk),
        TEST(send_srb_asynchronous__completes_the_irp_and_frees_the_srb,
             rig_disk),
        cmocka_unit_test(R111__changer_without_an_error_routine__is_refused),
        TEST(reserve__six_bytes_not_known__ten_are_tried, rig_disk),
    };

    return cmocka_run_group_tests(tests, harness_begin, harness_end);
}
