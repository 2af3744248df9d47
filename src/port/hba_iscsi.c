/*
 * hba_iscsi.c - host adapter for logical units of iSCSI targets
 *
 * The attention number of a unit counts the UNIT ATTENTION conditions that it
 * reported, the sessions that were lost, and silences (gap.c): after each of
 * them another medium may be in it.  A command that was meant for an earlier
 * number is not sent; if it was on its way meanwhile, what it brought is not
 * believed, and it ends as one that was not carried out, for its owner to
 * verify and to give again.
 *
 * A target tells one command of a change and carries out those behind it, on
 * whatever medium is there now.  So while the medium can leave (no PREVENT is
 * in force), a command that writes goes alone: nothing before it can take the
 * unit attention, nothing is behind it.  And what a read brought counts only
 * when all that was sent before it has ended.  An empty drive takes a PREVENT,
 * too, and then a medium: it is in force when something was read or written
 * under it.  And an ALLOW (PREVENT/ALLOW with Prevent 0) always goes alone: what
 * is on its way with it may be carried out after it, when the medium can leave.
 *
 * Context: submit and abort <= DISPATCH, any thread; all else in the session's
 * seat.
 *
 * SPDX-License-Identifier: MIT
 */
#include "port/iscsi.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

C_ASSERT(sizeof(struct iscsi_command) <= HBA_PRIVATE_BYTES);

static struct iscsi_command *
command_of(struct hba_request *request)
{
    return (struct iscsi_command *) request->private;
}

/* --- on their way --------------------------------------------------------------- */

static bool
can_leave(const struct iscsi_unit *unit)
{
    return unit->removable && !__atomic_load_n(&unit->locked, __ATOMIC_ACQUIRE);
}

/* Commands that change the medium, or let it go.  An ALLOW always: what is on
 * its way with it may be carried out after it. */
static bool
goes_alone(const struct iscsi_unit *unit, const SCSI_REQUEST_BLOCK *srb)
{
    if (srb->Cdb[0] == SCSIOP_MEDIUM_REMOVAL && (srb->Cdb[4] & 1) == 0)
        return true;
    if (!can_leave(unit))
        return false;
    switch (srb->Cdb[0]) {
    case SCSIOP_FORMAT_UNIT:
    case SCSIOP_ERASE:
    case SCSIOP_WRITE_FILEMARKS:
    case SCSIOP_START_STOP_UNIT:
        return true;
    default:
        return (srb->SrbFlags & SRB_FLAGS_DATA_OUT) != 0;
    }
}

static void send_held(struct iscsi_unit *unit);

static bool
is_behind_another(const struct iscsi_command *command)
{
    for (PLIST_ENTRY at = command->link.Blink; at != &command->unit->sent;
         at = at->Blink)
        if (!iscsi_command_at(at)->done)
            return true;
    return false;
}

static void
end_sent(struct iscsi_command *command)
{
    struct scsi_task *task = command->task;

    RemoveEntryList(&command->link);
    if (command->alone)
        command->unit->lonely = false;
    iscsi_answer(command, command->status, task);
    scsi_free_scsi_task(task);
}

/* Those that waited for an earlier one, which may have told of a change. */
static void
end_ordered(struct iscsi_unit *unit)
{
    for (PLIST_ENTRY at = unit->sent.Flink, next; at != &unit->sent;
         at = next) {
        next = at->Flink;
        if (!iscsi_command_at(at)->done)
            return;
        end_sent(iscsi_command_at(at));
    }
}

static void
task_done(struct iscsi_context *iscsi, int status, void *data, void *context)
{
    struct iscsi_command *command = context;
    struct iscsi_unit *unit = command->unit;

    (void) iscsi;
    (void) data;
    /* Not by us: libiscsi has found that the connection is gone. */
    if (status == SCSI_STATUS_CANCELLED && !command->ending)
        unit->session->ended = true;
    command->status = status;
    command->told = iscsi_hear(command, status);
    command->done = true;
    if (!command->ordered || !is_behind_another(command))
        end_sent(command);
    end_ordered(unit);
    send_held(unit);
}

static int
direction(const SCSI_REQUEST_BLOCK *srb)
{
    if (srb->DataTransferLength == 0)
        return SCSI_XFER_NONE;
    if (srb->SrbFlags & SRB_FLAGS_DATA_IN)
        return SCSI_XFER_READ;
    return srb->SrbFlags & SRB_FLAGS_DATA_OUT ? SCSI_XFER_WRITE
                                              : SCSI_XFER_NONE;
}

static struct scsi_task *
make_task(struct iscsi_command *command)
{
    SCSI_REQUEST_BLOCK *srb = command->request->srb;
    int way = direction(srb);
    int len = way == SCSI_XFER_NONE ? 0 : (int) srb->DataTransferLength;
    struct scsi_task *task =
        scsi_create_task(srb->CdbLength, srb->Cdb, way, len);

    if (task == NULL || len == 0)
        return task;
    command->iov =
        (struct scsi_iovec){ .iov_base = srb->DataBuffer, .iov_len = len };
    if (way == SCSI_XFER_READ)
        scsi_task_set_iov_in(task, &command->iov, 1);
    else
        scsi_task_set_iov_out(task, &command->iov, 1);
    return task;
}

static void
send_command(struct iscsi_command *command)
{
    struct iscsi_unit *unit = command->unit;

    command->attention = iscsi_attention(unit);
    command->prevented = unit->prevented;
    command->ordered = can_leave(unit);
    command->task = make_task(command);
    if (command->task == NULL) {
        command->request->srb->InternalStatus =
            (ULONG) STATUS_INSUFFICIENT_RESOURCES;
        iscsi_end_with(command, SRB_STATUS_INTERNAL_ERROR);
        return;
    }
    iscsi_mark(command);
    InsertTailList(&unit->sent, &command->link);
    unit->lonely = command->alone;
    __atomic_fetch_add(&unit->commands, 1, __ATOMIC_RELAXED);
    if (iscsi_scsi_command_async(unit->session->iscsi, unit->lun, command->task,
                                 task_done, NULL, command) == 0)
        return;
    RemoveEntryList(&command->link);
    unit->lonely = false;
    scsi_free_scsi_task(command->task);
    iscsi_end_with(command, SRB_STATUS_BUS_RESET);
}

static bool
may_go(const struct iscsi_unit *unit, const struct iscsi_command *command)
{
    return !unit->lonely && (!command->alone || IsListEmpty(&unit->sent));
}

/* Polls are no use of the medium, however long they take. */
static bool
is_idle(const struct iscsi_unit *unit)
{
    for (PLIST_ENTRY at = unit->sent.Flink; at != &unit->sent; at = at->Flink)
        if (iscsi_command_at(at)->request->srb->Cdb[0] !=
            SCSIOP_TEST_UNIT_READY)
            return false;
    return true;
}

/* FALSE: it has ended without being sent. */
static bool
is_wanted(struct iscsi_command *command)
{
    const SCSI_REQUEST_BLOCK *srb = command->request->srb;
    struct iscsi_unit *unit = command->unit;
    uint32_t meant = srb->QueueSortKey;

    if (can_leave(unit) && hba_gap_passed(&unit->gap, srb, is_idle(unit)))
        iscsi_could_have_changed(unit);
    if (__atomic_load_n(&command->abort, __ATOMIC_ACQUIRE))
        iscsi_end_with(command, SRB_STATUS_ABORTED);
    else if (meant != 0 && meant != iscsi_attention(unit))
        iscsi_end_stale(command);
    else if (unit->session->state != ISCSI_UP)
        iscsi_end_with(command, SRB_STATUS_SELECTION_TIMEOUT);
    else
        return true;
    return false;
}

/* In their order, as far as they may go. */
static void
send_held(struct iscsi_unit *unit)
{
    while (!IsListEmpty(&unit->held)) {
        struct iscsi_command *command = iscsi_command_at(unit->held.Flink);

        command->alone = goes_alone(unit, command->request->srb);
        if (unit->session->state == ISCSI_UP && !may_go(unit, command))
            return;
        RemoveEntryList(&command->link);
        if (is_wanted(command))
            send_command(command);
    }
}

void
iscsi_unit_start(struct iscsi_command *command)
{
    InsertTailList(&command->unit->held, &command->link);
    send_held(command->unit);
}

/* --- ending them -------------------------------------------------------------------- */

static struct iscsi_command *
find_ending(const struct iscsi_unit *unit)
{
    for (PLIST_ENTRY at = unit->sent.Flink; at != &unit->sent; at = at->Flink)
        if (iscsi_command_at(at)->ending && !iscsi_command_at(at)->done)
            return iscsi_command_at(at);
    return NULL;
}

static void
set_functions(struct iscsi_unit *unit, unsigned functions)
{
    unit->functions = functions;
    if (functions == 0)
        pthread_cond_broadcast(&unit->session->settled);
}

/*
 * Until the target says that a command is over it may still carry it out, after
 * whatever is sent next: only then it ends here.  A target that does not say so
 * loses the session, with which all its commands end.
 */
static void
tmf_done(struct iscsi_context *iscsi, int status, void *data, void *context)
{
    struct iscsi_unit *unit = context;
    const uint32_t *response = data;
    struct iscsi_command *command;

    set_functions(unit, unit->functions - 1);
    iscsi_session_got(unit->session);
    if (status == SCSI_STATUS_CANCELLED)
        return; /* the session is ending */
    if (status != SCSI_STATUS_GOOD || response == NULL ||
        (*response != ISCSI_TMR_FUNC_COMPLETE &&
         *response != ISCSI_TMR_TASK_DOES_NOT_EXIST)) {
        unit->session->broken = true;
        return;
    }
    while (unit->functions == 0 && (command = find_ending(unit)) != NULL)
        if (iscsi_scsi_cancel_task(iscsi, command->task) != 0) {
            /* A strange answer has made libiscsi forget it. */
            unit->session->broken = true;
            return;
        }
}

/* The first of the list that is to end, or NULL; each ends the search, because
 * what follows from its end may change the list. */
static struct iscsi_command *
find_aborted(PLIST_ENTRY list)
{
    for (PLIST_ENTRY at = list->Flink; at != list; at = at->Flink)
        if (__atomic_load_n(&iscsi_command_at(at)->abort, __ATOMIC_ACQUIRE) &&
            !iscsi_command_at(at)->ending && !iscsi_command_at(at)->done)
            return iscsi_command_at(at);
    return NULL;
}

static void
end_aborted(struct iscsi_unit *unit)
{
    struct iscsi_context *iscsi = unit->session->iscsi;
    struct iscsi_command *command;

    while ((command = find_aborted(&unit->held)) != NULL) {
        RemoveEntryList(&command->link);
        iscsi_end_with(command, SRB_STATUS_ABORTED);
    }
    /* Whether it was carried out is not known; its owner is told so. */
    while (iscsi != NULL && (command = find_aborted(&unit->sent)) != NULL) {
        command->ending = true;
        unit->functions++;
        iscsi_session_expects(unit->session);
        if (iscsi_task_mgmt_abort_task_async(iscsi, command->task, tmf_done,
                                             unit) != 0) {
            set_functions(unit, unit->functions - 1);
            iscsi_session_got(unit->session);
            unit->session->broken = true;
        }
    }
    send_held(unit);
}

static struct iscsi_command *
find_running(const struct iscsi_unit *unit)
{
    for (PLIST_ENTRY at = unit->sent.Flink; at != &unit->sent; at = at->Flink)
        if (!iscsi_command_at(at)->ending && !iscsi_command_at(at)->done)
            return iscsi_command_at(at);
    return NULL;
}

static void
do_reset(struct iscsi_unit *unit)
{
    struct iscsi_context *iscsi = unit->session->iscsi;
    struct iscsi_command *command;

    iscsi_could_have_changed(unit);
    if (iscsi == NULL)
        return;
    while ((command = find_running(unit)) != NULL)
        command->ending = true;
    unit->functions++;
    iscsi_session_expects(unit->session);
    if (iscsi_task_mgmt_async(iscsi, unit->lun, ISCSI_TM_LUN_RESET, 0xFFFFFFFF,
                              0, tmf_done, unit) != 0) {
        set_functions(unit, unit->functions - 1);
        iscsi_session_got(unit->session);
        unit->session->broken = true;
    }
}

void
iscsi_unit_look(struct iscsi_unit *unit)
{
    if (__atomic_exchange_n(&unit->reset, false, __ATOMIC_ACQ_REL))
        do_reset(unit);
    if (__atomic_exchange_n(&unit->aborts, false, __ATOMIC_ACQ_REL))
        end_aborted(unit);
    send_held(unit);
}

void
iscsi_unit_lost(struct iscsi_unit *unit)
{
    iscsi_could_have_changed(unit);
    send_held(unit);
    unit->turned(unit->context);
}

void
iscsi_unit_over(struct iscsi_unit *unit)
{
    while (!IsListEmpty(&unit->sent)) {
        struct iscsi_command *command = iscsi_command_at(unit->sent.Flink);

        if (!command->done)
            command->status = SCSI_STATUS_CANCELLED;
        end_sent(command);
    }
    set_functions(unit, 0);
    send_held(unit);
}

void
iscsi_unit_turned(struct iscsi_unit *unit)
{
    unit->turned(unit->context);
}

void
iscsi_unit_up(struct iscsi_unit *unit)
{
    unit->turned(unit->context);
}

/* --- the seam ------------------------------------------------------------------------- */

static bool NTAPI
iscsi_submit(void *hba, struct hba_request *request)
{
    struct iscsi_unit *unit = hba;
    struct iscsi_session *session = unit->session;
    struct iscsi_command *command = command_of(request);
    size_t out_bytes = request->srb->SrbFlags & SRB_FLAGS_DATA_OUT
                           ? request->srb->DataTransferLength
                           : 0;

    if (!hba_may_send(request))
        return true;
    command->unit = unit;
    command->request = request;
    command->task = NULL;
    command->abort = false;
    command->ending = false;
    command->ordered = false;
    command->done = false;
    pthread_mutex_lock(&session->lock);
    InsertTailList(&session->incoming, &command->link);
    pthread_mutex_unlock(&session->lock);
    iscsi_session_start(session, out_bytes);
    return false;
}

static void
iscsi_abort(void *hba, struct hba_request *request)
{
    struct iscsi_unit *unit = hba;

    __atomic_store_n(&command_of(request)->abort, true, __ATOMIC_RELEASE);
    __atomic_store_n(&unit->aborts, true, __ATOMIC_RELEASE);
    iscsi_session_wake(unit->session);
}

static void
iscsi_reset(void *hba)
{
    struct iscsi_unit *unit = hba;

    __atomic_store_n(&unit->reset, true, __ATOMIC_RELEASE);
    iscsi_session_wake(unit->session);
}

static void
iscsi_info(void *hba, struct hba_info *out_info)
{
    struct iscsi_unit *unit = hba;

    out_info->commands = __atomic_load_n(&unit->commands, __ATOMIC_RELAXED);
    out_info->prevented = __atomic_load_n(&unit->prevented, __ATOMIC_ACQUIRE);
    out_info->gone = __atomic_load_n(&unit->gone, __ATOMIC_ACQUIRE);
    out_info->away = out_info->gone || !iscsi_session_is_up(unit->session);
    out_info->refused = iscsi_session_is_refused(unit->session);
    out_info->silent =
        !out_info->away && iscsi_session_is_silent(unit->session);
    out_info->may_be_away = unit->may_be_away;
}

static void
iscsi_why(void *hba, char *out_text, size_t text_max)
{
    struct iscsi_unit *unit = hba;

    if (__atomic_load_n(&unit->gone, __ATOMIC_ACQUIRE))
        snprintf(out_text, text_max,
                 "its target says that there is no such unit");
    iscsi_session_why(unit->session, out_text, text_max);
}

static void
iscsi_close(void *hba)
{
    struct iscsi_unit *unit = hba;

    iscsi_session_remove(unit->session, unit);
    iscsi_session_put(unit->session);
    ExFreePoolWithTag(unit, PORT_TAG);
}

/* --- making one ------------------------------------------------------------------------- */

static NTSTATUS
parse(const struct port_iscsi_config *config, struct iscsi_url **out_url)
{
    struct iscsi_context *iscsi = iscsi_create_context(config->initiator);
    struct iscsi_url *url =
        iscsi != NULL ? iscsi_parse_full_url(iscsi, config->url) : NULL;
    const char *wrong = NULL;

    if (strlen(config->url) > ISCSI_URL_MAX)
        wrong = "is too long";
    else if (url == NULL)
        wrong = "is no iscsi://HOST[:PORT]/TARGET/LUN";
    else if (strchr(config->url, '@') != NULL)
        wrong = "has a user in it, which belongs into chap-user and a file";
    if (iscsi != NULL)
        iscsi_destroy_context(iscsi);
    if (wrong == NULL) {
        *out_url = url;
        return STATUS_SUCCESS;
    }
    snprintf(config->out_text, config->text_max, "%s %s", config->url, wrong);
    if (url != NULL)
        iscsi_destroy_url(url);
    return STATUS_INVALID_PARAMETER;
}

static NTSTATUS
iscsi_open(void *context, void *port_unit, void **out_hba)
{
    const struct port_iscsi_config *config = context;
    struct iscsi_unit *unit;
    struct iscsi_url *url;
    NTSTATUS status = parse(config, &url);

    if (!NT_SUCCESS(status))
        return status;
    unit = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof *unit, PORT_TAG);
    if (unit == NULL) {
        iscsi_destroy_url(url);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlZeroMemory(unit, sizeof *unit);
    unit->turned = config->turned;
    unit->context = config->context;
    unit->may_be_away = config->may_be_away;
    unit->lun = url->lun;
    unit->removable = true;
    unit->attention = 1;
    /* Should there be nothing random yet, marks are others each time still. */
    (void) getrandom(&unit->mark, sizeof unit->mark, GRND_NONBLOCK);
    hba_gap_init(&unit->gap);
    InitializeListHead(&unit->held);
    InitializeListHead(&unit->sent);
    status =
        iscsi_session_get(config, url->portal, url->target, &unit->session);
    iscsi_destroy_url(url);
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(unit, PORT_TAG);
        return status;
    }
    iscsi_session_add(unit->session, unit);
    *out_hba = unit;
    return STATUS_SUCCESS;
}

static const struct hba_ops iscsi_ops = {
    .name = "iscsi",
    .max_transfer_bytes = 1024 * 1024,
    .bus_type = BusTypeiScsi,
    .submit = iscsi_submit,
    .abort = iscsi_abort,
    .reset = iscsi_reset,
    .info = iscsi_info,
    .why = iscsi_why,
    .close = iscsi_close,
};

bool
port_iscsi_is_up(const struct port_iscsi_config *config)
{
    struct iscsi_url *url;
    bool up;

    if (!NT_SUCCESS(parse(config, &url)))
        return false;
    up = iscsi_session_exists(config, url->portal, url->target);
    iscsi_destroy_url(url);
    return up;
}

NTSTATUS
port_add_iscsi(PDRIVER_OBJECT driver, const struct port_iscsi_config *config,
               const char *name, PDEVICE_OBJECT *out_pdo)
{
    /* Only read, and only while this runs. */
    return port_unit_new(driver, &iscsi_ops, iscsi_open, (void *) config, name,
                         out_pdo);
}
