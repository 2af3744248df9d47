/*
 * Rules of tapes; expectations from the documentation and the SSC standard.
 *
 * SPDX-License-Identifier: MIT
 */
#include "deck.h"

#define RESET() deck_sense(0x0A, 1, 6, 0x29, 0x00, NO_INFO)

static NTSTATUS
erase(void)
{
    TAPE_ERASE in = { TAPE_ERASE_SHORT, FALSE };

    return ask(IOCTL_TAPE_ERASE, &in, sizeof in, 0);
}

static NTSTATUS
prepare(ULONG operation)
{
    TAPE_PREPARE in = { operation, FALSE };

    return ask(IOCTL_TAPE_PREPARE, &in, sizeof in, 0);
}

static void
CT128__codes__equal_the_documented(void **state)
{
    (void) state;
    assert_int_equal(IOCTL_TAPE_ERASE, 0x001FC000);
    assert_int_equal(IOCTL_TAPE_PREPARE, 0x001F4004);
    assert_int_equal(IOCTL_TAPE_WRITE_MARKS, 0x001FC008);
    assert_int_equal(IOCTL_TAPE_GET_POSITION, 0x001F400C);
    assert_int_equal(IOCTL_TAPE_SET_POSITION, 0x001F4010);
    assert_int_equal(IOCTL_TAPE_GET_DRIVE_PARAMS, 0x001F4014);
    assert_int_equal(IOCTL_TAPE_SET_DRIVE_PARAMS, 0x001FC018);
    assert_int_equal(IOCTL_TAPE_GET_MEDIA_PARAMS, 0x001F401C);
    assert_int_equal(IOCTL_TAPE_SET_MEDIA_PARAMS, 0x001F4020);
    assert_int_equal(IOCTL_TAPE_GET_STATUS, 0x001F4024);
    assert_int_equal(IOCTL_TAPE_CREATE_PARTITION, 0x001FC028);
    assert_int_equal(IOCTL_TAPE_CHECK_VERIFY, 0x001F4800);
    assert_int_equal(IOCTL_TAPE_MEDIA_REMOVAL, 0x001F4804);
    assert_int_equal(IOCTL_TAPE_EJECT_MEDIA, 0x001F4808);
    assert_int_equal(IOCTL_TAPE_LOAD_MEDIA, 0x001F480C);
    assert_int_equal(IOCTL_TAPE_RESERVE, 0x001F4810);
    assert_int_equal(IOCTL_TAPE_RELEASE, 0x001F4814);
    assert_int_equal(IOCTL_TAPE_FIND_NEW_DEVICES, 0x00074818);
    /* Both bases are one request. */
    assert_status(ask(0x001F4818, NULL, 0, 0),
                  ask(IOCTL_TAPE_FIND_NEW_DEVICES, NULL, 0, 0));
}

static void
CT129__drive_parameters__31_bytes_do_not_hold_them(void **state)
{
    (void) state;
    assert_status(ask(IOCTL_TAPE_GET_DRIVE_PARAMS, NULL, 0, 31),
                  STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(information, 0);
    assert_int_equal(deck_count(-1), 0);
    assert_status(ask(IOCTL_TAPE_GET_DRIVE_PARAMS, NULL, 0, 32),
                  STATUS_SUCCESS);
    assert_int_equal(information, 32);
}

static void
CT130__rewind__one_command(void **state)
{
    (void) state;
    assert_status(position(TAPE_REWIND, 0, 99), STATUS_SUCCESS);
    assert_int_equal(deck_count(0x01), 1);
    assert_int_equal(deck_count(-1), 1);
}

static void
CT131__two_filemarks_back__a_negative_count(void **state)
{
    static const uint8_t cdb[6] = { 0x11, 1, 0xFF, 0xFF, 0xFE, 0 };

    (void) state;
    assert_status(position(TAPE_SPACE_FILEMARKS, 0, -2), STATUS_SUCCESS);
    assert_memory_equal(deck_seen(0x11, 0)->cdb, cdb, 6);
}

static void
CT132__offset_beyond_24_bits__the_long_command(void **state)
{
    static const uint8_t cdb[16] = { 0x91, 0, 0, 0, 0, 0, 0, 0, 0x01 };

    (void) state;
    assert_status(position(TAPE_SPACE_RELATIVE_BLOCKS, 0, 0x1000000),
                  STATUS_SUCCESS);
    assert_memory_equal(deck_seen(0x91, 0)->cdb, cdb, 16);
    /* the last that fits, and the first that does not */
    assert_status(position(TAPE_SPACE_RELATIVE_BLOCKS, 0, 0x7FFFFF),
                  STATUS_SUCCESS);
    assert_int_equal(deck_count(0x11), 1);
    assert_status(position(TAPE_SPACE_RELATIVE_BLOCKS, 0, -0x800001),
                  STATUS_SUCCESS);
    assert_int_equal(deck_count(0x91), 2);
}

static void
CT133__offset_0__nothing_is_sent(void **state)
{
    (void) state;
    for (ULONG method = TAPE_SPACE_RELATIVE_BLOCKS;
         method <= TAPE_SPACE_SEQUENTIAL_SMKS; method++)
        assert_status(position(method, 0, 0), STATUS_SUCCESS);
    assert_int_equal(deck_count(-1), 0);
}

static void
CT134__one_filemark__one_command(void **state)
{
    static const uint8_t cdb[6] = { 0x10, 0, 0, 0, 1, 0 };

    (void) state;
    assert_status(marks(1), STATUS_SUCCESS);
    assert_memory_equal(deck_seen(0x10, 0)->cdb, cdb, 6);
    assert_int_equal(deck_count(-1), 1);
}

static void
CT142__fixed_read_meets_a_mark__the_bytes_before_it(void **state)
{
    static const uint8_t cdb[6] = { 0x08, 1, 0, 0, 10, 0 };

    (void) state;
    deck_sense(0x08, 1, 0x80, 0x00, 0x01, 6);
    assert_status(transfer(false, 5120), STATUS_FILEMARK_DETECTED);
    assert_int_equal(information, 2048);
    assert_memory_equal(deck_seen(0x08, 0)->cdb, cdb, 6);
    assert_int_equal(deck_count(-1), 1);
    assert_status(transfer(false, 512), STATUS_SUCCESS);
    assert_int_equal(deck_count(-1), 2);
}

static void
CT143__short_block__its_length(void **state)
{
    (void) state;
    deck_sense(0x08, 1, 0x20, 0, 0, 65536 - 10240);
    assert_status(transfer(false, 65536), STATUS_SUCCESS);
    assert_int_equal(information, 10240);
    assert_int_equal(deck_seen(0x08, 0)->cdb[1], 0);
}

static void
CT144__long_block__overflow_and_the_next(void **state)
{
    (void) state;
    deck_sense(0x08, 1, 0x20, 0, 0, 4096 - 10240);
    assert_status(transfer(false, 4096), STATUS_BUFFER_OVERFLOW);
    assert_int_equal(information, 4096);
    assert_status(transfer(false, 4096), STATUS_SUCCESS);
    assert_int_equal(deck_count(0x08), 2);
    assert_int_equal(deck_count(-1), 2);
}

/* tgt 1.0.85: of a block of 40 KiB in room for 64 KiB 24 KiB come. */
static void
CT143__less_came_than_the_block_has__read_again_by_its_length(void **state)
{
    (void) state;
    deck_lies(1, 65536 - 40960, 65536 - 40960);
    assert_status(transfer(false, 65536), STATUS_SUCCESS);
    assert_int_equal(information, 40960);
    assert_int_equal(deck_count(-1), 3);
    assert_memory_equal(deck_seen(0x11, 0)->cdb, "\x11\0\xff\xff\xff\0", 6);
    assert_memory_equal(deck_seen(0x08, 1)->cdb, "\x08\0\0\xa0\0\0", 6);
    assert_int_equal(deck_seen(0x08, 1)->len, 40960);
}

static void
CT144__nothing_came_of_a_long_block__its_beginning(void **state)
{
    (void) state;
    deck_lies(1, 4096 - 10240, 0);
    assert_status(transfer(false, 4096), STATUS_BUFFER_OVERFLOW);
    assert_int_equal(information, 4096);
    assert_int_equal(deck_count(0x11), 1);
    assert_int_equal(deck_seen(0x08, 1)->len, 10240);
}

static void
CT143__it_never_comes__an_error_and_no_data(void **state)
{
    (void) state;
    deck_lies(1, 65536 - 40960, 65536 - 40960);
    deck_lies(1, 1, 100);
    assert_status(transfer(false, 65536), STATUS_IO_DEVICE_ERROR);
    assert_int_equal(information, 0);
    /* Longer than the adapter can take in at once. */
    deck_lies(1, 65536 - 0x900000, 0);
    assert_status(transfer(false, 65536), STATUS_IO_DEVICE_ERROR);
    assert_int_equal(information, 0);
    assert_int_equal(deck_count(0x11), 1);
}

/* What stops the way back, or the second read, says nothing of the first. */
static void
less_came__the_way_back_stops__an_error_not_a_mark(void **state)
{
    static const uint8_t bits[] = { 0x80, 0x40, 8 };

    (void) state;
    for (unsigned i = 0; i < sizeof bits; i++) {
        deck_forget();
        deck_lies(1, 65536 - 40960, 65536 - 40960);
        deck_sense(0x11, 1, bits[i], 0, 0, 1);
        assert_status(transfer(false, 65536), STATUS_IO_DEVICE_ERROR);
        assert_int_equal(information, 0);
        deck_forget();
        deck_lies(1, 65536 - 40960, 65536 - 40960);
        deck_sense(0x08, 1, bits[i], 0, 0, 40960);
        assert_status(transfer(false, 65536), STATUS_IO_DEVICE_ERROR);
        assert_int_equal(information, 0);
    }
}

static void
less_came__read_again_near_the_end__the_block(void **state)
{
    (void) state;
    deck_lies(1, 65536 - 40960, 65536 - 40960);
    deck_sense(0x08, 1, 0x40, 0, 0, 0);
    assert_status(transfer(false, 65536), STATUS_SUCCESS);
    assert_int_equal(information, 40960);
}

/* A mark is no block to go back over. */
static void
mark_that_counts_wrong__an_error_and_no_motion(void **state)
{
    (void) state;
    deck_sense(0x08, 1, 0x80, 0x00, 0x01, 0);
    deck.script[deck.replies - 1].transferred = 0;
    deck.script[deck.replies - 1].told = false;
    assert_status(transfer(false, 65536), STATUS_IO_DEVICE_ERROR);
    assert_int_equal(information, 0);
    assert_int_equal(deck_count(0x11), 0);
}

static void
CT145__end_of_data__nothing_read(void **state)
{
    (void) state;
    deck_sense(0x08, 1, 8, 0x00, 0x05, 1);
    assert_status(transfer(false, 512), STATUS_NO_DATA_DETECTED);
    assert_int_equal(information, 0);
}

/* tgt's, through Linux's SG_IO: 8/00/00, no INFORMATION, residual 0. */
static void
CT145__end_of_data_and_no_residual__nothing_read(void **state)
{
    struct reply blank = { .opcode = 0x08,
                           .times = 1,
                           .srb_status = SRB_STATUS_ERROR,
                           .scsi_status = 2,
                           .sense_len = 18,
                           .sense = { 0x70, 0, 0x48, 0, 0, 0, 0, 10 },
                           .transferred = 4096 };

    (void) state;
    deck_reply(&blank);
    assert_status(transfer(false, 4096), STATUS_NO_DATA_DETECTED);
    assert_int_equal(information, 0);
    blank.transferred = 1024; /* of fixed blocks, two came before */
    deck_reply(&blank);
    assert_status(transfer(false, 4096), STATUS_NO_DATA_DETECTED);
    assert_int_equal(information, deck.block_bytes != 0 ? 1024 : 0);
}

static void
CT146__early_warning__everything_was_written(void **state)
{
    (void) state;
    deck_sense(0x0A, 1, 0x40, 0x00, 0x02, NO_INFO);
    assert_status(transfer(true, 2048), STATUS_END_OF_MEDIA);
    assert_int_equal(information, 2048);
    /* trailer labels are allowed, and warned of again */
    deck_sense(0x0A, 1, 0x40, 0x00, 0x02, 0);
    assert_status(transfer(true, 512), STATUS_END_OF_MEDIA);
    assert_int_equal(information, 512);
    assert_int_equal(deck_count(0x0A), 2);
}

static void
CT147__volume_overflow__less_the_residual(void **state)
{
    (void) state;
    deck_sense(0x0A, 1, 0x4D, 0x00, 0x02, 2);
    assert_status(transfer(true, 10 * 512), STATUS_EOM_OVERFLOW);
    assert_int_equal(information, 8 * 512);
}

static void
CT148__space_over_the_beginning__told(void **state)
{
    (void) state;
    deck_sense(0x11, 1, 0x40, 0x00, 0x04, 3);
    assert_status(position(TAPE_SPACE_RELATIVE_BLOCKS, 0, -5),
                  STATUS_BEGINNING_OF_MEDIA);
    assert_int_equal(information, 0);
}

/* The ends are told by their codes alone: neither a bit nor a key. */
static void
CT148__ends_without_a_bit__told_all_the_same(void **state)
{
    (void) state;
    deck_sense(0x11, 1, 0x00, 0x00, 0x04, NO_INFO);
    assert_status(position(TAPE_SPACE_FILEMARKS, 0, -5),
                  STATUS_BEGINNING_OF_MEDIA);
    deck_sense(0x11, 1, 0x00, 0x00, 0x05, NO_INFO);
    assert_status(position(TAPE_SPACE_RELATIVE_BLOCKS, 0, 5),
                  STATUS_NO_DATA_DETECTED);
}

static void
CT149__write_protect__writes_erases_and_marks(void **state)
{
    (void) state;
    deck_sense(-1, 3, 7, 0x27, 0x00, NO_INFO);
    assert_status(transfer(true, 512), STATUS_MEDIA_WRITE_PROTECTED);
    assert_status(erase(), STATUS_MEDIA_WRITE_PROTECTED);
    assert_status(marks(1), STATUS_MEDIA_WRITE_PROTECTED);
    assert_int_equal(deck_count(-1), 3);
    /* the position stays known */
    assert_status(transfer(false, 512), STATUS_SUCCESS);
}

static void
CT150__reset__no_write_until_positioned(void **state)
{
    (void) state;
    RESET();
    assert_status(transfer(true, 512), STATUS_BUS_RESET);
    assert_int_equal(information, 0);
    assert_int_equal(deck_count(0x0A), 1);
    assert_status(transfer(true, 512), STATUS_BUS_RESET);
    assert_status(marks(1), STATUS_BUS_RESET);
    assert_status(erase(), STATUS_BUS_RESET);
    assert_status(position(TAPE_SPACE_RELATIVE_BLOCKS, 0, 1), STATUS_BUS_RESET);
    assert_status(transfer(false, 512), STATUS_BUS_RESET);
    assert_int_equal(deck_count(-1), 1);
    assert_status(position(TAPE_SPACE_END_OF_DATA, 0, 0), STATUS_SUCCESS);
    assert_status(transfer(true, 512), STATUS_SUCCESS);
    assert_int_equal(deck_count(0x0A), 2);
}

static void
CT150__reset_seen_by_another_request__the_write_is_not_sent(void **state)
{
    (void) state;
    deck_sense(0x00, 1, 6, 0x29, 0x00, NO_INFO);
    (void) ask(IOCTL_TAPE_GET_STATUS, NULL, 0, 0);
    assert_status(transfer(true, 512), STATUS_BUS_RESET);
    assert_int_equal(deck_count(0x0A), 0);
}

static void
CT150__attention_taken_elsewhere__the_port_refuses_the_write(void **state)
{
    (void) state;
    deck.attention++;
    assert_status(transfer(true, 512), STATUS_VERIFY_REQUIRED);
    assert_int_equal(deck_count(0x0A), 0);
    assert_status(transfer(true, 512), STATUS_VERIFY_REQUIRED);
    assert_status(position(TAPE_REWIND, 0, 0), STATUS_SUCCESS);
    assert_status(transfer(true, 512), STATUS_SUCCESS);
}

static void
CT150__another_tape__no_write_until_positioned(void **state)
{
    (void) state;
    deck_sense(0x0A, 1, 6, 0x28, 0x00, NO_INFO);
    assert_status(transfer(true, 512), STATUS_VERIFY_REQUIRED);
    assert_status(transfer(true, 512), STATUS_VERIFY_REQUIRED);
    assert_int_equal(deck_count(0x0A), 1);
    assert_status(position(TAPE_LOGICAL_BLOCK, 0, 0), STATUS_SUCCESS);
    assert_status(transfer(true, 512), STATUS_SUCCESS);
}

static void
CT150__other_parameters__sent_again_for_nothing_moved(void **state)
{
    (void) state;
    deck_sense(0x0A, 1, 6, 0x2A, 0x01, NO_INFO);
    assert_status(transfer(true, 512), STATUS_SUCCESS);
    assert_int_equal(deck_count(0x0A), 2);
    assert_status(transfer(true, 512), STATUS_SUCCESS);
}

static void
CT151__timeout__one_command(void **state)
{
    const struct reply late = { .opcode = -1,
                                .times = 1,
                                .srb_status = SRB_STATUS_TIMEOUT };

    (void) state;
    deck_reply(&late);
    assert_status(transfer(true, 512), STATUS_IO_TIMEOUT);
    assert_int_equal(deck_count(-1), 1);
    assert_status(transfer(true, 512), STATUS_BUS_RESET);
    assert_int_equal(deck_count(-1), 1);
    assert_status(position(TAPE_REWIND, 0, 0), STATUS_SUCCESS);
    deck_forget();
    deck_reply(&late);
    assert_status(transfer(false, 512), STATUS_IO_TIMEOUT);
    assert_int_equal(deck_count(-1), 1);
}

static void
CT152__no_multiple_of_the_block__nothing_is_sent(void **state)
{
    (void) state;
    assert_status(transfer(true, 700), STATUS_INVALID_PARAMETER);
    assert_status(transfer(false, 513), STATUS_INVALID_PARAMETER);
    assert_int_equal(deck_count(-1), 0);
}

static void
CT153__second_partition_of_none__told(void **state)
{
    (void) state;
    assert_status(position(TAPE_LOGICAL_BLOCK, 2, 0),
                  STATUS_DEVICE_NOT_PARTITIONED);
    assert_int_equal(deck_count(0x2B) + deck_count(0x92), 0);
    assert_status(position(TAPE_LOGICAL_BLOCK, 1, 0), STATUS_SUCCESS);
}

static void
CT154__warnings_without_end__overflow_in_time(void **state)
{
    uint64_t bytes = 0, capacity = 64ull << 20;
    NTSTATUS status = STATUS_END_OF_MEDIA;

    (void) state;
    (void) deck_free(NULL);
    (void) deck_new(NULL);
    deck.capacity_mib = 64;
    assert_status(deck_start(NULL), STATUS_SUCCESS);
    assert_status(deck_open(), STATUS_SUCCESS);
    while (bytes < capacity - (1 << 20)) {
        assert_status(transfer(true, 1 << 20), STATUS_SUCCESS);
        bytes += information;
    }
    deck_sense(0x0A, 1000000, 0x40, 0x00, 0x00, NO_INFO);
    while (status == STATUS_END_OF_MEDIA && bytes < 2 * capacity) {
        status = transfer(true, 64 << 10);
        bytes += information;
    }
    assert_status(status, STATUS_EOM_OVERFLOW);
    assert_true(bytes >= capacity);
    assert_true(bytes <= capacity + capacity / 20);
}

static void
CT155__close_after_a_write__what_the_drive_holds_is_written(void **state)
{
    static const uint8_t cdb[6] = { 0x10, 0, 0, 0, 0, 0 };

    (void) state;
    assert_status(transfer(true, 512), STATUS_SUCCESS);
    (void) deck_close();
    assert_int_equal(deck_count(0x10), 1);
    assert_memory_equal(deck_seen(0x10, 0)->cdb, cdb, 6);
    /* and not for one that wrote nothing */
    assert_status(deck_open(), STATUS_SUCCESS);
    assert_status(transfer(false, 512), STATUS_SUCCESS);
    (void) deck_close();
    assert_int_equal(deck_count(0x10), 1);
}

static void
set_mounted(bool mounted)
{
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    if (mounted)
        deck.fdo->Vpb->Flags |= VPB_MOUNTED;
    else
        deck.fdo->Vpb->Flags &= (USHORT) ~VPB_MOUNTED;
    IoReleaseVpbSpinLock(irql);
}

static const ULONG check_codes[] = { IOCTL_TAPE_CHECK_VERIFY, 0x002D4800,
                                     0x002D0800 };

static void
CT156__changed_tape_mounted__verify_once(void **state)
{
    (void) state;
    for (size_t i = 0; i < 3; i++) {
        set_mounted(true);
        deck_sense(0x00, 1, 6, 0x28, 0x00, NO_INFO);
        assert_status(ask(check_codes[i], NULL, 0, 4), STATUS_VERIFY_REQUIRED);
        assert_int_equal(information, 0);
        assert_true(deck.fdo->Flags & DO_VERIFY_VOLUME);
        /* its file system has verified */
        deck.fdo->Flags &= ~(ULONG) DO_VERIFY_VOLUME;
        assert_status(ask(check_codes[i], NULL, 0, 4), STATUS_SUCCESS);
        assert_int_equal(information, 0); /* no count */
        assert_int_equal(answer[0], 0xA5);
        set_mounted(false);
    }
}

static void
CT156__changed_tape_not_mounted__no_flag(void **state)
{
    (void) state;
    for (size_t i = 0; i < 3; i++) {
        deck_sense(0x00, 1, 6, 0x28, 0x00, NO_INFO);
        assert_status(ask(check_codes[i], NULL, 0, 4), STATUS_IO_DEVICE_ERROR);
        assert_int_equal(information, 0);
        assert_false(deck.fdo->Flags & DO_VERIFY_VOLUME);
        assert_status(ask(check_codes[i], NULL, 0, 4), STATUS_SUCCESS);
    }
}

static void
CT156__change_told_to_another__told_to_check_verify_too(void **state)
{
    (void) state;
    deck_sense(0x00, 1, 6, 0x28, 0x00, NO_INFO);
    assert_status(ask(IOCTL_TAPE_GET_STATUS, NULL, 0, 0),
                  STATUS_VERIFY_REQUIRED);
    assert_status(ask(IOCTL_TAPE_CHECK_VERIFY, NULL, 0, 0),
                  STATUS_IO_DEVICE_ERROR);
    assert_status(ask(IOCTL_TAPE_CHECK_VERIFY, NULL, 0, 0), STATUS_SUCCESS);
}

static void
CT157__media_types__the_mounted_one_marked(void **state)
{
    PGET_MEDIA_TYPES types = (PGET_MEDIA_TYPES) answer;
    ULONG size = 8 + 2 * 32;

    (void) state;
    assert_status(ask(0x002D0C04, NULL, 0, size - 1), STATUS_BUFFER_TOO_SMALL);
    assert_status(ask(0x002D0C04, NULL, 0, size), STATUS_SUCCESS);
    assert_int_equal(information, size);
    assert_int_equal(types->DeviceType, 0x1F);
    assert_int_equal(types->MediaInfo[0].DeviceSpecific.TapeInfo.MediaType,
                     0x56);
    assert_true(
        types->MediaInfo[0].DeviceSpecific.TapeInfo.MediaCharacteristics &
        0x80000000);
    assert_int_equal(types->MediaInfo[1].DeviceSpecific.TapeInfo.MediaType,
                     0x32);
    assert_false(
        types->MediaInfo[1].DeviceSpecific.TapeInfo.MediaCharacteristics &
        0x80000000);
    deck_sense(0x00, 1, 2, 0x3A, 0x00, NO_INFO);
    assert_status(ask(0x002D0C04, NULL, 0, size), STATUS_SUCCESS);
    for (int i = 0; i < 2; i++)
        assert_false(
            types->MediaInfo[i].DeviceSpecific.TapeInfo.MediaCharacteristics &
            0x80000000);
    deck_sense(0x00, 1, 3, 0x30, 0x03, NO_INFO);
    assert_status(ask(0x002D0C04, NULL, 0, size), STATUS_SUCCESS);
    assert_true(
        types->MediaInfo[1].DeviceSpecific.TapeInfo.MediaCharacteristics &
        0x80000000);
}

static void
CT158__locks__one_kind_ends_with_the_handle(void **state)
{
    BOOLEAN lock = TRUE;

    (void) state;
    assert_status(ask(0x002D0940, &lock, 1, 0), STATUS_SUCCESS);
    assert_int_equal(deck_seen(0x1E, 0)->cdb[4], 1);
    (void) deck_close();
    assert_int_equal(deck_seen(0x1E, 1)->cdb[4], 0);
    assert_status(deck_open(), STATUS_SUCCESS);
    deck_forget();
    assert_status(ask(0x002D4804, &lock, 1, 0), STATUS_SUCCESS);
    (void) deck_close();
    assert_int_equal(deck_count(0x1E), 1);
}

static void
CT159__unload_while_locked__refused_and_then_not(void **state)
{
    (void) state;
    deck_sense(0x1B, 2, 5, 0x53, 0x02, NO_INFO);
    assert_status(prepare(TAPE_UNLOAD), STATUS_UNABLE_TO_UNLOAD_MEDIA);
    assert_status(ask(IOCTL_TAPE_EJECT_MEDIA, NULL, 0, 0),
                  STATUS_UNABLE_TO_UNLOAD_MEDIA);
    assert_status(prepare(TAPE_UNLOCK), STATUS_SUCCESS);
    assert_status(prepare(TAPE_UNLOAD), STATUS_SUCCESS);
}

static void
CT160__granularity__refused_before_the_wire(void **state)
{
    TAPE_SET_MEDIA_PARAMETERS in = { 1000 };

    (void) state;
    deck.limits[0] = 9;
    assert_status(ask(IOCTL_TAPE_SET_MEDIA_PARAMS, &in, sizeof in, 0),
                  STATUS_INVALID_BLOCK_LENGTH);
    assert_int_equal(deck_count(0x15), 0);
    in.BlockSize = 1024;
    assert_status(ask(IOCTL_TAPE_SET_MEDIA_PARAMS, &in, sizeof in, 0),
                  STATUS_SUCCESS);
    assert_int_equal(deck_count(0x15), 1);
    assert_int_equal(deck.block_bytes, 1024);
    assert_status(transfer(true, 512), STATUS_INVALID_PARAMETER);
    assert_status(transfer(true, 1024), STATUS_SUCCESS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(CT128__codes__equal_the_documented),
        TEST(CT129__drive_parameters__31_bytes_do_not_hold_them),
        TEST(CT130__rewind__one_command),
        TEST(CT131__two_filemarks_back__a_negative_count),
        TEST(CT132__offset_beyond_24_bits__the_long_command),
        TEST(CT133__offset_0__nothing_is_sent),
        TEST(CT134__one_filemark__one_command),
        TEST(CT142__fixed_read_meets_a_mark__the_bytes_before_it),
        TEST_VARIABLE(CT143__short_block__its_length),
        TEST_VARIABLE(CT144__long_block__overflow_and_the_next),
        TEST_VARIABLE(
            CT143__less_came_than_the_block_has__read_again_by_its_length),
        TEST_VARIABLE(CT144__nothing_came_of_a_long_block__its_beginning),
        TEST_VARIABLE(CT143__it_never_comes__an_error_and_no_data),
        TEST_VARIABLE(less_came__the_way_back_stops__an_error_not_a_mark),
        TEST_VARIABLE(less_came__read_again_near_the_end__the_block),
        TEST_VARIABLE(mark_that_counts_wrong__an_error_and_no_motion),
        TEST(CT145__end_of_data__nothing_read),
        TEST(CT145__end_of_data_and_no_residual__nothing_read),
        TEST_VARIABLE(CT145__end_of_data_and_no_residual__nothing_read),
        TEST(CT146__early_warning__everything_was_written),
        TEST(CT147__volume_overflow__less_the_residual),
        TEST(CT148__space_over_the_beginning__told),
        TEST(CT148__ends_without_a_bit__told_all_the_same),
        TEST(CT149__write_protect__writes_erases_and_marks),
        TEST(CT150__reset__no_write_until_positioned),
        TEST(CT150__reset_seen_by_another_request__the_write_is_not_sent),
        TEST(CT150__attention_taken_elsewhere__the_port_refuses_the_write),
        TEST(CT150__another_tape__no_write_until_positioned),
        TEST(CT150__other_parameters__sent_again_for_nothing_moved),
        TEST(CT151__timeout__one_command),
        TEST(CT152__no_multiple_of_the_block__nothing_is_sent),
        TEST(CT153__second_partition_of_none__told),
        TEST(CT154__warnings_without_end__overflow_in_time),
        TEST(CT155__close_after_a_write__what_the_drive_holds_is_written),
        TEST(CT156__changed_tape_mounted__verify_once),
        TEST(CT156__changed_tape_not_mounted__no_flag),
        TEST(CT156__change_told_to_another__told_to_check_verify_too),
        TEST(CT157__media_types__the_mounted_one_marked),
        TEST(CT158__locks__one_kind_ends_with_the_handle),
        TEST(CT159__unload_while_locked__refused_and_then_not),
        TEST(CT160__granularity__refused_before_the_wire),
    };

    return cmocka_run_group_tests(tests, deck_begin, deck_end);
}
