/*
 * t_server.c - life of the server: its socket, bad clients, slow calls, stop
 *
 * SPDX-License-Identifier: MIT
 */
#include "fixture.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "api/api_internal.h"

/* What it does not wait for takes an hour: time for a busy machine. */
#define HOUR_MS     3600000
#define STOP_MAX_MS 60000

static void
socket_file__mode_0600(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    assert_int_equal(stat(f->control, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(S_ISSOCK(st.st_mode));
}

static void
socket_file__live_is_refused__stale_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct api_server *second = NULL;
    struct ri_error error = { "" };
    struct http_reply reply;
    int fd;

    assert_int_equal(api_server_start(f->service, f->control, &second, &error),
                     -EADDRINUSE);
    assert_non_null(strstr(error.text, f->control));
    fixture_get(f, "/v1/status", 200, &reply);
    http_reply_free(&reply);

    assert_int_equal(api_server_stop(f->server), 0);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    strcpy(address.sun_path, f->control);
    assert_int_equal(bind(fd, (void *) &address, sizeof address), 0);
    close(fd);
    assert_int_equal(
        api_server_start(f->service, f->control, &f->server, &error), 0);
    fixture_get(f, "/v1/status", 200, &reply);
    http_reply_free(&reply);
}

static void
socket_file__not_a_socket_or_no_place__refused(void **state)
{
    struct fixture *f = *state;
    struct api_server *second = NULL;
    struct ri_error error = { "" };
    char path[300];

    assert_int_equal(api_server_start(f->service, f->image_a, &second, &error),
                     -EEXIST);
    assert_int_equal(access(f->image_a, F_OK), 0);
    assert_int_equal(
        api_server_start(f->service, "/no/such/place", &second, &error),
        -ENOENT);
    memset(path, 'x', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    assert_int_equal(api_server_start(f->service, path, &second, &error),
                     -ENAMETOOLONG);
    assert_int_equal(api_server_start(f->service, "", &second, &error),
                     -EINVAL);
    assert_null(second);
}

static void
stop__leaves_a_socket_that_is_not_ours(void **state)
{
    struct fixture *f = *state;
    struct ri_error error;
    struct api_server *other;

    assert_int_equal(unlink(f->control), 0);
    assert_int_equal(api_server_start(f->service, f->control, &other, &error),
                     0);
    assert_int_equal(api_server_stop(f->server), 0);
    assert_int_equal(access(f->control, F_OK), 0);
    f->server = other;
}

static void
send_and_close(struct fixture *f, const char *bytes, size_t len)
{
    char out[256];
    int fd = http_connect(f->control);

    assert_true(fd >= 0);
    (void) !send(fd, bytes, len, MSG_NOSIGNAL);
    if (len % 2 == 0)
        http_read(fd, out, sizeof out, "\n", 20);
    close(fd);
}

static void
garbage_and_disconnects__service_goes_on(void **state)
{
    static const char *const rows[] = {
        "",
        "G",
        "GET",
        "GET /v1/status",
        "GET /v1/status HTTP/1.1\r\n",
        "\r\n\r\n\r\n",
        "GET /v1/status HTTP/9.9\r\n\r\n",
        "POST /v1/drives/disk0/insert HTTP/1.1\r\nHost: x\r\n"
        "Content-Length: 60000\r\n\r\n{\"image\"",
        "POST /v1/drives/disk0/insert HTTP/1.1\r\nHost: x\r\n"
        "Content-Length: -5\r\n\r\n{}",
        "POST /v1/drives/disk0/insert HTTP/1.1\r\nHost: x\r\n"
        "Content-Length: 99999999999999\r\n\r\n{}",
        "POST /v1/drives/disk0/insert HTTP/1.1\r\nHost: x\r\n"
        "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET /v1/events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: -7x\r\n\r\n",
        "GET /v1/drives/%%%% HTTP/1.1\r\nHost: x\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    };
    struct fixture *f = *state;
    struct http_reply reply;
    unsigned seed = 1;
    char noise[512];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        send_and_close(f, rows[i], strlen(rows[i]));
    for (int i = 0; i < 100; i++) {
        for (size_t n = 0; n < sizeof noise; n++)
            noise[n] = (char) rand_r(&seed);
        send_and_close(f, noise, (size_t) rand_r(&seed) % sizeof noise);
    }
    fixture_get(f, "/v1/status", 200, &reply);
    http_reply_free(&reply);
}

static void
thousand_connections__nothing_leaks(void **state)
{
    struct fixture *f = *state;
    struct http_reply reply;
    unsigned fds = 0;

    for (int i = 0; i < 1000; i++) {
        http_request(f->control, i % 3 ? "GET" : "POST",
                     i % 3 ? "/v1/status" : "/v1/drives/none/eject", NULL,
                     &reply);
        assert_int_equal(reply.status, i % 3 ? 200 : 404);
        http_reply_free(&reply);
        if (i == 10)
            fds = fixture_count("/proc/self/fd");
    }
    for (int i = 0; i < 3000 && fixture_count("/proc/self/fd") > fds; i++)
        usleep(20000);
    assert_true(fixture_count("/proc/self/fd") <= fds);
    assert_true(fixture_count("/proc/self/task") < 12);
}

/* --- slow calls
 * ---------------------------------------------------------------- */

static void *
eject_thread(void *context)
{
    struct fixture *f = context;
    struct http_reply *reply = calloc(1, sizeof *reply);

    http_request(f->control, "POST", "/v1/drives/disk0/eject", "{}", reply);
    return reply;
}

/* One that does not end by itself. */
static void
begin_eject(struct fixture *f, pthread_t *out_thread)
{
    __atomic_store_n(&fake_eject_ms, HOUR_MS, __ATOMIC_RELEASE);
    pthread_create(out_thread, NULL, eject_thread, f);
    for (int i = 0; __atomic_load_n(&fake_ejecting, __ATOMIC_ACQUIRE) == 0;
         i++) {
        assert_true(i < 6000);
        usleep(10000);
    }
}

static int
join_status(pthread_t thread)
{
    struct http_reply *reply;
    int status;

    pthread_join(thread, (void **) &reply);
    status = reply->status;
    http_reply_free(reply);
    free(reply);
    return status;
}

static void
slow_eject__others_go_on(void **state)
{
    struct fixture *f = *state;
    struct http_reply reply;
    pthread_t thread;

    begin_eject(f, &thread);
    fixture_get(f, "/v1/drives", 200, &reply);
    http_reply_free(&reply);
    assert_int_equal(__atomic_load_n(&fake_ejecting, __ATOMIC_ACQUIRE), 1);
    __atomic_store_n(&fake_eject_ms, 0, __ATOMIC_RELEASE);
    assert_int_equal(join_status(thread), 200);
}

/* Until the call that was left behind has ended, with all that it does: it is
 * the last that has a reference to the server, but for ours. */
static void
wait_ended(struct api_server *server)
{
    bool last = false;

    for (int i = 0; !last; i++) {
        assert_true(i < 6000);
        usleep(10000);
        pthread_mutex_lock(&server->lock);
        last = server->refs == 1;
        pthread_mutex_unlock(&server->lock);
    }
    api_server_unref(server);
}

static void
stop__with_a_call_that_hangs__bounded_and_told(void **state)
{
    struct fixture *f = *state;
    struct api_server *server = f->server;
    struct ri_error error;
    pthread_t thread;
    long start;

    fake_deaf = true;
    begin_eject(f, &thread);
    pthread_mutex_lock(&server->lock);
    server->refs++;
    pthread_mutex_unlock(&server->lock);
    start = fixture_ms();
    assert_int_equal(api_server_stop(f->server), -EBUSY);
    assert_true(fixture_ms() - start < STOP_MAX_MS);
    join_status(thread);
    __atomic_store_n(&fake_eject_ms, 0, __ATOMIC_RELEASE);
    wait_ended(server); /* it ends by itself */
    fake_deaf = false;
    assert_int_equal(
        api_server_start(f->service, f->control, &f->server, &error), 0);
}

static void
stop__whatever_clients_do__bounded(void **state)
{
    static const char stream[] = "GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n";
    static const char half[] = "POST /v1/drives/disk0/eject HTTP/1.1\r\n"
                               "Host: x\r\nContent-Length: 5000\r\n\r\n{";
    struct fixture *f = *state;
    struct ri_error error;
    int fds[60];
    long start;

    for (int i = 0; i < 60; i++) {
        const char *text = i % 3 == 0 ? stream : half;

        fds[i] = http_connect(f->control);
        if (i % 3 < 2)
            (void) !send(fds[i], text, strlen(text), MSG_NOSIGNAL);
    }
    usleep(100 * 1000);
    for (int i = 0; i < 5000; i++) /* the streams are full, unread */
        fake_emit(f->service, "drive", "disk0", "A", 0, "Something happened");
    start = fixture_ms();
    assert_int_equal(api_server_stop(f->server), 0);
    assert_true(fixture_ms() - start < STOP_MAX_MS);
    for (int i = 0; i < 60; i++)
        close(fds[i]);
    assert_int_equal(
        api_server_start(f->service, f->control, &f->server, &error), 0);
}

int
main(void)
{
#define T(name)                                                                \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(socket_file__mode_0600),
        T(socket_file__live_is_refused__stale_is_replaced),
        T(socket_file__not_a_socket_or_no_place__refused),
        T(stop__leaves_a_socket_that_is_not_ours),
        T(garbage_and_disconnects__service_goes_on),
        T(thousand_connections__nothing_leaks),
        T(slow_eject__others_go_on),
        T(stop__with_a_call_that_hangs__bounded_and_told),
        T(stop__whatever_clients_do__bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
