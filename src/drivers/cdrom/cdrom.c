/*
 * cdrom.c - CD and DVD drives that read
 *
 * A miniclass driver of the storage class library; here are the table of
 * contents and what such drives mean by some sense data.  Written against the
 * WDK headers alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cdrom/cdrom.h"

#include <ntddcdvd.h>

#include "cdrom/audio.h"
#include "cdrom/device.h"
#include "fdo/sense.h"

#define CDROM_TIMEOUT_S 10

static CLASS_ADD_DEVICE cdrom_add_device;
static CLASS_INIT_DEVICE cdrom_init;
static CLASS_START_DEVICE cdrom_start;
static CLASS_REMOVE_DEVICE cdrom_remove;
static CLASS_READ_WRITE cdrom_read_write;
static CLASS_DEVICE_CONTROL cdrom_control;
static CLASS_ERROR cdrom_error;
static CLASS_CREATE_CLOSE cdrom_create_close;
static CLASS_UNLOAD cdrom_unload;
static DRIVER_DISPATCH cdrom_cleanup;

static PDRIVER_DISPATCH library_cleanup; /* the class library's */

NTSTATUS NTAPI
cdrom_driver_entry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    CLASS_INIT_DATA data = { .InitializationDataSize = sizeof data };
    NTSTATUS status;

    data.FdoData.DeviceExtensionSize =
        sizeof(FUNCTIONAL_DEVICE_EXTENSION) + sizeof(struct cdrom_data);
    data.FdoData.DeviceType = FILE_DEVICE_CD_ROM;
    data.FdoData.DeviceCharacteristics =
        FILE_REMOVABLE_MEDIA | FILE_READ_ONLY_DEVICE | FILE_DEVICE_SECURE_OPEN;
    data.FdoData.ClassError = cdrom_error;
    data.FdoData.ClassReadWriteVerification = cdrom_read_write;
    data.FdoData.ClassDeviceControl = cdrom_control;
    data.FdoData.ClassInitDevice = cdrom_init;
    data.FdoData.ClassStartDevice = cdrom_start;
    data.FdoData.ClassRemoveDevice = cdrom_remove;
    data.FdoData.ClassCreateClose = cdrom_create_close;
    data.ClassAddDevice = cdrom_add_device;
    data.ClassUnload = cdrom_unload;
    status = (NTSTATUS) ClassInitialize(DriverObject, RegistryPath, &data);
    if (!NT_SUCCESS(status))
        return status;
    /* The library tells its drivers of a close, not of a cleanup. */
    library_cleanup = DriverObject->MajorFunction[IRP_MJ_CLEANUP];
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = cdrom_cleanup;
    return STATUS_SUCCESS;
}

static VOID NTAPI
cdrom_unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
}

/* --- life ----------------------------------------------------------------- */

static NTSTATUS NTAPI
cdrom_add_device(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT Pdo)
{
    const struct fdo_name name = { "\\Device\\CdRom", "",
                                   &IoGetConfigurationInformation()->CdRomCount,
                                   &GUID_DEVINTERFACE_CDROM };

    return fdo_add(DriverObject, Pdo, &name);
}

static NTSTATUS NTAPI
cdrom_init(PDEVICE_OBJECT DeviceObject)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = DeviceObject->DeviceExtension;

    if (!cdrom_exclusive_init(DeviceObject) || !cdrom_speed_init(DeviceObject))
        return STATUS_INSUFFICIENT_RESOURCES;
    fdo_set_timeout(DeviceObject, CDROM_TIMEOUT_S);
    ext->DeviceFlags |= DEV_SAFE_START_UNIT;
    ClassInitializeMediaChangeDetection(ext, (PUCHAR) "CdRom");
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI
cdrom_start(PDEVICE_OBJECT DeviceObject)
{
    return fdo_start(DeviceObject);
}

static NTSTATUS NTAPI
cdrom_remove(PDEVICE_OBJECT DeviceObject, UCHAR Type)
{
    if (Type == IRP_MN_REMOVE_DEVICE) {
        cdrom_speed_end(DeviceObject);
        cdrom_exclusive_end(DeviceObject);
    }
    return fdo_remove(DeviceObject, Type);
}

static NTSTATUS NTAPI
cdrom_create_close(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(Irp);

    if (at->MajorFunction == IRP_MJ_CREATE) {
        cdrom_exclusive_opened(DeviceObject, at->FileObject);
        return fdo_complete(DeviceObject, Irp, STATUS_SUCCESS, FILE_OPENED);
    }
    cdrom_exclusive_closed(DeviceObject, at->FileObject);
    return fdo_complete(DeviceObject, Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI
cdrom_cleanup(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    cdrom_exclusive_closed(DeviceObject,
                           IoGetCurrentIrpStackLocation(Irp)->FileObject);
    return library_cleanup(DeviceObject, Irp);
}

static NTSTATUS NTAPI
cdrom_read_write(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(Irp);
    PFILE_OBJECT owner = cdrom_owner(DeviceObject);

    if (owner != NULL && owner != at->FileObject)
        return STATUS_ACCESS_DENIED;
    return at->MajorFunction == IRP_MJ_WRITE ? STATUS_MEDIA_WRITE_PROTECTED
                                             : STATUS_SUCCESS;
}

/* --- errors --------------------------------------------------------------- */

#define ANY 0x100

/* Where these drives differ from the library's table. */
static const struct {
    USHORT key, asc, ascq;
    BOOLEAN transfers_only;
    BOOLEAN retry;
    NTSTATUS status;
} meanings[] = {
    { ANY, 0x04, 0x08, TRUE, TRUE, STATUS_DEVICE_NOT_READY },
    { ANY, 0x30, 0x02, FALSE, FALSE, STATUS_UNRECOGNIZED_MEDIA },
    { ANY, 0x57, 0x00, FALSE, FALSE, STATUS_UNRECOGNIZED_MEDIA },
    { ANY, 0x64, ANY, FALSE, FALSE, STATUS_INVALID_DEVICE_REQUEST },
    { 0x7, ANY, ANY, FALSE, FALSE, STATUS_MEDIA_WRITE_PROTECTED },
    { 0x4, ANY, ANY, FALSE, TRUE, STATUS_IO_DEVICE_ERROR },
};

static BOOLEAN
fits(USHORT want, UCHAR is)
{
    return want == ANY || want == is;
}

static BOOLEAN
is_read(const SCSI_REQUEST_BLOCK *srb)
{
    return srb->Cdb[0] == SCSIOP_READ || srb->Cdb[0] == SCSIOP_READ_CD ||
           srb->Cdb[0] == SCSIOP_READ12;
}

static VOID NTAPI
cdrom_error(PDEVICE_OBJECT DeviceObject, PSCSI_REQUEST_BLOCK Srb,
            NTSTATUS *Status, BOOLEAN *Retry)
{
    const SENSE_DATA *sense = Srb->SenseInfoBuffer;
    struct fdo_sense what;

    if (fdo_sense_of(Srb, &what) && what.key == SCSI_SENSE_UNIT_ATTENTION &&
        what.asc == SCSI_ADSENSE_MEDIUM_CHANGED)
        cdrom_speed_changed(DeviceObject);
    if (!(Srb->SrbStatus & SRB_STATUS_AUTOSENSE_VALID) || sense == NULL ||
        Srb->SenseInfoBufferLength < 14)
        return;
    for (size_t i = 0; i < RTL_NUMBER_OF(meanings); i++) {
        if (!fits(meanings[i].key, sense->SenseKey) ||
            !fits(meanings[i].asc, sense->AdditionalSenseCode) ||
            !fits(meanings[i].ascq, sense->AdditionalSenseCodeQualifier) ||
            (meanings[i].transfers_only && !is_read(Srb)))
            continue;
        *Status = meanings[i].status;
        *Retry = meanings[i].retry;
        return;
    }
}

/* --- control codes -------------------------------------------------------- */

static NTSTATUS
send_read_toc(PDEVICE_OBJECT fdo, const CDROM_READ_TOC_EX *what, PVOID reply,
              ULONG *length)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 10 };
    ULONG room = *length > 0xffff ? 0xffff : *length;
    NTSTATUS status;

    RtlZeroMemory(reply, *length);
    srb.TimeOutValue = ext->TimeOutValue;
    srb.Cdb[0] = SCSIOP_READ_TOC;
    srb.Cdb[1] = what->Msf ? 0x02 : 0x00;
    srb.Cdb[2] = what->Format;
    srb.Cdb[6] = what->SessionTrack;
    srb.Cdb[7] = (UCHAR) (room >> 8);
    srb.Cdb[8] = (UCHAR) room;
    status = ClassSendSrbSynchronous(fdo, &srb, reply, room, FALSE);
    if (status == STATUS_DATA_OVERRUN)
        status = STATUS_SUCCESS; /* shorter than the room for it */
    if (NT_SUCCESS(status))
        *length = srb.DataTransferLength;
    return status;
}

static NTSTATUS
read_toc(PDEVICE_OBJECT fdo, PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    CDROM_READ_TOC_EX what = { .Msf = 1 };
    ULONG length = at->Parameters.DeviceIoControl.OutputBufferLength;
    NTSTATUS status;

    if (length < FIELD_OFFSET(CDROM_TOC, TrackData))
        return fdo_complete(fdo, irp, STATUS_BUFFER_TOO_SMALL, 0);
    if (length > sizeof(CDROM_TOC))
        length = sizeof(CDROM_TOC);
    status =
        send_read_toc(fdo, &what, irp->AssociatedIrp.SystemBuffer, &length);
    return fdo_complete(fdo, irp, status, length);
}

static NTSTATUS
read_toc_ex(PDEVICE_OBJECT fdo, PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    ULONG length = at->Parameters.DeviceIoControl.OutputBufferLength;
    CDROM_READ_TOC_EX what;
    NTSTATUS status;

    if (at->Parameters.DeviceIoControl.InputBufferLength < sizeof what)
        return fdo_complete(fdo, irp, STATUS_INFO_LENGTH_MISMATCH, 0);
    if (length < 4)
        return fdo_complete(fdo, irp, STATUS_BUFFER_TOO_SMALL, 0);
    RtlCopyMemory(&what, irp->AssociatedIrp.SystemBuffer, sizeof what);
    if (what.Reserved1 || what.Reserved2 || what.Reserved3 ||
        what.Format > CDROM_READ_TOC_EX_FORMAT_CDTEXT)
        return fdo_complete(fdo, irp, STATUS_INVALID_PARAMETER, 0);
    status =
        send_read_toc(fdo, &what, irp->AssociatedIrp.SystemBuffer, &length);
    return fdo_complete(fdo, irp, status, length);
}

static NTSTATUS
last_session(PDEVICE_OBJECT fdo, PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    CDROM_READ_TOC_EX what = { .Format = CDROM_READ_TOC_EX_FORMAT_SESSION };
    ULONG length = sizeof(CDROM_TOC_SESSION_DATA);
    NTSTATUS status;

    if (at->Parameters.DeviceIoControl.OutputBufferLength < length)
        return fdo_complete(fdo, irp, STATUS_BUFFER_TOO_SMALL, 0);
    status =
        send_read_toc(fdo, &what, irp->AssociatedIrp.SystemBuffer, &length);
    return fdo_complete(fdo, irp, status, length);
}

/* Bit 2 of a track's control nibble: data. */
static NTSTATUS
disk_type(PDEVICE_OBJECT fdo, PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    CDROM_READ_TOC_EX what = { .Msf = 1 };
    PCDROM_DISK_DATA out = irp->AssociatedIrp.SystemBuffer;
    ULONG length = sizeof(CDROM_TOC);
    NTSTATUS status;
    PCDROM_TOC toc;

    if (at->Parameters.DeviceIoControl.OutputBufferLength < sizeof *out)
        return fdo_complete(fdo, irp, STATUS_BUFFER_TOO_SMALL, 0);
    toc = ExAllocatePoolWithTag(NonPagedPool, sizeof *toc, 0x206f7443);
    if (toc == NULL)
        return fdo_complete(fdo, irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    status = send_read_toc(fdo, &what, toc, &length);
    if (NT_SUCCESS(status)) {
        ULONG tracks = length < 4 ? 0 : (length - 4) / sizeof(TRACK_DATA);

        out->DiskData = 0;
        for (ULONG i = 0; i < tracks; i++)
            if (toc->TrackData[i].TrackNumber <= MAXIMUM_NUMBER_TRACKS)
                out->DiskData |= toc->TrackData[i].Control & 0x04
                                     ? CDROM_DISK_DATA_TRACK
                                     : CDROM_DISK_AUDIO_TRACK;
    }
    ExFreePoolWithTag(toc, 0x206f7443);
    return fdo_complete(fdo, irp, status, sizeof *out);
}

/* The medium in the drive, by the profile that the drive gives it. */
static STORAGE_MEDIA_TYPE
media_type(PDEVICE_OBJECT fdo)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 10 };
    UCHAR header[8] = { 0 };
    ULONG profile;

    srb.TimeOutValue = ext->TimeOutValue;
    srb.Cdb[0] = SCSIOP_GET_CONFIGURATION;
    srb.Cdb[1] = 0x02; /* no feature but the one it begins with */
    srb.Cdb[8] = sizeof header;
    if (!NT_SUCCESS(
            ClassSendSrbSynchronous(fdo, &srb, header, sizeof header, FALSE)))
        return CD_ROM;
    profile = (ULONG) header[6] << 8 | header[7];
    return profile >= 0x10 && profile < 0x40 ? DVD_ROM : CD_ROM;
}

static NTSTATUS
media_types_ex(PDEVICE_OBJECT fdo, PIRP irp)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;
    PGET_MEDIA_TYPES out = irp->AssociatedIrp.SystemBuffer;
    ULONG traits = MEDIA_READ_ONLY;
    PDEVICE_MEDIA_INFO info;
    STORAGE_MEDIA_TYPE type;
    NTSTATUS status;

    if (fdo_room(irp) < sizeof *out)
        return fdo_complete(fdo, irp, STATUS_BUFFER_TOO_SMALL, 0);
    status = ClassReadDriveCapacity(fdo);
    if (status == STATUS_VERIFY_REQUIRED)
        return fdo_complete(fdo, irp, status, 0);
    type = media_type(fdo);
    RtlZeroMemory(out, sizeof *out);
    info = out->MediaInfo;
    out->DeviceType = FILE_DEVICE_CD_ROM;
    out->MediaInfoCount = 1;
    if (NT_SUCCESS(status)) {
        const DISK_GEOMETRY *geometry = &ext->DiskGeometry;

        traits |= MEDIA_CURRENTLY_MOUNTED;
        info->DeviceSpecific.RemovableDiskInfo.Cylinders = geometry->Cylinders;
        info->DeviceSpecific.RemovableDiskInfo.TracksPerCylinder =
            geometry->TracksPerCylinder;
        info->DeviceSpecific.RemovableDiskInfo.SectorsPerTrack =
            geometry->SectorsPerTrack;
        info->DeviceSpecific.RemovableDiskInfo.BytesPerSector =
            geometry->BytesPerSector;
    }
    info->DeviceSpecific.RemovableDiskInfo.MediaType = type;
    info->DeviceSpecific.RemovableDiskInfo.NumberMediaSides = 1;
    info->DeviceSpecific.RemovableDiskInfo.MediaCharacteristics = traits;
    return fdo_complete(fdo, irp, STATUS_SUCCESS, sizeof *out);
}

static NTSTATUS
is_writable(PDEVICE_OBJECT fdo, PIRP irp)
{
    return fdo_complete(fdo, irp, STATUS_MEDIA_WRITE_PROTECTED, 0);
}

static const struct {
    ULONG code;
    NTSTATUS (*handler)(PDEVICE_OBJECT fdo, PIRP irp);
} controls[] = {
    { IOCTL_CDROM_READ_TOC, read_toc },
    { IOCTL_CDROM_READ_TOC_EX, read_toc_ex },
    { IOCTL_CDROM_GET_LAST_SESSION, last_session },
    { IOCTL_CDROM_DISK_TYPE, disk_type },
    { IOCTL_CDROM_RAW_READ, cdrom_raw_read },
    { IOCTL_CDROM_PLAY_AUDIO_MSF, cdrom_play },
    { IOCTL_CDROM_SEEK_AUDIO_MSF, cdrom_seek },
    { IOCTL_CDROM_PAUSE_AUDIO, cdrom_pause },
    { IOCTL_CDROM_RESUME_AUDIO, cdrom_resume },
    { IOCTL_CDROM_STOP_AUDIO, cdrom_stop },
    { IOCTL_CDROM_READ_Q_CHANNEL, cdrom_read_q },
    { IOCTL_CDROM_GET_CONFIGURATION, cdrom_get_configuration },
    { IOCTL_CDROM_EXCLUSIVE_ACCESS, cdrom_exclusive },
    { IOCTL_CDROM_SET_SPEED, cdrom_set_speed },
    { IOCTL_CDROM_GET_INQUIRY_DATA, cdrom_get_inquiry },
    { IOCTL_CDROM_SEND_OPC_INFORMATION, cdrom_send_opc },
    { IOCTL_CDROM_GET_PERFORMANCE, cdrom_get_performance },
    { IOCTL_CDROM_ENABLE_STREAMING, cdrom_enable_streaming },
    { IOCTL_DVD_READ_STRUCTURE, cdrom_dvd_structure },
    { IOCTL_DVD_SET_READ_AHEAD, cdrom_set_read_ahead },
    { IOCTL_STORAGE_SET_READ_AHEAD, cdrom_set_read_ahead },
    { IOCTL_DISK_IS_WRITABLE, is_writable },
    { IOCTL_STORAGE_GET_MEDIA_TYPES_EX, media_types_ex },
};

static NTSTATUS NTAPI
cdrom_control(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(Irp);

    if (cdrom_exclusive_bars(DeviceObject, Irp))
        return fdo_complete(DeviceObject, Irp, STATUS_ACCESS_DENIED, 0);
    for (size_t i = 0; i < RTL_NUMBER_OF(controls); i++)
        if (controls[i].code == at->Parameters.DeviceIoControl.IoControlCode)
            return controls[i].handler(DeviceObject, Irp);
    return ClassDeviceControl(DeviceObject, Irp);
}
