/*
 * refresh.c - after writes of our own to the blocks that tell the volume
 *
 * A format or a new label changes what the volume is known by.  Once it is quiet
 * for a moment, its identity is read again while the medium is certainly the
 * volume's.
 *
 * Context: fs_refresh at PASSIVE_LEVEL, the rest up to DISPATCH_LEVEL.  Takes the
 * volume's lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/medium.h"

#include <string.h>

#define REFRESH_MS 300

/* Reads the identity again while the medium is certainly the volume's. */
NTSTATUS NTAPI
fs_refresh(struct volume *volume)
{
    PDEVICE_OBJECT target;
    struct identity *id = NULL;
    BOOLEAN read_only, quiet, renamed = FALSE;
    ULONG count, before, generation;
    NTSTATUS status = STATUS_SUCCESS;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    quiet = volume->head_dirty && volume->state == VOL_MOUNTED &&
            !fs_ending() &&
            __atomic_load_n(&volume->head_running, __ATOMIC_ACQUIRE) == 0;
    before = volume->head_generation;
    generation = volume->generation;
    target = volume->target;
    count = volume->count;
    fs_hold_drive(NULL, target);
    read_only = volume->read_only;
    KeReleaseSpinLock(&volume->lock, irql);
    if (quiet) {
        /* A yank must not take away what the volume is then known by. */
        status = fs_flush_log(volume);
        id = ExAllocatePoolWithTag(NonPagedPool, sizeof *id, FS_TAG);
        if (id == NULL)
            status = STATUS_INSUFFICIENT_RESOURCES;
        if (NT_SUCCESS(status))
            status = fs_read_identity(volume, target, count, read_only, id);
    }
    fs_let_drive(NULL, target);
    if (!quiet || id == NULL)
        return status;
    KeAcquireSpinLock(&volume->lock, &irql);
    if (NT_SUCCESS(status) && volume->head_generation == before &&
        volume->generation == generation) {
        renamed = strcmp(volume->id.label, id->label) != 0 ||
                  strcmp(volume->id.uuid, id->uuid) != 0 ||
                  strcmp(volume->id.type, id->type) != 0;
        volume->id = *id;
        if (renamed)
            volume->told_in = NULL;
        __atomic_store_n(&volume->head_dirty, FALSE, __ATOMIC_RELAXED);
    }
    KeReleaseSpinLock(&volume->lock, irql);
    fs_label_vpb(volume);
    ExFreePoolWithTag(id, FS_TAG);
    if (renamed && fs_volume_mounted(volume))
        fs_volume_tell(volume, VOL_MOUNTED, STATUS_SUCCESS);
    return status;
}

static VOID NTAPI
refresh_work(PVOID parameter)
{
    struct volume *volume = parameter;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    __atomic_store_n(&volume->refresh_due, FALSE, __ATOMIC_RELAXED);
    KeReleaseSpinLock(&volume->lock, irql);
    /* It may be the first to hear that the medium left. */
    if (IoIsErrorUserInduced(fs_refresh(volume)))
        (void) fs_media_gone(__atomic_load_n(&volume->real, __ATOMIC_ACQUIRE));
    fs_refresh_soon(volume);
}

static VOID NTAPI
refresh_dpc(struct _KDPC *dpc, PVOID context, PVOID argument1, PVOID argument2)
{
    struct volume *volume = context;

    (void) dpc;
    (void) argument1;
    (void) argument2;
    ExInitializeWorkItem(&volume->refresh_work, refresh_work, volume);
    ExQueueWorkItem(&volume->refresh_work, DelayedWorkQueue);
}

void
fs_refresh_init(struct volume *volume)
{
    KeInitializeTimer(&volume->refresh_timer);
    KeInitializeDpc(&volume->refresh_dpc, refresh_dpc, volume);
}

/* <= DISPATCH_LEVEL.  Cheap when nothing was written there. */
void NTAPI
fs_refresh_soon(struct volume *volume)
{
    LARGE_INTEGER due = { .QuadPart = -REFRESH_MS * 10000LL };
    BOOLEAN start = FALSE;
    KIRQL irql;

    if (!__atomic_load_n(&volume->head_dirty, __ATOMIC_RELAXED) ||
        __atomic_load_n(&volume->refresh_due, __ATOMIC_RELAXED))
        return;
    KeAcquireSpinLock(&volume->lock, &irql);
    if (volume->head_dirty && !volume->refresh_due &&
        volume->state == VOL_MOUNTED && !fs_ending()) {
        __atomic_store_n(&volume->refresh_due, TRUE, __ATOMIC_RELAXED);
        start = TRUE;
    }
    KeReleaseSpinLock(&volume->lock, irql);
    if (start)
        KeSetTimer(&volume->refresh_timer, due, &volume->refresh_dpc);
}
