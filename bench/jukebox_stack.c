/*
 * jukebox_stack.c - what the jukebox saves, measured through the whole stack
 *
 * 500 requests over 40 volumes of an emulated library with 2 drives, through
 * the embedding API, in real time: the robot's times are those of jukebox.c
 * divided by SCALE.  A request reads a block that says which volume it is on,
 * and goes on reading for as long as its work takes; of one volume's requests
 * one works at a time, as with one drive head.
 *
 * First come first served is the same service, to which the requests are handed
 * in the order in which they came, as many at once as there are drives: then
 * the schedule has nothing to choose.  Exit status 1: less than three times
 * fewer motions, or more than half of the time.
 *
 *     bench/jukebox_stack [SEED [SCALE]]
 *
 * SPDX-License-Identifier: MIT
 */
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../tests/unit/jukebox/sim.h"
#include "stack/jukebox.h"

#define VOLUMES  40
#define REQUESTS 500
#define DRIVES   2
#define BLOCK    4096
#define MARK_AT  (8u << 20) /* beyond what mkfs.vfat wrote */
#define IMAGE_KB "12288"

/* As in jukebox.c; the drive's own time is part of the motion here. */
#define MOVE_MS   6000
#define TRAVEL_MS 50
#define LOAD_MS   10000
#define UNLOAD_MS 4000
#define GAP_MS    2000
#define WORK_MS   2000
#define AGE_MS    600000

static unsigned scale = 200;
static char folder[] = "/tmp/jukebox-XXXXXX";

struct request {
    struct ri_request io;
    unsigned char data[BLOCK];
    struct timespec done;
    bool sent, read, finished;
};

/* One run.  `lock` guards all below it. */
struct run {
    struct ri_service *service;
    struct ri_export *exports[VOLUMES];
    struct sim_request *trace;
    bool first_come;
    struct timespec begun;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct request requests[REQUESTS];
    size_t arrived, finished;
};

struct figures {
    uint64_t motions, total_ms, mean_ms, longest_ms;
};

static void
die(const char *what, const char *why)
{
    fprintf(stderr, "jukebox_stack: %s: %s\n", what, why);
    exit(2);
}

/* --- the library ------------------------------------------------------------- */

static void
make_media(void)
{
    char command[400], path[96];

    snprintf(command, sizeof command,
             "mkdir %s/media && n=0; while [ $n -lt %d ]; do mkfs.vfat -C "
             "-F 16 -n JB$n -i $((52000000 + n)) %s/media/JB$(printf %%03d "
             "$n).img " IMAGE_KB " >/dev/null || exit 1; n=$((n + 1)); done",
             folder, VOLUMES, folder);
    if (system(command) != 0)
        die("mkfs.vfat", "cannot make the media");
    for (int n = 0; n < VOLUMES; n++) {
        char mark[BLOCK] = "";
        int fd;

        snprintf(path, sizeof path, "%s/media/JB%03d.img", folder, n);
        snprintf(mark, sizeof mark, "volume %d", n);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || pwrite(fd, mark, sizeof mark, MARK_AT) != BLOCK)
            die(path, "cannot be written");
        close(fd);
    }
}

static int
remove_one(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
    (void) st;
    (void) what;
    (void) ftw;
    return remove(path);
}

static unsigned
scaled(unsigned ms)
{
    unsigned less = ms / scale;

    return less > 0 ? less : 1;
}

static struct ri_service *
start(bool timed)
{
    struct ri_library_config library = {
        .name = "lib",
        .slots = VOLUMES,
        .drive_count = DRIVES,
        .drive = { .type = RI_DISK },
        .move_ms = timed ? scaled(MOVE_MS) : 0,
        .travel_ms = timed ? TRAVEL_MS / scale : 0,
        .load_ms = timed ? scaled(LOAD_MS) : 0,
        .unload_ms = timed ? scaled(UNLOAD_MS) : 0,
        .ready_timeout_s = 60,
        .load_timeout_s = 60,
    };
    struct ri_config config;
    struct ri_service *service = NULL;
    struct ri_error error = { "" };

    ri_config_init(&config);
    snprintf(library.media, sizeof library.media, "%s/media", folder);
    snprintf(library.state, sizeof library.state, "%s/state", folder);
    config.libraries = &library;
    config.library_count = 1;
    if (ri_service_start(&config, &service, &error) != 0)
        die("the service", error.text);
    return service;
}

static void
stop(struct ri_service *service)
{
    ri_service_shutdown(service);
    ri_service_keep(service);
    ri_service_free(service);
}

/* Which volume is in which slot, in a robot that takes no time. */
static void
scan(void)
{
    struct ri_service *service = start(false);
    struct ri_library_command command = { .op = RI_LIB_SCAN,
                                          .drive = RI_NO_DRIVE };
    struct ri_library_result result;
    struct ri_error error = { "" };

    if (ri_library_command(service, "lib", &command, &result, &error) != 0)
        die("scan", error.text);
    stop(service);
}

static uint64_t
motions_of(struct ri_service *service)
{
    struct ri_library_info *list = NULL;
    uint64_t motions = 0;
    size_t count = 0;

    if (ri_libraries(service, &list, &count) != 0 || count != 1)
        die("the library", "is not there");
    if (list[0].failures != 0)
        die("the library", "a motion failed");
    motions = list[0].motions;
    free(list);
    return motions;
}

/* The drives are emptied by an operator, so that both begin alike. */
static void
empty_drives(struct ri_service *service)
{
    for (uint32_t drive = 0; drive < DRIVES; drive++) {
        struct ri_library_command command = { .op = RI_LIB_UNLOAD,
                                              .drive = drive };
        struct ri_library_result result;

        ri_library_command(service, "lib", &command, &result, NULL);
    }
}

/* The schedule's times, in the clock of this run. */
static void
set_policy(struct ri_service *service, bool first_come)
{
    struct jukebox *jukebox = jukebox_named(service, "lib");
    struct jb_policy policy;

    jb_policy_default(&policy);
    policy.age_ms = AGE_MS / scale;
    policy.residence_ms = first_come ? 0 : policy.residence_ms / scale;
    policy.idle_ms = first_come ? 0 : policy.idle_ms / scale;
    pthread_mutex_lock(&jukebox->lock);
    jukebox->policy = policy;
    pthread_mutex_unlock(&jukebox->lock);
}

/* --- time -------------------------------------------------------------------- */

static struct timespec
now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return at;
}

static int64_t
us_since(const struct timespec *from, const struct timespec *to)
{
    return (to->tv_sec - from->tv_sec) * 1000000ll +
           (to->tv_nsec - from->tv_nsec) / 1000;
}

static void
sleep_until(const struct timespec *begun, uint64_t us)
{
    struct timespec at = *begun;

    at.tv_sec += (time_t) (us / 1000000);
    at.tv_nsec += (long) (us % 1000000) * 1000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
        ;
}

/* --- requests ---------------------------------------------------------------- */

static struct run run;

static void
on_read(struct ri_request *io)
{
    struct request *request = io->context;

    pthread_mutex_lock(&run.lock);
    request->read = true;
    pthread_cond_broadcast(&run.changed);
    pthread_mutex_unlock(&run.lock);
}

/* Not under the lock. */
static void
send_read(size_t n)
{
    struct request *request = &run.requests[n];

    request->io = (struct ri_request){ .op = RI_READ,
                                       .offset_bytes = MARK_AT,
                                       .length_bytes = BLOCK,
                                       .buffer = request->data,
                                       .done = on_read,
                                       .context = request };
    if (ri_submit(run.exports[run.trace[n].volume], &request->io))
        on_read(&request->io);
}

/* P1, for each block that is read. */
static void
check(size_t n)
{
    const struct request *request = &run.requests[n];
    char mark[32];

    snprintf(mark, sizeof mark, "volume %u", run.trace[n].volume);
    if (request->io.error != 0)
        die(mark, strerror(request->io.error));
    if (strcmp((const char *) request->data, mark) != 0)
        die(mark, "another one was read");
}

static void
wait_read_locked(size_t n)
{
    while (!run.requests[n].read)
        pthread_cond_wait(&run.changed, &run.lock);
}

static void
work(size_t n)
{
    struct request *request = &run.requests[n];
    struct timespec begun = now(), at = begun;
    int64_t us = (int64_t) run.trace[n].work_ms * 1000 / scale;

    check(n);
    while (us_since(&begun, &at) < us) {
        pthread_mutex_lock(&run.lock);
        request->read = false;
        pthread_mutex_unlock(&run.lock);
        send_read(n);
        pthread_mutex_lock(&run.lock);
        wait_read_locked(n);
        pthread_mutex_unlock(&run.lock);
        check(n);
        sleep_until(&begun, (uint64_t) us_since(&begun, &at) + 1000);
        at = now();
    }
}

/* A thread per volume: its requests, one after another. */
static void *
serve(void *context)
{
    uint32_t volume = (uint32_t) (size_t) context;

    for (size_t n = 0; n < REQUESTS; n++) {
        if (run.trace[n].volume != volume)
            continue;
        pthread_mutex_lock(&run.lock);
        wait_read_locked(n);
        pthread_mutex_unlock(&run.lock);
        work(n);
        pthread_mutex_lock(&run.lock);
        run.requests[n].done = now();
        run.requests[n].finished = true;
        run.finished++;
        pthread_cond_broadcast(&run.changed);
        pthread_mutex_unlock(&run.lock);
    }
    return NULL;
}

/* Requests as they come; in turn: no more of them than there are drives. */
static void *
arrive(void *context)
{
    (void) context;
    for (size_t n = 0; n < REQUESTS; n++) {
        sleep_until(&run.begun, run.trace[n].at_ms * 1000 / scale);
        pthread_mutex_lock(&run.lock);
        run.arrived = n + 1;
        while (run.first_come && n - run.finished >= DRIVES)
            pthread_cond_wait(&run.changed, &run.lock);
        run.requests[n].sent = true;
        pthread_mutex_unlock(&run.lock);
        send_read(n);
    }
    return NULL;
}

static struct figures
take_figures(uint64_t motions)
{
    struct figures figures = { .motions = motions };

    for (size_t n = 0; n < REQUESTS; n++) {
        uint64_t done =
            (uint64_t) us_since(&run.begun, &run.requests[n].done) * scale;
        uint64_t waited = done / 1000 - run.trace[n].at_ms;

        figures.mean_ms += waited / REQUESTS;
        if (waited > figures.longest_ms)
            figures.longest_ms = waited;
        if (done / 1000 > figures.total_ms)
            figures.total_ms = done / 1000;
    }
    return figures;
}

static struct figures
measure(uint64_t seed, bool first_come)
{
    pthread_t servers[VOLUMES], arrivals;
    struct figures figures;
    uint64_t before;

    memset(&run, 0, sizeof run);
    run.service = start(true);
    run.first_come = first_come;
    run.trace = sim_trace(seed, REQUESTS, VOLUMES, GAP_MS, WORK_MS);
    pthread_mutex_init(&run.lock, NULL);
    pthread_cond_init(&run.changed, NULL);
    empty_drives(run.service);
    set_policy(run.service, first_come);
    for (uint32_t i = 0; i < VOLUMES; i++) {
        struct ri_error error = { "" };
        char name[16];

        snprintf(name, sizeof name, "JB%u", i);
        if (ri_open(run.service, name, &run.exports[i], &error) != 0)
            die(name, error.text);
    }
    before = motions_of(run.service);
    run.begun = now();
    for (size_t i = 0; i < VOLUMES; i++)
        pthread_create(&servers[i], NULL, serve, (void *) i);
    pthread_create(&arrivals, NULL, arrive, NULL);
    pthread_join(arrivals, NULL);
    for (size_t i = 0; i < VOLUMES; i++)
        pthread_join(servers[i], NULL);
    figures = take_figures(motions_of(run.service) - before);
    for (size_t i = 0; i < VOLUMES; i++)
        ri_close(run.exports[i]);
    stop(run.service);
    free(run.trace);
    return figures;
}

static void
print(const char *name, const struct figures *f)
{
    printf("  %-24s %6llu motions, %7.1f s in all, a request %7.1f s, the "
           "longest %7.1f s\n",
           name, (unsigned long long) f->motions, (double) f->total_ms / 1e3,
           (double) f->mean_ms / 1e3, (double) f->longest_ms / 1e3);
    fflush(stdout);
}

int
main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20260101;
    struct figures first, ours;
    double motions, total;

    if (argc > 2)
        scale = (unsigned) strtoul(argv[2], NULL, 0);
    if (scale == 0 || mkdtemp(folder) == NULL)
        die(folder, "no folder, or no scale");
    printf("jukebox through the stack: %d requests, %d volumes, %d drives, "
           "seed %llu; times are %u times those measured\n",
           REQUESTS, VOLUMES, DRIVES, (unsigned long long) seed, scale);
    fflush(stdout);
    make_media();
    scan();
    first = measure(seed, true);
    print("first come first served", &first);
    ours = measure(seed, false);
    print("the jukebox", &ours);
    motions = (double) first.motions / (double) ours.motions;
    total = (double) first.total_ms / (double) ours.total_ms;
    printf("  %.1f times fewer motions (at least 3), %.1f times faster (at "
           "least 2)\n",
           motions, total);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return motions >= 3.0 && total >= 2.0 ? 0 : 1;
}
