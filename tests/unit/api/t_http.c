/*
 * t_http.c - the client of the command line, against answers byte by byte
 *
 * Expectations are from RFC 9112 (HTTP/1.1): the sections are named.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/http.h"

/* One connection: for each request one answer, then the end. */
struct script {
    const char *answers[4];
    size_t piece;     /* bytes sent at a time; 0: all at once */
    sem_t *wait;      /* for this before the answer, or NULL */
    char asked[4096]; /* what arrived */
    int connections;
};

struct server {
    int fd;
    char path[sizeof((struct sockaddr_un *) 0)->sun_path];
    struct script *scripts;
    size_t count;
    pthread_t thread;
};

/* Up to the end of a head, and of the body that it tells of. */
static bool
read_request(int fd, struct script *script)
{
    size_t at = strlen(script->asked), begin = at, need = SIZE_MAX;
    char *end, *length;
    ssize_t n;

    while (at - begin < need) {
        n = read(fd, script->asked + at, sizeof script->asked - 1 - at);
        if (n <= 0)
            return false;
        at += (size_t) n;
        script->asked[at] = '\0';
        end = strstr(script->asked + begin, "\r\n\r\n");
        if (end == NULL)
            continue;
        need = (size_t) (end + 4 - script->asked) - begin;
        length = strstr(script->asked + begin, "Content-Length: ");
        if (length != NULL && length < end)
            need += strtoul(length + strlen("Content-Length: "), NULL, 10);
    }
    return true;
}

static void
answer(int fd, const struct script *script, const char *text)
{
    size_t len = strlen(text), piece = script->piece != 0 ? script->piece : len;

    if (script->wait != NULL)
        sem_wait(script->wait);
    while (len > 0) {
        size_t n = piece < len ? piece : len;

        if (send(fd, text, n, MSG_NOSIGNAL) != (ssize_t) n)
            return;
        text += n;
        len -= n;
    }
}

static void *
serve(void *context)
{
    struct server *server = context;

    for (size_t i = 0; i < server->count; i++) {
        struct script *script = &server->scripts[i];
        int fd = accept(server->fd, NULL, NULL);

        script->connections = fd >= 0;
        for (size_t n = 0; n < 4 && script->answers[n] != NULL; n++)
            if (fd >= 0 && read_request(fd, script))
                answer(fd, script, script->answers[n]);
        close(fd);
    }
    return NULL;
}

static void
start(struct server *server, struct script *scripts, size_t count)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    memset(server, 0, sizeof *server);
    server->scripts = scripts;
    server->count = count;
    snprintf(server->path, sizeof server->path, "/tmp/t-http-%d.sock",
             (int) getpid());
    strcpy(address.sun_path, server->path);
    unlink(server->path);
    server->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(
        bind(server->fd, (struct sockaddr *) &address, sizeof address), 0);
    assert_int_equal(listen(server->fd, 5), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void
stop(struct server *server)
{
    pthread_join(server->thread, NULL);
    close(server->fd);
    unlink(server->path);
}

struct got {
    char text[256 * 1024];
    size_t len;
    int stop_with;
};

static int
keep(void *context, const char *data, size_t len)
{
    struct got *got = context;

    assert_true(got->len + len < sizeof got->text);
    memcpy(got->text + got->len, data, len);
    got->len += len;
    got->text[got->len] = '\0';
    return got->stop_with;
}

static struct got got;

static struct http_call
call_of(const char *path, const char *body)
{
    memset(&got, 0, sizeof got);
    return (struct http_call){
        .path = path, .body = body, .sink = keep, .context = &got
    };
}

/* One answer, one call: what it returned; in `got` what came. */
static int
ask_once(const char *text, size_t piece, int *out_status)
{
    struct script script = { .answers = { text }, .piece = piece };
    struct http_call call = call_of("/v1", NULL);
    struct server server;
    struct http *http;
    int rc;

    start(&server, &script, 1);
    http = http_new(server.path);
    rc = http_do(http, &call);
    http_free(http);
    stop(&server);
    if (out_status != NULL)
        *out_status = call.status;
    return rc;
}

/* --- whole answers (RFC 9112, 6.3) ---------------------------- */

static void
answer__with_a_length__is_read_to_it(void **state)
{
    int status;

    (void) state;
    assert_int_equal(ask_once("HTTP/1.1 404 Not Found\r\n"
                              "content-length:  5\r\nX: y\r\n\r\nhello",
                              0, &status),
                     0);
    assert_int_equal(status, 404);
    assert_string_equal(got.text, "hello");
}

static void
answer__in_chunks_byte_by_byte__is_put_together(void **state)
{
    (void) state;
    assert_int_equal(ask_once("HTTP/1.1 200 OK\r\n"
                              "Transfer-Encoding: chunked\r\n\r\n"
                              "5\r\nhello\r\nA;x=y\r\n, world...\r\n"
                              "0\r\nTrailer: x\r\n\r\n",
                              1, NULL),
                     0);
    assert_string_equal(got.text, "hello, world...");
}

static void
answer__without_a_length__ends_with_the_connection(void **state)
{
    (void) state;
    assert_int_equal(ask_once("HTTP/1.0 200 OK\r\n\r\nall of it", 3, NULL), 0);
    assert_string_equal(got.text, "all of it");
}

static void
answer__after_100_continue__is_the_one_that_counts(void **state)
{
    int status;

    (void) state;
    assert_int_equal(ask_once("HTTP/1.1 100 Continue\r\n\r\n"
                              "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                              0, &status),
                     0);
    assert_int_equal(status, 200);
    assert_string_equal(got.text, "ok");
}

static void
answer__longer_than_the_buffer__is_whole(void **state)
{
    enum { SIZE = 200 * 1000 };
    char *text = malloc(SIZE + 100);
    int n =
        sprintf(text, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", SIZE);

    (void) state;
    for (int i = 0; i < SIZE; i++)
        text[n + i] = (char) ('a' + i % 23);
    text[n + SIZE] = '\0';
    assert_int_equal(ask_once(text, 777, NULL), 0);
    assert_int_equal(got.len, SIZE);
    assert_memory_equal(got.text, text + n, SIZE);
    free(text);
}

/* --- what is none --------------------------------------------- */

static void
answer__cut_off__is_a_lost_connection(void **state)
{
    static const char *const cut[] = {
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n",
    };

    (void) state;
    for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++)
        assert_int_equal(ask_once(cut[i], 0, NULL), -ECONNRESET);
}

static void
answer__that_is_no_http__is_refused(void **state)
{
    static const char *const wrong[] = {
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: "
        "99999999999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "1\r\nhello\r\n",
    };

    (void) state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(ask_once(wrong[i], 0, NULL), -EPROTO);
}

static void
answer__line_that_never_ends__is_given_up(void **state)
{
    enum { SIZE = 100 * 1000 };
    char *text = malloc(SIZE + 100);

    (void) state;
    memset(text, 'x', SIZE);
    memcpy(text, "HTTP/1.1 200 ", 13);
    text[SIZE] = '\0';
    assert_int_equal(ask_once(text, 0, NULL), -EMSGSIZE);
    free(text);
}

/* --- connections ------------------------------------------------ */

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static void
connection__between_calls__is_kept(void **state)
{
    struct script script = { .answers = { OK, OK } };
    struct http_call call = call_of("/v1/a", NULL);
    struct server server;
    struct http *http;

    (void) state;
    start(&server, &script, 1);
    http = http_new(server.path);
    assert_int_equal(http_do(http, &call), 0);
    call = call_of("/v1/b", "{\"x\":1}");
    assert_int_equal(http_do(http, &call), 0);
    http_free(http);
    stop(&server);
    assert_int_equal(strncmp(script.asked, "GET /v1/a HTTP/1.1\r\nHost: ", 25),
                     0);
    assert_non_null(strstr(script.asked, "\r\n\r\nPOST /v1/b HTTP/1.1\r\n"));
    assert_non_null(strstr(script.asked, "\r\nContent-Length: 7\r\n"));
    assert_non_null(strstr(script.asked, "\r\n\r\n{\"x\":1}"));
}

static void
connection__ended_by_the_other_side__is_made_anew(void **state)
{
    static const char closing[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n"
                                  "Content-Length: 2\r\n\r\nok";
    struct script scripts[] = { { .answers = { closing } },
                                { .answers = { OK } } };
    struct http_call call = call_of("/v1", NULL);
    struct server server;
    struct http *http;

    (void) state;
    start(&server, scripts, 2);
    http = http_new(server.path);
    for (int i = 0; i < 2; i++) {
        call = call_of("/v1", "{}");
        assert_int_equal(http_do(http, &call), 0);
        assert_string_equal(got.text, "ok");
    }
    http_free(http);
    stop(&server);
    assert_int_equal(scripts[1].connections, 1);
}

static void
motion__connection_lost_after_it_was_sent__is_not_sent_again(void **state)
{
    struct script scripts[] = { { .answers = { "" } } };
    struct http_call call = call_of("/v1/libraries/x/load", "{}");
    struct server server;
    struct http *http;

    (void) state;
    start(&server, scripts, 1);
    http = http_new(server.path);
    assert_int_equal(http_do(http, &call), -ECONNRESET);
    assert_false(call.refused);
    stop(&server);
    http_free(http);
    assert_null(strstr(scripts[0].asked + 1, "POST"));
}

static void
nobody_there__call__is_refused(void **state)
{
    struct http *http = http_new("/tmp/t-http-nobody.sock");
    struct http_call call = call_of("/v1", NULL);

    (void) state;
    assert_int_equal(http_do(http, &call), -ENOENT);
    assert_true(call.refused);
    http_free(http);
}

static void
sink__says_stop__ends_the_call(void **state)
{
    struct script script = {
        .answers = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "5\r\nhello\r\n" }
    };
    struct http_call call = call_of("/v1/events", NULL);
    struct server server;
    struct http *http;

    (void) state;
    start(&server, &script, 1);
    http = http_new(server.path);
    got.stop_with = -1;
    assert_int_equal(http_do(http, &call), -1);
    assert_string_equal(got.text, "hello");
    http_free(http);
    stop(&server);
}

static void
let_answer(void *context)
{
    sem_post(context);
}

/* The answer comes only after a tick. */
static void
answer__that_takes_long__is_waited_for_with_ticks(void **state)
{
    sem_t ticked;
    struct script script = { .answers = { OK }, .wait = &ticked };
    struct http_call call = call_of("/v1", NULL);
    struct server server;
    struct http *http;

    (void) state;
    sem_init(&ticked, 0, 0);
    call.tick = let_answer;
    call.tick_context = &ticked;
    start(&server, &script, 1);
    http = http_new(server.path);
    assert_int_equal(http_do(http, &call), 0);
    http_free(http);
    stop(&server);
    assert_string_equal(got.text, "ok");
    sem_destroy(&ticked);
}

/* RFC 3986, 2.3: what is not reserved stays as it is. */
static void
escape__of_any_name__leaves_letters_and_four_marks(void **state)
{
    char *text = http_escape("aZ09-._~ /?#%\xC3\xA4");

    (void) state;
    assert_string_equal(text, "aZ09-._~%20%2F%3F%23%25%C3%A4");
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer__with_a_length__is_read_to_it),
        cmocka_unit_test(answer__in_chunks_byte_by_byte__is_put_together),
        cmocka_unit_test(answer__without_a_length__ends_with_the_connection),
        cmocka_unit_test(answer__after_100_continue__is_the_one_that_counts),
        cmocka_unit_test(answer__longer_than_the_buffer__is_whole),
        cmocka_unit_test(answer__cut_off__is_a_lost_connection),
        cmocka_unit_test(answer__that_is_no_http__is_refused),
        cmocka_unit_test(answer__line_that_never_ends__is_given_up),
        cmocka_unit_test(connection__between_calls__is_kept),
        cmocka_unit_test(connection__ended_by_the_other_side__is_made_anew),
        cmocka_unit_test(
            motion__connection_lost_after_it_was_sent__is_not_sent_again),
        cmocka_unit_test(nobody_there__call__is_refused),
        cmocka_unit_test(sink__says_stop__ends_the_call),
        cmocka_unit_test(answer__that_takes_long__is_waited_for_with_ticks),
        cmocka_unit_test(escape__of_any_name__leaves_letters_and_four_marks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
