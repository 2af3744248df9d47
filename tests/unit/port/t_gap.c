/*
 * t_gap.c - tests for src/port/gap.c.  Expectations: promise P1 of the design
 * (no data command where a change could have happened and the medium was not
 * looked at), with half a second as the least time that an exchange takes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <scsi.h>

#include "base/clock.h"
#include "class/evidence.h"
#include "port/hba.h"

static const UCHAR disk[2] = { 0x00, 0x80 }, cdrom[2] = { 0x05, 0x80 },
                   fixed[2] = { 0x00, 0x00 }, tape[2] = { 0x01, 0x80 };

static SCSI_REQUEST_BLOCK
command(UCHAR opcode, ULONG key, ULONG flags)
{
    return (SCSI_REQUEST_BLOCK){ .Cdb = { opcode },
                                 .QueueSortKey = key,
                                 .SrbFlags = flags };
}

static struct hba_gap
gap_of(const UCHAR inquiry[2])
{
    SCSI_REQUEST_BLOCK srb = { .Cdb = { SCSIOP_INQUIRY },
                               .DataBuffer = (PVOID) inquiry };
    struct hba_gap gap;

    hba_gap_init(&gap);
    hba_gap_good(&gap, &srb, 2);
    return gap;
}

static void
good(struct hba_gap *gap, UCHAR opcode)
{
    SCSI_REQUEST_BLOCK srb = command(opcode, 0, 0);

    hba_gap_good(gap, &srb, 0);
}

static bool
passed(struct hba_gap *gap, UCHAR opcode, ULONG key, bool idle)
{
    SCSI_REQUEST_BLOCK srb = command(opcode, key, 0);

    return hba_gap_passed(gap, &srb, idle);
}

static void
P1__silence__counts_once_and_before_the_next_read_or_write(void **state)
{
    static const UCHAR opcodes[] = { SCSIOP_READ, SCSIOP_WRITE,
                                     SCSIOP_SYNCHRONIZE_CACHE, SCSIOP_READ16 };

    (void) state;
    for (size_t i = 0; i < sizeof opcodes; i++) {
        struct hba_gap gap = gap_of(i % 2 ? disk : cdrom);

        assert_false(passed(&gap, opcodes[i], 1, true));
        good(&gap, SCSIOP_READ);
        clock_advance_ms(499);
        assert_false(passed(&gap, opcodes[i], 1, true));
        good(&gap, SCSIOP_READ);
        clock_advance_ms(500);
        assert_true(passed(&gap, opcodes[i], 1, true));
        assert_false(passed(&gap, opcodes[i], 2, true));
    }
}

/* It answers polls; who knows what they were answered by. */
static void
P1__polls__end_no_doubt(void **state)
{
    struct hba_gap gap = gap_of(disk);

    (void) state;
    for (int i = 0; i < 3; i++) {
        clock_advance_ms(1000);
        assert_false(passed(&gap, SCSIOP_TEST_UNIT_READY, 7, true));
        good(&gap, SCSIOP_TEST_UNIT_READY);
        assert_false(passed(&gap, SCSIOP_READ_CAPACITY, 0, true));
    }
    clock_advance_ms(10);
    assert_true(passed(&gap, SCSIOP_READ, 7, true));
}

/* Nor do they make one silence into two short ones. */
static void
P1__polls__do_not_count_as_use(void **state)
{
    struct hba_gap gap = gap_of(disk);

    (void) state;
    good(&gap, SCSIOP_READ);
    clock_advance_ms(300);
    assert_false(passed(&gap, SCSIOP_TEST_UNIT_READY, 7, true));
    good(&gap, SCSIOP_TEST_UNIT_READY);
    clock_advance_ms(300);
    assert_true(passed(&gap, SCSIOP_WRITE, 7, true));
}

/* INQUIRY and the like are answered without a medium. */
static void
P1__answers_that_need_no_medium__end_no_silence(void **state)
{
    struct hba_gap gap = gap_of(disk);

    (void) state;
    clock_advance_ms(400);
    good(&gap, SCSIOP_MODE_SENSE);
    good(&gap, SCSIOP_READ_CAPACITY);
    clock_advance_ms(400);
    assert_true(passed(&gap, SCSIOP_WRITE, 1, true));
}

static void
slow_drive__with_commands_on_their_way__is_not_silent(void **state)
{
    struct hba_gap gap = gap_of(cdrom);

    (void) state;
    clock_advance_ms(3000);
    assert_false(passed(&gap, SCSIOP_READ, 1, false));
    good(&gap, SCSIOP_READ);
    assert_false(passed(&gap, SCSIOP_READ, 1, true));
}

static void
fixed_disks_and_tapes__are_not_watched(void **state)
{
    struct hba_gap gap = gap_of(fixed);

    (void) state;
    clock_advance_ms(3000);
    assert_false(passed(&gap, SCSIOP_WRITE, 1, true));
    gap = gap_of(tape);
    clock_advance_ms(3000);
    assert_false(passed(&gap, SCSIOP_WRITE, 1, true));
}

static void
announces__is_believed__unless_others_are_told_too(void **state)
{
    SCSI_REQUEST_BLOCK srb = command(SCSIOP_WRITE, 1, CLASS_SRB_ANNOUNCES);
    struct hba_gap gap = gap_of(disk);

    (void) state;
    assert_int_equal(CLASS_SRB_ANNOUNCES, HBA_SRB_ANNOUNCES);
    assert_int_equal(HBA_SRB_ANNOUNCES & ~SRB_FLAGS_PORT_DRIVER_RESERVED, 0);
    clock_advance_ms(3000);
    assert_false(hba_gap_passed(&gap, &srb, true));
    gap.always = true;
    clock_advance_ms(3000);
    assert_true(hba_gap_passed(&gap, &srb, true));
}

static int
begin(void **state)
{
    (void) state;
    clock_manual(true);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            P1__silence__counts_once_and_before_the_next_read_or_write),
        cmocka_unit_test(P1__polls__end_no_doubt),
        cmocka_unit_test(P1__polls__do_not_count_as_use),
        cmocka_unit_test(P1__answers_that_need_no_medium__end_no_silence),
        cmocka_unit_test(slow_drive__with_commands_on_their_way__is_not_silent),
        cmocka_unit_test(fixed_disks_and_tapes__are_not_watched),
        cmocka_unit_test(announces__is_believed__unless_others_are_told_too),
    };

    return cmocka_run_group_tests(tests, begin, NULL);
}
