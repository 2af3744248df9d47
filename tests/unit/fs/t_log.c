/*
 * Tests for src/fs/log.c: what is kept, what a flush lets go of, what is
 * replayed.  A plain array says what the medium should become.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/log.h"
#include "ke/ke.h"

#define MEDIUM (1u << 20)

static UCHAR data[MEDIUM];
static UCHAR medium[MEDIUM];
static UCHAR buffer[64 * 1024];

struct replayed {
    ULONG64 end; /* of the last run */
    ULONG runs;
    ULONG64 bytes;
};

static NTSTATUS
replay(void *context, ULONG64 offset, const void *bytes, ULONG length)
{
    struct replayed *r = context;

    assert_true(offset >= r->end);
    assert_true(length % LOG_UNIT == 0 && length <= sizeof buffer);
    memcpy(medium + offset, bytes, length);
    r->end = offset + length;
    r->runs++;
    r->bytes += length;
    return STATUS_SUCCESS;
}

static struct replayed
replay_all(struct log *log)
{
    struct replayed r = { 0 };

    assert_int_equal(log_each(log, buffer, sizeof buffer, replay, &r),
                     STATUS_SUCCESS);
    return r;
}

static void
put(struct log *log, ULONG64 offset, int byte, ULONG64 length)
{
    memset(data, byte, length);
    assert_true(log_put(log, offset, data, length));
}

static void
log__same_block_twice__newest_data_once(void **state)
{
    struct log log;
    struct replayed r;

    (void) state;
    assert_int_equal(log_init(&log, 1 << 20), STATUS_SUCCESS);
    put(&log, 8192, 'a', 8192);
    put(&log, 8192 + 512, 'b', 512);
    memset(medium, 0, sizeof medium);
    r = replay_all(&log);
    assert_int_equal(r.bytes, 8192);
    assert_int_equal(r.runs, 1);
    assert_int_equal(medium[8192 + 511], 'a');
    assert_int_equal(medium[8192 + 512], 'b');
    assert_int_equal(medium[8192 + 1024], 'a');
    assert_int_equal(log_bytes(&log), 8192);
    log_free(&log);
}

static void
flush__written_after_it_was_sent__stays(void **state)
{
    struct log log;
    ULONG sealed;

    (void) state;
    assert_int_equal(log_init(&log, 1 << 20), STATUS_SUCCESS);
    put(&log, 0, 'a', 4096);
    put(&log, 65536, 'b', 4096);
    sealed = log_seal(&log);
    put(&log, 65536, 'c', 512);
    put(&log, 131072, 'd', 512);
    log_flushed(&log, sealed);
    assert_false(log_covers(&log, 0, 4096));
    assert_true(log_covers(&log, 65536, 512));
    assert_true(log_covers(&log, 131072, 512));
    log_flushed(&log, log_seal(&log));
    assert_true(log_empty(&log));
    log_free(&log);
}

static void
full__nothing_is_kept_beyond_the_limit(void **state)
{
    struct log log;

    (void) state;
    assert_int_equal(log_init(&log, 4 * LOG_PAGE), STATUS_SUCCESS);
    put(&log, 0, 'a', 3 * LOG_PAGE);
    memset(data, 'b', 2 * LOG_PAGE);
    assert_false(log_put(&log, 1 << 19, data, 2 * LOG_PAGE));
    assert_false(log_covers(&log, 1 << 19, 2 * LOG_PAGE));
    /* What it has already may be written again. */
    put(&log, 0, 'c', 3 * LOG_PAGE);
    put(&log, 3 * LOG_PAGE, 'd', LOG_PAGE);
    assert_false(log_put(&log, 4 * LOG_PAGE, data, 512));
    log_free(&log);
}

static void
drop__range__is_not_replayed(void **state)
{
    struct log log;
    struct replayed r;

    (void) state;
    assert_int_equal(log_init(&log, 1 << 20), STATUS_SUCCESS);
    put(&log, 0, 'a', 3 * LOG_PAGE);
    log_drop(&log, LOG_PAGE - 512, LOG_PAGE + 1024);
    memset(medium, 0, sizeof medium);
    r = replay_all(&log);
    assert_int_equal(r.runs, 2);
    assert_int_equal(r.bytes, 3 * LOG_PAGE - LOG_PAGE - 1024);
    assert_int_equal(medium[LOG_PAGE - 513], 'a');
    assert_int_equal(medium[LOG_PAGE - 512], 0);
    assert_int_equal(medium[2 * LOG_PAGE + 511], 0);
    assert_int_equal(medium[2 * LOG_PAGE + 512], 'a');
    /* A range much larger than what is there. */
    log_drop(&log, 512, 1ull << 50);
    assert_true(log_covers(&log, 0, 512));
    assert_false(log_covers(&log, 512, MEDIUM - 512));
    log_free(&log);
}

static void
zeroes__are_data(void **state)
{
    struct log log;

    (void) state;
    assert_int_equal(log_init(&log, 1 << 20), STATUS_SUCCESS);
    put(&log, 0, 'a', LOG_PAGE);
    assert_true(log_put(&log, 512, NULL, 1024));
    memset(medium, 0xEE, sizeof medium);
    replay_all(&log);
    assert_int_equal(medium[511], 'a');
    assert_int_equal(medium[512], 0);
    assert_int_equal(medium[1535], 0);
    assert_int_equal(medium[1536], 'a');
    log_free(&log);
}

/* Against an array: random writes, trims and flushes; then the medium lost
 * everything that was not flushed, and the log brings it back. */
static void
random_history__replay__makes_the_medium_what_was_acknowledged(void **state)
{
    static UCHAR said[MEDIUM], kept[MEDIUM];
    struct log log;
    unsigned seed = 4711;

    (void) state;
    assert_int_equal(log_init(&log, MEDIUM), STATUS_SUCCESS);
    memset(said, 0, sizeof said);
    memset(kept, 0, sizeof kept);
    for (int i = 0; i < 20000; i++) {
        ULONG64 offset = (ULONG64) (rand_r(&seed) % 1024) * 512;
        ULONG64 length = (ULONG64) (1 + rand_r(&seed) % 32) * 512;
        int what = rand_r(&seed) % 100;

        if (what < 80) {
            for (ULONG64 j = 0; j < length; j++)
                data[j] = (UCHAR) rand_r(&seed);
            assert_true(log_put(&log, offset, data, length));
            memcpy(said + offset, data, length);
        } else if (what < 95) { /* written through */
            memset(said + offset, i & 0xFF, length);
            memset(kept + offset, i & 0xFF, length);
            log_drop(&log, offset, length);
        } else {
            ULONG sealed = log_seal(&log);

            memcpy(kept, said, sizeof kept);
            log_flushed(&log, sealed);
            assert_true(log_empty(&log));
        }
        if (i % 500 == 0) {
            memcpy(medium, kept, sizeof medium);
            replay_all(&log);
            assert_memory_equal(medium, said, sizeof medium);
        }
    }
    log_free(&log);
    assert_int_equal(ke_pool_report(stderr), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log__same_block_twice__newest_data_once),
        cmocka_unit_test(flush__written_after_it_was_sent__stays),
        cmocka_unit_test(full__nothing_is_kept_beyond_the_limit),
        cmocka_unit_test(drop__range__is_not_replayed),
        cmocka_unit_test(zeroes__are_data),
        cmocka_unit_test(
            random_history__replay__makes_the_medium_what_was_acknowledged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
