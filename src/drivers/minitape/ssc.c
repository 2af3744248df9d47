/*
 * ssc.c - the minitape driver for drives that keep to the standard (SSC)
 *
 * Written against <minitape.h> and ssc_lib.h alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "minitape/ssc_lib.h"
#include "minitape/table.h"

NTSTATUS NTAPI
minitape_ssc_entry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    TAPE_INIT_DATA_EX data;

    ssc_fill(&data);
    return (NTSTATUS) TapeClassInitialize(DriverObject, RegistryPath, &data);
}
