/*
 * client.h - a raw NBD client for the tests
 *
 * Builds every byte itself, so that wrong ones can be sent too.  Anything that
 * does not arrive within some seconds fails the test.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fake.h"
#include "nbd/nbd.h"
#include "nbd/proto.h"

/* A fake service with a server on a unix socket of its own. */
struct bench {
    struct ri_service *service;
    struct nbd_server *server;
    char path[64];
    char listener[80];
};

/* For cmocka's setup and teardown; *state is the bench. */
int bench_up(void **state);
int bench_down(void **state);

int client_connect(const char *path);
void client_send(int fd, const void *data, size_t bytes);
/* Exactly so many. */
void client_receive(int fd, void *data, size_t bytes);
/* The server closes the connection, whatever it still sends. */
void client_expect_end(int fd);
/* Greeting and client flags. */
void client_greet(int fd, uint32_t flags);
void client_option(int fd, uint32_t option, const void *data, size_t bytes);

struct option_reply {
    uint32_t option, type, length;
    uint8_t data[2048];
};

void client_option_reply(int fd, struct option_reply *out_reply);
/* Reads replies to the end: how many before the last, which is returned. */
uint32_t client_option_end(int fd, unsigned *out_count);
/* NBD_OPT_GO for the export; returns its transmission flags. */
uint16_t client_go(int fd, const char *name);
/* All of it: connect, greet, perhaps structured with base:allocation, go. */
int client_open(const struct bench *bench, const char *name, bool structured);

void client_request(int fd, uint16_t flags, uint16_t type, uint64_t cookie,
                    uint64_t offset, uint32_t length);
/* Returns the error, or fails when it is another cookie's. */
uint32_t client_simple(int fd, uint64_t cookie);
/* Any cookie: it is returned. */
uint64_t client_any(int fd, uint32_t *out_error);

struct chunk {
    uint16_t flags, type;
    uint64_t cookie;
    uint32_t length;
    uint8_t data[70000];
};

void client_chunk(int fd, struct chunk *out_chunk);

#endif
