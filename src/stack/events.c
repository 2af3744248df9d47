/*
 * events.c - what happened, told to whoever listens
 *
 * One event at a time, numbered without gaps, under event_lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "stack/stack_internal.h"

static void
tell(struct ri_service *service, struct ri_event *event)
{
    pthread_mutex_lock(&service->event_lock);
    event->seq = ++service->last_event;
    event->time_ms = clock_wall_ms();
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

uint64_t
ri_subscribe(struct ri_service *service, ri_event_fn *fn, void *context)
{
    struct subscriber *s = calloc(1, sizeof *s);
    uint64_t id;

    if (s == NULL)
        return 0;
    s->fn = fn;
    s->context = context;
    pthread_mutex_lock(&service->event_lock);
    id = s->id = ++service->last_subscriber;
    s->next = service->subscribers;
    service->subscribers = s;
    pthread_mutex_unlock(&service->event_lock);
    return id;
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
