/*
 * runners.c - rounds given out to processes, each with a world of its own
 *
 * A round is one seed's, whoever runs it.  Whoever is free takes the next one;
 * when something was found, or there were faults enough, the others end with
 * the service that they have.
 *
 * SPDX-License-Identifier: MIT
 */
#include "runners.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct world *world;

/* Shared by all: the first to find something is `found` - 1. */
static struct shared {
    uint64_t next;
    unsigned found;
    struct world worlds[];
} * shared;

static const struct plan *plan;
static time_t began;

static void
give_up(const char *what)
{
    perror(what);
    exit(1);
}

static void
make_worlds(void)
{
    size_t size = sizeof *shared + plan->jobs * sizeof shared->worlds[0];

    shared = mmap(NULL, size, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        give_up("faults");
    for (unsigned i = 0; i < plan->jobs; i++) {
        struct world *w = &shared->worlds[i];

        w->verbose = plan->verbose;
        w->halt = plan->halt;
        snprintf(w->folder, sizeof w->folder, "%.100s/faults-XXXXXX",
                 plan->parent);
        if (mkdtemp(w->folder) == NULL)
            give_up(w->folder);
    }
}

/* One thread of a service runs at a time: each hand-over to another processor
 * only costs.  One job stays where it is. */
static void
stay_on(const cpu_set_t *all, unsigned job)
{
    int skip = plan->jobs > 1 ? (int) job % CPU_COUNT(all) : -1, cpu;
    cpu_set_t one;

    for (cpu = 0; cpu < CPU_SETSIZE && skip >= 0; cpu++)
        if (CPU_ISSET(cpu, all) && skip-- == 0)
            break;
    if (plan->jobs == 1)
        cpu = sched_getcpu();
    if (cpu < 0)
        return;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}

static void
run_one(const cpu_set_t *cpus, unsigned job, void (*run)(void))
{
    unsigned none = 0;

    world = &shared->worlds[job];
    stay_on(cpus, job);
    if (chdir(world->folder) != 0 || mkdir("kept", 0700) != 0)
        give_up(world->folder);
    run();
    if (world->verdict == FAILED)
        __atomic_compare_exchange_n(&shared->found, &none, job + 1, false,
                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void
start_one(const cpu_set_t *cpus, unsigned job, void (*run)(void))
{
    pid_t pid = fork();

    if (pid < 0)
        give_up("fork");
    if (pid > 0)
        return;
    run_one(cpus, job, run);
    fflush(stdout);
    _exit(0);
}

const struct world *
runners_run(const struct plan *the_plan, void (*run)(void))
{
    bool broken = false;
    cpu_set_t cpus;
    int status;

    plan = the_plan;
    began = time(NULL);
    make_worlds();
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
        give_up("faults");
    if (plan->jobs == 1) {
        run_one(&cpus, 0, run);
    } else {
        for (unsigned job = 0; job < plan->jobs; job++)
            start_one(&cpus, job, run);
        while (wait(&status) > 0 || errno == EINTR)
            broken |= !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    }
    if (broken) {
        fprintf(stderr, "faults: a runner ended by itself\n");
        exit(1);
    }
    return shared->found != 0 ? &shared->worlds[shared->found - 1] : NULL;
}

static uint64_t
faults(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < plan->jobs; i++)
        sum += __atomic_load_n(&shared->worlds[i].faults, __ATOMIC_RELAXED);
    return sum;
}

bool
runners_go_on(void)
{
    return __atomic_load_n(&shared->found, __ATOMIC_SEQ_CST) == 0 &&
           world->verdict != FAILED && world->faults < world->faults_max &&
           (plan->rounds != 0 || faults() < plan->faults);
}

bool
runners_next(uint64_t *out_round)
{
    /* The real clock: no service runs here. */
    if (__atomic_load_n(&shared->found, __ATOMIC_SEQ_CST) != 0 ||
        (plan->rounds == 0 && faults() >= plan->faults) ||
        (plan->time_s != 0 && (uint64_t) (time(NULL) - began) >= plan->time_s))
        return false;
    *out_round = __atomic_fetch_add(&shared->next, 1, __ATOMIC_SEQ_CST);
    return plan->rounds == 0 || *out_round < plan->rounds;
}

/* Of several jobs the last rounds end a little late. */
uint64_t
runners_faults_max(void)
{
    if (plan->rounds != 0)
        return world->faults + plan->faults / plan->rounds;
    return plan->jobs == 1 ? plan->faults : UINT64_MAX;
}

static void
remove_folder(const struct world *w)
{
    if (chdir(w->folder) != 0)
        return;
    for (int m = 0; m < MEDIA; m++)
        unlink(w->media[m].path);
    unlink("output");
    logdisk_new("kept");
    logdisk_new(LOG_FOLDER);
    rmdir("kept");
    rmdir(LOG_FOLDER);
    if (chdir("/") == 0)
        rmdir(w->folder);
}

void
runners_sum(struct world *out_all)
{
    memset(out_all, 0, sizeof *out_all);
    for (unsigned i = 0; i < plan->jobs; i++) {
        const struct world *w = &shared->worlds[i];

        out_all->faults += w->faults;
        out_all->commands += w->commands;
        out_all->requests += w->requests;
        out_all->errors += w->errors;
        out_all->replays += w->replays;
        out_all->prompts += w->prompts;
        out_all->recoveries += w->recoveries;
        out_all->kills += w->kills;
        out_all->restarts += w->restarts;
        out_all->rounds += w->rounds;
        out_all->virtual_ms += w->virtual_ms;
        out_all->sums ^= w->sums;
        remove_folder(w);
    }
}
