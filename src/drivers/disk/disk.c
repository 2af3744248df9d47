/*
 * disk.c - disks: fixed, removable, floppy
 *
 * A miniclass driver of the storage class library, which owns transfers,
 * sense data, retries and media change detection; here is what is peculiar to
 * disks.  Written against the WDK headers alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "disk/disk.h"

#include "disk/floppy.h"
#include "disk/upkeep.h"
#include "fdo/fdo.h"

#define DISK_TIMEOUT_S 10

struct disk_data {
    struct fdo_data fdo;       /* first */
    BOOLEAN all_pages_refused; /* MODE SENSE knows single pages only */
};

#define EXTENSION_SIZE                                                         \
    (sizeof(FUNCTIONAL_DEVICE_EXTENSION) + sizeof(struct disk_data))

static CLASS_ADD_DEVICE disk_add_device;
static CLASS_INIT_DEVICE disk_init;
static CLASS_START_DEVICE disk_start;
static CLASS_REMOVE_DEVICE disk_remove;
static CLASS_DEVICE_CONTROL disk_control;
static CLASS_ERROR disk_error;
static CLASS_UNLOAD disk_unload;

NTSTATUS NTAPI
disk_driver_entry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    CLASS_INIT_DATA data = { .InitializationDataSize = sizeof data };

    data.FdoData.DeviceExtensionSize = EXTENSION_SIZE;
    data.FdoData.DeviceType = FILE_DEVICE_DISK;
    data.FdoData.DeviceCharacteristics = FILE_DEVICE_SECURE_OPEN;
    data.FdoData.ClassError = disk_error;
    data.FdoData.ClassDeviceControl = disk_control;
    data.FdoData.ClassInitDevice = disk_init;
    data.FdoData.ClassStartDevice = disk_start;
    data.FdoData.ClassRemoveDevice = disk_remove;
    data.FdoData.ClassPowerDevice = ClassSpinDownPowerHandler;
    data.ClassAddDevice = disk_add_device;
    data.ClassUnload = disk_unload;
    return (NTSTATUS) ClassInitialize(DriverObject, RegistryPath, &data);
}

static VOID NTAPI
disk_unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
}

/* --- life ----------------------------------------------------------------- */

static NTSTATUS NTAPI
disk_add_device(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT Pdo)
{
    const struct fdo_name name = { "\\Device\\Harddisk", "\\DR0",
                                   &IoGetConfigurationInformation()->DiskCount,
                                   &GUID_DEVINTERFACE_DISK };

    return fdo_add(DriverObject, Pdo, &name);
}

/* "FLOPPY" in the product name: as the INQUIRY data say, padded, upper case. */
static BOOLEAN
is_floppy(PFUNCTIONAL_DEVICE_EXTENSION ext)
{
    PSTORAGE_DEVICE_DESCRIPTOR device = ext->DeviceDescriptor;
    const char *product;

    if (!device->RemovableMedia || device->ProductIdOffset == 0 ||
        device->ProductIdOffset + 6 > device->Size)
        return FALSE;
    product = (const char *) device + device->ProductIdOffset;
    return RtlEqualMemory(product, "FLOPPY", 6);
}

static NTSTATUS NTAPI
disk_init(PDEVICE_OBJECT DeviceObject)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = DeviceObject->DeviceExtension;

    fdo_set_timeout(DeviceObject, DISK_TIMEOUT_S);
    ext->DeviceFlags |= DEV_SAFE_START_UNIT;
    if (is_floppy(ext))
        DeviceObject->Characteristics |= FILE_FLOPPY_DISKETTE;
    if (ext->DeviceDescriptor->RemovableMedia)
        ClassInitializeMediaChangeDetection(ext, (PUCHAR) "Disk");
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI
disk_start(PDEVICE_OBJECT DeviceObject)
{
    return fdo_start(DeviceObject);
}

static NTSTATUS NTAPI
disk_remove(PDEVICE_OBJECT DeviceObject, UCHAR Type)
{
    return fdo_remove(DeviceObject, Type);
}

/* --- errors --------------------------------------------------------------- */

static BOOLEAN
is_transfer(UCHAR opcode)
{
    return opcode == SCSIOP_READ || opcode == SCSIOP_WRITE ||
           opcode == SCSIOP_READ16 || opcode == SCSIOP_WRITE16;
}

/* A field of the CDB that the drive refuses: leave it out, and remember. */
static VOID
refused_field(PFUNCTIONAL_DEVICE_EXTENSION ext, PSCSI_REQUEST_BLOCK srb,
              NTSTATUS *status, BOOLEAN *retry)
{
    struct disk_data *data = ext->CommonExtension.DriverData;
    UCHAR opcode = srb->Cdb[0];

    if ((opcode == SCSIOP_WRITE || opcode == SCSIOP_WRITE16) &&
        srb->Cdb[1] & 0x08) {
        srb->Cdb[1] &= (UCHAR) ~0x08;
        ext->CdbForceUnitAccess = FALSE;
        ext->ScanForSpecialFlags |= CLASS_SPECIAL_FUA_NOT_SUPPORTED;
        *status = STATUS_IO_DEVICE_ERROR;
        *retry = TRUE;
    } else if (opcode == SCSIOP_MODE_SENSE &&
               (srb->Cdb[2] & 0x3f) == MODE_SENSE_RETURN_ALL) {
        srb->Cdb[2] = (UCHAR) ((srb->Cdb[2] & 0xc0) | MODE_PAGE_CACHING);
        data->all_pages_refused = TRUE;
        *retry = TRUE;
    }
}

/* ASC of a medium error: nothing on the track can be told from noise. */
static BOOLEAN
is_unformatted(UCHAR asc)
{
    return asc == 0x10 || asc == 0x12 || asc == 0x13 || asc == 0x14 ||
           asc == 0x30 || asc == 0x31;
}

/*
 * A floppy without a format is unrecognised; a bad sector on one that has a
 * format stays a data error.  And what was to be formatted may have been taken
 * out: a FORMAT UNIT that met a unit attention is not sent again.
 */
static VOID
floppy_error(PDEVICE_OBJECT fdo, const SCSI_REQUEST_BLOCK *srb,
             NTSTATUS *status, BOOLEAN *retry)
{
    const SENSE_DATA *sense = srb->SenseInfoBuffer;
    UCHAR key = sense->SenseKey & 0x0f;

    if (!is_floppy_device(fdo) || (sense->ErrorCode & 0x7f) >= 0x72)
        return;
    if (key == SCSI_SENSE_MEDIUM_ERROR &&
        is_unformatted(sense->AdditionalSenseCode)) {
        if (srb->Cdb[0] != SCSIOP_FORMAT_UNIT)
            *status = STATUS_UNRECOGNIZED_MEDIA;
        *retry = FALSE;
    }
    if (key == SCSI_SENSE_UNIT_ATTENTION && srb->Cdb[0] == SCSIOP_FORMAT_UNIT)
        *retry = FALSE;
}

/*
 * Unlike the sample driver this sets DO_VERIFY_VOLUME nowhere: the library has
 * done that, for mounted volumes only (Notifying the File System of Possible
 * Media Changes).
 */
static VOID NTAPI
disk_error(PDEVICE_OBJECT DeviceObject, PSCSI_REQUEST_BLOCK Srb,
           NTSTATUS *Status, BOOLEAN *Retry)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = DeviceObject->DeviceExtension;
    const SENSE_DATA *sense = Srb->SenseInfoBuffer;
    BOOLEAN sense_valid;

    if (*Status == STATUS_DATA_OVERRUN && is_transfer(Srb->Cdb[0])) {
        *Retry = TRUE;
        InterlockedIncrement((LONG volatile *) &ext->ErrorCount);
        return;
    }
    if (SRB_STATUS(Srb->SrbStatus) == SRB_STATUS_ERROR &&
        Srb->ScsiStatus == SCSISTAT_BUSY) {
        InterlockedIncrement((LONG volatile *) &ext->ErrorCount);
        return;
    }
    sense_valid = Srb->SrbStatus & SRB_STATUS_AUTOSENSE_VALID &&
                  sense != NULL && Srb->SenseInfoBufferLength >= 13;
    if (sense_valid)
        floppy_error(DeviceObject, Srb, Status, Retry);
    if (sense_valid && (sense->SenseKey & 0x0f) == SCSI_SENSE_ILLEGAL_REQUEST &&
        sense->AdditionalSenseCode == SCSI_ADSENSE_INVALID_CDB)
        refused_field(ext, Srb, Status, Retry);
}

/* --- control codes -------------------------------------------------------- */

/* The WP bit is in the header that comes with any page. */
static NTSTATUS
is_writable(PDEVICE_OBJECT fdo, PIRP irp)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;
    struct disk_data *data = ext->CommonExtension.DriverData;
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 6 };
    UCHAR reply[192] = { 0 };
    NTSTATUS status;

    srb.TimeOutValue = ext->TimeOutValue;
    srb.Cdb[0] = SCSIOP_MODE_SENSE;
    srb.Cdb[2] =
        data->all_pages_refused ? MODE_PAGE_CACHING : MODE_SENSE_RETURN_ALL;
    srb.Cdb[4] = sizeof reply;
    status = ClassSendSrbSynchronous(fdo, &srb, reply, sizeof reply, FALSE);
    if (NT_SUCCESS(status) && srb.DataTransferLength >= 3 && reply[2] & 0x80)
        status = STATUS_MEDIA_WRITE_PROTECTED;
    else if (status == STATUS_INVALID_DEVICE_REQUEST)
        status = STATUS_SUCCESS; /* nothing says that it is not */
    return fdo_complete(fdo, irp, status, 0);
}

static VOID
put_be(PUCHAR to, ULONGLONG value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, value >>= 8)
        to[i] = (UCHAR) value;
}

static NTSTATUS
verify(PDEVICE_OBJECT fdo, PIRP irp)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    PVERIFY_INFORMATION what = irp->AssociatedIrp.SystemBuffer;
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 16 };
    ULONGLONG first;
    ULONG blocks, mask = (1u << ext->SectorShift) - 1;

    if (at->Parameters.DeviceIoControl.InputBufferLength < sizeof *what)
        return fdo_complete(fdo, irp, STATUS_INFO_LENGTH_MISMATCH, 0);
    if (what->StartingOffset.QuadPart < 0 || ext->SectorShift == 0 ||
        ((ULONG) what->StartingOffset.QuadPart | what->Length) & mask)
        return fdo_complete(fdo, irp, STATUS_INVALID_PARAMETER, 0);
    first = (ULONGLONG) what->StartingOffset.QuadPart >> ext->SectorShift;
    blocks = what->Length >> ext->SectorShift;
    srb.TimeOutValue = ext->TimeOutValue + blocks / 128;
    if (first + blocks <= 0xffffffff && blocks <= 0xffff) {
        srb.CdbLength = 10;
        srb.Cdb[0] = SCSIOP_VERIFY;
        put_be(srb.Cdb + 2, first, 4);
        put_be(srb.Cdb + 7, blocks, 2);
    } else {
        srb.Cdb[0] = SCSIOP_VERIFY16;
        put_be(srb.Cdb + 2, first, 8);
        put_be(srb.Cdb + 10, blocks, 4);
    }
    return fdo_complete(fdo, irp,
                        ClassSendSrbSynchronous(fdo, &srb, NULL, 0, FALSE), 0);
}

static const struct {
    ULONG code;
    BOOLEAN floppies; /* of other disks the library knows as much */
    NTSTATUS (*handler)(PDEVICE_OBJECT fdo, PIRP irp);
} controls[] = {
    { IOCTL_DISK_IS_WRITABLE, FALSE, is_writable },
    { IOCTL_DISK_VERIFY, FALSE, verify },
    { IOCTL_DISK_GET_CACHE_INFORMATION, FALSE, disk_get_cache },
    { IOCTL_DISK_SET_CACHE_INFORMATION, FALSE, disk_set_cache },
    { IOCTL_DISK_REASSIGN_BLOCKS, FALSE, disk_reassign_blocks },
    { IOCTL_DISK_GET_MEDIA_TYPES, FALSE, floppy_media_types },
    { IOCTL_STORAGE_GET_MEDIA_TYPES, FALSE, floppy_media_types },
    { IOCTL_STORAGE_GET_MEDIA_TYPES_EX, TRUE, floppy_media_types_ex },
    { IOCTL_DISK_FORMAT_TRACKS, TRUE, floppy_format_tracks },
    { IOCTL_DISK_FORMAT_TRACKS_EX, TRUE, floppy_format_tracks },
    { IOCTL_DISK_GET_DRIVE_GEOMETRY, TRUE, floppy_geometry },
    { IOCTL_DISK_UPDATE_DRIVE_SIZE, TRUE, floppy_geometry },
    { IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, TRUE, floppy_geometry },
};

static NTSTATUS NTAPI
disk_control(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    ULONG code = IoGetCurrentIrpStackLocation(Irp)
                     ->Parameters.DeviceIoControl.IoControlCode;

    for (size_t i = 0; i < RTL_NUMBER_OF(controls); i++)
        if (controls[i].code == code &&
            (!controls[i].floppies || is_floppy_device(DeviceObject)))
            return controls[i].handler(DeviceObject, Irp);
    return ClassDeviceControl(DeviceObject, Irp);
}
