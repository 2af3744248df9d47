/*
 * smc.c - the miniclass driver for changers that keep to the standard (SMC),
 *         as far as devices do
 *
 * What a device can do is found out; what some vendors mean by sense data of
 * their own is the table below.  Written against <mcd.h> and smc_lib.h alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "mcd/smc_lib.h"
#include "mcd/table.h"

static const struct smc_profile profile = {
    /* A drive has to let go of a medium before the arm can take it. */
    .features0 = CHANGER_PREDISMOUNT_EJECT_REQUIRED,
    .doors = 1,
};

#define ANY 0x100

/* Codes of 80 and up are the vendor's: the same one means something else
 * elsewhere. */
static const struct smc_sense_row meanings[] = {
    { "IBM", 0x2, 0x04, 0x83, STATUS_DEVICE_DOOR_OPEN, FALSE },
    { "DELL", 0x2, 0x04, 0x83, STATUS_DEVICE_DOOR_OPEN, FALSE },
    { "EXABYTE", 0x2, 0x04, 0x83, STATUS_DEVICE_DOOR_OPEN, FALSE },
    { "IBM", 0x2, 0x04, 0x85, STATUS_DEVICE_NOT_READY, FALSE },
    { "EXABYTE", 0x2, 0x04, 0x87, STATUS_REINITIALIZATION_NEEDED, FALSE },
    { "EXABYTE", 0x2, 0x04, 0x88, STATUS_REINITIALIZATION_NEEDED, FALSE },
    { "EXABYTE", 0x2, 0x04, 0x89, STATUS_REINITIALIZATION_NEEDED, FALSE },
    { "EXABYTE", 0x2, 0x04, 0x8D, STATUS_DEVICE_OFF_LINE, FALSE },
    { "IBM", 0x2, 0x04, 0x8E, STATUS_DEVICE_OFF_LINE, FALSE },
    { "CERTANCE", 0x2, 0x5A, 0x01, STATUS_DEVICE_NOT_READY, FALSE },
    { NULL, 0x4, 0x15, 0x81, STATUS_IO_DEVICE_ERROR, FALSE },
    { NULL, 0x4, 0x15, 0x83, STATUS_IO_DEVICE_ERROR, FALSE },
    { "EXABYTE", 0x4, 0x3B, 0x87, STATUS_UNABLE_TO_UNLOAD_MEDIA, FALSE },
    { "IBM", 0x5, 0x3B, 0x81, STATUS_ILLEGAL_ELEMENT_ADDRESS, FALSE },
    { "EXABYTE", 0x5, 0x3B, 0x83, STATUS_DEVICE_NOT_READY, FALSE },
    { "EXABYTE", 0x5, 0x3B, 0x90, STATUS_DEVICE_NOT_READY, FALSE },
    { "IBM", 0x5, 0x3B, 0xA0, STATUS_TRANSPORT_FULL, FALSE },
    { "HP", 0x5, 0x53, 0x81, STATUS_DEVICE_DOOR_OPEN, FALSE },
    { "QUANTUM", 0x5, 0x53, 0x81, STATUS_DEVICE_DOOR_OPEN, FALSE },
    { "QUANTUM", 0x5, 0x53, 0x82, STATUS_UNABLE_TO_LOCK_MEDIA, FALSE },
    { "QUANTUM", 0x5, 0x53, 0x83, STATUS_IO_DEVICE_ERROR, FALSE },
};

static NTSTATUS NTAPI
ChangerInitialize(PDEVICE_OBJECT DeviceObject)
{
    return smc_initialize(DeviceObject, &profile);
}

static VOID NTAPI
ChangerError(PDEVICE_OBJECT DeviceObject, PSCSI_REQUEST_BLOCK Srb,
             NTSTATUS *Status, BOOLEAN *Retry)
{
    smc_error(DeviceObject, Srb, meanings, RTL_NUMBER_OF(meanings), Status,
              Retry);
}

NTSTATUS NTAPI
mcd_smc_entry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    MCD_INIT_DATA data;

    smc_fill(&data);
    data.ChangerInitialize = ChangerInitialize;
    data.ChangerError = ChangerError;
    return ChangerClassInitialize(DriverObject, RegistryPath, &data);
}
