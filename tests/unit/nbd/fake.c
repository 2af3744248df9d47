/*
 * fake.c - see fake.h
 *
 * SPDX-License-Identifier: MIT
 */
#include "fake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SENTENCE "A volume of the tests"

struct ri_export {
    struct ri_service *service;
    bool is_cd;
};

/* priv[0]: next; priv[1]: the export; priv[2]: held */

/* What is released comes as one burst; what is slow, one by one. */
static _Thread_local struct {
    bool open;
    struct ri_after *first;
} answers;

static struct ri_service *watchable; /* see fake_watch */
static _Thread_local bool watches;

static int
run(struct ri_service *service, struct ri_request *request)
{
    static const uint8_t zeroes[65536];
    uint64_t at = request->offset_bytes;
    uint64_t left = request->length_bytes;

    switch (request->op) {
    case RI_READ:
        return pread(service->fd, request->buffer, left, (off_t) at) ==
                       (ssize_t) left
                   ? 0
                   : EIO;
    case RI_WRITE:
        return pwrite(service->fd, request->buffer, left, (off_t) at) ==
                       (ssize_t) left
                   ? 0
                   : EIO;
    case RI_TRIM:
    case RI_ZERO:
        while (left > 0) {
            size_t bytes = left < sizeof zeroes ? left : sizeof zeroes;

            if (pwrite(service->fd, zeroes, bytes, (off_t) at) < 0)
                return EIO;
            at += bytes;
            left -= bytes;
        }
        return 0;
    case RI_BLOCK_STATUS:
        if (!service->stripes) {
            request->extents[0] = (struct ri_extent){ left, 0 };
            request->extent_count = 1;
            return 0;
        }
        /* data and holes by turns, further than asked for */
        while (left > 0 && request->extent_count < request->extent_max) {
            size_t i = request->extent_count++;

            request->extents[i].length_bytes = 65536;
            request->extents[i].flags =
                i % 2 ? RI_EXTENT_HOLE | RI_EXTENT_ZERO : 0;
            left = left > 65536 ? left - 65536 : 0;
        }
        return 0;
    case RI_FLUSH:
    case RI_PREFETCH:
        break;
    }
    return 0;
}

static void
finish(struct ri_request *request, int error, uint32_t status)
{
    struct ri_export *export_ = request->priv[1];

    if (error == 0)
        error = run(export_->service, request);
    request->error = error;
    request->status = status;
    request->done(request);
}

static void *
slow_main(void *context)
{
    struct ri_service *service = context;

    pthread_mutex_lock(&service->lock);
    for (;;) {
        struct ri_request *request = service->slow;

        if (request == NULL) {
            if (service->ending)
                break;
            pthread_cond_wait(&service->changed, &service->lock);
            continue;
        }
        service->slow = request->priv[0];
        pthread_mutex_unlock(&service->lock);
        if (service->slow_us > 1)
            usleep(service->slow_us);
        finish(request, 0, 0);
        pthread_mutex_lock(&service->lock);
    }
    pthread_mutex_unlock(&service->lock);
    return NULL;
}

struct ri_service *
fake_new(const char *path, uint64_t size_bytes)
{
    struct ri_service *service = calloc(1, sizeof *service);

    if (service == NULL)
        return NULL;
    service->fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC)
                               : memfd_create("fake", MFD_CLOEXEC);
    if (service->fd < 0 ||
        (path == NULL && ftruncate(service->fd, (off_t) size_bytes) < 0)) {
        free(service);
        return NULL;
    }
    service->size_bytes = size_bytes;
    service->block_bytes = 512;
    service->watch_fd = -1;
    pthread_mutex_init(&service->lock, NULL);
    pthread_cond_init(&service->changed, NULL);
    pthread_create(&service->slow_thread, NULL, slow_main, service);
    return service;
}

void
fake_free(struct ri_service *service)
{
    pthread_mutex_lock(&service->lock);
    service->ending = true;
    pthread_cond_broadcast(&service->changed);
    pthread_mutex_unlock(&service->lock);
    pthread_join(service->slow_thread, NULL);
    pthread_cond_destroy(&service->changed);
    pthread_mutex_destroy(&service->lock);
    close(service->fd);
    if (service->watch_fd >= 0)
        close(service->watch_fd);
    watchable = NULL;
    free(service);
}

static bool
await(struct ri_service *service, const size_t *counter, size_t count)
{
    struct timespec end;
    bool reached;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 60;
    pthread_mutex_lock(&service->lock);
    while (*counter != count &&
           pthread_cond_timedwait(&service->changed, &service->lock, &end) == 0)
        continue;
    reached = *counter == count;
    pthread_mutex_unlock(&service->lock);
    return reached;
}

bool
fake_await_held(struct ri_service *service, size_t count)
{
    return await(service, &service->held_count, count);
}

void
fake_watch(struct ri_service *service)
{
    service->watch_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    watchable = service;
}

void
fake_answer(struct ri_service *service)
{
    uint64_t one = 1;

    if (write(service->watch_fd, &one, sizeof one) < 0)
        abort();
}

bool
fake_await_watchers(struct ri_service *service, size_t count)
{
    return await(service, &service->watchers, count);
}

bool
fake_await_opens(struct ri_service *service, size_t count)
{
    return await(service, &service->opens, count);
}

size_t
fake_submits(struct ri_service *service)
{
    return __atomic_load_n(&service->submits, __ATOMIC_RELAXED);
}

unsigned
fake_last_flags(struct ri_service *service)
{
    return __atomic_load_n(&service->last_flags, __ATOMIC_RELAXED);
}

void
fake_release(struct ri_service *service, int error, uint32_t status)
{
    struct ri_request *list;

    pthread_mutex_lock(&service->lock);
    list = service->held;
    service->held = NULL;
    service->held_count = 0;
    for (struct ri_request *r = list; r != NULL; r = r->priv[0])
        r->priv[2] = NULL;
    pthread_cond_broadcast(&service->changed);
    pthread_mutex_unlock(&service->lock);
    answers.open = true;
    while (list != NULL) {
        struct ri_request *request = list;

        list = request->priv[0];
        finish(request, error, status);
    }
    answers.open = false;
    while (answers.first != NULL) {
        struct ri_after *after = answers.first;

        answers.first = after->next;
        after->run(after);
    }
}

/* --- reinsert.h ----------------------------------------------------------- */

void
ri_burst_begin(void)
{
}

void
ri_burst_end(void)
{
}

bool
ri_in_burst(void)
{
    return answers.open;
}

void
ri_after_burst(struct ri_after *after)
{
    after->next = answers.first;
    answers.first = after;
}

static void
count_watcher(bool begins)
{
    watches = begins;
    pthread_mutex_lock(&watchable->lock);
    if (begins)
        watchable->watchers++;
    else
        watchable->watchers--;
    pthread_cond_broadcast(&watchable->changed);
    pthread_mutex_unlock(&watchable->lock);
}

void
ri_watch_begin(void)
{
    if (watchable != NULL)
        count_watcher(true);
}

void
ri_watch_end(void)
{
    if (watches)
        count_watcher(false);
}

int
ri_watch_fd(void)
{
    return watches ? watchable->watch_fd : -1;
}

bool
ri_watch_take(void)
{
    uint64_t count;

    if (!watches ||
        read(watchable->watch_fd, &count, sizeof count) != sizeof count)
        return false;
    fake_release(watchable, 0, 0);
    return true;
}

void
ri_service_shutdown(struct ri_service *service)
{
    pthread_mutex_lock(&service->lock);
    service->down = true;
    pthread_mutex_unlock(&service->lock);
    if (!service->stubborn)
        fake_release(service, ESHUTDOWN, 0xC0000120);
}

static void
describe(const struct ri_service *service, bool is_cd,
         struct ri_export_info *out_info)
{
    memset(out_info, 0, sizeof *out_info);
    strcpy(out_info->name, is_cd ? "CD" : "ARCHIVE-A");
    strcpy(out_info->description, SENTENCE);
    out_info->size_bytes = service->size_bytes;
    out_info->block_bytes = is_cd ? 2048 : service->block_bytes;
    out_info->max_bytes = FAKE_MAX_BYTES;
    out_info->read_only = is_cd;
    out_info->can_fua = true;
    out_info->can_trim = true;
    out_info->can_zero = !service->no_zero;
    out_info->rotational = is_cd;
}

int
ri_exports(struct ri_service *service, struct ri_export_info **out_list,
           size_t *out_count)
{
    struct ri_export_info *list = calloc(2, sizeof *list);

    if (list == NULL)
        return -ENOMEM;
    describe(service, false, &list[0]);
    describe(service, true, &list[1]);
    *out_list = list;
    *out_count = 2;
    return 0;
}

int
ri_open(struct ri_service *service, const char *name,
        struct ri_export **out_export, struct ri_error *out_error)
{
    bool is_cd = strcmp(name, "CD") == 0;
    struct ri_export *export_;

    if (!is_cd && strcmp(name, "") != 0 && strcmp(name, "A") != 0 &&
        strcmp(name, "ARCHIVE-A") != 0) {
        snprintf(out_error->text, sizeof out_error->text,
                 "no export \"%s\"; there are ARCHIVE-A, CD", name);
        return -ENOENT;
    }
    export_ = calloc(1, sizeof *export_);
    if (export_ == NULL)
        return -ENOMEM;
    export_->service = service;
    export_->is_cd = is_cd;
    pthread_mutex_lock(&service->lock);
    service->opens++;
    pthread_mutex_unlock(&service->lock);
    *out_export = export_;
    return 0;
}

void
ri_export_info(struct ri_export *export_, struct ri_export_info *out_info)
{
    describe(export_->service, export_->is_cd, out_info);
}

void
ri_close(struct ri_export *export_)
{
    struct ri_service *service = export_->service;

    pthread_mutex_lock(&service->lock);
    service->opens--;
    pthread_cond_broadcast(&service->changed);
    pthread_mutex_unlock(&service->lock);
    free(export_);
}

static bool
is_within(const struct ri_request *request, uint64_t from, uint64_t end)
{
    return request->op != RI_FLUSH && request->offset_bytes >= from &&
           request->offset_bytes < end;
}

static bool
queue(struct ri_service *service, struct ri_request *request, bool hold)
{
    struct ri_request **list = hold ? &service->held : &service->slow;

    pthread_mutex_lock(&service->lock);
    if (service->down) {
        pthread_mutex_unlock(&service->lock);
        request->error = ESHUTDOWN;
        return true;
    }
    request->priv[0] = *list;
    request->priv[2] = hold ? request : NULL;
    *list = request;
    if (hold)
        service->held_count++;
    pthread_cond_broadcast(&service->changed);
    pthread_mutex_unlock(&service->lock);
    return false;
}

bool
ri_submit(struct ri_export *export_, struct ri_request *request)
{
    struct ri_service *service = export_->service;

    __atomic_fetch_add(&service->submits, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&service->last_flags, request->flags, __ATOMIC_RELAXED);
    request->priv[1] = export_;
    request->priv[2] = NULL;
    if (is_within(request, service->hold_from, service->hold_end))
        return queue(service, request, true);
    if (service->slow_us > 0)
        return queue(service, request, false);
    if (is_within(request, service->fail_from, service->fail_end)) {
        request->error = EIO;
        request->status = 0xC000009C;
        return true;
    }
    request->error = run(service, request);
    request->status = 0;
    return true;
}

void
ri_cancel(struct ri_request *request)
{
    struct ri_export *export_ = request->priv[1];
    struct ri_service *service = export_->service;
    void **link = (void **) &service->held;
    bool found = false;

    pthread_mutex_lock(&service->lock);
    if (request->priv[2] != NULL && !service->stubborn) {
        while (*link != request)
            link = &((struct ri_request *) *link)->priv[0];
        *link = request->priv[0];
        request->priv[2] = NULL;
        service->held_count--;
        service->cancelled++;
        found = true;
        pthread_cond_broadcast(&service->changed);
    }
    pthread_mutex_unlock(&service->lock);
    if (found)
        finish(request, EIO, 0xC0000120);
}
