/*
 * Tests for src/cm/key.c and zw.c; expectations from the pages of ZwCreateKey,
 * ZwOpenKey, ZwDeleteKey, ZwEnumerateKey and ZwQueryKey.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

#define SERVICES L"\\Registry\\Machine\\System\\CurrentControlSet\\Services"

static void
known_keys__are_there_whatever_the_case(void **state)
{
    static const PCWSTR known[] = {
        L"\\Registry",
        L"\\REGISTRY\\machine\\SYSTEM\\currentcontrolset\\services",
        SERVICES L"\\",
        L"\\Registry\\Machine\\Hardware\\DeviceMap",
        L"\\Registry\\Machine\\System\\CurrentControlSet\\Control\\Class",
        L"\\Registry\\User\\.Default",
    };
    HANDLE key;

    for (size_t i = 0; i < ARRAYSIZE(known); i++) {
        assert_int_equal(open_key(NULL, known[i], &key), STATUS_SUCCESS);
        assert_int_equal(ZwClose(key), STATUS_SUCCESS);
    }
}

static void
create__new_or_there__is_told_by_the_disposition(void **state)
{
    HANDLE key, again, below;
    ULONG disposition = 0;

    assert_int_equal(
        create_key(NULL, SERVICES L"\\made", 0, &key, &disposition),
        STATUS_SUCCESS);
    assert_int_equal(disposition, REG_CREATED_NEW_KEY);
    assert_int_equal(
        create_key(NULL, SERVICES L"\\MADE", 0, &again, &disposition),
        STATUS_SUCCESS);
    assert_int_equal(disposition, REG_OPENED_EXISTING_KEY);
    assert_int_equal(create_key(key, L"a", 0, &below, NULL), STATUS_SUCCESS);
    ZwClose(below);
    assert_int_equal(open_key(again, L"A", &below), STATUS_SUCCESS);
    assert_int_equal(ZwDeleteKey(key), STATUS_CANNOT_DELETE);
    assert_int_equal(ZwDeleteKey(below), STATUS_SUCCESS);
    assert_int_equal(ZwDeleteKey(key), STATUS_SUCCESS);
    ZwClose(below);
    ZwClose(key);
    ZwClose(again);
}

static void
create__wrong__says_how(void **state)
{
    WCHAR longer[300];
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES how;
    HANDLE key, top;

    /* Only the last one of a path is made. */
    assert_int_equal(create_key(NULL, SERVICES L"\\no\\key", 0, &key, NULL),
                     STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(open_key(NULL, SERVICES L"\\no", &key),
                     STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(open_key(NULL, SERVICES L"\\\\no", &key),
                     STATUS_OBJECT_NAME_INVALID);
    assert_int_equal(create_key(NULL, SERVICES L"\\x", 0x100, &key, NULL),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(open_key(NULL, SERVICES, &top), STATUS_SUCCESS);
    for (size_t i = 0; i < ARRAYSIZE(longer); i++)
        longer[i] = 'x';
    name = (UNICODE_STRING){ sizeof longer, sizeof longer, longer };
    InitializeObjectAttributes(&how, &name, 0, top, NULL);
    assert_int_equal(ZwCreateKey(&key, KEY_ALL_ACCESS, &how, 0, NULL, 0, NULL),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(open_key(NULL, L"\\Device", &key),
                     STATUS_OBJECT_TYPE_MISMATCH);
    ZwClose(top);
}

static void
volatile_key__has_volatile_ones_only(void **state)
{
    HANDLE top, below;

    assert_int_equal(
        create_key(NULL, SERVICES L"\\v", REG_OPTION_VOLATILE, &top, NULL),
        STATUS_SUCCESS);
    assert_int_equal(create_key(top, L"b", 0, &below, NULL),
                     STATUS_CHILD_MUST_BE_VOLATILE);
    assert_int_equal(create_key(top, L"b", REG_OPTION_VOLATILE, &below, NULL),
                     STATUS_SUCCESS);
    ZwDeleteKey(below);
    ZwDeleteKey(top);
    ZwClose(below);
    ZwClose(top);
}

/* As documented: a name has at most 255 characters. */
static void
create__name_too_long__is_refused(void **state)
{
    WCHAR path[64 + 256] = SERVICES L"\\";
    ULONG disposition;
    size_t n = 0;
    HANDLE key;

    while (path[n] != 0)
        n++;
    for (int i = 0; i < 256; i++)
        path[n + (size_t) i] = 'n';
    path[n + 256] = 0;
    assert_int_equal(create_key(NULL, path, 0, &key, &disposition),
                     STATUS_INVALID_PARAMETER);
    path[n + 255] = 0;
    assert_int_equal(create_key(NULL, path, 0, &key, &disposition),
                     STATUS_SUCCESS);
    assert_int_equal(disposition, REG_CREATED_NEW_KEY);
    assert_int_equal(ZwDeleteKey(key), STATUS_SUCCESS);
    assert_int_equal(ZwClose(key), STATUS_SUCCESS);
}

static void
deleted_key__its_other_handles__say_so(void **state)
{
    KEY_BASIC_INFORMATION basic;
    ULONG length, number = 1;
    HANDLE key, other, below;

    assert_int_equal(create_key(NULL, SERVICES L"\\gone", 0, &key, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(open_key(NULL, SERVICES L"\\gone", &other),
                     STATUS_SUCCESS);
    assert_int_equal(ZwFlushKey(key), STATUS_SUCCESS);
    assert_int_equal(ZwDeleteKey(key), STATUS_SUCCESS);
    assert_int_equal(open_key(NULL, SERVICES L"\\gone", &below),
                     STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(set_value(other, L"v", REG_DWORD, &number, 4),
                     STATUS_KEY_DELETED);
    assert_int_equal(create_key(other, L"b", 0, &below, NULL),
                     STATUS_KEY_DELETED);
    assert_int_equal(
        ZwQueryKey(other, KeyBasicInformation, &basic, sizeof basic, &length),
        STATUS_KEY_DELETED);
    assert_int_equal(
        ZwQueryKey(other, KeyNameInformation, &basic, sizeof basic, &length),
        STATUS_KEY_DELETED);
    assert_int_equal(ZwFlushKey(other), STATUS_KEY_DELETED);
    assert_int_equal(ZwClose(other), STATUS_SUCCESS);
    assert_int_equal(ZwClose(key), STATUS_SUCCESS);
    assert_int_equal(ZwFlushKey(key), STATUS_INVALID_HANDLE);
}

static void
enumerate__each_once_then_no_more_entries(void **state)
{
    static const PCWSTR names[] = { L"one", L"two", L"three" };
    union {
        KEY_BASIC_INFORMATION basic;
        char space[64];
    } out;
    HANDLE top, below[3];
    ULONG length, seen = 0;
    NTSTATUS status;

    create_key(NULL, SERVICES L"\\enum", 0, &top, NULL);
    for (int i = 0; i < 3; i++)
        create_key(top, names[i], 0, &below[i], NULL);
    for (ULONG i = 0;; i++) {
        status = ZwEnumerateKey(top, i, KeyBasicInformation, &out, sizeof out,
                                &length);
        if (status == STATUS_NO_MORE_ENTRIES)
            break;
        assert_int_equal(status, STATUS_SUCCESS);
        for (int j = 0; j < 3; j++) {
            UNICODE_STRING name = wide(names[j]);

            if (name.Length == out.basic.NameLength &&
                memcmp(name.Buffer, out.basic.Name, name.Length) == 0)
                seen |= 1u << j;
        }
        assert_int_equal(length, offsetof(KEY_BASIC_INFORMATION, Name) +
                                     out.basic.NameLength);
    }
    assert_int_equal(seen, 7);
    assert_int_equal(ZwEnumerateKey(top, 0, KeyBasicInformation, &out,
                                    offsetof(KEY_BASIC_INFORMATION, Name) - 1,
                                    &length),
                     STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(ZwEnumerateKey(top, 0, KeyBasicInformation, &out,
                                    offsetof(KEY_BASIC_INFORMATION, Name) + 5,
                                    &length),
                     STATUS_BUFFER_OVERFLOW);
    assert_int_equal(length, offsetof(KEY_BASIC_INFORMATION, Name) + 6);
    for (int i = 0; i < 3; i++) {
        ZwDeleteKey(below[i]);
        ZwClose(below[i]);
    }
    ZwDeleteKey(top);
    ZwClose(top);
}

static void
query__node_full_name__as_documented(void **state)
{
    static const WCHAR path[] = L"\\REGISTRY\\Machine\\System\\"
                                L"CurrentControlSet\\Services\\query";
    union {
        KEY_NODE_INFORMATION node;
        KEY_FULL_INFORMATION full;
        KEY_NAME_INFORMATION name;
        char space[256];
    } out;
    UNICODE_STRING name = wide(SERVICES L"\\query"), class = wide(L"Cls");
    OBJECT_ATTRIBUTES how;
    HANDLE key, below;
    ULONG length;

    InitializeObjectAttributes(&how, &name, OBJ_CASE_INSENSITIVE, NULL, NULL);
    ZwCreateKey(&key, KEY_ALL_ACCESS, &how, 0, &class, 0, NULL);
    create_key(key, L"below", 0, &below, NULL);
    set_value(key, L"ab", REG_BINARY, "12345", 5);
    assert_int_equal(
        ZwQueryKey(key, KeyNodeInformation, &out, sizeof out, &length),
        STATUS_SUCCESS);
    assert_int_equal(out.node.NameLength, 10);
    assert_memory_equal(out.node.Name, L"query", 10);
    assert_int_equal(out.node.ClassLength, 6);
    assert_memory_equal(out.space + out.node.ClassOffset, L"Cls", 6);
    assert_true(out.node.LastWriteTime.QuadPart != 0);
    assert_int_equal(
        ZwQueryKey(key, KeyFullInformation, &out, sizeof out, &length),
        STATUS_SUCCESS);
    assert_int_equal(out.full.SubKeys, 1);
    assert_int_equal(out.full.MaxNameLen, 10);
    assert_int_equal(out.full.Values, 1);
    assert_int_equal(out.full.MaxValueNameLen, 4);
    assert_int_equal(out.full.MaxValueDataLen, 5);
    assert_int_equal(
        ZwQueryKey(below, KeyNodeInformation, &out, sizeof out, &length),
        STATUS_SUCCESS);
    assert_int_equal(out.node.ClassLength, 0);
    assert_int_equal(
        ZwQueryKey(key, KeyNameInformation, &out, sizeof out, &length),
        STATUS_SUCCESS);
    assert_int_equal(out.name.NameLength, sizeof path - sizeof(WCHAR));
    assert_memory_equal(out.name.Name, path, sizeof path - sizeof(WCHAR));
    assert_int_equal(
        ZwQueryKey(key, (KEY_INFORMATION_CLASS) 99, &out, sizeof out, &length),
        STATUS_INVALID_PARAMETER);
    ZwDeleteKey(below);
    ZwDeleteKey(key);
    ZwClose(below);
    ZwClose(key);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_keys__are_there_whatever_the_case),
        cmocka_unit_test(create__new_or_there__is_told_by_the_disposition),
        cmocka_unit_test(create__wrong__says_how),
        cmocka_unit_test(volatile_key__has_volatile_ones_only),
        cmocka_unit_test(create__name_too_long__is_refused),
        cmocka_unit_test(deleted_key__its_other_handles__say_so),
        cmocka_unit_test(enumerate__each_once_then_no_more_entries),
        cmocka_unit_test(query__node_full_name__as_documented),
    };

    return cmocka_run_group_tests(tests, cm_setup, cm_teardown);
}
