/*
 * floppy.h - geometry and media types of disks; the formatting of floppies
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef DISK_FLOPPY_H
#define DISK_FLOPPY_H

#include <classpnp.h>

/* PASSIVE.  Each completes the IRP. */
NTSTATUS floppy_geometry(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS floppy_media_types(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS floppy_media_types_ex(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS floppy_format_tracks(PDEVICE_OBJECT fdo, PIRP irp);

FORCEINLINE BOOLEAN
is_floppy_device(PDEVICE_OBJECT fdo)
{
    return (fdo->Characteristics & FILE_FLOPPY_DISKETTE) != 0;
}

#endif
