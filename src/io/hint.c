/*
 * hint.c - small questions about an IRP or the calling thread
 *
 * Any IRQL, no lock.  The priority hint lives in three bits of IRP.Flags that
 * no documented flag uses; 0 there means that nobody set one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include <pthread.h>

#define HINT_SHIFT 17
#define HINT_MASK  (7u << HINT_SHIFT)

IO_PRIORITY_HINT NTAPI
IoGetIoPriorityHint(PIRP Irp)
{
    ULONG stored = (Irp->Flags & HINT_MASK) >> HINT_SHIFT;

    return stored == 0 ? IoPriorityNormal : (IO_PRIORITY_HINT) (stored - 1);
}

NTSTATUS NTAPI
IoSetIoPriorityHint(PIRP Irp, IO_PRIORITY_HINT PriorityHint)
{
    if ((ULONG) PriorityHint >= MaxIoPriorityTypes)
        return STATUS_INVALID_PARAMETER;
    Irp->Flags &= ~(ULONG) HINT_MASK;
    Irp->Flags |= ((ULONG) PriorityHint + 1) << HINT_SHIFT;
    return STATUS_SUCCESS;
}

IO_PAGING_PRIORITY FASTCALL
IoGetPagingIoPriority(PIRP Irp)
{
    if (!(Irp->Flags & IRP_PAGING_IO))
        return IoPagingPriorityInvalid;
    return IoGetIoPriorityHint(Irp) > IoPriorityNormal ? IoPagingPriorityHigh
                                                       : IoPagingPriorityNormal;
}

/* Asynchronous paging is asynchronous whatever its file was opened for. */
BOOLEAN NTAPI
IoIsOperationSynchronous(PIRP Irp)
{
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(Irp)->FileObject;

    if (Irp->Flags & IRP_PAGING_IO)
        return (Irp->Flags & IRP_SYNCHRONOUS_PAGING_IO) != 0;
    return (Irp->Flags & IRP_SYNCHRONOUS_API) != 0 ||
           (file != NULL && (file->Flags & FO_SYNCHRONOUS_IO) != 0);
}

/* --- the stack ----------------------------------------------------------- */

static __thread ULONG_PTR stack_low, stack_high;

/* Both 0: the system cannot say. */
VOID NTAPI
IoGetStackLimits(PULONG_PTR LowLimit, PULONG_PTR HighLimit)
{
    pthread_attr_t attributes;
    void *low;
    size_t size;

    if (stack_high == 0 &&
        pthread_getattr_np(pthread_self(), &attributes) == 0) {
        if (pthread_attr_getstack(&attributes, &low, &size) == 0) {
            stack_low = (ULONG_PTR) low;
            stack_high = (ULONG_PTR) low + size;
        }
        pthread_attr_destroy(&attributes);
    }
    *LowLimit = stack_low;
    *HighLimit = stack_high;
}

ULONG NTAPI
IoWithinStackLimits(ULONG_PTR RegionStart, SIZE_T RegionSize)
{
    ULONG_PTR low, high;

    IoGetStackLimits(&low, &high);
    return RegionStart >= low && RegionStart <= high &&
           RegionSize <= high - RegionStart;
}
