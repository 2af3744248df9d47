/*
 * Tests for src/cm/query.c and relative.c; expectations from the pages of
 * RtlQueryRegistryValues, RtlWriteRegistryValue, RtlDeleteRegistryValue,
 * RtlCheckRegistryKey and RtlCreateRegistryKey.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

#define DIRECT        RTL_QUERY_REGISTRY_DIRECT
#define CHECKED(type) ((type) << RTL_QUERY_REGISTRY_TYPECHECK_SHIFT)

static NTSTATUS
run(PRTL_QUERY_REGISTRY_TABLE table, PVOID context)
{
    return RtlQueryRegistryValues(RTL_REGISTRY_SERVICES, L"test", table,
                                  context, NULL);
}

/* What the routine was called with, one after the other. */
static struct call {
    WCHAR name[16];
    ULONG type, length;
    char data[32];
    PVOID context, entry_context;
} calls[8];
static unsigned call_count;
static NTSTATUS answer;

static NTSTATUS NTAPI
record(PWSTR ValueName, ULONG ValueType, PVOID ValueData, ULONG ValueLength,
       PVOID Context, PVOID EntryContext)
{
    struct call *call = &calls[call_count++];

    memset(call, 0, sizeof *call);
    for (int i = 0; ValueName != NULL && ValueName[i] != 0; i++)
        call->name[i] = ValueName[i];
    call->type = ValueType;
    call->length = ValueLength;
    if (ValueData != NULL)
        memcpy(call->data, ValueData, ValueLength);
    call->context = Context;
    call->entry_context = EntryContext;
    return answer;
}

static int
fill(void **state)
{
    const ULONG number = 42;
    HANDLE key;

    (void) state;
    call_count = 0;
    answer = STATUS_SUCCESS;
    if (!NT_SUCCESS(cm_open_key(TEST_KEY, KEY_ALL_ACCESS, &key)))
        return -1;
    set_value(key, L"number", REG_DWORD, &number, 4);
    set_value(key, L"text", REG_SZ, L"word", 10);
    set_value(key, L"list", REG_MULTI_SZ, L"a\0bc\0", 12);
    set_value(key, L"expand", REG_EXPAND_SZ, L"%X%", 8);
    set_value(key, L"bytes", REG_BINARY, "123456789", 9);
    ZwClose(key);
    if (!NT_SUCCESS(cm_open_key(TEST_KEY "\\sub", KEY_ALL_ACCESS, &key)))
        return -1;
    set_value(key, L"inner", REG_DWORD, &number, 4);
    ZwClose(key);
    return 0;
}

static int
clear(void **state)
{
    (void) state;
    return NT_SUCCESS(cm_delete_tree(TEST_KEY)) ? 0 : -1;
}

static void
direct__numbers_and_strings__are_stored(void **state)
{
    WCHAR room[8];
    UNICODE_STRING mine = { 0, sizeof room, room }, made = { 0 };
    ULONG number = 0, fallback = 5, missing = 0;
    RTL_QUERY_REGISTRY_TABLE table[] = {
        { NULL, DIRECT, L"number", &number, 0, NULL, 0 },
        { NULL, DIRECT, L"TEXT", &mine, 0, NULL, 0 },
        { NULL, DIRECT, L"text", &made, 0, NULL, 0 },
        { NULL, DIRECT, L"none", &missing, REG_DWORD, &fallback, 4 },
        { 0 },
    };

    assert_int_equal(run(table, NULL), STATUS_SUCCESS);
    assert_int_equal(number, 42);
    assert_int_equal(missing, 5);
    assert_int_equal(mine.Length, 8);
    assert_memory_equal(room, L"word", 10);
    assert_int_equal(made.Length, 8);
    assert_true(made.MaximumLength >= 10);
    assert_memory_equal(made.Buffer, L"word", 10);
    RtlFreeUnicodeString(&made);
    mine.MaximumLength = 8; /* no room for the NUL */
    table[0] = table[1];
    memset(&table[1], 0, sizeof table[1]);
    assert_int_equal(run(table, NULL), STATUS_BUFFER_TOO_SMALL);
}

static void
direct__more_than_a_ulong__goes_by_the_sign_of_the_buffer(void **state)
{
    union {
        LONG size;
        ULONG words[2];
        char space[32];
    } out = { .size = -9 };
    RTL_QUERY_REGISTRY_TABLE table[] = {
        { NULL, DIRECT, L"bytes", &out, 0, NULL, 0 },
        { 0 },
    };

    assert_int_equal(run(table, NULL), STATUS_SUCCESS);
    assert_memory_equal(out.space, "123456789", 9);
    out.size = -8;
    assert_int_equal(run(table, NULL), STATUS_BUFFER_TOO_SMALL);
    out.size = 17;
    assert_int_equal(run(table, NULL), STATUS_SUCCESS);
    assert_int_equal(out.words[0], 9);
    assert_int_equal(out.words[1], REG_BINARY);
    assert_memory_equal(out.space + 8, "123456789", 9);
    out.size = 16;
    assert_int_equal(run(table, NULL), STATUS_BUFFER_TOO_SMALL);
}

static void
direct__type_is_checked_when_asked(void **state)
{
    ULONG number = 1, fallback = 3;
    RTL_QUERY_REGISTRY_TABLE table[] = {
        { NULL, DIRECT | RTL_QUERY_REGISTRY_TYPECHECK, L"bytes", &number,
          CHECKED(REG_DWORD) | REG_DWORD, &fallback, 4 },
        { 0 },
    };

    assert_int_equal(run(table, NULL), STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(number, 1);
    table[0].Name = L"number";
    assert_int_equal(run(table, NULL), STATUS_SUCCESS);
    assert_int_equal(number, 42);
    table[0].Name = L"none";
    assert_int_equal(run(table, NULL), STATUS_SUCCESS);
    assert_int_equal(number, 3);
}

static void
direct__without_name_or_place__is_invalid(void **state)
{
    ULONG number;
    RTL_QUERY_REGISTRY_TABLE table[] = {
        { NULL, DIRECT, NULL, &number, 0, NULL, 0 },
        { 0 },
    };

    assert_int_equal(run(table, NULL), STATUS_INVALID_PARAMETER);
    table[0] = (RTL_QUERY_REGISTRY_TABLE){ NULL, DIRECT, L"number" };
    assert_int_equal(run(table, NULL), STATUS_INVALID_PARAMETER);
    table[0] =
        (RTL_QUERY_REGISTRY_TABLE){ NULL, DIRECT | RTL_QUERY_REGISTRY_NOVALUE,
                                    L"number", &number };
    assert_int_equal(run(table, NULL), STATUS_INVALID_PARAMETER);
    table[0] =
        (RTL_QUERY_REGISTRY_TABLE){ NULL, DIRECT | RTL_QUERY_REGISTRY_SUBKEY,
                                    L"sub", &number };
    assert_int_equal(run(table, NULL), STATUS_INVALID_PARAMETER);
}

static void
required__not_there__is_not_found(void **state)
{
    ULONG number = 1, fallback = 3;
    RTL_QUERY_REGISTRY_TABLE table[] = {
        { NULL, DIRECT | RTL_QUERY_REGISTRY_REQUIRED, L"none", &number,
          REG_DWORD, &fallback, 4 },
        { 0 },
    };

    assert_int_equal(run(table, NULL), STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(number, 1);
    table[0].Flags = DIRECT;
    table[0].DefaultType = REG_NONE;
    assert_int_equal(run(table, NULL), STATUS_SUCCESS);
    assert_int_equal(number, 1);
}

static void
routine__gets_name_type_data_and_contexts(void **state)
{
    int context, entry_context;
    RTL_QUERY_REGISTRY_TABLE table[] = {
        { record, 0, L"number", &entry_context, 0, NULL, 0 },
        { record, 0, L"none", NULL, 0, NULL, 0 },
        { record, 0, L"none", NULL, REG_SZ, (PVOID) L"dflt", 0 },
        { record, RTL_QUERY_REGISTRY_NOVALUE, L"text", NULL, 0, NULL, 0 },
        { 0 },
    };

    assert_int_equal(run(table, &context), STATUS_SUCCESS);
    assert_int_equal(call_count, 3);
    assert_memory_equal(calls[0].name, L"number", 14);
    assert_int_equal(calls[0].type, REG_DWORD);
    assert_int_equal(calls[0].length, 4);
    assert_ptr_equal(calls[0].context, &context);
    assert_ptr_equal(calls[0].entry_context, &entry_context);
    assert_int_equal(calls[1].type, REG_SZ);
    assert_int_equal(calls[1].length, 10);
    assert_memory_equal(calls[1].data, L"dflt", 10);
    assert_int_equal(calls[2].type, REG_NONE);
    assert_int_equal(calls[2].length, 0);
    /* Its failure ends the query. */
    call_count = 0;
    answer = STATUS_UNSUCCESSFUL;
    assert_int_equal(run(table, NULL), STATUS_UNSUCCESSFUL);
    assert_int_equal(call_count, 1);
}

static void
routine__lists_and_expandable_strings__unless_noexpand(void **state)
{
    RTL_QUERY_REGISTRY_TABLE table[] = {
        { record, 0, L"list", NULL, 0, NULL, 0 },
        { record, 0, L"expand", NULL, 0, NULL, 0 },
        { record, RTL_QUERY_REGISTRY_NOEXPAND, L"list", NULL, 0, NULL, 0 },
        { record, RTL_QUERY_REGISTRY_NOEXPAND, L"expand", NULL, 0, NULL, 0 },
        { 0 },
    };

    assert_int_equal(run(table, NULL), STATUS_SUCCESS);
    assert_int_equal(call_count, 5);
    assert_int_equal(calls[0].type, REG_SZ);
    assert_memory_equal(calls[0].data, L"a", 4);
    assert_int_equal(calls[0].length, 4);
    assert_memory_equal(calls[1].data, L"bc", 6);
    assert_int_equal(calls[2].type, REG_SZ);
    assert_int_equal(calls[3].type, REG_MULTI_SZ);
    assert_int_equal(calls[3].length, 12);
    assert_int_equal(calls[4].type, REG_EXPAND_SZ);
}

static void
subkey__moves_there_and_topkey_back(void **state)
{
    ULONG inner = 0, number = 0, lost = 1;
    RTL_QUERY_REGISTRY_TABLE table[] = {
        { NULL, RTL_QUERY_REGISTRY_SUBKEY, L"sub", NULL, 0, NULL, 0 },
        { NULL, DIRECT, L"inner", &inner, 0, NULL, 0 },
        { NULL, DIRECT, L"number", &lost, 0, NULL, 0 },
        { NULL, DIRECT | RTL_QUERY_REGISTRY_TOPKEY, L"number", &number, 0, NULL,
          0 },
        { record, RTL_QUERY_REGISTRY_SUBKEY, L"sub", NULL, 0, NULL, 0 },
        { 0 },
    };

    assert_int_equal(run(table, NULL), STATUS_SUCCESS);
    assert_int_equal(inner, 42);
    assert_int_equal(lost, 1);
    assert_int_equal(number, 42);
    assert_int_equal(call_count, 1);
    assert_memory_equal(calls[0].name, L"inner", 12);
    table[0].Name = L"nosub";
    assert_int_equal(run(table, NULL), STATUS_OBJECT_NAME_NOT_FOUND);
}

static void
every_value__and_delete(void **state)
{
    RTL_QUERY_REGISTRY_TABLE table[] = {
        { record, RTL_QUERY_REGISTRY_NOEXPAND | RTL_QUERY_REGISTRY_DELETE, NULL,
          NULL, 0, NULL, 0 },
        { 0 },
    };

    assert_int_equal(run(table, NULL), STATUS_SUCCESS);
    assert_int_equal(call_count, 5);
    call_count = 0;
    assert_int_equal(run(table, NULL), STATUS_SUCCESS);
    assert_int_equal(call_count, 0);
    table[0].Flags = RTL_QUERY_REGISTRY_REQUIRED;
    assert_int_equal(run(table, NULL), STATUS_OBJECT_NAME_NOT_FOUND);
}

static void
every_value__required_and_delete__found_before_they_went(void **state)
{
    RTL_QUERY_REGISTRY_TABLE table[] = {
        { record,
          RTL_QUERY_REGISTRY_NOEXPAND | RTL_QUERY_REGISTRY_DELETE |
              RTL_QUERY_REGISTRY_REQUIRED,
          NULL, NULL, 0, NULL, 0 },
        { 0 },
    };

    assert_int_equal(run(table, NULL), STATUS_SUCCESS);
    assert_int_equal(call_count, 5);
    assert_int_equal(run(table, NULL), STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(call_count, 5);
}

/* DefaultLength 0: of a REG_MULTI_SZ, up to the empty string at its end. */
static void
default__lists__are_measured(void **state)
{
    WCHAR none[] = { 0, 'x', 0, 0 };
    RTL_QUERY_REGISTRY_TABLE table[] = {
        { record, RTL_QUERY_REGISTRY_NOEXPAND, L"none", NULL, REG_MULTI_SZ,
          none, 0 },
        { record, RTL_QUERY_REGISTRY_NOEXPAND, L"none", NULL, REG_MULTI_SZ,
          (PVOID) L"a\0bc\0", 0 },
        { 0 },
    };

    assert_int_equal(run(table, NULL), STATUS_SUCCESS);
    assert_int_equal(call_count, 2);
    assert_int_equal(calls[0].length, 2);
    assert_int_equal(calls[1].length, 12);
    assert_memory_equal(calls[1].data, L"a\0bc\0", 12);
}

static void
path__absolute_handle_optional(void **state)
{
    ULONG number = 0;
    RTL_QUERY_REGISTRY_TABLE table[] = {
        { NULL, DIRECT, L"number", &number, 0, NULL, 0 },
        { 0 },
    };
    HANDLE key;

    assert_int_equal(RtlQueryRegistryValues(
                         RTL_REGISTRY_ABSOLUTE,
                         L"\\Registry\\Machine\\System\\CurrentControlSet\\"
                         L"Services\\test",
                         table, NULL, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(number, 42);
    number = 0;
    assert_int_equal(cm_open_key(TEST_KEY, KEY_READ, &key), STATUS_SUCCESS);
    assert_int_equal(RtlQueryRegistryValues(RTL_REGISTRY_HANDLE, (PCWSTR) key,
                                            table, NULL, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(number, 42);
    assert_int_equal(ZwClose(key), STATUS_SUCCESS);
    assert_int_equal(RtlQueryRegistryValues(RTL_REGISTRY_SERVICES, L"nobody",
                                            table, NULL, NULL),
                     STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(
        RtlQueryRegistryValues(RTL_REGISTRY_SERVICES | RTL_REGISTRY_OPTIONAL,
                               L"nobody", table, NULL, NULL),
        STATUS_SUCCESS);
    assert_int_equal(
        RtlQueryRegistryValues(RTL_REGISTRY_MAXIMUM, L"", table, NULL, NULL),
        STATUS_INVALID_PARAMETER);
}

static void
write_check_delete__relative_to_the_places(void **state)
{
    static const ULONG places[] = {
        RTL_REGISTRY_SERVICES,  RTL_REGISTRY_CONTROL, RTL_REGISTRY_WINDOWS_NT,
        RTL_REGISTRY_DEVICEMAP, RTL_REGISTRY_USER,
    };

    for (size_t i = 0; i < ARRAYSIZE(places); i++) {
        ULONG number = (ULONG) i + 1, read = 0;
        RTL_QUERY_REGISTRY_TABLE table[] = {
            { NULL, DIRECT, L"n", &read, 0, NULL, 0 },
            { 0 },
        };

        assert_int_equal(RtlCheckRegistryKey(places[i], L"w"),
                         STATUS_OBJECT_NAME_NOT_FOUND);
        assert_int_equal(
            RtlWriteRegistryValue(places[i], L"w", L"n", REG_DWORD, &number, 4),
            STATUS_SUCCESS);
        assert_int_equal(RtlCheckRegistryKey(places[i], L"w"), STATUS_SUCCESS);
        assert_int_equal(
            RtlQueryRegistryValues(places[i], L"w", table, NULL, NULL),
            STATUS_SUCCESS);
        assert_int_equal(read, number);
        assert_int_equal(RtlDeleteRegistryValue(places[i], L"w", L"n"),
                         STATUS_SUCCESS);
        assert_int_equal(RtlDeleteRegistryValue(places[i], L"w", L"n"),
                         STATUS_OBJECT_NAME_NOT_FOUND);
    }
    assert_int_equal(RtlCreateRegistryKey(RTL_REGISTRY_SERVICES, L"c"),
                     STATUS_SUCCESS);
    assert_int_equal(RtlCheckRegistryKey(RTL_REGISTRY_SERVICES, L"c"),
                     STATUS_SUCCESS);
    assert_int_equal(RtlCreateRegistryKey(RTL_REGISTRY_SERVICES, L"n\\c"),
                     STATUS_OBJECT_NAME_NOT_FOUND);
}

#define FILLED(test) cmocka_unit_test_setup_teardown(test, fill, clear)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FILLED(direct__numbers_and_strings__are_stored),
        FILLED(direct__more_than_a_ulong__goes_by_the_sign_of_the_buffer),
        FILLED(direct__type_is_checked_when_asked),
        FILLED(direct__without_name_or_place__is_invalid),
        FILLED(required__not_there__is_not_found),
        FILLED(routine__gets_name_type_data_and_contexts),
        FILLED(routine__lists_and_expandable_strings__unless_noexpand),
        FILLED(subkey__moves_there_and_topkey_back),
        FILLED(every_value__and_delete),
        FILLED(every_value__required_and_delete__found_before_they_went),
        FILLED(default__lists__are_measured),
        FILLED(path__absolute_handle_optional),
        FILLED(write_check_delete__relative_to_the_places),
    };

    return cmocka_run_group_tests(tests, cm_setup, cm_teardown);
}
