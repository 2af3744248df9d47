/*
 * vpb.c - volume parameter blocks
 *
 * One lock for all: flags, counts, and which VPB is on which device.
 *
 * Who frees one: the device, with itself, frees its current VPB.  A file system
 * that dismounts clears VPB_MOUNTED under the lock; a VPB that is then neither
 * mounted nor on its device nor persistent is freed with its last reference,
 * here; if there is none left, by the file system.  So a detached VPB with
 * VPB_MOUNTED still set belongs to the file system, which may put it back.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include "ke/ke.h"

static KSPIN_LOCK vpb_lock;

VOID NTAPI
IoAcquireVpbSpinLock(PKIRQL Irql)
{
    KE_IRQL(IoAcquireVpbSpinLock);
    KeAcquireSpinLock(&vpb_lock, Irql);
}

VOID NTAPI
IoReleaseVpbSpinLock(KIRQL Irql)
{
    KeReleaseSpinLock(&vpb_lock, Irql);
}

static PVPB
new_vpb(PDEVICE_OBJECT device)
{
    PVPB vpb = ExAllocatePoolWithTag(NonPagedPool, sizeof *vpb, IO_TAG_VPB);

    if (vpb == NULL)
        return NULL;
    RtlZeroMemory(vpb, sizeof *vpb);
    vpb->Type = IO_TYPE_VPB;
    vpb->Size = sizeof *vpb;
    vpb->RealDevice = device;
    return vpb;
}

#if IO_CHECKED
/* Whoever frees it: the file system does so by itself (ExFreePool). */
static VOID NTAPI
watch_free(PVOID block)
{
    PVPB vpb = block;

    if (vpb->ReferenceCount != 0)
        io_broken(IO_RULE_VPB_FREED_REFERENCED, vpb->RealDevice, NULL);
}
#endif

void
io_vpb_init(void)
{
#if IO_CHECKED
    ke_pool_watch_frees(IO_TAG_VPB, watch_free);
#endif
}

NTSTATUS
io_vpb_create(PDEVICE_OBJECT device)
{
    device->Vpb = new_vpb(device);
    return device->Vpb != NULL ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

PVPB
io_vpb_of(PDEVICE_OBJECT device)
{
    PVPB vpb;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    vpb = device->Vpb;
    IoReleaseVpbSpinLock(irql);
    return vpb;
}

USHORT
io_vpb_flags(PVPB vpb)
{
    USHORT flags;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    flags = vpb->Flags;
    IoReleaseVpbSpinLock(irql);
    return flags;
}

PVPB
io_vpb_ref_mounted(PDEVICE_OBJECT device, bool *out_locked)
{
    PVPB vpb;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    vpb = device->Vpb;
    if (vpb != NULL && (vpb->Flags & VPB_MOUNTED)) {
        vpb->ReferenceCount++;
        if (out_locked != NULL)
            *out_locked = (vpb->Flags & VPB_LOCKED) != 0;
    } else {
        vpb = NULL;
    }
    IoReleaseVpbSpinLock(irql);
    return vpb;
}

void
io_vpb_deref(PVPB vpb)
{
    bool last;
    KIRQL irql;

    IoAcquireVpbSpinLock(&irql);
    if (IO_CHECKING && vpb->ReferenceCount == 0)
        io_broken(IO_RULE_VPB_FREED_REFERENCED, vpb->RealDevice, NULL);
    last = --vpb->ReferenceCount == 0 &&
           !(vpb->Flags & (VPB_MOUNTED | VPB_PERSISTENT)) &&
           vpb->RealDevice->Vpb != vpb;
    IoReleaseVpbSpinLock(irql);
    if (last)
        ExFreePool(vpb);
}

/* The caller holds a reference to `old`. */
NTSTATUS
io_vpb_swap_fresh(PDEVICE_OBJECT device, PVPB old)
{
    PVPB fresh = new_vpb(device), unused;
    KIRQL irql;

    if (fresh == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    unused = fresh;
    IoAcquireVpbSpinLock(&irql);
    if (device->Vpb == old) {
        fresh->Flags = old->Flags & VPB_REMOVE_PENDING;
        device->Vpb = fresh;
        unused = NULL;
    }
    IoReleaseVpbSpinLock(irql);
    if (unused != NULL)
        ExFreePool(unused);
    return STATUS_SUCCESS;
}
