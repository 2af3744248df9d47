/*
 * nbd.h - the NBD server: every volume as a network block device
 *
 * Serves the exports of one service (reinsert.h) to any number of clients, each
 * on a thread of its own.  A request that has to wait holds no thread and does
 * not hold up the others of its connection; a client that misbehaves harms
 * nobody but itself.
 *
 * All calls may be made from any thread, nbd_server_stop once.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NBD_NBD_H
#define NBD_NBD_H

#include <stddef.h>
#include <stdint.h>

#include <reinsert.h>

struct nbd_server;

/*
 * Listens on each of "unix:PATH", "tcp:HOST:PORT" or "tcp:[IPV6]:PORT" (port 0:
 * any free one, see nbd_server_address).  A stale socket file is replaced, one
 * that somebody listens on is refused.  On failure (negative errno, with a
 * sentence that names the listener) nothing is left listening.  Borrows the
 * service until nbd_server_stop has returned.
 */
int nbd_server_start(struct ri_service *service, const char *const *listeners,
                     size_t count, struct nbd_server **out_server,
                     struct ri_error *out_error);

/*
 * Call ri_service_shutdown() just before: it completes the waiting requests,
 * and this gives their replies (ESHUTDOWN) to the clients, closes every
 * connection, removes the socket files and frees the server.  Takes at most
 * 700 ms whatever the clients do.  Returns how many connections had to be left
 * behind because their requests never completed: 0, or the service must not be
 * freed.  NULL is allowed.
 */
size_t nbd_server_stop(struct nbd_server *server);

/* The i-th listener with the port it really has.  Returns 0, -ENOENT past the
 * last, -ENAMETOOLONG when it does not fit. */
int nbd_server_address(struct nbd_server *server, size_t i, char *out_text,
                       size_t text_max);

struct nbd_counters {
    uint64_t connections;       /* accepted since the start */
    uint64_t refused;           /* turned away: too many at a time */
    uint64_t requests;          /* read from clients */
    uint64_t waited;            /* of these, not answered at once */
    uint32_t connected;         /* now */
};

void nbd_server_counters(struct nbd_server *server,
                         struct nbd_counters *out_counters);

#endif
