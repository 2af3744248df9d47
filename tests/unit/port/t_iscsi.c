/*
 * t_iscsi.c - tests for src/port/hba_iscsi.c and iscsi_session.c, against a
 * target in this process that does what each test says.
 *
 * Expectations: RFC 7143 (responses, residuals, task management), SAM-5 on unit
 * attention conditions, and promise P1: what a change could have fallen into is
 * not believed, and not sent again.
 *
 * SPDX-License-Identifier: MIT
 */
/* Before ntddk.h, whose macros are libiscsi's constants. */
#include "port/iscsi.h"

#include "wire.h"

#include <sys/socket.h>

static const uint8_t attention[18] = { 0x70, 0, 6, [7] = 10, [12] = 0x28 };

/* --- answers --------------------------------------------------------------------- */

static void
read__good__data_is_there(void **state)
{
    struct wire *wire = *state;
    struct call call;

    transfer(wire, &call, 0x28, 0, 0);
    give(&call, wire);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
    assert_int_equal(call.srb.DataTransferLength, 1024);
    assert_int_equal(wire->data[0][1023], 'd');
}

static bool
in_pieces_from_the_end(struct target *target, const struct pdu *in)
{
    uint8_t block[512];

    if (in->head[32] != 0x28)
        return false;
    memset(block, '2', sizeof block);
    target_data(target, in, block, 512, 512, false);
    memset(block, '1', sizeof block);
    return target_data(target, in, block, 512, 0, false) &&
           target_respond(target, in, 0, NULL, 0);
}

static void
data_in__in_any_order__each_piece_in_its_place(void **state)
{
    struct wire *wire = *state;
    struct call call;

    answers_by(wire, in_pieces_from_the_end);
    transfer(wire, &call, 0x28, 0, 0);
    give(&call, wire);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
    assert_int_equal(wire->data[0][0], '1');
    assert_int_equal(wire->data[0][1023], '2');
}

/* More than was asked for, and behind what was asked for. */
static bool
over_long(struct target *target, const struct pdu *in)
{
    static uint8_t block[4096];

    if (in->head[32] != 0x28)
        return false;
    memset(block, 'X', sizeof block);
    return target_data(target, in, block, sizeof block, 0, true);
}

static bool
far_away(struct target *target, const struct pdu *in)
{
    static uint8_t block[512];

    if (in->head[32] != 0x28)
        return false;
    memset(block, 'X', sizeof block);
    return target_data(target, in, block, sizeof block, 1u << 20, true);
}

static void
data_in__over_long_or_elsewhere__no_byte_behind_the_buffer(void **state)
{
    static bool (*const lies[])(struct target *,
                                const struct pdu *) = { over_long, far_away };
    struct wire *wire = *state;
    struct call call;

    for (size_t i = 0; i < ARRAYSIZE(lies); i++) {
        memset(wire->data, 'k', sizeof wire->data);
        answers_by(wire, lies[i]);
        transfer(wire, &call, 0x28, 0, 0);
        give(&call, wire);
        assert_int_not_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
        for (size_t at = 0; at < sizeof wire->data[1]; at++)
            assert_int_equal(wire->data[1][at], 'k');
        /* The session is lost over it, and there is another one. */
        answers_by(wire, NULL);
        UNTIL(!info_of(&(struct rig){ .pdo = wire->pdo }).away);
    }
}

static bool
says_less_than_nothing(struct target *target, const struct pdu *in)
{
    uint8_t head[48] = { PDU_RESPONSE, 0x82 };

    if (in->head[32] != 0x28)
        return false;
    memcpy(head + 16, in->head + 16, 4);
    head[44] = 0x7F; /* an underflow of two milliards */
    target_send(target, head, NULL, 0);
    return true;
}

static void
residual__larger_than_the_transfer__nothing_came(void **state)
{
    struct wire *wire = *state;
    struct call call;

    answers_by(wire, says_less_than_nothing);
    transfer(wire, &call, 0x28, 0, 0);
    give(&call, wire);
    assert_int_equal(SRB_STATUS(call.srb.SrbStatus), SRB_STATUS_SUCCESS);
    assert_int_equal(call.srb.DataTransferLength, 0);
}

/* DATA IN of one piece of what was asked for, and that all is well. */
static struct {
    uint32_t offset, len;
} part;

static bool
part_of_it(struct target *target, const struct pdu *in)
{
    static uint8_t blocks[16384];

    if (in->head[32] != 0x28)
        return false;
    memset(blocks, 'd', sizeof blocks);
    if (part.offset > 0)
        target_data(target, in, blocks, 4096, 0, false);
    target_data(target, in, blocks, part.len, part.offset, false);
    return target_respond(target, in, 0, NULL, 0);
}

/* READ(10) of 16 KiB, of which nothing but that comes. */
static UCHAR
read_part(struct wire *wire, uint32_t offset, uint32_t len)
{
    static UCHAR data[16384];
    struct call call;

    part.offset = offset;
    part.len = len;
    answers_by(wire, part_of_it);
    call_cdb(&call, FREE | SRB_FLAGS_DATA_IN,
             CDB_OF(0x28, 0, 0, 0, 0, 0, 0, 0, 32, 0));
    memset(data, 'o', sizeof data);
    call.srb.DataBuffer = data;
    call.srb.DataTransferLength = sizeof data;
    give(&call, wire);
    return SRB_STATUS(call.srb.SrbStatus);
}

/* RFC 7143, 11.4.5.1: less than was expected is told by the residual. */
static void
P2__good_without_residual__fewer_bytes_came__is_not_believed(void **state)
{
    struct wire *wire = *state;

    assert_int_equal(read_part(wire, 0, 16384), SRB_STATUS_SUCCESS);
    assert_int_equal(read_part(wire, 0, 15872), SRB_STATUS_ERROR);
    assert_int_equal(read_part(wire, 0, 512), SRB_STATUS_ERROR);
    /* A gap of a page. */
    assert_int_equal(read_part(wire, 8192, 8192), SRB_STATUS_ERROR);
    assert_int_equal(read_part(wire, 4096, 12288), SRB_STATUS_SUCCESS);
}

static bool
none_of_it(struct target *target, const struct pdu *in)
{
    return in->head[32] == 0x28 && target_respond(target, in, 0, NULL, 0);
}

/* What a medium has is not what a read was marked with, the next time. */
static void
mark__it_is_what_the_medium_has__once_at_most(void **state)
{
    struct wire *wire = *state;
    UCHAR before[8];
    struct call call;

    answers_by(wire, none_of_it);
    transfer(wire, &call, 0x28, 0, 0);
    give(&call, wire);
    assert_int_equal(SRB_STATUS(call.srb.SrbStatus), SRB_STATUS_ERROR);
    memcpy(before, wire->data[0] + 1016, 8);
    transfer(wire, &call, 0x28, 0, 0);
    give(&call, wire);
    assert_int_equal(SRB_STATUS(call.srb.SrbStatus), SRB_STATUS_ERROR);
    assert_memory_not_equal(before, wire->data[0] + 1016, 8);
}

/* What is written, and replies that may be shorter, are left as they are. */
static void
mark__no_read_of_blocks__none(void **state)
{
    struct wire *wire = *state;
    struct call call;

    memset(wire->data, 'w', sizeof wire->data);
    transfer(wire, &call, 0x2A, 0, 0);
    give(&call, wire);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
    for (size_t at = 0; at < sizeof wire->data[0]; at++)
        assert_int_equal(wire->data[0][at], 'w');
    call_cdb(&call, FREE | SRB_FLAGS_DATA_IN, CDB_OF(0x12, 0, 0, 0, 255, 0));
    call.srb.DataBuffer = wire->data[0];
    call.srb.DataTransferLength = 255;
    give(&call, wire);
    assert_int_equal(SRB_STATUS(call.srb.SrbStatus), SRB_STATUS_SUCCESS);
    assert_int_equal(call.srb.DataTransferLength, 36);
    for (size_t at = 36; at < 255; at++)
        assert_int_equal(wire->data[0][at], 'w');
}

/* Its length says 500 bytes; six are there. */
static bool
cut_sense(struct target *target, const struct pdu *in)
{
    uint8_t head[48] = { PDU_RESPONSE, 0x80, 0, 2 };
    uint8_t data[8] = { 500 >> 8, 500 & 0xFF, 0x70, 0, 3, 0, 0, 0 };

    if (in->head[32] != 0x28)
        return false;
    memcpy(head + 16, in->head + 16, 4);
    target_send(target, head, data, sizeof data);
    return true;
}

/* None at all. */
static bool
no_sense(struct target *target, const struct pdu *in)
{
    return in->head[32] == 0x28 && target_respond(target, in, 2, NULL, 0);
}

static void
sense__shorter_than_it_says__is_what_came(void **state)
{
    struct wire *wire = *state;
    struct call call;

    answers_by(wire, cut_sense);
    transfer(wire, &call, 0x28, 0, 0);
    give(&call, wire);
    assert_int_equal(SRB_STATUS(call.srb.SrbStatus), SRB_STATUS_ERROR);
    assert_int_equal(call.srb.SenseInfoBufferLength, 6);
    assert_int_equal(call.sense[2] & 0xF, 3);
    answers_by(wire, no_sense);
    transfer(wire, &call, 0x28, 0, 0);
    give(&call, wire);
    assert_int_equal(call.srb.ScsiStatus, SCSISTAT_CHECK_CONDITION);
    assert_false(call.srb.SrbStatus & SRB_STATUS_AUTOSENSE_VALID);
}

/* --- changes ------------------------------------------------------------------------ */

/* The second is answered before the first, which then tells of a change. */
static bool
second_first(struct target *target, const struct pdu *in)
{
    struct wire *wire = target->context;

    if (in->head[32] != 0x28)
        return false;
    if (!wire->kept) {
        wire->first = *in;
        wire->kept = true;
        return true;
    }
    target_honest(target, in);
    return target_respond(target, &wire->first, 2, attention, sizeof attention);
}

static void
P1__answers_in_another_order__what_ran_behind_a_change_is_not_believed(
    void **state)
{
    struct wire *wire = *state;
    struct call calls[2];

    answers_by(wire, second_first);
    for (unsigned n = 0; n < 2; n++) {
        transfer(wire, &calls[n], 0x28, n, 1);
        call_send(&calls[n], wire->pdo);
    }
    call_wait(&calls[0]);
    call_wait(&calls[1]);
    assert_int_equal(SRB_STATUS(calls[0].srb.SrbStatus), SRB_STATUS_ERROR);
    assert_int_equal(calls[0].srb.QueueSortKey, 2);
    assert_int_equal(SRB_STATUS(calls[1].srb.SrbStatus),
                     SRB_STATUS_REQUEST_FLUSHED);
    assert_int_equal(calls[1].srb.QueueSortKey, 2);
    /* Meant for the medium of before: not sent. */
    transfer(wire, &calls[0], 0x2A, 0, 1);
    give(&calls[0], wire);
    assert_int_equal(SRB_STATUS(calls[0].srb.SrbStatus),
                     SRB_STATUS_REQUEST_FLUSHED);
    assert_int_equal(sent(wire, 0x2A), 0);
}

/* The second hears of a change; the first, begun behind it, brings data late. */
static bool
change_before_data(struct target *target, const struct pdu *in)
{
    struct wire *wire = target->context;

    if (in->head[32] != 0x28)
        return false;
    if (!wire->kept) {
        wire->first = *in;
        wire->kept = true;
        return true;
    }
    target_respond(target, in, 2, attention, sizeof attention);
    return target_honest(target, &wire->first);
}

static void
P1__change_told_of_first__what_came_late_is_not_believed(void **state)
{
    struct wire *wire = *state;
    struct call calls[2];

    answers_by(wire, change_before_data);
    for (unsigned n = 0; n < 2; n++) {
        transfer(wire, &calls[n], 0x28, n, 1);
        call_send(&calls[n], wire->pdo);
    }
    call_wait(&calls[0]);
    call_wait(&calls[1]);
    assert_int_equal(SRB_STATUS(calls[0].srb.SrbStatus),
                     SRB_STATUS_REQUEST_FLUSHED);
    assert_int_equal(calls[0].srb.QueueSortKey, 2);
    assert_int_equal(SRB_STATUS(calls[1].srb.SrbStatus), SRB_STATUS_ERROR);
    assert_int_equal(calls[1].srb.QueueSortKey, 2);
}

/* Is another command there before this write is answered? */
static bool
looks_behind_all_but_reads(struct target *target, const struct pdu *in)
{
    struct wire *wire = target->context;
    uint8_t opcode;

    if (in->head[32] == 0x28)
        return false;
    usleep(30000);
    if (recv(target->fd, &opcode, 1, MSG_PEEK | MSG_DONTWAIT) == 1 &&
        (opcode & 0x3F) == PDU_COMMAND)
        wire->kept = true;
    return target_respond(target, in, 0, NULL, 0);
}

/* An empty drive takes a PREVENT as well, and then another medium. */
static void
P1__prevent_alone__proves_no_medium__writes_go_one_by_one(void **state)
{
    struct wire *wire = *state;
    struct call calls[2];

    call_cdb(&calls[0], FREE, CDB_OF(0x1E, 0, 0, 0, 1, 0));
    give(&calls[0], wire);
    assert_int_equal(calls[0].srb.SrbStatus, SRB_STATUS_SUCCESS);
    answers_by(wire, looks_behind_all_but_reads);
    for (unsigned n = 0; n < 2; n++) {
        transfer(wire, &calls[n], 0x2A, n, 1);
        call_send(&calls[n], wire->pdo);
    }
    call_wait(&calls[0]);
    call_wait(&calls[1]);
    assert_int_equal(calls[1].srb.SrbStatus, SRB_STATUS_SUCCESS);
    assert_false(wire->kept);
}

/* What is on its way with an ALLOW may be carried out after it, and then on
 * another medium (SAM-5: simple tasks in any order). */
static void
P1__allow__what_was_sent_before_has_ended__nothing_is_behind(void **state)
{
    struct wire *wire = *state;
    struct call calls[3];

    call_cdb(&calls[0], FREE, CDB_OF(0x1E, 0, 0, 0, 1, 0));
    give(&calls[0], wire);
    transfer(wire, &calls[0], 0x28, 0, 1);
    give(&calls[0], wire);
    assert_int_equal(calls[0].srb.SrbStatus, SRB_STATUS_SUCCESS);
    answers_by(wire, looks_behind_all_but_reads);
    transfer(wire, &calls[0], 0x2A, 0, 1);
    call_cdb(&calls[1], FREE, CDB_OF(0x1E, 0, 0, 0, 0, 0));
    transfer(wire, &calls[2], 0x2A, 2, 1);
    for (unsigned n = 0; n < 3; n++)
        call_send(&calls[n], wire->pdo);
    for (unsigned n = 0; n < 3; n++) {
        call_wait(&calls[n]);
        assert_int_equal(calls[n].srb.SrbStatus, SRB_STATUS_SUCCESS);
    }
    assert_false(wire->kept);
}

static bool
says_nothing(struct target *target, const struct pdu *in)
{
    static const uint8_t cut[2] = { 0x70, 0 };

    return in->head[32] == 0x28 && target_respond(target, in, 2, cut, 2);
}

/* Sense data that end before the sense key: it may have been a unit attention. */
static void
P1__sense_that_cannot_be_read__may_have_told_of_a_change(void **state)
{
    struct wire *wire = *state;
    struct call call;

    answers_by(wire, says_nothing);
    transfer(wire, &call, 0x28, 0, 1);
    give(&call, wire);
    assert_int_equal(SRB_STATUS(call.srb.SrbStatus), SRB_STATUS_ERROR);
    assert_int_equal(call.srb.QueueSortKey, 2);
    transfer(wire, &call, 0x2A, 0, 1);
    give(&call, wire);
    assert_int_equal(SRB_STATUS(call.srb.SrbStatus),
                     SRB_STATUS_REQUEST_FLUSHED);
    assert_int_equal(sent(wire, 0x2A), 0);
}

static bool
aborts_a_task(struct target *target, const struct pdu *in)
{
    return in->head[32] == 0x00 && target_respond(target, in, 0x40, NULL, 0);
}

/* SAM-5: TASK ABORTED, so another initiator's reset has ended it; SPC-4: that
 * ends a PREVENT. */
static void
P1__reset_by_another_initiator__what_was_locked_is_not(void **state)
{
    struct wire *wire = *state;
    struct call calls[2];

    call_cdb(&calls[0], FREE, CDB_OF(0x1E, 0, 0, 0, 1, 0));
    give(&calls[0], wire);
    transfer(wire, &calls[0], 0x28, 0, 1);
    give(&calls[0], wire);
    assert_int_equal(calls[0].srb.SrbStatus, SRB_STATUS_SUCCESS);
    answers_by(wire, aborts_a_task);
    call_cdb(&calls[0], FREE, CDB_OF(0x00, 0, 0, 0, 0, 0));
    give(&calls[0], wire);
    assert_int_equal(SRB_STATUS(calls[0].srb.SrbStatus), SRB_STATUS_BUS_RESET);
    /* Meant for the medium of before: not sent. */
    transfer(wire, &calls[0], 0x2A, 0, 1);
    give(&calls[0], wire);
    assert_int_equal(SRB_STATUS(calls[0].srb.SrbStatus),
                     SRB_STATUS_REQUEST_FLUSHED);
    assert_int_equal(sent(wire, 0x2A), 0);
    answers_by(wire, looks_behind_all_but_reads);
    for (unsigned n = 0; n < 2; n++) {
        transfer(wire, &calls[n], 0x2A, n, 2);
        call_send(&calls[n], wire->pdo);
    }
    for (unsigned n = 0; n < 2; n++) {
        call_wait(&calls[n]);
        assert_int_equal(calls[n].srb.SrbStatus, SRB_STATUS_SUCCESS);
    }
    assert_false(wire->kept);
}

static bool
hangs_up_at_a_write(struct target *target, const struct pdu *in)
{
    if (in->head[32] != 0x2A)
        return false;
    target_hang_up(target);
    return true;
}

static void
P1__session_lost_in_a_write__is_not_sent_again(void **state)
{
    struct wire *wire = *state;
    struct call call;

    answers_by(wire, hangs_up_at_a_write);
    transfer(wire, &call, 0x2A, 0, 1);
    give(&call, wire);
    assert_int_equal(SRB_STATUS(call.srb.SrbStatus), SRB_STATUS_BUS_RESET);
    answers_by(wire, NULL);
    UNTIL(__atomic_load_n(&wire->target.sessions, __ATOMIC_ACQUIRE) == 2 &&
          !info_of(&(struct rig){ .pdo = wire->pdo }).away);
    transfer(wire, &call, 0x2A, 0, 1);
    give(&call, wire);
    assert_int_equal(SRB_STATUS(call.srb.SrbStatus),
                     SRB_STATUS_REQUEST_FLUSHED);
    assert_int_equal(sent(wire, 0x2A), 1);
    transfer(wire, &call, 0x2A, 0, call.srb.QueueSortKey);
    give(&call, wire);
    assert_int_equal(SRB_STATUS(call.srb.SrbStatus), SRB_STATUS_SUCCESS);
    assert_int_equal(sent(wire, 0x2A), 2);
    assert_true(InterlockedOr(&wire->turns, 0) >= 2);
}

/* Nobody is told that a command is over that may still be carried out. */
static void
P1__target_falls_silent__abort_ends_with_the_session(void **state)
{
    struct wire *wire = *state;
    struct call call;

    __atomic_store_n(&wire->target.deaf, true, __ATOMIC_RELEASE);
    transfer(wire, &call, 0x2A, 0, 1);
    call_send(&call, wire->pdo);
    usleep(50000);
    assert_true(call_waits(&call));
    port_give_up(wire->pdo);
    UNTIL(KeReadStateEvent(&call.done) != 0);
    call_wait(&call);
    assert_int_equal(SRB_STATUS(call.srb.SrbStatus), SRB_STATUS_ABORTED);
    assert_true(info_of(&(struct rig){ .pdo = wire->pdo }).away);
    transfer(wire, &call, 0x28, 0, 0);
    give(&call, wire);
    assert_int_equal(SRB_STATUS(call.srb.SrbStatus),
                     SRB_STATUS_SELECTION_TIMEOUT);
    __atomic_store_n(&wire->target.deaf, false, __ATOMIC_RELEASE);
    UNTIL(!info_of(&(struct rig){ .pdo = wire->pdo }).away);
}

/* A command without a time limit, as a tape's that may take an hour. */
static void
P3_P7__target_falls_silent__told__given_up_within_seconds(void **state)
{
    struct wire *wire = *state;
    struct port_unit_info info;
    struct call call;
    char why[256];

    transfer(wire, &call, 0x2A, 0, 1);
    call.srb.TimeOutValue = 0;
    __atomic_store_n(&wire->target.deaf, true, __ATOMIC_RELEASE);
    call_send(&call, wire->pdo);
    UNTIL(info_of(&(struct rig){ .pdo = wire->pdo }).silent);
    assert_true(call_waits(&call));
    port_unit_info(wire->pdo, &info);
    assert_false(info.away);
    port_unit_why(wire->pdo, why, sizeof why);
    assert_non_null(strstr(why, "no answer, nor a sign of life"));
    UNTIL(KeReadStateEvent(&call.done) != 0);
    call_wait(&call);
    assert_lost_with_session(&call);
    port_unit_info(wire->pdo, &info);
    assert_true(info.away);
    assert_false(info.silent);
    port_unit_why(wire->pdo, why, sizeof why);
    assert_non_null(strstr(why, ": the target does not answer"));
    assert_null(strstr(why, "SENSE"));
    __atomic_store_n(&wire->target.deaf, false, __ATOMIC_RELEASE);
    UNTIL(!info_of(&(struct rig){ .pdo = wire->pdo }).away);
}

static bool
read_is_not_answered(struct target *target, const struct pdu *in)
{
    (void) target;
    return in->head[32] == 0x28;
}

/* Signs of life are enough: a command may take as long as it needs.  And a
 * moment without any is over with the first. */
static void
slow_command__signs_of_life__stays_on_its_way(void **state)
{
    struct wire *wire = *state;
    unsigned pings = __atomic_load_n(&wire->target.pings, __ATOMIC_ACQUIRE);
    struct call call, other;

    answers_by(wire, read_is_not_answered);
    transfer(wire, &call, 0x28, 0, 0);
    call.srb.TimeOutValue = 0;
    call_send(&call, wire->pdo);
    UNTIL(__atomic_load_n(&wire->target.pings, __ATOMIC_ACQUIRE) >= pings + 3);
    assert_true(call_waits(&call));
    __atomic_store_n(&wire->target.deaf, true, __ATOMIC_RELEASE);
    UNTIL(info_of(&(struct rig){ .pdo = wire->pdo }).silent);
    __atomic_store_n(&wire->target.deaf, false, __ATOMIC_RELEASE);
    answers_by(wire, NULL);
    transfer(wire, &other, 0x28, 1, 0);
    call_send(&other, wire->pdo);
    UNTIL(!info_of(&(struct rig){ .pdo = wire->pdo }).silent);
    assert_true(call_waits(&call));
    assert_int_equal(__atomic_load_n(&wire->target.sessions, __ATOMIC_ACQUIRE),
                     1);
    port_give_up(wire->pdo);
    call_wait(&call);
    call_wait(&other);
}

/* libiscsi takes it for an error, and forgets the command. */
static bool
data_where_none_is_due(struct target *target, const struct pdu *in)
{
    return in->head[32] == 0x00 && target_data(target, in, NULL, 0, 0, false);
}

static void
strange_answer__abort_ends_it_all_the_same(void **state)
{
    struct wire *wire = *state;
    struct call call;

    answers_by(wire, data_where_none_is_due);
    tur(&call, FREE);
    call_send(&call, wire->pdo);
    for (int i = 0; KeReadStateEvent(&call.done) == 0; i++) {
        assert_true(i < 1200);
        usleep(50000);
        port_give_up(wire->pdo);
    }
    call_wait(&call);
    assert_int_not_equal(SRB_STATUS(call.srb.SrbStatus), SRB_STATUS_SUCCESS);
    answers_by(wire, NULL);
    UNTIL(!info_of(&(struct rig){ .pdo = wire->pdo }).away);
    tur(&call, FREE);
    give(&call, wire);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
}

static bool
keeps_reads(struct target *target, const struct pdu *in)
{
    struct wire *wire = target->context;

    if (in->head[32] != 0x28)
        return false;
    wire->first = *in;
    wire->kept = true;
    return true;
}

/* It is answered after all; of the abort nothing is said for now. */
static bool
ends_what_was_kept(struct target *target, const struct pdu *in)
{
    struct wire *wire = target->context;
    struct pdu read = wire->first;

    wire->first = *in;
    return target_honest(target, &read);
}

static bool
answers_the_abort_first(struct target *target, const struct pdu *in)
{
    struct wire *wire = target->context;
    uint8_t head[48] = { 0x22, 0x80 };

    memcpy(head + 16, wire->first.head + 16, 4);
    target_send(target, head, NULL, 0);
    return target_honest(target, in);
}

static void *
removes_unit(void *context)
{
    struct wire *wire = context;

    port_remove_unit(wire->pdo);
    InterlockedIncrement(&wire->turns);
    return NULL;
}

/* Its session goes on, for another unit. */
static void
unit__removed_before_its_abort_is_answered__is_not_touched_again(void **state)
{
    struct wire *wire = *state, other = { .text = "" };
    struct call call;
    pthread_t thread;
    LONG before;

    other.driver = wire->driver;
    other.target.port = wire->target.port;
    assert_int_equal(add_unit(&other, true), STATUS_SUCCESS);
    answers_by(wire, keeps_reads);
    __atomic_store_n(&wire->target.task, ends_what_was_kept, __ATOMIC_RELEASE);
    transfer(wire, &call, 0x28, 0, 0);
    call_send(&call, wire->pdo);
    UNTIL(sent(wire, 0x28) == 1);
    IoCancelIrp(call.irp);
    call_wait(&call);
    before = InterlockedOr(&wire->turns, 0);
    assert_int_equal(pthread_create(&thread, NULL, removes_unit, wire), 0);
    /* It has time enough to do so too early. */
    for (unsigned i = 0; i < 200 && InterlockedOr(&wire->turns, 0) == before;
         i++)
        usleep(1000);
    answers_by(wire, answers_the_abort_first);
    tur(&call, FREE);
    give(&call, &other);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
    assert_int_equal(pthread_join(thread, NULL), 0);
    wire->pdo = NULL;
    port_remove_unit(other.pdo);
}

/* --- being away ---------------------------------------------------------------------- */

static void
away_at_first__made_all_the_same__known_when_it_comes(void **state)
{
    struct wire *wire = *state;
    struct call call;

    target_stop(&wire->target);
    assert_int_equal(add_unit(wire, false), STATUS_DEVICE_NOT_CONNECTED);
    assert_true(strlen(wire->text) > 0);
    assert_int_equal(add_unit(wire, true), STATUS_SUCCESS);
    assert_false(port_unit_known(wire->pdo));
    assert_false(NT_SUCCESS(port_unit_identify(wire->pdo)));
    transfer(wire, &call, 0x28, 0, 0);
    give(&call, wire);
    assert_int_equal(SRB_STATUS(call.srb.SrbStatus),
                     SRB_STATUS_SELECTION_TIMEOUT);
    target_start(&wire->target);
    UNTIL(!info_of(&(struct rig){ .pdo = wire->pdo }).away);
    assert_true(InterlockedOr(&wire->turns, 0) >= 1);
    assert_int_equal(port_unit_identify(wire->pdo), STATUS_SUCCESS);
    assert_true(port_unit_known(wire->pdo));
    assert_int_equal(port_unit_type(wire->pdo), DIRECT_ACCESS_DEVICE);
}

/* SPC: byte 0 is qualifier and type. */
static bool
inquiry_answers(struct target *target, const struct pdu *in, uint8_t first)
{
    uint8_t data[36] = { first, 0x80, 6, 2, 31 };

    return in->head[32] == 0x12 && !(in->head[33] & 1) &&
           target_data(target, in, data, sizeof data, 0, true);
}

static bool
no_such_unit(struct target *target, const struct pdu *in)
{
    return inquiry_answers(target, in, 0x7F);
}

static bool
no_device_type(struct target *target, const struct pdu *in)
{
    return inquiry_answers(target, in, 0x1F);
}

static bool
not_connected(struct target *target, const struct pdu *in)
{
    return inquiry_answers(target, in, 0x20);
}

static bool
inquiry_fails(struct target *target, const struct pdu *in)
{
    static const uint8_t hardware[18] = { 0x70, 0, 4, [7] = 10, [12] = 0x44 };

    return in->head[32] == 0x12 &&
           target_respond(target, in, 2, hardware, sizeof hardware);
}

/* Whatever it is at first, it is not that for good. */
static void
no_unit_at_first__asked_again__is_one(void **state)
{
    static bool (*const firsts[])(struct target *, const struct pdu *) = {
        no_such_unit, no_device_type, not_connected, inquiry_fails
    };
    struct wire *wire = *state;

    for (size_t i = 0; i < ARRAYSIZE(firsts); i++) {
        answers_by(wire, firsts[i]);
        assert_false(NT_SUCCESS(add_unit(wire, false)));
        assert_int_equal(add_unit(wire, true), STATUS_SUCCESS);
        assert_false(port_unit_known(wire->pdo));
        assert_false(NT_SUCCESS(port_unit_identify(wire->pdo)));
        assert_false(port_unit_known(wire->pdo));
        answers_by(wire, NULL);
        assert_int_equal(port_unit_identify(wire->pdo), STATUS_SUCCESS);
        assert_int_equal(port_unit_type(wire->pdo), DIRECT_ACCESS_DEVICE);
        port_remove_unit(wire->pdo);
        wire->pdo = NULL;
    }
}

static bool
luns_changed(struct target *target, const struct pdu *in)
{
    static const uint8_t changed[18] = {
        0x70, 0, 6, [7] = 10, [12] = 0x3F, [13] = 0x0E
    };

    return in->head[32] == 0 &&
           target_respond(target, in, 2, changed, sizeof changed);
}

static bool
parameters_changed(struct target *target, const struct pdu *in)
{
    static const uint8_t changed[18] = {
        0x70, 0, 6, [7] = 10, [12] = 0x2A, [13] = 0x01
    };

    return in->head[32] == 0 &&
           target_respond(target, in, 2, changed, sizeof changed);
}

/* SPC: REPORTED LUNS DATA HAS CHANGED, told by one unit of all. */
static void
units_changed__one_tells__all_are_looked_at(void **state)
{
    struct wire *wire = *state, other = { .text = "" };
    struct call call;
    LONG before;

    other.driver = wire->driver;
    other.target.port = wire->target.port;
    assert_int_equal(add_unit(&other, true), STATUS_SUCCESS);
    before = InterlockedOr(&other.turns, 0);
    answers_by(wire, parameters_changed);
    tur(&call, FREE);
    give(&call, wire);
    answers_by(wire, luns_changed);
    assert_int_equal(InterlockedOr(&other.turns, 0), before);
    tur(&call, FREE);
    give(&call, wire);
    UNTIL(InterlockedOr(&other.turns, 0) == before + 1);
    answers_by(wire, NULL);
    port_remove_unit(other.pdo);
}

/* --- bursts -------------------------------------------------------------------------- */

static void *
reads_in_bursts(void *context)
{
    struct wire *wire = context;
    struct call calls[4];

    for (unsigned round = 0; round < 200; round++) {
        send_reads(wire, calls, 4);
        for (unsigned n = 0; n < 4; n++) {
            call_wait(&calls[n]);
            if (calls[n].srb.SrbStatus != SRB_STATUS_SUCCESS)
                return context;
        }
    }
    return NULL;
}

/* Whoever gave them sends them, or the session's thread: each exactly once. */
static void
bursts__of_several_threads__each_command_is_sent_and_answered(void **state)
{
    struct wire *wire = *state;
    pthread_t other;
    void *failed;

    assert_int_equal(pthread_create(&other, NULL, reads_in_bursts, wire), 0);
    assert_null(reads_in_bursts(wire));
    assert_int_equal(pthread_join(other, &failed), 0);
    assert_null(failed);
    assert_int_equal(sent(wire, 0x28), 2 * 200 * 4);
}

static void
P1__burst__a_write_in_it_goes_alone(void **state)
{
    struct wire *wire = *state;
    struct call calls[3];

    answers_by(wire, looks_behind_all_but_reads);
    burst_begin(BURST_REQUESTS);
    for (unsigned n = 0; n < 3; n++) {
        transfer(wire, &calls[n], n == 1 ? 0x2A : 0x28, n, 1);
        call_send(&calls[n], wire->pdo);
    }
    burst_end(BURST_REQUESTS);
    for (unsigned n = 0; n < 3; n++) {
        call_wait(&calls[n]);
        assert_int_equal(calls[n].srb.SrbStatus, SRB_STATUS_SUCCESS);
    }
    assert_false(wire->kept);
    assert_int_equal(sent(wire, 0x2A), 1);
}

static void
P1__bursts__session_lost_in_them__nothing_is_sent_again(void **state)
{
    struct wire *wire = *state;
    struct call calls[8];

    answers_by(wire, hangs_up);
    for (unsigned round = 0; round < 50; round++) {
        send_reads(wire, calls, 8);
        for (unsigned n = 0; n < 8; n++) {
            call_wait(&calls[n]);
            assert_lost_with_session(&calls[n]);
        }
    }
    assert_true(sent(wire, 0x28) >= 1);
    assert_true(sent(wire, 0x28) <=
                __atomic_load_n(&wire->target.sessions, __ATOMIC_ACQUIRE));
    answers_by(wire, NULL);
    UNTIL(!info_of(&(struct rig){ .pdo = wire->pdo }).away);
    assert_null(reads_in_bursts(wire));
}

/* Else it would wait for what it has put off itself. */
static void
burst__its_thread_waits__is_sent_before(void **state)
{
    struct wire *wire = *state;
    struct call call;

    burst_begin(BURST_REQUESTS);
    transfer(wire, &call, 0x28, 0, 0);
    call_send(&call, wire->pdo);
    assert_int_equal(
        KeWaitForSingleObject(&call.done, Executive, KernelMode, FALSE,
                              &(LARGE_INTEGER){ .QuadPart = -4 * 10000000ll }),
        STATUS_SUCCESS);
    call_wait(&call);
    burst_end(BURST_REQUESTS);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
}

static void
burst__closed_after_its_unit_is_gone__does_nothing(void **state)
{
    struct wire *wire = *state;
    struct call call;

    transfer(wire, &call, 0x28, 0, 0);
    burst_begin(BURST_REQUESTS);
    call_send(&call, wire->pdo);
    port_give_up(wire->pdo);
    call_wait(&call);
    port_remove_unit(wire->pdo);
    wire->pdo = NULL;
    burst_end(BURST_REQUESTS);
}

/* RFC 7143, 11.13.5. */
static void
login_refused__away_with_the_reason__there_when_it_is_let_in(void **state)
{
    static const struct {
        unsigned status;
        const char *says;
    } refusals[] = {
        { 0x0201, "(0201): it asks for chap-user" },
        { 0x0202, "(0202): it lets in other initiators" },
        { 0x0203, "(0203): there is no target of this name" },
        { 0x0301, "(0301): it does not serve now" },
        { 0x02FF, "(02FF): it does not say why" },
    };
    struct port_unit_info info;
    struct wire *wire = *state;

    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        __atomic_store_n(&wire->target.refuse, refusals[i].status,
                         __ATOMIC_RELEASE);
        assert_int_equal(add_unit(wire, true), STATUS_SUCCESS);
        assert_non_null(strstr(wire->text, TARGET_NAME));
        assert_non_null(strstr(wire->text, refusals[i].says));
        assert_false(port_unit_known(wire->pdo));
        port_unit_info(wire->pdo, &info);
        assert_true(info.away && info.refused);
        __atomic_store_n(&wire->target.refuse, 0, __ATOMIC_RELEASE);
        UNTIL(!info_of(&(struct rig){ .pdo = wire->pdo }).away);
        port_unit_info(wire->pdo, &info);
        assert_false(info.refused);
        assert_int_equal(port_unit_identify(wire->pdo), STATUS_SUCCESS);
        port_remove_unit(wire->pdo);
    }
    wire->pdo = NULL;
}

/* For whoever cannot do without it, it is a failure. */
static void
login_refused__needed_now__is_an_error(void **state)
{
    struct wire *wire = *state;

    wire->target.refuse = 0x0203;
    assert_int_equal(add_unit(wire, false), STATUS_DEVICE_NOT_CONNECTED);
    assert_non_null(strstr(wire->text, "no target of this name"));
    wire->pdo = NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WIRED(read__good__data_is_there),
        WIRED(data_in__in_any_order__each_piece_in_its_place),
        WIRED(data_in__over_long_or_elsewhere__no_byte_behind_the_buffer),
        WIRED(residual__larger_than_the_transfer__nothing_came),
        WIRED(P2__good_without_residual__fewer_bytes_came__is_not_believed),
        WIRED(mark__it_is_what_the_medium_has__once_at_most),
        WIRED(mark__no_read_of_blocks__none),
        WIRED(sense__shorter_than_it_says__is_what_came),
        WIRED(
            P1__answers_in_another_order__what_ran_behind_a_change_is_not_believed),
        WIRED(P1__change_told_of_first__what_came_late_is_not_believed),
        WIRED(P1__prevent_alone__proves_no_medium__writes_go_one_by_one),
        WIRED(P1__allow__what_was_sent_before_has_ended__nothing_is_behind),
        WIRED(P1__sense_that_cannot_be_read__may_have_told_of_a_change),
        WIRED(P1__reset_by_another_initiator__what_was_locked_is_not),
        WIRED(P1__session_lost_in_a_write__is_not_sent_again),
        WIRED(P1__target_falls_silent__abort_ends_with_the_session),
        WIRED(P3_P7__target_falls_silent__told__given_up_within_seconds),
        WIRED(slow_command__signs_of_life__stays_on_its_way),
        WIRED(strange_answer__abort_ends_it_all_the_same),
        WIRED(unit__removed_before_its_abort_is_answered__is_not_touched_again),
        ALONE(away_at_first__made_all_the_same__known_when_it_comes),
        ALONE(no_unit_at_first__asked_again__is_one),
        WIRED(bursts__of_several_threads__each_command_is_sent_and_answered),
        WIRED(P1__burst__a_write_in_it_goes_alone),
        WIRED(P1__bursts__session_lost_in_them__nothing_is_sent_again),
        WIRED(burst__its_thread_waits__is_sent_before),
        WIRED(burst__closed_after_its_unit_is_gone__does_nothing),
        WIRED(units_changed__one_tells__all_are_looked_at),
        ALONE(login_refused__away_with_the_reason__there_when_it_is_let_in),
        ALONE(login_refused__needed_now__is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
