/*
 * Tests for src/class/decide.c: rules R61 to R93 as far as they are decisions.
 * Expectations are from the rules, not from sense.def.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ntddk.h>
#include <ntiologc.h>
#include <scsi.h>
#include <srb.h>

#include "class/decide.h"

static const UCHAR cdb_read[16] = { 0x28 };
static const UCHAR cdb_write[16] = { 0x2A };

static UCHAR sense_bytes[32];

static struct class_failure
sense_failure(UCHAR key, UCHAR asc, UCHAR ascq)
{
    memset(sense_bytes, 0, sizeof sense_bytes);
    sense_bytes[0] = 0x70;
    sense_bytes[2] = key;
    sense_bytes[7] = 10;
    sense_bytes[12] = asc;
    sense_bytes[13] = ascq;
    return (struct class_failure){
        .srb_status = SRB_STATUS_ERROR | SRB_STATUS_AUTOSENSE_VALID,
        .scsi_status = SCSISTAT_CHECK_CONDITION,
        .sense = sense_bytes,
        .sense_len = 18,
        .cdb = cdb_read,
    };
}

static struct class_decision
decide(const struct class_failure *failure)
{
    struct class_decision decision;

    class_decide(failure, &decision);
    return decision;
}

/* --- sense data ----------------------------------------------------------- */

/*
 * The whole of the specification's tables, written down by hand.  `link` says
 * that a retry is worth a log entry: all are but those of a changed or busy
 * drive, and those that are logged anyway.
 */
struct oracle {
    UCHAR key, asc, ascq;  /* or SRB status, SCSI status */
    const char *condition; /* see set_condition */
    NTSTATUS status;
    BOOLEAN retry;
    ULONG delay_s;
    ULONG act;
    NTSTATUS log_code;
    ULONG log_id;
    BOOLEAN link;
};

#define UA  CLASS_ACT_ATTENTION
#define ERR STATUS_IO_DEVICE_ERROR

static const struct oracle sense_oracle[] = {
    /* NO SENSE */
    { 0, 0x00, 0x00, "ili", STATUS_INVALID_BLOCK_LENGTH },
    { 0, 0x55, 0x11, "ili", STATUS_INVALID_BLOCK_LENGTH },
    { 0, 0x00, 0x00, "", ERR, 1, .link = 1 },
    { 0, 0x3A, 0x00, "", ERR, 1, .link = 1 },
    /* RECOVERED */
    { 1, 0x14, 0x01, "", STATUS_SUCCESS, 0, 0, 0, IO_ERR_SEEK_ERROR, 258 },
    { 1, 0x15, 0x00, "", STATUS_SUCCESS, 0, 0, 0, IO_ERR_SEEK_ERROR, 258 },
    { 1, 0x17, 0x03, "", STATUS_SUCCESS, 0, 0, 0, IO_RECOVERED_VIA_ECC, 258 },
    { 1, 0x18, 0x00, "", STATUS_SUCCESS, 0, 0, 0, IO_RECOVERED_VIA_ECC, 258 },
    { 1, 0x5D, 0x10, "", STATUS_SUCCESS, 0, 0, CLASS_ACT_PREDICTED,
      IO_WRN_FAILURE_PREDICTED, 258 },
    { 1, 0x0C, 0x00, "", STATUS_SUCCESS, 0, 0, 0, IO_ERR_CONTROLLER_ERROR,
      258 },
    { 1, 0x18, 0x00, "ili", STATUS_INVALID_BLOCK_LENGTH },
    { 1, 0x5D, 0x00, "ili", STATUS_INVALID_BLOCK_LENGTH },
    /* NOT READY */
    { 2, 0x04, 0x00, "", STATUS_DEVICE_NOT_READY, 0, 10 },
    { 2, 0x04, 0x00, "special", STATUS_DEVICE_NOT_READY, 1, .link = 1 },
    { 2, 0x04, 0x00, "special,start", STATUS_DEVICE_NOT_READY, 1, 0,
      CLASS_ACT_START_UNIT, .link = 1 },
    { 2, 0x04, 0x01, "", STATUS_DEVICE_NOT_READY, 1, 10,
      CLASS_ACT_BECOMING_READY },
    { 2, 0x04, 0x02, "", STATUS_DEVICE_NOT_READY, 1, .link = 1 },
    { 2, 0x04, 0x02, "start", STATUS_DEVICE_NOT_READY, 1, 0,
      CLASS_ACT_START_UNIT, .link = 1 },
    { 2, 0x04, 0x02, "start,low", STATUS_DEVICE_NOT_READY, 1, .link = 1 },
    { 2, 0x04, 0x03, "", STATUS_NO_MEDIA_IN_DEVICE, 0, 10 },
    { 2, 0x04, 0x04, "", STATUS_DEVICE_NOT_READY, 0, 10 },
    { 2, 0x04, 0x07, "", STATUS_DEVICE_NOT_READY, 1, 10, CLASS_ACT_OPERATION },
    { 2, 0x04, 0x08, "", STATUS_DEVICE_NOT_READY, 0, 1 },
    { 2, 0x04, 0x14, "", STATUS_RETRY, 1, 10, .link = 1 },
    { 2, 0x04, 0x05, "", STATUS_DEVICE_NOT_READY, 1, .link = 1 },
    { 2, 0x04, 0xFF, "start", STATUS_DEVICE_NOT_READY, 1, 0,
      CLASS_ACT_START_UNIT, .link = 1 },
    { 2, 0x3A, 0xCC, "", STATUS_NO_MEDIA_IN_DEVICE, 0, 0,
      CLASS_ACT_UNAVAILABLE },
    { 2, 0x3A, 0x00, "", STATUS_NO_MEDIA_IN_DEVICE, 0, 0, CLASS_ACT_NO_MEDIUM },
    { 2, 0x3A, 0x02, "", STATUS_NO_MEDIA_IN_DEVICE, 0, 0, CLASS_ACT_NO_MEDIUM },
    { 2, 0x05, 0x00, "", STATUS_DEVICE_NOT_READY, 1, .link = 1 },
    { 2, 0x30, 0x01, "", STATUS_DEVICE_NOT_READY, 1, .link = 1 },
    /* MEDIUM ERROR */
    { 3, 0x30, 0x01, "", STATUS_UNRECOGNIZED_MEDIA },
    { 3, 0x30, 0x03, "", STATUS_CLEANER_CARTRIDGE_INSTALLED },
    { 3, 0x30, 0x02, "", STATUS_DEVICE_DATA_ERROR, 0, 0, 0, IO_ERR_BAD_BLOCK,
      256 },
    { 3, 0x11, 0x00, "", STATUS_DEVICE_DATA_ERROR, 0, 0, 0, IO_ERR_BAD_BLOCK,
      256 },
    /* HARDWARE ERROR, now and formerly */
    { 4, 0x08, 0x03, "", STATUS_DEVICE_HARDWARE_ERROR, 1, 1, .link = 1 },
    { 4, 0x44, 0x00, "", STATUS_DEVICE_HARDWARE_ERROR },
    { 4, 0x3E, 0x02, "", STATUS_DEVICE_HARDWARE_ERROR },
    { 4, 0x3E, 0x02, "legacy", ERR },
    { 4, 0x4B, 0x06, "legacy", ERR },
    { 4, 0x44, 0x00, "legacy", ERR, 1, 0, 0, IO_ERR_CONTROLLER_ERROR, 257 },
    { 4, 0x08, 0x03, "legacy", ERR, 1, 0, 0, IO_ERR_CONTROLLER_ERROR, 257 },
    /* ILLEGAL REQUEST */
    { 5, 0x1A, 0x00, "", STATUS_DATA_OVERRUN },
    { 5, 0x20, 0x00, "", STATUS_INVALID_DEVICE_REQUEST },
    { 5, 0x21, 0x00, "", STATUS_NONEXISTENT_SECTOR },
    { 5, 0x21, 0x00, "inside", STATUS_NONEXISTENT_SECTOR, 1, 5, .link = 1 },
    { 5, 0x24, 0x00, "", STATUS_INVALID_DEVICE_REQUEST, 0, 3 },
    { 5, 0x25, 0x00, "", STATUS_NO_SUCH_DEVICE },
    { 5, 0x6F, 0x00, "", STATUS_CSS_AUTHENTICATION_FAILURE },
    { 5, 0x6F, 0x01, "", STATUS_CSS_KEY_NOT_PRESENT },
    { 5, 0x6F, 0x02, "", STATUS_CSS_KEY_NOT_ESTABLISHED },
    { 5, 0x6F, 0x03, "", STATUS_CSS_SCRAMBLED_SECTOR },
    { 5, 0x6F, 0x04, "", STATUS_CSS_REGION_MISMATCH },
    { 5, 0x6F, 0x05, "", STATUS_CSS_RESETS_EXHAUSTED },
    { 5, 0x6F, 0x77, "", STATUS_COPY_PROTECTION_FAILURE },
    { 5, 0xA0, 0x00, "", STATUS_INVALID_DEVICE_REQUEST },
    { 5, 0xA1, 0x00, "", STATUS_INVALID_DEVICE_REQUEST },
    { 5, 0xA7, 0x00, "", STATUS_INVALID_DEVICE_REQUEST },
    { 5, 0x64, 0x00, "", STATUS_INVALID_DEVICE_REQUEST },
    /* UNIT ATTENTION: fixed, or nothing mounted */
    { 6, 0x28, 0x00, "", ERR, 1, 0, UA | CLASS_ACT_PRESENT },
    { 6, 0x28, 0x01, "", ERR, 1, 0, UA | CLASS_ACT_PRESENT },
    { 6, 0x29, 0x00, "", ERR, 1, 0, UA, .link = 1 },
    { 6, 0x2A, 0x09, "", ERR, 1, 1, UA },
    { 6, 0x2A, 0x01, "", ERR, 1, 0, UA },
    { 6, 0x38, 0x07, "", ERR, 1, 0, UA, .link = 1 },
    { 6, 0x38, 0x00, "", ERR, 0, 0, UA },
    { 6, 0x3A, 0x00, "", ERR, 1, 0, UA | CLASS_ACT_NO_MEDIUM },
    { 6, 0x3F, 0x01, "", ERR, 1, 1, UA },
    { 6, 0x3F, 0x0E, "", ERR, 1, 5, UA | CLASS_ACT_REENUMERATE },
    { 6, 0x5A, 0x01, "", ERR, 1, 0, UA | CLASS_ACT_EJECT_REQUEST, .link = 1 },
    { 6, 0x5D, 0x00, "", ERR, 1, 0, UA | CLASS_ACT_PREDICTED, .link = 1 },
    { 6, 0x77, 0x55, "", ERR, 1, 0, UA, .link = 1 },
    { 6, 0x28, 0x00, "mounted", ERR, 1, 0, UA | CLASS_ACT_PRESENT },
    { 6, 0x28, 0x00, "removable", ERR, 1, 0, UA | CLASS_ACT_PRESENT },
    /* removable and mounted: whatever the code says */
    { 6, 0x28, 0x00, "removable,mounted", STATUS_VERIFY_REQUIRED, 0, 0,
      UA | CLASS_ACT_PRESENT },
    { 6, 0x29, 0x00, "removable,mounted", STATUS_VERIFY_REQUIRED, 0, 0, UA },
    { 6, 0x38, 0x07, "removable,mounted", STATUS_VERIFY_REQUIRED, 0, 0, UA },
    { 6, 0x3A, 0x00, "removable,mounted", STATUS_VERIFY_REQUIRED, 0, 0,
      UA | CLASS_ACT_NO_MEDIUM },
    { 6, 0x3F, 0x00, "removable,mounted", STATUS_VERIFY_REQUIRED, 0, 5,
      UA | CLASS_ACT_REENUMERATE },
    /* DATA PROTECT */
    { 7, 0x27, 0x07, "", STATUS_DISK_RESOURCES_EXHAUSTED },
    { 7, 0x27, 0x07, "write", STATUS_DISK_RESOURCES_EXHAUSTED },
    { 7, 0x27, 0x00, "", STATUS_MEDIA_WRITE_PROTECTED },
    { 7, 0x27, 0x00, "write", STATUS_MEDIA_WRITE_PROTECTED },
    { 7, 0x55, 0x00, "write", STATUS_MEDIA_WRITE_PROTECTED },
    { 7, 0x20, 0x00, "", STATUS_ACCESS_DENIED },
    /* the rest */
    { 8, 0x00, 0x00, "", STATUS_NO_DATA_DETECTED },
    { 8, 0x28, 0x00, "", STATUS_NO_DATA_DETECTED },
    { 9, 0x80, 0x00, "", ERR, 1, .link = 1 },
    { 10, 0x0D, 0x02, "", STATUS_SUCCESS },
    { 10, 0x0D, 0x01, "", ERR, 1, .link = 1 },
    { 11, 0x00, 0x00, "", ERR, 1, 1, .link = 1 },
    { 11, 0x47, 0x00, "", ERR, 1, 1, .link = 1 },
    { 12, 0x00, 0x00, "", ERR, 1, .link = 1 },
    { 13, 0x00, 0x00, "", ERR, 1, .link = 1 },
    { 14, 0x1D, 0x00, "", ERR, 1, .link = 1 },
    { 15, 0x00, 0x00, "", ERR, 1, .link = 1 },
};

static const struct {
    const char *word;
    ULONG is;
} conditions[] = {
    { "removable", CLASS_IF_REMOVABLE }, { "mounted", CLASS_IF_MOUNTED },
    { "verify", CLASS_IF_VERIFY },       { "start", CLASS_IF_SAFE_START },
    { "low", CLASS_IF_LOW_PRIORITY },    { "inside", CLASS_IF_INSIDE },
    { "special", CLASS_IF_SPECIAL },     { "legacy", CLASS_IF_LEGACY },
};

/* Words separated by commas; also "ili", "write", "inquiry", "later". */
static void
set_condition(struct class_failure *failure, const char *words)
{
    static const UCHAR inquiry[16] = { 0x12, 0, 0, 0, 96 };

    for (size_t i = 0; i < RTL_NUMBER_OF(conditions); i++)
        if (strstr(words, conditions[i].word) != NULL)
            failure->circumstances |= conditions[i].is;
    if (strstr(words, "ili") != NULL)
        sense_bytes[2] |= 0x20;
    if (strstr(words, "write") != NULL)
        failure->cdb = cdb_write;
    if (strstr(words, "inquiry") != NULL) {
        failure->cdb = inquiry;
        failure->transferred = 66;
    }
    if (strstr(words, "later") != NULL)
        failure->retry_number = 2;
}

static void
compare(const struct oracle *want, struct class_failure failure)
{
    struct class_decision got;

    set_condition(&failure, want->condition);
    got = decide(&failure);
    if (got.status != want->status || got.retry != want->retry ||
        got.delay_s != want->delay_s || got.act != want->act ||
        got.log_code != want->log_code || got.log_id != want->log_id ||
        got.log_retry != want->link)
        fail_msg("%02x/%02x/%02x %s: %08x retry %u delay %u act %x log %08x "
                 "%u link %u",
                 want->key, want->asc, want->ascq, want->condition,
                 (unsigned) got.status, got.retry, got.delay_s, got.act,
                 (unsigned) got.log_code, got.log_id, got.log_retry);
    assert_non_null(got.text);
}

static void
sense_table__every_row__status_retry_interval_event_log(void **state)
{
    for (size_t i = 0; i < RTL_NUMBER_OF(sense_oracle); i++)
        compare(&sense_oracle[i],
                sense_failure(sense_oracle[i].key, sense_oracle[i].asc,
                              sense_oracle[i].ascq));
}

/* The four write commands of the DATA PROTECT row, and no other. */
static void
data_protect__exactly_four_write_commands(void **state)
{
    for (unsigned opcode = 0; opcode < 256; opcode++) {
        UCHAR cdb[16] = { (UCHAR) opcode };
        struct class_failure failure = sense_failure(7, 0x55, 0);
        bool write = opcode == 0x0A || opcode == 0x2A || opcode == 0xAA ||
                     opcode == 0x8A;

        failure.cdb = cdb;
        assert_int_equal(decide(&failure).status,
                         write ? STATUS_MEDIA_WRITE_PROTECTED
                               : STATUS_ACCESS_DENIED);
    }
}

static void
R74_R75__unit_attention_on_a_mounted_removable__verify_without_retry(void **s)
{
    static const UCHAR ascs[][2] = {
        { 0x28, 0 }, { 0x29, 0 }, { 0x2A, 9 }, { 0x3F, 0 }, { 0x77, 0x55 },
    };

    for (size_t i = 0; i < RTL_NUMBER_OF(ascs); i++) {
        struct class_failure failure = sense_failure(6, ascs[i][0], ascs[i][1]);
        struct class_decision got;

        failure.circumstances = CLASS_IF_REMOVABLE | CLASS_IF_MOUNTED;
        got = decide(&failure);
        assert_int_equal(got.status, STATUS_VERIFY_REQUIRED);
        assert_false(got.retry);
        assert_true(got.act & CLASS_ACT_ATTENTION);
        failure.circumstances = CLASS_IF_MOUNTED;
        assert_int_equal(decide(&failure).status, STATUS_IO_DEVICE_ERROR);
    }
}

static void
R77_R78__write_protect__depends_on_the_command(void **state)
{
    struct class_failure failure = sense_failure(7, 0x27, 0x00);

    assert_int_equal(decide(&failure).status, STATUS_MEDIA_WRITE_PROTECTED);
    failure = sense_failure(7, 0x55, 0x00);
    failure.cdb = cdb_write;
    assert_int_equal(decide(&failure).status, STATUS_MEDIA_WRITE_PROTECTED);
    failure.cdb = cdb_read;
    assert_int_equal(decide(&failure).status, STATUS_ACCESS_DENIED);
}

static void
R69__start_unit__only_if_safe_and_not_low_priority(void **state)
{
    struct class_failure failure = sense_failure(2, 0x04, 0x02);

    assert_false(decide(&failure).act & CLASS_ACT_START_UNIT);
    failure.circumstances = CLASS_IF_SAFE_START;
    assert_true(decide(&failure).act & CLASS_ACT_START_UNIT);
    assert_true(decide(&failure).retry);
    failure.circumstances |= CLASS_IF_LOW_PRIORITY;
    assert_false(decide(&failure).act & CLASS_ACT_START_UNIT);
}

static void
R82__wrong_block_length__invalid_block_length(void **state)
{
    struct class_failure failure = sense_failure(0x20, 0, 0);

    assert_int_equal(decide(&failure).status, STATUS_INVALID_BLOCK_LENGTH);
    failure = sense_failure(0x21, 0x18, 0);
    assert_int_equal(decide(&failure).status, STATUS_INVALID_BLOCK_LENGTH);
}

static void
illegal_block_inside_the_capacity__retried_after_5_s(void **state)
{
    struct class_failure failure = sense_failure(5, 0x21, 0);

    failure.circumstances = CLASS_IF_INSIDE;
    assert_true(decide(&failure).retry);
    assert_int_equal(decide(&failure).delay_s, 5);
}

static void
R92__descriptor_format__same_decision_as_fixed(void **state)
{
    for (unsigned key = 0; key < 16; key++)
        for (unsigned asc = 0; asc < 256; asc++) {
            struct class_failure fixed =
                sense_failure((UCHAR) key, (UCHAR) asc, 1);
            UCHAR bytes[8] = { 0x72, (UCHAR) key, (UCHAR) asc, 1 };
            struct class_decision one = decide(&fixed), other;

            fixed.sense = bytes;
            fixed.sense_len = sizeof bytes;
            other = decide(&fixed);
            assert_int_equal(one.row, other.row);
            assert_int_equal(one.status, other.status);
        }
}

static void
descriptor_format__information_and_ili__read(void **state)
{
    static const UCHAR bytes[] = {
        0x72, 0x00, 0x00, 0x00, 0,    0,    0,    16,   0x00, 0x0A, 0x80, 0,
        0,    0,    0,    0,    0x12, 0x34, 0x56, 0x78, 0x05, 0x02, 0x00, 0x20,
    };
    struct class_sense sense;

    assert_true(class_parse_sense(bytes, sizeof bytes, &sense));
    assert_true(sense.info_valid);
    assert_true(sense.info == 0x12345678);
    assert_true(sense.ili);
}

static void
R93__short_fixed_sense__missing_codes_are_0(void **state)
{
    struct class_failure failure = sense_failure(2, 0x3A, 0x01);
    struct class_sense sense;

    assert_true(class_parse_sense(failure.sense, 12, &sense));
    assert_int_equal(sense.asc, 0);
    assert_int_equal(sense.ascq, 0);
    assert_true(class_parse_sense(failure.sense, 13, &sense));
    assert_int_equal(sense.asc, 0x3A);
    assert_int_equal(sense.ascq, 0);
    sense_bytes[7] = 4; /* 12 bytes, whatever the buffer */
    assert_true(class_parse_sense(sense_bytes, 18, &sense));
    assert_int_equal(sense.asc, 0);
    assert_false(class_parse_sense(sense_bytes, 7, &sense));
    sense_bytes[0] = 0x72;
    assert_false(class_parse_sense(sense_bytes, 3, &sense));
}

/* --- without sense data --------------------------------------------------- */

static const struct oracle srb_oracle[] = {
    { 0x02, 0x00, 0, "", STATUS_IO_TIMEOUT, 1, 1, CLASS_ACT_COUNT, .link = 1 },
    { 0x04, 0x00, 0, "", ERR, 1, 1, CLASS_ACT_COUNT, .link = 1 },
    { 0x04, 0x08, 0, "", STATUS_DEVICE_NOT_READY, 1 },
    { 0x04, 0x02, 0, "", ERR, 1, .link = 1 },
    { 0x04, 0x22, 0, "", ERR, 1, .link = 1 },
    { 0x06, 0x00, 0, "", STATUS_INVALID_DEVICE_REQUEST },
    { 0x07, 0x00, 0, "", STATUS_NO_SUCH_DEVICE },
    { 0x08, 0x00, 0, "", STATUS_NO_SUCH_DEVICE },
    { 0x11, 0x00, 0, "", STATUS_NO_SUCH_DEVICE },
    { 0x20, 0x00, 0, "", STATUS_NO_SUCH_DEVICE },
    { 0x21, 0x00, 0, "", STATUS_NO_SUCH_DEVICE },
    { 0x0A, 0x00, 0, "", STATUS_DEVICE_NOT_CONNECTED, 0, 0, 0, IO_ERR_NOT_READY,
      260 },
    { 0x09, 0x00, 0, "", STATUS_IO_TIMEOUT, 1, 1, CLASS_ACT_COUNT, .link = 1 },
    { 0x0B, 0x00, 0, "", STATUS_IO_TIMEOUT, 1, 1, CLASS_ACT_COUNT, .link = 1 },
    { 0x0E, 0x00, 0, "", ERR, 1 },
    { 0x0F, 0x00, 0, "", ERR, 1, 1, CLASS_ACT_COUNT, .link = 1 },
    { 0x13, 0x00, 0, "", ERR, 1, 1, CLASS_ACT_COUNT, .link = 1 },
    { 0x12, 0x00, 0, "", STATUS_DATA_OVERRUN },
    { 0x12, 0x00, 0, "inquiry", STATUS_SUCCESS },
    { 0x14, 0x00, 0, "", ERR, 1, 1, CLASS_ACT_COUNT, .link = 1 },
    { 0x14, 0x00, 0, "later", ERR, 0, 1, CLASS_ACT_COUNT },
    { 0x16, 0x00, 0, "verify", STATUS_VERIFY_REQUIRED },
    { 0x16, 0x00, 0, "", ERR, 1 },
    /* everything else */
    { 0x03, 0, 0, "", ERR, 1, 0, 0, IO_ERR_CONTROLLER_ERROR, 259 },
    { 0x05, 0, 0, "", ERR, 1, 0, 0, IO_ERR_CONTROLLER_ERROR, 259 },
    { 0x0D, 0, 0, "", ERR, 1, 0, 0, IO_ERR_CONTROLLER_ERROR, 259 },
    { 0x10, 0, 0, "", ERR, 1, 0, 0, IO_ERR_CONTROLLER_ERROR, 259 },
    { 0x15, 0, 0, "", ERR, 1, 0, 0, IO_ERR_CONTROLLER_ERROR, 259 },
    { 0x22, 0, 0, "", ERR, 1, 0, 0, IO_ERR_CONTROLLER_ERROR, 259 },
    { 0x23, 0, 0, "", ERR, 1, 0, 0, IO_ERR_CONTROLLER_ERROR, 259 },
    { 0x24, 0, 0, "", ERR, 1, 0, 0, IO_ERR_CONTROLLER_ERROR, 259 },
    { 0x25, 0, 0, "", ERR, 1, 0, 0, IO_ERR_CONTROLLER_ERROR, 259 },
};

static void
srb_table__every_row__status_retry_interval_log(void **state)
{
    for (size_t i = 0; i < RTL_NUMBER_OF(srb_oracle); i++)
        compare(&srb_oracle[i], (struct class_failure){
                                    .srb_status = srb_oracle[i].key,
                                    .scsi_status = srb_oracle[i].asc,
                                    .cdb = cdb_read,
                                });
}

static void
R61__internal_error__its_status_whatever_the_sense(void **state)
{
    struct class_failure failure = sense_failure(6, 0x28, 0);

    failure.srb_status = SRB_STATUS_INTERNAL_ERROR | SRB_STATUS_AUTOSENSE_VALID;
    failure.internal_status = STATUS_INSUFFICIENT_RESOURCES;
    assert_int_equal(decide(&failure).status, STATUS_INSUFFICIENT_RESOURCES);
    assert_false(decide(&failure).retry);
    assert_int_equal(decide(&failure).act, 0);
}

static void
R62__reservation_conflict__busy_whatever_the_sense(void **state)
{
    struct class_failure failure = sense_failure(6, 0x28, 0);

    failure.scsi_status = SCSISTAT_RESERVATION_CONFLICT;
    assert_int_equal(decide(&failure).status, STATUS_DEVICE_BUSY);
    assert_false(decide(&failure).retry);
}

static void
R63__autosense_not_valid__buffer_is_not_consulted(void **state)
{
    struct class_failure failure = sense_failure(2, 0x3A, 0);

    failure.srb_status = SRB_STATUS_ERROR;
    assert_int_equal(decide(&failure).status, STATUS_IO_DEVICE_ERROR);
    assert_false(decide(&failure).sense_valid);
}

static void
R87__flushed_with_the_verify_flag__verify_required(void **state)
{
    struct class_failure failure = {
        .srb_status = SRB_STATUS_REQUEST_FLUSHED,
        .circumstances = CLASS_IF_VERIFY,
    };

    assert_int_equal(decide(&failure).status, STATUS_VERIFY_REQUIRED);
    assert_false(decide(&failure).retry);
}

static void
R88__overrun_of_inquiry_within_its_allocation__success(void **state)
{
    static const UCHAR inquiry[16] = { 0x12, 0, 0, 0, 96 };
    static const UCHAR mode10[16] = { 0x5A, 0, 8, 0, 0, 0, 0, 0, 96 };
    struct class_failure failure = {
        .srb_status = SRB_STATUS_DATA_OVERRUN,
        .cdb = inquiry,
        .transferred = 66,
    };

    assert_int_equal(decide(&failure).status, STATUS_SUCCESS);
    failure.cdb = mode10;
    assert_int_equal(decide(&failure).status, STATUS_SUCCESS);
    failure.transferred = 97;
    assert_int_equal(decide(&failure).status, STATUS_DATA_OVERRUN);
    failure.cdb = cdb_read;
    failure.transferred = 1;
    assert_int_equal(decide(&failure).status, STATUS_DATA_OVERRUN);
}

static void
R89__phase_sequence__retried_twice(void **state)
{
    struct class_failure failure = {
        .srb_status = SRB_STATUS_PHASE_SEQUENCE_FAILURE,
    };

    assert_true(decide(&failure).retry);
    failure.retry_number = 1;
    assert_true(decide(&failure).retry);
    failure.retry_number = 2;
    assert_false(decide(&failure).retry);
}

/* --- the tables ----------------------------------------------------------- */

static void
visit(unsigned char *seen, struct class_failure failure)
{
    static const ULONG sets[] = { 0, CLASS_IF_VERIFY, CLASS_IF_INSIDE };
    static const UCHAR inquiry[16] = { 0x12, 0, 0, 0, 96 };
    const UCHAR *cdbs[] = { cdb_read, cdb_write, inquiry };

    for (size_t i = 0; i < RTL_NUMBER_OF(sets); i++)
        for (size_t j = 0; j < RTL_NUMBER_OF(cdbs); j++)
            for (ULONG retry = 0; retry < 3; retry += 2) {
                failure.circumstances = sets[i];
                failure.cdb = cdbs[j];
                failure.retry_number = retry;
                seen[decide(&failure).row] = 1;
            }
}

static void
every_row__is_reached_by_something(void **state)
{
    static unsigned char seen[256];

    assert_true(class_decide_rows < sizeof seen);
    for (unsigned key = 0; key < 16; key++)
        for (unsigned asc = 0; asc < 256; asc++)
            for (unsigned ascq = 0; ascq < 256;
                 ascq = ascq == 0x20 ? 0xC0 : ascq + 1) {
                struct class_failure failure =
                    sense_failure((UCHAR) key, (UCHAR) asc, (UCHAR) ascq);

                seen[decide(&failure).row] = 1;
                failure.circumstances = CLASS_IF_INSIDE | CLASS_IF_SPECIAL;
                failure.cdb = cdb_write;
                seen[decide(&failure).row] = 1;
                failure.circumstances = CLASS_IF_LEGACY;
                seen[decide(&failure).row] = 1;
            }
    for (unsigned key = 0; key < 2; key++) {
        struct class_failure failure =
            sense_failure((UCHAR) (0x20 | key), 0, 0);

        seen[decide(&failure).row] = 1;
    }
    for (unsigned srb = 2; srb < 0x40; srb++)
        for (unsigned scsi = 0; scsi < 0x30; scsi += 2)
            visit(seen, (struct class_failure){ .srb_status = (UCHAR) srb,
                                                .scsi_status = (UCHAR) scsi });
    for (ULONG i = 0; i < class_decide_rows; i++)
        if (!seen[i])
            fail_msg("row %u is never reached", i);
}

static void
text__of_every_decision__fits_and_ends(void **state)
{
    for (unsigned key = 0; key < 16; key++)
        for (unsigned asc = 0; asc < 256; asc++) {
            struct class_failure failure =
                sense_failure((UCHAR) key, (UCHAR) asc, 0);
            struct class_decision got = decide(&failure);
            char text[512], tiny[8];

            class_decision_text(&got, text, sizeof text);
            assert_true(strlen(text) > 10 && strlen(text) < 400);
            class_decision_text(&got, tiny, sizeof tiny);
            assert_true(strlen(tiny) < sizeof tiny);
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            sense_table__every_row__status_retry_interval_event_log),
        cmocka_unit_test(data_protect__exactly_four_write_commands),
        cmocka_unit_test(
            R74_R75__unit_attention_on_a_mounted_removable__verify_without_retry),
        cmocka_unit_test(R77_R78__write_protect__depends_on_the_command),
        cmocka_unit_test(R69__start_unit__only_if_safe_and_not_low_priority),
        cmocka_unit_test(R82__wrong_block_length__invalid_block_length),
        cmocka_unit_test(illegal_block_inside_the_capacity__retried_after_5_s),
        cmocka_unit_test(R92__descriptor_format__same_decision_as_fixed),
        cmocka_unit_test(descriptor_format__information_and_ili__read),
        cmocka_unit_test(R93__short_fixed_sense__missing_codes_are_0),
        cmocka_unit_test(srb_table__every_row__status_retry_interval_log),
        cmocka_unit_test(R61__internal_error__its_status_whatever_the_sense),
        cmocka_unit_test(R62__reservation_conflict__busy_whatever_the_sense),
        cmocka_unit_test(R63__autosense_not_valid__buffer_is_not_consulted),
        cmocka_unit_test(R87__flushed_with_the_verify_flag__verify_required),
        cmocka_unit_test(
            R88__overrun_of_inquiry_within_its_allocation__success),
        cmocka_unit_test(R89__phase_sequence__retried_twice),
        cmocka_unit_test(every_row__is_reached_by_something),
        cmocka_unit_test(text__of_every_decision__fits_and_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
