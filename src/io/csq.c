/*
 * csq.c - cancel-safe queues: the driver keeps the list, this keeps the order of
 *         insertion, removal and cancellation
 *
 * <= DISPATCH.  Who takes the cancel routine away owns the IRP: a removal that
 * finds none leaves the IRP to the cancel routine, which waits for the queue's
 * lock.  The lock is the driver's own, reached through its callbacks.
 *
 * Tail.Overlay.DriverContext[3] of a queued IRP names its queue, or the context
 * that the driver gave with it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

static NTSTATUS
initialize(PIO_CSQ csq, ULONG type, PIO_CSQ_INSERT_IRP insert,
           const IO_CSQ *callbacks)
{
    *csq = *callbacks;
    csq->Type = type;
    csq->CsqInsertIrp = insert;
    csq->ReservePointer = NULL;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI
IoCsqInitialize(PIO_CSQ Csq, PIO_CSQ_INSERT_IRP CsqInsertIrp,
                PIO_CSQ_REMOVE_IRP CsqRemoveIrp,
                PIO_CSQ_PEEK_NEXT_IRP CsqPeekNextIrp,
                PIO_CSQ_ACQUIRE_LOCK CsqAcquireLock,
                PIO_CSQ_RELEASE_LOCK CsqReleaseLock,
                PIO_CSQ_COMPLETE_CANCELED_IRP CsqCompleteCanceledIrp)
{
    IO_CSQ callbacks = { 0 };

    callbacks.CsqRemoveIrp = CsqRemoveIrp;
    callbacks.CsqPeekNextIrp = CsqPeekNextIrp;
    callbacks.CsqAcquireLock = CsqAcquireLock;
    callbacks.CsqReleaseLock = CsqReleaseLock;
    callbacks.CsqCompleteCanceledIrp = CsqCompleteCanceledIrp;
    return initialize(Csq, IO_TYPE_CSQ, CsqInsertIrp, &callbacks);
}

NTSTATUS NTAPI
IoCsqInitializeEx(PIO_CSQ Csq, PIO_CSQ_INSERT_IRP_EX CsqInsertIrp,
                  PIO_CSQ_REMOVE_IRP CsqRemoveIrp,
                  PIO_CSQ_PEEK_NEXT_IRP CsqPeekNextIrp,
                  PIO_CSQ_ACQUIRE_LOCK CsqAcquireLock,
                  PIO_CSQ_RELEASE_LOCK CsqReleaseLock,
                  PIO_CSQ_COMPLETE_CANCELED_IRP CsqCompleteCanceledIrp)
{
    IO_CSQ callbacks = { 0 };

    callbacks.CsqRemoveIrp = CsqRemoveIrp;
    callbacks.CsqPeekNextIrp = CsqPeekNextIrp;
    callbacks.CsqAcquireLock = CsqAcquireLock;
    callbacks.CsqReleaseLock = CsqReleaseLock;
    callbacks.CsqCompleteCanceledIrp = CsqCompleteCanceledIrp;
    return initialize(Csq, IO_TYPE_CSQ_EX,
                      (PIO_CSQ_INSERT_IRP) (PVOID) CsqInsertIrp, &callbacks);
}

/* --- one IRP ------------------------------------------------------------- */

static PIO_CSQ_IRP_CONTEXT
context_of(PIRP irp)
{
    PIO_CSQ_IRP_CONTEXT context = irp->Tail.Overlay.DriverContext[3];

    return context->Type == IO_TYPE_CSQ_IRP_CONTEXT ? context : NULL;
}

static PIO_CSQ
queue_of(PIRP irp)
{
    PIO_CSQ_IRP_CONTEXT context = context_of(irp);

    return context != NULL ? context->Csq : irp->Tail.Overlay.DriverContext[3];
}

static void
enter_locked(PIO_CSQ csq, PIRP irp, PIO_CSQ_IRP_CONTEXT context)
{
    irp->Tail.Overlay.DriverContext[3] = csq;
    if (context != NULL) {
        context->Type = IO_TYPE_CSQ_IRP_CONTEXT;
        context->Irp = irp;
        context->Csq = csq;
        irp->Tail.Overlay.DriverContext[3] = context;
    }
}

static void
leave_locked(PIRP irp)
{
    PIO_CSQ_IRP_CONTEXT context = context_of(irp);

    if (context != NULL)
        context->Irp = NULL;
    irp->Tail.Overlay.DriverContext[3] = NULL;
}

static VOID NTAPI
cancel_queued(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_CSQ csq = queue_of(irp);
    KIRQL irql;

    UNREFERENCED_PARAMETER(device);
    IoReleaseCancelSpinLock(irp->CancelIrql);
    csq->CsqAcquireLock(csq, &irql);
    csq->CsqRemoveIrp(csq, irp);
    leave_locked(irp);
    csq->CsqReleaseLock(csq, irql);
    csq->CsqCompleteCanceledIrp(csq, irp);
}

/* --- the queue ----------------------------------------------------------- */

static NTSTATUS
insert_locked(PIO_CSQ csq, PIRP irp, PVOID insert_context)
{
    PIO_CSQ_INSERT_IRP_EX extended;

    if (csq->Type != IO_TYPE_CSQ_EX) {
        csq->CsqInsertIrp(csq, irp);
        return STATUS_SUCCESS;
    }
    extended = (PIO_CSQ_INSERT_IRP_EX) (PVOID) csq->CsqInsertIrp;
    return extended(csq, irp, insert_context);
}

/* A status that is no success is CsqInsertIrp's: the IRP is not in the queue
 * and not marked pending.  Otherwise the IRP may be gone on return. */
NTSTATUS NTAPI
IoCsqInsertIrpEx(PIO_CSQ Csq, PIRP Irp, PIO_CSQ_IRP_CONTEXT Context,
                 PVOID InsertContext)
{
    NTSTATUS status;
    KIRQL irql;

    Csq->CsqAcquireLock(Csq, &irql);
    enter_locked(Csq, Irp, Context);
    status = insert_locked(Csq, Irp, InsertContext);
    if (!NT_SUCCESS(status)) {
        leave_locked(Irp);
        Csq->CsqReleaseLock(Csq, irql);
        return status;
    }
    IoMarkIrpPending(Irp);
    IoSetCancelRoutine(Irp, cancel_queued);
    /* Cancelled before the routine was there; if it was there in time, it is
     * on its way and waits for the lock. */
    if (__atomic_load_n(&Irp->Cancel, __ATOMIC_SEQ_CST) &&
        IoSetCancelRoutine(Irp, NULL) != NULL) {
        Csq->CsqRemoveIrp(Csq, Irp);
        leave_locked(Irp);
        Csq->CsqReleaseLock(Csq, irql);
        Csq->CsqCompleteCanceledIrp(Csq, Irp);
        return status;
    }
    Csq->CsqReleaseLock(Csq, irql);
    return status;
}

VOID NTAPI
IoCsqInsertIrp(PIO_CSQ Csq, PIRP Irp, PIO_CSQ_IRP_CONTEXT Context)
{
    (void) IoCsqInsertIrpEx(Csq, Irp, Context, NULL);
}

PIRP NTAPI
IoCsqRemoveIrp(PIO_CSQ Csq, PIO_CSQ_IRP_CONTEXT Context)
{
    PIRP irp;
    KIRQL irql;

    Csq->CsqAcquireLock(Csq, &irql);
    irp = Context->Irp;
    if (irp != NULL && IoSetCancelRoutine(irp, NULL) == NULL)
        irp = NULL;
    if (irp != NULL) {
        Csq->CsqRemoveIrp(Csq, irp);
        leave_locked(irp);
    }
    Csq->CsqReleaseLock(Csq, irql);
    return irp;
}

PIRP NTAPI
IoCsqRemoveNextIrp(PIO_CSQ Csq, PVOID PeekContext)
{
    PIRP irp;
    KIRQL irql;

    Csq->CsqAcquireLock(Csq, &irql);
    irp = Csq->CsqPeekNextIrp(Csq, NULL, PeekContext);
    while (irp != NULL && IoSetCancelRoutine(irp, NULL) == NULL)
        irp = Csq->CsqPeekNextIrp(Csq, irp, PeekContext);
    if (irp != NULL) {
        Csq->CsqRemoveIrp(Csq, irp);
        leave_locked(irp);
    }
    Csq->CsqReleaseLock(Csq, irql);
    return irp;
}
