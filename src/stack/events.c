/*
 * events.c - what happened, told to whoever listens
 *
 * One event at a time, numbered without gaps, under event_lock.  The last of
 * them are kept: much happens while a service starts, before anybody can listen.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "stack/stack_internal.h"

/* A copy of an event with its texts behind it. */
struct kept_event {
    struct ri_event event;
    char texts[];
};

static size_t
room_for(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static const char *
put_text(char **at, const char *text)
{
    char *begin = *at;

    if (text == NULL)
        return NULL;
    *at += sprintf(begin, "%s", text) + 1;
    return begin;
}

/* In the place of the one that was kept longest.  One for which there is no
 * memory is missing later. */
static void
keep_locked(struct ri_service *service, const struct ri_event *event)
{
    struct kept_event **place = &service->kept_events[event->seq % EVENTS_KEPT];
    struct kept_event *kept =
        malloc(sizeof *kept + room_for(event->kind) + room_for(event->drive) +
               room_for(event->volume) + room_for(event->answers) +
               room_for(event->text) + room_for(event->library) +
               room_for(event->action));
    char *at;

    free(*place);
    *place = kept;
    if (kept == NULL)
        return;
    at = kept->texts;
    kept->event = *event;
    kept->event.kind = put_text(&at, event->kind);
    kept->event.drive = put_text(&at, event->drive);
    kept->event.volume = put_text(&at, event->volume);
    kept->event.answers = put_text(&at, event->answers);
    kept->event.text = put_text(&at, event->text);
    kept->event.library = put_text(&at, event->library);
    kept->event.action = put_text(&at, event->action);
}

void
events_free(struct ri_service *service)
{
    for (size_t i = 0; i < EVENTS_KEPT; i++)
        free(service->kept_events[i]);
}

static void
tell(struct ri_service *service, struct ri_event *event)
{
    pthread_mutex_lock(&service->event_lock);
    event->seq = ++service->last_event;
    event->time_ms = clock_wall_ms();
    keep_locked(service, event);
    for (struct subscriber *s = service->subscribers; s != NULL; s = s->next)
        s->fn(s->context, event);
    pthread_mutex_unlock(&service->event_lock);
}

void
event_send(struct ri_service *service, const char *kind, const char *drive,
           const char *volume, uint64_t prompt, const char *format, ...)
{
    char text[RI_TEXT_MAX];
    struct ri_event event = { .kind = kind,
                              .drive = drive,
                              .volume = volume,
                              .prompt = prompt,
                              .text = text };
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tell(service, &event);
}

void
event_send_prompt(struct ri_service *service,
                  const struct ri_prompt_info *prompt, const char *text)
{
    struct ri_event event = { .kind = "prompt",
                              .drive = prompt->drive,
                              .volume = prompt->volume,
                              .prompt = prompt->id,
                              .answers = prompt->answers,
                              .text = text };

    tell(service, &event);
}

void
event_send_library(struct ri_service *service, const char *library,
                   const char *action, const char *drive, const char *text)
{
    struct ri_event event = { .kind = "library",
                              .drive = drive,
                              .volume = "",
                              .text = text,
                              .library = library,
                              .action = action };

    tell(service, &event);
}

/* With event_lock. */
static void
tell_kept(struct ri_service *service, const struct subscriber *s)
{
    uint64_t seq = service->last_event > EVENTS_KEPT
                       ? service->last_event - EVENTS_KEPT + 1
                       : 1;

    for (; seq <= service->last_event; seq++) {
        const struct kept_event *kept = service->kept_events[seq % EVENTS_KEPT];

        if (kept != NULL && kept->event.seq == seq)
            s->fn(s->context, &kept->event);
    }
}

static uint64_t
subscribe(struct ri_service *service, ri_event_fn *fn, void *context,
          bool from_start)
{
    struct subscriber *s = calloc(1, sizeof *s);
    uint64_t id;

    if (s == NULL)
        return 0;
    s->fn = fn;
    s->context = context;
    pthread_mutex_lock(&service->event_lock);
    id = s->id = ++service->last_subscriber;
    if (from_start)
        tell_kept(service, s);
    s->next = service->subscribers;
    service->subscribers = s;
    pthread_mutex_unlock(&service->event_lock);
    return id;
}

uint64_t
ri_subscribe(struct ri_service *service, ri_event_fn *fn, void *context)
{
    return subscribe(service, fn, context, false);
}

uint64_t
ri_subscribe_from_start(struct ri_service *service, ri_event_fn *fn,
                        void *context)
{
    return subscribe(service, fn, context, true);
}

void
ri_unsubscribe(struct ri_service *service, uint64_t subscription)
{
    struct subscriber **at, *s = NULL;

    pthread_mutex_lock(&service->event_lock);
    for (at = &service->subscribers; *at != NULL; at = &(*at)->next)
        if ((*at)->id == subscription) {
            s = *at;
            *at = s->next;
            break;
        }
    pthread_mutex_unlock(&service->event_lock);
    free(s);
}
