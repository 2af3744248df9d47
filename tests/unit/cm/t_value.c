/*
 * Tests for src/cm/value.c; expectations from the pages of ZwSetValueKey,
 * ZwQueryValueKey, ZwEnumerateValueKey and ZwDeleteValueKey.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

static HANDLE key;

static NTSTATUS
query(PCWSTR text, KEY_VALUE_INFORMATION_CLASS class, PVOID out, ULONG length,
      PULONG out_length)
{
    UNICODE_STRING name = wide(text);

    return ZwQueryValueKey(key, &name, class, out, length, out_length);
}

/* For each class: too small for the head, short by one, exact. */
static void
query__every_class_and_length__as_documented(void **state)
{
    static const struct {
        KEY_VALUE_INFORMATION_CLASS class;
        ULONG head, all;
    } cases[] = {
        /* name "Size" (8 bytes), data 5 bytes */
        { KeyValueBasicInformation, 12, 12 + 8 },
        { KeyValueFullInformation, 20, 20 + 8 + 5 },
        { KeyValuePartialInformation, 12, 12 + 5 },
    };
    union {
        KEY_VALUE_BASIC_INFORMATION basic;
        KEY_VALUE_FULL_INFORMATION full;
        KEY_VALUE_PARTIAL_INFORMATION partial;
        unsigned char space[64];
    } out;
    ULONG length;

    assert_int_equal(set_value(key, L"Size", REG_BINARY, "abcde", 5),
                     STATUS_SUCCESS);
    for (size_t i = 0; i < ARRAYSIZE(cases); i++) {
        for (ULONG n = 0; n <= cases[i].all + 1; n++) {
            NTSTATUS want = n < cases[i].head  ? STATUS_BUFFER_TOO_SMALL
                            : n < cases[i].all ? STATUS_BUFFER_OVERFLOW
                                               : STATUS_SUCCESS;

            memset(&out, 0xEE, sizeof out);
            length = 0;
            assert_int_equal(query(L"size", cases[i].class, &out, n, &length),
                             want);
            assert_int_equal(length, cases[i].all);
            assert_int_equal(out.space[n], 0xEE);
        }
    }
    query(L"Size", KeyValueFullInformation, &out, sizeof out, &length);
    assert_int_equal(out.full.Type, REG_BINARY);
    assert_int_equal(out.full.NameLength, 8);
    assert_memory_equal(out.full.Name, L"Size", 8);
    assert_int_equal(out.full.DataLength, 5);
    assert_memory_equal(out.space + out.full.DataOffset, "abcde", 5);
    query(L"Size", KeyValuePartialInformation, &out, 12 + 3, &length);
    assert_int_equal(out.partial.DataLength, 5);
    assert_memory_equal(out.partial.Data, "abc", 3);
    assert_int_equal(query(L"Size", (KEY_VALUE_INFORMATION_CLASS) 77, &out,
                           sizeof out, &length),
                     STATUS_INVALID_PARAMETER);
}

static void
value__not_there__is_not_found(void **state)
{
    UNICODE_STRING name = wide(L"nothing");
    ULONG length;

    assert_int_equal(
        query(L"nothing", KeyValueBasicInformation, NULL, 0, &length),
        STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(ZwDeleteValueKey(key, &name),
                     STATUS_OBJECT_NAME_NOT_FOUND);
}

static void
set__again__replaces_type_and_data(void **state)
{
    KEY_VALUE_PARTIAL_INFORMATION out;
    UNICODE_STRING name = wide(L"again");
    ULONG length, number = 7;

    set_value(key, L"again", REG_SZ, L"a longer text", 28);
    assert_int_equal(set_value(key, L"AGAIN", REG_DWORD, &number, 4),
                     STATUS_SUCCESS);
    assert_int_equal(
        query(L"again", KeyValuePartialInformation, &out, sizeof out, &length),
        STATUS_SUCCESS);
    assert_int_equal(out.Type, REG_DWORD);
    assert_int_equal(out.DataLength, 4);
    assert_memory_equal(out.Data, &number, 4);
    assert_int_equal(set_value(key, L"again", REG_NONE, NULL, 0),
                     STATUS_SUCCESS);
    assert_int_equal(
        query(L"again", KeyValuePartialInformation, &out, sizeof out, &length),
        STATUS_SUCCESS);
    assert_int_equal(out.DataLength, 0);
    assert_int_equal(ZwDeleteValueKey(key, &name), STATUS_SUCCESS);
    assert_int_equal(
        query(L"again", KeyValuePartialInformation, &out, sizeof out, &length),
        STATUS_OBJECT_NAME_NOT_FOUND);
}

static void
enumerate__each_once(void **state)
{
    KEY_VALUE_FULL_INFORMATION out[4];
    ULONG length, count = 0;

    set_value(key, L"e1", REG_SZ, L"", 2);
    set_value(key, L"e2", REG_SZ, L"", 2);
    while (ZwEnumerateValueKey(key, count, KeyValueFullInformation, out,
                               sizeof out, &length) == STATUS_SUCCESS)
        count++;
    assert_int_equal(count, 3); /* and "Size" */
    assert_int_equal(ZwEnumerateValueKey(key, count, KeyValueFullInformation,
                                         out, sizeof out, &length),
                     STATUS_NO_MORE_ENTRIES);
}

static void
set__without_memory__leaves_the_old_value(void **state)
{
    KEY_VALUE_PARTIAL_INFORMATION out;
    ULONG length, old = 1, new = 2;

    set_value(key, L"poor", REG_DWORD, &old, 4);
    fault_set("pool", 1, false);
    assert_int_equal(set_value(key, L"poor", REG_DWORD, &new, 4),
                     STATUS_INSUFFICIENT_RESOURCES);
    fault_set("pool", 2, false);
    assert_int_equal(set_value(key, L"poor2", REG_DWORD, &new, 4),
                     STATUS_INSUFFICIENT_RESOURCES);
    fault_clear();
    query(L"poor", KeyValuePartialInformation, &out, sizeof out, &length);
    assert_memory_equal(out.Data, &old, 4);
    assert_int_equal(
        query(L"poor2", KeyValuePartialInformation, &out, sizeof out, &length),
        STATUS_OBJECT_NAME_NOT_FOUND);
}

static int
make_key(void **state)
{
    return cm_setup(state) == 0 &&
                   NT_SUCCESS(cm_open_key(TEST_KEY, KEY_ALL_ACCESS, &key))
               ? 0
               : -1;
}

static int
close_key(void **state)
{
    ZwClose(key);
    return cm_teardown(state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(query__every_class_and_length__as_documented),
        cmocka_unit_test(value__not_there__is_not_found),
        cmocka_unit_test(set__again__replaces_type_and_data),
        cmocka_unit_test(enumerate__each_once),
        cmocka_unit_test(set__without_memory__leaves_the_old_value),
    };

    return cmocka_run_group_tests(tests, make_key, close_key);
}
