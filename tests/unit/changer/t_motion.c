/*
 * Motions: what goes to the device, how often, and what is said of the outcome.
 *
 * SPDX-License-Identifier: MIT
 */
#include "robot.h"

#define CHECK_CONDITION(key, asc, ascq)                                        \
    .srb_status = SRB_STATUS_ERROR, .scsi_status = 2, .sense_len = 18,         \
    .sense = { 0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, asc, ascq }

static unsigned
word(const uint8_t *at)
{
    return (unsigned) at[0] << 8 | at[1];
}

/* --- translation ------------------------------------------------------------ */

static void
CT31_CT42_CT79__move__device_addresses_and_nothing_else(void **state)
{
    const struct seen *seen;

    (void) state;
    assert_status(move_medium(SLOT, 0, DRIVE, 1), STATUS_SUCCESS);
    assert_int_equal(information, 28);
    assert_int_equal(robot_count(0xA5), 1);
    seen = robot_seen(0xA5, 0);
    assert_memory_equal(
        seen->cdb,
        ((uint8_t[]){ 0xA5, 0, 0, 1, 0x03, 0xE8, 0x01, 0xF5, 0, 0, 0, 0 }), 12);
    assert_true(seen->timeout_s >= 600);
    assert_true(robot_place(DRIVE, 1)->full);
}

static void
CT32_CT33__address_past_the_count__nothing_on_the_wire(void **state)
{
    (void) state;
    assert_refused(move_medium(SLOT, 8, DRIVE, 0),
                   STATUS_ILLEGAL_ELEMENT_ADDRESS);
    assert_refused(move_medium(SLOT, 0, DRIVE, 2),
                   STATUS_ILLEGAL_ELEMENT_ADDRESS);
    assert_refused(move_medium(MAIL, 2, DRIVE, 0),
                   STATUS_ILLEGAL_ELEMENT_ADDRESS);
    assert_refused(move_medium(SLOT, 0, MAIL, 0xFFFFFFFF),
                   STATUS_ILLEGAL_ELEMENT_ADDRESS);
    assert_refused(
        ask(IOCTL_CHANGER_MOVE_MEDIUM,
            &(CHANGER_MOVE_MEDIUM){ .Transport = { ChangerTransport, 1 },
                                    .Source = { ChangerSlot, 0 },
                                    .Destination = { ChangerDrive, 0 } },
            28, 0),
        STATUS_ILLEGAL_ELEMENT_ADDRESS);
    assert_int_equal(robot_count(-1), 0);
}

static void
CT37__types_anywhere__translated_by_the_mode_page(void **state)
{
    (void) state;
    robot_size(SLOT, 4096, 4);
    robot_size(DRIVE, 256, 1);
    robot_size(MAIL, 9000, 1);
    robot_fill(SLOT, 2, "A00002L6");
    robot_start();
    assert_status(move_medium(SLOT, 2, DRIVE, 0), STATUS_SUCCESS);
    assert_int_equal(word(robot_seen(0xA5, 0)->cdb + 4), 4098);
    assert_int_equal(word(robot_seen(0xA5, 0)->cdb + 6), 256);
    assert_status(move_medium(DRIVE, 0, MAIL, 0), STATUS_SUCCESS);
    assert_int_equal(word(robot_seen(0xA5, 1)->cdb + 6), 9000);
}

static void
CT36__cleaner_slot_in_the_middle__slots_are_counted_without_it(void **state)
{
    (void) state;
    robot_setting("ChangerCleanerSlot", 5); /* device slot 4, counted from 0 */
    robot_fill(SLOT, 5, "A00005L6");
    robot_start();
    assert_status(move_medium(SLOT, 4, DRIVE, 0), STATUS_SUCCESS);
    assert_int_equal(word(robot_seen(0xA5, 0)->cdb + 4), 1005);
    assert_refused(move_medium(SLOT, 7, DRIVE, 1),
                   STATUS_ILLEGAL_ELEMENT_ADDRESS);
    robot_forget();
    assert_status(read_elements(SLOT, 3, 2, true), STATUS_SUCCESS);
    assert_int_equal(element(0)->Element.ElementAddress, 3);
    assert_true(element(0)->Flags & ELEMENT_STATUS_FULL);
    assert_int_equal(element(1)->Element.ElementAddress, 4);
    assert_false(element(1)->Flags & ELEMENT_STATUS_FULL);
}

static void
CT80__flip_without_the_feature__refused(void **state)
{
    CHANGER_MOVE_MEDIUM in = {
        { ChangerTransport, 0 }, { ChangerSlot, 0 }, { ChangerDrive, 0 }, TRUE
    };

    (void) state;
    assert_refused(ask(IOCTL_CHANGER_MOVE_MEDIUM, &in, sizeof in, 0),
                   STATUS_INVALID_PARAMETER);
    assert_int_equal(robot_count(-1), 0);
}

static void
CT79__flip_with_the_feature__bit_0_of_byte_10(void **state)
{
    CHANGER_MOVE_MEDIUM in = {
        { ChangerTransport, 0 }, { ChangerSlot, 0 }, { ChangerDrive, 0 }, 0x40
    };

    (void) state;
    robot.quirks = ROTATES;
    robot_start();
    assert_status(ask(IOCTL_CHANGER_MOVE_MEDIUM, &in, sizeof in, 0),
                  STATUS_SUCCESS);
    assert_int_equal(robot_seen(0xA5, 0)->cdb[10], 1);
    assert_int_equal(robot_seen(0xA5, 0)->cdb[11], 0);
}

static void
CT96__pair_that_the_page_forbids__refused(void **state)
{
    (void) state;
    robot.capabilities[5] = 0x08; /* from slots to drives only */
    robot_start();
    assert_refused(move_medium(SLOT, 0, SLOT, 1),
                   STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(robot_count(-1), 0);
    assert_status(move_medium(SLOT, 0, DRIVE, 0), STATUS_SUCCESS);
}

static void
CT99__source_is_destination__refused(void **state)
{
    (void) state;
    assert_refused(move_medium(SLOT, 3, SLOT, 3), STATUS_INVALID_PARAMETER);
    assert_int_equal(robot_count(-1), 0);
}

/* --- the device says no -------------------------------------------------------- */

static void
CT81_CT82__empty_and_full__one_command_each(void **state)
{
    (void) state;
    assert_refused(move_medium(SLOT, 1, DRIVE, 0), STATUS_SOURCE_ELEMENT_EMPTY);
    assert_int_equal(robot_count(0xA5), 1);
    robot_forget();
    assert_refused(move_medium(SLOT, 0, SLOT, 3),
                   STATUS_DESTINATION_ELEMENT_FULL);
    assert_int_equal(robot_count(0xA5), 1);
}

/* What each answer to a MOVE means, and how often that goes out. */
static const struct {
    uint8_t key, asc, ascq;
    NTSTATUS want;
    unsigned sent;
} no[] = {
    { 5, 0x21, 0x01, STATUS_ILLEGAL_ELEMENT_ADDRESS, 1 },
    { 5, 0x3B, 0x11, STATUS_MAGAZINE_NOT_PRESENT, 1 },
    { 5, 0x3B, 0x12, STATUS_MAGAZINE_NOT_PRESENT, 1 },
    { 2, 0x3B, 0x11, STATUS_MAGAZINE_NOT_PRESENT, 1 },
    { 2, 0x3B, 0x12, STATUS_MAGAZINE_NOT_PRESENT, 1 },
    { 5, 0x3B, 0x14, STATUS_DEVICE_BUSY, 1 },
    { 5, 0x3B, 0x18, STATUS_ILLEGAL_ELEMENT_ADDRESS, 1 },
    { 5, 0x3B, 0x1A, STATUS_DEVICE_NOT_CONNECTED, 1 },
    { 5, 0x24, 0x00, STATUS_INVALID_DEVICE_REQUEST, 1 },
    { 5, 0x3A, 0x00, STATUS_DEVICE_NOT_READY, 1 },
    { 2, 0x3A, 0x00, STATUS_DEVICE_NOT_READY, 1 },
    { 2, 0x3A, 0x02, STATUS_DEVICE_DOOR_OPEN, 1 },
    { 2, 0x04, 0x02, STATUS_REINITIALIZATION_NEEDED, 1 },
    { 2, 0x04, 0x03, STATUS_DEVICE_NOT_READY, 1 },
    { 2, 0x04, 0x12, STATUS_DEVICE_OFF_LINE, 1 },
    { 2, 0x04, 0x18, STATUS_DEVICE_DOOR_OPEN, 1 },
    { 3, 0x30, 0x00, STATUS_UNRECOGNIZED_MEDIA, 1 },
    { 3, 0x30, 0x03, STATUS_CLEANER_CARTRIDGE_INSTALLED, 1 },
    { 3, 0x52, 0x00, STATUS_DEVICE_DATA_ERROR, 1 },
    { 4, 0x15, 0x01, STATUS_IO_DEVICE_ERROR, 1 },
    { 4, 0x53, 0x01, STATUS_UNABLE_TO_UNLOAD_MEDIA, 1 },
    { 4, 0x53, 0x07, STATUS_UNRECOGNIZED_MEDIA, 1 },
    { 4, 0x53, 0x0D, STATUS_DEVICE_NOT_CONNECTED, 1 },
    { 4, 0x44, 0x00, STATUS_DEVICE_HARDWARE_ERROR, 1 },
    { 4, 0x47, 0x00, STATUS_IO_DEVICE_ERROR, 1 },
    { 4, 0x85, 0x00, STATUS_DEVICE_HARDWARE_ERROR, 1 },
    { 6, 0x2A, 0x03, STATUS_DEVICE_BUSY, 1 },
    { 0xB, 0x00, 0x00, STATUS_IO_DEVICE_ERROR, 1 },
    { 0x0, 0x00, 0x00, STATUS_IO_DEVICE_ERROR, 1 },
    { 0x3, 0x11, 0x00, STATUS_DEVICE_DATA_ERROR, 1 },
};

static void
CT83_CT86_CT87__what_the_device_says__becomes_a_status_and_no_resend(
    void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        robot_forget();
        SENSE(0xA5, 10, no[i].key, no[i].asc, no[i].ascq);
        assert_refused(move_medium(SLOT, 0, SLOT, 1), no[i].want);
        assert_int_equal(robot_count(0xA5), no[i].sent);
        assert_true(robot_place(SLOT, 0)->full);
    }
}

static void
CT87__vendor_code_for_an_open_door__by_the_vendor(void **state)
{
    (void) state;
    robot.vendor = "IBM";
    robot_start();
    SENSE(0xA5, 10, 2, 0x04, 0x83);
    assert_refused(move_medium(SLOT, 0, SLOT, 1), STATUS_DEVICE_DOOR_OPEN);
    assert_int_equal(robot_count(0xA5), 1);
}

static void
CT84__locked_drive__unable_to_unload__locked_mail_slot__busy(void **state)
{
    (void) state;
    robot_fill(DRIVE, 0, "LTO002L6");
    SENSE(0xA5, 10, 5, 0x53, 0x02);
    assert_refused(move_medium(DRIVE, 0, SLOT, 1),
                   STATUS_UNABLE_TO_UNLOAD_MEDIA);
    assert_refused(move_medium(MAIL, 0, SLOT, 1), STATUS_DEVICE_BUSY);
    assert_int_equal(robot_count(0xA5), 2);
}

static void
CT85__drive_has_not_let_go__not_ready(void **state)
{
    (void) state;
    robot_fill(DRIVE, 0, "LTO002L6");
    SENSE(0xA5, 10, 2, 0x3A, 0x00);
    assert_refused(move_medium(DRIVE, 0, SLOT, 1), STATUS_DEVICE_NOT_READY);
    assert_int_equal(robot_count(0xA5), 1);
}

/* --- attentions ------------------------------------------------------------------ */

static ULONG
change_count(void)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = robot.fdo->DeviceExtension;

    return ext->MediaChangeCount;
}

static bool
eventually(unsigned *counter, unsigned want)
{
    for (int i = 0; i < 600000; i++) {
        if (__atomic_load_n(counter, __ATOMIC_ACQUIRE) >= want)
            return true;
        usleep(100);
    }
    return false;
}

static void
CT88__reset_then_good__sent_twice_and_the_inventory_is_stale(void **state)
{
    ULONG before = change_count();

    (void) state;
    SENSE(0xA5, 1, 6, 0x29, 0x00);
    assert_status(move_medium(SLOT, 0, DRIVE, 0), STATUS_SUCCESS);
    assert_int_equal(robot_count(0xA5), 2);
    assert_int_equal(change_count(), before + 1);
    assert_true(eventually(&robot.events_stale, 1));
}

static void
CT89__mail_slot_was_used__the_move_succeeds_with_one_event(void **state)
{
    (void) state;
    SENSE(0xA5, 1, 6, 0x28, 0x01);
    assert_status(move_medium(SLOT, 0, DRIVE, 0), STATUS_SUCCESS);
    assert_int_equal(robot_count(0xA5), 2);
    assert_true(eventually(&robot.events_mail, 1));
    assert_int_equal(robot.events_mail, 1);
}

static void
CT90__five_attentions__five_commands_and_an_error(void **state)
{
    (void) state;
    SENSE(0xA5, 20, 6, 0x28, 0x00);
    assert_refused(move_medium(SLOT, 0, DRIVE, 0), STATUS_IO_DEVICE_ERROR);
    assert_int_equal(robot_count(0xA5), 5);
}

/* --- answers that never came -------------------------------------------------------- */

static void
lost_answer(uint8_t srb_status, bool moved)
{
    robot_forget();
    robot_reply(&(struct reply){
        .opcode = 0xA5, .times = 10, .srb_status = srb_status, .act = moved });
    assert_status(move_medium(SLOT, 0, DRIVE, 0),
                  moved ? STATUS_SUCCESS : STATUS_IO_TIMEOUT);
    assert_int_equal(robot_count(0xA5), 1);
    assert_true(robot_count(0xB8) >= 2);
}

static void
CT91_CT92__answer_lost__never_again_and_the_elements_decide(void **state)
{
    static const uint8_t lost[] = { SRB_STATUS_COMMAND_TIMEOUT,
                                    SRB_STATUS_TIMEOUT, SRB_STATUS_ABORTED,
                                    SRB_STATUS_BUS_RESET,
                                    SRB_STATUS_UNEXPECTED_BUS_FREE };

    (void) state;
    for (size_t i = 0; i < sizeof lost; i++) {
        lost_answer(lost[i], false);
        lost_answer(lost[i], true);
        robot_forget();
        assert_status(move_medium(DRIVE, 0, SLOT, 0), STATUS_SUCCESS);
    }
}

static void
CT91__answer_lost_and_elements_unreadable__unknown_is_not_success(void **state)
{
    (void) state;
    robot_reply(&(struct reply){ .opcode = 0xA5,
                                 .times = 1,
                                 .srb_status = SRB_STATUS_COMMAND_TIMEOUT,
                                 .act = true });
    robot_reply(&(struct reply){
        .opcode = 0xB8, .skip = 2, .times = 50, CHECK_CONDITION(4, 0x44, 0) });
    assert_refused(move_medium(SLOT, 0, DRIVE, 0), STATUS_IO_TIMEOUT);
    assert_int_equal(robot_count(0xA5), 1);
}

static void
CT93__positioning_error__once_and_read_again(void **state)
{
    (void) state;
    SENSE(0xA5, 10, 4, 0x15, 0x01);
    assert_refused(move_medium(SLOT, 0, DRIVE, 0), STATUS_IO_DEVICE_ERROR);
    assert_int_equal(robot_count(0xA5), 1);
    assert_int_equal(robot_seen(-1, robot_count(-1) - 1)->cdb[0], 0xB8);
    assert_status(read_elements(SLOT, 0, 1, true), STATUS_SUCCESS);
    assert_true(element(0)->Flags & ELEMENT_STATUS_FULL);
}

/* The arm put it elsewhere, and says all is well. */
static void
loses_it(void)
{
    robot_place(DRIVE, 0)->full = false;
    robot_fill(SLOT, 0, "LTO001L6");
}

static void
CT102__success_that_the_elements_deny__is_reported(void **state)
{
    (void) state;
    robot_reply(&(struct reply){ .opcode = 0xA5,
                                 .times = 1,
                                 .srb_status = SRB_STATUS_SUCCESS,
                                 .also = loses_it });
    assert_refused(move_medium(SLOT, 0, DRIVE, 0), STATUS_IO_DEVICE_ERROR);
    assert_int_equal(robot_count(0xA5), 1);
}

static void
another_one(void)
{
    robot_fill(DRIVE, 0, "LTO005L6");
}

static void
CT102__another_medium_arrived__is_reported(void **state)
{
    (void) state;
    robot_reply(&(struct reply){ .opcode = 0xA5,
                                 .times = 1,
                                 .srb_status = SRB_STATUS_SUCCESS,
                                 .act = true,
                                 .also = another_one });
    assert_refused(move_medium(SLOT, 0, DRIVE, 0), STATUS_IO_DEVICE_ERROR);
}

static void
CT102__success__both_ends_agree(void **state)
{
    (void) state;
    assert_status(move_medium(SLOT, 0, DRIVE, 0), STATUS_SUCCESS);
    assert_status(read_elements(SLOT, 0, 1, true), STATUS_SUCCESS);
    assert_false(element(0)->Flags & ELEMENT_STATUS_FULL);
    assert_status(read_elements(DRIVE, 0, 1, true), STATUS_SUCCESS);
    assert_true(element(0)->Flags & ELEMENT_STATUS_FULL);
    assert_memory_equal(element(0)->PrimaryVolumeID, "LTO001L6  ", 10);
    assert_int_equal(element(0)->SrcElementAddress.ElementType, ChangerSlot);
    assert_int_equal(element(0)->SrcElementAddress.ElementAddress, 0);
}

static void
CT101__media_belong_to_their_slots__another_is_refused(void **state)
{
    (void) state;
    robot_setting("ChangerReturnHome", 1);
    robot_start();
    assert_true(parameters().Features1 & CHANGER_RTN_MEDIA_TO_ORIGINAL_ADDR &
                ~CHANGER_RESERVED_BIT);
    assert_status(move_medium(SLOT, 0, DRIVE, 0), STATUS_SUCCESS);
    robot_forget();
    assert_refused(move_medium(DRIVE, 0, SLOT, 1), STATUS_INVALID_PARAMETER);
    assert_int_equal(robot_count(0xA5), 0);
    assert_status(move_medium(DRIVE, 0, SLOT, 0), STATUS_SUCCESS);
}

/* --- exchange ------------------------------------------------------------------------ */

static NTSTATUS
exchange(unsigned source, unsigned drive, unsigned second, bool flip1,
         bool flip2)
{
    CHANGER_EXCHANGE_MEDIUM in = {
        { ChangerTransport, 0 },
        { ChangerSlot, source },
        { ChangerDrive, drive },
        { ChangerSlot, second },
        flip1,
        flip2,
    };

    return ask(IOCTL_CHANGER_EXCHANGE_MEDIUM, &in, sizeof in, 0);
}

static void
exchanger(void)
{
    memset(robot.capabilities + 12, 0x0E, 4);
    robot.quirks |= ROTATES;
    robot_fill(DRIVE, 0, "LTO009L6");
    robot_start();
}

static void
CT94__exchange__addresses_and_flips_as_the_standard_has_them(void **state)
{
    const uint8_t *cdb;

    (void) state;
    exchanger();
    assert_status(exchange(0, 0, 0, true, false), STATUS_SUCCESS);
    assert_int_equal(information, 0);
    cdb = robot_seen(0xA6, 0)->cdb;
    assert_int_equal(word(cdb + 2), 1);
    assert_int_equal(word(cdb + 4), 1000);
    assert_int_equal(word(cdb + 6), 500);
    assert_int_equal(word(cdb + 8), 1000);
    assert_int_equal(cdb[10], 0x02);
    assert_memory_equal(robot_place(DRIVE, 0)->tag, "LTO001L6", 8);
    robot_forget();
    assert_status(exchange(0, 0, 0, false, true), STATUS_SUCCESS);
    assert_int_equal(robot_seen(0xA6, 0)->cdb[10], 0x01);
    assert_int_equal(robot_count(0xA6), 1);
}

static void
CT95__no_exchange__refused_without_a_command(void **state)
{
    (void) state;
    robot_fill(DRIVE, 0, "LTO009L6");
    assert_refused(exchange(0, 0, 0, false, false),
                   STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(robot_count(-1), 0);
}

static void
emulating(void)
{
    robot_setting("ChangerEmulateExchange", 1);
    robot_fill(DRIVE, 0, "LTO009L6");
    robot_start();
}

static void
CT95__emulated_exchange__three_moves_and_the_bits_say_so(void **state)
{
    GET_CHANGER_PARAMETERS own;

    (void) state;
    emulating();
    own = parameters();
    assert_true(own.Features0 & CHANGER_EXCHANGE_MEDIA);
    assert_false(own.Features1 & CHANGER_TRUE_EXCHANGE_CAPABLE &
                 ~CHANGER_RESERVED_BIT);
    robot_forget();
    assert_status(exchange(0, 0, 0, false, false), STATUS_SUCCESS);
    assert_int_equal(robot_count(0xA6), 0);
    assert_int_equal(robot_count(0xA5), 3);
    assert_memory_equal(robot_place(DRIVE, 0)->tag, "LTO001L6", 8);
    assert_memory_equal(robot_place(SLOT, 0)->tag, "LTO009L6", 8);
}

static void
CT95__emulated_exchange_fails_in_its_second_leg__all_goes_back(void **state)
{
    (void) state;
    emulating();
    robot_reply(&(struct reply){ .opcode = 0xA5,
                                 .skip = 1,
                                 .times = 1,
                                 CHECK_CONDITION(5, 0x3B, 0x0D) });
    assert_refused(exchange(0, 0, 0, false, false),
                   STATUS_DESTINATION_ELEMENT_FULL);
    assert_int_equal(robot_count(0xA5), 3);
    assert_memory_equal(robot_place(DRIVE, 0)->tag, "LTO009L6", 8);
    assert_memory_equal(robot_place(SLOT, 0)->tag, "LTO001L6", 8);
}

static void
CT114__exchange_refused_as_unknown__no_longer_offered(void **state)
{
    (void) state;
    exchanger();
    assert_true(parameters().Features0 & CHANGER_EXCHANGE_MEDIA);
    robot_forget();
    SENSE(0xA6, 1, 5, 0x20, 0x00);
    assert_refused(exchange(0, 0, 0, false, false),
                   STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(robot_count(0xA6), 1);
    assert_false(parameters().Features0 & CHANGER_EXCHANGE_MEDIA);
    assert_int_equal(parameters().ExchangeFromSlot, 0);
    robot_forget();
    assert_refused(exchange(0, 0, 0, false, false),
                   STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(robot_count(-1), 0);
}

/* --- the arm ------------------------------------------------------------------------- */

static NTSTATUS
set_position(int kind, unsigned index)
{
    CHANGER_SET_POSITION in = { { ChangerTransport, 0 },
                                { (ELEMENT_TYPE) kind, index },
                                FALSE };

    return ask(IOCTL_CHANGER_SET_POSITION, &in, sizeof in, 0);
}

static void
CT20_CT97__set_position__transport_and_destination(void **state)
{
    const uint8_t *cdb;

    (void) state;
    assert_status(set_position(DRIVE, 1), STATUS_SUCCESS);
    assert_int_equal(information, 20);
    assert_int_equal(robot_count(-1), 1);
    cdb = robot_seen(0x2B, 0)->cdb;
    assert_int_equal(word(cdb + 2), 1);
    assert_int_equal(word(cdb + 4), 501);
}

static void
CT41__set_position_to_the_arm__refused(void **state)
{
    (void) state;
    assert_refused(set_position(ARM, 0), STATUS_INVALID_PARAMETER);
    assert_int_equal(robot_count(-1), 0);
}

static void
CT21_CT98__reinitialize__rezero(void **state)
{
    CHANGER_ELEMENT in = { ChangerTransport, 0 };

    (void) state;
    assert_status(ask(IOCTL_CHANGER_REINITIALIZE_TRANSPORT, &in, sizeof in, 0),
                  STATUS_SUCCESS);
    assert_int_equal(information, 8);
    assert_int_equal(robot_count(-1), 1);
    assert_int_equal(robot_seen(-1, 0)->cdb[0], 0x01);
}

/* --- one at a time --------------------------------------------------------------------- */

static bool second_done;

static VOID NTAPI
second_motion(PVOID context)
{
    CHANGER_SET_POSITION in = { { ChangerTransport, 0 },
                                { ChangerSlot, 0 },
                                FALSE };

    (void) context;
    (void) io_device_control(robot.fdo, IOCTL_CHANGER_SET_POSITION, &in,
                             sizeof in, NULL, 0, 0, NULL);
    __atomic_store_n(&second_done, true, __ATOMIC_RELEASE);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static NTSTATUS first_status;
static bool first_done;

static VOID NTAPI
first_motion(PVOID context)
{
    (void) context;
    first_status = move_medium(SLOT, 0, DRIVE, 0);
    __atomic_store_n(&first_done, true, __ATOMIC_RELEASE);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static void
wait_done(bool *done)
{
    for (int i = 0; i < 600000 && !__atomic_load_n(done, __ATOMIC_ACQUIRE); i++)
        usleep(100);
    assert_true(__atomic_load_n(done, __ATOMIC_ACQUIRE));
}

static void
wait_held(void)
{
    for (int i = 0; i < 600000; i++) {
        if (__atomic_load_n(&robot.held, __ATOMIC_ACQUIRE) != NULL)
            return;
        usleep(100);
    }
    fail_msg("%s", "the command never came");
}

static void
CT100__second_motion__waits_and_nothing_else_does(void **state)
{
    HANDLE one, two;

    (void) state;
    first_done = second_done = false;
    robot_reply(&(struct reply){ .opcode = 0xA5, .times = 1, .hold = true });
    (void) PsCreateSystemThread(&one, 0, NULL, NULL, NULL, first_motion, NULL);
    wait_held();
    (void) PsCreateSystemThread(&two, 0, NULL, NULL, NULL, second_motion, NULL);
    /* Readiness is asked meanwhile, by whoever wants to know. */
    assert_status(io_device_control(robot.fdo, IOCTL_CHANGER_GET_STATUS, NULL,
                                    0, NULL, 0, 0, NULL),
                  STATUS_SUCCESS);
    assert_int_equal(robot_count(0x2B), 0);
    assert_false(__atomic_load_n(&second_done, __ATOMIC_ACQUIRE));
    robot_release();
    wait_done(&first_done);
    wait_done(&second_done);
    assert_status(first_status, STATUS_SUCCESS);
    assert_int_equal(robot_count(0x2B), 1);
    ZwClose(one);
    ZwClose(two);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(CT31_CT42_CT79__move__device_addresses_and_nothing_else),
        TEST(CT32_CT33__address_past_the_count__nothing_on_the_wire),
        TEST_COLD(CT37__types_anywhere__translated_by_the_mode_page),
        TEST_COLD(
            CT36__cleaner_slot_in_the_middle__slots_are_counted_without_it),
        TEST(CT80__flip_without_the_feature__refused),
        TEST_COLD(CT79__flip_with_the_feature__bit_0_of_byte_10),
        TEST_COLD(CT96__pair_that_the_page_forbids__refused),
        TEST(CT99__source_is_destination__refused),
        TEST(CT81_CT82__empty_and_full__one_command_each),
        TEST(
            CT83_CT86_CT87__what_the_device_says__becomes_a_status_and_no_resend),
        TEST_COLD(CT87__vendor_code_for_an_open_door__by_the_vendor),
        TEST(CT84__locked_drive__unable_to_unload__locked_mail_slot__busy),
        TEST(CT85__drive_has_not_let_go__not_ready),
        TEST(CT88__reset_then_good__sent_twice_and_the_inventory_is_stale),
        TEST(CT89__mail_slot_was_used__the_move_succeeds_with_one_event),
        TEST(CT90__five_attentions__five_commands_and_an_error),
        TEST(CT91_CT92__answer_lost__never_again_and_the_elements_decide),
        TEST(CT91__answer_lost_and_elements_unreadable__unknown_is_not_success),
        TEST(CT93__positioning_error__once_and_read_again),
        TEST(CT102__success_that_the_elements_deny__is_reported),
        TEST(CT102__another_medium_arrived__is_reported),
        TEST(CT102__success__both_ends_agree),
        TEST_COLD(CT101__media_belong_to_their_slots__another_is_refused),
        TEST_COLD(CT94__exchange__addresses_and_flips_as_the_standard_has_them),
        TEST(CT95__no_exchange__refused_without_a_command),
        TEST_COLD(CT95__emulated_exchange__three_moves_and_the_bits_say_so),
        TEST_COLD(
            CT95__emulated_exchange_fails_in_its_second_leg__all_goes_back),
        TEST_COLD(CT114__exchange_refused_as_unknown__no_longer_offered),
        TEST(CT20_CT97__set_position__transport_and_destination),
        TEST(CT41__set_position_to_the_arm__refused),
        TEST(CT21_CT98__reinitialize__rezero),
        TEST(CT100__second_motion__waits_and_nothing_else_does),
    };

    return cmocka_run_group_tests(tests, robot_begin, robot_end);
}
