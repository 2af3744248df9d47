/*
 * fixture.c - see fixture.h
 *
 * SPDX-License-Identifier: MIT
 */
#include "fixture.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static void
make_image(const char *folder, const char *name, char *out_path, size_t max)
{
    FILE *file;

    snprintf(out_path, max, "%.60s/%s.img", folder, name);
    file = fopen(out_path, "w");
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), 1 << 20), 0);
    fclose(file);
}

int
fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct ri_drive_config drives[2] = { { .name = "disk0" },
                                         { .name = "odd / name" } };
    struct ri_config config = { .drives = drives, .drive_count = 2 };
    struct ri_error error;

    strcpy(f->folder, "/tmp/api-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    make_image(f->folder, "A", f->image_a, sizeof f->image_a);
    make_image(f->folder, "B", f->image_b, sizeof f->image_b);
    snprintf(f->control, sizeof f->control, "%s/control", f->folder);
    strcpy(drives[0].medium, f->image_a);
    fake_eject_ms = 0;
    assert_int_equal(ri_service_start(&config, &f->service, &error), 0);
    assert_int_equal(
        api_server_start(f->service, f->control, &f->server, &error), 0);
    *state = f;
    return 0;
}

int
fixture_teardown(void **state)
{
    struct fixture *f = *state;
    int rc = api_server_stop(f->server);

    if (rc == 0)
        ri_service_free(f->service);
    unlink(f->image_a);
    unlink(f->image_b);
    assert_int_equal(access(f->control, F_OK), -1);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

void
fixture_get(struct fixture *f, const char *target, int expect_status,
            struct http_reply *out_reply)
{
    http_request(f->control, "GET", target, NULL, out_reply);
    assert_int_equal(out_reply->status, expect_status);
    assert_non_null(out_reply->json);
}

void
fixture_post(struct fixture *f, const char *target, const char *body,
             int expect_status, struct http_reply *out_reply)
{
    http_request(f->control, "POST", target, body, out_reply);
    assert_int_equal(out_reply->status, expect_status);
    assert_non_null(out_reply->json);
}

void
fixture_expect(struct fixture *f, const char *method, const char *target,
               const char *body, int status, const char *code)
{
    struct http_reply reply;

    http_request(f->control, method, target, body, &reply);
    assert_int_equal(reply.status, status);
    assert_string_equal(http_error_code(&reply), code);
    http_reply_free(&reply);
}

long
fixture_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

unsigned
fixture_count(const char *folder)
{
    DIR *dir = opendir(folder);
    unsigned n = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}
