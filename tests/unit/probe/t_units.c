/*
 * Tests for src/probe/units.c; what targets answer is written from SAM-5, 4.7
 * (logical unit numbers), and SPC-4 (REPORT LUNS, Standard INQUIRY data).
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "probe/units.h"

struct target {
    const uint8_t *data;
    uint32_t len;
    int attentions; /* to be told before anything else */
    uint8_t status, sense[18];
    int asked;
};

static void
answer(void *self, struct cdb *cdb, size_t count)
{
    struct target *target = self;

    assert_int_equal(count, 1);
    target->asked++;
    cdb->answered = true;
    if (target->attentions > 0) {
        static const uint8_t power_on[18] = { 0x70, 0,
                                              6, [7] = 10, [12] = 0x29 };

        target->attentions--;
        cdb->status = 2;
        cdb->sense_len = sizeof power_on;
        memcpy(cdb->sense, power_on, sizeof power_on);
        return;
    }
    cdb->status = target->status;
    if (target->status != 0) {
        cdb->sense_len = sizeof target->sense;
        memcpy(cdb->sense, target->sense, sizeof target->sense);
        return;
    }
    cdb->transferred =
        target->len < cdb->data_len ? target->len : cdb->data_len;
    memcpy(cdb->data, target->data, cdb->transferred);
}

static const struct link_ops ops = { answer, NULL };

static int
ask(struct target *target, struct unit_found *out, bool *out_more)
{
    struct link link = { &ops, target, "test" };

    return units_reported(&link, out, out_more);
}

static void
units__peripheral_and_flat__as_written_and_what_it_means(void **state)
{
    static const uint8_t list[] = {
        0,    0,    0,    56,   0, 0, 0, 0,
        0x00, 0x00, 0,    0,    0, 0, 0, 0, /* peripheral, bus 0: 0 */
        0x00, 0x03, 0,    0,    0, 0, 0, 0, /* ... 3 */
        0x40, 0x05, 0,    0,    0, 0, 0, 0, /* flat: 5 */
        0x41, 0x2C, 0,    0,    0, 0, 0, 0, /* ... 300 */
        0xC1, 0x01, 0,    0,    0, 0, 0, 0, /* well known: REPORT LUNS */
        0x80, 0x21, 0,    0,    0, 0, 0, 0, /* logical unit addressing */
        0x01, 0x00, 0x00, 0x07, 0, 0, 0, 0, /* a second level */
    };
    struct target target = { .data = list, .len = sizeof list };
    struct unit_found units[UNITS_MAX];
    bool more = true;

    assert_int_equal(ask(&target, units, &more), 4);
    assert_false(more);
    assert_int_equal(units[0].address, 0);
    assert_int_equal(units[1].address, 3);
    assert_int_equal(units[2].address, 0x4005);
    assert_int_equal(units[2].number, 5);
    assert_int_equal(units[3].address, 0x412C);
    assert_int_equal(units[3].number, 300);
}

static void
units__attention_first__asked_again(void **state)
{
    static const uint8_t list[16] = { 0, 0, 0, 8, [9] = 1 };
    struct target target = { .data = list, .len = 16, .attentions = 3 };
    struct unit_found units[UNITS_MAX];
    bool more;

    assert_int_equal(ask(&target, units, &more), 1);
    assert_int_equal(units[0].number, 1);
    assert_int_equal(target.asked, 4);
}

static void
units__more_than_fit__said(void **state)
{
    static uint8_t list[8 + 8 * (UNITS_MAX + 1)];
    struct target target = { .data = list, .len = sizeof list };
    struct unit_found units[UNITS_MAX];
    bool more = false;

    list[2] = (8 * (UNITS_MAX + 1)) >> 8;
    list[3] = (8 * (UNITS_MAX + 1)) & 0xFF;
    assert_int_equal(ask(&target, units, &more), UNITS_MAX);
    assert_true(more);
}

/* A list that is cut, or lies about its length. */
static void
units__short_answer__only_whole_ones(void **state)
{
    static const uint8_t list[] = { 0, 0, 0, 24, 0, 0, 0, 0, 0, 1,
                                    0, 0, 0, 0,  0, 0, 0, 2, 0, 0 };
    static const uint8_t none[4] = { 0, 0, 0, 8 };
    struct target target = { .data = list, .len = sizeof list };
    struct unit_found units[UNITS_MAX];
    bool more;

    assert_int_equal(ask(&target, units, &more), 1);
    assert_int_equal(units[0].number, 1);
    target = (struct target){ .data = none, .len = sizeof none };
    assert_int_equal(ask(&target, units, &more), -EIO);
    target = (struct target){ .status = 2, .sense = { 0x70, 0, 5 } };
    assert_int_equal(ask(&target, units, &more), -EIO);
}

static void
unit_type__qualifier_and_sense__none_or_not_known(void **state)
{
    static const struct {
        uint8_t first;
        int want;
    } cases[] = {
        { 0x00, 0x00 }, { 0x05, 0x05 }, { 0x01, 0x01 },
        { 0x0C, 0x0C }, { 0x1F, 0x1F }, { 0x7F, 0x1F }, /* no such unit */
        { 0x20, 0x1F }, /* a disk could be connected, and is not */
    };
    struct target target = { .len = 36 };
    struct link link = { &ops, &target, "test" };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t data[36] = { cases[i].first };

        target.data = data;
        assert_int_equal(unit_type(&link), cases[i].want);
    }
    target = (struct target){ .status = 2,
                              .sense = { 0x70, 0, 5, [7] = 10, [12] = 0x25 } };
    assert_int_equal(unit_type(&link), 0x1F);
    target = (struct target){ .status = 8 }; /* BUSY */
    assert_int_equal(unit_type(&link), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            units__peripheral_and_flat__as_written_and_what_it_means),
        cmocka_unit_test(units__attention_first__asked_again),
        cmocka_unit_test(units__more_than_fit__said),
        cmocka_unit_test(units__short_answer__only_whole_ones),
        cmocka_unit_test(unit_type__qualifier_and_sense__none_or_not_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
