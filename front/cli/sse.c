/*
 * sse.c - a parser of server-sent events
 *
 * Takes the stream in pieces of any size.  Only what our own API sends: the
 * fields "event" and "data", one line each.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES (64 * 1024)

struct sse {
    client_event_fn *fn;
    void *context;
    bool open;
    char kind[64];
    json_t *data;
    size_t len;
    char line[LINE_MAX_BYTES]; /* what lies beyond is cut off */
};

struct sse *
sse_new(client_event_fn *fn, void *context)
{
    struct sse *sse = calloc(1, sizeof *sse);

    if (sse != NULL) {
        sse->fn = fn;
        sse->context = context;
    }
    return sse;
}

void
sse_free(struct sse *sse)
{
    if (sse != NULL)
        json_decref(sse->data);
    free(sse);
}

static const char *
field_value(const char *line, const char *name)
{
    size_t len = strlen(name);

    if (strncmp(line, name, len) != 0 || line[len] != ':')
        return NULL;
    return line + len + (line[len + 1] == ' ' ? 2 : 1);
}

static int
end_of_event(struct sse *sse)
{
    int rc = 0;

    if (!sse->open) {
        sse->open = true;
        rc = sse->fn(sse->context, "", NULL);
    }
    if (rc == 0 && sse->data != NULL)
        rc = sse->fn(sse->context, sse->kind, sse->data);
    json_decref(sse->data);
    sse->data = NULL;
    sse->kind[0] = '\0';
    return rc;
}

static int
end_of_line(struct sse *sse)
{
    const char *value;

    if (sse->line[0] == '\0')
        return end_of_event(sse);
    if ((value = field_value(sse->line, "event")) != NULL) {
        strncpy(sse->kind, value, sizeof sse->kind - 1);
    } else if ((value = field_value(sse->line, "data")) != NULL) {
        json_decref(sse->data);
        sse->data = json_loads(value, 0, NULL);
    }
    return 0;
}

int
sse_feed(struct sse *sse, const char *data, size_t len)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < len; i++) {
        if (data[i] != '\n') {
            if (sse->len < sizeof sse->line - 1)
                sse->line[sse->len++] = data[i];
            continue;
        }
        sse->line[sse->len] = '\0';
        sse->len = 0;
        rc = end_of_line(sse);
    }
    return rc;
}
