/*
 * The minitape contract; expectations from the pages of <minitape.h>.
 *
 * SPDX-License-Identifier: MIT
 */
#include "deck.h"

static struct {
    unsigned calls;
    ULONG numbers[1100];
    TAPE_STATUS last[8], returns[4], error;
    ULONG flags;
    UCHAR opcode;
    bool turns_error, endless, zeroed;
} probe;

static TAPE_STATUS NTAPI
command(PVOID ext, PVOID command_ext, PVOID params, PSCSI_REQUEST_BLOCK srb,
        ULONG number, TAPE_STATUS last, PULONG flags)
{
    UCHAR *own = command_ext;
    unsigned call = probe.calls++;

    if (call < 8)
        probe.last[call] = last;
    if (call < 1100)
        probe.numbers[call] = number;
    assert_int_equal(*flags, 0);
    if (number == 0)
        probe.zeroed = own[0] == 0 && own[15] == 0;
    own[0] = own[15] = 0xFF;
    if (probe.endless)
        return TAPE_STATUS_CALLBACK;
    TapeClassZeroMemory(srb->Cdb, 16);
    srb->CdbLength = 6;
    srb->Cdb[0] = probe.opcode;
    *flags = probe.flags;
    return call < 4 ? probe.returns[call] : TAPE_STATUS_SUCCESS;
}

static BOOLEAN NTAPI
verify(PINQUIRYDATA inquiry, PMODE_CAPABILITIES_PAGE page)
{
    return inquiry->DeviceType == 1;
}

static VOID NTAPI
failed(PVOID ext, PSCSI_REQUEST_BLOCK srb, PTAPE_STATUS status)
{
    if (probe.turns_error)
        *status = probe.error;
}

static TAPE_STATUS NTAPI
done(PVOID ext, PVOID command_ext, PVOID params, PSCSI_REQUEST_BLOCK srb,
     ULONG number, TAPE_STATUS last, PULONG flags)
{
    return TAPE_STATUS_SUCCESS;
}

static TAPE_INIT_DATA_EX
full(void)
{
    return (TAPE_INIT_DATA_EX){
        .InitDataSize = sizeof(TAPE_INIT_DATA_EX),
        .VerifyInquiry = verify,
        .TapeError = failed,
        .CommandExtensionSize = 16,
        .CreatePartition = done,
        .Erase = done,
        .GetDriveParameters = done,
        .GetMediaParameters = done,
        .GetPosition = done,
        .GetStatus = command,
        .Prepare = done,
        .SetDriveParameters = done,
        .SetMediaParameters = done,
        .SetPosition = done,
        .WriteMarks = done,
        .TapeGetMediaTypes = done,
        .MediaTypesSupported = 1,
    };
}

static TAPE_INIT_DATA_EX to_register;
static ULONG registered;
static PDRIVER_OBJECT probe_driver;

static NTSTATUS NTAPI
probe_entry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    TAPE_INIT_DATA_EX data = to_register;

    registered = TapeClassInitialize(driver, path, &data);
    memset(&data, 0xCC, sizeof data);
    __asm__ volatile("" : : "r"(&data) : "memory");
    return (NTSTATUS) registered;
}

static NTSTATUS NTAPI
legacy_entry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    TAPE_INIT_DATA data = {
        .VerifyInquiry = verify,
        .TapeError = failed,
        .CommandExtensionSize = 16,
        .CreatePartition = done,
        .Erase = done,
        .GetDriveParameters = done,
        .GetMediaParameters = done,
        .GetPosition = done,
        .GetStatus = command,
        .Prepare = done,
        .SetDriveParameters = done,
        .SetMediaParameters = done,
        .SetPosition = done,
        .WriteMarks = done,
    };

    return (NTSTATUS) TapeClassInitialize(driver, path,
                                          (PTAPE_INIT_DATA_EX) &data);
}

static int
ready(void **state)
{
    memset(&probe, 0, sizeof probe);
    (void) deck_new(state);
    to_register = full();
    assert_true(io_load_driver("probe", probe_entry, &probe_driver) >= 0);
    assert_status(deck_start(probe_driver), STATUS_SUCCESS);
    assert_status(deck_open(), STATUS_SUCCESS);
    deck_forget();
    return 0;
}

static int
gone(void **state)
{
    (void) deck_free(state);
    io_unload_driver(probe_driver);
    return 0;
}

#define STATUS() ask(IOCTL_TAPE_GET_STATUS, NULL, 0, 0)
#define SEND     TAPE_STATUS_SEND_SRB_AND_CALLBACK

static void
CT135__send_then_success__called_with_0_and_1(void **state)
{
    (void) state;
    probe.returns[0] = SEND;
    probe.returns[1] = TAPE_STATUS_SUCCESS;
    probe.opcode = 0x3B;
    assert_status(STATUS(), STATUS_SUCCESS);
    assert_int_equal(probe.calls, 2);
    assert_int_equal(probe.numbers[0], 0);
    assert_int_equal(probe.numbers[1], 1);
    assert_int_equal(deck_count(0x3B), 1);
    assert_true(probe.zeroed);
    probe.calls = 0;
    assert_status(STATUS(), STATUS_SUCCESS);
    assert_true(probe.zeroed); /* for each request anew */
}

static void
CT136__errors_returned__the_routine_sees_them(void **state)
{
    (void) state;
    probe.returns[0] = SEND;
    probe.returns[1] = TAPE_STATUS_SUCCESS;
    probe.opcode = 0x3B;
    probe.flags = RETURN_ERRORS;
    deck_sense(0x3B, 2, 3, 0x11, 0x00, NO_INFO);
    assert_status(STATUS(), STATUS_SUCCESS);
    assert_int_equal(probe.calls, 2);
    assert_int_equal(probe.last[1], TAPE_STATUS_DEVICE_DATA_ERROR);
    probe.calls = 0;
    probe.flags = 0;
    assert_status(STATUS(), STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(probe.calls, 1);
}

static void
CT137__errors_ignored__the_routine_sees_success(void **state)
{
    (void) state;
    probe.returns[0] = SEND;
    probe.returns[1] = TAPE_STATUS_SUCCESS;
    probe.opcode = 0x3B;
    probe.flags = IGNORE_ERRORS;
    deck_sense(0x3B, 1, 3, 0x11, 0x00, NO_INFO);
    assert_status(STATUS(), STATUS_SUCCESS);
    assert_int_equal(probe.last[1], TAPE_STATUS_SUCCESS);
}

static void
CT138__two_resends__three_commands(void **state)
{
    (void) state;
    probe.returns[0] = SEND;
    probe.opcode = 0x3B;
    probe.flags = 2;
    deck_sense(0x3B, 9, 4, 0x44, 0x00, NO_INFO);
    assert_status(STATUS(), STATUS_IO_DEVICE_ERROR);
    assert_int_equal(deck_count(0x3B), 3);
    deck_forget();
    probe.calls = probe.flags = 0;
    deck_sense(0x3B, 9, 4, 0x44, 0x00, NO_INFO);
    assert_status(STATUS(), STATUS_IO_DEVICE_ERROR);
    assert_int_equal(deck_count(0x3B), 1);
}

static void
CT138__a_write_that_timed_out__never_again(void **state)
{
    const struct reply late = { .opcode = 0x0A,
                                .times = 9,
                                .srb_status = SRB_STATUS_TIMEOUT };

    (void) state;
    probe.returns[0] = SEND;
    probe.opcode = 0x0A;
    probe.flags = 5;
    deck_reply(&late);
    assert_status(STATUS(), STATUS_IO_TIMEOUT);
    assert_int_equal(deck_count(0x0A), 1);
}

static void
CT139__check_test_unit_ready__one(void **state)
{
    (void) state;
    probe.returns[0] = TAPE_STATUS_CHECK_TEST_UNIT_READY;
    probe.returns[1] = TAPE_STATUS_SUCCESS;
    probe.opcode = 0x3B;
    assert_status(STATUS(), STATUS_SUCCESS);
    assert_int_equal(deck_count(0x00), 1);
    assert_int_equal(deck_count(-1), 1);
    assert_int_equal(probe.calls, 2);
}

static void
CT140__statuses__those_of_the_table(void **state)
{
    static const struct {
        TAPE_STATUS tape;
        NTSTATUS want;
    } rows[] = {
        { TAPE_STATUS_SUCCESS, STATUS_SUCCESS },
        { TAPE_STATUS_INSUFFICIENT_RESOURCES, STATUS_INSUFFICIENT_RESOURCES },
        { TAPE_STATUS_NOT_IMPLEMENTED, STATUS_NOT_IMPLEMENTED },
        { TAPE_STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_DEVICE_REQUEST },
        { TAPE_STATUS_INVALID_PARAMETER, STATUS_INVALID_PARAMETER },
        { TAPE_STATUS_MEDIA_CHANGED, STATUS_VERIFY_REQUIRED },
        { TAPE_STATUS_BUS_RESET, STATUS_BUS_RESET },
        { TAPE_STATUS_SETMARK_DETECTED, STATUS_SETMARK_DETECTED },
        { TAPE_STATUS_FILEMARK_DETECTED, STATUS_FILEMARK_DETECTED },
        { TAPE_STATUS_BEGINNING_OF_MEDIA, STATUS_BEGINNING_OF_MEDIA },
        { TAPE_STATUS_END_OF_MEDIA, STATUS_END_OF_MEDIA },
        { TAPE_STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_OVERFLOW },
        { TAPE_STATUS_NO_DATA_DETECTED, STATUS_NO_DATA_DETECTED },
        { TAPE_STATUS_EOM_OVERFLOW, STATUS_EOM_OVERFLOW },
        { TAPE_STATUS_NO_MEDIA, STATUS_NO_MEDIA },
        { TAPE_STATUS_IO_DEVICE_ERROR, STATUS_IO_DEVICE_ERROR },
        { TAPE_STATUS_UNRECOGNIZED_MEDIA, STATUS_UNRECOGNIZED_MEDIA },
        { TAPE_STATUS_DEVICE_NOT_READY, STATUS_DEVICE_NOT_READY },
        { TAPE_STATUS_MEDIA_WRITE_PROTECTED, STATUS_MEDIA_WRITE_PROTECTED },
        { TAPE_STATUS_DEVICE_DATA_ERROR, STATUS_DEVICE_DATA_ERROR },
        { TAPE_STATUS_NO_SUCH_DEVICE, STATUS_NO_SUCH_DEVICE },
        { TAPE_STATUS_INVALID_BLOCK_LENGTH, STATUS_INVALID_BLOCK_LENGTH },
        { TAPE_STATUS_IO_TIMEOUT, STATUS_IO_TIMEOUT },
        { TAPE_STATUS_DEVICE_NOT_CONNECTED, STATUS_DEVICE_NOT_CONNECTED },
        { TAPE_STATUS_DATA_OVERRUN, STATUS_DATA_OVERRUN },
        { TAPE_STATUS_DEVICE_BUSY, STATUS_DEVICE_BUSY },
        { TAPE_STATUS_REQUIRES_CLEANING, STATUS_DEVICE_REQUIRES_CLEANING },
        { TAPE_STATUS_CLEANER_CARTRIDGE_INSTALLED,
          STATUS_CLEANER_CARTRIDGE_INSTALLED },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        probe.calls = 0;
        probe.returns[0] = rows[i].tape;
        assert_status(STATUS(), rows[i].want);
    }
    assert_int_equal(deck_count(-1), 0);
}

static void
CT141__reset_turned_into_no_media__the_client_sees_that(void **state)
{
    (void) state;
    probe.returns[0] = SEND;
    probe.opcode = 0x3B;
    probe.turns_error = true;
    probe.error = TAPE_STATUS_NO_MEDIA;
    deck_sense(0x3B, 1, 6, 0x29, 0x00, NO_INFO);
    assert_status(STATUS(), STATUS_NO_MEDIA);
    /* from sense data it is the other one */
    probe.turns_error = false;
    probe.calls = 0;
    deck_sense(0x3B, 1, 2, 0x3A, 0x00, NO_INFO);
    assert_status(STATUS(), STATUS_NO_MEDIA_IN_DEVICE);
}

static void
routine__calls_for_ever__stopped(void **state)
{
    (void) state;
    probe.endless = true;
    assert_status(STATUS(), STATUS_IO_DEVICE_ERROR);
    assert_int_equal(probe.calls, 1000);
    assert_int_equal(probe.numbers[999], 999);
}

static NTSTATUS
try_register(const TAPE_INIT_DATA_EX *data)
{
    PDRIVER_OBJECT driver;

    to_register = *data;
    if (io_load_driver("incomplete", probe_entry, &driver) >= 0)
        io_unload_driver(driver);
    return (NTSTATUS) registered;
}

static void
initialize__a_required_routine_missing__refused(void **state)
{
    static const size_t required[] = {
        offsetof(TAPE_INIT_DATA_EX, VerifyInquiry),
        offsetof(TAPE_INIT_DATA_EX, CreatePartition),
        offsetof(TAPE_INIT_DATA_EX, Erase),
        offsetof(TAPE_INIT_DATA_EX, GetDriveParameters),
        offsetof(TAPE_INIT_DATA_EX, GetMediaParameters),
        offsetof(TAPE_INIT_DATA_EX, GetPosition),
        offsetof(TAPE_INIT_DATA_EX, GetStatus),
        offsetof(TAPE_INIT_DATA_EX, Prepare),
        offsetof(TAPE_INIT_DATA_EX, SetDriveParameters),
        offsetof(TAPE_INIT_DATA_EX, SetMediaParameters),
        offsetof(TAPE_INIT_DATA_EX, SetPosition),
        offsetof(TAPE_INIT_DATA_EX, WriteMarks),
        offsetof(TAPE_INIT_DATA_EX, TapeGetMediaTypes),
    };
    TAPE_INIT_DATA_EX data = full();

    (void) state;
    assert_status(try_register(&data), STATUS_SUCCESS);
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        data = full();
        memset((uint8_t *) &data + required[i], 0, sizeof(PVOID));
        assert_status(try_register(&data), STATUS_INVALID_PARAMETER);
    }
    data = full();
    data.MinitapeExtensionSize = 8; /* and nobody to fill it */
    assert_status(try_register(&data), STATUS_INVALID_PARAMETER);
    data = full();
    data.TapeError = NULL;
    data.CommandExtensionSize = 0;
    assert_status(try_register(&data), STATUS_SUCCESS);
    for (ULONG size = 0; size < sizeof data; size += 8) {
        data = full();
        data.InitDataSize = size;
        assert_status(try_register(&data), STATUS_INVALID_PARAMETER);
    }
}

static void
initialize__the_older_record__works(void **state)
{
    PDRIVER_OBJECT driver;

    (void) state;
    memset(&probe, 0, sizeof probe);
    assert_true(io_load_driver("legacy", legacy_entry, &driver) >= 0);
    assert_status(deck_start(driver), STATUS_SUCCESS);
    assert_status(deck_open(), STATUS_SUCCESS);
    probe.returns[0] = TAPE_STATUS_REQUIRES_CLEANING;
    assert_status(STATUS(), STATUS_DEVICE_REQUIRES_CLEANING);
    assert_status(ask(0x002D0C04, NULL, 0, 4096),
                  STATUS_INVALID_DEVICE_REQUEST);
    (void) deck_free(NULL);
    io_unload_driver(driver);
    (void) deck_new(NULL);
}

static void
memory__compared__the_bytes_that_are_alike(void **state)
{
    (void) state;
    assert_int_equal(TapeClassCompareMemory((PVOID) "abcd", (PVOID) "abxd", 4),
                     2);
    assert_int_equal(TapeClassCompareMemory((PVOID) "abcd", (PVOID) "abcd", 4),
                     4);
}

#define TEST_PROBE(test) cmocka_unit_test_setup_teardown(test, ready, gone)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_PROBE(CT135__send_then_success__called_with_0_and_1),
        TEST_PROBE(CT136__errors_returned__the_routine_sees_them),
        TEST_PROBE(CT137__errors_ignored__the_routine_sees_success),
        TEST_PROBE(CT138__two_resends__three_commands),
        TEST_PROBE(CT138__a_write_that_timed_out__never_again),
        TEST_PROBE(CT139__check_test_unit_ready__one),
        TEST_PROBE(CT140__statuses__those_of_the_table),
        TEST_PROBE(CT141__reset_turned_into_no_media__the_client_sees_that),
        TEST_PROBE(routine__calls_for_ever__stopped),
        TEST_COLD(initialize__a_required_routine_missing__refused),
        TEST_COLD(initialize__the_older_record__works),
        cmocka_unit_test(memory__compared__the_bytes_that_are_alike),
    };

    return cmocka_run_group_tests(tests, deck_begin, deck_end);
}
