/*
 * Tests for the control codes: every row of the library's table with no, too
 * short, exact and long buffers, while the volume has to be verified, and
 * through the I/O manager's buffers.  Lengths are those of the records in the
 * documentation.
 *
 * SPDX-License-Identifier: MIT
 */
#include "harness.h"

#include "class/class_internal.h"

#include <ntddcdrm.h>
#include <ntddcdvd.h>
#include <ntddscsi.h>

#define FILL 0xA5
#define ROOM 1024

/* What a code takes and gives; `fill` writes its input. */
struct row {
    ULONG code;
    ULONG in, out; /* bytes */
    bool medium;   /* touches it */
    bool sends;    /* asks the drive */
    void (*fill)(struct rig *rig, void *in);
};

static void
fill_unlock(struct rig *rig, void *in)
{
    ((PPREVENT_MEDIA_REMOVAL) in)->PreventMediaRemoval = FALSE;
}

static void
fill_disable(struct rig *rig, void *in)
{
    ((PPREVENT_MEDIA_REMOVAL) in)->PreventMediaRemoval = TRUE;
}

static void
fill_hotplug(struct rig *rig, void *in)
{
    *(PSTORAGE_HOTPLUG_INFO) in =
        (STORAGE_HOTPLUG_INFO){ .Size = 8, .MediaRemovable = TRUE };
}

static void
fill_path(struct rig *rig, void *in)
{
    *(UCHAR *) in = 0;
}

static const struct row rows[] = {
    { 0x002D1080, 0, 12, false, false, NULL }, /* GET_DEVICE_NUMBER */
    { 0x002D0C14, 0, 8, false, false, NULL },  /* GET_HOTPLUG_INFO */
    { 0x002DCC18, 8, 0, false, false, fill_hotplug },
    { 0x002D1100, 0, 516, false, false, NULL },     /* PREDICT_FAILURE */
    { 0x002D4804, 1, 0, false, true, fill_unlock }, /* MEDIA_REMOVAL */
    { 0x00074804, 1, 0, false, true, fill_unlock },
    { 0x00024804, 1, 0, false, true, fill_unlock },
    { 0x002D0944, 1, 0, false, false, fill_disable }, /* MCN_CONTROL */
    { 0x002D480C, 0, 0, false, true, NULL },          /* LOAD_MEDIA */
    { 0x0007480C, 0, 0, false, true, NULL },
    { 0x002D080C, 0, 0, false, true, NULL }, /* LOAD_MEDIA2 */
    { 0x002D4810, 0, 0, false, true, NULL }, /* RESERVE */
    { 0x00074810, 0, 0, false, true, NULL },
    { 0x002D4814, 0, 0, false, true, NULL }, /* RELEASE */
    { 0x00074814, 0, 0, false, true, NULL },
    { 0x002D5000, 1, 0, false, false, fill_path }, /* RESET_BUS */
    { 0x002D5004, 0, 0, false, false, NULL },      /* RESET_DEVICE */
    { 0x002D5140, 0, 32, true, true, NULL },       /* READ_CAPACITY */
    { 0x00070000, 0, 24, true, true, NULL },       /* GET_DRIVE_GEOMETRY */
    { 0x0002404C, 0, 24, true, true, NULL },       /* ... of a CD */
    { 0x000700A0, 0, 32, true, true, NULL },       /* GET_DRIVE_GEOMETRY_EX */
    { 0x00024050, 0, 32, true, true, NULL },
    { 0x0007405C, 0, 8, true, true, NULL },   /* GET_LENGTH_INFO */
    { 0x00074004, 0, 32, true, true, NULL },  /* GET_PARTITION_INFO */
    { 0x00070048, 0, 144, true, true, NULL }, /* GET_PARTITION_INFO_EX */
    { 0x002D0C04, 0, 40, true, true, NULL },  /* GET_MEDIA_TYPES_EX */
    { 0x00070140, 0, 0, true, false, NULL },  /* UPDATE_PROPERTIES */
    { 0x00041018, 0, 8, false, false, NULL }, /* SCSI_GET_ADDRESS */
};

/* Codes whose buffers have a test of their own. */
static const ULONG others[] = {
    IOCTL_STORAGE_CHECK_VERIFY,
    IOCTL_STORAGE_CHECK_VERIFY2,
    IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES,
    IOCTL_STORAGE_EJECTION_CONTROL,
    IOCTL_STORAGE_EJECT_MEDIA,
    IOCTL_STORAGE_QUERY_PROPERTY,
    IOCTL_STORAGE_FIND_NEW_DEVICES,
    IOCTL_STORAGE_GET_MEDIA_SERIAL_NUMBER,
    IOCTL_STORAGE_PERSISTENT_RESERVE_IN,
    IOCTL_STORAGE_PERSISTENT_RESERVE_OUT,
    IOCTL_STORAGE_CHECK_PRIORITY_HINT_SUPPORT,
    IOCTL_DISK_UPDATE_DRIVE_SIZE,
    IOCTL_CDROM_GET_CONFIGURATION,
    IOCTL_CDROM_EXCLUSIVE_ACCESS,
    IOCTL_CDROM_SET_SPEED,
    IOCTL_CDROM_GET_INQUIRY_DATA,
    IOCTL_CDROM_GET_PERFORMANCE,
    IOCTL_CDROM_ENABLE_STREAMING,
    IOCTL_DVD_READ_STRUCTURE,
    IOCTL_SCSI_PASS_THROUGH,
    IOCTL_SCSI_PASS_THROUGH_DIRECT,
    IOCTL_SCSI_GET_CAPABILITIES,
    IOCTL_SCSI_GET_INQUIRY_DATA,
    IOCTL_SCSI_MINIPORT,
    IOCTL_SCSI_RESCAN_BUS,
    IOCTL_DISK_INTERNAL_SET_VERIFY,
    IOCTL_DISK_INTERNAL_CLEAR_VERIFY,
};

static UCHAR buffer[ROOM + 64];

static struct outcome
ask_with(struct rig *rig, const struct row *row, ULONG in, ULONG out)
{
    memset(buffer, FILL, sizeof buffer);
    if (row->fill != NULL && in >= row->in)
        row->fill(rig, buffer);
    return control(rig, row->code, buffer, in, out, NULL);
}

static bool
untouched(ULONG from)
{
    for (ULONG i = from; i < sizeof buffer; i++)
        if (buffer[i] != FILL)
            return false;
    return true;
}

static void
answers_of_the_drive(struct rig *rig)
{
    static const UCHAR six[] = { SCSIOP_RESERVE_UNIT, SCSIOP_RELEASE_UNIT };

    for (size_t i = 0; i < RTL_NUMBER_OF(six); i++)
        spy_answer(rig, &(struct answer){ .opcode = six[i],
                                          .times = 1000,
                                          .srb_status = SRB_STATUS_SUCCESS });
}

static void
refused(struct rig *rig, const struct row *row, ULONG in, ULONG out,
        NTSTATUS status)
{
    struct outcome got;

    spy_reset(rig);
    got = ask_with(rig, row, in, out);
    if (got.status != status || got.information != 0 ||
        !untouched(in >= row->in ? row->in : 0) || spy_commands(rig) != 0)
        fail_msg("%08x in %u out %u: %08x/%lu, %u commands", row->code, in, out,
                 (unsigned) got.status, (unsigned long) got.information,
                 spy_commands(rig));
}

static void
taken(struct rig *rig, const struct row *row, ULONG in, ULONG out)
{
    struct outcome got;

    spy_reset(rig);
    answers_of_the_drive(rig);
    got = ask_with(rig, row, in, out);
    if (got.status != STATUS_SUCCESS || got.information != row->out ||
        !untouched(row->out > row->in ? row->out : row->in) ||
        (spy_commands(rig) != 0) != row->sends)
        fail_msg("%08x in %u out %u: %08x/%lu, %u commands", row->code, in, out,
                 (unsigned) got.status, (unsigned long) got.information,
                 spy_commands(rig));
}

static void
every_code__no_short_exact_and_long_buffers(void **state)
{
    struct rig *rig = *state;

    for (size_t i = 0; i < RTL_NUMBER_OF(rows); i++) {
        const struct row *row = &rows[i];

        if (row->in > 0) {
            refused(rig, row, 0, row->out, STATUS_INFO_LENGTH_MISMATCH);
            refused(rig, row, row->in - 1, row->out,
                    STATUS_INFO_LENGTH_MISMATCH);
        }
        if (row->out > 0) {
            refused(rig, row, row->in, 0, STATUS_BUFFER_TOO_SMALL);
            refused(rig, row, row->in, 1, STATUS_BUFFER_TOO_SMALL);
            refused(rig, row, row->in, row->out - 1, STATUS_BUFFER_TOO_SMALL);
        }
        taken(rig, row, row->in, row->out);
        taken(rig, row, row->in + 64, row->out + 64);
        taken(rig, row, row->in, ROOM);
    }
}

/* Copy-back: as many bytes as the drive's driver said, none after an error. */
static void
every_code__through_buffers_of_the_io_manager__copied_back(void **state)
{
    static UCHAR in[ROOM], out[ROOM];
    struct rig *rig = *state;

    for (size_t i = 0; i < RTL_NUMBER_OF(rows); i++) {
        const struct row *row = &rows[i];
        ULONG_PTR information = 77;
        NTSTATUS status;

        spy_reset(rig);
        answers_of_the_drive(rig);
        memset(in, 0, sizeof in);
        memset(out, FILL, sizeof out);
        if (row->fill != NULL)
            row->fill(rig, in);
        status = io_device_control(rig->fdo, row->code, in, row->in, out,
                                   row->out != 0 ? ROOM : 0, 0, &information);
        assert_int_equal(status, STATUS_SUCCESS);
        assert_int_equal(information, row->out);
        for (ULONG j = row->out; j < ROOM; j++)
            assert_int_equal(out[j], FILL);
        if (row->out == 0)
            continue;
        memset(out, FILL, sizeof out);
        status = io_device_control(rig->fdo, row->code, in, row->in, out,
                                   row->out - 1, 0, &information);
        assert_int_equal(status, STATUS_BUFFER_TOO_SMALL);
        for (ULONG j = 0; j < ROOM; j++)
            assert_int_equal(out[j], FILL);
    }
}

static void
R59__verify_flag__gates_what_touches_the_medium_and_nothing_else(void **state)
{
    PREVENT_MEDIA_REMOVAL lock = { TRUE };
    struct rig *rig = *state;
    struct ask own = { 0 };

    assert_int_equal(io_open_device(rig->fdo, FILE_READ_ATTRIBUTES, &own.file),
                     STATUS_SUCCESS);
    InterlockedOr((LONG volatile *) &rig->fdo->Flags, DO_VERIFY_VOLUME);
    assert_int_equal(control(rig, IOCTL_STORAGE_EJECTION_CONTROL, &lock,
                             sizeof lock, 0, &own)
                         .status,
                     STATUS_SUCCESS);
    io_close_file(own.file);
    for (size_t i = 0; i < RTL_NUMBER_OF(rows); i++) {
        const struct row *row = &rows[i];
        struct outcome got;

        if (!row->medium) {
            taken(rig, row, row->in, row->out);
            continue;
        }
        spy_reset(rig);
        got = ask_with(rig, row, row->in, row->out);
        assert_int_equal(got.status, STATUS_VERIFY_REQUIRED);
        assert_int_equal(got.information, 0);
        assert_ptr_equal(got.slot, rig->fdo);
        assert_int_equal(spy_commands(rig), 0);
        assert_true(untouched(row->in));
        /* Before the lengths are looked at. */
        got = ask_with(rig, row, 0, 0);
        assert_int_equal(got.status, STATUS_VERIFY_REQUIRED);
    }
    assert_true(rig_verify_set(rig));
    assert_int_equal(
        control(rig, IOCTL_STORAGE_EJECT_MEDIA, NULL, 0, 0, NULL).status,
        STATUS_SUCCESS);
}

static ULONG
storage_form(ULONG code)
{
    ULONG base = code >> 16, function = code >> 2 & 0xfff;

    return (base == 7 || base == 2) && function >= 0x200 && function < 0x300
               ? (code & 0xffff) | 0x2D0000
               : code;
}

static void
table__every_row__is_tested_here(void **state)
{
    for (ULONG i = 0; i < class_control_count; i++) {
        bool found = false;

        for (size_t j = 0; j < RTL_NUMBER_OF(rows); j++)
            found |= storage_form(rows[j].code) == class_controls[i].code;
        for (size_t j = 0; j < RTL_NUMBER_OF(others); j++)
            found |= others[j] == class_controls[i].code;
        if (!found)
            fail_msg("%08x has no test", class_controls[i].code);
    }
}

/* --- what they say -------------------------------------------------------- */

static void
partition__of_a_medium_without_partitions__all_of_it(void **state)
{
    PARTITION_INFORMATION one;
    PARTITION_INFORMATION_EX two;

    memset(&one, FILL, sizeof one);
    memset(&two, FILL, sizeof two);
    (void) control(*state, IOCTL_DISK_GET_PARTITION_INFO, &one, 0, sizeof one,
                   NULL);
    assert_true(one.StartingOffset.QuadPart == 0);
    assert_true(one.PartitionLength.QuadPart == IMAGE_BYTES);
    assert_int_equal(one.PartitionNumber, 0);
    assert_false(one.RecognizedPartition);
    (void) control(*state, IOCTL_DISK_GET_PARTITION_INFO_EX, &two, 0,
                   sizeof two, NULL);
    assert_int_equal(two.PartitionStyle, PARTITION_STYLE_RAW);
    assert_true(two.PartitionLength.QuadPart == IMAGE_BYTES);
    assert_int_equal(two.PartitionNumber, 0);
}

static void
media_types__one_that_is_in(void **state)
{
    GET_MEDIA_TYPES types;

    memset(&types, FILL, sizeof types);
    (void) control(*state, IOCTL_STORAGE_GET_MEDIA_TYPES_EX, &types, 0,
                   sizeof types, NULL);
    assert_int_equal(types.DeviceType, FILE_DEVICE_DISK);
    assert_int_equal(types.MediaInfoCount, 1);
    assert_int_equal(
        types.MediaInfo[0].DeviceSpecific.RemovableDiskInfo.MediaType,
        RemovableMedia);
    assert_int_equal(
        types.MediaInfo[0].DeviceSpecific.RemovableDiskInfo.BytesPerSector,
        512);
    assert_int_equal(types.MediaInfo[0]
                         .DeviceSpecific.RemovableDiskInfo.MediaCharacteristics,
                     MEDIA_CURRENTLY_MOUNTED | MEDIA_READ_WRITE);
}

static void
hotplug__only_the_drive_may_become_so(void **state)
{
    static const struct {
        STORAGE_HOTPLUG_INFO in;
        NTSTATUS status;
    } cases[] = {
        { { 7, 1, 0, 0, 0 }, STATUS_INVALID_PARAMETER_1 },
        { { 8, 0, 0, 0, 0 }, STATUS_INVALID_PARAMETER_2 },
        { { 8, 1, 1, 0, 0 }, STATUS_INVALID_PARAMETER_3 },
        { { 8, 1, 0, 0, 1 }, STATUS_INVALID_PARAMETER_5 },
        { { 8, 1, 0, 1, 0 }, STATUS_SUCCESS },
    };
    STORAGE_HOTPLUG_INFO info;

    for (size_t i = 0; i < RTL_NUMBER_OF(cases); i++) {
        info = cases[i].in;
        assert_int_equal(control(*state, IOCTL_STORAGE_SET_HOTPLUG_INFO, &info,
                                 sizeof info, 0, NULL)
                             .status,
                         cases[i].status);
        (void) control(*state, IOCTL_STORAGE_GET_HOTPLUG_INFO, &info, 0,
                       sizeof info, NULL);
        assert_int_equal(info.Size, 8);
        assert_true(info.MediaRemovable);
        assert_int_equal(info.DeviceHotplug, i == 4);
    }
}

static void
property__room_for_less__as_much_as_fits(void **state)
{
    union {
        STORAGE_PROPERTY_QUERY query;
        STORAGE_DESCRIPTOR_HEADER header;
        UCHAR bytes[256];
    } reply;

    for (int id = StorageDeviceProperty; id <= StorageAdapterProperty; id++) {
        struct outcome got;

        memset(&reply, 0, sizeof reply);
        reply.query.PropertyId = (STORAGE_PROPERTY_ID) id;
        got = control(*state, IOCTL_STORAGE_QUERY_PROPERTY, &reply,
                      sizeof reply.query - 5, sizeof reply, NULL);
        assert_int_equal(got.status, STATUS_INFO_LENGTH_MISMATCH);
        got = control(*state, IOCTL_STORAGE_QUERY_PROPERTY, &reply,
                      sizeof reply.query, sizeof reply.header, NULL);
        assert_int_equal(got.information, sizeof reply.header);
        assert_true(reply.header.Size > sizeof reply.header);
        assert_int_equal(reply.bytes[sizeof reply.query], 0);
    }
    reply.query = (STORAGE_PROPERTY_QUERY){
        .PropertyId = StorageDeviceWriteCacheProperty,
        .QueryType = PropertyExistsQuery,
    };
    assert_int_equal(control(*state, IOCTL_STORAGE_QUERY_PROPERTY, &reply,
                             sizeof reply.query, 0, NULL)
                         .status,
                     STATUS_SUCCESS);
}

static void
internal_set_and_clear_verify__kernel_callers_only(void **state)
{
    static const struct ask user = { .user_mode = true };
    struct rig *rig = *state;

    assert_int_equal(
        control(rig, IOCTL_DISK_INTERNAL_SET_VERIFY, NULL, 0, 0, &user).status,
        STATUS_NOT_SUPPORTED);
    assert_false(rig_verify_set(rig));
    assert_int_equal(
        control(rig, IOCTL_DISK_INTERNAL_SET_VERIFY, NULL, 0, 0, NULL).status,
        STATUS_SUCCESS);
    assert_true(rig_verify_set(rig));
    assert_int_equal(
        control(rig, IOCTL_DISK_INTERNAL_CLEAR_VERIFY, NULL, 0, 0, &user)
            .status,
        STATUS_NOT_SUPPORTED);
    assert_true(rig_verify_set(rig));
    assert_int_equal(
        control(rig, IOCTL_DISK_INTERNAL_CLEAR_VERIFY, NULL, 0, 0, NULL).status,
        STATUS_SUCCESS);
    assert_false(rig_verify_set(rig));
}

static void
find_new_devices__obsolete__refused(void **state)
{
    assert_int_equal(
        control(*state, IOCTL_STORAGE_FIND_NEW_DEVICES, NULL, 0, 0, NULL)
            .status,
        STATUS_INVALID_DEVICE_REQUEST);
}

/* What a drive says that takes a block at a time: it is as if it could not. */
static void
trim__worth_more_than_65536_commands__not_supported(void **state)
{
    enum { RANGES = 5 }; /* each of 16,384 blocks, the whole medium */
    struct {
        DEVICE_MANAGE_DATA_SET_ATTRIBUTES head;
        ULONG pad;
        DEVICE_DATA_SET_RANGE range[RANGES];
    } trim = { .head = { .Size = sizeof trim.head,
                         .Action = DeviceDsmAction_Trim } };
    struct rig *rig = *state;
    class_device *dev = class_dev(rig->fdo);
    struct outcome got;

    trim.head.DataSetRangesOffset =
        (ULONG) ((char *) trim.range - (char *) &trim);
    for (int ranges = 4; ranges <= RANGES; ranges++) {
        trim.head.DataSetRangesLength =
            (ULONG) ranges * (ULONG) sizeof trim.range[0];
        for (int i = 0; i < ranges; i++)
            trim.range[i] = (DEVICE_DATA_SET_RANGE){ 0, IMAGE_BYTES };
        know_capacity(rig);
        dev->unmap_blocks = dev->unmap_descriptors = 1;
        dev->limits_known = TRUE;
        spy_answer(rig, &(struct answer){ .opcode = SCSIOP_UNMAP,
                                          .times = 1000000,
                                          .srb_status = SRB_STATUS_SUCCESS });
        got = control(rig, IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES, &trim,
                      sizeof trim, 0, NULL);
        assert_int_equal(got.status,
                         ranges == 4 ? STATUS_SUCCESS : STATUS_NOT_SUPPORTED);
        assert_int_equal(got.information, 0);
        assert_int_equal(spy_commands(rig), 65536);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_code__no_short_exact_and_long_buffers, rig_disk),
        TEST(every_code__through_buffers_of_the_io_manager__copied_back,
             rig_disk),
        TEST(R59__verify_flag__gates_what_touches_the_medium_and_nothing_else,
             rig_disk),
        cmocka_unit_test(table__every_row__is_tested_here),
        TEST(partition__of_a_medium_without_partitions__all_of_it, rig_disk),
        TEST(media_types__one_that_is_in, rig_disk),
        TEST(hotplug__only_the_drive_may_become_so, rig_disk),
        TEST(property__room_for_less__as_much_as_fits, rig_disk),
        TEST(internal_set_and_clear_verify__kernel_callers_only, rig_disk),
        TEST(find_new_devices__obsolete__refused, rig_disk),
        TEST(trim__worth_more_than_65536_commands__not_supported, rig_disk),
    };

    return cmocka_run_group_tests(tests, harness_begin, harness_end);
}
