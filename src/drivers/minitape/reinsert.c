/*
 * reinsert.c - the minitape driver for the emulated drive's vendor personality
 *
 * The same drive as the standard one, with codes of its own for some
 * conditions.  What they mean is the table; TapeError puts the standard's codes
 * in their place.  Written against <minitape.h> and ssc_lib.h alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "minitape/ssc_lib.h"
#include "minitape/table.h"

/* Codes of 80 and up are the vendor's: the same one means something else
 * elsewhere. */
static const struct ssc_quirk quirks[] = {
    { 0x2, 0x80, 0x01, 0x2, 0x04, 0x01 }, /* becoming ready */
    { 0x8, 0x80, 0x05, 0x8, 0x00, 0x05 }, /* end of data */
    { 0x2, 0x80, 0x30, 0x3, 0x30, 0x03 }, /* a cleaning cartridge */
    { 0x7, 0x80, 0x27, 0x7, 0x27, 0x00 }, /* write protected */
    { 0x1, 0x80, 0x17, 0x1, 0x00, 0x17 }, /* asks for cleaning */
    { 0x5, 0x80, 0x53, 0x5, 0x53, 0x02 }, /* removal is prevented */
};

static VOID NTAPI
tape_error_of_vendor(PVOID MinitapeExtension, PSCSI_REQUEST_BLOCK Srb,
                     PTAPE_STATUS TapeStatus)
{
    ssc_translate(Srb, quirks, RTL_NUMBER_OF(quirks));
}

NTSTATUS NTAPI
minitape_reinsert_entry(PDRIVER_OBJECT DriverObject,
                        PUNICODE_STRING RegistryPath)
{
    TAPE_INIT_DATA_EX data;

    ssc_fill(&data);
    data.TapeError = tape_error_of_vendor;
    return (NTSTATUS) TapeClassInitialize(DriverObject, RegistryPath, &data);
}
