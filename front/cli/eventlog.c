/*
 * eventlog.c - the service's events as lines on stderr
 *
 * The callback of the service must not block, and a terminal or a pipe may: a
 * thread of its own writes, from a ring.  When the ring is full, lines are
 * dropped and counted, and the reader is told.
 *
 * Lock: eventlog.lock, over everything but the writing.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINES      256
#define LINE_BYTES (RI_TEXT_MAX + 128)
#define STOP_MS    100

struct eventlog {
    struct ri_service *service;
    uint64_t subscription;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char lines[LINES][LINE_BYTES];
    unsigned first, count;
    unsigned lost;
    bool stopping;
    bool ended; /* the thread has; it holds nothing any more */
};

static void
format_line(const struct ri_event *event, char *out)
{
    time_t seconds = (time_t) (event->time_ms / 1000);
    struct tm local;
    char when[16] = "--:--:--";
    int len;

    if (localtime_r(&seconds, &local) != NULL)
        strftime(when, sizeof when, "%H:%M:%S", &local);
    len = snprintf(out, LINE_BYTES, "%s %.500s", when, event->text);
    for (char *p = out; *p != '\0'; p++)
        if ((unsigned char) *p < 0x20 || *p == 0x7F)
            *p = '?';
    if (strcmp(event->kind, "prompt") == 0)
        snprintf(out + len, LINE_BYTES - (size_t) len,
                 " (reinsert answer %" PRIu64 " %s)", event->prompt,
                 event->answers != NULL ? event->answers : "retry|cancel");
}

static void
on_event(void *context, const struct ri_event *event)
{
    struct eventlog *log = context;

    pthread_mutex_lock(&log->lock);
    if (log->count == LINES) {
        log->lost++;
    } else {
        format_line(event, log->lines[(log->first + log->count) % LINES]);
        log->count++;
        pthread_cond_signal(&log->changed);
    }
    pthread_mutex_unlock(&log->lock);
}

static void
write_line(const char *line)
{
    char out[LINE_BYTES + 1];
    int len = snprintf(out, sizeof out, "%s\n", line);
    int done = 0;

    while (done < len) {
        ssize_t n = write(STDERR_FILENO, out + done, (size_t) (len - done));

        if (n <= 0)
            return;
        done += (int) n;
    }
}

static void *
log_thread(void *context)
{
    struct eventlog *log = context;
    char line[LINE_BYTES];

    pthread_mutex_lock(&log->lock);
    for (;;) {
        if (log->count > 0) {
            memcpy(line, log->lines[log->first], sizeof line);
            log->first = (log->first + 1) % LINES;
            log->count--;
        } else if (log->lost > 0) {
            snprintf(line, sizeof line, "(%u events were not printed)",
                     log->lost);
            log->lost = 0;
        } else if (log->stopping) {
            break;
        } else {
            pthread_cond_wait(&log->changed, &log->lock);
            continue;
        }
        pthread_mutex_unlock(&log->lock);
        write_line(line);
        pthread_mutex_lock(&log->lock);
    }
    log->ended = true;
    pthread_cond_broadcast(&log->changed);
    pthread_mutex_unlock(&log->lock);
    return NULL;
}

struct eventlog *
eventlog_start(struct ri_service *service, bool from_start)
{
    struct eventlog *log = calloc(1, sizeof *log);
    pthread_t thread;

    if (log == NULL)
        return NULL;
    log->service = service;
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->changed, NULL);
    if (pthread_create(&thread, NULL, log_thread, log) != 0) {
        free(log);
        return NULL;
    }
    pthread_detach(thread);
    log->subscription = from_start
                            ? ri_subscribe_from_start(service, on_event, log)
                            : ri_subscribe(service, on_event, log);
    return log;
}

void
eventlog_stop(struct eventlog *log, bool freed)
{
    struct timespec until;
    bool ended;

    if (log == NULL)
        return;
    if (!freed)
        ri_unsubscribe(log->service, log->subscription);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += STOP_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&log->lock);
    log->stopping = true;
    pthread_cond_broadcast(&log->changed);
    while (!log->ended &&
           pthread_cond_timedwait(&log->changed, &log->lock, &until) == 0)
        ;
    ended = log->ended;
    pthread_mutex_unlock(&log->lock);
    /* A thread that hangs in write keeps its memory; the process is ending. */
    if (ended)
        free(log);
}
