/*
 * Tests for src/rtl/convert.c, and the 8-bit half of string.c; expectations
 * from the routines' pages and from RFC 3629.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/unit/ke/helper.h"

#include <ntifs.h>

#include "base/fault.h"

static UNICODE_STRING
wide(PCWSTR text)
{
    UNICODE_STRING string;

    RtlInitUnicodeString(&string, text);
    return string;
}

static STRING
plain(const char *text)
{
    STRING string;

    RtlInitString(&string, text);
    return string;
}

static void
to_ansi__utf16__becomes_utf8(void **state)
{
    static const struct {
        PCWSTR from;
        const char *want;
    } rows[] = {
        { L"", "" },
        { L"DR0", "DR0" },
        { L"\u00e4\u20ac", "\xc3\xa4\xe2\x82\xac" },
        { L"\xd83d\xdcbe", "\xf0\x9f\x92\xbe" },
        { L"a\xd83d", "a\xef\xbf\xbd" },
        { L"\xdcbe", "\xef\xbf\xbd" },
    };

    for (size_t i = 0; i < ARRAYSIZE(rows); i++) {
        UNICODE_STRING from = wide(rows[i].from);
        ANSI_STRING to;

        assert_int_equal(RtlUnicodeStringToAnsiString(&to, &from, TRUE),
                         STATUS_SUCCESS);
        assert_string_equal(to.Buffer, rows[i].want);
        assert_int_equal(to.Length, strlen(rows[i].want));
        assert_int_equal(RtlxUnicodeStringToOemSize(&from), to.Length + 1);
        RtlFreeAnsiString(&to);
        assert_null(to.Buffer);
        assert_int_equal(RtlUnicodeStringToOemString(&to, &from, TRUE),
                         STATUS_SUCCESS);
        assert_string_equal(to.Buffer, rows[i].want);
        RtlFreeOemString(&to);
    }
    assert_int_equal(ke_pool_report(stderr), 0);
}

static void
counted__fits_without_a_nul(void **state)
{
    char buffer[3];
    WCHAR wbuffer[3];
    STRING to = { 0, 3, buffer }, oem = plain("abc");
    UNICODE_STRING wto = { 0, 6, wbuffer }, from = wide(L"aBc");

    assert_int_equal(RtlUnicodeStringToOemString(&to, &from, FALSE),
                     STATUS_BUFFER_OVERFLOW);
    assert_int_equal(RtlUnicodeStringToCountedOemString(&to, &from, FALSE),
                     STATUS_SUCCESS);
    assert_memory_equal(buffer, "aBc", 3);
    assert_int_equal(
        RtlUpcaseUnicodeStringToCountedOemString(&to, &from, FALSE),
        STATUS_SUCCESS);
    assert_memory_equal(buffer, "ABC", 3);
    assert_int_equal(RtlOemStringToUnicodeString(&wto, &oem, FALSE),
                     STATUS_BUFFER_OVERFLOW);
    assert_int_equal(RtlOemStringToCountedUnicodeString(&wto, &oem, FALSE),
                     STATUS_SUCCESS);
    assert_memory_equal(wbuffer, L"abc", 6);
    assert_int_equal(RtlxOemStringToUnicodeSize(&oem), 8);
}

static void
oem_to_unicode_n__no_room__cut_at_a_character(void **state)
{
    WCHAR buffer[4];
    ULONG bytes;

    assert_int_equal(RtlOemToUnicodeN(buffer, 8, &bytes, "ab\xc3\xa4", 4),
                     STATUS_SUCCESS);
    assert_int_equal(bytes, 6);
    assert_memory_equal(buffer, L"ab\u00e4", 6);
    assert_int_equal(
        RtlOemToUnicodeN(buffer, 4, &bytes, "a\xf0\x9f\x92\xbe", 5),
        STATUS_BUFFER_OVERFLOW);
    assert_int_equal(bytes, 2);
}

static void
case__changed__in_place_or_allocated(void **state)
{
    WCHAR buffer[] = L"a\u00e4\u00ffz1";
    UNICODE_STRING in_place = wide(buffer), to, mixed = wide(L"A\u0416x");

    assert_int_equal(RtlUpcaseUnicodeString(&in_place, &in_place, FALSE),
                     STATUS_SUCCESS);
    assert_memory_equal(buffer, L"A\u00c4\u0178Z1", 10);
    assert_int_equal(RtlDowncaseUnicodeString(&to, &mixed, TRUE),
                     STATUS_SUCCESS);
    assert_memory_equal(to.Buffer, L"a\u0436x", 6);
    RtlFreeUnicodeString(&to);
    assert_int_equal(RtlUpcaseUnicodeChar('q'), 'Q');
    assert_int_equal(RtlDowncaseUnicodeChar('Q'), 'q');
    assert_int_equal(RtlDowncaseUnicodeChar('1'), '1');
    fault_set("pool", 1, false);
    assert_int_equal(RtlUpcaseUnicodeString(&to, &mixed, TRUE),
                     STATUS_NO_MEMORY);
    fault_clear();
}

static void
strings__of_8_bits__copied_compared_appended(void **state)
{
    char buffer[6] = "zzzzz";
    STRING to = { 0, 5, buffer }, a = plain("abc"), b = plain("ABC");
    STRING longer = plain("abcdefgh");

    RtlCopyString(&to, &a);
    assert_int_equal(to.Length, 3);
    assert_string_equal(buffer, "abczz");
    assert_int_equal(RtlAppendStringToString(&to, &a), STATUS_BUFFER_TOO_SMALL);
    RtlCopyString(&to, &longer);
    assert_string_equal(buffer, "abcde");
    RtlCopyString(&to, NULL);
    assert_int_equal(RtlAppendStringToString(&to, &a), STATUS_SUCCESS);
    assert_int_equal(to.Length, 3);
    assert_true(RtlEqualString(&a, &b, TRUE));
    assert_false(RtlEqualString(&a, &b, FALSE));
    assert_true(RtlCompareString(&a, &b, FALSE) > 0);
    assert_true(RtlCompareString(&b, &longer, TRUE) < 0);
    RtlUpperString(&to, &longer);
    assert_string_equal(buffer, "ABCDE");
    assert_int_equal(RtlUpperChar('x'), 'X');
}

static void
prefix_and_append__of_16_bits(void **state)
{
    WCHAR buffer[8];
    UNICODE_STRING to, start = wide(L"\\Dev"), all = wide(L"\\device");

    RtlInitEmptyUnicodeString(&to, buffer, sizeof buffer);
    assert_true(RtlPrefixUnicodeString(&start, &all, TRUE));
    assert_false(RtlPrefixUnicodeString(&start, &all, FALSE));
    assert_false(RtlPrefixUnicodeString(&all, &start, TRUE));
    assert_int_equal(RtlAppendUnicodeStringToString(&to, &all), STATUS_SUCCESS);
    assert_int_equal(buffer[7], 0);
    assert_int_equal(RtlAppendUnicodeStringToString(&to, &start),
                     STATUS_BUFFER_TOO_SMALL);
    assert_true(RtlEqualUnicodeString(&to, &all, FALSE));
}

/* Their pages: allocated by a routine that converts, or by the driver itself,
 * which has tags of its own. */
static void
free__buffer_of_the_driver_itself__whatever_its_tag(void **state)
{
    UNICODE_STRING text = { 2, 4, ExAllocatePoolWithTag(PagedPool, 4, 'eviD') };
    ANSI_STRING ansi = { 1, 2, ExAllocatePoolWithTag(PagedPool, 2, 'eviD') };
    OEM_STRING oem = { 1, 2, ExAllocatePoolWithTag(PagedPool, 2, 'eviD') };

    assert_true(ke_pool_report(NULL) >= 3);
    RtlFreeUnicodeString(&text);
    RtlFreeAnsiString(&ansi);
    RtlFreeOemString(&oem);
    assert_null(text.Buffer);
    assert_int_equal(text.Length + text.MaximumLength, 0);
    assert_null(ansi.Buffer);
    assert_null(oem.Buffer);
    assert_int_equal(ke_pool_report(stderr), 0);
    /* Once more does no harm: there is nothing left. */
    RtlFreeUnicodeString(&text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(free__buffer_of_the_driver_itself__whatever_its_tag),
        cmocka_unit_test(to_ansi__utf16__becomes_utf8),
        cmocka_unit_test(counted__fits_without_a_nul),
        cmocka_unit_test(oem_to_unicode_n__no_room__cut_at_a_character),
        cmocka_unit_test(case__changed__in_place_or_allocated),
        cmocka_unit_test(strings__of_8_bits__copied_compared_appended),
        cmocka_unit_test(prefix_and_append__of_16_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
