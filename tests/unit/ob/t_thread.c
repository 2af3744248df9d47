/*
 * Tests for src/ob/thread.c; expectations from the page of
 * PsCreateSystemThread.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

static KEVENT go;
static HANDLE seen_id;

static VOID NTAPI
wait_for_go(PVOID context)
{
    seen_id = PsGetCurrentThreadId();
    KeWaitForSingleObject(&go, Executive, KernelMode, FALSE, NULL);
    if (context != NULL)
        PsTerminateSystemThread(STATUS_SUCCESS);
}

static void
system_thread__its_handle__is_one_of_the_thread_object(void **state)
{
    for (int i = 0; i < 2; i++) {
        OBJECT_ATTRIBUTES how;
        CLIENT_ID id;
        HANDLE handle;
        PVOID thread;

        InitializeObjectAttributes(&how, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
        KeInitializeEvent(&go, NotificationEvent, FALSE);
        assert_int_equal(PsCreateSystemThread(&handle, SYNCHRONIZE, &how,
                                              i ? ZwCurrentProcess() : NULL,
                                              &id, wait_for_go, i ? &go : NULL),
                         STATUS_SUCCESS);
        assert_int_equal(ObReferenceObjectByHandle(handle, SYNCHRONIZE,
                                                   *PsThreadType, KernelMode,
                                                   &thread, NULL),
                         STATUS_SUCCESS);
        assert_int_equal(((DISPATCHER_HEADER *) thread)->Type, 6);
        assert_true(PsIsSystemThread(thread));
        assert_int_equal(poll(thread), STATUS_TIMEOUT);
        assert_ptr_equal(PsGetThreadId(thread), id.UniqueThread);
        assert_ptr_equal(PsGetCurrentProcessId(), id.UniqueProcess);
        KeSetEvent(&go, 0, FALSE);
        assert_int_equal(ZwWaitForSingleObject(handle, FALSE, NULL),
                         STATUS_SUCCESS);
        assert_ptr_equal(seen_id, id.UniqueThread);
        assert_int_equal(ZwClose(handle), STATUS_SUCCESS);
        assert_int_equal(ZwClose(handle), STATUS_INVALID_HANDLE);
        /* The reference keeps the object. */
        assert_int_equal(poll(thread), STATUS_SUCCESS);
        ObDereferenceObject(thread);
    }
}

static void
system_thread__bad_process__is_refused(void **state)
{
    HANDLE handle = NULL;

    assert_int_equal(PsCreateSystemThread(&handle, 0, NULL, (HANDLE) 0x4440,
                                          NULL, wait_for_go, NULL),
                     STATUS_INVALID_HANDLE);
    assert_int_equal(PsCreateSystemThread(&handle, 0, NULL, ZwCurrentThread(),
                                          NULL, wait_for_go, NULL),
                     STATUS_OBJECT_TYPE_MISMATCH);
    assert_null(handle);
}

static void
system_thread__not_to_be_had__is_insufficient_resources(void **state)
{
    unsigned before = ob_handle_count();
    HANDLE handle = NULL;

    fault_set("thread", 1, false);
    assert_int_equal(
        PsCreateSystemThread(&handle, 0, NULL, NULL, NULL, wait_for_go, NULL),
        STATUS_INSUFFICIENT_RESOURCES);
    fault_clear();
    assert_null(handle);
    assert_int_equal(ob_handle_count(), before);
}

static void
thread__looked_up_by_its_id__is_the_object(void **state)
{
    PETHREAD self = PsGetCurrentThread(), found = NULL;
    PVOID thread;
    HANDLE handle, id;

    assert_int_equal(PsLookupThreadByThreadId(PsGetCurrentThreadId(), &found),
                     STATUS_SUCCESS);
    assert_ptr_equal(found, self);
    ObDereferenceObject(found);
    assert_ptr_equal(PsGetThreadProcessId(self), PsGetCurrentProcessId());
    assert_int_equal(PsLookupThreadByThreadId(NULL, &found),
                     STATUS_INVALID_CID);

    KeInitializeEvent(&go, NotificationEvent, TRUE);
    assert_int_equal(
        PsCreateSystemThread(&handle, 0, NULL, NULL, NULL, wait_for_go, NULL),
        STATUS_SUCCESS);
    assert_int_equal(ObReferenceObjectByHandle(handle, 0, *PsThreadType,
                                               KernelMode, &thread, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(ZwWaitForSingleObject(handle, FALSE, NULL),
                     STATUS_SUCCESS);
    id = PsGetThreadId(thread);
    assert_int_equal(ZwClose(handle), STATUS_SUCCESS);
    assert_int_equal(PsLookupThreadByThreadId(id, &found), STATUS_SUCCESS);
    assert_ptr_equal(found, thread);
    ObDereferenceObject(found);
    ObDereferenceObject(thread);
    /* The thread itself lets go of its record when it is over, so wait. */
    while (PsLookupThreadByThreadId(id, &found) == STATUS_SUCCESS)
        ObDereferenceObject(found);
    assert_int_equal(PsLookupThreadByThreadId(id, &found), STATUS_INVALID_CID);
}

static void
process__the_only_one__found_by_its_id_and_by_its_threads(void **state)
{
    PEPROCESS found = NULL;

    assert_ptr_equal(PsGetThreadProcess(PsGetCurrentThread()),
                     PsGetCurrentProcess());
    assert_int_equal(
        PsLookupProcessByProcessId(PsGetCurrentProcessId(), &found),
        STATUS_SUCCESS);
    assert_ptr_equal(found, PsGetCurrentProcess());
    ObDereferenceObject(found);
    found = NULL;
    assert_int_equal(PsLookupProcessByProcessId((HANDLE) 8, &found),
                     STATUS_INVALID_CID);
    assert_null(found);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            process__the_only_one__found_by_its_id_and_by_its_threads),
        cmocka_unit_test(
            system_thread__its_handle__is_one_of_the_thread_object),
        cmocka_unit_test(system_thread__bad_process__is_refused),
        cmocka_unit_test(thread__looked_up_by_its_id__is_the_object),
        cmocka_unit_test(
            system_thread__not_to_be_had__is_insufficient_resources),
    };

    return cmocka_run_group_tests(tests, ob_setup, ob_teardown);
}
