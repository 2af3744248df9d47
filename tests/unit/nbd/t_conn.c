/*
 * t_conn.c - requests that wait, and clients that vanish, dawdle or lie
 *
 * SPDX-License-Identifier: MIT
 */
#include "client.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define HOLD (8u << 20) /* requests from here on wait */

static void
hold(struct bench *bench)
{
    bench->service->hold_from = HOLD;
    bench->service->hold_end = HOLD * 2;
}

static void
write_sector(int fd, uint64_t cookie, uint64_t offset)
{
    static const uint8_t data[512] = { 42 };

    client_request(fd, 0, NBD_CMD_WRITE, cookie, offset, sizeof data);
    client_send(fd, data, sizeof data);
}

/* In one piece: many small ones fill the socket with their overhead. */
static void
send_trims(int fd, unsigned count)
{
    uint8_t *data = malloc(count * 28), *at = data;

    for (unsigned i = 0; i < count; i++) {
        at = put_be32(at, NBD_REQUEST_MAGIC);
        at = put_be16(put_be16(at, 0), NBD_CMD_TRIM);
        at = put_be32(put_be64(put_be64(at, i), HOLD), 512);
    }
    client_send(fd, data, (size_t) (at - data));
    free(data);
}

static void
thousand_waiting__same_connection__goes_on(void **state)
{
    struct bench *bench = *state;
    struct nbd_counters counters;
    int fd;
    uint32_t error;

    hold(bench);
    fd = client_open(bench, "A", false);
    for (unsigned i = 0; i < 1000; i++) {
        write_sector(fd, 10000 + i, HOLD + 512 * i);
        client_request(fd, 0, NBD_CMD_READ, i, 512 * i, 512);
    }
    for (unsigned i = 0; i < 1000; i++) {
        uint8_t data[512];

        assert_int_equal(client_simple(fd, i), 0);
        client_receive(fd, data, sizeof data);
    }
    assert_true(fake_await_held(bench->service, 1000));
    fake_release(bench->service, 0, 0);
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(client_any(fd, &error) >= 10000);
        assert_int_equal(error, 0);
    }
    /* counted before the thread sleeps: a round trip makes sure of it */
    close(fd);
    assert_true(fake_await_opens(bench->service, 0));
    nbd_server_counters(bench->server, &counters);
    assert_true(counters.requests == 2000);
    assert_true(counters.waited == 1000);
}

static void
waiting_read__completed_on_another_thread__data_arrive(void **state)
{
    struct bench *bench = *state;
    uint8_t data[65536];
    uint32_t error;
    int fd;

    bench->service->slow_us = 1;
    fd = client_open(bench, "A", false);
    for (unsigned round = 0; round < 50; round++) {
        for (unsigned i = 0; i < 16; i++)
            client_request(fd, 0, NBD_CMD_READ, i, 65536 * i, 65536);
        for (unsigned i = 0; i < 16; i++) {
            assert_true(client_any(fd, &error) < 16);
            assert_int_equal(error, 0);
            client_receive(fd, data, sizeof data);
        }
    }
    close(fd);
}

/* More than the socket takes: who brought the burst sends what it can. */
static void
waiting_reads__completed_in_a_burst__data_arrive(void **state)
{
    struct bench *bench = *state;
    uint8_t *data = malloc(262144);
    uint32_t error;
    int fd;

    hold(bench);
    fd = client_open(bench, "A", false);
    for (unsigned round = 0; round < 8; round++) {
        unsigned count = round % 2 ? 1 : 64;
        unsigned bytes = round < 4 ? 262144 : 512;

        for (unsigned i = 0; i < count; i++)
            write_sector(fd, i, 512 * i);
        for (unsigned i = 0; i < count; i++)
            assert_int_equal(client_simple(fd, i), 0);
        for (unsigned i = 0; i < count; i++)
            client_request(fd, 0, NBD_CMD_READ, i, HOLD + 512 * i, bytes);
        assert_true(fake_await_held(bench->service, count));
        fake_release(bench->service, 0, 0);
        for (unsigned i = 0; i < count; i++) {
            assert_true(client_any(fd, &error) < count);
            assert_int_equal(error, 0);
            client_receive(fd, data, bytes);
        }
    }
    free(data);
    close(fd);
}

/* --- answers that the connection's thread takes in itself ------------------ */

static void
waiting_reads__answers_can_be_watched__thread_takes_them(void **state)
{
    static const unsigned counts[] = { 1, 4, 64, 64, 64, 200 };
    struct bench *bench = *state;
    uint8_t data[512];
    uint32_t error;
    int fd;

    hold(bench);
    fake_watch(bench->service);
    fd = client_open(bench, "A", false);
    for (size_t round = 0; round < sizeof counts / sizeof counts[0]; round++) {
        for (unsigned i = 0; i < counts[round]; i++)
            client_request(fd, 0, NBD_CMD_READ, i, HOLD + 512 * i, 512);
        assert_true(fake_await_held(bench->service, counts[round]));
        fake_answer(bench->service);
        for (unsigned i = 0; i < counts[round]; i++) {
            assert_true(client_any(fd, &error) < counts[round]);
            assert_int_equal(error, 0);
            client_receive(fd, data, sizeof data);
        }
    }
    close(fd);
    assert_true(fake_await_watchers(bench->service, 0));
}

static void
client_vanishes__its_thread_watches__it_does_no_more(void **state)
{
    struct bench *bench = *state;
    int fd;

    hold(bench);
    fake_watch(bench->service);
    fd = client_open(bench, "A", false);
    assert_true(fake_await_watchers(bench->service, 1));
    for (unsigned i = 0; i < 64; i++)
        client_request(fd, 0, NBD_CMD_READ, i, HOLD + 512 * i, 512);
    assert_true(fake_await_held(bench->service, 64));
    close(fd);
    assert_true(fake_await_watchers(bench->service, 0));
    assert_true(fake_await_opens(bench->service, 0));
    assert_int_equal(bench->service->cancelled, 64);
}

/* --- replies sent by who completes, while requests come in ---------------- */

#define PIECE 16384u

struct releaser {
    pthread_t thread;
    struct ri_service *service;
    atomic_bool stop;
};

static void *
release_all(void *context)
{
    struct releaser *releaser = context;

    while (!atomic_load(&releaser->stop)) {
        fake_release(releaser->service, 0, 0);
        sched_yield();
    }
    return NULL;
}

static void
begin_releasing(struct releaser *releaser, struct bench *bench)
{
    releaser->service = bench->service;
    atomic_init(&releaser->stop, false);
    assert_int_equal(
        pthread_create(&releaser->thread, NULL, release_all, releaser), 0);
}

static void
end_releasing(struct releaser *releaser)
{
    atomic_store(&releaser->stop, true);
    pthread_join(releaser->thread, NULL);
}

/* Three of four wait; each cookie has its piece, and each piece its value. */
static uint64_t
place_of(uint64_t cookie)
{
    return (cookie % 4 == 3 ? 0 : HOLD) + cookie % 64 * PIECE;
}

static uint8_t
value_of(uint64_t cookie)
{
    return (uint8_t) (cookie % 64 + (cookie % 4 == 3 ? 1 : 101));
}

static void
fill_pieces(struct bench *bench)
{
    uint8_t data[PIECE];

    for (unsigned i = 0; i < 64; i++) {
        memset(data, value_of(i), sizeof data);
        assert_int_equal(
            pwrite(bench->service->fd, data, sizeof data, (off_t) place_of(i)),
            sizeof data);
    }
}

static void
ask_for(int fd, uint64_t cookie)
{
    client_request(fd, 0, NBD_CMD_READ, cookie, place_of(cookie), PIECE);
}

static void
waiting_reads__more_asked_for_while_they_are_sent__each_gets_its_own(
    void **state)
{
    struct bench *bench = *state;
    const unsigned depth = 24, total = 3000;
    struct releaser releaser;
    uint8_t data[PIECE];
    uint32_t error;
    int fd;

    hold(bench);
    fill_pieces(bench);
    fd = client_open(bench, "A", false);
    begin_releasing(&releaser, bench);
    for (unsigned i = 0; i < depth; i++)
        ask_for(fd, i);
    for (unsigned i = 0; i < total; i++) {
        uint64_t cookie = client_any(fd, &error);

        assert_int_equal(error, 0);
        client_receive(fd, data, sizeof data);
        assert_int_equal(data[0], value_of(cookie));
        assert_int_equal(data[PIECE - 1], value_of(cookie));
        if (i + depth < total)
            ask_for(fd, i + depth);
    }
    end_releasing(&releaser);
    close(fd);
    assert_true(fake_await_opens(bench->service, 0));
}

static void
client_vanishes__replies_being_sent_by_another__all_ends(void **state)
{
    struct bench *bench = *state;
    struct releaser releaser;
    uint8_t data[PIECE];
    uint32_t error;

    hold(bench);
    begin_releasing(&releaser, bench);
    for (unsigned round = 0; round < 100; round++) {
        int fd = client_open(bench, "A", false);

        for (unsigned i = 0; i < 16; i++)
            ask_for(fd, i);
        for (unsigned i = 0; i < round % 8; i++) {
            client_any(fd, &error);
            client_receive(fd, data, sizeof data);
        }
        close(fd);
        assert_true(fake_await_opens(bench->service, 0));
    }
    end_releasing(&releaser);
}

/* What was asked for before it is answered; then the server closes. */
static void
disconnect__replies_being_sent_by_another__answered_then_closed(void **state)
{
    struct bench *bench = *state;
    struct releaser releaser;
    uint8_t data[PIECE];
    uint32_t error;

    hold(bench);
    fill_pieces(bench);
    begin_releasing(&releaser, bench);
    for (unsigned round = 0; round < 50; round++) {
        int fd = client_open(bench, "A", false);

        for (unsigned i = 0; i < 16; i++)
            ask_for(fd, i);
        client_request(fd, 0, NBD_CMD_DISC, 99, 0, 0);
        for (unsigned i = 0; i < 16; i++) {
            uint64_t cookie = client_any(fd, &error);

            client_receive(fd, data, sizeof data);
            assert_int_equal(data[PIECE - 1], value_of(cookie));
        }
        client_expect_end(fd);
        close(fd);
    }
    end_releasing(&releaser);
}

static void
client_vanishes__64_waiting__all_cancelled(void **state)
{
    struct bench *bench = *state;
    int fd, other;

    hold(bench);
    other = client_open(bench, "A", false);
    fd = client_open(bench, "A", false);
    for (unsigned i = 0; i < 64; i++)
        write_sector(fd, i, HOLD + 512 * i);
    assert_true(fake_await_held(bench->service, 64));
    close(fd);
    assert_true(fake_await_held(bench->service, 0));
    assert_true(fake_await_opens(bench->service, 1));
    assert_int_equal(bench->service->cancelled, 64);
    write_sector(other, 1, 0);
    assert_int_equal(client_simple(other, 1), 0);
    close(other);
}

/* What cannot be cancelled is awaited; the connection's memory stays. */
static void
client_vanishes__requests_that_ignore_cancel__awaited(void **state)
{
    struct bench *bench = *state;
    int fd;

    hold(bench);
    bench->service->stubborn = true;
    fd = client_open(bench, "A", false);
    for (unsigned i = 0; i < 64; i++)
        write_sector(fd, i, HOLD + 512 * i);
    assert_true(fake_await_held(bench->service, 64));
    close(fd);
    usleep(20000);
    assert_int_equal(bench->service->opens, 1);
    fake_release(bench->service, EIO, 0xC0000120);
    assert_true(fake_await_opens(bench->service, 0));
}

static void
disc__requests_waiting__answered_before_the_end(void **state)
{
    struct bench *bench = *state;
    uint8_t byte;
    uint32_t error;
    int fd;

    hold(bench);
    fd = client_open(bench, "A", false);
    for (unsigned i = 0; i < 8; i++)
        write_sector(fd, i, HOLD + 512 * i);
    client_request(fd, 0, NBD_CMD_DISC, 0, 0, 0);
    shutdown(fd, SHUT_WR);
    assert_true(fake_await_held(bench->service, 8));
    fake_release(bench->service, 0, 0);
    for (unsigned i = 0; i < 8; i++) {
        client_any(fd, &error);
        assert_int_equal(error, 0);
    }
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
}

static void
disc__client_gone_for_good__cancelled(void **state)
{
    struct bench *bench = *state;
    int fd;

    hold(bench);
    fd = client_open(bench, "A", false);
    write_sector(fd, 1, HOLD);
    assert_true(fake_await_held(bench->service, 1));
    client_request(fd, 0, NBD_CMD_DISC, 0, 0, 0);
    close(fd);
    assert_true(fake_await_opens(bench->service, 0));
}

static void
half_a_header_or_payload__then_gone__nothing_written(void **state)
{
    struct bench *bench = *state;
    int fd = client_open(bench, "A", false);
    size_t before;

    client_send(fd, "\x25\x60\x95\x13\0\0\0", 7);
    close(fd);
    assert_true(fake_await_opens(bench->service, 0));
    before = fake_submits(bench->service);
    fd = client_open(bench, "A", false);
    client_request(fd, 0, NBD_CMD_WRITE, 1, 0, 1u << 20);
    client_send(fd, "only this", 9);
    close(fd);
    assert_true(fake_await_opens(bench->service, 0));
    fd = client_open(bench, "CD", false);
    client_request(fd, 0, NBD_CMD_WRITE, 1, 0, 1u << 20);
    client_send(fd, "only this", 9);
    close(fd);
    assert_true(fake_await_opens(bench->service, 0));
    assert_int_equal(fake_submits(bench->service), before);
}

/* It asks for 64 MiB and takes them a byte at a time at first: the server
 * neither blocks others nor piles up more than a little. */
static void
reader_of_single_bytes__nobody_else_waits(void **state)
{
    struct bench *bench = *state;
    int slow = client_open(bench, "A", false);
    int fd = client_open(bench, "A", false);
    uint8_t *data = malloc(1u << 20);

    for (unsigned i = 0; i < 64; i++)
        client_request(slow, 0, NBD_CMD_READ, i, 0, 1u << 20);
    for (unsigned i = 0; i < 200; i++) {
        uint8_t byte;

        client_receive(slow, &byte, 1);
        write_sector(fd, i, 4096);
        assert_int_equal(client_simple(fd, i), 0);
    }
    assert_true(fake_submits(bench->service) < 200 + 20);
    client_receive(slow, data, (1u << 20) + 16 - 200);
    for (unsigned i = 1; i < 64; i++) {
        assert_int_equal(client_simple(slow, i), 0);
        client_receive(slow, data, 1u << 20);
    }
    free(data);
    close(slow);
    close(fd);
}

/* More than may be in flight: reading stops, and goes on. */
static void
more_than_the_limit_waiting__stalls_and_goes_on(void **state)
{
    enum { LIMIT = 16384, MORE = 500 };
    struct bench *bench = *state;
    uint32_t error;
    int fd;

    hold(bench);
    fd = client_open(bench, "A", false);
    send_trims(fd, LIMIT + MORE);
    assert_true(fake_await_held(bench->service, LIMIT));
    fake_release(bench->service, EIO, 0);
    for (unsigned i = 0; i < LIMIT; i++)
        client_any(fd, &error);
    assert_true(fake_await_held(bench->service, MORE));
    fake_release(bench->service, EIO, 0);
    for (unsigned i = 0; i < MORE; i++)
        client_any(fd, &error);
    close(fd);
}

/* The same, and the client dies: only a hang-up can tell. */
static void
stalled__client_vanishes__noticed(void **state)
{
    struct bench *bench = *state;
    int fd;

    hold(bench);
    fd = client_open(bench, "A", false);
    send_trims(fd, 16384 + 100);
    assert_true(fake_await_held(bench->service, 16384));
    close(fd);
    assert_true(fake_await_opens(bench->service, 0));
}

/* Buffers too have a limit: 256 MiB, here 64 writes of 4 MiB. */
static void
buffers__over_the_limit__stalls_and_goes_on(void **state)
{
    struct bench *bench = *state;
    uint8_t *data;
    int fd;

    hold(bench);
    fd = client_open(bench, "A", false);
    for (unsigned i = 0; i < 80; i++)
        client_request(fd, 0, NBD_CMD_READ, i, HOLD, 4u << 20);
    assert_true(fake_await_held(bench->service, 64));
    data = malloc(4u << 20);
    fake_release(bench->service, 0, 0);
    for (unsigned i = 0; i < 64; i++) {
        uint32_t error;

        client_any(fd, &error);
        client_receive(fd, data, 4u << 20);
    }
    assert_true(fake_await_held(bench->service, 16));
    free(data);
    close(fd);
}

#define WITH_BENCH(f) cmocka_unit_test_setup_teardown(f, bench_up, bench_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(thousand_waiting__same_connection__goes_on),
        WITH_BENCH(waiting_read__completed_on_another_thread__data_arrive),
        WITH_BENCH(waiting_reads__completed_in_a_burst__data_arrive),
        WITH_BENCH(waiting_reads__answers_can_be_watched__thread_takes_them),
        WITH_BENCH(client_vanishes__its_thread_watches__it_does_no_more),
        WITH_BENCH(
            waiting_reads__more_asked_for_while_they_are_sent__each_gets_its_own),
        WITH_BENCH(client_vanishes__replies_being_sent_by_another__all_ends),
        WITH_BENCH(
            disconnect__replies_being_sent_by_another__answered_then_closed),
        WITH_BENCH(client_vanishes__64_waiting__all_cancelled),
        WITH_BENCH(client_vanishes__requests_that_ignore_cancel__awaited),
        WITH_BENCH(disc__requests_waiting__answered_before_the_end),
        WITH_BENCH(disc__client_gone_for_good__cancelled),
        WITH_BENCH(half_a_header_or_payload__then_gone__nothing_written),
        WITH_BENCH(reader_of_single_bytes__nobody_else_waits),
        WITH_BENCH(more_than_the_limit_waiting__stalls_and_goes_on),
        WITH_BENCH(stalled__client_vanishes__noticed),
        WITH_BENCH(buffers__over_the_limit__stalls_and_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
