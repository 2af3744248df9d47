/*
 * vpb.c - the volume's parameter block: what it says, on which drive it is
 *
 * Context: PASSIVE_LEVEL.  Takes the VPB lock and the volume's, one at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/medium.h"

#include <string.h>

/* The first eight hexadecimal digits of its UUID, which is what a FAT volume's
 * serial number is. */
static ULONG
serial_of(const char *uuid)
{
    ULONG serial = 0;
    int digits = 0;

    for (const char *p = uuid; *p != '\0' && digits < 8; p++) {
        char c = *p | 0x20;

        if (*p == '-')
            continue;
        if (!(*p >= '0' && *p <= '9') && !(c >= 'a' && c <= 'f'))
            break;
        serial = serial << 4 | (ULONG) (*p <= '9' ? *p - '0' : c - 'a' + 10);
        digits++;
    }
    return serial;
}

void
fs_label_vpb(struct volume *volume)
{
    char label[sizeof volume->id.label], uuid[sizeof volume->id.uuid];
    PVPB vpb = volume->vpb;
    USHORT n = 0;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    memcpy(label, volume->id.label, sizeof label);
    memcpy(uuid, volume->id.uuid, sizeof uuid);
    KeReleaseSpinLock(&volume->lock, irql);
    IoAcquireVpbSpinLock(&irql);
    for (const char *p = label;
         *p != '\0' && n < MAXIMUM_VOLUME_LABEL_LENGTH / sizeof(WCHAR); p++)
        vpb->VolumeLabel[n++] = (UCHAR) *p;
    vpb->VolumeLabelLength = (USHORT) (n * sizeof(WCHAR));
    vpb->SerialNumber = serial_of(uuid);
    IoReleaseVpbSpinLock(irql);
}

PVPB
fs_new_vpb(PDEVICE_OBJECT real)
{
    PVPB vpb = ExAllocatePoolWithTag(NonPagedPool, sizeof *vpb, 'bpV ');

    if (vpb != NULL) {
        RtlZeroMemory(vpb, sizeof *vpb);
        vpb->Type = IO_TYPE_VPB;
        vpb->Size = sizeof *vpb;
        vpb->RealDevice = real;
    }
    return vpb;
}

/*
 * The volume's own VPB goes onto the drive that the medium is in now, so that
 * everything opened before works again; the one that the mount brought is
 * thrown away.  A drive that it is taken from gets an empty one.
 */
NTSTATUS
fs_move_vpb(struct volume *volume, PDEVICE_OBJECT real, PVPB brought,
            PDEVICE_OBJECT *out_left)
{
    PDEVICE_OBJECT from = volume->vpb->RealDevice;
    PVPB spare = fs_new_vpb(from);
    BOOLEAN unused;
    KIRQL irql;

    if (spare == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    IoAcquireVpbSpinLock(&irql);
    if (from != real && from->Vpb == volume->vpb) {
        spare->Flags = volume->vpb->Flags & VPB_REMOVE_PENDING;
        from->Vpb = spare;
        spare = NULL;
        *out_left = from;
    }
    volume->vpb->RealDevice = real;
    volume->vpb->Flags |= VPB_MOUNTED;
    real->Vpb = volume->vpb;
    unused = brought != volume->vpb && brought->ReferenceCount == 0;
    IoReleaseVpbSpinLock(irql);
    if (unused)
        ExFreePool(brought);
    if (spare != NULL)
        ExFreePool(spare);
    return STATUS_SUCCESS;
}
