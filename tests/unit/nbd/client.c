/*
 * client.c - see client.h
 *
 * SPDX-License-Identifier: MIT
 */
#include "client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#define SIZE (16u << 20)

int
bench_up(void **state)
{
    static unsigned count;
    struct bench *bench = calloc(1, sizeof *bench);
    struct ri_error error = { "" };
    const char *listener;

    if (bench == NULL)
        return -1;
    snprintf(bench->path, sizeof bench->path, "/tmp/t_nbd.%d.%u",
             (int) getpid(), count++);
    snprintf(bench->listener, sizeof bench->listener, "unix:%s", bench->path);
    bench->service = fake_new(NULL, SIZE);
    listener = bench->listener;
    if (bench->service == NULL ||
        nbd_server_start(bench->service, &listener, 1, &bench->server, &error) <
            0) {
        fprintf(stderr, "%s\n", error.text);
        return -1;
    }
    *state = bench;
    return 0;
}

int
bench_down(void **state)
{
    struct bench *bench = *state;

    if (bench->server != NULL) {
        ri_service_shutdown(bench->service);
        if (nbd_server_stop(bench->server) != 0)
            return -1;
    }
    if (bench->service->opens != 0)
        return -1; /* an export was not closed */
    fake_free(bench->service);
    free(bench);
    return 0;
}

int
client_connect(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct timeval limit = { .tv_sec = 60 };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strcpy(address.sun_path, path);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *) &address, sizeof address),
                     0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return fd;
}

void
client_send(int fd, const void *data, size_t bytes)
{
    const uint8_t *at = data;

    while (bytes > 0) {
        ssize_t sent = send(fd, at, bytes, MSG_NOSIGNAL);

        assert_true(sent > 0);
        at += sent;
        bytes -= (size_t) sent;
    }
}

void
client_receive(int fd, void *data, size_t bytes)
{
    if (bytes > 0)
        assert_int_equal(recv(fd, data, bytes, MSG_WAITALL), bytes);
}

void
client_expect_end(int fd)
{
    uint8_t buffer[4096];
    ssize_t got;

    do
        got = recv(fd, buffer, sizeof buffer, 0);
    while (got > 0);
    assert_true(got == 0 || errno == ECONNRESET);
    close(fd);
}

void
client_greet(int fd, uint32_t flags)
{
    uint8_t buffer[18];

    client_receive(fd, buffer, 18);
    assert_true(get_be64(buffer) == NBD_MAGIC);
    assert_true(get_be64(buffer + 8) == NBD_OPTION_MAGIC);
    assert_int_equal(get_be16(buffer + 16), 3);
    put_be32(buffer, flags);
    client_send(fd, buffer, 4);
}

void
client_option(int fd, uint32_t option, const void *data, size_t bytes)
{
    uint8_t buffer[16];

    put_be32(put_be32(put_be64(buffer, NBD_OPTION_MAGIC), option),
             (uint32_t) bytes);
    client_send(fd, buffer, 16);
    client_send(fd, data, bytes);
}

void
client_option_reply(int fd, struct option_reply *out_reply)
{
    uint8_t buffer[20];

    client_receive(fd, buffer, 20);
    assert_true(get_be64(buffer) == NBD_OPTION_REPLY_MAGIC);
    out_reply->option = get_be32(buffer + 8);
    out_reply->type = get_be32(buffer + 12);
    out_reply->length = get_be32(buffer + 16);
    assert_true(out_reply->length < sizeof out_reply->data);
    client_receive(fd, out_reply->data, out_reply->length);
    out_reply->data[out_reply->length] = 0;
}

uint32_t
client_option_end(int fd, unsigned *out_count)
{
    struct option_reply reply;
    unsigned count = 0;

    for (;; count++) {
        client_option_reply(fd, &reply);
        if (reply.type == NBD_REP_ACK || reply.type >= 0x80000000)
            break;
    }
    if (out_count != NULL)
        *out_count = count;
    return reply.type;
}

uint16_t
client_go(int fd, const char *name)
{
    uint8_t data[512], *at = put_be32(data, (uint32_t) strlen(name));
    struct option_reply reply;
    uint16_t flags = 0;

    memcpy(at, name, strlen(name));
    at = put_be16(at + strlen(name), 0);
    client_option(fd, NBD_OPT_GO, data, (size_t) (at - data));
    do {
        client_option_reply(fd, &reply);
        assert_true(reply.type < 0x80000000);
        if (reply.type == NBD_REP_INFO && get_be16(reply.data) == 0)
            flags = get_be16(reply.data + 10);
    } while (reply.type != NBD_REP_ACK);
    return flags;
}

static void
set_allocation(int fd, const char *name)
{
    uint8_t data[512], *at = put_be32(data, (uint32_t) strlen(name));

    memcpy(at, name, strlen(name));
    at = put_be32(at + strlen(name), 1);
    at = put_be32(at, 15);
    memcpy(at, "base:allocation", 15);
    client_option(fd, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    assert_int_equal(client_option_end(fd, NULL), NBD_REP_ACK);
    client_option(fd, NBD_OPT_SET_META_CONTEXT, data,
                  (size_t) (at + 15 - data));
    assert_int_equal(client_option_end(fd, NULL), NBD_REP_ACK);
}

int
client_open(const struct bench *bench, const char *name, bool structured)
{
    int fd = client_connect(bench->path);

    client_greet(fd, 3);
    if (structured)
        set_allocation(fd, name);
    client_go(fd, name);
    return fd;
}

void
client_request(int fd, uint16_t flags, uint16_t type, uint64_t cookie,
               uint64_t offset, uint32_t length)
{
    uint8_t buffer[28], *at = put_be32(buffer, NBD_REQUEST_MAGIC);

    at = put_be64(put_be16(put_be16(at, flags), type), cookie);
    put_be32(put_be64(at, offset), length);
    client_send(fd, buffer, sizeof buffer);
}

uint64_t
client_any(int fd, uint32_t *out_error)
{
    uint8_t buffer[16];

    client_receive(fd, buffer, 16);
    assert_int_equal(get_be32(buffer), NBD_SIMPLE_REPLY_MAGIC);
    *out_error = get_be32(buffer + 4);
    return get_be64(buffer + 8);
}

uint32_t
client_simple(int fd, uint64_t cookie)
{
    uint32_t error;

    assert_true(client_any(fd, &error) == cookie);
    return error;
}

void
client_chunk(int fd, struct chunk *out_chunk)
{
    uint8_t buffer[20];

    client_receive(fd, buffer, 20);
    assert_int_equal(get_be32(buffer), NBD_STRUCTURED_REPLY_MAGIC);
    out_chunk->flags = get_be16(buffer + 4);
    out_chunk->type = get_be16(buffer + 6);
    out_chunk->cookie = get_be64(buffer + 8);
    out_chunk->length = get_be32(buffer + 16);
    assert_true(out_chunk->length < sizeof out_chunk->data);
    client_receive(fd, out_chunk->data, out_chunk->length);
    out_chunk->data[out_chunk->length] = 0;
}
