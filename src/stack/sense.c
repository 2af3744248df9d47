/*
 * sense.c - sense data in words
 *
 * The texts are those of sg3_utils' library; what the class driver does is
 * asked of its own decision function.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <scsi/sg_lib.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "class/decide.h"
#include "stack/stack_internal.h"

#include <srb.h>

int
ri_sense_decode(const uint8_t *sense, size_t len,
                struct ri_sense_info *out_info, struct ri_error *out_error)
{
    struct class_failure failure = {
        .srb_status = SRB_STATUS_ERROR | SRB_STATUS_AUTOSENSE_VALID,
        .scsi_status = 0x02,
        .sense = sense,
        .sense_len = (ULONG) len,
        .circumstances = CLASS_IF_REMOVABLE | CLASS_IF_MOUNTED,
    };
    struct class_decision decision;
    struct ri_sense_info info = { 0 };
    static const char prefix[] = "Additional sense: ";

    if (len == 0 || (sense[0] & 0x7F) < 0x70 || (sense[0] & 0x7F) > 0x73)
        return ri_fail(out_error, -EINVAL,
                       len == 0 ? "no bytes"
                                : "byte 0 is %02X; sense data begin with a "
                                  "response code from 70 to 73",
                       len == 0 ? 0 : sense[0]);
    class_decide(&failure, &decision);
    if (!decision.sense_valid)
        return ri_fail(out_error, -EINVAL,
                       "%zu bytes are too few for this format", len);
    info.key = decision.sense.key;
    info.asc = decision.sense.asc;
    info.ascq = decision.sense.ascq;
    info.deferred = decision.sense.deferred;
    sg_get_sense_key_str(info.key, sizeof info.key_text, info.key_text);
    sg_get_asc_ascq_str(info.asc, info.ascq, sizeof info.text, info.text);
    if (strncmp(info.text, prefix, strlen(prefix)) == 0)
        memmove(info.text, info.text + strlen(prefix),
                strlen(info.text) - strlen(prefix) + 1);
    snprintf(info.status, sizeof info.status, "%s",
             status_name(decision.status));
    info.status_value = (uint32_t) decision.status;
    info.retry = decision.retry;
    info.retry_delay_s = decision.retry ? decision.delay_s : 0;
    class_decision_text(&decision, info.action, sizeof info.action);
    *out_info = info;
    return 0;
}
