/*
 * reinsert.c - the miniclass driver for the emulated library's vendor
 *              personality: an example of a robot with a language of its own
 *
 * It does what every SMC changer does (smc_lib.h), exchanges media by moves,
 * and says in codes of its own what other libraries say in standard ones, or
 * cannot say.  Written against <mcd.h> and smc_lib.h alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "mcd/smc_lib.h"
#include "mcd/table.h"

static const struct smc_profile profile = {
    .features0 = CHANGER_PREDISMOUNT_EJECT_REQUIRED,
    .doors = 1,
    .range_opcode = SCSIOP_INIT_ELEMENT_RANGE,
    .emulate_exchange = TRUE,
};

#define ANY 0x100

static const struct smc_sense_row meanings[] = {
    { NULL, 0x2, 0x04, 0x83, STATUS_DEVICE_DOOR_OPEN, FALSE },
    { NULL, 0x2, 0x04, 0x85, STATUS_DEVICE_NOT_READY, FALSE },
    { NULL, 0x2, 0x04, 0x87, STATUS_REINITIALIZATION_NEEDED, FALSE },
    { NULL, 0x2, 0x04, 0x88, STATUS_REINITIALIZATION_NEEDED, FALSE },
    { NULL, 0x2, 0x04, 0x89, STATUS_REINITIALIZATION_NEEDED, FALSE },
    { NULL, 0x2, 0x04, 0x8D, STATUS_DEVICE_OFF_LINE, FALSE },
    { NULL, 0x2, 0x04, 0x8E, STATUS_DEVICE_OFF_LINE, FALSE },
    { NULL, 0x4, 0x15, 0x81, STATUS_IO_DEVICE_ERROR, FALSE },
    { NULL, 0x4, 0x15, 0x83, STATUS_IO_DEVICE_ERROR, FALSE },
    { NULL, 0x4, 0x3B, 0x87, STATUS_UNABLE_TO_UNLOAD_MEDIA, FALSE },
    { NULL, 0x5, 0x3B, 0x81, STATUS_ILLEGAL_ELEMENT_ADDRESS, FALSE },
    { NULL, 0x5, 0x3B, 0x83, STATUS_DEVICE_NOT_READY, FALSE },
    { NULL, 0x5, 0x3B, 0x90, STATUS_DEVICE_NOT_READY, FALSE },
    { NULL, 0x5, 0x3B, 0xA0, STATUS_TRANSPORT_FULL, FALSE },
    { NULL, 0x5, 0x53, 0x81, STATUS_DEVICE_DOOR_OPEN, FALSE },
    { NULL, 0x5, 0x53, 0x82, STATUS_DEVICE_BUSY, FALSE },
    { NULL, 0x5, 0x53, 0x83, STATUS_IO_DEVICE_ERROR, FALSE },
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
mcd_reinsert_entry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    MCD_INIT_DATA data;

    smc_fill(&data);
    data.ChangerInitialize = ChangerInitialize;
    data.ChangerError = ChangerError;
    return ChangerClassInitialize(DriverObject, RegistryPath, &data);
}
