/*
 * routes.c - the table of routes, and everything that is read off it
 *
 * Dispatch, "method not allowed", the check of request bodies and the
 * description at GET /v1 all come from this one table.  Pure, any thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include "api/api_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
#define NO_FIELDS { { NULL, NULL } }
/* clang-format on */

static const struct api_route routes[] = {
    { "GET", "/v1", "What there is: every route.", 0, api_get_root, NO_FIELDS },
    { "GET", "/v1/status", "The service: version, listeners, counts.", 0,
      api_get_status, NO_FIELDS },
    { "GET", "/v1/drives", "All drives, with what is in them.", 0,
      api_get_drives, NO_FIELDS },
    { "GET", "/v1/drives/{NAME}", "One drive.", 0, api_get_drive, NO_FIELDS },
    { "POST",
      "/v1/drives/{NAME}/insert",
      "Put an image into an emulated drive and close it.",
      API_WAITS,
      api_post_insert,
      { { "image", "path of the image, absolute" } } },
    { "POST", "/v1/drives/{NAME}/eject", "Flush, unlock and open the drive.",
      API_WAITS, api_post_eject, NO_FIELDS },
    { "POST", "/v1/drives/{NAME}/press",
      "Press the button of an emulated drive.", API_WAITS, api_post_press,
      NO_FIELDS },
    { "POST", "/v1/drives/{NAME}/yank",
      "Take the medium out of an emulated drive, whatever is going on.",
      API_WAITS, api_post_yank, NO_FIELDS },
    { "GET", "/v1/libraries", "All libraries, and how they are.", 0,
      api_get_libraries, NO_FIELDS },
    { "GET", "/v1/libraries/{NAME}", "One library, with its elements.", 0,
      api_get_library, NO_FIELDS },
    { "POST",
      "/v1/libraries/{NAME}/hand",
      "What a hand does at an emulated library.",
      API_WAITS,
      api_post_hand,
      { { "what",
          "open-door, close-door, open-mail, close-mail, insert, remove",
          API_TEXT },
        { "slot", "for insert and remove", API_NUMBER },
        { "image", "for insert: a file of the media folder", API_WORD } } },
    { "POST",
      "/v1/libraries/{NAME}/{COMMAND}",
      "The robot: load, unload, transfer, exchange, position, inventory, "
      "refresh, open-mail, close-mail, lock, unlock, import, export, clean, "
      "verify, scan.",
      API_WAITS,
      api_post_library,
      { { "source", "slot", API_NUMBER },
        { "label", "instead of source: a bar code", API_WORD },
        { "destination", "slot", API_NUMBER },
        { "second", "slot; exchange: where the other one goes", API_NUMBER },
        { "drive", "number, from 0", API_NUMBER },
        { "count", "inventory: slots from source", API_NUMBER },
        { "timeout", "seconds to wait for readiness", API_NUMBER },
        { "nowait", "do not wait for readiness", API_FLAG },
        { "noverify", "what is read afterwards is no failure", API_FLAG },
        { "invert", "turn the medium over", API_FLAG },
        { "invert2", "exchange: the second one, too", API_FLAG },
        { "cleaning", "load: a cleaning cartridge is meant", API_FLAG },
        { "bar_codes", "inventory: read the labels anew", API_FLAG },
        { "force", "unload: though the drive does not let go", API_FLAG } } },
    { "GET", "/v1/tapes", "All tape drives, with what is known of their tapes.",
      0, api_get_tapes, NO_FIELDS },
    { "POST", "/v1/tapes/{NAME}/session",
      "Open a tape drive: with `Upgrade: reinsert-tape`.", API_UPGRADE,
      api_post_session, NO_FIELDS },
    { "GET", "/v1/volumes", "All volumes, present and absent.", 0,
      api_get_volumes, NO_FIELDS },
    { "GET", "/v1/exports", "What NBD clients can open.", 0, api_get_exports,
      NO_FIELDS },
    { "GET", "/v1/prompts", "The questions that wait for an answer.", 0,
      api_get_prompts, NO_FIELDS },
    { "POST",
      "/v1/prompts/{ID}/answer",
      "Answer a question.",
      API_WAITS,
      api_post_answer,
      { { "answer", "retry, cancel, or use" } } },
    { "GET", "/v1/recovery", "The recovery files that this service wrote.", 0,
      api_get_recovery, NO_FIELDS },
    { "GET", "/v1/errors", "What the drivers wrote to the error log.", 0,
      api_get_errors, NO_FIELDS },
    { "GET", "/v1/events",
      "What happens, as server-sent events; Last-Event-ID resumes.", API_STREAM,
      NULL, NO_FIELDS },
};

#define ROUTE_COUNT (sizeof routes / sizeof routes[0])

void
api_fail(struct api_call *call, unsigned http, const char *code,
         const char *format, ...)
{
    char text[RI_TEXT_MAX + 256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_decref(call->reply);
    call->http = http;
    call->reply = json_pack("{s:{s:s, s:o}}", "error", "code", code, "text",
                            api_string(text));
}

static int
hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c | 0x20);

    return at == NULL ? -1 : (int) (at - digits);
}

/* A path segment without its percent signs; false for a bad escape, a NUL, or
 * one that is too long. */
static bool
decode_segment(const char *from, size_t len, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char) from[i];

        if (c == '%') {
            if (i + 2 >= len || hex_digit(from[i + 1]) < 0 ||
                hex_digit(from[i + 2]) < 0)
                return false;
            c = hex_digit(from[i + 1]) * 16 + hex_digit(from[i + 2]);
            i += 2;
        }
        if (c == 0 || n + 1 >= API_SEGMENT_MAX)
            return false;
        out[n++] = (char) c;
    }
    out[n] = '\0';
    return n > 0;
}

static bool
match(const char *pattern, const char *path, struct api_call *call)
{
    size_t param = 0;

    while (*pattern == '/' && *path == '/') {
        size_t want = strcspn(++pattern, "/");
        size_t have = strcspn(++path, "/");

        if (*pattern == '{') {
            if (!decode_segment(path, have, call->params[param++]))
                return false;
        } else if (want != have || memcmp(pattern, path, have) != 0) {
            return false;
        }
        pattern += want;
        path += have;
    }
    return *pattern == '\0' && *path == '\0';
}

static bool
same_method(const char *route, const char *method)
{
    return strcmp(route, method) == 0 ||
           (strcmp(route, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

static void
add_allow(char *out_allow, size_t max, const char *method)
{
    size_t len = strlen(out_allow);

    snprintf(out_allow + len, max - len, "%s%s", len > 0 ? ", " : "",
             strcmp(method, "GET") == 0 ? "GET, HEAD" : method);
}

const struct api_route *
api_route_find(const char *method, const char *path, struct api_call *call,
               char *out_allow, size_t allow_max)
{
    out_allow[0] = '\0';
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (!match(routes[i].path, path, call))
            continue;
        if (same_method(routes[i].method, method))
            return &routes[i];
        add_allow(out_allow, allow_max, routes[i].method);
    }
    if (out_allow[0] != '\0')
        api_fail(call, 405, "method-not-allowed", "%s takes %s, not %s", path,
                 out_allow, method);
    else
        api_fail(call, 404, "no-route",
                 "there is no %s here; GET /v1 lists what there is", path);
    return NULL;
}

static bool
is_field(const struct api_route *route, const char *name)
{
    for (size_t i = 0; i < API_FIELDS_MAX && route->fields[i].name; i++)
        if (strcmp(route->fields[i].name, name) == 0)
            return true;
    return false;
}

/* NULL: it is as it should be. */
static const char *
value_fault(enum api_field_kind kind, const json_t *value)
{
    if (value == NULL)
        return kind == API_TEXT ? "is missing" : NULL;
    switch (kind) {
    case API_TEXT:
    case API_WORD:
        return json_is_string(value) ? NULL : "must be a string";
    case API_NUMBER:
        return json_is_integer(value) && json_integer_value(value) >= 0 &&
                       json_integer_value(value) <= INT32_MAX
                   ? NULL
                   : "must be an integer, not negative";
    case API_FLAG:
        return json_is_boolean(value) ? NULL : "must be true or false";
    }
    return NULL;
}

static bool
check_fields(struct api_call *call)
{
    const struct api_route *route = call->route;
    const char *name;
    json_t *value;

    json_object_foreach(call->body, name, value)
    {
        if (!is_field(route, name)) {
            api_fail(call, 400, "bad-request",
                     "field \"%s\": %s takes no such field", name, route->path);
            return false;
        }
    }
    for (size_t i = 0; i < API_FIELDS_MAX && route->fields[i].name; i++) {
        const struct api_field *field = &route->fields[i];
        const char *wrong;

        value = json_object_get(call->body, field->name);
        wrong = value_fault(field->kind, value);
        if (wrong == NULL)
            continue;
        api_fail(call, 400, "bad-request", "field \"%s\": %s (%s)", field->name,
                 wrong, field->text);
        return false;
    }
    return true;
}

bool
api_body_parse(struct api_call *call, const char *text, size_t len)
{
    json_error_t error;

    /* No body is the same as {}: the fields that are needed are named. */
    if (len == 0) {
        call->body = json_object();
    } else {
        call->body = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
        if (call->body == NULL) {
            api_fail(call, 400, "bad-json", "body, line %d, column %d: %s",
                     error.line, error.column, error.text);
            return false;
        }
    }
    if (!json_is_object(call->body)) {
        api_fail(call, 400, "bad-request", "body: must be a JSON object");
        return false;
    }
    return check_fields(call);
}

json_t *
api_routes_describe(void)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const struct api_route *r = &routes[i];
        json_t *entry = json_pack("{s:s, s:s, s:s}", "method", r->method,
                                  "path", r->path, "text", r->text);
        json_t *body = json_object();

        for (size_t f = 0; f < API_FIELDS_MAX && r->fields[f].name; f++)
            json_object_set_new(body, r->fields[f].name,
                                json_string(r->fields[f].text));
        if (json_object_size(body) > 0)
            json_object_set(entry, "body", body);
        json_decref(body);
        json_array_append_new(list, entry);
    }
    return list;
}
