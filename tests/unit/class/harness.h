/*
 * harness.h - a disk or CD driver over an emulated drive, with a spy between
 *
 * The spy is a filter device between class and port: it counts commands, keeps
 * the last CDBs, and answers in the drive's place when told to.  Mounted is
 * what the test says it is: no file system is loaded.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLASS_HARNESS_H
#define CLASS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <ntifs.h>

#include <classpnp.h>
#include <ioevent.h>
#include <ntdddisk.h>
#include <ntddstor.h>
#include <scsi.h>
#include <srb.h>
#include <vscsi.h>

#include "base/clock.h"
#include "io/io.h"
#include "ke/ke.h"
#include "port/port.h"

#include "../eventually.h"
#include "../rest.h"

#define IMAGE_BYTES (8u << 20)
#define BLOCK 512u

/* Answers with sense data, and with an SRB status alone. */
#define SENSE_ANSWER(op, n, key, asc, ascq)                                   \
    &(struct answer)                                                          \
    {                                                                         \
        .opcode = op, .times = n,                                             \
        .srb_status = SRB_STATUS_ERROR | SRB_STATUS_AUTOSENSE_VALID,          \
        .scsi_status = SCSISTAT_CHECK_CONDITION,                              \
        .sense = SENSE_OF(key, asc, ascq), .sense_len = 18,                   \
    }
#define SRB_ANSWER(op, n, status)                                             \
    &(struct answer)                                                          \
    {                                                                         \
        .opcode = op, .times = n, .srb_status = status                        \
    }

#define SENSE_OF(key, asc, ascq)                                              \
    { 0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, asc, ascq }

/* An answer in the drive's place, `times` times. */
struct answer {
    int opcode;                 /* -1: any */
    unsigned times;
    UCHAR srb_status, scsi_status;
    ULONG internal;
    UCHAR sense[18];
    UCHAR sense_len;
    ULONG transferred;          /* 0: what was asked for */
    int pend;                   /* keep the IRP until spy_release */
    UCHAR data[32];             /* with success */
    UCHAR data_len;
};

#define LOG_MAX 256

/* The last poll. */
struct poll_seen {
    unsigned gesn;              /* so many were GET EVENT STATUS NOTIFICATION */
    UCHAR cdb[16];
    ULONG flags, timeout;
    UCHAR stack_flags;
    bool threaded;
};

struct spy {
    PDEVICE_OBJECT device, lower;
    KSPIN_LOCK lock;
    struct answer script[8];
    unsigned answers;
    UCHAR cdb[LOG_MAX][16];
    ULONG flags[LOG_MAX];       /* SrbFlags */
    ULONG stamp[LOG_MAX];
    UCHAR stack_flags[LOG_MAX];
    bool threaded[LOG_MAX];
    UCHAR srb_status[LOG_MAX];  /* as they arrived */
    UCHAR scsi_status[LOG_MAX];
    ULONG length[LOG_MAX];
    ULONG timeout[LOG_MAX];
    unsigned released[LOG_MAX]; /* releases before it */
    unsigned commands;          /* EXECUTE_SCSI, without polls */
    unsigned polls;
    struct poll_seen poll;
    unsigned releases;          /* RELEASE_QUEUE */
    unsigned locks, unlocks;    /* LOCK_QUEUE, UNLOCK_QUEUE */
    PIRP held;
};

struct rig {
    struct vscsi_drive *drive;
    char image[2][128];
    PDEVICE_OBJECT pdo, fdo;
    PDEVICE_OBJECT top;         /* requests go here; NULL: to fdo */
    struct spy spy;
    char name[32];
    bool fixed;                 /* its medium is said not to be removable */
    bool remote;                /* it is said to be a target's */
    ULONG adapter_most;         /* what its adapter says it takes; 0: that */
};

struct outcome {
    NTSTATUS returned;          /* by the dispatch routine */
    NTSTATUS status;
    ULONG_PTR information;
    PDEVICE_OBJECT slot;        /* of the IRP's thread, as its completion saw */
    unsigned completions;
    bool marked;                /* PendingReturned, as its completion saw */
    KEVENT done;
    PIRP irp;
    PMDL mdl;
};

/* How a request is made. */
struct ask {
    bool no_thread;
    bool user_mode;
    UCHAR flags;                /* of the stack location */
    ULONG key;
    PFILE_OBJECT file;
};

/* Group setup and teardown. */
int harness_begin(void **state);
int harness_end(void **state);

int rig_new(void **state, const struct vscsi_config *config, bool medium);
int rig_disk(void **state);             /* with a medium */
int rig_empty(void **state);
int rig_cdrom(void **state);
int rig_cached(void **state);
int rig_free(void **state);
bool rig_try_disk(void **state);

/* Lets polls that are asked for or under way end, and what they tell. */
void rig_calm(struct rig *rig);
/* ... then counts from 0. */
void rig_settle(struct rig *rig);
void rig_mount(struct rig *rig, bool mounted);
bool rig_verify_set(struct rig *rig);
void rig_clear_verify(struct rig *rig);
ULONG rig_state(struct rig *rig);       /* MEDIA_CHANGE_DETECTION_STATE */
/* A request waits for its retry; time may be moved now. */
bool rig_rests(struct rig *rig);
ULONG rig_count(struct rig *rig);       /* the media change count */
void rig_swap(struct rig *rig, int image);
void rig_rule(struct rig *rig, const char *rule);

/* Set before a rig is made: its port has no events; the drive is fixed. */
extern bool spy_refuses_events;
extern bool spy_says_fixed, spy_says_remote;
/* Set before a rig is made: its driver.  NULL: disk or cdrom. */
extern PDRIVER_OBJECT rig_driver;

void spy_answer(struct rig *rig, const struct answer *answer);
void spy_reset(struct rig *rig);
/* The held request: passes it down, or fails it. */
void spy_release(struct rig *rig);
unsigned spy_commands(struct rig *rig);
/* Number of commands with the opcode since the reset. */
unsigned spy_count(struct rig *rig, UCHAR opcode);
struct poll_seen spy_poll(struct rig *rig);
/* Waits for it; fails the test after 5 s. */
void spy_wait(struct rig *rig, UCHAR opcode, unsigned count);

/* Sends; out->done is set when it has completed. */
void start_transfer(struct rig *rig, UCHAR major, ULONGLONG offset,
                    void *data, ULONG length, const struct ask *ask,
                    struct outcome *out);
void start_control(struct rig *rig, ULONG code, void *buffer, ULONG in,
                   ULONG room, const struct ask *ask, struct outcome *out);
void start_flush(struct rig *rig, const struct ask *ask, struct outcome *out);
void finish(struct outcome *out);       /* waits and frees */
bool is_done(struct outcome *out);

/* Both, for requests that complete at once or soon. */
struct outcome transfer(struct rig *rig, UCHAR major, ULONGLONG offset,
                        void *data, ULONG length, const struct ask *ask);
struct outcome control(struct rig *rig, ULONG code, void *buffer, ULONG in,
                       ULONG room, const struct ask *ask);
struct outcome flush(struct rig *rig, const struct ask *ask);

/* A request of any major function; fill the stack location, then send. */
PIO_STACK_LOCATION begin_request(struct rig *rig, UCHAR major,
                                 const struct ask *ask, struct outcome *out);
void send_request(struct rig *rig, struct outcome *out);

/* Reads one block, so that the capacity is known; resets the spy. */
void know_capacity(struct rig *rig);
/* The log entries since the last call, oldest first; how many. */
size_t new_log(struct io_error_log_entry *list, size_t max);

PDEVICE_OBJECT slot_of(void);
void clear_slot(void);

/* What a drive's device tells who has registered for it; the first NOTES. */
#define NOTES 64

struct listener {
    PFILE_OBJECT file;
    PVOID entry;
    KSPIN_LOCK lock;
    unsigned count;
    GUID guid[NOTES];
    CLASS_MEDIA_CHANGE_CONTEXT media[NOTES];
};

void listen_to(struct rig *rig, struct listener *listener);
void stop_listening(struct listener *listener);
unsigned heard(struct listener *listener);
unsigned heard_of(struct listener *listener, const GUID *guid);

#define TEST(test, setup)                                                     \
    cmocka_unit_test_setup_teardown(test, setup, rig_free)

#endif
