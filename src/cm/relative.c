/*
 * relative.c - where the Rtl routines look, and the short ones of them
 *
 * SPDX-License-Identifier: MIT
 */
#include "cm/cm_internal.h"

static const PCWSTR places[] = {
    [RTL_REGISTRY_ABSOLUTE] = L"",
    [RTL_REGISTRY_SERVICES] = L"\\Registry\\Machine\\System\\"
                              L"CurrentControlSet\\Services",
    [RTL_REGISTRY_CONTROL] = L"\\Registry\\Machine\\System\\"
                             L"CurrentControlSet\\Control",
    [RTL_REGISTRY_WINDOWS_NT] = L"\\Registry\\Machine\\Software\\Microsoft\\"
                                L"Windows NT\\CurrentVersion",
    [RTL_REGISTRY_DEVICEMAP] = L"\\Registry\\Machine\\Hardware\\DeviceMap",
    [RTL_REGISTRY_USER] = L"\\Registry\\User\\.Default",
};

/* "\...\Services" and "disk" with a backslash between, from the pool. */
static NTSTATUS
join(PCWSTR place, PCWSTR path, UNICODE_STRING *out_path)
{
    UNICODE_STRING first, second;
    ULONG length;

    RtlInitUnicodeString(&first, place);
    RtlInitUnicodeString(&second, path);
    length = (ULONG) first.Length + second.Length + 2 * sizeof(WCHAR);
    if (length > 0xFFFE)
        return STATUS_NAME_TOO_LONG;
    out_path->Buffer = ExAllocatePoolWithTag(PagedPool, length, CM_TAG);
    if (out_path->Buffer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    out_path->Length = 0;
    out_path->MaximumLength = (USHORT) length;
    RtlAppendUnicodeToString(out_path, place);
    if (first.Length != 0 && second.Length != 0)
        RtlAppendUnicodeToString(out_path, L"\\");
    if (second.Length != 0)
        RtlAppendUnicodeToString(out_path, path);
    return STATUS_SUCCESS;
}

NTSTATUS
cm_open_relative(ULONG relative_to, PCWSTR path, bool create,
                 PHANDLE out_handle, bool *out_close)
{
    ULONG place =
        relative_to & ~(ULONG) (RTL_REGISTRY_HANDLE | RTL_REGISTRY_OPTIONAL);
    OBJECT_ATTRIBUTES how;
    UNICODE_STRING name;
    NTSTATUS status;

    *out_close = false;
    if (relative_to & RTL_REGISTRY_HANDLE) {
        *out_handle = (HANDLE) path;
        return STATUS_SUCCESS;
    }
    if (place >= ARRAYSIZE(places))
        return STATUS_INVALID_PARAMETER;
    status = join(places[place], path, &name);
    if (!NT_SUCCESS(status))
        return status;
    InitializeObjectAttributes(
        &how, &name, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL);
    status =
        create ? ZwCreateKey(out_handle, KEY_ALL_ACCESS, &how, 0, NULL, 0, NULL)
               : ZwOpenKey(out_handle, KEY_ALL_ACCESS, &how);
    ExFreePoolWithTag(name.Buffer, CM_TAG);
    *out_close = NT_SUCCESS(status);
    return status;
}

/* The key is made if it is not there, those above it are not. */
NTSTATUS NTAPI
RtlWriteRegistryValue(ULONG RelativeTo, PCWSTR Path, PCWSTR ValueName,
                      ULONG ValueType, PVOID ValueData, ULONG ValueLength)
{
    UNICODE_STRING name;
    HANDLE handle;
    bool close;
    NTSTATUS status;

    KE_IRQL(RtlWriteRegistryValue);
    status = cm_open_relative(RelativeTo, Path, true, &handle, &close);
    if (!NT_SUCCESS(status))
        return status;
    RtlInitUnicodeString(&name, ValueName);
    status = ZwSetValueKey(handle, &name, 0, ValueType, ValueData, ValueLength);
    if (close)
        ZwClose(handle);
    return status;
}

NTSTATUS NTAPI
RtlDeleteRegistryValue(ULONG RelativeTo, PCWSTR Path, PCWSTR ValueName)
{
    UNICODE_STRING name;
    HANDLE handle;
    bool close;
    NTSTATUS status;

    KE_IRQL(RtlDeleteRegistryValue);
    status = cm_open_relative(RelativeTo, Path, false, &handle, &close);
    if (!NT_SUCCESS(status))
        return status;
    RtlInitUnicodeString(&name, ValueName);
    status = ZwDeleteValueKey(handle, &name);
    if (close)
        ZwClose(handle);
    return status;
}

NTSTATUS NTAPI
RtlCheckRegistryKey(ULONG RelativeTo, PWSTR Path)
{
    HANDLE handle;
    bool close;
    NTSTATUS status;

    KE_IRQL(RtlCheckRegistryKey);
    status = cm_open_relative(RelativeTo, Path, false, &handle, &close);
    if (NT_SUCCESS(status) && close)
        ZwClose(handle);
    return status;
}

NTSTATUS NTAPI
RtlCreateRegistryKey(ULONG RelativeTo, PWSTR Path)
{
    HANDLE handle;
    bool close;
    NTSTATUS status;

    KE_IRQL(RtlCreateRegistryKey);
    status = cm_open_relative(RelativeTo, Path, true, &handle, &close);
    if (NT_SUCCESS(status) && close)
        ZwClose(handle);
    return status;
}
