/*
 * t_cdrom.c - control codes of CD drives that hand a multimedia command down
 *
 * Lengths and statuses from the documentation pages of the control codes,
 * commands from MMC-6.
 *
 * SPDX-License-Identifier: MIT
 */
#include "harness.h"

#include <ntddcdrm.h>
#include <ntddcdvd.h>

static UCHAR buffer[70000];

static ULONG
be(const UCHAR *at, int bytes)
{
    ULONG value = 0;

    while (bytes-- > 0)
        value = value << 8 | *at++;
    return value;
}

/* --- IOCTL_CDROM_GET_CONFIGURATION ---------------------------------------- */

static struct outcome
configuration(struct rig *rig, ULONG feature, ULONG type, ULONG in, ULONG room)
{
    GET_CONFIGURATION_IOCTL_INPUT what = { .Feature = feature,
                                           .RequestType = type };

    memset(buffer, 0xA5, sizeof buffer);
    memcpy(buffer, &what, sizeof what);
    return control(rig, IOCTL_CDROM_GET_CONFIGURATION, buffer, in, room, NULL);
}

static void
configuration__buffers__exact_input_room_for_the_header(void **state)
{
    struct rig *rig = *state;
    struct outcome got;

    assert_int_equal(sizeof(GET_CONFIGURATION_IOCTL_INPUT), 24);
    spy_reset(rig);
    got = configuration(rig, 0, 0, 23, 512);
    assert_int_equal(got.status, STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(got.information, 0);
    assert_int_equal(configuration(rig, 0, 0, 25, 512).status,
                     STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(configuration(rig, 0, 0, 24, 7).status,
                     STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(configuration(rig, 0, 0, 24, 0x10000).status,
                     STATUS_INVALID_BUFFER_SIZE);
    assert_int_equal(configuration(rig, 0, 3, 24, 512).status,
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(configuration(rig, 0x10000, 0, 24, 512).status,
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(spy_commands(rig), 0);
    got = configuration(rig, 0, 0, 24, 8);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 8);
}

static void
configuration__all_current_one(void **state)
{
    static const UCHAR want[10] = { 0x46, 2, 0, 0x1E, 0, 0, 0, 2, 0, 0 };
    const GET_CONFIGURATION_HEADER *header = (void *) buffer;
    const FEATURE_HEADER *feature = (void *) header->Data;
    struct rig *rig = *state;
    ULONG_PTR all;
    struct outcome got;

    got =
        configuration(rig, 0, SCSI_GET_CONFIGURATION_REQUEST_TYPE_ALL, 24, 512);
    assert_int_equal(got.status, STATUS_SUCCESS);
    all = got.information;
    assert_int_equal(be(header->DataLength, 4) + 4, all);
    assert_int_equal(be(header->CurrentProfile, 2), ProfileCdrom);
    assert_int_equal(be(feature->FeatureCode, 2), FeatureProfileList);
    got = configuration(rig, 0, SCSI_GET_CONFIGURATION_REQUEST_TYPE_CURRENT, 24,
                        512);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_true(got.information < all); /* no DVD is in it */
    spy_reset(rig);
    got = configuration(rig, FeatureCdRead,
                        SCSI_GET_CONFIGURATION_REQUEST_TYPE_ONE, 24, 512);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 8 + 4 + 4);
    assert_int_equal(be(feature->FeatureCode, 2), FeatureCdRead);
    assert_true(feature->Current);
    assert_memory_equal(rig->spy.cdb[0], want, sizeof want);
    assert_int_equal(configuration(rig, FeatureBDWrite,
                                   SCSI_GET_CONFIGURATION_REQUEST_TYPE_ONE, 24,
                                   512)
                         .information,
                     8);
}

static void
configuration__no_medium__all_the_same(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(vscsi_yank(rig->drive), 0);
    rig_settle(rig);
    assert_int_equal(configuration(rig, 0, 0, 24, 512).status, STATUS_SUCCESS);
    assert_int_equal(be(buffer + 6, 2), ProfileInvalid);
}

static void
configuration__drive_without_it__invalid_device_request(void **state)
{
    struct rig *rig = *state;

    spy_reset(rig);
    spy_answer(rig, SENSE_ANSWER(0x46, 1, 5, 0x20, 0));
    assert_int_equal(configuration(rig, 0, 0, 24, 512).status,
                     STATUS_INVALID_DEVICE_REQUEST);
}

/* --- IOCTL_CDROM_SET_SPEED ------------------------------------------------ */

static NTSTATUS
set_speed(struct rig *rig, const void *what, ULONG len)
{
    struct outcome got;

    memset(buffer, 0, sizeof(CDROM_SET_STREAMING));
    memcpy(buffer, what, len);
    got = control(rig, IOCTL_CDROM_SET_SPEED, buffer, len, 0, NULL);
    assert_int_equal(got.information, 0);
    return got.status;
}

/* What the drive says: mode page 2Ah. */
static ULONG
speed_of(struct rig *rig)
{
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 10, .TimeOutValue = 10 };
    UCHAR page[64] = { 0 };

    srb.Cdb[0] = SCSIOP_MODE_SENSE10;
    srb.Cdb[1] = 0x08;
    srb.Cdb[2] = 0x2A;
    srb.Cdb[8] = sizeof page;
    (void) ClassSendSrbSynchronous(rig->fdo, &srb, page, sizeof page, FALSE);
    return be(page + 8 + 14, 2);
}

static void
set_speed__buffers_and_types(void **state)
{
    CDROM_SET_STREAMING what = { .RequestType = CdromSetSpeed };
    struct rig *rig = *state;

    assert_int_equal(sizeof(CDROM_SET_SPEED), 12);
    assert_int_equal(sizeof(CDROM_SET_STREAMING), 36);
    spy_reset(rig);
    assert_int_equal(set_speed(rig, &what, 3), STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(set_speed(rig, &what, 11), STATUS_INFO_LENGTH_MISMATCH);
    what.RequestType = CdromSetStreaming;
    assert_int_equal(set_speed(rig, &what, 35), STATUS_INFO_LENGTH_MISMATCH);
    what.RequestType = 2;
    assert_int_equal(set_speed(rig, &what, 36), STATUS_INVALID_PARAMETER);
    what.RequestType = CdromSetStreaming;
    what.RotationControl = 2;
    assert_int_equal(set_speed(rig, &what, 36), STATUS_INVALID_PARAMETER);
    assert_int_equal(spy_commands(rig), 0);
}

static void
set_speed__set_cd_speed__kilobytes_and_rotation(void **state)
{
    static const UCHAR want[12] = { 0xBB, 1, 2, 0xC2, 0xff, 0xff };
    const CDROM_SET_SPEED what = { CdromSetSpeed, 706, 0xffff,
                                   CdromCAVRotation };
    struct rig *rig = *state;

    spy_reset(rig);
    assert_int_equal(set_speed(rig, &what, sizeof what), STATUS_SUCCESS);
    assert_int_equal(spy_count(rig, 0xBB), 1);
    assert_memory_equal(rig->spy.cdb[0], want, sizeof want);
    assert_int_equal(speed_of(rig), 706);
}

static const CDROM_SET_STREAMING four_times = {
    .RequestType = CdromSetStreaming,
    .ReadSize = 706,
    .ReadTime = 1000,
    .WriteSize = 0xffff,
    .WriteTime = 1000,
    .EndLba = 100,
};

static void
set_speed__set_streaming__and_back(void **state)
{
    static const UCHAR want[12] = { 0xB6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 28, 0 };
    CDROM_SET_STREAMING what = four_times;
    struct rig *rig = *state;
    ULONG before = speed_of(rig);

    spy_reset(rig);
    assert_int_equal(set_speed(rig, &what, sizeof what), STATUS_SUCCESS);
    assert_memory_equal(rig->spy.cdb[0], want, sizeof want);
    assert_int_equal(rig->spy.length[0], 28);
    assert_int_equal(speed_of(rig), 706);
    what.ReadSize = 0xffff;
    what.SetExact = TRUE;
    assert_int_equal(set_speed(rig, &what, sizeof what),
                     STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(speed_of(rig), 706);
    what.RestoreDefaults = TRUE;
    assert_int_equal(set_speed(rig, &what, sizeof what), STATUS_SUCCESS);
    assert_int_equal(speed_of(rig), before);
}

static void
set_speed__drive_without_streaming__invalid_device_request(void **state)
{
    struct rig *rig = *state;

    spy_reset(rig);
    spy_answer(rig, SENSE_ANSWER(0xB6, 1, 5, 0x20, 0));
    assert_int_equal(set_speed(rig, &four_times, sizeof four_times),
                     STATUS_INVALID_DEVICE_REQUEST);
}

/* Persistent TRUE: "to restore the default speed when the user changes the
 * media"; FALSE: it stays. */
static void
set_speed__medium_changed__default_only_when_asked_for(void **state)
{
    CDROM_SET_STREAMING what = four_times;
    struct rig *rig = *state;
    ULONG before = speed_of(rig);

    assert_int_equal(set_speed(rig, &what, sizeof what), STATUS_SUCCESS);
    spy_reset(rig);
    rig_swap(rig, 1);
    (void) control(rig, IOCTL_STORAGE_CHECK_VERIFY, NULL, 0, 0, NULL);
    rig_settle(rig);
    assert_int_equal(spy_count(rig, 0xB6), 0);
    assert_int_equal(speed_of(rig), 706);

    what.Persistent = TRUE;
    assert_int_equal(set_speed(rig, &what, sizeof what), STATUS_SUCCESS);
    spy_reset(rig);
    rig_swap(rig, 0);
    (void) control(rig, IOCTL_STORAGE_CHECK_VERIFY, NULL, 0, 0, NULL);
    spy_wait(rig, 0xB6, 1);
    assert_true(EVENTUALLY(speed_of(rig) == before));
    /* Once. */
    spy_reset(rig);
    rig_swap(rig, 1);
    (void) control(rig, IOCTL_STORAGE_CHECK_VERIFY, NULL, 0, 0, NULL);
    rig_settle(rig);
    assert_int_equal(spy_count(rig, 0xB6), 0);
}

/* --- IOCTL_CDROM_GET_INQUIRY_DATA, _GET_PERFORMANCE, _SEND_OPC_INFORMATION -- */

static void
inquiry__at_least_36_bytes(void **state)
{
    const INQUIRYDATA *inquiry = (void *) buffer;
    struct rig *rig = *state;
    struct outcome got;

    memset(buffer, 0xA5, sizeof buffer);
    got = control(rig, IOCTL_CDROM_GET_INQUIRY_DATA, buffer, 0, 35, NULL);
    assert_int_equal(got.status, STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(got.information, 0);
    got = control(rig, IOCTL_CDROM_GET_INQUIRY_DATA, buffer, 0, 36, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 36);
    assert_int_equal(inquiry->DeviceType, READ_ONLY_DIRECT_ACCESS_DEVICE);
    assert_true(inquiry->RemovableMedia);
    got = control(rig, IOCTL_CDROM_GET_INQUIRY_DATA, buffer, 0, 4096, NULL);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_true(got.information >= 36 && got.information <= 260);
    assert_int_equal(got.information, inquiry->AdditionalLength + 5);
}

static struct outcome
performance(struct rig *rig, const void *what, ULONG in, ULONG room)
{
    memset(buffer, 0, 64);
    memcpy(buffer, what, in);
    return control(rig, IOCTL_CDROM_GET_PERFORMANCE, buffer, in, room, NULL);
}

static void
performance__buffers_and_combinations(void **state)
{
    const CDROM_PERFORMANCE_REQUEST fine = { CdromPerformanceRequest,
                                             CdromReadPerformance,
                                             CdromNominalPerformance,
                                             Cdrom10Nominal20Exceptions, 0 };
    CDROM_PERFORMANCE_REQUEST what = fine;
    struct rig *rig = *state;

    spy_reset(rig);
    assert_int_equal(performance(rig, &what, 3, 64).status,
                     STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(performance(rig, &what, sizeof what - 1, 64).status,
                     STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(performance(rig, &what, sizeof what, 7).status,
                     STATUS_BUFFER_TOO_SMALL);
    what.RequestType = 3;
    assert_int_equal(performance(rig, &what, sizeof what, 64).status,
                     STATUS_INVALID_PARAMETER);
    what = fine;
    what.PerformanceType = 0;
    assert_int_equal(performance(rig, &what, sizeof what, 64).status,
                     STATUS_INVALID_PARAMETER);
    what = fine;
    what.Exceptions = 4;
    assert_int_equal(performance(rig, &what, sizeof what, 64).status,
                     STATUS_INVALID_PARAMETER);
    what = fine;
    what.Tolerance = 0;
    assert_int_equal(performance(rig, &what, sizeof what, 64).status,
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(spy_commands(rig), 0);
}

static void
performance__of_reading__what_the_drive_says(void **state)
{
    static const UCHAR want[12] = { 0xAC, 0x10, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0 };
    const CDROM_PERFORMANCE_REQUEST what = { CdromPerformanceRequest,
                                             CdromReadPerformance,
                                             CdromNominalPerformance,
                                             Cdrom10Nominal20Exceptions, 77 };
    const CDROM_WRITE_SPEED_REQUEST write = { CdromWriteSpeedRequest };
    const CDROM_PERFORMANCE_HEADER *header = (void *) buffer;
    const CDROM_NOMINAL_PERFORMANCE_DESCRIPTOR *first = (void *) header->Data;
    struct rig *rig = *state;
    struct outcome got;

    spy_reset(rig);
    got = performance(rig, &what, sizeof what, 8 + 3 * 16 + 5);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 8 + 16);
    assert_memory_equal(rig->spy.cdb[0], want, sizeof want);
    assert_int_equal(be(header->DataLength, 4), 4 + 16);
    assert_false(header->Except);
    assert_int_equal(be(first->StartLba, 4), 0);
    assert_int_equal(be(first->EndLba, 4), IMAGE_BYTES / 2048 - 1);
    assert_int_equal(be(first->StartPerformance, 4), speed_of(rig));
    /* It writes nothing, so it has no speeds of writing. */
    assert_int_equal(performance(rig, &write, sizeof write, 64).status,
                     STATUS_INVALID_DEVICE_REQUEST);
}

static void
opc__checked_and_handed_down(void **state)
{
    static const UCHAR want[10] = { 0x54, 1, 2, 0, 0, 0, 0, 0, 0, 0 };
    CDROM_SIMPLE_OPC_INFO what = { SimpleOpcInfo, FALSE, TRUE };
    struct rig *rig = *state;
    struct outcome got;

    spy_reset(rig);
    assert_int_equal(control(rig, IOCTL_CDROM_SEND_OPC_INFORMATION, &what,
                             sizeof what - 1, 0, NULL)
                         .status,
                     STATUS_INFO_LENGTH_MISMATCH);
    what.RequestType = 2;
    assert_int_equal(control(rig, IOCTL_CDROM_SEND_OPC_INFORMATION, &what,
                             sizeof what, 0, NULL)
                         .status,
                     STATUS_INVALID_PARAMETER);
    what.RequestType = SimpleOpcInfo;
    assert_int_equal(spy_commands(rig), 0);
    /* A drive that only reads has no such command. */
    got = control(rig, IOCTL_CDROM_SEND_OPC_INFORMATION, &what, sizeof what, 0,
                  NULL);
    assert_int_equal(got.status, STATUS_INVALID_DEVICE_REQUEST);
    assert_memory_equal(rig->spy.cdb[0], want, sizeof want);
}

/* --- DVDs ----------------------------------------------------------------- */

static struct outcome
dvd_structure(struct rig *rig, ULONG format, ULONG in, ULONG room)
{
    DVD_READ_STRUCTURE what = { .Format = format };

    memset(buffer, 0xA5, 4096);
    memcpy(buffer, &what, sizeof what);
    return control(rig, IOCTL_DVD_READ_STRUCTURE, buffer, in, room, NULL);
}

static void
insert_dvd(struct rig *rig)
{
    char text[256];

    assert_int_equal(vscsi_yank(rig->drive), 0);
    assert_int_equal(truncate(rig->image[0], 4LL << 30), 0);
    assert_int_equal(vscsi_insert(rig->drive, rig->image[0], text, sizeof text),
                     0);
    rig_settle(rig);
    (void) control(rig, IOCTL_STORAGE_CHECK_VERIFY, NULL, 0, 0, NULL);
}

static void
dvd__records__as_documented(void **state)
{
    (void) state;
    assert_int_equal(IOCTL_DVD_READ_STRUCTURE, 0x00335140);
    assert_int_equal(sizeof(DVD_READ_STRUCTURE), 17);
    assert_int_equal(sizeof(DVD_LAYER_DESCRIPTOR), 17);
    assert_int_equal(sizeof(DVD_COPYRIGHT_DESCRIPTOR), 4);
}

static void
dvd_structure__layer_copyright_manufacturer(void **state)
{
    const DVD_LAYER_DESCRIPTOR *layer = (void *) buffer;
    const DVD_COPYRIGHT_DESCRIPTOR *rights = (void *) buffer;
    struct rig *rig = *state;
    struct outcome got;

    insert_dvd(rig);
    got = dvd_structure(rig, DvdPhysicalDescriptor, 17, 17);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 17);
    assert_int_equal(layer->BookType, 0);
    assert_int_equal(layer->NumberOfLayers, 0);
    assert_int_equal(layer->LayerType, 1);
    assert_int_equal(layer->StartingDataSector, 0x30000);
    assert_int_equal(layer->EndDataSector, 0x30000 + (4LL << 30) / 2048 - 1);
    assert_int_equal(buffer[17], 0xA5);
    got = dvd_structure(rig, DvdCopyrightDescriptor, 17, 64);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 4);
    assert_int_equal(rights->CopyrightProtectionType, 0);
    got = dvd_structure(rig, DvdManufacturerDescriptor, 17, 4096);
    assert_int_equal(got.status, STATUS_SUCCESS);
    assert_int_equal(got.information, 2048);
    /* It has neither keys nor a burst cutting area. */
    assert_int_equal(dvd_structure(rig, DvdDiskKeyDescriptor, 17, 2048).status,
                     STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(dvd_structure(rig, DvdBCADescriptor, 17, 0).status,
                     STATUS_INVALID_DEVICE_REQUEST);
}

static void
dvd_structure__wrong_buffers_and_discs__refused(void **state)
{
    struct rig *rig = *state;

    spy_reset(rig);
    assert_int_equal(dvd_structure(rig, 0, 16, 64).status,
                     STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(dvd_structure(rig, 0, 17, 16).status,
                     STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(
        dvd_structure(rig, DvdManufacturerDescriptor, 17, 2047).status,
        STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(dvd_structure(rig, DvdMaxDescriptor, 17, 64).status,
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(spy_commands(rig), 0);
    /* A CD: 5/30/02. */
    assert_int_equal(dvd_structure(rig, 0, 17, 64).status,
                     STATUS_UNRECOGNIZED_MEDIA);
    InterlockedOr((LONG volatile *) &rig->fdo->Flags, DO_VERIFY_VOLUME);
    assert_int_equal(dvd_structure(rig, 0, 17, 64).status,
                     STATUS_VERIFY_REQUIRED);
    rig_clear_verify(rig);
}

static void
dvd_structure__drive_sends_less_than_a_descriptor__device_error(void **state)
{
    struct rig *rig = *state;

    spy_reset(rig);
    spy_answer(rig, &(struct answer){ .opcode = 0xAD,
                                      .times = 1,
                                      .srb_status = SRB_STATUS_SUCCESS,
                                      .data_len = 12,
                                      .data = { 0xff, 0xff } });
    assert_int_equal(dvd_structure(rig, 0, 17, 64).status,
                     STATUS_IO_DEVICE_ERROR);
    spy_answer(rig, &(struct answer){ .opcode = 0xAD,
                                      .times = 1,
                                      .srb_status = SRB_STATUS_SUCCESS,
                                      .data_len = 24,
                                      .data = { 0, 1 } });
    assert_int_equal(dvd_structure(rig, 0, 17, 64).status,
                     STATUS_IO_DEVICE_ERROR);
}

static void
read_ahead__addresses_in_blocks(void **state)
{
    static const UCHAR want[12] = { 0xA7, 0, 0, 0, 0, 2, 0, 1, 0, 0, 0, 0 };
    STORAGE_SET_READ_AHEAD what = { .TriggerAddress.QuadPart = 2 * 2048,
                                    .TargetAddress.QuadPart =
                                        0x10000 * 2048LL };
    static const ULONG codes[] = { IOCTL_STORAGE_SET_READ_AHEAD,
                                   IOCTL_DVD_SET_READ_AHEAD };
    struct rig *rig = *state;

    for (size_t i = 0; i < RTL_NUMBER_OF(codes); i++) {
        spy_reset(rig);
        assert_int_equal(control(rig, codes[i], &what, 15, 0, NULL).status,
                         STATUS_INFO_LENGTH_MISMATCH);
        assert_int_equal(spy_commands(rig), 0);
        spy_answer(rig, SRB_ANSWER(0xA7, 1, SRB_STATUS_SUCCESS));
        assert_int_equal(control(rig, codes[i], &what, 16, 0, NULL).status,
                         STATUS_SUCCESS);
        assert_memory_equal(rig->spy.cdb[0], want, sizeof want);
        /* The emulated drive leaves that to the host. */
        assert_int_equal(control(rig, codes[i], &what, 16, 0, NULL).status,
                         STATUS_INVALID_DEVICE_REQUEST);
    }
    what.TargetAddress.QuadPart = -2048;
    assert_int_equal(control(rig, codes[0], &what, 16, 0, NULL).status,
                     STATUS_INVALID_PARAMETER);
}

static NTSTATUS
streaming(struct rig *rig, ULONG type, ULONG in, const struct ask *ask)
{
    CDROM_STREAMING_CONTROL what = { type };

    return control(rig, IOCTL_CDROM_ENABLE_STREAMING, &what, in, 0, ask).status;
}

static void
streaming__off_it_is__on_is_refused(void **state)
{
    struct rig *rig = *state;
    struct ask one = { .user_mode = true };

    assert_int_equal(io_open_device(rig->fdo, FILE_READ_ATTRIBUTES, &one.file),
                     STATUS_SUCCESS);
    assert_int_equal(streaming(rig, CdromStreamingDisable, 3, &one),
                     STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(streaming(rig, CdromStreamingDisable, 4, NULL),
                     STATUS_INVALID_HANDLE);
    assert_int_equal(streaming(rig, 0, 4, &one), STATUS_INVALID_PARAMETER);
    assert_int_equal(streaming(rig, 5, 4, &one), STATUS_INVALID_PARAMETER);
    assert_int_equal(streaming(rig, CdromStreamingDisable, 4, &one),
                     STATUS_SUCCESS);
    assert_int_equal(streaming(rig, CdromStreamingEnableForReadOnly, 4, &one),
                     STATUS_INVALID_DEVICE_REQUEST);
    io_close_file(one.file);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(configuration__buffers__exact_input_room_for_the_header,
             rig_cdrom),
        TEST(configuration__all_current_one, rig_cdrom),
        TEST(configuration__no_medium__all_the_same, rig_cdrom),
        TEST(configuration__drive_without_it__invalid_device_request,
             rig_cdrom),
        TEST(set_speed__buffers_and_types, rig_cdrom),
        TEST(set_speed__set_cd_speed__kilobytes_and_rotation, rig_cdrom),
        TEST(set_speed__set_streaming__and_back, rig_cdrom),
        TEST(set_speed__drive_without_streaming__invalid_device_request,
             rig_cdrom),
        TEST(set_speed__medium_changed__default_only_when_asked_for, rig_cdrom),
        TEST(inquiry__at_least_36_bytes, rig_cdrom),
        TEST(performance__buffers_and_combinations, rig_cdrom),
        TEST(performance__of_reading__what_the_drive_says, rig_cdrom),
        TEST(opc__checked_and_handed_down, rig_cdrom),
        cmocka_unit_test(dvd__records__as_documented),
        TEST(dvd_structure__layer_copyright_manufacturer, rig_cdrom),
        TEST(dvd_structure__wrong_buffers_and_discs__refused, rig_cdrom),
        TEST(dvd_structure__drive_sends_less_than_a_descriptor__device_error,
             rig_cdrom),
        TEST(read_ahead__addresses_in_blocks, rig_cdrom),
        TEST(streaming__off_it_is__on_is_refused, rig_cdrom),
    };

    return cmocka_run_group_tests(tests, harness_begin, harness_end);
}
