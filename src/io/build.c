/*
 * build.c - IRPs built for a caller: device controls, transfers, associated
 *           ones, and requests that somebody waits for
 *
 * <= APC.  The synchronous builders put the IRP on the current thread's list;
 * IofCompleteRequest frees such an IRP with all that hangs on it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

/* --- buffers ------------------------------------------------------------- */

static bool
attach_system_buffer(PIRP irp, PVOID in, ULONG in_len, PVOID out, ULONG out_len)
{
    ULONG size = in_len > out_len ? in_len : out_len;
    PUCHAR buffer;

    if (size == 0)
        return true;
    if (size <= IO_BUFFER_SIZE) {
        buffer = io_cache_get(IO_CACHE_BUFFER);
        irp->AllocationFlags |= IO_IRP_SMALL;
    } else {
        buffer = io_pool_alloc(size, IO_TAG_BUFFER);
    }
    if (buffer == NULL)
        return false;
    if (in_len != 0)
        RtlCopyMemory(buffer, in, in_len);
    /* No stale heap in what a driver answers. */
    RtlZeroMemory(buffer + in_len, size - in_len);
    irp->AssociatedIrp.SystemBuffer = buffer;
    irp->UserBuffer = out;
    irp->Flags |= IRP_BUFFERED_IO | IRP_DEALLOCATE_BUFFER;
    return true;
}

static bool
attach_mdl(PIRP irp, PVOID buffer, ULONG length, LOCK_OPERATION operation)
{
    PMDL mdl;

    if (length == 0)
        return true;
    mdl = IoAllocateMdl(buffer, length, FALSE, FALSE, irp);
    if (mdl == NULL)
        return false;
    MmProbeAndLockPages(mdl, KernelMode, operation);
    return true;
}

static void
drop_irp(PIRP irp)
{
    io_release_mdls(irp);
    io_release_buffer(irp);
    IoFreeIrp(irp);
}

/* --- device controls ----------------------------------------------------- */

static bool
attach_control_buffers(PIRP irp, ULONG code, PVOID in, ULONG in_len, PVOID out,
                       ULONG out_len)
{
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);

    switch (METHOD_FROM_CTL_CODE(code)) {
    case METHOD_BUFFERED:
        if (out_len != 0)
            irp->Flags |= IRP_INPUT_OPERATION;
        return attach_system_buffer(irp, in, in_len, out, out_len);
    case METHOD_IN_DIRECT:
    case METHOD_OUT_DIRECT:
        return attach_system_buffer(irp, in, in_len, NULL, 0) &&
               attach_mdl(irp, out, out_len,
                          METHOD_FROM_CTL_CODE(code) == METHOD_IN_DIRECT
                              ? IoReadAccess
                              : IoWriteAccess);
    default:
        next->Parameters.DeviceIoControl.Type3InputBuffer = in;
        irp->UserBuffer = out;
        return true;
    }
}

PIRP NTAPI
IoBuildDeviceIoControlRequest(ULONG IoControlCode, PDEVICE_OBJECT DeviceObject,
                              PVOID InputBuffer, ULONG InputBufferLength,
                              PVOID OutputBuffer, ULONG OutputBufferLength,
                              BOOLEAN InternalDeviceIoControl, PKEVENT Event,
                              PIO_STATUS_BLOCK IoStatusBlock)
{
    PIRP irp = IoAllocateIrp(DeviceObject->StackSize, FALSE);
    PIO_STACK_LOCATION next;

    KE_IRQL(IoBuildDeviceIoControlRequest);
    if (irp == NULL)
        return NULL;
    next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = InternalDeviceIoControl
                              ? IRP_MJ_INTERNAL_DEVICE_CONTROL
                              : IRP_MJ_DEVICE_CONTROL;
    next->Parameters.DeviceIoControl.IoControlCode = IoControlCode;
    next->Parameters.DeviceIoControl.InputBufferLength = InputBufferLength;
    next->Parameters.DeviceIoControl.OutputBufferLength = OutputBufferLength;
    if (!attach_control_buffers(irp, IoControlCode, InputBuffer,
                                InputBufferLength, OutputBuffer,
                                OutputBufferLength)) {
        drop_irp(irp);
        return NULL;
    }
    irp->RequestorMode = KernelMode;
    irp->UserIosb = IoStatusBlock;
    irp->UserEvent = Event;
    io_thread_queue_irp(irp);
    return irp;
}

/* --- transfers ----------------------------------------------------------- */

static bool
attach_transfer_buffer(PIRP irp, PDEVICE_OBJECT device, ULONG major,
                       PVOID buffer, ULONG length)
{
    bool read = major == IRP_MJ_READ;
    ULONG flags = io_device_flags(device);

    if (flags & DO_BUFFERED_IO) {
        if (read)
            irp->Flags |= IRP_INPUT_OPERATION;
        return attach_system_buffer(irp, buffer, read ? 0 : length,
                                    read ? buffer : NULL, length);
    }
    if (flags & DO_DIRECT_IO)
        return attach_mdl(irp, buffer, length,
                          read ? IoWriteAccess : IoReadAccess);
    irp->UserBuffer = buffer;
    return true;
}

/* The thread is the current one; the IRP is not on its list. */
PIRP NTAPI
IoBuildAsynchronousFsdRequest(ULONG MajorFunction, PDEVICE_OBJECT DeviceObject,
                              PVOID Buffer, ULONG Length,
                              PLARGE_INTEGER StartingOffset,
                              PIO_STATUS_BLOCK IoStatusBlock)
{
    PIRP irp = IoAllocateIrp(DeviceObject->StackSize, FALSE);
    PIO_STACK_LOCATION next;

    KE_IRQL(IoBuildAsynchronousFsdRequest);
    if (irp == NULL)
        return NULL;
    next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = (UCHAR) MajorFunction;
    if (MajorFunction == IRP_MJ_READ || MajorFunction == IRP_MJ_WRITE) {
        /* Read and Write share their layout. */
        next->Parameters.Read.Length = Length;
        if (StartingOffset != NULL)
            next->Parameters.Read.ByteOffset = *StartingOffset;
        if (!attach_transfer_buffer(irp, DeviceObject, MajorFunction, Buffer,
                                    Length)) {
            drop_irp(irp);
            return NULL;
        }
    }
    irp->RequestorMode = KernelMode;
    irp->UserIosb = IoStatusBlock;
    irp->Tail.Overlay.Thread = ke_current();
    return irp;
}

PIRP NTAPI
IoBuildSynchronousFsdRequest(ULONG MajorFunction, PDEVICE_OBJECT DeviceObject,
                             PVOID Buffer, ULONG Length,
                             PLARGE_INTEGER StartingOffset, PKEVENT Event,
                             PIO_STATUS_BLOCK IoStatusBlock)
{
    PIRP irp =
        IoBuildAsynchronousFsdRequest(MajorFunction, DeviceObject, Buffer,
                                      Length, StartingOffset, IoStatusBlock);

    KE_IRQL(IoBuildSynchronousFsdRequest);
    if (irp == NULL)
        return NULL;
    irp->UserEvent = Event;
    io_thread_queue_irp(irp);
    return irp;
}

/* --- a completion routine that keeps its driver ---------------------------- */

struct guarded {
    PDEVICE_OBJECT device; /* holds a reference */
    PIO_COMPLETION_ROUTINE routine;
    PVOID context;
    BOOLEAN on_success, on_error, on_cancel;
};

static NTSTATUS NTAPI
call_guarded(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    struct guarded guarded = *(struct guarded *) context;
    bool success = NT_SUCCESS(irp->IoStatus.Status);
    NTSTATUS status = STATUS_CONTINUE_COMPLETION;

    ExFreePoolWithTag(context, IO_TAG_WORK);
    if ((success && guarded.on_success) || (!success && guarded.on_error) ||
        (guarded.on_cancel && __atomic_load_n(&irp->Cancel, __ATOMIC_RELAXED)))
        status = guarded.routine(device, irp, guarded.context);
    else if (irp->PendingReturned && irp->CurrentLocation <= irp->StackCount)
        IoMarkIrpPending(irp);
    ObDereferenceObject(guarded.device);
    return status;
}

NTSTATUS NTAPI
IoSetCompletionRoutineEx(PDEVICE_OBJECT DeviceObject, PIRP Irp,
                         PIO_COMPLETION_ROUTINE CompletionRoutine,
                         PVOID Context, BOOLEAN InvokeOnSuccess,
                         BOOLEAN InvokeOnError, BOOLEAN InvokeOnCancel)
{
    struct guarded *guarded =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *guarded, IO_TAG_WORK);

    if (guarded == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    ObReferenceObject(DeviceObject);
    guarded->device = DeviceObject;
    guarded->routine = CompletionRoutine;
    guarded->context = Context;
    guarded->on_success = InvokeOnSuccess;
    guarded->on_error = InvokeOnError;
    guarded->on_cancel = InvokeOnCancel;
    IoSetCompletionRoutine(Irp, call_guarded, guarded, TRUE, TRUE, TRUE);
    return STATUS_SUCCESS;
}

/* --- associated IRPs ----------------------------------------------------- */

/* Counted by the caller in Irp->AssociatedIrp.IrpCount. */
PIRP NTAPI
IoMakeAssociatedIrp(PIRP Irp, CCHAR StackSize)
{
    PIRP irp = IoAllocateIrp(StackSize, FALSE);

    KE_IRQL(IoMakeAssociatedIrp);
    if (irp == NULL)
        return NULL;
    irp->Flags |= IRP_ASSOCIATED_IRP;
    irp->AssociatedIrp.MasterIrp = Irp;
    irp->Tail.Overlay.Thread = Irp->Tail.Overlay.Thread;
    return irp;
}

static bool
master_status_gives_way(NTSTATUS stored, NTSTATUS status)
{
    if (status == STATUS_FT_READ_FROM_COPY)
        return false;
    if (status == STATUS_VERIFY_REQUIRED)
        return true;
    /* The page is silent on a later, more severe error; once a change was seen
     * the volume must be verified, so VERIFY_REQUIRED stays. */
    if (stored == STATUS_VERIFY_REQUIRED || NT_SUCCESS(status))
        return false;
    return NT_SUCCESS(stored) || (ULONG) status >> 30 > (ULONG) stored >> 30;
}

/* Any IRQL; parts of one transfer may complete at once. */
VOID NTAPI
IoSetMasterIrpStatus(PIRP MasterIrp, NTSTATUS Status)
{
    NTSTATUS stored =
        __atomic_load_n(&MasterIrp->IoStatus.Status, __ATOMIC_ACQUIRE);

    while (master_status_gives_way(stored, Status) &&
           !__atomic_compare_exchange_n(&MasterIrp->IoStatus.Status, &stored,
                                        Status, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
        ;
}

/* --- waiting ------------------------------------------------------------- */

static NTSTATUS NTAPI
forward_done(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    UNREFERENCED_PARAMETER(device);
    if (irp->PendingReturned)
        KeSetEvent(context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

BOOLEAN NTAPI
IoForwardIrpSynchronously(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    KEVENT event;

    KE_IRQL(IoForwardIrpSynchronously);
    if (Irp->CurrentLocation <= 1)
        return FALSE;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, forward_done, &event, TRUE, TRUE, TRUE);
    if (IoCallDriver(DeviceObject, Irp) == STATUS_PENDING)
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    return TRUE;
}

PIRP
io_sync_irp(PDEVICE_OBJECT target, struct io_sync *out_sync)
{
    PIRP irp = IoAllocateIrp(target->StackSize, FALSE);

    if (irp == NULL)
        return NULL;
    KeInitializeEvent(&out_sync->event, NotificationEvent, FALSE);
    RtlZeroMemory(&out_sync->iosb, sizeof out_sync->iosb);
    irp->RequestorMode = KernelMode;
    irp->UserIosb = &out_sync->iosb;
    irp->UserEvent = &out_sync->event;
    io_thread_queue_irp(irp);
    return irp;
}

NTSTATUS
io_sync_call(PDEVICE_OBJECT target, PIRP irp, struct io_sync *sync,
             ULONG_PTR *out_information)
{
    NTSTATUS status = IoCallDriver(target, irp);

    if (status == STATUS_PENDING) {
        KeWaitForSingleObject(&sync->event, Executive, KernelMode, FALSE, NULL);
        status = sync->iosb.Status;
    }
    if (out_information != NULL)
        *out_information = sync->iosb.Information;
    return status;
}

NTSTATUS
io_device_control(PDEVICE_OBJECT device, ULONG code, const void *in,
                  ULONG in_len, void *out, ULONG out_len, UCHAR stack_flags,
                  ULONG_PTR *out_information)
{
    PDEVICE_OBJECT top = IoGetAttachedDeviceReference(device);
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    struct io_sync sync = { 0 };
    PIRP irp;

    KeInitializeEvent(&sync.event, NotificationEvent, FALSE);
    irp =
        IoBuildDeviceIoControlRequest(code, top, (PVOID) in, in_len, out,
                                      out_len, FALSE, &sync.event, &sync.iosb);
    if (irp != NULL) {
        IoGetNextIrpStackLocation(irp)->Flags = stack_flags;
        status = io_sync_call(top, irp, &sync, out_information);
    }
    ObDereferenceObject(top);
    return status;
}
