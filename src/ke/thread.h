/*
 * thread.h - the record of a thread
 *
 * Made when a thread first calls in, reached through a thread-local pointer,
 * dropped at the thread's end.  Others that keep a PETHREAD (an IRP does) hold
 * a reference.  Fields of the wait group are under the dispatcher lock; those
 * named "own" are touched by their thread alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef KE_THREAD_H
#define KE_THREAD_H

#include <wdm.h>

#include <stdint.h>

#define KE_THREAD_CACHES 4

/* Room before the record, zero: the object manager's. */
#define KE_OBJECT_HEAD 48

struct _KTHREAD {
    DISPATCHER_HEADER Header;   /* signalled when the thread has ended */

    /* wait: dispatcher lock */
    uint32_t park;              /* futex: bit 0 woken, rest a sequence */
    BOOLEAN waiting;
    BOOLEAN wait_takes_apcs;
    UCHAR wait_type;            /* WAIT_TYPE */
    ULONG wait_count;
    PKWAIT_BLOCK wait_blocks;   /* on the waiter's stack, or its caller's */
    NTSTATUS wait_status;       /* valid once it no longer waits */
    PKTHREAD wake_next;         /* among those that ke_unlock lets run */
    uint64_t wait_deadline;     /* ns of clock_now_ns, or KE_NO_DEADLINE */
    LIST_ENTRY timed_entry;     /* in the list of waits with a deadline */
    LIST_ENTRY mutants;         /* KMUTANT.MutantListEntry, owned mutexes */

    /* APCs: dispatcher lock, but for the flag */
    LIST_ENTRY apcs;
    BOOLEAN apc_pending;        /* atomic: something is in apcs */
    BOOLEAN ended;

    /* own */
    ULONG apc_disable;          /* critical and guarded regions, mutexes */
    ULONG guarded;              /* guarded regions */
    KPRIORITY priority;         /* atomic; stored, not used */
    BOOLEAN apc_running;
    BOOLEAN system;
    void *exit_jump;            /* jmp_buf of a system thread */
    PKSTART_ROUTINE start;      /* system threads */
    PVOID start_context;

    LONG references;            /* atomic */
};

struct _ETHREAD {
    struct _KTHREAD Tcb;

    /* of io */
    PDEVICE_OBJECT DeviceToVerify;      /* atomic; borrowed */
    BOOLEAN HardErrorsAreDisabled;      /* atomic */
    KSPIN_LOCK IrpListLock;
    LIST_ENTRY IrpList;                 /* IRP.ThreadListEntry */
    PIRP TopLevelIrp;                   /* own */
    void *cache[KE_THREAD_CACHES];      /* own; released by an exit callback */
    PSTR name;                          /* for traces; static text or NULL */
    ULONG_PTR id;                       /* a multiple of four; constant */
    LIST_ENTRY all_entry;               /* lock of thread.c */
};

/* The calling thread's record once it has one. */
extern __thread PETHREAD ke_current_thread
    __attribute__((tls_model("initial-exec")));

/* The record of a thread that calls in for the first time.  (NTAPI, as any
 * slow path of a documented routine: a call from one convention to the other
 * makes the whole caller save ten vector registers.) */
PETHREAD NTAPI ke_thread_create(VOID) __attribute__((cold));

/* KeGetCurrentThread without the call. */
static inline __attribute__((always_inline)) PETHREAD
ke_current(void)
{
    PETHREAD thread = ke_current_thread;

    return __builtin_expect(thread != NULL, 1) ? thread : ke_thread_create();
}

/* <= DISPATCH.  The last reference frees the record; a thread holds one on its
 * own until its end. */
void ke_thread_ref(PETHREAD thread);
void ke_thread_unref(PETHREAD thread);
/* Referenced, or NULL: no such thread, or nobody keeps its record. */
PETHREAD ke_thread_find(ULONG_PTR id);

/*
 * fn runs at the end of every thread that has a record, on that thread, at
 * PASSIVE, after its last APC; it takes the thread's caches away.  At most four
 * callbacks, the same one counts once, for the life of the process.
 */
void ke_thread_on_exit(void (*fn)(PETHREAD thread));

#endif
