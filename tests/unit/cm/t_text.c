/*
 * Tests for src/cm/text.c: what a line of the configuration becomes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

static void
text__becomes_the_type_that_it_looks_like(void **state)
{
    static const struct {
        const char *text;
        ULONG type, length;
        const void *data;
    } cases[] = {
        { "60", REG_DWORD, 4, "\x3c\0\0\0" },
        { "0x1F", REG_DWORD, 4, "\x1f\0\0\0" },
        { "4294967295", REG_DWORD, 4, "\xff\xff\xff\xff" },
        { "010", REG_DWORD, 4, "\x0a\0\0\0" },
        { "4294967296", REG_SZ, 22, L"4294967296" },
        { "1 GB", REG_SZ, 10, L"1 GB" },
        { "-1", REG_SZ, 6, L"-1" },
        { "", REG_SZ, 2, L"" },
        { "a\xc3\xa4\xf0\x9f\x92\xbf\xff", REG_SZ, 12,
          L"a\x00E4\xD83D\xDCBF\xFFFD" },
        /* Longer than need be, half a pair, a byte that is missing. */
        { "\xe0\x80\x80", REG_SZ, 8, L"\xFFFD\xFFFD\xFFFD" },
        { "\xed\xa0\x80", REG_SZ, 8, L"\xFFFD\xFFFD\xFFFD" },
        { "\xe2\x82", REG_SZ, 6, L"\xFFFD\xFFFD" },
        { "multi:a;bc", REG_MULTI_SZ, 12, L"a\0bc\0" },
        { "multi:", REG_MULTI_SZ, 2, L"" },
    };
    HANDLE key;

    assert_int_equal(cm_open_key(TEST_KEY "\\a\\b", KEY_ALL_ACCESS, &key),
                     STATUS_SUCCESS);
    for (size_t i = 0; i < ARRAYSIZE(cases); i++) {
        union {
            KEY_VALUE_PARTIAL_INFORMATION value;
            char space[64];
        } out;
        UNICODE_STRING name = wide(L"v");
        ULONG length;

        assert_int_equal(cm_set_text(key, "v", cases[i].text), STATUS_SUCCESS);
        assert_int_equal(ZwQueryValueKey(key, &name, KeyValuePartialInformation,
                                         &out, sizeof out, &length),
                         STATUS_SUCCESS);
        assert_int_equal(out.value.Type, cases[i].type);
        assert_int_equal(out.value.DataLength, cases[i].length);
        assert_memory_equal(out.value.Data, cases[i].data, cases[i].length);
    }
    ZwClose(key);
}

static void
tree__deleted__goes_with_all_below(void **state)
{
    HANDLE key;

    assert_int_equal(cm_make_key(TEST_KEY "\\x\\y\\z"), STATUS_SUCCESS);
    assert_int_equal(cm_delete_tree(TEST_KEY), STATUS_SUCCESS);
    assert_int_equal(open_key(NULL,
                              L"\\Registry\\Machine\\System\\"
                              L"CurrentControlSet\\Services\\test",
                              &key),
                     STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(cm_delete_tree(TEST_KEY), STATUS_OBJECT_NAME_NOT_FOUND);
}

static void
path__wrong__is_refused(void **state)
{
    HANDLE key;

    assert_int_equal(cm_open_key("\\Registry", KEY_READ, &key),
                     STATUS_OBJECT_NAME_INVALID);
    assert_int_equal(cm_open_key("\\Device\\x", KEY_READ, &key),
                     STATUS_OBJECT_NAME_INVALID);
}

/* Each allocation fails once: the start leaves nothing behind, or works. */
static void
start__without_memory__leaves_nothing(void **state)
{
    NTSTATUS status = STATUS_UNSUCCESSFUL;

    cm_shutdown();
    for (uint64_t n = 1; !NT_SUCCESS(status); n++) {
        fault_set("pool", n, false);
        status = cm_init();
        fault_clear();
        assert_true(NT_SUCCESS(status) ||
                    status == STATUS_INSUFFICIENT_RESOURCES);
        assert_true(n < 1000);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text__becomes_the_type_that_it_looks_like),
        cmocka_unit_test(tree__deleted__goes_with_all_below),
        cmocka_unit_test(path__wrong__is_refused),
        cmocka_unit_test(start__without_memory__leaves_nothing),
    };

    return cmocka_run_group_tests(tests, cm_setup, cm_teardown);
}
