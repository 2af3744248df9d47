/*
 * http_client.c - see http_client.h
 *
 * SPDX-License-Identifier: MIT
 */
#include "http_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int
http_connect(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    if (connect(fd, (void *) &address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static int
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int) (now.tv_sec % 1000000 * 1000 + now.tv_nsec / 1000000);
}

size_t
http_read(int fd, char *out, size_t max, const char *until, int timeout_ms)
{
    int end = now_ms() + timeout_ms;
    size_t len = 0;

    out[0] = '\0';
    while (len < max - 1 && (until == NULL || strstr(out, until) == NULL)) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int left = end - now_ms();
        ssize_t n;

        if (left <= 0 || poll(&p, 1, left) <= 0)
            break;
        n = recv(fd, out + len, max - 1 - len, 0);
        if (n <= 0)
            break;
        len += (size_t) n;
        out[len] = '\0';
    }
    return len;
}

void
http_request(const char *path, const char *method, const char *target,
             const char *body, struct http_reply *out_reply)
{
    size_t max = 1 << 20;
    char *buffer = malloc(max), *text = NULL, *split;
    int fd = http_connect(path);
    int len = asprintf(&text,
                       "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       method, target, body != NULL ? strlen(body) : 0,
                       body != NULL ? body : "");

    memset(out_reply, 0, sizeof *out_reply);
    if (fd >= 0 && len > 0) {
        for (int sent = 0; sent < len;) {
            ssize_t n =
                send(fd, text + sent, (size_t) (len - sent), MSG_NOSIGNAL);

            if (n <= 0)
                break;
            sent += (int) n;
        }
        http_read(fd, buffer, max, NULL, LIMIT_MS);
        split = strstr(buffer, "\r\n\r\n");
        if (split != NULL) {
            *split = '\0';
            snprintf(out_reply->head, sizeof out_reply->head, "%s", buffer);
            sscanf(buffer, "HTTP/1.1 %d", &out_reply->status);
            out_reply->body = strdup(split + 4);
            out_reply->json = json_loads(out_reply->body, 0, NULL);
        }
        close(fd);
    }
    free(text);
    free(buffer);
}

void
http_reply_free(struct http_reply *reply)
{
    free(reply->body);
    json_decref(reply->json);
}

const char *
http_error_code(const struct http_reply *reply)
{
    const char *code = json_string_value(
        json_object_get(json_object_get(reply->json, "error"), "code"));

    return code != NULL ? code : "";
}
