/*
 * table.h - the minitape drivers, for whoever loads them
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MINITAPE_TABLE_H
#define MINITAPE_TABLE_H

#include "fdo/choose.h"

/* The last row fits every tape drive. */
extern const struct fdo_choice minitape_drivers[];
extern const size_t minitape_driver_count;

/* PASSIVE.  The driver for the tape drive at a port's physical device object:
 * the first row that fits its INQUIRY data.  NULL: it is none, or does not
 * say. */
const struct fdo_choice *minitape_driver_for(PDEVICE_OBJECT pdo);

DRIVER_INITIALIZE minitape_ssc_entry, minitape_reinsert_entry;

#endif
