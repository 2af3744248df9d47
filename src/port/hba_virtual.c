/*
 * hba_virtual.c - host adapter over an emulated drive (vscsi.h)
 *
 * Commands run on the caller's thread; only fault rules make one wait.  Copy
 * this file to write another adapter.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include <vscsi.h>

#include "base/watch.h"
#include "port/port_internal.h"

struct hba_virtual {
    struct vscsi_drive *drive;
    struct vscsi_nexus *nexus;
    void *unit;
};

C_ASSERT(sizeof(struct vscsi_command) <= HBA_PRIVATE_BYTES);
C_ASSERT(1u << VSCSI_EVENT_INSERTED == PORT_EVENT_INSERTED);
C_ASSERT(1u << VSCSI_EVENT_READY == PORT_EVENT_READY);
C_ASSERT(1u << VSCSI_EVENT_REMOVED == PORT_EVENT_REMOVED);
C_ASSERT(1u << VSCSI_EVENT_EJECT_REQUEST == PORT_EVENT_EJECT);

static struct vscsi_command *
command_of(struct hba_request *request)
{
    return (struct vscsi_command *) request->private;
}

/* --- answers ---------------------------------------------------------------- */

static uint8_t
srb_status_of(const struct vscsi_command *command)
{
    static const uint8_t by_result[] = {
        [VSCSI_STALE] = SRB_STATUS_REQUEST_FLUSHED,
        [VSCSI_ABORTED] = SRB_STATUS_ABORTED,
        [VSCSI_BUS_RESET] = SRB_STATUS_BUS_RESET,
        [VSCSI_LOST] = SRB_STATUS_ABORTED,
        [VSCSI_SELECTION_TIMEOUT] = SRB_STATUS_SELECTION_TIMEOUT,
        [VSCSI_INVALID_LUN] = SRB_STATUS_INVALID_LUN,
        [VSCSI_NO_DEVICE] = SRB_STATUS_NO_DEVICE,
        [VSCSI_PHASE_ERROR] = SRB_STATUS_PHASE_SEQUENCE_FAILURE,
        [VSCSI_PARITY_ERROR] = SRB_STATUS_PARITY_ERROR,
        [VSCSI_BUS_FREE] = SRB_STATUS_UNEXPECTED_BUS_FREE,
        [VSCSI_TIMED_OUT] = SRB_STATUS_COMMAND_TIMEOUT,
        [VSCSI_OVERRUN] = SRB_STATUS_DATA_OVERRUN,
    };

    if (command->result != VSCSI_DONE)
        return by_result[command->result];
    return command->status == SCSISTAT_GOOD ? SRB_STATUS_SUCCESS
                                            : SRB_STATUS_ERROR;
}

static void
answer(struct hba_request *request)
{
    struct vscsi_command *command = command_of(request);
    BOOLEAN done = command->result == VSCSI_DONE;
    struct hba_answer answer = {
        .srb_status = srb_status_of(command),
        .scsi_status = done ? command->status : SCSISTAT_GOOD,
        .transferred =
            done || command->result == VSCSI_OVERRUN ? command->transferred : 0,
    };

    if (answer.srb_status != SRB_STATUS_SUCCESS) {
        if (command->result == VSCSI_STALE ||
            (done && command->status == SCSISTAT_CHECK_CONDITION))
            answer.attention = command->attention;
        if (done) {
            answer.sense = command->sense;
            answer.sense_len = command->sense_len;
        }
    }
    hba_set_answer(request, &answer);
}

static void
virtual_done(struct vscsi_command *command)
{
    struct hba_request *request = command->context;

    answer(request);
    hba_done(request);
}

/* --- commands --------------------------------------------------------------- */

static enum vscsi_dir
direction(const SCSI_REQUEST_BLOCK *srb)
{
    if (srb->DataTransferLength == 0)
        return VSCSI_NO_DATA;
    if (srb->SrbFlags & SRB_FLAGS_DATA_IN)
        return VSCSI_FROM_DRIVE;
    return srb->SrbFlags & SRB_FLAGS_DATA_OUT ? VSCSI_TO_DRIVE : VSCSI_NO_DATA;
}

static bool __attribute__((noinline))
carry_out(struct hba_virtual *hba, struct hba_request *request)
{
    struct vscsi_command *command = command_of(request);
    const SCSI_REQUEST_BLOCK *srb = request->srb;

    memcpy(command->cdb, srb->Cdb, sizeof command->cdb);
    command->cdb_len = srb->CdbLength <= sizeof srb->Cdb ? srb->CdbLength : 0;
    command->dir = direction(srb);
    command->data = srb->DataBuffer;
    command->data_len = srb->DataTransferLength;
    command->attention_in = srb->QueueSortKey;
    command->done = virtual_done;
    command->context = request;
    watch_leave(); /* the drive may take its time */
    if (__builtin_expect(!vscsi_execute(hba->nexus, command), 0))
        return false;
    answer(request);
    return true;
}

/* Here the convention changes; see hba.h. */
static bool NTAPI
virtual_submit(void *hba, struct hba_request *request)
{
    return carry_out(hba, request);
}

static void
virtual_abort(void *context, struct hba_request *request)
{
    struct hba_virtual *hba = context;

    vscsi_abort(hba->nexus, command_of(request));
}

static void
virtual_reset(void *context)
{
    struct hba_virtual *hba = context;

    vscsi_reset(hba->drive);
}

/* --- life ------------------------------------------------------------------- */

static void
virtual_event(void *context, enum vscsi_event event)
{
    struct hba_virtual *hba = context;

    hba_event(hba->unit, 1u << event);
}

static void
virtual_info(void *context, struct hba_info *out_info)
{
    struct hba_virtual *hba = context;
    struct vscsi_state state;

    vscsi_state(hba->drive, &state);
    out_info->commands = state.commands;
    out_info->prevented = state.prevented;
}

static void
virtual_close(void *context)
{
    struct hba_virtual *hba = context;

    vscsi_nexus_free(hba->nexus);
    ExFreePoolWithTag(hba, PORT_TAG);
}

static NTSTATUS
virtual_open(void *context, void *unit, void **out_hba)
{
    struct hba_virtual *hba =
        ExAllocatePoolWithTag(NonPagedPoolNx, sizeof *hba, PORT_TAG);

    if (hba == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    hba->drive = context;
    hba->unit = unit;
    hba->nexus = vscsi_nexus_new(context, virtual_event, hba);
    if (hba->nexus == NULL) {
        ExFreePoolWithTag(hba, PORT_TAG);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    *out_hba = hba;
    return STATUS_SUCCESS;
}

static const struct hba_ops virtual_ops = {
    .name = "virtual",
    .max_transfer_bytes = 1024 * 1024,
    .bus_type = BusTypeVirtual,
    .events = true,
    .submit = virtual_submit,
    .abort = virtual_abort,
    .reset = virtual_reset,
    .info = virtual_info,
    .close = virtual_close,
};

NTSTATUS
port_add_virtual(PDRIVER_OBJECT driver, struct vscsi_drive *drive,
                 const char *name, PDEVICE_OBJECT *out_pdo)
{
    return port_unit_new(driver, &virtual_ops, virtual_open, drive, name,
                         out_pdo);
}
