/*
 * replay.c - a volume came back: is it what we knew, and what does it lack?
 *
 * After its identity agreed, the witness is compared, block by block, before
 * anything is written.  Then what was acknowledged and not flushed is written,
 * all of it under the media change count of the verification, and flushed; only
 * then the volume is mounted and those who wait go on.  Interrupted anywhere,
 * the log is as it was and the next return starts anew.
 *
 * Context: PASSIVE_LEVEL, the verifying thread, under the drive's DeviceLock
 * and resume_mutex.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fs/fs_internal.h"

#include "base/status.h"
#include "base/trace.h"

#define RUN_MOST   (1u << 20)
#define RUN_READ   65536u /* of one read for the witness; a block, at least */
#define RUN_BLOCKS 64u
#define GAP_MOST   16384u /* between two blocks of one read */

struct resuming {
    struct volume *volume;
    PDEVICE_OBJECT target;
    ULONG count;
    NTSTATUS failed;        /* of a block that is not read, or written */
    BOOLEAN probing;        /* the volume does not learn from it */
    BOOLEAN changed_before; /* that it was changed elsewhere is no news */
    BOOLEAN flushed;        /* all that was written until then */
    struct fs_agreement agreed;
};

/* --- the witness -------------------------------------------------------------- */

/* The block cannot be read, or written: says nothing of the others. */
static BOOLEAN
is_about_the_block(NTSTATUS status)
{
    return NT_ERROR(status) && fs_outcome(status)->about == FS_ABOUT_BLOCK;
}

/* The drive answers, whatever it says. */
static void
note_step(struct volume *volume)
{
    __atomic_add_fetch(&volume->steps, 1, __ATOMIC_RELAXED);
}

static NTSTATUS
check_block(struct resuming *resuming, ULONG64 at, const void *block)
{
    struct volume *volume = resuming->volume;
    BOOLEAN agrees;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    agrees = witness_agrees(volume->witness, at, block);
    resuming->agreed.compared++;
    if (agrees && !resuming->probing)
        witness_found(volume->witness, at, block);
    else if (agrees)
        resuming->agreed.telling += witness_knows(volume->witness, at, block);
    KeReleaseSpinLock(&volume->lock, irql);
    if (!agrees)
        TRACE(TRACE_VERIFY, "volume %s: changed elsewhere at %llu",
              volume->id.label, (unsigned long long) at);
    return agrees ? STATUS_SUCCESS : STATUS_WRONG_VOLUME;
}

static NTSTATUS
compare_block(struct resuming *resuming, ULONG64 at, void *block)
{
    struct volume *volume = resuming->volume;
    NTSTATUS status = fs_read_device(resuming->target, resuming->count, at,
                                     block, volume->block_bytes);

    note_step(volume);
    if (is_about_the_block(status)) {
        resuming->failed = status;
        return STATUS_SUCCESS;
    }
    return NT_SUCCESS(status) ? check_block(resuming, at, block) : status;
}

/* Blocks `at` of one read. */
struct run {
    ULONG64 at[RUN_BLOCKS];
    ULONG count;
};

static BOOLEAN
joins(const struct run *run, ULONG64 at, ULONG block)
{
    return run->count > 0 && run->count < RUN_BLOCKS &&
           at - (run->at[run->count - 1] + block) <= GAP_MOST &&
           at + block - run->at[0] <= RUN_READ;
}

/* One read; where that does not go, each by itself. */
static NTSTATUS
compare_run(struct resuming *resuming, const struct run *run, UCHAR *buffer)
{
    struct volume *volume = resuming->volume;
    ULONG block = volume->block_bytes;
    NTSTATUS status = STATUS_SUCCESS;
    ULONG length;

    if (run->count == 0)
        return STATUS_SUCCESS;
    length = (ULONG) (run->at[run->count - 1] - run->at[0]) + block;
    if (run->count > 1) {
        status = fs_read_device(resuming->target, resuming->count, run->at[0],
                                buffer, length);
        note_step(volume);
        if (NT_SUCCESS(status)) {
            for (ULONG i = 0; i < run->count && NT_SUCCESS(status); i++)
                status = check_block(resuming, run->at[i],
                                     buffer + (run->at[i] - run->at[0]));
            return status;
        }
        if (!is_about_the_block(status))
            return status;
        status = STATUS_SUCCESS;
    }
    for (ULONG i = 0; i < run->count && NT_SUCCESS(status); i++)
        status = compare_block(resuming, run->at[i], buffer);
    return status;
}

/* All entries, in the order of the medium. */
static NTSTATUS
compare_all(struct resuming *resuming, const ULONG64 *at, ULONG count,
            UCHAR *buffer)
{
    struct run run = { .count = 0 };
    NTSTATUS status = STATUS_SUCCESS;

    for (ULONG i = 0; i < count && NT_SUCCESS(status); i++) {
        if (!joins(&run, at[i], resuming->volume->block_bytes)) {
            status = compare_run(resuming, &run, buffer);
            run.count = 0;
        }
        run.at[run.count++] = at[i];
    }
    return NT_SUCCESS(status) ? compare_run(resuming, &run, buffer) : status;
}

static NTSTATUS
compare(struct resuming *resuming)
{
    struct volume *volume = resuming->volume;
    ULONG64 *at = ExAllocatePoolWithTag(
        NonPagedPool, WITNESS_MAX * sizeof *at + RUN_READ, FS_TAG);
    NTSTATUS status = STATUS_SUCCESS;
    ULONG count;
    KIRQL irql;

    if (at == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeAcquireSpinLock(&volume->lock, &irql);
    count = volume->witness != NULL ? witness_list(volume->witness, at) : 0;
    KeReleaseSpinLock(&volume->lock, irql);
    status = compare_all(resuming, at, count, (UCHAR *) (at + WITNESS_MAX));
    ExFreePoolWithTag(at, FS_TAG);
    /* Of what nobody could read a word, nobody knows whether it was changed. */
    if (NT_SUCCESS(status) && resuming->agreed.compared == 0 &&
        !resuming->probing)
        status = resuming->failed;
    resuming->failed = STATUS_SUCCESS;
    return status;
}

NTSTATUS
fs_probe_witness(struct volume *volume, PDEVICE_OBJECT target, ULONG count,
                 struct fs_agreement *out_agreed)
{
    struct resuming resuming = {
        .volume = volume, .target = target, .count = count, .probing = TRUE
    };
    NTSTATUS status = compare(&resuming);

    *out_agreed = resuming.agreed;
    return status;
}

/* --- replay ------------------------------------------------------------------- */

static NTSTATUS
replay_run(void *context, ULONG64 offset, const void *data, ULONG length)
{
    struct resuming *resuming = context;
    struct volume *volume = resuming->volume;
    BOOLEAN touched;
    NTSTATUS status;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    touched = volume->witness != NULL &&
              witness_writing(volume->witness, offset, length);
    KeReleaseSpinLock(&volume->lock, irql);
    status = fs_write_device(resuming->target, resuming->count, offset, data,
                             length);
    note_step(volume);
    if (touched) {
        KeAcquireSpinLock(&volume->lock, &irql);
        /* Refused: no flush makes it so, and a part may be there.  Cut short:
         * the states are before, and this, for it is written again. */
        if (is_about_the_block(status))
            witness_not_wrote(volume->witness, offset, length);
        else
            witness_wrote(volume->witness, offset, data, length,
                          volume->log.epoch, FALSE);
        KeReleaseSpinLock(&volume->lock, irql);
    }
    if (is_about_the_block(status)) {
        resuming->failed = status;
        status = STATUS_SUCCESS;
    }
    return status;
}

static NTSTATUS keep_locked(struct volume *volume, NTSTATUS why);

static NTSTATUS
replay(struct resuming *resuming)
{
    struct volume *volume = resuming->volume;
    ULONG64 bytes = fs_unflushed_bytes(volume);
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    void *buffer;
    KIRQL irql;

    if (bytes == 0)
        return STATUS_SUCCESS;
    buffer = ExAllocatePoolWithTag(NonPagedPool, RUN_MOST, FS_TAG);
    if (buffer != NULL) {
        status = log_each(&volume->log, buffer, RUN_MOST, replay_run, resuming);
        ExFreePoolWithTag(buffer, FS_TAG);
    }
    if (NT_SUCCESS(status))
        status = fs_flush_device(resuming->target, &resuming->count);
    resuming->flushed = NT_SUCCESS(status);
    if (NT_SUCCESS(status) && NT_ERROR(resuming->failed))
        status = keep_locked(volume, resuming->failed);
    TRACE(TRACE_VERIFY, "volume %s: replay of %llu bytes: %s", volume->id.label,
          (unsigned long long) bytes, status_name(status));
    if (NT_SUCCESS(status)) {
        KeAcquireSpinLock(&volume->lock, &irql);
        volume->replays++;
        KeReleaseSpinLock(&volume->lock, irql);
    }
    return status;
}

/* The medium has everything.  Void if the volume was settled anew meanwhile. */
static void
forget_replayed(struct volume *volume, ULONG generation)
{
    ULONG sealed = fs_seal(volume);

    if (sealed != 0)
        fs_flushed(volume, sealed, generation);
    /* Before a change that no log hears of can be acknowledged. */
    fs_commit_now(volume);
}

static NTSTATUS
conclude(const struct resuming *resuming, ULONG generation, NTSTATUS status)
{
    struct volume *volume = resuming->volume;
    BOOLEAN told;

    if (NT_SUCCESS(status)) {
        /* Without a flush the drive may lose what was read of it just now. */
        if (resuming->flushed)
            forget_replayed(volume, generation);
        return fs_volume_set(volume, generation, VOL_MOUNTED, STATUS_SUCCESS,
                             &told)
                   ? STATUS_SUCCESS
                   : STATUS_VERIFY_REQUIRED;
    }
    if (status == STATUS_WRONG_VOLUME && resuming->changed_before) {
        /* Who waits for the outcome goes on; to others it is no news. */
        fs_volume_set(volume, generation, VOL_CHANGED, status, &told);
        KeSetEvent(&volume->idle, 0, FALSE);
    } else if (status == STATUS_WRONG_VOLUME) {
        fs_volume_change(volume, generation, VOL_CHANGED, status);
    } else if (status == STATUS_VERIFY_REQUIRED) {
        fs_volume_change(volume, generation, VOL_VERIFYING, status);
    } else {
        fs_volume_lose(volume, generation, fs_absent_reason(status), status);
    }
    return status;
}

/* Waits until who puts under an older generation is through. */
static void
let_puts_end(struct volume *volume)
{
    KIRQL irql;

    KeAcquireSpinLock(&volume->log_lock, &irql);
    KeReleaseSpinLock(&volume->log_lock, irql);
}

NTSTATUS
fs_resume(struct volume *volume)
{
    struct resuming resuming = { .volume = volume };
    NTSTATUS status = STATUS_SUCCESS;
    BOOLEAN trusted, wanted, changed, doubted;
    ULONG generation;
    KIRQL irql;

    KeWaitForSingleObject(&volume->resume_mutex, Executive, KernelMode, FALSE,
                          NULL);
    KeAcquireSpinLock(&volume->lock, &irql);
    resuming.target = volume->target;
    fs_hold_drive(NULL, resuming.target);
    resuming.count = volume->count;
    generation = volume->generation;
    wanted = volume->state == VOL_REPLAYING;
    trusted = volume->vouched || volume->as_it_is;
    changed = volume->vouched_changed;
    doubted = volume->doubted;
    resuming.changed_before = volume->changed_before;
    KeReleaseSpinLock(&volume->lock, irql);
    let_puts_end(volume);
    /* Also of one that had no witness yet, for it could not be written to. */
    if (wanted && doubted)
        status = STATUS_WRONG_VOLUME;
    else if (wanted && !trusted)
        status = compare(&resuming);
    if (status == STATUS_WRONG_VOLUME) {
        KeAcquireSpinLock(&volume->lock, &irql);
        volume->changed_elsewhere = TRUE;
        KeReleaseSpinLock(&volume->lock, irql);
    }
    /* A person took it although it was changed: what was meant for it as it
     * was does not go onto it. */
    if (wanted && changed && fs_unflushed_bytes(volume) != 0)
        status = keep_locked(volume, STATUS_WRONG_VOLUME);
    if (wanted && NT_SUCCESS(status))
        status = replay(&resuming);
    if (wanted)
        status = conclude(&resuming, generation, status);
    else if (!fs_volume_mounted(volume))
        status = STATUS_VERIFY_REQUIRED;
    fs_let_drive(NULL, resuming.target);
    KeReleaseMutex(&volume->resume_mutex, FALSE);
    return status;
}

void
fs_wait_for_resume(struct volume *volume)
{
    KeWaitForSingleObject(&volume->resume_mutex, Executive, KernelMode, FALSE,
                          NULL);
    KeReleaseMutex(&volume->resume_mutex, FALSE);
}

void
fs_wait_for_outcome(struct volume *volume)
{
    KeWaitForSingleObject(&volume->not_replaying, Executive, KernelMode, FALSE,
                          NULL);
}

/* --- given away --------------------------------------------------------------- */

NTSTATUS
fs_lack_each(const struct fs_lack *lack, fs_run_fn *fn, void *context)
{
    void *buffer = ExAllocatePoolWithTag(NonPagedPool, RUN_MOST, FS_TAG);
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;

    if (buffer == NULL)
        return status;
    status = log_each(&lack->volume->log, buffer, RUN_MOST, fn, context);
    ExFreePoolWithTag(buffer, FS_TAG);
    return status;
}

ULONG
fs_copy_witness_locked(struct volume *volume, struct fs_witness_entry *out,
                       BOOLEAN mark)
{
    struct witness *witness = volume->witness;
    ULONG count = 0;

    for (ULONG i = 0; witness != NULL && i < witness->count; i++) {
        struct witness_state *entry = &witness->entry[i];

        if (entry->states == 0 || entry->blurred || entry->writing != 0 ||
            (mark && entry->hot))
            continue;
        if (mark)
            entry->on_disk = TRUE;
        out[count].at = witness->at[i];
        out[count].states = entry->states;
        RtlCopyMemory(out[count].hash, entry->hash, sizeof entry->hash);
        count++;
    }
    return count;
}

static ULONG
copy_witness(struct volume *volume, struct fs_witness_entry *out)
{
    ULONG count;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    count = fs_copy_witness_locked(volume, out, FALSE);
    KeReleaseSpinLock(&volume->lock, irql);
    return count;
}

/* With resume_mutex held and nothing going down. */
static NTSTATUS
keep_locked(struct volume *volume, NTSTATUS why)
{
    struct fs_lack lack = { .volume = volume, .why = why };
    struct fs_witness_entry *entries;
    NTSTATUS status;

    if (fs_unflushed_bytes(volume) == 0)
        return STATUS_SUCCESS;
    if (fs.keeper == NULL)
        return STATUS_NOT_SUPPORTED;
    entries = ExAllocatePoolWithTag(NonPagedPool, WITNESS_MAX * sizeof *entries,
                                    FS_TAG);
    if (entries == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    lack.witness = entries;
    lack.witness_count = copy_witness(volume, entries);
    /* From now on the log on disk is what the file was made of. */
    KeWaitForSingleObject(&volume->commit_mutex, Executive, KernelMode, FALSE,
                          NULL);
    lack.log = volume->disk_log;
    status = fs.keeper(fs.keeper_context, &lack);
    KeReleaseMutex(&volume->commit_mutex, FALSE);
    ExFreePoolWithTag(entries, FS_TAG);
    if (NT_SUCCESS(status)) {
        fs_forget(volume);
        fs_commit_now(volume);
    }
    return status;
}

NTSTATUS
fs_keep(struct volume *volume, NTSTATUS why)
{
    enum vol_state state;
    NTSTATUS status = STATUS_SUCCESS;

    KeWaitForSingleObject(&volume->resume_mutex, Executive, KernelMode, FALSE,
                          NULL);
    let_puts_end(volume);
    state = fs_volume_state(volume);
    /* It is all in the log on disk, for the next service. */
    if (fs_ending() && fs_disk_live(volume) != 0 && !fs_log_stale(volume))
        status = STATUS_SUCCESS;
    else if (fs_state_away(state) || state == VOL_CHANGED ||
             state == VOL_DISMOUNTED ||
             (fs_ending() &&
              __atomic_load_n(&volume->running, __ATOMIC_ACQUIRE) == 0))
        status = keep_locked(volume, why);
    else if (fs_unflushed_bytes(volume) != 0)
        status = STATUS_DEVICE_BUSY;
    KeReleaseMutex(&volume->resume_mutex, FALSE);
    return status;
}

void
fs_set_keeper(fs_keeper_fn *fn, void *context)
{
    fs.keeper_context = context;
    fs.keeper = fn;
}

void
fs_give_up(struct volume *volume, NTSTATUS why)
{
    ULONG generation = fs_volume_generation(volume);
    NTSTATUS status = fs_keep(volume, why), reason;
    KIRQL irql;

    TRACE(TRACE_FS, "volume %s: given up: %s", volume->id.label,
          status_name(status));
    if (!NT_SUCCESS(status))
        return;
    KeAcquireSpinLock(&volume->lock, &irql);
    /* It may be back by now; its reason is gone then. */
    reason = NT_SUCCESS(volume->reason) ? why : volume->reason;
    volume->given_up = TRUE;
    volume->given_up_generation = generation;
    volume->given_up_for = reason;
    KeReleaseSpinLock(&volume->lock, irql);
    if (fs_volume_state(volume) == VOL_ABSENT)
        fs_volume_change(volume, generation, VOL_CANCELLED, reason);
}

BOOLEAN
fs_given_up(struct volume *volume, PIRP irp, NTSTATUS *out_why)
{
    ULONG sent = fs_sent_generation(irp);
    BOOLEAN yes;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    yes = volume->given_up && (LONG) (sent - volume->given_up_generation) < 0;
    if (yes)
        *out_why = volume->given_up_for;
    KeReleaseSpinLock(&volume->lock, irql);
    return yes;
}

void
fs_wanted(struct volume *volume)
{
    BOOLEAN moved;
    NTSTATUS why;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    why = volume->reason;
    moved = volume->state == VOL_CANCELLED &&
            fs_volume_move_locked(volume, VOL_ABSENT, why, FALSE);
    KeReleaseSpinLock(&volume->lock, irql);
    if (moved)
        fs_volume_tell(volume, VOL_ABSENT, why);
}

void
fs_set_stale(fs_stale_fn *fn)
{
    fs.stale = fn;
}

/* What a volume was known by, until it is used as it is now. */
struct known_by {
    struct identity id;
    struct witness witness;
    BOOLEAN has_witness;
};

/* FALSE: somebody else is at it. */
static BOOLEAN
want_as_it_is(struct volume *volume, struct known_by *out_before)
{
    BOOLEAN mine;
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    mine = !volume->as_it_is;
    if (mine) {
        volume->as_it_is = TRUE;
        volume->taken_as_it_is = FALSE;
        out_before->id = volume->id;
        out_before->has_witness = volume->witness != NULL;
        if (out_before->has_witness)
            out_before->witness = *volume->witness;
    }
    KeReleaseSpinLock(&volume->lock, irql);
    return mine;
}

/*
 * It may be gone again by now: what was taken stays taken.  What was not is
 * asked about again, so that the look at it must not have changed what the
 * volume is known by.  FALSE: it was not taken.
 */
static BOOLEAN
settle_as_it_is(struct volume *volume, BOOLEAN there,
                const struct known_by *before)
{
    BOOLEAN taken;
    KIRQL irql;

    /* Nobody is comparing it with what it is known by. */
    KeWaitForSingleObject(&volume->resume_mutex, Executive, KernelMode, FALSE,
                          NULL);
    KeAcquireSpinLock(&volume->lock, &irql);
    taken = there || volume->taken_as_it_is;
    if (!taken) {
        volume->id = before->id;
        if (before->has_witness && volume->witness != NULL)
            *volume->witness = before->witness;
    }
    volume->as_it_is = FALSE;
    KeReleaseSpinLock(&volume->lock, irql);
    KeReleaseMutex(&volume->resume_mutex, FALSE);
    return taken;
}

/* Before it is mounted: from then on nothing stale goes down. */
static void
count_use(struct volume *volume, int by)
{
    KIRQL irql;

    KeAcquireSpinLock(&volume->lock, &irql);
    volume->uses += (ULONG) by;
    KeReleaseSpinLock(&volume->lock, irql);
}

NTSTATUS
fs_use_as_it_is(struct volume *volume)
{
    struct known_by *before =
        ExAllocatePoolWithTag(NonPagedPool, sizeof *before, FS_TAG);
    NTSTATUS status = before != NULL ? fs_keep(volume, STATUS_WRONG_VOLUME)
                                     : STATUS_INSUFFICIENT_RESOURCES;

    if (NT_SUCCESS(status) && !want_as_it_is(volume, before))
        status = STATUS_DEVICE_BUSY;
    if (NT_SUCCESS(status)) {
        count_use(volume, 1);
        if (!settle_as_it_is(volume, fs_try_again(volume), before)) {
            status = STATUS_WRONG_VOLUME;
            count_use(volume, -1);
        }
    }
    if (before != NULL)
        ExFreePoolWithTag(before, FS_TAG);
    return status;
}
