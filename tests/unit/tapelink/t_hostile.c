/*
 * Clients that do not keep to the protocol: their session ends, its tape is
 * closed, and the service goes on.  Expectations from wire.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "house.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A good client gets what it wants, after all that. */
static void
assert_service_lives(void)
{
    struct tape_link *link = house_open();

    assert_int_equal(tape_link_write(link, "a", 1, NULL), 0);
    assert_int_equal(tape_link_close(link, NULL), 0);
}

/* What the first request is answered with, when `fds` go along. */
static int
refused(struct tape_request request, const int *fds, unsigned count)
{
    struct raw raw = raw_begin();
    struct tape_reply reply;

    assert_int_equal(
        tape_send_fds(raw.fd, &request, sizeof request, fds, count), 0);
    assert_int_equal(tape_recv_all(raw.fd, &reply, sizeof reply), 0);
    assert_true(raw_ended(&raw));
    raw_close(&raw);
    assert_int_equal(fake_tape_count(&fake_tape.opened), 0);
    return reply.rc;
}

static void
windows__that_could_hurt__are_refused(void **state)
{
    char path[128];
    int pair[2], fds[4];

    (void) state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    fds[1] = pair[1];

    fds[0] = house_memfd(1 << 20, false);
    assert_int_not_equal(refused(raw_first(), fds, 2), 0);
    close(fds[0]);
    fds[0] = house_memfd(0, true);
    assert_int_not_equal(refused(raw_first(), fds, 2), 0);
    close(fds[0]);
    fds[0] = house_memfd((64u << 20) + 4096, true);
    assert_int_not_equal(refused(raw_first(), fds, 2), 0);
    close(fds[0]);
    fds[0] = house_memfd(1 << 20, false);
    assert_int_equal(
        fcntl(fds[0], F_ADD_SEALS,
              F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL),
        0);
    assert_int_not_equal(refused(raw_first(), fds, 2), 0);
    close(fds[0]);
    snprintf(path, sizeof path, "%s/file", house.folder);
    fds[0] = open(path, O_CREAT | O_RDWR, 0600);
    assert_int_equal(ftruncate(fds[0], 1 << 20), 0);
    assert_int_not_equal(refused(raw_first(), fds, 2), 0);
    close(fds[0]);
    unlink(path);
    fds[0] = open("/dev/zero", O_RDWR);
    assert_int_not_equal(refused(raw_first(), fds, 2), 0);
    close(fds[0]);
    fds[0] = pair[0];
    assert_int_not_equal(refused(raw_first(), fds, 2), 0);
    close(pair[0]);
    close(pair[1]);
    assert_service_lives();
}

static void
first_request__with_too_few_or_wrong_descriptors__is_refused(void **state)
{
    struct tape_request request = raw_first();
    int fds[4];

    (void) state;
    for (int i = 0; i < 4; i++)
        fds[i] = house_memfd(1 << 20, true);
    assert_int_not_equal(refused(request, fds, 1), 0);
    assert_int_not_equal(refused(request, fds, 2), 0); /* no socket */
    assert_int_not_equal(refused(request, fds, 4), 0);
    request.code = TAPE_WIRE_VERSION + 1;
    assert_int_not_equal(refused(request, fds, 2), 0);
    request = raw_first();
    request.count = 1;
    assert_int_not_equal(refused(request, fds, 2), 0);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    assert_service_lives();
}

static void
first_request__cut_or_no_open__ends_it(void **state)
{
    struct tape_request request = raw_first();
    struct raw raw = raw_begin();

    (void) state;
    raw_send(&raw, &request, 7);
    shutdown(raw.fd, SHUT_WR);
    assert_true(raw_ended(&raw));
    raw_close(&raw);

    raw = raw_begin();
    request.op = TAPE_READ;
    raw_send(&raw, &request, sizeof request);
    assert_true(raw_ended(&raw));
    raw_close(&raw);

    raw = raw_begin();
    request = raw_first();
    request.extra = RI_NAME_MAX;
    raw_send(&raw, &request, sizeof request);
    assert_true(raw_ended(&raw));
    raw_close(&raw);
    assert_service_lives();
}

static void
requests__outside_of_what_there_is__end_the_session(void **state)
{
    static const struct tape_request bad[] = {
        { .op = 0 },
        { .op = TAPE_OPEN },
        { .op = TAPE_CLOSE + 1 },
        { .op = 0xFFFF, .extra = 0xFFFF },
        { .op = TAPE_NEXT, .extra = RI_NAME_MAX },
        { .op = TAPE_NEXT, .extra = 0xFFFF },
        { .op = TAPE_WRITE, .offset = (1 << 20) + 1 },
        { .op = TAPE_WRITE, .offset = 1 << 20, .size = 1 },
        { .op = TAPE_WRITE, .offset = 1, .size = 1 << 20 },
        { .op = TAPE_WRITE, .offset = UINT64_MAX, .size = 2 },
        { .op = TAPE_WRITE, .offset = 2, .size = UINT64_MAX },
        { .op = TAPE_READ, .offset = 0, .size = (1 << 20) + 1 },
        { .op = TAPE_READ, .offset = UINT64_MAX - 4095, .size = 4096 },
    };

    (void) state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct raw raw = raw_open();

        raw_send(&raw, &bad[i], sizeof bad[i]);
        assert_true(raw_ended(&raw));
        raw_close(&raw);
        assert_true(fake_tape_wait(&fake_tape.closed, i + 1));
    }
    assert_int_equal(fake_tape_records(), 0);
    assert_service_lives();
}

/* Any bytes: a session ends, or answers; it never falls. */
static void
noise__a_thousand_messages__ends_in_a_close(void **state)
{
    uint32_t seed = 20261121;
    unsigned opened;

    (void) state;
    for (unsigned i = 0; i < 1000; i++) {
        struct tape_request request;
        struct raw raw = raw_open();

        for (size_t n = 0; n < sizeof request; n++) {
            seed = seed * 1664525 + 1013904223;
            ((uint8_t *) &request)[n] = (uint8_t) (seed >> 24);
        }
        /* Half of them nearly right, or nothing would get far. */
        if (i % 2 == 0) {
            request.op = (uint16_t) (seed % 8);
            request.extra %= 140;
            request.offset %= 2 << 20;
            request.size %= 2 << 20;
        }
        (void) tape_send_all(raw.fd, &request, sizeof request);
        shutdown(raw.fd, SHUT_WR);
        assert_true(raw_ended(&raw));
        raw_close(&raw);
        opened = fake_tape_count(&fake_tape.opened);
        assert_true(fake_tape_wait(&fake_tape.closed, opened));
    }
    assert_service_lives();
}

/* The size cannot change; that the content can is the client's own matter. */
static void
window__changed_while_it_is_written__what_was_there_is_written(void **state)
{
    struct tape_link *link = house_open();
    struct tape_link_done done;
    size_t size;
    unsigned char *base = tape_link_buffer(link, &size);

    (void) state;
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(tape_link_submit_write(link, 0, 65536), 0);
        memset(base, (int) i, 65536);
        assert_int_equal(madvise(base, size, MADV_REMOVE), 0); /* a hole */
        assert_int_equal(tape_link_reap(link, &done), 0);
        assert_int_equal(done.rc, 0);
    }
    tape_link_close(link, NULL);
    assert_service_lives();
}

static void
signals__unknown_and_many__do_no_harm(void **state)
{
    struct raw raw = raw_open();
    struct tape_request request = { .op = TAPE_OP, .code = MTREW };
    struct tape_reply reply;
    char noise[1000];

    (void) state;
    memset(noise, 'x', sizeof noise);
    assert_int_equal(tape_send_all(raw.signal_fd, noise, sizeof noise), 0);
    close(raw.signal_fd);
    raw.signal_fd = -1;
    raw_send(&raw, &request, sizeof request);
    assert_int_equal(tape_recv_all(raw.fd, &reply, sizeof reply), 0);
    assert_int_equal(reply.rc, 0);
    raw_close(&raw);
    assert_true(fake_tape_wait(&fake_tape.closed, 1));
}

/* A service that fills all it may with letters. */
static void *
talk(void *context)
{
    static const char head[] = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
    struct tape_reply opened = { .op = TAPE_OPEN };
    struct tape_reply told = { .op = TAPE_STATUS,
                               .extra = sizeof(struct tape_wire_status) };
    struct tape_wire_status status;
    int fd = accept(*(int *) context, NULL, NULL);
    char unused[256];

    memset(&status, 'x', sizeof status);
    (void) tape_send_all(fd, head, sizeof head - 1);
    (void) tape_send_all(fd, &opened, sizeof opened);
    (void) tape_send_all(fd, &told, sizeof told);
    (void) tape_send_all(fd, &status, sizeof status);
    shutdown(fd, SHUT_WR);
    while (recv(fd, unused, sizeof unused, 0) > 0)
        ;
    close(fd);
    return NULL;
}

static void
service__texts_without_an_end__end(void **state)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const struct ri_tape_how how = { .write = true };
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct tape_link *link;
    struct ri_tape_info info;
    pthread_t thread;

    (void) state;
    snprintf(address.sun_path, sizeof address.sun_path, "%s/other",
             house.folder);
    assert_int_equal(
        bind(listener, (struct sockaddr *) &address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(pthread_create(&thread, NULL, talk, &listener), 0);
    assert_int_equal(
        tape_link_open(address.sun_path, "tape0", &how, &link, NULL), 0);
    assert_int_equal(tape_link_status(link, NULL, NULL, &info), 0);
    assert_int_equal(strnlen(info.tape, sizeof info.tape),
                     sizeof info.tape - 1);
    assert_int_equal(strnlen(info.drive, sizeof info.drive),
                     sizeof info.drive - 1);
    assert_int_equal(strnlen(info.serial, sizeof info.serial),
                     sizeof info.serial - 1);
    assert_int_equal(strnlen(info.sense, sizeof info.sense),
                     sizeof info.sense - 1);
    assert_int_not_equal(tape_link_close(link, NULL), 0);
    pthread_join(thread, NULL);
    close(listener);
    (void) unlink(address.sun_path);
}

#define T(name) cmocka_unit_test_setup_teardown(name, house_begin, house_end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(windows__that_could_hurt__are_refused),
        T(first_request__with_too_few_or_wrong_descriptors__is_refused),
        T(first_request__cut_or_no_open__ends_it),
        T(requests__outside_of_what_there_is__end_the_session),
        T(noise__a_thousand_messages__ends_in_a_close),
        T(window__changed_while_it_is_written__what_was_there_is_written),
        T(service__texts_without_an_end__end),
        T(signals__unknown_and_many__do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
