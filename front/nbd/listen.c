/*
 * listen.c - listening sockets: addresses, stale socket files, ports
 *
 * Runs on the thread that starts or stops the server; no locks.
 *
 * SPDX-License-Identifier: MIT
 */
#include "nbd/nbd_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

static int
fail(struct ri_error *out_error, int error, const char *address,
     const char *what)
{
    snprintf(out_error->text, sizeof out_error->text, "%.300s: %.200s", address,
             what);
    return -error;
}

/* --- unix sockets --------------------------------------------------------- */

/* 0: nobody listens there and the file was removed. */
static int
remove_stale(const struct sockaddr_un *address, const char *text,
             struct ri_error *out_error)
{
    struct stat st;
    int fd, error = 0;

    if (stat(address->sun_path, &st) < 0)
        return errno == ENOENT ? 0
                               : fail(out_error, errno, text, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return fail(out_error, EEXIST, text,
                    "the file exists and is not a socket");
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail(out_error, errno, text, strerror(errno));
    if (connect(fd, (const struct sockaddr *) address, sizeof *address) < 0)
        error = errno;
    close(fd);
    if (error != ECONNREFUSED && error != ENOENT)
        return fail(out_error, EADDRINUSE, text,
                    "another server listens on this socket");
    if (unlink(address->sun_path) < 0 && errno != ENOENT)
        return fail(out_error, errno, text, strerror(errno));
    return 0;
}

static int
open_unix(struct nbd_listener *listener, const char *text,
          struct ri_error *out_error)
{
    const char *path = text + strlen("unix:");
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct stat st;
    int fd, error;

    if (path[0] == '\0')
        return fail(out_error, EINVAL, text, "the path is missing");
    if (strlen(path) >= sizeof address.sun_path)
        return fail(out_error, ENAMETOOLONG, text,
                    "the path is too long for a socket (107 bytes at most)");
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail(out_error, errno, text, strerror(errno));
    error = remove_stale(&address, text, out_error);
    if (error == 0 &&
        bind(fd, (struct sockaddr *) &address, sizeof address) < 0)
        error = fail(out_error, errno, text, strerror(errno));
    if (error < 0) {
        close(fd);
        return error;
    }
    if (listen(fd, BACKLOG) < 0 || stat(path, &st) < 0) {
        error = fail(out_error, errno, text, strerror(errno));
        unlink(path);
        close(fd);
        return error;
    }
    listener->fd = fd;
    listener->device = st.st_dev;
    listener->inode = st.st_ino;
    strcpy(listener->path, path);
    snprintf(listener->address, sizeof listener->address, "%s", text);
    return 0;
}

/* --- TCP ------------------------------------------------------------------ */

/* Splits "HOST:PORT" or "[HOST]:PORT". */
static int
split_host(const char *from, char *out_host, size_t host_max, char *out_port,
           size_t port_max)
{
    const char *colon = strrchr(from, ':');
    const char *host = from, *host_end = colon;
    char *end;
    long port;

    if (colon == NULL)
        return -1;
    if (from[0] == '[') {
        host++;
        if (host_end - host < 1 || *--host_end != ']')
            return -1;
    } else if (memchr(from, ':', (size_t) (colon - from)) != NULL) {
        return -1; /* IPv6 needs its brackets */
    }
    if (host_end <= host || (size_t) (host_end - host) >= host_max)
        return -1;
    if (colon[1] < '0' || colon[1] > '9')
        return -1;
    port = strtol(colon + 1, &end, 10);
    if (*end != '\0' || port < 0 || port > 65535)
        return -1;
    memcpy(out_host, host, (size_t) (host_end - host));
    out_host[host_end - host] = '\0';
    snprintf(out_port, port_max, "%u", (unsigned) port);
    return 0;
}

/* Returns the descriptor, or a negative errno. */
static int
bind_one(const struct addrinfo *info)
{
    int one = 1, error;
    int fd = socket(info->ai_family,
                    info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (info->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    error = -errno;
    close(fd);
    return error;
}

static void
note_address(struct nbd_listener *listener)
{
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";
    bool is_v6;

    if (getsockname(listener->fd, (struct sockaddr *) &bound, &length) == 0)
        getnameinfo((struct sockaddr *) &bound, length, host, sizeof host, port,
                    sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    is_v6 = strchr(host, ':') != NULL;
    snprintf(listener->address, sizeof listener->address,
             is_v6 ? "tcp:[%.255s]:%s" : "tcp:%.255s:%s", host, port);
}

static int
open_tcp(struct nbd_listener *listener, const char *text,
         struct ri_error *out_error)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_NUMERICSERV };
    struct addrinfo *list = NULL;
    char host[256], port[16];
    int result;

    if (split_host(text + strlen("tcp:"), host, sizeof host, port,
                   sizeof port) < 0)
        return fail(out_error, EINVAL, text,
                    "expected tcp:HOST:PORT or tcp:[IPV6]:PORT");
    result = getaddrinfo(host, port, &hints, &list);
    if (result != 0)
        return fail(out_error, EADDRNOTAVAIL, text, gai_strerror(result));
    result = -EADDRNOTAVAIL;
    for (struct addrinfo *info = list; info != NULL; info = info->ai_next) {
        result = bind_one(info);
        if (result >= 0 || result == -EADDRINUSE)
            break;
    }
    freeaddrinfo(list);
    if (result < 0)
        return fail(out_error, -result, text,
                    result == -EADDRINUSE
                        ? "another server listens on this port"
                        : strerror(-result));
    listener->fd = result;
    listener->is_tcp = true;
    note_address(listener);
    return 0;
}

int
listener_open(struct nbd_listener *listener, const char *text,
              struct ri_error *out_error)
{
    if (strncmp(text, "unix:", 5) == 0)
        return open_unix(listener, text, out_error);
    if (strncmp(text, "tcp:", 4) == 0)
        return open_tcp(listener, text, out_error);
    return fail(out_error, EINVAL, text, "expected unix:PATH or tcp:HOST:PORT");
}

/* The file goes only while it is still ours. */
void
listener_close(struct nbd_listener *listener)
{
    struct stat st;

    if (listener->fd < 0)
        return;
    if (listener->path[0] != '\0' && stat(listener->path, &st) == 0 &&
        st.st_dev == listener->device && st.st_ino == listener->inode)
        unlink(listener->path);
    close(listener->fd);
    listener->fd = -1;
}
