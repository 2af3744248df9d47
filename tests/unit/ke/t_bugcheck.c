/*
 * Tests for src/ke/bugcheck.c: what the last words are.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

static void
bug_check(void)
{
    KeBugCheckEx(MULTIPLE_IRP_COMPLETE_REQUESTS, 0x11, 0x22, 0x33,
                 (ULONG_PTR) 0x8899AABBCCDDull);
}

static void
unknown_bug_check(void)
{
    KeBugCheckEx(0x12345678, 0, 0, 0, 0);
}

static void
failed_assertion(void)
{
    NT_ASSERT(1 + 1 == 3);
}

static void
paged_code(void)
{
    KeRaiseIrqlToDpcLevel();
    PAGED_CODE();
}

static void
own_rule(void)
{
    ke_rule_broken("tea is served", NULL);
}

static void
last_words__name_the_cause(void **state)
{
    assert_dies(bug_check,
                "*** STOP 0x00000044 MULTIPLE_IRP_COMPLETE_REQUESTS (0x11, "
                "0x22, 0x33, 0x8899AABBCCDD)\n");
    assert_dies(unknown_bug_check, "*** STOP 0x12345678 ");
    assert_dies(failed_assertion, "assertion failed: 1 + 1 == 3, ");
    assert_dies(paged_code, "(IRQL is 2)");
    assert_dies(own_rule,
                "rule routine-contract: tea is served (IRQL is 0, caller ");
}

static void
names_the_culprit(const void *irp, char *out_text, size_t max)
{
    snprintf(out_text, max, "driver of %d", irp != NULL ? *(int *) irp : 0);
}

static void
bug_check_with_culprit(void)
{
    int irp = 17;

    ke_set_culprit(names_the_culprit);
    KeBugCheckEx(NO_MORE_IRP_STACK_LOCATIONS, (ULONG_PTR) &irp, 0, 0, 0);
}

static void
rule_with_culprit(void)
{
    ke_set_culprit(names_the_culprit);
    own_rule();
}

static void
wait_at_dispatch(void)
{
    KEVENT event;

    KeInitializeEvent(&event, NotificationEvent, TRUE);
    KeRaiseIrqlToDpcLevel();
    KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
}

static void
wait_at_dispatch_unchecked(void)
{
    ke_checks = false;
    wait_at_dispatch();
    bug_check();
}

static void
last_words__rule_and_culprit_in_one_line(void **state)
{
    assert_dies(bug_check_with_culprit,
                "rule irp-no-location: driver of 17; an IRP has a stack "
                "location for each driver\n*** STOP 0x00000035 ");
    assert_dies(rule_with_culprit,
                "rule routine-contract: driver of 0; tea is served (");
    assert_dies(wait_at_dispatch,
                "rule irql: KeWaitForSingleObject: IRQL <= APC_LEVEL (IRQL is "
                "2, caller ");
    assert_dies(wait_at_dispatch_unchecked, "*** STOP 0x00000044 ");
}

static void
print_and_die(void)
{
    assert_int_equal(DbgPrint("drive %d: %s\n", 3, "away"), STATUS_SUCCESS);
    KdPrint(("%s\n", "also this"));
    bug_check();
}

static void
print__goes_to_stderr(void **state)
{
    assert_dies(print_and_die,
                "drive 3: away\nalso this\nrule irp-double-complete: ");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_words__name_the_cause),
        cmocka_unit_test(last_words__rule_and_culprit_in_one_line),
        cmocka_unit_test(print__goes_to_stderr),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
