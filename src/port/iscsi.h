/*
 * iscsi.h - sessions with iSCSI targets, and what travels on them
 *
 * A session is one connection to one target and one thread, shared by the
 * units (LUNs) that are used of it.  iscsi_session.c is the connection and the
 * thread, iscsi_registry.c which sessions there are, iscsi_login.c how one
 * begins, hba_iscsi.c the units and their commands, iscsi_answer.c what answers
 * mean.  Everything but what is marked belongs to whoever has the seat.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PORT_ISCSI_H
#define PORT_ISCSI_H

#include <pthread.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include "base/burst.h"
#include "base/iscsi_login.h"
#include "base/watch.h"
#include "port/port_internal.h"

struct iscsi_unit;

/* Lives in struct hba_request. */
struct iscsi_command {
    LIST_ENTRY link;            /* session->incoming (its lock), held, sent,
                                 * or session->answered */
    struct iscsi_unit *unit;
    struct hba_request *request;
    struct scsi_task *task;     /* while it is on its way */
    uint32_t attention;         /* the unit's when it was sent */
    uint32_t told;              /* ... and with its answer */
    bool alone;                 /* changes the medium: see hba_iscsi.c */
    bool abort;                 /* atomic: somebody wants it to end */
    bool ending;                /* ... and it has been told to */
    bool prevented;             /* it was sent under a PREVENT */
    bool ordered;               /* ends after those that were sent before */
    bool done;                  /* it waits for them, with this status */
    int status;
    uint64_t mark;              /* left where nothing came; 0: none */
    struct scsi_iovec iov;
};

enum iscsi_state { ISCSI_DOWN, ISCSI_CONNECTING, ISCSI_UP };

struct iscsi_session {
    /* The registry's lock. */
    struct iscsi_session *next;
    unsigned users;

    char portal[ISCSI_PORTAL_MAX], target[256], initiator[256], user[128];
    char secret_file[1024];     /* "": the secret stays as it was given */
    char secret[ISCSI_SECRET_MAX];      /* with a file: the thread's */
    pthread_t thread;
    int wake_fd;
    bool sleeping;              /* atomic: a new command has to wake it */
    unsigned pins;              /* atomic: the registry's, burst's, watchers' */
    struct burst_node burst;    /* new commands are sent at its end, ... */
    pthread_t burst_of;         /* atomic: ... by this thread; 0: not listed */
    size_t burst_bytes;         /* to send with them; that thread's */
    struct watch_source source; /* watched only while there is a connection */

    /* Taken before the lock.  The thread has it, but while it sleeps or passes
     * up; others try to get it, and do not wait, but for who removes a unit. */
    pthread_mutex_t seat;
    pthread_cond_t settled;     /* a unit's task management is over */

    pthread_mutex_t lock;       /* the next eight; a leaf */
    pthread_cond_t changed;     /* state, or a unit came or went */
    LIST_ENTRY incoming;
    LIST_ENTRY units;
    bool walking;               /* the thread goes through `units` */
    bool stop;
    bool tried;                 /* the first attempt is over */
    unsigned refused;           /* the last login, so; 0: it was not */
    enum iscsi_state state;     /* written by the thread, in its seat */
    char error[256];            /* why it is down */

    LIST_ENTRY answered;        /* commands that are over, not passed up yet */
    struct iscsi_context *iscsi;    /* NULL while down */
    unsigned refusal;           /* the status of this attempt's login */
    char onward[ISCSI_PORTAL_MAX];      /* ... sends us on to this portal, or "" */
    char via[ISCSI_PORTAL_MAX];         /* this attempt's portal */
    char moved[ISCSI_PORTAL_MAX];       /* where it is now, for good; "": it has not */
    bool home;                  /* the last attempt began there, and failed */
    unsigned hops;              /* so often this attempt was sent on, ... */
    bool for_good;              /* ... each time for good */
    bool nowhere;               /* ... and now to what is no portal */
    bool broken;                /* it has to end */
    bool ended;                 /* it has, as another than the thread found */
    bool luns_changed;          /* the target says so: all units are told */
    unsigned functions;         /* task management that is not answered; */
    uint64_t functions_ms;      /* ... by then the session is given up */
    uint32_t isid;              /* the same each time: see session_new */
    uint64_t next_ms;           /* down: the next attempt; else the deadline of
                                 * the login, or the next look for signs of life */
    bool heard;                 /* something came since the last look */
    bool silent;                /* atomic: nor when it was asked to answer; ... */
    uint64_t asked_ms;          /* ... then; 0: it is not asked */
    unsigned pause_ms;          /* between attempts */
};

struct iscsi_unit {
    LIST_ENTRY link;            /* session->units; its lock */
    struct iscsi_session *session;
    void (*turned)(void *context);
    void *context;
    bool may_be_away;
    int lun;
    uint32_t attention;         /* atomic; written by the thread */
    bool aborts;                /* atomic: look for commands to end */
    bool reset;                 /* atomic: a reset is wanted */
    uint64_t commands;          /* atomic: sent so far */
    bool prevented;             /* atomic: the drive has taken a PREVENT */
    bool locked;                /* atomic: ... and the medium is in it */
    bool gone;                  /* atomic: the target says that there is none */

    LIST_ENTRY held;            /* commands that wait for others to end */
    LIST_ENTRY sent;
    bool removable;
    struct hba_gap gap;
    bool empty;                 /* it said so, and not yet that it is ready */
    unsigned functions;         /* task management that is not answered */
    bool lonely;                /* a command that goes alone is on its way */
    uint64_t mark;              /* of the last read */
};

#define ISCSI_LOGIN_LIMIT_MS 5000

/* --- iscsi_registry.c --------------------------------------------------------- */

/* PASSIVE.  Finds or makes the session, and waits for its first login. */
NTSTATUS iscsi_session_get(const struct port_iscsi_config *config,
                           const char *portal, const char *target,
                           struct iscsi_session **out_session);
void iscsi_session_put(struct iscsi_session *session);
/* Any thread: there is one, and it is up. */
bool iscsi_session_exists(const struct port_iscsi_config *config,
                          const char *portal, const char *target);
/* Any thread. */
bool iscsi_session_is_up(struct iscsi_session *session);
/* Any thread: it is up, and the target has stopped to answer. */
bool iscsi_session_is_silent(struct iscsi_session *session);
/* Where it leads, and why it is down, or what is wrong with it. */
void iscsi_session_why(struct iscsi_session *session, char *out_text,
                       size_t text_max);
/* Any thread: it is there, and lets us not in. */
bool iscsi_session_is_refused(struct iscsi_session *session);
/* Units of the thread's rounds; PASSIVE.  One that is removed has no command on
 * its way; what was said about them is waited for. */
void iscsi_session_add(struct iscsi_session *session, struct iscsi_unit *unit);
void iscsi_session_remove(struct iscsi_session *session,
                          struct iscsi_unit *unit);
/* It was pinned by a burst or a watcher.  Any thread. */
void iscsi_session_unpin(struct iscsi_session *session);

/* --- iscsi_session.c ---------------------------------------------------------- */

/* A new one: what its bursts and watchers call; then what its thread runs. */
void iscsi_session_prepare(struct iscsi_session *session);
void *iscsi_session_run(void *session);
/* A task management function was sent; one was answered. */
void iscsi_session_expects(struct iscsi_session *session);
void iscsi_session_got(struct iscsi_session *session);
/* Any thread: the session's thread looks at what it has to do. */
void iscsi_session_wake(struct iscsi_session *session);
/* Any thread: there is something in `incoming`, with so many bytes to send. */
void iscsi_session_start(struct iscsi_session *session, size_t out_bytes);

/* --- iscsi_login.c: called in the session's seat ---------------------------------- */

/* Chooses the portal (`via`) of an attempt, and reads the secret again if the
 * last one was refused for it. */
void iscsi_login_begin(struct iscsi_session *session);
/* It was let in; it was not, with this status. */
void iscsi_login_good(struct iscsi_session *session);
void iscsi_login_refused(struct iscsi_session *session, unsigned status);
/* TRUE: it goes on at another portal, which is `via` now. */
bool iscsi_login_follow(struct iscsi_session *session);
/* Why it failed, at `what`, with libiscsi's text or "". */
void iscsi_login_why(const struct iscsi_session *session, const char *what,
                     const char *text, char *out, size_t max);

/* --- iscsi_answer.c: called in the session's seat -------------------------------- */

static inline struct iscsi_command *
iscsi_command_at(PLIST_ENTRY entry)
{
    return CONTAINING_RECORD(entry, struct iscsi_command, link);
}

static inline uint32_t
iscsi_attention(const struct iscsi_unit *unit)
{
    return __atomic_load_n(&unit->attention, __ATOMIC_ACQUIRE);
}

/* The medium may be another one from here on, and nothing keeps it in. */
uint32_t iscsi_could_have_changed(struct iscsi_unit *unit);
/* It ends with this, without an answer. */
void iscsi_end_with(struct iscsi_command *command, uint8_t srb_status);
/* ... as if it had not been carried out: its medium has to be looked at. */
void iscsi_end_stale(struct iscsi_command *command);
/* As soon as an answer comes: what it tells of the medium; the number then. */
uint32_t iscsi_hear(struct iscsi_command *command, int status);
/* When it is its turn: the command ends with it. */
void iscsi_answer(struct iscsi_command *command, int status,
                  const struct scsi_task *task);
/* Completes commands that were answered.  The thread, outside its seat. */
void iscsi_pass_up(PLIST_ENTRY answered);

/* --- iscsi_mark.c: called in the session's seat ---------------------------------- */

/* Before it is sent: its buffer, if it reads blocks. */
void iscsi_mark(struct iscsi_command *command);
/* Of so many bytes, which its target says it sent, some did not come. */
bool iscsi_mark_is_left(const struct iscsi_command *command, uint32_t came);

/* --- hba_iscsi.c: called in the session's seat ---------------------------------- */

/* A command that was taken from `incoming`. */
void iscsi_unit_start(struct iscsi_command *command);
/* Aborts and resets that are wanted. */
void iscsi_unit_look(struct iscsi_unit *unit);
/* Other units are there than were, perhaps. */
void iscsi_unit_turned(struct iscsi_unit *unit);
/* There is a session again. */
void iscsi_unit_up(struct iscsi_unit *unit);
/* The connection is gone, or going: what is on its way will be cancelled. */
void iscsi_unit_lost(struct iscsi_unit *unit);
/* It is gone: what libiscsi did not cancel, it has lost. */
void iscsi_unit_over(struct iscsi_unit *unit);

#endif
