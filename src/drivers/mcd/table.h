/*
 * table.h - the miniclass drivers for changers, for whoever loads them
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MCD_TABLE_H
#define MCD_TABLE_H

#include "fdo/choose.h"

/* The last row fits every changer. */
extern const struct fdo_choice mcd_drivers[];
extern const size_t mcd_driver_count;

/* PASSIVE.  The driver for the changer at a port's physical device object:
 * the first row that fits its INQUIRY data.  NULL: it is no changer, or does
 * not say. */
const struct fdo_choice *mcd_driver_for(PDEVICE_OBJECT pdo);

DRIVER_INITIALIZE mcd_smc_entry, mcd_reinsert_entry;

#endif
