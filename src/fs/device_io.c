/*
 * device_io.c - the file system's own requests to a drive
 *
 * Synchronous; all but fs_check_verify carry SL_OVERRIDE_VERIFY_VOLUME, for
 * they are how a volume is verified.  Reads name the media change count that
 * they are meant for, so one volume is never put together from two media.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

#include <ntddcdrm.h>
#include <ntdddisk.h>
#include <ntddstor.h>

static NTSTATUS
call_and_wait(PDEVICE_OBJECT target, PIRP irp, PKEVENT event,
              IO_STATUS_BLOCK *iosb)
{
    NTSTATUS status = IoCallDriver(target, irp);

    if (status == STATUS_PENDING) {
        KeWaitForSingleObject(event, Executive, KernelMode, FALSE, NULL);
        status = iosb->Status;
    }
    return status;
}

static NTSTATUS
control(PDEVICE_OBJECT target, UCHAR flags, ULONG code, const void *in,
        ULONG in_len, void *out, ULONG out_len, ULONG_PTR *out_information)
{
    IO_STATUS_BLOCK iosb = { 0 };
    NTSTATUS status;
    KEVENT event;
    PIRP irp;

    KeInitializeEvent(&event, NotificationEvent, FALSE);
    irp = IoBuildDeviceIoControlRequest(code, target, (PVOID) in, in_len, out,
                                        out_len, FALSE, &event, &iosb);
    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    IoGetNextIrpStackLocation(irp)->Flags |= flags;
    status = call_and_wait(target, irp, &event, &iosb);
    if (NT_SUCCESS(status) && out_information != NULL)
        *out_information = iosb.Information;
    return status;
}

NTSTATUS
fs_ioctl(PDEVICE_OBJECT target, ULONG code, const void *in, ULONG in_len,
         void *out, ULONG out_len, ULONG_PTR *out_information)
{
    return control(target, SL_OVERRIDE_VERIFY_VOLUME, code, in, in_len, out,
                   out_len, out_information);
}

static NTSTATUS
count_of(PDEVICE_OBJECT target, UCHAR flags, ULONG *out_count)
{
    ULONG count = 0;
    ULONG_PTR information = 0;
    NTSTATUS status = control(target, flags, IOCTL_STORAGE_CHECK_VERIFY, NULL,
                              0, &count, sizeof count, &information);

    if (NT_SUCCESS(status))
        *out_count = information == sizeof count ? count : 0;
    return status;
}

/* Is there a medium, and which change was the last? */
NTSTATUS
fs_media_count(PDEVICE_OBJECT target, ULONG *out_count)
{
    return count_of(target, SL_OVERRIDE_VERIFY_VOLUME, out_count);
}

NTSTATUS
fs_check_verify(PDEVICE_OBJECT target, ULONG *out_count)
{
    return count_of(target, 0, out_count);
}

static NTSTATUS
transfer(PDEVICE_OBJECT target, UCHAR major, ULONG count, ULONG64 offset,
         void *buffer, ULONG length)
{
    LARGE_INTEGER at = { .QuadPart = (LONGLONG) offset };
    PIO_STACK_LOCATION next;
    IO_STATUS_BLOCK iosb = { 0 };
    NTSTATUS status;
    KEVENT event;
    PIRP irp;

    KeInitializeEvent(&event, NotificationEvent, FALSE);
    irp = IoBuildSynchronousFsdRequest(major, target, buffer, length, &at,
                                       &event, &iosb);
    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    next = IoGetNextIrpStackLocation(irp);
    next->Flags |= SL_OVERRIDE_VERIFY_VOLUME | SL_KEY_SPECIFIED;
    next->Parameters.Read.Key = count;
    status = call_and_wait(target, irp, &event, &iosb);
    if (NT_SUCCESS(status) && iosb.Information != length)
        status = STATUS_END_OF_FILE;
    return status;
}

NTSTATUS
fs_read_device(PDEVICE_OBJECT target, ULONG count, ULONG64 offset, void *buffer,
               ULONG length)
{
    return transfer(target, IRP_MJ_READ, count, offset, buffer, length);
}

NTSTATUS
fs_write_device(PDEVICE_OBJECT target, ULONG count, ULONG64 offset,
                const void *data, ULONG length)
{
    return transfer(target, IRP_MJ_WRITE, count, offset, (void *) data, length);
}

NTSTATUS
fs_flush_device(PDEVICE_OBJECT target, const ULONG *count)
{
    PIO_STACK_LOCATION next;
    IO_STATUS_BLOCK iosb = { 0 };
    KEVENT event;
    PIRP irp;

    KeInitializeEvent(&event, NotificationEvent, FALSE);
    irp = IoBuildSynchronousFsdRequest(IRP_MJ_FLUSH_BUFFERS, target, NULL, 0,
                                       NULL, &event, &iosb);
    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    next = IoGetNextIrpStackLocation(irp);
    next->Flags |= SL_OVERRIDE_VERIFY_VOLUME;
    if (count != NULL) {
        next->Flags |= SL_KEY_SPECIFIED;
        next->Parameters.Read.Key = *count;
    }
    return call_and_wait(target, irp, &event, &iosb);
}
