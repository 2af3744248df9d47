/*
 * t_iscsi_login.c - tests for src/port/iscsi_login.c, against two targets in this
 * process: logins that are sent on, and a unit that its target takes away.
 *
 * Expectations: RFC 7143, 11.13.5 (status 0101 for now, 0102 for good), SPC
 * (LOGICAL UNIT NOT SUPPORTED), and the man page on what is tried when.
 *
 * SPDX-License-Identifier: MIT
 */
/* Before ntddk.h, whose macros are libiscsi's constants. */
#include "port/iscsi.h"

#include "support.h"

#include "target.h"

struct move {
    struct target home, other;
    char elsewhere[64];
    PDRIVER_OBJECT driver;
    PDEVICE_OBJECT pdo;
    char text[256];
    LONG turns; /* atomic */
};

static void
turned(void *context)
{
    struct move *move = context;

    InterlockedIncrement(&move->turns);
}

static void
add_unit(struct move *move)
{
    char url[128];

    snprintf(url, sizeof url, "iscsi://127.0.0.1:%d/" TARGET_NAME "/1",
             move->home.port);
    assert_int_equal(port_add_iscsi(move->driver,
                                    &(struct port_iscsi_config){
                                        .url = url,
                                        .initiator = "iqn.2026-11.reinsert:t",
                                        .user = "",
                                        .secret = "",
                                        .turned = turned,
                                        .context = move,
                                        .may_be_away = true,
                                        .out_text = move->text,
                                        .text_max = sizeof move->text,
                                    },
                                    "move", &move->pdo),
                     STATUS_SUCCESS);
}

static int
move_new(void **state)
{
    struct move *move = calloc(1, sizeof *move);

    target_start(&move->home);
    target_start(&move->other);
    snprintf(move->elsewhere, sizeof move->elsewhere, "127.0.0.1:%d",
             move->other.port);
    move->home.elsewhere = move->elsewhere;
    assert_int_equal(io_init(), STATUS_SUCCESS);
    assert_int_equal(io_load_driver("port", port_driver_entry, &move->driver),
                     STATUS_SUCCESS);
    *state = move;
    return 0;
}

static int
move_free(void **state)
{
    struct move *move = *state;

    if (move->pdo != NULL)
        port_remove_unit(move->pdo);
    target_stop(&move->home);
    if (!move->other.stop)
        target_stop(&move->other);
    io_unload_driver(move->driver);
    io_shutdown();
    free(move);
    return 0;
}

#define MOVED(name) cmocka_unit_test_setup_teardown(name, move_new, move_free)

static struct port_unit_info
info(struct move *move)
{
    struct port_unit_info now;

    port_unit_info(move->pdo, &now);
    return now;
}

static void
refuse(struct target *target, unsigned status)
{
    __atomic_store_n(&target->refuse, status, __ATOMIC_RELEASE);
}

static unsigned
attempts(struct target *target)
{
    return __atomic_load_n(&target->attempts, __ATOMIC_ACQUIRE);
}

static unsigned
sessions(struct target *target)
{
    return __atomic_load_n(&target->sessions, __ATOMIC_ACQUIRE);
}

/* 0101 is of one attempt: each begins where the configuration says. */
static void
sent_on__for_now__followed__and_each_time_from_home(void **state)
{
    struct move *move = *state;

    refuse(&move->home, 0x0101);
    add_unit(move);
    assert_true(port_unit_known(move->pdo));
    assert_int_equal(attempts(&move->home), 1);
    assert_int_equal(sessions(&move->other), 1);
    assert_int_equal(sessions(&move->home), 0);
    target_stop(&move->other);
    target_start(&move->other);
    UNTIL(sessions(&move->other) == 2);
    UNTIL(!info(move).away); /* and knows it */
    assert_true(attempts(&move->home) >= 2);
    target_stop(&move->other);
    UNTIL(info(move).away);
    refuse(&move->home, 0);
    UNTIL(!info(move).away);
    assert_int_equal(sessions(&move->home), 1);
}

/* 0102: the next attempt begins there; and from home again when it fails. */
static void
sent_on__for_good__begins_there__and_at_home_when_that_fails(void **state)
{
    struct move *move = *state;

    refuse(&move->home, 0x0102);
    add_unit(move);
    assert_true(port_unit_known(move->pdo));
    assert_int_equal(attempts(&move->home), 1);
    target_stop(&move->other);
    target_start(&move->other);
    UNTIL(sessions(&move->other) >= 2);
    refuse(&move->home, 0);
    target_stop(&move->other);
    UNTIL(!info(move).away && sessions(&move->home) == 1);
    /* It has come home: the other one is not asked any more. */
    target_start(&move->other);
    target_stop(&move->home);
    UNTIL(info(move).away);
    target_start(&move->home);
    UNTIL(sessions(&move->home) == 2);
    assert_int_equal(attempts(&move->other), 0);
}

static void
sent_on__in_a_circle__ends__with_the_reason(void **state)
{
    struct move *move = *state;
    char back[64];

    snprintf(back, sizeof back, "127.0.0.1:%d", move->home.port);
    move->other.elsewhere = back;
    refuse(&move->home, 0x0101);
    refuse(&move->other, 0x0102);
    add_unit(move);
    assert_false(port_unit_known(move->pdo));
    assert_non_null(strstr(move->text, "again and again"));
    assert_true(info(move).away && info(move).refused);
    /* Five at once; there may have been a second round meanwhile. */
    assert_true(attempts(&move->home) + attempts(&move->other) >= 5);
    assert_true(attempts(&move->home) + attempts(&move->other) <= 10);
    refuse(&move->home, 0);
    UNTIL(!info(move).away);
}

static void
sent_on__to_nowhere__away__with_the_reason(void **state)
{
    static const struct {
        const char *address, *says;
    } cases[] = {
        { NULL, "(0101): it is served at another portal for now, which it does "
                "not name" },
        { "two words", "the address that it gives is none" },
        { "127.0.0.1:1", "sent on to 127.0.0.1:1: " },
    };
    struct move *move = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        move->home.elsewhere = cases[i].address;
        refuse(&move->home, 0x0101);
        add_unit(move);
        assert_non_null(strstr(move->text, cases[i].says));
        assert_true(info(move).away);
        refuse(&move->home, 0);
        UNTIL(!info(move).away);
        port_remove_unit(move->pdo);
        move->pdo = NULL;
    }
}

/* --- a unit that is taken away ------------------------------------------------- */

static bool
no_such_unit(struct target *target, const struct pdu *in)
{
    static const uint8_t sense[18] = { 0x70, 0, 5, [7] = 10, [12] = 0x25 };

    return in->head[32] == 0x00 && target_respond(target, in, 2, sense, 18);
}

static void
test_ready(struct move *move, struct call *call)
{
    call_cdb(call, FREE, CDB_OF(0, 0, 0, 0, 0, 0));
    call_send(call, move->pdo);
    call_wait(call);
}

/* Its medium is absent, as if there were no way to it; when it is back it may be
 * another one. */
static void
P1__unit_taken_away__absent__and_back_it_may_be_another(void **state)
{
    struct move *move = *state;
    char why[128];
    struct call call;
    LONG turns;

    add_unit(move);
    test_ready(move, &call);
    assert_int_equal(SRB_STATUS(call.srb.SrbStatus), SRB_STATUS_SUCCESS);
    assert_false(info(move).away);
    turns = __atomic_load_n(&move->turns, __ATOMIC_ACQUIRE);
    __atomic_store_n(&move->home.command, no_such_unit, __ATOMIC_RELEASE);
    test_ready(move, &call);
    assert_int_equal(SRB_STATUS(call.srb.SrbStatus),
                     SRB_STATUS_SELECTION_TIMEOUT);
    assert_true(info(move).away && info(move).gone);
    port_unit_why(move->pdo, why, sizeof why);
    assert_non_null(strstr(why, "no such unit"));
    UNTIL(__atomic_load_n(&move->turns, __ATOMIC_ACQUIRE) > turns);
    /* INQUIRY is answered for units that are not there, too. */
    call_cdb(&call, FREE | SRB_FLAGS_DATA_IN,
             CDB_OF(0x12, 0, 0, 0, sizeof why, 0));
    call.srb.DataBuffer = why;
    call.srb.DataTransferLength = sizeof why;
    call_send(&call, move->pdo);
    call_wait(&call);
    assert_true(info(move).gone);
    __atomic_store_n(&move->home.command, NULL, __ATOMIC_RELEASE);
    call_cdb(&call, FREE, CDB_OF(0, 0, 0, 0, 0, 0));
    call.srb.QueueSortKey = 1;
    call_send(&call, move->pdo);
    call_wait(&call);
    assert_int_equal(SRB_STATUS(call.srb.SrbStatus),
                     SRB_STATUS_REQUEST_FLUSHED);
    test_ready(move, &call);
    assert_int_equal(SRB_STATUS(call.srb.SrbStatus), SRB_STATUS_SUCCESS);
    assert_false(info(move).away || info(move).gone);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        MOVED(sent_on__for_now__followed__and_each_time_from_home),
        MOVED(sent_on__for_good__begins_there__and_at_home_when_that_fails),
        MOVED(sent_on__in_a_circle__ends__with_the_reason),
        MOVED(sent_on__to_nowhere__away__with_the_reason),
        MOVED(P1__unit_taken_away__absent__and_back_it_may_be_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
