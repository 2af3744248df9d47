/*
 * wait.c - waits on one object, on many, and on time alone
 *
 * A waiting thread sleeps on a futex of its own.  Time limits follow
 * base/clock: with a manual clock the sleep has no limit, and a change of the
 * clock makes every limited wait look again.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ke_internal.h"

#include "base/burst.h"
#include "base/watch.h"
#include "base/clock.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LONGEST_UNITS (100ll * 366 * 86400 * 10000000) /* a century */

/* Waits that have a time limit. */
static LIST_ENTRY timed = { &timed, &timed };

uint64_t
ke_deadline_ns(LONGLONG time)
{
    uint64_t now = clock_now_ns();
    LONGLONG units;

    if (time <= 0) {
        units = time < -LONGEST_UNITS ? LONGEST_UNITS : -time;
    } else {
        LARGE_INTEGER system;

        KeQuerySystemTime(&system);
        units = time - system.QuadPart;
        if (units <= 0)
            return 0;
        if (units > LONGEST_UNITS)
            units = LONGEST_UNITS;
    }
    return units == 0 ? 0 : now + (uint64_t) units * 100u;
}

void
ke_waits_recheck_locked(void)
{
    for (PLIST_ENTRY entry = timed.Flink; entry != &timed;
         entry = entry->Flink) {
        PKTHREAD thread =
            CONTAINING_RECORD(entry, struct _KTHREAD, timed_entry);

        __atomic_fetch_add(&thread->park, 2, __ATOMIC_RELEASE);
        syscall(SYS_futex, &thread->park, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

/* Sleeps until woken or until the deadline: true when woken. */
static bool
sleep_until(PKTHREAD thread, uint64_t deadline)
{
    for (;;) {
        uint32_t seen = __atomic_load_n(&thread->park, __ATOMIC_ACQUIRE);
        struct timespec limit, *plimit = NULL;

        if (seen & 1)
            return true;
        if (deadline != KE_NO_DEADLINE) {
            if (clock_now_ns() >= deadline)
                return false;
            if (!clock_is_manual()) {
                uint64_t ns = clock_to_monotonic_ns(deadline);

                limit.tv_sec = (time_t) (ns / 1000000000u);
                limit.tv_nsec = (long) (ns % 1000000000u);
                plimit = &limit;
            }
        }
        syscall(SYS_futex, &thread->park, FUTEX_WAIT_BITSET_PRIVATE, seen,
                plimit, NULL, FUTEX_BITSET_MATCH_ANY);
    }
}

/* Takes what the wait is for without waiting, if it can. */
static bool
try_now_locked(PKTHREAD thread, NTSTATUS *out_status)
{
    if (thread->wait_count == 0)
        return false;
    if (thread->wait_type == WaitAll)
        return ke_take_all_locked(thread, out_status);
    for (ULONG i = 0; i < thread->wait_count; i++) {
        PVOID object = thread->wait_blocks[i].Object;

        if (ke_object_ready_locked(object, thread)) {
            *out_status = ke_object_take_locked(object, thread) + (LONG) i;
            return true;
        }
    }
    return false;
}

static void
enqueue_locked(PKTHREAD thread, uint64_t deadline)
{
    for (ULONG i = 0; i < thread->wait_count; i++) {
        PKWAIT_BLOCK block = &thread->wait_blocks[i];

        InsertTailList(&((DISPATCHER_HEADER *) block->Object)->WaitListHead,
                       &block->WaitListEntry);
    }
    thread->wait_deadline = deadline;
    if (deadline != KE_NO_DEADLINE)
        InsertTailList(&timed, &thread->timed_entry);
    thread->wait_takes_apcs = ke_apc_allowed(thread);
    thread->waiting = TRUE;
    __atomic_store_n(&thread->park,
                     (__atomic_load_n(&thread->park, __ATOMIC_RELAXED) | 1) + 1,
                     __ATOMIC_RELAXED);
}

/* One attempt: STATUS_KERNEL_APC when APCs are to be run first. */
static NTSTATUS
wait_once(PKTHREAD thread, ULONG count, PKWAIT_BLOCK blocks, WAIT_TYPE type,
          uint64_t deadline)
{
    NTSTATUS status = STATUS_TIMEOUT;

    ke_lock();
    if (ke_apc_allowed(thread) && !IsListEmpty(&thread->apcs)) {
        ke_unlock();
        return STATUS_KERNEL_APC;
    }
    thread->wait_count = count;
    thread->wait_blocks = blocks;
    thread->wait_type = (UCHAR) type;
    if (try_now_locked(thread, &status) || deadline == 0) {
        ke_unlock();
        return status;
    }
    enqueue_locked(thread, deadline);
    ke_unlock();
    watch_leave();
    if (sleep_until(thread, deadline))
        return thread->wait_status;
    ke_lock();
    if (thread->waiting)
        ke_unwait_locked(thread, STATUS_TIMEOUT);
    ke_unlock();
    /* It may be another thread that ended the wait, and it is not yet done
     * with our record. */
    sleep_until(thread, KE_NO_DEADLINE);
    return thread->wait_status;
}

static NTSTATUS
wait_for(ULONG count, PKWAIT_BLOCK blocks, WAIT_TYPE type, uint64_t deadline)
{
    PKTHREAD thread = &ke_current()->Tcb;
    NTSTATUS status;

    for (ULONG i = 0; i < count; i++) {
        blocks[i].Thread = thread;
        blocks[i].WaitKey = (USHORT) i;
        blocks[i].WaitType = (UCHAR) type;
    }
    if (deadline != 0)
        burst_flush();
    for (;;) {
        status = wait_once(thread, count, blocks, type, deadline);
        if (status != STATUS_KERNEL_APC)
            return status;
        ke_apc_deliver();
    }
}

static inline bool
is_poll(PLARGE_INTEGER timeout)
{
    return timeout != NULL && timeout->QuadPart == 0;
}

static uint64_t
deadline_of(PLARGE_INTEGER timeout)
{
    return timeout == NULL ? KE_NO_DEADLINE : ke_deadline_ns(timeout->QuadPart);
}

/* STATUS_SUCCESS, STATUS_TIMEOUT, STATUS_ABANDONED.  Never STATUS_ALERTED or
 * STATUS_USER_APC: there is no user mode. */
NTSTATUS NTAPI
KeWaitForSingleObject(PVOID Object, KWAIT_REASON WaitReason,
                      KPROCESSOR_MODE WaitMode, BOOLEAN Alertable,
                      PLARGE_INTEGER Timeout)
{
    KWAIT_BLOCK block = { .Object = Object };

    if (ke_irql != DISPATCH_LEVEL || !is_poll(Timeout))
        KE_IRQL(KeWaitForSingleObject);
    return wait_for(1, &block, WaitAny, deadline_of(Timeout));
}

/* STATUS_WAIT_0 + index or STATUS_ABANDONED_WAIT_0 + index (WaitAny),
 * STATUS_SUCCESS or STATUS_ABANDONED (WaitAll), STATUS_TIMEOUT. */
NTSTATUS NTAPI
KeWaitForMultipleObjects(ULONG Count, PVOID Object[], WAIT_TYPE WaitType,
                         KWAIT_REASON WaitReason, KPROCESSOR_MODE WaitMode,
                         BOOLEAN Alertable, PLARGE_INTEGER Timeout,
                         PKWAIT_BLOCK WaitBlockArray)
{
    KWAIT_BLOCK own[THREAD_WAIT_OBJECTS];
    PKWAIT_BLOCK blocks = WaitBlockArray != NULL ? WaitBlockArray : own;

    if (ke_irql != DISPATCH_LEVEL || !is_poll(Timeout))
        KE_IRQL(KeWaitForMultipleObjects);
    if (Count == 0 || Count > MAXIMUM_WAIT_OBJECTS ||
        (WaitBlockArray == NULL && Count > THREAD_WAIT_OBJECTS))
        KeBugCheckEx(MAXIMUM_WAIT_OBJECTS_EXCEEDED, Count, 0, 0, 0);
    for (ULONG i = 0; i < Count; i++)
        blocks[i].Object = Object[i];
    return wait_for(Count, blocks, WaitType, deadline_of(Timeout));
}

/* STATUS_SUCCESS once the interval is over. */
NTSTATUS NTAPI
KeDelayExecutionThread(KPROCESSOR_MODE WaitMode, BOOLEAN Alertable,
                       PLARGE_INTEGER Interval)
{
    uint64_t deadline;

    KE_IRQL(KeDelayExecutionThread);
    deadline = ke_deadline_ns(Interval->QuadPart);
    if (deadline == 0)
        sched_yield();
    wait_for(0, NULL, WaitAny, deadline);
    return STATUS_SUCCESS;
}
