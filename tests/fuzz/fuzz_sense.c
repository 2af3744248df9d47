/*
 * fuzz_sense.c - what failed requests mean, for any bytes
 *
 * Input: SRB status, SCSI status, circumstances (16), retry number,
 * transferred (16), CDB (16 bytes), then the sense data as they are.  The
 * checks are those that hold whatever a drive says; the bytes that matter are
 * found here again, from SPC's formats and not by the code under test.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/support.h"

#include <reinsert.h>

#include "class/decide.h"

struct triple {
    bool valid;
    uint8_t key, asc, ascq;
};

/* SPC-4 4.5; lengths as in the specification, 5.2. */
static struct triple
triple_of(const uint8_t *sense, size_t bytes)
{
    struct triple found = { false, 0, 0, 0 };
    size_t reach;

    if (bytes >= 4 && (sense[0] & 0x7e) == 0x72) {
        found = (struct triple){ true, sense[1] & 0x0f, sense[2], sense[3] };
    } else if (bytes >= 8 && (sense[0] & 0x7e) != 0x72) {
        reach = sense[7] + 8u < bytes ? sense[7] + 8u : bytes;
        found =
            (struct triple){ true, sense[2] & 0x0f, reach > 12 ? sense[12] : 0,
                             reach > 13 ? sense[13] : 0 };
    }
    return found;
}

static bool
is_user_induced(NTSTATUS status)
{
    return status == STATUS_VERIFY_REQUIRED || status == STATUS_IO_TIMEOUT ||
           status == STATUS_WRONG_VOLUME ||
           status == STATUS_NO_MEDIA_IN_DEVICE ||
           status == STATUS_UNRECOGNIZED_MEDIA ||
           status == STATUS_MEDIA_WRITE_PROTECTED ||
           status == STATUS_DEVICE_NOT_READY;
}

/* Which keys may lead to which of them. */
static void
check_user_induced(const struct triple *triple, NTSTATUS status)
{
    static const struct {
        NTSTATUS status;
        uint8_t key;
    } allowed[] = {
        { STATUS_NO_MEDIA_IN_DEVICE, 2 }, { STATUS_DEVICE_NOT_READY, 2 },
        { STATUS_UNRECOGNIZED_MEDIA, 3 }, { STATUS_MEDIA_WRITE_PROTECTED, 7 },
        { STATUS_VERIFY_REQUIRED, 6 },
    };

    if (!is_user_induced(status))
        return;
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        if (allowed[i].status == status && allowed[i].key == triple->key)
            return;
    CHECK(!"a user-induced status from another row");
}

static void
check_sense(const struct class_failure *failure, const struct triple *triple,
            const struct class_decision *decision)
{
    static const uint16_t failing =
        1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 0xB;
    ULONG both = CLASS_IF_REMOVABLE | CLASS_IF_MOUNTED;

    CHECK(decision->sense_valid);
    CHECK(decision->sense.key == triple->key);
    CHECK(decision->sense.asc == triple->asc);
    CHECK(decision->sense.ascq == triple->ascq);
    check_user_induced(triple, decision->status);
    if (failing >> triple->key & 1)
        CHECK(!NT_SUCCESS(decision->status));
    if (triple->key != 6)
        return;
    CHECK(decision->act & CLASS_ACT_ATTENTION);
    if ((failure->circumstances & both) == both)
        CHECK(decision->status == STATUS_VERIFY_REQUIRED && !decision->retry);
    else
        CHECK(decision->status == STATUS_IO_DEVICE_ERROR);
}

static void
check_words(const uint8_t *sense, size_t bytes, const struct triple *triple)
{
    struct ri_sense_info info;
    struct ri_error error;
    bool format =
        bytes > 0 && (sense[0] & 0x7f) >= 0x70 && (sense[0] & 0x7f) <= 0x73;

    if (ri_sense_decode(sense, bytes, &info, &error) != 0) {
        CHECK(!format || !triple->valid);
        CHECK(error.text[0] != '\0');
        return;
    }
    CHECK(format && triple->valid);
    CHECK(info.key == triple->key && info.asc == triple->asc &&
          info.ascq == triple->ascq);
    CHECK(memchr(info.text, '\0', sizeof info.text) != NULL);
    CHECK(memchr(info.action, '\0', sizeof info.action) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct input in = { data, data + bytes };
    struct class_failure failure = { 0 };
    struct class_decision decision, again;
    struct triple triple;
    uint8_t cdb[16], *sense;
    size_t sense_len;
    bool consulted;

    failure.srb_status = take8(&in);
    failure.scsi_status = take8(&in);
    failure.circumstances = take16(&in) & 0x7fff;
    failure.retry_number = take8(&in);
    failure.transferred = take16(&in);
    failure.internal_status = STATUS_UNSUCCESSFUL;
    take(&in, cdb, sizeof cdb);
    failure.cdb = cdb;
    sense_len = (size_t) (in.end - in.at);
    if (SRB_STATUS(failure.srb_status) == SRB_STATUS_SUCCESS)
        return 0;
    sense = malloc(sense_len + 1); /* exactly so long, for the sanitizer */
    CHECK(sense != NULL);
    sense = realloc(sense, sense_len > 0 ? sense_len : 1);
    CHECK(sense != NULL);
    memcpy(sense, in.at, sense_len);
    failure.sense = sense;
    failure.sense_len = (ULONG) sense_len;
    triple = triple_of(sense, sense_len);
    class_decide(&failure, &decision);
    class_decide(&failure, &again);
    CHECK(decision.status == again.status && decision.retry == again.retry &&
          decision.act == again.act && decision.row == again.row);
    CHECK(decision.delay_s <= 100);
    CHECK(decision.row < class_decide_rows);
    consulted = failure.srb_status & SRB_STATUS_AUTOSENSE_VALID &&
                SRB_STATUS(failure.srb_status) != SRB_STATUS_INTERNAL_ERROR &&
                failure.scsi_status != SCSISTAT_RESERVATION_CONFLICT;
    if (consulted && triple.valid)
        check_sense(&failure, &triple, &decision);
    else if (failure.scsi_status == SCSISTAT_RESERVATION_CONFLICT &&
             SRB_STATUS(failure.srb_status) != SRB_STATUS_INTERNAL_ERROR)
        CHECK(decision.status == STATUS_DEVICE_BUSY && !decision.retry);
    else
        CHECK(!(decision.act & CLASS_ACT_ATTENTION));
    check_words(sense, sense_len, &triple);
    free(sense);
    return 0;
}
