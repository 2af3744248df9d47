/*
 * filter.h - what the counting filter answers
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FILTER_H
#define FILTER_H

#include <wdm.h>

/* Out: struct filter_counts. */
#define IOCTL_FILTER_COUNTS                                                   \
    CTL_CODE(FILE_DEVICE_UNKNOWN, 0x801, METHOD_BUFFERED, FILE_ANY_ACCESS)

struct filter_counts {
    LONG reads, writes, failed;
};

DRIVER_INITIALIZE filter_entry;

#endif
