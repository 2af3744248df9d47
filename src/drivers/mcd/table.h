/*
 * table.h - the miniclass drivers for changers, for whoever loads them
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MCD_TABLE_H
#define MCD_TABLE_H

#include <wdm.h>

struct mcd_driver {
    const char *name;           /* of the driver: \Driver\NAME, its service */
    const char *vendor;         /* as INQUIRY data begin; NULL: any */
    const char *product;
    PDRIVER_INITIALIZE entry;
};

/* The last row fits every changer. */
extern const struct mcd_driver mcd_drivers[];
extern const size_t mcd_driver_count;

/* PASSIVE.  The driver for the changer at a port's physical device object:
 * the first row that fits its INQUIRY data.  NULL: it is no changer, or does
 * not say. */
const struct mcd_driver *mcd_driver_for(PDEVICE_OBJECT pdo);

DRIVER_INITIALIZE mcd_smc_entry, mcd_reinsert_entry;

#endif
