/*
 * request.c - records of commands, kept per thread
 *
 * A command needs one while the adapter has it.  A thread keeps a few, so that
 * the usual command allocates nothing and takes no lock.  A record that is
 * answered on another thread goes to that thread's.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>

#include "port/port_internal.h"

#include "base/fault.h"

/* None where a sanitizer is to see each record's life. */
#if defined(__SANITIZE_ADDRESS__)
#define KEEP_MAX 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEP_MAX 0
#endif
#endif
#ifndef KEEP_MAX
#define KEEP_MAX 16
#endif

static _Thread_local struct {
    struct port_request *list;
    int count;
    BOOLEAN known; /* exit_key is set for this thread */
} kept __attribute__((tls_model("initial-exec")));

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;

void
port_request_drain(void)
{
    struct port_request *request;

    while ((request = kept.list) != NULL) {
        kept.list = request->next;
        ExFreePoolWithTag(request, PORT_TAG);
    }
    kept.count = 0;
}

static void
thread_exits(void *unused)
{
    kept.known = FALSE;
    port_request_drain();
}

static void
make_key(void)
{
    if (pthread_key_create(&exit_key, thread_exits) != 0)
        KeBugCheckEx(DRIVER_VERIFIER_DETECTED_VIOLATION, PORT_TAG, 0, 0, 0);
}

static struct port_request *NTAPI __attribute__((noinline)) allocate(void)
{
    if (fault_hit("srb"))
        return NULL;
    return ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(struct port_request),
                                 PORT_TAG);
}

struct port_request *NTAPI
port_request_new(void)
{
    struct port_request *request = kept.list;

    if (__builtin_expect(request == NULL, 0))
        return allocate();
    kept.list = request->next;
    kept.count--;
    return request;
}

static void NTAPI __attribute__((noinline))
release_slow(struct port_request *request)
{
    if (kept.count >= KEEP_MAX) {
        ExFreePoolWithTag(request, PORT_TAG);
        return;
    }
    /* From now on this thread has something to give back at its end. */
    pthread_once(&once, make_key);
    kept.known = pthread_setspecific(exit_key, &kept) == 0;
    if (!kept.known) {
        ExFreePoolWithTag(request, PORT_TAG);
        return;
    }
    request->next = kept.list;
    kept.list = request;
    kept.count++;
}

void NTAPI
port_request_unref(struct port_request *request)
{
    /* One reference: nobody else can find it. */
    if (__atomic_load_n(&request->refs, __ATOMIC_ACQUIRE) != 1 &&
        InterlockedDecrement(&request->refs) != 0)
        return;
    if (__builtin_expect(kept.count >= KEEP_MAX || !kept.known, 0)) {
        release_slow(request);
        return;
    }
    request->next = kept.list;
    kept.list = request;
    kept.count++;
}
