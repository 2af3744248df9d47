/*
 * name.c - devices by name, and names as text
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

PDEVICE_OBJECT
io_name_lookup(PCUNICODE_STRING name)
{
    const struct ob_open open = { .name = name,
                                  .attributes = OBJ_CASE_INSENSITIVE,
                                  .type = *IoDeviceObjectType };
    PVOID device;

    return NT_SUCCESS(ob_lookup(&open, &device)) ? device : NULL;
}

/* --- text ---------------------------------------------------------------- */

char *
io_name_text(PCUNICODE_STRING name, char *out_text, size_t max)
{
    size_t count = name->Length / sizeof(WCHAR);

    if (count > max - 1)
        count = max - 1;
    for (size_t i = 0; i < count; i++)
        out_text[i] = name->Buffer[i] < 0x80 ? (char) name->Buffer[i] : '?';
    out_text[count] = '\0';
    return out_text;
}

/* The buffer is from the pool, IO_TAG_NAME. */
NTSTATUS
io_name_widen(const char *text, UNICODE_STRING *out_name)
{
    size_t count = __builtin_strlen(text);
    PWSTR buffer;

    if (count >= 0x7FFF)
        return STATUS_NAME_TOO_LONG;
    buffer = ExAllocatePoolWithTag(PagedPool, (count + 1) * sizeof(WCHAR),
                                   IO_TAG_NAME);
    if (buffer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    for (size_t i = 0; i <= count; i++)
        buffer[i] = (unsigned char) text[i];
    out_name->Buffer = buffer;
    out_name->Length = (USHORT) (count * sizeof(WCHAR));
    out_name->MaximumLength = (USHORT) ((count + 1) * sizeof(WCHAR));
    return STATUS_SUCCESS;
}

PDEVICE_OBJECT
io_find_device(const char *name)
{
    PDEVICE_OBJECT device;
    UNICODE_STRING wide;

    if (!NT_SUCCESS(io_name_widen(name, &wide)))
        return NULL;
    device = io_name_lookup(&wide);
    ExFreePoolWithTag(wide.Buffer, IO_TAG_NAME);
    return device;
}

char *
io_device_name(PDEVICE_OBJECT device, char *out_name, size_t max)
{
    WCHAR buffer[128];
    struct ob_path path = { .buffer = buffer, .max = sizeof buffer };
    UNICODE_STRING name = { .Buffer = buffer };

    ob_path_add_object(&path, device);
    name.Length = (USHORT) (path.length < path.max ? path.length : path.max);
    return io_name_text(&name, out_name, max);
}
