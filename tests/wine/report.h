/*
 * report.h - reading the list, printing what became of it
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_WINE_REPORT_H
#define TESTS_WINE_REPORT_H

#include <stdbool.h>

/* Fewer checks than this mean that something was not run. */
#define REPORT_LEAST 350

/* False, with a message: the list cannot be read. */
bool report_read(const char *path);
/* A line for each function, then the closing line; the exit status. */
int report_print(void);

#endif
