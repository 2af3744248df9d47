/*
 * processor.c - processors, priorities, short delays
 *
 * What drivers ask of them is answered truly; Linux alone decides where and
 * when a thread runs.  At most 64 processors are told of, as in one NT group.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ke_internal.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>

#define GROUP_MAX       64u
#define NORMAL_PRIORITY 8

ULONG NTAPI
KeGetCurrentProcessorNumber(VOID)
{
    int number = sched_getcpu();

    return number < 0 ? 0 : (ULONG) number % GROUP_MAX;
}

KAFFINITY NTAPI
KeQueryActiveProcessors(VOID)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    ULONG count = online < 1 ? 1 : (ULONG) online;

    return count >= GROUP_MAX ? ~(KAFFINITY) 0 : ((KAFFINITY) 1 << count) - 1;
}

/* ActiveProcessors may be NULL. */
ULONG NTAPI
KeQueryActiveProcessorCount(PKAFFINITY ActiveProcessors)
{
    KAFFINITY active = KeQueryActiveProcessors();

    if (ActiveProcessors != NULL)
        *ActiveProcessors = active;
    return (ULONG) __builtin_popcountll(active);
}

ULONG NTAPI
KeGetRecommendedSharedDataAlignment(VOID)
{
    long line = sysconf(_SC_LEVEL1_DCACHE_LINESIZE);

    return line > 0 ? (ULONG) line : 64;
}

KPRIORITY NTAPI
KeQueryPriorityThread(PKTHREAD Thread)
{
    KPRIORITY priority = __atomic_load_n(&Thread->priority, __ATOMIC_RELAXED);

    KE_IRQL(KeQueryPriorityThread);
    return priority == 0 ? NORMAL_PRIORITY : priority;
}

/* Returns the priority before. */
KPRIORITY NTAPI
KeSetPriorityThread(PKTHREAD Thread, KPRIORITY Priority)
{
    KPRIORITY before;

    KE_IRQL(KeSetPriorityThread);
    KE_RULE(Priority > LOW_PRIORITY && Priority <= HIGH_PRIORITY,
            "KeSetPriorityThread: 1 <= Priority <= 31");
    before = __atomic_exchange_n(&Thread->priority, Priority, __ATOMIC_RELAXED);
    return before == 0 ? NORMAL_PRIORITY : before;
}

/* Real time, whatever the clock of the tests says: devices are real. */
VOID NTAPI
KeStallExecutionProcessor(ULONG MicroSeconds)
{
    struct timespec now;
    uint64_t start, limit = (uint64_t) MicroSeconds * 1000u;

    clock_gettime(CLOCK_MONOTONIC, &now);
    start = (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec -
               start <
           limit);
}
