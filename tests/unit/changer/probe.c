/*
 * probe.c - a miniclass driver for tests
 *
 * SPDX-License-Identifier: MIT
 */
#include "probe.h"

struct probe probe;
PDRIVER_OBJECT probe_driver;
MCD_INIT_DATA probe_data;

static void
note(const char *name, PDEVICE_OBJECT device)
{
    struct probe_call *call = &probe.calls[probe.count++ % 64];

    call->name = name;
    call->irql = KeGetCurrentIrql();
    call->device = device;
}

unsigned
probe_calls(const char *name)
{
    unsigned count = 0;

    for (unsigned i = 0; i < probe.count && i < 64; i++)
        count += name == NULL || strcmp(probe.calls[i].name, name) == 0;
    return count;
}

static ULONG NTAPI
extension_size(VOID)
{
    note("size", NULL);
    return PROBE_EXTRA;
}

static NTSTATUS NTAPI
initialize(PDEVICE_OBJECT device)
{
    PCOMMON_DEVICE_EXTENSION common = device->DeviceExtension;
    UCHAR *own = common->DriverData;
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 6, .TimeOutValue = 10 };

    note("initialize", device);
    probe.clean = true;
    for (unsigned i = 0; i < PROBE_EXTRA; i++)
        probe.clean = probe.clean && own[i] == 0;
    if (probe.initialize == STATUS_SUCCESS)
        memset(own, 0x5A, PROBE_EXTRA);
    if (!NT_SUCCESS(probe.initialize))
        return probe.initialize;
    return ChangerClassSendSrbSynchronous(device, &srb, NULL, 0, FALSE);
}

static VOID NTAPI
error(PDEVICE_OBJECT device, PSCSI_REQUEST_BLOCK srb, NTSTATUS *status,
      BOOLEAN *retry)
{
    const UCHAR *sense = srb->SenseInfoBuffer;

    note("error", device);
    probe.seen_status = *status;
    probe.seen_retry = *retry;
    probe.without_sense = !(srb->SrbStatus & SRB_STATUS_AUTOSENSE_VALID);
    if (probe.without_sense || sense == NULL)
        return;
    if (probe.set_status)
        *status = probe.status;
    if (probe.set_retry)
        *retry = probe.retry;
}

static NTSTATUS NTAPI
diagnostics(PDEVICE_OBJECT device, PWMI_CHANGER_PROBLEM_DEVICE_ERROR out)
{
    note("diagnostics", device);
    return STATUS_INVALID_DEVICE_REQUEST;
}

static NTSTATUS NTAPI
unsupported(PDEVICE_OBJECT device, PIRP irp)
{
    note("unsupported", device);
    return STATUS_INVALID_DEVICE_REQUEST;
}

static NTSTATUS NTAPI
get_status(PDEVICE_OBJECT device, PIRP irp)
{
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 6, .TimeOutValue = 10 };

    note("status", device);
    return ChangerClassSendSrbSynchronous(device, &srb, NULL, 0, FALSE);
}

/* Sends a READ BUFFER: a command of no particular kind. */
static NTSTATUS NTAPI
other_command(PDEVICE_OBJECT device, PIRP irp)
{
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 10, .TimeOutValue = 10 };

    note("other", device);
    srb.Cdb[0] = 0x3C;
    return ChangerClassSendSrbSynchronous(device, &srb, NULL, 0, FALSE);
}

/* A MOVE, and no more. */
static NTSTATUS NTAPI
move(PDEVICE_OBJECT device, PIRP irp)
{
    SCSI_REQUEST_BLOCK srb = { .CdbLength = 12, .TimeOutValue = 10 };

    note("move", device);
    srb.Cdb[0] = SCSIOP_MOVE_MEDIUM;
    return ChangerClassSendSrbSynchronous(device, &srb, NULL, 0, FALSE);
}

static void
fill(MCD_INIT_DATA *data)
{
    memset(data, 0, sizeof *data);
    data->InitDataSize = sizeof *data;
    data->ChangerAdditionalExtensionSize = extension_size;
    data->ChangerInitialize = initialize;
    data->ChangerError = error;
    data->ChangerPerformDiagnostics = diagnostics;
    data->ChangerGetParameters = unsupported;
    data->ChangerGetStatus = get_status;
    data->ChangerGetProductData = unsupported;
    data->ChangerSetAccess = unsupported;
    data->ChangerGetElementStatus = unsupported;
    data->ChangerInitializeElementStatus = unsupported;
    data->ChangerSetPosition = unsupported;
    data->ChangerExchangeMedium = unsupported;
    data->ChangerMoveMedium = move;
    data->ChangerReinitializeUnit = other_command;
    data->ChangerQueryVolumeTags = unsupported;
}

/* The record is gone when the driver runs. */
static NTSTATUS NTAPI
probe_entry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    MCD_INIT_DATA data;
    NTSTATUS status;

    fill(&data);
    probe_data = data;
    status = ChangerClassInitialize(driver, path, &data);
    memset(&data, 0xCC, sizeof data);
    __asm__ volatile("" : : "r"(&data) : "memory");
    return status;
}

int
probe_begin(void **state)
{
    if (robot_begin(state) != 0)
        return -1;
    return io_load_driver("probe", probe_entry, &probe_driver) < 0 ? -1 : 0;
}

int
probe_end(void **state)
{
    io_unload_driver(probe_driver);
    return robot_end(state);
}

int
probe_cold(void **state)
{
    memset(&probe, 0, sizeof probe);
    return robot_new(state);
}

int
probe_ready(void **state)
{
    (void) probe_cold(state);
    assert_status(robot_try_start(probe_driver), STATUS_SUCCESS);
    assert_status(robot_open(), STATUS_SUCCESS);
    robot_forget();
    memset(&probe, 0, sizeof probe);
    return 0;
}
