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

/* NT raises an exception for memory that is not there; here the access does. */
VOID NTAPI
MmProbeAndLockPages(PMDL MemoryDescriptorList, KPROCESSOR_MODE AccessMode,
                    LOCK_OPERATION Operation)
{
    UNREFERENCED_PARAMETER(AccessMode);
    UNREFERENCED_PARAMETER(Operation);
    NT_ASSERT(!(MemoryDescriptorList->MdlFlags & MDL_PAGES_LOCKED));
    MemoryDescriptorList->MdlFlags |=
        MDL_PAGES_LOCKED | MDL_MAPPED_TO_SYSTEM_VA;
    MemoryDescriptorList->MappedSystemVa =
        MmGetMdlVirtualAddress(MemoryDescriptorList);
}

VOID NTAPI
MmUnlockPages(PMDL MemoryDescriptorList)
{
    NT_ASSERT(MemoryDescriptorList->MdlFlags & MDL_PAGES_LOCKED);
    MemoryDescriptorList->MdlFlags &=
        (CSHORT) ~(MDL_PAGES_LOCKED | MDL_MAPPED_TO_SYSTEM_VA);
    MemoryDescriptorList->MappedSystemVa = NULL;
}
