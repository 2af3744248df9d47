/*
 * choose.c - which of several drivers a unit gets, by its INQUIRY data
 *
 * Context: PASSIVE.  No locks, no state.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fdo/choose.h"

#include <classpnp.h>

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

const struct fdo_choice *
fdo_choose(PDEVICE_OBJECT pdo, UCHAR type, const struct fdo_choice *rows)
{
    STORAGE_PROPERTY_ID id = StorageDeviceProperty;
    PSTORAGE_DEVICE_DESCRIPTOR found;
    const struct fdo_choice *row = rows;

    if (!NT_SUCCESS(ClassGetDescriptor(pdo, &id,
                                       (PSTORAGE_DESCRIPTOR_HEADER *) &found)))
        return NULL;
    if (found->DeviceType != type)
        row = NULL;
    while (row != NULL &&
           (!begins(found, found->VendorIdOffset, row->vendor) ||
            !begins(found, found->ProductIdOffset, row->product)))
        row++;
    ExFreePool(found);
    return row;
}
