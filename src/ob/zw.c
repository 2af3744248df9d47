/*
 * zw.c - routines on handles and objects of any type
 *
 * PASSIVE.  The caller is a driver, so the previous mode is KernelMode and
 * rights are not looked at.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ob/ob_internal.h"

/* --- names ---------------------------------------------------------------- */

/* What the object's name takes as an OBJECT_NAME_INFORMATION.  One without a
 * name: empty, with a NULL buffer. */
NTSTATUS NTAPI
ObQueryNameString(PVOID Object, POBJECT_NAME_INFORMATION ObjectNameInfo,
                  ULONG Length, PULONG ReturnLength)
{
    struct ob_path path = { 0 };
    ULONG need = sizeof *ObjectNameInfo;

    KE_IRQL(ObQueryNameString);
    ob_path_add_object(&path, Object);
    if (path.length != 0)
        need += path.length + sizeof(WCHAR);
    *ReturnLength = need;
    if (path.length > 0xFFFC)
        return STATUS_NAME_TOO_LONG;
    if (Length < need || ObjectNameInfo == NULL)
        return STATUS_INFO_LENGTH_MISMATCH;
    ObjectNameInfo->Name = (UNICODE_STRING){ 0 };
    if (path.length == 0)
        return STATUS_SUCCESS;
    path = (struct ob_path){ .buffer = (PWSTR) (ObjectNameInfo + 1),
                             .max = Length - sizeof *ObjectNameInfo -
                                    sizeof(WCHAR) };
    ob_path_add_object(&path, Object);
    /* It may have got another name meanwhile. */
    if (path.length > path.max)
        return STATUS_INFO_LENGTH_MISMATCH;
    path.buffer[path.length / sizeof(WCHAR)] = 0;
    ObjectNameInfo->Name =
        (UNICODE_STRING){ (USHORT) path.length,
                          (USHORT) (path.length + sizeof(WCHAR)), path.buffer };
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI
ObReferenceObjectByName(PUNICODE_STRING ObjectPath, ULONG Attributes,
                        PACCESS_STATE PassedAccessState,
                        ACCESS_MASK DesiredAccess, POBJECT_TYPE ObjectType,
                        KPROCESSOR_MODE AccessMode, PVOID ParseContext,
                        PVOID *ObjectPtr)
{
    const struct ob_open open = { .name = ObjectPath,
                                  .attributes = Attributes,
                                  .type = ObjectType,
                                  .access = DesiredAccess,
                                  .mode = AccessMode,
                                  .context = ParseContext };

    UNREFERENCED_PARAMETER(PassedAccessState);
    if (ObjectPath == NULL)
        return STATUS_INVALID_PARAMETER;
    if (ObjectPath->Length == 0)
        return STATUS_OBJECT_NAME_INVALID;
    return ob_lookup(&open, ObjectPtr);
}

/* --- handles -------------------------------------------------------------- */

static NTSTATUS
this_process(HANDLE handle)
{
    PVOID process;
    NTSTATUS status;

    status = ob_reference_handle(handle, 0, &ob_process_type, KernelMode,
                                 &process, NULL);
    if (NT_SUCCESS(status))
        ObfDereferenceObject(process);
    return status;
}

/* Both processes are the one there is.  With DUPLICATE_CLOSE_SOURCE the source
 * is closed whatever happens. */
NTSTATUS NTAPI
ZwDuplicateObject(HANDLE SourceProcessHandle, HANDLE SourceHandle,
                  HANDLE TargetProcessHandle, PHANDLE TargetHandle,
                  ACCESS_MASK DesiredAccess, ULONG HandleAttributes,
                  ULONG Options)
{
    OBJECT_HANDLE_INFORMATION had;
    PVOID object;
    NTSTATUS status;

    KE_IRQL(ZwDuplicateObject);
    if (TargetHandle != NULL)
        *TargetHandle = NULL;
    status = this_process(SourceProcessHandle);
    if (!NT_SUCCESS(status))
        return status;
    status =
        ob_reference_handle(SourceHandle, 0, NULL, KernelMode, &object, &had);
    if (!NT_SUCCESS(status))
        return status;
    if (Options & DUPLICATE_SAME_ACCESS)
        DesiredAccess = had.GrantedAccess;
    if (Options & DUPLICATE_SAME_ATTRIBUTES)
        HandleAttributes = had.HandleAttributes;
    if (TargetHandle != NULL || !(Options & DUPLICATE_CLOSE_SOURCE)) {
        status = this_process(TargetProcessHandle);
        if (NT_SUCCESS(status) && TargetHandle == NULL)
            status = STATUS_INVALID_PARAMETER_4;
        if (NT_SUCCESS(status))
            status = ob_insert_handle(object, DesiredAccess, HandleAttributes,
                                      TargetHandle);
    }
    if (Options & DUPLICATE_CLOSE_SOURCE)
        ZwClose(SourceHandle);
    ObfDereferenceObject(object);
    return status;
}

NTSTATUS NTAPI
ZwMakeTemporaryObject(HANDLE Handle)
{
    PVOID object;
    NTSTATUS status;

    KE_IRQL(ZwMakeTemporaryObject);
    status =
        ob_reference_handle(Handle, DELETE, NULL, KernelMode, &object, NULL);
    if (!NT_SUCCESS(status))
        return status;
    ob_make_temporary(object);
    ObfDereferenceObject(object);
    return STATUS_SUCCESS;
}

/* --- waits ---------------------------------------------------------------- */

NTSTATUS NTAPI
ZwWaitForSingleObject(HANDLE Handle, BOOLEAN Alertable, PLARGE_INTEGER Timeout)
{
    POBJECT_TYPE type;
    PVOID object;
    NTSTATUS status;

    KE_IRQL(ZwWaitForSingleObject);
    status = ob_reference_handle(Handle, SYNCHRONIZE, NULL, KernelMode, &object,
                                 NULL);
    if (!NT_SUCCESS(status))
        return status;
    type = ob_type_of(object);
    if (type->waitable != NULL)
        status = KeWaitForSingleObject(type->waitable(object), UserRequest,
                                       KernelMode, Alertable, Timeout);
    else
        status = STATUS_OBJECT_TYPE_MISMATCH;
    ObfDereferenceObject(object);
    return status;
}

/* --- what an object is ---------------------------------------------------- */

/* ke counts threads. */
static const LONG *
references_of(PVOID object)
{
    if (ob_type_of(object) == &ob_thread_type)
        return &((PETHREAD) object)->Tcb.references;
    return &ob_head_of(object)->references;
}

static NTSTATUS
query_basic(PVOID object, const OBJECT_HANDLE_INFORMATION *handle, PVOID out,
            ULONG length, PULONG out_length)
{
    PUBLIC_OBJECT_BASIC_INFORMATION basic = {
        .Attributes = handle->HandleAttributes,
        .GrantedAccess = handle->GrantedAccess,
        .HandleCount = (ULONG) ob_handles_of(object),
        .PointerCount =
            (ULONG) __atomic_load_n(references_of(object), __ATOMIC_RELAXED) -
            1, /* without ours */
    };

    *out_length = sizeof basic;
    if (length != sizeof basic)
        return STATUS_INFO_LENGTH_MISMATCH;
    RtlCopyMemory(out, &basic, sizeof basic);
    return STATUS_SUCCESS;
}

static NTSTATUS
query_name(PVOID object, PVOID out, ULONG length, PULONG out_length)
{
    NTSTATUS status = ObQueryNameString(object, out, length, out_length);

    /* The header fits: then it is the name that does not. */
    if (status == STATUS_INFO_LENGTH_MISMATCH &&
        length >= sizeof(OBJECT_NAME_INFORMATION))
        status = STATUS_BUFFER_OVERFLOW;
    return status;
}

static NTSTATUS
query_type(PVOID object, PVOID out, ULONG length, PULONG out_length)
{
    PCUNICODE_STRING name = &ob_type_of(object)->name;
    PUBLIC_OBJECT_TYPE_INFORMATION *type = out;

    *out_length = sizeof *type + name->Length + sizeof(WCHAR);
    if (length < *out_length)
        return STATUS_INFO_LENGTH_MISMATCH;
    RtlZeroMemory(type, *out_length);
    RtlCopyMemory(type + 1, name->Buffer, name->Length);
    type->TypeName =
        (UNICODE_STRING){ name->Length, (USHORT) (name->Length + sizeof(WCHAR)),
                          (PWSTR) (type + 1) };
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI
ZwQueryObject(HANDLE Handle, OBJECT_INFORMATION_CLASS ObjectInformationClass,
              PVOID ObjectInformation, ULONG ObjectInformationLength,
              PULONG ReturnLength)
{
    OBJECT_HANDLE_INFORMATION information;
    ULONG length = 0;
    PVOID object;
    NTSTATUS status;

    KE_IRQL(ZwQueryObject);
    status =
        ob_reference_handle(Handle, 0, NULL, KernelMode, &object, &information);
    if (!NT_SUCCESS(status))
        return status;
    if (ObjectInformationClass == ObjectBasicInformation)
        status = query_basic(object, &information, ObjectInformation,
                             ObjectInformationLength, &length);
    else if (ObjectInformationClass == ObjectNameInformation)
        status = query_name(object, ObjectInformation, ObjectInformationLength,
                            &length);
    else if (ObjectInformationClass == ObjectTypeInformation)
        status = query_type(object, ObjectInformation, ObjectInformationLength,
                            &length);
    else
        status = STATUS_INVALID_INFO_CLASS;
    if (ReturnLength != NULL)
        *ReturnLength = length;
    ObfDereferenceObject(object);
    return status;
}
