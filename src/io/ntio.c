/*
 * ntio.c - requests on a handle: read, write, flush, device and file system
 *          controls
 *
 * PASSIVE; every call waits for its request, as on a file that was opened for
 * synchronous I/O, and then signals what the caller gave for an asynchronous
 * one (event, file, APC).
 *
 * Zw is a kernel caller, who is not checked.  Nt takes the previous mode of
 * the thread: in UserMode the handle needs the access that the request or the
 * control code asks for, or the driver never sees it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include "ke/ke.h"

static __thread KPROCESSOR_MODE previous_mode; /* KernelMode at first */

KPROCESSOR_MODE
io_set_previous_mode(KPROCESSOR_MODE mode)
{
    KPROCESSOR_MODE before = previous_mode;

    previous_mode = mode;
    return before;
}

KPROCESSOR_MODE NTAPI
ExGetPreviousMode(VOID)
{
    return previous_mode;
}

/* --- what all requests have ---------------------------------------------- */

struct call {
    KPROCESSOR_MODE mode;
    HANDLE handle;
    HANDLE event;
    PIO_APC_ROUTINE apc;
    PVOID apc_context;
    PIO_STATUS_BLOCK iosb; /* the caller's */
    PFILE_OBJECT file;     /* referenced */
    PKEVENT event_object;  /* referenced, or NULL */
    PDEVICE_OBJECT target;
    struct io_sync sync;
};

/* `access`: one of these rights is enough. */
static NTSTATUS
begin(struct call *call, ACCESS_MASK any_of, ACCESS_MASK all_of)
{
    OBJECT_HANDLE_INFORMATION information;
    PVOID object;
    NTSTATUS status;

    status = ObReferenceObjectByHandle(call->handle, 0, *IoFileObjectType,
                                       call->mode, &object, &information);
    if (!NT_SUCCESS(status))
        return status;
    call->file = object;
    if (call->mode != KernelMode &&
        ((any_of != 0 && !(information.GrantedAccess & any_of)) ||
         (all_of & ~information.GrantedAccess) != 0))
        status = STATUS_ACCESS_DENIED;
    if (NT_SUCCESS(status) && call->event != NULL) {
        status = ObReferenceObjectByHandle(call->event, EVENT_MODIFY_STATE,
                                           *ExEventObjectType, call->mode,
                                           &object, NULL);
        if (NT_SUCCESS(status))
            call->event_object = object;
    }
    if (!NT_SUCCESS(status)) {
        ObDereferenceObject(call->file);
        return status;
    }
    if (call->event_object != NULL)
        KeClearEvent(call->event_object);
    KeClearEvent(&call->file->Event);
    KeInitializeEvent(&call->sync.event, NotificationEvent, FALSE);
    call->target = IoGetRelatedDeviceObject(call->file);
    return STATUS_SUCCESS;
}

static void
end(struct call *call)
{
    if (call->event_object != NULL)
        ObDereferenceObject(call->event_object);
    ObDereferenceObject(call->file);
}

struct apc {
    PIO_APC_ROUTINE routine;
    PVOID context;
    PIO_STATUS_BLOCK iosb;
};

static void
run_apc(void *context)
{
    struct apc apc = *(struct apc *) context;

    ExFreePoolWithTag(context, IO_TAG_WORK);
    apc.routine(apc.context, apc.iosb, 0);
}

static void
queue_apc(const struct call *call)
{
    struct apc *apc =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *apc, IO_TAG_WORK);

    if (apc == NULL)
        return;
    *apc = (struct apc){ call->apc, call->apc_context, call->iosb };
    if (!ke_queue_apc(KeGetCurrentThread(), run_apc, apc))
        ExFreePoolWithTag(apc, IO_TAG_WORK);
}

/* An error that came at once leaves status block and events alone. */
static NTSTATUS
send(struct call *call, PIRP irp)
{
    bool pended;
    NTSTATUS status;

    irp->RequestorMode = call->mode;
    irp->Tail.Overlay.OriginalFileObject = call->file;
    IoGetNextIrpStackLocation(irp)->FileObject = call->file;
    status = IoCallDriver(call->target, irp);
    pended = status == STATUS_PENDING;
    if (pended) {
        KeWaitForSingleObject(&call->sync.event, Executive, KernelMode, FALSE,
                              NULL);
        status = call->sync.iosb.Status;
    }
    if (NT_ERROR(status) && !pended)
        return status;
    *call->iosb = call->sync.iosb;
    call->file->FinalStatus = status;
    KeSetEvent(&call->file->Event, IO_NO_INCREMENT, FALSE);
    if (call->event_object != NULL)
        KeSetEvent(call->event_object, IO_NO_INCREMENT, FALSE);
    if (call->apc != NULL)
        queue_apc(call);
    return status;
}

/* --- controls ------------------------------------------------------------ */

struct control {
    ULONG code;
    PVOID in;
    ULONG in_len;
    PVOID out;
    ULONG out_len;
    UCHAR major;
};

/* Bits 14 and 15: FILE_READ_ACCESS and FILE_WRITE_ACCESS have the values of
 * the rights that they ask for. */
static ACCESS_MASK
access_of(ULONG code)
{
    C_ASSERT(FILE_READ_ACCESS == FILE_READ_DATA);
    C_ASSERT(FILE_WRITE_ACCESS == FILE_WRITE_DATA);
    return (code >> 14) & (FILE_READ_ACCESS | FILE_WRITE_ACCESS);
}

static bool
has_no_buffer(KPROCESSOR_MODE mode, const void *buffer, ULONG length)
{
    return mode != KernelMode && buffer == NULL && length != 0;
}

static NTSTATUS
control(struct call *call, const struct control *what)
{
    NTSTATUS status = begin(call, 0, access_of(what->code));
    PIRP irp;

    if (!NT_SUCCESS(status))
        return status;
    /* A driver of METHOD_NEITHER looks itself. */
    if (METHOD_FROM_CTL_CODE(what->code) != METHOD_NEITHER &&
        (has_no_buffer(call->mode, what->in, what->in_len) ||
         has_no_buffer(call->mode, what->out, what->out_len))) {
        end(call);
        return STATUS_ACCESS_VIOLATION;
    }
    status = STATUS_INSUFFICIENT_RESOURCES;
    irp = IoBuildDeviceIoControlRequest(
        what->code, call->target, what->in, what->in_len, what->out,
        what->out_len, FALSE, &call->sync.event, &call->sync.iosb);
    if (irp != NULL) {
        /* The parameters of both kinds lie alike. */
        IoGetNextIrpStackLocation(irp)->MajorFunction = what->major;
        status = send(call, irp);
    }
    end(call);
    return status;
}

#define CALL(mode_)                                                            \
    {                                                                          \
        .mode = (mode_), .handle = FileHandle, .event = Event,                 \
        .apc = ApcRoutine, .apc_context = ApcContext, .iosb = IoStatusBlock,   \
    }

/* Four routines of one shape. */
#define CONTROL_ROUTINE(name, mode_, major_, code)                             \
    NTSTATUS NTAPI name(HANDLE FileHandle, HANDLE Event,                       \
                        PIO_APC_ROUTINE ApcRoutine, PVOID ApcContext,          \
                        PIO_STATUS_BLOCK IoStatusBlock, ULONG code,            \
                        PVOID InputBuffer, ULONG InputBufferLength,            \
                        PVOID OutputBuffer, ULONG OutputBufferLength)          \
    {                                                                          \
        struct call call = CALL(mode_);                                        \
        struct control what = {                                                \
            code,         InputBuffer,        InputBufferLength,               \
            OutputBuffer, OutputBufferLength, major_                           \
        };                                                                     \
                                                                               \
        return control(&call, &what);                                          \
    }

CONTROL_ROUTINE(NtDeviceIoControlFile, previous_mode, IRP_MJ_DEVICE_CONTROL,
                IoControlCode)
CONTROL_ROUTINE(ZwDeviceIoControlFile, KernelMode, IRP_MJ_DEVICE_CONTROL,
                IoControlCode)
CONTROL_ROUTINE(NtFsControlFile, previous_mode, IRP_MJ_FILE_SYSTEM_CONTROL,
                FsControlCode)
CONTROL_ROUTINE(ZwFsControlFile, KernelMode, IRP_MJ_FILE_SYSTEM_CONTROL,
                FsControlCode)

/* --- transfers ----------------------------------------------------------- */

struct transfer {
    UCHAR major;
    PVOID buffer;
    ULONG length;
    PLARGE_INTEGER offset; /* the caller's, or NULL */
    PULONG key;
};

/* Where it begins: given, or the file's own position, which only a file
 * opened for synchronous I/O has. */
static NTSTATUS
find_offset(PFILE_OBJECT file, const struct transfer *transfer,
            LARGE_INTEGER *out_offset)
{
    bool synchronous = (file->Flags & FO_SYNCHRONOUS_IO) != 0;
    bool own = transfer->offset == NULL ||
               (transfer->offset->HighPart == -1 &&
                transfer->offset->LowPart == FILE_USE_FILE_POINTER_POSITION);

    if (own && !synchronous)
        return STATUS_INVALID_PARAMETER;
    *out_offset = own ? file->CurrentByteOffset : *transfer->offset;
    if (out_offset->QuadPart < 0 &&
        !(transfer->major == IRP_MJ_WRITE && out_offset->HighPart == -1 &&
          out_offset->LowPart == FILE_WRITE_TO_END_OF_FILE))
        return STATUS_INVALID_PARAMETER;
    if ((file->Flags & FO_NO_INTERMEDIATE_BUFFERING) &&
        file->DeviceObject->SectorSize != 0 &&
        (transfer->length % file->DeviceObject->SectorSize != 0 ||
         (out_offset->QuadPart >= 0 &&
          out_offset->QuadPart % file->DeviceObject->SectorSize != 0)))
        return STATUS_INVALID_PARAMETER;
    return STATUS_SUCCESS;
}

static NTSTATUS
send_transfer(struct call *call, const struct transfer *transfer)
{
    bool read = transfer->major == IRP_MJ_READ;
    LARGE_INTEGER offset;
    NTSTATUS status;
    PIRP irp;

    if (has_no_buffer(call->mode, transfer->buffer, transfer->length))
        return STATUS_ACCESS_VIOLATION;
    status = find_offset(call->file, transfer, &offset);
    if (!NT_SUCCESS(status))
        return status;
    irp = IoBuildSynchronousFsdRequest(
        transfer->major, call->target, transfer->buffer, transfer->length,
        &offset, &call->sync.event, &call->sync.iosb);
    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    irp->Flags |= read ? IRP_READ_OPERATION : IRP_WRITE_OPERATION;
    if (call->file->Flags & FO_NO_INTERMEDIATE_BUFFERING)
        irp->Flags |= IRP_NOCACHE;
    if (!read && (call->file->Flags & FO_WRITE_THROUGH))
        IoGetNextIrpStackLocation(irp)->Flags |= SL_WRITE_THROUGH;
    if (transfer->key != NULL)
        IoGetNextIrpStackLocation(irp)->Parameters.Read.Key = *transfer->key;
    status = send(call, irp);
    if (NT_SUCCESS(status) && (call->file->Flags & FO_SYNCHRONOUS_IO) &&
        offset.QuadPart >= 0)
        call->file->CurrentByteOffset.QuadPart =
            offset.QuadPart + (LONGLONG) call->iosb->Information;
    return status;
}

static NTSTATUS
move(struct call *call, const struct transfer *transfer)
{
    NTSTATUS status = begin(call,
                            transfer->major == IRP_MJ_READ
                                ? FILE_READ_DATA
                                : FILE_WRITE_DATA | FILE_APPEND_DATA,
                            0);

    if (!NT_SUCCESS(status))
        return status;
    status = send_transfer(call, transfer);
    end(call);
    return status;
}

NTSTATUS NTAPI
NtReadFile(HANDLE FileHandle, HANDLE Event, PIO_APC_ROUTINE ApcRoutine,
           PVOID ApcContext, PIO_STATUS_BLOCK IoStatusBlock, PVOID Buffer,
           ULONG Length, PLARGE_INTEGER ByteOffset, PULONG Key)
{
    struct call call = CALL(previous_mode);
    struct transfer transfer = { IRP_MJ_READ, Buffer, Length, ByteOffset, Key };

    return move(&call, &transfer);
}

NTSTATUS NTAPI
ZwReadFile(HANDLE FileHandle, HANDLE Event, PIO_APC_ROUTINE ApcRoutine,
           PVOID ApcContext, PIO_STATUS_BLOCK IoStatusBlock, PVOID Buffer,
           ULONG Length, PLARGE_INTEGER ByteOffset, PULONG Key)
{
    struct call call = CALL(KernelMode);
    struct transfer transfer = { IRP_MJ_READ, Buffer, Length, ByteOffset, Key };

    return move(&call, &transfer);
}

NTSTATUS NTAPI
NtWriteFile(HANDLE FileHandle, HANDLE Event, PIO_APC_ROUTINE ApcRoutine,
            PVOID ApcContext, PIO_STATUS_BLOCK IoStatusBlock, PVOID Buffer,
            ULONG Length, PLARGE_INTEGER ByteOffset, PULONG Key)
{
    struct call call = CALL(previous_mode);
    struct transfer transfer = { IRP_MJ_WRITE, Buffer, Length, ByteOffset,
                                 Key };

    return move(&call, &transfer);
}

NTSTATUS NTAPI
ZwWriteFile(HANDLE FileHandle, HANDLE Event, PIO_APC_ROUTINE ApcRoutine,
            PVOID ApcContext, PIO_STATUS_BLOCK IoStatusBlock, PVOID Buffer,
            ULONG Length, PLARGE_INTEGER ByteOffset, PULONG Key)
{
    struct call call = CALL(KernelMode);
    struct transfer transfer = { IRP_MJ_WRITE, Buffer, Length, ByteOffset,
                                 Key };

    return move(&call, &transfer);
}

/* --- flush --------------------------------------------------------------- */

static NTSTATUS
flush(HANDLE handle, PIO_STATUS_BLOCK iosb, KPROCESSOR_MODE mode)
{
    struct call call = { .mode = mode, .handle = handle, .iosb = iosb };
    NTSTATUS status = begin(&call, FILE_WRITE_DATA | FILE_APPEND_DATA, 0);
    PIRP irp;

    if (!NT_SUCCESS(status))
        return status;
    irp =
        IoBuildSynchronousFsdRequest(IRP_MJ_FLUSH_BUFFERS, call.target, NULL, 0,
                                     NULL, &call.sync.event, &call.sync.iosb);
    status = irp != NULL ? send(&call, irp) : STATUS_INSUFFICIENT_RESOURCES;
    end(&call);
    return status;
}

NTSTATUS NTAPI
NtFlushBuffersFile(HANDLE FileHandle, PIO_STATUS_BLOCK IoStatusBlock)
{
    return flush(FileHandle, IoStatusBlock, previous_mode);
}

NTSTATUS NTAPI
ZwFlushBuffersFile(HANDLE FileHandle, PIO_STATUS_BLOCK IoStatusBlock)
{
    return flush(FileHandle, IoStatusBlock, KernelMode);
}
