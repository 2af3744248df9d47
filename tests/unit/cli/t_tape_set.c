/*
 * t_tape_set.c - CRC-32C, and the records of sets: whole, damaged, hostile
 *
 * Checksums are those of RFC 3720, appendix B.4.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/tape_set.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tapelink/crc32c.h"

/* Bit by bit, as the polynomial says. */
static uint32_t
slow_crc(const unsigned char *data, size_t len)
{
    uint32_t crc = 0xFFFFFFFF;

    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? (crc >> 1) ^ 0x82F63B78 : crc >> 1;
    }
    return ~crc;
}

static void
fill(unsigned char *data, size_t len)
{
    uint32_t x = 2463534242u;

    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        data[i] = (unsigned char) x;
    }
}

static void
crc32c__values_of_the_rfc(void **state)
{
    unsigned char zeros[32] = { 0 }, ones[32], up[32], down[32];

    (void) state;
    for (int i = 0; i < 32; i++) {
        ones[i] = 0xFF;
        up[i] = (unsigned char) i;
        down[i] = (unsigned char) (31 - i);
    }
    assert_int_equal(crc32c(0, zeros, 32), 0x8A9136AA);
    assert_int_equal(crc32c(0, ones, 32), 0x62A8AB43);
    assert_int_equal(crc32c(0, up, 32), 0x46DD794E);
    assert_int_equal(crc32c(0, down, 32), 0x113FDB5C);
    assert_int_equal(crc32c(0, "123456789", 9), 0xE3069283);
    assert_int_equal(crc32c(0, "", 0), 0);
}

static void
crc32c__any_length_and_alignment__as_bit_by_bit(void **state)
{
    static unsigned char data[40000];
    static const size_t lengths[] = {
        1,    7,    8,    9,     511,   1023,  1024,  1025,  1279,
        1280, 1535, 4096, 12287, 12288, 12289, 24576, 36864, 39990
    };

    (void) state;
    fill(data, sizeof data);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        for (size_t at = 0; at < 3; at++)
            for (unsigned way = 0; way < crc32c_ways(); way++)
                assert_int_equal(crc32c_by_way(way, 0, data + at, lengths[i]),
                                 slow_crc(data + at, lengths[i]));
}

static void
crc32c__pieces__join_to_the_whole(void **state)
{
    static unsigned char data[30000];
    uint32_t whole;

    (void) state;
    fill(data, sizeof data);
    whole = slow_crc(data, sizeof data);
    for (size_t cut = 0; cut <= sizeof data; cut += 3749) {
        uint32_t a = crc32c(0, data, cut);
        uint32_t b = crc32c(0, data + cut, sizeof data - cut);

        assert_int_equal(crc32c_join(a, b, sizeof data - cut), whole);
        assert_int_equal(crc32c(a, data + cut, sizeof data - cut), whole);
    }
}

static struct tape_set_mark
example(bool end)
{
    struct tape_set_mark mark = {
        .end = end,
        .label = "srv 2026-11",
        .set = "6f1c2f0e-0000-4000-8000-0123456789ab",
        .part = 2,
        .block_size = 65536,
        .padded = true,
        .time = 1795000000,
        .total = { 123456789012345, 77, 0xFFFFFFFF },
    };

    if (end) {
        mark.part_sum = (struct tape_set_sum){ 1, 2, 0x00000003 };
        mark.last = true;
    } else {
        mark.before = (struct tape_set_sum){ 1ull << 40, 9, 0xDEADBEEF };
    }
    return mark;
}

static void
record__comes_back_as_it_went(void **state)
{
    (void) state;
    for (int end = 0; end < 2; end++) {
        struct tape_set_mark mark = example(end != 0), back = { 0 };
        void *record;
        size_t len;

        assert_int_equal(tape_set_build(&mark, 0, &record, &len), 0);
        assert_int_equal(len, TAPE_SET_RECORD);
        assert_int_equal(tape_set_parse(record, len, &back), 0);
        assert_int_equal(back.end, mark.end);
        assert_string_equal(back.label, mark.label);
        assert_string_equal(back.set, mark.set);
        assert_int_equal(back.part, 2);
        assert_int_equal(back.block_size, 65536);
        assert_true(back.padded);
        assert_int_equal(back.time, mark.time);
        assert_memory_equal(&back.total, &mark.total, sizeof mark.total);
        assert_memory_equal(&back.before, &mark.before, sizeof mark.before);
        assert_memory_equal(&back.part_sum, &mark.part_sum,
                            sizeof mark.part_sum);
        assert_int_equal(back.last, mark.last);
        assert_int_equal(back.complete, mark.complete);
        free(record);
    }
}

static void
record__fixed_blocks__fills_them(void **state)
{
    static const size_t blocks[] = { 512, 1000, 32768, 1 << 20 };
    struct tape_set_mark mark = example(false), back;

    (void) state;
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        void *record;
        size_t len;

        assert_int_equal(tape_set_build(&mark, blocks[i], &record, &len), 0);
        assert_int_equal(len % blocks[i], 0);
        assert_true(len >= TAPE_SET_RECORD &&
                    len < TAPE_SET_RECORD + blocks[i]);
        assert_int_equal(tape_set_parse(record, len, &back), 0);
        free(record);
    }
}

static void
record__tar__lists_and_extracts_it(void **state)
{
    struct tape_set_mark mark = example(false);
    char line[512], all[4096] = "";
    void *record;
    size_t len;
    FILE *file, *tar;

    (void) state;
    assert_int_equal(tape_set_build(&mark, 0, &record, &len), 0);
    file = fopen("t_tape_set.tar", "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(record, 1, len, file), len);
    fclose(file);
    free(record);
    tar = popen("tar tf t_tape_set.tar && tar xOf t_tape_set.tar "
                "reinsert-tape-set",
                "r");
    assert_non_null(tar);
    while (fgets(line, sizeof line, tar) != NULL)
        strncat(all, line, sizeof all - strlen(all) - 1);
    assert_int_equal(pclose(tar), 0);
    remove("t_tape_set.tar");
    assert_non_null(strstr(all, "srv 2026-11 Volume 2\n"));
    assert_non_null(strstr(all, "reinsert-tape-set\n"));
    assert_non_null(strstr(all, "part: 2\n"));
    assert_non_null(strstr(all, "previous-crc32c: deadbeef\n"));
}

static void
record__any_bit_of_its_text__is_missed(void **state)
{
    struct tape_set_mark mark = example(true), back;
    unsigned char *record;
    size_t len, text;
    void *made;

    (void) state;
    assert_int_equal(tape_set_build(&mark, 0, &made, &len), 0);
    record = made;
    text = strlen((char *) record + 512);
    for (size_t i = 512; i < 512 + text; i++) {
        int rc;

        record[i] ^= 4;
        rc = tape_set_parse(record, len, &back);
        assert_true(rc == -EBADMSG || rc == -ENOENT);
        record[i] ^= 4;
    }
    assert_int_equal(tape_set_parse(record, len, &back), 0);
    free(made);
}

static void
record__cut_or_foreign__is_none(void **state)
{
    static unsigned char junk[20480];
    struct tape_set_mark mark = example(false), back;
    void *record;
    size_t len;

    (void) state;
    assert_int_equal(tape_set_build(&mark, 0, &record, &len), 0);
    for (size_t cut = 0; cut < 1024 + 300; cut += 31) {
        /* A copy of just that size, so that a sanitizer sees a step beyond. */
        void *piece = malloc(cut + 1);

        memcpy(piece, record, cut);
        assert_int_not_equal(tape_set_parse(piece, cut, &back), 0);
        free(piece);
    }
    free(record);
    assert_int_equal(tape_set_parse(junk, sizeof junk, &back), -ENOENT);
    fill(junk, sizeof junk);
    assert_int_equal(tape_set_parse(junk, sizeof junk, &back), -ENOENT);
}

static void
label__what_can_be_one(void **state)
{
    char most[TAPE_SET_LABEL_MAX + 1];

    (void) state;
    memset(most, 'x', sizeof most);
    most[TAPE_SET_LABEL_MAX] = '\0';
    assert_int_equal(tape_set_check_label(most), -EINVAL);
    most[TAPE_SET_LABEL_MAX - 1] = '\0';
    assert_int_equal(tape_set_check_label(most), 0);
    assert_int_equal(tape_set_check_label("a b"), 0);
    assert_int_equal(tape_set_check_label(""), -EINVAL);
    assert_int_equal(tape_set_check_label(" a"), -EINVAL);
    assert_int_equal(tape_set_check_label("a\n"), -EINVAL);
    assert_int_equal(tape_set_check_label("\xC3\xA4"), -EINVAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c__values_of_the_rfc),
        cmocka_unit_test(crc32c__any_length_and_alignment__as_bit_by_bit),
        cmocka_unit_test(crc32c__pieces__join_to_the_whole),
        cmocka_unit_test(record__comes_back_as_it_went),
        cmocka_unit_test(record__fixed_blocks__fills_them),
        cmocka_unit_test(record__tar__lists_and_extracts_it),
        cmocka_unit_test(record__any_bit_of_its_text__is_missed),
        cmocka_unit_test(record__cut_or_foreign__is_none),
        cmocka_unit_test(label__what_can_be_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
