/*
 * file.c - file objects: the open path, and the way back
 *
 * A file object holds a reference to the storage device, and from its open to
 * its close one to the VPB in force then.  PASSIVE, waits.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include "base/status.h"

/* An open that asks for no more than this, without a name, is a direct one. */
#define DIRECT_ACCESS                                                          \
    (SYNCHRONIZE | FILE_READ_ATTRIBUTES | READ_CONTROL |                       \
     ACCESS_SYSTEM_SECURITY | WRITE_OWNER | WRITE_DAC)

struct io_file {
    FILE_OBJECT file;
    PIRP close_irp;       /* kept, so that a close cannot fail */
    bool counted;         /* an open file of its device, for a removal */
    WORK_QUEUE_ITEM work; /* a last dereference at DISPATCH */
};

/* --- the way back -------------------------------------------------------- */

static void
send_teardown(struct io_file *open, UCHAR major)
{
    PDEVICE_OBJECT target = IoGetRelatedDeviceObject(&open->file);
    PIRP irp = open->close_irp;
    PIO_STACK_LOCATION next;
    IO_STATUS_BLOCK iosb;
    KEVENT event;

    if (target->StackSize > irp->StackCount) {
        /* Somebody attached above since the open. */
        irp = IoAllocateIrp(target->StackSize, FALSE);
        if (irp == NULL) {
            TRACE(TRACE_IRP, "file=%p: no memory for major=%02x",
                  (void *) &open->file, major);
            return;
        }
        IoFreeIrp(open->close_irp);
        open->close_irp = irp;
    }
    IoReuseIrp(irp, STATUS_SUCCESS);
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    irp->Flags = IRP_CLOSE_OPERATION | IRP_SYNCHRONOUS_API;
    irp->UserIosb = &iosb;
    irp->UserEvent = &event;
    irp->Tail.Overlay.Thread = ke_current();
    irp->Tail.Overlay.OriginalFileObject = &open->file;
    next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = major;
    next->FileObject = &open->file;
    if (IoCallDriver(target, irp) == STATUS_PENDING)
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
}

static void
free_file(struct io_file *open)
{
    PDEVICE_OBJECT device = open->file.DeviceObject;

    if (open->file.Vpb != NULL)
        io_vpb_deref(open->file.Vpb);
    if (open->close_irp != NULL)
        IoFreeIrp(open->close_irp);
    if (open->file.FileName.Buffer != NULL)
        ExFreePoolWithTag(open->file.FileName.Buffer, IO_TAG_NAME);
    InterlockedDecrement(&device->ReferenceCount);
    if (open->counted)
        io_pnp_file_closed(device);
    ObDereferenceObject(device);
    ob_free(open);
}

static void
close_file(struct io_file *open)
{
    if (open->file.Flags & (FO_FILE_OPEN | FO_STREAM_FILE)) {
        if (!(open->file.Flags & FO_CLEANUP_COMPLETE))
            send_teardown(open, IRP_MJ_CLEANUP);
        send_teardown(open, IRP_MJ_CLOSE);
    }
    free_file(open);
}

static VOID NTAPI
close_later(PVOID parameter)
{
    close_file(parameter);
}

static void
destroy_file(PVOID object)
{
    struct io_file *open = object;

    if (KeGetCurrentIrql() <= APC_LEVEL) {
        close_file(open);
        return;
    }
    ExInitializeWorkItem(&open->work, close_later, open);
    ExQueueWorkItem(&open->work, CriticalWorkQueue);
}

void
io_close_file(PFILE_OBJECT file)
{
    struct io_file *open = CONTAINING_RECORD(file, struct io_file, file);

    if (file == NULL)
        return;
    send_teardown(open, IRP_MJ_CLEANUP);
    file->Flags |= FO_CLEANUP_COMPLETE;
    ObDereferenceObject(file);
}

/* The last handle was closed. */
static void
close_handle(PVOID object, LONG left)
{
    struct io_file *open = object;

    if (left != 0 || !(open->file.Flags & FO_FILE_OPEN))
        return;
    send_teardown(open, IRP_MJ_CLEANUP);
    open->file.Flags |= FO_CLEANUP_COMPLETE;
}

/* --- one attempt --------------------------------------------------------- */

/* The name of the storage device, then that on the volume. */
static void
add_file_name(PVOID object, struct ob_path *path)
{
    PFILE_OBJECT file = object;

    ob_path_add_object(path, file->DeviceObject);
    ob_path_add(path, &file->FileName);
}

static PVOID
waitable_event(PVOID object)
{
    return &((PFILE_OBJECT) object)->Event;
}

static struct _OBJECT_TYPE file_type = {
    .name = OB_TYPE_NAME(L"File"),
    .mapping = { FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_GENERIC_EXECUTE,
                 FILE_ALL_ACCESS },
    .valid_access = FILE_ALL_ACCESS,
    .destroy = destroy_file,
    .close = close_handle,
    .add_name = add_file_name,
    .waitable = waitable_event,
};

static POBJECT_TYPE the_type = &file_type;
POBJECT_TYPE *IoFileObjectType = &the_type;

static NTSTATUS
new_file(PDEVICE_OBJECT device, PVPB vpb, const struct io_create *create,
         struct io_file **out_open)
{
    PCUNICODE_STRING name = create->name;
    struct io_file *open = ob_create_object(&file_type, sizeof *open);
    PFILE_OBJECT file;

    if (open == NULL) {
        if (vpb != NULL)
            io_vpb_deref(vpb);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    file = &open->file;
    ObReferenceObject(device);
    InterlockedIncrement(&device->ReferenceCount);
    file->Type = IO_TYPE_FILE;
    file->Size = sizeof *file;
    file->DeviceObject = device;
    file->Vpb = vpb;
    file->Flags = create->flags;
    file->ReadAccess = (create->access & FILE_READ_DATA) != 0;
    file->WriteAccess = (create->access & FILE_WRITE_DATA) != 0;
    file->DeleteAccess = (create->access & DELETE) != 0;
    file->SharedRead = (create->share & FILE_SHARE_READ) != 0;
    file->SharedWrite = (create->share & FILE_SHARE_WRITE) != 0;
    file->SharedDelete = (create->share & FILE_SHARE_DELETE) != 0;
    KeInitializeEvent(&file->Lock, SynchronizationEvent, TRUE);
    KeInitializeEvent(&file->Event, NotificationEvent, FALSE);
    InitializeListHead(&file->IrpList);
    *out_open = open;
    if (name == NULL || name->Length == 0)
        return STATUS_SUCCESS;
    file->FileName.Buffer =
        ExAllocatePoolWithTag(PagedPool, name->Length, IO_TAG_NAME);
    if (file->FileName.Buffer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    file->FileName.MaximumLength = name->Length;
    RtlCopyUnicodeString(&file->FileName, name);
    return STATUS_SUCCESS;
}

static NTSTATUS
send_create(struct io_file *open, const struct io_create *create,
            ULONG_PTR *out_information)
{
    IO_SECURITY_CONTEXT security = { .DesiredAccess = create->access,
                                     .FullCreateOptions = create->options };
    PDEVICE_OBJECT target = IoGetRelatedDeviceObject(&open->file);
    PIO_STACK_LOCATION next;
    struct io_sync sync;
    PIRP irp;

    open->close_irp = IoAllocateIrp(target->StackSize, FALSE);
    if (open->close_irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    irp = io_sync_irp(target, &sync);
    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    irp->Flags = IRP_CREATE_OPERATION | IRP_SYNCHRONOUS_API;
    irp->Tail.Overlay.OriginalFileObject = &open->file;
    next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = IRP_MJ_CREATE;
    next->FileObject = &open->file;
    next->Parameters.Create.SecurityContext = &security;
    next->Parameters.Create.Options =
        create->disposition << 24 | create->options;
    next->Parameters.Create.FileAttributes = create->attributes;
    next->Parameters.Create.ShareAccess = create->share;
    return io_sync_call(target, irp, &sync, out_information);
}

/* The volume that is mounted in the device, mounted now if need be. */
static NTSTATUS
find_volume(PDEVICE_OBJECT device, BOOLEAN volume_open, PVPB *out_vpb)
{
    bool locked = false;
    NTSTATUS status;
    PVPB vpb = io_vpb_ref_mounted(device, &locked);

    if (vpb == NULL) {
        status = io_mount_volume(device, volume_open, false, &vpb);
        if (!NT_SUCCESS(status))
            return status;
        locked = (io_vpb_flags(vpb) & VPB_LOCKED) != 0;
    }
    if (locked) {
        io_vpb_deref(vpb);
        return STATUS_ACCESS_DENIED;
    }
    *out_vpb = vpb;
    return STATUS_SUCCESS;
}

static NTSTATUS
open_once(PDEVICE_OBJECT device, const struct io_create *create,
          struct io_file **out_open, ULONG_PTR *out_information)
{
    bool unnamed = create->name == NULL || create->name->Length == 0;
    bool direct = unnamed && !(create->access & ~(ACCESS_MASK) DIRECT_ACCESS);
    struct io_file *open = NULL;
    NTSTATUS status = STATUS_SUCCESS;
    PVPB vpb = NULL;

    if (io_device_gone(device))
        return STATUS_NO_SUCH_DEVICE;
    if ((io_device_flags(device) & DO_EXCLUSIVE) &&
        __atomic_load_n(&device->ReferenceCount, __ATOMIC_RELAXED) != 0)
        return STATUS_ACCESS_DENIED;
    if (!direct && io_vpb_of(device) != NULL)
        status = find_volume(device, unnamed, &vpb);
    if (!NT_SUCCESS(status))
        return status;
    status = new_file(device, vpb, create, &open);
    if (open != NULL && direct)
        open->file.Flags |= FO_DIRECT_DEVICE_OPEN;
    else if (open != NULL && unnamed && vpb != NULL)
        open->file.Flags |= FO_VOLUME_OPEN;
    if (NT_SUCCESS(status))
        status = send_create(open, create, out_information);
    if (NT_SUCCESS(status) && status != STATUS_REPARSE) {
        open->file.Flags |= FO_FILE_OPEN;
        open->counted = true;
        io_pnp_file_opened(device);
        *out_open = open;
    } else if (open != NULL) {
        ObDereferenceObject(&open->file);
    }
    return status;
}

/* --- the open path ------------------------------------------------------- */

NTSTATUS
io_create_file(PDEVICE_OBJECT device, struct io_create *create,
               PFILE_OBJECT *out_file)
{
    struct io_file *open = NULL;
    ULONG_PTR information = 0;
    NTSTATUS status = STATUS_REPARSE;

    for (int i = 0; i <= IO_REMOUNT_LIMIT && status == STATUS_REPARSE; i++) {
        information = 0;
        status = open_once(device, create, &open, &information);
        TRACE(TRACE_VERIFY, "dev=%p open: %s information=%#lx", (void *) device,
              status_name(status), (unsigned long) information);
        /* Names that lead elsewhere: none of our file systems has them. */
        if (status == STATUS_REPARSE && information != IO_REMOUNT)
            return STATUS_OBJECT_NAME_INVALID;
    }
    if (status == STATUS_REPARSE)
        return STATUS_UNSUCCESSFUL;
    create->information = information;
    if (NT_SUCCESS(status))
        *out_file = &open->file;
    return status;
}

NTSTATUS
io_open_file(PDEVICE_OBJECT device, ACCESS_MASK access, PCUNICODE_STRING name,
             PFILE_OBJECT *out_file)
{
    struct io_create create = { .access = access,
                                .name = name,
                                .disposition = FILE_OPEN };

    return io_create_file(device, &create, out_file);
}

NTSTATUS
io_open_device(PDEVICE_OBJECT device, ACCESS_MASK access,
               PFILE_OBJECT *out_file)
{
    return io_open_file(device, access, NULL, out_file);
}

NTSTATUS NTAPI
IoGetDeviceObjectPointer(PUNICODE_STRING ObjectName, ACCESS_MASK DesiredAccess,
                         PFILE_OBJECT *FileObject, PDEVICE_OBJECT *DeviceObject)
{
    PDEVICE_OBJECT device = io_name_lookup(ObjectName);
    PFILE_OBJECT file;
    NTSTATUS status;

    if (device == NULL)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    status = io_open_device(device, DesiredAccess, &file);
    if (NT_SUCCESS(status)) {
        *FileObject = file;
        *DeviceObject = IoGetRelatedDeviceObject(file);
    }
    ObDereferenceObject(device);
    return status;
}

/* --- where the requests of a file go ------------------------------------- */

static PDEVICE_OBJECT
volume_in(PDEVICE_OBJECT device)
{
    PDEVICE_OBJECT volume = NULL;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    if (device->Vpb != NULL)
        volume = device->Vpb->DeviceObject;
    IoReleaseVpbSpinLock(irql);
    return volume;
}

PDEVICE_OBJECT NTAPI
IoGetBaseFileSystemDeviceObject(PFILE_OBJECT FileObject)
{
    PDEVICE_OBJECT volume = NULL;

    if (FileObject->Vpb != NULL)
        volume = FileObject->Vpb->DeviceObject;
    if (volume == NULL && !(FileObject->Flags & FO_DIRECT_DEVICE_OPEN))
        volume = volume_in(FileObject->DeviceObject);
    return volume != NULL ? volume : FileObject->DeviceObject;
}

PDEVICE_OBJECT NTAPI
IoGetRelatedDeviceObject(PFILE_OBJECT FileObject)
{
    return IoGetAttachedDevice(IoGetBaseFileSystemDeviceObject(FileObject));
}

/* --- streams: files that a file system opens for itself ------------------ */

static PFILE_OBJECT
create_stream(PFILE_OBJECT file, PDEVICE_OBJECT device)
{
    const struct io_create nothing = { 0 };
    struct io_file *open = NULL;
    NTSTATUS status;

    if (file != NULL)
        device = file->DeviceObject;
    status =
        new_file(device, io_vpb_ref_mounted(device, NULL), &nothing, &open);
    if (!NT_SUCCESS(status))
        return NULL;
    open->close_irp =
        IoAllocateIrp(IoGetRelatedDeviceObject(&open->file)->StackSize, FALSE);
    if (open->close_irp == NULL) {
        ObDereferenceObject(&open->file);
        return NULL;
    }
    open->file.Flags |= FO_STREAM_FILE;
    return &open->file;
}

/* NT opens and closes a handle, hence the CLEANUP. */
PFILE_OBJECT NTAPI
IoCreateStreamFileObject(PFILE_OBJECT FileObject, PDEVICE_OBJECT DeviceObject)
{
    PFILE_OBJECT stream = create_stream(FileObject, DeviceObject);

    if (stream == NULL)
        return NULL;
    send_teardown(CONTAINING_RECORD(stream, struct io_file, file),
                  IRP_MJ_CLEANUP);
    stream->Flags |= FO_CLEANUP_COMPLETE;
    return stream;
}

PFILE_OBJECT NTAPI
IoCreateStreamFileObjectLite(PFILE_OBJECT FileObject,
                             PDEVICE_OBJECT DeviceObject)
{
    PFILE_OBJECT stream = create_stream(FileObject, DeviceObject);

    if (stream != NULL)
        stream->Flags |= FO_CLEANUP_COMPLETE;
    return stream;
}
