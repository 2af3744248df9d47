/*
 * commit.c - the log on disk: acknowledged is what is there
 *
 * A change that the drive has, and may lose, waits here until a record of it is
 * on disk; what comes meanwhile makes the next batch, so that many requests
 * share one wait.  A worker does it, with no lock of the volume held.  What
 * cannot be logged is acknowledged after a flush, as without room in memory.
 *
 * A flush makes records void.  What no record tells - a write with FUA, a trim -
 * voids older records of its range, for a replay must not bring them back.
 *
 * The log's head knows the volume by its identity and its witness.  A change to
 * either is announced before it is sent (an intent): killed at any moment, the
 * head must not call the medium another one.
 *
 * Context: as fs_internal.h says.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

#include <string.h>

#include "base/status.h"
#include "base/trace.h"

#define BATCH_BYTES (8u << 20)

/* What a request waits for, in its DriverContext[1]; [0] is its epoch. */
enum waits_for { WAITS_RECORD = 1, WAITS_FLUSH, WAITS_INTENT };

struct batch {
    LIST_ENTRY irps;
    ULONG records;
    struct fs_record *record;
    struct fs_log_batch log;
    BOOLEAN intent;
    BOOLEAN untold; /* see struct fs_log_state */
};

struct head {
    struct fs_log_head log;
    struct fs_known known;
    struct fs_witness_entry witness[WITNESS_MAX];
};

static enum waits_for
waits_for(PIRP irp)
{
    return (enum waits_for)(ULONG_PTR) irp->Tail.Overlay.DriverContext[1];
}

static ULONG
epoch_of(PIRP irp)
{
    return (ULONG) (ULONG_PTR) irp->Tail.Overlay.DriverContext[0];
}

ULONG64
fs_disk_live(struct volume *volume)
{
    return __atomic_load_n(&volume->disk_live, __ATOMIC_ACQUIRE);
}

/* --- what is put on record ---------------------------------------------------- */

static enum fs_record_kind
kind_of(PIRP irp)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);

    if (own->MajorFunction == IRP_MJ_WRITE)
        return (own->Flags & SL_WRITE_THROUGH) != 0 ? FS_RECORD_DROP
                                                    : FS_RECORD_DATA;
    return (own->Flags & FS_SL_MUST_ZERO) != 0 ? FS_RECORD_ZEROES
                                               : FS_RECORD_DROP;
}

static BOOLEAN
count_range(void *context, ULONG64 offset, ULONG64 length)
{
    struct batch *batch = context;

    (void) offset;
    (void) length;
    batch->records++;
    return TRUE;
}

static BOOLEAN
add_range(void *context, ULONG64 offset, ULONG64 length)
{
    struct batch *batch = context;
    struct fs_record *record = &batch->record[batch->log.count++];

    *record = batch->record[batch->records];
    record->offset = offset;
    record->length = length;
    return TRUE;
}

static ULONG
bytes_of(PIRP irp)
{
    return kind_of(irp) == FS_RECORD_DATA
               ? IoGetCurrentIrpStackLocation(irp)->Parameters.Write.Length
               : 0;
}

/* With log_lock held: the requests of the next batch. */
static BOOLEAN
take_locked(struct volume *volume, struct batch *batch)
{
    ULONG64 bytes = 0;

    InitializeListHead(&batch->irps);
    while (!IsListEmpty(&volume->committing) && bytes < BATCH_BYTES) {
        PIRP irp = CONTAINING_RECORD(RemoveHeadList(&volume->committing), IRP,
                                     Tail.Overlay.ListEntry);

        InsertTailList(&batch->irps, &irp->Tail.Overlay.ListEntry);
        batch->intent |= waits_for(irp) == WAITS_INTENT;
        if (waits_for(irp) == WAITS_RECORD)
            bytes += bytes_of(irp);
    }
    batch->log.flush = volume->flush_due;
    batch->log.flushed = volume->disk_flushed;
    volume->flush_due = FALSE;
    return batch->log.flush || !IsListEmpty(&batch->irps);
}

/* What a flush has covered meanwhile needs no record. */
static BOOLEAN
needs_record(const struct batch *batch, PIRP irp)
{
    return waits_for(irp) == WAITS_RECORD &&
           (LONG) (epoch_of(irp) - batch->log.flushed) > 0;
}

static NTSTATUS
list_records(struct volume *volume, struct batch *batch)
{
    for (PLIST_ENTRY at = batch->irps.Flink; at != &batch->irps;
         at = at->Flink) {
        PIRP irp = CONTAINING_RECORD(at, IRP, Tail.Overlay.ListEntry);

        if (needs_record(batch, irp))
            fs_each_range(volume, irp, count_range, batch);
    }
    if (batch->records == 0)
        return STATUS_SUCCESS;
    /* The last is a pattern for the ranges of one request. */
    batch->record = ExAllocatePoolWithTag(
        NonPagedPool, (batch->records + 1) * sizeof *batch->record, FS_TAG);
    if (batch->record == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    batch->log.records = batch->record;
    for (PLIST_ENTRY at = batch->irps.Flink; at != &batch->irps;
         at = at->Flink) {
        PIRP irp = CONTAINING_RECORD(at, IRP, Tail.Overlay.ListEntry);

        if (!needs_record(batch, irp))
            continue;
        batch->record[batch->records] =
            (struct fs_record){ .kind = kind_of(irp), .epoch = epoch_of(irp) };
        if (kind_of(irp) == FS_RECORD_DATA)
            batch->record[batch->records].data = fs_data_of(irp);
        fs_each_range(volume, irp, add_range, batch);
    }
    return STATUS_SUCCESS;
}

/* --- the head ----------------------------------------------------------------- */

static struct head *
make_head(struct volume *volume)
{
    struct head *head =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *head, FS_TAG);
    KIRQL irql;

    if (head == NULL)
        return NULL;
    KeAcquireSpinLock(&volume->lock, &irql);
    memcpy(head->known.key, volume->key, sizeof head->known.key);
    head->known.id = volume->id;
    head->log.witness_count =
        fs_copy_witness_locked(volume, head->witness, TRUE);
    volume->id_on_disk = TRUE;
    KeReleaseSpinLock(&volume->lock, irql);
    head->log.identity = &head->known;
    head->log.identity_bytes = sizeof head->known;
    head->log.witness = head->witness;
    return head;
}

struct intent {
    struct volume *volume;
    BOOLEAN due;
};

static BOOLEAN
is_less_certain(const struct identity *now, const struct identity *before)
{
    BOOLEAN yes =
        now->touched != before->touched ||
        memcmp(now->uncertain, before->uncertain, sizeof now->uncertain) != 0;

    for (USHORT i = 0; i < now->parts; i++)
        yes |= now->part[i].touched != before->part[i].touched;
    return yes;
}

static BOOLEAN
announce_range(void *context, ULONG64 offset, ULONG64 length)
{
    struct intent *intent = context;
    struct volume *volume = intent->volume;
    struct identity before;

    if (volume->witness != NULL &&
        witness_may_touch(volume->witness, offset, length))
        intent->due |= witness_withdraw(volume->witness, offset, length);
    if (!identity_covers(&volume->id, offset, length))
        return TRUE;
    before = volume->id;
    identity_touch(&volume->id, offset, length);
    intent->due |= is_less_certain(&volume->id, &before);
    return TRUE;
}

BOOLEAN NTAPI
fs_intent_due_locked(struct volume *volume, PIRP irp)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);
    struct intent intent = { .volume = volume };

    if (!volume->id_on_disk ||
        (own->MajorFunction != IRP_MJ_WRITE && fs_trim_of(irp) == NULL))
        return FALSE;
    fs_each_range(volume, irp, announce_range, &intent);
    return intent.due;
}

/* Nothing in the log counts any more, its head neither. */
static void
head_is_void(struct volume *volume)
{
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    volume->id_on_disk = FALSE;
    if (volume->witness != NULL)
        witness_not_on_disk(volume->witness);
    KeReleaseSpinLock(&volume->lock, irql);
}

/* --- a batch -------------------------------------------------------------------- */

/* With commit_mutex held. */
static NTSTATUS
commit(struct volume *volume, struct batch *batch)
{
    BOOLEAN was_stale = fs_log_stale(volume);
    struct fs_log_state state = { .live_bytes = fs_disk_live(volume),
                                  .stale = was_stale };
    NTSTATUS status = list_records(volume, batch);
    struct head *head = NULL;

    if (NT_SUCCESS(status) && batch->log.count == 0 && state.live_bytes == 0) {
        head_is_void(volume);
        return STATUS_SUCCESS;
    }
    if (NT_SUCCESS(status) &&
        (batch->log.flush || batch->intent || state.live_bytes == 0)) {
        head = make_head(volume);
        if (head == NULL)
            status = STATUS_INSUFFICIENT_RESOURCES;
        else
            batch->log.head = &head->log;
    }
    if (NT_SUCCESS(status) && (batch->log.count != 0 || head != NULL))
        status = fs.disk.commit(fs.disk.context, volume, &volume->disk_log,
                                &batch->log, &state);
    batch->untold = state.untold;
    if (state.live_bytes == 0)
        head_is_void(volume);
    __atomic_store_n(&volume->disk_live, state.live_bytes, __ATOMIC_RELEASE);
    __atomic_store_n(&volume->disk_filling, state.filling, __ATOMIC_RELAXED);
    __atomic_store_n(&volume->disk_stale, state.stale, __ATOMIC_RELEASE);
    if (state.filling || (state.stale && !was_stale))
        fs_tend_soon(volume);
    if (head != NULL)
        ExFreePoolWithTag(head, FS_TAG);
    if (batch->record != NULL)
        ExFreePoolWithTag(batch->record, FS_TAG);
    return status;
}

/* What is on the medium now a replay of the log would undo, and nothing can stop
 * that: it was not written. */
static BOOLEAN
would_be_undone(struct volume *volume, PIRP irp, NTSTATUS status)
{
    return !NT_SUCCESS(status) && fs_log_stale(volume) &&
           IoGetCurrentIrpStackLocation(irp)->MajorFunction !=
               IRP_MJ_FLUSH_BUFFERS;
}

/* Again after a flush. */
static void
flush_first(struct volume *volume, PIRP irp)
{
    IoGetCurrentIrpStackLocation(irp)->MinorFunction |= FS_NEEDS_FLUSH;
    fs_post(volume, irp);
}

static void
release(struct volume *volume, const struct batch *batch, PIRP irp,
        NTSTATUS status)
{
    switch (waits_for(irp)) {
    case WAITS_INTENT:
        fs_send_first(volume, irp);
        return;
    case WAITS_RECORD:
        if (would_be_undone(volume, irp, status)) {
            fs_complete(irp, STATUS_IO_DEVICE_ERROR, 0);
            return;
        }
        if (!NT_SUCCESS(status)) {
            flush_first(volume, irp);
            return;
        }
        break;
    case WAITS_FLUSH:
        /* It is on the medium; who keeps the log has said what it could not
         * void. */
        if (would_be_undone(volume, irp, status)) {
            fs_complete(irp, STATUS_IO_DEVICE_ERROR, 0);
            return;
        }
        /* A replay of what is in the log still would undo it.  The next flush
         * covers that, too. */
        if (batch->untold && IoGetCurrentIrpStackLocation(irp)->MajorFunction !=
                                 IRP_MJ_FLUSH_BUFFERS) {
            flush_first(volume, irp);
            return;
        }
        break;
    }
    irp->IoStatus.Status = STATUS_SUCCESS;
    IoCompleteRequest(irp, IO_DISK_INCREMENT);
}

/* A flush that the log could not be told of is told again with the next batch. */
static void
flush_is_still_due(struct volume *volume)
{
    KIRQL irql;

    KeAcquireSpinLock(&volume->log_lock, &irql);
    volume->flush_due = TRUE;
    KeReleaseSpinLock(&volume->log_lock, irql);
}

/* FALSE: there was nothing to do. */
static BOOLEAN
run_batch(struct volume *volume, BOOLEAN worker)
{
    struct batch batch = { .records = 0 };
    NTSTATUS status = STATUS_SUCCESS;
    BOOLEAN any;
    KIRQL irql;

    KeWaitForSingleObject(&volume->commit_mutex, Executive, KernelMode, FALSE,
                          NULL);
    KeAcquireSpinLock(&volume->log_lock, &irql);
    any = take_locked(volume, &batch);
    if (!any && worker)
        volume->commit_running = FALSE;
    KeReleaseSpinLock(&volume->log_lock, irql);
    if (any)
        status = commit(volume, &batch);
    KeReleaseMutex(&volume->commit_mutex, FALSE);
    if (!NT_SUCCESS(status)) {
        TRACE(TRACE_FS, "volume %s: not in the log on disk: %s",
              volume->id.label, status_name(status));
        if (batch.log.flush)
            flush_is_still_due(volume);
        any = any && !IsListEmpty(&batch.irps);
    }
    while (!IsListEmpty(&batch.irps))
        release(volume, &batch,
                CONTAINING_RECORD(RemoveHeadList(&batch.irps), IRP,
                                  Tail.Overlay.ListEntry),
                status);
    if (!any && worker && !NT_SUCCESS(status)) {
        KeAcquireSpinLock(&volume->log_lock, &irql);
        any = !IsListEmpty(&volume->committing);
        if (!any)
            volume->commit_running = FALSE;
        KeReleaseSpinLock(&volume->log_lock, irql);
    }
    return any;
}

void
fs_commit_now(struct volume *volume)
{
    if (fs_on_disk())
        while (run_batch(volume, FALSE))
            ;
}

static VOID NTAPI
commit_work(PVOID parameter)
{
    struct volume *volume = parameter;
    KIRQL irql;

    KeAcquireSpinLock(&volume->log_lock, &irql);
    volume->commit_queued = FALSE;
    volume->commit_running = TRUE;
    KeReleaseSpinLock(&volume->log_lock, irql);
    while (run_batch(volume, TRUE))
        ;
}

/* irp NULL: what is due anyway. */
static void
commit_later(struct volume *volume, PIRP irp)
{
    BOOLEAN start;
    KIRQL irql;

    KeAcquireSpinLock(&volume->log_lock, &irql);
    if (irp != NULL)
        InsertTailList(&volume->committing, &irp->Tail.Overlay.ListEntry);
    start = (irp != NULL || volume->flush_due) && !volume->commit_queued &&
            !volume->commit_running;
    if (start)
        volume->commit_queued = TRUE;
    KeReleaseSpinLock(&volume->log_lock, irql);
    if (start) {
        ExInitializeWorkItem(&volume->commit_work, commit_work, volume);
        ExQueueWorkItem(&volume->commit_work, CriticalWorkQueue);
    }
}

static BOOLEAN
wait_for(struct volume *volume, PIRP irp, enum waits_for what)
{
    irp->Tail.Overlay.DriverContext[1] = (PVOID) (ULONG_PTR) what;
    commit_later(volume, irp);
    return TRUE;
}

/* --- who comes ------------------------------------------------------------------ */

/* Does the log hold anything, or is it about to? */
static BOOLEAN
in_use(struct volume *volume)
{
    BOOLEAN yes;
    KIRQL irql;

    if (fs_disk_live(volume) != 0)
        return TRUE;
    KeAcquireSpinLock(&volume->log_lock, &irql);
    yes = volume->commit_running || volume->commit_queued;
    KeReleaseSpinLock(&volume->log_lock, irql);
    return yes;
}

BOOLEAN NTAPI
fs_commit_done(struct volume *volume, PIRP irp)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);

    if (own->MajorFunction == IRP_MJ_FLUSH_BUFFERS)
        return in_use(volume) && wait_for(volume, irp, WAITS_FLUSH);
    if (kind_of(irp) == FS_RECORD_DROP && !in_use(volume))
        return FALSE;
    return wait_for(volume, irp, WAITS_RECORD);
}

BOOLEAN
fs_commit_flushed(struct volume *volume, PIRP irp)
{
    return fs_on_disk() && in_use(volume) && wait_for(volume, irp, WAITS_FLUSH);
}

void NTAPI
fs_commit_intent(struct volume *volume, PIRP irp)
{
    wait_for(volume, irp, WAITS_INTENT);
}

void
fs_commit_flush_due_locked(struct volume *volume, ULONG flushed)
{
    if (!fs_on_disk())
        return;
    if ((LONG) (flushed - volume->disk_flushed) > 0)
        volume->disk_flushed = flushed;
    volume->flush_due = TRUE;
}

void
fs_commit_soon(struct volume *volume)
{
    if (fs_on_disk())
        commit_later(volume, NULL);
}

BOOLEAN
fs_log_stale(struct volume *volume)
{
    return __atomic_load_n(&volume->disk_stale, __ATOMIC_ACQUIRE);
}

/* --- life ------------------------------------------------------------------------ */

void
fs_commit_init(struct volume *volume)
{
    KeInitializeMutex(&volume->commit_mutex, 0);
    InitializeListHead(&volume->committing);
}

void
fs_commit_close(struct volume *volume)
{
    if (!fs_on_disk())
        return;
    KeWaitForSingleObject(&volume->commit_mutex, Executive, KernelMode, FALSE,
                          NULL);
    if (volume->disk_log != NULL)
        fs.disk.close(fs.disk.context, volume, &volume->disk_log);
    KeReleaseMutex(&volume->commit_mutex, FALSE);
}

void
fs_set_log_disk(const struct fs_log_disk *disk)
{
    fs.disk = disk != NULL ? *disk : (struct fs_log_disk){ .commit = NULL };
}
