/*
 * sense_text.c - the ways in which people write down sense data
 *
 * Pure: words in, bytes out.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char separators[] = " \t\n,;:-[](){}";

static int
digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char) tolower((unsigned char) c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One or two hex digits, perhaps after 0x; NULL when there are none. */
static const char *
parse_byte(const char *text, unsigned *out_value)
{
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        text += 2;
    if (digit(*text) < 0)
        return NULL;
    *out_value = (unsigned) digit(*text++);
    if (digit(*text) >= 0)
        *out_value = *out_value * 16 + (unsigned) digit(*text++);
    return text;
}

/* K/ASC[/ASCQ], as fixed format sense of 18 bytes. */
static bool
parse_triple(const char *word, uint8_t *out_sense, size_t *out_len)
{
    unsigned values[3] = { 0 };
    size_t n = 0;

    while (n < 3) {
        word = parse_byte(word, &values[n++]);
        if (word == NULL || *word != '/')
            break;
        word++;
    }
    if (word == NULL || *word != '\0' || n < 2 || values[0] > 0xF)
        return false;
    memset(out_sense, 0, 18);
    out_sense[0] = 0x70;
    out_sense[2] = (uint8_t) values[0];
    out_sense[7] = 18 - 8;
    out_sense[12] = (uint8_t) values[1];
    out_sense[13] = (uint8_t) values[2];
    *out_len = 18;
    return true;
}

/* Several words may hang together, as in 700002 or 70,00,02. */
static bool
parse_word(const char *word, uint8_t *sense, size_t *len, char *out_why,
           size_t why_max)
{
    unsigned value;
    const char *at = word, *end;
    const char *run = word; /* where this run of digits began */

    while (*at != '\0') {
        if (strchr(separators, *at) != NULL) {
            run = ++at;
            continue;
        }
        end = parse_byte(at, &value);
        if (end == NULL) {
            snprintf(out_why, why_max, "\"%.64s\" is not hexadecimal", word);
            return false;
        }
        /* A lone digit is a byte by itself, not the end of a longer run. */
        if (end - at == 1 && at != run) {
            snprintf(out_why, why_max, "\"%.64s\" has an odd number of digits",
                     word);
            return false;
        }
        if (*len == SENSE_MAX) {
            snprintf(out_why, why_max, "more than %d bytes", SENSE_MAX);
            return false;
        }
        sense[(*len)++] = (uint8_t) value;
        at = end;
    }
    return true;
}

bool
sense_parse(char *const *words, int count, uint8_t *out_sense, size_t *out_len,
            char *out_why, size_t why_max)
{
    *out_len = 0;
    if (count == 1 && strchr(words[0], '/') != NULL) {
        if (parse_triple(words[0], out_sense, out_len))
            return true;
        snprintf(out_why, why_max,
                 "\"%.64s\" is not KEY/ASC/ASCQ, as in 2/3A/00", words[0]);
        return false;
    }
    for (int i = 0; i < count; i++)
        if (!parse_word(words[i], out_sense, out_len, out_why, why_max))
            return false;
    if (*out_len == 0)
        snprintf(out_why, why_max, "no bytes are given");
    return *out_len > 0;
}
