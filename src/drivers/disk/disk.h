/*
 * disk.h - the disk driver, for whoever loads it
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef DISK_DISK_H
#define DISK_DISK_H

#include <wdm.h>

DRIVER_INITIALIZE disk_driver_entry;

#endif
