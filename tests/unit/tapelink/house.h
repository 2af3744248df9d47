/*
 * house.h - a control socket with a tape drive behind it
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef HOUSE_H
#define HOUSE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "api/api.h"
#include "fake_tape.h"
#include "tapelink/tape_link.h"
#include "tapelink/wire.h"

struct house {
    char folder[64], control[96];
    struct ri_service *service;
    struct api_server *server;
};

extern struct house house;

int house_begin(void **state);
int house_end(void **state);
/* For writing; fails the test when it cannot be. */
struct tape_link *house_open(void);
/* A memfd of so many bytes, sealed or not. */
int house_memfd(size_t size, bool sealed);

/* A client that says what it likes. */
struct raw {
    int fd, signal_fd;
};

/* The connection alone. */
struct raw raw_begin(void);
/* With the first request as it should be; its reply is checked. */
struct raw raw_open(void);
void raw_send(struct raw *raw, const void *data, size_t len);
/* Nothing more comes: the other end has closed. */
bool raw_ended(struct raw *raw);
void raw_close(struct raw *raw);
struct tape_request raw_first(void);

#endif
