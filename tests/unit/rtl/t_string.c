/*
 * Tests for src/rtl/string.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/unit/ke/helper.h"

#include "base/fault.h"

#include <stdlib.h>

static void
compare_memory__gives_the_equal_length(void **state)
{
    assert_int_equal(RtlCompareMemory("abcdef", "abcxef", 6), 3);
    assert_int_equal(RtlCompareMemory("abc", "abc", 3), 3);
    assert_int_equal(RtlCompareMemory("x", "y", 1), 0);
    assert_int_equal(RtlCompareMemory("x", "y", 0), 0);
}

static void
init__text_or_null__sets_lengths(void **state)
{
    UNICODE_STRING wide;
    ANSI_STRING narrow;

    RtlInitUnicodeString(&wide, L"DR0");
    assert_int_equal(wide.Length, 6);
    assert_int_equal(wide.MaximumLength, 8);
    RtlInitUnicodeString(&wide, NULL);
    assert_int_equal(wide.Length, 0);
    assert_int_equal(wide.MaximumLength, 0);
    assert_null(wide.Buffer);
    RtlInitAnsiString(&narrow, "DR0");
    assert_int_equal(narrow.Length, 3);
    assert_int_equal(narrow.MaximumLength, 4);
    RtlInitAnsiString(&narrow, NULL);
    assert_int_equal(narrow.MaximumLength, 0);
}

static void
copy__too_long__is_cut(void **state)
{
    WCHAR buffer[4] = { 'q', 'q', 'q', 'q' };
    UNICODE_STRING to = { 0, 6, buffer }, from;

    RtlInitUnicodeString(&from, L"ab");
    RtlCopyUnicodeString(&to, &from);
    assert_int_equal(to.Length, 4);
    assert_int_equal(buffer[2], 0);
    RtlInitUnicodeString(&from, L"wxyz");
    RtlCopyUnicodeString(&to, &from);
    assert_int_equal(to.Length, 6);
    assert_memory_equal(buffer, L"wxyq", 8);
    RtlCopyUnicodeString(&to, NULL);
    assert_int_equal(to.Length, 0);
}

static void
compare__case__as_asked(void **state)
{
    static const struct {
        PCWSTR a, b;
        int fold, want;
    } rows[] = {
        { L"abc", L"abc", 0, 0 },
        { L"abc", L"ABC", 0, 1 },
        { L"abc", L"ABC", 1, 0 },
        { L"ab", L"abc", 1, -1 },
        { L"b", L"abc", 1, 1 },
        { L"", L"", 1, 0 },
        { L"\u00e4\u00f1", L"\u00c4\u00d1", 1, 0 },
        { L"\u00f7", L"\u00d7", 1, 1 },
        { L"\u0436\u0451", L"\u0416\u0401", 1, 0 },
        { L"\u03c9\u03ac", L"\u03a9\u0386", 1, 0 },
        { L"\u0161", L"\u0160", 1, 0 },
        { L"\u0160", L"\u0161", 0, -1 },
    };

    for (size_t i = 0; i < ARRAYSIZE(rows); i++) {
        UNICODE_STRING a, b;
        LONG result;

        RtlInitUnicodeString(&a, rows[i].a);
        RtlInitUnicodeString(&b, rows[i].b);
        result = RtlCompareUnicodeString(&a, &b, (BOOLEAN) rows[i].fold);
        assert_int_equal((result > 0) - (result < 0), rows[i].want);
        assert_int_equal(RtlEqualUnicodeString(&a, &b, (BOOLEAN) rows[i].fold),
                         rows[i].want == 0);
    }
}

static void
append__too_long__changes_nothing(void **state)
{
    WCHAR buffer[6];
    UNICODE_STRING to = { 0, sizeof buffer, buffer };

    assert_int_equal(RtlAppendUnicodeToString(&to, L"abc"), STATUS_SUCCESS);
    assert_int_equal(RtlAppendUnicodeToString(&to, NULL), STATUS_SUCCESS);
    assert_int_equal(RtlAppendUnicodeToString(&to, L"def"), STATUS_SUCCESS);
    assert_int_equal(to.Length, 12);
    assert_memory_equal(buffer, L"abcdef", 12);
    assert_int_equal(RtlAppendUnicodeToString(&to, L"g"),
                     STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(to.Length, 12);
}

static void
from_ansi__utf8__becomes_utf16(void **state)
{
    static const struct {
        const char *from;
        PCWSTR want;
    } rows[] = {
        { "", L"" },
        { "DR0", L"DR0" },
        { "\xc3\xa4\xe2\x82\xac", L"\u00e4\u20ac" },
        { "\xf0\x9f\x92\xbe", L"\xd83d\xdcbe" },
        { "a\xff"
          "b\xc3",
          L"a\xfffd"
          L"b\xfffd" },
        { "\xed\xa0\x80", L"\xfffd\xfffd\xfffd" },
        { "\xc0\x80", L"\xfffd\xfffd" },
        { "\xe0\x80\x80", L"\xfffd\xfffd\xfffd" },
    };

    for (size_t i = 0; i < ARRAYSIZE(rows); i++) {
        ANSI_STRING from;
        UNICODE_STRING to, want;

        RtlInitAnsiString(&from, rows[i].from);
        RtlInitUnicodeString(&want, rows[i].want);
        assert_int_equal(RtlAnsiStringToUnicodeString(&to, &from, TRUE),
                         STATUS_SUCCESS);
        assert_true(RtlEqualUnicodeString(&to, &want, FALSE));
        assert_int_equal(to.Buffer[to.Length / 2], 0);
        RtlFreeUnicodeString(&to);
        assert_null(to.Buffer);
        RtlFreeUnicodeString(&to);
    }
    assert_int_equal(ke_pool_report(NULL), 0);
}

static void
from_ansi__no_room__says_so(void **state)
{
    WCHAR buffer[4];
    UNICODE_STRING to = { 0, sizeof buffer, buffer };
    ANSI_STRING from;

    RtlInitAnsiString(&from, "abc");
    assert_int_equal(RtlAnsiStringToUnicodeString(&to, &from, FALSE),
                     STATUS_SUCCESS);
    assert_memory_equal(buffer, L"abc", 8);
    RtlInitAnsiString(&from, "abcd");
    assert_int_equal(RtlAnsiStringToUnicodeString(&to, &from, FALSE),
                     STATUS_BUFFER_OVERFLOW);
    fault_set("pool", 1, false);
    assert_int_equal(RtlAnsiStringToUnicodeString(&to, &from, TRUE),
                     STATUS_NO_MEMORY);
    fault_clear();
    assert_ptr_equal(to.Buffer, buffer);
}

static void
strings__longer_than_a_length_can_say__are_cut_or_refused(void **state)
{
    size_t n = 70000;
    WCHAR *wide = calloc(n + 1, sizeof *wide);
    char *narrow = calloc(n + 1, 1);
    UNICODE_STRING to;
    ANSI_STRING from;

    for (size_t i = 0; i < n; i++) {
        wide[i] = 'w';
        narrow[i] = 'n';
    }
    RtlInitUnicodeString(&to, wide);
    assert_int_equal(to.Length, 0xFFFC);
    assert_int_equal(to.MaximumLength, 0xFFFE);
    RtlInitAnsiString(&from, narrow);
    assert_int_equal(RtlAnsiStringToUnicodeString(&to, &from, TRUE),
                     STATUS_INVALID_PARAMETER_2);
    free(wide);
    free(narrow);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compare_memory__gives_the_equal_length),
        cmocka_unit_test(init__text_or_null__sets_lengths),
        cmocka_unit_test(copy__too_long__is_cut),
        cmocka_unit_test(compare__case__as_asked),
        cmocka_unit_test(append__too_long__changes_nothing),
        cmocka_unit_test(from_ansi__utf8__becomes_utf16),
        cmocka_unit_test(from_ansi__no_room__says_so),
        cmocka_unit_test(
            strings__longer_than_a_length_can_say__are_cut_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
