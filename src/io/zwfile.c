/*
 * zwfile.c - files opened by name, as handles
 *
 * The name leads the object manager to a device; what is left of it is the
 * name of the file there, and the open goes the same way as io_open_file's
 * (mount included).  The handle's last close sends IRP_MJ_CLEANUP, the file
 * object's last reference IRP_MJ_CLOSE.  PASSIVE.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include "ke/irql.h"

#define KNOWN_OPTIONS                                                          \
    (FILE_DIRECTORY_FILE | FILE_WRITE_THROUGH | FILE_SEQUENTIAL_ONLY |         \
     FILE_NO_INTERMEDIATE_BUFFERING | FILE_SYNCHRONOUS_IO_ALERT |              \
     FILE_SYNCHRONOUS_IO_NONALERT | FILE_NON_DIRECTORY_FILE |                  \
     FILE_RANDOM_ACCESS | FILE_DELETE_ON_CLOSE)

/* What the file object remembers of the options. */
static const struct {
    ULONG option, flags;
} remembered[] = {
    { FILE_WRITE_THROUGH, FO_WRITE_THROUGH },
    { FILE_SEQUENTIAL_ONLY, FO_SEQUENTIAL_ONLY },
    { FILE_NO_INTERMEDIATE_BUFFERING, FO_NO_INTERMEDIATE_BUFFERING },
    { FILE_SYNCHRONOUS_IO_ALERT, FO_SYNCHRONOUS_IO | FO_ALERTABLE_IO },
    { FILE_SYNCHRONOUS_IO_NONALERT, FO_SYNCHRONOUS_IO },
    { FILE_RANDOM_ACCESS, FO_RANDOM_ACCESS },
    { FILE_DELETE_ON_CLOSE, FO_DELETE_ON_CLOSE },
};

/* The parse hook of devices. */
NTSTATUS
io_parse_file(PDEVICE_OBJECT device, PCUNICODE_STRING rest,
              const struct ob_open *open, PVOID *out_object)
{
    struct io_create *create = open->context;
    PFILE_OBJECT file;
    NTSTATUS status;

    if (open->type != *IoFileObjectType || create == NULL)
        return STATUS_OBJECT_TYPE_MISMATCH;
    create->name = rest;
    create->access = open->access;
    status = io_create_file(device, create, &file);
    create->name = NULL;
    if (NT_SUCCESS(status))
        *out_object = file;
    return status;
}

/* As the page of ZwCreateFile forbids it. */
static bool
valid(ACCESS_MASK access, const struct io_create *create)
{
    ULONG options = create->options;
    bool alert = (options & FILE_SYNCHRONOUS_IO_ALERT) != 0;
    bool nonalert = (options & FILE_SYNCHRONOUS_IO_NONALERT) != 0;

    if ((options & ~(ULONG) KNOWN_OPTIONS) != 0 ||
        create->disposition > FILE_OVERWRITE_IF ||
        (create->share & ~FILE_SHARE_VALID_FLAGS) != 0)
        return false;
    if ((alert && nonalert) || ((alert || nonalert) && !(access & SYNCHRONIZE)))
        return false;
    if ((options & FILE_DIRECTORY_FILE) &&
        ((options & FILE_NON_DIRECTORY_FILE) ||
         create->disposition == FILE_SUPERSEDE ||
         create->disposition >= FILE_OVERWRITE))
        return false;
    if ((options & FILE_DELETE_ON_CLOSE) && !(access & DELETE))
        return false;
    return !(options & FILE_NO_INTERMEDIATE_BUFFERING) ||
           !(access & FILE_APPEND_DATA);
}

/*
 * Everything that the create IRP can answer.  Not here: extended attributes
 * (STATUS_EAS_NOT_SUPPORTED), an allocation size (not passed on), names below
 * another file's handle, the rarer options (STATUS_INVALID_PARAMETER).
 */
NTSTATUS NTAPI
ZwCreateFile(PHANDLE FileHandle, ACCESS_MASK DesiredAccess,
             POBJECT_ATTRIBUTES ObjectAttributes,
             PIO_STATUS_BLOCK IoStatusBlock, PLARGE_INTEGER AllocationSize,
             ULONG FileAttributes, ULONG ShareAccess, ULONG CreateDisposition,
             ULONG CreateOptions, PVOID EaBuffer, ULONG EaLength)
{
    struct io_create create = { .options = CreateOptions,
                                .disposition = CreateDisposition,
                                .attributes = (USHORT) FileAttributes,
                                .share = (USHORT) ShareAccess };
    NTSTATUS status;

    KE_IRQL(ZwCreateFile);
    UNREFERENCED_PARAMETER(AllocationSize);
    *FileHandle = NULL;
    if (EaBuffer != NULL || EaLength != 0)
        return STATUS_EAS_NOT_SUPPORTED;
    if (ShareAccess > FILE_SHARE_VALID_FLAGS || !valid(DesiredAccess, &create))
        return STATUS_INVALID_PARAMETER;
    for (size_t i = 0; i < RTL_NUMBER_OF(remembered); i++)
        if (CreateOptions & remembered[i].option)
            create.flags |= remembered[i].flags;
    create.flags |= FO_HANDLE_CREATED;
    status = ob_open_object(ObjectAttributes, *IoFileObjectType, DesiredAccess,
                            &create, FileHandle);
    IoStatusBlock->Status = status;
    IoStatusBlock->Information = create.information;
    return status;
}

NTSTATUS NTAPI
ZwOpenFile(PHANDLE FileHandle, ACCESS_MASK DesiredAccess,
           POBJECT_ATTRIBUTES ObjectAttributes, PIO_STATUS_BLOCK IoStatusBlock,
           ULONG ShareAccess, ULONG OpenOptions)
{
    return ZwCreateFile(FileHandle, DesiredAccess, ObjectAttributes,
                        IoStatusBlock, NULL, 0, ShareAccess, FILE_OPEN,
                        OpenOptions, NULL, 0);
}
