/*
 * cdbs.h - which commands a real drive is sent; nothing else ever is
 *
 * One table, cdbs.def: the ports refuse what is not in it for the kind of device
 * that they have, the probe what is not in it for those who only look, and
 * `reinsert commands` and docs/commands.md show it.  Constant; any thread.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BASE_CDBS_H
#define BASE_CDBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Kinds of devices, by their INQUIRY data.  OTHER: none of these. */
enum {
    CDB_NONE = 0,
    CDB_DISK = 1,
    CDB_CDROM = 2,
    CDB_TAPE = 4,
    CDB_CHANGER = 8,
    CDB_OTHER = 16,
    CDB_EVERY = 31,
};

/* Who sends it.  ASKED: and only if the device says that it knows it. */
enum { CDB_NOBODY = 0, CDB_SERVICE = 1, CDB_PROBE = 2, CDB_ASKED = 4 };

#define CDB_ANY       0u        /* whatever its service action is */
#define CDB_ACTION(n) (1u << (n))

struct cdb_row {
    uint8_t len;                /* of the CDB; 0: there is no row */
    uint8_t kinds;
    uint8_t who;
    uint32_t actions;           /* CDB_ANY, or some of CDB_ACTION(0..31) */
    const char *name;
};

/* By operation code. */
extern const struct cdb_row cdb_rows[256];

/* cdb: at least cdb_len bytes.  kinds: of the device; or all it may be. */
static inline bool
cdb_is_sent(const uint8_t *cdb, uint8_t cdb_len, uint8_t kinds, uint8_t who)
{
    const struct cdb_row *row;

    if (cdb_len < 6)
        return false;
    row = &cdb_rows[cdb[0]];
    return row->len == cdb_len && (row->kinds & kinds) != 0 &&
           (row->who & who) != 0 &&
           (row->actions == CDB_ANY ||
            (row->actions & CDB_ACTION(cdb[1] & 0x1F)) != 0);
}

/* Of a peripheral device type (SPC-4, Standard INQUIRY data). */
uint8_t cdb_kind_of(uint8_t peripheral_type);

/* "WRITE BUFFER (3Bh)", "a command of its maker's (C5h)", "command 27h" */
#define CDB_NAME_MAX 64
void cdb_name(const uint8_t *cdb, char out_text[CDB_NAME_MAX]);

#endif
