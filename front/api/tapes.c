/*
 * tapes.c - tape drives: listed, and handed over to their sessions
 *
 * A connection that becomes a session leaves the HTTP server: its socket is
 * the session's from then on, and the HTTP server forgets it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "api/api_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define PROTOCOL "reinsert-tape"

void
api_get_tapes(struct api_call *call)
{
    struct ri_tape_info *rows = NULL;
    size_t count = 0;
    json_t *list;
    int rc = ri_tapes(call->server->service, &rows, &count);

    if (rc != 0) {
        api_fail_errno(call, rc, NULL);
        return;
    }
    list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, api_encode_tape(&rows[i]));
    free(rows);
    call->http = 200;
    call->reply = json_pack("{s:o}", "tapes", list);
}

void
api_post_session(struct api_call *call)
{
    struct ri_tape_info *rows = NULL;
    char known[RI_TEXT_MAX] = "";
    size_t count = 0, len = 0;
    bool found = false;
    int rc = ri_tapes(call->server->service, &rows, &count);

    if (rc != 0) {
        api_fail_errno(call, rc, NULL);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        found = found || strcmp(rows[i].drive, call->params[0]) == 0;
        if (len < sizeof known)
            len += (size_t) snprintf(known + len, sizeof known - len, "%s%s",
                                     i > 0 ? ", " : "", rows[i].drive);
    }
    free(rows);
    if (!found)
        api_fail(call, 404, "no-drive", "there is no tape drive \"%s\"; %s%s",
                 call->params[0], count > 0 ? "there are: " : "there are none",
                 known);
    else if (!tape_server_has_room(call->server->tapes))
        api_fail(call, 503, "too-many",
                 "too many tape sessions; %d are served at once",
                 TAPE_SESSIONS_MAX);
}

/* --- the upgrade ------------------------------------------------------------- */

/* What a client sent too early is lost, and its session ends soon. */
static void
take_over(void *cls, struct MHD_Connection *connection, void *context,
          const char *extra, size_t extra_len, MHD_socket sock,
          struct MHD_UpgradeResponseHandle *handle)
{
    struct api_call *call = context; /* what a request begins with */
    int fd = fcntl(sock, F_DUPFD_CLOEXEC, 3);

    (void) cls;
    (void) connection;
    (void) extra;
    MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
    if (fd >= 0 && extra_len > 0)
        close(fd);
    else if (fd >= 0)
        (void) tape_server_take(call->server->tapes, call->params[0], fd);
}

static bool
asks_for_it(struct MHD_Connection *connection)
{
    const char *to = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                 MHD_HTTP_HEADER_UPGRADE);
    const char *how = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                  MHD_HTTP_HEADER_CONNECTION);

    return to != NULL && how != NULL && strcasecmp(to, PROTOCOL) == 0 &&
           strcasestr(how, "upgrade") != NULL;
}

bool
api_session_begin(struct MHD_Connection *connection, struct api_call *call)
{
    struct MHD_Response *response;
    enum MHD_Result result = MHD_NO;

    if (!asks_for_it(connection)) {
        api_fail(call, 426, "upgrade-required",
                 "a tape session needs the headers `Connection: Upgrade` and "
                 "`Upgrade: %s`",
                 PROTOCOL);
        return false;
    }
    response = MHD_create_response_for_upgrade(take_over, NULL);
    if (response != NULL) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_UPGRADE, PROTOCOL);
        result = MHD_queue_response(connection, 101, response);
        MHD_destroy_response(response);
    }
    if (result == MHD_YES)
        return true;
    api_fail(call, 503, "no-memory", "the connection cannot be handed over");
    return false;
}
