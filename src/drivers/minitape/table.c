/*
 * table.c - which minitape driver a tape drive gets: a row each
 *
 * SPDX-License-Identifier: MIT
 */
#include "minitape/table.h"

#include <classpnp.h>

const struct fdo_choice minitape_drivers[] = {
    { "tape-reinsert", "REINSERT", "VENDOR TAPE", minitape_reinsert_entry },
    { "tape-ssc", NULL, NULL, minitape_ssc_entry },
};
const size_t minitape_driver_count = RTL_NUMBER_OF(minitape_drivers);

const struct fdo_choice *
minitape_driver_for(PDEVICE_OBJECT pdo)
{
    return fdo_choose(pdo, SEQUENTIAL_ACCESS_DEVICE, minitape_drivers);
}
