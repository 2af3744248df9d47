/*
 * http.c - HTTP/1.1 over a unix socket, as much of it as our own API speaks
 *
 * A library would do, but each brings thirty others, and starting a program
 * with them takes longer than its question.  One request at a time; the
 * connection is kept.  A request is sent twice only if nobody can have read
 * the first: on a connection that was found ended before it was sent.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/http.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BUFFER_BYTES (64 * 1024)

struct http {
    struct sockaddr_un address;
    int fd;          /* -1: not connected */
    size_t at, have; /* of the buffer: read so far, and received */
    char buffer[BUFFER_BYTES];
};

/* How the end of an answer is known. */
struct framing {
    bool chunked, sized, closes;
    unsigned long long bytes;
};

struct http *
http_new(const char *socket_path)
{
    struct http *http = malloc(sizeof *http);

    if (http == NULL)
        return NULL;
    memset(http, 0, offsetof(struct http, buffer));
    http->fd = -1;
    http->address.sun_family = AF_UNIX;
    snprintf(http->address.sun_path, sizeof http->address.sun_path, "%s",
             socket_path);
    return http;
}

static void
hang_up(struct http *http)
{
    if (http->fd >= 0)
        close(http->fd);
    http->fd = -1;
    http->at = http->have = 0;
}

void
http_free(struct http *http)
{
    if (http == NULL)
        return;
    hang_up(http);
    free(http);
}

/* --- out -------------------------------------------------------------------- */

/* Between two answers nothing may come: if something did, it is the end. */
static bool
has_ended(const struct http *http)
{
    struct pollfd wait = { .fd = http->fd, .events = POLLIN };

    return http->at != http->have || poll(&wait, 1, 0) != 0;
}

static int
connect_it(struct http *http)
{
    int rc;

    if (http->fd >= 0 && has_ended(http))
        hang_up(http);
    if (http->fd >= 0)
        return 0;
    http->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (http->fd < 0)
        return -errno;
    do
        rc = connect(http->fd, (struct sockaddr *) &http->address,
                     sizeof http->address);
    while (rc != 0 && errno == EINTR);
    if (rc == 0)
        return 0;
    rc = -errno;
    hang_up(http);
    return rc;
}

static int
send_all(struct http *http, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(http->fd, data, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        len -= (size_t) n;
    }
    return 0;
}

static int
send_request(struct http *http, const struct http_call *call)
{
    char *text;
    int len, rc;

    if (call->body == NULL)
        len = asprintf(&text,
                       "GET %s HTTP/1.1\r\nHost: localhost\r\n"
                       "Accept: */*\r\n\r\n",
                       call->path);
    else
        len = asprintf(&text,
                       "POST %s HTTP/1.1\r\nHost: localhost\r\n"
                       "Accept: */*\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       call->path, strlen(call->body), call->body);
    if (len < 0)
        return -ENOMEM;
    rc = send_all(http, text, (size_t) len);
    free(text);
    return rc;
}

/* --- in --------------------------------------------------------------------- */

/* More into the buffer: 0, -ECONNRESET at the end of the connection. */
static int
receive(struct http *http, const struct http_call *call)
{
    struct pollfd wait = { .fd = http->fd, .events = POLLIN };
    ssize_t n;
    int ready;

    if (http->at == http->have)
        http->at = http->have = 0;
    if (http->have == BUFFER_BYTES) {
        memmove(http->buffer, http->buffer + http->at, http->have - http->at);
        http->have -= http->at;
        http->at = 0;
    }
    if (http->have == BUFFER_BYTES)
        return -EMSGSIZE;
    for (;;) {
        ready = poll(&wait, 1, call->tick != NULL ? 1000 : -1);
        if (ready == 0 && call->tick != NULL)
            call->tick(call->tick_context);
        if (ready == 0 || (ready < 0 && errno == EINTR))
            continue;
        n = recv(http->fd, http->buffer + http->have, BUFFER_BYTES - http->have,
                 0);
        if (n >= 0 || errno != EINTR)
            break;
    }
    if (n < 0)
        return -errno;
    http->have += (size_t) n;
    return n == 0 ? -ECONNRESET : 0;
}

/* The next line, without its end; valid until more is received. */
static int
read_line(struct http *http, const struct http_call *call, char **out_line)
{
    char *end;
    int rc;

    while ((end = memchr(http->buffer + http->at, '\n',
                         http->have - http->at)) == NULL) {
        rc = receive(http, call);
        if (rc != 0)
            return rc;
    }
    *out_line = http->buffer + http->at;
    http->at = (size_t) (end + 1 - http->buffer);
    if (end > *out_line && end[-1] == '\r')
        end--;
    *end = '\0';
    return 0;
}

/* A number alone in its line, or before an extension of a chunk. */
static bool
parse_size(const char *text, int base, unsigned long long *out_bytes)
{
    char *end;

    if (!isxdigit((unsigned char) text[0]))
        return false;
    errno = 0;
    *out_bytes = strtoull(text, &end, base);
    end += strspn(end, " \t");
    return errno == 0 && (*end == '\0' || (base == 16 && *end == ';'));
}

static int
take_header(char *line, struct framing *framing)
{
    char *value = strchr(line, ':');

    if (value == NULL)
        return -EPROTO;
    *value++ = '\0';
    value += strspn(value, " \t");
    if (strcasecmp(line, "Content-Length") == 0) {
        framing->sized = true;
        if (!parse_size(value, 10, &framing->bytes))
            return -EPROTO;
    } else if (strcasecmp(line, "Transfer-Encoding") == 0) {
        framing->chunked = true;
        if (strcasecmp(value, "chunked") != 0)
            return -EPROTO;
    } else if (strcasecmp(line, "Connection") == 0) {
        framing->closes = strcasecmp(value, "close") == 0;
    }
    return 0;
}

static int
read_head(struct http *http, struct http_call *call, struct framing *framing)
{
    char *line;
    int rc;

    /* 1xx says that the answer will follow. */
    do {
        memset(framing, 0, sizeof *framing);
        rc = read_line(http, call, &line);
        if (rc == 0 && sscanf(line, "HTTP/1.%*1[01] %3d", &call->status) != 1)
            rc = -EPROTO;
        while (rc == 0 && (rc = read_line(http, call, &line)) == 0 &&
               line[0] != '\0')
            rc = take_header(line, framing);
    } while (rc == 0 && call->status < 200);
    return rc;
}

/* So many bytes to the sink; what it says ends it. */
static int
pass_on(struct http *http, const struct http_call *call,
        unsigned long long bytes, bool to_the_end)
{
    while (bytes > 0) {
        size_t piece = http->have - http->at;
        int rc = 0;

        if (piece == 0)
            rc = receive(http, call);
        if (rc == -ECONNRESET && to_the_end)
            return 0;
        if (rc != 0)
            return rc;
        piece = http->have - http->at;
        if (piece > bytes)
            piece = (size_t) bytes;
        rc = call->sink(call->context, http->buffer + http->at, piece);
        if (rc != 0)
            return rc;
        http->at += piece;
        bytes -= piece;
    }
    return 0;
}

static int
read_chunks(struct http *http, const struct http_call *call)
{
    unsigned long long bytes;
    char *line;
    int rc;

    for (;;) {
        rc = read_line(http, call, &line);
        if (rc != 0)
            return rc;
        if (!parse_size(line, 16, &bytes))
            return -EPROTO;
        if (bytes == 0)
            break;
        rc = pass_on(http, call, bytes, false);
        if (rc == 0)
            rc = read_line(http, call, &line);
        if (rc != 0)
            return rc;
        if (line[0] != '\0')
            return -EPROTO;
    }
    do
        rc = read_line(http, call, &line);
    while (rc == 0 && line[0] != '\0'); /* trailers */
    return rc;
}

int
http_do(struct http *http, struct http_call *call)
{
    struct framing framing;
    int rc = connect_it(http);

    call->status = 0;
    call->refused = rc != 0;
    if (rc != 0)
        return rc;
    rc = send_request(http, call);
    if (rc == 0)
        rc = read_head(http, call, &framing);
    if (rc == 0 && framing.chunked)
        rc = read_chunks(http, call);
    else if (rc == 0)
        rc = pass_on(http, call, framing.sized ? framing.bytes : ~0ull,
                     !framing.sized);
    if (rc != 0 || framing.closes || (!framing.chunked && !framing.sized))
        hang_up(http);
    return rc;
}

char *
http_escape(const char *text)
{
    char *escaped = malloc(3 * strlen(text) + 1), *to = escaped;

    if (escaped == NULL)
        return NULL;
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char) *text;

        if (c < 0x80 && (isalnum(c) || strchr("-._~", c) != NULL))
            *to++ = (char) c;
        else
            to += sprintf(to, "%%%02X", c);
    }
    *to = '\0';
    return escaped;
}
