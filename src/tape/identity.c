/*
 * identity.c - tapes recognised by their first block
 *
 * A row per format; the first that knows the block has it.  Nothing in the
 * block is believed: lengths are checked before they are used.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapes/identity.h"

#include <stdio.h>
#include <string.h>

/* --- words ---------------------------------------------------------------- */

/* Up to a NUL, without spaces at the end; what is no text becomes '?'. */
static void
take_text(char *out_text, size_t max, const uint8_t *data, size_t length)
{
    size_t n = 0;

    while (n < length && n + 1 < max && data[n] != 0) {
        out_text[n] = data[n] < ' ' || data[n] == 0x7f ? '?' : (char) data[n];
        n++;
    }
    while (n > 0 && out_text[n - 1] == ' ')
        n--;
    out_text[n] = '\0';
}

static uint32_t
big32(const uint8_t *at)
{
    return (uint32_t) at[0] << 24 | (uint32_t) at[1] << 16 |
           (uint32_t) at[2] << 8 | at[3];
}

/* --- labels of 80 characters ---------------------------------------------- */

#define VOL1_BYTES 80

/* ANSI X3.27: volume identifier at 4; an LTFS volume says so at 24. */
static bool
is_ltfs(const uint8_t *data, size_t length, char *out_label)
{
    if (length < VOL1_BYTES || memcmp(data, "VOL1", 4) != 0 ||
        memcmp(data + 24, "LTFS", 4) != 0)
        return false;
    take_text(out_label, RI_NAME_MAX, data + 4, 6);
    return true;
}

static bool
is_ansi(const uint8_t *data, size_t length, char *out_label)
{
    if (length < VOL1_BYTES || memcmp(data, "VOL1", 4) != 0)
        return false;
    take_text(out_label, RI_NAME_MAX, data + 4, 6);
    return true;
}

/* A letter or a digit of EBCDIC; else '?'. */
static uint8_t
from_ebcdic(uint8_t c)
{
    unsigned zone = c >> 4, digit = c & 0x0fu;

    if (c == 0x40 || c == 0)
        return ' ';
    if (zone == 0xF && digit <= 9)
        return (uint8_t) ('0' + digit);
    if (zone == 0xC && digit >= 1 && digit <= 9)
        return (uint8_t) ('A' + digit - 1);
    if (zone == 0xD && digit >= 1 && digit <= 9)
        return (uint8_t) ('J' + digit - 1);
    if (zone == 0xE && digit >= 2 && digit <= 9)
        return (uint8_t) ('S' + digit - 2);
    return '?';
}

static bool
is_ibm(const uint8_t *data, size_t length, char *out_label)
{
    uint8_t name[6];

    if (length < VOL1_BYTES || memcmp(data, "\xE5\xD6\xD3\xF1", 4) != 0)
        return false;
    for (int i = 0; i < 6; i++)
        name[i] = from_ebcdic(data[4 + i]);
    take_text(out_label, RI_NAME_MAX, name, sizeof name);
    return true;
}

/* --- Bacula and Bareos ---------------------------------------------------- */

#define BACULA_ID_AT 12u
#define VOLUME_LABEL (-2) /* file index of a volume label, ... */
#define PRE_LABEL    (-1) /* ... and of one nothing was written behind */
#define BACULA_TIMES 32u  /* four times of 8 bytes behind the version */

/*
 * Block header: sum, length, number, "BB01" or "BB02" (and of the latter two
 * words more).  Record header: (of BB01 two words,) file index, stream, length.
 * Label: "Bacula 1.0 immortal\n", version, four times, the volume's name.
 */
static bool
is_bacula(const uint8_t *data, size_t length, char *out_label)
{
    size_t at, skip;
    int32_t index;

    if (length < 64 || (memcmp(data + BACULA_ID_AT, "BB01", 4) != 0 &&
                        memcmp(data + BACULA_ID_AT, "BB02", 4) != 0))
        return false;
    out_label[0] = '\0';
    at = data[BACULA_ID_AT + 3] == '2' ? 24 : 16;
    skip = data[BACULA_ID_AT + 3] == '2' ? 12 : 20;
    index = (int32_t) big32(data + at + skip - 12);
    if (index != VOLUME_LABEL && index != PRE_LABEL)
        return true; /* its block, but no label: a tape in the middle */
    at += skip;
    while (at < length && data[at] != 0)
        at++;
    at += 1 + 4 + BACULA_TIMES;
    if (at < length)
        take_text(out_label, RI_NAME_MAX, data + at, length - at);
    return true;
}

/* --- tar ------------------------------------------------------------------ */

#define TAR_BLOCK    512u
#define TAR_SUM_AT   148u
#define TAR_TYPE_AT  156u
#define TAR_MAGIC_AT 257u

/* POSIX: the sum of all bytes, those of the sum itself taken as spaces. */
static bool
tar_sum_is_right(const uint8_t *data)
{
    uint32_t sum = 0, said = 0;

    for (unsigned i = 0; i < TAR_BLOCK; i++)
        sum += i - TAR_SUM_AT < 8 ? ' ' : data[i];
    for (unsigned i = TAR_SUM_AT; i < TAR_SUM_AT + 8; i++)
        if (data[i] >= '0' && data[i] <= '7')
            said = said * 8 + (data[i] - '0');
        else if (data[i] != ' ')
            break;
    return sum == said;
}

/* Of a POSIX archive the label is a record of its global header. */
static void
pax_label(const uint8_t *data, size_t length, char *out_label)
{
    static const char key[] = " GNU.volume.label=";
    size_t n = sizeof key - 1, end;

    for (size_t at = 0; at + n <= length; at++)
        if (memcmp(data + at, key, n) == 0) {
            for (end = at + n; end < length && data[end] != '\n';)
                end++;
            take_text(out_label, RI_NAME_MAX, data + at + n, end - at - n);
            return;
        }
}

static bool
is_tar(const uint8_t *data, size_t length, char *out_label)
{
    if (length < TAR_BLOCK || memcmp(data + TAR_MAGIC_AT, "ustar", 5) != 0 ||
        !tar_sum_is_right(data))
        return false;
    out_label[0] = '\0';
    if (data[TAR_TYPE_AT] == 'V')
        take_text(out_label, RI_NAME_MAX, data, 100);
    else if (data[TAR_TYPE_AT] == 'g' && length >= 2u * TAR_BLOCK)
        pax_label(data + TAR_BLOCK, TAR_BLOCK, out_label);
    return true;
}

/* --- the table ------------------------------------------------------------ */

static const struct {
    const char *format;
    bool (*is)(const uint8_t *data, size_t length, char *out_label);
} formats[] = {
    { "LTFS", is_ltfs }, /* before ANSI, whose label it has */
    { "ANSI", is_ansi },     { "IBM", is_ibm },
    { "Bacula", is_bacula }, { "tar", is_tar },
};

void
identity_first_block(struct tape_identity *identity, const void *data,
                     size_t length)
{
    const char *format = length != 0 ? "unknown" : "blank";
    char label[RI_NAME_MAX] = "";

    if (length > IDENTITY_BLOCK_MAX)
        length = IDENTITY_BLOCK_MAX;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (formats[i].is(data, length, label)) {
            format = formats[i].format;
            break;
        }
    snprintf(identity->format, sizeof identity->format, "%s", format);
    memcpy(identity->label, label, sizeof label);
    identity->first_bytes = (uint32_t) length;
    identity->first_hash = tape_hash(data, length);
}

void
identity_name(const struct tape_identity *identity, char *out_name)
{
    const char *words[] = { identity->label, identity->barcode,
                            identity->serial };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (words[i][0] != '\0') {
            snprintf(out_name, RI_NAME_MAX, "%s", words[i]);
            return;
        }
    if (identity->first_bytes != 0)
        snprintf(out_name, RI_NAME_MAX, "tape-%016llx",
                 (unsigned long long) identity->first_hash);
    else
        snprintf(out_name, RI_NAME_MAX, "%s", "blank tape");
}

/* --- is it the one? ------------------------------------------------------- */

/* Serial numbers cannot be swapped, bar codes can: those count without them. */
enum identity_match
tape_identity_compare(const struct tape_identity *wanted,
                      const struct tape_identity *found)
{
    bool first = wanted->first_bytes == found->first_bytes &&
                 wanted->first_hash == found->first_hash;
    bool cartridge = false;

    if (wanted->serial[0] != '\0' && found->serial[0] != '\0') {
        if (strcmp(wanted->serial, found->serial) != 0)
            return IDENTITY_OTHER;
        cartridge = true;
    } else if (wanted->barcode[0] != '\0' && found->barcode[0] != '\0') {
        if (strcmp(wanted->barcode, found->barcode) != 0)
            return IDENTITY_OTHER;
        cartridge = true;
    }
    if (first)
        return IDENTITY_SAME;
    return cartridge ? IDENTITY_CHANGED : IDENTITY_OTHER;
}

bool
identity_is_called(const struct tape_identity *identity, const char *word)
{
    char name[RI_NAME_MAX];

    identity_name(identity, name);
    return strcmp(word, name) == 0 ||
           (identity->label[0] != '\0' && strcmp(word, identity->label) == 0) ||
           (identity->serial[0] != '\0' &&
            strcmp(word, identity->serial) == 0) ||
           (identity->barcode[0] != '\0' &&
            strcmp(word, identity->barcode) == 0);
}

/* --- hashes --------------------------------------------------------------- */

static uint64_t
turn(uint64_t value, unsigned by)
{
    return value << by | value >> (64 - by);
}

/* Four lanes, so that the multiplications overlap. */
uint64_t
tape_hash(const void *data, size_t length)
{
    static const uint64_t odd = UINT64_C(0x9E3779B97F4A7C15);
    uint64_t lane[4] = { length, ~(uint64_t) length, odd, ~odd }, word, all = 0;
    const uint8_t *at = data;
    size_t left = length;

    for (; left >= 32; left -= 32)
        for (int i = 0; i < 4; i++, at += 8) {
            memcpy(&word, at, 8);
            lane[i] = turn((lane[i] ^ word) * odd, 29);
        }
    for (int i = 0; left != 0; i = (i + 1) & 3) {
        size_t n = left < 8 ? left : 8;

        word = 0;
        memcpy(&word, at, n);
        lane[i] = turn((lane[i] ^ word) * odd, 29);
        at += n;
        left -= n;
    }
    for (int i = 0; i < 4; i++)
        all = turn(all ^ lane[i], 23) * odd;
    return all ^ all >> 32;
}
