/*
 * params.c - what the registry says of a drive, and what it is told
 *
 * A device has a key of its own; what the library keeps there:
 *
 *   Classpnp\LegacyErrorHandling              hardware errors are retried
 *   Classpnp\UserRemovalPolicy                3: the drive may be pulled
 *   MediaChangeNotification\AlwaysDisableMCN  media are not looked for
 *   MediaChangeNotification\AlwaysEnableMCN   ... unless this is set
 *
 * AutoRun in the key of the driver's service, 0: as AlwaysDisableMCN for all
 * its drives.  PASSIVE.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

#include <stdio.h>

#define POLICY_ORDERLY  2
#define POLICY_SURPRISE 3

/* --- one value ------------------------------------------------------------ */

static NTSTATUS
open_device_key(PFUNCTIONAL_DEVICE_EXTENSION ext, ACCESS_MASK access,
                PHANDLE out_key)
{
    return IoOpenDeviceRegistryKey(ext->LowerPdo, PLUGPLAY_REGKEY_DEVICE,
                                   access, out_key);
}

static NTSTATUS
open_subkey(HANDLE key, PWSTR name, BOOLEAN create, PHANDLE out_key)
{
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING text;

    RtlInitUnicodeString(&text, name);
    InitializeObjectAttributes(&attributes, &text,
                               OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, key,
                               NULL);
    if (create)
        return ZwCreateKey(out_key, KEY_ALL_ACCESS, &attributes, 0, NULL,
                           REG_OPTION_NON_VOLATILE, NULL);
    return ZwOpenKey(out_key, KEY_READ, &attributes);
}

static BOOLEAN
read_dword(ULONG relative_to, PCWSTR path, PWSTR name, PULONG value)
{
    ULONG found = *value;
    RTL_QUERY_REGISTRY_TABLE table[] = {
        { .Flags = RTL_QUERY_REGISTRY_DIRECT | RTL_QUERY_REGISTRY_REQUIRED |
                   RTL_QUERY_REGISTRY_TYPECHECK,
          .Name = name,
          .EntryContext = &found,
          .DefaultType =
              REG_DWORD << RTL_QUERY_REGISTRY_TYPECHECK_SHIFT | REG_NONE },
        { 0 },
    };

    if (!NT_SUCCESS(
            RtlQueryRegistryValues(relative_to, path, table, NULL, NULL)))
        return FALSE;
    *value = found;
    return TRUE;
}

/* *ParameterValue stays when there is no such value. */
VOID NTAPI
ClassGetDeviceParameter(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension,
                        PWSTR SubkeyName, PWSTR ParameterName,
                        PULONG ParameterValue)
{
    HANDLE key, subkey = NULL;

    if (!NT_SUCCESS(open_device_key(FdoExtension, KEY_READ, &key)))
        return;
    if (SubkeyName == NULL ||
        NT_SUCCESS(open_subkey(key, SubkeyName, FALSE, &subkey)))
        (void) read_dword(RTL_REGISTRY_HANDLE, subkey != NULL ? subkey : key,
                          ParameterName, ParameterValue);
    if (subkey != NULL)
        (void) ZwClose(subkey);
    (void) ZwClose(key);
}

NTSTATUS NTAPI
ClassSetDeviceParameter(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension,
                        PWSTR SubkeyName, PWSTR ParameterName,
                        ULONG ParameterValue)
{
    HANDLE key, subkey = NULL;
    NTSTATUS status = open_device_key(FdoExtension, KEY_ALL_ACCESS, &key);

    if (!NT_SUCCESS(status))
        return status;
    if (SubkeyName != NULL)
        status = open_subkey(key, SubkeyName, TRUE, &subkey);
    if (NT_SUCCESS(status))
        status = RtlWriteRegistryValue(
            RTL_REGISTRY_HANDLE, subkey != NULL ? subkey : key, ParameterName,
            REG_DWORD, &ParameterValue, sizeof ParameterValue);
    if (subkey != NULL)
        (void) ZwClose(subkey);
    (void) ZwClose(key);
    return status;
}

/* --- those of the library ------------------------------------------------- */

static ULONG
device_value(class_device *dev, PCWSTR subkey, PCWSTR name, ULONG otherwise)
{
    ULONG value = otherwise;

    ClassGetDeviceParameter(dev->ext, (PWSTR) subkey, (PWSTR) name, &value);
    return value;
}

VOID NTAPI
class_read_parameters(class_device *dev)
{
    PUNICODE_STRING service =
        &dev->ext->CommonExtension.DriverExtension->RegistryPath;
    ULONG autorun = 1;

    dev->legacy_errors =
        device_value(dev, L"Classpnp", L"LegacyErrorHandling", 0) != 0;
    dev->hotplug = device_value(dev, L"Classpnp", L"UserRemovalPolicy",
                                POLICY_ORDERLY) == POLICY_SURPRISE;
    if (service->Buffer != NULL)
        (void) read_dword(RTL_REGISTRY_ABSOLUTE, service->Buffer,
                          (PWSTR) L"AutoRun", &autorun);
    /* A poll would take the unit attentions that whoever writes has to see. */
    dev->mcd.suppressed =
        autorun == 0 || dev->fdo->DeviceType == FILE_DEVICE_TAPE;
    if (device_value(dev, L"MediaChangeNotification", L"AlwaysDisableMCN", 0))
        dev->mcd.suppressed = TRUE;
    if (device_value(dev, L"MediaChangeNotification", L"AlwaysEnableMCN", 0))
        dev->mcd.suppressed = FALSE;
}

NTSTATUS NTAPI
class_keep_removal_policy(class_device *dev)
{
    return ClassSetDeviceParameter(
        dev->ext, (PWSTR) L"Classpnp", (PWSTR) L"UserRemovalPolicy",
        dev->hotplug ? POLICY_SURPRISE : POLICY_ORDERLY);
}

/* --- the map of devices --------------------------------------------------- */

/* Makes each level of the key below \Registry\Machine\Hardware\DeviceMap. */
static NTSTATUS
make_path(const SCSI_ADDRESS *address, PUNICODE_STRING out_path)
{
    char text[96];
    ANSI_STRING ansi;
    NTSTATUS status;

    snprintf(text, sizeof text,
             "Scsi\\Scsi Port %u\\Scsi Bus %u\\Target Id %u\\"
             "Logical Unit Id %u",
             address->PortNumber, address->PathId, address->TargetId,
             address->Lun);
    RtlInitAnsiString(&ansi, text);
    status = RtlAnsiStringToUnicodeString(out_path, &ansi, TRUE);
    for (USHORT i = 0; NT_SUCCESS(status) && i <= ansi.Length; i++) {
        WCHAR was = out_path->Buffer[i];

        if (i < ansi.Length && was != '\\')
            continue;
        out_path->Buffer[i] = 0;
        status = RtlCreateRegistryKey(RTL_REGISTRY_DEVICEMAP, out_path->Buffer);
        out_path->Buffer[i] = was;
    }
    return status;
}

static VOID
write_text(PUNICODE_STRING path, PCWSTR name, const char *text)
{
    UNICODE_STRING value;
    ANSI_STRING ansi;

    RtlInitAnsiString(&ansi, text);
    if (!NT_SUCCESS(RtlAnsiStringToUnicodeString(&value, &ansi, TRUE)))
        return;
    (void) RtlWriteRegistryValue(RTL_REGISTRY_DEVICEMAP, path->Buffer, name,
                                 REG_SZ, value.Buffer,
                                 value.Length + sizeof(WCHAR));
    RtlFreeUnicodeString(&value);
}

/* DeviceMap\Scsi\Scsi Port N\...: DeviceName, InquiryData. */
VOID NTAPI
ClassUpdateInformationInRegistry(PDEVICE_OBJECT Fdo, PCHAR DeviceName,
                                 ULONG DeviceNumber, PINQUIRYDATA InquiryData,
                                 ULONG InquiryDataLength)
{
    UNICODE_STRING path = { 0 };
    IO_STATUS_BLOCK iosb;
    SCSI_ADDRESS address;
    char name[64];

    ClassSendDeviceIoControlSynchronous(IOCTL_SCSI_GET_ADDRESS,
                                        class_dev(Fdo)->lower, &address, 0,
                                        sizeof address, FALSE, &iosb);
    if (!NT_SUCCESS(iosb.Status))
        return;
    if (NT_SUCCESS(make_path(&address, &path))) {
        snprintf(name, sizeof name, "%s%u", DeviceName, DeviceNumber);
        write_text(&path, L"DeviceName", name);
        if (InquiryData != NULL && InquiryDataLength != 0)
            (void) RtlWriteRegistryValue(RTL_REGISTRY_DEVICEMAP, path.Buffer,
                                         L"InquiryData", REG_BINARY,
                                         InquiryData, InquiryDataLength);
    }
    if (path.Buffer != NULL)
        RtlFreeUnicodeString(&path);
}
