/*
 * sg.h - units of Linux's SCSI generic driver, and what travels to them
 *
 * A unit is one device that this process has open, and one thread, which waits
 * for commands, for their answers and for what the kernel tells of devices
 * (uevents).  hba_sg.c is the commands, sg_device.c the thread and the device's
 * coming and going, sg_wait.c what tells that one in use is free again,
 * sg_answer.c what a command's end means.
 * Everything but what is marked belongs to the thread.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PORT_SG_H
#define PORT_SG_H

#include <poll.h>
#include <pthread.h>
#include <scsi/sg.h>

#include "port/port_internal.h"

#define SG_SENSE_MAX  96
#define SG_RECORD_MAX (1024u * 1024) /* of a tape, as over iSCSI */

struct sg_unit;

/* Lives in struct hba_request. */
struct sg_command {
    LIST_ENTRY link;            /* unit->incoming (its lock), or held/sent */
    struct hba_request *request;
    uint32_t attention;         /* the unit's when it was sent */
    bool abort;                 /* atomic: somebody wants it to end */
    uint8_t sense[SG_SENSE_MAX];
};

#define SG_WAIT_FDS 4

/* All are -1 while there is nothing to wait for. */
struct sg_wait {
    int mounts_fd;              /* the kernel's mounts, as we see them, */
    int swaps_fd;               /* what it swaps to, */
    int others_fd;              /* and the mounts of who has it mounted */
    char others[64];            /* ... by this path */
    int nodes_fd;               /* inotify: its nodes */
};

struct sg_unit {
    struct port_sg_config config;   /* without its text */
    pthread_t thread;
    int wake_fd;
    int uevent_fd;
    bool sleeping;              /* atomic: a new command has to wake it */

    pthread_mutex_t lock;       /* the next three; a leaf */
    LIST_ENTRY incoming;
    bool stop;
    char why[256];              /* it is away */

    uint32_t attention;         /* atomic; written by the thread */
    uint64_t commands;          /* atomic: sent so far */
    bool locked;                /* atomic: PREVENT is in force */
    bool aborts;                /* atomic: look for commands to end */
    bool reset;                 /* atomic: a reset is wanted */
    bool leave;                 /* atomic: it is to be left alone */
    uint32_t max_transfer_bytes;

    struct port_sg_device device;   /* fd < 0: it is away */
    bool away;                  /* atomic: the same, for others */
    bool taken;                 /* somebody else has it, by `why`: given up when
                                 * what is on its way has ended */
    struct sg_wait wait;        /* ... and in use */
    uint64_t again_ms;          /* away: when it is looked for again, or 0 */
    unsigned pause_ms;          /* ... and how long after that */
    uint64_t diskseq;           /* of the block device, when last looked */
    uint64_t sent_by_all;       /* iorequest_cnt, when last looked */
    uint64_t sent_by_us;        /* since then */
    bool removable;             /* by its INQUIRY data */
    struct hba_gap gap;
    LIST_ENTRY held;            /* commands that wait for others to end */
    LIST_ENTRY sent;
    unsigned sent_count;
};

/* --- sg_answer.c: pure ---------------------------------------------------------- */

/* What the kernel says of a command that ended; sense is borrowed from it. */
void sg_answer_of(const struct sg_io_hdr *hdr, struct hba_answer *out_answer);
/* Can something have happened to the medium that no sense data will tell? */
bool sg_answer_doubtful(const struct sg_io_hdr *hdr);

/* What a uevent is about. */
enum sg_uevent {
    SG_UEVENT_NOTHING,          /* of another device */
    SG_UEVENT_ARRIVAL,          /* some SCSI device came, or a driver, device
                                 * mapper or md let go of one: is it ours? */
    SG_UEVENT_GONE,             /* ours is gone */
    SG_UEVENT_MEDIA,            /* the kernel saw a change of ours */
    SG_UEVENT_DRIVER,           /* a driver of the kernel took ours */
};
/* Has udev, which makes names in /dev and lets users have nodes, settled
 * something of a SCSI device?  A message as it sends it. */
bool sg_udev_settled(const char *message, size_t len);
/* A message as the kernel sends it; devpath: of our device, or "". */
enum sg_uevent sg_uevent_of(const char *message, size_t len,
                            const char *devpath);

/* --- sg_wait.c -------------------------------------------------------------------- */

void sg_wait_init(struct sg_wait *wait);
/* After an attempt that failed; also again. */
void sg_wait_begin(struct sg_wait *wait, const struct port_sg_device *seen);
void sg_wait_end(struct sg_wait *wait);
/* SG_WAIT_FDS of them, to be waited for. */
void sg_wait_fds(const struct sg_wait *wait, struct pollfd *out_fds);
/* ... which they were: is there a reason to try again?  Until the next begin
 * what has told does not tell again. */
bool sg_wait_told(struct sg_wait *wait, const struct pollfd *fds);

/* --- sg_device.c ------------------------------------------------------------------ */

/* PASSIVE.  Opens the device and starts the thread. */
NTSTATUS sg_device_start(struct sg_unit *unit, char *out_text,
                         size_t text_max);
void sg_device_stop(struct sg_unit *unit);
/* Any thread: the unit's thread looks at what it has to do. */
void sg_device_wake(struct sg_unit *unit);
/* It went away: closed, and looked for when devices come. */
void sg_device_lost(struct sg_unit *unit);
/* Somebody else has it: nothing may be on its way. */
void sg_device_yield(struct sg_unit *unit);
/* The same, but it is there: what it does it goes on doing.  At the end only. */
void sg_device_leave(struct sg_unit *unit);
/* Has the kernel noted a change since?  Counts it. */
void sg_device_look(struct sg_unit *unit);

/* --- hba_sg.c: called by the unit's thread ------------------------------------------ */

/* Another medium may be in it from here on, and nothing keeps it in. */
uint32_t sg_could_have_changed(struct sg_unit *unit);
/* A command that was taken from `incoming`. */
void sg_unit_start(struct sg_unit *unit, struct sg_command *command);
/* Aborts and resets that are wanted. */
void sg_unit_look(struct sg_unit *unit);
/* Takes the answers that are there; false: the device is gone. */
bool sg_unit_answers(struct sg_unit *unit);
/* Sends what may go, or ends it where it cannot. */
void sg_unit_send(struct sg_unit *unit);
/* The device is closed: what was on its way has ended, nobody knows how. */
void sg_unit_end_sent(struct sg_unit *unit);

#endif
