/*
 * overdue.c - a verification that takes its time: who waits is not left alone
 *
 * A drive may try for a minute before it says that it cannot read, and a mount
 * may hold the drive meanwhile.  While the volume's worker verifies, a timer
 * runs; when it ends first, the volume counts as absent, and what waits for the
 * worker waits with the prompt broker instead.  The verification goes on: what
 * comes out of it answers the question, or says what it is about.  A replay may
 * take as long as it needs, but not one command of it.
 *
 * Context: begin and end on the volume's worker; the look on a critical worker,
 * so it never waits for the one it watches.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

#define PATIENCE_MS 500

static void
start_locked(struct volume *volume)
{
    LARGE_INTEGER due = { .QuadPart = -PATIENCE_MS * 10000LL };

    volume->watch_steps = __atomic_load_n(&volume->steps, __ATOMIC_RELAXED);
    KeSetTimer(&volume->watch_timer, due, &volume->watch_dpc);
}

/* Opens and control requests belong to the worker alone. */
static BOOLEAN
may_ask(PIRP irp)
{
    UCHAR major = IoGetCurrentIrpStackLocation(irp)->MajorFunction;

    return major != IRP_MJ_CREATE && major != IRP_MJ_FILE_SYSTEM_CONTROL;
}

/* Moves what may ask now to `out`, in its order. */
static void
take_waiting_locked(struct volume *volume, PLIST_ENTRY out)
{
    PLIST_ENTRY next;

    if (volume->in_hand != NULL)
        InsertTailList(out, &volume->in_hand->Tail.Overlay.ListEntry);
    volume->in_hand = NULL;
    for (PLIST_ENTRY at = volume->posted.Flink; at != &volume->posted;
         at = next) {
        next = at->Flink;
        if (!may_ask(CONTAINING_RECORD(at, IRP, Tail.Overlay.ListEntry)))
            continue;
        RemoveEntryList(at);
        InsertTailList(out, at);
    }
}

/* Does it take too long? */
static BOOLEAN
is_overdue_locked(struct volume *volume)
{
    return volume->state == VOL_VERIFYING ||
           (volume->state == VOL_REPLAYING &&
            volume->watch_steps ==
                __atomic_load_n(&volume->steps, __ATOMIC_RELAXED));
}

static VOID NTAPI
look(PVOID parameter)
{
    struct volume *volume = parameter;
    BOOLEAN on, told = FALSE;
    LIST_ENTRY waiting;
    KIRQL irql;

    InitializeListHead(&waiting);
    KeAcquireSpinLock(&volume->lock, &irql);
    on = volume->watch_on;
    /* The generation stays: the verification is not void. */
    if (on && is_overdue_locked(volume))
        told = fs_volume_move_locked(volume, VOL_ABSENT,
                                     STATUS_DEVICE_NOT_READY, FALSE);
    if (on && fs_state_away(volume->state))
        take_waiting_locked(volume, &waiting);
    KeReleaseSpinLock(&volume->lock, irql);
    if (told)
        fs_volume_tell(volume, VOL_ABSENT, STATUS_DEVICE_NOT_READY);
    while (!IsListEmpty(&waiting))
        fs_send_again(volume, CONTAINING_RECORD(RemoveHeadList(&waiting), IRP,
                                                Tail.Overlay.ListEntry));
    KeAcquireSpinLock(&volume->lock, &irql);
    on = volume->watch_on;
    if (on)
        start_locked(volume);
    KeReleaseSpinLock(&volume->lock, irql);
    if (!on)
        KeSetEvent(&volume->watch_over, 0, FALSE);
}

static VOID NTAPI
overdue(struct _KDPC *dpc, PVOID context, PVOID argument1, PVOID argument2)
{
    struct volume *volume = context;

    (void) dpc;
    (void) argument1;
    (void) argument2;
    ExInitializeWorkItem(&volume->watch_work, look, volume);
    ExQueueWorkItem(&volume->watch_work, CriticalWorkQueue);
}

void
fs_watch_init(struct volume *volume)
{
    KeInitializeTimer(&volume->watch_timer);
    KeInitializeDpc(&volume->watch_dpc, overdue, volume);
    KeInitializeEvent(&volume->watch_over, NotificationEvent, FALSE);
}

void
fs_watch_begin(struct volume *volume, PIRP irp)
{
    KIRQL irql;

    KeClearEvent(&volume->watch_over);
    KeAcquireSpinLock(&volume->lock, &irql);
    volume->in_hand = irp;
    volume->watch_on = TRUE;
    start_locked(volume);
    KeReleaseSpinLock(&volume->lock, irql);
}

BOOLEAN
fs_watch_end(struct volume *volume)
{
    BOOLEAN kept;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    kept = volume->in_hand != NULL;
    volume->in_hand = NULL;
    volume->watch_on = FALSE;
    KeReleaseSpinLock(&volume->lock, irql);
    /* It fired: its look may be under way, and there must be none later. */
    if (!KeCancelTimer(&volume->watch_timer))
        KeWaitForSingleObject(&volume->watch_over, Executive, KernelMode, FALSE,
                              NULL);
    return kept;
}
