/*
 * t_cdbs.c - tests for src/base/cdbs.c.  Expectations: the operation codes and
 * CDB lengths of SPC-4, SBC-3, MMC-5, SSC-4 and SMC-3; SAM-5 on groups of
 * operation codes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/cdbs.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
sent__what_the_drivers_need_with_its_length__others_are_not(void **state)
{
    static const struct {
        uint8_t cdb[2], len;
        bool sent;
        uint8_t type; /* 0: disk, 1: tape, 5: CD, 8: changer; 1F: unknown */
    } all[] = {
        { { 0x00 }, 6, true },
        { { 0x28 }, 10, true },
        { { 0x2A }, 10, true },
        { { 0x88 }, 16, true },
        { { 0x8A }, 16, true },
        { { 0x35 }, 10, true },
        { { 0x4A }, 10, true },
        { { 0x1E }, 6, true },
        { { 0x9E, 0x10 }, 16, true },
        { { 0x9E, 0x12 }, 16, true },
        { { 0x9E, 0x11 }, 16, false },
        { { 0x28 }, 6, false },
        { { 0x28 }, 16, false },
        { { 0x00 }, 0, false },
        { { 0x00 }, 5, false },
        /* WRITE BUFFER: firmware; SANITIZE; a maker's own, of all groups. */
        { { 0x3B }, 10, false },
        { { 0x48 }, 10, false },
        { { 0xC0 }, 10, false },
        { { 0xD8 }, 12, false },
        { { 0xE0 }, 10, false },
        { { 0xFF }, 10, false },
        { { 0x02 }, 6, false },
        { { 0x27 }, 10, false },
        /* WRITE SAME, ATA PASS-THROUGH, COMPARE AND WRITE, WRITE ATTRIBUTE */
        { { 0x93 }, 16, false },
        { { 0x85 }, 16, false },
        { { 0x89 }, 16, false },
        { { 0x8D }, 16, false },
        /* The control codes of disks and CDs that Windows documents. */
        { { 0x07 }, 6, true },
        { { 0x5E }, 10, true },
        { { 0x5F }, 10, true },
        { { 0xAB, 1 }, 12, true },
        { { 0xAD }, 12, true, 5 },
        { { 0xBE }, 12, true, 5 },
        { { 0x42 }, 10, true, 5 },
        { { 0xAD }, 12, false },
        { { 0xBE }, 12, false },
        /* Robots have theirs; the same bytes are others to a disk. */
        { { 0x00 }, 6, true, 8 },
        { { 0xA5 }, 12, true, 8 },
        { { 0xA6 }, 12, true, 8 },
        { { 0xB8 }, 12, true, 8 },
        { { 0x07 }, 6, true, 8 },
        { { 0x2B }, 10, true, 8 },
        { { 0xA3, 0x0C }, 12, true, 8 },
        { { 0xA3, 0x0A }, 12, false, 8 },
        { { 0xE7 }, 10, true, 8 },
        { { 0xE7 }, 10, false },
        { { 0xA5 }, 12, false },
        { { 0xB8 }, 10, false, 8 },
        { { 0x2A }, 10, false, 8 },
        /* Tapes: SSC's, as src/drivers/minitape sends them. */
        { { 0x01 }, 6, true, 1 },
        { { 0x05 }, 6, true, 1 },
        { { 0x08 }, 6, true, 1 },
        { { 0x0A }, 6, true, 1 },
        { { 0x10 }, 6, true, 1 },
        { { 0x11 }, 6, true, 1 },
        { { 0x19 }, 6, true, 1 },
        { { 0x1B }, 6, true, 1 },
        { { 0x2B }, 10, true, 1 },
        { { 0x34 }, 10, true, 1 },
        { { 0x4D }, 10, true, 1 },
        { { 0x8C }, 16, true, 1 },
        { { 0x91 }, 16, true, 1 },
        { { 0x92 }, 16, true, 1 },
        { { 0x0A }, 6, false },
        { { 0x19 }, 6, false },
        { { 0x10 }, 6, false, 5 },
        { { 0x3B }, 10, false, 1 },
        { { 0x8D }, 16, false, 1 },
        { { 0xA5 }, 12, false, 1 },
        { { 0x3B }, 10, false, 8 },
        /* What is not known is asked who it is, and no more. */
        { { 0x12 }, 6, true, 0x1F },
        { { 0x2A }, 10, false, 0x1F },
        { { 0x04 }, 6, false, 0x1F },
    };

    (void) state;
    for (size_t i = 0; i < COUNT(all); i++) {
        uint8_t cdb[16] = { all[i].cdb[0], all[i].cdb[1] };

        if (cdb_is_sent(cdb, all[i].len, cdb_kind_of(all[i].type),
                        CDB_SERVICE) != all[i].sent)
            fail_msg("%02X %02X, %u bytes, type %02X", cdb[0], cdb[1],
                     all[i].len, all[i].type);
    }
}

/* SAM-5: the group code says how long a CDB is. */
static void
rows__length_is_that_of_the_group(void **state)
{
    static const uint8_t by_group[] = { 6, 10, 10, 0, 16, 12, 0, 0 };

    (void) state;
    for (size_t i = 0; i < 256; i++)
        if (cdb_rows[i].len != 0 && by_group[i >> 5] != 0)
            assert_int_equal(cdb_rows[i].len, by_group[i >> 5]);
}

/* What may change a medium, or a device, as the standards name it. */
static void
probe__sends_nothing_that_changes_anything(void **state)
{
    static const uint8_t changes[] = { 0x04, 0x07, 0x0A, 0x10, 0x15, 0x16,
                                       0x19, 0x1D, 0x2A, 0x2E, 0x35, 0x3B,
                                       0x42, 0x48, 0x55, 0x5F, 0x8A, 0x91,
                                       0xA5, 0xAA, 0xB6, 0xE7 };

    (void) state;
    for (size_t i = 0; i < COUNT(changes); i++)
        for (uint8_t len = 6; len <= 16; len++) {
            uint8_t cdb[16] = { changes[i] };

            assert_false(cdb_is_sent(cdb, len, CDB_EVERY, CDB_PROBE));
        }
}

static void
name__of_every_operation_code__is_one(void **state)
{
    static const struct {
        uint8_t opcode;
        const char *name;
    } some[] = { { 0x3B, "WRITE BUFFER (3Bh)" },
                 { 0x48, "SANITIZE (48h)" },
                 { 0xC5, "a command of its maker's (C5h)" },
                 { 0x27, "command 27h" } };
    char text[CDB_NAME_MAX];

    (void) state;
    for (size_t i = 0; i < COUNT(some); i++) {
        cdb_name(&some[i].opcode, text);
        assert_string_equal(text, some[i].name);
    }
    for (unsigned i = 0; i < 256; i++) {
        uint8_t opcode = (uint8_t) i;

        cdb_name(&opcode, text);
        /* None is cut. */
        assert_non_null(strchr(text, 'h'));
        assert_true(strlen(text) > 4);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            sent__what_the_drivers_need_with_its_length__others_are_not),
        cmocka_unit_test(rows__length_is_that_of_the_group),
        cmocka_unit_test(probe__sends_nothing_that_changes_anything),
        cmocka_unit_test(name__of_every_operation_code__is_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
