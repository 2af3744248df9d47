/*
 * t_sg.c - what of SG_IO can be judged without a device: commands, answers,
 * uevents.  Expectations: the kernel's SCSI Generic HOWTO (host_status, resid,
 * sense) and its documentation of uevents.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "port/sg.h"

static struct hba_answer
answer_of(struct sg_io_hdr hdr)
{
    struct hba_answer answer;

    memset(&answer, 0xEE, sizeof answer);
    sg_answer_of(&hdr, &answer);
    return answer;
}

static void
good__with_residual__says_how_much_came(void **state)
{
    struct hba_answer answer =
        answer_of((struct sg_io_hdr){ .dxfer_len = 96, .resid = 60 });

    (void) state;
    assert_int_equal(answer.srb_status, SRB_STATUS_SUCCESS);
    assert_int_equal(answer.transferred, 36);
    assert_int_equal(
        answer_of((struct sg_io_hdr){ .dxfer_len = 96 }).transferred, 96);
}

static void
residual__that_cannot_be__brought_nothing(void **state)
{
    struct hba_answer answer =
        answer_of((struct sg_io_hdr){ .dxfer_len = 96, .resid = 97 });

    (void) state;
    assert_int_equal(answer.transferred, 0);
    answer = answer_of((struct sg_io_hdr){ .dxfer_len = 96, .resid = -4 });
    assert_int_equal(answer.srb_status, SRB_STATUS_DATA_OVERRUN);
    assert_int_equal(answer.transferred, 0);
}

/* SAM-5: CONDITION MET answers PRE-FETCH alone; a flush was not carried out. */
static void
condition_met__answers_nothing_that_is_sent__an_error(void **state)
{
    struct hba_answer answer = answer_of((struct sg_io_hdr){ .status = 0x04 });

    (void) state;
    assert_int_equal(answer.srb_status, SRB_STATUS_ERROR);
    assert_int_equal(answer.scsi_status, 0x04);
}

static void
hosts__each_code__has_its_status(void **state)
{
    static const struct {
        unsigned short host;
        uint8_t srb_status;
        bool doubtful;
    } codes[] = {
        { 0x00, SRB_STATUS_SUCCESS, false },
        { 0x01, SRB_STATUS_SELECTION_TIMEOUT, true },
        { 0x02, SRB_STATUS_BUSY, false },
        { 0x03, SRB_STATUS_TIMEOUT, true },
        { 0x05, SRB_STATUS_ABORTED, true },
        { 0x06, SRB_STATUS_PARITY_ERROR, true },
        { 0x08, SRB_STATUS_BUS_RESET, true },
        { 0x0C, SRB_STATUS_BUSY, false },
        { 0x0D, SRB_STATUS_BUSY, false },
        { 0x0F, SRB_STATUS_SELECTION_TIMEOUT, true },
        { 0x14, SRB_STATUS_ERROR, true },
        { 0xFFFF, SRB_STATUS_ERROR, true },
    };

    (void) state;
    for (size_t i = 0; i < ARRAYSIZE(codes); i++) {
        struct sg_io_hdr hdr = { .host_status = codes[i].host,
                                 .dxfer_len = 512 };

        assert_int_equal(answer_of(hdr).srb_status, codes[i].srb_status);
        assert_int_equal(sg_answer_doubtful(&hdr), codes[i].doubtful);
    }
}

static void
check_condition__sense_is_given_and_attention_or_none_is_doubtful(void **state)
{
    static uint8_t fixed[18] = { 0x70, 0, 6, [7] = 10, [12] = 0x28 };
    static uint8_t descriptor[8] = { 0x72, 6, 0x28 };
    static uint8_t not_ready[18] = { 0x70, 0, 2, [7] = 10, [12] = 0x3A };
    struct sg_io_hdr hdr = { .status = SCSISTAT_CHECK_CONDITION,
                             .sbp = fixed,
                             .mx_sb_len = SG_SENSE_MAX,
                             .sb_len_wr = sizeof fixed };
    struct hba_answer answer = answer_of(hdr);

    (void) state;
    assert_int_equal(answer.srb_status, SRB_STATUS_ERROR);
    assert_int_equal(answer.scsi_status, SCSISTAT_CHECK_CONDITION);
    assert_ptr_equal(answer.sense, fixed);
    assert_int_equal(answer.sense_len, sizeof fixed);
    assert_true(sg_answer_doubtful(&hdr));
    hdr.sbp = descriptor;
    hdr.sb_len_wr = sizeof descriptor;
    assert_true(sg_answer_doubtful(&hdr));
    hdr.sbp = not_ready;
    hdr.sb_len_wr = sizeof not_ready;
    assert_false(sg_answer_doubtful(&hdr));
    hdr.sb_len_wr = 255; /* more than there is room for */
    assert_int_equal(answer_of(hdr).sense_len, SG_SENSE_MAX);
    hdr.sb_len_wr = 0; /* none came: it may have been a unit attention */
    assert_true(sg_answer_doubtful(&hdr));
}

/* Kernels before 5.14 (scsi.h, scsi_error.c): error recovery that gave a command
 * up left status and host_status 0; sense data may come without their status. */
static void
driver_codes__of_older_kernels__are_no_success(void **state)
{
    static uint8_t unit_attention[18] = { 0x70, 0, 6, [7] = 10, [12] = 0x28 };
    static uint8_t recovered[18] = { 0x70, 0, 1, [7] = 10, [12] = 0x17 };
    static const struct {
        unsigned short driver;
        uint8_t srb_status;
        bool doubtful;
    } codes[] = {
        { 0x00, SRB_STATUS_SUCCESS, false },
        { 0x01, SRB_STATUS_BUSY, false },
        { 0x02, SRB_STATUS_ERROR, true },
        { 0x04, SRB_STATUS_ERROR, true },
        { 0x06, SRB_STATUS_TIMEOUT, true },
        { 0x16, SRB_STATUS_TIMEOUT, true }, /* with "retry" */
        { 0x07, SRB_STATUS_ERROR, true },
        { 0x08, SRB_STATUS_SUCCESS,
          false }, /* sense data, of which none came */
    };
    struct sg_io_hdr hdr = { .dxfer_len = 512, .mx_sb_len = SG_SENSE_MAX };

    (void) state;
    for (size_t i = 0; i < ARRAYSIZE(codes); i++) {
        hdr.driver_status = codes[i].driver;
        assert_int_equal(answer_of(hdr).srb_status, codes[i].srb_status);
        assert_int_equal(sg_answer_doubtful(&hdr), codes[i].doubtful);
    }
    hdr.driver_status = 0x08;
    hdr.sbp = unit_attention;
    hdr.sb_len_wr = sizeof unit_attention;
    assert_int_equal(answer_of(hdr).srb_status, SRB_STATUS_ERROR);
    assert_int_equal(answer_of(hdr).scsi_status, SCSISTAT_CHECK_CONDITION);
    assert_ptr_equal(answer_of(hdr).sense, unit_attention);
    assert_true(sg_answer_doubtful(&hdr));
    hdr.sbp = recovered;
    assert_int_equal(answer_of(hdr).srb_status, SRB_STATUS_SUCCESS);
    assert_int_equal(answer_of(hdr).transferred, 512);
    assert_false(sg_answer_doubtful(&hdr));
}

#define OURS             "/devices/pci0/usb1/1-2/1-2:1.0/host3/target3:0:0/3:0:0:0"
#define SAYS(text, path) sg_uevent_of(text, sizeof text, path)

static void
uevents__what_they_are_about(void **state)
{
    (void) state;
    assert_int_equal(SAYS("change@/x\0ACTION=change\0DEVPATH=" OURS
                          "/block/sdb\0SUBSYSTEM=block\0DISK_MEDIA_CHANGE=1",
                          OURS),
                     SG_UEVENT_MEDIA);
    assert_int_equal(SAYS("change@/x\0ACTION=change\0DEVPATH=" OURS
                          "/block/sdb\0SUBSYSTEM=block",
                          OURS),
                     SG_UEVENT_NOTHING);
    /* Of the SCSI device itself, whether a driver has it or not. */
    assert_int_equal(SAYS("change@/x\0ACTION=change\0DEVPATH=" OURS
                          "\0SUBSYSTEM=scsi\0SDEV_MEDIA_CHANGE=1",
                          OURS),
                     SG_UEVENT_MEDIA);
    assert_int_equal(SAYS("change@/x\0ACTION=change\0DEVPATH=" OURS
                          "\0SUBSYSTEM=scsi\0"
                          "SDEV_UA=CAPACITY_DATA_HAS_CHANGED",
                          OURS),
                     SG_UEVENT_MEDIA);
    assert_int_equal(SAYS("change@/x\0ACTION=change\0DEVPATH=" OURS
                          "\0SUBSYSTEM=scsi\0"
                          "SDEV_UA=MODE_PARAMETERS_CHANGED",
                          OURS),
                     SG_UEVENT_NOTHING);
    assert_int_equal(SAYS("change@/x\0ACTION=change\0DEVPATH=/devices/other"
                          "\0SUBSYSTEM=scsi\0SDEV_MEDIA_CHANGE=1",
                          OURS),
                     SG_UEVENT_NOTHING);
    assert_int_equal(SAYS("add@/x\0ACTION=add\0DEVPATH=/devices/other/4:0:0:0/"
                          "scsi_generic/sg3\0SUBSYSTEM=scsi_generic",
                          OURS),
                     SG_UEVENT_ARRIVAL);
    assert_int_equal(SAYS("add@/x\0ACTION=add\0DEVPATH=" OURS
                          "/block/sdb\0SUBSYSTEM=block",
                          OURS),
                     SG_UEVENT_DRIVER);
    assert_int_equal(SAYS("remove@/x\0ACTION=remove\0DEVPATH=" OURS
                          "/scsi_generic/sg2\0SUBSYSTEM=scsi_generic",
                          OURS),
                     SG_UEVENT_GONE);
    /* The stick that it is in. */
    assert_int_equal(
        SAYS("remove@/x\0ACTION=remove\0DEVPATH=/devices/pci0/usb1/1-2\0"
             "SUBSYSTEM=usb",
             OURS),
        SG_UEVENT_GONE);
    /* Which one it is is not known while ours is away. */
    assert_int_equal(
        SAYS("unbind@/x\0ACTION=unbind\0DEVPATH=" OURS "\0SUBSYSTEM=scsi", ""),
        SG_UEVENT_ARRIVAL);
    /* Device mapper, md: what they were made of is free then. */
    assert_int_equal(
        SAYS("remove@/x\0ACTION=remove\0DEVPATH=/devices/virtual/block/dm-0"
             "\0SUBSYSTEM=block",
             ""),
        SG_UEVENT_ARRIVAL);
    assert_int_equal(
        SAYS("remove@/x\0ACTION=remove\0DEVPATH=/devices/virtual/bdi/254:0"
             "\0SUBSYSTEM=bdi",
             ""),
        SG_UEVENT_NOTHING);
    /* Another: a longer name, and a partition of ours. */
    assert_int_equal(SAYS("remove@/x\0ACTION=remove\0DEVPATH=" OURS
                          "1/scsi_generic/sg9\0SUBSYSTEM=scsi_generic",
                          OURS),
                     SG_UEVENT_NOTHING);
    assert_int_equal(SAYS("remove@/x\0ACTION=remove\0DEVPATH=" OURS
                          "/block/sdb\0SUBSYSTEM=block",
                          OURS),
                     SG_UEVENT_NOTHING);
}

static void
uevents__that_are_none__say_nothing(void **state)
{
    (void) state;
    assert_int_equal(sg_uevent_of("", 0, OURS), SG_UEVENT_NOTHING);
    /* Not ended, as no message of the kernel is. */
    assert_int_equal(sg_uevent_of("remove@x", 8, OURS), SG_UEVENT_NOTHING);
    assert_int_equal(SAYS("libudev\0ACTION=remove\0DEVPATH=" OURS, OURS),
                     SG_UEVENT_NOTHING);
    /* Nothing is ours while it is away. */
    assert_int_equal(SAYS("remove@/x\0ACTION=remove\0DEVPATH=/devices/x\0"
                          "SUBSYSTEM=scsi_generic",
                          ""),
                     SG_UEVENT_NOTHING);
}

/* sd-device's monitor: "libudev", a magic number, lengths; then properties. */
#define UDEV "libudev\0\xFE\xED\xCA\xFE\x28\0\0\0\x28\0\0\0\x40\0\0\0"

static void
udev__settled_a_scsi_device__or_something_else(void **state)
{
    static const char sg[] = UDEV "ACTION=add\0SUBSYSTEM=scsi_generic\0X=1";
    static const char block[] = UDEV "SUBSYSTEM=block";
    static const char usb[] = UDEV "SUBSYSTEM=usb\0DEVTYPE=usb_device";
    static const char longer[] = UDEV "SUBSYSTEM=blocks";
    static const char kernel[] = "add@/x\0SUBSYSTEM=scsi_generic";

    (void) state;
    assert_true(sg_udev_settled(sg, sizeof sg));
    assert_true(sg_udev_settled(block, sizeof block));
    assert_false(sg_udev_settled(usb, sizeof usb));
    assert_false(sg_udev_settled(longer, sizeof longer));
    assert_false(sg_udev_settled(kernel, sizeof kernel));
    assert_false(sg_udev_settled("libudev", 7));
    assert_false(sg_udev_settled("", 0));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good__with_residual__says_how_much_came),
        cmocka_unit_test(residual__that_cannot_be__brought_nothing),
        cmocka_unit_test(condition_met__answers_nothing_that_is_sent__an_error),
        cmocka_unit_test(hosts__each_code__has_its_status),
        cmocka_unit_test(
            check_condition__sense_is_given_and_attention_or_none_is_doubtful),
        cmocka_unit_test(driver_codes__of_older_kernels__are_no_success),
        cmocka_unit_test(uevents__what_they_are_about),
        cmocka_unit_test(uevents__that_are_none__say_nothing),
        cmocka_unit_test(udev__settled_a_scsi_device__or_something_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
