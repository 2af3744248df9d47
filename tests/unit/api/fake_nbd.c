/*
 * fake_nbd.c - a stand-in for the NBD server, for tests of the command line
 *
 * Checks its listeners, and listens on nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#include "nbd/nbd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct nbd_server {
    size_t count;
    char listeners[RI_LISTEN_MAX][RI_PATH_MAX];
};

int
nbd_server_start(struct ri_service *service, const char *const *listeners,
                 size_t count, struct nbd_server **out_server,
                 struct ri_error *out_error)
{
    struct nbd_server *server = calloc(1, sizeof *server);

    if (server == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (strstr(listeners[i], "taken") != NULL) {
            snprintf(out_error->text, sizeof out_error->text,
                     "%s: somebody listens there", listeners[i]);
            free(server);
            return -EADDRINUSE;
        }
        snprintf(server->listeners[server->count++], RI_PATH_MAX, "%s",
                 listeners[i]);
    }
    *out_server = server;
    return 0;
}

size_t
nbd_server_stop(struct nbd_server *server)
{
    free(server);
    return 0;
}

int
nbd_server_address(struct nbd_server *server, size_t i, char *out_text,
                   size_t text_max)
{
    if (i >= server->count)
        return -ENOENT;
    if (strlen(server->listeners[i]) >= text_max)
        return -ENAMETOOLONG;
    strcpy(out_text, server->listeners[i]);
    return 0;
}
