/*
 * property.c - what kind of device this is
 *
 * Descriptors of device and adapter come from the port; what the class knows
 * better is asked of the drive: one or several commands, read one after the
 * other in the same request.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

/* What the commands have told so far, in request->buffer. */
struct facts {
    STORAGE_PROPERTY_ID id;
    BOOLEAN write_cache, cache_changeable, cache_known;
    BOOLEAN fua;
    BOOLEAN thin, read_zeros, unmap, anchor;
    ULONG block_bytes, physical_exponent, lowest_aligned;
    ULONG granularity_blocks, alignment_blocks;
    BOOLEAN alignment_valid;
    USHORT rotation;
};

enum query { Q_END, Q_CACHE, Q_CAPACITY, Q_LIMITS, Q_ROTATION, Q_PROVISION };

typedef ULONG fill_fn(class_device *dev, const struct facts *facts, PVOID out);

/* --- commands ------------------------------------------------------------- */

static void
send_query(struct class_request *request, UCHAR query)
{
    UCHAR cdb[16] = { 0 };

    if (query == Q_CAPACITY) {
        class_capacity_command(request, TRUE);
        return;
    }
    if (query == Q_CACHE) {
        cdb[0] = SCSIOP_MODE_SENSE;
        cdb[2] = MODE_PAGE_CACHING;
    } else {
        cdb[0] = SCSIOP_INQUIRY;
        cdb[1] = 1;
        cdb[2] = query == Q_LIMITS ? 0xB0 : query == Q_ROTATION ? 0xB1 : 0xB2;
    }
    cdb[4] = 44;
    class_command(request, cdb, 6, request->small, 44, FALSE);
    RtlZeroMemory(request->small, sizeof request->small);
}

static void
read_cache(struct facts *facts, const UCHAR *reply, ULONG len)
{
    const UCHAR *page =
        ClassFindModePage((PCHAR) reply, len, MODE_PAGE_CACHING, TRUE);

    facts->fua = (reply[2] & 0x10) != 0;
    if (page == NULL || page + 3 > reply + len)
        return;
    facts->cache_known = TRUE;
    facts->write_cache = (page[2] & 0x04) != 0;
}

static void
read_reply(struct facts *facts, UCHAR query, const UCHAR *reply, ULONG len)
{
    if (query == Q_CACHE) {
        read_cache(facts, reply, len);
    } else if (query == Q_CAPACITY && len >= 16) {
        facts->block_bytes = class_get_be32(reply + 8);
        facts->physical_exponent = reply[13] & 0x0f;
        facts->lowest_aligned = class_get_be16(reply + 14) & 0x3fff;
        facts->thin = (reply[14] & 0x80) != 0;
        facts->read_zeros = (reply[14] & 0x40) != 0;
    } else if (query == Q_LIMITS && len >= 36) {
        facts->granularity_blocks = class_get_be32(reply + 28);
        facts->alignment_valid = (reply[32] & 0x80) != 0;
        facts->alignment_blocks = class_get_be32(reply + 32) & 0x7fffffff;
    } else if (query == Q_ROTATION && len >= 6) {
        facts->rotation = (USHORT) class_get_be16(reply + 4);
    } else if (query == Q_PROVISION && len >= 6) {
        facts->unmap = (reply[5] & 0x80) != 0;
        facts->anchor = (reply[5] & 0x02) != 0;
    }
}

/* --- replies -------------------------------------------------------------- */

static ULONG
fill_write_cache(class_device *dev, const struct facts *facts, PVOID out)
{
    STORAGE_WRITE_CACHE_PROPERTY *reply = out;

    reply->WriteCacheType = !facts->cache_known  ? WriteCacheTypeUnknown
                            : facts->write_cache ? WriteCacheTypeWriteBack
                                                 : WriteCacheTypeWriteThrough;
    reply->WriteCacheEnabled = !facts->cache_known  ? WriteCacheEnableUnknown
                               : facts->write_cache ? WriteCacheEnabled
                                                    : WriteCacheDisabled;
    reply->WriteCacheChangeable = WriteCacheChangeUnknown;
    reply->WriteThroughSupported = facts->fua && !dev->no_fua
                                       ? WriteThroughSupported
                                       : WriteThroughNotSupported;
    reply->FlushCacheSupported = !dev->read_only_type && dev->sync != SYNC_NONE;
    if (dev->read_only_type) {
        reply->WriteCacheType = WriteCacheTypeNone;
        reply->WriteCacheEnabled = WriteCacheDisabled;
        reply->WriteCacheChangeable = WriteCacheNotChangeable;
    }
    return sizeof *reply;
}

static ULONG
fill_trim(class_device *dev, const struct facts *facts, PVOID out)
{
    DEVICE_TRIM_DESCRIPTOR *reply = out;

    reply->TrimEnabled = facts->thin && facts->unmap;
    return sizeof *reply;
}

static ULONG
fill_provisioning(class_device *dev, const struct facts *facts, PVOID out)
{
    DEVICE_LB_PROVISIONING_DESCRIPTOR *reply = out;

    reply->ThinProvisioningEnabled = facts->thin && facts->unmap;
    reply->ThinProvisioningReadZeros = facts->read_zeros;
    reply->AnchorSupported = facts->anchor;
    reply->UnmapGranularityAlignmentValid = facts->alignment_valid;
    reply->OptimalUnmapGranularity =
        (ULONGLONG) facts->granularity_blocks * facts->block_bytes;
    reply->UnmapGranularityAlignment =
        (ULONGLONG) facts->alignment_blocks * facts->block_bytes;
    return sizeof *reply;
}

static ULONG
fill_alignment(class_device *dev, const struct facts *facts, PVOID out)
{
    STORAGE_ACCESS_ALIGNMENT_DESCRIPTOR *reply = out;

    reply->BytesPerLogicalSector = facts->block_bytes;
    reply->BytesPerPhysicalSector = facts->block_bytes
                                    << facts->physical_exponent;
    reply->BytesOffsetForSectorAlignment =
        facts->block_bytes * facts->lowest_aligned;
    return sizeof *reply;
}

static ULONG
fill_seek(class_device *dev, const struct facts *facts, PVOID out)
{
    DEVICE_SEEK_PENALTY_DESCRIPTOR *reply = out;

    reply->IncursSeekPenalty = facts->rotation != 1;
    return sizeof *reply;
}

static const struct property {
    STORAGE_PROPERTY_ID id;
    BOOLEAN disks_only; /* CD drives are not asked */
    ULONG size;
    UCHAR queries[4];
    fill_fn *fill;
} properties[] = {
    { StorageDeviceWriteCacheProperty,
      TRUE,
      sizeof(STORAGE_WRITE_CACHE_PROPERTY),
      { Q_CACHE },
      fill_write_cache },
    { StorageDeviceTrimProperty,
      TRUE,
      sizeof(DEVICE_TRIM_DESCRIPTOR),
      { Q_CAPACITY, Q_PROVISION },
      fill_trim },
    { StorageDeviceLBProvisioningProperty,
      TRUE,
      sizeof(DEVICE_LB_PROVISIONING_DESCRIPTOR),
      { Q_CAPACITY, Q_PROVISION, Q_LIMITS },
      fill_provisioning },
    { StorageAccessAlignmentProperty,
      TRUE,
      sizeof(STORAGE_ACCESS_ALIGNMENT_DESCRIPTOR),
      { Q_CAPACITY },
      fill_alignment },
    { StorageDeviceSeekPenaltyProperty,
      TRUE,
      sizeof(DEVICE_SEEK_PENALTY_DESCRIPTOR),
      { Q_ROTATION },
      fill_seek },
};

static const struct property *
find_property(STORAGE_PROPERTY_ID id)
{
    for (size_t i = 0; i < RTL_NUMBER_OF(properties); i++)
        if (properties[i].id == id)
            return &properties[i];
    return NULL;
}

/* As much of the record as there is room for; the header tells the rest. */
static ULONG
reply_property(class_device *dev, PIRP irp, const struct property *property,
               const struct facts *facts)
{
    union {
        STORAGE_DESCRIPTOR_HEADER header;
        STORAGE_WRITE_CACHE_PROPERTY cache;
        DEVICE_TRIM_DESCRIPTOR trim;
        DEVICE_LB_PROVISIONING_DESCRIPTOR provisioning;
        STORAGE_ACCESS_ALIGNMENT_DESCRIPTOR alignment;
        DEVICE_SEEK_PENALTY_DESCRIPTOR seek;
    } reply;
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    ULONG size;

    RtlZeroMemory(&reply, sizeof reply);
    size = property->fill(dev, facts, &reply);
    reply.header.Version = reply.header.Size = size;
    if (size > at->Parameters.DeviceIoControl.OutputBufferLength)
        size = at->Parameters.DeviceIoControl.OutputBufferLength;
    RtlCopyMemory(irp->AssociatedIrp.SystemBuffer, &reply, size);
    return size;
}

/* A command that the drive does not know leaves its facts at "no". */
static enum class_next NTAPI
property_finish(struct class_request *request, NTSTATUS *status)
{
    const struct property *property = request->context;
    struct facts *facts = request->buffer;

    if (NT_SUCCESS(*status))
        read_reply(facts, property->queries[request->stage], request->small,
                   request->srb.DataTransferLength);
    else if (*status != STATUS_INVALID_DEVICE_REQUEST &&
             *status != STATUS_NO_MEDIA_IN_DEVICE)
        return NEXT_COMPLETE;
    if (++request->stage < sizeof property->queries &&
        property->queries[request->stage] != Q_END) {
        send_query(request, property->queries[request->stage]);
        return NEXT_SEND;
    }
    *status = STATUS_SUCCESS;
    request->information =
        reply_property(request->dev, request->original, property, facts);
    return NEXT_COMPLETE;
}

static NTSTATUS
ask_drive(class_device *dev, PIRP irp, const struct property *property)
{
    struct class_request *request = class_request_new(dev, irp);

    if (request == NULL)
        return class_complete(dev, irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    request->buffer =
        ExAllocatePoolWithTag(NonPagedPool, sizeof(struct facts), CLASS_TAG);
    if (request->buffer == NULL) {
        class_request_free(request);
        return class_complete(dev, irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    RtlZeroMemory(request->buffer, sizeof(struct facts));
    request->flags |= REQ_BUFFER_OWNED | REQ_VERIFY_RETRY;
    request->retries = 1;
    request->context = (PVOID) property;
    request->finish = property_finish;
    send_query(request, property->queries[0]);
    return class_send(request);
}

NTSTATUS NTAPI
class_query_property(class_device *dev, PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    PSTORAGE_PROPERTY_QUERY query = irp->AssociatedIrp.SystemBuffer;
    const struct property *property = find_property(query->PropertyId);
    static const struct facts none = { .block_bytes = 2048 };

    if (property == NULL)
        return class_forward(dev, irp);
    if (query->QueryType == PropertyExistsQuery)
        return class_complete(dev, irp, STATUS_SUCCESS, 0);
    if (query->QueryType != PropertyStandardQuery)
        return class_complete(dev, irp, STATUS_NOT_SUPPORTED, 0);
    if (at->Parameters.DeviceIoControl.OutputBufferLength <
        sizeof(STORAGE_DESCRIPTOR_HEADER))
        return class_complete(dev, irp, STATUS_INFO_LENGTH_MISMATCH, 0);
    if (property->disks_only && dev->read_only_type)
        return class_complete(dev, irp, STATUS_SUCCESS,
                              reply_property(dev, irp, property, &none));
    return ask_drive(dev, irp, property);
}

/* --- without a command ---------------------------------------------------- */

NTSTATUS NTAPI
class_device_number(class_device *dev, PIRP irp)
{
    PSTORAGE_DEVICE_NUMBER out = irp->AssociatedIrp.SystemBuffer;

    out->DeviceType = dev->fdo->DeviceType;
    out->DeviceNumber = dev->ext->DeviceNumber;
    out->PartitionNumber =
        dev->fdo->DeviceType == FILE_DEVICE_DISK ? 0 : 0xFFFFFFFF;
    return class_complete(dev, irp, STATUS_SUCCESS, sizeof *out);
}

NTSTATUS NTAPI
class_hotplug_info(class_device *dev, PIRP irp)
{
    PSTORAGE_HOTPLUG_INFO out = irp->AssociatedIrp.SystemBuffer;

    RtlZeroMemory(out, sizeof *out);
    out->Size = sizeof *out;
    out->MediaRemovable = dev->removable;
    out->DeviceHotplug = dev->hotplug;
    return class_complete(dev, irp, STATUS_SUCCESS, sizeof *out);
}

/* Only whether the drive may be pulled is a matter of opinion. */
NTSTATUS NTAPI
class_set_hotplug_info(class_device *dev, PIRP irp)
{
    PSTORAGE_HOTPLUG_INFO in = irp->AssociatedIrp.SystemBuffer;
    NTSTATUS status = STATUS_SUCCESS;

    if (in->Size != sizeof *in)
        status = STATUS_INVALID_PARAMETER_1;
    else if (in->MediaRemovable != dev->removable)
        status = STATUS_INVALID_PARAMETER_2;
    else if (in->MediaHotplug)
        status = STATUS_INVALID_PARAMETER_3;
    else if (in->WriteCacheEnableOverride)
        status = STATUS_INVALID_PARAMETER_5;
    if (NT_SUCCESS(status)) {
        dev->hotplug = in->DeviceHotplug != 0;
        status = class_keep_removal_policy(dev);
    }
    return class_complete(dev, irp, status, 0);
}
