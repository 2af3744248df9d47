/*
 * Tests for src/ob/object.c; expectations from the pages of ObReferenceObject,
 * ObReferenceObjectByPointer and ObDereferenceObjectDeferDelete.
 *
 * SPDX-License-Identifier: MIT
 */
#include "helper.h"

static LONG destroyed;
static BOOLEAN on_worker;

static void
destroy(PVOID object)
{
    __atomic_store_n(&on_worker, PsIsSystemThread(PsGetCurrentThread()),
                     __ATOMIC_RELAXED);
    ob_free(object);
    __atomic_add_fetch(&destroyed, 1, __ATOMIC_RELEASE);
}

static struct _OBJECT_TYPE thing_type = {
    .name = OB_TYPE_NAME(L"Thing"),
    .mapping = { 1, 2, 4, 7 },
    .valid_access = 7,
    .destroy = destroy,
};

static void
object__last_reference__destroys_it(void **state)
{
    char *thing = ob_create_object(&thing_type, 100);

    destroyed = 0;
    for (int i = 0; i < 100; i++)
        assert_int_equal(thing[i], 0);
    assert_int_equal((uintptr_t) thing % 16, 0);
    assert_int_equal(ObfReferenceObject(thing), 2);
    assert_int_equal(ObfDereferenceObject(thing), 1);
    assert_int_equal(destroyed, 0);
    assert_int_equal(ObfDereferenceObject(thing), 0);
    assert_int_equal(destroyed, 1);
}

static void
defer_delete__destroys_on_a_worker(void **state)
{
    enum { COUNT = 200 };
    PVOID things[COUNT];

    destroyed = 0;
    for (int i = 0; i < COUNT; i++)
        things[i] = ob_create_object(&thing_type, 8);
    ObReferenceObject(things[0]);
    ObDereferenceObjectDeferDelete(things[0]);
    for (int i = 0; i < COUNT; i++) {
        KIRQL irql = KeRaiseIrqlToDpcLevel();

        ObDereferenceObjectDeferDelete(things[i]);
        KeLowerIrql(irql);
    }
    ke_shutdown();
    ke_init();
    assert_int_equal(__atomic_load_n(&destroyed, __ATOMIC_ACQUIRE), COUNT);
    assert_true(on_worker);
}

static void
by_pointer__checks_the_type(void **state)
{
    PVOID thing = ob_create_object(&thing_type, 8);
    PETHREAD thread = PsGetCurrentThread();

    destroyed = 0;
    assert_int_equal(
        ObReferenceObjectByPointer(thing, 0, &thing_type, UserMode),
        STATUS_SUCCESS);
    assert_int_equal(ObReferenceObjectByPointer(thing, 0, NULL, KernelMode),
                     STATUS_SUCCESS);
    assert_int_equal(ObReferenceObjectByPointer(thing, 0, NULL, UserMode),
                     STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(
        ObReferenceObjectByPointer(thing, 0, *PsThreadType, KernelMode),
        STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(
        ObReferenceObjectByPointer(thread, 0, *PsThreadType, KernelMode),
        STATUS_SUCCESS);
    ObDereferenceObject(thread);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(destroyed, 0);
        ObDereferenceObject(thing);
    }
    assert_int_equal(destroyed, 1);
    assert_ptr_equal(ObGetObjectType(PsGetCurrentProcess()), *PsProcessType);
}

static enum ob_misuse misuse;
static jmp_buf out;

static void
remember(enum ob_misuse what)
{
    misuse = what;
    longjmp(out, 1);
}

static void
counted_wrongly__is_noticed(void **state)
{
    static struct {
        char head[OB_HEAD];
        char body[16];
    } gone __attribute__((aligned(16)));

    ob_set_misuse(remember);
    ((struct ob_head *) gone.head)->type = &thing_type;
    if (setjmp(out) == 0) {
        ObReferenceObject(gone.body);
        fail();
    }
    assert_int_equal(misuse, OB_DEAD);
    ((struct ob_head *) gone.head)->references = 0;
    if (setjmp(out) == 0) {
        ObDereferenceObject(gone.body);
        fail();
    }
    assert_int_equal(misuse, OB_OVER_RELEASED);
}

static void
rights__generic__are_mapped(void **state)
{
    assert_int_equal(ob_map_access(&thing_type, GENERIC_READ), 1);
    assert_int_equal(ob_map_access(&thing_type, GENERIC_WRITE | 1), 3);
    assert_int_equal(ob_map_access(&thing_type, GENERIC_EXECUTE), 4);
    assert_int_equal(ob_map_access(&thing_type, GENERIC_ALL), 7);
    assert_int_equal(ob_map_access(&thing_type, MAXIMUM_ALLOWED), 7);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(object__last_reference__destroys_it),
        cmocka_unit_test(defer_delete__destroys_on_a_worker),
        cmocka_unit_test(by_pointer__checks_the_type),
        cmocka_unit_test(counted_wrongly__is_noticed),
        cmocka_unit_test(rights__generic__are_mapped),
    };

    return cmocka_run_group_tests(tests, ob_setup, ob_teardown);
}
