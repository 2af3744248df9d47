/*
 * child.c - devices that a class driver makes below its own: their list, and
 *           the lock for it; other small documented routines
 *
 * The child lock may be taken again by the thread that has it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "class/class_internal.h"

/* --- the lock: <= APC ----------------------------------------------------- */

VOID NTAPI
ClassAcquireChildLock(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension)
{
    PKTHREAD me = KeGetCurrentThread();

    if (__atomic_load_n(&FdoExtension->ChildLockOwner, __ATOMIC_ACQUIRE) !=
        me) {
        (void) KeWaitForSingleObject(&FdoExtension->ChildLock, Executive,
                                     KernelMode, FALSE, NULL);
        __atomic_store_n(&FdoExtension->ChildLockOwner, me, __ATOMIC_RELEASE);
    }
    FdoExtension->ChildLockAcquisitionCount++;
}

VOID NTAPI
ClassReleaseChildLock(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension)
{
    if (--FdoExtension->ChildLockAcquisitionCount != 0)
        return;
    __atomic_store_n(&FdoExtension->ChildLockOwner, NULL, __ATOMIC_RELEASE);
    KeSetEvent(&FdoExtension->ChildLock, IO_NO_INCREMENT, FALSE);
}

/* --- the list ------------------------------------------------------------- */

VOID NTAPI
class_add_child(PFUNCTIONAL_DEVICE_EXTENSION parent,
                PPHYSICAL_DEVICE_EXTENSION child)
{
    child->CommonExtension.PartitionZeroExtension = parent;
    ClassAcquireChildLock(parent);
    child->CommonExtension.ChildList = parent->CommonExtension.ChildList;
    parent->CommonExtension.ChildList = child;
    ClassReleaseChildLock(parent);
}

static void
take_out(PFUNCTIONAL_DEVICE_EXTENSION parent, PPHYSICAL_DEVICE_EXTENSION child)
{
    PPHYSICAL_DEVICE_EXTENSION *at = &parent->CommonExtension.ChildList;

    while (*at != NULL && *at != child)
        at = &(*at)->CommonExtension.ChildList;
    if (*at == child)
        *at = child->CommonExtension.ChildList;
    child->CommonExtension.ChildList = NULL;
}

/* TRUE: nobody was ever told of the child, it is out of the list and may be
 * deleted.  FALSE: it goes when plug and play says so. */
BOOLEAN NTAPI
ClassMarkChildMissing(PPHYSICAL_DEVICE_EXTENSION PdoExtension,
                      BOOLEAN AcquireChildLock)
{
    PFUNCTIONAL_DEVICE_EXTENSION parent =
        PdoExtension->CommonExtension.PartitionZeroExtension;
    BOOLEAN unknown;

    if (AcquireChildLock)
        ClassAcquireChildLock(parent);
    PdoExtension->IsMissing = TRUE;
    unknown = !PdoExtension->IsEnumerated;
    if (unknown)
        take_out(parent, PdoExtension);
    if (AcquireChildLock)
        ClassReleaseChildLock(parent);
    return unknown;
}

/* Those that nobody was told of leave the list; their driver deletes them. */
VOID NTAPI
ClassMarkChildrenMissing(PFUNCTIONAL_DEVICE_EXTENSION Fdo)
{
    PPHYSICAL_DEVICE_EXTENSION child, next;

    ClassAcquireChildLock(Fdo);
    for (child = Fdo->CommonExtension.ChildList; child != NULL; child = next) {
        next = child->CommonExtension.ChildList;
        (void) ClassMarkChildMissing(child, FALSE);
    }
    ClassReleaseChildLock(Fdo);
}

/* --- a drive in a list of peculiar ones ----------------------------------- */

/* A prefix, padded as in INQUIRY data; NULL or "" matches everything. */
static BOOLEAN
matches(const STORAGE_DEVICE_DESCRIPTOR *device, ULONG offset, const char *want)
{
    const char *is = (const char *) device + offset;

    if (want == NULL || *want == 0)
        return TRUE;
    if (offset == 0)
        return FALSE;
    while (*want != 0 && offset < device->Size && *is == *want) {
        want++;
        is++;
        offset++;
    }
    return *want == 0;
}

/* Calls Function for the first entry that fits; an entry without any name ends
 * the list.  PASSIVE. */
VOID NTAPI
ClassScanForSpecial(PFUNCTIONAL_DEVICE_EXTENSION FdoExtension,
                    CLASSPNP_SCAN_FOR_SPECIAL_INFO DeviceList[],
                    PCLASS_SCAN_FOR_SPECIAL_HANDLER Function)
{
    PSTORAGE_DEVICE_DESCRIPTOR device = FdoExtension->DeviceDescriptor;
    PCLASSPNP_SCAN_FOR_SPECIAL_INFO at;

    if (device == NULL || DeviceList == NULL || Function == NULL)
        return;
    for (at = DeviceList; at->VendorId != NULL || at->ProductId != NULL ||
                          at->ProductRevision != NULL;
         at++)
        if (matches(device, device->VendorIdOffset, at->VendorId) &&
            matches(device, device->ProductIdOffset, at->ProductId) &&
            matches(device, device->ProductRevisionOffset,
                    at->ProductRevision)) {
            Function(FdoExtension, at->Data);
            return;
        }
}

/* --- SRBs ----------------------------------------------------------------- */

/* In CommonExtension->SrbLookasideList; the depth is the executive's affair. */
VOID NTAPI
ClassInitializeSrbLookasideList(PCOMMON_DEVICE_EXTENSION CommonExtension,
                                ULONG NumberElements)
{
    if (CommonExtension->IsSrbLookasideListInitialized)
        return;
    ExInitializeNPagedLookasideList(&CommonExtension->SrbLookasideList, NULL,
                                    NULL, 0, sizeof(SCSI_REQUEST_BLOCK),
                                    CLASS_TAG, (USHORT) NumberElements);
    CommonExtension->IsSrbLookasideListInitialized = TRUE;
}

VOID NTAPI
ClassDeleteSrbLookasideList(PCOMMON_DEVICE_EXTENSION CommonExtension)
{
    if (!CommonExtension->IsSrbLookasideListInitialized)
        return;
    CommonExtension->IsSrbLookasideListInitialized = FALSE;
    ExDeleteNPagedLookasideList(&CommonExtension->SrbLookasideList);
}

/* --- one each ------------------------------------------------------------- */

PVPB NTAPI
ClassGetVpb(PDEVICE_OBJECT DeviceObject)
{
    return DeviceObject->Vpb;
}

/*
 * A completion routine for IRPs of the driver's own that nobody waits for:
 * Context is a COMPLETION_CONTEXT from the pool.  Frees it, the MDL and the
 * IRP, and releases a frozen queue.  <= DISPATCH.
 */
NTSTATUS NTAPI
ClassAsynchronousCompletion(PDEVICE_OBJECT DeviceObject, PIRP Irp,
                            PVOID Context)
{
    PCOMPLETION_CONTEXT context = Context;

    if (context->Srb.SrbStatus & SRB_STATUS_QUEUE_FROZEN)
        ClassReleaseQueue(context->DeviceObject);
    if (Irp->MdlAddress != NULL) {
        MmUnlockPages(Irp->MdlAddress);
        IoFreeMdl(Irp->MdlAddress);
        Irp->MdlAddress = NULL;
    }
    ClassReleaseRemoveLock(context->DeviceObject, Irp);
    ExFreePool(context);
    IoFreeIrp(Irp);
    return STATUS_MORE_PROCESSING_REQUIRED;
}
