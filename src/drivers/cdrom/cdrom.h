/*
 * cdrom.h - the CD and DVD driver, for whoever loads it
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CDROM_CDROM_H
#define CDROM_CDROM_H

#include <wdm.h>

DRIVER_INITIALIZE cdrom_driver_entry;

#endif
