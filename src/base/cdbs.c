/*
 * cdbs.c - the table of commands, and their names
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/cdbs.h"

#include <stdio.h>

#define NONE      CDB_NONE
#define DISK      CDB_DISK
#define CDROM     CDB_CDROM
#define TAPE      CDB_TAPE
#define CHANGER   CDB_CHANGER
#define EVERY     CDB_EVERY
#define NOBODY    CDB_NOBODY
#define SERVICE   CDB_SERVICE
#define PROBE     CDB_PROBE
#define ASKED     CDB_ASKED
#define ANY       CDB_ANY
#define ACTION(n) CDB_ACTION(n)

const struct cdb_row cdb_rows[256] = {
#define CDB_ROW(opcode, len, kinds, who, actions, name)                        \
    [opcode] = { len, kinds, who, actions, name },
#include "base/cdbs.def"
#undef CDB_ROW
};

uint8_t
cdb_kind_of(uint8_t peripheral_type)
{
    switch (peripheral_type) {
    case 0x00: /* direct access */
    case 0x07: /* optical memory */
    case 0x0E: /* simplified direct access */
        return CDB_DISK;
    case 0x01:
        return CDB_TAPE;
    case 0x05:
        return CDB_CDROM;
    case 0x08:
        return CDB_CHANGER;
    default:
        return CDB_OTHER;
    }
}

void
cdb_name(const uint8_t *cdb, char out_text[CDB_NAME_MAX])
{
    const char *name = cdb_rows[cdb[0]].name;

    /* SAM-5, 5.2.1: groups 6 and 7 are vendor specific. */
    if (name != NULL)
        snprintf(out_text, CDB_NAME_MAX, "%s (%02Xh)", name, cdb[0]);
    else if (cdb[0] >= 0xC0)
        snprintf(out_text, CDB_NAME_MAX, "a command of its maker's (%02Xh)",
                 cdb[0]);
    else
        snprintf(out_text, CDB_NAME_MAX, "command %02Xh", cdb[0]);
}
