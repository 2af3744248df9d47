/*
 * world.h - what outlives a service that is killed: media, model, trace
 *
 * In memory that the campaign shares with the processes that it forks, one
 * service each.  Written by one thread at a time (baton.h).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTS_WORLD_H
#define FAULTS_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "random.h"

#define MEDIA        4
#define DRIVES       3
#define BLOCK        512u           /* of the model, whatever the drive's are */
#define BLOCKS       3072u          /* of a medium at most: 1.5 MiB */
#define FIRST_BLOCK  136u           /* before it is what identifies it */
#define TRACE_LINES  200
#define LOG_FOLDER   "log"          /* of unflushed data */
#define TRACE_CHARS  176

/*
 * Versions of a medium's blocks count up, over all its writes; odd ones are
 * zeroes.  Of a block:
 *   flushed <= durable <= seen <= issued,  acked <= issued
 * and durable is what the image has, seen what a read of the drive gives.
 */
struct medium_model {
    char path[256];
    uint8_t *image;                 /* mapped */
    uint32_t next;                  /* version */
    uint32_t flushed[BLOCKS];       /* promised to be kept, whatever comes */
    uint32_t durable[BLOCKS];
    uint32_t seen[BLOCKS];
    uint32_t acked[BLOCKS];
    uint32_t issued[BLOCKS];
    uint32_t zeroed[BLOCKS];        /* the last version that was zeroes */
    uint8_t busy[BLOCKS];           /* a write is under way */
    uint32_t refused[BLOCKS];       /* the last whose client was told that it
                                     * failed */
    uint32_t kept[BLOCKS];          /* the last in a recovery file */
    uint32_t taken[BLOCKS];         /* the last that a drive has had */
    uint32_t left[BLOCKS];          /* a lost session left it at its target,
                                     * which may carry it out; 0: none */
    uint32_t given_up;              /* how often its log went to a file */
    bool tracked;                   /* the service has a witness of it */
    bool elsewhere;                 /* it was changed, and nobody said "use" */
    bool changed;                   /* the same, and that has to be noticed */
};

enum drive_kind { DISK, FLOPPY, DISC };

enum verdict { RUNNING, ENDED, KILLED, FAILED };

struct world {
    struct medium_model media[MEDIA];
    struct random random;           /* of what happens */
    uint64_t seed;
    unsigned incarnation;
    bool verbose;                   /* prints each event */
    bool halt;                      /* for a debugger */
    enum verdict verdict;
    char failure[512];
    char kind[16];                  /* lost, misplaced, stuck, ... */
    char folder[128];
    /* what this round is about */
    bool log;                       /* services have their log on disk */
    bool remote;                    /* drives are units of iSCSI targets */
    bool silent;                    /* ... which tell of no new medium */
    enum drive_kind drives;         /* all of them */
    uint32_t blocks;                /* of each medium */
    uint32_t unit;                  /* blocks of one of the drive's */
    /* counts */
    uint64_t faults, faults_max, commands, requests, replays, prompts, kills,
        restarts, recoveries, switches, errors, rounds;
    uint64_t faults_before;         /* of earlier rounds */
    uint64_t virtual_ms;
    /* the last events, and a sum of all */
    uint64_t events, sum;
    uint64_t sums;                  /* of all rounds, in any order */
    char trace[TRACE_LINES][TRACE_CHARS];
};

extern struct world *world;

/* One line of the trace; no addresses, they are not the seed's. */
void event(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Ends this process: the campaign has found something. */
void fail(const char *kind, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

static inline uint64_t
chance(uint64_t n)
{
    return random_below(&world->random, n);
}

/* --- model.c ---------------------------------------------------------------- */

/* Media as they were bought: 0 and 1 are clones, 2 and 3 are not. */
void media_make(void);
/* Which one that image is, or -1. */
int medium_index(const char *path);
/* What version of its own block these bytes are.  Anything else fails. */
uint32_t model_version(int m, uint32_t block, const void *bytes,
                       const char *where);
uint32_t model_next(int m, bool zeroes);
bool model_is_zeroes(uint32_t version);
void model_stamp(int m, uint32_t block, uint32_t version, void *out_bytes);
/* Bytes have reached the drive's cache, or the image. */
void model_reached(int m, uint64_t offset, const void *data, size_t len,
                   bool image);
void model_zeroed(int m, uint64_t offset, uint64_t len);
/* A write that nobody can call back, whatever its client is told; or it is over. */
void model_left(const void *data, size_t len, bool over);
/* The drive forgot what only its cache had. */
void model_cache_lost(int m);
/* A flush, or what was written through, was acknowledged. */
void model_promised(int m, uint32_t block, uint32_t version);
/* A recovery file was finished. */
void model_recovery(const char *path);
/* The image as it is against the model. */
void model_check_image(int m);
/* The service is gone, and with it what it and the caches held, but for its
 * log on disk. */
void model_crashed(void);
/* Somebody else's machine writes to a medium that is in no drive. */
void model_change_elsewhere(int m);
/* Somebody said that the volume is to be used as it is. */
void model_used(int m);

/* --- inject.c --------------------------------------------------------------- */

struct vscsi_drive;
extern struct vscsi_drive *drive_at[DRIVES];
/* Faults may happen: one in so many commands; 0: none. */
extern unsigned inject_one_in;
void inject_reset(void);
/* Which medium is in a drive, or -1. */
int medium_in(int drive);
int drive_with(int m);
/* In no drive, or -1. */
int medium_outside(void);
/* Can that medium be put in now, as far as a hand is concerned? */
bool may_take(int drive, int m);
int hand_put_in(int drive, int m);
/* A command that nobody sees, and nothing happens to. */
struct vscsi_nexus;
struct vscsi_command;
bool inject_nothing(struct vscsi_nexus *nexus, struct vscsi_command *command);
/* Is it time for one? */
bool inject_now(void);
/* Ends this process, as it is; some of the disk's caches may be lost, too. */
void kill_service(const char *where) __attribute__((noreturn));
/* Counts it, and writes it down. */
void fault_note(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* --- logdisk.c -------------------------------------------------------------- */

/* It does not fail any more. */
void logdisk_well(void);
/* What was not made durable may be as it was. */
void logdisk_power_cut(void);
/* No file is left in that folder. */
void logdisk_new(const char *folder);

/* --- clients.c -------------------------------------------------------------- */

struct ri_service;
extern struct ri_service *service;
void clients_start(void);
/* They ask for nothing more; what waits waits. */
void clients_hush(bool quiet);
void clients_stop(void);
/* Opens what can be opened. */
void clients_open(void);
void clients_close_all(void);
unsigned clients_waiting(void);
bool clients_have(int m);
unsigned clients_waiting_for(int m);
/* Nothing may wait any more, for that medium; -1: for any. */
void clients_check_moving(int m, const char *when);
/* All that was acknowledged is read. */
void clients_read_medium(int m);
void clients_flush_medium(int m);

#endif
