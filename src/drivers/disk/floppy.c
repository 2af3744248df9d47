/*
 * floppy.c - geometry and media types of disks; the formatting of floppies
 *
 * A floppy's geometry is asked of the drive: READ CAPACITY and the flexible
 * disk page.  The commands go past the library's own control codes, so that
 * they work while a volume is being verified.  Tracks are formatted with the
 * parameter list of UFI and SFF-8070 drives, one FORMAT UNIT for each.
 *
 * SPDX-License-Identifier: MIT
 */
#include "disk/floppy.h"

#include "fdo/fdo.h"

/* Media that are 512 bytes to the sector, smallest first. */
static const struct format {
    MEDIA_TYPE type;
    UCHAR cylinders, heads, sectors;
} formats[] = {
    { F5_160_512, 40, 1, 8 },    { F5_180_512, 40, 1, 9 },
    { F5_320_512, 40, 2, 8 },    { F5_360_512, 40, 2, 9 },
    { F3_640_512, 80, 2, 8 },    { F3_720_512, 80, 2, 9 },
    { F5_1Pt2_512, 80, 2, 15 },  { F3_1Pt44_512, 80, 2, 18 },
    { F3_2Pt88_512, 80, 2, 36 },
};

#define FORMATS RTL_NUMBER_OF(formats)

static ULONG
blocks_of(const struct format *format)
{
    return (ULONG) format->cylinders * format->heads * format->sectors;
}

static const struct format *
format_by_type(MEDIA_TYPE type)
{
    for (size_t i = 0; i < FORMATS; i++)
        if (formats[i].type == type)
            return &formats[i];
    return NULL;
}

static const struct format *
format_by_blocks(ULONGLONG blocks)
{
    for (size_t i = 0; i < FORMATS; i++)
        if (blocks_of(&formats[i]) == blocks)
            return &formats[i];
    return NULL;
}

static ULONG
be16(const UCHAR *at)
{
    return (ULONG) at[0] << 8 | at[1];
}

static ULONG
be32(const UCHAR *at)
{
    return be16(at) << 16 | be16(at + 2);
}

/* --- what the drive says -------------------------------------------------- */

struct ask {
    UCHAR cdb[12];
    UCHAR cdb_len;
    PUCHAR data;
    ULONG length;
};

/* *out_length: the bytes that came. */
static NTSTATUS
ask_drive(PDEVICE_OBJECT fdo, const struct ask *ask, ULONG *out_length)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;
    SCSI_REQUEST_BLOCK srb = { .CdbLength = ask->cdb_len };
    NTSTATUS status;

    RtlZeroMemory(ask->data, ask->length);
    RtlCopyMemory(srb.Cdb, ask->cdb, ask->cdb_len);
    srb.TimeOutValue = ext->TimeOutValue;
    status = ClassSendSrbSynchronous(fdo, &srb, ask->data, ask->length, FALSE);
    if (status == STATUS_DATA_OVERRUN)
        status = STATUS_SUCCESS; /* shorter than the room for it */
    if (NT_SUCCESS(status))
        *out_length = srb.DataTransferLength;
    return status;
}

static void
set_geometry(PDISK_GEOMETRY geometry, const struct format *format)
{
    geometry->Cylinders.QuadPart = format->cylinders;
    geometry->MediaType = format->type;
    geometry->TracksPerCylinder = format->heads;
    geometry->SectorsPerTrack = format->sectors;
    geometry->BytesPerSector = 512;
}

/* What a larger medium says of itself, if that makes sense. */
static void
read_flexible_page(PDEVICE_OBJECT fdo, ULONGLONG blocks,
                   PDISK_GEOMETRY geometry)
{
    UCHAR data[4 + 8 + 32];
    const struct ask ask = { { SCSIOP_MODE_SENSE, 0x08, MODE_PAGE_FLEXIBILE, 0,
                               sizeof data },
                             6,
                             data,
                             sizeof data };
    const UCHAR *page;
    ULONGLONG tracks;
    ULONG length = 0;

    if (!NT_SUCCESS(ask_drive(fdo, &ask, &length)) || length < 4u + 10)
        return;
    page = data + 4 + data[3];
    if (data[3] > 8 || length < 4u + data[3] + 10 ||
        (page[0] & 0x3f) != MODE_PAGE_FLEXIBILE)
        return;
    tracks = (ULONGLONG) page[4] * page[5];
    if (tracks == 0 || be16(page + 8) * tracks > blocks)
        return;
    geometry->TracksPerCylinder = page[4];
    geometry->SectorsPerTrack = page[5];
    geometry->Cylinders.QuadPart = (LONGLONG) (blocks / tracks);
}

/* *out_bytes: the size of the medium. */
static NTSTATUS
read_geometry(PDEVICE_OBJECT fdo, PDISK_GEOMETRY geometry, LONGLONG *out_bytes)
{
    UCHAR data[8];
    const struct ask ask = { { SCSIOP_READ_CAPACITY }, 10, data, sizeof data };
    const struct format *format;
    ULONG length = 0, block;
    ULONGLONG blocks;
    NTSTATUS status = ask_drive(fdo, &ask, &length);

    if (!NT_SUCCESS(status))
        return status;
    block = be32(data + 4);
    blocks = (ULONGLONG) be32(data) + 1;
    if (length < 8 || block < 512 || block > 0x10000 || block & (block - 1))
        return STATUS_UNRECOGNIZED_MEDIA;
    *out_bytes = (LONGLONG) (blocks * block);
    format = block == 512 ? format_by_blocks(blocks) : NULL;
    if (format != NULL) {
        set_geometry(geometry, format);
        return STATUS_SUCCESS;
    }
    geometry->MediaType =
        block == 512 && blocks == 963 * 8 * 32 ? F3_120M_512 : RemovableMedia;
    geometry->TracksPerCylinder = 64;
    geometry->SectorsPerTrack = 32;
    geometry->BytesPerSector = block;
    geometry->Cylinders.QuadPart = (LONGLONG) (blocks / (64 * 32));
    read_flexible_page(fdo, blocks, geometry);
    return STATUS_SUCCESS;
}

/* Both forms of the control code; of floppies only. */
NTSTATUS
floppy_geometry(PDEVICE_OBJECT fdo, PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    DISK_GEOMETRY_EX *out = irp->AssociatedIrp.SystemBuffer;
    ULONG need = at->Parameters.DeviceIoControl.IoControlCode ==
                         IOCTL_DISK_GET_DRIVE_GEOMETRY_EX
                     ? FIELD_OFFSET(DISK_GEOMETRY_EX, Data)
                     : sizeof(DISK_GEOMETRY);
    DISK_GEOMETRY geometry;
    LONGLONG bytes = 0;
    NTSTATUS status;

    if (fdo_room(irp) < need)
        return fdo_complete(fdo, irp, STATUS_BUFFER_TOO_SMALL, 0);
    status = read_geometry(fdo, &geometry, &bytes);
    if (NT_SUCCESS(status)) {
        out->Geometry = geometry;
        if (need > sizeof geometry)
            out->DiskSize.QuadPart = bytes;
    }
    return fdo_complete(fdo, irp, status, need);
}

/* --- media types ---------------------------------------------------------- */

/* What is in the drive, as a disk that is no floppy has it. */
static NTSTATUS
disk_geometry(PDEVICE_OBJECT fdo, PDISK_GEOMETRY geometry)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;
    NTSTATUS status = ClassReadDriveCapacity(fdo);

    if (NT_SUCCESS(status))
        *geometry = ext->DiskGeometry;
    return status;
}

/* Of a floppy drive all formats that it takes, medium or not, as many as there
 * is room for; of others the medium's. */
NTSTATUS
floppy_media_types(PDEVICE_OBJECT fdo, PIRP irp)
{
    PDISK_GEOMETRY out = irp->AssociatedIrp.SystemBuffer;
    ULONG room = fdo_room(irp) / sizeof *out;
    NTSTATUS status = STATUS_SUCCESS;
    DISK_GEOMETRY geometry;

    if (room == 0)
        return fdo_complete(fdo, irp, STATUS_BUFFER_TOO_SMALL, 0);
    if (!is_floppy_device(fdo)) {
        status = disk_geometry(fdo, &geometry);
        if (NT_SUCCESS(status))
            *out = geometry;
        return fdo_complete(fdo, irp, status, sizeof *out);
    }
    if (room < FORMATS)
        status = STATUS_BUFFER_OVERFLOW;
    else
        room = FORMATS;
    for (ULONG i = 0; i < room; i++)
        set_geometry(&out[i], &formats[i]);
    return fdo_complete(fdo, irp, status, room * sizeof *out);
}

static void
set_info(PDEVICE_MEDIA_INFO info, const DISK_GEOMETRY *geometry, ULONG traits)
{
    RtlZeroMemory(info, sizeof *info);
    info->DeviceSpecific.RemovableDiskInfo.Cylinders = geometry->Cylinders;
    info->DeviceSpecific.RemovableDiskInfo.MediaType =
        (STORAGE_MEDIA_TYPE) geometry->MediaType;
    info->DeviceSpecific.RemovableDiskInfo.TracksPerCylinder =
        geometry->TracksPerCylinder;
    info->DeviceSpecific.RemovableDiskInfo.SectorsPerTrack =
        geometry->SectorsPerTrack;
    info->DeviceSpecific.RemovableDiskInfo.BytesPerSector =
        geometry->BytesPerSector;
    info->DeviceSpecific.RemovableDiskInfo.NumberMediaSides =
        geometry->TracksPerCylinder == 1 ? 1 : 2;
    info->DeviceSpecific.RemovableDiskInfo.MediaCharacteristics = traits;
}

/* The WP bit is in the header that comes with any page. */
static ULONG
traits_of_medium(PDEVICE_OBJECT fdo)
{
    UCHAR data[4 + 8 + 32];
    const struct ask ask = { { SCSIOP_MODE_SENSE, 0x08, MODE_PAGE_CACHING, 0,
                               sizeof data },
                             6,
                             data,
                             sizeof data };
    ULONG length = 0, traits = MEDIA_CURRENTLY_MOUNTED | MEDIA_READ_WRITE;

    if (NT_SUCCESS(ask_drive(fdo, &ask, &length)) && length >= 3 &&
        data[2] & MODE_DSP_WRITE_PROTECT)
        traits |= MEDIA_WRITE_PROTECTED;
    return traits;
}

static ULONG
list_formats(PGET_MEDIA_TYPES out, ULONG room, const DISK_GEOMETRY *in_drive,
             ULONG traits)
{
    DISK_GEOMETRY geometry;

    for (ULONG i = 0; i < FORMATS && i < room; i++) {
        set_geometry(&geometry, &formats[i]);
        set_info(&out->MediaInfo[i], &geometry,
                 in_drive != NULL && in_drive->MediaType == formats[i].type
                     ? traits
                     : MEDIA_READ_WRITE);
    }
    return room < FORMATS ? room : FORMATS;
}

NTSTATUS
floppy_media_types_ex(PDEVICE_OBJECT fdo, PIRP irp)
{
    PGET_MEDIA_TYPES out = irp->AssociatedIrp.SystemBuffer;
    DISK_GEOMETRY geometry = { 0 };
    ULONG room, count, traits = 0;
    LONGLONG bytes;
    NTSTATUS status;

    if (fdo_room(irp) < sizeof *out)
        return fdo_complete(fdo, irp, STATUS_BUFFER_TOO_SMALL, 0);
    room = (fdo_room(irp) - FIELD_OFFSET(GET_MEDIA_TYPES, MediaInfo)) /
           sizeof out->MediaInfo[0];
    status = read_geometry(fdo, &geometry, &bytes);
    if (status == STATUS_VERIFY_REQUIRED)
        return fdo_complete(fdo, irp, status, 0);
    if (NT_SUCCESS(status))
        traits = traits_of_medium(fdo);
    count =
        list_formats(out, room, NT_SUCCESS(status) ? &geometry : NULL, traits);
    out->DeviceType = FILE_DEVICE_DISK;
    out->MediaInfoCount = count;
    return fdo_complete(
        fdo, irp, count < FORMATS ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS,
        FIELD_OFFSET(GET_MEDIA_TYPES, MediaInfo) +
            count * sizeof out->MediaInfo[0]);
}

/* --- formatting ----------------------------------------------------------- */

/* The sectors of a track in any order, each once. */
static BOOLEAN
is_layout(const USHORT *numbers, ULONG count)
{
    ULONGLONG seen = 0;

    for (ULONG i = 0; i < count; i++) {
        if (numbers[i] < 1 || numbers[i] > count || seen >> numbers[i] & 1)
            return FALSE;
        seen |= 1ull << numbers[i];
    }
    return TRUE;
}

/* The parameters behind those that both forms have. */
static BOOLEAN
extended_fits(PIRP irp, const struct format *format)
{
    const FORMAT_EX_PARAMETERS *ex = irp->AssociatedIrp.SystemBuffer;

    if (fdo_given(irp) < sizeof *ex)
        return FALSE;
    return ex->SectorsPerTrack == format->sectors &&
           fdo_given(irp) >= FIELD_OFFSET(FORMAT_EX_PARAMETERS, SectorNumber) +
                                 format->sectors * sizeof(USHORT) &&
           is_layout(ex->SectorNumber, format->sectors);
}

/* NULL: the parameters do not make sense. */
static const struct format *
check_parameters(PIRP irp, PFORMAT_PARAMETERS out)
{
    ULONG code = IoGetCurrentIrpStackLocation(irp)
                     ->Parameters.DeviceIoControl.IoControlCode;
    const struct format *format;

    if (fdo_given(irp) < sizeof *out)
        return NULL;
    RtlCopyMemory(out, irp->AssociatedIrp.SystemBuffer, sizeof *out);
    format = format_by_type(out->MediaType);
    if (format == NULL || out->StartCylinderNumber > out->EndCylinderNumber ||
        out->EndCylinderNumber >= format->cylinders ||
        out->StartHeadNumber > out->EndHeadNumber ||
        out->EndHeadNumber >= format->heads)
        return NULL;
    if (code == IOCTL_DISK_FORMAT_TRACKS_EX && !extended_fits(irp, format))
        return NULL;
    return format;
}

/* Whether what is in the drive can be given the format.  A drive that does not
 * tell will refuse by itself. */
static NTSTATUS
medium_takes(PDEVICE_OBJECT fdo, const struct format *format)
{
    UCHAR data[4 + 8 * 8];
    const struct ask ask = {
        { SCSIOP_READ_FORMATTED_CAPACITY, [8] = sizeof data },
        10,
        data,
        sizeof data
    };
    ULONG length = 0;
    NTSTATUS status = ask_drive(fdo, &ask, &length);

    if (status == STATUS_INVALID_DEVICE_REQUEST)
        return STATUS_SUCCESS;
    if (!NT_SUCCESS(status))
        return status;
    if (length > 4u + data[3])
        length = 4u + data[3];
    for (ULONG at = 4; at + 8 <= length; at += 8)
        if (be32(data + at) == blocks_of(format))
            return STATUS_SUCCESS;
    return STATUS_INVALID_PARAMETER;
}

static ULONG
media_changes(PDEVICE_OBJECT fdo)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;

    return (ULONG) InterlockedOr((LONG volatile *) &ext->MediaChangeCount, 0);
}

struct work {
    const struct format *format;
    ULONG changes; /* of the medium that is formatted, and no other */
};

static NTSTATUS
format_track(PDEVICE_OBJECT fdo, const struct work *work, ULONG cylinder,
             ULONG head)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 12 };
    ULONG blocks = blocks_of(work->format);
    UCHAR list[12] = { 0 };
    NTSTATUS status;

    srb.TimeOutValue = ext->TimeOutValue;
    srb.QueueSortKey = work->changes + 1; /* src/class/srb.c */
    srb.Cdb[0] = SCSIOP_FORMAT_UNIT;
    srb.Cdb[1] = 0x17; /* a parameter list; format 7 */
    srb.Cdb[2] = (UCHAR) cylinder;
    srb.Cdb[8] = sizeof list;
    list[1] = (UCHAR) (0xB0 | head); /* FOV, DCRT, single track; side */
    list[3] = 8;
    list[6] = (UCHAR) (blocks >> 8);
    list[7] = (UCHAR) blocks;
    list[10] = 512 >> 8;
    status = ClassSendSrbSynchronous(fdo, &srb, list, sizeof list, TRUE);
    /* To verify is for mounted volumes. */
    if (status == STATUS_VERIFY_REQUIRED &&
        !(InterlockedOr((LONG volatile *) &fdo->Flags, 0) & DO_VERIFY_VOLUME))
        status = STATUS_IO_DEVICE_ERROR;
    return status;
}

/* Goes on after a bad track; ends at anything else. */
static NTSTATUS
format_range(PDEVICE_OBJECT fdo, PIRP irp, const struct work *work,
             const FORMAT_PARAMETERS *what, ULONG *out_bad)
{
    BAD_TRACK_NUMBER *bad = irp->AssociatedIrp.SystemBuffer;
    ULONG room = fdo_room(irp) / sizeof *bad;
    NTSTATUS status;

    for (ULONG c = what->StartCylinderNumber; c <= what->EndCylinderNumber; c++)
        for (ULONG h = what->StartHeadNumber; h <= what->EndHeadNumber; h++) {
            status = format_track(fdo, work, c, h);
            if (status == STATUS_DEVICE_DATA_ERROR) {
                if (*out_bad == room)
                    return STATUS_BUFFER_TOO_SMALL;
                bad[(*out_bad)++] =
                    (BAD_TRACK_NUMBER) (c * work->format->heads + h);
            } else if (!NT_SUCCESS(status)) {
                return status;
            }
        }
    return STATUS_SUCCESS;
}

NTSTATUS
floppy_format_tracks(PDEVICE_OBJECT fdo, PIRP irp)
{
    struct work work = { .changes = media_changes(fdo) };
    FORMAT_PARAMETERS what;
    NTSTATUS status;
    ULONG bad = 0;

    work.format = check_parameters(irp, &what);
    if (work.format == NULL)
        return fdo_complete(fdo, irp, STATUS_INVALID_PARAMETER, 0);
    status = medium_takes(fdo, work.format);
    if (NT_SUCCESS(status))
        status = format_range(fdo, irp, &work, &what, &bad);
    return fdo_complete(fdo, irp, status, bad * sizeof(BAD_TRACK_NUMBER));
}
