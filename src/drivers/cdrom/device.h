/*
 * device.h - what the driver keeps of a drive, for its own files
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CDROM_DEVICE_H
#define CDROM_DEVICE_H

#include <classpnp.h>
#include <ntddcdrm.h>

#include "fdo/fdo.h"

/* DriverData. */
struct cdrom_data {
    struct fdo_data fdo;        /* first */

    KSPIN_LOCK lock;            /* owner and caller change together */
    PFILE_OBJECT owner;         /* atomic: whoever locked the drive, or NULL */
    UCHAR caller[CDROM_EXCLUSIVE_CALLER_LENGTH];

    PIO_WORKITEM tell;
    LONG telling;               /* atomic: it is queued */

    PIO_WORKITEM restore;
    LONG restore_due;           /* atomic: the default speed, at a change */
};

FORCEINLINE struct cdrom_data *
cdrom_data_of(PDEVICE_OBJECT fdo)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;

    return ext->CommonExtension.DriverData;
}

/* PASSIVE.  With the time limit of the drive; a reply that is shorter than the
 * room for it is none too short.  What came is in srb->DataTransferLength. */
NTSTATUS cdrom_send(PDEVICE_OBJECT fdo, PSCSI_REQUEST_BLOCK srb, PVOID data,
                    ULONG length, BOOLEAN to_device);

/* --- exclusive.c: one handle has the drive to itself ---------------------- */

/* PASSIVE.  Of a drive that is being made; FALSE: no memory. */
BOOLEAN cdrom_exclusive_init(PDEVICE_OBJECT fdo);
void cdrom_exclusive_end(PDEVICE_OBJECT fdo);
/* IOCTL_CDROM_EXCLUSIVE_ACCESS; its remove lock is held, it is completed. */
NTSTATUS cdrom_exclusive(PDEVICE_OBJECT fdo, PIRP irp);
/* <= DISPATCH.  Another handle has the drive, and this request has to do with
 * it: STATUS_ACCESS_DENIED. */
BOOLEAN cdrom_exclusive_bars(PDEVICE_OBJECT fdo, PIRP irp);
/* PASSIVE.  A file was opened on the drive itself: it may lock it. */
void cdrom_exclusive_opened(PDEVICE_OBJECT fdo, PFILE_OBJECT file);
/* PASSIVE.  Its last handle was closed: what it locked is unlocked. */
void cdrom_exclusive_closed(PDEVICE_OBJECT fdo, PFILE_OBJECT file);

/* The request's file was opened on the drive itself. */
FORCEINLINE BOOLEAN
cdrom_has_handle(PDEVICE_OBJECT fdo, PIRP irp)
{
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(irp)->FileObject;

    return file != NULL && file->FsContext == fdo;
}

FORCEINLINE PFILE_OBJECT
cdrom_owner(PDEVICE_OBJECT fdo)
{
    return __atomic_load_n(&cdrom_data_of(fdo)->owner, __ATOMIC_RELAXED);
}

/* --- mmc.c: features, speed, what a drive is ------------------------------ */

/* Control codes whose remove lock is held, and which are completed. */
NTSTATUS cdrom_get_configuration(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS cdrom_get_inquiry(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS cdrom_send_opc(PDEVICE_OBJECT fdo, PIRP irp);

/* --- dvd.c ---------------------------------------------------------------- */

NTSTATUS cdrom_dvd_structure(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS cdrom_set_read_ahead(PDEVICE_OBJECT fdo, PIRP irp);

/* --- speed.c -------------------------------------------------------------- */

NTSTATUS cdrom_set_speed(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS cdrom_get_performance(PDEVICE_OBJECT fdo, PIRP irp);
NTSTATUS cdrom_enable_streaming(PDEVICE_OBJECT fdo, PIRP irp);
/* PASSIVE.  FALSE: no memory. */
BOOLEAN cdrom_speed_init(PDEVICE_OBJECT fdo);
void cdrom_speed_end(PDEVICE_OBJECT fdo);
/* <= DISPATCH.  The medium may be another. */
void cdrom_speed_changed(PDEVICE_OBJECT fdo);

#endif
