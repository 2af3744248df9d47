/*
 * Tests for src/ex/mutex.c; expectations from the pages of ExAcquireFastMutex,
 * ExTryToAcquireFastMutex, ExAcquireFastMutexUnsafe and KeAcquireGuardedMutex.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/unit/ke/helper.h"

static FAST_MUTEX fast;
static KGUARDED_MUTEX guarded;
static BOOLEAN other_got;

static void *
try_fast(void *unused)
{
    other_got = ExTryToAcquireFastMutex(&fast);
    assert_int_equal(KeGetCurrentIrql(), other_got ? APC_LEVEL : PASSIVE_LEVEL);
    if (other_got)
        ExReleaseFastMutex(&fast);
    return NULL;
}

static BOOLEAN
other_gets_fast(void)
{
    pthread_join(start(try_fast, NULL), NULL);
    return other_got;
}

static void
fast__owned__at_apc_level_and_nobody_else(void **state)
{
    ExInitializeFastMutex(&fast);
    assert_int_equal(fast.Count, 1);
    ExAcquireFastMutex(&fast);
    assert_int_equal(KeGetCurrentIrql(), APC_LEVEL);
    assert_int_equal(fast.Count, 0);
    assert_ptr_equal(fast.Owner, KeGetCurrentThread());
    assert_false(other_gets_fast());
    ExReleaseFastMutex(&fast);
    assert_int_equal(KeGetCurrentIrql(), PASSIVE_LEVEL);
    assert_int_equal(fast.Count, 1);
    assert_null(fast.Owner);
    assert_true(other_gets_fast());
}

static void
fast__unsafe__leaves_the_irql(void **state)
{
    ExInitializeFastMutex(&fast);
    KeEnterCriticalRegion();
    ExAcquireFastMutexUnsafe(&fast);
    assert_int_equal(KeGetCurrentIrql(), PASSIVE_LEVEL);
    assert_false(other_gets_fast());
    ExReleaseFastMutexUnsafe(&fast);
    KeLeaveCriticalRegion();
    assert_true(other_gets_fast());
}

static void *
try_guarded(void *unused)
{
    other_got = KeTryToAcquireGuardedMutex(&guarded);
    assert_int_equal(KeAreAllApcsDisabled(), other_got);
    if (other_got)
        KeReleaseGuardedMutex(&guarded);
    return NULL;
}

static BOOLEAN
other_gets_guarded(void)
{
    pthread_join(start(try_guarded, NULL), NULL);
    return other_got;
}

static void
guarded__owned__in_a_guarded_region(void **state)
{
    KeInitializeGuardedMutex(&guarded);
    KeAcquireGuardedMutex(&guarded);
    assert_int_equal(KeGetCurrentIrql(), PASSIVE_LEVEL);
    assert_true(KeAreAllApcsDisabled());
    assert_true(KeAreApcsDisabled());
    assert_false(other_gets_guarded());
    KeReleaseGuardedMutex(&guarded);
    assert_false(KeAreAllApcsDisabled());
    assert_false(KeAreApcsDisabled());
    assert_true(other_gets_guarded());
    KeEnterGuardedRegion();
    KeAcquireGuardedMutexUnsafe(&guarded);
    assert_false(other_gets_guarded());
    KeReleaseGuardedMutexUnsafe(&guarded);
    assert_true(KeAreAllApcsDisabled());
    KeLeaveGuardedRegion();
    assert_true(other_gets_guarded());
}

static long fast_count, guarded_count;

static void *
count_up(void *unused)
{
    for (int i = 0; i < 1000; i++) {
        ExAcquireFastMutex(&fast);
        fast_count++;
        ExReleaseFastMutex(&fast);
        KeAcquireGuardedMutex(&guarded);
        guarded_count++;
        KeReleaseGuardedMutex(&guarded);
    }
    return NULL;
}

static void
both__four_threads__exclude_each_other(void **state)
{
    pthread_t threads[4];

    ExInitializeFastMutex(&fast);
    KeInitializeGuardedMutex(&guarded);
    for (int i = 0; i < 4; i++)
        threads[i] = start(count_up, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(fast_count, 4000);
    assert_int_equal(guarded_count, 4000);
    assert_int_equal(fast.Count, 1);
}

static void *
acquire_and_release(void *unused)
{
    ExAcquireFastMutex(&fast);
    ExReleaseFastMutex(&fast);
    return NULL;
}

static void
fast__one_waits__it_is_counted_and_gets_it(void **state)
{
    pthread_t other;

    ExInitializeFastMutex(&fast);
    ExAcquireFastMutex(&fast);
    other = start(acquire_and_release, NULL);
    eventually(waiters(&fast.Event) == 1);
    assert_int_equal(load(&fast.Contention), 1);
    ExReleaseFastMutex(&fast);
    pthread_join(other, NULL);
    assert_int_equal(fast.Count, 1);
}

#ifndef NDEBUG
static void
acquire_twice(void)
{
    ExInitializeFastMutex(&fast);
    ExAcquireFastMutex(&fast);
    ExAcquireFastMutex(&fast);
}

static void
unsafe_with_apcs(void)
{
    ExInitializeFastMutex(&fast);
    ExAcquireFastMutexUnsafe(&fast);
}

static void
release_unowned(void)
{
    KeInitializeGuardedMutex(&guarded);
    KeEnterGuardedRegion();
    KeReleaseGuardedMutex(&guarded);
}
#endif

static void
misuse__in_checked_builds__is_told(void **state)
{
#ifdef NDEBUG
    skip();
#else
    assert_dies(acquire_twice, "not acquired twice");
    assert_dies(unsafe_with_apcs, "in a critical region");
    assert_dies(release_unowned, "by the thread that owns it");
#endif
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast__owned__at_apc_level_and_nobody_else),
        cmocka_unit_test(fast__unsafe__leaves_the_irql),
        cmocka_unit_test(guarded__owned__in_a_guarded_region),
        cmocka_unit_test(both__four_threads__exclude_each_other),
        cmocka_unit_test(fast__one_waits__it_is_counted_and_gets_it),
        cmocka_unit_test(misuse__in_checked_builds__is_told),
    };

    return cmocka_run_group_tests(tests, NULL, end_ke);
}
