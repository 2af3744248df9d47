/*
 * mt_words.c - the words of mt: which there are, and what each does
 *
 * Written from mt-st's manual page and from what it says and does; messages,
 * the order of checks, and exit codes are its own, because programs read them.
 * One message differs: "write-protected" is said only of a tape that is.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/mt.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

/* Numbers of st(4) for MTSETDRVBUFFER; <sys/mtio.h> lacks them. */
#define ST_OPTIONS         0x10000000L
#define ST_WRITE_THRESHOLD 0x20000000L
#define ST_SET_OPTIONS     0x30000000L
#define ST_CLEAR_OPTIONS   0x40000000L
#define ST_DEF_BLKSIZE     0x50000000L
#define ST_DEF_DENSITY     0x60100000L
#define ST_DEF_COMPRESSION 0x60200000L
#define ST_DEF_DRVBUFFER   0x60300000L
#define ST_TIMEOUT         0x70000000L
#define ST_LONG_TIMEOUT    0x70100000L
#define ST_SET_CLEANING    0x80000000L

#define MANY               1000

/* What is looked at after a failure. */
enum { SEE_ONLINE = 1, SEE_PROTECTED = 2 };

struct word;
/* An enum mt_exit; -errno of what failed goes to *out_error. */
typedef int word_fn(const struct mt *mt, const struct word *word, int argc,
                    char **argv, int *out_error);

struct word {
    const char *name;
    word_fn *fn;
    enum mt_open open;
    int args_max;
    unsigned see;
    int mt_op;
    long base, mask; /* of words that set a number of the drive */
};

static int
do_op(const struct mt *mt, int mt_op, int count, int *out_error)
{
    *out_error = mt->hands->op(mt->context, mt_op, count);
    return *out_error == 0 ? MT_DONE : MT_FAILED;
}

/* --- the words --------------------------------------------------------------- */

/* A count with k, M or G behind it. */
static int
count_of(const char *text, int *out_count)
{
    char *end;
    int count = (int) strtol(text, &end, 0);
    int unit;

    *out_count = count;
    if (end == text || *end == '\0')
        return MT_DONE;
    unit = *end == 'k'   ? 1 << 10
           : *end == 'M' ? 1 << 20
           : *end == 'G' ? 1 << 30
                         : 0;
    if (unit == 0) {
        fprintf(stderr, "mt: illegal count unit.\n");
        return MT_UNITS;
    }
    if (count > INT_MAX / unit) {
        fprintf(stderr, "mt: repeat count too large.\n");
        return MT_UNITS;
    }
    *out_count = (int) ((unsigned) count * (unsigned) unit);
    return MT_DONE;
}

static int
counted(const struct mt *mt, const struct word *word, int argc, char **argv,
        int *out_error)
{
    int count = 1;
    int rc = argc > 0 ? count_of(argv[0], &count) : MT_DONE;

    if (rc != MT_DONE)
        return rc;
    if (count < 0 && word->mt_op != MTMKPART) {
        fprintf(stderr, "mt: negative repeat count\n");
        return MT_WRONG;
    }
    return do_op(mt, word->mt_op, count, out_error);
}

static int
plain(const struct mt *mt, const struct word *word, int argc, char **argv,
      int *out_error)
{
    return do_op(mt, word->mt_op, 1, out_error);
}

static int
number(const struct mt *mt, const struct word *word, int argc, char **argv,
       int *out_error)
{
    long value = argc > 0 ? strtol(argv[0], NULL, 0) : 1;

    return do_op(mt, MTSETDRVBUFFER, (int) (word->base | (value & word->mask)),
                 out_error);
}

static int
options(const struct mt *mt, const struct word *word, int argc, char **argv,
        int *out_error)
{
    long bits = mt_options(argc, argv);

    if (bits < 0)
        return MT_WRONG;
    return do_op(mt, MTSETDRVBUFFER, (int) (word->base | bits), out_error);
}

static int
show_options(const struct mt *mt, const struct word *word, int argc,
             char **argv, int *out_error)
{
    /* mt reads them from the kernel's driver, which has none of ours. */
    fprintf(stderr, "mt: not a character device.\n");
    return MT_WRONG;
}

static int
status(const struct mt *mt, const struct word *word, int argc, char **argv,
       int *out_error)
{
    struct mtget get;

    *out_error = mt->hands->get(mt->context, &get);
    if (*out_error != 0)
        return MT_FAILED;
    if (mt->json)
        mt_print_status_json(&get, mt->hands->sense != NULL
                                       ? mt->hands->sense(mt->context)
                                       : "");
    else
        mt_print_status(&get);
    return MT_DONE;
}

static int
tell(const struct mt *mt, const struct word *word, int argc, char **argv,
     int *out_error)
{
    struct mtpos pos;

    *out_error = mt->hands->pos(mt->context, &pos);
    if (*out_error != 0)
        return MT_FAILED;
    if (mt->json)
        printf("{\n  \"block\": %ld\n}\n", pos.mt_blkno);
    else
        printf("At block %ld.\n", pos.mt_blkno);
    return MT_DONE;
}

static int
partition_and_block(const struct mt *mt, const struct word *word, int argc,
                    char **argv, int *out_error)
{
    int partition = argc > 0 ? (int) strtol(argv[0], NULL, 0) : 0;
    int block = argc > 1 ? (int) strtol(argv[1], NULL, 0) : 0;
    int rc = do_op(mt, MTSETPART, partition, out_error);

    return rc == MT_DONE ? do_op(mt, MTSEEK, block, out_error) : rc;
}

static int
file_from_the_beginning(const struct mt *mt, const struct word *word, int argc,
                        char **argv, int *out_error)
{
    int count = argc > 0 ? (int) strtol(argv[0], NULL, 0) : 0;
    int rc = do_op(mt, MTREW, 1, out_error);

    return rc == MT_DONE && count > 0 ? do_op(mt, MTFSF, count, out_error) : rc;
}

static int
list_densities(const struct mt *mt, const struct word *word, int argc,
               char **argv, int *out_error)
{
    mt_print_densities();
    return MT_DONE;
}

#define LOW28 0x0FFFFFFFL

/* In mt's order, which its usage prints. */
static const struct word words[] = {
    { "weof", counted, MT_WRITING, 1, SEE_ONLINE | SEE_PROTECTED, MTWEOF },
    { "wset", counted, MT_WRITING, 1, SEE_ONLINE | SEE_PROTECTED, MTWSM },
    { "eof", counted, MT_WRITING, 1, SEE_ONLINE, MTWEOF },
    { "fsf", counted, MT_READING, 1, SEE_ONLINE, MTFSF },
    { "fsfm", counted, MT_READING, 1, SEE_ONLINE, MTFSFM },
    { "bsf", counted, MT_READING, 1, SEE_ONLINE, MTBSF },
    { "bsfm", counted, MT_READING, 1, SEE_ONLINE, MTBSFM },
    { "fsr", counted, MT_READING, 1, SEE_ONLINE, MTFSR },
    { "bsr", counted, MT_READING, 1, SEE_ONLINE, MTBSR },
    { "fss", counted, MT_READING, 1, SEE_ONLINE, MTFSS },
    { "bss", counted, MT_READING, 1, SEE_ONLINE, MTBSS },
    { "rewind", plain, MT_READING, 0, SEE_ONLINE, MTREW },
    { "offline", plain, MT_READING, 0, SEE_ONLINE, MTOFFL },
    { "rewoffl", plain, MT_READING, 0, SEE_ONLINE, MTOFFL },
    { "eject", plain, MT_READING, 0, SEE_ONLINE, MTOFFL },
    { "retension", plain, MT_READING, 0, SEE_ONLINE, MTRETEN },
    { "eod", plain, MT_READING, 0, SEE_ONLINE, MTEOM },
    { "seod", plain, MT_READING, 0, SEE_ONLINE, MTEOM },
    { "seek", counted, MT_READING, 1, SEE_ONLINE, MTSEEK },
    { "tell", tell, MT_READING, 0, SEE_ONLINE, 0 },
    { "status", status, MT_NO_TAPE, 0, 0, 0 },
    { "erase", counted, MT_WRITING, 1, SEE_ONLINE, MTERASE },
    { "setblk", counted, MT_NO_TAPE, 1, 0, MTSETBLK },
    { "lock", plain, MT_READING, 0, SEE_ONLINE, MTLOCK },
    { "unlock", plain, MT_READING, 0, SEE_ONLINE, MTUNLOCK },
    { "load", counted, MT_NO_TAPE, 1, 0, MTLOAD },
    { "compression", counted, MT_NO_TAPE, 1, 0, MTCOMPRESSION },
    { "setdensity", counted, MT_NO_TAPE, 1, 0, MTSETDENSITY },
    { "drvbuffer", number, MT_NO_TAPE, 1, 0, 0, 0, LOW28 },
    { "stwrthreshold", number, MT_NO_TAPE, 1, 0, 0, ST_WRITE_THRESHOLD, LOW28 },
    { "stoptions", options, MT_NO_TAPE, MANY, 0, 0, ST_OPTIONS },
    { "stsetoptions", options, MT_NO_TAPE, MANY, 0, 0, ST_SET_OPTIONS },
    { "stclearoptions", options, MT_NO_TAPE, MANY, 0, 0, ST_CLEAR_OPTIONS },
    { "defblksize", number, MT_NO_TAPE, 1, 0, 0, ST_DEF_BLKSIZE, LOW28 },
    { "defdensity", number, MT_NO_TAPE, 1, 0, 0, ST_DEF_DENSITY, 0xFFFFF },
    { "defdrvbuffer", number, MT_NO_TAPE, 1, 0, 0, ST_DEF_DRVBUFFER, 0xFFFFF },
    { "defcompression", number, MT_NO_TAPE, 1, 0, 0, ST_DEF_COMPRESSION,
      0xFFFFF },
    { "stsetcln", number, MT_NO_TAPE, 1, 0, 0, ST_SET_CLEANING, LOW28 },
    { "sttimeout", number, MT_NO_TAPE, 1, 0, 0, ST_TIMEOUT, 0x7FFFFFF },
    { "stlongtimeout", number, MT_NO_TAPE, 1, 0, 0, ST_LONG_TIMEOUT,
      0x7FFFFFF },
    { "densities", list_densities, MT_NOT_AT_ALL, 0, 0, 0 },
    { "setpartition", counted, MT_READING, 1, SEE_ONLINE, MTSETPART },
    { "mkpartition", counted, MT_WRITING, 1, SEE_ONLINE, MTMKPART },
    { "partseek", partition_and_block, MT_READING, 2, SEE_ONLINE, 0 },
    { "asf", file_from_the_beginning, MT_READING, 1, SEE_ONLINE, 0 },
    { "stshowoptions", show_options, MT_NO_TAPE, 1, 0, 0 },
};

#define WORD_COUNT (sizeof words / sizeof words[0])

/* --- which word is meant ------------------------------------------------------ */

void
mt_print_usage(bool with_words)
{
    int column = 0;

    fprintf(stderr, "usage: mt [-v] [--version] [-h] [ -f device ] command "
                    "[ count ]\ndefault tape device: /dev/tape\n");
    if (!with_words)
        return;
    column = fprintf(stderr, "commands: ");
    for (size_t i = 0; i < WORD_COUNT; i++) {
        bool last = i + 1 == WORD_COUNT;

        column += fprintf(stderr, "%s%s", words[i].name, last ? "." : ", ");
        if (last || column >= 70) {
            fprintf(stderr, "\n%s", last ? "" : "          ");
            column = 10;
        }
    }
}

/* NULL: none, or several, which *out_several says. */
static const struct word *
find(const char *name, bool *out_several)
{
    const struct word *found = NULL;
    size_t len = strlen(name);

    *out_several = false;
    for (size_t i = 0; i < WORD_COUNT; i++) {
        if (strcmp(name, words[i].name) == 0) {
            *out_several = false;
            return &words[i];
        }
        if (strncmp(name, words[i].name, len) == 0) {
            *out_several = found != NULL;
            found = &words[i];
        }
    }
    return *out_several ? NULL : found;
}

bool
mt_knows(const char *name)
{
    bool several;

    return name[0] != '\0' && (find(name, &several) != NULL || several);
}

/* --- one word ------------------------------------------------------------------ */

static void
say_errno(const struct mt *mt, int error)
{
    const char *why = mt->hands->why != NULL ? mt->hands->why(mt->context) : "";

    fprintf(stderr, "%s%s%s\n", mt->device, mt->device[0] != '\0' ? ": " : "",
            strerror(-error));
    if (why[0] != '\0')
        fprintf(stderr, "reinsert: %s\n", why);
}

/* What the drive says of itself after a failure. */
static void
look(const struct mt *mt, unsigned see)
{
    struct mtget get;

    if (see == 0 || mt->hands->get(mt->context, &get) != 0)
        return;
    if ((see & SEE_ONLINE) && !GMT_ONLINE(get.mt_gstat))
        fprintf(stderr,
                "mt: The device is offline (not powered on, no tape ?).\n");
    if ((see & SEE_PROTECTED) && GMT_WR_PROT(get.mt_gstat))
        fprintf(stderr, "mt: The tape is write-protected.\n");
}

int
mt_words(const struct mt *mt, int argc, char **argv)
{
    bool several;
    const struct word *word = find(argv[0], &several);
    int error = 0, rc;

    if (word == NULL) {
        fprintf(stderr, "mt: %s command \"%s\"\n",
                several ? "ambiguous" : "unknown", argv[0]);
        mt_print_usage(true);
        return MT_WRONG;
    }
    if (argc - 1 > word->args_max) {
        fprintf(stderr, "mt: too many arguments for the command '%s'.\n",
                word->name);
        return MT_WRONG;
    }
    if (word->open != MT_NOT_AT_ALL) {
        error = mt->hands->open(mt->context, mt->device, word->open);
        if (error != 0) {
            say_errno(mt, error);
            return MT_WRONG;
        }
    }
    rc = word->fn(mt, word, argc - 1, argv + 1, &error);
    if (error != 0)
        say_errno(mt, error);
    if (error == -ENOSYS)
        fprintf(stderr, "mt: Command not supported by this kernel.\n");
    else if (rc != MT_DONE)
        look(mt, word->see);
    return rc;
}
