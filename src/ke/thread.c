/*
 * thread.c - records of threads: made, found, dropped
 *
 * A thread's record is made by its first call and run down by a destructor of
 * thread-specific data: abandoned mutexes, queued APCs, exit callbacks, then
 * the thread object is signalled.  A callback of another library's destructor
 * that runs later just gets a new record.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ke_internal.h"

#include <ntifs.h>
#include <stdlib.h>

#define CALLBACKS_MAX 4

__thread PETHREAD ke_current_thread;

static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static void (*callbacks[CALLBACKS_MAX])(PETHREAD); /* dispatcher lock */

/* All records, to find one by its id; nothing else is locked under it. */
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_ENTRY all = { &all, &all };

void
ke_thread_ref(PETHREAD thread)
{
    __atomic_fetch_add(&thread->Tcb.references, 1, __ATOMIC_RELAXED);
}

void
ke_thread_unref(PETHREAD thread)
{
    if (thread == NULL)
        return;
    if (__atomic_sub_fetch(&thread->Tcb.references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    pthread_mutex_lock(&all_lock);
    RemoveEntryList(&thread->all_entry);
    pthread_mutex_unlock(&all_lock);
    free((char *) thread - KE_OBJECT_HEAD);
}

/* Unless the last reference has gone already. */
static bool
try_ref(PETHREAD thread)
{
    LONG count = __atomic_load_n(&thread->Tcb.references, __ATOMIC_RELAXED);

    while (count != 0)
        if (__atomic_compare_exchange_n(&thread->Tcb.references, &count,
                                        count + 1, true, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return true;
    return false;
}

PETHREAD
ke_thread_find(ULONG_PTR id)
{
    PETHREAD found = NULL;

    pthread_mutex_lock(&all_lock);
    for (PLIST_ENTRY entry = all.Flink; entry != &all; entry = entry->Flink) {
        PETHREAD thread = CONTAINING_RECORD(entry, struct _ETHREAD, all_entry);

        if (thread->id == id && try_ref(thread)) {
            found = thread;
            break;
        }
    }
    pthread_mutex_unlock(&all_lock);
    return found;
}

void
ke_thread_on_exit(void (*fn)(PETHREAD thread))
{
    ke_lock();
    for (int i = 0; i < CALLBACKS_MAX; i++) {
        if (callbacks[i] == NULL)
            callbacks[i] = fn;
        if (callbacks[i] == fn) {
            ke_unlock();
            return;
        }
    }
    ke_unlock();
    ke_rule_broken("ke_thread_on_exit: at most four callbacks",
                   __builtin_return_address(0));
}

static void
run_callbacks(PETHREAD thread)
{
    void (*list[CALLBACKS_MAX])(PETHREAD);

    ke_lock();
    for (int i = 0; i < CALLBACKS_MAX; i++)
        list[i] = callbacks[i];
    ke_unlock();
    for (int i = CALLBACKS_MAX - 1; i >= 0; i--)
        if (list[i] != NULL)
            list[i](thread);
}

static void
run_down(void *record)
{
    PETHREAD thread = record;

    ke_current_thread = thread;
    KE_RULE(ke_irql == PASSIVE_LEVEL, "a thread ends at PASSIVE_LEVEL");
    ke_mutexes_abandon(&thread->Tcb);
    KE_RULE(thread->Tcb.apc_disable == 0,
            "a thread does not end in a critical region");
    ke_apc_rundown(&thread->Tcb);
    run_callbacks(thread);
    ke_lock();
    thread->Tcb.Header.SignalState = 1;
    ke_object_signal_locked(&thread->Tcb.Header);
    ke_unlock();
    ke_current_thread = NULL;
    ke_thread_unref(thread);
}

static void
make_key(void)
{
    if (pthread_key_create(&key, run_down) != 0)
        abort();
}

PETHREAD
ke_thread_new(void)
{
    static ULONG_PTR last_id;
    char *block = calloc(1, KE_OBJECT_HEAD + sizeof(struct _ETHREAD));
    PETHREAD thread;

    if (block == NULL)
        return NULL;
    thread = (PETHREAD) (block + KE_OBJECT_HEAD);
    thread->id = __atomic_add_fetch(&last_id, 4, __ATOMIC_RELAXED);
    ke_header_init(&thread->Tcb.Header, KE_THREAD, sizeof thread->Tcb, 0);
    InitializeListHead(&thread->Tcb.mutants);
    InitializeListHead(&thread->Tcb.apcs);
    thread->Tcb.references = 1;
    InitializeListHead(&thread->IrpList);
    pthread_mutex_lock(&all_lock);
    InsertTailList(&all, &thread->all_entry);
    pthread_mutex_unlock(&all_lock);
    /* cppcheck-suppress memleak ; thread lies in it */
    return thread;
}

void
ke_thread_adopt(PETHREAD thread)
{
    pthread_once(&key_once, make_key);
    if (pthread_setspecific(key, thread) != 0)
        abort();
    ke_current_thread = thread;
}

static __attribute__((noinline)) PETHREAD
create(void)
{
    PETHREAD thread = ke_thread_new();

    /* The routines that need it have no way to fail. */
    if (thread == NULL)
        abort();
    ke_thread_adopt(thread);
    return thread;
}

PETHREAD NTAPI
ke_thread_create(VOID)
{
    return create();
}

PKTHREAD NTAPI
KeGetCurrentThread(VOID)
{
    return &ke_current()->Tcb;
}

BOOLEAN NTAPI
PsIsThreadTerminating(PETHREAD Thread)
{
    return __atomic_load_n(&Thread->Tcb.ended, __ATOMIC_RELAXED);
}
