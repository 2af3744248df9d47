/*
 * exports.h - the table that table.py writes
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef EXPORTS_EXPORTS_H
#define EXPORTS_EXPORTS_H

#include <stdbool.h>
#include <stddef.h>

struct export {
    const char *name;
    const void *address;
    bool pointer;               /* a variable that points to what is exported */
};

/* Sorted by name, as strcmp does. */
extern const struct export exports_table[];
extern const size_t exports_count;

#endif
