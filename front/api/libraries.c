/*
 * libraries.c - the routes of libraries
 *
 * A command's reply has its result, also when it failed: then beside the
 * error.  Runs on the thread of the connection, commands on a job's.  No lock
 * is held while the service is called.
 *
 * SPDX-License-Identifier: MIT
 */
#include "api/api_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
answer(struct api_call *call, json_t *reply)
{
    call->http = 200;
    call->reply = reply;
}

void
api_get_libraries(struct api_call *call)
{
    struct ri_library_info *rows = NULL;
    size_t count = 0;
    int rc = ri_libraries(call->server->service, &rows, &count);
    json_t *list;

    if (rc != 0) {
        api_fail_errno(call, rc, NULL);
        return;
    }
    list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, api_encode_library(&rows[i]));
    free(rows);
    answer(call, json_pack("{s:o}", "libraries", list));
}

/* NULL with 404 when there is none. */
static json_t *
find_library(struct api_call *call)
{
    struct ri_library_info *rows = NULL;
    char known[RI_TEXT_MAX] = "";
    json_t *found = NULL;
    size_t count = 0;
    int rc = ri_libraries(call->server->service, &rows, &count);

    if (rc != 0) {
        api_fail_errno(call, rc, NULL);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(known);

        if (strcmp(rows[i].name, call->params[0]) == 0)
            found = api_encode_library(&rows[i]);
        snprintf(known + len, sizeof known - len, "%s%s", i > 0 ? ", " : "",
                 rows[i].name);
    }
    free(rows);
    if (found == NULL)
        api_fail(call, 404, "no-library", "there is no library \"%s\"; %s%s",
                 call->params[0], known[0] != '\0' ? "there are: " : "",
                 known[0] != '\0' ? known : "there are none");
    return found;
}

void
api_get_library(struct api_call *call)
{
    struct ri_element_info *rows = NULL;
    struct ri_error error = { "" };
    json_t *library = find_library(call), *list;
    size_t count = 0;
    int rc;

    if (library == NULL)
        return;
    rc = ri_library_elements(call->server->service, call->params[0], &rows,
                             &count, &error);
    if (rc != 0) {
        json_decref(library);
        api_fail_errno(call, rc, &error);
        return;
    }
    list = api_encode_elements(rows, count, call->wanted);
    free(rows);
    answer(call, json_pack("{s:o, s:o}", "library", library, "elements", list));
}

/* --- commands ------------------------------------------------------------- */

static uint32_t
number(const struct api_call *call, const char *name, uint32_t otherwise)
{
    const json_t *value = json_object_get(call->body, name);

    return value != NULL ? (uint32_t) json_integer_value(value) : otherwise;
}

static uint32_t
take_flags(const struct api_call *call)
{
    static const struct {
        const char *name;
        uint32_t flag;
    } flags[] = {
        { "nowait", RI_LIB_NOWAIT },     { "noverify", RI_LIB_NOVERIFY },
        { "invert", RI_LIB_INVERT },     { "invert2", RI_LIB_INVERT2 },
        { "cleaning", RI_LIB_CLEANING }, { "bar_codes", RI_LIB_BAR_CODES },
        { "force", RI_LIB_FORCE },
    };
    uint32_t all = 0;

    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (json_is_true(json_object_get(call->body, flags[i].name)))
            all |= flags[i].flag;
    return all;
}

static bool
take_op(const char *name, enum ri_library_op *out_op)
{
    const char *known;

    for (int op = 0;
         (known = ri_library_op_name((enum ri_library_op) op)) != NULL; op++)
        if (strcmp(known, name) == 0) {
            *out_op = (enum ri_library_op) op;
            return true;
        }
    return false;
}

static bool
take_command(struct api_call *call, struct ri_library_command *command)
{
    const char *label = json_string_value(json_object_get(call->body, "label"));

    if (!take_op(call->params[1], &command->op)) {
        api_fail(call, 404, "no-route",
                 "libraries have no command \"%s\"; GET /v1 lists them",
                 call->params[1]);
        return false;
    }
    if (label != NULL && strlen(label) >= sizeof command->label) {
        api_fail(call, 400, "bad-request",
                 "field \"label\": longer than %zu characters",
                 sizeof command->label - 1);
        return false;
    }
    snprintf(command->label, sizeof command->label, "%s",
             label != NULL ? label : "");
    command->source = number(call, "source", 0);
    command->destination = number(call, "destination", 0);
    command->second = number(call, "second", 0);
    command->drive = number(call, "drive", RI_NO_DRIVE);
    command->count = number(call, "count", 0);
    command->timeout_s = number(call, "timeout", 0);
    command->flags = take_flags(call);
    return true;
}

static bool
library_exists(struct api_call *call)
{
    json_t *library = find_library(call);

    json_decref(library);
    return library != NULL;
}

void
api_post_library(struct api_call *call)
{
    struct ri_library_command command = { .drive = RI_NO_DRIVE };
    struct ri_library_result *result;
    struct ri_error error = { "" };
    int rc;

    if (!library_exists(call) || !take_command(call, &command))
        return;
    result = calloc(1, sizeof *result);
    if (result == NULL) {
        api_fail_errno(call, -ENOMEM, NULL);
        return;
    }
    rc = ri_library_command(call->server->service, call->params[0], &command,
                            result, &error);
    if (rc == 0) {
        answer(call, json_pack("{s:o}", "result", api_encode_result(result)));
    } else {
        api_fail_errno(call, rc, &error);
        json_object_set_new(call->reply, "result", api_encode_result(result));
    }
    free(result);
}

void
api_post_hand(struct api_call *call)
{
    const char *what = json_string_value(json_object_get(call->body, "what"));
    const char *image = json_string_value(json_object_get(call->body, "image"));
    struct ri_error error = { "" };
    int rc;

    if (!library_exists(call))
        return;
    rc = ri_library_hand(call->server->service, call->params[0], what,
                         number(call, "slot", 0), image, &error);
    if (rc != 0)
        api_fail_errno(call, rc, &error);
    else
        api_get_library(call);
}
