/*
 * Tests for src/vscsi/fault.c: every rule, and those that are none.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support.h"

#include <time.h>

SETUP(disk, .type = VSCSI_DISK)

static unsigned completions;
static enum vscsi_result completed_with;

static void
completed(struct vscsi_command *command)
{
    completed_with = command->result;
    __atomic_fetch_add(&completions, 1, __ATOMIC_SEQ_CST);
}

static void
rule(struct rig *rig, const char *text)
{
    char why[512] = "";

    assert_int_equal(vscsi_fault_add(rig->drive, text, why, sizeof why), 0);
}

static bool
start_read(struct rig *rig)
{
    static const uint8_t cdb[10] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0 };
    bool at_once;

    completions = 0;
    memset(&rig->last, 0, sizeof rig->last);
    memcpy(rig->last.cdb, cdb, sizeof cdb);
    rig->last.cdb_len = 10;
    rig->last.dir = VSCSI_FROM_DRIVE;
    rig->last.data = rig->data;
    rig->last.data_len = 512;
    rig->last.done = completed;
    at_once = vscsi_execute(rig->nexus, &rig->last);
    return at_once;
}

static unsigned
done_count(void)
{
    return __atomic_load_n(&completions, __ATOMIC_SEQ_CST);
}

/* SPC-4 4.5.2 and 4.5.3. */
static void
sense__options__each_format_and_bit(void **state)
{
    static const struct {
        const char *text;
        uint8_t len, bytes[24];
    } want[] = {
        { "3/11/01", 18, { 0x70, 0, 3, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x11, 1 } },
        { "3/11/01 deferred",
          18,
          { 0x71, 0, 3, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x11, 1 } },
        { "0/00/00 ili", 18, { 0x70, 0, 0x20, 0, 0, 0, 0, 10 } },
        { "3/11/01 info 0x1234",
          18,
          { 0xF0, 0, 3, 0, 0, 0x12, 0x34, 10, 0, 0, 0, 0, 0x11, 1 } },
        { "3/11/01 descriptor", 8, { 0x72, 3, 0x11, 1 } },
        { "3/11/01 descriptor ili info 0x123456789 deferred",
          24,
          { 0x73, 3, 0x11, 1, 0,    0,    0,    16,   0, 0x0A, 0x80, 0,
            0,    0, 0,    1, 0x23, 0x45, 0x67, 0x89, 5, 2,    0,    0x20 } },
        { "3/11/01 bytes 12", 12, { 0x70, 0, 3, 0, 0, 0, 0, 10 } },
    };
    struct rig *rig = *state;
    char text[96];

    settle(rig);
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        snprintf(text, sizeof text, "at 1 read do sense %s", want[i].text);
        rule(rig, text);
        assert_true(start_read(rig));
        assert_int_equal(rig->last.status, 2);
        assert_int_equal(rig->last.sense_len, want[i].len);
        assert_memory_equal(rig->last.sense, want[i].bytes, want[i].len);
    }
}

static void
statuses__each__without_sense(void **state)
{
    static const struct {
        const char *action;
        uint8_t status;
    } want[] = {
        { "busy", 0x08 },      { "queue-full", 0x28 },
        { "status 40", 0x40 }, { "reservation-conflict", 0x18 },
        { "status 02", 0x02 },
    };
    struct rig *rig = *state;
    char text[96];

    settle(rig);
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        snprintf(text, sizeof text, "at 1 read do %s", want[i].action);
        rule(rig, text);
        assert_true(start_read(rig));
        assert_int_equal(rig->last.result, VSCSI_DONE);
        assert_int_equal(rig->last.status, want[i].status);
        assert_int_equal(rig->last.sense_len, 0);
        assert_int_equal(rig->last.transferred, 0);
    }
}

static void
transport__each_failure__nothing_was_done(void **state)
{
    static const struct {
        const char *action;
        enum vscsi_result result;
    } want[] = {
        { "selection-timeout", VSCSI_SELECTION_TIMEOUT },
        { "invalid-lun", VSCSI_INVALID_LUN },
        { "no-device", VSCSI_NO_DEVICE },
        { "phase-error", VSCSI_PHASE_ERROR },
        { "parity-error", VSCSI_PARITY_ERROR },
        { "bus-free", VSCSI_BUS_FREE },
        { "timeout", VSCSI_TIMED_OUT },
        { "flushed", VSCSI_STALE },
    };
    struct rig *rig = *state;
    char text[96];

    settle(rig);
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        snprintf(text, sizeof text, "at 1 read do %s", want[i].action);
        rule(rig, text);
        memset(rig->data, 'x', 512);
        assert_true(start_read(rig));
        assert_int_equal(rig->last.result, want[i].result);
        assert_int_equal(rig->last.transferred, 0);
        assert_int_equal(rig->data[0], 'x');
    }
}

static void
overrun__read__data_and_the_failure(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    rule(rig, "at 1 read do overrun");
    assert_true(start_read(rig));
    assert_int_equal(rig->last.result, VSCSI_OVERRUN);
    assert_int_equal(rig->last.transferred, 512);
    assert_int_equal(rig->data[511], 'a');
}

static void
sense__at_the_nth__only_then(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    rule(rig, "at 2 read do sense 3/11/0");
    assert_int_equal(read_10(rig, 0, 1, 512), 0);
    assert_int_equal(TUR(rig), 0);
    assert_int_equal(read_10(rig, 0, 1, 512), 0x031100);
    assert_int_equal(read_10(rig, 0, 1, 512), 0);
}

static void
sense__from_the_nth__every_time(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    rule(rig, "at 2+ tur do sense 4/44/00");
    assert_int_equal(TUR(rig), 0);
    assert_int_equal(TUR(rig), 0x044400);
    assert_int_equal(TUR(rig), 0x044400);
    vscsi_fault_clear(rig->drive);
    assert_int_equal(TUR(rig), 0);
}

static void
match__kinds__and_lba_ranges(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    rule(rig, "at * write lba 10-19 do sense 3/0c/00");
    assert_int_equal(write_10(rig, 0, 9, 1, 'x'), 0);
    assert_int_equal(write_10(rig, 0, 9, 2, 'x'), 0x030C00);
    assert_int_equal(write_10(rig, 0, 19, 5, 'x'), 0x030C00);
    assert_int_equal(write_10(rig, 0, 20, 5, 'x'), 0);
    assert_int_equal(read_10(rig, 10, 1, 512), 0);
    vscsi_fault_clear(rig->drive);
    rule(rig, "at * data lba 0x10-0x10 do sense 3/11/01");
    assert_int_equal(read_10(rig, 16, 1, 512), 0x031101);
    assert_int_equal(write_10(rig, 0, 16, 1, 'x'), 0x031101);
    assert_int_equal(TUR(rig), 0);
    vscsi_fault_clear(rig->drive);
    rule(rig, "at 1 flush do sense 3/0c/00");
    assert_int_equal(write_10(rig, 0, 16, 1, 'x'), 0);
    assert_int_equal(NONE(rig, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0x030C00);
    rule(rig, "at 1 0x12 do sense 5/24/00");
    assert_int_equal(TUR(rig), 0);
    assert_int_equal(IN(rig, 96, 0x12, 0, 0, 0, 96, 0), 0x052400);
    rule(rig, "at 1 any do sense 5/24/00");
    assert_int_equal(TUR(rig), 0x052400);
}

static void
sense__unit_attention__counts_as_reported(void **state)
{
    struct rig *rig = *state;
    uint32_t before;

    settle(rig);
    before = rig->last.attention;
    rule(rig, "at 1 any do sense 6/3f/01");
    assert_int_equal(TUR(rig), 0x063F01);
    assert_int_equal(rig->last.attention, before + 1);
}

static void
recovered__carried_out_and_reported(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    rule(rig, "at 1 read do recovered 1/18/00");
    rig->data[0] = 0;
    assert_int_equal(read_10(rig, 0, 1, 512), 0x011800);
    assert_int_equal(rig->last.transferred, 512);
    assert_int_equal(rig->data[0], 'a');
}

static void
short__transfer_is_cut__status_good(void **state)
{
    struct rig *rig = *state;
    uint8_t back[1024];

    settle(rig);
    memset(rig->data, 0, 1024);
    rule(rig, "at 1 read do short 100");
    assert_int_equal(read_10(rig, 0, 2, 1024), 0);
    assert_int_equal(rig->last.transferred, 100);
    assert_int_equal(rig->data[99], 'a');
    assert_int_equal(rig->data[100], 0);
    rule(rig, "at 1 write do short 700");
    assert_int_equal(write_10(rig, 0, 0, 2, 'x'), 0);
    assert_int_equal(rig->last.transferred, 512);
    peek(rig->a, 0, back, sizeof back);
    assert_int_equal(back[511], 'x');
    assert_int_equal(back[512], 'a');
}

static void
yank_and_swap__happen_before_the_command(void **state)
{
    struct rig *rig = *state;
    char text[256], byte;

    settle(rig);
    rule(rig, "at 1 write do yank");
    assert_int_equal(write_10(rig, 0, 0, 1, 'x'), 0x023A00);
    peek(rig->a, 0, &byte, 1);
    assert_int_equal(byte, 'a');
    settle(rig);
    snprintf(text, sizeof text, "at 1 write do swap %s", rig->b);
    rule(rig, text);
    assert_int_equal(write_10(rig, 0, 0, 1, 'x'), 0x062800);
    assert_int_equal(read_10(rig, 0, 1, 512), 0);
    assert_int_equal(rig->data[0], 'b');
}

static void
reset_busy_selection__results(void **state)
{
    struct rig *rig = *state;
    static const uint8_t tur[6];

    settle(rig);
    rule(rig, "at 1 any do busy");
    assert_true(start_on(rig, rig->nexus, tur, 6, VSCSI_NO_DATA, 0, 0));
    assert_int_equal(rig->last.result, VSCSI_DONE);
    assert_int_equal(rig->last.status, 0x08);
    rule(rig, "at 1 any do selection-timeout");
    assert_true(start_on(rig, rig->nexus, tur, 6, VSCSI_NO_DATA, 0, 0));
    assert_int_equal(rig->last.result, VSCSI_SELECTION_TIMEOUT);
    rule(rig, "at 1 any do reset");
    assert_true(start_on(rig, rig->nexus, tur, 6, VSCSI_NO_DATA, 0, 0));
    assert_int_equal(rig->last.result, VSCSI_BUS_RESET);
    assert_int_equal(TUR(rig), 0x062900);
    assert_int_equal(TUR(rig), 0);
}

static void
becoming_ready__for_a_while(void **state)
{
    struct rig *rig = *state;
    unsigned before;

    settle(rig);
    before = events_of(rig, VSCSI_EVENT_READY);
    rule(rig, "at 1 read do becoming-ready 3600000");
    assert_int_equal(read_10(rig, 0, 1, 512), 0x020401);
    assert_int_equal(TUR(rig), 0x020401);
    rule(rig, "at 1 tur do becoming-ready 20");
    (void) TUR(rig);
    WAIT_FOR(events_of(rig, VSCSI_EVENT_READY) == before + 1);
    assert_int_equal(TUR(rig), 0x062800);
    assert_int_equal(read_10(rig, 0, 1, 512), 0);
}

static void
delay__done_is_called_later_once(void **state)
{
    struct rig *rig = *state;
    struct timespec start, end;

    settle(rig);
    rule(rig, "at 1 read do delay 30");
    clock_gettime(CLOCK_MONOTONIC, &start);
    assert_false(start_read(rig));
    WAIT_FOR(done_count() == 1);
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true((end.tv_sec - start.tv_sec) * 1000 +
                    (end.tv_nsec - start.tv_nsec) / 1000000 >=
                29);
    assert_int_equal(completed_with, VSCSI_DONE);
    assert_int_equal(rig->last.status, 0);
    assert_int_equal(rig->last.transferred, 512);
    assert_int_equal(rig->data[0], 'a');
    vscsi_abort(rig->nexus, &rig->last);
    assert_int_equal(done_count(), 1);
}

/* The checks are made when it is carried out, not when it came. */
static void
delay__medium_changed_meanwhile__attention(void **state)
{
    struct rig *rig = *state;
    char text[64], delay[64];
    bool in_time = false;

    settle(rig);
    /* The change has to be over by then, however long it takes. */
    for (unsigned ms = 100; !in_time; ms *= 4) {
        (void) TUR(rig);
        snprintf(delay, sizeof delay, "at 1 read do delay %u", ms);
        rule(rig, delay);
        assert_false(start_read(rig));
        assert_int_equal(vscsi_yank(rig->drive), 0);
        assert_int_equal(vscsi_insert(rig->drive, rig->b, text, sizeof text),
                         0);
        in_time = done_count() == 0;
        WAIT_FOR(done_count() == 1);
    }
    assert_int_equal(sense_of(&rig->last), 0x062800);
}

static void
lose__until_aborted_or_reset(void **state)
{
    struct rig *rig = *state;

    settle(rig);
    rule(rig, "at * read do lose");
    assert_false(start_read(rig));
    usleep(20000);
    assert_int_equal(done_count(), 0);
    vscsi_abort(rig->nexus, &rig->last);
    assert_int_equal(done_count(), 1);
    assert_int_equal(completed_with, VSCSI_ABORTED);
    assert_false(start_read(rig));
    vscsi_reset(rig->drive);
    assert_int_equal(done_count(), 1);
    assert_int_equal(completed_with, VSCSI_ABORTED);
    assert_false(start_read(rig));
    vscsi_nexus_free(rig->nexus);
    assert_int_equal(done_count(), 1);
    rig->nexus = vscsi_nexus_new(rig->drive, NULL, NULL);
}

static void
rules__that_are_none__say_why(void **state)
{
    static const char *const bad[] = {
        "",
        "at",
        "at 0 any do yank",
        "at x any do yank",
        "at 1",
        "at 1any do",
        "at 1 nothing do yank",
        "at 1 any",
        "at 1 any yank",
        "at 1 any do",
        "at 1 any do dance",
        "at 1 any do sense",
        "at 1 any do sense 3/11",
        "at 1 any do recovered 0/0/0",
        "at 1 any do sense 3/11/0 bytes 32",
        "at 1 any do sense 3/11/0 info",
        "at 1 any do status",
        "at 1 any do status 00",
        "at 1 any do sense 10/0/0",
        "at 1 any do delay",
        "at 1 any do delay x",
        "at 1 any do yank now",
        "at 1 any do swap",
        "at 1 0x100 do yank",
        "at -1 any do yank",
        "at 1 read lba do yank",
        "at 1 read lba 5-4 do yank",
        "at 1 read lba 5 do yank",
        "at 1 any do short -1",
        "at 99999999999999999999 any do yank",
        "when 1 any do yank",
        "at ++ any do yank",
        "at 1++ any do yank",
        "at 1 any do sense 3/11/0 x",
    };
    struct rig *rig = *state;
    char why[256];

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        why[0] = '\0';
        if (vscsi_fault_add(rig->drive, bad[i], why, sizeof why) != -EINVAL)
            fail_msg("accepted: %s", bad[i]);
        assert_non_null(strstr(why, bad[i]));
        assert_true(strlen(why) > strlen(bad[i]) + 10);
    }
    assert_int_equal(vscsi_fault_add(rig->drive, "x", NULL, 0), -EINVAL);
    assert_int_equal(TUR(rig), 0x062900);
}

/* What the standards have no such command for: SBC (a disk), MMC (a CD drive,
 * which reads), SSC (a tape drive), SMC (a robot). */
static void
rules__that_could_never_match__are_refused(void **state)
{
    static const struct {
        enum vscsi_type type;
        const char *rule;
        bool good;
    } rows[] = {
        { VSCSI_DISK, "at 1 write do yank", true },
        { VSCSI_DISK, "at 1 flush lba 0-7 do yank", true },
        { VSCSI_DISK, "at 1 any lba 0-7 do yank", true },
        { VSCSI_DISK, "at 1 tur lba 0-7 do yank", false },
        { VSCSI_DISK, "at 1 0x00 lba 0-7 do yank", false },
        { VSCSI_DISK, "at 1 filemark do yank", false },
        { VSCSI_DISK, "at 1 space do yank", false },
        { VSCSI_DISK, "at 1 rewind do yank", false },
        { VSCSI_DISK, "at 1 move do yank", false },
        { VSCSI_DISK, "at 1 inventory do yank", false },
        { VSCSI_DISK, "at 1 any do stuck", false },
        { VSCSI_DISK, "at 1 read do lie-twice", false },
        /* A number may be sent, known or not. */
        { VSCSI_DISK, "at 1 0xA5 do yank", true },
        { VSCSI_CDROM, "at 1 read do yank", true },
        { VSCSI_CDROM, "at 1 data do yank", true },
        { VSCSI_CDROM, "at 1 write do yank", false },
        { VSCSI_CDROM, "at 1 flush do yank", false },
        { VSCSI_CDROM, "at 1 0x2A do sense 5/20/00", true },
        { VSCSI_FLOPPY, "at 1 write do yank", true },
        { VSCSI_FLOPPY, "at 1 locate do yank", false },
        { VSCSI_TAPE, "at 1 filemark lba 0-7 do yank", true },
        { VSCSI_TAPE, "at 1 space do yank", true },
        { VSCSI_TAPE, "at 1 locate do yank", true },
        { VSCSI_TAPE, "at 1 rewind do yank", true },
        { VSCSI_TAPE, "at 1 load do yank", true },
        { VSCSI_TAPE, "at 1 flush do yank", true },
        { VSCSI_TAPE, "at 1 exchange do yank", false },
        { VSCSI_TAPE, "at 1 any do door", false },
        { VSCSI_CHANGER, "at 1 move do stuck", true },
        { VSCSI_CHANGER, "at 1 exchange do half", true },
        { VSCSI_CHANGER, "at 1 status do lie-cut 9", true },
        { VSCSI_CHANGER, "at 1 position do delay 3", true },
        { VSCSI_CHANGER, "at 1 inventory do unreadable", true },
        { VSCSI_CHANGER, "at 1 tur do becoming-ready 5", true },
        { VSCSI_CHANGER, "at 1 read do busy", false },
        { VSCSI_CHANGER, "at 1 write do busy", false },
        { VSCSI_CHANGER, "at 1 filemark do busy", false },
        { VSCSI_CHANGER, "at 1 move lba 0-7 do busy", false },
        { VSCSI_CHANGER, "at 1 move do yank", false },
    };
    struct rig *rig = *state;
    char why[256];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        why[0] = '\0';
        if (vscsi_fault_check(rows[i].type, rows[i].rule, why, sizeof why) !=
            (rows[i].good ? 0 : -EINVAL))
            fail_msg("%d: %s: %s", rows[i].type, rows[i].rule, why);
        if (!rows[i].good)
            assert_non_null(strstr(why, rows[i].rule));
    }
    assert_int_equal(
        vscsi_fault_add(rig->drive, "at 1 space do yank", why, sizeof why),
        -EINVAL);
    assert_non_null(strstr(why, "never match: disks have no such command"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sense__options__each_format_and_bit, disk),
        TEST(statuses__each__without_sense, disk),
        TEST(transport__each_failure__nothing_was_done, disk),
        TEST(overrun__read__data_and_the_failure, disk),
        TEST(sense__at_the_nth__only_then, disk),
        TEST(sense__from_the_nth__every_time, disk),
        TEST(match__kinds__and_lba_ranges, disk),
        TEST(sense__unit_attention__counts_as_reported, disk),
        TEST(recovered__carried_out_and_reported, disk),
        TEST(short__transfer_is_cut__status_good, disk),
        TEST(yank_and_swap__happen_before_the_command, disk),
        TEST(reset_busy_selection__results, disk),
        TEST(becoming_ready__for_a_while, disk),
        TEST(delay__done_is_called_later_once, disk),
        TEST(delay__medium_changed_meanwhile__attention, disk),
        TEST(lose__until_aborted_or_reset, disk),
        TEST(rules__that_are_none__say_why, disk),
        TEST(rules__that_could_never_match__are_refused, disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
