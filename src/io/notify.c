/*
 * notify.c - plug and play notifications: changes of a target device (media,
 *            eject requests, removal) and of device interfaces
 *
 * What a driver reports waits in a queue, one for each PDO and one for all
 * interfaces, and is delivered by a worker, in order; each registration in the
 * order it was made.  Who reports and waits (a query for removal) waits for its
 * turn in the same queue, so a callback sees everything in order.
 *
 * A registration is for the PDO at the bottom of the file's stack (NT asks the
 * stack for its TargetDeviceRelation, which is the same device).
 *
 * Lock: note_lock, over the list of registrations and the queues; not held
 * while a callback runs.
 *
 * SPDX-License-Identifier: MIT
 */
#define INITGUID
#include "io/io_internal.h"

#include <wdmguid.h>

struct registration {
    LIST_ENTRY entry;
    IO_NOTIFICATION_EVENT_CATEGORY category;
    PDEVICE_OBJECT pdo; /* target: holds a reference */
    PFILE_OBJECT file;  /* target; borrowed: unregister before it is closed */
    GUID class;         /* interfaces */
    PDRIVER_OBJECT driver; /* holds a reference, or NULL */
    PDRIVER_NOTIFICATION_CALLBACK_ROUTINE callback;
    PVOID context;
    PETHREAD running; /* the thread that is in the callback */
    bool asked;       /* whether the device may be removed */
    bool removed;
    bool worker_frees; /* unregistered by its own callback */
    KEVENT returned;   /* removed, and the callback is over */
};

/* Somebody waits for this one. */
struct answer {
    KEVENT done;
    NTSTATUS status; /* of a query: the first refusal */
};

struct note {
    LIST_ENTRY entry;
    IO_NOTIFICATION_EVENT_CATEGORY category;
    PDEVICE_CHANGE_COMPLETE_CALLBACK done;
    PVOID context;
    struct answer *answer; /* or NULL */
    ULONG64 body[];        /* the notification structure */
};

/* All notification structures begin so. */
struct header {
    USHORT Version;
    USHORT Size;
    GUID Event;
};

static KSPIN_LOCK note_lock;
static LIST_ENTRY registrations = { &registrations, &registrations };
static struct io_note_queue interface_notes = {
    .notes = { &interface_notes.notes, &interface_notes.notes },
};

/* --- registrations ------------------------------------------------------- */

static void
free_registration(struct registration *registration)
{
    if (registration->pdo != NULL)
        ObDereferenceObject(registration->pdo);
    if (registration->driver != NULL)
        ObDereferenceObject(registration->driver);
    ExFreePoolWithTag(registration, IO_TAG_NOTE);
}

static struct registration *
new_registration(IO_NOTIFICATION_EVENT_CATEGORY category, PVOID data)
{
    struct registration *added =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *added, IO_TAG_NOTE);

    if (added == NULL)
        return NULL;
    RtlZeroMemory(added, sizeof *added);
    added->category = category;
    KeInitializeEvent(&added->returned, NotificationEvent, FALSE);
    if (category == EventCategoryTargetDeviceChange) {
        added->file = data;
        added->pdo = io_lowest_device(added->file->DeviceObject);
    } else {
        added->class = *(const GUID *) data;
    }
    return added;
}

/* The driver is kept while it is registered. */
NTSTATUS NTAPI
IoRegisterPlugPlayNotification(
    IO_NOTIFICATION_EVENT_CATEGORY EventCategory, ULONG EventCategoryFlags,
    PVOID EventCategoryData, PDRIVER_OBJECT DriverObject,
    PDRIVER_NOTIFICATION_CALLBACK_ROUTINE CallbackRoutine, PVOID Context,
    PVOID *NotificationEntry)
{
    struct registration *added;
    KIRQL irql;

    *NotificationEntry = NULL;
    if (EventCategory != EventCategoryTargetDeviceChange &&
        EventCategory != EventCategoryDeviceInterfaceChange)
        return STATUS_NOT_SUPPORTED;
    if (EventCategoryData == NULL || CallbackRoutine == NULL)
        return STATUS_INVALID_PARAMETER;
    added = new_registration(EventCategory, EventCategoryData);
    if (added == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (DriverObject != NULL)
        ObReferenceObject(DriverObject);
    added->driver = DriverObject;
    added->callback = CallbackRoutine;
    added->context = Context;
    *NotificationEntry = added;
    KeAcquireSpinLock(&note_lock, &irql);
    InsertTailList(&registrations, &added->entry);
    KeReleaseSpinLock(&note_lock, irql);
    if (EventCategory == EventCategoryDeviceInterfaceChange &&
        (EventCategoryFlags &
         PNPNOTIFY_DEVICE_INTERFACE_INCLUDE_EXISTING_INTERFACES))
        io_interface_tell_existing(&added->class, CallbackRoutine, Context);
    return STATUS_SUCCESS;
}

/* When it returns the callback does not run and will not, unless the callback
 * itself called this. */
NTSTATUS NTAPI
IoUnregisterPlugPlayNotification(PVOID NotificationEntry)
{
    struct registration *registration = NotificationEntry;
    bool wait, worker_frees;
    KIRQL irql;

    KeAcquireSpinLock(&note_lock, &irql);
    registration->removed = true;
    wait = registration->running != NULL;
    worker_frees = registration->running == ke_current();
    registration->worker_frees = worker_frees;
    if (!wait)
        RemoveEntryList(&registration->entry);
    KeReleaseSpinLock(&note_lock, irql);
    if (worker_frees)
        return STATUS_SUCCESS;
    if (wait)
        KeWaitForSingleObject(&registration->returned, Executive, KernelMode,
                              FALSE, NULL);
    free_registration(registration);
    return STATUS_SUCCESS;
}

/* --- delivery ------------------------------------------------------------ */

static bool
is_event(const struct note *note, const GUID *event)
{
    return IsEqualGUID(&((const struct header *) note->body)->Event, event);
}

static bool
concerns_locked(const struct registration *registration,
                const struct note *note, PDEVICE_OBJECT pdo)
{
    const DEVICE_INTERFACE_CHANGE_NOTIFICATION *change =
        (const DEVICE_INTERFACE_CHANGE_NOTIFICATION *) note->body;

    if (registration->removed || registration->category != note->category)
        return false;
    if (note->category == EventCategoryDeviceInterfaceChange)
        return IsEqualGUID(&registration->class, &change->InterfaceClassGuid);
    if (registration->pdo != pdo)
        return false;
    return !is_event(note, &GUID_TARGET_DEVICE_REMOVE_CANCELLED) ||
           registration->asked;
}

static struct registration *
next_locked(PLIST_ENTRY at, const struct note *note, PDEVICE_OBJECT pdo)
{
    for (; at != &registrations; at = at->Flink) {
        struct registration *found =
            CONTAINING_RECORD(at, struct registration, entry);

        if (concerns_locked(found, note, pdo)) {
            found->running = ke_current();
            found->asked = is_event(note, &GUID_TARGET_DEVICE_QUERY_REMOVE);
            return found;
        }
    }
    return NULL;
}

/* The registration after `done`; `done` is over, and unlinked if it was
 * removed meanwhile. */
static struct registration *
advance_locked(struct registration *done, const struct note *note,
               PDEVICE_OBJECT pdo, struct registration **out_free)
{
    struct registration *next = next_locked(done->entry.Flink, note, pdo);

    done->running = NULL;
    *out_free = NULL;
    if (done->removed) {
        RemoveEntryList(&done->entry);
        if (done->worker_frees)
            *out_free = done;
        else
            KeSetEvent(&done->returned, IO_NO_INCREMENT, FALSE);
    }
    return next;
}

static NTSTATUS
call(struct registration *registration, struct note *note)
{
    PTARGET_DEVICE_REMOVAL_NOTIFICATION target = (PVOID) note->body;

    /* Where the custom notification has it, too. */
    C_ASSERT(offsetof(TARGET_DEVICE_REMOVAL_NOTIFICATION, FileObject) ==
             offsetof(TARGET_DEVICE_CUSTOM_NOTIFICATION, FileObject));
    if (note->category == EventCategoryTargetDeviceChange)
        target->FileObject = registration->file;
    return registration->callback(note->body, registration->context);
}

/* A query ends with the first refusal. */
static void
deliver(PDEVICE_OBJECT pdo, struct note *note)
{
    bool query = is_event(note, &GUID_TARGET_DEVICE_QUERY_REMOVE);
    struct registration *at, *next, *unused;
    KIRQL irql;

    KeAcquireSpinLock(&note_lock, &irql);
    at = next_locked(registrations.Flink, note, pdo);
    KeReleaseSpinLock(&note_lock, irql);
    while (at != NULL) {
        NTSTATUS status = call(at, note);
        bool refused = query && !NT_SUCCESS(status);

        if (refused)
            note->answer->status = status;
        KeAcquireSpinLock(&note_lock, &irql);
        next = advance_locked(at, note, pdo, &unused);
        if (refused && next != NULL) {
            next->running = NULL;
            next->asked = false;
            next = NULL;
        }
        KeReleaseSpinLock(&note_lock, irql);
        if (unused != NULL)
            free_registration(unused);
        at = next;
    }
}

static VOID NTAPI
deliver_all(PVOID parameter)
{
    struct io_note_queue *queue = parameter;
    PDEVICE_OBJECT pdo = queue->pdo;
    struct note *note;
    KIRQL irql;

    for (;;) {
        KeAcquireSpinLock(&note_lock, &irql);
        note = NULL;
        if (!IsListEmpty(&queue->notes))
            note = CONTAINING_RECORD(RemoveHeadList(&queue->notes), struct note,
                                     entry);
        else
            queue->running = false;
        KeReleaseSpinLock(&note_lock, irql);
        if (note == NULL)
            break;
        deliver(pdo, note);
        if (note->done != NULL)
            note->done(note->context);
        if (note->answer != NULL)
            KeSetEvent(&note->answer->done, IO_NO_INCREMENT, FALSE);
        ExFreePoolWithTag(note, IO_TAG_NOTE);
    }
    if (pdo != NULL)
        ObDereferenceObject(pdo);
}

static struct note *
new_note(IO_NOTIFICATION_EVENT_CATEGORY category, const void *body, SIZE_T size,
         SIZE_T room)
{
    struct note *note = ExAllocatePoolWithTag(
        NonPagedPool, sizeof *note + (size > room ? size : room), IO_TAG_NOTE);

    if (note == NULL)
        return NULL;
    RtlZeroMemory(note, sizeof *note);
    note->category = category;
    RtlCopyMemory(note->body, body, size);
    return note;
}

/* Takes the note; a worker that starts holds a reference to the PDO. */
static void
enqueue(struct io_note_queue *queue, struct note *note)
{
    bool start;
    KIRQL irql;

    KeAcquireSpinLock(&note_lock, &irql);
    InsertTailList(&queue->notes, &note->entry);
    start = !queue->running;
    queue->running = true;
    KeReleaseSpinLock(&note_lock, irql);
    if (!start)
        return;
    if (queue->pdo != NULL)
        ObReferenceObject(queue->pdo);
    ExInitializeWorkItem(&queue->work, deliver_all, queue);
    ExQueueWorkItem(&queue->work, DelayedWorkQueue);
}

/* --- a driver reports ---------------------------------------------------- */

static bool
is_systems_own(const GUID *event)
{
    return IsEqualGUID(event, &GUID_TARGET_DEVICE_QUERY_REMOVE) ||
           IsEqualGUID(event, &GUID_TARGET_DEVICE_REMOVE_CANCELLED) ||
           IsEqualGUID(event, &GUID_TARGET_DEVICE_REMOVE_COMPLETE);
}

static NTSTATUS
report(PDEVICE_OBJECT device, PTARGET_DEVICE_CUSTOM_NOTIFICATION custom,
       const struct note *like)
{
    PDEVICE_OBJECT pdo;
    struct note *note;

    if (custom->Size <
            offsetof(TARGET_DEVICE_CUSTOM_NOTIFICATION, CustomDataBuffer) ||
        custom->FileObject != NULL)
        return STATUS_INVALID_PARAMETER;
    if (is_systems_own(&custom->Event))
        return STATUS_INVALID_DEVICE_REQUEST;
    note = new_note(EventCategoryTargetDeviceChange, custom, custom->Size,
                    sizeof *custom);
    if (note == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    note->done = like->done;
    note->context = like->context;
    note->answer = like->answer;
    pdo = io_lowest_device(device);
    TRACE(TRACE_PNP, "pdo=%p reports event %08x", (void *) pdo,
          custom->Event.Data1);
    enqueue(&io_devext(pdo)->notes, note);
    ObDereferenceObject(pdo);
    return STATUS_PENDING;
}

/* The structure is copied. */
NTSTATUS NTAPI
IoReportTargetDeviceChangeAsynchronous(
    PDEVICE_OBJECT PhysicalDeviceObject, PVOID NotificationStructure,
    PDEVICE_CHANGE_COMPLETE_CALLBACK Callback, PVOID Context)
{
    struct note like = { .done = Callback, .context = Context };

    return report(PhysicalDeviceObject, NotificationStructure, &like);
}

static void
init_answer(struct answer *answer)
{
    KeInitializeEvent(&answer->done, NotificationEvent, FALSE);
    answer->status = STATUS_SUCCESS;
}

/* Waits until all callbacks have returned, so not from one. */
NTSTATUS NTAPI
IoReportTargetDeviceChange(PDEVICE_OBJECT PhysicalDeviceObject,
                           PVOID NotificationStructure)
{
    struct answer answer;
    struct note like = { .answer = &answer };
    NTSTATUS status;

    init_answer(&answer);
    status = report(PhysicalDeviceObject, NotificationStructure, &like);
    if (status != STATUS_PENDING)
        return status;
    KeWaitForSingleObject(&answer.done, Executive, KernelMode, FALSE, NULL);
    return STATUS_SUCCESS;
}

/* --- the system reports -------------------------------------------------- */

NTSTATUS
io_notify_target(PDEVICE_OBJECT pdo, const GUID *event)
{
    TARGET_DEVICE_REMOVAL_NOTIFICATION body = {
        .Version = 1,
        .Size = sizeof body,
        .Event = *event,
    };
    struct answer answer;
    struct note *note = new_note(EventCategoryTargetDeviceChange, &body,
                                 sizeof body, sizeof body);

    if (note == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    init_answer(&answer);
    note->answer = &answer;
    enqueue(&io_devext(pdo)->notes, note);
    KeWaitForSingleObject(&answer.done, Executive, KernelMode, FALSE, NULL);
    return answer.status;
}

/* The note carries the link's name behind the structure. */
void
io_notify_interface(const GUID *event, const GUID *class, PCUNICODE_STRING link)
{
    DEVICE_INTERFACE_CHANGE_NOTIFICATION body = {
        .Version = 1,
        .Size = sizeof body,
        .Event = *event,
        .InterfaceClassGuid = *class,
    };
    PDEVICE_INTERFACE_CHANGE_NOTIFICATION change;
    PUNICODE_STRING name;
    struct note *note =
        new_note(EventCategoryDeviceInterfaceChange, &body, sizeof body,
                 sizeof body + sizeof *name + link->Length);

    if (note == NULL) {
        TRACE(TRACE_PNP, "no memory to tell of an interface%s", "");
        return;
    }
    change = (PVOID) note->body;
    name = (PVOID) (change + 1);
    name->Buffer = (PWSTR) (name + 1);
    name->Length = name->MaximumLength = link->Length;
    RtlCopyMemory(name->Buffer, link->Buffer, link->Length);
    change->SymbolicLinkName = name;
    enqueue(&interface_notes, note);
}
