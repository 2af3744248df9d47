/*
 * http_client.h - a raw HTTP client for tests: sees every byte
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <jansson.h>

#define LIMIT_MS 60000 /* only ends a hang */

struct http_reply {
    int status;
    char head[4096];
    char *body;   /* free() */
    json_t *json; /* or NULL; decref */
};

int http_connect(const char *path);
/* Reads with a timeout until the peer closes, `until` was seen, or time is
 * up; the text is terminated.  Returns its length. */
size_t http_read(int fd, char *out, size_t max, const char *until,
                 int timeout_ms);
void http_request(const char *path, const char *method, const char *target,
                  const char *body, struct http_reply *out_reply);
void http_reply_free(struct http_reply *reply);
const char *http_error_code(const struct http_reply *reply);

#endif
