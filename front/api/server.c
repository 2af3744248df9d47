/*
 * server.c - life of the control API: connections, requests, slow calls
 *
 * libmicrohttpd runs one thread per connection.  A route that may take seconds
 * runs as a job on a thread of its own while the connection's thread waits, so
 * that stopping the server never depends on how long the service takes.
 *
 * Read api_internal.h first; it has the locks.
 *
 * SPDX-License-Identifier: MIT
 */
#include "api/api_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_TIMEOUT_S 30  /* a client that says nothing for so long */
#define STREAM_TIMEOUT_S  300 /* a subscriber that reads nothing for so long */
#define STACK_BYTES       (512 * 1024)
#define JOBS_END_MS       200   /* of the 300 that a stop may take */
#define SESSIONS_END_MS   50    /* besides */
#define SESSIONS_KEEP_MS  55000 /* ... of those that write a recovery file */

/* A request while it is being received.  The call is first: see tapes.c. */
struct request {
    struct api_call call;
    char allow[64];
    char *body;
    size_t body_len;
    size_t received; /* with what was dropped */
};

/* A call into the service on its own thread; freed by the last of its two
 * users.  Under server.lock but for `call`, which the job owns until done. */
struct job {
    struct api_call call;
    unsigned refs;
    bool done;
};

uint64_t
api_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

/* --- life of the object
 * ------------------------------------------------------- */

static void
server_free(struct api_server *server)
{
    tape_server_free(server->tapes);
    api_events_free(&server->events);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

void
api_server_unref(struct api_server *server)
{
    bool last;

    pthread_mutex_lock(&server->lock);
    last = --server->refs == 0;
    pthread_mutex_unlock(&server->lock);
    if (last)
        server_free(server);
}

/* --- jobs
 * ---------------------------------------------------------------------- */

static void
call_clear(struct api_call *call)
{
    json_decref(call->body);
    json_decref(call->reply);
    call->body = call->reply = NULL;
}

static void
job_unref_locked(struct job *job)
{
    if (--job->refs > 0)
        return;
    call_clear(&job->call);
    free(job);
}

static void *
job_thread(void *context)
{
    struct job *job = context;
    struct api_server *server = job->call.server;

    job->call.route->run(&job->call);
    pthread_mutex_lock(&server->lock);
    job->done = true;
    server->jobs--;
    job_unref_locked(job);
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    api_server_unref(server);
    return NULL;
}

static int
start_detached(void *(*run)(void *), void *context)
{
    pthread_attr_t attr;
    pthread_t thread;
    int rc;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    rc = pthread_create(&thread, &attr, run, context);
    pthread_attr_destroy(&attr);
    return rc;
}

/* Runs the call on a thread of its own and waits for it, or for the stop. */
static void
run_as_job(struct api_call *call)
{
    struct api_server *server = call->server;
    struct job *job = calloc(1, sizeof *job);

    if (job == NULL) {
        api_fail(call, 503, "no-memory", "out of memory");
        return;
    }
    job->call = *call;
    job->refs = 2;
    call->body = NULL; /* the job's now */
    pthread_mutex_lock(&server->lock);
    server->refs++;
    server->jobs++;
    if (start_detached(job_thread, job) != 0) {
        server->refs--;
        server->jobs--;
        job->refs = 1;
        job->done = true;
        api_fail(&job->call, 503, "no-memory", "no thread could be started");
    }
    while (!job->done && !server->abandon)
        pthread_cond_wait(&server->changed, &server->lock);
    if (job->done) {
        call->http = job->call.http;
        call->reply = job->call.reply;
        job->call.reply = NULL;
    } else {
        api_fail(call, 503, "shutting-down", "the service is ending");
    }
    job_unref_locked(job);
    pthread_mutex_unlock(&server->lock);
}

/* --- replies
 * -------------------------------------------------------------------- */

static enum MHD_Result
send_reply(struct MHD_Connection *connection, struct request *request)
{
    struct api_call *call = &request->call;
    /* Who names fields is a program that is in a hurry. */
    size_t how = call->wanted != NULL ? JSON_COMPACT : JSON_INDENT(2);
    char *text = call->reply != NULL ? json_dumps(call->reply, how) : NULL;
    struct MHD_Response *response;
    enum MHD_Result result;
    size_t len;

    if (text == NULL) {
        call->http = 503;
        text = strdup("{\"error\": {\"code\": \"no-memory\", "
                      "\"text\": \"out of memory\"}}");
        if (text == NULL)
            return MHD_NO;
    }
    len = strlen(text);
    text[len] = '\n'; /* in place of the NUL, which is not sent */
    response =
        MHD_create_response_from_buffer(len + 1, text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(text);
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", "application/json");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    if (request->allow[0] != '\0')
        MHD_add_response_header(response, "Allow", request->allow);
    result = MHD_queue_response(connection, call->http, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result
send_events(struct MHD_Connection *connection, struct request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct MHD_Response *response =
        api_events_response(&request->call.server->events, info->connect_fd,
                            MHD_lookup_connection_value(
                                connection, MHD_HEADER_KIND, "Last-Event-ID"));
    enum MHD_Result result;

    if (response == NULL) {
        api_fail(&request->call, 503, "too-many",
                 "too many readers of events; %d are served at once",
                 API_SUBSCRIBERS_MAX);
        return send_reply(connection, request);
    }
    MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT,
                              (unsigned int) STREAM_TIMEOUT_S);
    MHD_add_response_header(response, "Content-Type", "text/event-stream");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    result = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    return result;
}

/* --- requests
 * -------------------------------------------------------------------- */

static void
request_free(struct request *request)
{
    call_clear(&request->call);
    free(request->body);
    free(request);
}

static bool
is_stopping(struct api_server *server)
{
    bool stopping;

    pthread_mutex_lock(&server->lock);
    stopping = server->stopping;
    pthread_mutex_unlock(&server->lock);
    return stopping;
}

static enum MHD_Result
too_large(struct MHD_Connection *connection, struct request *request)
{
    api_fail(&request->call, 413, "too-large",
             "the body is longer than %u bytes", API_BODY_MAX);
    return send_reply(connection, request);
}

/* The head has arrived.  A body announced as huge is refused unread. */
static enum MHD_Result
begin_request(struct api_server *server, struct MHD_Connection *connection,
              void **context)
{
    const char *length = MHD_lookup_connection_value(
        connection, MHD_HEADER_KIND, "Content-Length");
    struct request *request = calloc(1, sizeof *request);

    if (request == NULL)
        return MHD_NO;
    request->call.server = server;
    *context = request;
    if (length != NULL && strtoull(length, NULL, 10) > API_DRAIN_MAX)
        return too_large(connection, request);
    return MHD_YES;
}

/* A body that is too long is read and dropped, within reason, because a reply
 * in the middle of it would often be lost. */
static enum MHD_Result
add_body(struct request *request, const char *data, size_t *len)
{
    char *grown;

    request->received += *len;
    if (request->received > API_DRAIN_MAX)
        return MHD_NO;
    if (request->received <= API_BODY_MAX) {
        grown = realloc(request->body, request->received);
        if (grown == NULL)
            return MHD_NO;
        memcpy(grown + request->body_len, data, *len);
        request->body = grown;
        request->body_len = request->received;
    }
    *len = 0;
    return MHD_YES;
}

/* All of it has arrived. */
static enum MHD_Result
finish_request(struct MHD_Connection *connection, struct request *request,
               const char *method, const char *path)
{
    struct api_call *call = &request->call;

    if (request->received > API_BODY_MAX)
        return too_large(connection, request);
    if (is_stopping(call->server)) {
        api_fail(call, 503, "shutting-down", "the service is ending");
        return send_reply(connection, request);
    }
    call->route = api_route_find(method, path, call, request->allow,
                                 sizeof request->allow);
    if (call->route == NULL)
        return send_reply(connection, request);
    if (strcmp(call->route->method, "POST") == 0 &&
        !api_body_parse(call, request->body, request->body_len))
        return send_reply(connection, request);
    call->wanted = MHD_lookup_connection_value(connection,
                                               MHD_GET_ARGUMENT_KIND, "fields");
    if (call->route->flags & API_STREAM)
        return send_events(connection, request);
    if (call->route->flags & API_WAITS)
        run_as_job(call);
    else
        call->route->run(call);
    request->allow[0] = '\0';
    if ((call->route->flags & API_UPGRADE) && call->reply == NULL &&
        api_session_begin(connection, call))
        return MHD_YES;
    return send_reply(connection, request);
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *connection, const char *path,
           const char *method, const char *version, const char *data,
           size_t *data_len, void **context)
{
    (void) version;
    if (*context == NULL)
        return begin_request(cls, connection, context);
    if (*data_len > 0)
        return add_body(*context, data, data_len);
    return finish_request(connection, *context, method, path);
}

static void
on_completed(void *cls, struct MHD_Connection *connection, void **context,
             enum MHD_RequestTerminationCode code)
{
    (void) cls;
    (void) connection;
    (void) code;
    if (*context != NULL)
        request_free(*context);
    *context = NULL;
}

/* Paths are decoded segment by segment, so that a name may hold a slash. */
static size_t
keep_escapes(void *cls, struct MHD_Connection *connection, char *text)
{
    (void) cls;
    (void) connection;
    return strlen(text);
}

/* --- start and stop
 * ---------------------------------------------------------------- */

static struct MHD_Daemon *
start_daemon(struct api_server *server, int fd)
{
    struct MHD_Daemon *daemon;
    sigset_t all, old;

    /* Signals are the program's business: none on our threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
            MHD_USE_POLL | MHD_USE_ITC | MHD_ALLOW_UPGRADE,
        0, NULL, NULL, on_request, server, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned) API_CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned) REQUEST_TIMEOUT_S,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t) STACK_BYTES,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return daemon;
}

static struct api_server *
server_new(struct ri_service *service, const char *path)
{
    struct api_server *server = calloc(1, sizeof *server);
    pthread_condattr_t attr;
    struct stat st;

    if (server == NULL || (server->tapes = tape_server_new(service)) == NULL) {
        free(server);
        return NULL;
    }
    server->service = service;
    server->refs = 1;
    server->jobs_end_ms = JOBS_END_MS;
    server->sessions_end_ms = SESSIONS_END_MS;
    server->start_ms = api_now_ms();
    snprintf(server->path, sizeof server->path, "%s", path);
    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (stat(path, &st) == 0) {
        server->socket_dev = st.st_dev;
        server->socket_ino = st.st_ino;
    }
    api_events_start(&server->events, service);
    return server;
}

static void
remove_socket(struct api_server *server)
{
    struct stat st;

    if (lstat(server->path, &st) == 0 && st.st_dev == server->socket_dev &&
        st.st_ino == server->socket_ino)
        unlink(server->path);
}

int
api_server_start(struct ri_service *service, const char *control_path,
                 struct api_server **out_server, struct ri_error *out_error)
{
    struct api_server *server;
    int fd, rc = api_listen_unix(control_path, &fd, out_error);

    if (rc != 0)
        return rc;
    server = server_new(service, control_path);
    if (server == NULL) {
        close(fd);
        unlink(control_path);
        snprintf(out_error->text, sizeof out_error->text, "out of memory");
        return -ENOMEM;
    }
    server->daemon = start_daemon(server, fd);
    if (server->daemon == NULL) {
        close(fd);
        remove_socket(server);
        api_events_stop(&server->events);
        tape_server_stop(server->tapes);
        api_server_unref(server);
        snprintf(out_error->text, sizeof out_error->text,
                 "control socket %s: the HTTP server did not start",
                 control_path);
        return -EIO;
    }
    *out_server = server;
    return 0;
}

void
api_server_set_listeners(struct api_server *server,
                         const char *const *addresses, size_t count)
{
    pthread_mutex_lock(&server->lock);
    server->listener_count = count < RI_LISTEN_MAX ? count : RI_LISTEN_MAX;
    for (size_t i = 0; i < server->listener_count; i++)
        snprintf(server->listeners[i], RI_PATH_MAX, "%s", addresses[i]);
    pthread_mutex_unlock(&server->lock);
}

/* New requests are refused; running jobs get jobs_end_ms.  Returns how many
 * are left behind. */
static unsigned
end_jobs(struct api_server *server)
{
    struct timespec until;
    unsigned left;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += server->jobs_end_ms / 1000;
    until.tv_nsec += server->jobs_end_ms % 1000 * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    while (server->jobs > 0 &&
           pthread_cond_timedwait(&server->changed, &server->lock, &until) == 0)
        ;
    left = server->jobs;
    server->abandon = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    return left;
}

/* What is acknowledged and on no tape is still written to a file. */
static bool
tapes_are_unsafe(struct api_server *server)
{
    struct ri_tape_info *list = NULL;
    size_t count = 0;
    bool any = false;

    if (ri_tapes(server->service, &list, &count) != 0)
        return false;
    for (size_t i = 0; i < count; i++)
        any = any || (list[i].open && list[i].unflushed_bytes != 0);
    free(list);
    return any;
}

static unsigned
end_sessions(struct api_server *server)
{
    unsigned left, waited = 0;

    do {
        left = tape_server_wait(server->tapes, server->sessions_end_ms);
        waited += server->sessions_end_ms;
    } while (left > 0 && waited < SESSIONS_KEEP_MS && tapes_are_unsafe(server));
    return left;
}

int
api_server_stop(struct api_server *server)
{
    unsigned left;

    if (server == NULL)
        return 0;
    remove_socket(server);
    api_events_stop(&server->events);
    tape_server_stop(server->tapes);
    left = end_jobs(server);
    left += end_sessions(server);
    MHD_stop_daemon(server->daemon);
    api_server_unref(server);
    return left > 0 ? -EBUSY : 0;
}
