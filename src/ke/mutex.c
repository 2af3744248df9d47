/*
 * mutex.c - mutexes: owned by a thread, taken again by it at will
 *
 * SignalState is 1 when free, 0 when owned once, less with each further time.
 * The owner runs with normal kernel APCs disabled, as in a critical region.
 * A thread that ends as the owner leaves the mutex abandoned: the next wait
 * gets it with STATUS_ABANDONED.  (NT bug checks when a system thread does
 * that; the threads here are also those of the embedding program.)
 *
 * SPDX-License-Identifier: MIT
 */
#include "ke_internal.h"

#include "base/trace.h"

/* Level is not used, as documented. */
VOID NTAPI
KeInitializeMutex(PRKMUTEX Mutex, ULONG Level)
{
    ke_header_init(&Mutex->Header, KE_MUTEX, sizeof *Mutex, 1);
    Mutex->OwnerThread = NULL;
    Mutex->Abandoned = FALSE;
    Mutex->ApcDisable = 1;
}

/* Returns 0 when it is free now.  By another thread than the owner, NT raises
 * STATUS_MUTANT_NOT_OWNED, uncaught; here a bug check. */
LONG NTAPI
KeReleaseMutex(PRKMUTEX Mutex, BOOLEAN Wait)
{
    PKTHREAD thread = &ke_current()->Tcb;
    LONG before;

    KE_IRQL(KeReleaseMutex);
    ke_lock();
    if (Mutex->OwnerThread != thread) {
        ke_unlock();
        KeBugCheckEx(NO_EXCEPTION_HANDLING_SUPPORT,
                     (ULONG) STATUS_MUTANT_NOT_OWNED, (ULONG_PTR) Mutex, 0, 0);
    }
    before = Mutex->Header.SignalState++;
    if (before == 0) {
        RemoveEntryList(&Mutex->MutantListEntry);
        Mutex->OwnerThread = NULL;
        thread->apc_disable -= Mutex->ApcDisable;
        ke_object_signal_locked(&Mutex->Header);
    }
    ke_unlock();
    ke_apc_check();
    return before;
}

LONG NTAPI
KeReadStateMutex(PRKMUTEX Mutex)
{
    LONG state;

    KE_IRQL(KeReadStateMutex);
    ke_lock();
    state = Mutex->Header.SignalState;
    ke_unlock();
    return state;
}

void
ke_mutexes_abandon(PKTHREAD thread)
{
    ke_lock();
    while (!IsListEmpty(&thread->mutants)) {
        PKMUTANT mutex = CONTAINING_RECORD(RemoveHeadList(&thread->mutants),
                                           KMUTANT, MutantListEntry);

        TRACE(TRACE_KE, "mutex=%p abandoned by thread=%p", (void *) mutex,
              (void *) thread);
        mutex->OwnerThread = NULL;
        mutex->Abandoned = TRUE;
        mutex->Header.SignalState = 1;
        thread->apc_disable -= mutex->ApcDisable;
        ke_object_signal_locked(&mutex->Header);
    }
    ke_unlock();
}
