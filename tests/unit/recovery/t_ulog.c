/*
 * Tests for src/recovery/ulog_*.c: what was committed comes back, whatever
 * became of the tail; no damage of what was on disk goes unnoticed.
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
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <signal.h>

#include "unflushed.h"

#define MEDIUM  (1u << 20)
#define RING    (256u << 10)
#define RING_AT 65536u

static char folder[64], path[4096];
static unsigned char expected[MEDIUM], found[MEDIUM];
static const struct rec_witness witness[2] = {
    { .at = 0, .states = 1, .hash = { 7 } },
    { .at = 512, .states = 2, .hash = { 8, 9 } },
};
static const struct ulog_head head = {
    .about = { .created_ms = 17,
               .block_bytes = 512,
               .size_bytes = MEDIUM,
               .type = "ext4",
               .uuid = "1-2-3",
               .label = "ARCHIVE-A",
               .drive = "left" },
    .identity = "who it is",
    .identity_bytes = 10,
    .witness = witness,
    .witness_count = 2,
};

static int
setup(void **state)
{
    (void) state;
    snprintf(folder, sizeof folder, "%s/ulog-test-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(folder));
    memset(expected, 0, sizeof expected);
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

static struct ulog *
create(void)
{
    struct rec_error error;
    struct ulog *log = NULL;

    assert_int_equal(ulog_create(folder, &head, RING, &log, &error), 0);
    snprintf(path, sizeof path, "%s", ulog_path(log));
    return log;
}

/* One record of `len` times `byte`. */
static int
put(struct ulog *log, uint64_t offset, uint64_t len, int byte, uint32_t epoch)
{
    static unsigned char data[128 << 10];
    struct rec_error error;
    struct ulog_record record = { .what = ULOG_DATA,
                                  .offset = offset,
                                  .len = len,
                                  .data = data,
                                  .epoch = epoch };
    struct ulog_batch batch = { .records = &record, .count = 1 };
    int rc;

    memset(data, byte, len);
    rc = ulog_commit(log, &batch, &error);
    if (rc == 0)
        memset(expected + offset, byte, len);
    return rc;
}

static int
flush(struct ulog *log, uint32_t epoch)
{
    struct rec_error error;
    struct ulog_batch batch = { .head = &head,
                                .flush = true,
                                .flushed = epoch };

    return ulog_commit(log, &batch, &error);
}

/* How many records; -errno.  What they say is in `found`. */
static int
read_back(const char *name)
{
    struct ulog_reader *reader = NULL;
    struct ulog_record record;
    struct rec_error error;
    int rc = ulog_read(name, &reader, &error), count = 0;

    memset(found, 0, sizeof found);
    if (rc != 0)
        return rc;
    while (ulog_next(reader, &record) == 1) {
        if (record.what == ULOG_DATA)
            memcpy(found + record.offset, record.data, record.len);
        else
            memset(found + record.offset, 0, record.len);
        count++;
    }
    ulog_reader_free(reader);
    return count;
}

static void
same(void)
{
    assert_memory_equal(found, expected, MEDIUM);
}

static size_t
load(unsigned char *buffer, size_t max)
{
    int file = open(path, O_RDONLY);
    ssize_t n = read(file, buffer, max);

    assert_true(file >= 0 && n > 0);
    close(file);
    return (size_t) n;
}

static void
store(const char *name, const unsigned char *data, size_t len)
{
    int file = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(file >= 0);
    assert_int_equal(write(file, data, len), len);
    close(file);
}

/* --- what comes back ---------------------------------------------------------- */

static void
log__committed__comes_back_in_order(void **state)
{
    struct ulog *log = create();
    struct ulog_reader *reader = NULL;
    const struct ulog_head *read;
    struct rec_error error;
    struct stat st;

    (void) state;
    assert_int_equal(put(log, 0, 4096, 1, 1), 0);
    assert_int_equal(put(log, 2048, 4096, 2, 1), 0);
    ulog_leave(log);
    assert_int_equal(read_back(path), 2);
    same();
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(ulog_read(path, &reader, &error), 0);
    read = ulog_reader_head(reader);
    assert_string_equal(read->about.label, "ARCHIVE-A");
    assert_string_equal(read->about.drive, "left");
    assert_int_equal(read->identity_bytes, 10);
    assert_memory_equal(read->identity, "who it is", 10);
    assert_int_equal(read->witness_count, 2);
    assert_memory_equal(read->witness, witness, sizeof witness);
    ulog_reader_free(reader);
}

static void
log__flushed__has_what_came_later_alone(void **state)
{
    struct ulog *log = create();

    (void) state;
    assert_int_equal(put(log, 0, 4096, 1, 1), 0);
    assert_int_equal(put(log, 4096, 4096, 2, 2), 0);
    assert_true(ulog_has_newer(log, 1));
    assert_false(ulog_has_newer(log, 2));
    assert_int_equal(flush(log, 1), 0);
    assert_true(ulog_has_newer(log, 1));
    memset(expected, 0, 4096);
    assert_int_equal(read_back(path), 1);
    same();
    assert_int_equal(flush(log, 2), 0);
    assert_false(ulog_has_newer(log, 0));
    assert_int_equal(read_back(path), 0);
    assert_int_equal(ulog_live(log), 0);
    ulog_close(log);
    assert_int_equal(access(path, F_OK), -1);
}

static void
log__not_empty__stays_when_it_is_closed(void **state)
{
    struct ulog *log = create();

    (void) state;
    assert_int_equal(put(log, 0, 512, 1, 1), 0);
    ulog_close(log);
    assert_int_equal(read_back(path), 1);
    same();
}

static void
log__many_rounds__stays_within_its_bound(void **state)
{
    struct ulog *log = create();
    struct stat st;

    (void) state;
    for (uint32_t n = 1; n < 400; n++) {
        uint64_t at = n * 7 % 200 * 4096;

        assert_int_equal(put(log, at, 4096 + n % 5 * 512, (int) n, n), 0);
        if (n > 3) {
            assert_int_equal(flush(log, n - 3), 0);
            assert_int_equal(read_back(path), 3);
        }
        assert_int_equal(stat(path, &st), 0);
        assert_true(st.st_size <= RING_AT + RING);
    }
    ulog_leave(log);
}

static void
log__full__refuses_and_goes_on_after_a_flush(void **state)
{
    struct ulog *log = create();
    uint32_t n = 0;
    int rc;

    (void) state;
    while ((rc = put(log, n * 4096 % MEDIUM, 4096, (int) n, 1)) == 0)
        n++;
    assert_int_equal(rc, -ENOBUFS);
    assert_true(n >= RING / (4096 + 64) - 1);
    assert_int_equal(read_back(path), n);
    same();
    assert_int_equal(flush(log, 1), 0);
    assert_int_equal(put(log, 0, 4096, 9, 2), 0);
    assert_int_equal(read_back(path), 1);
    ulog_leave(log);
}

static void
log__resumed__goes_on_where_it_was(void **state)
{
    struct ulog *log = create();
    struct ulog_reader *reader = NULL;
    struct rec_error error;

    (void) state;
    assert_int_equal(put(log, 0, 4096, 1, 1), 0);
    ulog_leave(log);
    assert_int_equal(ulog_read(path, &reader, &error), 0);
    assert_int_equal(ulog_resume(reader, 1, &log, &error), 0);
    ulog_reader_free(reader);
    assert_true(ulog_live(log) != 0);
    assert_int_equal(flush(log, 1), 0);
    memset(expected, 0, 4096);
    assert_int_equal(put(log, 8192, 4096, 2, 2), 0);
    ulog_leave(log);
    assert_int_equal(read_back(path), 1);
    same();
}

/* --- what is torn ------------------------------------------------------------- */

static unsigned char whole[RING_AT + RING], hurt[RING_AT + RING];

/* One byte of a file. */
static void
poke(const char *name, size_t at, unsigned char byte)
{
    int file = open(name, O_WRONLY);

    assert_true(file >= 0);
    assert_int_equal(pwrite(file, &byte, 1, (off_t) at), 1);
    close(file);
}

/* Four records, the places where they end, what is expected after each. */
static size_t
make_four(uint64_t *ends, unsigned char (*after)[16384])
{
    struct ulog *log = create();
    uint64_t at = RING_AT;

    for (int i = 0; i < 4; i++) {
        uint64_t len = 512u << i;

        assert_int_equal(put(log, (uint64_t) i * 2048, len, i + 1, 1), 0);
        at += 64 + len;
        ends[i] = at;
        memcpy(after[i], expected, 16384);
    }
    ulog_leave(log);
    return load(whole, sizeof whole);
}

static void
log__cut_anywhere__loses_what_is_behind_the_cut_alone(void **state)
{
    static unsigned char after[4][16384];
    uint64_t ends[4];
    size_t len = make_four(ends, after);
    char name[128];

    (void) state;
    snprintf(name, sizeof name, "%s/cut", folder);
    assert_int_equal(len, ends[3]);
    store(name, whole, len);
    for (size_t cut = len; cut >= RING_AT; cut--) {
        int kept = 0;

        while (kept < 4 && ends[kept] <= cut)
            kept++;
        assert_int_equal(truncate(name, (off_t) cut), 0);
        assert_int_equal(read_back(name), kept);
        if (kept != 0)
            assert_memory_equal(found, after[kept - 1], 16384);
    }
}

static void
log__garbage_behind_the_last__is_not_read(void **state)
{
    static unsigned char after[4][16384];
    uint64_t ends[4];
    size_t len = make_four(ends, after);
    char name[128];

    (void) state;
    snprintf(name, sizeof name, "%s/garbage", folder);
    for (int round = 0; round < 50; round++) {
        memcpy(hurt, whole, len);
        for (size_t i = len; i < len + 5000; i++)
            hurt[i] = (unsigned char) (i * 2654435761u >> (round % 24));
        store(name, hurt, len + 5000);
        assert_int_equal(read_back(name), 4);
        assert_memory_equal(found, after[3], 16384);
    }
}

/* A flipped bit in a record is a torn tail if it is the last one, and damage
 * if a later record knows that it was on disk; data that were not committed
 * never come back. */
static void
log__flipped_bits__never_give_wrong_data(void **state)
{
    static unsigned char after[4][16384];
    uint64_t ends[4];
    size_t len = make_four(ends, after);
    char name[128];

    (void) state;
    snprintf(name, sizeof name, "%s/flipped", folder);
    store(name, whole, len);
    for (size_t at = RING_AT; at < len; at += at % 64 == 63 ? 33 : 1) {
        int rc, record = 0;

        poke(name, at, whole[at] ^ (unsigned char) (1u << at % 8));
        rc = read_back(name);
        poke(name, at, whole[at]);
        while (ends[record] <= at)
            record++;
        if (record < 3) {
            assert_int_equal(rc, -EBADMSG);
            continue;
        }
        assert_int_equal(rc, record);
        assert_memory_equal(found, after[record - 1], 16384);
    }
}

static void
log__flipped_bits_in_a_slot__leave_the_other_or_nothing(void **state)
{
    static unsigned char after[4][16384];
    uint64_t ends[4];
    size_t len = make_four(ends, after);
    char name[128];

    (void) state;
    snprintf(name, sizeof name, "%s/slot", folder);
    store(name, whole, len);
    for (size_t at = 0; at < RING_AT; at += at % 32768 < 700 ? 1 : 4001) {
        int rc;

        poke(name, at, whole[at] ^ 0x10);
        rc = read_back(name);
        poke(name, at, whole[at]);
        assert_true(rc == 4 || rc == -EBADMSG || rc == -EINVAL);
        if (rc == 4)
            assert_memory_equal(found, after[3], 16384);
    }
}

static void
log__torn_slot__the_one_before_counts(void **state)
{
    struct ulog *log = create();
    size_t len;

    (void) state;
    assert_int_equal(put(log, 0, 4096, 1, 1), 0);
    len = load(whole, sizeof whole);
    assert_int_equal(flush(log, 1), 0);
    ulog_leave(log);
    len = load(hurt, sizeof hurt);
    /* Of the slot that the flush wrote, only the first half came through. */
    for (size_t i = 0; i < 2; i++)
        if (memcmp(hurt + i * 32768, whole + i * 32768, 512) != 0)
            memcpy(hurt + i * 32768 + 256, whole + i * 32768 + 256, 256);
    store(path, hurt, len);
    assert_int_equal(read_back(path), 1);
    same();
}

static void
log__of_another_version__is_refused(void **state)
{
    struct ulog *log = create();
    size_t len = load(whole, sizeof whole);
    uint32_t crc;

    (void) state;
    ulog_leave(log);
    for (size_t i = 0; i < 2; i++) {
        unsigned char *slot = whole + i * 32768;

        if (memcmp(slot, "REINSERT-UNFLUSH", 16) != 0)
            continue;
        slot[16] = 2;
        crc = 0xFFFFFFFF;
        for (int n = 0; n < 508; n++) {
            crc ^= slot[n];
            for (int bit = 0; bit < 8; bit++)
                crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
        }
        crc = ~crc;
        memcpy(slot + 508, &crc, 4);
    }
    store(path, whole, len);
    assert_int_equal(read_back(path), -EPROTO);
    store(path, (const unsigned char *) "hello", 5);
    assert_int_equal(read_back(path), -EINVAL);
}

/* --- a disk that fails ----------------------------------------------------------- */

static void
log__a_write_that_fails__leaves_what_was_and_waits_for_a_flush(void **state)
{
    struct ulog *log = create();
    struct rlimit before, small;

    (void) state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(put(log, 0, 4096, 1, 1), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = RING_AT + 4096 + 64 + 2048;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_true(put(log, 8192, 4096, 2, 2) < 0);
    assert_true(ulog_broken(log));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(read_back(path), 1);
    same();
    assert_int_equal(put(log, 8192, 4096, 3, 2), -ENOBUFS);
    assert_int_equal(flush(log, 2), 0);
    assert_false(ulog_broken(log));
    assert_int_equal(put(log, 8192, 4096, 4, 3), 0);
    memset(expected, 0, 4096);
    assert_int_equal(read_back(path), 1);
    same();
    ulog_leave(log);
}

/* What a failed attempt left on disk must not come back after a flush. */
static void
log__after_a_failure__the_next_chain_is_another(void **state)
{
    struct ulog *log = create();
    size_t before, after;

    (void) state;
    assert_int_equal(put(log, 0, 4096, 1, 1), 0);
    before = load(whole, sizeof whole);
    assert_int_equal(flush(log, 1), 0);
    ulog_leave(log);
    after = load(hurt, sizeof hurt);
    memset(expected, 0, sizeof expected);
    assert_int_equal(before, after);
    /* The ring still has the old record, at the place of the next one. */
    assert_memory_equal(hurt + RING_AT, whole + RING_AT, 64);
    assert_int_equal(read_back(path), 0);
}

static void
log__voided__is_gone(void **state)
{
    struct ulog *log = create();
    struct rec_error error;
    bool removed = false;

    (void) state;
    assert_int_equal(put(log, 0, 4096, 1, 1), 0);
    assert_int_equal(ulog_void(log, &removed, &error), 0);
    assert_true(removed);
    assert_int_equal(access(path, F_OK), -1);
    ulog_leave(log);
}

/* CRC-32 of IEEE 802.3, bit by bit. */
static uint32_t
crc_32(const unsigned char *data, size_t len)
{
    uint32_t crc = 0xFFFFFFFFu;

    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

static uint32_t
number(const unsigned char *at)
{
    return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t) at[3] << 24;
}

/* At the documented places of the file. */
static void
sums__of_slot_and_record__are_the_documented_crc_32(void **state)
{
    static unsigned char file[RING_AT + 64 + 512];
    const unsigned char *slot, *record = file + RING_AT;
    struct ulog *log = create();
    int fd = open(path, O_RDONLY);

    (void) state;
    assert_int_equal(crc_32((const unsigned char *) "123456789", 9),
                     0xCBF43926);
    assert_int_equal(put(log, 4096, 512, 'c', 1), 0);
    assert_int_equal(read(fd, file, sizeof file), sizeof file);
    close(fd);
    slot = memcmp(file, "REINSERT-UNFLUSH", 16) == 0 ? file : file + 32768;
    assert_int_equal(number(slot + 508), crc_32(slot, 508));
    assert_int_equal(number(slot + 96),
                     crc_32(slot + 512, head.identity_bytes + 2 * 48));
    assert_memory_equal(record, "RLUR", 4);
    assert_int_equal(number(record + 60), crc_32(record, 60));
    assert_int_equal(number(record + 56), crc_32(record + 64, 512));
    ulog_leave(log);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(sums__of_slot_and_record__are_the_documented_crc_32),
        T(log__committed__comes_back_in_order),
        T(log__flushed__has_what_came_later_alone),
        T(log__not_empty__stays_when_it_is_closed),
        T(log__many_rounds__stays_within_its_bound),
        T(log__full__refuses_and_goes_on_after_a_flush),
        T(log__resumed__goes_on_where_it_was),
        T(log__cut_anywhere__loses_what_is_behind_the_cut_alone),
        T(log__garbage_behind_the_last__is_not_read),
        T(log__flipped_bits__never_give_wrong_data),
        T(log__flipped_bits_in_a_slot__leave_the_other_or_nothing),
        T(log__torn_slot__the_one_before_counts),
        T(log__of_another_version__is_refused),
        T(log__a_write_that_fails__leaves_what_was_and_waits_for_a_flush),
        T(log__after_a_failure__the_next_chain_is_another),
        T(log__voided__is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
