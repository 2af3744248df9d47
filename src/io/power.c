/*
 * power.c - power IRPs that drivers ask for, and the system's own
 *
 * Power IRPs are not queued: as on systems since Vista, PoCallDriver passes
 * them on and PoStartNextPowerIrp has nothing to start (irp.c).
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

#include "base/status.h"

static void
fill_power(PIRP irp, UCHAR minor, POWER_STATE_TYPE type, POWER_STATE state)
{
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);

    /* What a power IRP says until a driver knows better. */
    irp->IoStatus.Status = STATUS_NOT_SUPPORTED;
    next->MajorFunction = IRP_MJ_POWER;
    next->MinorFunction = minor;
    if (minor == IRP_MN_WAIT_WAKE) {
        /* WaitWake.PowerState lies where SystemContext does. */
        next->Parameters.Power.SystemContext = (ULONG) state.SystemState;
        return;
    }
    next->Parameters.Power.Type = type;
    next->Parameters.Power.State = state;
}

/* --- requested by a driver ----------------------------------------------- */

struct request {
    PDEVICE_OBJECT device; /* the caller's; holds a reference */
    PDEVICE_OBJECT top;    /* holds a reference */
    UCHAR minor;
    POWER_STATE state;
    PREQUEST_POWER_COMPLETE done;
    PVOID context;
};

static NTSTATUS NTAPI
request_done(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    struct request *request = context;

    UNREFERENCED_PARAMETER(device);
    TRACE(TRACE_PNP, "dev=%p power minor=%02x state=%d: %s",
          (void *) request->device, request->minor,
          (int) request->state.DeviceState, status_name(irp->IoStatus.Status));
    if (request->done != NULL)
        request->done(request->device, request->minor, request->state,
                      request->context, &irp->IoStatus);
    IoFreeIrp(irp);
    ObDereferenceObject(request->top);
    ObDereferenceObject(request->device);
    ExFreePoolWithTag(request, IO_TAG_WORK);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

NTSTATUS NTAPI
PoRequestPowerIrp(PDEVICE_OBJECT DeviceObject, UCHAR MinorFunction,
                  POWER_STATE PowerState,
                  PREQUEST_POWER_COMPLETE CompletionFunction, PVOID Context,
                  PIRP *Irp)
{
    struct request *request;
    PIRP irp;

    if (MinorFunction != IRP_MN_SET_POWER &&
        MinorFunction != IRP_MN_QUERY_POWER &&
        MinorFunction != IRP_MN_WAIT_WAKE)
        return STATUS_INVALID_PARAMETER_2;
    request = ExAllocatePoolWithTag(NonPagedPool, sizeof *request, IO_TAG_WORK);
    if (request == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    request->top = IoGetAttachedDeviceReference(DeviceObject);
    irp = IoAllocateIrp(request->top->StackSize, FALSE);
    if (irp == NULL) {
        ObDereferenceObject(request->top);
        ExFreePoolWithTag(request, IO_TAG_WORK);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    ObReferenceObject(DeviceObject);
    request->device = DeviceObject;
    request->minor = MinorFunction;
    request->state = PowerState;
    request->done = CompletionFunction;
    request->context = Context;
    fill_power(irp, MinorFunction, DevicePowerState, PowerState);
    IoSetCompletionRoutine(irp, request_done, request, TRUE, TRUE, TRUE);
    if (Irp != NULL)
        *Irp = irp;
    (void) PoCallDriver(request->top, irp);
    return STATUS_PENDING;
}

POWER_STATE NTAPI
PoSetPowerState(PDEVICE_OBJECT DeviceObject, POWER_STATE_TYPE Type,
                POWER_STATE State)
{
    POWER_STATE before = State;

    if (Type == DevicePowerState)
        before.DeviceState =
            __atomic_exchange_n(&io_devext(DeviceObject)->power,
                                State.DeviceState, __ATOMIC_ACQ_REL);
    return before;
}

/* Nothing here ends a system whose drivers keep a power IRP. */
BOOLEAN NTAPI
PoQueryWatchdogTime(PDEVICE_OBJECT Pdo, PULONG SecondsRemaining)
{
    UNREFERENCED_PARAMETER(Pdo);
    UNREFERENCED_PARAMETER(SecondsRemaining);
    return FALSE;
}

/* --- the system ---------------------------------------------------------- */

static NTSTATUS
send_system(PDEVICE_OBJECT pdo, UCHAR minor, SYSTEM_POWER_STATE state)
{
    POWER_STATE power = { .SystemState = state };
    PDEVICE_OBJECT top = IoGetAttachedDeviceReference(pdo);
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    struct io_sync sync;
    PIRP irp = io_sync_irp(top, &sync);

    if (irp != NULL) {
        fill_power(irp, minor, SystemPowerState, power);
        status = io_sync_call(top, irp, &sync, NULL);
    }
    TRACE(TRACE_PNP, "pdo=%p power minor=%02x system state %d: %s",
          (void *) pdo, minor, (int) state, status_name(status));
    ObDereferenceObject(top);
    return status;
}

/* Those that were asked, up to and with `last`. */
static void
take_back(PDEVICE_OBJECT last)
{
    PDEVICE_OBJECT pdo = NULL;
    bool end = false;

    while (!end && (pdo = io_next_started(pdo, true)) != NULL) {
        end = pdo == last;
        send_system(pdo, IRP_MN_SET_POWER, PowerSystemWorking);
    }
    if (end)
        ObDereferenceObject(pdo);
}

/* A stack that does not know the question does not refuse. */
static bool
refuses(NTSTATUS status)
{
    return !NT_SUCCESS(status) && status != STATUS_NOT_SUPPORTED;
}

NTSTATUS
io_power_system(SYSTEM_POWER_STATE state)
{
    bool sleep = state != PowerSystemWorking;
    PDEVICE_OBJECT pdo = NULL;
    NTSTATUS status;

    while (sleep && (pdo = io_next_started(pdo, true)) != NULL) {
        status = send_system(pdo, IRP_MN_QUERY_POWER, state);
        if (refuses(status)) {
            take_back(pdo);
            ObDereferenceObject(pdo);
            return status;
        }
    }
    while ((pdo = io_next_started(pdo, sleep)) != NULL)
        send_system(pdo, IRP_MN_SET_POWER, state);
    return STATUS_SUCCESS;
}
