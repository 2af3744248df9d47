/*
 * fuzz_nbd.c - one NBD connection fed with anything
 *
 * The input is what a client sends, from its first byte to its end.  The first
 * input byte says how: with the handshake (0), or after a valid one (else), and
 * whether requests complete at once or later on another thread.  A second
 * thread reads the replies.  Build with clang: ninja tests/fuzz/fuzz_nbd.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nbd/nbd_internal.h"
#include "unit/nbd/fake.h"

#define SIZE (1u << 20)

static struct ri_service *service;
static struct nbd_server *server;

/* Flags, structured replies, base:allocation, GO to "A". */
static const uint8_t shaken[] = "\0\0\0\3"
                                "IHAVEOPT\0\0\0\10\0\0\0\0"
                                "IHAVEOPT\0\0\0\12\0\0\0\34"
                                "\0\0\0\1A\0\0\0\1\0\0\0\17base:allocation"
                                "IHAVEOPT\0\0\0\7\0\0\0\7\0\0\0\1A\0";

static void *
read_replies(void *context)
{
    uint8_t buffer[65536];
    int fd = *(int *) context;

    while (recv(fd, buffer, sizeof buffer, 0) > 0)
        continue;
    return NULL;
}

struct input {
    const uint8_t *data;
    size_t bytes;
    bool shake;
    int fd;
};

static void *
send_input(void *context)
{
    const struct input *input = context;
    size_t at = 0;

    /* With the second NUL of the last option that ends the literal. */
    if (input->shake &&
        send(input->fd, shaken, sizeof shaken, MSG_NOSIGNAL) < 0)
        return NULL;
    while (at < input->bytes) {
        ssize_t sent =
            send(input->fd, input->data + at, input->bytes - at, MSG_NOSIGNAL);

        if (sent <= 0)
            return NULL;
        at += (size_t) sent;
    }
    shutdown(input->fd, SHUT_WR);
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct input input;
    struct nbd_conn *conn;
    pthread_t reader, sender;
    int fds[2];

    if (service == NULL) {
        service = fake_new(NULL, SIZE);
        server = service != NULL ? server_new(service) : NULL;
        if (server == NULL)
            abort();
    }
    if (bytes == 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
        return 0;
    service->slow_us = data[0] & 2 ? 1 : 0;
    service->fail_from = data[0] & 4 ? SIZE / 2 : 0;
    service->fail_end = data[0] & 4 ? SIZE : 0;
    service->stripes = (data[0] & 8) != 0;
    input = (struct input){ data + 1, bytes - 1, (data[0] & 1) != 0, fds[1] };
    pthread_create(&reader, NULL, read_replies, &fds[1]);
    pthread_create(&sender, NULL, send_input, &input);
    conn = conn_new(server, fds[0]);
    if (conn == NULL)
        abort();
    conn_run(conn);
    conn_free(conn);
    pthread_join(sender, NULL);
    pthread_join(reader, NULL);
    close(fds[1]);
    if (service->opens != 0)
        abort();
    return 0;
}
