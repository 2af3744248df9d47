/*
 * run_pnp.h - the device controls that the bus driver of the tests knows
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_WINE_RUN_PNP_H
#define TESTS_WINE_RUN_PNP_H

#include <ntifs.h>

struct wine_pnp_codes {
    /* to the bus; those of children take an int, the child's number */
    ULONG register_interface, enable_interface, disable_interface;
    ULONG add_child, remove_child;
    /* to a child */
    ULONG child_id, child_pending, child_removed;
};

extern const struct wine_pnp_codes wine_pnp_codes;

#endif
