/*
 * Tests for src/exports/exports.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ntifs.h>

#include "exports/exports.h"

static PVOID
find(const char *name)
{
    static WCHAR buffer[200];
    UNICODE_STRING wide = { .Buffer = buffer };

    for (size_t i = 0; name[i] != '\0'; i++)
        buffer[i] = (WCHAR) (unsigned char) name[i];
    wide.Length = wide.MaximumLength = (USHORT) (strlen(name) * 2);
    return MmGetSystemRoutineAddress(&wide);
}

static void
routine__that_the_kernel_has__is_found(void **state)
{
    assert_ptr_equal(find("IoCallDriver"), (PVOID) IofCallDriver);
    assert_ptr_equal(find("KeSetEvent"), (PVOID) KeSetEvent);
    assert_ptr_equal(find("ZwClose"), (PVOID) ZwClose);
    assert_ptr_equal(find("MmGetSystemRoutineAddress"),
                     (PVOID) MmGetSystemRoutineAddress);
}

static void
routine__that_the_kernel_has_not__is_null(void **state)
{
    assert_null(find(""));
    assert_null(find("IoCallDrive"));
    assert_null(find("IoCallDriverr"));
    assert_null(find("iocalldriver"));
    assert_null(find("ClassInitialize"));
    assert_null(find("io_init"));
    assert_null(find("IoCallDriver\xE9"));
}

static void
data__are_found_at_their_own_address(void **state)
{
    ULONG build = 0;
    USHORT *number = find("NtBuildNumber");

    assert_ptr_equal(find("IoFileObjectType"), IoFileObjectType);
    assert_ptr_equal(find("ExEventObjectType"), ExEventObjectType);
    assert_false(PsGetVersion(NULL, NULL, &build, NULL));
    assert_non_null(number);
    assert_int_equal(*number, build);
}

static void
version__each_part__only_if_asked_for(void **state)
{
    UNICODE_STRING pack = { 2, 2, NULL };
    ULONG major = 0, minor = 99;

    assert_false(PsGetVersion(NULL, NULL, NULL, NULL));
    assert_false(PsGetVersion(&major, &minor, NULL, &pack));
    assert_int_equal(major, 10);
    assert_int_equal(minor, 0);
    assert_int_equal(pack.Length, 0);
}

static void
table__is_sorted(void **state)
{
    assert_true(exports_count > 300);
    for (size_t i = 1; i < exports_count; i++)
        assert_true(strcmp(exports_table[i - 1].name, exports_table[i].name) <
                    0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routine__that_the_kernel_has__is_found),
        cmocka_unit_test(routine__that_the_kernel_has_not__is_null),
        cmocka_unit_test(data__are_found_at_their_own_address),
        cmocka_unit_test(version__each_part__only_if_asked_for),
        cmocka_unit_test(table__is_sorted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
