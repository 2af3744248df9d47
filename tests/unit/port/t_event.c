/* Tests for src/port/event.c: SRB_FUNCTION_RECEIVE_EVENT.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

static void
prepare(struct call *call, ULONG *mask)
{
    *mask = 0;
    call_prepare(call, SRB_FUNCTION_RECEIVE_EVENT, 0);
    call->srb.DataBuffer = mask;
    call->srb.DataTransferLength = sizeof *mask;
}

static void
waits__until_a_medium_goes_and_comes(void **state)
{
    struct rig *rig = *state;
    struct call call;
    ULONG mask;

    settle(rig);
    prepare(&call, &mask);
    call_send(&call, rig->pdo);
    assert_true(call_waits(&call));
    vscsi_yank(rig->drive);
    call_wait(&call);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
    assert_true(mask & PORT_EVENT_REMOVED);

    prepare(&call, &mask);
    call_send(&call, rig->pdo);
    assert_true(call_waits(&call));
    insert(rig, rig->b);
    call_wait(&call);
    assert_true(mask & (PORT_EVENT_INSERTED | PORT_EVENT_READY));
}

static void
raised_before__remembered__next_completes_at_once(void **state)
{
    struct rig *rig = *state;
    struct call call;
    ULONG mask;

    vscsi_yank(rig->drive);
    insert(rig, rig->b);
    prepare(&call, &mask);
    call_send(&call, rig->pdo);
    assert_int_equal(call.returned, STATUS_SUCCESS);
    assert_int_equal(mask & PORT_EVENT_REMOVED, PORT_EVENT_REMOVED);
    assert_true(mask & PORT_EVENT_INSERTED);
    call_wait(&call);
    prepare(&call, &mask);
    call_send(&call, rig->pdo);
    assert_true(call_waits(&call));
    IoCancelIrp(call.irp);
    call_wait(&call);
    assert_int_equal(call.io.Status, STATUS_CANCELLED);
}

static void
second__while_one_waits__busy(void **state)
{
    struct rig *rig = *state;
    struct call first, second;
    ULONG mask;

    prepare(&first, &mask);
    call_send(&first, rig->pdo);
    call_prepare(&second, SRB_FUNCTION_RECEIVE_EVENT, 0);
    run(rig, &second);
    assert_int_equal(second.srb.SrbStatus, SRB_STATUS_BUSY);
    IoCancelIrp(first.irp);
    call_wait(&first);
}

static void
eject_button__with_removal_prevented__eject_event(void **state)
{
    struct rig *rig = *state;
    struct call call;
    ULONG mask;

    settle(rig);
    call_cdb(&call, FREE, CDB_OF(0x1E, 0, 0, 0, 1, 0));
    run(rig, &call);
    assert_true(info_of(rig).locked);
    prepare(&call, &mask);
    call_send(&call, rig->pdo);
    assert_int_equal(vscsi_press_eject(rig->drive), 0);
    call_wait(&call);
    assert_int_equal(mask, PORT_EVENT_EJECT);
}

static void
no_buffer__completes_all_the_same(void **state)
{
    struct rig *rig = *state;
    struct call call;

    call_prepare(&call, SRB_FUNCTION_RECEIVE_EVENT, 0);
    call_send(&call, rig->pdo);
    vscsi_yank(rig->drive);
    call_wait(&call);
    assert_int_equal(call.srb.SrbStatus, SRB_STATUS_SUCCESS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(waits__until_a_medium_goes_and_comes),
        TEST(raised_before__remembered__next_completes_at_once),
        TEST(second__while_one_waits__busy),
        TEST(eject_button__with_removal_prevented__eject_event),
        TEST(no_buffer__completes_all_the_same),
    };

    return cmocka_run_group_tests_name("port event", tests, NULL, NULL);
}
