/*
 * system_thread.c - threads that ke starts itself
 *
 * Each is joined: by the next one that ends, or by ke_shutdown.  They block all
 * signals, which belong to the embedding program.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ke_internal.h"

#include "base/fault.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>

struct spawned {
    struct spawned *next;
    pthread_t id;
    void (*fn)(void *);
    void *context;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t other = PTHREAD_COND_INITIALIZER; /* the next two are */
static unsigned alive;                                  /* lock */
static unsigned begun;                                  /* lock: ever */
static struct spawned *over; /* lock: not yet joined */

/* Joins the threads that have ended. */
static void
join_ended_locked(void)
{
    while (over != NULL) {
        struct spawned *one = over;

        over = one->next;
        pthread_mutex_unlock(&lock);
        pthread_join(one->id, NULL);
        free(one);
        pthread_mutex_lock(&lock);
    }
}

static void *
start(void *argument)
{
    struct spawned *me = argument;

    me->fn(me->context);
    pthread_mutex_lock(&lock);
    join_ended_locked();
    me->next = over;
    over = me;
    alive--;
    pthread_cond_broadcast(&other);
    pthread_mutex_unlock(&lock);
    return NULL;
}

int
ke_spawn(void (*fn)(void *), void *context)
{
    struct spawned *one = malloc(sizeof *one);
    sigset_t all, before;
    int error;

    if (one == NULL)
        return -ENOMEM;
    one->fn = fn;
    one->context = context;
    sigfillset(&all);
    pthread_mutex_lock(&lock);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = fault_hit("thread") ? EAGAIN
                                : pthread_create(&one->id, NULL, start, one);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) {
        alive++;
        begun++;
        pthread_cond_broadcast(&other);
    }
    pthread_mutex_unlock(&lock);
    if (error != 0)
        free(one);
    return -error;
}

bool
ke_spawned_join(unsigned of)
{
    bool ended;

    pthread_mutex_lock(&lock);
    while (alive != 0 && begun == of)
        pthread_cond_wait(&other, &lock);
    ended = alive == 0;
    if (ended)
        join_ended_locked();
    pthread_mutex_unlock(&lock);
    return ended;
}

unsigned
ke_spawned_begun(void)
{
    unsigned n;

    pthread_mutex_lock(&lock);
    n = begun;
    pthread_mutex_unlock(&lock);
    return n;
}

unsigned
ke_spawned_count(void)
{
    unsigned n;

    pthread_mutex_lock(&lock);
    n = alive;
    pthread_mutex_unlock(&lock);
    return n;
}

static void
system_main(void *argument)
{
    PETHREAD thread = argument;
    jmp_buf out;

    ke_thread_adopt(thread);
    thread->Tcb.exit_jump = &out;
    if (setjmp(out) == 0)
        thread->Tcb.start(thread->Tcb.start_context);
    thread->Tcb.exit_jump = NULL;
    KE_RULE(ke_irql == PASSIVE_LEVEL, "a system thread ends at PASSIVE_LEVEL");
}

PETHREAD
ke_system_thread_new(PKSTART_ROUTINE start_routine, PVOID context)
{
    PETHREAD thread = ke_thread_new();

    if (thread == NULL)
        return NULL;
    thread->Tcb.system = TRUE;
    thread->Tcb.start = start_routine;
    thread->Tcb.start_context = context;
    return thread;
}

bool
ke_system_thread_start(PETHREAD thread)
{
    ke_thread_ref(thread);
    if (ke_spawn(system_main, thread) == 0)
        return true;
    ke_thread_unref(thread);
    return false;
}

/* Does not return, unless the caller is not a system thread. */
NTSTATUS NTAPI
PsTerminateSystemThread(NTSTATUS ExitStatus)
{
    PETHREAD thread = ke_current();

    KE_IRQL(PsTerminateSystemThread);
    if (thread->Tcb.exit_jump == NULL)
        return STATUS_INVALID_PARAMETER;
    longjmp(*(jmp_buf *) thread->Tcb.exit_jump, 1);
}

BOOLEAN NTAPI
PsIsSystemThread(PETHREAD Thread)
{
    return Thread->Tcb.system;
}
