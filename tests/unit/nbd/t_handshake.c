/*
 * t_handshake.c - negotiation; expectations from the protocol document
 *
 * SPDX-License-Identifier: MIT
 */
#include "client.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SIZE (16u << 20)

static int
greeted(void **state)
{
    int fd = client_connect(((struct bench *) *state)->path);

    client_greet(fd, 3);
    return fd;
}

/* "length, name, rest" as INFO, GO and the meta context options carry it. */
static size_t
name_option(uint8_t *out_data, const char *name, const void *rest,
            size_t rest_bytes)
{
    uint8_t *at = put_be32(out_data, (uint32_t) strlen(name));

    memcpy(at, name, strlen(name));
    memcpy(at + strlen(name), rest, rest_bytes);
    return 4 + strlen(name) + rest_bytes;
}

static uint32_t
info(int fd, const char *name)
{
    uint8_t data[5000];
    size_t bytes = name_option(data, name, "\0\0", 2);

    client_option(fd, NBD_OPT_INFO, data, bytes);
    return client_option_end(fd, NULL);
}

static void
export_name__with_zeroes__124_bytes_follow(void **state)
{
    int fd = client_connect(((struct bench *) *state)->path);
    uint8_t reply[134];

    client_greet(fd, 1);
    client_option(fd, NBD_OPT_EXPORT_NAME, "A", 1);
    client_receive(fd, reply, sizeof reply);
    assert_true(get_be64(reply) == SIZE);
    client_request(fd, 0, NBD_CMD_FLUSH, 7, 0, 0);
    assert_int_equal(client_simple(fd, 7), 0);
    close(fd);
}

static void
export_name__no_zeroes__none_follow(void **state)
{
    int fd = greeted(state);
    uint8_t reply[10];

    client_option(fd, NBD_OPT_EXPORT_NAME, "CD", 2);
    client_receive(fd, reply, sizeof reply);
    assert_true(get_be16(reply + 8) & NBD_FLAG_READ_ONLY);
    assert_false(get_be16(reply + 8) & NBD_FLAG_SEND_TRIM);
    client_request(fd, 0, NBD_CMD_FLUSH, 7, 0, 0);
    assert_int_equal(client_simple(fd, 7), 0);
    close(fd);
}

static void
export_name__client_of_the_oldest_kind__is_served(void **state)
{
    int fd = client_connect(((struct bench *) *state)->path);
    uint8_t reply[134];

    client_greet(fd, 0);
    client_option(fd, NBD_OPT_EXPORT_NAME, "", 0);
    client_receive(fd, reply, sizeof reply);
    close(fd);
}

static void
export_name__unknown__connection_ends(void **state)
{
    int fd = greeted(state);

    client_option(fd, NBD_OPT_EXPORT_NAME, "nothing", 7);
    client_expect_end(fd);
}

static void
flags__unknown_bit__connection_ends(void **state)
{
    int fd = client_connect(((struct bench *) *state)->path);

    client_greet(fd, 0x13);
    client_expect_end(fd);
}

static void
list__two_exports__names_and_descriptions(void **state)
{
    int fd = greeted(state);
    struct option_reply reply;

    client_option(fd, NBD_OPT_LIST, NULL, 0);
    client_option_reply(fd, &reply);
    assert_int_equal(reply.type, NBD_REP_SERVER);
    assert_int_equal(get_be32(reply.data), 9);
    assert_string_equal((char *) reply.data + 4,
                        "ARCHIVE-AA volume of the tests");
    client_option_reply(fd, &reply);
    assert_memory_equal(reply.data + 4, "CD", 2);
    client_option_reply(fd, &reply);
    assert_int_equal(reply.type, NBD_REP_ACK);
    client_option(fd, NBD_OPT_LIST, "x", 1);
    assert_int_equal(client_option_end(fd, NULL), NBD_REP_ERR_INVALID);
    close(fd);
}

static void
info__everything_asked__sent_and_no_transmission(void **state)
{
    const uint8_t asked[] = { 0, 3, 0, 1, 0, 2, 0, 3 };
    int fd = greeted(state);
    uint8_t data[64];
    struct option_reply reply;
    unsigned seen = 0;

    client_option(fd, NBD_OPT_INFO, data, name_option(data, "CD", asked, 8));
    for (;;) {
        client_option_reply(fd, &reply);
        if (reply.type != NBD_REP_INFO)
            break;
        seen |= 1u << get_be16(reply.data);
        if (get_be16(reply.data) == NBD_INFO_NAME)
            assert_string_equal((char *) reply.data + 2, "CD");
        if (get_be16(reply.data) == NBD_INFO_BLOCK_SIZE) {
            assert_int_equal(get_be32(reply.data + 2), 2048);
            assert_int_equal(get_be32(reply.data + 6), 4096);
            assert_int_equal(get_be32(reply.data + 10), FAKE_MAX_BYTES);
        }
        if (get_be16(reply.data) == NBD_INFO_EXPORT)
            assert_int_equal(get_be16(reply.data + 10),
                             NBD_FLAG_HAS_FLAGS | NBD_FLAG_READ_ONLY |
                                 NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA |
                                 NBD_FLAG_ROTATIONAL | NBD_FLAG_SEND_CACHE |
                                 NBD_FLAG_CAN_MULTI_CONN);
    }
    assert_int_equal(reply.type, NBD_REP_ACK);
    assert_int_equal(seen, 0xf);
    client_go(fd, "A"); /* still negotiating */
    close(fd);
}

static void
go__flags__of_a_writable_export(void **state)
{
    int fd = greeted(state);

    client_option(fd, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    assert_int_equal(client_option_end(fd, NULL), NBD_REP_ACK);
    assert_int_equal(client_go(fd, ""),
                     NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH |
                         NBD_FLAG_SEND_FUA | NBD_FLAG_SEND_TRIM |
                         NBD_FLAG_SEND_WRITE_ZEROES | NBD_FLAG_SEND_DF |
                         NBD_FLAG_CAN_MULTI_CONN | NBD_FLAG_SEND_CACHE |
                         NBD_FLAG_SEND_FAST_ZERO);
    close(fd);
}

static void
info__wrong_names__refused_and_negotiation_goes_on(void **state)
{
    static char name[4200];
    int fd = greeted(state);

    assert_int_equal(info(fd, "nothing"), NBD_REP_ERR_UNKNOWN);
    memset(name, 'x', 4096);
    assert_int_equal(info(fd, name), NBD_REP_ERR_UNKNOWN);
    memset(name, 'x', 4097);
    assert_int_equal(info(fd, name), NBD_REP_ERR_TOO_BIG);
    client_option(fd, NBD_OPT_INFO, "\0\0\0\1\0\0\0", 7); /* a NUL */
    assert_int_equal(client_option_end(fd, NULL), NBD_REP_ERR_UNKNOWN);
    client_go(fd, "A");
    close(fd);
}

static void
info__malformed__err_invalid(void **state)
{
    static const struct {
        const char *data;
        size_t bytes;
    } rows[] = {
        { "", 0 }, /* no length */
        { "\0\0\0", 3 },
        { "\0\0\0\1A", 5 },     /* no count */
        { "\0\0\0\7A\0\0", 7 }, /* name past the end */
        { "\377\377\377\377A\0\0", 7 },
        { "\0\0\0\1A\0\1", 7 },   /* one request, missing */
        { "\0\0\0\1A\0\0\0", 8 }, /* too long */
    };
    int fd = greeted(state);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        client_option(fd, NBD_OPT_GO, rows[i].data, rows[i].bytes);
        assert_int_equal(client_option_end(fd, NULL), NBD_REP_ERR_INVALID);
    }
    client_go(fd, "A");
    close(fd);
}

static void
options__unknown_and_tls__err_unsup(void **state)
{
    int fd = greeted(state);

    client_option(fd, NBD_OPT_STARTTLS, NULL, 0);
    assert_int_equal(client_option_end(fd, NULL), NBD_REP_ERR_UNSUP);
    client_option(fd, 4711, "abc", 3);
    assert_int_equal(client_option_end(fd, NULL), NBD_REP_ERR_UNSUP);
    client_go(fd, "A");
    close(fd);
}

static void
option__longer_than_sensible__err_too_big_then_dropped(void **state)
{
    static uint8_t data[200000];
    int fd = greeted(state);
    uint8_t header[16];

    client_option(fd, NBD_OPT_LIST, data, sizeof data);
    assert_int_equal(client_option_end(fd, NULL), NBD_REP_ERR_TOO_BIG);
    put_be32(put_be32(put_be64(header, NBD_OPTION_MAGIC), NBD_OPT_LIST),
             0xffffffff);
    client_send(fd, header, sizeof header);
    client_expect_end(fd);
}

static void
option__bad_magic__connection_ends(void **state)
{
    int fd = greeted(state);

    client_send(fd, "0123456789abcdef", 16);
    client_expect_end(fd);
}

static void
options__without_end__dropped_at_the_limit(void **state)
{
    int fd = greeted(state);
    uint8_t header[16];
    struct option_reply reply;
    unsigned count = 0;

    put_be32(put_be32(put_be64(header, NBD_OPTION_MAGIC), 4711), 0);
    for (; count < 4096; count++) {
        client_send(fd, header, sizeof header);
        client_option_reply(fd, &reply);
    }
    client_expect_end(fd);
}

static void
abort__acknowledged_then_closed(void **state)
{
    int fd = greeted(state);

    client_option(fd, NBD_OPT_ABORT, NULL, 0);
    assert_int_equal(client_option_end(fd, NULL), NBD_REP_ACK);
    client_expect_end(fd);
}

static uint32_t
meta(int fd, uint32_t option, const void *rest, size_t bytes,
     unsigned *out_count)
{
    uint8_t data[256];

    client_option(fd, option, data, name_option(data, "A", rest, bytes));
    return client_option_end(fd, out_count);
}

static void
meta_context__before_structured_replies__err_invalid(void **state)
{
    int fd = greeted(state);

    assert_int_equal(meta(fd, NBD_OPT_LIST_META_CONTEXT, "\0\0\0\0", 4, NULL),
                     NBD_REP_ERR_INVALID);
    close(fd);
}

static void
meta_context__query_forms__as_documented(void **state)
{
    static const struct {
        uint32_t option;
        const char *rest;
        size_t bytes;
        uint32_t want;
        unsigned count;
    } rows[] = {
        { NBD_OPT_LIST_META_CONTEXT, "\0\0\0\0", 4, NBD_REP_ACK, 1 },
        { NBD_OPT_LIST_META_CONTEXT, "\0\0\0\1\0\0\0\5base:", 13, NBD_REP_ACK,
          1 },
        { NBD_OPT_LIST_META_CONTEXT, "\0\0\0\1\0\0\0\5qemu:", 13, NBD_REP_ACK,
          0 },
        { NBD_OPT_SET_META_CONTEXT, "\0\0\0\0", 4, NBD_REP_ACK, 0 },
        { NBD_OPT_SET_META_CONTEXT, "\0\0\0\1\0\0\0\5base:", 13, NBD_REP_ACK,
          0 },
        { NBD_OPT_SET_META_CONTEXT, "\0\0\0\2\0\0\0\1x\0\0\0\17base:allocation",
          28, NBD_REP_ACK, 1 },
        { NBD_OPT_SET_META_CONTEXT, "\0\0\0", 3, NBD_REP_ERR_INVALID, 0 },
        { NBD_OPT_SET_META_CONTEXT, "\0\0\0\1\0\0\0\11x", 9,
          NBD_REP_ERR_INVALID, 0 },
        { NBD_OPT_SET_META_CONTEXT, "\0\0\0\1\0\0\0\1xy", 10,
          NBD_REP_ERR_INVALID, 0 },
        { NBD_OPT_SET_META_CONTEXT, "\377\377\377\377", 4, NBD_REP_ERR_INVALID,
          0 },
    };
    int fd = greeted(state);

    client_option(fd, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    assert_int_equal(client_option_end(fd, NULL), NBD_REP_ACK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned count;

        assert_int_equal(
            meta(fd, rows[i].option, rows[i].rest, rows[i].bytes, &count),
            rows[i].want);
        assert_int_equal(count, rows[i].count);
    }
    close(fd);
}

/* Two clients that stop half way: nobody else notices. */
static void
half_an_option__other_clients__served(void **state)
{
    struct bench *bench = *state;
    int silent = client_connect(bench->path);
    int half = greeted(state);
    int fd;

    client_send(half, "IHAVEOPT\0\0", 10);
    fd = client_open(bench, "A", false);
    client_request(fd, 0, NBD_CMD_FLUSH, 1, 0, 0);
    assert_int_equal(client_simple(fd, 1), 0);
    close(fd);
    close(half);
    close(silent);
}

/* The client does not wait for the answer to GO. */
static void
go__requests_in_the_same_packet__served(void **state)
{
    int fd = greeted(state);
    uint8_t data[16 + 7 + 28], reply[16], *at;
    struct option_reply option;

    at = put_be64(data, NBD_OPTION_MAGIC);
    at = put_be32(put_be32(at, NBD_OPT_GO), 7);
    memcpy(at, "\0\0\0\1A\0\0", 7);
    at = put_be32(at + 7, NBD_REQUEST_MAGIC);
    at = put_be16(put_be16(at, 0), NBD_CMD_FLUSH);
    put_be32(put_be64(put_be64(at, 99), 0), 0);
    client_send(fd, data, sizeof data);
    do
        client_option_reply(fd, &option);
    while (option.type != NBD_REP_ACK);
    client_receive(fd, reply, 16);
    assert_true(get_be64(reply + 8) == 99);
    close(fd);
}

#define WITH_BENCH(f) cmocka_unit_test_setup_teardown(f, bench_up, bench_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(export_name__with_zeroes__124_bytes_follow),
        WITH_BENCH(export_name__no_zeroes__none_follow),
        WITH_BENCH(export_name__client_of_the_oldest_kind__is_served),
        WITH_BENCH(export_name__unknown__connection_ends),
        WITH_BENCH(flags__unknown_bit__connection_ends),
        WITH_BENCH(list__two_exports__names_and_descriptions),
        WITH_BENCH(info__everything_asked__sent_and_no_transmission),
        WITH_BENCH(go__flags__of_a_writable_export),
        WITH_BENCH(info__wrong_names__refused_and_negotiation_goes_on),
        WITH_BENCH(info__malformed__err_invalid),
        WITH_BENCH(options__unknown_and_tls__err_unsup),
        WITH_BENCH(option__longer_than_sensible__err_too_big_then_dropped),
        WITH_BENCH(option__bad_magic__connection_ends),
        WITH_BENCH(options__without_end__dropped_at_the_limit),
        WITH_BENCH(abort__acknowledged_then_closed),
        WITH_BENCH(meta_context__before_structured_replies__err_invalid),
        WITH_BENCH(meta_context__query_forms__as_documented),
        WITH_BENCH(half_an_option__other_clients__served),
        WITH_BENCH(go__requests_in_the_same_packet__served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
