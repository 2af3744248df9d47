/*
 * Tests for src/ex/rundown.c; expectations from "Run-Down Protection".
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/unit/ke/helper.h"

static EX_RUNDOWN_REF ref;
static BOOLEAN done;

static void *
wait_for_end(void *unused)
{
    ExWaitForRundownProtectionRelease(&ref);
    __atomic_store_n(&done, TRUE, __ATOMIC_RELEASE);
    return NULL;
}

static void
wait__references_left__until_the_last_is_released(void **state)
{
    pthread_t waiter;

    done = FALSE;
    ExInitializeRundownProtection(&ref);
    assert_true(ExAcquireRundownProtection(&ref));
    assert_true(ExAcquireRundownProtectionEx(&ref, 2));
    waiter = start(wait_for_end, NULL);
    eventually((load(&ref.Count) & EX_RUNDOWN_ACTIVE) != 0);
    assert_false(ExAcquireRundownProtection(&ref));
    ExReleaseRundownProtectionEx(&ref, 2);
    assert_false(load(&done));
    ExReleaseRundownProtection(&ref);
    pthread_join(waiter, NULL);
    assert_false(ExAcquireRundownProtection(&ref));
    ExWaitForRundownProtectionRelease(&ref); /* returns at once */
    ExReInitializeRundownProtection(&ref);
    assert_true(ExAcquireRundownProtection(&ref));
    ExReleaseRundownProtection(&ref);
}

static void
wait__no_references__returns_and_none_can_be_had(void **state)
{
    ExInitializeRundownProtection(&ref);
    ExWaitForRundownProtectionRelease(&ref);
    assert_false(ExAcquireRundownProtection(&ref));
    ExRundownCompleted(&ref);
    assert_false(ExAcquireRundownProtection(&ref));
}

static int *object;
static KEVENT all_started;
static LONG started;

static void *
use(void *unused)
{
    int used = 0;

    while (ExAcquireRundownProtection(&ref)) {
        used += *object;
        ExReleaseRundownProtection(&ref);
        if (used == 1 && InterlockedIncrement(&started) == 3)
            KeSetEvent(&all_started, IO_NO_INCREMENT, FALSE);
    }
    return NULL;
}

static void
threads__use_what_goes__never_after_the_wait(void **state)
{
    pthread_t threads[3];
    int one = 1;

    object = &one;
    started = 0;
    ExInitializeRundownProtection(&ref);
    KeInitializeEvent(&all_started, NotificationEvent, FALSE);
    for (int i = 0; i < 3; i++)
        threads[i] = start(use, NULL);
    wait_forever(&all_started);
    ExWaitForRundownProtectionRelease(&ref);
    object = NULL; /* a use now would crash, and be a data race */
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

static void
cache_aware__as_the_other_kind(void **state)
{
    PEX_RUNDOWN_REF_CACHE_AWARE aware =
        ExAllocateCacheAwareRundownProtection(NonPagedPool, 'nurT');
    PEX_RUNDOWN_REF_CACHE_AWARE own = ExAllocatePoolWithTag(
        NonPagedPool, ExSizeOfRundownProtectionCacheAware(), 'nurT');

    ExInitializeRundownProtectionCacheAware(
        own, ExSizeOfRundownProtectionCacheAware());
    assert_true(ExAcquireRundownProtectionCacheAware(own));
    ExReleaseRundownProtectionCacheAware(own);
    ExWaitForRundownProtectionReleaseCacheAware(own);
    assert_false(ExAcquireRundownProtectionCacheAware(own));
    ExReInitializeRundownProtectionCacheAware(own);
    assert_true(ExAcquireRundownProtectionCacheAware(own));
    ExReleaseRundownProtectionCacheAware(own);
    ExFreePoolWithTag(own, 'nurT');
    assert_true(ExAcquireRundownProtectionCacheAware(aware));
    ExReleaseRundownProtectionCacheAware(aware);
    ExRundownCompletedCacheAware(aware);
    assert_false(ExAcquireRundownProtectionCacheAware(aware));
    ExFreeCacheAwareRundownProtection(aware);
    assert_int_equal(ke_pool_report(stderr), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wait__references_left__until_the_last_is_released),
        cmocka_unit_test(wait__no_references__returns_and_none_can_be_had),
        cmocka_unit_test(threads__use_what_goes__never_after_the_wait),
        cmocka_unit_test(cache_aware__as_the_other_kind),
    };

    return cmocka_run_group_tests(tests, NULL, end_ke);
}
