/*
 * complete.c - IoCompleteRequest: the way up, and the end of a request
 *
 * <= DISPATCH, no lock, no atomic but where the IRP is on a thread's list.
 *
 * Differs from NT at the very end: NT finishes a threaded IRP in the context of
 * its thread, by an APC, because only there the caller's memory is mapped.
 * Here all threads share one address space, so the completing thread does it
 * at once: copies back, writes UserIosb, sets the event, frees the IRP.  What a
 * caller can see is the same, and it may wait at any IRQL below DISPATCH.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include "base/status.h"

/* --- checks -------------------------------------------------------------- */

PDEVICE_OBJECT
io_current_device(PIRP irp)
{
    if (irp->CurrentLocation < 1 || irp->CurrentLocation > irp->StackCount)
        return NULL;
    return IoGetCurrentIrpStackLocation(irp)->DeviceObject;
}

static VOID NTAPI __attribute__((cold)) check_completion(PIRP irp)
{
    enum io_rule rule = IO_RULE_COMPLETE_CANCELABLE;

    if (irp->Type != IO_TYPE_IRP || irp->CurrentLocation > irp->StackCount + 1)
        io_broken(IO_RULE_DOUBLE_COMPLETE, NULL, irp);
    if (irp->IoStatus.Status == STATUS_PENDING || irp->IoStatus.Status == -1)
        rule = IO_RULE_COMPLETE_PENDING;
    io_broken(rule, io_current_device(irp), irp);
}

static VOID NTAPI __attribute__((cold))
trace_location(PIRP irp, PIO_STACK_LOCATION location)
{
    TRACE(TRACE_IRP, "irp=%p done dev=%p major=%02x %s information=%#lx",
          (void *) irp, (void *) location->DeviceObject,
          location->MajorFunction, status_name(irp->IoStatus.Status),
          (unsigned long) irp->IoStatus.Information);
}

/* --- the end ------------------------------------------------------------- */

void
io_release_mdls(PIRP irp)
{
    PMDL mdl = irp->MdlAddress, next;

    irp->MdlAddress = NULL;
    for (; mdl != NULL; mdl = next) {
        next = mdl->Next;
        if (mdl->MdlFlags & MDL_PAGES_LOCKED)
            MmUnlockPages(mdl);
        IoFreeMdl(mdl);
    }
}

void
io_release_buffer(PIRP irp)
{
    PVOID buffer = irp->AssociatedIrp.SystemBuffer;

    if (!(irp->Flags & IRP_DEALLOCATE_BUFFER) || buffer == NULL)
        return;
    irp->Flags &= ~(ULONG) IRP_DEALLOCATE_BUFFER;
    irp->AssociatedIrp.SystemBuffer = NULL;
    if (io_irp_flags(irp) & IO_IRP_SMALL)
        io_cache_put(IO_CACHE_BUFFER, buffer);
    else
        io_pool_free(buffer, IO_TAG_BUFFER);
}

static VOID NTAPI
finish_associated(PIRP irp)
{
    PIRP master = irp->AssociatedIrp.MasterIrp;

    io_release_mdls(irp);
    IoFreeIrp(irp);
    if (InterlockedDecrement(&master->AssociatedIrp.IrpCount) == 0)
        IofCompleteRequest(master, IO_NO_INCREMENT);
}

/* Mount, verify, paging and close: the status block and the event, always.
 * Their buffers belong to the issuer; so does the IRP of a close. */
static VOID NTAPI
finish_internal(PIRP irp)
{
    PIO_STATUS_BLOCK iosb = irp->UserIosb;
    PKEVENT event = irp->UserEvent;

    if (iosb != NULL)
        *iosb = irp->IoStatus;
    if (irp->Flags & IRP_CLOSE_OPERATION)
        irp->CurrentLocation = (CHAR) (irp->StackCount + 2);
    else
        IoFreeIrp(irp);
    if (event != NULL)
        KeSetEvent(event, IO_NO_INCREMENT, FALSE);
}

static void
copy_back(PIRP irp)
{
    NTSTATUS status = irp->IoStatus.Status;

    if (!(irp->Flags & IRP_BUFFERED_IO))
        return;
    /* VERIFY_REQUIRED is only a warning, but what is in the buffer may be of
     * the wrong medium. */
    if ((irp->Flags & IRP_INPUT_OPERATION) && !NT_ERROR(status) &&
        status != STATUS_VERIFY_REQUIRED && irp->IoStatus.Information != 0)
        RtlCopyMemory(irp->UserBuffer, irp->AssociatedIrp.SystemBuffer,
                      irp->IoStatus.Information);
}

/* An issuer that got an error at once reads it from IoCallDriver; its status
 * block and event are touched only if it was told STATUS_PENDING. */
static void
tell_issuer(PIRP irp)
{
    if (NT_ERROR(irp->IoStatus.Status) && !irp->PendingReturned)
        return;
    if (irp->UserIosb != NULL)
        *irp->UserIosb = irp->IoStatus;
    if (irp->UserEvent != NULL)
        KeSetEvent(irp->UserEvent, IO_NO_INCREMENT, FALSE);
}

static VOID NTAPI
finish_threaded(PIRP irp)
{
    bool has_thread = io_thread_enter_finish(irp);

    io_release_mdls(irp);
    if (has_thread)
        copy_back(irp);
    io_release_buffer(irp);
    irp->CurrentLocation = (CHAR) (irp->StackCount + 2);
    if (has_thread)
        tell_issuer(irp);
    if (io_thread_leave(irp))
        IoFreeIrp(irp);
}

/*
 * Of IoBuildAsynchronousFsdRequest, without a completion routine that keeps it:
 * against the rules, but on Windows such an IRP ends as a threaded one does, so
 * where the rules are not looked at it does here.
 */
static VOID NTAPI
finish_unlisted(PIRP irp)
{
    io_release_mdls(irp);
    copy_back(irp);
    io_release_buffer(irp);
    irp->CurrentLocation = (CHAR) (irp->StackCount + 2);
    tell_issuer(irp);
    IoFreeIrp(irp);
}

static VOID NTAPI
finish(PIRP irp)
{
    if (irp->Flags & IRP_ASSOCIATED_IRP)
        finish_associated(irp);
    else if (irp->Flags & (IRP_MOUNT_COMPLETION | IRP_CLOSE_OPERATION))
        finish_internal(irp);
    else if (io_irp_flags(irp) & IO_IRP_THREADED)
        finish_threaded(irp);
    else if (!IO_CHECKING && irp->Tail.Overlay.Thread != NULL)
        finish_unlisted(irp);
    else
        io_broken(IO_RULE_PAST_TOP, NULL, irp);
}

/* --- the way up ---------------------------------------------------------- */

static inline __attribute__((always_inline)) void
clear_location(PIO_STACK_LOCATION location)
{
    location->MinorFunction = 0;
    location->Flags = 0;
    location->Control &= SL_ERROR_RETURNED;
    location->Parameters.Others.Argument1 = NULL;
    location->Parameters.Others.Argument2 = NULL;
    location->Parameters.Others.Argument3 = NULL;
    location->Parameters.Others.Argument4 = NULL;
    location->FileObject = NULL;
}

static inline __attribute__((always_inline)) UCHAR
wanted(PIRP irp)
{
    UCHAR mask = NT_SUCCESS(irp->IoStatus.Status) ? SL_INVOKE_ON_SUCCESS
                                                  : SL_INVOKE_ON_ERROR;

    if (IO_UNLIKELY(__atomic_load_n(&irp->Cancel, __ATOMIC_RELAXED)))
        mask |= SL_INVOKE_ON_CANCEL;
    return mask;
}

/* Twice compiled: in debug builds, with and without the checks. */
static inline __attribute__((always_inline)) void
go_up(PIRP irp, bool checked)
{
    bool error_recorded = false;

    while (irp->CurrentLocation <= irp->StackCount) {
        PIO_STACK_LOCATION location = irp->Tail.Overlay.CurrentStackLocation;
        UCHAR control = location->Control;
        bool top = irp->CurrentLocation++ == irp->StackCount;
        PDEVICE_OBJECT device;
        NTSTATUS status;

        irp->Tail.Overlay.CurrentStackLocation++;
        if (TRACE_ON(TRACE_IRP))
            trace_location(irp, location);
        if (checked)
            io_checked_pop(irp, location);
        irp->PendingReturned = control & SL_PENDING_RETURNED;
        if (IO_UNLIKELY(!NT_SUCCESS(irp->IoStatus.Status)) && !top &&
            !error_recorded) {
            location[1].Control |= SL_ERROR_RETURNED;
            error_recorded = true;
        }
        clear_location(location);
        if (control & wanted(irp)) {
            device = top ? NULL : location[1].DeviceObject;
            status = checked ? io_checked_routine(irp, location, device)
                             : location->CompletionRoutine(device, irp,
                                                           location->Context);
            if (status == STATUS_MORE_PROCESSING_REQUIRED)
                return;
        } else if (irp->PendingReturned && !top) {
            location[1].Control |= SL_PENDING_RETURNED;
        }
    }
    finish(irp);
}

static VOID NTAPI __attribute__((noinline)) complete_checked(PIRP irp)
{
    io_checked_complete(irp);
    go_up(irp, true);
}

VOID FASTCALL
IofCompleteRequest(PIRP Irp, CCHAR PriorityBoost)
{
    UNREFERENCED_PARAMETER(PriorityBoost);
    KE_IRQL(IoCompleteRequest);
    if (IO_UNLIKELY(Irp->Type != IO_TYPE_IRP ||
                    Irp->CurrentLocation > Irp->StackCount + 1 ||
                    Irp->IoStatus.Status == STATUS_PENDING ||
                    Irp->IoStatus.Status == -1 ||
                    __atomic_load_n(&Irp->CancelRoutine, __ATOMIC_RELAXED) !=
                        NULL))
        check_completion(Irp);
    if (IO_CHECKING)
        complete_checked(Irp);
    else
        go_up(Irp, false);
}
