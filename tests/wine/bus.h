/*
 * bus.h - the root of the bus driver under test
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_WINE_BUS_H
#define TESTS_WINE_BUS_H

#include <ntifs.h>

/* Its one device is the driver's DeviceObject. */
NTSTATUS NTAPI bus_entry(PDRIVER_OBJECT driver, PUNICODE_STRING registry);

#endif
