/*
 * object.c - objects: made, referenced, given back
 *
 * <= DISPATCH.  What destroys an object may need PASSIVE and sees to that
 * itself.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ob/ob_internal.h"

#include "ke/ke.h"

C_ASSERT(sizeof(struct ob_head) <= OB_HEAD);

PVOID
ob_create_object(POBJECT_TYPE type, SIZE_T size)
{
    struct ob_head *head =
        ExAllocatePoolWithTag(NonPagedPool, OB_HEAD + size, OB_TAG_OBJECT);

    if (head == NULL)
        return NULL;
    RtlZeroMemory(head, OB_HEAD + size);
    head->references = 1;
    head->type = type;
    return (char *) head + OB_HEAD;
}

void
ob_free(PVOID object)
{
    ExFreePoolWithTag(ob_head_of(object), OB_TAG_OBJECT);
}

void
ob_revive(PVOID object)
{
    __atomic_store_n(&ob_head_of(object)->references, 1, __ATOMIC_RELEASE);
}

/* --- references ----------------------------------------------------------- */

static void
say_misuse(enum ob_misuse what)
{
    ke_rule_broken(what == OB_DEAD
                       ? "an object was referenced after its last reference "
                         "went (ObReferenceObject)"
                       : "an object was dereferenced too often "
                         "(ObDereferenceObject)",
                   __builtin_return_address(0));
}

static ob_misuse_fn *on_misuse = say_misuse;

void
ob_set_misuse(ob_misuse_fn *fn)
{
    on_misuse = fn;
}

/* Both return the count of this moment (of threads: 1), which is reserved. */
LONG_PTR FASTCALL
ObfReferenceObject(PVOID Object)
{
    struct ob_head *head = ob_head_of(Object);
    LONG before;

    if (head->type == NULL) {
        ke_thread_ref(Object);
        return 1;
    }
    before = __atomic_fetch_add(&head->references, 1, __ATOMIC_RELAXED);
    if (__builtin_expect(before <= 0, 0))
        on_misuse(OB_DEAD);
    return (LONG_PTR) before + 1;
}

static LONG
drop(PVOID object)
{
    LONG after = __atomic_sub_fetch(&ob_head_of(object)->references, 1,
                                    __ATOMIC_ACQ_REL);

    if (__builtin_expect(after < 0, 0))
        on_misuse(OB_OVER_RELEASED);
    return after;
}

LONG_PTR FASTCALL
ObfDereferenceObject(PVOID Object)
{
    struct ob_head *head = ob_head_of(Object);
    LONG left;

    if (head->type == NULL) {
        ke_thread_unref(Object);
        return 1;
    }
    left = drop(Object);
    if (left == 0)
        head->type->destroy(Object);
    return left;
}

/* --- later ---------------------------------------------------------------- */

static PVOID later; /* atomic: objects to destroy, linked by head->name */

static VOID NTAPI
destroy_later(PVOID parameter)
{
    PVOID object = __atomic_exchange_n(&later, NULL, __ATOMIC_ACQUIRE);

    UNREFERENCED_PARAMETER(parameter);
    while (object != NULL) {
        struct ob_head *head = ob_head_of(object);
        PVOID next = head->name;

        head->name = NULL;
        head->type->destroy(object);
        object = next;
    }
}

static WORK_QUEUE_ITEM later_work = { .WorkerRoutine = destroy_later };

/* For callers that hold a lock which the object's end takes as well. */
VOID NTAPI
ObDereferenceObjectDeferDelete(PVOID Object)
{
    struct ob_head *head = ob_head_of(Object);
    PVOID first;

    if (head->type == NULL) {
        ke_thread_unref(Object);
        return;
    }
    if (drop(Object) != 0)
        return;
    /* A name holds a reference, so nothing is named here any more. */
    first = __atomic_load_n(&later, __ATOMIC_RELAXED);
    do
        head->name = first;
    while (!__atomic_compare_exchange_n(&later, &first, Object, false,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    /* Only the one that finds the list empty queues the item: the worker takes
     * the whole list, and the item may be queued again once it runs. */
    if (first == NULL)
        ExQueueWorkItem(&later_work, DelayedWorkQueue);
}

/* --- by pointer ----------------------------------------------------------- */

/* A NULL type is allowed for KernelMode. */
NTSTATUS NTAPI
ObReferenceObjectByPointer(PVOID Object, ACCESS_MASK DesiredAccess,
                           POBJECT_TYPE ObjectType, KPROCESSOR_MODE AccessMode)
{
    UNREFERENCED_PARAMETER(DesiredAccess);
    if (ObjectType == NULL ? AccessMode != KernelMode
                           : ob_type_of(Object) != ObjectType)
        return STATUS_OBJECT_TYPE_MISMATCH;
    ObfReferenceObject(Object);
    return STATUS_SUCCESS;
}

POBJECT_TYPE NTAPI
ObGetObjectType(PVOID Object)
{
    return ob_type_of(Object);
}

/* --- rights --------------------------------------------------------------- */

ACCESS_MASK
ob_map_access(POBJECT_TYPE type, ACCESS_MASK access)
{
    const GENERIC_MAPPING *map = &type->mapping;

    if (access & GENERIC_READ)
        access |= map->GenericRead;
    if (access & GENERIC_WRITE)
        access |= map->GenericWrite;
    if (access & GENERIC_EXECUTE)
        access |= map->GenericExecute;
    if (access & (GENERIC_ALL | MAXIMUM_ALLOWED))
        access |= map->GenericAll;
    return access & ~(GENERIC_READ | GENERIC_WRITE | GENERIC_EXECUTE |
                      GENERIC_ALL | MAXIMUM_ALLOWED);
}
