/*
 * Threads that create, open, close and name the same objects at once: nothing
 * is lost, nothing is left.  For the sanitizers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

#include <pthread.h>

enum { THREADS = 4, ROUNDS = 2000 };

static void *
open_and_close(void *failures)
{
    for (int i = 0; i < ROUNDS; i++) {
        UNICODE_STRING name;
        OBJECT_ATTRIBUTES how =
            named(&name, i % 2 ? L"\\BaseNamedObjects\\a" : L"\\??\\b",
                  OBJ_CASE_INSENSITIVE | OBJ_OPENIF);
        HANDLE handle, copy = NULL;

        if (!NT_SUCCESS(ZwCreateEvent(&handle, EVENT_ALL_ACCESS, &how,
                                      NotificationEvent, FALSE)))
            __atomic_add_fetch((int *) failures, 1, __ATOMIC_RELAXED);
        how.Attributes &= ~(ULONG) OBJ_OPENIF;
        /* Whoever has made it, our handle keeps its name. */
        if (NT_SUCCESS(ZwOpenEvent(&copy, SYNCHRONIZE, &how)))
            ZwClose(copy);
        else
            __atomic_add_fetch((int *) failures, 1, __ATOMIC_RELAXED);
        ZwSetEvent(handle, NULL);
        if (!NT_SUCCESS(ZwClose(handle)))
            __atomic_add_fetch((int *) failures, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void
names_and_handles__used_by_many__stay_sound(void **state)
{
    pthread_t threads[THREADS];
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES how;
    int failures = 0;
    HANDLE handle;

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, open_and_close, &failures), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(failures, 0);
    how = named(&name, L"\\BaseNamedObjects\\a", OBJ_CASE_INSENSITIVE);
    assert_int_equal(ZwOpenEvent(&handle, SYNCHRONIZE, &how),
                     STATUS_OBJECT_NAME_NOT_FOUND);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_handles__used_by_many__stay_sound),
    };

    return cmocka_run_group_tests(tests, ob_setup, ob_teardown);
}
