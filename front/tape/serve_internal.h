/*
 * serve_internal.h - sessions of a service, as its two files share them
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TAPELINK_SERVE_INTERNAL_H
#define TAPELINK_SERVE_INTERNAL_H

#include <pthread.h>

#include "tapelink/tape_serve.h"
#include "tapelink/window.h"
#include "tapelink/wire.h"

struct tape_session {
    struct tape_session *next;
    struct tape_server *server;
    uint64_t id;
    int fd;                     /* closed by the session's thread, at its end */
    char drive[RI_NAME_MAX];
    /* Under server->lock; `tape` is the session thread's besides, which alone
     * sets it, and is NULL before and after it may be interrupted. */
    struct ri_tape *tape;
    int signal_fd;              /* -1: none */
    bool gone;                  /* nobody is at the other end */
    bool cancelled;
};

/* serve.c: called by a session's thread */
/* It can be interrupted from now on; the signal socket is the server's. */
void tape_server_opened(struct tape_session *session, struct ri_tape *tape,
                        int signal_fd);
/* It cannot any more. */
void tape_server_closing(struct tape_session *session);
/* The session is freed. */
void tape_server_ended(struct tape_session *session);

/* session.c: the whole of it, on its thread */
void tape_session_run(struct tape_session *session,
                      struct ri_service *service);

#endif
