/*
 * sim.h - a library in numbers: a trace of requests, motions that take time
 *
 * Drives the scheduler (src/jukebox/schedule.c), or first come first served,
 * over the same trace, by a clock of its own.  One transport; a drive gets
 * ready by itself after the transport has left it; a drive serves one request
 * at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef JUKEBOX_SIM_H
#define JUKEBOX_SIM_H

#include "jukebox/schedule.h"

struct sim_request {
    uint64_t at_ms;             /* it comes */
    uint32_t volume;
    uint32_t work_ms;           /* in the drive */
    uint64_t done_ms;           /* out */
    bool done;
};

struct sim_times {
    uint32_t move_ms;           /* element to element */
    uint32_t travel_ms;         /* per slot of the way */
    uint32_t ready_ms;          /* a drive after it got a medium */
    uint32_t release_ms;        /* a drive before it gives it up */
};

struct sim {
    struct jb_world world;
    struct jb_policy policy;
    struct sim_times times;
    uint64_t now_ms;
    struct sim_request *requests;
    size_t count, arrived;
    uint64_t *drive_free_ms;    /* by drive: the request in it ends */
    uint64_t *ready_ms;         /* by drive: it is ready */
    size_t *serving;            /* by drive: the request, or count */
    bool first_come;            /* the other discipline */
    /* out */
    uint64_t motions, total_ms, waited_ms, longest_ms;
    /* Called with the decision before it is carried out; may be NULL. */
    void (*watch)(struct sim *sim, const struct jb_motion *motion);
    void *context;
};

uint32_t sim_random(uint64_t *state, uint32_t below);
/* Every cartridge in the slot of its number. */
struct sim *sim_new(size_t cartridges, size_t slots, size_t drives);
void sim_free(struct sim *sim);
/* `count` requests over the volumes, some wanted more often than others, one
 * every `gap_ms` on average; the caller frees it after the simulation. */
struct sim_request *sim_trace(uint64_t seed, size_t count, uint32_t volumes,
                              uint32_t gap_ms, uint32_t work_ms);
/* Until every request is done, or nothing can happen any more.  FALSE: some
 * are not. */
bool sim_run(struct sim *sim, struct sim_request *requests, size_t count);

#endif
