/*
 * Registration, start, open and close of changers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "probe.h"

static void
CT1__init_data__is_laid_out_as_documented(void **state)
{
    (void) state;
    assert_int_equal(sizeof(MCD_INIT_DATA), 128);
    assert_int_equal(offsetof(MCD_INIT_DATA, ChangerAdditionalExtensionSize),
                     8);
    assert_int_equal(offsetof(MCD_INIT_DATA, ChangerInitialize), 16);
    assert_int_equal(offsetof(MCD_INIT_DATA, ChangerError), 24);
    assert_int_equal(offsetof(MCD_INIT_DATA, ChangerMoveMedium), 104);
    assert_int_equal(offsetof(MCD_INIT_DATA, ChangerQueryVolumeTags), 120);
}

static MCD_INIT_DATA offered;
static NTSTATUS offered_status;

static NTSTATUS NTAPI
offering_entry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    offered_status = ChangerClassInitialize(driver, path, &offered);
    return offered_status;
}

static NTSTATUS
offer(void)
{
    PDRIVER_OBJECT driver = NULL;

    if (NT_SUCCESS(io_load_driver("offering", offering_entry, &driver)))
        io_unload_driver(driver);
    return offered_status;
}

static void
CT2__wrong_size__refused(void **state)
{
    static const ULONG sizes[] = { 0, 120, 127 };

    (void) state;
    for (size_t i = 0; i < ARRAYSIZE(sizes); i++) {
        offered = probe_data;
        offered.InitDataSize = sizes[i];
        assert_status(offer(), STATUS_INVALID_PARAMETER);
    }
    offered = probe_data;
    assert_status(offer(), STATUS_SUCCESS);
}

static void
CT3__entry_missing__refused(void **state)
{
    (void) state;
    for (size_t at = 8; at < sizeof(MCD_INIT_DATA); at += sizeof(PVOID)) {
        offered = probe_data;
        memset((char *) &offered + at, 0, sizeof(PVOID));
        assert_status(offer(), STATUS_INVALID_PARAMETER);
    }
}

static void
CT4_CT5_CT6__start__in_order_with_a_clean_extension(void **state)
{
    (void) state;
    /* probe_entry has overwritten what it registered. */
    assert_status(robot_try_start(probe_driver), STATUS_SUCCESS);
    assert_int_equal(probe_calls("initialize"), 1);
    assert_int_equal(probe_calls(NULL), 1);
    assert_true(probe.clean);
    assert_status(robot_open(), STATUS_SUCCESS);
    assert_status(ask(IOCTL_CHANGER_GET_STATUS, NULL, 0, 0), STATUS_SUCCESS);
    assert_int_equal(probe_calls("status"), 1);
}

static PDRIVER_OBJECT counted_driver;

static NTSTATUS NTAPI
counted_entry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    MCD_INIT_DATA data = probe_data;

    return ChangerClassInitialize(driver, path, &data);
}

static void
CT5__extension_size__asked_once_before_everything(void **state)
{
    (void) state;
    assert_status(io_load_driver("counted", counted_entry, &counted_driver),
                  STATUS_SUCCESS);
    assert_int_equal(probe_calls("size"), 1);
    /* Attentions of a new nexus come before it has seen the device. */
    SENSE(0x00, 2, 6, 0x29, 0x00);
    assert_status(robot_try_start(counted_driver), STATUS_SUCCESS);
    assert_int_equal(probe_calls("size"), 1);
    assert_string_equal(probe.calls[0].name, "size");
    assert_string_equal(probe.calls[1].name, "initialize");
    assert_int_equal(probe_calls("error"), 0);
    assert_status(io_remove_device(robot.pdo), STATUS_SUCCESS);
    robot.fdo = NULL;
    io_unload_driver(counted_driver);
}

static void
CT7__second_open__busy_until_the_first_is_closed(void **state)
{
    PFILE_OBJECT other;

    (void) state;
    assert_status(io_open_device(robot.fdo, FILE_READ_ATTRIBUTES, &other),
                  STATUS_DEVICE_BUSY);
    robot_close();
    assert_status(io_open_device(robot.fdo, FILE_READ_DATA, &other),
                  STATUS_SUCCESS);
    assert_status(robot_open(), STATUS_DEVICE_BUSY);
    io_close_file(other);
    assert_status(robot_open(), STATUS_SUCCESS);
}

/* A device that was added and not started. */
static void
CT8__not_started__no_such_device(void **state)
{
    PDEVICE_OBJECT fdo;
    PFILE_OBJECT file;

    (void) state;
    assert_status(
        probe_driver->DriverExtension->AddDevice(probe_driver, robot.pdo),
        STATUS_SUCCESS);
    fdo = IoGetAttachedDevice(robot.pdo);
    robot_forget();
    assert_status(io_open_device(fdo, FILE_READ_ATTRIBUTES, &file),
                  STATUS_NO_SUCH_DEVICE);
    assert_status(io_device_control(fdo, IOCTL_CHANGER_GET_STATUS, NULL, 0,
                                    NULL, 0, 0, NULL),
                  STATUS_NO_SUCH_DEVICE);
    assert_int_equal(robot_count(-1), 0);
    robot.fdo = fdo;
}

static void
CT9__not_ready_at_the_start__there_and_started_by_an_open(void **state)
{
    (void) state;
    robot_setting("ChangerStartSeconds", 0);
    SENSE(0x1A, 1000, 2, 0x04, 0x01);
    SENSE(0x5A, 1000, 2, 0x04, 0x01);
    SENSE(0x00, 1000, 2, 0x04, 0x01);
    assert_status(robot_try_start(NULL), STATUS_SUCCESS);
    assert_status(robot_open(), STATUS_DEVICE_NOT_READY);
    assert_refused(ask(IOCTL_CHANGER_GET_STATUS, NULL, 0, 0),
                   STATUS_DEVICE_NOT_READY);
    robot_forget();
    assert_status(robot_open(), STATUS_SUCCESS);
    assert_int_equal(parameters().NumberStorageElements, 8);
    robot_close();
    robot_forget();
    assert_status(robot_open(), STATUS_SUCCESS);
    assert_int_equal(robot_count(-1), 0);
}

struct opening {
    NTSTATUS status;
    bool done;
};

static VOID NTAPI
open_thread(PVOID context)
{
    struct opening *opening = context;

    opening->status = robot_open();
    __atomic_store_n(&opening->done, true, __ATOMIC_RELEASE);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static void
CT9__becoming_ready__the_open_waits_for_it(void **state)
{
    struct opening opening = { 0 };
    HANDLE thread;

    (void) state;
    SENSE(0x1A, 1, 2, 0x04, 0x01);
    assert_status(robot_try_start(NULL), STATUS_SUCCESS);
    robot_forget();
    SENSE(0x00, 10, 2, 0x04, 0x01);
    clock_manual(true);
    (void) PsCreateSystemThread(&thread, 0, NULL, NULL, NULL, open_thread,
                                &opening);
    for (int i = 0; !__atomic_load_n(&opening.done, __ATOMIC_ACQUIRE); i++) {
        assert_true(i < 600000);
        usleep(100);
        clock_advance_ms(100);
    }
    ZwClose(thread);
    assert_status(opening.status, STATUS_SUCCESS);
    assert_int_equal(robot_count(0x00), 11);
    assert_true(robot_seen(0x00, 1)->at_ms - robot_seen(0x00, 0)->at_ms >=
                2000);
}

static void
CT10_CT11__nothing_supported__every_routine_answers_so(void **state)
{
    static const struct {
        ULONG code, in, out;
    } codes[] = {
        { IOCTL_CHANGER_GET_PARAMETERS, 0, 60 },
        { IOCTL_CHANGER_GET_PRODUCT_DATA, 0, 61 },
        { IOCTL_CHANGER_SET_ACCESS, 12, 0 },
        { IOCTL_CHANGER_GET_ELEMENT_STATUS, 16, 100 },
        { IOCTL_CHANGER_INITIALIZE_ELEMENT_STATUS, 16, 0 },
        { IOCTL_CHANGER_SET_POSITION, 20, 0 },
        { IOCTL_CHANGER_EXCHANGE_MEDIUM, 36, 0 },
        { IOCTL_CHANGER_QUERY_VOLUME_TAGS, 52, 104 },
    };
    CHANGER_EXCHANGE_MEDIUM in = {
        { ChangerTransport, 0 },
        { ChangerSlot, 0 },
        { ChangerDrive, 0 },
        { ChangerSlot, 0 },
    };
    CHANGER_ELEMENT lock[5] = { { ChangerIEPort, 0 } };
    CHANGER_ELEMENT list[13] = { { ChangerSlot, 0 }, { (ELEMENT_TYPE) 1, 0 } };

    (void) state;
    for (size_t i = 0; i < ARRAYSIZE(codes); i++) {
        const void *input =
            codes[i].code == IOCTL_CHANGER_SET_ACCESS ? (void *) lock
            : codes[i].in == 16 || codes[i].in == 52  ? (void *) list
                                                      : (void *) &in;

        assert_refused(ask(codes[i].code, input, codes[i].in, codes[i].out),
                       STATUS_INVALID_DEVICE_REQUEST);
        assert_int_equal(probe_calls("unsupported"), i + 1);
    }
    assert_int_equal(robot_count(-1), 0);
    for (unsigned i = 0; i < probe.count; i++)
        assert_int_equal(probe.calls[i].irql, PASSIVE_LEVEL);
}

static void
names__device_link_and_interface__are_there(void **state)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = robot.fdo->DeviceExtension;
    PDEVICE_OBJECT device;
    PFILE_OBJECT file;
    UNICODE_STRING name;
    ANSI_STRING ansi;
    PWSTR list;
    char text[48];

    (void) state;
    robot_close();
    snprintf(text, sizeof text, "\\DosDevices\\Changer%u", ext->DeviceNumber);
    RtlInitAnsiString(&ansi, text);
    assert_status(RtlAnsiStringToUnicodeString(&name, &ansi, TRUE),
                  STATUS_SUCCESS);
    assert_status(
        IoGetDeviceObjectPointer(&name, FILE_READ_ATTRIBUTES, &file, &device),
        STATUS_SUCCESS);
    assert_ptr_equal(device, robot.fdo);
    ObDereferenceObject(file);
    RtlFreeUnicodeString(&name);
    assert_status(
        IoGetDeviceInterfaces(&GUID_DEVINTERFACE_MEDIUMCHANGER, NULL, 0, &list),
        STATUS_SUCCESS);
    assert_int_not_equal(list[0], 0);
    ExFreePool(list);
    assert_int_equal(robot.fdo->DeviceType, FILE_DEVICE_CHANGER);
}

static void
CT51__parameters_changed__looked_at_again_before_the_next_request(void **state)
{
    (void) state;
    assert_int_equal(parameters().NumberDataTransferElements, 2);
    robot_size(DRIVE, 500, 1);
    SENSE(0x00, 1, 6, 0x3B, 0x1A);
    assert_status(ask(IOCTL_CHANGER_GET_STATUS, NULL, 0, 0), STATUS_SUCCESS);
    assert_int_equal(parameters().NumberDataTransferElements, 1);
}

#define PROBED(test)                                                           \
    cmocka_unit_test_setup_teardown(test, probe_ready, robot_free)
#define PROBED_COLD(test)                                                      \
    cmocka_unit_test_setup_teardown(test, probe_cold, robot_free)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(CT1__init_data__is_laid_out_as_documented),
        cmocka_unit_test(CT2__wrong_size__refused),
        cmocka_unit_test(CT3__entry_missing__refused),
        PROBED_COLD(CT4_CT5_CT6__start__in_order_with_a_clean_extension),
        PROBED_COLD(CT5__extension_size__asked_once_before_everything),
        PROBED(CT7__second_open__busy_until_the_first_is_closed),
        PROBED_COLD(CT8__not_started__no_such_device),
        TEST_COLD(CT9__not_ready_at_the_start__there_and_started_by_an_open),
        TEST_COLD(CT9__becoming_ready__the_open_waits_for_it),
        PROBED(CT10_CT11__nothing_supported__every_routine_answers_so),
        TEST(names__device_link_and_interface__are_there),
        TEST(CT51__parameters_changed__looked_at_again_before_the_next_request),
    };

    return cmocka_run_group_tests(tests, probe_begin, probe_end);
}
