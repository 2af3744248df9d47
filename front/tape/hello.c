/*
 * hello.c - how a client comes to a session's socket: HTTP, just enough of it
 *
 * The reply is read byte by byte up to its empty line, so that nothing of the
 * session is taken along; one that is no 101 has the reason as JSON behind it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tapelink/hello.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tapelink/wire.h"

#define HEAD_MAX 4096
#define BODY_MAX 65536

/* What a refusal means, by the code of its JSON. */
static const struct {
    const char *code;
    int rc;
} refusals[] = {
    { "no-drive", -ENODEV },
    { "too-many", -EMFILE },
    { "shutting-down", -ESHUTDOWN },
    { "no-route", -ENOSYS },
};

static int
fail(struct ri_error *out_error, int rc, const char *control)
{
    snprintf(out_error->text, sizeof out_error->text, "%.300s: %s", control,
             strerror(-rc));
    return rc;
}

static int
connect_to(const char *control, int *out_fd)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd, rc = 0;

    if (strlen(control) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    strcpy(address.sun_path, control);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    while (connect(fd, (struct sockaddr *) &address, sizeof address) != 0)
        if (errno != EINTR) {
            rc = -errno;
            close(fd);
            return rc;
        }
    *out_fd = fd;
    return 0;
}

/* A name in a path: what is neither letter nor digit is escaped. */
static int
send_hello(int fd, const char *drive)
{
    char text[3 * RI_NAME_MAX + 256];
    char *to = text + sprintf(text, "POST /v1/tapes/");
    size_t len = strnlen(drive, RI_NAME_MAX);

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char) drive[i];

        to += sprintf(to, isalnum(c) && c < 0x80 ? "%c" : "%%%02X", c);
    }
    to += sprintf(to, "/session HTTP/1.1\r\nHost: localhost\r\n"
                      "Connection: Upgrade\r\nUpgrade: " TAPE_PROTOCOL "\r\n"
                      "Content-Length: 0\r\n\r\n");
    return tape_send_all(fd, text, (size_t) (to - text));
}

static int
read_head(int fd, char *head)
{
    size_t len = 0;

    while (len < HEAD_MAX - 1) {
        int rc = tape_recv_all(fd, head + len, 1);

        if (rc != 0)
            return rc;
        head[++len] = '\0';
        if (len >= 4 && strcmp(head + len - 4, "\r\n\r\n") == 0)
            return 0;
    }
    return -EPROTO;
}

/* Why it was refused. */
static int
read_refusal(int fd, const char *head, struct ri_error *out_error)
{
    const char *at = strcasestr(head, "\r\nContent-Length:");
    size_t len = at != NULL ? strtoul(at + 17, NULL, 10) : 0;
    char *body = len > 0 && len <= BODY_MAX ? malloc(len) : NULL;
    const char *code = "", *text = "";
    json_t *reply = NULL;
    int rc = -EPROTO;

    if (body != NULL && tape_recv_all(fd, body, len) == 0)
        reply = json_loadb(body, len, 0, NULL);
    free(body);
    (void) json_unpack(reply, "{s:{s:s, s:s}}", "error", "code", &code, "text",
                       &text);
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (strcmp(refusals[i].code, code) == 0)
            rc = refusals[i].rc;
    snprintf(out_error->text, sizeof out_error->text, "%s",
             text[0] != '\0' ? text : "the service has no tape sessions");
    json_decref(reply);
    return rc;
}

int
tape_hello(const char *control, const char *drive, int *out_fd,
           struct ri_error *out_error)
{
    char head[HEAD_MAX];
    int fd = -1, rc = connect_to(control, &fd);

    if (rc != 0)
        return fail(out_error, rc, control);
    rc = send_hello(fd, drive);
    if (rc == 0)
        rc = read_head(fd, head);
    if (rc != 0) {
        close(fd);
        return fail(out_error, rc, control);
    }
    if (strncmp(head, "HTTP/1.1 101", 12) != 0) {
        rc = read_refusal(fd, head, out_error);
        close(fd);
        return rc;
    }
    *out_fd = fd;
    return 0;
}
