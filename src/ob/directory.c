/*
 * directory.c - routines on directories and symbolic links
 *
 * PASSIVE.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ob/ob_internal.h"

NTSTATUS NTAPI
ZwCreateDirectoryObject(PHANDLE DirectoryHandle, ACCESS_MASK DesiredAccess,
                        POBJECT_ATTRIBUTES ObjectAttributes)
{
    PVOID directory;

    KE_IRQL(ZwCreateDirectoryObject);
    directory = ob_new_directory();
    if (directory == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    return ob_insert_object(directory, ObjectAttributes, DesiredAccess,
                            DirectoryHandle);
}

NTSTATUS NTAPI
ZwOpenDirectoryObject(PHANDLE DirectoryHandle, ACCESS_MASK DesiredAccess,
                      POBJECT_ATTRIBUTES ObjectAttributes)
{
    KE_IRQL(ZwOpenDirectoryObject);
    return ob_open_object(ObjectAttributes, &ob_directory_type, DesiredAccess,
                          NULL, DirectoryHandle);
}

NTSTATUS NTAPI
ZwOpenSymbolicLinkObject(PHANDLE LinkHandle, ACCESS_MASK DesiredAccess,
                         POBJECT_ATTRIBUTES ObjectAttributes)
{
    KE_IRQL(ZwOpenSymbolicLinkObject);
    return ob_open_object(ObjectAttributes, &ob_link_type, DesiredAccess, NULL,
                          LinkHandle);
}

/* ReturnedLength may be NULL. */
NTSTATUS NTAPI
ZwQuerySymbolicLinkObject(HANDLE LinkHandle, PUNICODE_STRING LinkTarget,
                          PULONG ReturnedLength)
{
    PCUNICODE_STRING target;
    PVOID link;
    NTSTATUS status;

    KE_IRQL(ZwQuerySymbolicLinkObject);
    status = ob_reference_handle(LinkHandle, SYMBOLIC_LINK_QUERY, &ob_link_type,
                                 KernelMode, &link, NULL);
    if (!NT_SUCCESS(status))
        return status;
    target = ob_link_target(link);
    if (ReturnedLength != NULL)
        *ReturnedLength = target->Length;
    if (LinkTarget->MaximumLength < target->Length) {
        status = STATUS_BUFFER_TOO_SMALL;
    } else {
        if (target->Length != 0)
            RtlCopyMemory(LinkTarget->Buffer, target->Buffer, target->Length);
        LinkTarget->Length = target->Length;
    }
    ObfDereferenceObject(link);
    return status;
}

NTSTATUS NTAPI
IoCreateSymbolicLink(PUNICODE_STRING SymbolicLinkName,
                     PUNICODE_STRING DeviceName)
{
    PVOID link;
    NTSTATUS status = ob_new_link(DeviceName, &link);

    KE_IRQL(IoCreateSymbolicLink);
    if (!NT_SUCCESS(status))
        return status;
    status = ob_name_object(link, SymbolicLinkName,
                            OBJ_CASE_INSENSITIVE | OBJ_PERMANENT);
    ObfDereferenceObject(link);
    return status;
}

/* Objects have no security here: a link is as unprotected as any other. */
NTSTATUS NTAPI
IoCreateUnprotectedSymbolicLink(PUNICODE_STRING SymbolicLinkName,
                                PUNICODE_STRING DeviceName)
{
    return IoCreateSymbolicLink(SymbolicLinkName, DeviceName);
}

NTSTATUS NTAPI
IoDeleteSymbolicLink(PUNICODE_STRING SymbolicLinkName)
{
    const struct ob_open open = { .name = SymbolicLinkName,
                                  .attributes = OBJ_CASE_INSENSITIVE,
                                  .type = &ob_link_type };
    NTSTATUS status;
    PVOID link;

    KE_IRQL(IoDeleteSymbolicLink);
    status = ob_lookup(&open, &link);
    if (!NT_SUCCESS(status))
        return status;
    ob_make_temporary(link);
    ObfDereferenceObject(link);
    return STATUS_SUCCESS;
}
