/*
 * timer.c - one lazily started thread for every delay of every drive
 *
 * It ends with the last drive: what other rooms keep for their threads is given
 * back then.  A sorted list under one lock.  Timers that never fire (lost commands) wait
 * at its end until somebody takes them out.  Fire routines run on the timer
 * thread without the lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "vscsi/vscsi_internal.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake; /* CLOCK_MONOTONIC; the thread waits */
static pthread_cond_t fired = PTHREAD_COND_INITIALIZER;
static struct timer queue = { .next = &queue, .prev = &queue };
static bool started, ending;
static pthread_mutex_t life_lock = PTHREAD_MUTEX_INITIALIZER; /* before lock */
static unsigned drives;
static const struct timer *firing; /* compared only: may be freed */
static const void *firing_owner;
static uint64_t fire_count;
static pthread_t thread;

uint64_t
timer_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

static void
unlink_timer(struct timer *timer)
{
    timer->prev->next = timer->next;
    timer->next->prev = timer->prev;
    timer->next = timer->prev = NULL;
}

static void
wait_until(uint64_t due_ns)
{
    struct timespec due = { (time_t) (due_ns / 1000000000u),
                            (long) (due_ns % 1000000000u) };

    if (due_ns == TIMER_NEVER)
        pthread_cond_wait(&wake, &lock);
    else
        pthread_cond_timedwait(&wake, &lock, &due);
}

static void *
timer_main(void *unused)
{
    pthread_mutex_lock(&lock);
    while (!ending) {
        struct timer *first = queue.next;

        if (first == &queue) {
            wait_until(TIMER_NEVER);
        } else if (first->due_ns > timer_now_ns()) {
            wait_until(first->due_ns);
        } else {
            unlink_timer(first);
            firing = first;
            firing_owner = first->owner;
            pthread_mutex_unlock(&lock);
            first->fire(first); /* may free it */
            pthread_mutex_lock(&lock);
            firing = NULL;
            fire_count++;
            pthread_cond_broadcast(&fired);
        }
    }
    pthread_mutex_unlock(&lock);
    return unused;
}

void
timer_hold(void)
{
    pthread_mutex_lock(&life_lock);
    drives++;
    pthread_mutex_unlock(&life_lock);
}

/* Not on the timer thread. */
void
timer_release(void)
{
    bool last;

    pthread_mutex_lock(&life_lock);
    pthread_mutex_lock(&lock);
    last = --drives == 0 && started;
    if (last) {
        ending = true;
        pthread_cond_signal(&wake);
    }
    pthread_mutex_unlock(&lock);
    if (last) {
        pthread_join(thread, NULL);
        pthread_cond_destroy(&wake);
        started = ending = false;
    }
    pthread_mutex_unlock(&life_lock);
}

static int
start_locked(void)
{
    pthread_condattr_t monotonic;
    sigset_t all, old;
    int error;

    if (started)
        return 0;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    /* Signals are the business of the program's own threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    error = pthread_create(&thread, NULL, timer_main, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (error != 0)
        return -EAGAIN;
    started = true;
    return 0;
}

int
timer_add(struct timer *timer, uint64_t due_ns,
          void (*fire)(struct timer *timer))
{
    struct timer *after;
    int error;

    pthread_mutex_lock(&lock);
    error = start_locked();
    if (error == 0) {
        if (timer->next != NULL)
            unlink_timer(timer);
        timer->due_ns = due_ns;
        timer->fire = fire;
        for (after = queue.prev; after != &queue && after->due_ns > due_ns;)
            after = after->prev;
        timer->prev = after;
        timer->next = after->next;
        after->next->prev = timer;
        after->next = timer;
        if (queue.next == timer)
            pthread_cond_signal(&wake);
    }
    pthread_mutex_unlock(&lock);
    return error;
}

void
timer_forget(struct timer *timer)
{
    pthread_mutex_lock(&lock);
    if (timer->next != NULL)
        unlink_timer(timer);
    pthread_mutex_unlock(&lock);
}

struct timer *
timer_take(bool (*match)(struct timer *timer, const void *key), const void *key)
{
    struct timer *found;

    pthread_mutex_lock(&lock);
    for (found = queue.next; found != &queue; found = found->next)
        if (match(found, key))
            break;
    if (found == &queue)
        found = NULL;
    else
        unlink_timer(found);
    pthread_mutex_unlock(&lock);
    return found;
}

void
timer_quiesce(const void *key)
{
    uint64_t seen;

    pthread_mutex_lock(&lock);
    seen = fire_count;
    if (started && !pthread_equal(pthread_self(), thread))
        while (firing != NULL && (firing == key || firing_owner == key) &&
               fire_count == seen)
            pthread_cond_wait(&fired, &lock);
    pthread_mutex_unlock(&lock);
}
