/*
 * type.c - the types that belong to no other room, and the room's start and end
 *
 * SPDX-License-Identifier: MIT
 */
#include "ob/ob_internal.h"

/* --- threads, the process ------------------------------------------------- */

static void
destroy_never(PVOID object)
{
    ob_revive(object);
}

static PVOID
waitable_itself(PVOID object)
{
    return object;
}

/* ke counts threads and frees them. */
struct _OBJECT_TYPE ob_thread_type = {
    .name = OB_TYPE_NAME(L"Thread"),
    .mapping = { STANDARD_RIGHTS_READ, STANDARD_RIGHTS_WRITE,
                 STANDARD_RIGHTS_EXECUTE | SYNCHRONIZE, THREAD_ALL_ACCESS },
    .valid_access = THREAD_ALL_ACCESS,
    .destroy = destroy_never,
    .waitable = waitable_itself,
};

struct _OBJECT_TYPE ob_process_type = {
    .name = OB_TYPE_NAME(L"Process"),
    .mapping = { STANDARD_RIGHTS_READ, STANDARD_RIGHTS_WRITE,
                 STANDARD_RIGHTS_EXECUTE | SYNCHRONIZE, PROCESS_ALL_ACCESS },
    .valid_access = PROCESS_ALL_ACCESS,
    .destroy = destroy_never,
    .waitable = waitable_itself,
};

static struct {
    union {
        struct ob_head head;
        char space[OB_HEAD];
    };
    KEVENT body; /* never signalled: it ends with us */
} process __attribute__((aligned(16))) = {
    .head = { .references = 1, .type = &ob_process_type },
    .body.Header = { .Type = 3, /* a process, to whoever looks */
                     .WaitListHead = { &process.body.Header.WaitListHead,
                                       &process.body.Header.WaitListHead } },
};

PEPROCESS
ob_system_process(void)
{
    return (PEPROCESS) &process.body;
}

PEPROCESS NTAPI
IoGetCurrentProcess(VOID)
{
    return ob_system_process();
}

/* --- exported data -------------------------------------------------------- */

static POBJECT_TYPE event_type = &ob_event_type;
static POBJECT_TYPE thread_type = &ob_thread_type;
static POBJECT_TYPE process_type = &ob_process_type;

POBJECT_TYPE *ExEventObjectType = &event_type;
POBJECT_TYPE *PsThreadType = &thread_type;
POBJECT_TYPE *PsProcessType = &process_type;

/* --- life ----------------------------------------------------------------- */

NTSTATUS
ob_init(void)
{
    return ob_names_init();
}

void
ob_shutdown(void)
{
    ob_handles_shutdown();
    ob_names_shutdown();
}
