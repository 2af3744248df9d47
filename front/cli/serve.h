/*
 * serve.h - a running service, as the files of `reinsert serve` see it
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SERVE_H
#define SERVE_H

#include "cli/cli.h"
#include "api/api.h"
#include "nbd/nbd.h"

struct serving {
    struct ri_service *service;
    struct api_server *api;
    struct nbd_server *nbd;
    struct eventlog *log; /* NULL: quiet */
    const char *control;  /* borrowed from the configuration */
    char addresses[RI_LISTEN_MAX][RI_PATH_MAX];
    size_t address_count;
    bool left_behind;     /* calls of the control API did not end */
    bool nbd_left_behind; /* nor did connections of NBD clients */
};

/* Prints what a user needs next: how to list, connect, answer, eject, stop. */
void serve_announce(const struct cli *cli, const struct serving *serving);

#endif
