/*
 * campaign.c - services live and are killed; what they promised is kept
 *
 *   faults [--faults N] [--rounds N] [--seed S] [--time SECONDS] [--jobs N]
 *          [--folder DIR] [--verbose] [--halt]
 *
 * --halt stops a process that found something, for a debugger.  --rounds: so
 * many, each with its part of the faults.  --jobs: see runners.c.
 * Rounds of fresh media, each with a seed of its own (S, S + 1, ...); in a
 * round services follow each other, every one in a forked process, which ends by
 * a kill somewhere or in good order.  The model is in shared memory.  What goes
 * wrong is told with the round's seed and its last events; the same seed gives
 * the same round.
 *
 * SPDX-License-Identifier: MIT
 */
#include "world.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "baton.h"
#include "operator.h"
#include "runners.h"

#define INCARNATIONS 12     /* of a round */
#define STORM        50000u /* events at one moment */
#define HANG_S       240    /* of real time, for one service */

static struct plan plan = { .faults = 20000, .seed = 1, .jobs = 1 };

/* --- trace ----------------------------------------------------------------------- */

void
event(const char *format, ...)
{
    static uint64_t since_ms, at_once;
    char *line = world->trace[world->events++ % TRACE_LINES];
    va_list args;
    int n;

    if (since_ms != baton_now_ms())
        at_once = 0;
    since_ms = baton_now_ms();
    n = snprintf(line, TRACE_CHARS, "%9llu ",
                 (unsigned long long) baton_now_ms());
    va_start(args, format);
    vsnprintf(line + n, (size_t) (TRACE_CHARS - n), format, args);
    va_end(args);
    for (const char *p = line; *p != '\0'; p++)
        world->sum = (world->sum ^ (uint8_t) *p) * 0x100000001B3ull;
    if (world->verbose)
        puts(line);
    if (++at_once == STORM)
        fail("stuck", "%u events, and no time goes by", STORM);
}

void
fail(const char *kind, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(world->failure, sizeof world->failure, format, args);
    va_end(args);
    snprintf(world->kind, sizeof world->kind, "%s", kind);
    world->verdict = FAILED;
    if (world->halt) {
        printf("process %d is stopped: %s: %s\n", (int) getpid(), kind,
               world->failure);
        raise(SIGSTOP);
    }
    _exit(1);
}

static void
print_trace(const struct world *w)
{
    uint64_t from = w->events > TRACE_LINES ? w->events - TRACE_LINES : 0;

    for (uint64_t i = from; i < w->events; i++)
        printf("  %s\n", w->trace[i % TRACE_LINES]);
}

/* --- one round -------------------------------------------------------------------- */

/* What the service said at its end is printed when it ended badly. */
static void
show_output(const struct world *w)
{
    char line[512], path[sizeof w->folder + 8];
    FILE *file;

    snprintf(path, sizeof path, "%s/output", w->folder);
    file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        fputs(line, stdout);
    if (file != NULL)
        fclose(file);
}

static void
one_service(void)
{
    int status;
    pid_t pid;

    world->verdict = RUNNING;
    fflush(stdout);
    pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    if (pid == 0) {
        alarm(HANG_S);
        if (freopen("output", "w", stderr) == NULL)
            _exit(2);
        operator_main();
        _exit(0);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (world->verdict == FAILED || world->verdict == KILLED ||
        world->verdict == ENDED)
        return;
    world->verdict = FAILED;
    snprintf(world->kind, sizeof world->kind,
             WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "stuck"
                                                                : "crashed");
    snprintf(world->failure, sizeof world->failure,
             "the service ended by itself (%s %d)",
             WIFSIGNALED(status) ? "signal" : "exit",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* What the round is about. */
static void
choose_round(void)
{
    static const uint32_t units[] = { 1, 1, 4, 8 };

    world->log = chance(2) == 0;
    world->drives = DISK;
    world->blocks = BLOCKS;
    world->unit = units[chance(sizeof units / sizeof units[0])];
    switch (chance(8)) {
    case 0:
        world->drives = DISC;
        world->unit = 4;
        break;
    case 1:
        world->drives = FLOPPY;
        world->unit = 1;
        world->blocks = 2880;
        break;
    default:
        break;
    }
    world->remote = world->drives != FLOPPY && chance(3) == 0;
    world->silent = world->remote && chance(3) == 0;
    event("round of kind %d, blocks of %u, log %d, remote %d, silent %d",
          world->drives, world->unit * BLOCK, world->log, world->remote,
          world->silent);
}

static void
one_round(uint64_t seed)
{
    world->seed = seed;
    world->faults_before = world->faults;
    world->faults_max = runners_faults_max();
    random_seed(&world->random, seed);
    world->events = 0;
    world->sum = 0xCBF29CE484222325ull;
    choose_round();
    logdisk_new("kept");
    logdisk_new(LOG_FOLDER);
    media_make();
    for (world->incarnation = 0;
         world->incarnation < INCARNATIONS && runners_go_on();
         world->incarnation++) {
        one_service();
        if (world->verdict == KILLED || world->verdict == ENDED)
            model_crashed();
    }
    world->rounds++;
    world->sums ^= world->sum;
}

static void
run(void)
{
    uint64_t round;

    while (world->verdict != FAILED && runners_next(&round))
        one_round(plan.seed + round);
}

/* --- the whole ---------------------------------------------------------------------- */

/* failed: where something was found first, or NULL. */
static int
report(const struct world *failed, double seconds)
{
    bool named = failed != NULL && (strcmp(failed->kind, "lost") == 0 ||
                                    strcmp(failed->kind, "misplaced") == 0 ||
                                    strcmp(failed->kind, "stuck") == 0);
    const char *kind = failed != NULL ? failed->kind : "";
    static struct world all;

    if (failed != NULL) {
        printf("FAILED: %s: %s\n", kind, failed->failure);
        printf("the last events of service %u:\n", failed->incarnation);
        print_trace(failed);
        show_output(failed);
    }
    runners_sum(&all);
    printf("%llu faults, %llu commands, %llu requests (%llu failed), "
           "%llu replays, %llu prompts, %llu recovery files\n",
           (unsigned long long) all.faults, (unsigned long long) all.commands,
           (unsigned long long) all.requests, (unsigned long long) all.errors,
           (unsigned long long) all.replays, (unsigned long long) all.prompts,
           (unsigned long long) all.recoveries);
    printf("%llu kills, %llu orderly ends, %llu rounds, %llu h of their time, "
           "%.0f s of ours\n",
           (unsigned long long) all.kills, (unsigned long long) all.restarts,
           (unsigned long long) all.rounds,
           (unsigned long long) all.virtual_ms / 3600000u, seconds);
    printf("seed %llu, trace %016llx\n",
           (unsigned long long) (failed != NULL ? failed->seed : plan.seed),
           (unsigned long long) (failed != NULL ? failed->sum : all.sums));
    printf("lost %d, misplaced %d, stuck %d%s%s\n", strcmp(kind, "lost") == 0,
           strcmp(kind, "misplaced") == 0, strcmp(kind, "stuck") == 0,
           failed != NULL && !named ? ", and: " : "",
           failed != NULL && !named ? kind : "");
    if (failed != NULL)
        printf("once more: make faults SEED=%llu\n",
               (unsigned long long) failed->seed);
    return failed != NULL ? 1 : 0;
}

/* Addresses are the same each time, should anything depend on them. */
static void
fix_addresses(char **argv)
{
    int now = personality(0xFFFFFFFF);

    if (now < 0 || (now & ADDR_NO_RANDOMIZE) != 0)
        return;
    if (personality((unsigned long) now | ADDR_NO_RANDOMIZE) >= 0)
        execv("/proc/self/exe", argv);
}

static uint64_t
number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 0);

    if (*text == '\0' || *end != '\0') {
        fprintf(stderr, "faults: not a number: %s\n", text);
        exit(2);
    }
    return value;
}

static double
seconds_now(void)
{
    /* The real clock: no service runs here. */
    return (double) time(NULL);
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        { "faults", required_argument, NULL, 'n' },
        { "rounds", required_argument, NULL, 'r' },
        { "seed", required_argument, NULL, 's' },
        { "time", required_argument, NULL, 't' },
        { "jobs", required_argument, NULL, 'j' },
        { "folder", required_argument, NULL, 'd' },
        { "verbose", no_argument, NULL, 'v' },
        { "halt", no_argument, NULL, 'h' },
        { 0 },
    };
    double begin = seconds_now();
    const struct world *failed;
    int option;

    plan.parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    fix_addresses(argv);
    mallopt(M_ARENA_MAX, 1);
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (option) {
        case 'n':
            plan.faults = number(optarg);
            break;
        case 'r':
            plan.rounds = number(optarg);
            break;
        case 's':
            plan.seed = number(optarg);
            break;
        case 't':
            plan.time_s = number(optarg);
            break;
        case 'j':
            plan.jobs = (unsigned) number(optarg);
            break;
        case 'd':
            plan.parent = optarg;
            break;
        case 'v':
            plan.verbose = true;
            break;
        case 'h':
            plan.halt = true;
            break;
        default:
            return 2;
        }
    if (plan.jobs == 0 || plan.jobs > JOBS_MAX) {
        fprintf(stderr, "faults: from 1 to %d jobs\n", JOBS_MAX);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    failed = runners_run(&plan, run);
    return report(failed, seconds_now() - begin);
}
