/*
 * Tests for src/ob/event.c; expectations from the pages of ZwCreateEvent,
 * ZwOpenEvent, ZwSetEvent, IoCreateNotificationEvent and
 * IoCreateSynchronizationEvent.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

static void
create_event__by_name__is_found_until_its_last_handle_is_closed(void **state)
{
    UNICODE_STRING name, other;
    OBJECT_ATTRIBUTES how =
        named(&name, L"\\BaseNamedObjects\\Tick", OBJ_CASE_INSENSITIVE);
    OBJECT_ATTRIBUTES same =
        named(&other, L"\\basenamedobjects\\TICK", OBJ_CASE_INSENSITIVE);
    OBJECT_ATTRIBUTES exact = named(&other, L"\\basenamedobjects\\TICK", 0);
    HANDLE made, opened;
    LONG before = 7;
    PVOID first, second;

    assert_int_equal(ZwCreateEvent(&made, EVENT_ALL_ACCESS, &how,
                                   SynchronizationEvent, FALSE),
                     STATUS_SUCCESS);
    assert_int_equal(ZwOpenEvent(&opened, EVENT_ALL_ACCESS, &exact),
                     STATUS_OBJECT_PATH_NOT_FOUND);
    assert_int_equal(ZwOpenEvent(&opened, EVENT_ALL_ACCESS, &same),
                     STATUS_SUCCESS);
    ObReferenceObjectByHandle(made, 0, NULL, KernelMode, &first, NULL);
    ObReferenceObjectByHandle(opened, 0, NULL, KernelMode, &second, NULL);
    assert_ptr_equal(first, second);
    ObDereferenceObject(first);
    ObDereferenceObject(second);
    assert_int_equal(ZwSetEvent(opened, &before), STATUS_SUCCESS);
    assert_int_equal(before, 0);
    assert_int_equal(ZwSetEvent(made, &before), STATUS_SUCCESS);
    assert_int_equal(before, 1);
    ZwClose(made);
    assert_int_equal(ZwOpenEvent(&made, SYNCHRONIZE, &how), STATUS_SUCCESS);
    ZwClose(made);
    ZwClose(opened);
    assert_int_equal(ZwOpenEvent(&made, SYNCHRONIZE, &how),
                     STATUS_OBJECT_NAME_NOT_FOUND);
}

static void
create_event__name_taken__collides_or_opens(void **state)
{
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES how =
        named(&name, L"\\BaseNamedObjects\\Taken", OBJ_CASE_INSENSITIVE);
    HANDLE first, second = NULL;

    assert_int_equal(
        ZwCreateEvent(&first, EVENT_ALL_ACCESS, &how, NotificationEvent, TRUE),
        STATUS_SUCCESS);
    assert_int_equal(
        ZwCreateEvent(&second, EVENT_ALL_ACCESS, &how, NotificationEvent, TRUE),
        STATUS_OBJECT_NAME_COLLISION);
    assert_null(second);
    assert_int_equal(ZwCreateDirectoryObject(&second, 0, &how),
                     STATUS_OBJECT_NAME_COLLISION);
    how.Attributes |= OBJ_OPENIF;
    assert_int_equal(ZwCreateDirectoryObject(&second, 0, &how),
                     STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(
        ZwCreateEvent(&second, EVENT_ALL_ACCESS, &how, NotificationEvent, TRUE),
        STATUS_OBJECT_NAME_EXISTS);
    assert_int_equal(ZwClose(first), STATUS_SUCCESS);
    assert_int_equal(ZwClose(second), STATUS_SUCCESS);
}

static void
create_event__bad_kind__is_invalid(void **state)
{
    HANDLE handle;

    assert_int_equal(ZwCreateEvent(&handle, 0, NULL, (EVENT_TYPE) 5, FALSE),
                     STATUS_INVALID_PARAMETER);
}

static void
io_create_event__is_signalled_and_shared_by_name(void **state)
{
    UNICODE_STRING name;
    HANDLE first, second;
    PKEVENT made, found;

    RtlInitUnicodeString(&name, L"\\BaseNamedObjects\\Io");
    made = IoCreateNotificationEvent(&name, &first);
    assert_non_null(made);
    assert_int_equal(KeReadStateEvent(made), 1);
    KeClearEvent(made);
    found = IoCreateNotificationEvent(&name, &second);
    assert_ptr_equal(made, found);
    assert_int_equal(KeReadStateEvent(found), 0);
    ZwClose(first);
    ZwClose(second);
    made = IoCreateSynchronizationEvent(&name, &first);
    assert_int_equal(poll(made), STATUS_SUCCESS);
    assert_int_equal(poll(made), STATUS_TIMEOUT);
    ZwClose(first);
    RtlInitUnicodeString(&name, L"\\Nowhere\\Io");
    assert_null(IoCreateSynchronizationEvent(&name, &first));
}

static HANDLE closed_meanwhile;
static int frees;

static VOID NTAPI
close_it(PVOID block)
{
    HANDLE handle = closed_meanwhile;

    UNREFERENCED_PARAMETER(block);
    /* After the directory was found, the event itself. */
    if (handle == NULL || ++frees != 2)
        return;
    closed_meanwhile = NULL;
    ZwClose(handle);
}

/* The one handle is closed just when the name has been found: whoever opens
 * has an event that bears the name, or none. */
static void
named_event__loses_its_name_while_opened__is_not_opened(void **state)
{
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES how = named(&name, L"\\BaseNamedObjects\\brief",
                                  OBJ_CASE_INSENSITIVE | OBJ_OPENIF);
    NTSTATUS opened, created;
    HANDLE handle, copy;

    (void) state;
    ke_pool_watch_frees(OB_TAG_NAME, close_it);
    ZwCreateEvent(&closed_meanwhile, EVENT_ALL_ACCESS, &how, NotificationEvent,
                  TRUE);
    opened = ZwOpenEvent(&handle, EVENT_ALL_ACCESS, &how);
    if (closed_meanwhile != NULL) {
        ZwClose(closed_meanwhile);
        ZwClose(handle);
        skip(); /* a release build does not tell of frees */
    }
    assert_int_equal(opened, STATUS_OBJECT_NAME_NOT_FOUND);
    ZwCreateEvent(&copy, EVENT_ALL_ACCESS, &how, NotificationEvent, TRUE);
    closed_meanwhile = copy;
    frees = 0;
    created =
        ZwCreateEvent(&handle, EVENT_ALL_ACCESS, &how, NotificationEvent, TRUE);
    assert_null(closed_meanwhile);
    ke_pool_watch_frees(0, NULL);
    assert_int_equal(created, STATUS_SUCCESS);
    assert_int_equal(ZwOpenEvent(&copy, EVENT_ALL_ACCESS, &how),
                     STATUS_SUCCESS);
    assert_int_equal(ZwClose(copy), STATUS_SUCCESS);
    assert_int_equal(ZwClose(handle), STATUS_SUCCESS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            create_event__by_name__is_found_until_its_last_handle_is_closed),
        cmocka_unit_test(create_event__name_taken__collides_or_opens),
        cmocka_unit_test(create_event__bad_kind__is_invalid),
        cmocka_unit_test(io_create_event__is_signalled_and_shared_by_name),
        cmocka_unit_test(
            named_event__loses_its_name_while_opened__is_not_opened),
    };

    return cmocka_run_group_tests(tests, ob_setup, ob_teardown);
}
