/*
 * Tests for src/vscsi/simh.c: images made by others, images for others, and
 * images that nobody should have made.  From "SIMH Magtape Representation and
 * Handling", 17 January 2022.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tape.h"

TAPE_SETUP(plain, .load_ms = 0)

static void
image_of_another__gaps_classes_end_marker__is_read(void **state)
{
    struct tape_rig *t = *state;
    FILE *file = fopen(t->tap, "wb");

    tap_record(file, 0xE0000000, "a description", 13); /* skipped */
    tap_record(file, 0, "first", 5);
    tap_word(file, 0x70000001); /* private marker */
    for (int i = 0; i < 5000; i++)
        tap_word(file, 0xFFFFFFFE); /* gap */
    tap_record(file, 0x30000000, "private", 7);
    tap_record(file, 0, "second!!", 8);
    fwrite("\xff\xff", 1, 2, file); /* half a gap marker */
    tap_word(file, 0xFFFFFFFE);
    tap_word(file, 0);
    tap_word(file, 0xF0000000); /* a marker of the future */
    tap_record(file, 0x90000000, "reserved", 8);
    tap_record(file, 0x80000000, "damaged?", 8);
    tap_record(file, 0x80000000, "", 0); /* nothing recovered */
    tap_record(file, 0, "z", 1);
    tap_word(file, 0xFFFFFFFF);
    tap_record(file, 0, "never", 5);
    fclose(file);
    tape_settle(t);
    assert_int_equal(read_block(t, 5), 0);
    assert_memory_equal(t->big, "first", 5);
    assert_int_equal(read_block(t, 8), 0);
    assert_memory_equal(t->big, "second!!", 8);
    assert_int_equal(read_block(t, 8), 0x000001);
    assert_int_equal(read_block(t, 8), 0x031100);
    assert_int_equal(info_of(t), 8);
    assert_int_equal(object_now(t), 4); /* behind the bad block */
    assert_int_equal(read_block(t, 8), 0x031100);
    assert_int_equal(read_block(t, 1), 0);
    assert_int_equal(t->big[0], 'z');
    assert_int_equal(read_block(t, 8), 0x080005);
    assert_int_equal(object_now(t), 6);
    assert_int_equal(space_over(t, 0, -3), 0);
    assert_int_equal(space_over(t, 1, -1), 0);
    assert_int_equal(object_now(t), 2);
    assert_int_equal(space_over(t, 0, -1), 0);
    assert_int_equal(read_block(t, 8), 0);
    assert_memory_equal(t->big, "second!!", 8);
}

static void
odd_records__not_padded__are_read(void **state)
{
    struct tape_rig *t = *state;
    FILE *file = fopen(t->tap, "wb");

    for (int i = 0; i < 3; i++) {
        tap_word(file, 3);
        fwrite("abc", 1, 3, file);
        tap_word(file, 3);
    }
    tap_word(file, 0);
    fclose(file);
    tape_settle(t);
    for (int i = 0; i < 3; i++)
        assert_int_equal(read_block(t, 3), 0);
    assert_int_equal(read_block(t, 3), 0x000001);
    assert_int_equal(read_block(t, 3), 0x080005);
}

/* Data come with the words around them, or out of what was read with those of
 * the record before. */
static void
records_of_all_lengths__whole_and_in_part__are_read(void **state)
{
    static const uint32_t lengths[] = { 1,    2,    3,     10,    511,    1023,
                                        1024, 1025, 2000,  4095,  4096,   4097,
                                        5000, 9999, 65535, 65536, 262144, 20 };
    struct tape_rig *t = *state;
    FILE *file = fopen(t->tap, "wb");
    uint8_t *data = malloc(262144 + 18);

    for (size_t i = 0; i < 262144 + 18; i++)
        data[i] = (uint8_t) (i * 31 >> 3);
    for (size_t i = 0; i < 18; i++)
        tap_record(file, 0, data + i, lengths[i]);
    fclose(file);
    tape_settle(t);
    for (unsigned less = 0; less < 2; less++) {
        rewind_tape(t);
        for (size_t i = 0; i < 18; i++) {
            uint32_t len = lengths[i] - less;

            memset(t->big, 0xA5, lengths[i] + 1);
            assert_int_equal(read_block(t, len), 0);
            assert_int_equal(t->rig.last.transferred, len);
            if (less != 0 && len != 0)
                assert_int_equal(info_of(t), -1);
            else
                assert_int_equal(t->rig.last.status, 0);
            assert_memory_equal(t->big, data + i, len);
            assert_int_equal(t->big[len], 0xA5);
            assert_int_equal(object_now(t), len != 0 ? i + 1 : i);
            if (len == 0)
                assert_int_equal(space_over(t, 0, 1), 0);
        }
    }
    rewind_tape(t);
    for (size_t i = 0; i < 18; i++) { /* there is room for more */
        assert_int_equal(read_block(t, 1 << 20), 0);
        assert_int_equal(bits_of(t), ILI);
        assert_int_equal(info_of(t), (1 << 20) - lengths[i]);
        assert_memory_equal(t->big, data + i, lengths[i]);
    }
    free(data);
}

static void
long_record__lengths_differ__medium_error_and_no_data(void **state)
{
    struct tape_rig *t = *state;
    FILE *file = fopen(t->tap, "wb");

    memset(t->big, 'x', 20000);
    tap_record(file, 0, "good", 4);
    tap_word(file, 20000);
    fwrite(t->big, 1, 20000, file);
    tap_word(file, 20001);
    fclose(file);
    tape_settle(t);
    assert_int_equal(read_block(t, 4), 0);
    assert_int_equal(read_block(t, 20000), 0x031100);
    assert_int_equal(info_of(t), 20000);
    assert_int_equal(t->rig.last.transferred, 0);
    assert_int_equal(object_now(t), 1);
}

static void
our_image__strict_reader__finds_all_of_it(void **state)
{
    static const uint32_t lengths[] = { 1,    2,    3,    511,   512,
                                        4095, 4096, 4097, 65536, 1 << 20 };
    struct tape_rig *t = *state;
    struct tap_tape tap;

    tape_settle(t);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(write_block(t, (char) ('a' + i), lengths[i]), 0);
        assert_int_equal(marks(t, (unsigned) i % 3), 0);
    }
    assert_int_equal(T(t, 0x1B, 0, 0, 0, 0, 0), 0);
    tap_load(t->tap, &tap);
    assert_int_equal(tap.count, 10 + 9);
    for (size_t i = 0, at = 0; i < 10; i++) {
        assert_int_equal(tap.objects[at].len, lengths[i]);
        assert_int_equal(tap.objects[at].data[0], 'a' + i);
        assert_int_equal(tap.objects[at].data[lengths[i] - 1], 'a' + i);
        at++;
        for (size_t m = 0; m < i % 3; m++)
            assert_true(tap.objects[at++].mark);
    }
    tap_free(&tap);
}

static void
append__behind_gap_and_end_marker__they_are_gone(void **state)
{
    struct tape_rig *t = *state;
    FILE *file = fopen(t->tap, "wb");
    struct tap_tape tap;

    tap_record(file, 0, "kept", 4);
    for (int i = 0; i < 100; i++)
        tap_word(file, 0xFFFFFFFE);
    tap_word(file, 0xFFFFFFFF);
    tap_record(file, 0, "old", 3);
    fclose(file);
    tape_settle(t);
    assert_int_equal(space_over(t, 3, 0), 0);
    assert_int_equal(write_block(t, 'n', 3), 0);
    tap_load(t->tap, &tap);
    assert_int_equal(tap.size, 12 + 12);
    assert_int_equal(tap.count, 2);
    assert_memory_equal(tap.objects[1].data, "nnn", 3);
    tap_free(&tap);
}

static void
damage__in_the_middle__medium_error_at_its_place(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } damages[] = {
        { "\x04\0\0\0abcd\x05\0\0\0", 12 }, /* lengths differ */
        { "\x04\0\0\0abcd\x04\0", 10 },     /* cut in the trailer */
        { "\x04\0\0\0ab", 6 },              /* cut in the data */
        { "\x04\0", 2 },                    /* cut in the length */
        { "\xff\xff\xff\x0f", 4 },          /* 256 MiB */
        { "\x04\0\0\x80"
          "abcd\x04\0\0\0",
          12 },                    /* class of one end only */
        { "\0\0\xfe\xff", 4 },     /* an illegal marker */
        { "\xfd\xff\xff\xff", 4 }, /* met in reverse only */
        { "\x04\0\0\x10"
          "ab",
          6 },                         /* a private record, cut */
        { "\xfe\xff\xff\xff\xfe", 5 }, /* a gap, cut */
    };
    struct tape_rig *t = *state;
    FILE *file;

    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        file = fopen(t->tap, "wb");
        tap_record(file, 0, "good", 4);
        tap_word(file, 0);
        fwrite(damages[i].bytes, 1, damages[i].len, file);
        fclose(file);
        tape_settle(t);
        assert_int_equal(space_over(t, 3, 0), 0x031100);
        assert_int_equal(object_now(t), 2);
        assert_int_equal(read_block(t, 10), 0x031100);
        assert_int_equal(info_of(t), 10);
        assert_int_equal(space_over(t, 0, 4), 0x031100);
        assert_int_equal(info_of(t), 4);
        assert_int_equal(space_over(t, 1, 1), 0x031100);
        assert_int_equal(locate(t, 7), 0x031100);
        assert_int_equal(object_now(t), 2);
        /* What is before it can be read, and it can be written over. */
        assert_int_equal(space_over(t, 1, -1), 0);
        assert_int_equal(space_over(t, 0, -1), 0);
        assert_int_equal(read_block(t, 4), 0);
        assert_int_equal(locate(t, 2), 0);
        assert_int_equal(write_block(t, 'n', 9), 0);
        assert_int_equal(space_over(t, 0, -1), 0);
        assert_int_equal(read_block(t, 9), 0);
        assert_int_equal(read_block(t, 9), 0x080005);
        assert_int_equal(vscsi_yank(t->rig.drive), 0);
    }
}

static void
insert__no_tape_image__is_refused_with_a_sentence(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        int result;
    } files[] = {
        { "Hello, this is a text", 21, -EINVAL },
        { "\x7f"
          "ELF\2\1\1\0",
          8, -EINVAL },
        { "ab", 2, -EINVAL },
        { "\x10\0\0\0cut by a", 12, 0 }, /* the first record, in a crash */
        { "\xff\xff\xff\xff", 4, 0 },
        { "\xfe\xff\xff\xff", 4, 0 },
        { "", 0, 0 },
    };
    struct tape_rig *t = *state;
    char text[300];

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        FILE *file = fopen(t->tap, "wb");

        fwrite(files[i].bytes, 1, files[i].len, file);
        fclose(file);
        text[0] = '\0';
        assert_int_equal(vscsi_insert(t->rig.drive, t->tap, text, sizeof text),
                         files[i].result);
        if (files[i].result != 0) {
            assert_non_null(strstr(text, t->tap));
            assert_non_null(strstr(text, "SIMH"));
        } else {
            assert_int_equal(vscsi_yank(t->rig.drive), 0);
        }
    }
    assert_int_equal(vscsi_insert(t->rig.drive, "/dev/null", text, sizeof text),
                     -EINVAL);
}

static void
image__shrinks_under_the_drive__medium_error(void **state)
{
    struct tape_rig *t = *state;

    tape_settle(t);
    for (int i = 0; i < 10; i++)
        assert_int_equal(write_block(t, 'a', 10000), 0);
    rewind_tape(t);
    assert_int_equal(read_block(t, 10000), 0);
    assert_int_equal(truncate(t->tap, 15000), 0);
    assert_int_equal(read_block(t, 10000) >> 16, 3);
    assert_int_equal(space_over(t, 0, 20) >> 16, 8); /* by its index */
    rewind_tape(t);
    assert_int_equal(read_block(t, 10000), 0);
}

static void
sparse_file_of_filemarks__goes_to_the_end_and_back(void **state)
{
    struct tape_rig *t = *state;

    make_image(t->tap, 0, 64u << 20);
    tape_settle(t);
    assert_int_equal(space_over(t, 3, 0), 0);
    assert_int_equal(object_now(t), 16u << 20);
    assert_int_equal(file_now(t), 16u << 20);
    assert_int_equal(space_over(t, 1, -1000), 0);
    assert_int_equal(object_now(t), (16u << 20) - 1000);
    assert_int_equal(read_block(t, 1), 0x000001);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TAPE_TEST(image_of_another__gaps_classes_end_marker__is_read, plain),
        TAPE_TEST(odd_records__not_padded__are_read, plain),
        TAPE_TEST(records_of_all_lengths__whole_and_in_part__are_read, plain),
        TAPE_TEST(long_record__lengths_differ__medium_error_and_no_data, plain),
        TAPE_TEST(our_image__strict_reader__finds_all_of_it, plain),
        TAPE_TEST(append__behind_gap_and_end_marker__they_are_gone, plain),
        TAPE_TEST(damage__in_the_middle__medium_error_at_its_place, plain),
        TAPE_TEST(insert__no_tape_image__is_refused_with_a_sentence, plain),
        TAPE_TEST(image__shrinks_under_the_drive__medium_error, plain),
        TAPE_TEST(sparse_file_of_filemarks__goes_to_the_end_and_back, plain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
