/*
 * tape_set.c - writes and reads the records of tape_set.h
 *
 * What comes from a tape is hostile: every length is checked, every text is
 * cut, and the text has a checksum of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/tape_set.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tapelink/crc32c.h"

#define BLOCK      512
#define TEXT_MAX   2048
#define BEGIN_NAME "reinsert-tape-set"
#define END_NAME   "reinsert-tape-set-end"
#define FIRST_LINE "reinsert tape set 1\n"

/* --- names ------------------------------------------------------------------- */

int
tape_set_new_id(char *out_id)
{
    static const char source[] = "/proc/sys/kernel/random/uuid";
    int fd = open(source, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = read(fd, out_id, TAPE_SET_ID_LEN);
    close(fd);
    out_id[TAPE_SET_ID_LEN] = '\0';
    return n == TAPE_SET_ID_LEN ? 0 : -EIO;
}

void
tape_set_tape_name(const char *label, unsigned part, char *out_name, size_t max)
{
    snprintf(out_name, max, "%s Volume %u", label, part);
}

/* Printable, without blanks at its ends: it has to survive tar and prompts. */
int
tape_set_check_label(const char *label)
{
    size_t len = strlen(label);

    if (len == 0 || len >= TAPE_SET_LABEL_MAX || label[0] == ' ' ||
        label[len - 1] == ' ')
        return -EINVAL;
    for (size_t i = 0; i < len; i++)
        if (!isprint((unsigned char) label[i]))
            return -EINVAL;
    return 0;
}

/* --- tar ---------------------------------------------------------------------- */

/* Fields of a ustar header: offset and length. */
enum {
    AT_NAME = 0,
    NAME_LEN = 100,
    AT_MODE = 100,
    AT_UID = 108,
    AT_GID = 116,
    AT_SIZE = 124,
    AT_TIME = 136,
    AT_SUM = 148,
    AT_TYPE = 156,
    AT_MAGIC = 257,
};

static unsigned
tar_sum(const unsigned char *header)
{
    unsigned sum = 0;

    for (int i = 0; i < BLOCK; i++)
        sum += i >= AT_SUM && i < AT_SUM + 8 ? ' ' : header[i];
    return sum;
}

/* At most 2^33 - 1, in eleven octal digits. */
static void
octal(unsigned char *field, int digits, uint64_t value)
{
    char text[32];

    snprintf(text, sizeof text, "%0*" PRIo64, digits, value);
    memcpy(field, text, (size_t) digits);
}

static void
tar_header(unsigned char *header, const char *name, char type, size_t size,
           int64_t when)
{
    size_t len = strnlen(name, NAME_LEN);

    memcpy(header + AT_NAME, name, len);
    octal(header + AT_MODE, 7, 0644);
    octal(header + AT_UID, 7, 0);
    octal(header + AT_GID, 7, 0);
    octal(header + AT_SIZE, 11, size);
    octal(header + AT_TIME, 11, (uint64_t) when & 077777777777);
    header[AT_TYPE] = (unsigned char) type;
    /* As GNU tar writes volume headers. */
    memcpy(header + AT_MAGIC, "ustar  ", 8);
    octal(header + AT_SUM, 6, tar_sum(header));
    header[AT_SUM + 7] = ' ';
}

/* The size of the file whose header this is, or -1. */
static int64_t
tar_file(const unsigned char *header, const char *name)
{
    char digits[13] = { 0 };

    memcpy(digits, header + AT_SUM, 6);
    if (strtoul(digits, NULL, 8) != tar_sum(header) ||
        strncmp((const char *) header, name, NAME_LEN) != 0)
        return -1;
    memcpy(digits, header + AT_SIZE, 12);
    return (int64_t) strtoull(digits, NULL, 8);
}

/* --- writing ------------------------------------------------------------------- */

static int
add_sum(char *text, int at, const char *what, const struct tape_set_sum *sum)
{
    return at + snprintf(text + at, (size_t) (TEXT_MAX - at),
                         "%s-bytes: %" PRIu64 "\n%s-records: %" PRIu64
                         "\n%s-crc32c: %08" PRIx32 "\n",
                         what, sum->bytes, what, sum->records, what, sum->crc);
}

static int
make_text(const struct tape_set_mark *mark, char *text)
{
    time_t when = (time_t) mark->time;
    struct tm utc;
    char date[64] = "";
    int at;

    if (gmtime_r(&when, &utc) != NULL)
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    at =
        snprintf(text, TEXT_MAX,
                 FIRST_LINE "label: %s\nset: %s\npart: %u\nblock-size: %" PRIu64
                            "\npadded: %s\ntime: %" PRId64 "\ndate: %s\n",
                 mark->label, mark->set, mark->part, mark->block_size,
                 mark->padded ? "yes" : "no", mark->time, date);
    if (mark->end)
        at = add_sum(text, at, "part", &mark->part_sum);
    else
        at = add_sum(text, at, "previous", &mark->before);
    at = add_sum(text, at, "total", &mark->total);
    if (mark->end)
        at += snprintf(text + at, (size_t) (TEXT_MAX - at),
                       "last: %s\ncomplete: %s\n", mark->last ? "yes" : "no",
                       mark->complete ? "yes" : "no");
    at += snprintf(text + at, (size_t) (TEXT_MAX - at),
                   "check: %08" PRIx32 "\n", crc32c(0, text, (size_t) at));
    return at;
}

int
tape_set_build(const struct tape_set_mark *mark, size_t multiple,
               void **out_record, size_t *out_len)
{
    char text[TEXT_MAX], name[NAME_LEN];
    int text_len = make_text(mark, text);
    size_t len = TAPE_SET_RECORD;
    unsigned char *record, *p;

    if (multiple > 1)
        len = (len + multiple - 1) / multiple * multiple;
    p = record = calloc(1, len);
    if (record == NULL)
        return -ENOMEM;
    if (!mark->end) {
        tape_set_tape_name(mark->label, mark->part, name, sizeof name);
        tar_header(p, name, 'V', 0, mark->time);
        p += BLOCK;
    }
    tar_header(p, mark->end ? END_NAME : BEGIN_NAME, '0', (size_t) text_len,
               mark->time);
    memcpy(p + BLOCK, text, (size_t) text_len);
    *out_record = record;
    *out_len = len;
    return 0;
}

/* --- reading -------------------------------------------------------------------- */

/* The value behind "key: " at the beginning of a line, cut to max; or false. */
static bool
value_of(const char *text, const char *key, char *out, size_t max)
{
    size_t len = strlen(key);

    for (const char *line = text; line != NULL && *line != '\0';
         line = strchr(line, '\n'), line += line != NULL) {
        if (strncmp(line, key, len) != 0 || strncmp(line + len, ": ", 2) != 0)
            continue;
        line += len + 2;
        len = strcspn(line, "\n");
        if (len >= max)
            return false;
        memcpy(out, line, len);
        out[len] = '\0';
        return true;
    }
    return false;
}

static uint64_t
number_of(const char *text, const char *before, const char *key, int base,
          bool *good)
{
    char name[40], value[32], *end;
    uint64_t number;

    snprintf(name, sizeof name, "%s%s", before, key);
    if (!value_of(text, name, value, sizeof value)) {
        *good = false;
        return 0;
    }
    number = strtoull(value, &end, base);
    if (end == value || *end != '\0')
        *good = false;
    return number;
}

static void
sum_of(const char *text, const char *before, struct tape_set_sum *out_sum,
       bool *good)
{
    out_sum->bytes = number_of(text, before, "-bytes", 10, good);
    out_sum->records = number_of(text, before, "-records", 10, good);
    out_sum->crc = (uint32_t) number_of(text, before, "-crc32c", 16, good);
}

static bool
yes_of(const char *text, const char *key, bool *good)
{
    char value[8];

    if (!value_of(text, key, value, sizeof value))
        *good = false;
    else
        return strcmp(value, "yes") == 0;
    return false;
}

/* The last line holds the checksum of all before it. */
static bool
is_whole(const char *text)
{
    const char *check = strstr(text, "\ncheck: ");
    bool good = true;
    uint64_t want = number_of(text, "", "check", 16, &good);

    return good && check != NULL &&
           crc32c(0, text, (size_t) (check + 1 - text)) == want;
}

static int
parse_text(const char *text, struct tape_set_mark *out_mark)
{
    struct tape_set_mark mark = { .end = out_mark->end };
    bool good = true;

    if (strncmp(text, FIRST_LINE, strlen(FIRST_LINE)) != 0 || !is_whole(text))
        return -EBADMSG;
    mark.part = (unsigned) number_of(text, "", "part", 10, &good);
    mark.block_size = number_of(text, "", "block-size", 10, &good);
    mark.time = (int64_t) number_of(text, "", "time", 10, &good);
    mark.padded = yes_of(text, "padded", &good);
    sum_of(text, "total", &mark.total, &good);
    if (mark.end) {
        sum_of(text, "part", &mark.part_sum, &good);
        mark.last = yes_of(text, "last", &good);
        mark.complete = yes_of(text, "complete", &good);
    } else {
        sum_of(text, "previous", &mark.before, &good);
    }
    if (!good || mark.part == 0 ||
        !value_of(text, "label", mark.label, sizeof mark.label) ||
        !value_of(text, "set", mark.set, sizeof mark.set) ||
        tape_set_check_label(mark.label) != 0)
        return -EBADMSG;
    *out_mark = mark;
    return 0;
}

int
tape_set_parse(const void *record, size_t len, struct tape_set_mark *out_mark)
{
    const unsigned char *p = record;
    char text[TEXT_MAX + 1];
    int64_t size;
    bool end = true;

    if (len < 2 * BLOCK)
        return -ENOENT;
    size = tar_file(p, END_NAME);
    if (size < 0 && p[AT_TYPE] == 'V') {
        end = false;
        p += BLOCK;
        len -= BLOCK;
        size = tar_file(p, BEGIN_NAME);
    }
    if (size < 0)
        return -ENOENT;
    if (size > TEXT_MAX || (size_t) size > len - BLOCK)
        return -EBADMSG;
    memcpy(text, p + BLOCK, (size_t) size);
    text[size] = '\0';
    out_mark->end = end;
    return parse_text(text, out_mark);
}
