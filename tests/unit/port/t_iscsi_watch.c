/*
 * t_iscsi_watch.c - answers of an iSCSI session, taken in by a thread that
 * sleeps in a poll of its own (src/base/watch.h); against the scripted target.
 *
 * Expectations: watch.h and reinsert.h on what a watcher promises and gets, RFC
 * 7143 on sessions, and promise P1: a session that is lost loses what was on its
 * way, whoever notices.
 *
 * SPDX-License-Identifier: MIT
 */
/* Before ntddk.h, whose macros are libiscsi's constants. */
#include "port/iscsi.h"

#include "wire.h"

#include <poll.h>

#include "base/watch.h"

#define LIMIT_MS 60000 /* only ends a hang */

static bool
have_ended(struct call *calls, unsigned count)
{
    for (unsigned n = 0; n < count; n++)
        if (KeReadStateEvent(&calls[n].done) == 0)
            return false;
    return true;
}

/* As a connection's thread does it; that one is told of answers which the
 * session's thread took in, as it still may.  How often there was something. */
static unsigned
watch_until_ended(struct call *calls, unsigned count)
{
    unsigned some = 0;

    for (unsigned i = 0; !have_ended(calls, count); i++) {
        struct pollfd polls = { .fd = watch_fd(), .events = POLLIN };

        assert_true(i < LIMIT_MS);
        poll(&polls, 1, polls.fd >= 0 ? 5 : 1);
        if (polls.revents != 0)
            some += watch_take();
    }
    return some;
}

static void
end_calls(struct call *calls, unsigned count)
{
    for (unsigned n = 0; n < count; n++)
        call_wait(&calls[n]);
}

/* Not with the first burst, if the session's thread is busy just then. */
static void
watch_wire(struct wire *wire)
{
    struct call call;

    for (unsigned i = 0; watch_fd() < 0; i++) {
        assert_true(i < 1000);
        send_reads(wire, &call, 1);
        watch_until_ended(&call, 1);
        call_wait(&call);
    }
}

static void
watcher__reads__takes_in_the_answers_itself(void **state)
{
    struct wire *wire = *state;
    struct call calls[8];
    unsigned some = 0, rounds = 0, before;

    watch_begin();
    assert_int_equal(watch_fd(), -1);
    watch_wire(wire);
    before = sent(wire, 0x28);
    /* The session's thread may be quicker, now and then. */
    while (rounds < 50 || (some < 40 && rounds < 5000)) {
        rounds++;
        send_reads(wire, calls, 8);
        assert_true(watch_fd() >= 0);
        some += watch_until_ended(calls, 8);
        end_calls(calls, 8);
        for (unsigned n = 0; n < 8; n++) {
            assert_int_equal(calls[n].srb.SrbStatus, SRB_STATUS_SUCCESS);
            assert_int_equal(wire->data[n][1023], 'd');
        }
    }
    assert_true(some >= 40);
    assert_int_equal(sent(wire, 0x28), before + rounds * 8);
    watch_end();
}

/* Nobody polls then but the session's own thread. */
static void
watcher__waits_for_its_own_answer__gets_it(void **state)
{
    struct wire *wire = *state;
    struct call calls[4];

    watch_begin();
    for (unsigned round = 0; round < 20; round++) {
        watch_wire(wire);
        send_reads(wire, calls, 4);
        for (unsigned n = 0; n < 4; n++) {
            assert_int_equal(
                KeWaitForSingleObject(
                    &calls[n].done, Executive, KernelMode, FALSE,
                    &(LARGE_INTEGER){ .QuadPart = -10000ll * LIMIT_MS }),
                STATUS_SUCCESS);
            assert_int_equal(calls[n].srb.SrbStatus, SRB_STATUS_SUCCESS);
        }
        end_calls(calls, 4);
    }
    watch_end();
}

static void
watcher__ends_with_answers_outstanding__they_come(void **state)
{
    struct wire *wire = *state;
    struct call calls[4];

    for (unsigned round = 0; round < 20; round++) {
        watch_begin();
        send_reads(wire, calls, 4);
        watch_end();
        UNTIL(have_ended(calls, 4));
        end_calls(calls, 4);
    }
    assert_int_equal(sent(wire, 0x28), 20 * 4);
}

static void *
watches(void *context)
{
    struct wire *wire = context;
    struct call calls[4];

    watch_begin();
    for (unsigned round = 0; round < 200; round++) {
        send_reads(wire, calls, 4);
        watch_until_ended(calls, 4);
        end_calls(calls, 4);
        for (unsigned n = 0; n < 4; n++)
            if (calls[n].srb.SrbStatus != SRB_STATUS_SUCCESS)
                return context;
    }
    watch_end();
    return NULL;
}

/* One at a time watches; the others' answers come all the same. */
static void
watchers__several__every_command_is_answered(void **state)
{
    struct wire *wire = *state;
    pthread_t others[2];
    struct call call;
    void *failed;

    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&others[i], NULL, watches, wire), 0);
    for (unsigned i = 0; i < 200; i++) {
        tur(&call, FREE);
        give(&call, wire);
        assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
    }
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(others[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(sent(wire, 0x28), 2 * 200 * 4);
}

static void
P1__session_lost_while_watched__ends_and_nothing_is_sent_again(void **state)
{
    struct wire *wire = *state;
    struct call calls[8];

    watch_begin();
    for (unsigned round = 0; round < 5; round++) {
        unsigned before;

        watch_wire(wire);
        before = sent(wire, 0x28);
        answers_by(wire, hangs_up);
        send_reads(wire, calls, 8);
        watch_until_ended(calls, 8);
        end_calls(calls, 8);
        for (unsigned n = 0; n < 8; n++)
            assert_lost_with_session(&calls[n]);
        assert_int_equal(sent(wire, 0x28), before + 1);
        assert_int_equal(watch_fd(), -1);
        answers_by(wire, NULL);
        UNTIL(!info_of(&(struct rig){ .pdo = wire->pdo }).away);
    }
    watch_end();
}

#define MUCH (512u * 1024)

/* All of it anew, once what comes by itself is there. */
static bool
asks_for_all(struct target *target, const struct pdu *in)
{
    if (in->head[32] != 0x2A)
        return false;
    if (in->head[1] & 0x80)
        target_ask(target, in, 0, MUCH);
    return true;
}

static void
asks_or_thanks(struct target *target, const struct pdu *in)
{
    static const uint8_t by_itself[4] = { 0xFF, 0xFF, 0xFF, 0xFF };

    if (memcmp(in->head + 20, by_itself, 4) == 0)
        target_ask(target, in, 0, MUCH);
    else
        target_respond(target, in, 0, NULL, 0);
}

/* More than the connection takes at once: who asks for the rest hears of it
 * when there is room again, and that is nothing to read. */
static void
watcher__sends_much_that_is_asked_for__goes_out_at_once(void **state)
{
    struct wire *wire = *state;
    void *data = calloc(1, MUCH);
    unsigned slow = 0;
    LONGLONG before;
    struct call call;

    assert_non_null(data);
    watch_begin();
    answers_by(wire, asks_for_all);
    __atomic_store_n(&wire->target.data_out, asks_or_thanks, __ATOMIC_RELEASE);
    for (unsigned round = 0; round < 8; round++) {
        watch_wire(wire);
        call_cdb(&call, FREE | SRB_FLAGS_DATA_OUT,
                 CDB_OF(0x2A, 0, 0, 0, 0, 0, 0, MUCH / 512 >> 8, 0, 0));
        call.srb.DataBuffer = data;
        call.srb.DataTransferLength = MUCH;
        before = KeQueryInterruptTime();
        burst_begin(BURST_REQUESTS);
        call_send(&call, wire->pdo);
        burst_end(BURST_REQUESTS);
        watch_until_ended(&call, 1);
        call_wait(&call);
        assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
        slow += (LONGLONG) KeQueryInterruptTime() - before > 4000 * 10000ll;
    }
    /* The next sign of life would take it along, after five seconds each. */
    assert_true(slow < 4);
    watch_end();
    free(data);
}

static bool
answers_and_hangs_up(struct target *target, const struct pdu *in)
{
    target_honest(target, in);
    target_hang_up(target);
    return true;
}

/* FALSE: after so long that a sign of life may have told, which is asked for
 * every five seconds. */
static bool
is_noticed_at_once(struct wire *wire)
{
    LONG before;
    struct call call;
    uint64_t start;
    bool at_once;

    watch_wire(wire);
    before = InterlockedOr(&wire->turns, 0);
    answers_by(wire, answers_and_hangs_up);
    start = clock_now_ns();
    send_reads(wire, &call, 1);
    UNTIL(InterlockedOr(&wire->turns, 0) != before);
    at_once = clock_now_ns() - start < 4000000000u;
    assert_int_equal(watch_fd(), -1);
    call_wait(&call);
    answers_by(wire, NULL);
    return at_once;
}

/* The watcher does something else, and the session's thread does not wait for
 * answers.  A machine that is busy for seconds gets another chance. */
static void
P1__session_lost_while_nobody_takes_answers__noticed_at_once(void **state)
{
    struct wire *wire = *state;
    bool at_once = false;

    watch_begin();
    for (unsigned i = 0; i < 6 && !at_once; i++) {
        UNTIL(!info_of(&(struct rig){ .pdo = wire->pdo }).away);
        at_once = is_noticed_at_once(wire);
    }
    assert_true(at_once);
    watch_end();
}

/* It does not answer the abort either: the session's thread gives it up, and
 * the target hears of it although the watcher has the socket. */
static void
P1__target_falls_silent__a_sleeping_watcher_does_not_hold_the_connection(
    void **state)
{
    struct wire *wire = *state;
    struct pollfd polls = { .events = POLLIN };
    struct call call;

    watch_begin();
    watch_wire(wire);
    __atomic_store_n(&wire->target.deaf, true, __ATOMIC_RELEASE);
    send_reads(wire, &call, 1);
    call.srb.TimeOutValue = 1;
    polls.fd = watch_fd();
    assert_true(polls.fd >= 0);
    IoCancelIrp(call.irp);
    assert_int_equal(poll(&polls, 1, LIMIT_MS), 1);
    __atomic_store_n(&wire->target.deaf, false, __ATOMIC_RELEASE);
    UNTIL(watch_fd() < 0);
    call_wait(&call);
    assert_int_not_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
    UNTIL(__atomic_load_n(&wire->target.sessions, __ATOMIC_ACQUIRE) >= 2);
    watch_end();
}

static void
unit__removed_while_watched__nothing_is_left_to_watch(void **state)
{
    struct wire *wire = *state;

    watch_begin();
    watch_wire(wire);
    port_remove_unit(wire->pdo);
    wire->pdo = NULL;
    assert_int_equal(watch_fd(), -1);
    assert_false(watch_take());
    watch_end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WIRED(watcher__reads__takes_in_the_answers_itself),
        WIRED(watcher__waits_for_its_own_answer__gets_it),
        WIRED(watcher__ends_with_answers_outstanding__they_come),
        WIRED(watchers__several__every_command_is_answered),
        WIRED(watcher__sends_much_that_is_asked_for__goes_out_at_once),
        WIRED(P1__session_lost_while_watched__ends_and_nothing_is_sent_again),
        WIRED(P1__session_lost_while_nobody_takes_answers__noticed_at_once),
        WIRED(
            P1__target_falls_silent__a_sleeping_watcher_does_not_hold_the_connection),
        WIRED(unit__removed_while_watched__nothing_is_left_to_watch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
