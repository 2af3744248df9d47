/*
 * Inventory, locks, doors, labels, diagnostics.
 *
 * SPDX-License-Identifier: MIT
 */
#include "robot.h"

static NTSTATUS
initialize(int kind, unsigned first, unsigned count, bool scan)
{
    CHANGER_INITIALIZE_ELEMENT_STATUS in = {
        .ElementList = { { (ELEMENT_TYPE) kind, first }, count },
        .BarCodeScan = scan,
    };

    return ask(IOCTL_CHANGER_INITIALIZE_ELEMENT_STATUS, &in, sizeof in, 0);
}

static void
CT115_CT119__inventory_of_all__one_command_with_time_enough(void **state)
{
    (void) state;
    assert_status(initialize(AllElements, 0, 0, true), STATUS_SUCCESS);
    assert_int_equal(information, 16);
    assert_int_equal(robot_count(-1), 1);
    assert_int_equal(robot_seen(-1, 0)->cdb[0], 0x07);
    assert_int_equal(robot_seen(-1, 0)->timeout_s, 3600);
}

static void
CT116__a_part_without_such_a_command__refused(void **state)
{
    (void) state;
    assert_refused(initialize(SLOT, 0, 2, true), STATUS_INVALID_PARAMETER);
    assert_int_equal(robot_count(-1), 0);
}

static void
CT117_CT118__a_part__translated(void **state)
{
    const uint8_t *cdb;

    (void) state;
    robot.tells_commands = true;
    robot.lacks[0] = 0x37;
    robot_start();
    assert_status(initialize(SLOT, 2, 3, false), STATUS_SUCCESS);
    cdb = robot_seen(0xE7, 0)->cdb;
    assert_int_equal(cdb[1], 1);
    assert_int_equal(cdb[2] << 8 | cdb[3], 1002);
    assert_int_equal(cdb[6] << 8 | cdb[7], 3);
    assert_int_equal(cdb[9], 0x80);
    robot_forget();
    assert_status(initialize(SLOT, 2, 3, true), STATUS_SUCCESS);
    assert_int_equal(robot_seen(0xE7, 0)->cdb[9], 0);
    assert_int_equal(robot_count(-1), 1);
    assert_refused(initialize(SLOT, 7, 2, true),
                   STATUS_ILLEGAL_ELEMENT_ADDRESS);
    assert_refused(initialize(SLOT, 1, 0xFFFFFFFF, true),
                   STATUS_ILLEGAL_ELEMENT_ADDRESS);
}

static void
CT117__a_part__by_the_newer_command_if_there_is_one(void **state)
{
    (void) state;
    robot.tells_commands = true;
    robot_start();
    assert_status(initialize(DRIVE, 1, 1, true), STATUS_SUCCESS);
    assert_int_equal(robot_seen(-1, 0)->cdb[0], 0x37);
    assert_int_equal(robot_seen(-1, 0)->cdb[3], 501 & 0xff);
}

/* SPC-4: SUPPORT 101b; SAM-5: E7h is a maker's own. */
static void
a_part__such_a_code_means_something_else__refused(void **state)
{
    (void) state;
    robot.tells_commands = true;
    robot.lacks[0] = 0x37;
    robot.own_way = 0xE7;
    robot_start();
    assert_refused(initialize(SLOT, 2, 3, true), STATUS_INVALID_PARAMETER);
    assert_int_equal(robot_count(0xE7), 0);
}

static bool inventory_done;

static VOID NTAPI
inventory_thread(PVOID context)
{
    (void) context;
    (void) initialize(AllElements, 0, 0, true);
    __atomic_store_n(&inventory_done, true, __ATOMIC_RELEASE);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static void
CT119__long_inventory__readiness_is_answered_meanwhile(void **state)
{
    HANDLE thread;

    (void) state;
    inventory_done = false;
    robot_reply(&(struct reply){ .opcode = 0x07, .times = 1, .hold = true });
    (void) PsCreateSystemThread(&thread, 0, NULL, NULL, NULL, inventory_thread,
                                NULL);
    for (int i = 0;
         i < 600000 && !__atomic_load_n(&robot.held, __ATOMIC_ACQUIRE); i++)
        usleep(100);
    assert_non_null(robot.held);
    assert_status(io_device_control(robot.fdo, IOCTL_CHANGER_GET_STATUS, NULL,
                                    0, NULL, 0, 0, NULL),
                  STATUS_SUCCESS);
    assert_false(__atomic_load_n(&inventory_done, __ATOMIC_ACQUIRE));
    robot_release();
    for (int i = 0;
         i < 600000 && !__atomic_load_n(&inventory_done, __ATOMIC_ACQUIRE); i++)
        usleep(100);
    assert_true(inventory_done);
    ZwClose(thread);
}

/* --- locks ------------------------------------------------------------------- */

static void
CT17_CT120__door__prevent_and_allow(void **state)
{
    (void) state;
    assert_status(set_access(ChangerDoor, 0, LOCK_ELEMENT), STATUS_SUCCESS);
    assert_int_equal(information, 12);
    assert_int_equal(robot_seen(0x1E, 0)->cdb[4], 1);
    assert_status(set_access(ChangerDoor, 0, UNLOCK_ELEMENT), STATUS_SUCCESS);
    assert_int_equal(robot_seen(0x1E, 1)->cdb[4], 0);
    assert_int_equal(robot_count(-1), 2);
}

static void
CT121__extending_a_mail_slot_that_cannot__refused(void **state)
{
    (void) state;
    assert_refused(set_access(MAIL, 0, EXTEND_IEPORT),
                   STATUS_INVALID_DEVICE_REQUEST);
    assert_refused(set_access(MAIL, 0, RETRACT_IEPORT),
                   STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(robot_count(-1), 0);
}

static void
CT121__extending_a_mail_slot__its_address(void **state)
{
    (void) state;
    robot.tells_commands = true;
    robot_start();
    assert_status(set_access(MAIL, 1, EXTEND_IEPORT), STATUS_SUCCESS);
    assert_memory_equal(robot_seen(0x1B, 0)->cdb,
                        ((uint8_t[]){ 0x1B, 0, 0, 11, 0, 0 }), 6);
    assert_status(set_access(MAIL, 1, RETRACT_IEPORT), STATUS_SUCCESS);
    assert_int_equal(robot_seen(0x1B, 1)->cdb[4], 1);
}

static void
CT122__access_that_makes_no_sense__refused(void **state)
{
    (void) state;
    assert_refused(set_access(ChangerDoor, 0, 4), STATUS_INVALID_PARAMETER);
    assert_refused(set_access(ChangerDoor, 0, EXTEND_IEPORT),
                   STATUS_INVALID_PARAMETER);
    assert_refused(set_access(ChangerKeypad, 0, RETRACT_IEPORT),
                   STATUS_INVALID_PARAMETER);
    assert_int_equal(robot_count(-1), 0);
}

static void
CT123__locks__gone_with_the_handle(void **state)
{
    (void) state;
    assert_status(set_access(ChangerDoor, 0, LOCK_ELEMENT), STATUS_SUCCESS);
    assert_true(robot.prevented);
    robot_close();
    assert_false(robot.prevented);
    robot_forget();
    assert_status(robot_open(), STATUS_SUCCESS);
    robot_close();
    assert_int_equal(robot_count(-1), 0);
}

static void
CT123__reset__locked_again(void **state)
{
    (void) state;
    assert_status(set_access(MAIL, 0, LOCK_ELEMENT), STATUS_SUCCESS);
    robot.prevented = false; /* as a reset does */
    robot_forget();
    SENSE(0x00, 1, 6, 0x29, 0x02);
    assert_status(ask(IOCTL_CHANGER_GET_STATUS, NULL, 0, 0), STATUS_SUCCESS);
    assert_true(robot.prevented);
    assert_int_equal(robot_count(0x1E), 1);
}

/* --- labels -------------------------------------------------------------------- */

static NTSTATUS
query(ULONG action, const char *pattern, ULONG room)
{
    CHANGER_SEND_VOLUME_TAG_INFORMATION in = { { ChangerSlot, 0 }, action, "" };

    memset(in.VolumeIDTemplate, ' ', 32);
    memcpy(in.VolumeIDTemplate, pattern, strlen(pattern));
    return ask(IOCTL_CHANGER_QUERY_VOLUME_TAGS, &in, sizeof in, room);
}

static ULONG
found(void)
{
    return ((PREAD_ELEMENT_ADDRESS_INFO) answer)->NumberOfElements;
}

static void
CT124__asserting_a_label_where_one_can_only_search__refused(void **state)
{
    (void) state;
    assert_refused(query(ASSERT_PRIMARY, "X", 4096),
                   STATUS_INVALID_DEVICE_REQUEST);
    assert_refused(query(3, "X", 4096), STATUS_INVALID_DEVICE_REQUEST);
    assert_refused(query(99, "X", 4096), STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(robot_count(-1), 0);
}

static void
two_found(void)
{
    PREAD_ELEMENT_ADDRESS_INFO out = (PREAD_ELEMENT_ADDRESS_INFO) answer;

    assert_status(query(SEARCH_PRIMARY, "LTO00*", 204), STATUS_SUCCESS);
    assert_int_equal(found(), 2);
    assert_int_equal(information, 204);
    assert_int_equal(out->ElementStatus[0].Element.ElementAddress, 0);
    assert_memory_equal(out->ElementStatus[0].PrimaryVolumeID, "LTO001L6", 8);
    assert_status(query(SEARCH_PRIMARY, "LTO00*", 203), STATUS_SUCCESS);
    assert_int_equal(found(), 1);
    assert_int_equal(information, 104);
}

static void
CT125__search__by_ourselves(void **state)
{
    (void) state;
    two_found();
    assert_int_equal(robot_count(0xB6), 0);
    assert_status(query(SEARCH_PRI_NO_SEQ, "LTO00?L6", 4096), STATUS_SUCCESS);
    assert_int_equal(found(), 2);
    assert_status(query(SEARCH_ALL, "LTO004L6", 4096), STATUS_SUCCESS);
    assert_int_equal(found(), 1);
    assert_status(query(SEARCH_ALTERNATE, "LTO004L6", 4096), STATUS_SUCCESS);
    assert_int_equal(found(), 0);
}

static void
CT125__search__by_the_device(void **state)
{
    const struct seen *send;

    (void) state;
    robot.tells_commands = true;
    robot_start();
    two_found();
    send = robot_seen(0xB6, 0);
    assert_int_equal(send->cdb[1], SLOT);
    assert_int_equal(send->cdb[5], 1);
    assert_int_equal(send->cdb[9], 40);
    assert_memory_equal(send->out, "LTO00* ", 7);
    assert_int_equal(robot_seen(0xB5, 0)->cdb[1], 0x10 | SLOT);
    assert_int_equal(robot_count(0xB8), 0);
}

static void
CT126__no_match__success_with_none(void **state)
{
    (void) state;
    assert_status(query(SEARCH_PRIMARY, "NONE", 4096), STATUS_SUCCESS);
    assert_int_equal(found(), 0);
    assert_int_equal(information, 4);
}

static void
CT126__no_match_at_the_device__success_with_none(void **state)
{
    (void) state;
    robot.tells_commands = true;
    robot_start();
    assert_status(query(SEARCH_PRIMARY, "NONE", 4096), STATUS_SUCCESS);
    assert_int_equal(found(), 0);
    assert_int_equal(information, 4);
}

/* --- diagnostics ------------------------------------------------------------------ */

/* As management instrumentation would ask. */
static NTSTATUS
diagnose(ULONG *out_problem)
{
    const MCD_INIT_DATA *mcd = IoGetDriverObjectExtension(
        robot.driver, (PVOID) ChangerClassInitialize);
    WMI_CHANGER_PROBLEM_DEVICE_ERROR out = { 99 };
    NTSTATUS status = mcd->ChangerPerformDiagnostics(robot.fdo, &out);

    *out_problem = out.ChangerProblemType;
    return status;
}

static void
CT127__diagnostics__healthy_or_the_problem(void **state)
{
    ULONG problem;

    (void) state;
    assert_status(diagnose(&problem), STATUS_SUCCESS);
    assert_int_equal(problem, DeviceProblemNone);
    SENSE(0x1D, 1, 4, 0x44, 0x00);
    assert_status(diagnose(&problem), STATUS_SUCCESS);
    assert_int_equal(problem, DeviceProblemTargetFailure);
    SENSE(0x1D, 1, 4, 0x15, 0x01);
    assert_status(diagnose(&problem), STATUS_SUCCESS);
    assert_int_equal(problem, DeviceProblemPositionError);
    robot.lacks[0] = 0x1D;
    robot_forget();
    SENSE(0x00, 1, 2, 0x04, 0x18);
    assert_status(diagnose(&problem), STATUS_SUCCESS);
    assert_int_equal(problem, DeviceProblemDoorOpen);
    assert_status(diagnose(&problem), STATUS_SUCCESS);
    assert_int_equal(problem, DeviceProblemNone);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(CT115_CT119__inventory_of_all__one_command_with_time_enough),
        TEST(CT116__a_part_without_such_a_command__refused),
        TEST_COLD(CT117_CT118__a_part__translated),
        TEST_COLD(CT117__a_part__by_the_newer_command_if_there_is_one),
        TEST_COLD(a_part__such_a_code_means_something_else__refused),
        TEST(CT119__long_inventory__readiness_is_answered_meanwhile),
        TEST(CT17_CT120__door__prevent_and_allow),
        TEST(CT121__extending_a_mail_slot_that_cannot__refused),
        TEST_COLD(CT121__extending_a_mail_slot__its_address),
        TEST(CT122__access_that_makes_no_sense__refused),
        TEST(CT123__locks__gone_with_the_handle),
        TEST(CT123__reset__locked_again),
        TEST(CT124__asserting_a_label_where_one_can_only_search__refused),
        TEST(CT125__search__by_ourselves),
        TEST_COLD(CT125__search__by_the_device),
        TEST(CT126__no_match__success_with_none),
        TEST_COLD(CT126__no_match_at_the_device__success_with_none),
        TEST(CT127__diagnostics__healthy_or_the_problem),
    };

    return cmocka_run_group_tests(tests, robot_begin, robot_end);
}
