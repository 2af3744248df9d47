/*
 * house.c - see house.h
 *
 * SPDX-License-Identifier: MIT
 */
#include "house.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tapelink/hello.h"

struct house house;

int
house_begin(void **state)
{
    struct ri_config config = { .drive_count = 0 };
    struct ri_error error;

    (void) state;
    fake_tape_reset();
    strcpy(house.folder, "/tmp/tapelink-XXXXXX");
    assert_non_null(mkdtemp(house.folder));
    snprintf(house.control, sizeof house.control, "%.60s/control",
             house.folder);
    assert_int_equal(ri_service_start(&config, &house.service, &error), 0);
    assert_int_equal(
        api_server_start(house.service, house.control, &house.server, &error),
        0);
    return 0;
}

int
house_end(void **state)
{
    (void) state;
    fake_tape_return();
    if (house.server != NULL && api_server_stop(house.server) == 0)
        ri_service_free(house.service);
    house.server = NULL;
    rmdir(house.folder);
    return 0;
}

struct tape_link *
house_open(void)
{
    struct ri_tape_how how = { .write = true };
    struct tape_link *link = NULL;
    struct ri_error error = { "" };

    if (tape_link_open(house.control, "tape0", &how, &link, &error) != 0)
        fail_msg("%s", error.text);
    return link;
}

int
house_memfd(size_t size, bool sealed)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t) size), 0);
    if (sealed)
        assert_int_equal(
            fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
            0);
    return fd;
}

/* --- a client that says what it likes -------------------------------------------- */

struct raw
raw_begin(void)
{
    struct raw raw = { -1, -1 };
    struct ri_error error = { "" };

    if (tape_hello(house.control, "tape0", &raw.fd, &error) != 0)
        fail_msg("%s", error.text);
    return raw;
}

struct tape_request
raw_first(void)
{
    return (struct tape_request){ .op = TAPE_OPEN,
                                  .code = TAPE_WIRE_VERSION,
                                  .flags = TAPE_HOW_WRITE,
                                  .count = sizeof(struct tape_wire_status) };
}

struct raw
raw_open(void)
{
    struct raw raw = raw_begin();
    struct tape_request request = raw_first();
    int window = house_memfd(1 << 20, true), pair[2], fds[2];
    struct tape_reply reply;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    fds[0] = window;
    fds[1] = pair[1];
    raw.signal_fd = pair[0];
    assert_int_equal(tape_send_fds(raw.fd, &request, sizeof request, fds, 2),
                     0);
    close(window);
    close(pair[1]);
    assert_int_equal(tape_recv_all(raw.fd, &reply, sizeof reply), 0);
    assert_int_equal(reply.op, TAPE_OPEN);
    assert_int_equal(reply.rc, 0);
    assert_int_equal(reply.extra, 0);
    return raw;
}

void
raw_send(struct raw *raw, const void *data, size_t len)
{
    assert_int_equal(tape_send_all(raw->fd, data, len), 0);
}

bool
raw_ended(struct raw *raw)
{
    struct timeval minute = { .tv_sec = 60 };
    char drain[4096];
    ssize_t n;

    (void) setsockopt(raw->fd, SOL_SOCKET, SO_RCVTIMEO, &minute, sizeof minute);
    while ((n = recv(raw->fd, drain, sizeof drain, 0)) > 0)
        ;
    return n == 0;
}

void
raw_close(struct raw *raw)
{
    close(raw->fd);
    if (raw->signal_fd >= 0)
        close(raw->signal_fd);
}
