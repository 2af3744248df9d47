/*
 * clock.c - real time, and the time of tests
 *
 * Real mode takes no lock.  `shift_ns` is what manual periods have taken off or
 * put on: it makes time go on where it was when the mode changes.  It and the
 * manual time change under `change`, which is never held while the hook runs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/clock.h"

#include <pthread.h>
#include <time.h>

static pthread_mutex_t change = PTHREAD_MUTEX_INITIALIZER;
static bool manual;           /* atomic */
static uint64_t manual_ns;    /* atomic: now, in manual mode */
static int64_t wall_ahead_ms; /* atomic: wall minus monotonic, then */
static int64_t shift_ns;      /* atomic: clock less CLOCK_MONOTONIC */
static void (*changed)(void); /* atomic */

static uint64_t
read_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t) ts.tv_sec * 1000000000u + (uint64_t) ts.tv_nsec;
}

bool
clock_is_manual(void)
{
    return __atomic_load_n(&manual, __ATOMIC_ACQUIRE);
}

static uint64_t
shifted(uint64_t ns)
{
    return ns + (uint64_t) __atomic_load_n(&shift_ns, __ATOMIC_RELAXED);
}

uint64_t
clock_now_ns(void)
{
    if (__builtin_expect(clock_is_manual(), 0))
        return __atomic_load_n(&manual_ns, __ATOMIC_ACQUIRE);
    return shifted(read_ns(CLOCK_MONOTONIC));
}

uint64_t
clock_coarse_ms(void)
{
    if (__builtin_expect(clock_is_manual(), 0))
        return __atomic_load_n(&manual_ns, __ATOMIC_ACQUIRE) / 1000000u;
    return shifted(read_ns(CLOCK_MONOTONIC_COARSE)) / 1000000u;
}

uint64_t
clock_wall_ms(void)
{
    if (__builtin_expect(clock_is_manual(), 0))
        return (uint64_t) ((int64_t) clock_coarse_ms() +
                           __atomic_load_n(&wall_ahead_ms, __ATOMIC_RELAXED));
    return read_ns(CLOCK_REALTIME) / 1000000u;
}

uint64_t
clock_to_monotonic_ns(uint64_t now_ns)
{
    return now_ns - (uint64_t) __atomic_load_n(&shift_ns, __ATOMIC_RELAXED);
}

static void
tell(void)
{
    void (*hook)(void) = __atomic_load_n(&changed, __ATOMIC_ACQUIRE);

    if (hook != NULL)
        hook();
}

void
clock_manual(bool on)
{
    pthread_mutex_lock(&change);
    if (on == manual) {
        pthread_mutex_unlock(&change);
        return;
    }
    if (on) {
        uint64_t now = clock_now_ns();

        __atomic_store_n(&wall_ahead_ms,
                         (int64_t) clock_wall_ms() - (int64_t) (now / 1000000u),
                         __ATOMIC_RELAXED);
        __atomic_store_n(&manual_ns, now, __ATOMIC_RELEASE);
    } else {
        __atomic_store_n(&shift_ns,
                         (int64_t) (manual_ns - read_ns(CLOCK_MONOTONIC)),
                         __ATOMIC_RELAXED);
    }
    __atomic_store_n(&manual, on, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&change);
    tell();
}

void
clock_advance_ms(uint64_t ms)
{
    if (!clock_is_manual())
        return;
    __atomic_fetch_add(&manual_ns, ms * 1000000u, __ATOMIC_ACQ_REL);
    tell();
}

void
clock_set_hook(void (*hook)(void))
{
    __atomic_store_n(&changed, hook, __ATOMIC_RELEASE);
}
