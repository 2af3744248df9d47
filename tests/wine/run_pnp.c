/*
 * run_pnp.c - driver_pnp.c of Wine's kernel tests: a bus driver with children
 *
 * SPDX-License-Identifier: MIT
 */
#include "run_pnp.h"

#include "wine_host.h"

/* Under a name of its own: there are several drivers in the program. */
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver,
                           PUNICODE_STRING registry) __asm__("wine_pnp_entry");

#include "driver_pnp.c"

const struct wine_pnp_codes wine_pnp_codes = {
    .register_interface = IOCTL_WINETEST_BUS_REGISTER_IFACE,
    .enable_interface = IOCTL_WINETEST_BUS_ENABLE_IFACE,
    .disable_interface = IOCTL_WINETEST_BUS_DISABLE_IFACE,
    .add_child = IOCTL_WINETEST_BUS_ADD_CHILD,
    .remove_child = IOCTL_WINETEST_BUS_REMOVE_CHILD,
    .child_id = IOCTL_WINETEST_CHILD_GET_ID,
    .child_pending = IOCTL_WINETEST_CHILD_MARK_PENDING,
    .child_removed = IOCTL_WINETEST_CHILD_CHECK_REMOVED,
};
