/*
 * notify.c - target device change: media arrival, removal, eject requests
 *
 * A class driver reports at <= DISPATCH; the callbacks run on a worker, for one
 * PDO strictly in the order of the reports, each registration in the order it
 * was made.
 *
 * A registration is for the PDO at the bottom of the file's stack (NT asks the
 * stack for its TargetDeviceRelation, which is the same device).
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/io_internal.h"

struct registration {
    LIST_ENTRY entry;
    PDEVICE_OBJECT pdo; /* holds a reference */
    PFILE_OBJECT file;  /* borrowed: unregister before it is closed */
    PDRIVER_NOTIFICATION_CALLBACK_ROUTINE callback;
    PVOID context;
    PETHREAD running; /* the worker that is in the callback */
    bool removed;
    bool worker_frees; /* unregistered by its own callback */
    KEVENT returned;   /* removed, and the callback is over */
};

struct note {
    LIST_ENTRY entry;
    PDEVICE_CHANGE_COMPLETE_CALLBACK done;
    PVOID context;
    ULONG64 custom[]; /* TARGET_DEVICE_CUSTOM_NOTIFICATION */
};

static KSPIN_LOCK note_lock;
static LIST_ENTRY registrations = { &registrations, &registrations };

static void
free_registration(struct registration *registration)
{
    ObDereferenceObject(registration->pdo);
    ExFreePoolWithTag(registration, IO_TAG_NOTE);
}

NTSTATUS NTAPI
IoRegisterPlugPlayNotification(
    IO_NOTIFICATION_EVENT_CATEGORY EventCategory, ULONG EventCategoryFlags,
    PVOID EventCategoryData, PDRIVER_OBJECT DriverObject,
    PDRIVER_NOTIFICATION_CALLBACK_ROUTINE CallbackRoutine, PVOID Context,
    PVOID *NotificationEntry)
{
    struct registration *added;
    PFILE_OBJECT file = EventCategoryData;
    KIRQL irql;

    UNREFERENCED_PARAMETER(EventCategoryFlags);
    UNREFERENCED_PARAMETER(DriverObject);
    *NotificationEntry = NULL;
    if (EventCategory != EventCategoryTargetDeviceChange)
        return STATUS_NOT_SUPPORTED;
    if (file == NULL || CallbackRoutine == NULL)
        return STATUS_INVALID_PARAMETER;
    added = ExAllocatePoolWithTag(NonPagedPool, sizeof *added, IO_TAG_NOTE);
    if (added == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(added, sizeof *added);
    added->pdo = io_lowest_device(file->DeviceObject);
    added->file = file;
    added->callback = CallbackRoutine;
    added->context = Context;
    KeInitializeEvent(&added->returned, NotificationEvent, FALSE);
    KeAcquireSpinLock(&note_lock, &irql);
    InsertTailList(&registrations, &added->entry);
    KeReleaseSpinLock(&note_lock, irql);
    *NotificationEntry = added;
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

static struct registration *
next_for(PLIST_ENTRY at, PDEVICE_OBJECT pdo)
{
    for (; at != &registrations; at = at->Flink) {
        struct registration *found =
            CONTAINING_RECORD(at, struct registration, entry);

        if (found->pdo == pdo && !found->removed) {
            found->running = ke_current();
            return found;
        }
    }
    return NULL;
}

/* The registration after `done`; `done` is over, and unlinked if it was
 * removed meanwhile. */
static struct registration *
advance_locked(struct registration *done, PDEVICE_OBJECT pdo,
               struct registration **out_free)
{
    struct registration *next = next_for(done->entry.Flink, pdo);

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

static void
deliver(PDEVICE_OBJECT pdo, PTARGET_DEVICE_CUSTOM_NOTIFICATION custom)
{
    struct registration *at, *next, *unused;
    KIRQL irql;

    KeAcquireSpinLock(&note_lock, &irql);
    at = next_for(registrations.Flink, pdo);
    KeReleaseSpinLock(&note_lock, irql);
    while (at != NULL) {
        custom->FileObject = at->file;
        at->callback(custom, at->context);
        KeAcquireSpinLock(&note_lock, &irql);
        next = advance_locked(at, pdo, &unused);
        KeReleaseSpinLock(&note_lock, irql);
        if (unused != NULL)
            free_registration(unused);
        at = next;
    }
}

static VOID NTAPI
deliver_all(PVOID parameter)
{
    PDEVICE_OBJECT pdo = parameter;
    struct io_devext *ext = io_devext(pdo);
    struct note *note;
    KIRQL irql;

    for (;;) {
        KeAcquireSpinLock(&note_lock, &irql);
        note = NULL;
        if (!IsListEmpty(&ext->notes))
            note = CONTAINING_RECORD(RemoveHeadList(&ext->notes), struct note,
                                     entry);
        else
            ext->notes_running = false;
        KeReleaseSpinLock(&note_lock, irql);
        if (note == NULL)
            break;
        deliver(pdo, (PTARGET_DEVICE_CUSTOM_NOTIFICATION) note->custom);
        if (note->done != NULL)
            note->done(note->context);
        ExFreePoolWithTag(note, IO_TAG_NOTE);
    }
    ObDereferenceObject(pdo);
}

/* The structure is copied. */
NTSTATUS NTAPI
IoReportTargetDeviceChangeAsynchronous(
    PDEVICE_OBJECT PhysicalDeviceObject, PVOID NotificationStructure,
    PDEVICE_CHANGE_COMPLETE_CALLBACK Callback, PVOID Context)
{
    PTARGET_DEVICE_CUSTOM_NOTIFICATION custom = NotificationStructure;
    struct io_devext *ext;
    PDEVICE_OBJECT pdo;
    struct note *note;
    bool start;
    KIRQL irql;

    if (custom->Size <
            offsetof(TARGET_DEVICE_CUSTOM_NOTIFICATION, CustomDataBuffer) ||
        custom->FileObject != NULL)
        return STATUS_INVALID_PARAMETER;
    note = ExAllocatePoolWithTag(NonPagedPool,
                                 sizeof *note + custom->Size +
                                     sizeof(TARGET_DEVICE_CUSTOM_NOTIFICATION),
                                 IO_TAG_NOTE);
    if (note == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlCopyMemory(note->custom, custom, custom->Size);
    note->done = Callback;
    note->context = Context;
    pdo = io_lowest_device(PhysicalDeviceObject);
    ext = io_devext(pdo);
    TRACE(TRACE_PNP, "pdo=%p reports event %08x", (void *) pdo,
          custom->Event.Data1);
    KeAcquireSpinLock(&note_lock, &irql);
    InsertTailList(&ext->notes, &note->entry);
    start = !ext->notes_running;
    ext->notes_running = true;
    KeReleaseSpinLock(&note_lock, irql);
    if (!start) {
        ObDereferenceObject(pdo);
        return STATUS_PENDING;
    }
    ExInitializeWorkItem(&ext->notes_work, deliver_all, pdo);
    ExQueueWorkItem(&ext->notes_work, DelayedWorkQueue);
    return STATUS_PENDING;
}
