/*
 * t_command.c - every command, simple and structured, right and wrong
 *
 * SPDX-License-Identifier: MIT
 */
#include "client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SIZE (16u << 20)

static struct chunk chunk; /* too large for the stack */

static void
fill(uint8_t *data, size_t bytes, unsigned seed)
{
    for (size_t i = 0; i < bytes; i++)
        data[i] = (uint8_t) (i * 31 + seed + (i >> 9));
}

static void
write_at(int fd, uint16_t flags, uint64_t cookie, uint64_t offset,
         const uint8_t *data, uint32_t bytes)
{
    client_request(fd, flags, NBD_CMD_WRITE, cookie, offset, bytes);
    client_send(fd, data, bytes);
}

static void
write_then_read__all_sizes__same_data(void **state)
{
    static const uint32_t sizes[] = { 512,    4096,    8192,   65536,
                                      262144, 1048576, 4194304 };
    int fd = client_open(*state, "A", false);
    uint8_t *out = malloc(FAKE_MAX_BYTES), *in = malloc(FAKE_MAX_BYTES);

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        fill(out, sizes[i], (unsigned) i);
        write_at(fd, 0, 1, 512 * i, out, sizes[i]);
        assert_int_equal(client_simple(fd, 1), 0);
        client_request(fd, 0, NBD_CMD_READ, 2, 512 * i, sizes[i]);
        assert_int_equal(client_simple(fd, 2), 0);
        client_receive(fd, in, sizes[i]);
        assert_memory_equal(in, out, sizes[i]);
    }
    free(out);
    free(in);
    close(fd);
}

/* Many at once, so that requests and payloads are cut anywhere. */
static void
writes__a_thousand_in_one_go__all_carried_out(void **state)
{
    enum { COUNT = 1000, BYTES = 1536 };
    int fd = client_open(*state, "A", false);
    uint8_t *all = malloc(COUNT * (28 + BYTES)), *at = all;
    uint8_t in[BYTES], want[BYTES];

    for (unsigned i = 0; i < COUNT; i++) {
        at = put_be32(at, NBD_REQUEST_MAGIC);
        at = put_be16(put_be16(at, 0), NBD_CMD_WRITE);
        at = put_be64(put_be64(at, i), (uint64_t) i * BYTES);
        at = put_be32(at, BYTES);
        fill(at, BYTES, i);
        at += BYTES;
    }
    client_send(fd, all, (size_t) (at - all));
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(client_simple(fd, i), 0);
    for (unsigned i = 0; i < COUNT; i += 37) {
        client_request(fd, 0, NBD_CMD_READ, i, (uint64_t) i * BYTES, BYTES);
        assert_int_equal(client_simple(fd, i), 0);
        client_receive(fd, in, BYTES);
        fill(want, BYTES, i);
        assert_memory_equal(in, want, BYTES);
    }
    free(all);
    close(fd);
}

/* One byte per send: every state of the parser is met. */
static void
write__byte_by_byte__carried_out(void **state)
{
    struct bench *bench = *state;
    int fd = client_open(bench, "A", false);
    uint8_t data[28 + 512] = { 0 }, *at = put_be32(data, NBD_REQUEST_MAGIC);

    at = put_be16(put_be16(at, NBD_CMD_FLAG_FUA), NBD_CMD_WRITE);
    put_be32(put_be64(put_be64(at, 5), 512), 512);
    for (size_t i = 0; i < sizeof data; i++)
        client_send(fd, data + i, 1);
    assert_int_equal(client_simple(fd, 5), 0);
    assert_int_equal(fake_last_flags(bench->service), RI_FUA);
    close(fd);
}

static void
simple__every_other_command__succeeds(void **state)
{
    static const struct {
        uint16_t flags, type;
        unsigned want_flags;
    } rows[] = {
        { 0, NBD_CMD_FLUSH, 0 },
        { 0, NBD_CMD_TRIM, 0 },
        { NBD_CMD_FLAG_FUA, NBD_CMD_TRIM, RI_FUA },
        { 0, NBD_CMD_CACHE, 0 },
        { 0, NBD_CMD_WRITE_ZEROES, 0 },
        { NBD_CMD_FLAG_NO_HOLE, NBD_CMD_WRITE_ZEROES, RI_NO_HOLE },
        { NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_FAST_ZERO, NBD_CMD_WRITE_ZEROES,
          RI_FUA },
    };
    struct bench *bench = *state;
    int fd = client_open(bench, "A", false);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        client_request(fd, rows[i].flags, rows[i].type, i, 4096, 65536);
        assert_int_equal(client_simple(fd, i), 0);
        assert_int_equal(fake_last_flags(bench->service), rows[i].want_flags);
    }
    close(fd);
}

static void
fast_zero__zeroing_is_slow__enotsup(void **state)
{
    struct bench *bench = *state;
    int fd;

    bench->service->no_zero = true;
    fd = client_open(bench, "A", false);
    client_request(fd, NBD_CMD_FLAG_FAST_ZERO, NBD_CMD_WRITE_ZEROES, 1, 0,
                   4096);
    assert_int_equal(client_simple(fd, 1), NBD_ENOTSUP);
    close(fd);
}

static void
wrong_numbers__refused_with_the_right_errno(void **state)
{
    static const struct {
        uint16_t flags, type;
        uint64_t offset;
        uint32_t length, want;
    } rows[] = {
        { 0, NBD_CMD_READ, 1, 512, NBD_EINVAL },
        { 0, NBD_CMD_READ, 0, 100, NBD_EINVAL },
        { 0, NBD_CMD_READ, 0, 0, NBD_EINVAL },
        { 0, NBD_CMD_READ, SIZE, 512, NBD_EINVAL },
        { 0, NBD_CMD_READ, SIZE - 512, 1024, NBD_EINVAL },
        { 0, NBD_CMD_READ, UINT64_MAX - 511, 512, NBD_EINVAL },
        { 0, NBD_CMD_READ, 0, FAKE_MAX_BYTES + 512, NBD_EINVAL },
        { 0, NBD_CMD_READ, 0, 0xfffffe00, NBD_EINVAL },
        { 0, NBD_CMD_TRIM, SIZE - 512, 1024, NBD_ENOSPC },
        { 0, NBD_CMD_WRITE_ZEROES, SIZE, 0xfffffe00, NBD_ENOSPC },
        { 0, NBD_CMD_CACHE, SIZE, 512, NBD_EINVAL },
        { 0, NBD_CMD_BLOCK_STATUS, 0, 512, NBD_EINVAL },
        { NBD_CMD_FLAG_NO_HOLE, NBD_CMD_READ, 0, 512, NBD_EINVAL },
        { 0x8000, NBD_CMD_FLUSH, 0, 0, NBD_EINVAL },
        { 0, 8, 0, 0, NBD_EINVAL },
        { 0, 0xffff, 0, 0, NBD_EINVAL },
    };
    int fd = client_open(*state, "A", false);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        client_request(fd, rows[i].flags, rows[i].type, i, rows[i].offset,
                       rows[i].length);
        assert_int_equal(client_simple(fd, i), rows[i].want);
    }
    close(fd);
}

/* The payload is taken off the socket: the next request is understood. */
static void
refused_writes__payload_is_drained(void **state)
{
    static const struct {
        const char *export_;
        uint64_t offset;
        uint32_t length, want;
    } rows[] = {
        { "CD", 0, 4096, NBD_EPERM },
        { "A", SIZE, 4096, NBD_ENOSPC },
        { "A", 7, 4096, NBD_EINVAL },
        { "A", 0, 4097, NBD_EINVAL },
        { "A", 0, 0, NBD_EINVAL },
        { "A", 0, FAKE_MAX_BYTES + 512, NBD_EINVAL },
    };
    uint8_t *data = calloc(1, FAKE_MAX_BYTES + 512);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int fd = client_open(*state, rows[i].export_, false);

        write_at(fd, 0, 1, rows[i].offset, data, rows[i].length);
        client_request(fd, 0, NBD_CMD_FLUSH, 2, 0, 0);
        assert_int_equal(client_simple(fd, 1), rows[i].want);
        assert_int_equal(client_simple(fd, 2), 0);
        close(fd);
    }
    free(data);
}

static void
write__four_gigabytes__connection_ends(void **state)
{
    int fd = client_open(*state, "A", false);

    client_request(fd, 0, NBD_CMD_WRITE, 1, 0, 0xffffffff);
    client_expect_end(fd);
}

static void
request__bad_magic__connection_ends(void **state)
{
    int fd = client_open(*state, "A", false);

    client_request(fd, 0, NBD_CMD_FLUSH, 1, 0, 0);
    client_send(fd, "this is no request at all....", 28);
    client_expect_end(fd);
}

static void
structured__read__offset_data_and_done(void **state)
{
    int fd = client_open(*state, "A", true);
    uint8_t data[8192];

    fill(data, sizeof data, 3);
    write_at(fd, 0, 1, 4096, data, sizeof data);
    assert_int_equal(client_simple(fd, 1), 0);
    client_request(fd, NBD_CMD_FLAG_DF, NBD_CMD_READ, 2, 4096, sizeof data);
    client_chunk(fd, &chunk);
    assert_int_equal(chunk.flags, NBD_REPLY_FLAG_DONE);
    assert_int_equal(chunk.type, NBD_REPLY_TYPE_OFFSET_DATA);
    assert_true(chunk.cookie == 2);
    assert_int_equal(chunk.length, 8 + sizeof data);
    assert_true(get_be64(chunk.data) == 4096);
    assert_memory_equal(chunk.data + 8, data, sizeof data);
    close(fd);
}

static void
structured__failed_read__says_where_and_what(void **state)
{
    struct bench *bench = *state;
    int fd = client_open(bench, "A", true);

    bench->service->fail_from = 8192;
    bench->service->fail_end = 8193;
    client_request(fd, 0, NBD_CMD_READ, 2, 8192, 4096);
    client_chunk(fd, &chunk);
    assert_int_equal(chunk.flags, NBD_REPLY_FLAG_DONE);
    assert_int_equal(chunk.type, NBD_REPLY_TYPE_ERROR_OFFSET);
    assert_int_equal(get_be32(chunk.data), NBD_EIO);
    assert_int_equal(chunk.length, 6 + get_be16(chunk.data + 4) + 8);
    assert_true(get_be64(chunk.data + chunk.length - 8) == 8192);
    chunk.data[chunk.length - 8] = 0;
    assert_string_equal((char *) chunk.data + 6,
                        "read: STATUS_DEVICE_DATA_ERROR (0xC000009C)");
    client_request(fd, 0, NBD_CMD_TRIM, 3, 8192, 4096);
    client_chunk(fd, &chunk);
    assert_int_equal(chunk.type, NBD_REPLY_TYPE_ERROR);
    assert_string_equal((char *) chunk.data + 6,
                        "trim: STATUS_DEVICE_DATA_ERROR (0xC000009C)");
    close(fd);
}

static void
simple__failed_read__no_payload_follows(void **state)
{
    struct bench *bench = *state;
    int fd = client_open(bench, "A", false);

    bench->service->fail_end = 1;
    client_request(fd, 0, NBD_CMD_READ, 1, 0, 4096);
    client_request(fd, 0, NBD_CMD_FLUSH, 2, 0, 0);
    assert_int_equal(client_simple(fd, 1), NBD_EIO);
    assert_int_equal(client_simple(fd, 2), 0);
    close(fd);
}

static void
block_status__extents__cut_at_the_end(void **state)
{
    struct bench *bench = *state;
    int fd = client_open(bench, "A", true);

    bench->service->stripes = true;
    client_request(fd, 0, NBD_CMD_BLOCK_STATUS, 1, 0, 100 * 1024);
    client_chunk(fd, &chunk);
    assert_int_equal(chunk.type, NBD_REPLY_TYPE_BLOCK_STATUS);
    assert_int_equal(chunk.length, 4 + 2 * 8);
    assert_int_equal(get_be32(chunk.data), 1);
    assert_int_equal(get_be32(chunk.data + 4), 65536);
    assert_int_equal(get_be32(chunk.data + 8), 0);
    assert_int_equal(get_be32(chunk.data + 12), 100 * 1024 - 65536);
    assert_int_equal(get_be32(chunk.data + 16), 3);
    client_request(fd, NBD_CMD_FLAG_REQ_ONE, NBD_CMD_BLOCK_STATUS, 2, 0, SIZE);
    client_chunk(fd, &chunk);
    assert_int_equal(chunk.length, 4 + 8);
    assert_int_equal(get_be32(chunk.data + 4), 65536);
    close(fd);
}

/* The context was set for another export than the one that was opened. */
static void
block_status__context_of_another_export__einval(void **state)
{
    int fd = client_connect(((struct bench *) *state)->path);

    client_greet(fd, 3);
    client_option(fd, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    client_option_end(fd, NULL);
    client_option(fd, NBD_OPT_SET_META_CONTEXT,
                  "\0\0\0\2CD\0\0\0\1\0\0\0\17base:allocation", 29);
    assert_int_equal(client_option_end(fd, NULL), NBD_REP_ACK);
    client_go(fd, "A");
    client_request(fd, 0, NBD_CMD_BLOCK_STATUS, 1, 0, 4096);
    client_chunk(fd, &chunk);
    assert_int_equal(chunk.type, NBD_REPLY_TYPE_ERROR);
    assert_int_equal(get_be32(chunk.data), NBD_EINVAL);
    close(fd);
}

static void
structured__refusals_by_the_hundred__all_arrive(void **state)
{
    int fd = client_open(*state, "A", true);

    for (unsigned i = 0; i < 2000; i++)
        client_request(fd, 0, NBD_CMD_READ, i, 1, 512);
    for (unsigned i = 0; i < 2000; i++) {
        client_chunk(fd, &chunk);
        assert_true(chunk.cookie == i);
        assert_int_equal(chunk.type, NBD_REPLY_TYPE_ERROR_OFFSET);
    }
    close(fd);
}

#define WITH_BENCH(f) cmocka_unit_test_setup_teardown(f, bench_up, bench_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(write_then_read__all_sizes__same_data),
        WITH_BENCH(writes__a_thousand_in_one_go__all_carried_out),
        WITH_BENCH(write__byte_by_byte__carried_out),
        WITH_BENCH(simple__every_other_command__succeeds),
        WITH_BENCH(fast_zero__zeroing_is_slow__enotsup),
        WITH_BENCH(wrong_numbers__refused_with_the_right_errno),
        WITH_BENCH(refused_writes__payload_is_drained),
        WITH_BENCH(write__four_gigabytes__connection_ends),
        WITH_BENCH(request__bad_magic__connection_ends),
        WITH_BENCH(structured__read__offset_data_and_done),
        WITH_BENCH(structured__failed_read__says_where_and_what),
        WITH_BENCH(simple__failed_read__no_payload_follows),
        WITH_BENCH(block_status__extents__cut_at_the_end),
        WITH_BENCH(block_status__context_of_another_export__einval),
        WITH_BENCH(structured__refusals_by_the_hundred__all_arrive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
