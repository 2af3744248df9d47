/*
 * tapefuse_internal.h - what the files of the tape files share
 *
 * Worker threads take turns at reading requests from the kernel, and each runs
 * what it has read (pool.c).  A request is read into a slot of the window that is shared
 * with the service, so that a record has not to be copied on its way.
 *
 * A drive has one session and does one call at a time; `busy` is that turn, and
 * no lock is held during it.  Lock order: a request's own lock (libfuse takes
 * it around the interrupt routines), then tf_drive.lock.  `turn` is taken alone,
 * and so is `growth`.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TAPEFUSE_INTERNAL_H
#define TAPEFUSE_INTERNAL_H

#define FUSE_USE_VERSION 35

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tapelink/tape_link.h"

#include "tapefuse/tapefuse.h"

#define QUEUE_MAX   3   /* of struct tapefuse, at most */
#define WORKERS_MAX 62  /* each has a slot, and a window 64 MiB */

struct tf_call;

struct tf_drive {
    struct tapefuse *fuse;
    char name[RI_NAME_MAX];
    unsigned number;            /* of st0, st1, ... */

    pthread_mutex_t lock;
    pthread_cond_t changed;     /* busy, open, releases */
    bool open;                  /* somebody has it, or is opening it */
    bool busy;                  /* one call is under way */
    unsigned queued;            /* calls that wait for that to end */
    unsigned releases;          /* read from the kernel, not yet closed */
    struct tf_call *call;       /* under way, or NULL */

    /* the session: of whoever has the turn */
    struct tape_link *link;
    uint64_t handle;            /* of the open file */
    uint64_t last_writer;       /* lock owner, as FUSE names it */
    bool rewinds;               /* at the last close */
    bool wrote;                 /* the last call that did something wrote data */
    bool unsynced;              /* written, and not yet flushed */
    bool warned;                /* near the end: the next write is refused */
    bool near_end;              /* ... and so it has been since the tape moved */
    bool told;                  /* that the service is gone */
    int late_error;             /* of a write that was taken in two parts */
    unsigned zeros;             /* reads in a row that got nothing */
    size_t gathered;            /* bytes of a record that comes in two parts */
    size_t held, held_at;       /* rest of a record that was read, its offset */
    uint8_t *buffer;            /* for these two */
};

/* A call on its way through a drive; lives on the worker's stack. */
struct tf_call {
    struct tf_drive *drive;
    fuse_req_t request;
    bool interrupted;           /* tf_drive.lock */
};

struct tf_worker {
    struct tapefuse *fuse;
    pthread_t thread;
    uint8_t *slot;              /* page of the header, then the data */
    atomic_bool ended;
    bool started;
};

struct tapefuse {
    struct fuse_session *session;
    char control[4096];
    char *folder;
    void (*say)(const char *text);
    struct tf_drive *drives;    /* room for all that may be */
    _Atomic size_t drive_count; /* those that are there; under `growth` */
    uid_t owner;
    gid_t group;
    mode_t mode;                /* of the files */
    time_t born;
    dev_t device;               /* of the mount; 0: not known */

    struct tape_link_window *window;
    uint8_t *window_base;
    size_t slot_bytes, header_room;
    atomic_uint queue_max;      /* calls for one drive that wait for their
                                 * turn; more are told EBUSY */
    uint64_t last_handle;       /* atomic */

    pthread_mutex_t mouth;
    pthread_mutex_t turn;       /* of the five below */
    pthread_cond_t vacant;
    struct tf_worker *reader;   /* whose turn it is to read, or NULL */
    bool running;               /* it runs a request, and keeps its turn */
    uint64_t requests;          /* run so */
    bool watch_sleeps;          /* and wants to be woken */
    atomic_uint open_count;     /* drives that are open */
    pthread_mutex_t growth;     /* of drives, and of workers: */
    struct tf_worker *workers;  /* WORKERS_MAX */
    size_t worker_count;        /* as many as there should be */
    bool serving;               /* they run */
    sem_t wake;                 /* of tapefuse_serve */
    atomic_bool stopping;
};

/* --- names.c: the folder ------------------------------------------------------ */

enum tf_kind { TF_REWIND, TF_NO_REWIND, TF_LINK, TF_LINK_NO_REWIND };

/* NULL: the node is no drive's.  out_kind may be NULL. */
struct tf_drive *tf_drive_of(struct tapefuse *fuse, fuse_ino_t node,
                             enum tf_kind *out_kind);
void tf_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void tf_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);
void tf_setattr(fuse_req_t req, fuse_ino_t node, struct stat *wanted, int what,
                struct fuse_file_info *fi);
void tf_readlink(fuse_req_t req, fuse_ino_t node);
void tf_readdir(fuse_req_t req, fuse_ino_t node, size_t size, off_t at,
                struct fuse_file_info *fi);
void tf_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
               struct fuse_file_info *fi);
void tf_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
              dev_t device);
void tf_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);

/* --- turn.c: one call at a time ------------------------------------------------ */

/* 0: the drive is ours until tf_leave; or an errno: EBUSY, EINTR, EIO. */
int tf_enter(struct tf_call *call, fuse_req_t req, struct tf_drive *drive);
void tf_leave(struct tf_call *call);
/* Calls that were interrupted and still run are told again.  True: there are
 * some. */
bool tf_nag(struct tapefuse *fuse);
void tf_say(struct tapefuse *fuse, const struct tf_drive *drive,
            const char *format, ...) __attribute__((format(printf, 3, 4)));

/* --- open.c -------------------------------------------------------------------- */

void tf_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);
void tf_flush(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);
void tf_release(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);
/* A release was read from the kernel: from now on an open waits for it. */
void tf_release_read(struct tapefuse *fuse, fuse_ino_t node);
/* Ends the session, whoever had it. */
void tf_close(struct tf_drive *drive);

/* --- last.c -------------------------------------------------------------------- */

/* The process is ending, and hears nothing any more. */
bool tf_is_dying(pid_t thread);
/* Nobody has the file open any more, as far as can be seen. */
bool tf_is_last(const struct tapefuse *fuse, fuse_ino_t node, pid_t closer);

/* --- data.c -------------------------------------------------------------------- */

void tf_read(fuse_req_t req, fuse_ino_t node, size_t size, off_t at,
             struct fuse_file_info *fi);
void tf_write(fuse_req_t req, fuse_ino_t node, const char *data, size_t size,
              off_t at, struct fuse_file_info *fi);
/* The size that a program gave to read or write, when a request may be only a
 * part of it; `size` when that cannot be found out. */
size_t tf_whole_size(pid_t thread, size_t size);

/* --- control.c ----------------------------------------------------------------- */

void tf_ioctl(fuse_req_t req, fuse_ino_t node, unsigned int command, void *arg,
              struct fuse_file_info *fi, unsigned flags, const void *in,
              size_t in_size, size_t out_size);

/* --- errors.c: what programs are told ------------------------------------------- */

enum tf_during { TF_OPEN, TF_READ, TF_WRITE, TF_OPERATE };

/* An errno of st(4), from 0 or -errno of the session. */
int tf_errno(enum tf_during during, int error);
/* Is it the service that fails, and not the tape? */
bool tf_is_gone(int error);

/* --- pool.c: the threads -------------------------------------------------------- */

/* The slot of the calling worker, at the place of a record's data. */
uint8_t *tf_slot(void);
int tf_pool_start(struct tapefuse *fuse);
/* With `growth`: there should be more of them.  0 or -errno. */
int tf_pool_grow_locked(struct tapefuse *fuse);
/* Whoever runs the same request as at the last look lets another thread read.
 * False: nothing was run since then. */
bool tf_relieve(struct tapefuse *fuse, uint64_t *last);
/* True: `wake` is posted before anything is run. */
bool tf_may_sleep(struct tapefuse *fuse, uint64_t last);
/* False: some did not end in time. */
bool tf_pool_stop(struct tapefuse *fuse);

#endif
