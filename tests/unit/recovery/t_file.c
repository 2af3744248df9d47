/*
 * Tests for src/recovery: what is written comes back; no damage goes unnoticed;
 * nothing is put onto another medium.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "recovery.h"

#define MEDIUM (1u << 20)
#define BLOCK  512u

static char folder[64], image[96], path[4096];
static unsigned char content[MEDIUM];

static const struct rec_about about = {
    .created_ms = 1700000000123,
    .status = 0xC0000013,
    .block_bytes = BLOCK,
    .size_bytes = MEDIUM,
    .type = "unknown",
    .label = "ARCHIVE A/1",
    .drive = "disk0",
};

static void
write_file(const char *name, const void *data, size_t len)
{
    int file = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(file >= 0);
    assert_int_equal(write(file, data, len), len);
    close(file);
}

static size_t
read_file(const char *name, void *data, size_t max)
{
    int file = open(name, O_RDONLY);
    ssize_t n = read(file, data, max);

    assert_true(file >= 0 && n >= 0);
    close(file);
    return (size_t) n;
}

static int
setup(void **state)
{
    (void) state;
    snprintf(folder, sizeof folder, "/tmp/recovery-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(image, sizeof image, "%s/image", folder);
    memset(content, 0x5A, sizeof content);
    write_file(image, content, sizeof content);
    return 0;
}

static int
teardown(void **state)
{
    char command[128];

    (void) state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* Two runs of data, one of zeroes, two blocks of witness. */
static void
make(void)
{
    unsigned char data[4 * BLOCK], block[BLOCK];
    struct rec_witness witness[2] = { { .at = 0, .states = 1 },
                                      { .at = 8 * BLOCK, .states = 2 } };
    struct rec_writer *w;
    struct rec_error error;

    memset(block, 0x5A, sizeof block);
    witness[0].hash[0] = rec_hash(block, BLOCK);
    witness[1].hash[0] = 1;
    witness[1].hash[1] = rec_hash(block, BLOCK);
    memset(data, 'x', sizeof data);
    assert_int_equal(rec_create(folder, &about, &w, &error), 0);
    assert_int_equal(rec_add_witness(w, witness, 2, &error), 0);
    assert_int_equal(rec_add(w, 16 * BLOCK, data, sizeof data, &error), 0);
    assert_int_equal(rec_add(w, MEDIUM - BLOCK, data, BLOCK, &error), 0);
    assert_int_equal(rec_add_zeroes(w, 64 * BLOCK, 128 * BLOCK, &error), 0);
    snprintf(path, sizeof path, "%s", rec_path(w));
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(rec_finish(w, &error), 0);
    assert_int_equal(access(path, F_OK), 0);
}

static void
expect_applied(void)
{
    unsigned char now[MEDIUM];

    read_file(image, now, sizeof now);
    memset(content + 16 * BLOCK, 'x', 4 * BLOCK);
    memset(content + MEDIUM - BLOCK, 'x', BLOCK);
    memset(content + 64 * BLOCK, 0, 128 * BLOCK);
    assert_memory_equal(now, content, sizeof now);
}

static void
whole_file__checked__says_what_it_is(void **state)
{
    struct rec_summary sum;
    struct rec_error error;

    (void) state;
    make();
    assert_int_equal(rec_check(path, &sum, &error), 0);
    assert_true(sum.complete);
    assert_int_equal(sum.records, 4);
    assert_int_equal(sum.bytes, 133 * BLOCK);
    assert_int_equal(sum.witnesses, 2);
    assert_string_equal(sum.about.label, about.label);
    assert_string_equal(sum.about.drive, about.drive);
    assert_int_equal(sum.about.status, about.status);
    assert_non_null(strstr(path, "/ARCHIVE_A_1-20231114T221320Z.recovery"));
}

static void
apply__right_medium__has_the_data(void **state)
{
    struct rec_error error;
    struct rec_fit fit;
    uint64_t bytes = 0;

    (void) state;
    make();
    assert_int_equal(rec_compare(path, image, &fit, &error), 0);
    assert_int_equal(fit.verdict, REC_FITS);
    assert_int_equal(fit.compared, 2);
    assert_int_equal(rec_apply(path, image, false, true, NULL, &bytes, &error),
                     0);
    assert_int_equal(bytes, 133 * BLOCK);
    assert_int_equal(rec_compare(path, image, &fit, &error), 0);
    assert_int_equal(fit.verdict, REC_FITS);
    assert_int_equal(rec_apply(path, image, false, false, NULL, &bytes, &error),
                     0);
    expect_applied();
}

static void
compare__changed_or_other_medium__told(void **state)
{
    struct rec_error error;
    struct rec_fit fit;

    (void) state;
    make();
    content[8 * BLOCK] ^= 1;
    write_file(image, content, sizeof content);
    assert_int_equal(rec_compare(path, image, &fit, &error), 0);
    assert_int_equal(fit.verdict, REC_CHANGED);
    assert_int_equal(fit.differing, 1);
    write_file(image, content, sizeof content - BLOCK);
    assert_int_equal(rec_compare(path, image, &fit, &error), 0);
    assert_int_equal(fit.verdict, REC_OTHER_SIZE);
    assert_true(rec_compare(path, "/dev/null", &fit, &error) < 0);
    assert_non_null(strstr(error.text, "/dev/null"));
}

/* Every bit of a file may be wrong: then it is said, or it did not matter. */
static void
any_byte_damaged__never_silently_applied(void **state)
{
    static unsigned char file[65536], bad[65536];
    size_t len;

    (void) state;
    make();
    len = read_file(path, file, sizeof file);
    assert_true(len < sizeof file);
    for (size_t i = 0; i < len; i++) {
        struct rec_summary sum;
        struct rec_error error = { "" };
        int status;

        memcpy(bad, file, len);
        bad[i] ^= 0x10;
        write_file(path, bad, len);
        status = rec_check(path, &sum, &error);
        if (status == 0)
            assert_true(!sum.complete && sum.problem[0] != '\0');
        else
            assert_true(error.text[0] != '\0');
    }
}

static void
torn_anywhere__said_and_the_rest_used_by_force(void **state)
{
    static unsigned char file[65536];
    struct rec_error error;
    uint64_t bytes;
    size_t len;

    (void) state;
    make();
    len = read_file(path, file, sizeof file);
    for (size_t i = 0; i < len; i += 7) {
        struct rec_summary sum;

        write_file(path, file, i);
        if (rec_check(path, &sum, &error) == 0)
            assert_false(sum.complete);
        assert_true(rec_apply(path, image, false, false, NULL, &bytes, &error) <
                    0);
    }
    /* All but the end is there. */
    write_file(path, file, len - 8);
    assert_int_equal(rec_apply(path, image, true, false, NULL, &bytes, &error),
                     0);
    assert_int_equal(bytes, 133 * BLOCK);
    expect_applied();
}

static void
same_volume_same_second__two_files(void **state)
{
    char first[4096];

    (void) state;
    make();
    memcpy(first, path, sizeof first);
    make();
    assert_string_not_equal(first, path);
    assert_int_equal(access(first, F_OK), 0);
}

static void
folder_is_missing__error_names_it(void **state)
{
    struct rec_writer *w;
    struct rec_error error;

    (void) state;
    assert_int_equal(rec_create("/nonexistent/dir", &about, &w, &error),
                     -ENOENT);
    assert_non_null(strstr(error.text, "/nonexistent/dir"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(whole_file__checked__says_what_it_is),
        TEST(apply__right_medium__has_the_data),
        TEST(compare__changed_or_other_medium__told),
        TEST(any_byte_damaged__never_silently_applied),
        TEST(torn_anywhere__said_and_the_rest_used_by_force),
        TEST(same_volume_same_second__two_files),
        TEST(folder_is_missing__error_names_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
