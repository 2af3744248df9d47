/*
 * tape_mount_late.c - tape drives that come while their files are mounted
 *
 * The service's events tell when a drive is there; then, and whenever they can
 * be heard (again), its tape drives are asked for.  A service that is not there
 * is waited for: it may have other drives when it is back.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/tape_mount_late.h"

#include "cli/cli.h"
#include "cli/http.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AGAIN_S     1 /* a service that is gone is asked for again; doubles, ... */
#define AGAIN_MAX_S 16
#define LIST_MAX    (1 << 20)

static struct {
    pthread_mutex_t lock; /* of fuse */
    struct tapefuse *fuse;
    void (*say)(const char *text);
    char control[RI_PATH_MAX];
    bool heard; /* since the last attempt; the thread's own */
} late = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* --- which there are --------------------------------------------------------- */

struct list {
    char *text;
    size_t len;
};

static int
collect(void *context, const char *data, size_t len)
{
    struct list *list = context;
    char *more = len <= LIST_MAX - list->len
                     ? realloc(list->text, list->len + len)
                     : NULL;

    if (more == NULL)
        return -1;
    memcpy(more + list->len, data, len);
    list->text = more;
    list->len += len;
    return 0;
}

static void
add(const char *drive)
{
    char text[RI_NAME_MAX + 64];
    int n = -1;

    (void) pthread_mutex_lock(&late.lock);
    if (late.fuse != NULL)
        n = tapefuse_add(late.fuse, drive);
    (void) pthread_mutex_unlock(&late.lock);
    if (n < 0)
        return;
    (void) snprintf(text, sizeof text, "nst%d is drive %s", n, drive);
    late.say(text);
}

static void
add_all(void)
{
    struct list list = { NULL, 0 };
    struct http_call call = { .path = "/v1/tapes",
                              .sink = collect,
                              .context = &list };
    struct http *http = http_new(late.control);
    json_t *reply = NULL, *tape;
    size_t i;

    if (http != NULL && http_do(http, &call) == 0 && call.status == 200)
        reply = json_loadb(list.text, list.len, 0, NULL);
    json_array_foreach(json_object_get(reply, "tapes"), i, tape)
    {
        add(json_text(tape, "drive"));
    }
    json_decref(reply);
    free(list.text);
    http_free(http);
}

/* --- when ---------------------------------------------------------------------- */

/* The first, without a kind: from now on nothing is missed. */
static int
on_event(void *context, const char *kind, json_t *data)
{
    (void) context;
    (void) data;
    late.heard = true;
    if (kind[0] == '\0' || strcmp(kind, "drive") == 0)
        add_all();
    return 0;
}

static int
on_stream(void *context, const char *data, size_t len)
{
    return sse_feed(context, data, len);
}

/* Until it ends. */
static void
listen_to_it(void)
{
    struct sse *sse = sse_new(on_event, NULL);
    struct http_call call = { .path = "/v1/events",
                              .sink = on_stream,
                              .context = sse };
    struct http *http = http_new(late.control);

    if (http != NULL && sse != NULL)
        (void) http_do(http, &call);
    http_free(http);
    sse_free(sse);
}

static void *
follow(void *unused)
{
    struct timespec pause = { .tv_sec = AGAIN_S };

    (void) unused;
    for (;;) {
        late.heard = false;
        listen_to_it();
        if (late.heard)
            pause.tv_sec = AGAIN_S;
        (void) nanosleep(&pause, NULL);
        if (pause.tv_sec < AGAIN_MAX_S)
            pause.tv_sec *= 2;
    }
    return NULL;
}

int
tape_mount_follow(const char *control, struct tapefuse *fuse,
                  void (*say)(const char *text))
{
    pthread_t thread;
    int rc;

    late.fuse = fuse;
    late.say = say;
    (void) snprintf(late.control, sizeof late.control, "%s", control);
    rc = -pthread_create(&thread, NULL, follow, NULL);
    if (rc == 0)
        (void) pthread_detach(thread);
    return rc;
}

void
tape_mount_unfollow(void)
{
    (void) pthread_mutex_lock(&late.lock);
    late.fuse = NULL;
    (void) pthread_mutex_unlock(&late.lock);
}
