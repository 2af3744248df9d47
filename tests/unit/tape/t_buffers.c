/*
 * Every control code with no, short, exact and long buffers; opens, transfers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "deck.h"

#include <classpnp.h>

static const struct {
    ULONG code;
    USHORT in, out;
} codes[] = {
    { IOCTL_TAPE_ERASE, 8, 0 },
    { IOCTL_TAPE_PREPARE, 8, 0 },
    { IOCTL_TAPE_WRITE_MARKS, 12, 0 },
    { IOCTL_TAPE_GET_POSITION, 0, 16 },
    { IOCTL_TAPE_SET_POSITION, 24, 0 },
    { IOCTL_TAPE_GET_DRIVE_PARAMS, 0, 32 },
    { IOCTL_TAPE_SET_DRIVE_PARAMS, 8, 0 },
    { IOCTL_TAPE_GET_MEDIA_PARAMS, 0, 32 },
    { IOCTL_TAPE_SET_MEDIA_PARAMS, 4, 0 },
    { IOCTL_TAPE_GET_STATUS, 0, 0 },
    { IOCTL_TAPE_CREATE_PARTITION, 12, 0 },
    { IOCTL_TAPE_CHECK_VERIFY, 0, 0 },
    { IOCTL_TAPE_MEDIA_REMOVAL, 1, 0 },
    { IOCTL_TAPE_EJECT_MEDIA, 0, 0 },
    { IOCTL_TAPE_LOAD_MEDIA, 0, 0 },
    { IOCTL_TAPE_RESERVE, 0, 0 },
    { IOCTL_TAPE_RELEASE, 0, 0 },
};

static void
control__short_buffers__mismatch_and_nothing_sent(void **state)
{
    static const uint8_t zeros[64];

    (void) state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        const ULONG in[] = { 0, codes[i].in / 2u, codes[i].in - 1u };
        const ULONG out[] = { 0, codes[i].out / 2u, codes[i].out - 1u };

        for (size_t k = 0; k < 3 && codes[i].in != 0; k++)
            assert_status(ask(codes[i].code, zeros, in[k], 4096),
                          STATUS_INFO_LENGTH_MISMATCH);
        for (size_t k = 0; k < 3 && codes[i].out != 0; k++)
            assert_status(ask(codes[i].code, NULL, 0, out[k]),
                          STATUS_INFO_LENGTH_MISMATCH);
        assert_int_equal(deck_count(-1), 0);
        assert_int_equal(information,
                         codes[i].in || codes[i].out ? 0 : information);
    }
}

/* All zeros is a record that each of them understands, but for partitions. */
static void
control__exact_and_long_buffers__carried_out(void **state)
{
    static const uint8_t zeros[64];

    (void) state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        for (ULONG more = 0; more <= 32; more += 32) {
            NTSTATUS want = STATUS_SUCCESS;

            if (codes[i].code == IOCTL_TAPE_CREATE_PARTITION)
                want = STATUS_INVALID_PARAMETER;
            if (codes[i].code == IOCTL_TAPE_WRITE_MARKS)
                want = STATUS_INVALID_DEVICE_REQUEST; /* setmarks */
            assert_status(ask(codes[i].code, zeros, codes[i].in + more,
                              codes[i].out + more),
                          want);
            assert_int_equal(information, codes[i].out);
            assert_int_equal(answer[64], 0xA5);
        }
}

static void
get_position__with_and_without_a_type__absolute_otherwise(void **state)
{
    PTAPE_GET_POSITION out = (PTAPE_GET_POSITION) answer;
    ULONG type = TAPE_LOGICAL_POSITION;

    (void) state;
    assert_status(ask(IOCTL_TAPE_GET_POSITION, NULL, 0, 16), STATUS_SUCCESS);
    assert_int_equal(out->Type, TAPE_ABSOLUTE_POSITION);
    assert_int_equal(out->Offset.QuadPart, 77);
    assert_int_equal(out->Partition, 0);
    assert_status(ask(IOCTL_TAPE_GET_POSITION, &type, 4, 16), STATUS_SUCCESS);
    assert_int_equal(out->Type, TAPE_LOGICAL_POSITION);
    type = TAPE_PSEUDO_LOGICAL_POSITION;
    assert_status(ask(IOCTL_TAPE_GET_POSITION, &type, 4, 16),
                  STATUS_INVALID_DEVICE_REQUEST);
    type = 3;
    assert_status(ask(IOCTL_TAPE_GET_POSITION, &type, 4, 16),
                  STATUS_INVALID_PARAMETER);
}

/* tgt counts nothing: 0 with the length of the reply where the flags are. */
static void
get_position__0_that_is_not_the_beginning__not_implemented(void **state)
{
    PTAPE_GET_POSITION out = (PTAPE_GET_POSITION) answer;

    (void) state;
    deck.position = 0;
    deck.position_flags = 0x20;
    assert_status(ask(IOCTL_TAPE_GET_POSITION, NULL, 0, 16),
                  STATUS_NOT_IMPLEMENTED);
    deck.position_flags = 0x80;
    assert_status(ask(IOCTL_TAPE_GET_POSITION, NULL, 0, 16), STATUS_SUCCESS);
    assert_int_equal(out->Offset.QuadPart, 0);
}

static void
get_position__after_a_write__written_out_first(void **state)
{
    (void) state;
    assert_status(transfer(true, 512), STATUS_SUCCESS);
    assert_status(ask(IOCTL_TAPE_GET_POSITION, NULL, 0, 16), STATUS_SUCCESS);
    assert_int_equal(deck.log[1].cdb[0], 0x10);
    assert_int_equal(deck.log[2].cdb[0], 0x34);
    assert_status(ask(IOCTL_TAPE_GET_POSITION, NULL, 0, 16), STATUS_SUCCESS);
    assert_int_equal(deck_count(0x10), 1);
}

static void
media_parameters__read__size_and_protection(void **state)
{
    PTAPE_GET_MEDIA_PARAMETERS out = (PTAPE_GET_MEDIA_PARAMETERS) answer;

    (void) state;
    deck.capacity_mib = 100;
    deck.protected = true;
    assert_status(ask(IOCTL_TAPE_GET_MEDIA_PARAMS, NULL, 0, 32),
                  STATUS_SUCCESS);
    assert_int_equal(out->BlockSize, 512);
    assert_int_equal(out->Capacity.QuadPart, 100 << 20);
    assert_int_equal(out->PartitionCount, 1);
    assert_true(out->WriteProtected);
}

static void
open__second_handle__refused_until_the_first_is_closed(void **state)
{
    PFILE_OBJECT other;

    (void) state;
    assert_status(io_open_device(deck.fdo, FILE_READ_ATTRIBUTES, &other),
                  STATUS_SHARING_VIOLATION);
    (void) deck_close();
    assert_status(deck_open(), STATUS_SUCCESS);
}

static void
open__by_both_names__the_same_device(void **state)
{
    static const PCWSTR names[] = { L"\\Device\\Tape%u",
                                    L"\\DosDevices\\Tape%u" };
    PFUNCTIONAL_DEVICE_EXTENSION ext = deck.fdo->DeviceExtension;

    (void) state;
    (void) deck_close();
    for (size_t i = 0; i < 2; i++) {
        UNICODE_STRING name;
        PDEVICE_OBJECT device;
        PFILE_OBJECT file;
        WCHAR text[64];
        size_t len = 0;

        while (names[i][len] != '%') {
            text[len] = names[i][len];
            len++;
        }
        assert_true(ext->DeviceNumber < 100);
        if (ext->DeviceNumber >= 10)
            text[len++] = (WCHAR) ('0' + ext->DeviceNumber / 10);
        text[len++] = (WCHAR) ('0' + ext->DeviceNumber % 10);
        text[len] = 0;
        RtlInitUnicodeString(&name, text);
        assert_status(IoGetDeviceObjectPointer(&name, FILE_READ_ATTRIBUTES,
                                               &file, &device),
                      STATUS_SUCCESS);
        assert_ptr_equal(device, deck.fdo);
        ObDereferenceObject(file);
    }
}

static void
open__drive_without_a_tape__succeeds(void **state)
{
    (void) state;
    (void) deck_close();
    deck_sense(0x00, 9, 2, 0x3A, 0x00, NO_INFO);
    assert_status(deck_open(), STATUS_SUCCESS);
    assert_status(ask(IOCTL_TAPE_GET_STATUS, NULL, 0, 0),
                  STATUS_NO_MEDIA_IN_DEVICE);
}

/* What was written lies before a mark that a reset may have rewound from. */
static void
open__reset_while_closed__position_first(void **state)
{
    (void) state;
    assert_status(transfer(true, 512), STATUS_SUCCESS);
    (void) deck_close();
    deck_sense(0x00, 1, 6, 0x29, 0x00, NO_INFO);
    assert_status(deck_open(), STATUS_SUCCESS);
    deck_forget();
    assert_status(transfer(true, 512), STATUS_BUS_RESET);
    assert_int_equal(deck_count(0x0A), 0);
    assert_status(position(TAPE_SPACE_END_OF_DATA, 0, 0), STATUS_SUCCESS);
    assert_status(transfer(true, 512), STATUS_SUCCESS);
}

static void
open__another_tape_while_closed__at_its_beginning(void **state)
{
    (void) state;
    assert_status(transfer(true, 512), STATUS_SUCCESS);
    (void) deck_close();
    deck_sense(0x00, 1, 6, 0x28, 0x00, NO_INFO);
    assert_status(deck_open(), STATUS_SUCCESS);
    assert_status(transfer(true, 512), STATUS_SUCCESS);
}

static void
transfer__more_than_the_adapter_takes__in_parts(void **state)
{
    (void) state;
    assert_status(transfer(true, 3 << 20), STATUS_SUCCESS);
    assert_int_equal(information, 3 << 20);
    assert_int_equal(deck_count(0x0A), 3);
    deck_forget();
    deck_sense(0x08, 1, 0x80, 0x00, 0x01, 2047);
    deck.script[0].skip = 1;
    assert_status(transfer(false, 3 << 20), STATUS_FILEMARK_DETECTED);
    assert_int_equal(information, (1 << 20) + 512);
    assert_int_equal(deck_count(0x08), 2);
}

static void
transfer__one_block_longer_than_the_adapter_takes__refused(void **state)
{
    (void) state;
    assert_status(transfer(true, (1 << 20) + 1), STATUS_INVALID_PARAMETER);
    assert_int_equal(deck_count(-1), 0);
    assert_status(transfer(true, 1 << 20), STATUS_SUCCESS);
    assert_int_equal(deck_count(0x0A), 1);
}

static void
transfer__other_block_size_on_the_tape__told(void **state)
{
    (void) state;
    deck_sense(0x08, 1, 0x20, 0x00, 0x00, 3);
    assert_status(transfer(false, 5 * 512), STATUS_INVALID_BLOCK_LENGTH);
    assert_int_equal(information, 2 * 512);
}

static void
transfer__deferred_error__reported_and_the_place_lost(void **state)
{
    struct reply late = { .opcode = 0x0A,
                          .times = 1,
                          .srb_status = SRB_STATUS_ERROR,
                          .scsi_status = 2,
                          .sense_len = 18,
                          .sense = { 0x71, 0, 3, 0, 0, 0, 0, 10, 0, 0, 0, 0,
                                     0x0C, 0 } };

    (void) state;
    deck_reply(&late);
    assert_status(transfer(true, 512), STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(information, 0);
    assert_int_equal(deck_count(0x0A), 1);
    assert_status(transfer(true, 512), STATUS_BUS_RESET);
    assert_int_equal(deck_count(0x0A), 1);
}

static void
transfer__descriptor_sense__understood(void **state)
{
    /* Longer than SENSE_BUFFER_SIZE. */
    struct reply mark = { .opcode = 0x08,
                          .times = 1,
                          .transferred = 2048,
                          .srb_status = SRB_STATUS_ERROR,
                          .scsi_status = 2,
                          .sense_len = 24,
                          .sense = { 0x72, 0,  0x00, 0x01, 0,    0, 0, 16,
                                     0x00, 10, 0x80, 0,    0,    0, 0, 0,
                                     0,    0,  0,    6,    0x04, 2, 0, 0x80 } };

    (void) state;
    deck_reply(&mark);
    assert_status(transfer(false, 5120), STATUS_FILEMARK_DETECTED);
    assert_int_equal(information, 2048);
}

/* Behind descriptors that nobody knows; the transport says that nothing is
 * missing. */
static void
transfer__descriptors_far_behind__understood(void **state)
{
    static const uint8_t information_6[] = { 0x00, 10, 0x80, 0, 0, 0,
                                             0,    0,  0,    0, 0, 6 };
    static const uint8_t at_a_mark[] = { 0x04, 2, 0, 0x80 };
    struct reply mark = { .opcode = 0x08,
                          .times = 1,
                          .transferred = 5120,
                          .srb_status = SRB_STATUS_ERROR,
                          .scsi_status = 2,
                          .sense_len = 8 + 16 + 12 + 12 + 4,
                          .sense = { 0x72, 0, 0x00, 0x01, 0, 0, 0, 44 } };

    (void) state;
    mark.sense[8] = 0x80; /* a vendor's, 16 bytes; then the command's own */
    mark.sense[9] = 14;
    mark.sense[24] = 0x01;
    mark.sense[25] = 10;
    memcpy(mark.sense + 36, information_6, sizeof information_6);
    memcpy(mark.sense + 48, at_a_mark, sizeof at_a_mark);
    deck_reply(&mark);
    assert_status(transfer(false, 5120), STATUS_FILEMARK_DETECTED);
    assert_int_equal(information, 2048);
}

static void
flush__after_a_write__a_mark_of_count_0(void **state)
{
    (void) state;
    assert_status(flush(), STATUS_SUCCESS);
    assert_int_equal(deck_count(-1), 0);
    assert_status(transfer(true, 512), STATUS_SUCCESS);
    assert_status(flush(), STATUS_SUCCESS);
    assert_int_equal(deck_count(0x10), 1);
    assert_int_equal(deck_count(0x35), 0);
}

static void
cleaning__asked_for_with_a_success__told_by_the_status(void **state)
{
    (void) state;
    deck_sense(0x0A, 1, 1, 0x00, 0x17, NO_INFO);
    assert_status(transfer(true, 512), STATUS_SUCCESS);
    assert_int_equal(information, 512);
    assert_status(ask(IOCTL_TAPE_GET_STATUS, NULL, 0, 0),
                  STATUS_DEVICE_REQUIRES_CLEANING);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(control__short_buffers__mismatch_and_nothing_sent),
        TEST(control__exact_and_long_buffers__carried_out),
        TEST(get_position__with_and_without_a_type__absolute_otherwise),
        TEST(get_position__0_that_is_not_the_beginning__not_implemented),
        TEST(get_position__after_a_write__written_out_first),
        TEST(media_parameters__read__size_and_protection),
        TEST(open__second_handle__refused_until_the_first_is_closed),
        TEST(open__by_both_names__the_same_device),
        TEST(open__drive_without_a_tape__succeeds),
        TEST(open__reset_while_closed__position_first),
        TEST(open__another_tape_while_closed__at_its_beginning),
        TEST(transfer__more_than_the_adapter_takes__in_parts),
        TEST_VARIABLE(
            transfer__one_block_longer_than_the_adapter_takes__refused),
        TEST(transfer__other_block_size_on_the_tape__told),
        TEST(transfer__deferred_error__reported_and_the_place_lost),
        TEST(transfer__descriptor_sense__understood),
        TEST(transfer__descriptors_far_behind__understood),
        TEST(transfer__descriptors_far_behind__understood),
        TEST(flush__after_a_write__a_mark_of_count_0),
        TEST(cleaning__asked_for_with_a_success__told_by_the_status),
    };

    return cmocka_run_group_tests(tests, deck_begin, deck_end);
}
