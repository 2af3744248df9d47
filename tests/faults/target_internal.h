/*
 * target_internal.h - between the target and its sessions: what is to be done
 *
 * Whoever holds the baton (baton.h) owns all of it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTS_TARGET_INTERNAL_H
#define FAULTS_TARGET_INTERNAL_H

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <stdbool.h>
#include <stdint.h>
#include <vscsi.h>

enum order_kind { COMMAND, LOGIN, NOP, ABORT_TASK, RESET };
enum order_state { SENT, AT_WORK, ANSWERED, FORGOTTEN };

/* A session, as libiscsi has it. */
struct link {
    bool used, dead, connecting, queued;
    int d; /* of the drive: each is a target of its own */
    unsigned nops;
    iscsi_command_cb connected;
    void *context;
    char error[80]; /* what libiscsi says of it */
};

/* Something that the target is to do. */
struct order {
    struct order *next;
    enum order_kind kind;
    enum order_state state;
    struct link *link; /* NULL: its session is no more */
    int d;
    uint64_t not_before_ms;
    iscsi_command_cb done;
    void *context;
    uint64_t number, which; /* ABORT_TASK: the number of the other one */
    uint64_t finished;      /* in the order of the work */
    struct scsi_task *task;
    struct vscsi_command command;
    uint8_t *data;
    uint32_t response; /* of task management; why a login is refused */
    bool good, loses_session, loses_answer, lies_residual, lies_sense,
        hides_short;
    bool locked; /* it was sent when its medium was believed to be kept in */
};

/* --- orders.c --------------------------------------------------------------- */

/* The youngest first. */
extern struct order *orders;
/* Numbers orders, and the ends of the work on them. */
uint64_t order_number(void);
struct order *order_new(struct link *link, enum order_kind kind,
                        iscsi_command_cb done, void *context);
void order_free(struct order *order);
struct order *order_numbered(uint64_t number);
struct order *order_of(const struct link *link, const struct scsi_task *task);
/* One of those that the choice is of, or NULL. */
struct order *order_any(bool (*fits)(const struct order *, const void *),
                        const void *what);
bool order_is_check(const struct order *order);
/* Of blocks. */
bool order_is_read(const struct order *order);

bool order_is_write(const struct order *order);

/* --- target.c --------------------------------------------------------------- */

bool target_runs(void);
/* There is something to do, or to take; until then, or so long. */
void target_wake(void);
void target_wait(uint64_t ms);
/* The initiator has an answer, with this status; or it has lost the session. */
void target_told(const struct order *order, int status);
void target_lost(int d);
bool target_believed_locked(int d);
/* Something that a network, or a target, does wrong with it. */
void target_go_wrong(struct order *order);
/* ... and with a login, a sign of life, or task management. */
void target_go_wrong_between(struct order *order);

#endif
