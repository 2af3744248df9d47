/*
 * t_mt_words.c - what each word of mt asks of the drive; from mt(1) and st(4)
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/mt.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A drive that writes down what it is asked. */
struct deck {
    char seen[256];
    int open_rc, op_rc;
};

static void
note(struct deck *deck, const char *format, int a, int b)
{
    size_t used = strlen(deck->seen);

    snprintf(deck->seen + used, sizeof deck->seen - used, format, a, b);
}

static int
open_it(void *context, const char *device, enum mt_open how)
{
    static const char *const names[] = { "?", "r", "w", "n" };
    struct deck *deck = context;

    assert_string_equal(device, "st0");
    note(deck, names[how], 0, 0);
    return deck->open_rc;
}

static int
op(void *context, int mt_op, int count)
{
    struct deck *deck = context;

    note(deck, " %d:%d", mt_op, count);
    return deck->op_rc;
}

static int
get(void *context, struct mtget *out_get)
{
    *out_get = (struct mtget){ .mt_type = MT_ISSCSI2, .mt_gstat = 0x41000000 };
    note(context, " get", 0, 0);
    return 0;
}

static int
pos(void *context, struct mtpos *out_pos)
{
    out_pos->mt_blkno = 77;
    note(context, " pos", 0, 0);
    return 0;
}

static const struct mt_hands hands = {
    .open = open_it,
    .op = op,
    .get = get,
    .pos = pos,
};

/* The words, up to three; the exit code. */
static int
say(struct deck *deck, const char *a, const char *b, const char *c)
{
    char *argv[] = { (char *) a, (char *) b, (char *) c };
    struct mt mt = { .hands = &hands, .context = deck, .device = "st0" };
    int rc, count = 1 + (b != NULL) + (c != NULL);

    deck->seen[0] = '\0';
    rc = mt_words(&mt, count, argv);
    fflush(stdout);
    return rc;
}

static void
words__each_of_the_manual__its_operation(void **state)
{
    static const struct {
        const char *word, *count, *want;
        int mt_op, mt_count;
    } rows[] = {
        { "fsf", "3", "r", MTFSF, 3 },
        { "fsfm", "2", "r", MTFSFM, 2 },
        { "bsf", "3", "r", MTBSF, 3 },
        { "bsfm", NULL, "r", MTBSFM, 1 },
        { "fsr", "9", "r", MTFSR, 9 },
        { "bsr", "9", "r", MTBSR, 9 },
        { "fss", "1", "r", MTFSS, 1 },
        { "bss", "1", "r", MTBSS, 1 },
        { "eod", NULL, "r", MTEOM, 1 },
        { "seod", NULL, "r", MTEOM, 1 },
        { "rewind", NULL, "r", MTREW, 1 },
        { "offline", NULL, "r", MTOFFL, 1 },
        { "rewoffl", NULL, "r", MTOFFL, 1 },
        { "eject", NULL, "r", MTOFFL, 1 },
        { "retension", NULL, "r", MTRETEN, 1 },
        { "weof", "4", "w", MTWEOF, 4 },
        { "eof", NULL, "w", MTWEOF, 1 },
        { "wset", "1", "w", MTWSM, 1 },
        { "erase", NULL, "w", MTERASE, 1 },
        { "seek", "12k", "r", MTSEEK, 12288 },
        { "setpartition", "1", "r", MTSETPART, 1 },
        { "mkpartition", "-5", "w", MTMKPART, -5 },
        { "load", NULL, "n", MTLOAD, 1 },
        { "lock", NULL, "r", MTLOCK, 1 },
        { "unlock", NULL, "r", MTUNLOCK, 1 },
        { "setblk", "0", "n", MTSETBLK, 0 },
        { "setdensity", "0x46", "n", MTSETDENSITY, 0x46 },
        { "drvbuffer", "1", "n", MTSETDRVBUFFER, 1 },
        { "compression", "0", "n", MTCOMPRESSION, 0 },
        { "stoptions", "0x40", "n", MTSETDRVBUFFER, 0x10000040 },
        { "stsetoptions", "sili", "n", MTSETDRVBUFFER, 0x30004000 },
        { "stclearoptions", "sysv", "n", MTSETDRVBUFFER, 0x40001000 },
        { "stwrthreshold", "16", "n", MTSETDRVBUFFER, 0x20000010 },
        { "defblksize", "-1", "n", MTSETDRVBUFFER, 0x5FFFFFFF },
    };
    struct deck deck = { 0 };
    char want[64];

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(say(&deck, rows[i].word, rows[i].count, NULL),
                         MT_DONE);
        snprintf(want, sizeof want, "%s %d:%d", rows[i].want, rows[i].mt_op,
                 rows[i].mt_count);
        assert_string_equal(deck.seen, want);
    }
}

static void
asf__rewinds_and_spaces(void **state)
{
    struct deck deck = { 0 };

    (void) state;
    assert_int_equal(say(&deck, "asf", "3", NULL), MT_DONE);
    assert_string_equal(deck.seen, "r 6:1 1:3");
    assert_int_equal(say(&deck, "asf", "0", NULL), MT_DONE);
    assert_string_equal(deck.seen, "r 6:1");
}

static void
partseek__partition_and_block(void **state)
{
    struct deck deck = { 0 };

    (void) state;
    assert_int_equal(say(&deck, "partseek", "1", "500"), MT_DONE);
    assert_string_equal(deck.seen, "r 33:1 22:500");
}

static void
status_and_tell__ask_only(void **state)
{
    struct deck deck = { 0 };

    (void) state;
    assert_int_equal(say(&deck, "status", NULL, NULL), MT_DONE);
    assert_string_equal(deck.seen, "n get");
    assert_int_equal(say(&deck, "tell", NULL, NULL), MT_DONE);
    assert_string_equal(deck.seen, "r pos");
}

static void
densities__need_no_drive(void **state)
{
    struct deck deck = { .open_rc = -ENXIO };

    (void) state;
    assert_int_equal(say(&deck, "densities", NULL, NULL), MT_DONE);
    assert_string_equal(deck.seen, "");
}

static void
words__unique_beginning__is_enough(void **state)
{
    static const struct {
        const char *part;
        bool unique;
    } rows[] = {
        { "rewi", true },   { "off", true }, { "stat", true }, { "te", true },
        { "fsf", true },    { "er", true },  { "w", false },   { "re", false },
        { "se", false },    { "st", false }, { "", false },    { "Fsf", false },
        { "fsfmx", false }, { "eo", false },
    };
    struct deck deck = { 0 };

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(say(&deck, rows[i].part, NULL, NULL),
                         rows[i].unique ? MT_DONE : MT_WRONG);
}

static void
words__exit_codes_of_the_manual(void **state)
{
    struct deck good = { 0 }, no_drive = { .open_rc = -ENXIO },
                refuses = { .op_rc = -EIO }, lacks = { .op_rc = -ENOSYS };

    (void) state;
    assert_int_equal(say(&good, "nosuch", NULL, NULL), MT_WRONG);
    assert_int_equal(say(&good, "fsf", "1", "2"), MT_WRONG);
    assert_int_equal(say(&good, "fsf", "-1", NULL), MT_WRONG);
    assert_int_equal(say(&no_drive, "fsf", NULL, NULL), MT_WRONG);
    assert_int_equal(say(&refuses, "fsf", NULL, NULL), MT_FAILED);
    assert_string_equal(refuses.seen, "r 1:1 get");
    assert_int_equal(say(&lacks, "fsf", NULL, NULL), MT_FAILED);
    assert_string_equal(lacks.seen, "r 1:1");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words__each_of_the_manual__its_operation),
        cmocka_unit_test(asf__rewinds_and_spaces),
        cmocka_unit_test(partseek__partition_and_block),
        cmocka_unit_test(status_and_tell__ask_only),
        cmocka_unit_test(densities__need_no_drive),
        cmocka_unit_test(words__unique_beginning__is_enough),
        cmocka_unit_test(words__exit_codes_of_the_manual),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
