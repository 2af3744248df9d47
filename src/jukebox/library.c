/*
 * library.c - a library's life: opened, asked, looked at now and then, closed
 *
 * The thread of a library looks at it every `poll_s` seconds while nobody else
 * does anything with it, and at once when somebody says that something may
 * have changed (library_poke, library_drive_changed).
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/status.h"
#include "jukebox/command.h"

int
library_fail(struct ri_error *out_error, int rc, const char *format, ...)
{
    va_list args;

    if (out_error != NULL) {
        va_start(args, format);
        vsnprintf(out_error->text, sizeof out_error->text, format, args);
        va_end(args);
    }
    return rc;
}

void
library_tell(struct library *library, const char *action, uint32_t drive,
             const char *format, ...)
{
    char text[RI_TEXT_MAX];
    size_t len = (size_t) snprintf(text, sizeof text,
                                   "library %.64s: ", library->config.name);
    va_list args;

    va_start(args, format);
    vsnprintf(text + len, sizeof text - len, format, args);
    va_end(args);
    library->host.event(library->host.context, action, drive, text);
}

void
library_set_state(struct library *library, enum library_state state,
                  const char *reason)
{
    pthread_mutex_lock(&library->lock);
    library->state = state;
    snprintf(library->reason, sizeof library->reason, "%s", reason);
    pthread_mutex_unlock(&library->lock);
}

/* --- turns ---------------------------- */

bool
library_stopping(struct library *library)
{
    return __atomic_load_n(&library->stopping, __ATOMIC_ACQUIRE);
}

int
turn_take(struct library *library)
{
    uint64_t ticket;
    int rc = 0;

    pthread_mutex_lock(&library->turn_lock);
    ticket = library->turn_next++;
    while (library->turn_now != ticket)
        pthread_cond_wait(&library->turn_changed, &library->turn_lock);
    /* Every ticket is used up in its order, also at the end. */
    if (library_stopping(library)) {
        rc = -ESHUTDOWN;
        library->turn_now++;
        pthread_cond_broadcast(&library->turn_changed);
    }
    pthread_mutex_unlock(&library->turn_lock);
    return rc;
}

void
turn_pass(struct library *library)
{
    pthread_mutex_lock(&library->turn_lock);
    library->turn_now++;
    pthread_cond_broadcast(&library->turn_changed);
    pthread_mutex_unlock(&library->turn_lock);
}

bool
library_sleep(struct library *library, unsigned ms)
{
    LARGE_INTEGER due = { .QuadPart = -(LONGLONG) ms * 10000 };

    return KeWaitForSingleObject(&library->stop, Executive, KernelMode, FALSE,
                                 &due) == STATUS_TIMEOUT;
}

/* --- the thread ---------------------------- */

static const struct ri_library_command no_command = { .drive = RI_NO_DRIVE,
                                                      .flags = RI_LIB_NOWAIT };

static void
note_volumes(struct library *library, uint32_t drives)
{
    char ignored[2][RI_NAME_MAX];

    for (ULONG i = 0; i < library->counts[ChangerDrive] && i < 32; i++)
        if (drives & 1u << i)
            settle_volume(library, i, ignored[0], ignored[1]);
    settle_store(library);
}

/* Whoever schedules motions sees to it, when the drive is free. */
static void
tell_who_asks(struct library *library)
{
    for (ULONG i = 0; i < library->counts[ChangerDrive]; i++)
        if (library->host.cleaning != NULL &&
            library->host.cleaning(library->host.context, i))
            library_tell(library, "cleaning", i, "drive %u asks to be cleaned",
                         (unsigned) i);
}

static void
look(struct library *library, bool poll)
{
    struct ri_library_result result = { 0 };
    uint32_t drives;
    NTSTATUS status;
    int rc;

    if (turn_take(library) != 0)
        return;
    pthread_mutex_lock(&library->lock);
    drives = library->changed_drives;
    library->changed_drives = 0;
    poll = poll || library->poked;
    library->poked = false;
    pthread_mutex_unlock(&library->lock);
    if (poll) {
        rc = ready_library(library, &no_command, &result);
        /* Unit attentions are not relied on. */
        if (rc == 0) {
            status = elements_read_all(library);
            if (!NT_SUCCESS(status))
                library_set_state(library, ready_state(status),
                                  ready_words(library, status));
        }
        if (rc == 0 && command_hand_full(library))
            command_empty_hand(library, &no_command, &result);
        if (rc == 0)
            tell_who_asks(library);
    }
    if (drives != 0 && library->known && !library_stopping(library))
        note_volumes(library, drives);
    turn_pass(library);
}

/* A library that is not ready yet is asked sooner than an idle one. */
static LONGLONG
pause_ms(struct library *library)
{
    bool ready, opened;

    pthread_mutex_lock(&library->lock);
    ready = library->state == LIBRARY_READY || library->state == LIBRARY_MOVING;
    opened = library->opened;
    pthread_mutex_unlock(&library->lock);
    if (library->config.poll_s == 0)
        return opened ? 0 : 5000; /* it was never there to be idle */
    if (!ready && library->config.poll_s > 5)
        return 5000;
    return 1000ll * library->config.poll_s;
}

static void *
watch(void *context)
{
    struct library *library = context;

    while (!library_stopping(library)) {
        LONGLONG ms = pause_ms(library);
        LARGE_INTEGER due = { .QuadPart = -ms * 10000 };
        NTSTATUS status =
            KeWaitForSingleObject(&library->wake, Executive, KernelMode, FALSE,
                                  ms != 0 ? &due : NULL);

        if (!library_stopping(library))
            look(library, status == STATUS_TIMEOUT);
    }
    return NULL;
}

void
library_poke(struct library *library)
{
    pthread_mutex_lock(&library->lock);
    library->poked = true;
    pthread_mutex_unlock(&library->lock);
    KeSetEvent(&library->wake, IO_NO_INCREMENT, FALSE);
}

void
library_drives_again(struct library *library)
{
    pthread_mutex_lock(&library->lock);
    library->order_again = true;
    pthread_mutex_unlock(&library->lock);
    library_poke(library);
}

void
library_drive_changed(struct library *library, unsigned drive)
{
    pthread_mutex_lock(&library->lock);
    if (drive < 32)
        library->changed_drives |= 1u << drive;
    pthread_mutex_unlock(&library->lock);
    KeSetEvent(&library->wake, IO_NO_INCREMENT, FALSE);
}

/* --- life ---------------------------- */

static int
open_ledger(struct library *library, struct ri_error *out_error)
{
    char path[RI_PATH_MAX + 16], text[RI_TEXT_MAX - 100] = "";
    int rc;

    snprintf(path, sizeof path, "%s/ledger.sqlite", library->config.state);
    rc = ledger_open(path, library->config.drive_count, &library->ledger, text,
                     sizeof text);
    if (rc != 0)
        return library_fail(out_error, rc, "%s", text);
    rc = ledger_open_motion(library->ledger, &library->pending);
    if (rc == -ENOENT)
        rc = 0;
    return rc == 0 ? 0
                   : library_fail(out_error, rc, "%.200s: %.200s", path,
                                  ledger_error(library->ledger));
}

static struct library *
make(const struct ri_library_config *config, const struct library_host *host)
{
    struct library *library = calloc(1, sizeof *library);

    if (library == NULL)
        return NULL;
    library->config = *config;
    library->config.faults = library->config.parameters = NULL;
    library->config.drive.faults = library->config.drive.parameters = NULL;
    library->host = *host;
    library->first_read = true;
    library->stale = true;
    pthread_mutex_init(&library->lock, NULL);
    pthread_mutex_init(&library->turn_lock, NULL);
    pthread_cond_init(&library->turn_changed, NULL);
    KeInitializeEvent(&library->wake, SynchronizationEvent, FALSE);
    KeInitializeEvent(&library->stop, NotificationEvent, FALSE);
    return library;
}

/* Not being ready is no failure of the start. */
static void
first_look(struct library *library)
{
    struct ri_library_result result = { 0 };

    if (turn_take(library) != 0)
        return;
    if (ready_library(library, &no_command, &result) != 0)
        library_tell(library, "state", RI_NO_DRIVE, "%s", result.text);
    else
        note_volumes(library, UINT32_MAX);
    turn_pass(library);
}

int
library_open(const struct ri_library_config *config,
             const struct library_host *host, struct library **out_library,
             struct ri_error *out_error)
{
    struct library *library = make(config, host);
    int rc;

    if (library == NULL)
        return library_fail(out_error, -ENOMEM, "library %.64s: out of memory",
                            config->name);
    rc = open_ledger(library, out_error);
    if (rc != 0) {
        library_close(library);
        return rc;
    }
    first_look(library);
    rc = pthread_create(&library->thread, NULL, watch, library);
    library->thread_runs = rc == 0;
    if (rc != 0) {
        library_close(library);
        return library_fail(out_error, -rc, "library %.64s: no thread",
                            config->name);
    }
    *out_library = library;
    return 0;
}

void
library_stop(struct library *library)
{
    __atomic_store_n(&library->stopping, true, __ATOMIC_RELEASE);
    KeSetEvent(&library->stop, IO_NO_INCREMENT, FALSE);
    KeSetEvent(&library->wake, IO_NO_INCREMENT, FALSE);
}

bool
library_wait_idle(struct library *library, unsigned ms)
{
    struct timespec until;
    bool idle;
    int rc = 0;

    /* Of the process that ends: not by the clock that tests drive. */
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long) (ms % 1000) * 1000000;
    until.tv_sec += (time_t) (ms / 1000) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&library->turn_lock);
    while (library->turn_now != library->turn_next && rc == 0)
        rc = pthread_cond_timedwait(&library->turn_changed, &library->turn_lock,
                                    &until);
    idle = library->turn_now == library->turn_next;
    pthread_mutex_unlock(&library->turn_lock);
    return idle;
}

void
library_close(struct library *library)
{
    if (library == NULL)
        return;
    library_stop(library);
    if (library->thread_runs)
        pthread_join(library->thread, NULL);
    /* Whoever has a turn still ends it. */
    turn_take(library);
    if (library->file != NULL)
        library->host.close(library->host.context, library->file);
    ledger_close(library->ledger);
    for (int type = 0; type < ELEMENT_TYPES; type++)
        free(library->elements[type]), free(library->shown[type]);
    pthread_mutex_destroy(&library->lock);
    pthread_mutex_destroy(&library->turn_lock);
    pthread_cond_destroy(&library->turn_changed);
    free(library);
}

const char *
library_name(const struct library *library)
{
    return library->config.name;
}
