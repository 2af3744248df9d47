/*
 * fixture.h - a fake service with its control API, for the tests of front/api
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FIXTURE_H
#define FIXTURE_H

#include "api/api.h"
#include "fake_service.h"
#include "http_client.h"

/* Drives disk0 with image_a (volume "A"), "odd / name" empty. */
struct fixture {
    char folder[64];
    char control[96], image_a[96], image_b[96];
    struct ri_service *service;
    struct api_server *server;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
void fixture_get(struct fixture *f, const char *target, int expect_status,
                 struct http_reply *out_reply);
void fixture_post(struct fixture *f, const char *target, const char *body,
                  int expect_status, struct http_reply *out_reply);
/* Sends and expects only a status and an error code. */
void fixture_expect(struct fixture *f, const char *method, const char *target,
                    const char *body, int status, const char *code);
long fixture_ms(void);
unsigned fixture_count(const char *folder); /* entries, as of /proc */

#endif
