/*
 * fake.h - a service that stands in for the real one under the NBD server
 *
 * Two exports over one file or memory: "ARCHIVE-A" (also the default, and "A")
 * and "CD", read-only with 2 KiB blocks.  Requests on chosen offsets are held
 * until they are released, cancelled, or the service is shut down; or completed
 * by another thread after a while; or failed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAKE_H
#define FAKE_H

#include <pthread.h>
#include <reinsert.h>

#define FAKE_MAX_BYTES  (4u << 20)

struct ri_service {
    int fd;
    uint64_t size_bytes;
    /* what requests on offsets from..end-1 meet */
    uint64_t hold_from, hold_end;   /* wait */
    uint64_t fail_from, fail_end;   /* STATUS_DEVICE_DATA_ERROR, EIO */
    unsigned slow_us;               /* > 0: complete on another thread */
    bool stubborn;                  /* held ones ignore ri_cancel */
    bool no_zero;                   /* can_zero is false */
    bool stripes;                   /* extents: 64 KiB of data, of hole, ... */
    uint32_t block_bytes;

    pthread_mutex_t lock;           /* below */
    pthread_cond_t changed;
    struct ri_request *held, *slow;
    size_t held_count, cancelled, opens, submits;
    unsigned last_flags;            /* of the last request */
    bool down, ending;
    int watch_fd;                   /* an eventfd, or -1: nothing to watch */
    size_t watchers;                /* threads that promise to poll it */
    pthread_t slow_thread;
};

/* path NULL: memory. */
struct ri_service *fake_new(const char *path, uint64_t size_bytes);
void fake_free(struct ri_service *service);
/* Waits until so many are held (at most some seconds). */
bool fake_await_held(struct ri_service *service, size_t count);
bool fake_await_opens(struct ri_service *service, size_t count);
/* Requests submitted so far; the flags of the last one. */
size_t fake_submits(struct ri_service *service);
unsigned fake_last_flags(struct ri_service *service);
/* From here on threads can watch; then: what is held is released by whoever
 * watches.  One service at a time. */
void fake_watch(struct ri_service *service);
void fake_answer(struct ri_service *service);
bool fake_await_watchers(struct ri_service *service, size_t count);
/* Completes what is held: error 0 carries it out. */
void fake_release(struct ri_service *service, int error, uint32_t status);

#endif
