/*
 * jukebox.c - what the schedule saves: the same trace, first come first served
 *
 * 500 requests over 40 volumes in a library with 2 drives.  The times are those
 * of a disc or cartridge library; the clock is the simulation's, so it takes no
 * time.  Exit status 1: less than three times fewer motions, or more than half
 * of the time.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../tests/unit/jukebox/sim.h"

#define VOLUMES  40
#define REQUESTS 500
#define DRIVES   2

static const struct sim_times times = {
    .move_ms = 6000, .travel_ms = 50, .ready_ms = 10000, .release_ms = 4000
};

struct figures {
    uint64_t motions, total_ms, mean_ms, longest_ms;
    double cpu_us; /* per decision and its simulation */
};

static struct figures
measure(uint64_t seed, bool first_come)
{
    struct sim *sim = sim_new(VOLUMES, VOLUMES, DRIVES);
    struct sim_request *trace = sim_trace(seed, REQUESTS, VOLUMES, 2000, 2000);
    clock_t start = clock();
    struct figures figures;

    sim->times = times;
    sim->policy.age_ms = 600000;
    sim->first_come = first_come;
    if (!sim_run(sim, trace, REQUESTS)) {
        fprintf(stderr, "jukebox: requests were left\n");
        exit(1);
    }
    figures = (struct figures){
        .motions = sim->motions,
        .total_ms = sim->total_ms,
        .mean_ms = sim->waited_ms / REQUESTS,
        .longest_ms = sim->longest_ms,
        .cpu_us = (double) (clock() - start) * 1e6 / CLOCKS_PER_SEC /
                  (double) sim->motions,
    };
    free(trace);
    sim_free(sim);
    return figures;
}

static void
print(const char *name, const struct figures *f)
{
    printf("  %-24s %6llu motions, %7.1f s in all, a request %7.1f s, the "
           "longest %7.1f s\n",
           name, (unsigned long long) f->motions, (double) f->total_ms / 1e3,
           (double) f->mean_ms / 1e3, (double) f->longest_ms / 1e3);
}

int
main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20260101;
    struct figures first = measure(seed, true), ours = measure(seed, false);
    double motions = (double) first.motions / (double) ours.motions;
    double total = (double) first.total_ms / (double) ours.total_ms;

    printf("jukebox: %d requests, %d volumes, %d drives, seed %llu\n", REQUESTS,
           VOLUMES, DRIVES, (unsigned long long) seed);
    print("first come first served", &first);
    print("this schedule", &ours);
    printf("  %.1f times fewer motions (at least 3), %.1f times faster (at "
           "least 2)\n",
           motions, total);
    return motions >= 3.0 && total >= 2.0 ? 0 : 1;
}
