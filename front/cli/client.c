/*
 * client.c - requests to the control API over its unix socket
 *
 * Every failure is told on stderr here, and becomes the exit code that the
 * verb returns.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cli.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define REPLY_MAX (16u * 1024 * 1024)

struct client {
    char path[RI_PATH_MAX];
    const char *verb;
    CURL *curl; /* kept connected between requests */
    client_wait_fn *tick;
    void *tick_context;
};

struct buffer {
    char *data;
    size_t len;
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

    if (client == NULL || (client->curl = curl_easy_init()) == NULL) {
        free(client);
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
    *out_client = client;
    return 0;
}

void
client_close(struct client *client)
{
    if (client != NULL)
        curl_easy_cleanup(client->curl);
    free(client);
}

char *
client_path(const char *before, const char *name, const char *after)
{
    char *escaped = curl_easy_escape(NULL, name, 0);
    char *path = NULL;

    if (escaped == NULL ||
        asprintf(&path, "%s%s%s", before, escaped, after) < 0)
        path = NULL;
    curl_free(escaped);
    return path;
}

static size_t
collect(char *data, size_t size, size_t count, void *context)
{
    struct buffer *buffer = context;
    char *grown;

    if (buffer->len + count > REPLY_MAX)
        return 0;
    grown = realloc(buffer->data, buffer->len + count + 1);
    if (grown == NULL)
        return 0;
    memcpy(grown + buffer->len, data, size * count);
    buffer->data = grown;
    buffer->len += size * count;
    return size * count;
}

static void
prepare(struct client *client, CURL *curl, const char *path)
{
    char url[4096];

    curl_easy_reset(curl);
    snprintf(url, sizeof url, "http://localhost%s", path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->path);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
}

static int
transport_failure(const struct client *client, CURL *curl, CURLcode code)
{
    long os_error = 0;

    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os_error);
    if (code == CURLE_COULDNT_CONNECT && os_error == EACCES)
        cli_say("no access to %s: the service belongs to another user",
                client->path);
    else if (code == CURLE_COULDNT_CONNECT)
        cli_say("no service at %s: start one with: reinsert serve IMAGE...",
                client->path);
    else
        cli_say("%s: the service at %s did not answer: %s", client->verb,
                client->path, curl_easy_strerror(code));
    return CLI_FAILED;
}

static int
api_failure(const struct client *client, long http, const json_t *reply)
{
    const json_t *error = json_object_get(reply, "error");
    const char *code = json_text(error, "code");

    if (error == NULL)
        cli_say("%s: the service answered with HTTP status %ld", client->verb,
                http);
    else
        cli_say("%s: %s", client->verb, json_text(error, "text"));
    for (size_t i = 0; i < sizeof exit_rows / sizeof exit_rows[0]; i++)
        if (strcmp(code, exit_rows[i].code) == 0)
            return exit_rows[i].exit_code;
    return CLI_FAILED;
}

static int
on_progress(void *context, curl_off_t down_all, curl_off_t down,
            curl_off_t up_all, curl_off_t up)
{
    struct client *client = context;

    (void) down_all;
    (void) down;
    (void) up_all;
    (void) up;
    client->tick(client->tick_context);
    return 0;
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
         long *out_http, json_t **out_reply)
{
    CURL *curl = client->curl;
    struct buffer buffer = { 0 };
    struct curl_slist *headers = NULL;
    CURLcode code;
    int rc = 0;

    prepare(client, curl, path);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &buffer);
    if (client->tick != NULL) {
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, client);
    }
    if (body != NULL) {
        headers = curl_slist_append(headers, "Content-Type: application/json");
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
    code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, out_http);
    if (code != CURLE_OK)
        rc = transport_failure(client, curl, code);
    else
        *out_reply = buffer.data == NULL
                         ? NULL
                         : json_loadb(buffer.data, buffer.len, 0, NULL);
    curl_slist_free_all(headers);
    free(buffer.data);
    return rc;
}

static int
request(struct client *client, const char *path, const char *body,
        json_t **out_reply)
{
    json_t *reply = NULL;
    long http = 0;
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
    long http = 0;
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
    int result; /* what the verb's function said */
};

static size_t
on_stream(char *data, size_t size, size_t count, void *context)
{
    struct stream *stream = context;

    stream->result = sse_feed(stream->sse, data, size * count);
    return stream->result == 0 ? size * count : 0;
}

int
client_events(struct client *client, client_event_fn *fn, void *context)
{
    struct stream stream = { .sse = sse_new(fn, context) };
    CURL *curl = curl_easy_init();
    CURLcode code;
    int rc;

    if (curl == NULL || stream.sse == NULL) {
        curl_easy_cleanup(curl);
        sse_free(stream.sse);
        cli_say("out of memory");
        return CLI_FAILED;
    }
    prepare(client, curl, "/v1/events");
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_stream);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &stream);
    code = curl_easy_perform(curl);
    if (stream.result != 0) {
        rc = stream.result == CLIENT_STOP ? 0 : stream.result;
    } else if (code == CURLE_COULDNT_CONNECT ||
               code == CURLE_HTTP_RETURNED_ERROR) {
        rc = transport_failure(client, curl, code);
    } else {
        cli_say("%s: the service at %s has ended", client->verb, client->path);
        rc = CLI_FAILED;
    }
    sse_free(stream.sse);
    curl_easy_cleanup(curl);
    return rc;
}
