/*
 * irp.c - IRPs: made, sent, freed
 *
 * The hot path of the house.  <= DISPATCH, no lock, no atomic; read
 * io_internal.h for why nothing here may call libc.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include "base/fault.h"

typedef long long zero_block
    __attribute__((vector_size(16), aligned(8), may_alias));

/* In line and without a loop that the compiler could turn into memset. */
static inline __attribute__((always_inline)) void
clear_irp(PIRP irp, unsigned stack_count)
{
    const zero_block zero = { 0, 0 };
    zero_block *head = (zero_block *) irp;
    char *location = (char *) (irp + 1);

    C_ASSERT(sizeof(IRP) == 13 * sizeof(zero_block));
    C_ASSERT(sizeof(IO_STACK_LOCATION) == 4 * sizeof(zero_block) + 8);
    head[0] = head[1] = head[2] = head[3] = head[4] = head[5] = zero;
    head[6] = head[7] = head[8] = head[9] = head[10] = head[11] = zero;
    head[12] = zero;
    do {
        zero_block *block = (zero_block *) location;

        block[0] = block[1] = block[2] = block[3] = zero;
        *(uint64_t *) (block + 4) = 0;
        location += sizeof(IO_STACK_LOCATION);
        __asm__ volatile("" ::: "memory");
    } while (--stack_count != 0);
}

static inline __attribute__((always_inline)) void
start_irp(PIRP irp, USHORT size, CCHAR stack_count)
{
    irp->Type = IO_TYPE_IRP;
    irp->Size = size;
    irp->StackCount = stack_count;
    irp->CurrentLocation = (CHAR) (stack_count + 1);
    irp->ThreadListEntry.Flink = &irp->ThreadListEntry;
    irp->ThreadListEntry.Blink = &irp->ThreadListEntry;
    irp->Tail.Overlay.CurrentStackLocation =
        (PIO_STACK_LOCATION) (irp + 1) + stack_count;
}

static PIRP NTAPI
allocate_large(CCHAR stack_count)
{
    PIRP irp;

    if (stack_count <= 0 || stack_count >= 127)
        return NULL;
    irp = io_pool_alloc(IoSizeOfIrp(stack_count) + IO_IRP_TAIL, IO_TAG_IRP);
    if (irp == NULL)
        return NULL;
    IoInitializeIrp(irp, IoSizeOfIrp(stack_count), stack_count);
    if (IO_CHECKING)
        io_history_start(irp);
    return irp;
}

/* Thread is NULL, and the IRP is on no thread's list; whoever allocates it
 * frees it (its completion routine returns MORE_PROCESSING_REQUIRED). */
PIRP NTAPI
IoAllocateIrp(CCHAR StackSize, BOOLEAN ChargeQuota)
{
    unsigned kind = (unsigned) StackSize - 1;
    PIRP irp;

    UNREFERENCED_PARAMETER(ChargeQuota);
    KE_IRQL(IoAllocateIrp);
    if (fault_hit("irp"))
        return NULL;
    if (IO_UNLIKELY(kind >= IO_CACHE_STACKS))
        return allocate_large(StackSize);
    irp = io_cache_get(kind);
    if (IO_UNLIKELY(irp == NULL))
        return NULL;
    clear_irp(irp, kind + 1);
    start_irp(irp, IoSizeOfIrp(StackSize), StackSize);
    irp->AllocationFlags = IRP_ALLOCATED_FIXED_SIZE;
    if (IO_CHECKING)
        io_history_start(irp);
    return irp;
}

VOID NTAPI
IoFreeIrp(PIRP Irp)
{
    KE_IRQL(IoFreeIrp);
    if (IO_UNLIKELY(Irp->Type != IO_TYPE_IRP))
        io_broken(IO_RULE_DOUBLE_FREE, NULL, Irp);
    if (IO_UNLIKELY(Irp->AllocationFlags & IO_IRP_LISTED))
        io_broken(IO_RULE_FREE_LISTED, NULL, Irp);
    if (IO_CHECKED)
        io_history_free(Irp);
    if (IO_LIKELY(Irp->AllocationFlags & IRP_ALLOCATED_FIXED_SIZE)) {
        io_cache_put((unsigned) Irp->StackCount - 1, Irp);
        return;
    }
    Irp->Type = 0;
    io_pool_free(Irp, IO_TAG_IRP);
}

/* For memory of the driver's own, or an IRP not in use. */
VOID NTAPI
IoInitializeIrp(PIRP Irp, USHORT PacketSize, CCHAR StackSize)
{
    RtlZeroMemory(Irp, PacketSize);
    start_irp(Irp, PacketSize, StackSize);
}

/* Only for IRPs of IoAllocateIrp that nobody else has now.  Thread is NULL
 * again. */
VOID NTAPI
IoReuseIrp(PIRP Irp, NTSTATUS Iostatus)
{
    UCHAR allocation =
        Irp->AllocationFlags & (IRP_ALLOCATED_FIXED_SIZE | IO_IRP_HISTORY);
    CCHAR stack_count = Irp->StackCount;
    USHORT size = Irp->Size;

    KE_IRQL(IoReuseIrp);
    if (IO_CHECKED)
        io_history_reuse(Irp);
    clear_irp(Irp, (unsigned) stack_count);
    start_irp(Irp, size, stack_count);
    Irp->AllocationFlags = allocation;
    Irp->IoStatus.Status = Iostatus;
}

/* --- sending ------------------------------------------------------------- */

static DECLSPEC_NORETURN VOID NTAPI
no_more_locations(PIRP irp)
{
    const struct io_label *who =
        io_frames != NULL
            ? io_frames->who
            : io_label_of(((PIO_STACK_LOCATION) (irp + 1))->DeviceObject);

    io_broken_by(IO_RULE_NO_LOCATION, who, irp, NULL);
}

static VOID NTAPI __attribute__((cold))
trace_call(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION location)
{
    TRACE(TRACE_IRP, "irp=%p to dev=%p major=%02x minor=%02x flags=%02x",
          (void *) irp, (void *) device, location->MajorFunction,
          location->MinorFunction, location->Flags);
}

NTSTATUS FASTCALL
IofCallDriver(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION location;

    KE_IRQL(IoCallDriver);
    if (IO_UNLIKELY(--Irp->CurrentLocation <= 0))
        no_more_locations(Irp);
    location = --Irp->Tail.Overlay.CurrentStackLocation;
    location->DeviceObject = DeviceObject;
    if (TRACE_ON(TRACE_IRP))
        trace_call(DeviceObject, Irp, location);
    if (IO_CHECKING)
        return io_checked_call(DeviceObject, Irp, location);
    return DeviceObject->DriverObject->MajorFunction[location->MajorFunction](
        DeviceObject, Irp);
}

NTSTATUS NTAPI
PoCallDriver(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    return IofCallDriver(DeviceObject, Irp);
}

/* Power IRPs are not queued here. */
VOID NTAPI
PoStartNextPowerIrp(PIRP Irp)
{
    UNREFERENCED_PARAMETER(Irp);
}
