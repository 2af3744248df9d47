/*
 * tape_serve.h - the service's end of tape sessions
 *
 * Built on reinsert.h and tape.h alone.  A thread for each session, and one
 * that watches all of them for clients that are gone, interrupt or cancel.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TAPELINK_TAPE_SERVE_H
#define TAPELINK_TAPE_SERVE_H

#include "reinsert.h"

struct tape_server;

#define TAPE_SESSIONS_MAX 64

/* NULL: no memory, or no thread.  The service outlives it and its sessions. */
struct tape_server *tape_server_new(struct ri_service *service);
/* Serves a client that was told 101; the socket is owned from now on, whatever
 * is returned.  0; -EMFILE: too many; -ESHUTDOWN; -ENOMEM. */
int tape_server_take(struct tape_server *server, const char *drive, int fd);
/* Whether one more would be taken. */
bool tape_server_has_room(struct tape_server *server);
/* Every session ends: its client is cut off, its tape closed. */
void tape_server_stop(struct tape_server *server);
/* Waits so long at most; how many sessions are left.  They end by themselves,
 * but the service must not be freed before. */
unsigned tape_server_wait(struct tape_server *server, unsigned ms);
/* After tape_server_stop; accepts NULL. */
void tape_server_free(struct tape_server *server);

#endif
