/*
 * unit.c - the port driver and its units: made, described, removed
 *
 * Context: PASSIVE but where said otherwise.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "port/port_internal.h"

#include "base/cdbs.h"
#include "base/trace.h"

#define INQUIRY_LIMIT_S 10
#define NO_DEVICE_TYPE  0x1F

static LONG volatile next_address;

/* --- the driver ------------------------------------------------------------- */

static NTSTATUS NTAPI
always_succeeds(PDEVICE_OBJECT device, PIRP irp)
{
    return port_complete(irp, STATUS_SUCCESS, 0);
}

/* Sleep is nothing to an adapter here; what it does not know (WAIT_WAKE: no
 * unit wakes anybody) goes back with the status that it came with. */
static NTSTATUS NTAPI
power(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    NTSTATUS status = irp->IoStatus.Status;

    if (at->MinorFunction == IRP_MN_SET_POWER ||
        at->MinorFunction == IRP_MN_QUERY_POWER)
        status = STATUS_SUCCESS;
    if (at->MinorFunction == IRP_MN_SET_POWER &&
        at->Parameters.Power.Type == DevicePowerState)
        PoSetPowerState(device, DevicePowerState, at->Parameters.Power.State);
    PoStartNextPowerIrp(irp);
    return port_complete(irp, status, irp->IoStatus.Information);
}

/* Nobody here answers it: back with the status that it came with. */
static NTSTATUS NTAPI
system_control(PDEVICE_OBJECT device, PIRP irp)
{
    return port_complete(irp, irp->IoStatus.Status, irp->IoStatus.Information);
}

static VOID NTAPI
unload(PDRIVER_OBJECT driver)
{
    port_request_drain();
}

NTSTATUS NTAPI
port_driver_entry(PDRIVER_OBJECT driver, PUNICODE_STRING registry_path)
{
    driver->MajorFunction[IRP_MJ_CREATE] = always_succeeds;
    driver->MajorFunction[IRP_MJ_CLEANUP] = always_succeeds;
    driver->MajorFunction[IRP_MJ_CLOSE] = always_succeeds;
    driver->MajorFunction[IRP_MJ_SCSI] = port_scsi;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = port_device_control;
    driver->MajorFunction[IRP_MJ_PNP] = port_pnp;
    driver->MajorFunction[IRP_MJ_POWER] = power;
    driver->MajorFunction[IRP_MJ_SYSTEM_CONTROL] = system_control;
    driver->DriverUnload = unload;
    return STATUS_SUCCESS;
}

/* --- asking the device who it is -------------------------------------------- */

static NTSTATUS NTAPI
command_done(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    KeSetEvent(context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS
inquire(struct port_unit *unit, BOOLEAN vpd, UCHAR page, PVOID data, UCHAR room,
        PULONG out_len)
{
    SCSI_REQUEST_BLOCK srb = {
        .Length = sizeof srb,
        .Function = SRB_FUNCTION_EXECUTE_SCSI,
        .SrbFlags = SRB_FLAGS_DATA_IN | SRB_FLAGS_NO_QUEUE_FREEZE,
        .CdbLength = 6,
        .DataBuffer = data,
        .DataTransferLength = room,
        .TimeOutValue = INQUIRY_LIMIT_S,
        .Cdb = { SCSIOP_INQUIRY, vpd, page, 0, room, 0 },
    };
    PIRP irp = IoAllocateIrp(unit->pdo->StackSize, FALSE);
    PIO_STACK_LOCATION next;
    NTSTATUS status;
    KEVENT done;

    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeInitializeEvent(&done, NotificationEvent, FALSE);
    next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = IRP_MJ_SCSI;
    next->MinorFunction = 1;
    next->Parameters.Scsi.Srb = &srb;
    IoSetCompletionRoutine(irp, command_done, &done, TRUE, TRUE, TRUE);
    IoCallDriver(unit->pdo, irp);
    KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, NULL);
    status = irp->IoStatus.Status;
    *out_len = (ULONG) irp->IoStatus.Information;
    IoFreeIrp(irp);
    return status;
}

/* SPC: the peripheral qualifier says whether a device is connected; 1Fh is the
 * type of none. */
static BOOLEAN
is_no_unit(const INQUIRYDATA *inquiry)
{
    return inquiry->DeviceTypeQualifier != DEVICE_CONNECTED ||
           inquiry->DeviceType == NO_DEVICE_TYPE;
}

uint32_t
port_unit_limit(struct port_unit *unit)
{
    struct hba_info info = { 0 };

    unit->ops->info(unit->hba, &info);
    return info.max_transfer_bytes != 0 ? info.max_transfer_bytes
                                        : unit->ops->max_transfer_bytes;
}

static NTSTATUS
identify(struct port_unit *unit)
{
    UCHAR page[4 + UNIT_NAME_MAX - 1] = { 0 };
    ULONG len;
    NTSTATUS status =
        inquire(unit, FALSE, 0, &unit->inquiry, INQUIRYDATABUFFERSIZE, &len);

    if (!NT_SUCCESS(status))
        return status;
    if (len < INQUIRYDATABUFFERSIZE)
        return STATUS_IO_DEVICE_ERROR;
    if (is_no_unit(&unit->inquiry))
        return STATUS_NO_SUCH_DEVICE;
    /* A device without a serial number is still a device. */
    if (NT_SUCCESS(
            inquire(unit, TRUE, VPD_SERIAL_NUMBER, page, sizeof page, &len)) &&
        len > 4) {
        len = len - 4 < page[3] ? len - 4 : page[3];
        RtlCopyMemory(unit->serial, page + 4, len);
        unit->serial[len] = '\0';
    }
    __atomic_store_n(&unit->kind, cdb_kind_of(unit->inquiry.DeviceType),
                     __ATOMIC_RELAXED);
    __atomic_store_n(&unit->known, TRUE, __ATOMIC_RELEASE);
    return STATUS_SUCCESS;
}

bool
port_unit_known(PDEVICE_OBJECT pdo)
{
    return __atomic_load_n(&unit_of(pdo)->known, __ATOMIC_ACQUIRE);
}

NTSTATUS
port_unit_identify(PDEVICE_OBJECT pdo)
{
    return port_unit_known(pdo) ? STATUS_SUCCESS : identify(unit_of(pdo));
}

void
port_unit_why(PDEVICE_OBJECT pdo, char *out_text, size_t text_max)
{
    struct port_unit *unit = unit_of(pdo);

    out_text[0] = '\0';
    if (unit->ops->why != NULL)
        unit->ops->why(unit->hba, out_text, text_max);
}

/* --- life ------------------------------------------------------------------- */

static void
init_unit(struct port_unit *unit, PDEVICE_OBJECT pdo, const struct hba_ops *ops,
          const char *name)
{
    unit->pdo = pdo;
    unit->ops = ops;
    unit->kind = CDB_EVERY; /* until it says what it is */
    unit->address = (ULONG) InterlockedIncrement(&next_address) - 1;
    KeInitializeSpinLock(&unit->lock);
    InitializeListHead(&unit->queue);
    InitializeListHead(&unit->active);
    port_full_init(unit);
    KeInitializeTimer(&unit->timer);
    KeInitializeDpc(&unit->timer_dpc, port_timer_dpc, unit);
    ExInitializeWorkItem(&unit->time_item, port_time_work, unit);
    KeInitializeEvent(&unit->time_idle, NotificationEvent, TRUE);
    snprintf(unit->name, sizeof unit->name, "%s", name);
}

NTSTATUS
port_unit_new(PDRIVER_OBJECT driver, const struct hba_ops *ops,
              NTSTATUS (*open)(void *context, void *unit, void **out_hba),
              void *context, const char *name, PDEVICE_OBJECT *out_pdo)
{
    struct hba_info info = { 0 };
    struct port_unit *unit;
    PDEVICE_OBJECT pdo;
    NTSTATUS status = IoCreateDevice(
        driver, sizeof *unit, NULL, FILE_DEVICE_MASS_STORAGE,
        FILE_AUTOGENERATED_DEVICE_NAME | FILE_DEVICE_SECURE_OPEN, FALSE, &pdo);

    if (!NT_SUCCESS(status))
        return status;
    unit = unit_of(pdo);
    init_unit(unit, pdo, ops, name);
    status = open(context, unit, &unit->hba);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(pdo);
        return status;
    }
    ops->info(unit->hba, &info);
    InterlockedOr((LONG volatile *) &pdo->Flags,
                  DO_DIRECT_IO | DO_BUS_ENUMERATED_DEVICE);
    InterlockedAnd((LONG volatile *) &pdo->Flags, ~DO_DEVICE_INITIALIZING);
    status = identify(unit);
    TRACE(TRACE_PORT, "unit=%s pdo=%p adapter=%s status=%x", unit->name,
          (void *) pdo, ops->name, (ULONG) status);
    if (!NT_SUCCESS(status) && !info.may_be_away) {
        port_remove_unit(pdo);
        return status;
    }
    *out_pdo = pdo;
    return STATUS_SUCCESS;
}

/* Everything that waits in the unit completes. */
void
port_unit_stop(struct port_unit *unit)
{
    LARGE_INTEGER moment = { .QuadPart = -10000 };
    BOOLEAN busy;
    KIRQL irql;

    port_flush(unit, SRB_STATUS_NO_DEVICE);
    port_refuse_event(unit);
    for (;;) {
        port_abort(unit, NULL, SRB_STATUS_NO_DEVICE);
        KeAcquireSpinLock(&unit->lock, &irql);
        busy = !IsListEmpty(&unit->active) || unit->event_irp != NULL ||
               !IsListEmpty(&unit->queue);
        KeReleaseSpinLock(&unit->lock, irql);
        if (!busy)
            return;
        /* Somebody else is ending what is left, a cancel routine say. */
        KeDelayExecutionThread(KernelMode, FALSE, &moment);
    }
}

void
port_give_up(PDEVICE_OBJECT pdo)
{
    struct port_unit *unit = unit_of(pdo);

    port_abort(unit, NULL, SRB_STATUS_ABORTED);
    if (unit->ops->give_up != NULL)
        unit->ops->give_up(unit->hba);
}

void
port_remove_unit(PDEVICE_OBJECT pdo)
{
    struct port_unit *unit = unit_of(pdo);

    InterlockedOr(&unit->flags, UNIT_REMOVED);
    port_unit_stop(unit);
    port_stop_timer(unit);
    TRACE(TRACE_PORT, "unit=%s removed", unit->name);
    unit->ops->close(unit->hba);
    IoDeleteDevice(pdo);
}

UCHAR
port_unit_type(PDEVICE_OBJECT pdo)
{
    return unit_of(pdo)->inquiry.DeviceType;
}

const char *
port_unit_serial(PDEVICE_OBJECT pdo)
{
    const struct port_unit *unit = unit_of(pdo);

    return __atomic_load_n(&unit->known, __ATOMIC_ACQUIRE) ? unit->serial : "";
}

/* What is no text is a question mark. */
static void
take_name(char *out_text, const UCHAR *from, size_t len)
{
    while (len > 0 && (from[len - 1] == ' ' || from[len - 1] == '\0'))
        len--;
    for (size_t i = 0; i < len; i++)
        out_text[i] = from[i] >= ' ' && from[i] < 0x7F ? (char) from[i] : '?';
    out_text[len] = '\0';
}

void
port_unit_names(PDEVICE_OBJECT pdo, char out_vendor[9], char out_product[17])
{
    const struct port_unit *unit = unit_of(pdo);

    out_vendor[0] = out_product[0] = '\0';
    if (!__atomic_load_n(&unit->known, __ATOMIC_ACQUIRE))
        return;
    take_name(out_vendor, unit->inquiry.VendorId, 8);
    take_name(out_product, unit->inquiry.ProductId, 16);
}

void
port_unit_info(PDEVICE_OBJECT pdo, struct port_unit_info *out_info)
{
    struct port_unit *unit = unit_of(pdo);
    struct port_unit_info info = { 0 };
    struct hba_info hba = { 0 };
    PLIST_ENTRY at;
    KIRQL irql;

    unit->ops->info(unit->hba, &hba);
    info.commands = hba.commands;
    info.locked = hba.prevented;
    info.away = hba.away;
    info.refused = hba.refused;
    info.silent = hba.silent;
    info.gone = hba.gone;
    info.shared = hba.shared;
    info.last_answer_ms =
        __atomic_load_n(&unit->last_answer_ms, __ATOMIC_RELAXED);
    info.frozen = (unit_flags(unit) & UNIT_FROZEN) != 0;
    KeAcquireSpinLock(&unit->lock, &irql);
    for (at = unit->queue.Flink; at != &unit->queue; at = at->Flink)
        info.queued++;
    for (at = unit->active.Flink; at != &unit->active; at = at->Flink)
        info.waiting++;
    info.sense_len = unit->sense_len;
    info.senses = unit->senses;
    info.cleaning_asks = unit->cleaning_asks;
    RtlCopyMemory(info.sense, unit->sense, sizeof info.sense);
    KeReleaseSpinLock(&unit->lock, irql);
    *out_info = info;
}
