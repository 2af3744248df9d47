/*
 * event.c - events that have handles and names
 *
 * PASSIVE.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ob/ob_internal.h"

static PVOID
waitable_itself(PVOID object)
{
    return object;
}

struct _OBJECT_TYPE ob_event_type = {
    .name = OB_TYPE_NAME(L"Event"),
    .mapping = { STANDARD_RIGHTS_READ | EVENT_QUERY_STATE | EVENT_MODIFY_STATE,
                 STANDARD_RIGHTS_WRITE | EVENT_MODIFY_STATE,
                 STANDARD_RIGHTS_EXECUTE | SYNCHRONIZE, EVENT_ALL_ACCESS },
    .valid_access = EVENT_ALL_ACCESS,
    .destroy = ob_free,
    .waitable = waitable_itself,
};

NTSTATUS NTAPI
ZwCreateEvent(PHANDLE EventHandle, ACCESS_MASK DesiredAccess,
              POBJECT_ATTRIBUTES ObjectAttributes, EVENT_TYPE EventType,
              BOOLEAN InitialState)
{
    PKEVENT event;

    KE_IRQL(ZwCreateEvent);
    if (EventType != NotificationEvent && EventType != SynchronizationEvent)
        return STATUS_INVALID_PARAMETER;
    event = ob_create_object(&ob_event_type, sizeof *event);
    if (event == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeInitializeEvent(event, EventType, InitialState);
    return ob_insert_object(event, ObjectAttributes, DesiredAccess,
                            EventHandle);
}

NTSTATUS NTAPI
ZwOpenEvent(PHANDLE EventHandle, ACCESS_MASK DesiredAccess,
            POBJECT_ATTRIBUTES ObjectAttributes)
{
    KE_IRQL(ZwOpenEvent);
    return ob_open_object(ObjectAttributes, &ob_event_type, DesiredAccess, NULL,
                          EventHandle);
}

/* PreviousState may be NULL. */
NTSTATUS NTAPI
ZwSetEvent(HANDLE EventHandle, PLONG PreviousState)
{
    PVOID event;
    NTSTATUS status;
    LONG before;

    KE_IRQL(ZwSetEvent);
    status = ob_reference_handle(EventHandle, EVENT_MODIFY_STATE,
                                 &ob_event_type, KernelMode, &event, NULL);
    if (!NT_SUCCESS(status))
        return status;
    before = KeSetEvent(event, EVENT_INCREMENT, FALSE);
    if (PreviousState != NULL)
        *PreviousState = before;
    ObfDereferenceObject(event);
    return STATUS_SUCCESS;
}

/* Made signalled, or opened if somebody made it before.  The pointer is good
 * as long as the handle is open. */
static PKEVENT
named_event(PUNICODE_STRING name, EVENT_TYPE type, PHANDLE out_handle)
{
    OBJECT_ATTRIBUTES attributes;
    HANDLE handle;
    PVOID event;

    InitializeObjectAttributes(
        &attributes, name,
        OBJ_OPENIF | OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    if (!NT_SUCCESS(
            ZwCreateEvent(&handle, EVENT_ALL_ACCESS, &attributes, type, TRUE)))
        return NULL;
    if (!NT_SUCCESS(ob_reference_handle(handle, 0, &ob_event_type, KernelMode,
                                        &event, NULL)))
        return NULL;
    ObfDereferenceObject(event);
    *out_handle = handle;
    return event;
}

PKEVENT NTAPI
IoCreateNotificationEvent(PUNICODE_STRING EventName, PHANDLE EventHandle)
{
    KE_IRQL(IoCreateNotificationEvent);
    return named_event(EventName, NotificationEvent, EventHandle);
}

PKEVENT NTAPI
IoCreateSynchronizationEvent(PUNICODE_STRING EventName, PHANDLE EventHandle)
{
    KE_IRQL(IoCreateSynchronizationEvent);
    return named_event(EventName, SynchronizationEvent, EventHandle);
}
