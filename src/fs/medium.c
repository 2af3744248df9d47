/*
 * medium.c - what is in a drive: its size, its abilities, whose it says it is
 *
 * Reads the identity of a medium, and, of one that can be written to, begins a
 * witness of what is read on the way.  Decides nothing.
 *
 * Context: PASSIVE_LEVEL, under the drive's DeviceLock and no other lock, for it
 * reads.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/medium.h"

#include <ntddcdrm.h>
#include <ntdddisk.h>
#include <ntddstor.h>

#include "fs/metadata.h"

#define READ_TRIES    5
#define FIRM_PER_READ 8 /* blocks of each read for the witness, evenly */

struct reader {
    PDEVICE_OBJECT target;
    ULONG count;
    struct witness *witness; /* or NULL: is told of what was read */
};

static NTSTATUS
read_range(void *context, ULONG64 offset, void *buffer, ULONG length)
{
    struct reader *reader = context;
    struct witness *witness = reader->witness;
    NTSTATUS status =
        fs_read_device(reader->target, reader->count, offset, buffer, length);
    ULONG places[METADATA_MAX], count, step;

    if (!NT_SUCCESS(status) || witness == NULL)
        return status;
    count = metadata_places(buffer, length, places);
    for (ULONG i = 0; i < count; i++) {
        ULONG at = places[i] / witness->block_bytes * witness->block_bytes;

        witness_saw(witness, offset + at, (const UCHAR *) buffer + at,
                    length - at, TRUE);
    }
    step = length / FIRM_PER_READ / witness->block_bytes * witness->block_bytes;
    if (step == 0)
        step = witness->block_bytes;
    for (ULONG at = 0; length - at >= step; at += step)
        witness_saw(witness, offset + at, (const UCHAR *) buffer + at, step,
                    TRUE);
    return status;
}

static NTSTATUS
query(PDEVICE_OBJECT target, STORAGE_PROPERTY_ID id, void *out, ULONG len)
{
    STORAGE_PROPERTY_QUERY in = { .PropertyId = id,
                                  .QueryType = PropertyStandardQuery };

    RtlZeroMemory(out, len);
    return fs_ioctl(target, IOCTL_STORAGE_QUERY_PROPERTY, &in, sizeof in, out,
                    len, NULL);
}

static void
ask_abilities(PDEVICE_OBJECT real, PDEVICE_OBJECT target, struct medium *medium)
{
    STORAGE_WRITE_CACHE_PROPERTY cache;
    DEVICE_TRIM_DESCRIPTOR trim;
    DEVICE_LB_PROVISIONING_DESCRIPTOR thin;

    medium->read_only = real->DeviceType == FILE_DEVICE_CD_ROM ||
                        (real->Characteristics & FILE_READ_ONLY_DEVICE) != 0 ||
                        fs_ioctl(target, IOCTL_DISK_IS_WRITABLE, NULL, 0, NULL,
                                 0, NULL) == STATUS_MEDIA_WRITE_PROTECTED;
    medium->write_protected =
        medium->read_only && real->DeviceType != FILE_DEVICE_CD_ROM;
    if (medium->read_only)
        return;
    /* When it does not say, it may have one. */
    medium->write_through =
        !NT_SUCCESS(query(target, StorageDeviceWriteCacheProperty, &cache,
                          sizeof cache)) ||
        cache.WriteCacheEnabled != WriteCacheDisabled;
    medium->can_trim = NT_SUCCESS(query(target, StorageDeviceTrimProperty,
                                        &trim, sizeof trim)) &&
                       trim.TrimEnabled;
    medium->trim_zeroes =
        medium->can_trim &&
        NT_SUCCESS(query(target, StorageDeviceLBProvisioningProperty, &thin,
                         sizeof thin)) &&
        thin.ThinProvisioningReadZeros;
}

static NTSTATUS
ask_capacity(PDEVICE_OBJECT target, struct medium *medium)
{
    STORAGE_READ_CAPACITY capacity = { 0 };
    NTSTATUS status = fs_ioctl(target, IOCTL_STORAGE_READ_CAPACITY, NULL, 0,
                               &capacity, sizeof capacity, NULL);

    if (!NT_SUCCESS(status))
        return status;
    medium->block_bytes = capacity.BlockLength;
    medium->size_bytes = (ULONG64) capacity.DiskLength.QuadPart;
    if (medium->block_bytes < 512 || medium->size_bytes == 0 ||
        (medium->block_bytes & (medium->block_bytes - 1)) != 0 ||
        medium->block_bytes > 65536)
        return STATUS_UNRECOGNIZED_MEDIA;
    return STATUS_SUCCESS;
}

/*
 * `expected` is NULL for a mount.  A CD that the drive has not changed since it
 * was verified is the same one (CDFS): drives that count do so for that.  The
 * first difference ends it; nothing more is read then.
 */
static NTSTATUS
look_once(PDEVICE_OBJECT real, PDEVICE_OBJECT target,
          const struct expected *expected, struct medium *medium)
{
    struct reader reader = { .target = target };
    NTSTATUS status = fs_media_count(target, &medium->count);

    if (!NT_SUCCESS(status))
        return status;
    medium->unchanged = expected != NULL && medium->count != 0 &&
                        medium->count == expected->count &&
                        real->DeviceType == FILE_DEVICE_CD_ROM;
    if (medium->unchanged)
        return STATUS_SUCCESS;
    status = ask_capacity(target, medium);
    if (!NT_SUCCESS(status))
        return status;
    if (expected != NULL && (medium->size_bytes != expected->size_bytes ||
                             medium->block_bytes != expected->block_bytes))
        return STATUS_WRONG_VOLUME;
    ask_abilities(real, target, medium);
    reader.count = medium->count;
    /* What is write protected here can be written to in another machine. */
    if (real->DeviceType != FILE_DEVICE_CD_ROM && medium->witness == NULL)
        medium->witness = ExAllocatePoolWithTag(
            NonPagedPool, sizeof *medium->witness, FS_TAG);
    if (medium->witness != NULL)
        witness_init(medium->witness, medium->block_bytes,
                     real->DeviceType == FILE_DEVICE_CD_ROM);
    reader.witness = medium->witness;
    return identity_read(read_range, &reader, medium->size_bytes,
                         medium->block_bytes, medium->read_only, &medium->id);
}

/* A drive may need several tries.  A change while we look is the caller's
 * business: the whole request starts anew. */
NTSTATUS
fs_look(PDEVICE_OBJECT real, PDEVICE_OBJECT target,
        const struct expected *expected, struct medium *medium)
{
    NTSTATUS status = STATUS_IO_DEVICE_ERROR;

    for (int i = 0;
         i < READ_TRIES && status == STATUS_IO_DEVICE_ERROR && !fs_ending();
         i++)
        status = look_once(real, target, expected, medium);
    return status;
}

struct medium *
fs_medium_new(void)
{
    struct medium *medium =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *medium, FS_TAG);

    if (medium != NULL)
        RtlZeroMemory(medium, sizeof *medium);
    return medium;
}

void
fs_medium_free(struct medium *medium)
{
    if (medium->witness != NULL)
        ExFreePoolWithTag(medium->witness, FS_TAG);
    ExFreePoolWithTag(medium, FS_TAG);
}

NTSTATUS
fs_read_identity(const struct volume *volume, PDEVICE_OBJECT target,
                 ULONG count, BOOLEAN read_only, struct identity *out_id)
{
    struct reader reader = { target, count, NULL };

    return identity_read(read_range, &reader, volume->size_bytes,
                         volume->block_bytes, read_only, out_id);
}
