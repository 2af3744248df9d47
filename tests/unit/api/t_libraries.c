/*
 * t_libraries.c - the routes of libraries
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
#include <cmocka.h>

#define SHELF "/v1/libraries/shelf"

static const json_t *
element(const struct http_reply *reply, size_t n)
{
    return json_array_get(json_object_get(reply->json, "elements"), n);
}

static const char *
text(const json_t *object, const char *field)
{
    return json_string_value(json_object_get(object, field));
}

static void
libraries__all_and_one_with_its_elements(void **state)
{
    struct http_reply reply;

    fixture_get(*state, "/v1/libraries", 200, &reply);
    assert_string_equal(
        text(json_array_get(json_object_get(reply.json, "libraries"), 0),
             "name"),
        "shelf");
    http_reply_free(&reply);
    fixture_get(*state, SHELF, 200, &reply);
    assert_string_equal(text(element(&reply, 0), "type"), "drive");
    assert_string_equal(text(element(&reply, 1), "type"), "slot");
    assert_string_equal(text(element(&reply, 3), "type"), "mail-slot");
    assert_string_equal(text(element(&reply, 1), "tag"),
                        "A                               ");
    assert_string_equal(text(element(&reply, 1), "home_from"), "unknown");
    http_reply_free(&reply);
    fixture_expect(*state, "GET", "/v1/libraries/none", NULL, 404,
                   "no-library");
}

static void
command__done__result(void **state)
{
    struct http_reply reply;
    const json_t *result;

    fixture_post(*state, SHELF "/load", "{\"source\": 1, \"drive\": 0}", 200,
                 &reply);
    result = json_object_get(reply.json, "result");
    assert_string_equal(text(result, "barcode"), "A");
    assert_int_equal(json_integer_value(json_object_get(result, "drive")), 0);
    assert_true(json_is_array(json_object_get(result, "notes")));
    http_reply_free(&reply);
    fixture_post(*state, SHELF "/unload", "{\"destination\": 1}", 200, &reply);
    assert_true(json_is_null(
        json_object_get(json_object_get(reply.json, "result"), "drive")));
    http_reply_free(&reply);
}

static void
command__failed__error_and_result(void **state)
{
    struct http_reply reply;

    fixture_post(*state, SHELF "/load", "{\"source\": 3}", 409, &reply);
    assert_string_equal(text(json_object_get(reply.json, "error"), "code"),
                        "no-medium");
    assert_string_equal(
        text(json_object_get(reply.json, "result"), "status_name"),
        "STATUS_SOURCE_ELEMENT_EMPTY");
    http_reply_free(&reply);
    fixture_expect(*state, "POST", SHELF "/clean", "{}", 422, "not-supported");
    fixture_expect(*state, "POST", SHELF "/load", "{\"source\": 99}", 422,
                   "invalid");
    fixture_expect(*state, "POST", "/v1/libraries/none/load", "{}", 404,
                   "no-library");
    fixture_expect(*state, "POST", SHELF "/dance", "{}", 404, "no-route");
}

static void
body__fields_of_the_wrong_kind__named(void **state)
{
    static const char *const bad[] = {
        "{\"source\": \"1\"}",
        "{\"source\": -1}",
        "{\"source\": 1.5}",
        "{\"label\": 7}",
        "{\"nowait\": 1}",
        "{\"speed\": 3}",
        "{\"drive\": 4294967296}",
        "{\"label\": \"123456789012345678901234567890123\"}",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        fixture_expect(*state, "POST", SHELF "/load", bad[i], 400,
                       "bad-request");
    fixture_expect(*state, "POST", SHELF "/hand", "{}", 400, "bad-request");
    fixture_expect(*state, "POST", SHELF "/hand",
                   "{\"what\": \"remove\", \"slot\": \"2\"}", 400,
                   "bad-request");
    fixture_expect(*state, "POST", SHELF "/hand", "{\"what\": \"wave\"}", 422,
                   "invalid");
}

static void
hand__takes_a_cartridge__library_without_it(void **state)
{
    struct http_reply reply;

    fixture_post(*state, SHELF "/hand", "{\"what\": \"remove\", \"slot\": 2}",
                 200, &reply);
    assert_true(json_is_false(json_object_get(element(&reply, 2), "full")));
    http_reply_free(&reply);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            libraries__all_and_one_with_its_elements, fixture_setup,
            fixture_teardown),
        cmocka_unit_test_setup_teardown(command__done__result, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(command__failed__error_and_result,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(body__fields_of_the_wrong_kind__named,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(
            hand__takes_a_cartridge__library_without_it, fixture_setup,
            fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
