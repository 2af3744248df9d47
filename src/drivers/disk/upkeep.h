/*
 * upkeep.h - the drive's cache, and blocks that went bad
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef DISK_UPKEEP_H
#define DISK_UPKEEP_H

#include <classpnp.h>

/* PASSIVE.  Each completes the IRP. */
NTSTATUS disk_get_cache(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS disk_set_cache(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS disk_reassign_blocks(PDEVICE_OBJECT fdo, PIRP irp);

#endif
