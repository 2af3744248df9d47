/*
 * events.c - the stream of events, as server-sent events
 *
 * The service's events are put into a ring as ready-made frames, on whatever
 * thread raises them; each subscriber reads from the ring at its own pace on
 * the thread of its connection, so a slow one delays nobody.  One that falls
 * out of the ring is told so by an event "lost".  A subscriber without news
 * sleeps in poll and also wakes when its client goes away.
 *
 * Lock: events.lock, held for copies only.
 *
 * SPDX-License-Identifier: MIT
 */
#include "api/api_internal.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define KEEPALIVE_MS 15000
#define CHUNK_BYTES  4096

static const char greeting[] = ": events of reinsert\nretry: 1000\n\n";
static const char keepalive[] = ": still here\n\n";

/* Takes over data.  A kind is one word, so that it cannot break the frame. */
static struct api_frame
make_frame(uint64_t seq, const char *kind, json_t *data)
{
    struct api_frame frame = { 0 };
    char *json = json_dumps(data, JSON_COMPACT);
    char word[32];
    size_t n = 0;
    int len;

    for (; *kind != '\0' && n < sizeof word - 1; kind++)
        if (isalnum((unsigned char) *kind) || *kind == '-')
            word[n++] = *kind;
    word[n] = '\0';
    json_decref(data);
    if (json == NULL)
        return frame;
    len = asprintf(&frame.text, "id: %" PRIu64 "\nevent: %s\ndata: %s\n\n", seq,
                   word, json);
    free(json);
    if (len < 0)
        frame.text = NULL;
    else
        frame.len = (size_t) len;
    return frame;
}

static void
wake_locked(struct api_events *events)
{
    uint64_t one = 1;

    for (struct api_subscriber *s = events->subscribers; s; s = s->next) {
        if (!s->waiting && !events->stopping)
            continue;
        s->waiting = false;
        if (write(s->wake_fd, &one, sizeof one) < 0)
            continue; /* full: it is awake already */
    }
}

/* The first event that we are given, or a number that does not follow: begin
 * anew.  Who only waits for news has missed nothing by that. */
static void
begin_ring_locked(struct api_events *events, uint64_t seq)
{
    if (events->oldest == events->end)
        for (struct api_subscriber *s = events->subscribers; s; s = s->next)
            if (s->seq == events->end)
                s->seq = seq;
    events->oldest = seq;
}

static void
on_event(void *context, const struct ri_event *event)
{
    struct api_events *events = context;
    struct api_frame frame =
        make_frame(event->seq, event->kind, api_encode_event(event));
    struct api_frame *slot;

    pthread_mutex_lock(&events->lock);
    if (event->seq >= events->end) {
        if (event->seq != events->end)
            begin_ring_locked(events, event->seq);
        slot = &events->ring[event->seq % API_RING_MAX];
        free(slot->text);
        *slot = frame;
        frame.text = NULL;
        events->end = event->seq + 1;
        if (events->end - events->oldest > API_RING_MAX)
            events->oldest = events->end - API_RING_MAX;
        wake_locked(events);
    }
    pthread_mutex_unlock(&events->lock);
    free(frame.text);
}

void
api_events_start(struct api_events *events, struct ri_service *service)
{
    memset(events, 0, sizeof *events);
    pthread_mutex_init(&events->lock, NULL);
    events->service = service;
    events->keepalive_ms = KEEPALIVE_MS;
    events->oldest = events->end = 1;
    events->subscription = ri_subscribe_from_start(service, on_event, events);
}

void
api_events_stop(struct api_events *events)
{
    ri_unsubscribe(events->service, events->subscription);
    pthread_mutex_lock(&events->lock);
    events->stopping = true;
    wake_locked(events);
    pthread_mutex_unlock(&events->lock);
}

void
api_events_free(struct api_events *events)
{
    for (size_t i = 0; i < API_RING_MAX; i++)
        free(events->ring[i].text);
    pthread_mutex_destroy(&events->lock);
}

static struct api_frame
lost_frame(uint64_t from, uint64_t oldest)
{
    char text[128];

    snprintf(text, sizeof text,
             "events before number %" PRIu64 " are gone; read the state anew",
             oldest);
    return make_frame(oldest - 1, "lost",
                      json_pack("{s:I, s:s, s:I, s:s}", "seq",
                                (json_int_t) (oldest - 1), "kind", "lost",
                                "from", (json_int_t) from, "text", text));
}

/* The next frame for this subscriber, or none: then it is marked as waiting.
 * Also none when memory is short; the event is skipped then. */
static struct api_frame
next_frame_locked(struct api_events *events, struct api_subscriber *s)
{
    struct api_frame frame = { 0 };
    const struct api_frame *slot;

    /* Beyond the end: a client that knew an earlier life of the service. */
    if (s->seq < events->oldest || s->seq > events->end) {
        frame = lost_frame(s->seq, events->oldest);
        s->seq = events->oldest;
        return frame;
    }
    while (s->seq < events->end) {
        slot = &events->ring[s->seq++ % API_RING_MAX];
        if (slot->text == NULL || (frame.text = malloc(slot->len)) == NULL)
            continue;
        memcpy(frame.text, slot->text, slot->len);
        frame.len = slot->len;
        return frame;
    }
    s->waiting = true;
    return frame;
}

enum pause { PAUSE_NEWS, PAUSE_QUIET, PAUSE_GONE };

/* poll reports a hang-up when the client has closed for good, not when it has
 * only said that it sends no more. */
static enum pause
wait_for_news(struct api_events *events, struct api_subscriber *s)
{
    struct pollfd fds[2] = {
        { .fd = s->wake_fd, .events = POLLIN },
        { .fd = s->client_fd, .events = 0 },
    };
    uint64_t count;
    int n = poll(fds, 2, events->keepalive_ms);

    if (n < 0)
        return errno == EINTR ? PAUSE_NEWS : PAUSE_GONE;
    if (fds[1].revents != 0)
        return PAUSE_GONE;
    if (n == 0)
        return PAUSE_QUIET;
    if (read(s->wake_fd, &count, sizeof count) < 0)
        return PAUSE_NEWS; /* somebody else's wake: look again */
    return PAUSE_NEWS;
}

static ssize_t
send_rest(struct api_subscriber *s, char *out, size_t max)
{
    size_t n = s->rest_len - s->rest_sent;

    if (n > max)
        n = max;
    memcpy(out, s->rest + s->rest_sent, n);
    s->rest_sent += n;
    if (s->rest_sent == s->rest_len) {
        free(s->rest);
        s->rest = NULL;
    }
    return (ssize_t) n;
}

static ssize_t
send_text(char *out, size_t max, const char *text)
{
    size_t len = strlen(text);

    if (len > max)
        len = max;
    memcpy(out, text, len);
    return (ssize_t) len;
}

/* Called by the HTTP library on the connection's thread; may sleep. */
static ssize_t
on_read(void *context, uint64_t position, char *out, size_t max)
{
    struct api_subscriber *s = context;
    struct api_events *events = s->events;
    struct api_frame frame;
    bool stopping;

    (void) position;
    if (!s->greeted) {
        s->greeted = true;
        return send_text(out, max, greeting);
    }
    while (s->rest == NULL) {
        pthread_mutex_lock(&events->lock);
        stopping = events->stopping;
        frame.text = NULL;
        if (!stopping)
            frame = next_frame_locked(events, s);
        pthread_mutex_unlock(&events->lock);
        if (stopping)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (frame.text != NULL) {
            s->rest = frame.text;
            s->rest_len = frame.len;
            s->rest_sent = 0;
            break;
        }
        switch (wait_for_news(events, s)) {
        case PAUSE_GONE:
            return MHD_CONTENT_READER_END_WITH_ERROR;
        case PAUSE_QUIET:
            return send_text(out, max, keepalive);
        case PAUSE_NEWS:
            break;
        }
    }
    return send_rest(s, out, max);
}

static void
on_free(void *context)
{
    struct api_subscriber *s = context;
    struct api_events *events = s->events;
    struct api_subscriber **link;

    pthread_mutex_lock(&events->lock);
    for (link = &events->subscribers; *link != s; link = &(*link)->next)
        ;
    *link = s->next;
    events->subscriber_count--;
    pthread_mutex_unlock(&events->lock);
    close(s->wake_fd);
    free(s->rest);
    free(s);
}

/* False: there are too many. */
static bool
subscribe(struct api_events *events, struct api_subscriber *s,
          const char *last_id)
{
    char *end = NULL;
    uint64_t last = last_id != NULL ? strtoull(last_id, &end, 10) : 0;
    bool room;

    pthread_mutex_lock(&events->lock);
    room = events->subscriber_count < API_SUBSCRIBERS_MAX;
    if (room) {
        s->seq = end != NULL && end != last_id && *end == '\0' ? last + 1
                                                               : events->end;
        s->next = events->subscribers;
        events->subscribers = s;
        events->subscriber_count++;
    }
    pthread_mutex_unlock(&events->lock);
    return room;
}

struct MHD_Response *
api_events_response(struct api_events *events, int client_fd,
                    const char *last_id)
{
    struct api_subscriber *s = calloc(1, sizeof *s);
    struct MHD_Response *response;

    if (s == NULL)
        return NULL;
    s->events = events;
    s->client_fd = client_fd;
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->wake_fd < 0 || !subscribe(events, s, last_id)) {
        if (s->wake_fd >= 0)
            close(s->wake_fd);
        free(s);
        return NULL;
    }
    response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, CHUNK_BYTES,
                                                 on_read, s, on_free);
    if (response == NULL)
        on_free(s);
    return response;
}
