/*
 * drive.h - the driver of a drive C:
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_WINE_DRIVE_H
#define TESTS_WINE_DRIVE_H

#include <ntifs.h>

NTSTATUS NTAPI drive_entry(PDRIVER_OBJECT driver, PUNICODE_STRING registry);

#endif
