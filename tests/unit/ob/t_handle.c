/*
 * Tests for src/ob/handle.c and zw.c; expectations from the pages of
 * ObReferenceObjectByHandle, ObOpenObjectByPointer, ZwClose, ZwDuplicateObject
 * and ZwQueryObject.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

static HANDLE
new_event(BOOLEAN state)
{
    OBJECT_ATTRIBUTES none;
    HANDLE handle;

    InitializeObjectAttributes(&none, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    assert_int_equal(
        ZwCreateEvent(&handle, SYNCHRONIZE, &none, NotificationEvent, state),
        STATUS_SUCCESS);
    return handle;
}

static void
close_handle__bad_or_closed__is_invalid_handle(void **state)
{
    const ULONG_PTR bad[] = { 0, 1, 3, 0x7FFFFFFC, (ULONG_PTR) -4 };
    HANDLE handle = new_event(TRUE);

    for (size_t i = 0; i < ARRAYSIZE(bad); i++)
        assert_int_equal(ZwClose((HANDLE) bad[i]), STATUS_INVALID_HANDLE);
    assert_int_equal(ZwClose(handle), STATUS_SUCCESS);
    assert_int_equal(ZwClose(handle), STATUS_INVALID_HANDLE);
    assert_int_equal(NtClose(handle), STATUS_INVALID_HANDLE);
}

static void
reference_by_handle__type_and_mode__as_documented(void **state)
{
    HANDLE handle = new_event(TRUE);
    OBJECT_HANDLE_INFORMATION information;
    PVOID first, second = &first;

    assert_int_equal(ObReferenceObjectByHandle(NULL, SYNCHRONIZE,
                                               *ExEventObjectType, KernelMode,
                                               &second, NULL),
                     STATUS_INVALID_HANDLE);
    assert_null(second);
    assert_int_equal(ObReferenceObjectByHandle(handle, SYNCHRONIZE,
                                               *PsThreadType, KernelMode,
                                               &second, NULL),
                     STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(ObReferenceObjectByHandle(handle, 0, NULL, KernelMode,
                                               &first, &information),
                     STATUS_SUCCESS);
    assert_int_equal(information.GrantedAccess, SYNCHRONIZE);
    assert_int_equal(information.HandleAttributes, OBJ_KERNEL_HANDLE);
    /* A kernel handle is none in user mode. */
    assert_int_equal(ObReferenceObjectByHandle(handle, SYNCHRONIZE,
                                               *ExEventObjectType, UserMode,
                                               &second, NULL),
                     STATUS_INVALID_HANDLE);
    /* Kernel mode gets what it asks for. */
    assert_int_equal(ObReferenceObjectByHandle(handle, EVENT_MODIFY_STATE,
                                               *ExEventObjectType, KernelMode,
                                               &second, NULL),
                     STATUS_SUCCESS);
    assert_ptr_equal(first, second);
    ObDereferenceObject(second);
    assert_int_equal(ZwClose(handle), STATUS_SUCCESS);
    /* The reference outlives the handle. */
    assert_int_equal(poll(first), STATUS_SUCCESS);
    ObDereferenceObject(first);
}

static void
reference_by_handle__user_mode__access_is_checked(void **state)
{
    HANDLE handle;
    PVOID event;

    assert_int_equal(
        ZwCreateEvent(&handle, SYNCHRONIZE, NULL, NotificationEvent, FALSE),
        STATUS_SUCCESS);
    assert_int_equal(ObReferenceObjectByHandle(handle, EVENT_MODIFY_STATE,
                                               *ExEventObjectType, UserMode,
                                               &event, NULL),
                     STATUS_ACCESS_DENIED);
    assert_int_equal(ObReferenceObjectByHandle(handle, SYNCHRONIZE,
                                               *ExEventObjectType, UserMode,
                                               &event, NULL),
                     STATUS_SUCCESS);
    ObDereferenceObject(event);
    ZwClose(handle);
}

static void
pseudo_handles__name_the_caller(void **state)
{
    PVOID object;

    assert_int_equal(ObReferenceObjectByHandle(ZwCurrentThread(), 0,
                                               *PsThreadType, KernelMode,
                                               &object, NULL),
                     STATUS_SUCCESS);
    assert_ptr_equal(object, PsGetCurrentThread());
    ObDereferenceObject(object);
    assert_int_equal(ObReferenceObjectByHandle(ZwCurrentProcess(), 0,
                                               *PsProcessType, KernelMode,
                                               &object, NULL),
                     STATUS_SUCCESS);
    assert_ptr_equal(object, PsGetCurrentProcess());
    ObDereferenceObject(object);
    assert_int_equal(ObReferenceObjectByHandle(ZwCurrentThread(), 0,
                                               *PsProcessType, KernelMode,
                                               &object, NULL),
                     STATUS_OBJECT_TYPE_MISMATCH);
}

static void
open_by_pointer__checks_the_type(void **state)
{
    HANDLE event = new_event(FALSE), again = NULL;
    PVOID object, other;

    ObReferenceObjectByHandle(event, 0, NULL, KernelMode, &object, NULL);
    assert_int_equal(ObOpenObjectByPointer(object, OBJ_KERNEL_HANDLE, NULL, 0,
                                           *PsThreadType, KernelMode, &again),
                     STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(ObOpenObjectByPointer(object, 0, NULL, GENERIC_ALL, NULL,
                                           UserMode, &again),
                     STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(ObOpenObjectByPointer(object, 0, NULL, GENERIC_ALL,
                                           *ExEventObjectType, UserMode,
                                           &again),
                     STATUS_SUCCESS);
    ObDereferenceObject(object);
    ZwClose(event);
    assert_int_equal(ObReferenceObjectByHandle(again, EVENT_ALL_ACCESS,
                                               *ExEventObjectType, UserMode,
                                               &other, NULL),
                     STATUS_SUCCESS);
    assert_ptr_equal(object, other);
    ObDereferenceObject(other);
    ZwClose(again);
}

static void
duplicate__options__as_documented(void **state)
{
    HANDLE event = new_event(TRUE), copy, third = event;
    OBJECT_HANDLE_INFORMATION information;
    PVOID object;

    assert_int_equal(
        ZwDuplicateObject(ZwCurrentProcess(), event, ZwCurrentProcess(), &copy,
                          0, 0,
                          DUPLICATE_SAME_ACCESS | DUPLICATE_SAME_ATTRIBUTES),
        STATUS_SUCCESS);
    assert_ptr_not_equal(copy, event);
    ObReferenceObjectByHandle(copy, 0, NULL, KernelMode, &object, &information);
    assert_int_equal(information.GrantedAccess, SYNCHRONIZE);
    assert_int_equal(information.HandleAttributes, OBJ_KERNEL_HANDLE);
    ObDereferenceObject(object);
    assert_int_equal(
        ZwDuplicateObject(ZwCurrentProcess(), event, ZwCurrentProcess(), &third,
                          EVENT_ALL_ACCESS, 0, DUPLICATE_CLOSE_SOURCE),
        STATUS_SUCCESS);
    assert_int_equal(ZwClose(event), STATUS_INVALID_HANDLE);
    assert_int_equal(ZwDuplicateObject(ZwCurrentThread(), copy,
                                       ZwCurrentProcess(), &event, 0, 0, 0),
                     STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(ZwDuplicateObject(ZwCurrentProcess(), (HANDLE) 0x4444,
                                       ZwCurrentProcess(), &event, 0, 0, 0),
                     STATUS_INVALID_HANDLE);
    assert_int_equal(ZwClose(copy), STATUS_SUCCESS);
    assert_int_equal(ZwClose(third), STATUS_SUCCESS);
}

static void
query_object__basic_name_type(void **state)
{
    union {
        PUBLIC_OBJECT_BASIC_INFORMATION basic;
        OBJECT_NAME_INFORMATION name;
        PUBLIC_OBJECT_TYPE_INFORMATION type;
        char space[256];
    } out;
    HANDLE event = new_event(TRUE), copy;
    ULONG length;

    ZwDuplicateObject(ZwCurrentProcess(), event, ZwCurrentProcess(), &copy, 0,
                      0, DUPLICATE_SAME_ACCESS);
    assert_int_equal(ZwQueryObject(event, ObjectBasicInformation, &out,
                                   sizeof out.basic, &length),
                     STATUS_SUCCESS);
    assert_int_equal(length, 56);
    assert_int_equal(out.basic.HandleCount, 2);
    assert_int_equal(out.basic.PointerCount, 2);
    assert_int_equal(out.basic.GrantedAccess, SYNCHRONIZE);
    assert_int_equal(
        ZwQueryObject(event, ObjectBasicInformation, &out, 55, &length),
        STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(length, 56);
    assert_int_equal(
        ZwQueryObject(event, ObjectNameInformation, &out, sizeof out, &length),
        STATUS_SUCCESS);
    assert_null(out.name.Name.Buffer);
    assert_int_equal(
        ZwQueryObject(event, ObjectTypeInformation, &out, sizeof out, &length),
        STATUS_SUCCESS);
    assert_int_equal(out.type.TypeName.Length, 10);
    assert_memory_equal(out.type.TypeName.Buffer, L"Event", 12);
    assert_int_equal(ZwQueryObject(event, (OBJECT_INFORMATION_CLASS) 77, &out,
                                   sizeof out, NULL),
                     STATUS_INVALID_INFO_CLASS);
    ZwClose(event);
    ZwClose(copy);
}

static void
wait_by_handle__bad_handle_or_object__is_refused(void **state)
{
    LARGE_INTEGER now = { .QuadPart = 0 };
    HANDLE event = new_event(FALSE), directory;
    OBJECT_ATTRIBUTES how;
    UNICODE_STRING name;

    assert_int_equal(ZwWaitForSingleObject(event, FALSE, &now), STATUS_TIMEOUT);
    ZwSetEvent(event, NULL);
    assert_int_equal(ZwWaitForSingleObject(event, FALSE, NULL), STATUS_SUCCESS);
    ZwClose(event);
    assert_int_equal(ZwWaitForSingleObject(event, FALSE, NULL),
                     STATUS_INVALID_HANDLE);
    how = named(&name, L"\\Device", OBJ_CASE_INSENSITIVE);
    ZwOpenDirectoryObject(&directory, DIRECTORY_QUERY, &how);
    assert_int_equal(ZwWaitForSingleObject(directory, FALSE, &now),
                     STATUS_OBJECT_TYPE_MISMATCH);
    ZwClose(directory);
}

static void
handles__many__are_all_different_and_come_back(void **state)
{
    enum { COUNT = 1000 };
    static HANDLE handles[COUNT];
    unsigned before = ob_handle_count();

    for (int i = 0; i < COUNT; i++) {
        handles[i] = new_event(FALSE);
        assert_int_equal((ULONG_PTR) handles[i] % 4, 0);
        for (int j = 0; j < i; j++)
            if (handles[i] == handles[j])
                fail();
    }
    assert_int_equal(ob_handle_count(), before + COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(ZwClose(handles[i]), STATUS_SUCCESS);
    assert_int_equal(ob_handle_count(), before);
}

/* Each allocation of a flow fails once, until the flow passes. */
static void
create__without_memory__leaves_nothing(void **state)
{
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES how =
        named(&name, L"\\BaseNamedObjects\\poor", OBJ_CASE_INSENSITIVE);
    HANDLE handle = NULL;
    NTSTATUS status;
    int n = 0;

    do {
        fault_set("pool", (unsigned) ++n, false);
        status = ZwCreateEvent(&handle, EVENT_ALL_ACCESS, &how,
                               NotificationEvent, FALSE);
        fault_clear();
        assert_true(NT_SUCCESS(status) ||
                    status == STATUS_INSUFFICIENT_RESOURCES);
        if (!NT_SUCCESS(status))
            assert_null(handle);
    } while (!NT_SUCCESS(status));
    assert_true(n > 3);
    ZwClose(handle);
    assert_int_equal(ZwOpenEvent(&handle, 0, &how),
                     STATUS_OBJECT_NAME_NOT_FOUND);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_handle__bad_or_closed__is_invalid_handle),
        cmocka_unit_test(reference_by_handle__type_and_mode__as_documented),
        cmocka_unit_test(reference_by_handle__user_mode__access_is_checked),
        cmocka_unit_test(pseudo_handles__name_the_caller),
        cmocka_unit_test(open_by_pointer__checks_the_type),
        cmocka_unit_test(duplicate__options__as_documented),
        cmocka_unit_test(query_object__basic_name_type),
        cmocka_unit_test(wait_by_handle__bad_handle_or_object__is_refused),
        cmocka_unit_test(handles__many__are_all_different_and_come_back),
        cmocka_unit_test(create__without_memory__leaves_nothing),
    };

    return cmocka_run_group_tests(tests, ob_setup, ob_teardown);
}
