/*
 * Tests for src/base/status.c and status.def; expectations from [MS-ERREF], the
 * WDK pages and the NBD protocol, not from the table.
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

#include "base/status.h"

static void
lookup__known_value__has_its_name(void **state)
{
    assert_string_equal(status_name((NTSTATUS) 0xC0000013),
                        "STATUS_NO_MEDIA_IN_DEVICE");
    assert_string_equal(status_name((NTSTATUS) 0xC0000178), "STATUS_NO_MEDIA");
    assert_string_equal(status_name(0), "STATUS_SUCCESS");
    assert_string_equal(status_name((NTSTATUS) 0x103), "STATUS_PENDING");
    assert_string_equal(status_name((NTSTATUS) 0xC0000483),
                        "STATUS_DEVICE_HARDWARE_ERROR");
}

static void
name__unknown_values__are_hex_and_several_live_side_by_side(void **state)
{
    const char *a = status_name((NTSTATUS) 0xC0001234);
    const char *b = status_name((NTSTATUS) 0x8000ABCD);

    assert_null(status_lookup((NTSTATUS) 0xC0001234));
    assert_string_equal(a, "0xC0001234");
    assert_string_equal(b, "0x8000ABCD");
}

static void
table__rows__are_in_order_of_value_and_each_is_found(void **state)
{
    size_t count;
    const struct status_info *rows = status_table(&count);

    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(status_lookup(rows[i].value), &rows[i]);
        if (i > 0)
            assert_true((ULONG) rows[i - 1].value < (ULONG) rows[i].value);
    }
}

static void
table__wire_errno__is_one_that_nbd_has(void **state)
{
    static const int wire[] = {
        EPERM, EIO, EINVAL, ENOSPC, ENOTSUP, ESHUTDOWN
    };
    size_t count;
    const struct status_info *rows = status_table(&count);

    for (size_t i = 0; i < count; i++) {
        int known = rows[i].wire_errno == 0 && (ULONG) rows[i].value < 1u << 31;

        for (size_t j = 0; j < ARRAYSIZE(wire); j++)
            known |= rows[i].wire_errno == wire[j];
        if (!known)
            fail_msg("%s has errno %d", rows[i].name, rows[i].wire_errno);
    }
}

static void
user_induced__exactly_the_documented_seven(void **state)
{
    static const NTSTATUS documented[] = {
        STATUS_IO_TIMEOUT,         STATUS_DEVICE_NOT_READY,
        STATUS_UNRECOGNIZED_MEDIA, STATUS_VERIFY_REQUIRED,
        STATUS_WRONG_VOLUME,       STATUS_MEDIA_WRITE_PROTECTED,
        STATUS_NO_MEDIA_IN_DEVICE,
    };
    size_t count, found = 0;
    const struct status_info *rows = status_table(&count);

    for (size_t i = 0; i < count; i++)
        found += (rows[i].flags & STATUS_F_USER) != 0;
    assert_int_equal(found, ARRAYSIZE(documented));
    for (size_t i = 0; i < ARRAYSIZE(documented); i++)
        assert_true(status_lookup(documented[i])->flags & STATUS_F_USER);
}

static const struct {
    NTSTATUS status;
    int wire, code;
} edges[] = {
    { STATUS_SUCCESS, 0, 0 },
    { STATUS_NO_MEDIA_IN_DEVICE, EIO, 2 },
    { STATUS_DEVICE_NOT_READY, EIO, 2 },
    { STATUS_IO_DEVICE_ERROR, EIO, 3 },
    { STATUS_DEVICE_DATA_ERROR, EIO, 3 },
    { STATUS_VERIFY_REQUIRED, EIO, 6 },
    { STATUS_MEDIA_WRITE_PROTECTED, EPERM, 7 },
    { STATUS_IO_TIMEOUT, EIO, 33 },
    { STATUS_INVALID_PARAMETER, EINVAL, 5 },
    { STATUS_INVALID_DEVICE_REQUEST, ENOTSUP, 9 },
    { STATUS_DISK_FULL, ENOSPC, 99 },
    { STATUS_DEVICE_REMOVED, ESHUTDOWN, 15 },
    { (NTSTATUS) 0xC0F00001, EIO, 99 },
    { (NTSTATUS) 0x00F00001, 0, 0 },
};

static void
edges__statuses__become_errno_and_exit_code(void **state)
{
    for (size_t i = 0; i < ARRAYSIZE(edges); i++) {
        assert_int_equal(status_wire_errno(edges[i].status), edges[i].wire);
        assert_int_equal(status_exit_code(edges[i].status), edges[i].code);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lookup__known_value__has_its_name),
        cmocka_unit_test(
            name__unknown_values__are_hex_and_several_live_side_by_side),
        cmocka_unit_test(table__rows__are_in_order_of_value_and_each_is_found),
        cmocka_unit_test(table__wire_errno__is_one_that_nbd_has),
        cmocka_unit_test(user_induced__exactly_the_documented_seven),
        cmocka_unit_test(edges__statuses__become_errno_and_exit_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
