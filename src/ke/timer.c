/*
 * timer.c - the timer queue
 *
 * A list in the order of due times, searched from its end, since most timers
 * are set for later than those that already run.  DueTime is in nanoseconds of
 * base/clock; Header.Signalling says whether the timer is in the queue.  All
 * under the dispatcher lock, so a timer is in exactly one of three states for
 * KeCancelTimer: in the queue, expired with its DPC queued, expired and run.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ke_internal.h"

#include "base/clock.h"
#include "base/trace.h"

static LIST_ENTRY queue = { &queue, &queue };

static PKTIMER
timer_of(PLIST_ENTRY entry)
{
    return CONTAINING_RECORD(entry, KTIMER, TimerListEntry);
}

static void
insert_locked(PKTIMER timer, uint64_t due)
{
    PLIST_ENTRY after = queue.Blink;

    while (after != &queue && timer_of(after)->DueTime.QuadPart > due)
        after = after->Blink;
    InsertHeadList(after, &timer->TimerListEntry);
    timer->DueTime.QuadPart = due;
    timer->Header.Signalling = TRUE;
}

static bool
remove_locked(PKTIMER timer)
{
    if (!timer->Header.Signalling)
        return false;
    RemoveEntryList(&timer->TimerListEntry);
    timer->Header.Signalling = FALSE;
    return true;
}

/* Real time: periods that were missed are missed.  Manual time: each of them
 * is had, so that a test may advance by many at once. */
static uint64_t
next_period(const KTIMER *timer, uint64_t due, uint64_t now)
{
    uint64_t period = (uint64_t) timer->Period * 1000000u;
    uint64_t next = due + period;

    if (next <= now && !clock_is_manual())
        next = now + period;
    return next;
}

/* The timer is not in the queue. */
static void
expire_locked(PKTIMER timer, uint64_t due, uint64_t now)
{
    LARGE_INTEGER system;

    timer->Header.SignalState = 1;
    if (timer->Period != 0)
        insert_locked(timer, next_period(timer, due, now));
    ke_object_signal_locked(&timer->Header);
    if (timer->Dpc != NULL) {
        KeQuerySystemTime(&system);
        ke_dpc_insert_locked(timer->Dpc, (PVOID) (ULONG_PTR) system.LowPart,
                             (PVOID) (ULONG_PTR) (ULONG) system.HighPart);
    }
}

bool
ke_timer_expire_locked(void)
{
    PKTIMER first;
    uint64_t now;

    if (IsListEmpty(&queue))
        return false;
    first = timer_of(queue.Flink);
    now = clock_now_ns();
    if (first->DueTime.QuadPart > now)
        return false;
    remove_locked(first);
    expire_locked(first, first->DueTime.QuadPart, now);
    return true;
}

uint64_t
ke_timer_next_locked(void)
{
    return IsListEmpty(&queue) ? KE_NO_DEADLINE
                               : timer_of(queue.Flink)->DueTime.QuadPart;
}

void
ke_timers_drop_locked(void)
{
    while (!IsListEmpty(&queue)) {
        PKTIMER timer = timer_of(queue.Flink);

        TRACE(TRACE_KE, "timer=%p still set at shutdown", (void *) timer);
        remove_locked(timer);
    }
}

/* --- the documented routines ---------------------------------------------- */

/* Also of memory that was never a timer, so its own fields cannot tell. */
static bool
is_queued_locked(const KTIMER *timer)
{
    for (PLIST_ENTRY entry = queue.Flink; entry != &queue; entry = entry->Flink)
        if (entry == &timer->TimerListEntry)
            return true;
    return false;
}

/*
 * Of a timer that is still set: a mistake.  Where nobody looks for those, it
 * stays set and keeps its DPC, as on Windows.  Header.Size of a timer is 0, the
 * byte has another meaning there.
 */
VOID NTAPI
KeInitializeTimerEx(PKTIMER Timer, TIMER_TYPE Type)
{
    KTIMER old = { .Period = 0 };
    bool was_set;

    ke_lock();
    was_set = is_queued_locked(Timer);
    if (was_set) {
        old = *Timer;
        RemoveEntryList(&Timer->TimerListEntry);
    }
    *Timer = (KTIMER){ .Dpc = old.Dpc };
    ke_header_init(&Timer->Header,
                   Type == NotificationTimer ? KE_TIMER_NOTIFICATION
                                             : KE_TIMER_SYNCHRONIZATION,
                   0, 0);
    if (was_set)
        insert_locked(Timer, old.DueTime.QuadPart);
    ke_unlock();
    KE_RULE(!was_set, "KeInitializeTimerEx: the timer is not set");
}

VOID NTAPI
KeInitializeTimer(PKTIMER Timer)
{
    KeInitializeTimerEx(Timer, NotificationTimer);
}

/*
 * TRUE: the timer was in the queue and has been cancelled first.  An absolute
 * due time is converted at once: later changes of the system time do not move
 * it.  Period is in milliseconds.
 */
BOOLEAN NTAPI
KeSetTimerEx(PKTIMER Timer, LARGE_INTEGER DueTime, LONG Period, PKDPC Dpc)
{
    bool was_set;
    uint64_t due = ke_deadline_ns(DueTime.QuadPart);

    KE_IRQL(KeSetTimerEx);
    KE_RULE(Period >= 0, "KeSetTimerEx: Period >= 0");
    ke_lock();
    was_set = remove_locked(Timer);
    Timer->Header.SignalState = 0;
    Timer->Dpc = Dpc;
    Timer->Period = (ULONG) Period;
    if (due == 0) {
        uint64_t now = clock_now_ns();

        expire_locked(Timer, now, now);
    } else {
        insert_locked(Timer, due);
    }
    if (queue.Flink == &Timer->TimerListEntry)
        ke_dpc_thread_kick_locked();
    ke_unlock();
    return was_set;
}

BOOLEAN NTAPI
KeSetTimer(PKTIMER Timer, LARGE_INTEGER DueTime, PKDPC Dpc)
{
    return KeSetTimerEx(Timer, DueTime, 0, Dpc);
}

/* As KeSetTimerEx: that a timer may be late makes none early. */
BOOLEAN NTAPI
KeSetCoalescableTimer(PKTIMER Timer, LARGE_INTEGER DueTime, ULONG Period,
                      ULONG TolerableDelay, PKDPC Dpc)
{
    return KeSetTimerEx(Timer, DueTime, (LONG) Period, Dpc);
}

/*
 * TRUE: it was in the queue.  For one that is not periodic that means that it
 * has not expired since it was set, and its DPC will not be queued; FALSE means
 * that the DPC was queued, and has run, runs, or will (KeRemoveQueueDpc,
 * KeFlushQueuedDpcs).  A DPC queued by an earlier period is left queued.
 */
BOOLEAN NTAPI
KeCancelTimer(PKTIMER Timer)
{
    bool was_set;

    KE_IRQL(KeCancelTimer);
    ke_lock();
    was_set = remove_locked(Timer);
    ke_unlock();
    return was_set;
}

BOOLEAN NTAPI
KeReadStateTimer(PKTIMER Timer)
{
    BOOLEAN signalled;

    KE_IRQL(KeReadStateTimer);
    ke_lock();
    signalled = Timer->Header.SignalState != 0;
    ke_unlock();
    return signalled;
}
