/*
 * audio.c - what has to do with sound: raw sectors, playing, the Q channel
 *
 * The drive decides: one without audio refuses the command, and so does any
 * drive for a track that is none.  Written against the WDK headers alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cdrom/audio.h"

#include "fdo/fdo.h"

#define RAW_SECTOR    2352
#define COOKED_SECTOR 2048
#define PREGAP        150 /* blocks before address 0 */

/* The type that the drive is to expect, and what it is to send of a sector:
 * byte 1 and 9 of READ CD. */
static const struct {
    TRACK_MODE_TYPE mode;
    UCHAR expected, parts;
} raw_modes[] = {
    { YellowMode2, 3 << 2, 0xF8 },
    { XAForm2, 5 << 2, 0xF8 },
    { CDDA, 1 << 2, 0x10 },
};

static NTSTATUS
send(PDEVICE_OBJECT fdo, PSCSI_REQUEST_BLOCK srb, PVOID data, ULONG length)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;

    srb->TimeOutValue = ext->TimeOutValue;
    return ClassSendSrbSynchronous(fdo, srb, data, length, FALSE);
}

static ULONG
block_of(UCHAR minute, UCHAR second, UCHAR frame)
{
    return ((ULONG) minute * 60 + second) * 75 + frame;
}

/* --- raw sectors ---------------------------------------------------------- */

static NTSTATUS
read_some(PDEVICE_OBJECT fdo, int mode, ULONG block, ULONG sectors, PVOID to)
{
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 12 };

    srb.Cdb[0] = SCSIOP_READ_CD;
    srb.Cdb[1] = raw_modes[mode].expected;
    srb.Cdb[2] = (UCHAR) (block >> 24);
    srb.Cdb[3] = (UCHAR) (block >> 16);
    srb.Cdb[4] = (UCHAR) (block >> 8);
    srb.Cdb[5] = (UCHAR) block;
    srb.Cdb[6] = (UCHAR) (sectors >> 16);
    srb.Cdb[7] = (UCHAR) (sectors >> 8);
    srb.Cdb[8] = (UCHAR) sectors;
    srb.Cdb[9] = raw_modes[mode].parts;
    return send(fdo, &srb, to, sectors * RAW_SECTOR);
}

static NTSTATUS
check_raw(PIRP irp, const RAW_READ_INFO *what, int *out_mode)
{
    ULONGLONG first = (ULONGLONG) what->DiskOffset.QuadPart / COOKED_SECTOR;

    for (*out_mode = 0; *out_mode < (int) RTL_NUMBER_OF(raw_modes);
         (*out_mode)++)
        if (raw_modes[*out_mode].mode == what->TrackMode)
            break;
    if (*out_mode == (int) RTL_NUMBER_OF(raw_modes))
        return STATUS_INVALID_DEVICE_REQUEST;
    if (what->SectorCount == 0 || what->DiskOffset.QuadPart < 0 ||
        what->SectorCount > 0xffffffff / RAW_SECTOR ||
        first + what->SectorCount > 0xffffffff)
        return STATUS_INVALID_PARAMETER;
    if (fdo_room(irp) < what->SectorCount * RAW_SECTOR)
        return STATUS_BUFFER_TOO_SMALL;
    return STATUS_SUCCESS;
}

NTSTATUS
cdrom_raw_read(PDEVICE_OBJECT fdo, PIRP irp)
{
    PFUNCTIONAL_DEVICE_EXTENSION ext = fdo->DeviceExtension;
    ULONG most = ext->AdapterDescriptor->MaximumTransferLength / RAW_SECTOR;
    ULONG block, done = 0;
    RAW_READ_INFO what;
    NTSTATUS status;
    PUCHAR to;
    int mode;

    if (fdo_given(irp) < sizeof what)
        return fdo_complete(fdo, irp, STATUS_INFO_LENGTH_MISMATCH, 0);
    RtlCopyMemory(&what, irp->AssociatedIrp.SystemBuffer, sizeof what);
    status = check_raw(irp, &what, &mode);
    if (!NT_SUCCESS(status))
        return fdo_complete(fdo, irp, status, 0);
    to = MmGetSystemAddressForMdlSafe(irp->MdlAddress, NormalPagePriority);
    if (to == NULL)
        return fdo_complete(fdo, irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    block = (ULONG) (what.DiskOffset.QuadPart / COOKED_SECTOR);
    if (most == 0)
        most = 1;
    while (NT_SUCCESS(status) && done < what.SectorCount) {
        ULONG now = what.SectorCount - done;

        if (now > most)
            now = most;
        status = read_some(fdo, mode, block + done, now,
                           to + (SIZE_T) done * RAW_SECTOR);
        done += now;
    }
    return fdo_complete(fdo, irp, status, what.SectorCount * RAW_SECTOR);
}

/* --- playing -------------------------------------------------------------- */

NTSTATUS
cdrom_play(PDEVICE_OBJECT fdo, PIRP irp)
{
    const CDROM_PLAY_AUDIO_MSF *what = irp->AssociatedIrp.SystemBuffer;
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 10 };

    if (fdo_given(irp) < sizeof *what)
        return fdo_complete(fdo, irp, STATUS_INFO_LENGTH_MISMATCH, 0);
    srb.Cdb[0] = SCSIOP_PLAY_AUDIO_MSF;
    RtlCopyMemory(srb.Cdb + 3, what, sizeof *what);
    return fdo_complete(fdo, irp, send(fdo, &srb, NULL, 0), 0);
}

NTSTATUS
cdrom_seek(PDEVICE_OBJECT fdo, PIRP irp)
{
    const CDROM_SEEK_AUDIO_MSF *what = irp->AssociatedIrp.SystemBuffer;
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 10 };
    ULONG block;

    if (fdo_given(irp) < sizeof *what)
        return fdo_complete(fdo, irp, STATUS_INFO_LENGTH_MISMATCH, 0);
    block = block_of(what->M, what->S, what->F);
    if (block < PREGAP)
        return fdo_complete(fdo, irp, STATUS_INVALID_PARAMETER, 0);
    block -= PREGAP;
    srb.Cdb[0] = SCSIOP_SEEK;
    srb.Cdb[3] = (UCHAR) (block >> 16);
    srb.Cdb[4] = (UCHAR) (block >> 8);
    srb.Cdb[5] = (UCHAR) block;
    return fdo_complete(fdo, irp, send(fdo, &srb, NULL, 0), 0);
}

static NTSTATUS
pause_or_resume(PDEVICE_OBJECT fdo, PIRP irp, UCHAR resume)
{
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 10 };

    srb.Cdb[0] = SCSIOP_PAUSE_RESUME;
    srb.Cdb[8] = resume;
    return fdo_complete(fdo, irp, send(fdo, &srb, NULL, 0), 0);
}

NTSTATUS
cdrom_pause(PDEVICE_OBJECT fdo, PIRP irp)
{
    return pause_or_resume(fdo, irp, 0);
}

NTSTATUS
cdrom_resume(PDEVICE_OBJECT fdo, PIRP irp)
{
    return pause_or_resume(fdo, irp, 1);
}

/* The disc stops turning. */
NTSTATUS
cdrom_stop(PDEVICE_OBJECT fdo, PIRP irp)
{
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 6 };

    srb.Cdb[0] = SCSIOP_START_STOP_UNIT;
    srb.Cdb[1] = 0x01; /* at once */
    return fdo_complete(fdo, irp, send(fdo, &srb, NULL, 0), 0);
}

/* --- the Q channel -------------------------------------------------------- */

NTSTATUS
cdrom_read_q(PDEVICE_OBJECT fdo, PIRP irp)
{
    static const UCHAR lengths[] = {
        [IOCTL_CDROM_CURRENT_POSITION] = 16,
        [IOCTL_CDROM_MEDIA_CATALOG] = 24,
        [IOCTL_CDROM_TRACK_ISRC] = 24,
    };
    CDROM_SUB_Q_DATA_FORMAT what;
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 10 };
    PUCHAR out = irp->AssociatedIrp.SystemBuffer;
    NTSTATUS status;

    if (fdo_given(irp) < sizeof what)
        return fdo_complete(fdo, irp, STATUS_INFO_LENGTH_MISMATCH, 0);
    RtlCopyMemory(&what, out, sizeof what);
    if (what.Format >= RTL_NUMBER_OF(lengths) || lengths[what.Format] == 0)
        return fdo_complete(fdo, irp, STATUS_INVALID_PARAMETER, 0);
    if (fdo_room(irp) < lengths[what.Format])
        return fdo_complete(fdo, irp, STATUS_BUFFER_TOO_SMALL, 0);
    RtlZeroMemory(out, lengths[what.Format]);
    srb.Cdb[0] = SCSIOP_READ_SUB_CHANNEL;
    srb.Cdb[1] = 0x02; /* minutes */
    srb.Cdb[2] = 0x40; /* the Q channel */
    srb.Cdb[3] = what.Format;
    srb.Cdb[6] = what.Format == IOCTL_CDROM_TRACK_ISRC ? what.Track : 0;
    srb.Cdb[8] = lengths[what.Format];
    status = send(fdo, &srb, out, lengths[what.Format]);
    return fdo_complete(fdo, irp, status, srb.DataTransferLength);
}
