/*
 * unflushed.c - what is acknowledged and not yet on the medium
 *
 * On a drive with a volatile cache a write goes into the volume's log when the
 * drive has it and before its client is told; a flush that covers it takes it
 * out.  A change or a flush counts only if the volume was not settled anew since
 * it was sent; otherwise it is sent again.  Without room a write is acknowledged
 * after a flush of ours.  What happens in the background is tend.c's.
 *
 * The witness (under volume.lock) hears of every change, and now and then of a
 * read.
 *
 * Context: as fs_internal.h says.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

#include <ntddstor.h>

#include "base/clock.h"
#include "base/status.h"
#include "base/trace.h"

#define SAMPLE_EVERY 64 /* reads, and writes without a log */
#define SAMPLE_FIRST 4  /* the same, as long as there is room for more */
#define SAMPLE_FLUSH 8  /* pages of each flush */

/* --- the ranges of a change --------------------------------------------------- */

/* A trim that cannot be understood may be of anything. */
static BOOLEAN
each_trim_range(struct volume *volume, PIRP irp, fs_range_fn *fn, void *context)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);
    const DEVICE_MANAGE_DATA_SET_ATTRIBUTES *dsm = fs_trim_of(irp);
    ULONG size = own->Parameters.DeviceIoControl.InputBufferLength;
    const DEVICE_DATA_SET_RANGE *range;

    if ((dsm->Flags & DEVICE_DSM_FLAG_ENTIRE_DATA_SET_RANGE) != 0 ||
        dsm->DataSetRangesOffset > size ||
        dsm->DataSetRangesLength > size - dsm->DataSetRangesOffset)
        return fn(context, 0, volume->size_bytes);
    range = (const DEVICE_DATA_SET_RANGE *) ((const UCHAR *) dsm +
                                             dsm->DataSetRangesOffset);
    for (ULONG n = dsm->DataSetRangesLength / sizeof *range; n > 0;
         n--, range++)
        if (range->LengthInBytes != 0 &&
            !fn(context, (ULONG64) range->StartingOffset, range->LengthInBytes))
            return FALSE;
    return TRUE;
}

BOOLEAN
fs_each_range(struct volume *volume, PIRP irp, fs_range_fn *fn, void *context)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);

    if (own->MajorFunction == IRP_MJ_WRITE)
        return own->Parameters.Write.Length == 0 ||
               fn(context, (ULONG64) own->Parameters.Write.ByteOffset.QuadPart,
                  own->Parameters.Write.Length);
    return each_trim_range(volume, irp, fn, context);
}

const void *
fs_data_of(PIRP irp)
{
    return irp->MdlAddress == NULL ? NULL
                                   : MmGetSystemAddressForMdlSafe(
                                         irp->MdlAddress, NormalPagePriority);
}

/* --- sending ------------------------------------------------------------------ */

struct touching {
    struct witness *witness;
    BOOLEAN touched;
};

static BOOLEAN
touch_range(void *context, ULONG64 offset, ULONG64 length)
{
    struct touching *touching = context;

    if (witness_may_touch(touching->witness, offset, length))
        touching->touched |= witness_writing(touching->witness, offset, length);
    return TRUE;
}

/* Is it this one's turn?  Only while no write is below us. */
static BOOLEAN
is_sample_locked(struct volume *volume)
{
    if (volume->asked++ < volume->sample_every ||
        __atomic_load_n(&volume->running, __ATOMIC_RELAXED) >= RUNNING_WRITE)
        return FALSE;
    volume->asked = 0;
    volume->sample_every = volume->witness->count < volume->witness->limit
                               ? SAMPLE_FIRST
                               : SAMPLE_EVERY;
    return TRUE;
}

/* With volume.lock held, before the request is counted as running. */
void NTAPI
fs_track_sent_locked(struct volume *volume, PIRP irp)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);
    struct touching touching = { volume->witness, FALSE };

    own->MinorFunction &= FS_TOUCHES_IDENTITY | FS_RECURSIVE | FS_FROM_CACHE;
    if (own->MajorFunction == IRP_MJ_READ) {
        if (volume->witness != NULL && volume->sample == NULL &&
            own->Parameters.Read.Length != 0 && is_sample_locked(volume)) {
            volume->sample = irp;
            own->MinorFunction |= FS_SAMPLED;
        }
        return;
    }
    if (own->MajorFunction == IRP_MJ_FLUSH_BUFFERS) {
        if (volume->logging) {
            own->MinorFunction |= FS_LOGGED;
            own->Parameters.Read.Length = fs_seal(volume);
        }
        return;
    }
    if (own->MajorFunction != IRP_MJ_WRITE && fs_trim_of(irp) == NULL)
        return;
    own->MinorFunction |= FS_MODIFIES;
    volume->sample = NULL;
    if (volume->logging)
        own->MinorFunction |= FS_LOGGED;
    else if (volume->witness != NULL && own->MajorFunction == IRP_MJ_WRITE &&
             is_sample_locked(volume))
        witness_expect(volume->witness,
                       (ULONG64) own->Parameters.Write.ByteOffset.QuadPart,
                       own->Parameters.Write.Length);
    if (volume->witness != NULL)
        fs_each_range(volume, irp, touch_range, &touching);
    if (touching.touched)
        own->MinorFunction |= FS_TOUCHES_WITNESS;
}

/* --- the log ------------------------------------------------------------------ */

ULONG
fs_seal(struct volume *volume)
{
    ULONG sealed = 0;
    KIRQL irql;

    KeAcquireSpinLock(&volume->log_lock, &irql);
    if (volume->log.buckets != NULL)
        sealed = log_seal(&volume->log);
    KeReleaseSpinLock(&volume->log_lock, irql);
    return sealed;
}

/* With log_lock held: what the log took or gave since it had `before` pages. */
static void
account_locked(struct volume *volume, ULONG before)
{
    LONG64 grown = (LONG64) volume->log.pages - (LONG64) before;

    if (grown != 0)
        __atomic_add_fetch(&fs.unflushed_pages, grown, __ATOMIC_RELAXED);
}

static void
saw_page(void *context, ULONG64 offset, const void *data)
{
    struct witness *witness = context;

    witness_saw(witness, offset, data, witness->block_bytes, FALSE);
}

/* What is on the medium now is remembered while its data are at hand; unless a
 * write is below us that may be newer. */
static void
see_flushed(struct volume *volume, ULONG sealed, ULONG generation)
{
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    if (volume->witness != NULL && volume->generation == generation &&
        __atomic_load_n(&volume->running, __ATOMIC_RELAXED) < RUNNING_WRITE) {
        KeAcquireSpinLockAtDpcLevel(&volume->log_lock);
        if (volume->log.buckets != NULL && !volume->misfit)
            log_newest(&volume->log, sealed, volume->block_bytes, SAMPLE_FLUSH,
                       saw_page, volume->witness);
        KeReleaseSpinLockFromDpcLevel(&volume->log_lock);
    }
    KeReleaseSpinLock(&volume->lock, irql);
}

BOOLEAN
fs_flushed(struct volume *volume, ULONG sealed, ULONG generation)
{
    BOOLEAN ok;
    ULONG before;
    KIRQL irql;

    see_flushed(volume, sealed, generation);
    KeAcquireSpinLock(&volume->log_lock, &irql);
    ok = __atomic_load_n(&volume->generation, __ATOMIC_ACQUIRE) == generation;
    if (ok && volume->log.buckets != NULL) {
        before = volume->log.pages;
        log_flushed(&volume->log, sealed);
        if (log_empty(&volume->log))
            volume->misfit = FALSE;
        account_locked(volume, before);
        if (volume->flushed_generation != generation ||
            (LONG) (sealed - volume->flushed) > 0)
            volume->flushed = sealed;
        volume->flushed_generation = generation;
        fs_commit_flush_due_locked(volume, sealed);
    }
    KeReleaseSpinLock(&volume->log_lock, irql);
    if (!ok)
        return FALSE;
    KeAcquireSpinLock(&volume->lock, &irql);
    if (volume->witness != NULL)
        witness_flushed(volume->witness, sealed);
    KeReleaseSpinLock(&volume->lock, irql);
    return TRUE;
}

void
fs_forget(struct volume *volume)
{
    KIRQL irql;
    ULONG before, sealed;

    KeAcquireSpinLock(&volume->log_lock, &irql);
    if (volume->log.buckets != NULL) {
        before = volume->log.pages;
        sealed = log_seal(&volume->log);
        log_flushed(&volume->log, sealed);
        volume->misfit = FALSE;
        account_locked(volume, before);
        fs_commit_flush_due_locked(volume, sealed);
    }
    KeReleaseSpinLock(&volume->log_lock, irql);
}

ULONG64
fs_unflushed_bytes(struct volume *volume)
{
    ULONG64 bytes;
    KIRQL irql;

    KeAcquireSpinLock(&volume->log_lock, &irql);
    bytes = log_bytes(&volume->log);
    KeReleaseSpinLock(&volume->log_lock, irql);
    return bytes;
}

struct putting {
    struct volume *volume;
    const void *data;
    BOOLEAN drop;
};

static BOOLEAN
put_range_locked(void *context, ULONG64 offset, ULONG64 length)
{
    struct putting *putting = context;
    struct log *log = &putting->volume->log;
    ULONG64 most = (fs.limits.unflushed_total_bytes / LOG_PAGE);
    ULONG64 used =
        (ULONG64) __atomic_load_n(&fs.unflushed_pages, __ATOMIC_RELAXED);

    if (putting->drop) {
        log_drop(log, offset, length);
        return TRUE;
    }
    if (length / LOG_PAGE > log->limit || used + length / LOG_PAGE + 2 > most)
        return FALSE;
    return log_put(log, offset, putting->data, length);
}

/* Of a change that succeeded, with log_lock held.  TRUE: the medium has it. */
static BOOLEAN
put_locked(struct volume *volume, PIRP irp)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);
    BOOLEAN write = own->MajorFunction == IRP_MJ_WRITE;
    struct putting putting = { .volume = volume };
    struct log *log = &volume->log;
    ULONG before = log->pages;
    BOOLEAN room;

    putting.data = write ? fs_data_of(irp) : NULL;
    putting.drop = write ? (own->Flags & SL_WRITE_THROUGH) != 0
                         : (own->Flags & FS_SL_MUST_ZERO) == 0;
    room = (!write || putting.drop || putting.data != NULL) &&
           fs_each_range(volume, irp, put_range_locked, &putting);
    account_locked(volume, before);
    if (!room)
        own->MinorFunction |= FS_NEEDS_FLUSH;
    /* Of two at once either may be left on the medium. */
    if (!room || __atomic_load_n(&volume->running, __ATOMIC_RELAXED) >=
                     2 * RUNNING_WRITE)
        volume->misfit = TRUE;
    irp->Tail.Overlay.DriverContext[0] = (PVOID) (ULONG_PTR) log->epoch;
    volume->written_ms = clock_coarse_ms();
    if (log->pages > before && (before == 0 || log->pages * 2 > log->limit))
        fs_tend_soon_locked(volume, TRUE);
    return write && putting.drop;
}

/* Of a request with FS_LOGGED that succeeded. */
static NTSTATUS
log_done(struct volume *volume, PIRP irp, ULONG *out_epoch, BOOLEAN *out_kept)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);
    ULONG generation = fs_sent_generation(irp);
    NTSTATUS status = STATUS_SUCCESS;
    KIRQL irql;

    if (own->MajorFunction == IRP_MJ_FLUSH_BUFFERS)
        return fs_flushed(volume, own->Parameters.Read.Length, generation)
                   ? STATUS_SUCCESS
                   : STATUS_VERIFY_REQUIRED;
    KeAcquireSpinLock(&volume->log_lock, &irql);
    if (__atomic_load_n(&volume->generation, __ATOMIC_ACQUIRE) != generation)
        status = STATUS_VERIFY_REQUIRED;
    else
        *out_kept = put_locked(volume, irp);
    *out_epoch = volume->log.epoch;
    KeReleaseSpinLock(&volume->log_lock, irql);
    return status;
}

/* --- the witness -------------------------------------------------------------- */

struct wrote {
    struct witness *witness;
    const void *data;
    ULONG epoch;
    BOOLEAN kept;
};

static BOOLEAN
wrote_range(void *context, ULONG64 offset, ULONG64 length)
{
    struct wrote *wrote = context;

    witness_wrote(wrote->witness, offset, wrote->data, length, wrote->epoch,
                  wrote->kept);
    return TRUE;
}

static void
witness_done(struct volume *volume, PIRP irp, BOOLEAN known, ULONG epoch,
             BOOLEAN kept)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);
    struct wrote wrote = { .epoch = epoch, .kept = kept };
    KIRQL irql;

    if (known && own->MajorFunction == IRP_MJ_WRITE)
        wrote.data = fs_data_of(irp);
    KeAcquireSpinLock(&volume->lock, &irql);
    wrote.witness = volume->witness;
    fs_each_range(volume, irp, wrote_range, &wrote);
    KeReleaseSpinLock(&volume->lock, irql);
}

/* No write was below us when the read was sent, and none was sent since.  One
 * that failed, perhaps only to be sent again, leaves its turn to the next. */
static void
sample_done(struct volume *volume, PIRP irp, BOOLEAN good)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);
    ULONG64 offset = (ULONG64) own->Parameters.Read.ByteOffset.QuadPart;
    const void *data = fs_data_of(irp);
    BOOLEAN known = TRUE;
    KIRQL irql;

    KeAcquireSpinLock(&volume->log_lock, &irql);
    if (volume->log.buckets != NULL &&
        log_covers(&volume->log, offset, volume->block_bytes))
        known = FALSE;
    KeReleaseSpinLock(&volume->log_lock, irql);
    KeAcquireSpinLock(&volume->lock, &irql);
    if (volume->sample == irp) {
        volume->sample = NULL;
        if (!good)
            volume->asked = volume->sample_every;
        else if (known && data != NULL && volume->witness != NULL &&
                 volume->generation == fs_sent_generation(irp))
            witness_saw(volume->witness, offset, data, volume->block_bytes,
                        FALSE);
    }
    KeReleaseSpinLock(&volume->lock, irql);
}

/* What failed may have been written all the same, or a part of it. */
static void
note_misfit(struct volume *volume)
{
    KIRQL irql;

    KeAcquireSpinLock(&volume->log_lock, &irql);
    volume->misfit = TRUE;
    KeReleaseSpinLock(&volume->log_lock, irql);
}

NTSTATUS NTAPI
fs_track_done(struct volume *volume, PIRP irp, NTSTATUS status)
{
    PIO_STACK_LOCATION own = IoGetCurrentIrpStackLocation(irp);
    BOOLEAN kept = (own->MinorFunction & FS_LOGGED) == 0;
    ULONG epoch = 0;

    if (NT_SUCCESS(status) && (own->MinorFunction & FS_LOGGED) != 0)
        status = log_done(volume, irp, &epoch, &kept);
    else if (!NT_SUCCESS(status) && (own->MinorFunction & FS_MODIFIES) != 0)
        note_misfit(volume);
    if ((own->MinorFunction & FS_TOUCHES_WITNESS) != 0)
        witness_done(volume, irp, NT_SUCCESS(status), epoch, kept);
    if ((own->MinorFunction & FS_SAMPLED) != 0)
        sample_done(volume, irp, NT_SUCCESS(status));
    return status;
}

/* --- flushes of our own --------------------------------------------------------- */

/* What had no room is in the drive's cache alone. */
static BOOLEAN
is_dirty(struct volume *volume)
{
    BOOLEAN dirty;
    KIRQL irql;

    KeAcquireSpinLock(&volume->log_lock, &irql);
    dirty = !log_empty(&volume->log) || volume->misfit;
    KeReleaseSpinLock(&volume->log_lock, irql);
    return dirty;
}

static NTSTATUS
flush_in(struct volume *volume, const struct fs_place *place)
{
    ULONG sealed = fs_seal(volume);
    NTSTATUS status = fs_flush_device(place->drive.target, &place->count);

    if (NT_SUCCESS(status) && !fs_flushed(volume, sealed, place->generation))
        status = STATUS_VERIFY_REQUIRED;
    return status;
}

NTSTATUS
fs_flush_log(struct volume *volume)
{
    struct fs_place place;
    NTSTATUS status = STATUS_VERIFY_REQUIRED;

    if (!is_dirty(volume))
        return STATUS_SUCCESS;
    fs_place_take(volume, &place);
    if (place.state == VOL_MOUNTED) {
        status = flush_in(volume, &place);
        fs_commit_soon(volume);
    }
    fs_place_let(&place);
    return status;
}

/* Has a flush of the medium that has the change covered it?  One that came after
 * the volume was settled anew says nothing: the change may not be in the log,
 * and was lost with the drive's cache. */
static BOOLEAN
is_covered(struct volume *volume, PIRP irp)
{
    ULONG epoch = (ULONG) (ULONG_PTR) irp->Tail.Overlay.DriverContext[0];
    BOOLEAN covered;
    KIRQL irql;

    KeAcquireSpinLock(&volume->log_lock, &irql);
    covered = volume->flushed_generation == fs_sent_generation(irp) &&
              (LONG) (epoch - volume->flushed) <= 0;
    KeReleaseSpinLock(&volume->log_lock, irql);
    return covered;
}

/* Whatever the log holds: this change may not be in it. */
NTSTATUS
fs_flush_for(struct volume *volume, PIRP irp)
{
    NTSTATUS status = STATUS_VERIFY_REQUIRED;
    struct fs_place place;

    if (is_covered(volume, irp))
        return STATUS_SUCCESS;
    fs_place_take(volume, &place);
    if (place.generation == fs_sent_generation(irp))
        status = flush_in(volume, &place);
    fs_place_let(&place);
    return status;
}

/* --- life ---------------------------------------------------------------------------- */

void
fs_set_limits(const struct fs_limits *limits)
{
    fs.limits = *limits;
}

void
fs_unflushed_init(struct volume *volume)
{
    KeInitializeSpinLock(&volume->log_lock);
    fs_tend_init(volume);
    KeInitializeMutex(&volume->resume_mutex, 0);
    KeInitializeEvent(&volume->not_replaying, NotificationEvent, TRUE);
    fs_commit_init(volume);
}

void
fs_unflushed_prepare(struct volume *volume)
{
    struct log log = { 0 };
    KIRQL irql;

    if (fs.limits.unflushed_bytes == 0 || volume->log.buckets != NULL ||
        !NT_SUCCESS(log_init(&log, fs.limits.unflushed_bytes)))
        return;
    KeAcquireSpinLock(&volume->log_lock, &irql);
    volume->log = log;
    InitializeListHead(&volume->log.age);
    KeReleaseSpinLock(&volume->log_lock, irql);
}

void
fs_unflushed_stop(struct volume *volume)
{
    KeCancelTimer(&volume->tend_timer);
}

void
fs_unflushed_last(struct volume *volume)
{
    NTSTATUS status = fs_flush_log(volume);

    /* Also a warning: of a session that was lost it is VERIFY_REQUIRED. */
    if (fs_unflushed_bytes(volume) != 0 && !NT_SUCCESS(status))
        status = fs_keep(volume, STATUS_SYSTEM_SHUTDOWN);
    if (!NT_SUCCESS(status))
        TRACE(TRACE_FS, "volume %s: not flushed: %s", volume->id.label,
              status_name(status));
    fs_commit_now(volume);
    fs_commit_close(volume);
    fs_allow_removal(volume);
}

void
fs_unflushed_free(struct volume *volume)
{
    ULONG before = volume->log.pages;

    KeCancelTimer(&volume->tend_timer);
    log_free(&volume->log);
    account_locked(volume, before);
    if (volume->witness != NULL)
        ExFreePoolWithTag(volume->witness, FS_TAG);
    volume->witness = NULL;
}
