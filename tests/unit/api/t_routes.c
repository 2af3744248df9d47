/*
 * t_routes.c - what each route answers, and what it refuses
 *
 * Expectations are those of docs/api.md.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const char *
text_at(const json_t *json, const char *list, size_t i, const char *field)
{
    return json_string_value(
        json_object_get(json_array_get(json_object_get(json, list), i), field));
}

static void
root__lists_routes_that_all_exist(void **state)
{
    struct http_reply root, reply;
    json_t *row;
    size_t i;

    fixture_get(*state, "/v1", 200, &root);
    json_array_foreach(json_object_get(root.json, "routes"), i, row)
    {
        /* The method that no route has must meet 405, never 404. */
        http_request(((struct fixture *) *state)->control, "PATCH",
                     json_string_value(json_object_get(row, "path")), "{}",
                     &reply);
        assert_int_equal(reply.status, 405);
        assert_non_null(strstr(
            reply.head, json_string_value(json_object_get(row, "method"))));
        http_reply_free(&reply);
    }
    assert_true(i >= 12);
    http_reply_free(&root);
}

static void
status__counts_and_listeners(void **state)
{
    struct fixture *f = *state;
    const char *const listeners[] = { "unix:/run/x y/nbd", "tcp:[::1]:10809" };
    struct http_reply reply;
    const json_t *service, *counts, *nbd;

    api_server_set_listeners(f->server, listeners, 2);
    fixture_get(f, "/v1/status", 200, &reply);
    service = json_object_get(reply.json, "service");
    counts = json_object_get(reply.json, "counts");
    nbd = json_object_get(service, "nbd");
    assert_int_equal(json_integer_value(json_object_get(service, "pid")),
                     getpid());
    assert_string_equal(text_at(service, "nbd", 0, "uri"),
                        "nbd+unix:///?socket=/run/x%20y/nbd");
    assert_string_equal(text_at(service, "nbd", 1, "uri"),
                        "nbd://[::1]:10809/");
    assert_int_equal(json_array_size(nbd), 2);
    assert_int_equal(json_integer_value(json_object_get(counts, "drives")), 2);
    assert_int_equal(json_integer_value(json_object_get(counts, "ready")), 1);
    http_reply_free(&reply);
}

static void
drives__all_and_one_by_odd_name(void **state)
{
    struct fixture *f = *state;
    struct http_reply reply;

    fixture_get(f, "/v1/drives", 200, &reply);
    assert_string_equal(text_at(reply.json, "drives", 0, "medium"), f->image_a);
    http_reply_free(&reply);
    fixture_get(f, "/v1/drives/odd%20%2f%20name", 200, &reply);
    assert_string_equal(json_string_value(json_object_get(
                            json_object_get(reply.json, "drive"), "state")),
                        "empty");
    http_reply_free(&reply);
    fixture_expect(f, "GET", "/v1/drives/none", NULL, 404, "no-drive");
    fixture_expect(f, "GET", "/v1/drives/%zz", NULL, 404, "no-route");
    fixture_expect(f, "GET", "/v1/drives/a%00b", NULL, 404, "no-route");
    fixture_expect(f, "GET", "/v1/drives/%ff", NULL, 404, "no-drive");
}

static void
unknown__404_and_405_with_allow(void **state)
{
    struct http_reply reply;
    struct fixture *f = *state;

    fixture_expect(f, "GET", "/", NULL, 404, "no-route");
    fixture_expect(f, "GET", "/v1/", NULL, 404, "no-route");
    fixture_expect(f, "GET", "/v1/drives/disk0/", NULL, 404, "no-route");
    fixture_expect(f, "POST", "/v2/status", "{}", 404, "no-route");
    http_request(f->control, "DELETE", "/v1/drives", NULL, &reply);
    assert_int_equal(reply.status, 405);
    assert_non_null(strstr(reply.head, "Allow: GET, HEAD"));
    http_reply_free(&reply);
    http_request(f->control, "GET", "/v1/drives/disk0/eject", NULL, &reply);
    assert_int_equal(reply.status, 405);
    assert_non_null(strstr(reply.head, "Allow: POST"));
    http_reply_free(&reply);
    http_request(f->control, "HEAD", "/v1/drives", NULL, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, "");
    http_reply_free(&reply);
}

static void
insert__bad_bodies__400_names_the_field(void **state)
{
    static const struct {
        const char *body, *code, *word;
    } rows[] = {
        { NULL, "bad-request", "image" },
        { "{}", "bad-request", "image" },
        { "{\"image\": 7}", "bad-request", "image" },
        { "{\"image\": \"relative\"}", "bad-request", "image" },
        { "{\"image\": \"/x\", \"speed\": 1}", "bad-request", "speed" },
        { "{\"image\": \"/x\"", "bad-json", "line 1" },
        { "{\"image\": \"/x\", \"image\": \"/y\"}", "bad-json", "image" },
        { "[]", "bad-request", "object" },
        { "\xff\xfe", "bad-json", "body" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_reply reply;

        fixture_post(*state, "/v1/drives/disk0/insert", rows[i].body, 400,
                     &reply);
        assert_string_equal(http_error_code(&reply), rows[i].code);
        assert_non_null(strstr(reply.body, rows[i].word));
        http_reply_free(&reply);
    }
}

static void
insert__each_failure__has_its_code(void **state)
{
    struct fixture *f = *state;
    char body[256];

    snprintf(body, sizeof body, "{\"image\": \"%s\"}", f->image_b);
    fixture_expect(f, "POST", "/v1/drives/none/insert", body, 404, "no-drive");
    fixture_expect(f, "POST", "/v1/drives/disk0/insert", body, 409, "busy");
    fixture_expect(f, "POST", "/v1/drives/odd%20%2F%20name/insert",
                   "{\"image\": \"/no/such/image\"}", 422, "no-image");
    fixture_expect(f, "POST", "/v1/drives/odd%20%2F%20name/eject", "", 409,
                   "no-medium");
}

static void
errors__entries_with_their_dump(void **state)
{
    struct http_reply reply;
    json_t *row;

    fixture_get(*state, "/v1/errors", 200, &reply);
    assert_string_equal(text_at(reply.json, "errors", 0, "driver"), "disk");
    assert_string_equal(text_at(reply.json, "errors", 0, "drive"), "disk0");
    assert_string_equal(text_at(reply.json, "errors", 0, "code"),
                        "IO_ERR_BAD_BLOCK");
    assert_string_equal(text_at(reply.json, "errors", 0, "status"),
                        "STATUS_DEVICE_DATA_ERROR");
    assert_string_equal(text_at(reply.json, "errors", 0, "dump"), "700003");
    row = json_array_get(json_object_get(reply.json, "errors"), 0);
    assert_int_equal(json_integer_value(json_object_get(row, "seq")), 5);
    assert_int_equal(json_integer_value(json_object_get(row, "retries")), 8);
    assert_int_equal(json_integer_value(json_object_get(row, "unique_id")),
                     256);
    assert_int_equal(json_integer_value(json_object_get(row, "offset_bytes")),
                     4096);
    http_reply_free(&reply);
}

static void
yank_insert__prompt_appears_and_goes(void **state)
{
    struct fixture *f = *state;
    struct http_reply reply;
    char body[256];

    fixture_post(f, "/v1/drives/disk0/yank", "{}", 200, &reply);
    http_reply_free(&reply);
    fixture_get(f, "/v1/prompts", 200, &reply);
    assert_string_equal(text_at(reply.json, "prompts", 0, "volume"), "A");
    http_reply_free(&reply);
    fixture_get(f, "/v1/volumes", 200, &reply);
    assert_string_equal(text_at(reply.json, "volumes", 0, "state"), "absent");
    http_reply_free(&reply);
    snprintf(body, sizeof body, "{\"image\": \"%s\"}", f->image_a);
    fixture_post(f, "/v1/drives/disk0/insert", body, 200, &reply);
    http_reply_free(&reply);
    fixture_get(f, "/v1/prompts", 200, &reply);
    assert_int_equal(json_array_size(json_object_get(reply.json, "prompts")),
                     0);
    http_reply_free(&reply);
    fixture_get(f, "/v1/exports", 200, &reply);
    assert_string_equal(text_at(reply.json, "exports", 0, "name"), "A");
    http_reply_free(&reply);
}

static void
answer__good_wrong_and_twice(void **state)
{
    struct fixture *f = *state;
    struct http_reply reply;

    fake_raise_prompt(f->service, "A", "disk0");
    fixture_expect(f, "POST", "/v1/prompts/1/answer", "{\"answer\": \"no\"}",
                   400, "bad-request");
    fixture_expect(f, "POST", "/v1/prompts/1x/answer",
                   "{\"answer\": \"retry\"}", 404, "no-prompt");
    fixture_expect(f, "POST", "/v1/prompts/99999999999999999999999/answer",
                   "{\"answer\": \"retry\"}", 404, "no-prompt");
    fixture_post(f, "/v1/prompts/1/answer", "{\"answer\": \"retry\"}", 200,
                 &reply);
    http_reply_free(&reply);
    fixture_expect(f, "POST", "/v1/prompts/1/answer",
                   "{\"answer\": \"cancel\"}", 404, "no-prompt");
}

static void
cancel__what_was_not_flushed_is_in_a_file_that_is_named(void **state)
{
    static const char file[] = "/var/lib/reinsert/recovery/A.recovery";
    struct fixture *f = *state;
    struct http_reply reply;

    fixture_get(f, "/v1/recovery", 200, &reply);
    assert_int_equal(json_array_size(json_object_get(reply.json, "recovery")),
                     0);
    http_reply_free(&reply);
    fake_raise_prompt(f->service, "A", "disk0");
    fixture_get(f, "/v1/prompts", 200, &reply);
    assert_string_equal(
        json_string_value(json_array_get(
            json_object_get(
                json_array_get(json_object_get(reply.json, "prompts"), 0),
                "answers"),
            1)),
        "cancel");
    http_reply_free(&reply);
    fixture_expect(f, "POST", "/v1/prompts/1/answer", "{\"answer\": \"use\"}",
                   422, "invalid");
    fixture_post(f, "/v1/prompts/1/answer", "{\"answer\": \"cancel\"}", 200,
                 &reply);
    assert_string_equal(json_string_value(json_object_get(
                            json_object_get(reply.json, "prompt"), "recovery")),
                        file);
    http_reply_free(&reply);
    fixture_get(f, "/v1/recovery", 200, &reply);
    assert_string_equal(text_at(reply.json, "recovery", 0, "file"), file);
    assert_string_equal(text_at(reply.json, "recovery", 0, "reason"),
                        "STATUS_NO_MEDIA_IN_DEVICE");
    http_reply_free(&reply);
}

static void
body__over_64_KiB__413(void **state)
{
    char *body = malloc((1 << 18) + 1);
    struct fixture *f = *state;

    memset(body, ' ', 1 << 18);
    body[1 << 18] = '\0';
    fixture_expect(f, "POST", "/v1/drives/disk0/eject", body, 413, "too-large");
    body[64 * 1024 + 1] = '\0';
    fixture_expect(f, "POST", "/v1/drives/disk0/eject", body, 413, "too-large");
    body[0] = '{';
    body[64 * 1024 - 1] = '}';
    body[64 * 1024] = '\0';
    fixture_expect(f, "POST", "/v1/drives/none/eject", body, 404, "no-drive");
    free(body);
}

int
main(void)
{
#define T(name)                                                                \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(root__lists_routes_that_all_exist),
        T(status__counts_and_listeners),
        T(drives__all_and_one_by_odd_name),
        T(unknown__404_and_405_with_allow),
        T(insert__bad_bodies__400_names_the_field),
        T(insert__each_failure__has_its_code),
        T(errors__entries_with_their_dump),
        T(yank_insert__prompt_appears_and_goes),
        T(answer__good_wrong_and_twice),
        T(cancel__what_was_not_flushed_is_in_a_file_that_is_named),
        T(body__over_64_KiB__413),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
