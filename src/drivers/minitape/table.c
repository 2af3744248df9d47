/*
 * table.c - which minitape driver a tape drive gets: a row each
 *
 * SPDX-License-Identifier: MIT
 */
#include "minitape/table.h"

#include <classpnp.h>

const struct minitape_driver minitape_drivers[] = {
    { "tape-reinsert", "REINSERT", "VENDOR TAPE", minitape_reinsert_entry },
    { "tape-ssc", NULL, NULL, minitape_ssc_entry },
};
const size_t minitape_driver_count = RTL_NUMBER_OF(minitape_drivers);

/* Of a string that the descriptor may hold. */
static BOOLEAN
begins(const STORAGE_DEVICE_DESCRIPTOR *from, ULONG offset, const char *with)
{
    const char *text = (const char *) from + offset;
    ULONG room = offset != 0 && offset < from->Size ? from->Size - offset : 0;

    for (; with != NULL && *with != '\0'; with++, text++, room--)
        if (room == 0 || *text != *with)
            return FALSE;
    return TRUE;
}

const struct minitape_driver *
minitape_driver_for(PDEVICE_OBJECT pdo)
{
    STORAGE_PROPERTY_ID id = StorageDeviceProperty;
    PSTORAGE_DEVICE_DESCRIPTOR found;
    const struct minitape_driver *row = minitape_drivers;

    if (!NT_SUCCESS(ClassGetDescriptor(pdo, &id,
                                       (PSTORAGE_DESCRIPTOR_HEADER *) &found)))
        return NULL;
    if (found->DeviceType != SEQUENTIAL_ACCESS_DEVICE)
        row = NULL;
    while (row != NULL &&
           (!begins(found, found->VendorIdOffset, row->vendor) ||
            !begins(found, found->ProductIdOffset, row->product)))
        row++;
    ExFreePool(found);
    return row;
}
