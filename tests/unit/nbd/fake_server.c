/*
 * fake_server.c - the NBD server alone, over the fake service
 *
 *   fake_server LISTENER FILE | LISTENER SIZE-IN-BYTES [SLOW-US]
 *
 * For tests with other people's clients, and to measure the server without the
 * driver stack.  Runs until SIGTERM.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fake.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "nbd/nbd.h"

int
main(int argc, char **argv)
{
    const char *listener = argc > 2 ? argv[1] : "";
    struct ri_service *service;
    struct nbd_server *server;
    struct ri_error error;
    struct stat st;
    sigset_t end;
    int signal_number;

    if (argc < 3) {
        fprintf(stderr, "usage: fake_server LISTENER FILE|SIZE [SLOW-US]\n");
        return 2;
    }
    if (stat(argv[2], &st) == 0)
        service = fake_new(argv[2], (uint64_t) st.st_size);
    else
        service = fake_new(NULL, strtoull(argv[2], NULL, 10));
    if (service == NULL)
        return 1;
    if (argc > 3)
        service->slow_us = (unsigned) atoi(argv[3]);
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigaddset(&end, SIGINT);
    pthread_sigmask(SIG_BLOCK, &end, NULL);
    if (nbd_server_start(service, &listener, 1, &server, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    puts("ready");
    fflush(stdout);
    sigwait(&end, &signal_number);
    ri_service_shutdown(service);
    if (nbd_server_stop(server) > 0)
        return 1;
    fake_free(service);
    return 0;
}
