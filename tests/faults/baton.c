/*
 * baton.c - the threads of the process one at a time, in an order of a seed
 *
 * Whoever holds the baton runs; all data here are its own, so nothing needs a
 * lock.  A mutex is its first word: 0, or 1 + the number of its holder.  A
 * waiting thread has the address that it waits at.  The threads are real
 * ones, and each sleeps on a futex until it is handed the baton: thread-local
 * data, stacks and sanitizers work as ever.
 *
 * A thread gives its baton away for the last time only after the destructors of
 * its thread-local data have run.
 *
 * SPDX-License-Identifier: MIT
 */
#include "baton.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "random.h"

#define FIBERS         256
#define NEVER          UINT64_MAX
#define START_NS       1000000000000ull /* of the monotonic clock */
#define WALL_NS        1700000000000000000ull
#define PREEMPT_ONE_IN 24
#define SPINS_MAX      20000000u /* switches without any time going by */
#define KEY_ROUNDS     3
/* At the clock, then it goes on: loops end.  What is traced looks, too. */
#define LOOKS 50000

int __real_pthread_create(pthread_t *, const pthread_attr_t *,
                          void *(*) (void *), void *);
int __real_pthread_join(pthread_t, void **);
int __real_clock_gettime(clockid_t, struct timespec *);
long __real_syscall(long, ...);

enum fiber_state { FREE, RUNNABLE, WAITING, OVER };

struct fiber {
    uint32_t go; /* futex */
    enum fiber_state state;
    const void *at;    /* what it waits at */
    uint64_t deadline; /* NEVER: none */
    bool timed_out;
    unsigned key_rounds;
    pthread_t id;
    void *(*fn)(void *);
    void *argument, *result;
};

static struct fiber fibers[FIBERS];
static unsigned used = 1; /* the first is whoever begins */
static __thread struct fiber *self;
static uint64_t now_ns = START_NS, switches, spins;
static unsigned looks; /* since the baton was given */
static struct random order;
static pthread_key_t last_key;
static void (*stuck)(const char *why);

static struct fiber *
me(void)
{
    if (self == NULL)
        self = &fibers[0];
    return self;
}

/* --- the baton ------------------------------------------------------------ */

static struct fiber *
runnable_but(const struct fiber *not_this)
{
    struct fiber *found[FIBERS];
    unsigned n = 0;

    for (unsigned i = 0; i < used; i++)
        if (fibers[i].state == RUNNABLE && &fibers[i] != not_this)
            found[n++] = &fibers[i];
    return n == 0 ? NULL : found[random_below(&order, n)];
}

/* Nobody can run: time goes on. */
static struct fiber *
first_limit(void)
{
    struct fiber *first = NULL;

    for (unsigned i = 0; i < used; i++)
        if (fibers[i].state == WAITING && fibers[i].deadline != NEVER &&
            (first == NULL || fibers[i].deadline < first->deadline))
            first = &fibers[i];
    if (first == NULL) {
        stuck("every thread waits, and none for the time");
        abort();
    }
    if (first->deadline > now_ns) {
        now_ns = first->deadline;
        spins = 0;
    }
    first->state = RUNNABLE;
    first->timed_out = true;
    first->deadline = NEVER;
    return first;
}

static void
sleep_for_baton(struct fiber *fiber)
{
    while (__atomic_load_n(&fiber->go, __ATOMIC_ACQUIRE) == 0)
        __real_syscall(SYS_futex, &fiber->go, FUTEX_WAIT_PRIVATE, 0,
                       (void *) NULL, (void *) NULL, 0);
    __atomic_store_n(&fiber->go, 0, __ATOMIC_RELAXED);
}

static void
give(struct fiber *to)
{
    switches++;
    looks = 0;
    if (++spins > SPINS_MAX) {
        stuck("threads run, and no time goes by");
        abort();
    }
    __atomic_store_n(&to->go, 1, __ATOMIC_RELEASE);
    __real_syscall(SYS_futex, &to->go, FUTEX_WAKE_PRIVATE, 1, (void *) NULL,
                   (void *) NULL, 0);
}

/* Somebody else goes on, if anybody can; perhaps this one, if it can. */
static void
switch_away(struct fiber *from)
{
    struct fiber *to = runnable_but(from->state == RUNNABLE ? from : NULL);

    if (to == NULL && from->state == RUNNABLE)
        return;
    if (to == NULL)
        to = first_limit();
    if (to == from)
        return;
    give(to);
    sleep_for_baton(from);
}

/* False: the time was over. */
static bool
wait_at(const void *at, uint64_t deadline)
{
    struct fiber *fiber = me();

    fiber->state = WAITING;
    fiber->at = at;
    fiber->deadline = deadline;
    fiber->timed_out = false;
    switch_away(fiber);
    fiber->at = NULL;
    return !fiber->timed_out;
}

/* Up to n of those that wait there, in an order of the seed. */
static unsigned
wake_at(const void *at, unsigned n)
{
    unsigned start = (unsigned) random_below(&order, used), woken = 0;

    for (unsigned i = 0; i < used && woken < n; i++) {
        struct fiber *fiber = &fibers[(start + i) % used];

        if (fiber->state != WAITING || fiber->at != at)
            continue;
        fiber->state = RUNNABLE;
        fiber->at = NULL;
        fiber->deadline = NEVER;
        woken++;
    }
    return woken;
}

static void
perhaps_switch(void)
{
    if (used > 1 && random_below(&order, PREEMPT_ONE_IN) == 0)
        switch_away(me());
}

/* --- what the campaign sees ------------------------------------------------- */

/* Of the last round, when those of all rooms have run. */
static void
thread_over(void *value)
{
    struct fiber *fiber = value, *to;

    if (++fiber->key_rounds < KEY_ROUNDS) {
        pthread_setspecific(last_key, fiber);
        return;
    }
    fiber->state = OVER;
    wake_at(fiber, UINT_MAX);
    to = runnable_but(NULL);
    if (to == NULL)
        to = first_limit();
    give(to);
}

void
baton_begin(uint64_t seed)
{
    random_seed(&order, seed);
    memset(fibers, 0, sizeof fibers);
    used = 1;
    self = &fibers[0];
    self->state = RUNNABLE;
    self->deadline = NEVER;
    now_ns = START_NS;
    switches = spins = 0;
    pthread_key_create(&last_key, thread_over);
}

void
baton_on_stuck(void (*fn)(const char *why))
{
    stuck = fn;
}

void
baton_point(void)
{
    perhaps_switch();
}

void
baton_sleep_ms(uint64_t ms)
{
    wait_at(&now_ns, now_ns + ms * 1000000u);
}

uint64_t
baton_now_ms(void)
{
    return now_ns / 1000000u;
}

uint64_t
baton_switches(void)
{
    return switches;
}

/* --- threads ---------------------------------------------------------------- */

static void *
start(void *argument)
{
    struct fiber *fiber = argument;

    self = fiber;
    pthread_setspecific(last_key, fiber);
    sleep_for_baton(fiber);
    fiber->result = fiber->fn(fiber->argument);
    return NULL;
}

static struct fiber *
free_fiber(void)
{
    for (unsigned i = 1; i < used; i++)
        if (fibers[i].state == FREE)
            return &fibers[i];
    if (used == FIBERS)
        return NULL;
    return &fibers[used++];
}

int __wrap_pthread_create(pthread_t *, const pthread_attr_t *,
                          void *(*) (void *), void *);
int
__wrap_pthread_create(pthread_t *out_id, const pthread_attr_t *attr,
                      void *(*fn)(void *), void *argument)
{
    struct fiber *fiber = free_fiber();
    int error;

    if (fiber == NULL)
        return EAGAIN;
    memset(fiber, 0, sizeof *fiber);
    fiber->fn = fn;
    fiber->argument = argument;
    fiber->deadline = NEVER;
    error = __real_pthread_create(&fiber->id, attr, start, fiber);
    if (error != 0)
        return error;
    fiber->state = RUNNABLE;
    *out_id = fiber->id;
    perhaps_switch();
    return 0;
}

int __wrap_pthread_join(pthread_t, void **);
int
__wrap_pthread_join(pthread_t id, void **out_result)
{
    struct fiber *fiber = NULL;

    for (unsigned i = 1; i < used; i++)
        if (fibers[i].state != FREE && pthread_equal(fibers[i].id, id))
            fiber = &fibers[i];
    if (fiber == NULL)
        return ESRCH;
    while (fiber->state != OVER)
        wait_at(fiber, NEVER);
    __real_pthread_join(id, NULL);
    if (out_result != NULL)
        *out_result = fiber->result;
    fiber->state = FREE;
    return 0;
}

/* --- mutexes and conditions --------------------------------------------------- */

static uint32_t *
word_of(pthread_mutex_t *mutex)
{
    return (uint32_t *) mutex;
}

static uint32_t
my_mark(void)
{
    return 1u + (uint32_t) (me() - fibers);
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *);
int
__wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    uint32_t *word = word_of(mutex);

    perhaps_switch();
    if (*word == my_mark()) {
        stuck("a thread takes a mutex that it has");
        abort();
    }
    while (*word != 0)
        wait_at(mutex, NEVER);
    *word = my_mark();
    return 0;
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *);
int
__wrap_pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    if (*word_of(mutex) != 0)
        return EBUSY;
    *word_of(mutex) = my_mark();
    return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *);
int
__wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    *word_of(mutex) = 0;
    wake_at(mutex, UINT_MAX);
    return 0;
}

/* All conditions here measure the monotonic clock. */
int __wrap_pthread_cond_timedwait(pthread_cond_t *, pthread_mutex_t *,
                                  const struct timespec *);
int
__wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                              const struct timespec *limit)
{
    uint64_t deadline = limit == NULL ? NEVER
                                      : (uint64_t) limit->tv_sec * 1000000000u +
                                            (uint64_t) limit->tv_nsec;
    bool signalled;

    *word_of(mutex) = 0;
    wake_at(mutex, UINT_MAX);
    signalled = wait_at(cond, deadline);
    while (*word_of(mutex) != 0)
        wait_at(mutex, NEVER);
    *word_of(mutex) = my_mark();
    return signalled ? 0 : ETIMEDOUT;
}

int __wrap_pthread_cond_wait(pthread_cond_t *, pthread_mutex_t *);
int
__wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    return __wrap_pthread_cond_timedwait(cond, mutex, NULL);
}

int __wrap_pthread_cond_signal(pthread_cond_t *);
int
__wrap_pthread_cond_signal(pthread_cond_t *cond)
{
    wake_at(cond, 1);
    perhaps_switch();
    return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *);
int
__wrap_pthread_cond_broadcast(pthread_cond_t *cond)
{
    wake_at(cond, UINT_MAX);
    perhaps_switch();
    return 0;
}

/* --- the rest of the system that waits, or knows the time ----------------------- */

static long
futex(uint32_t *word, long operation, uint32_t value,
      const struct timespec *limit)
{
    uint64_t deadline = NEVER;

    switch (operation & FUTEX_CMD_MASK) {
    case FUTEX_WAKE:
        return (long) wake_at(word, value);
    case FUTEX_WAIT_BITSET:
        if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value) {
            errno = EAGAIN;
            return -1;
        }
        if (limit != NULL)
            deadline = (uint64_t) limit->tv_sec * 1000000000u +
                       (uint64_t) limit->tv_nsec;
        if (wait_at(word, deadline))
            return 0;
        errno = ETIMEDOUT;
        return -1;
    default:
        stuck("a futex operation that the scheduler does not know");
        abort();
    }
}

long __wrap_syscall(long, ...);
long
__wrap_syscall(long number, ...)
{
    long a[6];
    va_list args;

    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_futex)
        return futex((uint32_t *) a[0], a[1], (uint32_t) a[2],
                     (const struct timespec *) a[3]);
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int __wrap_sched_yield(void);
int
__wrap_sched_yield(void)
{
    switch_away(me());
    return 0;
}

int __wrap_nanosleep(const struct timespec *, struct timespec *);
int
__wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
    (void) left;
    wait_at(&now_ns, now_ns + (uint64_t) time->tv_sec * 1000000000u +
                         (uint64_t) time->tv_nsec);
    return 0;
}

int __wrap_clock_nanosleep(clockid_t, int, const struct timespec *,
                           struct timespec *);
int
__wrap_clock_nanosleep(clockid_t id, int flags, const struct timespec *time,
                       struct timespec *left)
{
    (void) id;
    if (flags != 0) {
        stuck("a sleep that the scheduler does not know");
        abort();
    }
    return __wrap_nanosleep(time, left);
}

int __wrap_clock_gettime(clockid_t, struct timespec *);
int
__wrap_clock_gettime(clockid_t id, struct timespec *out_time)
{
    uint64_t ns;

    if (++looks > LOOKS)
        now_ns += 1000;
    ns = now_ns;
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
        ns += WALL_NS;
    else if (id == CLOCK_PROCESS_CPUTIME_ID || id == CLOCK_THREAD_CPUTIME_ID)
        return __real_clock_gettime(id, out_time);
    out_time->tv_sec = (time_t) (ns / 1000000000u);
    out_time->tv_nsec = (long) (ns % 1000000000u);
    return 0;
}
