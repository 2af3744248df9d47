/*
 * hba_sg.c - host adapter for drives of this machine, through Linux's SG_IO
 *
 * The attention number of a unit counts what may have brought another medium:
 * UNIT ATTENTION conditions that it reported, resets and lost answers, changes
 * that a driver of the kernel saw in our place, that the device came back, and
 * silences in which another may have been put in (gap.c).
 * A command that was meant for an earlier number is not sent; if it was on its
 * way meanwhile, it ends as one that was not carried out.
 *
 * A removable drive gets one command at a time: it tells one command of a
 * change and carries out those behind it, whatever is in it by then, and PREVENT
 * is no promise (a USB stick cannot keep it, a CD drive has a pin hole).
 *
 * What was sent is never given up before the kernel ended it, by its answer or
 * its time limit: a write that was only forgotten could land on what is written
 * later, or on another medium.  At the end of the service nothing is written
 * later: a device that does not answer is left alone then.
 *
 * Context: submit and abort <= DISPATCH, any thread; all else on the unit's
 * thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/sg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/trace.h"

#define QUEUE_MAX    16 /* of the kernel, for each open file */
#define NO_LIMIT_MS  (24u * 3600 * 1000)
#define TRANSFER_MAX (120u * 1024) /* what any USB bridge takes */

C_ASSERT(sizeof(struct sg_command) <= HBA_PRIVATE_BYTES);

static struct sg_command *
command_of(struct hba_request *request)
{
    return (struct sg_command *) request->private;
}

static struct sg_command *
linked(PLIST_ENTRY entry)
{
    return CONTAINING_RECORD(entry, struct sg_command, link);
}

static uint32_t
attention_of(const struct sg_unit *unit)
{
    return __atomic_load_n(&unit->attention, __ATOMIC_ACQUIRE);
}

uint32_t
sg_could_have_changed(struct sg_unit *unit)
{
    __atomic_store_n(&unit->locked, false, __ATOMIC_RELEASE);
    return __atomic_add_fetch(&unit->attention, 1, __ATOMIC_ACQ_REL);
}

/* --- answers ------------------------------------------------------------------- */

static void
finish(struct sg_command *command, const struct hba_answer *answer)
{
    hba_set_answer(command->request, answer);
    hba_done(command->request);
}

static void
end_with(struct sg_command *command, uint8_t srb_status)
{
    finish(command, &(struct hba_answer){ .srb_status = srb_status });
}

/* As if it had not been carried out: its medium has to be looked at. */
static void
end_stale(struct sg_unit *unit, struct sg_command *command)
{
    finish(command,
           &(struct hba_answer){ .srb_status = SRB_STATUS_REQUEST_FLUSHED,
                                 .attention = attention_of(unit) });
}

/* What the adapter itself has to know of a command that went well. */
static void
learn(struct sg_unit *unit, const SCSI_REQUEST_BLOCK *srb, uint32_t len)
{
    const uint8_t *data = srb->DataBuffer;

    hba_gap_good(&unit->gap, srb, len);
    if (srb->Cdb[0] == SCSIOP_MEDIUM_REMOVAL)
        __atomic_store_n(&unit->locked, (srb->Cdb[4] & 1) != 0,
                         __ATOMIC_RELEASE);
    else if (srb->Cdb[0] == SCSIOP_INQUIRY && !(srb->Cdb[1] & 1) && len > 1)
        unit->removable = (data[1] & 0x80) != 0;
}

/* Did it run on the medium that it was meant for? */
static bool
is_stale(const struct sg_unit *unit, const struct sg_command *command)
{
    return command->request->srb->QueueSortKey != 0 &&
           command->attention != attention_of(unit);
}

static void
answer_command(struct sg_unit *unit, struct sg_command *command,
               const struct sg_io_hdr *hdr)
{
    struct hba_answer answer;

    sg_device_look(unit);
    if (sg_answer_doubtful(hdr))
        sg_could_have_changed(unit);
    sg_answer_of(hdr, &answer);
    if (answer.srb_status == SRB_STATUS_SUCCESS) {
        if (is_stale(unit, command)) {
            end_stale(unit, command);
            return;
        }
        learn(unit, command->request->srb, answer.transferred);
    } else {
        answer.attention = attention_of(unit);
    }
    finish(command, &answer);
}

bool
sg_unit_answers(struct sg_unit *unit)
{
    while (unit->sent_count > 0) {
        struct sg_io_hdr hdr = { .interface_id = 'S', .pack_id = -1 };
        struct sg_command *command;

        if (read(unit->device.fd, &hdr, sizeof hdr) < 0) {
            if (errno == EINTR)
                continue;
            return errno == EAGAIN;
        }
        command = hdr.usr_ptr;
        RemoveEntryList(&command->link);
        unit->sent_count--;
        answer_command(unit, command, &hdr);
    }
    return true;
}

void
sg_unit_end_sent(struct sg_unit *unit)
{
    while (!IsListEmpty(&unit->sent)) {
        struct sg_command *command = linked(RemoveHeadList(&unit->sent));

        end_with(command, SRB_STATUS_SELECTION_TIMEOUT);
    }
    unit->sent_count = 0;
}

/* --- on their way --------------------------------------------------------------- */

static int
direction(const SCSI_REQUEST_BLOCK *srb)
{
    if (srb->DataTransferLength == 0)
        return SG_DXFER_NONE;
    if (srb->SrbFlags & SRB_FLAGS_DATA_IN)
        return SG_DXFER_FROM_DEV;
    return srb->SrbFlags & SRB_FLAGS_DATA_OUT ? SG_DXFER_TO_DEV : SG_DXFER_NONE;
}

/* 0, or why the kernel did not take it. */
static int
give_to_kernel(struct sg_unit *unit, struct sg_command *command)
{
    SCSI_REQUEST_BLOCK *srb = command->request->srb;
    struct sg_io_hdr hdr = {
        .interface_id = 'S',
        .dxfer_direction = direction(srb),
        .cmd_len = srb->CdbLength,
        .mx_sb_len = SG_SENSE_MAX,
        .dxferp = srb->DataBuffer,
        .cmdp = srb->Cdb,
        .sbp = command->sense,
        .timeout = srb->TimeOutValue != 0 && srb->TimeOutValue < 24 * 3600
                       ? srb->TimeOutValue * 1000
                       : NO_LIMIT_MS,
        .usr_ptr = command,
    };

    if (hdr.dxfer_direction != SG_DXFER_NONE)
        hdr.dxfer_len = srb->DataTransferLength;
    command->attention = attention_of(unit);
    if (write(unit->device.fd, &hdr, sizeof hdr) < 0)
        return errno;
    __atomic_fetch_add(&unit->commands, 1, __ATOMIC_RELAXED);
    unit->sent_by_us++;
    return 0;
}

/* TRUE: the device is there, and so is the next command's turn. */
static bool
send_command(struct sg_unit *unit, struct sg_command *command)
{
    int error = give_to_kernel(unit, command);

    switch (error) {
    case 0:
        InsertTailList(&unit->sent, &command->link);
        unit->sent_count++;
        return true;
    case EDOM: /* the kernel's queue */
    case EAGAIN:
    case EBUSY:
    case ENOMEM:
        end_with(command, SRB_STATUS_BUSY);
        return true;
    case ENODEV:
    case ENXIO:
        end_with(command, SRB_STATUS_SELECTION_TIMEOUT);
        return false;
    default: /* EINVAL, EPERM, EFAULT: it does not take such a thing */
        TRACE(TRACE_PORT, "sg op=%02x refused: %d",
              command->request->srb->Cdb[0], error);
        end_with(command, SRB_STATUS_INVALID_REQUEST);
        return true;
    }
}

static bool
may_go(const struct sg_unit *unit)
{
    return unit->sent_count < (unit->removable ? 1 : QUEUE_MAX) && !unit->taken;
}

/* FALSE: it has ended without being sent. */
static bool
is_wanted(struct sg_unit *unit, struct sg_command *command)
{
    const SCSI_REQUEST_BLOCK *srb = command->request->srb;
    uint32_t meant = srb->QueueSortKey;

    if (hba_gap_passed(&unit->gap, srb, unit->sent_count == 0))
        sg_could_have_changed(unit);
    if (__atomic_load_n(&command->abort, __ATOMIC_ACQUIRE))
        end_with(command, SRB_STATUS_ABORTED);
    else if (meant != 0 && meant != attention_of(unit))
        end_stale(unit, command);
    else if (unit->device.fd < 0)
        end_with(command, SRB_STATUS_SELECTION_TIMEOUT);
    else
        return true;
    return false;
}

void
sg_unit_send(struct sg_unit *unit)
{
    if (unit->taken && unit->sent_count == 0)
        sg_device_yield(unit);
    while (!IsListEmpty(&unit->held)) {
        struct sg_command *command = linked(unit->held.Flink);

        if (unit->device.fd >= 0 && !may_go(unit))
            return;
        RemoveEntryList(&command->link);
        sg_device_look(unit);
        if (is_wanted(unit, command) && !send_command(unit, command))
            sg_device_lost(unit);
    }
}

void
sg_unit_start(struct sg_unit *unit, struct sg_command *command)
{
    InsertTailList(&unit->held, &command->link);
}

/* --- ending them -------------------------------------------------------------------- */

/* The first that is to end, or NULL; each ends the search, because what follows
 * from its end may change the list. */
static struct sg_command *
find_aborted(PLIST_ENTRY list)
{
    for (PLIST_ENTRY at = list->Flink; at != list; at = at->Flink)
        if (__atomic_load_n(&linked(at)->abort, __ATOMIC_ACQUIRE))
            return linked(at);
    return NULL;
}

/* Needs CAP_SYS_ADMIN and CAP_SYS_RAWIO; without them the time limits of what
 * is on its way have to do. */
static void
do_reset(struct sg_unit *unit)
{
    int what = SG_SCSI_RESET_DEVICE;

    sg_could_have_changed(unit);
    if (unit->device.fd >= 0 &&
        ioctl(unit->device.fd, SG_SCSI_RESET, &what) != 0)
        TRACE(TRACE_PORT, "sg %s reset: %d", unit->device.node, errno);
}

void
sg_unit_look(struct sg_unit *unit)
{
    struct sg_command *command;

    if (__atomic_exchange_n(&unit->reset, false, __ATOMIC_ACQ_REL))
        do_reset(unit);
    if (__atomic_exchange_n(&unit->leave, false, __ATOMIC_ACQ_REL) &&
        unit->sent_count > 0)
        sg_device_leave(unit);
    if (!__atomic_exchange_n(&unit->aborts, false, __ATOMIC_ACQ_REL))
        return;
    while ((command = find_aborted(&unit->held)) != NULL) {
        RemoveEntryList(&command->link);
        end_with(command, SRB_STATUS_ABORTED);
    }
}

/* --- the seam ------------------------------------------------------------------------- */

static bool NTAPI
sg_submit(void *hba, struct hba_request *request)
{
    struct sg_unit *unit = hba;
    struct sg_command *command = command_of(request);

    if (!hba_may_send(request))
        return true;
    command->request = request;
    command->abort = false;
    pthread_mutex_lock(&unit->lock);
    InsertTailList(&unit->incoming, &command->link);
    pthread_mutex_unlock(&unit->lock);
    sg_device_wake(unit);
    return false;
}

static void
sg_give_up(void *hba)
{
    struct sg_unit *unit = hba;

    __atomic_store_n(&unit->leave, true, __ATOMIC_RELEASE);
    sg_device_wake(unit);
}

static void
sg_abort(void *hba, struct hba_request *request)
{
    struct sg_unit *unit = hba;

    __atomic_store_n(&command_of(request)->abort, true, __ATOMIC_RELEASE);
    __atomic_store_n(&unit->aborts, true, __ATOMIC_RELEASE);
    sg_device_wake(unit);
}

static void
sg_reset(void *hba)
{
    struct sg_unit *unit = hba;

    __atomic_store_n(&unit->reset, true, __ATOMIC_RELEASE);
    sg_device_wake(unit);
}

static void
sg_info(void *hba, struct hba_info *out_info)
{
    struct sg_unit *unit = hba;

    out_info->commands = __atomic_load_n(&unit->commands, __ATOMIC_RELAXED);
    out_info->shared = __atomic_load_n(&unit->gap.always, __ATOMIC_RELAXED);
    out_info->prevented = __atomic_load_n(&unit->locked, __ATOMIC_ACQUIRE);
    out_info->away = __atomic_load_n(&unit->away, __ATOMIC_ACQUIRE);
    out_info->may_be_away = unit->config.may_be_away;
    out_info->max_transfer_bytes =
        __atomic_load_n(&unit->max_transfer_bytes, __ATOMIC_RELAXED);
}

static void
sg_why(void *hba, char *out_text, size_t text_max)
{
    struct sg_unit *unit = hba;

    pthread_mutex_lock(&unit->lock);
    if (__atomic_load_n(&unit->away, __ATOMIC_ACQUIRE))
        snprintf(out_text, text_max, "%s", unit->why);
    pthread_mutex_unlock(&unit->lock);
}

static void
sg_close(void *hba)
{
    struct sg_unit *unit = hba;

    sg_device_stop(unit);
    pthread_mutex_destroy(&unit->lock);
    ExFreePoolWithTag(unit, PORT_TAG);
}

/* --- making one ------------------------------------------------------------------------- */

static NTSTATUS
sg_open(void *context, void *port_unit, void **out_hba)
{
    const struct port_sg_config *config = context;
    struct sg_unit *unit =
        ExAllocatePoolWithTag(NonPagedPoolNx, sizeof *unit, PORT_TAG);
    NTSTATUS status;

    if (unit == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(unit, sizeof *unit);
    unit->config = *config;
    unit->attention = 1;
    hba_gap_init(&unit->gap);
    unit->removable = true;
    unit->device.fd = unit->wake_fd = unit->uevent_fd = -1;
    sg_wait_init(&unit->wait);
    unit->max_transfer_bytes = TRANSFER_MAX;
    InitializeListHead(&unit->incoming);
    InitializeListHead(&unit->held);
    InitializeListHead(&unit->sent);
    pthread_mutex_init(&unit->lock, NULL);
    status = sg_device_start(unit, config->out_text, config->text_max);
    if (!NT_SUCCESS(status)) {
        pthread_mutex_destroy(&unit->lock);
        ExFreePoolWithTag(unit, PORT_TAG);
        return status;
    }
    *out_hba = unit;
    return STATUS_SUCCESS;
}

static const struct hba_ops sg_ops = {
    .name = "sg",
    .max_transfer_bytes = TRANSFER_MAX,
    .bus_type = BusTypeScsi,
    .submit = sg_submit,
    .abort = sg_abort,
    .give_up = sg_give_up,
    .reset = sg_reset,
    .info = sg_info,
    .why = sg_why,
    .close = sg_close,
};

NTSTATUS
port_add_sg(PDRIVER_OBJECT driver, const struct port_sg_config *config,
            const char *name, PDEVICE_OBJECT *out_pdo)
{
    /* Only read, and only while this runs. */
    return port_unit_new(driver, &sg_ops, sg_open, (void *) config, name,
                         out_pdo);
}
