/*
 * client.c - requests to the control API over its unix socket
 *
 * Every failure is told on stderr here, and becomes the exit code that the
 * verb returns.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"
#include "cli/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define REPLY_MAX (16u * 1024 * 1024)

struct client {
    char path[RI_PATH_MAX];
    const char *verb;
    struct http *http;
    client_wait_fn *tick;
    void *tick_context;
};

struct buffer {
    char *data;
    size_t len, room;
};

/* What an error of the API means for the exit code; all others are 1. */
static const struct {
    const char *code;
    int exit_code;
} exit_rows[] = {
    { "no-medium", CLI_NOT_READY },       { "io-error", CLI_MEDIUM },
    { "invalid", CLI_ILLEGAL },           { "not-supported", CLI_ILLEGAL },
    { "write-protected", CLI_PROTECTED }, { "timeout", CLI_TIMEOUT },
};

int
client_open(const struct cli *cli, struct client **out_client)
{
    struct client *client = calloc(1, sizeof *client);
    struct sockaddr_un address;

    if (client == NULL) {
        cli_say("out of memory");
        return CLI_FAILED;
    }
    client->verb = cli->verb->name;
    cli_control_path(cli, client->path, sizeof client->path);
    if (strlen(client->path) >= sizeof address.sun_path) {
        cli_say("control socket %s: the path is longer than %zu bytes",
                client->path, sizeof address.sun_path - 1);
        client_close(client);
        return CLI_USAGE;
    }
    client->http = http_new(client->path);
    if (client->http == NULL) {
        client_close(client);
        cli_say("out of memory");
        return CLI_FAILED;
    }
    *out_client = client;
    return 0;
}

void
client_close(struct client *client)
{
    if (client != NULL)
        http_free(client->http);
    free(client);
}

char *
client_path(const char *before, const char *name, const char *after)
{
    char *escaped = http_escape(name);
    char *path = NULL;

    if (escaped == NULL ||
        asprintf(&path, "%s%s%s", before, escaped, after) < 0)
        path = NULL;
    free(escaped);
    return path;
}

static int
collect(void *context, const char *data, size_t len)
{
    struct buffer *buffer = context;
    size_t need = buffer->len + len, room = buffer->room;
    char *grown;

    if (need > REPLY_MAX)
        return -EMSGSIZE;
    while (room < need)
        room = room > 0 ? 2 * room : 64 * 1024;
    grown = room > buffer->room ? realloc(buffer->data, room) : buffer->data;
    if (grown == NULL)
        return -ENOMEM;
    memcpy(grown + buffer->len, data, len);
    buffer->data = grown;
    buffer->room = room;
    buffer->len = need;
    return 0;
}

static int
transport_failure(const struct client *client, const struct http_call *call,
                  int rc)
{
    if (call->refused && rc == -EACCES)
        cli_say("no access to %s: the service belongs to another user",
                client->path);
    else if (call->refused)
        cli_say("no service at %s: start one with: reinsert serve IMAGE...",
                client->path);
    else
        cli_say("%s: the service at %s did not answer: %s", client->verb,
                client->path, strerror(-rc));
    return CLI_FAILED;
}

static int
api_failure(const struct client *client, int http, const json_t *reply)
{
    const json_t *error = json_object_get(reply, "error");
    const char *code = json_text(error, "code");

    if (error == NULL)
        cli_say("%s: the service answered with HTTP status %d", client->verb,
                http);
    else
        cli_say("%s: %s", client->verb, json_text(error, "text"));
    for (size_t i = 0; i < sizeof exit_rows / sizeof exit_rows[0]; i++)
        if (strcmp(code, exit_rows[i].code) == 0)
            return exit_rows[i].exit_code;
    return CLI_FAILED;
}

void
client_on_wait(struct client *client, client_wait_fn *tick, void *context)
{
    client->tick = tick;
    client->tick_context = context;
}

/* One request; body NULL makes it a GET. */
static int
exchange(struct client *client, const char *path, const char *body,
         int *out_http, json_t **out_reply)
{
    struct buffer buffer = { 0 };
    struct http_call call = { .path = path,
                              .body = body,
                              .sink = collect,
                              .context = &buffer,
                              .tick = client->tick,
                              .tick_context = client->tick_context };
    int rc = http_do(client->http, &call);

    *out_http = call.status;
    if (rc != 0)
        rc = transport_failure(client, &call, rc);
    else
        *out_reply = buffer.data == NULL
                         ? NULL
                         : json_loadb(buffer.data, buffer.len, 0, NULL);
    free(buffer.data);
    return rc;
}

static int
request(struct client *client, const char *path, const char *body,
        json_t **out_reply)
{
    json_t *reply = NULL;
    int http = 0;
    int rc = exchange(client, path, body, &http, &reply);

    if (rc == 0 && (http != 200 || reply == NULL)) {
        rc = api_failure(client, http, reply);
        json_decref(reply);
    } else if (rc == 0) {
        *out_reply = reply;
    }
    return rc;
}

int
client_try(struct client *client, const char *path, const json_t *body,
           json_t **out_reply)
{
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    json_t *reply = NULL;
    int http = 0;
    int rc = exchange(client, path, text, &http, &reply);

    free(text);
    if (rc == 0 && reply == NULL)
        rc = api_failure(client, http, NULL);
    if (rc == 0)
        *out_reply = reply;
    return rc;
}

int
client_get(struct client *client, const char *path, json_t **out_reply)
{
    return request(client, path, NULL, out_reply);
}

int
client_post(struct client *client, const char *path, const json_t *body,
            json_t **out_reply)
{
    char *text = json_dumps(body, JSON_COMPACT);
    int rc;

    if (text == NULL) {
        cli_say("%s: this is not UTF-8", client->verb);
        return CLI_USAGE;
    }
    rc = request(client, path, text, out_reply);
    free(text);
    return rc;
}

/* --- the stream --------------------------------------------------------------
 */

struct stream {
    struct sse *sse;
    struct http_call *call;
    int result; /* what the verb's function said */
};

static int
on_stream(void *context, const char *data, size_t len)
{
    struct stream *stream = context;

    if (stream->call->status != 200)
        return 0; /* an error, in words for programs */
    stream->result = sse_feed(stream->sse, data, len);
    return stream->result;
}

int
client_events(struct client *client, client_event_fn *fn, void *context)
{
    struct stream stream = { .sse = sse_new(fn, context) };
    struct http_call call = { .path = "/v1/events",
                              .sink = on_stream,
                              .context = &stream };
    struct http *http = http_new(client->path); /* requests go on meanwhile */
    int rc;

    stream.call = &call;
    if (http == NULL || stream.sse == NULL) {
        http_free(http);
        sse_free(stream.sse);
        cli_say("out of memory");
        return CLI_FAILED;
    }
    rc = http_do(http, &call);
    if (stream.result != 0) {
        rc = stream.result == CLIENT_STOP ? 0 : stream.result;
    } else if (call.refused) {
        rc = transport_failure(client, &call, rc);
    } else if (rc == 0 && call.status != 200) {
        rc = api_failure(client, call.status, NULL);
    } else {
        cli_say("%s: the service at %s has ended", client->verb, client->path);
        rc = CLI_FAILED;
    }
    sse_free(stream.sse);
    http_free(http);
    return rc;
}
