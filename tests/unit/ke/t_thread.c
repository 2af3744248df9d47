/*
 * Tests for src/ke/thread.c and system_thread.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

#include "base/fault.h"

static PETHREAD seen;
static int exits;
static void *cache_at_exit;

static void
at_exit(PETHREAD thread)
{
    assert_ptr_equal(thread, PsGetCurrentThread());
    if (thread->cache[1] != NULL) {
        cache_at_exit = thread->cache[1];
        __atomic_fetch_add(&exits, 1, __ATOMIC_RELEASE);
    }
}

static void *
call_in(void *out)
{
    PETHREAD thread = PsGetCurrentThread();

    assert_ptr_equal(thread, KeGetCurrentThread());
    assert_ptr_equal(thread, ke_current());
    assert_false(PsIsSystemThread(thread));
    assert_int_equal(PsTerminateSystemThread(STATUS_SUCCESS),
                     STATUS_INVALID_PARAMETER);
    thread->cache[1] = &exits;
    ke_thread_ref(thread);
    seen = thread;
    return NULL;
}

static void
thread__any__gets_a_record_that_outlives_it_while_referenced(void **state)
{
    ke_thread_on_exit(at_exit);
    ke_thread_on_exit(at_exit);
    pthread_join(start(call_in, NULL), NULL);
    assert_ptr_not_equal(seen, PsGetCurrentThread());
    assert_int_equal(exits, 1);
    assert_ptr_equal(cache_at_exit, &exits);
    /* The object of a thread that has ended is signalled. */
    assert_int_equal(wait_ms(seen, 0), STATUS_SUCCESS);
    assert_int_equal(wait_ms(KeGetCurrentThread(), 0), STATUS_TIMEOUT);
    ke_thread_unref(seen);
    ke_thread_unref(NULL);
}

static KEVENT go;
static int past_the_end;

static VOID NTAPI
system_routine(PVOID context)
{
    assert_true(PsIsSystemThread(PsGetCurrentThread()));
    assert_int_equal(KeGetCurrentIrql(), PASSIVE_LEVEL);
    wait_forever(&go);
    if (context != NULL) {
        PsTerminateSystemThread(STATUS_SUCCESS);
        past_the_end = 1;
    }
}

static void
system_thread__by_return_or_termination__signals_its_object(void **state)
{
    for (int i = 0; i < 2; i++) {
        PETHREAD thread = ke_system_thread_new(system_routine, i ? &go : NULL);

        KeInitializeEvent(&go, NotificationEvent, FALSE);
        assert_true(ke_system_thread_start(thread));
        assert_int_equal(wait_ms(thread, 0), STATUS_TIMEOUT);
        KeSetEvent(&go, 0, FALSE);
        assert_int_equal(wait_forever(thread), STATUS_SUCCESS);
        ke_thread_unref(thread);
    }
    assert_int_equal(past_the_end, 0);
}

static void
system_thread__not_to_be_had__is_said(void **state)
{
    PETHREAD thread = ke_system_thread_new(system_routine, NULL);

    fault_set("thread", 1, false);
    assert_false(ke_system_thread_start(thread));
    fault_clear();
    ke_thread_unref(thread);
}

static VOID NTAPI
nothing(PVOID context)
{
}

static void
shutdown__joins_every_system_thread(void **state)
{
    for (int i = 0; i < 50; i++) {
        PETHREAD thread = ke_system_thread_new(nothing, NULL);

        assert_true(ke_system_thread_start(thread));
        ke_thread_unref(thread);
    }
    ke_shutdown();
    assert_int_equal(ke_spawned_count(), 0);
}

static void *
end_raised(void *unused)
{
    KeGetCurrentThread();
    KeRaiseIrqlToDpcLevel();
    return NULL;
}

static void *
end_critical(void *unused)
{
    KeEnterCriticalRegion();
    return NULL;
}

static void
run_raised(void)
{
    pthread_join(start(end_raised, NULL), NULL);
}

static void
run_critical(void)
{
    pthread_join(start(end_critical, NULL), NULL);
}

static void
leave_critical(void)
{
    KeLeaveCriticalRegion();
}

static void
rules__broken__bug_check(void **state)
{
    assert_dies(run_raised, "a thread ends at PASSIVE_LEVEL");
    assert_dies(run_critical, "does not end in a critical region");
    assert_dies(leave_critical, "KeLeaveCriticalRegion");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            thread__any__gets_a_record_that_outlives_it_while_referenced),
        cmocka_unit_test(
            system_thread__by_return_or_termination__signals_its_object),
        cmocka_unit_test(system_thread__not_to_be_had__is_said),
        cmocka_unit_test(shutdown__joins_every_system_thread),
        cmocka_unit_test(rules__broken__bug_check),
    };

    return cmocka_run_group_tests(tests, NULL, end_ke);
}
