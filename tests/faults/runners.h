/*
 * runners.h - rounds given out to processes, each with a world of its own
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_FAULTS_RUNNERS_H
#define TESTS_FAULTS_RUNNERS_H

#include "world.h"

#define JOBS_MAX 256

struct plan {
    uint64_t faults;
    uint64_t rounds;                /* 0: as many as it takes */
    uint64_t seed;                  /* of the first round */
    uint64_t time_s;                /* 0: no limit */
    unsigned jobs;
    const char *parent;             /* where folders are made */
    bool verbose, halt;
};

/*
 * Calls run in as many processes as there are jobs, each on a processor, in its
 * folder and with its `world`; of one job in this process.  Returns the world
 * in which something was found first, or NULL.
 */
const struct world *runners_run(const struct plan *plan, void (*run)(void));
/* The number of the next round, from 0 on; false: it was enough. */
bool runners_next(uint64_t *out_round);
/* Nothing was found by anybody, and there are faults left. */
bool runners_go_on(void);
/* Of one job's faults how many a round may have until it ends. */
uint64_t runners_faults_max(void);
/* All counts of all worlds, and their folders gone. */
void runners_sum(struct world *out_all);

#endif
