/*
 * choose.h - which of several drivers a unit gets, by its INQUIRY data
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FDO_CHOOSE_H
#define FDO_CHOOSE_H

#include <wdm.h>

struct fdo_choice {
    const char *name;           /* of the driver: \Driver\NAME, its service */
    const char *vendor;         /* as INQUIRY data begin; NULL: any */
    const char *product;
    PDRIVER_INITIALIZE entry;
};

/* PASSIVE.  The first row that fits the unit at a port's physical device
 * object; the last one has to fit all.  NULL: the unit is of another type, or
 * does not say. */
const struct fdo_choice *fdo_choose(PDEVICE_OBJECT pdo, UCHAR type,
                                    const struct fdo_choice *rows);

#endif
