/*
 * Tests for src/ob/name.c and directory.c; expectations from the pages of
 * OBJECT_ATTRIBUTES, ZwCreateDirectoryObject, ZwMakeTemporaryObject,
 * ZwOpenSymbolicLinkObject, IoCreateSymbolicLink and ObQueryNameString.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

static NTSTATUS
open_directory(PCWSTR text, HANDLE root, PHANDLE out_handle)
{
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES how = named(&name, text, OBJ_CASE_INSENSITIVE);

    how.RootDirectory = root;
    return ZwOpenDirectoryObject(out_handle, DIRECTORY_QUERY, &how);
}

static NTSTATUS
make_directory(PCWSTR text, ULONG attributes, HANDLE root, PHANDLE out_handle)
{
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES how =
        named(&name, text, attributes | OBJ_CASE_INSENSITIVE);

    how.RootDirectory = root;
    return ZwCreateDirectoryObject(out_handle, DIRECTORY_ALL_ACCESS, &how);
}

static NTSTATUS
make_link(PCWSTR from, PCWSTR to)
{
    UNICODE_STRING name, target;

    RtlInitUnicodeString(&name, from);
    RtlInitUnicodeString(&target, to);
    return IoCreateSymbolicLink(&name, &target);
}

static NTSTATUS
delete_link(PCWSTR from)
{
    UNICODE_STRING name;

    RtlInitUnicodeString(&name, from);
    return IoDeleteSymbolicLink(&name);
}

static void
namespace__known_directories__are_there(void **state)
{
    static const PCWSTR known[] = {
        L"\\",           L"\\Device", L"\\Driver",     L"\\FileSystem",
        L"\\GLOBAL??",   L"\\??",     L"\\DosDevices", L"\\BaseNamedObjects",
        L"\\??\\Global", L"\\DEVICE",
    };
    HANDLE handle;

    for (size_t i = 0; i < ARRAYSIZE(known); i++) {
        assert_int_equal(open_directory(known[i], NULL, &handle),
                         STATUS_SUCCESS);
        assert_int_equal(ZwClose(handle), STATUS_SUCCESS);
    }
}

static void
path__wrong__says_how(void **state)
{
    static const struct {
        PCWSTR path;
        NTSTATUS status;
    } cases[] = {
        { L"Device", STATUS_OBJECT_PATH_SYNTAX_BAD },
        { L"", STATUS_OBJECT_PATH_SYNTAX_BAD },
        { L"\\Nothing", STATUS_OBJECT_NAME_NOT_FOUND },
        { L"\\Nothing\\more", STATUS_OBJECT_PATH_NOT_FOUND },
        { L"\\\\Device", STATUS_OBJECT_NAME_INVALID },
        { L"\\BaseNamedObjects\\e", STATUS_OBJECT_TYPE_MISMATCH },
        { L"\\BaseNamedObjects\\e\\f", STATUS_OBJECT_TYPE_MISMATCH },
    };
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES how =
        named(&name, L"\\BaseNamedObjects\\e", OBJ_CASE_INSENSITIVE);
    HANDLE event, handle;

    assert_int_equal(ZwCreateEvent(&event, 0, &how, NotificationEvent, FALSE),
                     STATUS_SUCCESS);
    for (size_t i = 0; i < ARRAYSIZE(cases); i++)
        assert_int_equal(open_directory(cases[i].path, NULL, &handle),
                         cases[i].status);
    assert_int_equal(open_directory(L"x", event, &handle),
                     STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(make_directory(L"\\BaseNamedObjects\\", 0, NULL, &handle),
                     STATUS_OBJECT_NAME_INVALID);
    ZwClose(event);
}

static void
directory__relative_names__are_below_it(void **state)
{
    HANDLE outer, inner, again;

    assert_int_equal(
        make_directory(L"\\BaseNamedObjects\\outer", 0, NULL, &outer),
        STATUS_SUCCESS);
    assert_int_equal(make_directory(L"inner", 0, outer, &inner),
                     STATUS_SUCCESS);
    assert_int_equal(open_directory(L"\\inner", outer, &again),
                     STATUS_OBJECT_PATH_SYNTAX_BAD);
    assert_int_equal(
        open_directory(L"\\BaseNamedObjects\\OUTER\\Inner", NULL, &again),
        STATUS_SUCCESS);
    ZwClose(again);
    assert_int_equal(open_directory(L"", outer, &again), STATUS_SUCCESS);
    ZwClose(again);
    ZwClose(inner);
    ZwClose(outer);
}

static void
name__of_a_permanent_object__goes_when_made_temporary(void **state)
{
    static const WCHAR path[] = L"\\BaseNamedObjects\\stay";
    HANDLE handle, again;

    assert_int_equal(make_directory(path, 0, NULL, &handle), STATUS_SUCCESS);
    ZwClose(handle);
    assert_int_equal(open_directory(path, NULL, &handle),
                     STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(make_directory(path, OBJ_PERMANENT, NULL, &handle),
                     STATUS_SUCCESS);
    ZwClose(handle);
    assert_int_equal(open_directory(path, NULL, &handle), STATUS_SUCCESS);
    assert_int_equal(ZwMakeTemporaryObject(handle), STATUS_SUCCESS);
    assert_int_equal(ZwMakeTemporaryObject(handle), STATUS_SUCCESS);
    /* Still open, so still named. */
    assert_int_equal(open_directory(path, NULL, &again), STATUS_SUCCESS);
    ZwClose(again);
    ZwClose(handle);
    assert_int_equal(open_directory(path, NULL, &handle),
                     STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(ZwMakeTemporaryObject(handle), STATUS_INVALID_HANDLE);
}

static void
link__is_followed_and_can_be_opened(void **state)
{
    WCHAR buffer[64];
    UNICODE_STRING name, target = { 0, 2, buffer };
    OBJECT_ATTRIBUTES how =
        named(&name, L"\\DosDevices\\Q:", OBJ_CASE_INSENSITIVE);
    HANDLE handle;
    ULONG length = 0;

    assert_int_equal(make_link(L"\\DosDevices\\Q:", L"\\BaseNamedObjects"),
                     STATUS_SUCCESS);
    assert_int_equal(make_link(L"\\??\\q:", L"\\Device"),
                     STATUS_OBJECT_NAME_COLLISION);
    assert_int_equal(open_directory(L"\\GLOBAL??\\Q:", NULL, &handle),
                     STATUS_SUCCESS);
    ZwClose(handle);
    assert_int_equal(
        ZwOpenSymbolicLinkObject(&handle, SYMBOLIC_LINK_QUERY, &how),
        STATUS_SUCCESS);
    assert_int_equal(ZwQuerySymbolicLinkObject(handle, &target, &length),
                     STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(length, 34);
    target.MaximumLength = sizeof buffer;
    assert_int_equal(ZwQuerySymbolicLinkObject(handle, &target, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(target.Length, 34);
    assert_memory_equal(buffer, L"\\BaseNamedObjects", 34);
    ZwClose(handle);
    assert_int_equal(delete_link(L"\\??\\Q:"), STATUS_SUCCESS);
    assert_int_equal(delete_link(L"\\??\\Q:"), STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(delete_link(L"\\Device"), STATUS_OBJECT_TYPE_MISMATCH);
}

static void
link__to_itself_or_nowhere__ends(void **state)
{
    HANDLE handle;

    assert_int_equal(make_link(L"\\??\\loop", L"\\??\\loop"), STATUS_SUCCESS);
    assert_int_equal(open_directory(L"\\??\\loop\\x", NULL, &handle),
                     STATUS_OBJECT_NAME_INVALID);
    assert_int_equal(delete_link(L"\\??\\loop"), STATUS_SUCCESS);
    assert_int_equal(make_link(L"\\??\\odd", L"nowhere"), STATUS_SUCCESS);
    assert_int_equal(open_directory(L"\\??\\odd", NULL, &handle),
                     STATUS_OBJECT_PATH_SYNTAX_BAD);
    assert_int_equal(delete_link(L"\\??\\odd"), STATUS_SUCCESS);
}

static void
name_string__event__has_its_path_and_a_nul(void **state)
{
    static const WCHAR path[] = L"\\BaseNamedObjects\\n1";
    char buffer[128];
    OBJECT_NAME_INFORMATION *name = (OBJECT_NAME_INFORMATION *) buffer;
    const ULONG need = sizeof *name + sizeof path;
    UNICODE_STRING text;
    OBJECT_ATTRIBUTES how = named(&text, path, OBJ_CASE_INSENSITIVE);
    ULONG length = 0;
    HANDLE handle;
    PVOID event;

    ZwCreateEvent(&handle, 0, &how, NotificationEvent, FALSE);
    ObReferenceObjectByHandle(handle, 0, NULL, KernelMode, &event, NULL);
    assert_int_equal(ObQueryNameString(event, NULL, 0, &length),
                     STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(length, need);
    length = 0;
    assert_int_equal(ObQueryNameString(event, name, need - 1, &length),
                     STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(length, need);
    assert_int_equal(ObQueryNameString(event, name, need, &length),
                     STATUS_SUCCESS);
    assert_int_equal(length, need);
    assert_int_equal(name->Name.Length, sizeof path - sizeof(WCHAR));
    assert_int_equal(name->Name.MaximumLength, sizeof path);
    assert_memory_equal(name->Name.Buffer, path, sizeof path);
    assert_int_equal(
        ZwQueryObject(handle, ObjectNameInformation, buffer, need - 1, &length),
        STATUS_BUFFER_OVERFLOW);
    ZwClose(handle);
    /* Closed, it has no name any more. */
    assert_int_equal(ObQueryNameString(event, name, sizeof buffer, &length),
                     STATUS_SUCCESS);
    assert_int_equal(length, sizeof *name);
    assert_null(name->Name.Buffer);
    ObDereferenceObject(event);
}

/* As deep as one likes, each by a handle of the one above. */
static void
name_string__deep__is_the_whole_path(void **state)
{
    enum { DEPTH = 100 };
    static HANDLE handles[DEPTH];
    union {
        OBJECT_NAME_INFORMATION info;
        char space[1024];
    } name;
    ULONG length;

    for (int i = 0; i < DEPTH; i++) {
        UNICODE_STRING part;
        OBJECT_ATTRIBUTES how = named(&part, i == 0 ? L"\\x" : L"x", 0);

        how.RootDirectory = i == 0 ? NULL : handles[i - 1];
        assert_int_equal(ZwCreateDirectoryObject(&handles[i], 0, &how),
                         STATUS_SUCCESS);
    }
    assert_int_equal(ZwQueryObject(handles[DEPTH - 1], ObjectNameInformation,
                                   &name, sizeof name, &length),
                     STATUS_SUCCESS);
    assert_int_equal(name.info.Name.Length, 4 * DEPTH);
    for (int i = 0; i < DEPTH; i++)
        assert_memory_equal(&name.info.Name.Buffer[2 * i], L"\\x", 4);
    for (int i = 0; i < DEPTH; i++)
        ZwClose(handles[i]);
}

static void
name_string__without_name__is_empty(void **state)
{
    OBJECT_NAME_INFORMATION name;
    PVOID objects[] = { PsGetCurrentThread(), PsGetCurrentProcess() };
    ULONG length;

    for (size_t i = 0; i < ARRAYSIZE(objects); i++) {
        RtlFillMemory(&name, sizeof name, 0xCC);
        assert_int_equal(
            ObQueryNameString(objects[i], &name, sizeof name, &length),
            STATUS_SUCCESS);
        assert_int_equal(length, sizeof name);
        assert_null(name.Name.Buffer);
        assert_int_equal(name.Name.Length, 0);
        assert_int_equal(name.Name.MaximumLength, 0);
    }
}

static void
reference_by_name__finds_any_object(void **state)
{
    UNICODE_STRING name;
    PVOID object;

    RtlInitUnicodeString(&name, L"\\device");
    assert_int_equal(ObReferenceObjectByName(&name, OBJ_CASE_INSENSITIVE, NULL,
                                             0, NULL, KernelMode, NULL,
                                             &object),
                     STATUS_SUCCESS);
    assert_ptr_equal(ObGetObjectType(object), &ob_directory_type);
    ObDereferenceObject(object);
    assert_int_equal(ObReferenceObjectByName(&name, OBJ_CASE_INSENSITIVE, NULL,
                                             0, *ExEventObjectType, KernelMode,
                                             NULL, &object),
                     STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(ObReferenceObjectByName(NULL, 0, NULL, 0, NULL, KernelMode,
                                             NULL, &object),
                     STATUS_INVALID_PARAMETER);
    name.Length = 0;
    assert_int_equal(ObReferenceObjectByName(&name, 0, NULL, 0, NULL,
                                             KernelMode, NULL, &object),
                     STATUS_OBJECT_NAME_INVALID);
}

/* --- a type with a parse hook --------------------------------------------- */

static PVOID leaf;
static UNICODE_STRING hook_saw;
static WCHAR hook_buffer[32];

static NTSTATUS
parse_box(PVOID object, PCUNICODE_STRING rest, const struct ob_open *open,
          PVOID *out_object, UNICODE_STRING *out_path)
{
    hook_saw = (UNICODE_STRING){ 0, sizeof hook_buffer, hook_buffer };
    RtlCopyUnicodeString(&hook_saw, rest);
    if (open->context == &leaf) { /* leads elsewhere */
        static const WCHAR to[] = L"\\Device";

        out_path->Buffer =
            ExAllocatePoolWithTag(PagedPool, sizeof to, OB_TAG_NAME);
        RtlCopyMemory(out_path->Buffer, to, sizeof to);
        out_path->Length = sizeof to - sizeof(WCHAR);
        out_path->MaximumLength = sizeof to;
        return STATUS_REPARSE;
    }
    if (rest->Length == 0)
        return STATUS_ACCESS_DENIED;
    ObReferenceObject(leaf);
    *out_object = leaf;
    return STATUS_SUCCESS;
}

static struct _OBJECT_TYPE box_type = {
    .name = OB_TYPE_NAME(L"Box"),
    .destroy = ob_free,
    .parse = parse_box,
};

static void
parse_hook__takes_what_is_left_of_the_name(void **state)
{
    PVOID box = ob_create_object(&box_type, 8), found = NULL;
    UNICODE_STRING name;
    struct ob_open open = { .name = &name, .attributes = OBJ_CASE_INSENSITIVE };

    leaf = ob_create_object(&ob_event_type, sizeof(KEVENT));
    RtlInitUnicodeString(&name, L"\\Device\\Box");
    assert_int_equal(
        ob_name_object(box, &name, OBJ_PERMANENT | OBJ_CASE_INSENSITIVE),
        STATUS_SUCCESS);
    assert_int_equal(ob_lookup(&open, &found), STATUS_ACCESS_DENIED);
    open.type = &box_type; /* who wants the box itself gets it */
    assert_int_equal(ob_lookup(&open, &found), STATUS_SUCCESS);
    assert_ptr_equal(found, box);
    ObDereferenceObject(found);
    RtlInitUnicodeString(&name, L"\\device\\box\\a\\b");
    assert_int_equal(ob_lookup(&open, &found), STATUS_OBJECT_TYPE_MISMATCH);
    open.type = NULL;
    assert_int_equal(ob_lookup(&open, &found), STATUS_SUCCESS);
    assert_ptr_equal(found, leaf);
    assert_int_equal(hook_saw.Length, 8);
    assert_memory_equal(hook_buffer, L"\\a\\b", 8);
    ObDereferenceObject(found);
    open.context = &leaf;
    assert_int_equal(ob_lookup(&open, &found), STATUS_SUCCESS);
    assert_ptr_equal(ObGetObjectType(found), &ob_directory_type);
    ObDereferenceObject(found);
    ob_make_temporary(box);
    ObDereferenceObject(box);
    ObDereferenceObject(leaf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(namespace__known_directories__are_there),
        cmocka_unit_test(path__wrong__says_how),
        cmocka_unit_test(directory__relative_names__are_below_it),
        cmocka_unit_test(name__of_a_permanent_object__goes_when_made_temporary),
        cmocka_unit_test(link__is_followed_and_can_be_opened),
        cmocka_unit_test(link__to_itself_or_nowhere__ends),
        cmocka_unit_test(name_string__event__has_its_path_and_a_nul),
        cmocka_unit_test(name_string__deep__is_the_whole_path),
        cmocka_unit_test(name_string__without_name__is_empty),
        cmocka_unit_test(reference_by_name__finds_any_object),
        cmocka_unit_test(parse_hook__takes_what_is_left_of_the_name),
    };

    return cmocka_run_group_tests(tests, ob_setup, ob_teardown);
}
