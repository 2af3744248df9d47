/*
 * ioctl.c - device controls: one table
 *
 * A row says what the code needs and whether it touches the medium: those that
 * do fail with STATUS_VERIFY_REQUIRED while DO_VERIFY_VOLUME is set, before
 * anything else is looked at.  Codes without a row that a driver may handle
 * are taken to touch it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

#include <ntddcdrm.h>
#include <ntddcdvd.h>

enum gate { FREE, GATED };

static class_control_fn set_verify, clear_verify, not_supported,
    update_properties;

const struct class_control class_controls[] = {
    { IOCTL_STORAGE_CHECK_VERIFY, GATED, 0, 0, class_check_verify },
    { IOCTL_STORAGE_CHECK_VERIFY2, GATED, 0, 0, class_check_verify },
    { IOCTL_STORAGE_READ_CAPACITY, GATED, 0, sizeof(STORAGE_READ_CAPACITY),
      class_read_capacity },
    { IOCTL_DISK_GET_LENGTH_INFO, GATED, 0, sizeof(GET_LENGTH_INFORMATION),
      class_read_capacity },
    { IOCTL_DISK_GET_DRIVE_GEOMETRY, GATED, 0, sizeof(DISK_GEOMETRY),
      class_read_capacity },
    { IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, GATED, 0,
      offsetof(DISK_GEOMETRY_EX, Data), class_read_capacity },
    { IOCTL_DISK_UPDATE_DRIVE_SIZE, GATED, 0, sizeof(DISK_GEOMETRY),
      class_read_capacity },
    { IOCTL_CDROM_GET_DRIVE_GEOMETRY, GATED, 0, sizeof(DISK_GEOMETRY),
      class_read_capacity },
    { IOCTL_CDROM_GET_DRIVE_GEOMETRY_EX, GATED, 0,
      offsetof(DISK_GEOMETRY_EX, Data), class_read_capacity },
    { IOCTL_DISK_GET_PARTITION_INFO, GATED, 0, sizeof(PARTITION_INFORMATION),
      class_read_capacity },
    { IOCTL_DISK_GET_PARTITION_INFO_EX, GATED, 0,
      sizeof(PARTITION_INFORMATION_EX), class_read_capacity },
    { IOCTL_STORAGE_GET_MEDIA_TYPES_EX, GATED, 0, sizeof(GET_MEDIA_TYPES),
      class_read_capacity },
    { IOCTL_STORAGE_MANAGE_DATA_SET_ATTRIBUTES, GATED,
      sizeof(DEVICE_MANAGE_DATA_SET_ATTRIBUTES), 0, class_manage_data_set },
    { IOCTL_DISK_UPDATE_PROPERTIES, GATED, 0, 0, update_properties },
    { IOCTL_STORAGE_MEDIA_REMOVAL, FREE, sizeof(PREVENT_MEDIA_REMOVAL), 0,
      class_media_removal },
    { IOCTL_STORAGE_EJECTION_CONTROL, FREE, sizeof(PREVENT_MEDIA_REMOVAL), 0,
      class_ejection_control },
    { IOCTL_STORAGE_MCN_CONTROL, FREE, sizeof(PREVENT_MEDIA_REMOVAL), 0,
      class_mcn_control },
    { IOCTL_STORAGE_EJECT_MEDIA, FREE, 0, 0, class_eject_media },
    { IOCTL_STORAGE_LOAD_MEDIA, FREE, 0, 0, class_load_media },
    { IOCTL_STORAGE_LOAD_MEDIA2, FREE, 0, 0, class_load_media },
    { IOCTL_STORAGE_QUERY_PROPERTY, FREE,
      offsetof(STORAGE_PROPERTY_QUERY, AdditionalParameters), 0,
      class_query_property },
    { IOCTL_STORAGE_GET_DEVICE_NUMBER, FREE, 0, sizeof(STORAGE_DEVICE_NUMBER),
      class_device_number },
    { IOCTL_STORAGE_GET_HOTPLUG_INFO, FREE, 0, sizeof(STORAGE_HOTPLUG_INFO),
      class_hotplug_info },
    { IOCTL_STORAGE_SET_HOTPLUG_INFO, FREE, sizeof(STORAGE_HOTPLUG_INFO), 0,
      class_set_hotplug_info },
    { IOCTL_STORAGE_PREDICT_FAILURE, FREE, 0, sizeof(STORAGE_PREDICT_FAILURE),
      class_predict_failure },
    { IOCTL_STORAGE_RESERVE, FREE, 0, 0, class_reserve },
    { IOCTL_STORAGE_RELEASE, FREE, 0, 0, class_release },
    { IOCTL_STORAGE_FIND_NEW_DEVICES, FREE, 0, 0, not_supported },
    { IOCTL_STORAGE_RESET_BUS, FREE, sizeof(STORAGE_BUS_RESET_REQUEST), 0,
      class_forward },
    { IOCTL_STORAGE_RESET_DEVICE, FREE, 0, 0, class_forward },
    { IOCTL_STORAGE_GET_MEDIA_SERIAL_NUMBER, GATED, 0, 0, class_media_serial },
    { IOCTL_STORAGE_PERSISTENT_RESERVE_IN, FREE,
      sizeof(PERSISTENT_RESERVE_COMMAND), 0, class_persistent_in },
    { IOCTL_STORAGE_PERSISTENT_RESERVE_OUT, FREE,
      sizeof(PERSISTENT_RESERVE_COMMAND), 0, class_persistent_out },
    { IOCTL_STORAGE_CHECK_PRIORITY_HINT_SUPPORT, FREE, 0,
      sizeof(STORAGE_PRIORITY_HINT_SUPPORT), class_priority_hint },
    /* Of the CD driver: which of them have to do with the medium. */
    { IOCTL_CDROM_GET_CONFIGURATION, FREE, 0, 0, not_supported },
    { IOCTL_CDROM_EXCLUSIVE_ACCESS, FREE, 0, 0, not_supported },
    { IOCTL_CDROM_SET_SPEED, FREE, 0, 0, not_supported },
    { IOCTL_CDROM_GET_INQUIRY_DATA, FREE, 0, 0, not_supported },
    { IOCTL_CDROM_GET_PERFORMANCE, FREE, 0, 0, not_supported },
    { IOCTL_CDROM_ENABLE_STREAMING, FREE, 0, 0, not_supported },
    { IOCTL_DVD_READ_STRUCTURE, GATED, 0, 0, not_supported },
    { IOCTL_SCSI_PASS_THROUGH, FREE, 0, 0, class_pass_through },
    { IOCTL_SCSI_PASS_THROUGH_DIRECT, FREE, 0, 0, class_pass_through },
    { IOCTL_SCSI_GET_ADDRESS, FREE, 0, 0, class_forward },
    { IOCTL_SCSI_GET_CAPABILITIES, FREE, 0, 0, class_forward },
    { IOCTL_SCSI_GET_INQUIRY_DATA, FREE, 0, 0, class_forward },
    { IOCTL_SCSI_MINIPORT, FREE, 0, 0, class_forward },
    { IOCTL_SCSI_RESCAN_BUS, FREE, 0, 0, class_forward },
    { IOCTL_DISK_INTERNAL_SET_VERIFY, FREE, 0, 0, set_verify },
    { IOCTL_DISK_INTERNAL_CLEAR_VERIFY, FREE, 0, 0, clear_verify },
};

const ULONG class_control_count = RTL_NUMBER_OF(class_controls);

/* DISK, CDROM and TAPE forms of common requests have functions from 0x200. */
static ULONG
normalise(ULONG code)
{
    ULONG base = code >> 16, function = (code >> 2) & 0xfff;

    if (function < 0x200 || function > 0x210)
        return code;
    if (base != IOCTL_DISK_BASE && base != IOCTL_CDROM_BASE &&
        base != FILE_DEVICE_TAPE)
        return code;
    return (code & 0xffff) | (ULONG) IOCTL_STORAGE_BASE << 16;
}

static const struct class_control *
find_control(ULONG code)
{
    code = normalise(code);
    for (size_t i = 0; i < class_control_count; i++)
        if (class_controls[i].code == code)
            return &class_controls[i];
    return NULL;
}

/* --- handlers that are a line --------------------------------------------- */

static NTSTATUS NTAPI
set_verify(class_device *dev, PIRP irp)
{
    if (irp->RequestorMode != KernelMode)
        return class_complete(dev, irp, STATUS_NOT_SUPPORTED, 0);
    InterlockedOr((LONG volatile *) &dev->fdo->Flags, DO_VERIFY_VOLUME);
    return class_complete(dev, irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI
clear_verify(class_device *dev, PIRP irp)
{
    if (irp->RequestorMode != KernelMode)
        return class_complete(dev, irp, STATUS_NOT_SUPPORTED, 0);
    InterlockedAnd((LONG volatile *) &dev->fdo->Flags, ~DO_VERIFY_VOLUME);
    return class_complete(dev, irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI
not_supported(class_device *dev, PIRP irp)
{
    return class_complete(dev, irp, STATUS_INVALID_DEVICE_REQUEST, 0);
}

/* Forgets what is known of the medium: the next request reads it. */
static NTSTATUS NTAPI
update_properties(class_device *dev, PIRP irp)
{
    __atomic_store_n(&dev->capacity.valid, FALSE, __ATOMIC_RELEASE);
    return class_complete(dev, irp, STATUS_SUCCESS, 0);
}

/* --- dispatch ------------------------------------------------------------- */

/* Codes of other kinds of devices are not ours to judge. */
static BOOLEAN
touches_medium(ULONG code)
{
    const struct class_control *control = find_control(code);
    ULONG base = code >> 16;

    if (control != NULL)
        return control->gate == GATED;
    return base == IOCTL_DISK_BASE || base == IOCTL_CDROM_BASE ||
           base == FILE_DEVICE_TAPE;
}

NTSTATUS NTAPI
class_device_control(PDEVICE_OBJECT fdo, PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    class_device *dev = class_dev(fdo);
    PCLASS_DEV_INFO info = dev->ext->CommonExtension.DevInfo;

    if (class_verify_set(fdo) && !(at->Flags & SL_OVERRIDE_VERIFY_VOLUME) &&
        touches_medium(at->Parameters.DeviceIoControl.IoControlCode))
        return class_complete(dev, irp, STATUS_VERIFY_REQUIRED, 0);
    if (info->ClassDeviceControl != NULL)
        return info->ClassDeviceControl(fdo, irp);
    return ClassDeviceControl(fdo, irp);
}

NTSTATUS NTAPI
ClassDeviceControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(Irp);
    class_device *dev = class_dev(DeviceObject);
    const struct class_control *control =
        find_control(at->Parameters.DeviceIoControl.IoControlCode);

    if (control == NULL)
        return class_complete(dev, Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    if (at->Parameters.DeviceIoControl.InputBufferLength < control->in)
        return class_complete(dev, Irp, STATUS_INFO_LENGTH_MISMATCH, 0);
    if (at->Parameters.DeviceIoControl.OutputBufferLength < control->out)
        return class_complete(dev, Irp, STATUS_BUFFER_TOO_SMALL, 0);
    return control->handler(dev, Irp);
}
