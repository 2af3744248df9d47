/*
 * Tests for src/rtl/integer.c and memory.c and ntstrsafe.h; expectations from
 * the routines' pages.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/unit/ke/helper.h"

#include <ntifs.h>
#include <ntstrsafe.h>

static void
text_to_integer__each_base_and_prefix(void **state)
{
    static const struct {
        const char *text;
        PCWSTR wide;
        ULONG base, want;
    } rows[] = {
        { "123", L"123", 0, 123 },
        { "0x1fG", L"0x1fG", 0, 0x1f },
        { "0b101", L"0b101", 0, 5 },
        { "0o17", L"0o17", 0, 15 },
        { " \t-5", L" \t-5", 10, -5u },
        { "+7", L"+7", 8, 7 },
        { "ff", L"ff", 16, 255 },
        { "12", L"12", 2, 1 },
        { "x", L"x", 10, 0 },
        { "", L"", 0, 0 },
        { "-0x10", L"-0x10", 0, -16u },
        /* The first digit is not one more prefix. */
        { "0xbeef", L"0xbeef", 0, 0xBEEF },
        { "0b0x1", L"0b0x1", 0, 0 },
    };

    for (size_t i = 0; i < ARRAYSIZE(rows); i++) {
        UNICODE_STRING wide;
        ULONG value = 77;

        assert_int_equal(RtlCharToInteger(rows[i].text, rows[i].base, &value),
                         STATUS_SUCCESS);
        assert_int_equal(value, rows[i].want);
        RtlInitUnicodeString(&wide, rows[i].wide);
        value = 77;
        assert_int_equal(RtlUnicodeStringToInteger(&wide, rows[i].base, &value),
                         STATUS_SUCCESS);
        assert_int_equal(value, rows[i].want);
    }
    assert_int_equal(RtlCharToInteger("1", 7, &(ULONG){ 0 }),
                     STATUS_INVALID_PARAMETER);
}

static void
integer_to_text__each_base_or_no_room(void **state)
{
    WCHAR buffer[12];
    UNICODE_STRING to = { 0, sizeof buffer, buffer };

    assert_int_equal(RtlIntegerToUnicodeString(0, 0, &to), STATUS_SUCCESS);
    assert_memory_equal(buffer, L"0", 4);
    assert_int_equal(RtlIntegerToUnicodeString(0xCAFE, 16, &to),
                     STATUS_SUCCESS);
    assert_memory_equal(buffer, L"CAFE", 10);
    assert_int_equal(to.Length, 8);
    assert_int_equal(RtlInt64ToUnicodeString(12345678901ull, 10, &to),
                     STATUS_SUCCESS);
    assert_memory_equal(buffer, L"12345678901", 24);
    assert_int_equal(RtlInt64ToUnicodeString(1234567890123ull, 10, &to),
                     STATUS_BUFFER_OVERFLOW);
    assert_int_equal(RtlIntegerToUnicodeString(1, 3, &to),
                     STATUS_INVALID_PARAMETER);
}

static void
hash__case__as_asked(void **state)
{
    UNICODE_STRING lower, upper;
    ULONG a, b;

    RtlInitUnicodeString(&lower, L"ab");
    RtlInitUnicodeString(&upper, L"AB");
    assert_int_equal(
        RtlHashUnicodeString(&lower, FALSE, HASH_STRING_ALGORITHM_X65599, &a),
        STATUS_SUCCESS);
    assert_int_equal(a, 'a' * 65599u + 'b');
    RtlHashUnicodeString(&lower, TRUE, HASH_STRING_ALGORITHM_DEFAULT, &a);
    RtlHashUnicodeString(&upper, TRUE, HASH_STRING_ALGORITHM_DEFAULT, &b);
    assert_int_equal(a, b);
    assert_int_equal(RtlHashUnicodeString(&lower, TRUE, 2, &a),
                     STATUS_INVALID_PARAMETER);
}

static void
guid__to_text_and_back(void **state)
{
    static const GUID guid = { 0x53f56307,
                               0xb6bf,
                               0x11d0,
                               { 0x94, 0xf2, 0, 0xa0, 0xc9, 0x1e, 0xfb,
                                 0x8b } };
    UNICODE_STRING text;
    GUID back;

    assert_int_equal(RtlStringFromGUID(&guid, &text), STATUS_SUCCESS);
    assert_int_equal(text.Length, 76);
    assert_memory_equal(text.Buffer, L"{53F56307-B6BF-11D0-94F2-00A0C91EFB8B}",
                        78);
    assert_int_equal(RtlGUIDFromString(&text, &back), STATUS_SUCCESS);
    assert_true(IsEqualGUID(&guid, &back));
    text.Buffer[9] = '_';
    assert_int_equal(RtlGUIDFromString(&text, &back), STATUS_INVALID_PARAMETER);
    text.Length = 74;
    assert_int_equal(RtlGUIDFromString(&text, &back), STATUS_INVALID_PARAMETER);
    RtlFreeUnicodeString(&text);
}

static void
memory__ulongs_filled__compare_as_long(void **state)
{
    ULONG words[5] = { 0, 0, 0, 0, 9 };

    RtlFillMemoryUlong(words, 16, 0xDEADBEEF);
    assert_int_equal(words[3], 0xDEADBEEF);
    assert_int_equal(words[4], 9);
    assert_int_equal(RtlCompareMemoryUlong(words, 20, 0xDEADBEEF), 16);
    assert_int_equal(RtlCompareMemoryUlong(words, 19, 0xDEADBEEF), 16);
    assert_int_equal(RtlCompareMemoryUlong(words, 20, 1), 0);
    RtlSecureZeroMemory(words, 8);
    assert_int_equal(words[1], 0);
    assert_int_equal(RtlUshortByteSwap(0x1234), 0x3412);
    assert_int_equal(RtlUlongByteSwap(0x12345678), 0x78563412);
    assert_true(RtlUlonglongByteSwap(1) == 0x0100000000000000ull);
}

static void
random__is_in_range_and_goes_on(void **state)
{
    ULONG seed = 0, same = 0, last = 0;

    for (int i = 0; i < 1000; i++) {
        ULONG value = RtlRandomEx(&seed);

        assert_true(value < 0x7FFFFFFF);
        same += value == last;
        last = value;
    }
    assert_int_equal(same, 0);
}

static void
strsafe__too_long__is_cut_and_ends_in_a_nul(void **state)
{
    char text[4];
    WCHAR wide[4];
    size_t n;

    assert_int_equal(RtlStringCchCopyA(text, 4, "abc"), STATUS_SUCCESS);
    assert_int_equal(RtlStringCbCatA(text, 4, "d"), STATUS_BUFFER_OVERFLOW);
    assert_string_equal(text, "abc");
    assert_int_equal(RtlStringCbCopyA(text, 0, "d"), STATUS_INVALID_PARAMETER);
    assert_int_equal(RtlStringCbCopyNA(text, 4, "xyz", 2), STATUS_SUCCESS);
    assert_string_equal(text, "xy");
    assert_int_equal(RtlStringCbPrintfA(text, 4, "%d", 123), STATUS_SUCCESS);
    assert_int_equal(RtlStringCchPrintfA(text, 4, "%d", 4567),
                     STATUS_BUFFER_OVERFLOW);
    assert_string_equal(text, "456");
    assert_int_equal(RtlStringCbCopyW(wide, 8, L"abcd"),
                     STATUS_BUFFER_OVERFLOW);
    assert_memory_equal(wide, L"abc", 8);
    assert_int_equal(RtlStringCbLengthW(wide, 8, &n), STATUS_SUCCESS);
    assert_int_equal(n, 6);
    assert_int_equal(RtlStringCbLengthA("abc", 3, &n),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(RtlStringCchCopyW(wide, 4, L"a"), STATUS_SUCCESS);
    assert_int_equal(RtlStringCbCatW(wide, 8, L"b"), STATUS_SUCCESS);
    assert_memory_equal(wide, L"ab", 6);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_to_integer__each_base_and_prefix),
        cmocka_unit_test(integer_to_text__each_base_or_no_room),
        cmocka_unit_test(hash__case__as_asked),
        cmocka_unit_test(guid__to_text_and_back),
        cmocka_unit_test(memory__ulongs_filled__compare_as_long),
        cmocka_unit_test(random__is_in_range_and_goes_on),
        cmocka_unit_test(strsafe__too_long__is_cut_and_ends_in_a_nul),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
