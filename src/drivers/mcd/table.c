/*
 * table.c - which miniclass driver a changer gets: a row each
 *
 * SPDX-License-Identifier: MIT
 */
#include "mcd/table.h"

#include <classpnp.h>

const struct fdo_choice mcd_drivers[] = {
    { "reinsert", "REINSERT", "VENDOR", mcd_reinsert_entry },
    { "smc", NULL, NULL, mcd_smc_entry },
};
const size_t mcd_driver_count = RTL_NUMBER_OF(mcd_drivers);

const struct fdo_choice *
mcd_driver_for(PDEVICE_OBJECT pdo)
{
    return fdo_choose(pdo, MEDIUM_CHANGER, mcd_drivers);
}
