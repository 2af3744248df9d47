/*
 * tape_job.h - what `reinsert tape DRIVE write` and `read` share
 *
 * Data lie in the window of a tape link, cut into slots of one record each;
 * several are on their way at any time, so that the drive streams.
 *
 * The job belongs to one thread.  A second one takes signals, a third shows
 * progress; what they look at is atomic.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TAPE_JOB_H
#define TAPE_JOB_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "cli/cli.h"
#include "cli/tape_set.h"
#include "tapelink/tape_link.h"

#define TAPE_MARK_ROOM (1u << 20)       /* of the window, for set records */
#define TAPE_IN_FLIGHT (2u << 20)       /* bytes on their way, or four records */

struct tape_job {
    const struct cli *cli;
    const char *drive;
    bool writes;
    char control[RI_PATH_MAX];
    struct tape_link *link;
    unsigned char *window;
    size_t window_size;
    unsigned char *mark_room;   /* at the end of the window */
    size_t mark_room_size;
    uint32_t fixed;             /* the drive's block size; 0: variable */
    size_t record;              /* bytes of one request */
    unsigned slots;
    size_t shift_of;            /* shift is crc32c_shift of that */
    uint32_t shift;
    struct tape_set_sum part, total; /* total: before this part */
    char tapes[512];            /* names of the set's tapes, with commas */
    char why[RI_TEXT_MAX + 128]; /* of the last failure, or "" */

    /* --- the other threads --- */
    pthread_t signal_thread, ticker;
    bool signals, ticks;        /* they run */
    _Atomic uint64_t done;      /* bytes */
    atomic_int stop;            /* how often it was asked for */
    sem_t over;                 /* the ticker is to end */
    _Atomic uint64_t began_ns;
    _Atomic uint64_t input_bytes;       /* 0: not known */
    _Atomic uint64_t room_bytes;        /* on the tape; 0: not known */
};

/* --- tape_job.c ---------------------------------------------------------------- */

/* Opens the drive; an exit code, said on stderr. */
int tape_job_open(struct tape_job *job);
/* Cuts the window into slots of `record` bytes. */
void tape_job_cut(struct tape_job *job, size_t record);
/* Ends the session and the threads; rc, or what closing it made of it. */
int tape_job_close(struct tape_job *job, int rc);
/* What is in the drive, and where it lies. */
int tape_job_look(struct tape_job *job, struct mtget *out_get,
                  struct ri_tape_info *out_info);
/* Says what failed, in the words of the service; the exit code. */
int tape_job_failed(struct tape_job *job, const char *what, int rc,
                    const struct ri_tape_result *result);
/* Says why, behind the drive's name, and returns code. */
int tape_job_refuse(struct tape_job *job, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* MTWEOF and its kin; an exit code. */
int tape_job_op(struct tape_job *job, int mt_op, int64_t count,
                const char *what);
/* Are there checksums?  They cost something, so they are made when they are told
 * in the end, or go into the record of a set. */
bool tape_job_sums(const struct tape_job *job, bool in_set);
/* Of a record; 0 if there are none. */
uint32_t tape_job_sum(const struct tape_job *job, bool in_set, const void *data,
                      size_t size);
/* Adds a record with its checksum to part. */
void tape_job_count(struct tape_job *job, uint32_t crc, size_t bytes);
/* Adds part to total, and begins another. */
void tape_job_next_part(struct tape_job *job);
/* A name is added to job->tapes. */
void tape_job_name(struct tape_job *job);
/* The n-th name of --tape, or "". */
void tape_job_wanted(const struct tape_job *job, unsigned part, char *out_name);
/* The line at the end, or an object; exit code as it will be. */
void tape_job_report(const struct tape_job *job, int rc,
                     const struct tape_set_mark *mark);
bool tape_job_stopped(const struct tape_job *job);
uint64_t tape_now_ns(void);

/* --- tape_progress.c --------------------------------------------------------------- */

/* A line that is written over on a terminal; elsewhere only what is waited
 * for. */
void tape_progress_start(struct tape_job *job);
void tape_progress_end(struct tape_job *job);

/* --- tape_write.c, tape_read.c: exit codes --------------------------------------- */

int cli_tape_write(struct cli *cli, const char *drive);
int cli_tape_read(struct cli *cli, const char *drive);

#endif
