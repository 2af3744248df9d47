/*
 * Tape sessions as a client has them; expectations from tape_link.h, tape.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "house.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "../api/http_client.h"

static void
records__written_and_read_back__are_the_same(void **state)
{
    struct tape_link *link = house_open();
    char out[300], in[1000];
    struct ri_tape_result result;

    (void) state;
    memset(out, 0x5A, sizeof out);
    assert_int_equal(tape_link_write(link, out, sizeof out, &result), 0);
    assert_int_equal(result.bytes, sizeof out);
    assert_int_equal(tape_link_op(link, MTWEOF, 1, &result), 0);
    assert_int_equal(tape_link_op(link, MTREW, 1, NULL), 0);
    assert_int_equal(tape_link_read(link, in, sizeof in, &result), 0);
    assert_int_equal(result.bytes, sizeof out);
    assert_memory_equal(in, out, sizeof out);
    assert_int_equal(tape_link_read(link, in, sizeof in, &result), 0);
    assert_int_equal(result.bytes, 0);
    assert_true(result.filemark);
    assert_int_equal(tape_link_read(link, in, sizeof in, &result), 0);
    assert_true(result.end_of_data);
    assert_int_equal(tape_link_close(link, &result), 0);
    assert_int_equal(fake_tape_count(&fake_tape.closed), 1);
}

static void
record__longer_than_asked__is_cut_and_said(void **state)
{
    struct tape_link *link = house_open();
    char out[100] = "abc", in[3];
    struct ri_tape_result result;

    (void) state;
    assert_int_equal(tape_link_write(link, out, sizeof out, NULL), 0);
    assert_int_equal(tape_link_op(link, MTREW, 1, NULL), 0);
    assert_int_equal(tape_link_read(link, in, sizeof in, &result), -ENOMEM);
    assert_string_equal(result.text, "not read: Cannot allocate memory");
    tape_link_close(link, NULL);
}

static void
fill(struct tape_link *link, unsigned records, size_t size)
{
    size_t room;
    unsigned char *base = tape_link_buffer(link, &room);

    assert_true(records * size <= room);
    for (unsigned i = 0; i < records; i++)
        memset(base + i * size, (int) i + 1, size);
}

static void
stream__as_many_as_may_be__in_order(void **state)
{
    struct tape_link *link = house_open();
    struct tape_link_done done;

    (void) state;
    fill(link, TAPE_LINK_PENDING, 1000);
    for (unsigned i = 0; i < TAPE_LINK_PENDING; i++)
        assert_int_equal(tape_link_submit_write(link, i * 1000, 1000), 0);
    assert_int_equal(tape_link_submit_write(link, 0, 1000), -EAGAIN);
    assert_int_equal(tape_link_pending(link), TAPE_LINK_PENDING);
    assert_int_equal(tape_link_op(link, MTREW, 1, NULL), -EBUSY);
    for (unsigned i = 0; i < TAPE_LINK_PENDING; i++) {
        assert_int_equal(tape_link_reap(link, &done), 0);
        assert_int_equal(done.rc, 0);
        assert_int_equal(done.offset, i * 1000);
        assert_int_equal(done.result.bytes, 1000);
        assert_true(done.write);
    }
    assert_int_equal(tape_link_reap(link, &done), -ENOENT);
    assert_int_equal(fake_tape_records(), TAPE_LINK_PENDING);
    for (unsigned i = 0; i < TAPE_LINK_PENDING; i++) {
        size_t size;
        const unsigned char *at = fake_tape_record(i, &size);

        assert_int_equal(size, 1000);
        assert_int_equal(at[999], i + 1);
    }
    assert_int_equal(tape_link_close(link, NULL), 0);
}

/* Reading ahead must not run into the next file. */
static void
stream__read_meets_a_filemark__what_is_behind_waits_for_go_on(void **state)
{
    struct tape_link *link = house_open();
    struct tape_link_done done;
    char data[10] = "x";

    (void) state;
    assert_int_equal(tape_link_write(link, data, 10, NULL), 0);
    assert_int_equal(tape_link_op(link, MTWEOF, 1, NULL), 0);
    assert_int_equal(tape_link_write(link, data, 7, NULL), 0);
    assert_int_equal(tape_link_op(link, MTREW, 1, NULL), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(tape_link_submit_read(link, i * 100, 100), 0);
    assert_int_equal(tape_link_reap(link, &done), 0);
    assert_int_equal(done.result.bytes, 10);
    assert_int_equal(tape_link_reap(link, &done), 0);
    assert_true(done.result.filemark);
    assert_false(done.skipped);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(tape_link_reap(link, &done), 0);
        assert_int_equal(done.rc, -ECANCELED);
        assert_true(done.skipped);
    }
    assert_int_equal(tape_link_submit_read(link, 0, 100), 0);
    assert_int_equal(tape_link_reap(link, &done), 0);
    assert_true(done.skipped);
    tape_link_go_on(link);
    assert_int_equal(tape_link_submit_read(link, 0, 100), 0);
    assert_int_equal(tape_link_reap(link, &done), 0);
    assert_int_equal(done.rc, 0);
    assert_int_equal(done.result.bytes, 7);
    tape_link_close(link, NULL);
}

/* What the service remembers of records is taken before the client may use
 * their memory again. */
static void
stream__slots_used_again_at_once__records_are_remembered_before(void **state)
{
    struct tape_link *link = house_open();
    size_t room, slots = 40, size = 60000, next = 0;
    unsigned char *base = tape_link_buffer(link, &room);
    struct tape_link_done done;

    (void) state;
    memset(base, 7, size);
    for (unsigned i = 0; i < 130; i++)
        assert_int_equal(tape_link_write(link, base, size, NULL), 0);
    assert_int_equal(tape_link_op(link, MTREW, 1, NULL), 0);
    for (size_t i = 0; i < 130; i++) {
        for (; next < 130 && next < i + slots; next++)
            assert_int_equal(
                tape_link_submit_read(link, next % slots * size, size), 0);
        assert_int_equal(tape_link_reap(link, &done), 0);
        assert_int_equal(done.result.bytes, size);
        assert_int_equal(done.offset, i % slots * size);
        assert_int_equal(base[done.offset + size - 1], 7);
        memset(base + done.offset, 0, size);
    }
    assert_int_equal(fake_tape_count(&fake_tape.given_back), 2 * 130);
    assert_int_equal(fake_tape_count(&fake_tape.spoilt), 0);
    tape_link_close(link, NULL);
}

/* Made by the service when they are asked for, of what came. */
static void
stream__sums_asked_for__those_of_what_was_read(void **state)
{
    struct tape_link *link = house_open();
    size_t room;
    unsigned char *base = tape_link_buffer(link, &room);
    struct tape_link_done done;

    (void) state;
    memcpy(base, "123456789", 9);
    memset(base + 100, 0, 32);
    assert_int_equal(tape_link_write(link, base, 9, NULL), 0);
    assert_int_equal(tape_link_write(link, base + 100, 32, NULL), 0);
    assert_int_equal(tape_link_op(link, MTWEOF, 1, NULL), 0);
    assert_int_equal(tape_link_op(link, MTREW, 1, NULL), 0);
    for (unsigned asked = 0; asked < 2; asked++) {
        tape_link_want_sums(link, asked != 0);
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(tape_link_submit_read(link, i * 100, 100), 0);
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(tape_link_reap(link, &done), 0);
            assert_int_equal(done.summed, asked != 0 && i < 2);
            assert_int_equal(done.result.left, 0);
            if (!done.summed)
                continue;
            assert_int_equal(done.result.bytes, i == 0 ? 9 : 32);
            /* RFC 3720, B.4, and the check value of CRC-32C */
            assert_int_equal(done.sum, i == 0 ? 0xE3069283 : 0x8A9136AA);
        }
        tape_link_go_on(link);
        assert_int_equal(tape_link_op(link, MTREW, 1, NULL), 0);
    }
    tape_link_close(link, NULL);
}

/* Of long ones it is left to the client. */
static void
stream__sums_asked_for__of_a_long_record__none(void **state)
{
    struct tape_link *link = house_open();
    size_t room, size = 300 << 10;
    unsigned char *base = tape_link_buffer(link, &room);
    struct tape_link_done done;

    (void) state;
    memset(base, 1, size);
    assert_int_equal(tape_link_write(link, base, size, NULL), 0);
    assert_int_equal(tape_link_op(link, MTREW, 1, NULL), 0);
    tape_link_want_sums(link, true);
    assert_int_equal(tape_link_submit_read(link, 0, size), 0);
    assert_int_equal(tape_link_reap(link, &done), 0);
    assert_int_equal(done.result.bytes, size);
    assert_false(done.summed);
    tape_link_close(link, NULL);
}

/* What was written is the service's no more when the client is told of it. */
static void
stream__written_from_slots_used_again_at_once__none_is_spoilt(void **state)
{
    struct tape_link *link = house_open();
    size_t room, slots = 40, size = 60000, next = 0;
    unsigned char *base = tape_link_buffer(link, &room);
    struct tape_link_done done;

    (void) state;
    for (size_t i = 0; i < 130; i++) {
        for (; next < 130 && next < i + slots; next++) {
            memset(base + next % slots * size, (int) next, size);
            assert_int_equal(
                tape_link_submit_write(link, next % slots * size, size), 0);
        }
        assert_int_equal(tape_link_reap(link, &done), 0);
        assert_int_equal(done.result.bytes, size);
        memset(base + done.offset, 0xEE, size);
    }
    assert_int_equal(fake_tape_count(&fake_tape.given_back), 130);
    assert_int_equal(fake_tape_count(&fake_tape.spoilt), 0);
    for (unsigned i = 0; i < 130; i++) {
        const unsigned char *record = fake_tape_record(i, &room);

        assert_non_null(record);
        assert_int_equal(room, size);
        assert_int_equal(record[0], i);
        assert_int_equal(record[size - 1], i);
    }
    tape_link_close(link, NULL);
}

/* A few reads are sent together, but none stays behind. */
static void
stream__one_read_submitted__is_ready_in_the_end(void **state)
{
    struct tape_link *link = house_open();
    struct timespec now, until;

    (void) state;
    assert_int_equal(tape_link_write(link, "x", 1, NULL), 0);
    assert_int_equal(tape_link_op(link, MTREW, 1, NULL), 0);
    assert_int_equal(tape_link_submit_read(link, 0, 100), 0);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 60;
    do {
        clock_gettime(CLOCK_MONOTONIC, &now);
        sched_yield();
    } while (!tape_link_ready(link) && now.tv_sec < until.tv_sec);
    assert_true(tape_link_ready(link));
    tape_link_close(link, NULL);
}

/* What is done is told, though one behind it waits for its tape. */
static void
stream__a_record_waits__those_before_it_are_told(void **state)
{
    struct tape_link *link = house_open();
    struct tape_link_done done;

    (void) state;
    fill(link, 3, 1000);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(tape_link_submit_write(link, i * 1000, 1000), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(tape_link_reap(link, &done), 0);
    assert_int_equal(tape_link_op(link, MTREW, 1, NULL), 0);
    fake_tape.away = 3;
    for (unsigned i = 0; i < 3; i++) /* sent together */
        assert_int_equal(tape_link_submit_read(link, i * 1000, 1000), 0);
    (void) tape_link_ready(link);
    assert_true(fake_tape_wait(&fake_tape.waiting, 1));
    for (unsigned i = 0; i < 2; i++) {
        assert_true(tape_link_ready(link));
        assert_int_equal(tape_link_reap(link, &done), 0);
        assert_int_equal(done.rc, 0);
        assert_int_equal(done.result.bytes, 1000);
    }
    assert_false(tape_link_ready(link));
    assert_int_equal(fake_tape_count(&fake_tape.given_back), 3 + 2);
    fake_tape_return();
    assert_int_equal(tape_link_reap(link, &done), 0);
    assert_int_equal(done.result.bytes, 1000);
    tape_link_close(link, NULL);
}

static void
stream__early_warning_and_full__nothing_behind_is_written(void **state)
{
    struct tape_link *link;
    struct tape_link_done done;

    (void) state;
    fake_tape.warning = 2;
    fake_tape.full = 3;
    link = house_open();
    fill(link, 5, 10);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(tape_link_submit_write(link, i * 10, 10), 0);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(tape_link_reap(link, &done), 0);
        assert_int_equal(done.rc, i < 2 ? 0 : -ECANCELED);
        assert_int_equal(done.result.early_warning, i == 1);
    }
    assert_int_equal(fake_tape_records(), 2);
    tape_link_go_on(link);
    assert_int_equal(tape_link_submit_write(link, 0, 10), 0);
    assert_int_equal(tape_link_reap(link, &done), 0);
    assert_int_equal(done.rc, 0);
    tape_link_go_on(link);
    assert_int_equal(tape_link_submit_write(link, 0, 10), 0);
    assert_int_equal(tape_link_reap(link, &done), 0);
    assert_int_equal(done.rc, -ENOSPC);
    assert_true(done.result.end_of_tape);
    assert_int_equal(fake_tape_records(), 3);
    tape_link_close(link, NULL);
}

static void
window__borrowed__data_outside_are_refused(void **state)
{
    struct ri_tape_how how = { .write = true, .tape = "VOL7" };
    struct tape_link_window *window;
    struct tape_link *link;
    char data[10] = "", name[RI_NAME_MAX];
    char *base;

    (void) state;
    assert_int_equal(tape_link_window_new((64u << 20) + 1, &window), -EINVAL);
    assert_int_equal(tape_link_window_new(64u << 20, &window), 0);
    assert_int_equal(
        tape_link_open_in(house.control, "tape0", &how, window, &link, NULL),
        0);
    fake_tape_name(name);
    assert_string_equal(name, "VOL7");
    base = tape_link_window_base(window);
    base[12345] = 'q';
    assert_int_equal(tape_link_write(link, data, 10, NULL), -EFAULT);
    assert_int_equal(tape_link_write(link, base + 12345, 1, NULL), 0);
    assert_int_equal(tape_link_submit_write(link, 64u << 20, 1), -EINVAL);
    tape_link_close(link, NULL);
    tape_link_window_free(window);
}

static void
open__busy_and_unknown__say_so(void **state)
{
    struct ri_tape_how how = { .write = true };
    struct tape_link *link = house_open(), *other;
    struct ri_error error;

    (void) state;
    assert_int_equal(
        tape_link_open(house.control, "tape0", &how, &other, &error), -EBUSY);
    assert_non_null(strstr(error.text, "tape0"));
    assert_int_equal(
        tape_link_open(house.control, "t/%9", &how, &other, &error), -ENODEV);
    assert_non_null(strstr(error.text, "no tape drive \"t/%9\""));
    assert_int_equal(
        tape_link_open("/nowhere/x", "tape0", &how, &other, &error), -ENOENT);
    tape_link_close(link, NULL);
    link = house_open();
    tape_link_close(link, NULL);
}

static void
status_and_next__pass_through(void **state)
{
    struct tape_link *link = house_open();
    struct ri_tape_info info;
    char name[RI_NAME_MAX];
    struct mtget get;
    struct mtpos pos;

    (void) state;
    assert_int_equal(tape_link_write(link, "a", 1, NULL), 0);
    assert_int_equal(tape_link_status(link, &get, &pos, &info), 0);
    assert_int_equal(get.mt_type, MT_ISSCSI2);
    assert_int_equal(pos.mt_blkno, 1);
    assert_string_equal(info.tape, "VOL1");
    assert_true(info.open);
    assert_int_equal(tape_link_next(link, "SET-2", true, NULL), 0);
    fake_tape_name(name);
    assert_string_equal(name, "SET-2 blank");
    assert_int_equal(tape_link_op(link, MTSEEK, -5000000000, NULL), -ENOSYS);
    assert_int_equal(fake_tape_count(&fake_tape.ops), 1);
    assert_int_equal(fake_tape.last_count, -5000000000);
    tape_link_close(link, NULL);
}

static void *
interrupt_soon(void *context)
{
    assert_true(fake_tape_wait(&fake_tape.waiting, 1));
    tape_link_interrupt(context);
    return NULL;
}

static void *
cancel_soon(void *context)
{
    assert_true(fake_tape_wait(&fake_tape.waiting, 1));
    tape_link_cancel(context);
    return NULL;
}

static void
signals__interrupt_ends_a_call__cancel_ends_all(void **state)
{
    struct tape_link *link;
    pthread_t thread;

    (void) state;
    fake_tape.away = 1;
    link = house_open();
    assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, link), 0);
    assert_int_equal(tape_link_write(link, "a", 1, NULL), -EINTR);
    pthread_join(thread, NULL);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, link), 0);
    assert_int_equal(tape_link_write(link, "a", 1, NULL), -ECANCELED);
    pthread_join(thread, NULL);
    assert_int_equal(tape_link_write(link, "a", 1, NULL), -ECANCELED);
    tape_link_close(link, NULL);
}

/* Its two sockets say it in an order that only the client knows. */
static void
signals__cancel_before_close__arrives_before_it(void **state)
{
    (void) state;
    for (unsigned i = 1; i <= 200; i++) {
        struct tape_link *link = house_open();

        tape_link_cancel(link);
        (void) tape_link_close(link, NULL);
        assert_int_equal(fake_tape_count(&fake_tape.cancelled), i);
    }
}

static void
plain_http__lists_tapes_and_asks_for_the_upgrade(void **state)
{
    struct http_reply reply;
    json_t *tape;

    (void) state;
    http_request(house.control, "GET", "/v1/tapes", NULL, &reply);
    assert_int_equal(reply.status, 200);
    tape = json_array_get(json_object_get(reply.json, "tapes"), 0);
    assert_string_equal(json_string_value(json_object_get(tape, "drive")),
                        "tape0");
    assert_true(json_is_false(json_object_get(tape, "open")));
    http_reply_free(&reply);
    http_request(house.control, "POST", "/v1/tapes/tape0/session", "{}",
                 &reply);
    assert_int_equal(reply.status, 426);
    assert_string_equal(http_error_code(&reply), "upgrade-required");
    http_reply_free(&reply);
    http_request(house.control, "POST", "/v1/tapes/tape9/session", "{}",
                 &reply);
    assert_int_equal(reply.status, 404);
    assert_string_equal(http_error_code(&reply), "no-drive");
    http_reply_free(&reply);
}

#define T(name) cmocka_unit_test_setup_teardown(name, house_begin, house_end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(records__written_and_read_back__are_the_same),
        T(record__longer_than_asked__is_cut_and_said),
        T(stream__as_many_as_may_be__in_order),
        T(stream__read_meets_a_filemark__what_is_behind_waits_for_go_on),
        T(stream__slots_used_again_at_once__records_are_remembered_before),
        T(stream__sums_asked_for__those_of_what_was_read),
        T(stream__sums_asked_for__of_a_long_record__none),
        T(stream__written_from_slots_used_again_at_once__none_is_spoilt),
        T(stream__one_read_submitted__is_ready_in_the_end),
        T(stream__a_record_waits__those_before_it_are_told),
        T(stream__early_warning_and_full__nothing_behind_is_written),
        T(window__borrowed__data_outside_are_refused),
        T(open__busy_and_unknown__say_so),
        T(status_and_next__pass_through),
        T(signals__interrupt_ends_a_call__cancel_ends_all),
        T(signals__cancel_before_close__arrives_before_it),
        T(plain_http__lists_tapes_and_asks_for_the_upgrade),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
