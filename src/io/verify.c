/*
 * verify.c - IoVerifyVolume: is it still the same medium, and if not, what is
 *            it
 *
 * < DISPATCH, waits; the device's DeviceLock is held throughout, so an open
 * that comes meanwhile waits for the outcome.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include "base/status.h"

static NTSTATUS
verify_mounted(PVPB vpb, BOOLEAN allow_raw)
{
    PDEVICE_OBJECT top = IoGetAttachedDeviceReference(vpb->DeviceObject);
    NTSTATUS status;

    status = io_volume_request(top, IRP_MN_VERIFY_VOLUME, allow_raw, vpb,
                               vpb->DeviceObject, top->StackSize, NULL);
    ObDereferenceObject(top);
    return status;
}

/* Whatever comes of it, it does not change what the verify said; but the flag
 * would have no owner if nobody mounts. */
static void
mount_what_is_there(PDEVICE_OBJECT device, BOOLEAN allow_raw)
{
    PVPB vpb;

    if (NT_SUCCESS(io_mount_volume(device, allow_raw, true, &vpb)))
        io_vpb_deref(vpb);
    else
        io_device_clear_flags(device, DO_VERIFY_VOLUME);
}

NTSTATUS NTAPI
IoVerifyVolume(PDEVICE_OBJECT DeviceObject, BOOLEAN AllowRawMount)
{
    NTSTATUS status = STATUS_SUCCESS;
    PVPB vpb;

    KE_IRQL(IoVerifyVolume);
    if (IO_CHECKED)
        io_verification_begin();
    KeWaitForSingleObject(&DeviceObject->DeviceLock, Executive, KernelMode,
                          FALSE, NULL);
    vpb = io_vpb_ref_mounted(DeviceObject, NULL);
    if (vpb == NULL) {
        mount_what_is_there(DeviceObject, AllowRawMount);
    } else {
        status = verify_mounted(vpb, AllowRawMount);
        if (status == STATUS_WRONG_VOLUME) {
            NTSTATUS swap = io_vpb_swap_fresh(DeviceObject, vpb);

            if (NT_SUCCESS(swap)) {
                mount_what_is_there(DeviceObject, AllowRawMount);
            } else {
                /* The old volume stays on the device: who comes next must
                 * not take the medium for its own. */
                io_device_set_flags(DeviceObject, DO_VERIFY_VOLUME);
                status = swap;
            }
        }
        io_vpb_deref(vpb);
    }
    TRACE(TRACE_VERIFY, "dev=%p verified: %s", (void *) DeviceObject,
          status_name(status));
    KeSetEvent(&DeviceObject->DeviceLock, IO_NO_INCREMENT, FALSE);
    if (IO_CHECKED)
        io_verification_end();
    return status;
}
