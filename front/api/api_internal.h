/*
 * api_internal.h - what the files of front/api share
 *
 * One thread per connection runs a request from its first byte to its last.
 * Locks, in the order in which they may be taken: server.lock, events.lock.
 * Neither is held while the service is called or a socket is used.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef API_INTERNAL_H
#define API_INTERNAL_H

#include <pthread.h>
#include <sys/types.h>

#include <jansson.h>
#include <microhttpd.h>

#include "api/api.h"
#include "tape.h"
#include "tapelink/tape_serve.h"

#define API_BODY_MAX        (64u * 1024)   /* longer bodies get 413 */
#define API_DRAIN_MAX       (1024u * 1024) /* read this far to say so politely */
#define API_RING_MAX        1024           /* events kept for late readers */
#define API_CONNECTIONS_MAX 256
#define API_SUBSCRIBERS_MAX 192
#define API_PARAMS_MAX      2
#define API_SEGMENT_MAX     512 /* a path segment, decoded */

/* --- listen.c ---------------------------------------------------------------
 */

int api_listen_unix(const char *path, int *out_fd, struct ri_error *out_error);

/* --- events.c ---------------------------------------------------------------
 */

struct api_frame {
    char *text; /* as it goes over the wire; owned */
    size_t len;
};

struct api_subscriber {
    struct api_subscriber *next;
    struct api_events *events;
    uint64_t seq; /* next event to send */
    char *rest;   /* what did not fit into the last buffer */
    size_t rest_len, rest_sent;
    int wake_fd;   /* eventfd, written when `waiting` */
    int client_fd; /* borrowed from the connection */
    bool waiting;
    bool greeted;
};

struct api_events {
    struct ri_service *service;
    uint64_t subscription;
    int keepalive_ms;
    pthread_mutex_t lock;                /* all below */
    struct api_frame ring[API_RING_MAX]; /* event n is at n % MAX */
    uint64_t oldest, end; /* seq of the oldest kept, of the next to come */
    struct api_subscriber *subscribers;
    unsigned subscriber_count;
    bool stopping;
};

void api_events_start(struct api_events *events, struct ri_service *service);
/* No event comes any more and every reader ends. */
void api_events_stop(struct api_events *events);
void api_events_free(struct api_events *events);
/* A response that streams; NULL when there are too many already. */
struct MHD_Response *api_events_response(struct api_events *events,
                                         int client_fd, const char *last_id);

/* --- encode.c ---------------------------------------------------------------
 */

/* Any bytes; what is not UTF-8 becomes '?'. */
json_t *api_string(const char *text);
json_t *api_encode_drive(const struct ri_drive_info *drive);
json_t *api_encode_volume(const struct ri_volume_info *volume);
json_t *api_encode_prompt(const struct ri_prompt_info *prompt);
json_t *api_encode_recovery(const struct ri_recovery_info *recovery);
json_t *api_encode_export(const struct ri_export_info *export_);
json_t *api_encode_event(const struct ri_event *event);
json_t *api_encode_log_entry(const struct ri_log_entry *entry);
json_t *api_encode_library(const struct ri_library_info *library);
/* wanted: names with commas between them, of which those that are "", 0 or
 * false are left out; or NULL for all. */
json_t *api_encode_elements(const struct ri_element_info *rows, size_t count,
                            const char *wanted);
json_t *api_encode_tape(const struct ri_tape_info *tape);
json_t *api_encode_result(const struct ri_library_result *result);

/* --- server.c ---------------------------------------------------------------
 */

struct api_server {
    struct ri_service *service; /* borrowed, outlives the server */
    struct MHD_Daemon *daemon;
    char path[RI_PATH_MAX];
    dev_t socket_dev; /* to remove only our own socket */
    ino_t socket_ino;
    uint64_t start_ms; /* monotonic */
    struct api_events events;
    struct tape_server *tapes;
    unsigned jobs_end_ms, sessions_end_ms; /* set before the stop */

    pthread_mutex_t lock; /* all below */
    pthread_cond_t changed;
    unsigned refs; /* the owner, and each running job */
    unsigned jobs; /* calls into the service that may wait */
    bool stopping; /* new requests get 503 */
    bool abandon;  /* nobody waits for jobs any more */
    char listeners[RI_LISTEN_MAX][RI_PATH_MAX];
    size_t listener_count;
};

uint64_t api_now_ms(void);
void api_server_unref(struct api_server *server);

/* --- routes.c, handlers.c
 * ----------------------------------------------------- */

/* One request on its way through a handler. */
struct api_call {
    struct api_server *server;
    const struct api_route *route;
    char params[API_PARAMS_MAX][API_SEGMENT_MAX]; /* {NAME}, {ID} */
    json_t *body;       /* an object, or NULL; owned */
    const char *wanted; /* ?fields=NAME,NAME..., or NULL for all */
    /* out */
    unsigned http;
    json_t *reply; /* owned */
};

enum api_field_kind {
    API_TEXT,   /* a string that must be there */
    API_WORD,   /* ... that may be there */
    API_NUMBER, /* an integer from 0 to 2^31 - 1 that may be there */
    API_FLAG,   /* true or false, may be there */
};

struct api_field {
    const char *name; /* NULL ends the list */
    const char *text;
    enum api_field_kind kind;
};

enum {
    API_WAITS = 1,  /* may take seconds: run as a job */
    API_STREAM = 2, /* events */
    API_UPGRADE = 4, /* becomes a tape session if `run` leaves no reply */
};

#define API_FIELDS_MAX 16

struct api_route {
    const char *method;
    const char *path; /* {NAME}: a parameter */
    const char *text; /* for GET /v1 */
    unsigned flags;
    void (*run)(struct api_call *call);
    struct api_field fields[API_FIELDS_MAX]; /* of the body */
};

/* Finds the route; NULL with the error filled in as the call's reply, and for
 * 405 the methods that would do. */
const struct api_route *api_route_find(const char *method, const char *path,
                                       struct api_call *call, char *out_allow,
                                       size_t allow_max);
/* Parses and checks the body against route->fields. */
bool api_body_parse(struct api_call *call, const char *text, size_t len);
json_t *api_routes_describe(void);

/* The one place where an error becomes a reply. */
void api_fail(struct api_call *call, unsigned http, const char *code,
              const char *format, ...) __attribute__((format(printf, 4, 5)));

void api_get_root(struct api_call *call);
void api_get_status(struct api_call *call);
void api_get_drives(struct api_call *call);
void api_get_drive(struct api_call *call);
void api_get_volumes(struct api_call *call);
void api_get_prompts(struct api_call *call);
void api_get_exports(struct api_call *call);
void api_get_errors(struct api_call *call);
void api_get_recovery(struct api_call *call);
void api_post_answer(struct api_call *call);
void api_post_insert(struct api_call *call);
void api_post_eject(struct api_call *call);
void api_post_press(struct api_call *call);
void api_post_yank(struct api_call *call);

/* handlers.c: errno of the service as a reply. */
void api_fail_errno(struct api_call *call, int rc,
                    const struct ri_error *error);

/* --- libraries.c
 * ---------------------------------------------------------- */

void api_get_libraries(struct api_call *call);
void api_get_library(struct api_call *call);
void api_post_library(struct api_call *call);
void api_post_hand(struct api_call *call);

/* --- tapes.c
 * ---------------------------------------------------------- */

void api_get_tapes(struct api_call *call);
/* Checks only. */
void api_post_session(struct api_call *call);
/* "101 Switching Protocols"; the call's drive then has a session.  False: the
 * call has the error as its reply. */
bool api_session_begin(struct MHD_Connection *connection,
                       struct api_call *call);

#endif
