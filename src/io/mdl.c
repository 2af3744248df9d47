/*
 * mdl.c - memory descriptor lists
 *
 * One address space, nothing is ever paged out from under a request: an MDL is
 * an address and a length.  Locking is recorded (and checked) only, so that a
 * driver that forgets it is found here and not on Windows.  <= DISPATCH.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include "base/fault.h"

PMDL NTAPI
IoAllocateMdl(PVOID VirtualAddress, ULONG Length, BOOLEAN SecondaryBuffer,
              BOOLEAN ChargeQuota, PIRP Irp)
{
    PMDL mdl, *at;

    UNREFERENCED_PARAMETER(ChargeQuota);
    KE_IRQL(IoAllocateMdl);
    if (fault_hit("mdl"))
        return NULL;
    mdl = io_cache_get(IO_CACHE_MDL);
    if (IO_UNLIKELY(mdl == NULL))
        return NULL;
    MmInitializeMdl(mdl, VirtualAddress, Length);
    mdl->MdlFlags = MDL_ALLOCATED_FIXED_SIZE;
    if (Irp != NULL) {
        at = &Irp->MdlAddress;
        while (SecondaryBuffer && *at != NULL)
            at = &(*at)->Next;
        *at = mdl;
    }
    return mdl;
}

VOID NTAPI
IoFreeMdl(PMDL Mdl)
{
    KE_IRQL(IoFreeMdl);
    if (IO_CHECKING && (Mdl->MdlFlags & MDL_PAGES_LOCKED))
        io_broken(IO_RULE_MDL_FREE_LOCKED, NULL, NULL);
    MmPrepareMdlForReuse(Mdl);
    io_cache_put(IO_CACHE_MDL, Mdl);
}

VOID NTAPI
IoBuildPartialMdl(PMDL SourceMdl, PMDL TargetMdl, PVOID VirtualAddress,
                  ULONG Length)
{
    SIZE_T offset = (SIZE_T) ((PUCHAR) VirtualAddress -
                              (PUCHAR) MmGetMdlVirtualAddress(SourceMdl));

    NT_ASSERT(offset <= SourceMdl->ByteCount);
    NT_ASSERT(Length <= SourceMdl->ByteCount - offset);
    if (Length == 0)
        Length = (ULONG) (SourceMdl->ByteCount - offset);
    TargetMdl->MdlFlags =
        (CSHORT) ((TargetMdl->MdlFlags & MDL_ALLOCATED_FIXED_SIZE) |
                  (SourceMdl->MdlFlags &
                   (MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL)) |
                  MDL_PARTIAL);
    TargetMdl->Process = SourceMdl->Process;
    TargetMdl->StartVa = PAGE_ALIGN(VirtualAddress);
    TargetMdl->ByteOffset = BYTE_OFFSET(VirtualAddress);
    TargetMdl->ByteCount = Length;
    TargetMdl->MappedSystemVa = VirtualAddress;
}

VOID NTAPI
MmBuildMdlForNonPagedPool(PMDL MemoryDescriptorList)
{
    MemoryDescriptorList->MdlFlags |=
        MDL_SOURCE_IS_NONPAGED_POOL | MDL_MAPPED_TO_SYSTEM_VA;
    MemoryDescriptorList->MappedSystemVa =
        MmGetMdlVirtualAddress(MemoryDescriptorList);
}

/* --- locking ------------------------------------------------------------- */

/* NT raises an exception for memory that is not there; here the access does. */
VOID NTAPI
MmProbeAndLockPages(PMDL MemoryDescriptorList, KPROCESSOR_MODE AccessMode,
                    LOCK_OPERATION Operation)
{
    UNREFERENCED_PARAMETER(AccessMode);
    NT_ASSERT(!(MemoryDescriptorList->MdlFlags & MDL_PAGES_LOCKED));
    MemoryDescriptorList->MdlFlags |=
        MDL_PAGES_LOCKED |
        (Operation != IoReadAccess ? MDL_WRITE_OPERATION : 0);
}

VOID NTAPI
MmUnlockPages(PMDL MemoryDescriptorList)
{
    KE_IRQL(MmUnlockPages);
    NT_ASSERT(MemoryDescriptorList->MdlFlags & MDL_PAGES_LOCKED);
    MemoryDescriptorList->MdlFlags &= (CSHORT) ~(
        MDL_PAGES_LOCKED | MDL_MAPPED_TO_SYSTEM_VA | MDL_WRITE_OPERATION);
    MemoryDescriptorList->MappedSystemVa = NULL;
}

/* --- mapping ------------------------------------------------------------- */

#define MAPPABLE (MDL_PAGES_LOCKED | MDL_SOURCE_IS_NONPAGED_POOL | MDL_PARTIAL)

PVOID NTAPI
MmMapLockedPagesSpecifyCache(PMDL MemoryDescriptorList,
                             KPROCESSOR_MODE AccessMode,
                             MEMORY_CACHING_TYPE CacheType,
                             PVOID RequestedAddress, ULONG BugCheckOnFailure,
                             ULONG Priority)
{
    PMDL mdl = MemoryDescriptorList;
    PVOID address = MmGetMdlVirtualAddress(mdl);

    UNREFERENCED_PARAMETER(CacheType);
    UNREFERENCED_PARAMETER(BugCheckOnFailure);
    UNREFERENCED_PARAMETER(Priority);
    NT_ASSERT((mdl->MdlFlags & MAPPABLE) != 0);
    /* One address space: the pages are nowhere else. */
    if (fault_hit("map") ||
        (RequestedAddress != NULL && RequestedAddress != address))
        return NULL;
    if (AccessMode != KernelMode)
        return address;
    NT_ASSERT(!(mdl->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA));
    mdl->MdlFlags |= MDL_MAPPED_TO_SYSTEM_VA;
    if (mdl->MdlFlags & MDL_PARTIAL)
        mdl->MdlFlags |= MDL_PARTIAL_HAS_BEEN_MAPPED;
    mdl->MappedSystemVa = address;
    return address;
}

VOID NTAPI
MmUnmapLockedPages(PVOID BaseAddress, PMDL MemoryDescriptorList)
{
    if (!(MemoryDescriptorList->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA))
        return;
    NT_ASSERT(BaseAddress == MemoryDescriptorList->MappedSystemVa);
    NT_ASSERT(!(MemoryDescriptorList->MdlFlags & MDL_SOURCE_IS_NONPAGED_POOL));
    MemoryDescriptorList->MdlFlags &=
        (CSHORT) ~(MDL_MAPPED_TO_SYSTEM_VA | MDL_PARTIAL_HAS_BEEN_MAPPED);
    MemoryDescriptorList->MappedSystemVa = NULL;
}

/* --- sizes --------------------------------------------------------------- */

SIZE_T NTAPI
MmSizeOfMdl(PVOID Base, SIZE_T Length)
{
    SIZE_T pages = (BYTE_OFFSET(Base) + Length + PAGE_SIZE - 1) >> PAGE_SHIFT;

    return sizeof(MDL) + pages * sizeof(PFN_NUMBER);
}

MM_SYSTEMSIZE NTAPI
MmQuerySystemSize(VOID)
{
    return MmLargeSystem;
}
