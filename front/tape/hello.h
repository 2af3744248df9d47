/*
 * hello.h - how a client comes to a session's socket
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TAPELINK_HELLO_H
#define TAPELINK_HELLO_H

#include "reinsert.h"

/* Connects, asks for the upgrade, and gives the socket.  0; -errno with a
 * sentence. */
int tape_hello(const char *control, const char *drive, int *out_fd,
               struct ri_error *out_error);

#endif
