/*
 * tape_progress.c - how far a stream of data is, for somebody who looks on
 *
 * A thread of its own, because the job may wait for a tape for hours: then it
 * says what is being asked for, which it learns through the control API.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/tape_job.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS    250
#define PATIENCE   8 /* ticks without progress before it is asked */
#define ERASE_LINE "\r\033[K"

struct ticker {
    struct tape_job *job;
    bool tty;
    uint64_t last;           /* bytes */
    unsigned idle;           /* ticks */
    char asked[RI_TEXT_MAX]; /* what was said last */
};

/* What is asked of this drive, or "". */
static void
question(const struct ticker *ticker, char *out_text, size_t max)
{
    struct client *client;
    json_t *reply, *prompts;
    const json_t *prompt;
    size_t i;

    out_text[0] = '\0';
    if (client_open(ticker->job->cli, &client) != 0)
        return;
    if (client_try(client, "/v1/prompts", NULL, &reply) == 0) {
        prompts = json_object_get(reply, "prompts");
        json_array_foreach(prompts, i, prompt)
        {
            if (strcmp(json_text(prompt, "drive"), ticker->job->drive) == 0)
                snprintf(out_text, max, "%s", json_text(prompt, "text"));
        }
        json_decref(reply);
    }
    client_close(client);
}

static void
remaining(const struct tape_job *job, uint64_t done, double rate, char *out,
          size_t max)
{
    uint64_t all = job->input_bytes;
    char size[32], age[32];

    out[0] = '\0';
    if (all == 0 && job->writes && job->room_bytes > done) {
        format_size(job->room_bytes - done, size, sizeof size);
        snprintf(out, max, ", room for %s", size);
    } else if (all > done && rate > 0) {
        format_age((uint64_t) ((double) (all - done) / rate * 1000), age,
                   sizeof age);
        snprintf(out, max, ", %.0f %%, %s to go",
                 100.0 * (double) done / (double) all, age);
    }
}

static void
show(const struct ticker *ticker, uint64_t done)
{
    const struct tape_job *job = ticker->job;
    double seconds = (double) (tape_now_ns() - job->began_ns) / 1e9;
    double rate = seconds > 0 ? (double) done / seconds : 0;
    char size[32], speed[32], rest[96];

    format_size(done, size, sizeof size);
    format_size((uint64_t) rate, speed, sizeof speed);
    remaining(job, done, rate, rest, sizeof rest);
    fprintf(stderr, ERASE_LINE "%s, %s/s%s%s", size, speed, rest,
            ticker->asked[0] != '\0' ? ", waiting" : "");
}

static void
tick(struct ticker *ticker)
{
    struct tape_job *job = ticker->job;
    uint64_t done = atomic_load_explicit(&job->done, memory_order_relaxed);
    char text[RI_TEXT_MAX];

    ticker->idle = done == ticker->last ? ticker->idle + 1 : 0;
    ticker->last = done;
    if (ticker->idle == 0)
        ticker->asked[0] = '\0';
    if (ticker->idle > 0 && ticker->idle % PATIENCE == 0) {
        question(ticker, text, sizeof text);
        if (text[0] != '\0' && strcmp(text, ticker->asked) != 0)
            fprintf(stderr, "%sreinsert: waiting: %s\n",
                    ticker->tty ? ERASE_LINE : "", text);
        snprintf(ticker->asked, sizeof ticker->asked, "%s", text);
    }
    if (ticker->tty)
        show(ticker, done);
}

/* Waits for a tick, or the end. */
static bool
ends(struct tape_job *job)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TICK_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    return sem_clockwait(&job->over, CLOCK_MONOTONIC, &until) == 0;
}

static void *
run(void *context)
{
    struct ticker ticker = { .job = context,
                             .tty = isatty(STDERR_FILENO) == 1 };

    while (!ends(ticker.job))
        tick(&ticker);
    if (ticker.tty)
        fprintf(stderr, ERASE_LINE);
    return NULL;
}

void
tape_progress_start(struct tape_job *job)
{
    if (job->cli->quiet)
        return;
    sem_init(&job->over, 0, 0);
    job->ticks = pthread_create(&job->ticker, NULL, run, job) == 0;
}

void
tape_progress_end(struct tape_job *job)
{
    if (!job->ticks)
        return;
    sem_post(&job->over);
    pthread_join(job->ticker, NULL);
    sem_destroy(&job->over);
    job->ticks = false;
}
