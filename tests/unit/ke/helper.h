/*
 * helper.h - what the tests of ke share
 *
 * Nothing here sleeps for a fixed time: eventually() looks until something is
 * so, and gives up after ten seconds.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TEST_KE_HELPER_H
#define TEST_KE_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ke/ke_internal.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The limit, here and of all other waits, only ends a hang. */
#define LIMIT_MS 60000

#define eventually(condition)                                                 \
    do {                                                                      \
        int tries_ = 0;                                                       \
        while (!(condition)) {                                                \
            if (++tries_ > LIMIT_MS)                                          \
                fail_msg("never: %s", #condition);                            \
            usleep(1000);                                                     \
        }                                                                     \
    } while (0)

#define load(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)

static inline LARGE_INTEGER
relative_ms(int64_t ms)
{
    return (LARGE_INTEGER){ .QuadPart = -ms * 10000 };
}

static inline NTSTATUS
wait_ms(PVOID object, int64_t ms)
{
    LARGE_INTEGER timeout = relative_ms(ms);

    return KeWaitForSingleObject(object, Executive, KernelMode, FALSE,
                                 &timeout);
}

static inline NTSTATUS
wait_forever(PVOID object)
{
    return KeWaitForSingleObject(object, Executive, KernelMode, FALSE, NULL);
}

/* How many waits the object has. */
static inline int
waiters(PVOID object)
{
    DISPATCHER_HEADER *header = object;
    int n = 0;

    ke_lock();
    for (PLIST_ENTRY e = header->WaitListHead.Flink;
         e != &header->WaitListHead; e = e->Flink)
        n++;
    ke_unlock();
    return n;
}

static inline pthread_t
start(void *(*fn)(void *), void *argument)
{
    pthread_t id;

    assert_int_equal(pthread_create(&id, NULL, fn, argument), 0);
    return id;
}

/* fn, in a process of its own, ends by abort() after saying `text`. */
static inline void
assert_dies(void (*fn)(void), const char *text)
{
    char said[4096];
    size_t len = 0;
    ssize_t n;
    int ends[2], status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        struct rlimit none = { 0, 0 };

        setrlimit(RLIMIT_CORE, &none);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        fn();
        _exit(0);
    }
    close(ends[1]);
    while ((n = read(ends[0], said + len, sizeof said - 1 - len)) > 0)
        len += (size_t) n;
    said[len] = '\0';
    close(ends[0]);
    waitpid(child, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        fail_msg("did not abort; said: %s", said);
    if (strstr(said, text) == NULL)
        fail_msg("wanted \"%s\", said: %s", text, said);
}

static inline int
end_ke(void **state)
{
    ke_shutdown();
    return 0;
}

#endif
