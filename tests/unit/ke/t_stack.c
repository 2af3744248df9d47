/*
 * Tests for src/ke/stack.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

#include <ntddk.h>

#include <pthread.h>
#include <stdint.h>

static int calls;
static PVOID seen;

static VOID NTAPI
note(PVOID parameter)
{
    seen = parameter;
    calls++;
}

static void
callout__is_called_once_with_its_parameter(void **state)
{
    calls = 0;
    assert_int_equal(
        KeExpandKernelStackAndCalloutEx(note, &calls, 4096, FALSE, NULL),
        STATUS_SUCCESS);
    assert_int_equal(calls, 1);
    assert_ptr_equal(seen, &calls);
    assert_int_equal(KeExpandKernelStackAndCallout(note, NULL, 4096),
                     STATUS_SUCCESS);
    assert_int_equal(calls, 2);
    assert_null(seen);
}

static void
callout__with_too_large_a_size_or_a_context__is_refused(void **state)
{
    calls = 0;
    assert_int_equal(KeExpandKernelStackAndCalloutEx(
                         note, NULL, MAXIMUM_EXPANSION_SIZE, FALSE, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(KeExpandKernelStackAndCalloutEx(
                         note, NULL, MAXIMUM_EXPANSION_SIZE + 1, FALSE, NULL),
                     STATUS_INVALID_PARAMETER_3);
    assert_int_equal(
        KeExpandKernelStackAndCalloutEx(note, NULL, 4096, FALSE, &calls),
        STATUS_INVALID_PARAMETER_5);
    assert_int_equal(calls, 1);
}

static void *
on_a_small_stack(void *arg)
{
    *(NTSTATUS *) arg = KeExpandKernelStackAndCalloutEx(
        note, NULL, MAXIMUM_EXPANSION_SIZE, FALSE, NULL);
    return NULL;
}

static void
callout__that_does_not_fit__is_refused_without_a_call(void **state)
{
    static char stack[64 * 1024] __attribute__((aligned(4096)));
    NTSTATUS status = STATUS_SUCCESS;
    pthread_attr_t attributes;
    pthread_t thread;

    calls = 0;
    pthread_attr_init(&attributes);
    assert_int_equal(pthread_attr_setstack(&attributes, stack, sizeof stack),
                     0);
    /* A sanitizer may need more than that for itself. */
    if (pthread_create(&thread, &attributes, on_a_small_stack, &status) != 0)
        skip();
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    assert_int_equal(status, STATUS_NO_MEMORY);
    assert_int_equal(calls, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callout__is_called_once_with_its_parameter),
        cmocka_unit_test(
            callout__with_too_large_a_size_or_a_context__is_refused),
        cmocka_unit_test(callout__that_does_not_fit__is_refused_without_a_call),
    };

    return cmocka_run_group_tests(tests, NULL, end_ke);
}
