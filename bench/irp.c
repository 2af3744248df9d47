/*
 * irp.c - what a request costs: three layers, two completion routines
 *
 * An IRP is allocated, goes down through three drivers (two of them pass it on
 * with a completion routine, the lowest completes it), comes up and is freed.
 * Beside it, in the same run: the same shape as plain C calls, malloc and free
 * of the same sizes, and a synchronous device control.  Prints ns per
 * operation, the best of several rounds, and how many allocations one request
 * took after warm-up (the goal: none).
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "io/io.h"

#define ROUNDS 9
#define COUNT  1000000

static PDEVICE_OBJECT layers[3]; /* lowest first */
static unsigned long completed;

/* --- three drivers ------------------------------------------------------- */

static NTSTATUS NTAPI
lowest(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    Irp->IoStatus.Status = STATUS_SUCCESS;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI
passed_done(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Context);
    if (Irp->PendingReturned)
        IoMarkIrpPending(Irp);
    return STATUS_CONTINUE_COMPLETION;
}

static NTSTATUS NTAPI
pass(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, passed_done, NULL, TRUE, TRUE, TRUE);
    return IoCallDriver(*(PDEVICE_OBJECT *) DeviceObject->DeviceExtension, Irp);
}

static NTSTATUS
add_layer(PDRIVER_OBJECT driver, int i)
{
    NTSTATUS status = IoCreateDevice(driver, sizeof(PDEVICE_OBJECT), NULL,
                                     FILE_DEVICE_UNKNOWN, 0, FALSE, &layers[i]);

    if (!NT_SUCCESS(status))
        return status;
    if (i > 0)
        *(PDEVICE_OBJECT *) layers[i]->DeviceExtension =
            IoAttachDeviceToDeviceStack(layers[i], layers[i - 1]);
    layers[i]->Flags &= ~(ULONG) DO_DEVICE_INITIALIZING;
    return status;
}

static NTSTATUS NTAPI
lower_entry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->MajorFunction[IRP_MJ_READ] = lowest;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = lowest;
    return add_layer(DriverObject, 0);
}

static NTSTATUS NTAPI
upper_entry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->MajorFunction[IRP_MJ_READ] = pass;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = pass;
    status = add_layer(DriverObject, 1);
    return NT_SUCCESS(status) ? add_layer(DriverObject, 2) : status;
}

/* --- what is measured ---------------------------------------------------- */

static NTSTATUS NTAPI
own_done(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Context);
    completed++;
    IoFreeIrp(Irp);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static void
one_request(void)
{
    PIRP irp = IoAllocateIrp(layers[2]->StackSize, FALSE);
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);

    next->MajorFunction = IRP_MJ_READ;
    next->Parameters.Read.Length = 4096;
    IoSetCompletionRoutine(irp, own_done, NULL, TRUE, TRUE, TRUE);
    IoCallDriver(layers[2], irp);
}

static void
one_mdl_request(void)
{
    static char buffer[4096];
    PIRP irp = IoAllocateIrp(layers[2]->StackSize, FALSE);
    PMDL mdl = IoAllocateMdl(buffer, sizeof buffer, FALSE, FALSE, irp);
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);

    MmBuildMdlForNonPagedPool(mdl);
    next->MajorFunction = IRP_MJ_READ;
    next->Parameters.Read.Length = sizeof buffer;
    IoSetCompletionRoutine(irp, own_done, NULL, TRUE, TRUE, TRUE);
    IoCallDriver(layers[2], irp);
    IoFreeMdl(mdl);
}

static void
one_control(void)
{
    ULONG out;

    io_device_control(
        layers[2],
        CTL_CODE(FILE_DEVICE_UNKNOWN, 1, METHOD_BUFFERED, FILE_ANY_ACCESS),
        NULL, 0, &out, sizeof out, 0, NULL);
}

/* The same indirect calls, down and up, with no IRP. */
typedef void chain_fn(void *state);

static void
chain_done(void *state)
{
    ++*(unsigned long *) state;
}

static chain_fn *volatile chain_up[3] = { chain_done, chain_done, chain_done };

static void
chain_low(void *state)
{
    for (int i = 0; i < 3; i++)
        chain_up[i](state);
}

static void chain_pass(void *state);
static chain_fn *volatile chain_down[3] = { chain_low, chain_pass, chain_pass };
static int chain_depth;

static void
chain_pass(void *state)
{
    chain_down[--chain_depth](state);
    __asm__ volatile("" ::: "memory");
}

static void
one_chain(void)
{
    chain_depth = 2;
    chain_down[2](&completed);
}

static void
one_malloc(void)
{
    void *volatile irp = malloc(IoSizeOfIrp(3));

    free(irp);
}

/* --- the run ------------------------------------------------------------- */

static double
now_ns(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double) at.tv_sec * 1e9 + (double) at.tv_nsec;
}

static void
measure(const char *name, void (*one)(void), unsigned count)
{
    double best = 1e18;
    uint64_t before;

    for (unsigned i = 0; i < 1000; i++)
        one();
    before = io_allocation_count();
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_ns(), took;

        for (unsigned i = 0; i < count; i++)
            one();
        took = (now_ns() - start) / count;
        if (took < best)
            best = took;
    }
    printf("%-44s %8.1f ns  %.3f allocations\n", name, best,
           (double) (io_allocation_count() - before) /
               (ROUNDS * (double) count));
}

int
main(void)
{
    PDRIVER_OBJECT lower, upper;

    if (!NT_SUCCESS(io_init()) ||
        !NT_SUCCESS(io_load_driver("lower", lower_entry, &lower)) ||
        !NT_SUCCESS(io_load_driver("upper", upper_entry, &upper)))
        return 1;
    measure("plain calls, three down and three up", one_chain, COUNT);
    measure("malloc and free of an IRP's size", one_malloc, COUNT);
    measure("IRP through three layers, allocated and freed", one_request,
            COUNT);
    measure("the same with an MDL", one_mdl_request, COUNT);
    measure("synchronous device control, three layers", one_control,
            COUNT / 10);
    return 0;
}
