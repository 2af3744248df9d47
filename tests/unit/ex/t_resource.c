/*
 * Tests for src/ex/resource.c; expectations from the pages of
 * ExAcquireResourceExclusiveLite, ExAcquireResourceSharedLite,
 * ExAcquireSharedStarveExclusive, ExAcquireSharedWaitForExclusive,
 * ExConvertExclusiveToSharedLite, ExReleaseResourceForThreadLite,
 * ExSetResourceOwnerPointer and "Introduction to ERESOURCE Routines".
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/unit/ke/helper.h"

static ERESOURCE resource;

/* The counts as the caller sees them. */
static void
check(ULONG exclusive_waiters, ULONG shared_waiters, int exclusive, ULONG count)
{
    assert_int_equal(ExGetExclusiveWaiterCount(&resource), exclusive_waiters);
    assert_int_equal(ExGetSharedWaiterCount(&resource), shared_waiters);
    assert_int_equal(ExIsResourceAcquiredExclusiveLite(&resource), exclusive);
    assert_int_equal(ExIsResourceAcquiredSharedLite(&resource), count);
}

static int
set_up(void **state)
{
    memset(&resource, 0xCC, sizeof resource);
    KeEnterCriticalRegion();
    return ExInitializeResourceLite(&resource) == STATUS_SUCCESS ? 0 : -1;
}

static int
tear_down(void **state)
{
    ExDeleteResourceLite(&resource);
    KeLeaveCriticalRegion();
    return ke_pool_report(stderr) == 0 ? 0 : -1;
}

static void
exclusive__its_owner__gets_either_kind_again(void **state)
{
    check(0, 0, FALSE, 0);
    assert_true(ExAcquireResourceExclusiveLite(&resource, FALSE));
    check(0, 0, TRUE, 1);
    assert_true(ExAcquireResourceExclusiveLite(&resource, TRUE));
    assert_true(ExAcquireResourceSharedLite(&resource, FALSE));
    assert_true(ExAcquireSharedStarveExclusive(&resource, FALSE));
    assert_true(ExAcquireSharedWaitForExclusive(&resource, FALSE));
    assert_true(ExTryToAcquireResourceExclusiveLite(&resource));
    check(0, 0, TRUE, 6);
    assert_true((resource.Flag & ResourceOwnedExclusive) != 0);
    for (ULONG left = 5; left != 0; left--) {
        ExReleaseResourceLite(&resource);
        check(0, 0, TRUE, left);
    }
    ExReleaseResourceForThreadLite(&resource, ExGetCurrentResourceThread());
    check(0, 0, FALSE, 0);
    assert_int_equal(resource.ActiveCount, 0);
    assert_int_equal(resource.ContentionCount, 0);
}

static void
shared__its_owner__gets_shared_again_and_never_exclusive(void **state)
{
    assert_true(ExAcquireResourceSharedLite(&resource, FALSE));
    assert_true(ExAcquireResourceSharedLite(&resource, TRUE));
    assert_true(ExAcquireSharedStarveExclusive(&resource, FALSE));
    assert_true(ExAcquireSharedWaitForExclusive(&resource, FALSE));
    assert_false(ExAcquireResourceExclusiveLite(&resource, FALSE));
    check(0, 0, FALSE, 4);
    assert_true((resource.Flag & ResourceOwnedExclusive) == 0);
    for (int i = 0; i < 4; i++)
        ExReleaseResourceLite(&resource);
    check(0, 0, FALSE, 0);
}

/* --- another thread ------------------------------------------------------- */

enum how { EXCLUSIVE, SHARED, STARVE, WAIT_FOR };

struct other {
    enum how how;
    BOOLEAN wait;
    BOOLEAN got; /* atomic */
    KEVENT let_go;
    pthread_t id;
};

static BOOLEAN
acquire(enum how how, BOOLEAN wait)
{
    switch (how) {
    case EXCLUSIVE:
        return ExAcquireResourceExclusiveLite(&resource, wait);
    case SHARED:
        return ExAcquireResourceSharedLite(&resource, wait);
    case STARVE:
        return ExAcquireSharedStarveExclusive(&resource, wait);
    default:
        return ExAcquireSharedWaitForExclusive(&resource, wait);
    }
}

static void *
other_main(void *argument)
{
    struct other *me = argument;

    KeEnterCriticalRegion();
    if (acquire(me->how, me->wait)) {
        __atomic_store_n(&me->got, TRUE, __ATOMIC_RELEASE);
        wait_forever(&me->let_go);
        ExReleaseResourceLite(&resource);
    }
    KeLeaveCriticalRegion();
    return NULL;
}

static void
other_starts(struct other *other, enum how how, BOOLEAN wait)
{
    *other = (struct other){ .how = how, .wait = wait };
    KeInitializeEvent(&other->let_go, NotificationEvent, FALSE);
    other->id = start(other_main, other);
}

static void
other_ends(struct other *other)
{
    KeSetEvent(&other->let_go, IO_NO_INCREMENT, FALSE);
    pthread_join(other->id, NULL);
}

static BOOLEAN
other_gets_at_once(enum how how)
{
    struct other other;

    other_starts(&other, how, FALSE);
    other_ends(&other);
    return other.got;
}

static void
others__try__get_what_the_documentation_says(void **state)
{
    assert_true(other_gets_at_once(EXCLUSIVE));
    ExAcquireResourceSharedLite(&resource, TRUE);
    assert_false(other_gets_at_once(EXCLUSIVE));
    assert_true(other_gets_at_once(SHARED));
    assert_true(other_gets_at_once(STARVE));
    assert_true(other_gets_at_once(WAIT_FOR));
    ExReleaseResourceLite(&resource);
    ExAcquireResourceExclusiveLite(&resource, TRUE);
    assert_false(other_gets_at_once(EXCLUSIVE));
    assert_false(other_gets_at_once(SHARED));
    assert_false(other_gets_at_once(STARVE));
    assert_false(other_gets_at_once(WAIT_FOR));
    check(0, 0, TRUE, 1);
    ExReleaseResourceLite(&resource);
}

static void
exclusive_waiter__while_shared__holds_off_all_but_starvers(void **state)
{
    struct other writer;

    ExAcquireResourceSharedLite(&resource, TRUE);
    other_starts(&writer, EXCLUSIVE, TRUE);
    eventually(ExGetExclusiveWaiterCount(&resource) == 1);
    check(1, 0, FALSE, 1);
    assert_int_equal(resource.ContentionCount, 1);
    assert_false(other_gets_at_once(SHARED));
    assert_false(other_gets_at_once(WAIT_FOR));
    assert_true(other_gets_at_once(STARVE));
    /* the owner: again, but not behind the one who waits */
    assert_true(ExAcquireResourceSharedLite(&resource, FALSE));
    assert_true(ExAcquireSharedStarveExclusive(&resource, FALSE));
    assert_false(ExAcquireSharedWaitForExclusive(&resource, FALSE));
    check(1, 0, FALSE, 3);
    for (int i = 0; i < 3; i++) {
        assert_false(load(&writer.got));
        ExReleaseResourceLite(&resource);
    }
    eventually(load(&writer.got));
    check(0, 0, FALSE, 0);
    assert_false(ExAcquireResourceSharedLite(&resource, FALSE));
    other_ends(&writer);
    assert_true(ExAcquireResourceSharedLite(&resource, FALSE));
    ExReleaseResourceLite(&resource);
}

static void
shared_waiters__behind_a_writer__get_it_all_at_once(void **state)
{
    struct other readers[6];

    ExAcquireResourceExclusiveLite(&resource, TRUE);
    for (int i = 0; i < 6; i++)
        other_starts(&readers[i], SHARED, TRUE);
    eventually(ExGetSharedWaiterCount(&resource) == 6);
    check(0, 6, TRUE, 1);
    ExReleaseResourceLite(&resource);
    for (int i = 0; i < 6; i++)
        eventually(load(&readers[i].got));
    check(0, 0, FALSE, 0);
    assert_false(ExAcquireResourceExclusiveLite(&resource, FALSE));
    for (int i = 0; i < 6; i++)
        other_ends(&readers[i]);
    assert_true(ExAcquireResourceExclusiveLite(&resource, FALSE));
    ExReleaseResourceLite(&resource);
}

static void
convert__readers_wait__they_share_and_a_writer_goes_on_waiting(void **state)
{
    struct other writer, reader;

    ExAcquireResourceExclusiveLite(&resource, TRUE);
    other_starts(&writer, EXCLUSIVE, TRUE);
    eventually(ExGetExclusiveWaiterCount(&resource) == 1);
    other_starts(&reader, SHARED, TRUE);
    eventually(ExGetSharedWaiterCount(&resource) == 1);
    ExConvertExclusiveToSharedLite(&resource);
    eventually(load(&reader.got));
    check(1, 0, FALSE, 1);
    ExReleaseResourceLite(&resource);
    assert_false(load(&writer.got));
    other_ends(&reader);
    eventually(load(&writer.got));
    other_ends(&writer);
}

static void *
release_for_pointer(void *pointer)
{
    ExReleaseResourceForThreadLite(&resource, (ERESOURCE_THREAD) pointer);
    return NULL;
}

static void
owner_pointer__set__is_released_by_any_thread(void **state)
{
    static LONG anchor;
    PVOID pointer = (PVOID) ((ULONG_PTR) &anchor | 3);

    ExAcquireResourceSharedLite(&resource, TRUE);
    ExSetResourceOwnerPointer(&resource, pointer);
    check(0, 0, FALSE, 0);
    assert_false(ExAcquireResourceExclusiveLite(&resource, FALSE));
    pthread_join(start(release_for_pointer, pointer), NULL);
    assert_true(ExAcquireResourceExclusiveLite(&resource, FALSE));
    ExSetResourceOwnerPointer(&resource, pointer);
    assert_false(ExAcquireResourceExclusiveLite(&resource, FALSE));
    pthread_join(start(release_for_pointer, pointer), NULL);
    check(0, 0, FALSE, 0);
}

static void
reinitialize__after_use__is_as_new(void **state)
{
    struct other writer;

    ExAcquireResourceSharedLite(&resource, TRUE);
    other_starts(&writer, EXCLUSIVE, TRUE);
    eventually(ExGetExclusiveWaiterCount(&resource) == 1);
    ExReleaseResourceLite(&resource);
    other_ends(&writer);
    assert_int_equal(ExReinitializeResourceLite(&resource), STATUS_SUCCESS);
    assert_int_equal(resource.ContentionCount, 0);
    assert_true(ExAcquireResourceExclusiveLite(&resource, FALSE));
    ExReleaseResourceLite(&resource);
}

static void
critical_region__with_the_acquire__is_left_with_the_release(void **state)
{
    KeLeaveCriticalRegion();
    assert_false(KeAreApcsDisabled());
    ExEnterCriticalRegionAndAcquireResourceExclusive(&resource);
    assert_true(KeAreApcsDisabled());
    check(0, 0, TRUE, 1);
    ExReleaseResourceAndLeaveCriticalRegion(&resource);
    assert_false(KeAreApcsDisabled());
    ExEnterCriticalRegionAndAcquireResourceShared(&resource);
    ExEnterCriticalRegionAndAcquireSharedWaitForExclusive(&resource);
    check(0, 0, FALSE, 2);
    ExReleaseResourceAndLeaveCriticalRegion(&resource);
    ExReleaseResourceAndLeaveCriticalRegion(&resource);
    assert_false(KeAreApcsDisabled());
    KeEnterCriticalRegion();
}

/* --- many threads --------------------------------------------------------- */

static long value, copy;

static void *
read_and_write(void *unused)
{
    KeEnterCriticalRegion();
    for (int i = 0; i < 300; i++) {
        acquire((enum how)(SHARED + i % 3), TRUE);
        assert_int_equal(value, copy);
        ExReleaseResourceLite(&resource);
        acquire(EXCLUSIVE, TRUE);
        value++;
        copy++;
        if (i % 7 == 0) {
            ExConvertExclusiveToSharedLite(&resource);
            assert_int_equal(value, copy);
        }
        ExReleaseResourceLite(&resource);
    }
    KeLeaveCriticalRegion();
    return NULL;
}

static void
threads__read_and_write__never_together(void **state)
{
    pthread_t threads[4];

    value = copy = 0;
    for (int i = 0; i < 4; i++)
        threads[i] = start(read_and_write, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(value, 1200);
    check(0, 0, FALSE, 0);
}

/* --- broken rules --------------------------------------------------------- */

static void
release_unowned(void)
{
    ExInitializeResourceLite(&resource);
    ExReleaseResourceLite(&resource);
}

#ifndef NDEBUG
static void
acquire_with_apcs(void)
{
    ExInitializeResourceLite(&resource);
    KeLeaveCriticalRegion();
    ExAcquireResourceSharedLite(&resource, TRUE);
}

static void
wait_for_itself(void)
{
    ExInitializeResourceLite(&resource);
    ExAcquireResourceSharedLite(&resource, TRUE);
    ExAcquireResourceExclusiveLite(&resource, TRUE);
}

static void
delete_owned(void)
{
    ExInitializeResourceLite(&resource);
    ExAcquireResourceSharedLite(&resource, TRUE);
    ExDeleteResourceLite(&resource);
}
#endif

static void
misuse__is_a_bug_check(void **state)
{
    assert_dies(release_unowned, "RESOURCE_NOT_OWNED");
#ifndef NDEBUG
    assert_dies(acquire_with_apcs, "in a critical region");
    assert_dies(wait_for_itself, "does not wait for exclusive");
    assert_dies(delete_owned, "no owners");
#endif
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(exclusive__its_owner__gets_either_kind_again),
        TEST(shared__its_owner__gets_shared_again_and_never_exclusive),
        TEST(others__try__get_what_the_documentation_says),
        TEST(exclusive_waiter__while_shared__holds_off_all_but_starvers),
        TEST(shared_waiters__behind_a_writer__get_it_all_at_once),
        TEST(convert__readers_wait__they_share_and_a_writer_goes_on_waiting),
        TEST(owner_pointer__set__is_released_by_any_thread),
        TEST(reinitialize__after_use__is_as_new),
        TEST(critical_region__with_the_acquire__is_left_with_the_release),
        TEST(threads__read_and_write__never_together),
        TEST(misuse__is_a_bug_check),
    };

    return cmocka_run_group_tests(tests, NULL, end_ke);
}
