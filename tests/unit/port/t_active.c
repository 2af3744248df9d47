/* Tests for src/port/active.c: commands that are not answered at once.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include <pthread.h>

#include "base/fault.h"

static void
delayed__answered_later__pending_then_success(void **state)
{
    struct rig *rig = *state;
    struct call call;

    settle(rig);
    rule(rig, "at 1 read do delay 30");
    read_block(rig, &call, 0, 0, 0);
    call_send(&call, rig->pdo);
    assert_int_equal(call.returned, STATUS_PENDING);
    call_wait(&call);
    assert_true(call.pending_returned);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
    assert_int_equal(rig->data[0], 'a');
    assert_int_equal(info_of(rig).waiting, 0);
}

static void
lost__time_limit_over__timeout_and_frozen(void **state)
{
    struct rig *rig = *state;
    struct call call;

    settle(rig);
    clock_manual(true);
    rule(rig, "at 1 read do lose");
    read_block(rig, &call, 0, 0, 0);
    call.srb.TimeOutValue = 7;
    call_send(&call, rig->pdo);
    clock_advance_ms(6900);
    usleep(20000);
    assert_true(call_waits(&call));
    assert_int_equal(info_of(rig).waiting, 1);
    clock_advance_ms(200);
    call_wait(&call);
    assert_int_equal(call.srb.SrbStatus,
                     SRB_STATUS_TIMEOUT | SRB_STATUS_QUEUE_FROZEN);
    assert_int_equal(call.io.Status, STATUS_IO_TIMEOUT);
    assert_int_equal(call.io.Information, 0);
    function(rig, SRB_FUNCTION_RELEASE_QUEUE);
}

static void
lost__several__each_at_its_own_time(void **state)
{
    struct rig *rig = *state;
    struct call call[3];

    settle(rig);
    clock_manual(true);
    rule(rig, "at * read do lose");
    for (int i = 0; i < 3; i++) {
        read_block(rig, &call[i], FREE, 0, 0);
        call[i].srb.TimeOutValue = (ULONG[]){ 20, 5, 10 }[i];
        call_send(&call[i], rig->pdo);
    }
    clock_advance_ms(5100);
    call_wait(&call[1]);
    assert_true(call_waits(&call[0]));
    assert_true(call_waits(&call[2]));
    clock_advance_ms(5000);
    call_wait(&call[2]);
    assert_true(call_waits(&call[0]));
    clock_advance_ms(10000);
    call_wait(&call[0]);
    assert_int_equal(call[0].srb.SrbStatus, SRB_STATUS_TIMEOUT);
}

static void
lost__no_time_limit__waits_for_abort(void **state)
{
    struct rig *rig = *state;
    struct call call, abort_;

    settle(rig);
    clock_manual(true);
    rule(rig, "at 1 read do lose");
    read_block(rig, &call, FREE, 0, 0);
    call.srb.TimeOutValue = 0;
    call_send(&call, rig->pdo);
    clock_advance_ms(1000000);
    usleep(20000);
    assert_true(call_waits(&call));
    call_prepare(&abort_, SRB_FUNCTION_ABORT_COMMAND, 0);
    abort_.srb.NextSrb = &call.srb;
    run(rig, &abort_);
    assert_int_equal(abort_.srb.SrbStatus, SRB_STATUS_SUCCESS);
    call_wait(&call);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_ABORTED);
}

static void
lost__cancelled__completes(void **state)
{
    struct rig *rig = *state;
    struct call call;

    settle(rig);
    rule(rig, "at 1 read do lose");
    read_block(rig, &call, FREE, 0, 0);
    call_send(&call, rig->pdo);
    assert_true(IoCancelIrp(call.irp));
    call_wait(&call);
    assert_int_equal(call.io.Status, STATUS_CANCELLED);
    assert_int_equal(call.io.Information, 0);
}

static void
lost__reset__bus_reset(void **state)
{
    struct rig *rig = *state;
    const UCHAR codes[] = { SRB_FUNCTION_RESET_BUS, SRB_FUNCTION_RESET_DEVICE,
                            SRB_FUNCTION_RESET_LOGICAL_UNIT };
    struct call call;

    rule(rig, "at * read do lose");
    for (int i = 0; i < 3; i++) {
        settle(rig);
        read_block(rig, &call, FREE, 0, 0);
        call_send(&call, rig->pdo);
        assert_true(call_waits(&call));
        assert_int_equal(function(rig, codes[i]), SRB_STATUS_SUCCESS);
        call_wait(&call);
        assert_int_equal(call.srb.SrbStatus, SRB_STATUS_BUS_RESET);
    }
}

static void
removed__everything_that_waits__no_device(void **state)
{
    struct rig *rig = *state;
    struct call lost, queued, event;

    settle(rig);
    rule(rig, "at 1 read do lose");
    read_block(rig, &lost, FREE, 0, 0);
    call_send(&lost, rig->pdo);
    call_prepare(&event, SRB_FUNCTION_RECEIVE_EVENT, 0);
    call_send(&event, rig->pdo);
    function(rig, SRB_FUNCTION_LOCK_QUEUE);
    tur(&queued, FREE);
    call_send(&queued, rig->pdo);
    port_remove_unit(rig->pdo);
    rig->pdo = NULL;
    call_wait(&lost);
    call_wait(&queued);
    call_wait(&event);
    assert_int_equal(lost.srb.SrbStatus, SRB_STATUS_NO_DEVICE);
    assert_int_equal(queued.srb.SrbStatus, SRB_STATUS_NO_DEVICE);
    assert_int_equal(event.srb.SrbStatus, SRB_STATUS_NO_DEVICE);
}

/* --- answers, aborts, cancels and time limits at once ------------------------- */

enum { THREADS = 4, ROUNDS = 400 };

static struct rig *shared;
static LONG finished;

static void *
worker(void *context)
{
    unsigned seed = (unsigned) (uintptr_t) context;
    struct call call;
    UCHAR *data = malloc(512);

    for (int i = 0; i < ROUNDS; i++) {
        read_block(shared, &call, FREE, (UCHAR) i, 0);
        call.srb.DataBuffer = data;
        call.srb.TimeOutValue = 1;
        call_send(&call, shared->pdo);
        if (call.returned == STATUS_PENDING && rand_r(&seed) % 2 == 0)
            IoCancelIrp(call.irp);
        call_wait(&call);
        assert_true(call.io.Status == STATUS_SUCCESS ||
                    call.io.Status == STATUS_CANCELLED ||
                    call.io.Status == STATUS_IO_TIMEOUT ||
                    call.io.Status == STATUS_IO_DEVICE_ERROR);
    }
    free(data);
    InterlockedIncrement(&finished);
    return NULL;
}

static void *
disturber(void *context)
{
    while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) < THREADS) {
        function(shared, SRB_FUNCTION_RESET_DEVICE);
        function(shared, SRB_FUNCTION_LOCK_QUEUE);
        usleep(300);
        function(shared, SRB_FUNCTION_UNLOCK_QUEUE);
        usleep(2000);
    }
    return NULL;
}

static void
race__answers_cancels_resets_locks__each_request_once(void **state)
{
    pthread_t threads[THREADS + 1];

    shared = *state;
    finished = 0;
    settle(shared);
    rule(shared, "at * read do delay 1");
    for (uintptr_t i = 0; i <= THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL,
                                        i < THREADS ? worker : disturber,
                                        (void *) (i + 1)),
                         0);
    for (int i = 0; i <= THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(info_of(shared).waiting, 0);
}

static void
no_memory__for_the_record__internal_error(void **state)
{
    struct rig *rig = *state;
    struct call call[20];
    int failed = 0;

    settle(rig);
    rule(rig, "at * read do lose");
    fault_set("srb", 1, true);
    for (int i = 0; i < 20; i++) {
        read_block(rig, &call[i], FREE, 0, 0);
        call_send(&call[i], rig->pdo);
        if (call[i].returned == STATUS_PENDING)
            continue;
        failed++;
        assert_int_equal(call[i].srb.SrbStatus, SRB_STATUS_INTERNAL_ERROR);
        assert_int_equal((NTSTATUS) call[i].srb.InternalStatus,
                         STATUS_INSUFFICIENT_RESOURCES);
        assert_int_equal(call[i].io.Status, STATUS_INSUFFICIENT_RESOURCES);
    }
    fault_clear();
    for (int i = 0; i < 20; i++) {
        if (call[i].returned == STATUS_PENDING)
            IoCancelIrp(call[i].irp);
        call_wait(&call[i]);
    }
    /* The few that the thread had kept served on. */
    assert_in_range(failed, 4, caches() ? 19 : 20);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(delayed__answered_later__pending_then_success),
        TEST(lost__time_limit_over__timeout_and_frozen),
        TEST(lost__several__each_at_its_own_time),
        TEST(lost__no_time_limit__waits_for_abort),
        TEST(lost__cancelled__completes),
        TEST(lost__reset__bus_reset),
        TEST(removed__everything_that_waits__no_device),
        TEST(race__answers_cancels_resets_locks__each_request_once),
        TEST(no_memory__for_the_record__internal_error),
    };

    return cmocka_run_group_tests_name("port active", tests, NULL, NULL);
}
