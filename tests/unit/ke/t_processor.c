/*
 * Tests for src/ke/processor.c, queued_lock.c and what wdm.h has beyond the
 * other files' tests: mutants, pulses, importance of DPCs, bug check callbacks,
 * guarded regions.  Expectations from the routines' pages.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/unit/ke/helper.h"

static void
processors__asked__are_consistent(void **state)
{
    KAFFINITY active;
    ULONG count = KeQueryActiveProcessorCount(&active);

    assert_true(count >= 1 && count <= 64);
    assert_true(active == KeQueryActiveProcessors());
    assert_int_equal(__builtin_popcountll(active), count);
    assert_int_equal(KeQueryActiveProcessorCount(NULL), count);
    assert_true(KeGetCurrentProcessorNumber() < 64);
    assert_true(KeGetRecommendedSharedDataAlignment() >= 16);
}

static void
priority__set__is_returned(void **state)
{
    PKTHREAD me = KeGetCurrentThread();

    assert_int_equal(KeQueryPriorityThread(me), 8);
    assert_int_equal(KeSetPriorityThread(me, LOW_REALTIME_PRIORITY), 8);
    assert_int_equal(KeQueryPriorityThread(me), 16);
    assert_int_equal(KeSetPriorityThread(me, 8), 16);
}

static void
stall__takes_at_least_its_time(void **state)
{
    struct timespec a, b;

    clock_gettime(CLOCK_MONOTONIC, &a);
    KeStallExecutionProcessor(50);
    clock_gettime(CLOCK_MONOTONIC, &b);
    assert_true((b.tv_sec - a.tv_sec) * 1000000000ll + b.tv_nsec - a.tv_nsec >=
                50000);
}

/* --- queued locks --------------------------------------------------------- */

static KSPIN_LOCK lock;
static long counter;

static void *
count_up(void *unused)
{
    KLOCK_QUEUE_HANDLE handle;

    for (int i = 0; i < 1000; i++) {
        KeAcquireInStackQueuedSpinLock(&lock, &handle);
        counter++;
        KeReleaseInStackQueuedSpinLock(&handle);
    }
    return NULL;
}

static void
queued_lock__four_threads__exclude_each_other(void **state)
{
    KLOCK_QUEUE_HANDLE handle;
    pthread_t threads[4];
    KIRQL irql;

    KeInitializeSpinLock(&lock);
    for (int i = 0; i < 4; i++)
        threads[i] = start(count_up, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(counter, 4000);
    KeAcquireInStackQueuedSpinLock(&lock, &handle);
    assert_int_equal(KeGetCurrentIrql(), DISPATCH_LEVEL);
    assert_false(KeTestSpinLock(&lock));
    KeReleaseInStackQueuedSpinLock(&handle);
    assert_int_equal(KeGetCurrentIrql(), PASSIVE_LEVEL);
    assert_true(KeTestSpinLock(&lock));
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    KeAcquireInStackQueuedSpinLockAtDpcLevel(&lock, &handle);
    KeReleaseInStackQueuedSpinLockFromDpcLevel(&handle);
    assert_true(KeTryToAcquireSpinLockAtDpcLevel(&lock));
    assert_false(KeTryToAcquireSpinLockAtDpcLevel(&lock));
    KeReleaseSpinLockFromDpcLevel(&lock);
    KeLowerIrql(irql);
}

/* --- mutants and pulses --------------------------------------------------- */

static KMUTANT mutant;
static NTSTATUS other_status;

static void *
try_it(void *unused)
{
    other_status = wait_ms(&mutant, 0);
    if (other_status != STATUS_TIMEOUT)
        KeReleaseMutant(&mutant, IO_NO_INCREMENT, FALSE, FALSE);
    return NULL;
}

static NTSTATUS
other_thread_gets(void)
{
    pthread_join(start(try_it, NULL), NULL);
    return other_status;
}

static void
mutant__initial_owner__has_it_with_apcs(void **state)
{
    KeInitializeMutant(&mutant, TRUE);
    assert_int_equal(KeReadStateMutant(&mutant), 0);
    assert_false(KeAreApcsDisabled());
    assert_int_equal(other_thread_gets(), STATUS_TIMEOUT);
    assert_int_equal(wait_ms(&mutant, 0), STATUS_SUCCESS);
    assert_int_equal(KeReleaseMutant(&mutant, 0, FALSE, FALSE), -1);
    assert_int_equal(KeReleaseMutant(&mutant, 0, FALSE, FALSE), 0);
    assert_int_equal(KeReadStateMutant(&mutant), 1);
    assert_int_equal(other_thread_gets(), STATUS_SUCCESS);
}

static void
mutant__released_abandoned__the_next_is_told(void **state)
{
    KeInitializeMutant(&mutant, FALSE);
    wait_forever(&mutant);
    wait_forever(&mutant);
    KeReleaseMutant(&mutant, 0, TRUE, FALSE);
    assert_int_equal(KeReadStateMutant(&mutant), 1);
    assert_int_equal(other_thread_gets(), STATUS_ABANDONED);
    assert_int_equal(other_thread_gets(), STATUS_SUCCESS);
}

static KEVENT event;

static void *
wait_for_event(void *unused)
{
    wait_forever(&event);
    return NULL;
}

static void
pulse__ends_the_waits_of_now_only(void **state)
{
    pthread_t threads[2];

    KeInitializeEvent(&event, NotificationEvent, FALSE);
    for (int i = 0; i < 2; i++)
        threads[i] = start(wait_for_event, NULL);
    eventually(waiters(&event) == 2);
    assert_int_equal(KePulseEvent(&event, IO_NO_INCREMENT, FALSE), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(KeReadStateEvent(&event), 0);
    KeSetEvent(&event, IO_NO_INCREMENT, FALSE);
    assert_int_not_equal(KePulseEvent(&event, IO_NO_INCREMENT, FALSE), 0);
    assert_int_equal(KeReadStateEvent(&event), 0);
}

/* --- DPCs ----------------------------------------------------------------- */

static int order[3], ran;
static KIRQL seen_irql[3];
static KEVENT block, blocked;

static VOID NTAPI
note(struct _KDPC *Dpc, PVOID DeferredContext, PVOID SystemArgument1,
     PVOID SystemArgument2)
{
    seen_irql[ran] = KeGetCurrentIrql();
    order[ran++] = (int) (ULONG_PTR) DeferredContext;
}

static VOID NTAPI
hold_up(struct _KDPC *Dpc, PVOID DeferredContext, PVOID SystemArgument1,
        PVOID SystemArgument2)
{
    KeSetEvent(&blocked, IO_NO_INCREMENT, FALSE);
    wait_forever(&block); /* a threaded DPC may */
}

static void
dpc__importance_and_kind__say_when_and_at_which_irql(void **state)
{
    KDPC gate, low, threaded, high;

    ran = 0;
    KeInitializeEvent(&block, NotificationEvent, FALSE);
    KeInitializeEvent(&blocked, NotificationEvent, FALSE);
    KeInitializeThreadedDpc(&gate, hold_up, NULL);
    KeInitializeDpc(&low, note, (PVOID) 1);
    KeSetImportanceDpc(&low, LowImportance);
    KeSetTargetProcessorDpc(&low, 0);
    KeInitializeThreadedDpc(&threaded, note, (PVOID) 2);
    KeInitializeDpc(&high, note, (PVOID) 3);
    KeSetImportanceDpc(&high, HighImportance);
    KeInsertQueueDpc(&gate, NULL, NULL);
    wait_forever(&blocked);
    KeInsertQueueDpc(&low, NULL, NULL);
    KeInsertQueueDpc(&threaded, NULL, NULL);
    KeInsertQueueDpc(&high, NULL, NULL);
    KeSetEvent(&block, IO_NO_INCREMENT, FALSE);
    KeFlushQueuedDpcs();
    assert_int_equal(ran, 3);
    assert_int_equal(order[0], 3);
    assert_int_equal(order[1], 1);
    assert_int_equal(order[2], 2);
    assert_int_equal(seen_irql[0], DISPATCH_LEVEL);
    assert_int_equal(seen_irql[2], PASSIVE_LEVEL);
}

static void
timer__coalescable__is_a_timer(void **state)
{
    KTIMER timer;

    KeInitializeTimer(&timer);
    assert_false(
        KeSetCoalescableTimer(&timer, relative_ms(100000), 0, 50, NULL));
    assert_true(KeCancelTimer(&timer));
    assert_true(KeQueryUnbiasedInterruptTime() <= KeQueryInterruptTime());
}

static void
guarded_region__all_apcs_are_held_off(void **state)
{
    KeEnterGuardedRegion();
    KeEnterGuardedRegion();
    KeLeaveGuardedRegion();
    assert_true(KeAreAllApcsDisabled());
    assert_true(KeAreApcsDisabled());
    KeLeaveGuardedRegion();
    assert_false(KeAreAllApcsDisabled());
    KeEnterCriticalRegion();
    assert_false(KeAreAllApcsDisabled());
    KeLeaveCriticalRegion();
}

/* --- the end -------------------------------------------------------------- */

static VOID NTAPI
last_words(PVOID Buffer, ULONG Length)
{
    DbgPrint("last words: %.*s at %u\n", (int) Length, (char *) Buffer,
             KeGetCurrentIrql());
}

static void
bug_check(void)
{
    static KBUGCHECK_CALLBACK_RECORD record, other;

    KeInitializeCallbackRecord(&record);
    KeInitializeCallbackRecord(&other);
    if (KeRegisterBugCheckCallback(&record, last_words, "bye", 3, NULL) &&
        !KeRegisterBugCheckCallback(&record, last_words, "bye", 3, NULL) &&
        KeRegisterBugCheckCallback(&other, last_words, "not", 3, NULL) &&
        KeDeregisterBugCheckCallback(&other) &&
        !KeDeregisterBugCheckCallback(&other))
        KeBugCheck(0x12345);
}

static void
bug_check__with_a_callback__calls_it_at_high_level(void **state)
{
    assert_dies(bug_check, "*** STOP 0x00012345");
    assert_dies(bug_check, "last words: bye at 15");
}

static void
print_by_level(void)
{
    DbgPrintEx(0, DPFLTR_ERROR_LEVEL, "shown ");
    DbgPrintEx(0, DPFLTR_INFO_LEVEL, "hidden ");
    DbgPrintEx(0, DPFLTR_ERROR_LEVEL, "%d\n", 7);
    DbgBreakPoint();
}

static void
print__errors_are_shown_and_a_breakpoint_ends(void **state)
{
    assert_dies(print_by_level, "shown 7");
    assert_dies(print_by_level, "0x80000003");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processors__asked__are_consistent),
        cmocka_unit_test(priority__set__is_returned),
        cmocka_unit_test(stall__takes_at_least_its_time),
        cmocka_unit_test(queued_lock__four_threads__exclude_each_other),
        cmocka_unit_test(mutant__initial_owner__has_it_with_apcs),
        cmocka_unit_test(mutant__released_abandoned__the_next_is_told),
        cmocka_unit_test(pulse__ends_the_waits_of_now_only),
        cmocka_unit_test(dpc__importance_and_kind__say_when_and_at_which_irql),
        cmocka_unit_test(timer__coalescable__is_a_timer),
        cmocka_unit_test(guarded_region__all_apcs_are_held_off),
        cmocka_unit_test(bug_check__with_a_callback__calls_it_at_high_level),
        cmocka_unit_test(print__errors_are_shown_and_a_breakpoint_ends),
    };

    return cmocka_run_group_tests(tests, NULL, end_ke);
}
