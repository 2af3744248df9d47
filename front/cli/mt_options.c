/*
 * mt_options.c - the words of mt's stoptions, stsetoptions, stclearoptions
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/mt.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bits of st(4); names and their order are those of mt-st. */
static const struct {
    const char *name;
    unsigned long bit;
    const char *text;
} properties[] = {
    { "buffer-writes", 0x1, "buffered writes" },
    { "async-writes", 0x2, "asynchronous writes" },
    { "read-ahead", 0x4, "read-ahead for fixed block size" },
    { "debug", 0x8, "debugging (if compiled into driver)" },
    { "two-fms", 0x10, "write two filemarks when file closed" },
    { "fast-eod", 0x20, "space directly to eod (and lose file number)" },
    { "auto-lock", 0x40, "automatically lock/unlock drive door" },
    { "def-writes", 0x80, "the block size and density are for writes" },
    { "can-bsr", 0x100, "drive can space backwards well" },
    { "no-blklimits", 0x200, "drive doesn't support read block limits" },
    { "can-partitions", 0x400, "drive can handle partitioned tapes" },
    { "scsi2logical", 0x800, "logical block addresses used with SCSI-2" },
    { "no-wait", 0x2000, "immediate mode for rewind, etc." },
    { "sysv", 0x1000, "enable the SystemV semantics" },
    { "sili", 0x4000, "enable SILI for variable block mode" },
    { "cleaning", 0x80000000, "set the cleaning bit location and mask" },
};

#define PROPERTY_COUNT (sizeof properties / sizeof properties[0])

static int
find(const char *word)
{
    size_t len = strlen(word);
    int found = -1;

    for (size_t i = 0; i < PROPERTY_COUNT; i++) {
        if (strncmp(word, properties[i].name, len) != 0)
            continue;
        if (found >= 0)
            return -2;
        found = (int) i;
    }
    return found;
}

static void
say_unknown(const char *word)
{
    fprintf(stderr,
            "Illegal property name '%s'.\n"
            "The implemented property names are:\n",
            word);
    for (size_t i = 0; i < PROPERTY_COUNT; i++)
        fprintf(stderr, "  %9s -> %s\n", properties[i].name,
                properties[i].text);
}

long
mt_options(int count, char **words)
{
    unsigned long bits = 0;

    /* A number stands alone: mt reads no word behind it. */
    if (count > 0 && isdigit((unsigned char) words[0][0]))
        return (long) (strtoul(words[0], NULL, 0) & 0x0FFFFFFF);
    for (int i = 0; i < count; i++) {
        int found = find(words[i]);

        if (found == -2)
            fprintf(stderr, "Property name '%s' ambiguous.\n", words[i]);
        else if (found < 0)
            say_unknown(words[i]);
        if (found < 0)
            return -1;
        bits |= properties[found].bit;
    }
    return (long) bits;
}
