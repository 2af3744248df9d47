/*
 * t_upkeep.c - cache, bad blocks, size, serial number and reservations of disks
 *
 * Lengths and statuses from the documentation pages of the control codes,
 * commands and pages from SBC-3 and SPC-4.
 *
 * SPDX-License-Identifier: MIT
 */
#include "harness.h"

static UCHAR buffer[4096];

/* --- the cache ------------------------------------------------------------ */

static struct outcome
get_cache(struct rig *rig, ULONG room)
{
    memset(buffer, 0xA5, sizeof buffer);
    return control(rig, IOCTL_DISK_GET_CACHE_INFORMATION, buffer, 0, room,
                   NULL);
}

static DISK_CACHE_INFORMATION
cache_of(struct rig *rig)
{
    DISK_CACHE_INFORMATION got;
    struct outcome out = get_cache(rig, sizeof got);

    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_int_equal(out.information, sizeof got);
    memcpy(&got, buffer, sizeof got);
    return got;
}

static struct outcome
set_cache(struct rig *rig, const DISK_CACHE_INFORMATION *what, ULONG in)
{
    memcpy(buffer, what, sizeof *what);
    return control(rig, IOCTL_DISK_SET_CACHE_INFORMATION, buffer, in, 0, NULL);
}

static void
cache__told_and_switched(void **state)
{
    struct rig *rig = *state;
    DISK_CACHE_INFORMATION now;
    struct outcome got;

    assert_int_equal(sizeof now, 24);
    got = get_cache(rig, sizeof now - 1);
    assert_int_equal(got.status, STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(got.information, 0);
    now = cache_of(rig);
    assert_true(now.WriteCacheEnabled);
    assert_true(now.ReadCacheEnabled);
    assert_int_equal(now.ReadRetentionPriority, EqualPriority);
    assert_int_equal(set_cache(rig, &now, sizeof now - 1).status,
                     STATUS_INFO_LENGTH_MISMATCH);
    now.WriteCacheEnabled = FALSE;
    got = set_cache(rig, &now, sizeof now);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 0);
    assert_false(cache_of(rig).WriteCacheEnabled);
    now.WriteCacheEnabled = TRUE;
    assert_int_equal(set_cache(rig, &now, sizeof now).status, STATUS_SUCCESS);
    assert_true(cache_of(rig).WriteCacheEnabled);
}

/* What the drive cannot change it refuses, and nothing has changed. */
static void
cache__what_the_drive_refuses__stays(void **state)
{
    struct rig *rig = *state;
    DISK_CACHE_INFORMATION now = cache_of(rig);

    now.ReadCacheEnabled = FALSE;
    now.WriteCacheEnabled = FALSE;
    assert_false(NT_SUCCESS(set_cache(rig, &now, sizeof now).status));
    now = cache_of(rig);
    assert_true(now.ReadCacheEnabled);
    assert_true(now.WriteCacheEnabled);
}

/* Every field of the page has its place in the record. */
static void
cache__each_field__from_the_page(void **state)
{
    struct rig *rig = *state;
    DISK_CACHE_INFORMATION now;

    spy_reset(rig);
    /* Savable; MF, WCE, RCD; read F, write 1; four numbers. */
    spy_answer(rig,
               &(struct answer){ .opcode = 0x1A,
                                 .times = 2,
                                 .srb_status = SRB_STATUS_SUCCESS,
                                 .data_len = 16,
                                 .data = { 15, 0, 0, 0, 0x88, 0x0A, 0x07, 0xF1,
                                           1, 2, 3, 4, 5, 6, 7, 8 } });
    now = cache_of(rig);
    assert_int_equal(rig->spy.cdb[0][2] & 0x3f, 0x08);
    assert_true(now.ParametersSavable);
    assert_false(now.ReadCacheEnabled);
    assert_true(now.WriteCacheEnabled);
    assert_true(now.PrefetchScalar);
    assert_int_equal(now.ReadRetentionPriority, KeepReadData);
    assert_int_equal(now.WriteRetentionPriority, KeepPrefetchedData);
    assert_int_equal(now.DisablePrefetchTransferLength, 0x0102);
    assert_int_equal(now.ScalarPrefetch.Minimum, 0x0304);
    assert_int_equal(now.ScalarPrefetch.Maximum, 0x0506);
    assert_int_equal(now.ScalarPrefetch.MaximumBlocks, 0x0708);
    now.ReadRetentionPriority = 77; /* none that there is: as none */
    spy_answer(rig, SRB_ANSWER(0x15, 1, SRB_STATUS_SUCCESS));
    assert_int_equal(set_cache(rig, &now, sizeof now).status, STATUS_SUCCESS);
    assert_int_equal(spy_count(rig, 0x15), 1);
    assert_int_equal(rig->spy.cdb[2][1] & 0x01, 1); /* and saved */
    assert_int_equal(rig->spy.length[2], 16);
}

static void
cache__no_page__not_supported(void **state)
{
    struct rig *rig = *state;

    spy_reset(rig);
    spy_answer(rig, SENSE_ANSWER(0x1A, 10, 5, 0x24, 0));
    assert_int_equal(get_cache(rig, 24).status, STATUS_NOT_SUPPORTED);
    memset(buffer, 0, sizeof buffer);
    assert_int_equal(
        control(rig, IOCTL_DISK_SET_CACHE_INFORMATION, buffer, 24, 0, NULL)
            .status,
        STATUS_NOT_SUPPORTED);
    assert_int_equal(spy_count(rig, 0x15), 0);
}

/* --- IOCTL_DISK_REASSIGN_BLOCKS, _UPDATE_DRIVE_SIZE ----------------------- */

static void
reassign__a_list_for_the_drive(void **state)
{
    struct {
        USHORT reserved, count;
        ULONG block[3];
    } what = { .count = 3, .block = { 1, 0x10203, 0xFFFFFFFF } };
    struct rig *rig = *state;
    struct outcome got;

    assert_int_equal(sizeof(REASSIGN_BLOCKS), 8);
    spy_reset(rig);
    assert_int_equal(
        control(rig, IOCTL_DISK_REASSIGN_BLOCKS, &what, 7, 0, NULL).status,
        STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(
        control(rig, IOCTL_DISK_REASSIGN_BLOCKS, &what, 15, 0, NULL).status,
        STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(spy_commands(rig), 0);
    spy_answer(rig, SRB_ANSWER(0x07, 1, SRB_STATUS_SUCCESS));
    got = control(rig, IOCTL_DISK_REASSIGN_BLOCKS, &what, 16, 0, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 0);
    assert_int_equal(spy_count(rig, 0x07), 1);
    assert_int_equal(rig->spy.length[0], 4 + 3 * 4);
    /* An image has no spare blocks: the drive does not know the command. */
    assert_int_equal(
        control(rig, IOCTL_DISK_REASSIGN_BLOCKS, &what, 16, 0, NULL).status,
        STATUS_INVALID_DEVICE_REQUEST);
}

static void
update_drive_size__asks_the_drive(void **state)
{
    const DISK_GEOMETRY *geometry = (void *) buffer;
    struct rig *rig = *state;
    struct outcome got;

    know_capacity(rig);
    got = control(rig, IOCTL_DISK_UPDATE_DRIVE_SIZE, buffer, 0,
                  sizeof *geometry - 1, NULL);
    assert_int_equal(got.status, STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(spy_commands(rig), 0);
    got = control(rig, IOCTL_DISK_UPDATE_DRIVE_SIZE, buffer, 0,
                  sizeof *geometry, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, sizeof *geometry);
    assert_int_equal(spy_count(rig, 0x25), 1);
    assert_int_equal(geometry->BytesPerSector, 512);
}

/* --- IOCTL_STORAGE_GET_MEDIA_SERIAL_NUMBER -------------------------------- */

static struct outcome
serial(struct rig *rig, ULONG room)
{
    memset(buffer, 0xA5, sizeof buffer);
    return control(rig, IOCTL_STORAGE_GET_MEDIA_SERIAL_NUMBER, buffer, 0, room,
                   NULL);
}

static void
serial__of_the_medium_whole_or_what_fits(void **state)
{
    const STORAGE_MEDIA_SERIAL_NUMBER_DATA *got = (void *) buffer;
    UCHAR first[256];
    struct rig *rig = *state;
    struct outcome out;
    USHORT length;

    spy_reset(rig);
    out = serial(rig, 3);
    assert_int_equal(out.status, STATUS_INVALID_BUFFER_SIZE);
    assert_int_equal(out.information, 0);
    assert_int_equal(spy_commands(rig), 0);
    out = serial(rig, 256);
    assert_int_equal(out.status, STATUS_SUCCESS);
    length = got->SerialNumberLength;
    assert_true(length != 0);
    assert_int_equal(out.information, 4 + length);
    assert_int_equal(rig->spy.cdb[0][0], 0xAB);
    assert_int_equal(rig->spy.cdb[0][1], 0x01);
    memcpy(first, buffer, sizeof first);
    /* The length is all of it. */
    out = serial(rig, 4);
    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_int_equal(out.information, 4);
    assert_int_equal(got->SerialNumberLength, length);
    assert_int_equal(buffer[4], 0xA5);
    out = serial(rig, 4 + 5);
    assert_int_equal(out.information, 9);
    assert_memory_equal(buffer, first, 9);
    assert_int_equal(buffer[9], 0xA5);
    rig_swap(rig, 1);
    (void) control(rig, IOCTL_STORAGE_CHECK_VERIFY, NULL, 0, 0, NULL);
    out = serial(rig, 256);
    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_memory_not_equal(buffer, first, 4 + length);
}

static void
serial__other_drives_and_other_volumes__refused(void **state)
{
    struct rig *rig = *state;

    spy_reset(rig);
    spy_answer(rig, SENSE_ANSWER(0xAB, 1, 5, 0x20, 0));
    assert_int_equal(serial(rig, 64).status, STATUS_INVALID_DEVICE_REQUEST);
    InterlockedOr((LONG volatile *) &rig->fdo->Flags, DO_VERIFY_VOLUME);
    spy_reset(rig);
    assert_int_equal(serial(rig, 64).status, STATUS_VERIFY_REQUIRED);
    assert_int_equal(spy_commands(rig), 0);
    rig_clear_verify(rig);
}

/* --- persistent reservations ---------------------------------------------- */

static struct outcome
reserve_in(struct rig *rig, PERSISTENT_RESERVE_COMMAND what, ULONG in,
           ULONG room)
{
    memset(buffer, 0, sizeof buffer);
    memcpy(buffer, &what, sizeof what);
    return control(rig, IOCTL_STORAGE_PERSISTENT_RESERVE_IN, buffer, in, room,
                   NULL);
}

static PERSISTENT_RESERVE_COMMAND
in_command(UCHAR action, USHORT length)
{
    return (PERSISTENT_RESERVE_COMMAND){
        .Version = sizeof(PERSISTENT_RESERVE_COMMAND),
        .Size = sizeof(PERSISTENT_RESERVE_COMMAND),
        .PR_IN = { .ServiceAction = action, .AllocationLength = length },
    };
}

static void
reserve_in__input__as_documented(void **state)
{
    PERSISTENT_RESERVE_COMMAND what = in_command(0, 64);
    struct rig *rig = *state;

    assert_int_equal(sizeof what, 12);
    spy_reset(rig);
    assert_int_equal(reserve_in(rig, what, 11, 64).status,
                     STATUS_INFO_LENGTH_MISMATCH);
    what.Size = 11;
    assert_int_equal(reserve_in(rig, what, 12, 64).status,
                     STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(reserve_in(rig, in_command(2, 64), 12, 64).status,
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(reserve_in(rig, in_command(0, 65), 12, 64).status,
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(reserve_in(rig, in_command(0, 7), 12, 64).status,
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(spy_commands(rig), 0);
    /* The drive has no such command. */
    assert_int_equal(reserve_in(rig, in_command(0, 64), 12, 64).status,
                     STATUS_IO_DEVICE_ERROR);
}

static void
reserve_in__reply__whole_or_how_long_it_is(void **state)
{
    static const UCHAR want[10] = { 0x5E, 1, 0, 0, 0, 0, 0, 0, 24, 0 };
    struct answer keys = { .opcode = 0x5E,
                           .times = 1,
                           .srb_status = SRB_STATUS_SUCCESS,
                           .data_len = 24,
                           .data = { 0, 0, 0, 3, 0, 0, 0, 16, 'k' } };
    const PRI_RESERVATION_LIST *list = (void *) buffer;
    struct rig *rig = *state;
    struct outcome got;

    spy_reset(rig);
    spy_answer(rig, &keys);
    got = reserve_in(rig, in_command(1, 24), 12, 64);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 24);
    assert_memory_equal(rig->spy.cdb[0], want, sizeof want);
    assert_int_equal(list->Generation[3], 3);
    assert_int_equal(list->AdditionalLength[3], 16);
    assert_int_equal(list->Reservations[0].ReservationKey[0], 'k');
    keys.data_len = 8;
    spy_answer(rig, &keys);
    got = reserve_in(rig, in_command(1, 8), 12, 64);
    assert_int_equal(got.status, STATUS_BUFFER_OVERFLOW);
    assert_int_equal(list->AdditionalLength[3], 16);
}

static void
reserve_out__checked_handed_down_and_a_conflict(void **state)
{
    static const UCHAR want[10] = { 0x5F, 1, 0x05, 0, 0, 0, 0, 0, 24, 0 };
    struct {
        PERSISTENT_RESERVE_COMMAND head;
        UCHAR rest[32];
    } what = { .head = in_command(0, 0) };
    struct rig *rig = *state;
    struct outcome got;

    what.head.PR_OUT.ServiceAction = RESERVATION_ACTION_RESERVE;
    what.head.PR_OUT.Scope = RESERVATION_SCOPE_LU;
    what.head.PR_OUT.Type = RESERVATION_TYPE_WRITE_EXCLUSIVE_REGISTRANTS;
    spy_reset(rig);
    assert_int_equal(
        control(rig, IOCTL_STORAGE_PERSISTENT_RESERVE_OUT, &what, 11, 0, NULL)
            .status,
        STATUS_INFO_LENGTH_MISMATCH);
    /* Header of 10 bytes, parameter list of 24. */
    assert_int_equal(
        control(rig, IOCTL_STORAGE_PERSISTENT_RESERVE_OUT, &what, 33, 0, NULL)
            .status,
        STATUS_INVALID_PARAMETER);
    assert_int_equal(spy_commands(rig), 0);
    spy_answer(rig, SRB_ANSWER(0x5F, 1, SRB_STATUS_SUCCESS));
    got =
        control(rig, IOCTL_STORAGE_PERSISTENT_RESERVE_OUT, &what, 34, 0, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 0);
    assert_memory_equal(rig->spy.cdb[0], want, sizeof want);
    assert_int_equal(rig->spy.length[0], 24);
    spy_answer(
        rig, &(struct answer){ .opcode = 0x5F,
                               .times = 1,
                               .srb_status = SRB_STATUS_ERROR,
                               .scsi_status = SCSISTAT_RESERVATION_CONFLICT });
    assert_int_equal(
        control(rig, IOCTL_STORAGE_PERSISTENT_RESERVE_OUT, &what, 34, 0, NULL)
            .status,
        STATUS_DEVICE_BUSY);
    what.head.PR_OUT.ServiceAction = 7;
    assert_int_equal(
        control(rig, IOCTL_STORAGE_PERSISTENT_RESERVE_OUT, &what, 34, 0, NULL)
            .status,
        STATUS_INVALID_PARAMETER);
}

static void
priority_hint__none_is_heeded(void **state)
{
    ULONG flags = 0xA5A5A5A5;
    struct rig *rig = *state;
    struct outcome got;

    got = control(rig, IOCTL_STORAGE_CHECK_PRIORITY_HINT_SUPPORT, &flags, 0, 3,
                  NULL);
    assert_int_equal(got.status, STATUS_BUFFER_TOO_SMALL);
    got = control(rig, IOCTL_STORAGE_CHECK_PRIORITY_HINT_SUPPORT, &flags, 0, 4,
                  NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 4);
    assert_int_equal(flags & STORAGE_PRIORITY_HINT_SUPPORTED, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cache__told_and_switched, rig_cached),
        TEST(cache__what_the_drive_refuses__stays, rig_cached),
        TEST(cache__each_field__from_the_page, rig_cached),
        TEST(cache__no_page__not_supported, rig_cached),
        TEST(reassign__a_list_for_the_drive, rig_disk),
        TEST(update_drive_size__asks_the_drive, rig_disk),
        TEST(serial__of_the_medium_whole_or_what_fits, rig_disk),
        TEST(serial__of_the_medium_whole_or_what_fits, rig_cdrom),
        TEST(serial__other_drives_and_other_volumes__refused, rig_disk),
        TEST(reserve_in__input__as_documented, rig_disk),
        TEST(reserve_in__reply__whole_or_how_long_it_is, rig_disk),
        TEST(reserve_out__checked_handed_down_and_a_conflict, rig_disk),
        TEST(priority_hint__none_is_heeded, rig_disk),
    };

    return cmocka_run_group_tests(tests, harness_begin, harness_end);
}
