/*
 * table.c - which miniclass driver a changer gets: a row each
 *
 * SPDX-License-Identifier: MIT
 */
#include "mcd/table.h"

#include <classpnp.h>

const struct mcd_driver mcd_drivers[] = {
    { "reinsert", "REINSERT", "VENDOR", mcd_reinsert_entry },
    { "smc", NULL, NULL, mcd_smc_entry },
};
const size_t mcd_driver_count = RTL_NUMBER_OF(mcd_drivers);

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

const struct mcd_driver *
mcd_driver_for(PDEVICE_OBJECT pdo)
{
    STORAGE_PROPERTY_ID id = StorageDeviceProperty;
    PSTORAGE_DEVICE_DESCRIPTOR found;
    const struct mcd_driver *row = mcd_drivers;

    if (!NT_SUCCESS(ClassGetDescriptor(pdo, &id,
                                       (PSTORAGE_DESCRIPTOR_HEADER *) &found)))
        return NULL;
    if (found->DeviceType != MEDIUM_CHANGER)
        row = NULL;
    while (row != NULL &&
           (!begins(found, found->VendorIdOffset, row->vendor) ||
            !begins(found, found->ProductIdOffset, row->product)))
        row++;
    ExFreePool(found);
    return row;
}
