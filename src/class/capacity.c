/*
 * capacity.c - how large the medium is, for this attention number; how much is
 * moved at once
 *
 * Known capacity belongs to one attention number: note_attention forgets it,
 * and a reply is stored only if nothing happened since it was asked for.
 *
 * A drive that was away may be back at another adapter or portal, with other
 * limits.  Whoever uses a medium asks for its capacity first, by control code:
 * then the adapter is asked again, too, and, if it does not know them, the drive
 * itself (SBC-3: block limits VPD page).
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

enum { STAGE_TEN, STAGE_SIXTEEN, STAGE_LIMITS };

#define LIMITS_BYTES 44

VOID NTAPI
class_capacity_command(struct class_request *request, BOOLEAN sixteen)
{
    static const UCHAR ten[10] = { SCSIOP_READ_CAPACITY };
    static const UCHAR cdb16[16] = {
        SCSIOP_READ_CAPACITY16, SERVICE_ACTION_READ_CAPACITY16, [13] = 32
    };

    if (sixteen)
        class_command(request, cdb16, sizeof cdb16, request->small, 32, FALSE);
    else
        class_command(request, ten, sizeof ten, request->small, 8, FALSE);
}

/* Drives have been seen to answer 0 and odd values. */
ULONG NTAPI
class_sane_block(const class_device *dev, ULONG bytes)
{
    if (bytes >= 512 && bytes <= 0x10000 && (bytes & (bytes - 1)) == 0)
        return bytes;
    return dev->read_only_type ? 2048 : 512;
}

static void
describe(PFUNCTIONAL_DEVICE_EXTENSION ext, const struct class_capacity *known)
{
    PDISK_GEOMETRY geometry = &ext->DiskGeometry;
    ULONGLONG bytes = known->blocks << known->shift;
    ULONGLONG cylinder;

    geometry->MediaType = RemovableMedia;
    geometry->TracksPerCylinder = 255;
    geometry->SectorsPerTrack = 63;
    if (known->blocks < 255 * 63) { /* small media: floppies */
        geometry->TracksPerCylinder = 2;
        geometry->SectorsPerTrack = 18;
    }
    geometry->BytesPerSector = known->block_bytes;
    cylinder =
        (ULONGLONG) geometry->TracksPerCylinder * geometry->SectorsPerTrack;
    geometry->Cylinders.QuadPart = (LONGLONG) (known->blocks / cylinder);
    ext->SectorShift = known->shift;
    ext->CommonExtension.PartitionLength.QuadPart = (LONGLONG) bytes;
}

static void
store(class_device *dev, ULONG stamp, ULONG block_bytes, ULONGLONG blocks)
{
    KIRQL irql;

    block_bytes = class_sane_block(dev, block_bytes);
    KeAcquireSpinLock(&dev->change_lock, &irql);
    if (stamp == dev->attention) {
        dev->capacity.block_bytes = block_bytes;
        dev->capacity.blocks = blocks;
        __atomic_store_n(&dev->capacity.shift,
                         (UCHAR) __builtin_ctz(block_bytes), __ATOMIC_RELAXED);
        describe(dev->ext, &dev->capacity);
        if (!dev->removable)
            dev->ext->DiskGeometry.MediaType = FixedMedia;
        __atomic_store_n(&dev->capacity.valid, TRUE, __ATOMIC_RELEASE);
    }
    KeReleaseSpinLock(&dev->change_lock, irql);
}

BOOLEAN NTAPI
class_capacity_reply(struct class_request *request, BOOLEAN sixteen)
{
    const UCHAR *reply = request->small;
    ULONG stamp = request->srb.QueueSortKey;

    if (sixteen) {
        store(request->dev, stamp, class_get_be32(reply + 8),
              class_get_be64(reply) + 1);
        return TRUE;
    }
    if (class_get_be32(reply) == 0xFFFFFFFF)
        return FALSE;
    store(request->dev, stamp, class_get_be32(reply + 4),
          (ULONGLONG) class_get_be32(reply) + 1);
    return TRUE;
}

/* --- how much at once ------------------------------------------------------- */

VOID NTAPI
class_limits_command(struct class_request *request)
{
    static const UCHAR cdb[6] = { SCSIOP_INQUIRY, 1, VPD_BLOCK_LIMITS, 0,
                                  LIMITS_BYTES };

    class_command(request, cdb, sizeof cdb, request->small, LIMITS_BYTES,
                  FALSE);
}

VOID NTAPI
class_take_adapter(class_device *dev, const STORAGE_ADAPTER_DESCRIPTOR *adapter)
{
    ULONG most = adapter->MaximumTransferLength;

    most = most >= 0x10000     ? most & ~0xffffu
           : most >= PAGE_SIZE ? most & ~(PAGE_SIZE - 1u)
                               : PAGE_SIZE;
    dev->adapter_most = most;
    if (!dev->asks_device ||
        most < __atomic_load_n(&dev->max_transfer, __ATOMIC_RELAXED))
        __atomic_store_n(&dev->max_transfer, most, __ATOMIC_RELAXED);
}

/* A drive that answers with no such page has no limit, as one that says 0. */
static void
take_limits(struct class_request *request, NTSTATUS status)
{
    class_device *dev = request->dev;
    const UCHAR *page = request->small;
    ULONG len = NT_SUCCESS(status) ? request->srb.DataTransferLength : 0;
    ULONGLONG most = 0;

    if (!NT_SUCCESS(status) && status != STATUS_INVALID_DEVICE_REQUEST)
        return; /* it stays what it was */
    if (len >= 12 && page[1] == VPD_BLOCK_LIMITS)
        most = (ULONGLONG) class_get_be32(page + 8)
               << __atomic_load_n(&dev->capacity.shift, __ATOMIC_RELAXED);
    if (most >= 0x10000)
        most &= ~0xffffull;
    if (most == 0 || most > dev->adapter_most)
        most = dev->adapter_most;
    __atomic_store_n(&dev->max_transfer, (ULONG) most, __ATOMIC_RELAXED);
    if (len != 0 && page[1] == VPD_BLOCK_LIMITS)
        class_unmap_limits(request, TRUE);
}

static void
ask_adapter(class_device *dev)
{
    STORAGE_PROPERTY_ID id = StorageAdapterProperty;
    PSTORAGE_ADAPTER_DESCRIPTOR adapter;

    if (KeGetCurrentIrql() != PASSIVE_LEVEL ||
        !NT_SUCCESS(ClassGetDescriptor(
            dev->lower, &id, (PSTORAGE_DESCRIPTOR_HEADER *) &adapter)))
        return;
    class_take_adapter(dev, adapter);
    ExFreePool(adapter);
}

/* --- the control code ----------------------------------------------------- */

/* What was asked for, from the capacity just read. */
struct answer {
    ULONG code;
    ULONG size;
    void (*fill)(class_device *dev, PVOID out);
};

static void
fill_read_capacity(class_device *dev, PVOID out)
{
    STORAGE_READ_CAPACITY *reply = out;

    RtlZeroMemory(reply, sizeof *reply);
    reply->Version = sizeof *reply;
    reply->Size = sizeof *reply;
    reply->BlockLength = dev->capacity.block_bytes;
    reply->NumberOfBlocks.QuadPart = (LONGLONG) dev->capacity.blocks;
    reply->DiskLength.QuadPart =
        (LONGLONG) (dev->capacity.blocks << dev->capacity.shift);
}

static void
fill_length(class_device *dev, PVOID out)
{
    GET_LENGTH_INFORMATION *reply = out;

    reply->Length.QuadPart =
        (LONGLONG) (dev->capacity.blocks << dev->capacity.shift);
}

static void
fill_geometry(class_device *dev, PVOID out)
{
    RtlCopyMemory(out, &dev->ext->DiskGeometry, sizeof(DISK_GEOMETRY));
}

static void
fill_geometry_ex(class_device *dev, PVOID out)
{
    DISK_GEOMETRY_EX *reply = out;

    RtlCopyMemory(&reply->Geometry, &dev->ext->DiskGeometry,
                  sizeof(DISK_GEOMETRY));
    reply->DiskSize.QuadPart =
        (LONGLONG) (dev->capacity.blocks << dev->capacity.shift);
}

/* The whole medium, as a floppy has it: not partitioned. */
static void
fill_partition(class_device *dev, PVOID out)
{
    PARTITION_INFORMATION *reply = out;

    RtlZeroMemory(reply, sizeof *reply);
    reply->PartitionLength.QuadPart =
        (LONGLONG) (dev->capacity.blocks << dev->capacity.shift);
}

static void
fill_partition_ex(class_device *dev, PVOID out)
{
    PARTITION_INFORMATION_EX *reply = out;

    RtlZeroMemory(reply, sizeof *reply);
    reply->PartitionStyle = PARTITION_STYLE_RAW;
    reply->PartitionLength.QuadPart =
        (LONGLONG) (dev->capacity.blocks << dev->capacity.shift);
}

static void
fill_media_types(class_device *dev, PVOID out)
{
    const DISK_GEOMETRY *geometry = &dev->ext->DiskGeometry;
    GET_MEDIA_TYPES *reply = out;

    RtlZeroMemory(reply, sizeof *reply);
    reply->DeviceType = dev->fdo->DeviceType;
    reply->MediaInfoCount = 1;
    reply->MediaInfo[0].DeviceSpecific.RemovableDiskInfo.Cylinders =
        geometry->Cylinders;
    reply->MediaInfo[0].DeviceSpecific.RemovableDiskInfo.MediaType =
        (STORAGE_MEDIA_TYPE) (dev->read_only_type ? CD_ROM
                                                  : geometry->MediaType);
    reply->MediaInfo[0].DeviceSpecific.RemovableDiskInfo.TracksPerCylinder =
        geometry->TracksPerCylinder;
    reply->MediaInfo[0].DeviceSpecific.RemovableDiskInfo.SectorsPerTrack =
        geometry->SectorsPerTrack;
    reply->MediaInfo[0].DeviceSpecific.RemovableDiskInfo.BytesPerSector =
        geometry->BytesPerSector;
    reply->MediaInfo[0].DeviceSpecific.RemovableDiskInfo.NumberMediaSides = 1;
    reply->MediaInfo[0].DeviceSpecific.RemovableDiskInfo.MediaCharacteristics =
        MEDIA_CURRENTLY_MOUNTED |
        (dev->read_only_type ? MEDIA_READ_ONLY : MEDIA_READ_WRITE);
}

static const struct answer answers[] = {
    { IOCTL_DISK_GET_PARTITION_INFO, sizeof(PARTITION_INFORMATION),
      fill_partition },
    { IOCTL_DISK_GET_PARTITION_INFO_EX, sizeof(PARTITION_INFORMATION_EX),
      fill_partition_ex },
    { IOCTL_STORAGE_GET_MEDIA_TYPES_EX, sizeof(GET_MEDIA_TYPES),
      fill_media_types },
    { IOCTL_STORAGE_READ_CAPACITY, sizeof(STORAGE_READ_CAPACITY),
      fill_read_capacity },
    { IOCTL_DISK_GET_LENGTH_INFO, sizeof(GET_LENGTH_INFORMATION), fill_length },
    { IOCTL_DISK_GET_DRIVE_GEOMETRY, sizeof(DISK_GEOMETRY), fill_geometry },
    { IOCTL_DISK_UPDATE_DRIVE_SIZE, sizeof(DISK_GEOMETRY), fill_geometry },
    { IOCTL_CDROM_GET_DRIVE_GEOMETRY, sizeof(DISK_GEOMETRY), fill_geometry },
    { IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, offsetof(DISK_GEOMETRY_EX, Data),
      fill_geometry_ex },
    { IOCTL_CDROM_GET_DRIVE_GEOMETRY_EX, offsetof(DISK_GEOMETRY_EX, Data),
      fill_geometry_ex },
};

static const struct answer *
find_answer(ULONG code)
{
    for (size_t i = 0; i < RTL_NUMBER_OF(answers); i++)
        if (answers[i].code == code)
            return &answers[i];
    return NULL;
}

static enum class_next NTAPI
capacity_finish(struct class_request *request, NTSTATUS *status)
{
    const struct answer *answer = request->context;
    class_device *dev = request->dev;
    KIRQL irql;

    if (request->stage == STAGE_LIMITS) {
        take_limits(request, *status);
        *status = STATUS_SUCCESS;
    } else if (!NT_SUCCESS(*status)) {
        return NEXT_COMPLETE;
    } else if (!class_capacity_reply(request,
                                     request->stage == STAGE_SIXTEEN)) {
        request->stage = STAGE_SIXTEEN;
        class_capacity_command(request, TRUE);
        return NEXT_SEND;
    } else if (dev->asks_device) {
        request->stage = STAGE_LIMITS;
        class_limits_command(request);
        return NEXT_SEND;
    }
    KeAcquireSpinLock(&dev->change_lock, &irql);
    if (dev->capacity.valid)
        answer->fill(dev, request->original->AssociatedIrp.SystemBuffer);
    else
        *status = STATUS_IO_DEVICE_ERROR; /* changed just now */
    KeReleaseSpinLock(&dev->change_lock, irql);
    if (NT_SUCCESS(*status))
        request->information = answer->size;
    return NEXT_COMPLETE;
}

NTSTATUS NTAPI
class_read_capacity(class_device *dev, PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    struct class_request *request = class_request_new(dev, irp);

    if (request == NULL)
        return class_complete(dev, irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    request->context =
        (PVOID) find_answer(at->Parameters.DeviceIoControl.IoControlCode);
    request->finish = capacity_finish;
    request->flags |= REQ_STAMPED | REQ_VERIFY_RETRY;
    request->retries = 1;
    ask_adapter(dev);
    class_capacity_command(request, FALSE);
    return class_send(request);
}
