/*
 * object.c - reference counts of devices, drivers and files
 *
 * The count lies before the object, as in NT.  <= DISPATCH; what destroys an
 * object may need PASSIVE and sees to that itself.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

PVOID
io_object_new(LONG kind, SIZE_T size, void (*destroy)(PVOID object))
{
    struct io_object *head;

    C_ASSERT(sizeof(struct io_object) <= IO_OBJECT_HEAD);
    head = ExAllocatePoolWithTag(NonPagedPool, IO_OBJECT_HEAD + size,
                                 IO_TAG_OBJECT);
    if (head == NULL)
        return NULL;
    RtlZeroMemory(head, IO_OBJECT_HEAD + size);
    head->references = 1;
    head->kind = kind;
    head->destroy = destroy;
    return (char *) head + IO_OBJECT_HEAD;
}

/* Threads have their own count: the Type of their dispatcher header is none of
 * ours. */
static bool
is_ours(PVOID object)
{
    CSHORT type = *(CSHORT *) object;

    return type == IO_TYPE_DEVICE || type == IO_TYPE_DRIVER ||
           type == IO_TYPE_FILE;
}

VOID FASTCALL
ObfReferenceObject(PVOID Object)
{
    LONG before;

    if (!is_ours(Object)) {
        ke_thread_ref(Object);
        return;
    }
    before = __atomic_fetch_add(&io_object_of(Object)->references, 1,
                                __ATOMIC_RELAXED);
    if (IO_UNLIKELY(before <= 0))
        io_rule_broken(DRIVER_VERIFIER_DETECTED_VIOLATION,
                       "an object was referenced after its last reference "
                       "went (ObReferenceObject)",
                       NULL, NULL);
}

VOID FASTCALL
ObfDereferenceObject(PVOID Object)
{
    struct io_object *head = io_object_of(Object);
    LONG after;

    if (!is_ours(Object)) {
        ke_thread_unref(Object);
        return;
    }
    after = __atomic_sub_fetch(&head->references, 1, __ATOMIC_ACQ_REL);
    if (IO_UNLIKELY(after < 0))
        io_rule_broken(DRIVER_VERIFIER_DETECTED_VIOLATION,
                       "an object was dereferenced too often "
                       "(ObDereferenceObject)",
                       NULL, NULL);
    if (after == 0)
        head->destroy(Object);
}
