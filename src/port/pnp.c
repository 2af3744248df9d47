/*
 * pnp.c - plug and play of a unit's physical device object
 *
 * A unit comes and goes with port_unit_new and port_remove_unit; start and
 * remove only concern the stack that was built on it.
 *
 * Context: PASSIVE.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "port/port_internal.h"

#define INITGUID
#include <wdmguid.h>

#define ID_MAX 160

/* --- IRP_MN_QUERY_ID -------------------------------------------------------- */

static const struct {
    UCHAR type;
    const char *device; /* as in SCSI\Disk... */
    const char *generic;
} device_types[] = {
    { DIRECT_ACCESS_DEVICE, "Disk", "GenDisk" },
    { SEQUENTIAL_ACCESS_DEVICE, "Sequential", "GenSequential" },
    { READ_ONLY_DIRECT_ACCESS_DEVICE, "CdRom", "GenCdRom" },
    { OPTICAL_DEVICE, "Optical", "GenOptical" },
    { MEDIUM_CHANGER, "Changer", "ScsiChanger" },
};

/* Identifiers have no blanks, commas or control characters. */
static void
clean(char *out, size_t max, const UCHAR *text, size_t len)
{
    size_t n = 0;

    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\0'))
        len--;
    for (size_t i = 0; i < len && n + 1 < max; i++)
        out[n++] = text[i] <= ' ' || text[i] >= 0x7f || text[i] == ','
                       ? '_'
                       : (char) text[i];
    out[n] = '\0';
}

/* Strings end with '\n' here, and with a NUL in the reply. */
static void
make_id(const struct port_unit *unit, BUS_QUERY_ID_TYPE type, char *out)
{
    const INQUIRYDATA *inquiry = &unit->inquiry;
    const char *device = "Other", *generic = "ScsiOther";
    char vendor[9], product[17], revision[5];

    clean(vendor, sizeof vendor, inquiry->VendorId, 8);
    clean(product, sizeof product, inquiry->ProductId, 16);
    clean(revision, sizeof revision, inquiry->ProductRevisionLevel, 4);
    for (size_t i = 0; i < ARRAYSIZE(device_types); i++)
        if (device_types[i].type == inquiry->DeviceType) {
            device = device_types[i].device;
            generic = device_types[i].generic;
        }
    switch (type) {
    case BusQueryDeviceID:
        snprintf(out, ID_MAX, "SCSI\\%s&Ven_%s&Prod_%s&Rev_%s", device, vendor,
                 product, revision);
        break;
    case BusQueryHardwareIDs:
        snprintf(out, ID_MAX, "SCSI\\%s%s%s%s\nSCSI\\%s%s\n%s\n", device,
                 vendor, product, revision, device, vendor, generic);
        break;
    case BusQueryCompatibleIDs:
        snprintf(out, ID_MAX, "SCSI\\%s\nSCSI\\RAW\n", device);
        break;
    case BusQueryInstanceID:
        snprintf(out, ID_MAX, "%s", unit->name);
        break;
    case BusQueryDeviceSerialNumber:
        snprintf(out, ID_MAX, "%s", unit->serial);
        break;
    default:
        out[0] = '\0';
    }
}

static NTSTATUS
query_id(struct port_unit *unit, PIRP irp)
{
    char id[ID_MAX];
    size_t len;
    PWSTR wide;

    make_id(unit, IoGetCurrentIrpStackLocation(irp)->Parameters.QueryId.IdType,
            id);
    if (id[0] == '\0')
        return irp->IoStatus.Status;
    len = strlen(id);
    wide = ExAllocatePoolWithTag(PagedPool, (len + 2) * sizeof *wide, PORT_TAG);
    if (wide == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    for (size_t i = 0; i < len; i++)
        wide[i] = id[i] == '\n' ? 0 : (WCHAR) (UCHAR) id[i];
    wide[len] = wide[len + 1] = 0;
    irp->IoStatus.Information = (ULONG_PTR) wide;
    return STATUS_SUCCESS;
}

/* --- the others ------------------------------------------------------------- */

static NTSTATUS
query_text(struct port_unit *unit, PIRP irp)
{
    DEVICE_TEXT_TYPE type = IoGetCurrentIrpStackLocation(irp)
                                ->Parameters.QueryDeviceText.DeviceTextType;
    char text[64];
    PWSTR wide;
    size_t len;

    if (type == DeviceTextDescription)
        snprintf(text, sizeof text, "%.8s %.16s SCSI device",
                 (const char *) unit->inquiry.VendorId,
                 (const char *) unit->inquiry.ProductId);
    else if (type == DeviceTextLocationInformation)
        snprintf(text, sizeof text, "Bus %u, target %u, LUN 0",
                 unit->address >> 8, unit->address & 0xff);
    else
        return irp->IoStatus.Status;
    len = strlen(text) + 1;
    wide = ExAllocatePoolWithTag(PagedPool, len * sizeof *wide, PORT_TAG);
    if (wide == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    for (size_t i = 0; i < len; i++)
        wide[i] = (WCHAR) (UCHAR) text[i];
    irp->IoStatus.Information = (ULONG_PTR) wide;
    return STATUS_SUCCESS;
}

static NTSTATUS
query_relations(struct port_unit *unit, PIRP irp)
{
    PDEVICE_RELATIONS relations;

    if (IoGetCurrentIrpStackLocation(irp)
            ->Parameters.QueryDeviceRelations.Type != TargetDeviceRelation)
        return irp->IoStatus.Status;
    relations = ExAllocatePoolWithTag(PagedPool, sizeof *relations, PORT_TAG);
    if (relations == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    ObReferenceObject(unit->pdo);
    relations->Count = 1;
    relations->Objects[0] = unit->pdo;
    irp->IoStatus.Information = (ULONG_PTR) relations;
    return STATUS_SUCCESS;
}

/* Pulled out like a USB stick: the class drivers bear it.  What the adapter
 * can say of sleep: on and off, and nothing wakes the system. */
static NTSTATUS
query_capabilities(struct port_unit *unit, PIRP irp)
{
    PDEVICE_CAPABILITIES capabilities =
        IoGetCurrentIrpStackLocation(irp)
            ->Parameters.DeviceCapabilities.Capabilities;

    if (capabilities->Version != 1 || capabilities->Size < sizeof *capabilities)
        return STATUS_INVALID_PARAMETER;
    capabilities->Removable = TRUE;
    capabilities->SurpriseRemovalOK = TRUE;
    capabilities->UniqueID = TRUE;
    capabilities->SilentInstall = TRUE;
    capabilities->RawDeviceOK = FALSE;
    capabilities->DeviceD1 = FALSE;
    capabilities->DeviceD2 = FALSE;
    capabilities->Address = unit->address & 0xff;
    capabilities->UINumber = unit->address;
    capabilities->DeviceState[PowerSystemWorking] = PowerDeviceD0;
    for (int state = PowerSystemSleeping1; state < PowerSystemMaximum; state++)
        capabilities->DeviceState[state] = PowerDeviceD3;
    capabilities->SystemWake = PowerSystemUnspecified;
    capabilities->DeviceWake = PowerDeviceUnspecified;
    return STATUS_SUCCESS;
}

static NTSTATUS
query_bus(struct port_unit *unit, PIRP irp)
{
    PPNP_BUS_INFORMATION bus =
        ExAllocatePoolWithTag(PagedPool, sizeof *bus, PORT_TAG);

    if (bus == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    bus->BusTypeGuid = GUID_BUS_TYPE_INTERNAL;
    bus->LegacyBusType = Internal;
    bus->BusNumber = unit->address >> 8;
    irp->IoStatus.Information = (ULONG_PTR) bus;
    return STATUS_SUCCESS;
}

/* A unit has none: it succeeds with nothing, as a bus driver does then. */
static NTSTATUS
query_resources(struct port_unit *unit, PIRP irp)
{
    irp->IoStatus.Information = 0;
    return STATUS_SUCCESS;
}

/* As found at the start: gone, or as good as ever. */
static NTSTATUS
query_state(struct port_unit *unit, PIRP irp)
{
    if (unit_flags(unit) & UNIT_REMOVED)
        irp->IoStatus.Information |= PNP_DEVICE_REMOVED;
    return STATUS_SUCCESS;
}

/* The stack above goes away: nothing of it may be left in here. */
static NTSTATUS
remove_stack(struct port_unit *unit, PIRP irp)
{
    KIRQL irql;

    port_unit_stop(unit);
    KeAcquireSpinLock(&unit->lock, &irql);
    unit->claimed = FALSE;
    KeReleaseSpinLock(&unit->lock, irql);
    return STATUS_SUCCESS;
}

static NTSTATUS
surprise(struct port_unit *unit, PIRP irp)
{
    InterlockedOr(&unit->flags, UNIT_REMOVED);
    port_unit_stop(unit);
    return STATUS_SUCCESS;
}

static NTSTATUS
succeed(struct port_unit *unit, PIRP irp)
{
    return STATUS_SUCCESS;
}

static NTSTATUS (*const minors[])(struct port_unit *unit, PIRP irp) = {
    [IRP_MN_START_DEVICE] = succeed,
    [IRP_MN_QUERY_REMOVE_DEVICE] = succeed,
    [IRP_MN_REMOVE_DEVICE] = remove_stack,
    [IRP_MN_CANCEL_REMOVE_DEVICE] = succeed,
    [IRP_MN_STOP_DEVICE] = succeed,
    [IRP_MN_QUERY_STOP_DEVICE] = succeed,
    [IRP_MN_CANCEL_STOP_DEVICE] = succeed,
    [IRP_MN_QUERY_DEVICE_RELATIONS] = query_relations,
    [IRP_MN_QUERY_CAPABILITIES] = query_capabilities,
    [IRP_MN_QUERY_RESOURCES] = query_resources,
    [IRP_MN_QUERY_RESOURCE_REQUIREMENTS] = query_resources,
    [IRP_MN_QUERY_DEVICE_TEXT] = query_text,
    [IRP_MN_QUERY_ID] = query_id,
    [IRP_MN_QUERY_PNP_DEVICE_STATE] = query_state,
    [IRP_MN_QUERY_BUS_INFORMATION] = query_bus,
    [IRP_MN_DEVICE_USAGE_NOTIFICATION] = succeed,
    [IRP_MN_SURPRISE_REMOVAL] = surprise,
};

/* What is not known keeps the status that it came with. */
NTSTATUS NTAPI
port_pnp(PDEVICE_OBJECT device, PIRP irp)
{
    UCHAR minor = IoGetCurrentIrpStackLocation(irp)->MinorFunction;
    NTSTATUS status = irp->IoStatus.Status;

    if (minor < ARRAYSIZE(minors) && minors[minor] != NULL)
        status = minors[minor](unit_of(device), irp);
    irp->IoStatus.Status = status;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}
