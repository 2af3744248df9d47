/*
 * units.h - the logical units of an iSCSI target
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROBE_UNITS_H
#define PROBE_UNITS_H

#include "probe/iscsi_login.h"

#define UNITS_MAX 256

struct unit_found {
    uint16_t address;           /* as the target writes it, and as it ends a
                                 * URL: the first level, two bytes */
    uint16_t number;            /* what the address means */
    uint8_t type;               /* peripheral device type; 1Fh: there is none */
};

/*
 * REPORT LUNS: the first UNITS_MAX of the units of one level, peripheral or flat
 * addressing (SAM-5, 4.7), without their types.  Their count, and whether the
 * target has more; -EIO, without the latter: it does not answer.
 */
int units_reported(const struct link *link, struct unit_found *out,
                   bool *out_more);
/* The type of the unit that the link is to: 1Fh if the target says that there
 * is none; -1: it does not say. */
int unit_type(const struct link *link);
/*
 * All of the target of `url`, whose own unit means nothing, with their types,
 * over one session.  Their count, or -errno and a sentence.
 */
int units_of_target(const char *url, const struct iscsi_as *as,
                    struct unit_found *out, char *out_text, size_t text_max);

#endif
