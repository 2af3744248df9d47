/*
 * fdo.h - what disk, CD and changer drivers do alike
 *
 * Written against the WDK headers alone, like the drivers themselves.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FDO_FDO_H
#define FDO_FDO_H

#include <classpnp.h>

/* The device name is before, a number, after; the number comes from *count. */
struct fdo_name {
    const char *before, *after;
    ULONG *count;
    const GUID *class_guid;     /* what programs find such devices by */
};

/* What lies first in the extension behind its documented part; DriverData, to
 * begin with, and wherever a driver lets that point later. */
struct fdo_data {
    UNICODE_STRING link;        /* empty: none could be had */
};

/*
 * PASSIVE.  A CLASS_ADD_DEVICE: claims the unit, makes the device object and
 * attaches it.  Whatever lies in the extension behind its documented part
 * becomes DriverData and begins with struct fdo_data.
 */
NTSTATUS fdo_add(PDRIVER_OBJECT driver, PDEVICE_OBJECT pdo,
                 const struct fdo_name *name);
/* PASSIVE.  Of a CLASS_START_DEVICE: programs may find it now. */
NTSTATUS fdo_start(PDEVICE_OBJECT fdo);
/* PASSIVE.  The rest of a CLASS_REMOVE_DEVICE. */
NTSTATUS fdo_remove(PDEVICE_OBJECT fdo, UCHAR type);
/* PASSIVE.  \DosDevices\STEMn for \Device\STEMn: made, or taken away. */
NTSTATUS fdo_dos_name(const char *stem, ULONG number, BOOLEAN make);
/* PASSIVE.  The time limit: from the registry, else this. */
void fdo_set_timeout(PDEVICE_OBJECT fdo, ULONG otherwise_s);
/* <= DISPATCH.  Completes a control code and lets go of the remove lock.
 * Information belongs to success, and to a buffer that holds a part. */
NTSTATUS fdo_complete(PDEVICE_OBJECT fdo, PIRP irp, NTSTATUS status,
                      ULONG_PTR information);

/* Space for Information in the system buffer. */
FORCEINLINE ULONG
fdo_room(PIRP irp)
{
    return IoGetCurrentIrpStackLocation(irp)
        ->Parameters.DeviceIoControl.OutputBufferLength;
}

/* Bytes of input in the system buffer. */
FORCEINLINE ULONG
fdo_given(PIRP irp)
{
    return IoGetCurrentIrpStackLocation(irp)
        ->Parameters.DeviceIoControl.InputBufferLength;
}

#endif
