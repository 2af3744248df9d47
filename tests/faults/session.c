/*
 * session.c - iSCSI sessions without a network
 *
 * Linked in front of libiscsi (meson.build), so that the host adapter and its
 * sessions (src/port) run as they are.  Data move at once when a command is
 * sent, and when it is answered: whatever happens to the initiator's memory in
 * between.  What becomes of a command is target.c's.
 *
 * Whoever holds the baton (baton.h) owns all data here; callbacks of a session
 * run on its own thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "baton.h"
#include "target_internal.h"
#include "world.h"

#define FIRST_FD 100000 /* of sessions; no file has such a number */
#define LINKS    64

static struct link links[LINKS];

/* --- answers on their way to the initiator ------------------------------------------- */

/* What is not an answer at all ends the session. */
static int
status_of(const struct order *order)
{
    switch (order->command.result) {
    case VSCSI_DONE:
        return order->command.status;
    case VSCSI_OVERRUN:
        return SCSI_STATUS_GOOD;
    case VSCSI_STALE:
    case VSCSI_ABORTED:
    case VSCSI_BUS_RESET:
        return SCSI_STATUS_TASK_ABORTED;
    default:
        return -1;
    }
}

/* A length, then the sense; either may be wrong. */
static void
put_sense(const struct order *order, struct scsi_task *task)
{
    size_t len = order->command.sense_len, says = len;

    if (order->lies_sense) {
        says = chance(3) == 0 ? 0xFFFF : chance(len + 1);
        len = chance(len + 1);
    }
    task->datain.size = (int) (len + 2);
    task->datain.data = malloc(len + 2);
    task->datain.data[0] = (unsigned char) (says >> 8);
    task->datain.data[1] = (unsigned char) says;
    memcpy(task->datain.data + 2, order->command.sense, len);
}

static void
put_residual(const struct order *order, struct scsi_task *task)
{
    uint32_t left = order->command.data_len - order->command.transferred;

    if (left != 0) {
        task->residual_status = SCSI_RESIDUAL_UNDERFLOW;
        task->residual = left;
    }
    if (order->command.result == VSCSI_OVERRUN) {
        task->residual_status = SCSI_RESIDUAL_OVERFLOW;
        task->residual = 512;
    }
    if (!order->lies_residual)
        return;
    task->residual_status = SCSI_RESIDUAL_UNDERFLOW;
    task->residual = chance(2) == 0 ? 0xFFFFFF00u : left + 1 + chance(4096);
}

/* Less than it says: the rest, or a piece of it, is not sent. */
static void
put_some(const struct order *order, uint8_t *to)
{
    uint32_t len = order->command.transferred;
    uint32_t piece = 4096 * (uint32_t) chance(len / 4096 + 1);
    uint32_t end = piece + 4096;

    if (chance(4) != 0 || end > len) {
        memcpy(to, order->data, BLOCK * (uint32_t) chance(len / BLOCK));
        return;
    }
    memcpy(to, order->data, piece);
    memcpy(to + end, order->data + end, len - end);
}

static void
put_data(const struct order *order, struct scsi_task *task)
{
    uint8_t *to;

    if (order->command.dir != VSCSI_FROM_DRIVE || task->iovector_in.niov != 1)
        return;
    to = task->iovector_in.iov[0].iov_base;
    if (order->hides_short && order->command.transferred >= BLOCK)
        put_some(order, to);
    else
        memcpy(to, order->data, order->command.transferred);
}

static void
deliver_command(struct link *link, struct order *order)
{
    struct scsi_task *task = order->task;
    iscsi_command_cb done = order->done;
    void *context = order->context;
    int status = status_of(order);

    if (status < 0) {
        event("session of drive %d: lost, %d", order->d, order->command.result);
        link->dead = true;
        return;
    }
    if (status == SCSI_STATUS_CHECK_CONDITION)
        put_sense(order, task);
    put_residual(order, task);
    target_told(order, status);
    task->status = status;
    put_data(order, task);
    order_free(order);
    done((struct iscsi_context *) link, status, task, context);
}

static void
deliver(struct link *link, struct order *order)
{
    iscsi_command_cb done = order->done;
    void *context = order->context;
    uint32_t response = order->response;
    int status = order->good ? SCSI_STATUS_GOOD : SCSI_STATUS_ERROR;

    if (order->kind == COMMAND) {
        deliver_command(link, order);
        return;
    }
    if (order->kind == NOP)
        link->nops = 0;
    if (order->kind == LOGIN && !order->good)
        snprintf(link->error, sizeof link->error,
                 "Failed to log in to target. Status: a fault(%u)", response);
    order_free(order);
    if (done != NULL)
        done((struct iscsi_context *) link, status, &response, context);
}

static bool
is_answer(const struct order *order, const void *link)
{
    return order->link == link && order->state == ANSWERED;
}

/* Answers overtake each other, but for one that may tell of a change: that is
 * given before anything else is begun. */
struct turn {
    const struct link *link;
    uint64_t before;
};

static bool
is_its_turn(const struct order *order, const void *what)
{
    const struct turn *turn = what;

    return is_answer(order, turn->link) && order->kind == COMMAND &&
           order->finished <= turn->before;
}

static struct order *
next_answer(const struct link *link)
{
    struct turn turn = { link, UINT64_MAX };
    struct order *order;

    for (order = orders; order != NULL; order = order->next)
        if (is_answer(order, link) && order_is_check(order) &&
            order->finished < turn.before)
            turn.before = order->finished;
    order = order_any(is_its_turn, &turn);
    return order != NULL ? order : order_any(is_answer, link);
}

/* --- libiscsi, as far as it is used ------------------------------------------------------ */

static struct link *
link_of(struct iscsi_context *iscsi)
{
    return (struct link *) iscsi;
}

struct iscsi_context *__wrap_iscsi_create_context(const char *);
struct iscsi_context *
__wrap_iscsi_create_context(const char *name)
{
    (void) name;
    for (int i = 0; i < LINKS; i++)
        if (!links[i].used) {
            links[i] = (struct link){ .used = true, .error = "a fault" };
            return (struct iscsi_context *) &links[i];
        }
    return NULL;
}

/* Of what the session leaves behind the target knows still. */
static void
leave(struct order *order)
{
    iscsi_command_cb done = order->done;
    void *context = order->context;
    struct link *link = order->link;
    struct scsi_task *task = order->task;
    bool goes_on = order->state == AT_WORK ||
                   (order->state == SENT && order->kind == COMMAND);

    order->link = NULL;
    if (goes_on && order->kind == COMMAND &&
        order->command.dir == VSCSI_TO_DRIVE)
        model_left(order->data, order->command.data_len, false);
    if (!goes_on)
        order_free(order);
    if (done != NULL)
        done((struct iscsi_context *) link, SCSI_STATUS_CANCELLED, task,
             context);
}

static bool
is_of(const struct order *order, const void *link)
{
    return order->link == link;
}

int __wrap_iscsi_destroy_context(struct iscsi_context *);
int
__wrap_iscsi_destroy_context(struct iscsi_context *iscsi)
{
    struct order *order;

    while ((order = order_any(is_of, iscsi)) != NULL)
        leave(order);
    target_lost(link_of(iscsi)->d);
    link_of(iscsi)->used = false;
    return 0;
}

/* iscsi://faults/N/0 */
struct iscsi_url *__wrap_iscsi_parse_full_url(struct iscsi_context *,
                                              const char *);
struct iscsi_url *
__wrap_iscsi_parse_full_url(struct iscsi_context *iscsi, const char *text)
{
    struct iscsi_url *url = calloc(1, sizeof *url);

    (void) iscsi;
    snprintf(url->portal, sizeof url->portal, "faults");
    url->target[0] = text[strlen(text) - 3];
    return url;
}

void __wrap_iscsi_destroy_url(struct iscsi_url *);
void
__wrap_iscsi_destroy_url(struct iscsi_url *url)
{
    free(url);
}

int __wrap_iscsi_set_targetname(struct iscsi_context *, const char *);
int
__wrap_iscsi_set_targetname(struct iscsi_context *iscsi, const char *name)
{
    link_of(iscsi)->d = name[0] - '0';
    return 0;
}

void __wrap_iscsi_set_isid_random(struct iscsi_context *, uint32_t, uint32_t);
void
__wrap_iscsi_set_isid_random(struct iscsi_context *iscsi, uint32_t number,
                             uint32_t qualifier)
{
    (void) iscsi;
    (void) number;
    (void) qualifier;
}

void __wrap_iscsi_set_noautoreconnect(struct iscsi_context *, int);
void
__wrap_iscsi_set_noautoreconnect(struct iscsi_context *iscsi, int yes)
{
    (void) iscsi;
    (void) yes;
}

int __wrap_iscsi_set_session_type(struct iscsi_context *,
                                  enum iscsi_session_type);
int
__wrap_iscsi_set_session_type(struct iscsi_context *iscsi,
                              enum iscsi_session_type type)
{
    (void) iscsi;
    (void) type;
    return 0;
}

int __wrap_iscsi_set_header_digest(struct iscsi_context *,
                                   enum iscsi_header_digest);
int
__wrap_iscsi_set_header_digest(struct iscsi_context *iscsi,
                               enum iscsi_header_digest digest)
{
    (void) iscsi;
    (void) digest;
    return 0;
}

int __wrap_iscsi_set_timeout(struct iscsi_context *, int);
int
__wrap_iscsi_set_timeout(struct iscsi_context *iscsi, int seconds)
{
    (void) iscsi;
    (void) seconds;
    return 0;
}

const char *__wrap_iscsi_get_error(struct iscsi_context *);
const char *
__wrap_iscsi_get_error(struct iscsi_context *iscsi)
{
    return link_of(iscsi)->error;
}

int __wrap_iscsi_get_fd(struct iscsi_context *);
int
__wrap_iscsi_get_fd(struct iscsi_context *iscsi)
{
    return FIRST_FD + (int) (link_of(iscsi) - links);
}

int __wrap_iscsi_which_events(struct iscsi_context *);
int
__wrap_iscsi_which_events(struct iscsi_context *iscsi)
{
    (void) iscsi;
    return POLLIN;
}

int __wrap_iscsi_get_nops_in_flight(struct iscsi_context *);
int
__wrap_iscsi_get_nops_in_flight(struct iscsi_context *iscsi)
{
    return (int) link_of(iscsi)->nops;
}

int __wrap_iscsi_out_queue_length(struct iscsi_context *);
int
__wrap_iscsi_out_queue_length(struct iscsi_context *iscsi)
{
    return link_of(iscsi)->queued;
}

int __wrap_iscsi_connect_async(struct iscsi_context *, const char *,
                               iscsi_command_cb, void *);
int
__wrap_iscsi_connect_async(struct iscsi_context *iscsi, const char *portal,
                           iscsi_command_cb done, void *context)
{
    struct link *link = link_of(iscsi);

    (void) portal;
    link->connecting = true;
    link->connected = done;
    link->context = context;
    return 0;
}

/* What is no command. */
static struct order *
send_between(struct link *link, enum order_kind kind, iscsi_command_cb done,
             void *context)
{
    struct order *order = order_new(link, kind, done, context);

    if (inject_now())
        target_go_wrong_between(order);
    target_wake();
    return order;
}

int __wrap_iscsi_login_async(struct iscsi_context *, iscsi_command_cb, void *);
int
__wrap_iscsi_login_async(struct iscsi_context *iscsi, iscsi_command_cb done,
                         void *context)
{
    send_between(link_of(iscsi), LOGIN, done, context);
    return 0;
}

int __wrap_iscsi_logout_sync(struct iscsi_context *);
int
__wrap_iscsi_logout_sync(struct iscsi_context *iscsi)
{
    (void) iscsi;
    return 0;
}

int __wrap_iscsi_nop_out_async(struct iscsi_context *, iscsi_command_cb,
                               unsigned char *, int, void *);
int
__wrap_iscsi_nop_out_async(struct iscsi_context *iscsi, iscsi_command_cb done,
                           unsigned char *data, int len, void *context)
{
    struct link *link = link_of(iscsi);

    (void) data;
    (void) len;
    link->nops++;
    send_between(link, NOP, done, context);
    return 0;
}

int __wrap_iscsi_scsi_command_async(struct iscsi_context *, int,
                                    struct scsi_task *, iscsi_command_cb,
                                    struct iscsi_data *, void *);
int
__wrap_iscsi_scsi_command_async(struct iscsi_context *iscsi, int lun,
                                struct scsi_task *task, iscsi_command_cb done,
                                struct iscsi_data *data, void *context)
{
    static const enum vscsi_dir ways[] = {
        [SCSI_XFER_NONE] = VSCSI_NO_DATA,
        [SCSI_XFER_READ] = VSCSI_FROM_DRIVE,
        [SCSI_XFER_WRITE] = VSCSI_TO_DRIVE,
    };
    struct link *link = link_of(iscsi);
    struct order *order = order_new(link, COMMAND, done, context);
    struct vscsi_command *command = &order->command;

    (void) lun;
    (void) data;
    order->task = task;
    order->locked = target_believed_locked(link->d);
    memcpy(command->cdb, task->cdb, sizeof command->cdb);
    command->cdb_len = (uint8_t) task->cdb_size;
    command->dir = ways[task->xfer_dir];
    command->data_len = (uint32_t) task->expxferlen;
    order->data = calloc(1, command->data_len + 1);
    command->data = order->data;
    if (command->dir == VSCSI_TO_DRIVE)
        memcpy(order->data, task->iovector_out.iov[0].iov_base,
               command->data_len);
    link->queued = true;
    if (inject_now())
        target_go_wrong(order);
    target_wake();
    return 0;
}

int __wrap_iscsi_task_mgmt_abort_task_async(struct iscsi_context *,
                                            struct scsi_task *,
                                            iscsi_command_cb, void *);
int
__wrap_iscsi_task_mgmt_abort_task_async(struct iscsi_context *iscsi,
                                        struct scsi_task *task,
                                        iscsi_command_cb done, void *context)
{
    struct link *link = link_of(iscsi);
    struct order *other = order_of(link, task);
    struct order *order = send_between(link, ABORT_TASK, done, context);

    order->which = other != NULL ? other->number : 0;
    return 0;
}

int __wrap_iscsi_task_mgmt_async(struct iscsi_context *, int,
                                 enum iscsi_task_mgmt_funcs, uint32_t, uint32_t,
                                 iscsi_command_cb, void *);
int
__wrap_iscsi_task_mgmt_async(struct iscsi_context *iscsi, int lun,
                             enum iscsi_task_mgmt_funcs what, uint32_t tag,
                             uint32_t number, iscsi_command_cb done,
                             void *context)
{
    (void) lun;
    (void) what;
    (void) tag;
    (void) number;
    send_between(link_of(iscsi), RESET, done, context);
    return 0;
}

int __wrap_iscsi_scsi_cancel_task(struct iscsi_context *, struct scsi_task *);
int
__wrap_iscsi_scsi_cancel_task(struct iscsi_context *iscsi,
                              struct scsi_task *task)
{
    struct order *order = order_of(link_of(iscsi), task);

    if (order == NULL)
        return -1;
    leave(order);
    return 0;
}

int __wrap_iscsi_service(struct iscsi_context *, int);
int
__wrap_iscsi_service(struct iscsi_context *iscsi, int events)
{
    struct link *link = link_of(iscsi);
    struct order *order;
    bool found;

    if (events == POLLOUT) {
        link->queued = false;
        return link->dead ? -1 : 0;
    }
    if (link->connecting) {
        link->connecting = false;
        found = !inject_now();
        if (!found)
            fault_note("drive %d: its portal cannot be reached", link->d);
        link->connected(iscsi, found ? SCSI_STATUS_GOOD : SCSI_STATUS_ERROR,
                        NULL, link->context);
    }
    while (!link->dead && (order = next_answer(link)) != NULL) {
        deliver(link, order);
        if (chance(4) == 0)
            break;
    }
    return link->dead ? -1 : 0;
}

/* --- waiting for sessions ------------------------------------------------------------------ */

int __real_poll(struct pollfd *, nfds_t, int);
int __wrap_poll(struct pollfd *, nfds_t, int);

static bool
look_at(struct pollfd *fd)
{
    const struct link *link;

    fd->revents = 0;
    if (fd->fd < FIRST_FD)
        return fd->fd >= 0 && __real_poll(fd, 1, 0) > 0;
    link = &links[fd->fd - FIRST_FD];
    if (link->dead || link->connecting || next_answer(link) != NULL)
        fd->revents = POLLIN;
    return fd->revents != 0;
}

int
__wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    uint64_t limit =
        baton_now_ms() + (timeout_ms < 0 ? 1000000u : (uint64_t) timeout_ms);
    int found = 0;

    for (;;) {
        for (nfds_t i = 0; i < n; i++)
            found += look_at(&fds[i]);
        if (found != 0 || baton_now_ms() >= limit)
            return found;
        target_wait(limit - baton_now_ms());
    }
}

/* A session's thread may wait for it. */
ssize_t __real_write(int, const void *, size_t);
ssize_t __wrap_write(int, const void *, size_t);
ssize_t
__wrap_write(int fd, const void *data, size_t len)
{
    ssize_t done = __real_write(fd, data, len);
    int error = errno;

    if (target_runs() && fd > STDERR_FILENO)
        target_wake();
    errno = error;
    return done;
}
