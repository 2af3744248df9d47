/*
 * campaign.c - services live and are killed; what they promised is kept
 *
 *   faults [--faults N] [--seed S] [--time SECONDS] [--folder DIR]
 *          [--verbose] [--halt]
 *
 * --halt stops a process that found something, for a debugger.
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
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "baton.h"
#include "operator.h"

#define INCARNATIONS 12     /* of a round */
#define STORM        50000u /* events at one moment */
#define HANG_S       60     /* of real time, for one service */

struct world *world;

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
print_trace(void)
{
    uint64_t from =
        world->events > TRACE_LINES ? world->events - TRACE_LINES : 0;

    for (uint64_t i = from; i < world->events; i++)
        printf("  %s\n", world->trace[i % TRACE_LINES]);
}

/* --- one round -------------------------------------------------------------------- */

static bool
more(void)
{
    return world->verdict != FAILED && world->faults < world->faults_max;
}

/* What the service said at its end is printed when it ended badly. */
static void
show_output(void)
{
    char line[512];
    FILE *file = fopen("output", "r");

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
    event("round of kind %d, blocks of %u, log %d, remote %d", world->drives,
          world->unit * BLOCK, world->log, world->remote);
}

static void
one_round(uint64_t seed)
{
    world->seed = seed;
    random_seed(&world->random, seed);
    world->events = 0;
    world->sum = 0xCBF29CE484222325ull;
    choose_round();
    logdisk_new("kept");
    logdisk_new(LOG_FOLDER);
    media_make();
    for (world->incarnation = 0; world->incarnation < INCARNATIONS && more();
         world->incarnation++) {
        one_service();
        if (world->verdict == KILLED || world->verdict == ENDED)
            model_crashed();
    }
}

/* --- the whole ---------------------------------------------------------------------- */

static void
clean_up(void)
{
    for (int m = 0; m < MEDIA; m++)
        unlink(world->media[m].path);
    unlink("output");
    logdisk_new("kept");
    logdisk_new(LOG_FOLDER);
    rmdir("kept");
    rmdir(LOG_FOLDER);
    if (chdir("/") == 0)
        rmdir(world->folder);
}

static int
report(uint64_t seed, uint64_t rounds, double seconds)
{
    bool failed = world->verdict == FAILED;
    const char *kind = failed ? world->kind : "";

    if (failed) {
        printf("FAILED: %s: %s\n", kind, world->failure);
        printf("the last events of service %u:\n", world->incarnation);
        print_trace();
        show_output();
    }
    printf("%llu faults, %llu commands, %llu requests (%llu failed), "
           "%llu replays, %llu prompts, %llu recovery files\n",
           (unsigned long long) world->faults,
           (unsigned long long) world->commands,
           (unsigned long long) world->requests,
           (unsigned long long) world->errors,
           (unsigned long long) world->replays,
           (unsigned long long) world->prompts,
           (unsigned long long) world->recoveries);
    printf("%llu kills, %llu orderly ends, %llu rounds, %llu h of their time, "
           "%.0f s of ours\n",
           (unsigned long long) world->kills,
           (unsigned long long) world->restarts, (unsigned long long) rounds,
           (unsigned long long) world->virtual_ms / 3600000u, seconds);
    printf("seed %llu, trace %016llx\n",
           (unsigned long long) (failed ? world->seed : seed),
           (unsigned long long) world->sum);
    printf("lost %d, misplaced %d, stuck %d%s%s\n", strcmp(kind, "lost") == 0,
           strcmp(kind, "misplaced") == 0, strcmp(kind, "stuck") == 0,
           failed && strcmp(kind, "lost") != 0 &&
                   strcmp(kind, "misplaced") != 0 && strcmp(kind, "stuck") != 0
               ? ", and: "
               : "",
           failed && strcmp(kind, "lost") != 0 &&
                   strcmp(kind, "misplaced") != 0 && strcmp(kind, "stuck") != 0
               ? kind
               : "");
    if (failed)
        printf("once more: make faults SEED=%llu\n",
               (unsigned long long) world->seed);
    return failed ? 1 : 0;
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

/* One thread runs at a time: each hand-over to another processor only costs. */
static void
stay_on_one_cpu(void)
{
    int cpu = sched_getcpu();
    cpu_set_t one;

    if (cpu < 0)
        return;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
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

static void
make_world(const char *parent)
{
    world = mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (world == MAP_FAILED) {
        perror("faults");
        exit(1);
    }
    snprintf(world->folder, sizeof world->folder, "%.100s/faults-XXXXXX",
             parent);
    if (mkdtemp(world->folder) == NULL || chdir(world->folder) != 0 ||
        mkdir("kept", 0700) != 0) {
        perror(world->folder);
        exit(1);
    }
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        { "faults", required_argument, NULL, 'n' },
        { "seed", required_argument, NULL, 's' },
        { "time", required_argument, NULL, 't' },
        { "folder", required_argument, NULL, 'd' },
        { "verbose", no_argument, NULL, 'v' },
        { "halt", no_argument, NULL, 'h' },
        { 0 },
    };
    const char *folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    uint64_t faults = 20000, seed = 1, time_s = 0, rounds = 0;
    double begin = seconds_now();
    bool verbose = false, halt = false;
    int option, rc;

    fix_addresses(argv);
    stay_on_one_cpu();
    mallopt(M_ARENA_MAX, 1);
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (option) {
        case 'n':
            faults = number(optarg);
            break;
        case 's':
            seed = number(optarg);
            break;
        case 't':
            time_s = number(optarg);
            break;
        case 'd':
            folder = optarg;
            break;
        case 'v':
            verbose = true;
            break;
        case 'h':
            halt = true;
            break;
        default:
            return 2;
        }
    make_world(folder);
    world->faults_max = faults;
    world->verbose = verbose;
    world->halt = halt;
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (more() && (time_s == 0 || seconds_now() - begin < (double) time_s))
        one_round(seed + rounds++);
    rc = report(seed, rounds, seconds_now() - begin);
    clean_up();
    return rc;
}
