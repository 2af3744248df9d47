/*
 * dispatcher.c - which waits an object ends
 *
 * A wait is a set of wait blocks, one per object, each on that object's list.
 * Whoever signals an object satisfies waits on behalf of the waiting threads,
 * takes their blocks off, and lets the threads run only once it has left the
 * lock.  So an event on the waiter's stack may go as soon as the wait returns:
 * nobody looks at it afterwards.
 *
 * Everything here is under the dispatcher lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ke_internal.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

pthread_mutex_t ke_dispatcher = PTHREAD_MUTEX_INITIALIZER;

static PKTHREAD to_wake; /* their waits have ended */

/* Once bit 0 of `park` is set the record may go: only its address is used. */
void
ke_unlock(void)
{
    PKTHREAD thread = to_wake;

    to_wake = NULL;
    pthread_mutex_unlock(&ke_dispatcher);
    while (thread != NULL) {
        PKTHREAD next = thread->wake_next;

        __atomic_fetch_or(&thread->park, 1, __ATOMIC_RELEASE);
        syscall(SYS_futex, &thread->park, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
        thread = next;
    }
}

void
ke_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

void
ke_header_init(DISPATCHER_HEADER *header, enum ke_kind kind, size_t bytes,
               LONG state)
{
    header->Lock = 0;
    header->Type = (UCHAR) kind;
    header->Size = (UCHAR) (bytes / sizeof(LONG));
    header->SignalState = state;
    InitializeListHead(&header->WaitListHead);
}

bool
ke_object_ready_locked(const DISPATCHER_HEADER *header, PKTHREAD thread)
{
    if (header->SignalState > 0)
        return true;
    return header->Type == KE_MUTEX &&
           CONTAINING_RECORD(header, KMUTANT, Header)->OwnerThread == thread;
}

static NTSTATUS
take_mutex(PKMUTANT mutex, PKTHREAD thread)
{
    if (--mutex->Header.SignalState != 0)
        return STATUS_SUCCESS; /* once more by its owner */
    thread->apc_disable += mutex->ApcDisable;
    mutex->OwnerThread = thread;
    InsertTailList(&thread->mutants, &mutex->MutantListEntry);
    if (!mutex->Abandoned)
        return STATUS_SUCCESS;
    mutex->Abandoned = FALSE;
    return STATUS_ABANDONED;
}

NTSTATUS
ke_object_take_locked(DISPATCHER_HEADER *header, PKTHREAD thread)
{
    switch (header->Type) {
    case KE_EVENT_SYNCHRONIZATION:
    case KE_TIMER_SYNCHRONIZATION:
        header->SignalState = 0;
        break;
    case KE_SEMAPHORE:
        header->SignalState--;
        break;
    case KE_MUTEX:
        return take_mutex(CONTAINING_RECORD(header, KMUTANT, Header), thread);
    default:
        break;
    }
    return STATUS_SUCCESS;
}

bool
ke_take_all_locked(PKTHREAD thread, NTSTATUS *out_status)
{
    NTSTATUS status = STATUS_SUCCESS;

    for (ULONG i = 0; i < thread->wait_count; i++)
        if (!ke_object_ready_locked(thread->wait_blocks[i].Object, thread))
            return false;
    for (ULONG i = 0; i < thread->wait_count; i++) {
        NTSTATUS one =
            ke_object_take_locked(thread->wait_blocks[i].Object, thread);

        if (one != STATUS_SUCCESS)
            status = one;
    }
    *out_status = status;
    return true;
}

void
ke_unwait_locked(PKTHREAD thread, NTSTATUS status)
{
    for (ULONG i = 0; i < thread->wait_count; i++)
        RemoveEntryList(&thread->wait_blocks[i].WaitListEntry);
    if (thread->wait_deadline != KE_NO_DEADLINE)
        RemoveEntryList(&thread->timed_entry);
    thread->waiting = FALSE;
    thread->wait_status = status;
    thread->wake_next = to_wake;
    to_wake = thread;
}

/* Ends the wait that the block belongs to, if the object's state allows it. */
static bool
satisfy(DISPATCHER_HEADER *header, PKWAIT_BLOCK block)
{
    PKTHREAD thread = block->Thread;
    NTSTATUS status;

    if (thread->wait_type == WaitAll) {
        if (!ke_take_all_locked(thread, &status))
            return false;
    } else {
        status = ke_object_take_locked(header, thread) + block->WaitKey;
    }
    ke_unwait_locked(thread, status);
    return true;
}

void
ke_object_signal_locked(DISPATCHER_HEADER *header)
{
    PLIST_ENTRY entry = header->WaitListHead.Flink;

    while (header->SignalState > 0 && entry != &header->WaitListHead) {
        PKWAIT_BLOCK block =
            CONTAINING_RECORD(entry, KWAIT_BLOCK, WaitListEntry);

        /* A satisfied wait may have had more blocks on this list. */
        if (satisfy(header, block))
            entry = header->WaitListHead.Flink;
        else
            entry = entry->Flink;
    }
}
