/*
 * http.h - requests to the control API, on one connection
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_HTTP_H
#define CLI_HTTP_H

#include <stdbool.h>
#include <stddef.h>

struct http;

/* A piece of the answer.  What is not 0 ends the call, which returns it. */
typedef int http_sink_fn(void *context, const char *data, size_t len);

struct http_call {
    const char *path;
    const char *body; /* JSON, which makes it a POST, or NULL */
    http_sink_fn *sink;
    void *context;
    void (*tick)(void *context); /* once a second of waiting, or NULL */
    void *tick_context;
    int status;   /* out: of the answer, known before the sink is called */
    bool refused; /* out: nobody was there to be asked */
};

/* Connects with the first call; NULL: no memory. */
struct http *http_new(const char *socket_path);
void http_free(struct http *http);
/* 0 after a whole answer, whatever its status; what the sink returned; or
 * -errno: -EPROTO for what is no HTTP, -ECONNRESET for one that was cut off. */
int http_do(struct http *http, struct http_call *call);
/* As a part of a path; free(). */
char *http_escape(const char *text);

#endif
