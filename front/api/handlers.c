/*
 * handlers.c - one function per route
 *
 * Each takes a checked request and fills in the reply.  Runs on the thread of
 * the connection, or, for routes that may take seconds, on a job's.  No lock
 * is held while the service is called.
 *
 * SPDX-License-Identifier: MIT
 */
#include "api/api_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- errors of the service ---------------------------------------------------
 */

/* The one translation from errno to HTTP; the codes are in docs/api.md. */
static const struct {
    int error;
    unsigned http;
    const char *code;
} error_rows[] = {
    { EBUSY, 409, "busy" },
    { ENOENT, 404, "not-found" },
    { ENOMEDIUM, 409, "no-medium" },
    { ENXIO, 409, "no-medium" },
    { EINVAL, 422, "invalid" },
    { EACCES, 403, "forbidden" },
    { EPERM, 403, "forbidden" },
    { EROFS, 409, "write-protected" },
    { ENOTSUP, 422, "not-supported" },
    { ETIMEDOUT, 504, "timeout" },
    { EIO, 502, "io-error" },
    { ESHUTDOWN, 503, "shutting-down" },
    { ENOMEM, 503, "no-memory" },
    /* libraries */
    { ENODEV, 404, "no-library" },
    { EEXIST, 409, "full" },
    { ENOTUNIQ, 409, "ambiguous" },
    { EAGAIN, 503, "not-ready" },
    { EHOSTDOWN, 409, "offline" },
    { EMEDIUMTYPE, 409, "wrong-medium" },
    { ERANGE, 422, "invalid" },
};

void
api_fail_errno(struct api_call *call, int rc, const struct ri_error *error)
{
    const char *text =
        error != NULL && error->text[0] != '\0' ? error->text : strerror(-rc);

    for (size_t i = 0; i < sizeof error_rows / sizeof error_rows[0]; i++) {
        if (error_rows[i].error == -rc) {
            api_fail(call, error_rows[i].http, error_rows[i].code, "%s", text);
            return;
        }
    }
    api_fail(call, 500, "internal", "%s", text);
}

static void
answer(struct api_call *call, json_t *reply)
{
    call->http = 200;
    call->reply = reply;
}

/* --- lists
 * -------------------------------------------------------------------- */

#define LIST(name, record, getter, encoder)                                    \
    static int name(struct ri_service *service, json_t **out_list)             \
    {                                                                          \
        struct record *rows = NULL;                                            \
        size_t count = 0;                                                      \
        int rc = getter(service, &rows, &count);                               \
                                                                               \
        if (rc != 0)                                                           \
            return rc;                                                         \
        *out_list = json_array();                                              \
        for (size_t i = 0; i < count; i++)                                     \
            json_array_append_new(*out_list, encoder(&rows[i]));               \
        free(rows);                                                            \
        return 0;                                                              \
    }

LIST(list_drives, ri_drive_info, ri_drives, api_encode_drive)
LIST(list_volumes, ri_volume_info, ri_volumes, api_encode_volume)
LIST(list_prompts, ri_prompt_info, ri_prompts, api_encode_prompt)
LIST(list_recovery, ri_recovery_info, ri_recovery, api_encode_recovery)
LIST(list_exports, ri_export_info, ri_exports, api_encode_export)

static int
get_log(struct ri_service *service, struct ri_log_entry **out_list,
        size_t *out_count)
{
    return ri_error_log(service, 0, out_list, out_count);
}

LIST(list_errors, ri_log_entry, get_log, api_encode_log_entry)

typedef int list_fn(struct ri_service *service, json_t **out_list);

static void
get_list(struct api_call *call, const char *name, list_fn *list)
{
    json_t *rows;
    int rc = list(call->server->service, &rows);

    if (rc != 0)
        api_fail_errno(call, rc, NULL);
    else
        answer(call, json_pack("{s:o}", name, rows));
}

void
api_get_drives(struct api_call *call)
{
    get_list(call, "drives", list_drives);
}

void
api_get_volumes(struct api_call *call)
{
    get_list(call, "volumes", list_volumes);
}

void
api_get_prompts(struct api_call *call)
{
    get_list(call, "prompts", list_prompts);
}

void
api_get_exports(struct api_call *call)
{
    get_list(call, "exports", list_exports);
}

void
api_get_recovery(struct api_call *call)
{
    get_list(call, "recovery", list_recovery);
}

void
api_get_errors(struct api_call *call)
{
    get_list(call, "errors", list_errors);
}

/* --- the service
 * -------------------------------------------------------------- */

void
api_get_root(struct api_call *call)
{
    answer(call, json_pack("{s:s, s:s, s:o}", "service", "reinsert", "version",
                           ri_version(), "routes", api_routes_describe()));
}

static json_t *
listeners(struct api_server *server)
{
    char uri[3 * RI_PATH_MAX];
    json_t *list = json_array();

    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->listener_count; i++) {
        api_nbd_uri(server->listeners[i], "", uri, sizeof uri);
        json_array_append_new(list, json_pack("{s:o, s:s}", "address",
                                              api_string(server->listeners[i]),
                                              "uri", uri));
    }
    pthread_mutex_unlock(&server->lock);
    return list;
}

static json_int_t
sum(const json_t *rows, const char *field)
{
    json_int_t total = 0;
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row) total +=
        json_integer_value(json_object_get(row, field));
    return total;
}

static json_int_t
count_equal(const json_t *rows, const char *field, const char *word)
{
    json_int_t total = 0;
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row) total +=
        strcmp(json_string_value(json_object_get(row, field)), word) == 0;
    return total;
}

static json_t *
counts(struct ri_service *service, int *out_rc)
{
    json_t *drives = NULL, *volumes = NULL, *prompts = NULL, *object = NULL;

    if ((*out_rc = list_drives(service, &drives)) == 0 &&
        (*out_rc = list_volumes(service, &volumes)) == 0 &&
        (*out_rc = list_prompts(service, &prompts)) == 0)
        object = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "drives",
                           (json_int_t) json_array_size(drives), "ready",
                           count_equal(drives, "state", "ready"), "volumes",
                           (json_int_t) json_array_size(volumes), "absent",
                           count_equal(volumes, "state", "absent") +
                               count_equal(volumes, "state", "cancelled"),
                           "prompts", (json_int_t) json_array_size(prompts),
                           "waiting", sum(volumes, "waiting"), "clients",
                           sum(volumes, "clients"));
    json_decref(drives);
    json_decref(volumes);
    json_decref(prompts);
    return object;
}

static json_t *
unflushed_log(struct ri_service *service)
{
    struct ri_unflushed_log_info info;

    ri_unflushed_log(service, &info);
    return json_pack("{s:s, s:o, s:o, s:o}", "state", info.state, "dir",
                     api_string(info.dir), "problem", api_string(info.problem),
                     "warning", api_string(info.warning));
}

void
api_get_status(struct api_call *call)
{
    struct api_server *server = call->server;
    int rc;
    json_t *numbers = counts(server->service, &rc);

    if (numbers == NULL) {
        api_fail_errno(call, rc != 0 ? rc : -ENOMEM, NULL);
        return;
    }
    answer(call, json_pack("{s:{s:s, s:i, s:I, s:o, s:o, s:o}, s:o}", "service",
                           "version", ri_version(), "pid", (int) getpid(),
                           "uptime_ms",
                           (json_int_t) (api_now_ms() - server->start_ms),
                           "control", api_string(server->path), "nbd",
                           listeners(server), "unflushed_log",
                           unflushed_log(server->service), "counts", numbers));
}

/* --- one drive
 * ------------------------------------------------------------------ */

/* The drive that the path names, as JSON; NULL with 404 when there is none. */
static json_t *
find_drive(struct api_call *call)
{
    char known[RI_TEXT_MAX] = "";
    json_t *drives, *row, *found = NULL;
    size_t i;
    int rc = list_drives(call->server->service, &drives);

    if (rc != 0) {
        api_fail_errno(call, rc, NULL);
        return NULL;
    }
    json_array_foreach(drives, i, row)
    {
        const char *name = json_string_value(json_object_get(row, "name"));
        size_t len = strlen(known);

        if (strcmp(name, call->params[0]) == 0)
            found = json_incref(row);
        snprintf(known + len, sizeof known - len, "%s%s", i > 0 ? ", " : "",
                 name);
    }
    json_decref(drives);
    if (found == NULL)
        api_fail(call, 404, "no-drive", "there is no drive \"%s\"; %s%s",
                 call->params[0], known[0] != '\0' ? "there are: " : "",
                 known[0] != '\0' ? known : "there are none");
    return found;
}

void
api_get_drive(struct api_call *call)
{
    json_t *drive = find_drive(call);

    if (drive != NULL)
        answer(call, json_pack("{s:o}", "drive", drive));
}

/* After an operation: the drive as it is now, or why it failed.  What a
 * missing thing means is known here: the drive itself is there. */
static void
finish_operation(struct api_call *call, int rc, const struct ri_error *error,
                 unsigned missing_http, const char *missing_code)
{
    if (rc == -ENOENT)
        api_fail(call, missing_http, missing_code, "%s",
                 error->text[0] != '\0' ? error->text : strerror(ENOENT));
    else if (rc != 0)
        api_fail_errno(call, rc, error);
    else
        api_get_drive(call);
}

static bool
drive_exists(struct api_call *call)
{
    json_t *drive = find_drive(call);

    json_decref(drive);
    return drive != NULL;
}

void
api_post_insert(struct api_call *call)
{
    const char *image = json_string_value(json_object_get(call->body, "image"));
    struct ri_error error = { "" };
    int rc;

    if (image[0] != '/') {
        api_fail(call, 400, "bad-request",
                 "field \"image\": \"%s\" is not an absolute path", image);
        return;
    }
    if (strlen(image) >= RI_PATH_MAX) {
        api_fail(call, 400, "bad-request",
                 "field \"image\": longer than %d bytes", RI_PATH_MAX - 1);
        return;
    }
    if (!drive_exists(call))
        return;
    rc = ri_insert(call->server->service, call->params[0], image, &error);
    finish_operation(call, rc, &error, 422, "no-image");
}

void
api_post_eject(struct api_call *call)
{
    struct ri_error error = { "" };

    if (drive_exists(call)) {
        int rc = ri_eject(call->server->service, call->params[0], &error);

        finish_operation(call, rc, &error, 409, "no-medium");
    }
}

void
api_post_press(struct api_call *call)
{
    struct ri_error error = { "" };

    if (drive_exists(call)) {
        int rc = ri_press(call->server->service, call->params[0], &error);

        finish_operation(call, rc, &error, 409, "no-medium");
    }
}

void
api_post_yank(struct api_call *call)
{
    struct ri_error error = { "" };

    if (drive_exists(call)) {
        int rc = ri_yank(call->server->service, call->params[0], &error);

        finish_operation(call, rc, &error, 409, "no-medium");
    }
}

/* --- prompts
 * ---------------------------------------------------------------------- */

static bool
parse_id(const char *text, uint64_t *out_id)
{
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *out_id = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

void
api_post_answer(struct api_call *call)
{
    const char *word = json_string_value(json_object_get(call->body, "answer"));
    static const char *const words[] = {
        [RI_RETRY] = "retry", [RI_CANCEL] = "cancel", [RI_USE] = "use"
    };
    struct ri_error error = { "" };
    char recovery[RI_PATH_MAX] = "";
    unsigned choice = 0;
    uint64_t id = 0;
    int rc;

    while (choice < 3 && strcmp(word, words[choice]) != 0)
        choice++;
    if (choice == 3) {
        api_fail(call, 400, "bad-request",
                 "field \"answer\": \"%s\" is none of retry, cancel, use",
                 word);
        return;
    }
    rc = parse_id(call->params[0], &id)
             ? ri_prompt_answer(call->server->service, id,
                                (enum ri_answer) choice, recovery, &error)
             : -ENOENT;
    if (rc == -ENOENT)
        api_fail(call, 404, "no-prompt",
                 "there is no prompt %s; it may have been answered meanwhile",
                 call->params[0]);
    else if (rc != 0)
        api_fail_errno(call, rc, &error);
    else
        answer(call,
               json_pack("{s:{s:I, s:s, s:o}}", "prompt", "id", (json_int_t) id,
                         "answer", word, "recovery", api_string(recovery)));
}
