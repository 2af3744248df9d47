/*
 * event.c - events and semaphores
 *
 * Callers <= DISPATCH.  `Wait` is accepted and means nothing: on NT it keeps
 * the dispatcher locked up to a wait that must follow, which saves a thread
 * switch there and changes no result here.  Priority increments: likewise.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ke_internal.h"

VOID NTAPI
KeInitializeEvent(PRKEVENT Event, EVENT_TYPE Type, BOOLEAN State)
{
    ke_header_init(&Event->Header,
                   Type == NotificationEvent ? KE_EVENT_NOTIFICATION
                                             : KE_EVENT_SYNCHRONIZATION,
                   sizeof *Event, State != FALSE);
}

/* Returns the state before: non-zero when it was signalled already. */
LONG NTAPI
KeSetEvent(PRKEVENT Event, KPRIORITY Increment, BOOLEAN Wait)
{
    LONG before;

    KE_IRQL(KeSetEvent);
    ke_lock();
    before = Event->Header.SignalState;
    if (before == 0) {
        Event->Header.SignalState = 1;
        ke_object_signal_locked(&Event->Header);
    }
    ke_unlock();
    return before;
}

/* The waits that it ends now, and then as if it had not been set. */
LONG NTAPI
KePulseEvent(PRKEVENT Event, KPRIORITY Increment, BOOLEAN Wait)
{
    LONG before;

    KE_IRQL(KePulseEvent);
    ke_lock();
    before = Event->Header.SignalState;
    if (before == 0) {
        Event->Header.SignalState = 1;
        ke_object_signal_locked(&Event->Header);
    }
    Event->Header.SignalState = 0;
    ke_unlock();
    return before;
}

LONG NTAPI
KeResetEvent(PRKEVENT Event)
{
    LONG before;

    KE_IRQL(KeResetEvent);
    ke_lock();
    before = Event->Header.SignalState;
    Event->Header.SignalState = 0;
    ke_unlock();
    return before;
}

VOID NTAPI
KeClearEvent(PRKEVENT Event)
{
    KeResetEvent(Event);
}

static LONG
read_state(DISPATCHER_HEADER *header)
{
    LONG state;

    ke_lock();
    state = header->SignalState;
    ke_unlock();
    return state;
}

LONG NTAPI
KeReadStateEvent(PRKEVENT Event)
{
    KE_IRQL(KeReadStateEvent);
    return read_state(&Event->Header);
}

VOID NTAPI
KeInitializeSemaphore(PRKSEMAPHORE Semaphore, LONG Count, LONG Limit)
{
    KE_RULE(Limit > 0 && Count >= 0 && Count <= Limit,
            "KeInitializeSemaphore: 0 <= Count <= Limit, Limit > 0");
    ke_header_init(&Semaphore->Header, KE_SEMAPHORE, sizeof *Semaphore, Count);
    Semaphore->Limit = Limit;
}

/* Returns the count before.  NT raises STATUS_SEMAPHORE_LIMIT_EXCEEDED as an
 * exception, which no driver catches; here it is the bug check it ends in. */
LONG NTAPI
KeReleaseSemaphore(PRKSEMAPHORE Semaphore, KPRIORITY Increment, LONG Adjustment,
                   BOOLEAN Wait)
{
    LONG before;

    KE_IRQL(KeReleaseSemaphore);
    ke_lock();
    before = Semaphore->Header.SignalState;
    if (Adjustment <= 0 || Adjustment > Semaphore->Limit - before) {
        ke_unlock();
        KeBugCheckEx(NO_EXCEPTION_HANDLING_SUPPORT,
                     (ULONG) STATUS_SEMAPHORE_LIMIT_EXCEEDED,
                     (ULONG_PTR) Semaphore, (ULONG_PTR) Adjustment,
                     (ULONG_PTR) before);
    }
    Semaphore->Header.SignalState = before + Adjustment;
    ke_object_signal_locked(&Semaphore->Header);
    ke_unlock();
    return before;
}

LONG NTAPI
KeReadStateSemaphore(PRKSEMAPHORE Semaphore)
{
    KE_IRQL(KeReadStateSemaphore);
    return read_state(&Semaphore->Header);
}
