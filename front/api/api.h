/*
 * api.h - the control API: HTTP with JSON on a unix socket
 *
 * Serves one service to operators: the command line, curl, scripts, a web page.
 * docs/api.md describes the routes; GET /v1 lists them.  Built on reinsert.h
 * alone.  All calls may be made from any thread, but start and stop of one
 * server from one thread at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef API_H
#define API_H

#include <stddef.h>

#include "reinsert.h"

struct api_server;

/*
 * Listens on control_path (mode 0600).  A stale socket file is replaced; one
 * that somebody listens on is refused with -EADDRINUSE, anything else there
 * with -EEXIST.  The service must outlive the server.
 */
int api_server_start(struct ri_service *service, const char *control_path,
                     struct api_server **out_server,
                     struct ri_error *out_error);

/* What GET /v1/status shows as the service's NBD listeners: unix:PATH or
 * tcp:HOST:PORT.  Copied. */
void api_server_set_listeners(struct api_server *server,
                              const char *const *addresses, size_t count);

/*
 * Ends every connection and removes the socket, in less than 300 ms whatever
 * clients do.  Accepts NULL.  0, or -EBUSY when a call into the service (an
 * eject, say) has not come back: it ends by itself, but the service must not
 * be freed then.  ri_service_shutdown first makes that impossible.
 */
int api_server_stop(struct api_server *server);

/* "unix:PATH" or "tcp:HOST:PORT" as the URI that NBD clients take, for one
 * export, or for the server when export_ is "".  False: did not fit. */
bool api_nbd_uri(const char *address, const char *export_, char *out_uri,
                 size_t max);

#endif
