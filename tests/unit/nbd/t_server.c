/*
 * t_server.c - listeners, many connections, and stopping whatever clients do
 *
 * SPDX-License-Identifier: MIT
 */
#include "client.h"

#include "nbd/nbd_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static int
start(struct bench *bench, const char *one, const char *two,
      struct nbd_server **out_server, struct ri_error *out_error)
{
    const char *const both[] = { one, two };

    return nbd_server_start(bench->service, both, two != NULL ? 2 : 1,
                            out_server, out_error);
}

static void
bad_addresses__named_in_the_message(void **state)
{
    static const struct {
        const char *address;
        int want;
    } rows[] = {
        { "", -EINVAL },
        { "nbd", -EINVAL },
        { "unix:", -EINVAL },
        { "unix:/nowhere/at/all/socket", -ENOENT },
        { "tcp:", -EINVAL },
        { "tcp:10809", -EINVAL },
        { "tcp::10809", -EINVAL },
        { "tcp:127.0.0.1", -EINVAL },
        { "tcp:127.0.0.1:", -EINVAL },
        { "tcp:127.0.0.1:x", -EINVAL },
        { "tcp:127.0.0.1:70000", -EINVAL },
        { "tcp:127.0.0.1:-1", -EINVAL },
        { "tcp:::1:10809", -EINVAL },
        { "tcp:[::1:10809", -EINVAL },
        { "tcp:[]:10809", -EINVAL },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct nbd_server *server;
        struct ri_error error = { "" };

        assert_int_equal(start(*state, rows[i].address, NULL, &server, &error),
                         rows[i].want);
        assert_non_null(strstr(error.text, rows[i].address));
        assert_true(strlen(error.text) > strlen(rows[i].address) + 5);
    }
}

static void
live_socket__refused__first_server_goes_on(void **state)
{
    struct bench *bench = *state;
    struct nbd_server *server;
    struct ri_error error = { "" };
    int fd;

    assert_int_equal(start(bench, bench->listener, NULL, &server, &error),
                     -EADDRINUSE);
    assert_non_null(strstr(error.text, bench->path));
    fd = client_open(bench, "A", false);
    close(fd);
}

static void
stale_socket__replaced__and_removed_at_the_end(void **state)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct nbd_server *server;
    struct ri_error error = { "" };
    char text[120];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/t_nbd.%d.stale",
             (int) getpid());
    assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof address), 0);
    listen(fd, 1);
    close(fd);
    snprintf(text, sizeof text, "unix:%s", address.sun_path);
    assert_int_equal(start(*state, text, NULL, &server, &error), 0);
    fd = client_connect(address.sun_path);
    client_greet(fd, 3);
    close(fd);
    assert_int_equal(nbd_server_stop(server), 0);
    assert_int_equal(access(address.sun_path, F_OK), -1);
}

static void
ordinary_file__refused_and_untouched(void **state)
{
    struct nbd_server *server;
    struct ri_error error = { "" };
    char path[64], text[80];
    FILE *file;

    snprintf(path, sizeof path, "/tmp/t_nbd.%d.file", (int) getpid());
    file = fopen(path, "w");
    fclose(file);
    snprintf(text, sizeof text, "unix:%s", path);
    assert_int_equal(start(*state, text, NULL, &server, &error), -EEXIST);
    assert_int_equal(unlink(path), 0);
}

static void
second_listener_fails__first_is_gone(void **state)
{
    struct nbd_server *server;
    struct ri_error error = { "" };
    char path[64], text[80];

    snprintf(path, sizeof path, "/tmp/t_nbd.%d.first", (int) getpid());
    snprintf(text, sizeof text, "unix:%s", path);
    assert_int_equal(start(*state, text, "tcp:nonsense", &server, &error),
                     -EINVAL);
    assert_int_equal(access(path, F_OK), -1);
}

static int
connect_port(const char *address)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in.sin_port = htons((uint16_t) atoi(strrchr(address, ':') + 1));
    assert_int_equal(connect(fd, (struct sockaddr *) &in, sizeof in), 0);
    return fd;
}

static void
unix_and_tcp__any_port__both_serve(void **state)
{
    struct bench *bench = *state;
    struct nbd_server *server, *second;
    struct ri_error error = { "" };
    char path[64], text[80], address[64];
    int fd;

    snprintf(path, sizeof path, "/tmp/t_nbd.%d.both", (int) getpid());
    snprintf(text, sizeof text, "unix:%s", path);
    assert_int_equal(start(bench, text, "tcp:127.0.0.1:0", &server, &error), 0);
    assert_int_equal(nbd_server_address(server, 0, address, sizeof address), 0);
    assert_string_equal(address, text);
    assert_int_equal(nbd_server_address(server, 1, address, sizeof address), 0);
    assert_string_not_equal(address, "tcp:127.0.0.1:0");
    assert_int_equal(nbd_server_address(server, 2, address, sizeof address),
                     -ENOENT);
    assert_int_equal(nbd_server_address(server, 0, address, 3), -ENAMETOOLONG);
    fd = connect_port(address);
    client_greet(fd, 3);
    client_go(fd, "A");
    client_request(fd, 0, NBD_CMD_FLUSH, 1, 0, 0);
    assert_int_equal(client_simple(fd, 1), 0);
    assert_int_equal(start(bench, address, NULL, &second, &error), -EADDRINUSE);
    close(fd);
    fd = client_connect(path);
    client_greet(fd, 3);
    close(fd);
    assert_int_equal(nbd_server_stop(server), 0);
}

static void
ipv6__in_brackets__accepted(void **state)
{
    struct nbd_server *server;
    struct ri_error error = { "" };
    char address[64];

    if (start(*state, "tcp:[::1]:0", NULL, &server, &error) < 0)
        skip(); /* no IPv6 here */
    nbd_server_address(server, 0, address, sizeof address);
    assert_memory_equal(address, "tcp:[::1]:", 10);
    assert_int_equal(nbd_server_stop(server), 0);
}

static void
many_connections__all_served__one_too_many_refused(void **state)
{
    enum { COUNT = 512 };
    struct bench *bench = *state;
    struct nbd_counters counters;
    static int fds[COUNT];
    int extra;

    for (int i = 0; i < COUNT; i++)
        fds[i] = client_open(bench, "A", i % 2 == 0);
    for (int i = 0; i < COUNT; i++)
        client_request(fds[i], 0, NBD_CMD_FLUSH, 1, 0, 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(client_simple(fds[i], 1), 0);
    extra = client_connect(bench->path);
    client_expect_end(extra);
    nbd_server_counters(bench->server, &counters);
    assert_int_equal(counters.connected, COUNT);
    assert_true(counters.refused == 1);
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    assert_true(fake_await_opens(bench->service, 0));
    extra = client_open(bench, "A", false);
    close(extra);
}

/* want_left 0: they all end by themselves, so that the limit is not reached,
 * which is one that no busy machine reaches. */
static void
stop(struct bench *bench, size_t want_left)
{
    if (want_left == 0)
        bench->server->stop_wait_ms = 60000;
    ri_service_shutdown(bench->service);
    assert_int_equal(nbd_server_stop(bench->server), want_left);
    bench->server = NULL;
}

static void
stop__requests_waiting__eshutdown_then_the_end(void **state)
{
    struct bench *bench = *state;
    uint8_t byte;
    uint32_t error;
    int fd;

    bench->service->hold_end = 1u << 20;
    fd = client_open(bench, "A", false);
    for (unsigned i = 0; i < 64; i++)
        client_request(fd, 0, NBD_CMD_READ, i, 4096 * i, 4096);
    assert_true(fake_await_held(bench->service, 64));
    stop(bench, 0);
    for (unsigned i = 0; i < 64; i++) {
        client_any(fd, &error);
        assert_int_equal(error, NBD_ESHUTDOWN);
    }
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    assert_int_equal(access(bench->path, F_OK), -1);
    close(fd);
}

/* Idle, half shaken, half a request, and one that does not read. */
static void
stop__clients_of_every_kind__in_time(void **state)
{
    struct bench *bench = *state;
    int idle = client_open(bench, "A", false);
    int silent = client_connect(bench->path);
    int half = client_open(bench, "A", false);
    int deaf = client_open(bench, "A", false);

    client_send(half, "\x25\x60\x95\x13\0\0\0", 7);
    for (unsigned i = 0; i < 64; i++)
        client_request(deaf, 0, NBD_CMD_READ, i, 0, 1u << 20);
    stop(bench, 0);
    assert_int_equal(bench->service->opens, 0);
    close(idle);
    close(silent);
    close(half);
    close(deaf);
}

static void
stop__requests_that_never_complete__left_behind(void **state)
{
    struct bench *bench = *state;
    int fd;

    bench->service->hold_end = 1u << 20;
    bench->service->stubborn = true;
    fd = client_open(bench, "A", false);
    client_request(fd, 0, NBD_CMD_READ, 1, 0, 4096);
    assert_true(fake_await_held(bench->service, 1));
    stop(bench, 1); /* they do not end */
    fake_release(bench->service, EIO, 0);
    assert_true(fake_await_opens(bench->service, 0));
    close(fd);
    usleep(20000); /* its thread has nothing left but to end */
}

#define WITH_BENCH(f) cmocka_unit_test_setup_teardown(f, bench_up, bench_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(bad_addresses__named_in_the_message),
        WITH_BENCH(live_socket__refused__first_server_goes_on),
        WITH_BENCH(stale_socket__replaced__and_removed_at_the_end),
        WITH_BENCH(ordinary_file__refused_and_untouched),
        WITH_BENCH(second_listener_fails__first_is_gone),
        WITH_BENCH(unix_and_tcp__any_port__both_serve),
        WITH_BENCH(ipv6__in_brackets__accepted),
        WITH_BENCH(many_connections__all_served__one_too_many_refused),
        WITH_BENCH(stop__requests_waiting__eshutdown_then_the_end),
        WITH_BENCH(stop__clients_of_every_kind__in_time),
        WITH_BENCH(stop__requests_that_never_complete__left_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
