/*
 * Tests for transfers, flushes, trim and capacity: R51 to R60, and the key
 * under which a file system verified its volume.
 *
 * SPDX-License-Identifier: MIT
 */
#include "harness.h"

#include <fcntl.h>

#define MIB (1u << 20)

static const struct ask override = { .flags = SL_OVERRIDE_VERIFY_VOLUME };
static const struct ask through = { .flags = SL_WRITE_THROUGH };

static char data[8 * MIB];

static struct ask
key(ULONG count)
{
    return (struct ask){ .flags = SL_KEY_SPECIFIED, .key = count };
}

static void
set_flag(struct rig *rig)
{
    InterlockedOr((LONG volatile *) &rig->fdo->Flags, DO_VERIFY_VOLUME);
}

static int
byte_of(struct rig *rig, int image, off_t at)
{
    unsigned char byte;
    int fd = open(rig->image[image], O_RDONLY);

    assert_int_equal(pread(fd, &byte, 1, at), 1);
    close(fd);
    return byte;
}

static void
R51_R53_R54_R60__flag_set__verify_required_before_anything_else(void **state)
{
    struct rig *rig = *state;
    static const struct {
        ULONGLONG at;
        ULONG length;
    } asks[] = {
        { 0, 512 },
        { 1ull << 40, 512 },
        { 0, 0 },
        { 3, 17 },
    };

    set_flag(rig);
    for (size_t i = 0; i < RTL_NUMBER_OF(asks); i++) {
        struct outcome got = transfer(rig, i & 1 ? IRP_MJ_WRITE : IRP_MJ_READ,
                                      asks[i].at, data, asks[i].length, NULL);

        assert_int_equal(got.status, STATUS_VERIFY_REQUIRED);
        assert_int_equal(got.information, 0);
        assert_ptr_equal(got.slot, rig->fdo);
    }
    assert_int_equal(flush(rig, NULL).status, STATUS_VERIFY_REQUIRED);
    assert_int_equal(spy_commands(rig), 0);
}

static void
R52_R55__override__goes_through_and_leaves_the_flag(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    set_flag(rig);
    got = transfer(rig, IRP_MJ_READ, 0, data, 4096, &override);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 4096);
    assert_true(rig_verify_set(rig));
}

static void
R56__change_during_a_transfer__as_for_check_verify(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    rig_swap(rig, 1);
    assert_true(EVENTUALLY(rig_count(rig) == 1)); /* by a poll: not mounted */
    rig_settle(rig);
    rig_mount(rig, true);
    rig_rule(rig, "at 1 read do sense 6/28/00");
    got = transfer(rig, IRP_MJ_READ, 0, data, 512, NULL);
    assert_int_equal(got.status, STATUS_VERIFY_REQUIRED);
    assert_int_equal(got.information, 0);
    assert_ptr_equal(got.slot, rig->fdo);
    assert_true(rig_verify_set(rig));
}

static void
R56__change_during_a_transfer_not_mounted__device_error(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    rig_rule(rig, "at 1 read do sense 6/28/00");
    got = transfer(rig, IRP_MJ_READ, 0, data, 512, NULL);
    assert_int_equal(got.status, STATUS_IO_DEVICE_ERROR);
    assert_int_equal(got.information, 0);
    assert_false(rig_verify_set(rig));
}

static void
R58__zero_length__success_0(void **state)
{
    static const UCHAR majors[] = { IRP_MJ_READ, IRP_MJ_WRITE };
    struct rig *rig = *state;

    rig_mount(rig, true);
    for (size_t i = 0; i < RTL_NUMBER_OF(majors); i++) {
        struct outcome got = transfer(rig, majors[i], 0, data, 0, NULL);

        assert_int_equal(got.status, STATUS_SUCCESS);
        assert_int_equal(got.information, 0);
        assert_null(got.slot);
    }
    assert_int_equal(spy_commands(rig), 0);
}

static void
R59__while_the_flag_is_set__control_of_the_drive_works(void **state)
{
    struct rig *rig = *state;
    PREVENT_MEDIA_REMOVAL lock = { TRUE };
    union {
        STORAGE_PROPERTY_QUERY query;
        STORAGE_DEVICE_NUMBER number;
        UCHAR bytes[512];
    } buffer = { .query = { .PropertyId = StorageDeviceProperty } };

    set_flag(rig);
    assert_int_equal(
        control(rig, IOCTL_STORAGE_MEDIA_REMOVAL, &lock, sizeof lock, 0, NULL)
            .status,
        STATUS_SUCCESS);
    lock.PreventMediaRemoval = FALSE;
    assert_int_equal(
        control(rig, IOCTL_STORAGE_MEDIA_REMOVAL, &lock, sizeof lock, 0, NULL)
            .status,
        STATUS_SUCCESS);
    assert_int_equal(control(rig, IOCTL_STORAGE_QUERY_PROPERTY, &buffer,
                             sizeof buffer.query, sizeof buffer, NULL)
                         .status,
                     STATUS_SUCCESS);
    assert_int_equal(control(rig, IOCTL_STORAGE_GET_DEVICE_NUMBER, &buffer, 0,
                             sizeof buffer.number, NULL)
                         .status,
                     STATUS_SUCCESS);
    assert_int_equal(buffer.number.DeviceType, FILE_DEVICE_DISK);
    assert_int_equal(control(rig, IOCTL_DISK_GET_DRIVE_GEOMETRY, &buffer, 0,
                             sizeof buffer, NULL)
                         .status,
                     STATUS_VERIFY_REQUIRED);
    assert_int_equal(
        control(rig, IOCTL_DISK_IS_WRITABLE, &buffer, 0, 0, NULL).status,
        STATUS_VERIFY_REQUIRED);
    assert_int_equal(
        control(rig, IOCTL_STORAGE_EJECT_MEDIA, NULL, 0, 0, NULL).status,
        STATUS_SUCCESS);
}

/* --- data ----------------------------------------------------------------- */

static void
write_and_read__all_sizes__what_was_written(void **state)
{
    static const ULONG sizes[] = { 512, 4096,      65536,
                                   MIB, MIB + 512, 3 * MIB + 4096 };
    static char back[4 * MIB];
    struct rig *rig = *state;

    for (size_t i = 0; i < RTL_NUMBER_OF(sizes); i++) {
        ULONGLONG at = 512 * (i + 1);
        struct outcome got;

        for (ULONG j = 0; j < sizes[i]; j++)
            data[j] = (char) (j * 31 + i);
        got = transfer(rig, IRP_MJ_WRITE, at, data, sizes[i], NULL);
        assert_int_equal(got.status, STATUS_SUCCESS);
        assert_int_equal(got.information, sizes[i]);
        assert_int_equal(got.returned, STATUS_SUCCESS);
        got = transfer(rig, IRP_MJ_READ, at, back, sizes[i], NULL);
        assert_int_equal(got.information, sizes[i]);
        assert_memory_equal(data, back, sizes[i]);
    }
}

static void
long_transfer__splits_at_the_adapters_limit(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    got = transfer(rig, IRP_MJ_READ, 0, data, 4 * MIB + 512, NULL);
    assert_int_equal(got.information, 4 * MIB + 512);
    assert_int_equal(spy_count(rig, SCSIOP_READ), 5);
}

/* Whoever goes on with a medium asks for its capacity first. */
static unsigned
parts_of_1_mib(struct rig *rig)
{
    STORAGE_READ_CAPACITY capacity;

    assert_int_equal(control(rig, IOCTL_STORAGE_READ_CAPACITY, &capacity, 0,
                             sizeof capacity, NULL)
                         .status,
                     STATUS_SUCCESS);
    spy_reset(rig);
    assert_int_equal(transfer(rig, IRP_MJ_READ, 0, data, MIB, NULL).information,
                     MIB);
    return spy_count(rig, SCSIOP_READ);
}

/* SBC-3: MAXIMUM TRANSFER LENGTH, in blocks; 0: none is told. */
static unsigned
parts_by_its_own_limit(struct rig *rig, ULONG blocks)
{
    struct answer page = { .opcode = SCSIOP_INQUIRY,
                           .times = 1,
                           .srb_status = SRB_STATUS_SUCCESS,
                           .transferred = 44,
                           .data = { 0, 0xB0, 0,
                                     0x3C, [10] = (UCHAR) (blocks >> 8),
                                     (UCHAR) blocks },
                           .data_len = 12 };

    spy_answer(rig, &page);
    return parts_of_1_mib(rig);
}

static int
rig_remote(void **state)
{
    int rc;

    spy_says_remote = true;
    rc = rig_disk(state);
    spy_says_remote = false;
    return rc;
}

/* It was away, and is back at another portal, or behind another controller. */
static void
limits__others_when_it_is_back__kept_to(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(parts_by_its_own_limit(rig, 256), 8);
    assert_int_equal(parts_by_its_own_limit(rig, 64), 32);
    assert_int_equal(parts_by_its_own_limit(rig, 13), 158);
    /* More than the adapter takes; none; no such page. */
    assert_int_equal(parts_by_its_own_limit(rig, 0xFFFF), 1);
    assert_int_equal(parts_by_its_own_limit(rig, 256), 8);
    assert_int_equal(parts_by_its_own_limit(rig, 0), 1);
    assert_int_equal(parts_by_its_own_limit(rig, 256), 8);
    spy_answer(rig, SENSE_ANSWER(SCSIOP_INQUIRY, 1, 5, 0x24, 0));
    assert_int_equal(parts_of_1_mib(rig), 1);
    /* Whichever is less. */
    rig->adapter_most = 256 * 1024;
    assert_int_equal(parts_by_its_own_limit(rig, 1024), 4);
    assert_int_equal(parts_by_its_own_limit(rig, 256), 8);
    rig->adapter_most = 0;
    assert_int_equal(parts_by_its_own_limit(rig, 0), 1);
}

/* A drive of this machine: its adapter knows. */
static void
limits__adapter_says_others_when_it_is_back__kept_to(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(parts_of_1_mib(rig), 1);
    rig->adapter_most = 128 * 1024;
    assert_int_equal(parts_of_1_mib(rig), 8);
    assert_int_equal(spy_count(rig, SCSIOP_INQUIRY), 0);
    rig->adapter_most = 0;
    assert_int_equal(parts_of_1_mib(rig), 1);
}

static void
long_transfer__a_part_fails__no_further_part_is_sent(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    rig_rule(rig, "at 2 read do sense 3/11/00");
    got = transfer(rig, IRP_MJ_READ, 0, data, 4 * MIB, NULL);
    assert_int_equal(got.status, STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(got.information, 0);
    assert_int_equal(spy_count(rig, SCSIOP_READ), 2);
}

static void
yank_in_the_middle_of_a_split_transfer__no_media(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    rig_rule(rig, "at 3 write do yank");
    got = transfer(rig, IRP_MJ_WRITE, 0, data, 4 * MIB, NULL);
    assert_int_equal(got.status, STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(got.information, 0);
    assert_ptr_equal(got.slot, rig->fdo);
    assert_int_equal(spy_count(rig, SCSIOP_WRITE), 3);
}

static void
past_the_end__nonexistent_sector(void **state)
{
    struct outcome got =
        transfer(*state, IRP_MJ_READ, IMAGE_BYTES, data, 512, NULL);

    assert_int_equal(got.status, STATUS_NONEXISTENT_SECTOR);
}

static void
not_whole_blocks__invalid_parameter(void **state)
{
    assert_int_equal(transfer(*state, IRP_MJ_READ, 100, data, 512, NULL).status,
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(transfer(*state, IRP_MJ_READ, 0, data, 100, NULL).status,
                     STATUS_INVALID_PARAMETER);
}

static void
write_through__forces_unit_access(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(transfer(rig, IRP_MJ_WRITE, 0, data, 512, NULL).status,
                     STATUS_SUCCESS);
    spy_reset(rig);
    assert_int_equal(transfer(rig, IRP_MJ_WRITE, 0, data, 512, &through).status,
                     STATUS_SUCCESS);
    assert_int_equal(rig->spy.cdb[0][1], 0x08);
}

static void
write_through__drive_refuses_it__flush_instead(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    (void) transfer(rig, IRP_MJ_READ, 0, data, 512, NULL);
    spy_reset(rig);
    spy_answer(rig, &(struct answer){ .opcode = SCSIOP_WRITE,
                                      .times = 1,
                                      .srb_status = SRB_STATUS_ERROR |
                                                    SRB_STATUS_AUTOSENSE_VALID,
                                      .scsi_status = SCSISTAT_CHECK_CONDITION,
                                      .sense = SENSE_OF(5, 0x24, 0),
                                      .sense_len = 18 });
    clock_manual(true);
    start_transfer(rig, IRP_MJ_WRITE, 0, data, 512, &through, &got);
    clock_advance_ms(3000); /* the delay of 05/24 */
    finish(&got);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 512);
    assert_int_equal(spy_count(rig, SCSIOP_WRITE), 2);
    assert_int_equal(rig->spy.cdb[1][1], 0);
    assert_int_equal(spy_count(rig, SCSIOP_SYNCHRONIZE_CACHE), 1);
    spy_reset(rig);
    got = transfer(rig, IRP_MJ_WRITE, 0, data, 512, &through);
    assert_int_equal(got.information, 512);
    assert_int_equal(spy_count(rig, SCSIOP_SYNCHRONIZE_CACHE), 1);
}

static void
flush__synchronizes_the_cache(void **state)
{
    struct rig *rig = *state;

    memset(data, 'x', 512);
    (void) transfer(rig, IRP_MJ_WRITE, 0, data, 512, NULL);
    assert_int_equal(byte_of(rig, 0, 0), 'a');
    assert_int_equal(flush(rig, NULL).status, STATUS_SUCCESS);
    assert_int_equal(byte_of(rig, 0, 0), 'x');
    assert_int_equal(spy_count(rig, SCSIOP_SYNCHRONIZE_CACHE), 1);
}

static const struct answer refused_flush = {
    .opcode = SCSIOP_SYNCHRONIZE_CACHE,
    .times = 1,
    .srb_status = SRB_STATUS_ERROR | SRB_STATUS_AUTOSENSE_VALID,
    .scsi_status = SCSISTAT_CHECK_CONDITION,
    .sense = SENSE_OF(5, 0x20, 0),
    .sense_len = 18,
};

static void
flush__drive_does_not_know_it__it_has_nothing_to_flush(void **state)
{
    struct answer refusal = refused_flush;
    struct rig *rig = *state;

    refusal.times = 9;
    spy_answer(rig, &refusal);
    assert_int_equal(flush(rig, NULL).status, STATUS_SUCCESS);
    assert_int_equal(spy_count(rig, SCSIOP_SYNCHRONIZE_CACHE), 2);
    assert_int_equal(flush(rig, NULL).status, STATUS_SUCCESS);
    assert_int_equal(spy_count(rig, SCSIOP_SYNCHRONIZE_CACHE), 2);
}

/* A drive that says so once, and knows it after all, has a cache to lose. */
static void
P8__flush__refused_as_unknown_once__is_sent_again_and_ever_after(void **state)
{
    struct rig *rig = *state;

    spy_answer(rig, &refused_flush);
    assert_int_equal(flush(rig, NULL).status, STATUS_SUCCESS);
    assert_int_equal(spy_count(rig, SCSIOP_SYNCHRONIZE_CACHE), 2);
    assert_int_equal(flush(rig, NULL).status, STATUS_SUCCESS);
    assert_int_equal(spy_count(rig, SCSIOP_SYNCHRONIZE_CACHE), 3);
}

/* 5/20/00 alone says so. */
static void
P8__flush__refused_with_another_qualifier__has_not_flushed(void **state)
{
    struct answer refusal = refused_flush;
    struct rig *rig = *state;

    refusal.times = 2;
    refusal.sense[13] = 0x5D;
    spy_answer(rig, &refusal);
    assert_int_equal(flush(rig, NULL).status, STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(flush(rig, NULL).status, STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(flush(rig, NULL).status, STATUS_SUCCESS);
    assert_int_equal(spy_count(rig, SCSIOP_SYNCHRONIZE_CACHE), 3);
}

static void
flush__refused_by_a_drive_that_knew_it__fails_and_is_tried_again(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(flush(rig, NULL).status, STATUS_SUCCESS);
    spy_answer(rig, &refused_flush);
    assert_int_equal(flush(rig, NULL).status, STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(flush(rig, NULL).status, STATUS_SUCCESS);
    assert_int_equal(spy_count(rig, SCSIOP_SYNCHRONIZE_CACHE), 3);
}

/* Not that command, but something about this one. */
static void
flush__refused_for_another_reason__has_not_flushed(void **state)
{
    struct answer refusal = refused_flush;
    struct rig *rig = *state;

    refusal.sense[12] = 0x26;
    spy_answer(rig, &refusal);
    assert_int_equal(flush(rig, NULL).status, STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(flush(rig, NULL).status, STATUS_SUCCESS);
    assert_int_equal(spy_count(rig, SCSIOP_SYNCHRONIZE_CACHE), 2);
}

static void
flush__cdrom__nothing_to_do(void **state)
{
    assert_int_equal(flush(*state, NULL).status, STATUS_SUCCESS);
    assert_int_equal(spy_commands(*state), 0);
}

static void
write__cdrom__write_protected(void **state)
{
    struct rig *rig = *state;
    struct outcome got = transfer(rig, IRP_MJ_WRITE, 0, data, 2048, NULL);

    assert_int_equal(got.status, STATUS_MEDIA_WRITE_PROTECTED);
    assert_ptr_equal(got.slot, rig->fdo);
    got = transfer(rig, IRP_MJ_READ, 0, data, 4096, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 4096);
}

static void
R77__write_protected_medium__write_fails_user_induced(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    rig_rule(rig, "at 1 write do sense 7/27/00");
    got = transfer(rig, IRP_MJ_WRITE, 0, data, 512, NULL);
    assert_int_equal(got.status, STATUS_MEDIA_WRITE_PROTECTED);
    assert_int_equal(got.information, 0);
    assert_ptr_equal(got.slot, rig->fdo);
    assert_int_equal(spy_count(rig, SCSIOP_WRITE), 1);
}

/* --- key and attention number --------------------------------------------- */

static void
key__same_count__goes_and_is_stamped(void **state)
{
    struct rig *rig = *state;
    struct ask ask = key(0);
    struct outcome got;

    (void) transfer(rig, IRP_MJ_READ, 0, data, 512, NULL);
    spy_reset(rig);
    got = transfer(rig, IRP_MJ_READ, 0, data, 512, &ask);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_not_equal(rig->spy.stamp[0], 0);
}

static void
key__other_count__verify_required_and_nothing_is_sent(void **state)
{
    struct rig *rig = *state;
    struct ask ask = key(5);
    struct outcome got;

    rig_mount(rig, true);
    got = transfer(rig, IRP_MJ_WRITE, 0, data, 512, &ask);
    assert_int_equal(got.status, STATUS_VERIFY_REQUIRED);
    assert_int_equal(got.information, 0);
    assert_ptr_equal(got.slot, rig->fdo);
    assert_true(rig_verify_set(rig));
    assert_int_equal(spy_commands(rig), 0);
    rig_clear_verify(rig);
    got = flush(rig, &ask);
    assert_int_equal(got.status, STATUS_VERIFY_REQUIRED);
    assert_int_equal(spy_commands(rig), 0);
}

static void
key__attention_taken_by_others__is_noticed(void **state)
{
    struct rig *rig = *state;
    struct ask ask = key(0);
    struct outcome got;
    struct {
        SCSI_PASS_THROUGH head;
        UCHAR sense[18];
    } pass = { 0 };

    (void) transfer(rig, IRP_MJ_READ, 0, data, 512, NULL);
    rig_mount(rig, true);
    rig_rule(rig, "at 1 tur do sense 6/28/00");
    pass.head.Length = sizeof pass.head;
    pass.head.CdbLength = 6;
    pass.head.SenseInfoLength = sizeof pass.sense;
    pass.head.DataIn = SCSI_IOCTL_DATA_IN;
    pass.head.TimeOutValue = 5;
    pass.head.SenseInfoOffset = offsetof(typeof(pass), sense);
    got = control(rig, IOCTL_SCSI_PASS_THROUGH, &pass, sizeof pass, sizeof pass,
                  NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(pass.head.ScsiStatus, SCSISTAT_CHECK_CONDITION);
    assert_true(rig_verify_set(rig));
    assert_true(EVENTUALLY(rig_count(rig) == 1));
    rig_clear_verify(rig);
    got = transfer(rig, IRP_MJ_WRITE, 0, data, 512, &ask);
    assert_int_equal(got.status, STATUS_VERIFY_REQUIRED);
    ask = key(1);
    rig_clear_verify(rig);
    got = transfer(rig, IRP_MJ_WRITE, 0, data, 512, &ask);
    assert_int_equal(got.status, STATUS_SUCCESS);
}

/* The drive was swapped between the decision and the command. */
static void
key__swapped_before_the_command_arrives__nothing_is_written(void **state)
{
    struct rig *rig = *state;
    struct ask ask = key(0);
    struct outcome got;

    (void) transfer(rig, IRP_MJ_READ, 0, data, 512, NULL);
    rig_mount(rig, true);
    spy_answer(
        rig, &(struct answer){ .opcode = SCSIOP_WRITE, .times = 1, .pend = 1 });
    memset(data, 'W', 512);
    start_transfer(rig, IRP_MJ_WRITE, 0, data, 512, &ask, &got);
    assert_int_equal(got.returned, STATUS_PENDING);
    rig_swap(rig, 1);
    spy_release(rig);
    finish(&got);
    assert_int_equal(got.status, STATUS_VERIFY_REQUIRED);
    assert_int_equal(byte_of(rig, 1, 0), 'b');
    assert_int_equal(byte_of(rig, 0, 0), 'a');
}

/* --- capacity, geometry --------------------------------------------------- */

static void
capacity__of_the_medium_that_is_in__all_forms(void **state)
{
    struct rig *rig = *state;
    STORAGE_READ_CAPACITY capacity = { 0 };
    GET_LENGTH_INFORMATION length = { { { 0 } } };
    DISK_GEOMETRY geometry = { 0 };
    struct outcome got;

    got = control(rig, IOCTL_STORAGE_READ_CAPACITY, &capacity, 0,
                  sizeof capacity, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, sizeof capacity);
    assert_int_equal(capacity.BlockLength, 512);
    assert_true(capacity.NumberOfBlocks.QuadPart == IMAGE_BYTES / 512);
    assert_true(capacity.DiskLength.QuadPart == IMAGE_BYTES);
    got = control(rig, IOCTL_DISK_GET_LENGTH_INFO, &length, 0, sizeof length,
                  NULL);
    assert_true(length.Length.QuadPart == IMAGE_BYTES);
    got = control(rig, IOCTL_DISK_GET_DRIVE_GEOMETRY, &geometry, 0,
                  sizeof geometry, NULL);
    assert_int_equal(got.information, sizeof geometry);
    assert_int_equal(geometry.BytesPerSector, 512);
    assert_int_equal(geometry.MediaType, RemovableMedia);
    assert_int_equal(
        control(rig, IOCTL_STORAGE_READ_CAPACITY, &capacity, 0, 4, NULL).status,
        STATUS_BUFFER_TOO_SMALL);
}

static void
capacity__no_medium__no_media(void **state)
{
    STORAGE_READ_CAPACITY capacity = { 0 };

    assert_int_equal(control(*state, IOCTL_STORAGE_READ_CAPACITY, &capacity, 0,
                             sizeof capacity, NULL)
                         .status,
                     STATUS_NO_MEDIA_IN_DEVICE);
}

static void
is_writable__write_protected_drive__user_induced(void **state)
{
    struct rig *rig = *state;
    struct outcome got = control(rig, IOCTL_DISK_IS_WRITABLE, NULL, 0, 0, NULL);

    assert_int_equal(got.status, STATUS_MEDIA_WRITE_PROTECTED);
    assert_ptr_equal(got.slot, rig->fdo);
}

static void
is_writable__writable__success(void **state)
{
    assert_int_equal(
        control(*state, IOCTL_DISK_IS_WRITABLE, NULL, 0, 0, NULL).status,
        STATUS_SUCCESS);
}

static int
rig_protected(void **state)
{
    return rig_new(
        state,
        &(struct vscsi_config){ .type = VSCSI_FLOPPY, .write_protect = true },
        true);
}

static void
floppy__is_marked_as_one(void **state)
{
    struct rig *rig = *state;

    assert_true(rig->fdo->Characteristics & FILE_FLOPPY_DISKETTE);
    assert_true(rig->fdo->Characteristics & FILE_REMOVABLE_MEDIA);
    assert_int_equal(transfer(rig, IRP_MJ_WRITE, 0, data, 512, NULL).status,
                     STATUS_MEDIA_WRITE_PROTECTED);
}

static void
cdrom__table_of_contents__one_data_track(void **state)
{
    CDROM_TOC toc = { { 0 } };
    CDROM_DISK_DATA kind = { 0 };
    struct outcome got =
        control(*state, IOCTL_CDROM_READ_TOC, &toc, 0, sizeof toc, NULL);

    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 4 + 2 * sizeof(TRACK_DATA));
    assert_int_equal(toc.FirstTrack, 1);
    assert_int_equal(toc.TrackData[0].Control, 4);
    got = control(*state, IOCTL_CDROM_DISK_TYPE, &kind, 0, sizeof kind, NULL);
    assert_int_equal(kind.DiskData, CDROM_DISK_DATA_TRACK);
}

/* --- trim and allocation -------------------------------------------------- */

struct trim {
    DEVICE_MANAGE_DATA_SET_ATTRIBUTES head;
    ULONG pad;
    DEVICE_DATA_SET_RANGE range[2];
};

static struct trim
trim_of(ULONG action, ULONGLONG at, ULONGLONG length)
{
    return (struct trim){
        .head = { .Size = sizeof(DEVICE_MANAGE_DATA_SET_ATTRIBUTES),
                  .Action = action,
                  .DataSetRangesOffset = offsetof(struct trim, range),
                  .DataSetRangesLength = sizeof(DEVICE_DATA_SET_RANGE) },
        .range = { { (LONGLONG) at, length } },
    };
}

static void
trim__zeros_the_range_and_nothing_else(void **state)
{
    struct rig *rig = *state;
    struct trim trim = trim_of(DeviceDsmAction_Trim, MIB, MIB);
    struct outcome got;

    trim.head.DataSetRangesLength = 2 * sizeof(DEVICE_DATA_SET_RANGE);
    trim.range[1] = (DEVICE_DATA_SET_RANGE){ 4 * MIB, 65536 };
    got = control(rig, IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES, &trim,
                  sizeof trim, 0, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(spy_count(rig, SCSIOP_UNMAP), 1);
    assert_int_equal(byte_of(rig, 0, MIB - 1), 'a');
    assert_int_equal(byte_of(rig, 0, MIB), 0);
    assert_int_equal(byte_of(rig, 0, 2 * MIB - 1), 0);
    assert_int_equal(byte_of(rig, 0, 2 * MIB), 'a');
    assert_int_equal(byte_of(rig, 0, 4 * MIB), 0);
    assert_int_equal(byte_of(rig, 0, 4 * MIB + 65536), 'a');
}

static void
trim__with_the_wrong_key__is_not_sent(void **state)
{
    struct rig *rig = *state;
    struct trim trim = trim_of(DeviceDsmAction_Trim, 0, MIB);
    struct ask ask = key(3);
    struct outcome got;

    got = control(rig, IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES, &trim,
                  sizeof trim, 0, &ask);
    assert_int_equal(got.status, STATUS_VERIFY_REQUIRED);
    assert_int_equal(byte_of(rig, 0, 0), 'a');
    assert_int_equal(spy_count(rig, SCSIOP_UNMAP), 0);
}

static void
trim__bad_input__invalid_parameter(void **state)
{
    struct trim trim = trim_of(DeviceDsmAction_Trim, 0, MIB);

    trim.head.DataSetRangesLength = 1000;
    assert_int_equal(control(*state, IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES,
                             &trim, sizeof trim, 0, NULL)
                         .status,
                     STATUS_INVALID_PARAMETER);
    trim = trim_of(77, 0, MIB);
    assert_int_equal(control(*state, IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES,
                             &trim, sizeof trim, 0, NULL)
                         .status,
                     STATUS_NOT_SUPPORTED);
    assert_int_equal(control(*state, IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES,
                             &trim, 8, 0, NULL)
                         .status,
                     STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(spy_commands(*state), 0);
}

static void
allocation__holes_and_data__one_bit_per_slab(void **state)
{
    struct rig *rig = *state;
    union {
        struct trim ask;
        struct {
            DEVICE_MANAGE_DATA_SET_ATTRIBUTES_OUTPUT head;
            ULONG pad;
            DEVICE_DATA_SET_LB_PROVISIONING_STATE state;
            ULONG bits[128];
        } reply;
    } buffer = { .ask = trim_of(DeviceDsmAction_Trim, 2 * MIB, MIB) };
    struct outcome got;
    PULONG bits = buffer.reply.state.SlabAllocationBitMap;
    ULONG slabs;

    (void) control(rig, IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES, &buffer,
                   sizeof buffer.ask, 0, NULL);
    buffer.ask = trim_of(DeviceDsmAction_Allocation, MIB, 3 * MIB);
    got = control(rig, IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES, &buffer,
                  sizeof buffer.ask, sizeof buffer, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(buffer.reply.state.SlabSizeInBytes, 4096);
    assert_int_equal(buffer.reply.state.SlabOffsetDeltaInBytes, 0);
    slabs = buffer.reply.state.SlabAllocationBitMapBitCount;
    assert_int_equal(slabs, 3 * MIB / 4096);
    for (ULONG i = 0; i < slabs; i++)
        assert_int_equal(bits[i / 32] >> i % 32 & 1,
                         i < MIB / 4096 || i >= 2 * MIB / 4096);
}

/* The whole medium instead of a range: the reply has to fit all the same. */
static void
allocation__of_the_whole_medium__no_room__too_small(void **state)
{
    struct trim ask = trim_of(DeviceDsmAction_Allocation, 0, 0);
    ULONG room = sizeof(DEVICE_MANAGE_DATA_SET_ATTRIBUTES_OUTPUT);
    struct outcome got;

    ask.head.Flags = DEVICE_DSM_FLAG_ENTIRE_DATA_SET_RANGE;
    ask.head.DataSetRangesOffset = ask.head.DataSetRangesLength = 0;
    for (ULONG i = 0; i <= room; i += room) {
        got = control(*state, IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES, &ask,
                      sizeof ask.head, i, NULL);
        assert_int_equal(got.status, STATUS_BUFFER_TOO_SMALL);
        assert_int_equal(got.information, 0);
    }
}

#define TIMES 64

/* Neither a cancel nor a change on the way leaves anything behind; what comes
 * and goes meanwhile, as a worker does, is less. */
static void
allocation__ends_early__all_given_back(void **state)
{
    struct rig *rig = *state;
    union {
        struct trim ask;
        UCHAR room[4096];
    } buffer;
    struct ke_pool_stats before, after;
    struct outcome got;

    for (int i = 0; i <= TIMES; i++) {
        buffer.ask = trim_of(DeviceDsmAction_Allocation, MIB, 3 * MIB);
        spy_answer(rig, SENSE_ANSWER(SCSIOP_GET_LBA_STATUS, 1, 2, 4, 1));
        clock_manual(true);
        start_control(rig, IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES, &buffer,
                      sizeof buffer.ask, sizeof buffer, NULL, &got);
        assert_int_equal(got.returned, STATUS_PENDING);
        assert_true(IoCancelIrp(got.irp));
        assert_true(EVENTUALLY(is_done(&got)));
        clock_manual(false);
        finish(&got);
        assert_int_equal(got.status, STATUS_CANCELLED);
        rig_settle(rig);
        ke_pool_stats(i == 0 ? &before : &after);
    }
    assert_true(after.blocks < before.blocks + TIMES / 2);
}

static void
property__thin_provisioning_trim_and_cache(void **state)
{
    union {
        STORAGE_PROPERTY_QUERY query;
        DEVICE_TRIM_DESCRIPTOR trim;
        DEVICE_LB_PROVISIONING_DESCRIPTOR thin;
        STORAGE_WRITE_CACHE_PROPERTY cache;
    } buffer = { .query = { .PropertyId = StorageDeviceTrimProperty } };
    struct outcome got;

    got = control(*state, IOCTL_STORAGE_QUERY_PROPERTY, &buffer,
                  sizeof buffer.query, sizeof buffer, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, sizeof buffer.trim);
    assert_true(buffer.trim.TrimEnabled);
    buffer.query =
        (STORAGE_PROPERTY_QUERY){ .PropertyId =
                                      StorageDeviceLBProvisioningProperty };
    got = control(*state, IOCTL_STORAGE_QUERY_PROPERTY, &buffer,
                  sizeof buffer.query, sizeof buffer, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_true(buffer.thin.ThinProvisioningEnabled);
    assert_true(buffer.thin.ThinProvisioningReadZeros);
    assert_true(buffer.thin.OptimalUnmapGranularity == 4096);
    buffer.query =
        (STORAGE_PROPERTY_QUERY){ .PropertyId =
                                      StorageDeviceWriteCacheProperty };
    got = control(*state, IOCTL_STORAGE_QUERY_PROPERTY, &buffer,
                  sizeof buffer.query, sizeof buffer, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(buffer.cache.WriteCacheEnabled, WriteCacheEnabled);
    assert_int_equal(buffer.cache.WriteThroughSupported, WriteThroughSupported);
    assert_true(buffer.cache.FlushCacheSupported);
}

static void
warm_transfers__allocate_nothing(void **state)
{
    struct rig *rig = *state;
    uint64_t before;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* caches are off there, to find misuse */
#endif
    for (int i = 0; i < 8; i++)
        (void) transfer(rig, IRP_MJ_READ, 0, data, 2 * MIB, NULL);
    before = io_allocation_count();
    for (int i = 0; i < 100; i++)
        (void) transfer(rig, IRP_MJ_READ, 0, data, 2 * MIB, NULL);
    assert_int_equal(io_allocation_count(), before);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(R51_R53_R54_R60__flag_set__verify_required_before_anything_else,
             rig_disk),
        TEST(R52_R55__override__goes_through_and_leaves_the_flag, rig_disk),
        TEST(R56__change_during_a_transfer__as_for_check_verify, rig_disk),
        TEST(R56__change_during_a_transfer_not_mounted__device_error, rig_disk),
        TEST(R58__zero_length__success_0, rig_disk),
        TEST(R59__while_the_flag_is_set__control_of_the_drive_works, rig_disk),
        TEST(write_and_read__all_sizes__what_was_written, rig_disk),
        TEST(long_transfer__splits_at_the_adapters_limit, rig_disk),
        TEST(limits__others_when_it_is_back__kept_to, rig_remote),
        TEST(limits__adapter_says_others_when_it_is_back__kept_to, rig_disk),
        TEST(long_transfer__a_part_fails__no_further_part_is_sent, rig_disk),
        TEST(yank_in_the_middle_of_a_split_transfer__no_media, rig_disk),
        TEST(past_the_end__nonexistent_sector, rig_disk),
        TEST(not_whole_blocks__invalid_parameter, rig_disk),
        TEST(write_through__forces_unit_access, rig_disk),
        TEST(write_through__drive_refuses_it__flush_instead, rig_disk),
        TEST(flush__synchronizes_the_cache, rig_cached),
        TEST(P8__flush__refused_as_unknown_once__is_sent_again_and_ever_after,
             rig_cached),
        TEST(P8__flush__refused_with_another_qualifier__has_not_flushed,
             rig_cached),
        TEST(flush__drive_does_not_know_it__it_has_nothing_to_flush,
             rig_cached),
        TEST(flush__refused_by_a_drive_that_knew_it__fails_and_is_tried_again,
             rig_cached),
        TEST(flush__refused_for_another_reason__has_not_flushed, rig_cached),
        TEST(flush__cdrom__nothing_to_do, rig_cdrom),
        TEST(write__cdrom__write_protected, rig_cdrom),
        TEST(R77__write_protected_medium__write_fails_user_induced, rig_disk),
        TEST(key__same_count__goes_and_is_stamped, rig_disk),
        TEST(key__other_count__verify_required_and_nothing_is_sent, rig_disk),
        TEST(key__attention_taken_by_others__is_noticed, rig_disk),
        TEST(key__swapped_before_the_command_arrives__nothing_is_written,
             rig_disk),
        TEST(capacity__of_the_medium_that_is_in__all_forms, rig_disk),
        TEST(capacity__no_medium__no_media, rig_empty),
        TEST(is_writable__writable__success, rig_disk),
        TEST(is_writable__write_protected_drive__user_induced, rig_protected),
        TEST(floppy__is_marked_as_one, rig_protected),
        TEST(cdrom__table_of_contents__one_data_track, rig_cdrom),
        TEST(trim__zeros_the_range_and_nothing_else, rig_disk),
        TEST(trim__with_the_wrong_key__is_not_sent, rig_disk),
        TEST(trim__bad_input__invalid_parameter, rig_disk),
        TEST(allocation__of_the_whole_medium__no_room__too_small, rig_disk),
        TEST(allocation__ends_early__all_given_back, rig_disk),
        TEST(allocation__holes_and_data__one_bit_per_slab, rig_disk),
        TEST(property__thin_provisioning_trim_and_cache, rig_cached),
        TEST(warm_transfers__allocate_nothing, rig_disk),
    };

    return cmocka_run_group_tests(tests, harness_begin, harness_end);
}
