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

static void
initialize(PKMUTANT mutant, LONG state, UCHAR apc_disable)
{
    ke_header_init(&mutant->Header, KE_MUTEX, sizeof *mutant, state);
    mutant->OwnerThread = NULL;
    mutant->Abandoned = FALSE;
    mutant->ApcDisable = apc_disable;
}

/* Level is not used, as documented. */
VOID NTAPI
KeInitializeMutex(PRKMUTEX Mutex, ULONG Level)
{
    initialize(Mutex, 1, 1);
}

/* A mutex whose owner may have APCs. */
VOID NTAPI
KeInitializeMutant(PRKMUTANT Mutant, BOOLEAN InitialOwner)
{
    PKTHREAD thread = &ke_current()->Tcb;

    initialize(Mutant, 1, 0);
    if (!InitialOwner)
        return;
    ke_lock();
    ke_object_take_locked(&Mutant->Header, thread);
    ke_unlock();
}

static void
free_locked(PKMUTANT mutant, bool abandoned)
{
    PKTHREAD owner = mutant->OwnerThread;

    if (owner != NULL) {
        RemoveEntryList(&mutant->MutantListEntry);
        owner->apc_disable -= mutant->ApcDisable;
    }
    mutant->OwnerThread = NULL;
    mutant->Abandoned = abandoned;
    mutant->Header.SignalState = 1;
    ke_object_signal_locked(&mutant->Header);
}

/* By another thread than the owner, NT raises STATUS_MUTANT_NOT_OWNED (or
 * STATUS_ABANDONED), uncaught; here a bug check.  Only the owner gives a mutex
 * back that has APCs disabled. */
static LONG
release(PKMUTANT mutant, bool abandoned)
{
    PKTHREAD thread = &ke_current()->Tcb;
    LONG before;

    ke_lock();
    before = mutant->Header.SignalState;
    if (mutant->OwnerThread != thread &&
        (!abandoned || mutant->ApcDisable != 0)) {
        ke_unlock();
        KeBugCheckEx(NO_EXCEPTION_HANDLING_SUPPORT,
                     (ULONG) (mutant->Abandoned ? STATUS_ABANDONED
                                                : STATUS_MUTANT_NOT_OWNED),
                     (ULONG_PTR) mutant, 0, 0);
    }
    if (abandoned || before == 0)
        free_locked(mutant, abandoned);
    else
        mutant->Header.SignalState++;
    ke_unlock();
    ke_apc_check();
    return before;
}

/* Returns 0 when it is free now. */
LONG NTAPI
KeReleaseMutex(PRKMUTEX Mutex, BOOLEAN Wait)
{
    KE_IRQL(KeReleaseMutex);
    return release(Mutex, false);
}

/* Returns the state before.  Abandoned: free, however often it was acquired,
 * and the next owner is told so. */
LONG NTAPI
KeReleaseMutant(PRKMUTANT Mutant, KPRIORITY Increment, BOOLEAN Abandoned,
                BOOLEAN Wait)
{
    KE_IRQL(KeReleaseMutant);
    return release(Mutant, Abandoned != FALSE);
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
        PKMUTANT mutex =
            CONTAINING_RECORD(thread->mutants.Flink, KMUTANT, MutantListEntry);

        TRACE(TRACE_KE, "mutex=%p abandoned by thread=%p", (void *) mutex,
              (void *) thread);
        free_locked(mutex, true);
    }
    ke_unlock();
}
