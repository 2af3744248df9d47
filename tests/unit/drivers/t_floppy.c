/*
 * t_floppy.c - floppies: geometry, media types, formatting, what is special
 *
 * The numbers are those of the formats themselves (cylinders, sides, sectors)
 * and of the pages of the control codes in the WDK.
 *
 * SPDX-License-Identifier: MIT
 */
#include "harness.h"

#include <fcntl.h>
#include <ntddcdrm.h>

static const struct {
    MEDIA_TYPE type;
    unsigned kib, cylinders, heads, sectors;
} formats[] = {
    { F5_160_512, 160, 40, 1, 8 },     { F5_180_512, 180, 40, 1, 9 },
    { F5_320_512, 320, 40, 2, 8 },     { F5_360_512, 360, 40, 2, 9 },
    { F3_640_512, 640, 80, 2, 8 },     { F3_720_512, 720, 80, 2, 9 },
    { F5_1Pt2_512, 1200, 80, 2, 15 },  { F3_1Pt44_512, 1440, 80, 2, 18 },
    { F3_2Pt88_512, 2880, 80, 2, 36 },
};

#define FORMATS (sizeof formats / sizeof formats[0])

static int
rig_floppy(void **state)
{
    return rig_new(state, &(struct vscsi_config){ .type = VSCSI_FLOPPY },
                   false);
}

/* An image of that size, full of 'a', goes in; its first poll is over. */
static void
put_in(struct rig *rig, unsigned kib)
{
    static char block[1024];
    char text[256];
    int fd = open(rig->image[0], O_WRONLY | O_TRUNC);

    memset(block, 'a', sizeof block);
    for (unsigned i = 0; i < kib; i++)
        assert_int_equal(write(fd, block, sizeof block), sizeof block);
    close(fd);
    if (vscsi_insert(rig->drive, rig->image[0], text, sizeof text) != 0)
        fail_msg("%s", text);
    rig_settle(rig);
}

static void
peek(struct rig *rig, unsigned block, unsigned char *to)
{
    int fd = open(rig->image[0], O_RDONLY);

    assert_int_equal(pread(fd, to, 512, (off_t) block * 512), 512);
    close(fd);
}

static struct outcome
ask(struct rig *rig, ULONG code, void *buffer, ULONG in, ULONG room)
{
    return control(rig, code, buffer, in, room, &(struct ask){ 0 });
}

static void
device__floppy_drive__says_so(void **state)
{
    struct rig *rig = *state;

    assert_true(rig->fdo->Characteristics & FILE_FLOPPY_DISKETTE);
    assert_true(rig->fdo->Characteristics & FILE_REMOVABLE_MEDIA);
}

/* A finding of fuzz_ioctl: lists in it want a line of the cache. */
static void
device__extension__aligned_for_what_is_in_it(void **state)
{
    struct rig *rig = *state;

    assert_int_equal((ULONG_PTR) rig->fdo->DeviceExtension %
                         __alignof__(FUNCTIONAL_DEVICE_EXTENSION),
                     0);
    assert_int_equal((ULONG_PTR) rig->fdo->DeviceExtension % 64, 0);
}

static void
geometry__each_format__its_own(void **state)
{
    struct rig *rig = *state;

    for (size_t i = 0; i < FORMATS; i++) {
        DISK_GEOMETRY_EX geometry;
        struct outcome out;

        put_in(rig, formats[i].kib);
        memset(&geometry, 0xEE, sizeof geometry);
        out = ask(rig, IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, &geometry, 0,
                  sizeof geometry);
        assert_int_equal(out.status, STATUS_SUCCESS);
        assert_int_equal(out.information, offsetof(DISK_GEOMETRY_EX, Data));
        assert_int_equal(geometry.Geometry.MediaType, formats[i].type);
        assert_int_equal(geometry.Geometry.Cylinders.QuadPart,
                         formats[i].cylinders);
        assert_int_equal(geometry.Geometry.TracksPerCylinder, formats[i].heads);
        assert_int_equal(geometry.Geometry.SectorsPerTrack, formats[i].sectors);
        assert_int_equal(geometry.Geometry.BytesPerSector, 512);
        assert_int_equal(geometry.DiskSize.QuadPart, formats[i].kib * 1024);
        out = ask(rig, IOCTL_DISK_GET_DRIVE_GEOMETRY, &geometry, 0,
                  sizeof(DISK_GEOMETRY));
        assert_int_equal(out.information, sizeof(DISK_GEOMETRY));
        assert_int_equal(vscsi_yank(rig->drive), 0);
    }
}

static void
geometry__short_buffer_or_no_medium__fails(void **state)
{
    struct rig *rig = *state;
    DISK_GEOMETRY geometry;
    struct outcome out = ask(rig, IOCTL_DISK_GET_DRIVE_GEOMETRY, &geometry, 0,
                             sizeof geometry - 1);

    assert_int_equal(out.status, STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(out.information, 0);
    out =
        ask(rig, IOCTL_DISK_GET_DRIVE_GEOMETRY, &geometry, 0, sizeof geometry);
    assert_int_equal(out.status, STATUS_NO_MEDIA_IN_DEVICE);
    assert_int_equal(out.information, 0);
    assert_ptr_equal(out.slot, rig->fdo);
}

static void
geometry__verify_set__works_with_override_only(void **state)
{
    struct rig *rig = *state;
    DISK_GEOMETRY geometry;
    struct outcome out;

    put_in(rig, 1440);
    rig->fdo->Flags |= DO_VERIFY_VOLUME;
    out =
        ask(rig, IOCTL_DISK_GET_DRIVE_GEOMETRY, &geometry, 0, sizeof geometry);
    assert_int_equal(out.status, STATUS_VERIFY_REQUIRED);
    out = control(rig, IOCTL_DISK_GET_DRIVE_GEOMETRY, &geometry, 0,
                  sizeof geometry,
                  &(struct ask){ .flags = SL_OVERRIDE_VERIFY_VOLUME });
    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_int_equal(geometry.MediaType, F3_1Pt44_512);
    rig->fdo->Flags &= ~(ULONG) DO_VERIFY_VOLUME;
}

static void
media_types__room_for_all__every_format(void **state)
{
    struct rig *rig = *state;
    static const ULONG codes[] = { IOCTL_DISK_GET_MEDIA_TYPES,
                                   IOCTL_STORAGE_GET_MEDIA_TYPES };

    for (int c = 0; c < 2; c++) {
        DISK_GEOMETRY types[FORMATS + 1];
        struct outcome out = ask(rig, codes[c], types, 0, sizeof types);

        assert_int_equal(out.status, STATUS_SUCCESS);
        assert_int_equal(out.information, FORMATS * sizeof types[0]);
        for (size_t i = 0; i < FORMATS; i++) {
            assert_int_equal(types[i].MediaType, formats[i].type);
            assert_int_equal(types[i].SectorsPerTrack, formats[i].sectors);
        }
    }
}

static void
media_types__less_room__as_many_as_fit(void **state)
{
    struct rig *rig = *state;
    DISK_GEOMETRY types[3];
    struct outcome out =
        ask(rig, IOCTL_DISK_GET_MEDIA_TYPES, types, 0, sizeof types - 1);

    assert_int_equal(out.status, STATUS_BUFFER_OVERFLOW);
    assert_int_equal(out.information, 2 * sizeof types[0]);
    out = ask(rig, IOCTL_DISK_GET_MEDIA_TYPES, types, 0, sizeof types[0] - 1);
    assert_int_equal(out.status, STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(out.information, 0);
}

static void
media_types_ex__medium_in__marked(void **state)
{
    struct rig *rig = *state;
    union {
        GET_MEDIA_TYPES types;
        UCHAR room[sizeof(GET_MEDIA_TYPES) + FORMATS * 32];
    } u;
    struct outcome out;

    put_in(rig, 1440);
    out = ask(rig, IOCTL_STORAGE_GET_MEDIA_TYPES_EX, &u, 0, sizeof u);
    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_int_equal(out.information, 8 + FORMATS * 32);
    assert_int_equal(u.types.DeviceType, FILE_DEVICE_DISK);
    assert_int_equal(u.types.MediaInfoCount, FORMATS);
    for (size_t i = 0; i < FORMATS; i++) {
        PDEVICE_MEDIA_INFO info = (PDEVICE_MEDIA_INFO) u.types.MediaInfo + i;
        ULONG traits =
            info->DeviceSpecific.RemovableDiskInfo.MediaCharacteristics;

        assert_int_equal(info->DeviceSpecific.RemovableDiskInfo.MediaType,
                         formats[i].type);
        assert_int_equal(
            info->DeviceSpecific.RemovableDiskInfo.NumberMediaSides,
            formats[i].heads);
        assert_int_equal((traits & MEDIA_CURRENTLY_MOUNTED) != 0,
                         formats[i].type == F3_1Pt44_512);
        assert_true(traits & MEDIA_READ_WRITE);
    }
    out = ask(rig, IOCTL_STORAGE_GET_MEDIA_TYPES_EX, &u, 0,
              sizeof(GET_MEDIA_TYPES) - 1);
    assert_int_equal(out.status, STATUS_BUFFER_TOO_SMALL);
}

static void
media_types_ex__disk__the_one_in_it(void **state)
{
    struct rig *rig = *state;
    GET_MEDIA_TYPES types;
    struct outcome out =
        ask(rig, IOCTL_STORAGE_GET_MEDIA_TYPES_EX, &types, 0, sizeof types);

    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_int_equal(types.MediaInfoCount, 1);
    assert_int_equal(
        types.MediaInfo[0].DeviceSpecific.RemovableDiskInfo.MediaType,
        RemovableMedia);
    assert_int_equal(
        types.MediaInfo[0].DeviceSpecific.RemovableDiskInfo.BytesPerSector,
        512);
}

static void
media_types_ex__disc__read_only(void **state)
{
    struct rig *rig = *state;
    GET_MEDIA_TYPES types;
    struct outcome out =
        ask(rig, IOCTL_STORAGE_GET_MEDIA_TYPES_EX, &types, 0, sizeof types);

    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_int_equal(types.DeviceType, FILE_DEVICE_CD_ROM);
    assert_int_equal(
        types.MediaInfo[0].DeviceSpecific.RemovableDiskInfo.MediaType, CD_ROM);
    assert_int_equal(types.MediaInfo[0]
                         .DeviceSpecific.RemovableDiskInfo.MediaCharacteristics,
                     MEDIA_READ_ONLY | MEDIA_CURRENTLY_MOUNTED);
}

/* No buffer at all: a finding of fuzz_ioctl. */
static void
media_types_ex__no_buffer__too_small(void **state)
{
    struct rig *rig = *state;
    struct outcome out = ask(rig, IOCTL_STORAGE_GET_MEDIA_TYPES_EX, NULL, 0, 0);

    assert_int_equal(out.status, STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(out.information, 0);
}

/* --- formatting ----------------------------------------------------------- */

static void
format_tracks__two_cylinders_one_head__those_sectors(void **state)
{
    struct rig *rig = *state;
    FORMAT_PARAMETERS what = { F3_1Pt44_512, 3, 4, 1, 1 };
    unsigned char block[512];
    struct outcome out;

    put_in(rig, 1440);
    out = ask(rig, IOCTL_DISK_FORMAT_TRACKS, &what, sizeof what, sizeof what);
    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_int_equal(out.information, 0); /* no bad track */
    for (unsigned i = 0; i < 2880; i++) {
        unsigned track = i / 18;

        peek(rig, i, block);
        assert_int_equal(block[0],
                         track == 3 * 2 + 1 || track == 4 * 2 + 1 ? 0 : 'a');
        assert_int_equal(block[511], block[0]);
    }
}

static void
format_tracks_ex__interleave__formats(void **state)
{
    struct rig *rig = *state;
    union {
        FORMAT_EX_PARAMETERS what;
        UCHAR room[sizeof(FORMAT_EX_PARAMETERS) + 8 * sizeof(USHORT)];
    } u = { .what = { F3_720_512, 79, 79, 0, 1, 80, 9, { 0 } } };
    static const USHORT order[] = { 1, 6, 2, 7, 3, 8, 4, 9, 5 };
    ULONG in = offsetof(FORMAT_EX_PARAMETERS, SectorNumber) + sizeof order;
    unsigned char block[512];
    struct outcome out;

    put_in(rig, 720);
    memcpy(u.what.SectorNumber, order, sizeof order);
    out = ask(rig, IOCTL_DISK_FORMAT_TRACKS_EX, &u, in, 0);
    assert_int_equal(out.status, STATUS_SUCCESS);
    peek(rig, 1439, block);
    assert_int_equal(block[0], 0);
    peek(rig, 1440 - 18 - 1, block);
    assert_int_equal(block[0], 'a');
    out = ask(rig, IOCTL_DISK_FORMAT_TRACKS_EX, &u, in - 1, 0);
    assert_int_equal(out.status, STATUS_INVALID_PARAMETER);
    *((PUSHORT) u.what.SectorNumber + 3) = 6; /* twice */
    out = ask(rig, IOCTL_DISK_FORMAT_TRACKS_EX, &u, in, 0);
    assert_int_equal(out.status, STATUS_INVALID_PARAMETER);
}

static void
format_tracks__parameters_that_do_not_work__refused(void **state)
{
    static const FORMAT_PARAMETERS wrong[] = {
        { F3_1Pt44_512, 0, 80, 0, 0 }, { F3_1Pt44_512, 5, 4, 0, 0 },
        { F3_1Pt44_512, 0, 0, 0, 2 },  { F3_1Pt44_512, 0, 0, 1, 0 },
        { F3_720_512, 0, 0, 0, 0 }, /* not this medium */
        { FixedMedia, 0, 0, 0, 0 },    { (MEDIA_TYPE) 99, 0, 0, 0, 0 },
    };
    struct rig *rig = *state;
    FORMAT_PARAMETERS good = { F3_1Pt44_512, 0, 0, 0, 0 };
    unsigned char block[512];
    struct outcome out;

    put_in(rig, 1440);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        FORMAT_PARAMETERS what = wrong[i];

        out = ask(rig, IOCTL_DISK_FORMAT_TRACKS, &what, sizeof what, 0);
        assert_int_equal(out.status, STATUS_INVALID_PARAMETER);
    }
    out = ask(rig, IOCTL_DISK_FORMAT_TRACKS, &good, sizeof good - 1, 0);
    assert_int_equal(out.status, STATUS_INVALID_PARAMETER);
    peek(rig, 0, block);
    assert_int_equal(block[0], 'a');
}

static void
format_tracks__bad_track__its_number(void **state)
{
    struct rig *rig = *state;
    union {
        FORMAT_PARAMETERS what;
        BAD_TRACK_NUMBER bad[10];
    } u = { .what = { F3_1Pt44_512, 10, 11, 0, 1 } };
    struct outcome out;

    put_in(rig, 1440);
    rig_rule(rig, "at 2 0x04 do sense 3/31/01");
    out = ask(rig, IOCTL_DISK_FORMAT_TRACKS, &u, sizeof u.what, sizeof u);
    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_int_equal(out.information, sizeof(BAD_TRACK_NUMBER));
    assert_int_equal(u.bad[0], 10 * 2 + 1);
    u.what = (FORMAT_PARAMETERS){ F3_1Pt44_512, 10, 11, 0, 1 };
    rig_rule(rig, "at 1 0x04 do sense 3/31/01");
    out = ask(rig, IOCTL_DISK_FORMAT_TRACKS, &u, sizeof u.what, 0);
    assert_int_equal(out.status, STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(out.information, 0);
}

static void
format_tracks__write_protected__media_write_protected(void **state)
{
    struct rig *rig = *state;
    FORMAT_PARAMETERS what = { F3_1Pt44_512, 0, 0, 0, 0 };
    struct outcome out;

    put_in(rig, 1440);
    out = ask(rig, IOCTL_DISK_FORMAT_TRACKS, &what, sizeof what, 0);
    assert_int_equal(out.status, STATUS_MEDIA_WRITE_PROTECTED);
    assert_int_equal(out.information, 0);
    assert_ptr_equal(out.slot, rig->fdo);
}

/* Another disk came in between two tracks: nothing of it is formatted. */
static void
format_tracks__medium_changes__the_next_one_is_left_alone(void **state)
{
    struct rig *rig = *state;
    FORMAT_PARAMETERS what = { F3_1Pt44_512, 0, 9, 0, 1 };
    char rule[256];
    unsigned char block[512];
    struct outcome out;
    int fd;

    put_in(rig, 1440);
    assert_int_equal(truncate(rig->image[1], 1440 * 1024), 0);
    snprintf(rule, sizeof rule, "at 3 0x04 do swap %s", rig->image[1]);
    rig_rule(rig, rule);
    out = ask(rig, IOCTL_DISK_FORMAT_TRACKS, &what, sizeof what, 0);
    assert_int_equal(out.status, STATUS_IO_DEVICE_ERROR);
    fd = open(rig->image[1], O_RDONLY);
    for (unsigned i = 0; i < 2880; i++) {
        assert_int_equal(pread(fd, block, 512, (off_t) i * 512), 512);
        assert_int_equal(block[0], 'b');
    }
    close(fd);
}

struct formatting {
    struct rig *rig;
    struct outcome out;
    WORK_QUEUE_ITEM work;
    KEVENT over;
};

static VOID NTAPI
format_ten_cylinders(PVOID context)
{
    FORMAT_PARAMETERS what = { F3_1Pt44_512, 0, 9, 0, 1 };
    struct formatting *formatting = context;

    formatting->out =
        ask(formatting->rig, IOCTL_DISK_FORMAT_TRACKS, &what, sizeof what, 0);
    KeSetEvent(&formatting->over, IO_NO_INCREMENT, FALSE);
}

/* The same, but a poll was told of it, and the drive repeats nothing. */
static void
format_tracks__medium_changes_and_a_poll_sees_it__left_alone(void **state)
{
    struct rig *rig = *state;
    struct formatting formatting = { .rig = rig };
    unsigned char block[512];
    char text[256];
    int fd;

    put_in(rig, 1440);
    assert_int_equal(truncate(rig->image[1], 1440 * 1024), 0);
    spy_answer(rig, &(struct answer){
                        .opcode = SCSIOP_FORMAT_UNIT, .times = 1, .pend = 1 });
    KeInitializeEvent(&formatting.over, NotificationEvent, FALSE);
    ExInitializeWorkItem(&formatting.work, format_ten_cylinders, &formatting);
    ExQueueWorkItem(&formatting.work, DelayedWorkQueue);
    spy_wait(rig, SCSIOP_FORMAT_UNIT, 1);
    assert_int_equal(vscsi_yank(rig->drive), 0);
    if (vscsi_insert(rig->drive, rig->image[1], text, sizeof text) != 0)
        fail_msg("%s", text);
    assert_true(
        EVENTUALLY(rig_state(rig) == MediaPresent && rig_count(rig) > 1));
    spy_release(rig);
    KeWaitForSingleObject(&formatting.over, Executive, KernelMode, FALSE, NULL);
    assert_int_equal(formatting.out.status, STATUS_IO_DEVICE_ERROR);
    fd = open(rig->image[1], O_RDONLY);
    for (unsigned i = 0; i < 2880; i++) {
        assert_int_equal(pread(fd, block, 512, (off_t) i * 512), 512);
        assert_int_equal(block[0], 'b');
    }
    close(fd);
}

static void
format_tracks__disk__invalid_device_request(void **state)
{
    struct rig *rig = *state;
    FORMAT_PARAMETERS what = { F3_1Pt44_512, 0, 0, 0, 0 };
    struct outcome out =
        ask(rig, IOCTL_DISK_FORMAT_TRACKS, &what, sizeof what, 0);

    assert_int_equal(out.status, STATUS_INVALID_DEVICE_REQUEST);
}

/* --- check-verify, errors ------------------------------------------------- */

static void
check_verify__floppy__as_of_other_disks(void **state)
{
    struct rig *rig = *state;
    ULONG count = 99, before;
    struct outcome out =
        ask(rig, IOCTL_DISK_CHECK_VERIFY, &count, 0, sizeof count);

    assert_int_equal(out.status, STATUS_NO_MEDIA_IN_DEVICE);
    put_in(rig, 1440);
    out = ask(rig, IOCTL_DISK_CHECK_VERIFY, &before, 0, sizeof before);
    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_int_equal(out.information, sizeof(ULONG));
    assert_int_equal(vscsi_yank(rig->drive), 0);
    put_in(rig, 1440);
    out = ask(rig, IOCTL_DISK_CHECK_VERIFY, &count, 0, sizeof count);
    assert_int_equal(out.status, STATUS_SUCCESS);
    assert_true(count > before);
}

static void
medium_error__no_format__unrecognized(void **state)
{
    struct rig *rig = *state;
    char block[512];
    struct outcome out;

    put_in(rig, 1440);
    rig_rule(rig, "at 1 read do sense 3/14/01");
    out = transfer(rig, IRP_MJ_READ, 0, block, 512, &(struct ask){ 0 });
    assert_int_equal(out.status, STATUS_UNRECOGNIZED_MEDIA);
    assert_ptr_equal(out.slot, rig->fdo);
    clear_slot();
    rig_rule(rig, "at 1 read do sense 3/11/00");
    out = transfer(rig, IRP_MJ_READ, 0, block, 512, &(struct ask){ 0 });
    assert_int_equal(out.status, STATUS_DEVICE_DATA_ERROR);
    assert_null(out.slot);
}

static int
rig_protected(void **state)
{
    return rig_new(
        state,
        &(struct vscsi_config){ .type = VSCSI_FLOPPY, .write_protect = true },
        false);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(device__floppy_drive__says_so, rig_floppy),
        TEST(device__extension__aligned_for_what_is_in_it, rig_floppy),
        TEST(geometry__each_format__its_own, rig_floppy),
        TEST(geometry__short_buffer_or_no_medium__fails, rig_floppy),
        TEST(geometry__verify_set__works_with_override_only, rig_floppy),
        TEST(media_types__room_for_all__every_format, rig_floppy),
        TEST(media_types__less_room__as_many_as_fit, rig_floppy),
        TEST(media_types_ex__medium_in__marked, rig_floppy),
        TEST(media_types_ex__disk__the_one_in_it, rig_disk),
        TEST(media_types_ex__disc__read_only, rig_cdrom),
        TEST(media_types_ex__no_buffer__too_small, rig_cdrom),
        TEST(media_types_ex__no_buffer__too_small, rig_floppy),
        TEST(format_tracks__two_cylinders_one_head__those_sectors, rig_floppy),
        TEST(format_tracks_ex__interleave__formats, rig_floppy),
        TEST(format_tracks__parameters_that_do_not_work__refused, rig_floppy),
        TEST(format_tracks__bad_track__its_number, rig_floppy),
        TEST(format_tracks__write_protected__media_write_protected,
             rig_protected),
        TEST(format_tracks__medium_changes_and_a_poll_sees_it__left_alone,
             rig_floppy),
        TEST(format_tracks__medium_changes__the_next_one_is_left_alone,
             rig_floppy),
        TEST(format_tracks__disk__invalid_device_request, rig_disk),
        TEST(check_verify__floppy__as_of_other_disks, rig_floppy),
        TEST(medium_error__no_format__unrecognized, rig_floppy),
    };

    return cmocka_run_group_tests(tests, harness_begin, harness_end);
}
