/*
 * mt_main.c - the command line of mt: its options, and which drive is meant
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/mt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What mt-st was built with, and what it calls itself. */
#define DEFAULT_DEVICE "/dev/tape"

static int
usage(bool with_words, int rc)
{
    mt_print_usage(with_words);
    return rc;
}

/* Tapes of other computers, as GNU's mt offers them. */
static bool
is_remote(const char *device)
{
    const char *colon = strchr(device, ':');

    return colon != NULL && memchr(device, '/', colon - device) == NULL;
}

int
mt_main(struct mt *mt, int argc, char **argv)
{
    const char *device = getenv("TAPE");
    int i = 1;

    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "-h") == 0)
            return usage(true, MT_DONE);
        if (strcmp(argv[i], "-v") == 0 || strcmp(argv[i], "--version") == 0) {
            printf("mt-st v. 1.7\ndefault tape device: " DEFAULT_DEVICE "\n");
            return MT_DONE;
        }
        if (strncmp(argv[i], "--rsh", 5) == 0)
            fprintf(stderr, "mt: drives of other computers are not reached: "
                            "run it there\n");
        if ((strcmp(argv[i], "-f") != 0 && strcmp(argv[i], "-t") != 0) ||
            i + 1 == argc)
            return usage(false, MT_WRONG);
        device = argv[++i];
    }
    if (i == argc)
        return usage(false, MT_WRONG);
    mt->device = device != NULL ? device : DEFAULT_DEVICE;
    if (is_remote(mt->device)) {
        fprintf(stderr,
                "%s: drives of other computers are not reached: run mt there\n",
                mt->device);
        return MT_WRONG;
    }
    return mt_words(mt, argc - i, argv + i);
}
